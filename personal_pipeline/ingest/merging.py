"""Merging rows of dropped files into the lake, row by row.

Files that are merged together leave the lake as if each had been merged by itself, in order, and
each gets its own counts. Neither files nor partitions have to fit into memory.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from personal_pipeline.home import publish, staged
from personal_pipeline.ingest.lake import (
    StreamLake,
    Version,
    Written,
    canonical,
    content_of,
    line_of,
)
from personal_pipeline.ingest.sorting import SortedRow


@dataclass(frozen=True, slots=True)
class Capture:
    """When the service produced a file (ISO 8601 UTC), and the file's digest."""

    as_of: str
    origin: str


@dataclass(slots=True)
class Tally:
    """What one file did to one stream. ``rows`` counts its keys; months are in order."""

    rows: int = 0
    new: int = 0
    altered: int = 0
    removed: int = 0
    months: list[date] = field(default_factory=list)
    changed: list[date] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Merged:
    """The result for a stream: counts by file, and the partitions that were looked at."""

    tallies: Mapping[int, Tally]
    written: Sequence[Written] = ()


class _Line(NamedTuple):
    """A row whose record is canonical JSON."""

    key: str
    text: str
    as_of: str | None
    origin: str | None


class _Part:
    """A partition being written: compressed as it comes, under a temporary name."""

    def __init__(self, lake: StreamLake, month: date) -> None:
        self.temporary = staged(lake.path(month), b"")
        self.rows = 0
        self._volatile = lake.volatile
        self._digest = hashlib.sha256()
        # no timestamp: equal content is equal bytes
        self._compressor = zlib.compressobj(6, zlib.DEFLATED, 31)
        self._stream = self.temporary.open("wb")
        self._lines: list[str] = []

    def add(self, line: _Line) -> None:
        self.rows += 1
        content = content_of(line.text, self._volatile)
        self._digest.update(f"{canonical(line.key)}{content}\n".encode())
        self._lines.append(line_of(*line))
        if len(self._lines) >= 1_000:
            self._flush()

    def _flush(self) -> None:
        self._stream.write(self._compressor.compress("".join(self._lines).encode()))
        self._lines.clear()

    def end(self) -> Version:
        self._flush()
        self._stream.write(self._compressor.flush())
        self._stream.close()
        return Version(self._digest.hexdigest(), self.rows)

    def drop(self) -> None:
        self._stream.close()
        self.temporary.unlink(missing_ok=True)


def merge(
    lake: StreamLake,
    rows: Iterable[SortedRow],
    files: Mapping[int, Capture],
    *,
    whole: bool = False,
    confirmed: str = "",
) -> Merged:
    """Merge the rows of files into a stream; for each key, the row captured last wins.

    ``rows`` are sorted, belong to one stream, and each comes from a file in ``files``. ``whole``
    means that there is a single file, which has every row there is: rows it lacks are removed,
    unless the lake reflects a newer one. ``confirmed`` is the capture time of the last such file,
    of which no row may be left. Raises ``DamagedPartition``; what was not written then stays as it
    was.
    """
    tallies = {number: Tally() for number in files}
    if whole and max(_newest(lake), confirmed) > max(each.as_of for each in files.values()):
        # an older picture, dropped late: it is archived, and changes nothing
        for month, some in groupby(rows, key=lambda row: row.month):
            for tally in tallies.values():
                tally.months.append(date.fromordinal(month))
                tally.rows += sum(1 for _ in groupby(some, key=lambda row: row.key))
        return Merged(tallies)
    present = set(lake.partitions())
    written: list[Written] = []
    finished: dict[Path, Path] = {}
    replaced: list[date] = []
    try:
        for month, offered in _months(rows, present if whole else ()):
            part = _Part(lake, month)
            finished[part.temporary] = lake.path(month)
            existed = month in present
            try:
                same, counts = _merge_month(lake, month, offered, files, tallies, part, whole=whole)
                version = part.end()
            except BaseException:
                part.drop()
                raise
            changed = not existed or any(counts)
            if existed and same:
                part.drop()
                del finished[part.temporary]
            elif existed and changed:
                replaced.append(month)
            written.append(Written(month, version, existed, changed, *counts))
        for month in replaced:
            if lake.has_rows(month):
                lake.archive_partition(month)
        publish(finished)
    finally:
        for temporary in finished:
            temporary.unlink(missing_ok=True)
    # saves reading them to get their versions
    lake.note({each.partition: each.version for each in written})
    return Merged(tallies, written)


