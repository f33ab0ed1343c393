"""Re-reading originals: the only way the lake of dropped files is rebuilt, repaired, or updated
after a reader changes.

All originals of a kind are read in arrival order into a separate scratch lake. The two lakes are
then compared partition by partition, and only partitions that differ are replaced. It can be killed
at any point, and unchanged partitions cost nothing downstream. Receipts are history: none are
written.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

from personal_pipeline.home import (
    Home,
    give_name,
    make_folder,
    move_away,
    scratch,
    sync_folder,
    write_atomically,
)
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    Progress,
    Source,
)
from personal_pipeline.ingest.doubtful import accept, is_accepted
from personal_pipeline.ingest.inbox import LOCK_WAIT_SECONDS, drop_file
from personal_pipeline.ingest.lake import DamagedPartition, StreamLake, lake_of
from personal_pipeline.ingest.ledger import (
    LakeRecord,
    code_of,
    months_of_lake,
    note_shown,
    read_shown,
    write_shown,
)
from personal_pipeline.ingest.opening import give_sidecars
from personal_pipeline.ingest.originals import (
    Ingest,
    all_ingests,
    find_original,
    holds,
    ingests_of,
    kept_dialect,
    write_ingests,
)
from personal_pipeline.ingest.reading import ToRead, latest_month, read_into_lake
from personal_pipeline.ingest.recognition import Claimed, claims_of

_DAMAGED = "a lake file is damaged"
_KNOWN_BEFORE = Claim(0, "it was claimed by this source before")


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """The result of re-reading the originals of one kind: the number of files read, and the
    partitions whose content changed, by stream. ``problems`` are sentences."""

    source: str
    drop: str
    why: str
    files: int
    changed: Mapping[str, Sequence[date]] = field(default_factory=dict)
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Kept:
    """One ingest of a file, as recorded in the archive."""

    digest: str
    ingest: Ingest

    @property
    def id(self) -> str:
        return self.ingest.id(self.digest)


def read_outdated_again(
    home: Home,
    sources: Sequence[Source],
    progress: Progress | None = None,
    *,
    now: datetime | None = None,
) -> list[ReadAgain]:
    """Re-read every kind whose lake differs from what the archive and the readers say it should
    hold. ``now`` defaults to this machine's clock."""
    now = now or datetime.now(UTC)
    done: list[ReadAgain] = []
    # a file now claimed by a different drop is read in the second round
    for rounds in range(2):
        if rounds and not done:
            break
        ingests = _ingests(home)
        for source in sources:
            for drop in source.drops:
                kept = ingests.get((source.name, drop.name), ())
                if why := _outdated(home, source, drop, kept, now):
                    done.append(read_again(home, sources, source, drop, why, progress, now=now))
    return done


def originals_are_whole(home: Home, source: Source, drop: Drop) -> bool:
    """Whether the archive has originals of this kind and all of them match their digests."""
    kept = _ingests(home).get((source.name, drop.name), [])
    originals = [find_original(home, each.digest, each.ingest.name) for each in kept]
    return bool(kept) and all(
        original is not None and holds(original, each.digest)
        for each, original in zip(kept, originals, strict=True)
    )


def outdated(
    home: Home, sources: Sequence[Source], now: datetime | None = None
) -> dict[tuple[str, str], str]:
    """The kinds of files that must be re-read, by source and drop, with the reason for each."""
    now = now or datetime.now(UTC)
    ingests = _ingests(home)
    return {
        (source.name, drop.name): why
        for source in sources
        for drop in source.drops
        if (why := _outdated(home, source, drop, ingests.get((source.name, drop.name), ()), now))
    }


def _outdated(
    home: Home, source: Source, drop: Drop, ingests: Sequence[_Kept], now: datetime
) -> str | None:
    if not ingests:
        return None
    shown = read_shown(home, source, drop)
    if _is_damaged(home, source, drop):
        return _DAMAGED
    if shown is None:
        return "it is not in the lake"
    if shown.code != code_of(home, drop):
        return "the parser changed"
    if shown.months != months_of_lake(home, source, drop):
        return "lake files are missing or were modified"
    if any(_is_lacking(home, shown, each) for each in ingests):
        return "the archive has files that are not in the lake"
    if shown.to_come and shown.to_come <= latest_month(now):
        return "rows that were in the future no longer are"
    return None


