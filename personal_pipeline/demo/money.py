"""The money: customers, subscriptions, charges, refunds, a dispute, payouts and the balance.

Amounts are in the currency's minor unit (cents). Instants are UTC. There is one balance in dollars
and one in euros; each is paid out every Monday. For every balance transaction ``net = amount -
fee``, and a payout is the sum of the nets that it contains.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from random import Random

from personal_pipeline.demo.audience import Subscriber
from personal_pipeline.demo.chance import (
    add_months,
    at,
    days_between,
    month_of,
    poisson,
    sometime,
    stream,
    token,
)
from personal_pipeline.demo.words import FIRST_NAMES, LAST_NAMES

_DAY = timedelta(days=1)
_MONDAY = 0
_PAYOUT_HOUR = 2
_ARRIVES_AFTER = 2 * _DAY
_BOOK_PRICE = {"usd": 1900, "eur": 1700}
_BOOK_TITLE = "The Small House of Data (e-book)"
_DECLINES = (
    ("card_declined", "Your card was declined."),
    ("insufficient_funds", "Your card has insufficient funds."),
    ("expired_card", "Your card has expired."),
)


@dataclass(frozen=True, slots=True)
class Price:
    """A tier of the paid newsletter."""

    price_id: str
    product_id: str
    nickname: str
    amount: int
    currency: str
    months: int


MONTHLY = Price("price_1LettersMonthUsd", "prod_Letters", "Letters, monthly", 600, "usd", 1)
YEARLY = Price("price_1LettersYearUsd", "prod_Letters", "Letters, yearly", 6000, "usd", 12)
PATRON_MONTHLY = Price("price_1PatronMonthUsd", "prod_Patron", "Patron, monthly", 1500, "usd", 1)
PATRON_YEARLY = Price("price_1PatronYearUsd", "prod_Patron", "Patron, yearly", 15000, "usd", 12)
MONTHLY_EUR = Price("price_1LettersMonthEur", "prod_Letters", "Letters, monthly", 600, "eur", 1)

_TIERS = ((MONTHLY, 62), (YEARLY, 13), (PATRON_MONTHLY, 13), (PATRON_YEARLY, 4), (MONTHLY_EUR, 8))


@dataclass(frozen=True, slots=True)
class Card:
    """What a charge shows of the card that paid it."""

    brand: str
    last4: str
    country: str
    funding: str
    exp_month: int
    exp_year: int
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Somebody who has or had a subscription."""

    customer_id: str
    created_at: datetime
    name: str
    email: str
    currency: str
    country: str
    card: Card


@dataclass(frozen=True, slots=True)
class Subscription:
    """One paid subscription, as the service shows it at the end of the life.

    ``canceled_at`` is when the customer requested the end, ``ended_at`` when it took effect.
    """

    subscription_id: str
    item_id: str
    invoice_id: str
    customer_id: str
    price: Price
    created_at: datetime
    anchor: datetime
    status: str
    current_period_start: datetime
    current_period_end: datetime
    trial_end: datetime | None = None
    cancel_at: datetime | None = None
    cancel_at_period_end: bool = False
    canceled_at: datetime | None = None
    ended_at: datetime | None = None
    cancellation_reason: str | None = None
    cancellation_feedback: str | None = None


