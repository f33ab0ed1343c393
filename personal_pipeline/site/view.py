"""What one site shows, apart from Datasette: a file of tables, the dashboards over it, and for the
owner also the reports and the state of the sources."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personal_pipeline.board import StreamState
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.site.dashboards import Dashboard, Shown, files_of, shown_of
from personal_pipeline.site.people import Person

REPORT = re.compile(r"20\d\d(-\d\d(-\d\d)?)?")
"""The name of a report: its day, month or year."""

_LENGTH_OF_DAY = len("2026-11-27")


@dataclass(frozen=True, slots=True)
class Area:
    """The tables of one area, by name: description and number of rows."""

    name: str
    tables: Sequence[tuple[str, str, int]]


@dataclass(slots=True)
class View:
    """A site. ``person`` is with whom it is shared, None for the owner; ``board`` looks at the
    sources, and ``house`` has the days and their raw records, both for the owner only."""

    home: Home
    person: Person | None = None
    board: Callable[[], Sequence[StreamState]] | None = None
    house: House | None = None
    _seen: object = None
    _shown: Shown = field(default_factory=Shown)
    _described: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """The file with the tables."""
        return self.home.site_of(self.person.name) if self.person else self.home.site

    def shown(self) -> Shown:
        """The dashboards and queries; read again when a file or the tables changed."""
        self._look()
        return self._shown

    def described(self) -> dict[str, Any]:
        """The descriptions of tables and columns, as Datasette's metadata."""
        self._look()
        return self._described

    def areas(self) -> list[Area]:
        """The tables by area."""
        areas: dict[str, list[tuple[str, str, int]]] = {}
        with closing(self._opened()) as site:
            for area, *table in site.execute(
                "select area, name, description, "
                "(select coalesce(sum(rows), 0) from _partitions where table_name = name) "
                "from _tables order by area, name"
            ):
                areas.setdefault(area, []).append((*table,))
        return [Area(name, tables) for name, tables in areas.items()]

    def reports(self) -> list[str]:
        """The days of which there is a report, the most recent first; none for others."""
        return [name for name in self._reports() if len(name) == _LENGTH_OF_DAY]

    def long_reports(self) -> list[str]:
        """The months and years of which there is a report, the most recent first; none for
        others."""
        return [name for name in self._reports() if len(name) < _LENGTH_OF_DAY]

    def report(self, name: str) -> bytes | None:
        """The report of a day, month or year; None if there is none."""
        there = name in self._reports()
        return (self.home.reports / f"{name}.html").read_bytes() if there else None

    def _reports(self) -> list[str]:
        if self.person:
            return []
        names = (path.stem for path in self.home.reports.glob("20*.html"))
        return sorted((name for name in names if REPORT.fullmatch(name)), reverse=True)

    def _look(self) -> None:
        files = [] if self.person and not self.person.dashboards else files_of(self.home)
        # what was written last may still stand beside the file
        beside = self.path.with_name(f"{self.path.name}-wal")
        seen = [(path, _stamp(path)) for path in (self.path, beside, *files)]
        if seen == self._seen:
            return
        with closing(self._opened()) as site:
            shown = shown_of(files, site)
            tables = {
                name: {"description": description, "columns": {}}
                for name, description in site.execute("select name, description from _tables")
            }
            for table, column, text in site.execute(
                "select * from _columns where description > ''"
            ):
                tables[table]["columns"][column] = text
        if self.person:
            chosen = {n: d for n, d in shown.dashboards.items() if n in self.person.dashboards}
            shown = Shown(chosen)
        self._shown, self._described, self._seen = shown, tables, seen

    def _opened(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return (stat.st_ino, stat.st_size, stat.st_mtime_ns)


def page_of(dashboard: Dashboard, name: str, chosen: dict[str, str]) -> dict[str, Any]:
    """What the script of a dashboard's page needs to know."""
    return {
        "filters": chosen,
        "charts": [
            {
                "id": each,
                "kind": chart.kind,
                "data": f"/tables/{name}-{each}.json",
                "display": dict(chart.display),
                "opens": chart.opens.model_dump() if chart.opens else None,
            }
            for each, chart in dashboard.charts.items()
        ],
    }
