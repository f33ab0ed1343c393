"""Building derived tables: dbt, then a digest of every partition, then the ledger, then the copy.

``build`` builds the requested partitions, stale or not; ``reconcile`` builds those that are stale.
Both take the same steps and leave the same records.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain, Progress
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.warehouse import dbt_project, integrity, store
from personal_pipeline.warehouse.comments import comment
from personal_pipeline.warehouse.lake import Lake, read_lake
from personal_pipeline.warehouse.reconcile import (
    FROM_SCRATCH,
    Batch,
    Begun,
    Failures,
    Inputs,
    Ledger,
    Reason,
    Stale,
    all_versions,
    find_stale,
    given_up,
    in_order,
    next_batch,
)
from personal_pipeline.warehouse.tables import (
    Table,
    Tables,
    downstream_of,
    model_tables,
    owed_tests,
    raw_tables,
    span,
    tested_tables,
)

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MAX_BUILDS = 10
"""How often one partition is built in a pass before the rest is left to the next. This only matters
for inputs that keep changing; whatever is left remains stale."""

MOVED = "changed meanwhile"
"""Recorded instead of the digest of an input that changed while dbt ran."""

WAITED = "not built, because an input failed"


@dataclass(frozen=True, slots=True)
class TestResult:
    """The result of a dbt test. ``message`` contains counts and no rows."""

    table: str
    name: str
    passed: bool
    only_warns: bool
    message: str


@dataclass(frozen=True, slots=True)
class BuiltTable:
    """The result for one derived table in a pass. ``changed`` counts the partitions whose content
    now differs; ``failure`` is dbt's message if it failed. A table that ``waits`` was not tried,
    because only a change or a person can help."""

    name: str
    partitions: int
    changed: int
    rows: int
    reasons: frozenset[Reason] = frozenset()
    failure: str | None = None
    waits: bool = False


@dataclass(slots=True)
class BuildResult:
    """The result of a build or a reconcile, in order."""

    built: list[BuiltTable] = field(default_factory=list)
    tested: list[TestResult] = field(default_factory=list)
    lake: Lake | None = None
    """The state of the lake at the end."""
    current: frozenset[str] = frozenset()
    """The derived tables that a reconcile left with nothing to build, in them or in what they
    read."""
    dbt_calls: int = 0
    notes: list[str] = field(default_factory=list)
    """What a person should know, one sentence each: damage that was found and repaired
    automatically."""

    @property
    def failures(self) -> list[str]:
        """What could not be built, one sentence each."""
        return [f"{each.name}: {each.failure}" for each in self.built if each.failure]

    def add(self, more: BuildResult) -> None:
        """Append the results of later work."""
        self.built += more.built
        self.tested += more.tested
        self.lake = more.lake or self.lake
        self.current = more.current
        self.dbt_calls += more.dbt_calls
        self.notes += more.notes


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state before a batch is built."""

    lake: Lake
    ledger: Ledger
    failures: Failures
    begun: Begun


def all_tables(house: House, manifest: Mapping[str, Any] | None = None) -> dict[str, Table]:
    """Raw streams and dbt models, by name. ``manifest`` is dbt's, if it has been loaded."""
    manifest = manifest or dbt_project.load_manifest(house.home)
    return {**raw_tables(house.sources), **model_tables(manifest, house.settings.of_tables)}


def signature_of(house: House) -> str:
    """Changes whenever lake, SQL, choices, tables or day may have changed, at the cost of a few
    hundred file stats: while it is the same, there is no need to determine what is stale."""
    seen = [
        house.today.isoformat(),
        sorted(house.settings.of_tables.items()),
        dbt_project.changed_at(house.home),
        integrity.stamp_of(house.home.published),
        *(
            lake_of(house.home, source.name, stream).changed_at()
            for source in house.sources
            for stream in source.streams
        ),
    ]
    return _digest(seen)


@dataclass(frozen=True, slots=True)
class StaleNow:
    """The partitions by table that a reconcile would build. ``identity`` stays the same as long as
    these partitions and the content of the lake do."""

    partitions: Mapping[str, Sequence[str]]
    identity: str


def what_is_stale(house: House) -> StaleNow:
    """What a reconcile would build now according to the published tables, which are all that can be
    read while another process writes. Omits what failed twice and is on hold."""
    tables = all_tables(house)
    lake = read_lake(house)
    ledger: Ledger = {}
    failures: Failures = {}
    if house.home.published.exists():
        with store.reading(house) as opened:
            ledger, failures = store.read_ledger(opened), store.read_failures(opened)
    stale = find_stale(tables, lake.versions, ledger, house.today)
    waiting = given_up(tables, lake.versions, ledger, failures, stale)
    blocked = downstream_of(tables, {*lake.damaged, *waiting})
    found = {name: sorted(parts) for name, parts in stale.items() if name not in blocked}
    return StaleNow(found, _digest((sorted(found.items()), lake.versions)))


