"""What stands between staging and marts: marts know contracts, and contracts know sources."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.warehouse.tables import Input, Reads, model_tables
from personal_pipeline_tests.sql.conftest import Warehouse

Manifest = Mapping[str, Any]


def models_in(manifest: Manifest, folder: str) -> dict[str, dict[str, Any]]:
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["path"].startswith(folder)
    }


def read_by(node: Mapping[str, Any]) -> set[str]:
    return {each.rsplit(".", 1)[-1] for each in node["depends_on"]["nodes"]}


def contract_of(select: str) -> str:
    return select.partition("__")[0]


def test_marts_read_no_staging(manifest: Manifest) -> None:
    marts = models_in(manifest, "marts") | models_in(manifest, "pipeline")
    contracts = {name for name in models_in(manifest, "intermediate") if "__" not in name}
    assert len(marts) > 20
    assert {
        (name, each)
        for name, node in marts.items()
        for each in read_by(node) - contracts - marts.keys()
    } == set()


def test_a_select_reads_the_staging_of_its_source_only(manifest: Manifest) -> None:
    """An event of what several sources tell is selected from where they are one: the mart or the
    contract that the select is named after."""
    intermediate = models_in(manifest, "intermediate")
    contracts = {name for name in intermediate if "__" not in name}
    together = models_in(manifest, "marts").keys() | contracts
    selects = {name: node for name, node in intermediate.items() if "__" in name}
    named = {source.name for source in SOURCES}
    for name, node in selects.items():
        source = name.partition("__")[2]
        if source not in named:
            assert contract_of(name) == "int_events", name
            assert read_by(node) & {source, f"int_{source}"}, name
            assert read_by(node) <= together, name
            continue
        staging = models_in(manifest, f"staging/{source}/")
        assert read_by(node)
        assert read_by(node) <= staging.keys(), name
    for name in intermediate.keys() - selects.keys():
        joined = {each for each in selects if contract_of(each) == name}
        assert read_by(intermediate[name]) == joined


def test_every_source_is_in_the_timeline_or_says_why_not(manifest: Manifest) -> None:
    tables = model_tables(manifest, {})
    above: set[str] = set()
    pending = ["marts/timeline"]
    while pending:
        table = pending.pop()
        if table not in above:
            above.add(table)
            # a raw stream is nobody's model
            pending += [each.table for each in tables[table].inputs] if table in tables else []
    for source in SOURCES:
        is_in_it = any(f"{source.name}/{stream.name}" in above for stream in source.streams)
        if source.without_events is None:
            assert is_in_it, f"{source.name}: join the contract events, or set without_events"
        else:
            assert source.without_events.endswith("."), source.name


def test_every_contract_says_what_a_row_is_and_is_tested_for_its_key(manifest: Manifest) -> None:
    keyed = {
        node["attached_node"].rsplit(".", 1)[-1]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "unique_key"
    }
    for name, node in models_in(manifest, "intermediate").items():
        assert node["config"]["materialized"] == "ephemeral", name
        if "__" not in name:
            assert node["description"], name
            assert all(each["description"] for each in node["columns"].values()), name
            assert name in keyed
        else:
            assert not node["columns"], f"{name}: its columns are described with the contract"


def columns_of(opened: duckdb.DuckDBPyConnection, node: Mapping[str, Any]) -> dict[str, str]:
    found = opened.execute(f"describe {node['compiled_code']}").fetchall()
    return {column: kind.lower() for column, kind, *_ in found}


def test_every_model_of_a_contract_has_its_columns_and_types(
    manifest: Manifest, built: Warehouse
) -> None:
    intermediate = models_in(manifest, "intermediate")
    with duckdb.connect(str(built.path), read_only=True) as opened:
        for name, node in intermediate.items():
            contract = {
                column: each["data_type"].replace(" ", "")
                for column, each in intermediate[contract_of(name)]["columns"].items()
            }
            columns = columns_of(opened, node)
            if name == contract_of(name):
                assert columns == contract, name
            else:
                # what a source does not know it leaves out
                assert columns.items() <= contract.items(), name
                assert "source" in columns, name


def test_a_table_reads_what_its_contracts_read(manifest: Manifest) -> None:
    tables = model_tables(manifest, {"currency": "usd"})
    assert not [name for name in tables if "/int_" in name]

    def inputs_of(table: str, *sources: str) -> set[Input]:
        """Of the staging tables, those of these sources: others may join the contract."""
        return {
            each
            for each in tables[table].inputs
            if not each.table.startswith("staging/")
            or each.table.removeprefix("staging/stg_").partition("__")[0] in sources
        }

    assert inputs_of("marts/activity_merges", "fit", "strava") == {
        Input("staging/stg_fit__recordings", Reads.ALL),
        Input("staging/stg_strava__activities", Reads.ALL),
        Input("staging/stg_strava__activity_details", Reads.ALL),
        Input("staging/stg_strava__recordings", Reads.ALL),
    }
    assert inputs_of("marts/activity_heart_rate", "apple_health") == {
        Input("marts/activity_merges"),
        Input("marts/activity_samples"),
        Input("staging/stg_apple_health__records"),
    }


JOINS = """
select
    day,
    'kit' as source,
    record_key,
    lake_file,
    'usd' as currency,
    'gross' as kind,
    cast(7 as decimal(18, 3)) as amount,
    cast(0 as decimal(18, 3)) as fee
from {{ ref('stg_kit__broadcasts') }}
"""


def test_a_source_joins_a_contract_by_one_file(
    built: Warehouse, described: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = shutil.copytree(dbt_project.FOLDER, tmp_path / "sql")
    (sql / "models/intermediate/revenue/int_revenue__kit.sql").write_text(JOINS)
    monkeypatch.setattr(dbt_project, "FOLDER", sql)
    warehouse = Warehouse(shutil.copytree(built.root, tmp_path / "home"))
    total = "select sum(gross) from marts.revenue_daily where currency = 'usd'"
    ((before,),) = warehouse.query(total)
    ((broadcasts,),) = warehouse.query("select count(*) from staging.stg_kit__broadcasts")

    warehouse.build("revenue_daily")

    assert broadcasts > 0
    assert warehouse.query(total) == [(before + 7 * Decimal(broadcasts),)]
    old = model_tables(described, {"currency": "usd"})
    new = model_tables(dbt_project.load_manifest(Home(warehouse.root)), {"currency": "usd"})
    changed = {name for name, table in new.items() if table != old[name]}
    assert changed == {"marts/revenue_daily"}, "nothing else is built anew"
    assert set(new["marts/revenue_daily"].inputs) == {
        *old["marts/revenue_daily"].inputs,
        Input("staging/stg_kit__broadcasts"),
    }
