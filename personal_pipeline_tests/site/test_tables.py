"""The marts in SQLite: the same rows, only what changed is written, and nothing is ever half."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import sys
from contextlib import closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personal_pipeline.home import Busy, Home
from personal_pipeline.house import House
from personal_pipeline.refresh import refresh
from personal_pipeline.site import tables
from personal_pipeline.site.people import Person, keep
from personal_pipeline.site.tables import is_current, write_site
from personal_pipeline_tests.killed_sqlite import killed_after
from personal_pipeline_tests.kiosk.house import Kiosk


@pytest.fixture
def house(kiosk: Kiosk, copied_kiosk: Home) -> House:
    house = kiosk.house(copied_kiosk)
    write_site(house)
    return house


def asked(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as site:
        return site.execute(sql).fetchall()


def marts(home: Home) -> list[str]:
    return [name for (name,) in asked(home.site, "select name from _tables order by 1")]


def plain(value: Any) -> Any:
    """A value of DuckDB as SQLite has it."""
    if isinstance(value, Decimal):
        return float(value)
    return value if value is None or isinstance(value, int | float) else f"{value}"


def assert_same_rows(home: Home, path: Path, names: list[str]) -> None:
    with duckdb.connect(str(home.published), read_only=True) as published:
        for name in names:
            wanted = published.execute(f"from marts.{name}").fetchall()
            found = asked(path, f"select * from {name}")
            assert sorted(map(repr, found)) == sorted(
                repr(tuple(plain(value) for value in row)) for row in wanted
            ), name


def written(home: Home) -> dict[tuple[str, str], str]:
    rows = asked(home.site, "select table_name, partition, digest from _partitions")
    return {(table, partition): digest for table, partition, digest in rows}


def test_every_mart_has_the_rows_of_the_published_copy(house: House) -> None:
    assert marts(house.home) == ["costs_daily", "products", "results_monthly", "takings_daily"]
    assert asked(house.home.site, "select count(*) from takings_daily") > [(50,)]
    assert_same_rows(house.home, house.home.site, marts(house.home))


def test_keys_links_and_descriptions_travel_along(house: House) -> None:
    path = house.home.site
    keys = asked(path, "select name from pragma_table_info('takings_daily') where pk order by pk")
    assert keys == [("day",), ("product",)]
    links = asked(
        path, """select "table", "from", "to" from pragma_foreign_key_list('takings_daily')"""
    )
    assert links == [("products", "product", "product")]
    assert asked(path, "select * from pragma_foreign_key_list('products')") == []
    described = "select area, description from _tables where name = 'takings_daily'"
    assert asked(path, described) == [
        ("kiosk", "One row per UTC day and product that was sold on it.")
    ]
    described = (
        "select description from _columns where table_name = 'takings_daily' and name = 'pieces'"
    )
    assert asked(path, described) == [("How many pieces were sold on the day.",)]


def double_the_takings(home: Home) -> None:
    """Change every partition of a mart, as a build would."""
    with duckdb.connect(str(home.published)) as published:
        published.execute("update marts.takings_daily set takings = takings * 2")
        published.execute("update pipeline.ledger set digest = 'x' where asset like '%takings%'")


def test_only_what_changed_is_written_and_nothing_new_writes_nothing(
    house: House, tmp_path: Path
) -> None:
    home = house.home
    before = written(home)
    stamp = home.site.stat()
    assert write_site(house) is None
    assert home.site.stat() == stamp
    # one day of one table differs: it alone is replaced
    with duckdb.connect(str(home.published)) as published:
        published.execute(
            "update marts.takings_daily set pieces = pieces + 1 where day = "
            "(select max(day) from marts.takings_daily)"
        )
        (day,) = published.execute("select max(day) from marts.takings_daily").fetchone() or ()
        published.execute(
            "update pipeline.ledger set digest = 'other' where asset = 'marts/takings_daily' "
            "and partition = ?::varchar",
            [day],
        )
    done = write_site(house)
    assert done is not None
    assert done.partitions == {"takings_daily": 1}
    assert {each for each, _ in written(home).items() ^ before.items()} == {
        ("takings_daily", f"{day}")
    }
    assert_same_rows(home, home.site, marts(home))
    assert home.site.stat().st_ino == stamp.st_ino


def test_a_pass_brings_the_site_up_to_date(kiosk: Kiosk, copied_kiosk: Home) -> None:
    house = kiosk.house(copied_kiosk)
    refresh(house)
    before = written(house.home)
    (house.home.inbox / "meter-2025-07.csv").write_text("Day,kWh\n2025-07-01,3.5")
    passed = refresh(house)
    assert not passed.failures
    assert passed.outputs.written["site"] is not None
    assert ("costs_daily", "2025-07-01") in written(house.home).keys() - before.keys()
    assert_same_rows(house.home, house.home.site, marts(house.home))
    assert refresh(house).outputs.written["site"] is None


@pytest.mark.parametrize("damage", ["deleted", "overwritten", "a folder", "truncated"])
def test_a_file_that_is_not_as_it_was_left_is_written_anew(house: House, damage: str) -> None:
    path = house.home.site
    if damage == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    if damage == "overwritten":
        path.write_bytes(b"no database" * 5000)
    elif damage == "a folder":
        path.mkdir()
        house.home.ensure()
    assert not is_current(house.home)
    assert write_site(house) is not None
    assert_same_rows(house.home, path, marts(house.home))


def test_damage_that_the_file_does_not_show_is_found_by_the_next_change(house: House) -> None:
    path = house.home.site
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"no database")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    double_the_takings(house.home)
    assert write_site(house) is not None
    assert_same_rows(house.home, path, marts(house.home))


def test_a_reader_that_has_it_open_sees_the_change_and_never_half_of_it(house: House) -> None:
    home = house.home
    with closing(sqlite3.connect(f"{home.site.as_uri()}?mode=ro", uri=True)) as reader:
        (before,) = reader.execute("select sum(takings) from takings_daily").fetchone()
        seen = []

        def look(*_: object) -> int:
            with closing(sqlite3.connect(f"{home.site.as_uri()}?mode=ro", uri=True)) as other:
                seen.append(other.execute("select sum(takings) from takings_daily").fetchone()[0])
            return 0

        double_the_takings(home)
        connect = sqlite3.connect

        def watched(*arguments: Any, **options: Any) -> sqlite3.Connection:
            opened: sqlite3.Connection = connect(*arguments, **options)
            if not options.get("uri"):
                opened.set_progress_handler(look, 20_000)
            return opened

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sqlite3, "connect", watched)
            # the handler itself connects without being watched
            write_site(house)
        assert set(seen) <= {before, before * 2}
        (after,) = reader.execute("select sum(takings) from takings_daily").fetchone()
        assert after == before * 2


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork to kill")
@pytest.mark.parametrize("anew", [True, False], ids=["anew", "in place"])
def test_a_kill_at_any_statement_leaves_a_whole_file(house: House, anew: bool) -> None:
    home = house.home
    double_the_takings(home)
    if anew:
        home.site.unlink()
    for statements in (0, 3, 9, 20):
        killed_after(statements, lambda: write_site(house))
        assert home.site.exists() is not anew
        if not anew:
            assert asked(home.site, "pragma quick_check") == [("ok",)]
            assert marts(home) == ["costs_daily", "products", "results_monthly", "takings_daily"]
    write_site(house)
    assert_same_rows(home, home.site, marts(home))


def test_a_file_that_another_program_keeps_locked_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "BUSY_SECONDS", 0.1)
    double_the_takings(house.home)
    with closing(sqlite3.connect(house.home.site, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Busy, match=r"site\.sqlite: another program has kept it locked"):
            write_site(house)
    assert write_site(house) is not None


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
def test_a_full_disk_leaves_the_file_as_it_was(kiosk: Kiosk, copied_kiosk: Home) -> None:
    house = kiosk.house(copied_kiosk)
    refresh(house)
    before = written(house.home)
    double_the_takings(house.home)
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
        with pytest.raises(sqlite3.OperationalError):
            write_site(house)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, usual)
    assert written(house.home) == before
    assert write_site(house) is not None
    assert_same_rows(house.home, house.home.site, marts(house.home))


def test_a_mart_that_is_gone_or_has_other_columns_is_replaced(house: House) -> None:
    home = house.home
    with duckdb.connect(str(home.published)) as published:
        published.execute("drop table marts.results_monthly")
        published.execute("alter table marts.products add column colour varchar default 'red'")
        published.execute("delete from pipeline.ledger where asset = 'marts/results_monthly'")
    write_site(house)
    assert marts(home) == ["costs_daily", "products", "takings_daily"]
    assert_same_rows(home, home.site, marts(home))


# ------------------------------------------------------------------------------------- shared


@pytest.fixture
def shared(house: House) -> Path:
    keep(house.home, Person("anna", ("kiosk",), (), "hash"))
    write_site(house)
    return house.home.site_of("anna")


def test_a_copy_holds_the_shared_areas_and_nothing_else(house: House, shared: Path) -> None:
    assert_same_rows(house.home, shared, marts(house.home))
    keep(house.home, Person("anna", ("elsewhere",), (), "hash"))
    write_site(house)
    assert asked(shared, "select name from _tables") == []
    assert b"coffee" not in shared.read_bytes()


def test_the_copy_of_nobody_is_deleted(house: House, shared: Path) -> None:
    (house.home.credentials / "site-anna.json").unlink()
    write_site(house)
    assert not shared.exists()
    assert is_current(house.home)


def test_without_tables_there_is_no_site(kiosk: Kiosk, home: Home) -> None:
    assert write_site(kiosk.house(home)) is None
    assert not home.site.exists()
    assert replace(kiosk.house(home)).home == home
