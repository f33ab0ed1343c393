"""What the person is told about: the services, the exports made by hand, and the asset checks.

The board has a line a stream. One message a stream would be many for one cause, so the streams that
a service answers for are one subject, and so are those that one kind of export feeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from personal_pipeline.board import StreamState
from personal_pipeline.freshness import State
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.http import Failure

DUE = "due"
"""The reason of an export that can be made now."""
LATE = "late"
"""The reason of what should have been there already."""
CHECK_FAILED = "check failed"
"""The reason of an asset check that does not hold."""

CHECK = "check "
"""What the keys of asset checks begin with."""

UNAVAILABLE = "unavailable"
"""The kind that the passing reasons share."""

_PASSING = frozenset((Failure.SERVICE_DOWN, Failure.OUT_OF_TIME))


class Standing(StrEnum):
    """What it means that a subject has no trouble."""

    WELL = "well"
    DORMANT = "dormant"
    """Nothing is expected of it: it is not connected, or its first data has not come yet."""
    UNKNOWN = "unknown"
    """It could not be judged now; what was told of it stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What is wrong with one stream.

    ``early``: not worth a message of its own yet, but worth a line in that of another subject that
    has it for the same reason. ``by_hand``: only the person can end it, by dropping a file.
    ``once``: told when it turns, and without reminders, since nothing can change by itself.
    """

    stream: str
    reason: str
    detail: str = ""
    looked_at: datetime | None = None
    early: bool = False
    by_hand: bool = False
    once: bool = False

    @property
    def passing(self) -> bool:
        """Whether the next look may well end it without anybody doing anything."""
        return self.reason in _PASSING

    @property
    def waits_for_a_look(self) -> bool:
        """Whether a look that was missed explains it: it ends when the computer wakes up."""
        return self.passing or (self.reason == LATE and not self.by_hand)

    @property
    def kind(self) -> str:
        """What is told once: a service that is down, slow or not asked is out of reach in three
        ways that follow on each other."""
        return UNAVAILABLE if self.waits_for_a_look else self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One thing that is well or not. ``key`` names it in the memory, ``title`` to the person."""

    key: str
    title: str
    standing: Standing = Standing.WELL
    troubles: tuple[Trouble, ...] = ()


def subjects_of(
    board: Sequence[StreamState], sources: Sequence[Source], inbox: Path
) -> list[Subject]:
    """The services and exports of a board, in its order."""
    subjects = []
    for (source, drop), lines in groupby(board, key=lambda line: (line.source, line.drop)):
        together = list(lines)
        title = together[0].source_title
        subjects.append(
            _service(source, title, together)
            if drop is None
            else _export(source, title, drop, together, sources, inbox)
        )
    return subjects


def _standing(lines: Sequence[StreamState]) -> Standing:
    asleep = (State.NOT_CONNECTED, State.WAITING)
    return Standing.DORMANT if all(line.state in asleep for line in lines) else Standing.WELL


def _service(source: str, title: str, lines: Sequence[StreamState]) -> Subject:
    return Subject(
        key=f"service {source}",
        title=title,
        standing=_standing(lines),
        troubles=tuple(
            Trouble(
                stream=line.stream,
                reason=_reason(line),
                detail=line.detail,
                looked_at=line.last_looked,
                early=line.state is State.DUE,
                once=line.state is State.ACTION_REQUIRED,
            )
            for line in lines
            if line.state in (State.DUE, State.LATE, State.FAILING, State.ACTION_REQUIRED)
        ),
    )


def _reason(line: StreamState) -> str:
    if line.state is State.ACTION_REQUIRED:
        return f"{line.state}, {line.cause}" if line.cause else str(line.state)
    return (line.cause or State.FAILING) if line.state is State.FAILING else LATE


def _export(
    source: str,
    title: str,
    name: str,
    lines: Sequence[StreamState],
    sources: Sequence[Source],
    inbox: Path,
) -> Subject:
    drop = next(d for s in sources if s.name == source for d in s.drops if d.name == name)
    troubles: dict[str, Trouble] = {}
    for line in lines:
        # by its rhythm, one in ten is due without being missed: only a calendar has a day on
        # which a person should be asked
        if line.state is State.DUE and drop.monthly_on_day is None:
            continue
        if line.state not in (State.DUE, State.LATE, State.FAILING):
            continue
        reason = {State.DUE: DUE, State.LATE: LATE}.get(line.state, line.cause or State.FAILING)
        detail = line.detail
        if line.state is not State.FAILING:
            # a line of the board may hold the steps already, after what is special about this one
            told = "" if drop.how_to in detail else drop.how_to
            detail = f"{detail} {told}".strip()
            detail += f"\nThe inbox: {inbox}, or run `personal-pipeline add FILE`."
        # the streams of an export are in trouble together
        troubles.setdefault(
            reason, Trouble(stream=name, reason=reason, detail=detail, by_hand=True)
        )
    return Subject(
        key=f"export {source} {name}",
        title=f"{title} {name.replace('_', ' ')}",
        standing=_standing(lines),
        troubles=tuple(troubles.values()),
    )


def unknown(keys: Iterable[str]) -> list[Subject]:
    """The checks among what was told, as nobody has looked at them now."""
    return [
        Subject(key=key, title=key, standing=Standing.UNKNOWN)
        for key in keys
        if key.startswith(CHECK)
    ]
