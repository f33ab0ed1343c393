"""The published marts as SQLite files: ``published/site.sqlite`` for the owner, and one for each
person with whom a part is shared.

Datasette holds a file open, so it is changed in place (``sqlite_file``): the partitions whose
content digest differs are replaced. When a file is written anew, the server notices that it is
another one.

A mart keeps its name and columns. Numbers are integers or floating point, booleans 0 or 1; days and
instants (UTC) are text in ISO 8601, lists are JSON.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personal_pipeline import sqlite_file
from personal_pipeline.home import Home, read_object, write_atomically
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import Version
from personal_pipeline.outputs.contract import Board, Output, Written
from personal_pipeline.site.catalogue import SCHEMA, Mart, links_of, marts_of
from personal_pipeline.site.people import Person, delete_orphans, people_of
from personal_pipeline.sqlite_file import stamp_of
from personal_pipeline.warehouse import dbt_project, integrity, store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
"""Raise it when this module writes a file otherwise: all are then written anew."""

LOCK_WAIT_SECONDS = 300
BUSY_SECONDS = 30.0
"""How long another program may keep a file locked."""

ROWS_AT_ONCE = 10_000

OWN = ("_tables", "_columns", "_partitions")
"""What a file holds besides marts: what they and their columns are, and what was written."""

_OWN_TABLES = """
create table _tables (name text primary key, area text, description text, definition text);
create table _columns (
    table_name text, name text, description text, primary key (table_name, name)
);
create table _partitions (
    table_name text, partition text, digest text, rows integer, primary key (table_name, partition)
);
"""

_KINDS = {
    **dict.fromkeys(("BIGINT", "INTEGER", "SMALLINT", "TINYINT", "UINTEGER"), "integer"),
    "BOOLEAN": "integer",
    **dict.fromkeys(("DOUBLE", "FLOAT", "HUGEINT", "UBIGINT"), "real"),
}


@dataclass(frozen=True, slots=True)
class WrittenSite:
    """What a pass changed: the number of replaced partitions by table, in the owner's file."""

    path: Path
    partitions: Mapping[str, int]


def write_site(house: House) -> WrittenSite | None:
    """Bring the files up to date with the published tables. None if no row of the owner's had to be
    replaced; while nothing changed, that costs a few file stats.

    Raises ``Busy`` if another program keeps a file locked, ``sqlite3.Error`` and ``OSError`` if the
    disk is full; the files then stay as they were.
    """
    home = house.home
    if not home.published.exists() or is_current(home):
        return None
    with home.lock("site", wait_seconds=LOCK_WAIT_SECONDS):
        # before anything is read: what changes meanwhile is found by the next pass
        state = _state_of(home)
        kept = read_object(_path(home)).get("files")
        as_left = kept if isinstance(kept, dict) else {}
        marts = marts_of(dbt_project.load_manifest(home))
        with store.reading(house) as published:
            source = _Source.read(published)
            changed = _write(published, source, home.site, marts, as_left)
            people = people_of(home)
            for person in people:
                shared = {name: marts[name] for name in person.tables(marts)}
                _write(published, source, home.site_of(person.name), shared, as_left)
        delete_orphans(home, people)
        files = {path.name: stamp_of(path) for path in _files(home, people)}
        write_atomically(_path(home), json.dumps({**state, "files": files}).encode())
    return WrittenSite(home.site, changed) if changed else None


def _bring(house: House, _board: Board, again: bool) -> Written | None:
    written = write_site(house)
    if written is None and not (again and house.home.site.exists()):
        return None
    stamp = repr(integrity.stamp_of(house.home.published))
    replaced = written.partitions if written else {}
    rows = [f"| {name} | {count:,} |" for name, count in sorted(replaced.items())]
    table = "\n".join(["| table | partitions replaced |", "| --- | ---: |", *rows])
    return Written(
        house.home.site,
        hashlib.sha256(stamp.encode()).hexdigest(),
        "/",
        {"replaced": table if rows else "nothing", "size": house.home.site.stat().st_size},
    )


SITE = Output(
    name="site",
    description=(
        "The marts in SQLite, published/site.sqlite, which `personal-pipeline site` shows in the "
        "browser; and the part of them that is shared with somebody. Only partitions whose content "
        "changed are replaced."
    ),
    kinds=frozenset({"sqlite"}),
    write=_bring,
)


