"""The body: its sleep, movement and weight, and its heart."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, TypeAlias

from personal_pipeline.outputs.charts import (
    Picture,
    amounts_by_day,
    amounts_by_week,
    readings_by_day,
    sleep_by_stage,
    trend,
)
from personal_pipeline.outputs.comparison import Known, Measure, Span, counted, mean_of_days
from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import (
    COUNT,
    MINUTES,
    Number,
    Unit,
    count,
    duration,
    measured,
    number,
    plain_day,
    short_day,
    span,
)
from personal_pipeline.outputs.page import (
    Block,
    Cell,
    Part,
    Section,
    Table,
    as_of,
    change_cell,
    table,
)

DAYS = query(__package__, "days")
DONE = query(__package__, "done")
ACTIVITIES = query(__package__, "activities")
WORKOUTS = query(__package__, "workouts")
WEEKS = query(__package__, "weeks")
MEASURED_TWICE = query(__package__, "measured_twice")
NIGHTS_DRAWN = 28
DAYS_SHOWN = 84
DAYS_IN_TABLE = 14
WEIGHT_DAYS_SHOWN = 366
WEEKS_SHOWN = 26
WEEKS_IN_TABLE = 8
WORKOUTS_SHOWN = 10
_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_FOUR_WEEKS = timedelta(days=28)

_Row: TypeAlias = tuple[date, Number | None, float | None]
"""A day, what was measured on it, and the moving average up to it."""
_KnownOf: TypeAlias = Mapping["_Figure", Known]
"""The days on which each figure is known."""


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of the body. ``column`` is its column in ``days.sql``."""

    column: str
    title: str
    unit: Unit
    more_is_better: bool | None = True
    now_and_then: bool = False
    """It is not measured every day: its mean is over the days on which it was."""

    def written(self, value: Number | None) -> str:
        """The figure with its unit."""
        return self.unit.full(value)


_PULSE = measured("bpm")

STEPS = _Figure("steps", "Steps", COUNT)
DISTANCE = _Figure("distance_km", "On foot", measured("km", 1))
ENERGY = _Figure("active_energy_kcal", "Active energy", measured("kcal"))
EXERCISE = _Figure("exercise_minutes", "Exercise", MINUTES)
ASLEEP = _Figure("asleep_minutes", "Asleep", MINUTES)
STAGES = (
    _Figure("deep_minutes", "Deep", MINUTES),
    _Figure("core_minutes", "Core", MINUTES),
    _Figure("rem_minutes", "REM", MINUTES),
    _Figure("unspecified_minutes", "Stage unknown", MINUTES),
)
AWAKE = _Figure("awake_minutes", "Awake", MINUTES, more_is_better=False)
IN_BED = _Figure("in_bed_minutes", "In bed", MINUTES)
RESTING = _Figure(
    "resting_heart_rate", "Resting heart rate", measured("bpm", 1), more_is_better=False
)
LOWEST = _Figure("heart_rate_lowest", "Lowest", _PULSE, more_is_better=None)
HIGHEST = _Figure("heart_rate_highest", "Highest", _PULSE, more_is_better=None)
VARIABILITY = _Figure("heart_rate_variability_ms", "Heart rate variability", measured("ms", 1))
WEIGHT = _Figure("weight_kg", "Weight", measured("kg", 1), more_is_better=None, now_and_then=True)

OF_THE_WEEK = (STEPS, DISTANCE, ENERGY, EXERCISE, ASLEEP, RESTING, VARIABILITY, WEIGHT)
ALL = (*OF_THE_WEEK, *STAGES, AWAKE, IN_BED, LOWEST, HIGHEST)


_ON_PAGE_ONE: Mapping[_Figure, tuple[str, bool]] = {
    STEPS: ("steps", True),
    ASLEEP: ("asleep", True),
    EXERCISE: ("of exercise", False),
    RESTING: ("at rest", True),
    VARIABILITY: ("", False),
    WEIGHT: ("", False),
}
"""What follows the number of a figure in the headline, if anything, and whether it is a card."""


