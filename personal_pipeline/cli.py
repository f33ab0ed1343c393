"""The command line: ``personal-pipeline``.

Exit codes: 0 all is well; 1 something is late, failing or went wrong, and the output says what; 2
the command was not understood. Heavy modules are imported by the commands that need them, so that
``--help`` is instant.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError
from rich.console import Console
from rich.padding import Padding
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from personal_pipeline import life_commands, report_commands
from personal_pipeline.credentials import NoKeyring
from personal_pipeline.doors.door import Door, beside, open_in_browser
from personal_pipeline.export_commands import exports
from personal_pipeline.home import Busy, Home, NewerHome, keep_private
from personal_pipeline.ingest.lake import DamagedPartition
from personal_pipeline.mcp_command import mcp
from personal_pipeline.outputs.terminal import count_cell, escape, grid_of
from personal_pipeline.search_command import search
from personal_pipeline.settings import INVENTED_HOME, OpenToOthers, Settings, load_settings
from personal_pipeline.shown import counted
from personal_pipeline.site import MISSING, is_installed
from personal_pipeline.site_command import site
from personal_pipeline.sql_command import sql
from personal_pipeline.troubles import disk_trouble, sentence_of

if TYPE_CHECKING:
    from personal_pipeline.house import House
    from personal_pipeline.ingest.again import ReadAgain
    from personal_pipeline.ingest.contract import Progress as Told
    from personal_pipeline.ingest.contract import Source
    from personal_pipeline.passes import PassResult
    from personal_pipeline.refresh import Rebuilt
    from personal_pipeline.warehouse.build import BuiltTable

CONSOLE = Console()
ERRORS = Console(stderr=True)
DAY = click.DateTime(["%Y-%m-%d"])
A_DAY = "YYYY-MM-DD"


class Group(click.Group):
    """Prints errors that a person can act on as one sentence, and exits with code 1."""

    def invoke(self, context: click.Context) -> Any:
        for stream in (sys.stdout, sys.stderr):
            # a file name need not be valid text, and must not crash a command
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(context)
        except ValidationError as error:
            for problem in error.errors(include_input=False, include_url=False):
                name = ".".join(str(part) for part in problem["loc"])
                ERRORS.print(f"[red]{name}[/]: {escape(problem['msg'])}")
            ERRORS.print("Correct it in the environment or in .env; see .env.example.")
            sys.exit(1)
        except (
            Busy, FileNotFoundError, DamagedPartition, NewerHome, NoKeyring, OpenToOthers,
        ) as error:  # fmt: skip
            ERRORS.print(f"[red]{escape(str(error))}[/]", soft_wrap=True)
            sys.exit(1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            ERRORS.print(f"[red]{escape(_last_word(error))}[/]", soft_wrap=True)
            sys.exit(1)


def _last_word(error: Exception) -> str:
    """One sentence for a full disk. For a defect, its traceback locations without its text, which
    may contain data that was read."""
    if trouble := disk_trouble(error, _home_of_settings()):
        return trouble
    frames = traceback.extract_tb(error.__traceback__)
    places = "".join(f"{each.filename}, line {each.lineno}, in {each.name}\n" for each in frames)
    return f"{places}{sentence_of(error)}"


def _home_of_settings() -> Path | None:
    try:
        return Home.of(load_settings().home).root
    except (ValidationError, OSError):
        return None


@click.group(cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="personal-pipeline")
def main() -> None:
    """Brings one person's data home: fetches it, keeps it, builds tables, and reports.

    Data is kept under PERSONAL_PIPELINE_HOME (default: data/ in the current folder). Settings come
    from the environment or from .env in the current folder.
    """
    keep_private()


def _house(settings: Settings) -> House:
    from personal_pipeline.house import House
    from personal_pipeline.sources import SOURCES

    return House.of(settings, SOURCES)


def _wake_invented() -> None:
    """Have the services of an invented home answer until the command ends."""
    home = Home.of(load_settings().home)
    if (home.root / INVENTED_HOME).exists():
        from personal_pipeline.demo.run import alive

        click.get_current_context().with_resource(alive(home))


def _open(house: House) -> None:
    """Upgrade a home of an earlier version."""
    from personal_pipeline.ingest.opening import opened

    _say(opened(house.home, house.sources))


def _say(sentences: Iterable[str]) -> None:
    for sentence in sentences:
        ERRORS.print(escape(sentence), soft_wrap=True)


def _source_named(house: House, name: str) -> Source:
    found = next((source for source in house.sources if source.name == name), None)
    if found is None:
        names = ", ".join(source.name for source in house.sources)
        raise click.UsageError(f"no source is called {name}; choose one of {names}")
    return found


# ------------------------------------------------------------------------------------ refresh


@main.command()
@click.option("--source", "only", help="Fetch only this source; skip the inbox.")
@click.option("--since", type=DAY, metavar=A_DAY, help="Fetch missing days from this day on.")
@click.option("--retry", is_flag=True, help="Also retry tables that failed twice and are on hold.")
@click.option(
    "--accept",
    metavar="SOURCE",
    help="Accept what was set aside for this source because it would remove most rows.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def refresh(
    only: str | None, since: datetime | None, retry: bool, accept: str | None, as_json: bool
) -> None:
    """Fetch what is due, ingest the inbox, and rebuild what changed. Needs no daemon."""
    from personal_pipeline import refresh as passes
    from personal_pipeline.ingest.doubtful import bring_back

    _wake_invented()
    house = _house(load_settings())
    chosen = None
    if accept is not None:
        _source_named(house, accept)
        bring_back(house.home.ensure(), accept)
    if only is not None:
        chosen = [_source_named(house, only)]
        if reason := house.why_not_fetched(chosen[0]):
            ERRORS.print(escape(reason), soft_wrap=True)
            sys.exit(1)
    with _progress(shown=not as_json) as progress:
        passed = passes.refresh(
            house,
            only=chosen,
            retry=retry,
            beginning=since.date() if since else None,
            accept=accept,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(_passed_json(passed), indent=1))
    else:
        _print_passed(passed)
    empty = any(receipt.gave_nothing for receipt in passed.ingested.receipts)
    sys.exit(1 if passed.failures or empty else 0)


class Rate(ProgressColumn):
    """Units per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "")


