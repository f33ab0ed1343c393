"""The lake: verbatim records in files, one file a partition, each with a digest of its content.

``lake/<source>/<stream>/day=2026-11-21/part.jsonl.gz``. A line is an envelope,
``{"key": ..., "record": {...}}``; a row that came from a dropped file also has ``as_of`` (when the
service gave it) and ``origin`` (the digest of the file in the archive). Lines are sorted by key and
written with sorted names, so equal content is equal bytes.

A stream of very many rows lies in ``part.parquet`` instead, see ``tables``; here is what both kinds
of partition have in common.

The digest leaves out ``as_of``, ``origin`` and the stream's volatile fields: it says whether the
*content* is the same, and is the data version of the partition everywhere in the house.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from personal_pipeline.home import READ_ONLY, Home, write_atomically
from personal_pipeline.ingest.contract import ApiStream, DropStream, Grain, Record, Table

PART = "part.jsonl.gz"
TABLE_PART = "part.parquet"
VERSIONS = ".versions.json"


class DamagedPartition(Exception):
    """A lake file cannot be read. The message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a partition. ``as_of`` is ISO 8601 UTC, ``origin`` the digest of a file."""

    key: str
    record: Record
    as_of: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What a partition holds: the digest of its content, and how many rows."""

    digest: str
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    """What writing a partition did to it. ``changed`` compares content, not bytes."""

    partition: date
    version: Version
    existed: bool
    changed: bool
    new: int
    altered: int
    vanished: int


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: object) -> str:
    """JSON with sorted names and no spaces. Raises ``ValueError`` on NaN and infinities."""
    return _CANONICAL.encode(value)


def storable(record: Record) -> Record:
    """The record as the lake can hold it; raises ``ValueError`` when it cannot.

    Half of a surrogate pair (a title cut in the middle of an emoji) becomes U+FFFD: JSON can write
    it, and DuckDB then refuses the whole file. NaN and nesting without end are refused.
    """
    try:
        text = canonical(record)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\ud" not in text:
        return record
    mended: Record = json.loads(whole_text(json.dumps(record, ensure_ascii=False)))
    return mended


def whole_text(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(row: Row, volatile: tuple[str, ...]) -> str:
    if not volatile:
        return canonical(row.record)
    return canonical({name: value for name, value in row.record.items() if name not in volatile})


def content_digest(rows: Iterable[Row], volatile: tuple[str, ...] = ()) -> str:
    """SHA-256 over key and content of every row, in the order of the keys."""
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.key):
        digest.update(canonical(row.key).encode())
        digest.update(_content(row, volatile).encode())
        digest.update(b"\n")
    return digest.hexdigest()


def _line(row: Row) -> str:
    envelope: dict[str, Any] = {"key": row.key, "record": row.record}
    if row.as_of is not None:
        envelope["as_of"] = row.as_of
    if row.origin is not None:
        envelope["origin"] = row.origin
    return canonical(envelope)


def _lines(rows: Mapping[str, Row]) -> str:
    # compared as text: to Python 1, 1.0 and True are equal, in a file they are not
    return "".join(f"{_line(row)}\n" for _, row in sorted(rows.items()))


