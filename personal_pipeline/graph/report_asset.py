"""The report as an asset, downstream of all that it shows; and the morning, which ends with it."""

from collections.abc import Sequence

import dagster as dg

from personal_pipeline.board import StreamState, board_of
from personal_pipeline.graph.automation import REBUILDS, REBUILDS_TAGS, inputs_changed
from personal_pipeline.graph.contents import materialization
from personal_pipeline.graph.derived import raise_failures, tell
from personal_pipeline.graph.raw import OWNER, read_originals_again
from personal_pipeline.house import House
from personal_pipeline.outputs.morning import is_current, write_morning_report
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse.build import reconcile
from personal_pipeline.warehouse.tables import Tables

REPORT = dg.AssetKey(["outputs", "daily_report"])


def report_asset(tables: Tables) -> dg.AssetsDefinition:
    """The morning report."""
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
                group_name="outputs",
                kinds={"html", "altair"},
                owners=[OWNER],
                skippable=True,
                automation_condition=inputs_changed(but_not_by_rebuilds=False),
            )
        ],
    )
    @told_without_values
    def write_report(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        board = board_of(house)
        if REBUILDS not in context.run.tags or not is_current(house, board):
            _write(context, house, board)
        return
        yield

    return write_report


def _write(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    house: House,
    board: Sequence[StreamState],
) -> None:
    written = write_morning_report(house, board)
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


class MorningConfig(dg.Config):
    """Whether to try again what failed twice and has not changed since."""

    retry: bool = False


@dg.op(
    name="build_and_report",
    description=(
        "Reads again what the lake does not show as the archive says it should. "
        "Builds every derived partition that is missing, or whose recorded inputs or code differ "
        "from what is there now, until nothing is stale. Then writes the report of the day, unless "
        "the one that is there says the same; a table that failed does not keep it from coming."
    ),
    # no pool: without a daemon nobody takes back the slot of a run that was killed, and the next
    # refresh would wait for ever; the lock of the warehouse ends with its process
    out=dg.Out(dg.Nothing),
)
@told_without_values
def build_and_report(
    context: dg.OpExecutionContext, config: MorningConfig, house: dg.ResourceParam[House]
) -> None:
    """The level-triggered half of exact rebuilding (see ``reconcile``), and the report."""
    problems: list[str] = []
    broken = None
    try:
        problems = read_originals_again(context, house)
    except Exception as error:  # the tables are built from the lake as it is
        broken = error
    try:
        work = reconcile(house, retry=config.retry)
        for note in house.outcome.notes:
            context.log.warning(note)
        tell(context, house, work)
    finally:
        board = board_of(house)
        if not is_current(house, board):
            _write(context, house, board)
    raise_failures(work.built)
    if broken:
        raise broken
    if problems:
        raise dg.Failure(" ".join(problems), allow_retries=False)


@dg.job(
    name="morning",
    description="Builds whatever is stale, then writes the report of the day.",
    tags=REBUILDS_TAGS,
)
def morning_job() -> None:
    """What the report schedule and every refresh run."""
    build_and_report()
