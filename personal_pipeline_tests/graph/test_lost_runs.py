"""Runs whose process was killed, in a real second process."""

from __future__ import annotations

import subprocess
import sys

import dagster as dg
import pytest

from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.home import Busy, Home

ENDLESS = """
import sys, time
from pathlib import Path
import dagster as dg
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home

@dg.op
def wait():
    print("begun", flush=True)
    time.sleep(600)

@dg.job
def endless():
    wait()

with instance_of(Home(Path(sys.argv[1]))) as instance:
    endless.execute_in_process(instance=instance)
"""


@pytest.mark.slow
def test_a_run_is_ended_when_its_process_is_gone_and_not_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAGSTER_HOME", "PERSONAL_PIPELINE_EVENT_LOG"):
        monkeypatch.setenv(name, "")
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", ENDLESS, str(home.root)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        with instance_of(home) as instance:
            assert end_lost_runs(instance) == []
            process.kill()
            process.wait()
            (run,) = instance.get_runs()
            assert run.status is dg.DagsterRunStatus.STARTED
            assert end_lost_runs(instance) == [run.run_id]
            (run,) = instance.get_runs()
            assert run.status is dg.DagsterRunStatus.FAILURE
            assert end_lost_runs(instance) == []
    finally:
        process.kill()
        process.communicate()


def test_one_daemon_at_a_time_looks_after_a_home(home: Home) -> None:
    with (
        home.lock("up", wait_seconds=0),
        pytest.raises(Busy, match="another process of the pipeline has held the lock `up`"),
        home.lock("up", wait_seconds=0),
    ):
        pass
