"""Passes outside Dagster as runs of the job `refresh`, and that job under Dagster."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from personal_pipeline import serve
from personal_pipeline.alerts import events
from personal_pipeline.graph.alerting import failed_run_sensor
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.recording import JOB, RECORDED, quiet_dagster
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.refresh import refresh
from personal_pipeline_tests.invented_house import query
from personal_pipeline_tests.kiosk.house import Kiosk


def run_job(house: House, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    with quiet_dagster():
        job = definitions_of(house).resolve_job_def(JOB)
        return job.execute_in_process(instance=instance, raise_on_error=False)


def test_a_pass_is_in_the_timeline_as_a_run_of_the_job_that_up_loads(
    kiosk: Kiosk, built_kiosk: Home
) -> None:
    repository = definitions_of(kiosk.house(built_kiosk)).get_repository_def()
    with instance_of(built_kiosk) as instance:
        (run,) = instance.get_runs(dg.RunsFilter(tags={RECORDED: "true"}))
    origin = run.remote_job_origin
    assert origin is not None
    assert (origin.location_name, origin.job_name) == (serve.MODULE, JOB)
    assert origin.repository_origin.repository_name == repository.name
    assert repository.has_job(JOB)
    assert run.is_success


def test_the_job_does_all_that_there_is_to_do(kiosk: Kiosk, copied_kiosk: Home) -> None:
    readings = "select count(*) from staging.stg_meter__readings"
    before = query(copied_kiosk.published, readings)
    (copied_kiosk.inbox / "meter-2025-07.csv").write_text("Day,kWh\n2025-07-01,2.5\n")
    (copied_kiosk.reports / "latest.html").unlink()
    with instance_of(copied_kiosk) as instance:
        assert run_job(kiosk.house(copied_kiosk), instance).success
    assert query(copied_kiosk.published, readings) == [(before[0][0] + 1,)]
    assert not list(copied_kiosk.inbox.glob("meter-*"))


def test_what_fails_in_a_pass_is_told_once_wherever_it_ran(
    kiosk: Kiosk, copied_kiosk: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> Any:
        raise OSError("no table can be built")

    monkeypatch.setattr("personal_pipeline.passes.reconcile", broken)
    house = kiosk.house(copied_kiosk)
    sensor = failed_run_sensor(house)
    with instance_of(copied_kiosk) as instance:
        under_dagster = run_job(house, instance).run_id
    refresh(house)
    with instance_of(copied_kiosk) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
        assert len(runs) == 2
        for run in runs:
            event = instance.all_logs(run.run_id)[-1].dagster_event
            assert event is not None
            context = dg.build_run_status_sensor_context(
                sensor_name=sensor.name,
                dagster_event=event,
                dagster_instance=instance,
                dagster_run=run,
            )
            sensor(context.for_run_failure())
    told = [(each.run_id, each.what) for each in events.recorded(copied_kiosk)]
    assert sorted(told) == sorted((run.run_id, "tables") for run in runs)
    assert under_dagster in dict(told)
