"""Streams of states: a row at each change that a fetch sees, and none is ever taken away."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest import lake as lakes
from personal_pipeline.ingest.contract import HALF, ApiStream, Coverage, Grain, Record, Source
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.http import Client, Failure
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.restoring import held_before, restore
from personal_pipeline_tests.ingest.kills import Killed, killed_at
from personal_pipeline_tests.ingest.test_fetch import Clocked

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
DAY = timedelta(days=1)


@dataclass
class Service:
    """Things by id, as they are now."""

    things: dict[str, object] = field(default_factory=dict)
    grain: Grain = Grain.DAY
    max_loss: float = HALF

    def put(
        self, key: str, status: str, began: str, ended: str | None = None, **more: object
    ) -> None:
        self.things[key] = {"id": key, "status": status, "began": began, "ended": ended, **more}

    def all(self, _client: Client) -> Iterator[Record]:
        yield from list(self.things.values())  # type: ignore[misc]


def stream_of(service: Service) -> ApiStream:
    return ApiStream(
        name="states",
        description="One state.",
        grain=service.grain,
        key=lambda record: str(record["id"]),
        days=lambda record: [
            date.fromisoformat(record[each]) for each in ("began", "ended") if record.get(each)
        ],
        required={"id": str, "status": str},
        fetch_all=service.all,
        coverage=Coverage.HISTORY,
        max_loss=service.max_loss,
        state=lambda record: [record["status"], record.get("ended")],
    )


def source_of(service: Service) -> Source:
    return Source(name="test", title="Test", description="", api=(stream_of(service),))


def fetched(
    home: Home, service: Service, now: datetime = NOW, *, accept: bool = False
) -> FetchResult:
    source = source_of(service)
    return fetch_stream(home, source, source.api[0], Clocked(now), now=now, accept=accept)


def rows(home: Home, grain: Grain = Grain.DAY) -> dict[date, dict[str, Record]]:
    lake = lake_of(home, "test", stream_of(Service(grain=grain)))
    found: dict[date, dict[str, Record]] = {}
    for partition in lake.partitions():
        if not lake.by_day:
            found[partition] = {}
        for day, row in lake.filed(partition):
            found.setdefault(day, {})[row.key] = row.record
    return found


def states(home: Home, key: str, grain: Grain = Grain.DAY) -> list[str]:
    """What was seen of a thing, in order."""
    seen = {
        each: record
        for of_day in rows(home, grain).values()
        for each, record in of_day.items()
        if each.rpartition(" ")[0] == key
    }
    return [record.get("status", "gone") for _, record in sorted(seen.items())]


def test_a_row_is_added_when_the_state_differs_only(home: Home) -> None:
    service = Service()
    service.put("a", "active", "2026-11-01")
    fetched(home, service)
    service.put("a", "active", "2026-11-01", card="another")
    same = fetched(home, service, NOW + DAY)
    assert same.changed == ()
    # "looked, and nothing new" is told of the newest day
    assert [each.partition for each in same.written] == [NOW.date()]
    service.put("a", "unpaid", "2026-11-01", card="another")
    fetched(home, service, NOW + 2 * DAY)
    assert states(home, "a") == ["active", "unpaid"]
    # the record is word for word what the service said
    (kept,) = rows(home)[(NOW + 2 * DAY).date()].values()
    assert kept == service.things["a"]
    (row,) = lake_of(home, "test", stream_of(service)).read((NOW + 2 * DAY).date()).values()
    assert row.as_of is not None
    assert datetime.fromisoformat(row.as_of) == NOW + 2 * DAY


def test_the_first_fetch_files_it_under_all_its_days_and_later_ones_under_none_that_was_over(
    home: Home,
) -> None:
    service = Service()
    service.put("a", "active", "2025-03-04")
    fetched(home, service)
    before = rows(home)
    assert set(before) == {date(2025, 3, 4), NOW.date()}
    # seen three days later: it ended the day before, and says now that it began a year earlier
    service.put("a", "ended", "2024-01-01", "2026-11-23")
    service.put("dated back", "active", "2020-01-01")
    fetched(home, service, NOW + 3 * DAY)
    after = rows(home)
    assert set(after) - set(before) == {date(2026, 11, 23), date(2026, 11, 24)}
    assert {day: after[day] for day in before} == before


def test_two_fetches_on_a_day_keep_both_states(home: Home) -> None:
    service = Service()
    for hour, status in enumerate(["active", "past_due", "active"]):
        service.put("a", status, "2026-11-01")
        fetched(home, service, NOW + timedelta(hours=hour))
    # and at the same instant
    service.put("a", "unpaid", "2026-11-01")
    fetched(home, service, NOW + timedelta(hours=2))
    assert states(home, "a") == ["active", "past_due", "active", "unpaid"]


def test_what_is_gone_is_a_state_too(home: Home) -> None:
    service = Service()
    service.put("a", "active", "2026-11-01")
    service.put("b", "active", "2026-11-01")
    fetched(home, service)
    del service.things["a"]
    fetched(home, service, NOW + DAY)
    assert fetched(home, service, NOW + 2 * DAY).changed == ()
    service.put("a", "active", "2026-11-01")
    fetched(home, service, NOW + 3 * DAY)
    assert states(home, "a") == ["active", "gone", "active"]
    assert states(home, "b") == ["active"]


def test_what_cannot_be_read_is_not_gone(home: Home) -> None:
    service = Service()
    for n in range(10):
        service.put(f"a{n}", "active", "2026-11-01")
    fetched(home, service)
    service.things["a0"] = {"id": "a0", "status": None}
    assert fetched(home, service, NOW + DAY).unreadable == 1
    assert states(home, "a0") == ["active"]
    service.things["a0"] = {"id": None, "status": "active"}
    fetched(home, service, NOW + 2 * DAY)
    assert states(home, "a0") == ["active", "gone"]


# of states nothing is taken back, so few count, too
@pytest.mark.parametrize("count", [40, 2])
def test_an_answer_without_most_of_them_changes_nothing_until_it_is_accepted(
    home: Home, count: int
) -> None:
    service = Service()
    for n in range(count):
        service.put(f"a{n}", "active", "2026-11-01")
    fetched(home, service)
    before = rows(home)
    service.things.clear()
    failure = fetched(home, service, NOW + DAY).failure
    assert failure is not None
    assert failure.failure is Failure.LOST_ROWS
    assert rows(home) == before
    assert fetched(home, service, NOW + DAY, accept=True).failure is None
    assert states(home, "a1") == ["active", "gone"]


def test_a_clock_that_was_set_back_keeps_the_order(home: Home) -> None:
    service = Service()
    for hours, status in ((0, "active"), (-7, "unpaid"), (-6, "active")):
        service.put("a", status, "2026-11-01")
        fetched(home, service, NOW + timedelta(hours=hours))
    assert states(home, "a") == ["active", "unpaid", "active"]


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_what_a_clock_that_was_ahead_saw_is_taken_out_of_days_that_were_over(
    home: Home, grain: Grain
) -> None:
    service = Service(grain=grain)
    for key in "abc":
        service.put(key, "active", "2026-11-01")
    fetched(home, service)
    service.put("a", "ended", "2026-11-01", "2026-11-23")
    service.put("b", "unpaid", "2026-11-01", "2026-11-24")
    fetched(home, service, NOW + 40 * DAY)
    service.put("b", "active", "2026-11-01")
    now = NOW + 6 * DAY
    fetched(home, service, now)
    after = rows(home, grain)
    seen = {key.rpartition(" ")[2] for of_day in after.values() for key in of_day}
    assert {datetime.fromisoformat(each) for each in seen} == {NOW, now}
    assert states(home, "a", grain) == ["active", "ended"]
    assert states(home, "b", grain) == states(home, "c", grain) == ["active"]
    assert [key.partition(" ")[0] for key in after[date(2026, 11, 23)]] == ["a"]
    assert after.get(date(2026, 11, 24), {}) == {}
    lake = lake_of(home, "test", stream_of(service))
    assert set(lake.superseded()) >= {date(2026, 11, 23), date(2026, 11, 24)}
    assert fetched(home, service, now + DAY).changed == ()
    assert rows(home, grain) == after


def test_a_restoring_takes_no_state_away(home: Home) -> None:
    service = Service()
    service.put("a", "active", "2026-11-01")
    fetched(home, service)
    service.put("a", "unpaid", "2026-11-01")
    # on the same day: the file of that day was replaced by one with more rows
    fetched(home, service, NOW + timedelta(hours=1))
    before = rows(home)
    source = source_of(service)
    assert held_before(home, source, datetime(2026, 1, 1, tzinfo=UTC)) == []
    restore(home, source, datetime(2026, 1, 1, tzinfo=UTC))
    assert rows(home) == before
    # nor does what is remembered of fetches
    for path in home.state.glob("*.json"):
        path.unlink()
    assert fetched(home, service, NOW + DAY).changed == ()
    assert rows(home) == before


def test_of_a_damaged_day_other_days_hold_copies(home: Home) -> None:
    service = Service()
    service.put("a", "active", "2026-11-01")
    fetched(home, service)
    service.put("a", "ended", "2026-11-01", "2026-11-22")
    fetched(home, service, NOW + 2 * DAY)
    before = rows(home)
    for day in before:
        path = lake_of(home, "test", stream_of(service)).path(day)
        sound = path.read_bytes()
        path.unlink()
        path.write_bytes(b"rotten")
        failure = fetched(home, service, NOW + 3 * DAY).failure
        assert failure is not None
        assert failure.failure is Failure.LAKE_DAMAGED
        path.write_bytes(sound)
    path = lake_of(home, "test", stream_of(service)).path(date(2026, 11, 22))
    path.unlink()
    fetched(home, service, NOW + 3 * DAY)
    assert rows(home) == before


@pytest.mark.parametrize("writes", [0, 1, 2, 3])
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_a_first_fetch_that_was_killed_is_still_the_first(
    home: Home, writes: int, grain: Grain
) -> None:
    service = Service(grain=grain)
    service.put("old", "ended", "2025-03-04", "2025-08-01")
    service.put("older", "active", "2024-06-01")
    with killed_at(writes), pytest.raises(Killed):
        fetched(home, service)
    assert fetched(home, service, NOW + timedelta(hours=1)).failure is None
    found = rows(home, grain)
    assert {day: {key.split(" ")[0] for key in each} for day, each in found.items()} == {
        date(2024, 6, 1): {"older"},
        date(2025, 3, 4): {"old"},
        date(2025, 8, 1): {"old"},
        NOW.date(): {"old", "older"},
    }


STATUSES = st.dictionaries(st.sampled_from("abc"), st.sampled_from(["on", "off", "late"]))


@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
@settings(deadline=None)
@given(
    history=st.lists(
        st.tuples(STATUSES, st.integers(0, 50), st.one_of(st.none(), st.integers(0, 3))), max_size=7
    )
)
def test_every_state_that_a_fetch_saw_is_kept_in_its_order(
    grain: Grain, history: list[tuple[dict[str, str], int, int | None]]
) -> None:
    """Whatever came between, also a kill in the middle of writing."""
    with tempfile.TemporaryDirectory() as folder:
        home, now = Home(Path(folder)).ensure(), NOW
        service = Service(max_loss=1, grain=grain)
        seen: dict[str, list[str]] = {}
        held: dict[date, dict[str, Record]] = {}
        for things, hours, dies_at in history:
            now += timedelta(hours=hours)
            service.things.clear()
            for key, status in things.items():
                ended = f"{(now - timedelta(hours=20)).date()}" if status == "off" else None
                service.put(key, status, "2026-11-01", ended)
            if dies_at is not None:
                with killed_at(dies_at), mock.patch.object(lakes, "sync_folder"):
                    try:
                        fetched(home, service, now)
                    except Killed:
                        now += timedelta(minutes=1)
            assert fetched(home, service, now).failure is None
            for key in things.keys() | seen.keys():
                status = things.get(key, "gone")
                if seen.get(key, ["gone"])[-1:] != [status]:
                    seen.setdefault(key, []).append(status)
            assert {key: collapsed(states(home, key, grain)) for key in seen} == seen
            found = rows(home, grain)
            moments = [key.rpartition(" ")[2] for of_day in held.values() for key in of_day]
            for day, of_day in held.items():
                assert of_day.items() <= found[day].items()
                if f"{day}" < max(moments, default="")[:10]:
                    assert found[day] == of_day
            held = found


def collapsed(statuses: list[str]) -> list[str]:
    """Without one that follows itself: the day of an end may have changed alone."""
    return [each for n, each in enumerate(statuses) if n == 0 or statuses[n - 1] != each]


@pytest.mark.parametrize("window", [True, False])
def test_a_fetch_at_chosen_days_takes_nothing_away(home: Home, window: bool) -> None:
    from personal_pipeline.ingest.contract import Window

    service = Service()
    service.put("a", "active", "2026-11-01")
    fetched(home, service)
    service.put("a", "unpaid", "2026-11-01")
    source = source_of(service)
    now = NOW + DAY
    chosen = Window(date(2026, 11, 1), date(2026, 11, 5)) if window else None
    fetch_stream(home, source, source.api[0], Clocked(now), now=now, window=chosen)
    assert states(home, "a") == ["active", "unpaid"]
