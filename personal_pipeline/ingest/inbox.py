"""The inbox: a dropped file is recognised, archived for ever, read into the lake, and receipted.

The order makes every step repeatable after a kill: the original is in the archive before anything
is read from it, and the file leaves the inbox only when its rows are durable and its receipt is
written. Taking the same file again changes nothing.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from personal_pipeline.home import Home, free_name, scratch, write_atomically
from personal_pipeline.ingest.archives import (
    Budget,
    files_below,
    kind_of,
    refuse_hostile,
    unpack,
    zip_folder,
)
from personal_pipeline.ingest.columns import difference
from personal_pipeline.ingest.contract import (
    EARLIEST,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    Incomplete,
    Progress,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.doubtful import believe_export
from personal_pipeline.ingest.lake import (
    Row,
    StreamLake,
    Written,
    canonical,
    digest_of,
    lake_of,
    storable,
    whole_text,
)
from personal_pipeline.ingest.memory import recall, remember
from personal_pipeline.ingest.originals import (
    UNPACKED,
    Taking,
    folder_in_inbox,
    keep_original,
    keep_taking,
)
from personal_pipeline.ingest.quarantine import keep_records, set_aside
from personal_pipeline.ingest.recognition import accepted, claims_of, unknown
from personal_pipeline.ingest.shown import (
    Picture,
    code_of,
    months_of_lake,
    note_shown,
    read_shown,
)
from personal_pipeline.ingest.tables import Spool, months_of, replace_months, spooling

UNFINISHED = (".part", ".crdownload", ".download", ".tmp", "~")
"""Endings of files that a browser or an editor is still writing; dotfiles are left alone too."""

LOCK_WAIT_SECONDS = 600

_WRITERS = 8

_DIGEST_IN_NAME = re.compile(r"[0-9a-f]{12,}")
_DAY_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_MONTH_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.](0[1-9]|1[0-2])(?![\d])")


@dataclass(frozen=True, slots=True)
class StreamReceipt:
    """What a file did to one stream. Counts are rows; ``changed_months`` those whose content
    differs now. ``first_month`` and ``last_month`` are the span of the rows in the file.

    ``columns_unknown`` are those of the file that no earlier one had, ``columns_gone`` those that
    all earlier ones had; of the first file there is nothing to say."""

    stream: str
    new: int
    altered: int
    vanished: int
    unchanged: int
    changed_months: tuple[str, ...]
    first_month: str | None = None
    last_month: str | None = None
    columns_unknown: tuple[str, ...] = ()
    columns_gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file. ``drop`` is None when nobody knew it; ``problem`` says, in a
    sentence, why it was set aside or what was odd about it."""

    file: str
    received_at: str
    digest: str
    size: int
    source: str | None
    drop: str | None
    captured_at: str | None
    reason: str
    unreadable: int = 0
    streams: tuple[StreamReceipt, ...] = ()
    problem: str | None = None
    cause: str | None = None
    """In two words why it was set aside, of a file of a known kind."""
    warning: str | None = None
    """What is odd about a file that was taken all the same: it breaks off."""
    also_claimed: tuple[str, ...] = ()
    """Who else said that the file is theirs, a sentence each; they were less sure."""

    @property
    def taken(self) -> bool:
        return self.drop is not None and self.problem is None


@dataclass(frozen=True, slots=True)
class Taken:
    """A receipt together with the partitions that were written, by source and stream."""

    receipt: Receipt
    written: Mapping[tuple[str, str], Sequence[Written]]
    members: tuple[Taken, ...] = ()
    """Of an archive: what became of the files in it."""

    def everything(self) -> Iterator[Taken]:
        """This one, then those of the files in it."""
        yield self
        for member in self.members:
            yield from member.everything()


def waiting(home: Home) -> list[Path]:
    """The files in the inbox that are there to be taken, oldest first."""
    if not home.inbox.is_dir():
        return []
    files = complete_files(home.inbox)
    return sorted(files, key=lambda path: (path.stat().st_mtime, path.name))


def entries(home: Home) -> dict[Path, list[Path]]:
    """The files and folders that lie in the inbox, each with its files that are there to be taken,
    oldest first."""
    found: dict[Path, list[Path]] = {}
    for path in waiting(home):
        entry = home.inbox / path.relative_to(home.inbox).parts[0]
        found.setdefault(entry, []).append(path)
    return found