@contextmanager
def _progress(*, shown: bool) -> Iterator[Told]:
    """Progress bars on a terminal; yields the function that updates them."""
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=16),
        MofNCompleteColumn(),
        Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=ERRORS,
        transient=True,
        disable=not (shown and ERRORS.is_terminal),
    )
    tasks: dict[str, TaskID] = {}

    def advance(stream: str, done: int, total: int) -> None:
        if stream not in tasks:
            tasks[stream] = bars.add_task(escape(stream), total=total or None)
        bars.update(tasks[stream], completed=done, total=total or None)

    with bars:
        yield advance


def _passed_json(passed: PassResult) -> dict[str, Any]:
    return {
        "fetched": [
            {
                "source": each.source,
                "stream": each.stream,
                "records": each.records,
                "unreadable": each.unreadable,
                "partitions_changed": len(each.changed),
                "failure": str(each.failure) if each.failure else None,
            }
            for fetched in passed.fetched
            for each in fetched.results
        ],
        "ingested": [asdict(receipt) for receipt in passed.ingested.receipts],
        "waiting": passed.ingested.waits,
        "reread": _reread_json(passed.restored.read),
        "built": _built_json(passed.work.built),
        "dbt_calls": passed.work.dbt_calls,
        "report": _report_path(passed),
        "notes": passed.all_notes,
        "failures": passed.failures,
    }


def _reread_json(read: Iterable[ReadAgain]) -> list[dict[str, Any]]:
    return [
        {
            "source": each.source,
            "drop": each.drop,
            "why": each.why,
            "files": each.files,
            "changed": {
                stream: [day.isoformat() for day in partitions]
                for stream, partitions in each.changed.items()
            },
            "problems": list(each.problems),
        }
        for each in read
    ]


def _built_json(built: Iterable[BuiltTable]) -> list[dict[str, Any]]:
    return [
        {
            "table": each.name,
            "partitions": each.partitions,
            "changed": each.changed,
            "rows": each.rows,
            "reasons": sorted(each.reasons),
            "failure": each.failure,
        }
        for each in built
    ]


