"""Dashboards and queries: what is shown of the tables beside the tables themselves.

A dashboard is a YAML file in ``site/dashboards/`` here, or in ``dashboards/`` of the home, whose
file takes the place of ours with the same name. A query is a SELECT in ``queries/*.sql`` of the
home. The query of each chart is a page too, where its SQL and its rows can be seen.
"""

from __future__ import annotations

import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from personal_pipeline.home import Home

OURS = Path(__file__).parent / "dashboards"

NAME = re.compile(r"[a-z][a-z0-9_-]*")

_ALLOWED = frozenset(
    {
        sqlite3.SQLITE_SELECT,
        sqlite3.SQLITE_READ,
        sqlite3.SQLITE_FUNCTION,
        sqlite3.SQLITE_RECURSIVE,
    }
)


class BadQuery(Exception):
    """A query that cannot be run over these tables; the message says why."""


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Filter(_Declared):
    """A field above the charts. Its name is a parameter of their queries, empty if it is not filled
    in. A ``choice`` offers the values of the first column of its query."""

    label: str
    kind: Literal["date", "choice"] = "date"
    query: str = ""


class Opens(_Declared):
    """The rows behind a mark or a line: a table, and per column of it (with an operator of
    Datasette such as ``day__gte``) the column of the chart, or ``:filter``, that has its value.
    Null opens the rows in which it is null."""

    table: str
    where: Mapping[str, str]


class Chart(_Declared):
    """A query and how its rows are drawn: ``marks`` by a Vega-Lite specification without data,
    ``figures`` as one large number per column of the only row, or as a ``table``."""

    title: str
    query: str
    kind: Literal["marks", "figures", "table"] = "marks"
    display: Mapping[str, Any] = {}
    wide: bool = False
    opens: Opens | None = None


class Dashboard(_Declared):
    """A page of charts with common filters."""

    title: str
    description: str = ""
    filters: Mapping[str, Filter] = {}
    charts: Annotated[Mapping[str, Chart], Field(min_length=1)]

    def queries(self) -> Iterator[tuple[str, str]]:
        """Every query with where it stands."""
        for name, each in self.filters.items():
            if each.kind == "choice":
                yield f"filters.{name}.query", each.query
        for name, chart in self.charts.items():
            yield f"charts.{name}.query", chart.query

    def tables(self, site: sqlite3.Connection) -> set[str]:
        """The tables that it reads, and those that it opens. Raises ``BadQuery``."""
        found = {chart.opens.table for chart in self.charts.values() if chart.opens}
        for place, query in self.queries():
            try:
                found |= tables_read(site, query, dict.fromkeys(self.filters, ""))
            except BadQuery as error:
                raise BadQuery(f"{place}: {error}") from None
        return found


@dataclass(frozen=True, slots=True)
class Query:
    """A SELECT of the person. The comment at its top is its title, and what follows of it the
    description."""

    title: str
    description: str
    sql: str


@dataclass(slots=True)
class Shown:
    """What is shown beside the tables, by name. ``problems`` says of each file that cannot be used
    why, one sentence each."""

    dashboards: dict[str, Dashboard] = field(default_factory=dict)
    queries: dict[str, Query] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def files_of(home: Home) -> list[Path]:
    """The files of dashboards and queries, ours first."""
    return [
        *sorted(OURS.glob("*.yaml")),
        *sorted(home.dashboards.glob("*.yaml")),
        *sorted(home.queries.glob("*.sql")),
    ]


def shown_of(files: Sequence[Path], site: sqlite3.Connection) -> Shown:
    """What these files declare, as far as the tables of ``site`` allow it. One of ours whose tables
    are not there is left out in silence."""
    shown = Shown()
    tables = {name for (name,) in site.execute("select name from _tables")}
    for path in files:
        named = f"{path.parent.name}/{path.name}"
        try:
            if not NAME.fullmatch(path.stem) or path.stem in tables:
                raise BadQuery(
                    "choose another name: lower-case letters, digits, - and _, and not that of a "
                    "table"
                )
            if path.suffix == ".sql":
                query = read_query(path)
                tables_read(site, query.sql, defaultdict(str))
                shown.queries[path.stem] = query
                continue
            dashboard = read_dashboard(path)
            opened = {chart.opens.table for chart in dashboard.charts.values() if chart.opens}
            dashboard.tables(site)
            if missing := opened - tables:
                raise BadQuery(f"there is no table {', '.join(sorted(missing))}")
            shown.dashboards[path.stem] = dashboard
        except (OSError, ValueError, BadQuery) as error:
            if path.parent != OURS:
                shown.problems.append(f"{named}: {error}")
    return shown


def read_dashboard(path: Path) -> Dashboard:
    """Raises ``BadQuery`` with the line, or the key, that is wrong."""
    try:
        return Dashboard(**yaml.load(path.read_bytes(), Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}: " if mark else ""
        raise BadQuery(f"{line}{getattr(error, 'problem', None) or 'is not YAML'}") from None
    except TypeError:
        raise BadQuery("expected title and charts") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise BadQuery(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def read_query(path: Path) -> Query:
    """A query with its title: that of the file if there is no comment at its top."""
    sql = path.read_text(encoding="utf-8").strip().rstrip(";").strip()
    lines = sql.splitlines()
    said = []
    while lines and lines[0].startswith("--"):
        said.append(lines.pop(0).removeprefix("--").strip())
    title, *description = said or [path.stem.replace("_", " ").replace("-", " ").capitalize()]
    return Query(title, " ".join(description), sql)


def tables_read(site: sqlite3.Connection, sql: str, parameters: dict[str, str]) -> set[str]:
    """The tables that a SELECT reads, which is not run. Raises ``BadQuery`` if it is none, if it is
    wrong, or if it has other parameters."""
    found: set[str] = set()

    def look(action: int, table: str | None, *_: object) -> int:
        if action == sqlite3.SQLITE_READ and table:
            found.add(table)
        return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY

    site.set_authorizer(look)
    try:
        site.execute(f"explain {sql}", parameters).close()
    except (sqlite3.Error, sqlite3.Warning) as error:
        said = str(error)
        raise BadQuery("only one SELECT is allowed" if said == "not authorized" else said) from None
    finally:
        site.set_authorizer(None)
    return found
