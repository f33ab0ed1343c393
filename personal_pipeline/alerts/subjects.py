"""What alerts are about: the services, the exports made by hand, and the asset checks.

The board has one line per stream. One message per stream would send many for one cause, so the
streams of a service are one subject, and so are those fed by one kind of export.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path

from personal_pipeline.board import StreamState
from personal_pipeline.freshness import TROUBLED, State
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.http import Failure

DUE = "due"
"""The reason for an export that can be made now."""
LATE = "late"
"""The reason for what should have arrived already."""
CHECK_FAILED = "check failed"
"""The reason for an asset check that failed."""

CHECK = "check "
"""The prefix of the keys of asset checks."""

UNAVAILABLE = "unavailable"
"""The kind shared by the transient reasons."""

_PASSING = frozenset((Failure.SERVICE_DOWN, Failure.OUT_OF_TIME))


class Standing(StrEnum):
    """What it means if a subject has no trouble."""

    WELL = "well"
    DORMANT = "dormant"
    """Nothing is expected: it is not connected, or its first data has not arrived yet."""
    UNKNOWN = "unknown"
    """It could not be judged now; what was told about it stands."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trouble:
    """What is wrong with one stream.

    ``early``: does not justify a message of its own yet, but is included in that of another subject
    with the same reason. ``by_hand``: only the person can end it, by dropping a file. ``once``:
    reported once without reminders, because nothing changes by itself.
    """

    stream: str
    reason: str
    detail: str = ""
    fetched_at: datetime | None = None
    early: bool = False
    by_hand: bool = False
    once: bool = False

    @property
    def passing(self) -> bool:
        """Whether the next fetch may well resolve it without anybody doing anything."""
        return self.reason in _PASSING

    @property
    def waits_for_a_fetch(self) -> bool:
        """Whether a missed fetch explains it: it ends when the computer wakes up."""
        return self.passing or (self.reason == LATE and not self.by_hand)

    @property
    def kind(self) -> str:
        """What is reported once: a service that is down, slow or not fetched is unavailable, in
        three ways that follow on each other."""
        return UNAVAILABLE if self.waits_for_a_fetch else self.reason


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """One thing that is well or not. ``key`` identifies it in the memory, ``title`` to the
    person."""

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
    asleep = (State.NOT_CONNECTED, State.RESTING, State.WAITING)
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
                fetched_at=line.last_fetched,
                early=line.state is State.DUE,
                once=line.state is State.ACTION_REQUIRED,
            )
            for line in lines
            if line.state in TROUBLED
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
        # judged by rhythm, one export in ten is due without being missed: the person should only be
        # asked on the due day of a calendar
        if line.state is State.DUE and drop.monthly_on_day is None:
            continue
        if line.state not in (State.DUE, State.LATE, State.FAILING):
            continue
        reason = {State.DUE: DUE, State.LATE: LATE}.get(line.state, line.cause or State.FAILING)
        detail = line.detail
        if line.state is not State.FAILING:
            # the board's detail may already contain the steps, after what is particular to this one
            told = "" if drop.how_to in detail else drop.how_to
            detail = f"{detail} {told}".strip()
            detail += f"\nPut it into {inbox}, or run `personal-pipeline add FILE`."
        # the streams of one export share their trouble
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
    """The checks among the told keys, as subjects that were not evaluated now."""
    return [
        Subject(key=key, title=key, standing=Standing.UNKNOWN)
        for key in keys
        if key.startswith(CHECK)
    ]
