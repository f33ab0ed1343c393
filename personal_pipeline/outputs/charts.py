"""The charts of the report, each as one SVG in the colours of the page.

Days, weeks and months stand in equal slots. Every slot says its values under the pointer, every
axis its unit. Nothing is fetched, and no JavaScript is needed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from personal_pipeline.outputs.drawing import (
    WIDTH,
    Frame,
    Values,
    area,
    axes,
    bars,
    dots,
    filled,
    frame,
    line,
    place,
    points,
    said_at,
    stroked,
    strokes,
    svg,
    text,
    through,
    titled,
)
from personal_pipeline.outputs.formats import (
    COUNT,
    MINUTES,
    MONTHS,
    PERCENT,
    Number,
    Unit,
    plain_day,
    short_day,
    short_month,
)

HEIGHT = 200
_PALE = 0.55
"""What is not over yet is paler."""


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a chart's legend: its label, its colour's variable, and a shape."""

    label: str
    variable: str
    shape: str = "box"


@dataclass(frozen=True, kw_only=True, slots=True)
class Picture:
    """A chart as an SVG text. ``description`` is its text alternative."""

    svg: str
    description: str
    legend: tuple[Key, ...] = ()
    height: int = HEIGHT


# --- labels of slots ------------------------------------------------------------------------------


def _month_labels(months: Sequence[date]) -> dict[float, tuple[str, ...]]:
    """Months by name, with the year below the first and below each January; of many every third."""
    step = 1 if len(months) <= 9 else 3
    shown = [slot for slot, month in enumerate(months) if (month.month - 1) % step == 0]
    return {
        slot: (
            MONTHS[months[slot].month - 1][:3],
            str(months[slot].year) if months[slot].month == 1 or slot == shown[0] else "",
        )
        for slot in shown
    }


def _day_labels(days: Sequence[date]) -> dict[float, tuple[str, ...]]:
    """Of up to half a year every few weeks, back from the most recent day; of more the first days
    of every few months. ``days`` are in equal steps."""
    if (days[-1] - days[0]).days > 180:
        every = _every_day(days[0], days[-1])
        firsts = [day for day in every if day.day == 1]
        step = next(n for n in (1, 2, 3, 6, 12) if len(firsts) / n <= 9 or n == 12)
        months = [day for day in firsts if (day.month - 1) % step == 0]
        scale = (len(days) - 1) / (len(every) - 1)
        return {
            (month - days[0]).days * scale: (
                MONTHS[month.month - 1][:3],
                str(month.year) if month.month == 1 or month == months[0] else "",
            )
            for month in months
        }
    step = 7 * max(1, round(len(days) / 4 / 7)) if len(days) > 14 else max(1, len(days) // 4)
    return {slot: (_day(days[slot]),) for slot in range(len(days) - 1, -1, -step)}


def _week_labels(weeks: Sequence[date]) -> dict[float, tuple[str, ...]]:
    step = max(1, round(len(weeks) / 4))
    return {slot: (_day(weeks[slot]),) for slot in range(len(weeks) - 1, -1, -step)}


def _day(day: date) -> str:
    return f"{day.day} {MONTHS[day.month - 1][:3]}"


def _told_day(day: date, newest: date) -> str:
    """A day as a slot says it: with its year if it is not that of the newest."""
    return _day(day) if day.year == newest.year else short_day(day)


def _some(days: Sequence[date]) -> int:
    """Every how many days a point is drawn and told, so that a line has no more than a hundred or
    so: a week in a line of years."""
    return 7 if len(days) > 180 else 1


def _every_day(first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]


def _told(when: str, *figures: tuple[str, str]) -> str:
    """What a slot says: ``12 Nov 2026: Views 1,234, Reads 500``."""
    return f"{when}: {', '.join(f'{name} {value}'.strip() for name, value in figures)}"


def _bars(
    held: Frame,
    values: Values,
    variable: str,
    last_is_open: bool,
    *,
    base: Values | None = None,
    left: float = 0.1,
    width: float = 0.8,
) -> str:
    """Bars, the last one paler if its period is not over."""

    def drawn(shown: Values, opacity: float) -> str:
        return bars(held, shown, variable, base=base, left=left, width=width, opacity=opacity)

    if not last_is_open:
        return drawn(values, 1)
    rest: list[Number | None] = [*values[:-1], None]
    last: list[Number | None] = [*[None] * (len(values) - 1), values[-1]]
    return drawn(rest, 1) + drawn(last, _PALE)


def _is_open(periods: Sequence[date], unfinished: date | None) -> bool:
    return bool(periods) and periods[-1] == unfinished


# --- bars by period -------------------------------------------------------------------------------


def views_by_month(
    months: Sequence[tuple[date, int | None, int | None]], unfinished: date | None
) -> Picture:
    """Views per month as bars with the reads in front; ``unfinished`` is the current month."""
    when = [month for month, _, _ in months]
    views, reads = [each[1] for each in months], [each[2] for each in months]
    held, marked = frame(len(months), views, COUNT, HEIGHT)
    last = _is_open(when, unfinished)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, COUNT, _month_labels(when)),
            _bars(held, views, "--first-pale", last),
            _bars(held, reads, "--first", last),
            said_at(
                held,
                [
                    _told(short_month(month), ("views", COUNT.full(v)), ("reads", COUNT.full(r)))
                    for month, v, r in months
                ],
            ),
        ),
        description=f"Bars of views and reads for each of {len(months)} months.",
        legend=(Key("Views", "--first-pale"), Key("Reads", "--first")),
    )