def _print_reread(read: Sequence[ReadAgain]) -> None:
    if not read:
        return
    grid = grid_of("Re-read from the archive", "source", "kind", ">files", ">months changed", "why")
    for each in read:
        changed = sum(map(len, each.changed.values()))
        grid.add_row(each.source, each.drop, f"{each.files:,}", count_cell(changed), each.why)
    CONSOLE.print(grid)


def _print_passed(passed: PassResult, *, in_short: bool = False) -> None:
    """What a pass did: a line per source, file and table that brought something, or ``in_short`` a
    line per step."""
    for line in _fetched_lines(passed):
        CONSOLE.print(line, soft_wrap=True)
    receipts = passed.ingested.receipts
    if receipts and in_short:
        aside = sum(each.problem is not None for each in receipts)
        kinds = len({(each.source, each.drop) for each in receipts if each.drop})
        apart = f", {counted(aside, 'file')} set aside" if aside else ""
        CONSOLE.print(
            f"Ingested {counted(len(receipts), 'file')} of {counted(kinds, 'kind')}{apart}."
        )
    elif receipts:
        from personal_pipeline.outputs.receipts import receipts_table

        CONSOLE.print(receipts_table(receipts))
    _print_reread(passed.restored.read)
    for left in passed.ingested.waits:
        CONSOLE.print(f"[yellow]{escape(left)}[/]", soft_wrap=True)
    _print_built(passed.work.built, in_short=in_short)
    _print_report(passed)
    for note in passed.all_notes:
        CONSOLE.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    for failure in passed.failures:
        CONSOLE.print(f"[red]Failed[/]: {escape(failure)}", soft_wrap=True)


def _fetched_lines(passed: PassResult) -> Iterator[str]:
    """One line for all sources that brought records, one for the others, and the notes."""
    brought, quiet = [], []
    for fetched in passed.fetched:
        records = sum(result.records for result in fetched.results)
        unreadable = sum(result.unreadable for result in fetched.results)
        if records or unreadable:
            lost = f" ([yellow]{unreadable:,} unreadable[/])" if unreadable else ""
            brought.append(f"{fetched.source.title} {counted(records, 'record')}{lost}")
        elif not (fetched.failures or fetched.needs_a_person):
            quiet.append(fetched.source.title)
    if brought:
        yield f"Fetched: {', '.join(brought)}."
    if quiet:
        yield f"Nothing new from {', '.join(quiet)}."
    for fetched in passed.fetched:
        for result in fetched.results:
            for said in result.notes:
                yield f"{fetched.source.title}, {result.stream}: {escape(said)}"


MAX_TABLES_SHOWN = 12


def _print_built(built: Sequence[BuiltTable], *, in_short: bool) -> None:
    good = [each for each in built if not each.failure]
    if not built:
        CONSOLE.print("Nothing to rebuild: no input changed.")
    elif in_short or len(built) > MAX_TABLES_SHOWN:
        partitions = sum(each.partitions for each in good)
        changed = sum(each.changed for each in good)
        CONSOLE.print(
            f"Built {counted(len(good), 'table')}, {counted(partitions, 'partition')}: "
            f"{changed:,} with new content."
        )
    else:
        grid = grid_of("Built", "table", ">partitions", ">changed", ">rows", "why")
        for each in good:
            why = ", ".join(sorted(each.reasons))
            grid.add_row(
                each.name, f"{each.partitions:,}", count_cell(each.changed), f"{each.rows:,}", why
            )
        CONSOLE.print(grid)


def _print_report(passed: PassResult) -> None:
    if path := _report_path(passed):
        CONSOLE.print(f"Report: {escape(path)}", soft_wrap=True)


def _report_path(passed: PassResult) -> str | None:
    """The report of the day, if it was written."""
    written = passed.outputs.written.get("daily_report")
    return str(written.path) if written else None


# ------------------------------------------------------------------------------------ rebuild


