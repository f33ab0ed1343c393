"""Apple Health: an export, from zip to queryable tables, against healthkit-to-sqlite.

Every program runs in a process of its own, on the same file, one after the other, and is measured
by seconds, CPU seconds and peak memory. healthkit-to-sqlite is not a dependency of this project:
install it into a separate environment, and pass its executable with ``--against``.

Decision: docs/decisions/0017-apple-health.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from benchmarks.apple_health_export import write_export
from benchmarks.measured import WIDTH


@dataclass(frozen=True, slots=True)
class Run:
    """Resources used by one process."""

    what: str
    seconds: float
    processor_seconds: float
    peak_mb: float


def run(what: str, command: Sequence[str]) -> Run:
    """Run a program to completion. Raises ``RuntimeError`` when it fails."""
    # do not make this program wait for what another one left to be written
    os.sync()
    started = time.perf_counter()
    process = os.posix_spawn(command[0], list(command), dict(os.environ))
    _, status, usage = os.wait4(process, 0)
    seconds = time.perf_counter() - started
    if status:
        raise RuntimeError(f"{what}: {' '.join(command)} failed")
    # kilobytes, but bytes on macOS
    peak = usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return Run(what, seconds, usage.ru_utime + usage.ru_stime, peak)


def measure(records: int, years: float, against: str | None, folder: Path) -> list[Run]:
    """Write an export, and let every program read it; the baseline comes first."""
    export = folder / "export.zip"
    write_export(export, records, years=years)
    ours = [sys.executable, "-m", "benchmarks.apple_health_take", str(export)]
    home = str(folder / "home")
    runs = []
    if against:
        command = [against, str(export), str(folder / "healthkit.db"), "--silent"]
        runs.append(run("healthkit-to-sqlite", command))
    runs.append(run("the inbox", [*ours, home]))
    runs.append(run("the inbox, the same export again", [*ours, home]))
    return runs


def show(records: int, runs: Sequence[Run]) -> None:
    """Print the runs; the ratio compares records per second with the first run."""
    table = Table(title=f"{records:,} records", title_justify="left", title_style="bold")
    table.add_column("")
    for column in ("seconds", "CPU seconds", "records/s", "times", "times by CPU", "peak MB"):
        table.add_column(column, justify="right", no_wrap=True)
    first = runs[0]
    for each in runs:
        table.add_row(
            each.what,
            f"{each.seconds:.1f}",
            f"{each.processor_seconds:.1f}",
            f"{records / each.seconds:,.0f}",
            f"{first.seconds / each.seconds:.1f}",
            f"{first.processor_seconds / each.processor_seconds:.1f}",
            f"{each.peak_mb:.0f}",
        )
    Console(width=WIDTH).print(table)


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs="+", default=[500_000])
    parser.add_argument("--years", type=float, default=5, help="that the records are spread over")
    parser.add_argument("--against", help="the program healthkit-to-sqlite", default=None)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary one by default")
    arguments = parser.parse_args()
    for records in arguments.records:
        with TemporaryDirectory(dir=arguments.folder) as folder:
            runs = measure(records, arguments.years, arguments.against, Path(folder))
            show(records, runs)


if __name__ == "__main__":
    main()