def is_current(home: Home) -> bool:
    """Whether nothing has changed since the files were written: neither tables nor descriptions nor
    the files themselves."""
    kept = read_object(_path(home))
    files = kept.pop("files", None)
    return kept == _state_of(home) and files == {
        path.name: stamp_of(path) for path in _files(home, people_of(home))
    }


def _files(home: Home, people: Iterable[Person]) -> list[Path]:
    return [home.site, *(home.site_of(person.name) for person in people)]


def _state_of(home: Home) -> dict[str, object]:
    return {
        "format": FORMAT,
        "tables": integrity.stamp_of(home.published),
        "descriptions": dbt_project.changed_at(home),
        "people": [[each.name, sorted(each.areas)] for each in people_of(home)],
    }


def _path(home: Home) -> Path:
    return home.state / "site.json"


# ------------------------------------------------------------------------------------ one file


@dataclass(frozen=True, slots=True)
class _Source:
    """What the published copy has: the columns of each mart with their types, and the digest and
    the number of rows of each partition."""

    columns: Mapping[str, Mapping[str, str]]
    partitions: Mapping[str, Mapping[str, Version]]

    @classmethod
    def read(cls, published: DuckDBPyConnection) -> _Source:
        columns: dict[str, dict[str, str]] = {}
        for table, column, kind in published.execute(
            "select table_name, column_name, data_type from duckdb_columns() "
            "where schema_name = ? order by table_name, column_index",
            [SCHEMA],
        ).fetchall():
            columns.setdefault(table, {})[column] = kind
        partitions: dict[str, dict[str, Version]] = {table: {} for table in columns}
        for asset, partition, *version in published.execute(
            "select asset, partition, digest, row_count from pipeline.ledger "
            "where asset like ? || '/%'",
            [SCHEMA],
        ).fetchall():
            partitions.setdefault(asset.partition("/")[2], {})[partition] = Version(*version)
        return cls(columns, partitions)


def _write(
    published: DuckDBPyConnection,
    source: _Source,
    path: Path,
    marts: Mapping[str, Mart],
    as_left: Mapping[str, object],
) -> dict[str, int]:
    """Bring one file up to date; returns how many partitions were replaced, by table."""
    marts = {name: mart for name, mart in marts.items() if name in source.columns}
    stamp = stamp_of(path)
    return sqlite_file.written(
        path,
        _OWN_TABLES,
        lambda site: _transfer(published, source, site, marts),
        as_left=stamp is not None and as_left.get(path.name) == stamp,
        busy_seconds=BUSY_SECONDS,
    )


@dataclass(frozen=True, slots=True)
class _Content:
    """What a file says that it holds: of each table the area, description and definition, the
    description of each column, and the version of each partition."""

    tables: Mapping[str, tuple[str, str, str]]
    columns: Mapping[tuple[str, str], str]
    partitions: Mapping[str, Mapping[str, Version]]

    @classmethod
    def wanted(cls, source: _Source, marts: Mapping[str, Mart]) -> _Content:
        links = links_of(marts)
        return cls(
            {
                name: (mart.area, mart.description, _definition(mart, source.columns[name], links))
                for name, mart in marts.items()
            },
            {
                (name, column): mart.columns.get(column, "")
                for name, mart in marts.items()
                for column in source.columns[name]
            },
            {name: source.partitions[name] for name in marts if source.partitions[name]},
        )

    @classmethod
    def of(cls, site: sqlite3.Connection) -> _Content:
        partitions: dict[str, dict[str, Version]] = {}
        for table, partition, digest, rows in site.execute(
            "select table_name, partition, digest, rows from _partitions"
        ):
            partitions.setdefault(table, {})[partition] = Version(digest, rows)
        told = site.execute("select name, area, description, definition from _tables")
        columns = site.execute("select table_name, name, description from _columns")
        return cls(
            {name: (area, description, definition) for name, area, description, definition in told},
            {(table, column): description for table, column, description in columns},
            partitions,
        )


