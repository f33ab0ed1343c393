"""The Body section against values counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from lxml.html import HtmlElement

from personal_pipeline.freshness import State
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    never_dropped,
    stream_state,
    with_health,
    with_state,
    write_marts,
)
from personal_pipeline_tests.outputs.report_page import (
    SECTIONS,
    anchors,
    build,
    charts_above_tables,
    page_of,
    section,
    table,
    words,
)

BOARD = with_health(fresh_board())
WATCH, PHONE = "Robin’s Watch", "Robin’s iPhone"


def body(first: date, last: date, **figures: Any) -> Iterator[dict[str, Any]]:
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        yield {"month": day.replace(day=1), "day": day, **figures}


def slept(deep: int, core: int, rem: int) -> dict[str, Any]:
    stages = {"deep_minutes": deep, "core_minutes": core, "rem_minutes": rem}
    rest = {"unspecified_minutes": 0, "awake_minutes": 12, "in_bed_minutes": 0}
    return {"asleep_minutes": deep + core + rem, **stages, **rest}


BEFORE = slept(60, 280, 80)
WEEK = slept(70, 290, 90)
DAYS = [
    # of this night only the phone told, that somebody lay in bed
    *body(date(2026, 10, 16), date(2026, 10, 16), steps=8000, resting_heart_rate=58,
          asleep_minutes=0, in_bed_minutes=500),
    *body(date(2026, 10, 17), date(2026, 10, 19), steps=8000, resting_heart_rate=58,
          heart_rate_variability_ms=40, **BEFORE),
    *body(date(2026, 10, 20), date(2026, 10, 20), steps=8000, resting_heart_rate=58,
          heart_rate_variability_ms=40, weight_kg=80.04, **BEFORE),
    *body(date(2026, 10, 21), date(2026, 11, 12), steps=8000, resting_heart_rate=58, **BEFORE),
    *body(date(2026, 11, 13), date(2026, 11, 14), steps=10000, resting_heart_rate=54, **WEEK),
    *body(date(2026, 11, 15), date(2026, 11, 17), steps=10000, resting_heart_rate=54,
          heart_rate_variability_ms=50, **WEEK),
    *body(date(2026, 11, 18), date(2026, 11, 18), steps=10000, resting_heart_rate=54,
          heart_rate_variability_ms=51, weight_kg=79.1, **WEEK),
    *body(date(2026, 11, 19), date(2026, 11, 19), steps=10000, distance_walking_running_km=7.26,
          resting_heart_rate=54, heart_rate_lowest=45, heart_rate_highest=161, **WEEK),
    # in the middle of this day the phone was exported
    *body(date(2026, 11, 20), date(2026, 11, 20), steps=300, resting_heart_rate=52,
          **slept(80, 300, 100)),
]  # fmt: skip


def activity(start: str, kind: str, minutes: float | None, **more: Any) -> dict[str, Any]:
    return {
        "activity_id": start,
        "kind": kind,
        "name": None,
        "start_at": start,
        "end_at": None,
        "moving_seconds": None if minutes is None else minutes * 60,
        "distance_m": None,
        "calories": None,
        "heart_rate_average": None,
        "heart_rate_highest": None,
        **more,
    }


WORKOUTS = [
    activity("2026-11-21 05:00:00", "run", 20),
    activity("2026-11-20 07:00:00", "run", 29.6, distance_m=5000, calories=330.4,
            heart_rate_average=150.2, heart_rate_highest=172),
    activity("2026-10-24 23:30:00", "ride", 90, name="Tour de Parc", distance_m=30_300),
    activity("2026-10-23 17:00:00", "strength", None, end_at="2026-10-23 17:40:00"),
    activity("2026-05-20 17:00:00", "run", 40),
]  # fmt: skip


def training(week: date, load: float, **more: Any) -> dict[str, Any]:
    zones = {f"zone_{zone}_minutes": 0 for zone in range(1, 6)}
    nothing = {"activities": 0, "distance_km": 0, "elevation_m": 0}
    return {"week": week, "load": load, "resting_heart_rate": None, "sleep_hours": None,
            **nothing, **zones, **more}  # fmt: skip


TRAINING = [
    # one that is not over
    training(date(2026, 11, 16), 999),
    training(date(2026, 11, 9), 210.4, activities=2, distance_km=35.3, elevation_m=412,
             zone_2_minutes=90, zone_3_minutes=10, resting_heart_rate=53.4, sleep_hours=7.5),
    training(date(2026, 10, 19), 60, activities=1, zone_1_minutes=60),
    training(date(2026, 5, 11), 60),
]  # fmt: skip


def left_out(day: date, metric: str, amount: float | None, unit: str) -> dict[str, Any]:
    return {
        "month": day.replace(day=1),
        "day": day,
        "metric": metric,
        "source_name": PHONE,
        "priority": 3,
        "left_out": amount,
        "unit": unit,
        "counted_source": WATCH,
    }


OVERLAPS = [
    left_out(date(2026, 11, 21), "steps", 9999, "count"),
    left_out(date(2026, 11, 19), "steps", 700, "count"),
    left_out(date(2026, 10, 24), "steps", 300.4, "count"),
    left_out(date(2026, 10, 23), "steps", 50, "count"),
    left_out(date(2026, 11, 19), "distance_walking_running", 1500, "m"),
    left_out(date(2026, 11, 19), "resting_heart_rate", None, "count/min"),
    left_out(date(2026, 11, 20), "sleep", 500, "min"),
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_marts(
        tmp_path_factory.mktemp("body") / "warehouse.duckdb",
        health_daily=DAYS,
        health_overlaps=OVERLAPS,
        activities=WORKOUTS,
        athletic_performance_weekly=TRAINING,
    )


@pytest.fixture(scope="module")
def page(tables: Path) -> HtmlElement:
    return page_of(build(tables, BOARD))


def test_stands_before_the_areas_that_know_nothing(page: HtmlElement) -> None:
    assert anchors(page) == ["overview", "body", *SECTIONS[1:]]
    assert "As of 20 November 2026" in words(section(page, "body"))


def test_the_week_against_the_four_before(page: HtmlElement) -> None:
    assert table(page, "The latest day") == [
        ["Figure", "28 days", "20 Nov 2026", "7 days", "28 days before", "Change"],
        # the day of the export was not over
        ["Steps", "", "10,000 (19 Nov 2026)", "10,000", "8,000", "▲25%"],
        ["On foot", "", "7.3 km (19 Nov 2026)", "—", "—", "not known"],
        # (6 * 450 + 480) / 7 against (27 * 420 + 450) / 28
        ["Asleep", "", "8 h 0 min", "7 h 34 min", "7 h 1 min", "▲7.9%"],
        ["Resting heart rate", "", "52.0 bpm", "53.7 bpm", "57.9 bpm", "▼7.2%"],
        # four days of seven are enough, and four of twenty-eight are not
        ["Heart rate variability", "", "51.0 ms (18 Nov 2026)", "50.2 ms", "—", "not known"],
        # that is measured now and then
        ["Weight", "", "79.1 kg (18 Nov 2026)", "79.1 kg", "80.0 kg", "▼1.2%"],
    ]
    good = section(page, "body").xpath(".//*[contains(@class, 'move good')]")
    assert len(good) == 3
    assert (
        "On 20 November 2026: asleep 8 h 0 min, resting heart rate 52.0 bpm." in
        words(section(page, "body"))
    )  # fmt: skip


def test_nights_by_stage(page: HtmlElement) -> None:
    rows = table(page, "Nights")
    assert rows[0] == ["Day", "Asleep", "Deep", "Core", "REM", "Awake"]
    assert rows[1] == [
        "20 Nov 2026",
        "8 h 0 min",
        "1 h 20 min",
        "5 h 0 min",
        "1 h 40 min",
        "12 min",
    ]
    assert rows[-1][0] == "7 Nov 2026"
    assert len(rows) == 1 + 14
    # (6 * 70 + 80) / 7, (6 * 290 + 300) / 7, (6 * 90 + 100) / 7
    assert (
        "A night of the last seven: asleep 7 h 34 min, deep 1 h 11 min, core 4 h 51 min, "
        "REM 1 h 31 min, awake 12 min."
    ) in words(section(page, "body"))


def test_days_with_their_means(page: HtmlElement) -> None:
    assert table(page, "Steps by day")[:2] == [
        ["Day", "Steps", "Mean of 7 days", "On foot"],
        ["19 Nov 2026", "10,000", "10,000", "7.3 km"],
    ]
    resting = table(page, "Resting heart rate by day")
    assert resting[0] == ["Day", "Resting heart rate", "Mean of 7 days", "Lowest", "Highest"]
    assert resting[2] == ["19 Nov 2026", "54.0 bpm", "54.0 bpm", "45 bpm", "161 bpm"]
    assert len(resting) == 1 + 14
    assert table(page, "Weight by day")[1:] == [
        ["18 Nov 2026", "79.1 kg", "79.1 kg"],
        ["20 Oct 2026", "80.0 kg", "80.0 kg"],
    ]


def test_workouts(page: HtmlElement) -> None:
    assert table(page, "The latest 3 workouts")[1:] == [
        ["Run", "20 Nov 2026", "30 min", "5.0 km", "330 kcal", "150 bpm", "172 bpm"],
        ["Tour de Parc", "24 Oct 2026", "1 h 30 min", "30.3 km", "—", "—", "—"],
        ["Strength", "23 Oct 2026", "40 min", "—", "—", "—", "—"],
    ]
    text = words(section(page, "body"))
    assert "In the 28 days to 20 November 2026: 2 workouts, 2 h 0 min, 35.3 km." in text
    weeks = table(page, "Workouts by week")
    assert weeks[:2] == [
        ["Week from", "Workouts", "Time", "Distance"],
        ["16 Nov 2026", "1", "30 min", "5.0 km"],
    ]
    assert weeks[2:] == [
        *([f"{day} 2026", "0", "0 min", "0.0 km"] for day in ("9 Nov", "2 Nov", "26 Oct")),
        ["19 Oct 2026", "2", "2 h 10 min", "30.3 km"],
    ]


def test_training_of_the_weeks_that_are_over(page: HtmlElement) -> None:
    assert table(page, "Training by week")[1:] == [
        ["9 Nov 2026", "210", "0 min", "1 h 30 min", "10 min", "0 min", "0 min", "35.3 km", "412 m",
         "53.4 bpm", "7 h 30 min"],
        ["19 Oct 2026", "60", "1 h 0 min", "0 min", "0 min", "0 min", "0 min", "0.0 km", "0 m",
         "—", "—"],
    ]  # fmt: skip
    assert "In the week from 9 November 2026: 210." in words(section(page, "body"))


def test_who_only_rides_has_a_body_too(tables: Path, tmp_path: Path) -> None:
    database = write_marts(tmp_path / "warehouse.duckdb", activities=WORKOUTS)
    board = [*fresh_board(), stream_state("strava", "activities", route="drop")]
    page = page_of(build(database, board))
    assert len(table(page, "The latest 3 workouts")) == 4
    assert "As of 20 November 2026" in words(section(page, "body"))


def test_says_what_was_measured_twice(page: HtmlElement) -> None:
    assert table(page, "Left out") == [
        ["Figure", "Left out of", "Counted of", "Days", "Left out"],
        ["Distance walking running", PHONE, WATCH, "1", "1.5 km"],
        ["Resting heart rate", PHONE, WATCH, "1", "readings"],
        ["Sleep", PHONE, WATCH, "1", "8 h 20 min"],
        ["Steps", PHONE, WATCH, "2", "1,000"],
    ]


def test_every_chart_has_its_table_below_it(page: HtmlElement) -> None:
    charts = charts_above_tables(section(page, "body"))
    # sleep, resting heart rate, variability, steps, weight, workouts, training; no energy
    assert len(charts) == 7


def test_a_report_of_the_past_knows_its_own_days_only(tables: Path) -> None:
    page = page_of(build(tables, BOARD, date(2026, 11, 19)))
    assert "As of 18 November 2026" in words(section(page, "body"))
    # that day is over, as the export shows that came after it
    assert table(page, "The latest day")[1][2] == "10,000"
    assert len(table(page, "The latest 3 workouts")) == 4
    assert "20 Nov 2026" not in words(section(page, "body"))


def test_says_when_an_export_is_due(tables: Path) -> None:
    board = with_state(BOARD, State.DUE, "apple_health", detail="Export All Health Data.")
    text = words(section(page_of(build(tables, board)), "body"))
    assert "Due: Apple Health (" in text
    assert "Export All Health Data." in text


def test_is_left_out_when_no_export_was_ever_dropped(tables: Path) -> None:
    for board in (fresh_board(), [*fresh_board(), never_dropped("apple_health", "records")]):
        assert anchors(page_of(build(tables, board))) == SECTIONS


def test_tables_that_are_empty(tmp_path: Path) -> None:
    database = write_marts(tmp_path / "warehouse.duckdb")
    text = words(section(page_of(build(database, BOARD)), "body"))
    assert "without figures yet" in text
    assert "None" not in text


def test_one_day_is_enough(tmp_path: Path) -> None:
    """No mean, no line and no change is known."""
    one = list(body(date(2026, 11, 19), date(2026, 11, 19), weight_kg=80.0, **WEEK))
    database = write_marts(tmp_path / "warehouse.duckdb", health_daily=one)
    page = page_of(build(database, BOARD))
    assert [row[0] for row in table(page, "The latest day")] == ["Figure", "Asleep", "Weight"]
    assert "None" not in words(section(page, "body"))