@dataclass(frozen=True, slots=True)
class Charge:
    """One attempt to charge a card. A failed one moves no money. Sales of the e-book have no
    customer."""

    charge_id: str
    payment_intent_id: str
    balance_transaction_id: str | None
    created_at: datetime
    amount: int
    currency: str
    status: str
    description: str
    name: str
    email: str
    card: Card
    customer_id: str | None = None
    amount_refunded: int = 0
    disputed: bool = False
    failure: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund of a charge; the fee of the charge is not returned."""

    refund_id: str
    balance_transaction_id: str
    charge_id: str
    payment_intent_id: str
    created_at: datetime
    amount: int
    currency: str
    reason: str


@dataclass(frozen=True, slots=True)
class Dispute:
    """A charge that the customer disputed with the bank, and that was lost."""

    dispute_id: str
    balance_transaction_id: str
    charge_id: str
    payment_intent_id: str
    created_at: datetime
    amount: int
    currency: str


@dataclass(frozen=True, slots=True)
class Payout:
    """Money sent to the bank. ``arrives_at`` is at midnight. A payout that failed was ``paid`` for
    some days before the bank returned it."""

    payout_id: str
    balance_transaction_id: str
    created_at: datetime
    arrives_at: datetime
    amount: int
    currency: str
    status: str
    failure_balance_transaction_id: str | None = None


@dataclass(frozen=True, slots=True)
class BalanceTransaction:
    """One movement of the balance. ``payout_id`` is the automatic payout that contains it."""

    transaction_id: str
    type: str
    reporting_category: str
    created_at: datetime
    available_at: datetime
    amount: int
    fee: int
    currency: str
    source_id: str | None
    description: str | None
    payout_id: str | None = None

    @property
    def net(self) -> int:
        return self.amount - self.fee


@dataclass(frozen=True, slots=True)
class Money:
    """Everything that the payment service knows; each list is oldest first."""

    customers: tuple[Customer, ...]
    subscriptions: tuple[Subscription, ...]
    charges: tuple[Charge, ...]
    refunds: tuple[Refund, ...]
    disputes: tuple[Dispute, ...]
    payouts: tuple[Payout, ...]
    balance_transactions: tuple[BalanceTransaction, ...]


@dataclass(slots=True)
class _Books:
    """Everything so far, unordered."""

    end: datetime
    customers: list[Customer] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    refunds: list[Refund] = field(default_factory=list)
    transactions: list[BalanceTransaction] = field(default_factory=list)


def invent_money(
    seed: int, subscribers: Sequence[Subscriber], start: date, until: date, years: int
) -> Money:
    """Everything that was paid from the first day to the last.

    One charge is disputed at about seven tenths of the life, and one payout fails at about half.
    """
    books = _Books(end=at(until + _DAY))
    for subscriber in subscribers:
        if subscriber.customer_from is not None:
            _live_as_customer(
                stream(seed, "customer", subscriber.subscriber_id),
                books,
                subscriber,
                subscriber.customer_from,
            )
    _sell_books(seed, books, start, until)
    books.charges.sort(key=lambda charge: (charge.created_at, charge.charge_id))
    disputes = _dispute_one(seed, books, start + timedelta(days=int(365 * years * 0.7)))
    books.transactions += _billing_fees(seed, books.charges, start, until)
    failing_from = start + timedelta(days=int(365 * years * 0.52))
    payouts, transactions = _pay_out(seed, books, start, until, failing_from)
    return Money(
        customers=tuple(sorted(books.customers, key=lambda each: each.created_at)),
        subscriptions=tuple(sorted(books.subscriptions, key=lambda each: each.created_at)),
        charges=tuple(books.charges),
        refunds=tuple(sorted(books.refunds, key=lambda each: each.created_at)),
        disputes=disputes,
        payouts=payouts,
        balance_transactions=transactions,
    )


# --- customers and their subscriptions ------------------------------------------------------------


def _live_as_customer(
    rng: Random, books: _Books, subscriber: Subscriber, created_at: datetime
) -> None:
    price = rng.choices([tier for tier, _ in _TIERS], [share for _, share in _TIERS])[0]
    country = (
        rng.choice(("DE", "FR", "NL"))
        if price.currency == "eur"
        else rng.choice(("US", "US", "US", "GB", "CA"))
    )
    customer = Customer(
        customer_id=f"cus_{token(rng, 14)}",
        created_at=created_at,
        name=f"{subscriber.first_name or ''} {subscriber.last_name}".strip(),
        email=subscriber.email,
        currency=price.currency,
        country=country,
        card=_card(rng, country, created_at),
    )
    books.customers.append(customer)
    subscribed_at: datetime | None = created_at + timedelta(seconds=rng.randrange(2, 90))
    while subscribed_at is not None and subscribed_at < books.end:
        subscribed_at = _live_subscription(rng, books, customer, price, subscribed_at)
        # the only reason for a second subscription is the change from monthly to yearly
        price = PATRON_YEARLY if price is PATRON_MONTHLY else YEARLY


def _live_subscription(
    rng: Random, books: _Books, customer: Customer, price: Price, created_at: datetime
) -> datetime | None:
    """Simulate one subscription to its end or to the end of the life; returns when the customer
    switched to the yearly one, if ever. What happens beyond the end of the life is drawn but left
    out."""
    end = books.end
    in_trial = rng.random() < 0.12 and price.months == 1
    anchor = created_at + timedelta(days=14) if in_trial else created_at
    subscription = Subscription(
        subscription_id=f"sub_1{token(rng, 23)}",
        item_id=f"si_{token(rng, 14)}",
        invoice_id=f"in_1{token(rng, 23)}",
        customer_id=customer.customer_id,
        price=price,
        created_at=created_at,
        anchor=anchor,
        status="trialing" if in_trial else "active",
        current_period_start=created_at,
        current_period_end=anchor if in_trial else _period(anchor, price, 1),
        trial_end=anchor if in_trial else None,
    )
    gives_up_in_trial = rng.random() < 0.2
    thinks_for = rng.uniform(0.1, 0.9)
    if in_trial and gives_up_in_trial:
        asked_at = created_at + thinks_for * (anchor - created_at)
        books.subscriptions.append(_cancel(subscription, asked_at, anchor, end, "unused"))
        return None

    number = 0
    while (begins_at := _period(anchor, price, number)) < end:
        finishes_at = _period(anchor, price, number + 1)
        subscription = replace(
            subscription,
            status="active",
            current_period_start=begins_at,
            current_period_end=finishes_at,
        )
        first = number == 0 and not in_trial
        # a renewal is charged an hour after its invoice is created
        due_at = begins_at if first else begins_at + timedelta(hours=1, seconds=rng.randrange(120))
        paid_at = _collect(rng, books, customer, price, due_at, first=first)
        cancels = rng.random() < (0.045 if price.months == 1 else 0.16)
        thinks_for = rng.uniform(0.05, 0.95)
        feedback = rng.choice(("too_expensive", "unused", "missing_features", "other", None))
        goes_yearly = rng.random() < 0.012 and price.months == 1 and price.currency == "usd"
        if paid_at is None:
            ended_at = due_at + (timedelta(hours=23) if first else timedelta(days=8))
            books.subscriptions.append(_end_unpaid(subscription, due_at, ended_at, end, first))
            return None
        if paid_at >= end:
            status = "past_due" if due_at < end else "active"
            books.subscriptions.append(replace(subscription, status=status))
            return None
        asked_at = paid_at + thinks_for * (finishes_at - paid_at)
        if cancels and asked_at < end:
            books.subscriptions.append(_cancel(subscription, asked_at, finishes_at, end, feedback))
            return None
        if goes_yearly and finishes_at < end:
            books.subscriptions.append(
                replace(
                    subscription,
                    status="canceled",
                    canceled_at=finishes_at,
                    ended_at=finishes_at,
                    cancellation_reason="cancellation_requested",
                    cancellation_feedback="switched_service",
                )
            )
            return finishes_at
        number += 1
    books.subscriptions.append(subscription)
    return None


def _period(anchor: datetime, price: Price, number: int) -> datetime:
    return at(add_months(anchor.date(), price.months * number)) + (anchor - at(anchor.date()))


def _cancel(
    subscription: Subscription,
    asked_at: datetime,
    ends_at: datetime,
    end: datetime,
    feedback: str | None,
) -> Subscription:
    if asked_at >= end:
        return subscription
    asked = replace(
        subscription,
        cancel_at=ends_at,
        cancel_at_period_end=True,
        canceled_at=asked_at.replace(microsecond=0),
        cancellation_reason="cancellation_requested",
        cancellation_feedback=feedback,
    )
    return replace(asked, status="canceled", ended_at=ends_at) if ends_at < end else asked


def _end_unpaid(
    subscription: Subscription, due_at: datetime, ended_at: datetime, end: datetime, first: bool
) -> Subscription:
    if ended_at >= end:
        if due_at >= end:
            return subscription
        return replace(subscription, status="incomplete" if first else "past_due")
    return replace(
        subscription,
        status="incomplete_expired" if first else "canceled",
        canceled_at=None if first else ended_at,
        ended_at=ended_at,
        cancellation_reason=None if first else "payment_failed",
    )


# --- charges --------------------------------------------------------------------------------------


def _collect(
    rng: Random, books: _Books, customer: Customer, price: Price, due_at: datetime, *, first: bool
) -> datetime | None:
    """Charge for a period, in up to three attempts; returns when it was paid, None if never."""
    succeeds = (rng.random() < (0.985 if first else 0.965), rng.random() < 0.62, rng.random() < 0.4)
    attempts = succeeds[:1] if first else succeeds
    description = "Subscription creation" if first else "Subscription update"
    for delay, success in zip((0, 3, 8), attempts, strict=False):
        charged_at = due_at + timedelta(days=delay)
        _charge(
            rng,
            books,
            charged_at,
            price.amount,
            price.currency,
            description,
            customer.name,
            customer.email,
            customer.card,
            customer.customer_id,
            succeeds=success,
        )
        if success:
            return charged_at
    return None


def _charge(
    rng: Random,
    books: _Books,
    charged_at: datetime,
    amount: int,
    currency: str,
    description: str,
    name: str,
    email: str,
    card: Card,
    customer_id: str | None,
    *,
    succeeds: bool,
) -> None:
    """Record one attempt in the books, with its refund, up to the end of the life."""
    tail, refund_tail = token(rng, 23), token(rng, 23)
    decline = rng.choice(_DECLINES)
    kind, days = rng.random(), rng.randrange(1, 12)
    reason = rng.choice(("requested_by_customer", "requested_by_customer", "duplicate"))
    if charged_at >= books.end:
        return
    charge = Charge(
        charge_id=f"ch_3{tail}",
        payment_intent_id=f"pi_3{tail[:16]}{tail[:7]}",
        balance_transaction_id=f"txn_3{tail}" if succeeds else None,
        created_at=charged_at,
        amount=amount,
        currency=currency,
        status="succeeded" if succeeds else "failed",
        description=description,
        name=name,
        email=email,
        card=card,
        customer_id=customer_id,
        failure=None if succeeds else decline,
    )
    if not succeeds:
        books.charges.append(charge)
        return
    books.transactions.append(
        BalanceTransaction(
            transaction_id=f"txn_3{tail}",
            type="charge",
            reporting_category="charge",
            created_at=charged_at,
            available_at=at(charged_at.date() + 2 * _DAY),
            amount=amount,
            fee=_fee(amount, currency, card.country),
            currency=currency,
            source_id=charge.charge_id,
            description=description,
        )
    )
    refunded_at = charged_at + timedelta(days=days, hours=3)
    refunded = amount if kind < 0.012 else amount // 2 if kind < 0.018 else 0
    if refunded and refunded_at < books.end:
        charge = replace(charge, amount_refunded=refunded)
        books.refunds.append(
            Refund(
                refund_id=f"re_3{refund_tail}",
                balance_transaction_id=f"txn_3{refund_tail}",
                charge_id=charge.charge_id,
                payment_intent_id=charge.payment_intent_id,
                created_at=refunded_at,
                amount=refunded,
                currency=currency,
                reason=reason,
            )
        )
        books.transactions.append(
            BalanceTransaction(
                transaction_id=f"txn_3{refund_tail}",
                type="refund",
                reporting_category="refund",
                created_at=refunded_at,
                available_at=refunded_at,
                amount=-refunded,
                fee=0,
                currency=currency,
                source_id=f"re_3{refund_tail}",
                description=f"REFUND FOR CHARGE ({description})",
            )
        )
    books.charges.append(charge)


def _fee(amount: int, currency: str, country: str) -> int:
    """The service's fee: a share and a fixed part, higher for foreign cards."""
    if currency == "eur":
        return round(amount * 0.015) + 25
    return round(amount * (0.029 if country == "US" else 0.044)) + 30


