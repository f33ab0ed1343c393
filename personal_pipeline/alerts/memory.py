"""What the person was told, kept in ``state/alerts/memory.json``.

The messages of a planning are committed in the same file as the memory that says they were told,
and only then laid into the outbox. Killed in between, the next planning lays them out again under
the same names: nothing is lost, and nothing is told twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from personal_pipeline.alerts.messages import Tone
from personal_pipeline.home import Home, write_atomically

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message, as it lies in the outbox. ``id`` sorts by time."""

    id: str
    created_at: datetime
    title: str
    body: str
    tone: Tone
    about: tuple[str, ...] = ()
    """What it tells, for machines: ``messages.Text``."""
    attachment: str | None = None
    """Path of a file; only mail carries one, so only mail gets such a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """When a trouble of a stream was first seen. ``failed_at`` is the first look that failed.

    ``held_since`` is when it was first kept back because the computer had just woken up.
    """

    kind: str
    seen_at: datetime
    failed_at: datetime | None = None
    held_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What was told of a subject since it was last well: which kinds of trouble, since when, and
    when a message last spoke of it."""

    kinds: tuple[str, ...]
    since: datetime
    last: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """Instants are UTC."""

    firsts: Mapping[str, First] = field(default_factory=dict)
    """By subject and stream: troubles that are there."""
    told: Mapping[str, Told] = field(default_factory=dict)
    """By subject: troubles that the person knows of."""
    failures: Mapping[str, datetime] = field(default_factory=dict)
    """By sort of run failure: when it was last told."""
    report_sent: date | None = None
    """The UTC day of the last report that went out."""
    planned_at: datetime | None = None
    woke_at: datetime | None = None
    """When planning last went on after a long pause."""
    quiet: bool = False
    """Whether the last planning fell into the quiet hours."""
    number: int = 0
    """How many messages there ever were."""
    unposted: tuple[Message, ...] = ()
    """Messages that are committed, and not surely in the outbox yet."""


_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)


def path(home: Home) -> Path:
    """The file."""
    return home.state / "alerts" / "memory.json"


def recall(home: Home) -> Memory:
    """The memory; an empty one when there is none. One that cannot be read is set aside, which
    costs one repetition of what stands on the board."""
    file = path(home)
    try:
        return _MEMORY.validate_json(file.read_bytes())
    except FileNotFoundError:
        return Memory()
    except (ValidationError, IsADirectoryError):
        if file.is_file():
            file.replace(file.with_suffix(".unreadable"))
        LOG.warning("what was told before could not be read, so all of it is told again")
        return Memory()


def remember(home: Home, memory: Memory) -> None:
    """Replace the memory. Durable when this returns."""
    write_atomically(path(home), _MEMORY.dump_json(memory, indent=1))