def _is_damaged(home: Home, source: Source, drop: Drop) -> bool:
    try:
        months_of_lake(home, source, drop)
    except DamagedPartition:
        return True
    return False


def _is_lacking(home: Home, shown: LakeRecord, kept: _Kept) -> bool:
    return kept.id not in shown.ingests and shown.unread.get(kept.id) != _seen(home, kept)


def _seen(home: Home, kept: _Kept) -> str:
    """A fingerprint of an original, taken without reading it."""
    original = find_original(home, kept.digest, kept.ingest.name)
    if original is None:
        return "missing"
    stat = original.stat()
    return f"{original.name} {stat.st_size} {stat.st_mtime_ns} {stat.st_ino}"


def read_again(
    home: Home,
    sources: Sequence[Source],
    source: Source,
    drop: Drop,
    why: str = "requested",
    progress: Progress | None = None,
    *,
    now: datetime | None = None,
) -> ReadAgain:
    """Re-read all originals of a kind and update the lake from them.

    If an original is missing or damaged, readable partitions are left as they are, because they may
    hold rows from it. If the archive has no originals of a kind, its lake is left alone. Rows in
    the future are judged by ``now``, or by this machine's clock.
    """
    now = now or datetime.now(UTC)
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        give_sidecars(home, sources)
        kept = _ingests(home).get((source.name, drop.name), [])
        if not kept:
            return ReadAgain(source.name, drop.name, why, 0)
        with _inner_home(home) as inner:
            read, unread, problems = _read_all(
                home, inner, sources, source, drop, kept, progress, now
            )
            before = read_shown(home, source, drop) or LakeRecord()
            lost = (before.ingests | before.unread.keys()) - {each.id for each in kept}
            if lost:
                problems.append(
                    f"{source.name} {drop.name}: {len(lost):,} files that were ingested into the "
                    "lake are no longer in the archive. Their rows stay in the lake."
                )
            is_careful = bool(unread or lost)
            changed = {}
            for stream in drop.streams:
                mine = lake_of(home, source.name, stream)
                fresh = lake_of(inner, source.name, stream)
                if partitions := _replace_lake(mine, fresh, careful=is_careful):
                    changed[stream.name] = partitions
            if not is_careful:
                _replace_unreadable(home, inner, source, drop)
            shown = read_shown(inner, source, drop) or LakeRecord()
            write_shown(
                home,
                source,
                drop,
                replace(
                    shown,
                    ingests=frozenset(read),
                    code=code_of(home, drop),
                    months=months_of_lake(home, source, drop),
                    picture=None if is_careful else shown.picture,
                    unread={**dict.fromkeys(lost, "missing"), **unread},
                ),
            )
        return ReadAgain(source.name, drop.name, why, len(read), changed, problems)


def _ingests(home: Home) -> dict[tuple[str, str], list[_Kept]]:
    """Everything recorded in the archive, by source and drop."""
    found: dict[tuple[str, str], list[_Kept]] = {}
    for digest, ingest in all_ingests(home):
        found.setdefault((ingest.source, ingest.drop), []).append(_Kept(digest, ingest))
    return found


def claim_orphans(home: Home, sources: Sequence[Source]) -> int:
    """Find new owners for originals whose kind no longer exists; returns how many found one."""
    kinds = {(source.name, drop.name) for source in sources for drop in source.drops}
    found = 0
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS), _inner_home(home) as inner:
        for kind, kept in _ingests(home).items():
            for each in kept if kind not in kinds else ():
                original = find_original(home, each.digest, each.ingest.name)
                if original is None:
                    continue
                with _staged(home, inner, original, each.ingest, {}) as file:
                    claims = claims_of(sources, file)
                if claims:
                    _hand_over(home, each, claims[0])
                    found += 1
    return found