def _card(rng: Random, country: str, on: datetime) -> Card:
    return Card(
        brand=rng.choice(("visa", "visa", "mastercard", "amex")),
        last4=f"{rng.randrange(10_000):04d}",
        country=country,
        funding=rng.choice(("credit", "debit")),
        exp_month=rng.randrange(1, 13),
        exp_year=on.year + rng.randrange(1, 5),
        fingerprint=token(rng, 16),
    )


def _sell_books(seed: int, books: _Books, start: date, until: date) -> None:
    """The e-book: a launch in the fifth month, then some sales per day, to people without an
    account."""
    rng = stream(seed, "books")
    launch = start + timedelta(days=130)
    for day in days_between(launch, until):
        age = (day - launch).days
        rate = 0.9 + 1.5 * min(age, 1000) / 600 + (16 / (age + 1) if age < 6 else 0)
        for _ in range(poisson(rng, rate)):
            first_name, last_name = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
            currency = "eur" if rng.random() < 0.09 else "usd"
            country = "IT" if currency == "eur" else rng.choice(("US", "US", "US", "AU"))
            sold_at = sometime(rng, day)
            _charge(
                rng,
                books,
                sold_at,
                _BOOK_PRICE[currency],
                currency,
                _BOOK_TITLE,
                f"{first_name} {last_name}",
                f"{first_name}.{last_name}{rng.randrange(100)}@example.org".lower(),
                _card(rng, country, sold_at),
                None,
                succeeds=rng.random() < 0.975,
            )


