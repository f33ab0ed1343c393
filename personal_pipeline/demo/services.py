"""The services of the invented life, answering over HTTP on this machine only.

One server stands in for all of them; each pages, filters and refuses as the real one does.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from personal_pipeline.demo.invented import NOT_FOUND, Invented, Refused, Request, Service
from personal_pipeline.demo.life import Life
from personal_pipeline.demo.parts import INVENTED

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Served:
    """Where the services answer, and the person's settings for them, as environment variables."""

    base: str
    settings: Mapping[str, str]


@contextmanager
def serve(life: Life, invented: Sequence[Invented] = INVENTED) -> Iterator[Served]:
    """Run the services of a life on a free port until the block is left."""
    services = services_of(life, invented)
    with listening(lambda: services) as port:
        yield Served(base_at(port), settings_of(life, port, invented))


def services_of(life: Life, invented: Iterable[Invented] = INVENTED) -> dict[str, Service]:
    """The services of a life, by path prefix."""
    return {prefix: one for part in invented for prefix, one in part.services(life).items()}


def settings_of(life: Life, port: int, invented: Iterable[Invented] = INVENTED) -> dict[str, str]:
    """The person's settings for services at a port, as environment variables."""
    base = base_at(port)
    return {name: value for part in invented for name, value in part.settings(life, base).items()}


def base_at(port: int) -> str:
    """The address of the services at a port."""
    return f"http://{LOOPBACK}:{port}"


@contextmanager
def listening(
    services: Callable[[], Mapping[str, Service]], port: int = 0, *, poll_seconds: float = 0.02
) -> Iterator[int]:
    """Answer at a port of this machine, or at a free one, until the block is left; yields the port.
    ``services``, by path prefix, are asked for on each request. Whether to end is looked at every
    ``poll_seconds``.

    Raises ``OSError`` if the port is taken.
    """
    server = _Server((LOOPBACK, port), _handler(services))
    thread = threading.Thread(target=server.serve_forever, args=(poll_seconds,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report errors of our own; a client that hung up is not one."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(services: Callable[[], Mapping[str, Service]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are sent in one piece; in two, each response would wait for an
        # acknowledgement.
        wbufsize = 65_536
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            request = Request(
                path=address.path,
                query=parse_qs(address.query, keep_blank_values=True),
                headers={name.lower(): value for name, value in self.headers.items()},
            )
            service = next(
                (each for prefix, each in services().items() if address.path.startswith(prefix)),
                lambda _: NOT_FOUND,
            )
            try:
                answer = service(request)
            except Refused as refused:
                answer = refused.answer
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            """Log nothing: an address may contain private data."""

    return Handler
