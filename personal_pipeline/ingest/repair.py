"""Restoring what is damaged: from a copy, from the originals, or from the service.

Damaged files are moved to ``quarantine/damaged/``. Nothing is reported as repaired unless it holds
its previous content again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from personal_pipeline.home import (
    DAMAGED,
    PRIVATE_FILE,
    READ_ONLY,
    Home,
    scratch,
    write_atomically,
)
from personal_pipeline.ingest.again import originals_are_whole, read_again
from personal_pipeline.ingest.contract import (
    ApiStream,
    Coverage,
    Drop,
    DropStream,
    Grain,
    Source,
)
from personal_pipeline.ingest.coverage import forget_days
from personal_pipeline.ingest.damage import LOCK_WAIT_SECONDS, Damage, Kind, note_damage
from personal_pipeline.ingest.inbox import Receipt
from personal_pipeline.ingest.lake import (
    DamagedPartition,
    StreamLake,
    Version,
    content_digest,
    digest_of,
    lake_of,
)
from personal_pipeline.ingest.opening import give_sidecars
from personal_pipeline.ingest.originals import all_ingests, find_original, holds, ingests_of
from personal_pipeline.ingest.quarantine import Aside
from personal_pipeline.ingest.seals import sealed


@dataclass(frozen=True, slots=True)
class Mended:
    """The outcome for a damaged file, in a sentence. ``whole`` means that it holds its previous
    content again; ``lake`` that a partition was written or moved, so that tables built in the
    meantime are not to be trusted."""

    damage: Damage
    said: str
    whole: bool
    lake: bool = False


def repair(
    home: Home,
    sources: Sequence[Source],
    damages: Sequence[Damage],
    receipt_rows: Callable[[str], dict[str, Any] | None],
) -> Iterator[Mended]:
    """Repair what can be repaired. ``receipt_rows`` returns what the tables know about a receipt,
    by its name."""
    groups: dict[tuple[str, str], list[Damage]] = defaultdict(list)
    # read once for everything that is missing, and not at all when nothing is
    lost = any(each.kind is Kind.ORIGINAL for each in damages)
    copies = _copies(home) if lost else {}
    for damage in damages:
        match damage.kind:
            case Kind.ORIGINAL:
                mended = _original(home, damage, copies)
            case Kind.SIDECAR:
                mended = _sidecar(home, sources, damage)
            case Kind.SUPERSEDED:
                mended = _superseded(home, sources, damage)
            case Kind.RECEIPT:
                mended = _receipt(home, damage, receipt_rows(Path(damage.path).name))
            case Kind.LAKE | Kind.MISSING:
                source, stream = _stream(sources, damage)
                drop = _drop(source, stream).name if isinstance(stream, DropStream) else ""
                groups[source.name, drop].append(damage)
                continue
        if mended.whole or damage.kind is not Kind.ORIGINAL:
            note_damage(home, [damage])
        yield mended
    for group in groups.values():
        yield from _partitions(home, sources, group)


def mend_drops(home: Home, sources: Sequence[Source], damages: Sequence[Damage]) -> list[Mended]:
    """Repair what needs no user action: partitions of dropped files, from the originals, if those
    are all intact. Includes unreadable partitions that no check has reported."""
    known = {(each.source, each.stream, each.partition) for each in damages}
    wanted = [each for each in damages if each.kind in (Kind.LAKE, Kind.MISSING)]
    for source in sources:
        for stream in source.drop_streams:
            lake = lake_of(home, source.name, stream)
            with suppress(DamagedPartition):
                lake.versions()
                continue
            wanted += [
                _damage_of(home, lake, partition)
                for partition in lake.verify(lake.partitions())
                if (source.name, stream.name, partition.isoformat()) not in known
            ]
    mendable = []
    for damage in wanted:
        owner, fed = _stream(sources, damage)
        if isinstance(fed, DropStream) and originals_are_whole(home, owner, _drop(owner, fed)):
            mendable.append(damage)
    return list(repair(home, sources, mendable, lambda _: None))


def _damage_of(home: Home, lake: StreamLake, partition: date) -> Damage:
    version = lake.noted(partition)
    return Damage(
        Kind.LAKE,
        str(lake.path(partition).relative_to(home.root)),
        "it cannot be read",
        lake.source,
        lake.stream,
        partition=partition.isoformat(),
        rows=version.rows if version else 0,
        digest=version.digest if version else "",
    )


def _stream(sources: Sequence[Source], damage: Damage) -> tuple[Source, ApiStream | DropStream]:
    return next(
        (source, stream)
        for source in sources
        if source.name == damage.source
        for stream in source.streams
        if stream.name == damage.stream
    )


def _copies(home: Home) -> dict[str, Path]:
    """The files of quarantine and inbox by digest."""
    found = {}
    for path in (*home.quarantine.rglob("*"), *home.inbox.rglob("*")):
        with suppress(OSError):
            if path.is_file() and not path.is_symlink():
                found[digest_of(path)] = path
    return found


def _original(home: Home, damage: Damage, copies: Mapping[str, Path]) -> Mended:
    path = home.root / damage.path
    digest = path.name.split(".")[0]
    copy = copies.get(digest)
    # it may have been ingested in the meantime
    if copy is not None and holds(copy, digest):
        _put_back(path, copy.read_bytes())
        return Mended(damage, f"{damage.path} was restored from {copy}.", whole=True)
    return Mended(
        damage,
        f"{damage.path}: {damage.found}. There is no other copy here. If you still have the file, "
        "run `personal-pipeline add` with it: it replaces the damaged one.",
        whole=False,
    )


def _sidecar(home: Home, sources: Sequence[Source], damage: Damage) -> Mended:
    path = home.root / damage.path
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        said = give_sidecars(home, sources)
    if ingests_of(home, path.name.split(".")[0]):
        found = f"{damage.path} was recreated from the receipts and the lake."
        return Mended(damage, " ".join([found, *said]), whole=True)
    return Mended(
        damage,
        f"{damage.path} is lost: no receipt says what the original was. The original is kept, but "
        "not ingested again; if you know the file, run `personal-pipeline add` with it.",
        whole=False,
    )


def _superseded(home: Home, sources: Sequence[Source], damage: Damage) -> Mended:
    path = home.root / damage.path
    source, stream = _stream(sources, damage)
    lake = lake_of(home, source.name, stream)
    partition = date.fromisoformat(damage.partition)
    with suppress(OSError, DamagedPartition):
        now = lake.unit_bytes(partition)
        if hashlib.sha256(now).hexdigest().startswith(path.name.split(".")[0]):
            _put_back(path, now)
            return Mended(damage, f"{damage.path} was restored from the lake.", whole=True)
    left = _aside(home, path, "an earlier version of a partition, of which no other copy is known")
    # report it only once
    lake.forget_replaced(partition, path.name)
    return Mended(
        damage,
        f"{damage.path}, an earlier version of {damage.source}/{damage.stream} {damage.partition}, "
        f"is lost: there is no other copy.{left} The current version is not affected.",
        whole=False,
    )


def _receipt(home: Home, damage: Damage, row: dict[str, Any] | None) -> Mended:
    path = home.root / damage.path
    whence = "the tables"
    if row is None:
        row = _receipt_of_taking(home, path)
        whence = "the sidecar of its original; the row counts are lost"
    left = _aside(home, path, "a damaged receipt")
    if row is not None:
        write_atomically(path, json.dumps(sealed(row), indent=1).encode())
        return Mended(damage, f"{damage.path} was restored from {whence}.", whole=True)
    return Mended(
        damage,
        f"{damage.path} is lost: the tables have no copy.{left} The file it was about is in the "
        "archive or in quarantine/.",
        whole=False,
    )


def _receipt_of_taking(home: Home, path: Path) -> dict[str, Any] | None:
    """The receipt with this name, as far as the sidecar of an original has it."""
    for digest, ingest in all_ingests(home):
        if digest[:16] != path.stem.split("-")[1]:
            continue
        original = find_original(home, digest, ingest.name)
        return asdict(
            Receipt(
                file=ingest.inside or ingest.name,
                received_at=ingest.received_at,
                digest=digest,
                size=original.stat().st_size if original else 0,
                source=ingest.source,
                drop=ingest.drop,
                captured_at=ingest.captured_at,
                reason=ingest.reason,
                warning="This receipt was lost, and recreated without counts.",
            )
        )
    return None


def _partitions(home: Home, sources: Sequence[Source], group: Sequence[Damage]) -> list[Mended]:
    """Repair the partitions of one service, or of one kind of drop: together, because re-reading an
    original requires all months to be readable."""
    source, first = _stream(sources, group[0])
    done: list[Mended] = []
    left: list[Damage] = []
    # the lock under which they are written
    lock = "inbox" if isinstance(first, DropStream) else source.name
    with home.lock(lock, wait_seconds=LOCK_WAIT_SECONDS):
        for damage in group:
            if damage.kind is Kind.MISSING:
                left.append(damage)
                continue
            mended, missing = _put_back_or_aside(home, sources, damage)
            if mended:
                done.append(mended)
            else:
                left.append(missing)
    problems: Sequence[str] = ()
    if left and isinstance(first, DropStream):
        problems = read_again(home, sources, source, _drop(source, first)).problems
    for damage in left:
        _, stream = _stream(sources, damage)
        now = _version_now(home, sources, damage)
        if isinstance(stream, ApiStream):
            mended = _fetched_again(home, damage, stream, now)
        else:
            mended = _read(home, damage, problems, now)
        if mended.whole:
            note_damage(home, [damage])
        done.append(mended)
    return done


def _put_back_or_aside(
    home: Home, sources: Sequence[Source], damage: Damage
) -> tuple[Mended | None, Damage]:
    """The repair of a damaged partition; or what is missing after it was moved aside."""
    source, stream = _stream(sources, damage)
    lake = lake_of(home, source.name, stream)
    day = date.fromisoformat(damage.partition)
    what = _what(damage)
    was = Version(damage.digest, damage.rows) if damage.digest else None
    if was and (copy := _copy_of(home, lake, day, was)):
        if lake.table:
            lake.expect(day, copy)
        write_atomically(lake.path(day), copy)
        lake.note({day: was})
        note_damage(home, [damage])
        return Mended(damage, f"{what} was restored from a copy.", whole=True, lake=True), damage
    folder = _folder(home)
    missing = replace(
        damage,
        kind=Kind.MISSING,
        found=f"{what} was damaged and moved to {folder}; it had {damage.rows:,} rows, and is "
        f"missing until it is {'ingested' if isinstance(stream, DropStream) else 'fetched'} "
        "again.",
        stamp=(),
    )
    # noted first: it must not be forgotten if this is killed
    note_damage(home, [], [missing])
    _aside(home, lake.path(day), f"{what}, which had {damage.rows:,} rows before it was damaged")
    if was and not was.rows and not lake.table:
        lake.write(day, ())
        note_damage(home, [damage, missing])
        said = f"{what} had no rows, and was recreated empty."
        return Mended(damage, said, whole=True, lake=True), damage
    if isinstance(stream, ApiStream):
        # a windowed stream is asked for its days, any other for everything
        forget_days(home, source.name, stream.name, lake.units_of(day))
    note_damage(home, [damage])
    return None, missing


def _what(damage: Damage) -> str:
    return f"{damage.source}/{damage.stream} {damage.partition}"


def _fetched_again(home: Home, damage: Damage, stream: ApiStream, now: Version | None) -> Mended:
    """The outcome for a partition of a service that was moved aside."""
    of_then = stream.coverage in (Coverage.STATE, Coverage.HISTORY)
    if now is None and not of_then:
        command = f"`personal-pipeline refresh --source {damage.source}`"
        return Mended(damage, f"{damage.found} Run {command}.", whole=False, lake=True)
    note_damage(home, [damage])
    why = "a service does not offer past states again" if now is None else ""
    said = _lost(home, damage, now, why or "the service did not return the others again")
    return Mended(damage, said, whole=False, lake=True)


def _read(home: Home, damage: Damage, problems: Sequence[str], now: Version | None) -> Mended:
    """The outcome for a partition of a drop, after its originals were re-read."""
    is_same = now is not None and (
        now.digest == damage.digest if damage.digest else now.rows >= damage.rows
    )
    if is_same:
        said = f"{_what(damage)} was re-read from the originals."
        return Mended(damage, said, whole=True, lake=True)
    note_damage(home, [damage])
    why = " ".join(problems) or "the originals now give a different result"
    return Mended(damage, _lost(home, damage, now, why), whole=False, lake=True)


def _lost(home: Home, damage: Damage, now: Version | None, why: str) -> str:
    return (
        f"{_what(damage)} had {damage.rows:,} rows and now has {now.rows if now else 0:,}: {why}. "
        f"The damaged file is in {_folder(home)}. This is reported only once."
    )


def _copy_of(home: Home, lake: StreamLake, day: date, was: Version) -> bytes | None:
    """The bytes of a file with the partition's previous content: the archive may have it, or the
    damage is where it does not matter."""
    # for a month of days the archive has the days
    kept = () if lake.by_day else sorted(lake.superseded_folder(day).glob("*"))
    copies = [
        copy
        for copy in kept
        if copy.is_file() and digest_of(copy).startswith(copy.name.split(".")[0])
    ]
    # the digest of a table does not cover all of its columns
    if not lake.table and lake.path(day).is_file():
        copies.append(lake.path(day))
    with scratch(home, "repair") as place:
        for number, copy in enumerate(copies):
            trial = replace(lake, lake=place / str(number))
            trial.path(day).parent.mkdir(parents=True)
            shutil.copyfile(copy, trial.path(day))
            with suppress(DamagedPartition):
                if trial.versions()[day] == was:
                    return copy.read_bytes()
    return None


def missing_still(home: Home, sources: Sequence[Source], damages: Sequence[Damage]) -> list[Damage]:
    """The known damage that has not been repaired since: a partition that was moved aside is
    repaired when it exists again with at least as many rows."""
    damaged = {each.path for each in damages if each.kind is Kind.LAKE}
    left = []
    for damage in damages:
        if damage.kind is Kind.MISSING and damage.path not in damaged:
            now = _version_now(home, sources, damage)
            if now is not None and now.rows >= damage.rows:
                # on a read-only disk it is found again next time
                with suppress(OSError):
                    note_damage(home, [damage])
                continue
        left.append(damage)
    return left


def _version_now(home: Home, sources: Sequence[Source], damage: Damage) -> Version | None:
    """None when the partition does not exist, or cannot be read."""
    with suppress(StopIteration, DamagedPartition):
        source, stream = _stream(sources, damage)
        lake, partition = lake_of(home, source.name, stream), date.fromisoformat(damage.partition)
        if lake.by_day and Path(damage.path).parent.name == f"{Grain.DAY}={partition}":
            # found when a day had its own file
            rows = lake.read(partition)
            return Version(content_digest(rows.values(), lake.volatile), len(rows))
        return lake.versions().get(partition)
    return None


def _drop(source: Source, stream: DropStream) -> Drop:
    return next(drop for drop in source.drops if stream in drop.streams)


def _put_back(path: Path, content: bytes) -> None:
    if path.is_file():
        # because Windows refuses to replace a read-only file
        path.chmod(PRIVATE_FILE)
    write_atomically(path, content)
    path.chmod(READ_ONLY)


def _folder(home: Home) -> Path:
    return home.quarantine / DAMAGED


def _aside(home: Home, path: Path, reason: str) -> str:
    """Move a damaged file into quarantine, named by its whole path; returns a sentence saying where
    its remains are, if there were any."""
    if not path.exists():
        return ""
    Aside(home).move(path, "-".join(path.relative_to(home.root).parts), DAMAGED, reason)
    return f" The damaged file is in {_folder(home)}."