def _digest(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


def windows(table: Table, partitions: Sequence[str]) -> list[tuple[str, str]]:
    """The half-open windows of days that cover these partitions, adjacent ones merged."""
    if table.grain is Grain.WHOLE:
        return [(date.min.isoformat(), date.max.isoformat())]
    joined: list[tuple[date, date]] = []
    for partition in sorted(partitions):
        start, end = span(table.grain, partition)
        if joined and joined[-1][1] == start:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return [(start.isoformat(), end.isoformat()) for start, end in joined]


def build(house: House, wanted: Mapping[str, Sequence[str]]) -> BuildResult:
    """Build these partitions of these tables, stale or not, upstream tables first.

    A failed table keeps its content and is returned with its failure; nothing is raised for it.
    Raises as ``reconcile`` does.
    """
    return _published(house, partial(_build, house, wanted), builds_all=False)


def _build(
    house: House,
    wanted: Mapping[str, Sequence[str]],
    manifest: Mapping[str, Any],
    session: store.Session,
) -> BuildResult:
    tables = all_tables(house, manifest)
    work = BuildResult()
    _make_ready(tables, session)
    before = _look(house, session)
    stale = find_stale(tables, before.lake.versions, before.ledger, house.today, before.begun)
    # rows that failed their tests, or were not tested because the build was killed, are in their
    # table, and nothing may be built from them
    bad = {
        name
        for name, parts in stale.items()
        if parts.keys() & {*before.failures.get(name, ()), *before.begun.get(name, ())}
    }
    # a table that is rebuilt from scratch or contains bad rows gets all its rows, whatever was
    # requested
    asked: dict[str, dict[str, Reason]] = {
        name: {
            **dict.fromkeys(partitions, Reason.ASKED),
            **(stale[name] if name in bad or _is_outdated(stale, name) else {}),
        }
        for name, partitions in wanted.items()
    }
    held = downstream_of(tables, bad - asked.keys())
    failed = held
    skipped: set[str] = set()
    while batch := next_batch(tables, asked, failed | before.lake.damaged.keys()):
        done = _build_batch(house, manifest, tables, batch, asked, before, session)
        failed |= _not_built(batch, done)
        asked = {name: p for name, p in asked.items() if name not in batch.partitions}
        skipped |= batch.partitions.keys() - {each.name for each in done.built}
        work.add(done)
        before = _look_again(house, before, batch, session)
    for name in [*asked, *sorted(skipped)]:
        message = _nearest(tables, name, before.lake.damaged) or WAITED
        work.built.append(BuiltTable(name, 0, 0, 0, frozenset([Reason.ASKED]), message))
    work.lake = before.lake
    return work


def reconcile(
    house: House, *, retry: bool = False, progress: Progress | None = None
) -> BuildResult:
    """Build what is stale until nothing is, or until everything that is left has failed.

    What failed twice from the same inputs is not retried unless ``retry`` is set; it is returned
    with its failure every time. A damaged warehouse is deleted and rebuilt from the lake. Raises
    ``DamagedWarehouse`` if it is damaged again after that.
    """
    work = partial(_reconcile, house, retry=retry, progress=progress)
    return _published(house, work, builds_all=True)


def _reconcile(
    house: House,
    manifest: Mapping[str, Any],
    session: store.Session,
    *,
    retry: bool = False,
    progress: Progress | None = None,
) -> BuildResult:
    tables = all_tables(house, manifest)
    work = BuildResult()
    builds: Counter[tuple[str, str]] = Counter()
    _make_ready(tables, session)
    failed: set[str] = set()
    before = _look(house, session)
    while True:
        versions, damaged = before.lake.versions, before.lake.damaged
        stale = find_stale(tables, versions, before.ledger, house.today, before.begun)
        failures = {} if retry else before.failures
        waiting = given_up(tables, versions, before.ledger, failures, stale)
        batch = next_batch(tables, stale, failed | damaged.keys(), waiting, before.failures)
        if progress and (batch or work.built):
            built = {each.name for each in work.built} - stale.keys()
            progress("tables", len(built), len(built | stale.keys()))
        if batch is None:
            break
        builds.update((name, each) for name, parts in batch.partitions.items() for each in parts)
        restless = {name for (name, _), times in builds.items() if times > MAX_BUILDS}
        if restless:
            # inputs that change faster than they are built are left to the next pass
            failed |= restless
            continue
        done = _build_batch(house, manifest, tables, batch, stale, before, session)
        failed |= _not_built(batch, done)
        work.add(done)
        before = _look_again(house, before, batch, session)
    for name, partitions in waiting.items():
        if name not in failed:
            message = next(iter(partitions.values())).message
            advice = "on hold until an input changes, or until `personal-pipeline refresh --retry`"
            why = frozenset(stale[name].values())
            failure = f"failed twice; {advice}: {message}"
            work.built.append(BuiltTable(name, len(partitions), 0, 0, why, failure, waits=True))
    for name, message in damaged.items():
        work.built.append(BuiltTable(name, 0, 0, 0, frozenset(), message, waits=True))
    work.lake = before.lake
    held = downstream_of(tables, {*stale, *damaged})
    work.current = frozenset(t.name for t in tables.values() if t.model and t.name not in held)
    return work


def _look(house: House, session: store.Session) -> Snapshot:
    opened = session.opened()
    ledger = store.read_ledger(opened)
    failures = store.read_failures(opened)
    begun = store.read_begun(opened)
    return Snapshot(read_lake(house), ledger, failures, begun)


def _look_again(house: House, before: Snapshot, batch: Batch, session: store.Session) -> Snapshot:
    """The state after a batch: of the ledger, only what is recorded of its tables has changed."""
    opened = session.opened()
    others = {name: kept for name, kept in before.ledger.items() if name not in batch.partitions}
    ledger = {**others, **store.read_ledger(opened, batch.partitions)}
    failures = store.read_failures(opened)
    begun = store.read_begun(opened)
    return Snapshot(read_lake(house), ledger, failures, begun)


def _is_outdated(stale: Stale, name: str) -> bool:
    return not FROM_SCRATCH.isdisjoint(stale.get(name, {}).values())


def _not_built(batch: Batch, done: BuildResult) -> set[str]:
    return batch.partitions.keys() - {each.name for each in done.built if not each.failure}


def _nearest(tables: Tables, name: str, damaged: Mapping[str, str]) -> str | None:
    """What to do about the damaged file that blocks a table."""
    return next((m for each, m in damaged.items() if name in downstream_of(tables, [each])), None)


def _published(
    house: House,
    work: Callable[[Mapping[str, Any], store.Session], BuildResult],
    *,
    builds_all: bool,
) -> BuildResult:
    """Do the work and publish once at the end, even if it fails, so that readers never see half of
    it. If the warehouse is damaged, repeat the work on an empty one, and publish only when that is
    complete."""
    home = house.home
    before = BuildResult()
    # of this pass, and not kept longer: in memory it is ten times its file
    manifest = cache(partial(dbt_project.load_manifest, home))

    def describe(opened: DuckDBPyConnection) -> None:
        comment(opened, manifest())

    with store.writing(home):
        try:
            store.make_ready(home)
            if not store.is_begun_anew(home):
                try:
                    with store.session(house) as session:
                        done = work(manifest(), session)
                finally:
                    store.publish(house, describe)
                return done
        except store.DamagedWarehouse as damage:
            store.begin_anew(home)
            before.notes.append(
                f"The warehouse was damaged ({damage}). It was deleted and rebuilt from the lake; "
                "meanwhile readers kept the last published copy."
            )
        try:
            with store.session(house) as session:
                if not builds_all:
                    before.add(_reconcile(house, manifest(), session))
                before.add(work(manifest(), session))
            store.publish(house, describe)
        except store.DamagedWarehouse as damage:
            raise store.DamagedWarehouse(
                f"The warehouse was rebuilt and is damaged again ({damage}): the disk may be "
                "failing. Readers keep the last published copy."
            ) from damage
    return before


def _build_batch(
    house: House,
    manifest: Mapping[str, Any],
    tables: Tables,
    batch: Batch,
    reasons: Stale,
    before: Snapshot,
    session: store.Session,
) -> BuildResult:
    """One dbt call, and the resulting ledger entries. The caller holds ``writing``."""
    why = {name: frozenset(reasons[name].values()) for name in batch.partitions}
    wanted = batch.partitions
    work = BuildResult()
    store.begin(session.opened(), wanted)
    session.close()
    inputs = Inputs(tables, all_versions(before.lake.versions, before.ledger))
    work.dbt_calls += 1
    results = _dbt(
        house,
        {tables[name].model or "": windows(tables[name], parts) for name, parts in wanted.items()},
        anew=batch.anew,
    )
    models = {result.name: result for result in results if result.kind == "model"}
    work.tested = _tested(manifest, results)
    untested = _untested(manifest, results, {str(tables[name].model) for name in wanted})
    now = read_lake(house).versions
    after = inputs
    if now != before.lake.versions:
        after = Inputs(tables, all_versions(now, before.ledger))
    opened = session.opened()
    # upstream first: each records the content of the inputs that it has just read
    for table in in_order(tables):
        name, partitions = table.name, wanted.get(table.name)
        if partitions is None:
            continue
        result = models.get(table.model or "")
        if result is None or result.status != "success":
            store.untouched(opened, table, set(partitions) - {*before.begun.get(name, ())})
        if result is None or result.status == "skipped":
            continue  # an input failed in this same call: it stays stale, and waits
        # inputs built in this same call count with their new content, all others with their old
        read = {each: inputs.digests(table, each) for each in partitions}
        if result.status == "success":
            store.record_tables(opened, [table])
            failure = _failed_tests(work.tested, untested.get(name, ()), name)
        else:
            failure = result.message
        if failure:
            # the rows that failed their tests are in the table, and no digest may vouch for
            # them: removed from the ledger, they count as missing, what reads them waits, and
            # the next pass tries again; readers keep the previous rows
            if result.status == "success":
                store.forget(opened, table, None if batch.anew else partitions)
            store.record_failures(opened, table, read, failure, house.clock())
            work.built.append(BuiltTable(name, len(partitions), 0, 0, why[name], failure))
            continue
        found = store.digest_partitions(opened, table, partitions)
        surely = {each: _unmoved(read[each], after.digests(table, each)) for each in partitions}
        seen = {each: inputs.partitions(table, each) for each in partitions}
        store.record(opened, table, found, surely, seen, house.clock())
        for known in (inputs, after):
            known.update(name, {each: version.digest for each, version in found.items()})
        previous = before.ledger.get(name, {})
        work.built.append(
            BuiltTable(
                name,
                len(partitions),
                sum(
                    each not in previous or previous[each].digest != version.digest
                    for each, version in found.items()
                ),
                sum(version.rows for version in found.values()),
                why[name],
            )
        )
    return work


def _dbt(
    house: House,
    models: Mapping[str, Sequence[tuple[str, str]]],
    *,
    anew: bool = False,
) -> list[dbt_project.NodeResult]:
    """Build and test models, each for its windows. Raises ``DamagedWarehouse`` if that is why one
    failed."""
    try:
        results = dbt_project.run(
            house.home, list(models), models, house.settings.of_tables, anew=anew
        )
    except dbt_project.DbtFailed:
        store.expect_whole(house.home)
        raise
    broken = [each.message for each in results if each.status in ("error", "runtime error")]
    if sign := next(filter(integrity.speaks_of_damage, broken), None):
        raise store.DamagedWarehouse(sign.splitlines()[0])
    if broken:
        store.expect_whole(house.home)
    return results


def _unmoved(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, str]:
    """The digest that was read of each input. If one changed while dbt ran, it is unknown which
    content was read, so the partition is stale whatever becomes of that input, even if it changes
    back."""
    return {name: digest if after[name] == digest else MOVED for name, digest in before.items()}


def _tested(
    manifest: Mapping[str, Any], results: Sequence[dbt_project.NodeResult]
) -> list[TestResult]:
    owners = tested_tables(manifest)
    return [
        TestResult(
            table=owners[result.unique_id],
            name=result.name,
            passed=result.status == "pass",
            only_warns=result.status == "warn",
            message=result.message,
        )
        for result in results
        if result.unique_id in owners and result.status != "skipped"
    ]


def _untested(
    manifest: Mapping[str, Any],
    results: Sequence[dbt_project.NodeResult],
    models: Collection[str],
) -> dict[str, list[str]]:
    """The tests, by table, that should have run when these models were built but did not because
    dbt was interrupted. A test that also reads a failed model could not run, and is not counted."""
    status = {result.unique_id: result.status for result in results}
    has_failed = any(result.failed for result in results)
    owners = tested_tables(manifest)
    missed: dict[str, list[str]] = {}
    for test, read in owed_tests(manifest, models).items():
        could_run = not has_failed or all(status.get(each) == "success" for each in read)
        if could_run and status.get(test, "skipped") == "skipped":
            missed.setdefault(owners[test], []).append(test.split(".")[2])
    return missed


def _failed_tests(tested: Sequence[TestResult], untested: Sequence[str], table: str) -> str | None:
    failed = [
        f"test {each.name}: {each.message}"
        for each in tested
        if each.table == table and not each.passed and not each.only_warns
    ]
    if untested:
        failed.append(f"its tests did not run ({', '.join(sorted(untested))})")
    if not failed:
        return None
    return f"{'; '.join(failed)}. Readers keep the last good rows"


def _make_ready(tables: Tables, session: store.Session) -> None:
    """Forget what a killed process left unrecorded, and create missing tables, empty, so that every
    table can be read by every other: a source that is not connected has tables without rows."""
    models = [table for table in tables.values() if table.model]
    opened = session.opened()
    store.forget_unrecorded(opened)
    recorded = store.recorded_tables(opened)
    existing = store.existing_tables(opened)
    # a table with recorded partitions is left for a build that recreates it
    outdated = [
        table
        for table in models
        if existing.get(table.name, table.code_version) != table.code_version
        and table.name not in recorded
    ]
    store.drop(opened, outdated)
    missing = [table for table in models if table.name not in existing]
    store.create(opened, [*missing, *outdated])
