"""The derived assets: dbt's models.

One definition per grain, because a Dagster run has one kind of partition: days, months, or none.

What an asset says of itself comes from dbt's manifest and from the tables that the reconcile reads
from it. ``dagster_dbt`` would say the same (a test compares them), but it imports dbt and an SQL
parser, 80 MB and two seconds of a core in the code server and in every run.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from personal_pipeline.graph.partitions import Partitions, asked_partitions, mapping
from personal_pipeline.graph.telling import raise_failures, tell_work
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.warehouse.build import build
from personal_pipeline.warehouse.tables import WHOLE, Reads, Table, Tables

Manifest = Mapping[str, Any]


def table_spec(
    node: Mapping[str, Any], table: Table, tables: Tables, partitions: Partitions
) -> dg.AssetSpec:
    """What the asset of a model says of itself; ``node`` is the model in dbt's manifest."""
    area = node["fqn"][2] if len(node["fqn"]) > 3 else node["schema"]
    columns = [
        dg.TableColumn(column["name"], column["data_type"] or "?", column["description"] or None)
        for column in node["columns"].values()
    ]
    return dg.AssetSpec(
        dg.AssetKey(table.name.split("/")),
        deps=[
            dg.AssetDep(
                dg.AssetKey(edge.table.split("/")),
                partition_mapping=mapping(edge, tables[edge.table].grain, table.grain),
            )
            for edge in table.inputs
        ],
        description=f"{node['description']}\n\n#### SQL\n```sql\n{node['raw_code']}\n```",
        group_name=f"staging_{area}" if node["schema"] == "staging" else area,
        owners=[str(node["config"]["meta"].get("owner", "team:owner"))],
        kinds={"dbt", "duckdb"},
        tags=dict.fromkeys(node["tags"], ""),
        code_version=table.code_version,
        partitions_def=partitions.of(table.grain),
        skippable=True,
        metadata={
            "dagster/table_name": f"{node['database']}.{node['schema']}.{node['name']}",
            "dagster/column_schema": dg.TableSchema(columns),
        },
    )


def check_specs(manifest: Manifest, tables: Tables) -> Iterator[dg.AssetCheckSpec]:
    """dbt's tests, each as a check of the model that it tests."""
    keys = {t.model: dg.AssetKey(t.name.split("/")) for t in tables.values() if t.model}
    models = {uid: keys[n["name"]] for uid, n in manifest["nodes"].items() if n["name"] in keys}
    for test in manifest["nodes"].values():
        if test["resource_type"] == "test" and test["attached_node"] in models:
            tested = models[test["attached_node"]]
            read = {models[uid] for uid in test["depends_on"]["nodes"] if uid in models}
            yield dg.AssetCheckSpec(
                test["name"],
                asset=tested,
                additional_deps=read - {tested},
                blocking=test["config"]["severity"].lower() == "error",
            )


def derived_assets(
    house: House, tables: Tables, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """Every dbt model: one multi-asset per grain, and a separate one for each model that reads an
    input other than by window, because all models of a multi-asset must read an input alike."""
    manifest = dbt_project.load_manifest(house.home)
    nodes = {n["name"]: n for n in manifest["nodes"].values() if n["resource_type"] == "model"}
    checks = list(check_specs(manifest, tables))
    models = [table for table in tables.values() if table.model]
    alone = [t for t in models if any(edge.reads is not Reads.WINDOW for edge in t.inputs)]
    groups = {
        f"build_{grain}_tables": [t for t in models if t.grain is grain and t not in alone]
        for grain in Grain
    } | {f"build_{table.model}": [table] for table in alone}
    made = []
    for name, group in groups.items():
        if group:
            specs = [table_spec(nodes[str(t.model)], t, tables, partitions) for t in group]
            keys = {spec.key for spec in specs}
            made.append(
                _assets(
                    name, group[0].grain, specs, [c for c in checks if c.asset_key in keys], tables
                )
            )
    return made


def _assets(
    name: str,
    grain: Grain,
    specs: Sequence[dg.AssetSpec],
    checks: Sequence[dg.AssetCheckSpec],
    tables: Tables,
) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=name,
        specs=specs,
        check_specs=checks,
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run() if grain is not Grain.WHOLE else None,
        pool="warehouse",
    )
    @told_without_values
    def build_group(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        asked = asked_partitions(context) or [WHOLE]
        names = ("/".join(key.path) for key in context.selected_asset_keys)
        wanted = {name: asked for name in names if name in tables}
        work = build(house, wanted)
        tell_work(context, house, work, wanted)
        raise_failures(work.failures)
        return
        yield

    return build_group
