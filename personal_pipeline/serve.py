"""Dagster's UI and daemon and the site over one home, until they are stopped.

Four processes: the code server, which holds the graph; the web server behind its guard; the daemon;
and the site behind a guard of its own, if what it needs is installed. The site is started by its
first visit: it takes eighty megabytes, and most days it has none. They live as long as this one:
each exits when the pipe on its standard input is closed, by whatever means (``doors/kept.py``). If
one of them exits by itself, all are stopped, with a message and exit code 1: a service manager then
restarts the whole, and a half-working house is not mistaken for a working one.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import requests
import yaml

from personal_pipeline.doors import kept
from personal_pipeline.doors.door import LOOPBACK, Door, beside, door_of
from personal_pipeline.doors.server import PortTaken, other_loopback_taken
from personal_pipeline.graph import storage
from personal_pipeline.home import Home, write_atomically
from personal_pipeline.house import House
from personal_pipeline.site import is_installed

LOOK_SECONDS = 20.0
"""How often to check whether data arrived that is older than all partitions known to Dagster."""

_POLL_SECONDS = 0.25
# longer than a child allows itself before it is killed with everything it started
_PATIENCE_SECONDS = kept.GRACE_SECONDS + 5
# clocks are read at different times
_SLACK_SECONDS = 2.0

# leaves room for our folder and the socket in it
_MAX_FOLDER_LENGTH = 60

CODE_SERVER = "code server"
MODULE = "personal_pipeline.definitions"
READY = "personal_pipeline.graph.ready"
LOOKS_WITHOUT = 3
"""Consecutive polls without the process that holds the graph before it counts as gone for good."""

RELOAD = "mutation { reloadWorkspace { __typename } }"


class Ended(Exception):
    """One of the processes exited by itself or could not start; the text says which."""


def serve(house: House, port: int, tell: Callable[[Door], None]) -> int:
    """Run all of them and return the exit code; ``tell`` is called once UI and site can be opened.
    Ctrl-C and SIGTERM stop them.

    Raises ``Busy`` if they already run over this home: each daemon would start every schedule.
    Raises ``NewerHome``, and ``Ended`` if one of them exits by itself or the port is taken.

    A first fetch reaches back before the partitions that were defined at start. Dagster reads
    definitions once, so it is told to reload them.
    """
    house.home.version()
    with house.home.lock("up", wait_seconds=0):
        end_left_over(house.home)
        door = door_of(house.home, port, plain=house.settings.plain_address)
        for each in [door, beside(door)] if is_installed() else [door]:
            if listens(each.port):
                raise Ended(
                    f"Port {each.port} is in use by another program. Choose another with "
                    "`up --port` or PERSONAL_PIPELINE_PORT; the site takes the one after it."
                )
        while _serve(house, door, tell):
            pass  # its storage was damaged, and the processes had the old files open
        return 0


def ask(door: Door, query: str, **variables: Any) -> Any:
    """The response to a GraphQL query, sent as the person's own browser would send it.

    Raises ``requests.RequestException`` if nothing listens or the request is refused.
    """
    with requests.Session() as session:
        session.trust_env = False
        answer = session.post(
            f"http://{LOOPBACK}:{door.port}/graphql",
            json={"query": query, "variables": variables},
            headers=door.headers(),
            timeout=60,
        )
    answer.raise_for_status()
    return answer.json()["data"]


# -------------------------------------------------------------------------------- what runs


@dataclass(frozen=True, slots=True)
class Running:
    """The processes over a home, as recorded in ``state/up.json``. ``started`` is in epoch seconds:
    a later process may reuse the process id."""

    port: int
    plain: bool
    folder: str
    processes: Sequence[tuple[int, float]]
    """``up`` itself first."""


def door_of_running(home: Home) -> Door | None:
    """The door at which ``up`` currently serves this home; None if it does not run."""
    running = _running(home)
    if running is None or not running.processes or not _lives(*running.processes[0]):
        return None
    return door_of(home, running.port, plain=running.plain)


def end_left_over(home: Home) -> None:
    """Kill what an earlier ``up`` left running, whose lock this process now holds. Its children
    exit by themselves within half a minute, but nobody should have to wait for that or find the
    port taken."""
    running = _running(home)
    if running is None:
        return
    left = [psutil.Process(number) for number, at in running.processes[1:] if _lives(number, at)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            for each in [*process.children(recursive=True), process]:
                with suppress(psutil.NoSuchProcess):
                    each.kill()
    psutil.wait_procs(left, timeout=_PATIENCE_SECONDS)
    shutil.rmtree(running.folder, ignore_errors=True)
    _path(home).unlink(missing_ok=True)


def _path(home: Home) -> Path:
    return home.state / "up.json"


def _running(home: Home) -> Running | None:
    try:
        kept = json.loads(_path(home).read_bytes())
        processes = [(int(number), float(started)) for number, started in kept["processes"]]
        return Running(int(kept["port"]), bool(kept["plain"]), str(kept["folder"]), processes)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _lives(number: int, started: float) -> bool:
    """Stricter than ``home.is_alive``, because a match is killed: under a wrong clock, a later
    process can seem older."""
    try:
        process = psutil.Process(number)
        same = abs(process.create_time() - started) <= _SLACK_SECONDS
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


# ------------------------------------------------------------------------------ running them


class _Children:
    """The processes; leaving the block stops them."""

    def __init__(self, home: Home, door: Door, folder: Path, environment: dict[str, str]) -> None:
        self._home, self._door, self._folder = home, door, folder
        self._environment = environment
        self._started: dict[str, subprocess.Popen[bytes]] = {}
        self.asked_to_end = False

    def start(
        self, name: str, module: str, *arguments: str, listening: socket.socket | None = None
    ) -> None:
        """Start ``python -m module``; messages call it ``name``. ``listening`` is a socket that it
        takes over, as the option ``--listening``."""
        descriptors = [] if listening is None else [listening.fileno()]
        arguments = (*arguments, *(f"--listening={each}" for each in descriptors))
        command = [sys.executable, "-P", "-m", kept.__name__, module, *arguments]
        self._started[name] = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.PIPE,
            # everything they print goes to stderr: our own stdout is the address alone
            stdout=2,
            # Ctrl-C in a terminal goes to the whole group; they are stopped in order instead
            process_group=0 if os.name == "posix" else None,
            pass_fds=descriptors,
        )
        if listening is not None:
            listening.close()
        numbers = [os.getpid(), *(each.pid for each in self._started.values())]
        written = {
            "port": self._door.port,
            "plain": self._door.plain,
            "folder": str(self._folder),
            "processes": [(each, psutil.Process(each).create_time()) for each in numbers],
        }
        write_atomically(_path(self._home), json.dumps(written).encode())

    def worker_lives(self) -> bool:
        """Whether the code server still has the process that holds the graph, which it never
        restarts."""
        with suppress(psutil.NoSuchProcess):
            server = psutil.Process(self._started[CODE_SERVER].pid)
            return any(each.status() != psutil.STATUS_ZOMBIE for each in server.children())
        return False

    def wait(self, until: Callable[[], bool]) -> bool:
        """Wait for ``until``; returns False if asked to stop first. Raises ``Ended``."""
        while not self.asked_to_end:
            for name, process in self._started.items():
                if process.poll() is not None:
                    raise Ended(
                        f"The {name} exited unexpectedly (exit code {process.returncode}), so "
                        "everything was stopped. Its output is above; run `personal-pipeline up` "
                        "to restart."
                    )
            if until():
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def end(self) -> None:
        """Close the standard input of each, the code server's last: the others query it until they
        exit."""
        started = list(self._started.values())
        for group in (started[1:], started[:1]):
            for process in group:
                assert process.stdin is not None
                process.stdin.close()
            self._wait_for(group)
        _path(self._home).unlink(missing_ok=True)

    def _wait_for(self, processes: Iterable[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _serve(house: House, door: Door, tell: Callable[[Door], None]) -> bool:
    """Run all of them until stopped; returns whether they must start again because Dagster's
    storage is damaged or was replaced."""
    environment = _made_ready(house.home)
    defined = house.first_day()
    known = storage.identity(house.home)
    looked = time.monotonic()
    missing = 0
    visited: socket.socket | None = None

    def look() -> bool:
        nonlocal defined, looked, missing, visited
        if visited is not None and select.select([visited], [], [], 0)[0]:
            children.start("site", *site, listening=visited)
            visited = None
        if time.monotonic() - looked < LOOK_SECONDS:
            return False
        # while the graph is being reloaded there is briefly none
        missing = 0 if children.worker_lives() else missing + 1
        if missing == LOOKS_WITHOUT:
            raise Ended(
                "The code server exited: it was killed, or the code could not be loaded. "
                "Everything was stopped; run `personal-pipeline up` to restart."
            )
        earliest = house.first_day()
        if earliest != defined and _reloaded(door):
            defined = earliest
        looked = time.monotonic()
        return storage.identity(house.home) != known or _is_damaged(house.home)

    site = [
        *("personal_pipeline.site.server", "--home", str(house.home.root)),
        *("--port", str(beside(door).port), *(["--plain"] if door.plain else [])),
    ]
    with ExitStack() as others, _children(house.home, door, environment) as (children, folder):
        place = _place(folder)
        workspace = folder / "workspace.yaml"
        server = {"location_name": MODULE, **place}
        workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        children.start(
            *(CODE_SERVER, "dagster", "code-server", "start"),
            *(text for name, value in place.items() for text in (f"--{name}", str(value))),
            *("--module-name", MODULE, "--location-name", MODULE, "--log-level", "warning"),
        )
        if not children.wait(lambda: _code_server_listens(place)):
            return False
        children.start(
            *("web server", "personal_pipeline.doors.dagster_ui", "--home", str(house.home.root)),
            *("--workspace", str(workspace), "--port", str(door.port)),
            *(["--plain"] if door.plain else []),
        )
        children.start(
            *("daemon", "dagster._daemon", "run", "--workspace", str(workspace)),
            *("--log-level", "warning"),
        )
        ports = [door.port]
        if is_installed() and os.name == "posix":
            visited = others.enter_context(_waiting_for_visit(beside(door)))
        elif is_installed():
            children.start("site", *site)
            ports.append(beside(door).port)
        if children.wait(lambda: all(map(listens, ports))):
            tell(door)
            return children.wait(look)
    return False


@contextmanager
def _waiting_for_visit(door: Door) -> Iterator[socket.socket]:
    """A socket that listens at a door in place of the process that its first visit starts."""
    try:
        with (
            other_loopback_taken(door.port),
            socket.create_server((LOOPBACK, door.port)) as listening,
        ):
            yield listening
    except PortTaken as error:
        raise Ended(f"{error} Choose another with `up --port` or PERSONAL_PIPELINE_PORT.") from None


def _is_damaged(home: Home) -> bool:
    return next(storage.damaged(home, thorough=False), None) is not None


@contextmanager
def _children(
    home: Home, door: Door, environment: dict[str, str]
) -> Iterator[tuple[_Children, Path]]:
    short = _short_folder()
    # not in the home, for the same reason
    with tempfile.TemporaryDirectory(prefix="personal-pipeline-", dir=short) as folder:
        if short:
            environment = {**environment, "TMPDIR": short}
        children = _Children(home, door, Path(folder), environment)

        def end(*_: object) -> None:
            children.asked_to_end = True

        # before a child starts: children started in the background would ignore Ctrl-C for ever
        before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield children, Path(folder)
        finally:
            children.end()
            for each, handler in before.items():
                signal.signal(each, handler)


def _short_folder() -> str | None:
    """A folder for sockets if the path of the default temporary folder is too long: a socket path
    is limited to 103 bytes, and Dagster creates sockets of its own."""
    usual = os.fsencode(tempfile.gettempdir())
    return None if len(usual) <= _MAX_FOLDER_LENGTH or sys.platform == "win32" else "/tmp"  # noqa: S108


NOTICES = (
    # printed by every run
    "Handling yaml-defined logging",
    # of Dagster, to itself. Python ignores it by default; but its threads change the list of what
    # is ignored all the time, and under load one may look while that is taken out to be put first.
    "Property `ScheduleDefinition.environment_vars`",
)
"""Notices to developers that are not to be shown to a person, by how they begin."""


def _made_ready(home: Home) -> dict[str, str]:
    """Make the home ready for Dagster; returns the environment of its processes."""
    environment = {
        **os.environ,
        "PERSONAL_PIPELINE_HOME": str(home.root),
        # a gql.py or dagster.py in the current folder must not be imported
        "PYTHONSAFEPATH": "1",
        # instead of every 30 s: the policies count hours
        "FRESHNESS_DAEMON_INTERVAL_SECONDS": "300",
        "PYTHONWARNINGS": ",".join(f"ignore:{each}" for each in NOTICES),
    }
    done = subprocess.run(
        [sys.executable, "-P", "-m", READY],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    told = done.stderr.decode(errors="replace").rstrip()
    if done.returncode:
        raise Ended(f"The home could not be prepared for Dagster. {told}")
    if told:
        sys.stderr.write(f"{told}\n")
    # libraries may print while they are imported, so only the last line counts
    more: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    return environment | more


def _place(folder: Path) -> dict[str, Any]:
    """Where the code server listens, with the keys of a workspace file, which are also its own
    options. On systems without Unix sockets, other users of the machine can reach it."""
    if sys.platform != "win32":
        return {"socket": str(folder / "code.socket")}
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return {"host": LOOPBACK, "port": probe.getsockname()[1]}


def _code_server_listens(place: dict[str, Any]) -> bool:
    if sys.platform == "win32":
        return listens(place["port"])
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(place["socket"]) == 0


def listens(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((LOOPBACK, port)) == 0


def _reloaded(door: Door) -> bool:
    """Whether Dagster accepted the request; while starting it does not, and is asked again."""
    try:
        ask(door, RELOAD)
    except requests.RequestException:
        return False
    return True
