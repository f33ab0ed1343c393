"""Nothing asks the network but for the services that are connected, and those are on loopback here.

Each process runs with a layer that sees every address before it is used, denies what is not this
machine, and writes down what it denied. What libraries do below Python is seen by the system: where
strace is, every connect of every process is looked at.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline_tests.invented_house import AT, NOW, UNTIL, Services, drop_exports
from personal_pipeline_tests.loopback import free_port, until

LAYER = """
import os, sys

def _here(host):
    host = host.decode() if isinstance(host, bytes) else host
    return host is None or host in ("", "localhost", "::1") or host.startswith("127.")

def _look(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _here(host):
        with open(os.environ["DENIED"], "a") as log:
            log.write(f"{event} {host} by {sys.argv[:4]}\\n")
        raise OSError(101, "denied by the test")

sys.addaudithook(_look)
with open(os.environ["DENIED"] + ".loaded", "a") as log:
    log.write(f"{os.getpid()}\\n")
"""


@pytest.fixture
def denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in which every denied address stands, of every Python that is started."""
    layer = tmp_path / "layer"
    layer.mkdir()
    (layer / "sitecustomize.py").write_text(LAYER)
    monkeypatch.setenv("PYTHONPATH", str(layer))
    monkeypatch.setenv("DENIED", str(tmp_path / "denied"))
    # what would send something if it were let
    for name in ("DO_NOT_TRACK", "DBT_SEND_ANONYMOUS_USAGE_STATS", "DAGSTER_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "denied"


def run(*arguments: str | Path, cwd: Path, before: Sequence[str] = (), **environment: str) -> str:
    done = subprocess.run(
        [*before, sys.executable, *map(str, arguments)],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout + done.stderr


def test_the_layer_denies_and_writes_down(denied: Path, tmp_path: Path) -> None:
    said = run("-c", "import socket; socket.create_connection(('example.com', 80))", cwd=tmp_path)
    assert "denied by the test" in said
    assert "example.com" in denied.read_text()


def test_importing_everything_asks_nothing(denied: Path, tmp_path: Path) -> None:
    said = run(
        "-c",
        "import pkgutil, importlib, personal_pipeline as p\n"
        "for each in pkgutil.walk_packages(p.__path__, 'personal_pipeline.'):\n"
        "    importlib.import_module(each.name)\n"
        "import apprise, keyring, altair, vl_convert, tzdata\n"
        "print('imported')",
        cwd=tmp_path,
    )
    assert said.splitlines()[-1] == "imported", said
    assert not denied.exists(), denied.read_text()


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_day_of_the_house_asks_its_services_only(
    denied: Path, tmp_path: Path, services: Services
) -> None:
    home = Home(tmp_path / "home").ensure()
    drop_exports(services.life, home)
    for path in sorted(home.inbox.iterdir())[:-3]:
        path.unlink()
    environment = services.environment(
        home,
        PERSONAL_PIPELINE_START=UNTIL,
        PERSONAL_PIPELINE_ALERTS=f"json://127.0.0.1:{free_port()}/x",
        PERSONAL_PIPELINE_QUIET_HOURS="",
    )
    here = tmp_path / "cwd"
    here.mkdir()
    calls = tmp_path / "calls"
    # what libraries do below Python: DuckDB, and what draws the charts
    watched = [
        *("strace", "-f", "--seccomp-bpf", "-qq", "-A", "-o", str(calls)),
        *("-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none"),
    ]
    watched = watched if shutil.which("strace") else []
    (here / "file.csv").write_text("a,b,c\nx,y,z\n")
    for arguments in (
        ["refresh"],
        ["add", str(here / "file.csv")],
        ["status", "--notify"],
        ["report"],
        ["doctor"],
        ["sources"],
    ):
        seen = watched if arguments[0] in ("refresh", "report") else []
        said = run(
            "-P", "-c", AT, NOW.isoformat(), *arguments, cwd=here, before=seen, **environment
        )
        assert "Traceback" not in said, said
    assert (home.reports / "latest.html").exists()
    if watched:
        text = calls.read_text(errors="replace")
        found = re.findall(r'inet_addr\("([^"]+)"\)|inet_pton\(AF_INET6, "([^"]+)"', text)
        assert {"".join(each) for each in found} == {"127.0.0.1"}

    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "personal_pipeline.cli", "up", "--port", str(free_port())],
        env={**os.environ, **environment},
        cwd=here,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        shutil.copy(here / "file.csv", home.inbox / "another.csv")
        until(lambda: not list(home.inbox.iterdir()), "the daemon takes the file")
        time.sleep(5)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    assert not denied.exists(), denied.read_text()
    # dbt, the code server, the web server and the daemon had the layer too
    assert len(set((tmp_path / "denied.loaded").read_text().split())) > 10


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_demo_and_tests_ask_nothing(denied: Path, tmp_path: Path) -> None:
    said = run("-m", "personal_pipeline.cli", "demo", "--years", "1", cwd=tmp_path)
    assert "Done in" in said
    tests = Path(__file__).parent
    said = run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-x", "-m", "not slow"),
        *(tests / "ingest" / "test_http.py", tests / "alerts" / "test_plan.py"),
        cwd=tests.parent,
    )
    assert " passed" in said, said
    assert " failed" not in said, said
    assert not denied.exists(), denied.read_text()
