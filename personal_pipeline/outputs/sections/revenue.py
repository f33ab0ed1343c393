"""The revenue: Stripe and Medium side by side, by month and currency; recurring; paid out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal

from personal_pipeline.board import StreamState
from personal_pipeline.outputs.charts import (
    amounts_by_month,
    gross_to_net,
    recurring_revenue,
    side_by_side,
)
from personal_pipeline.outputs.comparison import Known
from personal_pipeline.outputs.figures import Figures, Payout, RevenueMonth
from personal_pipeline.outputs.formats import (
    count,
    money,
    plain_day,
    relative_change,
    short_day,
    short_month,
)
from personal_pipeline.outputs.page import (
    Block,
    Section,
    Table,
    as_of,
    cells,
    columns,
    month_name,
    unfinished_month,
)
from personal_pipeline.outputs.standing import notes_about

MART = "marts.revenue_monthly"


def revenue_section(
    figures: Figures,
    known: Mapping[str, Known],
    board: Sequence[StreamState],
    sources: frozenset[str],
    main_currency: str,
) -> Section:
    """Revenue of the connected ``sources``, the main currency first.

    ``known`` holds the known days of each column of the line a day.
    """
    until = {
        title: max(known[column], default=None)
        for source, title, column in (
            ("stripe", "Stripe", "revenue_gross"),
            ("medium", "Medium", "medium_earnings"),
        )
        if source in sources
    }
    running = unfinished_month(max((day for day in until.values() if day), default=None))
    known_months = [_as_known(each, until) for each in figures.revenue_months]
    blocks: list[Block] = []
    for currency in _currencies(known_months, main_currency):
        months = [each for each in known_months if each.currency == currency]
        if "stripe" in sources:
            blocks += _stripe_blocks(months, currency, running, with_medium="medium" in sources)
        else:
            blocks += _medium_block(months, currency, running)
    if "stripe" in sources:
        blocks += _payouts(known_months, figures.payouts, main_currency, running)
    return Section(
        anchor="revenue",
        title="Revenue",
        as_of=_as_of(until),
        notes=notes_about(board, *sorted(sources & {"stripe", "medium"}, reverse=True)),
        blocks=tuple(blocks),
    )


def _as_known(month: RevenueMonth, until: Mapping[str, date | None]) -> RevenueMonth:
    """Blank what is not known: the table counts events, so a month of which a service has not told
    yet is zero in it."""
    stripe, medium = until.get("Stripe"), until.get("Medium")
    if medium is None or month.month > medium:
        month = replace(month, medium_earnings=None)
    if stripe is None or month.month > stripe:
        month = replace(
            month,
            gross=None,
            fees=None,
            refunds=None,
            net=None,
            payouts=None,
            mrr=None,
            subscriptions_active=None,
            subscriptions_started=None,
            subscriptions_ended=None,
        )
    return month


def _as_of(until: Mapping[str, date | None]) -> str:
    told = {name: day for name, day in until.items() if day is not None}
    if len(set(told.values())) == 1:
        return as_of(next(iter(told.values())))
    return ", ".join(f"{name} as of {plain_day(day)}" for name, day in told.items())


def _currencies(months: Sequence[RevenueMonth], main: str) -> list[str]:
    """Every currency with an amount in it: the main one, then the others by what came in."""
    sums: dict[str, Decimal] = {}
    for each in months:
        came = abs(each.gross or Decimal()) + abs(each.medium_earnings or Decimal())
        came += abs(each.mrr or Decimal()) + abs(each.refunds or Decimal())
        sums[each.currency] = sums.get(each.currency, Decimal()) + came
    return sorted(
        (currency for currency, came in sums.items() if came),
        key=lambda currency: (currency != main, -sums[currency], currency),
    )


def _stripe_blocks(
    months: Sequence[RevenueMonth], currency: str, running: date | None, *, with_medium: bool
) -> list[Block]:
    code = currency.upper()
    blocks = []
    if with_medium and any(each.medium_earnings for each in months):
        blocks.append(
            Block(
                title=f"Stripe and Medium side by side, {code}",
                text="Stripe is what was left after fees and refunds."
                + (" A pale last month is not finished." if running else ""),
                chart=side_by_side(
                    [(each.month, each.net, each.medium_earnings) for each in months],
                    ("Stripe net", "Medium earnings"),
                    running,
                ),
                tables=(
                    Table(
                        caption=f"Stripe and Medium by month, {code}",
                        columns=columns("Month", "Stripe net", "Medium earnings", "Together"),
                        rows=tuple(
                            cells(
                                month_name(each.month, running),
                                money(each.net, currency),
                                money(each.medium_earnings, currency),
                                money(_together(each), currency),
                            )
                            for each in reversed(months)
                        ),
                        marts=(MART,),
                    ),
                ),
            )
        )
    if any(each.gross or each.refunds or each.fees for each in months):
        blocks.append(_gross_to_net(months, currency, running))
    recurring = [(each.month, each.mrr) for each in months if each.mrr is not None]
    if any(mrr for _, mrr in recurring):
        blocks.append(_recurring(months, recurring, currency, running))
    return blocks


def _gross_to_net(months: Sequence[RevenueMonth], currency: str, running: date | None) -> Block:
    code = currency.upper()
    return Block(
        title=f"From gross to net on Stripe, {code}",
        chart=gross_to_net(
            [(each.month, each.gross, each.fees, _taken_back(each), each.net) for each in months],
            running,
        ),
        tables=(
            Table(
                caption=f"Stripe by month, {code}",
                columns=columns(
                    "Month", "Gross", "Fees", "Refunds", "Disputes and other", "Net", "Paid out"
                ),
                rows=tuple(
                    cells(
                        month_name(each.month, running),
                        money(each.gross, currency),
                        money(each.fees, currency),
                        money(each.refunds, currency),
                        money(_other(each), currency),
                        money(each.net, currency),
                        money(each.payouts, currency),
                    )
                    for each in reversed(months)
                ),
                marts=(MART,),
            ),
        ),
    )


def _together(month: RevenueMonth) -> Decimal | None:
    if month.net is None or month.medium_earnings is None:
        return None
    return month.net + month.medium_earnings


def _taken_back(month: RevenueMonth) -> Decimal | None:
    """Refunds, disputes and what else makes the net smaller than gross without fees."""
    if month.gross is None or month.fees is None or month.net is None:
        return None
    return month.gross - month.fees - month.net


def _other(month: RevenueMonth) -> Decimal | None:
    back = _taken_back(month)
    return None if back is None or month.refunds is None else back - month.refunds


def _recurring(
    months: Sequence[RevenueMonth],
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
        chart=recurring_revenue(recurring) if len(recurring) > 1 else None,
        tables=(
            Table(
                caption=f"Recurring revenue and subscriptions by month, {code}",
                columns=columns("Month", "Recurring", "Subscriptions", "Started", "Ended"),
                rows=tuple(
                    cells(
                        month_name(each.month, running),
                        money(each.mrr, currency),
                        count(each.subscriptions_active),
                        count(each.subscriptions_started),
                        count(each.subscriptions_ended),
                    )
                    for each in reversed(months)
                ),
                marts=(MART,),
            ),
        ),
    )


def _medium_block(
    months: Sequence[RevenueMonth], currency: str, running: date | None
) -> list[Block]:
    earned = [
        (each.month, each.medium_earnings) for each in months if each.medium_earnings is not None
    ]
    if not earned:
        return []
    code = currency.upper()
    return [
        Block(
            title=f"Medium earnings, {code}",
            chart=amounts_by_month(earned, "Medium earnings", running),
            tables=(
                Table(
                    caption=f"Medium earnings by month, {code}",
                    columns=columns("Month", "Earnings"),
                    rows=tuple(
                        cells(month_name(month, running), money(amount, currency))
                        for month, amount in reversed(earned)
                    ),
                    marts=(MART,),
                ),
            ),
        )
    ]


def _payouts(
    months: Sequence[RevenueMonth], payouts: Sequence[Payout], main: str, running: date | None
) -> list[Block]:
    """Payouts by month in the main currency, and the newest ones in every currency."""
    if not payouts:
        return []
    newest = Table(
        caption="The newest days with a payout",
        columns=columns("Day", "Currency", "Paid out", words=2),
        rows=tuple(
            cells(short_day(each.day), each.currency.upper(), money(each.amount, each.currency))
            for each in payouts
        ),
        marts=("marts.revenue_daily",),
    )
    paid = [
        (each.month, each.payouts)
        for each in months
        if each.currency == main and each.payouts is not None
    ]
    if not any(amount for _, amount in paid):
        return [Block(title="Payouts", tables=(newest,))]
    by_month = Table(
        caption=f"Payouts by month, {main.upper()}",
        columns=columns("Month", "Paid out"),
        rows=tuple(
            cells(month_name(month, running), money(amount, main))
            for month, amount in reversed(paid)
        ),
        marts=(MART,),
    )
    return [
        Block(
            title=f"Payouts, {main.upper()}",
            chart=amounts_by_month(paid, "payouts", running),
            tables=(by_month, newest),
        )
    ]