def _transfer(
    published: DuckDBPyConnection,
    source: _Source,
    site: sqlite3.Connection,
    marts: Mapping[str, Mart],
) -> dict[str, int]:
    """Make the tables in ``site`` these marts, in one transaction; none if they are."""
    wanted, there = _Content.wanted(source, marts), _Content.of(site)
    if wanted == there:
        return {}
    changed: dict[str, int] = {}
    site.execute("begin immediate")
    for gone in there.tables.keys() - marts.keys():
        site.execute(f"drop table {_quoted(gone)}")
    for name, mart in marts.items():
        written = there.partitions.get(name, {})
        definition = wanted.tables[name][2]
        if there.tables.get(name, ("", "", ""))[2] != definition:
            site.execute(f"drop table if exists {_quoted(name)}")
            for statement in definition.split(";\n"):
                site.execute(statement)
            written = {}
        if count := _replace_partitions(published, source, site, mart, written):
            changed[name] = count
    for own in OWN:
        site.execute(f"delete from {own}")  # noqa: S608
    site.executemany(
        "insert into _tables values (?, ?, ?, ?)",
        [(name, *told) for name, told in wanted.tables.items()],
    )
    site.executemany(
        "insert into _columns values (?, ?, ?)",
        [(*named, told) for named, told in wanted.columns.items()],
    )
    site.executemany(
        "insert into _partitions values (?, ?, ?, ?)",
        [
            (name, each, version.digest, version.rows)
            for name, partitions in wanted.partitions.items()
            for each, version in partitions.items()
        ],
    )
    site.execute("commit")
    return changed


def _replace_partitions(
    published: DuckDBPyConnection,
    source: _Source,
    site: sqlite3.Connection,
    mart: Mart,
    written: Mapping[str, Version],
) -> int:
    wanted = source.partitions[mart.name]
    differing = sorted({each for each, _ in wanted.items() ^ written.items()})
    if not differing:
        return 0
    table = _quoted(mart.name)
    columns = source.columns[mart.name]
    whole = mart.grain is Grain.WHOLE or not written
    if whole:
        site.execute(f"delete from {table}")  # noqa: S608
    else:
        site.executemany(
            f"delete from {table} where {_quoted(mart.grain)} = ?",  # noqa: S608
            [(each,) for each in differing],
        )
    selected = ", ".join(_value(column, kind) for column, kind in columns.items())
    chosen = "true" if whole else f"{_quoted(mart.grain)} in (select unnest(?::date[]))"
    rows = published.execute(
        f'select {selected} from "{SCHEMA}".{table} where {chosen}',  # noqa: S608
        [] if whole else [differing],
    )
    marks = ", ".join("?" * len(columns))
    for some in _batches(rows):
        site.executemany(f"insert into {table} values ({marks})", some)  # noqa: S608
    return len(differing)


def _batches(rows: DuckDBPyConnection) -> Iterator[list[tuple[object, ...]]]:
    while some := rows.fetchmany(ROWS_AT_ONCE):
        yield some


def _definition(mart: Mart, columns: Mapping[str, str], links: Mapping[str, Mart]) -> str:
    """The statements that create a mart with its key, its links to other tables, and an index for
    each link: the page of a row counts the rows that link to it."""
    parts = [f"{_quoted(column)} {_kind(kind)}" for column, kind in columns.items()]
    if mart.key and all(column in columns for column in mart.key):
        parts.append(f"primary key ({', '.join(map(_quoted, mart.key))})")
    linked = [
        column
        for column in columns
        # a row does not link to itself
        if column in links and not (links[column] == mart and mart.key == (column,))
    ]
    for each in linked:
        to = links[each]
        target = f"{_quoted(to.name)} ({_quoted(*to.key)})"
        parts.append(f"foreign key ({_quoted(each)}) references {target}")
    return ";\n".join(
        [
            f"create table {_quoted(mart.name)} ({', '.join(parts)})",
            *(
                f"create index {_quoted(f'{mart.name}__{each}')} on {_quoted(mart.name)}"
                f" ({_quoted(each)})"
                for each in linked
            ),
        ]
    )


def _kind(kind: str) -> str:
    return "real" if kind.startswith("DECIMAL") else _KINDS.get(kind, "text")


def _value(column: str, kind: str) -> str:
    """The column in DuckDB's SQL, as SQLite can hold it."""
    name = _quoted(column)
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return f"to_json({name})::varchar"
    stored = {"integer": "bigint", "real": "double", "text": "varchar"}[_kind(kind)]
    return f"{name}::{stored}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
