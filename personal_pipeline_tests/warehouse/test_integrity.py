"""Damaged databases: never published, whatever is damaged and however little of it."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from unittest import mock

import duckdb
import pytest

from personal_pipeline.home import Busy, Home
from personal_pipeline.warehouse import integrity, store
from personal_pipeline_tests.invented_house import bare_house

ROWS = 30_000
BLOCK_BYTES = 262_144
HEADER_BYTES = 4096

KILLED = """
import os, signal, sys
from pathlib import Path
from personal_pipeline.warehouse import store
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import Settings
home = Home(Path(sys.argv[1]))
with store.writing(home), store.connection(House(Settings(), home, ())) as opened:
    opened.execute("insert into marts.days select 1, 'after', range from range(50000)")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def built(home: Home) -> Home:
    """A home with a published warehouse of a few blocks."""
    with store.writing(home):
        with store.connection(bare_house(home)) as opened:
            opened.execute("create schema marts")
            for name in ("days", "months"):
                opened.execute(
                    f"create table marts.{name} as select range as day, md5(range::varchar) as "
                    f"name, random() as value from range({ROWS})"
                )
        store.publish(bare_house(home))
    return home


def content(database: Path) -> list[object]:
    with duckdb.connect(str(database), read_only=True) as opened:
        return [
            opened.execute(f"select * from marts.{name} order by day").fetchall()
            for name in ("days", "months")
        ]


def overwrite(path: Path, at: int, what: bytes) -> None:
    """Write over some bytes; the time of the file stays, as when a disk rots."""
    stat = path.stat()
    with path.open("r+b") as stream:
        stream.seek(at)
        stream.write(what)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def places(size: int) -> list[int]:
    rng = random.Random(23)
    # the three headers, and somewhere in the blocks
    return [5, HEADER_BYTES + 5, 2 * HEADER_BYTES + 5, *(rng.randrange(size) for _ in range(5))]


def test_what_is_published_is_whole_or_is_left_alone_wherever_the_damage_is(built: Home) -> None:
    good = content(built.published)
    kept = built.root / "kept"
    shutil.copyfile(built.warehouse, kept)
    found = 0
    for at in places(built.warehouse.stat().st_size):
        shutil.copyfile(kept, built.warehouse)
        overwrite(built.warehouse, at, os.urandom(16))
        with store.writing(built):
            try:
                store.make_ready(built)
                store.publish(bare_house(built))
            except store.DamagedWarehouse:
                found += 1
        assert integrity.damage_of(built.published) is None
        assert content(built.published) == good
    # free space may hold anything
    assert found >= 6


@pytest.mark.parametrize("size", [0, 100, HEADER_BYTES * 3, BLOCK_BYTES * 2])
def test_a_warehouse_that_was_cut_is_damaged(built: Home, size: int) -> None:
    os.truncate(built.warehouse, size)
    with store.writing(built), pytest.raises(store.DamagedWarehouse):
        store.make_ready(built)


def test_the_log_of_a_killed_writer_is_read_and_damage_in_it_is_found(built: Home) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, str(built.root)], check=False)
    assert ended.returncode == -9
    log = built.warehouse.with_name("warehouse.duckdb.wal")
    assert log.stat().st_size > 100_000
    with store.writing(built):
        store.make_ready(built)  # what a kill leaves is no damage
    overwrite(log, log.stat().st_size // 2, os.urandom(64))
    with store.writing(built), pytest.raises(store.DamagedWarehouse):
        store.make_ready(built)


def test_damage_that_ends_the_process_that_reads_is_damage(
    built: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        integrity, "_READ", "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    )
    good = content(built.published)
    with store.writing(built):
        with store.connection(bare_house(built)) as opened:
            opened.execute("delete from marts.days")
        with pytest.raises(store.DamagedWarehouse, match="signal 11"):
            store.publish(bare_house(built))
    assert content(built.published) == good


@pytest.mark.parametrize("raised", [integrity.CannotVerify("memory ran out"), KeyboardInterrupt()])
def test_a_copy_that_is_not_published_is_not_left(built: Home, raised: BaseException) -> None:
    with store.writing(built):
        with store.connection(bare_house(built)) as opened:
            opened.execute("delete from marts.days")
        with (
            mock.patch.object(integrity, "damage_of", side_effect=raised),
            pytest.raises(type(raised)),
        ):
            store.publish(bare_house(built))
    assert list(built.published.parent.iterdir()) == [built.published]


def test_what_another_process_writes_is_not_called_damaged(
    built: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(integrity, "LOCK_WAIT_SECONDS", 0)
    with duckdb.connect(str(built.warehouse)), pytest.raises(Busy):
        integrity.damage_of(built.warehouse)


def test_a_damaged_published_copy_is_noticed_and_replaced(built: Home) -> None:
    good = content(built.published)
    assert store.damage_of_published(built) is None
    overwrite(built.published, 3 * HEADER_BYTES + BLOCK_BYTES + 999, os.urandom(16))
    assert store.damage_of_published(built) is not None
    with store.writing(built):
        store.make_ready(built)
        store.publish(bare_house(built))
    assert store.damage_of_published(built) is None
    assert content(built.published) == good


def test_an_error_in_sql_does_not_cost_the_warehouse(built: Home) -> None:
    with (
        store.writing(built),
        pytest.raises(duckdb.CatalogException),
        store.connection(bare_house(built)) as opened,
    ):
        opened.execute("select * from marts.nothing")
