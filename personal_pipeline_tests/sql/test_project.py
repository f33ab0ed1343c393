"""Every table is classified: what it is, how it is cut, whose it is, what identifies a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from personal_pipeline.warehouse.descriptions import described_by_inputs
from personal_pipeline_tests.sql.conftest import Warehouse

Manifest = Mapping[str, Any]


def models(manifest: Manifest) -> dict[str, dict[str, Any]]:
    """Those that make a table; test_contracts.py looks at the others."""
    return {
        node["name"]: node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["config"]["materialized"] != "ephemeral"
    }


def test_every_model_says_what_it_is(manifest: Manifest) -> None:
    lacking = [
        f"{name}: {what}"
        for name, node in models(manifest).items()
        for what, there in {
            "description": node["description"],
            "owner": node["config"]["meta"].get("owner"),
            "grain": node["config"]["meta"].get("grain") in ("day", "month", "whole"),
            "tag of its grain": node["config"]["tags"] == [node["config"]["meta"].get("grain")],
            "schema": node["schema"] in ("staging", "marts", "pipeline"),
        }.items()
        if not there
    ]
    assert lacking == []


def test_every_model_is_tested_for_its_key(manifest: Manifest) -> None:
    keyed = {
        node["attached_node"].rsplit(".", 1)[-1]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and node["test_metadata"]["name"] == "unique_key"
    }
    assert models(manifest).keys() - keyed == set()


def test_every_column_is_declared_with_the_type_that_the_table_has(
    described: Manifest, built: Warehouse
) -> None:
    """A staging table has ``month``, ``record_key`` and ``lake_file``, the way to the raw record,
    without declaring them."""
    real = {
        (schema, table, column): kind.lower()
        for schema, table, column, kind in built.query(
            "select table_schema, table_name, column_name, data_type"
            " from information_schema.columns"
        )
    }
    declared = {
        (node["schema"], name, column["name"]): column["data_type"].replace(" ", "")
        for name, node in models(described).items()
        for column in node["columns"].values()
    }
    assert declared == real


def test_every_column_is_described_by_its_model_or_by_all_inputs_alike(
    described: Manifest,
) -> None:
    """What is listed needs a description in its ``_models.yml``: no input has a column of that
    name, or they do not agree."""
    lacking = [
        f"{name}.{column['name']}"
        for name, node in models(described).items()
        for column in node["columns"].values()
        if not column["description"]
    ]
    assert lacking == []


def test_no_column_is_described_as_it_is_anyway(
    manifest: Manifest, described: dict[str, Any]
) -> None:
    """What is listed says what its inputs say: take the description out of ``_models.yml``."""
    repeated = [
        f"{name}.{column['name']}"
        for name, node in models(manifest).items()
        for column in node["columns"].values()
        if described_by_inputs(described, node["unique_id"], column["name"])
        == {column["description"]}
    ]
    assert repeated == []


def test_tables_are_cut_by_a_column_named_like_their_grain(described: Manifest) -> None:
    for name, node in models(described).items():
        grain = node["config"]["meta"]["grain"]
        if grain == "whole":
            assert node["config"]["materialized"] == "table", name
        else:
            assert node["config"]["materialized"] == "incremental", name
            assert node["config"]["incremental_strategy"] == "replace_window", name
            assert node["columns"][grain]["data_type"] == "date", name
            assert "partition_window" in node["raw_code"], name


def test_reads_names_real_inputs(manifest: Manifest) -> None:
    for name, node in models(manifest).items():
        reads = node["config"]["meta"].get("reads", {})
        inputs = {each.rsplit(".", 1)[-1] for each in node["depends_on"]["nodes"]}
        assert reads.keys() <= inputs, name
        assert set(reads.values()) <= {"same", "near", "through", "all"}, name


def test_every_stream_has_a_staging_model(manifest: Manifest) -> None:
    read = {
        each
        for node in models(manifest).values()
        if node["schema"] == "staging"
        for each in node["depends_on"]["nodes"]
    }
    assert manifest["sources"].keys() - read == set()


def test_a_staging_model_has_the_rows_of_its_stream_or_says_why_not(manifest: Manifest) -> None:
    """What it leaves out besides is told on the board, so it must be comparable."""
    lacking = []
    for name, node in models(manifest).items():
        meta, inputs = node["config"]["meta"], node["depends_on"]["nodes"]
        if node["schema"] != "staging":
            continue
        if "rows_differ" in meta:
            if not str(meta["rows_differ"] or "").strip():
                lacking.append(f"{name}: says no reason")
        elif len(set(inputs)) != 1 or not manifest["sources"].keys() >= set(inputs):
            lacking.append(f"{name}: reads not just one stream")
        elif meta["grain"] != "month" or meta.get("reads"):
            lacking.append(f"{name}: is not cut by month, each month from its own records")
    assert lacking == []