def _dispute_one(seed: int, books: _Books, earliest: date) -> tuple[Dispute, ...]:
    """Dispute the first book sold on or after a day, twelve days later, when every refund has long
    been given."""
    candidates = (
        index
        for index, charge in enumerate(books.charges)
        if charge.customer_id is None
        and charge.status == "succeeded"
        and charge.currency == "usd"
        and not charge.amount_refunded
        and charge.created_at >= at(earliest)
    )
    index = next(candidates, None)
    if index is None:
        return ()
    charge = books.charges[index]
    disputed_at = charge.created_at + timedelta(days=12, hours=5)
    if disputed_at >= books.end:
        return ()
    tail = token(stream(seed, "dispute"), 23)
    books.charges[index] = replace(charge, disputed=True)
    books.transactions.append(
        BalanceTransaction(
            transaction_id=f"txn_1{tail}",
            type="adjustment",
            reporting_category="dispute",
            created_at=disputed_at,
            available_at=disputed_at,
            amount=-charge.amount,
            fee=1500,
            currency=charge.currency,
            source_id=f"dp_1{tail}",
            description=f"Chargeback withdrawal for {charge.charge_id}",
        )
    )
    return (
        Dispute(
            dispute_id=f"dp_1{tail}",
            balance_transaction_id=f"txn_1{tail}",
            charge_id=charge.charge_id,
            payment_intent_id=charge.payment_intent_id,
            created_at=disputed_at,
            amount=charge.amount,
            currency=charge.currency,
        ),
    )


