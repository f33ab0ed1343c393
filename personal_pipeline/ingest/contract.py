"""What a source is: plain data and plain functions, callable without Dagster.

A source module declares one ``Source``. It holds API streams, which are fetched every day, and
drops, which are files the user exports by hand. Both feed *streams*: tables of verbatim records in
the lake, partitioned by day or by month.

All days and months are UTC. A day is written ``2026-11-21``; a month is written as its first day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from personal_pipeline.shown import shown_lines

if TYPE_CHECKING:
    from personal_pipeline.ingest.http import Client
    from personal_pipeline.ingest.spool import Spool
    from personal_pipeline.settings import Setting, Settings

Record: TypeAlias = dict[str, Any]
"""One record, exactly as the service or file provided it."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being read (a stream, a file), how much of it is done, and the total; a total
of 0 is unknown."""

EARLIEST = date(1990, 1, 1)
"""An earlier record is quarantined: its date is a zero or a typo, and filing it would extend every
table back to that day."""

HALF = 0.5
"""A loss of more than half is assumed to be an error until the user confirms it."""


MAX_HELD_BYTES = 20_000_000
"""Size limit for a file read whole rather than row by row: as Python objects it takes twenty times
the memory."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC days: ``start`` is included, ``end`` is not."""

    start: date
    end: date

    def __post_init__(self) -> None:
        if self.end < self.start:
            raise ValueError(f"a window cannot end ({self.end}) before it starts ({self.start})")

    @property
    def start_epoch(self) -> int:
        """Seconds since 1970-01-01 UTC of the first instant in the window."""
        return int(datetime.combine(self.start, time(), UTC).timestamp())

    @property
    def end_epoch(self) -> int:
        """Seconds since 1970-01-01 UTC of the first instant after the window."""
        return int(datetime.combine(self.end, time(), UTC).timestamp())

    def days(self) -> Iterator[date]:
        """Every day of the window, oldest first."""
        for offset in range((self.end - self.start).days):
            yield self.start + timedelta(days=offset)


class Grain(StrEnum):
    """How a table is partitioned."""

    DAY = "day"
    MONTH = "month"
    WHOLE = "whole"


class Coverage(StrEnum):
    """What it means when a record is absent from an answer."""

    WINDOW = "window"
    """The answer holds everything filed within the window: its days are replaced."""
    FULL = "full"
    """The answer holds every record there is: all partitions are replaced."""
    PART = "part"
    """The answer holds some of the records: they are merged by key, the latest fetch wins."""
    STATE = "state"
    """The answer is the current state. It becomes the partition of the day it was taken, but only
    if it differs from the previous snapshot."""
    HISTORY = "history"
    """The answer is the current state of things that change and keep no history. For each thing
    whose state differs from the last one seen, a row is added with the time of the fetch; no row is
    ever replaced or removed."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record or row that could not be read: quarantined and counted, never lost.

    ``reason`` is a sentence that names the field and what was expected, and never contains a value.
    ``raw`` is the original content, for the quarantine file only.
    """

    reason: str
    raw: object


