"""What counts when several devices measured the same time: real exports through the inbox and the
lake, then the SQL that dbt made of the models, judged by counting second for second."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources.apple_health import APPLE_HEALTH
from personal_pipeline.sources.stays import STAYS
from personal_pipeline_tests.sources.apple_health_exports import PHONE, WATCH, record, xml, zipped
from personal_pipeline_tests.sql.compiled import Compiled, home_database, write_nothing

NOW = datetime(2026, 11, 21, tzinfo=UTC)
MODELS = (
    "staging.stg_apple_health__activity_summaries",
    "staging.stg_apple_health__records",
    "staging.stg_apple_health__workouts",
    "staging.stg_stays__stays",
    "marts.stays",
    "marts.health_measures_daily",
    "marts.sleep_nights",
    "marts.health_overlaps",
    "marts.health_daily",
)
STREAMS = ("records", "workouts", "activity_summaries")
WATCH_NAME, PHONE_NAME, RING_NAME = "Robin’s Watch", "Robin’s iPhone", "Ring"
DEVICES = {WATCH_NAME: WATCH, PHONE_NAME: PHONE, RING_NAME: None}
"""In the order in which they are believed: the watch, then the ring, then the phone."""


def measured(measure: str, source: str, start: datetime, seconds: int, value: float | str,
             unit: str | None = "count") -> str:  # fmt: skip
    end = start + timedelta(seconds=seconds)
    return record(measure, f"{start:%Y-%m-%d %H:%M:%S}", f"{end:%Y-%m-%d %H:%M:%S}", f"{value}",
                  source=source, device=DEVICES[source], unit=unit)  # fmt: skip


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@dataclass(frozen=True)
class Body:
    """A home, its lake, and the tables that the models make of it."""

    home: Home
    opened: duckdb.DuckDBPyConnection
    sql: dict[str, str]

    def of(self, *elements: str) -> Body:
        """Take an export in, in place of all before."""
        for folder in (self.home.lake, self.home.archive):
            shutil.rmtree(folder, ignore_errors=True)
        write_nothing(self.home, STAYS)
        always = measured("DietaryWater", RING_NAME, at("1990-05-01"), 0, 1)
        old = (
            '<Workout workoutActivityType="X" startDate="1990-05-01 00:00:00 +0000"/>',
            '<ActivitySummary dateComponents="1990-05-01"/>',
        )
        path = zipped(self.home.inbox / "export.zip", xml(always, *old, *elements))
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        receipt = ingest_file(self.home, [APPLE_HEALTH], path, NOW).receipt
        assert (receipt.problem, receipt.unreadable) == (None, 0)
        for name, sql in self.sql.items():
            self.opened.execute(f"create or replace table {name} as {sql}")
        return self

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found = self.opened.execute(sql)
        names = [column[0] for column in found.description]
        return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def day(self, day: str) -> dict[str, Any]:
        [row] = self.rows(f"select * from marts.health_daily where day = '{day}'")
        return {name: value for name, value in row.items() if value is not None}


@pytest.fixture(scope="module")
def body(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Iterator[Body]:
    home = Home(tmp_path_factory.mktemp("body") / "home").ensure()
    with home_database() as opened:
        yield Body(home, opened, compiled.of(home, *MODELS))


def test_a_day(body: Body) -> None:
    day = body.of(
        measured("StepCount", PHONE_NAME, at("2026-10-03T08:00"), 600, 500),
        measured("StepCount", WATCH_NAME, at("2026-10-03T08:05"), 600, 700),
        measured("StepCount", PHONE_NAME, at("2026-10-03T20:00"), 60, 90),
        measured("DistanceWalkingRunning", WATCH_NAME, at("2026-10-03T08:05"), 600, 0.5, "mi"),
        measured("ActiveEnergyBurned", WATCH_NAME, at("2026-10-03T08:05"), 600, 41.84, "kJ"),
        measured("HeartRate", WATCH_NAME, at("2026-10-03T08:05"), 0, 60, "count/min"),
        measured("HeartRate", RING_NAME, at("2026-10-03T08:06"), 0, 1.5, "count/s"),
        measured("RestingHeartRate", WATCH_NAME, at("2026-10-03T00:00"), 60, 51, "count/min"),
        measured("RestingHeartRate", RING_NAME, at("2026-10-03T00:00"), 60, 48, "count/min"),
        measured("HeartRateVariabilitySDNN", RING_NAME, at("2026-10-03T03:00"), 60, 40, "ms"),
        measured("HeartRateVariabilitySDNN", RING_NAME, at("2026-10-03T04:00"), 60, 60, "ms"),
        measured("BodyMass", RING_NAME, at("2026-10-03T07:00"), 0, 134, "lb"),
        measured("BodyMass", RING_NAME, at("2026-10-03T09:00"), 0, 135, "lb"),
        '<ActivitySummary dateComponents="2026-10-03" appleStandHours="11"/>',
    ).day("2026-10-03")
    assert day["steps"] == 250 + 700 + 90
    assert day["distance_walking_running_km"] == pytest.approx(0.804672)
    assert day["active_energy_kcal"] == pytest.approx(10)
    assert (day["heart_rate_lowest"], day["heart_rate_highest"]) == (60, 90)
    assert day["heart_rate_average"] == 75
    assert day["resting_heart_rate"] == 51
    assert day["heart_rate_variability_ms"] == 50
    assert day["weight_kg"] == pytest.approx(61.23496995)
    assert day["stand_hours"] == 11
    assert "asleep_minutes" not in day
    left_out = body.rows("select metric, source_name, left_out, counted from marts.health_overlaps"
                         " order by metric")  # fmt: skip
    assert left_out == [
        {"metric": "resting_heart_rate", "source_name": RING_NAME, "left_out": None,
         "counted": None},
        {"metric": "steps", "source_name": PHONE_NAME, "left_out": 250, "counted": 340},
    ]  # fmt: skip


def test_rows_that_were_only_put_down_twice_count_once(body: Body, faults: Path) -> None:
    with zipfile.ZipFile(faults / "apple_twice.zip") as archive:
        written = archive.read("apple_health_export/export.xml").decode()
    day = body.of(*re.findall("<Record .*?/>", written)).day("2024-03-05")
    assert (day["steps"], day["exercise_minutes"]) == (100, 1)


def test_a_reading_of_nothing_is_none(body: Body) -> None:
    day = body.of(
        measured("HeartRate", RING_NAME, at("2026-10-03T08:05"), 0, 0, "count/min"),
        measured("HeartRate", WATCH_NAME, at("2026-10-03T08:06"), 0, 60, "count/min"),
        measured("RestingHeartRate", WATCH_NAME, at("2026-10-03T00:00"), 60, 0, "count/min"),
        measured("RestingHeartRate", RING_NAME, at("2026-10-03T00:00"), 60, 48, "count/min"),
        measured("BodyMass", RING_NAME, at("2026-10-03T07:00"), 0, 0, "kg"),
        measured("StepCount", WATCH_NAME, at("2026-10-03T08:05"), 600, 0),
    ).day("2026-10-03")
    assert (day["heart_rate_lowest"], day["heart_rate_average"]) == (60, 60)
    assert day["resting_heart_rate"] == 48
    assert "weight_kg" not in day
    # of steps, nothing is something
    assert day["steps"] == 0


def stage(source: str, start: str, minutes: int, name: str) -> str:
    value = f"HKCategoryValueSleepAnalysis{name}"
    return measured("SleepAnalysis", source, at(start), minutes * 60, value, None)


def test_a_night_counts_once_also_when_the_month_ends_in_it(body: Body) -> None:
    body.of(
        stage(PHONE_NAME, "2026-09-30T21:00", 540, "InBed"),
        stage(WATCH_NAME, "2026-09-30T22:00", 90, "AsleepCore"),
        stage(WATCH_NAME, "2026-09-30T23:30", 60, "AsleepDeep"),
        stage(WATCH_NAME, "2026-10-01T00:30", 20, "Awake"),
        stage(WATCH_NAME, "2026-10-01T00:50", 100, "AsleepREM"),
        stage(RING_NAME, "2026-09-30T22:10", 400, "AsleepUnspecified"),
        # a nap, by itself
        stage(RING_NAME, "2026-10-01T13:00", 30, "AsleepUnspecified"),
    )
    day = body.day("2026-10-01")
    assert (day["core_minutes"], day["deep_minutes"], day["rem_minutes"]) == (90, 60, 100)
    # of the nap only the ring tells
    assert (day["asleep_minutes"], day["unspecified_minutes"]) == (250 + 30, 30)
    assert day["awake_minutes"] == 20
    assert str(day["sleep_start_at"]) == "2026-09-30 22:00:00"
    assert str(day["sleep_end_at"]) == "2026-10-01 02:30:00"
    left_out = body.rows("select day, source_name, left_out from marts.health_overlaps order by 2")
    assert left_out == [
        {"day": date(2026, 10, 1), "source_name": RING_NAME, "left_out": 400},
        {"day": date(2026, 10, 1), "source_name": PHONE_NAME, "left_out": 540},
    ]


def test_workouts_of_old_and_new_phones(body: Body) -> None:
    span = 'startDate="2026-10-03 09:00:00 +0200" endDate="2026-10-03 09:30:00 +0200"'
    body.of(
        f'<Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="30" '
        f'durationUnit="min" totalDistance="3" totalDistanceUnit="mi" {span}/>',
        f'<Workout workoutActivityType="HKWorkoutActivityTypeCycling" duration="0.5" '
        f'durationUnit="hr" {span}><WorkoutStatistics sum="12" unit="km" '
        'type="HKQuantityTypeIdentifierDistanceCycling"/></Workout>',
    )
    found = body.rows(
        "select activity, duration_minutes, round(distance_m) as distance_m, start_at::varchar"
        " as at from staging.stg_apple_health__workouts where month > '2000-01-01' order by 1"
    )
    assert found == [
        {"activity": "Cycling", "duration_minutes": 30, "distance_m": 12000,
         "at": "2026-10-03 07:00:00"},
        {"activity": "Running", "duration_minutes": 30, "distance_m": 4828,
         "at": "2026-10-03 07:00:00"},
    ]  # fmt: skip


# --------------------------------------------------------------------- judged second for second


@dataclass(frozen=True)
class Interval:
    source: str
    start: int
    seconds: int
    value: int


INTERVALS = st.lists(
    st.builds(
        Interval,
        st.sampled_from(list(DEVICES)),
        st.integers(0, 40),
        st.integers(1, 15),
        st.integers(1, 100),
    ),
    max_size=12,
    # one source may not say two things of one span: they would be one row
    unique_by=lambda each: (each.source, each.start, each.seconds),
)


def judged(intervals: list[Interval]) -> dict[str, float]:
    """What of each source counts: in each second only the best source that measured in it."""
    order = [WATCH_NAME, RING_NAME, PHONE_NAME]
    best: dict[int, str] = {}
    for each in sorted(intervals, key=lambda each: -order.index(each.source)):
        for second in range(each.start, each.start + each.seconds):
            best[second] = each.source
    counted: dict[str, float] = defaultdict(float)
    for each in intervals:
        for second in range(each.start, each.start + each.seconds):
            if best[second] == each.source:
                counted[each.source] += each.value / each.seconds
    return counted


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(INTERVALS)
def test_every_second_counts_once(body: Body, intervals: list[Interval]) -> None:
    noon = at("2026-10-03T12:00")
    body.of(
        *(
            measured("StepCount", each.source, noon + timedelta(seconds=each.start), each.seconds,
                     each.value)
            for each in intervals
        )
    )  # fmt: skip
    found = body.rows(
        "select source_name, counted, left_out, amount from marts.health_measures_daily"
        " where metric = 'steps'"
    )
    expected = judged(intervals)
    assert {row["source_name"] for row in found} == {each.source for each in intervals}
    for row in found:
        assert row["counted"] == pytest.approx(expected[row["source_name"]], abs=1e-4)
        assert row["counted"] + row["left_out"] == pytest.approx(row["amount"], abs=1e-4)


def test_the_tables_are_those_of_one_export(body: Body, tmp_path: Path) -> None:
    """The same export a second time gives the same rows."""
    lines = [
        measured(
            "StepCount", source, at("2026-10-03T08:00") + timedelta(minutes=number), 90, number
        )
        for number in range(5)
        for source in DEVICES
    ]
    first = [body.of(*lines).rows(f"select * from {name} order by all") for name in MODELS]
    again = [body.of(*lines).rows(f"select * from {name} order by all") for name in MODELS]
    assert first == again
