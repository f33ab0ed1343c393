"""Adding files and folders to the inbox, and identifying files without ingesting them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from personal_pipeline.home import PRIVATE_FILE, Home, free_name, scratch, staged
from personal_pipeline.ingest import inbox
from personal_pipeline.ingest.archives import (
    Budget,
    files_below,
    kind_of,
    refuse_hostile,
    unpack,
    zip_folder,
)
from personal_pipeline.ingest.contract import Progress, Source, UnreadableFile
from personal_pipeline.ingest.inbox import (
    A_BARRED_FOLDER,
    LOCK_WAIT_SECONDS,
    IngestedFile,
    complete_files,
    drop_file,
    set_aside_unread,
)
from personal_pipeline.ingest.recognition import claims_of, unknown
from personal_pipeline.ingest.unfinished import STILL_WRITTEN, Left, being_written, stamp_of
from personal_pipeline.shown import shown

MAX_UNPACKED_BYTES = 5_000_000_000
"""A larger folder is ingested file by file: checking whether it is a single export means zipping
it."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """A drop that claims a file. ``confidence`` is between 0 and 1."""

    source: str
    drop: str
    confidence: float
    reason: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What a file is. The first opinion wins; ``unknown`` is the explanation, in lines, when there
    is none."""

    file: str
    opinions: tuple[Opinion, ...] = ()
    unknown: str | None = None


@contextmanager
def brought(
    home: Home, sources: Sequence[Source], paths: Sequence[Path]
) -> Iterator[Sequence[Left]]:
    """Copy files into the inbox for the duration of the context; folders created for them are
    removed afterwards if empty. Yields the files that were skipped because they are still being
    written.

    A folder that is one unpacked export becomes a zip, also inside another folder. Every other file
    is copied, with its subfolders, which may name an account.
    """
    before = {path for path in home.inbox.rglob("*") if path.is_dir()}
    try:
        yield list(_bring(home, sources, paths))
    finally:
        _remove_empty(path for path in home.inbox.rglob("*") if path not in before)


def _bring(home: Home, sources: Sequence[Source], paths: Sequence[Path]) -> Iterator[Left]:
    given = {path: [path] if path.is_file() else complete_files(path) for path in paths}
    unfinished = being_written(file for files in given.values() for file in files)
    for path, files in given.items():
        late = unfinished.intersection(files)
        exports = _pack(home, sources, path) if path.is_dir() and not late else {}
        for file in files:
            if any(file.is_relative_to(export) for export in exports):
                continue
            below = (
                Path(path.resolve().name) / file.relative_to(path) if path.is_dir() else file.name
            )
            if file in late or _copy(file, home.inbox / below) is None:
                yield Left(
                    shown(file.name), ("still being written, not ingested; add it again later.")
                )


def ingested(
    home: Home,
    sources: Sequence[Source],
    clock: Callable[[], datetime],
    names: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Iterator[IngestedFile | Left]:
    """Ingest everything in the inbox, or only the entries with these names, as ``shown`` prints
    them; a name cannot point outside the inbox. Files still being written are yielded as ``Left``,
    and a folder is skipped entirely while one of its files is."""
    for path, what in inbox.oddities(home).items():
        if names is None or shown(path.relative_to(home.inbox).parts[0]) in names:
            yield _set_aside_odd(home, path, what, clock())
    entries = {
        entry: files
        for entry, files in inbox.entries(home).items()
        if names is None or shown(entry.name) in names
    }
    unfinished = being_written(path for files in entries.values() for path in files)
    complete: list[Path] = []
    for entry, files in entries.items():
        if late := unfinished.intersection(files):
            yield from (Left(shown(path.name), STILL_WRITTEN) for path in sorted(late))
        else:
            complete.append(entry)
    yield from inbox.ingest_all(home, sources, packed(home, sources, complete), clock, progress)


def _set_aside_odd(home: Home, path: Path, what: str, now: datetime) -> IngestedFile | Left:
    if what == A_BARRED_FOLDER:
        words = f"{what}: make it readable (chmod u+rwx), and the next pass ingests it."
        return Left(shown(path.name), words, trouble=True)
    problem = f"It is {what}, not a regular file. Put the file itself into the inbox."
    return set_aside_unread(home, path, problem, now)


def packed(home: Home, sources: Sequence[Source], entries: Iterable[Path]) -> list[Path]:
    """The files in these inbox entries. A folder that is one unpacked export is replaced with a zip
    of it, also inside another folder."""
    files: list[Path] = []
    for entry in entries:
        if entry.is_file():
            files.append(entry)
            continue
        # another process may be packing it, or ingesting its files
        with home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS):
            inside = complete_files(entry)
            stamps = {path: stamp_of(path) for path in inside}
            exports = _pack(home, sources, entry) if inside == files_below(entry) else {}
            if exports and {path: stamp_of(path) for path in complete_files(entry)} != stamps:
                # it grew in the meantime
                for each in exports.values():
                    each.unlink()
                continue
            if exports:
                within = [
                    path for path in inside if any(path.is_relative_to(each) for each in exports)
                ]
                for path in within:
                    path.unlink()
                    inside.remove(path)
                _remove_empty([entry, *entry.rglob("*")])
        files += [*exports.values(), *inside]
    return files


