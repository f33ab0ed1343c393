"""Whose clock is right: this machine's, or a service's.

A clock that is ahead makes days look complete before they are; one that is behind creates thousands
of empty days. So nothing is written while this machine and the service are more than a day apart,
and what an earlier fetch wrote under a wrong clock is removed.

The latest instant at which a service agreed with this machine is kept in ``state/clock.json``. It
is a lower bound on the time, also for services that do not report one.
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
"""Maximum difference between two clocks: a wrong time zone is off by hours."""

_WHAT_TO_DO = (
    "Nothing was written. Correct the clock (turn on automatic time in the system settings), then "
    "run `personal-pipeline refresh`."
)


def _path(home: Home) -> Path:
    return home.state / "clock.json"


def last_agreed(home: Home) -> datetime | None:
    """The latest instant (UTC) at which a service agreed with this machine."""
    try:
        return datetime.fromisoformat(json.loads(_path(home).read_bytes())["agreed"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def check_clock(home: Home, client: Client, now: datetime) -> None:
    """Raises ``ServiceError(CLOCK_WRONG)`` when this machine is more than a day from the time of
    the service's latest response, or more than a day before the last agreed time."""
    told = client.service_time()
    if told is not None and abs(now - told) > APART:
        raise _wrong(now, f"{client.service} says it is {_text(told)}")
    agreed = last_agreed(home)
    if told is None and agreed is not None and agreed - now > APART:
        raise _wrong(now, f"on {_text(agreed)} a service agreed with it, so it cannot be earlier")
    if told is not None and (agreed is None or now > agreed):
        write_atomically(_path(home), json.dumps({"agreed": now.isoformat()}).encode())


def check_beginning(beginning: date, now: datetime) -> None:
    """Raises ``ServiceError(CLOCK_WRONG)`` when the first wanted day is in the future."""
    if beginning > (now + APART).date():
        raise _wrong(now, f"the first day to fetch is {beginning}")


def _wrong(now: datetime, other: str) -> ServiceError:
    return ServiceError(
        Failure.CLOCK_WRONG,
        f"This machine's clock says {_text(now)}, but {other}. {_WHAT_TO_DO}",
    )


def _text(instant: datetime) -> str:
    # day only: the message stays the same for as long as the problem lasts
    return f"{instant.astimezone(UTC):%Y-%m-%d}"


def asked_at(
    client: Client, now: datetime, newest: date | None, took: timedelta
) -> datetime | None:
    """The instant up to which an answer, requested now and received after ``took``, is complete:
    never later than the service's own time, or the day of its most recent record if it reports no
    time."""
    told = client.service_time()
    if told is not None:
        return min(now, told - took)
    if newest is None:
        return None
    return min(now, datetime.combine(newest, time(), UTC))


def jumped(memory: StreamMemory, now: datetime) -> datetime | None:
    """The instant of an earlier fetch that is in the future, if any: one of the two clocks was
    wrong."""
    noted = [memory.fetched_at, memory.succeeded_at, memory.full_pass_at, memory.asked_until]
    latest = max((each for each in noted if each is not None), default=None)
    return latest if latest is not None and latest - now > APART else None


def believable(memory: StreamMemory, stream: ApiStream, now: datetime) -> StreamMemory:
    """The memory without what cannot be true: fetches and days in the future."""

    def past(instant: datetime | None) -> datetime | None:
        return None if instant is not None and instant - now > APART else instant

    latest = (now + APART).date()
    return replace(
        memory,
        fetched_at=past(memory.fetched_at),
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
    """Remove what fetches under a wrong clock left in a lake, and report it: partitions in the
    future (archived if they hold rows), and empty days before the beginning that nobody asked for.

    Only called when a service has just agreed with this machine, or does not report the time.
    """
    present = lake.partitions()
    last = today + APART
    to_come = [partition for partition in present if partition > last]
    # only some days of a month that has begun
    begun = [partition for partition in present if lake.units_of(partition)[-1] > last >= partition]
    days = sorted({day for partition in begun for day, _ in lake.filed(partition) if day > last})
    said = []
    if to_come or days:
        lake.write_units(dict.fromkeys(days, ()))
        lake.remove(to_come)
        away = sorted({*days, *(day for each in to_come for day in lake.units_of(each))})
        said.append(
            f"Removed {len(away):,} days in the future, up to {away[-1]}, left by a fetch while "
            "the clock was ahead; they are fetched again."
        )
    if stream.coverage is not Coverage.STATE and (early := _too_early(lake, beginning, memory)):
        lake.remove(early)
        count = sum(len(lake.units_of(each)) for each in early)
        said.append(
            f"Removed {count:,} empty days before the beginning, from {early[0]} on, left by a "
            "fetch while the clock was behind."
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
