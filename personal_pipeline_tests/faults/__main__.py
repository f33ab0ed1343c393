"""``python -m personal_pipeline_tests.faults``: every fault, and what became of it, as a table."""

from __future__ import annotations

import re
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import click
from rich.console import Console
from rich.table import Table

from personal_pipeline_tests.faults import cases
from personal_pipeline_tests.faults.judge import Verdict, by_stream
from personal_pipeline_tests.faults.run import Case, attack
from personal_pipeline_tests.faults.world import DAY, Outcome, World, world


def every(made: World, seed: int, kills: int, disks: int) -> Iterator[Case]:
    """All cases of a run."""
    built = DAY in made.truth
    yield from cases.kills(made, Random(seed), kills)
    if built:
        yield from cases.kills_of_up(Random(seed), kills // 40)
    yield from cases.disks(made, Random(seed), disks)
    yield from cases.read_only()
    yield from cases.damages(made, list(cases.KINDS), list(cases.WAYS))
    yield from cases.clocks(list(cases.CLOCKS))
    yield from cases.faults(list(cases.FAULTS))
    yield from cases.races(builds=built)
    yield from cases.hostile([*cases.CONTENTS, *cases.OTHERS])


def table(outcomes: Sequence[Outcome]) -> Table:
    """A row a kind of fault."""
    grid = Table(title="Faults, and what became of them", title_justify="left")
    grid.add_column("fault")
    for column in ("times tried", *Verdict):
        grid.add_column(column, justify="right")
    kinds = list(dict.fromkeys(each.kind for each in outcomes))
    for kind in [*kinds, "all"]:
        mine = [each for each in outcomes if kind in (each.kind, "all")]
        grid.add_row(
            kind,
            str(sum(each.tried for each in mine)),
            *(str(sum(e.tried for e in mine if e.verdict is verdict)) for verdict in Verdict),
            end_section=kind == kinds[-1],
        )
    return grid


@click.command()
@click.option("--kills", default=200, show_default=True)
@click.option("--disks", default=20, show_default=True)
@click.option("--seed", default=1, show_default=True)
@click.option("--only", default="", help="Only cases whose kind or name match this expression.")
@click.option("--no-tables", is_flag=True, help="Only what comes in: no dbt, a tenth of the time.")
@click.option(
    "--folder", type=click.Path(path_type=Path), help="Work here, and leave what was said."
)
def main(
    kills: int, disks: int, seed: int, only: str, no_tables: bool, folder: Path | None
) -> None:
    """Attack a small house, and say what became of it. Ends with 1 when anything was lost."""
    console = Console()
    wanted = re.compile(only)
    with TemporaryDirectory(prefix="faults-") as scratch:
        place = folder or Path(scratch)
        shutil.rmtree(place / "work", ignore_errors=True)
        (place / "said").mkdir(parents=True, exist_ok=True)
        outcomes: list[Outcome] = []
        with world(place / "work", built=not no_tables) as made, suppress(KeyboardInterrupt):
            named = [
                each
                for each in every(made, seed, kills, disks)
                if wanted.search(f"{each.kind}: {each.name}")
            ]
            for number, case in enumerate(named, 1):
                begun = time.monotonic()
                outcome = attack(made, case, seed, place / "case")
                outcomes.append(outcome)
                bad = outcome.verdict in (Verdict.LOST, Verdict.SILENT)
                console.print(
                    f"{number}/{len(named)} {time.monotonic() - begun:5.1f} s  "
                    f"{outcome.verdict:20} {outcome.tried} {case.kind}: {case.name}"
                    + "".join(f"\n         remark: {each}" for each in outcome.remarks)
                    + "".join(f"\n         {each}" for each in by_stream(outcome.differences)[:8]),
                    markup=False, highlight=False, soft_wrap=True,
                )  # fmt: skip
                if bad or outcome.remarks:
                    name = re.sub(r"\W+", "-", f"{case.kind} {case.name}")[:120]
                    found = "\n".join(outcome.differences)
                    (place / "said" / f"{name}.txt").write_text(f"{found}\n\n{outcome.said}")
        # also when Ctrl-C ended it before the last case
        console.print(table(outcomes))
        sys.exit(any(o.verdict in (Verdict.LOST, Verdict.SILENT) for o in outcomes))


if __name__ == "__main__":
    main()
