"""A dropped export that would remove most existing rows: set aside until it is confirmed.

It is confirmed by dropping the same file again most of a day later, or by ``refresh --accept``,
which puts it back into the inbox. Accepted files are noted by digest in ``state/accepted/``, so
that re-reading originals accepts them again; ``is_accepted`` and ``accept`` serve that too.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from personal_pipeline.home import Home, free_name, write_atomically
from personal_pipeline.ingest.contract import Coverage, Drop, Source, UnreadableFile
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.lake import StreamLake, lake_of
from personal_pipeline.ingest.losses import (
    FEW_ROWS,
    REMOVES,
    REMOVES_IN_OLDER_REASONS,
    forget_doubt,
    is_confirmed,
    loss_message,
)
from personal_pipeline.ingest.sorting import SortedRow
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.ingest.tables import newest_capture, would_remove


class LosesMost(UnreadableFile):
    """An export would remove most rows. None of it was ingested."""

    cause = str(Failure.LOST_ROWS)


def _accepted(home: Home, digest: str) -> Path:
    return home.state / "accepted" / digest


def is_accepted(home: Home, digest: str) -> bool:
    """Whether the user has confirmed this file, whatever it removes."""
    return _accepted(home, digest).exists()


def accept(home: Home, digest: str) -> None:
    """Allow this file to remove rows, now and whenever it is read again."""
    write_atomically(_accepted(home, digest), b"")


def believe_export(
    home: Home,
    source: Source,
    drop: Drop,
    rows: Iterable[SortedRow],
    spool: Spool | None,
    as_of: str,
    digest: str,
    now: datetime,
    confirmed: str = "",
) -> None:
    """Raises ``LosesMost`` when a FULL file removes too much to be trusted at once. ``rows`` are
    its rows and may be iterated more than once; those of tables are spooled. ``confirmed`` is the
    capture time of the last full picture."""
    if is_accepted(home, digest):
        return
    for stream in drop.streams:
        if stream.coverage is not Coverage.FULL:
            continue
        lake = lake_of(home, source.name, stream)
        if stream.table and spool:
            gone, of = _lost_of_table(spool, lake, as_of, confirmed)
            said_by = frozenset((digest,))
        else:
            keys = (row.key for row in rows if row.stream == stream.name)
            gone, of, said_by = _lost_of_rows(lake, keys, as_of, confirmed)
        if gone <= FEW_ROWS or gone <= stream.max_loss * of:
            continue
        if is_confirmed(home, source.name, drop.name, said_by, now):
            accept(home, digest)
            break
        said = loss_message(f"{stream.name}: the file", gone, of, source.name)
        raise LosesMost(f"{said} It is also accepted if you drop it again tomorrow.")
    forget_doubt(home, source.name, drop.name)


def _lost_of_table(spool: Spool, lake: StreamLake, as_of: str, confirmed: str) -> tuple[int, int]:
    # an older picture removes nothing
    is_older = as_of < newest_capture(spool, lake, confirmed)
    return (0, 0) if is_older else would_remove(spool, lake)


def _lost_of_rows(
    lake: StreamLake, offered: Iterable[str], as_of: str, confirmed: str
) -> tuple[int, int, frozenset[str]]:
    there: set[str] = set()
    newest = confirmed
    for month in lake.partitions():
        for row in lake.rows(month):
            there.add(row.key)
            newest = max(newest, row.as_of or "")
    gone = set(there)
    nothing = True
    for key in offered:
        nothing = False
        gone.discard(key)
    # an older picture removes nothing, nor does a file without a row of the stream
    if nothing or as_of < newest:
        return 0, 0, frozenset()
    return len(gone), len(there), frozenset(gone)


def bring_back(home: Home, source: str) -> list[Path]:
    """Accept what was set aside for a source, and put it back into the inbox."""
    brought = []
    for aside in sorted((home.quarantine / source).glob("*")):
        reason = aside.with_name(f"{aside.name}.reason.txt")
        if not aside.is_file() or not reason.exists():
            continue
        said = reason.read_text()
        if REMOVES not in said and REMOVES_IN_OLDER_REASONS not in said:
            continue
        with aside.open("rb") as opened:
            accept(home, hashlib.file_digest(opened, "sha256").hexdigest())
        place = free_name(home.inbox / aside.name)
        shutil.move(aside, place)
        reason.unlink()
        brought.append(place)
    return brought
