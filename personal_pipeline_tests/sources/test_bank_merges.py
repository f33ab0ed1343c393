"""Which lines of which statements are one transaction: real files through the inbox and the lake,
then the SQL that dbt made of the models."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.sources.bank import BANK, STATEMENT
from personal_pipeline_tests.conftest import FAULTS
from personal_pipeline_tests.examples import examples
from personal_pipeline_tests.outputs.invented_marts import TABLES
from personal_pipeline_tests.sql.compiled import (
    EARLIEST,
    LATEST,
    Compiled,
    home_database,
    write_nothing,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
MODELS = ("account_links", "accounts", "transaction_merges", "transactions", "accounts_daily")
STAGING = ("accounts", "statements", "balances", "transactions", "categories")


@dataclass(frozen=True)
class Line:
    """A transaction as a bank knows it; ``id`` is its FITID."""

    day: date
    amount: str
    text: str = "COFFEE"
    id: str = ""


@dataclass(frozen=True)
class File:
    """A download; ``hour`` says how many hours after the first it was made."""

    name: str
    content: str
    hour: int = 0


def on(text: str) -> date:
    return date.fromisoformat(text)


def ofx(
    lines: Sequence[Line],
    start: str,
    end: str,
    *,
    account: str = "000012345678",
    bank: str = "1",
    fi: str = "<FI><ORG>B1<FID>10898</FI>",
    balance: tuple[str, str] | None = None,
    more: str = "",
    kind: str = "bank",
) -> File:
    """A statement of a bank account, or of a card, complete from one day to another."""
    if kind == "card":
        tags, place, number = "CCSTMTRS", "CCACCTFROM", f"<ACCTID>{account}"
    else:
        tags, place = "STMTRS", "BANKACCTFROM"
        number = f"<BANKID>{bank}<ACCTID>{account}<ACCTTYPE>CHECKING"
    listed = "".join(
        f"<STMTTRN><TRNTYPE>{'DEBIT' if each.amount.startswith('-') else 'CREDIT'}"
        f"<DTPOSTED>{each.day:%Y%m%d}<TRNAMT>{each.amount}"
        f"<FITID>{each.id}</FITID><NAME>{each.text}{more}</STMTTRN>"
        for each in lines
    )
    held = (
        f"<LEDGERBAL><BALAMT>{balance[0]}<DTASOF>{balance[1].replace('-', '')}</LEDGERBAL>"
        if balance
        else ""
    )
    content = (
        f"<OFX><SIGNONMSGSRSV1><SONRS><DTSERVER>20240601<LANGUAGE>ENG{fi}</SONRS></SIGNONMSGSRSV1>"
        f"<BANKMSGSRSV1><STMTTRNRS><{tags}><CURDEF>USD<{place}>{number}</{place}>"
        f"<BANKTRANLIST><DTSTART>{start.replace('-', '')}<DTEND>{end.replace('-', '')}"
        f"{listed}</BANKTRANLIST>{held}</{tags}></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )
    return File("statement.ofx", content)


def chase(lines: Sequence[Line], last4: str = "5678") -> File:
    """The CSV of a checking account, which has no ids; the balance is blank on what is pending."""
    rows = "".join(
        f'DEBIT,{each.day:%m/%d/%Y},"{each.text}",{each.amount},ACH,{each.id or "-"},,\n'
        for each in lines
    )
    header = "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
    return File(f"Chase{last4}_Activity.csv", header + rows)


PENDING = " "


class Money:
    """A home, its lake, and the tables that the models make of it."""

    def __init__(self, home: Home, opened: duckdb.DuckDBPyConnection, sql: dict[str, str]) -> None:
        self.home, self.opened, self.sql = home, opened, sql

    def empty(self) -> None:
        shutil.rmtree(self.home.lake, ignore_errors=True)
        shutil.rmtree(self.home.archive, ignore_errors=True)
        write_nothing(self.home, BANK)

    def drop(self, *files: File) -> Money:
        for file in files:
            path = self.home.inbox / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.content)
            seconds = (NOW + timedelta(hours=file.hour)).timestamp()
            os.utime(path, (seconds, seconds))
            receipt = ingest_file(self.home, [BANK], path, NOW).receipt
            assert receipt.problem is None
            assert receipt.unreadable == 0
        return self

    def read(self, *files: File) -> Money:
        """The files through the reader into the lake, without the inbox: for very many files."""
        found: dict[tuple[str, date], dict[str, Row]] = {}
        for number, file in enumerate(files):
            path = self.home.root / str(number) / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.content)
            made = DropFile(path, path.name, NOW + timedelta(hours=file.hour), self.home.root)
            for row in STATEMENT.read(made):
                assert isinstance(row, DropRow), row.reason
                found.setdefault((row.stream, row.month), {})[row.key] = Row(row.key, row.record)
        for stream in STATEMENT.streams:
            lake = lake_of(self.home, "bank", stream)
            for month in lake.partitions():
                lake.write(month, [])
            for (name, month), rows in found.items():
                if name == stream.name:
                    lake.write(month, list(rows.values()))
        return self

    def build(self, *names: str) -> Money:
        for name, sql in self.sql.items():
            if names and name.split(".")[1] not in names:
                continue
            self.opened.execute(f"create or replace table {name} as {sql}")
        return self

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.opened.execute(sql).fetchall()

    def counted(self) -> list[tuple[str, str]]:
        """Day and amount of every transaction."""
        rows = self.query("select posted_on, amount from marts.transactions")
        return sorted((str(day), f"{amount.normalize():f}") for day, amount in rows)

    def rules(self) -> Counter[str]:
        return Counter(rule for (rule,) in self.query("select rule from marts.transaction_merges"))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(self.query(f"select * from marts.{name}"), key=repr) for name in MODELS
        }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, compiled: Compiled) -> Iterator[Money]:
    home = Home(tmp_path_factory.mktemp("money") / "home").ensure()
    names = [*(f"staging.stg_bank__{name}" for name in STAGING), *(f"marts.{n}" for n in MODELS)]
    sql = compiled.of(home, *names, "marts.spending_monthly", "pipeline.merges")
    with home_database() as opened:
        # which is in one table with the merges of transactions
        columns = ", ".join(f"{name} {kind}" for name, kind in TABLES["activity_merges"].items())
        opened.execute(f"create table marts.activity_merges ({columns})")
        money = Money(home, opened, sql)
        money.empty()
        yield money.build()


@pytest.fixture
def money(built: Money) -> Money:
    built.empty()
    return built


JANUARY = [
    Line(on("2024-01-03"), "-4.50", id="f1"),
    Line(on("2024-01-10"), "-30.00", "BOOKS", "f2"),
    Line(on("2024-01-20"), "1000.00", "PAYROLL", "f3"),
]


def counted(lines: Sequence[Line]) -> list[tuple[str, str]]:
    return sorted((str(each.day), f"{Decimal(each.amount).normalize():f}") for each in lines)


# ------------------------------------------------------------------------ what is one transaction


def test_overlapping_statements_count_once(money: Money) -> None:
    money.drop(ofx(JANUARY[:2], "2024-01-01", "2024-01-15"))
    money.drop(ofx(JANUARY[1:], "2024-01-05", "2024-01-31")).build()
    assert money.counted() == counted(JANUARY)
    assert money.rules() == {"stands": 3}


def test_a_csv_and_an_ofx_of_one_account_count_once(money: Money) -> None:
    money.drop(chase(JANUARY), ofx(JANUARY, "2024-01-01", "2024-01-31")).build()
    assert money.counted() == counted(JANUARY)
    assert money.rules() == {"stands": 3, "same day": 3}
    assert money.query("select distinct feeds from marts.transactions") == [
        (["chase_checking", "ofx"],)
    ]
    assert money.query(
        "select name, linked_by from marts.accounts join marts.account_links"
        " using (account_id) order by all"
    ) == [("Chase …5678", "itself"), ("Chase …5678", "last digits")]


def test_two_equal_coffees_of_a_day_are_two(money: Money) -> None:
    two = [Line(on("2024-01-03"), "-4.50", id="f1"), Line(on("2024-01-03"), "-4.50", id="f2")]
    money.drop(ofx(two, "2024-01-01", "2024-01-15"), chase(two), chase(two))
    money.drop(ofx(two, "2024-01-02", "2024-01-31")).build()
    assert money.counted() == counted(two)


def test_two_equal_coffees_without_ids_are_two(money: Money) -> None:
    two = [Line(on("2024-01-03"), "-4.50", id="0")] * 2
    money.drop(ofx(two, "2024-01-01", "2024-01-15"), ofx(two, "2024-01-02", "2024-01-31")).build()
    assert money.counted() == counted(two)


def test_two_coffees_on_the_day_where_two_statements_meet_are_two(money: Money) -> None:
    day = on("2024-01-15")
    money.drop(ofx([Line(day, "-4.50", id="f1")], "2024-01-01", "2024-01-15"))
    money.drop(ofx([Line(day, "-4.50", id="f2")], "2024-01-15", "2024-01-31")).build()
    assert money.counted() == [("2024-01-15", "-4.5")] * 2


@pytest.mark.parametrize(("account", "bank"), [("000099995678", "1"), ("000012345678", "2")])
def test_an_id_of_another_account_is_another_transaction(
    money: Money, account: str, bank: str
) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"))
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31", account=account, bank=bank)).build()
    assert money.counted() == sorted(counted(JANUARY) * 2)
    assert money.rules() == {"stands": 6}


def test_ids_that_change_with_every_download_count_once(money: Money) -> None:
    for prefix in "abc":
        lines = [Line(each.day, each.amount, each.text, prefix + each.id) for each in JANUARY]
        money.drop(ofx(lines, "2024-01-01", "2024-01-31"))
    money.build()
    assert money.counted() == counted(JANUARY)
    assert money.rules() == {"stands": 3, "replaced": 6}


def test_ids_that_begin_anew_in_every_file_are_not_the_same(money: Money) -> None:
    first = [Line(on("2024-01-10"), "-16.85", id="1"), Line(on("2024-01-12"), "-5.00", id="2")]
    second = [Line(on("2024-02-03"), "-99.00", id="1"), Line(on("2024-02-12"), "-5.00", id="2")]
    money.drop(ofx(first, "2024-01-01", "2024-01-31"), ofx(second, "2024-02-01", "2024-02-29"))
    # one more file that holds all of them, counted through
    together = [
        Line(each.day, each.amount, id=str(number))
        for number, each in enumerate([*first, *second], start=1)
    ]
    money.drop(ofx(together, "2024-01-01", "2024-03-31")).build()
    assert money.counted() == counted([*first, *second])


def test_an_id_that_a_file_uses_twice_means_nothing(money: Money) -> None:
    lines = [Line(on("2024-01-03"), "-4.50", id="7"), Line(on("2024-01-04"), "-5.50", id="7")]
    money.drop(ofx(lines, "2024-01-01", "2024-01-31"), ofx(lines, "2024-01-02", "2024-02-05"))
    money.build()
    assert money.counted() == counted(lines)


@pytest.mark.parametrize("swapped", [False, True])
def test_the_same_id_is_one_transaction_whatever_the_day(money: Money, swapped: bool) -> None:
    # of the first file nothing decided which number is the month
    wrong = [Line(on("2024-05-04"), "-12.00", "CINEMA", "8XR42871KP"), *JANUARY]
    right = [Line(on("2024-04-05"), "-12.00", "CINEMA", "8XR42871KP")]
    files = [
        ofx(wrong[:1], "2024-05-04", "2024-05-04"),
        ofx(right, "2024-04-01", "2024-05-30"),
        ofx(JANUARY, "2024-01-01", "2024-01-31"),
    ]
    money.drop(*(reversed(files) if swapped else files)).build()
    assert money.counted() == counted([*JANUARY, *right])
    # another amount is another transaction: the bank counts its ids anew
    money.empty()
    money.drop(files[0])
    other = [Line(on("2024-04-05"), "-13.00", "CINEMA", "8XR42871KP")]
    money.drop(ofx(other, "2024-04-01", "2024-04-30")).build()
    assert money.counted() == counted([*wrong[:1], *other])


def test_a_tip_that_was_added_later_counts_once(money: Money) -> None:
    money.drop(ofx([Line(on("2024-01-10"), "-20.00", "DINER", "f1")], "2024-01-01", "2024-01-12"))
    money.drop(ofx([Line(on("2024-01-11"), "-24.00", "DINER", "f1")], "2024-01-01", "2024-01-31"))
    money.build()
    assert money.counted() == [("2024-01-11", "-24")]
    assert money.rules() == {"stands": 1, "revised": 1}


def test_pending_then_posted_counts_once(money: Money) -> None:
    waiting = Line(on("2024-01-10"), "-20.00", "DINER (PENDING)", PENDING)
    posted = Line(on("2024-01-12"), "-20.00", "DINER 123", "80.00")
    before = Line(on("2024-01-02"), "-1.00", "BREAD", "100.00")
    money.drop(chase([waiting, before])).build()
    assert money.counted() == counted([before])
    assert money.rules() == {"stands": 1, "open": 1}
    money.drop(chase([posted, before])).build()
    assert money.counted() == counted([before, posted])
    assert money.rules() == {"stands": 2, "pending": 1}


def test_a_line_that_is_pending_and_then_posted_as_it_was_counts_once(money: Money) -> None:
    waiting = Line(on("2024-01-10"), "-20.00", "DINER", PENDING)
    posted = Line(on("2024-01-10"), "-20.00", "DINER", "80.00")
    for files in ([waiting], [posted], [waiting]):
        money.drop(chase(files))
    money.build()
    assert money.counted() == counted([posted])


def test_a_bank_that_renews_all_its_ids_is_merged_in_a_moment(money: Money) -> None:
    """3,000 lines of three years, each under another id in the next download; and a shop whose
    amounts were all mended."""
    first = on("2021-01-01")
    lines = [
        Line(
            first + timedelta(days=n // 3),
            f"-{n % 40}.{n % 97 + 1:02}",
            f"SHOP {chr(65 + n % 20)}{chr(65 + n % 23)}",
            f"old{n}",
        )
        for n in range(3_000)
    ]
    again = [
        replace(each, id=each.id.replace("old", "new"), amount=f"{each.amount}5")
        if n % 500 < 2
        else replace(each, id=each.id.replace("old", "new"))
        for n, each in enumerate(lines)
    ]
    before, later = (ofx(each, "2021-01-01", "2023-12-31") for each in (lines, again))
    money.read(before, replace(later, content=later.content.replace("20240601", "20240602")))
    begun = time.perf_counter()
    money.build()
    assert time.perf_counter() - begun < 12
    assert money.counted() == counted(again)
    assert money.rules()["stands"] == 3_000


def test_the_bank_takes_something_back(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"))
    for name, more in (
        ("f1", "</NAME><CORRECTFITID>f1<CORRECTACTION>REPLACE"),
        ("f2", "</NAME><CORRECTFITID>f2<CORRECTACTION>DELETE"),
    ):
        line = Line(on("2024-02-01"), "-4.40", "CORRECTED", f"c{name}")
        money.drop(ofx([line], "2024-02-01", "2024-02-02", more=more))
    money.build()
    assert money.counted() == [("2024-01-20", "1000"), ("2024-02-01", "-4.4")]
    assert money.rules() == {"stands": 2, "corrected": 1, "deleted": 2}


def test_formats_that_differ_in_the_day_count_once(money: Money) -> None:
    paid = [Line(each.day - timedelta(days=1), each.amount, each.text, "1") for each in JANUARY]
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"), chase(paid)).build()
    assert money.counted() == counted(JANUARY)
    assert money.rules() == {"stands": 3, "near day": 3}


def test_a_coffee_every_day_in_two_formats_is_one_every_day(money: Money) -> None:
    daily = [Line(on("2024-01-01") + timedelta(days=n), "-4.50", id=f"f{n}") for n in range(30)]
    money.drop(ofx(daily, "2024-01-01", "2024-01-31"), chase(daily[10:])).build()
    assert money.counted() == counted(daily)


def test_formats_that_follow_on_each_other_are_not_mixed(money: Money) -> None:
    last, first = Line(on("2024-01-31"), "-4.50", id="1"), Line(on("2024-02-01"), "-4.50", id="f")
    money.drop(chase([Line(on("2024-01-05"), "-1.00", id="1"), last]))
    money.drop(ofx([first], "2024-02-01", "2024-02-29")).build()
    assert ("2024-01-31", "-4.5") in money.counted()
    assert ("2024-02-01", "-4.5") in money.counted()


def later(file: File, hour: int = 1) -> File:
    """The same kind of file, downloaded some hours after the others."""
    return File(file.name, file.content, hour)


@pytest.mark.parametrize("days_later", [0, 1, 2, 3])
def test_six_equal_taps_in_two_formats_are_six(money: Money, days_later: int) -> None:
    paid = [Line(on("2024-01-10"), "-2.90", "METRO", f"t{n}") for n in range(6)]
    posted = [
        Line(each.day + timedelta(days=days_later), each.amount, "METRO", each.id) for each in paid
    ]
    around = [Line(on("2024-01-02"), "-1.00", "BREAD", "a"), Line(on("2024-01-29"), "-1.00", "TEA")]
    money.drop(ofx([*posted, *around], "2024-01-01", "2024-01-31"), chase([*paid, *around]))
    assert money.build().counted() == counted([*posted, *around])


def test_a_tap_a_day_that_is_posted_on_the_next_is_one_a_day(money: Money) -> None:
    paid = [Line(on("2024-01-08") + timedelta(days=n), "-2.90", "METRO", f"t{n}") for n in range(9)]
    posted = [Line(each.day + timedelta(days=1), each.amount, "METRO", each.id) for each in paid]
    money.drop(ofx(posted, "2024-01-01", "2024-01-31"), chase(paid)).build()
    assert money.counted() == counted(posted)


def test_formats_that_agree_on_days_lose_nothing_at_the_ends_of_their_lists(money: Money) -> None:
    daily = [
        Line(on("2024-01-01") + timedelta(days=n), "-2.90", "METRO", f"t{n}") for n in range(9)
    ]
    money.drop(ofx(daily[1:], "2024-01-02", "2024-01-31"), chase(daily[:-1])).build()
    assert money.counted() == counted(daily)


def test_two_shops_with_one_amount_on_neighbouring_days_are_two(money: Money) -> None:
    books, tea = Line(on("2024-01-05"), "-20.00", "BOOKS"), Line(on("2024-01-20"), "-3.00", "TEA")
    shell = Line(on("2024-01-12"), "-45.00", "SHELL OIL 5731 SEATTLE WA")
    costco = Line(on("2024-01-13"), "-45.00", "COSTCO WHSE SEATTLE WA")
    money.drop(chase([books, shell, tea]), ofx([books, costco, tea], "2024-01-01", "2024-01-31"))
    assert money.build().counted() == counted([books, shell, costco, tea])


def test_shops_with_one_amount_are_told_apart_by_their_names(money: Money) -> None:
    """Each is posted a day after it was paid, so on the tenth each list has another shop."""
    names = ["PAPER MOON", "CORNER GROCER"]
    paid = [Line(on("2024-01-09") + timedelta(days=n), "-9.00", names[n]) for n in range(2)]
    posted = [
        Line(each.day + timedelta(days=1), "-9.00", f"POS PURCHASE {each.text}", each.text)
        for each in paid
    ]
    ends = [Line(on("2024-01-02"), "-1.00", "BREAD", "a"), Line(on("2024-01-29"), "-1.00", "TEA")]
    money.drop(chase([ends[0], *paid, ends[1]]), ofx([*posted, *ends], "2024-01-01", "2024-01-31"))
    assert money.build().counted() == counted([*posted, *ends])
    texts = money.query("select description, lines from marts.transactions where amount = -9")
    assert sorted(texts) == [("POS PURCHASE CORNER GROCER", 2), ("POS PURCHASE PAPER MOON", 2)]


@pytest.mark.parametrize(
    ("one", "other"),
    [("SQ *BLUE BOTTLE", "BLUEBOTTLE COFFEE 12"), ("RESTAURAN", "RESTAURANT ALMA")],
)
def test_one_shop_in_other_words_is_one(money: Money, one: str, other: str) -> None:
    ends = [Line(on("2024-01-02"), "-1.00", "BREAD", "a"), Line(on("2024-01-29"), "-1.00", "TEA")]
    paid, posted = Line(on("2024-01-09"), "-9.00", one), Line(on("2024-01-11"), "-9.00", other, "x")
    money.drop(chase([ends[0], paid, ends[1]]), ofx([posted, *ends], "2024-01-01", "2024-01-31"))
    assert money.build().counted() == counted([posted, *ends])


@pytest.mark.parametrize("swapped", [False, True])
def test_a_line_that_the_bank_mended_counts_once(money: Money, swapped: bool) -> None:
    wrong, right = (Line(on("2024-01-10"), each, "SHOES") for each in ("-64.66", "-164.66"))
    around = [Line(on("2024-01-02"), "-1.00", "BREAD"), Line(on("2024-01-29"), "-1.00", "TEA")]
    files = [chase([around[0], wrong, around[1]]), later(chase([around[0], right, around[1]]))]
    money.drop(*(reversed(files) if swapped else files)).build()
    assert money.counted() == counted([*around, right])
    assert money.rules() == {"stands": 3, "revised": 1}


def test_a_mended_line_with_an_id_of_its_own_counts_once(money: Money) -> None:
    wrong = Line(on("2024-01-10"), "-64.66", "SHOES", "20240110-6466")
    right = Line(on("2024-01-10"), "-164.66", "SHOES", "20240110-16466")
    money.drop(ofx([wrong], "2024-01-01", "2024-01-15"), ofx([right], "2024-01-01", "2024-01-31"))
    assert money.build().counted() == counted([right])


def test_a_second_purchase_in_the_same_shop_is_no_mended_one(money: Money) -> None:
    two = [
        Line(on("2024-01-10"), "-64.66", "SHOES", "a"),
        Line(on("2024-01-10"), "-9.00", "SHOES", "b"),
    ]
    money.drop(
        ofx(two, "2024-01-01", "2024-01-15"), ofx(two, "2024-01-01", "2024-01-31"), chase(two)
    )
    assert money.build().counted() == counted(two)


@pytest.mark.parametrize(("tip", "count"), [("-24.00", 1), ("-31.00", 2)])
def test_a_tip_under_another_id_counts_once(money: Money, tip: str, count: int) -> None:
    bill = Line(on("2024-01-10"), "-20.00", "DINER ON MAIN", "x1")
    paid = Line(on("2024-01-12"), tip, "DINER ON MAIN 0042", "x2")
    money.drop(ofx([bill], "2024-01-01", "2024-01-11"), ofx([paid], "2024-01-01", "2024-01-31"))
    assert len(money.build().counted()) == count


def test_what_was_pending_ends(money: Money) -> None:
    """Posted with a tip; never posted; still pending after weeks; not yet posted."""
    before = Line(on("2024-01-02"), "-1.00", "BREAD", "100.00")
    dinner = Line(on("2024-01-05"), "-20.00", "DINER", PENDING)
    hotel = Line(on("2024-01-06"), "-300.00", "HOTEL HOLD", PENDING)
    rent = Line(on("2024-01-07"), "-80.00", "SENT TO ANN", PENDING)
    tea = Line(on("2024-01-29"), "-3.00", "TEA", PENDING)
    now = Line(on("2024-01-08"), "-2.00", "BREAD", "98.00")
    money.drop(chase([before, dinner, hotel, rent, now])).build()
    assert money.counted() == counted([before, now])
    assert money.rules() == {"stands": 2, "open": 3}
    posted = Line(on("2024-01-09"), "-24.00", "DINER 42", "70.00")
    last = Line(on("2024-01-28"), "-2.00", "BREAD", "60.00")
    money.drop(later(chase([before, rent, now, posted, last, tea]))).build()
    assert money.counted() == counted([before, rent, now, posted, last])
    assert money.rules() == {"stands": 5, "pending": 1, "lapsed": 1, "open": 1}


# ------------------------------------------------------------------------- what is one account


@pytest.mark.parametrize(
    "others",
    [
        # another bank of which nothing is known, and one that we know
        [ofx(JANUARY, "2024-01-01", "2024-01-31", fi="<FI><ORG>ELSE</FI>")],
        [ofx(JANUARY, "2024-01-01", "2024-01-31", fi="<FI><ORG>AMEX<FID>3101</FI>")],
        # a card
        [ofx(JANUARY, "2024-01-01", "2024-01-31", kind="card")],
        # two that it could be
        [
            ofx(JANUARY, "2024-01-01", "2024-01-31"),
            ofx(JANUARY, "2024-01-01", "2024-01-31", account="000099995678"),
        ],
    ],
)
def test_equal_last_digits_are_not_enough(money: Money, others: list[File]) -> None:
    money.drop(chase(JANUARY), *others).build()
    assert len(money.query("select * from marts.accounts")) == 1 + len(others)
    assert money.counted() == sorted(counted(JANUARY) * (1 + len(others)))


def test_a_file_that_names_no_bank_is_linked_when_only_one_can_be_meant(money: Money) -> None:
    money.drop(chase(JANUARY), ofx(JANUARY, "2024-01-01", "2024-01-31", fi="")).build()
    assert money.counted() == counted(JANUARY)


def amex(lines: Sequence[Line], name: str) -> File:
    """The CSV of a card that says nothing of its account, and counts what was spent as positive."""
    rows = "".join(f"{e.day:%m/%d/%Y},{e.text},{-Decimal(e.amount)}\n" for e in lines)
    return File(name, f"Date,Description,Amount\n{rows}")


def in_folder(file: File, folder: str) -> File:
    return File(f"{folder}/{file.name}", file.content)


def test_files_in_one_folder_are_of_one_account_if_they_do_not_say_otherwise(money: Money) -> None:
    told = ofx(JANUARY, "2024-01-01", "2024-01-31", kind="card", fi="<FI><ORG>AMEX</FI>")
    other = ofx(
        JANUARY,
        *("2024-01-01", "2024-01-31"),
        account="000099991111",
        kind="card",
        fi="<FI><ORG>AMEX</FI>",
    )
    files = [in_folder(told, "travel"), amex(JANUARY, "travel/activity.csv")]
    for order in (files, files[::-1]):
        money.empty()
        money.drop(*order, in_folder(other, "groceries")).build()
        assert money.counted() == sorted(counted(JANUARY) * 2)
        links = money.query("select linked_by from marts.account_links order by 1")
        assert links == [("folder",), ("itself",), ("itself",)]
    # the next statement, which lies in no folder, takes nothing back
    money.drop(told).build()
    assert len(money.query("select * from marts.accounts")) == 2
    # two accounts in one folder: neither is guessed
    money.drop(in_folder(other, "travel")).build()
    assert len(money.query("select * from marts.accounts")) == 3


def test_a_masked_number_is_the_whole_one(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31", account="XXXX5678"))
    money.drop(chase(JANUARY)).build()
    assert money.counted() == counted(JANUARY)


def test_the_person_says_which_accounts_are_one(money: Money) -> None:
    money.drop(chase(JANUARY), ofx(JANUARY, "2024-01-01", "2024-01-31", fi="<FI><ORG>ELSE</FI>"))
    ids = [id_ for (id_,) in money.build().query("select account_id from marts.accounts")]
    assert len(ids) == 2
    text = f"accounts:\n  - name: Everyday\n    ids: [{', '.join(ids)}]\n"
    money.drop(File("categories.yaml", text)).build()
    assert money.query("select name from marts.accounts") == [("Everyday",)]
    assert money.counted() == counted(JANUARY)


def test_no_number_in_any_mart(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"), chase(JANUARY)).build()
    assert "12345678" not in repr(money.tables())


# ------------------------------------------------------------- categories, transfers, balances

RULES = """
rules:
  - category: Books
    words: [books, library]
  - category: Savings
    words: to savings
    transfer: true
