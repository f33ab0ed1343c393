"""Plain files, record by record, as people's tools really write them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.ingest import records
from personal_pipeline.ingest.contract import DropFile, Unreadable, UnreadableFile
from personal_pipeline.ingest.members import members
from personal_pipeline.ingest.records import (
    Records,
    claim_by_columns,
    content_key,
    csv_records,
    json_elements,
    json_line_records,
    json_records,
)

ABOUT = ("day", "café")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "export"


def file_of(path: Path, content: str | bytes) -> DropFile:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DropFile(path, path.name, datetime(2026, 11, 21, tzinfo=UTC))


def reasons(records: Records) -> list[str]:
    return [each.reason for each in records if isinstance(each, Unreadable)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_any_of_these_encodings(path: Path, encoding: str) -> None:
    file = file_of(path, "day;café\r\n1;à\r\n".encode(encoding))
    assert list(csv_records(file, ";", ABOUT)) == [{"day": "1", "café": "à"}]
    assert claim_by_columns(file, csv_records(file, ";", ABOUT), ABOUT)


def test_a_character_that_the_look_at_the_head_cuts_in_two(path: Path) -> None:
    file = file_of(path, "day,café\n" + "1,x\n" * 16_381 + ",àà\n")
    assert file.head()[-1:] == "à".encode()[:1]
    assert list(csv_records(file, ",", ABOUT))[-1] == {"day": "", "café": "àà"}


def test_a_title_stands_above_the_header(path: Path) -> None:
    file = file_of(path, 'My export, made today\n\n"two\nlines"\nday,café,\n1,x,\n')
    assert list(csv_records(file, ",", ABOUT)) == [{"day": "1", "café": "x", "column_3": ""}]


def test_rows_of_another_width_are_kept_with_their_line(path: Path) -> None:
    file = file_of(path, "day,café\n1,x,,\n2\n3,y,z\n,\n4,w\n")
    records = list(csv_records(file, ",", ABOUT))
    assert [each for each in records if isinstance(each, dict)] == [
        {"day": "1", "café": "x"},
        {"day": "4", "café": "w"},
    ]
    assert reasons(iter(records)) == [
        "line 3: expected 2 cells, found 1",
        "line 4: expected 2 cells, found 3",
    ]


def test_a_header_without_its_columns_is_refused_in_a_sentence(path: Path) -> None:
    file = file_of(path, "other,columns\n1,2\n")
    with pytest.raises(UnreadableFile, match="expected a header with the columns day, café"):
        list(csv_records(file, ",", ABOUT))
    assert claim_by_columns(file, csv_records(file, ",", ABOUT), ABOUT) is None


def test_objects_of_a_list_wherever_it_lies(path: Path) -> None:
    file = file_of(path, '{"data": {"items": [{"day": 1}, 17, {"day": 2}]}}')
    records = list(json_records(file, "data", "items"))
    assert records[0] == {"day": 1}
    assert reasons(iter(records)) == ["record 2: expected an object"]
    assert list(json_records(file, "data")) == [{"items": [{"day": 1}, 17, {"day": 2}]}]
    with pytest.raises(UnreadableFile, match=r"a list of objects at data\.nowhere"):
        list(json_records(file, "data", "nowhere"))


@pytest.mark.parametrize("content", ['[{"day": 1}', "<html>", "[" * 100_000])
def test_what_is_no_json_is_refused_in_a_sentence(path: Path, content: str) -> None:
    file = file_of(path, content)
    with pytest.raises(UnreadableFile, match="expected JSON"):
        list(json_records(file))
    assert claim_by_columns(file, json_records(file), ["day"]) is None


def test_lines_of_json_stand_alone(path: Path) -> None:
    file = file_of(path, '{"day": 1}\n\n{"day": \n[2]\n{"day": 3}')
    records = list(json_line_records(file))
    assert [each for each in records if isinstance(each, dict)] == [{"day": 1}, {"day": 3}]
    assert reasons(iter(records)) == [
        "line 3: expected a JSON object",
        "line 4: expected a JSON object",
    ]


def elements(path: Path, content: str) -> Iterator[Any]:
    with members(file_of(path, content)) as (member,):
        yield from json_elements(member)


@pytest.mark.parametrize("start", ["", "\ufeff", "window.YTD.tweets.part0 = ", " \n"])
@pytest.mark.parametrize("piece", [8, 9, 1 << 20])
def test_elements_of_a_list_come_one_by_one(
    path: Path, monkeypatch: pytest.MonkeyPatch, start: str, piece: int
) -> None:
    monkeypatch.setattr(records, "_PIECE", max(piece, len(start) + 1))
    written: list[Any] = [{"a": [1, {"b": "]é"}]}, 123_456_789_012, "text, [", None, []]
    for indent in (None, 2):
        content = start + json.dumps(written, indent=indent, ensure_ascii=False) + ";\n"
        assert list(elements(path, content)) == written
    assert list(elements(path, f"{start}[ ]")) == []


@pytest.mark.parametrize(
    "content", ["", "x = {}", "[1, 2", "[1, 2, ", '[1, 2, {"a": ', "[1, 2, x]"]
)
def test_a_list_that_does_not_end_gives_what_it_holds(path: Path, content: str) -> None:
    found: list[Any] = []
    with pytest.raises(UnreadableFile, match=r"cut off|holds no list"):
        found.extend(elements(path, content))
    # a number at the very end may be the first digits of another
    assert found == ([1] if content == "[1, 2" else [1, 2] if "2" in content else [])


def test_names_that_json_escapes_are_known(path: Path) -> None:
    file = file_of(path, '[{"day": 1, "caf\\u00e9": 2}]')
    assert claim_by_columns(file, json_records(file), ABOUT)


def test_equal_records_of_a_file_have_keys_of_their_own_each_time() -> None:
    def keys() -> list[str]:
        seen: Counter[str] = Counter()
        return [content_key(record, seen) for record in ({"a": 1}, {"a": 2}, {"a": 1})]

    assert len(set(keys())) == 3
    assert keys() == keys()
