"""Streams of very many rows: Parquet in the lake, with the promises of every other stream."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.columns import Columns, look_at
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Incomplete,
    Source,
    Table,
    Unreadable,
)
from personal_pipeline.ingest.inbox import Receipt, ingest_file
from personal_pipeline.ingest.lake import DamagedPartition, lake_of
from personal_pipeline.ingest.parquet import digest_of_parquet
from personal_pipeline.ingest.spool import Spool

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
POINTS = Table({"seen_at": "timestamp", "value": "double", "address": "varchar"}, key=("seen_at",))


def load(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable | Incomplete]:
    """Lines of ``2026-11-01T06:00,1.5,address``; the last one may be ``cut``."""
    lines = file.path.read_text().splitlines()[1:]
    spool.connection.execute(
        "create table points (month date, seen_at timestamp, value double, address varchar)"
    )
    for line in lines:
        if line == "cut":
            yield Incomplete("the file breaks off")
            continue
        at, value, address = line.split(",")
        spool.connection.execute(
            "insert into points select date_trunc('month', ?::timestamp), ?, ?, ?",
            [at, at, value, address],
        )


def source_of(coverage: Coverage) -> Source:
    stream = DropStream(
        name="points",
        description="One point.",
        coverage=coverage,
        volatile=("address",),
        table=POINTS,
    )
    drop = Drop(
        name="export",
        description="points",
        how_to="",
        recognise=lambda file: Claim(0.9, "points") if b"#points" in file.head() else None,
        load=load,
        streams=(stream,),
    )
    return Source(name="toy", title="Toy", description="", drops=(drop,))


def dropped(home: Home, source: Source, *lines: str, hour: int = 0, name: str = "x") -> Receipt:
    path = home.inbox / name
    path.write_text("\n".join(["#points", *lines]))
    stamp = datetime(2026, 11, 20, hour, tzinfo=UTC).timestamp()
    os.utime(path, (stamp, stamp))
    receipt = ingest_file(home, [source], path, NOW).receipt
    assert receipt.problem is None
    return receipt


def values(home: Home, source: Source) -> dict[str, float]:
    lake = lake_of(home, "toy", source.drop_streams[0])
    files = [str(lake.path(month)) for month in lake.partitions()]
    return {
        f"{at:%m-%d}": value
        for at, value in duckdb.sql(f"select seen_at, value from read_parquet({files})").fetchall()
    }


def counts(receipt: Receipt) -> tuple[int, int, int, int]:
    each = receipt.streams[0]
    return each.new, each.altered, each.vanished, each.unchanged


def test_a_newer_picture_changes_the_months_that_differ(home: Home) -> None:
    source = source_of(Coverage.FULL)
    first = dropped(home, source, "2026-09-01,1,0x1", "2026-10-01,2,0x1", "2026-10-02,3,0x1")
    assert counts(first) == (3, 0, 0, 0)
    assert (first.streams[0].first_month, first.streams[0].last_month) == (
        "2026-09-01",
        "2026-10-01",
    )
    lake = lake_of(home, "toy", source.drop_streams[0])
    september = lake.path(date(2026, 9, 1)).stat()
    # addresses differ in every export, and say nothing
    second = dropped(home, source, "2026-09-01,1,0x2", "2026-10-02,9,0x2", hour=1)
    assert counts(second) == (0, 1, 1, 1)
    assert second.streams[0].changed_months == ("2026-10-01",)
    assert lake.path(date(2026, 9, 1)).stat().st_mtime_ns == september.st_mtime_ns
    assert values(home, source) == {"09-01": 1, "10-02": 9}
    # what was replaced is in the archive
    assert len(list((home.archive / "lake" / "toy" / "points").rglob("*.parquet"))) == 1


def test_rows_that_exchange_their_values_are_a_change(tmp_path: Path) -> None:
    """A digest that only adds up what stands in the columns would not see it."""
    path = tmp_path / "points.parquet"
    digests = set()
    for values in itertools.permutations(["null", "0", "1", "2.5"]):
        rows = ", ".join(
            f"(timestamp '2026-11-0{day} 06:00', {value}::double, 'a')"
            for day, value in enumerate(values, start=1)
        )
        duckdb.execute(f"copy (from (values {rows}) as t(seen_at, value, address)) to '{path}'")
        digests.add(digest_of_parquet(path, POINTS, ("address",))[0])
    assert len(digests) == 24


def test_the_same_export_again_is_not_read(home: Home) -> None:
    source = source_of(Coverage.FULL)
    lines = ("2026-09-01,1,0x1", "2026-10-01,2,0x1")
    dropped(home, source, *lines)
    again = dropped(home, source, *lines, name="another name")
    assert counts(again) == (0, 0, 0, 2)
    older = dropped(home, source, *lines, hour=1)
    assert counts(older) == (0, 0, 0, 2)
    assert counts(dropped(home, source, "2026-09-01,7,0x1", hour=0)) == (0, 0, 0, 2)
    assert values(home, source) == {"09-01": 1, "10-01": 2}


def test_one_that_breaks_off_takes_nothing_away(home: Home) -> None:
    source = source_of(Coverage.FULL)
    dropped(home, source, "2026-09-01,1,0x1", "2026-10-01,2,0x1")
    cut = dropped(home, source, "2026-10-01,5,0x1", "cut", hour=1)
    assert cut.warning == "the file breaks off"
    assert values(home, source) == {"09-01": 1, "10-01": 5}


def test_parts_add_to_each_other_in_any_order(tmp_path: Path) -> None:
    source = source_of(Coverage.PART)
    files = [
        ("2026-10-01,1,0x1", "2026-10-02,1,0x1"),
        ("2026-10-02,2,0x1",),
        ("2026-10-03,3,0x1", "2026-10-01,3,0x2", "2026-10-01,3,0x1"),
    ]
    found = []
    for number, order in enumerate(itertools.permutations(range(3))):
        home = Home(tmp_path / str(number)).ensure()
        for place in order:
            dropped(home, source, *files[place], hour=place)
        found.append(values(home, source))
    assert all(each == {"10-01": 3, "10-02": 2, "10-03": 3} for each in found)


def test_the_newest_word_counts_whatever_came_before_it_and_in_whatever_order(
    tmp_path: Path,
) -> None:
    """Three exports of one row: the first and the last say the same, one in between does not; each
    may break off."""
    source = source_of(Coverage.FULL)
    says = {1: "2026-10-01,1,0x1", 2: "2026-10-01,2,0x2", 3: "2026-10-01,1,0x3"}
    orders = itertools.permutations(says)
    cuts = itertools.product(["", "cut"], repeat=len(says))
    # a third of them, in which each order and each choice of broken ones is there
    for number, (order, cut) in enumerate([*itertools.product(orders, cuts)][::3]):
        home = Home(tmp_path / str(number)).ensure()
        for hour in order:
            lines = [says[hour], *filter(None, [cut[hour - 1]])]
            dropped(home, source, *lines, hour=hour, name=f"{hour}")
        assert values(home, source) == {"10-01": 1}, (order, cut)


def test_an_older_export_changes_nothing_after_the_reader_changed(home: Home) -> None:
    source = source_of(Coverage.FULL)
    dropped(home, source, "2026-09-01,1,0x1", "2026-10-01,1,0x1", hour=1)
    # it confirms September, and the reader that has changed since reads older ones anew
    dropped(home, source, "2026-09-01,1,0x1", "2026-10-01,1,0x2", hour=3)
    (drop,) = source.drops
    streams = tuple(dataclasses.replace(each, code_version="2") for each in drop.streams)
    changed = dataclasses.replace(source, drops=(dataclasses.replace(drop, streams=streams),))
    dropped(home, changed, "2026-09-01,7,0x1", hour=2)
    assert values(home, source) == {"09-01": 1, "10-01": 1}


def test_versions_are_true_of_the_files_and_damage_is_told(home: Home) -> None:
    source = source_of(Coverage.FULL)
    dropped(home, source, "2026-10-01,1,0x1")
    lake = lake_of(home, "toy", source.drop_streams[0])
    noted = lake.versions()
    (lake.folder / ".versions.json").unlink()
    assert lake.versions() == noted
    # a table has the columns that it declares, whatever a file holds
    assert look_at(Columns(), lake, date(2026, 10, 2)) == Columns()
    lake.path(date(2026, 10, 1)).write_bytes(b"nonsense")
    with pytest.raises(DamagedPartition, match="is damaged"):
        lake.versions()


def test_no_scratch_is_left(home: Home) -> None:
    dropped(home, source_of(Coverage.FULL), "2026-10-01,1,0x1")
    assert not list(home.state.glob("spool-*"))
