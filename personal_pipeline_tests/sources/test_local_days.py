"""To which day of whose calendar something belongs: exports and stays through the inbox and the
lake, then the SQL that dbt made of the models. The home is in Los Angeles."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources.apple_health import APPLE_HEALTH
from personal_pipeline.sources.stays import STAYS
from personal_pipeline_tests.sources.apple_health_exports import record, xml, zipped
from personal_pipeline_tests.sql.compiled import Compiled, home_database

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOME = ZoneInfo("America/Los_Angeles")
MODELS = (
    "staging.stg_apple_health__activity_summaries",
    "staging.stg_apple_health__records",
    "staging.stg_stays__stays",
    "marts.stays",
    "marts.health_measures_daily",
    "marts.sleep_nights",
    "marts.health_daily",
)
ALWAYS = (
    record("DietaryWater", "1990-05-01 00:00:00", "1990-05-01 00:00:00", "1"),
    '<ActivitySummary dateComponents="1990-05-01"/>',
)


def measured(measure: str, zone: ZoneInfo, start: str, end: str, value: str, *,
             unit: str | None = "count", told: str = "") -> str:  # fmt: skip
    """A record by the clock of a zone, which the export does not tell; ``told`` is what it does."""
    first, last = (
        datetime.fromisoformat(each).replace(tzinfo=zone).astimezone(UTC) for each in (start, end)
    )
    within = f'<MetadataEntry key="HKTimeZone" value="{told}"/>' if told else ""
    return record(measure, f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}", value,
                  unit=unit, within=within)  # fmt: skip


def slept(zone: ZoneInfo, start: str, end: str) -> str:
    return measured("SleepAnalysis", zone, start, end, "HKCategoryValueSleepAnalysisAsleepCore",
                    unit=None)  # fmt: skip


def steps(zone: ZoneInfo, at: str, count: int, told: str = "") -> str:
    return measured("StepCount", zone, at, at, f"{count}", told=told)


@dataclass(frozen=True)
class Life:
    """A home, its lake, and the tables that the models make of it."""

    home: Home
    opened: duckdb.DuckDBPyConnection
    sql: dict[str, str]

    def of(self, *elements: str, stays: str = "") -> Life:
        """Take an export and stays in, in place of all before."""
        for folder in (self.home.lake, self.home.archive):
            shutil.rmtree(folder, ignore_errors=True)
        export = zipped(self.home.inbox / "export.zip", xml(*ALWAYS, *elements))
        kept = self.home.inbox / "stays.csv"
        kept.write_text(f"place,zone,from,to\nNowhere,UTC,1990-01-01,1990-01-02\n{stays}")
        for path, source in ((export, APPLE_HEALTH), (kept, STAYS)):
            os.utime(path, (NOW.timestamp(), NOW.timestamp()))
            receipt = ingest_file(self.home, [source], path, NOW).receipt
            assert (receipt.problem, receipt.unreadable) == (None, 0)
        for name, sql in self.sql.items():
            self.opened.execute(f"create or replace table {name} as {sql}")
        return self

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.opened.execute(sql).fetchall()

    def nights(self) -> list[tuple[str, float]]:
        """Day and minutes of each night."""
        return self.rows(
            "select day::varchar, asleep_minutes from marts.sleep_nights where is_counted"
            " order by start_at"
        )

    def steps(self) -> dict[str, int]:
        return dict(self.rows("select day::varchar, steps from marts.health_daily where steps > 0"))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Iterator[Life]:
    home = Home(tmp_path_factory.mktemp("life") / "home").ensure()
    with home_database() as opened:
        yield Life(home, opened, compiled.of(home, *MODELS, timezone=HOME.key))


def test_two_nights_in_auckland_are_two_nights(life: Life) -> None:
    auckland = ZoneInfo("Pacific/Auckland")
    life.of(
        slept(auckland, "2026-03-10 22:30", "2026-03-11 06:30"),
        slept(auckland, "2026-03-11 23:30", "2026-03-12 07:00"),
        # a nap, on the day of the second night by UTC
        slept(auckland, "2026-03-11 14:00", "2026-03-11 14:30"),
        stays="Auckland,Pacific/Auckland,2026-03-10,2026-03-24\n",
    )
    assert life.nights() == [("2026-03-11", 480), ("2026-03-11", 30), ("2026-03-12", 450)]
    where = life.rows("select distinct zone, zone_origin, place from marts.sleep_nights")
    assert where == [("Pacific/Auckland", "stay", "Auckland")]


def test_steps_of_a_californian_evening_belong_to_that_day(life: Life) -> None:
    life.of(
        steps(HOME, "2026-10-31 09:00", 400),
        # the next day, and the next month, by UTC
        steps(HOME, "2026-10-31 21:30", 1_000),
        steps(HOME, "2026-11-01 00:10", 7),
    )
    assert life.steps() == {"2026-10-31": 1_400, "2026-11-01": 7}
    months = life.rows("select distinct day::varchar, month::varchar from marts.health_daily"
                       " where steps > 0 order by 1")  # fmt: skip
    assert months == [("2026-10-31", "2026-10-01"), ("2026-11-01", "2026-11-01")]


def test_a_midnight_flight_over_the_date_line_has_no_day_twice(life: Life) -> None:
    honolulu, auckland = ZoneInfo("Pacific/Honolulu"), ZoneInfo("Pacific/Auckland")
    life.of(
        steps(honolulu, "2026-03-13 23:30", 100),
        # above the ocean, two hours after take-off
        steps(honolulu, "2026-03-14 01:59", 10),
        steps(auckland, "2026-03-15 08:30", 1),
        stays=(
            "Honolulu,Pacific/Honolulu,2026-03-01,2026-03-13 23:59\n"
            # it took off at midnight, at 23 hours of the 14th by the clock of Auckland
            "Auckland,Pacific/Auckland,2026-03-14 23:00,2026-03-20\n"
        ),
    )
    assert life.steps() == {"2026-03-13": 100, "2026-03-15": 11}


@pytest.mark.parametrize(
    ("night", "minutes"),
    [
        (("2026-03-28 23:30", "2026-03-29 07:00"), 390),
        (("2026-10-24 23:30", "2026-10-25 07:00"), 510),
    ],
)
def test_the_nights_of_the_clock_change_are_as_long_as_they_were(
    life: Life, night: tuple[str, str], minutes: int
) -> None:
    berlin = ZoneInfo("Europe/Berlin")
    life.of(slept(berlin, *night), stays="Berlin,Europe/Berlin,2026-01-01,\n")
    assert life.nights() == [(night[1][:10], minutes)]
    assert life.rows("select local_at::varchar from marts.sleep_nights") == [(f"{night[0]}:00",)]


def test_what_a_device_says_of_its_zone_comes_before_any_stay(life: Life) -> None:
    tokyo = ZoneInfo("Asia/Tokyo")
    life.of(
        # it was still the second of the month everywhere west of Japan
        steps(tokyo, "2026-05-03 07:00", 30, told="Asia/Tokyo"),
        # no name that anybody knows: as if it were not there
        steps(ZoneInfo("Europe/Lisbon"), "2026-05-03 00:20", 5, told="Mars/Olympus"),
        stays="Lisbon,Europe/Lisbon,2026-05-01,2026-05-09\n",
    )
    assert life.steps() == {"2026-05-03": 35}


def test_of_stays_that_overlap_the_one_that_began_last_counts(life: Life) -> None:
    life.of(
        stays=(
            "Berlin,Europe/Berlin,2026-01-20,2026-04-30\n"
            "Tokyo,Asia/Tokyo,2026-02-10,2026-02-12\n"
            "\n"
            "Berlin,Europe/Berlin,2026-01-20,2026-04-30\n"
        )
    )
    found = life.rows(
        "select month::varchar, place, start_at::varchar, end_at::varchar from marts.stays"
        " where month > '2000-01-01' order by start_at"
    )
    assert found == [
        ("2026-01-01", "Berlin", "2026-01-19 23:00:00", "2026-02-01 00:00:00"),
        ("2026-02-01", "Berlin", "2026-02-01 00:00:00", "2026-02-09 15:00:00"),
        ("2026-02-01", "Tokyo", "2026-02-09 15:00:00", "2026-02-12 15:00:00"),
        ("2026-02-01", "Berlin", "2026-02-12 15:00:00", "2026-03-01 00:00:00"),
        ("2026-03-01", "Berlin", "2026-03-01 00:00:00", "2026-04-01 00:00:00"),
        ("2026-04-01", "Berlin", "2026-04-01 00:00:00", "2026-04-30 22:00:00"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Oz,Oz/Emerald,2026-01-01,", "zone: expected the name of a time zone"),
        ("Oz,,2026-01-01,", "zone: expected the name of a time zone"),
        ("Oz,../../etc/passwd,2026-01-01,", "zone: expected the name of a time zone"),
        ("Oz,Asia/Tokyo,01.02.2026,", "from: expected a day such as"),
        ("Oz,Asia/Tokyo,2026-01-01 10:00+09:00,", "from: expected a day such as"),
        ("Oz,Asia/Tokyo,2026-01-05,2026-01-04", "to: expected a day or time that is not before"),
        ("Oz,Asia/Tokyo,2026-01-05 18:00,2026-01-04", "to: expected a day or time"),
    ],
)
def test_a_stay_that_cannot_be_read_is_counted_and_the_others_are_taken(
    tmp_path: Path, line: str, reason: str
) -> None:
    home = Home(tmp_path).ensure()
    path = home.inbox / "stays.csv"
    path.write_text(
        f"\ufeffPlace;Zone;From;To\n{line.replace(',', ';')}\n"
        "Rome;Europe/Rome;2026-01-05 18:00;2026-01-05\n"
    )
    receipt = ingest_file(home, [STAYS], path, NOW).receipt
    assert (receipt.problem, receipt.unreadable) == (None, 1)
    assert receipt.unreadable_why[0].startswith(reason)
    assert "Oz" not in receipt.unreadable_why[0]
    assert [each.new for each in receipt.streams] == [1]
