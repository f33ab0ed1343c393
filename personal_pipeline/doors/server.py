"""How a server of the house listens: only on 127.0.0.1, with the port of ::1 kept from others."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from personal_pipeline.doors.door import LOOPBACK
from personal_pipeline.doors.guard import App

if TYPE_CHECKING:
    import uvicorn


class PortTaken(Exception):
    """Another program uses the port, perhaps one of another user."""


def server_of(app: App, port: int, host: str = LOOPBACK) -> uvicorn.Server:
    """A server, on 127.0.0.1 unless told otherwise. It has no access log: addresses of requests may
    contain the token."""
    # here, because `up` only holds ports, for as long as it runs
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            # the strict parser: it refuses two Host headers, or a request head of more than 64 KB
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
    """Hold the port of ``[::1]`` without listening on it. A browser may try that address first, and
    a server of another user of the machine would receive our token.

    Raises ``PortTaken`` if it is in use. A machine without IPv6 has no such address.
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
                raise PortTaken(f"Port {port} of [::1] is in use by another program.") from None
        yield
