"""``personal-pipeline mcp``: serve a language model what the person shares with it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict

import click

from personal_pipeline.assistant import MISSING, is_installed
from personal_pipeline.home import Home
from personal_pipeline.settings import Settings, load_settings
from personal_pipeline.shown import shown


@click.command(short_help="Answer a language model from the tables that you share.")
@click.option("--log", is_flag=True, help="Print what was asked, and end.")
@click.option("--json", "as_json", is_flag=True, help="With --log: print it as JSON.")
def mcp(log: bool, as_json: bool) -> None:
    """Answer a program that speaks the Model Context Protocol on standard input and output.

    It starts this command itself (docs/mcp.md). It gets the tables of the areas in
    PERSONAL_PIPELINE_MODELS and nothing else; without any, nothing is served.
    """
    settings = load_settings()
    home = Home.of(settings.home)
    home.version()
    if log:
        _print_log(home, as_json=as_json)
    elif as_json:
        raise click.UsageError("--json belongs to --log: what is served has a form of its own")
    else:
        _serve(settings, home)


def _serve(settings: Settings, home: Home) -> None:
    from personal_pipeline.assistant.sharing import (
        NothingShared,
        Shared,
        delete_shared,
        shared_tables,
    )

    if not is_installed():
        raise click.ClickException(MISSING)
    try:
        shared = Shared.of(settings)
    except NothingShared as nothing:
        if not settings.models:
            delete_shared(home)
        raise click.ClickException(str(nothing)) from None
    with shared_tables(home, shared):
        pass
    from personal_pipeline.assistant.answers import Reader
    from personal_pipeline.assistant.server import server_of

    with suppress(KeyboardInterrupt):
        server_of(Reader(settings, home, shared)).run()


def _print_log(home: Home, *, as_json: bool) -> None:
    from personal_pipeline.assistant.asked_log import noted

    asked = list(noted(home))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in asked], indent=1, ensure_ascii=False))
        return
    for each in asked:
        rows = "refused" if each.rows is None else f"rows: {each.rows}"
        given = json.dumps(each.arguments, ensure_ascii=False)
        click.echo(f"{each.at}  {shown(each.tool)}  {rows}  {shown(given)}")
    if not asked:
        click.echo("Nothing was asked.")
