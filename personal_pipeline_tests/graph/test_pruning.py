"""Old runs are deleted; what Dagster knows of partitions and checks stays."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from personal_pipeline.graph import event_log, storage
from personal_pipeline.graph.contents import known_contents, materialization
from personal_pipeline.graph.event_log import batched
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.pruning import prune
from personal_pipeline.home import Home

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-08")
KEYS = [dg.AssetKey(["raw", name]) for name in ("charges", "refunds")]
CHECKS = ("state", "unique")


class Contents:
    """What the next run reports: the digest of each of these days."""

    days: tuple[str, ...] = ()
    digest = ""
    fails = False


@dg.multi_asset(
    specs=[dg.AssetSpec(key, skippable=True) for key in KEYS],
    check_specs=[dg.AssetCheckSpec(name, asset=KEYS[0]) for name in CHECKS],
    partitions_def=DAYS,
    can_subset=True,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def load(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
    with batched(context.instance):
        for key in KEYS:
            for day in Contents.days:
                context.log_event(materialization(key, day, Contents.digest, {}))
    context.log_event(dg.AssetObservation(KEYS[0], partition=Contents.days[0]))
    if Contents.fails:
        raise dg.Failure("The disk is full.")
    for name in CHECKS[: len(Contents.days)]:
        yield dg.AssetCheckResult(
            asset_key=KEYS[0], check_name=name, passed=Contents.digest != "third"
        )


DEFINITIONS = dg.Definitions(
    assets=[load], jobs=[dg.define_asset_job("load_job", dg.AssetSelection.all())]
)


@pytest.fixture
def instance(home: Home) -> Iterator[dg.DagsterInstance]:
    with instance_of(home) as running:
        yield running


def run(instance: dg.DagsterInstance, digest: str, *days: str, fails: bool = False) -> str:
    """A run that reports these days; its id."""
    Contents.days, Contents.digest, Contents.fails = days, digest, fails
    done = DEFINITIONS.resolve_job_def("load_job").execute_in_process(
        instance=instance,
        tags={
            "dagster/asset_partition_range_start": "2026-11-01",
            "dagster/asset_partition_range_end": "2026-11-07",
        },
        raise_on_error=False,
    )
    assert done.success is not fails
    return done.run_id


def runs(instance: dg.DagsterInstance) -> list[str]:
    return [each.run_id for each in instance.get_runs()]


def known(instance: dg.DagsterInstance) -> Any:
    """What the pages of assets, and our reports, ask about partitions and checks."""
    log = instance.event_log_storage
    newest: dict[Any, Any] = {}
    for key in KEYS:
        for records in (
            instance.fetch_materializations(key, limit=1000).records,
            instance.fetch_observations(key, limit=1000).records,
        ):
            for record in records:
                kind = (key, record.event_type, record.partition_key)
                newest[kind] = max(record.storage_id, newest.get(kind, 0))
    checks = {
        name: instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(KEYS[0], name))
        for name in CHECKS
    }
    return (
        newest,
        {key: known_contents(instance, key) for key in KEYS},
        {key: instance.get_latest_materialization_event(key) for key in KEYS},
        {key: instance.get_materialized_partitions(key) for key in KEYS},
        {key: log.get_latest_storage_id_by_partition(key, _MATERIALIZATION) for key in KEYS},
        {name: record and (record.run_id, record.evaluation) for name, record in checks.items()},
        instance.get_asset_keys(),
    )


_MATERIALIZATION = dg.DagsterEventType.ASSET_MATERIALIZATION


def later() -> datetime:
    """An instant before which everything happened."""
    return datetime.now(UTC) + timedelta(days=1)


def test_what_is_known_of_partitions_and_checks_survives_its_runs(
    instance: dg.DagsterInstance, home: Home
) -> None:
    first = run(instance, "first", "2026-11-01", "2026-11-02", "2026-11-03")
    failed = run(instance, "second", "2026-11-02", fails=True)
    third = run(instance, "third", "2026-11-03")
    fourth = run(instance, "fourth", "2026-11-03", "2026-11-04")
    last = run(instance, "fifth", "2026-11-05", fails=True)
    before = known(instance)

    assert prune(instance, later()) == 3
    assert runs(instance) == [last, fourth], "the newest run of a job, and the newest success"
    assert known(instance) == before
    # of partitions that were reported again only the newest is left
    found = instance.fetch_materializations(KEYS[0], limit=1000).records
    assert [each.partition_key for each in found] == [f"2026-11-0{day}" for day in (5, 4, 3, 2, 1)]
    for gone in (first, failed, third):
        assert instance.all_logs(fourth)
        assert not list(home.dagster.rglob(f"*{gone}*"))
    assert prune(instance, later()) == 0
    assert known(instance) == before


def test_what_is_recent_stays(instance: dg.DagsterInstance) -> None:
    there = [run(instance, digest, "2026-11-01") for digest in ("first", "second", "third")]
    assert prune(instance, datetime.now(UTC) - timedelta(days=1)) == 0
    assert runs(instance) == there[::-1]
    assert len(instance.fetch_materializations(KEYS[0], limit=1000).records) == 3


def test_a_run_that_has_not_ended_stays(instance: dg.DagsterInstance) -> None:
    run(instance, "first", "2026-11-01")
    started = dg.DagsterRun(job_name="load_job", status=dg.DagsterRunStatus.STARTED)
    instance.add_run(started)
    run(instance, "second", "2026-11-01")
    assert prune(instance, later()) == 1
    assert started.run_id in runs(instance)


def test_a_killed_pruning_is_finished_by_the_next(home: Home, tmp_path: Path) -> None:
    with instance_of(home) as instance:
        for digest in ("first", "second", "third"):
            run(instance, digest, "2026-11-01", "2026-11-02")
    for point in range(4):
        shutil.copytree(home.root, tmp_path / f"{point}")
        with instance_of(Home(tmp_path / f"{point}")) as instance:
            kill_and_finish(instance, point)


def kill_and_finish(instance: dg.DagsterInstance, point: int) -> None:
    """Prunings that are killed after so many deletions, each time one event further, and one that
    is not."""
    before = known(instance)
    calls = 0

    class Killed(BaseException):
        pass

    original = event_log.BatchingSqliteEventLogStorage._delete

    def killed(self: event_log.BatchingSqliteEventLogStorage, events: list[int]) -> None:
        nonlocal calls
        calls += 1
        if calls > point:
            raise Killed
        original(self, events[:1])
        raise Killed

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(event_log.BatchingSqliteEventLogStorage, "_delete", killed)
        for _ in range(point + 1):
            with pytest.raises(Killed):
                prune(instance, later())
            assert known(instance) == before
    assert prune(instance, later()) == 2
    assert known(instance) == before
    assert len(instance.fetch_materializations(KEYS[0], limit=1000).records) == 2


def test_a_storage_that_is_mostly_empty_shrinks(
    instance: dg.DagsterInstance, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = home.dagster / "history" / "runs" / "index.db"
    for number in range(8):
        run(instance, f"number {number}", *DAYS.get_partition_keys())
    size = index.stat().st_size
    monkeypatch.setattr(storage, "COMPACTED_BYTES", 0)
    before = known(instance)
    prune(instance, later())
    assert known(instance) == before
    assert index.stat().st_size < size / 2
    # and what follows is written into it
    run(instance, "last", "2026-11-01")
    assert known_contents(instance, KEYS[0])["2026-11-01"] == "last"


def test_only_the_folder_of_the_run_is_deleted(instance: dg.DagsterInstance) -> None:
    old, new = (run(instance, digest, "2026-11-01") for digest in ("first", "second"))
    for each in (old, new):
        Path(instance.storage_directory(), each).mkdir(parents=True, exist_ok=True)
    prune(instance, later())
    assert not Path(instance.storage_directory(), old).exists()
    assert Path(instance.storage_directory(), new).exists()
