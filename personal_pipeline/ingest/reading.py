"""Reading claimed files into the lake.

Files of one kind are read together, and their rows merged into each month once; each gets a receipt
as if it had come alone. However large a file is, its rows are spooled to disk.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeAlias

from personal_pipeline.home import Home
from personal_pipeline.ingest.columns import Layouts, difference, layouts_in
from personal_pipeline.ingest.contract import (
    EARLIEST,
    Coverage,
    Doubt,
    Drop,
    DropFile,
    DropStream,
    Incomplete,
    Item,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.doubtful import believe_export
from personal_pipeline.ingest.lake import Written, lake_of, stored_text, whole_text
from personal_pipeline.ingest.ledger import (
    FullExport,
    code_of,
    months_of_lake,
    note_shown,
    read_shown,
)
from personal_pipeline.ingest.memory import recall, remember
from personal_pipeline.ingest.merging import Capture, Tally, merge
from personal_pipeline.ingest.quarantine import keep_lines, line_of_record
from personal_pipeline.ingest.sorting import Sorter
from personal_pipeline.ingest.spool import Spool, spooling
from personal_pipeline.ingest.tables import months_of, replace_months

MAX_ROWS = 1_000_000
ROWS_A_BYTE = 10
"""A file may yield at most this many rows, plus this many per byte (it may be a zip): a reader
stuck in a loop ends there."""

REASONS_TOLD = 3
"""The number of reasons for unreadable rows in a receipt; all are in quarantine."""

AHEAD = timedelta(days=31)
"""How far ahead of the clock the month of a row may begin."""

_UNREADABLE = "\0unreadable"
"""Unreadable rows are sorted with the others, under this stream name and with their file's number
as the month."""


@dataclass(frozen=True, slots=True)
class StreamReceipt:
    """What a file did to one stream. Counts are rows; ``changed_months`` are those whose content
    now differs. ``first_month`` and ``last_month`` are the span of the rows in the file.

    ``columns_unknown`` are columns of the file that no earlier one had, ``columns_gone`` columns
    that all earlier ones had; both are empty for the first file.

    ``ahead`` counts the unreadable rows that are in the future, from the month ``to_come`` on. They
    are read once their time has come.
    """

    stream: str
    new: int
    altered: int
    vanished: int
    """Rows removed; receipts on disk and in pipeline.receipts have this name."""
    unchanged: int
    changed_months: tuple[str, ...]
    first_month: str | None = None
    last_month: str | None = None
    columns_unknown: tuple[str, ...] = ()
    columns_gone: tuple[str, ...] = ()
    ahead: int = 0
    to_come: str | None = None


@dataclass(frozen=True, slots=True)
class ToRead:
    """A file that a drop is to read. ``name`` is what it is called in messages."""

    file: DropFile
    digest: str
    name: str


@dataclass(frozen=True, slots=True)
class InLake:
    """The result of reading a file. ``problem`` says, in a sentence, why nothing in it could be
    read; ``left_out`` means that it was skipped, because it was not to be ingested after all.

    ``unreadable_why`` are the first reasons for unreadable rows, ``unreadable_in`` the quarantine
    file with those rows, relative to the home. ``written`` are the partitions that were written, by
    stream; of files that were read together, the last one has them all.
    """

    unreadable: int = 0
    streams: tuple[StreamReceipt, ...] = ()
    unreadable_why: tuple[str, ...] = ()
    unreadable_in: str | None = None
    problem: str | None = None
    cause: str | None = None
    warning: str | None = None
    left_out: bool = False
    written: Mapping[str, Sequence[Written]] = field(default_factory=dict)

    @property
    def to_come(self) -> date | None:
        """The first month of rows that are in the future, if there are any."""
        months = [date.fromisoformat(each.to_come) for each in self.streams if each.to_come]
        return min(months, default=None)


@dataclass(slots=True)
class _Found:
    """What was found in a file."""

    unreadable: int = 0
    why: list[str] = field(default_factory=list)
    kept_in: str | None = None
    ahead: dict[str, list[date]] = field(default_factory=dict)
    """By stream, the months of rows that are in the future."""
    incomplete: str | None = None
    doubts: list[str] = field(default_factory=list)
    problem: str | None = None
    cause: str | None = None
    layouts: dict[str, Layouts] = field(default_factory=dict)

    @property
    def warning(self) -> str | None:
        return " ".join([*([self.incomplete] if self.incomplete else []), *self.doubts]) or None


BeforeRows: TypeAlias = Callable[[Sequence[int]], Collection[int]]
"""Called with the indices of files that were read, before any of their rows is written: returns
those to leave out."""


def read_into_lake(
    home: Home,
    source: Source,
    drop: Drop,
    files: Sequence[ToRead],
    now: datetime,
    scratch: Path,
    before_rows: BeforeRows = lambda places: (),
    *,
    clock: datetime | None = None,
) -> list[InLake]:
    """Read files of one kind into a home's lake, in order; results are in the same order.

    ``now`` is when they arrived; ``clock`` is the current time, if that differs. Rows that begin
    more than ``AHEAD`` after it are in the future. ``scratch`` is a folder for what does not fit
    into memory. Raises ``DamagedPartition`` and ``OSError``; reading the same files again then
    finishes the work.
    """
    if drop.load is None and all(each.coverage is Coverage.PART for each in drop.streams):
        return _read_together(home, source, drop, files, now, clock or now, scratch, before_rows)
    # a full picture counts what it removes; and DuckDB holds one file at a time
    return [
        _read_alone(home, source, drop, file, now, clock or now, scratch, before)
        for place, file in enumerate(files)
        for before in [partial(_of_one, before_rows, place)]
    ]


def latest_month(now: datetime) -> date:
    """The last day on which the month of a row may begin."""
    return now.astimezone(UTC).date() + AHEAD


def _of_one(before_rows: BeforeRows, place: int, _: Sequence[int]) -> Collection[int]:
    return [0] if before_rows([place]) else []


def _read_alone(
    home: Home,
    source: Source,
    drop: Drop,
    file: ToRead,
    now: datetime,
    clock: datetime,
    scratch: Path,
    before_rows: BeforeRows,
) -> InLake:
    if drop.load is None:
        return _read_together(home, source, drop, [file], now, clock, scratch, before_rows)[0]
    if _is_known_picture(home, source, drop, file):
        return InLake(left_out=True) if before_rows([0]) else _known(home, source, drop, file, now)
    result = _read_together(home, source, drop, [file], now, clock, scratch, before_rows)[0]
    # an older picture changed nothing, and is not what the lake reflects
    if not (result.problem or result.warning) and any(result.written.values()):
        # the same one again need not be read
        picture = FullExport(file.digest, file.file.captured_at)
        note_shown(home, source, drop, (), result.written, picture)
    return result


def _read_together(
    home: Home,
    source: Source,
    drop: Drop,
    files: Sequence[ToRead],
    now: datetime,
    clock: datetime,
    scratch: Path,
    before_rows: BeforeRows,
) -> list[InLake]:
    sorter = Sorter(scratch)
    with ExitStack() as stack:
        spool = stack.enter_context(spooling(home)) if drop.load else None
        found = [
            _sorted_out(drop, file, place, sorter, spool, clock) for place, file in enumerate(files)
        ]
        left_out = set(before_rows(range(len(files))))
        _believe(home, source, drop, files, found, left_out, sorter, spool, now)
        bad = left_out | {place for place, each in enumerate(found) if each.problem}
        receipts, written = _merged(home, source, drop, files, found, bad, sorter, spool)
    results = [
        InLake(left_out=True)
        if place in left_out
        else InLake(problem=each.problem, cause=each.cause)
        if each.problem
        else InLake(
            each.unreadable, receipts[place], tuple(each.why), each.kept_in, warning=each.warning
        )
        for place, each in enumerate(found)
    ]
    for place in reversed(range(len(files))):
        if place not in bad:
            results[place] = replace(results[place], written=written)
            break
    _remember_looks(home, source, drop, files, results, now)
    return results


def _sorted_out(
    drop: Drop, file: ToRead, place: int, sorter: Sorter, spool: Spool | None, clock: datetime
) -> _Found:
    """Put the rows of a file into the sorter. A reader's failure affects this file only; disk
    errors are raised."""
    found = _Found(layouts={stream.name: Layouts() for stream in drop.streams})
    try:
        items = drop.load(file.file, spool) if spool and drop.load else drop.read(file.file)
        _take_items(drop, items, file, place, sorter, found, latest_month(clock))
    except UnreadableFile as error:
        found.problem, found.cause = str(error), error.cause
    except OSError as error:
        if error.errno is not None:
            raise
        found.problem, found.cause = broke_off(error), UnreadableFile.cause
    except (Exception, SystemExit) as error:
        found.problem, found.cause = broke_off(error), UnreadableFile.cause
    return found


def _believe(
    home: Home,
    source: Source,
    drop: Drop,
    files: Sequence[ToRead],
    found: Sequence[_Found],
    left_out: Collection[int],
    sorter: Sorter,
    spool: Spool | None,
    now: datetime,
) -> None:
    """If a full picture removes too much to be trusted at once, set that as its problem."""
    if left_out or found[0].problem or found[0].incomplete:
        return
    if all(stream.coverage is not Coverage.FULL for stream in drop.streams):
        return
    # a picture is read by itself
    (file,) = files
    as_of = file.file.captured_at.isoformat()
    confirmed = _confirmed(home, source, drop)
    try:
        believe_export(home, source, drop, sorter, spool, as_of, file.digest, now, confirmed)
    except UnreadableFile as error:
        found[0].problem, found[0].cause = str(error), error.cause


def broke_off(error: BaseException) -> str:
    """The sentence for a reader that failed on a file; it contains nothing from the file."""
    return (
        f"the parser failed ({type(error).__name__}): the file is unlike those that this version "
        "supports. The original is in the archive."
    )


def _take_items(
    drop: Drop,
    items: Iterator[Item],
    file: ToRead,
    place: int,
    sorter: Sorter,
    found: _Found,
    latest: date,
) -> None:
    streams = {stream.name: stream for stream in drop.streams}
    most = MAX_ROWS + ROWS_A_BYTE * file.file.path.stat().st_size

    def keep(bad: Unreadable) -> None:
        found.unreadable += 1
        if len(found.why) < REASONS_TOLD and bad.reason not in found.why:
            found.why.append(bad.reason)
        sorter.add(_UNREADABLE, place, line_of_record(bad), place, "")

    for number, item in enumerate(items):
        if number > most:
            raise UnreadableFile(
                f"the parser yielded more than {most:,} rows, more than a file of this size can "
                "hold: it must be looping. The original is in the archive."
            )
        if isinstance(item, Incomplete):
            found.incomplete = item.reason
            continue
        if isinstance(item, Doubt):
            found.doubts.append(item.reason)
            continue
        if isinstance(item, Unreadable):
            keep(item)
            continue
        if item.month > latest:
            keep(Unreadable("its month is in the future", item.record))
            found.ahead.setdefault(item.stream, []).append(item.month)
            continue
        if item.month < EARLIEST:
            keep(Unreadable(f"its month is before {EARLIEST.year}", item.record))
            continue
        try:
            text = stored_text(item.record)
        except ValueError:
            keep(Unreadable("not valid JSON: it has NaN, or is nested too deeply", item.record))
            continue
        found.layouts[item.stream].add(streams[item.stream], item.record)
        month = item.month.replace(day=1).toordinal()
        sorter.add(item.stream, month, whole_text(item.key), place, text)


def _merged(
    home: Home,
    source: Source,
    drop: Drop,
    files: Sequence[ToRead],
    found: Sequence[_Found],
    bad: Collection[int],
    sorter: Sorter,
    spool: Spool | None,
) -> tuple[dict[int, tuple[StreamReceipt, ...]], dict[str, Sequence[Written]]]:
    """Merge what was sorted, without the files in ``bad``. Returns receipts by index, partitions by
    stream."""
    good = [place for place in range(len(files)) if place not in bad]
    if not good:
        return {}, {}
    captures = {
        place: Capture(files[place].file.captured_at.isoformat(), files[place].digest)
        for place in good
    }
    streams = {stream.name: stream for stream in drop.streams}
    parts: dict[tuple[int, str], StreamReceipt] = {}
    written: dict[str, Sequence[Written]] = {name: [] for name in streams}
    columns: dict[tuple[int, str], tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for stream in drop.streams:
        known: Layouts | None = None
        for place in good:
            offered = found[place].layouts[stream.name]
            if offered:
                known = known or layouts_in(lake_of(home, source.name, stream), stream)
                told = difference(known, offered)
                columns[place, stream.name] = told.unknown, told.gone
                known.update(offered)

    def note(place: int, stream: str, tally: Tally) -> None:
        unknown, gone = columns.get((place, stream), ((), ()))
        parts[place, stream] = _receipt_of(stream, tally, unknown, gone, found[place].ahead)

    rows = (row for row in sorter if row.file not in bad)
    confirmed = _confirmed(home, source, drop)
    for name, some in groupby(rows, key=lambda row: row.stream):
        if name == _UNREADABLE:
            for place, lines in groupby(some, key=lambda row: row.file):
                path = keep_lines(home, source.name, drop.name, (row.key for row in lines))
                found[place].kept_in = path.relative_to(home.root).as_posix() if path else None
            continue
        whole = _is_whole(streams[name], found[good[0]])
        merged = merge(
            lake_of(home, source.name, streams[name]),
            some,
            captures,
            whole=whole,
            confirmed=confirmed,
        )
        written[name] = merged.written
        for place, tally in merged.tallies.items():
            note(place, name, tally)
    for stream in drop.streams:
        if stream.table and spool:
            # DuckDB holds one file at a time
            capture, whole = captures[good[0]], _is_whole(stream, found[good[0]])
            results = replace_months(
                spool,
                lake_of(home, source.name, stream),
                capture.as_of,
                capture.origin,
                whole=whole,
                confirmed=confirmed,
            )
            written[stream.name] = results
            note(good[0], stream.name, _tally_of(results, months_of(spool, stream.name)))
    nothing = Tally()
    for place in good:
        for name in streams:
            if (place, name) not in parts:
                note(place, name, nothing)
    return {place: tuple(parts[place, name] for name in streams) for place in good}, written


def _confirmed(home: Home, source: Source, drop: Drop) -> str:
    """The capture time, ISO 8601 UTC, of the last full picture that the lake reflects; empty when
    there is none, or when files of this kind are not FULL."""
    if any(stream.coverage is not Coverage.FULL for stream in drop.streams):
        return ""
    noted = read_shown(home, source, drop)
    return noted.picture.as_of.isoformat() if noted and noted.picture else ""


def _is_whole(stream: DropStream, found: _Found) -> bool:
    return stream.coverage is Coverage.FULL and found.incomplete is None


def _tally_of(results: Sequence[Written], span: list[date]) -> Tally:
    return Tally(
        rows=sum(each.version.rows for each in results),
        new=sum(each.new for each in results),
        altered=sum(each.altered for each in results),
        removed=sum(each.removed for each in results),
        months=span,
        changed=[each.partition for each in results if each.changed],
    )


def _receipt_of(
    stream: str,
    tally: Tally,
    unknown: tuple[str, ...],
    gone: tuple[str, ...],
    ahead: Mapping[str, Sequence[date]],
) -> StreamReceipt:
    months = ahead.get(stream, ())
    return StreamReceipt(
        stream=stream,
        new=tally.new,
        altered=tally.altered,
        vanished=tally.removed,
        unchanged=max(tally.rows - tally.new - tally.altered, 0),
        changed_months=tuple(month.isoformat() for month in tally.changed),
        first_month=tally.months[0].isoformat() if tally.months else None,
        last_month=tally.months[-1].isoformat() if tally.months else None,
        columns_unknown=unknown,
        columns_gone=gone,
        ahead=len(months),
        to_come=min(months).isoformat() if months else None,
    )


def _remember_looks(
    home: Home,
    source: Source,
    drop: Drop,
    files: Sequence[ToRead],
    results: Sequence[InLake],
    now: datetime,
) -> None:
    """Record the outcome of each file for each stream, in order, written once."""
    for place, stream in enumerate(drop.streams):
        before = memory = recall(home, source.name, stream.name)
        for file, result in zip(files, results, strict=True):
            if result.left_out:
                continue
            if result.problem:
                words = f"{file.name}: {result.problem}"
                memory = memory.failed(now, result.cause or UnreadableFile.cause, words)
                continue
            receipt = result.streams[place]
            if receipt.new + receipt.altered + receipt.unchanged:
                memory = memory.succeeded(now, unreadable=result.unreadable)
        if memory != before:
            remember(home, source.name, stream.name, memory)


# ------------------------------------------------------------------------- exports that come again


def _known(home: Home, source: Source, drop: Drop, file: ToRead, now: datetime) -> InLake:
    """The result for an export whose reading would change nothing."""
    receipts = []
    for stream in drop.streams:
        memory = recall(home, source.name, stream.name)
        remember(
            home,
            source.name,
            stream.name,
            memory.succeeded(now, unreadable=memory.unreadable),
        )
        versions = lake_of(home, source.name, stream).versions().values()
        rows = sum(version.rows for version in versions)
        receipts.append(StreamReceipt(stream.name, 0, 0, 0, rows, ()))
    _date_picture(home, source, drop, file)
    return InLake(streams=tuple(receipts))


def _date_picture(home: Home, source: Source, drop: Drop, file: ToRead) -> None:
    """An export that arrived again may have a later capture time than at first."""
    noted = read_shown(home, source, drop)
    if noted and noted.picture and noted.picture.origin == file.digest:
        later = max(noted.picture.as_of, file.file.captured_at)
        note_shown(home, source, drop, (), {}, FullExport(file.digest, later))


def _is_known_picture(home: Home, source: Source, drop: Drop, file: ToRead) -> bool:
    """Whether reading the file would change nothing: the lake already reflects this export, or a
    newer full picture, as read by this version of the code."""
    noted = read_shown(home, source, drop)
    if noted is None or noted.picture is None or noted.code != code_of(home, drop):
        return False
    is_picture = all(stream.coverage is Coverage.FULL for stream in drop.streams)
    newer_shown = noted.picture.as_of > file.file.captured_at
    same = noted.picture.origin == file.digest or (is_picture and newer_shown)
    return same and noted.months == months_of_lake(home, source, drop)
