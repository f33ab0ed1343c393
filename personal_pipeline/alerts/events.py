"""Failed runs, recorded as small files by whoever saw them, until the person has been told.

A run ends in one process and messages are planned in another; the files connect them. A file is
written atomically and named after its run and step, so a failure seen twice leaves one file.
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
    """Empty if the run has none; ``first … last`` for a range."""
    cause: str
    """A sentence without any value of a row."""
    address: str
    """The address at which the run can be viewed; empty if there is none."""

    @property
    def name(self) -> str:
        return hashlib.sha256(f"{self.run_id} {self.what}".encode()).hexdigest()[:24]

    @property
    def sort(self) -> str:
        """What failures have in common that the person needs to hear about only once; partitions
        differ."""
        return hashlib.sha256(f"{self.job} {self.what} {self.cause}".encode()).hexdigest()[:24]


def folder(home: Home) -> Path:
    """The folder of failures that have not been planned for yet."""
    return home.state / "alerts" / "events"


def record(home: Home, failure: RunFailure) -> None:
    """Record a failure for the next planning. Durable on return."""
    content = asdict(failure) | {"at": failure.at.isoformat()}
    write_atomically(folder(home) / f"{failure.name}.json", json.dumps(content, indent=1).encode())


def recorded(home: Home) -> list[RunFailure]:
    """The recorded failures, oldest first. A file that cannot be parsed is set aside."""
    failures = []
    for path in folder(home).glob("*.json"):
        try:
            kept = json.loads(path.read_bytes())
            failures.append(RunFailure(**kept | {"at": datetime.fromisoformat(kept["at"])}))
        except (OSError, ValueError, TypeError, KeyError):
            path.rename(path.with_suffix(".unreadable"))
    return sorted(failures, key=lambda failure: (failure.at, failure.name))


def forget(home: Home, failures: list[RunFailure]) -> None:
    """Delete failures that have been planned for."""
    for failure in failures:
        (folder(home) / f"{failure.name}.json").unlink(missing_ok=True)