def measures(figures: Figures) -> list[Measure]:
    """The body by day: of several days, the mean."""
    known = _known(figures.rows(DAYS))

    def why(day: date) -> str:
        for done in figures.rows(DONE, on=day):
            far = f", {DISTANCE.written(done.distance_km)}" if done.distance_km else ""
            return f"{done.activity}, {duration(done.minutes)}{far}."
        return ""

    done = {row.day: row.activities for row in figures.rows(ACTIVITIES)}
    return [
        *(
            Measure(
                title=figure.title,
                known=known[figure],
                query=DAYS,
                unit=figure.unit,
                over_days="mean",
                more_is_better=figure.more_is_better,
                words=(words, words) if words else None,
                card=card,
                judged=not figure.now_and_then,
                why=why if figure in (STEPS, EXERCISE) else lambda _: "",
            )
            for figure, (words, card) in _ON_PAGE_ONE.items()
        ),
        Measure(
            title="Workouts",
            known=counted(done, max(map(max, filter(None, [done, *known.values()])), default=None)),
            query=ACTIVITIES,
            words=("workout", "workouts"),
            if_any=True,
            judged=False,
        ),
    ]


def _known(days: Sequence[Any]) -> dict[_Figure, Known]:
    return {
        figure: {
            each.day: value for each in days if (value := getattr(each, figure.column)) is not None
        }
        for figure in ALL
    }


def part(figures: Figures) -> Part:
    """Everything from phone, watch and scale: a week, then each figure day by day."""
    days, workouts = figures.rows(DAYS), figures.rows(WORKOUTS)
    known = _known(days)
    newest = max((day for values in known.values() for day in values), default=None)
    told = [day for day in (newest, *(each.day for each in workouts)) if day]
    until = max(told, default=None)
    return Part(
        as_of(until),
        [
            _week(known, newest),
            _sleep(known),
            _by_day(known, RESTING, readings_by_day, beside=(LOWEST, HIGHEST)),
            _by_day(known, VARIABILITY, readings_by_day),
            _by_day(known, STEPS, amounts_by_day, beside=(DISTANCE,)),
            _by_day(known, ENERGY, amounts_by_day, beside=(EXERCISE,)),
            _by_day(known, WEIGHT, readings_by_day, shown=WEIGHT_DAYS_SHOWN, mean_of=28),
            _workouts(workouts, until),
            _training(figures.rows(WEEKS)),
            _measured_twice(figures.rows(MEASURED_TWICE)),
        ],
    )


def _said(measure: _Figure, value: Number) -> str:
    """A figure within a sentence: ``steps 8,412``."""
    title = measure.title if measure.title.isupper() else measure.title.lower()
    return f"{title} {measure.written(value)}"


def _mean(values: Known, measure: _Figure, last: date, days: int) -> float | None:
    """The mean of this many days; None if fewer than half of them are known."""
    least = 1 if measure.now_and_then else (days + 1) // 2
    return mean_of_days(values, last, days=days, least=least)


def _week(known: _KnownOf, until: date | None) -> Block | None:
    """Each figure on its most recent day, and its last seven days compared with the 28 before
    them."""
    if until is None:
        return None
    told = [measure for measure in OF_THE_WEEK if known[measure]]
    said = [_said(measure, known[measure][until]) for measure in told if until in known[measure]]

    def newest(measure: _Figure) -> str:
        day = max(known[measure])
        value = measure.written(known[measure][day])
        return value if day == until else f"{value} ({short_day(day)})"

    def recent(measure: _Figure) -> Cell:
        day = max(known[measure])
        days = Span(day - _FOUR_WEEKS + _DAY, day).each()
        return Cell(trend=trend([known[measure].get(each) for each in days]))

    def week(measure: _Figure) -> float | None:
        return _mean(known[measure], measure, max(known[measure]), 7)

    def before(measure: _Figure) -> float | None:
        return _mean(known[measure], measure, max(known[measure]) - _WEEK, 28)

    return Block(
        title="The last week compared with the four before",
        text=f"On {plain_day(until)}: {', '.join(said)}." if said else "",
        tables=(
            table(
                "The latest day, and the daily mean of the week up to it",
                DAYS,
                told,
                ("Figure", lambda measure: measure.title),
                ("28 days", recent),
                (short_day(until), newest),
                ("7 days", lambda measure: measure.written(week(measure))),
                ("28 days before", lambda measure: measure.written(before(measure))),
                ("Change", lambda m: change_cell(week(m), before(m), m.more_is_better)),
                words=2,
                folded=False,
                cards=True,
            ),
        ),
    )


