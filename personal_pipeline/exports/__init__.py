"""What the house hands to other programs: each SQL file in ``exports/`` of the home is an output.

A file is written whole or not at all, and so is every note. What was handed on, when and how much
of it, is noted in ``state/exports.jsonl``, without a row.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from stat import S_IMODE
from typing import Any

from personal_pipeline.asking import Refused, asked, write_parquet
from personal_pipeline.exports.declared import (
    Export,
    ExportFailed,
    Format,
    When,
    declared_in,
    key_of,
    read_export,
    reading_of,
)
from personal_pipeline.exports.formats import calendar_of, csv_of, json_of, notes_of
from personal_pipeline.home import Home, read_object, write_atomically
from personal_pipeline.house import House
from personal_pipeline.ingest.own_blocks import with_block
from personal_pipeline.outputs.contract import Board, Output, Written
from personal_pipeline.shown import shown_lines
from personal_pipeline.warehouse import integrity, store

FORMAT = 1
"""Raise it when files are written otherwise: all are then written anew."""

LOCK_WAIT_SECONDS = 300
MOST_SECONDS = 600.0
"""How long a query may take, so that one that never ends does not keep every pass."""


@dataclass(frozen=True, slots=True)
class HandedOn:
    """One line of what was handed on. ``files`` are paths, ``at`` is ISO 8601 UTC."""

    at: str
    export: str
    format: str
    folder: str
    files: int
    rows: int
    size: int
    digest: str


def exports_of(home: Home) -> list[Output]:
    """The exports of a home as outputs. One that is declared wrongly is one too: writing it says
    what is wrong."""
    return [_output(home, path) for path in declared_in(home)]


def _output(home: Home, path: Path) -> Output:
    try:
        export = read_export(home, path)
        description = (
            f"{export.description}\n\n{export.format} in {export.folder}, {_often(export)}."
        )
    except ExportFailed as error:
        export, description = None, str(error)

    def write(house: House, _board: Board, again: bool) -> Written | None:
        return bring(house, read_export(home, path), again=again)

    return Output(
        name=f"exports/{key_of(path)}",
        description=description,
        kinds=frozenset({str(export.format)} if export else ()),
        write=write,
        reads=lambda tables: reading_of(export.query, tables).tables if export else (),
    )


def _often(export: Export) -> str:
    return "whenever its tables change" if export.when is When.CHANGE else str(export.when)


def bring(house: House, export: Export, *, again: bool = False) -> Written | None:
    """Write an export if it is due; None if there is nothing to write.

    Raises ``ExportFailed`` if its query or its columns are not as needed, and ``OSError`` for its
    folder.
    """
    home = house.home
    if not home.published.exists():
        return None
    kept = read_object(_state(home, export))
    state = {
        "format": FORMAT,
        "declaration": _digest(export.query.encode()),
        "published": integrity.stamp_of(home.published),
    }
    there = _is_there(kept)
    same_text = kept.get("declaration") == state["declaration"] and kept.get("format") == FORMAT
    if not again and there and same_text:
        # on a schedule the day itself may be in the query
        if export.when is When.CHANGE:
            if kept.get("published") == state["published"]:
                return None
        elif not _is_time(export.when, str(kept.get("day") or ""), house.today):
            return None
    with home.lock("exports", wait_seconds=LOCK_WAIT_SECONDS):
        inputs = _inputs(house, export)
        is_equal = there and same_text and kept.get("inputs") == inputs
        if not again and is_equal and export.when is When.CHANGE:
            _keep(home, export, {**kept, **state})
            return None
        files, rows = _write(home, export, kept, again=again)
        digest = _digest(json.dumps(sorted(files.items())).encode())
        size = sum(path.stat().st_size for path in map(Path, files) if path.exists())
        day = house.today.isoformat()
        done = {**state, "day": day, "inputs": inputs, "files": files, "digest": digest}
        _keep(home, export, done)
        if kept.get("digest") == digest and not again:
            return None
        at = house.clock().isoformat()
        _note(
            home,
            HandedOn(
                at, export.name, export.format, str(export.folder), len(files), rows, size, digest
            ),
        )
    # the name of a note is a value of a row
    path = export.folder
    if export.format is not Format.MARKDOWN:
        path = Path(next(iter(files)))
    return Written(path, digest, None, {"rows": rows, "files": len(files), "size": size})


def handed_on(home: Home) -> list[HandedOn]:
    """What was handed on, oldest first."""
    found = []
    with suppress(FileNotFoundError):
        for line in _receipts(home).read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, TypeError):
                found.append(HandedOn(**json.loads(line)))
    return found


# ------------------------------------------------------------------------------------ one export


def _write(
    home: Home, export: Export, kept: Mapping[str, Any], *, again: bool
) -> tuple[dict[str, str], int]:
    """Write the files; returns the digest of each by its path, and the number of rows."""
    single = export.folder / f"{export.name}.{export.format}"
    try:
        export.folder.mkdir(parents=True, exist_ok=True)
        if export.format is Format.PARQUET:
            count = write_parquet(home.published, export.query, single)
            return {str(single): _digest(single.read_bytes())}, count
        with asked(home.published, export.query, seconds=MOST_SECONDS) as answer:
            _expect_names(export, answer.columns)
            rows = [dict(zip(answer.columns, row, strict=True)) for row in answer.rows]
        columns = answer.columns
    except Refused as error:
        raise ExportFailed(
            f"exports/{export.path.name}: {_said(error)} Correct the query."
        ) from None
    if export.format is Format.MARKDOWN:
        return _write_notes(export, columns, rows, {} if again else kept), len(rows)
    content = {
        Format.CSV: lambda: csv_of(columns, rows),
        Format.JSON: lambda: json_of(rows),
        Format.ICS: lambda: calendar_of(export, columns, rows),
    }[export.format]()
    write_atomically(single, content)
    return {str(single): _digest(content)}, len(rows)


_OF_THE_QUERY = ("Parser Error", "Binder Error", "Catalog Error")


def _said(error: Refused) -> str:
    """What DuckDB says of the query. Of anything else only what kind of error it is, since it
    quotes values in many ways."""
    first = shown_lines(str(error)).partition("\n")[0]
    kind, _, rest = first.partition(": ")
    if rest and kind.endswith("Error") and kind not in _OF_THE_QUERY:
        return f"{kind}."
    return first if first.endswith((".", "!")) else f"{first}."


def _expect_names(export: Export, columns: Sequence[str]) -> None:
    twice = sorted({each for each in columns if columns.count(each) > 1})
    if twice:
        raise ExportFailed(
            f"exports/{export.path.name}: several columns are called {twice[0]}. Name each with as."
        )


def _write_notes(
    export: Export, columns: Sequence[str], rows: list[dict[str, Any]], kept: Mapping[str, Any]
) -> dict[str, str]:
    """Put the blocks into the notes, and take them out of those that have none any more. The digest
    of a note is that of its block: the rest is the person's."""
    blocks = {
        str(export.folder / path): text for path, text in notes_of(export, columns, rows).items()
    }
    before = kept.get("files", {})
    for path in sorted({*blocks, *before}):
        place = Path(path)
        if before.get(path) == _digest(blocks.get(path, "").encode()) and place.exists():
            continue
        try:
            _put_block(place, export, blocks.get(path, ""))
        except OSError as error:
            # without the note's name, which is a value of a row
            raise ExportFailed(
                f"exports/{export.path.name}: a note cannot be written ({error.strerror}). Look at "
                f"the names in the column note, and at {export.folder}."
            ) from None
    return {path: _digest(text.encode()) for path, text in blocks.items()}


