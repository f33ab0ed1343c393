"""The sensors: when a file is asked for, and when what is stale is."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import dagster as dg
import pytest

from personal_pipeline.graph import building
from personal_pipeline.graph.automation import ASK_AGAIN_AFTER, SeenFile, plan_inbox
from personal_pipeline.graph.building import JOB, build_sensor
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.passes import build_tables
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.build import signature_of
from personal_pipeline_tests.invented_house import NOW, UNTIL
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import TILL

FETCH = "fetch_till_job"


class Watch:
    """The sensor over a house, ticked by hand on an instance in memory; time passes by hand."""

    def __init__(self, house: House, instance: dg.DagsterInstance) -> None:
        self.now = NOW
        self.house = replace(house, clock=lambda: self.now)
        self.instance = instance
        self.cursor: str | None = None
        self.said = ""
        self._sensor = build_sensor([FETCH], self.house)

    def tick(self) -> str | None:
        """What the run that is asked for says it will build; None when none is."""
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        done = self._sensor.evaluate_tick(context)
        self.cursor = done.cursor
        self.said = str(done.skip_message)
        if not done.run_requests:
            return None
        (request,) = done.run_requests
        return request.tags["personal_pipeline/stale"]

    def run(self, job: str, status: dg.DagsterRunStatus) -> dg.DagsterRun:
        run = dg.DagsterRun(job_name=job, status=status)
        self.instance.add_run(run)
        return run

    def end(self, run: dg.DagsterRun) -> None:
        kind = dg.DagsterEventType.RUN_FAILURE
        self.instance.handle_run_event(run.run_id, dg.DagsterEvent(kind.value, run.job_name))

    def later(self, more: timedelta) -> None:
        self.now = self.now + more


@pytest.fixture
def watch(kiosk: Kiosk, copied_kiosk: Home) -> Iterator[Watch]:
    with dg.DagsterInstance.ephemeral() as instance:
        watch = Watch(kiosk.house(copied_kiosk), instance)
        assert watch.tick() is None
        assert watch.said == building.ALL_IS_BUILT
        yield watch


def lose_a_sale(house: House) -> None:
    """From the lake, of the newest day that has more than one, without anybody being told."""
    stream = next(each for each in TILL.api if each.name == "sales")
    lake = lake_of(house.home, "till", stream)
    day = max(day for day in lake.partitions() if len(lake.read(day)) > 1)
    lake.write(day, list(lake.read(day).values())[1:])
    lake.versions()


@pytest.mark.slow
def test_what_is_stale_is_asked_for_once_and_only_where_a_change_reaches(watch: Watch) -> None:
    assert watch.tick() is None
    assert watch.said == "Up to date: nothing has changed since the last build."
    lose_a_sale(watch.house)
    assert watch.tick() == "staging/stg_till__sales"
    assert watch.tick() is None, "its run may be about to start"
    build_tables(watch.house)
    assert watch.tick() is None
    assert watch.said == building.ALL_IS_BUILT


@pytest.mark.slow
def test_it_waits_while_data_comes_in_or_tables_are_built(watch: Watch) -> None:
    lose_a_sale(watch.house)
    for job in (FETCH, JOB):
        for status in (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED):
            run = watch.run(job, status)
            assert watch.tick() is None
            assert watch.said == f"Waiting for {job} to finish."
            watch.end(run)
    assert watch.tick() == "staging/stg_till__sales"


@pytest.mark.slow
def test_a_run_that_was_killed_is_asked_for_again_and_not_at_once(watch: Watch) -> None:
    lose_a_sale(watch.house)
    assert watch.tick()
    watch.end(watch.run(JOB, dg.DagsterRunStatus.STARTED))
    assert watch.tick() is None
    watch.later(building.ASK_AGAIN_AFTER)
    assert watch.tick() == "staging/stg_till__sales"
    watch.later(building.ASK_AGAIN_AFTER)
    assert watch.tick() is None, "what cannot be built must not be tried for ever"
    # what changes meanwhile is asked for at once
    lose_a_sale(watch.house)
    with store.writing(watch.house.home), store.connection(watch.house) as opened:
        opened.execute(
            "delete from pipeline.ledger where asset = 'marts/takings_daily' and partition = ?",
            [UNTIL.isoformat()],
        )
    assert watch.tick() == "staging/stg_till__sales"
    with store.writing(watch.house.home):
        store.publish(watch.house)
    asked = str(watch.tick()).split(", ")
    assert {"marts/takings_daily", "marts/results_monthly", "staging/stg_till__sales"} <= {*asked}


@pytest.mark.slow
def test_another_day_and_another_lake_file_are_looked_at(watch: Watch) -> None:
    seen = signature_of(watch.house)
    watch.later(timedelta(days=1))
    assert signature_of(watch.house) != seen
    watch.later(-timedelta(days=1))
    assert signature_of(watch.house) == seen
    # a folder that is gone
    shutil.rmtree(watch.house.home.lake / "till" / "sales")
    assert signature_of(watch.house) != seen


def test_a_cursor_of_another_version_is_none() -> None:
    for cursor in (None, "", "null", "[]", "{}", '{"other": 1}'):
        assert building._remembered(cursor) == building.Cursor()


def test_a_file_is_asked_for_when_it_stopped_growing() -> None:
    ask, looks = plan_inbox({"a": (1, 1)}, {}, now=0)
    assert ask == []
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=1_000)
    assert ask == []
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=2_000)
    assert ask == ["a"]
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=2_010)
    assert ask == []
    again = 2_000 + ASK_AGAIN_AFTER.total_seconds()
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=again)
    assert ask == ["a"]
    assert plan_inbox({}, looks, now=again) == ([], {})
    changed, _ = plan_inbox({"a": (3, 3)}, {"a": SeenFile(2, 2, again)}, now=again + 1)
    assert changed == []