@contextmanager
def _inner_home(home: Home) -> Iterator[Home]:
    """A scratch home inside the home, on the same disk, with the user's dialects."""
    with scratch(home, "again") as folder:
        inner = Home(folder)
        inner.dialects.mkdir()
        for path in home.dialects.glob("*.y*ml"):
            shutil.copy2(path, inner.dialects / path.name)
        yield inner


def _read_all(
    home: Home,
    inner: Home,
    sources: Sequence[Source],
    source: Source,
    drop: Drop,
    kept: Sequence[_Kept],
    progress: Progress | None,
    now: datetime,
) -> tuple[set[str], dict[str, str], list[str]]:
    """Read the originals into the scratch home. Returns the ids that were read, those that could
    not be (with the fingerprints of their files), and a sentence for each of the latter."""
    read: set[str] = set()
    unread: dict[str, str] = {}
    problems: list[str] = []
    sound: set[str] = set()
    is_picture = any(stream.coverage is Coverage.FULL for stream in drop.streams)
    events = _in_order(kept, with_repetitions=is_picture)
    for number, each in enumerate(events):
        if progress:
            progress(f"{source.name} {drop.name}, re-read", number, len(events))
        original = find_original(home, each.digest, each.ingest.name)
        if original and each.digest not in sound and holds(original, each.digest):
            sound.add(each.digest)
        if original is None or each.digest not in sound:
            if each.id not in unread:
                unread[each.id] = _seen(home, each)
                problems.append(
                    f"{source.name} {drop.name}: the original of {each.ingest.name!r} "
                    f"(archive/originals/{each.digest[:2]}/{each.digest[:12]}…) is "
                    f"{'damaged' if original else 'missing'}. Its rows stay in the lake; if you "
                    "still have the file, drop it into the inbox again."
                )
            continue
        with _staged(home, inner, original, each.ingest, drop.dialects(inner.root)) as file:
            owner = _owner(sources, source, drop, file)
            if owner.drop is not drop:
                _hand_over(home, each, owner)
                continue
            _read(home, inner, owner, file, each, now)
        read.add(each.id)
    if progress:
        progress(f"{source.name} {drop.name}, re-read", len(events), len(events))
    return read, unread, problems


def _in_order(kept: Sequence[_Kept], *, with_repetitions: bool) -> list[_Kept]:
    """The archived files in arrival order. A file that arrived twice is repeated where that may
    matter: of two FULL files with the same capture time, the later one wins."""
    events = []
    for each in kept:
        ingest = each.ingest
        again = ingest.came_again_at if with_repetitions else None
        for at in {ingest.received_at, again or ingest.received_at}:
            received = datetime.fromisoformat(at)
            now = replace(ingest, received_at=at)
            # files from one archive arrived together: order them by name
            events.append(((received, ingest.folder, ingest.name), _Kept(each.digest, now)))
    return [each for _, each in sorted(events, key=lambda event: event[0])]


@contextmanager
def _staged(
    home: Home, inner: Home, original: Path, ingest: Ingest, dialects: Collection[str]
) -> Iterator[DropFile]:
    """The original as it was in the inbox, with its name, folder and modification time. A dialect
    the user has since deleted is restored from the archived copy."""
    place = inner.inbox / ingest.folder / ingest.name
    place.parent.mkdir(parents=True, exist_ok=True)
    if original.stat().st_mtime_ns == ingest.modified_ns:
        try:
            os.link(original, place)
        except OSError:
            shutil.copy2(original, place)
    else:
        shutil.copyfile(original, place)
        os.utime(place, ns=(ingest.modified_ns, ingest.modified_ns))
    text = None
    if ingest.dialect and ingest.dialect not in dialects:
        text = kept_dialect(home, ingest)
    declared = inner.dialects / "kept.yaml"
    try:
        if text:
            declared.write_bytes(text)
        yield replace(drop_file(inner, place), name=ingest.name)
    finally:
        place.unlink(missing_ok=True)
        declared.unlink(missing_ok=True)


