"""The body of the invented life: true to itself, exported as a phone does it, and in the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import TypeAlias

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.demo.body import BodyDay, invent_body
from personal_pipeline.demo.chance import at
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow
from personal_pipeline.ingest.spool import spooling
from personal_pipeline.sources.apple_health import EXPORT
from personal_pipeline_tests.invented_house import Rows, Services, query

DAY = timedelta(days=1)

Exported: TypeAlias = tuple[duckdb.DuckDBPyConnection, list[DropRow]]
"""What the source reads in the phone's export: records in the spool, and all other rows."""


def asleep(day: BodyDay) -> int:
    return sum(minutes for stage, minutes in day.night.stages if stage != "Awake")


@given(
    seed=st.integers(0, 10_000),
    start=st.dates(date(2023, 1, 1), date(2026, 11, 1)),
    told=st.integers(0, 30),
    stories=st.sets(st.integers(0, 30)),
)
@settings(max_examples=30, deadline=None)
def test_everything_lies_within_its_day_and_one_after_the_other(
    seed: int, start: date, told: int, stories: set[int]
) -> None:
    published_on = {start + number * DAY for number in stories}
    days = invent_body(seed, published_on, start, start + told * DAY)
    assert [each.day for each in days] == [start + number * DAY for number in range(told + 1)]
    for body in days:
        night = body.night
        spans = [(night.in_bed_at, night.up_at)]
        spans += [(s.start, s.start + timedelta(seconds=s.seconds)) for s in body.stretches]
        spans += [
            (workout.start, workout.start + timedelta(minutes=workout.minutes))
            for workout in body.workouts
            # a run is a stretch as well
            if workout.kind != "Running"
        ]
        moments = [moment for span in sorted(spans) for moment in span]
        assert moments == sorted(moments)
        assert at(body.day) <= moments[0]
        assert moments[-1] < at(body.day + DAY)
        if night.stages:
            minutes = sum(minutes for _, minutes in night.stages)
            assert night.asleep_at + timedelta(minutes=minutes) == night.up_at
        assert all(each.on_watch or each.on_phone for each in body.stretches)


def test_figures_are_those_of_a_person(life: Life) -> None:
    assert (life.body[0].day, life.body[-1].day) == (life.start, life.end.date())
    steps = [sum(each.steps for each in body.stretches) for body in life.body]
    assert 6_000 < mean(steps) < 12_000
    nights = [asleep(body) / 60 for body in life.body if body.night.stages]
    assert 6 < mean(nights) < 8
    assert min(nights) > 4
    assert all(48 <= each.resting_pulse <= 70 for each in life.body if each.resting_pulse)
    for workout in (each for body in life.body for each in body.workouts):
        lowest, average, highest = workout.pulse
        assert 80 < lowest < average < highest < 200
    kinds = Counter(each.kind for body in life.body for each in body.workouts)
    assert all(kinds[kind] > 20 for kind in ("Running", "Cycling", "TraditionalStrengthTraining"))


def test_the_night_after_a_story_is_short_and_the_pulse_shows_it(life: Life) -> None:
    after = {each.published_at.date() + DAY for each in life.stories}

    def of(is_after: bool) -> list[BodyDay]:
        return [each for each in life.body if each.night.stages and (each.day in after) == is_after]

    assert mean(map(asleep, of(False))) - mean(map(asleep, of(True))) > 30
    pulse = [mean(each.resting_pulse or 0 for each in of(is_after)) for is_after in (True, False)]
    assert pulse[0] - pulse[1] > 1.5


def test_a_later_last_day_only_adds_days() -> None:
    days = [date(2026, 11, 2), date(2026, 11, 3), date(2026, 11, 20)]
    lives = [invent(1, 5, day) for day in days]
    for earlier, later in pairwise(lives):
        assert later.body[: len(earlier.body)] == earlier.body


