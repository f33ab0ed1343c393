from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import pytest

from personal_pipeline.freshness import (
    State,
    judge_api,
)
from personal_pipeline.home import Home
from personal_pipeline.ingest.arrivals import FORMAT_CHANGED
from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source, Window
from personal_pipeline.ingest.damage import Kind, known_damage, verify
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.memory import recall
from personal_pipeline.ingest.repair import missing_still, repair

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
TODAY = NOW.date()


class Clocked(Client):
    """A client of a service that says what time it is, or does not."""

    def __init__(self, time: datetime | None) -> None:
        super().__init__("test", "http://127.0.0.1:9", per_second=1, refused="")
        self.time = time

    def service_time(self) -> datetime | None:
        return self.time


@dataclass
class Service:
    """A service in memory: records by id, and the windows it was asked for."""

    records: dict[str, Record] = field(default_factory=dict)
    asked: list[Window] = field(default_factory=list)
    breaks_at: date | None = None

    def put(self, key: str, day: date, **more: object) -> None:
        self.records[key] = {"id": key, "day": day.isoformat(), **more}

    def fetch(self, _client: Client, window: Window) -> Iterator[Record]:
        self.asked.append(window)
        for record in list(self.records.values()):
            day = record.get("day")
            if not isinstance(day, str) or window.start <= date.fromisoformat(day) < window.end:
                yield record
        if self.breaks_at and window.start <= self.breaks_at < window.end:
            raise ServiceError(Failure.SERVICE_DOWN, "test: GET /v1: HTTP 500")

    def fetch_all(self, _client: Client) -> Iterator[Record]:
        yield from list(self.records.values())


def days_of(record: Record) -> list[date]:
    return [date.fromisoformat(record[name]) for name in ("day", "ended") if record.get(name)]


def stream_of(service: Service, **more: object) -> ApiStream:
    given: dict[str, object] = {
        "name": "things",
        "description": "One thing.",
        "grain": Grain.DAY,
        "key": lambda record: record["id"],
        "days": days_of,
        "required": {"id": str, "day": str},
        "fetch": service.fetch,
    }
    return ApiStream(**{**given, **more})  # type: ignore[arg-type]


def fetched(home: Home, stream: ApiStream, now: datetime = NOW, **more: object) -> FetchResult:
    source = Source(name="test", title="Test", description="", api=(stream,))
    given: dict[str, object] = {"beginning": TODAY - timedelta(days=99)}
    client = more.pop("client", None) or Clocked(now)
    return fetch_stream(home, source, stream, client, now=now, **{**given, **more})  # type: ignore[arg-type]


def rows(home: Home, stream: ApiStream) -> dict[date, dict[str, Record]]:
    lake = lake_of(home, "test", stream)
    found: dict[date, dict[str, Record]] = {}
    for partition in lake.partitions():
        if not lake.by_day:
            found[partition] = {}
        for day, row in lake.filed(partition):
            found.setdefault(day, {})[row.key] = row.record
    return found


def test_years_are_one_pass_and_every_day_has_a_partition(home: Home) -> None:
    service = Service()
    service.put("a", date(2024, 1, 2))
    stream = stream_of(service)
    result = fetched(home, stream, beginning=date(2023, 11, 21))
    assert len(rows(home, stream)) == (TODAY - date(2023, 11, 21)).days + 1
    assert len(service.asked) < 40
    assert result.records == 1
    assert rows(home, stream)[date(2024, 1, 2)] == {"a": service.records["a"]}


def test_the_second_fetch_asks_for_the_days_still_revised_only(home: Home) -> None:
    service = Service()
    stream = stream_of(service, refetch_days=3)
    fetched(home, stream)
    service.asked.clear()
    result = fetched(home, stream)
    assert service.asked == [Window(date(2026, 11, 18), date(2026, 11, 22))]
    assert result.changed == ()


