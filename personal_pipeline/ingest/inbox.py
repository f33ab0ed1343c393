"""The inbox: a dropped file is recognised, archived for good, read into the lake, and receipted.

The order makes every step repeatable after a kill: the original is in the archive before a row of
it is in the lake, and the file leaves the inbox only when its rows are durable and its receipt is
written. Ingesting the same file again is idempotent. Readers get a private copy, so a file that is
still being written is detected before any of it is kept.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from stat import S_IFBLK, S_IFCHR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK, S_ISDIR, S_ISREG

from personal_pipeline.home import PRIVATE_FILE, Home, free_name, publish, scratch, staged
from personal_pipeline.ingest.archives import (
    BLOCK_BYTES,
    Budget,
    files_below,
    kind_of,
    refuse_hostile,
    unpack,
    zip_folder,
)
from personal_pipeline.ingest.arrivals import receipt_path
from personal_pipeline.ingest.contract import (
    Claim,
    Drop,
    DropFile,
    Progress,
    Source,
    UnreadableFile,
)
from personal_pipeline.ingest.doubtful import is_accepted
from personal_pipeline.ingest.lake import DamagedPartition, Written, digest_of
from personal_pipeline.ingest.ledger import note_shown
from personal_pipeline.ingest.naming import whole_name
from personal_pipeline.ingest.originals import (
    REPLACED,
    UNPACKED,
    Ingest,
    folder_in_inbox,
    keep_ingests,
    keep_originals,
)
from personal_pipeline.ingest.quarantine import Aside
from personal_pipeline.ingest.reading import (
    InLake,
    StreamReceipt,
    ToRead,
    broke_off,
    read_into_lake,
)
from personal_pipeline.ingest.recognition import accepted, claims_of, unknown
from personal_pipeline.ingest.seals import sealed
from personal_pipeline.ingest.unfinished import (
    STILL_WRITTEN,
    UNFINISHED,
    Left,
    Stamp,
    open_for_writing,
    stamp_of,
)
from personal_pipeline.shown import shown

__all__ = ["IngestedFile", "Receipt", "StreamReceipt", "ingest_all", "ingest_file"]

LOCK_WAIT_SECONDS = 600

MAX_TOGETHER = 500
BYTES_TOGETHER = 100_000_000
"""Upper bounds on the files, and on their bytes, that are ingested together: each has a private
copy."""

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}
"""Errors for which no file is to blame."""

A_BARRED_FOLDER = "a folder that you may not read"

_KINDS = {
    S_IFLNK: "a link",
    S_IFIFO: "a pipe",
    S_IFSOCK: "a socket",
    S_IFBLK: "a device",
    S_IFCHR: "a device",
}

_DIGEST_IN_NAME = re.compile(r"[0-9a-f]{12,}")
_DAY_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)")
_MONTH_IN_NAME = re.compile(r"(?<!\d)(20\d\d)[-_.](0[1-9]|1[0-2])(?![\d])")


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one file. ``drop`` is None when no source recognized it; ``problem`` says, in
    a sentence, why it was set aside or what was odd about it."""

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
    """Why a file of a known kind was set aside, in two words."""
    warning: str | None = None
    """What is odd about a file that was ingested all the same: it is truncated, or something was
    uncertain."""
    unreadable_why: tuple[str, ...] = ()
    """The first reasons why rows could not be read, as sentences without values."""
    unreadable_in: str | None = None
    """Where those rows are, with all reasons: a path below the home."""
    also_claimed: tuple[str, ...] = ()
    """Other, less confident claims to the file, one sentence each."""

    @property
    def ingested(self) -> bool:
        return self.drop is not None and self.problem is None

    @property
    def gave_nothing(self) -> bool:
        """Whether the file should have been read, but not one of its rows is in the lake."""
        if self.drop is None or self.problem:
            return self.problem is not None
        return not any(
            each.new + each.altered + each.vanished + each.unchanged + each.ahead
            for each in self.streams
        )


@dataclass(frozen=True, slots=True)
class IngestedFile:
    """A receipt together with the partitions that were written, by source and stream."""

    receipt: Receipt
    written: Mapping[tuple[str, str], Sequence[Written]]
    members: tuple[IngestedFile, ...] = ()
    """For an archive: what became of the files in it."""

    def everything(self) -> Iterator[IngestedFile]:
        """This one, then those of the files in it."""
        yield self
        for member in self.members:
            yield from member.everything()


