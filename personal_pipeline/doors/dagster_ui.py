"""Dagster's web server behind the guard, in its own process.

The stock server runs GraphQL mutations sent by GET, checks neither Host nor Origin, nor the Origin
of a websocket, and lets anybody report materializations that never happened.
"""

from __future__ import annotations

import sys
import warnings
from contextlib import suppress
from pathlib import Path

import click
import dagster as dg
from dagster_webserver.app import create_app_from_workspace_process_context

from personal_pipeline.dagster_private import workspace_of
from personal_pipeline.doors.door import Door, door_of
from personal_pipeline.doors.guard import App, Guard
from personal_pipeline.doors.server import PortTaken, other_loopback_taken, server_of
from personal_pipeline.home import Home

CLOSED = (
    # lets anybody report events that never happened
    "/report_asset_",
    "/report_runless",
    # shows a notebook from anywhere on the disk as a page of ours, with its scripts
    "/notebook",
    # older names for the same
    "/dagit",
)
GRAPHQL = "/graphql"
"""GET would return the page for trying queries; it is not served, because forged requests use
GET."""

LIVE_DATA_MILLISECONDS = 2000
STATEMENT_MILLISECONDS = 15_000
POOL_RECYCLE_SECONDS = 3600
POOL_OVERFLOW = 20


def guarded(app: App, door: Door) -> Guard:
    """Dagster's web server with the guard in front."""
    return Guard(app, door, questions=(GRAPHQL,), sockets=(GRAPHQL,), closed=CLOSED)


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True)
@click.option("--workspace", type=click.Path(), required=True)
@click.option("--port", type=int, required=True)
@click.option("--plain", is_flag=True)
def main(home: Path, workspace: str, port: int, plain: bool) -> None:
    """Serve until interrupted. The token is read from the home, so that it appears neither in the
    process list nor in a log."""
    door = door_of(Home(home), port, plain=plain)
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        with workspace_of(instance, workspace) as context:
            app = create_app_from_workspace_process_context(context, "", LIVE_DATA_MILLISECONDS)
            try:
                # the server shuts down cleanly, then raises the interrupt once more
                with other_loopback_taken(port), suppress(KeyboardInterrupt):
                    server_of(guarded(app, door), port).run()
            except PortTaken as error:
                sys.exit(f"{error} Choose another with `up --port` or PERSONAL_PIPELINE_PORT.")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
