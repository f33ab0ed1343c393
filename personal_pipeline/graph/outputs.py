"""The assets that a person reads: the reports, the tables in the browser, the board of all
streams."""

from collections.abc import Collection
from datetime import timedelta

import dagster as dg

from personal_pipeline.board import board_of
from personal_pipeline.graph.raw import DAILY, OWNER
from personal_pipeline.graph.telling import (
    BOARD,
    MONTHLY,
    REPORT,
    SITE,
    tell_board,
    tell_report,
    tell_site,
)
from personal_pipeline.house import House
from personal_pipeline.outputs.morning import (
    MONTH_ON_DAY,
    write_month_report,
    write_morning_report,
)
from personal_pipeline.site.tables import write_site
from personal_pipeline.troubles import told_without_values

_EACH_MONTH = dg.FreshnessPolicy.cron(
    # a day after it is due, for a machine that slept
    deadline_cron=f"0 0 {MONTH_ON_DAY + 2} * *",
    lower_bound_delta=timedelta(days=MONTH_ON_DAY + 1),
)


def _spec(
    key: dg.AssetKey,
    description: str,
    kinds: set[str],
    tables: Collection[str] = (),
    freshness: dg.FreshnessPolicy = DAILY,
) -> dg.AssetSpec:
    """An output, downstream of the marts among these tables."""
    return dg.AssetSpec(
        key,
        deps=[dg.AssetKey(each.split("/")) for each in sorted(tables) if each.startswith("marts/")],
        description=description,
        group_name="5_outputs",
        kinds=kinds,
        owners=[OWNER],
        skippable=True,
        freshness_policy=freshness,
    )


def report_assets(tables: Collection[str]) -> list[dg.AssetsDefinition]:
    """The morning report and that of the last month, downstream of everything that they show."""

    @dg.multi_asset(
        name="write_report",
        specs=[
            _spec(
                REPORT,
                (
                    "One self-contained HTML file a day under reports/: what happened until "
                    "yesterday (UTC), and the state of every source."
                ),
                {"html"},
                tables,
            )
        ],
    )
    @told_without_values
    def write_report(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        tell_report(context, house, REPORT, write_morning_report(house, board_of(house)))
        return
        yield

    @dg.multi_asset(
        name="write_monthly_report",
        specs=[
            _spec(
                MONTHLY,
                (
                    "One self-contained HTML file a month under reports/: the month against the "
                    "one before and the same one a year before. Written on the second of the next "
                    "month, and again when a late export changes its figures."
                ),
                {"html"},
                tables,
                _EACH_MONTH,
            )
        ],
    )
    @told_without_values
    def write_monthly_report(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        tell_report(context, house, MONTHLY, write_month_report(house, board_of(house)))
        return
        yield

    return [write_report, write_monthly_report]


def site_asset(tables: Collection[str]) -> dg.AssetsDefinition:
    """The marts in SQLite, downstream of all of them."""

    @dg.multi_asset(
        name="write_site",
        specs=[
            _spec(
                SITE,
                (
                    "The marts in SQLite, published/site.sqlite, which `personal-pipeline site` "
                    "shows in the browser; and the part of them that is shared with somebody. Only "
                    "partitions whose content changed are replaced."
                ),
                {"sqlite"},
                tables,
            )
        ],
    )
    @told_without_values
    def write_site_now(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, house: dg.ResourceParam[House]
    ):
        if written := write_site(house):
            tell_site(context, house, written)
        return
        yield

    return write_site_now


def board_asset() -> dg.AssetsDefinition:
    """The state of every stream, as a table in the metadata of its most recent event."""

    # no inputs: every fetch would mark it as stale, even one that changed nothing on it
    @dg.multi_asset(
        name="write_source_board",
        specs=[
            _spec(
                BOARD,
                (
                    "How fresh each stream is, what is wrong and what to do, as in "
                    "`personal-pipeline status`. The table is in the metadata of the latest event."
                ),
                {"python", "markdown"},
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
