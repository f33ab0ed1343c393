"""Page one: what yesterday brought in every area, what of it is unusual, and the large figures.

It knows no area: each section declares its measures. A figure is compared with what is usual for
that weekday, and only what is unusual carries a colour. Where an area's data comes late, such as
bank statements, it is said until when it is known, and its last month is shown instead of a day.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

from personal_pipeline.outputs.charts import trend
from personal_pipeline.outputs.comparison import (
    Comparison,
    Measure,
    Span,
    Total,
    compare,
    last_day,
    over,
    same_days,
)
from personal_pipeline.outputs.figures import Figures
from personal_pipeline.outputs.formats import (
    WEEKDAYS,
    Change,
    Number,
    long_day,
    plain_day,
    relative_change,
    short_day,
    short_month,
    span,
)
from personal_pipeline.outputs.page import Cell, Column, Move, Section, Table, Tone, tone_of
from personal_pipeline.outputs.usual import Verdict, judged, verdict

LATE_AFTER_DAYS = 7
"""What is known only until longer ago is shown by its last month."""
JUDGED_WITHIN_DAYS = 2
"""What is known only until longer ago has been judged on an earlier page."""
UNUSUAL_SHOWN = 3
CARDS_SHOWN = 12
MONTHS_JUDGED = 12
LEAST_MONTHS = 6
SMALL = (
    "The small lines show the last 28 days. What is usual is the median of the same weekday in the "
    "last half year. An incomplete month is compared with the same days of the other. Only what is "
    "unusual has a colour."
)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A number and the words after it."""

    number: str
    words: str


