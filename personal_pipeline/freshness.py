"""How fresh a stream is: verdicts from plain values and a clock, without I/O.

There are three kinds of streams, judged by what they promise:

- A stream of a service is fetched every day. A fetch that finds nothing new is a success.
- A drop with a calendar is due on a fixed day of each month and then covers the previous month.
  Only an export captured after that month ended satisfies it: one made earlier does not cover the
  rest of the month.
- A drop without a calendar is judged by its own rhythm. The next file is *due* after the 90th
  percentile of the most recent gaps between files: nine times out of ten it had arrived by then.
  One time out of ten it had not, so this alone must not raise an alert: it is *late* after twice
  the longest of those gaps. A source that is regularly quiet for weeks therefore raises no alert.
"""

from __future__ import annotations

import math
from calendar import monthrange
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from itertools import pairwise

from personal_pipeline.ingest.arrivals import FILE_UNREADABLE, FORMAT_CHANGED, Arrival
from personal_pipeline.ingest.clocks import jumped
from personal_pipeline.ingest.http import NEEDS_A_PERSON, Failure
from personal_pipeline.ingest.memory import StreamMemory
from personal_pipeline.ingest.unreadable import format_changed, is_format_changed

FETCH_DUE_AFTER = timedelta(hours=26)
"""A daily fetch is overdue two hours after its time: one morning was missed."""

FETCH_LATE_AFTER = timedelta(hours=50)
"""Two mornings in a row were missed: more than a computer that was off overnight."""

GRACE = timedelta(days=5)
"""How long after its due day a monthly export may arrive before it is late."""

GAPS_NEEDED = 10
"""Minimum number of gaps between arrivals before a source is judged by them."""

GAPS_KEPT = 30
"""Only the most recent gaps count, so that a changed habit becomes the new rhythm."""

_LAST_SECOND = timedelta(seconds=1)

LAKE_DAMAGED = "lake file damaged"
ARCHIVE_DAMAGED = "archived file damaged"


class State(StrEnum):
    """The state of a stream, mildest first: ``worst`` relies on the order."""

    NOT_CONNECTED = "not connected"
    """It has no credential or address, and nothing is expected from it."""
    RESTING = "at rest"
    """The person said that it has ended: its data stays, and nothing is expected from it."""
    FRESH = "fresh"
    """Everything that should be there is there."""
    WAITING = "no data yet"
    """It is set up, but nothing has arrived yet."""
    DUE = "due"
    """The next data is available now; it is not late yet."""
    LATE = "late"
    """The next data should have arrived already."""
    FAILING = "failing"
    """The most recent fetch or file ended in an error."""
    ACTION_REQUIRED = "action required"
    """The service refuses until the person acts there; retrying cannot help."""


SEVERITY: tuple[State, ...] = tuple(State)

TROUBLED = (State.ACTION_REQUIRED, State.FAILING, State.LATE, State.DUE)
"""What a person can do something about, the worst first."""


