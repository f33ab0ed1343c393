"""What is stale, by comparing what was read with the current state: pure functions.

Level-triggered: it needs no events, so it misses nothing that happened while nothing was running. A
partition is stale if it is missing, if a digest of its inputs differs from the one recorded when it
was built, or if its code differs.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeAlias

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.tables import (
    Input,
    Reads,
    Table,
    Tables,
    downstream_of,
    expected_partitions,
    read_partitions,
    span,
)

Versions = Mapping[str, Mapping[str, str]]
"""Content digest by table and partition: the current state."""


ReadPartitions: TypeAlias = Mapping[str, Mapping[str, str]]
"""Shortened digests that a partition read, by input table and input partition."""


class Reason(StrEnum):
    """Why a partition has to be built."""

    NEW = "new table"
    MISSING = "missing"
    INPUT_CHANGED = "input changed"
    CODE_CHANGED = "code changed"
    ASKED = "requested"


FROM_SCRATCH = frozenset([Reason.NEW, Reason.CODE_CHANGED])
"""A table with such a partition is created anew, with all of its rows: nothing of what is there
counts, and that takes half the time."""


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """What is recorded about a derived partition. ``inputs`` has one digest per input table."""

    digest: str
    inputs: Mapping[str, str]
    code_version: str


EMPTY = "empty"
"""Digest of a derived partition without rows."""

Ledger = Mapping[str, Mapping[str, BuildRecord]]
"""What was built, by table and partition."""

Stale = Mapping[str, Mapping[str, Reason]]

MAX_ATTEMPTS = 2
"""A failed build is retried once automatically, then it waits for a change or a person."""


@dataclass(frozen=True, slots=True)
class FailureRecord:
    """Failed builds of a partition, all from the same inputs and with the same code."""

    inputs: Mapping[str, str]
    code_version: str
    attempts: int
    message: str


Failures = Mapping[str, Mapping[str, FailureRecord]]
"""What failed and has not been built since, by table and partition."""

Begun = Mapping[str, Collection[str]]
"""Partitions, by table, that may contain unverified rows: a build of them was killed, or failed its
tests."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Tables that are built in one dbt call, with the partitions of each.

    ``anew`` is for tables whose SQL changed: dbt recreates them with all their rows.
    """

    partitions: Mapping[str, Sequence[str]]
    anew: bool = False


@dataclass(slots=True)
class Inputs:
    """What each partition reads, as digests: the single definition by which builds are judged.

    ``versions`` has the content digest of every partition of every table, the partitions in order.
    """

    tables: Tables
    versions: dict[str, dict[str, str]]
    _running: dict[str, tuple[list[str], list[str]]] = field(default_factory=dict)
    _windows: dict[str, dict[tuple[Reads, Grain], dict[str, str]]] = field(default_factory=dict)

    def digests(self, table: Table, partition: str) -> dict[str, str]:
        """One digest per input, over the input partitions that this partition reads."""
        found = {}
        for edge in table.inputs:
            if self._is_whole(edge, table) or edge.reads is Reads.ALL:
                found[edge.table] = self._through(edge.table, None)
            elif edge.reads is Reads.THROUGH:
                limit = span(table.grain, partition)[1].isoformat()
                found[edge.table] = self._through(edge.table, limit)
            else:
                found[edge.table] = self._digest_of_window(edge, table, partition)
        return found

    def _digest_of_window(self, edge: Input, table: Table, partition: str) -> str:
        """Computed once for all partitions that read the same: of every table, and, where days read
        a month, of every day."""
        grain, upstream = table.grain, self.tables[edge.table].grain
        if edge.reads is Reads.WINDOW and grain is Grain.DAY and upstream is Grain.MONTH:
            grain, partition = Grain.MONTH, f"{partition[:-2]}01"
        digests = self._windows.setdefault(edge.table, {}).setdefault((edge.reads, grain), {})
        if (known := digests.get(partition)) is not None:
            return known
        digest = hashlib.sha256()
        for each, version in self._window(edge, grain, partition).items():
            digest.update(_line(each, version))
        return digests.setdefault(partition, digest.hexdigest()[:16])

    def partitions(self, table: Table, partition: str) -> ReadPartitions:
        """The digests of the input partitions, for inputs that are read by window: shows people
        which of them changed. An input that is read whole may have thousands."""
        return {
            edge.table: {
                each: digest[:16]
                for each, digest in self._window(edge, table.grain, partition).items()
            }
            for edge in table.inputs
            if edge.reads in (Reads.WINDOW, Reads.NEAR) and not self._is_whole(edge, table)
        }

    def _window(self, edge: Input, grain: Grain, partition: str) -> dict[str, str]:
        """The partitions of an input that a partition of this grain reads by window."""
        present = self.versions.get(edge.table, {})
        read = read_partitions(edge, self.tables[edge.table].grain, grain, partition, present)
        return {each: present[each] for each in read}

    def _is_whole(self, edge: Input, table: Table) -> bool:
        return Grain.WHOLE in (self.tables[edge.table].grain, table.grain)

    def update(self, name: str, versions: Mapping[str, str]) -> None:
        """Record partitions that have just been built."""
        together = {**self.versions.get(name, {}), **versions}
        self.versions[name] = {
            each: digest for each, digest in sorted(together.items()) if digest != EMPTY
        }
        self._running.pop(name, None)
        self._windows.pop(name, None)

    def _through(self, name: str, limit: str | None) -> str:
        """The digest over all partitions before ``limit``, from a running hash: otherwise ten years
        of days would be hashed again for every one of them."""
        if name not in self._running:
            digest = hashlib.sha256()
            digests = [digest.hexdigest()[:16]]
            for each, version in self.versions.get(name, {}).items():
                digest.update(_line(each, version))
                digests.append(digest.hexdigest()[:16])
            self._running[name] = (list(self.versions.get(name, {})), digests)
        partitions, digests = self._running[name]
        return digests[len(partitions) if limit is None else bisect_left(partitions, limit)]


def _line(partition: str, version: str) -> bytes:
    return f"{partition}={version}\n".encode()


def all_versions(raw: Versions, ledger: Ledger) -> dict[str, dict[str, str]]:
    """The digests of raw and derived tables together, the partitions of each in order.

    A derived partition without rows is omitted: to downstream tables it counts as missing.
    Otherwise a day on which nothing happened would have its month rebuilt.
    """
    versions = {name: dict(sorted(partitions.items())) for name, partitions in raw.items()}
    for name, partitions in ledger.items():
        versions[name] = {
            each: built.digest
            for each, built in sorted(partitions.items())
            if built.digest != EMPTY
        }
    return versions


def find_stale(
    tables: Tables, raw: Versions, ledger: Ledger, today: date, begun: Begun | None = None
) -> Stale:
    """Every derived partition that has to be built, with the reason.

    A table downstream of a missing one is judged by the current state, and judged again after its
    input was built, because equal content stops the propagation.
    """
    inputs = Inputs(tables, all_versions(raw, ledger))
    expected: dict[str, list[str]] = {name: sorted(parts) for name, parts in raw.items()}
    stale: dict[str, dict[str, Reason]] = {}
    for table in in_order(tables):
        if table.model is None:
            continue
        built = ledger.get(table.name, {})
        wanted = expected_partitions(table, tables, expected, today)
        # partitions that may have rows stay expected, so that one whose inputs disappeared is
        # emptied
        unsure = (begun or {}).get(table.name, ())
        expected[table.name] = sorted({*wanted, *built, *unsure})
        reasons = {}
        for partition in expected[table.name]:
            record = built.get(partition)
            if record is None:
                reasons[partition] = Reason.MISSING if built else Reason.NEW
            elif record.code_version != table.code_version:
                reasons[partition] = Reason.CODE_CHANGED
            elif record.inputs != inputs.digests(table, partition):
                reasons[partition] = Reason.INPUT_CHANGED
        if reasons:
            stale[table.name] = reasons
    return stale


def in_order(tables: Tables) -> list[Table]:
    """Every table after all of its inputs."""
    done: dict[str, Table] = {}

    def visit(table: Table) -> None:
        if table.name not in done:
            for edge in table.inputs:
                visit(tables[edge.table])
            done[table.name] = table

    for name in sorted(tables):
        visit(tables[name])
    return list(done.values())


def given_up(
    tables: Tables, raw: Versions, ledger: Ledger, failures: Failures, stale: Stale
) -> dict[str, dict[str, FailureRecord]]:
    """The stale partitions that failed too often, and of which nothing has changed since."""
    failed_now = stale.keys() & failures.keys()
    if not failed_now:
        return {}
    inputs = Inputs(tables, all_versions(raw, ledger))
    waiting: dict[str, dict[str, FailureRecord]] = {}
    for name in failed_now:
        table = tables[name]
        for partition in stale[name].keys() & failures[name].keys():
            failed = failures[name][partition]
            if (
                failed.attempts >= MAX_ATTEMPTS
                and failed.code_version == table.code_version
                and failed.inputs == inputs.digests(table, partition)
            ):
                waiting.setdefault(name, {})[partition] = failed
    return waiting


def next_batch(
    tables: Tables,
    stale: Stale,
    blocked: Collection[str] = (),
    without: Mapping[str, Collection[str]] | None = None,
    failed: Collection[str] = (),
) -> Batch | None:
    """The tables to build next in one dbt call; None if nothing more can be built.

    A table is ready if none of its inputs is stale, or if the stale ones are in the same batch. The
    batch includes only those of its partitions that are stale in themselves, so chaining saves
    calls without building anything needlessly. Tables downstream of ``blocked`` ones, which failed
    in this pass, wait with them, and so do those that read a table with partitions in ``without``,
    which are not to be built.

    A table whose input changed, or that ``failed`` at its last build, is not put into the same
    batch as its inputs: rebuilt, they may turn out to be what it has read already.
    """
    without = without or {}
    waiting = downstream_of(tables, blocked)
    for anew in (True, False):
        batch: dict[str, list[str]] = {}
        for table in in_order(tables):
            name = table.name
            if name not in stale or name in waiting:
                continue
            reasons = set(stale[name].values())
            if bool(reasons & FROM_SCRATCH) is not anew:
                continue
            joins = Reason.INPUT_CHANGED not in reasons and name not in failed
            ready = all(
                edge.table not in stale
                or (joins and edge.table in batch and not without.get(edge.table))
                for edge in table.inputs
            )
            partitions = stale[name].keys() - set(without.get(name, ()))
            if ready and partitions:
                batch[name] = sorted(partitions)
        if batch:
            return Batch(batch, anew)
    return None
