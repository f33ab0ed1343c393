"""The process that has dbt imported, with the real dbt."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from unittest import mock

import psutil
import pytest

from personal_pipeline.home import Home
from personal_pipeline.warehouse import dbt_host, dbt_project
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import PROJECT
from personal_pipeline_tests.loopback import until

CHECKOUT = Path(__file__).parents[2]
ENVIRONMENT = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")


@pytest.fixture(scope="module", autouse=True)
def _own_host() -> Iterator[None]:
    """Other tests of this process have one, too. Each of these takes what the one before left."""
    kept, dbt_host._running = dbt_host._running, None
    yield
    dbt_host._end_own()
    dbt_host._running = kept


def call(*arguments: str, folder: Path, said: str = "said") -> int:
    """A call without a project. What dbt says is in the file ``said`` of the folder."""
    said, results = str(folder / said), str(folder / "results")
    return dbt_host.call(
        dbt_host.Call(arguments, (), "", "", str(folder), ENVIRONMENT, said, results)
    )


def host() -> psutil.Process:
    assert dbt_host._running is not None
    return psutil.Process(dbt_host._running.pid)


def test_each_call_is_answered_with_its_exit_code_and_what_it_said(tmp_path: Path) -> None:
    assert call("--version", folder=tmp_path) == 0
    assert "installed" in (tmp_path / "said").read_text()
    first = host()
    assert call("no such command", folder=tmp_path) == 1
    assert "No such command" in (tmp_path / "said").read_text()
    assert call("parse", folder=tmp_path) == 1, "there is no project here"
    assert host() == first
    assert first.children() == []


def home_in_which_dbt_never_ends(root: Path) -> Home:
    """One of its models is a pipe into which nobody writes: whoever parses waits for it."""
    home = Home(root).ensure()
    models = dbt_project.working_copy(home) / "models"
    models.mkdir(parents=True)
    os.mkfifo(models / "waits.sql")
    return home


def test_who_is_interrupted_leaves_no_dbt_behind(kiosk: Kiosk, tmp_path: Path) -> None:
    home = home_in_which_dbt_never_ends(tmp_path / "home")
    call("--version", folder=tmp_path)
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
    assert call("--version", folder=tmp_path) == 0


def descriptors() -> int:
    return psutil.Process().num_fds()


def test_one_that_was_killed_is_begun_anew_and_leaves_no_pipe_and_no_zombie(tmp_path: Path) -> None:
    assert call("--version", folder=tmp_path) == 0
    before = descriptors()
    for looks_alive in (False, True):
        killed = dbt_host._running
        assert killed is not None
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        # or it ends between the look at it and the question
        with mock.patch.object(killed, "poll", return_value=None) if looks_alive else nullcontext():
            assert call("--version", folder=tmp_path) == 0
        assert killed.returncode == -signal.SIGKILL
        assert host().pid != killed.pid
        assert killed.stdin is not None
        assert killed.stdin.closed
    assert descriptors() == before
    gc.collect()  # a pipe or process that was left would warn, and warnings are errors


PARSES = """
import os, sys
from pathlib import Path
from personal_pipeline_tests.kiosk.sources import stand_in
stand_in()
from personal_pipeline.warehouse import dbt_project
from personal_pipeline.home import Home
dbt_project.manifest_path(Home(Path(sys.argv[1])).ensure())
"""


@pytest.mark.parametrize("killed", ["host", "caller"])
def test_dbt_ends_with_the_host_and_with_who_called_it(
    opened_kiosk: Kiosk, tmp_path: Path, killed: str
) -> None:
    home = home_in_which_dbt_never_ends(tmp_path / "home")
    caller = subprocess.Popen(
        [sys.executable, "-c", PARSES, str(home.root)],
        env={**os.environ, PROJECT: str(opened_kiosk.sql), "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )

    def at_work() -> list[psutil.Process]:
        # dbt starts another one beside it for a while
        below = psutil.Process(caller.pid).children(recursive=True)
        return below if len(below) >= 2 else []

    below = until(at_work, "dbt parses", seconds=60)
    (host,) = (each for each in below if each.ppid() == caller.pid)
    (host if killed == "host" else psutil.Process(caller.pid)).kill()
    said = caller.communicate(timeout=60)[1]
    _, alive = psutil.wait_procs(below, timeout=20)
    # who has lost its parent may wait for the system to take it away
    assert [each for each in alive if each.status() != psutil.STATUS_ZOMBIE] == []
    assert ("was killed (signal 9)" in said) is (killed == "host")
    assert not (home.dbt_target / "manifest.json").exists()


def test_who_is_forked_during_a_call_may_call_too(tmp_path: Path) -> None:
    asked = threading.Event()
    ask = dbt_host._ask

    def slowly(question: bytes) -> bytes:
        asked.set()
        return ask(question)

    with mock.patch.object(dbt_host, "_ask", slowly):
        thread = threading.Thread(target=lambda: call("--version", folder=tmp_path))
        thread.start()
        assert asked.wait(20)
        # the thread has the lock until dbt has answered
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            code = 1
            try:
                signal.alarm(60)
                code = call("--version", folder=tmp_path, said="said too")
                dbt_host._end_own()
            finally:
                os._exit(code)
        thread.join()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert "installed" in (tmp_path / "said too").read_text()
    assert call("--version", folder=tmp_path) == 0, "its parent's host is untouched"


def test_results_that_lie_there_from_before_are_no_results(copied_kiosk: Home) -> None:
    home = copied_kiosk
    old = home.dbt_target / "runs" / str(os.getpid()) / dbt_project.RESULTS
    old.parent.mkdir(parents=True)
    old.write_text("[]")
    with (
        mock.patch.object(dbt_host, "QUIET", ["--no-such-option"]),
        pytest.raises(dbt_project.DbtFailed, match="did not run"),
    ):
        dbt_project.run(home, ["model"], {}, {"currency": "usd"})
    with (
        mock.patch.object(dbt_host, "call", return_value=-signal.SIGKILL),
        pytest.raises(dbt_project.DbtFailed, match="killed"),
    ):
        dbt_project.run(home, ["model"], {}, {"currency": "usd"})
