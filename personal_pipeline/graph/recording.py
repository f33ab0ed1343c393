"""A pass that ran outside Dagster, recorded there as a run of the job ``refresh``.

The run only reports what was done. If Dagster's storage turns out to be damaged, it is recreated
and everything is reported again.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import dagster as dg

from personal_pipeline import told
from personal_pipeline.alerts import events
from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.messages import without_values
from personal_pipeline.doors.door import address_of
from personal_pipeline.graph import storage, telling
from personal_pipeline.graph.instance import LOCK_WAIT_SECONDS, instance_of
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.graph.pruning import KEPT, prune
from personal_pipeline.house import House
from personal_pipeline.passes import PassResult, finish_pass
from personal_pipeline.warehouse.lake import read_lake

JOB = "refresh"

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class NotReported(Exception):
    """A pass could not be reported to Dagster. Its results are kept; the next pass reports them."""


def record_pass(house: House, passed: PassResult) -> list[str]:
    """Report a pass to Dagster. Returns sentences for the person about Dagster's storage."""

    def record(instance: dg.DagsterInstance) -> None:
        end_lost_runs(instance)
        prune(instance, house.clock() - KEPT)
        _record(house, passed, instance)

    return with_instance(house, record)


def tell_anew(house: House) -> list[str]:
    """Report the current state to a storage that was recreated. Returns the failures."""
    passed = PassResult()
    finish_pass(house, passed)
    record_pass(house, passed)
    return passed.failures


def with_instance(house: House, work: Callable[[dg.DagsterInstance], object]) -> list[str]:
    """Run ``work`` on the instance of a home. If its storage turns out to be damaged, run it again
    on a new one: every step may happen twice. Returns a sentence if it was."""
    notes: list[str] = []
    try:
        with instance_of(house.home, notes.append) as instance, quiet_dagster():
            work(instance)
    except Exception:
        with house.home.lock("dagster", wait_seconds=LOCK_WAIT_SECONDS):
            said = storage.mend(house.home, thorough=True)
        if said is None:
            raise
        with instance_of(house.home, notes.append) as instance, quiet_dagster():
            work(instance)
        notes.append(said)
    return notes


def _record(house: House, passed: PassResult, instance: dg.DagsterInstance) -> None:
    complete = False

    @dg.op(name=JOB, out=dg.Out(dg.Nothing))
    def tell(context: dg.OpExecutionContext) -> None:
        nonlocal complete
        lake = passed.lake or read_lake(house)
        for fetched in passed.fetched:
            telling.tell_fetched(context, house, lake, fetched)
        telling.tell_ingested(context, house, lake, passed.ingested)
        telling.tell_restored(context, house, lake, passed.restored)
        if house.home.published.exists():
            telling.tell_work(context, house, passed.work)
        if passed.report:
            telling.tell_report(context, passed.report)
        telling.tell_checks(context, house, passed.checks)
        if passed.files:
            telling.tell_files(context, house, passed.files)
        if passed.board:
            telling.tell_board(context, passed.board)
        complete = True
        telling.raise_failures(passed.failures_to_mend)

    @dg.job(name=JOB)
    def refresh() -> None:
        tell()

    result = refresh.execute_in_process(run_config=_QUIET, instance=instance, raise_on_error=False)
    if not complete:
        failed: Any = next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
        error = failed.event_specific_data.error
        # its text may contain anything
        raise NotReported(
            f"The results could not be reported to Dagster ({(error.cause or error).cls_name})"
        )
    known = told.recall(house.home)
    told.remember(house.home, replace(known, failed=bool(passed.failures_to_mend)))
    for what, cause in _failures(passed):
        events.record(
            house.home,
            RunFailure(
                run_id=result.run_id,
                job=JOB,
                at=house.clock(),
                what=what,
                partition="",
                cause=without_values(cause),
                address=address_of(house.home, house.settings, f"/runs/{result.run_id}"),
            ),
        )


def _failures(passed: PassResult) -> Iterator[tuple[str, str]]:
    """What failed in a pass, and why. Failures of a service are on the board, and are reported from
    there."""
    for fetched in passed.fetched:
        if fetched.broken:
            yield fetched.source.title, fetched.broken
    for what, causes in (
        ("inbox", passed.ingested.failures),
        ("archive", passed.restored.failures),
        ("tables", passed.table_failures),
    ):
        if causes:
            yield what, " ".join(causes)


@contextmanager
def quiet_dagster() -> Iterator[None]:
    """Keeps Dagster's notices to developers off the person's terminal within the block."""
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", category)
        yield
