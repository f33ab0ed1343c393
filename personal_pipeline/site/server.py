"""Datasette over a site, as an application for a server of the house, and the owner's in a process
of its own.

The owner's site stands behind the same guard as the UI (``doors/guard.py``), on the port after the
UI's: another port is another origin, so a page of one can do nothing to the other.
"""

from __future__ import annotations

import importlib.util
import secrets
import socket
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm

from personal_pipeline.board import board_of
from personal_pipeline.doors.door import Door, door_of
from personal_pipeline.doors.guard import App, Guard, Message, Receive, Send
from personal_pipeline.doors.server import PortTaken, other_loopback_taken, server_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import load_settings
from personal_pipeline.site import pages
from personal_pipeline.site.view import View
from personal_pipeline.sources import SOURCES

FOLDER = Path(__file__).parent
VEGA = "datasette_dashboards"
"""The package whose copies of Vega, Vega-Lite and Vega-Embed draw the charts."""

CLOSED = (
    # of a login that the owner does not need
    *("/-/login", "/-/logout", "/-/password-tool", "/-/auth-token"),
    # for those who write plugins
    *("/-/permissions", "/-/allow-debug", "/-/messages", "/-/patterns"),
)

SETTINGS = {
    "allow_download": False,
    "default_cache_ttl": 0,
    "max_returned_rows": 10_000,
    "num_sql_threads": 2,
    "sql_time_limit_ms": 3000,
    # a row of a table with years of samples has thousands of others that link to it
    "facet_time_limit_ms": 300,
}

NO_TABLES = (
    "There are no tables yet. `personal-pipeline refresh` builds them; then reload this page.\n"
)

POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""Nothing comes from elsewhere, and no script runs but those of our templates."""


class Quiet(Database):  # type: ignore[misc]
    """A database whose failing queries are answered and not printed: their parameters are what
    somebody looked for."""

    async def execute(self, *arguments: Any, **options: Any) -> Any:
        """As Datasette does, without printing."""
        return await super().execute(*arguments, **{**options, "log_sql_errors": False})


@dataclass(slots=True)
class Site:
    """Datasette over a view, as an ASGI application. It opens the file again when another has taken
    its place: Datasette would go on reading the old one."""

    view: View
    metadata: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    secret: str | None = None
    _datasette: Datasette = field(init=False)
    _app: App = field(init=False)
    _opened: int | None = None

    def __post_init__(self) -> None:
        if not pm.is_registered(pages):
            pm.register(pages)
            pm.unregister(name=pages.LOCALS_PRINTED)
        found = importlib.util.find_spec(VEGA)
        assert found is not None
        assert found.origin is not None
        self._datasette = Datasette(
            [],
            memory=False,
            metadata=self.metadata,
            settings={**SETTINGS, **self.settings},
            secret=self.secret,
            template_dir=str(FOLDER / "templates"),
            static_mounts=[
                ("-/site", str(FOLDER / "static")),
                ("-/vega", str(Path(found.origin).parent / "static")),
            ],
        )
        self._datasette.remove_database("_memory")
        pages.VIEWS[self._datasette] = self.view
        self._app = self._datasette.app()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        if not self._is_open():
            await say(send, 503, NO_TABLES)
            return
        nonce = secrets.token_urlsafe(16)
        policy = POLICY.format(nonce=nonce)

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                if not any(name.lower() == b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", policy.encode()))
                message = {**message, "headers": headers}
            await send(message)

        await self._app({**scope, "nonce": nonce}, receive, tell)

    def _is_open(self) -> bool:
        try:
            there = self.view.path.stat().st_ino
        except FileNotFoundError:
            return False
        if there != self._opened:
            if self._opened is not None:
                self._datasette.remove_database(pages.DATABASE)
                # each thread keeps its connection for as long as it lives
                self._datasette.executor.shutdown(wait=False)
                threads = self._datasette.setting("num_sql_threads")
                self._datasette.executor = ThreadPoolExecutor(threads)
            database = Quiet(self._datasette, str(self.view.path), is_mutable=True)
            self._datasette.add_database(database, name=pages.DATABASE)
            self._opened = there
        return True


async def say(send: Send, status: int, sentence: str) -> None:
    """Answer with a sentence."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": sentence.encode()})


def site_of(house: House, door: Door) -> Guard:
    """The owner's site with the guard in front."""
    return Guard(
        Site(View(house.home, board=lambda: board_of(house), house=house)), door, closed=CLOSED
    )


def serve_owner(house: House, door: Door, listening: socket.socket | None = None) -> None:
    """Serve the owner's site until interrupted: at the door, or at a socket that already listens
    there, whose process holds the other loopback address."""
    if listening is not None:
        with suppress(KeyboardInterrupt):
            server_of(site_of(house, door), door.port).run(sockets=[listening])
        return
    try:
        # the server shuts down cleanly, then raises the interrupt once more
        with other_loopback_taken(door.port), suppress(KeyboardInterrupt):
            server_of(site_of(house, door), door.port).run()
    except PortTaken as error:
        sys.exit(f"{error} Choose another with `--port` or PERSONAL_PIPELINE_PORT.")


@click.command()
@click.option("--home", type=click.Path(path_type=Path), required=True)
@click.option("--port", type=int, required=True)
@click.option("--plain", is_flag=True)
@click.option("--listening", type=int, help="The descriptor of a socket that listens at the port.")
def main(home: Path, port: int, plain: bool, listening: int | None) -> None:
    """Serve the owner's site until interrupted. The token is read from the home, so that it appears
    neither in the process list nor in a log."""
    house = House(load_settings(), Home(home), SOURCES)
    given = None if listening is None else socket.socket(fileno=listening)
    serve_owner(house, door_of(house.home, port, plain=plain), given)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
