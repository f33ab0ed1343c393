"""Bringing files and folders into the inbox, and telling what they are without taking them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from personal_pipeline.home import PRIVATE_FILE, Home, free_name, scratch
from personal_pipeline.ingest.archives import (
    Budget,
    files_below,
    kind_of,
    refuse_hostile,
    unpack,
    zip_folder,
)
from personal_pipeline.ingest.contract import Source, UnreadableFile
from personal_pipeline.ingest.inbox import LOCK_WAIT_SECONDS, complete_files, drop_file
from personal_pipeline.ingest.recognition import claims_of, unknown

LARGEST_UNPACKED_BYTES = 5_000_000_000
"""A larger folder is taken file by file: to see whether it is one export, it has to be zipped."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """Who says that a file is of its kind. ``confidence`` is 0 to 1."""

    source: str
    drop: str
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What a file is. The first opinion is the one that counts; ``unknown`` is what to tell when
    there is none, in lines."""

    file: str
    opinions: tuple[Opinion, ...] = ()
    unknown: str | None = None


@contextmanager
def brought(home: Home, sources: Sequence[Source], paths: Sequence[Path]) -> Iterator[None]:
    """Within it, copies of the files lie in the inbox, to be taken; folders that were made for them
    are gone afterwards, if they are empty.

    Of a folder that is one export, unpacked, a zip is made; of any other every file is copied, in
    its folders, which may name an account.
    """
    before = {path for path in home.inbox.rglob("*") if path.is_dir()}
    _bring(home, sources, paths)
    try:
        yield
    finally:
        _remove_empty(path for path in home.inbox.rglob("*") if path not in before)


def _bring(home: Home, sources: Sequence[Source], paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_file():
            _copy(path, home.inbox / path.name)
            continue
        if _packed(home, sources, path):
            continue
        for file in complete_files(path):
            _copy(file, home.inbox / path.resolve().name / file.relative_to(path))


def packed(home: Home, sources: Sequence[Source], entries: Iterable[Path]) -> list[Path]:
    """The files of these entries of the inbox. A zip takes the place of a folder that is one
    export, unpacked."""
    files: list[Path] = []
    for entry in entries:
        if entry.is_file():
            files.append(entry)
            continue
        # another process may be packing it, or taking its files
        with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
            inside = complete_files(entry)
            whole = _packed(home, sources, entry) if inside == files_below(entry) else None
            if whole:
                for path in inside:
                    path.unlink()
                _remove_empty([entry, *entry.rglob("*")])
        files += [whole] if whole else inside
    return files


def _packed(home: Home, sources: Sequence[Source], folder: Path) -> Path | None:
    """A zip of the folder, in the inbox, if somebody claims that."""
    with _zipped(home, folder) as whole:
        if whole and claims_of(sources, drop_file(home, whole)):
            return _copy(whole, home.inbox / whole.name)
    return None


def count(paths: Sequence[Path]) -> int:
    """How many files there are to bring."""
    return sum(1 if path.is_file() else len(complete_files(path)) for path in paths)


def explained(home: Home, sources: Sequence[Source], paths: Sequence[Path]) -> Iterator[Explained]:
    """What each file is; of an archive or folder that nobody claims whole, each file in it."""
    for path in paths:
        if path.is_file():
            yield from _explained(home, sources, path, path.name)
            continue
        with _zipped(home, path) as whole:
            if whole and claims_of(sources, drop_file(home, whole)):
                yield from _explained(home, sources, whole, path.name)
                continue
        for file in complete_files(path):
            yield from _explained(home, sources, file, f"{path.name}/{file.relative_to(path)}")


def _explained(
    home: Home, sources: Sequence[Source], path: Path, name: str, depth: int = 2
) -> Iterator[Explained]:
    file = drop_file(home, path)
    try:
        refuse_hostile(path)
        claims = claims_of(sources, file)
        if not claims and depth and kind_of(path):
            with scratch(home, "adding") as place:
                for member in unpack(path, place / "inbox", Budget.of(path)):
                    inside = f"{name}/{member.relative_to(place / 'inbox').as_posix()}"
                    yield from _explained(home, sources, member, inside, depth - 1)
            return
    except UnreadableFile as error:
        yield Explained(name, unknown=str(error))
        return
    yield Explained(
        name,
        tuple(
            Opinion(each.source.name, each.drop.name, each.claim.confidence, each.claim.reason)
            for each in claims
        ),
        None if claims else unknown(sources, file),
    )


@contextmanager
def _zipped(home: Home, folder: Path) -> Iterator[Path | None]:
    if sum(path.stat().st_size for path in files_below(folder)) > LARGEST_UNPACKED_BYTES:
        yield None
        return
    with scratch(home, "adding") as place:
        whole = place / f"{folder.resolve().name}.zip"
        zip_folder(folder, whole, f"{whole.stem}/")
        yield whole


def _remove_empty(paths: Iterable[Path]) -> None:
    for path in sorted(paths, reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


def _copy(file: Path, place: Path) -> Path:
    place = free_name(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    # under a name that the sensor leaves alone until the copy is whole
    partial = place.with_name(f".{os.getpid()}-{place.name}.part")
    shutil.copy2(file, partial)
    partial.chmod(PRIVATE_FILE)
    partial.rename(place)
    return place
