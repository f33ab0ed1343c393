"""Building what is stale, under Dagster: the job, and when it is started.

What is stale is decided in one place, ``warehouse.reconcile.find_stale``. The sensor calls it
whenever something may have changed, the job builds what it returns, and the page of each table then
shows which inputs changed.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

import dagster as dg

from personal_pipeline.board import board_of
from personal_pipeline.graph.telling import (
    Context,
    page,
    raise_failures,
    tell_outputs,
    tell_restored,
    tell_work,
)
from personal_pipeline.house import House
from personal_pipeline.ingest.opening import opened
from personal_pipeline.listed_outputs import write_outputs
from personal_pipeline.passes import build_tables, restore_lake
from personal_pipeline.troubles import sentence_of, told_without_values
from personal_pipeline.warehouse.build import signature_of, what_is_stale
from personal_pipeline.warehouse.lake import read_lake

JOB = "build_what_is_stale"
INTERVAL_SECONDS = 30

ASK_AGAIN_AFTER = timedelta(minutes=15)
"""What is still stale this long after it was requested is requested again: its run was killed, or
never started."""

MAX_TIMES = 2
"""How often the same build is requested before it is left to the morning run, or to a change."""

MAX_NAMED = 30

ALL_IS_BUILT = "Everything is up to date, or on hold until an input changes."

UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


class BuildConfig(dg.Config):
    """Whether to retry what failed twice and has not changed since."""

    retry: bool = False


def bring_up_to_date(context: Context, house: House) -> None:
    """Open a home of an earlier version before anything is done in it: commands do so, ``dagster
    dev`` does not."""
    for note in opened(house.home, house.sources):
        page(context).warning(note)


def build_and_tell(context: Context, house: House, *, retry: bool = False) -> list[str]:
    """Bring the lake in line with the archive, build what is stale, bring the outputs up to date,
    and report all of it to Dagster. Returns the failures, one sentence each; a failed table does
    not prevent the outputs."""
    restored = restore_lake(house)
    tell_restored(context, house, read_lake(house), restored)
    failures = restored.failures
    lake = None
    try:
        work = build_tables(house, retry=retry, again=True)
        lake = work.lake
        tell_work(context, house, work)
        failures += work.failures
    except Exception as error:  # the report still shows the current state
        failures.append(sentence_of(error, house.home.root))
    board = board_of(house, lake)
    outputs = write_outputs(house, board)
    tell_outputs(context, house, outputs)
    return [*failures, *outputs.failures]


@dg.op(
    name="build_and_report",
    description=(
        "Re-reads originals that the lake does not reflect. Builds every derived partition that is "
        "missing, or whose recorded inputs or code differ from the current ones, until nothing is "
        "stale. Then brings the outputs up to date: reports, site and exports; a failed table does "
        "not prevent that."
    ),
    # no pool: without a daemon nobody releases the slot of a killed run, and the next refresh would
    # wait for ever; the lock of the warehouse is released with its process
    out=dg.Out(dg.Nothing),
)
@told_without_values
def build_and_report(
    context: dg.OpExecutionContext, config: BuildConfig, house: dg.ResourceParam[House]
) -> None:
    """The body of the job."""
    bring_up_to_date(context, house)
    raise_failures(build_and_tell(context, house, retry=config.retry))


@dg.job(
    name=JOB,
    description="Builds whatever is stale and nothing else, then writes the report of the day.",
)
def build_job() -> None:
    """Started by the sensor and by the schedule of the report."""
    build_and_report()


@dataclass(frozen=True, slots=True)
class Cursor:
    """The sensor's cursor. ``clean`` identifies the state of lake and tables in which nothing was
    stale; ``asked`` identifies what was requested, ``times`` times, most recently at ``asked_at``
    (ISO 8601 UTC)."""

    clean: str = ""
    asked: str = ""
    times: int = 0
    asked_at: str = ""


def build_sensor(busy_jobs: list[str], house: House) -> dg.SensorDefinition:
    """Starts the job when something is stale and no data is coming in: it waits while one of
    ``busy_jobs`` is running, so that a morning of fetches leads to one run.

    The house is no resource here: for resources Dagster opens its storage on every tick, which
    costs forty times the look itself.
    """

    @dg.sensor(
        name="what_is_stale",
        job_name=JOB,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Starts a build of whatever is stale when the lake, the SQL or the tables have changed."
        ),
    )
    @told_without_values
    def what_is_stale_now(
        context: dg.SensorEvaluationContext,
    ) -> dg.SensorResult | dg.SkipReason:
        before = _remembered(context.cursor)
        seen = signature_of(house)
        if seen == before.clean:
            return dg.SkipReason("Up to date: nothing has changed since the last build.")
        for job in [JOB, *busy_jobs]:
            if context.instance.get_runs(dg.RunsFilter(job_name=job, statuses=UNDER_WAY), limit=1):
                return dg.SkipReason(f"Waiting for {job} to finish.")
        stale = what_is_stale(house)
        now = house.clock()
        if not stale.partitions:
            context.update_cursor(json.dumps(asdict(Cursor(clean=seen))))
            return dg.SkipReason(ALL_IS_BUILT)
        times = before.times if stale.identity == before.asked else 0
        if times and now - datetime.fromisoformat(before.asked_at) < ASK_AGAIN_AFTER:
            return dg.SkipReason("A build was requested just now.")
        if times >= MAX_TIMES:
            return dg.SkipReason("The build failed; the next morning run retries it.")
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(tags={"personal_pipeline/stale": _named(stale.partitions)})
            ],
            cursor=json.dumps(asdict(Cursor("", stale.identity, times + 1, now.isoformat()))),
        )

    return what_is_stale_now


def _remembered(cursor: str | None) -> Cursor:
    try:
        return Cursor(**json.loads(cursor or "{}"))
    except (ValueError, TypeError):
        return Cursor()


def _named(tables: Iterable[str]) -> str:
    """The stale tables, for the page of the run."""
    names = sorted(tables)
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return ", ".join(names[:MAX_NAMED]) + more
