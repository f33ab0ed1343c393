"""Real receivers of messages on 127.0.0.1: a web hook and a mail server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage, Message
from email.parser import BytesParser
from email.policy import default
from threading import Event
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from personal_pipeline_tests.loopback import QuietHandler, free_port, listening


@dataclass
class WebHook:
    """``status`` is what it answers; 0 closes the connection without an answer. While ``holding``
    is set, an answer waits for ``released``. ``got`` is set with the first message."""

    port: int
    status: int = 200
    holding: bool = False
    messages: list[dict[str, Any]] = field(default_factory=list)
    got: Event = field(default_factory=Event)
    released: Event = field(default_factory=Event)

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.port}/a-secret-path"

    @property
    def titles(self) -> list[str]:
        return [each["title"] for each in self.messages]


@contextmanager
def web_hook(port: int = 0) -> Iterator[WebHook]:
    """The web hook of apprise's ``json://`` addresses."""

    class Handler(QuietHandler):
        def do_POST(self) -> None:  # noqa: N802
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.messages.append(json.loads(body))
            hook.got.set()
            if hook.holding:
                hook.released.wait(60)
            if hook.status:
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

    with listening(Handler, port) as taken:
        hook = WebHook(taken)
        try:
            yield hook
        finally:
            hook.released.set()


@dataclass
class MailServer:
    """``answer`` is what it says to a letter; ``hang_up`` closes the connection instead."""

    port: int
    answer: str = "250 OK"
    hang_up: bool = False
    letters: list[EmailMessage] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"mailto://127.0.0.1:{self.port}?from=house@example.com&to=me@example.com"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        letter: Message = BytesParser(policy=default).parsebytes(envelope.original_content or b"")
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        if self.hang_up:
            assert server.transport is not None
            server.transport.close()
        return self.answer


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """An SMTP server."""
    server = MailServer(free_port())
    controller = Controller(server, hostname="127.0.0.1", port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()
