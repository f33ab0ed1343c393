"""A real HTTP server on 127.0.0.1 that answers as a test says, and remembers what it was asked."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit


@dataclass(frozen=True)
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """``promised`` is the Content-Length when it is not that of the body; ``drip`` sends the body
    byte by byte, with that many seconds before each, until the test is over."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    promised: int | None = None
    drip: float | None = None


class QuietHandler(BaseHTTPRequestHandler):
    """Answers, and prints nothing: pytest shows what matters."""

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up or was killed is what some tests are about."""


@contextmanager
def listening(handler: type[QuietHandler], port: int = 0) -> Iterator[int]:
    """A server on 127.0.0.1, and its port."""
    server = _Server(("127.0.0.1", port), handler)
    thread = Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def free_port() -> int:
    """A port on which nobody listens now, nor on the next one, which is that of the site."""
    while True:
        with socket.socket() as probe, socket.socket() as beside:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
            with suppress(OSError, OverflowError):
                beside.bind(("127.0.0.1", port + 1))
                return port


def until(found: Callable[[], Any], what: str, seconds: float = 300) -> Any:
    """Wait until something is found, and return it: for what no event announces."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if result := found():
            return result
        # each look takes time from what it waits for
        time.sleep(1)
    raise AssertionError(f"not within {seconds} s: {what}")


Answering: TypeAlias = Callable[[Request], Answer]


@dataclass
class Loopback:
    """``asked`` holds the requests that came, oldest first. ``over`` is set when the test ends."""

    base: str
    asked: list[Request] = field(default_factory=list)
    over: Event = field(default_factory=Event)


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(
        json.dumps(value).encode(),
        status,
        {name.replace("_", "-"): text for name, text in headers.items()},
    )


def in_turn(*answers: Answer) -> Answering:
    """Each answer once; the last one for ever after."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


@contextmanager
def loopback(answering: Answering) -> Iterator[Loopback]:
    """The server runs inside the block, on a free port."""

    class Handler(QuietHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            request = Request(
                parts.path,
                dict(parse_qsl(parts.query)),
                {name.lower(): value for name, value in self.headers.items()},
            )
            served.asked.append(request)
            answer = answering(request)
            # tests pass their clock in, so the time of this machine is not the service's
            self.send_response_only(answer.status)
            self.send_header("Content-Type", answer.content_type)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            promised = len(answer.body) if answer.promised is None else answer.promised
            self.send_header("Content-Length", str(promised))
            self.end_headers()
            if answer.drip is None:
                self.wfile.write(answer.body)
            else:
                for byte in answer.body:
                    if served.over.is_set():
                        break
                    self.wfile.write(bytes([byte]))
                    time.sleep(answer.drip)
            if promised != len(answer.body):
                self.close_connection = True

    with listening(Handler) as port:
        served = Loopback(f"http://127.0.0.1:{port}")
        try:
            yield served
        finally:
            served.over.set()
