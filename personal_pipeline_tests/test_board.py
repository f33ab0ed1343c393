"""The board of a real home: real receipts, lake files and memories; only the clock is ours."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from personal_pipeline.board import StreamState, board_of, with_failure_of_all
from personal_pipeline.freshness import LAKE_DAMAGED, State
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import (
    ApiStream,
    Claim,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Grain,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.inbox import Receipt, ingest_file
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.ingest.memory import StreamMemory, remember
from personal_pipeline.outputs.board import share_unreadable
from personal_pipeline.settings import Setting, Settings

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
ORDERS = ApiStream(
    name="orders", description="One order.", grain=Grain.DAY, key=lambda record: record["id"]
)
REFUNDS = ApiStream(
    name="refunds", description="One refund.", grain=Grain.DAY, key=lambda record: record["id"]
)


def recognise(file: DropFile) -> Claim | None:
    return Claim(0.9, "begins with #shop") if file.head().startswith(b"#shop") else None


def read(file: DropFile) -> Iterator[DropRow | Unreadable]:
    lines = file.path.read_text().splitlines()[1:]
    if not lines:
        raise UnreadableFile("expected at least one line; export it again.")
    for line in lines:
        try:
            stream, day = line.split(",")
            month = date.fromisoformat(day).replace(day=1)
            yield DropRow(stream, month, day, {"day": day})
        except ValueError:
            yield Unreadable("expected a stream and a day", line)


SHOP = Source(
    name="shop",
    title="Shop",
    description="",
    settings=(Setting(name="SHOP_KEY", description="Set SHOP_KEY."),),
    api=(ORDERS, REFUNDS),
    drops=(
        Drop(
            name="export",
            description="visits and visitors",
            how_to="Click export.",
            recognise=recognise,
            read=read,
            streams=(
                DropStream(name="visits", description="Visits a day."),
                DropStream(name="visitors", description="Visitors a day."),
            ),
            monthly_on_day=3,
        ),
    ),
)


def house(home: Home, now: datetime = NOW, **settings: Any) -> House:
    kept = Settings(**{"SHOP_KEY": "sk_test_1", **settings})
    return House(kept, home, (SHOP,), clock=lambda: now)


def board(home: Home, now: datetime = NOW, **settings: Any) -> dict[str, StreamState]:
    return {line.stream: line for line in board_of(house(home, now, **settings))}


def drop(home: Home, captured: str, *lines: str, received: str | None = None) -> Receipt:
    path = home.inbox / "shop.csv"
    path.write_text("\n".join(["#shop", *lines]))
    made = datetime.fromisoformat(captured).replace(tzinfo=UTC)
    os.utime(path, (made.timestamp(), made.timestamp()))
    came = datetime.fromisoformat(received or captured).replace(tzinfo=UTC)
    taken = ingest_file(home, [SHOP], path, came)
    assert taken is not None
    return taken.receipt


def fetched(home: Home, stream: ApiStream, *days: date, rows: int = 2) -> None:
    lake = lake_of(home, "shop", stream)
    for day in days:
        lake.write(day, [Row(f"{day}-{n}", {"id": f"{day}-{n}"}) for n in range(rows)])
    remember(home, "shop", stream.name, StreamMemory().succeeded(NOW, unreadable=0))


class TestAtRest:
    def test_nothing_is_expected_of_it_and_its_data_stays(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 19), date(2026, 11, 20))
        drop(home, "2026-10-03", "visits,2026-09-04")
        assert house(home).connected(SHOP)
        later = NOW + timedelta(days=90)
        assert {line.state for line in board(home, later).values()} != {State.RESTING}
        home.put_to_rest({"shop"})
        lines = board(home, later)
        assert {line.state for line in lines.values()} == {State.RESTING}
        assert {line.next_expected for line in lines.values()} == {None}
        assert lines["orders"].rows == 4
        assert not house(home).connected(SHOP)
        home.put_to_rest(())
        assert board(home, later)["orders"].state is not State.RESTING

    def test_what_is_wrong_with_its_data_is_still_told(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 19))
        damaged = lake_of(home, "shop", ORDERS).path(date(2026, 11, 19))
        damaged.write_bytes(damaged.read_bytes()[:-10])
        home.put_to_rest({"shop"})
        assert board(home)["orders"].cause == LAKE_DAMAGED


class TestFetched:
    def test_the_three_figures(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 19), date(2026, 11, 20))
        lake_of(home, "shop", ORDERS).write(date(2026, 11, 21), [])
        line = board(home, NOW + timedelta(hours=3))["orders"]
        assert line.state is State.FRESH
        assert line.last_fetched == NOW
        # the day that was looked at and is empty is no data
        assert line.newest_data == date(2026, 11, 20)
        assert line.next_expected == date(2026, 11, 22)
        assert (line.rows, line.unreadable) == (4, 0)

    def test_a_damaged_lake_file_fails_its_stream_and_no_other(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 19), date(2026, 11, 20))
        fetched(home, REFUNDS, date(2026, 11, 20))
        damaged = lake_of(home, "shop", ORDERS).path(date(2026, 11, 19))
        damaged.write_bytes(damaged.read_bytes()[:-10])
        lines = board(home)
        assert lines["orders"].state is State.FAILING
        assert lines["orders"].cause == LAKE_DAMAGED
        assert str(damaged) in lines["orders"].detail
        assert lines["orders"].rows is None
        assert lines["orders"].newest_data == date(2026, 11, 20)
        assert (lines["refunds"].state, lines["refunds"].rows) == (State.FRESH, 2)

    def test_without_its_credential_it_is_no_trouble(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 20))
        line = board(home, NOW + timedelta(days=90), SHOP_KEY="")["orders"]
        assert line.state is State.NOT_CONNECTED
        assert line.detail == "No longer connected; existing data is kept. Set SHOP_KEY."
        assert (line.next_expected, line.cause, line.rows) == (None, None, 2)

    def test_a_refused_credential_fails_the_streams_that_had_no_turn(self, home: Home) -> None:
        fetched(home, ORDERS, date(2026, 11, 20))
        fetched(home, REFUNDS, date(2026, 11, 20))
        later = NOW + timedelta(hours=24)
        refused = StreamMemory(NOW, NOW).failed(later, Failure.CREDENTIAL_REFUSED, "HTTP 401.")
        remember(home, "shop", "orders", refused)
        lines = board(home, later)
        assert {each.cause for each in lines.values() if each.route == "api"} == {
            "credential refused"
        }
        # it was not looked at, and does not say so
        assert lines["refunds"].last_fetched == NOW

    def test_another_failure_is_its_own(self) -> None:
        memory = StreamMemory(NOW, NOW)
        for failure, shared in (
            (Failure.SERVICE_DOWN, False),
            (Failure.FORMAT_CHANGED, False),
            (Failure.OUT_OF_TIME, True),
        ):
            other = memory.failed(NOW + timedelta(hours=1), failure, "Sentence.")
            judged = with_failure_of_all({"a": other, "b": memory}, "b")
            assert (judged.failure is not None) is shared
            # whoever was looked at since knows better
            after = replace(memory, fetched_at=NOW + timedelta(hours=2))
            assert with_failure_of_all({"a": other, "b": after}, "b") == after


class TestDropped:
    def test_waiting_for_the_first(self, home: Home) -> None:
        line = board(home)["visits"]
        assert (line.state, line.drop) == (State.WAITING, "export")
        assert line.detail == "Click export."
        assert line.next_expected is None

    def test_a_capture_early_in_november_is_not_november(self, home: Home) -> None:
        drop(home, "2026-11-04", "visits,2026-11-03", "visitors,2026-11-03")
        states = {
            day: board(home, day)["visits"].state
            for day in (
                NOW,
                datetime(2026, 12, 2, tzinfo=UTC),
                datetime(2026, 12, 3, tzinfo=UTC),
                datetime(2026, 12, 9, tzinfo=UTC),
            )
        }
        assert list(states.values()) == [State.FRESH, State.FRESH, State.DUE, State.LATE]
        # the partition of November is there all the same
        assert board(home)["visits"].newest_data == date(2026, 11, 1)

    def test_an_old_file_that_is_dropped_today_is_not_news(self, home: Home) -> None:
        drop(home, "2026-09-04", "visits,2026-08-03", received="2026-11-21")
        line = board(home)["visits"]
        assert line.state is State.LATE
        assert line.last_fetched == datetime(2026, 11, 21, tzinfo=UTC)
        assert line.next_expected == date(2026, 10, 3)

    def test_an_unreadable_file_fails_and_a_good_one_clears_the_whole_drop(
        self, home: Home
    ) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03", "visitors,2026-10-03")
        assert drop(home, "2026-11-05").problem
        lines = board(home)
        for stream in ("visits", "visitors"):
            assert lines[stream].state is State.FAILING
            assert lines[stream].cause == "file unreadable"
            assert lines[stream].detail == (
                "shop.csv: expected at least one line; export it again."
            )
        # it holds one of the two streams only
        drop(home, "2026-11-06", "visits,2026-10-04")
        assert {board(home)[stream].state for stream in ("visits", "visitors")} == {State.FRESH}

    def test_an_older_unreadable_file_does_no_harm(self, home: Home) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03", "visitors,2026-10-03")
        assert drop(home, "2026-08-01", received="2026-11-20").problem
        assert board(home)["visits"].state is State.FRESH

    def test_a_file_without_one_readable_row_is_a_changed_format(self, home: Home) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03")
        drop(home, "2026-11-04", "half")
        line = board(home)["visits"]
        assert (line.state, line.cause) == (State.FAILING, "format changed")
        assert share_unreadable(line) == 1

    def test_a_few_unreadable_rows_are_counted_and_no_failure(self, home: Home) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03", "half", "visits,2026-10-04", "quarter")
        line = board(home)["visits"]
        assert line.state is State.FRESH
        assert (line.unreadable, share_unreadable(line)) == (2, 0.5)
        # the file after it is whole
        drop(home, "2026-11-04", "visits,2026-10-05")
        assert share_unreadable(board(home)["visits"]) == 0

    def test_a_stream_that_no_file_held_waits(self, home: Home) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03")
        assert board(home)["visitors"].state is State.WAITING

    def test_the_day_begins_in_the_zone_of_the_person(self, home: Home) -> None:
        drop(home, "2026-11-04", "visits,2026-11-03")
        evening = datetime(2026, 12, 2, 20, tzinfo=UTC)
        assert board(home, evening)["visits"].state is State.FRESH
        tokyo = board(home, evening, PERSONAL_PIPELINE_TIMEZONE="Asia/Tokyo")
        assert tokyo["visits"].state is State.DUE

    @pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"drop": "export"}', b"\xff"])
    def test_a_damaged_receipt_is_passed_over(self, home: Home, content: bytes) -> None:
        drop(home, "2026-11-03", "visits,2026-10-03")
        (home.archive / "receipts" / "20261120T000000-damaged.json").write_bytes(content)
        assert board(home)["visits"].state is State.FRESH
