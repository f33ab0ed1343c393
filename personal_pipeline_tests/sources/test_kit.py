from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import (
    ApiStream,
    DropFile,
    DropRow,
    Record,
    Unreadable,
    UnreadableFile,
    Window,
)
from personal_pipeline.ingest.fetch import FetchResult, check_record, fetch_streams, sort_into_days
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.settings import Settings
from personal_pipeline.sources.kit import (
    KIT,
    beginning,
    broadcast_days,
    client,
    kit_source,
    read_subscriber_export,
    recognise_subscriber_export,
    subscriber_days,
)
from personal_pipeline_tests.loopback import (
    Answer,
    Answering,
    Request,
    as_json,
    in_turn,
    loopback,
)

KEY = "kit_never_shown"
TODAY = datetime.now(UTC).date()
WINDOW = Window(TODAY - timedelta(days=3), TODAY + timedelta(days=1))


def stream(name: str, page_size: int = 1000) -> ApiStream:
    return next(each for each in kit_source(page_size).api if each.name == name)


def connected(base: str) -> Client:
    return client(
        Settings(
            KIT_API_KEY=SecretStr(KEY),
            KIT_API_BASE=f"{base}/v4",
            KIT_REQUESTS_PER_MINUTE=60_000,
        )
    )


def fetched(
    name: str, base: str, page_size: int = 1000, window: Window | None = WINDOW
) -> list[Record]:
    each = stream(name, page_size)
    with connected(base) as connection:
        if window is not None and each.fetch is not None:
            return list(each.fetch(connection, window))
        assert each.fetch_all is not None
        return list(each.fetch_all(connection))


def listing(name: str, rows: Sequence[Record]) -> Answering:
    """A list of the API v4: opaque cursors, and the filters that are plain dates."""

    def answer(request: Request) -> Answer:
        query = request.query
        found = list(rows)
        for field in ("created", "updated"):
            if after := query.get(f"{field}_after"):
                found = [row for row in found if str(row.get(f"{field}_at")) >= after]
            if before := query.get(f"{field}_before"):
                found = [row for row in found if str(row.get(f"{field}_at")) < before]
        if query.get("status", "active") != "all" and name == "subscribers":
            found = [row for row in found if row["state"] == query.get("status", "active")]
        start = int(query["after"].removeprefix("after-")) if "after" in query else 0
        size = int(query["per_page"])
        page = found[start : start + size]
        more = start + size < len(found)
        return as_json(
            {
                name: page,
                "pagination": {
                    "has_previous_page": start > 0,
                    "has_next_page": more,
                    "start_cursor": f"before-{start}",
                    "end_cursor": f"after-{start + size}",
                    "per_page": size,
                },
            }
        )

    return answer


def people(count: int, *, updated: bool) -> list[Record]:
    return [
        {
            "id": place,
            "email_address": f"reader{place}@example.org",
            "state": "active" if place % 2 else "cancelled",
            "created_at": f"{TODAY - timedelta(days=place)}T12:00:00Z",
            **({"updated_at": f"{TODAY - timedelta(days=place % 4)}T13:00:00Z"} if updated else {}),
        }
        for place in range(count)
    ]


# The API


@pytest.mark.parametrize("page_size", [1, 3, 1000])
def test_a_full_pass_brings_everybody_once_in_every_state(page_size: int) -> None:
    rows = people(10, updated=True)
    with loopback(listing("subscribers", rows)) as server:
        assert fetched("subscribers", server.base, page_size, window=None) == rows
    assert all(request.query["status"] == "all" for request in server.asked)
    assert all(request.headers["x-kit-api-key"] == KEY for request in server.asked)


