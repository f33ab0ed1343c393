"""Streams of very many rows: Parquet in the lake, moved by DuckDB and never by Python row for row.

``lake/<source>/<stream>/month=2026-11-01/part.parquet`` has the columns that the stream declares,
then ``as_of`` and ``origin`` as every row from a dropped file; its rows are sorted by key. The
promises are those of ``lake``: a partition is replaced whole or not at all, what it held before
goes to the archive, and a partition of the same content keeps its file untouched.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TypeAlias

import duckdb

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest import parquet
from personal_pipeline.ingest.contract import Table
from personal_pipeline.ingest.lake import StreamLake, Version, Written

MEMORY_MB = 128
"""What DuckDB may hold while a file is loaded; what is more goes to disk, into the spool."""

ROWS_AT_ONCE = 150_000
"""Rows whose keys are compared, or which are sorted, at once: they fit into that memory."""

WORKERS = max(min(os.cpu_count() or 1, 4), 2)
"""Threads that run queries side by side. Each query has one thread: it is short, and one of many,
so that sharing it out costs more than it brings."""


Progress: TypeAlias = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Spool:
    """A place for the rows of one file on their way into the lake, gone when the file is read.

    ``folder`` is for scratch files. Every thread uses a ``connection.cursor()`` of its own.
    ``progress`` may be told what is done, how much of it, and of how much (0: nobody knows).
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    progress: Progress = lambda what, done, total: None


