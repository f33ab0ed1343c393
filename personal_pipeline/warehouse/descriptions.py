"""What stands in the project of dbt without being written there: the tables of the sources, and
the columns that a model hands on as it got them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from graphlib import TopologicalSorter
from typing import Any

from personal_pipeline.ingest.contract import ApiStream, Source

_COLUMNS = {
    "day": "The UTC day under which the record is filed in the lake.",
    "month": (
        "The first day of the month under which the record is filed in the lake: the partition."
    ),
    "record_key": "What identifies the record when it arrives again.",
    "lake_file": "The file that holds the raw record, relative to the lake.",
}
"""What every record of the lake has beside its content, under the names that staging gives it."""


def dbt_sources(sources: Iterable[Source]) -> str:
    """The streams as dbt's sources: a properties file, in JSON, which is YAML."""
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
                        {"name": name, "description": description}
                        for name, description in _COLUMNS.items()
                        if name != "day" or isinstance(stream, ApiStream)
                    ],
                }
                for stream in source.streams
            ],
        }
        for source in sources
    ]
    return json.dumps({"sources": declared}, indent=1, ensure_ascii=False)


def inherit_descriptions(manifest: dict[str, Any]) -> None:
    """Give each column that says nothing of itself, in place, what its inputs say of their column
    of the same name, if they agree."""
    inputs = {uid: _inputs(manifest, uid) for uid in manifest["nodes"]}
    for uid in TopologicalSorter(inputs).static_order():
        for name, column in _columns(manifest, uid).items():
            told = described_by_inputs(manifest, uid, name)
            if not column["description"] and len(told) == 1:
                (column["description"],) = told


def described_by_inputs(manifest: dict[str, Any], uid: str, name: str) -> set[str]:
    """What the inputs of a node say of their columns of that name."""
    columns = (_columns(manifest, each).get(name) for each in _inputs(manifest, uid))
    return {column["description"] for column in columns if column and column["description"]}


def _inputs(manifest: dict[str, Any], uid: str) -> list[str]:
    """The nodes that a node reads; a source reads none."""
    inputs: list[str] = manifest["nodes"].get(uid, {}).get("depends_on", {}).get("nodes", [])
    return inputs


def _columns(manifest: dict[str, Any], uid: str) -> dict[str, dict[str, Any]]:
    kind = "sources" if uid in manifest["sources"] else "nodes"
    columns: dict[str, dict[str, Any]] = manifest[kind][uid]["columns"]
    return columns
