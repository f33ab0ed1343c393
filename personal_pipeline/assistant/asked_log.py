"""What language models asked: ``state/asked.jsonl``, a line per question, never a row of an answer.

Beyond ``MOST_BYTES`` the older half is forgotten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import PRIVATE_FILE, Home, write_atomically

MOST_BYTES = 1_000_000
MOST_OF_A_QUESTION = 4_000

LOCK_WAIT_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Asked:
    """A question: when (UTC), the tool and its arguments, and how many rows the answer had; None if
    it was refused."""

    at: str
    tool: str
    arguments: Mapping[str, Any]
    rows: int | None


def note(home: Home, tool: str, arguments: Mapping[str, Any], rows: int | None) -> None:
    """Keep a question. Raises ``OSError`` if it cannot be kept, ``Busy`` if another process holds
    the log for long."""
    given = {
        name: value if isinstance(value, int | None) else str(value)[:MOST_OF_A_QUESTION]
        for name, value in arguments.items()
        if value is not None
    }
    asked = Asked(datetime.now(UTC).isoformat(timespec="seconds"), tool, given, rows)
    # after a line that a kill cut off, the next one begins anew
    line = b"\n" + json.dumps(asdict(asked), ensure_ascii=False).encode(errors="backslashreplace")
    path = _path(home)
    with home.lock("asked", wait_seconds=LOCK_WAIT_SECONDS):
        if path.exists() and path.stat().st_size + len(line) > MOST_BYTES:
            lines = path.read_bytes().splitlines()
            write_atomically(path, b"\n".join(lines[len(lines) // 2 :]))
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, PRIVATE_FILE)
        with os.fdopen(handle, "ab") as stream:
            stream.write(line)


def noted(home: Home) -> Iterator[Asked]:
    """All questions that are kept, oldest first. A line that a kill cut off is left out."""
    try:
        lines = _path(home).read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield Asked(**json.loads(line))
        except (ValueError, TypeError):
            continue


def _path(home: Home) -> Path:
    return home.state / "asked.jsonl"
