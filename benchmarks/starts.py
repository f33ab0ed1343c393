"""How long a command takes to start and answer, against the bare start of the command line.

The tables are those of a home, the demo for one: `python -m benchmarks.starts --home demo`. Each
command runs in a process of its own, and runs alternate. CPU time counts: on a machine with other
work, wall clock says how long a process waited.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.measured import show_table

START = "bare start (--version)"
COMMANDS = {
    START: ["--version"],
    "day yesterday": ["day", "yesterday"],
    "timeline --limit 100": ["timeline", "--limit", "100"],
    "on-this-day": ["on-this-day"],
    "records": ["records"],
    "sql 'select 1'": ["sql", "select 1"],
    "status": ["status"],
}


def main() -> None:
    """Print the median CPU time and the fastest run of each command, and what is beyond the bare
    start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=11)
    chosen = parser.parse_args()
    environment = {**os.environ, "PERSONAL_PIPELINE_HOME": str(chosen.home.resolve())}
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in COMMANDS}
    for _ in range(chosen.runs):
        for name, arguments in COMMANDS.items():
            started, used = time.perf_counter(), _used()
            subprocess.run(
                [sys.executable, "-m", "personal_pipeline.cli", *arguments],
                env=environment,
                capture_output=True,
                check=False,
            )
            taken[name].append((_used() - used, time.perf_counter() - started))
    medians = {
        name: (statistics.median(cpu for cpu, _ in times), min(wall for _, wall in times))
        for name, times in taken.items()
    }
    start = medians[START]
    rows = [
        (name, *(text for n in (0, 1) for text in _shown(each[n], start[n])))
        for name, each in medians.items()
    ]
    show_table("Start and answer, ms", ("CPU", "beyond", "fastest", "beyond"), rows)


def _used() -> float:
    """CPU seconds of all processes that were started and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shown(seconds: float, start: float) -> tuple[str, str]:
    return f"{1000 * seconds:.0f}", f"{1000 * (seconds - start):+.0f}"


if __name__ == "__main__":
    main()