def test_a_correction_changes_just_its_day_and_keeps_the_old_content(home: Home) -> None:
    service = Service()
    service.put("a", TODAY - timedelta(days=2), amount=1)
    service.put("b", TODAY - timedelta(days=1), amount=1)
    stream = stream_of(service)
    fetched(home, stream)
    service.put("a", TODAY - timedelta(days=2), amount=2)
    result = fetched(home, stream)
    assert [written.partition for written in result.changed] == [TODAY - timedelta(days=2)]
    assert list((home.archive / "lake" / "test" / "things").rglob("*.jsonl.gz"))


@pytest.mark.parametrize("coverage", [Coverage.WINDOW, Coverage.PART, Coverage.FULL])
def test_a_month_holds_the_rows_of_its_days_and_an_answer_replaces_its_own_days(
    home: Home, coverage: Coverage
) -> None:
    service = Service()
    for n in range(50):
        # a window holds its own days only
        ended = "" if coverage is Coverage.WINDOW else f"{TODAY - timedelta(days=n // 2)}"
        service.put(f"r{n}", TODAY - timedelta(days=n), ended=ended)
    whole = {} if coverage is Coverage.WINDOW else {"fetch_all": service.fetch_all}
    if coverage is Coverage.FULL:
        whole["fetch"] = None  # type: ignore[assignment]
    by_day, by_month = (
        stream_of(service, name=f"by_{grain}", grain=grain, coverage=coverage, **whole)
        for grain in (Grain.DAY, Grain.MONTH)
    )
    for each in (by_day, by_month):
        fetched(home, each)
    lake = lake_of(home, "test", by_month)
    assert set(lake.partitions()) >= {date(2026, 10, 1), date(2026, 11, 1)}
    settled = lake.path(date(2026, 10, 1)).read_bytes()
    service.put("r1", TODAY - timedelta(days=1), amount=2)
    del service.records["r2"]
    result = [fetched(home, each, NOW + timedelta(days=8)) for each in (by_day, by_month)]
    told = {key: day for day, each in rows(home, by_day).items() for key in each if each}
    assert {day: each for day, each in rows(home, by_day).items() if each} == rows(home, by_month)
    assert told
    assert lake.path(date(2026, 10, 1)).read_bytes() == settled
    assert [each.partition for each in result[1].changed] == [date(2026, 11, 1)]
    # the counts are those of the days, and the archive has just the days that were replaced
    for count in ("new", "altered", "removed"):
        assert len({sum(getattr(w, count) for w in each.written) for each in result}) == 1, count
    assert lake.superseded() == lake_of(home, "test", by_day).superseded()


def test_a_month_that_is_lost_is_asked_for_again_and_no_other(home: Home) -> None:
    service = Service()
    for n in range(99):
        service.put(f"r{n}", TODAY - timedelta(days=n))
    stream = stream_of(service, grain=Grain.MONTH)
    fetched(home, stream)
    before = rows(home, stream)
    lake_of(home, "test", stream).path(date(2026, 9, 1)).unlink()
    service.asked.clear()
    fetched(home, stream)
    asked = {day for window in service.asked for day in window.days()}
    assert asked == {
        *Window(date(2026, 9, 1), date(2026, 10, 1)).days(),
        *Window(date(2026, 11, 18), date(2026, 11, 22)).days(),
    }
    assert rows(home, stream) == before