# --- the export -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(
    drops: list[Path], life: Life, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exported]:
    (path,) = [path for path in drops if path.name == "export.zip"]
    file = DropFile(path, path.name, life.end)
    assert EXPORT.recognise(file) is not None
    assert EXPORT.load is not None
    with spooling(Home(tmp_path_factory.mktemp("spool")).ensure()) as spool:
        rows = []
        for row in EXPORT.load(file, spool):
            assert isinstance(row, DropRow), row
            rows.append(row)
        yield spool.connection, rows


def _records(exported: Exported, sql: str) -> Rows:
    return exported[0].execute(sql).fetchall()


def test_the_phone_counts_what_the_watch_counts(exported: Exported, life: Life) -> None:
    counted: dict[bool, int] = dict(
        _records(
            exported,
            "select sourceName like '%Watch', sum(value::bigint) from records"
            " where type like '%StepCount' group by all",
        )
    )
    walked = [each for body in life.body[:-1] for each in body.stretches]
    late = [each for each in life.body[-1].stretches if each.on_watch]
    on_watch = sum(each.steps for each in walked if each.on_watch)
    assert 0 <= counted[True] - on_watch <= sum(each.steps for each in late)
    # the most of it is in both
    everything = sum(each.steps for each in walked)
    assert counted[True] + counted[False] > 1.4 * everything


def test_everything_is_in_it_that_was_measured_before(exported: Exported, life: Life) -> None:
    exported_at = (life.end + timedelta(minutes=50)).replace(tzinfo=None)
    [(records, newest, stored)] = _records(
        exported, "select count(*), max(start_at), max(created_at) from records"
    )
    assert 50_000 < records < 120_000
    assert life.end.replace(tzinfo=None) < newest < stored <= exported_at
    [(kilograms,)] = _records(
        exported,
        "select sum(value::double * 0.45359237) from records where type like '%BodyMass'",
    )
    weighed = [body.grams for body in life.body[:-1] if body.grams is not None]
    assert kilograms == pytest.approx(sum(weighed) / 1000, rel=1e-5)
    kept = Counter(row.stream for row in exported[1])
    assert kept == {
        "workouts": sum(len(body.workouts) for body in life.body[:-1]),
        "activity_summaries": sum(body.is_watch_worn for body in life.body[:-1]),
        "characteristics": 1,
    }


# --- the tables -----------------------------------------------------------------------------------


def test_the_tables_count_every_step_once(services: Services, built_home: Home) -> None:
    told = {
        row[0]: row[1:]
        for row in query(
            built_home.published,
            "select day, steps, asleep_minutes, resting_heart_rate, weight_kg"
            " from marts.health_daily",
        )
    }
    for body in services.life.body[:-1]:
        steps = float(sum(each.steps for each in body.stretches if each.on_watch))
        for each in body.stretches:
            if each.on_phone:
                # the phone is 45 seconds late; what is then left of it counts by its share
                share = 45 / (each.seconds + 20) if each.on_watch else 1
                steps += share * round(each.steps * 0.97)
        counted, minutes, pulse, kilograms = told[body.day]
        assert counted == pytest.approx(steps, abs=1), body.day
        assert minutes == asleep(body)
        assert pulse == body.resting_pulse
        assert kilograms == (body.grams and pytest.approx(body.grams / 1000, abs=0.001))


def test_what_was_left_out_and_the_workouts_are_told(services: Services, built_home: Home) -> None:
    left_out = query(
        built_home.published,
        "select metric, source_name, counted_source from marts.health_overlaps group by all",
    )
    watch, phone = "Wren’s Apple\u00a0Watch", "Wren’s iPhone"
    assert set(left_out) == {
        (metric, phone, watch) for metric in ("steps", "distance_walking_running", "sleep")
    }
    workouts = query(
        built_home.published,
        "select cast(start_at as date), activity, duration_minutes, heart_rate_highest,"
        " coalesce(round(distance_m), 0) from staging.stg_apple_health__workouts order by all",
    )
    assert workouts == [
        (body.day, each.kind, each.minutes, each.pulse[2], pytest.approx(each.metres, abs=1))
        for body in services.life.body[:-1]
        for each in body.workouts
    ]