"""


def test_categories_are_the_persons(money: Money) -> None:
    moved = Line(on("2024-01-21"), "-200.00", "TO SAVINGS", "f4")
    money.drop(ofx([*JANUARY, moved], "2024-01-01", "2024-01-31")).build()
    spent = "select month, category, spent, transactions from marts.spending_monthly order by all"
    january = date(2024, 1, 1)
    assert money.query(spent) == [(january, "uncategorised", Decimal("234.500"), 3)]
    money.drop(File("categories.yaml", RULES)).build()
    assert money.query(spent) == [
        (january, "Books", Decimal("30.000"), 1),
        (january, "uncategorised", Decimal("4.500"), 1),
    ]
    money.drop(File("categories.yaml", "rules:\n  - {category: All, words: [coffee, books]}"))
    assert money.build().query(spent) == [
        (january, "All", Decimal("34.500"), 2),
        (january, "uncategorised", Decimal("200.000"), 1),
    ]


def kinds(money: Money) -> list[tuple[str, str]]:
    return [
        (f"{amount.normalize():f}", kind)
        for amount, kind in money.query(
            "select amount, kind from marts.transactions order by amount, kind"
        )
    ]


CARD = "4111000055554444"


def test_transfers_between_own_accounts_are_not_spending(money: Money) -> None:
    out = [Line(on("2024-01-10"), "-500.00", "PAYMENT", "a"), JANUARY[0]]
    into = [Line(on("2024-01-12"), "500.00", "THANK YOU", "b")]
    far = [Line(on("2024-01-28"), "4.50", "REFUND", "c")]
    money.drop(ofx(out, "2024-01-01", "2024-01-31"))
    money.drop(ofx([*into, *far], "2024-01-01", "2024-01-31", account="000055554444")).build()
    assert kinds(money) == [
        ("-500", "transfer"),
        ("-4.5", "spending"),
        ("4.5", "income"),
        ("500", "transfer"),
    ]
    assert money.query("select sum(spent) from marts.spending_monthly") == [(Decimal("4.500"),)]


@pytest.mark.parametrize("days", [0, 1, 3])
@pytest.mark.parametrize("apart", [0, 1, 4])
def test_six_equal_transfers_are_six(money: Money, days: int, apart: int) -> None:
    first = on("2024-01-03")
    out = [
        Line(first + timedelta(days=n * apart), "-100.00", "TRANSFER TO SAVINGS", f"o{n}")
        for n in range(6)
    ]
    into = [
        Line(each.day + timedelta(days=days), "100.00", "TRANSFER FROM CHECKING", f"i{each.id}")
        for each in out
    ]
    money.drop(ofx(out, "2024-01-01", "2024-02-28"))
    money.drop(ofx(into, "2024-01-01", "2024-02-28", account="000055554444")).build()
    assert kinds(money) == [("-100", "transfer")] * 6 + [("100", "transfer")] * 6
    pairs = money.query("select count(distinct transfer_with) from marts.transactions")
    assert pairs == [(12,)]


@pytest.mark.parametrize(
    ("paid", "came"),
    [
        ("GROCERY STORE", "REFUND SHOE SHOP"),
        ("TRANSFER TO MOM", "COUNTY PAYROLL"),
        ("GROCERY STORE", "RETURN SHOES"),
    ],
)
@pytest.mark.parametrize("kind", ["bank", "card"])
def test_a_purchase_here_and_a_refund_there_are_no_transfer(
    money: Money, paid: str, came: str, kind: str
) -> None:
    money.drop(ofx([Line(on("2024-01-10"), "-50.00", paid, "a")], "2024-01-01", "2024-01-31"))
    back = [Line(on("2024-01-12"), "50.00", came, "b")]
    money.drop(ofx(back, "2024-01-01", "2024-01-31", account=CARD, kind=kind)).build()
    assert kinds(money) == [("-50", "spending"), ("50", "income")]
    assert money.query("select count(perhaps_with) from marts.transactions") == [(0,)]


@pytest.mark.parametrize(
    ("paid", "came", "is_transfer"),
    [
        ("ZELLE TRANSFER TO MIKE", "REI STORE CREDIT", False),
        ("PAYMENT TO LANDLORD", "AMAZON CREDIT", False),
        ("PAYMENT TO LANDLORD", "SHOES", False),
        ("TRANSFER TO MIKE", "TRANSFER CREDIT REI", False),
        ("PAYMENT TO VISA", "PAYMENT THANK YOU", True),
        ("ACH 123", "AUTOPAY CREDIT", True),
        ("TO VISA", "TRANSFER FROM CHECKING", True),
    ],
)
def test_to_a_card_the_words_of_the_card_make_a_transfer(
    money: Money, paid: str, came: str, is_transfer: bool
) -> None:
    money.drop(ofx([Line(on("2024-01-10"), "-50.00", paid, "a")], "2024-01-01", "2024-01-31"))
    back = [Line(on("2024-01-12"), "50.00", came, "b")]
    money.drop(ofx(back, "2024-01-01", "2024-01-31", account=CARD, kind="card")).build()
    assert kinds(money) == (
        [("-50", "transfer"), ("50", "transfer")]
        if is_transfer
        else [("-50", "spending"), ("50", "income")]
    )
    asked = money.query("select count(perhaps_with) from marts.transactions")
    assert asked == [(0 if is_transfer else 2,)]


def test_where_nothing_says_that_it_is_a_transfer_the_person_is_asked(money: Money) -> None:
    money.drop(ofx([Line(on("2024-01-10"), "-50.00", "ONE", "a")], "2024-01-01", "2024-01-31"))
    back = [Line(on("2024-01-12"), "50.00", "OTHER", "b")]
    money.drop(ofx(back, "2024-01-01", "2024-01-31", account="000055554444")).build()
    assert kinds(money) == [("-50", "spending"), ("50", "income")]
    assert money.query("select count(perhaps_with) from marts.transactions") == [(2,)]
    rule = "rules:\n  - {category: Savings, words: [one], transfer: true}\n"
    money.drop(File("categories.yaml", rule)).build()
    assert kinds(money) == [("-50", "transfer"), ("50", "transfer")]


@pytest.mark.parametrize("text", ["PAYMENT - THANK YOU", "MOBILE PYMT", "AUTOPAY 240112"])
def test_a_card_that_is_paid_is_no_income_though_the_bank_is_not_known(
    money: Money, text: str
) -> None:
    lines = [
        Line(on("2024-01-12"), "50.00", text, "a"),
        Line(on("2024-01-13"), "8.00", "SHOES", "b"),
    ]
    money.drop(ofx(lines, "2024-01-01", "2024-01-31", account=CARD, kind="card")).build()
    assert kinds(money) == [("8", "income"), ("50", "transfer")]


def broker(*lines: str) -> File:
    listed = "".join(lines)
    return File(
        "broker.ofx",
        "<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>20240131<CURDEF>USD"
        "<INVACCTFROM><BROKERID>b.example<ACCTID>Z1234567</INVACCTFROM>"
        f"<INVTRANLIST><DTSTART>20240101<DTEND>20240131{listed}</INVTRANLIST>"
        "</INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>",
    )


def trade(tag: str, inner: str, total: str, memo: str) -> str:
    made = f"<INVTRAN><FITID>{memo}<DTTRADE>20240110<MEMO>{memo}</INVTRAN><TOTAL>{total}"
    return f"<{tag}>{f'<{inner}>{made}</{inner}>' if inner else made}</{tag}>"


def test_shares_are_neither_spending_nor_income(money: Money) -> None:
    cash = (
        "<INVBANKTRAN><STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20240109<TRNAMT>6000<FITID>c<NAME>ACH IN"
        "</STMTTRN><SUBACCTFUND>CASH</INVBANKTRAN>"
    )
    money.drop(
        broker(
            trade("BUYSTOCK", "INVBUY", "-5000.00", "YOU BOUGHT"),
            trade("SELLMF", "INVSELL", "1000.00", "YOU SOLD"),
            trade("INCOME", "", "12.00", "BEST BUY DIVIDEND"),
            trade("INVEXPENSE", "", "-3.00", "CUSTODY"),
            cash,
        )
    )
    money.drop(
        ofx([Line(on("2024-01-08"), "-6000.00", "B EXAMPLE", "x")], "2024-01-01", "2024-01-31")
    )
    assert kinds(money.build()) == [
        ("-6000", "transfer"),
        ("-5000", "trade"),
        ("-3", "spending"),
        ("12", "income"),
        ("1000", "trade"),
        ("6000", "transfer"),
    ]


def test_shares_in_the_csv_of_a_broker_are_neither(money: Money) -> None:
    rows = [
        ("Buy", "BEST BUY CO INC", "-$500.00"),
        ("Sell", "ACME INC", "$200.00"),
        ("Qualified Dividend", "BEST BUY CO INC", "$3.20"),
        ("Reinvest Shares", "ACME INC", "-$3.20"),
    ]
    content = (
        '"Transactions for account"\n"Date","Action","Symbol","Description","Quantity","Price",'
    )
    content += '"Fees & Comm","Amount"\n' + "".join(
        f'"01/0{n}/2024","{action}","X","{text}","1","$1","","{amount}"\n'
        for n, (action, text, amount) in enumerate(rows, start=2)
    )
    money.drop(File("XXXX-1234_Transactions.csv", content)).build()
    assert kinds(money) == [
        ("-500", "trade"),
        ("-3.2", "trade"),
        ("3.2", "income"),
        ("200", "trade"),
    ]


def test_a_balance_is_carried_and_checked(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31", balance=("1100.00", "2024-01-31")))
    february = [Line(on("2024-02-10"), "-100.00", "SHOES", "g1")]
    money.drop(ofx(february, "2024-02-01", "2024-02-29", balance=("1000.00", "2024-02-29")))
    # a month is missing, and 50.00 with it
    april = [Line(on("2024-04-10"), "-10.00", "BREAD", "h1")]
    money.drop(ofx(april, "2024-04-01", "2024-04-30", balance=("940.00", "2024-04-30"))).build()
    found = {
        str(day): (balance, by, difference)
        for day, balance, by, difference in money.query(
            "select day, balance::decimal(18, 3)::varchar, balance_from,"
            " difference::decimal(18, 3)::varchar from marts.accounts_daily"
        )
    }
    assert len(found) == 31 + 29 + 31 + 30
    assert found["2024-01-02"] == ("134.500", "counted back", None)
    assert found["2024-01-03"] == ("130.000", "counted back", None)
    assert found["2024-01-31"] == ("1100.000", "stated", None)
    assert found["2024-02-09"] == ("1100.000", "carried", None)
    assert found["2024-02-29"] == ("1000.000", "stated", "0.000")
    assert found["2024-03-15"] == (None, "gap", None)
    assert found["2024-04-09"] == ("950.000", "counted back", None)
    assert found["2024-04-30"] == ("940.000", "stated", "-50.000")


def test_all_the_digits_of_an_amount_come_through(money: Money) -> None:
    lines = [
        Line(on("2024-01-03"), "-0.00012345", "COIN", "a1"),
        Line(on("2024-01-04"), "-536.53479227500345", "FUND", "a2"),
    ]
    balance = ("1.000000000000000001", "2024-01-31")
    money.drop(ofx(lines, "2024-01-01", "2024-01-31", balance=balance)).build()
    assert money.counted() == [
        ("2024-01-03", "-0.00012345"),
        ("2024-01-04", "-536.53479227500345"),
    ]
    [(spent,)] = money.query("select sum(spent) from marts.spending_monthly")
    assert spent == Decimal("536.5349157250034500")
    held = "select balance from marts.accounts_daily where day = '2024-01-31'"
    assert money.query(held) == [(Decimal(balance[0]),)]


def test_every_line_is_explained(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"), chase(JANUARY[1:])).build()
    lines = money.query("select count(*) from staging.stg_bank__transactions")
    merges = money.query(
        "select count(*), count(rule), count(reason) from marts.transaction_merges"
    )
    assert [lines[0] * 3] == merges


def test_every_merge_is_in_one_table_and_opens_to_both_lines(money: Money) -> None:
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31"), chase(JANUARY[1:])).build()
    merges = money.query(
        """
        select
            merges.entity, merges.rule, merged.feed, into_.feed, merged.amount = into_.amount,
            merges.lake_file like 'bank/transactions/month=2024-01-01/%', merges.reason <> ''
        from pipeline.merges
        inner join staging.stg_bank__transactions as merged using (record_key)
        inner join staging.stg_bank__transactions as into_
            on into_.record_key = merges.merged_into
        """
    )
    found = ("transaction", "same day", "chase_checking", "ofx", True, True, True)
    assert merges == [found] * 2


# ---------------------------------------------------------------------- files that went wrong


@pytest.fixture
def faulty(money: Money, faults: Path) -> Iterator[Money]:
    """A home for files that once went wrong, whose dialects are its own."""
    assert faults == FAULTS  # the fixture skips where they are not
    dialects = money.home.root / "dialects"
    shutil.rmtree(dialects, ignore_errors=True)
    yield money
    shutil.rmtree(dialects, ignore_errors=True)


def drop_faults(money: Money, *names: str) -> Money:
    for name in names:
        path = FAULTS / name
        if path.suffix == ".yaml":
            (money.home.root / "dialects").mkdir(exist_ok=True)
            shutil.copy(path, money.home.root / "dialects")
        else:
            inside = path.relative_to(FAULTS).parts[1:] or (path.name,)
            money.drop(File("/".join(inside), path.read_text()))
    return money.build()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["venmo_issued.csv", "venmo_bank.ofx"],
            [("-900", "transfer"), ("900", "income"), ("900", "income"), ("900", "transfer")],
        ),
        (
            [
                *("near_day/nd.yaml", "near_day/checking-1234/near_day_two_merchants.csv"),
                "near_day/near_day_two_merchants.ofx",
            ],
            [("-45", "spending"), ("-45", "spending"), ("-20", "spending"), ("-3", "spending")],
        ),
        (["broker_buy.ofx"], [("-5000", "trade"), ("1000", "trade")]),
        (
            ["transfer_coincidence_card.ofx", "transfer_coincidence_checking.ofx"],
            [("-50", "spending"), ("-9", "spending"), ("-7", "spending"), ("50", "income")],
        ),
        (["ofx_line_outside_list.ofx"], [("-1000", "spending"), ("-55", "spending")]),
        (["ofx_xml_comments.ofx"], [("-5", "spending")]),
        (
            ["debit_column/sbank.yaml", "debit_column/S.csv"],
            [("-20", "spending"), ("7", "income"), ("20", "income"), ("100", "income")],
        ),
        (
            ["ofx_positive_debit/F_abs.ofx", "ofx_positive_debit/cc_abs.ofx"],
            [
                *(("-19.78", "spending"), ("-19.78", "spending"), ("-7", "spending")),
                *(("500", "transfer"), ("1500", "income")),
            ],
        ),
    ],
    ids=lambda each: each[0] if isinstance(each[0], str) else "",
)
def test_files_that_went_wrong(
    faulty: Money, names: list[str], expected: list[tuple[str, str]]
) -> None:
    assert kinds(drop_faults(faulty, *names)) == expected
    drop_faults(faulty, *names[::-1])
    assert kinds(faulty) == expected


def test_a_qfx_without_an_account_in_a_folder_that_names_it(faulty: Money) -> None:
    content = (FAULTS / "qfx_no_account" / "G_noacct.qfx").read_text()
    faulty.drop(File("checking-1234/G_noacct.qfx", content)).build()
    assert kinds(faulty) == [("-19.01", "spending")]
    # and it is the account of the bank's other files
    other = ofx(JANUARY, "2024-01-01", "2024-01-31", account="000099991234", fi="")
    faulty.drop(other).build()
    assert len(faulty.query("select * from marts.accounts")) == 1


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("ofx_bank_error.ofx", "the bank answered with an error"),
        ("qfx_no_account/G_noacct.qfx", "transactions without an account"),
    ],
)
def test_files_that_are_refused_with_what_to_do(faulty: Money, name: str, sentence: str) -> None:
    path = faulty.home.inbox / Path(name).name
    shutil.copy(FAULTS / name, path)
    receipt = ingest_file(faulty.home, [BANK], path, NOW).receipt
    assert sentence in (receipt.problem or "")


# -------------------------------------------------------------------------------- properties

FIRST = on("2024-01-01")
LAST_DAY = 30

CSV_NAMES = {"000012345678": "5678", "000012349999": "9999"}


@st.composite
def lives(draw: st.DrawFn) -> tuple[dict[str, list[Line]], list[File]]:
    """What happened on two accounts with equal amounts and ids, and statements that overlap in
    any way. Each list is complete for its days."""
    accounts: dict[str, list[Line]] = {}
    for account in CSV_NAMES:
        days = draw(st.lists(st.integers(0, LAST_DAY), max_size=6))
        accounts[account] = [
            Line(
                FIRST + timedelta(days=day),
                draw(st.sampled_from(["-4.50", "-5.00", "20.00"])),
                draw(st.sampled_from(["COFFEE", "TEA"])),
                f"f{number}",
            )
            for number, day in enumerate(sorted(days))
        ]
    files = []
    for _ in range(draw(st.integers(1, 4))):
        account = draw(st.sampled_from(sorted(CSV_NAMES)))
        a, b = sorted(draw(st.tuples(st.integers(0, LAST_DAY), st.integers(0, LAST_DAY))))
        start, end = FIRST + timedelta(days=a), FIRST + timedelta(days=b)
        within = [each for each in accounts[account] if start <= each.day <= end]
        if draw(st.booleans()):
            files.append(ofx(within, str(start), str(end), account=account))
        elif within:
            posted = [Line(each.day, each.amount, each.text, "1") for each in within]
            files.append(chase(posted, CSV_NAMES[account]))
    return accounts, files


def told(files: Sequence[File], accounts: dict[str, list[Line]]) -> list[tuple[str, str, str]]:
    """What the files tell, each transaction once: account, day and amount."""
    found: set[tuple[str, Line]] = set()
    for file in files:
        for account, lines in accounts.items():
            mine = account in file.content or f"Chase{CSV_NAMES[account]}_" in file.name
            for line in lines if mine else ():
                days = (f"<DTPOSTED>{line.day:%Y%m%d}<", f",{line.day:%m/%d/%Y},")
                if any(day in file.content for day in days):
                    found.add((account, line))
    return sorted(
        (CSV_NAMES[account], str(line.day), f"{Decimal(line.amount).normalize():f}")
        for account, line in found
    )


@given(lives(), st.randoms(use_true_random=False))
@examples(4)
def test_every_transaction_counts_once_in_any_order_and_accounts_are_never_mixed(
    built: Money, life: tuple[dict[str, list[Line]], list[File]], chance: Any
) -> None:
    accounts, files = life
    built.empty()
    first = built.drop(*files).build().tables()
    counted = built.query(
        "select right(account, 4), posted_on::varchar, amount from marts.transactions"
    )
    assert told(files, accounts) == sorted(
        (account, day, f"{amount.normalize():f}") for account, day, amount in counted
    )
    # a line and its transaction are of one account
    assert not built.query(
        "select 1 from marts.transaction_merges as a join marts.transaction_merges as b"
        " on b.record_key = a.transaction_id where a.account_id <> b.account_id"
    )
    # again: nothing changes
    assert built.drop(*files).build().tables() == first
    # in another order
    shuffled = list(files)
    chance.shuffle(shuffled)
    built.empty()
    assert built.drop(*shuffled).build().tables() == first


@given(
    st.lists(
        st.tuples(
            st.integers(0, 12),
            st.sampled_from(["-4.50", "-5.00"]),
            st.sampled_from(["", "0", "1", "2", "3"]),
            st.sampled_from(["a", "b", "c"]),
        ),
        max_size=10,
    ),
    st.randoms(use_true_random=False),
)
@examples(4)
def test_whatever_ids_and_lists_there_are_order_does_not_matter(
    built: Money, lines: list[tuple[int, str, str, str]], chance: Any
) -> None:
    """Lists that contradict each other, with ids that are missing, reused and shared."""
    files = []
    for number, name in enumerate("abc"):
        within = [
            Line(FIRST + timedelta(days=day), amount, id=id_)
            for day, amount, id_, file in lines
            if file == name
        ]
        account = "000012345678" if name != "c" else "000012349999"
        files.append(ofx(within, "2024-01-01", f"2024-01-{12 + number}", account=account))
        files.append(chase([Line(each.day, each.amount, id="1") for each in within[:2]]))
    files = [file for file in files if "DEBIT" in file.content]
    built.empty()
    first = built.drop(*files).build().tables()
    longest = max((file.content.count("<STMTTRN>") for file in files), default=0)
    assert len(first["transactions"]) >= longest
    chance.shuffle(files)
    built.empty()
    assert built.drop(*files, *files[:1]).build().tables() == first


@st.composite
def bursts(draw: st.DrawFn) -> tuple[list[Line], list[File]]:
    """What was posted on one account, and statements of it. Shops are few, amounts fewer, and some
    days have many equal payments. The CSV has the day of payment or that of posting, the OFX that
    of posting; each is cut anywhere between two days, downloaded twice in part, and shuffled."""
    lag = draw(st.sampled_from(["none", "one", "any"]))
    paid: list[tuple[int, str, str]] = []
    for _ in range(draw(st.integers(1, 5))):
        day, amount, shop = draw(
            st.tuples(
                st.integers(5, 22),
                st.sampled_from(["-2.90", "-2.90", "-45.00", "20.00"]),
                st.sampled_from(["METRO", "CORNER GROCER 12", "SHELL OIL"]),
            )
        )
        paid += [(day, amount, shop)] * draw(st.integers(1, 6))
    shifts = {"none": st.just(0), "one": st.just(1), "any": st.integers(0, 3)}[lag]
    lines, listed = [], []
    for number, (day, amount, shop) in enumerate(paid):
        posted = FIRST + timedelta(days=day + draw(shifts))
        lines.append(Line(posted, amount, shop, f"f{number}"))
        listed.append(Line(FIRST + timedelta(days=day), amount, f"POS {shop}", "1"))
    # both lists begin and end with something else
    ends = [
        Line(FIRST, "-1.00", "BREAD", "e1"),
        Line(FIRST + timedelta(days=29), "-1.00", "TEA", "e2"),
    ]
    lines, listed = sorted([*lines, *ends], key=repr), [*listed, *ends]
    files = []
    cuts = sorted({0, 30, *draw(st.lists(st.integers(1, 29), max_size=3))})
    for start, end in pairwise(cuts):
        a, b = FIRST + timedelta(days=start), FIRST + timedelta(days=end - 1)
        files.append(ofx([each for each in lines if a <= each.day <= b], str(a), str(b)))
    cuts = sorted({0, 30, *draw(st.lists(st.integers(1, 29), max_size=2))})
    for start, end in [*pairwise(cuts), (draw(st.integers(0, 10)), draw(st.integers(20, 30)))]:
        a, b = FIRST + timedelta(days=start), FIRST + timedelta(days=end - 1)
        some = sorted((each for each in listed if a <= each.day <= b), key=lambda each: each.day)
        if some:
            files.append(chase(some))
    return lines, draw(st.permutations(files))


@given(bursts())
@examples(5)
def test_bursts_of_equal_amounts_come_out_as_they_were(
    built: Money, life: tuple[list[Line], list[File]]
) -> None:
    lines, files = life
    built.read(*files).build(
        *("stg_bank__accounts", "stg_bank__statements", "stg_bank__transactions"),
        *("stg_bank__categories", "account_links", "accounts", "transaction_merges"),
        "transactions",
    )
    assert built.counted() == counted(lines)


def test_months_that_are_built_alone_are_those_of_a_whole_build(money: Money) -> None:
    later = [Line(each.day + timedelta(days=31), each.amount, each.text, "g") for each in JANUARY]
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31", balance=("1100.00", "2024-01-31")))
    money.drop(ofx(later, "2024-02-01", "2024-02-29"), chase([*JANUARY, *later]))
    money.drop(File("categories.yaml", RULES)).build()
    cut = [name for name, sql in money.sql.items() if f"'{EARLIEST}'" in sql]
    assert {"marts.transactions", "marts.accounts_daily", "marts.spending_monthly"} < {*cut}
    for name in cut:
        months = money.query(f"select distinct month from {name} order by month")
        assert months
        for (month,) in months:
            after = (month + timedelta(days=32)).replace(day=1)
            sql = money.sql[name].replace(f"'{EARLIEST}'", f"'{month}'")
            sql = sql.replace(f"'{LATEST}'", f"'{after}'")
            alone = money.query(f"from ({sql}) order by all")
            assert alone == money.query(f"from {name} where month = '{month}' order by all"), name
    assert len(months) == 2
