"""The top of the report: the headline, and the day and the month compared with earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from personal_pipeline.outputs.charts import trend
from personal_pipeline.outputs.comparison import (
    DAYS,
    MEASURES,
    Comparison,
    Line,
    Measure,
    Span,
    Total,
    Unit,
    compare,
    line_a_day,
)
from personal_pipeline.outputs.figures import Figures
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
from personal_pipeline.outputs.page import Cell, Move, Table, table, tone_of


@dataclass(frozen=True, slots=True)
class Sentence:
    """A number and the words after it."""

    number: str
    words: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What one day brought: one group of numbers per source. ``when`` names the day."""

    when: str
    groups: tuple[tuple[Sentence, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Tile:
    """One large figure with its change; below it the month, unless it is a level."""

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
    """The headline of the day, its large figures, and the tables of both."""

    headlines: tuple[Headline, ...]
    tiles: tuple[Tile, ...]
    tables: tuple[Table, ...]


def overview(figures: Figures) -> Overview:
    """The overview of the connected sources."""
    line = line_a_day(figures)
    comparisons = [
        comparison
        for measure in MEASURES
        if figures.has(measure.source)
        and (comparison := compare(measure, line.known[measure.column])) is not None
    ]
    return Overview(
        headlines=_headlines(figures, line),
        tiles=tuple(_tile(each, line) for each in comparisons if each.measure.tile),
        tables=_tables(comparisons, line) if comparisons else (),
    )


def _headlines(figures: Figures, line: Line) -> tuple[Headline, ...]:
    """Yesterday first; then each source whose most recent day is earlier, with that day."""
    yesterday = figures.day - timedelta(days=1)
    fresh: list[tuple[Sentence, ...]] = []
    older: list[tuple[date, Headline]] = []
    for source, title, column in (
        ("medium", "Medium", "views"),
        ("kit", "Kit", "subscribers_active"),
        ("stripe", "Stripe", "revenue_gross"),
    ):
        newest = line.newest(column)
        if newest is None or not figures.has(source):
            continue
        said = _said(source, line, newest)
        if newest == yesterday:
            fresh.append(said)
        else:
            older.append((newest, Headline(f"{title}, known until {long_day(newest)}", (said,))))
    headlines = [Headline(f"Yesterday, {long_day(yesterday)}", tuple(fresh))] if fresh else []
    headlines += [headline for _, headline in sorted(older, key=lambda pair: pair[0], reverse=True)]
    return tuple(headlines)


def _said(source: str, line: Line, day: date) -> tuple[Sentence, ...]:
    values = {column: known.get(day) for column, known in line.known.items()}
    said: list[Sentence] = []
    if source == "medium":
        said.append(_counted(values["views"], "view", "views"))
        if (earned := values["medium_earnings"]) is not None:
            said.append(Sentence(money(earned, line.medium_currency), "earned on Medium"))
        if published := values["stories_published"]:
            said.append(_counted(published, "story published", "stories published"))
    elif source == "kit":
        if (new := values["subscribers_new"]) is not None:
            said.append(_counted(new, "new subscriber", "new subscribers"))
        if cancelled := values["subscribers_cancelled"]:
            said.append(Sentence(count(cancelled), "cancelled"))
        said.append(Sentence(count(values["subscribers_active"]), "active"))
        if sent := values["broadcasts_sent"]:
            said.append(_counted(sent, "broadcast sent", "broadcasts sent"))
    else:
        said.append(
            Sentence(money(values["revenue_gross"], line.stripe_currency), "gross on Stripe")
        )
        if (net := values["revenue_net"]) is not None:
            said.append(Sentence(money(net, line.stripe_currency), "net"))
        others = next((row.revenue_other_currencies for row in line.days if row.day == day), 0)
        if others:
            said.append(_counted(others, "further currency", "further currencies"))
    return tuple(said)


def _counted(value: Number | None, one: str, many: str) -> Sentence:
    return Sentence(count(value), one if value == 1 else many)


def _written(measure: Measure, value: Number | None, line: Line) -> str:
    if measure.unit is Unit.MEDIUM_MONEY:
        return money(value, line.medium_currency)
    if measure.unit is Unit.STRIPE_MONEY:
        return money(value, line.stripe_currency)
    return count(value, signed=measure.balance)


def _move(
    measure: Measure, now: Number | None, before: Total, line: Line, *, against: bool
) -> Move:
    change = relative_change(now, before.whole)
    if measure.balance and now is not None and before.whole is not None and now != before.whole:
        # a percentage of a possibly negative value is meaningless
        difference = float(now) - float(before.whole)
        change = Change(
            "up" if difference > 0 else "down",
            _written(measure, abs(difference), line).removeprefix("+"),
        )
    when = f"vs {_when(measure, before)}" if against else ""
    return Move(change, tone_of(change, measure.more_is_better), when)


def _when(measure: Measure, total: Total) -> str:
    # a level is that of one day, even if it stands for a month
    return span(total.span.last if measure.stock else total.span.first, total.span.last)


def _tile(comparison: Comparison, line: Line) -> Tile:
    measure = comparison.measure

    def move(now: Number | None, before: Total) -> Move:
        return _move(measure, now, before, line, against=True)

    day = comparison.day
    moves = [move(day, comparison.day_before), move(day, comparison.day_year_before)]
    if measure.stock:
        moves.insert(1, move(day, comparison.month_before))
        return Tile(
            title=measure.title,
            when=short_day(comparison.as_of),
            value=_written(measure, day, line),
            trend=trend(comparison.recent),
            moves=tuple(moves),
        )
    month = comparison.month
    return Tile(
        title=measure.title,
        when=short_day(comparison.as_of),
        value=_written(measure, day, line),
        trend=trend(comparison.recent),
        moves=tuple(moves),
        month=_month_title(month),
        month_value=_written(measure, month.value, line),
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


def _tables(comparisons: Sequence[Comparison], line: Line) -> tuple[Table, ...]:
    def written(total: Callable[[Comparison], Number | None]) -> Callable[[Comparison], str]:
        return lambda each: _written(each.measure, total(each), line)

    def moved(
        now: Callable[[Comparison], Number | None], before: Callable[[Comparison], Total]
    ) -> Callable[[Comparison], Cell]:
        return lambda each: Cell(
            move=_move(each.measure, now(each), before(each), line, against=False)
        )

    return (
        table(
            "The day against the day before and the same day a year before",
            DAYS,
            comparisons,
            ("Figure", lambda each: each.measure.title),
            ("Day", lambda each: short_day(each.as_of)),
            ("Value", written(lambda each: each.day)),
            ("Day before", written(lambda each: each.day_before.value)),
            ("Change in a day", moved(lambda each: each.day, lambda each: each.day_before)),
            ("Year before", written(lambda each: each.day_year_before.value)),
            ("Change in a year", moved(lambda each: each.day, lambda each: each.day_year_before)),
            words=2,
            cards=True,
        ),
        table(
            "The month against the same days of the month before and of a year before",
            DAYS,
            comparisons,
            ("Figure", lambda each: each.measure.title),
            ("Days", lambda each: _when(each.measure, each.month)),
            ("Value", written(lambda each: each.month.value)),
            ("Month before", written(lambda each: each.month_before.value)),
            (
                "Change in a month",
                moved(lambda each: each.month.whole, lambda each: each.month_before),
            ),
            ("Year before", written(lambda each: each.month_year_before.value)),
            (
                "Change in a year",
                moved(lambda each: each.month.whole, lambda each: each.month_year_before),
            ),
            words=2,
            cards=True,
        ),
        _recent_days(comparisons, line),
    )


def _recent_days(comparisons: Sequence[Comparison], line: Line) -> Table:
    shown = [each for each in comparisons if each.measure.tile] or list(comparisons)
    oldest = min(each.as_of for each in shown) - timedelta(days=27)
    newest = max(each.as_of for each in shown)

    def on_day(measure: Measure) -> Callable[[date], str]:
        return lambda day: _written(measure, line.known[measure.column].get(day), line)

    return table(
        f"Day by day, {span(oldest, newest)}",
        DAYS,
        reversed(list(Span(oldest, newest).each())),
        ("Day", short_day),
        *((each.measure.title, on_day(each.measure)) for each in shown),
    )
