"""Records of an Apple Health export, millions of them, on their way into the lake by DuckDB.

Records of the usual form come in batches of columns; all others come as elements, one by one. Both
end in the same narrow file of delimited text, which DuckDB takes in. What repeats in a batch (who
measured what, and the metadata) is read by the real parser once a form, so both ways give the same
rows by construction; if anything of a batch is not as it should be, its records are all read one by
one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from personal_pipeline.ingest.contract import Table, Unreadable
from personal_pipeline.ingest.tables import Spool
from personal_pipeline.sources.apple_health.elements import Batch, Element, parse

RECORDS = Table(
    columns={
        "type": "varchar",
        "sourceName": "varchar",
        "sourceVersion": "varchar",
        "unit": "varchar",
        "value": "varchar",
        "start_at": "timestamp",
        "end_at": "timestamp",
        "created_at": "timestamp",
        "metadata": "varchar",
        "more": "varchar",
        "device": "varchar",
        "offsets": "varchar",
    },
    key=("type", "start_at", "sourceName", "end_at", "unit", "value", "created_at"),
)
"""Text as it is written, times in UTC with their offsets beside them. ``metadata`` is a JSON object
of the metadata entries; ``more`` holds attributes and elements that are not known, as JSON."""

VOLATILE = ("offsets",)
"""The offset is that of the phone when the export was made, and may differ in the next one."""

_ADDRESS = re.compile(r"(?<=<<HKDevice): 0x[0-9a-fA-F]+")
"""In a device's text: a place in the phone's memory, which differs in every export."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

STATE_OF_MIND = "HKDataTypeStateOfMind"

Head = tuple[str | None, ...]
"""Type, source, its version, device and unit."""

_KNOWN = ("type", "sourceName", "sourceVersion", "device", "unit")
_TIMES = ("creationDate", "startDate", "endDate")
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}")

_DELIMITER, _QUOTE, _NULL = b"\x1f", b"\x02", b"\x03"
_MOST_WAITING = 2
LARGEST_LINE_BYTES = 8_000_000
"""Less than ``records_take`` can read."""
_MOST_FORMS_KNOWN = 100_000


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"records_{name}.sql").read_text(encoding="utf-8")


