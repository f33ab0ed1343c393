"""Dagster's UI and daemon over one home, until somebody ends them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date

import requests

from personal_pipeline.graph import storage
from personal_pipeline.graph.dbt_project import manifest_path
from personal_pipeline.graph.house import House
from personal_pipeline.graph.instance import instance_of, prepare
from personal_pipeline.graph.lost_runs import end_lost_runs
from personal_pipeline.graph.partitions import first_day
from personal_pipeline.home import sweep
from personal_pipeline.refresh import tell_anew

LOOK_SECONDS = 20.0
"""How often it is looked whether data came that is older than all partitions that Dagster knows."""

RELOAD = "mutation { reloadWorkspace { __typename } }"


def serve(house: House, port: int) -> int:
    """Run both on 127.0.0.1 and return the exit code. Ctrl-C and SIGTERM end them.

    Raises ``Busy`` when they run over this home already: each daemon would start every schedule.

    A first fetch reaches back behind the partitions that were defined when this started. Dagster
    reads definitions once, so it is told to read them again.
    """
    with house.home.lock("up", wait_seconds=0):
        sweep(house.home.ensure())
        _ready(house)
        return _serve(house, port)


def _ready(house: House) -> None:
    """End what was lost, and tell a storage that was begun anew what there is."""
    notes: list[str] = []
    with instance_of(house.home, notes.append) as instance:
        end_lost_runs(instance)
    for note in notes:
        sys.stderr.write(f"{note}\n")
    if notes:
        tell_anew(house)


def _serve(house: House, port: int) -> int:
    # a gql.py or dagster.py in the folder where this is started must not be imported
    environment = {**os.environ, **prepare(house.home), "PYTHONSAFEPATH": "1"}
    manifest_path(house.home)
    defined = _first_day(house)
    # loopback only: the UI has no login
    command = [
        sys.executable,
        *("-m", "dagster", "dev", "--host", "127.0.0.1", "--port", str(port)),
        *("--module-name", "personal_pipeline.definitions", "--log-level", "warning"),
    ]
    ended = False

    def end(*_: object) -> None:
        nonlocal ended
        ended = True
        # Ctrl-C reaches the child by itself; a service manager tells only this process
        process.send_signal(signal.SIGINT)

    # handlers before the child starts: started in the background, both would ignore Ctrl-C for ever
    signal.signal(signal.SIGINT, lambda *_: None)
    process = subprocess.Popen(command, env=environment)
    signal.signal(signal.SIGTERM, end)
    known = storage.identity(house.home)
    while True:
        try:
            return process.wait(timeout=LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            earliest = _first_day(house)
            if earliest != defined and _reload(port):
                defined = earliest
            if not ended and (storage.identity(house.home) != known or _is_damaged(house)):
                # what runs holds the old files open
                process.send_signal(signal.SIGINT)
                process.wait()
                _ready(house)
                known = storage.identity(house.home)
                if not ended:
                    process = subprocess.Popen(command, env=environment)


def _is_damaged(house: House) -> bool:
    return next(storage.damaged(house.home, thorough=False), None) is not None


def _first_day(house: House) -> date:
    return first_day(house.home, house.settings, house.sources, house.today)


def _reload(port: int) -> bool:
    """Whether Dagster took the request; while it still starts it does not, and is asked again."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.post(
                f"http://127.0.0.1:{port}/graphql", json={"query": RELOAD}, timeout=60
            )
    except requests.RequestException:
        return False
    return answer.ok
