"""The files that an export makes of its rows, as bytes."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any

from personal_pipeline.exports.declared import Export, ExportFailed

Row = dict[str, Any]


def csv_of(columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """RFC 4180 in UTF-8 with a header line."""
    text = io.StringIO(newline="")
    lines = csv.writer(text)
    lines.writerow(columns)
    lines.writerows([_text(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode()


def json_of(rows: Iterable[Row]) -> bytes:
    """A list of objects; days and instants in ISO 8601."""
    told = [{name: _finite(value) for name, value in row.items()} for row in rows]
    return (json.dumps(told, default=_plain, ensure_ascii=False, indent=1) + "\n").encode()


def _finite(value: object) -> object:
    """JSON has no infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def calendar_of(export: Export, columns: Sequence[str], rows: Iterable[Row]) -> bytes:
    """A calendar of events with stable identities, so that another program updates what it has.

    Raises ``ExportFailed`` where a column is missing.
    """
    from icalendar import Calendar, Event

    if "title" not in columns or not {"start_at", "day"} & set(columns):
        raise ExportFailed(
            f"exports/{export.path.name}: a calendar needs the columns title, and start_at (UTC) "
            "or day."
        )
    calendar = Calendar()
    calendar.add("prodid", "-//personal_pipeline//exports//EN")
    calendar.add("version", "2.0")
    calendar.add("x-wr-calname", export.name)
    for row in rows:
        begins = _instant(row.get("start_at")) or row.get("day") or row.get("start_at")
        if begins is None:
            continue
        if not isinstance(begins, date):
            raise ExportFailed(
                f"exports/{export.path.name}: start_at is a timestamp, and day a date; cast them."
            )
        event = Event()
        identity = row.get("uid") or f"{begins} {row['title']}"
        digest = hashlib.sha256(f"{export.name} {identity}".encode()).hexdigest()[:32]
        event.add("uid", f"{digest}@personal_pipeline")
        event.add("dtstart", begins)
        if isinstance(begins, datetime) and (ends := _instant(row.get("end_at"))):
            event.add("dtend", ends)
        # required, and the same whenever it is written
        stamp = begins if isinstance(begins, datetime) else datetime.combine(begins, time(), UTC)
        event.add("dtstamp", stamp)
        event.add("summary", _text(row["title"]))
        for name, column in (("description", "detail"), ("location", "place"), ("url", "address")):
            if row.get(column):
                event.add(name, _text(row[column]))
        calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content


def notes_of(export: Export, columns: Sequence[str], rows: Iterable[Row]) -> dict[str, str]:
    """The text of the block of each note, by its path in the folder. Several rows of one note are
    one block. Raises ``ExportFailed`` for a path that leads out of the folder."""
    if not {"note", "text"} <= set(columns):
        raise ExportFailed(
            f"exports/{export.path.name}: notes need the columns note (its path in the folder, "
            "without .md) and text."
        )
    notes: dict[str, list[str]] = {}
    for row in rows:
        path = PurePosixPath(f"{_text(row['note'])}.md")
        hidden = any(part.startswith(".") or set(part) & set('\0\\:*?"<>|') for part in path.parts)
        if path.is_absolute() or hidden or path.stem in ("", ".md"):
            raise ExportFailed(
                f"exports/{export.path.name}: expected a note's path within the folder, without "
                'dots at the beginning and without any of \\ : * ? " < > |'
            )
        if text := _text(row["text"]).strip():
            notes.setdefault(str(path), []).append(text)
    return {path: "\n".join(texts) for path, texts in notes.items()}


def _instant(value: object) -> datetime | None:
    """Times in tables are UTC without saying so."""
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, list | dict):
        return json.dumps(value, default=_text, ensure_ascii=False)
    return str(value)
