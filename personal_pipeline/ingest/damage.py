"""Bit rot: whether the files of archive and lake still hold what was written to them.

An original is named by its SHA-256, a superseded lake file by the first digits of its own, and the
lake notes the hash of each partition. ``verify`` reads everything; ``verify_some`` reads one slice
in thirty, so that each night costs seconds and every file is read once a month. Findings are kept
in ``state/damage.json`` for the board, until the file changes.

Missing files are detected through what refers to them: sidecars and receipts refer to originals,
originals to their sidecars, sidecars to receipts, and the lake notes when a partition was replaced.
These are small, and every check reads them all.
"""

from __future__ import annotations

import json
import os
import re
import time
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.arrivals import receipt_files, receipt_path
from personal_pipeline.ingest.contract import Progress, Source
from personal_pipeline.ingest.lake import StreamLake, digest_of, lake_of
from personal_pipeline.ingest.originals import (
    Ingest,
    all_ingests,
    original_path,
    originals,
    sidecar_path,
    without_sidecar,
)
from personal_pipeline.ingest.seals import is_sound

SLICES = 30
CHECK_EVERY_DAYS = 30
LOCK_WAIT_SECONDS = 600
NIGHTLY_SECONDS = 120
"""A nightly check starts no further slice after this long."""

THREADS = max(2, os.cpu_count() or 1)
_TOGETHER = 4
"""Files per task for a thread: few, because some originals are very large."""

_SUPERSEDED = re.compile(r"([0-9a-f]{16})\..+")


class Kind(StrEnum):
    """What kind of file is damaged."""

    ORIGINAL = "original"
    SIDECAR = "sidecar"
    RECEIPT = "receipt"
    LAKE = "lake"
    SUPERSEDED = "superseded"
    MISSING = "missing"
    """A damaged partition that was moved aside and could not be restored yet."""


_OF_AN_ORIGINAL = (Kind.ORIGINAL, Kind.SIDECAR)


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged file. ``path`` is relative to the home, ``found`` a sentence without advice.

    ``source`` with ``stream`` or ``drop`` says where it appears on the board; ``rows`` and
    ``digest`` are those of a partition when it was intact. ``stamp`` is the state of the file when
    it was found.
    """

    kind: Kind
    path: str
    found: str
    source: str = ""
    stream: str = ""
    drop: str = ""
    partition: str = ""
    rows: int = 0
    digest: str = ""
    stamp: tuple[int, ...] = ()
    is_gone: bool = False
    """Other files refer to it, but it is missing or unusable."""


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check read, and the damage it found."""

    files: int
    bytes: int
    seconds: float
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class _Unit:
    kind: Kind
    path: Path
    lake: StreamLake | None = None
    partition: date | None = None


def verify(
    home: Home, sources: Sequence[Source], today: date, progress: Progress | None = None
) -> CheckResult:
    """Read every file of archive and lake, and record what is damaged. Raises ``Busy``."""
    result = _check_all(home, list(_units(home, sources)), progress)
    result = replace(result, damages=(*result.damages, *_gone(home, sources)))
    missing = [each for each in _kept(home)[1] if each.kind is Kind.MISSING]
    checked_on = dict.fromkeys(map(str, range(SLICES)), today.isoformat())
    _keep(home, checked_on, [*missing, *result.damages])
    return result


def verify_some(home: Home, sources: Sequence[Source], today: date) -> CheckResult | None:
    """Read the slice that was checked longest ago, and as many overdue ones as time allows. None
    when there was a check today already."""
    checked_on, known = _kept(home)
    if today.isoformat() in checked_on.values():
        return None
    begun = time.monotonic()
    slices: dict[str, list[_Unit]] = defaultdict(list)
    for unit in _units(home, sources):
        slices[_slice(home, unit.path)].append(unit)
    gone = _gone(home, sources)
    known = [each for each in known if not each.is_gone] + gone
    done: list[CheckResult] = []
    for name in sorted(map(str, range(SLICES)), key=lambda name: checked_on.get(name, "")):
        is_due = _days_since(checked_on.get(name), today) >= CHECK_EVERY_DAYS
        if done and (not is_due or time.monotonic() - begun > NIGHTLY_SECONDS):
            break
        done.append(_check_all(home, slices[name]))
        checked_on[name] = today.isoformat()
        read = {str(unit.path.relative_to(home.root)) for unit in slices[name]}
        known = [each for each in known if each.path not in read or each.kind is Kind.MISSING]
        known += done[-1].damages
    _keep(home, checked_on, known)
    return CheckResult(
        sum(each.files for each in done),
        sum(each.bytes for each in done),
        time.monotonic() - begun,
        (*gone, *(each for result in done for each in result.damages)),
    )