@main.command(short_help="Rebuild the lake and the tables from the archive.")
@click.option(
    "--source", "only", help=("Only the files of this source, and the tables that depend on it.")
)
@click.option("--json", "as_json", is_flag=True, help="Print what was done as JSON.")
def rebuild(only: str | None, as_json: bool) -> None:
    """Rebuild the lake of dropped files from the archive, and all tables from the lake.

    Fetched data is kept: its lake is the original. The result should be identical; differences are
    shown. Readers keep the published tables until the new ones are complete.
    """
    from personal_pipeline import refresh as passes

    house = _house(load_settings())
    source = _source_named(house, only) if only is not None else None
    with _progress(shown=not as_json) as progress:
        rebuilt = passes.rebuild(house, only=source, progress=progress)
    passed = rebuilt.passed
    _say(passed.all_notes)
    if as_json:
        done = {
            "reread": _reread_json(passed.restored.read),
            "built": _built_json(passed.work.built),
            "differs": rebuilt.differs,
            "report": _report_path(passed),
            "failures": passed.failures,
        }
        click.echo(json.dumps(done, indent=1))
    else:
        _print_rebuilt(rebuilt)
    sys.exit(1 if passed.failures else 0)


def _print_rebuilt(rebuilt: Rebuilt) -> None:
    passed = rebuilt.passed
    _print_reread(passed.restored.read)
    partitions = sum(each.partitions for each in passed.work.built)
    CONSOLE.print(
        f"Built: {counted(len(passed.work.built), 'table')}, {counted(partitions, 'partition')}."
    )
    if rebuilt.differs is None:
        CONSOLE.print("There were no earlier tables to compare with.")
    elif rebuilt.differs:
        grid = grid_of("Different from before", "table", ">partitions")
        for table, count in rebuilt.differs.items():
            grid.add_row(table, f"{count:,}")
        CONSOLE.print(grid)
    else:
        CONSOLE.print("All tables are identical to before.")
    _print_report(passed)
    for failure in passed.failures:
        CONSOLE.print(f"[red]Failed[/]: {escape(failure)}", soft_wrap=True)


# ---------------------------------------------------------------------------------------- add


@main.command(short_help="Ingest files and folders now.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--explain",
    is_flag=True,
    help=("Ingest nothing: show which sources claim each file, and how confidently."),
)
@click.option("--json", "as_json", is_flag=True, help="Print the receipts as JSON.")
def add(files: tuple[Path, ...], explain: bool, as_json: bool) -> None:
    """Copy FILES into the inbox and ingest them now. The originals stay where they are.

    In a folder, every file is ingested, or the folder as a whole if it is one unpacked export.
    """
    from personal_pipeline import refresh as passes
    from personal_pipeline.ingest import adding
    from personal_pipeline.outputs.receipts import explanation, receipts_table

    house = _house(load_settings())
    _open(house)
    if not adding.count(files):
        raise click.UsageError("these folders contain no files")
    if explain:
        found = []
        for each in adding.explained(house.home, house.sources, files):
            found.append(each)
            if not as_json:
                CONSOLE.print(explanation(each), soft_wrap=each.unknown is not None)
        if as_json:
            click.echo(json.dumps([asdict(each) for each in found], indent=1))
        sys.exit(0 if all(each.opinions for each in found) else 1)
    with (
        adding.brought(house.home, house.sources, files) as late,
        _progress(shown=not as_json) as progress,
    ):
        ingested = passes.ingest_inbox(house, progress=progress)
    left = [*map(str, late), *ingested.waits]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in ingested.receipts], indent=1))
    else:
        CONSOLE.print(receipts_table(ingested.receipts))
        if any(not each.ingested for each in ingested.receipts):
            CONSOLE.print("`personal-pipeline add --explain FILE` shows what a file seems to be.")
        if any(s.new or s.altered or s.vanished for r in ingested.receipts for s in r.streams):
            CONSOLE.print(
                "Run `personal-pipeline refresh` to rebuild what changed, unless `up` is running."
            )
    for note in ingested.notes:
        ERRORS.print(f"[yellow]{escape(note)}[/]", soft_wrap=True)
    for failure in [*ingested.failures, *left]:
        ERRORS.print(f"[red]{escape(failure)}[/]", soft_wrap=True)
    problems = any(receipt.gave_nothing for receipt in ingested.receipts)
    sys.exit(1 if ingested.failures or problems or left else 0)


# ------------------------------------------------------------------------------------ connect


