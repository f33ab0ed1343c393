"""Random histories of a stream against a service that keeps its own truth: whatever happened, one
more good fetch has every row as the service has it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import Phase, given, note, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest import fetch, lake
from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source, Window
from personal_pipeline.ingest.coverage import (
    CHUNK_DAYS,
    forget_days,
    settled_with,
    spans,
    windows_due,
    windows_of,
    without_days,
)
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.memory import recall

BEGIN = datetime(2026, 3, 1, 5, 0, tzinfo=UTC)
DAY = timedelta(days=1)
DAYS = st.integers(0, 90).map(lambda n: BEGIN.date() + n * DAY)


class Killed(BaseException):
    """The process is gone: nothing after this runs."""


@dataclass
class Service:
    """Keeps records by id, and when each was last touched. ``breaks`` says what happens after so
    many records of an answer."""

    now: datetime = BEGIN
    tells_time: bool = True
    records: dict[str, Record] = field(default_factory=dict)
    touched: dict[str, date] = field(default_factory=dict)
    breaks: tuple[int, BaseException] | None = None

    def put(self, key: str, day: date, version: int) -> None:
        self.records[key] = {"id": key, "day": day.isoformat(), "version": version}
        self.touched[key] = self.now.date()

    def created_in(self, _client: Client, window: Window) -> Iterator[Record]:
        return self._answer(
            [r for r in self.records.values() if f"{window.start}" <= r["day"] < f"{window.end}"]
        )

    def touched_in(self, _client: Client, window: Window) -> Iterator[Record]:
        return self._answer(
            [r for k, r in self.records.items() if window.start <= self.touched[k] < window.end]
        )

    def all(self, _client: Client) -> Iterator[Record]:
        return self._answer(list(self.records.values()))

    def _answer(self, records: list[Record]) -> Iterator[Record]:
        for number, record in enumerate(records):
            if self.breaks and number >= self.breaks[0]:
                raise self.breaks[1]
            yield dict(record)
        if self.breaks and self.breaks[0] < 4:
            raise self.breaks[1]


class ClientOf(Client):
    def __init__(self, service: Service) -> None:
        super().__init__("test", "http://127.0.0.1:9", per_second=1, refused="")
        self.of = service

    def service_time(self) -> datetime | None:
        return self.of.now if self.of.tells_time else None


def stream_of(service: Service, kind: str, refetch: int, grain: Grain = Grain.DAY) -> ApiStream:
    stream = ApiStream(
        name="things",
        description="One thing.",
        grain=grain,
        key=lambda record: str(record["id"]),
        days=lambda record: (date.fromisoformat(record["day"]),),
        required={"id": str, "day": str},
        refetch_days=refetch,
    )
    if kind == "window":
        return replace(stream, fetch=service.created_in)
    if kind == "picture":
        return replace(stream, fetch_all=service.all, coverage=Coverage.FULL)
    part = replace(stream, fetch=service.touched_in, coverage=Coverage.PART)
    return part if kind == "part" else replace(part, fetch_all=service.all)


@dataclass(frozen=True)
class Step:
    """Hours pass in which the service's records come and change; then something happens."""

    hours: int
    events: tuple[tuple[int, int, int], ...]
    """Which record, how many days back at most, and the version that it gets."""
    then: str
    number: int
    ahead: int
    """By how many hours this machine's clock is ahead."""


STEPS = st.lists(
    st.builds(
        Step,
        hours=st.one_of(st.integers(0, 30), st.integers(30, 24 * 12)),
        events=st.lists(
            st.tuples(st.integers(0, 30), st.integers(0, 6), st.integers(0, 9)), max_size=5
        ).map(tuple),
        then=st.sampled_from(
            ["look"] * 6
            + ["service breaks", "code breaks", "killed reading", "killed writing"]
            + ["state deleted", "day deleted", "earlier beginning", "by hand", "wrong clock"]
        ),
        number=st.integers(0, 12),
        ahead=st.sampled_from([0, 0, 0, 0, 20, -20]),
    ),
    max_size=8,
)
WRONG = (60, -60, -200, 100, 3, -3)


