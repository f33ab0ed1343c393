"""The derived assets: dbt's models.

One definition per grain, because a Dagster run has one kind of partition: days, months, or none.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject, dbt_assets

from personal_pipeline.graph.partitions import Partitions, asked_partitions, mapping
from personal_pipeline.graph.telling import raise_failures, tell_work
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.warehouse.build import build
from personal_pipeline.warehouse.tables import WHOLE, Input, Reads, Table, Tables


class Translator(DagsterDbtTranslator):
    """Gives dbt's models their groups, owners, code versions and partition mappings."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))
        self._tables = tables
        self._by_model = {table.model: table for table in tables.values() if table.model}

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: Any
    ) -> dg.AssetSpec:
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = manifest["nodes"].get(unique_id)
        if node is None or node["resource_type"] != "model":
            return spec
        table = self._by_model[node["name"]]
        area = node["fqn"][2] if len(node["fqn"]) > 3 else node["schema"]
        return spec.replace_attributes(
            group_name=f"staging_{area}" if node["schema"] == "staging" else area,
            owners=[str(node["config"]["meta"].get("owner", "team:owner"))],
            kinds={"dbt", "duckdb"},
            code_version=table.code_version,
            skippable=True,
        )

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> dg.PartitionMapping | None:
        table, upstream = (
            self._tables[f"{props.get('source_name', props['schema'])}/{props['name']}"]
            for props in (dbt_resource_props, dbt_parent_resource_props)
        )
        # dagster-dbt also asks how a table maps to itself
        edges = (edge for edge in table.inputs if edge.table == upstream.name)
        edge = next(edges, Input(upstream.name))
        return mapping(edge, upstream.grain, table.grain)


def derived_assets(
    house: House, tables: Tables, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """Every dbt model: one multi-asset per grain, and a separate one for each model that reads an
    input other than by window, because all models of a multi-asset must read an input alike."""
    models = [table for table in tables.values() if table.model]
    alone = [t for t in models if any(edge.reads is not Reads.WINDOW for edge in t.inputs)]
    groups = {
        f"build_{grain}_tables": [t for t in models if t.grain is grain and t not in alone]
        for grain in Grain
    } | {f"build_{table.model}": [table] for table in alone}
    return [
        _dbt_assets(house, tables, partitions, name, group)
        for name, group in groups.items()
        if group
    ]


def _dbt_assets(
    house: House, tables: Tables, partitions: Partitions, name: str, group: Sequence[Table]
) -> dg.AssetsDefinition:
    grain = group[0].grain

    @dbt_assets(
        manifest=dbt_project.manifest_path(house.home),
        project=DbtProject(
            project_dir=dbt_project.working_copy(house.home),
            profiles_dir=dbt_project.working_copy(house.home),
            target_path=house.home.dbt_target,
        ),
        select=" ".join(str(table.model) for table in group),
        name=name,
        partitions_def=partitions.of(grain),
        dagster_dbt_translator=Translator(tables),
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
