"""The fields of a stream's records: which are new, and which have disappeared.

Records are kept verbatim, so a field that a service adds or drops breaks nothing here; but a figure
derived from it changes silently. So the names of all top-level fields are remembered, and a
difference is reported for some weeks. Only names are kept and reported, never a value.

Comparing partitions alone is not enough: a service that drops a field drops it from all records at
once, and the next full fetch rewrites every partition.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import DropStream, Grain, Record
from personal_pipeline.ingest.lake import StreamLake

TOLD_FOR = timedelta(days=14)
"""A change is reported for two weeks: long enough for somebody who looks once a week."""

NEARLY_ALL = 0.99
"""A field that fewer rows had may be missing from a whole day by chance."""

ENOUGH_ROWS = 20
"""With fewer rows, "nearly all of them" means nothing."""

_MAX_LISTS = 10_000

LOOKED_AT = {Grain.DAY: 30, Grain.MONTH: 12}
"""The number of most recent partitions with rows to compare."""


@dataclass(frozen=True, slots=True)
class Column:
    """What is remembered about a field. ``last_seen`` is the last day on which the newest partition
    had it; ``usual`` means that nearly all rows had it then."""

    first_seen: date
    last_seen: date
    usual: bool = False


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of a stream. ``since`` is the day they were first looked at: fields present on
    that day are not new. ``newest`` holds the fields of the newest partition with rows; None when
    there is none. ``content`` identifies what was looked at: equal content need not be read
    again."""

    since: date | None = None
    columns: Mapping[str, Column] = field(default_factory=dict)
    newest: tuple[str, ...] | None = None
    content: str = ""

    def unknown(self, today: date) -> list[str]:
        """The fields first seen in the last two weeks."""
        return sorted(
            name
            for name, column in self.columns.items()
            if self.since is not None
            and column.first_seen > self.since
            and today - column.first_seen <= TOLD_FOR
        )

    def gone(self, today: date) -> list[str]:
        """The usual fields that no row of the newest partition has and that were seen in the last
        two weeks."""
        if self.newest is None:
            return []
        return sorted(
            name
            for name, column in self.columns.items()
            if column.usual and name not in self.newest and today - column.last_seen <= TOLD_FOR
        )


Names = Sequence[Collection[str]]
"""The field names of each row of a partition."""


def looked(before: Columns, partitions: Sequence[Names], today: date) -> Columns:
    """What to remember after looking at the newest partitions with rows, oldest first."""
    if not partitions:
        return replace(before, newest=None)
    *earlier, newest = partitions
    had = Counter(name for names in earlier for row in names for name in set(row))
    rows = sum(len(names) for names in earlier)
    now = {name for row in newest for name in row}
    columns = dict(before.columns)
    for name in had.keys() | now:
        known = columns.get(name)
        # on the first look, rows that still have a field show that it has disappeared
        seen = today if name in now or known is None else known.last_seen
        usual = known.usual if known else False
        # once missing, rows without it pile up, and must not make it unusual
        missed = usual and name not in now
        if rows >= ENOUGH_ROWS and not missed:
            usual = had[name] / rows >= NEARLY_ALL
        columns[name] = Column(known.first_seen if known else today, seen, usual)
    return replace(before, since=before.since or today, columns=columns, newest=tuple(sorted(now)))


def look_at(before: Columns, lake: StreamLake, today: date) -> Columns:
    """Look at the newest partitions of a stream that have rows. Raises ``DamagedPartition``.

    Tables are not tracked: their columns are declared, and no file can add or drop one.
    """
    if lake.table is not None:
        return before
    with_rows = sorted((each, v.digest) for each, v in lake.versions().items() if v.rows)
    chosen = with_rows[-LOOKED_AT[lake.grain] :]
    content = hashlib.sha256(repr(chosen).encode()).hexdigest()[:16]
    if content == before.content:
        # the same rows: their fields were seen today, too
        seen = {
            name: replace(each, last_seen=today) if name in (before.newest or ()) else each
            for name, each in before.columns.items()
        }
        return replace(before, columns=seen)
    # most rows have the same names: share one set among them
    sets: dict[tuple[str, ...], frozenset[str]] = {}
    names = [
        [sets.setdefault(tuple(row.record), frozenset(row.record)) for row in lake.rows(partition)]
        for partition, _ in chosen
    ]
    return replace(looked(before, names, today), content=content)


