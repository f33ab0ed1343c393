"""Answers and exports that would make most of what is there vanish."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest import doubtful, inbox
from personal_pipeline.ingest.arrivals import exports_of
from personal_pipeline.ingest.contract import (
    ApiStream,
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Grain,
    Record,
    Source,
    Table,
    Window,
)
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.http import Client, Failure
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.spool import Spool
from personal_pipeline_tests.ingest.test_fetch import Clocked, newest_rows

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
TODAY = NOW.date()


def stream_of(kind: Coverage, records: dict[str, date], share: float = 0.5) -> ApiStream:
    def every(_client: Client) -> Iterator[Record]:
        yield from ({"id": key, "day": day.isoformat()} for key, day in list(records.items()))

    def fetch(_client: Client, window: Window) -> Iterator[Record]:
        for key, day in list(records.items()):
            if window.start <= day < window.end:
                yield {"id": key, "day": day.isoformat()}

    return ApiStream(
        name="things",
        description="One thing.",
        grain=Grain.DAY if kind is Coverage.STATE else Grain.MONTH,
        key=lambda record: str(record["id"]),
        days=lambda record: (date.fromisoformat(record["day"]),),
        fetch=fetch if kind in (Coverage.WINDOW, Coverage.PART) else None,
        fetch_all=None if kind is Coverage.WINDOW else every,
        coverage=kind,
        refetch_days=90,
        max_loss=share,
    )


def fetched(
    home: Home, stream: ApiStream, hours: float = 0, *, accept: bool = False
) -> FetchResult:
    source = Source(name="test", title="Test", description="", api=(stream,))
    now = NOW + timedelta(hours=hours)
    return fetch_stream(
        home,
        source,
        stream,
        Clocked(now),
        now=now,
        beginning=TODAY - timedelta(days=59),
        accept=accept,
    )


def kept(home: Home, stream: ApiStream) -> set[str]:
    return newest_rows(home, stream)


def many(number: int = 60) -> dict[str, date]:
    """One a day: no window of 31 days has many."""
    return {f"r{n}": TODAY - timedelta(days=n % 60) for n in range(number)}


KINDS = pytest.mark.parametrize("kind", list(Coverage))


@KINDS
def test_one_empty_answer_takes_nothing_away(home: Home, kind: Coverage) -> None:
    records = many()
    stream = stream_of(kind, records)
    assert fetched(home, stream).failure is None
    there = dict(records)
    records.clear()
    # the weekly full pass of a stream that is merged
    hours = 24 * 7 if kind is Coverage.PART else 24
    failure = fetched(home, stream, hours).failure
    assert failure is not None
    assert failure.failure is Failure.LOST_ROWS
    assert "would remove 60 of 60 rows" in str(failure)
    assert "refresh --accept test" in str(failure)
    assert kept(home, stream) == set(there)
    # it was a passing fault
    records |= there
    assert fetched(home, stream, hours + 24).failure is None
    # and once more: the first doubt confirms nothing now
    records.clear()
    assert fetched(home, stream, hours + 24 * 8).failure is not None


@KINDS
def test_what_is_said_again_after_a_day_is_taken(home: Home, kind: Coverage) -> None:
    records = many()
    stream = stream_of(kind, records)
    fetched(home, stream)
    for key in list(records)[:45]:
        del records[key]
    hours = 24 * 7
    assert fetched(home, stream, hours).failure is not None
    assert fetched(home, stream, hours + 3).failure is not None, "a second try of the morning"
    # something else is gone as well now, and that was never said
    other, day = next(iter(records.items()))
    del records[other]
    assert fetched(home, stream, hours + 24).failure is not None
    records[other] = day
    assert fetched(home, stream, hours + 46).failure is None
    assert kept(home, stream) == set(records)


@KINDS
def test_a_person_accepts(home: Home, kind: Coverage) -> None:
    records = many()
    stream = stream_of(kind, records)
    fetched(home, stream)
    records.clear()
    hours = 24 * 7
    assert fetched(home, stream, hours).failure is not None
    assert fetched(home, stream, hours + 1, accept=True).failure is None
    assert kept(home, stream) == set()


@pytest.mark.parametrize(
    ("there", "left", "share"), [(20, 0, 0.5), (60, 30, 0.5), (60, 0, 1.0), (60, 8, 0.9)]
)
def test_less_is_believed_at_once(home: Home, there: int, left: int, share: float) -> None:
    records = many(there)
    stream = stream_of(Coverage.FULL, records, share)
    fetched(home, stream)
    for key in list(records)[left:]:
        del records[key]
    assert fetched(home, stream, 24).failure is None
    assert len(kept(home, stream)) == left


def test_answers_set_aside_are_kept_and_few(home: Home) -> None:
    records = many()
    stream = stream_of(Coverage.FULL, records)
    fetched(home, stream)
    for number in range(5):
        records.clear()
        records[f"other{number}"] = TODAY
        fetched(home, stream, 24)
    aside = list((home.quarantine / "test" / "things").iterdir())
    assert len(aside) == 3
    assert all(path.name.startswith("set-aside-") for path in aside)


# ------------------------------------------------------------------------------------ of exports


def _rows(file: DropFile) -> Iterator[tuple[str, date]]:
    for line in file.path.read_text().split():
        key, month = line.split(",")
        yield key, date.fromisoformat(month)


def _read(file: DropFile) -> Iterator[DropRow]:
    yield from (DropRow("rows", month, key, {"id": key}) for key, month in _rows(file))


def _load(file: DropFile, spool: Spool) -> Iterator[DropRow]:
    spool.connection.execute("create table rows (month date, id varchar)")
    spool.connection.executemany(
        "insert into rows values (?, ?)", [(month, key) for key, month in _rows(file)]
    )
    yield from ()


def source_of(kind: str) -> Source:
    table = Table(columns={"id": "varchar"}, key=("id",)) if kind == "table" else None
    stream = DropStream(name="rows", description="One row.", coverage=Coverage.FULL, table=table)
    reader: dict[str, Any] = {"load": _load} if kind == "table" else {"read": _read}
    drop = Drop(
        name="export",
        description="an export",
        how_to="Export.",
        recognise=lambda file: Claim(1, "it is"),
        streams=(stream,),
        **reader,
    )
    return Source(name="test", title="Test", description="", drops=(drop,))


def drop(home: Home, source: Source, keys: Sequence[str], name: str, hours: float) -> str | None:
    """Drop an export of some keys at an hour; what is said of it when it is set aside."""
    path = home.inbox / name
    path.write_text("\n".join(f"{key},2026-0{1 + n % 3}-01" for n, key in enumerate(keys)))
    at = NOW + timedelta(hours=hours)
    os.utime(path, (at.timestamp(), at.timestamp()))
    return take(home, source, path, hours)


def take(home: Home, source: Source, path: Path, hours: float) -> str | None:
    return inbox.ingest_file(
        home, [source], path, NOW + timedelta(hours=hours, minutes=1)
    ).receipt.problem


def keys_of(home: Home, source: Source) -> set[str]:
    lake = lake_of(home, "test", source.drops[0].streams[0])
    if lake.table is None:
        return {key for month in lake.partitions() for key in lake.read(month)}
    return {
        key
        for month in lake.partitions()
        for (key,) in duckdb.execute(f"select id from '{lake.path(month)}'").fetchall()
    }


EXPORTS = pytest.mark.parametrize("kind", ["json", "table"])
ALL = [f"k{n}" for n in range(60)]


@EXPORTS
def test_an_export_of_another_account_is_set_aside(home: Home, kind: str) -> None:
    source = source_of(kind)
    assert drop(home, source, ALL, "mine.txt", 0) is None
    said = drop(home, source, [f"x{n}" for n in range(60)], "other.txt", 1)
    assert said is not None
    assert "would remove 60 of 60 rows" in said
    assert keys_of(home, source) == set(ALL)
    (bad,) = [each for each in exports_of(home)["test", "export"].arrivals if each.cause]
    assert bad.cause == "answer lost most rows"
    # dropped again at once it is no more right, and after a day it is
    assert drop(home, source, [f"x{n}" for n in range(60)], "again.txt", 1) is not None
    assert drop(home, source, [f"x{n}" for n in range(60)], "once more.txt", 30) is None
    assert keys_of(home, source) == {f"x{n}" for n in range(60)}


@EXPORTS
def test_an_export_is_accepted_from_quarantine(home: Home, kind: str) -> None:
    source = source_of(kind)
    drop(home, source, ALL, "mine.txt", 0)
    assert drop(home, source, ALL[:10], "small.txt", 1) is not None
    (path,) = doubtful.bring_back(home, "test")
    assert path == home.inbox / "small.txt"
    assert take(home, source, path, 2) is None
    assert keys_of(home, source) == set(ALL[:10])
    assert doubtful.bring_back(home, "test") == []


@EXPORTS
def test_an_older_export_never_replaces_a_newer_one(home: Home, kind: str) -> None:
    source = source_of(kind)
    drop(home, source, ALL, "newer.txt", 10)
    path = home.inbox / "older.txt"
    path.write_text("k1,2026-01-01\nz,2026-02-01")
    os.utime(path, (NOW.timestamp(), NOW.timestamp()))
    assert take(home, source, path, 20) is None
    assert keys_of(home, source) == set(ALL)
