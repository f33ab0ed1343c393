"""A digest inside a JSON object of ours, so that rot is noticed in what can be read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from personal_pipeline.ingest.lake import canonical

SEAL = "seal"


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """The same with a seal, in place of the one that it may have."""
    return {**content, SEAL: _seal_of(content)}


def is_sound(content: Mapping[str, Any]) -> bool:
    """Whether it is as it was sealed; earlier versions sealed nothing."""
    return SEAL not in content or content[SEAL] == _seal_of(content)


def _seal_of(content: Mapping[str, Any]) -> str:
    rest = {name: value for name, value in content.items() if name != SEAL}
    return hashlib.sha256(canonical(rest).encode()).hexdigest()[:16]