def complete_files(folder: Path) -> list[Path]:
    """The files below a folder that nobody is still writing; hidden ones and links are left out."""
    return [path for path in files_below(folder) if not path.name.endswith(UNFINISHED)]


def captured_at(name: str, modified: datetime) -> datetime:
    """When the service gave a file (UTC): a date in its name, else the time of the file.

    A date in the name counts to the end of that day, or of that month when no day is given, but
    never later than the file itself; a date that lies after the file is wrong and is not used.
    """
    # eight digits of a digest may look like a day
    name = _DIGEST_IN_NAME.sub(" ", name.lower())
    if match := _DAY_IN_NAME.search(name):
        year, month, day = (int(part) for part in match.groups())
        try:
            first = date(year, month, day)
        except ValueError:
            return modified
        last = first
    elif match := _MONTH_IN_NAME.search(name):
        year, month = (int(part) for part in match.groups())
        first = date(year, month, 1)
        last = (first + timedelta(days=32)).replace(day=1) - timedelta(days=1)
    else:
        return modified
    if datetime.combine(first, time(), UTC) > modified:
        return modified
    end = datetime.combine(last, time(23, 59, 59), UTC)
    return min(end, modified)


def take(
    home: Home,
    sources: Sequence[Source],
    path: Path,
    now: datetime,
    progress: Progress | None = None,
) -> Taken:
    """Take one file out of the inbox. Bad input never raises: it is set aside, with a receipt.
    ``progress`` is told how much of a huge file is read, in megabytes.

    An archive that no source claims is unpacked, and what is in it is taken file by file. Raises
    ``FileNotFoundError`` when the file is gone, because another process took it first.
    """
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        taken = _take(home, sources, path, now, progress=progress)
        # named by its digest, it stays in the archive; the inbox is empty again
        path.unlink(missing_ok=True)
        return taken


