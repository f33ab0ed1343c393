"""The lake: verbatim records in files, one file per partition, with a digest of its content.

``lake/<source>/<stream>/month=2026-11-01/part.jsonl.gz``, or ``day=2026-11-21``. A line is an
envelope, ``{"key": ..., "record": {...}}``; a row from a dropped file also has ``as_of`` (when the
service produced it) and ``origin`` (the digest of the file in the archive). Lines are sorted by key
and written with sorted names, so equal content is equal bytes.

Fetched records are filed, replaced and archived by day, whatever the stream's partitions. In a file
that covers a month each line therefore has its ``day``, and lines are sorted by day and key; a day
without rows does not appear in the file.

A stream of very many rows is stored in ``part.parquet`` instead, see ``tables``; this module has
what both kinds of partition share.

The digest leaves out ``as_of``, ``origin`` and the stream's volatile fields: it identifies the
*content*, and is the data version of the partition everywhere in the house.

The hash of the file's bytes is noted too, so that bit rot is noticed. If both the modification time
and the bytes differ from what was noted, the file counts as intact if it can be read: it was
written by us before a kill, or put there by the user, and gzip has its own checksum. Parquet has
none, so there ``.written`` beside the file holds the hash of the bytes about to be written, and any
others are damage.
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
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from personal_pipeline.home import (
    READ_ONLY,
    Home,
    publish,
    read_object,
    staged,
    sync_folder,
    write_atomically,
)
from personal_pipeline.ingest.contract import ApiStream, DropStream, Grain, Record, Table

PART = "part.jsonl.gz"
TABLE_PART = "part.parquet"
VERSIONS = ".versions.json"
WRITTEN = ".written"
REPLACED = ".replaced.json"
"""In the archive, beside the folder of a unit's earlier content: when it was replaced, and which
file holds the content."""


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
    """The content digest and row count of a partition."""

    digest: str
    rows: int


@dataclass(frozen=True, slots=True)
class Written:
    """The effect of writing a partition. ``changed`` compares content, not bytes."""

    partition: date
    version: Version
    existed: bool
    changed: bool
    new: int
    altered: int
    removed: int


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def canonical(value: object) -> str:
    """JSON with sorted names and no spaces. Raises ``ValueError`` on NaN and infinities."""
    return _CANONICAL.encode(value)


def storable(record: Record) -> Record:
    """The record as the lake can store it; raises ``ValueError`` when it cannot.

    An unpaired surrogate (a title cut in the middle of an emoji) becomes U+FFFD: JSON can represent
    it, but DuckDB then rejects the whole file. NaN and unbounded nesting are rejected.
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
    """The text with unpaired surrogates replaced with U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _content(row: Row, volatile: tuple[str, ...]) -> str:
    if not volatile:
        return canonical(row.record)
    return canonical({name: value for name, value in row.record.items() if name not in volatile})


def content_of(text: str, volatile: tuple[str, ...]) -> str:
    """The significant part of a record given as canonical JSON."""
    if not volatile:
        return text
    record = json.loads(text)
    return canonical({name: value for name, value in record.items() if name not in volatile})


def line_of(key: str, text: str, as_of: str | None, origin: str | None) -> str:
    """The line, with its end, for a row whose record is canonical JSON."""
    head = {"as_of": as_of, "key": key, "origin": origin}
    told = canonical({name: value for name, value in head.items() if value is not None})
    # the names of an envelope are sorted, and this one comes last
    return f'{told[:-1]},"record":{text}}}\n'


def content_digest(rows: Iterable[Row], volatile: tuple[str, ...] = ()) -> str:
    """SHA-256 over key and content of every row, in key order."""
    return _digest([("", {row.key: row for row in rows})], volatile)


def _digest(days: Iterable[tuple[str, Mapping[str, Row]]], volatile: tuple[str, ...]) -> str:
    """SHA-256 of rows by key, by day; the day is empty where lines have none."""
    digest = hashlib.sha256()
    for day, rows in sorted(days, key=lambda each: each[0]):
        for _, row in sorted(rows.items()):
            digest.update(_digested(day, row, volatile))
    return digest.hexdigest()


def _digested(day: str, row: Row, volatile: tuple[str, ...]) -> bytes:
    return f"{day}{canonical(row.key)}{_content(row, volatile)}\n".encode()


def _line(row: Row, day: str = "") -> str:
    envelope: dict[str, Any] = {"key": row.key, "record": row.record}
    if day:
        envelope["day"] = day
    if row.as_of is not None:
        envelope["as_of"] = row.as_of
    if row.origin is not None:
        envelope["origin"] = row.origin
    return canonical(envelope)


def _lines(rows: Mapping[str, Row], day: str = "") -> str:
    # compared as text: in Python 1, 1.0 and True are equal, in a file they are not
    return "".join(f"{_line(row, day)}\n" for _, row in sorted(rows.items()))


def _packed(lines: str) -> bytes:
    # no timestamp in the header: equal content is equal bytes
    return gzip.compress(lines.encode(), 6, mtime=0)


def _filed_in(path: Path, *, by_day: bool) -> Iterator[tuple[str, Row]]:
    """The rows of a file in file order, each with its day if the line has one. Raises what reading
    a damaged file raises, see ``_DAMAGE``."""
    with gzip.open(path, "rt", encoding="utf-8") as stream:
        line = None
        for line in stream:
            envelope = json.loads(line)
            yield (
                envelope["day"] if by_day else "",
                Row(
                    envelope["key"],
                    envelope["record"],
                    envelope.get("as_of"),
                    envelope.get("origin"),
                ),
            )
    if line is None and not path.stat().st_size:
        raise EOFError("no rows are written as a file that has a length")


_DAMAGE = (OSError, EOFError, ValueError, KeyError, TypeError, zlib.error)


@dataclass(frozen=True, slots=True)
class StreamLake:
    """The partitions of one stream. While writing, the caller holds the source's lock.

    With ``by_day`` a partition is a month of days, each of which is read, replaced, archived and
    restored by itself: the day is the unit. Otherwise the unit is the partition.
    """

    lake: Path
    archive: Path
    source: str
    stream: str
    grain: Grain
    volatile: tuple[str, ...] = ()
    table: Table | None = None
    by_day: bool = False

    @property
    def folder(self) -> Path:
        return self.lake / self.source / self.stream

    def path(self, partition: date) -> Path:
        """The file of a partition, whether or not it exists."""
        return self.folder / f"{self.grain}={partition.isoformat()}" / self._part

    @property
    def _part(self) -> str:
        return TABLE_PART if self.table else PART

    def partition_of(self, unit: date) -> date:
        """The partition whose file holds a unit."""
        return unit.replace(day=1) if self.by_day else unit

    def units_of(self, partition: date) -> list[date]:
        """The units a partition may hold: every day of a month, or itself."""
        if not self.by_day:
            return [partition]
        days = (partition + timedelta(days=n) for n in range(31))
        return [day for day in days if day.month == partition.month]

    def partitions(self) -> list[date]:
        """The partitions that exist, including empty ones, oldest first."""
        return [date.fromisoformat(name) for name, _ in self._files()]

    def _files(self) -> list[tuple[str, os.stat_result]]:
        """Name and stat of each existing partition, oldest first: a home has tens of thousands, and
        each pass scans them all."""
        prefix, part, folder = f"{self.grain}=", self._part, str(self.folder)
        try:
            names = sorted(e.name for e in os.scandir(folder) if e.name.startswith(prefix))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        for name in names:
            try:
                # constructing a Path for each takes three times as long
                stat = os.stat(f"{folder}/{name}/{part}")  # noqa: PTH116
            except (FileNotFoundError, NotADirectoryError):
                continue
            found.append((name[len(prefix) :], stat))
        return found

    def read(self, unit: date) -> dict[str, Row]:
        """The rows of a unit by key; empty if there is no file."""
        return self.read_units([unit])[unit]

    def read_units(self, units: Iterable[date]) -> dict[date, dict[str, Row]]:
        """The rows of each of these units by key; every file is read once."""
        found: dict[date, dict[str, Row]] = {unit: {} for unit in units}
        for partition in dict.fromkeys(map(self.partition_of, found)):
            for unit, row in self.filed(partition):
                if unit in found:
                    found[unit][row.key] = row
        return found

    def filed(self, partition: date) -> Iterator[tuple[date, Row]]:
        """The rows of a partition in file order, each with its unit, one at a time: a partition may
        not fit into memory. Raises ``DamagedPartition``."""
        path = self.path(partition)
        if self.table:
            raise TypeError(f"{self.source}.{self.stream} is a table: query {path} with DuckDB")
        try:
            for day, row in _filed_in(path, by_day=self.by_day):
                yield (date.fromisoformat(day) if day else partition), row
        except FileNotFoundError:
            return
        except _DAMAGE as error:
            raise self.damaged(partition, error) from error

    def rows(self, partition: date) -> Iterator[Row]:
        """The rows of a partition, one at a time. Raises ``DamagedPartition``."""
        return (row for _, row in self.filed(partition))

    def has_rows(self, partition: date) -> bool:
        """Whether a partition has any row."""
        return next(self.rows(partition), None) is not None

    def damaged(self, partition: date, error: Exception) -> DamagedPartition:
        """The exception to raise for a file that cannot be read."""
        return DamagedPartition(
            f"{self.source}.{self.stream}: {self.path(partition)} is damaged "
            f"({type(error).__name__}). Run `personal-pipeline doctor --repair`: it restores what "
            "it can, and lists what it cannot."
        )

    def write(self, unit: date, rows: Iterable[Row]) -> Written:
        """Replace a unit, and keep its previous content in the archive.

        Equal bytes are not written again, so the file of an unchanged partition is left untouched.
        """
        (written,) = self.write_units({unit: rows})
        return written

    def write_units(self, units: Mapping[date, Iterable[Row]]) -> list[Written]:
        """Replace units, writing each file once, in order of first appearance. Returns one result
        per file."""
        files: dict[date, dict[date, Iterable[Row]]] = {}
        for unit, rows in units.items():
            files.setdefault(self.partition_of(unit), {})[unit] = rows
        return [self._write(partition, each) for partition, each in files.items()]

    def _write(self, partition: date, units: Mapping[date, Iterable[Row]]) -> Written:
        path = self.path(partition)
        existed = path.exists()
        old: dict[date, dict[str, Row]] = {}
        for unit, row in self.filed(partition):
            old.setdefault(unit, {})[row.key] = row
        new = old | {unit: {row.key: row for row in rows} for unit, rows in units.items()}
        version = Version(self._digest_of(new), sum(map(len, new.values())))
        changed = not existed or self._digest_of(old) != version.digest
        lines = self._lines_of(new)
        if not existed or lines != self._lines_of(old):
            for unit in units:
                there = old.get(unit, {})
                if there and self._digest_of({unit: there}) != self._digest_of({unit: new[unit]}):
                    self._archive_unit(unit, there)
            write_atomically(path, _packed(lines))
        both = [(old.get(unit, {}), new[unit]) for unit in units]
        return Written(
            partition=partition,
            version=version,
            existed=existed,
            changed=changed,
            new=sum(len(after.keys() - before.keys()) for before, after in both),
            altered=sum(
                _content(row, self.volatile) != _content(before[key], self.volatile)
                for before, after in both
                for key, row in after.items()
                if key in before
            ),
            removed=sum(len(before.keys() - after.keys()) for before, after in both),
        )

    def changed_at(self) -> tuple[int, ...]:
        """Changes whenever a partition of the stream is written, or is found to have changed."""
        times = []
        for path in (self.folder, self.folder / VERSIONS):
            with suppress(FileNotFoundError):
                times.append(path.stat().st_mtime_ns)
        return tuple(times)

    def _told(self, unit: date) -> str:
        """The day as it appears in the lines of a file."""
        return unit.isoformat() if self.by_day else ""

    def _digest_of(self, units: Mapping[date, Mapping[str, Row]]) -> str:
        return _digest([(self._told(unit), rows) for unit, rows in units.items()], self.volatile)

    def _lines_of(self, units: Mapping[date, Mapping[str, Row]]) -> str:
        return "".join(_lines(rows, self._told(unit)) for unit, rows in sorted(units.items()))

    def versions(self) -> dict[date, Version]:
        """Digest and row count of every existing partition."""
        return {date.fromisoformat(each): found for each, found in self.versions_by_name().items()}

    def versions_by_name(self) -> dict[str, Version]:
        """The same by the ISO name of each partition; there are tens of thousands in a home.

        Digests are cached beside the files with each file's size and modification time; a file that
        differs is read again, so the result always matches the files.
        """
        noted = self._noted()
        current: dict[str, list[Any]] = {}
        volatile = canonical(list(self.volatile))
        is_news = False
        for name, stat in self._files():
            entry = noted.get(name)
            stamp = [stat.st_size, stat.st_mtime_ns, volatile]
            if entry is None or entry[:3] != stamp:
                entry = [*stamp, *self._looked_at(date.fromisoformat(name), entry or ())]
                is_news = True
            current[name] = entry
        if is_news or len(current) != len(noted):
            # only a cache, and showing the board must not require write access
            with suppress(OSError):
                write_atomically(self.folder / VERSIONS, canonical(current).encode())
        return {name: Version(entry[3], entry[4]) for name, entry in current.items()}

    def sound_versions(self) -> dict[date, Version]:
        """Like ``versions``, without damaged partitions."""
        try:
            return self.versions()
        except DamagedPartition:
            sound = {}
            for partition in self.partitions():
                with suppress(DamagedPartition):
                    sound[partition] = self._version_of_file(partition)
            return sound

    def note(self, versions: Mapping[date, Version]) -> None:
        """Cache the versions of partitions just written, to save reading them."""
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
        """Read these files in full, even if their modification time is unchanged, and compare them
        with what was noted when they were written. Returns what is damaged."""
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
                        raise self.damaged(
                            partition, ValueError("its content is not what was written")
                        )
                    # noted before byte hashes were introduced
                    learned[name] = [*entry, self._hash(partition)]
                else:
                    learned[name] = [*stamp, *self._looked_at(partition, entry)]
            except FileNotFoundError:
                continue
            except DamagedPartition as found:
                if self._stamp(partition) == stamp:  # otherwise it was replaced while being read
                    damaged[partition] = found
        if learned:
            content = canonical({**self._noted(), **learned})
            write_atomically(self.folder / VERSIONS, content.encode())
        return damaged

    def noted(self, partition: date) -> Version | None:
        """What the partition held when it was last intact, even if its file is damaged now."""
        entry = self._noted().get(partition.isoformat())
        return Version(entry[3], entry[4]) if entry else None

    def expect(self, partition: date, content: bytes) -> None:
        """Record which bytes are about to be written: a Parquet file has no checksum of its own."""
        place = self.path(partition).with_name(WRITTEN)
        write_atomically(place, hashlib.sha256(content).hexdigest().encode())

    def _looked_at(self, partition: date, entry: Sequence[Any]) -> list[Any]:
        """Digest, rows and hash of a file that differs from its note ``entry``, or has none."""
        found = self._hash(partition)
        if entry[5:] == [found] and entry[2] == self._stamp(partition)[2]:
            return [*entry[3:]]  # only touched, or copied with the home
        if self.table and entry[5:] and entry[5:] != [found]:
            try:
                expected = self.path(partition).with_name(WRITTEN).read_text()
            except OSError:
                expected = ""
            if expected != found:
                raise self.damaged(partition, ValueError("its content is not what was written"))
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
            for unit, row in self.filed(partition):
                count += 1
                content.update(_digested(self._told(unit), row, self.volatile))
            return Version(content.hexdigest(), count)
        # slow to import, and hardly any stream is a table
        import duckdb

        from personal_pipeline.ingest.parquet import digest_of_parquet

        try:
            digest, count = digest_of_parquet(self.path(partition), self.table, self.volatile)
        except duckdb.Error as error:
            raise self.damaged(partition, error) from error
        return Version(digest, count)

    def _noted(self) -> Mapping[str, list[Any]]:
        return read_object(self.folder / VERSIONS)

    def superseded_folder(self, unit: date) -> Path:
        """The folder of a unit's earlier contents, each named by the hash of its bytes."""
        return self.archive / "lake" / self.source / self.stream / unit.isoformat()

    def unit_bytes(self, unit: date) -> bytes:
        """The content of a unit as a separate file, in the archive's format. Raises ``OSError`` if
        there is none, and ``DamagedPartition``."""
        if self.by_day:
            return _packed(_lines(self.read(unit)))
        return self.path(unit).read_bytes()

    def archive_partition(self, partition: date) -> None:
        """Archive the content of a partition that is about to be replaced."""
        if self.by_day:
            units: dict[date, dict[str, Row]] = {}
            for unit, row in self.filed(partition):
                units.setdefault(unit, {})[row.key] = row
            for unit, rows in units.items():
                self._archive_unit(unit, rows)
            return
        path = self.path(partition)
        kept = self._kept(partition, digest_of(path))
        if not kept.exists():
            temporary = staged(kept, b"")
            # not in memory: it may be large
            shutil.copyfile(path, temporary)
            publish({temporary: kept}, mode=READ_ONLY)
        self._note_replaced(partition, kept)

    def _archive_unit(self, unit: date, rows: Mapping[str, Row]) -> None:
        if not self.by_day:
            self.archive_partition(unit)
            return
        content = _packed(_lines(rows))
        kept = self._kept(unit, hashlib.sha256(content).hexdigest())
        if not kept.exists():
            publish({staged(kept, content): kept}, mode=READ_ONLY)
        self._note_replaced(unit, kept)

    def bring_back(self, units: Mapping[date, Path]) -> None:
        """Restore units from archived files; their current content is archived first."""
        if self.by_day:
            for unit, rows in self.read_units(units).items():
                self._archive_unit(unit, rows)
            self.write_units(
                {
                    unit: [row for _, row in _filed_in(kept, by_day=False)]
                    for unit, kept in units.items()
                }
            )
            return
        for unit, kept in units.items():
            content = kept.read_bytes()
            if self.path(unit).exists():
                self.archive_partition(unit)
            write_atomically(self.path(unit), content)

    def _kept(self, unit: date, digest: str) -> Path:
        ending = self._part.removeprefix("part")
        return self.superseded_folder(unit) / f"{digest[:16]}{ending}"

    def _note_replaced(self, unit: date, kept: Path) -> None:
        # the file's time is that of its first replacement, and copying loses it
        noted = [*self._replaced(unit), [datetime.now(UTC).isoformat(), kept.name]]
        write_atomically(self._noted_replaced(unit), canonical(noted).encode())

    def superseded(self) -> list[date]:
        """Units with earlier content in the archive, oldest first."""
        folder = self.archive / "lake" / self.source / self.stream
        if not folder.is_dir():
            return []
        return sorted(date.fromisoformat(each.name) for each in folder.iterdir() if each.is_dir())

    def replaced(self, unit: date) -> list[tuple[datetime, Path]]:
        """When the unit was replaced (UTC), and the file with its content until then. For
        replacements that predate these notes, the file's modification time is used."""
        folder = self.superseded_folder(unit)
        noted = [(datetime.fromisoformat(at), folder / name) for at, name in self._replaced(unit)]
        known = {kept for _, kept in noted}
        ending = self._part.removeprefix("part")
        older = [each for each in folder.glob(f"*{ending}") if each not in known]
        times = [(datetime.fromtimestamp(each.stat().st_mtime, UTC), each) for each in older]
        return sorted((at, kept) for at, kept in [*noted, *times] if kept.exists())

    def replaced_and_gone(self, unit: date) -> list[Path]:
        """Noted files of a unit's earlier content that are missing."""
        folder = self.superseded_folder(unit)
        names = dict.fromkeys(name for _, name in self._replaced(unit))
        return [folder / name for name in names if not (folder / name).is_file()]

    def forget_replaced(self, unit: date, name: str) -> None:
        """Drop a file of earlier content from the notes: it is lost."""
        left = [each for each in self._replaced(unit) if each[1] != name]
        write_atomically(self._noted_replaced(unit), canonical(left).encode())

    def _noted_replaced(self, unit: date) -> Path:
        return self.superseded_folder(unit).with_name(f"{unit}{REPLACED}")

    def _replaced(self, unit: date) -> list[list[str]]:
        try:
            noted = json.loads(self._noted_replaced(unit).read_bytes())
        except (OSError, ValueError):
            return []
        are_pairs = isinstance(noted, list) and all(
            isinstance(each, list) and len(each) == 2 and all(isinstance(t, str) for t in each)
            for each in noted
        )
        return noted if are_pairs else []

    def remove(self, partitions: Iterable[date]) -> None:
        """Remove partitions that should not exist; their content is kept in the archive."""
        versions = self.versions()
        for partition in partitions:
            path = self.path(partition)
            if versions[partition].rows:
                self.archive_partition(partition)
            path.unlink()
            path.with_name(WRITTEN).unlink(missing_ok=True)
            with suppress(OSError):  # a foreign file is beside it
                path.parent.rmdir()
        sync_folder(self.folder)


def lake_of(home: Home, source: str, stream: ApiStream | DropStream) -> StreamLake:
    """The partitions of a stream of a source."""
    return StreamLake(
        home.lake,
        home.archive,
        source,
        stream.name,
        stream.grain,
        stream.volatile,
        table=stream.table if isinstance(stream, DropStream) else None,
        by_day=isinstance(stream, ApiStream) and stream.grain is Grain.MONTH,
    )
