"""A new source from a sample of its file: module, table, descriptions, page and test.

The generated files pass all checks and are meant to be edited. The sample provides names and types;
every value in the generated files is invented.
"""

from __future__ import annotations

import csv
import io
import json
import keyword
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from personal_pipeline.ingest.contract import DropFile
from personal_pipeline.ingest.recognition import claims_of
from personal_pipeline.scaffold.sample import Column, Sample, read_sample
from personal_pipeline.sources import SOURCES

CHECKOUT = Path(__file__).parents[2]
STREAM = "records"
_EXTENSIONS = {"csv": "csv", "json": "json", "json lines": "jsonl"}
_TYPES = {
    "text": "varchar", "bigint": "bigint", "double": "double", "decimal comma": "double",
    "boolean": "boolean", "json": "json", "iso day": "date", "iso instant": "timestamp",
    "day": "date", "instant": "timestamp", "seconds": "timestamp", "milliseconds": "timestamp",
}  # fmt: skip


class Refused(Exception):
    """Nothing was written; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Written:
    """The generated files, and the guesses as sentences."""

    files: tuple[Path, ...]
    guesses: tuple[str, ...]


def new_source(
    name: str, sample_path: Path, checkout: Path = CHECKOUT, *, api: bool = False
) -> Written:
    """Write a source of that name for files like the sample into a checkout; with ``api``, for a
    service whose answers are like the sample.

    Raises ``Refused`` if the name cannot be used or a file of that name exists, ``NoSample`` if
    nothing can be guessed from the sample, and ``OSError``.
    """
    listing = checkout / "personal_pipeline" / "sources" / "__init__.py"
    if not (checkout / "personal_pipeline_tests").is_dir() or not listing.is_file():
        raise Refused(f"{checkout} is not a checkout. A source is code: clone the project first.")
    if not re.fullmatch(r"[a-z][a-z0-9_]{1,29}", name) or keyword.iskeyword(name):
        raise Refused(
            f"{name!r} cannot be the name of a source: expected 2 to 30 lower-case letters, digits "
            "and underscores, starting with a letter, and not a Python keyword."
        )
    sample = read_sample(sample_path)
    if api and not (
        sample.format == "json" and len(sample.path) == 1 and sample.key and sample.time
    ):
        raise Refused(
            "Expected an answer in JSON: an object with a list of records, at least two of them, "
            "each with a time and with what identifies it."
        )
    files = {checkout / path: text for path, text in source_files(name, sample, api=api).items()}
    there = [path for path in files if path.exists()]
    # a source may be a folder
    there += [path for path in (listing.with_name(name),) if path.exists()]
    if there:
        raise Refused(f"{there[0].relative_to(checkout)} already exists; nothing was written.")
    guesses = _guesses(sample, None if api else sample_path)
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        is_sample = path.parent.name == f"{name}_samples"
        path.write_bytes(text.encode(sample.encoding if is_sample else "utf-8"))
    listing.write_text(_listed(listing.read_text("utf-8"), name), "utf-8")
    _format([path for path in (*files, listing) if path.suffix == ".py"])
    if not api:
        return Written((*files, listing), guesses)
    # in a process of its own: this one imported the sources without the new one
    pages = [sys.executable, "-m", "personal_pipeline.settings_pages"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    subprocess.run(pages, cwd=checkout, env=environment, check=True)
    return Written((*files, listing, checkout / ".env.example"), guesses)


def source_files(name: str, sample: Sample, *, api: bool = False) -> dict[str, str]:
    """The generated files, by path in the checkout."""
    environment = Environment(
        loader=PackageLoader("personal_pipeline.scaffold"),
        undefined=StrictUndefined,
        # the usual markers occur in dbt's own templates and in Python lists
        block_start_string="<%",
        block_end_string="%>",
        variable_start_string="<<",
        variable_end_string=">>",
        comment_start_string="<#",
        comment_end_string="#>",
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - Python, SQL, YAML and Markdown, no HTML
    )
    environment.filters.update(py=repr, yaml=_quoted)
    given = {
        "name": name,
        "constant": name.upper(),
        "title": name.replace("_", " ").capitalize(),
        "stream": STREAM,
        "api": api,
        "sample": sample,
        "extension": _EXTENSIONS[sample.format],
        "moment": _moment(sample.time) if sample.time else "",
        "example": _invented_value(sample.time, 1, as_text=True) if sample.time else "",
        "expected": _expected(sample),
        "type_of": _TYPES,
        "sql_of": _sql,
    }

    def made(template: str) -> str:
        return environment.get_template(f"{template}.j2").render(given)

    kind = "_api" if api else ""
    staging = f"sql/models/staging/{name}"
    return {
        f"personal_pipeline/sources/{name}.py": made(f"module{kind}.py"),
        f"{staging}/_models.yml": made("_models.yml"),
        f"{staging}/stg_{name}__{STREAM}.sql": made("staging.sql"),
        f"docs/sources/{name}.md": made(f"page{kind}.md"),
        f"personal_pipeline_tests/sources/test_{name}.py": made(f"test{kind}.py"),
        f"personal_pipeline_tests/sources/{name}_samples/invented.{given['extension']}": (
            _invented_file(sample)
        ),
    }


def _quoted(text: str) -> str:
    """A text quoted so that both YAML and JSON accept it."""
    return json.dumps(text, ensure_ascii=False)


def _listed(text: str, name: str) -> str:
    """The list of sources with one more at its end."""
    imported = f"from personal_pipeline.sources.{name} import {name.upper()}\n"
    lines = text.splitlines(keepends=True)
    places = [n for n, line in enumerate(lines) if line.startswith("from personal_pipeline.")]
    after = max((n for n in places if lines[n] < imported), default=places[0] - 1)
    lines.insert(after + 1, imported)
    head, listed, rest = "".join(lines).partition("SOURCES: ")
    end = rest.index("\n)")
    return f"{head}{listed}{rest[:end].rstrip(',')},\n    {name.upper()},{rest[end:]}"


def _format(paths: Sequence[Path]) -> None:
    """Format the code as the linter requires, if it is installed."""
    ruff = shutil.which("ruff", path=Path(sys.executable).parent) or shutil.which("ruff")
    if ruff:
        for arguments in (["check", "--fix"], ["format"]):
            # what the first finds too long the second breaks
            subprocess.run(
                [ruff, *arguments, "--no-cache", "--quiet", *map(str, paths)],
                stdout=subprocess.DEVNULL,
                check=False,
            )


def _guesses(sample: Sample, dropped: Path | None) -> tuple[str, ...]:
    """The guesses about a sample, and which other sources claim a file like it."""
    shape = f"{sample.format}, {sample.encoding}"
    if sample.format == "csv":
        shape += ", separated by " + {"\t": "tabs"}.get(sample.delimiter, f'"{sample.delimiter}"')
    if sample.path:
        shape += f", the list at {'.'.join(sample.path)}"
    time = sample.time
    file = DropFile(dropped, dropped.name, datetime.now(UTC)) if dropped else None
    claims = claims_of(SOURCES, file) if file else []
    return (
        f"Format: {shape}; {sample.records:,} records of {len(sample.columns)} columns.",
        f"Time: {time.label}, read as {_written_as(time)}."
        if time
        else "Time: none found; a record is filed under the month of its file.",
        f"Key: {', '.join(sample.key)}; unique in the sample."
        if sample.key
        else "Key: none found; a record is identified by its whole content, so a corrected record "
        "counts as a new one.",
        *(
            f"{each.source.name} {each.drop.name} also claims such files, with confidence "
            f"{each.claim.confidence:.0%}; the most confident wins."
            for each in claims
        ),
    )


def _written_as(column: Column) -> str:
    if column.kind in ("seconds", "milliseconds"):
        return f"{column.kind} since 1970-01-01 UTC"
    if column.kind.startswith("iso"):
        return "ISO 8601"
    swapped = any(pair in column.pattern for pair in ("%d/%m", "%m/%d", "%d-%m", "%m-%d"))
    check = "; check that day and month are not swapped" if swapped else ""
    zone = "" if "%z" in column.pattern else " in UTC"
    return f"{column.pattern}{zone}{check}"


# --- code that depends on types -------------------------------------------------------------------


def _moment(time: Column) -> str:
    """The expression for the instant of a record."""
    value = "record" + "".join(f"[{json.dumps(name, ensure_ascii=False)}]" for name in time.path)
    if time.kind == "seconds":
        return f"datetime.fromtimestamp(int({value}), UTC)"
    if time.kind == "milliseconds":
        return f"datetime.fromtimestamp(int({value}) / 1000, UTC)"
    if time.kind.startswith("iso"):
        return f"as_utc(datetime.fromisoformat({value}.strip()))"
    moment = f'datetime.strptime({value}.strip(), "{time.pattern}")'
    return f"{moment}.astimezone(UTC)" if "%z" in time.pattern else f"{moment}.replace(tzinfo=UTC)"


def _sql(column: Column) -> str:
    """The expression for the typed value of a column; null for a value of another type."""
    plain = len(column.path) == 1 and column.path[0][:1] not in ("", "/", "$")
    pointer = "".join("/" + each.replace("~", "~0").replace("/", "~1") for each in column.path)
    name = (column.path[0] if plain else pointer).replace("'", "''")
    text = f"record ->> '{name}'"
    pattern = column.pattern
    return {
        "text": text,
        "bigint": f"try_cast({text} as bigint)",
        "double": f"try_cast({text} as double)",
        "decimal comma": (f"try_cast(replace(replace({text}, '.', ''), ',', '.') as double)"),
        "boolean": f"try_cast({text} as boolean)",
        "json": f"record -> '{name}'",
        "iso day": f"try_cast({text} as date)",
        "iso instant": f'{{{{ utc_from_text("{text}") }}}}',
        "day": f"cast(try_strptime({text}, '{pattern}') as date)",
        "instant": (
            f"timezone('UTC', try_strptime({text}, '{pattern}'))"
            if "%z" in pattern
            else f"try_strptime({text}, '{pattern}')"
        ),
        "seconds": f'{{{{ utc_from_epoch("{text}") }}}}',
        "milliseconds": f'{{{{ utc_from_epoch_ms("{text}") }}}}',
    }[column.kind]


# --- an invented file of the same shape -----------------------------------------------------------

_GOOD = 3
"""Number of invented records that can be parsed; one more cannot."""


def _invented_value(column: Column, number: int, *, as_text: bool) -> Any:
    at = datetime(2026, number, 5, 8, 30, tzinfo=UTC)
    if column.kind == "iso instant":
        value: Any = f"{at:%Y-%m-%d}{_like(column.pattern, at)}"
    elif column.kind in ("day", "instant"):
        value = at.strftime(column.pattern)
    else:
        value = {
            "text": f"invented {number}",
            "bigint": number,
            "double": number + 0.5,
            "decimal comma": f"{number},5",
            "boolean": number % 2 == 0,
            "json": [],
            "seconds": int(at.timestamp()),
            "milliseconds": int(at.timestamp()) * 1000,
            "iso day": f"{at:%Y-%m-%d}",
        }[column.kind]
    if not as_text:
        return value
    return json.dumps(value) if isinstance(value, bool | list) else str(value)


def _like(rest: str, at: datetime) -> str:
    """A time of day in UTC, formatted like the end of another instant in ISO 8601."""
    clock, zone = re.fullmatch(r"(.*?)(Z|[+-]\d\d:?\d\d)?", rest).groups()  # type: ignore[union-attr]
    seconds = ":%S" if clock.count(":") == 2 else ""
    return at.strftime(f"{clock[:1]}%H:%M{seconds}") + (
        "Z" if zone == "Z" else "+00:00" if zone else ""
    )


def _invented(sample: Sample) -> list[dict[str, Any]]:
    """The records that can be parsed."""
    as_text = sample.format == "csv"
    found: list[dict[str, Any]] = []
    for number in range(1, _GOOD + 1):
        record: dict[str, Any] = {}
        for column in sample.columns:
            inner = record
            for name in column.path[:-1]:
                inner = inner.setdefault(name, {})
            inner[column.path[-1]] = _invented_value(column, number, as_text=as_text)
        found.append(record)
    return found


def _invented_file(sample: Sample) -> str:
    """The invented records, plus an unreadable one, in the format of the sample."""
    good = _invented(sample)
    if sample.format == "json lines":
        lines = [json.dumps(each, ensure_ascii=False) for each in good]
        return "\n".join([*lines, '{"broken": ']) + "\n"
    if sample.format == "json":
        value: Any = [*good, "no object"]
        for name in reversed(sample.path):
            value = {name: value}
        return json.dumps(value, ensure_ascii=False, indent=1) + "\n"
    text = io.StringIO()
    table = csv.writer(text, delimiter=sample.delimiter, lineterminator="\n")
    table.writerow(sample.header)
    table.writerows(each.values() for each in good)
    table.writerow(["a cell too many"] * (len(sample.header) + 1))
    return text.getvalue()


def _expected(sample: Sample) -> list[tuple[str, str]]:
    """Month and key of each invented record, if it has them, as written in a test."""
    records = _invented(sample)
    return [
        (
            f"date(2026, {number}, 1)" if sample.time else "",
            "/".join(str(record[name]) for name in sample.key),
        )
        for number, record in enumerate(records, start=1)
    ]
