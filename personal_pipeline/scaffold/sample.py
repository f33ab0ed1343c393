"""What a sample file is: its format, its columns with their types, its key, and its time.

All of it is guessed from the records in the sample, and written where it can be corrected. Only
names and types are taken from the sample; none of its values is kept or shown.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeAlias

import duckdb

from personal_pipeline.ingest.contract import DropFile, Record
from personal_pipeline.ingest.delimited import DELIMITERS, rows, unique_names
from personal_pipeline.ingest.records import csv_records, json_line_records, json_records, opened

MAX_RECORDS = 10_000
MAX_COLUMNS = 300
DEEPEST = 4
"""Nested objects are flattened into columns down to this depth; anything deeper stays JSON."""

FORMATS = (
    "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%d/%m/%y",
    "%m/%d/%y", "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y",
)  # fmt: skip
"""Date formats besides ISO 8601; if two fit, the likelier one is first."""
DATE_AND_TIME = ("%a %b %d %H:%M:%S %z %Y", "%a, %d %b %Y %H:%M:%S %z")
"""Formats of an instant in which the time does not follow the date, or has its zone."""
TIMES = ("", " %H:%M", " %H:%M:%S", ", %H:%M", ", %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")

Path_: TypeAlias = tuple[str, ...]
Kind: TypeAlias = Literal[
    "text", "bigint", "double", "decimal comma", "boolean", "json",
    "iso day", "iso instant", "day", "instant", "seconds", "milliseconds",
]  # fmt: skip
TIME_KINDS = ("iso day", "iso instant", "day", "instant", "seconds", "milliseconds")


class NoSample(Exception):
    """Nothing can be guessed from the file. The message says what was expected and what to do."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the records: the path to its value, its name in the table, and its type.

    ``pattern`` is the ``strptime`` format of a day or an instant; for ISO 8601 it is an example.
    """

    path: Path_
    name: str
    kind: Kind
    pattern: str = ""
    always: bool = True
    """Every record of the sample has a value in it."""

    @property
    def label(self) -> str:
        return ".".join(self.path)


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """The guesses about a file. ``required`` are the columns by which such a file is recognised;
    ``key`` is empty if nothing identifies a record; ``header`` is that of delimited text."""

    format: Literal["csv", "json", "json lines"]
    encoding: str
    delimiter: str
    header: tuple[str, ...]
    path: Path_
    columns: tuple[Column, ...]
    required: tuple[str, ...]
    key: Path_
    time: Column | None
    records: int


def read_sample(path: Path) -> Sample:
    """Guess what a file is. Raises ``NoSample`` and ``OSError``."""
    file = DropFile(path, path.name, datetime.now(UTC))
    if b"\0" in file.head() and not file.head().startswith((b"\xff\xfe", b"\xfe\xff")):
        raise NoSample("It is binary. Expected CSV, JSON or JSON lines.")
    with opened(file) as text:
        start = text.read(65_536).lstrip()
        encoding = str(text.encoding)
    if encoding == "utf-8-sig" and file.head(3) != b"\xef\xbb\xbf":
        encoding = "utf-8"
    if not start:
        raise NoSample("It is empty. Expected CSV, JSON or JSON lines with at least one record.")
    header: tuple[str, ...] = ()
    names: set[str] = set()
    within: Path_ = ()
    delimiter = ""
    kind: Literal["csv", "json", "json lines"] = "csv"
    if start[0] in "{[":
        kind = "json lines" if _is_lines(start) else "json"
    if kind == "csv":
        delimiter, header = _header(file)
        # a blank or repeated name is replaced by ours, so it is not the file's
        names = set(unique_names(header)) & {name.strip() for name in header}
        found = csv_records(file, delimiter, names)
    elif kind == "json":
        within = _list_in(_loaded(file))
        found = json_records(file, *within)
    else:
        found = json_line_records(file)
    records = [each for each in islice(found, MAX_RECORDS) if isinstance(each, dict)]
    if not records:
        raise NoSample("It has no readable record. Expected at least one.")
    columns = _columns(records)
    time = _time(columns)
    required = [
        name
        for name in dict.fromkeys(name for record in records for name in record)
        if all(name in record for record in records) and (kind != "csv" or name in names)
    ]
    if not required:
        raise NoSample(
            "Its records have no field in common, so other files could not be recognized."
        )
    return Sample(
        format=kind,
        encoding=encoding,
        delimiter=delimiter,
        header=header,
        path=within,
        columns=columns,
        required=tuple(required),
        key=_key(records, columns, time),
        time=time,
        records=len(records),
    )


# --- the format -----------------------------------------------------------------------------------


def _is_lines(start: str) -> bool:
    """Whether the first line is an object by itself, and another follows or the file ends."""
    first, _, rest = start.partition("\n")
    try:
        alone = isinstance(json.loads(first), dict)
    except ValueError:
        return False
    return alone and rest.strip() != ""


def _loaded(file: DropFile) -> Any:
    with opened(file) as text:
        try:
            return json.load(text)
        except (ValueError, RecursionError):
            raise NoSample("It begins like JSON but is incomplete. Export it again.") from None


def _list_in(value: Any) -> Path_:
    """The path of the longest list of objects: at the top, or at most three levels below it."""
    found: list[tuple[int, Path_]] = []

    def look(each: Any, path: Path_) -> None:
        if isinstance(each, list) and any(isinstance(one, dict) for one in each):
            found.append((len(each), path))
        elif isinstance(each, dict) and len(path) < 3:
            for name, inner in each.items():
                look(inner, (*path, name))

    look(value, ())
    return max(found, key=lambda each: (each[0], -len(each[1])))[1] if found else ()


def _header(file: DropFile) -> tuple[str, tuple[str, ...]]:
    """The delimiter with which most rows have the same number of cells, and the first such row."""
    best: tuple[int, int, str, tuple[str, ...]] | None = None
    for delimiter in DELIMITERS:
        with opened(file) as lines:
            some = [row.cells for row in islice(rows(lines, delimiter), 50) if row.cells]
        widths = [len(cells) for cells in some]
        width = max(set(widths), key=lambda each: (widths.count(each), each), default=0)
        if width > 1 and (best is None or (widths.count(width), width) > best[:2]):
            names = next(cells for cells in some if len(cells) == width)
            best = (widths.count(width), width, delimiter, tuple(names))
    if best is None:
        raise NoSample("Expected rows of at least two cells, separated by a comma, ; a tab or |.")
    header = best[3]
    if any(_kind([cell])[0] != "text" for cell in header if cell.strip()):
        raise NoSample(
            "Its first row has values. Expected column names: files are recognized by them."
        )
    for name in header:
        _checked(name)
    return best[2], header


# --- columns --------------------------------------------------------------------------------------


def _columns(records: Sequence[Record]) -> tuple[Column, ...]:
    values: dict[Path_, list[Any]] = {}
    for record in records:
        for path, value in _flat(record, ()):
            values.setdefault(path, []).append(value)
    if len(values) > MAX_COLUMNS:
        raise NoSample(f"It has more than {MAX_COLUMNS} columns. Are IDs used as field names?")
    there = {path: [value for value in values[path] if value not in (None, "")] for path in values}
    # a path with an object in one record and a plain value in another becomes one JSON column; an
    # object that is merely missing in some records does not
    mixed = {
        path
        for path in values
        if any(path == other[: len(path)] for other in values if other != path)
    }
    paths = [
        path
        for path in values
        if (path not in mixed or there[path])
        and not any(path[:n] in mixed and there[path[:n]] for n in range(1, len(path)))
    ]
    columns = []
    for path, name in zip(paths, _table_names(paths), strict=True):
        kind, pattern = _kind([{}] if path in mixed else there[path])
        columns.append(Column(path, name, kind, pattern, len(there[path]) == len(records)))
    return tuple(columns)


def _flat(value: Record, path: Path_) -> Iterator[tuple[Path_, Any]]:
    for name, inner in value.items():
        _checked(name)
        here = (*path, name)
        if isinstance(inner, dict) and inner and len(here) < DEEPEST:
            yield from _flat(inner, here)
        else:
            yield here, inner


def _checked(name: str) -> None:
    if len(name) > 80 or re.search(r"[{}\"\\\x00-\x1f\x7f\ud800-\udfff]", name):
        raise NoSample(
            "A column name is longer than 80 characters, or contains a brace, a double quote, a "
            "backslash or a line break. Write such a source by hand: see docs/adding-a-source.md."
        )


def _table_names(paths: Sequence[Path_]) -> list[str]:
    """Names for the table: ASCII, lower case, unique, none that SQL or the table itself uses."""
    keywords = duckdb.execute(
        "select keyword_name from duckdb_keywords() where keyword_category != 'unreserved'"
    ).fetchall()
    names = ["month", "record_key", "lake_file"]
    for place, path in enumerate(paths, start=1):
        ascii_only = unicodedata.normalize("NFKD", "_".join(path)).encode("ascii", "ignore")
        spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", ascii_only.decode())
        name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or f"column_{place}"
        if name[0].isdigit():
            name = f"n_{name}"
        if (name,) in keywords:
            name = f"{name}_value"
        wanted, number = name, 1
        while name in names:
            number += 1
            name = f"{wanted}_{number}"
        names.append(name)
    return names[3:]


def _kind(values: Sequence[Any]) -> tuple[Kind, str]:
    """The type that all values have, and the format of days and instants."""
    if not values:
        return "text", ""
    if any(isinstance(each, dict | list) for each in values):
        return "json", ""
    if all(isinstance(each, bool) for each in values):
        return "boolean", ""
    if any(isinstance(each, bool) for each in values):
        return "text", ""
    texts = [str(each).strip() for each in values]
    if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", each) for each in texts):
        return _epoch([int(each) for each in texts]) or "bigint", ""
    if all(re.fullmatch(r"-?\d+", each) for each in texts):
        # an id: it begins with zeros, or has more digits than any number keeps
        return "text", ""
    if all(re.fullmatch(r"-?\d*\.?\d+(e[+-]?\d+)?", each, re.IGNORECASE) for each in texts):
        return ("text" if any(re.match(r"-?0\d", each) for each in texts) else "double"), ""
    if all(re.fullmatch(r"-?(\d{1,3}(\.\d{3})+|\d+)(,\d+)?", each) for each in texts):
        return "decimal comma", ""
    if all(each.lower() in ("true", "false") for each in texts):
        return "boolean", ""
    if all(re.match(r"\d{4}-\d\d-\d\d", each) and _is_iso(each) for each in texts):
        return ("iso day" if all(len(each) == 10 for each in texts) else "iso instant"), texts[0][
            10:
        ]
    for pattern in DATE_AND_TIME:
        if all(_fits(each, pattern) for each in texts):
            return "instant", pattern
    for time in TIMES:
        for pattern in FORMATS:
            if all(_fits(each, pattern + time) for each in texts):
                return ("instant" if time else "day"), pattern + time
    return "text", ""


def _epoch(numbers: Sequence[int]) -> Kind | None:
    """Seconds or milliseconds since 1970, if all are between 2000 and 2100."""
    for kind, unit in (("seconds", 1), ("milliseconds", 1000)):
        if all(946_684_800 * unit <= each < 4_102_444_800 * unit for each in numbers):
            return "seconds" if kind == "seconds" else "milliseconds"
    return None


def _is_iso(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _fits(text: str, pattern: str) -> bool:
    try:
        datetime.strptime(text, pattern).replace(tzinfo=UTC)
    except ValueError:
        return False
    return True


# --- key and time ---------------------------------------------------------------------------------


def _time(columns: Iterable[Column]) -> Column | None:
    """The column with the time of a record: the likeliest by name, else the first."""
    named = re.compile(r"(^|_)(date|day|time|timestamp|at|when|start|created|ts)(_|$)")
    aside = re.compile(r"(^|_)(updated|modified|edited|born|birth|birthday|due|expires?|end|until)")
    candidates = [
        each
        for each in columns
        if each.kind in TIME_KINDS
        and each.always
        # a number may be anything, unless its name says that it is a time
        and (each.kind not in ("seconds", "milliseconds") or named.search(each.name))
    ]
    return min(
        candidates,
        key=lambda each: (bool(aside.search(each.name)), not named.search(each.name)),
        default=None,
    )


def _key(records: Sequence[Record], columns: Iterable[Column], time: Column | None) -> Path_:
    """The columns that identify a record: one named like an id; else the time, alone or with one or
    two others; empty if two records may be equal."""
    simple = [
        each
        for each in columns
        if len(each.path) == 1 and each.always and each.kind not in ("json", "double")
    ]
    ids = [each for each in simple if re.search(r"(^|_)(id|uuid|guid|key|number|no)$", each.name)]
    # the record's own id comes first; the id of something else has a longer name
    choices: list[Path_] = [each.path for each in sorted(ids, key=lambda each: len(each.name))]
    if time in simple and time is not None:
        labels = [each.path[0] for each in simple if each.kind == "text"]
        with_label = [(*time.path, name) for name in labels]
        # on one day there is more than one of most things
        is_day = time.kind in ("iso day", "day")
        choices += [*with_label, time.path] if is_day else [time.path, *with_label]
        choices += [(*time.path, a, b) for i, a in enumerate(labels) for b in labels[i + 1 :]]
    for choice in choices[:200]:
        keys = [tuple(str(record[name]) for name in choice) for record in records]
        if len(set(keys)) == len(keys) > 1:
            return choice
    return ()
