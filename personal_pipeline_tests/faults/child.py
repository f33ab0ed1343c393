"""A command of the house in a process of its own, which can be made to die at a chosen instruction.

Every change of a file below the home, every sync, every start of dbt and every opening of a
database passes a *point*. A point is named by what is done and by the function of the house that
does it, so that the same point is found again in the next run. Processes are forked from one that
has imported everything: the command itself is what takes the time.
"""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from types import FrameType
from typing import Any

PRELOADED = [
    "personal_pipeline.cli",
    "personal_pipeline.refresh",
    "personal_pipeline.graph.definitions",
    "personal_pipeline.board",
    "personal_pipeline.outputs.morning",
    "personal_pipeline.sources",
    "personal_pipeline_tests.faults.child",
]

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.chmod", "os.link")
OURS = f"{os.sep}personal_pipeline{os.sep}"


CLOCK = """
import importlib.util, sys
from datetime import datetime

class Then(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromisoformat({now!r})

class Late:
    def find_spec(self, name, path, target=None):
        if name != "personal_pipeline.house":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        execute = spec.loader.exec_module
        def with_clock(module):
            execute(module)
            module.datetime = Then
        spec.loader.exec_module = with_clock
        return spec

sys.meta_path.insert(0, Late())
"""
"""``sitecustomize`` of the processes that the command starts: they have the same clock."""


@dataclass(frozen=True)
class Point:
    """The ``number``-th time that ``name`` is passed, counted from one."""

    name: str
    number: int

    def __str__(self) -> str:
        return f"{self.name} ({self.number})"


@dataclass(frozen=True)
class Fault:
    """What happens at a point: the process dies (with dbt or alone) after ``delay`` seconds, or
    from then on nothing more can be written."""

    at: Point
    what: str = "kill"
    """``kill``, ``kill alone`` or ``full``."""
    delay: float = 0


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code (negative: the signal), what it printed, and the points
    that it passed."""

    code: int
    said: str
    points: tuple[str, ...] = ()

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(PRELOADED)


class Command:
    """``personal-pipeline`` with these arguments, begun; without ``builds``, ``refresh`` fetches
    and takes the inbox only."""

    def __init__(
        self,
        environment: Mapping[str, str],
        *arguments: str,
        now: datetime,
        folder: Path,
        fault: Fault | None = None,
        zone: str | None = None,
        builds: bool = True,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.process: ForkServerProcess = _SERVER.Process(
            target=_live,
            args=(dict(environment), arguments, now, folder, fault, zone, builds),
            daemon=True,
        )
        self.process.start()

    def end(self, seconds: float = 240) -> Ended:
        """Wait for its end, and end what it left running. One that hangs gets -1000."""
        self.process.join(seconds)
        hung = self.process.exitcode is None
        pid = self.process.pid
        assert pid is not None
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        self.process.join()
        code = -1000 if hung else self.process.exitcode or 0
        points = self.folder / "points.json"
        return Ended(
            code,
            (self.folder / "said").read_text(errors="replace"),
            tuple(json.loads(points.read_bytes())) if points.exists() else (),
        )


def _live(
    environment: dict[str, str],
    arguments: Sequence[str],
    now: datetime,
    folder: Path,
    fault: Fault | None,
    zone: str | None,
    builds: bool,
) -> None:
    os.setsid()
    os.environ.update(environment)
    os.environ["COLUMNS"] = "400"
    if zone:
        os.environ["TZ"] = zone
        time.tzset()
    os.chdir(folder)
    (folder / "sitecustomize.py").write_text(CLOCK.format(now=now.isoformat()))
    root = str(Path(__file__).parents[2])
    os.environ["PYTHONPATH"] = os.pathsep.join([str(folder), root])
    with (folder / "said").open("wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    sys.stdin = io.StringIO()
    for number, name in ((1, "stdout"), (2, "stderr")):
        setattr(sys, name, os.fdopen(os.dup(number), "w", buffering=1, errors="replace"))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    from rich.console import Console

    from personal_pipeline import cli, house, passes
    from personal_pipeline.house import House
    from personal_pipeline.warehouse import build

    if not builds:
        # dbt takes the time, and says nothing of what came in
        def without_tables(house: House, **more: Any) -> build.BuildResult:
            return build.BuildResult()

        passes.build_tables = without_tables

    cli.CONSOLE, cli.ERRORS = Console(width=400), Console(stderr=True, width=400)

    class Then(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return now

    house.datetime = Then  # type: ignore[attr-defined]
    passed = _watch(environment["PERSONAL_PIPELINE_HOME"], fault)
    try:
        cli.main(list(arguments), prog_name="personal-pipeline")
    finally:
        (folder / "points.json").write_text(json.dumps(passed))


def _watch(home: str, fault: Fault | None) -> list[str]:
    """Note every point that is passed, and do the fault at its own."""
    passed: list[str] = []
    counted: Counter[str] = Counter()
    busy = threading.local()
    full = threading.Event()

    def point(event: str) -> None:
        if getattr(busy, "now", False):
            return
        busy.now = True
        try:
            name = f"{event} in {_place(sys._getframe(2))}"
            passed.append(name)
            counted[name] += 1
            if fault is not None and fault.at == Point(name, counted[name]):
                if fault.what == "full":
                    full.set()
                elif fault.delay:
                    later = threading.Timer(fault.delay, _die, [fault.what])
                    later.daemon = True
                    later.start()
                else:
                    _die(fault.what)
        finally:
            busy.now = False
        if full.is_set() and event in ("open", "os.mkdir", "sync", "os.rename"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def heard(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = args
            if isinstance(path, str) and flags & WRITES and path.startswith(home):
                point("open")
        elif event in CHANGES:
            if isinstance(args[0], (str, os.PathLike)) and str(args[0]).startswith(home):
                point(event)
        elif event == "subprocess.Popen":
            point("start")

    def counting(function: Callable[..., Any], event: str) -> Callable[..., Any]:
        def wrapped(*args: Any, **named: Any) -> Any:
            point(event)
            return function(*args, **named)

        return wrapped

    import duckdb

    from personal_pipeline.warehouse import dbt_host

    dbt_host.call = counting(dbt_host.call, "start")  # a process that is not started anew
    os.fsync = counting(os.fsync, "sync")
    duckdb.connect = counting(duckdb.connect, "duckdb")
    sys.addaudithook(heard)
    return passed


def _die(what: str) -> None:
    os.killpg(0, signal.SIGKILL) if what == "kill" else os.kill(os.getpid(), signal.SIGKILL)


def _place(frame: FrameType | None) -> str:
    """The innermost function of the house, or of Dagster where the house is not at work."""
    inside = "elsewhere"
    while frame is not None:
        path = frame.f_code.co_filename
        if OURS in path:
            module = path.rpartition(OURS)[2].removesuffix(".py").replace(os.sep, ".")
            name = f"{module}.{frame.f_code.co_qualname}"
            return name if inside == "elsewhere" else f"{inside} for {name}"
        if inside == "elsewhere" and f"{os.sep}dagster" in path:
            inside = "dagster"
        frame = frame.f_back
    return inside
