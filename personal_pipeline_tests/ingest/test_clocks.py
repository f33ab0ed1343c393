"""Clocks that are ahead or behind, for once or for long, against a real server's ``Date``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.utils import format_datetime

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source, Window
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.http import Client, Failure
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.ingest.memory import StreamMemory, recall, remember
from personal_pipeline_tests.loopback import Answer, Request, as_json, loopback

TRUE = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
BEGIN = date(2026, 11, 1)


def fetch(client: Client, window: Window) -> Iterator[Record]:
    rows = client.get_json("/things")
    yield from (r for r in rows if f"{window.start}" <= r["day"] < f"{window.end}")


def stream_of(**more: object) -> ApiStream:
    given: dict[str, object] = {
        "name": "things",
        "description": "One thing.",
        "grain": Grain.DAY,
        "key": lambda record: record["id"],
        "days": lambda record: (date.fromisoformat(record["day"]),),
        "fetch": fetch,
        **more,
    }
    return ApiStream(**given)  # type: ignore[arg-type]


class House:
    """A home, and a server whose time is ``true``; ``told`` off, it does not say it."""

    def __init__(self, home: Home, stream: ApiStream) -> None:
        self.home, self.stream, self.true, self.told = home, stream, TRUE, True
        self.rows: list[Record] = []
        self.asked = 0

    def answer(self, _request: Request) -> Answer:
        self.asked += 1
        dated = {"Date": format_datetime(self.true, usegmt=True)} if self.told else {}
        return replace(as_json(self.rows), headers=dated)

    def fetched(
        self, ahead: timedelta = timedelta(), beginning: date | None = BEGIN
    ) -> FetchResult:
        source = Source(name="test", title="Test", description="", api=(self.stream,))
        with (
            loopback(self.answer) as server,
            Client("test", server.base, per_second=1000, refused="") as client,
        ):
            return fetch_stream(
                self.home,
                source,
                self.stream,
                client,
                now=self.true + ahead,
                beginning=beginning,
            )

    def days(self) -> list[date]:
        return lake_of(self.home, "test", self.stream).partitions()

    def keys(self) -> set[str]:
        lake = lake_of(self.home, "test", self.stream)
        return {row.key for each in lake.partitions() for row in lake.rows(each)}


@pytest.mark.parametrize("days", [60, 2, -2, -400, -7000])
@pytest.mark.parametrize("coverage", [Coverage.WINDOW, Coverage.PART])
def test_a_wrong_clock_writes_nothing(home: Home, days: int, coverage: Coverage) -> None:
    house = House(home, stream_of(coverage=coverage))
    house.fetched()
    before = house.days()
    house.rows = [{"id": "a", "day": "2026-11-20"}]
    failure = house.fetched(timedelta(days=days)).failure
    assert failure is not None
    assert failure.failure is Failure.CLOCK_WRONG
    assert f"{TRUE + timedelta(days=days):%Y-%m-%d}" in str(failure)
    assert "automatic time" in str(failure)
    assert house.days() == before
    # and afterwards nothing is missing
    house.true += timedelta(days=1)
    assert house.fetched().failure is None
    assert house.keys() == {"a"}


@pytest.mark.parametrize("hours", [-20, 20])
def test_a_clock_in_another_zone_is_no_wrong_one(home: Home, hours: int) -> None:
    house = House(home, stream_of())
    assert house.fetched(timedelta(hours=hours)).failure is None


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_a_clock_that_was_ahead_once_costs_nothing(home: Home, grain: Grain) -> None:
    """Also where the service does not tell the time, and so nobody could know."""
    house = House(home, stream_of(grain=grain))
    house.told = False
    house.rows = [{"id": "a", "day": "2026-11-20"}]
    assert house.fetched(timedelta(days=60)).failure is None
    assert max(house.days()) >= date(2027, 1, 1)
    house.true += timedelta(days=30)
    house.rows += [{"id": f"b{n}", "day": f"2026-12-{n:02}"} for n in range(1, 20)]
    result = house.fetched()
    assert house.keys() == {"a", *(f"b{n}" for n in range(1, 20))}
    # a day ahead is no day to come: it may have begun there
    assert max(house.days()) <= house.true.date() + timedelta(days=1)
    assert any("the clock was wrong then" in said for said in result.notes)
    assert any("days in the future" in said for said in result.notes)


def test_no_clock_lies_before_a_time_that_was_agreed(home: Home) -> None:
    house = House(home, stream_of())
    house.fetched()
    house.told = False
    failure = house.fetched(timedelta(days=-3)).failure
    assert failure is not None
    assert failure.failure is Failure.CLOCK_WRONG
    assert "a service agreed with it" in str(failure)


def test_a_clock_before_the_beginning_makes_no_days(home: Home) -> None:
    house = House(home, stream_of())
    house.told = False
    failure = house.fetched(timedelta(days=-6583)).failure
    assert failure is not None
    assert failure.failure is Failure.CLOCK_WRONG
    assert house.days() == []


@pytest.mark.parametrize("coverage", [Coverage.WINDOW, Coverage.FULL])
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_what_an_earlier_version_left_is_taken_back(
    home: Home, coverage: Coverage, grain: Grain
) -> None:
    """6,583 empty days before the beginning, days to come, and a memory of fetches to come."""
    every = {"fetch": None, "fetch_all": lambda client: iter(client.get_json("/things"))}
    more = {} if coverage is Coverage.WINDOW else {"coverage": coverage, **every}
    house = House(home, stream_of(grain=grain, **more))
    lake = lake_of(home, "test", house.stream)
    for n in range(100):
        lake.write(date(2008, 11, 13) + timedelta(days=n), [])
    lake.write(date(2026, 11, 5), [Row("a", {"id": "a", "day": "2026-11-05"})])
    lake.write(date(2027, 1, 5), [])
    lake.write(date(2027, 1, 6), [Row("z", {"id": "z", "day": "2027-01-06"})])
    later = datetime(2027, 1, 20, 6, 0, tzinfo=UTC)
    remember(home, "test", "things", StreamMemory(later, later, later))
    house.rows = [{"id": "a", "day": "2026-11-05"}, {"id": "b", "day": "2026-11-06"}]
    assert house.fetched(beginning=BEGIN).failure is None
    assert house.keys() == {"a", "b"}
    days = [BEGIN + timedelta(days=n) for n in range(21)]
    assert house.days() == (days if grain is Grain.DAY else [BEGIN])
    assert list((home.archive / "lake" / "test" / "things" / "2027-01-06").iterdir())
    assert recall(home, "test", "things").succeeded_at == TRUE


def test_nothing_is_settled_beyond_the_service(home: Home) -> None:
    """Our clock is ahead by less than a day: a day that is not over there is not settled here."""
    house = House(home, stream_of(refetch_days=1))
    house.true = datetime(2026, 11, 21, 23, 0, tzinfo=UTC)
    house.fetched(timedelta(hours=2))
    assert recall(home, "test", "things").settled == (Window(BEGIN, date(2026, 11, 20)),)
