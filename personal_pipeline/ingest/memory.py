"""What the pipeline remembers of each stream: when it last looked, how that went, and which days
the service was asked for.

One small JSON file a stream under ``state/``, written by whoever looked. It is kept apart from
Dagster's events so that the board is right with the daemon stopped, and from the warehouse so that
deleting derived data forgets nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import Window


@dataclass(frozen=True, slots=True)
class StreamMemory:
    """The last looks at one stream. Instants are UTC.

    ``failure`` is one of ``http.Failure``, or "file unreadable"; ``failure_message`` says what to
    do about it.
    """

    looked_at: datetime | None = None
    succeeded_at: datetime | None = None
    full_pass_at: datetime | None = None
    beginning: date | None = None
    """The first day that the service has anything of, where it tells."""
    unreadable: int = 0
    """Records of the last look that could not be read."""
    records: int | None = None
    """Records of the last look, readable or not; None when that was not noted."""
    failure: str | None = None
    failure_message: str | None = None
    asked_until: datetime | None = None
    """Until this instant the service was asked for everything. It is never later than its own time,
    nor than the beginning of the last look."""
    settled: tuple[Window, ...] = ()
    """Days of a stream with windows that need not be asked for again: they were, after the service
    had ceased to revise them. In order, and apart from each other."""
    newest: date | None = None
    """The newest day of a record: the service's time where it does not tell the hour."""
    present: tuple[Window, ...] = ()
    """The partitions that the lake had after the last look: one that is gone must come again. Not
    of a stream with windows, and not of snapshots."""

    restored: tuple[Window, ...] = ()
    """Partitions that a person brought back: no answer replaces them before it is accepted."""

    def never_asked(self) -> StreamMemory:
        """The same, as if the service had never been asked for anything."""
        return replace(
            self, settled=(), asked_until=None, full_pass_at=None, beginning=None, newest=None
        )

    def failed(self, at: datetime, failure: str, message: str) -> StreamMemory:
        return replace(self, looked_at=at, failure=failure, failure_message=message)

    def succeeded(
        self, at: datetime, *, unreadable: int, records: int | None = None, full_pass: bool = False
    ) -> StreamMemory:
        return replace(
            self,
            looked_at=at,
            succeeded_at=at,
            full_pass_at=at if full_pass else self.full_pass_at,
            unreadable=unreadable,
            records=records,
            failure=None,
            failure_message=None,
        )


def _path(home: Home, source: str, stream: str) -> Path:
    return home.state / f"{source}.{stream}.json"


def recall(home: Home, source: str, stream: str) -> StreamMemory:
    """The memory of a stream; an empty one when there is none or it cannot be read."""
    try:
        kept = json.loads(_path(home, source, stream).read_bytes())
        for name in ("looked_at", "succeeded_at", "full_pass_at", "asked_until"):
            kept[name] = datetime.fromisoformat(kept[name]) if kept.get(name) else None
        for name in ("beginning", "newest"):
            kept[name] = date.fromisoformat(kept[name]) if kept.get(name) else None
        for name in ("settled", "present", "restored"):
            kept[name] = tuple(
                Window(date.fromisoformat(start), date.fromisoformat(end))
                for start, end in kept.get(name, ())
            )
        return StreamMemory(**kept)
    except (OSError, ValueError, TypeError, AttributeError):
        # losing it costs one extra look and no data, so a damaged file is not an error
        return StreamMemory()


def remember(home: Home, source: str, stream: str, memory: StreamMemory) -> None:
    """Replace the memory of a stream."""
    kept: dict[str, Any] = asdict(memory)
    for name in ("settled", "present", "restored"):
        kept[name] = [[window.start, window.end] for window in getattr(memory, name)]
    content = json.dumps(kept, default=lambda value: value.isoformat(), indent=1)
    write_atomically(_path(home, source, stream), content.encode())
