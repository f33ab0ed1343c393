"""What a source is: plain data and plain functions, callable without Dagster.

A source module declares one ``Source``. It holds API streams, which are fetched every day, and
drops, which are files that the person exports by hand. Both end in *streams*: tables of verbatim
records in the lake, cut into partitions by day or by month.

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
"""One record exactly as the service or the file gave it."""

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is read (a stream, a file), and how much of it is done of how much; 0 is
unknown."""

EARLIEST = date(1990, 1, 1)
"""A record of an earlier day is kept aside: the day is a zero or a slip, and filed under it, it
would make every table reach back to it."""

HALF = 0.5
"""A loss of more than half was made by no person, until one says so."""


LARGEST_HELD_BYTES = 20_000_000
"""A file that is read whole, not row by row, may have so many bytes: as objects of Python they take
twenty times as much."""


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of UTC days: ``start`` is in it, ``end`` is not."""

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
    """How a table is cut into partitions."""

    DAY = "day"
    MONTH = "month"
    WHOLE = "whole"


class Coverage(StrEnum):
    """What the absence of a record from an answer means."""

    WINDOW = "window"
    """The answer holds everything that is filed within the window: its days are replaced."""
    PICTURE = "picture"
    """The answer holds every record there is: all partitions are replaced."""
    PART = "part"
    """The answer holds some of the records: they are merged by key, the newest look wins."""
    SNAPSHOT = "snapshot"
    """The answer is the state of now. It becomes the partition of the day on which it was taken,
    but only when it differs from the snapshot before."""
    STATES = "states"
    """The answer is the state of now, of things that change and keep no history. Of each thing that
    differs from what was seen of it last a row is added, with the time of the look; no row is ever
    replaced or taken away."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record or row that could not be read: kept in quarantine and counted, never lost.

    ``reason`` is a sentence that names the field and what was expected, and never holds a value.
    ``raw`` is what was there, for the quarantine file only.
    """

    reason: str
    raw: object


@dataclass(frozen=True, kw_only=True)
class ApiStream:
    """A table that a service answers for, fetched every day; one lake partition a UTC day or month.

    Whatever the grain, the service is asked for days, and days are replaced, restored and known to
    be settled. ``grain`` only says how many of them share a file and an event of Dagster. DAY is
    for streams of many records that the service revises day by day, so that a correction writes a
    day again and not a month; and for SNAPSHOT, whose partition is the look of a day. All others
    are cut by MONTH.

    At least one of ``fetch`` and ``fetch_all`` is given. With both, ``fetch`` runs daily and
    ``fetch_all`` every ``full_pass_days``. ``fetch_all`` alone runs every time.
    """

    name: str
    description: str
    """What one row is, units and zone: the text that the UI shows."""
    grain: Grain
    """DAY or MONTH, see above."""
    key: Callable[[Record], str]
    """What identifies the record when it arrives again."""
    days: Callable[[Record], Iterable[date]] = lambda record: ()
    """The UTC days under which the record is filed: every day on which something happened to it
    (created, cancelled, ended). So each day's tables need that day's partition only. Not used
    by snapshots."""
    required: Mapping[str, type | tuple[type, ...]] = field(default_factory=dict)
    """Fields without which a record is unreadable, with their JSON types."""
    fetch: Callable[[Client, Window], Iterator[Record]] | None = None
    fetch_all: Callable[[Client], Iterator[Record]] | None = None
    coverage: Coverage = Coverage.WINDOW
    """What ``fetch`` covers: WINDOW or PART. ``fetch_all`` covers PICTURE, or SNAPSHOT or STATES if
    said."""
    state: Callable[[Record], Any] | None = None
    """Of STATES: what of a record is its state, as JSON. A row is added when it differs.

    ``key`` is that of the thing; the key of its row has the time of the look behind it, after a
    blank. A row is filed under the day of the look, and under those of ``days`` that are no earlier
    than the look before that saw a change: what happens today changes no day before. Of a thing
    that is gone from the answer the row says so: its record is empty."""
    full_pass_days: int = 7
    agrees: Callable[[Client, Iterable[Record]], bool] | None = None
    """With both: whether all records that are there now are those of the service, as far as its own
    counts tell. Asked after each ``fetch``; if not, ``fetch_all`` comes at once."""
    refetch_days: int = 3
    """How many days back the service still revises; the daily run fetches them again."""
    volatile: tuple[str, ...] = ()
    """Top-level fields that differ in every answer and say nothing; left out of the digest."""
    may_vanish: float = HALF
    """The share of rows, 0 to 1, that one answer may take away of what it was asked for. One that
    takes more, and more than some rows, is set aside until it is confirmed."""
    code_version: str = "1"

    def __post_init__(self) -> None:
        if self.grain is Grain.WHOLE:
            raise ValueError(f"stream {self.name}: grain is day or month")
        if self.coverage is Coverage.SNAPSHOT and self.grain is not Grain.DAY:
            raise ValueError(f"stream {self.name}: a snapshot is of a day, so its grain is day")


@dataclass(frozen=True, slots=True)
class DropFile:
    """A file that the person dropped, as a reader sees it.

    ``captured_at`` (UTC) says when the service gave it: a date in its name, else the file's time.
    """

    path: Path
    name: str
    captured_at: datetime
    home: Path | None = None
    """The home folder, for what the person declared there; None when there is none."""
    progress: Callable[[int, int], None] = lambda done, total: None
    """Told by the reader of a huge file as it goes on: how many bytes are read, and of how many."""

    def head(self, size: int = 65_536) -> bytes:
        """The first bytes, for recognising."""
        with self.path.open("rb") as stream:
            return stream.read(size)

    def content(self, most: int = LARGEST_HELD_BYTES) -> bytes:
        """All of it, for a reader that has to see the whole. Raises ``UnreadableFile`` for one that
        would fill the memory."""
        content = self.head(most + 1)
        if len(content) > most:
            raise UnreadableFile(
                f"larger than {most // 1_000_000:,} MB, which is more than its reader can hold. "
                "Export a shorter span of time, or split it. Nothing is lost: the original is in "
                "the archive."
            )
        return content


@dataclass(frozen=True, slots=True)
class Claim:
    """A drop says that a file is of its kind: how sure it is (0 to 1), and why, in a sentence.

    ``captured_at`` (UTC) is when the export was made, where the file itself says so; ``dialect``
    the name of the one among ``Drop.dialects`` that reads it.
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
    """Said once by a reader whose file breaks off: what it holds is added to what there is, and
    nothing counts as vanished, even where the file should have been the whole picture. ``reason``
    is a sentence."""

    reason: str


