"""Which records are one activity, and what is made of them: real files through the inbox and the
lake, then the SQL that dbt made of the models."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
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
from personal_pipeline.sources.fit import FIT
from personal_pipeline.sources.stays import STAYS
from personal_pipeline.sources.strava import STRAVA
from personal_pipeline_tests.sources.apple_health_exports import WATCH, record, xml, zipped
from personal_pipeline_tests.sources.fit_files import Fit, archive, gpx, ride, row, table
from personal_pipeline_tests.sources.fit_files import seconds as fit_seconds
from personal_pipeline_tests.sources.fit_files import zipped as gzipped
from personal_pipeline_tests.sql.compiled import (
    EARLIEST,
    LATEST,
    Compiled,
    home_database,
    write_nothing,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
START = datetime(2024, 1, 15, 7, 30, tzinfo=UTC)
"""A Monday."""
MODELS = (
    "staging.stg_apple_health__records",
    "staging.stg_apple_health__activity_summaries",
    "staging.stg_apple_health__workouts",
    "staging.stg_strava__activities",
    "staging.stg_strava__activity_details",
    "staging.stg_strava__recordings",
    "staging.stg_strava__recording_samples",
    "staging.stg_fit__recordings",
    "staging.stg_fit__recording_samples",
    "staging.stg_stays__stays",
    "marts.stays",
    "marts.health_measures_daily",
    "marts.sleep_nights",
    "marts.health_daily",
    "marts.activity_merges",
    "marts.activity_samples",
    "marts.activity_heart_rate",
    "marts.activities",
    "marts.athletic_performance_weekly",
)
MERGES = [name for name in MODELS if "__" in name and "summaries" not in name]
MERGES += ["marts.activity_merges", "marts.activity_samples"]


@dataclass(frozen=True)
class Drop:
    """A file on its way into the inbox."""

    name: str
    content: bytes


def written(at: datetime) -> str:
    return f"{at:%b} {at.day}, {at:%Y}, {at:%I:%M:%S}\u202f{at:%p}"


def strava(*rows: list[str], **files: bytes) -> Drop:
    """An archive; files are named by their number."""
    path = Path("export.zip")
    named = {f"activities/{name.strip('_')}.fit.gz": gzipped(each) for name, each in files.items()}
    archive(path, table(*rows), named)
    return Drop("export_1.zip", path.read_bytes())


def health(*elements: str) -> Drop:
    path = zipped(Path("health.zip"), xml(*elements))
    return Drop("health.zip", path.read_bytes())


def answer(number: int, start: datetime, **more: Any) -> Drop:
    """An activity of Strava's API, which says local times as if they were UTC."""
    at = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    activity = {"id": number, "start_date": at, "start_date_local": "2031-01-01T00:00:00Z",
                "athlete": {"id": 1}, "upload_id": 2, "type": "Ride", "moving_time": 60,
                "elapsed_time": 60, **more}  # fmt: skip
    return Drop("answer.json", json.dumps([activity]).encode())


def workout(start: datetime, seconds: int, kind: str = "Cycling") -> str:
    end = start + timedelta(seconds=seconds)
    return (
        f'<Workout workoutActivityType="HKWorkoutActivityType{kind}" duration="{seconds / 60}" '
        f'durationUnit="min" sourceName="Watch" startDate="{start:%Y-%m-%d %H:%M:%S} +0000" '
        f'endDate="{end:%Y-%m-%d %H:%M:%S} +0000"/>'
    )


