"""Drawings of one day: its hours, the stages of a night, the pulse of an activity, and where it
went.

Each is one SVG text in the colours of the page, made of the parts of the report's charts; nothing
is fetched, and a map has no tiles.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

from personal_pipeline.life.events import Event
from personal_pipeline.life.words import when_of
from personal_pipeline.outputs.charts import SLEEP_STAGES, Key, Picture
from personal_pipeline.outputs.drawing import (
    WIDTH,
    Values,
    axes,
    dots,
    frame,
    line,
    place,
    said_at,
    stroked,
    svg,
    text,
    through,
    titled,
)
from personal_pipeline.outputs.formats import MINUTES, Number, count, measured

HOURS_HEIGHT = 64
STAGES_HEIGHT = 30
PULSE_HEIGHT = 160
MAP_HEIGHT = 300

_SLOTS = 120
"""So many points at most: a second is finer than the drawing."""
_CLOSE = 0.8
"""Points of a track nearer than this, in units of the drawing, are one."""
_EQUATOR_M = 40_075_017.0
_MARGIN = 26.0
_SMALLEST_M = 60.0
"""A map shows no less across, or standing still would be a scribble of a phone's errors."""

STAGES = (*SLEEP_STAGES, ("Awake", "--grid"))

Point = tuple[float, float]
"""Latitude and longitude in degrees, or x and y in the drawing."""


# ----------------------------------------------------------------------------------------- hours


def hours(events: Sequence[Event]) -> Picture | None:
    """The day from midnight to midnight by the clock on the wall: what lasted as a bar, in the
    upper row if it was sleep, and the rest as dots. None if nothing has a time."""
    timed = [(event, *_span(event)) for event in events if event.local_at is not None]
    if not timed:
        return None

    def x(hour: float) -> float:
        return 6 + hour / 24 * (WIDTH - 12)

    parts = []
    marks = "".join(f"M{place(x(hour))} 4V44" for hour in range(0, 25, 6))
    parts.append(f'<path stroke="var(--grid)" d="{marks}"/>')
    for hour, words in ((0, "0"), (6, "6"), (12, "12"), (18, "18"), (24, "24 h")):
        anchor = "end" if hour == 24 else "start" if hour == 0 else "middle"
        at = x(hour) + (6 if hour == 24 else -6 if hour == 0 else 0)
        parts.append(text(at, 60, words, anchor=anchor))
    for event, begin, end in timed:
        said = titled(f"{' '.join(when_of(event))} {event.title}")
        if end - begin >= 0.1:
            row, variable = (
                (14, "--first-pale") if event.kind in ("night", "nap") else (34, "--second")
            )
            shape = stroked(f"M{place(x(begin))} {row}H{place(x(end))}", variable, 10)
        else:
            shape = stroked(dots([(x(begin), 34)]), "--first", 6)
        parts.append(f"<g>{said}{shape}</g>")
    return Picture(
        svg=svg(WIDTH, HOURS_HEIGHT, *parts),
        description=f"The hours of the day, with {len(timed)} events.",
        height=HOURS_HEIGHT,
    )


def _span(event: Event) -> tuple[float, float]:
    """Begin and end in hours of the event's day, cut to it."""
    midnight = datetime.combine(event.local_day, time())
    assert event.local_at is not None
    begin = (event.local_at - midnight) / timedelta(hours=1)
    end = (event.local_end - midnight) / timedelta(hours=1) if event.local_end else begin
    return min(max(begin, 0), 24), min(max(end, 0), 24)


# ----------------------------------------------------------------------------------------- night


def stages(minutes: Sequence[Number | None]) -> Picture | None:
    """A night as one bar of its minutes in each of ``STAGES``; None if no stage is known."""
    told = [
        (name, variable, float(each))
        for (name, variable), each in zip(STAGES, minutes, strict=True)
        if each
    ]
    whole = sum(each for *_, each in told)
    if len(told) < 2:
        return None
    parts, begin = [], 0.0
    for name, variable, each in told:
        long = each / whole * WIDTH
        said = titled(f"{name} {MINUTES.full(each)}")
        bar = (
            f'<path fill="var({variable})" d="M{place(begin)} 4h{place(long)}v22h-{place(long)}z"/>'
        )
        parts.append(f"<g>{said}{bar}</g>")
        begin += long
    words = ", ".join(f"{name} {MINUTES.full(each)}" for name, _, each in told)
    return Picture(
        svg=svg(WIDTH, STAGES_HEIGHT, *parts),
        description=f"The stages of the night: {words}.",
        legend=tuple(
            Key(f"{name} {MINUTES.full(each)}", variable) for name, variable, each in told
        ),
        height=STAGES_HEIGHT,
    )


# ----------------------------------------------------------------------------------------- pulse


