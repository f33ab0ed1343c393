"""The archive is enough: what was taken comes out the same when it is taken again from there."""

from __future__ import annotations

import os
import shutil
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.freshness import State, Verdict, judge_drop
from personal_pipeline.home import Home, sweep
from personal_pipeline.ingest import adding, inbox
from personal_pipeline.ingest.again import (
    ReadAgain,
    claim_orphans,
    outdated,
    read_again,
    read_outdated_again,
)
from personal_pipeline.ingest.arrivals import exports_of
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Incomplete,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.originals import (
    SIDECAR,
    all_ingests,
    find_original,
    ingests_of,
    keep_ingests,
)
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.bank import BANK
from personal_pipeline_tests.ingest.test_inbox import put

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def recognise(file: DropFile) -> Claim | None:
    return Claim(0.9, "begins with #figures") if file.head().startswith(b"#figures") else None


def read(file: DropFile, factor: int = 1) -> Iterator[DropRow | Unreadable | Incomplete]:
    """Figures add up, people are a picture. What a row is called depends on name and folder."""
    lines = file.path.read_text().splitlines()[1:]
    if not lines:
        raise UnreadableFile("expected at least one line; export it again")
    for number, line in enumerate(lines, 2):
        if line == "cut":
            yield Incomplete("it breaks off")
            continue
        try:
            stream, day, value = line.split(",")
            month = date.fromisoformat(day).replace(day=1)
            key = f"{file.path.parent.name}/{file.name[0]}/{day}" if stream == "named" else day
            record = {"day": day, "value": int(value) * (factor if int(value) > 50 else 1)}
            yield DropRow("figures" if stream == "named" else stream, month, key, record)
        except ValueError:
            yield Unreadable(f"line {number}: expected stream,day,number", line)


EXPORT = Drop(
    name="export",
    description="a list of figures",
    how_to="Click export.",
    recognise=recognise,
    read=read,
    streams=(
        DropStream(name="figures", description="One figure a day."),
        DropStream(name="people", description="One person.", coverage=Coverage.FULL),
    ),
)
TOY = Source(name="toy", title="Toy", description="", drops=(EXPORT,))


def newer_reader(version: str = "2", factor: int = 2) -> Source:
    """The toy, when its reader was mended: large figures come out differently."""
    streams = tuple(replace(stream, code_version=version) for stream in EXPORT.streams)
    drop = replace(EXPORT, streams=streams, read=lambda file: read(file, factor))
    return replace(TOY, drops=(drop,))


def dropped(
    home: Home, name: str, *lines: str, at: datetime = NOW, day: int = 20
) -> inbox.IngestedFile:
    (home.inbox / name).parent.mkdir(parents=True, exist_ok=True)
    return ingest_file(home, [TOY], put(home, name, *lines, day=day), at)


def files_of(home: Home, folder: Path | None = None) -> dict[str, bytes]:
    """The partitions of the lake, byte for byte."""
    folder = folder or home.lake
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("part.*")}


def unreadable(home: Home) -> dict[str, bytes]:
    """The rows that could not be read, as they are kept."""
    return {path.name: path.read_bytes() for path in home.quarantine.rglob("unreadable-*")}


def delete_derived(home: Home) -> None:
    for folder in (home.lake, home.state, home.quarantine, home.inbox):
        shutil.rmtree(folder)
    home.ensure()


def life(home: Home) -> None:
    dropped(home, "a.txt", "figures,2026-10-30,1", "named,2026-10-01,5", "people,2026-10-01,1")
    dropped(home, "in/a.txt", "figures,2026-10-30,1", "named,2026-10-01,5", "people,2026-10-01,1")
    dropped(home, "b.txt", "figures,2026-11-01,60", "oops", at=NOW + timedelta(hours=1))
    dropped(home, "empty.txt", at=NOW + timedelta(hours=2))
    dropped(home, "c.txt", "people,2026-09-01,4", "cut", at=NOW + timedelta(hours=3), day=21)