@dataclass(frozen=True, kw_only=True)
class ApiStream:
    """A table fetched from a service every day; one lake partition per UTC day or month.

    Whatever the grain, the service is asked for days, and days are what is replaced, restored and
    settled. ``grain`` only decides how many of them share a file and a Dagster event. DAY is for
    streams of many records that the service revises day by day, so that a correction rewrites a day
    and not a month; and for STATE, where a partition is one day's fetch. All others are
    partitioned by MONTH.

    At least one of ``fetch`` and ``fetch_all`` is given. With both, ``fetch`` runs daily and
    ``fetch_all`` every ``full_pass_days``. ``fetch_all`` alone runs every time.
    """

    name: str
    description: str
    """What one row is, with units and time zone: shown in the UI."""
    grain: Grain
    """DAY or MONTH, see above."""
    key: Callable[[Record], str]
    """Returns the record's primary key."""
    days: Callable[[Record], Iterable[date]] = lambda record: ()
    """The UTC days the record is filed under: every day on which something happened to it (created,
    cancelled, ended), so that a day's tables need only that day's partition. Not used by
    snapshots."""
    required: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    """Fields without which a record is unreadable, with their JSON types."""
    fetch: Callable[[Client, Window], Iterator[Record]] | None = None
    fetch_all: Callable[[Client], Iterator[Record]] | None = None
    coverage: Coverage = Coverage.WINDOW
    """What ``fetch`` covers: WINDOW or PART. ``fetch_all`` covers FULL, unless this is STATE
    or HISTORY."""
    state: Callable[[Record], Any] | None = None
    """For HISTORY: the part of a record that is its state, as JSON. A row is added when it differs.

    ``key`` identifies the thing; the key of its row has the time of the fetch appended, after a
    space. A row is filed under the day of the fetch and under those of ``days`` that are no earlier
    than the previous fetch that saw a change, so that what happens today changes no earlier day.
    When a thing disappears from the answer, its row has an empty record.
    """
    full_pass_days: int = 7
    agrees: Callable[[Client, Iterable[Record]], bool] | None = None
    """With both: whether the lake's current records are complete, as far as the service's own
    counts tell. Called after each ``fetch``; if not, ``fetch_all`` runs at once."""
    refetch_days: int = 3
    """How many days back the service still revises; the daily run fetches them again."""
    volatile: tuple[str, ...] = ()
    """Top-level fields that differ in every answer but carry no information; left out of the
    digest."""
    max_loss: float = HALF
    """The share of rows, 0 to 1, that one answer may remove from what it was asked for. An answer
    that removes more, and more than a few rows, is set aside until confirmed."""
    code_version: str = "1"

    def __post_init__(self) -> None:
        if self.grain is Grain.WHOLE:
            raise ValueError(f"stream {self.name}: grain is day or month")
        if self.coverage is Coverage.STATE and self.grain is not Grain.DAY:
            raise ValueError(f"stream {self.name}: a snapshot is of a day, so its grain is day")


@dataclass(frozen=True, slots=True)
class DropFile:
    """A file the user dropped, as a reader sees it.

    ``captured_at`` (UTC) is when the service produced it: a date in its name, else the file's time.
    """

    path: Path
    name: str
    captured_at: datetime
    home: Path | None = None
    """The home folder, for the user's declarations there; None when there is none."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Called by the reader of a huge file as it proceeds: bytes read, and total bytes."""

    def head(self, size: int = 65_536) -> bytes:
        """The first bytes, for recognition."""
        with self.path.open("rb") as stream:
            return stream.read(size)

    def content(self, most: int = MAX_HELD_BYTES) -> bytes:
        """The whole content, for a reader that cannot stream. Raises ``UnreadableFile`` for a file
        that is too large to hold in memory."""
        content = self.head(most + 1)
        if len(content) > most:
            raise UnreadableFile(
                f"larger than {most // 1_000_000:,} MB, the most that its reader can hold in "
                "memory. Export a shorter period, or split the file. Nothing is lost: the original "
                "is in the archive."
            )
        return content


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop's claim that a file is of its kind: confidence (0 to 1) and the reason, a sentence.

    ``captured_at`` (UTC) is when the export was made, if the file itself says so; ``dialect`` is
    the name of the entry in ``Drop.dialects`` that reads it.
    """

    confidence: float
    reason: str
    captured_at: datetime | None = None
    dialect: str | None = None


@dataclass(frozen=True, slots=True)
class DropRow:
    """One row read from a dropped file, filed under ``month`` (the first day of a month)."""

    stream: str
    month: date
    key: str
    record: Record


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Yielded once by a reader whose file is truncated: its rows are added to the existing ones,
    and nothing counts as removed, even if the file should have been the full picture. ``reason``
    is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Yielded by a reader that accepts a file despite some uncertainty: what was uncertain, and
    what the user can do. ``reason`` is a sentence without a value; it becomes the receipt's
    warning."""

    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """How a stream of very many rows is stored in the lake: in Parquet, handled by DuckDB end to
    end.

    ``columns`` maps names to DuckDB types. ``key`` is the primary key, most selective column first;
    partitions are sorted by it. The stream's volatile fields are columns too.
    """

    columns: Mapping[str, str]
    key: tuple[str, ...]


Item: TypeAlias = DropRow | Unreadable | Incomplete | Doubt
"""What a reader yields."""


@dataclass(frozen=True, kw_only=True)
class DropStream:
    """A table fed by dropped files; one lake partition per month."""

    name: str
    description: str
    coverage: Coverage = Coverage.PART
    """PART: files add to each other. FULL: the most recent file is the full truth."""
    volatile: tuple[str, ...] = ()
    max_loss: float = HALF
    """For a FULL: the share of rows, 0 to 1, that one file may remove."""
    code_version: str = "1"
    table: Table | None = None
    """Set for a stream of very many rows; its rows come from ``Drop.load``."""
    columns: Callable[[Record], Iterable[str]] = lambda record: record
    """The columns a record had in its file. The receipt reports which are new and which are
    gone."""
    layout: Callable[[Record], str] = lambda record: ""
    """Files of one layout should have the same columns."""

    @property
    def grain(self) -> Grain:
        return Grain.MONTH