@contextmanager
def spooling(home: Home, progress: Progress | None = None) -> Iterator[Spool]:
    """A spool inside the home, because a folder for temporary files may be small."""
    home.state.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home.state, prefix="spool-"))
    try:
        with duckdb.connect(
            config={
                "memory_limit": f"{MEMORY_MB}MB",
                "threads": 1,
                "temp_directory": str(folder / "overflow"),
                "preserve_insertion_order": False,
                "autoinstall_known_extensions": False,
            }
        ) as connection:
            connection.execute("set TimeZone = 'UTC'")
            yield Spool(connection, folder, progress) if progress else Spool(connection, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def replace_months(
    spool: Spool, lake: StreamLake, as_of: str, origin: str, *, whole: bool
) -> list[Written]:
    """Put the spooled rows of a stream into the lake, and say what that did to each month.

    ``whole`` says that they are all the rows there are: a month that they lack is emptied. If not,
    they are merged with those present, and of rows with the same key the one captured later wins.
    Raises ``DamagedPartition``.
    """
    table = _table(lake)
    connection = spool.connection
    noted = lake.versions()
    _keep_one_of_a_key(connection, lake.stream, table)
    connection.execute(
        f"create or replace view dated as select *, '{as_of}' as as_of, '{origin}' as origin"
        " from once"
    )
    connection.execute("create or replace view offered as select * from dated")
    if not whole:
        _merge(connection, lake)
    found = {
        month: Version(digest, rows)
        for month, digest, rows in connection.execute(
            f"select month, {parquet.digest(table, lake.volatile)}, count(*)"
            " from offered group by month"
        ).fetchall()
    }
    if whole:
        found = {**dict.fromkeys(noted, Version(parquet.EMPTY, 0)), **found}
    changed = sorted(month for month, version in found.items() if noted.get(month) != version)

    def write(month: date) -> Written:
        with connection.cursor() as cursor:
            return _write(cursor, spool.folder, lake, month, found[month])

    largest = max((found[month].rows for month in changed), default=0)
    with ThreadPoolExecutor(WORKERS if largest * WORKERS <= ROWS_AT_ONCE else 1) as pool:
        written = {each.partition: each for each in pool.map(write, changed)}
    lake.note({month: found[month] for month in written})
    return [
        written.get(month) or Written(month, version, True, False, 0, 0, 0)
        for month, version in sorted(found.items())
    ]


def months_of(spool: Spool, stream: str) -> list[date]:
    """The first and the last month of the spooled rows of a stream; nothing when there are none."""
    found: tuple[date | None, date | None] = spool.connection.execute(
        f"select min(month), max(month) from {parquet.names([stream])}"
    ).fetchall()[0]
    return [month for month in found if month is not None]


def _table(lake: StreamLake) -> Table:
    assert lake.table is not None, f"{lake.stream} is not a table"
    return lake.table


def _write(
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    lake: StreamLake,
    month: date,
    version: Version,
) -> Written:
    table = _table(lake)
    path, piece = lake.path(month), folder / f"{lake.stream}-{month}.parquet"
    place = str(piece).replace("'", "''")
    cursor.execute(
        f"copy (select {parquet.names(table.columns)}, as_of, origin from offered"
        f" where month = date '{month}' order by {parquet.names(table.key)})"
        f" to '{place}' (format parquet, compression zstd, row_group_size 20480)"
    )
    existed = path.exists()
    new, altered, vanished = version.rows, 0, 0
    if existed:
        new, altered, vanished = _difference(cursor, lake, month, piece)
        lake.archive_partition(month)
    write_atomically(path, piece.read_bytes())
    piece.unlink()
    return Written(month, version, existed, True, new, altered, vanished)


def _difference(
    cursor: duckdb.DuckDBPyConnection, lake: StreamLake, month: date, piece: Path
) -> tuple[int, int, int]:
    """How many rows are new, altered and vanished between a partition and what replaces it."""
    table = _table(lake)
    rows = (
        f"(select {parquet.text(table.key)} as key,"
        f" md5_number({parquet.content(table, lake.volatile)}) as content"
        f" from {parquet.FILE})"
    )
    try:
        counts: tuple[int, int, int] = cursor.execute(
            f"""
            select
                count(*) filter (present.content is null),
                count(*) filter (present.content <> offered.content),
                count(*) filter (offered.content is null)
            from {rows} as offered full join {rows} as present using (key)
            """,
            [str(piece), str(lake.path(month))],
        ).fetchall()[0]
    except duckdb.Error as error:
        raise lake.damaged(month, error) from error
    return counts


def _keep_one_of_a_key(connection: duckdb.DuckDBPyConnection, stream: str, table: Table) -> None:
    """Make the view ``once``: the spooled rows, and of those with the same key only one, chosen by
    content and not by order. Hardly any key occurs twice, so few rows are looked at closely."""
    key, rows = parquet.names(table.key), parquet.names([stream])
    connection.execute("create or replace table doubled (hash ubigint)")
    months = connection.execute(
        f"select month, count(*) from {rows} group by month order by month"
    ).fetchall()
    for first, last in _spans(months):
        connection.execute(
            f"""
            insert into doubled
            select hash({key}) as hash from {rows}
            where month between date '{first}' and date '{last}'
            group by hash having count(*) > 1
            """
        )
    if not connection.execute("select count(*) from doubled").fetchall()[0][0]:
        connection.execute(f"create or replace view once as select * from {rows}")
        return
    connection.execute(
        f"""
        create or replace table chosen as
        select * from {rows} where hash({key}) in (select hash from doubled)
        qualify row_number() over (
            partition by {key} order by {parquet.text(["month", *table.columns])}
        ) = 1
        """
    )
    connection.execute(
        f"""
        create or replace view once as
        select * from {rows} where hash({key}) not in (select hash from doubled)
        union all by name
        select * from chosen
        """
    )


def _spans(months: Sequence[tuple[date, int]]) -> list[tuple[date, date]]:
    """First and last month of spans that hold about ``ROWS_AT_ONCE`` rows each."""
    spans: list[tuple[date, date]] = []
    rows = 0
    for month, count in months:
        if not spans or rows + count > ROWS_AT_ONCE:
            spans.append((month, month))
            rows = 0
        spans[-1] = (spans[-1][0], month)
        rows += count
    return spans


def _merge(connection: duckdb.DuckDBPyConnection, lake: StreamLake) -> None:
    """Let ``offered`` also hold what the lake has for the same months."""
    found = connection.execute("select distinct month from once").fetchall()
    months = [month for (month,) in found if lake.path(month).exists()]
    if not months:
        return
    listed = ", ".join(f"date '{month}'" for month in months)
    present = f"month in ({listed})"
    table = _table(lake)
    connection.execute(f"create or replace table merged as select * from dated where {present}")
    for month in months:
        try:
            connection.execute(
                f"insert into merged by name select *, date '{month}' as month from {parquet.FILE}",
                [str(lake.path(month))],
            )
        except duckdb.Error as error:
            raise lake.damaged(month, error) from error
    connection.execute(
        f"""
        create or replace table newest as
        select * from merged
        qualify row_number() over (
            partition by {parquet.names(["month", *table.key])}
            order by as_of desc, {parquet.content(table, lake.volatile)} desc
        ) = 1
        """
    )
    connection.execute(
        f"""
        create or replace view offered as
        select * from dated where not {present}
        union all by name
        select * from newest
        """
    )
