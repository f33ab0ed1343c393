"""The report as an asset, downstream of every mart; and the morning, which ends with it."""

import dagster as dg

from personal_pipeline.graph.automation import inputs_changed
from personal_pipeline.graph.derived import reconcile_op
from personal_pipeline.graph.house import House
from personal_pipeline.graph.raw import OWNER, materialization
from personal_pipeline.graph.tables import Tables
from personal_pipeline.outputs.morning import is_current, write_morning_report

REPORT = dg.AssetKey(["outputs", "daily_report"])


def report_asset(tables: Tables) -> dg.AssetsDefinition:
    """The morning report."""
    marts = sorted(name for name in tables if name.startswith("marts/"))

    @dg.multi_asset(
        name="write_report",
        specs=[
            dg.AssetSpec(
                REPORT,
                deps=[dg.AssetKey(name.split("/")) for name in marts],
                description=(
                    "One self-contained HTML file a day under reports/: what happened until "
                    "yesterday (UTC), and the state of every source."
                ),
                group_name="outputs",
                kinds={"html", "altair"},
                owners=[OWNER],
                skippable=True,
                automation_condition=inputs_changed(),
            )
        ],
    )
    def write_report(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        _write(context, house)
        return
        yield

    return write_report


def _write(context: dg.AssetExecutionContext | dg.OpExecutionContext, house: House) -> None:
    written = write_morning_report(house)
    house.outcome.report = str(written.path)
    context.log_event(
        materialization(
            REPORT,
            None,
            written.digest,
            {
                "file": dg.MetadataValue.path(written.path),
                "size": dg.MetadataValue.int(written.size),
                "day": dg.MetadataValue.text(written.day.isoformat()),
            },
        )
    )


@dg.op(
    name="write_report_of_the_day",
    description="Writes today's report, unless the one that is there says the same.",
    ins={"built": dg.In(dg.Nothing)},
)
def write_report_op(context: dg.OpExecutionContext, house: dg.ResourceParam[House]) -> None:
    """The report, after everything is built."""
    if not is_current(house):
        _write(context, house)


@dg.job(name="morning", description="Builds whatever is stale, then writes the report of the day.")
def morning_job() -> None:
    """What the report schedule and every refresh run."""
    write_report_op(reconcile_op())
