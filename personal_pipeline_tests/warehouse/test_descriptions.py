"""The sources of dbt follow from those of the house, and columns from their inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, Drop, DropStream, Grain, Source
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.warehouse.descriptions import inherit_columns
from personal_pipeline_tests.invented_house import lay_project
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import SOURCES

VISITS = ApiStream(
    name="visits", description="A visit: {not jinja}.", grain=Grain.DAY, key=lambda record: ""
)
MORE = Source(
    name="shop",
    title="Shop",
    description="A shop “of one's own”.",
    api=(VISITS,),
    drops=(
        Drop(
            name="export",
            description="",
            how_to="",
            recognise=lambda file: None,
            read=lambda file: iter(()),
            streams=(DropStream(name="orders", description="An order."),),
        ),
    ),
)


def node(*inputs: str, **columns: str) -> dict[str, Any]:
    return {
        "depends_on": {"nodes": list(inputs)},
        "columns": {name: {"name": name, "description": text} for name, text in columns.items()},
    }


def columns_after(manifest: dict[str, Any], uid: str) -> dict[str, str]:
    inherit_columns(manifest)
    return {name: each["description"] for name, each in manifest["nodes"][uid]["columns"].items()}


def test_a_column_has_the_description_of_its_inputs_at_any_distance() -> None:
    manifest = {
        "sources": {"lake": node(key="Identifies it.")},
        # the last first: the order in the manifest says nothing
        "nodes": {
            "mart": node("middle", "other", key="", amount="", own="Its own."),
            "middle": node("staging", key="", own="Before."),
            "other": node("staging", key="", amount="In cents."),
            "staging": node("lake", key="", amount="In euros."),
            "test": node("mart"),
        },
    }
    assert columns_after(manifest, "mart") == {
        "key": "Identifies it.",
        "amount": "In cents.",
        "own": "Its own.",
    }


def test_a_staging_table_has_the_columns_of_the_lake_first() -> None:
    lake = node(month="The month.", day="The day.", record_key="Its key.", lake_file="Its file.")
    staging = {"resource_type": "model"}
    manifest = {
        "sources": {"lake": lake},
        "nodes": {
            "first": node("lake", day="", amount="In cents.") | staging | {"path": "staging/a.sql"},
            "second": node("first", record_key="Its own.") | staging | {"path": "staging/b.sql"},
            "mart": node("second", amount="") | staging | {"path": "marts/c.sql"},
        },
    }
    assert columns_after(manifest, "first") == {
        "month": "The month.",
        "record_key": "Its key.",
        "lake_file": "Its file.",
        "day": "The day.",
        "amount": "In cents.",
    }
    assert columns_after(manifest, "second") == {
        "month": "The month.",
        "record_key": "Its own.",
        "lake_file": "Its file.",
    }
    assert columns_after(manifest, "mart") == {"amount": ""}


def test_inputs_that_do_not_agree_describe_nothing() -> None:
    manifest = {
        "sources": {},
        "nodes": {
            "one": node(amount="In cents.", day="The day."),
            "two": node(amount="In euros.", day=""),
            "both": node("one", "two", amount="", day="", new=""),
        },
    }
    assert columns_after(manifest, "both") == {"amount": "", "day": "The day.", "new": ""}


def test_dbt_has_the_streams_of_the_sources_and_sees_them_change(
    kiosk: Kiosk, copied_kiosk: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def sources() -> dict[str, tuple[str, str]]:
        return {
            f"{each['source_name']}/{each['name']}": (
                each["description"],
                each["config"]["meta"]["grain"],
            )
            for each in dbt_project.load_manifest(copied_kiosk)["sources"].values()
        }

    before = {
        f"{source.name}/{stream.name}": (stream.description, str(stream.grain))
        for source in SOURCES
        for stream in source.streams
    }
    assert sources() == before
    monkeypatch.setattr(dbt_project, "SOURCES", (*SOURCES, MORE))
    assert sources() == before | {
        "shop/visits": ("A visit: {not jinja}.", "day"),
        "shop/orders": ("An order.", "month"),
    }
    monkeypatch.setattr(dbt_project, "SOURCES", SOURCES)
    assert sources() == before


def test_the_manifest_says_what_every_column_is(parsed: Path, tmp_path: Path) -> None:
    home = lay_project(parsed, tmp_path / "home")
    lacking = [
        f"{node['name']}.{column['name']}"
        for node in dbt_project.load_manifest(home)["nodes"].values()
        if node["resource_type"] == "model"
        for column in node["columns"].values()
        if not column["description"]
    ]
    assert lacking == []