def pulse(readings: Sequence[tuple[datetime, float | None]]) -> Picture | None:
    """Heart rate over the time of an activity, in beats per minute; a gap where nothing was
    measured. None with fewer than two readings."""
    known = [(at, rate) for at, rate in readings if rate]
    if len(known) < 2 or known[-1][0] <= known[0][0]:
        return None
    start = readings[0][0]
    lasted = (readings[-1][0] - start).total_seconds()
    slots = min(_SLOTS, len(known))
    summed = [[0.0, 0.0] for _ in range(slots)]
    for at, rate in known:
        slot = min(int((at - start).total_seconds() / lasted * slots), slots - 1)
        summed[slot][0] += rate
        summed[slot][1] += 1
    values: Values = [total / n if n else None for total, n in summed]
    unit = measured("bpm")
    held, marked = frame(slots, values, unit, PULSE_HEIGHT, zero=False)
    step = next(
        each
        for each in (60, 300, 600, 1200, 1800, 3600, 7200, 14400, 86400, math.inf)
        if lasted / each <= 6
    )
    ticks = [] if step is math.inf else range(0, int(lasted) + 1, int(step))
    labels = {each / lasted * slots - 0.5: (f"{MINUTES.full(each / 60)}",) for each in ticks}
    told = [
        None if value is None else f"{_after((n + 0.5) / slots * lasted)}: {unit.full(value)}"
        for n, value in enumerate(values)
    ]
    rates = [rate for _, rate in known]
    return Picture(
        svg=svg(
            WIDTH,
            PULSE_HEIGHT,
            axes(held, marked, unit, labels),
            stroked(line(held, values), "--second", 1.8),
            said_at(held, told),
        ),
        description=f"Heart rate from {count(min(rates))} to {count(max(rates))} beats per minute.",
        legend=(Key("Heart rate", "--second", "line"),),
        height=PULSE_HEIGHT,
    )


def _after(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


# ------------------------------------------------------------------------------------------- map


@dataclass(frozen=True, slots=True)
class _Plan:
    """Positions in metres, east and south of the corner of a map."""

    runs: Sequence[Sequence[Point]]
    across: float
    down: float


def track(positions: Iterable[tuple[float | None, float | None]]) -> Picture | None:
    """Where an activity went: a line without a map below it, north up, with a scale. ``positions``
    are latitudes and longitudes in degrees, in order; what is no position interrupts the line. None
    without two positions."""
    plan = _plan(_runs(positions))
    if plan is None:
        return None
    scale = min(
        (WIDTH - 2 * _MARGIN) / max(plan.across, _SMALLEST_M),
        (MAP_HEIGHT - 2 * _MARGIN - 14) / max(plan.down, _SMALLEST_M),
    )
    height = max(plan.down * scale + 2 * _MARGIN + 14, 90.0)
    left = (WIDTH - plan.across * scale) / 2
    top = (height - 14 - plan.down * scale) / 2
    runs = [
        _thinned([(left + east * scale, top + south * scale) for east, south in run])
        for run in plan.runs
    ]
    path = "".join(through(run) for run in runs)
    start, end = runs[0][0], runs[-1][-1]
    length = _round_length(WIDTH / 3 / scale)
    bar, below = length * scale, height - 8
    parts = [
        stroked(path, "--surface", 5),
        stroked(path, "--first", 2.5),
        stroked(dots([start]), "--good", 12),
        stroked(dots([end]), "--second", 7),
        stroked(f"M6 {place(below - 5)}v5h{place(bar)}v-5", "--muted", 1.2),
        text(12 + bar, below, f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"),
    ]
    return Picture(
        svg=svg(WIDTH, height, *parts),
        description="The way of the activity, north up.",
        legend=(Key("Start", "--good", "dot"), Key("End", "--second", "dot")),
        height=round(height),
    )


def _runs(positions: Iterable[tuple[float | None, float | None]]) -> list[list[Point]]:
    """Positions without a gap between them. A longitude beyond 180 goes on beyond the date line."""
    runs: list[list[Point]] = [[]]
    before: float | None = None
    for latitude, longitude in positions:
        if not _is_position(latitude, longitude):
            if runs[-1]:
                runs.append([])
            continue
        assert latitude is not None
        assert longitude is not None
        if before is not None:
            longitude += 360 * round((before - longitude) / 360)
        before = longitude
        runs[-1].append((latitude, longitude))
    return [run for run in runs if run]


def _is_position(latitude: float | None, longitude: float | None) -> bool:
    if latitude is None or longitude is None:
        return False
    # exactly zero twice is what a receiver without satellites writes
    return abs(latitude) <= 90 and abs(longitude) <= 180 and (latitude, longitude) != (0, 0)


def _plan(runs: Sequence[Sequence[Point]]) -> _Plan | None:
    points = [point for run in runs for point in run]
    if len(points) < 2:
        return None
    north = max(latitude for latitude, _ in points)
    south = min(latitude for latitude, _ in points)
    west = min(longitude for _, longitude in points)
    east = max(longitude for _, longitude in points)
    # a degree of longitude is shorter away from the equator; the same for the whole map
    degree = _EQUATOR_M / 360
    narrow = max(math.cos(math.radians((north + south) / 2)), 0.01) * degree
    return _Plan(
        [[((lon - west) * narrow, (north - lat) * degree) for lat, lon in run] for run in runs],
        (east - west) * narrow,
        (north - south) * degree,
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Only the points that are apart in the drawing; the first and the last always."""
    kept = [points[0]]
    for point in points[1:-1]:
        if math.dist(kept[-1], point) >= _CLOSE:
            kept.append(point)
    return [*kept, *points[1:][-1:]]


def _round_length(most: float) -> float:
    """The greatest 1, 2 or 5 with zeros that is no longer."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(each * power for each in (5, 2, 1) if each * power <= most)