@dataclass(frozen=True, slots=True)
class Doubt:
    """Said by a reader of a file that it takes all the same: what was not certain about it, and
    what the person can do. ``reason`` is a sentence without a value, the receipt's warning."""

    reason: str


@dataclass(frozen=True, slots=True)
class Table:
    """How a stream of very many rows lies in the lake: in Parquet, by DuckDB from end to end.

    ``columns`` are names and DuckDB types. ``key`` names those that identify a row, most telling
    first; a partition is sorted by them. The stream's volatile fields are columns too.
    """

    columns: Mapping[str, str]
    key: tuple[str, ...]


Item: TypeAlias = DropRow | Unreadable | Incomplete | Doubt
"""What a reader of files gives."""


@dataclass(frozen=True, kw_only=True)
class DropStream:
    """A table that dropped files feed; one lake partition a month."""

    name: str
    description: str
    coverage: Coverage = Coverage.PART
    """PART: files add to each other. PICTURE: the newest file is the whole truth."""
    volatile: tuple[str, ...] = ()
    may_vanish: float = HALF
    """Of a PICTURE: the share of rows, 0 to 1, that one file may take away."""
    code_version: str = "1"
    table: Table | None = None
    """Given for a stream of very many rows; its rows come by ``Drop.load``."""
    columns: Callable[[Record], Iterable[str]] = lambda record: record
    """The columns that a record had in its file. The receipt says which are new and which gone."""
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
    """A kind of file that the person exports by hand.

    ``recognise`` looks at content, never at the name alone; it must not raise. ``read`` yields
    rows and what could not be read; it may raise ``UnreadableFile`` when nothing at all can be.

    A drop that feeds a table of very many rows has ``load`` in place of ``read``. It puts those
    rows into its spool, and yields everything else like ``read``. When it ends, the spool's
    connection holds for every stream with a ``table`` a table or view of the stream's name: a
    column ``month`` (the first day of one), then the declared columns.
    """

    name: str
    description: str
    how_to: str
    """The steps of making this export, for a reminder: where to click, what to download."""
    recognise: Callable[[DropFile], Claim | None]
    read: Callable[[DropFile], Iterator[Item]] = _reads_nothing
    load: Callable[[DropFile, Spool], Iterator[Item]] | None = None
    streams: tuple[DropStream, ...]
    explain: Callable[[DropFile], str | None] = lambda file: None
    """What can be said of a file that nobody claims, when it is nearly of this kind: for people, in
    lines, with names of columns and no values."""
    monthly_on_day: int | None = None
    """The day of the month on which a new export is due; None when there is no calendar."""
    dialects: Callable[[Path | None], Mapping[str, str]] = _no_dialects
    """What is declared of how files of this kind are read, ours and in ``dialects/`` of a home:
    texts by name. When one changes, all files of this kind are read again."""

    problems: Callable[[Path | None], Sequence[str]] = _no_problems
    """What is wrong with what the person declared in a home, in sentences with file and line."""

    def __post_init__(self) -> None:
        if (self.read is _reads_nothing) == (self.load is None):
            raise ValueError(f"drop {self.name}: exactly one of read and load is given")


