"""Dagster's storage over a year of days under `personal-pipeline up`, with and without pruning.

    python -m benchmarks.history_year --home demo

The home is one over which `up` has run for some minutes. Its storage is copied, and each day of the
year adds what a day of `up` adds: the newest run of each job there, once more under another id and
time, with its log; what its ticks of sensors amount to at their intervals; and for each daily table
events for the day and the three before it, for each monthly table one for the month. Rows and files
are copies of real ones, so their sizes are real. After each day old ticks are deleted as Dagster's
daemon does it, and with pruning, old runs as the daily job does it.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dagster as dg

from benchmarks.measured import show_table
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.pruning import KEPT, prune
from personal_pipeline.home import Home

DAYS = 365
RUNS_A_DAY = {"check_sources": 6, "prune_history": 1, "build_what_is_stale": 1}
"""Any other job, such as a fetch, runs once."""
TICKS_A_DAY = {"inbox": 8640, "what_is_stale": 2880, "failed_runs": 2880, "alerts": 1440}
REVISED_DAYS = 4
SKIPPED_TICKS_KEPT = timedelta(days=1)

Row = dict[str, Any]


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """A database in one transaction, which need not survive a power failure."""
    with closing(sqlite3.connect(path, timeout=60)) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("pragma synchronous = off")
        with connection:
            yield connection


def rows(connection: sqlite3.Connection, query: str, *values: object) -> list[Row]:
    """The rows of a query, without their ids, which the copies get anew."""
    found = [dict(row) for row in connection.execute(query, values)]
    return [{name: value for name, value in row.items() if name != "id"} for row in found]


def insert(connection: sqlite3.Connection, table: str, row: Row) -> int:
    """Insert a row, and return its id."""
    columns, marks = ", ".join(f'"{each}"' for each in row), ", ".join("?" * len(row))
    query = f"insert into {table} ({columns}) values ({marks})"
    return connection.execute(query, list(row.values())).lastrowid or 0


def stamp(at: datetime) -> str:
    """A time as Dagster stores it."""
    return at.replace(tzinfo=None).isoformat(" ")


class Year:
    """A copy of a home's storage, to which days are added."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.home = Home(folder).ensure()
        shutil.rmtree(self.home.dagster)
        shutil.copytree(source / "dagster", self.home.dagster)
        self.runs = self.home.dagster / "history" / "runs.db"
        self.shards = self.home.dagster / "history" / "runs"
        self.index = self.shards / "index.db"
        self.ticks = self.home.dagster / "schedules" / "schedules.db"
        for path in (self.runs, self.ticks, *self.shards.glob("*.db")):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("pragma wal_checkpoint(truncate)")
        self._remember()

    def _remember(self) -> None:
        """The rows to copy."""
        with opened(self.runs) as runs, opened(self.index) as index, opened(self.ticks) as ticks:
            newest = (
                "select * from runs where id in (select max(id) from runs group by pipeline_name)"
            )
            self.templates = rows(runs, f"{newest} and status in ('SUCCESS', 'FAILURE')")
            self.tags, self.events, self.checks, self.logs = {}, {}, {}, {}
            for run in self.templates:
                name = run["run_id"]
                self.tags[name] = rows(runs, "select * from run_tags where run_id = ?", name)
                self.events[name] = rows(
                    index,
                    "select *, id as was from event_logs where run_id = ? and (partition is null"
                    " or dagster_event_type not like 'ASSET_MATERIALIZATION%')",
                    name,
                )
                self.checks[name] = rows(
                    index, "select * from asset_check_executions where run_id = ?", name
                )
                self.logs[name] = (self.shards / f"{name}.db").read_bytes()
            last = (
                "select max(id) from event_logs where dagster_event_type = 'ASSET_MATERIALIZATION'"
            )
            self.materializations = []
            for (number,) in index.execute(f"{last} and partition is not null group by asset_key"):
                (row,) = rows(index, "select * from event_logs where id = ?", number)
                tags = rows(index, "select * from asset_event_tags where event_id = ?", number)
                self.materializations.append((row, tags))
            self.sensors = {}
            for tick in rows(ticks, "select * from job_ticks where status = 'SKIPPED'"):
                name = next(
                    each for each in TICKS_A_DAY if f'"job_name": "{each}"' in tick["tick_body"]
                )
                self.sensors[name] = tick
            self.months = {
                row["asset_key"]
                for row, _ in self.materializations
                if index.execute(
                    "select count(*) from event_logs where asset_key = ?"
                    " and partition not like '%-01'",
                    [row["asset_key"]],
                ).fetchone()[0]
                == 0
            }

    def add(self, day: date) -> None:
        """Add a day."""
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        with opened(self.ticks) as ticks:
            for name, count in TICKS_A_DAY.items():
                if tick := self.sensors.get(name):
                    step = timedelta(days=1) / count
                    columns = ", ".join(tick)
                    marks = ", ".join("?" * len(tick))
                    ticks.executemany(
                        f"insert into job_ticks ({columns}) values ({marks})",
                        (
                            [*({**tick, "timestamp": stamp(start + n * step)}).values()]
                            for n in range(count)
                        ),
                    )
        last = ""
        for run in self.templates:
            for _ in range(RUNS_A_DAY.get(run["pipeline_name"], 1)):
                last = self._run(run, start)
        with opened(self.index) as index:
            for row, tags in self.materializations:
                monthly = row["asset_key"] in self.months
                days = [day - timedelta(days=n) for n in range(REVISED_DAYS)]
                for each in [day.replace(day=1)] if monthly else days:
                    copy = {
                        **row,
                        "partition": f"{each}",
                        "run_id": last,
                        "timestamp": stamp(start),
                        "event": row["event"]
                        .replace(row["partition"], f"{each}")
                        .replace(row["run_id"], last),
                    }
                    number = insert(index, "event_logs", copy)
                    for tag in tags:
                        insert(index, "asset_event_tags", {**tag, "event_id": number})

    def _run(self, template: Row, at: datetime) -> str:
        old, new = template["run_id"], str(uuid.uuid4())
        with opened(self.runs) as runs:
            times = {"create_timestamp": stamp(at), "update_timestamp": stamp(at)}
            body = template["run_body"].replace(old, new)
            insert(runs, "runs", {**template, **times, "run_id": new, "run_body": body})
            for tag in self.tags[old]:
                insert(runs, "run_tags", {**tag, "run_id": new})
        (self.shards / f"{new}.db").write_bytes(self.logs[old])
        with opened(self.index) as index:
            numbers: dict[int | None, int | None] = {None: None}
            for row in self.events[old]:
                copy = {
                    **row,
                    "event": row["event"].replace(old, new),
                    "run_id": new,
                    "timestamp": stamp(at),
                }
                was = copy.pop("was")
                numbers[was] = insert(index, "event_logs", copy)
            for row in self.checks[old]:
                copy = {
                    **row,
                    "run_id": new,
                    "create_timestamp": stamp(at),
                    "evaluation_event_storage_id": numbers[row["evaluation_event_storage_id"]],
                }
                insert(index, "asset_check_executions", copy)
        return new

    def purge_ticks(self, instance: dg.DagsterInstance, now: datetime) -> None:
        """As the daemon does after each tick."""
        for tick in self.sensors.values():
            instance.purge_ticks(
                tick["job_origin_id"], tick["selector_id"], (now - SKIPPED_TICKS_KEPT).timestamp()
            )

    def size(self) -> dict[str, float]:
        """MB of each part."""

        def of(*paths: Path) -> float:
            return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6

        logs = [path for path in self.shards.glob("*.db*") if not path.name.startswith("index")]
        return {
            "ticks": of(*self.ticks.parent.glob("schedules.db*")),
            "runs": of(*self.runs.parent.glob("runs.db*")),
            "logs of runs": of(*logs),
            "index": of(*self.shards.glob("index.db*")),
        }


