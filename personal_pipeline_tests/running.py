"""A running ``personal-pipeline up``, the processes of its home, and how a test looks at them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import psutil
import requests

from personal_pipeline import serve
from personal_pipeline.doors.door import Door
from personal_pipeline.home import Home
from personal_pipeline_tests.invented_house import Ended
from personal_pipeline_tests.loopback import free_port, until
from personal_pipeline_tests.network import LAYER

CHECKOUT = Path(__file__).parents[1]

LOOK_SECONDS = 5
"""How often the sensors of ``up`` look, and for how long a file must not have changed. Dagster's
daemon goes through its sensors no more often."""

LOCATION = "personal_pipeline_tests.quick_definitions"
"""What Dagster calls the graph."""

QUICK = f"""
from personal_pipeline_tests.kiosk.sources import stand_in
stand_in()
from personal_pipeline import serve
serve.MODULE = {LOCATION!r}
serve.READY = "personal_pipeline_tests.quick_ready"
serve.LOOK_SECONDS = 2.0
from personal_pipeline.cli import main
main(prog_name="personal-pipeline")
"""
"""``personal-pipeline`` that looks more often, in the kiosk where the environment says so."""

LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries {
  loadStatus locationOrLoadError { ... on PythonError { message } }
} } } }"""


def of_this_house(home: Home) -> list[str]:
    """Every process that was told of this home, whoever its parent is: its command line."""
    return [command for _, command in numbers_of(home)]


def numbers_of(home: Home) -> list[tuple[int, str]]:
    """The same with the numbers of the processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (
                (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
        if f"PERSONAL_PIPELINE_HOME={home.root}".encode() in environment:
            found.append((int(process.name), command))
    return found


def listening(port: int) -> set[str]:
    """The addresses at which somebody listens on a port, as the kernel writes them."""
    found = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.exists() else ():
            _, local, _, state, *_ = line.split()
            address, _, number = local.partition(":")
            if state == "0A" and int(number, 16) == port:
                found.add(address)
    return found


@dataclass(frozen=True)
class Up:
    """A running ``up``. What it prints goes to files: a pipe that nobody reads fills."""

    home: Home
    process: subprocess.Popen[bytes]
    door: Door
    out: IO[str]
    err: IO[str]

    def loaded(self) -> bool:
        """Whether the server answers and knows the graph."""
        try:
            (found,) = serve.ask(self.door, LOCATIONS)["workspaceOrError"]["locationEntries"]
        except requests.RequestException:
            return False
        assert not found["locationOrLoadError"], found
        return bool(found["loadStatus"] == "LOADED")

    def part(self, named: str) -> psutil.Process:
        """The one process in whose command line this stands."""
        (number,) = [number for number, command in numbers_of(self.home) if named in command]
        return psutil.Process(number)

    def said(self) -> str:
        """What it printed as errors so far."""
        # its position in the file is that of the process
        return os.pread(self.err.fileno(), 10_000_000, 0).decode()

    def ended(self, seconds: float = 100) -> Ended:
        """What it printed, and its exit code."""
        code = self.process.wait(seconds)
        for each in (self.out, self.err):
            each.seek(0)
        return Ended(code, self.out.read(), self.err.read())


@contextmanager
def up(
    environment: Mapping[str, str], home: Home, *, look_seconds: int = LOOK_SECONDS
) -> Iterator[Up]:
    """``personal-pipeline up`` once its UI can be opened and its graph is loaded; killed when the
    block is left, if it still runs. Its sensors look every ``look_seconds``."""
    port = free_port()
    # Dagster takes the first of them away while it imports the graph
    path = os.pathsep.join([str(LAYER), str(CHECKOUT)])
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", QUICK, "up", "--port", str(port)],
            env={
                **os.environ,
                "COLUMNS": "300",
                **environment,
                "LOOK_SECONDS": str(look_seconds),
                "PYTHONPATH": path,
            },
            cwd=home.root,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )

        def opened() -> Door | None:
            assert process.poll() is None, "it ended"
            door = serve.door_of_running(home)
            return door if door and listening(port) else None

        try:
            door = until(opened, "the UI can be opened", seconds=200)
            running = Up(home, process, door, out, err)
            until(running.loaded, "the graph is loaded", seconds=200)
            yield running
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