@dataclass(frozen=True)
class Sport:
    """A home, its lake, and the tables that the models make of it."""

    home: Home
    first: Path
    """What the models read must be there: a copy of lake and archive with a file of each kind."""
    opened: duckdb.DuckDBPyConnection
    sql: dict[str, str]

    def of(self, *drops: Drop, models: Sequence[str] = MODELS) -> Sport:
        """Take files in, in place of all before but the first."""
        for folder in (self.home.lake, self.home.archive):
            shutil.rmtree(folder)
            shutil.copytree(self.first / folder.name, folder)
        self.take(*drops, since=1.7e9)
        for name in models:
            self.opened.execute(f"create or replace table {name} as {self.sql[name]}")
        return self

    def take(self, *drops: Drop, since: float) -> None:
        """Each was captured a day after the one before."""
        for number, drop in enumerate(drops):
            path = self.home.inbox / drop.name
            path.write_bytes(drop.content)
            os.utime(path, (since + number * 1e5, since + number * 1e5))
            receipt = ingest_file(self.home, [APPLE_HEALTH, STRAVA, FIT], path, NOW).receipt
            assert receipt.problem is None

    def rows(self, sql: str) -> list[dict[str, Any]]:
        found = self.opened.execute(sql)
        names = [column[0] for column in found.description]
        return [
            {name: value for name, value in zip(names, each, strict=True) if value is not None}
            for each in found.fetchall()
        ]

    def activities(self) -> list[dict[str, Any]]:
        return self.rows("select * from marts.activities where day > '2000-01-01' order by all")

    def merged(self) -> set[frozenset[str]]:
        """Which feeds' records are one activity, by their start."""
        found = defaultdict(set)
        for each in self.rows("select * from marts.activity_merges where start_at > '2000-01-01'"):
            found[each["activity_id"]].add(f"{each['feed']} {each['start_at']:%d %H:%M:%S}")
        return {frozenset(each) for each in found.values()}