def waiting(home: Home) -> list[Path]:
    """The files in the inbox that are ready to be ingested, oldest first."""
    if not home.inbox.is_dir():
        return []
    files = {path: stamp for path in complete_files(home.inbox) if (stamp := stamp_of(path))}
    return sorted(files, key=lambda path: (files[path].modified_ns, path.name))


def entries(home: Home) -> dict[Path, list[Path]]:
    """The files and folders at the top of the inbox, each with the files in it that are ready to be
    ingested, oldest first."""
    found: dict[Path, list[Path]] = {}
    for path in waiting(home):
        entry = home.inbox / path.relative_to(home.inbox).parts[0]
        found.setdefault(entry, []).append(path)
    return found


def oddities(home: Home) -> dict[Path, str]:
    """Entries in the inbox that are neither file nor folder, and folders that cannot be read, each
    with a description."""
    found: dict[Path, str] = {}
    barred: list[OSError] = []
    for folder, folders, files in os.walk(home.inbox, onerror=barred.append):
        for name in [*folders, *files]:
            path = Path(folder, name)
            try:
                mode = path.lstat().st_mode
            except OSError:
                continue  # another process has just ingested it
            if not name.startswith(".") and not (S_ISREG(mode) or S_ISDIR(mode)):
                found[path] = _KINDS.get(S_IFMT(mode), "a special file")
        folders[:] = [name for name in folders if not name.startswith(".")]
    return found | {Path(error.filename): A_BARRED_FOLDER for error in barred if error.filename}


def complete_files(folder: Path) -> list[Path]:
    """The files below a folder that are not still being written; hidden files and links are
    skipped."""
    return [path for path in files_below(folder) if not path.name.endswith(UNFINISHED)]


def captured_at(name: str, modified: datetime) -> datetime:
    """When the service produced a file (UTC): a date in its name, else the file's time.

    A date in the name means the end of that day, or of that month when no day is given, but never
    later than the file itself; a date after the file's own time is wrong and is ignored.
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


def ingest_file(
    home: Home,
    sources: Sequence[Source],
    path: Path,
    now: datetime,
    progress: Progress | None = None,
) -> IngestedFile:
    """Ingest one file from the inbox. Bad input never raises: it is set aside, with a receipt.
    ``progress`` is called with how much of a huge file has been read, in megabytes.

    An archive that no source claims is unpacked, and its files are ingested one by one. Raises
    ``FileNotFoundError`` when the file is gone, because another process ingested it first, and
    ``Left`` when it stays in the inbox for now.
    """
    for outcome in ingest_all(home, sources, [path], lambda: now, progress):
        if isinstance(outcome, Left):
            raise outcome
        return outcome
    raise FileNotFoundError(f"{path} is gone")


def ingest_all(
    home: Home,
    sources: Sequence[Source],
    paths: Sequence[Path],
    clock: Callable[[], datetime],
    progress: Progress | None = None,
) -> Iterator[IngestedFile | Left]:
    """Ingest many files from the inbox together: as if each were ingested by itself, but with one
    sync to disk for all. Whatever goes wrong with one file, the others are ingested.

    A file that stays in the inbox for now is yielded as ``Left``; one that is gone yields nothing.
    """
    done = 0
    for batch in _batches(paths):
        # not while holding the lock: the consumer may take its time
        with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS), scratch(home, "unpacked") as place:
            outcomes = _Batch(home, sources, clock(), place, progress).ingest(
                batch, done, len(paths)
            )
        yield from outcomes
        done += len(batch)


def _batches(paths: Sequence[Path]) -> Iterator[list[Path]]:
    batch: list[Path] = []
    size = 0
    for path in paths:
        stamp = stamp_of(path)
        own = stamp.size if stamp else 0
        if batch and (len(batch) == MAX_TOGETHER or size + own > BYTES_TOGETHER):
            yield batch
            batch, size = [], 0
        batch.append(path)
        size += own
    if batch:
        yield batch


@dataclass(frozen=True, slots=True)
class _Copy:
    """A file of the inbox as it was at one moment. ``path`` is a private copy, which nobody changes
    while it is read, below the same folders as in the inbox, which may name an account.

    ``came_as`` is the path in the inbox and ``stamp`` the state of that file when it was copied;
    for a file from an archive they are those of the archive, and ``inside`` is set.
    """

    path: Path
    came_as: Path
    stamp: Stamp
    receipt: Receipt
    inside: bool = False

    @property
    def name(self) -> str:
        """As it came, which may not be valid text."""
        return self.path.name if self.inside else self.came_as.name

    @property
    def unchanged(self) -> bool:
        return stamp_of(self.came_as) == self.stamp

    @property
    def left(self) -> Left:
        return Left(self.receipt.file, STILL_WRITTEN)


@dataclass(frozen=True, slots=True)
class _Claimed:
    """A file to be read by a source's drop; its receipt says whose it is."""

    copy: _Copy
    source: Source
    drop: Drop
    claim: Claim
    file: DropFile
    receipt: Receipt