def _owner(sources: Sequence[Source], source: Source, drop: Drop, file: DropFile) -> Claimed:
    """Who reads a file: its original owner if that still claims it; otherwise whoever claims it
    now."""
    claims = claims_of(sources, file)
    for each in claims:
        if each.source.name == source.name and each.drop.name == drop.name:
            return each
    if claims:
        return claims[0]
    # nobody recognizes it any more, which is no reason to drop it
    return Claimed(source, drop, _KNOWN_BEFORE)


def _hand_over(home: Home, kept: _Kept, owner: Claimed) -> None:
    """Note that an original now belongs to another kind."""
    ingests = [
        replace(
            each,
            source=owner.source.name,
            drop=owner.drop.name,
            confidence=owner.claim.confidence,
            reason=owner.claim.reason,
            dialect=owner.claim.dialect,
        )
        if each.id(kept.digest) == kept.id
        else each
        for each in ingests_of(home, kept.digest) or ()
    ]
    write_ingests(home, kept.digest, ingests)


def _read(
    home: Home, inner: Home, owner: Claimed, file: DropFile, kept: _Kept, now: datetime
) -> None:
    """Read one file into the scratch home ``inner`` as if it arrived now."""
    ingest = kept.ingest
    received_at = datetime.fromisoformat(ingest.received_at)
    captured_at = owner.claim.captured_at or datetime.fromisoformat(ingest.captured_at)
    to_read = ToRead(replace(file, captured_at=captured_at), kept.digest, ingest.name)
    if ingest.accepted or is_accepted(home, kept.digest):
        accept(inner, kept.digest)
    with scratch(inner, "spool") as folder:
        # a file that yielded nothing was set aside when it arrived, with the reason
        (result,) = read_into_lake(
            inner,
            owner.source,
            owner.drop,
            [to_read],
            received_at,
            folder,
            # it may have arrived while the clock was slow
            clock=max(received_at, now),
        )
    if not result.problem:
        note_shown(
            inner, owner.source, owner.drop, [kept.id], result.written, to_come=[result.to_come]
        )


def _replace_lake(mine: StreamLake, fresh: StreamLake, *, careful: bool) -> list[date]:
    """Make one lake hold what another does; returns the partitions whose content changed. With
    ``careful``, readable partitions are left alone."""
    before, after = mine.sound_versions(), fresh.versions()
    changed = []
    noted = {}
    for partition in sorted({*mine.partitions(), *after}):
        old, new = before.get(partition), after.get(partition)
        place, offered = mine.path(partition), fresh.path(partition)
        if old and careful:
            continue
        if old and new and filecmp.cmp(place, offered, shallow=False):
            continue
        if place.exists() and (old is None or new is None or old.digest != new.digest):
            # if it cannot even be copied, there is nothing worth keeping
            with suppress(OSError):
                mine.archive_partition(partition)
        if new is None:
            if place.is_dir():
                move_away(place)
            place.unlink(missing_ok=True)
            with suppress(OSError):
                place.parent.rmdir()
        else:
            make_folder(place.parent)
            give_name(offered, place)
            sync_folder(place.parent)
            noted[partition] = new
        if old is None or new is None or old.digest != new.digest:
            changed.append(partition)
    mine.note(noted)
    return changed


def _replace_unreadable(home: Home, inner: Home, source: Source, drop: Drop) -> None:
    """Keep the rows that are unreadable now, and delete those that no longer are: they are still in
    the originals."""
    mine = home.quarantine / source.name / drop.name
    fresh = inner.quarantine / source.name / drop.name
    offered = {path.name: path for path in fresh.glob("unreadable-*.jsonl")}
    for name, path in offered.items():
        if not (mine / name).exists():
            write_atomically(mine / name, path.read_bytes())
    if any(stream.name == drop.name for stream in source.api):
        return  # fetched records are quarantined here too
    for path in mine.glob("unreadable-*.jsonl"):
        if path.name not in offered:
            path.unlink()
