"""Text of others for rich: neither markup nor anything else that a terminal obeys."""

from __future__ import annotations

from rich import markup

from personal_pipeline.shown import shown, shown_lines


def escape(text: str) -> str:
    """For a place that is read as markup; a text may have several lines."""
    return markup.escape(shown_lines(text))


def escape_line(text: str) -> str:
    """The same in one line."""
    return markup.escape(shown(text))