def worst(states: Iterable[State]) -> State:
    """The state that most needs a person; ``NOT_CONNECTED`` if there are none."""
    return max(states, key=SEVERITY.index, default=State.NOT_CONNECTED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one stream, or on one kind of export with all streams that it feeds."""

    state: State
    detail: str = ""
    """What is wrong and what to do about it, in sentences; empty if all is well."""
    next_expected: date | None = None
    """The day by which newer data should arrive: UTC for a service, in the person's time zone for a
    drop. None if it cannot be predicted."""
    cause: str | None = None
    """Why it is failing or needs a person: a word of ``ingest.http.Failure``, or one of
    ``FILE_UNREADABLE``, ``FORMAT_CHANGED``, ``LAKE_DAMAGED`` and ``ARCHIVE_DAMAGED``. Otherwise
    None."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The recent gaps between arrivals of a source: 90% of them were at most ``usual``, and none
    exceeded ``longest``."""

    usual: timedelta
    longest: timedelta


def judge_api(
    memory: StreamMemory, now: datetime, *, connected: bool, connect: str = ""
) -> Verdict:
    """The verdict on a stream that is fetched every day.

    ``connect`` explains how to connect its source. Nothing is expected from a source whose
    credential was removed, whatever its last result.
    """
    if not connected:
        if memory.succeeded_at is None:
            return Verdict(State.NOT_CONNECTED, connect)
        return Verdict(
            State.NOT_CONNECTED, f"No longer connected; existing data is kept. {connect}".strip()
        )
    if memory.failure is not None:
        state = State.ACTION_REQUIRED if memory.failure in NEEDS_A_PERSON else State.FAILING
        return Verdict(state, memory.failure_message or memory.failure, cause=memory.failure)
    if later := jumped(memory, now):
        return Verdict(
            State.FAILING,
            f"The clock jumped: the last fetch is dated {later:%Y-%m-%d}, but this machine says it "
            f"is {now.astimezone(UTC):%Y-%m-%d}. If the date is right now, run `personal-pipeline "
            "refresh`: what was fetched under the wrong clock is fetched again.",
            cause=Failure.CLOCK_WRONG,
        )
    records = memory.records or 0
    if is_format_changed(memory.unreadable, records):
        return Verdict(
            State.FAILING, format_changed(memory.unreadable, records), cause=FORMAT_CHANGED
        )
    if memory.succeeded_at is None:
        return Verdict(
            State.WAITING,
            "Run `personal-pipeline refresh`, or wait for the next morning run.",
            now.astimezone(UTC).date(),
        )
    expected = (memory.succeeded_at + timedelta(days=1)).astimezone(UTC).date()
    silence = now - memory.succeeded_at
    if silence <= FETCH_DUE_AFTER:
        return Verdict(State.FRESH, "", expected)
    return Verdict(
        State.DUE if silence <= FETCH_LATE_AFTER else State.LATE,
        # no number that grows: it stays one message while it lasts, for all streams
        "Not fetched for more than a day. Is `personal-pipeline up` running? `personal-pipeline "
        "refresh` fetches now.",
        expected,
    )


def judge_drop(
    arrivals: Sequence[Arrival],
    now: datetime,
    *,
    monthly_on_day: int | None,
    how_to: str = "",
    zone: tzinfo = UTC,
) -> Verdict:
    """The verdict on a kind of export that is made by hand.

    ``arrivals`` are all files of this kind so far, in any order. ``zone`` is the person's time
    zone: a deadline is a day of their calendar.
    """
    good, bad = told_apart(arrivals)
    if bad is not None:
        return Verdict(State.FAILING, bad.problem, cause=bad.cause or FILE_UNREADABLE)
    if not good:
        return Verdict(State.WAITING, how_to)
    today = now.astimezone(zone).date()
    if monthly_on_day is not None:
        return _by_calendar(
            max(each.captured_at for each in good), today, monthly_on_day, how_to, zone
        )
    return _by_rhythm(sorted({_day(each, zone) for each in good}), today, how_to)


def told_apart(arrivals: Iterable[Arrival]) -> tuple[list[Arrival], Arrival | None]:
    """The good files, each once, and the bad one that still matters.

    A bad file stops mattering once a good one arrives after it, or if there is a good one captured
    no earlier: a person who adds old captures does not want to hear about a broken old one, and a
    person who replaced a broken file with a good one has done what was asked.
    """
    good: dict[str, Arrival] = {}
    broken: dict[str, Arrival] = {}
    for each in sorted(arrivals, key=lambda each: each.received_at):
        if each.cause is None:
            good.setdefault(each.digest, each)
        else:
            broken[each.digest] = each
    matters = [
        each
        for each in broken.values()
        if each.digest not in good
        and not any(
            better.received_at > each.received_at or better.captured_at >= each.captured_at
            for better in good.values()
        )
    ]
    return list(good.values()), max(matters, key=lambda each: each.captured_at, default=None)


def due_day(captured_at: datetime, monthly_on_day: int, zone: tzinfo = UTC) -> date:
    """The due day of the next export: in the month after the first one not completely captured.

    A date in a file name counts to the last second of its day, so a file named after the last day
    of a month, or later, covers that month completely. A month is over for the person when it is
    over in their time zone, if that is before UTC.
    """
    until = max(
        (captured_at + _LAST_SECOND).astimezone(UTC).date(), captured_at.astimezone(zone).date()
    )
    following = (until.replace(day=1) + timedelta(days=32)).replace(day=1)
    last = monthrange(following.year, following.month)[1]
    return following.replace(day=min(monthly_on_day, last))


def _by_calendar(
    newest: datetime, today: date, monthly_on_day: int, how_to: str, zone: tzinfo
) -> Verdict:
    expected = due_day(newest, monthly_on_day, zone)
    if today < expected:
        return Verdict(State.FRESH, "", expected)
    return Verdict(State.DUE if today <= expected + GRACE else State.LATE, how_to, expected)


def rhythm_of(days: Sequence[date]) -> Rhythm | None:
    """The rhythm of a source from the days on which data arrived, oldest first, without duplicates.

    None with fewer than ``GAPS_NEEDED`` gaps. The percentile is the nearest rank: an actual gap,
    not an interpolated one.
    """
    gaps = sorted(later - earlier for earlier, later in pairwise(days[-GAPS_KEPT - 1 :]))
    if len(gaps) < GAPS_NEEDED:
        return None
    return Rhythm(usual=gaps[math.ceil(0.9 * len(gaps)) - 1], longest=gaps[-1])


def _by_rhythm(days: Sequence[date], today: date, how_to: str) -> Verdict:
    rhythm = rhythm_of(days)
    if rhythm is None:
        return Verdict(
            State.FRESH,
            f"Not enough files to predict the next one: {len(days)} of {GAPS_NEEDED + 1} needed.",
        )
    expected = days[-1] + rhythm.usual
    if today <= expected:
        return Verdict(State.FRESH, "", expected)
    late = today > days[-1] + 2 * rhythm.longest
    return Verdict(
        State.LATE if late else State.DUE,
        f"Nothing has arrived since {days[-1]}. Of the recent gaps, 90% were at most "
        f"{rhythm.usual.days} days, the longest {rhythm.longest.days}. {how_to}".strip(),
        expected,
    )


def _day(arrival: Arrival, zone: tzinfo) -> date:
    return arrival.captured_at.astimezone(zone).date()
