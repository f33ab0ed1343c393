"""A small house with every kind of edge of the real one, known to Dagster by the real mapping and
the real condition; its tables hold one number a partition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date

import dagster as dg

from personal_pipeline.graph.automation import inputs_changed
from personal_pipeline.graph.partitions import Partitions, mapping, partitions_from
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.tables import Input, Reads, Table, Tables

Condition = Callable[[], "dg.AutomationCondition[dg.AssetKey]"]

START = date(2026, 5, 1)
SALES, SUBSCRIPTIONS, FILE = "stripe/sales", "stripe/subscriptions", "medium/story_stats"


def _model(name: str, grain: Grain, *inputs: str | tuple[str, Reads]) -> Table:
    edges = tuple(Input(each) if isinstance(each, str) else Input(*each) for each in inputs)
    return Table(name, grain, edges, model=name.partition("/")[2], code_version="1")


TABLES: Tables = {
    table.name: table
    for table in (
        Table(SALES, Grain.DAY),
        Table(SUBSCRIPTIONS, Grain.DAY),
        Table(FILE, Grain.MONTH),
        _model("marts/publications", Grain.MONTH, (SUBSCRIPTIONS, Reads.ALL), (FILE, Reads.ALL)),
        _model("marts/engagement", Grain.MONTH, (FILE, Reads.THROUGH), "marts/publications"),
        _model("marts/revenue_daily", Grain.DAY, SALES, "marts/engagement"),
        _model(
            "marts/subscribers", Grain.DAY, (SUBSCRIPTIONS, Reads.THROUGH), "marts/revenue_daily"
        ),
        _model(
            "marts/revenue_monthly",
            Grain.MONTH,
            "marts/revenue_daily",
            (SUBSCRIPTIONS, Reads.THROUGH),
        ),
        _model("marts/stories", Grain.WHOLE, "marts/subscribers", "marts/revenue_monthly"),
    )
}


def kinds_of_edges(tables: Tables) -> set[tuple[Grain, Grain, Reads]]:
    """Grain of the input, grain of the table, and how it is read."""
    return {
        (
            tables[edge.table].grain,
            table.grain,
            # to or from a table that is not cut there is one way to read
            Reads.WINDOW if Grain.WHOLE in (tables[edge.table].grain, table.grain) else edge.reads,
        )
        for table in tables.values()
        for edge in table.inputs
    }


def op_of(table: Table) -> str:
    """The definition that builds a table, cut as ``derived_assets`` cuts it."""
    if table.model is None:
        return f"fetch_{table.name.replace('/', '_')}"
    if any(edge.reads is not Reads.WINDOW for edge in table.inputs):
        return f"build_{table.model}"
    return f"build_{table.grain}_tables"


def definitions_of(
    tables: Tables, condition: Condition = inputs_changed
) -> tuple[dg.Definitions, Partitions]:
    """The house as Dagster sees it. Nothing is ever executed: the simulation is the body."""
    partitions = partitions_from(START)
    groups: dict[str, list[Table]] = {}
    for table in tables.values():
        groups.setdefault(op_of(table), []).append(table)
    assets = [
        _assets(name, [_spec(each, tables, partitions, condition) for each in group], group[0])
        for name, group in groups.items()
    ]
    return dg.Definitions(assets=assets), partitions


def _spec(
    table: Table, tables: Mapping[str, Table], partitions: Partitions, condition: Condition
) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(table.name),
        deps=[
            dg.AssetDep(
                asset_key(edge.table),
                partition_mapping=mapping(edge, tables[edge.table].grain, table.grain),
            )
            for edge in table.inputs
        ],
        skippable=True,
        code_version=table.code_version,
        automation_condition=condition() if table.model else None,
        partitions_def=partitions.of(table.grain),
    )


def _assets(name: str, specs: list[dg.AssetSpec], table: Table) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=specs,
        can_subset=True,
        backfill_policy=(
            dg.BackfillPolicy.single_run() if table.grain is not Grain.WHOLE else None
        ),
    )
    def body():  # type: ignore[no-untyped-def]
        return
        yield

    return body


def asset_key(table: str) -> dg.AssetKey:
    """The key of a table."""
    return dg.AssetKey(table.split("/"))