@pytest.fixture(scope="module")
def sport(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Iterator[Sport]:
    root = tmp_path_factory.mktemp("sport")
    home = Home(root / "home").ensure()
    old = datetime(1999, 5, 1, tzinfo=UTC)
    with pytest.MonkeyPatch.context() as patched, home_database() as opened:
        patched.chdir(root)
        sport = Sport(home, root / "first", opened, compiled.of(home, *MODELS))
        sport.take(
            health(
                record("HeartRate", "1999-05-01 00:00:00", "1999-05-01 00:00:00", "60"),
                workout(old, 60),
                '<ActivitySummary dateComponents="1999-05-01"/>',
            ),
            strava(row(1, written(old + timedelta(days=1))), _1=ride(old + timedelta(days=1), 3)),
            Drop("old.fit", ride(old + timedelta(days=2), 3)),
            answer(1, old + timedelta(days=3)),
            since=1.6e9,
        )
        write_nothing(home, STAYS)
        for folder in (home.lake, home.archive):
            shutil.copytree(folder, sport.first / folder.name)
        yield sport


def test_an_answer_of_the_service_has_its_own_zone(sport: Sport) -> None:
    late = datetime(2024, 1, 15, 23, 30, tzinfo=UTC)
    sport.of(answer(8, late, timezone="(GMT+09:00) Asia/Tokyo", elapsed_time=600))
    [activity] = sport.activities()
    assert (activity["zone"], activity["zone_origin"]) == ("Asia/Tokyo", "event")
    assert activity["day"] == date(2024, 1, 16)


def test_a_ride_that_four_files_tell_of_is_one_and_each_figure_has_its_winner(sport: Sport) -> None:
    garmin = ride(START, 600)
    cells = {"distance_2": "3050.5", "moving_time": "590", "elevation_gain": "33",
             "average_heart_rate": "139", "filename": "activities/1.fit.gz",
             "elapsed_time": "600", "relative_effort": "25"}  # fmt: skip
    sport.of(
        strava(row(7, written(START), **cells), _1=garmin),
        Drop("same.fit", garmin),
        Drop("watch.fit", ride(START + timedelta(seconds=20), 570, serial=5, heart_rate=None)),
        answer(7, START, elapsed_time=600, name="Another name", device_name="Edge"),
        health(
            workout(START + timedelta(seconds=10), 620),
            record("HeartRate", "2024-01-15 07:35:00", "2024-01-15 07:35:00", "199", device=WATCH),
        ),
    )
    [activity] = sport.activities()
    assert activity["activity_id"] == "strava/7"
    assert activity["records"] == 6
    assert activity["feeds"] == ["apple_health", "fit", "strava", "strava_api", "strava_file"]
    assert (activity["kind"], activity["name"]) == ("ride", "Activity 7")
    assert (activity["distance_m"], activity["elevation_gain_m"]) == (3050.5, 33)
    assert (activity["heart_rate_average"], activity["moving_seconds"]) == (140, 590)
    assert activity["samples"] == 600
    assert '"heart_rate_average":"file"' in activity["told_by"]
    assert '"distance_m":"strava"' in activity["told_by"]
    rules = {each["feed"] + " " + each["rule"] for each in sport.rows(
        "select feed, rule from marts.activity_merges where start_at > '2000-01-01'")}  # fmt: skip
    assert rules == {"strava stands", "strava_file same bytes", "fit same bytes", "fit overlap",
                     "apple_health overlap", "strava_api same number"}  # fmt: skip
    samples = sport.rows("select * from marts.activity_samples where measured_at > '2000-01-01'"
                         " order by number")  # fmt: skip
    assert [each["number"] for each in samples] == list(range(1, 601))
    assert {each["heart_rate"] for each in samples} == {140}
    assert samples[10]["measured_at"] == (START + timedelta(seconds=10)).replace(tzinfo=None)


def test_a_week_has_its_load_zones_and_the_body_beside_it(sport: Sport) -> None:
    sport.of(
        Drop("hard.fit", ride(START, 600, heart_rate=200)),
        Drop("easy.fit", ride(START + timedelta(days=6, hours=10), 600, heart_rate=130)),
        Drop("next.gpx", gpx(START + timedelta(days=7), 60)),
        strava(row(3, written(START + timedelta(days=2)), "Yoga", elapsed_time="3600"),
               _1=ride(datetime(1999, 6, 1, tzinfo=UTC), 3)),
        health(
            record("RestingHeartRate", "2024-01-15 00:00:00", "2024-01-15 00:00:00", "50"),
            record("RestingHeartRate", "2024-01-21 00:00:00", "2024-01-21 00:00:00", "54"),
            record("SleepAnalysis", "2024-01-16 22:00:00", "2024-01-17 05:00:00",
                   "HKCategoryValueSleepAnalysisAsleepCore", unit=None),
        ),
    )  # fmt: skip
    first, second = sport.rows(
        "select * from marts.athletic_performance_weekly where week > '2000-01-01' order by week"
    )
    assert (first["week"], second["week"]) == (date(2024, 1, 15), date(2024, 1, 22))
    assert (first["activities"], first["distance_km"], first["elevation_m"]) == (3, 6, 24)
    assert first["maximum_heart_rate"] == 200
    # 130 of 200 is in the second zone
    assert (first["zone_5_minutes"], first["zone_2_minutes"]) == (10, 10)
    assert first["load"] == 70
    assert first["hours_without_heart_rate"] == 1
    assert first["moving_hours"] == pytest.approx(1.333)
    assert (first["resting_heart_rate"], first["sleep_hours"]) == (52, 7)
    assert (second["zone_3_minutes"], second["activities"]) == (1, 1)
    assert "notes" not in first


def test_a_workout_without_a_file_has_its_heart_rate_from_the_watch(sport: Sport) -> None:
    beats = [
        record("HeartRate", f"{START + timedelta(seconds=n):%Y-%m-%d %H:%M:%S}",
               f"{START + timedelta(seconds=n):%Y-%m-%d %H:%M:%S}", "150", device=WATCH)
        for n in range(0, 600, 5)
    ]  # fmt: skip
    sport.of(health(workout(START, 600, "Running"), *beats), Drop("x.fit", ride(START, 3)))
    [found] = sport.rows(
        "select * from marts.activity_heart_rate where activity_id like 'apple_health/%'"
        " and month > '2000-01-01'"
    )
    assert (found["heart_rate"], found["seconds"]) == (150, 119 * 5 + 1)


def test_time_without_a_reading_counts_at_the_average(sport: Sport) -> None:
    told = workout(START, 600, "Running").replace(
        "/>",
        '><WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" average="130" '
        'maximum="200" unit="count/min"/></Workout>',
    )
    beats = [
        record("HeartRate", at, at, "200", device=WATCH)
        for n in range(0, 60, 10)
        for at in [f"{START + timedelta(minutes=2, seconds=n):%Y-%m-%d %H:%M:%S}"]
    ]
    sport.of(health(told, *beats))
    [week] = sport.rows("select * from marts.athletic_performance_weekly where week > '2000-01-01'")
    # five times ten seconds and one, and the rest of ten minutes
    assert week["zone_5_minutes"] == pytest.approx(51 / 60, abs=0.001)
    assert week["zone_2_minutes"] == pytest.approx((600 - 51) / 60, abs=0.001)


def test_neighbours_other_kinds_and_a_second_lap_are_not_merged(sport: Sport) -> None:
    hour = timedelta(hours=1)
    sport.of(
        Drop("a.fit", ride(START, 1200)),
        Drop("b.fit", ride(START + timedelta(seconds=1200), 1200)),
        # it takes up half of the time with each: that is not more than half
        health(
            workout(START, 2400),
            workout(START + 3 * hour, 600, "Yoga"),
            workout(START + 5 * hour, 600),
        ),
        Drop("c.fit", ride(START + 3 * hour, 600)),
        Drop("d.fit", ride(START + 5 * hour + timedelta(seconds=100), 600)),
    )
    together = [each for each in sport.merged() if len(each) > 1]
    assert together == [frozenset({"apple_health 15 12:30:00", "fit 15 12:31:40"})]


def test_a_month_built_alone_is_as_it_is_among_all(sport: Sport) -> None:
    night = datetime(2024, 1, 31, 23, 50, tzinfo=UTC)
    beats = [
        record("HeartRate", f"{at:%Y-%m-%d %H:%M:%S}", f"{at:%Y-%m-%d %H:%M:%S}", "150",
               device=WATCH)
        for at in (night + timedelta(days=1, seconds=n) for n in range(0, 1200, 60))
    ]  # fmt: skip
    sport.of(
        Drop("late.fit", ride(night, 1200)),
        Drop("second.fit", ride(night + timedelta(minutes=11), 600, serial=5)),
        Drop("next.fit", ride(night + timedelta(days=2), 60)),
        strava(row(1, written(night + timedelta(days=28))), _1=ride(night - timedelta(days=9), 60)),
        health(
            workout(night + timedelta(minutes=10), 700), workout(night + timedelta(days=1), 1200),
            *beats,
        ),
    )  # fmt: skip
    partitioned = [name for name in MODELS if name.startswith("marts.activity_")]
    for name in partitioned:
        months = sport.opened.execute(f"select distinct month from {name} order by 1").fetchall()
        assert [month for (month,) in months][-2:] == [date(2024, 1, 1), date(2024, 2, 1)], name
        for (month,) in months:
            after = (month + timedelta(days=32)).replace(day=1)
            sql = sport.sql[name].replace(f"'{EARLIEST}'", f"'{month}'")
            sql = sql.replace(f"'{LATEST}'", f"'{after}'")
            alone = sport.opened.execute(f"select * from ({sql}) order by all").fetchall()
            whole = sport.opened.execute(
                f"select * from {name} where month = '{month}' order by all"
            ).fetchall()
            assert alone == whole, (name, month)
            assert whole


def fault(faults: Path, name: str) -> Drop:
    path = faults / name
    return Drop(path.name, path.read_bytes())


def test_what_a_summary_lacks_comes_from_the_samples(sport: Sport, faults: Path) -> None:
    sport.of(
        fault(faults, "fit_no_average_in_summary.fit"),
        fault(faults, "fit_developer_power/06_developer.fit"),
    )
    found = {f"{each['day']:%m-%d}": each for each in sport.activities()}
    assert found["03-19"]["heart_rate_average"] == found["03-19"]["heart_rate_highest"] == 150
    power = found["05-06"]
    assert (power["power_average"], power["power_highest"]) == (254.5, 259)
    assert '"power_average":"file"' in power["told_by"]


def test_a_pulse_of_nothing_is_none(sport: Sport, faults: Path) -> None:
    sport.of(
        fault(faults, "fit_heart_rate_zero.fit"),
        strava(row(1, "Mar 6, 2024, 7:30:00 AM", elapsed_time="1800", average_heart_rate="0",
                   max_heart_rate_2="0", average_watts="0", max_watts="0",
                   weighted_average_power="0"), _1=ride(datetime(1999, 6, 1, tzinfo=UTC), 3)),
        answer(7, datetime(2024, 3, 7, tzinfo=UTC), average_heartrate=0, average_watts=0.0),
        health(workout(datetime(2024, 3, 8, tzinfo=UTC), 600).replace(
            "/>", '><WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" average="0" '
            'maximum="0" unit="count/min"/></Workout>')),
    )  # fmt: skip
    activities = sport.activities()
    assert len(activities) == 4
    for each in activities:
        assert not [name for name in each if name.startswith(("heart_rate", "power"))]
    [week] = sport.rows("select * from marts.athletic_performance_weekly where week > '2000-01-01'")
    assert week["hours_without_heart_rate"] == pytest.approx(
        0.5 + 0.5 + 600 / 3600 + 60 / 3600, 0.01
    )
    [samples] = sport.rows(
        "select count(*) as count, count(heart_rate) as known from marts.activity_samples"
        " where month > '2000-01-01'"
    )
    assert samples == {"count": 1800, "known": 0}


def test_samples_bound_a_session_that_begins_weeks_before_them(sport: Sport, faults: Path) -> None:
    sport.of(fault(faults, "fit_bad_start/09_absurd.fit"))
    [found] = sport.activities()
    assert found["day"] == date(2026, 5, 9)
    assert (found["end_at"] - found["start_at"]).total_seconds() == 119


def test_highest_of_a_summary_does_not_hide_a_higher_sample(sport: Sport) -> None:
    """Devices that sum up their laps may forget what was between two of them."""
    at = fit_seconds(START)
    fit = Fit().define(0, 20, [(253, "uint32"), (3, "uint8"), (7, "uint16")])
    for n in range(100):
        fit.write(0, at + n, 188 if n == 50 else 150, 900 if n == 50 else 200)
    fit.define(
        1, 19, [(253, "uint32"), (2, "uint32"), (8, "uint32"), (16, "uint8"), (20, "uint16")]
    )
    fit.write(1, at + 99, at, 99_000, 160, 300)
    fit.define(2, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32"), (17, "uint8"),
                       (21, "uint16")])  # fmt: skip
    fit.write(2, at + 99, at, 2, 99_000, 160, 300)
    sport.of(Drop("x.fit", fit.bytes()))
    [found] = sport.activities()
    assert (found["heart_rate_highest"], found["power_highest"]) == (188, 900)


