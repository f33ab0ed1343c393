"""Rows of the lake that a staging table leaves out: counted after every build, said on the board.

A staging table has a row for each record of its stream. Where that is not meant, its model says why
(``meta: rows_differ``). So whatever a condition, a join or a deduplication in its SQL takes away is
noticed, also of a source that is new, and nothing has to be declared for it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from personal_pipeline.graph import dbt_project
from personal_pipeline.graph.house import House
from personal_pipeline.graph.warehouse import Kept
from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.lake import DamagedPartition, lake_of

STAGING = "staging/"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Of ``of`` rows of a stream so many are not in its staging table, ``model``."""

    rows: int
    of: int
    model: str

    def __str__(self) -> str:
        source = self.model.removeprefix("stg_").split("__")[0]
        return (
            f"{self.rows:,} of its {self.of:,} rows are in no table: {self.model} leaves them out. "
            "Nothing was lost, the lake has them. See what it leaves out in "
            f"sql/models/staging/{source}/{self.model}.sql and mend it; or, if that is meant, say "
            "why beside it (meta: rows_differ)."
        )


def count_left_out(house: House, kept: Mapping[str, Mapping[str, Kept]]) -> None:
    """Compare what was built with what it was built from, and note it for the board.

    A partition counts only while the lake holds what it was built from: what waits to be built
    again is not left out.
    """
    staged: dict[str, list[str]] = {}
    for name, parts in kept.items():
        if name.startswith(STAGING):
            for read in next((built.read for built in parts.values() if built.read), {}):
                staged.setdefault(read, []).append(name)
    fewer: list[tuple[str, LeftOut]] = []
    for source in house.sources:
        for stream in source.streams:
            name = f"{source.name}/{stream.name}"
            try:
                versions = lake_of(house.home, source.name, stream).versions()
            except DamagedPartition:
                continue  # its line of the board says so
            for table in staged.get(name, ()):
                rows = of = 0
                for partition, version in versions.items():
                    day = partition.isoformat()
                    built = kept[table].get(day)
                    if built and built.read.get(name) == {day: version.digest[:16]}:
                        of += version.rows
                        rows += max(version.rows - built.rows, 0)
                if rows:
                    fewer.append((name, LeftOut(rows, of, table.removeprefix(STAGING))))
    meant = rows_differ(dbt_project.load_manifest(house.home)) if fewer else {}
    found: dict[str, LeftOut] = {}
    for name, each in fewer:
        if each.model not in meant and (name not in found or each.rows > found[name].rows):
            found[name] = each
    if found != left_out(house.home):
        noted = {name: asdict(each) for name, each in found.items()}
        write_atomically(_path(house.home), json.dumps(noted, indent=1).encode())


def left_out(home: Home) -> dict[str, LeftOut]:
    """What was found after the last build, by stream (``source/stream``)."""
    try:
        noted = json.loads(_path(home).read_bytes())
        return {name: LeftOut(**each) for name, each in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def rows_differ(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The staging models that are not a row a record, each with the reason."""
    return {
        node["name"]: node["config"]["meta"]["rows_differ"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and "rows_differ" in node["config"]["meta"]
    }


def _path(home: Home) -> Path:
    return home.state / "left_out.json"
