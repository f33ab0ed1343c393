"""Charts that were drawn before.

Drawing is two thirds of the time of a report, and in a report that is written again on the same day
few charts differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from personal_pipeline.home import write_atomically


@dataclass(frozen=True, slots=True)
class _Drawings:
    """SVG texts by the digest of what they show: those kept, and those used since."""

    kept: Mapping[str, str] = field(default_factory=dict)
    used: dict[str, str] = field(default_factory=dict)


_current: ContextVar[_Drawings | None] = ContextVar("drawings", default=None)


@contextmanager
def kept_in(path: Path) -> Iterator[None]:
    """Within the block, charts are taken from this file; at its end the file holds those used. A
    file that cannot be read is as good as none."""
    try:
        kept = json.loads(path.read_bytes())
        drawings = _Drawings({**kept} if all(isinstance(each, str) for each in kept) else {})
    except (OSError, ValueError, TypeError):
        drawings = _Drawings()
    token = _current.set(drawings)
    try:
        yield
    finally:
        _current.reset(token)
    if drawings.used.keys() != drawings.kept.keys():
        write_atomically(path, json.dumps(drawings.used).encode())


def drawn(specification: Mapping[str, Any], version: str, draw: Callable[[], str]) -> str:
    """The drawing of a chart, drawn only if it is not kept. ``version`` identifies the code that
    draws."""
    drawings = _current.get()
    if drawings is None:
        return draw()
    shown = json.dumps([version, specification], sort_keys=True, default=str)
    digest = hashlib.sha256(shown.encode()).hexdigest()
    svg = drawings.kept.get(digest) or drawings.used.get(digest) or draw()
    drawings.used[digest] = svg
    return svg
