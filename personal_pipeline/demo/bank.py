"""The bank: a checking account, a credit card, and their transactions.

Amounts are cents in US dollars, negative if money leaves the account. Days are those of the bank.
The writer has a part-time job besides the stories. Payouts in dollars arrive on the checking
account, those in euros at a bank that is not part of the life. The card is paid from the checking
account each month, for everything booked on it in the month before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

from personal_pipeline.demo.chance import add_months, days_between, month_of, poisson, stream
from personal_pipeline.demo.money import Payout

_DAY = timedelta(days=1)
_BOOKED_AFTER = 2 * _DAY
"""Delay between the expected arrival of a payout and its booking. A payout that the bank refuses is
never booked, and which one that is is known by then."""

_OPENING = 624_018
_WAGE = 72_350


@dataclass(frozen=True, slots=True)
class Movement:
    """A booking on an account. ``kind`` is the OFX term, ``category`` that of the card's bank,
    empty on the checking account. ``number`` counts the bookings of one account and day, from
    one."""

    posted_on: date
    paid_on: date
    number: int
    amount: int
    payee: str
    kind: str
    category: str = ""


@dataclass(frozen=True, slots=True)
class BankAccount:
    """An account with its movements, oldest first. ``opening`` is its balance before the first."""

    number: str
    opening: int
    movements: tuple[Movement, ...]

    def balance(self, day: date) -> int:
        """The balance at the end of a day."""
        return self.opening + sum(each.amount for each in self.between(date.min, day))

    def between(self, first: date, last: date) -> list[Movement]:
        """The movements booked from ``first`` to ``last``, both included."""
        return [each for each in self.movements if first <= each.posted_on <= last]


@dataclass(frozen=True, slots=True)
class Bank:
    """Both accounts of the life."""

    checking: BankAccount
    card: BankAccount


@dataclass(frozen=True, slots=True)
class _Booking:
    posted_on: date
    paid_on: date
    amount: int
    payee: str
    kind: str
    category: str = ""


_SHOPS = (
    # payee, category of the card's bank, how often per month, from and to in cents
    ("GREENLEAF MARKET 0412", "Grocery", 6.0, 1_890, 7_450),
    ("CORNER GROCER", "Grocery", 3.0, 640, 2_380),
    ("LANTERN NOODLE HOUSE", "Dining", 2.2, 1_420, 3_960),
    ("PAPER MOON BOOKS", "Merchandise", 1.1, 980, 4_250),
    ("HARBOR PHARMACY", "Health Care", 0.8, 620, 3_480),
    ("NORTHLINE RAIL", "Other Travel", 1.2, 1_150, 6_400),
    ("CEDAR & CO HARDWARE", "Merchandise", 0.6, 890, 8_900),
    ("MERIDIAN CINEMA", "Entertainment", 0.9, 1_200, 2_800),
)
_SUBSCRIPTIONS = (
    # payee, category, day of the month, cents
    ("PLAINTEXT CLOUD", "Internet", 4, 900),
    ("TIDEPOOL MUSIC", "Entertainment", 11, 1_099),
    ("LEDGERLINE HOSTING", "Internet", 18, 2_400),
)
_BILLS = (
    # payee, day of the month, from and to in cents
    ("FERNHILL PROPERTY RENT", 1, 98_000, 98_000),
    ("CITY POWER & WATER", 9, 5_400, 11_800),
    ("BRIGHTWIRE INTERNET", 15, 4_500, 4_500),
    ("OAK STREET GYM", 21, 3_200, 3_200),
)


def invent_bank(seed: int, payouts: Sequence[Payout], start: date, until: date) -> Bank:
    """Everything that was booked from the first day to the last, on both accounts."""
    rng = stream(seed, "bank accounts")
    checking = f"{rng.randrange(10**5, 10**6)}{rng.randrange(10**3, 10**4)}"
    card_number = f"{rng.randrange(10**3, 10**4)}"
    months = [month_of(start)]
    while (following := add_months(months[-1], 1)) <= until:
        months.append(following)
    card = [each for month in months for each in _card_month(seed, month)]
    everyday = [each for month in months for each in _checking_month(seed, month)]
    booked: dict[date, int] = defaultdict(int)
    for bought in card:
        booked[month_of(bought.posted_on)] -= bought.amount
    for month in months[1:]:
        paid_on, bill = month + 11 * _DAY, booked[add_months(month, -1)]
        everyday.append(_Booking(paid_on, paid_on, -bill, "CAPITAL ONE MOBILE PMT", "PAYMENT"))
        paid = ("CAPITAL ONE MOBILE PYMT", "CREDIT", "Payment/Credit")
        card.append(_Booking(paid_on + _DAY, paid_on, bill, *paid))
    everyday += _payouts(payouts)
    return Bank(
        checking=BankAccount(checking, _OPENING, _numbered(everyday, until)),
        card=BankAccount(card_number, 0, _numbered(card, until)),
    )


def _numbered(bookings: Iterable[_Booking], until: date) -> tuple[Movement, ...]:
    """The bookings up to the end of the life, oldest first, numbered per day."""
    movements: list[Movement] = []
    for each in sorted(bookings, key=lambda one: (one.posted_on, one.payee, one.amount)):
        if each.posted_on > until:
            break
        again = movements and movements[-1].posted_on == each.posted_on
        movements.append(
            Movement(
                each.posted_on,
                each.paid_on,
                movements[-1].number + 1 if again else 1,
                each.amount,
                each.payee,
                each.kind,
                each.category,
            )
        )
    return tuple(movements)


def _card_month(seed: int, month: date) -> Iterator[_Booking]:
    """Card payments of one month; each is booked a day or two later."""
    rng = stream(seed, "card", str(month))
    last = add_months(month, 1) - _DAY
    for payee, category, often, low, high in _SHOPS:
        for _ in range(poisson(rng, often)):
            paid_on = month + timedelta(days=rng.randrange(last.day))
            amount = rng.randrange(low, high)
            yield _bought(rng, paid_on, amount, payee, category)
            if rng.random() < 0.02:
                back_on = paid_on + timedelta(days=rng.randrange(4, 9))
                yield _Booking(back_on, back_on, amount, payee, "CREDIT", category)
    for payee, category, day, amount in _SUBSCRIPTIONS:
        yield _bought(rng, month.replace(day=day), amount, payee, category)
    # a trip in summer, a new laptop in some autumns
    if month.month == 7:
        fare, nights = rng.randrange(52_000, 78_000), rng.randrange(41_000, 66_000)
        yield _bought(rng, month.replace(day=6), fare, "ALBA AIR", "Airfare")
        yield _bought(rng, month.replace(day=19), nights, "PENSION ALMA", "Lodging")
    if month.month == 10 and month.year % 2 == 0:
        yield _bought(rng, month.replace(day=14), 119_900, "HALCYON COMPUTERS", "Merchandise")


def _bought(rng: Random, paid_on: date, amount: int, payee: str, category: str) -> _Booking:
    posted_on = paid_on + timedelta(days=rng.randrange(1, 3))
    return _Booking(posted_on, paid_on, -amount, payee, "DEBIT", category)


def _checking_month(seed: int, month: date) -> Iterator[_Booking]:
    """Wages, bills, cash and coffee of one month; sometimes two equal coffees on one day."""
    rng = stream(seed, "checking", str(month))
    last = add_months(month, 1) - _DAY
    for day in (month.replace(day=14), last):
        yield _Booking(day, day, _WAGE, "COUNTY LIBRARY PAYROLL", "DIRECTDEP")
    for payee, day_number, low, high in _BILLS:
        day = month.replace(day=day_number)
        yield _Booking(day, day, -rng.randrange(low, high + 1), payee, "DIRECTDEBIT")
    for _ in range(poisson(rng, 1.3)):
        day = month + timedelta(days=rng.randrange(last.day))
        yield _Booking(day, day, -rng.choice((4_000, 6_000, 8_000)), "ATM MAIN ST", "ATM")
    for day in days_between(month, last):
        drinks = rng.random()
        for _ in range(2 if drinks < 0.06 else 1 if drinks < 0.36 else 0):
            yield _Booking(day, day, -425, "SMALL HOURS COFFEE", "POS")


def _payouts(payouts: Iterable[Payout]) -> Iterator[_Booking]:
    for each in payouts:
        if each.currency == "usd" and each.status != "failed":
            day = each.arrives_at.date() + _BOOKED_AFTER
            payee = f"STRIPE TRANSFER {each.payout_id[-6:].upper()}"
            yield _Booking(day, day, each.amount, payee, "DIRECTDEP")
