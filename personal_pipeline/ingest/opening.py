"""Opening a home: an earlier version is migrated, a later one is refused.

Version 1 had no sidecars: what reading an original depended on is taken from the receipts. The
folder it was in is found by trying those that the lake names: the right one yields every row.

Versions 1 and 2 had one file per day for everything fetched. For streams partitioned by month, the
days are combined from these files alone; superseded content stays in the archive by day.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import groupby
from pathlib import Path
from typing import Any

from personal_pipeline.home import DAMAGED, VERSION, Home, sweep
from personal_pipeline.ingest.contract import ApiStream, Coverage, Drop, DropRow, Grain, Source
from personal_pipeline.ingest.coverage import forget_days
from personal_pipeline.ingest.inbox import LOCK_WAIT_SECONDS, captured_at, drop_file
from personal_pipeline.ingest.lake import VERSIONS, DamagedPartition, Row, lake_of
from personal_pipeline.ingest.ledger import (
    LakeRecord,
    code_of,
    months_of_lake,
    read_shown,
    write_shown,
)
from personal_pipeline.ingest.originals import (
    UNPACKED,
    Ingest,
    ingests_of,
    keep_dialect,
    without_sidecar,
    write_ingests,
)
from personal_pipeline.ingest.quarantine import Aside
from personal_pipeline.ingest.recognition import claims_of


def opened(home: Home, sources: Sequence[Source]) -> tuple[str, ...]:
    """Prepare a home for this version, and sweep up after killed processes. Returns sentences about
    what a migration could not determine. Raises ``NewerHome``. May be killed and called again."""
    version = home.version()
    sweep(home.ensure())
    if version == VERSION:
        return ()
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        said = [*give_sidecars(home, sources)]
        _begin_ledgers(home, sources)
    for source in sources:
        with home.lock(source.name, wait_seconds=LOCK_WAIT_SECONDS):
            for stream in source.api:
                said += _put_days_together(home, source, stream)
    with home.lock("warehouse", wait_seconds=LOCK_WAIT_SECONDS):
        # its tables were partitioned differently: they are rebuilt, and readers keep their copy
        # meanwhile
        for path in home.root.glob(f"{home.warehouse.name}*"):
            path.unlink()
    home.note_version()
    return tuple(said)


def _put_days_together(home: Home, source: Source, stream: ApiStream) -> list[str]:
    """Combine day files into month files, where the stream is partitioned by month. A day's file is
    deleted once its month is durable, so a killed migration can resume. Returns a sentence about
    damaged days, which are requested again."""
    if stream.grain is not Grain.MONTH:
        return []
    lake = lake_of(home, source.name, stream)
    of_days = lake_of(home, source.name, replace(stream, grain=Grain.DAY))
    present = of_days.partitions()
    if present:
        # its day names are also valid month names
        (lake.folder / VERSIONS).unlink(missing_ok=True)
    damaged: list[date] = []
    for _, days in groupby(present, key=lake.partition_of):
        rows: dict[date, list[Row]] = {}
        for day in days:
            try:
                rows[day] = list(of_days.rows(day))
            except DamagedPartition:
                damaged.append(day)
        # also for days that are all empty: they were requested
        lake.write_units(rows)
        for day in rows:
            path = of_days.path(day)
            path.unlink()
            with suppress(OSError):  # a foreign file is beside it
                path.parent.rmdir()
    if not damaged:
        return []
    forget_days(home, source.name, stream.name, damaged)
    for day in damaged:
        name = "-".join(of_days.path(day).relative_to(home.root).parts)
        Aside(home).move(of_days.path(day), name, DAMAGED, "a damaged lake file")
    of_then = stream.coverage is Coverage.HISTORY
    return [
        f"{source.name}.{stream.name}: {len(damaged):,} days, from {damaged[0]} on, cannot be "
        f"read. Their damaged files are in {home.quarantine / DAMAGED}. "
        + (
            "The service does not offer past states again."
            if of_then
            else ("They will be fetched again.")
        )
    ]


def complete_sidecars(home: Home, sources: Sequence[Source]) -> tuple[str, ...]:
    """Recreate missing or damaged sidecars. Returns sentences, if there were any."""
    if not without_sidecar(home):
        return ()
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        # a file being ingested gets its original first
        lacking = len(without_sidecar(home))
        said = give_sidecars(home, sources)
    made = (
        f"The sidecars of {lacking:,} originals were missing or damaged, and have been recreated."
    )
    return (made, *said) if lacking else ()


def _with_dialect(
    home: Home, drops: Mapping[tuple[str, str], tuple[Source, Drop]], ingest: Ingest
) -> Ingest:
    if ingest.dialect is None:
        return ingest
    text = drops[ingest.source, ingest.drop][1].dialects(home.root).get(ingest.dialect)
    return replace(ingest, dialect_digest=keep_dialect(home, text)) if text else ingest


@dataclass(frozen=True, slots=True)
class _Row:
    stream: str
    key: str
    origin: str | None
    folder: str


def give_sidecars(home: Home, sources: Sequence[Source]) -> tuple[str, ...]:
    """Write a sidecar for each original without one, from the receipts and the lake. The caller
    holds the inbox lock. Returns sentences about what could not be determined."""
    originals = without_sidecar(home)
    if not originals:
        return ()
    receipts = _receipts(home)
    drops = {(each.name, drop.name): (each, drop) for each in sources for drop in each.drops}
    rows: dict[tuple[str, str], list[_Row]] = {}
    unreceipted = folderless = 0
    for original in originals:
        digest = original.name.partition(".")[0]
        ingests = [_ingest(original, each) for each in receipts.get(digest, ())]
        if not ingests:
            unreceipted += 1
        found: list[Ingest] = []
        for kind in dict.fromkeys((each.source, each.drop) for each in ingests):
            mine = [each for each in ingests if (each.source, each.drop) == kind]
            if kind in drops and kind not in rows:
                rows[kind] = _rows(home, *drops[kind])
            if rows.get(kind):
                mine, is_sure = _placed(home, *drops[kind], original, digest, mine, rows[kind])
                folderless += not is_sure
            found += mine
        found.sort(key=lambda each: each.received_at)
        # all or nothing: an existing sidecar is not looked into again
        write_ingests(home, digest, [_with_dialect(home, drops, each) for each in found])
    said = []
    if unreceipted:
        said.append(
            f"{unreceipted:,} files in archive/originals/ have no receipt, so their kind is "
            "unknown: they are kept, but not ingested again."
        )
    if folderless:
        said.append(
            f"For {folderless:,} files in archive/originals/ the original folder is unknown: when "
            "re-read, they may be assigned to another account."
        )
    return tuple(said)


def _receipts(home: Home) -> Mapping[str, Sequence[Mapping[str, Any]]]:
    """The receipts of archived files, by digest, in order of arrival."""
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for path in sorted((home.archive / "receipts").glob("*.json")):
        # an unreadable one is skipped here as elsewhere
        with suppress(OSError, ValueError, KeyError, TypeError):
            receipt = json.loads(path.read_bytes())
            datetime.fromisoformat(receipt["received_at"])
            datetime.fromisoformat(receipt["captured_at"])
            if receipt["drop"] is not None:
                found[str(receipt["digest"])].append(receipt)
    for receipts in found.values():
        receipts.sort(key=lambda each: datetime.fromisoformat(each["received_at"]))
    return found


def _ingest(original: Path, receipt: Mapping[str, Any]) -> Ingest:
    """What a receipt tells; for a file from an archive, its folder too."""
    file = str(receipt["file"])
    inside = None
    *folders, name = file.split("/")
    if folders:
        inside, folders = file, folders[1:]
    elif original.suffix and not name.lower().endswith(original.suffix.lower()):
        # an archive of another format, which was converted to a zip
        inside, name = file, f"{name.split('.')[0]}{original.suffix}"
    captured = datetime.fromisoformat(receipt["captured_at"])
    modified_ns = original.stat().st_mtime_ns
    kept = datetime.fromtimestamp(original.stat().st_mtime, captured.tzinfo)
    if captured_at(name, kept) != captured:
        # for a file that arrived twice, the archive has the time of the first arrival
        modified_ns = round(captured.timestamp() * 1_000_000) * 1_000
    return Ingest(
        name=name,
        folder="/".join(folders),
        modified_ns=modified_ns,
        received_at=str(receipt["received_at"]),
        source=str(receipt["source"]),
        drop=str(receipt["drop"]),
        captured_at=str(receipt["captured_at"]),
        reason=str(receipt["reason"]),
        inside=inside,
    )


def _rows(home: Home, source: Source, drop: Drop) -> list[_Row]:
    """The rows of streams that record a file's folder; empty if none does."""
    found = []
    for stream in drop.streams:
        lake = lake_of(home, source.name, stream)
        if lake.table is not None:
            continue
        for partition in lake.partitions():
            with suppress(DamagedPartition):
                found += [
                    _Row(stream.name, row.key, row.origin, str(row.record.get("folder") or ""))
                    for row in lake.read(partition).values()
                ]
    return found if any(row.folder for row in found) else []