@dataclass(frozen=True, slots=True)
class Difference:
    """How the columns of a file differ from those of the files before it."""

    unknown: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def difference(known: Layouts, offered: Layouts) -> Difference:
    """Columns of a file that no known row has, and columns that every known row has but the file
    does not. Layouts are compared with their own kind; a new layout has nothing to be compared
    with."""
    unknown: set[str] = set()
    gone: set[str] = set()
    had, has = known.by_layout(), offered.by_layout()
    for layout in had.keys() & has.keys():
        everywhere = {
            name
            for name, count in had[layout].names.items()
            if count >= NEARLY_ALL * had[layout].rows
        }
        unknown |= has[layout].names.keys() - had[layout].names.keys()
        gone |= everywhere - has[layout].names.keys()
    return Difference(tuple(sorted(unknown)), tuple(sorted(gone)))


def layouts_in(lake: StreamLake, stream: DropStream) -> Layouts:
    """The columns in the newest partitions of a stream; none for a table, whose columns are
    declared. Raises ``DamagedPartition``."""
    found = Layouts()
    if lake.table is None:
        with_rows = sorted(each for each, version in lake.versions().items() if version.rows)
        for partition in with_rows[-LOOKED_AT[lake.grain] :]:
            for row in lake.rows(partition):
                found.add(stream, row.record)
    return found


@dataclass(slots=True)
class _Layout:
    rows: int
    names: Counter[str]


class Layouts:
    """The columns of rows, by layout. Most rows have the same columns, so distinct column lists are
    counted."""

    def __init__(self) -> None:
        self._lists: Counter[tuple[str, tuple[str, ...]]] = Counter()

    def __bool__(self) -> bool:
        return bool(self._lists)

    def add(self, stream: DropStream, record: Record) -> None:
        columns = stream.layout(record), tuple(stream.columns(record))
        # a file whose every row has its own columns must not exhaust memory
        if columns in self._lists or len(self._lists) < _MAX_LISTS:
            self._lists[columns] += 1

    def update(self, other: Layouts) -> None:
        self._lists.update(other._lists)

    def by_layout(self) -> dict[str, _Layout]:
        found: dict[str, _Layout] = {}
        for (layout, columns), count in self._lists.items():
            of_layout = found.setdefault(layout, _Layout(0, Counter()))
            of_layout.rows += count
            for name in set(columns):
                of_layout.names[name] += count
        return found


def recall_columns(home: Home) -> dict[str, Columns]:
    """What is remembered, by ``source/stream``; empty when it cannot be read, and the fields are
    then learned afresh."""
    try:
        kept: dict[str, Any] = json.loads((home.state / "columns.json").read_bytes())
        return {
            stream: Columns(
                date.fromisoformat(each["since"]),
                {
                    name: Column(
                        date.fromisoformat(column["first_seen"]),
                        date.fromisoformat(column["last_seen"]),
                        bool(column["usual"]),
                    )
                    for name, column in each["columns"].items()
                },
                None if each.get("newest") is None else tuple(each["newest"]),
                str(each.get("content", "")),
            )
            for stream, each in kept.items()
        }
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def remember_columns(home: Home, columns: Mapping[str, Columns]) -> None:
    """Replace what is remembered for all streams."""
    known = {stream: asdict(each) for stream, each in sorted(columns.items()) if each.since}
    content = json.dumps(known, default=lambda value: value.isoformat(), indent=1, sort_keys=True)
    write_atomically(home.state / "columns.json", content.encode())