@dataclass(frozen=True, slots=True)
class StreamLake:
    """The partitions of one stream. Its caller holds the lock of the source while writing."""

    lake: Path
    archive: Path
    source: str
    stream: str
    grain: Grain
    volatile: tuple[str, ...] = ()
    table: Table | None = None

    @property
    def folder(self) -> Path:
        return self.lake / self.source / self.stream

    def path(self, partition: date) -> Path:
        """The file of a partition, whether or not it exists."""
        return self.folder / f"{self.grain}={partition.isoformat()}" / self._part

    @property
    def _part(self) -> str:
        return TABLE_PART if self.table else PART

    def partitions(self) -> list[date]:
        """Partitions that exist, also the empty ones, oldest first."""
        prefix = f"{self.grain}="
        if not self.folder.is_dir():
            return []
        return sorted(
            date.fromisoformat(entry.name.removeprefix(prefix))
            for entry in os.scandir(self.folder)
            if entry.name.startswith(prefix) and Path(entry.path, self._part).exists()
        )

    def read(self, partition: date) -> dict[str, Row]:
        """The rows of a partition by key; nothing where there is no file."""
        path = self.path(partition)
        if self.table:
            raise TypeError(f"{self.source}.{self.stream} is a table: query {path} with DuckDB")
        try:
            if not path.stat().st_size:
                # to gzip nothing at all is an empty file; here even no rows have a header
                raise EOFError
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                envelopes = [json.loads(line) for line in stream]
            return {
                envelope["key"]: Row(
                    envelope["key"],
                    envelope["record"],
                    envelope.get("as_of"),
                    envelope.get("origin"),
                )
                for envelope in envelopes
            }
        except FileNotFoundError:
            return {}
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise self.damaged(partition, error) from error

    def damaged(self, partition: date, error: Exception) -> DamagedPartition:
        """What to raise for a file that cannot be read."""
        return DamagedPartition(
            f"{self.source}.{self.stream}: {self.path(partition)} is damaged "
            f"({type(error).__name__}). Move it away; then {self._how_to_refill()}. Earlier "
            f"contents of this partition are under {self._superseded(partition)}."
        )

    def write(self, partition: date, rows: Iterable[Row]) -> Written:
        """Replace a partition whole, and keep what it held before in the archive.

        Equal bytes are not written again, so an unchanged partition keeps its file untouched.
        """
        new = {row.key: row for row in rows}
        path = self.path(partition)
        existed = path.exists()
        old = self.read(partition)
        version = Version(content_digest(new.values(), self.volatile), len(new))
        changed = not existed or content_digest(old.values(), self.volatile) != version.digest
        lines = _lines(new)
        if not existed or lines != _lines(old):
            if old and changed:
                self.archive_partition(partition)
            # no time stamp in the header: equal content is equal bytes
            write_atomically(path, gzip.compress(lines.encode(), 6, mtime=0))
        return Written(
            partition=partition,
            version=version,
            existed=existed,
            changed=changed,
            new=len(new.keys() - old.keys()),
            altered=sum(
                _content(row, self.volatile) != _content(old[key], self.volatile)
                for key, row in new.items()
                if key in old
            ),
            vanished=len(old.keys() - new.keys()),
        )

    def versions(self) -> dict[date, Version]:
        """Digest and row count of every partition that exists.

        Digests are kept beside the files with each file's size and time; a file that differs from
        what was noted is read again, so what this returns is always true of the files.
        """
        noted = self._noted()
        current: dict[str, list[Any]] = {}
        for partition in self.partitions():
            name = partition.isoformat()
            stamp = self._stamp(partition)
            entry = noted.get(name)
            if entry is None or entry[:3] != stamp:
                version = self._version_of_file(partition)
                entry = [*stamp, version.digest, version.rows]
            current[name] = entry
        if current != noted:
            write_atomically(self.folder / VERSIONS, canonical(current).encode())
        return {
            date.fromisoformat(name): Version(entry[3], entry[4]) for name, entry in current.items()
        }

    def sound_versions(self) -> dict[date, Version]:
        """The same, without the partitions that are damaged."""
        try:
            return self.versions()
        except DamagedPartition:
            sound = {}
            for partition in self.partitions():
                with suppress(DamagedPartition):
                    sound[partition] = self._version_of_file(partition)
            return sound

    def note(self, versions: Mapping[date, Version]) -> None:
        """Remember the versions of partitions that were just written, to save reading them."""
        noted = {
            partition.isoformat(): [*self._stamp(partition), version.digest, version.rows]
            for partition, version in versions.items()
        }
        if noted:
            content = canonical({**self._noted(), **noted})
            write_atomically(self.folder / VERSIONS, content.encode())

    def _stamp(self, partition: date) -> list[Any]:
        stat = self.path(partition).stat()
        return [stat.st_size, stat.st_mtime_ns, canonical(list(self.volatile))]

    def _version_of_file(self, partition: date) -> Version:
        if self.table is None:
            rows = self.read(partition)
            return Version(content_digest(rows.values(), self.volatile), len(rows))
        # heavy, and hardly any stream is a table
        import duckdb

        from personal_pipeline.ingest.parquet import digest_of_parquet

        try:
            digest, count = digest_of_parquet(self.path(partition), self.table, self.volatile)
        except duckdb.Error as error:
            raise self.damaged(partition, error) from error
        return Version(digest, count)

    def _noted(self) -> Mapping[str, list[Any]]:
        try:
            noted = json.loads((self.folder / VERSIONS).read_bytes())
        except (OSError, ValueError):
            return {}
        return noted if isinstance(noted, dict) else {}

    def _how_to_refill(self) -> str:
        if self.grain is Grain.DAY:
            return f"run `personal-pipeline refresh --source {self.source}`"
        return (
            "give the originals that fed it to `personal-pipeline add` once more: archive/receipts/"
            " says which files under archive/originals/ they are"
        )

    def _superseded(self, partition: date) -> Path:
        return self.archive / "lake" / self.source / self.stream / partition.isoformat()

    def archive_partition(self, partition: date) -> None:
        """Keep the file of a partition, which is about to be replaced."""
        path = self.path(partition)
        content = path.read_bytes()
        ending = self._part.removeprefix("part")
        kept = self._superseded(partition) / f"{hashlib.sha256(content).hexdigest()[:16]}{ending}"
        if not kept.exists():
            write_atomically(kept, content)
            kept.chmod(READ_ONLY)


def lake_of(home: Home, source: str, stream: ApiStream | DropStream) -> StreamLake:
    """The partitions of a stream of a source."""
    table = stream.table if isinstance(stream, DropStream) else None
    return StreamLake(
        home.lake, home.archive, source, stream.name, stream.grain, stream.volatile, table
    )
