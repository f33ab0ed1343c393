"""A small house whose services stand on loopback, on the eve of a week and after it.

Until ``EVE`` it was fetched and built without any fault: that is where a case begins. A week
later, at ``NOW``, services know more and the newest exports lie in the inbox; what a refresh makes
of that without any fault is the truth. The clock is passed in, and the services tell
their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from threading import Event
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import requests

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.services import Served, serve
from personal_pipeline.home import Home
from personal_pipeline.settings_pages import all_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.invented_house import NOW, UNTIL
from personal_pipeline_tests.loopback import QuietHandler, listening

OFF = timedelta(days=7)
"""So long the machine was off between the eve and the new day: longer than any service is asked
again for what it revises."""

EVE = NOW - OFF
LATER = NOW + timedelta(hours=1)
START = UNTIL - timedelta(days=14)
"""The first day that the person wants."""

NEW_EXPORTS = (".QFX", "transaction_download.csv")
"""Endings of the names of the exports that come with the new day."""

DROPS = 13
"""So many of the newest exports there are on the eve."""

_KEPT = ("Location", "Request-Id")
_HOP_BY_HOP = frozenset({"connection", "host", "accept-encoding"})


@dataclass(frozen=True)
class Asked:
    """A request that came, and what the service answers to it."""

    path: str
    query: str
    body: bytes
    number: int
    """How many requests came before it since the fault began."""


@dataclass(frozen=True)
class Reply:
    """What goes back. ``cut`` ends the connection after so many bytes of the body."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    pause: float = 0
    """Seconds before each hundredth part of the body."""
    date: datetime | None = None


Answering: TypeAlias = Callable[[Asked], Reply | None]
"""None leaves the usual answer."""


@dataclass
class Services:
    """The services of the person: whether the new day has come, and whether they are well."""

    before: Served
    after: Served
    base: str = ""
    has_new_day: bool = False
    clock: datetime = EVE
    fault: Answering | None = None
    asked: int = 0
    over: Event = field(default_factory=Event)

    def environment(self, home: Home, **more: object) -> dict[str, str]:
        """The person's settings; every one is named, so that nothing of the real person's comes
        through."""
        blank = {each.name: "" for each in all_settings(SOURCES)}
        here = {
            name: value.replace(self.after.base, self.base)
            for name, value in self.after.settings.items()
        }
        return {
            **blank,
            **here,
            "PERSONAL_PIPELINE_HOME": str(home.root),
            "PERSONAL_PIPELINE_START": START.isoformat(),
            "PERSONAL_PIPELINE_TIMEZONE": "UTC",
            "PERSONAL_PIPELINE_CURRENCY": "usd",
            "PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS": "20",
            "KIT_REQUESTS_PER_MINUTE": "60000",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            # an alert has somewhere to go, so that a round has something to remember
            "PERSONAL_PIPELINE_ALERTS": f"json://{self.base.removeprefix('http://')}/alert",
            "PERSONAL_PIPELINE_QUIET_HOURS": "none",
            **{name: str(value) for name, value in more.items()},
        }

    def new_day(self) -> None:
        self.has_new_day, self.clock = True, NOW

    @contextmanager
    def but(self, fault: Answering) -> Iterator[None]:
        """Inside the block the services have a fault."""
        self.fault, self.asked = fault, 0
        try:
            yield
        finally:
            self.fault = None


@contextmanager
def services() -> Iterator[Services]:
    """The services of a short life, until the block is left."""
    life = invent(1, 7, UNTIL)
    with ExitStack() as stack:
        session = stack.enter_context(requests.Session())
        session.trust_env = False
        known = Services(
            stack.enter_context(serve(shortened(life, UNTIL - OFF))),
            stack.enter_context(serve(shortened(life, UNTIL))),
        )

        class Front(QuietHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65_536
            disable_nagle_algorithm = True

            def do_GET(self) -> None:  # noqa: N802
                behind = known.after if known.has_new_day else known.before
                parts = urlsplit(self.path)
                usual = session.get(
                    f"{behind.base}{self.path}",
                    headers={
                        name: value
                        for name, value in self.headers.items()
                        if name.lower() not in _HOP_BY_HOP
                    },
                    allow_redirects=False,
                    timeout=30,
                )
                reply = None
                if known.fault is not None:
                    asked = Asked(parts.path, parts.query, usual.content, known.asked)
                    known.asked += 1
                    reply = known.fault(asked)
                if reply is None:
                    kept = {n: t for n, t in usual.headers.items() if n in _KEPT}
                    kept["Content-Type"] = usual.headers.get("Content-Type", "")
                    reply = Reply(usual.content, usual.status_code, kept)
                self._send(reply)

            def do_POST(self) -> None:  # noqa: N802
                self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._send(Reply(b"{}"))

            def _send(self, reply: Reply) -> None:
                self.send_response_only(reply.status)
                self.send_header("Date", format_datetime(reply.date or known.clock, usegmt=True))
                headers = {"Content-Type": "application/json", **reply.headers}
                headers.setdefault("Content-Length", str(len(reply.body)))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                body = reply.body[: reply.cut]
                step = max(len(body) // 100, 1) if reply.pause else len(body) or 1
                for begin in range(0, len(body), step):
                    if reply.pause:
                        self.wfile.flush()
                        if known.over.wait(reply.pause):
                            break
                    self.wfile.write(body[begin : begin + step])
                if reply.cut is not None:
                    self.close_connection = True

        port = stack.enter_context(listening(Front))
        known.base = f"http://127.0.0.1:{port}"
        try:
            yield known
        finally:
            known.over.set()


def shortened(life: Life, until: Any) -> Life:
    """The last days of a life, as it is known at the end of ``until``."""
    life = replace(life, until=until)
    first = START - timedelta(days=10)

    def recent(things: tuple[Any, ...], name: str = "created_at") -> tuple[Any, ...]:
        return tuple(
            each
            for each in things
            if first <= getattr(each, name).date() and getattr(each, name) < life.end
        )

    money = life.money
    subscriptions = recent(money.subscriptions)
    buyers = {each.customer_id for each in subscriptions}
    return replace(
        life,
        subscribers=recent(life.subscribers),
        broadcasts=tuple(each for each in recent(life.broadcasts) if each.sent_at),
        body=life.body[-20:],
        money=replace(
            money,
            customers=tuple(
                each
                for each in money.customers
                if each.customer_id in buyers or each in recent((each,))
            ),
            subscriptions=subscriptions,
            **{
                name: recent(getattr(money, name))
                for name in ("charges", "refunds", "disputes", "payouts", "balance_transactions")
            },
        ),
    )


def exports(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write the exports of the life: those that were there on the eve, and the newer ones."""
    life = invent(1, 7, UNTIL)
    yesterday = shortened(life, UNTIL - OFF)
    old = write_drops(yesterday, folder / "old")[-DROPS:]
    new = write_drops(shortened(life, UNTIL), folder / "new")[-DROPS:]
    return old, [
        each
        for each in new
        if each.name.endswith(NEW_EXPORTS) and not (folder / "old" / each.name).exists()
    ]
