"""Events in words, for the terminal and for the page of a day: when, how much, and by which clock.

Texts are returned as they are: whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from personal_pipeline.life.events import Event
from personal_pipeline.outputs.formats import DASH, WEEKDAYS, count, duration, money, number
from personal_pipeline.shown import shown

WITHOUT_TIME = "Without a time"
"""The heading of what has only a day."""


def when_of(event: Event) -> list[str]:
    """When it began, as ``07:10``, and when it ended, as ``\u201309:05``, by the clock on the wall;
    with the weekday where that is not the event's day. Empty without a time."""
    if event.local_at is None:
        return []
    begun = _clock(event.local_at, event)
    return (
        [begun] if event.local_end is None else [begun, f"{DASH}{_clock(event.local_end, event)}"]
    )


def _clock(moment: datetime, event: Event) -> str:
    is_other = moment.date() != event.local_day
    return f"{WEEKDAYS[moment.weekday()][:3]} {moment:%H:%M}" if is_other else f"{moment:%H:%M}"


def amount_of(event: Event) -> str:
    """The amount in the usual notation of its currency; empty if it has none."""
    if event.amount is None:
        return ""
    return money(event.amount, event.currency) if event.currency else number(event.amount, 2)


def kind_of(event: Event) -> str:
    """``subscribers joined``."""
    return event.kind.replace("_", " ")


def more_of(event: Event) -> str:
    """The second line: detail, place, and people whom the title does not name; empty if there is
    none."""
    people = ", ".join(each for each in event.people or () if each not in event.title)
    return " \u00b7 ".join(filter(None, (event.detail, event.place, people)))


def measured(value: float, unit: str | None) -> str:
    """A figure in its unit as people read it: metres as kilometres, seconds as hours."""
    if unit == "m" and value >= 1000:
        return f"{number(value / 1000, 1)} km"
    if unit == "s":
        return duration(value / 60)
    if unit == "m/s":
        return f"{number(value * 3.6, 1)} km/h"
    return f"{count(value) if value >= 100 else number(value, 1)} {unit or ''}".rstrip()


def whole(text: str) -> str:
    """A text of any length, made safe to show and not cut; only ``\\n`` ends a line."""
    # written out, a character takes at most ten
    return "\n".join(shown(line, most=10 * len(line) + 1) for line in text.split("\n"))


def stretches_of(events: Iterable[Event], home_zone: str) -> list[tuple[str, list[Event]]]:
    """The events of a day, in order, in stretches under one heading: the clock by which they
    happened, where it changes and where it is not that of the home at first, or that they have no
    time. Otherwise the heading is empty. Zones that show the same time are one clock."""
    stretches: list[tuple[str, list[Event]]] = []
    clock, ahead = home_zone, None
    for event in events:
        heading = ""
        if event.local_at is None:
            is_first = not stretches or stretches[-1][0] != WITHOUT_TIME
            heading = WITHOUT_TIME if is_first else ""
        elif event.zone != clock and event.offset not in (ahead, _offset_in(clock, event)):
            clock = event.zone or home_zone
            heading = _clock_words(event)
        ahead = event.offset
        if heading or not stretches:
            stretches.append((heading, []))
        stretches[-1][1].append(event)
    return stretches


def _offset_in(zone: str, event: Event) -> timedelta | None:
    if event.start_at is None:
        return None
    try:
        return event.start_at.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).utcoffset()
    except (ValueError, OSError, KeyError):
        return None


def _clock_words(event: Event) -> str:
    """``Clock of Asia/Tokyo, UTC+09:00``."""
    minutes = round((event.offset or timedelta()).total_seconds() / 60)
    offset = f"UTC{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    zone = event.zone or offset
    return f"Clock of {zone}" if zone in (offset, "UTC") else f"Clock of {zone}, {offset}"
