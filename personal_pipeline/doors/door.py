"""The host name and token of a home's web servers: what a person opens, and what keeps others out.

Cookies ignore ports: the browser would send ours to somebody else's server on another port of
127.0.0.1. So a home has its own name below ``localhost``, which Chromium and Firefox resolve to
this machine. It is random, so that no page can guess it.
"""

from __future__ import annotations

import html
import json
import os
import re
import secrets
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlencode

import click

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.settings import Settings

LOOPBACK = "127.0.0.1"

_NAME = re.compile(r"pp-[0-9a-f]{16}\.localhost")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Door:
    """Where one web server of a home is reached. ``plain`` adds 127.0.0.1, for a browser that does
    not resolve names below ``localhost``; every other server on 127.0.0.1 is then sent the
    cookie."""

    name: str
    token: str = field(repr=False)
    port: int
    plain: bool = False

    @property
    def hosts(self) -> frozenset[str]:
        """The accepted values of ``Host``: in lower case, with the port unless it is 80."""
        names = [self.name, LOOPBACK] if self.plain else [self.name]
        return frozenset(self._host(name) for name in names)

    @property
    def cookie(self) -> str:
        """The name of the cookie with the token; differs between two servers of a home."""
        return f"personal_pipeline_{self.port}"

    def address(self, path: str = "/") -> str:
        """The address without the token, fit for a bookmark."""
        return f"http://{self._host(LOOPBACK if self.plain else self.name)}{path}"

    def opening(self) -> str:
        """The address that opens it in any browser: with the token."""
        return f"{self.address()}?{urlencode({'token': self.token})}"

    def at(self, port: int) -> Door:
        """The door of another server of the home."""
        return replace(self, port=port)

    def headers(self) -> dict[str, str]:
        """The headers with which a program of the same person is admitted at 127.0.0.1."""
        return {"Host": self._host(self.name), "Cookie": f"{self.cookie}={self.token}"}

    def _host(self, name: str) -> str:
        return name if self.port == 80 else f"{name}:{self.port}"


def door_of(home: Home, port: int, *, plain: bool = False) -> Door:
    """The door of a home, the same at each start, so that bookmarks last. Delete
    ``state/door.json`` for a new name and token.

    A file that is damaged or that others could read is replaced: its token is no longer valid.
    """
    path = home.state / "door.json"
    name, token = _kept(path) or (None, None)
    if name is None or token is None:
        name, token = f"pp-{secrets.token_hex(8)}.localhost", secrets.token_urlsafe(32)
        write_atomically(path, json.dumps({"name": name, "token": token}).encode())
    return Door(name, token, port, plain)


def beside(door: Door) -> Door:
    """The door of the site: the port after that of the UI. Another port is another origin, so a
    page of one can do nothing to the other."""
    return door.at(door.port + 1)


def address_of(home: Home, settings: Settings, path: str = "") -> str:
    """The address of the UI for a browser that has been admitted: for messages, so without the
    token."""
    return door_of(home, settings.port, plain=settings.plain_address).address(path)


def site_address_of(home: Home, settings: Settings, path: str) -> str:
    """The same for a page of the site."""
    return beside(door_of(home, settings.port, plain=settings.plain_address)).address(path)


def open_in_browser(home: Home, door: Door) -> None:
    """Go through a file: a browser's command-line arguments are visible to all users of the
    machine."""
    page = home.state / "open.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(page, opening_page(door).encode())
    click.launch(page.as_uri())


def opening_page(door: Door) -> str:
    """A page that redirects to the door, to be stored in a file that only the person can read."""
    target = html.escape(door.opening())
    return (
        f'<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
        f'<meta http-equiv="refresh" content="0; url={target}"><a href="{target}">Go on</a>\n'
    )


def _kept(path: Path) -> tuple[str, str] | None:
    try:
        # on other systems files have no mode, and the home is in the person's own folder
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            return None
        kept = json.loads(path.read_bytes())
        name, token = kept["name"], kept["token"]
        whole = _NAME.fullmatch(name) and _TOKEN.fullmatch(token)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return (name, token) if whole else None