def test_a_month_that_rotted_is_asked_for_again_and_an_earlier_day_is_put_back(home: Home) -> None:
    service = Service()
    for n in range(60):
        service.put(f"r{n}", TODAY - timedelta(days=n))
    stream = stream_of(service, grain=Grain.MONTH)
    source = Source(name="test", title="Test", description="", api=(stream,))
    fetched(home, stream)
    before = rows(home, stream)
    for amount in ({"amount": 2}, {}):
        service.put("r1", TODAY - timedelta(days=1), **amount)
        fetched(home, stream)
    lake = lake_of(home, "test", stream)
    # an earlier content that is that of now
    ((_, kept), _) = lake.replaced(TODAY - timedelta(days=1))
    whole = kept.read_bytes()
    for path in (kept, lake.path(date(2026, 10, 1))):
        path.chmod(0o600)
        path.write_bytes(b"rotten")
    damages = verify(home, [source], TODAY).damages
    assert {each.kind for each in damages} == {Kind.SUPERSEDED, Kind.LAKE}
    said = {each.damage.partition: each for each in repair(home, [source], damages, lambda _: None)}
    assert kept.read_bytes() == whole
    assert "fetched again" in said["2026-10-01"].said
    service.asked.clear()
    fetched(home, stream)
    asked = {day for window in service.asked for day in window.days()}
    assert asked >= {*Window(date(2026, 10, 1), date(2026, 11, 1)).days()}
    assert rows(home, stream) == before
    assert missing_still(home, [source], known_damage(home)) == []


def test_a_snapshot_is_of_a_day() -> None:
    with pytest.raises(ValueError, match="a snapshot is of a day"):
        stream_of(Service(), coverage=Coverage.STATE, grain=Grain.MONTH)


def test_a_pull_that_breaks_keeps_finished_pieces_and_goes_on_there(home: Home) -> None:
    service = Service(breaks_at=TODAY - timedelta(days=40))
    for n in range(100):
        service.put(f"r{n}", TODAY - timedelta(days=n))
    stream = stream_of(service)
    broken = fetched(home, stream)
    assert broken.failure is not None
    done = rows(home, stream)
    assert done
    assert TODAY - timedelta(days=40) not in done
    memory = recall(home, "test", "things")
    assert (memory.failure, memory.succeeded_at) == ("service down", None)
    service.breaks_at = None
    service.asked.clear()
    whole = fetched(home, stream)
    assert whole.failure is None
    assert min(window.start for window in service.asked) == max(done) + timedelta(days=1)
    assert {key for day in rows(home, stream).values() for key in day} == set(service.records)


def test_one_impossible_record_among_a_thousand_is_kept_apart(home: Home) -> None:
    service = Service()
    for n in range(1000):
        service.put(f"r{n}", TODAY)
    service.records["bad"] = {"id": "bad", "day": 17, "secret": "x"}
    stream = stream_of(service)
    result = fetched(home, stream, beginning=TODAY)
    assert (result.records, result.unreadable) == (1001 * 1, 1)
    assert len(rows(home, stream)[TODAY]) == 1000
    kept = (home.quarantine / "test" / "things").glob("*.jsonl")
    text = next(iter(kept)).read_text()
    assert '"reason":"day: expected str, found int"' in text
    # the same bad record fetched every day does not pile up
    fetched(home, stream, beginning=TODAY)
    assert len(list((home.quarantine / "test" / "things").iterdir())) == 1


def test_a_record_that_breaks_later_does_not_take_away_what_was_known(home: Home) -> None:
    service = Service()
    service.put("a", TODAY, amount=1)
    stream = stream_of(service, required={"id": str, "day": str, "amount": int})
    fetched(home, stream)
    service.put("a", TODAY, amount="much")
    result = fetched(home, stream)
    assert result.unreadable == 1
    assert rows(home, stream)[TODAY]["a"]["amount"] == 1


class ChangedMeaning(Service):
    """A service that may come to mean something else by what it says."""

    changed: str | None = None

    def meant(self, record: Record) -> Record:
        if self.changed == "day":
            return {**record, "day": 1_763_700_000_000}
        if self.changed == "id":
            return {"uuid": record["id"], "day": record["day"]}
        return record

    def fetch(self, client: Client, window: Window) -> Iterator[Record]:
        return map(self.meant, super().fetch(client, window))

    def fetch_all(self, client: Client) -> Iterator[Record]:
        return map(self.meant, super().fetch_all(client))


def changed_stream(service: ChangedMeaning, coverage: Coverage) -> ApiStream:
    fetched = {} if coverage in (Coverage.WINDOW, Coverage.PART) else {"fetch": None}
    whole = {} if coverage is Coverage.WINDOW else {"fetch_all": service.fetch_all}
    return stream_of(service, coverage=coverage, full_pass_days=7, **fetched, **whole)


