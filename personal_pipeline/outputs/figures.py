"""The input of the report: rows of the published tables, and which sources there are.

A query is an SQL file next to the code that shows it. It reads tables of ``marts`` only, and only
days before ``$day``, the day of the report. Days and months are UTC; amounts are decimals in major
units of their currency; ratios go from 0 to 1 and rates are in percent.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

import duckdb

from personal_pipeline import duck
from personal_pipeline.board import StreamState, is_connected


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the tables that it reads, such as ``marts.story_stats``."""

    sql: str
    marts: tuple[str, ...]


def query(package: str, name: str) -> Query:
    """The query in ``<name>.sql`` of a package."""
    sql = (files(package) / f"{name}.sql").read_text("utf-8")
    return Query(sql, tuple(dict.fromkeys(re.findall(r"\b(?:from|join) (marts\.\w+)", sql))))


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What the report of ``day`` may show: the days before it, and the sources on ``board``.

    ``connection`` is None if nothing has been published yet; ``marts`` are the existing tables.
    """

    day: date
    board: Sequence[StreamState]
    connection: duckdb.DuckDBPyConnection | None
    marts: frozenset[str]

    def rows(self, query: Query, **values: object) -> list[Any]:
        """The rows of a query, with one attribute per column; empty if it reads a table that does
        not exist yet. ``values`` are its parameters besides ``$day``.

        Raises ``duckdb.Error`` if a table lacks a column.
        """
        if self.connection is None or not self.marts.issuperset(query.marts):
            return []
        result = self.connection.execute(query.sql, {"day": self.day, **values})
        row = namedtuple("row", [name for name, *_ in result.description])  # type: ignore[misc]
        return [row(*each) for each in result.fetchall()]

    def has(self, *sources: str) -> bool:
        """Whether one of these sources is, or once was, connected."""
        return any(is_connected(self.board, source) for source in sources)


@contextmanager
def published_figures(
    published: duck.Database | None, day: date, board: Sequence[StreamState]
) -> Iterator[Figures]:
    """The figures of the published tables; None when nothing was published yet. Raises
    ``duckdb.Error`` when they cannot be opened."""
    if published is None:
        yield Figures(day=day, board=board, connection=None, marts=frozenset())
        return
    with duck.opened(published) as connection:
        # else a timestamp becomes the date of the machine's own zone
        connection.execute("set TimeZone = 'UTC'")
        found = connection.execute(
            "select 'marts.' || table_name from information_schema.tables"
            " where table_schema = 'marts'"
        ).fetchall()
        marts = frozenset(name for (name,) in found)
        yield Figures(day=day, board=board, connection=connection, marts=marts)