@dataclass(slots=True)
class _Batch:
    """Files that are ingested together. The order of writes makes a kill at any point recoverable
    by ingesting them again: originals, rows, receipts, each durable before the next; then the files
    leave the inbox."""

    home: Home
    sources: Sequence[Source]
    now: datetime
    scratch: Path
    progress: Progress | None
    folders: int = 0
    made: set[Path] = field(default_factory=set)

    def ingest(self, paths: Sequence[Path], done: int, total: int) -> list[IngestedFile | Left]:
        outcomes: list[IngestedFile | Left] = []
        copies: list[_Copy] = []
        for number, path in enumerate(paths):
            if self.progress and total > 1:
                self.progress("inbox", done + number, total)
            try:
                copies.append(self._copied(path))
            except FileNotFoundError:
                continue  # another process ingested it first
            except Left as left:
                outcomes.append(left)
            except OSError as error:
                outcomes.append(self._moved(path, error))
        # once for all files: it scans everything that any process has open
        written = open_for_writing([each.stamp for each in copies])
        outcomes += [each.left for each in copies if each.stamp in written]
        copies = [each for each in copies if each.stamp not in written]
        ingested = self._ingest(copies)
        written = open_for_writing([each.stamp for each in copies])
        for copy, outcome in zip(copies, ingested, strict=True):
            outcomes.append(outcome)
            # the archive has it by its digest; leave whatever took its place in the inbox, and
            # whatever was opened in the meantime, so that nobody writes to an unlinked file
            if isinstance(outcome, IngestedFile) and copy.unchanged and copy.stamp not in written:
                copy.came_as.unlink(missing_ok=True)
        return outcomes

    def _copied(self, path: Path) -> _Copy:
        """A private copy of a file. Raises ``Left`` when it changes in the meantime."""
        stamp = stamp_of(path)
        if stamp is None:
            raise FileNotFoundError(f"{path} is not a file any more")
        inbox = self.home.inbox if path.is_relative_to(self.home.inbox) else path.parent
        parts = [whole_name(part) for part in path.relative_to(inbox).parts]
        place = self.scratch.joinpath("inbox", *parts)
        if place.exists():
            # two names that are equal on this file system, or once made printable
            place = self._folder().joinpath("inbox", *parts)
        if place.parent not in self.made:
            place.parent.mkdir(parents=True, exist_ok=True)
            self.made.add(place.parent)
        digest = copy_file(path, place)
        if stamp_of(path) != stamp:
            raise Left(shown(path.name), STILL_WRITTEN)
        os.utime(place, ns=(stamp.modified_ns, stamp.modified_ns))
        return _Copy(place, path, stamp, self._receipt(place, shown(path.name), digest))

    def _folder(self) -> Path:
        self.folders += 1
        return self.scratch / f"scratch-{self.folders}"

    def _receipt(self, place: Path, name: str, digest: str) -> Receipt:
        return Receipt(
            file=name,
            received_at=self.now.isoformat(),
            digest=digest,
            size=place.stat().st_size,
            source=None,
            drop=None,
            captured_at=drop_file(self.home, place).captured_at.isoformat(),
            reason="",
        )

    def _moved(self, path: Path, error: OSError) -> IngestedFile | Left:
        """Set aside a file that cannot be copied; leave it in place when the disk is to blame."""
        name = shown(path.name)
        if error.errno in OF_THE_DISK:
            return Left(name, of_the_disk(error), trouble=True)
        words = error.strerror or type(error).__name__
        problem = f"It cannot be read ({words}). Make it readable, and add it again."
        return set_aside_unread(self.home, path, problem, self.now)

    def _ingest(self, copies: Sequence[_Copy]) -> list[IngestedFile | Left]:
        """What becomes of the files, in their order."""
        found: dict[int, IngestedFile | Left] = {}
        receipts: dict[int, Receipt] = {}
        groups: dict[tuple[str, str], list[tuple[int, _Claimed]]] = {}
        aside = Aside(self.home)

        def put_aside(
            place: int,
            receipt: Receipt,
            problem: str,
            folder: str = "unknown",
            cause: str | None = None,
        ) -> None:
            """``problem`` is written in full beside the file; the receipt gets its first line."""
            copy = copies[place]
            if not copy.unchanged:
                found[place] = copy.left
                return
            try:
                aside.put(
                    copy.path, copy.name, folder, f"{receipt.file}: {problem}", receipt.digest
                )
            except OSError as error:
                found[place] = Left(receipt.file, of_the_disk(error), trouble=True)
                return
            receipts[place] = replace(receipt, problem=problem.splitlines()[0], cause=cause)
            found[place] = IngestedFile(receipts[place], {})

        for place, copy in enumerate(copies):
            try:
                answer = self._asked(copy)
            except OSError as error:
                found[place] = Left(copy.receipt.file, of_the_disk(error), trouble=True)
            except Exception as error:
                put_aside(place, copy.receipt, broke_off(error))
            else:
                if isinstance(answer, str):
                    put_aside(place, copy.receipt, answer)
                elif isinstance(answer, _Claimed):
                    key = answer.source.name, answer.drop.name
                    groups.setdefault(key, []).append((place, answer))
                else:
                    found[place] = answer
        for group in groups.values():
            results = self._read([each for _, each in group])
            for (place, each), result in zip(group, results, strict=True):
                if isinstance(result, Left):
                    found[place] = result
                elif result.left_out:
                    found[place] = copies[place].left
                elif result.problem:
                    put_aside(place, each.receipt, result.problem, each.source.name, result.cause)
                else:
                    receipts[place] = replace(
                        each.receipt,
                        unreadable=result.unreadable,
                        unreadable_why=result.unreadable_why,
                        unreadable_in=result.unreadable_in,
                        streams=result.streams,
                        warning=result.warning,
                    )
                    written = {(each.source.name, name): w for name, w in result.written.items()}
                    found[place] = IngestedFile(receipts[place], written)
        try:
            aside.publish()
            write_receipts(self.home, list(receipts.values()))
        except OSError as error:
            for place, receipt in receipts.items():
                found[place] = Left(receipt.file, of_the_disk(error), trouble=True)
        finally:
            aside.drop()
        return [found[place] for place in range(len(copies))]

    def _asked(self, copy: _Copy) -> _Claimed | IngestedFile | Left | str:
        """Who reads a file; or what became of it, when it is an archive of files; or why nobody
        reads it."""
        home, sources, receipt = self.home, self.sources, copy.receipt
        try:
            refuse_hostile(copy.path)
        except UnreadableFile as error:
            return str(error)
        if not receipt.size:
            return "The file is empty; export it again."
        file = drop_file(home, copy.path)
        claims = claims_of(sources, file)
        if not claims:
            if not copy.inside and kind_of(copy.path):
                return self._ingest_members(copy)
            return unknown(sources, file)
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
        if self.progress:
            told = self.progress

            def in_megabytes(done: int, total: int) -> None:
                told(f"{receipt.file}, MB", done // 1_000_000, total // 1_000_000)

            file = replace(file, progress=in_megabytes)
        return _Claimed(copy, source, drop, claim, file, receipt)

    def _read(self, claimed: Sequence[_Claimed]) -> list[InLake | Left]:
        """Read files of one kind. If that fails, retry them one by one, so that a bad file affects
        only itself."""
        try:
            return [*_read_into_lake(self.home, claimed, self.now, self._folder())]
        except Exception as error:
            full = isinstance(error, OSError) and error.errno in OF_THE_DISK
            if len(claimed) > 1 and not full:
                return [result for each in claimed for result in self._read([each])]
            if isinstance(error, DamagedPartition):
                words = str(error)
            elif isinstance(error, OSError):
                words = of_the_disk(error)
            else:
                return [InLake(problem=broke_off(error), cause=UnreadableFile.cause)]
            return [Left(each.receipt.file, words, trouble=True) for each in claimed]

    def _ingest_members(self, copy: _Copy) -> IngestedFile | Left | str:
        """Ingest the files of an archive that no source claims as a whole, one by one.

        An archive inside it is opened too, but no deeper. Files that no source recognizes stay in
        the archive, which is kept whole; if no source recognizes any of them, the archive itself is
        set aside.
        """
        # as if the archive's folders were in the inbox: they may name an account
        folder = self._folder() / "inbox"
        name = copy.receipt.file
        try:
            members, strangers = _members(
                self.home, self.sources, copy.path, folder, Budget.of(copy.path)
            )
        except UnreadableFile as error:
            return str(error)
        if isinstance(members, Path):
            # an export packed in another format, or one of its folders
            whole = self._receipt(members, name, digest_of(members))
            return self._ingest([replace(copy, path=members, receipt=whole, inside=True)])[0]
        if not members:
            return (
                f"No source recognizes any of the {strangers:,} files in it.\nThe inbox accepts:\n"
                + accepted(self.sources)
            )
        if not copy.unchanged:
            return copy.left
        replaced = keep_originals(self.home, [(copy.path, copy.receipt.digest)])
        reason = f"not an export itself, but {len(members):,} of the files in it are"
        claim = Claim(1, reason)
        keep_ingests(
            self.home, [(copy.receipt.digest, _ingest_of(self.home, copy, *UNPACKED, claim), None)]
        )
        inside = [
            self._receipt(
                each, f"{name}/{shown(each.relative_to(folder).as_posix())}", digest_of(each)
            )
            for each in members
        ]
        outcomes = self._ingest(
            [
                replace(copy, path=each, receipt=receipt, inside=True)
                for each, receipt in zip(members, inside, strict=True)
            ]
        )
        done = tuple(each for each in outcomes if isinstance(each, IngestedFile))
        for outcome in outcomes:
            if isinstance(outcome, Left):
                # what was already ingested will be found unchanged next time
                return Left(name, outcome.reason, trouble=outcome.trouble)
        receipt = replace(
            copy.receipt,
            source=UNPACKED[0],
            drop=UNPACKED[1],
            reason=reason,
            warning=_sentences(
                REPLACED if replaced else None,
                f"Files in it that were not recognized: {strangers:,}." if strangers else None,
            ),
        )
        write_receipts(self.home, [receipt])
        return IngestedFile(receipt, {}, done)


def _read_into_lake(
    home: Home, claimed: Sequence[_Claimed], now: datetime, folder: Path
) -> list[InLake]:
    """Read files of one kind. Their originals, and what reading them depends on, are archived
    before any of their rows reach the lake; a file that changed in the meantime gets neither."""
    source, drop = claimed[0].source, claimed[0].drop
    replaced: set[str] = set()
    ingests: list[str] = []

    def before_rows(places: Sequence[int]) -> list[int]:
        changed = [place for place in places if not claimed[place].copy.unchanged]
        kept = [place for place in places if place not in changed]
        digests = [claimed[place].receipt.digest for place in kept]
        paths = [claimed[place].copy.path for place in kept]
        replaced.update(keep_originals(home, zip(paths, digests, strict=True)))
        dialects = drop.dialects(home.root)
        new = []
        for place, digest in zip(kept, digests, strict=True):
            each = claimed[place]
            ingest = _ingest_of(home, each.copy, source.name, drop.name, each.claim)
            ingest = replace(
                ingest,
                captured_at=str(each.receipt.captured_at),
                accepted=is_accepted(home, digest),
            )
            new.append((digest, ingest, dialects.get(each.claim.dialect or "")))
        keep_ingests(home, new)
        ingests.extend(ingest.id(digest) for digest, ingest, _ in new)
        return changed

    files = [ToRead(each.file, each.receipt.digest, each.receipt.file) for each in claimed]
    folder.mkdir(parents=True, exist_ok=True)
    results = read_into_lake(home, source, drop, files, now, folder, before_rows)
    written: dict[str, list[Written]] = {}
    for result in results:
        for name, partitions in result.written.items():
            written.setdefault(name, []).extend(partitions)
    note_shown(home, source, drop, ingests, written, to_come=[each.to_come for each in results])
    return [
        replace(
            result,
            warning=_sentences(
                REPLACED if each.receipt.digest in replaced else None,
                result.warning,
                lies_ahead(sum(stream.ahead for stream in result.streams), now),
            ),
        )
        for each, result in zip(claimed, results, strict=True)
    ]


def _ingest_of(home: Home, copy: _Copy, source: str, drop: str, claim: Claim) -> Ingest:
    return Ingest(
        name=copy.path.name,
        folder=folder_in_inbox(home, copy.path),
        modified_ns=copy.path.stat().st_mtime_ns,
        received_at=copy.receipt.received_at,
        source=source,
        drop=drop,
        captured_at=str(copy.receipt.captured_at),
        confidence=claim.confidence,
        reason=claim.reason,
        dialect=claim.dialect,
        inside=copy.receipt.file if copy.inside else None,
    )


def lies_ahead(rows: int, now: datetime) -> str | None:
    """The sentence about rows in the future."""
    if not rows:
        return None
    return (
        f"{rows:,} of its rows are in the future: this machine says it is "
        f"{now.astimezone(UTC):%Y-%m-%d}. They are kept, and ingested once their date has passed. "
        "If the clock is wrong, correct it and run `personal-pipeline refresh`."
    )


def _sentences(*sentences: str | None) -> str | None:
    return " ".join(filter(None, sentences)) or None


def _members(
    home: Home, sources: Sequence[Source], path: Path, folder: Path, budget: Budget, depth: int = 1
) -> tuple[list[Path] | Path, int]:
    """The files of an archive that a source claims, and the number of others; or a single zip of
    all of them, when that is what a source claims. Raises ``UnreadableFile``."""
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


def drop_file(home: Home, path: Path) -> DropFile:
    """A file as readers see it."""
    modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return DropFile(path, path.name, captured_at(path.name, modified), home.root)


def set_aside_unread(home: Home, path: Path, problem: str, now: datetime) -> IngestedFile | Left:
    """Set aside what cannot be copied: move it into quarantine as it is."""
    name = shown(path.name)
    try:
        Aside(home).move(path, path.name, "unknown", f"{name}: {problem}")
        receipt = Receipt(name, now.isoformat(), "", 0, None, None, None, "", problem=problem)
        write_receipts(home, [receipt])
    except OSError as error:
        why = error.strerror or type(error).__name__
        return Left(name, f"{problem} It could not be set aside ({why}).", trouble=True)
    return IngestedFile(receipt, {})


def of_the_disk(error: OSError) -> str:
    """The sentence for a file that stays in the inbox because of the disk."""
    why = error.strerror or type(error).__name__
    return f"not ingested ({why}): it stays in the inbox for the next pass."


def copy_file(path: Path, place: Path) -> str:
    """Copy a file's content into a new file only we can read; returns its digest (SHA-256)."""
    digest = hashlib.sha256()
    # if it has become a pipe since it was checked, a blocking open would wait forever
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as source, place.open("xb") as target:
        place.chmod(PRIVATE_FILE)
        while block := source.read(BLOCK_BYTES):
            digest.update(block)
            target.write(block)
    return digest.hexdigest()


def write_receipts(home: Home, receipts: Sequence[Receipt]) -> None:
    """Write receipts durably."""
    finished: dict[Path, Path] = {}
    places: set[Path] = set()
    for receipt in receipts:
        wanted = receipt_path(home, receipt.digest, receipt.received_at)
        place, number = free_name(wanted), 1
        while place in places:
            number += 1
            place = free_name(wanted.with_name(f"{wanted.stem}-{number}.json"))
        places.add(place)
        finished[staged(place, json.dumps(sealed(asdict(receipt)), indent=1).encode())] = place
    publish(finished)
