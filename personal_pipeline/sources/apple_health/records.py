"""Records of an Apple Health export, millions of them, loaded into the lake by DuckDB.

Blocks of ordinary records are cut in bulk, all others arrive as elements, one by one. In both cases
who measured what, and the metadata, come from the real parser.
"""

from __future__ import annotations

import json
import re
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from personal_pipeline.ingest import arrow
from personal_pipeline.ingest.arrow import ArrowTable, Columns
from personal_pipeline.ingest.contract import Table, Unreadable
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.sources.apple_health.bulk import OFFSETS, Batch, Cutter, offsets_of
from personal_pipeline.sources.apple_health.elements import Element

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
    key=("type", "start_at", "sourceName", "end_at", "unit", "value"),
)
"""When a row was created says nothing about what was measured, and a phone may create it again
(from a backup, from a watch), so it is not part of the key. Text is verbatim, times are in UTC with
their offsets in a separate column. ``metadata`` is a JSON object of the metadata entries; ``more``
holds unknown attributes and elements, as JSON."""

VOLATILE = ("offsets",)
"""The offset is that of the phone when the export was made, and may differ in the next one."""

_ADDRESS = re.compile(r"(?<=<<HKDevice): 0x[0-9a-fA-F]+")
"""In a device's text: a memory address, which differs in every export."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
_EARLIEST = int(EARLIEST.timestamp())
_JSON = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"))

STATE_OF_MIND = "HKDataTypeStateOfMind"

Head = tuple[str | None, ...]
"""Type, source, its version, device, unit, and the offsets of the times."""

_KNOWN = ("type", "sourceName", "sourceVersion", "device", "unit")
_TIMES = {"created_at": "creationDate", "start_at": "startDate", "end_at": "endDate"}
_USUAL_TIME = re.compile(
    r"\d{4}-\d\d-\d\d (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d [+-](?:[01]\d|2[0-3])[0-5]\d"
)

_TEXTS = ("value", "metadata", "more")
_MAX_WAITING = 2
_ROWS_AT_ONCE = 40_000
"""Rows per DuckDB insert: a statement for a few thousand costs more than the rows."""
_MAX_WAITING_BYTES = 4_000_000


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"records_{name}.sql").read_text(encoding="utf-8")


class Records:
    """Collects the records of one export; the rows are in the spool's view ``records``.

    What is not an ordinary record comes out of ``found``: states of mind, which were written as
    records too, and what cannot be read.
    """

    def __init__(self, spool: Spool, captured_at: datetime) -> None:
        self._spool = spool
        self._latest = captured_at + timedelta(days=31)
        # one thread beside the reader: DuckDB works while Python cuts the next batch
        self._pool = ThreadPoolExecutor(1)
        self._waiting: deque[Future[None]] = deque()
        self._numbers: dict[Head, int] = {}
        self._usual: list[Head] = []
        self._cutter = Cutter(self._number_of, _metadata_of_usual, _more_of_beats)
        self._rows: list[dict[str, Any]] = []
        self._size = 0
        self._batches: list[Columns] = []
        self._batches_rows = self._batches_size = 0
        self._found: list[Element | Unreadable] = []
        spool.connection.execute(_sql("setup"))

    def take(self, content: bytes | memoryview) -> bool:
        """Process a block of XML if it contains only ordinary records; returns whether it did."""
        batch = self._cutter.cut(content)
        if batch is None or not _EARLIEST <= batch.started.min() <= batch.started.max() <= int(
            self._latest.timestamp()
        ):
            return False
        columns = {
            "head": arrow.integers(self._heads_of(batch)),
            "value": arrow.texts(*batch.values),
            "start_at": arrow.timestamps(batch.started),
            "end_at": arrow.timestamps(batch.ended),
            "created_at": arrow.timestamps(batch.created),
            "metadata": arrow.texts(*batch.metadata, empty_is_null=True),
            "more": arrow.texts(*batch.beats, empty_is_null=True),
        }
        texts = (batch.values, batch.metadata, batch.beats)
        self._put(columns, sum(len(each.content) for each in texts))
        return True

    def add(self, element: Element) -> None:
        """Add one record."""
        if element.attributes.get("type") == STATE_OF_MIND:
            self._found.append(element)
            return
        row = row_of(element, self._latest)
        if isinstance(row, Unreadable):
            self._found.append(row)
            return
        self._rows.append(row)
        self._size += sum(len(row[name] or "") for name in _TEXTS)
        if len(self._rows) >= _ROWS_AT_ONCE or self._size > _MAX_WAITING_BYTES:
            self._put_rows()

    def found(self) -> Iterator[Element | Unreadable]:
        """What has been found so far that is not an ordinary record."""
        found, self._found = self._found, []
        yield from found

    def finish(self) -> None:
        """Wait until everything that was added is in the view."""
        self._put_rows()
        self._submit()
        while self._waiting:
            self._waiting.popleft().result()
        self._pool.shutdown()
        columns: Columns = {"head": arrow.integers(np.fromiter(self._numbers.values(), np.int64))}
        for place, name in enumerate((*_KNOWN, "offsets")):
            columns[name] = arrow.texts_of([head[place] for head in self._numbers])
        with self._spool.connection.cursor() as cursor:
            cursor.register("heads", ArrowTable([columns]))
            cursor.execute(_sql("finish"))

    def close(self) -> None:
        """Drop work that has not begun."""
        self._pool.shutdown(cancel_futures=True)

    def _put_rows(self) -> None:
        if not self._rows:
            return
        heads = [
            self._number(tuple(row[name] for name in (*_KNOWN, "offsets"))) for row in self._rows
        ]
        columns: Columns = {"head": arrow.integers(np.array(heads))}
        for name, time in _TIMES.items():
            columns[name] = arrow.timestamps_of([_seconds(row[time]) for row in self._rows])
        for name in _TEXTS:
            columns[name] = arrow.texts_of([row[name] for row in self._rows])
        size, self._rows, self._size = self._size, [], 0
        self._put(columns, size)

    def _put(self, columns: Columns, size: int) -> None:
        self._batches.append(columns)
        self._batches_rows += len(columns["head"])
        self._batches_size += size
        if self._batches_rows >= _ROWS_AT_ONCE or self._batches_size > _MAX_WAITING_BYTES:
            self._submit()

    def _submit(self) -> None:
        if not self._batches:
            return
        rows = ArrowTable(self._batches)
        self._batches, self._batches_rows, self._batches_size = [], 0, 0
        while len(self._waiting) >= _MAX_WAITING:
            self._waiting.popleft().result()
        self._waiting.append(self._pool.submit(self._insert, rows))

    def _insert(self, rows: ArrowTable) -> None:
        with self._spool.connection.cursor() as cursor:
            cursor.register("taken", rows)
            cursor.execute(_sql("take"))

    def _number_of(self, element: Element) -> int | None:
        if element.attributes["type"] == STATE_OF_MIND:
            return None
        self._usual.append(tuple(element.attributes.get(name) for name in _KNOWN))
        return len(self._usual) - 1

    def _heads_of(self, batch: Batch) -> npt.NDArray[np.int64]:
        # combined into one number, with few distinct values
        both = batch.heads * OFFSETS + batch.offsets
        numbers = np.empty(len(both), np.int64)
        for each in set(both.tolist()):
            head, offsets = divmod(each, OFFSETS)
            numbers[both == each] = self._number((*self._usual[head], offsets_of(offsets)))
        return numbers

    def _number(self, head: Head) -> int:
        kind, source, version, device, unit, offsets = head
        head = (kind, source, version, device and _ADDRESS.sub("", device), unit, offsets)
        return self._numbers.setdefault(head, len(self._numbers))


def _metadata_of_usual(element: Element) -> str:
    metadata, _ = _within(element, {})
    return metadata or ""


def _more_of_beats(beats: list[tuple[bytes, bytes]]) -> bytes:
    """The same JSON as from ``_within``; formatted directly, as a record has some fifty."""
    written = b",".join(
        [b'{"bpm":"%b","tag":"InstantaneousBeatsPerMinute","time":"%b"}' % beat for beat in beats]
    )
    children = b'"children":[%b],' % written if beats else b""
    return b'{"children":[{%b"tag":"HeartRateVariabilityMetadataList"}]}' % children


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def row_of(element: Element, latest: datetime) -> dict[str, Any] | Unreadable:
    """A row of ``records`` from a parsed record: texts, and times in UTC."""
    attributes = element.attributes
    if "type" not in attributes:
        return Unreadable("Record: expected an attribute type", generic(element))
    times = {name: time_of(attributes[name]) for name in _TIMES.values() if name in attributes}
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
    usual = {*_KNOWN, *_TIMES.values(), "value"}
    others = {name: text for name, text in attributes.items() if name not in usual}
    metadata, more = _within(element, others)
    return {
        **{name: attributes.get(name) for name in (*_KNOWN, "value")},
        **{name: times.get(name) for name in _TIMES.values()},
        "metadata": metadata,
        "more": more,
        "offsets": _offsets([attributes[name] for name in _TIMES.values() if name in times]),
    }


def time_of(text: str) -> datetime | None:
    """A time in UTC, from Apple's current format or that of 2014; None when it is neither."""
    try:
        if _USUAL_TIME.fullmatch(text):
            return datetime.fromisoformat(text[:19] + text[20:]).astimezone(UTC)
        if re.fullmatch(r"\d{14}[+-]\d{4}", text):
            return datetime.strptime(text, "%Y%m%d%H%M%S%z").astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    return None


