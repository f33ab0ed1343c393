"""What arrived through the inbox, read from the receipts in ``archive/receipts/``.

The receipts are the only record of when a file was made and when it arrived: the lake keeps only
the most recent capture of each row, and an unreadable export leaves no row at all.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.ledger import shown_of
from personal_pipeline.ingest.unreadable import nothing_readable
from personal_pipeline.shown import shown

FILE_UNREADABLE = "file unreadable"
FORMAT_CHANGED = "format changed"


@dataclass(frozen=True, slots=True)
class Arrival:
    """One file of one kind of export. Instants are UTC.

    ``digest`` identifies the file: the same file counts once, however often it is dropped.
    ``cause`` is set when nothing in it could be read; ``problem`` then says what to do.
    """

    digest: str
    captured_at: datetime
    received_at: datetime
    cause: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Exports:
    """The files of one kind of export. ``records`` and ``unreadable`` count the rows of the file
    with the latest capture time: all of them, and those that could not be read."""

    arrivals: tuple[Arrival, ...] = ()
    received_at: datetime | None = None
    """When the last one arrived."""
    records: int | None = None
    unreadable: int = 0


def receipt_files(home: Home) -> list[Path]:
    """The files of all receipts, oldest first."""
    return sorted((home.archive / "receipts").glob("*-*.json"))


def receipt_path(home: Home, digest: str, received_at: str) -> Path:
    """The path of a file's receipt. Receipts from the same second are told apart by a number."""
    stamp = re.sub(r"[^0-9T]", "", received_at)[:15]
    return home.archive / "receipts" / f"{stamp}-{digest[:16]}.json"


def exports_of(home: Home) -> Mapping[tuple[str, str], Exports]:
    """Everything ever received, by source and drop.

    Files that no source recognized belong to no drop. An unreadable receipt is skipped: its
    information is also in the lake, and the next export corrects the verdict.
    """
    read: dict[tuple[str, str], list[_Read]] = defaultdict(list)
    for path in receipt_files(home):
        try:
            receipt = json.loads(path.read_bytes())
            if receipt["drop"] is None:
                continue
            read[receipt["source"], receipt["drop"]].append(
                _read(receipt, _has_come(home, receipt))
            )
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return {place: _exports(each) for place, each in read.items()}


@dataclass(frozen=True, slots=True)
class _Read:
    arrival: Arrival
    rows: int
    unreadable: int


def _exports(read: Sequence[_Read]) -> Exports:
    newest = max(read, key=lambda each: (each.arrival.captured_at, each.arrival.received_at))
    return Exports(
        tuple(each.arrival for each in read),
        max(each.arrival.received_at for each in read),
        newest.rows + newest.unreadable,
        newest.unreadable,
    )


def _has_come(home: Home, receipt: Mapping[str, Any]) -> bool:
    """Whether its rows that were in the future have been read since."""
    months = [each["to_come"] for each in receipt["streams"] if each.get("to_come")]
    if not months:
        return False
    ledger = shown_of(home, receipt["source"], receipt["drop"])
    to_come = ledger.to_come if ledger else None
    return to_come is None or to_come > date.fromisoformat(min(months))


def _read(receipt: Mapping[str, Any], has_come: bool) -> _Read:
    received_at = _instant(receipt["received_at"])
    # a file predates its arrival, whatever the clock that stamped it says
    captured_at = min(_instant(receipt["captured_at"]), received_at)
    rows = sum(each["new"] + each["altered"] + each["unchanged"] for each in receipt["streams"])
    unreadable = int(receipt["unreadable"])
    ahead = sum(each.get("ahead", 0) for each in receipt["streams"])
    if has_come:
        rows, unreadable, ahead = rows + ahead, unreadable - ahead, 0
    cause, problem = None, ""
    file = shown(receipt["file"])
    if receipt["problem"] is not None:
        cause = receipt.get("cause") or FILE_UNREADABLE
        problem = f"{file}: {receipt['problem']}"
    elif ahead and ahead == unreadable and not rows:
        cause = Failure.CLOCK_WRONG
        problem = f"{file}: {receipt['warning']}"
    elif unreadable and not rows:
        cause = FORMAT_CHANGED
        problem = f"{file}: {nothing_readable(unreadable)}"
    arrival = Arrival(str(receipt["digest"]), captured_at, received_at, cause, problem)
    return _Read(arrival, rows, unreadable)


def _instant(text: str) -> datetime:
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError("a receipt holds instants with their offset from UTC")
    return instant
