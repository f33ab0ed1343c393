"""Dagster's asset checks: one per raw stream, and one for the files.

They run on their own schedule rather than with the fetching, because a source that stopped cannot
check itself. Their results are computed in ``personal_pipeline.checks``.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from personal_pipeline.board import board_of
from personal_pipeline.checks import FILES, check_files, check_streams
from personal_pipeline.graph.raw import asset_key
from personal_pipeline.graph.telling import (
    BOARD,
    CHECK,
    check_result,
    note_checks,
    note_files,
    page,
)
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Source
from personal_pipeline.troubles import told_without_values

HOURS_BETWEEN_CHECKS = 4


def stream_checks(sources: Sequence[Source]) -> list[dg.AssetChecksDefinition]:
    """One check per raw stream, all in one op, so that the board is computed once."""

    @dg.multi_asset_check(
        name="check_streams",
        specs=[
            dg.AssetCheckSpec(
                CHECK,
                asset=asset_key(source, stream),
                description=(
                    "Is it fresh, were its records parsed, does it have the same fields as before? "
                    "An error if it is late or failing, otherwise a warning. New and missing "
                    "fields are reported for two weeks."
                ),
            )
            for source in sources
            for stream in source.streams
        ],
        can_subset=True,
    )
    @told_without_values
    def check(  # type: ignore[no-untyped-def]
        context: dg.AssetCheckExecutionContext, house: dg.ResourceParam[House]
    ):
        asked = {"/".join(each.asset_key.path) for each in context.selected_asset_check_keys}
        checks = check_streams(house, board_of(house), asked)
        yield from map(check_result, checks)
        note_checks(house, checks)

    return [check]


def files_check() -> dg.AssetChecksDefinition:
    """Whether the files on disk are as they were written."""

    @dg.asset_check(
        asset=BOARD,
        name=FILES,
        description=(
            "Verifies a thirtieth of archive and lake each day, and the published tables, against "
            "what was written. Damage to a stream is on its line of the board."
        ),
    )
    def files_are_whole(
        context: dg.AssetCheckExecutionContext, house: dg.ResourceParam[House]
    ) -> dg.AssetCheckResult:
        found = check_files(house)
        note_files(house, found)
        if found.read:
            page(context).info(found.read)
        return dg.AssetCheckResult(
            passed=not found.troubles,
            severity=dg.AssetCheckSeverity.ERROR,
            description=" ".join(found.troubles) or None,
        )

    return files_are_whole


def checks_job(checks: Sequence[dg.AssetChecksDefinition], board: dg.AssetsDefinition) -> Any:
    """Checks every stream and renews the board."""
    return dg.define_asset_job(
        "check_sources",
        dg.AssetSelection.checks(*checks) | dg.AssetSelection.assets(board),
        description="Checks every stream, and updates the board in the UI.",
    )


def checks_schedule(job: Any, house: House) -> dg.ScheduleDefinition:
    """Half an hour after the report, and every four hours from then.

    The first check of a day must include that morning's fetches, which begin an hour before the
    report. A stream may turn late at any hour, so a daily check would report it up to a day late; a
    run takes seconds, and six per day add little to Dagster's history.
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
        description="Checks every stream, including those that are no longer fetched.",
    )
