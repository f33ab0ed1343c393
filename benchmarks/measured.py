"""Measurements as a table: seconds, time per piece, and the ratio to the first row (baseline)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

WIDTH = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """How long something took. ``pieces`` is the number of items processed in that time."""

    what: str
    seconds: float
    pieces: int = 1


def seconds_of(action: Callable[[], object]) -> float:
    """Seconds of wall clock that one call takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def fastest(what: str, action: Callable[[], object], *, rounds: int, pieces: int = 1) -> Measured:
    """The fastest of several calls, which other programs disturbed least."""
    return Measured(what, min(seconds_of(action) for _ in range(rounds)), pieces)


def show_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table that fits 80 columns."""
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    Console(width=80).print(table)


def show(title: str, rows: Sequence[Measured]) -> None:
    """Print the rows, with ratios to the first one."""
    in_pieces = any(row.pieces > 1 for row in rows)
    columns = ("seconds", "pieces", "ms a piece", "ratio") if in_pieces else ("seconds", "ratio")
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        pieces = (
            (f"{row.pieces:,}", f"{row.seconds / row.pieces * 1000:.2f}")
            if row.pieces > 1
            else ("", "")
        )
        table.add_row(
            row.what,
            f"{row.seconds:.2f}",
            *(pieces if in_pieces else ()),
            f"{row.seconds / rows[0].seconds:.3f}",
        )
    Console(width=WIDTH).print(table)
