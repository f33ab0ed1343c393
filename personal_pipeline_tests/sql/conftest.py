"""A warehouse that dbt builds from a lake, and builds that many tests look at."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pytest

from personal_pipeline import duck
from personal_pipeline.home import Home
from personal_pipeline.warehouse import dbt_host
from personal_pipeline.warehouse.dbt_project import (
    manifest_path,
    manifest_version,
    working_copy,
    write_windows,
)
from personal_pipeline.warehouse.descriptions import inherit_columns
from personal_pipeline_tests.invented_house import content, lay_project, once
from personal_pipeline_tests.sql.small_life import HOME_CURRENCY, Lake, write_small_life

Windows: TypeAlias = Mapping[str, Sequence[tuple[date, date]]]
"""The half-open spans of days that each model rebuilds."""


@dataclass(frozen=True)
class Warehouse:
    """A lake, and the DuckDB file that dbt makes of it, in the folder of a home. Where ``parsed``
    has been copied into it, dbt need not parse."""

    root: Path
    timezone: str = "UTC"

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    @property
    def path(self) -> Path:
        return Home(self.root).warehouse

    @property
    def target(self) -> Path:
        """Where dbt writes the compiled models, and the manifest with them."""
        return self.root / "target"

    def dbt(
        self, *arguments: str, windows: Windows | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt as the pipeline does."""
        home = Home(self.root).ensure()
        manifest_path(home)
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PIPELINE")},
            # as seen from the project
            "PIPELINE_LAKE": "../../lake",
            "PIPELINE_WAREHOUSE": f"../../{self.path.name}",
            "PIPELINE_DUCKDB": repr(duck.CONFIG),
            "PIPELINE_CURRENCY": HOME_CURRENCY.upper(),
            "PIPELINE_TIMEZONE": self.timezone,
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        if windows is not None:
            chosen = self.root / "windows.csv"
            write_windows(
                chosen, {m: [(f"{a}", f"{b}") for a, b in spans] for m, spans in windows.items()}
            )
            environment["PIPELINE_WINDOWS"] = str(chosen)
        project = str(working_copy(home))
        quiet = ["--no-use-colors", "--log-level-file", "none"]
        command = [*quiet, *arguments, "--target-path", str(self.target)]
        said = self.root / f"said-{os.getpid()}.txt"
        code = dbt_host.call(
            dbt_host.Call(
                command,
                ["--project-dir", project, "--profiles-dir", project],
                str(home.dbt_target / "partial_parse.msgpack"),
                manifest_version(home),
                project,
                environment,
                str(said),
                str(self.root / "results.json"),
            )
        )
        return subprocess.CompletedProcess(command, code, said.read_text(encoding="utf-8"), "")

    def build(self, *select: str, windows: Windows | None = None, with_tests: bool = True) -> str:
        """Build and test models, all of them by default; returns what dbt printed."""
        command = "build" if with_tests else "run"
        chosen = ["--select", *select] if select else []
        done = self.dbt(command, "--no-write-json", *chosen, windows=windows)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.path), read_only=True) as opened:
            return opened.execute(sql).fetchall()

    def records(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query, with names."""
        with duckdb.connect(str(self.path), read_only=True) as opened:
            found = opened.execute(sql)
            names = [column[0] for column in found.description]
            return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

    def tables(self) -> list[str]:
        return [
            f"{schema}.{name}"
            for schema, name in self.query(
                "select table_schema, table_name from information_schema.tables order by all"
            )
        ]

    def content(self) -> dict[str, tuple[int, int]]:
        return content(self.path, "staging", "marts", "pipeline")


@pytest.fixture(scope="session")
def built(in_common: Path, parsed: Path) -> Warehouse:
    """The small life, built whole, once for all processes. Tests only read it."""

    def build(folder: Path) -> Warehouse:
        # a home may have any name
        warehouse = Warehouse(folder / "it's [my] home")
        lay_project(parsed, warehouse.root)
        write_small_life(warehouse.lake)
        done = warehouse.dbt("build")
        assert done.returncode == 0, done.stdout
        return warehouse

    return once(in_common, "small-life", build)


@pytest.fixture(scope="session")
def manifest(built: Warehouse) -> dict[str, Any]:
    """dbt's own account of the project, with the SQL that built everything."""
    found: dict[str, Any] = json.loads((built.target / "manifest.json").read_text())
    return found


@pytest.fixture(scope="session")
def described(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same, as the pipeline keeps it: columns are inherited from their inputs."""
    found = deepcopy(manifest)
    inherit_columns(found)
    return found


@pytest.fixture
def warehouse(tmp_path: Path, parsed: Path) -> Warehouse:
    """An empty lake and no warehouse yet."""
    lay_project(parsed, tmp_path)
    return Warehouse(tmp_path)
