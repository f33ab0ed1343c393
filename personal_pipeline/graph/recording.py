"""The job ``refresh``, and passes that ran outside Dagster, recorded as runs of it.

Such a run only reports what was done. If Dagster's storage turns out to be damaged, it is recreated
and everything is reported again.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg

from personal_pipeline.alerts import events
from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.messages import without_values
from personal_pipeline.dagster_private import (
    InMemoryJob,
    RegisteredCodeLocationOrigin,
    RemoteRepositoryOrigin,
    execute_run,
)
from personal_pipeline.doors.door import address_of
from personal_pipeline.graph import storage, telling
from personal_pipeline.graph.instance import LOCK_WAIT_SECONDS, instance_of
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.graph.pruning import KEPT, prune
from personal_pipeline.house import House
from personal_pipeline.passes import PassResult, finish_pass, run_pass
from personal_pipeline.troubles import told_without_values

JOB = "refresh"

RECORDED = "personal_pipeline/recorded"
"""The tag of a run that only reports what was done outside Dagster."""

_ORIGIN = RemoteRepositoryOrigin(
    RegisteredCodeLocationOrigin("personal_pipeline.definitions"), "__repository__"
).get_job_origin(JOB)
"""Where `up` loads the job, so that its runs are in the timeline."""

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
        telling.tell_pass(context, house, passed)
        complete = True
        telling.raise_failures(passed.failures_to_mend)

    @dg.job(name=JOB, executor_def=dg.in_process_executor)
    def refresh() -> None:
        tell()

    run = instance.create_run_for_job(
        refresh, run_config=_QUIET, tags={RECORDED: "true"}, remote_job_origin=_ORIGIN
    )
    result = execute_run(InMemoryJob(refresh), run, instance)
    if not complete:
        failed: Any = next(e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
        error = failed.event_specific_data.error
        # its text may contain anything
        raise NotReported(
            f"The results could not be reported to Dagster ({(error.cause or error).cls_name})"
        )
    _note_failures(house, passed, result.run_id)


@dg.op(
    name="do_all",
    description=(
        "Fetches what is due, ingests the inbox, builds what is stale, writes the report and "
        "checks every stream."
    ),
    out=dg.Out(dg.Nothing),
)
@told_without_values
def do_all(context: dg.OpExecutionContext, house: dg.ResourceParam[House]) -> None:
    """The body of the job."""
    passed = run_pass(house)
    telling.tell_pass(context, house, passed)
    _note_failures(house, passed, context.run_id)
    telling.raise_failures(passed.failures_to_mend)


@dg.job(
    name=JOB,
    description=(
        "Everything that there is to do, now. The runs of `personal-pipeline refresh` and of the "
        "demo are recorded here too."
    ),
)
def refresh_job() -> None:
    """Started by a person, in the UI."""
    do_all()


def _note_failures(house: House, passed: PassResult, run_id: str) -> None:
    """Record what failed in a pass for the next round of alerts."""
    for what, cause in _failures(passed):
        events.record(
            house.home,
            RunFailure(
                run_id=run_id,
                job=JOB,
                at=house.clock(),
                what=what,
                partition="",
                cause=without_values(cause),
                address=address_of(house.home, house.settings, f"/runs/{run_id}"),
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