class Records:
    """The records of one export: they go in, and the spool's view ``records`` has the rows.

    What is no usual record comes out of ``found``: states of mind, which were written as records
    too, and what cannot be read.
    """

    def __init__(self, spool: Spool, captured_at: datetime) -> None:
        self._spool = spool
        self._latest = captured_at + timedelta(days=31)
        # one beside the thread that reads: DuckDB works while Python cuts the next batch
        self._pool = ThreadPoolExecutor(1)
        self._waiting: list[tuple[Future[None], Batch | None]] = []
        self._files = 0
        self._numbers: dict[Head, bytes] = {}
        self._heads: dict[bytes, bytes | None] = {}
        self._metadata: dict[bytes | None, bytes | None] = {}
        self._lines: list[bytes] = []
        self._size = 0
        self._found: list[Element | Unreadable] = []
        spool.connection.execute(_sql("setup"))

    def add(self, batch: Batch) -> None:
        """Take records of the usual form."""
        lines = self._lines_of(batch)
        if lines is None:
            self._add_one_by_one(batch)
        else:
            self._submit(lines, batch)

    def add_element(self, element: Element) -> None:
        """Take one record."""
        if element.attributes.get("type") == STATE_OF_MIND:
            self._found.append(element)
            return
        row = row_of(element, self._latest)
        if isinstance(row, Unreadable):
            self._found.append(row)
            return
        line = self._line(row)
        if len(line) > LARGEST_LINE_BYTES:
            self._found.append(
                Unreadable(f"Record: more than {LARGEST_LINE_BYTES:,} bytes", element.attributes)
            )
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size > LARGEST_LINE_BYTES // 2:
            self._submit_elements()

    def found(self) -> Iterator[Element | Unreadable]:
        """What turned up so far that is no usual record."""
        found, self._found = self._found, []
        yield from found

    def finish(self) -> None:
        """Wait until everything that was added is in the view."""
        while self._waiting:
            self._settle()
        self._submit_elements()
        while self._waiting:
            self._settle()
        self._pool.shutdown()
        numbered = [[int(number), *head] for head, number in self._numbers.items()]
        if numbered:
            self._spool.connection.executemany(
                "insert into heads values (?, ?, ?, ?, ?, ?)", numbered
            )
        self._spool.connection.execute(_sql("finish"))

    def close(self) -> None:
        """Drop what was not yet begun."""
        self._pool.shutdown(cancel_futures=True)

    def _submit_elements(self) -> None:
        if self._lines:
            self._submit(b"\n".join(self._lines), None)
            self._lines, self._size = [], 0

    def _submit(self, lines: bytes, batch: Batch | None) -> None:
        while len(self._waiting) >= _MOST_WAITING:
            self._settle()
        self._files += 1
        path = self._spool.folder / f"records-{self._files}"
        self._waiting.append((self._pool.submit(self._take, path, lines), batch))

    def _take(self, path: Path, lines: bytes) -> None:
        path.write_bytes(lines + b"\n")
        latest = self._latest.replace(tzinfo=None)
        try:
            with self._spool.connection.cursor() as cursor:
                cursor.execute(_sql("take"), {"path": str(path), "latest": latest})
        finally:
            path.unlink()

    def _settle(self) -> None:
        """Wait for the oldest file. A time in it that is none shows only now."""
        future, batch = self._waiting.pop(0)
        try:
            future.result()
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            if batch is None:
                raise
            self._add_one_by_one(batch)

    def _add_one_by_one(self, batch: Batch) -> None:
        for written in batch.written():
            element = parse(written)
            if element is None:
                raw = written[:2000].decode(errors="replace")
                self._found.append(Unreadable("Record: not well-formed", raw))
            else:
                self.add_element(element)

    def _lines_of(self, batch: Batch) -> bytes | None:
        """A line a record, as ``records_take`` reads them; None when one has to be looked at."""
        for known in (self._heads, self._metadata):
            if len(known) > _MOST_FORMS_KNOWN:
                known.clear()
        for head in set(batch.heads) - self._heads.keys():
            self._heads[head] = self._number_of_written(head)
        for metadata in set(batch.metadata) - self._metadata.keys():
            self._metadata[metadata] = _metadata_of_written(metadata)
        heads = [self._heads[head] for head in batch.heads]
        metadata_json = [self._metadata[metadata] for metadata in batch.metadata]
        if None in heads or None in metadata_json:
            return None
        values = [_NULL if value is None else value for value in batch.values]
        nothing = [_NULL + _DELIMITER + _NULL] * len(batch)
        columns: Sequence[Sequence[Any]] = (
            heads, batch.created, batch.started, batch.ended, values, metadata_json, nothing
        )  # fmt: skip
        return b"\n".join(map(_DELIMITER.join, zip(*columns, strict=True)))

    def _number_of_written(self, head: bytes) -> bytes | None:
        element = parse(b"<Record " + head + b"/>")
        if element is None or element.attributes["type"] == STATE_OF_MIND:
            return None
        return self._number(tuple(element.attributes.get(name) for name in _KNOWN))

    def _number(self, head: Head) -> bytes:
        kind, source, version, device, unit = head
        head = (kind, source, version, device and _ADDRESS.sub("", device), unit)
        return self._numbers.setdefault(head, b"%d" % len(self._numbers))

    def _line(self, row: dict[str, str | None]) -> bytes:
        number = self._number(tuple(row[name] for name in _KNOWN))
        others = ("creationDate", "startDate", "endDate", "value", "metadata", "more", "offsets")
        return _DELIMITER.join([number, *(_quoted(row[name]) for name in others)])


