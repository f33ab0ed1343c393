"""What the terminal shows: tables of one style, and text by others made safe for rich: no markup,
and nothing else that a terminal interprets."""

from __future__ import annotations

from rich import markup
from rich.box import SIMPLE_HEAD
from rich.table import Table

from personal_pipeline.shown import shown, shown_lines


def escape(text: str) -> str:
    """For a place that is parsed as markup; the text may have several lines."""
    return markup.escape(shown_lines(text))


def escape_line(text: str) -> str:
    """The same for one line."""
    return markup.escape(shown(text))


def grid_of(title: str, *columns: str) -> Table:
    """An empty table; a column whose name begins with ``>`` is right-aligned."""
    grid = Table(
        title=title,
        title_justify="left",
        title_style="bold",
        header_style="dim",
        box=SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        padding=(0, 2, 0, 0),
    )
    for column in columns:
        grid.add_column(
            column.removeprefix(">"),
            justify="right" if column.startswith(">") else "left",
            overflow="fold",
        )
    return grid


def count_cell(number: int) -> str:
    """A count; nothing is dimmed."""
    return f"{number:,}" if number else "[dim]0[/]"
