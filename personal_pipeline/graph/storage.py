"""Dagster's own storage: its runs, events and ticks, in SQLite files under ``dagster/``.

It contains nothing that a person owns. So if it is damaged, it is set aside and recreated, and
every partition is reported to Dagster again.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path

from personal_pipeline import told
from personal_pipeline.home import Home

FILES = {
    "history/runs.db": "runs",
    "history/runs/index.db": "event_logs",
    "schedules/schedules.db": "jobs",
}
"""The files that Dagster creates at its first start, each with a table that it must contain."""

KEPT = 1
"""How many damaged storages are kept: the most recent."""

BUSY_TIMEOUT_SECONDS = 60

COMPACTED_BYTES = 20_000_000
"""Smaller savings are not worth it."""


def mend(home: Home, *, thorough: bool = False) -> str | None:
    """Set the storage aside if it is damaged, and return a sentence about it; else None. The caller
    holds the lock ``dagster``, so that no other process is creating it meanwhile.

    ``thorough`` reads every file completely, at a second per 100 MB; otherwise only what is needed
    to find the tables.
    """
    found = next(damaged(home, thorough=thorough), None)
    if found is None:
        if not any((home.dagster / name).exists() for name in FILES):
            (home.dagster / told.FILE).unlink(missing_ok=True)
        return None
    aside = home.dagster.with_name(f"{home.dagster.name}.damaged-{datetime.now(UTC):%Y%m%dT%H%M%S}")
    home.dagster.rename(aside)
    home.ensure()
    for old in sorted(home.root.glob(f"{home.dagster.name}.damaged-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return (
        f"Dagster's storage was damaged ({found}). It was set aside as {aside.name} and recreated: "
        "the history of runs is lost. No table depends on it; their partitions are reported to it "
        "again."
    )


def damaged(home: Home, *, thorough: bool) -> Iterator[str]:
    """Which parts of the storage are damaged; nothing if there is none yet."""
    there = [name for name in FILES if (home.dagster / name).exists()]
    if not there:
        return
    for name, table in FILES.items():
        if name not in there:
            yield f"{name} is missing"
        elif trouble := _trouble(home.dagster / name, table, thorough=thorough):
            yield f"{name}: {trouble}"
    if thorough:
        for path in (home.dagster / "history" / "runs").glob("*.db"):
            if trouble := _trouble(path, "event_logs", thorough=True):
                yield f"{path.relative_to(home.dagster)}: {trouble}"


def _trouble(path: Path, table: str, *, thorough: bool) -> str | None:
    if not path.is_file():
        return "it is not a file"
    try:
        uri = f"{path.as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT_SECONDS)) as opened:
            opened.execute(f"select * from {table} limit 1").fetchall()  # noqa: S608
            found = opened.execute("pragma quick_check(1)").fetchall() if thorough else [("ok",)]
    except sqlite3.OperationalError as error:
        # a lock or a disk that cannot be written says nothing about the content
        return str(error) if "no such table" in str(error) else None
    except sqlite3.DatabaseError as error:
        return str(error)
    return None if found == [("ok",)] else "its pages are inconsistent"


def compact(folder: Path) -> None:
    """Return to the disk what was deleted from the files of a storage, once that is most of a file.
    Less is used for what comes: rewriting a file takes as long as copying it, and others wait."""
    for name in FILES:
        with closing(sqlite3.connect(folder / name, timeout=BUSY_TIMEOUT_SECONDS)) as opened:
            pages, free, size = (
                opened.execute(f"pragma {each}").fetchone()[0]
                for each in ("page_count", "freelist_count", "page_size")
            )
            if free * size > COMPACTED_BYTES and free > pages / 2:
                opened.execute("vacuum")
                opened.execute("pragma wal_checkpoint(truncate)")


def identity(home: Home) -> tuple[int, ...]:
    """Changes if another storage replaces this one."""
    found = []
    for name in FILES:
        # another process may be about to set it aside
        with suppress(FileNotFoundError):
            found.append((home.dagster / name).stat().st_ino)
    return tuple(found)
