"""The command that shows and writes what is handed to other programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from importlib.resources import files
from typing import TYPE_CHECKING

import click
from rich.console import Console

from personal_pipeline.home import write_atomically
from personal_pipeline.outputs.terminal import escape, grid_of
from personal_pipeline.settings import load_settings
from personal_pipeline.shown import counted
from personal_pipeline.troubles import sentence_of

if TYPE_CHECKING:
    from personal_pipeline.exports.declared import Export
    from personal_pipeline.house import House

CONSOLE = Console()


@click.command(short_help="Show or write what is handed to other programs.")
@click.argument("names", nargs=-1)
@click.option("--now", is_flag=True, help="Write the NAMES now, or all of them.")
@click.option("--example", help="Put an example into the home, for you to edit.")
@click.option("--json", "as_json", is_flag=True, help="Print them as JSON.")
def exports(names: tuple[str, ...], now: bool, example: str | None, as_json: bool) -> None:
    """Show the exports of your home: SQL files in its folder exports, whose rows are written as
    CSV, JSON, Parquet, notes or a calendar when their tables change, or on a schedule."""
    from personal_pipeline.house import House

    # exports read tables: no source is asked for anything
    house = House.of(load_settings(), ())
    if example:
        take_example(house, example)
    elif now:
        write_exports(house, names)
    elif names:
        raise click.UsageError("Say what to do with them: --now writes them.")
    else:
        show_exports(house, as_json=as_json)


def examples() -> dict[str, str]:
    """The SQL of each example by name."""
    folder = files("personal_pipeline.exports") / "examples"
    return {
        each.name.removesuffix(".sql"): each.read_text(encoding="utf-8")
        for each in sorted(folder.iterdir(), key=lambda each: each.name)
        if each.name.endswith(".sql")
    }


def show_exports(house: House, *, as_json: bool) -> None:
    """Print each export, how it is declared, and when it was last written."""
    from personal_pipeline.exports import handed_on
    from personal_pipeline.exports.declared import ExportFailed, declared_in, read_export

    found: dict[str, Export | str] = {}
    for path in declared_in(house.home):
        try:
            found[path.stem] = read_export(house.home, path)
        except ExportFailed as error:
            found[path.stem] = str(error)
    last = {each.export: each for each in handed_on(house.home)}
    if as_json:
        said = [
            {
                "export": name,
                "problem": export if isinstance(export, str) else None,
                "format": None if isinstance(export, str) else str(export.format),
                "folder": None if isinstance(export, str) else str(export.folder),
                "when": None if isinstance(export, str) else str(export.when),
                "last": asdict(last[name]) if name in last else None,
            }
            for name, export in found.items()
        ]
        click.echo(json.dumps(said, indent=1))
        return
    if not found:
        CONSOLE.print(
            "Nothing is handed to other programs. An export is an SQL file in the folder exports "
            f"of your home; take one of {', '.join(examples())} as a pattern:\n"
            "`personal-pipeline exports --example NAME`."
        )
        return
    grid = grid_of("Exports", "export", "format", "when", ">rows", "last written", "folder")
    for name, export in found.items():
        if isinstance(export, str):
            continue
        done = last.get(name)
        grid.add_row(
            name,
            str(export.format),
            str(export.when),
            f"{done.rows:,}" if done else "",
            done.at[:16].replace("T", " ") if done else "not yet",
            escape(str(export.folder)),
        )
    CONSOLE.print(grid)
    for export in found.values():
        if isinstance(export, str):
            CONSOLE.print(escape(export), style="red")


def write_exports(house: House, names: tuple[str, ...]) -> None:
    """Write the named exports now, or all."""
    from personal_pipeline.exports import bring
    from personal_pipeline.exports.declared import declared_in, read_export

    paths = [each for each in declared_in(house.home) if not names or each.stem in names]
    for missing in sorted(set(names) - {each.stem for each in paths}):
        raise click.ClickException(f"There is no exports/{missing}.sql in your home.")
    failed = False
    for path in paths:
        try:
            written = bring(house, read_export(house.home, path), again=True)
        except Exception as error:  # the others are written all the same
            CONSOLE.print(escape(sentence_of(error, house.home.root)), style="red")
            failed = True
            continue
        if written:
            rows = counted(int(written.details["rows"]), "row")
            CONSOLE.print(f"{path.stem}: {rows} into {escape(str(written.path))}", soft_wrap=True)
        else:
            CONSOLE.print("There are no tables yet: run `personal-pipeline refresh` first.")
            failed = True
    sys.exit(1 if failed else 0)


def take_example(house: House, name: str) -> None:
    """Copy an example into the home, for the person to edit."""
    known = examples()
    if name not in known:
        raise click.ClickException(f"The examples are {', '.join(known)}.")
    path = house.home.exports / f"{name}.sql"
    if path.exists():
        raise click.ClickException(f"{path} is there already.")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, known[name].encode())
    CONSOLE.print(
        f"{escape(str(path))}: edit its folder, then run `personal-pipeline exports --now {name}`.",
        soft_wrap=True,
    )
