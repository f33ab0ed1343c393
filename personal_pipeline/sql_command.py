"""``personal-pipeline sql``: a question to the tables, answered as a table or a file."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personal_pipeline.home import Home
from personal_pipeline.outputs.terminal import escape, grid_of
from personal_pipeline.settings import load_settings
from personal_pipeline.shown import counted, shown

CONSOLE = Console()
ERRORS = Console(stderr=True)


@click.command(short_help="Ask the tables with SQL.")
@click.argument("query")
@click.option("--limit", type=click.IntRange(1), default=100, show_default=True, help="Rows shown.")
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print all rows as JSON.")
@click.option(
    "--parquet",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all rows into a Parquet file.",
)
def sql(query: str, limit: int, as_csv: bool, as_json: bool, parquet: Path | None) -> None:
    """Answer a QUERY over the published tables; `-` reads it from standard input.

    Tables of marts need no schema: "select * from creator_daily". A query reads tables and nothing
    else.
    """
    from personal_pipeline.asking import Refused, asked, write_parquet

    if as_csv + as_json + bool(parquet) > 1:
        raise click.UsageError("Use one of --csv, --json and --parquet.")
    database = Home.of(load_settings().home).published
    text = sys.stdin.read() if query == "-" else query
    try:
        if parquet:
            CONSOLE.print(f"{counted(write_parquet(database, text, parquet), 'row')} in {parquet}")
            return
        with asked(database, text) as answer:
            if as_csv:
                writer = csv.writer(sys.stdout, lineterminator="\n")
                writer.writerow(answer.columns)
                writer.writerows(answer.rows)
            elif as_json:
                _print_json(dict(zip(answer.columns, row, strict=True)) for row in answer.rows)
            else:
                rows = list(islice(answer.rows, limit + 1))
                _print_table(answer.columns, answer.numeric, rows[:limit])
                if len(rows) > limit:
                    CONSOLE.print(f"The first {limit:,} rows; --limit shows more.", style="dim")
    except (Refused, FileNotFoundError) as problem:
        ERRORS.print(escape(str(problem)), soft_wrap=True)
        sys.exit(1)


def _print_json(rows: Iterable[dict[str, Any]]) -> None:
    """A list with a row per line, without all of them in memory."""
    click.echo("[", nl=False)
    for place, row in enumerate(rows):
        click.echo(",\n " if place else "", nl=False)
        click.echo(json.dumps(row, default=_plain, ensure_ascii=False), nl=False)
    click.echo("]")


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else str(value)


def _print_table(
    columns: tuple[str, ...], numeric: tuple[bool, ...], rows: list[tuple[Any, ...]]
) -> None:
    """A line per row, or, if the columns do not fit side by side, a block per row."""
    cells = [[_cell(value) for value in row] for row in rows]
    widths = [
        max(len(name), *(len(row[place]) for row in cells), 0) + 2
        for place, name in enumerate(columns)
    ]
    if sum(widths) <= CONSOLE.width:
        marks = (">" if right else "" for right in numeric)
        grid = grid_of(
            "", *(mark + escape(name) for mark, name in zip(marks, columns, strict=True))
        )
        for row in cells:
            grid.add_row(*map(Text, row))
    else:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for place, row in enumerate(cells):
            if place:
                grid.add_row("", "")
            for name, cell in zip(columns, row, strict=True):
                grid.add_row(escape(name), Text(cell))
    CONSOLE.print(grid)
    if not rows:
        CONSOLE.print("No rows.", style="dim")


def _cell(value: Any) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    return "" if value is None else shown(str(value))