def _offsets(written: list[str]) -> str:
    """The offsets of the times as written, only once if all are equal; times in an old format are
    kept whole."""
    each = [text[20:] if _USUAL_TIME.fullmatch(text) else text for text in written]
    return each[0] if len(set(each)) == 1 else " ".join(each)


def _within(element: Element, attributes: dict[str, str]) -> tuple[str | None, str | None]:
    """The content of a record: its metadata, and everything else, both as JSON."""
    metadata = metadata_of(element)
    children = [generic(each) for each in element.children if not _is_entry(each)]
    more = {"attributes": attributes, "children": children, "text": element.text}
    more = {name: value for name, value in more.items() if value}
    return _json(metadata) if metadata else None, _json(more) if more else None


def _is_entry(element: Element) -> bool:
    return element.tag == "MetadataEntry" and element.attributes.keys() == {"key", "value"}


def metadata_of(element: Element) -> dict[str, Any]:
    """The metadata entries of an element; a repeated key has a list."""
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
    """Any element as JSON."""
    written: dict[str, Any] = {"tag": element.tag, **element.attributes}
    if element.text:
        written["text"] = element.text
    if element.children:
        written["children"] = [generic(each) for each in element.children]
    return written


def _json(value: dict[str, Any]) -> str:
    return _JSON.encode(value)
