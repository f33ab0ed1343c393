"""The checks and the board in Dagster: run as the schedule runs them, on a real home."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from personal_pipeline.checks import FILES, FilesCheck
from personal_pipeline.graph.checks import checks_job, checks_schedule, stream_checks
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.outputs import board_asset
from personal_pipeline.graph.partitions import partitions_from
from personal_pipeline.graph.raw import api_assets, inbox_assets
from personal_pipeline.graph.recording import record_pass
from personal_pipeline.graph.telling import BOARD, CHECK
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.ingest.memory import StreamMemory, recall, remember
from personal_pipeline.passes import PassResult
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.test_board import NOW, ORDERS, drop, fetched, house

SECRET = "4711@example.org"
WARN, ERROR = dg.AssetCheckSeverity.WARN, dg.AssetCheckSeverity.ERROR


def definitions(house: House) -> dg.Definitions:
    partitions = partitions_from(date(2026, 8, 1))
    assets = [
        *(api_assets(source, partitions, house) for source in house.sources if source.api),
        inbox_assets(house.sources, partitions, house),
    ]
    checks, board = stream_checks(house.sources), board_asset()
    job = checks_job(checks, board)
    return dg.Definitions(
        assets=[*assets, board],
        asset_checks=checks,
        jobs=[job],
        schedules=[checks_schedule(job, house)],
        resources={"house": house},
        executor=dg.in_process_executor,
    )


@dataclass(frozen=True)
class Ran:
    """What a run of the job left: the check of each stream, and the newest board."""

    checks: dict[str, dg.AssetCheckEvaluation]
    board: Any

    def of(self, stream: str) -> dict[str, Any]:
        """The metadata of a check, as plain values."""
        return {name: each.value for name, each in self.checks[stream].metadata.items()}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def run(home: Home, instance: dg.DagsterInstance, now: datetime = NOW) -> Ran:
    result = (
        definitions(house(home, now))
        .resolve_job_def("check_sources")
        .execute_in_process(instance=instance)
    )
    assert result.success
    event = instance.get_latest_materialization_event(BOARD)
    assert event is not None
    return Ran(
        {each.asset_key.path[-1]: each for each in result.get_asset_check_evaluations()},
        event.asset_materialization,
    )


def test_all_is_well(home: Home, instance: dg.DagsterInstance) -> None:
    fetched(home, ORDERS, date(2026, 11, 19), date(2026, 11, 20), rows=30)
    drop(home, "2026-11-03", "visits,2026-10-03", "visits,2026-10-04")
    ran = run(home, instance)
    assert set(ran.checks) == {"orders", "refunds", "visits", "visitors"}
    assert {each.passed for each in ran.checks.values()} == {True}
    orders = ran.of("orders")
    assert orders.pop("last fetched") == NOW.timestamp()
    assert orders == {
        "state": "fresh",
        "newest event": "20 Nov 2026",
        "next expected": "2026-11-22",
        "rows": 60,
        "unreadable": 0,
        "unreadable share": 0.0,
    }
    assert ran.of("visits")["newest event"] == "Oct 2026"
    assert ran.of("refunds")["state"] == "no data yet"


def test_late_and_failing_are_errors_and_due_is_a_warning(
    home: Home, instance: dg.DagsterInstance
) -> None:
    fetched(home, ORDERS, date(2026, 11, 20))
    drop(home, "2026-10-03", "visits,2026-10-03")
    now = NOW + timedelta(hours=27)
    remember(home, "shop", "refunds", StreamMemory().failed(now, Failure.SERVICE_DOWN, "HTTP 503."))
    checks = run(home, instance, now).checks
    assert {name: (each.passed, each.severity) for name, each in checks.items()} == {
        "orders": (False, WARN),
        "refunds": (False, ERROR),
        "visits": (False, ERROR),
        "visitors": (True, WARN),
    }
    assert checks["refunds"].description == "Failing. HTTP 503."
    assert checks["refunds"].metadata["cause"].value == "service down"
    assert checks["visits"].description == "Late. Click export."


def test_fields_that_come_and_go_are_told_by_name(home: Home, instance: dg.DagsterInstance) -> None:
    lake = lake_of(home, "shop", ORDERS)
    fetched(home, ORDERS, date(2026, 11, 20))
    lake.write(date(2026, 11, 20), [Row(f"{n}", {"id": n, "mail": SECRET}) for n in range(30)])
    assert run(home, instance).checks["orders"].passed
    lake.write(date(2026, 11, 22), [Row("99", {"id": 99, "phone": SECRET})])
    ran = run(home, instance, NOW + timedelta(days=1))
    orders = ran.checks["orders"]
    assert (orders.passed, orders.severity) == (False, WARN)
    assert orders.description == "New fields: phone. Missing fields: mail."
    assert (ran.of("orders")["new fields"], ran.of("orders")["missing fields"]) == (
        "phone",
        "mail",
    )
    # after two weeks everybody knows
    for days in (2, 8, 16):
        now = NOW + timedelta(days=days)
        remember(
            home, "shop", "orders", recall(home, "shop", "orders").succeeded(now, unreadable=0)
        )
        checks = run(home, instance, now).checks
    assert checks["orders"].passed


def test_no_value_of_a_record_reaches_dagster(home: Home, instance: dg.DagsterInstance) -> None:
    fetched(home, ORDERS, date(2026, 11, 20))
    lake = lake_of(home, "shop", ORDERS)
    lake.write(date(2026, 11, 20), [Row(SECRET, {"id": SECRET, "mail": SECRET})])
    drop(home, "2026-11-03", "visits,2026-10-03", SECRET)
    run(home, instance)
    records = instance.fetch_materializations(BOARD, limit=1).records
    checks = run(home, instance).checks
    assert checks["visits"].description == "Unreadable records in the last fetch or file: 1."
    assert SECRET not in repr(records)
    assert SECRET not in repr(checks)
    assert "orders" in repr(records)


def test_a_damaged_lake_file_leaves_the_other_checks(
    home: Home, instance: dg.DagsterInstance
) -> None:
    fetched(home, ORDERS, date(2026, 11, 20))
    drop(home, "2026-11-03", "visits,2026-10-03")
    lake_of(home, "shop", ORDERS).path(date(2026, 11, 20)).write_bytes(b"no gzip")
    checks = run(home, instance).checks
    assert (checks["orders"].passed, checks["orders"].severity) == (False, ERROR)
    assert checks["visits"].passed


def test_the_board_is_the_metadata_of_an_asset(home: Home, instance: dg.DagsterInstance) -> None:
    fetched(home, ORDERS, date(2026, 11, 20))
    board = run(home, instance).board
    table = board.metadata["board"].value
    assert "| Shop | orders | fresh | 21 Nov 2026, 06:00 UTC | 20 Nov 2026 |" in table
    assert board.metadata["fresh"].value == 1
    assert board.metadata["no data yet"].value == 3
    # a change of the board is a change of the asset
    late = run(home, instance, NOW + timedelta(days=3)).board
    version = "dagster/data_version"
    assert late.tags[version] != board.tags[version]
    assert late.metadata["late"].value == 1


def test_one_check_can_be_run_alone(home: Home, instance: dg.DagsterInstance) -> None:
    fetched(home, ORDERS, date(2026, 11, 20))
    key = dg.AssetCheckKey(dg.AssetKey(["shop", "orders"]), CHECK)
    job = dg.define_asset_job("one", dg.AssetSelection.checks(key))
    made = definitions(house(home))
    result = (
        dg.Definitions.merge(made, dg.Definitions(jobs=[job]))
        .resolve_job_def("one")
        .execute_in_process(instance=instance)
    )
    assert [each.asset_check_key for each in result.get_asset_check_evaluations()] == [key]


def test_every_stream_of_the_house_has_a_check(home: Home) -> None:
    (checks,) = stream_checks(SOURCES)
    assert {key.asset_key.to_user_string() for key in checks.check_keys} == {
        f"{source.name}/{stream.name}" for source in SOURCES for stream in source.streams
    }


def test_the_first_check_of_a_day_is_half_an_hour_after_the_report(home: Home) -> None:
    of_the_person = house(
        home, PERSONAL_PIPELINE_REPORT_HOUR="7", PERSONAL_PIPELINE_TIMEZONE="Europe/Berlin"
    )
    made = definitions(of_the_person)
    (schedule,) = made.schedules or ()
    assert isinstance(schedule, dg.ScheduleDefinition)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedule.execution_timezone == "Europe/Berlin"
    assert schedule.cron_schedule == "30 3,7,11,15,19,23 * * *"


def test_a_pass_reports_the_check_of_files_when_its_result_changes(home: Home) -> None:
    at = house(home)

    def reported(*troubles: str) -> list[tuple[bool, str | None]]:
        """Every result in Dagster, newest first, after a pass that found these troubles."""
        record_pass(at, PassResult(files=FilesCheck(troubles)))
        with instance_of(home) as instance:
            found = instance.event_log_storage.get_asset_check_execution_history(
                dg.AssetCheckKey(BOARD, FILES), limit=10
            )
        evaluations = [
            each.event.get_dagster_event().asset_check_evaluation_data
            for each in found
            if each.event
        ]
        return [(each.passed, each.description) for each in evaluations]

    assert reported() == [(True, None)]
    assert reported() == [(True, None)]
    damaged = (False, "An original is damaged.")
    assert reported("An original is damaged.") == [damaged, (True, None)]
    assert reported("An original is damaged.") == [damaged, (True, None)]