def happens(service: Service, step: Step, refetch: int, first: date, *, deletes: bool) -> None:
    """The events of the hours of a step, in order. What is of a day comes and changes until the
    end of its revision span, and no later."""
    start = service.now
    for place, (number, back, version) in enumerate(step.events, 1):
        service.now = start + timedelta(hours=step.hours) * place / (len(step.events) + 1)
        earliest = max((service.now - timedelta(days=max(refetch, 1))).date(), first)
        key = f"r{number}"
        there = service.records.get(key)
        if there is None:
            service.put(key, max(service.now.date() - back * DAY, earliest), version)
        elif date.fromisoformat(there["day"]) >= earliest:
            if version == 0 and deletes:
                del service.records[key]
            else:
                service.put(key, date.fromisoformat(there["day"]), version)
    service.now = start + timedelta(hours=step.hours)


def killed_after(writes: int) -> mock._patch:  # type: ignore[type-arg]
    real, left = write_atomically, [writes]

    def write(path: Path, content: bytes) -> None:
        if left[0] == 0:
            raise Killed
        left[0] -= 1
        real(path, content)

    return mock.patch.object(lake, "write_atomically", write)


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
@pytest.mark.parametrize("kind", ["window", "part", "part with full pass", "picture"])
def test_every_history_ends_in_the_truth(kind: str, grain: Grain) -> None:
    @settings(max_examples=30 if kind == "window" else 12, deadline=None, phases=[Phase.generate])
    @given(steps=STEPS, refetch=st.integers(0, 5), tells_time=st.booleans())
    def check(steps: list[Step], refetch: int, tells_time: bool) -> None:
        folder = Path(tempfile.mkdtemp())
        # kills here are of the process, not of the power: waiting for the disk shows nothing
        with mock.patch.object(os, "fsync"):
            try:
                run(Home(folder).ensure(), kind, grain, steps, refetch, tells_time=tells_time)
            finally:
                shutil.rmtree(folder)

    check()


def run(
    home: Home, kind: str, grain: Grain, steps: list[Step], refetch: int, *, tells_time: bool
) -> None:
    service = Service(tells_time=tells_time)
    stream = stream_of(service, kind, refetch, grain)
    source = Source(name="test", title="Test", description="", api=(stream,))
    client = ClientOf(service)
    beginning = BEGIN.date() - 10 * DAY
    # so that what the service has before the first fetch is there too
    for number in range(40, 44):
        service.put(f"r{number}", beginning + (number - 50) * DAY, 1)

    def fetched(now: datetime, window: Window | None = None) -> fetch.FetchResult:
        return fetch.fetch_stream(
            home, source, stream, client, now=now, beginning=beginning, window=window
        )

    for step in steps:
        happens(service, step, refetch, BEGIN.date() - 10 * DAY, deletes=kind != "part")
        now = service.now + timedelta(hours=step.ahead)
        note(f"{now} {step.then} {step.number}")
        if step.then in ("service breaks", "code breaks", "killed reading"):
            error: BaseException = Killed()
            if step.then == "service breaks":
                error = ServiceError(Failure.SERVICE_DOWN, "test: HTTP 500")
            if step.then == "code breaks":
                error = ZeroDivisionError()
            service.breaks = (step.number, error)
        try:
            if step.then == "killed writing":
                with killed_after(step.number * 3):
                    fetched(now)
            elif step.then == "wrong clock":
                far = timedelta(days=WRONG[step.number % len(WRONG)])
                if not service.tells_time:
                    # nobody can tell that it is behind, and what it leaves is in the past for ever
                    far = abs(far)
                assert fetched(now + far).failure or not service.tells_time
            elif step.then == "by hand":
                start = now.date() - step.number * DAY
                fetched(now, Window(start, start + 3 * DAY))
            elif step.then == "state deleted":
                shutil.rmtree(home.state)
                home.ensure()
            elif step.then == "day deleted":
                days = lake.lake_of(home, "test", stream).partitions()
                if days:
                    day = days[step.number % len(days)]
                    lake.lake_of(home, "test", stream).path(day).unlink()
            elif step.then == "earlier beginning":
                beginning -= step.number * DAY
            else:
                fetched(now)
        except Killed:
            pass
        service.breaks = None
    service.now += timedelta(hours=1)
    last = fetched(service.now)
    assert last.failure is None
    today = service.now.date()
    kept = lake.lake_of(home, "test", stream)
    found = {
        (day, row.key): row.record for each in kept.partitions() for day, row in kept.filed(each)
    }
    truth = {
        (date.fromisoformat(record["day"]), key): record
        for key, record in service.records.items()
        if kind != "window" or date.fromisoformat(record["day"]) >= beginning
    }
    assert found == truth
    assert max(kept.partitions()) <= today + DAY
    if kind == "window":
        assert kept.partitions()[0] == kept.partition_of(beginning)
        assert kept.partition_of(today) in kept.partitions()