class UnreadableFile(Exception):
    """A dropped file of a known kind of which nothing can be read. The message is a sentence
    that says what was expected and what to do; it holds no row of the file."""

    cause = "file unreadable"

    def __init__(self, message: str) -> None:
        super().__init__(shown_lines(message))


@dataclass(frozen=True, kw_only=True)
class Source:
    """A service or a kind of export, with everything that the house knows about it."""

    name: str
    """Short and lower case: folder in the lake, group in the UI, schema of the raw tables."""
    title: str
    description: str
    settings: tuple[Setting, ...] = ()
    """What the person can set for it. What has no default is needed: without it the API streams are
    not connected."""
    client: Callable[[Settings], Client] | None = None
    beginning: Callable[[Client], date | None] | None = None
    """Asks the service for the first UTC day that it has anything of; None when it has nothing."""
    account: Callable[[Settings, Client], Mapping[str, str]] | None = None
    """What tells one account from another, by name: its ``account`` (an id), its ``mode``; what the
    service does not tell is left out. Noted at the first look, and other data is refused."""
    account_in: Callable[[Record], Mapping[str, str]] = lambda record: {}
    """What of that a record of the lake tells."""
    api: tuple[ApiStream, ...] = ()
    drops: tuple[Drop, ...] = ()

    @property
    def credentials(self) -> tuple[str, ...]:
        """The environment variables without which the API streams are not connected."""
        return tuple(each.name for each in self.settings if each.is_needed)

    @property
    def connect(self) -> str:
        """Where to get what it needs and where to put it, in sentences."""
        return " ".join(each.description for each in self.settings if each.is_needed)

    @property
    def drop_streams(self) -> tuple[DropStream, ...]:
        return tuple(stream for drop in self.drops for stream in drop.streams)

    @property
    def streams(self) -> tuple[ApiStream | DropStream, ...]:
        return (*self.api, *self.drop_streams)
