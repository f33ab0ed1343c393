from __future__ import annotations

import csv
import io
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.ingest.delimited import (
    delimiter_of,
    lines_in,
    plain_name,
    rows,
    unique_names,
)

CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3)), st.sampled_from(",;\t|"))
def test_whatever_csv_can_write_is_read(table: list[list[str]], delimiter: str) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows(table)
    lines = io.StringIO(text.getvalue(), newline="")
    assert [row.cells for row in rows(lines, delimiter, width=3)] == table


@given(st.lists(st.sampled_from(['a,"b', "a,b", '"a,b', 'a,b"', "", "a,b,c", '"a\nb",c', '"'])))
def test_every_line_is_in_one_row_of_its_number(lines: list[str]) -> None:
    text = "".join(f"{line}\r\n" for line in lines)
    found = list(rows(io.StringIO(text, newline=""), ",", width=2))
    kept = [line for row in found for line in row.text.splitlines() if line]
    assert kept == [line for line in text.splitlines() if line]
    everything = io.StringIO(text, newline="").readlines()
    for row in found:
        assert everything[row.line - 1] == row.text.splitlines(keepends=True)[0]


def test_a_quote_that_is_never_closed_costs_one_row() -> None:
    for count in (1, 100_000):
        text = 'a,b\nc,"d\ne,f\n' + "g,h\n" * count
        found = list(rows(io.StringIO(text, newline=""), ",", width=2))
        assert [row.line for row in found if row.cells is None] == [2]
        assert len(found) == count + 3


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_shows_known_headers(delimiter: str) -> None:
    header = delimiter.join(["Some, thing; else", "E-mail", "Created At"])
    assert delimiter_of(header, {"created_at", "e_mail"}) == delimiter


def test_headers_become_names_that_are_all_different() -> None:
    assert unique_names(["notes", "", "notes", "notes_2", " notes ", ""]) == [
        "notes",
        "column_2",
        "notes_2",
        "notes_2_2",
        "notes_3",
        "column_6",
    ]
    assert plain_name("\t Story ID (hex)! ") == "story_id_hex"


@given(st.lists(CELLS, max_size=8))
def test_no_name_is_lost(headers: list[str]) -> None:
    names = unique_names(headers)
    assert len(set(names)) == len(headers)
    assert all(names)


def test_a_file_whose_every_line_opens_a_quote_takes_linear_time() -> None:
    lines = ['5",7,"z\n'] * 8_000
    begun = time.perf_counter()
    assert len(list(rows(lines, ",", 3))) == len(lines)
    assert time.perf_counter() - begun < 10


def test_only_ends_of_lines_end_lines() -> None:
    text = "a\u2028b\u0085c\x0bd\x0ce\r\nf\rg\n\nh"
    assert lines_in(text) == ["a\u2028b\u0085c\x0bd\x0ce\r\n", "f\r", "g\n", "\n", "h"]
