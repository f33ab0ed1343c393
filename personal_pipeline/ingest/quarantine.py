"""Where bad input goes: kept, with the reason beside it, and reported; never lost."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from personal_pipeline.home import PRIVATE_FILE, Home, free_name, publish, staged
from personal_pipeline.ingest.contract import Unreadable
from personal_pipeline.ingest.lake import canonical
from personal_pipeline.ingest.naming import fitting
from personal_pipeline.shown import shown_lines


def keep_records(
    home: Home, source: str, stream: str, records: Sequence[Unreadable]
) -> Path | None:
    """Keep records that could not be read, as JSON lines with their reasons.

    The file is named by its content, so fetching the same bad records every day keeps one file.
    """
    return keep_lines(home, source, stream, sorted(map(line_of_record, records)))


def line_of_record(bad: Unreadable) -> str:
    """An unreadable record as a line of JSON, without its end."""
    return canonical({"reason": bad.reason, "record": _text_of(bad.raw)})


def keep_lines(home: Home, source: str, stream: str, lines: Iterable[str]) -> Path | None:
    """Keep such lines, already sorted; they need not fit into memory."""
    remaining = iter(lines)
    first = next(remaining, None)
    if first is None:
        return None
    folder = home.quarantine / source / stream
    digest = hashlib.sha256()
    temporary = staged(folder / "unreadable", b"")
    try:
        with temporary.open("wb") as target:
            for line in chain([first], remaining):
                content = f"{line}\n".encode()
                digest.update(content)
                target.write(content)
        path = folder / f"unreadable-{digest.hexdigest()[:16]}.jsonl"
        if not path.exists():
            publish({temporary: path})
        return path
    finally:
        temporary.unlink(missing_ok=True)


def _text_of(raw: object) -> object:
    try:
        canonical(raw)
    except (TypeError, ValueError, RecursionError):
        return repr(raw)
    return raw


class Aside:
    """Files being moved into ``quarantine/<folder>/``, each with its reason beside it. They are
    durable when ``publish`` returns."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._staged: dict[Path, Path] = {}
        self._places: set[Path] = set()
        self._sizes: dict[str, dict[int, list[Path]]] = {}
        self._digests: dict[Path, str] = {}

    def put(self, file: Path, name: str, folder: str, reason: str, digest: str) -> None:
        """Set a copy of a file aside. ``name`` is its original name. The same content is kept once,
        with the name and reason of its first arrival."""
        target = self._home.quarantine / folder
        if digest in map(self._digest_of, self._same_size(folder, file.stat().st_size)):
            return
        place = self._free(target / fitting(name))
        told = f"{shown_lines(reason)}\n"
        if place.name != name:
            # as bytes: it may be invalid text, or contain characters unsafe for a terminal
            told += f"Its name in the inbox, as bytes: {os.fsencode(name)!r}\n"
        temporary = staged(place, b"")
        try:
            shutil.copyfile(file, temporary)
            shutil.copystat(file, temporary)
            temporary.chmod(PRIVATE_FILE)
            told_at = staged(place, told.encode())
        except BaseException:
            temporary.unlink()
            raise
        # the reason first: a file without one would be unexplained
        self._staged |= {told_at: self._reason_of(place), temporary: place}
        self._places.add(place)
        self._digests[place] = digest
        self._same_size(folder, file.stat().st_size).append(place)

    def move(self, path: Path, name: str, folder: str, reason: str) -> None:
        """Set aside at once what cannot be copied: unreadable, or not a regular file."""
        target = self._home.quarantine / folder
        target.mkdir(parents=True, exist_ok=True)
        place = self._free(target / fitting(name))
        told = f"{shown_lines(reason)}\n"
        if place.name != path.name:
            told += f"Its original name, as bytes: {os.fsencode(path.name)!r}\n"
        publish({staged(place, told.encode()): self._reason_of(place)})
        path.rename(place)

    def publish(self) -> None:
        finished, self._staged = self._staged, {}
        publish(finished)

    def drop(self) -> None:
        """Delete what was not published."""
        for temporary in self._staged:
            temporary.unlink(missing_ok=True)

    def _reason_of(self, place: Path) -> Path:
        return place.with_name(f"{place.name}.reason.txt")

    def _free(self, wanted: Path) -> Path:
        place, number = free_name(wanted), 1
        while place in self._places:
            number += 1
            place = free_name(wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}"))
        return place

    def _same_size(self, folder: str, size: int) -> list[Path]:
        if folder not in self._sizes:
            sizes = self._sizes.setdefault(folder, {})
            target = self._home.quarantine / folder
            for entry in os.scandir(target) if target.is_dir() else ():
                # a temporary file of a killed process is not a copy: it will be swept
                if entry.is_file(follow_symlinks=False) and not entry.name.startswith("."):
                    sizes.setdefault(entry.stat().st_size, []).append(Path(entry.path))
        return self._sizes[folder].setdefault(size, [])

    def _digest_of(self, path: Path) -> str:
        if path not in self._digests:
            try:
                with path.open("rb") as stream:
                    self._digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
            except OSError:
                self._digests[path] = ""
        return self._digests[path]
