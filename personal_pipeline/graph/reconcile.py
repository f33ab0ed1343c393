"""What is stale, by comparing what was read with what is there: pure functions.

Level-triggered: it needs no events, so nothing that happened while nobody watched is missed. A
partition is stale when it is missing, when a digest of its inputs differs from the one recorded
when it was built, or when its code differs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from personal_pipeline.graph.tables import (
    Table,
    Tables,
    downstream_of,
    expected_partitions,
    read_partitions,
)
from personal_pipeline.ingest.contract import Grain

Versions = Mapping[str, Mapping[str, str]]
"""Content digest by table and partition: what is there now."""


class Reason(StrEnum):
    """Why a partition has to be built."""

    MISSING = "missing"
    INPUT_CHANGED = "input changed"
    CODE_CHANGED = "code changed"


@dataclass(frozen=True, slots=True)
class Built:
    """What is recorded of a derived partition. ``inputs`` has a digest by input table."""

    digest: str
    inputs: Mapping[str, str]
    code_version: str


Ledger = Mapping[str, Mapping[str, Built]]
"""What was built, by table and partition."""

Stale = Mapping[str, Mapping[str, Reason]]


@dataclass(frozen=True, slots=True)
class Batch:
    """Tables of one grain that are built in one dbt call, with the partitions of each."""

    grain: Grain
    partitions: Mapping[str, Sequence[str]]


def input_digests(
    table: Table, tables: Tables, partition: str, versions: Versions
) -> dict[str, str]:
    """A digest for each input: over the input partitions that this partition reads."""
    digests = {}
    for edge in table.inputs:
        present = versions.get(edge.table, {})
        digest = hashlib.sha256()
        upstream = tables[edge.table].grain
        for each in read_partitions(edge, upstream, table.grain, partition, present):
            digest.update(f"{each}={present[each]}\n".encode())
        digests[edge.table] = digest.hexdigest()[:16]
    return digests


def all_versions(raw: Versions, ledger: Ledger) -> dict[str, dict[str, str]]:
    """The digests of raw and derived tables together, the partitions of each in order."""
    versions = {name: dict(sorted(partitions.items())) for name, partitions in raw.items()}
    for name, partitions in ledger.items():
        versions[name] = {each: built.digest for each, built in sorted(partitions.items())}
    return versions


def find_stale(tables: Tables, raw: Versions, ledger: Ledger, today: date) -> Stale:
    """Every derived partition that has to be built, with the reason.

    A table downstream of a missing one is judged by what is there now; it is judged again after
    its input was built, because equal content stops the wave.
    """
    versions = all_versions(raw, ledger)
    expected: dict[str, list[str]] = {name: sorted(parts) for name, parts in raw.items()}
    stale: dict[str, dict[str, Reason]] = {}
    for table in in_order(tables):
        if table.model is None:
            continue
        built = ledger.get(table.name, {})
        wanted = expected_partitions(table, tables, expected, today)
        # what was built once stays known, so that a partition whose inputs went is emptied
        expected[table.name] = sorted({*wanted, *built})
        reasons = {}
        for partition in expected[table.name]:
            record = built.get(partition)
            if record is None:
                reasons[partition] = Reason.MISSING
            elif record.code_version != table.code_version:
                reasons[partition] = Reason.CODE_CHANGED
            elif record.inputs != input_digests(table, tables, partition, versions):
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


def next_batch(tables: Tables, stale: Stale, blocked: Collection[str] = ()) -> Batch | None:
    """The tables to build next in one dbt call; None when nothing more can be built.

    A table is ready when none of its inputs is stale, or when those that are stand in the same
    batch. It is in the batch only for partitions that are stale by themselves, so a chain saves
    calls and builds nothing needlessly. Months come first because the daily tables read the
    monthly drops; ``blocked`` tables failed in this pass, and what reads them waits with them.
    """
    waiting = downstream_of(tables, blocked)
    for grain in (Grain.MONTH, Grain.DAY, Grain.WHOLE):
        batch: dict[str, list[str]] = {}
        for table in in_order(tables):
            if table.grain is not grain or table.name not in stale or table.name in waiting:
                continue
            if all(edge.table not in stale or edge.table in batch for edge in table.inputs):
                batch[table.name] = sorted(stale[table.name])
        if batch:
            return Batch(grain, batch)
    return None