def _put_block(path: Path, export: Export, text: str) -> None:
    """Replace one block in a note, once more if the person saved it meanwhile."""
    # a note may be a link to another place
    path = path.resolve()
    for _ in range(3):
        try:
            stamp = path.stat()
            before = path.read_bytes().decode("utf-8", "surrogateescape")
        except FileNotFoundError:
            stamp, before = None, ""
        after = with_block(before, export.name, text)
        if after == before:
            return
        if stamp is not None and _changed(path, stamp):
            continue
        if after.strip():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, after.encode("utf-8", "surrogateescape"))
            if stamp is not None:
                path.chmod(S_IMODE(stamp.st_mode))
        else:
            # nothing but our block was in it
            path.unlink(missing_ok=True)
        return
    raise ExportFailed(
        f"exports/{export.path.name}: a note is being changed all the time. Close it, and try "
        "again."
    )


def _changed(path: Path, stamp: os.stat_result) -> bool:
    try:
        now = path.stat()
    except FileNotFoundError:
        return True
    return (now.st_size, now.st_mtime_ns) != (stamp.st_size, stamp.st_mtime_ns)


def _inputs(house: House, export: Export) -> str:
    """A digest of the content of the tables that it reads."""
    with store.reading(house) as published:
        found = published.execute(
            "select asset, partition, digest from pipeline.ledger order by all"
        ).fetchall()
    read = reading_of(export.query, {asset for asset, _, _ in found})
    if read.more:
        return _digest(repr(integrity.stamp_of(house.home.published)).encode())
    return _digest(repr([row for row in found if row[0] in read.tables]).encode())


def _is_time(when: When, last: str, today: date) -> bool:
    """Whether it may be written today, when it was written on the day ``last`` (ISO 8601)."""
    if when is When.CHANGE or not last:
        return True
    day = date.fromisoformat(last)
    if when is When.DAILY:
        return day < today
    if when is When.WEEKLY:
        return day.isocalendar()[:2] < today.isocalendar()[:2]
    return (day.year, day.month) < (today.year, today.month)


def _is_there(kept: Mapping[str, Any]) -> bool:
    """Whether the files that were written are still there."""
    files = kept.get("files")
    return isinstance(files, dict) and all(Path(each).exists() for each in files)


# ------------------------------------------------------------------------------------ what is kept


def _keep(home: Home, export: Export, state: Mapping[str, Any]) -> None:
    _state(home, export).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(_state(home, export), json.dumps(state).encode())


def _state(home: Home, export: Export) -> Path:
    return home.state / "exports" / f"{export.name}.json"


def _receipts(home: Home) -> Path:
    return home.state / "exports.jsonl"


def _note(home: Home, receipt: HandedOn) -> None:
    line = json.dumps({name: getattr(receipt, name) for name in HandedOn.__slots__})
    with _receipts(home).open("a", encoding="utf-8") as lines:
        lines.write(f"{line}\n")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
