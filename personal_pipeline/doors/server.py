"""How a server of the house listens: on 127.0.0.1 alone, and nobody else beside it."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from personal_pipeline.doors.door import LOOPBACK
from personal_pipeline.doors.guard import App


class PortTaken(Exception):
    """Another program has the port, perhaps of another user."""


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


@contextmanager
def other_loopback_taken(port: int) -> Iterator[None]:
    """Hold the port of ``[::1]`` without listening there. A browser may try that address first, and
    a server of another user of the machine would be sent our token.

    Raises ``PortTaken`` when somebody has it. A machine without IPv6 has no such address.
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
                raise PortTaken(f"Port {port} of [::1] is taken by another program.") from None
        yield
