"""One pass without a daemon: fetch what is due, take the inbox, build what is stale, write the
report. The same jobs that the schedules run, executed in this process and recorded in Dagster.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Thread
from typing import Any

import dagster as dg
import duckdb

from personal_pipeline.graph import storage
from personal_pipeline.graph.alerting import check_keys_of, make_round, note_failures
from personal_pipeline.graph.contents import was_told
from personal_pipeline.graph.instance import LOCK_WAIT_SECONDS, instance_of
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.graph.partitions import first_day, partitions_from
from personal_pipeline.graph.raw import inbox_assets, inbox_job
from personal_pipeline.home import Home
from personal_pipeline.house import House, Outcome
from personal_pipeline.ingest import inbox
from personal_pipeline.ingest.again import claim_orphans, read_again
from personal_pipeline.ingest.contract import Progress, Source
from personal_pipeline.ingest.fetch import Pulled, pull_source
from personal_pipeline.ingest.http import NEEDS_A_PERSON
from personal_pipeline.ingest.opening import opened
from personal_pipeline.troubles import sentence_of
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.reconcile import EMPTY
from personal_pipeline.warehouse.store import Kept
from personal_pipeline.warehouse.tables import downstream_of

ROUND_WAIT_SECONDS = 30
"""How long a round of alerts that another process makes is waited for."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass did: looks by source, and what failed, a sentence each."""

    looks: Mapping[str, Sequence[Pulled]]
    outcome: Outcome
    failures: Sequence[str]


