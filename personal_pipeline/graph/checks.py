"""A check of every stream, and the board as an asset: what the UI shows of the state of sources.

They run on a schedule of their own and not with the fetching, because what stopped cannot check
itself. The verdicts are those of the board; what only a check tells is which fields came and went.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Any

import dagster as dg

from personal_pipeline.board import StreamState, board_of
from personal_pipeline.freshness import State
from personal_pipeline.graph.contents import materialization
from personal_pipeline.graph.raw import OWNER, asset_key
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.columns import (
    Columns,
    looked,
    names_in,
    recall_columns,
    remember_columns,
)
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.damage import known_damage, sentence, verify_some
from personal_pipeline.ingest.lake import DamagedPartition, lake_of
from personal_pipeline.outputs.board import board_markdown, newest_words, share_unreadable
from personal_pipeline.shown import shown
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse import integrity
from personal_pipeline.warehouse.store import damage_of_published

BOARD = dg.AssetKey(["outputs", "source_board"])
CHECK = "state"
LOCK_WAIT_SECONDS = 60
HOURS_BETWEEN_CHECKS = 4
MOST_NAMES = 20
"""So many field names are told; a file of another kind may have hundreds."""
LONGEST_NAME = 60


def stream_checks(sources: Sequence[Source]) -> list[dg.AssetChecksDefinition]:
    """One check a raw stream, all of one op: the board is computed once."""
    streams = {
        asset_key(source, stream): (source, stream)
        for source in sources
        for stream in source.streams
    }

    @dg.multi_asset_check(
        name="check_streams",
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=key,
                description=(
                    "Is it fresh, could its records be read, and has it the fields that it had? "
                    "An error when it is late or failing, else a warning. Fields that came or "
                    "went are told for two weeks."
                ),
            )
            for key in streams
        ],
        can_subset=True,
    )
    @told_without_values
    def check_streams(  # type: ignore[no-untyped-def]
        context: dg.AssetCheckExecutionContext, house: dg.ResourceParam[House]
    ):
        board = {dg.AssetKey([line.source, line.stream]): line for line in board_of(house)}
        asked = {each.asset_key for each in context.selected_asset_check_keys}
        results = []
        with house.home.lock("columns", wait_seconds=LOCK_WAIT_SECONDS):
            remembered = recall_columns(house.home)
            for key, (source, stream) in streams.items():
                if key not in asked:
                    continue
                name = f"{source.name}/{stream.name}"
                try:
                    names = names_in(lake_of(house.home, source.name, stream))
                except DamagedPartition:
                    names = []  # its line of the board says so
                columns = looked(remembered.get(name, Columns()), names, house.today)
                remembered[name] = columns
                now = {field for row in names[-1] for field in row} if names else None
                results.append(
                    checked(
                        board[key], columns.unknown(house.today), columns.gone(house.today, now)
                    )
                )
            remember_columns(house.home, remembered)
        yield from results

    return [check_streams]


def files_check(sources: Sequence[Source]) -> dg.AssetChecksDefinition:
    """Whether what lies on the disk is what was written there."""

    @dg.asset_check(
        asset=BOARD,
        name="files_are_whole",
        description=(
            "Reads a thirtieth of archive and lake each day, and the published tables: are they as "
            "they were written? What belongs to a stream is on its line of the board."
        ),
    )
    def files_are_whole(
        context: dg.AssetCheckExecutionContext, house: dg.ResourceParam[House]
    ) -> dg.AssetCheckResult:
        looked = verify_some(house.home, sources, house.today)
        if looked is not None:
            integrity.forget(house.home, house.home.published)
            context.log.info(
                f"{looked.files:,} files, {looked.bytes / 1e6:,.0f} MB read in "
                f"{looked.seconds:.1f} s; {len(looked.damages)} damaged."
            )
        found = troubles_of(house.home)
        return dg.AssetCheckResult(
            passed=not found,
            severity=dg.AssetCheckSeverity.ERROR,
            description=" ".join(found) or None,
        )

    return files_are_whole


def troubles_of(home: Home) -> list[str]:
    """What is damaged and has no line on the board, with what to do, a sentence each."""
    found = []
    if damage := damage_of_published(home):
        found.append(
            f"The published tables cannot be read ({damage}). Run `personal-pipeline refresh`: it "
            "publishes them anew."
        )
    return found + [
        sentence(each) for each in known_damage(home) if not each.stream and not each.drop
    ]


def checked(
    line: StreamState, unknown: Collection[str], gone: Collection[str]
) -> dg.AssetCheckResult:
    """What the check of a stream says: counts, days and names of fields, never a value."""
    sentences = []
    if line.state in (State.ACTION_REQUIRED, State.FAILING, State.LATE, State.DUE):
        sentences.append(f"{line.state.capitalize()}. {line.detail}")
    if line.unreadable:
        sentences.append(f"{line.unreadable:,} records of the last look could not be read.")
    if line.left_out and line.detail not in " ".join(sentences):
        sentences.append(line.detail)
    if unknown:
        sentences.append(f"New fields: {_named(unknown)}.")
    if gone:
        sentences.append(f"Fields that are gone: {_named(gone)}.")
    share = share_unreadable(line)
    metadata: dict[str, Any] = {
        "state": str(line.state),
        "cause": line.cause,
        "last looked": (dg.MetadataValue.timestamp(line.last_looked) if line.last_looked else None),
        "asked until": (dg.MetadataValue.timestamp(line.asked_until) if line.asked_until else None),
        "newest event": newest_words(line) or None,
        "next expected": line.next_expected.isoformat() if line.next_expected else None,
        "rows": line.rows,
        "unreadable": line.unreadable,
        "share unreadable": share,
        "left out of the tables": line.left_out or None,
        "fields unknown": _named(unknown) or None,
        "fields gone": _named(gone) or None,
    }
    return dg.AssetCheckResult(
        asset_key=dg.AssetKey([line.source, line.stream]),
        check_name=CHECK,
        passed=not sentences,
        severity=(
            dg.AssetCheckSeverity.ERROR
            if line.state in (State.ACTION_REQUIRED, State.FAILING, State.LATE)
            else dg.AssetCheckSeverity.WARN
        ),
        description=" ".join(sentences) or line.detail or None,
        metadata={name: value for name, value in metadata.items() if value is not None},
    )


def _named(names: Collection[str]) -> str:
    told = ", ".join(shown(name, LONGEST_NAME) for name in list(names)[:MOST_NAMES])
    more = len(names) - MOST_NAMES
    return f"{told} and {more} more" if more > 0 else told


def board_asset() -> dg.AssetsDefinition:
    """The state of every source, as a table in the metadata."""

    # no inputs: every fetch would mark it as out of date, also one that changed nothing on it
    @dg.multi_asset(
        name="write_source_board",
        specs=[
            dg.AssetSpec(
                BOARD,
                description=(
                    "The state of every source, a row a stream: when it was last looked at, its "
                    "newest data, and when the next is expected. The same board as that of "
                    "`personal-pipeline status`; it is in the metadata of the newest event."
                ),
                group_name="outputs",
                kinds={"python", "markdown"},
                owners=[OWNER],
                skippable=True,
            )
        ],
    )
    @told_without_values
    def write_source_board(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        board = board_of(house)
        states = [line.state for line in board]
        markdown = board_markdown(board)
        context.log_event(
            materialization(
                BOARD,
                None,
                hashlib.sha256(markdown.encode()).hexdigest(),
                {
                    "board": dg.MetadataValue.md(markdown),
                    **{str(state): dg.MetadataValue.int(states.count(state)) for state in State},
                },
            )
        )
        return
        yield

    return write_source_board


def checks_job(checks: Sequence[dg.AssetChecksDefinition], board: dg.AssetsDefinition) -> Any:
    """Checks every stream and renews the board."""
    return dg.define_asset_job(
        "check_sources",
        dg.AssetSelection.checks(*checks) | dg.AssetSelection.assets(board),
        description="Checks every stream, and renews the board of the UI.",
    )


def checks_schedule(job: Any, house: House) -> dg.ScheduleDefinition:
    """Half an hour after the report, and every four hours from then.

    The first check of a day must see the looks of that morning, which begin an hour before the
    report. A stream turns late at some hour of its own, so once a day would tell up to a day too
    late; a run takes seconds, and six of them a day leave little behind in Dagster's history.
    """
    hours = sorted(
        (house.settings.report_hour + n) % 24 for n in range(0, 24, HOURS_BETWEEN_CHECKS)
    )
    return dg.ScheduleDefinition(
        name="check_sources_every_four_hours",
        job=job,
        cron_schedule=f"30 {','.join(map(str, hours))} * * *",
        execution_timezone=house.settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Checks every stream, also those whose fetching stopped.",
    )
