"""The Money section against values counted by hand."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lxml.html import HtmlElement

from personal_pipeline.freshness import State
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    never_dropped,
    with_bank,
    with_state,
    write_marts,
)
from personal_pipeline_tests.outputs.report_page import (
    SECTIONS,
    anchors,
    build,
    charts_above_tables,
    page_of,
    section,
    table,
    words,
)

BOARD = with_bank(fresh_board())
CHECKING, CARD, SAVINGS = "Bank …1234", "Card …9876", "Franken …55"
TEXT = "KESTREL CLINIC INVOICE 77"


def day_of(account: str, day: date, balance: str | None, **more: Any) -> dict[str, Any]:
    row = {
        "month": day.replace(day=1),
        "account_id": account[:4],
        "account": account,
        "day": day,
        "currency": "usd",
        "balance": balance,
        "balance_from": "carried" if balance else "gap",
        "stated_balance": None,
        "difference": None,
        "is_covered": True,
    }
    return {**row, **more}


def days(account: str, first: date, last: date, balance: str | None, **more: Any) -> Any:
    for offset in range((last - first).days + 1):
        yield day_of(account, first + timedelta(days=offset), balance, **more)


def booking(posted_on: date, amount: str, kind: str, category: str | None, **more: Any) -> Any:
    return {
        "month": posted_on.replace(day=1),
        "transaction_id": f"{posted_on}/{amount}/{category}",
        "account_id": CHECKING[:4],
        "account": CHECKING,
        "posted_on": posted_on,
        "amount": amount,
        "currency": "usd",
        "description": TEXT,
        "kind": kind,
        "category": category,
        **more,
    }


DAYS = [
    *days(CHECKING, date(2025, 11, 1), date(2026, 5, 30), "900.00"),
    day_of(CHECKING, date(2026, 5, 31), "1000.00", stated_balance="1000.00", difference="0"),
    *days(CHECKING, date(2026, 6, 1), date(2026, 6, 30), None, is_covered=False),
    *days(CHECKING, date(2026, 7, 1), date(2026, 7, 30), "1450.00"),
    day_of(CHECKING, date(2026, 7, 31), "1500.00", stated_balance="1500.00", difference="-75.50"),
    *days(CHECKING, date(2026, 8, 1), date(2026, 10, 31), "1600.00"),
    *days(CHECKING, date(2026, 11, 1), date(2026, 11, 20), "1700.00"),
    # the day of the report and later is not told
    day_of(CHECKING, date(2026, 11, 21), "9999.00"),
    *days(CARD, date(2026, 11, 1), date(2026, 11, 10), None),
    *days(SAVINGS, date(2026, 10, 1), date(2026, 11, 10), "20.00", currency="chf"),
]
BOOKINGS = [
    booking(date(2026, 11, 1), "-800.00", "spending", "Rent"),
    booking(date(2026, 11, 20), "-30.25", "spending", "Coffee"),
    booking(date(2026, 11, 20), "-9.75", "spending", None, account=CARD),
    booking(date(2026, 11, 14), "2000.00", "income", "Wages"),
    booking(date(2026, 11, 12), "-250.00", "transfer", "Transfer"),
    booking(date(2026, 11, 13), "250.00", "transfer", "Transfer"),
    booking(date(2026, 11, 21), "-1.00", "spending", "Rent"),
    booking(date(2026, 10, 1), "-640.00", "spending", "Rent"),
    booking(date(2026, 10, 20), "-60.50", "spending", "Coffee"),
    # not within the same days
    booking(date(2026, 10, 21), "-500.00", "spending", "Travel"),
    booking(date(2025, 11, 2), "-600.00", "spending", "Rent"),
    booking(date(2025, 11, 3), "-40.00", "spending", "Shoes"),
    booking(date(2026, 6, 15), "-5.00", "spending", "Coffee"),
]


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_marts(
        tmp_path_factory.mktemp("money") / "warehouse.duckdb",
        accounts_daily=DAYS,
        transactions=BOOKINGS,
    )


@pytest.fixture(scope="module")
def page(marts: Path) -> HtmlElement:
    return page_of(build(marts, BOARD))


def test_stands_before_the_areas_that_know_nothing(page: HtmlElement) -> None:
    assert anchors(page) == ["overview", "money", *SECTIONS[1:]]
    assert "As of 20 November 2026" in words(section(page, "money"))


def test_balances_of_the_accounts(page: HtmlElement) -> None:
    assert table(page, "Accounts, USD") == [
        ["Account", "Statements until", "Balance", "On", "A month before"],
        [CHECKING, "20 Nov 2026", "$1,700.00", "20 Nov 2026", "$1,600.00"],
        [CARD, "10 Nov 2026", "—", "—", "—"],
    ]
    assert "No statement gives the balance of Card …9876." in words(section(page, "money"))
    assert table(page, "Accounts, CHF")[1:] == [
        [SAVINGS, "10 Nov 2026", "CHF 20.00", "10 Nov 2026", "CHF 20.00"]
    ]


def test_a_month_without_a_statement_has_no_balance(page: HtmlElement) -> None:
    rows = {row[0]: row[1] for row in table(page, "Balance at the end of each month, USD")}
    assert rows["Nov 2026 (so far)"] == "$1,700.00"
    assert rows["Jul 2026"] == "$1,500.00"
    assert rows["Jun 2026"] == "—"


def test_names_the_gap_where_a_balance_does_not_agree(page: HtmlElement) -> None:
    assert (
        "Bank …1234: the balance of 31 July 2026 is $75.50 less than the previous stated balance "
        "plus all transactions since. No statement covers Jun 2026"
    ) in words(section(page, "money"))
    assert table(page, "Stated balances")[1:] == [
        [CHECKING, "31 Jul 2026", "$1,500.00", "−$75.50", "Jun 2026"]
    ]


def test_spending_against_the_same_days(page: HtmlElement) -> None:
    assert table(page, "Spending by category, 1–20 Nov 2026, USD") == [
        ["Category", "1–20 Nov 2026", "1–20 Oct 2026", "Change", "1–20 Nov 2025", "Change"],
        ["Rent", "$800.00", "$640.00", "▲25%", "$600.00", "▲33%"],
        ["Coffee", "$30.25", "$60.50", "▼50%", "$0.00", "▲from zero"],
        ["uncategorised", "$9.75", "$0.00", "▲from zero", "$0.00", "▲from zero"],
        ["Shoes", "$0.00", "$0.00", "=no change", "$40.00", "▼100%"],
        ["Together", "$840.00", "$700.50", "▲20%", "$640.00", "▲31%"],
    ]


def test_an_account_that_is_behind_is_named(page: HtmlElement) -> None:
    text = words(section(page, "money"))
    assert text.count("is covered only until") == 1
    assert "between your own accounts. Card …9876 is covered only until 10 Nov 2026." in text


def test_a_month_that_lacks_a_statement_is_not_compared(marts: Path) -> None:
    page = page_of(build(marts, BOARD, date(2026, 7, 21)))
    rows = table(page, "Spending by category, 1–20 Jul 2026, USD")
    assert rows[0][2] == "1–20 Jun 2026"
    # neither with June, that lacks its statement, nor with the year before the first statement
    assert rows[1] == ["Coffee", "$0.00", "—", "not known", "—", "not known"]
    text = words(section(page, "money"))
    assert "cover only part of 1–20 Jun 2026 and 1–20 Jul 2025" in text


def test_largest_payments_say_to_whom(page: HtmlElement) -> None:
    assert table(page, "The 3 largest payments, 1–20 Nov 2026") == [
        ["To", "Category", "Day", "Account", "Amount"],
        [TEXT, "Rent", "1 Nov 2026", CHECKING, "$800.00"],
        [TEXT, "Coffee", "20 Nov 2026", CHECKING, "$30.25"],
        [TEXT, "uncategorised", "20 Nov 2026", CARD, "$9.75"],
    ]


def test_what_may_be_a_transfer_is_asked(page: HtmlElement, tmp_path: Path) -> None:
    assert "Transfers between your own accounts?" not in words(section(page, "money"))
    gone = booking(date(2026, 11, 17), "-55.00", "spending", None, perhaps_with="come")
    come = booking(date(2026, 11, 19), "55.00", "income", None, perhaps_with="gone", account=CARD)
    marts = write_marts(
        tmp_path / "warehouse.duckdb",
        accounts_daily=DAYS,
        transactions=[
            {**gone, "transaction_id": "gone"},
            {**come, "transaction_id": "come"},
        ],
    )
    asked = page_of(build(marts, BOARD))
    assert table(asked, "Equal amounts in two accounts within five days, USD") == [
        ["From", "Left on", "To", "Came on", "Amount"],
        [CHECKING, "17 Nov 2026", CARD, "19 Nov 2026", "$55.00"],
    ]
    assert "transfer: true" in words(section(asked, "money"))


def test_income_against_spending(page: HtmlElement) -> None:
    assert table(page, "Income and spending by month, USD")[1:] == [
        ["Nov 2026 (so far)", "$2,000.00", "$840.00", "+$1,160.00", "2"],
        ["Oct 2026", "$0.00", "$1,200.50", "−$1,200.50", "0"],
        ["Jun 2026 (incomplete)", "$0.00", "$5.00", "−$5.00", "0"],
        ["Nov 2025", "$0.00", "$640.00", "−$640.00", "0"],
    ]


def test_every_chart_has_its_table_below_it(page: HtmlElement) -> None:
    charts = charts_above_tables(section(page, "money"))
    # balances in two currencies, spending, income
    assert len(charts) == 4


def test_the_line_breaks_where_the_balance_is_not_known(page: HtmlElement) -> None:
    lines = (
        section(page, "money")
        .xpath(".//figure")[0]
        .xpath(".//*[name()='path'][@stroke='var(--first)']/@d")
    )
    assert [line.count("M") for line in lines] == [2]


def test_says_when_statements_are_late(marts: Path) -> None:
    board = with_state(BOARD, State.LATE, "bank", detail="Download the statement.")
    text = words(section(page_of(build(marts, board)), "money"))
    assert "Late: Bank (" in text
    assert "The figures shown are the last good ones. Download the statement." in text


def test_is_left_out_when_no_statement_was_ever_dropped(marts: Path) -> None:
    for board in (fresh_board(), [*fresh_board(), never_dropped("bank", "transactions")]):
        assert anchors(page_of(build(marts, board))) == SECTIONS


@pytest.mark.parametrize("missing", ["accounts_daily", "transactions", None])
def test_marts_that_are_missing_or_empty(tmp_path: Path, missing: str | None) -> None:
    rows = {"accounts_daily": DAYS, "transactions": BOOKINGS} if missing else {}
    rows.pop(missing or "", None)
    database = write_marts(tmp_path / "warehouse.duckdb", **rows)
    if missing:
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"drop table marts.{missing}")
    text = words(section(page_of(build(database, BOARD)), "money"))
    assert missing or "without figures yet" in text
    assert "None" not in text