def test_the_daily_fetch_asks_for_what_was_updated_with_a_day_of_overlap() -> None:
    rows = people(40, updated=True)
    with loopback(listing("subscribers", rows)) as server:
        found = fetched("subscribers", server.base, page_size=7)
        past = Window(TODAY - timedelta(days=30), TODAY - timedelta(days=20))
        fetched("subscribers", server.base, window=past)
    assert found == rows
    query = server.asked[1].query
    assert query["updated_after"] == str(WINDOW.start - timedelta(days=1))
    assert query["status"] == "all"
    assert "updated_before" not in query
    assert server.asked[-1].query["updated_before"] == str(past.end + timedelta(days=1))


def test_without_updated_at_the_daily_fetch_asks_for_what_was_created() -> None:
    rows = people(40, updated=False)
    with loopback(listing("subscribers", rows)) as server:
        found = fetched("subscribers", server.base)
    assert [row["id"] for row in found] == [0, 1, 2, 3, 4]
    assert "created_after" in server.asked[-1].query


def test_growth_is_asked_day_by_day_up_to_today() -> None:
    def answer(request: Request) -> Answer:
        day = request.query["starting"]
        assert request.query["ending"] == day
        # The offset of the account: in UTC this is still the evening before.
        stats = {"starting": f"{day}T00:00:00+09:00", "ending": f"{day}T23:59:59+09:00"}
        numbers = {"subscribers": 9, "new_subscribers": 3, "cancellations": -2}
        return as_json({"stats": {**stats, **numbers, "net_new_subscribers": 1}})

    window = Window(WINDOW.start, TODAY + timedelta(days=5))
    with loopback(answer) as server:
        rows = fetched("growth_stats", server.base, window=window)
    each = stream("growth_stats")
    days = [TODAY - timedelta(days=back) for back in (3, 2, 1, 0)]
    assert [each.key(row) for row in rows] == [str(day) for day in days]
    assert [list(each.days(row)) for row in rows] == [[day] for day in days]
    assert not sort_into_days(each, rows, TODAY).bad
    assert rows[0]["cancellations"] == -2


def test_broadcasts_and_their_stats_come_whole() -> None:
    rows: list[Record] = [
        {"id": place, "created_at": "2026-01-01T00:00:00Z", "stats": {"open_rate": 60.97}}
        for place in range(5)
    ]
    for name in ("broadcasts", "broadcast_stats"):
        with loopback(listing("broadcasts", rows)) as server:
            found = fetched(name, server.base, page_size=2)
        assert found == rows
        assert all(check_record(stream(name), row) is None for row in found)
        assert [stream(name).key(row) for row in found] == ["0", "1", "2", "3", "4"]
    assert {request.path for request in server.asked} == {"/v4/broadcasts/stats"}


@pytest.mark.parametrize(
    "answer",
    [
        [],
        {"subscribers": []},
        {"subscribers": {}, "pagination": {}},
        {"subscribers": [], "pagination": {"has_next_page": True}},
        {"subscribers": [{}], "pagination": {"has_next_page": True, "end_cursor": "same"}},
    ],
)
def test_pages_that_do_not_go_on_are_a_changed_format(answer: Any) -> None:
    with loopback(in_turn(as_json(answer))) as server, pytest.raises(ServiceError) as caught:
        fetched("subscribers", server.base, window=None)
    assert caught.value.failure is Failure.FORMAT_CHANGED
    assert len(server.asked) < 4


def test_a_refused_key_names_what_to_do_and_not_the_key() -> None:
    refusal = as_json({"errors": ["The access token is invalid"]}, 401)
    with loopback(in_turn(refusal)) as server, pytest.raises(ServiceError) as caught:
        fetched("broadcasts", server.base)
    assert caught.value.failure is Failure.CREDENTIAL_REFUSED
    assert "KIT_API_KEY" in str(caught.value)
    assert KEY not in str(caught.value)


def test_the_beginning_is_the_account_or_the_oldest_subscriber() -> None:
    account = as_json({"account": {"id": 1, "created_at": "2020-02-03T23:30:00-05:00"}})
    with loopback(in_turn(account)) as server, connected(server.base) as connection:
        assert beginning(connection) == date(2020, 2, 4)
    rows = people(3, updated=True)

    def answer(request: Request) -> Answer:
        if request.path == "/v4/account":
            return as_json({}, 404)
        return listing("subscribers", rows)(request)

    with loopback(answer) as server, connected(server.base) as connection:
        assert beginning(connection) == TODAY
        rows.clear()
        assert beginning(connection) is None


