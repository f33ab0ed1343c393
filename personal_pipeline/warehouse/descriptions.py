"""Generated parts of the dbt project: the sources' tables, and inherited columns."""

from __future__ import annotations

import json
from collections.abc import Iterable
from copy import deepcopy
from graphlib import TopologicalSorter
from typing import Any

from personal_pipeline.ingest.contract import ApiStream, Source

_COLUMNS = {
    "month": (
        "date",
        "The first day of the month under which the record is filed in the lake: the partition.",
    ),
    "day": ("date", "The UTC day under which the record is filed in the lake."),
    "record_key": ("varchar", "What identifies the record when it arrives again."),
    "lake_file": ("varchar", "The file that holds the raw record, relative to the lake."),
}
"""What every record of the lake has besides its content, under the names that staging uses: types
and descriptions."""

_OF_STAGING = ("month", "record_key", "lake_file")
"""Those of them that every staging table has."""


def dbt_sources(sources: Iterable[Source]) -> str:
    """The streams as dbt sources: a properties file, in JSON, which is YAML."""
    declared = [
        {
            "name": source.name,
            "description": source.description,
            "schema": "lake",
            "config": {"meta": {"owner": "team:owner"}},
            "tables": [
                {
                    "name": stream.name,
                    "description": stream.description,
                    "config": {"meta": {"grain": str(stream.grain)}},
                    "columns": [
                        {"name": name, "data_type": kind, "description": description}
                        for name, (kind, description) in _COLUMNS.items()
                        if name != "day" or isinstance(stream, ApiStream)
                    ],
                }
                for stream in source.streams
            ],
        }
        for source in sources
    ]
    return json.dumps({"sources": declared}, indent=1, ensure_ascii=False)


def inherit_columns(manifest: dict[str, Any]) -> None:
    """Complete the columns of each node, in place, from its inputs: a staging table has the columns
    of the lake, and a column without a description has that of the inputs' columns of the same
    name, if they agree."""
    inputs = {uid: _inputs(manifest, uid) for uid in manifest["nodes"]}
    for uid in TopologicalSorter(inputs).static_order():
        if _is_staging(manifest, uid):
            of_lake = {
                name: deepcopy(column)
                for each in inputs[uid]
                for name, column in _columns(manifest, each).items()
                if name in _OF_STAGING
            }
            manifest["nodes"][uid]["columns"] = of_lake | _columns(manifest, uid)
        for name, column in _columns(manifest, uid).items():
            told = described_by_inputs(manifest, uid, name)
            if not column["description"] and len(told) == 1:
                (column["description"],) = told


def _is_staging(manifest: dict[str, Any], uid: str) -> bool:
    node = manifest["nodes"].get(uid, {})
    is_model: bool = node.get("resource_type") == "model"
    return is_model and node["path"].startswith("staging/")


def described_by_inputs(manifest: dict[str, Any], uid: str, name: str) -> set[str]:
    """The descriptions that a node's inputs have for their columns of that name."""
    columns = (_columns(manifest, each).get(name) for each in _inputs(manifest, uid))
    return {column["description"] for column in columns if column and column["description"]}


def _inputs(manifest: dict[str, Any], uid: str) -> list[str]:
    """The nodes that a node reads; none for a source."""
    inputs: list[str] = manifest["nodes"].get(uid, {}).get("depends_on", {}).get("nodes", [])
    return inputs


def _columns(manifest: dict[str, Any], uid: str) -> dict[str, dict[str, Any]]:
    kind = "sources" if uid in manifest["sources"] else "nodes"
    columns: dict[str, dict[str, Any]] = manifest[kind][uid]["columns"]
    return columns