def known_damage(home: Home) -> list[Damage]:
    """What was found damaged and still is, as far as can be told without reading it again."""
    return [
        each
        for each in _kept(home)[1]
        if each.kind is Kind.MISSING or _stamp(home.root / each.path) == each.stamp
    ]


def sentence(damage: Damage) -> str:
    """What is damaged, and what to do."""
    if damage.kind is Kind.MISSING:
        return (
            f"{damage.found} Run `personal-pipeline refresh`; then `personal-pipeline doctor "
            "--repair` gives up on whatever is still missing."
        )
    return (
        f"{damage.path}: {damage.found}. Run `personal-pipeline doctor --repair`: it restores what "
        "it can, and lists what it cannot."
    )


def note_damage(home: Home, gone: Iterable[Damage], come: Iterable[Damage] = ()) -> None:
    """Remove damage from the list, and add new entries."""
    checked_on, known = _kept(home)
    left = set(gone)
    new = [replace(each, stamp=_stamp(home.root / each.path)) for each in come]
    _keep(home, checked_on, [*(each for each in known if each not in left), *new])


def receipts_of(home: Home) -> Iterator[tuple[Path, dict[str, Any] | None]]:
    """Every receipt, oldest first; None for one that cannot be read."""
    for path in receipt_files(home):
        try:
            receipt = json.loads(path.read_bytes())
            whole = {"digest", "file", "source", "drop", "streams", "received_at"} <= set(receipt)
            whole = whole and is_sound(receipt)
        except (OSError, ValueError, TypeError):
            whole = False
        yield path, receipt if whole else None


def _units(home: Home, sources: Sequence[Source]) -> Iterator[_Unit]:
    for path in originals(home):
        yield _Unit(Kind.ORIGINAL, path)
    for path in sorted((home.archive / "lake").glob("*/*/*/*")):
        if _SUPERSEDED.fullmatch(path.name):
            yield _Unit(Kind.SUPERSEDED, path)
    for path in receipt_files(home):
        yield _Unit(Kind.RECEIPT, path)
    for source in sources:
        for stream in source.streams:
            lake = lake_of(home, source.name, stream)
            for partition in lake.partitions():
                yield _Unit(Kind.LAKE, lake.path(partition), lake, partition)


def _check_all(home: Home, units: Sequence[_Unit], progress: Progress | None = None) -> CheckResult:
    begun = time.monotonic()
    damages: list[Damage] = []
    size = 0
    by_lake: dict[tuple[str, str], list[_Unit]] = defaultdict(list)
    for unit in units:
        if unit.lake:
            by_lake[unit.lake.source, unit.lake.stream].append(unit)
    files = [unit for unit in units if not unit.lake]
    work: list[list[_Unit]] = [files[at : at + _TOGETHER] for at in range(0, len(files), _TOGETHER)]
    # a stream is checked by a single thread, which notes what it learned
    work += by_lake.values()
    done = 0
    with ThreadPoolExecutor(THREADS) as pool:
        for some, found in zip(work, pool.map(_check, work), strict=True):
            damages += found
            done += len(some)
            size += sum(stamp[0] for unit in some if (stamp := _stamp(unit.path)))
            if progress:
                progress("archive and lake", done, len(units))
    described = [_described(home, each) for each in damages]
    return CheckResult(len(units), size, time.monotonic() - begun, tuple(_named(home, described)))


def _check(units: Sequence[_Unit]) -> list[Damage]:
    """In the result, ``path`` is still absolute."""
    lake = units[0].lake
    if lake:
        damages = []
        paths = {unit.partition: unit.path for unit in units}
        for partition in lake.verify([unit.partition for unit in units if unit.partition]):
            version = lake.noted(partition)
            damages.append(
                Damage(
                    Kind.LAKE,
                    str(paths[partition]),
                    "its content is not what was written",
                    lake.source,
                    lake.stream,
                    partition=partition.isoformat(),
                    rows=version.rows if version else 0,
                    digest=version.digest if version else "",
                )
            )
        return damages
    return [Damage(unit.kind, str(unit.path), found) for unit in units if (found := _trouble(unit))]


def _trouble(unit: _Unit) -> str | None:
    try:
        if unit.kind is Kind.RECEIPT:
            receipt = json.loads(unit.path.read_bytes())
            if not is_sound(receipt):
                return "its content is not what was written"
            return None if "digest" in receipt and "streams" in receipt else "it is not a receipt"
        if not digest_of(unit.path).startswith(unit.path.name.split(".")[0]):
            return "its content is not what was written"
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    except (ValueError, TypeError):
        return "it cannot be read"
    return None