def _take(
    home: Home,
    sources: Sequence[Source],
    path: Path,
    now: datetime,
    inside: str | None = None,
    progress: Progress | None = None,
) -> Taken:
    """``inside`` is the name of a file that came out of an archive, with that of the archive."""
    stat = path.stat()
    file = drop_file(home, path)
    receipt = Receipt(
        file=inside or path.name,
        received_at=now.isoformat(),
        digest=digest_of(path),
        size=stat.st_size,
        source=None,
        drop=None,
        captured_at=file.captured_at.isoformat(),
        reason="",
    )
    try:
        refuse_hostile(path)
    except UnreadableFile as error:
        return _set_aside(home, path, receipt, f"{error}")
    if not stat.st_size:
        return _set_aside(home, path, receipt, "The file is empty; export it again.")
    claims = claims_of(sources, file)
    if not claims and not inside and kind_of(path):
        return _take_members(home, sources, path, receipt, now)
    if not claims:
        return _set_aside(home, path, receipt, unknown(sources, file))
    source, drop, claim = claims[0].source, claims[0].drop, claims[0].claim
    if claim.captured_at:
        file = replace(file, captured_at=claim.captured_at)
    receipt = replace(
        receipt,
        source=source.name,
        drop=drop.name,
        captured_at=file.captured_at.isoformat(),
        reason=claim.reason,
        also_claimed=tuple(map(str, claims[1:])),
    )
    if progress:
        told = progress

        def in_megabytes(done: int, total: int) -> None:
            told(f"{receipt.file}, MB", done // 1_000_000, total // 1_000_000)

        file = replace(file, progress=in_megabytes)
    receipt = replace(receipt, warning=keep_original(home, path, receipt.digest))
    taking = Taking(
        name=path.name,
        folder=folder_in_inbox(home, path),
        modified_ns=stat.st_mtime_ns,
        received_at=receipt.received_at,
        source=source.name,
        drop=drop.name,
        captured_at=file.captured_at.isoformat(),
        confidence=claim.confidence,
        reason=claim.reason,
        dialect=claim.dialect,
        inside=inside,
    )
    text = drop.dialects(home.root).get(claim.dialect) if claim.dialect else None
    taking = keep_taking(home, receipt.digest, taking, text)
    try:
        taken = read_into_lake(home, source, drop, file, receipt, now)
    except UnreadableFile as error:
        for stream in drop.streams:
            memory = recall(home, source.name, stream.name)
            remember(
                home,
                source.name,
                stream.name,
                memory.failed(now, error.cause, f"{receipt.file}: {error}"),
            )
        receipt = replace(receipt, cause=error.cause)
        taken = _set_aside(home, path, receipt, str(error), source.name)
    note_shown(home, source, drop, [taking.id(receipt.digest)], taken.written)
    return taken


def drop_file(home: Home, path: Path) -> DropFile:
    """A file as readers see it."""
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return DropFile(path, path.name, captured_at(path.name, modified), home.root)


def _set_aside(
    home: Home, path: Path, receipt: Receipt, problem: str, folder: str = "unknown"
) -> Taken:
    """``problem`` is told whole beside the file, and its first line in the receipt."""
    set_aside(home, path, folder, f"{receipt.file}: {problem}")
    return _receipted(home, replace(receipt, problem=problem.splitlines()[0]), {})


def _take_members(
    home: Home, sources: Sequence[Source], path: Path, receipt: Receipt, now: datetime
) -> Taken:
    """Take the files of an archive that nobody claims as a whole, each by itself.

    An archive in it is opened too, one in that is not. What no source knows stays in the archive,
    which is kept whole; if no source knows any of it, the archive itself is set aside.
    """
    with scratch(home, "unpacked") as place:
        # as if the folders of the archive lay in the inbox: they may name an account
        folder = place / "inbox"
        try:
            members, strangers = _members(home, sources, path, folder, Budget.of(path))
        except UnreadableFile as error:
            return _set_aside(home, path, receipt, str(error))
        if isinstance(members, Path):
            # an export that was packed in another way, or a folder of it
            return _take(home, sources, members, now, path.name)
        if not members:
            problem = (
                f"No source knows any of the {strangers:,} files in it.\nThe inbox takes:\n"
                + accepted(sources)
            )
            return _set_aside(home, path, receipt, problem)
        replaced = keep_original(home, path, receipt.digest)
        reason = f"no export by itself; {len(members):,} of the files in it are"
        keep_taking(
            home,
            receipt.digest,
            Taking(
                name=path.name,
                folder=folder_in_inbox(home, path),
                modified_ns=path.stat().st_mtime_ns,
                received_at=receipt.received_at,
                source=UNPACKED[0],
                drop=UNPACKED[1],
                captured_at=str(receipt.captured_at),
                reason=reason,
            ),
        )
        taken = tuple(
            _take(home, sources, each, now, f"{path.name}/{each.relative_to(folder).as_posix()}")
            for each in members
        )
    receipt = replace(
        receipt,
        source=UNPACKED[0],
        drop=UNPACKED[1],
        reason=reason,
        warning=_sentences(
            replaced, f"Files in it of no known kind: {strangers:,}." if strangers else None
        ),
    )
    return replace(_receipted(home, receipt, {}), members=taken)


def _members(
    home: Home, sources: Sequence[Source], path: Path, folder: Path, budget: Budget, depth: int = 1
) -> tuple[list[Path] | Path, int]:
    """The files of an archive that somebody claims, and how many others there are; or one zip with
    all of them, when that is what somebody claims. Raises ``UnreadableFile``."""
    files = unpack(path, folder, budget)
    if kind_of(path) != "zip" and len(files) > 1:
        whole = folder.with_name(f"{path.name.split('.')[0]}.zip")
        zip_folder(folder, whole)
        if claims_of(sources, drop_file(home, whole)):
            return whole, 0
        whole.unlink()
    known: list[Path] = []
    strangers = 0
    for file in files:
        if claims_of(sources, drop_file(home, file)):
            known.append(file)
        elif depth and kind_of(file):
            inner, others = _members(
                home, sources, file, file.with_name(f"{file.name}.files"), budget, depth - 1
            )
            known += [inner] if isinstance(inner, Path) else inner
            strangers += others
        else:
            strangers += 1
    return known, strangers


def read_into_lake(
    home: Home,
    source: Source,
    drop: Drop,
    file: DropFile,
    receipt: Receipt,
    now: datetime,
) -> Taken:
    """Read a file that this drop claimed into the lake of a home, and receipt it there. Its
    original is in the archive. Raises ``UnreadableFile``."""
    digest = receipt.digest
    if drop.load is None:
        read = _sorted_out(drop, drop.read(file), file, digest, now)
        return _merged_into_lake(home, source, drop, file, receipt, now, read, None)
    if _is_known_picture(home, source, drop, file, digest):
        for stream in drop.streams:
            memory = recall(home, source.name, stream.name)
            same = memory.succeeded(now, unreadable=memory.unreadable)
            remember(home, source.name, stream.name, same)
        _date_picture(home, source, drop, file, digest)
        receipt = replace(receipt, streams=_unchanged(home, source, drop))
        return _receipted(home, receipt, {})
    with spooling(home) as spool:
        read = _sorted_out(drop, drop.load(file, spool), file, digest, now)
        taken = _merged_into_lake(home, source, drop, file, receipt, now, read, spool)
    # an older picture changed nothing, and is not what the lake shows
    if not read.incomplete and any(taken.written.values()):
        # the same one again need not be read
        note_shown(home, source, drop, (), taken.written, Picture(digest, file.captured_at))
    return taken


@dataclass(frozen=True, slots=True)
class _Read:
    """What a reader yielded: rows by stream, month and key, and what it could not read."""

    rows: Mapping[str, Mapping[date, Mapping[str, Row]]]
    bad: Sequence[Unreadable]
    incomplete: str | None


def _sorted_out(
    drop: Drop,
    items: Iterator[DropRow | Unreadable | Incomplete],
    file: DropFile,
    digest: str,
    now: datetime,
) -> _Read:
    as_of = file.captured_at.isoformat()
    rows: dict[str, dict[date, dict[str, Row]]] = {
        stream.name: defaultdict(dict) for stream in drop.streams
    }
    bad: list[Unreadable] = []
    incomplete = None
    for item in _items(items):
        if isinstance(item, Incomplete):
            incomplete = item.reason
            continue
        if isinstance(item, Unreadable):
            bad.append(item)
            continue
        if not EARLIEST <= item.month <= now.date() + timedelta(days=31):
            where = "in the future" if item.month > EARLIEST else f"before {EARLIEST.year}"
            bad.append(Unreadable(f"its month lies {where}", item.record))
            continue
        try:
            row = Row(whole_text(item.key), storable(item.record), as_of, digest)
        except ValueError:
            bad.append(Unreadable("holds what JSON cannot: NaN, or endless nesting", item.record))
            continue
        month = rows[item.stream][item.month.replace(day=1)]
        present = month.get(item.key)
        month[item.key] = row if present is None else newer(present, row)
    return _Read(rows, bad, incomplete)


def _merged_into_lake(
    home: Home,
    source: Source,
    drop: Drop,
    file: DropFile,
    receipt: Receipt,
    now: datetime,
    read: _Read,
    spool: Spool | None,
) -> Taken:
    keep_records(home, source.name, drop.name, read.bad)
    if read.incomplete is None:
        as_of = file.captured_at.isoformat()
        believe_export(home, source, drop, read.rows, spool, as_of, receipt.digest, now)
    written: dict[tuple[str, str], Sequence[Written]] = {}
    receipts: list[StreamReceipt] = []
    for stream in drop.streams:
        lake = lake_of(home, source.name, stream)
        months = read.rows[stream.name]
        whole = stream.coverage is Coverage.PICTURE and read.incomplete is None
        span = sorted(months)
        new_columns = difference(lake, stream, months)
        if stream.table and spool:
            as_of = file.captured_at.isoformat()
            span = months_of(spool, stream.name)
            results = replace_months(spool, lake, as_of, receipt.digest, whole=whole)
            count = sum(result.version.rows for result in results)
        else:
            results = list((_whole_picture if whole else _added)(lake, months)) if months else []
            # saves reading them for their versions
            lake.note({result.partition: result.version for result in results})
            count = sum(len(month) for month in months.values())
        written[source.name, stream.name] = results
        new, altered = sum(w.new for w in results), sum(w.altered for w in results)
        receipts.append(
            StreamReceipt(
                stream=stream.name,
                new=new,
                altered=altered,
                vanished=sum(w.vanished for w in results),
                unchanged=max(count - new - altered, 0),
                changed_months=tuple(w.partition.isoformat() for w in results if w.changed),
                first_month=span[0].isoformat() if span else None,
                last_month=span[-1].isoformat() if span else None,
                columns_unknown=new_columns.unknown,
                columns_gone=new_columns.gone,
            )
        )
        if count:
            memory = recall(home, source.name, stream.name)
            succeeded = memory.succeeded(now, unreadable=len(read.bad))
            remember(home, source.name, stream.name, succeeded)
    receipt = replace(
        receipt,
        unreadable=len(read.bad),
        streams=tuple(receipts),
        warning=_sentences(receipt.warning, read.incomplete),
    )
    return _receipted(home, receipt, written)


def _sentences(*sentences: str | None) -> str | None:
    return " ".join(filter(None, sentences)) or None


def _is_known_picture(home: Home, source: Source, drop: Drop, file: DropFile, digest: str) -> bool:
    """Whether reading the file would change nothing: the lake shows this export, or a newer one
    that is the whole picture, as this version of the code reads it."""
    shown = read_shown(home, source, drop)
    if shown is None or shown.picture is None or shown.code != code_of(home, drop):
        return False
    is_picture = all(stream.coverage is Coverage.PICTURE for stream in drop.streams)
    newer_shown = shown.picture.as_of > file.captured_at
    same = shown.picture.origin == digest or (is_picture and newer_shown)
    return same and shown.months == months_of_lake(home, source, drop)


def _date_picture(home: Home, source: Source, drop: Drop, file: DropFile, digest: str) -> None:
    """An export that came again may be dated later than the first time."""
    shown = read_shown(home, source, drop)
    if shown and shown.picture and shown.picture.origin == digest:
        later = max(shown.picture.as_of, file.captured_at)
        note_shown(home, source, drop, (), {}, Picture(digest, later))


def _unchanged(home: Home, source: Source, drop: Drop) -> tuple[StreamReceipt, ...]:
    receipts = []
    for stream in drop.streams:
        versions = lake_of(home, source.name, stream).versions().values()
        rows = sum(version.rows for version in versions)
        receipts.append(StreamReceipt(stream.name, 0, 0, 0, rows, ()))
    return tuple(receipts)


def _items(
    items: Iterator[DropRow | Unreadable | Incomplete],
) -> Iterator[DropRow | Unreadable | Incomplete]:
    """What the drop reads. A reader that breaks costs its file, not the files behind it."""
    try:
        yield from items
    except (UnreadableFile, OSError):
        raise
    except Exception as error:
        raise UnreadableFile(
            f"reading it broke off ({type(error).__name__}); it is not like the files that this "
            "version knows. The original is in the archive."
        ) from error


def newer(one: Row, other: Row) -> Row:
    """The row that was captured later. Equal times are settled by content, so that the order in
    which files are dropped does not matter."""
    return max(one, other, key=lambda row: (row.as_of or "", canonical(row.record)))


def _added(lake: StreamLake, months: Mapping[date, Mapping[str, Row]]) -> Iterator[Written]:
    for month, rows in sorted(months.items()):
        present = lake.read(month)
        merged = dict(present)
        for key, row in rows.items():
            merged[key] = newer(present[key], row) if key in present else row
        yield lake.write(month, merged.values())


def _whole_picture(lake: StreamLake, months: Mapping[date, Mapping[str, Row]]) -> Iterator[Written]:
    present = {month: lake.read(month) for month in lake.partitions()}
    kept = max((row.as_of or "" for rows in present.values() for row in rows.values()), default="")
    offered = max(
        (row.as_of or "" for rows in months.values() for row in rows.values()), default=""
    )
    if offered < kept:
        return  # an older picture, dropped late: it is in the archive, and changes nothing
    # what takes long is the disk, for each file
    with ThreadPoolExecutor(_WRITERS) as pool:
        yield from pool.map(
            lambda month: lake.write(month, months.get(month, {}).values()),
            sorted({*present, *months}),
        )


def _receipted(
    home: Home, receipt: Receipt, written: Mapping[tuple[str, str], Sequence[Written]]
) -> Taken:
    stamp = re.sub(r"[^0-9T]", "", receipt.received_at)[:15]
    place = free_name(home.archive / "receipts" / f"{stamp}-{receipt.digest[:16]}.json")
    write_atomically(place, json.dumps(asdict(receipt), indent=1).encode())
    return Taken(receipt, written)
