"""The revenue: Stripe and Medium side by side, by month and currency; recurring; paid out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from personal_pipeline.outputs.charts import (
    amounts_by_month,
    gross_to_net,
    recurring_revenue,
    side_by_side,
)
from personal_pipeline.outputs.comparison import Measure, counted
from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import (
    count,
    money,
    money_unit,
    plain_day,
    relative_change,
    short_day,
    short_month,
)
from personal_pipeline.outputs.page import (
    Block,
    Part,
    Section,
    as_of,
    latest,
    month_name,
    table,
    unfinished_month,
)
from personal_pipeline.outputs.standing import complete_until

DAILY = query(__package__, "daily")
HAPPENED = query(__package__, "happened")
MONTHS = query(__package__, "months")
PAYOUTS = query(__package__, "payouts")


def measures(figures: Figures) -> list[Measure]:
    """What Stripe brought by day, in the main currency."""
    if not figures.has("stripe"):
        return []
    rows = figures.rows(DAILY)
    currency = _main_currency(rows)
    unit = money_unit(currency)
    yesterday = figures.day - timedelta(days=1)
    until = complete_until(figures.board, "stripe", "balance_transactions", yesterday)

    def why(day: date) -> str:
        for found in figures.rows(HAPPENED, on=day, currency=currency):
            told = [
                _subscriptions(found.started, "began"),
                _subscriptions(found.ended, "ended"),
                f"{money(found.refunds, currency)} was refunded" if found.refunds else "",
            ]
            if said := ", ".join(filter(None, told)):
                return f"{said}."
        return ""

    return [
        Measure(
            title="Stripe gross",
            known=counted({row.day: row.gross for row in rows if row.gross is not None}, until),
            query=DAILY,
            unit=unit,
            words=("gross on Stripe", "gross on Stripe"),
            card=True,
            why=why,
        ),
        Measure(
            title="Stripe net",
            known=counted({row.day: row.net for row in rows if row.net is not None}, until),
            query=DAILY,
            unit=unit,
            balance=True,
            words=("net", "net"),
            judged=False,
        ),
    ]


def _subscriptions(number: int, what: str) -> str:
    return f"{count(number)} subscription{'' if number == 1 else 's'} {what}" if number else ""


def _main_currency(rows: Sequence[Any]) -> str:
    return next((row.currency for row in reversed(rows) if row.currency), "usd")


def part(figures: Figures) -> Part | None:
    """Revenue of the connected services, the main currency first."""
    rows = figures.rows(DAILY)
    gross = next((each.known for each in measures(figures)), {})
    with_stripe, with_medium = figures.has("stripe"), figures.has("medium")
    stripe_until = max(gross, default=None)
    medium_until = None
    if with_medium:
        earned = (row.day for row in rows if row.medium_earnings is not None)
        medium_until = max(earned, default=None)
    running = unfinished_month(max((d for d in (stripe_until, medium_until) if d), default=None))
    months = figures.rows(MONTHS, stripe_until=stripe_until, medium_until=medium_until)
    if not with_stripe and not any(each.medium_earnings for each in months):
        return None
    main = _main_currency(rows)
    blocks: list[Block] = []
    for currency in _currencies(months, main):
        own = [each for each in months if each.currency == currency]
        if with_stripe:
            blocks += _stripe_blocks(own, currency, running, with_medium=with_medium)
        else:
            blocks += _medium_blocks(own, currency, running)
    if with_stripe:
        blocks += _payouts(months, figures.rows(PAYOUTS), main, running)
    return Part(_as_of(stripe_until, medium_until), blocks)


def _as_of(stripe: date | None, medium: date | None) -> str:
    if stripe and medium and stripe != medium:
        return f"Stripe as of {plain_day(stripe)}, Medium as of {plain_day(medium)}"
    return as_of(stripe or medium)


def _currencies(months: Sequence[Any], main: str) -> list[str]:
    """Every currency with an amount: the main one, then the others by income."""
    sums: dict[str, Decimal] = {}
    for each in months:
        amounts = (each.gross, each.medium_earnings, each.mrr, each.refunds)
        came = sum((abs(amount) for amount in amounts if amount), Decimal())
        sums[each.currency] = sums.get(each.currency, Decimal()) + came
    return sorted(
        (currency for currency, came in sums.items() if came),
        key=lambda currency: (currency != main, -sums[currency], currency),
    )


def _stripe_blocks(
    months: Sequence[Any], currency: str, running: date | None, *, with_medium: bool
) -> Iterator[Block]:
    code = currency.upper()
    if with_medium and any(each.medium_earnings for each in months):
        yield Block(
            title=f"Stripe and Medium side by side, {code}",
            text="Stripe is net of fees and refunds."
            + (" A pale last month is incomplete." if running else ""),
            chart=side_by_side(
                [(each.month, each.net, each.medium_earnings) for each in months],
                ("Stripe net", "Medium earnings"),
                running,
                money_unit(currency),
            ),
            tables=(
                table(
                    f"Stripe and Medium by month, {code}",
                    MONTHS,
                    latest(months),
                    ("Month", lambda each: month_name(each.month, running)),
                    ("Stripe net", lambda each: money(each.net, currency)),
                    ("Medium earnings", lambda each: money(each.medium_earnings, currency)),
                    ("Together", lambda each: money(each.together, currency)),
                ),
            ),
        )
    if any(each.gross or each.refunds or each.fees for each in months):
        yield Block(
            title=f"From gross to net on Stripe, {code}",
            chart=gross_to_net(
                [(each.month, each.gross, each.fees, each.taken_back, each.net) for each in months],
                running,
                money_unit(currency),
            ),
            tables=(
                table(
                    f"Stripe by month, {code}",
                    MONTHS,
                    latest(months),
                    ("Month", lambda each: month_name(each.month, running)),
                    ("Gross", lambda each: money(each.gross, currency)),
                    ("Fees", lambda each: money(each.fees, currency)),
                    ("Refunds", lambda each: money(each.refunds, currency)),
                    ("Disputes and other", lambda each: money(each.other, currency)),
                    ("Net", lambda each: money(each.net, currency)),
                    ("Paid out", lambda each: money(each.payouts, currency)),
                ),
            ),
        )
    recurring = [(each.month, each.mrr) for each in months if each.mrr is not None]
    if any(mrr for _, mrr in recurring):
        yield _recurring(months, recurring, currency, running)


def _recurring(
    months: Sequence[Any],
    recurring: Sequence[tuple[date, Decimal]],
    currency: str,
    running: date | None,
) -> Block:
    code = currency.upper()
    newest = recurring[-1][1]
    text = f"{money(newest, currency)} a month"
    if len(recurring) > 1:
        change = relative_change(newest, recurring[-2][1])
        moved = {"up": f"up {change.text}", "down": f"down {change.text}"}
        before = short_month(recurring[-2][0])
        text += f", {moved.get(change.direction, change.text)} since the end of {before}"
    return Block(
        title=f"Monthly recurring revenue, {code}",
        text=f"{text}.",
        chart=recurring_revenue(recurring, money_unit(currency)) if len(recurring) > 1 else None,
        tables=(
            table(
                f"Recurring revenue and subscriptions by month, {code}",
                MONTHS,
                latest(months),
                ("Month", lambda each: month_name(each.month, running)),
                ("Recurring", lambda each: money(each.mrr, currency)),
                ("Subscriptions", lambda each: count(each.subscriptions_active)),
                ("Started", lambda each: count(each.subscriptions_started)),
                ("Ended", lambda each: count(each.subscriptions_ended)),
            ),
        ),
    )


def _medium_blocks(months: Sequence[Any], currency: str, running: date | None) -> Iterator[Block]:
    earned = [each for each in months if each.medium_earnings is not None]
    if not earned:
        return
    code = currency.upper()
    yield Block(
        title=f"Medium earnings, {code}",
        chart=amounts_by_month(
            [(each.month, each.medium_earnings) for each in earned],
            "Medium earnings",
            running,
            money_unit(currency),
        ),
        tables=(
            table(
                f"Medium earnings by month, {code}",
                MONTHS,
                latest(earned),
                ("Month", lambda each: month_name(each.month, running)),
                ("Earnings", lambda each: money(each.medium_earnings, currency)),
            ),
        ),
    )


def _payouts(
    months: Sequence[Any], payouts: Sequence[Any], main: str, running: date | None
) -> Iterator[Block]:
    """Payouts by month in the main currency, and the most recent ones in every currency."""
    if not payouts:
        return
    newest = table(
        "The latest days with a payout",
        PAYOUTS,
        payouts,
        ("Day", lambda each: short_day(each.day)),
        ("Currency", lambda each: each.currency.upper()),
        ("Paid out", lambda each: money(each.amount, each.currency)),
        words=2,
    )
    paid = [each for each in months if each.currency == main and each.payouts is not None]
    if not any(each.payouts for each in paid):
        yield Block(title="Payouts", tables=(newest,))
        return
    by_month = table(
        f"Payouts by month, {main.upper()}",
        MONTHS,
        latest(paid),
        ("Month", lambda each: month_name(each.month, running)),
        ("Paid out", lambda each: money(each.payouts, main)),
    )
    yield Block(
        title=f"Payouts, {main.upper()}",
        chart=amounts_by_month(
            [(each.month, each.payouts) for each in paid], "payouts", running, money_unit(main)
        ),
        tables=(by_month, newest),
    )


REVENUE = Section(
    anchor="revenue",
    title="Revenue",
    sources=("stripe", "medium"),
    part=part,
    measures=measures,
)
