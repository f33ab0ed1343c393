"""Which days a service was asked for, and which are due: stated in the memory of a stream, and
never inferred from files alone.

A day is *settled* when it was asked for after the service had ceased to revise it: ``refetch_days``
after its end. Every other day from the beginning to today is due, so a week in which the machine
was off leaves no half day. Without memory nothing is settled, and everything is asked for again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Window
from personal_pipeline.ingest.memory import recall, remember

CHUNK_DAYS = 31
"""How much of a long history is one durable piece: small enough that a kill costs a minute,
large enough that ten years are some hundred requests."""

_DAY = timedelta(days=1)


def windows_due(
    settled: Iterable[Window], present: Collection[date], beginning: date, today: date
) -> list[Window]:
    """The windows to ask for: days without a file first, then those that are not settled; the
    oldest first. A settled day without a file lost it, and is due too.

    ``today`` is included: its partition is partial, and asked for again tomorrow. Nothing is due
    before the beginning, whatever the clock says.
    """
    everything = Window(beginning, max(beginning, today + _DAY))
    known = {day for window in settled for day in window.days()}
    have = set(present)
    missing = [day for day in everything.days() if day not in have]
    again = [day for day in everything.days() if day in have and day not in known]
    return [*spans(missing), *spans(again)]


def spans(days: Sequence[date]) -> Iterator[Window]:
    """Days in order as windows, none longer than ``CHUNK_DAYS``."""
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
    """The settled days after a window was asked for at an instant, and its rows are durable."""
    end = min(asked.end, settles_before(asked_at, refetch_days))
    return joined([*settled, *([Window(asked.start, end)] if asked.start < end else [])])


def joined(windows: Iterable[Window]) -> tuple[Window, ...]:
    """The same days in as few windows as can be."""
    found: list[Window] = []
    for window in sorted(windows, key=lambda window: window.start):
        if found and window.start <= found[-1].end:
            found[-1] = Window(found[-1].start, max(found[-1].end, window.end))
        else:
            found.append(window)
    return tuple(found)


def windows_of(days: Iterable[date]) -> tuple[Window, ...]:
    """Days as windows, as few as can be."""
    return joined(Window(day, day + _DAY) for day in days)


def settles_before(asked_at: datetime, refetch_days: int) -> date:
    """The first day that an answer of this instant does not settle. A day is not settled on the
    day after it even where nothing is revised: services are late by hours."""
    return (asked_at - timedelta(days=max(refetch_days, 1))).date()


def settled_before(settled: Iterable[Window], end: date) -> tuple[Window, ...]:
    """Of settled days those before ``end``."""
    return tuple(
        Window(window.start, min(window.end, end)) for window in settled if window.start < end
    )


def without_days(settled: Iterable[Window], days: Collection[date]) -> tuple[Window, ...]:
    """Settled days but for these."""
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
    """Let the next look ask for these days again, whatever was asked before. Of a stream that has
    no windows, it asks for everything. The caller holds the lock of the source."""
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
