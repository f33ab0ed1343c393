"""The daemon's side, on a real instance: failed runs, failed checks, and the two sensors."""

from collections.abc import Iterator

import dagster as dg
import pytest

from personal_pipeline.alerts import events
from personal_pipeline.alerts.subjects import Standing
from personal_pipeline.doors.door import address_of
from personal_pipeline.graph import telling
from personal_pipeline.graph.alerting import (
    alert_sensor,
    check_keys_of,
    check_subjects,
    failed_run_sensor,
    last_success,
    note_failures,
)
from personal_pipeline.home import Home
from personal_pipeline.ingest.lake import DamagedPartition
from personal_pipeline_tests.alerts.boards import NOON, house_of
from personal_pipeline_tests.alerts.sinks import WebHook, web_hook

BOARD = "http://127.0.0.1:3000"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
DAYS = dg.DailyPartitionsDefinition("2026-11-01")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as running:
        yield running


@pytest.fixture
def hook() -> Iterator[WebHook]:
    with web_hook() as running:
        yield running


class Fate:
    """What the invented assets do."""

    error: BaseException | None = None
    holds: bool = True
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR


FATE = Fate()


@pytest.fixture(autouse=True)
def _reset() -> None:
    FATE.error, FATE.holds, FATE.severity = None, True, dg.AssetCheckSeverity.ERROR


@dg.asset(key=["marts", "revenue_daily"], partitions_def=DAYS)
def revenue_daily() -> None:
    if FATE.error is not None:
        raise FATE.error


@dg.multi_asset(name="fetch_kit", specs=[dg.AssetSpec(["kit", "subscribers"])])
def fetch_kit():  # type: ignore[no-untyped-def]
    if FATE.error is not None:
        raise FATE.error
    return
    yield


@dg.asset_check(asset=revenue_daily, name="unique")
def unique() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=FATE.holds, severity=FATE.severity, description="3 rows for 'ann@example.com'"
    )


@dg.asset_check(asset=revenue_daily, name=telling.CHECK)
def repeats_the_board() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=True)


REVENUE = dg.define_asset_job("revenue", [revenue_daily])
FETCH = dg.define_asset_job("fetch", [fetch_kit])
CHECKS = dg.define_asset_job("checks", dg.AssetSelection.all_asset_checks())
GRAPH = dg.Definitions(
    [revenue_daily, fetch_kit],
    asset_checks=[unique, repeats_the_board],
    jobs=[REVENUE, FETCH, CHECKS],
)
KEYS = check_keys_of([revenue_daily, fetch_kit, unique, repeats_the_board])


def run(
    instance: dg.DagsterInstance, job: str, day: str | None = None
) -> dg.ExecuteInProcessResult:
    return GRAPH.resolve_job_def(job).execute_in_process(
        instance=instance, partition_key=day, raise_on_error=False, run_config=QUIET
    )


def noted(home: Home, result: dg.ExecuteInProcessResult) -> list[events.RunFailure]:
    failed = [e for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    note_failures(house_of(home), result.dagster_run, failed)
    return events.recorded(home)


def test_a_failed_run_is_noted_with_asset_partition_cause_and_address(
    home: Home, instance: dg.DagsterInstance
) -> None:
    FATE.error = DamagedPartition("the file of 'ann' is damaged: delete it")
    result = run(instance, "revenue", "2026-11-09")
    (failure,) = noted(home, result)
    assert failure.what.endswith("revenue_daily")
    assert failure.partition == "2026-11-09"
    assert failure.cause == "the file of … is damaged: delete it"
    assert failure.address == address_of(home, house_of(home).settings, f"/runs/{result.run_id}")
    assert failure.address.startswith("http://pp-")
    assert "token" not in failure.address


def test_of_an_error_that_may_hold_a_row_only_the_name_is_told(
    home: Home, instance: dg.DagsterInstance
) -> None:
    FATE.error = ValueError("ann smith owes 300")
    (failure,) = noted(home, run(instance, "revenue", "2026-11-09"))
    assert failure.cause == "ValueError; see the run for details."


def test_what_a_service_answered_is_told_by_the_board_alone(
    home: Home, instance: dg.DagsterInstance
) -> None:
    FATE.error = dg.Failure("Kit: the key was refused.", allow_retries=False)
    assert noted(home, run(instance, "fetch")) == []
    FATE.error = KeyError("something that the board cannot know")
    (failure,) = noted(home, run(instance, "fetch"))
    assert failure.cause == "KeyError; see the run for details."


def test_a_run_that_was_killed_is_noted(home: Home, instance: dg.DagsterInstance) -> None:
    killed = run(instance, "fetch").dagster_run
    assert note_failures(house_of(home), killed, []) == 1
    assert "killed" in events.recorded(home)[0].cause


def test_checks_that_repeat_the_board_are_left_out() -> None:
    assert [key.name for key in KEYS] == ["unique"]


def test_a_check_stands_as_it_was_last_evaluated(instance: dg.DagsterInstance) -> None:
    (never,) = check_subjects(instance, KEYS, BOARD)
    assert never.standing is Standing.UNKNOWN
    FATE.holds = False
    failed = run(instance, "checks")
    (bad,) = check_subjects(instance, KEYS, BOARD)
    assert bad.troubles[0].detail == f"3 rows for … {BOARD}/runs/{failed.run_id}"
    FATE.severity = dg.AssetCheckSeverity.WARN
    run(instance, "checks")
    (warned,) = check_subjects(instance, KEYS, BOARD)
    assert warned.troubles == ()
    FATE.holds = True
    run(instance, "checks")
    (good,) = check_subjects(instance, KEYS, BOARD)
    assert (good.standing, good.troubles) == (Standing.WELL, ())


def test_when_a_job_last_ended_well(instance: dg.DagsterInstance) -> None:
    assert last_success(instance, "fetch") is None
    run(instance, "fetch")
    first = last_success(instance, "fetch")
    assert first is not None
    FATE.error = ValueError()
    run(instance, "fetch")
    assert last_success(instance, "fetch") == first


def test_the_sensors_tell_of_a_failed_run_and_a_failed_check_once(
    home: Home, instance: dg.DagsterInstance, hook: WebHook
) -> None:
    house = house_of(home, hook.address)
    FATE.error, FATE.holds = OSError("No space left on device"), False
    result = run(instance, "revenue", "2026-11-09")
    run(instance, "checks")
    failed_runs, alerts = failed_run_sensor(house), alert_sensor(KEYS, house)
    with dg.build_run_status_sensor_context(
        "failed_runs",
        next(e for e in result.all_events if e.event_type_value == "PIPELINE_FAILURE"),
        instance,
        result.dagster_run,
    ) as context:
        for _ in range(2):
            failed_runs(context.for_run_failure())
            with dg.build_sensor_context(instance) as tick:
                alerts(tick)
    assert sorted(hook.titles) == [
        "Run failed: marts/revenue_daily",
        "marts/revenue_daily: unique: check failed",
    ]
    (run_failed,) = (m["message"] for m in hook.messages if m["title"].startswith("Run"))
    address = address_of(home, house.settings, f"/runs/{result.run_id}")
    for part in ("2026-11-09", "No space left on device", address):
        assert part in run_failed
    FATE.holds = True
    run(instance, "checks")
    with dg.build_sensor_context(instance) as tick:
        alerts(tick)
    assert hook.titles[-1] == "marts/revenue_daily: unique: recovered"
    assert house.clock() == NOON
