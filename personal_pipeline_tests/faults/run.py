"""Doing one case: a copy of a home, the fault, the person, the verdict."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from personal_pipeline.home import Home
from personal_pipeline_tests.faults.judge import Person, Verdict, expected, judge
from personal_pipeline_tests.faults.world import (
    DAY,
    EVE_HOME,
    TAKEN,
    Attack,
    Outcome,
    World,
    bring,
    can,
    copy,
)


@dataclass(frozen=True)
class Case:
    """A fault. ``kind`` is its row in the table; ``do`` does it to the home of the attack, which
    began as ``begin`` says; ``builds`` says whether tables are built and judged, too."""

    kind: str
    name: str
    begin: str
    do: Callable[[Attack], None]
    builds: bool = False


def attack(world: World, case: Case, seed: int, folder: Path) -> Outcome:
    """Do a case in a folder that goes afterwards."""
    shutil.rmtree(folder, ignore_errors=True)
    home = Home(folder / "home")
    copy(world.home(case.begin).root, home.root)
    world.set(case.begin)
    doing = Attack(world, home, folder, Random(f"{seed} {case.kind} {case.name}"), case.builds)
    if case.begin == EVE_HOME:
        world.services.new_day()
        bring(home, world.new)
    copy(home.root, folder / "backup")
    case.do(doing)
    world.services.new_day()
    # what is to be there at the end
    end = DAY if case.builds else TAKEN if case.begin == EVE_HOME else case.begin
    person = Person(world.services, home, folder / "backup", folder, can(), case.builds)
    verdict, left = judge(person, expected(world.truth[case.begin], world.truth[end]))
    if doing.wrong:
        verdict, left = Verdict.SILENT, [*doing.wrong, *left]
    said = "\n".join([*doing.said, *person.said])
    outcome = Outcome(case.kind, case.name, doing.tried, verdict, left, remarks(doing, said), said)
    shutil.rmtree(folder, ignore_errors=True)
    return outcome


def remarks(doing: Attack, said: str) -> list[str]:
    """What lost nothing and is not good either."""
    found = []
    if "Traceback (most recent call last)" in said:
        found.append("a traceback instead of a sentence")
    if "-> -1000\n" in said:
        found.append("a command that did not end")
    litter = [
        path.relative_to(doing.home.root).as_posix()
        for path in doing.home.root.rglob("*")
        if (path.name.startswith(".") and path.suffix == ".tmp")
        or path.name.startswith("unpacked-")
        or path.parent == doing.home.dbt_target / "runs"
    ]
    if litter:
        found.append(f"left behind: {', '.join(litter[:3])}")
    return found
