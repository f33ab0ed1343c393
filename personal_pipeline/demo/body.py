"""The body: its sleep, movement and weight, and what a watch, a phone and a scale recorded of it.

Instants and days are UTC. The writer lives five hours behind it: a night is within one UTC day, and
the evening of a day is at the beginning of the next. The night after a day with a new story is
short, and the pulse shows it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from personal_pipeline.demo.chance import at, days_between, stream

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)

_HOURS = (0, 1, 2, 13, 14, 15, 16, 17, 18, 19, 20, 21)
"""Hours of the UTC day in which the writer may walk; the night and the sport are in between."""
_CHARGING_HOUR = 1
_SPORT = (22, 5)


@dataclass(frozen=True, slots=True)
class Night:
    """One night's sleep. ``stages`` are as recorded by the watch: a stage and its minutes,
    consecutively from ``asleep_at``; empty if the watch was not worn."""

    in_bed_at: datetime
    asleep_at: datetime
    up_at: datetime
    stages: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of walking or running, and who counted its steps."""

    start: datetime
    seconds: int
    steps: int
    metres: int
    on_watch: bool
    on_phone: bool


@dataclass(frozen=True, slots=True)
class Workout:
    """A workout recorded by the watch. ``pulse`` is the lowest, the mean and the highest."""

    kind: str
    start: datetime
    minutes: int
    metres: int
    kilocalories: int
    pulse: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class BodyDay:
    """One UTC day. What only the watch measures is missing if it was left at home; the writer uses
    the scale on some mornings only."""

    day: date
    is_watch_worn: bool
    night: Night
    stretches: tuple[Stretch, ...]
    workouts: tuple[Workout, ...]
    pulse: tuple[tuple[datetime, int], ...]
    resting_pulse: int | None
    variability: tuple[tuple[datetime, float], ...]
    grams: int | None


def invent_body(
    seed: int, published_on: Collection[date], start: date, until: date
) -> tuple[BodyDay, ...]:
    """Every day from the first to the last, oldest first."""
    days = set(published_on)
    return tuple(
        _day(stream(seed, "body", str(day)), day, (day - start).days / 730, day - _DAY in days)
        for day in days_between(start, until)
    )


def _day(rng: Random, day: date, progress: float, restless: bool) -> BodyDay:
    # the charger stays at home on the trip in summer
    is_worn = not (day.month == 7 and 10 <= day.day <= 17)
    winter = math.cos((day.timetuple().tm_yday - 15) / 365 * 2 * math.pi)
    night = _night(rng, day, restless, is_watched=is_worn and rng.random() > 0.02)
    progress = min(progress, 1)
    resting = 61 - 5 * progress + winter + 2.5 * restless + rng.gauss(0, 0.9)
    variability = 38 + 9 * progress - 6 * restless
    workouts = tuple(_workouts(rng, day, progress)) if is_worn else ()
    looks = range(40, 300, 110) if night.stages else ()
    weight = 79_400 - 2_600 * progress + 900 * winter + rng.gauss(0, 280)
    weighs = day.weekday() in (0, 3, 5) and rng.random() < 0.85
    return BodyDay(
        day=day,
        is_watch_worn=is_worn,
        night=night,
        stretches=tuple(_stretches(rng, day, workouts, is_worn)),
        workouts=workouts,
        pulse=tuple(_pulse(rng, day, night, workouts, resting)) if is_worn else (),
        resting_pulse=round(resting) if is_worn else None,
        variability=tuple(
            (night.asleep_at + minutes * _MINUTE, max(12.0, round(rng.gauss(variability, 5), 4)))
            for minutes in looks
        ),
        grams=round(weight / 100) * 100 if weighs else None,
    )


