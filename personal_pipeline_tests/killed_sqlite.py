"""A process that is killed while it writes a SQLite file."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Callable
from typing import Any

import pytest


def killed_after(statements: int, write: Callable[[], object]) -> None:
    """Have a process write that is killed after that many statements."""
    process = os.fork()
    if process:
        _, status = os.waitpid(process, 0)
        assert os.WIFSIGNALED(status)
        return
    left = statements
    connect = sqlite3.connect

    def count_down(_: str) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
        opened: sqlite3.Connection = connect(*arguments, **options)
        opened.set_trace_callback(count_down)
        return opened

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sqlite3, "connect", watched)
        write()
    os._exit(0)
