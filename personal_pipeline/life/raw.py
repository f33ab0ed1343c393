"""The raw record behind an event or a figure: as it lies in the lake, and where it came from.

A reference is ``<lake file>#<record key>``, the lake file relative to the lake; ``lake_file`` and
``record_key`` of every staging table make one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Grain, Source, Table
from personal_pipeline.ingest.lake import StreamLake, canonical, digest_of, lake_of
from personal_pipeline.ingest.originals import Ingest, find_original, ingests_of
from personal_pipeline.life.words import whole

_REFERENCE = re.compile(
    r"(?P<source>[a-z0-9_]+)/(?P<stream>[a-z0-9_]+)/(?:day|month)="
    r"(?P<partition>[0-9]{4}-[0-9]{2}-[0-9]{2})/part\.(?:jsonl\.gz|parquet)#(?P<key>.+)",
    re.DOTALL,
)


class NoRecord(LookupError):
    """There is no such record; the message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Original:
    """The dropped file that a record was read from: its SHA-256, and each time that it arrived.
    ``path`` is its copy in the archive, None if that is missing; ``receipts`` say what became of
    it."""

    digest: str
    path: Path | None
    ingests: Sequence[Ingest]
    receipts: Sequence[Path]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """A record of the lake, word for word. ``days`` are those under which a service's record is
    filed. ``captured_at`` (ISO 8601 UTC) is when the service produced it; a fetched record has none
    of its own, but was written no later than ``written_at``."""

    reference: str
    source: str
    stream: str
    lake_file: Path
    file_digest: str
    """SHA-256 of the lake file."""
    written_at: datetime
    key: str
    days: Sequence[date]
    record: dict[str, Any]
    captured_at: str | None
    original: Original | None