def amounts_by_day(
    days: Sequence[tuple[date, Number | None, float | None]],
    what: str,
    mean_of: int = 7,
    unit: Unit = COUNT,
) -> Picture:
    """An amount per day as bars, with a moving average as a line.

    Rows are (day, amount, mean).
    """
    when = [day for day, _, _ in days]
    held, marked = frame(len(days), [amount for _, amount, _ in days], unit, HEIGHT)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _day_labels(when)),
            bars(held, [amount for _, amount, _ in days], "--first-pale"),
            stroked(line(held, [mean for _, _, mean in days]), "--first", 2),
            said_at(held, _days_told(days, unit)),
        ),
        description=(
            f"{what} on each of {len(days)} days, with the mean of {mean_of} days as a line."
        ),
        legend=(
            Key(f"{what} on the day", "--first-pale"),
            Key(f"Mean of {mean_of} days", "--first", "line"),
        ),
    )


def _days_told(
    days: Sequence[tuple[date, Number | None, float | None]], unit: Unit
) -> list[str | None]:
    step = _some([day for day, _, _ in days])
    return [
        None
        if amount is None or (len(days) - 1 - slot) % step
        else _told(
            _told_day(day, days[-1][0]),
            ("", unit.full(amount)),
        )
        for slot, (day, amount, _) in enumerate(days)
    ]


def side_by_side(
    months: Sequence[tuple[date, Number | None, Number | None]],
    names: tuple[str, str],
    unfinished: date | None,
    unit: Unit,
) -> Picture:
    """Two amounts per month side by side."""
    when = [month for month, _, _ in months]
    firsts, seconds = [each[1] for each in months], [each[2] for each in months]
    held, marked = frame(len(months), [*firsts, *seconds], unit, HEIGHT)
    last = _is_open(when, unfinished)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _month_labels(when)),
            _bars(held, firsts, "--first", last, left=0.1, width=0.38),
            _bars(held, seconds, "--second", last, left=0.52, width=0.38),
            said_at(
                held,
                [
                    _told(short_month(m), (names[0], unit.full(a)), (names[1], unit.full(b)))
                    for m, a, b in months
                ],
            ),
        ),
        description=f"{names[0]} and {names[1]} beside each other for {len(months)} months.",
        legend=(Key(names[0], "--first"), Key(names[1], "--second")),
    )


