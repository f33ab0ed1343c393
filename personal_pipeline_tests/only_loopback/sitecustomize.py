"""Denies every address that is not this machine, before it is used.

The tests import this, and a Python that is started with this folder on PYTHONPATH imports it before
anything else. The file that DENIED names then lists what was denied, and beside it, with the suffix
``.loaded``, stand the processes that were watched.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

# a mail program says it in its greeting
_OWN_NAME = platform.node()


def _is_here(host: object) -> bool:
    text = host.decode() if isinstance(host, bytes) else host
    return text in (None, "", "localhost", "::1", _OWN_NAME) or str(text).startswith("127.")


def _look(event: str, arguments: tuple[Any, ...]) -> None:
    # each opened file and each import is an event, too
    if not event.startswith("socket."):
        return
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_here(host):
        if log := os.environ.get("DENIED"):
            with open(log, "a") as denied:  # noqa: PTH123
                denied.write(f"{event} {host} by {sys.argv[:4]}\n")
        raise OSError(101, "denied by the tests: not an address of this machine")


sys.addaudithook(_look)
if _log := os.environ.get("DENIED"):
    with open(f"{_log}.loaded", "a") as _loaded:  # noqa: PTH123
        _loaded.write(f"{os.getpid()}\n")
