"""The context of everything that runs: settings, folders, sources, clock.

It is immutable; a pass returns what it did, see ``passes``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from personal_pipeline.duck import Database, File
from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Source
from personal_pipeline.settings import Settings

UNSET = File(Path())


@dataclass(frozen=True, slots=True)
class House:
    """The context of everything that runs."""

    settings: Settings
    home: Home
    sources: Sequence[Source]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    warehouse: Database = UNSET
    """The tables, written by one process; the file in the home unless another is given."""
    published: Database = UNSET
    """The published copy for all readers; never written directly."""

    def __post_init__(self) -> None:
        if self.warehouse is UNSET:
            object.__setattr__(self, "warehouse", File(self.home.warehouse))
        if self.published is UNSET:
            object.__setattr__(self, "published", File(self.home.published, read_only=True))

    @classmethod
    def of(cls, settings: Settings, sources: Sequence[Source]) -> House:
        """The house of the home in these settings. Raises ``NewerHome``: a home of a later version
        is refused."""
        home = Home.of(settings.home)
        home.version()
        return cls(settings, home, sources)

    @property
    def today(self) -> date:
        """The current UTC day."""
        return self.clock().astimezone(UTC).date()

    def without_secrets(self, text: str) -> str:
        """A text that is about to leave the machine, with any credential of the settings that may
        have got into it replaced by asterisks."""
        declared = {each.name for source in self.sources for each in source.settings if each.secret}
        given = self.settings.of_sources
        for secret in (*self.settings.alerts, *(given[each] for each in declared & given.keys())):
            # a shorter one would be found in words
            if len(value := secret.get_secret_value()) > 5:
                text = text.replace(value, "***")
        return text

    def connected(self, source: Source) -> bool:
        """Whether a source is fetched: it has API streams and all credentials that they need, and
        the person has not put it to rest."""
        return not self.why_not_fetched(source)

    def why_not_fetched(self, source: Source) -> str:
        """Why nothing is fetched from a source, and what to do; empty if it is fetched."""
        if not source.api:
            return f"{source.title} has nothing to fetch: its files are dropped by hand."
        missing = ", ".join(n for n in source.credentials if not self.settings.is_set(n))
        if missing:
            return f"{source.title} is not connected: {missing} is not set. {source.connect}"
        if source.name in self.home.resting():
            wake = f"`personal-pipeline sources wake {source.name}`"
            return f"{source.title} is at rest: {wake} takes that back."
        return ""

    def first_day(self) -> date:
        """The first day in the lake or the one that the person set, whichever is earlier, rounded
        down to the first of its month. Without either, the current month.

        Reads folder names only.
        """
        found = [self.settings.start] if self.settings.start else []
        for source in self.sources:
            for stream in source.streams:
                folder = self.home.lake / source.name / stream.name
                names = [entry.name for entry in folder.glob(f"{stream.grain}=*")]
                if names:
                    found.append(date.fromisoformat(min(names).partition("=")[2]))
        return min(found, default=self.today).replace(day=1)