def newest_rows(home: Home, stream: ApiStream) -> set[str]:
    found = rows(home, stream)
    if not found:
        return set()
    if stream.coverage is Coverage.STATE:
        return set(found[max(found)])
    if stream.coverage is Coverage.HISTORY:
        last = dict(sorted(row for day in found.values() for row in day.items()))
        now = {key.split(" ")[0]: record for key, record in last.items()}
        return {key for key, record in now.items() if record}
    return {key for day in found.values() for key in day}


@pytest.mark.parametrize("changed", ["day", "id"])
@pytest.mark.parametrize("coverage", list(Coverage))
@pytest.mark.parametrize("full_pass_is_due", [False, True])
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_an_answer_that_changed_its_meaning_counts_as_nothing_asked(
    home: Home, coverage: Coverage, changed: str, full_pass_is_due: bool, grain: Grain
) -> None:
    service = ChangedMeaning()
    if coverage is Coverage.STATE:
        grain = Grain.DAY
    stream = replace(changed_stream(service, coverage), grain=grain)
    for n in range(30):
        service.put(f"old{n}", TODAY - timedelta(days=n))
    fetched(home, stream)
    before = rows(home, stream)

    later = NOW + timedelta(days=8 if full_pass_is_due else 2)
    for n in range(10):
        service.put(f"new{n}", later.date() - timedelta(days=1), amount=n)
    service.changed = changed
    for day in range(3):
        result = fetched(home, stream, now=later + timedelta(days=day))
        assert result.failure is not None
        assert result.failure.failure is Failure.FORMAT_CHANGED
        assert f"{result.unreadable}" in str(result.failure)
        verdict = judge_api(
            recall(home, "test", "things"), later + timedelta(days=day), connected=True
        )
        assert (verdict.state, verdict.cause) == (State.FAILING, FORMAT_CHANGED)
        # nothing that was known is gone
        assert {key.split(" ")[0] for each in before.values() for key in each} <= newest_rows(
            home, stream
        )

    service.changed = None
    well = later + timedelta(days=3)
    result = fetched(home, stream, now=well)
    assert (result.failure, result.unreadable) == (None, 0)
    assert newest_rows(home, stream) == set(service.records)
    memory = recall(home, "test", "things")
    assert judge_api(memory, well, connected=True).state is State.FRESH
    # and what it asked for then is not asked for once more
    service.asked.clear()
    fetched(home, stream, now=well + timedelta(days=1))
    assert all(window.start >= well.date() - timedelta(days=4) for window in service.asked)


@pytest.mark.parametrize("coverage", [Coverage.PART, Coverage.WINDOW])
def test_too_few_to_be_a_changed_format_are_asked_for_again_too(
    home: Home, coverage: Coverage
) -> None:
    service = ChangedMeaning()
    stream = stream_of(service, coverage=coverage, refetch_days=1)
    service.put("old", TODAY - timedelta(days=20))
    fetched(home, stream)
    service.changed = "day"
    # each long after the service could have revised what came before
    for day in (10, 20, 30):
        service.put(f"new{day}", TODAY + timedelta(days=day - 5))
        assert fetched(home, stream, now=NOW + timedelta(days=day)).failure is None
    service.changed = None
    fetched(home, stream, now=NOW + timedelta(days=40))
    assert newest_rows(home, stream) == set(service.records)


def test_a_single_odd_record_does_not_keep_years_due(home: Home) -> None:
    service = Service()
    for n in range(90):
        service.put(f"r{n}", TODAY - timedelta(days=n))
    # alone in its window of a month
    service.put("odd", TODAY - timedelta(days=95))
    service.records["odd"]["id"] = 17
    stream = stream_of(service)
    assert fetched(home, stream, beginning=TODAY - timedelta(days=99)).unreadable == 1
    service.asked.clear()
    fetched(home, stream, beginning=TODAY - timedelta(days=99))
    assert min(window.start for window in service.asked) > TODAY - timedelta(days=9)


