"""The gate before a site that is shared with somebody: named hosts, a login with limited tries.

The site is reached through a tunnel or a proxy, so unlike the owner's it has a password, and its
address is known. Anonymous requests get the login, its style, and 403 for everything else.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from personal_pipeline.doors.guard import App, Message, Receive, Send, with_headers
from personal_pipeline.home import Home
from personal_pipeline.site.people import NotShared, Person, person_named
from personal_pipeline.site.server import Site, say
from personal_pipeline.site.view import View

LOGIN = "/-/login"
POSTS = (LOGIN, "/-/logout")

OPEN = (*POSTS, "/-/static/", "/-/site/", "/-/vega/", "/-/dashboards")
"""What may be asked below ``/-/``. The rest tells how the server is made."""

OWNERS = ("/-/search",)
"""What only the owner has."""

MAX_TRIES = 10
TRIES_SECONDS = 15 * 60.0

CHANGED = "What is shared has changed since this server was started: it has to be restarted.\n"
TOO_MANY = "Too many wrong passwords. Try again in a quarter of an hour.\n"


@dataclass(slots=True)
class Tries:
    """The wrong passwords of the last quarter of an hour, whoever sent them: behind a tunnel all
    come from one address."""

    clock: Callable[[], float] = time.monotonic
    _begun: deque[float] = field(default_factory=deque)

    def begin(self) -> bool:
        """Whether one more password may be tried. It counts as wrong until it ``succeeded``."""
        now = self.clock()
        while self._begun and now - self._begun[0] >= TRIES_SECONDS:
            self._begun.popleft()
        if len(self._begun) >= MAX_TRIES:
            return False
        self._begun.append(now)
        return True

    def succeeded(self) -> None:
        """Forget the wrong ones before the right one."""
        self._begun.clear()


@dataclass(slots=True)
class Gate:
    """An ASGI application in front of a shared site. ``hosts`` are the names under which it may be
    asked for, without port; ``is_current`` says whether what is shared is as at the start."""

    app: App
    hosts: Collection[str]
    is_current: Callable[[], bool] = lambda: True
    tries: Tries = field(default_factory=Tries)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        send = with_headers(send)
        headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        method, path = scope["method"], scope["path"]
        if not self._names_us(headers):
            await say(send, 421, "This server does not answer to that host name.\n")
        elif method not in ("GET", "HEAD") and not (
            method == "POST" and path in POSTS and _comes_from_here(headers)
        ):
            await say(send, 405, "Only the login takes anything.\n")
        elif path.startswith(OWNERS):
            await say(send, 403, "Only the owner can do this.\n")
        elif path.startswith("/-/") and not path.startswith(OPEN):
            await say(send, 404, "There is no such page.\n")
        elif not self.is_current():
            await say(send, 503, CHANGED)
        elif method == "POST" and path == LOGIN and not self.tries.begin():
            await say(send, 429, TOO_MANY)
        else:
            # a password in this header would be a second way to try one
            kept = [each for each in scope["headers"] if each[0].lower() != b"authorization"]
            is_tls = ("x-forwarded-proto", "https") in headers
            await self.app({**scope, "headers": kept}, receive, self._watching(send, is_tls=is_tls))

    def _names_us(self, headers: Collection[tuple[str, str]]) -> bool:
        named = [value.lower() for name, value in headers if name == "host"]
        return len(named) == 1 and _without_port(named[0]) in self.hosts

    def _watching(self, send: Send, *, is_tls: bool) -> Send:
        """Sees the cookie of a login, which no script and no other page needs."""

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = []
                for name, value in message.get("headers", ()):
                    if name.lower() == b"set-cookie" and value.startswith(b"ds_actor="):
                        self.tries.succeeded()
                        plain = value.partition(b";")[0]
                        value = plain + b"; Path=/; HttpOnly; SameSite=Strict"
                        value += b"; Secure" if is_tls else b""
                    headers.append((name, value))
                message = {**message, "headers": headers}
            await send(message)

        return tell


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdecimal() and not host.endswith("]") else host


def _comes_from_here(headers: Collection[tuple[str, str]]) -> bool:
    """Whether one of our own pages sends it, as far as the browser says."""
    host = next(value for name, value in headers if name == "host")
    origins = [value for name, value in headers if name == "origin"]
    sites = [value for name, value in headers if name == "sec-fetch-site"]
    return all(each.partition("://")[2] == host for each in origins) and all(
        each in ("same-origin", "none") for each in sites
    )


def shared_site(home: Home, person: Person, hosts: Collection[str]) -> Gate:
    """The site of a person with the gate in front."""
    site = Site(
        View(home, person),
        metadata={
            "allow": {"id": person.name},
            "plugins": {
                "datasette-auth-passwords": {f"{person.name}_password_hash": person.password_hash}
            },
        },
        settings={"default_allow_sql": False},
        secret=person.secret,
    )

    def is_current() -> bool:
        try:
            return person_named(home, person.name) == person
        except NotShared:
            return False

    return Gate(site, frozenset(each.lower() for each in hosts), is_current)
