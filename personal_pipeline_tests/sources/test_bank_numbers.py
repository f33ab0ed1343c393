"""Amounts, dates and letters as banks write them in any country: read right, or said to be
undecided. What went wrong once is here with its right value."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.again import read_outdated_again
from personal_pipeline.ingest.contract import (
    Doubt,
    DropFile,
    DropRow,
    Item,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.inbox import Receipt, ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources.bank import BANK, read_statement, recognise_statement
from personal_pipeline.sources.bank.values import (
    DateHints,
    amount_of,
    date_format,
    date_of,
    date_pattern,
    decimal_mark,
    decoded,
    encoding_of,
    hints_of_name,
    plain_amount,
)

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)


def declare(home: Home, text: str, name: str = "bank") -> None:
    home.dialects.mkdir(exist_ok=True)
    (home.dialects / f"{name}.yaml").write_text(text, encoding="utf-8")


def dropped(home: Home, content: str | bytes, name: str = "statement.csv") -> DropFile:
    path = home.inbox / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DropFile(path, path.name, NOW, home.root)


def records(items: Iterable[Item], stream: str = "transactions") -> list[Record]:
    rows = [item for item in items if isinstance(item, DropRow)]
    return [row.record for row in rows if row.stream == stream]


def amounts(items: Iterable[Item]) -> list[str]:
    return [record["amount"] for record in records(items)]


def doubts(items: Iterable[Item]) -> list[str]:
    return [item.reason for item in items if isinstance(item, Doubt)]


def read_fault(home: Home, folder: Path, *names: str) -> list[Item]:
    """The files of a folder, read with the dialects in it."""
    home.dialects.mkdir(exist_ok=True)
    for path in folder.glob("*.yaml"):
        shutil.copyfile(path, home.dialects / path.name)
    found: list[Item] = []
    for name in names:
        file = dropped(home, (folder / name).read_bytes(), name)
        assert recognise_statement(file) is not None
        found += read_statement(file)
    return found


# ------------------------------------------------------------------------------------ amounts

LOCALES = {
    "en_US": ("", "$", ",", ".", "-{sign}{number}"),
    "en_IN": ("lakh", "Rs. ", ",", ".", "-{sign}{number}"),
    "de_DE": ("", " €", ".", ",", "-{number}{sign}"),
    "de_CH": ("", "Fr. ", "’", ".", "{sign}-{number}"),
    "fr_FR": ("", " €", "\u202f", ",", "-{number}{sign}"),
    "sv_SE": ("", " kr", "\u00a0", ",", "\u2212{number}{sign}"),
    "nl_NL": ("", "€ ", ".", ",", "{sign}{number}-"),
    "pt_BR": ("", "R$ ", ".", ",", "-{sign}{number}"),
    "pl_PL": ("", " zł", " ", ",", "-{number}{sign}"),
    "da_DK": ("", "kr. ", ".", ",", "{sign}-{number}"),
    "ar_KW": ("arabic", " د.ك", "\u066c", "\u066b", "-{number}{sign}"),
    "en_US accounting": ("", "$", ",", ".", "({sign}{number})"),
}


def rendered(number: Decimal, places: int, locale: str, *, grouped: bool, sign: bool) -> str:
    """A number as people of a place write it, by hand: independent of what reads it."""
    how, currency, between, mark, negative = LOCALES[locale]
    whole, _, part = f"{abs(number):.{places}f}".partition(".")
    if grouped:
        head, groups = whole, []
        if len(whole) > 3:
            head, groups = whole[:-3], [whole[-3:]]
            size = 2 if how == "lakh" else 3
            while len(head) > size:
                head, groups = head[:-size], [head[-size:], *groups]
        whole = between.join([head, *groups])
    text = f"{whole}{mark}{part}" if part else whole
    if how == "arabic":
        text = text.translate({ord("0") + digit: 0x660 + digit for digit in range(10)})
    shown = currency if sign else ""
    if number < 0:
        return negative.format(number=text, sign=shown)
    order = "{number}{sign}" if currency.startswith(" ") else "{sign}{number}"
    return order.format(number=text, sign=shown)


@given(
    st.lists(
        st.decimals(min_value=-(10**9), max_value=10**9, allow_nan=False, places=8),
        min_size=1,
        max_size=12,
    ),
    st.sampled_from([0, 2, 2, 2, 3, 8]),
    st.sampled_from(sorted(LOCALES)),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "EUR", "KWD", "JPY", "BTC"]),
)
@example([Decimal(-3000), Decimal(-1250)], 0, "de_DE", True, True, None)
@example([Decimal("0.250"), Decimal("12.5")], 3, "nl_NL", False, False, "KWD")
@settings(max_examples=400, deadline=None)
def test_any_amount_in_any_locale_is_read_back_or_undecided(
    numbers: list[Decimal],
    places: int,
    locale: str,
    grouped: bool,
    sign: bool,
    currency: str | None,
) -> None:
    # what nobody writes: three decimals of a currency that has two, or none of one that has three
    usual = {"EUR": (0, 2), "KWD": (3,), "JPY": (0,), None: (0, 2, 3, 8), "BTC": (0, 2, 3, 8)}
    if places not in usual[currency]:
        places = usual[currency][0]
    numbers = [round(number, places) for number in numbers]
    texts = [rendered(each, places, locale, grouped=grouped, sign=sign) for each in numbers]
    said = decimal_mark(texts, [currency] if currency else [])
    for number, text in zip(numbers, texts, strict=True):
        try:
            found = amount_of(text, said.mark)
        except ValueError:
            assert said.mark is None
            assert said.doubt
            continue
        assert found == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("Rs.500", "500"),
        ("Rs. 45.50", "45.5"),
        ("Fr. -12.50", "-12.5"),
        ("SFr. 1'234.50", "1234.5"),
        ("-Rs.1,25,000.00", "-125000"),
        ("kr. 5,50", "5.5"),
        ("500.-", "500"),
        ("1.000,--", "1000"),
        ("Rs. 500/-", "500"),
        ("0.00012345", "0.00012345"),
        ("-536.53479227500345", "-536.53479227500345"),
        ("-0.123456789012345678901234567890", "-0.12345678901234567890123456789"),
        ("1e-05", "0.00001"),
        ('="1234.5"', "1234.5"),
        ("'12.50", "12.5"),
        ("-5.00 DR", "-5"),
        ("US$ 10.00", "10"),
        ("NT$10", "10"),
        ("CHF 10.05", "10.05"),
        ("10.05 CHF", "10.05"),
        ("\u0663\u066b\u0665\u0660", "3.5"),
        ("\uff11\uff12.\uff15\uff10", "12.5"),
        ("\u200e-12.50", "-12.5"),
    ],
)
def test_an_amount_that_needs_no_other(text: str, number: str) -> None:
    assert plain_amount(amount_of(text)) == number


@pytest.mark.parametrize(
    "text",
    [
        *("card 1234 12.50", "12.50 card", "fee 12.50", "room 12", "12 34", "1234 12.50", "12.5%"),
        *("1.5k", "2m", "12²", "½", "2024-03-01", "12:30", "--5", "-5.00 CR", "+5.00 DR", "(+5)"),
        *("1,23,4.5", "1.234.56", "0,123,456", "1.2E+5", "1 2", "Rs. EUR 5", "'30-00-00", "5p"),
    ],
)
def test_text_with_digits_in_it_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match=r"^expected an amount"):
        amount_of(text)
    with pytest.raises(ValueError, match=r"^expected an amount"):
        amount_of(text, ".")


@pytest.mark.parametrize(
    ("texts", "currency", "mark", "doubtful"),
    [
        (["Rs.500", "Rs. 45"], "INR", ".", False),
        (["-3.000", "-1.250"], "EUR", ",", True),
        (["-3.000", "-1.250"], None, None, True),
        (["-3.000", "-1.250"], "XBT", None, True),
        (["-80,000", "250,000"], "JPY", ".", True),
        (["-12,500"], "KWD", ",", True),
        (["-12,500", "-0,250"], "KWD", ",", False),
        (["-12,500", "3"], "KWD", None, True),
        (["1.250", "3.990", "12.100", "4.500", "7.300"], "EUR", None, True),
        (["1.250", "3.990", "12.100", "4.500", "700"], "EUR", ",", True),
        (["1.234", "12,50", "3.45", "7,1", "2.2"], "EUR", None, True),
        (["1.234", *(["12,50"] * 9), "3.45"], "EUR", ",", False),
        (["1'234", "12"], "CHF", ".", False),
    ],
)
def test_who_decides_the_decimal_mark(
    texts: list[str], currency: str | None, mark: str | None, doubtful: bool
) -> None:
    said = decimal_mark(texts, [currency] if currency else [])
    assert (said.mark, said.doubt is not None) == (mark, doubtful)


def test_a_file_that_does_not_decide_is_told_and_can_be_answered(home: Home) -> None:
    dialect = (
        "name: bank\ntitle: Bank\nheader: [Tag, Text, Betrag]\ndate_format: '%d.%m.%Y'\n"
        "columns: {posted_on: Tag, description: Text, amount: Betrag}\n"
    )
    declare(home, dialect)
    file = dropped(home, "Tag;Text;Betrag\n02.03.2026;Miete;-3.000\n03.03.2026;Tee;-4\n")
    receipt = ingest_file(home, [BANK], file.path, NOW).receipt
    assert receipt.unreadable == 1
    assert receipt.warning is not None
    assert "The file does not show" in receipt.warning
    declare(home, dialect + "decimal: ','\n")
    read_outdated_again(home, [BANK], now=NOW)
    assert sorted(amounts_in_lake(home)) == ["-3000", "-4"]


def lake(home: Home, stream: str = "transactions") -> list[Record]:
    declared = next(each for each in BANK.drop_streams if each.name == stream)
    kept = lake_of(home, "bank", declared)
    return [each.record for month in kept.partitions() for each in kept.rows(month)]


def amounts_in_lake(home: Home) -> list[str]:
    return [record["amount"] for record in lake(home)]


def test_currencies_with_a_dot(home: Home, faults: Path) -> None:
    assert amounts(read_fault(home, faults / "rupees", "M2.csv")) == [
        *("500", "-12500", "-45", "-45.5", "125000")
    ]
    file = dropped(home, (faults / "ynab4_currency_with_dot.csv").read_bytes())
    found = list(read_statement(file))
    assert amounts(found) == ["-500", "-20.5"]
    assert doubts(found) == []


def test_whole_thousands_only(home: Home, faults: Path) -> None:
    found = read_fault(home, faults / "thousands", "J.csv", "thou.ofx", "kwd.ofx")
    assert amounts(found) == ["-3000", "-1250", "-1000", "-2500", "-12.5", "-0.25"]
    assert [each["balance"] for each in records(found, "balances")] == ["10000", "100.75"]
    assert len(doubts(found)) == 2
    assert all("as is usual for EUR" in doubt for doubt in doubts(found))


def test_all_the_digits_of_an_amount(home: Home, faults: Path) -> None:
    file = dropped(home, (faults / "ofx_many_decimals.ofx").read_bytes(), "a.ofx")
    assert amounts(read_statement(file)) == ["-536.53479227500345", "-1"]


# -------------------------------------------------------------------------------------- dates

TWO_WAYS = ("%d/%m/%Y", "%m/%d/%Y")


@given(
    st.lists(st.dates(date(2019, 1, 1), date(2026, 11, 20)), min_size=1, max_size=12),
    st.sampled_from(
        [
            *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y%m%d", "%d-%b-%Y", "%d/%m/%y"),
            *("%Y/%m/%d", "%Y.%m.%d", "%b %d, %Y", "%m-%d-%Y"),
        ]
    ),
    st.sampled_from(["as it comes", "up", "down"]),
    st.sampled_from([None, True, False]),
)
@settings(max_examples=300, deadline=None)
def test_any_dates_in_any_format_are_read_back_or_undecided(
    days: list[date], format_: str, order: str, usual: bool | None
) -> None:
    if order != "as it comes":
        days = sorted(days, reverse=order == "down")
    formats = [
        *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y%m%d", "%d-%b-%Y", "%d/%m/%y"),
        *("%Y/%m/%d", "%Y.%m.%d", "%b %d, %Y", "%m-%d-%Y", "%d-%m-%Y", "%m/%d/%y"),
    ]
    texts = [[each.strftime(format_)] for each in days]
    said = date_format(texts, formats, DateHints(latest=date(2026, 11, 26), day_first=usual))
    if said.pattern is None:
        assert len(said.rivals) > 1
        return
    read = [date_of(text, said.pattern) for [text] in texts]
    # what is usual in the country may not be so in this file, and then it is said; and days without
    # any order may stand in order when they are misread
    shuffled = order == "as it comes" and len(set(days)) >= 4
    assert read == days or said.doubt or shuffled


@pytest.mark.parametrize(
    ("texts", "hints", "format_", "doubtful"),
    [
        # a day that is no month
        (["03/04/2026", "25/04/2026"], DateHints(), "%d/%m/%Y", False),
        (["03/04/2026", "04/25/2026"], DateHints(), "%m/%d/%Y", False),
        # equal either way
        (["03/03/2026"], DateHints(), "%d/%m/%Y", False),
        # nothing lies in the future
        (["03/04/2026", "05/11/2026"], DateHints(date(2026, 6, 1)), "%m/%d/%Y", False),
        (
            ["03/04/2026", "11/04/2026"],
            DateHints(date(2026, 6, 1)),
            "%d/%m/%Y",
            False,
        ),
        # the span in the name
        (
            ["03/04/2026"],
            DateHints(date(2026, 11, 1), date(2026, 4, 1), date(2026, 4, 30)),
            "%d/%m/%Y",
            False,
        ),
        # the order of the rows
        (
            ["01/04/2026", "05/04/2026", "02/05/2026", "03/06/2026"],
            DateHints(),
            "%d/%m/%Y",
            False,
        ),
        # what is usual, and that it was no more than that
        (["03/04/2026", "05/04/2026"], DateHints(day_first=True), "%d/%m/%Y", True),
        (["03/04/2026", "05/04/2026"], DateHints(day_first=False), "%m/%d/%Y", True),
        (["03/04/2026", "05/04/2026"], DateHints(), None, False),
        # both at once
        (["25/04/2026", "04/25/2026"], DateHints(day_first=True), None, False),
    ],
)
def test_who_decides_between_day_and_month(
    texts: list[str], hints: DateHints, format_: str | None, doubtful: bool
) -> None:
    said = date_format([[text] for text in texts], TWO_WAYS, hints)
    assert (said.format, said.doubt is not None) == (format_, doubtful)
    assert (said.pattern is None) == bool(said.rivals)


def test_the_second_date_of_a_row_decides_too() -> None:
    rows = [["03/04/2026", "01/04/2026"], ["05/04/2026", "04/04/2026"]]
    assert date_format(rows, TWO_WAYS).format == "%d/%m/%Y"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Chase1234_Activity20260401_20260430.CSV", (date(2026, 4, 1), date(2026, 4, 30))),
        ("statement-2026-04.csv", (date(2026, 4, 1), date(2026, 4, 30))),
        ("activity.csv", (None, None)),
        ("export-2026-04-17.csv", (None, None)),
    ],
)
def test_the_span_in_the_name_of_a_file(
    name: str, expected: tuple[date | None, date | None]
) -> None:
    hints = hints_of_name(name, date(2026, 5, 2), date(2026, 5, 2))
    assert (hints.first, hints.last) == expected


def test_one_day_in_a_name_may_be_where_a_span_begins() -> None:
    written = date(2026, 12, 31)
    assert hints_of_name("year-2026-01-01.csv", date(2026, 1, 1), written).latest == written
    asked = date(2026, 4, 17)
    assert hints_of_name("export-2026-04-17.csv", asked, written).latest == asked


@pytest.mark.parametrize(
    ("text", "format_", "expected"),
    [
        ("20260901", "%Y%m%d", "2026-09-01"),
        ("15 Jan 2026", "%d %b %Y", "2026-01-15"),
        ("15-Mär-2026", "%d-%b-%Y", "2026-03-15"),
        ("3 août 2026", "%d %b %Y", "2026-08-03"),
        ("3 juil. 2026", "%d %b %Y", "2026-07-03"),
        ("01/02/26", "%d/%m/%y", "2026-02-01"),
        ("2026/2/1", "%Y/%m/%d", "2026-02-01"),
    ],
)
def test_dates(text: str, format_: str, expected: str) -> None:
    assert str(date_of(text, date_pattern(format_))) == expected


@pytest.mark.parametrize("text", ["15 SECRET 2026", "", "31 Feb 2026"])
def test_what_is_no_date_is_not_said(text: str) -> None:
    with pytest.raises(ValueError) as bad:  # noqa: PT011 (any sentence, but for the text)
        date_of(text, date_pattern("%d %b %Y"))
    assert "SECRET" not in str(bad.value)


def took(home: Home, name: str, content: bytes, written: datetime = NOW) -> Receipt:
    import os

    file = dropped(home, content, name)
    os.utime(file.path, (written.timestamp(), written.timestamp()))
    return ingest_file(home, [BANK], file.path, NOW).receipt


def test_a_paypal_account_with_days_first(home: Home, faults: Path) -> None:
    receipt = took(home, "first.csv", (faults / "paypal_dates" / "first.csv").read_bytes())
    assert receipt.warning is not None
    assert "they were read as %d/%m/%Y" in receipt.warning
    took(home, "full.csv", (faults / "paypal_dates" / "full.csv").read_bytes())
    assert sorted((each["posted_on"], each["id"]) for each in lake(home)) == [
        ("2026-04-03", "TXA1"),
        ("2026-04-05", "TXB2"),
        ("2026-04-11", "TXC3"),
        ("2026-04-25", "TXD4"),
    ]


PAYPAL = (
    "Date,Time,Name,Type,Status,Currency,Gross,Fee,Net,Transaction ID\n"
    "03/04/2026,10:00:00,Shop A,Payment,Completed,USD,-10.00,0.00,-10.00,A1\n"
    "05/04/2026,10:00:00,Shop B,Payment,Completed,USD,-20.00,0.00,-20.00,B2\n"
)


def test_an_undecided_file_is_held_back_until_it_is_answered(home: Home) -> None:
    receipt = took(home, "activity.csv", PAYPAL.encode())
    assert receipt.problem is not None
    assert "%m/%d/%Y and %d/%m/%Y, and nothing tells which is right. None" in receipt.problem
    assert lake(home) == []
    # the answer is one of the lines in the sentence
    start = receipt.problem.index("{name: paypal")
    answers = receipt.problem[start : receipt.problem.index(" and run")].split(" or ")
    declare(home, next(each for each in answers if '"%d/%m/%Y"' in each), "paypal")
    read_outdated_again(home, [BANK], now=NOW)
    assert sorted(each["posted_on"] for each in lake(home)) == ["2026-04-03", "2026-04-05"]


def test_dates_of_the_other_form_are_not_read_by_halves(home: Home) -> None:
    """Of a dialect with months first: half of the rows would be read, with another date."""
    content = (
        "Trans. Date,Post Date,Description,Amount,Category\n"
        "03/04/2026,03/04/2026,SHOP,1.00,Food\n25/04/2026,25/04/2026,SHOP,2.00,Food\n"
    )
    with pytest.raises(UnreadableFile, match="dates match %d/%m/%Y, not %m/%d/%Y"):
        list(read_statement(dropped(home, content)))


def test_a_file_that_must_be_asked_about_is_not_unknown(home: Home) -> None:
    """Of one nothing tells the decimal mark; the dates of another fit only the other order."""
    declare(
        home,
        "name: mine\ntitle: Mine\nheader: [SDate, SText, SMoney]\n"
        'date_format: "%m/%d/%Y"\ncolumns: {posted_on: SDate, amount: SMoney}\n',
        "mine",
    )
    head = "SDate,SText,SMoney\n"
    receipt = took(home, "mark.csv", f'{head}01/02/2026,A,"1,234"\n01/03/2026,B,"5,678"\n'.encode())
    assert receipt.source == "bank"
    assert receipt.problem is not None
    assert 'say `decimal: "."` or' in receipt.problem
    receipt = took(home, "dates.csv", f"{head}25/02/2026,A,1.00\n26/03/2026,B,2.00\n".encode())
    assert receipt.source == "bank"
    assert receipt.problem is not None
    assert "dates match %d/%m/%Y, not %m/%d/%Y" in receipt.problem


def test_a_file_made_before_its_dates_would_be(home: Home) -> None:
    """The time of the file decides: in June there is no November."""
    written = datetime(2026, 6, 1, tzinfo=UTC)
    assert took(home, "activity.csv", PAYPAL.replace("05/04", "11/04").encode(), written).ingested
    assert sorted(each["posted_on"] for each in lake(home)) == ["2026-04-03", "2026-04-11"]


# --------------------------------------------------------------------------------- encodings

LETTERS = {
    "cp1252": "Bäckerei Süß; Café; Hôtel à Nîmes; ÅHLÉNS; €",
    "cp1250": "Żółw w Łodzi",
    "cp1251": "Магазин Пятёрочка",
    "cp1253": "Ημερομηνία Αγορά",
    "cp932": "家賃 給与 スーパー",
    "cp949": "편의점 거래일",
    "gb18030": "超市购物 交易时间",
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", *LETTERS])
def test_letters_are_read_without_being_told_how(encoding: str) -> None:
    for text in LETTERS.values() if encoding.startswith("utf") else [LETTERS[encoding]]:
        content = f"Date;Text\n2026-03-01;{text}\n".encode(encoding)
        assert decoded(content).endswith(f"{text}\n")


@given(st.text(min_size=3, max_size=60), st.integers(0, 200), st.binary(min_size=1, max_size=1))
@settings(max_examples=200, deadline=None)
def test_one_broken_letter_costs_itself(text: str, place: int, noise: bytes) -> None:
    """A whole file of good letters stays UTF-8, whatever one byte of it becomes."""
    good = ("Überweisung für Käse, Brød, 家賃\n" * 3 + text).encode("utf-8", "surrogatepass")
    place %= len(good)
    content = good[:place] + noise + good[place + 1 :]
    if not content.isascii() and not content.startswith((b"\xff\xfe", b"\xfe\xff", b"\xef\xbb")):
        assert encoding_of(content) == "utf-8"


def test_a_letter_that_is_cut_in_a_file(home: Home, faults: Path) -> None:
    folder = faults / "cut_utf8"
    found = read_fault(home, folder, "spar-2222/jan.csv", "spar-2222/feb.csv")
    texts = [each["description"] for each in records(found)]
    assert texts == [
        *("Bäckerei Süß", "Zahnärztin Jörg"),
        *("Bäckerei Süß", "Zahnärztin Jörg", "Überweisung an Sch\ufffd"),
    ]
    # so that the same line of two files is one
    keys = [item.key for item in found if isinstance(item, DropRow)]
    assert len({*keys}) < len(keys)


def test_a_header_in_another_alphabet(home: Home, faults: Path) -> None:
    found = read_fault(home, faults / "cp1250_header", "L.csv", "L2.csv")
    assert [(each["description"], each["amount"]) for each in records(found)] == [
        ("Żółw w Łodzi", "-12.5"),
        ("Czynsz", "-1234"),
        ("家賃", "-80000"),
        ("給料", "250000"),
    ]


@pytest.mark.parametrize(
    ("encoding", "header"),
    [
        ("cp1250", "Datum;Částka;Příjemce"),
        ("cp1254", "Tarih;Tutar;Aç\u0131klama"),
        ("cp1251", "Дата;Сумма;Описание"),
        ("cp932", "日付;金額;摘要"),
    ],
)
@pytest.mark.parametrize("is_told", [True, False])
def test_the_header_of_a_dialect_tells_the_encoding(
    home: Home, encoding: str, header: str, is_told: bool
) -> None:
    day, amount, text = header.split(";")
    told = f"encoding: {encoding}\n" if is_told else ""
    declare(
        home,
        f"name: bank\ntitle: Bank\ncurrency: EUR\nheader: [{day}, {amount}, {text}]\n{told}"
        f"date_format: '%d.%m.%Y'\n"
        f"columns: {{posted_on: {day}, amount: {amount}, description: {text}}}\n",
    )
    content = f"{header}\n01.03.2026;-2,50;{text}\n".encode(encoding)
    assert recognise_statement(dropped(home, content)) is not None
    [found] = records(read_statement(dropped(home, content)))
    assert (found["description"], found["amount"]) == (text, "-2.5")


def test_a_bank_that_went_over_to_utf_8(home: Home) -> None:
    """What a dialect says of the encoding does not hold where the file is UTF-8."""
    declare(
        home,
        "name: bank\ntitle: Bank\ncurrency: EUR\nheader: [Tag, Wer, Betrag]\nencoding: cp1252\n"
        "date_format: '%d.%m.%Y'\ncolumns: {posted_on: Tag, amount: Betrag, description: Wer}\n",
    )
    content = "Tag;Wer;Betrag\n01.03.2026;Bäckerei;-2,50\n"
    for encoding in ("utf-8", "cp1252"):
        [found] = records(read_statement(dropped(home, content.encode(encoding))))
        assert found["description"] == "Bäckerei"


def test_what_cannot_be_read_says_why_and_no_value(home: Home) -> None:
    content = "Date,Description,Amount\n02/13/2024,TEA,card 1234 12.50\n02/14/2024,TEA,3.00\n"
    bad = [item for item in read_statement(dropped(home, content)) if isinstance(item, Unreadable)]
    assert [each.reason for each in bad] == ["line 2: Amount: expected an amount"]