@pytest.mark.parametrize("odd", [None, [], "text", 7])
def test_an_answer_that_is_not_a_record_is_counted(home: Home, odd: object) -> None:
    def fetch(_client: Client, _window: Window) -> Iterator[Record]:
        yield odd  # type: ignore[misc]

    stream = stream_of(Service(), fetch=fetch)
    assert fetched(home, stream, beginning=TODAY).unreadable >= 1


def test_a_full_pass_replaces_the_picture_and_files_under_every_day(home: Home) -> None:
    service = Service()
    service.put("a", TODAY - timedelta(days=9), ended=(TODAY - timedelta(days=2)).isoformat())
    service.put("b", TODAY - timedelta(days=9))
    stream = stream_of(service, fetch=None, fetch_all=service.fetch_all)
    fetched(home, stream, beginning=None)
    found = rows(home, stream)
    assert set(found[TODAY - timedelta(days=9)]) == {"a", "b"}
    assert set(found[TODAY - timedelta(days=2)]) == {"a"}
    assert len(found) == 10
    del service.records["b"]
    result = fetched(home, stream, beginning=None)
    assert sum(written.removed for written in result.written) == 1
    assert set(rows(home, stream)[TODAY - timedelta(days=9)]) == {"a"}


def test_a_part_is_merged_and_the_full_pass_comes_weekly(home: Home) -> None:
    service = Service()
    service.put("old", TODAY - timedelta(days=50))
    stream = stream_of(
        service, coverage=Coverage.PART, fetch_all=service.fetch_all, full_pass_days=7
    )
    fetched(home, stream)
    assert service.asked == []
    del service.records["old"]
    service.put("new", TODAY)
    fetched(home, stream, now=NOW + timedelta(hours=1))
    assert service.asked == [Window(date(2026, 11, 18), date(2026, 11, 22))]
    found = rows(home, stream)
    assert set(found[TODAY - timedelta(days=50)]) == {"old"}
    assert set(found[TODAY]) == {"new"}
    fetched(home, stream, now=NOW + timedelta(days=7))
    assert rows(home, stream)[TODAY - timedelta(days=50)] == {}


def test_a_snapshot_is_written_when_it_differs_only(home: Home) -> None:
    service = Service()
    service.put("a", TODAY, boosted="yes")
    stream = stream_of(service, fetch=None, fetch_all=service.fetch_all, coverage=Coverage.STATE)
    fetched(home, stream)
    same = fetched(home, stream, now=NOW + timedelta(days=1))
    assert same.changed == ()
    assert [written.partition for written in same.written] == [TODAY]
    assert set(rows(home, stream)) == {TODAY}
    service.put("a", TODAY, boosted="no")
    fetched(home, stream, now=NOW + timedelta(days=2))
    assert set(rows(home, stream)) == {TODAY, TODAY + timedelta(days=2)}


def test_the_service_is_asked_once_for_its_beginning(home: Home) -> None:
    calls: list[int] = []

    def beginning(_client: Client) -> date:
        calls.append(1)
        return TODAY - timedelta(days=5)

    stream = stream_of(Service())
    source = Source(name="test", title="Test", description="", api=(stream,), beginning=beginning)
    for _ in range(2):
        fetch_stream(home, source, stream, Clocked(NOW), now=NOW)
    assert len(rows(home, stream)) == 6
    assert len(calls) == 1


def test_a_lake_that_was_emptied_is_filled_again(home: Home) -> None:
    import shutil

    service = Service()
    service.put("a", TODAY - timedelta(days=30))
    stream = stream_of(service, coverage=Coverage.PART, fetch_all=service.fetch_all)
    fetched(home, stream)
    shutil.rmtree(home.lake / "test")
    fetched(home, stream, now=NOW + timedelta(hours=1))
    assert rows(home, stream)[TODAY - timedelta(days=30)]
