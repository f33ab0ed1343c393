"""Questions to tables in SQL: the person's own, and those of a language model.

A query reads tables and nothing else: no file, no network, no settings. In a notebook::

    from personal_pipeline import tables
    tables().sql("select day, views from creator_daily")
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection, Statement

SCHEMAS = ("marts", "pipeline", "staging")
"""Where a table is looked for that is named without its schema, in this order."""

_CLOSED: dict[str, Any] = {
    "access_mode": "READ_ONLY",
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
}


class Refused(Exception):
    """The text is not one query, or it cannot be answered; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An open result. ``numeric`` says per column whether it holds numbers; ``rows`` are read while
    the connection is open."""

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: Iterator[tuple[Any, ...]]


@contextmanager
def asked(
    database: Path, query: str, *, seconds: float | None = None, memory: str | None = None
) -> Iterator[Answer]:
    """The answer to one query, which is read within the block.

    It is ended after ``seconds``. With ``memory``, such as 512MB, it gets no more than that, and
    writes nothing to disk meanwhile. Raises ``FileNotFoundError`` before the first build, and
    ``Refused``.
    """
    with _opened(database, memory=memory) as tables, _told(), _ended_after(tables, seconds):
        result = tables.execute(_only_query(query))
        described = result.description or []
        numeric = tuple(
            each[1] == "NUMBER" or str(each[1]).startswith("DECIMAL") for each in described
        )
        yield Answer(tuple(each[0] for each in described), numeric, _rows(result))


def tables_named(query: str) -> set[str]:
    """The tables that a query names, without their schemas, whether or not there are such tables.
    Raises ``Refused``."""
    import duckdb

    with duckdb.connect(config={**_CLOSED, "access_mode": "AUTOMATIC"}) as nothing, _told():
        nothing.execute("set enable_external_access = false")
        return nothing.get_table_names(_only_query(query).query)


def write_parquet(database: Path, query: str, path: Path) -> int:
    """Write the answer to a Parquet file, whole or not at all; returns the number of rows.

    Raises as ``asked`` does.
    """
    path = path.absolute()
    partial = path.with_name(f".{path.name}.part")
    try:
        with _opened(database, writes=partial) as tables, _told():
            tables.sql(_only_query(query).query).write_parquet(str(partial))
            counted = tables.execute("select count(*) from read_parquet(?)", [str(partial)])
            (rows,) = counted.fetchall()[0]
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return int(rows)


@dataclass(frozen=True, slots=True)
class Tables:
    """The published tables of a home."""

    database: Path

    def sql(self, query: str) -> pd.DataFrame:
        """The answer to one query as a frame. Raises as ``asked`` does."""
        with _opened(self.database) as tables, _told():
            return tables.execute(_only_query(query)).df()

    def names(self) -> pd.DataFrame:
        """All tables, with what a row is."""
        return self.sql(
            "select schema_name as schema, table_name as table, comment, estimated_size as rows "
            "from duckdb_tables() where schema_name in ('marts', 'pipeline', 'staging') "
            "order by all"
        )


# ------------------------------------------------------------------------------------------------


@contextmanager
def _opened(
    database: Path, *, writes: Path | None = None, memory: str | None = None
) -> Iterator[DuckDBPyConnection]:
    import duckdb

    if not database.exists():
        raise FileNotFoundError(f"{database}: no tables yet; run `personal-pipeline refresh` first")
    with duckdb.connect(str(database), config=_CLOSED) as tables:
        found = tables.execute("select distinct schema_name from duckdb_schemas()").fetchall()
        present = [name for name in SCHEMAS if (name,) in found]
        tables.execute(f"set search_path = '{','.join(present)}'")
        if writes:
            tables.execute(f"set allowed_paths = ['{_quoted(writes)}']")
        if memory:
            tables.execute(f"set memory_limit = '{memory}'")
            tables.execute("set temp_directory = ''")
        tables.execute("set enable_external_access = false")
        tables.execute("set lock_configuration = true")
        yield tables


def _only_query(text: str) -> Statement:
    """The one query in a text. Raises ``Refused`` if there is anything else."""
    import duckdb

    try:
        statements = duckdb.extract_statements(text)
    except duckdb.Error as error:
        raise Refused(str(error)) from None
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise Refused("Expected one query that only reads: `select …`, `from …` or `with …`.")
    return statements[0]


@contextmanager
def _told() -> Iterator[None]:
    """DuckDB says which table or column is nearest to a name that there is not."""
    import duckdb

    try:
        yield
    except duckdb.InterruptException:
        raise Refused("The query took too long and was ended.") from None
    except duckdb.Error as error:
        raise Refused(str(error)) from None


@contextmanager
def _ended_after(tables: DuckDBPyConnection, seconds: float | None) -> Iterator[None]:
    if seconds is None:
        yield
        return
    alarm = Timer(seconds, tables.interrupt)
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def _rows(result: DuckDBPyConnection) -> Iterator[tuple[Any, ...]]:
    while rows := result.fetchmany(1000):
        yield from rows


def _quoted(path: Path) -> str:
    return str(path).replace("'", "''")
