"""Runs that failed, left as small files by whoever saw it, until the person is told.

A run ends in one process and messages are planned in another; the file is what lies between. It is
written whole or not at all, under a name of its run and step, so that seeing a failure twice leaves
one file.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from personal_pipeline.home import Home, write_atomically


@dataclass(frozen=True, kw_only=True, slots=True)
class RunFailure:
    """One failed step of one run, or a failed run as a whole."""

    run_id: str
    job: str
    at: datetime
    """UTC."""
    what: str
    """The assets, or the step."""
    partition: str
    """Empty when the run has none; ``first … last`` of a range."""
    cause: str
    """A sentence that holds no value of a row."""
    address: str
    """Where the run can be looked at; empty when nothing shows it."""

    @property
    def name(self) -> str:
        return hashlib.sha256(f"{self.run_id} {self.what}".encode()).hexdigest()[:24]

    @property
    def sort(self) -> str:
        """What failures that the person need hear of once have in common; partitions differ."""
        return hashlib.sha256(f"{self.job} {self.what} {self.cause}".encode()).hexdigest()[:24]


def folder(home: Home) -> Path:
    """Where failures wait."""
    return home.state / "alerts" / "events"


def record(home: Home, failure: RunFailure) -> None:
    """Leave a failure for the next planning. Durable when this returns."""
    content = asdict(failure) | {"at": failure.at.isoformat()}
    write_atomically(folder(home) / f"{failure.name}.json", json.dumps(content, indent=1).encode())


def recorded(home: Home) -> list[RunFailure]:
    """The failures that wait, oldest first. A file that cannot be read is set aside."""
    failures = []
    for path in folder(home).glob("*.json"):
        try:
            kept = json.loads(path.read_bytes())
            failures.append(RunFailure(**kept | {"at": datetime.fromisoformat(kept["at"])}))
        except (OSError, ValueError, TypeError, KeyError):
            path.rename(path.with_suffix(".unreadable"))
    return sorted(failures, key=lambda failure: (failure.at, failure.name))


def forget(home: Home, failures: list[RunFailure]) -> None:
    """Remove what has been planned for."""
    for failure in failures:
        (folder(home) / f"{failure.name}.json").unlink(missing_ok=True)
