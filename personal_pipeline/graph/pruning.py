"""Old runs are deleted from Dagster's storage, which would otherwise grow for ever.

Kept are the newest event of every partition and the newest result of every check, however old, and
of each job the newest run and the newest that succeeded. Dagster deletes old ticks by itself
(``dagster.yaml``). Every step can be killed, and the next pruning continues.
"""

import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg

from personal_pipeline.graph import storage
from personal_pipeline.graph.event_log import BatchingSqliteEventLogStorage
from personal_pipeline.house import House
from personal_pipeline.troubles import told_without_values

KEPT = timedelta(days=14)
"""How long runs are kept, and events that were reported again since."""

JOB = "prune_history"

_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_RUNS_AT_ONCE = 100


def prune(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete runs that began before an instant, and events of that age that were reported again
    since. Returns the number of runs deleted."""
    log = instance.event_log_storage
    runs = list(_old_runs(instance, before))
    for run_id in runs:
        # the run last: it shows what is still to be deleted
        log.delete_events(run_id)
        shutil.rmtree(Path(instance.storage_directory()) / run_id, ignore_errors=True)
        instance.delete_run(run_id)
    if isinstance(log, BatchingSqliteEventLogStorage):
        log.delete_superseded(before)
    storage.compact(Path(instance.root_directory))
    return len(runs)


def _old_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[str]:
    """The runs to delete, oldest first."""
    old = dg.RunsFilter(statuses=_ENDED, created_before=before)
    kept: dict[str, set[str]] = {}
    cursor: str | None = None
    while page := instance.get_runs(old, cursor=cursor, limit=_RUNS_AT_ONCE, ascending=True):
        for run in page:
            if run.job_name not in kept:
                kept[run.job_name] = set(_newest(instance, run.job_name))
            if run.run_id not in kept[run.job_name]:
                yield run.run_id
        cursor = page[-1].run_id


def _newest(instance: dg.DagsterInstance, job: str) -> Iterator[str]:
    for statuses in ([], [dg.DagsterRunStatus.SUCCESS]):
        newest = dg.RunsFilter(job_name=job, statuses=statuses)
        yield from (run.run_id for run in instance.get_runs(newest, limit=1))


@dg.op(name="delete_old_runs", out=dg.Out(dg.Nothing))
@told_without_values
def delete_old_runs(context: dg.OpExecutionContext, house: dg.ResourceParam[House]) -> None:
    """The body of the job."""
    prune(context.instance, house.clock() - KEPT)


@dg.job(
    name=JOB,
    description=(
        f"Deletes runs older than {KEPT.days} days. The newest event of every partition stays, and "
        "so do the newest runs of each job."
    ),
)
def prune_job() -> None:
    """Started once a day."""
    delete_old_runs()


def prune_schedule(house: House) -> dg.ScheduleDefinition:
    """Prunes each day, two hours after the report."""
    return dg.ScheduleDefinition(
        name="prune_history_each_day",
        job=prune_job,
        cron_schedule=f"45 {(house.settings.report_hour + 2) % 24} * * *",
        execution_timezone=house.settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Deletes old runs, so that the history stays small.",
    )