def _billing_fees(
    seed: int, charges: Iterable[Charge], start: date, until: date
) -> Iterator[BalanceTransaction]:
    """The service's fee for running the subscriptions, on the first of a month for the month
    before: seven tenths of a percent. It is a separate movement, without a fee of its own."""
    volume: dict[tuple[date, str], int] = defaultdict(int)
    for charge in charges:
        if charge.customer_id is not None and charge.status == "succeeded":
            volume[month_of(charge.created_at.date()), charge.currency] += charge.amount
    for (month, currency), amount in sorted(volume.items()):
        day = add_months(month, 1)
        fee = round(amount * 0.007)
        if start <= day <= until and fee:
            yield BalanceTransaction(
                transaction_id=f"txn_1{token(stream(seed, 'billing', currency, str(day)), 23)}",
                type="stripe_fee",
                reporting_category="fee",
                created_at=at(day, 9, 12),
                available_at=at(day, 9, 12),
                amount=-fee,
                fee=0,
                currency=currency,
                source_id=None,
                description=f"Billing - Usage Fee ({month} - {day - _DAY})",
            )


# --- payouts --------------------------------------------------------------------------------------


def _pay_out(
    seed: int, books: _Books, start: date, until: date, failing_from: date
) -> tuple[tuple[Payout, ...], tuple[BalanceTransaction, ...]]:
    """Send each balance to the bank every Monday; returns payouts and all movements, including
    those of the payouts, oldest first."""
    payouts: list[Payout] = []
    movements: list[BalanceTransaction] = []
    for currency in ("usd", "eur"):
        waiting = sorted(
            (each for each in books.transactions if each.currency == currency),
            key=lambda each: (each.available_at, each.transaction_id),
            reverse=True,
        )
        available: list[BalanceTransaction] = []
        failed_yet = currency != "usd"
        for day in days_between(start, until):
            if day.weekday() != _MONDAY:
                continue
            created_at = at(day, _PAYOUT_HOUR)
            while waiting and waiting[-1].available_at <= created_at:
                available.append(waiting.pop())
            amount = sum(each.net for each in available)
            if amount <= 0:
                # a negative balance waits for the next week
                continue
            tail = token(stream(seed, "payout", currency, str(day)), 23)
            fails = not failed_yet and day >= failing_from
            failed_yet = failed_yet or fails
            payout, sent, returned = _payout(tail, created_at, amount, currency, books.end, fails)
            payouts.append(payout)
            movements += [replace(each, payout_id=payout.payout_id) for each in available]
            movements.append(sent)
            available = [returned] if returned is not None else []
        movements += available + waiting
    payouts.sort(key=lambda each: (each.created_at, each.payout_id))
    movements.sort(key=lambda each: (each.created_at, each.transaction_id))
    return tuple(payouts), tuple(movements)