def test_a_subscriber_is_filed_under_the_days_of_joining_and_leaving() -> None:
    joined: Record = {"created_at": "2026-01-02T23:59:59Z", "updated_at": "2026-05-06T00:00:00Z"}
    assert subscriber_days({**joined, "state": "active"}) == [date(2026, 1, 2)]
    assert subscriber_days({**joined, "state": "bounced"}) == [date(2026, 1, 2), date(2026, 5, 6)]
    left = {**joined, "state": "cancelled", "canceled_at": "2026-03-04T01:00:00Z"}
    assert subscriber_days(left) == [date(2026, 1, 2), date(2026, 3, 4)]
    with pytest.raises(ValueError, match="ISO"):
        subscriber_days({"created_at": 1, "state": "active"})


def test_a_broadcast_is_filed_under_the_days_of_writing_and_sending() -> None:
    record: Record = {
        "created_at": "2026-01-02T10:00:00Z",
        "send_at": "2026-01-05T10:00:00.123Z",
        "published_at": None,
    }
    assert broadcast_days(record) == [date(2026, 1, 2), date(2026, 1, 5)]


class Newsletter:
    """A list that changes: Kit's own pages and counts, with or without ``updated_at``."""

    def __init__(self, *, updated: bool) -> None:
        self.updated = updated
        self.people: dict[int, Record] = {}
        self.counts = True
        self.account: Record = {"id": 7, "created_at": "2020-02-03T10:00:00Z"}
        self.asked: list[Request] = []
        for id_ in range(6):
            self.put(id_, "active", TODAY - timedelta(days=60 - id_))

    def put(self, id_: int, state: str, joined: date, left: date | None = None) -> None:
        self.people[id_] = {
            "id": id_,
            "email_address": f"reader{id_}@example.org",
            "state": state,
            "created_at": f"{joined}T12:00:00Z",
            "canceled_at": left and f"{left}T12:00:00Z",
            **({"updated_at": f"{TODAY}T05:00:00Z"} if self.updated else {}),
        }

    def answer(self, request: Request) -> Answer:
        self.asked.append(request)
        if request.path == "/v4/account":
            return as_json({"account": self.account})
        page: Any = json.loads(listing("subscribers", list(self.people.values()))(request).body)
        if self.counts and "include_total_count" in request.query:
            status = request.query["status"]
            wanted = [each for each in self.people.values() if status in ("all", each["state"])]
            page["pagination"]["total_count"] = len(wanted)
        return as_json(page)

    def fetched(self, home: Home, base: str, days: int = 0) -> FetchResult:
        """A look at the subscribers, so many days from now."""
        given = Settings(
            KIT_API_KEY=SecretStr(KEY),
            KIT_API_BASE=f"{base}/v4",
            KIT_REQUESTS_PER_MINUTE=60_000,
        )
        self.asked.clear()
        now = datetime.now(UTC) + timedelta(hours=days * 23)
        (look,) = fetch_streams(home, given, KIT, {"subscribers"}, clock=lambda: now)
        return look

    @property
    def asked_for_everybody(self) -> bool:
        return any(
            "include_total_count" not in each.query
            and not any("after" in name for name in each.query)
            and each.query.get("per_page") != "1"
            for each in self.asked
            if each.path == "/v4/subscribers"
        )


def known(home: Home) -> dict[date, dict[str, str]]:
    lake = lake_of(home, "kit", stream("subscribers"))
    found: dict[date, dict[str, str]] = {}
    for partition in lake.partitions():
        for day, row in lake.filed(partition):
            found.setdefault(day, {})[row.key] = row.record["state"]
    return found


