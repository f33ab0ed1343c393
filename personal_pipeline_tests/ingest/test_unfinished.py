"""Files that are not complete, and files that would hold up the others."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest import unfinished
from personal_pipeline.ingest.adding import brought, ingested
from personal_pipeline.ingest.contract import (
    Claim,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Source,
    Unreadable,
)
from personal_pipeline.ingest.inbox import IngestedFile, ingest_all, ingest_file, oddities, waiting
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.naming import MAX_BYTES, fitting
from personal_pipeline.ingest.unfinished import Left, being_written, open_for_writing, stamp_of
from personal_pipeline.shown import shown
from personal_pipeline_tests.examples import times
from personal_pipeline_tests.loopback import until

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
MONTH = NOW.date().replace(day=1)
STREAM = DropStream(name="notes", description="")
tells = pytest.mark.skipif(
    not Path("/proc/self/fdinfo").is_dir(), reason="the system does not tell who writes a file"
)


def read(file: DropFile) -> Iterator[DropRow | Unreadable]:
    for line in file.path.read_text().splitlines()[1:]:
        yield DropRow("notes", MONTH, line, {"line": line, "file": file.name})


def source_of(read: object = read) -> Source:
    drop = Drop(
        name="notes",
        description="notes",
        how_to="",
        recognise=lambda f: Claim(0.9, "notes") if f.head().startswith(b"#notes") else None,
        read=read,  # type: ignore[arg-type]
        streams=(STREAM,),
    )
    return Source(name="toy", title="Toy", description="", drops=(drop,))


SOURCE = source_of()


def put(home: Home, name: str | bytes, *lines: str) -> Path:
    path = home.inbox / os.fsdecode(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#notes", *lines]))
    os.utime(path, (1_790_000_000, 1_790_000_000))
    return path


def notes(home: Home) -> list[str]:
    return list(lake_of(home, "toy", STREAM).read(MONTH))


def ingest_inbox(home: Home, source: Source = SOURCE) -> list[IngestedFile | Left]:
    return list(ingested(home, [source], lambda: NOW))


WRITER = """
import sys
target = open(sys.argv[1], "a")
target.write("\\nfirst")
target.flush()
print("paused", flush=True)
sys.stdin.readline()
target.write("\\nlast")
target.close()
print("done", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def writing() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for process in started:
        process.communicate("\n\n", timeout=60)


def writer(path: Path, started: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    started.append(process)
    assert process.stdout is not None
    assert process.stdout.readline() == "paused\n"
    # as after a long pause
    os.utime(path, (1_790_000_000, 1_790_000_000))
    return process


def finish(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "done\n"


@tells
def test_a_file_that_a_process_writes_is_left_and_the_others_are_taken(
    home: Home, writing: list[subprocess.Popen[str]]
) -> None:
    path = put(home, "slow.txt")
    put(home, "folder/a.txt", "in a folder")
    put(home, "other.txt", "other")
    process = writer(path, writing)
    inside = writer(put(home, "folder/slow.txt"), writing)
    outcomes = ingest_inbox(home)
    left = sorted(str(each) for each in outcomes if isinstance(each, Left))
    assert left == ["slow.txt: still being written; it stays in the inbox for the next pass."] * 2
    assert notes(home) == ["other"]
    with pytest.raises(Left, match="still being written"):
        ingest_file(home, [SOURCE], path, NOW)
    kept = list((home.archive / "originals").rglob("*.txt"))
    assert len(kept) == 1
    finish(process)
    finish(inside)
    ingest_inbox(home)
    assert set(notes(home)) == {"first", "last", "other", "in a folder"}
    assert waiting(home) == []


@tells
def test_a_source_of_add_that_is_still_written_is_not_brought(
    home: Home, tmp_path: Path, writing: list[subprocess.Popen[str]]
) -> None:
    given = tmp_path / "Downloads"
    given.mkdir()
    for name in ("slow.txt", "whole.txt"):
        (given / name).write_text("#notes\nx")
    process = writer(given / "slow.txt", writing)
    for paths in ([given], [given / "slow.txt", given / "whole.txt"]):
        with brought(home, [SOURCE], paths) as left:
            assert [each.file for each in left] == ["slow.txt"]
            assert [path.name for path in waiting(home)] == ["whole.txt"]
            ingest_inbox(home)
    finish(process)
    with brought(home, [SOURCE], [given]) as left:
        assert not left
        assert len(waiting(home)) == 2


@pytest.mark.parametrize("change", ["grows", "is replaced", "becomes another"])
def test_what_changes_while_it_is_read_is_put_back(home: Home, change: str) -> None:
    path = home.inbox / "a.txt"

    def changing(file: DropFile) -> Iterator[DropRow | Unreadable]:
        yield from read(file)
        if change == "grows":
            with path.open("a") as stream:
                stream.write("\nmore")
        else:
            new = path.with_name(".new")
            content = path.read_text() if change == "is replaced" else "#notes\nanother"
            new.write_text(content)
            os.utime(new, (1_790_000_000, 1_790_000_000))
            new.replace(path)

    put(home, "a.txt", "half")
    outcomes = ingest_inbox(home, source_of(changing))
    assert [type(each) for each in outcomes] == [Left]
    assert path.exists()
    assert notes(home) == []
    for folder in ("originals", "receipts"):
        assert not [p for p in (home.archive / folder).rglob("*") if p.is_file()]
    ingest_inbox(home)
    assert "more" in notes(home) or change != "grows"
    assert waiting(home) == []


def test_where_the_system_does_not_tell_a_fresh_file_is_left(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "SETTLE_SECONDS", 0.01)
    old, fresh = put(home, "old.txt", "1"), put(home, "fresh.txt", "2")
    os.utime(fresh)
    assert being_written([old, fresh]) == (set() if unfinished.told_by_system(fresh) else {fresh})
    monkeypatch.setattr(unfinished, "_PROC", home.root / "no proc")
    assert being_written([old, fresh]) == {fresh}


@tells
def test_only_who_may_write_counts(home: Home) -> None:
    path = put(home, "a.txt")
    stamp = stamp_of(path)
    assert stamp is not None
    with path.open() as _:
        assert open_for_writing([stamp]) == set()
    with path.open("r+") as _:
        assert open_for_writing([stamp]) == {stamp}


# ---------------------------------------------------------------------- what may block the others


NAMES = {
    "long": b"n" * 246 + b".txt",
    "no text": b"caf\xe9 \xff.txt",
    "newline": b"a\nb.txt",
    "control": b"\x1b[31mred\x07.txt",
    "turned round": "a\u202etxt.exe".encode(),
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
@pytest.mark.parametrize("head", ["#notes", "nobody knows"])
def test_any_name_is_taken_or_set_aside(home: Home, name: bytes, head: str) -> None:
    try:
        path = put(home, name, "odd")
    except OSError:
        pytest.skip("this file system refuses the name")
    path.write_text(f"{head}\nodd")
    put(home, "plain.txt", "plain")
    outcomes = ingest_inbox(home)
    assert waiting(home) == []
    assert "plain" in notes(home)
    for each in (home.archive / "receipts").glob("*.json"):
        # text that every database, page and terminal takes
        file = json.loads(each.read_bytes())["file"]
        assert file.encode()
        assert file == shown(file)
    if head == "#notes":
        assert set(notes(home)) == {"odd", "plain"}
        return
    assert [
        bool(each.receipt.problem) for each in outcomes if isinstance(each, IngestedFile)
    ].count(True) == 1
    (reason,) = (home.quarantine / "unknown").glob("*.reason.txt")
    kept = reason.with_name(reason.name.removesuffix(".reason.txt"))
    assert kept.read_text() == "nobody knows\nodd"
    assert kept.name == os.fsdecode(name) or repr(name) in reason.read_text()


def test_names_that_differ_in_case_only(home: Home) -> None:
    put(home, "a.txt", "1")
    put(home, "A.txt", "2")
    put(home, "x/a.txt", "3")
    ingest_inbox(home)
    assert waiting(home) == []
    assert len(notes(home)) >= 2


def test_what_is_no_file_is_set_aside(home: Home, tmp_path: Path) -> None:
    put(home, "plain.txt", "plain")
    os.mkfifo(home.inbox / "pipe")
    (home.inbox / "dangling").symlink_to(tmp_path / "nowhere")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(home.inbox / "socket"))
    outcomes = ingest_inbox(home)
    assert notes(home) == ["plain"]
    assert sorted(path.name for path in home.inbox.iterdir()) == []
    told = sorted(
        str(e.receipt.problem)
        for e in outcomes
        if isinstance(e, IngestedFile) and e.receipt.problem
    )
    assert [each.split(",")[0] for each in told] == [
        "It is a link",
        "It is a pipe",
        "It is a socket",
    ]
    assert len(list((home.quarantine / "unknown").glob("*.reason.txt"))) == 3


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_set_aside_and_a_barred_folder_is_named(home: Home) -> None:
    put(home, "plain.txt", "plain")
    put(home, "mine.txt", "mine").chmod(0)
    put(home, "barred/x.txt").parent.chmod(0)
    try:
        outcomes = ingest_inbox(home)
        left = [str(each) for each in outcomes if isinstance(each, Left)]
        assert notes(home) == ["plain"]
        assert (home.quarantine / "unknown" / "mine.txt").exists()
        assert len(left) == 1
        assert "barred: a folder that may not be looked into" in left[0]
    finally:
        (home.inbox / "barred").chmod(0o700)


CHURN = """
import shutil, sys
from pathlib import Path
inbox = Path(sys.argv[1])
for number in range(10**9):
    folder = inbox / f"{number % 20} export"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "a" / "b").mkdir(parents=True)
    (folder / "a" / "b" / "one.csv").write_text("a,b")
    (folder / "two.csv").write_text("a,b")
    (inbox / f"{number % 20}.csv").write_text("a,b")
    (inbox / f"{(number + 10) % 20}.csv").unlink(missing_ok=True)
    (inbox / f"{number % 20} link").unlink(missing_ok=True)
    (inbox / f"{number % 20} link").symlink_to(folder)
"""


def test_what_another_process_takes_while_the_inbox_is_listed_ends_nothing(home: Home) -> None:
    with subprocess.Popen([sys.executable, "-c", CHURN, home.inbox]) as other:
        try:
            until(lambda: len(list(home.inbox.iterdir())) >= 20, "it is at work", seconds=60)
            seen = sum(len(waiting(home)) + len(oddities(home)) for _ in range(times(100)))
        finally:
            other.kill()
    assert seen


def test_a_full_disk_leaves_the_file_in_the_inbox(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home, "a.bin", "1")
    path.write_text("nobody")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("personal_pipeline.ingest.quarantine.shutil.copyfile", full)
        (outcome,) = ingest_all(home, [SOURCE], [path], lambda: NOW)
    assert isinstance(outcome, Left)
    assert outcome.trouble
    assert "No space left on device" in str(outcome)
    assert path.read_text() == "nobody"
    assert not list(home.quarantine.rglob("*.*"))
    (again,) = ingest_all(home, [SOURCE], [path], lambda: NOW)
    assert isinstance(again, IngestedFile)


def test_no_name_leads_out_of_the_inbox(home: Home) -> None:
    secret = home.root / "thesis.txt"
    secret.write_text("#notes\nthesis")
    put(home, "a.txt", "a")
    put(home, b"b\xff.txt", "b")
    asked = {str(secret), "../thesis.txt", "..", ".", "", "a.txt", "b\\xff.txt"}
    outcomes = list(ingested(home, [SOURCE], lambda: NOW, asked))
    assert len(outcomes) == 2
    assert secret.exists()
    assert set(notes(home)) == {"a", "b"}


def test_shown_names_are_bounded_and_keep_their_ending() -> None:
    assert (
        shown("Bär ☕ メモ \U0001f469\u200d\U0001f52c.txt")
        == "Bär ☕ メモ \U0001f469\u200d\U0001f52c.txt"
    )
    assert shown("a\r\x1b\u202e\u2028") == "a\\r\\x1b\\u202e\\u2028"
    assert len(shown("x" * 5_000, 300)) == 300
    for name in ("ü" * 127 + ".csv", "n" * 255, "." * 250, os.fsdecode(b"\xff" * 250) + ".zip"):
        assert len(fitting(name).encode()) <= MAX_BYTES
    assert fitting("ü" * 127 + ".csv").endswith("ü.csv")
