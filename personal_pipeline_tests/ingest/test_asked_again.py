"""What a service is asked again: after a first fetch that ended in the middle of a chunk, of a
stream that was added later, and of a source that was away for a year."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, Coverage, Record, Source, Window
from personal_pipeline.ingest.coverage import CHUNK_DAYS
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream, fetch_streams
from personal_pipeline.ingest.http import Client
from personal_pipeline.ingest.memory import recall
from personal_pipeline.settings import Settings
from personal_pipeline_tests.ingest.kills import Killed, killed_at
from personal_pipeline_tests.ingest.test_fetch import (
    Clocked,
    Service,
    fetched,
    newest_rows,
    rows,
    stream_of,
)

DAY = timedelta(days=1)
NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
TODAY = NOW.date()
FIRST = TODAY - 99 * DAY
"""Where a fetch begins, see ``fetched``."""
LATER = NOW + timedelta(days=365)


class Counting(Service):
    """Says also how often it was asked for everything."""

    wholes = 0

    def fetch_all(self, client: Client) -> Iterator[Record]:
        self.wholes += 1
        return super().fetch_all(client)


def filled() -> Counting:
    service = Counting()
    for n in range(100):
        service.put(f"r{n}", TODAY - n * DAY)
    return service


def of_kind(service: Counting, coverage: Coverage, *, whole: bool = True) -> ApiStream:
    if coverage is Coverage.WINDOW:
        return stream_of(service, refetch_days=10)
    if coverage is Coverage.PART:
        every = service.fetch_all if whole else None
        return stream_of(service, coverage=coverage, fetch_all=every, refetch_days=10)
    return stream_of(service, fetch=None, fetch_all=service.fetch_all, coverage=coverage)


def killed_fetch(home: Home, stream: ApiStream, after: int) -> None:
    """A fetch that is killed when it has written so many partitions."""
    with killed_at(after), pytest.raises(Killed):
        fetched(home, stream)


# A first fetch that ends in the middle of a chunk


def test_of_a_chunk_that_broke_off_while_it_was_read_all_is_asked_again(home: Home) -> None:
    service = filled()
    stream = stream_of(service, refetch_days=10)
    # in the middle of the second of four
    service.breaks_at = FIRST + 45 * DAY
    assert fetched(home, stream).failure is not None
    assert set(rows(home, stream)) == set(Window(FIRST, FIRST + CHUNK_DAYS * DAY).days())
    service.breaks_at = None
    service.asked.clear()
    assert fetched(home, stream).failure is None
    # the first one is settled; of the second nothing was written
    assert service.asked == [
        Window(FIRST + 31 * DAY, FIRST + 62 * DAY),
        Window(FIRST + 62 * DAY, FIRST + 93 * DAY),
        Window(FIRST + 93 * DAY, TODAY + DAY),
    ]
    assert newest_rows(home, stream) == set(service.records)


def test_of_a_chunk_that_was_killed_while_it_was_written_all_is_asked_again(home: Home) -> None:
    service = filled()
    stream = stream_of(service, refetch_days=10)
    killed_fetch(home, stream, 31 + 12)
    assert len(rows(home, stream)) == 43
    service.asked.clear()
    fetched(home, stream)
    # what has no file first, then the twelve days that have one: nobody knows of what instant
    assert service.asked == [
        Window(FIRST + 43 * DAY, FIRST + 74 * DAY),
        Window(FIRST + 74 * DAY, TODAY + DAY),
        Window(FIRST + 31 * DAY, FIRST + 43 * DAY),
    ]
    assert newest_rows(home, stream) == set(service.records)
    service.asked.clear()
    fetched(home, stream)
    assert service.asked == [Window(TODAY - 10 * DAY, TODAY + DAY)]


@pytest.mark.parametrize("coverage", [Coverage.FULL, Coverage.PART, Coverage.HISTORY])
def test_of_a_whole_that_was_killed_while_it_was_written_everything_is_asked_again(
    home: Home, coverage: Coverage
) -> None:
    service = filled()
    stream = of_kind(service, coverage)
    killed_fetch(home, stream, 40)
    assert len(rows(home, stream)) == 40
    assert fetched(home, stream).failure is None
    assert service.wholes == 2
    assert service.asked == []
    assert newest_rows(home, stream) == set(service.records)


def test_of_a_part_without_a_whole_all_is_asked_from_the_beginning_again(home: Home) -> None:
    service = filled()
    stream = of_kind(service, Coverage.PART, whole=False)
    killed_fetch(home, stream, 40)
    service.asked.clear()
    assert fetched(home, stream).failure is None
    assert service.asked == [Window(FIRST - 10 * DAY, TODAY + DAY)]
    assert newest_rows(home, stream) == set(service.records)


# A stream that a source has from now on


@pytest.mark.parametrize("coverage", list(Coverage))
def test_a_stream_that_was_added_is_asked_for_everything_and_no_other_is(
    home: Home, coverage: Coverage
) -> None:
    old, new = filled(), filled()
    there = of_kind(old, Coverage.WINDOW)
    added = replace(of_kind(new, coverage), name="added")
    before = Source(
        name="test",
        title="Test",
        description="",
        api=(there,),
        client=lambda settings: Clocked(NOW),
        beginning=lambda client: FIRST,
    )

    def refresh(source: Source) -> list[FetchResult]:
        settings = Settings()
        streams = {stream.name for stream in source.api}
        return fetch_streams(home, settings, source, streams, clock=lambda: NOW)

    refresh(before)
    old.asked.clear()
    results = refresh(replace(before, api=(there, added)))
    assert [each.failure for each in results] == [None, None]
    assert results[1].records >= 100
    assert old.asked == [Window(TODAY - 10 * DAY, TODAY + DAY)]
    if coverage is Coverage.WINDOW:
        assert new.asked[0].start == FIRST
        assert new.asked[-1].end == TODAY + DAY
    else:
        assert (new.wholes, new.asked) == (1, [])


# A source that was disconnected for a year


@pytest.mark.parametrize("coverage", list(Coverage))
def test_a_year_away_is_asked_for_in_one_fetch(home: Home, coverage: Coverage) -> None:
    service = filled()
    stream = of_kind(service, coverage)
    fetched(home, stream)
    fetched(home, stream, NOW + DAY)
    service.asked.clear()
    wholes = service.wholes
    for n in range(1, 365):
        service.put(f"away{n}", TODAY + n * DAY)
    # still revised when it was fetched last
    service.put("r5", TODAY - 5 * DAY, amount=2)
    assert fetched(home, stream, LATER).failure is None
    assert newest_rows(home, stream) == set(service.records)
    if coverage is Coverage.WINDOW:
        assert {day for window in service.asked for day in window.days()} == set(
            Window(TODAY + DAY - 10 * DAY, LATER.date() + DAY).days()
        )
        # each once, what has no file first
        assert sum((each.end - each.start).days for each in service.asked) == 365 + 10
        assert service.asked[0].start == TODAY + 2 * DAY
        assert rows(home, stream)[TODAY - 5 * DAY]["r5"]["amount"] == 2
    else:
        assert (service.wholes, service.asked) == (wholes + 1, [])
    # and from then on it is as if nothing had been
    service.asked.clear()
    fetched(home, stream, LATER + DAY)
    if coverage is Coverage.WINDOW:
        today = (LATER + DAY).date()
        assert service.asked == [Window(today, today + DAY), Window(today - 11 * DAY, today)]
    assert recall(home, "test", "things").failure is None


def test_of_a_part_without_a_whole_a_year_is_asked_from_the_last_fetch_on(home: Home) -> None:
    service = filled()
    stream = of_kind(service, Coverage.PART, whole=False)
    fetched(home, stream)
    service.asked.clear()
    fetched(home, stream, LATER)
    assert service.asked == [Window(TODAY - 10 * DAY, LATER.date() + DAY)]


def test_a_year_away_that_breaks_off_goes_on_where_it_was(home: Home) -> None:
    service = filled()
    stream = stream_of(service, refetch_days=10)
    fetched(home, stream)
    service.breaks_at = TODAY + 100 * DAY
    assert fetched(home, stream, LATER).failure is not None
    done = max(rows(home, stream))
    service.breaks_at = None
    service.asked.clear()
    # a week later
    assert fetched(home, stream, LATER + 7 * DAY).failure is None
    assert service.asked[0].start == done + DAY
    asked = {day for window in service.asked for day in window.days()}
    # what was still revised at the last whole fetch was not reached, and is asked for now
    assert asked == {
        *Window(done + DAY, (LATER + 8 * DAY).date()).days(),
        *Window(TODAY - 10 * DAY, TODAY + DAY).days(),
    }


def test_what_was_failing_before_the_year_does_not_count_after_it(home: Home) -> None:
    service = filled()
    stream = stream_of(service, refetch_days=10)
    fetched(home, stream)
    source = Source(name="test", title="Test", description="", api=(stream,))
    service.breaks_at = TODAY
    for day in range(1, 4):
        now = NOW + day * DAY
        assert fetch_stream(home, source, stream, Clocked(now), now=now, beginning=FIRST).failure
    service.breaks_at = None
    service.asked.clear()
    assert fetched(home, stream, LATER).failure is None
    assert min(window.start for window in service.asked) == TODAY - 10 * DAY
    assert date(2027, 11, 21) in rows(home, stream)