def gross_to_net(
    months: Sequence[tuple[date, Number | None, Number | None, Number | None, Number | None]],
    unfinished: date | None,
    unit: Unit,
) -> Picture:
    """Gross above the line, fees and deductions below it, the net as a mark, by month.

    Rows are (month, gross, fees, deductions, net).
    """
    when = [each[0] for each in months]
    gross, net = [each[1] for each in months], [each[4] for each in months]
    fees = [None if each[2] is None else -max(float(each[2]), 0) for each in months]
    back = [
        None if each[3] is None else (fee or 0) - max(float(each[3]), 0)
        for each, fee in zip(months, fees, strict=True)
    ]
    held, marked = frame(len(months), [*gross, *net, *fees, *back], unit, HEIGHT)
    last = _is_open(when, unfinished)
    names = ("gross", "fees", "back", "net")
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _month_labels(when)),
            _bars(held, gross, "--first-pale", last),
            _bars(held, fees, "--third", last),
            _bars(held, back, "--second", last, base=fees),
            stroked(strokes(held, net, 0.8), "--ink", 2.5),
            said_at(
                held,
                [
                    _told(
                        short_month(month),
                        *zip(names, map(unit.full, amounts), strict=True),
                    )
                    for month, *amounts in months
                ],
            ),
        ),
        description=f"Gross, fees, refunds with disputes, and net for {len(months)} months.",
        legend=(
            Key("Gross", "--first-pale"),
            Key("Fees", "--third"),
            Key("Refunds, disputes and other", "--second"),
            Key("Net", "--ink", "line"),
        ),
    )


def joined_and_left(
    months: Sequence[tuple[date, int | None, int | None, int | None]], unfinished: date | None
) -> Picture:
    """New subscribers upwards and cancelled ones downwards by month, with the net as a line."""
    when = [each[0] for each in months]
    new, net = [each[1] for each in months], [each[3] for each in months]
    left = [None if each[2] is None else -each[2] for each in months]
    held, marked = frame(len(months), [*new, *left, *net], COUNT, HEIGHT)
    last = _is_open(when, unfinished)
    path = line(held, net)
    names = ("new", "cancelled", "net")
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, COUNT, _month_labels(when)),
            _bars(held, new, "--first", last),
            _bars(held, left, "--second", last),
            # an outline separates the line from the bars, in light and in dark
            stroked(path, "--surface", 4),
            stroked(path, "--ink", 1.5),
            stroked(dots(points(held, net)), "--ink", 5),
            said_at(
                held,
                [
                    _told(short_month(month), *zip(names, map(COUNT.full, values), strict=True))
                    for month, *values in months
                ],
            ),
        ),
        description=f"New and cancelled subscribers, and the net, over {len(months)} months.",
        legend=(
            Key("New", "--first"),
            Key("Cancelled", "--second"),
            Key("Net", "--ink", "line"),
        ),
    )


def amounts_by_month(
    months: Sequence[tuple[date, Number | None]],
    what: str,
    unfinished: date | None,
    unit: Unit,
    height: int = HEIGHT,
) -> Picture:
    """One amount per month as bars."""
    when = [month for month, _ in months]
    amounts = [amount for _, amount in months]
    held, marked = frame(len(months), amounts, unit, height)
    last = _is_open(when, unfinished)
    return Picture(
        svg=svg(
            WIDTH,
            height,
            axes(held, marked, unit, _month_labels(when)),
            _bars(held, amounts, "--first", last),
            said_at(held, [_told(short_month(m), ("", unit.full(a))) for m, a in months]),
        ),
        description=f"Bars of {what} for each of {len(months)} months.",
        height=height,
    )


def amounts_by_week(
    weeks: Sequence[tuple[date, Number | None]], what: str, unfinished: date | None, unit: Unit
) -> Picture:
    """One amount per week as bars; weeks by their first day, oldest first."""
    when = [week for week, _ in weeks]
    amounts = [amount for _, amount in weeks]
    held, marked = frame(len(weeks), amounts, unit, HEIGHT)
    last = _is_open(when, unfinished)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _week_labels(when)),
            _bars(held, amounts, "--first", last),
            said_at(
                held, [_told(f"Week from {short_day(w)}", ("", unit.full(a))) for w, a in weeks]
            ),
        ),
        description=f"Bars of {what} for each of {len(weeks)} weeks.",
    )


SLEEP_STAGES = (
    ("Deep", "--first"),
    ("Core", "--first-pale"),
    ("REM", "--second"),
    ("Stage unknown", "--third"),
)
"""The stages of a night from the bottom of its bar to the top."""


