"""What every run is given: the settings, the folders, the sources, the clock, and a place where it
leaves what it did for the table at the end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from personal_pipeline.home import Home
from personal_pipeline.ingest.again import ReadAgain
from personal_pipeline.ingest.contract import Progress, Source
from personal_pipeline.ingest.fetch import Pulled
from personal_pipeline.ingest.inbox import Receipt
from personal_pipeline.settings import Settings
from personal_pipeline.warehouse.reconcile import Reason


@dataclass(frozen=True, slots=True)
class BuiltTable:
    """What became of one derived table in a pass. ``changed`` counts partitions whose content
    differs now; ``failure`` is dbt's message when it failed. What ``waits`` was not tried, because
    nothing but a change or a person can help."""

    name: str
    partitions: int
    changed: int
    rows: int
    reasons: frozenset[Reason] = frozenset()
    failure: str | None = None
    waits: bool = False


@dataclass(slots=True)
class Outcome:
    """What the runs of a pass did; runs of the same process append to it."""

    receipts: list[Receipt] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """Of each file that stays in the inbox because it is still being written, a sentence."""
    read_again: list[ReadAgain] = field(default_factory=list)
    built: list[BuiltTable] = field(default_factory=list)
    dbt_calls: int = 0
    report: str | None = None
    notes: list[str] = field(default_factory=list)
    """What a person should know: what was found damaged and mended by itself, or could not be found
    out when an older home was opened; a sentence each."""


@dataclass(frozen=True, slots=True)
class House:
    """The surroundings of a run."""

    settings: Settings
    home: Home
    sources: Sequence[Source]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    outcome: Outcome = field(default_factory=Outcome)
    beginning: date | None = None
    progress: Progress | None = None
    """Told how far the taking of the inbox is."""
    looks: Mapping[str, Sequence[Pulled]] = field(default_factory=dict)
    """By source, what this process has just fetched, for its run to record: a pass fetches all
    sources side by side in threads, and Dagster can only run one job at a time in a process."""

    broken: Mapping[str, Exception] = field(default_factory=dict)
    """By source, what ended the fetching of this process before it could say of which stream."""
    accept: frozenset[str] = frozenset()
    """Sources whose answers are taken also when they make most rows vanish: the person said so."""

    @property
    def today(self) -> date:
        """The current UTC day."""
        return self.clock().astimezone(UTC).date()

    def connected(self, source: Source) -> bool:
        """Whether the API streams of a source have all their credentials."""
        return bool(source.api) and all(self.settings.is_set(name) for name in source.credentials)
