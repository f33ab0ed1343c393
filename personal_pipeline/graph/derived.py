"""The derived assets: dbt's models, and the job that builds what is stale.

A definition a grain, because a run of Dagster has one kind of partition: days, months, or none.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from personal_pipeline.graph import dbt_project
from personal_pipeline.graph.automation import inputs_changed
from personal_pipeline.graph.build import Announce, BuiltPartition, Tested, build, reconcile
from personal_pipeline.graph.event_log import batched
from personal_pipeline.graph.house import BuiltTable, House
from personal_pipeline.graph.partitions import Partitions, asked_partitions, mapping
from personal_pipeline.graph.raw import materialization
from personal_pipeline.graph.tables import WHOLE, Input, Reads, Table, Tables
from personal_pipeline.ingest.contract import Grain


class Translator(DagsterDbtTranslator):
    """Gives dbt's models their place in the graph: groups, owners, partitions, conditions."""

    def __init__(self, tables: Tables, partitions: Partitions) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))
        self._by_model = {table.model: table for table in tables.values() if table.model}
        self._partitions = partitions

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
            group_name=area if node["schema"] == "marts" else f"staging_{area}",
            owners=[str(node["config"]["meta"].get("owner", "team:owner"))],
            kinds={"dbt", "duckdb"},
            code_version=table.code_version,
            automation_condition=inputs_changed(),
            skippable=True,
        )

    def get_partition_mapping(
        self, dbt_resource_props: Mapping[str, Any], dbt_parent_resource_props: Mapping[str, Any]
    ) -> dg.PartitionMapping | None:
        child, parent = dbt_resource_props, dbt_parent_resource_props
        reads = child["config"]["meta"].get("reads", {})
        grains = [
            Grain(((props.get("config") or {}).get("meta") or props.get("meta") or {})["grain"])
            for props in (parent, child)
        ]
        edge = Input(parent["name"], Reads(reads.get(parent["name"], Reads.WINDOW)))
        return mapping(edge, grains[0], grains[1])


def _announce(
    context: dg.AssetExecutionContext | dg.OpExecutionContext, house: House, *, everything: bool
) -> Announce:
    """Tell Dagster what was built. In a run that somebody asked for, every partition of it; in a
    reconcile only those whose content differs now, because each event is kept for ever."""

    def announce(built: Sequence[BuiltPartition], tested: Sequence[Tested]) -> None:
        with batched(context.instance):
            for each in built:
                if everything or each.changed:
                    context.log_event(_event(each, house.clock()))
        for test in tested:
            # taken at run time, though the annotation leaves it out
            context.log_event(_check(test))  # type: ignore[arg-type]

    return announce


def _event(built: BuiltPartition, at: datetime) -> dg.AssetMaterialization:
    rows = dg.MetadataValue.int(built.version.rows)
    whole = built.partition == WHOLE
    return materialization(
        dg.AssetKey(built.table.name.split("/")),
        None if whole else built.partition,
        built.version.digest,
        {
            "dagster/row_count" if whole else "dagster/partition_row_count": rows,
            "data as of": dg.MetadataValue.timestamp(at),
            "content before": dg.MetadataValue.text((built.previous or "nothing")[:16]),
            "content now": dg.MetadataValue.text(built.version.digest[:16]),
            "inputs read": dg.MetadataValue.json(dict(built.inputs)),
        },
    )


def _check(tested: Tested) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(tested.table.split("/")),
        check_name=tested.name,
        passed=tested.passed,
        severity=dg.AssetCheckSeverity.WARN if tested.only_warns else dg.AssetCheckSeverity.ERROR,
        metadata={"found": dg.MetadataValue.text(tested.message or "no row breaks the rule")},
    )


def _raise_failures(built: Sequence[BuiltTable]) -> None:
    failed = [each for each in built if each.failure]
    if failed:
        raise dg.Failure(
            " ".join(f"{each.name}: {each.failure}" for each in failed), allow_retries=False
        )


def derived_assets(
    house: House, tables: Tables, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """Every dbt model: a multi-asset a grain; and one of its own for a model that reads an input
    otherwise than by window, because within a multi-asset all must read it alike."""
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
        project=dbt_project.project(house.home),
        select=" ".join(str(table.model) for table in group),
        name=name,
        partitions_def=partitions.of(grain),
        dagster_dbt_translator=Translator(tables, partitions),
        backfill_policy=dg.BackfillPolicy.single_run() if grain is not Grain.WHOLE else None,
        pool="warehouse",
    )
    def build_group(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        asked = asked_partitions(context) or [WHOLE]
        wanted = {
            "/".join(key.path): asked
            for key in context.selected_asset_keys
            if "/".join(key.path) in tables
        }
        _raise_failures(build(house, tables, wanted, _announce(context, house, everything=True)))
        return
        yield

    return build_group


@dg.op(
    name="build_what_is_stale",
    description=(
        "Builds every derived partition that is missing, or whose recorded inputs or code differ "
        "from what is there now, until nothing is stale."
    ),
    # no pool: without a daemon nobody takes back the slot of a run that was killed, and the next
    # refresh would wait for ever; the lock of the warehouse ends with its process
    out=dg.Out(dg.Nothing),
)
def reconcile_op(context: dg.OpExecutionContext, house: dg.ResourceParam[House]) -> None:
    """The level-triggered half of exact rebuilding: see ``reconcile``."""
    built = reconcile(house, _announce(context, house, everything=False))
    context.log.info(
        f"{len(built)} tables built, {sum(each.changed for each in built)} partitions changed"
    )
    _raise_failures(built)


@dg.job(name="reconcile", description="Builds whatever is stale: nightly, and in every refresh.")
def reconcile_job() -> None:
    """One op that works in waves, each a dbt call, until nothing is stale."""
    reconcile_op()
