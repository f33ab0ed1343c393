"""``personal-pipeline up``: all of it runs, nobody else gets in, it may be killed, it mends itself.

One story, because each start costs as much as a chapter.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest
import requests

from personal_pipeline import serve
from personal_pipeline.doors.door import Door
from personal_pipeline.graph import storage
from personal_pipeline.home import Home
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.invented_house import Ended, Services, run
from personal_pipeline_tests.loopback import free_port, until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]

STATEMENT = Path(__file__).parent / "sources" / "bank_samples" / "chase_checking.csv"

GRAPH = """{
  workspaceOrError { ... on Workspace { locationEntries {
    loadStatus
    locationOrLoadError { __typename ... on PythonError { message } }
  } } }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    sensors { name sensorState { status } }
    schedules { name scheduleState { status } }
  } } }
  assetNodes { groupName assetKey { path } hasMaterializePermission }
}"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@pytest.fixture
def home(bare_home: Home, tmp_path: Path) -> Home:
    return Home(Path(shutil.copytree(bare_home.root, tmp_path / "home")))


def of_this_house(home: Home) -> list[str]:
    """Every process that was told of this home, whoever its parent is: its command line."""
    return [command for _, command in numbers_of(home)]


def numbers_of(home: Home) -> list[tuple[int, str]]:
    """The same with the numbers of the processes."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if f"PERSONAL_PIPELINE_HOME={home.root}".encode() in environment:
            found.append((int(process.name), command))
    return found


def environments() -> list[bytes]:
    """The environment of every process that this one may look at."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "environ").read_bytes())
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

    process: subprocess.Popen[bytes]
    door: Door
    out: IO[str]
    err: IO[str]

    def kill_part(self, home: Home, part: str) -> None:
        """Kill the one process in whose command line this stands."""
        (killed,) = [number for number, command in numbers_of(home) if part in command]
        os.kill(killed, signal.SIGKILL)

    def ended(self, seconds: float = 100) -> Ended:
        """What it printed, and its exit code."""
        code = self.process.wait(seconds)
        for each in (self.out, self.err):
            each.seek(0)
        return Ended(code, self.out.read(), self.err.read())


@contextmanager
def up(environment: Mapping[str, str], home: Home) -> Iterator[Up]:
    """``personal-pipeline up`` once its UI can be opened; killed when the block is left, if it
    still runs."""
    port = free_port()
    with TemporaryFile("w+") as out, TemporaryFile("w+") as err:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "personal_pipeline.cli", "up", "--port", str(port)],
            env={**os.environ, "COLUMNS": "300", **environment},
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
            yield Up(process, until(opened, "the UI can be opened", seconds=200), out, err)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_up_from_its_start_to_its_end(services: Services, home: Home, tmp_path: Path) -> None:
    # no socket can lie in it: its path is too long
    temporary = tmp_path / ("long" * 20)
    temporary.mkdir()
    environment = services.environment(home, TMPDIR=temporary)
    with up(environment, home) as first:
        everything_runs(first.door)
        nobody_else_gets_in(first.door, environment, home)
        first.process.kill()
        # its parts notice, and nobody need wait for that
        with up(environment, home) as second:
            killed = first.ended()
            door = second.door
            assert (door.name, door.token) == (first.door.name, first.door.token), "bookmarks last"
            the_graph_follows_older_data(second, environment, tmp_path)
            a_damaged_storage_is_begun_anew(second, home)
            second.process.send_signal(signal.SIGTERM)
            ended = second.ended()
            until(lambda: not of_this_house(home), "no process is left behind", seconds=60)
    assert ended.code == 0, ended.err
    # nothing but what the alerts tell, who have no other channel here, and errors
    assert "Warning" not in killed.err
    assert "Dagster's storage was damaged (history/runs/index.db" in ended.err
    for each in (killed, ended):
        assert door.token not in each.err
    for each, its_door in ((killed, first.door), (ended, door)):
        assert each.out.splitlines()[-2:] == [
            f"The report: {home.latest_report}",
            f"The graph (Ctrl-C ends it): {its_door.opening()}",
        ]
    again = run(environment, "open")
    assert again.code == 1
    assert "`personal-pipeline up` starts it" in again.err