WORDS = {
    "ride": ["Ride", "Virtual Ride", "E-Mountain Bike Ride", "Radfahrt", "Virtuelle Radfahrt",
             "Vélo", "Sortie à vélo", "Bicicleta", "Giro in bici", "Pedalada", "Fietsrit",
             "Cykeltur", "Jazda na rowerze", "Jazda na rowerze górskim", "Bisiklet Sürüşü",
             "Велозаезд", "ライド", "バーチャルライド", "라이딩", "骑行", "虚拟骑行"],
    "run": ["Run", "TrailRun", "Lauf", "Virtueller Lauf", "Course à pied", "Carrera", "Corsa",
            "Corrida", "Hardlopen", "Bieg", "Löpning", "Løb", "Пробежка", "ランニング",
            "달리기", "跑步"],
    "swim": ["Swim", "Schwimmen", "Natation", "Natación", "Nuoto", "Zwemmen", "Pływanie", "水泳"],
    "row": ["Rowing", "Canoeing", "Rudern", "Aviron", "Remo", "Wioślarstwo", "划船"],
    "ski": ["Nordic Ski", "Backcountry Ski", "Skilanglauf", "Ski de randonnée", "Esquí alpino",
            "Narciarstwo alpejskie", "Snowboard", "スキー"],
    "hike": ["Hike", "Wanderung", "Randonnée", "Senderismo", "Wędrówka", "ハイキング", "徒步"],
    "walk": ["Walk", "Spaziergang", "Marche", "Caminata", "Passeggiata", "Spacer", "걷기"],
    "climb": ["Rock Climb", "Klettern", "Escalade", "Wspinaczka"],
    "strength": ["Weight Training", "Krafttraining", "Musculation", "Trening siłowy"],
    "yoga": ["Yoga", "Joga", "ヨガ"],
    "skate": ["Ice Skate", "Eislauf", "Inline Skate", "Patinage", "Jazda na łyżwach"],
    "gym": ["Elliptical", "Stair-Stepper"],
    # of no kind that we know: these hold letters of one
    None: ["Workout", "Training", "Rower", "Kayak", "Motorcycling", "Wyścig miejski", "Trampolin",
           "トランポリン", "Golf", "Swim Bike Run", "Crowd", "Throwing", "Jet Ski", "Bikini", ""],
}  # fmt: skip


