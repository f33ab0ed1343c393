"""Whether a file is complete: who still writes it, and whether it stayed as it was.

A half file cannot be told by its content: a CSV that lacks its end is a CSV. So there is evidence
of three kinds: a name that a browser gives (``UNFINISHED``), a process that has the file open for
writing, where the system tells, and size and times that differ between two looks.
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
"""Endings of files that a browser or an editor is still writing; dotfiles are left alone too."""

STILL_WRITTEN = "still being written, left in the inbox for the next pass."

SETTLE_SECONDS = 1.0
"""What changed so recently is looked at once more after it."""

QUIET_SECONDS = 10.0
"""Where the system does not tell who writes a file, it is left until it was quiet for so long."""

_PROC = Path("/proc")


class Left(Exception):
    """A file that stays where it is, untouched, for a later pass: ``file`` is its name, to be
    shown, and ``reason`` says why, in a sentence. ``trouble`` is something that a person should
    look at; a file that is still being written is none."""

    def __init__(self, file: str, reason: str, *, trouble: bool = False) -> None:
        super().__init__(f"{file}: {reason}")
        self.file = file
        self.reason = reason
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another. It is no digest: a program may set times."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @property
    def identity(self) -> tuple[int, int]:
        return self.device, self.inode


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a regular file; None for what is gone, or something else."""
    try:
        stat = path.lstat()
    except OSError:
        return None
    if not S_ISREG(stat.st_mode):
        return None
    return Stamp(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)


def told_by_system(path: Path) -> bool:
    """Whether the system tells who writes a file: Linux does, of the processes of the same user,
    and root is told of all."""
    with suppress(OSError):
        mine = os.geteuid() in (0, path.lstat().st_uid)
        return mine and (_PROC / "self" / "fdinfo").is_dir()
    return False


def open_for_writing(files: Iterable[Stamp]) -> set[Stamp]:
    """Which of the files a process has open for writing, as far as the system tells."""
    wanted = {each.identity: each for each in files}
    if not wanted or not _PROC.joinpath("self", "fdinfo").is_dir():
        return set()
    found: set[Stamp] = set()
    for process in os.scandir(_PROC):
        if not process.name.isdecimal():
            continue
        # it may end meanwhile, or be another user's
        with suppress(OSError):
            for handle in os.scandir(f"{process.path}/fd"):
                with suppress(OSError, ValueError):
                    stat = Path(handle.path).stat()
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
    """Those of the files that are not complete, by two looks at them: a process has them open for
    writing, they change, or they changed a moment ago and the system cannot tell who writes them.

    Looks a second time only when one of them changed within the last second.
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
