"""Errors become sentences: of a full disk what to do, of a defect its place, of neither a value."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import dagster as dg
import duckdb
import pytest
import sqlalchemy

from personal_pipeline.home import Busy, Home
from personal_pipeline.troubles import disk_trouble, sentence_of, told_without_values
from personal_pipeline.warehouse.dbt_project import DbtFailed
from personal_pipeline_tests.invented_house import Ended, run
from personal_pipeline_tests.kiosk.house import Kiosk

COMMANDS = [
    ["refresh"],
    ["report"],
    ["status", "--notify"],
    ["up", "--port", "9"],
]
"""What has to write, and so has ``add``. Every other command works where nothing can be written."""

LOOKS = [["status"], ["status", "--json"], ["sources"], ["doctor"]]


def raised(error: Exception, cause: Exception | None = None) -> Exception:
    try:
        raise error from cause
    except Exception as caught:
        return caught


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "x", "/h/a"), "disk is full (/h/a)"),
        (OSError(errno.EDQUOT, "x"), "disk is full (/home)"),
        (OSError(errno.EFBIG, "x"), "disk is full (/home)"),
        (OSError(errno.EROFS, "x", "/h/a\x1b"), "(/h/a\\x1b): it is read-only"),
        (PermissionError(errno.EACCES, "x", "/h/a"), "Permission denied (/h/a)"),
        (sqlite3.OperationalError("database or disk is full"), "disk is full (/home)"),
        (
            sqlite3.OperationalError("attempt to write a readonly database"),
            "Nothing can be written (/home)",
        ),
        (
            sqlalchemy.exc.OperationalError(
                "insert", {}, sqlite3.OperationalError("database or disk is full")
            ),
            "disk is full",
        ),
        (duckdb.IOException("IO Error: No space left on device"), "disk is full"),
        (duckdb.IOException('Cannot open file "x": Read-only file system'), "read-only"),
        (DbtFailed("dbt cannot parse: [Errno 28] No space left on device"), "disk is full"),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Exception) else None,
)
def test_a_disk_that_takes_nothing_is_one_sentence_whoever_met_it(
    error: Exception, words: str
) -> None:
    for each in (raised(error), raised(RuntimeError("it failed"), error)):
        sentence = disk_trouble(each, Path("/home"))
        assert sentence
        assert words in sentence
        assert sentence == sentence_of(each, Path("/home"))
        assert "\n" not in sentence


@pytest.mark.parametrize(
    "error",
    [
        ValueError("could not convert string to float: 'No space left on device'"),
        sqlite3.OperationalError("no such table: x"),
        FileNotFoundError(errno.ENOENT, "x", "/h"),
        RuntimeError("disk full"),
    ],
)
def test_what_only_speaks_of_a_full_disk_is_none(error: Exception) -> None:
    assert disk_trouble(raised(error)) is None


def test_of_a_defect_the_place_is_told_and_no_value() -> None:
    for cause in (None, KeyError("Jane Doe"), Busy("Jane Doe")):
        sentence = sentence_of(raised(ValueError("of Jane Doe"), cause))
        assert "Jane" not in sentence
        assert "ValueError in test_troubles.py, line " in sentence
    assert sentence_of(Busy("wait for it")) == "wait for it"


@pytest.mark.parametrize("generator", [True, False])
def test_dagster_keeps_the_sentence_of_an_error_and_nothing_of_its_text(generator: bool) -> None:
    private = "Jane Doe 17"

    def breaks() -> None:
        try:
            float(private)
        except ValueError as error:
            raise KeyError(private) from error

    if generator:

        @dg.op(out=dg.DynamicOut())
        @told_without_values
        def body():  # type: ignore[no-untyped-def]
            breaks()
            yield dg.DynamicOutput(1, "x")
    else:

        @dg.op
        @told_without_values
        def body() -> None:
            breaks()

    @dg.job
    def job() -> None:
        body()

    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(instance=instance, raise_on_error=False)
        kept = repr(instance.all_logs(done.run_id))
    assert not done.success
    assert private not in kept
    assert "KeyError in test_troubles.py, line " in kept


# ------------------------------------------------------------------------- disks that take nothing


@pytest.fixture(scope="module")
def small_disk(built_kiosk: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """A home with tables on a disk of its own."""
    place = tmp_path_factory.mktemp("disk")
    mounted = (
        sys.platform == "linux"
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=80m", "tmpfs", str(place)],
            capture_output=True,
            check=False,
        ).returncode
    )
    if not mounted:
        pytest.skip("a disk can be mounted by root on Linux only")
    try:
        yield Home(Path(shutil.copytree(built_kiosk.root, place / "home")))
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def command(kiosk: Kiosk, home: Home, *arguments: str) -> Ended:
    return run(kiosk.environment(home), *arguments)


def kept(home: Home) -> dict[str, bytes]:
    folders = (home.archive, home.lake, home.published.parent)
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in folder.rglob("*")
        # what SQLite puts beside a file that is open holds no row here
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def judged(kiosk: Kiosk, home: Home, folder: Path, words: str) -> None:
    drop = folder / "drop.json"
    drop.write_text('{"data": {}}')
    before = kept(home)
    for arguments in LOOKS:
        ended = command(kiosk, home, *arguments)
        assert (ended.err, ended.out != "") == ("", True), arguments
        assert ended.code == (1 if arguments == ["doctor"] else 0), arguments
    for arguments in (*COMMANDS, ["add", str(drop)]):
        ended = command(kiosk, home, *arguments)
        said = ended.out + ended.err
        assert ended.code == 1, (arguments, said)
        assert "Traceback" not in said, arguments
        assert words in said, (arguments, said)
        assert str(home.root) in said, arguments
    assert kept(home) == before


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_on_a_full_disk_every_command_says_so_and_status_works(
    kiosk: Kiosk, small_disk: Home, tmp_path: Path
) -> None:
    filler = small_disk.root / "filler"
    try:
        with suppress(OSError), filler.open("wb") as stream:
            while True:
                stream.write(b"x" * 65_536)
        judged(kiosk, small_disk, tmp_path, "The disk is full")
    finally:
        filler.unlink(missing_ok=True)
    ended = command(kiosk, small_disk, "refresh")
    assert ended.code == 0, ended.out + ended.err


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_in_a_home_that_is_read_only_every_command_says_so_and_status_works(
    kiosk: Kiosk, small_disk: Home, tmp_path: Path
) -> None:
    place = str(small_disk.root.parent)
    subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    try:
        judged(kiosk, small_disk, tmp_path, "it is read-only")
    finally:
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    ended = command(kiosk, small_disk, "refresh")
    assert ended.code == 0, ended.out + ended.err
