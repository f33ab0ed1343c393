"""Streams of very many rows: Parquet in the lake, moved by DuckDB and never by Python row for row.

``lake/<source>/<stream>/month=2026-11-01/part.parquet`` has the columns that the stream declares,
then ``as_of`` and ``origin`` as every row from a dropped file; its rows are sorted by key. The
promises are those of ``lake``: a partition is replaced whole or not at all, what it held before
goes to the archive, and a partition of the same content keeps its file untouched.
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
"""Rows whose keys are compared, or which are sorted, at once: a spool has memory for them."""

ROWS_TOGETHER = 50_000
"""Small months are looked at together, up to so many rows: each look goes through all rows."""

WORKERS = 4
"""That write months side by side: what takes long is the disk as much as the processor. Each query
has one thread: it is short, and one of many, so that sharing it out costs more than it brings."""


def replace_months(
    spool: Spool,
    lake: StreamLake,
    as_of: str,
    origin: str,
    *,
    whole: bool,
    confirmed: str = "",
) -> list[Written]:
    """Put the spooled rows of a stream into the lake, and say what that did to each month.

    ``whole`` says that they are all the rows there are: a month that they lack is emptied. If not,
    they are merged with those present, and of rows with the same key the one captured later wins.
    A picture that is older than what is there changes nothing. ``confirmed`` is when the last whole
    picture was captured, ISO 8601 UTC: a month that came out equal kept its file and the times in
    it, but is as new as that picture. Raises ``DamagedPartition``.
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
        # the tables of a cursor are its own, and go with it
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
                    # a part that says the same once more makes its rows newer
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
    """When what a lake holds was captured last, ISO 8601 UTC: the latest ``as_of`` of its rows, or
    when a picture ``confirmed`` them. Empty when there are none."""
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
"""So many keys are compared to see how many would vanish; of more, a share that stands for all."""


def would_vanish(spool: Spool, lake: StreamLake) -> tuple[int, int]:
    """How many keys that the lake has are not among the spooled rows, and of how many; of very many
    keys by a sample."""
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
    """The months in order, those together that are small."""
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
    """The first and the last month of the spooled rows of a stream; nothing when there are none."""
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
    """Make the table ``offered``: the spooled rows of the months, and those that the lake has when
    they are to be merged."""
    columns = _table(lake).columns
    if merged:
        selected = ", ".join(
            f"cast({parquet.names([name])} as {kind}) as {parquet.names([name])}"
            for name, kind in columns.items()
        )
    else:
        selected = parquet.names(columns)
    # what is the same in every row is held once, unless rows of other files come beside it
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
                # into a month that was written since, rows of other files may have come
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
    """The versions that the months will have. Afterwards one offered row of a key is left."""
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
    """Of offered rows with the same key the one captured last stays; equal times are settled by
    content, not by order. Few keys occur twice, so few rows are looked at closely."""
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
    """Let a partition hold the offered rows, if it does not hold them already, or ``again``."""
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
    new, altered, vanished = (0 if is_same else version.rows), 0, 0
    if existed and not is_same:
        new, altered, vanished = _difference(cursor, lake, month, piece)
        lake.archive_partition(month)
    content = piece.read_bytes()
    lake.expect(month, content)
    write_atomically(path, content)
    piece.unlink()
    return Written(month, version, existed, not is_same, new, altered, vanished)


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
