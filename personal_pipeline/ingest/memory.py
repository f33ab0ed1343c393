"""What the pipeline remembers of each stream: when it last looked, and how that went.

One small JSON file a stream under ``state/``, written by whoever looked. It is kept apart from
Dagster's events so that the board is right with the daemon stopped, and from the warehouse so that
deleting derived data forgets nothing.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from pathlib import Path

from personal_pipeline.home import Home, write_atomically


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
        for name in ("looked_at", "succeeded_at", "full_pass_at"):
            kept[name] = datetime.fromisoformat(kept[name]) if kept.get(name) else None
        kept["beginning"] = date.fromisoformat(kept["beginning"]) if kept.get("beginning") else None
        return StreamMemory(**kept)
    except (OSError, ValueError, TypeError, AttributeError):
        # losing it costs one extra look and no data, so a damaged file is not an error
        return StreamMemory()


def remember(home: Home, source: str, stream: str, memory: StreamMemory) -> None:
    """Replace the memory of a stream."""
    content = json.dumps(asdict(memory), default=lambda value: value.isoformat(), indent=1)
    write_atomically(_path(home, source, stream), content.encode())