@given(days=st.sets(DAYS))
def test_windows_are_the_same_days_in_pieces(days: set[date]) -> None:
    pieces = list(spans(sorted(days)))
    assert [day for window in pieces for day in window.days()] == sorted(days)
    assert all((window.end - window.start).days <= CHUNK_DAYS for window in pieces)
    assert {day for window in windows_of(days) for day in window.days()} == days


@given(days=st.sets(DAYS), away=st.sets(DAYS))
def test_days_are_forgotten_one_by_one(days: set[date], away: set[date]) -> None:
    left = without_days(windows_of(days), away)
    assert {day for window in left for day in window.days()} == days - away


def test_a_day_is_settled_when_it_was_asked_for_after_its_span() -> None:
    asked = Window(date(2026, 11, 1), date(2026, 11, 22))
    at = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    assert settled_with((), asked, at, 3) == (Window(date(2026, 11, 1), date(2026, 11, 18)),)
    assert settled_with((), asked, at, 0) == (Window(date(2026, 11, 1), date(2026, 11, 20)),)
    midnight = datetime.combine(at.date(), time(), UTC)
    assert settled_with((), asked, midnight, 3)[0].end == date(2026, 11, 18)
    assert settled_with((), asked, midnight - timedelta(seconds=1), 3)[0].end == date(2026, 11, 17)


def test_nothing_is_due_before_the_beginning() -> None:
    """A clock of 1995 made a day of 1995, and later fetches all the days from there."""
    assert windows_due((), (), date(2026, 1, 1), date(1995, 5, 5)) == []


def test_days_off_leave_no_half_day(tmp_path: Path) -> None:
    """The case of the issue: looked at each day at 06:00, off from the 11th to the 15th."""
    home = Home(tmp_path / "home").ensure()
    service = Service()
    stream = stream_of(service, "window", 3)
    source = Source(name="test", title="Test", description="", api=(stream,))

    def fetched(day: int) -> None:
        service.now = datetime(2026, 11, day, 6, 0, tzinfo=UTC)
        fetch.fetch_stream(
            home, source, stream, ClientOf(service), now=service.now, beginning=date(2026, 11, 1)
        )

    for day in range(5, 10):
        fetched(day)
    service.put("early", date(2026, 11, 10), 1)
    fetched(10)
    service.put("late", date(2026, 11, 10), 1)
    fetched(16)
    kept = lake.lake_of(home, "test", stream)
    assert set(kept.read(date(2026, 11, 10))) == {"early", "late"}
    # and what is settled is left in peace
    assert recall(home, "test", "things").settled == (
        Window(date(2026, 11, 1), date(2026, 11, 13)),
    )
    forget_days(home, "test", "things", [date(2026, 11, 3)])
    service.put("found", date(2026, 11, 3), 1)
    fetched(17)
    assert set(kept.read(date(2026, 11, 3))) == {"found"}
