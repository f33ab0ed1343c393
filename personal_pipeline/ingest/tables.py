"""Streams of very many rows: Parquet in the lake, moved by DuckDB and never row by row in Python.

``lake/<source>/<stream>/month=2026-11-01/part.parquet`` has the columns that the stream declares,
then ``as_of`` and ``origin`` like every row from a dropped file; rows are sorted by key. The
guarantees are those of ``lake``: partitions are replaced atomically, previous content goes to the
archive, and a partition with unchanged content keeps its file untouched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import duckdb

from personal_pipeline.home import write_atomically
from personal_pipeline.ingest import parquet
from personal_pipeline.ingest.contract import Table
from personal_pipeline.ingest.lake import StreamLake, Version, Written
from personal_pipeline.ingest.spool import Spool

ROWS_AT_ONCE = 200_000
"""Rows whose keys are compared, or that are sorted, at a time: what fits into a spool's memory."""

ROWS_TOGETHER = 50_000
"""Small months are processed together, up to this many rows: each query scans all rows."""

WORKERS = 4
"""Threads that write months in parallel: it is bound by disk as much as by CPU. Each query runs on
one thread: queries are short and many, so parallelism within one costs more than it gains."""


def replace_months(
    spool: Spool,
    lake: StreamLake,
    as_of: str,
    origin: str,
    *,
    whole: bool,
    confirmed: str = "",
) -> list[Written]:
    """Write the spooled rows of a stream into the lake; returns the effect on each month.

    ``whole`` means that they are all the rows there are: a month without any is emptied. Otherwise
    they are merged with the existing rows, and for each key the row captured last wins. A picture
    older than what is there changes nothing. ``confirmed`` is the capture time of the last full
    picture, ISO 8601 UTC: a month whose content was unchanged kept its file and the times in it,
    but is as recent as that picture. Raises ``DamagedPartition``.
    """
    if whole and as_of < newest_capture(spool, lake, confirmed):
        return []
    noted = lake.versions()
    rows_of_months = f"select month, count(*) from {parquet.names([lake.stream])} group by month"
    offered: dict[date, int] = dict(spool.connection.execute(rows_of_months).fetchall())
    sizes = dict.fromkeys(noted, 0) | offered if whole else offered
    if not whole:
        sizes = {m: rows + noted[m].rows if m in noted else rows for m, rows in sizes.items()}

    def replace(months: Sequence[date]) -> list[Written]:
        # temporary tables belong to the cursor, and are dropped with it
        with spool.connection.cursor() as cursor:
            _offer(cursor, lake, months, as_of, origin, confirmed, merged=not whole)
            versions = _versions_of_offered(cursor, lake, months)
            return [
                _replace(
                    cursor,
                    spool.folder,
                    lake,
                    month,
                    versions[month],
                    noted.get(month),
                    # repeating the same rows in a PART file makes them more recent
                    again=not whole,
                )
                for month in months
            ]

    workers = ROWS_AT_ONCE // max([ROWS_TOGETHER, *sizes.values()])
    with ThreadPoolExecutor(min(max(workers, 1), WORKERS)) as pool:
        written = [each for some in pool.map(replace, _together(sizes)) for each in some]
    lake.note({each.partition: each.version for each in written if each.changed})
    return written


def newest_capture(spool: Spool, lake: StreamLake, confirmed: str = "") -> str:
    """The latest capture time in a lake, ISO 8601 UTC: the latest ``as_of`` of its rows, or when a
    picture ``confirmed`` them. Empty when there are none."""
    newest = confirmed
    for month in lake.partitions():
        try:
            (found,) = spool.connection.execute(
                f"select max(as_of) from {parquet.FILE}", [str(lake.path(month))]
            ).fetchall()[0]
        except duckdb.Error as error:
            raise lake.damaged(month, error) from error
        newest = max(newest, found or "")
    return newest


SAMPLED = 200_000
"""How many keys are compared to estimate how many rows would be removed; beyond that, a sample."""


def would_remove(spool: Spool, lake: StreamLake) -> tuple[int, int]:
    """How many of the lake's keys are missing from the spooled rows, and out of how many; estimated
    from a sample for very many keys."""
    table = _table(lake)
    present = sum(version.rows for version in lake.versions().values())
    every = present // SAMPLED + 1
    cast = ", ".join(f"cast({parquet.names([n])} as {table.columns[n]})" for n in table.key)
    key = f"hash({cast})"
    with spool.connection.cursor() as cursor:
        cursor.execute("create temp table there (key ubigint)")
        for month in lake.partitions():
            try:
                cursor.execute(
                    f"insert into there select {key} from {parquet.FILE} where {key} % {every} = 0",
                    [str(lake.path(month))],
                )
            except duckdb.Error as error:
                raise lake.damaged(month, error) from error
        gone, of = cursor.execute(
            f"""
            select count(*) filter (key not in (
                select {key} from {parquet.names([lake.stream])} where {key} % {every} = 0
            )), count(*)
            from (select distinct key from there)
            """
        ).fetchall()[0]
    return gone * every, of * every


def _together(sizes: Mapping[date, int]) -> Iterator[list[date]]:
    """The months in order, small ones grouped together."""
    months: list[date] = []
    rows = 0
    for month, size in sorted(sizes.items()):
        if months and rows + size > ROWS_TOGETHER:
            yield months
            months, rows = [], 0
        months.append(month)
        rows += size
    if months:
        yield months


