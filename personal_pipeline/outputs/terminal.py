"""Makes text by others safe for rich: no markup, and nothing else that a terminal interprets."""

from __future__ import annotations

from rich import markup

from personal_pipeline.shown import shown, shown_lines


def escape(text: str) -> str:
    """For a place that is parsed as markup; the text may have several lines."""
    return markup.escape(shown_lines(text))


def escape_line(text: str) -> str:
    """The same for one line."""
    return markup.escape(shown(text))
