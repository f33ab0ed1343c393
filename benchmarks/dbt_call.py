"""What a call of dbt costs before any SQL: ours against DbtCliResource, building the same model.

Decision: docs/decisions/0004-in-process-runs.md.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from dagster_dbt import DbtCliResource

from benchmarks.measured import Measured, seconds_of, show
from personal_pipeline.home import Home
from personal_pipeline.warehouse import dbt_project

MODEL = "stg_kit__growth_stats"
ROUNDS = 5


def direct(home: Home) -> None:
    """As every build does it."""
    results = dbt_project.run(home, "build", [MODEL], {MODEL: []}, "usd")
    assert not any(result.failed for result in results)


def resource(project: Path) -> DbtCliResource:
    """As each run of Dagster makes one."""
    return DbtCliResource(
        project_dir=os.fspath(project),
        profiles_dir=os.fspath(project),
        dbt_executable=os.fspath(Path(sys.executable).parent / "dbt"),
    )


def by_resource(dbt: DbtCliResource, target: Path) -> None:
    """The same build as dagster-dbt's documentation does it."""
    call = dbt.cli(["--quiet", "build", "--select", MODEL], target_path=target).wait()
    assert call.is_successful()


def main() -> None:
    """Call each in turn, over an empty lake; the median of each counts."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).ensure()
        dbt_project.manifest_path(home)
        windows = Path(folder) / "windows.csv"
        dbt_project.write_windows(windows, {MODEL: []})
        project = Path(folder) / "project"
        dbt_project.write_project(project)
        os.environ.update(
            PIPELINE_LAKE=str(home.lake),
            PIPELINE_WAREHOUSE=str(home.warehouse),
            PIPELINE_WINDOWS=str(windows),
            PIPELINE_CURRENCY="usd",
        )
        direct(home)  # makes the table, so that all that are measured do the same
        kept = resource(project)
        by_resource(kept, home.dbt_target)
        seconds: dict[str, list[float]] = {"ours": [], "new": [], "kept": []}
        for _ in range(ROUNDS):
            seconds["ours"].append(seconds_of(lambda: direct(home)))
            seconds["new"].append(
                seconds_of(lambda: by_resource(resource(project), home.dbt_target))
            )
            seconds["kept"].append(seconds_of(lambda: by_resource(kept, home.dbt_target)))
    show(
        f"One call of dbt build with one model, median of {ROUNDS}",
        [
            Measured("dbt_project.run", median(seconds["ours"])),
            Measured("DbtCliResource.cli(…).wait(), its first call", median(seconds["new"])),
            Measured("DbtCliResource.cli(…).wait(), its later calls", median(seconds["kept"])),
        ],
    )


if __name__ == "__main__":
    main()
