"""Passes over a generated life, each in a process of its own: the first one, and what later ones
cost when nothing, a bank statement or a day has changed, or all tables are gone.

    python -m benchmarks.refresh --years 2 10

CPU seconds of the process and its children, which other programs affect least, and the peak memory
of the largest process. The first pass includes reading every export.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measured import show_table
from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.run import settings_for
from personal_pipeline.demo.services import serve
from personal_pipeline.home import Home
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources import SOURCES

SEED = 11
STATEMENTS = "*_transaction_download.csv"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process and its children took."""

    seconds: float
    wall: float
    megabytes: float


MEASURE = """
import json, resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""
"""Runs a command from a small process: a child counts the memory of the process that forked it."""


def refresh(home: Home, services: Mapping[str, str]) -> Cost:
    """Run ``personal-pipeline refresh``. The first pass ends with exit code 1, because some of the
    invented exports are of a kind that nobody knows."""
    started = time.perf_counter()
    command = [sys.executable, "-P", "-m", "personal_pipeline.cli", "refresh"]
    done = subprocess.run(
        [sys.executable, "-S", "-c", MEASURE, *command],
        env={**os.environ, **services, "PERSONAL_PIPELINE_HOME": str(home.root)},
        cwd=home.root,
        capture_output=True,
        check=True,
    )
    seconds, megabytes = json.loads(done.stdout)
    return Cost(seconds, time.perf_counter() - started, megabytes)


def drop_statement(home: Home, life: Life) -> None:
    """Drop an old bank statement again, with another amount in one line."""
    with TemporaryDirectory() as folder:
        write_drops(life, Path(folder))
        statements = sorted(Path(folder).glob(STATEMENTS))
        chosen = statements[-4]
        lines = chosen.read_text(encoding="utf-8").splitlines(keepends=True)
        middle = len(lines) // 2
        lines[middle] = re.sub(r"\d(?=\D*$)", str(random.Random(SEED).randrange(10)), lines[middle])
        (home.inbox / f"again-{chosen.name}").write_text("".join(lines), encoding="utf-8")


def lose_a_row(home: Home) -> None:
    """Remove a row from a day of balance transactions that is no longer fetched."""
    source = next(source for source in SOURCES if source.name == "stripe")
    stream = next(stream for stream in source.api if stream.name == "balance_transactions")
    lake = lake_of(home, source.name, stream)
    for day in lake.partitions():
        rows = list(lake.read(day).values())
        if len(rows) > 1 and day < datetime.now(UTC).date() - timedelta(days=300):
            lake.write(day, rows[1:])
            return


def drop_tables(home: Home) -> None:
    """Delete everything that can be rebuilt."""
    home.warehouse.unlink()
    home.published.unlink()


def measure(folder: Path, years: int) -> list[tuple[str, Cost]]:
    """The cost of the first pass and of later ones."""
    life = invent(years, SEED, datetime.now(UTC).date() - timedelta(days=1))
    with serve(life) as served:
        home = Home.of(settings_for(served.settings, folder).home).ensure()
        write_drops(life, home.inbox)
        steps: list[tuple[str, Callable[[], object]]] = [
            ("first: everything", lambda: None),
            ("nothing new", lambda: None),
            ("a changed bank statement, with the report", lambda: drop_statement(home, life)),
            ("a changed day, with the report", lambda: lose_a_row(home)),
            ("all tables deleted", lambda: drop_tables(home)),
        ]
        costs = []
        for what, prepare in steps:
            prepare()
            costs.append((what, refresh(home, served.settings)))
        return costs


def main() -> None:
    """Measure lives of these numbers of years."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--years", type=int, nargs="+", default=[2])
    for years in parser.parse_args().years:
        with TemporaryDirectory() as folder:
            costs = measure(Path(folder), years)
        title = f"personal-pipeline refresh, a life of {years} years"
        rows = [
            [what, f"{cost.seconds:.1f}", f"{cost.wall:.1f}", f"{cost.megabytes:.0f}"]
            for what, cost in costs
        ]
        show_table(title, ("s of a core", "s", "MB"), rows)


if __name__ == "__main__":
    main()
