"""What the person has been told, kept in ``state/alerts/memory.json``.

Planned messages are committed in the same file as the memory that records them as told, and only
then put into the outbox. After a kill in between, the next planning puts them out again under the
same names: nothing is lost, and nothing is told twice.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from personal_pipeline.alerts.messages import Tone
from personal_pipeline.home import Home, write_atomically

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    """One message, as stored in the outbox. ``id`` sorts by time."""

    id: str
    created_at: datetime
    title: str
    body: str
    tone: Tone
    about: tuple[str, ...] = ()
    """Its topics, machine-readable: see ``messages.Text``."""
    attachment: str | None = None
    """The mail that brings a report, a file in ``reports/``; only mail gets such a message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class First:
    """When a trouble of a stream was first seen. ``failed_at`` is the first failed fetch.

    ``held_since`` is when it was first held back because the computer had just woken up.
    """

    kind: str
    seen_at: datetime
    failed_at: datetime | None = None
    held_since: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Alerted:
    """What has been told about a subject since it was last well: the kinds of trouble, since when,
    the time of the most recent message about it, and the reminders since the last news."""

    kinds: tuple[str, ...]
    since: datetime
    last: datetime
    reminders: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """All instants are UTC."""

    firsts: Mapping[str, First] = field(default_factory=dict)
    """By subject and stream: current troubles."""
    told: Mapping[str, Alerted] = field(default_factory=dict)
    """By subject: troubles that the person has been told about."""
    failures: Mapping[str, datetime] = field(default_factory=dict)
    """By sort of run failure: when it was last told."""
    reports_sent: tuple[str, ...] = ()
    """The days and months of the reports that were sent last: ``2026-11-27``, ``2026-10``."""
    planned_at: datetime | None = None
    woke_at: datetime | None = None
    """When planning last resumed after a long pause."""
    quiet: bool = False
    """Whether the last planning was during the quiet hours."""
    number: int = 0
    """How many messages there have ever been."""
    unposted: tuple[Message, ...] = ()
    """Messages that are committed but possibly not in the outbox yet."""


_MEMORY: TypeAdapter[Memory] = TypeAdapter(Memory)


def path(home: Home) -> Path:
    """The file."""
    return home.state / "alerts" / "memory.json"


def recall(home: Home) -> Memory:
    """The memory; empty if there is none. One that cannot be parsed is set aside, at the cost of
    repeating once what is on the board."""
    file = path(home)
    try:
        return _MEMORY.validate_json(file.read_bytes())
    except FileNotFoundError:
        return Memory()
    except (ValidationError, IsADirectoryError):
        if file.is_file():
            file.replace(file.with_suffix(".unreadable"))
        LOG.warning(
            "the record of sent alerts could not be read, so all current ones are sent again"
        )
        return Memory()


def remember(home: Home, memory: Memory) -> None:
    """Replace the memory. Durable on return."""
    write_atomically(path(home), _MEMORY.dump_json(memory, indent=1))
