from __future__ import annotations

import gzip
import json
import os
from datetime import date

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import (
    VERSIONS,
    DamagedPartition,
    Row,
    StreamLake,
    content_digest,
    storable,
)

DAY = date(2026, 11, 21)
NEXT = date(2026, 11, 22)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.dictionaries(st.text(), st.dictionaries(st.text(), VALUES, max_size=4), max_size=6).map(
    lambda rows: [Row(key, record) for key, record in rows.items()]
)


def lake(home: Home, volatile: tuple[str, ...] = ()) -> StreamLake:
    return StreamLake(home.lake, home.archive, "stripe", "charges", Grain.DAY, volatile)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS)
def test_what_is_written_is_read_back(home: Home, rows: list[Row]) -> None:
    lake(home).write(DAY, rows)
    assert lake(home).read(DAY) == {row.key: row for row in rows}


@given(rows=ROWS, order=st.randoms())
def test_the_digest_knows_no_order(rows: list[Row], order: object) -> None:
    shuffled = list(rows)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    assert content_digest(rows) == content_digest(shuffled)


@given(one=ROWS, other=ROWS)
def test_different_content_has_a_different_digest(one: list[Row], other: list[Row]) -> None:
    same = {r.key: json.dumps(r.record, sort_keys=True) for r in one} == {
        r.key: json.dumps(r.record, sort_keys=True) for r in other
    }
    assert (content_digest(one) == content_digest(other)) == same


def test_equal_content_leaves_the_file_untouched(home: Home) -> None:
    rows = [Row("a", {"id": "a", "amount": 1}), Row("b", {"id": "b", "amount": 2})]
    first = lake(home).write(DAY, rows)
    stat = lake(home).path(DAY).stat()
    second = lake(home).write(DAY, reversed(rows))
    again = lake(home).path(DAY).stat()
    assert (first.changed, second.changed) == (True, False)
    assert first.version == second.version
    assert (stat.st_ino, stat.st_mtime_ns) == (again.st_ino, again.st_mtime_ns)


def test_volatile_fields_and_provenance_do_not_count_as_change(home: Home) -> None:
    stream = lake(home, volatile=("request_id",))
    stream.write(DAY, [Row("a", {"v": 1, "request_id": "x"}, as_of="2026-11-01", origin="f1")])
    again = stream.write(
        DAY, [Row("a", {"v": 1, "request_id": "y"}, as_of="2026-11-02", origin="f2")]
    )
    assert not again.changed
    assert (again.new, again.altered, again.removed) == (0, 0, 0)
    assert stream.read(DAY)["a"].origin == "f2"


def test_an_empty_partition_is_known_and_not_missing(home: Home) -> None:
    written = lake(home).write(DAY, [])
    assert written.changed
    assert lake(home).partitions() == [DAY]
    assert lake(home).versions()[DAY].rows == 0


def test_counts_say_what_became_of_the_rows(home: Home) -> None:
    lake(home).write(DAY, [Row("a", {"v": 1}), Row("b", {"v": 1}), Row("c", {"v": 1})])
    written = lake(home).write(DAY, [Row("a", {"v": 1}), Row("b", {"v": 2}), Row("d", {"v": 1})])
    assert (written.new, written.altered, written.removed) == (1, 1, 1)


def test_a_superseded_partition_is_kept_read_only(home: Home) -> None:
    lake(home).write(DAY, [Row("a", {"v": 1})])
    before = lake(home).path(DAY).read_bytes()
    lake(home).write(DAY, [Row("a", {"v": 2})])
    kept = list((home.archive / "lake" / "stripe" / "charges" / "2026-11-21").iterdir())
    assert [path.read_bytes() for path in kept] == [before]
    assert kept[0].stat().st_mode & 0o222 == 0


def test_versions_follow_the_files_also_when_somebody_else_changes_them(home: Home) -> None:
    stream = lake(home)
    written = stream.write(DAY, [Row("a", {"v": 1})])
    assert stream.versions()[DAY] == written.version
    changed = gzip.compress(b'{"key":"a","record":{"v":22}}\n', mtime=0)
    stream.path(DAY).write_bytes(changed)
    assert stream.versions()[DAY].digest == content_digest([Row("a", {"v": 22})])
    # the notes are a cache: without them, or with nonsense in them, the answer is the same
    answer = stream.versions()
    (stream.folder / VERSIONS).write_text("nonsense")
    assert stream.versions() == answer


