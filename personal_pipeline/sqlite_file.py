"""A SQLite file beside the tables that the pipeline changes in place while others read it.

A change is one transaction in WAL mode: readers see the state before or after it, and nobody waits.
A file that is not as the last pass left it (new, damaged, replaced, or that pass was killed) is
written anew beside it and renamed; a reader that has the old one open notices another inode.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from personal_pipeline.home import Busy, sync_folder

T = TypeVar("T")


def written(
    path: Path,
    schema: str,
    change: Callable[[sqlite3.Connection], T],
    *,
    as_left: bool,
    busy_seconds: float,
) -> T:
    """What ``change`` returns, which makes the content current in one transaction of its own, or
    changes nothing. ``as_left`` says whether the file is as the last pass left it; otherwise
    ``change`` gets an empty one with the tables of ``schema``.

    Raises ``Busy`` if another program keeps the file locked for that long, ``sqlite3.Error`` and
    ``OSError`` if the disk is full; the file then stays as it was.
    """
    if as_left:
        try:
            with closing(sqlite3.connect(path, isolation_level=None, timeout=busy_seconds)) as file:
                # what was removed must not stay in pages that are free
                file.execute("pragma secure_delete = on")
                changed = change(file)
                # so that the next look at the file alone finds it as it is now
                file.execute("pragma wal_checkpoint(truncate)")
                return changed
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError) and "locked" in str(error):
                raise Busy(
                    f"{path.name}: another program has kept it locked for {busy_seconds:.0f} s. "
                    "Close it; the next refresh brings it up to date."
                ) from None
            # by itself it means that the file is damaged: it is written anew
            if type(error) is not sqlite3.DatabaseError:
                raise
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{os.getpid()}-{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(temporary, isolation_level=None)) as file:
            file.execute("pragma synchronous = off")
            file.executescript(schema)
            changed = change(file)
            # readers then never wait for a writer, nor it for them
            file.execute("pragma journal_mode = wal")
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        # what stands beside it belongs to the old one
        delete_beside(path)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        delete(temporary)
    return changed


def stamp_of(path: Path) -> list[int] | None:
    """Changes whenever the file does, and not when a home is copied; readers change only what
    stands beside it. None if there is no file."""
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return [stat.st_size, stat.st_mtime_ns]


def delete(path: Path) -> None:
    """Delete a SQLite file and what stands beside it."""
    path.unlink(missing_ok=True)
    delete_beside(path)


def delete_beside(path: Path) -> None:
    """Delete what SQLite keeps beside a file."""
    for suffix in ("wal", "shm"):
        path.with_name(f"{path.name}-{suffix}").unlink(missing_ok=True)
