"""Which days have been requested from a service, and which are due: recorded in the stream's
memory, never inferred from files alone.

A day is *settled* when it was requested after the service stopped revising it: ``refetch_days``
after its end. Every other day from the beginning to today is due, so a week in which the machine
was off leaves no partial day behind. Without memory nothing is settled, and everything is requested
again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Window
from personal_pipeline.ingest.memory import recall, remember

CHUNK_DAYS = 31
"""How many days of a long history form one durable piece: small enough that a kill costs a minute,
large enough that ten years take a hundred-odd requests."""

_DAY = timedelta(days=1)


def windows_due(
    settled: Iterable[Window], present: Collection[date], beginning: date, today: date
) -> list[Window]:
    """The windows to request: days without a file first, then unsettled days; oldest first. A
    settled day without a file has lost it, and is due too.

    ``today`` is included: its partition is partial, and requested again tomorrow. Nothing is due
    before the beginning, whatever the clock says.
    """
    everything = Window(beginning, max(beginning, today + _DAY))
    known = {day for window in settled for day in window.days()}
    have = set(present)
    missing = [day for day in everything.days() if day not in have]
    again = [day for day in everything.days() if day in have and day not in known]
    return [*spans(missing), *spans(again)]


def spans(days: Sequence[date]) -> Iterator[Window]:
    """Sorted days as windows, none longer than ``CHUNK_DAYS``."""
    start = previous = None
    for day in days:
        if start is None or previous is None:
            start = day
        elif day - previous > _DAY or (day - start).days >= CHUNK_DAYS:
            yield Window(start, previous + _DAY)
            start = day
        previous = day
    if start is not None and previous is not None:
        yield Window(start, previous + _DAY)


def settled_with(
    settled: Iterable[Window], asked: Window, asked_at: datetime, refetch_days: int
) -> tuple[Window, ...]:
    """The settled days once a window was requested at ``asked_at`` and its rows are durable."""
    end = min(asked.end, settles_before(asked_at, refetch_days))
    return joined([*settled, *([Window(asked.start, end)] if asked.start < end else [])])


def joined(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same days in as few windows as possible."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start):
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return tuple(found)


def windows_of(days: Iterable[date]) -> tuple[Window, ...]:
    """Days as windows, as few as possible."""
    return joined(Window(day, day + _DAY) for day in days)


def settles_before(asked_at: datetime, refetch_days: int) -> date:
    """The first day that an answer from this instant does not settle. A day is never settled until
    a full day after its end, even if nothing is revised: services lag by hours."""
    return (asked_at - timedelta(days=max(refetch_days, 1))).date()


def settled_before(settled: Iterable[Window], end: date) -> tuple[Window, ...]:
    """The settled days before ``end``."""
    return tuple(
        Window(window.start, min(window.end, end)) for window in settled if window.start < end
    )


def without_days(settled: Iterable[Window], days: Collection[date]) -> tuple[Window, ...]:
    """The settled days except these."""
    kept = [w for window in settled for w in _cut(window, sorted(days))]
    return tuple(kept)


def _cut(window: Window, days: Sequence[date]) -> Iterator[Window]:
    start = window.start
    for day in days:
        if window.start <= day < window.end:
            if start < day:
                yield Window(start, day)
            start = day + _DAY
    if start < window.end:
        yield Window(start, window.end)


def forget_days(home: Home, source: str, stream: str, days: Collection[date]) -> None:
    """Make the next fetch request these days again, whatever was requested before. A stream without
    windows is fetched whole. The caller holds the source's lock."""
    memory = recall(home, source, stream)
    remember(
        home,
        source,
        stream,
        replace(
            memory,
            settled=without_days(memory.settled, days),
            asked_until=None,
            full_pass_at=None,
        ),
    )