def _on_day(known: _KnownOf, measure: _Figure) -> Callable[[date], str]:
    return lambda day: measure.written(known[measure].get(day))


def _sleep(known: _KnownOf) -> Block | None:
    """The nights for which more is known than the time in bed."""
    asleep = known[ASLEEP]
    if not asleep:
        return None
    newest = max(asleep)
    drawn = Span(max(newest - timedelta(days=NIGHTS_DRAWN - 1), min(asleep)), newest)
    parts = [
        measure
        for measure in (ASLEEP, *STAGES, AWAKE, IN_BED)
        if any(known[measure].get(day) for day in asleep)
    ]
    means = [(measure, _mean(known[measure], measure, newest, 7)) for measure in parts]
    told = [_said(measure, mean) for measure, mean in means if mean]
    return Block(
        title=f"Sleep by night, {span(drawn.first, drawn.last)}",
        text=f"A night of the last seven: {', '.join(told)}." if told else "",
        chart=sleep_by_stage(
            [(day, [known[stage].get(day) for stage in STAGES]) for day in drawn.each()]
        ),
        tables=(
            table(
                "Nights, by the day of waking",
                DAYS,
                [
                    day
                    for day in sorted(asleep, reverse=True)
                    if (newest - day).days < DAYS_IN_TABLE
                ],
                ("Day", short_day),
                *((measure.title, _on_day(known, measure)) for measure in parts),
            ),
        ),
    )


def _by_day(
    known: _KnownOf,
    measure: _Figure,
    draw: Callable[[Sequence[_Row], str, int, Unit], Picture],
    *,
    beside: Sequence[_Figure] = (),
    shown: int = DAYS_SHOWN,
    mean_of: int = 7,
) -> Block | None:
    """A measure on each of the last ``shown`` days, with its moving average; the ``beside``
    measures are further columns of the table."""
    values = known[measure]
    if len(values) < 2:
        return None
    newest = max(values)
    within = Span(max(newest - timedelta(days=shown - 1), min(values)), newest)
    rows = [(day, values.get(day), _mean(values, measure, day, mean_of)) for day in within.each()]

    def beside_it(each: _Figure) -> Callable[[tuple[date, float | None]], str]:
        return lambda row: each.written(known[each].get(row[0]))

    return Block(
        title=f"{measure.title}, {span(within.first, within.last)}",
        chart=draw(rows, measure.title, mean_of, measure.unit),
        tables=(
            table(
                f"{measure.title} by day",
                DAYS,
                [(day, mean) for day, value, mean in reversed(rows) if value is not None][
                    :DAYS_IN_TABLE
                ],
                ("Day", lambda row: short_day(row[0])),
                (measure.title, lambda row: measure.written(values[row[0]])),
                (f"Mean of {mean_of} days", lambda row: measure.written(row[1])),
                *((each.title, beside_it(each)) for each in beside),
            ),
        ),
    )


def _workouts(workouts: Sequence[Any], until: date | None) -> Block | None:
    if not workouts or until is None:
        return None
    last = _monday(until)
    first = max(last - (WEEKS_SHOWN - 1) * _WEEK, _monday(workouts[-1].day))
    weeks: dict[date, list[Any]] = {
        day: [] for day in Span(first, last).each() if day == _monday(day)
    }
    for each in workouts:
        if (monday := _monday(each.day)) in weeks:
            weeks[monday].append(each)
    running = last if until < last + 6 * _DAY else None
    recent = [each for each in workouts if each.day > until - _FOUR_WEEKS]
    return Block(
        title="Hours of workouts by week",
        text=(
            f"In the 28 days to {plain_day(until)}: {count(len(recent))} "
            f"{'workout' if len(recent) == 1 else 'workouts'}, "
            f"{duration(_minutes(recent))}, {DISTANCE.written(_kilometres(recent))}."
            + (" A pale last week is incomplete." if running else "")
        ),
        chart=amounts_by_week(
            [(monday, _minutes(each)) for monday, each in weeks.items()],
            "workouts",
            running,
            MINUTES,
        ),
        tables=(
            table(
                "Workouts by week",
                WORKOUTS,
                list(reversed(weeks.items()))[:WEEKS_IN_TABLE],
                ("Week from", lambda week: short_day(week[0])),
                ("Workouts", lambda week: count(len(week[1]))),
                ("Time", lambda week: duration(_minutes(week[1]))),
                ("Distance", lambda week: DISTANCE.written(_kilometres(week[1]))),
            ),
            _newest_workouts(workouts[:WORKOUTS_SHOWN]),
        ),
    )


