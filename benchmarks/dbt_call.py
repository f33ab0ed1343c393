"""The overhead of a dbt call before any SQL: ours against DbtCliResource, on the same model.

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
    """The way every build calls dbt."""
    results = dbt_project.run(home, [MODEL], {MODEL: []}, {"currency": "usd"})
    assert not any(result.failed for result in results)


def resource(home: Home) -> DbtCliResource:
    """The resource as created in a Dagster run."""
    project = dbt_project.working_copy(home)
    return DbtCliResource(
        project_dir=os.fspath(project),
        profiles_dir=os.fspath(project),
        dbt_executable=os.fspath(Path(sys.executable).parent / "dbt"),
    )


def by_resource(dbt: DbtCliResource, target: Path) -> None:
    """The same build, as in dagster-dbt's documentation."""
    call = dbt.cli(["--quiet", "build", "--select", MODEL], target_path=target).wait()
    assert call.is_successful()


def main() -> None:
    """Alternate the calls, over an empty lake; the median of each counts."""
    with TemporaryDirectory() as folder:
        home = Home(Path(folder)).ensure()
        dbt_project.manifest_path(home)
        windows = Path(folder) / "windows.csv"
        dbt_project.write_windows(windows, {MODEL: []})
        os.environ.update(
            PIPELINE_LAKE=str(home.lake),
            PIPELINE_WAREHOUSE=str(home.warehouse),
            PIPELINE_WINDOWS=str(windows),
            PIPELINE_CURRENCY="usd",
        )
        direct(home)  # creates the table, so that all measured calls do the same
        kept = resource(home)
        by_resource(kept, home.dbt_target)
        seconds: dict[str, list[float]] = {"ours": [], "new": [], "kept": []}
        for _ in range(ROUNDS):
            seconds["ours"].append(seconds_of(lambda: direct(home)))
            seconds["new"].append(seconds_of(lambda: by_resource(resource(home), home.dbt_target)))
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
