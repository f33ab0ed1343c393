"""How fresh a stream is: verdicts from plain values and a clock, without any reading or writing.

Three kinds of streams are judged, each by what it promises:

- A stream of a service is looked at every day. A look that finds nothing new is a good look.
- A drop with a calendar is due on its day of each month, and then holds the month that ended. So
  what satisfies it is a capture that was made after that month was over: one made early in a month
  says nothing of the rest of it.
- A drop without a calendar has no promise but its own rhythm. By the 90th percentile of its last
  silences the next file is *due*: nine times in ten it had come by then. One time in ten it had
  not, so this alone must not raise an alarm: it is *late* after twice the longest of those
  silences. A source that is quiet for weeks as a habit is therefore left in peace.
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

LOOK_DUE_AFTER = timedelta(hours=26)
"""A daily look is overdue when it is two hours late: one morning was missed."""

LOOK_LATE_AFTER = timedelta(hours=50)
"""Two mornings in a row were missed: that is no computer that was off over night."""

GRACE = timedelta(days=5)
"""How long after its day a monthly export may come before it is late."""

GAPS_NEEDED = 10
"""So many silences between arrivals a source must have shown before it is judged by them."""

GAPS_KEPT = 30
"""Only the last ones count, so that a changed habit becomes the new rhythm."""

_LAST_SECOND = timedelta(seconds=1)

LAKE_DAMAGED = "lake file damaged"
ARCHIVE_DAMAGED = "file in the archive damaged"


class State(StrEnum):
    """How a stream stands, mildest first: the order is that of ``worst``."""

    NOT_CONNECTED = "not connected"
    """It has no credential or address, and nothing is expected of it."""
    FRESH = "fresh"
    """Everything that should be there is there."""
    WAITING = "waiting for the first"
    """It is ready, and nothing has arrived yet."""
    DUE = "due"
    """The next data can be had now; it is not late yet."""
    LATE = "late"
    """The next data should have been there already."""
    FAILING = "failing"
    """The last look ended in an error."""
    ACTION_REQUIRED = "action required"
    """The service refuses until the person has done something there: looking again cannot help."""


SEVERITY: tuple[State, ...] = tuple(State)


def worst(states: Iterable[State]) -> State:
    """The state that most needs a person; ``NOT_CONNECTED`` when there is none at all."""
    return max(states, key=SEVERITY.index, default=State.NOT_CONNECTED)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one stream, or of one kind of export with all streams that it feeds."""

    state: State
    detail: str = ""
    """What is wrong and what to do about it, in sentences; empty when all is well."""
    next_expected: date | None = None
    """The day by which newer data should be there: UTC for a service, in the person's zone for a
    drop. None when nothing tells."""
    cause: str | None = None
    """Why it is failing or needs a person: a word of ``ingest.http.Failure``, or one of
    ``FILE_UNREADABLE``, ``FORMAT_CHANGED``, ``LAKE_DAMAGED`` and ``ARCHIVE_DAMAGED``. None unless
    it does."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """The silences that a source has shown: 90 in 100 of the last ones were no longer than
    ``usual``, none was longer than ``longest``."""

    usual: timedelta
    longest: timedelta


def judge_api(
    memory: StreamMemory, now: datetime, *, connected: bool, connect: str = ""
) -> Verdict:
    """The verdict on a stream that is fetched every day.

    ``connect`` tells how to connect its source. A source whose credential was taken away expects
    nothing any more, whatever came of its last look.
    """
    if not connected:
        if memory.succeeded_at is None:
            return Verdict(State.NOT_CONNECTED, connect)
        return Verdict(
            State.NOT_CONNECTED, f"No longer connected; its data stays. {connect}".strip()
        )
    if memory.failure is not None:
        state = State.ACTION_REQUIRED if memory.failure in NEEDS_A_PERSON else State.FAILING
        return Verdict(state, memory.failure_message or memory.failure, cause=memory.failure)
    if later := jumped(memory, now):
        return Verdict(
            State.FAILING,
            f"The clock jumped: a look is noted for {later:%Y-%m-%d}, and this machine says that "
            f"it is {now.astimezone(UTC):%Y-%m-%d}. If that is right, run `personal-pipeline "
            "refresh`: what was written under the wrong clock is asked for again.",
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
            "Run `personal-pipeline refresh`, or wait for the morning.",
            now.astimezone(UTC).date(),
        )
    expected = (memory.succeeded_at + timedelta(days=1)).astimezone(UTC).date()
    silence = now - memory.succeeded_at
    if silence <= LOOK_DUE_AFTER:
        return Verdict(State.FRESH, "", expected)
    return Verdict(
        State.DUE if silence <= LOOK_LATE_AFTER else State.LATE,
        # no figure that grows: it is one message for as long as it lasts, and for all streams
        "Not looked at for more than a day: is `personal-pipeline up` running? "
        "`personal-pipeline refresh` looks now.",
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

    ``arrivals`` are all files of this kind that ever came, in any order. ``zone`` is that of the
    person: a deadline is a day of the person's calendar.
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

    A bad file matters until a good one came after it, or was there that is as new: a person who
    sorts old captures in does not want to hear of a broken old one, and whoever answered a broken
    file with a good one has done what was asked.
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
    """The day on which the export after a capture is due: that of the month after the first month
    that the capture does not hold whole.

    A date in the name of a file counts to the last second of its day, so one named after the last
    day of a month, or after the month, holds it whole. A month is over for the person as soon as
    it is in their zone, if that is before UTC.
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
    """The rhythm of a source by the days on which it gave something, oldest first and each once.

    None when it has shown fewer than ``GAPS_NEEDED`` silences. The percentile is the nearest
    rank: a silence that there was, not one between two.
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
            f"Too few arrivals to know its rhythm: {len(days)} of {GAPS_NEEDED + 1}.",
        )
    expected = days[-1] + rhythm.usual
    if today <= expected:
        return Verdict(State.FRESH, "", expected)
    late = today > days[-1] + 2 * rhythm.longest
    return Verdict(
        State.LATE if late else State.DUE,
        f"Nothing came since {days[-1]}. The last silences were of {rhythm.usual.days} days at "
        f"most 9 times in 10, and never of more than {rhythm.longest.days}. {how_to}".strip(),
        expected,
    )


def _day(arrival: Arrival, zone: tzinfo) -> date:
    return arrival.captured_at.astimezone(zone).date()
