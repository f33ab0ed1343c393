"""A home of an earlier version is opened as if this one had made it; one of a later is refused."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from personal_pipeline.cli import main
from personal_pipeline.home import VERSION, Home, NewerHome
from personal_pipeline.ingest import adding, inbox, opening
from personal_pipeline.ingest.again import outdated, read_again, read_outdated_again
from personal_pipeline.ingest.inbox import take
from personal_pipeline.ingest.opening import opened
from personal_pipeline.ingest.originals import SIDECAR, Taking, all_takings
from personal_pipeline.ingest.seals import sealed
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.ingest.test_again import (
    CSV,
    NOW,
    banking,
    delete_derived,
    files_of,
    life,
)
from personal_pipeline_tests.old_homes import make_version_1


def contents(home: Home) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.root.rglob("*") if path.is_file()}


def version_1(home: Home) -> None:
    """Two accounts that are called after their folders, one from an archive, and one that tells
    its number and lies in a folder all the same."""
    banking(home)
    for name, amount in (("savings-5678/more.csv", "-2.50"), ("my account.csv", "-9.00")):
        path = home.inbox / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"Date,Description,Amount\n2026-11-02,Tea,{amount}\n")
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        assert take(home, SOURCES, path, NOW).receipt.taken
    path = home.inbox / "savings-5678" / "broken.csv"
    path.write_text("Date,Description,Amount\n")
    take(home, SOURCES, path, NOW)
    make_version_1(home, SOURCES)


def of_files(home: Home) -> set[tuple[str, str, str, str | None, int]]:
    """What rows depend on, of each taking."""
    return {
        (digest, each.name, each.folder, each.dialect, each.modified_ns)
        for digest, each in all_takings(home)
    }


def test_an_older_home_gives_the_same_rows_from_its_archive(home: Home) -> None:
    version_1(home)
    before = files_of(home)
    assert opened(home, SOURCES) == ()
    assert home.version() == VERSION
    assert files_of(home) == before
    # the lake is believed, and nothing is read again only because the home was opened
    assert outdated(home, SOURCES) == {}
    assert opened(home, SOURCES) == ()

    delete_derived(home)
    read_outdated_again(home, SOURCES)
    assert files_of(home) == before


def test_what_the_sidecars_say_is_what_was_noted_when_the_files_came(
    home: Home, tmp_path: Path
) -> None:
    banking(home)
    noted = of_files(home)
    make_version_1(home, SOURCES)
    opened(home, SOURCES)
    assert of_files(home) == noted


def test_opening_may_be_killed_anywhere(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    version_1(home)
    untouched = home.root.parent / "untouched"
    shutil.copytree(home.root, untouched)
    opened(home, SOURCES)
    expected = of_files(home)
    for steps in range(1, 30):
        shutil.rmtree(home.root)
        shutil.copytree(untouched, home.root)
        left = steps

        def counted(source: object, target: object, *, real: object = os.replace) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise KeyboardInterrupt
            assert callable(real)
            real(source, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "replace", counted)
            try:
                opened(home, SOURCES)
                break
            except KeyboardInterrupt:
                assert home.version() == 1
        opened(home, SOURCES)
        assert of_files(home) == expected
        assert outdated(home, SOURCES) == {}
    else:
        raise AssertionError("the last kill came before the end: count further")


def test_a_damaged_partition_of_an_older_home_is_read_again(home: Home) -> None:
    version_1(home)
    before = files_of(home)
    damaged = next(home.lake.glob("bank/transactions/*/part.jsonl.gz"))
    damaged.write_bytes(b"")
    opened(home, SOURCES)
    read_outdated_again(home, SOURCES)
    assert files_of(home) == before


def test_what_cannot_be_found_out_is_said_and_nothing_is_lost(home: Home) -> None:
    version_1(home)
    before = files_of(home)
    for receipt in (home.archive / "receipts").iterdir():
        if json.loads(receipt.read_bytes())["file"] == "more.csv":
            receipt.unlink()
    [said] = opened(home, SOURCES)
    assert said.startswith("1 files in archive/originals/ have no receipt")
    assert files_of(home) == before


@pytest.mark.slow
def test_an_older_home_with_all_samples(home: Home, samples: Path) -> None:
    for name in ("apple_health", "banks", "fit", "strava", "medium", "stripe"):
        shutil.copytree(samples / name, home.inbox / name)
    for path in adding.packed(home, SOURCES, list(inbox.entries(home))):
        take(home, SOURCES, path, NOW)
    make_version_1(home, SOURCES)
    before = files_of(home)
    assert opened(home, SOURCES) == ()
    assert outdated(home, SOURCES) == {}
    for source in SOURCES:
        for drop in source.drops:
            assert read_again(home, SOURCES, source, drop).changed == {}
    delete_derived(home)
    read_outdated_again(home, SOURCES)
    assert files_of(home) == before


def test_a_new_home_has_the_present_version(tmp_path: Path) -> None:
    home = Home(tmp_path / "new")
    opened(home, SOURCES)
    assert json.loads((home.root / "home.json").read_bytes()) == {"version": VERSION}
    assert home.credentials.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "command",
    [
        ["refresh"],
        ["rebuild"],
        ["status"],
        ["sources"],
        ["report"],
        ["doctor"],
        ["up"],
        ["add", "file.csv"],
    ],
    ids=lambda command: command[0],
)
def test_every_command_refuses_a_later_home_and_touches_nothing(
    home: Home, tmp_path: Path, command: list[str]
) -> None:
    (home.root / "home.json").write_text(json.dumps({"version": VERSION + 1}))
    (tmp_path / "file.csv").write_text(CSV)
    before = contents(home)
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 1
    assert "was made by a later personal-pipeline" in " ".join(result.output.split())
    assert contents(home) == before


def test_the_graph_refuses_a_later_home(home: Home) -> None:
    (home.root / "home.json").write_text(json.dumps({"version": VERSION + 1}))
    with pytest.raises(NewerHome):
        opening.opened(home, SOURCES)


def test_a_taking_of_a_later_version_can_be_read(home: Home) -> None:
    life(home)
    sidecar = next((home.archive / "originals").glob(f"*/*{SIDECAR}"))
    kept = json.loads(sidecar.read_bytes())
    sidecar.write_text(json.dumps([sealed({**each, "mood": "later"}) for each in kept]))
    found = [taking for _, taking in all_takings(home)]
    assert len(found) == 5
    assert all(isinstance(replace(each, accepted=True), Taking) for each in found)
