"""Four months of a simulated life, many times over, checked every morning by an oracle.

``personal_pipeline_tests/warehouse/oracle/simulation.py`` describes a life, and what in it is real
or scaled down. A partition is missed if, after the morning's reconcile, its content differs from
what its definition yields, although nothing it reads failed. A build is needless if no input
changed in content since the last one began, the code did not change, and no person asked. Both
counts must be 0, and nothing may be built from rows that failed their tests (``on failed``).
``lost`` counts what the automation alone had left to the reconcile on those mornings before which
it had come to rest (``at rest``): late by hours, never wrong. ``held`` counts mornings on which a
partition waited for a table that failed.

Run it: ``python -m benchmarks.oracle [--seeds 50] [--instance ephemeral|sqlite|both]``. A life
takes half a CPU minute.
"""

from __future__ import annotations

import argparse
import gc
import logging
import multiprocessing
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn
from rich.table import Table

from personal_pipeline_tests.warehouse.oracle.judge import Judged
from personal_pipeline_tests.warehouse.oracle.simulation import life

INSTANCES = ("ephemeral", "sqlite")
PROCESSES = 2
WIDTH = 150

COLUMNS = {
    "needed": "needed",
    "built": "built",
    "missed": "missed",
    "needless": "needless",
    "by code": "by_code",
    "by hand": "by_hand",
    "failed": "failed",
    "retried": "retried",
    "on failed": "on_failed",
    "held": "held",
    "killed": "killed",
    "lost": "lost",
    "untold": "untold",
    "at rest": "settled",
    "runs": "runs",
    "looks": "evaluations",
}
"""Headings, and the figures of ``Judged`` that stand under them."""


def main() -> int:
    """Simulate the lives, print a line per life and the totals. Returns 1 if anything was wrong."""
    parser = argparse.ArgumentParser(description="The proof by oracle.")
    parser.add_argument("--seeds", type=int, default=50, help="lives on each instance (50)")
    parser.add_argument("--days", type=int, default=120, help="days of a life (120)")
    parser.add_argument("--instance", choices=[*INSTANCES, "both"], default="both")
    asked = parser.parse_args()
    instances = INSTANCES if asked.instance == "both" else (asked.instance,)
    console = Console(width=WIDTH)
    console.print(_line("instance", "seed", [*COLUMNS, "seconds"]), style="bold", highlight=False)
    lives: dict[tuple[str, int], Judged] = {}
    bar = Progress(
        "lives", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console
    )
    workers = ProcessPoolExecutor(
        PROCESSES, multiprocessing.get_context("spawn"), initializer=_prepare
    )
    with bar, workers:
        task = bar.add_task("lives", total=asked.seeds * len(instances))
        running = {
            workers.submit(life, seed, instance, days=asked.days): (instance, seed)
            for seed in range(asked.seeds)
            for instance in instances
        }
        for done in as_completed(running):
            instance, seed = running[done]
            judged = lives[instance, seed] = done.result()
            bar.console.print(
                _line(instance, str(seed), [*map(str, _figures(judged)), f"{judged.seconds:.0f}"]),
                style="" if judged.right else "bold red",
                highlight=False,
            )
            for example in judged.examples:
                bar.console.print(f"    {example}", style="red", highlight=False)
            bar.advance(task)
    console.print(_sums(lives, instances))
    if len(instances) > 1:
        alike = sum(
            _figures(lives["ephemeral", seed]) == _figures(lives["sqlite", seed])
            for seed in range(asked.seeds)
        )
        console.print(f"Lives that went alike on both instances: {alike} of {asked.seeds}.")
    return 0 if all(judged.right for judged in lives.values()) else 1


def _prepare() -> None:
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    # imported objects stay alive, and scanning them repeatedly takes a third of the time
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)


def _figures(judged: Judged) -> list[int]:
    return [getattr(judged, name) for name in COLUMNS.values()]


def _line(instance: str, seed: str, figures: Sequence[str]) -> str:
    cells = (
        f"{cell:>{len(name)}}" for cell, name in zip(figures, [*COLUMNS, "seconds"], strict=True)
    )
    return f"{instance:<9} {seed:>4}  {'  '.join(cells)}"


def _sums(lives: dict[tuple[str, int], Judged], instances: Sequence[str]) -> Table:
    table = Table(title="All lives", title_justify="left", title_style="bold")
    for heading in ("instance", "lives", *COLUMNS, "mean s"):
        table.add_column(heading, justify="left" if heading == "instance" else "right")
    for instance in instances:
        of = [judged for (where, _), judged in lives.items() if where == instance]
        sums = [sum(column) for column in zip(*map(_figures, of), strict=True)]
        mean = sum(judged.seconds for judged in of) / len(of)
        table.add_row(instance, str(len(of)), *map(str, sums), f"{mean:.0f}")
    return table


if __name__ == "__main__":
    sys.exit(main())
