"""Rows of the lake that a staging table leaves out: counted after every build, shown on the board.

A staging table has one row per record of its stream. If that is not intended, its model says why
(``meta: rows_differ``). So whatever a condition, a join or a deduplication in its SQL drops is
noticed, including in a new source, without declaring anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.house import House

if TYPE_CHECKING:
    from personal_pipeline.warehouse.lake import Lake
    from personal_pipeline.warehouse.store import LedgerRow

STAGING = "staging/"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """``rows`` out of ``of`` rows of a stream are missing from its staging table, ``model``."""

    rows: int
    of: int
    model: str

    def __str__(self) -> str:
        source = self.model.removeprefix("stg_").split("__")[0]
        return (
            f"{self.rows:,} of its {self.of:,} rows are in no table: {self.model} drops them. "
            "Nothing was lost: they are in the lake. Correct "
            f"sql/models/staging/{source}/{self.model}.sql; or, if it is intended, declare the "
            "reason there (meta: rows_differ)."
        )


def count_left_out(house: House, kept: Mapping[str, Mapping[str, LedgerRow]], lake: Lake) -> None:
    """Compare staging tables with the lake that they were built from, for the board.

    A partition counts only while the lake still has what it was built from: rows that are yet to be
    built are not left out.
    """
    staged: dict[str, list[str]] = {}
    for name, parts in kept.items():
        if name.startswith(STAGING):
            for read in next((built.read for built in parts.values() if built.read), {}):
                staged.setdefault(read, []).append(name)
    fewer: list[tuple[str, LeftOut]] = []
    for name, there in lake.rows.items():
        for table in staged.get(name, ()):
            rows = of = 0
            for built in kept[table].values():
                # one month of a table may read the days of a stream
                was = built.read.get(name, {})
                now = {each: lake.versions[name].get(each, "")[:16] for each in was}
                if was and was == now:
                    count = sum(there[each] for each in was)
                    of += count
                    rows += max(count - built.rows, 0)
            if rows:
                fewer.append((name, LeftOut(rows, of, table.removeprefix(STAGING))))
    meant = _rows_differ(house.home) if fewer else {}
    found: dict[str, LeftOut] = {}
    for name, each in fewer:
        if each.model not in meant and (name not in found or each.rows > found[name].rows):
            found[name] = each
    if found != left_out(house.home):
        noted = {name: asdict(each) for name, each in found.items()}
        write_atomically(_path(house.home), json.dumps(noted, indent=1).encode())


def left_out(home: Home) -> dict[str, LeftOut]:
    """The result of the last build, by stream (``source/stream``)."""
    try:
        noted = json.loads(_path(home).read_bytes())
        return {name: LeftOut(**each) for name, each in noted.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _rows_differ(home: Home) -> dict[str, str]:
    """The staging models that are not one row per record, with the reason."""
    # imported here, so that showing the board does not wait for dbt
    from personal_pipeline.warehouse import dbt_project

    return {
        node["name"]: node["config"]["meta"]["rows_differ"]
        for node in dbt_project.load_manifest(home)["nodes"].values()
        if node["resource_type"] == "model" and "rows_differ" in node["config"]["meta"]
    }


def _path(home: Home) -> Path:
    return home.state / "left_out.json"
