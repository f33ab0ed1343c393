from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.ingest.contract import Record
from personal_pipeline.ingest.fetch import sort_into_days
from personal_pipeline.ingest.http import NEEDS_A_PERSON, Failure, ServiceError
from personal_pipeline.settings import Settings
from personal_pipeline.sources.google_sheets import (
    GOOGLE_SHEETS,
    client,
    csv_address,
    flags,
    story_key,
)
from personal_pipeline_tests.loopback import Answer, in_turn, loopback

SHEET = "https://docs.google.com/spreadsheets/d/1AbC_d-E"
PUBLISHED = "https://docs.google.com/spreadsheets/d/e/2PACX-1v"
PRIVATE = "1AbC_private"
CSV = (
    "Story ID,Title,Boosted,Boosted date,Notes,,Notes\r\n"
    '0123456789ab,"A, story",TRUE,2026-03-01,"two\r\nlines",,again\r\n'
    ",,,,,,\r\n"
    "1.23E+11,Another,FALSE,,,,\r\n"
)


def fetched(address: str) -> list[Record]:
    with client(Settings(STORY_SHEET_URL=address)) as connection:
        connection._sleep = lambda seconds: None
        return list(flags(connection))


def failure_of(address: str) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        fetched(address)
    assert PRIVATE not in str(caught.value)
    return caught.value


def as_csv(text: str | bytes, content_type: str = "text/csv; charset=utf-8") -> Answer:
    body = text.encode() if isinstance(text, str) else text
    return Answer(body, content_type=content_type)


@pytest.mark.parametrize(
    ("wanted", "address"),
    [
        (f"{SHEET}/edit?gid=42#gid=42", f"{SHEET}/export?format=csv&gid=42"),
        (f"{SHEET}/edit#gid=7", f"{SHEET}/export?format=csv&gid=7"),
        (f"{SHEET}/edit?usp=sharing", f"{SHEET}/export?format=csv"),
        (f" {SHEET} ", f"{SHEET}/export?format=csv"),
        (f"{SHEET[8:]}/edit", f"{SHEET}/export?format=csv"),
        (f"{SHEET}/edit?resourcekey=0-x", f"{SHEET}/export?format=csv&resourcekey=0-x"),
        (f"{SHEET}/export?format=xlsx&gid=3", f"{SHEET}/export?format=csv&gid=3"),
        (f"{SHEET}/gviz/tq?tqx=out:csv&sheet=A", f"{SHEET}/gviz/tq?tqx=out:csv&sheet=A"),
        (f"{SHEET}/gviz/tq?gid=3", f"{SHEET}/gviz/tq?gid=3&tqx=out:csv"),
        (f"{PUBLISHED}/pubhtml", f"{PUBLISHED}/pub?output=csv"),
        (
            f"{PUBLISHED}/pub?gid=5&single=true&output=csv",
            f"{PUBLISHED}/pub?gid=5&single=true&output=csv",
        ),
        ("http://127.0.0.1:9/my.csv?x=1", "http://127.0.0.1:9/my.csv?x=1"),
    ],
)
def test_every_address_that_a_person_has_becomes_one_of_csv(wanted: str, address: str) -> None:
    assert csv_address(wanted) == address
    assert csv_address(address) == address


def test_the_sheet_arrives_through_googles_redirect() -> None:
    with loopback(in_turn(as_csv(CSV))) as content:
        there = content.base.replace("127.0.0.1", "localhost")
        moved = Answer(status=307, headers={"Location": f"{there}/export/data"})
        with loopback(in_turn(moved)) as server:
            rows = fetched(f"{server.base}/spreadsheets/d/{PRIVATE}/edit#gid=0")
    assert server.asked[0].path == f"/spreadsheets/d/{PRIVATE}/export"
    assert rows == [
        {
            "story_id": "0123456789ab",
            "title": "A, story",
            "boosted": "TRUE",
            "boosted_date": "2026-03-01",
            "notes": "two\r\nlines",
            "column_6": "",
            "notes_2": "again",
        },
        {
            "story_id": "1.23E+11",
            "title": "Another",
            "boosted": "FALSE",
            "boosted_date": "",
            "notes": "",
            "column_6": "",
            "notes_2": "",
        },
    ]
    assert [story_key(row) for row in rows] == ["0123456789ab", "Another"]


@pytest.mark.parametrize("form", ["path", "uri"])
def test_a_file_on_this_machine_is_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "my stories #1.csv"
    path.write_bytes(b"\xef\xbb\xbftitle;boosted\r\nCaf\xc3\xa9;x\r\n")
    assert fetched(str(path) if form == "path" else path.as_uri()) == [
        {"title": "Café", "boosted": "x"}
    ]
    path.write_bytes("title\tboosted\nCafé\tx\n".encode("cp1252"))
    assert fetched(str(path)) == [{"title": "Café", "boosted": "x"}]


