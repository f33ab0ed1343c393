"""``pipeline.receipts`` in the copy that readers open."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse import store
from personal_pipeline_tests.invented_house import bare_house

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
HEADER = "Trans. Date,Post Date,Description,Amount,Category"


def statement(home: Home, name: str, *rows: str, header: str = HEADER) -> None:
    path = home.inbox / "card-1234" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([header, *rows]) + "\n")
    ingest_file(home, SOURCES, path, NOW)


def receipts(home: Home) -> dict[str, dict[str, Any]]:
    with store.writing(home):
        store.publish(bare_house(home))
    with duckdb.connect(str(home.published), read_only=True) as opened:
        found = opened.execute("select * from pipeline.receipts")
        names = [column[0] for column in found.description]
        return {row[2]: dict(zip(names, row, strict=True)) for row in found.fetchall()}


def test_a_row_a_file_with_what_it_did(home: Home) -> None:
    statement(home, "discover-1.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    wider = f"{HEADER},Points"
    statement(
        home,
        "discover-2.csv",
        "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants,4",
        "03/01/2024,03/02/2024,BOOKS,30.00,Merchandise,30",
        "03/01/2024,no day,BOOKS,30.00,Merchandise,30",
        header=wider,
    )
    (home.inbox / "holiday.txt").write_text("Lake Como")
    ingest_file(home, SOURCES, home.inbox / "holiday.txt", NOW)

    found = receipts(home)
    first, second, stranger = (
        found[name] for name in ("discover-1.csv", "discover-2.csv", "holiday.txt")
    )
    assert (first["source"], first["kind"], first["problem"]) == ("bank", "statement", None)
    assert first["received_at"] == NOW.replace(tzinfo=None)
    assert first["rows_new"] == 3  # the transaction, its statement, its account
    assert (first["first_month"], first["last_month"]) == (date(2024, 2, 1), date(2024, 2, 1))
    assert second["rows_unreadable"] == 1
    assert second["rows_changed"] == 1  # the transaction has one more cell
    assert (second["first_month"], second["last_month"]) == (date(2024, 2, 1), date(2024, 3, 1))
    assert (second["columns_unknown"], second["columns_gone"]) == (["points"], [])
    assert "undeclared ones: points" in second["reason"]
    assert (stranger["source"], stranger["rows_new"]) == (None, 0)
    assert stranger["problem"] == "No source recognizes this file."


def test_receipts_are_copied_once_and_the_table_can_be_dropped(home: Home) -> None:
    statement(home, "discover.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    # the same bytes under another name within the same second are a receipt of their own
    statement(home, "again.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    first = receipts(home)
    assert first.keys() == {"discover.csv", "again.csv"}
    assert (first["discover.csv"]["rows_new"], first["again.csv"]["rows_new"]) == (3, 0)
    inode = home.published.stat().st_ino
    assert receipts(home) == first
    assert home.published.stat().st_ino == inode
    home.warehouse.unlink()
    assert receipts(home) == first
    for path in (home.archive / "receipts").iterdir():
        damage(path)
    home.warehouse.unlink()
    assert receipts(home) == {}


def rows_to_read(home: Home) -> int:
    with store.reading(bare_house(home)) as opened:
        return len(opened.execute("from pipeline.receipts").fetchall())


def test_new_receipts_are_shown_without_what_is_being_built(home: Home) -> None:
    statement(home, "discover.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    store.publish_receipts(home)
    assert not home.published.exists()
    receipts(home)
    with store.writing(home), store.connection(bare_house(home)) as opened:
        opened.execute("create table half_built (a int)")
    statement(home, "more.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    store.publish_receipts(home)
    assert rows_to_read(home) == 2
    with store.reading(bare_house(home)) as opened:
        assert "half_built" not in {name for (name,) in opened.execute("show tables").fetchall()}

    statement(home, "third.csv", "02/01/2024,02/02/2024,COFFEE,4.50,Restaurants")
    with store.writing(home):
        store.publish_receipts(home)
    assert rows_to_read(home) == 2
    home.published.write_bytes(b"damaged")
    store.publish_receipts(home)
    assert receipts(home).keys() == {"discover.csv", "more.csv", "third.csv"}


def damage(path: Path) -> None:
    path.write_text(path.read_text()[:40])
