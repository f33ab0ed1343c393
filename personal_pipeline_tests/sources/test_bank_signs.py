"""CSV statements: which amounts go out, and which account a file is of that does not name one."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Doubt, DropFile, DropRow, Record
from personal_pipeline.sources.bank.dialect import our_dialects
from personal_pipeline.sources.bank.explain import explain_csv
from personal_pipeline.sources.bank.statement_csv import read_csv

CAPTURED = datetime(2024, 3, 1, 9, tzinfo=UTC)


def read(home: Home, content: str, name: str = "statement.csv") -> dict[str, list[Record]]:
    """The records of a file below the inbox, by stream."""
    path = home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    found: dict[str, list[Record]] = {}
    for row in read_csv(DropFile(path, path.name, CAPTURED, home.root)):
        if isinstance(row, Doubt):
            continue
        assert isinstance(row, DropRow), row.reason
        found.setdefault(row.stream, []).append(row.record)
    return found


def amounts(found: dict[str, list[Record]]) -> list[str]:
    return [each["amount"] for each in found["transactions"]]


def declare(
    home: Home, more: str = "", columns: str = "money_out: Debit, money_in: Credit"
) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "mine.yaml").write_text(
        "name: mine\ntitle: Mine\ncurrency: USD\nheader: [SDate, SText, Debit, Credit]\n"
        f'date_format: "%Y-%m-%d"\ncolumns: {{posted_on: SDate, description: SText, {columns}}}\n'
        f"{more}\n"
    )


def pairs(*cells: str) -> str:
    rows = "".join(f"2024-02-0{n},TEXT,{each}\n" for n, each in enumerate(cells, start=1))
    return f"SDate,SText,Debit,Credit\n{rows}"


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # a refund in the column of what was spent
        (["20.00,", "-20.00,", ",100.00", "0.00,7.00"], ["-20", "20", "100", "7"]),
        (["20.00,", "5.00,", "(3.00),"], ["-20", "-5", "3"]),
        # the column writes the sign
        (
            ["-20.00,", "-5.00,", "-6.00,", "-7.00,", "3.00,", ",100.00"],
            ["-20", "-5", "-6", "-7", "3", "100"],
        ),
        # what came in is negative, and one of it was taken back
        (
            ["20.00,", ",-100.00", ",-50.00", ",-1.00", ",-2.00", ",50.00"],
            ["-20", "100", "50", "1", "2", "-50"],
        ),
        # both in a row
        (["20.00,5.00"], ["-15"]),
    ],
)
def test_a_column_has_the_sign_that_most_of_it_has(
    home: Home, cells: list[str], expected: list[str]
) -> None:
    declare(home)
    assert amounts(read(home, pairs(*cells))) == expected


def doubts(home: Home, content: str) -> list[str]:
    path = home.inbox / "doubt.csv"
    path.write_text(content)
    items = read_csv(DropFile(path, path.name, CAPTURED, home.root))
    return [item.reason for item in items if isinstance(item, Doubt)]


@pytest.mark.parametrize(
    ("cells", "expected", "field"),
    [
        # a month with one refund and nothing else
        (["-20.00,"], ["20"], "money_out_sign: negative"),
        (["-20.00,", "-5.00,", ",9.00"], ["20", "5", "9"], "money_out_sign: negative"),
        (["-20.00,", "-5.00,", "3.00,"], ["20", "5", "-3"], "money_out_sign: negative"),
        ([",-20.00"], ["-20"], "money_in_sign: negative"),
    ],
)
def test_a_few_negative_amounts_are_what_came_back_and_it_is_said(
    home: Home, cells: list[str], expected: list[str], field: str
) -> None:
    declare(home)
    assert amounts(read(home, pairs(*cells))) == expected
    [doubt] = doubts(home, pairs(*cells))
    assert field in doubt
    assert not any(cell.strip(",") in doubt for cell in cells)


@pytest.mark.parametrize(("balances", "expected"), [((80, 75), "-5"), ((80, 85), "5")])
def test_a_balance_tells_what_the_minus_of_a_column_means(
    home: Home, balances: tuple[int, int], expected: str
) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "mine.yaml").write_text(
        "name: mine\ntitle: Mine\nheader: [SDate, SText, Debit, Credit, Held]\n"
        'date_format: "%Y-%m-%d"\ncolumns: {posted_on: SDate, description: SText, '
        "money_out: Debit, money_in: Credit, balance: Held}\n"
    )
    rows = [f"-20.00,,{balances[0]}.00", f"-5.00,,{balances[1]}.00"]
    text = pairs(*rows).replace("Credit\n", "Credit,Held\n")
    assert amounts(read(home, text))[1] == expected
    assert doubts(home, text) == []


@pytest.mark.parametrize(
    ("more", "columns", "cells", "expected"),
    [
        # a card that counts what was spent
        (
            "sign: out_is_positive",
            "amount: Debit",
            ["20.00,", "100.00 CR,", "30.00 dr.,", "$5.00DR,"],
            ["-20", "100", "-30", "-5"],
        ),
        ("", "amount: Debit", ["-20.00,", "100.00 CR,", "30.00 DR,"], ["-20", "100", "-30"]),
        # columns of their own, whatever sign the rest of them has
        ("", "money_out: Debit, money_in: Credit", ["7.00,", "20.00 CR,"], ["-7", "20"]),
        (
            "money_out_sign: negative",
            "money_out: Debit, money_in: Credit",
            ["-7.00,", "20.00 CR,", "20.00 DR,", ",3.00 DR", ",3.00 CR"],
            ["-7", "20", "-20", "-3", "3"],
        ),
        (
            "",
            "money_out: Debit, money_in: Credit",
            ["7.00 DR,", "8.00 DR,", "9.00 DR,", "4.00,"],
            ["-7", "-8", "-9", "-4"],
        ),
        # a word beside it
        (
            "direction: {column: Credit, out: '^d', into: '^c'}",
            "amount: Debit",
            ["20.00 DR,debit", "5.00 CR,credit", "6.00 CR,debit"],
            ["-20", "5", "6"],
        ),
    ],
)
def test_cr_and_dr_in_a_cell_beat_every_rule_of_sign(
    home: Home, more: str, columns: str, cells: list[str], expected: list[str]
) -> None:
    declare(home, more, columns)
    assert amounts(read(home, pairs(*cells))) == expected
    assert doubts(home, pairs(*cells)) == []


@pytest.mark.parametrize(("sign", "expected"), [("positive", "20"), ("negative", "-20")])
def test_a_dialect_says_the_sign_of_a_column(home: Home, sign: str, expected: str) -> None:
    declare(home, f"money_out_sign: {sign}")
    assert amounts(read(home, pairs("-20.00,"))) == [expected]


def test_a_word_for_the_direction_and_a_sign_beside_it(home: Home) -> None:
    """Two purchases, one that was taken back, and a wage."""
    declare(home, "direction: {column: Credit, out: '^d', into: '^c'}", "amount: Debit")
    rows = ["20.00,debit", "5.00,debit", "-5.00,debit", "100.00,credit"]
    assert amounts(read(home, pairs(*rows))) == ["-20", "-5", "5", "100"]
    signed = ["-20.00,debit", "-5.00,debit", "5.00,debit", "100.00,credit"]
    assert amounts(read(home, pairs(*signed))) == ["-20", "-5", "5", "100"]


def test_a_payment_of_a_citi_card_is_negative_whatever_else_is_there(home: Home) -> None:
    head = "Status,Date,Description,Debit,Credit\n"
    rows = "Cleared,02/01/2024,PAY,,-80.00\nCleared,02/02/2024,BACK,,80.00\n"
    assert [Decimal(each) for each in amounts(read(home, head + rows))] == [80, -80]


# --------------------------------------------------------------------------------------- accounts

VENMO = (
    "{title}Account Activity,,,,,,,,,,\n"
    ",ID,Datetime,Type,Status,Note,From,To,Amount (total),Funding Source,Destination\n"
    ",1001,2024-03-02T10:00:00,Payment,Complete,Rent,Bob,Ann,+ $900.00,,Venmo balance\n"
    ",1002,2024-03-05T10:00:00,Standard Transfer,Issued,,,,- $900.00,,Bank *1234\n"
    ",1003,2024-03-06T10:00:00,Payment,Pending,Tea,Ann,Bob,- $3.00,Venmo balance,\n"
    ",1004,2024-03-06T10:00:00,Standard Transfer,Returned,,,,- $5.00,,Bank *1234\n"
)
TITLE = "Account Statement - (@ann-example) ,,,,,,,,,,\n"


def test_what_venmo_issued_has_left_it(home: Home) -> None:
    found = read(home, VENMO.format(title=TITLE))
    told = [(each["amount"], each["pending"]) for each in found["transactions"]]
    assert told == [("900", False), ("-900", False), ("-3", True)]


@pytest.mark.parametrize(
    "name", ["VenmoStatement_March_2024.csv", "venmo_issued.csv", "ann.csv", "taxes/march.csv"]
)
def test_the_account_of_venmo_is_in_the_lines_above_its_table(home: Home, name: str) -> None:
    [account] = read(home, VENMO.format(title=TITLE), name)["accounts"]
    first = read(home, VENMO.format(title=TITLE))["accounts"][0]
    assert account["account"] == first["account"]
    assert (account["name"], account["told_by"]) == ("@ann-example", "the file")


def test_without_that_line_the_name_of_the_file_is_none(home: Home) -> None:
    files = ["VenmoStatement_March_2024.csv", "issued.csv"]
    found = [read(home, VENMO.format(title=""), name)["accounts"][0] for name in files]
    assert found[0]["account"] == found[1]["account"]
    assert found[0]["name"] is None
    assert read(home, VENMO.format(title=""), "ann/a.csv")["accounts"][0]["name"] == "ann"


def test_the_formats_of_which_one_has_one_account() -> None:
    assert {each.name for each in our_dialects() if each.account.one} == {
        *("apple_card", "paypal", "venmo", "wise"),
    }


def test_a_sign_is_not_asked_where_each_amount_says_it(home: Home) -> None:
    """Nor is one asked for by the other amounts of the file, when they are marked in part."""
    head = "Visa card date,Payee,Amount\n"
    path = home.inbox / "visa.csv"
    asked = {}
    for name, cells in {
        "all": ["20.00 DR", "3.00 CR", "4.00 Dr"],
        "part": ["20.00", "3.00 CR", "4.00"],
    }.items():
        rows = "".join(f"2024-01-{n + 13},SHOP,{cell}\n" for n, cell in enumerate(cells))
        path.write_text(head + rows)
        found = explain_csv(DropFile(path, path.name, CAPTURED, home.root))
        assert found is not None
        asked[name] = "sign" in found.questions
    assert asked == {"all": False, "part": True}


def test_an_unclear_sign_of_a_column_is_told_or_asked_with_the_dialect(home: Home) -> None:
    path = home.inbox / "columns.csv"
    head, refund = "Date,Payee,Debit,Credit\n", "2024-01-13,SHOP,-20.00,\n"
    file = DropFile(path, path.name, CAPTURED, home.root)
    path.write_text(f"{head}{refund}2024-01-14,WAGES,,100.00\n")
    found = explain_csv(file)
    assert found is not None
    assert "\nmoney_out_sign: negative\n" in found.dialect
    assert any("minus in Debit" in note for note in found.notes)
    path.write_text(head + refund)
    found = explain_csv(file)
    assert found is not None
    assert list(found.questions) == ["money_out_sign"]