def _payout(
    tail: str, created_at: datetime, amount: int, currency: str, end: datetime, fails: bool
) -> tuple[Payout, BalanceTransaction, BalanceTransaction | None]:
    """One payout, its movement, and the reverse movement if the bank has refused it by the end."""
    payout_id = f"po_1{tail}"
    arrives_at = at(created_at.date() + _ARRIVES_AFTER)
    refused_at = created_at + timedelta(days=4, hours=7)
    refused = fails and refused_at < end
    status = "paid" if arrives_at < end else "in_transit"
    if created_at + _DAY >= end:
        status = "pending"
    sent = BalanceTransaction(
        transaction_id=f"txn_1{tail}",
        type="payout",
        reporting_category="payout",
        created_at=created_at,
        available_at=arrives_at,
        amount=-amount,
        fee=0,
        currency=currency,
        source_id=payout_id,
        description="STRIPE PAYOUT",
    )
    back = f"txn_1{tail[::-1]}"
    payout = Payout(
        payout_id=payout_id,
        balance_transaction_id=sent.transaction_id,
        created_at=created_at,
        arrives_at=arrives_at,
        amount=amount,
        currency=currency,
        status="failed" if refused else status,
        failure_balance_transaction_id=back if refused else None,
    )
    if not refused:
        return payout, sent, None
    returned = BalanceTransaction(
        transaction_id=back,
        type="payout_failure",
        reporting_category="payout_reversal",
        created_at=refused_at,
        available_at=refused_at,
        amount=amount,
        fee=0,
        currency=currency,
        source_id=payout_id,
        description="REFUND FOR FAILED PAYOUT",
    )
    return payout, sent, returned
