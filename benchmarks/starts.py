"""How long a command takes to start and answer, against the bare start of the command line.

The tables are those of a home, the demo for one: `python -m benchmarks.starts --home demo`. Each
command runs in a process of its own; runs alternate, so that other work on the machine costs all of
them alike.
"""

from __future__ import annotations

import argparse
import os
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
    """Print the median of each command, and what it takes beyond the bare start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--runs", type=int, default=11)
    chosen = parser.parse_args()
    environment = {**os.environ, "PERSONAL_PIPELINE_HOME": str(chosen.home.resolve())}
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(chosen.runs):
        for name, arguments in COMMANDS.items():
            started = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "personal_pipeline.cli", *arguments],
                env=environment,
                capture_output=True,
                check=False,
            )
            taken[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    rows = [
        (name, f"{1000 * each:.0f}", f"{1000 * (each - medians[START]):+.0f}")
        for name, each in medians.items()
    ]
    show_table("Start and answer", ("ms, median", "beyond the bare start"), rows)


if __name__ == "__main__":
    main()
