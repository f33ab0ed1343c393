"""Exports as the person declares them: SQL files in the ``exports`` folder of the home.

A file begins with a header, in comments::

    -- description: Spending by month and category, for the accountant.
    -- format: csv
    -- folder: ~/Documents/accountant
    -- when: monthly
    select …

``format`` is csv, json, parquet, markdown or ics. ``folder`` is absolute, or below the home;
``exported`` if it is left out. ``when`` is change (the default), daily, weekly or monthly. The name
is that of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from personal_pipeline.asking import SCHEMAS
from personal_pipeline.home import Home


class ExportFailed(Exception):
    """An export that cannot be written. The message names its file and what to do, and holds no
    value of a row."""


class Format(StrEnum):
    """What is written."""

    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    MARKDOWN = "markdown"
    """A block in a note per row: columns ``note`` (the note's path in the folder, without .md) and
    ``text``."""
    ICS = "ics"
    """An event of a calendar per row: columns ``start_at`` and ``end_at`` (UTC) or ``day``,
    ``title``, and if wanted ``detail``, ``place``, ``address`` and ``uid``."""


class When(StrEnum):
    """When it is written, at the earliest: in the first pass after that."""

    CHANGE = "change"
    """Whenever a table that it reads has changed."""
    DAILY = "daily"
    WEEKLY = "weekly"
    MONTHLY = "monthly"


@dataclass(frozen=True, slots=True)
class Export:
    """One declared export. ``path`` is the SQL file, ``query`` its text."""

    path: Path
    format: Format
    folder: Path
    when: When
    description: str
    query: str

    @property
    def name(self) -> str:
        return self.path.stem


OWN_FOLDERS = frozenset(
    {
        *("archive", "credentials", "dagster", "dashboards", "dbt", "dialects", "exports", "inbox"),
        *("lake", "published", "quarantine", "queries", "reports", "state"),
    }
)

_HEADER = re.compile(r"\s*--\s*(\w+)\s*:\s*(.*?)\s*")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


def declared_in(home: Home) -> list[Path]:
    """The SQL files of a home, by name; hidden ones belong to editors and systems."""
    files = sorted(home.exports.glob("*.sql")) if home.exports.is_dir() else []
    return [each for each in files if not each.name.startswith(".")]


def key_of(path: Path) -> str:
    """What the asset of a file is called: as the file, unless Dagster could not call it so."""
    if _NAME.fullmatch(path.stem):
        return path.stem
    return f"misnamed_{hashlib.sha256(path.name.encode()).hexdigest()[:8]}"


def read_export(home: Home, path: Path) -> Export:
    """Raises ``ExportFailed`` with the line that is wrong."""
    file = f"exports/{path.name}"
    if not _NAME.fullmatch(path.stem):
        raise ExportFailed(
            f"{file}: its name becomes that of the export; use lower case, digits and underscores."
        )
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ExportFailed(
            f"{file}: cannot be read ({type(error).__name__}). Save it as text in UTF-8."
        ) from None
    told: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        if not line.lstrip().startswith("--"):
            break
        if found := _HEADER.fullmatch(line):
            name = found[1].lower()
            if name not in ("description", "format", "folder", "when"):
                raise ExportFailed(
                    f"{file}, line {number}: {name} is nothing that an export has; expected "
                    "description, format, folder or when."
                )
            told[name] = found[2]
    if "format" not in told:
        raise ExportFailed(
            f"{file}: expected a first line such as `-- format: csv`; the formats are "
            f"{', '.join(Format)}."
        )
    return Export(
        path,
        _one_of(file, Format, "format", told["format"]),
        _folder(home, file, told.get("folder") or "exported"),
        _one_of(file, When, "when", told.get("when") or When.CHANGE),
        told.get("description") or f"What {file} selects.",
        text,
    )


def _folder(home: Home, file: str, text: str) -> Path:
    try:
        folder = home.root / Path(text).expanduser()
        resolved = folder.resolve()
    except (RuntimeError, OSError, ValueError):
        raise ExportFailed(f"{file}: folder: there is no such place for a folder.") from None
    root = home.root.resolve()
    if resolved == root or (
        resolved.is_relative_to(root) and resolved.relative_to(root).parts[0] in OWN_FOLDERS
    ):
        raise ExportFailed(
            f"{file}: folder: that is where the house keeps its own files. Choose another, such as "
            "exported."
        )
    return folder


_Choice = TypeVar("_Choice", bound=StrEnum)


def _one_of(file: str, choices: type[_Choice], name: str, text: str) -> _Choice:
    try:
        return choices(text.lower())
    except ValueError:
        raise ExportFailed(f"{file}: {name} is one of {', '.join(choices)}.") from None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a query reads: ``tables`` of the house, and whether ``more``, such as one that a
    function names, of which nobody can tell when it changes."""

    tables: Collection[str]
    more: bool


def reading_of(query: str, tables: Collection[str]) -> Reading:
    """What a query reads of these tables (``marts/timeline``), as far as it parses; a name without
    a schema is looked for as in a query."""
    import duckdb

    with duckdb.connect() as parser:
        (parsed,) = parser.execute("select json_serialize_sql(?)", [query]).fetchall()[0]
    nodes = list(_nodes(json.loads(parsed)))
    within = {
        entry["key"].lower()
        for node in nodes
        if isinstance(node.get("cte_map"), dict)
        for entry in node["cte_map"].get("map", ())
    }
    known = {each.lower(): each for each in tables}
    found: set[str] = set()
    more = any(node.get("type") == "TABLE_FUNCTION" for node in nodes)
    for node in nodes:
        if node.get("type") != "BASE_TABLE":
            continue
        schema, table = node.get("schema_name"), str(node.get("table_name")).lower()
        schemas = (str(schema).lower(),) if schema else SCHEMAS
        names = [known[name] for each in schemas if (name := f"{each}/{table}") in known]
        # a part of the query may have the name of a table that it reads itself: then both count
        found.update(names[:1])
        more = more or not (names or (not schema and table in within))
    return Reading(sorted(found), more)


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for each in value.values():
            yield from _nodes(each)
    elif isinstance(value, list):
        for each in value:
            yield from _nodes(each)
