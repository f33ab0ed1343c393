"""Which lines of which statements are one transaction: real files through the inbox and the lake,
then the SQL that dbt made of the models."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import take
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources.bank import BANK
from personal_pipeline_tests.sql.conftest import Warehouse

NOW = datetime(2024, 6, 1, tzinfo=UTC)
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
    name: str
    content: str


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
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{each.day:%Y%m%d}<TRNAMT>{each.amount}"
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
        self.dropped = 0
        for stream in BANK.drop_streams:  # what the models read must be there
            lake_of(self.home, "bank", stream).write(date(1950, 1, 1), [])

    def drop(self, *files: File) -> Money:
        for file in files:
            self.dropped += 1
            path = self.home.inbox / file.name
            path.parent.mkdir(exist_ok=True)
            path.write_text(file.content)
            # later files are younger, as downloads are
            seconds = (NOW + timedelta(hours=self.dropped)).timestamp()
            os.utime(path, (seconds, seconds))
            receipt = take(self.home, [BANK], path, NOW).receipt
            assert receipt.problem is None
            assert receipt.unreadable == 0
        return self

    def build(self) -> Money:
        for name, sql in self.sql.items():
            self.opened.execute(f"create or replace table {name} as {sql}")
        return self

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        return self.opened.execute(sql).fetchall()

    def counted(self) -> list[tuple[str, str]]:
        """Day and amount of every transaction."""
        return [
            (str(day), f"{amount.normalize():f}")
            for day, amount in self.query(
                "select posted_on, amount from marts.transactions order by all"
            )
        ]

    def rules(self) -> Counter[str]:
        return Counter(rule for (rule,) in self.query("select rule from marts.transaction_merges"))

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(self.query(f"select * from marts.{name}"), key=repr) for name in MODELS
        }


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Money]:
    root = tmp_path_factory.mktemp("money")
    home = Home(root).ensure()
    money = Money(home, duckdb.connect(), {})
    money.empty()
    warehouse = Warehouse(root, root / "target")
    warehouse.build("staging.bank", "marts.money", "+pipeline.merges")
    names = [*(f"staging.stg_bank__{name}" for name in STAGING), *(f"marts.{n}" for n in MODELS)]
    folder = warehouse.target / "compiled" / "personal_pipeline" / "models"
    places = {"staging": "staging/bank", "marts": "marts/money", "pipeline": "pipeline"}
    for name in (*names, "marts.spending_monthly", "pipeline.merges"):
        schema, table = name.split(".")
        place = places[schema]
        money.sql[name] = (folder / place / f"{table}.sql").read_text()
    with duckdb.connect(str(warehouse.path)) as opened:
        money.opened = opened
        yield money


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


def test_transfers_between_own_accounts_are_not_spending(money: Money) -> None:
    out = [Line(on("2024-01-10"), "-500.00", "PAYMENT", "a"), JANUARY[0]]
    into = [Line(on("2024-01-12"), "500.00", "THANK YOU", "b")]
    far = [Line(on("2024-01-28"), "4.50", "REFUND", "c")]
    money.drop(ofx(out, "2024-01-01", "2024-01-31"))
    money.drop(ofx([*into, *far], "2024-01-01", "2024-01-31", account="000055554444")).build()
    kinds = money.query("select kind, amount from marts.transactions order by amount")
    assert kinds == [
        ("transfer", Decimal("-500.000")),
        ("spending", Decimal("-4.500")),
        ("income", Decimal("4.500")),
        ("transfer", Decimal("500.000")),
    ]
    assert money.query("select sum(spent) from marts.spending_monthly") == [(Decimal("4.500"),)]


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
@settings(max_examples=12, deadline=None)
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
@settings(max_examples=12, deadline=None)
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


def test_months_that_are_built_alone_are_those_of_a_whole_build(tmp_path: Path) -> None:
    money = Money(Home(tmp_path).ensure(), duckdb.connect(), {})
    money.empty()
    later = [Line(each.day + timedelta(days=31), each.amount, each.text, "g") for each in JANUARY]
    money.drop(ofx(JANUARY, "2024-01-01", "2024-01-31", balance=("1100.00", "2024-01-31")))
    money.drop(ofx(later, "2024-02-01", "2024-02-29"), chase([*JANUARY, *later]))
    money.drop(File("categories.yaml", RULES))
    warehouse = Warehouse(tmp_path, tmp_path / "target")
    warehouse.build("staging.bank", "marts.money")
    whole = warehouse.content()
    cut = [
        *(f"stg_bank__{name}" for name in STAGING),
        *("transactions", "accounts_daily", "spending_monthly"),
    ]
    assert all(len(whole[f"marts.{name}"]) > 1 for name in cut[-3:])
    with duckdb.connect(str(warehouse.path)) as opened:
        for name in cut[-3:]:
            opened.execute(f"delete from marts.{name} where month = '2024-02-01'")
    february = [(date(2024, 2, 1), date(2024, 3, 1))]
    warehouse.build("staging.bank", "marts.money", windows=dict.fromkeys(cut, february))
    assert warehouse.content() == whole
