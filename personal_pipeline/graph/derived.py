"""The derived assets: dbt's models.

A definition a grain, because a run of Dagster has one kind of partition: days, months, or none.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, dbt_assets

from personal_pipeline.graph.automation import REBUILDS, inputs_changed
from personal_pipeline.graph.contents import Metadata, log_contents
from personal_pipeline.graph.partitions import Partitions, asked_partitions, mapping
from personal_pipeline.house import BuiltTable, House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse import dbt_project, store
from personal_pipeline.warehouse.build import Tested, Work, build, reconcile
from personal_pipeline.warehouse.left_out import count_left_out
from personal_pipeline.warehouse.tables import WHOLE, Input, Reads, Table, Tables


class Translator(DagsterDbtTranslator):
    """Gives dbt's models their place in the graph: groups, owners, partitions, conditions."""

    def __init__(self, tables: Tables, partitions: Partitions) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_asset_checks=True))
        self._tables = tables
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
            group_name=f"staging_{area}" if node["schema"] == "staging" else area,
            owners=[str(node["config"]["meta"].get("owner", "team:owner"))],
            kinds={"dbt", "duckdb"},
            code_version=table.code_version,
            automation_condition=inputs_changed(),
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


def tell(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    house: House,
    work: Work,
    asked: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Tell Dagster what every derived partition holds for readers, and what the tests found: of a
    table that failed, what was told before."""
    with store.reading(house.home) as opened:
        kept = store.read_kept(opened)
    if work.lake:
        count_left_out(house, kept, work.lake)

    def describe(table: str, partition: str) -> Metadata:
        built = kept[table][partition]
        count = dg.MetadataValue.int(built.rows)
        return {
            "dagster/row_count" if partition == WHOLE else "dagster/partition_row_count": count,
            "inputs": dg.MetadataValue.md(_inputs_table(built)),
        }

    # what readers have of a table that failed is no answer to who asked for a new build of it
    failed = {each.name for each in work.built if each.failure}
    log_contents(
        context,
        house,
        {name: {p: each.digest for p, each in parts.items()} for name, parts in kept.items()},
        describe,
        {name: parts for name, parts in (asked or {}).items() if name not in failed},
    )
    for built in work.built:
        context.log.info(_said(built))
    for each in work.tested:
        # taken at run time, though the annotation leaves it out
        context.log_event(_check(each))  # type: ignore[arg-type]


MOST_PARTITIONS_SHOWN = 40


def _inputs_table(built: store.Kept) -> str:
    """Why it was built: which input partitions changed, with their digests before and now, and
    which inputs did not."""
    rows: list[tuple[str, str, str, str]] = []
    same: list[str] = []
    for name, now in sorted(built.inputs.items()):
        before = built.previous_inputs.get(name, "")
        if before == now:
            same.append(name)
        elif name in built.read and name in built.previous_read:
            old, new = built.previous_read[name], built.read[name]
            rows += [
                (name, each, old.get(each, "not there"), new.get(each, "not there"))
                for each in sorted(old.keys() | new.keys())
                if old.get(each) != new.get(each)
            ]
        else:
            rows.append((name, "all that it reads", before or "never read", now))
    lines = ["| input | partition | content before | content now |", "| --- | --- | --- | --- |"]
    lines += [f"| {' | '.join(row)} |" for row in rows[:MOST_PARTITIONS_SHOWN]]
    if len(rows) > MOST_PARTITIONS_SHOWN:
        lines.append(f"| and {len(rows) - MOST_PARTITIONS_SHOWN} more | | | |")
    changed = "\n".join(lines) if rows else "No input changed: its code did, or a person asked."
    return f"{changed}\n\nUnchanged: {', '.join(same)}" if same else changed


def _said(built: BuiltTable) -> str:
    """What became of a table, in a line for the log of the run."""
    if built.failure:
        return f"{built.name}: {built.failure}"
    why = ", ".join(sorted(built.reasons))
    same = built.partitions - built.changed
    stops = f"; {same} came out as before, so what reads only those is left alone" if same else ""
    return (
        f"{built.name}: {built.partitions} partitions built ({why}), {built.changed} changed{stops}"
    )


def _check(tested: Tested) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(tested.table.split("/")),
        check_name=tested.name,
        passed=tested.passed,
        severity=dg.AssetCheckSeverity.WARN if tested.only_warns else dg.AssetCheckSeverity.ERROR,
        metadata={"found": dg.MetadataValue.text(tested.message or "no row breaks the rule")},
    )


def rebuild(house: House) -> Work:
    """What a run of the automation does: all that is stale, and what failed once more at once."""
    work = reconcile(house)
    if any(each.failure and not each.waits for each in work.built):
        again = reconcile(house)
        tried = {each.name for each in again.built}
        work.built = [each for each in work.built if each.name not in tried] + again.built
        work.tested += again.tested
        work.lake = again.lake
    return work


def raise_failures(built: Iterable[BuiltTable]) -> None:
    """End the run as failed when a table did, with a sentence for each."""
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
    @told_without_values
    def build_group(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        if REBUILDS in context.run.tags:
            # the automation says when, and the ledger says what: all that is stale, down to the
            # last table, because each further run would wait for a tick, the queue and its start
            work = rebuild(house)
            wanted: dict[str, Sequence[str]] = {}
        else:
            asked = asked_partitions(context) or [WHOLE]
            names = ("/".join(key.path) for key in context.selected_asset_keys)
            wanted = {name: asked for name in names if name in tables}
            work = build(house, wanted)
        tell(context, house, work, wanted)
        raise_failures(each for each in work.built if not each.waits)
        return
        yield

    return build_group
