"""The derived assets: dbt's models.

One definition per grain, because a Dagster run has one kind of partition: days, months, or none.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg

from personal_pipeline.graph.partitions import Partitions, asked_partitions, mapping
from personal_pipeline.graph.raw import DAILY
from personal_pipeline.graph.telling import raise_failures, tell_work
from personal_pipeline.home import write_atomically
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import digest_of
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.warehouse.build import build
from personal_pipeline.warehouse.tables import WHOLE, Reads, Table, Tables

TRANSLATION = Path(__file__).with_name("translation.py")


def said_by_dbt(house: House) -> Mapping[str, Any]:
    """What dagster-dbt says of the current models and tests (see ``translation.translate``), asked
    once for each manifest, translation and version of dagster-dbt."""
    dbt_project.manifest_path(house.home)
    asked = [
        dbt_project.manifest_version(house.home),
        digest_of(TRANSLATION),
        version("dagster-dbt"),
    ]
    path = house.home.dbt_target / "assets.json"
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(path.read_bytes())
        if kept["asked"] == asked:
            said: dict[str, Any] = kept["said"]
            return said
    from personal_pipeline.graph.translation import translate

    said = translate(dbt_project.load_manifest(house.home))
    write_atomically(path, json.dumps({"asked": asked, "said": said}).encode())
    return said


def table_spec(
    said: Mapping[str, Any], table: Table, tables: Tables, partitions: Partitions
) -> dg.AssetSpec:
    """The asset of a model, of which dagster-dbt says ``said``."""
    return dg.AssetSpec(
        dg.AssetKey(table.name.split("/")),
        deps=[
            dg.AssetDep(
                dg.AssetKey(edge.table.split("/")),
                partition_mapping=mapping(edge, tables[edge.table].grain, table.grain),
            )
            for edge in table.inputs
        ],
        description=said["description"],
        group_name=said["group_name"],
        owners=said["owners"],
        kinds=set(said["kinds"]),
        tags=said["tags"],
        code_version=table.code_version,
        partitions_def=partitions.of(table.grain),
        skippable=True,
        freshness_policy=DAILY,
        metadata={
            "dagster/table_name": said["table_name"],
            "dagster/column_schema": dg.TableSchema(
                [dg.TableColumn(*column) for column in said["columns"]]
            ),
        },
    )


def check_spec(said: Mapping[str, Any]) -> dg.AssetCheckSpec:
    """The check of a test of dbt, of which dagster-dbt says ``said``."""
    return dg.AssetCheckSpec(
        said["name"],
        asset=dg.AssetKey(said["asset"].split("/")),
        additional_deps=[dg.AssetKey(each.split("/")) for each in said["additional_deps"]],
        blocking=said["blocking"],
    )


def derived_assets(
    house: House, tables: Tables, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """Every dbt model: one multi-asset per grain, and a separate one for each model that reads an
    input other than by window, because all models of a multi-asset must read an input alike."""
    said = said_by_dbt(house)
    models, checks = said["models"], [check_spec(each) for each in said["checks"]]
    built = [table for table in tables.values() if table.model]
    alone = [t for t in built if any(edge.reads is not Reads.WINDOW for edge in t.inputs)]
    groups = {
        f"build_{grain}_tables": [t for t in built if t.grain is grain and t not in alone]
        for grain in Grain
    } | {f"build_{table.model}": [table] for table in alone}
    made = []
    for name, group in groups.items():
        specs = [table_spec(models[str(t.model)], t, tables, partitions) for t in group]
        keys = {spec.key for spec in specs}
        tested = [check for check in checks if check.asset_key in keys]
        if group:
            made.append(_assets(name, group[0].grain, specs, tested, tables))
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
