"""The process that has dbt imported, with the real dbt."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from personal_pipeline.graph import dbt_host, dbt_project
from personal_pipeline.home import Home
from personal_pipeline_tests.loopback import until

ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


@pytest.fixture(autouse=True)
def _own_host() -> Iterator[None]:
    """Other tests of this process have one, too."""
    kept = dict(dbt_host._hosts)
    dbt_host._hosts.clear()
    yield
    for host in list(dbt_host._hosts.values()):
        dbt_host._end(host)
    dbt_host._hosts.update(kept)


def host() -> psutil.Process:
    return psutil.Process(dbt_host._hosts[os.getpid()].pid)


def test_each_call_is_answered_with_its_exit_code_and_what_it_said(tmp_path: Path) -> None:
    said = tmp_path / "said"
    assert dbt_host.call(["--version"], tmp_path, ENVIRONMENT, said) == 0
    assert "installed" in said.read_text()
    first = host()
    assert dbt_host.call(["no such command"], tmp_path, ENVIRONMENT, said) == 2
    assert "No such command" in said.read_text()
    assert dbt_host.call(["parse"], tmp_path, ENVIRONMENT, said) == 2, "there is no project here"
    assert host() == first
    assert first.children() == []


def test_one_that_was_killed_is_begun_anew(tmp_path: Path) -> None:
    said = tmp_path / "said"
    assert dbt_host.call(["--version"], tmp_path, ENVIRONMENT, said) == 0
    killed = host()
    killed.kill()
    killed.wait()
    assert dbt_host.call(["--version"], tmp_path, ENVIRONMENT, said) == 0
    assert host() != killed


def test_who_is_interrupted_leaves_no_dbt_behind(tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    dbt_host.call(["--version"], tmp_path, ENVIRONMENT, tmp_path / "said")
    mine = host()

    def interrupt() -> None:
        until(mine.children, "dbt parses", seconds=60)
        seen.extend(mine.children())
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    seen: list[psutil.Process] = []
    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            dbt_project.manifest_path(home)
    finally:
        thread.join()
        signal.signal(signal.SIGINT, before)
    assert len(seen) == 1
    _, alive = psutil.wait_procs([mine, *seen], timeout=20)
    assert alive == []
    # and the next call is as good as the first
    assert dbt_project.manifest_path(home).is_file()
