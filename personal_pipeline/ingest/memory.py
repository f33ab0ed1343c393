"""What the pipeline remembers about each stream: when it was last fetched, with what result, and
which days were requested.

One small JSON file per stream under ``state/``, written by whoever fetched it. It is kept apart
from Dagster's events so that the board is right with the daemon stopped, and from the warehouse so
that deleting derived data forgets nothing.
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
    """The most recent fetches of one stream. Instants are UTC.

    ``failure`` is one of ``http.Failure``, or "file unreadable"; ``failure_message`` says what to
    do about it.
    """

    fetched_at: datetime | None = None
    """The most recent fetch, successful or not."""
    succeeded_at: datetime | None = None
    full_pass_at: datetime | None = None
    beginning: date | None = None
    """The first day with data, where the service reports it."""
    unreadable: int = 0
    """Records of the last fetch that could not be read."""
    records: int | None = None
    """Records of the last fetch, readable or not; None when that was not noted."""
    failure: str | None = None
    failure_message: str | None = None
    asked_until: datetime | None = None
    """Everything up to this instant has been requested. Never later than the service's own time,
    nor than the start of the last fetch."""
    settled: tuple[Window, ...] = ()
    """For a stream with windows, the days that need not be requested again: they were requested
    after the service stopped revising them. In order and disjoint."""
    newest: date | None = None
    """The latest day of any record: stands in for the service's time if it reports none."""
    present: tuple[Window, ...] = ()
    """The partitions in the lake after the last fetch: one that has disappeared must be fetched
    again. Not set for streams with windows, or for snapshots."""

    restored: tuple[Window, ...] = ()
    """Days the user restored: no answer replaces them until it is accepted."""

    def never_asked(self) -> StreamMemory:
        """The same, as if the service had never been asked for anything."""
        return replace(
            self, settled=(), asked_until=None, full_pass_at=None, beginning=None, newest=None
        )

    def failed(self, at: datetime, failure: str, message: str) -> StreamMemory:
        return replace(self, fetched_at=at, failure=failure, failure_message=message)

    def succeeded(
        self, at: datetime, *, unreadable: int, records: int | None = None, full_pass: bool = False
    ) -> StreamMemory:
        return replace(
            self,
            fetched_at=at,
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
    """The memory of a stream; empty when there is none or it cannot be read."""
    try:
        kept = json.loads(_path(home, source, stream).read_bytes())
        # the name on disk; with another, existing homes would fetch everything again
        kept["fetched_at"] = kept.pop("looked_at", None)
        for name in ("fetched_at", "succeeded_at", "full_pass_at", "asked_until"):
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
        # losing it costs one extra fetch and no data, so a damaged file is not an error
        return StreamMemory()


def remember(home: Home, source: str, stream: str, memory: StreamMemory) -> None:
    """Replace the memory of a stream."""
    kept: dict[str, Any] = asdict(memory)
    kept["looked_at"] = kept.pop("fetched_at")
    for name in ("settled", "present", "restored"):
        kept[name] = [[window.start, window.end] for window in getattr(memory, name)]
    content = json.dumps(kept, default=lambda value: value.isoformat(), indent=1)
    write_atomically(_path(home, source, stream), content.encode())
