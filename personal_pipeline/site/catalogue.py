"""What dbt's project says about the marts: area, key, descriptions, and how rows link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from personal_pipeline.ingest.contract import Grain

SCHEMA = "marts"


@dataclass(frozen=True, slots=True)
class Mart:
    """A table for people. ``area`` is the folder of its SQL, ``key`` the columns that identify a
    row. ``page_of`` names the columns, in any mart, whose value identifies a row of this one: they
    link to it."""

    name: str
    area: str
    description: str
    grain: Grain
    key: tuple[str, ...]
    columns: Mapping[str, str]
    """The description of each column."""
    page_of: tuple[str, ...] = ()


def marts_of(manifest: Mapping[str, Any]) -> dict[str, Mart]:
    """The marts by name."""
    keys = {
        node["attached_node"]: tuple(node["test_metadata"]["kwargs"].get("columns", ()))
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test"
        and (node.get("test_metadata") or {}).get("name") == "unique_key"
    }
    return {
        node["name"]: Mart(
            name=node["name"],
            area=node["path"].split("/")[1],
            description=node["description"],
            grain=Grain(node["config"]["meta"]["grain"]),
            key=keys.get(uid, ()),
            columns={name: each["description"] for name, each in node["columns"].items()},
            page_of=tuple(node["config"]["meta"].get("page_of", ())),
        )
        for uid, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["schema"] == SCHEMA
    }


def links_of(marts: Mapping[str, Mart]) -> dict[str, Mart]:
    """The mart, of those with one column as key, to which a column links, by its name."""
    return {
        column: mart for mart in marts.values() if len(mart.key) == 1 for column in mart.page_of
    }
