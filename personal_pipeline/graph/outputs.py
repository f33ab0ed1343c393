"""The assets that a person reads: what the house writes, and the board of all streams."""

from collections.abc import Collection
from datetime import timedelta

import dagster as dg

from personal_pipeline.board import board_of
from personal_pipeline.graph.raw import DAILY, OWNER
from personal_pipeline.graph.telling import BOARD, tell_board, tell_output
from personal_pipeline.house import House
from personal_pipeline.outputs.contract import Due, Output
from personal_pipeline.outputs.morning import MONTH_ON_DAY
from personal_pipeline.troubles import told_without_values

_POLICIES = {
    Due.DAILY: DAILY,
    Due.MONTHLY: dg.FreshnessPolicy.cron(
        # a day after it is due, for a machine that slept
        deadline_cron=f"0 0 {MONTH_ON_DAY + 2} * *",
        lower_bound_delta=timedelta(days=MONTH_ON_DAY + 1),
    ),
    Due.ASKED: None,
}


def output_asset(output: Output, tables: Collection[str]) -> dg.AssetsDefinition | dg.AssetSpec:
    """An output, downstream of the tables that it reads. Without its own way of writing it stands
    in the graph to be opened."""
    spec = dg.AssetSpec(
        dg.AssetKey(output.asset.split("/")),
        deps=[dg.AssetKey(each.split("/")) for each in sorted(output.reads(tables))],
        description=output.description,
        group_name="5_outputs",
        kinds=set(output.kinds),
        owners=[OWNER],
        skippable=True,
        freshness_policy=_POLICIES[output.due],
    )
    write = output.write
    if write is None:
        return spec

    @dg.multi_asset(name=f"write_{output.asset.partition('/')[2].replace('/', '_')}", specs=[spec])
    @told_without_values
    def write_output(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        if written := write(house, board_of(house), True):
            tell_output(context, house, output.name, written)
        return
        yield

    return write_output


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
