"""What came of a life: every build, and every morning, held against ``definition``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date

from personal_pipeline.warehouse.reconcile import MAX_ATTEMPTS, in_order
from personal_pipeline.warehouse.tables import Table, Tables, downstream_of
from personal_pipeline_tests.warehouse.oracle.definition import Contents, Read, from_scratch

Partition = tuple[str, str]
"""A table and one of its partitions."""


@dataclass(slots=True)
class Judged:
    """The figures of one life. Builds of a partition count once each: ``built`` is the sum of
    ``needed``, ``by_code``, ``by_hand`` and those of ``needless`` that did not fail."""

    seed: int
    built: int = 0
    needed: int = 0
    """An input had other content than when the last build of the partition began."""
    by_code: int = 0
    by_hand: int = 0
    missed: int = 0
    """Partition mornings with other content than the definition gives, though nothing failed."""
    needless: int = 0
    """Neither needed, nor by code, nor by hand; and tries of what had failed twice already."""
    retried: int = 0
    """Of those built, the ones that had failed before."""
    failed: int = 0
    on_failed: int = 0
    """Built although rows of an input had failed their tests."""
    held: int = 0
    """Partition mornings that waited for a failed table, visibly."""
    lost: int = 0
    """Partitions that the sensor, come to rest, had left to the morning."""
    settled: int = 0
    """Mornings before which the sensor had come to rest."""
    untold: int = 0
    """Partition mornings on which Dagster had heard of another content than readers had."""
    mornings: int = 0
    killed: int = 0
    runs: int = 0
    """Started by the sensor."""
    empty_runs: int = 0
    """Of those, the ones that found everything up to date."""
    evaluations: int = 0
    seconds: float = 0.0
    """Of the processor."""
    examples: list[str] = field(default_factory=list)
    """Of what was missed or needless, the first few."""

    @property
    def right(self) -> bool:
        return not (self.missed or self.needless or self.on_failed or self.lost or self.untold)


@dataclass(slots=True)
class Judge:
    """Keeps what every partition could have read in its last build, and counts."""

    judged: Judged
    _last: dict[Partition, tuple[set[Read], str]] = field(default_factory=dict)
    _tries: dict[Partition, tuple[Read, str, int]] = field(default_factory=dict)

    def build(
        self, today: date, table: Table, partition: str, seen: Read, read: Read, *, by_hand: bool
    ) -> None:
        """A partition was built. ``seen`` is what there was when the build began, and ``read`` what
        there was when the SQL ran: the inputs changed in between if they differ."""
        judged = self.judged
        judged.built += 1
        judged.retried += self._tries.pop((table.name, partition), None) is not None
        before = self._last.get((table.name, partition))
        self._last[table.name, partition] = ({seen, read}, table.code_version)
        if before is None or before[0] != {seen}:
            judged.needed += 1
        elif before[1] != table.code_version:
            judged.by_code += 1
        elif by_hand:
            judged.by_hand += 1
        else:
            judged.needless += 1
            self._note(f"{today} needless: {table.name} {partition}")

    def failure(
        self, today: date, table: Table, partition: str, seen: Read, *, by_hand: bool
    ) -> None:
        """A build failed."""
        key = (table.name, partition)
        self.judged.failed += 1
        read, code, times = self._tries.get(key, (seen, table.code_version, 0))
        times = times + 1 if (read, code) == (seen, table.code_version) else 1
        self._tries[key] = (seen, table.code_version, times)
        if times > MAX_ATTEMPTS and not by_hand:
            self.judged.needless += 1
            self._note(f"{today} needless try {times}: {table.name} {partition}")

    def forgotten(self, table: str, partition: str) -> None:
        """What a partition holds failed its tests, or was written by a process that was killed:
        whatever was built before is gone."""
        self._last.pop((table, partition), None)

    def morning(self, today: date, wrong: Mapping[Partition, str], failed: Collection[str]) -> None:
        """The reconcile is through; what waits for a failed table is ``held``."""
        self.judged.mornings += 1
        for (name, partition), why in wrong.items():
            if name in failed:
                self.judged.held += 1
            else:
                self.judged.missed += 1
                self._note(f"{today} missed ({why}): {name} {partition}")

    def _note(self, text: str) -> None:
        if len(self.judged.examples) < 5:
            self.judged.examples.append(text)


def wrong_contents(
    tables: Tables,
    raw: Contents,
    contents: Contents,
    variants: Mapping[str, int],
    start: date,
    today: date,
) -> dict[Partition, str]:
    """The partitions whose content is not what it has to be, and whether they are there at all."""
    truth = from_scratch(in_order(tables), tables, raw, variants, start, today)
    return {
        (name, partition): "old" if partition in contents.get(name, {}) else "missing"
        for name, partitions in truth.items()
        for partition, content in partitions.items()
        if contents.get(name, {}).get(partition) != content
    }


def held_back(tables: Tables, failures: Collection[str]) -> set[str]:
    """The tables that failed, and all that read them."""
    return downstream_of(tables, failures)