def sleep_by_stage(nights: Sequence[tuple[date, Sequence[Number | None]]]) -> Picture:
    """Minutes asleep as one bar per night, stacked in the order of ``SLEEP_STAGES``."""
    shown = [
        stage
        for stage, _ in enumerate(SLEEP_STAGES)
        if any(minutes[stage] for _, minutes in nights)
    ]
    tops: list[list[float]] = [[0.0] * len(nights)]
    for stage in shown:
        tops.append(
            [
                below + float(minutes[stage] or 0)
                for below, (_, minutes) in zip(tops[-1], nights, strict=True)
            ]
        )
    held, marked = frame(len(nights), tops[-1], MINUTES, HEIGHT)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, MINUTES, _day_labels([day for day, _ in nights])),
            *(
                bars(held, tops[n + 1], SLEEP_STAGES[stage][1], base=tops[n])
                for n, stage in enumerate(shown)
            ),
            said_at(
                held,
                [
                    _told(
                        _told_day(day, nights[-1][0]),
                        ("asleep", MINUTES.full(sum(float(each or 0) for each in minutes))),
                        *((SLEEP_STAGES[s][0], MINUTES.full(minutes[s])) for s in shown),
                    )
                    if any(minutes)
                    else None
                    for day, minutes in nights
                ],
            ),
        ),
        description=f"Bars of the hours asleep in each of {len(nights)} nights, by stage.",
        legend=tuple(Key(*SLEEP_STAGES[stage]) for stage in shown),
    )


# --- lines ----------------------------------------------------------------------------------------


def active_subscribers(days: Sequence[tuple[date, int]]) -> Picture:
    """Active subscribers by day, as a line; under the pointer, the last day of each week."""
    known = dict(days)
    when = _every_day(days[0][0], days[-1][0])
    step = _some(when)
    shown = [day for day in when if (when[-1] - day).days % step == 0]
    told_each = 4 if step > 1 else 1
    low, high = min(known.values()), max(known.values())
    # from zero if the growth is large relative to the level, else the line would be flat at the top
    zero = low < high * 0.6
    values: Values = [known.get(day) for day in shown]
    held, marked = frame(len(shown), [low, high], COUNT, HEIGHT, zero=zero)
    told = [
        _told(short_day(day), ("", COUNT.full(known[day])))
        if day in known and (len(shown) - 1 - slot) % told_each == 0
        else None
        for slot, day in enumerate(shown)
    ]
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, COUNT, _day_labels(shown)),
            # an area implies a baseline of zero: it would mislead if the axis starts elsewhere
            filled(area(held, values), "--first-pale", 0.5) if zero else "",
            stroked(line(held, values), "--first", 2),
            said_at(held, told, told_each),
        ),
        description=(
            f"Line of active subscribers from {plain_day(days[0][0])} to "
            f"{plain_day(days[-1][0])}: lowest {low:,}, highest {high:,}."
        ),
    )


def broadcast_rates(broadcasts: Sequence[tuple[date, float | None, float | None]]) -> Picture:
    """Open and click rates of broadcasts in percent, by the day of sending, oldest first."""
    when = _every_day(broadcasts[0][0], broadcasts[-1][0])
    held, marked = frame(
        len(when), [rate for _, *pair in broadcasts for rate in pair], PERCENT, HEIGHT
    )
    slots = [(day - when[0]).days for day, _, _ in broadcasts]
    told: list[str | None] = [None] * len(when)
    for slot, (day, opened, clicked) in zip(slots, broadcasts, strict=True):
        told[slot] = _told(
            short_day(day), ("opened", PERCENT.full(opened)), ("clicked", PERCENT.full(clicked))
        )
    marks = []
    for column, variable in ((1, "--first"), (2, "--second")):
        found = [
            (held.x(slot), held.y(rate))
            for slot, each in zip(slots, broadcasts, strict=True)
            if (rate := each[column]) is not None and not isinstance(rate, date)
        ]
        marks += [
            stroked(through(found), variable, 1.5),
            stroked(dots(found), variable, 7),
        ]
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, PERCENT, _day_labels(when)),
            *marks,
            said_at(held, told, max(1.0, len(when) / len(broadcasts) * 0.9)),
        ),
        description=f"Open rate and click rate of the last {len(broadcasts)} broadcasts.",
        legend=(Key("Opened", "--first", "dot"), Key("Clicked", "--second", "dot")),
    )


def recurring_revenue(months: Sequence[tuple[date, Number]], unit: Unit) -> Picture:
    """Monthly recurring revenue at the end of each month, as a line over an area from zero."""
    when, values = [month for month, _ in months], [mrr for _, mrr in months]
    held, marked = frame(len(months), values, unit, HEIGHT)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _month_labels(when)),
            filled(area(held, values), "--first-pale", 0.5),
            stroked(line(held, values), "--first", 2),
            stroked(dots(points(held, values)), "--first", 6),
            said_at(held, [_told(short_month(m), ("", unit.full(v))) for m, v in months]),
        ),
        description=f"Line of monthly recurring revenue over {len(months)} months.",
    )