def _no_dialects(_: Path | None) -> Mapping[str, str]:
    return {}


def _no_problems(_: Path | None) -> Sequence[str]:
    return ()


def _reads_nothing(_: DropFile) -> Iterator[Item]:
    yield from ()


@dataclass(frozen=True, kw_only=True)
class Drop:
    """A kind of file that the user exports by hand.

    ``recognise`` looks at content, never at the name alone; it must not raise. ``read`` yields rows
    and what could not be read; it may raise ``UnreadableFile`` when nothing at all can be read.

    A drop that feeds a table of very many rows has ``load`` instead of ``read``. It puts those rows
    into its spool and yields everything else like ``read``. When it ends, the spool's connection
    must hold, for every stream with a ``table``, a table or view with the stream's name: a column
    ``month`` (the first day of one), then the declared columns.
    """

    name: str
    description: str
    how_to: str
    """How to make this export, step by step, for a reminder: where to click, what to download."""
    recognise: Callable[[DropFile], Claim | None]
    read: Callable[[DropFile], Iterator[Item]] = _reads_nothing
    load: Callable[[DropFile, Spool], Iterator[Item]] | None = None
    streams: tuple[DropStream, ...]
    kept_as: str | None = None
    """The name of such a file in the home folder that is ingested whenever it changes: one that the
    person writes."""
    explain: Callable[[DropFile], str | None] = lambda file: None
    """What can be said about an unclaimed file that is nearly of this kind: for people, in lines,
    with column names but no values."""
    monthly_on_day: int | None = None
    """The day of the month on which a new export is due, 1 to 22, so that the days of grace end in
    the same month; None when there is no schedule."""
    dialects: Callable[[Path | None], Mapping[str, str]] = _no_dialects
    """The declarations of how files of this kind are read, built in and from the home's
    ``dialects/``: texts by name. When one changes, all files of this kind are re-read."""

    problems: Callable[[Path | None], Sequence[str]] = _no_problems
    """What is wrong with the user's declarations in a home, in sentences with file and line."""

    def __post_init__(self) -> None:
        if (self.read is _reads_nothing) == (self.load is None):
            raise ValueError(f"drop {self.name}: exactly one of read and load is given")
        if self.monthly_on_day is not None and not 1 <= self.monthly_on_day <= 22:
            raise ValueError(f"drop {self.name}: monthly_on_day is a day from 1 to 22")


class UnreadableFile(Exception):
    """A dropped file of a known kind that cannot be read at all. The message is a sentence that
    says what was expected and what to do; it contains no row of the file."""

    cause = "file unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(shown_lines(message))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A service or a kind of export, with everything the house knows about it."""

    name: str
    """Short, lower case: the folder in the lake, the group in the UI, the schema of the raw
    tables."""
    title: str
    description: str
    settings: tuple[Setting, ...] = ()
    """Its settings. One without a default is required: without it the API streams are not
    connected."""
    client: Callable[[Settings], Client] | None = None
    beginning: Callable[[Client], date | None] | None = None
    """Asks the service for the first UTC day with data; None when it has none."""
    account: Callable[[Settings, Client], Mapping[str, str]] | None = None
    """What tells one account from another, by name: ``account`` (an id) and ``mode``; what the
    service does not report is left out. Noted on the first fetch; data of another account is
    refused."""
    account_in: Callable[[Record], Mapping[str, str]] = lambda record: {}
    """The part of that which a record in the lake reveals."""
    api: tuple[ApiStream, ...] = ()
    drops: tuple[Drop, ...] = ()
    without_events: str | None = None
    """Why nothing of it is in the timeline, in a sentence; None if something is."""

    @property
    def credentials(self) -> tuple[str, ...]:
        """The environment variables required to connect the API streams."""
        return tuple(each.name for each in self.settings if each.is_needed)

    @property
    def connect(self) -> str:
        """Where to get the required settings and where to put them, in sentences."""
        return " ".join(each.description for each in self.settings if each.is_needed)

    @property
    def drop_streams(self) -> tuple[DropStream, ...]:
        return tuple(stream for drop in self.drops for stream in drop.streams)

    @property
    def streams(self) -> tuple[ApiStream | DropStream, ...]:
        return (*self.api, *self.drop_streams)
