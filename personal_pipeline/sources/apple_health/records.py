"""Records of an Apple Health export, millions of them: DuckDB reads the usual form, and whatever
is written in another way is read one by one by a real parser.

A run of records is cut at its quotes by DuckDB's reader of delimited text. What is left of a
record without the values of its times and its measurement takes few forms in a whole export. Each
of these forms is read by the real parser once, and a record is taken in bulk only if the parser
found its form to be well-formed and to have known attributes only; its times and its value are
checked to be plain. So both ways give the same rows by construction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from personal_pipeline.ingest.contract import Table, Unreadable
from personal_pipeline.ingest.tables import WORKERS, Spool
from personal_pipeline.sources.apple_health.elements import Element, parse

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

VOLATILE = ("device", "offsets")
"""Both differ in every export: the device has an address, and the offset is that of the phone when
the export was made."""

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

STATE_OF_MIND = "HKDataTypeStateOfMind"

_KNOWN = ("type", "sourceName", "sourceVersion", "unit", "device")
_TIMES = ("creationDate", "startDate", "endDate")
_ATTRIBUTE = re.compile(r" ([A-Za-z]+)=")
_USUAL_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}")
_PLAIN_METADATA = re.compile(
    r'>(?:\s*<MetadataEntry key="[^"&<\t\n\r]*" value="[^"&<\t\n\r]*"/>)+\s*</Record>\s*'
)
_ENTRY = re.compile(r'key="([^"]*)" value="([^"]*)"')

_RUN_BYTES = 8 << 20
_OWN_MARKS = (b"\x02", b"\x03", b"\x1e", b"\x1f")
_SINGLES_AT_ONCE = 5_000


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"records_{name}.sql").read_text(encoding="utf-8")


class Records:
    """The records of one export: runs go in, the spool's view ``records`` has the rows.

    What is no usual record comes out of ``found``: elements of another kind that were written as
    records, and what cannot be read.
    """

    def __init__(self, spool: Spool, captured_at: datetime) -> None:
        self._spool = spool
        self._latest = captured_at + timedelta(days=31)
        self._pool = ThreadPoolExecutor(WORKERS)
        self._pending: list[Future[None]] = []
        self._run: list[bytes] = []
        self._size = self._runs = 0
        # one at a time gives new heads and endings their numbers
        self._naming = Lock()
        self._heads = self._endings = 0
        self._singles: list[dict[str, Any]] = []
        self._found: list[Element | Unreadable] = []
        spool.connection.execute(_sql("setup"))

    def add(self, run: bytes) -> None:
        """Take a run of whole records."""
        self._run.append(run)
        self._size += len(run)
        if self._size >= _RUN_BYTES:
            self._submit()

    def add_element(self, element: Element) -> None:
        """Take a record that is already parsed."""
        with self._naming:
            self._add_single(element)

    def found(self) -> Iterator[Element | Unreadable]:
        """What turned up so far that is no usual record."""
        with self._naming:
            found, self._found = self._found, []
        yield from found

    def finish(self) -> None:
        """Wait until everything that was added is in the view."""
        self._submit()
        for future in self._pending:
            future.result()
        self._pool.shutdown()
        with self._naming:
            self._flush_singles()

    def close(self) -> None:
        """Drop what was not yet begun."""
        self._pool.shutdown(cancel_futures=True)

    def _submit(self) -> None:
        run = b"".join(self._run)
        self._run, self._size = [], 0
        if not run:
            return
        while len(self._pending) > WORKERS:
            self._pending.pop(0).result()
        self._runs += 1
        path = self._spool.folder / f"run-{self._runs}"
        self._pending.append(self._pool.submit(self._take, path, run))

    def _take(self, path: Path, run: bytes) -> None:
        count = run.count(b"<Record ")
        if any(mark in run for mark in _OWN_MARKS):
            self._take_one_by_one(run)
            return
        path.write_bytes(
            run.replace(b'">', b'"\x02>')
            .replace(b"</Record>", b"</Record>\x02")
            .replace(b"<Record ", b"\n<Record ")
        )
        try:
            with self._spool.connection.cursor() as cursor:
                if not self._take_in_bulk(cursor, path, count):
                    self._take_one_by_one(run)
        finally:
            path.unlink()

    def _take_in_bulk(self, cursor: duckdb.DuckDBPyConnection, path: Path, count: int) -> bool:
        """Whether the file could be cut into its records; then all of them are taken."""
        where = {"path": str(path), "latest": self._latest.replace(tzinfo=None)}
        try:
            cursor.execute(_sql("batch"), where)
        except (duckdb.InvalidInputException, duckdb.ConversionException):
            return False
        cut = cursor.execute("select count(*), count(*) filter (cut) from batch").fetchall()[0]
        if cut != (count, 0):
            return False
        self._name_new(cursor)
        (taken,) = cursor.execute(_sql("take")).fetchall()[0]
        if taken != count:
            others = cursor.execute(_sql("others"), where)
            while records := others.fetchmany(1_000):
                self._add_singles(record.encode() for (record,) in records)
        return True

    def _name_new(self, cursor: duckdb.DuckDBPyConnection) -> None:
        new_heads = "select distinct head from batch anti join heads using (head)"
        new_endings = "select distinct ending from batch anti join endings using (ending)"
        with self._naming:
            heads = [_head(head) for (head,) in cursor.execute(new_heads).fetchall()]
            endings = [_ending(ending) for (ending,) in cursor.execute(new_endings).fetchall()]
            _insert(cursor, "heads", self._heads, heads)
            _insert(cursor, "endings", self._endings, endings)
            self._heads += len(heads)
            self._endings += len(endings)

    def _take_one_by_one(self, run: bytes) -> None:
        starts = [match.start() for match in re.finditer(rb"<Record ", run)]
        ends = [*starts[1:], len(run)]
        self._add_singles(run[start:end] for start, end in zip(starts, ends, strict=True))

    def _add_singles(self, records: Iterator[bytes]) -> None:
        with self._naming:
            for record in records:
                element = parse(record)
                if element is None or element.tag != "Record":
                    reason = "a record that is not well-formed"
                    self._found.append(Unreadable(reason, record[:2000].decode(errors="replace")))
                else:
                    self._add_single(element)

    def _add_single(self, element: Element) -> None:
        if element.attributes.get("type") == STATE_OF_MIND:
            self._found.append(element)
            return
        row = row_of(element, self._latest)
        if isinstance(row, Unreadable):
            self._found.append(row)
            return
        self._singles.append(row)
        if len(self._singles) >= _SINGLES_AT_ONCE:
            self._flush_singles()

    def _flush_singles(self) -> None:
        if self._singles:
            with self._spool.connection.cursor() as cursor:
                cursor.execute(_sql("singles"), {"rows": json.dumps(self._singles)})
            self._singles.clear()


def _insert(
    cursor: duckdb.DuckDBPyConnection, table: str, first: int, rows: list[tuple[Any, ...]]
) -> None:
    if rows:
        columns = [list(column) for column in zip(*rows, strict=True)]
        unnested = ", ".join(f"unnest(${number})" for number in range(2, len(columns) + 2))
        cursor.execute(
            f"insert into {table} select $1 + row_number() over (), * from (select {unnested})",
            [first, *columns],
        )


def _head(head: str) -> tuple[Any, ...]:
    """A row of ``heads``: the attributes as the parser reads them, if the tag is a usual one."""
    tag, *written, offsets = head.split("\x1f")
    irregular = (head, False, None, None, None, None, None, None)
    if len(written) != len(_KNOWN) or not tag.startswith("<Record ") or not tag.endswith('"'):
        return irregular
    matches = [_ATTRIBUTE.fullmatch(each) for each in tag[len("<Record") : -1].split('"')]
    names = [match[1] for match in matches if match]
    usual = {*_KNOWN, *_TIMES, "value"}
    if None in matches or len(set(names)) != len(names) or not usual.issuperset(names):
        return irregular
    pairs = zip(_KNOWN, written, strict=True)
    text = " ".join(f'{name}="{value}"' for name, value in pairs if name in names)
    element = parse(f"<Record {text}/>".encode())
    if element is None or element.attributes.get("type", STATE_OF_MIND) == STATE_OF_MIND:
        return irregular
    values = (element.attributes.get(name) for name in _KNOWN)
    return head, True, *values, offsets


def _ending(ending: str) -> tuple[str, bool, str | None, str | None]:
    """A row of ``endings``: what stands inside of a record, if it is well-formed."""
    if ending == "/>":
        return ending, True, None, None
    if _PLAIN_METADATA.fullmatch(ending):
        entries = _ENTRY.findall(ending)
        metadata = dict(entries)
        if len(metadata) == len(entries) and ending.isprintable():
            return ending, True, _json(metadata), None
    element = parse(f"<Record{ending}".encode())
    if element is None or element.attributes:
        return ending, False, None, None
    metadata_json, more = _within(element, {})
    return ending, True, metadata_json, more


def row_of(element: Element, latest: datetime) -> dict[str, Any] | Unreadable:
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
        return Unreadable("Record: startDate: expected a day since 1990", generic(element))
    usual = {*_KNOWN, *_TIMES, "value"}
    others = {name: text for name, text in attributes.items() if name not in usual}
    metadata, more = _within(element, others)
    return {
        "month": start.date().replace(day=1).isoformat(),
        **{name: attributes.get(name) for name in (*_KNOWN, "value")},
        **{
            column: moment.replace(tzinfo=None).isoformat(" ") if moment else None
            for column, moment in (
                ("start_at", start),
                ("end_at", times.get("endDate")),
                ("created_at", times.get("creationDate")),
            )
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
                value = [*(present if isinstance(present, list) else [present]), value]
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