@pytest.mark.parametrize("updated", [True, False])
def test_who_came_back_or_was_deleted_is_known_by_the_next_look(home: Home, updated: bool) -> None:
    kit = Newsletter(updated=updated)
    joined, left = TODAY - timedelta(days=60), TODAY - timedelta(days=20)
    kit.put(0, "cancelled", joined, left)
    with loopback(kit.answer) as server:
        kit.fetched(home, server.base)
        assert known(home)[left] == {"0": "cancelled"}
        kit.fetched(home, server.base)
        assert not kit.asked_for_everybody
        # they came back
        kit.put(0, "active", joined)
        kit.fetched(home, server.base)
        assert known(home)[joined]["0"] == "active"
        assert left not in known(home)
        # and another one is deleted
        del kit.people[3]
        kit.fetched(home, server.base)
        assert kit.asked_for_everybody
        assert {key for day in known(home).values() for key in day} == {"0", "1", "2", "4", "5"}
        kit.fetched(home, server.base)
        assert not kit.asked_for_everybody


def test_where_kit_does_not_count_the_weekly_pass_finds_who_was_deleted(home: Home) -> None:
    kit = Newsletter(updated=True)
    kit.counts = False
    with loopback(kit.answer) as server:
        kit.fetched(home, server.base)
        del kit.people[3]
        kit.fetched(home, server.base, 1)
        assert not kit.asked_for_everybody
        assert "3" in {key for day in known(home).values() for key in day}


def test_the_key_of_another_newsletter_is_refused_before_it_writes(home: Home) -> None:
    kit = Newsletter(updated=True)
    with loopback(kit.answer) as server:
        kit.fetched(home, server.base)
        before = known(home)
        for other in ({"id": 8}, {"id": "8", "created_at": "2021-01-01T00:00:00Z"}):
            kit.account = other
            kit.people.clear()
            failure = kit.fetched(home, server.base).failure
            assert failure is not None
            assert failure.failure is Failure.OTHER_ACCOUNT
            assert known(home) == before
            assert {each.path for each in kit.asked} == {"/v4/account"}


@pytest.mark.parametrize("status", [403, 404])
def test_an_account_that_is_not_told_holds_nothing_back(home: Home, status: int) -> None:
    kit = Newsletter(updated=True)

    def answer(request: Request) -> Answer:
        return as_json({}, status) if request.path == "/v4/account" else kit.answer(request)

    with loopback(answer) as server:
        assert kit.fetched(home, server.base).failure is None
        with connected(server.base) as connection:
            assert beginning(connection) == TODAY - timedelta(days=60)


def test_a_cursor_that_vanished_starts_the_walk_again() -> None:
    rows = people(9, updated=True)
    pages = listing("subscribers", rows)
    rejected = iter([False, False, True])

    def answer(request: Request) -> Answer:
        if next(rejected, False):
            return as_json({"errors": ["The cursor is invalid"]}, 422)
        return pages(request)

    with loopback(answer) as server:
        found = fetched("subscribers", server.base, page_size=3, window=None)
    assert found == rows
    assert len(server.asked) == 6


# The export

CSV = (
    "\ufeffemail,first_name,created_at,tags,Favourite Colour\r\n"
    'Ann@Example.org ,Ann,2026-02-03 10:00:00 UTC,"a, b",green\r\n'
    "bo@example.org,Bo,2026-10-11T10:00:00Z,,\r\n"
)
V4 = {"id": 1, "email_address": "Ann@example.org", "state": "active", "fields": {"email": "x"}}
V3 = {"id": 2, "email_address": "bo@example.org", "state": "cancelled", "created_at": "2026-02-03"}


def dropped(tmp_path: Path, content: str | bytes, name: str = "export.csv") -> DropFile:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DropFile(path, name, datetime(2026, 11, 2, tzinfo=UTC))


def read(file: DropFile) -> tuple[list[DropRow], list[Unreadable]]:
    items = list(read_subscriber_export(file))
    return (
        [item for item in items if isinstance(item, DropRow)],
        [item for item in items if isinstance(item, Unreadable)],
    )