def _placed(
    home: Home,
    source: Source,
    drop: Drop,
    original: Path,
    digest: str,
    ingests: Sequence[Ingest],
    rows: Sequence[_Row],
) -> tuple[list[Ingest], bool]:
    """The ingests with their folders: those that yield the rows the lake has from this original;
    and whether these are all of its rows."""
    there = {(row.stream, row.key) for row in rows}
    own = {(row.stream, row.key) for row in rows if row.origin == digest}
    folders = sorted({row.folder for row in rows} | {""})
    placed: list[Ingest] = []
    # files from an archive have a known folder, which leaves fewer for the others
    for ingest in sorted(ingests, key=lambda each: not each.inside):
        tried = [
            _with_claim(home, source, drop, original, ingest, folder)
            for folder in ([ingest.folder] if ingest.inside else folders)
        ]
        best, keys = max(
            tried,
            key=lambda each: (len(each[1] & there) / max(len(each[1]), 1), len(each[1] & own)),
        )
        placed.append(best)
        own -= keys
    return placed, not own


def _with_claim(
    home: Home, source: Source, drop: Drop, original: Path, ingest: Ingest, folder: str
) -> tuple[Ingest, set[tuple[str, str]]]:
    """The ingest as if the file had been in this folder, and the keys of the rows it yields."""
    ingest = replace(ingest, folder=folder)
    with tempfile.TemporaryDirectory(dir=home.state, prefix="opening-") as scratch:
        place = Path(scratch) / "inbox" / folder / ingest.name
        place.parent.mkdir(parents=True)
        shutil.copyfile(original, place)
        os.utime(place, ns=(ingest.modified_ns, ingest.modified_ns))
        file = replace(
            drop_file(home, place), captured_at=datetime.fromisoformat(ingest.captured_at)
        )
        for each in claims_of([source], file):
            if each.drop is drop:
                claim = each.claim
                ingest = replace(ingest, confidence=claim.confidence, dialect=claim.dialect)
        keys: set[tuple[str, str]] = set()
        # if anything fails, this was not the folder
        with suppress(Exception):
            keys = {(row.stream, row.key) for row in drop.read(file) if isinstance(row, DropRow)}
    return ingest, keys


def _begin_ledgers(home: Home, sources: Iterable[Source]) -> None:
    """Record that the lake reflects the whole archive: an older home is trusted, and re-read only
    where a lake file is damaged."""
    shown: dict[tuple[str, str], set[str]] = defaultdict(set)
    for path in (home.archive / "originals").glob("*/*.takings.json"):
        digest = path.name.partition(".")[0]
        for ingest in ingests_of(home, digest) or ():
            if (ingest.source, ingest.drop) != UNPACKED:
                shown[ingest.source, ingest.drop].add(ingest.id(digest))
    for source in sources:
        for drop in source.drops:
            ingests = shown.get((source.name, drop.name))
            if not ingests or read_shown(home, source, drop) is not None:
                continue
            with suppress(DamagedPartition):
                months = months_of_lake(home, source, drop)
                if any(months.values()):
                    ledger = LakeRecord(frozenset(ingests), code_of(home, drop), months)
                    write_shown(home, source, drop, ledger)
