"""What stands in for DuckDB and for the context of a run, as ``warehouse.build`` and
``graph.derived`` call them. Everything else of those modules is theirs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import dagster as dg
from dagster._core.events import DagsterEventType, StepMaterializationData

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import Version
from personal_pipeline.warehouse.reconcile import EMPTY, BuildRecord, FailureRecord
from personal_pipeline.warehouse.store import DamagedWarehouse, LedgerRow
from personal_pipeline.warehouse.tables import WHOLE, Table

JOB = "__ASSET_JOB"

Hook = Callable[[Table, Collection[str]], None]
"""Told of partitions of a table, before something is recorded of them."""

Forgotten = Callable[[str, Collection[str]], None]
"""The same, by the name of the table."""


class Warehouse:
    """The functions of ``warehouse.store`` over dictionaries, without files and locks: there is one
    process here. ``contents`` are the tables of dbt, one number for the rows of a partition."""

    def __init__(self, recorded: Hook, failed: Hook, forgotten: Forgotten) -> None:
        self.contents: dict[str, dict[str, int]] = {}
        self.ledger: dict[str, dict[str, BuildRecord]] = {}
        self.failures: dict[str, dict[str, FailureRecord]] = {}
        self._made: dict[str, str] = {}
        self._begun: dict[str, set[str]] = {}
        self._recorded = recorded
        self._failed = failed
        self._forgotten = forgotten

    @contextmanager
    def writing(self, home: Home) -> Iterator[None]:
        yield

    @contextmanager
    def connection(self, home: Home) -> Iterator[Warehouse]:
        yield self

    reading = connection

    @contextmanager
    def session(self, home: Home) -> Iterator[Warehouse]:
        yield self

    def opened(self) -> Warehouse:
        return self

    def close(self) -> None:
        """There is no other process."""

    DamagedWarehouse = DamagedWarehouse

    def make_ready(self, home: Home) -> None:
        """Nothing here can be damaged."""

    expect_whole = begin_anew = make_ready

    def is_begun_anew(self, home: Home) -> bool:
        return False

    def publish(self, home: Home, describe: object = None) -> None:
        """Readers see what there is."""

    def begin(self, opened: object, partitions: Mapping[str, Sequence[str]]) -> None:
        for name, each in partitions.items():
            self._begun.setdefault(name, set()).update(each)

    def read_begun(self, opened: object) -> dict[str, set[str]]:
        return {name: set(each) for name, each in self._begun.items() if each}

    def untouched(self, opened: object, table: Table, partitions: Collection[str]) -> None:
        self._begun.get(table.name, set()).difference_update(partitions)

    def forget_unrecorded(self, opened: object) -> None:
        for name, partitions in self._begun.items():
            self._forgotten(name, partitions)
            for each in partitions:
                self.ledger.get(name, {}).pop(each, None)

    def recorded_tables(self, opened: object) -> set[str]:
        return {name for name, built in self.ledger.items() if built}

    def read_ledger(
        self, opened: object, assets: Iterable[str] | None = None
    ) -> dict[str, dict[str, BuildRecord]]:
        chosen = self.ledger if assets is None else assets
        return {name: dict(built) for name in chosen if (built := self.ledger.get(name))}

    def read_failures(self, opened: object) -> dict[str, dict[str, FailureRecord]]:
        return {name: dict(failed) for name, failed in self.failures.items()}

    def read_ledger_rows(self, opened: object) -> dict[str, dict[str, LedgerRow]]:
        return {
            name: {
                each: LedgerRow(built.digest, 1, built.inputs, {}) for each, built in parts.items()
            }
            for name, parts in self.ledger.items()
        }

    def existing_tables(self, opened: object) -> dict[str, str]:
        return {name: self._made.get(name, "") for name in self.contents}

    def create(self, opened: object, tables: Iterable[Table]) -> None:
        for table in tables:
            self.contents[table.name] = {}
            self.record_tables(opened, [table])

    def record_tables(self, opened: object, tables: Iterable[Table]) -> None:
        self._made |= {table.name: table.code_version for table in tables}

    def drop(self, opened: object, tables: Iterable[Table]) -> None:
        for table in tables:
            self.contents.pop(table.name, None)
            self._begun[table.name] = {
                each
                for each in self._begun.get(table.name, ())
                if (each == WHOLE) is (table.grain is Grain.WHOLE)
            }

    def digest_partitions(
        self, opened: object, table: Table, partitions: Sequence[str]
    ) -> dict[str, Version]:
        found = self.contents[table.name]
        return {
            each: Version(str(found[each]), 1) if each in found else Version(EMPTY, 0)
            for each in partitions
        }

    def record(
        self,
        opened: object,
        table: Table,
        versions: Mapping[str, Version],
        inputs: Mapping[str, Mapping[str, str]],
        read: object,
        at: datetime,
    ) -> None:
        self._recorded(table, versions)
        ledger = self.ledger.setdefault(table.name, {})
        for each, version in versions.items():
            ledger[each] = BuildRecord(version.digest, inputs[each], table.code_version)
        if versions:
            self.failures.pop(table.name, None)
        self.untouched(opened, table, versions)

    def record_failures(
        self,
        opened: object,
        table: Table,
        inputs: Mapping[str, Mapping[str, str]],
        message: str,
        at: datetime,
    ) -> None:
        failures = self.failures.setdefault(table.name, {})
        self._failed(table, inputs)
        for each, read in inputs.items():
            before = failures.get(each)
            again = before and (before.inputs, before.code_version) == (read, table.code_version)
            attempts = before.attempts + 1 if before and again else 1
            failures[each] = FailureRecord(read, table.code_version, attempts, message)

    def forget(self, opened: object, table: Table, partitions: Sequence[str] | None) -> None:
        ledger = self.ledger.get(table.name, {})
        gone = list(ledger) if partitions is None else partitions
        self._forgotten(table.name, gone)
        for each in gone:
            ledger.pop(each, None)


class Context:
    """What ``tell`` and ``log_contents`` need of a run: its instance, and a place for events."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        self.instance = instance
        self.log = logging.getLogger(__name__)
        self.told: dict[str, set[str]] = {}
        self._run_id = run_id

    def log_event(self, event: Any) -> None:
        """Materializations are stored as the step of a run stores them. The conditions do not ask
        about checks."""
        if isinstance(event, dg.AssetMaterialization):
            self.told.setdefault("/".join(event.asset_key.path), set()).add(
                event.partition or WHOLE
            )
            self.instance.report_dagster_event(
                dg.DagsterEvent(
                    DagsterEventType.ASSET_MATERIALIZATION.value,
                    JOB,
                    event_specific_data=StepMaterializationData(event),
                ),
                self._run_id,
            )
