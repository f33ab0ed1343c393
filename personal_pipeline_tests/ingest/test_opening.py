"""A home of an earlier version is opened as if this one had made it; one of a later is refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from personal_pipeline.cli import main
from personal_pipeline.home import VERSION, Home, NewerHome
from personal_pipeline.ingest import adding, inbox, opening
from personal_pipeline.ingest.again import outdated, read_again, read_outdated_again
from personal_pipeline.ingest.contract import Coverage, Grain, Source, Window
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.opening import opened
from personal_pipeline.ingest.originals import SIDECAR, Ingest, all_ingests
from personal_pipeline.ingest.restoring import held_before, restore
from personal_pipeline.ingest.seals import sealed
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.ingest.kills import Killed, killed_at
from personal_pipeline_tests.ingest.test_again import (
    CSV,
    NOW,
    banking,
    delete_derived,
    files_of,
    life,
)
from personal_pipeline_tests.ingest.test_fetch import TODAY, Clocked, Service, stream_of
from personal_pipeline_tests.old_homes import make_version_1, make_version_2


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
        assert ingest_file(home, SOURCES, path, NOW).receipt.ingested
    path = home.inbox / "savings-5678" / "broken.csv"
    path.write_text("Date,Description,Amount\n")
    ingest_file(home, SOURCES, path, NOW)
    make_version_1(home, SOURCES)


def of_files(home: Home) -> set[tuple[str, str, str, str | None, int]]:
    """What rows depend on, of each ingest."""
    return {
        (digest, each.name, each.folder, each.dialect, each.modified_ns)
        for digest, each in all_ingests(home)
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
        ingest_file(home, SOURCES, path, NOW)
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
    assert "was written by a later version" in " ".join(result.output.split())
    assert contents(home) == before


def test_the_graph_refuses_a_later_home(home: Home) -> None:
    (home.root / "home.json").write_text(json.dumps({"version": VERSION + 1}))
    with pytest.raises(NewerHome):
        opening.opened(home, SOURCES)


def test_an_ingest_of_a_later_version_can_be_read(home: Home) -> None:
    life(home)
    sidecar = next((home.archive / "originals").glob(f"*/*{SIDECAR}"))
    kept = json.loads(sidecar.read_bytes())
    sidecar.write_text(json.dumps([sealed({**each, "mood": "later"}) for each in kept]))
    found = [ingest for _, ingest in all_ingests(home)]
    assert len(found) == 5
    assert all(isinstance(replace(each, accepted=True), Ingest) for each in found)


def fetched(home: Home) -> dict[Coverage, tuple[Source, Service]]:
    """A source of each coverage whose stream is cut by month; some days were replaced since."""
    sources = {}
    for coverage in (Coverage.WINDOW, Coverage.PART, Coverage.FULL, Coverage.HISTORY):
        service = Service()
        for n in range(6, 70):
            # a window holds its own days only
            ended = "" if coverage is Coverage.WINDOW else f"{TODAY - timedelta(days=n // 2 + 3)}"
            service.put(f"r{n}", TODAY - timedelta(days=n), ended=ended)
        alone = coverage in (Coverage.FULL, Coverage.HISTORY)
        stream = stream_of(
            service,
            grain=Grain.MONTH,
            coverage=coverage,
            fetch=None if alone else service.fetch,
            fetch_all=None if coverage is Coverage.WINDOW else service.fetch_all,
        )
        source = Source(name=str(coverage), title="Test", description="", api=(stream,))
        sources[coverage] = source, service
        ask(home, source, NOW - timedelta(days=5))
        service.put("r7", TODAY - timedelta(days=7), amount=2)
        ask(home, source, NOW)
    return sources


def ask(home: Home, source: Source, now: datetime) -> FetchResult:
    beginning = TODAY - timedelta(days=80)
    client = Clocked(now)
    pulled = fetch_stream(home, source, source.api[0], client, now=now, beginning=beginning)
    assert pulled.failure is None
    return pulled


def lakes(home: Home, sources: Iterable[Source]) -> dict[str, bytes]:
    """The files of the lake but for its notes, which are made again."""
    return {
        str(path.relative_to(home.lake)): path.read_bytes()
        for source in sources
        for path in (home.lake / source.name).rglob("part.jsonl.gz")
    }


@pytest.mark.parametrize("killed", [None, *range(9)])
def test_days_of_an_older_home_become_months_and_nothing_is_asked_for_again(
    home: Home, killed: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = fetched(home)
    sources = [source for source, _ in of.values()]
    moment = NOW - timedelta(days=30)
    before, held = lakes(home, sources), [held_before(home, each, moment) for each in sources]
    assert any(held)
    make_version_2(home, sources)
    assert not lakes(home, sources).keys() & before.keys()
    if killed is not None:
        # before a month is written, and in the middle of taking its days away
        real, left = Path.unlink, [killed * 7]

        def unlink(path: Path, missing_ok: bool = False) -> None:
            if path.name == "part.jsonl.gz":
                left[0] -= 1
                if left[0] < 0:
                    raise Killed
            real(path, missing_ok=missing_ok)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "unlink", unlink)
            with pytest.raises(Killed):
                opened(home, sources)
        with killed_at(killed // 3), suppress(Killed):
            opened(home, sources)
        assert home.version() < VERSION
    assert opened(home, sources) == ()
    assert home.version() == VERSION
    assert lakes(home, sources) == before
    assert not list(home.lake.rglob("day=*"))
    # what was replaced is still there to be brought back
    assert [held_before(home, each, moment) for each in sources] == held
    for source, service in of.values():
        service.asked.clear()
        assert ask(home, source, NOW + timedelta(hours=1)).changed == ()
        asked = {day for window in service.asked for day in window.days()}
        assert min(asked, default=TODAY) >= TODAY - timedelta(days=4)
    window, _ = of[Coverage.WINDOW]
    restore(home, window, moment)
    row = lake_of(home, window.name, window.api[0]).read(TODAY - timedelta(days=7))["r7"]
    assert "amount" not in row.record


def test_a_damaged_day_of_an_older_home_is_said_and_asked_for_again(home: Home) -> None:
    window, service = fetched(home)[Coverage.WINDOW]
    before = lakes(home, [window])
    make_version_2(home, [window])
    bad = next((home.lake / window.name).glob("*/day=2026-10-05/part.jsonl.gz"))
    bad.write_bytes(b"rotten")
    (said,) = opened(home, [window])
    assert "1 days, from 2026-10-05 on, cannot be read" in said
    assert [path.read_bytes() for path in (home.quarantine / "damaged").glob("*.gz")] == [b"rotten"]
    assert lakes(home, [window]) != before
    service.asked.clear()
    ask(home, window, NOW + timedelta(hours=1))
    assert Window(date(2026, 10, 5), date(2026, 10, 6)) in service.asked
    assert lakes(home, [window]) == before
