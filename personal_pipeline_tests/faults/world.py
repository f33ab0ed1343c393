"""What every case begins from, made once, and what a case may use while it does its fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random

from click import Command as Option
from click import Group

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline_tests.faults.child import Command, Ended, Fault
from personal_pipeline_tests.faults.house import EVE, Services, exports, services
from personal_pipeline_tests.faults.judge import Held, Verdict, held
from personal_pipeline_tests.invented_house import NOW

EVE_HOME, TAKEN, DAY = "eve", "taken", "day"
"""A home on the eve; one that fetched and took the new day and built nothing; one that is done."""


@dataclass
class World:
    """Three homes without any fault, what they hold, and the points that commands pass."""

    services: Services
    folder: Path
    new: list[Path]
    truth: dict[str, Held] = field(default_factory=dict)
    points: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def home(self, name: str) -> Home:
        return Home(self.folder / name)

    def dry_run(self, begin: str, arguments: tuple[str, ...], builds: bool) -> tuple[str, ...]:
        """The points that a command passes when nothing happens to it."""
        name = f"{begin} {' '.join(arguments)}"
        if name not in self.points:
            home = Home(self.folder / "dry")
            copy(self.home(begin).root, home.root)
            self.services.new_day()
            ended = Command(
                self.services.environment(home),
                *arguments,
                now=NOW,
                folder=self.folder / "made" / "dry",
                builds=builds,
            ).end()
            self.points[name] = ended.points
            shutil.rmtree(home.root)
        return self.points[name]

    def set(self, begin: str) -> None:
        """The services as they are when a case begins."""
        self.services.has_new_day = begin != EVE_HOME
        self.services.clock = EVE if begin == EVE_HOME else NOW


def can() -> frozenset[str]:
    """The commands and options that there are."""
    assert isinstance(main, Group)
    found = set(main.commands)
    for name, command in main.commands.items():
        found |= {f"{name} {option}" for option in options(command)}
    return frozenset(found)


def options(command: Option) -> list[str]:
    return [option for each in command.params for option in each.opts if option.startswith("--")]


@contextmanager
def world(folder: Path, *, built: bool = True, parsed: Path | None = None) -> Iterator[World]:
    """The homes, made in ``folder`` without any fault; without ``built``, nothing is built in them
    and every case is of what comes in. ``parsed`` is dbt's folder of another home: its project need
    not be parsed again."""
    with services() as served:
        old, new = exports(folder / "exports")
        made = World(served, folder, new)

        def step(name: str, *arguments: str, now: datetime, builds: bool) -> None:
            ended = Command(
                served.environment(made.home(name)),
                *arguments,
                now=now,
                folder=folder / "made" / f"{name} {arguments[0]}",
                builds=builds,
            ).end()
            assert ended.code == 0, ended.said
            made.points[f"{name} {arguments[0]}"] = ended.points
            made.truth[name] = held(made.home(name))

        eve = made.home(EVE_HOME).ensure()
        if parsed:
            copy(parsed, eve.dbt_target)
        for path in old:
            shutil.copy2(path, eve.inbox)
        step(EVE_HOME, "refresh", now=EVE, builds=built)
        step(EVE_HOME, "status", "--notify", now=EVE, builds=built)

        copy(eve.root, made.home(TAKEN).root)
        made.services.new_day()
        bring(made.home(TAKEN), new)
        step(TAKEN, "refresh", now=NOW, builds=False)
        if built:
            copy(made.home(TAKEN).root, made.home(DAY).root)
            step(DAY, "refresh", now=NOW, builds=True)
            step(DAY, "report", now=NOW, builds=True)
        yield made


def copy(old: Path, new: Path) -> None:
    """A copy with times and modes."""
    shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)


def bring(home: Home, files: list[Path]) -> None:
    """Lay files into the inbox."""
    for path in files:
        shutil.copy2(path, home.inbox)


@dataclass
class Attack:
    """A case that goes on: its home, its dice, and what commands of it said."""

    world: World
    home: Home
    scratch: Path
    dice: Random
    builds: bool
    tried: int = 1
    """How often the fault was done."""
    said: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    """What was found wrong while the fault was there, though nobody was told."""
    now: datetime = NOW

    @property
    def services(self) -> Services:
        return self.world.services

    def begin(
        self,
        *arguments: str,
        now: datetime | None = None,
        fault: Fault | None = None,
        zone: str | None = None,
        **settings: object,
    ) -> Command:
        return Command(
            self.services.environment(self.home, **settings),
            *arguments,
            now=now or self.now,
            folder=self.scratch / f"during {len(list(self.scratch.glob('during *')))}",
            fault=fault,
            zone=zone,
            builds=self.builds,
        )

    def runs(
        self,
        *arguments: str,
        now: datetime | None = None,
        fault: Fault | None = None,
        zone: str | None = None,
        **settings: object,
    ) -> Ended:
        ended = self.begin(*arguments, now=now, fault=fault, zone=zone, **settings).end()
        self.said.append(f"$ {' '.join(arguments)} -> {ended.code}\n{ended.said}")
        return ended


@dataclass(frozen=True)
class Outcome:
    """What became of a case. ``remarks`` are things that lost nothing and are not good either."""

    kind: str
    name: str
    tried: int
    verdict: Verdict
    differences: list[str]
    remarks: list[str]
    said: str