def test_kinds_are_known_by_whole_words_in_many_languages(sport: Sport) -> None:
    named = [(kind, word) for kind, words in WORDS.items() for word in words]
    rows = [
        row(n + 2, written(START + timedelta(days=n)), word, elapsed_time="600")
        for n, (_, word) in enumerate(named)
    ]
    sport.of(strava(*rows, _1=ride(datetime(1999, 6, 1, tzinfo=UTC), 3)))
    found = [
        (each.get("kind"), word)
        for each, (_, word) in zip(
            sorted(sport.activities(), key=lambda each: each["day"]), named, strict=True
        )
    ]
    assert found == named


def test_a_word_that_nobody_knows_leaves_the_kind_to_the_file(sport: Sport, faults: Path) -> None:
    sport.of(
        fault(faults, "strava_polish/pl.zip"),
    )
    found = {each["name"]: each["kind"] for each in sport.activities()}
    assert found == {"Popołudniowa jazda": "ride", "Poranny bieg": "run"}
    greek = {"elapsed_time": "60", "filename": "activities/1.fit.gz"}
    sport.of(strava(row(2, written(START), "Ποδηλασία", **greek), _1=ride(START)))
    [found_one] = sport.activities()
    assert (found_one["kind"], found_one["records"]) == ("ride", 2)