def _training(found: Sequence[Any]) -> Block | None:
    if not any(each.load for each in found):
        return None
    weeks = {each.week: each for each in found}
    every = [day for day in Span(found[0].week, found[-1].week).each() if day == _monday(day)]
    newest = found[-1]
    return Block(
        title="Training load by week",
        text=(
            f"In the week from {plain_day(newest.week)}: {number(newest.load, 0)}. Load is the "
            "minutes in each of five heart rate zones, multiplied by the number of the zone and "
            "summed."
        ),
        chart=amounts_by_week(
            [(day, weeks[day].load if day in weeks else 0) for day in every],
            "training load",
            None,
            COUNT,
        ),
        tables=(
            table(
                "Training by week",
                WEEKS,
                found[: -WEEKS_IN_TABLE - 1 : -1],
                ("Week from", lambda each: short_day(each.week)),
                ("Load", lambda each: number(each.load, 0)),
                ("Zone 1", lambda each: duration(each.zone_1_minutes)),
                ("Zone 2", lambda each: duration(each.zone_2_minutes)),
                ("Zone 3", lambda each: duration(each.zone_3_minutes)),
                ("Zone 4", lambda each: duration(each.zone_4_minutes)),
                ("Zone 5", lambda each: duration(each.zone_5_minutes)),
                ("Distance", lambda each: DISTANCE.written(each.distance_km)),
                ("Climbed", lambda each: f"{number(each.elevation_m, 0)} m"),
                ("Resting heart rate", lambda each: RESTING.written(each.resting_heart_rate)),
                ("Asleep", lambda each: duration(each.sleep_hours and each.sleep_hours * 60)),
            ),
        ),
    )


def _newest_workouts(workouts: Sequence[Any]) -> Table:
    return table(
        f"The latest {count(len(workouts))} workouts",
        WORKOUTS,
        workouts,
        ("Activity", lambda each: each.activity),
        ("Day", lambda each: short_day(each.day)),
        ("Time", lambda each: duration(each.minutes)),
        ("Distance", lambda each: DISTANCE.written(each.distance_km)),
        ("Energy", lambda each: ENERGY.written(each.active_energy_kcal)),
        ("Mean pulse", lambda each: HIGHEST.written(each.heart_rate_average)),
        ("Highest pulse", lambda each: HIGHEST.written(each.heart_rate_highest)),
        cards=True,
    )


def _monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def _minutes(workouts: Sequence[Any]) -> float:
    return sum(each.minutes or 0 for each in workouts)


def _kilometres(workouts: Sequence[Any]) -> float:
    return sum(each.distance_km or 0 for each in workouts)


def _in_words(name: str) -> str:
    """Words for names such as Apple's ``TraditionalStrengthTraining`` or our tables'
    ``heart_rate``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name).capitalize()


_AMOUNTS: Mapping[str, Callable[[Number | None], str]] = {
    "count": count,
    "kcal": ENERGY.written,
    "m": lambda metres: DISTANCE.written(None if metres is None else metres / 1000),
    "min": duration,
}


def _measured_twice(found: Sequence[Any]) -> Block | None:
    """What is left out if several devices measured the same, so that nothing counts twice."""
    if not found:
        return None
    return Block(
        title="Measured twice, counted once",
        text=(
            "Where two devices measured the same period, one of them counts, in the order of "
            "sql/macros/health_priority.sql; for a night, the one that reports sleep stages."
        ),
        tables=(
            table(
                "Left out in the last 28 days",
                MEASURED_TWICE,
                found,
                ("Figure", lambda each: _in_words(each.metric)),
                ("Left out of", lambda each: each.source),
                ("Counted of", lambda each: each.counted_source),
                ("Days", lambda each: count(each.days)),
                ("Left out", _left_out),
                words=3,
                folded=False,
                cards=True,
            ),
        ),
    )


def _left_out(each: Any) -> str:
    # readings cannot be added up
    if each.left_out is None:
        return "readings"
    return _AMOUNTS.get(each.unit, count)(each.left_out)


BODY = Section(
    anchor="body",
    title="Body",
    sources=("apple_health", "strava", "fit"),
    part=part,
    measures=measures,
)