def _newest(lake: StreamLake) -> str:
    return max(
        (row.as_of or "" for month in lake.partitions() for row in lake.rows(month)), default=""
    )


def _months(
    rows: Iterable[SortedRow], also: Iterable[date]
) -> Iterator[tuple[date, Iterator[SortedRow]]]:
    """The rows of each month, and the months without any, in order."""
    waiting = sorted(also, reverse=True)
    for ordinal, some in groupby(rows, key=lambda row: row.month):
        month = date.fromordinal(ordinal)
        while waiting and waiting[-1] < month:
            yield waiting.pop(), iter(())
        if waiting and waiting[-1] == month:
            waiting.pop()
        yield month, some
    while waiting:
        yield waiting.pop(), iter(())


def _merge_month(
    lake: StreamLake,
    month: date,
    offered: Iterator[SortedRow],
    files: Mapping[int, Capture],
    tallies: Mapping[int, Tally],
    part: _Part,
    *,
    whole: bool,
) -> tuple[bool, tuple[int, int, int]]:
    """Whether every line is unchanged; and how many rows are new, altered and removed."""
    same, new, altered, removed = True, 0, 0, 0
    existed = lake.path(month).exists()
    changed_by: set[int] = set()
    offering: set[int] = set()
    first: int | None = None
    for before, candidates in _joined(_present(lake, month), offered):
        if not candidates and whole:
            removed += 1
            same = False
            for number, tally in tallies.items():
                tally.removed += 1
                changed_by.add(number)
            continue
        now = None if whole else before
        compared = before
        for number, text in candidates:
            tally = tallies[number]
            tally.rows += 1
            offering.add(number)
            first = number if first is None else min(first, number)
            row = _Line(candidates.key, text, files[number].as_of, files[number].origin)
            winner = row if now is None or _rank(row) > _rank(now) else now
            if compared is None:
                tally.new += 1
                changed_by.add(number)
            elif _differ(winner, compared, lake.volatile):
                tally.altered += 1
                changed_by.add(number)
            now = compared = winner
        assert now is not None
        part.add(now)
        if before is None:
            new += 1
        elif _differ(now, before, lake.volatile):
            altered += 1
        same = same and now == before
    if not existed and first is not None:
        changed_by.add(first)
    for number in offering:
        tallies[number].months.append(month)
    for number in changed_by:
        tallies[number].changed.append(month)
    return same, (new, altered, removed)


class _Candidates(list[tuple[int, str]]):
    """The rows of a key, in file order: their file numbers and texts."""

    key: str = ""


def _joined(
    present: Iterator[_Line], offered: Iterator[SortedRow]
) -> Iterator[tuple[_Line | None, _Candidates]]:
    """Rows of the lake and of files with the same key, in key order."""
    before = next(present, None)
    for key, rows in groupby(offered, key=lambda row: row.key):
        candidates = _Candidates()
        candidates.key = key
        for row in rows:
            if candidates and candidates[-1][0] == row.file:
                # twice in a file: content decides, and the greatest text comes last
                candidates.pop()
            candidates.append((row.file, row.text))
        while before is not None and before.key < key:
            yield before, _Candidates()
            before = next(present, None)
        if before is not None and before.key == key:
            yield before, candidates
            before = next(present, None)
        else:
            yield None, candidates
    while before is not None:
        yield before, _Candidates()
        before = next(present, None)


def _present(lake: StreamLake, month: date) -> Iterator[_Line]:
    last = None
    for row in lake.rows(month):
        if last is not None and row.key <= last:
            raise lake.damaged(month, ValueError("its keys are not in order"))
        last = row.key
        yield _Line(row.key, canonical(row.record), row.as_of, row.origin)


def _rank(line: _Line) -> tuple[str, str]:
    """Of two rows with a key the greater one wins: the one captured later, and at equal times by
    content, so that the order in which files are dropped does not matter."""
    return line.as_of or "", line.text


def _differ(one: _Line, other: _Line, volatile: tuple[str, ...]) -> bool:
    if one.text == other.text:
        return False
    return not volatile or content_of(one.text, volatile) != content_of(other.text, volatile)