def test_a_damaged_partition_names_the_file_and_what_to_do(home: Home) -> None:
    stream = lake(home)
    stream.write(DAY, [Row("a", {"v": 1})])
    path = stream.path(DAY)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DamagedPartition, match=r"stripe\.charges: .*part\.jsonl\.gz is damaged"):
        stream.read(DAY)


def test_a_kill_while_writing_leaves_the_old_content(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = lake(home)
    stream.write(DAY, [Row("a", {"v": 1})])

    def killed(_fd: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", killed)
        with pytest.raises(KeyboardInterrupt):
            stream.write(DAY, [Row("a", {"v": 2})])
    assert stream.read(DAY)["a"].record == {"v": 1}
    assert [path.name for path in stream.path(DAY).parent.iterdir()] == ["part.jsonl.gz"]


def months(home: Home) -> StreamLake:
    return StreamLake(home.lake, home.archive, "stripe", "refunds", Grain.MONTH, by_day=True)


def test_a_day_of_a_month_is_replaced_and_archived_by_itself(home: Home) -> None:
    stream = months(home)
    stream.write_units({DAY: [Row("a", {"v": 1})], NEXT: [Row("a", {"v": 1}), Row("b", {"v": 1})]})
    assert stream.partitions() == [DAY.replace(day=1)]
    (added,) = stream.write_units({DAY: [Row("a", {"v": 1}), Row("c", {"v": 1})]})
    assert (added.new, added.altered, added.removed, added.version.rows) == (1, 0, 0, 4)
    (kept,) = (home.archive / "lake" / "stripe" / "refunds" / f"{DAY}").iterdir()
    # as a file of the day would have it
    assert gzip.decompress(kept.read_bytes()) == b'{"key":"a","record":{"v":1}}\n'
    assert stream.superseded() == [DAY]
    assert stream.read(NEXT).keys() == {"a", "b"}
    stream.write(NEXT, [])
    assert stream.read_units([DAY, NEXT]) == {DAY: stream.read(DAY), NEXT: {}}
    assert stream.superseded() == [DAY, NEXT]


def test_the_digest_of_a_month_tells_its_days_apart(home: Home) -> None:
    stream = months(home)
    written = stream.write(DAY, [Row("a", {"v": 1})])
    assert stream.versions() == {DAY.replace(day=1): written.version}
    (moved,) = stream.write_units({DAY: [], NEXT: [Row("a", {"v": 1})]})
    assert moved.changed
    assert moved.version.digest != written.version.digest
    (back,) = stream.write_units({DAY: [Row("a", {"v": 1})], NEXT: []})
    assert back.version == written.version


def test_half_of_a_surrogate_pair_is_mended_and_the_rest_kept() -> None:
    record = {"title": "cut \ud83d", "whole": "\U0001f600 ñ", "n": [1, {"x": "\udc00"}]}
    assert storable(record) == {
        "title": "cut \ufffd",
        "whole": "\U0001f600 ñ",
        "n": [1, {"x": "\ufffd"}],
    }


@given(record=st.dictionaries(st.text(), VALUES, max_size=4))
def test_what_is_storable_is_left_as_it_is(record: dict[str, object]) -> None:
    assert storable(record) == record


def test_duckdb_reads_what_the_lake_writes(home: Home) -> None:
    import duckdb

    record = storable({"title": "cut \ud83d", "whole": "\U0001f600", "control": "\x00\x1f"})
    lake(home).write(DAY, [Row("a", record)])
    read = duckdb.sql(
        f"select record ->> 'whole' from read_ndjson('{lake(home).path(DAY)}', "
        "columns = {key: 'varchar', record: 'json'})"
    ).fetchall()
    assert read == [("\U0001f600",)]


def test_what_json_cannot_hold_is_refused() -> None:
    deep: dict[str, object] = {}
    for _ in range(100_000):
        deep = {"x": deep}
    for record in ({"n": float("nan")}, {"n": float("inf")}, deep):
        with pytest.raises(ValueError, match=r"."):
            storable(record)
