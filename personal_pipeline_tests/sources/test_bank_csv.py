"""CSV statements: a sample of every dialect, odd files, a bank that is added as data, and one that
nobody knows. A new bank is a YAML file and a sample; nothing here names one."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow, Unreadable, UnreadableFile
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources.bank import BANK, dialect, recognise_statement
from personal_pipeline.sources.bank.dialect import (
    BadDeclaration,
    our_dialects,
    read_dialect,
)
from personal_pipeline.sources.bank.explain import explain_csv
from personal_pipeline.sources.bank.statement_csv import (
    account_of_path,
    read_csv,
    recognise_csv,
    table_of,
)
from personal_pipeline.sources.bank.values import (
    amount_of,
    date_of,
    date_pattern,
    decimal_mark,
    plain_amount,
)

BANK_SAMPLES = Path(__file__).parent / "bank_samples"
CAPTURED = datetime(2024, 3, 1, 9, tzinfo=UTC)
NAMES = [dialect.name for dialect in our_dialects()]


def dropped(home: Home, content: str | bytes, name: str = "statement.csv") -> DropFile:
    path = home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DropFile(path, path.name, CAPTURED, home.root)


def read(file: DropFile) -> tuple[list[DropRow], list[Unreadable]]:
    found = list(read_csv(file))
    rows = [item for item in found if isinstance(item, DropRow)]
    return rows, [item for item in found if isinstance(item, Unreadable)]


def of(stream: str, rows: list[DropRow]) -> list[DropRow]:
    return [row for row in rows if row.stream == stream]


def bookings(rows: list[DropRow]) -> list[list[str]]:
    return [
        [row.record["posted_on"], row.record["amount"], row.record["description"]]
        for row in of("transactions", rows)
    ]


@pytest.mark.parametrize("name", NAMES)
def test_a_dialect_reads_its_sample(home: Home, name: str) -> None:
    sample = BANK_SAMPLES / f"{name}.csv"
    file = dropped(home, sample.read_bytes())
    table = table_of(sample.read_text().splitlines(keepends=True), our_dialects())
    assert table is not None
    assert table.dialect.name == name
    claim = recognise_csv(file)
    assert claim is not None
    assert claim.confidence >= 0.7
    rows, unreadable = read(file)
    assert unreadable == []
    assert bookings(rows) == json.loads(sample.with_suffix(".json").read_text())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("encoding", "end"), [("utf-8-sig", "\r\n"), ("utf-16", "\n"), ("cp1252", "\r")]
)
def test_encodings_and_line_ends_do_not_matter(
    home: Home, name: str, encoding: str, end: str
) -> None:
    text = (BANK_SAMPLES / f"{name}.csv").read_text().replace("🥐", "")
    content = text.replace("\n", end).encode(encoding)
    rows, unreadable = read(dropped(home, content))
    assert unreadable == []
    assert bookings(rows) == json.loads((BANK_SAMPLES / f"{name}.json").read_text())


def test_what_is_pending_is_marked(home: Home) -> None:
    for name in ("citi", "chase_checking"):
        rows, _ = read(dropped(home, (BANK_SAMPLES / f"{name}.csv").read_bytes()))
        assert sum(row.record["pending"] for row in of("transactions", rows)) == 1


def test_the_record_keeps_the_row_as_it_is(home: Home) -> None:
    rows, _ = read(dropped(home, (BANK_SAMPLES / "amex.csv").read_bytes()))
    first = of("transactions", rows)[0].record
    assert first["raw"]["extended details"] == "NT_1\nBOOKSHOP\nsecond line"
    assert first["raw"]["reference"] == "'320240340001'"
    assert first["id"] == "320240340001"


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_balance_of_a_day_is_that_after_its_last_row(home: Home, newest_first: bool) -> None:
    lines = [
        "2/18/2024,DEPOSIT,PAY,$100.00,1,,$100.00",
        "2/19/2024,POS,COFFEE,-$4.00,2,,$96.00",
        "2/19/2024,POS,BREAD,-$6.00,3,,$90.00",
    ]
    header = "DATE,TRANSACTION TYPE,DESCRIPTION,AMOUNT,ID,MEMO,CURRENT BALANCE"
    body = lines[::-1] if newest_first else lines
    rows, _ = read(dropped(home, "\n".join([header, *body])))
    assert [(row.record["day"], row.record["balance"]) for row in of("balances", rows)] == [
        ("2024-02-18", "100"),
        ("2024-02-19", "90"),
    ]


def test_equal_rows_have_keys_of_their_own_and_the_same_in_every_file(home: Home) -> None:
    header = "Date,Description,Amount\n"
    coffee = "02/03/2024,COFFEE,4.50\n"
    one, _ = read(dropped(home, header + coffee))
    two, _ = read(dropped(home, header + coffee + "02/04/2024,TEA,3.00\n" + coffee))
    keys = [row.key for row in of("transactions", two)]
    assert len(set(keys)) == 3
    assert of("transactions", one)[0].key in keys


def test_a_bad_row_costs_itself(home: Home) -> None:
    content = (
        "Date,Description,Amount\n02/03/2024,COFFEE,4.50\n31/31/2024,SECRET,1.00\n"
        "02/04/2024,SECRET,some\n02/05/2024,SECRET,1.00,2.00\n02/06/2024,TEA,3.00\n"
    )
    rows, unreadable = read(dropped(home, content))
    assert [text for _, _, text in bookings(rows)] == ["COFFEE", "TEA"]
    assert sorted(bad.reason.partition(":")[0] for bad in unreadable) == [
        *("line 3", "line 4", "line 5")
    ]
    assert not any("SECRET" in bad.reason for bad in unreadable)


def test_a_file_of_which_no_row_can_be_read_is_refused(home: Home) -> None:
    file = dropped(home, "Date,Description,Amount\nsoon,SECRET,1.00\n")
    assert recognise_csv(file) is None
    with pytest.raises(UnreadableFile, match="no row could be parsed") as refused:
        list(read_csv(file))
    assert "SECRET" not in str(refused.value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("inbox/activity (1).csv", (None, None)),
        ("inbox/amex-2.csv", (None, None)),
        ("inbox/transactions_2024-01-31.csv", (None, None)),
        ("inbox/alice-checking.csv", (None, "alice-checking")),
        ("inbox/gold 1234.csv", ("1234", "gold-1234")),
        ("inbox/joint-1234/activity.csv", ("1234", "joint-1234")),
        ("inbox/2024/joint/activity.csv", (None, "joint")),
        ("inbox/year-2023/activity.csv", (None, "year-2023")),
    ],
)
def test_the_account_of_a_file_that_does_not_tell(
    path: str, expected: tuple[str | None, str | None]
) -> None:
    amex = next(dialect for dialect in our_dialects() if dialect.name == "amex_short")
    number, name, _ = account_of_path(Path("/home/me") / path, amex)
    assert (number, name) == expected


def test_chase_tells_the_account_by_the_name_of_the_file(home: Home) -> None:
    content = (BANK_SAMPLES / "chase_card.csv").read_bytes()
    rows, _ = read(dropped(home, content, "Chase1234_Activity20240101_20240301.CSV"))
    assert of("accounts", rows)[0].record["last4"] == "1234"


def test_no_number_of_an_account_in_a_reference(home: Home) -> None:
    rows, _ = read(dropped(home, (BANK_SAMPLES / "fidelity.csv").read_bytes()))
    assert of("accounts", rows)[0].record["number"] == "Z12345678"
    others = [row for row in rows if row.stream != "accounts"]
    assert "12345678" not in json.dumps([{**row.record, "raw": None} for row in others])


# ------------------------------------------------------------------------- a bank as data

MY_BANK = """
name: my_bank
title: My Bank
institution: my bank
currency: EUR
header: [Buchungstag, Verwendungszweck, Betrag]
date_format: "%d.%m.%Y"
columns: {posted_on: Buchungstag, description: Verwendungszweck, amount: Betrag}
"""

MY_STATEMENT = (
    "Buchungstag;Verwendungszweck;Betrag\n01.02.2024;Bäckerei;-1.234,50\n02.02.2024;Lohn;2.000\n"
)


def test_a_bank_of_the_person_needs_no_python(home: Home) -> None:
    file = dropped(home, MY_STATEMENT.encode("cp1252"))
    assert recognise_statement(file) is None
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "my_bank.yaml").write_text(MY_BANK)
    assert recognise_statement(file) is not None
    rows, unreadable = read(file)
    assert unreadable == []
    assert bookings(rows) == [
        ["2024-02-01", "-1234.5", "Bäckerei"],
        ["2024-02-02", "2000", "Lohn"],
    ]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            ("amount: Betrag", "amount: Summe"),
            "my_bank.yaml, line 1: the file: Summe: expected in",
        ),
        (('"%d.%m.%Y"', '"%d.%q"'), r"date_format.0: %q is not one of"),
        (('"%d.%m.%Y"', '"%d.%m"'), "date_format.0: expected a year, a month and a day"),
        (("currency: EUR", "currency: Euro"), "currency: string should match"),
        (("title: My Bank", ""), "title: field required"),
        (("title: My Bank", "titel: My Bank"), "titel: extra inputs are not permitted"),
        (("title: My Bank", "title: [My: Bank"), "my_bank.yaml, line"),
        (("title: My Bank", "title: &x My\nkind: *x"), "not YAML"),
        (('"%d.%m.%Y"', '"%d.%m.%Y"\nends_at: ["("]'), "ends_at.0: expected a regular expression"),
        (('"%d.%m.%Y"', '"%d.%d.%Y"'), "line 7: date_format.0: expected each of"),
        (('"%d.%m.%Y"', "[]"), "line 7: date_format: "),
        (
            ('"%d.%m.%Y"', '"%d.%m.%Y"\nends_at: ["a{99999999999}"]'),
            "line 8: ends_at.0: expected a regular expression",
        ),
        (("title: My Bank", "title: My Bank\nencoding: hex"), "line 4: encoding: expected the"),
        (("title: My Bank", "title: My Bank\nencoding: undefined"), "encoding: expected the name"),
        (("title: My Bank", "title: My Bank\nencoding: idna"), "encoding: expected the name"),
        (
            ("title: My Bank", "title: My Bank\naccount: {above: 'Konto .*'}"),
            "line 4: account.above: expected a pattern with one group",
        ),
        (
            ("title: My Bank", "title: My Bank\naccount: {file_name: '[0-9]+'}"),
            "line 4: account.file_name: expected a pattern with one group",
        ),
        ((", amount: Betrag", ""), "columns: expected `amount`, or `money_out` and `money_in`"),
    ],
)
def test_a_wrong_dialect_is_told_in_a_sentence(
    tmp_path: Path, change: tuple[str, str], sentence: str
) -> None:
    path = tmp_path / "my_bank.yaml"
    path.write_text(MY_BANK.replace(*change))
    with pytest.raises(BadDeclaration) as wrong:
        read_dialect(path)
    assert sentence in str(wrong.value)


@pytest.mark.parametrize(
    "slip", ['date_format: "%d/%d/%Y"', "encoding: hex", "ends_at: ['a{99999999999}']"]
)
def test_a_slip_in_one_dialect_costs_that_one_only(home: Home, slip: str) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    dates = "" if slip.startswith("date_format") else 'date_format: "%Y-%m-%d"\n'
    (home.root / "dialects" / "broken.yaml").write_text(
        f"name: broken\ntitle: B\nheader: [A]\ncolumns: {{posted_on: A, amount: A}}\n{dates}{slip}"
    )
    file = dropped(home, (BANK_SAMPLES / "dcu.csv").read_bytes())
    receipt = ingest_file(home, [BANK], file.path, CAPTURED).receipt
    assert receipt.problem is None
    assert receipt.unreadable == 1


@pytest.mark.parametrize(
    ("end", "read_", "broken"),
    [
        ("2024-02-02,LAPTOP,12", ["-1"], ["line 3: the file is truncated in it"]),
        ("2024-02-02,LAPTOP,12\n", ["-1", "12"], []),
        ("2024-02-02,LAPTOP,12,X", ["-1", "12"], []),
    ],
)
def test_a_last_line_that_is_cut_is_not_booked(
    home: Home, end: str, read_: list[str], broken: list[str]
) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "mine.yaml").write_text(
        "name: mine\ntitle: Mine\nheader: [SDate, SText, SMoney, SKind]\n"
        'date_format: "%Y-%m-%d"\ncolumns: {posted_on: SDate, amount: SMoney}\n'
    )
    head = "SDate,SText,SMoney,SKind\n"
    rows, bad = read(dropped(home, f"{head}2024-02-01,TEA,-1.00,X\n{end}"))
    assert [each[1] for each in bookings(rows)] == read_
    assert [each.reason for each in bad] == broken


@pytest.mark.parametrize("sign", ["\u2028", "\u0085", "\x0b", "\x0c", "\x1e"])
def test_a_sign_in_a_cell_ends_no_line(home: Home, sign: str) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "my_bank.yaml").write_text(MY_BANK)
    content = f"Buchungstag;Verwendungszweck;Betrag\r\n01.02.2024;Bäckerei{sign}Süß;-1234,50\r\n"
    rows, bad = read(dropped(home, content))
    assert bad == []
    assert bookings(rows) == [["2024-02-01", "-1234.5", f"Bäckerei{sign}Süß"]]


def test_a_line_that_is_no_csv_is_of_no_bank(home: Home) -> None:
    content = '[{"data":{"points":[{"timestamp":1761955200000,"stats":{"viewers":53}}]}}]'
    assert recognise_statement(dropped(home, content, "answer.json")) is None


def test_a_wrong_dialect_does_not_stop_the_others_and_is_counted(home: Home) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "broken.yaml").write_text("name: [")
    file = dropped(home, (BANK_SAMPLES / "dcu.csv").read_bytes())
    receipt = ingest_file(home, [BANK], file.path, CAPTURED).receipt
    assert receipt.problem is None
    assert receipt.unreadable == 1
    [kept] = (home.quarantine / "bank" / "statement").iterdir()
    assert "dialects/broken.yaml" in kept.read_text()


def test_no_two_dialects_share_a_name() -> None:
    assert len(NAMES) == len(set(NAMES)) >= 28


def test_the_packaged_dialects_each_have_a_sample() -> None:
    assert {path.stem for path in BANK_SAMPLES.glob("*.csv")} == set(NAMES)


# --------------------------------------------------------------------- a bank that nobody knows


def test_an_unknown_bank_gets_a_dialect_that_reads_it(home: Home) -> None:
    content = (
        "Kontoauszug;;;;;\n\nBuchungstag;Valutadatum;Verwendungszweck;Betrag;Währung;Saldo\n"
        "01.02.2024;01.02.2024;Bäckerei;-4,50;EUR;95,50\n"
        "02.02.2024;02.02.2024;Lohn;1.000,00;EUR;1.095,50\n"
    )
    file = dropped(home, content.encode("cp1252"))
    assert recognise_statement(file) is None
    explained = explain_csv(file)
    assert explained is not None
    assert explained.columns["amount"] == "Betrag"
    assert explained.columns["balance"] == "Saldo"
    assert "Bäckerei" not in str(explained)
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "my_bank.yaml").write_text(explained.dialect)
    read_dialect(home.root / "dialects" / "my_bank.yaml")
    rows, unreadable = read(file)
    assert unreadable == []
    assert [row[:2] for row in bookings(rows)] == [["2024-02-01", "-4.5"], ["2024-02-02", "1000"]]
    assert of("balances", rows)[-1].record["balance"] == "1095.5"


@pytest.mark.parametrize("name", NAMES)
def test_every_sample_is_explained_right_or_not_at_all(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As if none of our dialects were there."""
    monkeypatch.setattr(dialect, "our_dialects", lambda: ())
    file = dropped(home, (BANK_SAMPLES / f"{name}.csv").read_bytes())
    explained = explain_csv(file)
    if name == "wells_fargo":  # without a header there is nothing to go by
        assert explained is None or not explained.dialect
        return
    assert explained is not None
    if explained.questions:
        return
    home.dialects.mkdir(exist_ok=True)
    (home.dialects / "my_bank.yaml").write_text(explained.dialect)
    found = bookings(read(file)[0])
    expected = json.loads((BANK_SAMPLES / f"{name}.json").read_text())
    assert sorted(row[:2] for row in found) == sorted(row[:2] for row in expected)