def everything_runs(door: Door) -> None:
    def loaded() -> bool:
        (entry,) = serve.ask(door, GRAPH)["workspaceOrError"]["locationEntries"]
        return bool(entry["loadStatus"] == "LOADED")

    def daemons_are_well() -> bool:
        daemons = serve.ask(door, DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(each["healthy"] for each in daemons if each["required"])

    until(loaded, "the definitions are loaded", seconds=100)
    until(daemons_are_well, "every daemon runs", seconds=100)
    assert listening(door.port) == {"0100007F"}
    graph = serve.ask(door, GRAPH)
    (entry,) = graph["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"] == {"__typename": "RepositoryLocation"}
    (repository,) = graph["repositoriesOrError"]["nodes"]
    running = {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}
    assert {"inbox", "what_is_stale"} <= running.keys()
    # Dagster's own, instead of which ours evaluates the conditions, is not there at all
    assert set(running.values()) == {"RUNNING"}
    schedules = {each["name"]: each["scheduleState"]["status"] for each in repository["schedules"]}
    assert {f"{source.name}_each_morning" for source in SOURCES if source.api} <= schedules.keys()
    assert "report_each_morning" in schedules
    assert set(schedules.values()) == {"RUNNING"}
    keys = {"/".join(each["assetKey"]["path"]) for each in graph["assetNodes"]}
    streams = {f"{source.name}/{stream.name}" for source in SOURCES for stream in source.streams}
    assert streams | {"marts/creator_daily", "outputs/daily_report"} <= keys


def nobody_else_gets_in(door: Door, environment: Mapping[str, str], home: Home) -> None:
    # the address is given again; a second one over the same home is refused
    shown = run(environment, "open", "--json")
    assert json.loads(shown.out) == {
        "address": door.opening(),
        "without_token": door.address(),
        "port": door.port,
    }
    refused = run(environment, "up", "--port", str(free_port()))
    assert refused.code == 1
    assert "another process of the pipeline has held the lock `up`" in refused.err
    # the token is in files that only the person reads, and in no list of processes
    assert not [each for each in of_this_house(home) if door.token in each]
    assert not [each for each in environments() if door.token.encode() in each]
    for name in ("door.json", "up.json"):
        assert (home.state / name).stat().st_mode & 0o777 == 0o600

    # who comes without it, or under another name, is told how to get it
    plain = requests.Session()
    plain.trust_env = False
    at = f"http://127.0.0.1:{door.port}"
    for headers, status in (
        ({}, 421),
        ({"Host": f"{door.name}:{door.port}"}, 401),
        ({**door.headers(), "Origin": at}, 403),
    ):
        answer = plain.get(f"{at}/graphql?query={{version}}", headers=headers, timeout=30)
        assert answer.status_code == status
        assert "`personal-pipeline open`" in answer.text
    forged = f"{at}/report_asset_materialization/stripe/charges"
    assert plain.post(forged, headers=door.headers(), timeout=30).status_code == 405
    assert plain.get(f"{at}/graphql", headers=door.headers(), timeout=30).status_code == 405
    plain.close()


PARTITIONS = """{ assetNodeOrError(assetKey: {path: ["bank", "transactions"]}) {
  ... on AssetNode { partitionKeys }
} }"""


def partitions_of(running: Up) -> list[str]:
    assert running.process.poll() is None
    with suppress(requests.RequestException, KeyError):
        keys: list[str] = serve.ask(running.door, PARTITIONS)["assetNodeOrError"]["partitionKeys"]
        return keys
    return []


def the_graph_follows_older_data(running: Up, environment: Mapping[str, str], folder: Path) -> None:
    until(lambda: partitions_of(running), "the definitions are loaded", seconds=100)
    assert min(partitions_of(running)) > "2019-03-01"
    statement = folder / "Chase1234_Activity.csv"
    statement.write_text(re.sub(r"0[12]/(\d\d)/2024", r"03/\1/2019", STATEMENT.read_text()))
    added = run(environment, "add", str(statement))
    assert added.code == 0, added.out
    until(lambda: "2019-03-01" in partitions_of(running), "the graph reaches back", seconds=100)


def a_damaged_storage_is_begun_anew(running: Up, home: Home) -> None:
    before = storage.identity(home)
    (home.dagster / "history" / "runs" / "index.db").write_bytes(b"no database" * 500)
    until(lambda: storage.identity(home) != before, "it is begun anew", seconds=100)
    until(lambda: "2019-03-01" in partitions_of(running), "the UI answers again", seconds=100)
    assert list(home.root.glob("dagster.damaged-*"))