def measure(source: Path, folder: Path, days: int) -> None:
    """A year, twice."""
    table, spent, longest = [], 0.0, 0.0
    pruned, kept = Year(source, folder / "pruned"), Year(source, folder / "kept")
    first = datetime.now(UTC).date() + timedelta(days=1)
    with instance_of(pruned.home) as one, instance_of(kept.home) as other:
        for number in range(days):
            day = first + timedelta(days=number)
            now = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1)
            for year, instance in ((pruned, one), (kept, other)):
                year.add(day)
                year.purge_ticks(instance, now)
            begun = time.process_time()
            prune(one, now - KEPT)
            took = time.process_time() - begun
            spent, longest = spent + took, max(longest, took)
            if number == 0 or (number + 1) % 30 == 0:
                sizes = pruned.size()
                table.append(
                    [
                        f"after {number + 1} days",
                        *(f"{size:,.0f}" for size in sizes.values()),
                        f"{sum(sizes.values()):,.0f}",
                        f"{sum(kept.size().values()):,.0f}",
                    ]
                )
    columns = ("ticks", "runs", "logs", "index", "all", "not pruned")
    show_table("Dagster's storage in MB", columns, table)
    print(f"Pruning a day: {spent / days:.2f} CPU seconds; the longest {longest:.2f}.")


def main() -> None:
    """Simulate in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--days", type=int, default=DAYS)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure(given.home.resolve(), Path(folder), given.days)


if __name__ == "__main__":
    main()