@main.command(short_help="Store the credential of a source.")
@click.argument("name", metavar="SOURCE")
@click.option(
    "--env", "in_env", is_flag=True, help="Store it in .env in this folder instead of the keyring."
)
@click.option("--forget", is_flag=True, help="Remove it from the keyring.")
def connect(name: str, in_env: bool, forget: bool) -> None:
    """Ask for the credentials of SOURCE without echoing them, and store them in the keyring.

    Without a keyring, it offers .env and makes that readable only by you. The credential is tried
    once with the service, and not stored if the service refuses it.
    """
    from personal_pipeline import connecting
    from personal_pipeline.sources import SOURCES

    settings = load_settings()
    by_name = {source.name: source for source in SOURCES if source.credentials}
    source = by_name.get(name)
    if source is None:
        raise click.UsageError(
            f"{name} is not a source with a credential; choose one of {', '.join(by_name)}"
        )
    if forget:
        for line in connecting.forgotten(settings, source):
            CONSOLE.print(escape(line), soft_wrap=True)
        return
    CONSOLE.print(escape(source.connect), soft_wrap=True)
    needed = [each for each in source.settings if each.is_needed]
    given = {each.name: connecting.asked_for(each) for each in needed}
    try:
        accepted = connecting.tried(settings, source, given)
    except connecting.Refused as refusal:
        ERRORS.print(f"[red]{escape(str(refusal))}[/]", soft_wrap=True)
        sys.exit(1)
    CONSOLE.print(escape(accepted), soft_wrap=True)
    for line in connecting.stored(settings, given, in_env=in_env):
        CONSOLE.print(escape(line), soft_wrap=True)


# --------------------------------------------------------------------- sources, status, report


