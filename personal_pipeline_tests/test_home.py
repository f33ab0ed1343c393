"""What every file of a home has in common: private from its first byte, and swept when left."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from personal_pipeline.cli import main
from personal_pipeline.home import (
    SURELY_LEFT_SECONDS,
    VERSION,
    Home,
    publish,
    scratch,
    staged,
    sweep,
    write_atomically,
)
from personal_pipeline.settings import OpenToOthers, load_settings

KILLED = """
import os, signal, sys
from pathlib import Path
from personal_pipeline.home import Home, scratch
from personal_pipeline.ingest import adding
home = Home(Path(sys.argv[1])).ensure()
replace = Path.replace
def kill(*_): os.kill(os.getpid(), signal.SIGKILL)
runs = home.dbt_target / "runs" / str(os.getpid())
runs.mkdir(parents=True)
(runs / "manifest.json").write_text("{}")
with scratch(home, "spool") as place:
    (place / "piece").write_text("rows")
    if sys.argv[2] == "copy":
        Path.rename = kill
        adding._copy(Path(sys.argv[3]), home.inbox / "export.csv")
    Path.replace = kill
    from personal_pipeline.home import write_atomically
    write_atomically(home.lake / "stripe" / "part.jsonl.gz", b"rows")
"""


def below(home: Home) -> set[Path]:
    return {path for path in home.root.rglob("*") if path.name != ".lock"}


@pytest.mark.parametrize("how", ["write", "copy"])
def test_what_a_killed_process_left_is_swept_and_nothing_of_a_living_one(
    home: Home, tmp_path: Path, how: str
) -> None:
    dropped = tmp_path / "export.csv"
    dropped.write_text("a,b\n")
    os.utime(dropped, (1e9, 1e9))
    write_atomically(home.lake / "stripe" / "kept", b"")
    mine = home.inbox / f".{os.getpid()}-mine.csv.part"
    mine.touch()
    os.utime(mine, (1e9, 1e9))
    with scratch(home, "unpacked") as place:
        before = below(home)
        command = [sys.executable, "-c", KILLED, str(home.root), how, str(dropped)]
        assert subprocess.run(command, check=False).returncode == -9
        left = below(home) - before
        names = {path.name for path in left}
        assert any(name.startswith("spool-") for name in names)
        assert any(name.endswith(".tmp") for name in names)
        sweep(home)
        assert {path for path in below(home) - before if path.is_file()} == set()
        assert before <= below(home)
        assert place.is_dir()
    assert sweep(home) == []


def test_a_file_that_names_no_process_is_swept_after_a_day(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = home.lake / ".abc.tmp"
    # what DuckDB keeps beside a file that it writes
    log = home.lake / ".abc.tmp.wal"
    for each in (old, log):
        each.touch()
    assert sweep(home) == []
    later = time.time() + SURELY_LEFT_SECONDS + 10
    monkeypatch.setattr("personal_pipeline.home.time.time", lambda: later)
    assert set(sweep(home)) == {old, log}


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
@pytest.mark.parametrize("holds", [None, "mine.txt"])
def test_what_lies_in_the_place_of_something_else_is_moved_away(
    tmp_path: Path, holds: str | None
) -> None:
    home = Home(tmp_path / "home").ensure()
    for name in ("home.json", "state/memory.json", "state/locks/inbox.lock"):
        (home.root / name).mkdir(parents=True)
        if holds:
            (home.root / name / holds).write_text("mine")
    assert home.version() == 1
    home.note_version()
    assert home.version() == VERSION
    (temporary,) = [staged(home.state / "memory.json", b"{}")]
    publish({temporary: home.state / "memory.json"})
    assert (home.state / "memory.json").read_bytes() == b"{}"
    with home.lock("inbox", wait_seconds=0):
        pass
    aside = home.quarantine / "damaged"
    assert len(list(aside.rglob("mine.txt"))) == (3 if holds else 0)
    # and the other way round
    (home.state / "alerts").write_text("mine")
    home.reports.rmdir()
    home.reports.write_text("mine")
    write_atomically(home.state / "alerts" / "sent.json", b"{}")
    home.ensure()
    assert home.reports.is_dir()
    assert (aside / "state-alerts").read_text() == (aside / "reports").read_text() == "mine"
    assert "belongs" in (aside / "reports.reason.txt").read_text()


def test_a_file_with_credentials_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("STRIPE_API_KEY=sk_test_secret\n")
    for mode in (0o644, 0o640, 0o604, 0o620):
        file.chmod(mode)
        with pytest.raises(OpenToOthers, match="chmod 600 "):
            load_settings()
        for command in ("status", "sources", "doctor", "refresh"):
            result = CliRunner().invoke(main, [command])
            assert result.exit_code == 1
            said = result.stderr.replace("\n", "")
            assert f"chmod 600 {file}" in said
            assert "sk_test" not in said
    subprocess.run(["sh", "-c", f"chmod 600 {file}"], check=True)
    assert load_settings().is_set("STRIPE_API_KEY")
