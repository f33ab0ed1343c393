"""Whose clock is right: this machine's, or that of a service.

A clock that is ahead makes days look complete that have not been; one that is behind makes
thousands of empty days. So nothing is written while this machine and the service are more than a
day apart, and what an earlier look under a wrong clock left is taken back.

The newest instant at which some service agreed with this machine is kept in ``state/clock.json``:
time does not go back behind it, also where a service does not tell the time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import ApiStream, Coverage, Window
from personal_pipeline.ingest.coverage import settled_before, settles_before
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import StreamLake
from personal_pipeline.ingest.memory import StreamMemory

APART = timedelta(days=1)
"""So far two clocks may be apart: whoever sets a zone wrong is off by hours."""

_WHAT_TO_DO = (
    "Nothing was written. Set the clock of this machine (automatic time in the system's settings), "
    "then run `personal-pipeline refresh`."
)


def _path(home: Home) -> Path:
    return home.state / "clock.json"


def last_agreed(home: Home) -> datetime | None:
    """The newest instant (UTC) at which a service agreed with this machine."""
    try:
        return datetime.fromisoformat(json.loads(_path(home).read_bytes())["agreed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_clock(home: Home, client: Client, now: datetime) -> None:
    """Raises ``ServiceError(CLOCK_WRONG)`` when this machine is more than a day from the time of
    the service's newest answer, or from what is known of the time."""
    told = client.service_time()
    if told is not None and abs(now - told) > APART:
        raise _wrong(now, f"{client.service} says that it is {_text(told)}")
    agreed = last_agreed(home)
    if told is None and agreed is not None and agreed - now > APART:
        raise _wrong(now, f"it was {_text(agreed)} already when a service last agreed with it")
    if told is not None and (agreed is None or now > agreed):
        write_atomically(_path(home), json.dumps({"agreed": now.isoformat()}).encode())


def check_beginning(beginning: date, now: datetime) -> None:
    """Raises ``ServiceError(CLOCK_WRONG)`` when the first day that is wanted has not come yet."""
    if beginning > (now + APART).date():
        raise _wrong(now, f"the first day that is wanted is {beginning}")


def _wrong(now: datetime, other: str) -> ServiceError:
    return ServiceError(
        Failure.CLOCK_WRONG,
        f"The clock of this machine says {_text(now)}, but {other}. {_WHAT_TO_DO}",
    )


def _text(instant: datetime) -> str:
    # no seconds, and no minutes: the same message for as long as it lasts
    return f"{instant.astimezone(UTC):%Y-%m-%d}"


def asked_at(
    client: Client, now: datetime, newest: date | None, took: timedelta
) -> datetime | None:
    """Until when an answer that was asked for now, and took so long, tells everything: never beyond
    the service's own time, which is the day of its newest record where it does not tell the hour.
    """
    told = client.service_time()
    if told is not None:
        return min(now, told - took)
    if newest is None:
        return None
    return min(now, datetime.combine(newest, time(), UTC))


def jumped(memory: StreamMemory, now: datetime) -> datetime | None:
    """The instant of an earlier look that lies in the future, if there is one: one of the two
    clocks was wrong."""
    noted = [memory.looked_at, memory.succeeded_at, memory.full_pass_at, memory.asked_until]
    latest = max((each for each in noted if each is not None), default=None)
    return latest if latest is not None and latest - now > APART else None


def believable(memory: StreamMemory, stream: ApiStream, now: datetime) -> StreamMemory:
    """The memory without what cannot be true: looks and days to come."""

    def past(instant: datetime | None) -> datetime | None:
        return None if instant is not None and instant - now > APART else instant

    latest = (now + APART).date()
    return replace(
        memory,
        looked_at=past(memory.looked_at),
        succeeded_at=past(memory.succeeded_at),
        full_pass_at=past(memory.full_pass_at),
        asked_until=past(memory.asked_until),
        beginning=None if memory.beginning and memory.beginning > latest else memory.beginning,
        newest=None if memory.newest and memory.newest > latest else memory.newest,
        settled=settled_before(memory.settled, settles_before(now, stream.refetch_days)),
        present=settled_before(memory.present, latest),
    )


def take_back(
    lake: StreamLake, stream: ApiStream, today: date, beginning: date | None, memory: StreamMemory
) -> Sequence[str]:
    """Remove what looks under a wrong clock left in a lake, and say so: partitions of days to come
    (with rows they go to the archive), and empty days before the beginning that nobody asked for.

    Only called when a service has just agreed with this machine, or does not tell the time.
    """
    present = lake.partitions()
    last = today + APART
    to_come = [partition for partition in present if partition > last]
    # of a month that has begun only some days
    begun = [partition for partition in present if lake.units_of(partition)[-1] > last >= partition]
    days = sorted({day for partition in begun for day, _ in lake.filed(partition) if day > last})
    said = []
    if to_come or days:
        lake.write_units(dict.fromkeys(days, ()))
        lake.remove(to_come)
        away = sorted({*days, *(day for each in to_come for day in lake.units_of(each))})
        said.append(
            f"{len(away):,} days to come, until {away[-1]}, were there from a look under a clock "
            "that was ahead: taken back, and asked for again."
        )
    if stream.coverage is not Coverage.SNAPSHOT and (early := _too_early(lake, beginning, memory)):
        lake.remove(early)
        count = sum(len(lake.units_of(each)) for each in early)
        said.append(
            f"{count:,} empty days before the beginning, from {early[0]}, were there from a "
            "look under a clock that was behind: taken back."
        )
    return said


def _too_early(lake: StreamLake, beginning: date | None, memory: StreamMemory) -> list[date]:
    present = lake.partitions()
    known = [day for day in (beginning, memory.beginning) if day is not None]
    if not present or (known and lake.units_of(present[0])[-1] >= min(known)):
        return []
    versions = lake.versions()
    first_row = min((day for day, version in versions.items() if version.rows), default=None)
    if first_row is None and not known:
        return []
    first = min([*known, *([first_row] if first_row else [])])
    return [
        partition
        for partition in present
        if lake.units_of(partition)[-1] < first
        and not any(_is_in(day, memory.settled) for day in lake.units_of(partition))
    ]


def _is_in(day: date, windows: Sequence[Window]) -> bool:
    return any(window.start <= day < window.end for window in windows)
