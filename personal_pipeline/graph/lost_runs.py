"""Runs whose process is gone.

After a power failure, Dagster considers the interrupted runs as running: its default launcher
cannot be asked about them, and each occupies a slot in the queue and in its pools.
"""

from __future__ import annotations

import dagster as dg

from personal_pipeline.home import is_alive

BEGUN = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
"""A run in one of these states has a process."""

# clocks are read at different times
_SLACK_SECONDS = 2.0


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark as failed the runs recorded as running in a process that is gone; returns their ids.

    Such a run can be started again unchanged: what it finished is there, and the rest is missing.
    """
    lost = []
    for run in instance.get_runs(dg.RunsFilter(statuses=BEGUN)):
        process = _process_of(instance, run)
        if process is None or is_alive(*process, _SLACK_SECONDS):
            continue
        instance.report_run_failed(
            run,
            (
                "The process of this run was terminated: it was killed, or the machine was "
                "switched off."
            ),
        )
        instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        lost.append(run.run_id)
    return lost


def _process_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> tuple[int, float] | None:
    """The id of the process that executes a run, and when it was recorded; None before it
    started."""
    for entry in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        data = entry.get_dagster_event().engine_event_data
        number = data.metadata.get("pid")
        if number is not None:
            return int(str(number.value)), entry.timestamp
    return None