@dataclass(frozen=True, slots=True)
class Headline:
    """What one day or month brought: one group of numbers per area. ``when`` names it."""

    when: str
    groups: tuple[tuple[Sentence, ...], ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Unusual:
    """A figure that is far from what is usual: the sentence about it, and why, if the data says."""

    anchor: str
    title: str
    said: str
    why: str
    up: bool
    tone: Tone


@dataclass(frozen=True, kw_only=True, slots=True)
class Card:
    """One large figure. ``when`` names its day or month, unless it is yesterday; ``usual`` compares
    it with what is usual, if that is known; below it the month, unless the figure is that of a
    month itself."""

    area: str
    title: str
    when: str
    value: str
    trend: str
    usual: Move | None
    month: str
    month_value: str
    moves: tuple[Move, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Overview:
    """The headlines, what is unusual, the large figures, and the tables behind them.

    ``judged`` says how many figures were compared with what is usual.
    """

    headlines: tuple[Headline, ...]
    unusual: tuple[Unusual, ...]
    judged: int
    cards: tuple[Card, ...]
    tables: tuple[Table, ...]
    small: str
    """What the small lines and the comparisons are."""
    newest: Mapping[str, date]
    """By anchor: the most recent day of which an area knows anything."""


@dataclass(frozen=True, slots=True)
class Area:
    """A section in use, with those of its measures that are known on any day."""

    section: Section
    compared: tuple[Comparison, ...]

    @property
    def newest(self) -> date:
        return max(each.as_of for each in self.compared)


def areas_of(figures: Figures, sections: Sequence[Section]) -> list[Area]:
    """The areas in use of which anything is known."""
    return [
        Area(section, compared)
        for section in sections
        if figures.has(*section.sources)
        and (compared := tuple(filter(None, map(compare, section.measures(figures)))))
    ]


def overview(figures: Figures, sections: Sequence[Section]) -> Overview:
    """The overview of the areas in use."""
    yesterday = figures.day - _DAY
    areas = areas_of(figures, sections)
    verdicts = {
        (area.section.anchor, each.measure.title): found
        for area in areas
        for each in area.compared
        if each.measure.judged
        and (yesterday - each.as_of).days <= JUDGED_WITHIN_DAYS
        and (found := verdict(each.measure.known, each.as_of)) is not None
    }
    return Overview(
        headlines=_headlines(areas, yesterday),
        unusual=_unusual(areas, verdicts, yesterday),
        judged=len(verdicts),
        cards=tuple(
            _card(
                area.section,
                each,
                verdicts.get((area.section.anchor, each.measure.title)),
                yesterday,
            )
            for area, each in carded(areas)
        ),
        tables=_tables([each for area in areas for each in area.compared]) if areas else (),
        small=SMALL,
        newest={area.section.anchor: area.newest for area in areas},
    )


def _is_late(as_of: date, yesterday: date) -> bool:
    return (yesterday - as_of).days > LATE_AFTER_DAYS


# --- the headline ---------------------------------------------------------------------------------


def _headlines(areas: Sequence[Area], yesterday: date) -> tuple[Headline, ...]:
    """Yesterday first; then each area whose most recent day is earlier, with that day, or, if it
    is long ago, with the last month."""
    fresh: list[tuple[Sentence, ...]] = []
    older: list[tuple[date, Headline]] = []
    for area in areas:
        day = area.newest
        if _is_late(day, yesterday):
            month = Span(day.replace(day=1), day)
            said = said_of(area, lambda each, month=month: over(each, month).value, of_days=True)  # type: ignore[misc]
            when = f"{area.section.title}, known until {long_day(day)}; in {span(*_ends(month))}"
        else:
            said = said_of(area, lambda each, day=day: each.known.get(day))  # type: ignore[misc]
            when = f"{area.section.title}, known until {long_day(day)}"
        if not said:
            continue
        if day == yesterday:
            fresh.append(said)
        else:
            older.append((day, Headline(when, (said,))))
    headlines = [Headline(f"Yesterday, {long_day(yesterday)}", tuple(fresh))] if fresh else []
    older.sort(key=lambda pair: pair[0], reverse=True)
    return (*headlines, *(headline for _, headline in older))


def _ends(within: Span) -> tuple[date, date]:
    return within.first, within.last


def said_of(
    area: Area, value_of: Callable[[Measure], Number | None], *, of_days: bool = False
) -> tuple[Sentence, ...]:
    """The part of a headline about an area; ``value_of`` gives the value of a measure in it, which
    is that of several days if ``of_days``."""
    said = []
    for each in area.compared:
        measure, value = each.measure, value_of(each.measure)
        if measure.words is None or value is None or (measure.if_any and not value):
            continue
        words = measure.words[0 if value == 1 else 1]
        daily = of_days and measure.over_days == "mean"
        said.append(Sentence(measure.unit.full(value), f"{words} on average" if daily else words))
    return tuple(said)


# --- what is unusual ------------------------------------------------------------------------------


def _unusual(
    areas: Sequence[Area], verdicts: Mapping[tuple[str, str], Verdict], yesterday: date
) -> tuple[Unusual, ...]:
    """One unusual figure of each area, its first, because those of an area move together; the most
    unusual first."""
    found: list[tuple[tuple[float, float], Unusual]] = []
    for area in areas:
        for each in area.compared:
            one = verdicts.get((area.section.anchor, each.measure.title))
            if one is None or not one.unusual:
                continue
            said = described(area.section, each.measure, each.as_of, one, known_day=yesterday)
            found.append((one.rank, said))
            break
    found.sort(key=lambda pair: pair[0], reverse=True)
    return tuple(each for _, each in found[:UNUSUAL_SHOWN])


def described(
    section: Section,
    measure: Measure,
    day: date,
    found: Verdict,
    *,
    known_day: date | None = None,
) -> Unusual:
    """An unusual figure in words; ``known_day`` is the day that need not be named."""
    value, usual = measure.unit.full(measure.known[day]), measure.unit.full(found.usual)
    weekday = WEEKDAYS[day.weekday()]
    if day == known_day:
        said = f"{value}, {apart(found)} the usual {usual} of a {weekday}."
    else:
        said = f"{value} on {weekday} {plain_day(day)}, {apart(found)} the usual {usual}."
    return Unusual(
        anchor=section.anchor,
        title=measure.title,
        said=said,
        why=measure.why(day),
        up=found.score > 0,
        tone=tone(measure, found),
    )


def apart(found: Verdict) -> str:
    """By how much a value is above or below what is usual: ``45% above``, ``3.2 times``."""
    if found.usual <= 0:
        return "above" if found.score > 0 else "below"
    ratio = found.value / found.usual
    if ratio >= 2:
        return f"{ratio:,.1f} times" if ratio < 10 else f"{ratio:,.0f} times"
    return f"{abs(ratio - 1) * 100:.0f}% {'above' if ratio > 1 else 'below'}"


def tone(measure: Measure, found: Verdict) -> Tone:
    """Whether something unusual is good, if that can be said."""
    if measure.more_is_better is None or not found.unusual:
        return "neutral"
    return "good" if (found.score > 0) == measure.more_is_better else "bad"


# --- the large figures ----------------------------------------------------------------------------


def carded(areas: Sequence[Area]) -> list[tuple[Area, Comparison]]:
    """The figures that become cards: the first of each area, then the second of each, as many as
    page one holds, in the order of the areas."""
    ranked = [
        (place, number, area, each)
        for number, area in enumerate(areas)
        for place, each in enumerate(each for each in area.compared if each.measure.card)
    ]
    ranked.sort(key=lambda one: one[:2])
    kept = sorted(ranked[:CARDS_SHOWN], key=lambda one: (one[1], one[0]))
    return [(area, each) for _, _, area, each in kept]


def _card(section: Section, comparison: Comparison, found: Verdict | None, yesterday: date) -> Card:
    measure, month = comparison.measure, comparison.month
    late = _is_late(comparison.as_of, yesterday)
    if late:
        value, when = month.value, span(*_ends(month.span))
    else:
        # the headline has said which day it was
        value = comparison.day
        when = "" if comparison.as_of == yesterday else short_day(comparison.as_of)
    level = measure.over_days == "level"
    return Card(
        area=section.title,
        title=measure.title,
        when=when,
        value=measure.unit.full(value),
        trend=trend(comparison.recent),
        usual=None if late else _usual(comparison, found),
        month="" if late or level else _month_title(measure, month),
        month_value="" if late or level else measure.unit.full(month.value),
        moves=(
            _month_move(comparison, month, comparison.month_before),
            _month_move(comparison, month, comparison.month_year_before),
        ),
    )


def _usual(comparison: Comparison, found: Verdict | None) -> Move | None:
    """The day against what is usual; a level against the day before."""
    measure = comparison.measure
    if measure.over_days == "level":
        move = moved(measure, comparison.day, comparison.day_before, against=True)
        return Move(move.change, "neutral", move.against)
    if found is None:
        return None
    return against_usual(measure, found)


def against_usual(measure: Measure, found: Verdict) -> Move:
    """How a value compares with what is usual; coloured if it is unusual."""
    if found.score == 0:
        return Move(Change("same", "exactly"), "neutral", "as usual")
    return Move(
        Change("up" if found.score > 0 else "down", apart(found)),
        tone(measure, found),
        f"the usual {measure.unit.full(found.usual)}",
    )


def _month_move(comparison: Comparison, month: Total, before: Total) -> Move:
    """The month against another one; coloured if it is unusual among the months before it."""
    measure = comparison.measure
    move = moved(measure, month.whole, before, against=True)
    return move if _is_unusual_month(comparison) else Move(move.change, "neutral", move.against)


def _is_unusual_month(comparison: Comparison) -> bool:
    measure, month = comparison.measure, comparison.month
    totals = [month.whole]
    first = month.span.first
    for _ in range(MONTHS_JUDGED):
        first = (first - _DAY).replace(day=1)
        totals.append(over(measure, same_days(comparison.as_of, last_day(first))).whole)
    values = [None if each is None else float(each) for each in totals]
    if measure.over_days == "level":
        # of a level, it is the step that may be unusual
        pairs = pairwise(values)
        values = [None if a is None or b is None else a - b for a, b in pairs]
    now, *earlier = values
    known = [each for each in earlier if each is not None]
    return now is not None and len(known) >= LEAST_MONTHS and judged(now, known).unusual


def moved(measure: Measure, now: Number | None, before: Total, *, against: bool) -> Move:
    """The change of a figure since an earlier total; ``against`` says which."""
    change = relative_change(now, before.whole)
    if measure.balance and now is not None and before.whole is not None and now != before.whole:
        # a percentage of a possibly negative value is meaningless
        difference = float(now) - float(before.whole)
        change = Change(
            "up" if difference > 0 else "down", measure.unit.full(abs(difference)).removeprefix("+")
        )
    when = f"vs {_when(measure, before)}" if against else ""
    return Move(change, tone_of(change, measure.more_is_better), when)


def _when(measure: Measure, total: Total) -> str:
    # a level is that of one day, even if it stands for a month
    first = total.span.last if measure.over_days == "level" else total.span.first
    return span(first, total.span.last)


def _month_title(measure: Measure, month: Total) -> str:
    finished = (month.span.last + _DAY).day == 1
    title = short_month(month.span.first) + ("" if finished else " so far")
    if measure.over_days == "mean":
        return f"{title}, daily"
    if month.whole is None:
        return f"{title} ({month.known_days} of {month.span.days} days known)"
    return title


# --- the tables behind them -----------------------------------------------------------------------


def _tables(comparisons: Sequence[Comparison]) -> tuple[Table, ...]:
    def value(each: Comparison, number: Number | None) -> Cell:
        return Cell(text=each.measure.unit.full(number))

    def change(each: Comparison, now: Number | None, before: Total) -> Cell:
        return Cell(move=moved(each.measure, now, before, against=False))

    measures = [each.measure for each in comparisons]
    return (
        table_of(
            measures,
            "The day against the day before and the same day a year before",
            ("Figure", "Day", "Value", "Day before", "Change", "Year before", "Change"),
            [
                (
                    Cell(text=each.measure.title),
                    Cell(text=short_day(each.as_of)),
                    value(each, each.day),
                    value(each, each.day_before.value),
                    change(each, each.day, each.day_before),
                    value(each, each.day_year_before.value),
                    change(each, each.day, each.day_year_before),
                )
                for each in comparisons
            ],
        ),
        table_of(
            measures,
            "The month against the same days of the month before and of a year before",
            ("Figure", "Days", "Value", "Month before", "Change", "Year before", "Change"),
            [
                (
                    Cell(text=each.measure.title),
                    Cell(text=_when(each.measure, each.month)),
                    value(each, each.month.value),
                    value(each, each.month_before.value),
                    change(each, each.month.whole, each.month_before),
                    value(each, each.month_year_before.value),
                    change(each, each.month.whole, each.month_year_before),
                )
                for each in comparisons
            ],
        ),
    )


def table_of(
    measures: Sequence[Measure],
    caption: str,
    headings: tuple[str, ...],
    rows: Sequence[tuple[Cell, ...]],
    *,
    words: int = 2,
) -> Table:
    """A folded table about measures, from all their marts; the first ``words`` columns contain
    words."""
    marts = dict.fromkeys(mart for each in measures for mart in each.query.marts)
    return Table(
        caption=caption,
        columns=tuple(Column(heading, place >= words) for place, heading in enumerate(headings)),
        rows=tuple(rows),
        marts=tuple(marts),
        cards=True,
    )
