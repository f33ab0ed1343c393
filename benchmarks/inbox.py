"""The inbox with many tiny files and with one huge one.

Tiny files: bank statements, ingested in batches against one ``take`` per file; CPU seconds are
shown next to wall clock seconds, because a busy machine changes the latter. The huge one: this many
Kit subscribers in one CSV, with peak memory. Run it:
``python -m benchmarks.inbox`` with ``--files 4000`` and ``--rows 10000000``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.measured import Measured, show
from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_all, ingest_file, waiting
from personal_pipeline.sources import SOURCES

KILOBYTES_IN_A_MEGABYTE = 1024


def statements(home: Home, count: int) -> None:
    """Small card statements of five rows each, over two years."""
    chance = random.Random(1)
    folder = home.inbox / "card-1234"
    folder.mkdir()
    header = "Transaction Date,Post Date,Description,Category,Type,Amount,Memo\n"
    for number in range(count):
        rows = ""
        for _ in range(5):
            year, month, day = chance.randrange(2024, 2026), chance.randint(1, 12), 1
            at = f"{month:02}/{day:02}/{year}"
            amount = f"{chance.randrange(-9999, 9999) / 100:.2f}"
            rows += f"{at},{at},Shop {chance.randrange(99_999)},Food,Sale,{amount},\n"
        (folder / f"{number:05}.csv").write_text(header + rows)


def subscribers(home: Home, count: int) -> None:
    """One Kit export, as CSV."""
    with (home.inbox / "subscribers.csv").open("w") as target:
        target.write("email,first_name,created_at,state\n")
        for number in range(count):
            at = f"2025-0{1 + number % 9}-11 12:00:00 UTC"
            target.write(f"reader{number}@example.org,Ann {number},{at},active\n")


def one_by_one(home: Home) -> None:
    """One batch per file, as before."""
    for path in waiting(home):
        ingest_file(home, SOURCES, path, datetime.now(UTC))


def together(home: Home) -> None:
    """All waiting files in batches."""
    for _ in ingest_all(home, SOURCES, waiting(home), lambda: datetime.now(UTC)):
        pass


def _measured(
    make: Callable[[Home, int], None], count: int, way: Callable[[Home], None], sender: object
) -> None:
    with TemporaryDirectory() as folder:
        home = Home(Path(folder) / "home").ensure()
        make(home, count)
        started, used = time.perf_counter(), time.process_time()
        way(home)
        took = time.perf_counter() - started, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KILOBYTES_IN_A_MEGABYTE
    sender.send((*took, peak))  # type: ignore[attr-defined]


def measured(
    make: Callable[[Home, int], None], count: int, way: Callable[[Home], None]
) -> tuple[float, float, float]:
    """Wall clock seconds, CPU seconds and peak MB, measured in a separate process."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_measured, args=(make, count, way, sender))
    process.start()
    sender.close()
    found: tuple[float, float, float] = receiver.recv()
    process.join()
    return found


def main() -> None:
    """Measure both, in separate homes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000)
    parser.add_argument("--rows", type=int, default=500_000)
    given = parser.parse_args()
    ways = {"one by one": one_by_one, "together": together}
    found = {what: measured(statements, given.files, way) for what, way in ways.items()}
    for title, place in (("seconds", 0), ("seconds of the processor", 1)):
        show(
            f"{given.files:,} tiny statements: {title}",
            [Measured(what, each[place], given.files) for what, each in found.items()],
        )
    seconds, used, peak = measured(subscribers, given.rows, together)
    show(
        f"One export of {given.rows:,} rows; at most {peak:,.0f} MB of memory",
        [
            Measured("seconds", seconds, given.rows),
            Measured("seconds of the processor", used, given.rows),
        ],
    )


if __name__ == "__main__":
    main()
