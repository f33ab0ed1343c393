"""Makes a home ready for Dagster's processes, and prints the environment that they need as JSON.

``up`` runs this in a separate process: its imports take a hundred megabytes, which ``up`` would
hold for as long as it runs.
"""

from __future__ import annotations

import json
import sys

import click

from personal_pipeline.graph.instance import instance_of, prepare
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.graph.recording import tell_anew
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.opening import opened
from personal_pipeline.settings import Settings, load_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline.troubles import disk_trouble
from personal_pipeline.warehouse.dbt_project import DbtFailed, manifest_path


def main() -> None:
    """Upgrade an older home, write dagster.yaml and dbt's manifest, end the runs whose processes
    are gone, and report everything to a storage that was recreated."""
    settings = load_settings()
    home = Home.of(settings.home)
    try:
        environment = _make_ready(settings, home)
    except DbtFailed as error:
        sys.exit(str(error))
    except Exception as error:
        if trouble := disk_trouble(error, home.root):
            sys.exit(trouble)
        raise
    click.echo(json.dumps(environment))


def _make_ready(settings: Settings, home: Home) -> dict[str, str]:
    notes = list(opened(home, SOURCES))
    environment = prepare(home)
    manifest_path(home)
    begun_anew: list[str] = []
    with instance_of(home, begun_anew.append) as instance:
        end_lost_runs(instance)
    if begun_anew:
        tell_anew(House(settings, home, SOURCES))
    for note in (*notes, *begun_anew):
        click.echo(note, err=True)
    return environment


if __name__ == "__main__":
    main()