def test_a_csv_with_a_byte_order_mark_is_read_by_its_header(tmp_path: Path) -> None:
    file = dropped(tmp_path, CSV)
    claim = recognise_subscriber_export(file)
    assert claim is not None
    assert claim.confidence >= 0.9
    rows, bad = read(file)
    assert not bad
    assert [row.key for row in rows] == ["ann@example.org", "bo@example.org"]
    assert {row.month for row in rows} == {date(2026, 11, 1)}
    assert rows[0].record == {
        "email": "Ann@Example.org ",
        "first_name": "Ann",
        "created_at": "2026-02-03 10:00:00 UTC",
        "tags": "a, b",
        "Favourite Colour": "green",
        "export_segment": None,
    }


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_csv_saved_again_by_a_spreadsheet_is_read(tmp_path: Path, delimiter: str) -> None:
    table = list(csv.reader(io.StringIO(CSV.removeprefix("\ufeff"))))
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(table)
    file = dropped(tmp_path, f"\n{text.getvalue()}".replace("created_at", "Created At"))
    assert recognise_subscriber_export(file) is not None
    rows, bad = read(file)
    assert not bad
    assert rows[0].record["tags"] == "a, b"
    assert rows[0].record["created_at"].startswith("2026-02-03")


def test_bad_rows_are_named_by_their_line_and_the_good_ones_land(tmp_path: Path) -> None:
    lines = CSV.encode() + (
        b"short,row\r\n"
        b"c@example.org,C\xe9,2026-01-01,,\r\n"
        b",no address,2026-01-01,,\r\n"
        b'd@example.org,"D,2026-01-01,,\r\n'
        b"e@example.org,E,2026-01-01,,,one too many\r\n"
        b'f@example.org,"F\nF",2026-01-01,,\r\n'
        b"\r\n"
        b"g@example.org,G,not a date,,\r\n"
    )
    rows, bad = read(dropped(tmp_path, lines))
    assert [row.key[0] for row in rows] == ["a", "b", "f", "g"]
    assert [unreadable.reason for unreadable in bad] == [
        "line 4: expected 5 cells, found 2",
        "line 5: expected UTF-8 text",
        "no e-mail address in email or email_address",
        "line 7: the quotes do not match",
        "line 8: expected 5 cells, found 6",
    ]
    assert bad[1].raw == "c@example.org,C\\xe9,2026-01-01,,\r\n"
    json.dumps([unreadable.raw for unreadable in bad], ensure_ascii=False).encode()


def test_columns_that_repeat_or_have_no_name_survive(tmp_path: Path) -> None:
    text = "email,created_at,note,,note\na@b.c,2026-01-01,1,2,3\n"
    rows, _ = read(dropped(tmp_path, text))
    assert rows[0].record == {
        "email": "a@b.c",
        "created_at": "2026-01-01",
        "note": "1",
        "column_4": "2",
        "note_2": "3",
        "export_segment": None,
    }


def test_a_csv_without_addresses_is_known_and_refused_in_a_sentence(tmp_path: Path) -> None:
    file = dropped(tmp_path, "first_name,created_at\nAnn,2026-01-01\n")
    assert recognise_subscriber_export(file) is not None
    with pytest.raises(UnreadableFile, match="column email"):
        read(file)


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([V4, V3]),
        json.dumps({"subscribers": [V4, V3], "pagination": {"has_next_page": False}}),
        json.dumps([{"subscribers": [V4]}, {"total_subscribers": 2, "subscribers": [V3]}]),
        json.dumps({"subscribers": [V4]}) + "\n" + json.dumps({"subscribers": [V3]}, indent=2),
        f"{json.dumps(V4)}\r\n{json.dumps(V3)}\r\n",
        "\ufeff " + json.dumps([[V4], {"subscriber": V3}]),
    ],
)
def test_json_is_read_in_every_shape(tmp_path: Path, text: str) -> None:
    file = dropped(tmp_path, text, "subscribers.json")
    claim = recognise_subscriber_export(file)
    assert claim is not None
    assert claim.confidence >= 0.9
    rows, bad = read(file)
    assert not bad
    assert [row.record for row in rows] == [
        {**V4, "export_segment": "confirmed"},
        {**V3, "export_segment": "cancelled"},
    ]
    assert [row.key for row in rows] == ["ann@example.org", "bo@example.org"]