def refresh(
    house: House,
    *,
    only: Sequence[Source] | None = None,
    retry: bool = False,
    progress: Progress | None = None,
) -> Passed:
    """Run a pass. ``only`` limits the fetching, and leaves the inbox alone; ``retry`` also builds
    what failed twice and waits.

    Sources are fetched side by side, a thread each: one that stalls costs its own time budget and
    holds back nobody's fetching, and one that breaks is a failure of its own. The runs that record
    what they brought follow one after the other.
    """
    home = _opened(house)
    chosen = [source for source in only or house.sources if house.connected(source)]

    looks: dict[str, Sequence[Pulled]] = {}
    broken: dict[str, Exception] = {}

    def look(source: Source) -> None:
        looks[source.name] = ()
        try:
            looks[source.name] = pull_source(
                home,
                house.settings,
                source,
                {stream.name for stream in source.api},
                clock=house.clock,
                beginning=house.beginning,
                progress=progress,
                accept=source.name in house.accept,
            )
        except Exception as error:  # the pass goes on without this source, whose run fails
            broken[source.name] = error

    from personal_pipeline.graph.definitions import definitions_of

    # daemons, so that Ctrl-C does not wait for a service that stalls; every write is atomic
    threads = [Thread(target=look, args=(source,), daemon=True) for source in chosen]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = {source.name: looks[source.name] for source in chosen}
    house = replace(house, looks=found, broken=broken, progress=progress)

    dropped = [
        f"{source.name}/{stream.name}" for source in house.sources for stream in source.drop_streams
    ]

    def record(instance: dg.DagsterInstance) -> list[str]:
        end_lost_runs(instance)
        definitions = definitions_of(house)
        failed: list[str] = []
        for source in chosen:
            mine = _run(house, definitions, instance, f"fetch_{source.name}_job")
            if source.name in broken:
                mine = [f"{source.title}: {sentence_of(broken[source.name], home.root)}"]
            failed += mine
            # their runs are not red each day, but whoever runs this by hand wants to hear it
            failed += dict.fromkeys(
                str(each.failure)
                for each in found[source.name]
                if each.failure and each.failure.failure in NEEDS_A_PERSON
            )
        # a storage that was begun anew must be told of what was dropped earlier
        if only is None and (
            inbox.waiting(home) or inbox.oddities(home) or not was_told(house, dropped)
        ):
            failed += _run(house, definitions, instance, "take_inbox_job")
        failed += _run(house, definitions, instance, "morning", retry=retry)
        return failed + _run(house, definitions, instance, "check_sources")

    return Passed(house.looks, house.outcome, _recorded(house, record))


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild did. ``differs`` counts by table the partitions whose content is another now
    than in the copy that was published before; it is None when there was no copy to compare."""

    outcome: Outcome
    differs: Mapping[str, int] | None
    failures: Sequence[str]


def rebuild(
    house: House, *, only: Source | None = None, progress: Progress | None = None
) -> Rebuilt:
    """Make the lake of dropped files anew from the archive, and everything else from the lake; with
    ``only`` that of one source, and what follows from it.

    What was fetched is not touched: its lake is the original. The published copy stays until the
    new one is whole. A rebuild that was killed is ended by the next ``refresh``.
    """
    from personal_pipeline.graph.definitions import definitions_of
    from personal_pipeline.warehouse.build import all_tables

    home = _opened(house)
    house = replace(house, progress=progress)
    before = _published(house)
    claim_orphans(home, house.sources)
    for source in [only] if only else house.sources:
        for drop in source.drops:
            read = read_again(
                home, house.sources, source, drop, progress=progress, now=house.clock()
            )
            if read.files or read.problems:
                house.outcome.read_again.append(read)
    failures = [each for read in house.outcome.read_again for each in read.problems]
    with store.writing(home):
        if only:
            tables = all_tables(house)
            names = downstream_of(tables, [f"{only.name}/{each.name}" for each in only.streams])
            with store.connection(home) as writable:
                for name in names:
                    store.forget(writable, tables[name], None)
        else:
            for path in home.root.glob(f"{home.warehouse.name}*"):
                path.unlink()

    def record(instance: dg.DagsterInstance) -> list[str]:
        end_lost_runs(instance)
        return _run(house, definitions_of(house), instance, "morning", retry=True)

    failures += _recorded(house, record)
    return Rebuilt(house.outcome, _differences(before, _published(house)), failures)


def _published(house: House) -> Mapping[str, Mapping[str, Kept]] | None:
    """What the published copy holds; None when there is none, or it cannot be read."""
    try:
        with store.reading(house.home) as copy:
            return store.read_kept(copy)
    except (FileNotFoundError, duckdb.Error):
        return None


def _differences(
    before: Mapping[str, Mapping[str, Kept]] | None, after: Mapping[str, Mapping[str, Kept]] | None
) -> dict[str, int] | None:
    """How many partitions of each table differ. One without rows is as if it were not there."""
    if before is None or after is None:
        return None

    def digests(kept: Mapping[str, Kept]) -> set[tuple[str, str]]:
        return {(each, found.digest) for each, found in kept.items() if found.digest != EMPTY}

    return {
        name: len({each for each, _ in differing})
        for name in sorted({*before, *after})
        if (differing := digests(before.get(name, {})) ^ digests(after.get(name, {})))
    }


def _opened(house: House) -> Home:
    """The home, in the layout of this version."""
    house.outcome.notes += opened(house.home, house.sources)
    return house.home


def take_inbox(house: House) -> list[str]:
    """Take what waits in the inbox, and nothing else. Returns what failed."""
    home = _opened(house)
    # of the graph only what this needs: a person waits, and dbt's part takes seconds to load
    partitions = partitions_from(first_day(home, house.settings, house.sources, house.today))
    taken = inbox_assets(house.sources, partitions, house)
    definitions = dg.Definitions(
        assets=[taken], jobs=[inbox_job(taken)], resources={"house": house},
        executor=dg.in_process_executor,
    )  # fmt: skip
    return _recorded(house, lambda instance: _run(house, definitions, instance, "take_inbox_job"))


def tell_anew(house: House) -> list[str]:
    """Tell a storage of Dagster that was begun anew what there is. Returns what failed."""
    from personal_pipeline.graph.definitions import definitions_of

    def record(instance: dg.DagsterInstance) -> list[str]:
        definitions = definitions_of(house)
        failed = _run(house, definitions, instance, "take_inbox_job")
        return failed + _run(house, definitions, instance, "morning")

    return _recorded(house, record)


def _recorded(house: House, work: Callable[[dg.DagsterInstance], Sequence[str]]) -> list[str]:
    """Do work that Dagster records, and return what it returns: what failed. If its storage turns
    out to be damaged, once more with a new one: every step may be taken twice."""
    home, note = house.home, house.outcome.notes.append
    failed: Sequence[str] = ()
    try:
        with instance_of(home, note) as instance, quiet_dagster():
            failed = work(instance)
        if not failed:
            return []
    except Exception:
        if not _set_aside(house):
            raise
    else:
        if not _set_aside(house):
            return list(failed)
    with instance_of(home, note) as instance, quiet_dagster():
        return list(work(instance))


def _set_aside(house: House) -> bool:
    """Whether the storage of Dagster was damaged; then it no longer is."""
    with house.home.lock("dagster", wait_seconds=LOCK_WAIT_SECONDS):
        said = storage.mend(house.home, thorough=True)
    if said:
        house.outcome.notes.append(said)
    return said is not None


def tell_what_is_new(house: House) -> tuple[str, ...]:
    """Send what is new on the board, among the checks and of failed runs, as the daemon does.
    Returns a line for each message, and for each that could not be sent."""
    from personal_pipeline.graph.definitions import definitions_of

    _opened(house)
    lines: list[str] = []

    def tell(instance: dg.DagsterInstance) -> list[str]:
        graph = definitions_of(house)
        keys = check_keys_of([*(graph.assets or ()), *(graph.asset_checks or ())])
        lines.extend(make_round(house, instance, keys, wait_seconds=ROUND_WAIT_SECONDS).lines)
        return []

    _recorded(house, tell)
    return (*house.outcome.notes, *lines)


def _run(
    house: House,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    *,
    retry: bool = False,
) -> list[str]:
    config: dict[str, Any] = dict(_QUIET)
    if retry:
        config["ops"] = {"build_and_report": {"config": {"retry": True}}}
    result = definitions.resolve_job_def(job).execute_in_process(
        run_config=config, instance=instance, raise_on_error=False
    )
    failed = [event for event in result.all_events if event.event_type_value == "STEP_FAILURE"]
    if failed:
        # the sensor that does this sees only what the daemon runs
        note_failures(house, result.dagster_run, failed)
    return [_cause(event) for event in failed]


def _cause(event: Any) -> str:
    data = event.event_specific_data
    if data.user_failure_data is not None:
        return str(data.user_failure_data.description)
    # of an error that did not pass our hands only the kind: its text may hold what was read
    error = data.error.cause or data.error
    return f"{event.step_key}: {error.cls_name}"


@contextmanager
def quiet_dagster() -> Iterator[None]:
    """Within it, Dagster's notices to developers stay off the terminal of the person."""
    with warnings.catch_warnings():
        for category in (dg.BetaWarning, dg.PreviewWarning, dg.SupersessionWarning):
            warnings.simplefilter("ignore", category)
        yield
