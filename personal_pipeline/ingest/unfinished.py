"""Whether a file is complete: whether anybody is still writing it, and whether it stayed unchanged.

A partial file cannot be recognized by its content: a CSV without its end is still a CSV. So there
are three kinds of evidence: a name that a browser gives (``UNFINISHED``), a process that has the
file open for writing, where the system reports it, and size and times that differ between two
checks.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

UNFINISHED = (".part", ".crdownload", ".download", ".tmp", "~")
"""Suffixes of files that a browser or an editor is still writing; dotfiles are ignored too."""

STILL_WRITTEN = "still being written; it stays in the inbox for the next pass."

SETTLE_SECONDS = 1.0
"""A file changed this recently is checked a second time after this pause."""

QUIET_SECONDS = 10.0
"""Where the system does not report who writes a file, it must be unchanged for this long."""

_PROC = Path("/proc")


class Left(Exception):
    """A file that stays in place, untouched, for a later pass: ``file`` is its printable name, and
    ``reason`` a sentence. ``trouble`` marks a problem for the user to look at; a file that is still
    being written is none."""

    def __init__(self, file: str, reason: str, *, trouble: bool = False) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one state of a file from another. Not a digest: a program may set times."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a regular file; None if it is missing, or something else."""
    try:
        stat = path.lstat()
    except OSError:
        return None
    if not S_ISREG(stat.st_mode):
        return None
    return Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def told_by_system(path: Path) -> bool:
    """Whether the system reports who writes a file: Linux does, for processes of the same user, and
    for all processes if we are root."""
    with suppress(OSError):
        mine = os.geteuid() in (0, path.lstat().st_uid)
        return mine and (_PROC / "self" / "fdinfo").is_dir()
    return False


def open_for_writing(files: Iterable[Stamp]) -> set[Stamp]:
    """Which of the files a process has open for writing, as far as the system reports it."""
    wanted = {each.identity: each for each in files}
    if not wanted or not _PROC.joinpath("self", "fdinfo").is_dir():
        return set()
    found: set[Stamp] = set()
    for process in os.scandir(_PROC):
        if not process.name.isdecimal():
            continue
        # it may have ended, or be another user's
        with suppress(OSError):
            for handle in os.scandir(f"{process.path}/fd"):
                with suppress(OSError, ValueError):
                    stat = handle.stat()  # no Path: there are thousands of handles
                    stamp = wanted.get((stat.st_dev, stat.st_ino))
                    if stamp and _writes(Path(process.path, "fdinfo", handle.name)):
                        found.add(stamp)
    return found


def _writes(fdinfo: Path) -> bool:
    for line in fdinfo.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "flags":
            return int(value, 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def being_written(paths: Iterable[Path]) -> set[Path]:
    """The incomplete files, by checking twice: a process has them open for writing, they change, or
    they changed a moment ago and the system cannot report who writes them.

    The second check is only made if one of them changed within the last second.
    """
    before = {path: stamp for path in paths if (stamp := stamp_of(path))}
    now = time.time()
    fresh = [path for path, each in before.items() if 0 <= _age(each, now) < SETTLE_SECONDS]
    if fresh:
        time.sleep(SETTLE_SECONDS)
    written = open_for_writing(before.values())
    now = time.time()
    return {
        path
        for path, stamp in before.items()
        if stamp in written
        or (path in fresh and stamp_of(path) != stamp)
        or (0 <= _age(stamp, now) < QUIET_SECONDS and not told_by_system(path))
    }


def _age(stamp: Stamp, now: float) -> float:
    return now - stamp.modified_ns / 1e9
