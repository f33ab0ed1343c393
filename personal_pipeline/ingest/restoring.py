"""Restoring what lake partitions held before newer answers or exports replaced it.

A partition's content goes to ``archive/lake/`` when it is replaced, and the time is noted beside
it. Restoring archives the current content in turn, so it can itself be undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, Coverage, Source
from personal_pipeline.ingest.coverage import joined, windows_of
from personal_pipeline.ingest.lake import StreamLake, lake_of
from personal_pipeline.ingest.memory import recall, remember

LOCK_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Held:
    """What a partition held until it was replaced (UTC): a file in the archive. For fetched streams
    it is always the content of a day, even if partitions are months."""

    stream: str
    partition: date
    until: datetime
    kept: Path


def held_before(home: Home, source: Source, moment: datetime) -> list[Held]:
    """What those partitions of a source held that were replaced at ``moment`` or later."""
    return [
        held
        for stream in source.streams
        # states are only ever added to: what was held before is in what is held now
        if stream.coverage is not Coverage.HISTORY
        for held in _of_stream(lake_of(home, source.name, stream), moment)
    ]


def _of_stream(lake: StreamLake, moment: datetime) -> Iterator[Held]:
    for partition in lake.superseded():
        later = [(at, kept) for at, kept in lake.replaced(partition) if at >= moment]
        if later:
            at, kept = min(later)
            if not _is_there(lake, partition, kept):
                yield Held(lake.stream, partition, at, kept)


def _is_there(lake: StreamLake, partition: date, kept: Path) -> bool:
    try:
        return lake.unit_bytes(partition) == kept.read_bytes()
    except FileNotFoundError:
        return False


def restore(home: Home, source: Source, moment: datetime) -> list[Held]:
    """Restore what partitions held at ``moment``. Their current content is archived.

    No answer silently replaces a restored day of a fetched stream: it is set aside until it is
    accepted. Raises ``Busy`` when another process holds the source's lock.
    """
    with (
        home.lock(source.name, wait_seconds=LOCK_WAIT_SECONDS),
        home.lock("inbox", wait_seconds=LOCK_WAIT_SECONDS),
    ):
        found = held_before(home, source, moment.astimezone(UTC))
        for stream in source.streams:
            mine = [held for held in found if held.stream == stream.name]
            if not mine:
                continue
            lake = lake_of(home, source.name, stream)
            if isinstance(stream, ApiStream):
                # first: a kill in between only marks days as restored that need not be
                memory = recall(home, source.name, stream.name)
                days = windows_of(held.partition for held in mine)
                memory = replace(memory, restored=joined([*memory.restored, *days]))
                remember(home, source.name, stream.name, memory)
            lake.bring_back({held.partition: held.kept for held in mine})
    return found