LINES = ("--first", "--second", "--third", "--ink")
"""The colours of lines in a shared chart."""


def balances(
    accounts: Sequence[tuple[str, Sequence[tuple[date, Number | None]]]], unit: Unit
) -> Picture:
    """The balance of each account by day, as lines with gaps where it is unknown; under the
    pointer, the last day of each month.

    There are at most as many accounts as ``LINES``; each has its days, oldest first.
    """
    coloured = list(zip(accounts, LINES, strict=False))
    everywhere = [day for _, days in accounts for day, _ in days]
    when = _every_day(min(everywhere), max(everywhere))
    lines: list[tuple[str, str, Values]] = []
    for (name, days), variable in coloured:
        known = dict(days)
        lines.append((name, variable, [known.get(day) for day in when]))
    held, marked = frame(
        len(when), [value for *_, values in lines for value in values], unit, HEIGHT
    )
    told: list[str | None] = [
        _told(short_day(day), *((name, unit.full(values[slot])) for name, _, values in lines))
        if day == when[-1] or (day + timedelta(days=1)).day == 1
        else None
        for slot, day in enumerate(when)
    ]
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _day_labels(when)),
            *(
                stroked(line(held, values, steps=True), variable, 1.5)
                for _, variable, values in lines
            ),
            said_at(held, told, min(30, len(when))),
        ),
        description=(
            f"Lines of the balance of {len(coloured)} accounts from {plain_day(min(everywhere))} "
            f"to {plain_day(max(everywhere))}, with gaps where it is unknown."
        ),
        legend=tuple(Key(name, variable, "line") for name, variable, _ in lines),
    )


def readings_by_day(
    days: Sequence[tuple[date, Number | None, float | None]],
    what: str,
    mean_of: int = 7,
    unit: Unit = COUNT,
) -> Picture:
    """Readings as dots, with a moving average as a line with gaps where it is unknown: rows are
    (day, reading, mean). The axis does not start at zero."""
    when = [day for day, _, _ in days]
    readings = [reading for _, reading, _ in days]
    read = [float(reading) for reading in readings if reading is not None]
    held, marked = frame(len(days), readings, unit, HEIGHT, zero=False)
    return Picture(
        svg=svg(
            WIDTH,
            HEIGHT,
            axes(held, marked, unit, _day_labels(when)),
            stroked(dots(points(held, readings)), "--first-pale", 5),
            stroked(line(held, [mean for _, _, mean in days]), "--first", 2),
            said_at(held, _days_told(days, unit), max(1.0, len(days) / max(len(read), 1))),
        ),
        description=(
            f"{what} from {plain_day(days[0][0])} to {plain_day(days[-1][0])}: lowest "
            f"{min(read):.4g}, highest {max(read):.4g}; the mean of {mean_of} days as a line."
        ),
        legend=(
            Key(f"{what} on the day", "--first-pale", "dot"),
            Key(f"Mean of {mean_of} days", "--first", "line"),
        ),
    )


# --- things, not times ----------------------------------------------------------------------------

_ROW = 36
_ROOM = 46


def _label(top: float, label: str, room: int = _ROOM) -> str:
    """The label above a bar; of a longer one the pointer reads all."""
    cut = label if len(label) <= room else f"{label[: room - 1].rstrip()}…"
    said = text(0, top + 13, cut, variable="--ink", size=13)
    return said if cut == label else f"<g>{titled(label)}{said}</g>"


def ranked(
    items: Sequence[tuple[str, int, bool]], *, description: str, legend: tuple[Key, ...] = ()
) -> Picture:
    """Horizontal bars under their labels, the largest first; a marked item has its own colour."""
    largest = max((value for _, value, _ in items), default=0) or 1
    parts = []
    for row, (label, value, marked) in enumerate(items):
        top = row * _ROW
        long = value / largest * (WIDTH - 60)
        bar = filled(
            f"M0 {top + 18}h{place(long)}v10h-{place(long)}z", "--second" if marked else "--first"
        )
        parts += [
            _label(top, label),
            bar,
            text(long + 6, top + 27, f"{value:,}"),
        ]
    return Picture(
        svg=svg(WIDTH, _ROW * len(items), *parts),
        description=description,
        legend=legend,
        height=_ROW * len(items),
    )


