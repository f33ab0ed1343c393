"""Alerts from the daemon: a round every few minutes, and failed runs as they end.

No ``from __future__ import annotations`` here: Dagster inspects the annotations.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from personal_pipeline.alerts import events
from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.messages import without_values
from personal_pipeline.alerts.notify import Round, notify
from personal_pipeline.alerts.subjects import CHECK, CHECK_FAILED, Standing, Subject, Trouble
from personal_pipeline.board import board_of
from personal_pipeline.doors.door import address_of
from personal_pipeline.graph import recording
from personal_pipeline.graph.telling import CHECK as STREAM_CHECK
from personal_pipeline.house import House
from personal_pipeline.troubles import UNEXPECTED, told_without_values

ROUND_INTERVAL_SECONDS = 60

_OWN_ERRORS = frozenset(
    [
        *("Busy", "CannotVerify", "DamagedPartition", "DamagedWarehouse", "OSError"),
        *("PermissionError", "ServiceError", "UnreadableFile"),
    ]
)
"""Errors whose text never contains a value of a row. For all others only the name is reported."""


def check_keys_of(assets: Iterable[object]) -> list[dg.AssetCheckKey]:
    """The keys of all checks of a graph's assets and check definitions, except those that repeat
    the board: their messages come from the board itself."""
    found = {
        key
        for each in assets
        if isinstance(each, dg.AssetsDefinition)
        for key in each.check_keys
        if key.name != STREAM_CHECK
    }
    return sorted(found, key=lambda key: key.to_user_string())


def check_subjects(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetCheckKey], board: str
) -> list[Subject]:
    """The standing of each check according to its latest evaluation. A check that only warns is
    shown in the UI but not sent.

    A check that is currently running, or never ran, is unknown: what was told about it stands.
    """
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key([*keys])
    return [_check_subject(key, records.get(key), board) for key in keys]


def _check_subject(key: dg.AssetCheckKey, record: Any, board: str) -> Subject:
    asset = "/".join(key.asset_key.path)
    name, title = f"{CHECK}{asset} {key.name}", f"{asset}: {key.name}"
    evaluation = record.evaluation if record is not None else None
    # for a check that is only planned, the record contains the plan
    if record is None or not isinstance(evaluation, dg.AssetCheckEvaluation):
        return Subject(key=name, title=title, standing=Standing.UNKNOWN)
    if evaluation.passed or evaluation.severity is not dg.AssetCheckSeverity.ERROR:
        return Subject(key=name, title=title)
    partition = f" Partition {record.partition}." if record.partition else ""
    said = without_values(evaluation.description or "")
    detail = f"{said}{partition} {board}/runs/{record.run_id}".strip()
    return Subject(
        key=name,
        title=title,
        troubles=(Trouble(stream="", reason=CHECK_FAILED, detail=detail),),
    )


def last_success(instance: dg.DagsterInstance, job: str) -> datetime | None:
    """When a run of the job last succeeded."""
    runs = instance.get_run_records(
        dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.SUCCESS]), limit=1
    )
    end = runs[0].end_time if runs else None
    return datetime.fromtimestamp(end, UTC) if end else None


def make_round(
    house: House,
    instance: dg.DagsterInstance,
    keys: Collection[dg.AssetCheckKey],
    *,
    wait_seconds: float = 0,
) -> Round:
    """Tell the person what is new on the board, among the checks with these keys, and about failed
    runs. ``wait_seconds`` is how long to wait for another process to finish its round."""
    board = address_of(house.home, house.settings)
    return notify(
        house,
        board_of(house),
        checks=check_subjects(instance, keys, board),
        last_success=lambda job: last_success(instance, job),
        wait_seconds=wait_seconds,
    )


def alert_sensor(keys: Sequence[dg.AssetCheckKey], house: House) -> dg.SensorDefinition:
    """Reads the board and the checks with these keys, and tells the person what is new."""

    @dg.sensor(
        name="alerts",
        minimum_interval_seconds=ROUND_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Sends alerts: sources that become late, fail or recover, exports that are due, and "
            "failed runs and checks. See docs/alerts.md."
        ),
    )
    @told_without_values
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        done = make_round(house, context.instance, keys)
        unheard = done.delivered.shown or done.delivered.failed
        for line in done.lines:
            (context.log.warning if unheard else context.log.info)(line)
        if done.busy:
            return dg.SkipReason("Another process is sending alerts.")
        first_lines = (line.splitlines()[0] for line in done.lines)
        return dg.SkipReason(" ".join(first_lines) or "No new alerts.")

    return alerts


def failed_run_sensor(house: House) -> dg.SensorDefinition:
    """Records every failed run for the next round of ``alert_sensor``."""

    @dg.run_failure_sensor(
        name="failed_runs",
        minimum_interval_seconds=ROUND_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Records failed runs for the alerts sensor.",
    )
    @told_without_values
    def failed_runs(context: dg.RunFailureSensorContext) -> dg.SkipReason:
        run, failed = context.dagster_run, context.get_step_failure_events()
        if run.job_name == recording.JOB and (failed or recording.RECORDED in run.tags):
            return dg.SkipReason("A pass records its failures itself.")
        noted = note_failures(house, run, failed)
        return dg.SkipReason(f"Recorded failures: {noted}.")

    return failed_runs


def note_failures(house: House, run: dg.DagsterRun, failed: Sequence[dg.DagsterEvent]) -> int:
    """Record what failed in a run for the next round; returns the number of failures recorded.

    ``failed`` are the failure events of its steps; if empty, the run failed as a whole or was
    killed. Failures of a service are on the board, and are reported from there.
    """
    if failed:
        noted = [
            _failure(house, run, str(event.step_key), cause_of(event))
            for event in failed
            if not _is_on_the_board(event)
        ]
    else:
        noted = [_failure(house, run, "", "the run ended without an event: it was killed.")]
    for failure in noted:
        events.record(house.home, failure)
    return len(noted)


def _is_on_the_board(event: dg.DagsterEvent) -> bool:
    said = event.step_failure_data.user_failure_data
    return (
        str(event.step_key).startswith("fetch_")
        and said is not None
        and UNEXPECTED not in said.metadata
    )


def _failure(house: House, run: dg.DagsterRun, step: str, cause: str) -> RunFailure:
    assets = sorted("/".join(key.path) for key in run.asset_selection or ())
    named = ", ".join(assets[:3]) + (f" and {len(assets) - 3} more" if len(assets) > 3 else "")
    return RunFailure(
        run_id=run.run_id,
        job=run.job_name,
        at=house.clock(),
        # the step of a single asset is its key, joined by double underscores
        what=named or step.replace("__", "/") or run.job_name,
        partition=_partition(run),
        cause=cause,
        address=address_of(house.home, house.settings, f"/runs/{run.run_id}"),
    )


def _partition(run: dg.DagsterRun) -> str:
    first = run.tags.get("dagster/asset_partition_range_start")
    last = run.tags.get("dagster/asset_partition_range_end")
    if first and last and first != last:
        return f"{first} … {last}"
    return first or run.tags.get("dagster/partition", "")


def cause_of(event: dg.DagsterEvent) -> str:
    """Why a step failed, in a sentence without values."""
    data = event.step_failure_data
    if data.user_failure_data is not None and data.user_failure_data.description:
        return without_values(data.user_failure_data.description)
    error = data.error and (data.error.cause or data.error)
    if error is None:
        return "see the run for the reason."
    if error.cls_name in _OWN_ERRORS:
        # Dagster prefixes the message with the full class name
        return without_values(re.sub(rf"^[\w.]*{error.cls_name}: ", "", error.message))
    return f"{error.cls_name}; see the run for details."