@pytest.mark.parametrize("separator", ["\n", ","])
@pytest.mark.parametrize(
    ("missing", "landed", "unreadable"),
    [(1, 5, 0), (5, 4, 1), (len(json.dumps(V3)) + 5, 3, 1)],
)
def test_of_damaged_json_the_whole_objects_land(
    tmp_path: Path, missing: int, landed: int, unreadable: int, separator: str
) -> None:
    pages = [json.dumps({"subscribers": rows}) for rows in ([V4], [V3, V3], [V3, V4])]
    pages[1] = pages[1][:-missing]
    rows, bad = read(dropped(tmp_path, separator.join(pages), "pages.json"))
    assert len(rows) == landed
    assert [type(each.raw) for each in bad] == [str] * unreadable


def test_of_truncated_json_the_whole_objects_land(tmp_path: Path) -> None:
    rows, bad = read(dropped(tmp_path, json.dumps([V4, V3, V4])[:-3], "cut.json"))
    assert [row.key for row in rows] == ["ann@example.org", "bo@example.org"]
    assert len(bad) == 1


def test_what_cannot_be_written_or_is_no_subscriber_is_kept_apart(tmp_path: Path) -> None:
    odd = '[{"email_address": "a@b.c", "first_name": "\\ud83d"}, 7, {"name": "x"}, null, "text"]'
    rows, bad = read(dropped(tmp_path, odd, "odd.json"))
    assert not rows
    assert len(bad) == 5
    json.dumps([unreadable.raw for unreadable in bad], ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("name", "state", "segment"),
    [
        ("Confirmed subscribers.csv", "", "confirmed"),
        ("kit-COLD-2026-11.csv", "active", "cold"),
        ("canceled_2026.csv", "active", "cancelled"),
        ("Unsubscribed.csv", "", "cancelled"),
        ("unconfirmed.csv", "", "unconfirmed"),
        ("subscribers.csv", "active", "confirmed"),
        ("subscribers.csv", "Bounced", "bounced"),
        ("subscribers.csv", "dormant", "dormant"),
        ("subscribers.csv", " ", None),
    ],
)
def test_the_segment_is_in_the_name_else_in_the_state(
    tmp_path: Path, name: str, state: str, segment: str | None
) -> None:
    text = f"email,created_at,state\na@b.c,2026-01-01,{state}\n"
    rows, _ = read(dropped(tmp_path, text, name))
    assert rows[0].record["export_segment"] == segment