def months_of(spool: Spool, stream: str) -> list[date]:
    """The first and the last month of a stream's spooled rows; empty when there are none."""
    found: tuple[date | None, date | None] = spool.connection.execute(
        f"select min(month), max(month) from {parquet.names([stream])}"
    ).fetchall()[0]
    return [month for month in found if month is not None]


def _table(lake: StreamLake) -> Table:
    assert lake.table is not None, f"{lake.stream} is not a table"
    return lake.table


def _offer(
    cursor: duckdb.DuckDBPyConnection,
    lake: StreamLake,
    months: Sequence[date],
    as_of: str,
    origin: str,
    confirmed: str,
    *,
    merged: bool,
) -> None:
    """Create the table ``offered``: the spooled rows of the months, plus the lake's rows if they
    are to be merged."""
    columns = _table(lake).columns
    if merged:
        selected = ", ".join(
            f"cast({parquet.names([name])} as {kind}) as {parquet.names([name])}"
            for name, kind in columns.items()
        )
    else:
        selected = parquet.names(columns)
    # values constant across rows are stored once, unless rows of other files are merged in
    kinds = ("varchar", "varchar") if merged else (f"enum ('{as_of}')", f"enum ('{origin}')")
    within = ", ".join(f"date '{month}'" for month in months)
    cursor.execute(
        f"create temp table offered as select month, {selected},"
        f" cast('{as_of}' as {kinds[0]}) as as_of, cast('{origin}' as {kinds[1]}) as origin"
        f" from {parquet.names([lake.stream])} where month in ({within})"
    )
    for month in months:
        path = lake.path(month)
        if merged and path.exists():
            try:
                (newest,) = cursor.execute(
                    f"select coalesce(max(as_of), '') from {parquet.FILE}", [str(path)]
                ).fetchall()[0]
                # a month written since may contain rows of other files
                least = confirmed if newest < confirmed else ""
                cursor.execute(
                    f"insert into offered by name select date '{month}' as month,"
                    f" * replace (greatest(as_of, '{least}') as as_of) from {parquet.FILE}",
                    [str(path)],
                )
            except duckdb.Error as error:
                raise lake.damaged(month, error) from error


def _versions_of_offered(
    cursor: duckdb.DuckDBPyConnection, lake: StreamLake, months: Sequence[date]
) -> dict[date, Version]:
    """The versions the months will have. Afterwards one offered row per key is left."""
    table = _table(lake)
    key = parquet.names(("month", *table.key))
    query = (
        f"select month, {parquet.digest(table, lake.volatile)}, count(*),"
        f" count(distinct hash({key})) from offered group by month"
    )
    found = cursor.execute(query).fetchall()
    if any(rows != keys for _, _, rows, keys in found):
        _keep_one_of_a_key(cursor, table, lake.volatile)
        found = cursor.execute(query).fetchall()
    none = dict.fromkeys(months, Version(parquet.EMPTY, 0))
    return none | {month: Version(digest, rows) for month, digest, rows, _ in found}


def _keep_one_of_a_key(
    cursor: duckdb.DuckDBPyConnection, table: Table, volatile: tuple[str, ...]
) -> None:
    """Of offered rows with the same key, keep the one captured last; ties are settled by content,
    not by order. Few keys occur twice, so few rows need a closer look."""
    key = parquet.names(("month", *table.key))
    cursor.execute(
        "create temp table doubled as"
        f" select hash({key}) as hash from offered group by all having count(*) > 1"
    )
    cursor.execute(
        f"""
        create temp table chosen as
        select * from offered where hash({key}) in (from doubled)
        qualify row_number() over (
            partition by {key}
            order by
                as_of desc, {parquet.content(table, volatile)} desc, {parquet.text(table.columns)}
        ) = 1
        """
    )
    cursor.execute(f"delete from offered where hash({key}) in (from doubled)")
    cursor.execute("insert into offered from chosen")


def _replace(
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    lake: StreamLake,
    month: date,
    version: Version,
    noted: Version | None,
    *,
    again: bool,
) -> Written:
    """Make a partition hold the offered rows, unless it already does; with ``again``, even then."""
    is_same = version == noted
    if is_same and not again:
        return Written(month, version, True, False, 0, 0, 0)
    path, piece = lake.path(month), folder / f"{lake.stream}-{month}.parquet"
    place = str(piece).replace("'", "''")
    cursor.execute(
        f"copy (select * exclude (month) from offered where month = date '{month}'"
        f" order by {parquet.names(_table(lake).key)})"
        f" to '{place}' (format parquet, parquet_version v2, compression zstd, compression_level 1,"
        " row_group_size 20480)"
    )
    existed = path.exists()
    new, altered, removed = (0 if is_same else version.rows), 0, 0
    if existed and not is_same:
        new, altered, removed = _difference(cursor, lake, month, piece)
        lake.archive_partition(month)
    content = piece.read_bytes()
    lake.expect(month, content)
    write_atomically(path, content)
    piece.unlink()
    return Written(month, version, existed, not is_same, new, altered, removed)


def _difference(
    cursor: duckdb.DuckDBPyConnection, lake: StreamLake, month: date, piece: Path
) -> tuple[int, int, int]:
    """How many rows are new, altered and removed between a partition and its replacement."""
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
