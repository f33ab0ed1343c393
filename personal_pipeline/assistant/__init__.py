"""The tables for a language model, over the Model Context Protocol: ``personal-pipeline mcp``.

``sharing`` writes the file with what the person shares, the only one that an answer comes from;
``answers`` are the questions, as plain functions; ``asked_log`` keeps what was asked. Only
``server`` imports the protocol's SDK, which is an optional dependency.
"""

from __future__ import annotations

import importlib.util

MISSING = (
    "Serving a language model needs packages that are not installed. In the checkout: "
    "python -m pip install -e '.[mcp]'"
)


def is_installed() -> bool:
    """Whether the protocol's SDK is there; does not import it."""
    return importlib.util.find_spec("mcp") is not None