@pytest.mark.parametrize(
    ("newest", "month", "noted"),
    [
        ("2026-01-31T23:59:59Z", date(2026, 1, 1), False),
        ("2026-02-01T09:00:00Z", date(2026, 1, 1), False),  # a zone behind UTC
        ("2026-02-03T00:00:00Z", date(2026, 2, 1), True),
        ("2026-05-03", date(2026, 5, 1), True),
        ("2999-01-01T00:00:00Z", date(2026, 1, 1), False),  # nobody joins in the future
        ("31/12/2026 10:00", date(2026, 1, 1), False),
    ],
)
def test_a_month_that_the_content_contradicts_is_corrected_and_noted(
    tmp_path: Path, newest: str, month: date, noted: bool
) -> None:
    path = tmp_path / "kit-2026-01.csv"
    path.write_text(f"email,created_at\na@b.c,2020-01-01\nb@b.c,{newest}\nc@b.c,\n")
    rows, bad = read(DropFile(path, path.name, datetime(2026, 1, 31, 23, tzinfo=UTC)))
    assert {row.month for row in rows} == {month}
    assert len(rows) == 3
    assert len(bad) == noted
    if noted:
        assert "2026-01" in bad[0].reason
        assert f"{month:%Y-%m}" in bad[0].reason


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<!DOCTYPE html><html><body>email,created_at</body></html>",
        b"PK\x03\x04\x00\x00email,created_at",
        b'[{"data": {"user": {"postsConnection": {"edges": []}}}}]',
        b'{"payload": {"value": [{"postId": "a", "updateNotificationSubscribers": 1}]}}',
        b"balance_transaction_id,created_utc,available_on_utc,currency,gross,fee,net",
        b"title,url,boosted\n",
        b"email\na@b.c\n",
        b"[]",
        b"\xff\xfe\x00\x00",
    ],
)
def test_files_of_other_kinds_are_not_claimed(tmp_path: Path, content: bytes) -> None:
    assert recognise_subscriber_export(dropped(tmp_path, content)) is None


def test_a_folder_is_not_claimed(tmp_path: Path) -> None:
    file = DropFile(tmp_path, "folder", datetime(2026, 1, 1, tzinfo=UTC))
    assert recognise_subscriber_export(file) is None


QUICK = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("a@b.c"),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["subscribers", "email_address", "created_at", "state", "fields"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@QUICK
@example(b'{"a":' * 5000)
@example(b"[" * 5000)
@example(b"{" * 5000)
@example(b"email\n" + b'"' * 200_000)
@example(b'email,created_at\n"a@b.c,x\n' * 2000)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=200).map(lambda tail: b"email,created_at\n" + tail),
        st.binary(max_size=200).map(lambda tail: b'{"subscribers": [' + tail),
        JSON_VALUES.map(lambda value: json.dumps(value).encode()),
    )
)
def test_no_content_makes_the_reader_fail(tmp_path: Path, content: bytes) -> None:
    file = dropped(tmp_path, content, "any.csv")
    claim = recognise_subscriber_export(file)
    assert claim is None or 0 < claim.confidence <= 1
    try:
        rows, bad = read(file)
    except UnreadableFile:
        return
    for row in rows:
        json.dumps([row.key, row.record], ensure_ascii=False, allow_nan=False).encode()
    for unreadable in bad:
        json.dumps(unreadable.raw, ensure_ascii=False).encode()


# A line end within a row of the wrong width makes two rows of it: then nobody can know.
CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=8)


@QUICK
@given(st.lists(st.lists(CELLS, min_size=1, max_size=5), max_size=20))
def test_every_row_of_a_csv_is_a_subscriber_or_unreadable(
    tmp_path: Path, table: list[list[str]]
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["email", "created_at", "note"])
    writer.writerows([f"p{place}@b.c", *cells] for place, cells in enumerate(table))
    rows, bad = read(dropped(tmp_path, text.getvalue(), "all.csv"))
    assert len(rows) + len(bad) == len(table)
    assert [row.key for row in rows] == [
        f"p{place}@b.c" for place, cells in enumerate(table) if len(cells) == 2
    ]


def test_every_subscriber_of_a_large_csv_lands(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    count = 20_000
    with path.open("w") as lines:
        lines.write("email,created_at,tags\n")
        lines.writelines(f'p{place}@b.c,2026-01-01,"a,b"\n' for place in range(count))
    os.utime(path, (0, 0))
    rows, bad = read(DropFile(path, path.name, datetime(2026, 1, 3, tzinfo=UTC)))
    assert not bad
    assert len({row.key for row in rows}) == count


def test_the_drop_is_due_each_month_and_says_how_to_make_it() -> None:
    (drop,) = KIT.drops
    assert drop.monthly_on_day == 1
    assert [each.name for each in drop.streams] == ["subscriber_export"]
    for step in ("Subscribers", "Bulk actions", "Export", "inbox"):
        assert step in drop.how_to
