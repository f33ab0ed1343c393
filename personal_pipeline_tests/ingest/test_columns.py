"""Which fields came and which went, over the looks of many days."""

from __future__ import annotations

import os
from datetime import date, timedelta

from personal_pipeline.home import Home
from personal_pipeline.ingest.columns import (
    TOLD_FOR,
    Columns,
    look_at,
    looked,
    recall_columns,
    remember_columns,
)
from personal_pipeline.ingest.contract import ApiStream, Grain
from personal_pipeline.ingest.lake import Row, lake_of

TODAY = date(2026, 11, 21)
LATER = TODAY + timedelta(days=1)
THINGS = ApiStream(
    name="things", description="One thing.", grain=Grain.DAY, key=lambda record: record["id"]
)


def rows(names: str, count: int = 20) -> list[set[str]]:
    return [set(names.split()) for _ in range(count)]


def told(columns: Columns, today: date) -> tuple[list[str], list[str]]:
    return columns.unknown(today), columns.gone(today)


def test_what_is_there_at_first_is_not_new() -> None:
    columns = looked(Columns(), [rows("id amount"), rows("id amount")], TODAY)
    assert told(columns, TODAY) == ([], [])


def test_a_new_field_is_told_for_two_weeks() -> None:
    columns = looked(Columns(), [rows("id")], TODAY)
    columns = looked(columns, [rows("id"), rows("id tax", 1)], LATER)
    assert columns.unknown(LATER) == ["tax"]
    columns = looked(columns, [rows("id"), rows("id tax", 1)], LATER + timedelta(days=1))
    assert columns.unknown(LATER + TOLD_FOR) == ["tax"]
    assert columns.unknown(LATER + TOLD_FOR + timedelta(days=1)) == []


def test_a_field_that_nearly_all_rows_had_is_missed() -> None:
    columns = looked(Columns(), [rows("id amount"), rows("id", 3)], TODAY)
    assert told(columns, TODAY) == ([], ["amount"])


def test_a_field_that_vanished_from_every_row_at_once_is_missed() -> None:
    """A full look rewrites all partitions, so that none of them has it any more."""
    columns = looked(Columns(), [rows("id amount"), rows("id amount")], TODAY)
    for days in range(1, 4):
        columns = looked(columns, [rows("id"), rows("id")], TODAY + timedelta(days=days))
    assert told(columns, TODAY + timedelta(days=3)) == ([], ["amount"])
    # it is not told for ever
    assert columns.gone(TODAY + TOLD_FOR) == ["amount"]
    assert columns.gone(TODAY + TOLD_FOR + timedelta(days=1)) == []


def test_a_field_that_is_gone_stays_so_while_rows_without_it_come_in() -> None:
    partitions = [rows("id amount")]
    columns = Columns()
    for days in range(4):
        columns = looked(columns, partitions, TODAY + timedelta(days=days))
        partitions.append(rows("id"))
    assert columns.gone(TODAY + timedelta(days=3)) == ["amount"]


def test_a_field_that_comes_back_is_neither_gone_nor_new() -> None:
    columns = looked(Columns(), [rows("id amount"), rows("id", 1)], TODAY)
    columns = looked(columns, [rows("id amount"), rows("id amount", 1)], LATER)
    assert told(columns, LATER) == ([], [])


def test_a_field_that_some_rows_lack_is_not_missed() -> None:
    mixed = [*rows("id note", 18), *rows("id", 2)]
    columns = looked(Columns(), [mixed, rows("id", 2)], TODAY)
    assert told(columns, TODAY) == ([], [])


def test_a_few_rows_say_nothing() -> None:
    columns = looked(Columns(), [rows("id amount", 3), rows("id", 3)], TODAY)
    assert told(columns, TODAY) == ([], [])


def test_nothing_there_is_nothing_gone() -> None:
    columns = looked(Columns(), [rows("id amount")], TODAY)
    emptied = looked(columns, [], LATER)
    assert emptied.columns == columns.columns
    assert told(emptied, LATER) == ([], [])


def test_names_are_read_from_partitions_with_rows_and_kept_without_values(home: Home) -> None:
    lake = lake_of(home, "shop", THINGS)
    lake.write(date(2026, 11, 18), [Row(f"{n}", {"id": "secret-1", "tax": 1}) for n in range(20)])
    lake.write(date(2026, 11, 19), [Row("2", {"id": "secret-2"})])
    lake.write(date(2026, 11, 20), [])
    columns = look_at(Columns(), lake, TODAY)
    assert told(columns, TODAY) == ([], ["tax"])
    remember_columns(home, {"shop/things": columns, "shop/none": Columns()})
    assert recall_columns(home) == {"shop/things": columns}
    assert b"secret" not in (home.state / "columns.json").read_bytes()


def test_equal_content_is_not_read_again_and_yet_seen_again(home: Home) -> None:
    lake = lake_of(home, "shop", THINGS)
    lake.write(date(2026, 11, 18), [Row(f"{n}", {"id": n, "tax": 1}) for n in range(20)])
    lake.write(date(2026, 11, 19), [Row("1", {"id": 1, "tax": 1})])
    columns = look_at(Columns(), lake, TODAY)
    # unreadable but not looked at: its time and size are what they were
    path = lake.path(date(2026, 11, 19))
    stat, content = path.stat(), path.read_bytes()
    path.write_bytes(b"\0" * len(content))
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    much_later = TODAY + 2 * TOLD_FOR
    columns = look_at(columns, lake, much_later)
    assert told(columns, much_later) == ([], [])
    path.write_bytes(content)
    lake.write(date(2026, 11, 20), [Row("2", {"id": 2})])
    columns = look_at(columns, lake, much_later + timedelta(days=1))
    assert told(columns, much_later + timedelta(days=1)) == ([], ["tax"])


def test_a_damaged_memory_is_learnt_anew(home: Home) -> None:
    for content in (b"", b"[]", b'{"a": 1}', b'{"a": {"since": null}}'):
        (home.state / "columns.json").write_bytes(content)
        assert recall_columns(home) == {}
