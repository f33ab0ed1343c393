"""A dropped export that would make most of what is there vanish: set aside until it is confirmed.

It is confirmed by dropping the same file again after most of a day, or by ``refresh --accept``,
which puts it back into the inbox. What was accepted is noted by digest in ``state/accepted/``, so
that whoever reads originals again takes it again: ``is_accepted`` and ``accept`` are for that too.
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
from personal_pipeline.ingest.sorting import SortedRow
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.ingest.tables import newest_capture, would_vanish
from personal_pipeline.ingest.vanishing import (
    FEW_ROWS,
    TAKES_AWAY,
    forget_doubt,
    is_confirmed,
    what_would_vanish,
)


class LosesMost(UnreadableFile):
    """An export would make most rows vanish. Nothing of it was taken."""

    cause = str(Failure.LOST_ROWS)


def _accepted(home: Home, digest: str) -> Path:
    return home.state / "accepted" / digest


def is_accepted(home: Home, digest: str) -> bool:
    """Whether the person has said that this file is right, whatever it takes away."""
    return _accepted(home, digest).exists()


def accept(home: Home, digest: str) -> None:
    """Let this file take away what it takes away, now and whenever it is read again."""
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
    """Raises ``LosesMost`` when a file that is the whole picture takes too much away to be believed
    at once. ``rows`` are those that it holds, and may be gone through again; those of tables are
    spooled. ``confirmed`` is when the last whole picture was captured."""
    if is_accepted(home, digest):
        return
    for stream in drop.streams:
        if stream.coverage is not Coverage.PICTURE:
            continue
        lake = lake_of(home, source.name, stream)
        if stream.table and spool:
            gone, of = _lost_of_table(spool, lake, as_of, confirmed)
            said_by = frozenset((digest,))
        else:
            keys = (row.key for row in rows if row.stream == stream.name)
            gone, of, said_by = _lost_of_rows(lake, keys, as_of, confirmed)
        if gone <= FEW_ROWS or gone <= stream.may_vanish * of:
            continue
        if is_confirmed(home, source.name, drop.name, said_by, now):
            accept(home, digest)
            break
        said = what_would_vanish(f"{stream.name}: the file", gone, of, source.name)
        raise LosesMost(f"{said} It is also taken when you drop it again tomorrow.")
    forget_doubt(home, source.name, drop.name)


def _lost_of_table(spool: Spool, lake: StreamLake, as_of: str, confirmed: str) -> tuple[int, int]:
    # an older picture takes nothing away
    is_older = as_of < newest_capture(spool, lake, confirmed)
    return (0, 0) if is_older else would_vanish(spool, lake)


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
    # an older picture takes nothing away, nor does a file without a row of the stream
    if nothing or as_of < newest:
        return 0, 0, frozenset()
    return len(gone), len(there), frozenset(gone)


def bring_back(home: Home, source: str) -> list[Path]:
    """Accept what was set aside of a source, and put it back into the inbox."""
    brought = []
    for aside in sorted((home.quarantine / source).glob("*")):
        reason = aside.with_name(f"{aside.name}.reason.txt")
        if not aside.is_file() or not reason.exists() or TAKES_AWAY not in reason.read_text():
            continue
        with aside.open("rb") as opened:
            accept(home, hashlib.file_digest(opened, "sha256").hexdigest())
        place = free_name(home.inbox / aside.name)
        shutil.move(aside, place)
        reason.unlink()
        brought.append(place)
    return brought
