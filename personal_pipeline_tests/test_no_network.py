"""Nothing asks the network but for the services that are connected, and those are on loopback here.

Every address is denied that is not this machine, in the tests themselves (conftest.py) and in each
process that is started here. A day of the house is watched in ``test_canary.py``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from personal_pipeline_tests.invented_house import lay_project
from personal_pipeline_tests.network import Watched, let_it_try


@pytest.fixture
def watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    let_it_try(monkeypatch)
    return Watched(tmp_path)


def run(watched: Watched, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, **watched.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return done.stdout + done.stderr


def test_what_is_watched_is_denied_and_written_down(watched: Watched) -> None:
    code = "import socket; socket.create_connection(('example.com', 80))"
    assert "denied by the tests" in run(watched, "-c", code)
    assert "example.com" in watched.denied()
    with pytest.raises(OSError, match="denied by the tests"):
        socket.create_connection(("example.com", 80))


EXPORTS = 6
DEMO = f"""
import importlib, pkgutil, shutil, sys
from datetime import UTC, datetime, timedelta
import personal_pipeline
from personal_pipeline import passes
from personal_pipeline.cli import main
from personal_pipeline.demo import run
from personal_pipeline.demo.drops import exports, write_files
from personal_pipeline.home import Home

all_settings = run.settings_for

def some_exports(life, inbox):
    newest = sorted(exports(life), key=lambda each: each.made_at)
    return write_files(newest[-{EXPORTS}:], inbox)

def few_days(services, folder):
    start = datetime.now(UTC).date() - timedelta(days=3)
    return all_settings({{**services, "PERSONAL_PIPELINE_START": start.isoformat()}}, folder)

def parsed(folder):
    shutil.copytree(sys.argv[1], Home(folder).dbt_target)

run.write_drops, run.settings_for, run.clear = some_exports, few_days, parsed
passes.finish_pass = lambda house, passed, **_: None
try:
    main(["demo", "--years", "1"])
finally:
    for each in pkgutil.walk_packages(personal_pipeline.__path__, "personal_pipeline."):
        importlib.import_module(each.name)
    import apprise, keyring, vl_convert, tzdata
    print("imported")
"""
"""The demo, of which a few days are fetched and some files taken, and then all that it did not
import, in one process. What it builds of them is what every refresh builds: ``test_canary.py``
watches one, dbt and the report with it."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_demo_and_importing_everything_ask_nothing(
    watched: Watched, parsed: Path, tmp_path: Path
) -> None:
    # that of the settings, to which the definitions belong that are imported
    lay_project(parsed, tmp_path / "home")
    said = run(watched, "-c", DEMO, str(parsed))
    assert "Done in" in said
    assert said.splitlines()[-1] == "imported", said
    assert watched.denied() == ""
    assert watched.processes() > 0
