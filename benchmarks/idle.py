"""`personal-pipeline up` with nothing to do, beside a Dagster with one asset and one sensor.

    python -m benchmarks.idle --home demo --minutes 10

Both run at the same time, so that other programs disturb them alike. Memory is the proportional set
size (PSS): pages that processes share are counted once.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.measured import show_table

HERE = Path(__file__).parents[1]
SETTLED_SECONDS = 120
PORTS = ("3977", "3978")

TRIVIAL = """
import dagster as dg

@dg.asset
def one():
    return 1

@dg.sensor(target=dg.AssetSelection.all(), default_status=dg.DefaultSensorStatus.RUNNING)
def look(context):
    return dg.SkipReason("nothing")

defs = dg.Definitions(assets=[one], sensors=[look])
"""

ROLES = {
    "resource_tracker": "resource tracker",
    "code-server": "code server",
    "api grpc": "process with the definitions",
    "code_server": "process with the definitions",
    "dagster._daemon": "daemon",
    "dagster_ui": "web server",
    "dagster_webserver": "web server",
    "dbt_host": "dbt",
}


@dataclass(frozen=True, slots=True)
class Used:
    """CPU seconds so far, and memory in MB of PSS."""

    seconds: float
    memory: float


@contextmanager
def running(
    *arguments: str, folder: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """``python -m ARGUMENT...`` until the block exits."""
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        parts = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            for each in parts:
                each.kill()
            process.kill()


def used(process: subprocess.Popen[bytes]) -> dict[tuple[str, int], Used]:
    """What a process and everything that it started use, by role and id."""
    parent = psutil.Process(process.pid)
    found = {}
    for each in (parent, *parent.children(recursive=True)):
        try:
            command, times = " ".join(each.cmdline()), each.cpu_times()
            role = next((role for part, role in ROLES.items() if part in command), "command")
            # what a process started that has ended, such as a run
            seconds = sum(times[:4])
            found[role, each.pid] = Used(seconds, each.memory_full_info().pss / 1e6)
        except psutil.NoSuchProcess:
            continue
    return found


def compare(checkout: Path, home: Path, minutes: float) -> None:
    """Run both, and print what they use."""
    with TemporaryDirectory() as folder, ExitStack() as stack:
        trivial = Path(folder)
        (trivial / "one.py").write_text(TRIVIAL)
        started = {
            "one asset and one sensor": stack.enter_context(
                running(
                    *("dagster", "dev", "-f", "one.py", "-p", PORTS[0]),
                    folder=trivial,
                    environment={"DAGSTER_HOME": folder},
                )
            ),
            "up": stack.enter_context(
                running(
                    *("personal_pipeline.cli", "up", "--port", PORTS[1]),
                    folder=home,
                    environment={"PERSONAL_PIPELINE_HOME": str(home), "PYTHONPATH": str(checkout)},
                )
            ),
        }
        time.sleep(SETTLED_SECONDS)
        before = {name: used(process) for name, process in started.items()}
        time.sleep(minutes * 60)
        after = {name: used(process) for name, process in started.items()}
    rows, totals = [], []
    for name, found in after.items():
        rows.append([name, *(f"{figure:,.1f}" for figure in total(before[name], found, minutes))])
        totals.append(total(before[name], found, minutes))
        for key, now in sorted(found.items()):
            part = total({key: before[name].get(key, Used(0, 0))}, {key: now}, minutes)
            rows.append([f"  {key[0]}", *(f"{figure:,.1f}" for figure in part)])
    compared, up = totals
    rows.append(
        ["ratio", *(f"{mine / other:.2f}" for mine, other in zip(up, compared, strict=True))]
    )
    show_table(f"With nothing to do for {minutes:g} minutes", ("% of a core", "MB, PSS"), rows)


def total(
    before: Mapping[tuple[str, int], Used], after: Mapping[tuple[str, int], Used], minutes: float
) -> tuple[float, float]:
    """The share of a core used between two looks, in per cent, and the memory at the second."""
    seconds = sum(each.seconds for each in after.values())
    seconds -= sum(before[key].seconds for key in after.keys() & before.keys())
    return seconds / (minutes * 60) * 100, sum(each.memory for each in after.values())


def main() -> None:
    """Compare over a home that has been built."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=HERE, help="which version to measure")
    parser.add_argument("--home", type=Path, required=True, help="as `demo` made it")
    parser.add_argument("--minutes", type=float, default=10)
    given = parser.parse_args()
    compare(given.checkout.resolve(), given.home.resolve(), given.minutes)


if __name__ == "__main__":
    main()
