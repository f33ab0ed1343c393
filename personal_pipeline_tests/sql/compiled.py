"""The SQL that dbt makes of the models, to run without dbt over lake after lake."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse.dbt_project import manifest_path
from personal_pipeline_tests.invented_house import lay_project
from personal_pipeline_tests.sql.conftest import Warehouse

AREAS = (
    *("staging.bank", "staging.apple_health", "staging.fit", "staging.stays", "staging.strava"),
    *("marts.money", "marts.health", "marts.sport", "stays", "+pipeline.merges"),
)
"""What is compiled, as dbt selects it: whoever tests the SQL of another area adds it."""

EARLIEST, LATEST = date(1990, 1, 1), date(2100, 1, 1)
"""The window of all models in ``Compiled``."""

_OF_HOME = "Etc/Universal"
"""Stands for the zone of the home: no source and no test says it."""


@dataclass(frozen=True)
class Compiled:
    """The SQL that dbt makes of the models of ``AREAS``. Each has its window, from ``EARLIEST`` to
    ``LATEST``, so that a test can put another one in its place. Every stream has a partition."""

    folder: Path

    def of(self, home: Home, *models: str, timezone: str = "UTC") -> dict[str, str]:
        """The SQL of models, to run in ``home_database`` over the lake of a home in this zone."""
        found = {path.stem: path for path in self.folder.rglob("*.sql")}
        return {
            name: found[name.partition(".")[2]]
            .read_text(encoding="utf-8")
            .replace("../../lake", str(home.lake))
            .replace(f"'{_OF_HOME}'", f"'{timezone}'")
            for name in models
        }


def home_database() -> duckdb.DuckDBPyConnection:
    """An empty database in memory, under the name that it has in every home."""
    opened = duckdb.connect(config={"threads": 1})
    opened.execute("set TimeZone = 'UTC'; attach ':memory:' as warehouse; use warehouse")
    for schema in ("staging", "marts", "pipeline"):
        opened.execute(f"create schema {schema}")
    return opened


def write_nothing(home: Home, source: Source) -> None:
    """Give each stream of drops of a source a partition without rows: the SQL reads it."""
    for stream in source.drop_streams:
        lake_of(home, source.name, stream).write(EARLIEST, [])


def compile_areas(parsed: Path, root: Path) -> Compiled:
    """Compile the models of ``AREAS``, and build none, in a new home at ``root``."""
    home = lay_project(parsed, root)
    for source in SOURCES:
        for stream in source.streams:
            part = lake_of(home, source.name, stream).path(EARLIEST)
            part.parent.mkdir(parents=True)
            part.touch()
    nodes: dict[str, Any] = json.loads(manifest_path(home).read_bytes())["nodes"]
    warehouse = Warehouse(root, timezone=_OF_HOME)
    done = warehouse.dbt(
        *("compile", "--no-write-json", "--select", " ".join(AREAS)),
        windows={each["name"]: [(EARLIEST, LATEST)] for each in nodes.values()},
    )
    assert done.returncode == 0, done.stdout
    return Compiled(warehouse.target / "compiled" / "personal_pipeline" / "models")
