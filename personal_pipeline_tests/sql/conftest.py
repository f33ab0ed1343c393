"""A warehouse that dbt builds from a lake, and builds that many tests look at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import pytest

from personal_pipeline.warehouse import dbt_host
from personal_pipeline.warehouse.dbt_project import write_project, write_windows
from personal_pipeline.warehouse.descriptions import inherit_columns
from personal_pipeline_tests.invented_house import once
from personal_pipeline_tests.sql.small_life import HOME_CURRENCY, Lake, write_small_life

Windows: TypeAlias = Mapping[str, Sequence[tuple[date, date]]]
"""The half-open spans of days that each model rebuilds."""


@dataclass(frozen=True)
class Warehouse:
    """A lake, and the DuckDB file that dbt makes of it. ``target``, with the project in it, is
    shared: it saves parsing."""

    root: Path
    target: Path

    @property
    def lake(self) -> Lake:
        return Lake(self.root / "lake")

    @property
    def path(self) -> Path:
        return self.root / "warehouse.duckdb"

    def dbt(
        self, *arguments: str, windows: Windows | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt as the pipeline does."""
        environment = {
            **{name: text for name, text in os.environ.items() if not name.startswith("PIPELINE")},
            "PIPELINE_LAKE": str(self.root / "lake"),
            "PIPELINE_WAREHOUSE": str(self.path),
            "PIPELINE_CURRENCY": HOME_CURRENCY.upper(),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        if windows is not None:
            chosen = self.root / "windows.csv"
            write_windows(
                chosen, {m: [(f"{a}", f"{b}") for a, b in spans] for m, spans in windows.items()}
            )
            environment["PIPELINE_WINDOWS"] = str(chosen)
        project = self.target / "project"
        if not project.exists():
            write_project(project)
        folders = ["--project-dir", str(project), "--profiles-dir", str(project)]
        places = ["--target-path", str(self.target), "--log-path", str(self.target / "logs")]
        command = ["--no-use-colors", *arguments, *folders, *places]
        said = self.root / f"said-{os.getpid()}.txt"
        code = dbt_host.call(
            dbt_host.Call(
                command,
                [],
                "",
                "",
                str(self.root),
                environment,
                str(said),
                str(self.root / "results.json"),
            )
        )
        return subprocess.CompletedProcess(command, code, said.read_text(encoding="utf-8"), "")

    def build(self, *select: str, windows: Windows | None = None) -> str:
        """Build and test models, all of them by default; returns what dbt printed."""
        chosen = ["--select", *select] if select else []
        done = self.dbt("build", *chosen, windows=windows)
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

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every table, in an order of its own."""
        return {
            table: sorted(self.query(f"select * from {table}"), key=repr) for table in self.tables()
        }


@pytest.fixture(scope="session")
def built(in_common: Path, tmp_path_factory: pytest.TempPathFactory) -> Warehouse:
    """The small life, built whole, once for all processes. Tests only read it; a call of dbt writes
    into the ``target`` of this process."""

    def build(folder: Path) -> Warehouse:
        # a home may have any name
        warehouse = Warehouse(folder / "it's [my] home", folder / "target")
        warehouse.root.mkdir()
        write_small_life(warehouse.lake)
        warehouse.build()
        # the next call writes its own
        shutil.copyfile(warehouse.target / "manifest.json", warehouse.root / "manifest.json")
        return warehouse

    made = once(in_common, "small-life", build)
    target = tmp_path_factory.mktemp("target")
    shutil.copytree(made.target, target, dirs_exist_ok=True)
    return replace(made, target=target)


@pytest.fixture(scope="session")
def target(built: Warehouse) -> Path:
    """dbt's folder, with the project parsed."""
    return built.target


@pytest.fixture(scope="session")
def manifest(built: Warehouse) -> dict[str, Any]:
    """dbt's own account of the project, with the SQL that built everything."""
    found: dict[str, Any] = json.loads((built.root / "manifest.json").read_text())
    return found


@pytest.fixture(scope="session")
def described(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same, as the pipeline keeps it: columns are inherited from their inputs."""
    found = deepcopy(manifest)
    inherit_columns(found)
    return found


@pytest.fixture
def warehouse(tmp_path: Path, target: Path) -> Warehouse:
    """An empty lake and no warehouse yet."""
    return Warehouse(tmp_path, target)