def _pack(home: Home, sources: Sequence[Source], folder: Path) -> dict[Path, Path]:
    """Zip into the inbox whatever in a folder is one unpacked export: the zips by folder."""
    return {
        export: copied
        for export, whole in _exports_in(home, sources, folder)
        if (copied := _copy(whole, home.inbox / whole.name))
    }


def _exports_in(home: Home, sources: Sequence[Source], folder: Path) -> Iterator[tuple[Path, Path]]:
    """The folders that are one unpacked export each, with a zip that lasts until the next: this one
    if a source claims it as a whole, unless the export is a folder in it and beside that lie files
    of other sources, as in a folder of downloads."""
    with _zipped(home, folder) as whole:
        claim = _claim_of(home, sources, whole)
        if whole is None or claim is None:
            return
        inner = _inner_exports(home, sources, folder, claim)
        if not inner:
            yield folder, whole
            return
    for each in inner:
        yield from _exports_in(home, sources, each)


def _inner_exports(
    home: Home, sources: Sequence[Source], folder: Path, claim: tuple[str, str]
) -> list[Path]:
    """The folders in an export of which each has the same claim, if beside them lie files of other
    sources."""
    others = [source for source in sources if source.name != claim[0]]
    foreign = [path for path in files_below(folder) if claims_of(others, drop_file(home, path))]
    if not foreign:
        return []

    def is_claimed(path: Path) -> bool:
        with _zipped(home, path) as whole:
            return _claim_of(home, sources, whole) == claim

    inner = [
        path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.is_symlink() and is_claimed(path)
    ]
    beside = any(not any(path.is_relative_to(each) for each in inner) for path in foreign)
    return inner if beside else []


def _claim_of(home: Home, sources: Sequence[Source], whole: Path | None) -> tuple[str, str] | None:
    """The source and drop that claim a zip, which may be too large to be made."""
    claims = claims_of(sources, drop_file(home, whole)) if whole else []
    return (claims[0].source.name, claims[0].drop.name) if claims else None


def count(paths: Sequence[Path]) -> int:
    """The number of files to add."""
    return sum(1 if path.is_file() else len(complete_files(path)) for path in paths)


def explained(home: Home, sources: Sequence[Source], paths: Sequence[Path]) -> Iterator[Explained]:
    """What each file is. For an archive or folder that no source claims as a whole, each file in
    it."""
    for path in paths:
        if path.is_file():
            yield from _explained(home, sources, path, path.name)
            continue
        exports = []
        for export, whole in _exports_in(home, sources, path):
            exports.append(export)
            name = str(Path(path.name) / export.relative_to(path))
            yield from _explained(home, sources, whole, name)
        for file in complete_files(path):
            if not any(file.is_relative_to(export) for export in exports):
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
    if sum(path.stat().st_size for path in files_below(folder)) > MAX_UNPACKED_BYTES:
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


def _copy(file: Path, place: Path) -> Path | None:
    """Copy a file. If it changes in the meantime, remove the copy and return None."""
    place = free_name(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    # under a name that the sensor ignores until the copy is complete
    partial = staged(place, b"")
    stamp = stamp_of(file)
    try:
        shutil.copyfile(file, partial)
        shutil.copystat(file, partial)
        partial.chmod(PRIVATE_FILE)
        if stamp_of(file) != stamp:
            return None
        partial.rename(place)
    finally:
        partial.unlink(missing_ok=True)
    return place
