"""Stays: where the person was, and in which time zone, as they wrote it down in ``stays.csv``.

The local day of whatever happened during a stay is that of its place. ``from`` and ``to`` are
local: a day such as 2026-03-14, all of which belongs to the stay, or a time, 2026-03-14 18:30.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from personal_pipeline.ingest.contract import (
    EARLIEST,
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Item,
    Source,
    Unreadable,
)
from personal_pipeline.ingest.delimited import delimiter_of

COLUMNS = ("place", "zone", "from", "to")
NEEDED = {"zone", "from"}
EXPECTED = "a day such as 2026-03-14, or a time such as 2026-03-14 18:30"


def recognise(file: DropFile) -> Claim | None:
    """Whether the first line names the columns."""
    names = {name.strip().lower() for name in _header(file)}
    if names >= NEEDED and names & {"place", "to"}:
        return Claim(0.9, "a table with the columns zone, from and to")
    return None


def _header(file: DropFile) -> list[str]:
    first = file.head().decode("utf-8-sig", errors="replace").partition("\n")[0].strip("\r")
    return first.split(delimiter_of(first, COLUMNS))


def read(file: DropFile) -> Iterator[Item]:
    """One row per stay, filed under the month in which it begins."""
    delimiter = delimiter_of(
        file.head().decode("utf-8-sig", errors="replace").partition("\n")[0], COLUMNS
    )
    seen: set[str] = set()
    with file.path.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        for row in csv.DictReader(lines, delimiter=delimiter):
            told = {
                (name or "").strip().lower(): (text or "").strip()
                for name, text in row.items()
                if isinstance(text, str | None)
            }
            if not any(told.values()):
                continue
            try:
                stay = _stay(told)
            except ValueError as error:
                yield Unreadable(str(error), dict(told))
                continue
            key = f"{stay['from']} {stay['zone']} {stay['place']}".strip()
            if key not in seen:
                seen.add(key)
                month = datetime.fromisoformat(stay["from"]).date().replace(day=1)
                yield DropRow("stays", month, key, dict(stay))


def _stay(told: dict[str, str]) -> dict[str, str]:
    """Raises ``ValueError`` with a sentence that names the column."""
    zone = told.get("zone", "")
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError("zone: expected the name of a time zone, such as Asia/Tokyo") from None
    begins = _time("from", told["from"])
    ends = _time("to", told["to"]) if told.get("to") else ""
    if ends and ends < begins[: len(ends)]:
        raise ValueError("to: expected a day or time that is not before from")
    return {"place": told.get("place", ""), "zone": zone, "from": begins, "to": ends}


def _time(column: str, text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{column}: expected {EXPECTED}") from None
    if found.date() < EARLIEST:
        raise ValueError(f"{column}: expected {EXPECTED}, not before {EARLIEST}")
    if found.tzinfo:
        raise ValueError(f"{column}: expected {EXPECTED}, by the clock there, without an offset")
    is_day = len(text) <= len("2026-03-14")
    return found.date().isoformat() if is_day else found.isoformat(" ", "seconds")


STAYS = Source(
    name="stays",
    title="Stays",
    description="Where the person was away from home, and in which time zone.",
    without_events="A stay is the place and the zone of events, and none itself.",
    drops=(
        Drop(
            name="stays",
            description="stays.csv, in which you write where you were",
            how_to=(
                "Write a line per trip into stays.csv in the home folder, with the columns place, "
                "zone (such as Asia/Tokyo), from and to, by the calendar there. It is read again "
                "whenever you change it."
            ),
            recognise=recognise,
            read=read,
            kept_as="stays.csv",
            streams=(
                DropStream(
                    name="stays",
                    description=(
                        "One row is a stay: place, zone, from and to (local; to is empty while it "
                        "lasts). Filed under the month in which it begins."
                    ),
                    coverage=Coverage.FULL,
                    max_loss=1.0,
                ),
            ),
        ),
    ),
)
