"""What was last reported to Dagster.

If nothing changed, Dagster need not be asked or even imported. The file is next to Dagster's own,
so that it is deleted with them and everything is reported again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path

from personal_pipeline.home import Home, write_atomically

FILE = "told.json"

TELL_FETCH_AFTER = timedelta(hours=6)
"""A fetch that found nothing is reported to Dagster if the previously reported one is older than
this: often enough for source freshness in the UI, which is counted in days."""

TELL_CURRENT_AFTER = timedelta(hours=20)
"""The same for tables that were found current: once a day, each morning."""


@dataclass(frozen=True, slots=True)
class Reported:
    """Digests by name, as of the last complete report to Dagster."""

    contents: dict[str, str] = field(default_factory=dict)
    """Of the partitions of each table, raw and derived."""
    checks: dict[str, str] = field(default_factory=dict)
    """Of each check."""
    looks: dict[str, str] = field(default_factory=dict)
    """Per fetched stream, the instant of the reported fetch, ISO 8601 UTC."""
    current: str = ""
    """The instant at which derived tables were reported as found current, ISO 8601 UTC."""
    outputs: dict[str, str] = field(default_factory=dict)
    """Of each output, as it was reported last."""
    outputs_current: str = ""
    """The instant at which outputs were reported as up to date, ISO 8601 UTC."""
    published: list[int] | None = None
    """Identifies the reported copy of the tables."""
    failed: bool = False
    """Whether the last reported pass had failures."""


def recall(home: Home) -> Reported:
    """What was reported; empty if that cannot be read."""
    try:
        kept = json.loads(_path(home).read_bytes())
        told = Reported(**{each.name: kept[each.name] for each in fields(Reported)})
        for named in (told.contents, told.checks, told.looks, told.outputs):
            named.items()
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return Reported()
    return told


def remember(home: Home, told: Reported) -> None:
    """Replace the record of what was reported."""
    if told != recall(home):
        write_atomically(_path(home), json.dumps(asdict(told), indent=1).encode())


def _path(home: Home) -> Path:
    return home.dagster / FILE


def digest_of_partitions(partitions: Mapping[str, str]) -> str:
    """One digest for the content digests of all partitions of a table."""
    return hashlib.sha256(json.dumps(partitions, sort_keys=True).encode()).hexdigest()[:16]


def is_old(instant: str | None, now: datetime, after: timedelta) -> bool:
    """Whether an instant (ISO 8601) is ``after`` or longer ago, or there is none."""
    return not instant or now - datetime.fromisoformat(instant) >= after


NOTHING = digest_of_partitions({})
"""The content of a table without partitions, which is never reported."""
