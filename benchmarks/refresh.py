"""Passes over two generated years: the first one by part, and the cost of later ones.

The first is what ``personal-pipeline demo`` does. It should take at most 120 s on two cores, once
everything is installed.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

from benchmarks.measured import Measured, seconds_of, show
from personal_pipeline import passes
from personal_pipeline.demo.run import invented_house
from personal_pipeline.house import House
from personal_pipeline.ingest import fetch, inbox
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.passes import PassResult
from personal_pipeline.refresh import refresh
from personal_pipeline.warehouse import build, dbt_project, store

BUDGET_SECONDS = 120
YEARS, SEED = 2, 11

PARTS: Sequence[tuple[str, ModuleType, Sequence[str]]] = (
    ("fetching, sources side by side", fetch, ("pull_source",)),
    ("reading the inbox", inbox, ("take",)),
    ("dbt", dbt_project, ("run", "manifest_path")),  # the first one parses
    ("finding what is stale", build, ("read_lake", "find_stale")),
    (
        "digests, ledger, publishing",
        store,
        ("digest_partitions", "record", "read_ledger", "existing_tables", "publish"),
    ),
    ("the report", passes, ("write_morning_report", "is_current")),
)


class Spans:
    """Start and end times of the calls of every part."""

    def __init__(self) -> None:
        self._spans: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def timed(self, part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap the function so that its times are recorded here."""

        def call(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments, **named)
            finally:
                self._spans[part].append((started, time.perf_counter()))

        return call

    def seconds(self, part: str) -> float:
        """Seconds during which at least one call of a part was running."""
        total, until = 0.0, 0.0
        for start, end in sorted(self._spans[part]):
            total += max(end - max(start, until), 0.0)
            until = max(until, end)
        return total


@contextmanager
def measured_parts() -> Iterator[Spans]:
    """Time every call of the functions in ``PARTS`` within the block."""
    spans = Spans()
    with ExitStack() as stack:
        for part, module, names in PARTS:
            for name in names:
                original = getattr(module, name)
                setattr(module, name, spans.timed(part, original))
                stack.callback(setattr, module, name, original)
        yield spans


def run(house: House) -> PassResult:
    """One pass."""
    passed = refresh(house)
    assert not passed.failures, passed.failures
    return passed


def lose_a_row(house: House) -> None:
    """Remove a row from a day of balance transactions that is no longer fetched."""
    source = next(source for source in house.sources if source.name == "stripe")
    stream = next(stream for stream in source.api if stream.name == "balance_transactions")
    lake = lake_of(house.home, source.name, stream)
    for day in lake.partitions():
        rows = list(lake.read(day).values())
        if len(rows) > 1 and day < house.today - timedelta(days=300):
            lake.write(day, rows[1:])
            return


def drop_tables(house: House) -> None:
    """Delete everything that can be rebuilt."""
    house.home.warehouse.unlink()
    house.home.published.unlink()


def measure(folder: Path, imports: float) -> None:
    """Measure the demo by part, and then later passes over the same house."""
    started = time.perf_counter()
    with invented_house(YEARS, SEED, folder) as house:
        inventing = time.perf_counter() - started
        with measured_parts() as spans:
            started = time.perf_counter()
            passed = run(house)
            whole = time.perf_counter() - started
        pieces = {
            "reading the inbox": len(passed.taken.receipts),
            "dbt": passed.work.dbt_calls,
        }
        parts = [Measured(part, spans.seconds(part), pieces.get(part, 1)) for part, _, _ in PARTS]
        rest = whole - sum(part.seconds for part in parts)
        show(
            f"The demo: {YEARS} years, seed {SEED}",
            [
                Measured("the budget", BUDGET_SECONDS),
                Measured("in all", imports + inventing + whole),
                Measured("importing dagster", imports),
                Measured("inventing", inventing),
                *parts,
                Measured("the rest: Dagster's definitions, runs and events", rest),
            ],
        )
        later = [
            later_pass(house, "nothing new"),
            later_pass(house, "one changed day", lose_a_row),
            later_pass(house, "full rebuild: warehouse and published copy deleted", drop_tables),
        ]
        show("A refresh of the same house", later[::-1])


def later_pass(
    house: House, what: str, before: Callable[[House], None] = lambda house: None
) -> Measured:
    """Measure a pass after something happened to the house, and what it had to do."""
    before(house)
    started = time.perf_counter()
    passed = run(house)
    seconds = time.perf_counter() - started
    tables = len({each.name for each in passed.work.built})
    return Measured(f"{what}; {passed.work.dbt_calls} dbt calls, {tables} tables", seconds)


def main() -> None:
    """Time imports in a separate process, because this one has already imported everything."""
    command = [sys.executable, "-c", "import personal_pipeline.refresh"]
    with TemporaryDirectory() as folder:
        imports = seconds_of(lambda: subprocess.run(command, check=True))
        measure(Path(folder) / "demo", imports)


if __name__ == "__main__":
    main()
