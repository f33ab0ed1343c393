"""Dagster's web server behind the guard, in a process of its own.

The stock server runs GraphQL mutations that are sent by GET, looks neither at Host nor at Origin,
nor at the websocket's Origin, and lets anybody tell it of materializations that never were.
"""

from __future__ import annotations

import errno
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import dagster as dg
import uvicorn
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.app import create_app_from_workspace_process_context

from personal_pipeline.doors.door import LOOPBACK, Door, door_of
from personal_pipeline.doors.guard import App, Guard
from personal_pipeline.home import Home

CLOSED = (
    # anybody could tell of events that never were
    "/report_asset_",
    "/report_runless",
    # shows a notebook from anywhere on the disk as a page of ours, with its scripts
    "/notebook",
    # older names of the same
    "/dagit",
)
GRAPHQL = "/graphql"
"""The page for trying queries, which GET gives, is not served: GET of it is how pages forge
requests."""

LIVE_DATA_MILLISECONDS = 2000
STATEMENT_MILLISECONDS = 15_000
POOL_RECYCLE_SECONDS = 3600
POOL_OVERFLOW = 20


def guarded(app: App, door: Door) -> Guard:
    """Dagster's web server with its guard before it."""
    return Guard(app, door, questions=(GRAPHQL,), sockets=(GRAPHQL,), closed=CLOSED)


@contextmanager
def other_loopback_taken(port: int) -> Iterator[None]:
    """Hold the port of ``[::1]`` without listening there. A browser may try that address first, and
    a server of another user of the machine would be sent our token.

    Raises ``OSError`` when somebody has it. A machine without IPv6 has no such address.
    """
    try:
        held = socket.socket(socket.AF_INET6)
    except OSError:
        yield
        return
    with held:
        if sys.platform == "win32":
            held.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        try:
            held.bind(("::1", port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                raise
        yield


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True)
@click.option("--workspace", type=click.Path(), required=True)
@click.option("--port", type=int, required=True)
@click.option("--plain", is_flag=True)
def main(home: Path, workspace: str, port: int, plain: bool) -> None:
    """Serve until interrupted. The token is read from the home: neither the list of processes nor a
    log holds it."""
    door = door_of(Home(home), port, plain=plain)
    with dg.DagsterInstance.get() as instance:
        instance.optimize_for_webserver(STATEMENT_MILLISECONDS, POOL_RECYCLE_SECONDS, POOL_OVERFLOW)
        with WorkspaceProcessContext(
            instance, workspace_load_target=WorkspaceFileTarget([workspace])
        ) as context:
            app = create_app_from_workspace_process_context(context, "", LIVE_DATA_MILLISECONDS)
            try:
                # the server ends in order, and then says once more that it was interrupted
                with other_loopback_taken(port), suppress(KeyboardInterrupt):
                    server_of(guarded(app, door), port).run()
            except OSError as error:
                sys.exit(f"port {port} cannot be used: {error.strerror}")


def server_of(app: App, port: int) -> uvicorn.Server:
    """A server on 127.0.0.1 that keeps no log of requests: their addresses may hold the token."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=LOOPBACK,
            port=port,
            # the strict parser: two Host headers, or a head of more than 64 KB, are refused by it
            http="h11",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=3,
        )
    )


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
