"""A digest inside our own JSON objects, so that bit rot is noticed even if they still parse."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from personal_pipeline.ingest.lake import canonical

SEAL = "seal"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same object with a seal, replacing an existing one."""
    return {**content, SEAL: _seal_of(content)}


def is_sound(content: Mapping[str, Any]) -> bool:
    """Whether the content matches its seal; earlier versions wrote no seals."""
    return SEAL not in content or content[SEAL] == _seal_of(content)


def _seal_of(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != SEAL}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()[:16]
