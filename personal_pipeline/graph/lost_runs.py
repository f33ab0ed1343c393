"""Runs whose process is gone.

A machine that loses power leaves runs behind that Dagster takes for running: its launcher of plain
processes cannot be asked about them, and each holds a place in the queue and in its pools.
"""

from __future__ import annotations

import dagster as dg

from personal_pipeline.home import is_alive

BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""A run in one of these has a process."""

# clocks are read at different moments
_SLACK_SECONDS = 2.0


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed what is recorded as running in a process that is gone; returns the ids.

    Such a run can be started again as it is: what it finished is there, and the rest is missing.
    """
    lost = []
    for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)):
        process = _process_of(instance, run)
        if process is None or is_alive(*process, _SLACK_SECONDS):
            continue
        instance.report_run_failed(
            run, "The process of this run was ended from outside: killed, or the machine went off."
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        lost.append(run.run_id)
    return lost


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[int, float] | None:
    """The number of the process that works on a run, and when it said so; None before it began."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = entry.get_dagster_event().engine_event_data
        number = data.metadata.get("pid")
        if number is not None:
            return int(str(number.value)), entry.timestamp
    return None
