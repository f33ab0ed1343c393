"""The commands that read one's life back: ``day``, ``timeline``, ``on-this-day``, ``records`` and
``raw``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.life import events as life
from personal_pipeline.life.events import Event, Milestone
from personal_pipeline.life.sums import Sums, sums_of
from personal_pipeline.life.words import (
    amount_of,
    kind_of,
    measured,
    more_of,
    stretches_of,
    when_of,
)
from personal_pipeline.outputs.formats import long_day
from personal_pipeline.outputs.terminal import escape_line, grid_of
from personal_pipeline.settings import Settings, load_settings
from personal_pipeline.shown import shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from personal_pipeline.life.raw import RawRecord

CONSOLE = Console()

MAX_WORDS = 160
"""What is longer is cut in a list; ``--json`` and ``raw`` have all of it."""


def _as_day(_context: click.Context, _param: click.Parameter, value: str | None) -> date | None:
    """``2024-06-01``, ``today`` or ``yesterday`` in the zone of the home, as a date."""
    if value is None:
        return None
    if value in ("today", "yesterday"):
        return _today(load_settings()) - timedelta(days=value == "yesterday")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise click.BadParameter(
            f"{value!r}: expected a day such as 2024-06-01, today or yesterday"
        ) from None


AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print as JSON.")


def _today(settings: Settings) -> date:
    return datetime.now(ZoneInfo(settings.timezone)).date()


@contextmanager
def _tables(settings: Settings) -> Iterator[DuckDBPyConnection]:
    """The published tables; what cannot be found is said in a sentence."""
    try:
        with life.published(Home.of(settings.home).published) as tables:
            yield tables
    except (life.Unknown, life.Ambiguous) as problem:
        lines = str(problem).split("\n")
        raise click.ClickException("\n".join(shown(line) for line in lines)) from None


# ------------------------------------------------------------------------------------------- day


@click.command(short_help="Show a day from morning to night.")
@click.argument("day", callback=_as_day, default="yesterday")
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the day into this file, as a page.",
)
@AS_JSON
def day(day: date, html: Path | None, as_json: bool) -> None:
    """Show what happened on a DAY, such as 2024-06-01, today or yesterday (the default).

    Times are those that the clock on the wall showed. Each line ends with a handle: `raw HANDLE`
    shows the record behind it.
    """
    settings = load_settings()
    if html is not None:
        from personal_pipeline.house import House
        from personal_pipeline.life.page import day_page
        from personal_pipeline.sources import SOURCES

        house = House(settings, Home.of(settings.home), SOURCES)
        write_atomically(html.absolute(), day_page(house, day).encode())
        click.echo(html)
        return
    with _tables(settings) as tables:
        events = life.events_of(tables, [day])
        sums = sums_of(tables, day, events)
    if as_json:
        _print_json(
            {
                "day": day,
                "home_zone": settings.timezone,
                "events": [_told(event) for event in events],
                "sums": asdict(sums),
            }
        )
        return
    _print_days({day: events}, settings.timezone)
    if not events:
        CONSOLE.print("No event is known.")
    _print_sums(sums)


def _print_sums(sums: Sums) -> None:
    if told := sums.told():
        grid = Table.grid(padding=(0, 2))
        for each in told:
            grid.add_row(Text(each.name, style="dim"), Text(each.value))
        CONSOLE.print()
        CONSOLE.print(grid)


# -------------------------------------------------------------------------------------- timeline


@click.command(short_help="List what happened, newest last.")
@click.option("--from", "first", callback=_as_day, metavar="DAY", help="From this day on.")
@click.option("--to", "last", callback=_as_day, metavar="DAY", help="Up to this day.")
@click.option("--source", "sources", multiple=True, help="Only of this source. May be repeated.")
@click.option("--kind", "kinds", multiple=True, help="Only of this kind. May be repeated.")
@click.option("--grep", "words", default="", metavar="WORDS", help="Only what contains WORDS.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="The newest so many."
)
@AS_JSON
def timeline(
    first: date | None,
    last: date | None,
    sources: tuple[str, ...],
    kinds: tuple[str, ...],
    words: str,
    limit: int,
    as_json: bool,
) -> None:
    """List what happened, by day, newest last."""
    settings = load_settings()
    with _tables(settings) as tables:
        life.refuse_unknown(tables, "source", sources)
        life.refuse_unknown(tables, "kind", kinds)
        events, there_are = life.events_between(
            tables, first, last, sources=sources, kinds=kinds, words=words, most=limit
        )
    if as_json:
        _print_json([_told(event) for event in events])
        return
    if there_are > len(events):
        CONSOLE.print(
            f"The newest {len(events):,} of {there_are:,} events; --limit shows more.", style="dim"
        )
    days: dict[date, list[Event]] = {}
    for event in events:
        days.setdefault(event.local_day, []).append(event)
    _print_days(days, settings.timezone)
    if not events:
        CONSOLE.print("Nothing was found.")


@click.command("on-this-day", short_help="Show the same day of other years.")
@click.option(
    "--date", "day", callback=_as_day, default="today", metavar="DAY", help="Default: today."
)
@AS_JSON
def on_this_day(day: date, as_json: bool) -> None:
    """Show what happened on the same day of other years, the most recent year first.

    A 29 February is 28 February in years without one.
    """
    settings = load_settings()
    with _tables(settings) as tables:
        days = life.on_this_day(tables, day)
    if as_json:
        _print_json({f"{each}": [_told(event) for event in days[each]] for each in days})
        return
    _print_days(days, settings.timezone)
    if not days:
        CONSOLE.print(f"Nothing is known of this day in other years: {long_day(day)}.")


# --------------------------------------------------------------------------------------- records


@click.command(short_help="List firsts, longests and highests.")
@click.option("--kind", help="Only of this kind.")
@AS_JSON
def records(kind: str | None, as_json: bool) -> None:
    """List the first event of each kind, and the longest, fastest and highest that stand."""
    with _tables(load_settings()) as tables:
        if kind is not None:
            life.refuse_unknown(tables, "kind", [kind])
        lists = {"Firsts": life.firsts(tables), "Records": life.records(tables)}
    if kind is not None:
        lists = {
            name: [each for each in found if each.kind == kind] for name, found in lists.items()
        }
    if as_json:
        _print_json({name.lower(): list(map(asdict, found)) for name, found in lists.items()})
        return
    for name, found in lists.items():
        if found:
            _print_milestones(name, found)
    if not any(lists.values()):
        CONSOLE.print("There are none yet.")


def _print_milestones(heading: str, found: Sequence[Milestone]) -> None:
    grid = grid_of(heading, "", ">", "day", "", "raw")
    for each in found:
        value = "" if each.value is None else measured(each.value, each.unit)
        grid.add_row(
            escape_line(each.name),
            escape_line(value),
            f"{each.local_day}",
            Text(shown(each.title, MAX_WORDS)),
            Text(each.handle, style="cyan"),
        )
    CONSOLE.print(grid)


# ------------------------------------------------------------------------------------------- raw


@click.command(short_help="Show the raw record behind an entry.")
@click.argument("ref")
@AS_JSON
def raw(ref: str, as_json: bool) -> None:
    """Show the record of the lake behind REF: where it lies, when it was captured, and the original
    that it came from.

    REF is the handle in a list, the id of an event, or a reference: lake file and key.
    """
    from personal_pipeline.life.raw import NoRecord, is_reference, raw_records
    from personal_pipeline.sources import SOURCES

    settings = load_settings()
    home = Home.of(settings.home)
    references = [ref]
    if not is_reference(ref):
        with _tables(settings) as tables:
            event = life.found(tables, ref)
            references = life.references_of(tables, event)
        if not references:
            raise click.ClickException(
                f"{shown(event.title)} ({event.local_day}) has no record of its own: it sums up "
                f"several of {event.source}, or follows from them."
            )
    try:
        found = raw_records(home, SOURCES, references)
    except NoRecord as problem:
        raise click.ClickException(shown(str(problem))) from None
    each_once = [each for records in found.values() for each in records]
    if as_json:
        _print_json([asdict(each) for each in each_once])
        return
    for place, each in enumerate(each_once):
        if place:
            click.echo()
        _print_raw(home, each)


def _print_raw(home: Home, found: RawRecord) -> None:
    from personal_pipeline.life.raw import facts_of, pretty

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts_of(home, found):
        grid.add_row(name, Text(shown(value)))
    CONSOLE.print(grid)
    # neither wrapped nor cut: it is the record
    click.echo(pretty(found))


# ---------------------------------------------------------------------------------------- lists


def _print_days(days: Mapping[date, Sequence[Event]], home_zone: str) -> None:
    """Days under their headings, aligned with each other."""
    everything = [event for events in days.values() for event in events]
    times = max((len(line) for event in everything for line in when_of(event)), default=0)
    amounts = max((len(amount_of(event)) for event in everything), default=0)
    for place, (day, events) in enumerate(days.items()):
        if place:
            CONSOLE.print()
        CONSOLE.print(Text(long_day(day), style="bold"))
        for heading, together in stretches_of(events, home_zone):
            if heading:
                CONSOLE.print(Text(heading, style="italic"))
            CONSOLE.print(_grid(together, times, amounts))


def _grid(events: Iterable[Event], times: int, amounts: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0), expand=True)
    grid.add_column(width=times, no_wrap=True)
    grid.add_column(width=11, style="dim")
    grid.add_column(ratio=1, overflow="fold")
    grid.add_column(width=amounts, justify="right", no_wrap=True)
    grid.add_column(width=life.HANDLE_LENGTH, style="cyan", no_wrap=True)
    for event in events:
        what = Text(shown(event.title, MAX_WORDS))
        if more := more_of(event):
            what.append(f"\n{shown(more, MAX_WORDS)}", style="dim")
        grid.add_row(
            Text("\n".join(when_of(event))),
            Text(shown(kind_of(event))),
            what,
            Text(amount_of(event)),
            event.handle,
        )
    return grid


def _told(event: Event) -> dict[str, Any]:
    told = asdict(event)
    # of what it is made is nobody's matter
    del told["digest"]
    return {**told, "handle": event.handle}


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, default=_plain, indent=1))


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    return value.isoformat() if isinstance(value, date) else str(value)