@pytest.mark.parametrize(
    "content", ["a,b,c\n1,2,3\n", "name,email,city\nA,b@example.com,C\n", "", "{}", "\0\0\0"]
)
def test_what_is_no_statement_is_not_explained(home: Home, content: str) -> None:
    assert explain_csv(dropped(home, content)) is None


# ------------------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("text", "mark", "number"),
    [
        ("-$1,234.50", ".", "-1234.5"),
        ("(12.34)", ".", "-12.34"),
        ("$(12.34)", ".", "-12.34"),
        ("12.34-", ".", "-12.34"),
        ("- £35.02", ".", "-35.02"),
        ("\u221235,02 €", ",", "-35.02"),
        ("1.234,50", ",", "1234.5"),
        ("1’234.50", ".", "1234.5"),
        ("1\u202f234,50", ",", "1234.5"),
        ("7.10 CR", ".", "7.1"),
        ("7.10DR", ".", "-7.1"),
        ("+3", ".", "3"),
        ("-0.00", ".", "0"),
        (".5", ".", "0.5"),
    ],
)
def test_amounts(text: str, mark: str, number: str) -> None:
    assert plain_amount(amount_of(text, mark)) == number


@pytest.mark.parametrize("text", ["", "-", "one", "1.2.3", "1-2", "9" * 16, "$", "()"])
def test_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an amount$"):
        amount_of(text)