def test_ragged_rows_and_blank_headers_keep_every_cell() -> None:
    text = ",,\n\nTitle,,Boosted\nA\nB,1,TRUE,more,still\n,x,\n"
    with loopback(in_turn(as_csv(text))) as server:
        rows = fetched(f"{server.base}/sheet.csv")
    assert rows == [
        {"title": "A", "column_2": "", "boosted": ""},
        {"title": "B", "column_2": "1", "boosted": "TRUE", "column_4": "more", "column_5": "still"},
        {"title": "", "column_2": "x", "boosted": ""},
    ]


def test_rows_that_name_no_story_or_are_damaged_are_counted() -> None:
    text = 'title,boosted,notes\nA,TRUE,\n,TRUE,whose?\nB,"TRUE,\nC,FALSE,\n'
    with loopback(in_turn(as_csv(text))) as server:
        rows = fetched(f"{server.base}/sheet.csv")
    (stream,) = GOOGLE_SHEETS.api
    found = sort_into_days(stream, rows, date(2026, 1, 1))
    assert sorted(found.days[date(2026, 1, 1)]) == ["A", "C"]
    assert [unreadable.raw for unreadable in found.bad] == [
        {"title": "", "boosted": "TRUE", "notes": "whose?"},
        {"unreadable_line": 'B,"TRUE,\n'},
    ]


@pytest.mark.parametrize(
    "answer",
    [
        as_csv("<!DOCTYPE html><html>Sign in</html>", "text/html; charset=utf-8"),
        as_csv("\ufeff\n <html>Sign in</html>"),
        as_csv("title,boosted\nA,TRUE\n", "text/html"),
        as_csv('/*O_o*/\ngoogle.visualization.Query.setResponse({"status":"error"})', "text/plain"),
        Answer(b"", 401),
        Answer(b"", 403),
        Answer(b"", 404),
    ],
)
def test_a_sheet_that_is_not_shared_says_how_to_share_it(answer: Answer) -> None:
    with loopback(in_turn(answer)) as server:
        error = failure_of(f"{server.base}/spreadsheets/d/{PRIVATE}/edit")
    assert error.failure in NEEDS_A_PERSON
    assert "Anyone with the link: Viewer" in str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", [b"", b"\r\n", b"boosted,notes\nTRUE,x\n", b"PK\x03\x04\x00\x00", b'{"values": []}']
)
def test_what_is_not_the_sheet_leaves_the_last_good_one(body: bytes) -> None:
    with loopback(in_turn(as_csv(body))) as server:
        error = failure_of(f"{server.base}/spreadsheets/d/{PRIVATE}/edit")
    assert error.failure is Failure.FORMAT_CHANGED


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = failure_of(str(tmp_path / "gone.csv"))
    assert "gone.csv" in str(error)
    assert "STORY_SHEET_URL" in str(error)


@pytest.mark.parametrize(
    ("record", "key"),
    [
        ({"story_id": " 0123456789AB "}, "0123456789ab"),
        ({"post_id": "0123456789"}, "0123456789"),
        ({"story_id": "my-story-0123456789ab", "url": "x"}, "0123456789ab"),
        ({"story_id": "42", "url": "https://medium.com/p/0123456789ab"}, "0123456789ab"),
        ({"url": "https://me.medium.com/on-2026-01-02-0123456789ab?source=rss#x"}, "0123456789ab"),
        ({"link": "medium.com/@me/A-Title-ABCDEF012345/"}, "abcdef012345"),
        ({"link": "https://medium.com/p/0123456789ab/edit", "title": "T"}, "0123456789ab"),
        ({"url": "https://example.org/2026/story", "title": " T "}, "T"),
        ({"url": "http://[", "title": "T"}, "T"),
        ({"story_id": "1.23E+11", "title": "T"}, "T"),
        ({"story_id": "42", "title": ""}, "42"),
    ],
)
def test_a_story_is_known_by_its_id_else_by_its_title(record: Record, key: str) -> None:
    assert story_key(record) == key


@pytest.mark.parametrize("record", [{}, {"title": " "}, {"url": "https://example.org/"}])
def test_a_row_without_a_story_has_no_key(record: Record) -> None:
    with pytest.raises(ValueError, match="story_id"):
        story_key(record)


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=200).map(lambda tail: b"title,boosted\n" + tail),
    )
)
def test_no_content_makes_the_reader_fail(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any.csv"
    path.write_bytes(content)
    try:
        rows = fetched(str(path))
    except ServiceError:
        return
    (stream,) = GOOGLE_SHEETS.api
    found = sort_into_days(stream, rows, date(2026, 1, 1))
    assert found.records == len(rows)
