"""The top of the report: the line of the day, and the day and the month against those before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from personal_pipeline.outputs.charts import trend
from personal_pipeline.outputs.comparison import (
    MEASURES,
    Comparison,
    Known,
    Measure,
    Span,
    Total,
    Unit,
    compare,
)
from personal_pipeline.outputs.figures import Day
from personal_pipeline.outputs.formats import (
    Change,
    Number,
    count,
    long_day,
    long_month,
    money,
    relative_change,
    short_day,
    span,
)
from personal_pipeline.outputs.page import Cell, Move, Table, cells, columns, tone_of

MART = "marts.creator_daily"


@dataclass(frozen=True, slots=True)
class Money:
    """The currencies of the line a day: what Medium pays in, and the main one of Stripe."""

    medium: str
    stripe: str


@dataclass(frozen=True, slots=True)
class Said:
    """A number and the words after it."""

    number: str
    words: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What one day brought: a group of numbers a source. ``when`` names the day."""

    when: str
    groups: tuple[tuple[Said, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One figure set large, with how it moved; the month below it, unless it is a level."""

    title: str
    when: str
    value: str
    trend: str
    moves: tuple[Move, ...]
    month: str = ""
    month_value: str = ""
    month_moves: tuple[Move, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The line of the day, its figures large, and the tables of both."""

    headlines: tuple[Headline, ...]
    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]


def overview(
    days: Sequence[Day],
    known: Mapping[str, Known],
    sources: frozenset[str],
    day: date,
    currency: Money,
) -> Overview:
    """The overview of the connected ``sources``; ``day`` is the day of the report.

    ``known`` holds the known days of each column of the line a day.
    """
    comparisons = [
        comparison
        for measure in MEASURES
        if measure.source in sources
        and (comparison := compare(measure, known[measure.column])) is not None
    ]
    return Overview(
        headlines=_headlines(days, known, sources, day, currency),
        tiles=tuple(_tile(each, currency) for each in comparisons if each.measure.tile),
        tables=_tables(known, comparisons, currency) if comparisons else (),
    )


def _headlines(
    days: Sequence[Day],
    known: Mapping[str, Known],
    sources: frozenset[str],
    day: date,
    currency: Money,
) -> tuple[Headline, ...]:
    """Yesterday first; then each source whose newest day is an older one, with that day."""
    yesterday = day - timedelta(days=1)
    fresh: list[tuple[Said, ...]] = []
    older: list[tuple[date, Headline]] = []
    for source, title, column in (
        ("medium", "Medium", "views"),
        ("kit", "Kit", "subscribers_active"),
        ("stripe", "Stripe", "revenue_gross"),
    ):
        newest = max(known[column], default=None) if source in sources else None
        if newest is None:
            continue
        values = {each.column: known[each.column].get(newest) for each in MEASURES}
        others = next((row.revenue_other_currencies for row in days if row.day == newest), 0)
        said = _said(source, values, others, currency)
        if newest == yesterday:
            fresh.append(said)
        else:
            older.append((newest, Headline(f"{title}, known until {long_day(newest)}", (said,))))
    headlines = [Headline(f"Yesterday, {long_day(yesterday)}", tuple(fresh))] if fresh else []
    headlines += [headline for _, headline in sorted(older, key=lambda pair: pair[0], reverse=True)]
    return tuple(headlines)


def _said(
    source: str, values: Mapping[str, Number | None], others: int, currency: Money
) -> tuple[Said, ...]:
    said: list[Said] = []
    if source == "medium":
        said.append(_counted(values["views"], "view", "views"))
        if (earned := values["medium_earnings"]) is not None:
            said.append(Said(money(earned, currency.medium), "earned on Medium"))
        if published := values["stories_published"]:
            said.append(_counted(published, "story published", "stories published"))
    elif source == "kit":
        if (new := values["subscribers_new"]) is not None:
            said.append(_counted(new, "new subscriber", "new subscribers"))
        if cancelled := values["subscribers_cancelled"]:
            said.append(Said(count(cancelled), "cancelled"))
        said.append(Said(count(values["subscribers_active"]), "active"))
        if sent := values["broadcasts_sent"]:
            said.append(_counted(sent, "broadcast sent", "broadcasts sent"))
    else:
        said.append(Said(money(values["revenue_gross"], currency.stripe), "gross on Stripe"))
        if (net := values["revenue_net"]) is not None:
            said.append(Said(money(net, currency.stripe), "net"))
        if others:
            said.append(_counted(others, "further currency", "further currencies"))
    return tuple(said)


def _counted(value: Number | None, one: str, many: str) -> Said:
    return Said(count(value), one if value == 1 else many)


def _written(measure: Measure, value: Number | None, currency: Money) -> str:
    if measure.unit is Unit.MEDIUM_MONEY:
        return money(value, currency.medium)
    if measure.unit is Unit.STRIPE_MONEY:
        return money(value, currency.stripe)
    return count(value, signed=measure.balance)


def _move(
    measure: Measure, now: Number | None, before: Total, currency: Money, *, against: bool
) -> Move:
    change = relative_change(now, before.whole)
    if measure.balance and now is not None and before.whole is not None and now != before.whole:
        # a percentage of what may be below zero says nothing
        difference = float(now) - float(before.whole)
        change = Change(
            "up" if difference > 0 else "down",
            _written(measure, abs(difference), currency).removeprefix("+"),
        )
    when = f"vs {_when(measure, before)}" if against else ""
    return Move(change, tone_of(change, measure.more_is_better), when)


def _when(measure: Measure, total: Total) -> str:
    # a level is of one day, also when it stands for a month
    return span(total.span.last if measure.stock else total.span.first, total.span.last)


def _tile(comparison: Comparison, currency: Money) -> Tile:
    measure = comparison.measure

    def move(now: Number | None, before: Total) -> Move:
        return _move(measure, now, before, currency, against=True)

    day = comparison.day
    moves = [move(day, comparison.day_before), move(day, comparison.day_year_before)]
    if measure.stock:
        moves.insert(1, move(day, comparison.month_before))
        return Tile(
            title=measure.title,
            when=short_day(comparison.as_of),
            value=_written(measure, day, currency),
            trend=trend(comparison.recent),
            moves=tuple(moves),
        )
    month = comparison.month
    return Tile(
        title=measure.title,
        when=short_day(comparison.as_of),
        value=_written(measure, day, currency),
        trend=trend(comparison.recent),
        moves=tuple(moves),
        month=_month_title(month),
        month_value=_written(measure, month.value, currency),
        month_moves=(
            move(month.whole, comparison.month_before),
            move(month.whole, comparison.month_year_before),
        ),
    )


def _month_title(month: Total) -> str:
    finished = (month.span.last + timedelta(days=1)).day == 1
    title = long_month(month.span.first) + ("" if finished else " so far")
    if month.whole is None:
        return f"{title} ({month.known_days} of {month.span.days} days known)"
    return title


def _tables(
    known: Mapping[str, Known], comparisons: Sequence[Comparison], currency: Money
) -> tuple[Table, ...]:
    day_rows = []
    month_rows = []
    for each in comparisons:
        measure = each.measure
        day_rows.append(
            (
                *cells(measure.title, short_day(each.as_of), _written(measure, each.day, currency)),
                *_against(measure, each.day, each.day_before, currency),
                *_against(measure, each.day, each.day_year_before, currency),
            )
        )
        month = each.month
        month_rows.append(
            (
                *cells(
                    measure.title,
                    _when(measure, month),
                    _written(measure, month.value, currency),
                ),
                *_against(measure, month.whole, each.month_before, currency),
                *_against(measure, month.whole, each.month_year_before, currency),
            )
        )
    return (
        Table(
            caption="The day against the day before and the same day a year before",
            columns=columns(
                "Figure",
                "Day",
                "Value",
                "Day before",
                "Change in a day",
                "Year before",
                "Change in a year",
                words=2,
            ),
            rows=tuple(day_rows),
            marts=(MART,),
            cards=True,
        ),
        Table(
            caption="The month against the same days of the month before and of a year before",
            columns=columns(
                "Figure",
                "Days",
                "Value",
                "Month before",
                "Change in a month",
                "Year before",
                "Change in a year",
                words=2,
            ),
            rows=tuple(month_rows),
            marts=(MART,),
            cards=True,
        ),
        _recent_days(known, comparisons, currency),
    )


def _against(
    measure: Measure, now: Number | None, before: Total, currency: Money
) -> tuple[Cell, Cell]:
    return (
        Cell(text=_written(measure, before.value, currency)),
        Cell(move=_move(measure, now, before, currency, against=False)),
    )


def _recent_days(
    known: Mapping[str, Known], comparisons: Sequence[Comparison], currency: Money
) -> Table:
    shown = [each for each in comparisons if each.measure.tile] or list(comparisons)
    oldest = min(each.as_of for each in shown) - timedelta(days=27)
    newest = max(each.as_of for each in shown)
    rows = [
        cells(
            short_day(day),
            *(
                _written(each.measure, known[each.measure.column].get(day), currency)
                for each in shown
            ),
        )
        for day in reversed(list(Span(oldest, newest).each()))
    ]
    return Table(
        caption=f"Day by day, {span(oldest, newest)}",
        columns=columns("Day", *(each.measure.title for each in shown)),
        rows=tuple(rows),
        marts=(MART,),
    )