@main.command(short_help="List the sources and how to connect them.")
@click.argument("words", metavar="[rest|wake] [SOURCE]", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def sources(words: tuple[str, ...], as_json: bool) -> None:
    """List all sources, those in use first. With SOURCE: how to connect it or make its export.

    `sources rest SOURCE` says that a source has ended: its data stays, nothing is fetched from it,
    and nobody is reminded. `sources wake SOURCE` takes that back.
    """
    from personal_pipeline.board import board_of, has_part
    from personal_pipeline.freshness import worst

    house = _house(load_settings())
    if words[:1] in (("rest",), ("wake",)):
        _put_to_rest(house, *words)
        return
    if len(words) > 1:
        raise click.UsageError(f"one source at a time, or `rest` or `wake` before it: {words[1]}")
    name = next(iter(words), None)
    board = board_of(house)
    chosen = [_source_named(house, name)] if name else house.sources
    rows = []
    for source in chosen:
        routes = [
            ("api", [stream.name for stream in source.api], source.connect),
            *(("drop", [s.name for s in drop.streams], drop.how_to) for drop in source.drops),
        ]
        for route, streams, how in routes:
            mine = [s for s in board if s.source == source.name and s.stream in streams]
            if mine:
                used = any(map(has_part, mine))
                state = worst(each.state for each in mine if has_part(each) or not used)
                rows.append((source, route, streams, state, used, how))
    rows.sort(key=lambda row: not row[4])
    if as_json:
        click.echo(
            json.dumps(
                [
                    {
                        "source": source.name,
                        "route": route,
                        "streams": streams,
                        "state": state,
                        "in_use": used,
                        "how": how,
                        "docs": f"docs/sources/{source.name}.md",
                    }
                    for source, route, streams, state, used, how in rows
                ],
                indent=1,
            )
        )
        return
    if name:
        for source, route, streams, state, _, how in rows:
            CONSOLE.print(f"[bold]{source.title}[/], {_ROUTES[route]}: {_state(state)}")
            CONSOLE.print(Padding(f"[dim]{', '.join(streams)}[/]\n{escape(how)}\n", (0, 0, 0, 2)))
        CONSOLE.print(f"Details: docs/sources/{name}.md")
        return
    grid = grid_of("", "source", "how it comes", "state")
    for used in (True, False):
        some = [row for row in rows if row[4] is used]
        if some and not used and len(some) < len(rows):
            grid.add_section()
        for source, route, streams, state, _, _ in some:
            of = len([row for row in rows if row[0] is source and row[1] == route]) > 1
            what = f"{_ROUTES[route]}: {streams[0].replace('_', ' ')}" if of else _ROUTES[route]
            grid.add_row(f"{source.title} [dim]({source.name})[/]", what, _state(state))
    CONSOLE.print(grid)
    CONSOLE.print("`personal-pipeline sources NAME` shows how to connect or export.")


def _put_to_rest(house: House, word: str, *names: str) -> None:
    if len(names) != 1:
        raise click.UsageError(f"name one source: `personal-pipeline sources {word} SOURCE`")
    source = _source_named(house, names[0])
    home = house.home.ensure()
    before = home.resting()
    home.put_to_rest(before | {source.name} if word == "rest" else before - {source.name})
    if word == "rest":
        CONSOLE.print(
            f"{source.title} is at rest: its data stays, and nothing is expected from it."
        )
    else:
        CONSOLE.print(f"{source.title} is awake: it is fetched and expected as before.")


_ROUTES = {"api": "fetched daily", "drop": "dropped by hand"}


def _state(state: Any) -> str:
    colour = {
        "fresh": "green",
        "due": "yellow",
        "late": "red",
        "failing": "red",
        "action required": "red",
    }
    return f"[{colour.get(str(state), 'dim')}]{state}[/]"


@main.command(short_help="Show what is fresh, and what to do.")
@click.argument("name", metavar="[SOURCE]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
@click.option(
    "--notify", "tell", is_flag=True, help="Send new alerts; print only what could not be sent."
)
def status(name: str | None, as_json: bool, tell: bool) -> None:
    """Show what there is to do, and how fresh each source is. With SOURCE: each of its streams.

    Exit code 1 if anything is late, failing, or needs you. Works with or without the daemon.
    --notify, meant for cron, sends the alerts that a running daemon would send (docs/alerts.md).
    """
    from personal_pipeline.board import board_of
    from personal_pipeline.checks import troubles_of
    from personal_pipeline.freshness import State
    from personal_pipeline.outputs.board import board_in_short, board_with_advice

    house = _house(load_settings())
    chosen = _source_named(house, name) if name else None
    if tell:
        from personal_pipeline.refresh import tell_what_is_new

        for line in tell_what_is_new(house):
            click.echo(line)
    board = [each for each in board_of(house) if not chosen or each.source == chosen.name]
    if as_json:
        click.echo(json.dumps([asdict(each) for each in board], default=_iso, indent=1))
    elif tell:
        pass  # cron mails only what could not be sent otherwise
    else:
        CONSOLE.print(board_with_advice(board) if chosen else board_in_short(board))
    troubles = troubles_of(house.home)
    for trouble in troubles:
        ERRORS.print(f"[red]{escape(trouble)}[/]", soft_wrap=True)
    unwell = (State.LATE, State.FAILING, State.ACTION_REQUIRED)
    sys.exit(1 if troubles or any(each.state in unwell for each in board) else 0)


def _iso(value: Any) -> str:
    return str(value.isoformat())


@main.command(short_help="Restore what was replaced in the lake.")
@click.argument("source")
@click.option(
    "--before",
    "day",
    type=DAY,
    metavar=A_DAY,
    required=True,
    help="Restore the lake as it was at the beginning of this day, UTC.",
)
@click.option("--dry-run", is_flag=True, help="Only show what would be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def restore(source: str, day: datetime, dry_run: bool, as_json: bool) -> None:
    """Restore the days and months of SOURCE that newer answers or files replaced.

    The current versions are kept in the archive. A restored day of a fetched source is not replaced
    again until `refresh --accept SOURCE`.
    """
    from personal_pipeline.ingest.restoring import held_before
    from personal_pipeline.ingest.restoring import restore as bring

    house = _house(load_settings())
    chosen = _source_named(house, source)
    moment = day.replace(tzinfo=UTC)
    found = (held_before if dry_run else bring)(house.home.ensure(), chosen, moment)
    if as_json:
        listed = [{"stream": e.stream, "partition": e.partition, "until": e.until} for e in found]
        click.echo(json.dumps(listed, default=_iso, indent=1))
        return
    grid = grid_of(
        "Would be restored" if dry_run else "Restored", "stream", "partition", ("replaced at")
    )
    for each in found:
        grid.add_row(each.stream, f"{each.partition}", f"{each.until:%Y-%m-%d %H:%M} UTC")
    CONSOLE.print(
        grid if found else (f"Nothing of {chosen.title} has been replaced since {day.date()}.")
    )
    if found and not dry_run:
        CONSOLE.print("Run `personal-pipeline refresh` to rebuild what changed.")


main.add_command(report_commands.report)
main.add_command(report_commands.rewind)
main.add_command(exports)
main.add_command(life_commands.day)
main.add_command(life_commands.timeline)
main.add_command(life_commands.on_this_day)
main.add_command(life_commands.records)
main.add_command(life_commands.raw)


# ----------------------------------------------------------------------------------------- up


@main.command(short_help="Start the lineage UI, the site and the daemon.")
@click.option("--port", type=int, help="Port of the UI (default: PERSONAL_PIPELINE_PORT or 3000).")
@click.option("--open", "show", is_flag=True, help="Open the UI in the browser.")
def up(port: int | None, show: bool) -> None:
    """Start the lineage UI, the site and the daemon: schedules, sensors, automation. Ctrl-C stops
    them.

    The printed addresses admit one browser; `open` prints that of the UI again, `site` the other.
    """
    from personal_pipeline import serve

    _wake_invented()
    settings = load_settings()
    house = _house(settings)
    _open(house)
    never = [
        source.title
        for source in house.sources
        if house.connected(source) and not any((house.home.lake / source.name).glob("*/*=*"))
    ]
    if never:
        CONSOLE.print(
            f"Nothing has been fetched yet from {', '.join(never)}. `personal-pipeline refresh` "
            "fetches the whole history now; otherwise the next morning run does.",
        )

    def tell(door: Door) -> None:
        click.echo("How to keep this running, also after a restart: docs/at-boot.md")
        click.echo(f"The report: {house.home.latest_report}")
        click.echo(f"The site: {beside(door).opening()}" if is_installed() else MISSING)
        click.echo(f"The graph (Ctrl-C ends it): {door.opening()}")
        if show:
            open_in_browser(house.home, door)

    try:
        sys.exit(serve.serve(house, port or settings.port, tell))
    except serve.Ended as error:
        ERRORS.print(f"[red]{escape(str(error))}[/]")
        sys.exit(1)


@main.command("open", short_help="Open the lineage UI in the browser.")
@click.option("--json", "as_json", is_flag=True, help="Print the address as JSON; open nothing.")
def open_(as_json: bool) -> None:
    """Open the UI of a running `up` in the browser, and print its address.

    The address contains the token that admits a browser: keep it to yourself.
    """
    from personal_pipeline import serve

    home = Home.of(load_settings().home)
    door = serve.door_of_running(home)
    if door is None:
        ERRORS.print("The UI of this home is not running: `personal-pipeline up` starts it.")
        sys.exit(1)
    if as_json:
        shown = {"address": door.opening(), "without_token": door.address(), "port": door.port}
        click.echo(json.dumps(shown, indent=1))
        return
    click.echo(door.opening())
    open_in_browser(home, door)


# --------------------------------------------------------------------------------------- demo


@main.command(short_help="Try it with generated data.")
@click.option(
    "--years",
    type=click.IntRange(1, 10),
    default=2,
    show_default=True,
    help="How many years of data to generate, up to today.",
)
@click.option(
    "--seed",
    type=int,
    default=11,
    show_default=True,
    help="The same seed generates the same data.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="The home folder of the demo; your own data is never touched.",
)
@click.option(
    "--late",
    is_flag=True,
    help="Leave out two exports, and let one service stop answering, to see what is said of it.",
)
def demo(years: int, seed: int, folder: Path, late: bool) -> None:
    """Generate years of a writer's data, and run the whole graph over them as over real data.

    The life goes on: `refresh` and `up` over the demo's folder bring what happened until yesterday.
    """
    from personal_pipeline import refresh as passes
    from personal_pipeline.demo import run

    try:
        run.clear(folder)
    except run.NotADemo as refusal:
        raise click.UsageError(str(refusal)) from None
    started = time.monotonic()
    CONSOLE.print(
        f"Generating {years} years of a writer's data (seed {seed}) in {escape(str(folder))}/ …"
    )
    with (
        run.invented_house(years, seed, folder, late=late) as house,
        _progress(shown=True) as progress,
    ):
        passed = passes.refresh(house, progress=progress)
    _print_passed(passed, in_short=True)
    if late:
        _show_late(house, folder)
    CONSOLE.print(
        f"\nDone in {time.monotonic() - started:.0f} s. Graph and site: "
        f"[bold]PERSONAL_PIPELINE_HOME={escape(str(folder))} {escape(_own_name())} up[/]",
        soft_wrap=True,
    )
    sys.exit(1 if passed.failures else 0)


def _show_late(house: House, folder: Path) -> None:
    from personal_pipeline import refresh as passes
    from personal_pipeline.demo import run

    run.stop_service(house.home)
    with run.alive(house.home):
        passes.refresh(house, only=[_source_named(house, run.DOWN)])
    down = _source_named(house, run.DOWN).title
    missing = escape(str(folder / run.NOT_DROPPED))
    CONSOLE.print(
        f"\n{down} does not answer from now on, and the exports in {missing} are late: "
        "`personal-pipeline status` says so, and `add` takes them.",
        soft_wrap=True,
    )


def _own_name() -> str:
    """The path this command was started with: its virtual environment need not be active."""
    return sys.argv[0] if ".venv" in sys.argv[0] else "personal-pipeline"


# --------------------------------------------------------------------------------- new-source


@main.command("new-source", short_help="Generate the code of a source from a sample of its file.")
@click.argument("name")
@click.option(
    "--from",
    "sample",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A sample file: CSV, JSON or JSON lines. With --api, a response: JSON.",
)
@click.option("--api", is_flag=True, help="The source is a service that is asked with a token.")
def new_source(name: str, sample: Path, api: bool) -> None:
    """Write module, table, descriptions, page and test of a new source NAME into the checkout.

    They pass all checks as generated and are meant to be edited. They contain names and types from
    the sample, but no values. Existing files are not overwritten.
    """
    from personal_pipeline import scaffold
    from personal_pipeline.scaffold.sample import NoSample

    try:
        written = scaffold.new_source(name, sample, api=api)
    except (scaffold.Refused, NoSample) as refusal:
        raise click.ClickException(f"{sample.name}: {refusal}") from None
    for sentence in written.guesses:
        CONSOLE.print(escape(sentence), soft_wrap=True)
    CONSOLE.print("\nGenerated, for you to edit:")
    for path in written.files:
        CONSOLE.print(f"  {escape(str(path.relative_to(scaffold.CHECKOUT)))}", soft_wrap=True)
    then = f"connect {name}" if api else f"add {escape(str(sample))}"
    CONSOLE.print(
        f"\nTry it: pytest personal_pipeline_tests/sources/test_{name}.py, then "
        f"{escape(_own_name())} {then} and refresh.",
        soft_wrap=True,
    )


main.add_command(search)
main.add_command(sql)
main.add_command(site)
main.add_command(mcp)


# ------------------------------------------------------------------------------------- doctor


@main.command(short_help="Check settings, folders, versions and the port.")
@click.option(
    "--verify",
    is_flag=True,
    help=("Read every file and table, and compare it with what was written."),
)
@click.option("--repair", is_flag=True, help="Verify, and restore what can be restored.")
@click.option("--json", "as_json", is_flag=True, help="Print as JSON.")
def doctor(verify: bool, repair: bool, as_json: bool) -> None:
    """Check settings, credentials, folder permissions, versions and the port.

    --verify reads all stored data instead. --repair also restores what is damaged: from copies,
    from the originals, or by letting the next refresh fetch it again. It lists what it cannot
    restore.
    """
    from personal_pipeline import doctor as examination

    house = _house(load_settings())
    if verify or repair:
        with _progress(shown=not as_json) as progress:
            examine = examination.repair if repair else examination.verify
            findings = examine(house, progress)
    else:
        findings = examination.examine(house)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in findings], indent=1))
    else:
        for each in findings:
            mark = {"ok": "[green]✓[/]", "note": "[dim]–[/]", "problem": "[red]✗[/]"}[each.verdict]
            said = f"{escape(each.what)}: {escape(each.found)}" if each.found else escape(each.what)
            CONSOLE.print(f"{mark} {said}", soft_wrap=True)
            if each.advice:
                style = "" if each.verdict == "problem" else "dim"
                CONSOLE.print(Padding(Text(each.advice, style=style), (0, 0, 0, 4)))
    sys.exit(1 if any(each.verdict == "problem" for each in findings) else 0)


if __name__ == "__main__":
    main()
