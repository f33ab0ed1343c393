"""The assets that a person reads: the report, and the board of all streams."""

from collections.abc import Iterable

import dagster as dg

from personal_pipeline.board import board_of
from personal_pipeline.graph.raw import DAILY, OWNER
from personal_pipeline.graph.telling import BOARD, REPORT, tell_board, tell_report
from personal_pipeline.house import House
from personal_pipeline.outputs.morning import write_morning_report
from personal_pipeline.troubles import told_without_values


def report_asset(tables: Iterable[str]) -> dg.AssetsDefinition:
    """The morning report, downstream of everything that it shows."""
    shown = sorted(each for each in tables if each.startswith("marts/"))

    @dg.multi_asset(
        name="write_report",
        specs=[
            dg.AssetSpec(
                REPORT,
                deps=[dg.AssetKey(name.split("/")) for name in shown],
                description=(
                    "One self-contained HTML file a day under reports/: what happened until "
                    "yesterday (UTC), and the state of every source."
                ),
                group_name="5_outputs",
                kinds={"html"},
                owners=[OWNER],
                skippable=True,
                freshness_policy=DAILY,
            )
        ],
    )
    @told_without_values
    def write_report(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        tell_report(context, house, write_morning_report(house, board_of(house)))
        return
        yield

    return write_report


def board_asset() -> dg.AssetsDefinition:
    """The state of every stream, as a table in the metadata of its most recent event."""

    # no inputs: every fetch would mark it as stale, even one that changed nothing on it
    @dg.multi_asset(
        name="write_source_board",
        specs=[
            dg.AssetSpec(
                BOARD,
                description=(
                    "How fresh each stream is, what is wrong and what to do, as in "
                    "`personal-pipeline status`. The table is in the metadata of the latest event."
                ),
                group_name="5_outputs",
                kinds={"python", "markdown"},
                owners=[OWNER],
                skippable=True,
                freshness_policy=DAILY,
            )
        ],
    )
    @told_without_values
    def write_source_board(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        tell_board(context, board_of(house))
        return
        yield

    return write_source_board