def spent_against(
    items: Sequence[tuple[str, Number, Number | None, str]], names: tuple[str, str]
) -> Picture:
    """Horizontal bars under their labels, largest first, with a mark at the previous value.

    Rows are (label, value, previous value, the value in words).
    """
    largest = max((float(n) for _, *pair, _ in items for n in pair if n is not None), default=0)
    scale = (WIDTH - 4) / (largest or 1)
    parts = []
    for row, (label, value, before, words) in enumerate(items):
        top = row * _ROW
        long = place(max(float(value), 0) * scale)
        parts += [
            _label(top, label, 34),
            text(WIDTH, top + 13, words, anchor="end"),
            filled(f"M0 {top + 18}h{long}v10h-{long}z", "--first"),
        ]
        if before is not None:
            at = place(max(float(before), 0) * scale + 1)
            parts.append(stroked(f"M{at} {top + 16}v14", "--second", 2.5))
    return Picture(
        svg=svg(WIDTH, _ROW * len(items), *parts),
        description=f"Bars of spending in {len(items)} categories, {names[0]}, with marks for "
        f"{names[1]}.",
        legend=(Key(names[0], "--first"), Key(names[1], "--second", "line")),
        height=_ROW * len(items),
    )


def boosted_stories(
    stories: Sequence[tuple[int, bool]], medians: Sequence[tuple[bool, float]]
) -> Picture:
    """Every story as a dot by its views (log scale), boosted ones above the others, medians as
    bars."""
    low = min((views for views, _ in stories if views > 0), default=1)
    high = max((views for views, _ in stories), default=1)
    first, last = math.log(low * 0.8), math.log(max(high, 1) * 1.25)

    def x(views: float) -> float:
        return (math.log(views) - first) / (last - first) * (WIDTH - 20) + 10

    rows = {True: 42.0, False: 122.0}
    marks = [10**power * n for power in range(12) for n in (1, 3)]
    if high > 300 * low:
        marks = [10**power for power in range(12)]
    shown = [mark for mark in marks if low * 0.8 <= mark <= high * 1.25]
    grid = "".join(f"M{place(x(mark))} 4V160" for mark in shown)
    drawn = []
    for boosted, variable in ((True, "--second"), (False, "--first")):
        # deterministic jitter, so that a story is at the same place every day
        spots = [
            (x(views), rows[boosted] + (((index * 0.618034) % 1) - 0.5) * 48)
            for index, (views, of) in enumerate(stories)
            if of is boosted and views > 0
        ]
        drawn.append(stroked(dots(spots), variable, 7, 0.6))
    for boosted, views in medians:
        if views > 0:
            at, middle = place(x(views)), rows[boosted]
            drawn.append(stroked(f"M{at} {place(middle - 30)}v60", "--ink", 3))
    names = [
        text(2, rows[boosted] - 30, name, variable="--ink")
        for boosted, name in ((True, "Boosted"), (False, "Others"))
    ]
    return Picture(
        svg=svg(
            WIDTH,
            180,
            f'<path stroke="var(--grid)" d="{grid}"/>',
            *(text(x(mark), 175, COUNT.short(mark), anchor="middle") for mark in shown),
            *names,
            *drawn,
        ),
        description="Each story as a dot by its views, boosted stories above the others.",
        legend=(
            Key("A boosted story", "--second", "dot"),
            Key("Another story", "--first", "dot"),
            Key("Median", "--ink", "line"),
        ),
    )


def trend(values: Sequence[Number | None]) -> str:
    """A sparkline, small enough to be next to a number, as one SVG text.

    Its last known point has a dot. Empty if fewer than two values are known.
    """
    known = [float(value) for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    across = 110 / (len(values) - 1)
    spots = [
        (3 + slot * across, 30 - (float(value) - low) / ((high - low) or 1) * 26)
        for slot, value in enumerate(values)
        if value is not None
    ]
    return svg(
        116, 34, stroked(through(spots), "--first", 1.5), stroked(dots(spots[-1:]), "--first", 6)
    )
