"""Makes a home ready for Dagster's processes, and prints the environment that they need as JSON.

``up`` calls this in a process of its own: what it imports takes a hundred megabytes, which ``up``
would hold for as long as it runs.
"""

from __future__ import annotations

import json
import sys

import click

from personal_pipeline.graph.dbt_project import DbtFailed, manifest_path
from personal_pipeline.graph.instance import instance_of, prepare
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.home import Home
from personal_pipeline.settings import load_settings


def main() -> None:
    """Write dagster.yaml and dbt's manifest, and end the runs whose processes are gone."""
    home = Home.of(load_settings())
    environment = prepare(home)
    try:
        manifest_path(home)
    except DbtFailed as error:
        sys.exit(str(error))
    with instance_of(home) as instance:
        end_lost_runs(instance)
    click.echo(json.dumps(environment))


if __name__ == "__main__":
    main()
