"""External sort for rows of dropped files on their way into the lake: any number of them, in little
memory.

What does not fit is written to sorted scratch files, which are merged once all rows are in.
"""

from __future__ import annotations

import heapq
import marshal
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TypeAlias

HELD_BYTES = 48_000_000
"""Roughly how many bytes of rows are held in memory; the rest goes to disk."""

_OVERHEAD_BYTES = 250
"""Per entry in Python, in addition to its texts."""

_MAX_RUNS = 64
_ENTRIES_AT_ONCE = 200

Entry: TypeAlias = tuple[str, int, str, int, str]


class SortedRow(NamedTuple):
    """A row of a file: its stream, its month (the ordinal of its first day), its key, the number of
    its file and its record as canonical JSON. Rows sort by these, in this order."""

    stream: str
    month: int
    key: str
    file: int
    text: str


class Sorter:
    """Takes rows in any order, and yields them sorted. ``folder`` is for scratch files."""

    def __init__(self, folder: Path, held_bytes: int = HELD_BYTES) -> None:
        self._folder = folder
        self._held_bytes = held_bytes
        self._entries: list[Entry] = []
        self._size = 0
        self._runs: list[Path] = []
        self._made = 0

    def add(self, stream: str, month: int, key: str, file: int, text: str) -> None:
        self._entries.append((stream, month, key, file, text))
        # JSON text has one byte per character, a key up to four
        self._size += len(text) + 4 * len(key) + _OVERHEAD_BYTES
        if self._size > self._held_bytes:
            self._write_run()

    def __iter__(self) -> Iterator[SortedRow]:
        self._entries.sort()
        runs = [*map(_read, self._runs), iter(self._entries)]
        return map(SortedRow._make, heapq.merge(*runs) if len(runs) > 1 else runs[0])

    def _write_run(self) -> None:
        self._entries.sort()
        self._runs.append(self._written(self._entries))
        self._entries, self._size = [], 0
        if len(self._runs) == _MAX_RUNS:
            # limits the files open at once, and the read-ahead for each
            merged = self._written(heapq.merge(*map(_read, self._runs)))
            for run in self._runs:
                run.unlink()
            self._runs = [merged]

    def _written(self, entries: Iterable[Entry]) -> Path:
        self._made += 1
        path = self._folder / f"rows-{self._made}"
        remaining = iter(entries)
        with path.open("wb") as stream:
            while some := list(islice(remaining, _ENTRIES_AT_ONCE)):
                marshal.dump(some, stream)
        return path


def _read(run: Path) -> Iterator[Entry]:
    with run.open("rb") as stream:
        while True:
            try:
                yield from marshal.load(stream)  # noqa: S302  # a file of this process, seconds old
            except EOFError:
                return