@st.composite
def lives(draw: st.DrawFn) -> list[tuple[datetime, int, int]]:
    """Rides that do not overlap: start, seconds, and who recorded them, in bits."""
    at = START
    found = []
    for _ in range(draw(st.integers(1, 4))):
        at += timedelta(minutes=draw(st.integers(1, 2_000)))
        seconds = draw(st.integers(120, 600))
        found.append((at, seconds, draw(st.integers(1, 7))))
        at += timedelta(seconds=seconds + 60)
    return found


@given(lives(), st.permutations(range(3)), st.booleans())
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_the_order_of_drops_changes_nothing_and_no_two_rides_become_one(
    sport: Sport, life: list[tuple[datetime, int, int]], order: list[int], twice: bool
) -> None:
    late = timedelta(seconds=15)
    drops = [
        strava(
            *(row(n, written(at), elapsed_time=f"{s}") for n, (at, s, who) in enumerate(life)
              if who & 1),
            _1=ride(datetime(1999, 6, 1, tzinfo=UTC), 3),
        ),
        health(*(workout(at + late, s) for at, s, who in life if who & 2)),
        *(Drop(f"{n}.fit", ride(at - late, s)) for n, (at, s, who) in enumerate(life) if who & 4),
    ]  # fmt: skip
    mixed = sorted(drops, key=lambda drop: order[min(drops.index(drop), 2)])
    sport.of(*drops, models=MERGES)
    merged, content = sport.merged(), sport.rows("select * from marts.activity_merges order by all")
    feeds = {1: ("strava", timedelta(0)), 2: ("apple_health", late), 4: ("fit", -late)}
    assert merged == {
        frozenset(f"{feed} {at + shift:%d %H:%M:%S}" for bit, (feed, shift) in feeds.items()
                  if who & bit)
        for at, _, who in life
    }  # fmt: skip
    sport.of(*mixed, *(drops if twice else []), models=MERGES)
    assert sport.rows("select * from marts.activity_merges order by all") == content