def _night(rng: Random, day: date, restless: bool, *, is_watched: bool) -> Night:
    weekend = day.weekday() >= 5
    in_bed_at = (
        at(day, 3, 50)
        + round(min(40, max(-40, rng.gauss(0, 18))) + 40 * weekend + 45 * restless) * _MINUTE
    )
    asleep_at = in_bed_at + rng.randrange(5, 20) * _MINUTE
    up_at = at(day, 11, 25) + round(min(30, max(-30, rng.gauss(0, 12))) + 50 * weekend) * _MINUTE
    stages = _stages(rng, (up_at - asleep_at) // _MINUTE, restless) if is_watched else ()
    return Night(in_bed_at, asleep_at, up_at, tuple(stages))


def _stages(rng: Random, minutes: int, restless: bool) -> Iterator[tuple[str, int]]:
    """Cycles of an hour and a half: deep sleep first, more and more REM sleep towards morning."""
    left = minutes
    cycle = 0
    while left > 0:
        awake = rng.randrange(4, 14) if restless else rng.randrange(1, 5)
        for stage, mean in (
            ("AsleepCore", 16),
            ("AsleepDeep", 34 - 11 * cycle),
            ("AsleepCore", 24),
            ("AsleepREM", 7 + 5 * cycle),
            ("Awake", awake if restless or rng.random() < 0.5 else 0),
        ):
            length = min(left, round(rng.gauss(mean, 3))) if mean > 0 else 0
            if length > 0:
                yield stage, length
                left -= length
        cycle += 1


def _workouts(rng: Random, day: date, progress: float) -> Iterator[Workout]:
    """At most one per day: weights on Mondays, runs during the week, rides on summer Sundays."""
    weekday = day.weekday()
    takes_place = rng.random() < 0.7
    effort = rng.gauss(0, 4)
    if not takes_place:
        return
    if weekday == 0:
        minutes = rng.randrange(28, 46)
        average = round(112 + effort)
        kind, metres, burned = "TraditionalStrengthTraining", 0, 5.2 * minutes
    elif weekday in (1, 3, 5):
        minutes = rng.randrange(24, 42) + round(8 * progress)
        average = round(149 + effort)
        metres = round(minutes * (156 + 16 * progress + effort))
        kind, burned = "Running", 0.066 * metres
    elif weekday == 6 and 5 <= day.month <= 9:
        minutes = rng.randrange(55, 105)
        average = round(131 + effort)
        metres = round(minutes * (330 + 5 * effort))
        kind, burned = "Cycling", 0.024 * metres
    else:
        return
    pulse = (rng.randrange(82, 94), average, average + rng.randrange(16, 32))
    yield Workout(kind, at(day, *_SPORT), minutes, metres, round(burned), pulse)


def _stretches(
    rng: Random, day: date, workouts: tuple[Workout, ...], is_worn: bool
) -> Iterator[Stretch]:
    for hour in _HOURS:
        if rng.random() > 0.78:
            continue
        is_walk = hour == 19 and day.weekday() == 6
        seconds = rng.randrange(2_400, 3_300) if is_walk else rng.randrange(160, 780)
        steps = round(seconds / 60 * rng.gauss(98, 8))
        on_watch = is_worn and not (hour == _CHARGING_HOUR and rng.random() < 0.6)
        on_phone = not on_watch or rng.random() < 0.62
        begin = at(day, hour, rng.randrange(1, 4)) + timedelta(seconds=rng.randrange(60))
        yield Stretch(begin, seconds, steps, round(steps * 0.74), on_watch, on_phone)
    for each in workouts:
        if each.kind == "Running":
            on_phone = rng.random() < 0.5
            steps = round(each.minutes * rng.gauss(164, 3))
            yield Stretch(each.start, each.minutes * 60, steps, each.metres, True, on_phone)


def _pulse(
    rng: Random, day: date, night: Night, workouts: tuple[Workout, ...], resting: float
) -> Iterator[tuple[datetime, int]]:
    """One reading in the first minutes of every hour, and one every five minutes of a workout."""
    for hour in range(24):
        moment = at(day, hour, rng.randrange(10)) + timedelta(seconds=rng.randrange(60))
        beats = resting + rng.uniform(10, 42)
        if night.in_bed_at <= moment <= night.up_at:
            if not night.stages:
                continue
            beats = resting + rng.uniform(-3, 6)
        if any(each.start <= moment for each in workouts):
            continue
        yield moment, round(beats)
    for each in workouts:
        lowest, average, highest = each.pulse
        steps = each.minutes // 5
        for number in range(steps):
            usual = round(min(highest - 1, max(lowest + 1, rng.gauss(average, 6))))
            beats = {0: lowest, steps - 1: highest}.get(number, usual)
            yield each.start + 5 * number * _MINUTE, beats