def _described(home: Home, damage: Damage) -> Damage:
    path = Path(damage.path)
    damage = replace(damage, path=str(path.relative_to(home.root)), stamp=_stamp(path))
    if damage.kind is Kind.SUPERSEDED:
        source, stream, partition = path.relative_to(home.archive / "lake").parts[:3]
        return replace(damage, source=source, stream=stream, partition=partition)
    return damage


def _named(home: Home, damages: Sequence[Damage]) -> Iterator[Damage]:
    """Add to damaged originals their source and the name and day by which the user knows them."""
    receipts = {}
    if any(each.kind in _OF_AN_ORIGINAL for each in damages):
        receipts = {r["digest"]: r for _, r in receipts_of(home) if r and r["drop"]}
    for each in damages:
        receipt = receipts.get(Path(each.path).name.split(".")[0])
        if each.kind in _OF_AN_ORIGINAL and receipt:
            name = f"`{receipt['file']}`, received on {receipt['received_at'][:10]}"
            yield replace(
                each,
                found=f"the original of {name}: {each.found}",
                source=receipt["source"],
                drop=receipt["drop"],
            )
        else:
            yield each


def _gone(home: Home, sources: Sequence[Source]) -> list[Damage]:
    """Files that the archive refers to but does not have. Raises ``Busy``."""
    if not any(_told_of(home, sources)):
        return []
    with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
        # without the lock, a file being ingested may have one part and not yet the other
        found = [
            replace(each, path=str(Path(each.path).relative_to(home.root)), is_gone=True,
                    stamp=_stamp(Path(each.path)))
            for each in _told_of(home, sources)
        ]  # fmt: skip
    return list(_named(home, found))


def _told_of(home: Home, sources: Sequence[Source]) -> Iterator[Damage]:
    """Like ``_gone``, with absolute paths and without the lock."""
    ingests: dict[str, Ingest] = {}
    for digest, ingest in all_ingests(home):
        ingests.setdefault(digest, ingest)
    names = {digest: ingest.name for digest, ingest in ingests.items()}
    for _, receipt in receipts_of(home):
        if receipt and receipt["drop"] and not receipt.get("problem"):
            names.setdefault(receipt["digest"], Path(receipt["file"]).name)
    there = {path.name.split(".")[0] for path in originals(home)}
    for digest, name in names.items():
        if digest not in there:
            place = original_path(home, digest, name)
            yield Damage(Kind.ORIGINAL, str(place), "it is missing from the archive")
    for path in without_sidecar(home):
        place = sidecar_path(home, path.name.split(".")[0])
        yield Damage(
            Kind.SIDECAR,
            str(place),
            ("its sidecar, which reading the original depends on, is missing or damaged"),
        )
    receipted = {path.stem.split("-")[1] for path in receipt_files(home)}
    for digest, ingest in ingests.items():
        if digest[:16] not in receipted:
            place = receipt_path(home, digest, ingest.received_at)
            yield Damage(Kind.RECEIPT, str(place), "the receipt is missing")
    for source in sources:
        for stream in source.streams:
            lake = lake_of(home, source.name, stream)
            for partition in lake.superseded():
                for place in lake.replaced_and_gone(partition):
                    yield Damage(
                        Kind.SUPERSEDED,
                        str(place),
                        "it is missing from the archive",
                        source.name,
                        stream.name,
                        partition=partition.isoformat(),
                    )


def _slice(home: Home, path: Path) -> str:
    return str(zlib.crc32(path.relative_to(home.root).as_posix().encode()) % SLICES)


def _days_since(day: str | None, today: date) -> int:
    return (today - date.fromisoformat(day)).days if day else CHECK_EVERY_DAYS


def _stamp(path: Path) -> tuple[int, ...]:
    try:
        stat = path.stat()
    except OSError:
        return ()
    return (stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


def _path(home: Home) -> Path:
    return home.state / "damage.json"


def _kept(home: Home) -> tuple[dict[str, str], list[Damage]]:
    try:
        kept = json.loads(_path(home).read_bytes())
        damages = [
            Damage(**{**each, "kind": Kind(each["kind"]), "stamp": tuple(each["stamp"])})
            for each in kept["damages"]
        ]
        checked_on = {
            str(name): str(date.fromisoformat(day)) for name, day in kept["looks"].items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # everything is then checked again
        return {}, []
    return checked_on, damages


def _keep(home: Home, checked_on: Mapping[str, str], damages: Sequence[Damage]) -> None:
    content = {"looks": checked_on, "damages": [asdict(each) for each in damages]}
    write_atomically(_path(home), json.dumps(content, indent=1).encode())