def _quoted(text: str | None) -> bytes:
    # no element holds the quote: control characters have become blanks
    return _NULL if text is None else _QUOTE + text.encode() + _QUOTE


def _metadata_of_written(entries: bytes | None) -> bytes | None:
    """Entries as JSON; ``_NULL`` for none, None when they are not well-formed."""
    if not entries:
        return _NULL
    element = parse(b"<Record>" + entries + b"</Record>")
    if element is None:
        return None
    metadata, more = _within(element, {})
    return None if more else _quoted(metadata)


def row_of(element: Element, latest: datetime) -> dict[str, str | None] | Unreadable:
    """A row of ``records`` from a parsed record."""
    attributes = element.attributes
    if "type" not in attributes:
        return Unreadable("Record: expected an attribute type", generic(element))
    times = {name: time_of(attributes[name]) for name in _TIMES if name in attributes}
    for name in ("startDate", *times):
        if times.get(name) is None:
            return Unreadable(
                f"Record: {name}: expected a time like 2026-11-21 06:00:00 +0100", generic(element)
            )
    start = times["startDate"]
    assert start is not None
    if not EARLIEST <= start <= latest:
        reason = "Record: startDate: expected a day from 1990 to the export"
        return Unreadable(reason, generic(element))
    usual = {*_KNOWN, *_TIMES, "value"}
    others = {name: text for name, text in attributes.items() if name not in usual}
    metadata, more = _within(element, others)
    return {
        **{name: attributes.get(name) for name in (*_KNOWN, "value")},
        **{
            name: f"{moment:%Y-%m-%d %H:%M:%S} +0000" if (moment := times.get(name)) else None
            for name in _TIMES
        },
        "metadata": metadata,
        "more": more,
        "offsets": _offsets([attributes[name] for name in _TIMES if name in times]),
    }


def time_of(text: str) -> datetime | None:
    """A time in UTC, written as Apple does now, or did in 2014; None when it is neither."""
    if not _USUAL_TIME.fullmatch(text) and not re.fullmatch(r"\d{14}[+-]\d{4}", text):
        return None
    form = "%Y-%m-%d %H:%M:%S %z" if "-" in text[:5] else "%Y%m%d%H%M%S%z"
    try:
        return datetime.strptime(text, form).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _offsets(written: list[str]) -> str:
    """The offsets of the times as they are written, once when all are the same; times of an old
    form whole."""
    each = [text[20:] if _USUAL_TIME.fullmatch(text) else text for text in written]
    return each[0] if len(set(each)) == 1 else " ".join(each)


def _within(element: Element, attributes: dict[str, str]) -> tuple[str | None, str | None]:
    """What stands inside of a record: its metadata, and whatever else there is, both as JSON."""
    metadata = metadata_of(element)
    children = [generic(each) for each in element.children if not _is_entry(each)]
    more = {"attributes": attributes, "children": children, "text": element.text}
    more = {name: value for name, value in more.items() if value}
    return _json(metadata) if metadata else None, _json(more) if more else None


def _is_entry(element: Element) -> bool:
    return element.tag == "MetadataEntry" and element.attributes.keys() == {"key", "value"}


def metadata_of(element: Element) -> dict[str, Any]:
    """The metadata entries of an element; a key that is there twice has a list."""
    metadata: dict[str, Any] = {}
    for each in element.children:
        if _is_entry(each):
            key, value = each.attributes["key"], each.attributes["value"]
            present = metadata.get(key)
            if present is not None:
                before = present if isinstance(present, list) else [present]
                metadata[key] = [*before, value]
            else:
                metadata[key] = value
    return metadata


def generic(element: Element) -> dict[str, Any]:
    """An element as JSON, whatever it is."""
    written: dict[str, Any] = {"tag": element.tag, **element.attributes}
    if element.text:
        written["text"] = element.text
    if element.children:
        written["children"] = [generic(each) for each in element.children]
    return written


def _json(value: dict[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
