"""The lake: verbatim records in files, one file a partition, each with a digest of its content.

``lake/<source>/<stream>/day=2026-11-21/part.jsonl.gz``. A line is an envelope,
``{"key": ..., "record": {...}}``; a row that came from a dropped file also has ``as_of`` (when the
service gave it) and ``origin`` (the digest of the file in the archive). Lines are sorted by key and
written with sorted names, so equal content is equal bytes.

A stream of very many rows lies in ``part.parquet`` instead, see ``tables``; here is what both kinds
of partition have in common.

The digest leaves out ``as_of``, ``origin`` and the stream's volatile fields: it says whether the
*content* is the same, and is the data version of the partition everywhere in the house.

Beside it the hash of the bytes is noted, so that a file that rots is noticed. A file with another
time and other bytes than were noted is somebody's whole file, written by us before a kill or put
there by a person, if it can be read: gzip has a checksum of its own. Parquet has none, so there
``.written`` beside the file says which bytes we were about to write, and any other are damage.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import READ_ONLY, Home, publish, staged, sync_folder, write_atomically
from personal_pipeline.ingest.contract import ApiStream, DropStream, Grain, Record, Table

PART = "part.jsonl.gz"
TABLE_PART = "part.parquet"
VERSIONS = ".versions.json"
WRITTEN = ".written"
REPLACED = ".replaced.json"
"""In the archive beside the folder of what a partition held: when it was replaced, and which file
that is."""


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


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: object) -> str:
    """JSON with sorted names and no spaces. Raises ``ValueError`` on NaN and infinities."""
    return _CANONICAL.encode(value)


def storable(record: Record) -> Record:
    """The record as the lake can hold it; raises ``ValueError`` when it cannot.

    Half of a surrogate pair (a title cut in the middle of an emoji) becomes U+FFFD: JSON can write
    it, and DuckDB then refuses the whole file. NaN and nesting without end are refused.
    """
    text = stored_text(record)
    if "\\ud" not in text:
        return record
    mended: Record = json.loads(text)
    return mended


def stored_text(record: Record) -> str:
    """``storable``, as canonical JSON."""
    try:
        text = canonical(record)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if "\\ud" in text:
        return canonical(json.loads(whole_text(json.dumps(record, ensure_ascii=False))))
    return text


def whole_text(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(row: Row, volatile: tuple[str, ...]) -> str:
    if not volatile:
        return canonical(row.record)
    return canonical({name: value for name, value in row.record.items() if name not in volatile})


def content_of(text: str, volatile: tuple[str, ...]) -> str:
    """What counts of a record that is canonical JSON."""
    if not volatile:
        return text
    record = json.loads(text)
    return canonical({name: value for name, value in record.items() if name not in volatile})


def line_of(key: str, text: str, as_of: str | None, origin: str | None) -> str:
    """The line of a row whose record is canonical JSON, with its end."""
    head = {"as_of": as_of, "key": key, "origin": origin}
    told = canonical({name: value for name, value in head.items() if value is not None})
    # the names of an envelope are sorted, and this one comes last
    return f'{told[:-1]},"record":{text}}}\n'


def content_digest(rows: Iterable[Row], volatile: tuple[str, ...] = ()) -> str:
    """SHA-256 over key and content of every row, in the order of the keys."""
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.key):
        digest.update(_digested(row, volatile))
    return digest.hexdigest()


def _digested(row: Row, volatile: tuple[str, ...]) -> bytes:
    return f"{canonical(row.key)}{_content(row, volatile)}\n".encode()


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
        return {row.key: row for row in self.rows(partition)}

    def rows(self, partition: date) -> Iterator[Row]:
        """The rows of a partition in the order of their keys, one at a time: a partition may be
        larger than the memory. Raises ``DamagedPartition``."""
        path = self.path(partition)
        if self.table:
            raise TypeError(f"{self.source}.{self.stream} is a table: query {path} with DuckDB")
        try:
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                line = None
                for line in stream:
                    envelope = json.loads(line)
                    yield Row(
                        envelope["key"],
                        envelope["record"],
                        envelope.get("as_of"),
                        envelope.get("origin"),
                    )
            if line is None and not path.stat().st_size:
                raise EOFError("no rows are written as a file that has a length")
        except FileNotFoundError:
            return
        except (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error) as error:
            raise self.damaged(partition, error) from error

    def has_rows(self, partition: date) -> bool:
        """Whether there is a row in a partition."""
        return next(self.rows(partition), None) is not None

    def damaged(self, partition: date, error: Exception) -> DamagedPartition:
        """What to raise for a file that cannot be read."""
        return DamagedPartition(
            f"{self.source}.{self.stream}: {self.path(partition)} is damaged "
            f"({type(error).__name__}). Run `personal-pipeline doctor --repair`: it puts back what "
            "can be had, and says what cannot."
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

    def changed_at(self) -> tuple[int, ...]:
        """Changes whenever a partition of the stream was written, or was found to be another."""
        times = []
        for path in (self.folder, self.folder / VERSIONS):
            with suppress(FileNotFoundError):
                times.append(path.stat().st_mtime_ns)
        return tuple(times)

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
                entry = [*stamp, *self._looked_at(partition, entry or ())]
            current[name] = entry
        if current != noted:
            # it only saves reading, and a look at the board must not need to write
            with suppress(OSError):
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
            partition.isoformat(): [
                *(*self._stamp(partition), version.digest, version.rows, self._hash(partition))
            ]
            for partition, version in versions.items()
        }
        if noted:
            content = canonical({**self._noted(), **noted})
            write_atomically(self.folder / VERSIONS, content.encode())

    def verify(self, partitions: Iterable[date]) -> dict[date, DamagedPartition]:
        """Read these files whole, also those whose time did not change, and compare them with what
        was noted when they were written. Returns what is damaged."""
        noted = dict(self._noted())
        damaged: dict[date, DamagedPartition] = {}
        learned: dict[str, list[Any]] = {}
        for partition in partitions:
            name = partition.isoformat()
            try:
                stamp = self._stamp(partition)
                entry = noted.get(name, ())
                if entry[:3] == stamp and entry[5:] == [self._hash(partition)]:
                    continue
                if entry[:3] == stamp:
                    version = self._version_of_file(partition)
                    if entry[5:] or [version.digest, version.rows] != entry[3:5]:
                        raise self.damaged(partition, ValueError("other bytes than were written"))
                    # noted before there were hashes of the bytes
                    learned[name] = [*entry, self._hash(partition)]
                else:
                    learned[name] = [*stamp, *self._looked_at(partition, entry)]
            except FileNotFoundError:
                continue
            except DamagedPartition as found:
                if self._stamp(partition) == stamp:  # else it was replaced under our eyes
                    damaged[partition] = found
        if learned:
            content = canonical({**self._noted(), **learned})
            write_atomically(self.folder / VERSIONS, content.encode())
        return damaged

    def noted(self, partition: date) -> Version | None:
        """What the partition held when it was last whole, though its file may be damaged now."""
        entry = self._noted().get(partition.isoformat())
        return Version(entry[3], entry[4]) if entry else None

    def expect(self, partition: date, content: bytes) -> None:
        """Say which bytes are about to be written: those of a table have no checksum in them."""
        place = self.path(partition).with_name(WRITTEN)
        write_atomically(place, hashlib.sha256(content).hexdigest().encode())

    def _looked_at(self, partition: date, entry: Sequence[Any]) -> list[Any]:
        """Digest, rows and hash of a file that is not as it was noted in ``entry``, if at all."""
        found = self._hash(partition)
        if entry[5:] == [found] and entry[2] == self._stamp(partition)[2]:
            return [*entry[3:]]  # only touched, or copied with the home
        if self.table and entry[5:] and entry[5:] != [found]:
            try:
                expected = self.path(partition).with_name(WRITTEN).read_text()
            except OSError:
                expected = ""
            if expected != found:
                raise self.damaged(partition, ValueError("other bytes than were written"))
        version = self._version_of_file(partition)
        return [version.digest, version.rows, found]

    def _hash(self, partition: date) -> str:
        try:
            return digest_of(self.path(partition))
        except FileNotFoundError:
            raise
        except OSError as error:
            raise self.damaged(partition, error) from error

    def _stamp(self, partition: date) -> list[Any]:
        stat = self.path(partition).stat()
        return [stat.st_size, stat.st_mtime_ns, canonical(list(self.volatile))]

    def _version_of_file(self, partition: date) -> Version:
        if self.table is None:
            count = 0
            content = hashlib.sha256()
            for row in self.rows(partition):
                count += 1
                content.update(_digested(row, self.volatile))
            return Version(content.hexdigest(), count)
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

    def superseded_folder(self, partition: date) -> Path:
        """The folder of what a partition held before, each named by the hash of its bytes."""
        return self.archive / "lake" / self.source / self.stream / partition.isoformat()

    def archive_partition(self, partition: date) -> None:
        """Keep the file of a partition, which is about to be replaced."""
        path = self.path(partition)
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        ending = self._part.removeprefix("part")
        kept = self.superseded_folder(partition) / f"{digest[:16]}{ending}"
        if not kept.exists():
            temporary = staged(kept, b"")
            # not in memory: it may be large
            shutil.copyfile(path, temporary)
            publish({temporary: kept}, mode=READ_ONLY)
        # the time of the file is that of its first replacing, and copying loses it
        noted = [*self._replaced(partition), [datetime.now(UTC).isoformat(), kept.name]]
        write_atomically(self._noted_replaced(partition), canonical(noted).encode())

    def superseded(self) -> list[date]:
        """Partitions of which the archive has what they held before, oldest first."""
        folder = self.archive / "lake" / self.source / self.stream
        if not folder.is_dir():
            return []
        return sorted(date.fromisoformat(each.name) for each in folder.iterdir() if each.is_dir())

    def replaced(self, partition: date) -> list[tuple[datetime, Path]]:
        """When the partition was replaced (UTC), and the file with what it held until then. Of one
        that was replaced before this was noted, the time of the file tells."""
        folder = self.superseded_folder(partition)
        noted = [
            (datetime.fromisoformat(at), folder / name) for at, name in self._replaced(partition)
        ]
        known = {kept for _, kept in noted}
        ending = self._part.removeprefix("part")
        older = [each for each in folder.glob(f"*{ending}") if each not in known]
        times = [(datetime.fromtimestamp(each.stat().st_mtime, UTC), each) for each in older]
        return sorted((at, kept) for at, kept in [*noted, *times] if kept.exists())

    def replaced_and_gone(self, partition: date) -> list[Path]:
        """Files with what the partition held earlier that were noted and are not there."""
        folder = self.superseded_folder(partition)
        names = dict.fromkeys(name for _, name in self._replaced(partition))
        return [folder / name for name in names if not (folder / name).is_file()]

    def forget_replaced(self, partition: date, name: str) -> None:
        """Let go of a file with what the partition held earlier: it is lost."""
        left = [each for each in self._replaced(partition) if each[1] != name]
        write_atomically(self._noted_replaced(partition), canonical(left).encode())

    def _noted_replaced(self, partition: date) -> Path:
        return self.superseded_folder(partition).with_name(f"{partition}{REPLACED}")

    def _replaced(self, partition: date) -> list[list[str]]:
        try:
            noted = json.loads(self._noted_replaced(partition).read_bytes())
        except (OSError, ValueError):
            return []
        are_pairs = isinstance(noted, list) and all(
            isinstance(each, list) and len(each) == 2 and all(isinstance(t, str) for t in each)
            for each in noted
        )
        return noted if are_pairs else []

    def remove(self, partitions: Iterable[date]) -> None:
        """Take partitions away that should not be; what they held is kept in the archive."""
        versions = self.versions()
        for partition in partitions:
            path = self.path(partition)
            if versions[partition].rows:
                self.archive_partition(partition)
            path.unlink()
            path.with_name(WRITTEN).unlink(missing_ok=True)
            with suppress(OSError):  # somebody else's file lies beside it
                path.parent.rmdir()
        sync_folder(self.folder)


def lake_of(home: Home, source: str, stream: ApiStream | DropStream) -> StreamLake:
    """The partitions of a stream of a source."""
    table = stream.table if isinstance(stream, DropStream) else None
    return StreamLake(
        home.lake, home.archive, source, stream.name, stream.grain, stream.volatile, table
    )