@dataclass(frozen=True, slots=True)
class Reference:
    """What a reference names."""

    text: str
    source: str
    stream: str
    partition: str
    key: str

    @classmethod
    def of(cls, text: str) -> Reference:
        """Raises ``NoRecord`` for a text that is none."""
        named = _REFERENCE.fullmatch(text)
        if named is None:
            raise NoRecord(
                f"{text!r} is no reference. Expected a lake file and the key of a record, such as "
                "bank/transactions/month=2026-10-01/part.jsonl.gz#KEY."
            )
        return cls(text, **named.groupdict())

    @property
    def lake_file(self) -> str:
        return self.text.partition("#")[0]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of a lake file, whether that holds JSON lines or Parquet."""

    key: str
    day: date | None
    record: dict[str, Any]
    as_of: str | None
    origin: str | None


def is_reference(text: str) -> bool:
    """Whether a text has the form of a reference."""
    return _REFERENCE.fullmatch(text) is not None


def raw_record(home: Home, sources: Iterable[Source], reference: str) -> list[RawRecord]:
    """The record to which a reference leads; several if the service reported different ones under
    different days. Raises ``NoRecord``, and ``DamagedPartition``."""
    return raw_records(home, sources, [reference])[reference]


def raw_records(
    home: Home, sources: Iterable[Source], references: Iterable[str]
) -> dict[str, list[RawRecord]]:
    """The records to which references lead. Every lake file is read once. Raises as ``raw_record``
    does."""
    by_file: dict[str, list[Reference]] = {}
    for text in dict.fromkeys(references):
        reference = Reference.of(text)
        by_file.setdefault(reference.lake_file, []).append(reference)
    streams = {
        (source.name, stream.name): stream for source in sources for stream in source.streams
    }
    found: dict[str, list[RawRecord]] = {}
    for together in by_file.values():
        named = together[0]
        stream = streams.get((named.source, named.stream))
        if stream is None:
            raise NoRecord(f"There is no stream {named.stream} of a source {named.source}.")
        found |= _of_file(home, lake_of(home, named.source, stream), together)
    return found


def _of_file(
    home: Home, lake: StreamLake, references: Sequence[Reference]
) -> dict[str, list[RawRecord]]:
    named = references[0]
    try:
        partition = date.fromisoformat(named.partition)
        path = lake.path(partition)
        # a stream whose grain has changed lies in other files
        if path != lake.lake / named.lake_file:
            raise FileNotFoundError(path)
        digest = digest_of(path)
    except (ValueError, FileNotFoundError):
        raise NoRecord(f"{named.lake_file} is not in the lake. {_CHANGED}") from None
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    keys = {each.key for each in references}
    rows: dict[str, list[_Row]] = {}
    for row in _rows(lake, partition, keys):
        rows.setdefault(row.key, []).append(row)
    if gone := keys - rows.keys():
        raise NoRecord(f"{named.lake_file} has no record {min(gone)!r}. {_CHANGED}")
    originals: dict[str | None, Original | None] = {None: None}
    found: dict[str, list[RawRecord]] = {}
    for each in references:
        # a service files a record under every day on which something happened to it
        alike: dict[str, list[_Row]] = {}
        for row in rows[each.key]:
            alike.setdefault(canonical(row.record), []).append(row)
        for same in alike.values():
            origin = same[0].origin
            if origin not in originals:
                originals[origin] = original_of(home, origin or "")
            record = RawRecord(
                reference=each.text,
                source=each.source,
                stream=each.stream,
                lake_file=path,
                file_digest=digest,
                written_at=written_at,
                key=each.key,
                days=[row.day for row in same if row.day],
                record=same[0].record,
                captured_at=same[0].as_of,
                original=originals[origin],
            )
            found.setdefault(each.text, []).append(record)
    return found


_CHANGED = (
    "The lake has changed since the tables were built: `personal-pipeline refresh` brings them up "
    "to date, and their references with them."
)


def _rows(lake: StreamLake, partition: date, keys: set[str]) -> Iterator[_Row]:
    if lake.table is not None:
        yield from _rows_of_table(lake, lake.table, partition, keys)
        return
    has_days = lake.by_day or lake.grain is Grain.DAY
    for unit, row in lake.filed(partition):
        if row.key in keys:
            yield _Row(row.key, unit if has_days else None, row.record, row.as_of, row.origin)


def _rows_of_table(
    lake: StreamLake, table: Table, partition: date, keys: set[str]
) -> Iterator[_Row]:
    """Rows of Parquet have no key of their own: staging makes one of the columns that are the key,
    joined by a stroke where they are short, and else their digest."""
    # not at import: most records are not in Parquet
    import duckdb

    from personal_pipeline import duck
    from personal_pipeline.ingest.parquet import FILE, names

    short = f"concat_ws('/', {names(table.key)})"
    parts = (f"coalesce(cast({names([column])} as varchar), '')" for column in table.key)
    digest = f"md5(concat_ws(chr(31), {', '.join(parts)}))"
    try:
        with duckdb.connect(config=duck.CONFIG) as opened:
            rows = opened.execute(
                f"select {names(table.columns)}, as_of, origin, record_key "  # noqa: S608
                f"from (select *, unnest([{short}, {digest}]) as record_key from {FILE}) "
                "where list_contains(?, record_key)",
                [str(lake.path(partition)), list(keys)],
            ).fetchall()
    except duckdb.Error as error:
        raise lake.damaged(partition, error) from error
    for *values, as_of, origin, key in rows:
        record = {
            name: value.isoformat() if isinstance(value, datetime) else value
            for name, value in zip(table.columns, values, strict=True)
        }
        yield _Row(key, None, record, as_of, origin)


def original_of(home: Home, digest: str) -> Original:
    """What the archive knows of an original."""
    ingests = ingests_of(home, digest) or ()
    path = find_original(home, digest, ingests[0].name if ingests else "")
    receipts = sorted((home.archive / "receipts").glob(f"*-{digest[:16]}*.json"))
    return Original(digest, path, ingests, receipts)


# --------------------------------------------------------------------------------------- in words


def facts_of(home: Home, found: RawRecord) -> list[tuple[str, str]]:
    """What is known of a record besides its content, by name. Paths are below the home."""
    facts = [
        ("Record", found.key),
        ("Stream", f"{found.source}.{found.stream}"),
        ("Lake file", _below(home, found.lake_file)),
        ("SHA-256", found.file_digest),
    ]
    if found.days:
        facts.append(("Filed under", ", ".join(map(str, found.days))))
    written = f"{found.written_at:%Y-%m-%d %H:%M} UTC"
    if found.captured_at is None:
        facts.append(("Captured", f"by {written}, when the file was written"))
    else:
        facts.append(("Captured", f"{_instant(found.captured_at)} (file written {written})"))
    if found.original is not None:
        facts += _facts_of_original(home, found.original)
    return facts


def _facts_of_original(home: Home, original: Original) -> Iterator[tuple[str, str]]:
    if original.path is None:
        yield "Original", f"{original.digest}, which is missing from the archive"
    else:
        yield "Original", _below(home, original.path)
    for ingest in original.ingests:
        name = f"{ingest.folder}/{ingest.name}" if ingest.folder else ingest.name
        inside = f" in {ingest.inside}" if ingest.inside else ""
        yield "Dropped as", f"{name}{inside}, received {_instant(ingest.received_at)}"
    for receipt in original.receipts:
        yield "Receipt", _below(home, receipt)


def _below(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix()


def _instant(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def pretty(found: RawRecord) -> str:
    """The content as indented JSON, all of it; what a terminal would interpret is written out."""
    return whole(json.dumps(found.record, indent=2, ensure_ascii=False))
