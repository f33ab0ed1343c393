"""A month and a year, from the same parts as a day.

The report of a month compares it with the month before and the same month a year before, names the
days that stood out, and shows every area as it was on the morning after. ``rewind`` is a year on
one page: every large figure by month, and its days that stood out.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from personal_pipeline.board import StreamState
from personal_pipeline.duck import Database
from personal_pipeline.outputs.charts import amounts_by_month, trend
from personal_pipeline.outputs.comparison import (
    Comparison,
    Measure,
    Span,
    Total,
    last_day,
    over,
    year_before,
)
from personal_pipeline.outputs.figures import published_figures
from personal_pipeline.outputs.formats import (
    MONTHS,
    Number,
    long_month,
    plain_day,
    short_month,
    span,
)
from personal_pipeline.outputs.overview import (
    LEAST_MONTHS,
    MONTHS_JUDGED,
    UNUSUAL_SHOWN,
    Area,
    Card,
    Headline,
    Overview,
    Unusual,
    against_usual,
    apart,
    areas_of,
    carded,
    described,
    moved,
    said_of,
    table_of,
    tone,
)
from personal_pipeline.outputs.page import (
    Block,
    Cell,
    Move,
    Table,
    month_name,
    table,
    unfinished_month,
)
from personal_pipeline.outputs.report import (
    Printed,
    Report,
    ShownSection,
    rendered,
    sections_of,
)
from personal_pipeline.outputs.sections import SECTIONS
from personal_pipeline.outputs.usual import Verdict, judged, verdict

STOOD_OUT_IN_A_MONTH = 5
STOOD_OUT_IN_A_YEAR = 6
CHART_HEIGHT = 150
_DAY = timedelta(days=1)
_OF_A_MONTH = (
    "The small lines show thirteen months. What is usual for a month is the median of the twelve "
    "before, for a day that of the same weekday in the half year before. Only what is unusual has "
    "a colour."
)
_OF_A_YEAR = "A day that stood out is far from what the same weekday had in the half year before."


def build_month(
    published: Database | None, month: date, board: Sequence[StreamState], *, built_at: datetime
) -> Report:
    """The report of a month that is over, given by its first day. Otherwise as ``build_report``."""
    within = Span(month, last_day(month))
    with published_figures(published, within.last + _DAY, board) as figures:
        areas = areas_of(figures, SECTIONS)
        top = _month(areas, within)
        sections = sections_of(figures, top)
    return rendered("Monthly report", long_month(month), top, sections, board, built_at=built_at)


def build_year(
    published: Database | None, within: Span, board: Sequence[StreamState], *, built_at: datetime
) -> Report:
    """The rewind of a year, from its first day to the last one that is over. Otherwise as
    ``build_report``."""
    with published_figures(published, within.last + _DAY, board) as figures:
        areas = areas_of(figures, SECTIONS)
        top = Overview(
            headlines=_headline(areas, within, span(within.first, within.last)),
            unusual=_stood_out(areas, within, STOOD_OUT_IN_A_YEAR),
            judged=0,
            cards=(),
            tables=(),
            small=_OF_A_YEAR,
            newest={area.section.anchor: area.newest for area in areas},
        )
        blocks = [
            Printed(_by_month(each.measure, within), printed=True) for _, each in carded(areas)
        ]
    by_month = ShownSection(
        anchor="months",
        title="Month by month",
        as_of=f"As of {plain_day(within.last)}",
        notes=(),
        blocks=blocks,
        paper="page-one",
    )
    year = str(within.first.year)
    return rendered("Rewind", year, top, [by_month], board, built_at=built_at, sources=False)


def _headline(areas: Sequence[Area], within: Span, when: str) -> tuple[Headline, ...]:
    groups = [
        said_of(area, lambda measure: over(measure, within).value, of_days=True) for area in areas
    ]
    said = tuple(filter(None, groups))
    return (Headline(when, said),) if said else ()


# --- a month --------------------------------------------------------------------------------------


def _month(areas: Sequence[Area], within: Span) -> Overview:
    known = [
        (area, each) for area, each in carded(areas) if over(each.measure, within).value is not None
    ]
    found = [
        (one, area, each.measure)
        for area in areas
        for each in area.compared
        if each.measure.judged and (one := _judged(each.measure, within)) and one.unusual
    ]
    found.sort(key=lambda each: each[0].rank, reverse=True)
    unusual = [
        _unusual_month(area, measure, within, one) for one, area, measure in found[:UNUSUAL_SHOWN]
    ]
    return Overview(
        headlines=_headline(areas, within, f"All of {long_month(within.first)}"),
        unusual=(*unusual, *_stood_out(areas, within, STOOD_OUT_IN_A_MONTH)),
        judged=len(known),
        cards=tuple(_card(area, each.measure, within) for area, each in known),
        tables=_tables([each for area in areas for each in area.compared], within),
        small=_OF_A_MONTH,
        newest={area.section.anchor: area.newest for area in areas},
    )


def _months_before(within: Span, number: int) -> list[Span]:
    """The months before one, the nearest first."""
    months = []
    first = within.first
    for _ in range(number):
        first = (first - _DAY).replace(day=1)
        months.append(Span(first, last_day(first)))
    return months


def _judged(measure: Measure, within: Span) -> Verdict | None:
    """The verdict on a month among those before it; None if they, or it, are not known."""
    now = over(measure, within).whole
    before = [
        float(total)
        for each in _months_before(within, MONTHS_JUDGED)
        if (total := over(measure, each).whole) is not None
    ]
    if now is None or len(before) < LEAST_MONTHS:
        return None
    return judged(float(now), before)


def _unusual_month(area: Area, measure: Measure, within: Span, found: Verdict) -> Unusual:
    full = measure.unit.full
    return Unusual(
        anchor=area.section.anchor,
        title=measure.title,
        said=f"{full(found.value)} in {long_month(within.first)}, {apart(found)} the usual "
        f"{full(found.usual)} of a month.",
        why="",
        up=found.score > 0,
        tone=tone(measure, found),
    )


def _stood_out(areas: Sequence[Area], within: Span, number: int) -> tuple[Unusual, ...]:
    """The days that stood out most, by day: that of each area, then the second of each, and so on,
    at most one of an area in a month."""
    ranked: list[tuple[int, date, Area, Measure, Verdict]] = []
    for area in areas:
        found: dict[int, tuple[date, Measure, Verdict]] = {}
        for measure in (each.measure for each in area.compared if each.measure.judged):
            for day in within.each():
                one = verdict(measure.known, day)
                if one is None or not one.unusual:
                    continue
                if day.month not in found or one.rank > found[day.month][2].rank:
                    found[day.month] = (day, measure, one)
        of_area = sorted(found.values(), key=lambda each: each[2].rank, reverse=True)
        ranked += [
            (place, day, area, measure, one) for place, (day, measure, one) in enumerate(of_area)
        ]
    ranked.sort(key=lambda each: (-each[0], each[4].rank), reverse=True)
    return tuple(
        described(area.section, measure, day, one)
        for _, day, area, measure, one in sorted(ranked[:number], key=lambda each: each[1])
    )


def _card(area: Area, measure: Measure, within: Span) -> Card:
    total = over(measure, within)
    before, year_ago = _before(within)
    earlier = [over(measure, each).whole for each in _months_before(within, MONTHS_JUDGED)]
    found = _judged(measure, within) if measure.judged else None
    return Card(
        area=area.section.title,
        title=measure.title,
        when=_known(total) or ("daily mean" if measure.over_days == "mean" else ""),
        value=measure.unit.full(total.value),
        trend=trend([*reversed(earlier), total.whole]),
        usual=against_usual(measure, found) if found else None,
        month="",
        month_value="",
        moves=tuple(
            _neutral(measure, total.whole, over(measure, each)) for each in (before, year_ago)
        ),
    )


def _before(within: Span) -> tuple[Span, Span]:
    """The month before, and the same month a year before."""
    (before,) = _months_before(within, 1)
    first = year_before(within.first)
    return before, Span(first, last_day(first))


def _neutral(measure: Measure, now: Number | None, before: Total) -> Move:
    move = moved(measure, now, before, against=False)
    return Move(move.change, "neutral", f"vs {short_month(before.span.first)}")


def _known(total: Total) -> str:
    """How much of a span is known, if not all of it."""
    if total.whole is not None or total.value is None:
        return ""
    return f"{total.known_days} of {total.span.days} days known"


def _tables(comparisons: Sequence[Comparison], within: Span) -> tuple[Table, ...]:
    """Every figure of the month against the two others."""
    before, year_ago = _before(within)
    rows, shown = [], []
    for measure in (each.measure for each in comparisons):
        now, *others = (over(measure, each) for each in (within, before, year_ago))
        if now.value is None:
            continue
        cells = [Cell(text=measure.title), Cell(text=measure.unit.full(now.value))]
        for other in others:
            cells.append(Cell(text=measure.unit.full(other.value)))
            cells.append(Cell(move=moved(measure, now.whole, other, against=False)))
        shown.append(measure)
        rows.append(tuple(cells))
    names = [short_month(each.first) for each in (within, before, year_ago)]
    headings = ("Figure", names[0], names[1], "Change", names[2], "Change")
    caption = "The month against the month before and the same month a year before"
    return (table_of(shown, caption, headings, rows, words=1),) if rows else ()


# --- a year ---------------------------------------------------------------------------------------


def _by_month(measure: Measure, within: Span) -> Block:
    """A figure by month, and its year against the one before."""
    year = within.first.year
    full = measure.unit.full
    months = [Span(date(year, n, 1), last_day(date(year, n, 1))) for n in range(1, 13)]
    months = [Span(each.first, min(each.last, within.last)) for each in months]
    totals = [over(measure, each) for each in months if each.first <= within.last]
    known = [(each.span.first, each.value) for each in totals if each.value is not None]
    told = over(measure, within)
    before = over(measure, Span(year_before(within.first), year_before(within.last)))
    change = moved(measure, told.whole, before, against=False).change
    text = [full(told.value) + (" on average" if measure.over_days == "mean" else "")]
    if change.direction in ("up", "down"):
        text.append(f"{change.direction} {change.text} on {year - 1}")
    if len(known) > 1 and measure.over_days != "level":
        month, most = max(known, key=lambda one: float(one[1]))
        text.append(f"most in {MONTHS[month.month - 1]}, {full(most)}")
    running = unfinished_month(within.last)
    return Block(
        title=measure.title,
        text=f"{', '.join(text)}.",
        chart=amounts_by_month(
            [(each.span.first, each.value) for each in totals],
            measure.title.lower(),
            running,
            measure.unit,
            height=CHART_HEIGHT,
        )
        if known
        else None,
        tables=(
            table(
                f"{measure.title} by month",
                measure.query,
                reversed(totals),
                ("Month", lambda total: month_name(total.span.first, running)),
                (measure.title, lambda total: full(total.value)),
                ("Days known", lambda total: f"{total.known_days} of {total.span.days}"),
            ),
        ),
    )