def test_a_lake_that_is_gone_comes_back_byte_for_byte(home: Home) -> None:
    life(home)
    before = files_of(home)
    rows_aside = unreadable(home)
    assert rows_aside
    receipts = sorted((home.archive / "receipts").iterdir())
    assert outdated(home, [TOY]) == {}

    delete_derived(home)
    [done] = read_outdated_again(home, [TOY])
    assert (done.files, done.problems) == (5, [])
    assert files_of(home) == before
    assert unreadable(home) == rows_aside
    assert sorted((home.archive / "receipts").iterdir()) == receipts
    assert not list(home.state.glob("again-*"))
    assert read_outdated_again(home, [TOY]) == []


def test_the_same_bytes_in_two_folders_are_two_ingests_and_the_same_twice_is_one(
    home: Home,
) -> None:
    life(home)
    dropped(home, "a.txt", "figures,2026-10-30,1", "named,2026-10-01,5", "people,2026-10-01,1")
    [*found] = [each for _, each in all_ingests(home) if each.name == "a.txt"]
    assert sorted(each.folder for each in found) == ["", "in"]
    assert all(each.confidence == 0.9 and each.reason == "begins with #figures" for each in found)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_whatever_came_in_whatever_order_comes_out_the_same(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    home = Home(tmp_path_factory.mktemp("home")).ensure()
    line = st.builds(
        lambda stream, month, value: f"{stream},2026-{month:02}-01,{value}",
        st.sampled_from(["figures", "named", "people"]),
        st.integers(8, 11),
        st.integers(1, 99),
    )
    contents = st.lists(line | st.sampled_from(["cut", "oops"]), max_size=4)
    pool = data.draw(st.lists(contents, min_size=1, max_size=3))
    for number in range(data.draw(st.integers(1, 6))):
        name = data.draw(st.sampled_from(["a.txt", "b.txt", "in/a.txt"]))
        lines = data.draw(st.sampled_from(pool))
        day = data.draw(st.integers(18, 20))
        dropped(home, name, *lines, at=NOW + timedelta(hours=number), day=day)
    before = files_of(home)
    assert outdated(home, [TOY]) == {}
    delete_derived(home)
    read_outdated_again(home, [TOY])
    assert files_of(home) == before
    # and again over what is there: nothing differs
    assert read_again(home, [TOY], TOY, EXPORT).changed == {}
    assert files_of(home) == before


def test_a_reader_that_changed_reads_its_originals_again_and_only_what_differs_is_replaced(
    home: Home,
) -> None:
    life(home)
    lake = lake_of(home, "toy", EXPORT.streams[0])
    before = {each: lake.path(each).stat() for each in lake.partitions()}
    newer = newer_reader()
    assert outdated(home, [newer]) == {("toy", "export"): "the parser changed"}
    [done] = read_outdated_again(home, [newer])
    assert done.changed == {"figures": [date(2026, 11, 1)]}
    assert lake.read(date(2026, 11, 1))["2026-11-01"].record["value"] == 120
    assert lake.path(date(2026, 10, 1)).stat() == before[date(2026, 10, 1)]
    # what was replaced is kept, as always
    assert len(list((home.archive / "lake" / "toy" / "figures" / "2026-11-01").iterdir())) == 1
    assert read_outdated_again(home, [newer]) == []


def test_a_file_taken_by_the_new_reader_does_not_vouch_for_the_old_rows(home: Home) -> None:
    life(home)
    newer = newer_reader()
    ingest_file(home, [newer], put(home, "d.txt", "figures,2026-08-01,70"), NOW + timedelta(days=1))
    assert outdated(home, [newer]) == {("toy", "export"): "the parser changed"}
    read_outdated_again(home, [newer])
    lake = lake_of(home, "toy", EXPORT.streams[0])
    assert lake.read(date(2026, 11, 1))["2026-11-01"].record["value"] == 120


def garbage(path: Path) -> None:
    path.write_bytes(b"not a gzip")


def empty(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [Path.unlink, garbage, empty])
def test_a_partition_that_is_lost_or_damaged_is_read_again(home: Home, damage: object) -> None:
    assert callable(damage)
    life(home)
    before = files_of(home)
    damage(lake_of(home, "toy", EXPORT.streams[0]).path(date(2026, 10, 1)))
    # a file that comes meanwhile does not vouch for what is lost
    if damage is Path.unlink:
        dropped(home, "x.txt", "people,2026-09-01,4", at=NOW + timedelta(hours=4), day=1)
    [done] = read_outdated_again(home, [TOY])
    assert done.changed == {"figures": [date(2026, 10, 1)]}
    assert files_of(home) == before


def test_a_file_that_the_lake_lacks_is_read(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    life(home)
    path = put(home, "d.txt", "figures,2026-08-01,7")

    def killed(*given: Any) -> None:
        keep_ingests(*given)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(inbox, "keep_ingests", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_file(home, [TOY], path, NOW)
    path.unlink()
    [done] = read_outdated_again(home, [TOY])
    assert done.changed == {"figures": [date(2026, 8, 1)]}


@pytest.mark.parametrize("is_there", [True, False])
def test_an_original_that_is_damaged_or_missing_costs_no_row_that_the_lake_has(
    home: Home, is_there: bool
) -> None:
    life(home)
    before = files_of(home)
    digest = next(digest for digest, each in all_ingests(home) if each.name == "b.txt")
    original = find_original(home, digest, "b.txt")
    assert original
    good = original.read_bytes()
    original.chmod(0o600)
    original.unlink()
    if is_there:
        original.write_bytes(good[:-3])
    lake_of(home, "toy", EXPORT.streams[0]).path(date(2026, 10, 1)).unlink()

    [done] = read_outdated_again(home, [TOY])
    assert files_of(home) == before
    assert ("damaged" if is_there else "missing") in done.problems[0]
    assert "'b.txt'" in done.problems[0]
    # it is said once, and tried again when the file is another
    assert read_outdated_again(home, [TOY]) == []
    original.unlink(missing_ok=True)
    original.write_bytes(good)
    [done] = read_outdated_again(home, [TOY])
    assert (done.files, done.problems) == (5, [])
    assert files_of(home) == before


def test_a_sidecar_that_is_gone_is_made_anew_and_loses_no_row(home: Home) -> None:
    life(home)
    before = files_of(home)
    sidecars = sorted((home.archive / "originals").glob(f"*/*{SIDECAR}"))
    sidecars[0].unlink()
    sidecars[1].write_bytes(b"{")
    read_again(home, [TOY], TOY, EXPORT)
    assert files_of(home) == before
    assert sorted((home.archive / "originals").glob(f"*/*{SIDECAR}")) == sidecars


def test_an_original_that_another_source_claims_now_is_read_by_it(home: Home) -> None:
    life(home)
    nobody = replace(EXPORT, recognise=lambda file: None)
    other = replace(TOY, name="other", drops=(EXPORT,))
    sources = [replace(TOY, drops=(nobody,)), other]
    rows = files_of(home, home.lake / "toy")
    read_again(home, sources, sources[0], nobody)
    read_outdated_again(home, sources)
    assert files_of(home, home.lake / "other") == rows


def test_an_original_that_nobody_claims_any_more_keeps_its_rows(home: Home) -> None:
    life(home)
    before = files_of(home)
    nobody = replace(EXPORT, recognise=lambda file: None)
    read_again(home, [replace(TOY, drops=(nobody,))], TOY, nobody)
    assert files_of(home) == before


def test_originals_of_a_source_that_was_renamed_find_their_owner(home: Home) -> None:
    life(home)
    rows = files_of(home, home.lake / "toy")
    renamed = replace(TOY, name="plaything")
    assert read_outdated_again(home, [renamed]) == []
    assert claim_orphans(home, [renamed]) == 5
    read_outdated_again(home, [renamed])
    assert files_of(home, home.lake / "plaything") == rows


def read_again_and_die(home: Home, steps: int, taken: Path) -> int:
    """In a process of its own, killed at this step of those that change a file. Its exit code; if
    it lives, the number of steps is in the file ``taken``."""
    with warnings.catch_warnings():
        # the threads of this process do not matter: the new one is left without a word
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        code = 1
        try:
            left = steps

            def counted(function: Callable[..., Any]) -> Callable[..., Any]:
                def call(*args: Any, **more: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if left < 0:
                        os._exit(KILLED)
                    return function(*args, **more)

                return call

            with pytest.MonkeyPatch.context() as patched:
                for place, name in (
                    (os, "fsync"), (os, "replace"), (Path, "replace"), (Path, "unlink"),
                ):  # fmt: skip
                    patched.setattr(place, name, counted(getattr(place, name)))
                read_outdated_again(home, [newer_reader()])
            taken.write_text(str(steps - left))
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


KILLED = 9


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="it forks")
def test_it_may_be_killed_anywhere(home: Home, tmp_path: Path) -> None:
    life(home)
    whole = Home(tmp_path / "whole")
    shutil.copytree(home.root, whole.root)
    assert read_again_and_die(whole, 100_000, tmp_path / "steps") == 0
    steps = int((tmp_path / "steps").read_text())
    expected = files_of(whole)
    # near the end the lake itself is written
    for step in [*range(20, steps - 16, steps // 4), *range(steps - 16, steps, 2)]:
        some = Home(tmp_path / f"killed-{step}")
        shutil.copytree(home.root, some.root)
        assert read_again_and_die(some, step, tmp_path / "steps") == KILLED
        sweep(some)
        read_outdated_again(some, [newer_reader()])
        assert files_of(some) == expected
        assert unreadable(some) == unreadable(whole)
        assert not list(some.state.glob("again-*"))


# ------------------------------------------------------------------------------------- the bank

CSV = "Date,Description,Amount\n2026-10-02,Coffee,-3.50\n2026-10-05,Salary,1000.00\n"
DIALECT = """\
name: my_bank
title: My bank
header: [Date, Description, Amount]
exact: true
date_format: "%Y-%m-%d"
currency: EUR
columns:
  posted_on: Date
  description: Description
  amount: Amount
"""


def banking(home: Home) -> None:
    home.dialects.mkdir(exist_ok=True)
    (home.dialects / "mine.yaml").write_text(DIALECT)
    for folder in ("checking-1234", "savings-5678"):
        path = home.inbox / folder / "export.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(CSV)
        os.utime(path, (NOW.timestamp(), NOW.timestamp()))
        assert ingest_file(home, SOURCES, path, NOW).receipt.ingested
    archive = home.inbox / "statements.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("card-9999/a.csv", CSV)
        packed.writestr("card-9999/readme.bin", b"\0\1\2")
    assert [each.receipt.ingested for each in ingest_file(home, SOURCES, archive, NOW).members] == [
        True
    ]


def accounts(home: Home) -> set[tuple[str, str]]:
    lake = lake_of(home, "bank", BANK.drops[0].streams[0])
    return {
        (row.record["title"], row.record["account"])
        for month in lake.partitions()
        for row in lake.read(month).values()
    }


def test_an_account_called_after_its_folder_keeps_its_identity(home: Home) -> None:
    banking(home)
    before, named = files_of(home), accounts(home)
    assert len({account for _, account in named}) == 3
    delete_derived(home)
    read_outdated_again(home, SOURCES)
    assert accounts(home) == named
    assert files_of(home) == before


def test_a_dialect_that_is_gone_is_kept_and_one_that_was_mended_reads_its_files_again(
    home: Home,
) -> None:
    banking(home)
    before = files_of(home)
    ingest = next(each for _, each in all_ingests(home) if each.folder == "card-9999")
    assert ingest.dialect == "my_bank"
    assert ingest.inside == "statements.zip/card-9999/a.csv"

    (home.dialects / "mine.yaml").unlink()
    delete_derived(home)
    read_outdated_again(home, SOURCES)
    assert files_of(home) == before

    (home.dialects / "mine.yaml").write_text(DIALECT.replace("currency: EUR", "currency: GBP"))
    assert outdated(home, SOURCES) == {("bank", "statement"): "the parser changed"}
    read_outdated_again(home, SOURCES)
    lake = lake_of(home, "bank", BANK.drops[0].streams[3])
    assert {row.record["currency"] for row in lake.read(date(2026, 10, 1)).values()} == {"GBP"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names in UTF-8")
def test_a_name_that_is_no_text_survives(home: Home) -> None:
    path = home.inbox / os.fsdecode(b"\xff\xfe.txt")
    path.write_text("#figures\nnamed,2026-10-01,5")
    ingest_file(home, [TOY], path, NOW)
    before = files_of(home)
    delete_derived(home)
    read_outdated_again(home, [TOY])
    assert files_of(home) == before


@pytest.mark.slow
def test_all_samples_come_out_the_same(home: Home, samples: Path) -> None:
    for name in ("apple_health", "banks", "fit", "strava", "medium", "stripe"):
        shutil.copytree(samples / name, home.inbox / name)
    files = adding.packed(home, SOURCES, list(inbox.entries(home)))
    kinds = {
        (each.receipt.source, each.receipt.drop)
        for path in files
        for each in [ingest_file(home, SOURCES, path, NOW)]
        if each.receipt.ingested
    }
    assert len(kinds) == 5
    before, rows_aside = files_of(home), unreadable(home)
    delete_derived(home)
    done: list[ReadAgain] = read_outdated_again(home, SOURCES)
    assert {(each.source, each.drop) for each in done} == kinds
    assert files_of(home) == before
    assert unreadable(home) == rows_aside
    assert all(ingests_of(home, digest) for digest, _ in all_ingests(home))


BEHIND = datetime(2023, 3, 1, 6, 0, tzinfo=UTC)
"""What the clock of this machine said, when it was wrong."""


def ahead_house(home: Home) -> None:
    """Files taken by a clock that is behind: one lies in its future, of one a row does not."""
    dropped(home, "a.txt", "figures,2026-10-30,1", "named,2026-10-01,5", at=BEHIND)
    later = BEHIND + timedelta(hours=1)
    dropped(home, "b.txt", "figures,2023-02-01,1", "people,2026-09-01,5", "oops", at=later)


def of_board(home: Home, now: datetime) -> tuple[Verdict, int]:
    came = exports_of(home)["toy", "export"]
    return judge_drop(came.arrivals, now, monthly_on_day=None), came.unreadable


def test_rows_that_lay_in_the_future_are_read_when_the_clock_is_right(
    home: Home, tmp_path: Path
) -> None:
    ahead_house(home)
    assert read_outdated_again(home, [TOY], now=BEHIND + timedelta(days=1)) == []
    assert [path.name for path in (home.lake / "toy").rglob("month=*")] == ["month=2023-02-01"]

    assert set(outdated(home, [TOY], NOW).values()) == {
        "rows that were in the future no longer are"
    }
    [done] = read_outdated_again(home, [TOY], now=NOW)
    assert (done.files, done.problems) == (2, [])
    # as if the clock had been right
    other = Home(tmp_path / "other")
    other.ensure()
    dropped(other, "a.txt", "figures,2026-10-30,1", "named,2026-10-01,5")
    dropped(other, "b.txt", "figures,2023-02-01,1", "people,2026-09-01,5", "oops")
    assert files_of(home, home.lake) == files_of(other, other.lake)
    assert unreadable(home) == unreadable(other)
    assert read_outdated_again(home, [TOY], now=NOW) == []
    # and when the clock is behind once more, nothing is taken away
    assert read_outdated_again(home, [TOY], now=BEHIND) == []


def test_rows_in_the_future_are_said_until_they_are_read(home: Home) -> None:
    taken = dropped(home, "a.txt", "figures,2026-10-30,1", "named,2026-10-01,5", at=BEHIND)
    assert taken.receipt.warning is not None
    assert "2 of its rows are in the future" in taken.receipt.warning
    assert "2023-03-01" in taken.receipt.warning
    verdict, count = of_board(home, BEHIND)
    assert (verdict.state, verdict.cause, count) == (State.FAILING, Failure.CLOCK_WRONG, 2)
    assert "correct it and run" in verdict.detail
    read_outdated_again(home, [TOY], now=NOW)
    verdict, count = of_board(home, NOW)
    assert (verdict.state, count) == (State.FRESH, 0)


def test_rows_that_are_to_come_are_read_month_by_month(home: Home) -> None:
    """Payments that are planned: no clock is wrong."""
    months = ["2026-12-01", "2027-01-01", "2027-02-01"]
    taken = dropped(home, "a.txt", *(f"figures,{month},1" for month in months))
    figures = taken.receipt.streams[0]
    assert (figures.ahead, figures.to_come) == (2, "2027-01-01")
    there = []
    for days in range(0, 90, 5):
        now = NOW + timedelta(days=days)
        done = read_outdated_again(home, [TOY], now=now)
        there.append(len(files_of(home)))
        assert bool(done) == (days > 0 and there[-1] != there[-2])
        assert of_board(home, now)[0].state is State.FRESH
    assert sorted(set(there)) == [1, 2, 3]
