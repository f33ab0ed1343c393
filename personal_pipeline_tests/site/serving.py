"""A site behind the server of the house, in a thread of the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Thread
from typing import Any

import requests

from personal_pipeline.doors.door import Door, door_of
from personal_pipeline.doors.guard import App
from personal_pipeline.doors.server import server_of
from personal_pipeline.house import House
from personal_pipeline.site.server import site_of
from personal_pipeline_tests.loopback import free_port, until


@dataclass
class Visitor:
    """Somebody who asks a server on loopback, with the cookies that it gave."""

    port: int
    headers: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self._ask("GET", path, headers)

    def post(self, path: str, data: dict[str, str], **headers: str) -> requests.Response:
        return self._ask("POST", path, headers, data=data)

    def _ask(
        self, method: str, path: str, headers: dict[str, str], **more: Any
    ) -> requests.Response:
        self.session.trust_env = False
        return self.session.request(
            method,
            f"http://127.0.0.1:{self.port}{path}",
            headers=self.headers | headers,
            timeout=60,
            allow_redirects=False,
            **more,
        )


@contextmanager
def owners_site(house: House) -> Iterator[Door]:
    """The owner's site on a free port, inside the block."""
    door = door_of(house.home, free_port())
    with serving(site_of(house, door), door.port):
        yield door


@contextmanager
def serving(app: App, port: int) -> Iterator[None]:
    """The application listens on that port inside the block."""
    server = server_of(app, port)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server listens", seconds=60)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(60)
