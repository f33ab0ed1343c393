"""Building derived tables: dbt, then a digest of every partition, then the ledger, then the copy.

Called by the dbt assets (for the partitions that Dagster asks for) and by the reconcile (for
those that are stale); both leave the same records.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from personal_pipeline.graph import dbt_project, warehouse
from personal_pipeline.graph.house import BuiltTable, House
from personal_pipeline.graph.reconcile import (
    Reason,
    all_versions,
    find_stale,
    in_order,
    input_digests,
    next_batch,
)
from personal_pipeline.graph.tables import (
    Table,
    Tables,
    model_tables,
    raw_tables,
    span,
    tested_tables,
)
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import Version, lake_of

MOST_BUILDS = 3
"""How often one partition is built in a pass before the rest is left to the next."""


@dataclass(frozen=True, slots=True)
class BuiltPartition:
    """A partition that was built: its content now, and whether it differs from before."""

    table: Table
    partition: str
    version: Version
    previous: str | None
    inputs: Mapping[str, str]

    @property
    def changed(self) -> bool:
        return self.version.digest != self.previous


@dataclass(frozen=True, slots=True)
class Tested:
    """What a dbt test found. ``message`` holds counts and no rows."""

    table: str
    name: str
    passed: bool
    only_warns: bool
    message: str


Announce = Callable[[Sequence[BuiltPartition], Sequence[Tested]], None]


def all_tables(house: House) -> dict[str, Table]:
    """Raw streams and dbt models, by name."""
    manifest = dbt_project.load_manifest(house.home)
    return {**raw_tables(house.sources), **model_tables(manifest, house.settings.currency)}


def lake_versions(house: House) -> dict[str, dict[str, str]]:
    """The content digest of every lake partition there is."""
    return {
        f"{source.name}/{stream.name}": {
            partition.isoformat(): version.digest
            for partition, version in lake_of(house.home, source.name, stream).versions().items()
        }
        for source in house.sources
        for stream in source.streams
    }


def windows(table: Table, partitions: Sequence[str]) -> list[tuple[str, str]]:
    """The half-open windows of days that cover just these partitions, neighbours joined."""
    if table.grain is Grain.WHOLE:
        return [(date.min.isoformat(), date.max.isoformat())]
    joined: list[tuple[date, date]] = []
    for partition in sorted(partitions):
        start, end = span(table.grain, partition)
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start.isoformat(), end.isoformat()) for start, end in joined]


def build(
    house: House,
    tables: Tables,
    wanted: Mapping[str, Sequence[str]],
    announce: Announce,
    reasons: Mapping[str, Mapping[str, Reason]] | None = None,
) -> list[BuiltTable]:
    """Build partitions of tables in one dbt call, in the order of their inputs.

    A table whose SQL changed is built anew. ``announce`` is called with what was built. A failed
    table keeps what it had, and is returned with its failure; this does not raise for it.
    """
    home = house.home
    with warehouse.writing(home):
        _make_missing_tables(house, tables, wanted)
        raw = lake_versions(house)
        ledger = warehouse.read_ledger(home)
        versions = all_versions(raw, ledger)
        names = {tables[name].model: name for name in wanted}
        house.outcome.dbt_calls += 1
        results = dbt_project.run(
            home,
            "build",
            [model for model in names if model],
            {
                tables[name].model or "": windows(tables[name], partitions)
                for name, partitions in wanted.items()
            },
            house.settings.currency,
        )
        status = {result.name: result for result in results if result.kind == "model"}
        built: list[BuiltTable] = []
        announced: list[BuiltPartition] = []
        with warehouse.connection(home) as opened:
            # in the order of their inputs: each records the content that it has just read
            for table in in_order(tables):
                name, partitions = table.name, wanted.get(table.name)
                if partitions is None:
                    continue
                result = status.get(table.model or "")
                why = frozenset((reasons or {}).get(name, {}).values())
                if result is None or result.status != "success":
                    message = result.message if result else "an input failed, so it was not built"
                    built.append(BuiltTable(name, len(partitions), 0, 0, why, message))
                    continue
                found = warehouse.digest_partitions(opened, table, partitions)
                # inputs built in this very call count as they are now, all others as they were
                # before it: one that changed meanwhile makes this partition stale again
                inputs = {each: input_digests(table, tables, each, versions) for each in partitions}
                previous = ledger.get(name, {})
                warehouse.record(opened, table, found, inputs, house.clock())
                versions[name] = dict(
                    sorted(
                        {
                            **versions.get(name, {}),
                            **{each: version.digest for each, version in found.items()},
                        }.items()
                    )
                )
                partition_results = [
                    BuiltPartition(
                        table,
                        each,
                        found[each],
                        previous[each].digest if each in previous else None,
                        inputs[each],
                    )
                    for each in partitions
                ]
                announced += partition_results
                built.append(
                    BuiltTable(
                        name,
                        len(partitions),
                        sum(each.changed for each in partition_results),
                        sum(version.rows for version in found.values()),
                        why,
                    )
                )
        owners = tested_tables(dbt_project.load_manifest(home))
        tested = [
            Tested(
                table=owners[result.unique_id],
                name=result.name,
                passed=result.status == "pass",
                only_warns=result.status == "warn",
                message=result.message,
            )
            for result in results
            if result.unique_id in owners and result.status != "skipped"
        ]
        built = list(_with_failed_tests(built, tested))
        warehouse.publish(home)
    announce(announced, tested)
    house.outcome.built += built
    return built


def _with_failed_tests(
    built: Sequence[BuiltTable], tested: Sequence[Tested]
) -> Iterator[BuiltTable]:
    """A failed test counts against its table, whose rows are there all the same."""
    for each in built:
        mine = [test for test in tested if test.table == each.name and not test.passed]
        if each.failure is None and any(not test.only_warns for test in mine):
            message = "; ".join(f"test {test.name}: {test.message}" for test in mine)
            yield replace(each, failure=message)
        else:
            yield each


def _make_missing_tables(house: House, tables: Tables, wanted: Mapping[str, Sequence[str]]) -> None:
    """Create what does not exist yet, empty, so that every table can be read by every other: a
    source that is not connected has tables without rows. Drop what changed code builds anew."""
    home = house.home
    ledger = warehouse.read_ledger(home)
    outdated = [
        tables[name]
        for name in wanted
        if any(
            built.code_version != tables[name].code_version
            for built in ledger.get(name, {}).values()
        )
    ]
    if outdated:
        warehouse.drop(home, outdated)
    have = warehouse.existing_models(home)
    missing = [t.model for t in tables.values() if t.model and t.name not in have]
    if missing:
        house.outcome.dbt_calls += 1
        no_days: dict[str, list[tuple[str, str]]] = {model: [] for model in missing}
        results = dbt_project.run(home, "run", missing, no_days, house.settings.currency)
        failed = [result for result in results if result.failed]
        if failed:
            raise dbt_project.DbtFailed(f"dbt cannot create {failed[0].name}: {failed[0].message}")


def reconcile(house: House, announce: Announce) -> list[BuiltTable]:
    """Build what is stale until nothing is, or until all that is left failed."""
    tables = all_tables(house)
    built: list[BuiltTable] = []
    failed: set[str] = set()
    builds: Counter[tuple[str, str]] = Counter()
    while True:
        with warehouse.writing(house.home):
            ledger = warehouse.read_ledger(house.home)
        stale = find_stale(tables, lake_versions(house), ledger, house.today)
        batch = next_batch(tables, stale, failed)
        if batch is None:
            return built
        builds.update((name, each) for name, parts in batch.partitions.items() for each in parts)
        restless = {name for (name, _), times in builds.items() if times > MOST_BUILDS}
        if restless:
            # inputs that change faster than they are built are left to the next pass
            failed |= restless
            continue
        results = build(house, tables, batch.partitions, announce, stale)
        failed |= {each.name for each in results if each.failure}
        built += results
