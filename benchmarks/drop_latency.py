"""From dropping a monthly file to the month's marts, with the daemon running: where the time goes.

A year is generated and built with one capture of Medium's statistics held back. Then the daemon is
started as by ``personal-pipeline up``, and the capture is put into the inbox. The timings come from
what Dagster recorded about the runs. Run it: ``python -m benchmarks.drop_latency``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from benchmarks.measured import Measured, show
from personal_pipeline import refresh as passes
from personal_pipeline.demo.run import invented_house
from personal_pipeline.graph import building
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.house import House
from personal_pipeline_tests.loopback import free_port

YEARS, SEED = 1, 11
PATIENCE_SECONDS = 600
RAW = dg.AssetKey(["medium", "story_stats_daily"])
MART = dg.AssetKey(["marts", "engagement_monthly"])
REPORT = dg.AssetKey(["outputs", "daily_report"])


@dataclass(frozen=True, slots=True)
class Step:
    """A run, with the times at which it reached its states, in epoch seconds."""

    asked: float
    dequeued: float
    started: float
    told: float


@contextmanager
def daemon(house: House) -> Iterator[None]:
    """Run ``personal-pipeline up`` over this house, nothing connected, until the block exits."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "personal_pipeline.cli", "up", "--port", str(free_port())],
        env={**os.environ, "PERSONAL_PIPELINE_HOME": str(house.home.root)},
        cwd=house.home.root,  # which has no .env
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def wait(found: Callable[[], object], what: str) -> None:
    """Poll twice per second until there is a result."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not found():
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE_SECONDS} s: {what}")
        time.sleep(0.5)


def newest(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogEntry | None:
    """The most recent materialization of an asset."""
    return instance.get_latest_materialization_event(key)


def step(instance: dg.DagsterInstance, event: dg.EventLogEntry) -> Step:
    """The run that logged a materialization."""
    record = instance.get_run_record_by_id(event.run_id)
    assert record is not None
    logs = instance.all_logs(event.run_id)
    started = next(
        each.timestamp
        for each in logs
        if each.is_dagster_event
        and each.get_dagster_event().event_type is dg.DagsterEventType.STEP_START
    )
    dequeued = next(
        (
            each.timestamp
            for each in logs
            if each.is_dagster_event
            and each.get_dagster_event().event_type is dg.DagsterEventType.PIPELINE_STARTING
        ),
        record.create_timestamp.timestamp(),
    )
    return Step(record.create_timestamp.timestamp(), dequeued, started, event.timestamp)


def measure(folder: Path) -> None:
    """Drop one file, and trace it."""
    with invented_house(YEARS, SEED, folder) as house:
        held_back = max(house.home.inbox.glob("*story-days*"))
        kept = held_back.rename(folder.parent / held_back.name)
        passed = passes.refresh(house)
        assert not passed.failures, passed.failures
        with instance_of(house.home) as instance:
            before = {key: newest(instance, key) for key in (RAW, MART, REPORT)}

            def told(key: dg.AssetKey) -> bool:
                event, known = newest(instance, key), before[key]
                return event is not None and (known is None or event.run_id != known.run_id)

            with daemon(house):
                wait(
                    lambda: (
                        {"inbox", "what_is_stale"}
                        <= {
                            state.instigator_name
                            for state in instance.all_instigator_state()
                            if instance.get_ticks(
                                state.instigator_origin_id, state.selector_id, limit=1
                            )
                        }
                    ),
                    "every sensor has looked once",
                )
                time.sleep(building.INTERVAL_SECONDS)
                dropped = time.time()
                kept.rename(house.home.inbox / kept.name)
                wait(lambda: told(RAW), "the file is in the lake")
                wait(lambda: told(MART), "the marts are built")
                wait(lambda: told(REPORT), "the report is written")
            events = [newest(instance, key) for key in (RAW, MART, REPORT)]
            raw, mart, report = (step(instance, event) for event in events if event is not None)
    assert raw.asked == mart.asked == report.asked, "one run does all"
    show(
        "From a dropped monthly file to the month's marts and the report",
        [
            Measured("until its second equal look", raw.asked - dropped),
            Measured("from there to the marts", mart.told - raw.asked),
            Measured("  in the queue", raw.dequeued - raw.asked),
            Measured("  start of the process", raw.started - raw.dequeued),
            Measured("  taking the file", raw.told - raw.started),
            Measured("  building the marts", mart.told - raw.told),
            Measured("the report, after that", report.told - mart.told),
        ],
    )


def main() -> None:
    """Measure in a temporary folder."""
    with TemporaryDirectory() as folder:
        measure(Path(folder) / "demo")


if __name__ == "__main__":
    main()