@pytest.mark.parametrize(
    ("amounts", "mark"),
    [
        (["1,234", "5.50"], "."),
        (["1.234", "5,50"], ","),
        (["1.234,50"], ","),
        (["1,234,567"], "."),
        (["1,234"], None),
        ([], "."),
    ],
)
def test_the_decimal_mark_is_decided_by_the_file(amounts: list[str], mark: str | None) -> None:
    assert decimal_mark(amounts).mark == mark


def test_a_date_is_not_shifted_and_what_follows_does_not_matter() -> None:
    pattern = date_pattern("%m/%d/%Y")
    assert str(date_of("2/5/2024 as of 02/03/2024", pattern)) == "2024-02-05"
    with pytest.raises(ValueError, match="expected a date"):
        date_of("02/05/20245", pattern)


# ------------------------------------------------------------------------------ arbitrary input


@given(
    st.one_of(
        st.binary(max_size=2_000),
        st.lists(
            st.sampled_from([*(BANK_SAMPLES / f"{name}.csv" for name in NAMES)]).map(
                lambda path: path.read_bytes()
            ),
            max_size=3,
        ).map(b"".join),
        st.builds(
            lambda path, place, noise: (
                path.read_bytes()[:place] + noise + path.read_bytes()[place + len(noise) :]
            ),
            st.sampled_from([BANK_SAMPLES / f"{name}.csv" for name in NAMES]),
            st.integers(0, 600),
            st.binary(max_size=20),
        ),
    )
)
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_read_refused_or_counted(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "arbitrary.csv"
    path.write_bytes(content)
    file = DropFile(path, path.name, CAPTURED)
    recognise_statement(file)
    explain_csv(file)
    try:
        rows = [item for item in read_csv(file) if isinstance(item, DropRow)]
    except UnreadableFile:
        return
    keys = [(row.stream, row.month, row.key) for row in of("transactions", rows)]
    assert len(keys) == len(set(keys))
    json.dumps([row.record for row in rows], allow_nan=False)


@pytest.mark.parametrize(
    "content",
    [b"," * 65_536, b'"' * 65_536, b"a,b\n" * 20_000, b"<" * 65_536, b"1,2,*,3,4\n" * 9_000],
)
def test_recognising_is_quick_whatever_comes(home: Home, content: bytes) -> None:
    file = dropped(home, content)
    started = time.process_time()
    recognise_statement(file)
    explain_csv(file)
    assert time.process_time() - started < 2


def test_the_same_file_again_changes_nothing(home: Home, tmp_path: Path) -> None:
    for again in (False, True):
        path = home.inbox / "discover.csv"
        shutil.copy(BANK_SAMPLES / "discover.csv", path)
        receipt = ingest_file(home, [BANK], path, CAPTURED).receipt
        counts = [(s.new, s.altered, s.vanished) for s in receipt.streams if s.unchanged or s.new]
        assert counts == [((0, 0, 0) if again else (n, 0, 0)) for n, _, _ in counts]
        assert len(counts) == 3
    stream = next(each for each in BANK.drop_streams if each.name == "transactions")
    assert len(lake_of(home, "bank", stream).partitions()) == 1
