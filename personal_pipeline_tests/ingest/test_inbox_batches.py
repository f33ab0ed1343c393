"""Files taken together: as if each had come alone, however many, and wherever it is killed."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest import inbox, merging, reading
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.inbox import IngestedFile, ingest_all, ingest_file, waiting
from personal_pipeline.ingest.lake import content_digest, lake_of
from personal_pipeline.ingest.originals import SIDECAR, ingests_of, original_path
from personal_pipeline.ingest.seals import SEAL, is_sound
from personal_pipeline.ingest.sorting import Sorter

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)


def read(file: DropFile) -> Iterator[DropRow | Unreadable]:
    for number, line in enumerate(file.path.read_text().splitlines()):
        if line == "broken":
            raise UnreadableFile("it is broken; export it again")
        if line.startswith("{"):
            record = json.loads(line)
            day = date.fromisoformat(record["day"])
            yield DropRow("figures", day.replace(day=1), record["key"], record)
        elif number:
            yield Unreadable(f"line {number}: expected JSON", line)


def source_of(**more: Any) -> Source:
    stream = DropStream(name="figures", description="", volatile=("seen",))
    people = DropStream(name="rules", description="", coverage=Coverage.FULL)

    def drop(name: str, stream: DropStream) -> Drop:
        head = f"#{name}".encode()
        return Drop(
            name=name,
            description=name,
            how_to="",
            recognise=lambda file: Claim(0.9, name) if file.head().startswith(head) else None,
            read=more.get("read", read),
            streams=(stream,),
        )

    picture = drop("rules", people)
    return Source(
        name="toy",
        title="Toy",
        description="",
        drops=(
            drop("figures", stream),
            replace(
                picture,
                read=lambda file: (
                    replace(row, stream="rules") if isinstance(row, DropRow) else row
                    for row in read(file)
                ),
            ),
        ),
    )


SOURCE = source_of()

ROWS = st.fixed_dictionaries(
    {
        "key": st.sampled_from(["a", "b", "ü", "\U0001f600", 'z,\n"record":']),
        "day": st.sampled_from(["2026-08-03", "2026-09-01", "2026-10-31"]),
        "value": st.integers(0, 2),
        "seen": st.integers(0, 1),
    },
    optional={"more": st.none()},
)
FILES = st.lists(
    st.tuples(
        st.sampled_from(["#figures", "#figures", "#figures", "#rules", "#nobody"]),
        st.lists(
            st.one_of(ROWS.map(json.dumps), st.sampled_from(["nonsense", "broken"])), max_size=6
        ),
        st.integers(1, 4),
    ),
    max_size=7,
)


def put(home: Home, files: list[tuple[str, list[str], int]]) -> list[Path]:
    paths = []
    for number, (head, lines, day) in enumerate(files):
        path = home.inbox / f"{number}.txt"
        path.write_text("\n".join([head, *lines]))
        stamp = datetime(2026, 11, day, tzinfo=UTC).timestamp()
        os.utime(path, (stamp, stamp))
        paths.append(path)
    return paths


def all_of(home: Home) -> dict[str, Any]:
    """Everything that is kept, but for how often it was looked at."""
    found: dict[str, Any] = {}
    for stream in SOURCE.drop_streams:
        lake = lake_of(home, "toy", stream)
        for month in lake.partitions():
            rows = lake.read(month)
            found[f"{stream.name} {month}"] = rows
            # noted digests are those of the files
            assert lake.versions()[month].digest == content_digest(rows.values(), stream.volatile)
    for folder in (home.archive / "originals", home.quarantine):
        for path in folder.rglob("*"):
            # what a killed process leaves under a temporary name is swept elsewhere
            is_sidecar = path.name.endswith(SIDECAR)
            if path.is_file() and path.suffix != ".tmp" and not is_sidecar:
                found[str(path.relative_to(home.root))] = path.read_bytes()
    for sidecar in (home.archive / "originals").glob(f"*/*{SIDECAR}"):
        # one that was taken again after a kill came twice
        ingests = ingests_of(home, sidecar.name.removesuffix(SIDECAR))
        found[str(sidecar.relative_to(home.root))] = [
            replace(each, came_again_at=None) for each in ingests or ()
        ]
    for path in home.state.glob("toy.*.json"):
        found[path.name] = path.read_bytes()
    return found


def receipts(home: Home) -> list[Any]:
    kept = [json.loads(p.read_bytes()) for p in (home.archive / "receipts").glob("*.json")]
    for each in kept:
        assert is_sound(each)
        del each[SEAL]
    return sorted(kept, key=lambda each: (each["file"], json.dumps(each)))


def without_columns(kept: list[Any]) -> list[Any]:
    # rows that were replaced within a batch are still known by their columns
    for each in kept:
        for stream in each["streams"]:
            stream.pop("columns_unknown")
            stream.pop("columns_gone")
    return kept


@settings(max_examples=15, deadline=None)
@given(files=FILES)
def test_together_is_one_after_the_other(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, list[str], int]]
) -> None:
    folder = tmp_path_factory.mktemp("homes")
    alone, together = Home(folder / "alone").ensure(), Home(folder / "together").ensure()
    for path in put(alone, files):
        ingest_file(alone, [SOURCE], path, NOW)
    list(ingest_all(together, [SOURCE], put(together, files), lambda: NOW))
    assert all_of(together) == all_of(alone)
    assert without_columns(receipts(together)) == without_columns(receipts(alone))
    assert waiting(together) == waiting(alone) == []
    assert not list(together.state.glob("unpacked-*"))


class Killed(BaseException):
    pass


@settings(max_examples=12, deadline=None)
@given(files=FILES, after=st.integers(0, 40))
def test_killed_anywhere_and_taken_again_loses_nothing(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[str, list[str], int]], after: int
) -> None:
    """Killed after so many changes to the disk."""
    folder = tmp_path_factory.mktemp("homes")
    whole, killed = Home(folder / "whole").ensure(), Home(folder / "killed").ensure()
    put(whole, files)
    list(ingest_all(whole, [SOURCE], waiting(whole), lambda: NOW))
    put(killed, files)
    steps = after

    def step(of: Any, name: str) -> Any:
        original = getattr(of, name)

        def counted(*given: Any, **more: Any) -> Any:
            nonlocal steps
            steps -= 1
            if steps < 0:
                raise Killed
            return original(*given, **more)

        return counted

    with pytest.MonkeyPatch.context() as patched:
        for of, name in ((Path, "replace"), (Path, "unlink"), (os, "fsync"), (Path, "chmod")):
            patched.setattr(of, name, step(of, name))
        with suppress(Killed):
            list(ingest_all(killed, [SOURCE], waiting(killed), lambda: NOW))
    for path in waiting(killed):
        # each that is still there is there whole
        assert path.read_bytes()
    list(ingest_all(killed, [SOURCE], waiting(killed), lambda: NOW))
    assert all_of(killed) == all_of(whole)
    assert waiting(killed) == []
    files_of = {each["file"] for each in receipts(killed)}
    assert files_of == {each["file"] for each in receipts(whole)}


def test_two_batches_and_a_hundred_files(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_TOGETHER", 40)
    rng = random.Random(1)
    files = [
        (
            "#figures",
            [
                json.dumps({"key": f"{rng.randrange(90)}", "day": "2026-09-01", "value": n})
                for n in range(3)
            ],
            1 + number % 9,
        )
        for number in range(100)
    ]
    paths = put(home, files)
    steps: list[tuple[int, int]] = []
    outcomes = list(
        ingest_all(
            home, [SOURCE], paths, lambda: NOW, lambda _, done, total: steps.append((done, total))
        )
    )
    assert [each.receipt.file for each in outcomes if isinstance(each, IngestedFile)] == [
        path.name for path in paths
    ]
    assert [each for each in steps if each[1] == 100] == [(number, 100) for number in range(100)]
    new = sum(
        s.new for each in outcomes if isinstance(each, IngestedFile) for s in each.receipt.streams
    )
    assert new == len(lake_of(home, "toy", SOURCE.drop_streams[0]).read(date(2026, 9, 1)))
    assert len(receipts(home)) == 100


def test_rows_beyond_the_memory_wait_on_disk(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[Path] = []

    class Small(Sorter):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder, held_bytes=4_000)

        def _write_run(self) -> None:
            super()._write_run()
            runs.append(self._runs[-1])

    monkeypatch.setattr(reading, "Sorter", Small)
    numbers = list(range(5_000))
    random.Random(2).shuffle(numbers)
    lines = [json.dumps({"key": f"{n % 3_000:04}", "day": "2026-09-01", "n": n}) for n in numbers]
    (path,) = put(home, [("#figures", [*lines, "nonsense"], 1)])
    taken = ingest_file(home, [SOURCE], path, NOW)
    assert len(runs) > 64
    rows = lake_of(home, "toy", SOURCE.drop_streams[0]).read(date(2026, 9, 1))
    assert list(rows) == [f"{n:04}" for n in range(3_000)]
    # of a key that is there twice content decides
    assert rows["0000"].record["n"] == 3_000
    assert taken.receipt.streams[0].new == 3_000
    assert taken.receipt.unreadable == 1


def test_a_reader_that_goes_in_circles_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def endless(file: DropFile) -> Iterator[DropRow]:
        while True:
            yield DropRow("figures", date(2026, 9, 1), "a", {"n": 1})

    monkeypatch.setattr(reading, "MAX_ROWS", 1_000)
    (path,) = put(home, [("#figures", [], 1)])
    receipt = ingest_file(home, [source_of(read=endless)], path, NOW).receipt
    assert receipt.problem is not None
    assert "looping" in receipt.problem
    assert original_path(home, receipt.digest, "0.txt").exists()


@pytest.mark.parametrize(
    "error",
    [MemoryError, RecursionError, SystemExit, AssertionError, EOFError, OSError("no number")],
)
def test_whatever_a_reader_raises_costs_its_file_only(
    home: Home, error: BaseException | type[BaseException]
) -> None:
    def some(file: DropFile) -> Iterator[DropRow | Unreadable]:
        yield from read(file)
        if file.name == "1.txt":
            raise error

    row = json.dumps({"key": "a", "day": "2026-09-01", "value": 1})
    paths = put(home, [("#figures", [row], day) for day in (1, 2, 3)])
    outcomes = list(ingest_all(home, [source_of(read=some)], paths, lambda: NOW))
    problems = [each.receipt.problem for each in outcomes if isinstance(each, IngestedFile)]
    assert [bool(each) for each in problems] == [False, True, False]
    assert "the parser failed" in (problems[1] or "")
    assert waiting(home) == []
    assert (home.quarantine / "toy" / "1.txt").exists()


def test_what_breaks_the_merge_is_found_among_its_batch(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = merging.merge

    def breaking(lake: Any, rows: Any, files: Any, **more: Any) -> Any:
        held = list(rows)
        if any("poison" in row.text for row in held):
            raise MemoryError
        return original(lake, iter(held), files, **more)

    monkeypatch.setattr(reading, "merge", breaking)
    rows = [json.dumps({"key": k, "day": "2026-09-01", "v": k}) for k in ("a", "poison", "c")]
    outcomes = list(
        ingest_all(home, [SOURCE], put(home, [("#figures", [r], 1) for r in rows]), lambda: NOW)
    )
    assert [bool(each.receipt.problem) for each in outcomes if isinstance(each, IngestedFile)] == [
        False,
        True,
        False,
    ]
    assert waiting(home) == []


def test_the_same_unknown_file_twice_is_one(home: Home) -> None:
    for name in ("one.bin", "two.bin"):
        (home.inbox / name).write_bytes(b"\0what is this")
    (home.inbox / "three.bin").write_bytes(b"\0what is that")
    list(ingest_all(home, [SOURCE], waiting(home), lambda: NOW))
    (home.inbox / "four.bin").write_bytes(b"\0what is this")
    ingest_file(home, [SOURCE], home.inbox / "four.bin", NOW)
    folder = home.quarantine / "unknown"
    assert len(list(folder.glob("*.bin"))) == 2
    assert len(list(folder.glob("*.reason.txt"))) == 2
    assert len(receipts(home)) == 4
    assert waiting(home) == []
