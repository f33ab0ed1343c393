"""OFX and QFX: real samples, broken ones, and ofxtools as the judge of what is well-formed."""

from __future__ import annotations

import json
import re
import time
import warnings
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ofxtools.Parser import OFXTree

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Doubt, DropFile, DropRow, Unreadable, UnreadableFile
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources.bank import BANK
from personal_pipeline.sources.bank.ofx import read_ofx, read_tags, recognise_ofx
from personal_pipeline.sources.bank.values import ofx_date

CAPTURED = datetime(2024, 3, 1, 9, tzinfo=UTC)

HEADER = (
    "OFXHEADER:100\nDATA:OFXSGML\nVERSION:102\nSECURITY:NONE\nENCODING:USASCII\nCHARSET:1252\n"
    "COMPRESSION:NONE\nOLDFILEUID:NONE\nNEWFILEUID:NONE\n\n"
)


def statement(*lines: str, account: str = "<BANKID>1<ACCTID>12345678<ACCTTYPE>CHECKING") -> str:
    return (
        "<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        "<DTSERVER>20240301<LANGUAGE>ENG</SONRS></SIGNONMSGSRSV1>"
        "<BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS>"
        f"<STMTRS><CURDEF>USD<BANKACCTFROM>{account}</BANKACCTFROM>"
        f"<BANKTRANLIST><DTSTART>20240101<DTEND>20240131{''.join(lines)}</BANKTRANLIST>"
        "<LEDGERBAL><BALAMT>100.00<DTASOF>20240131</LEDGERBAL>"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )


def line(id_: str, amount: str = "-4.50", day: str = "20240105", more: str = "") -> str:
    return (
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>{amount}<FITID>{id_}"
        f"<NAME>COFFEE{more}</STMTTRN>"
    )


def file_of(folder: Path, content: str | bytes, name: str = "statement.ofx") -> DropFile:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return DropFile(path, name, CAPTURED)


def read(file: DropFile) -> tuple[list[DropRow], list[Unreadable]]:
    found = list(read_ofx(file))
    rows = [item for item in found if isinstance(item, DropRow)]
    return rows, [item for item in found if isinstance(item, Unreadable)]


def doubts(file: DropFile) -> list[str]:
    return [item.reason for item in read_ofx(file) if isinstance(item, Doubt)]


def records(rows: Sequence[DropRow], stream: str = "transactions") -> list[dict[str, object]]:
    return [row.record for row in rows if row.stream == stream]


@pytest.mark.parametrize(
    ("name", "accounts", "transactions", "balances", "unreadable"),
    [
        ("anzcc.ofx", 1, 1, 2, 0),
        ("bank_medium.ofx", 1, 3, 2, 0),
        ("checking.ofx", 1, 3, 2, 0),
        ("decimal_error.ofx", 1, 0, 1, 1),
        ("multiple_accounts.ofx", 2, 0, 2, 0),
        ("ofx-v102-empty-tags.ofx", 1, 1, 0, 0),
        ("suncorp.ofx", 1, 1, 2, 0),
    ],
)
def test_real_files_are_read_as_far_as_they_can_be(
    samples: Path, name: str, accounts: int, transactions: int, balances: int, unreadable: int
) -> None:
    path = samples / "banks" / name
    file = DropFile(path, name, CAPTURED)
    claim = recognise_ofx(file)
    assert claim is not None
    assert claim.confidence > 0.9
    rows, bad = read(file)
    assert [
        len(records(rows, "accounts")),
        len(records(rows)),
        len(records(rows, "balances")),
        len(bad),
    ] == [accounts, transactions, balances, unreadable]


def test_a_sample_to_the_last_field(samples: Path) -> None:
    path = samples / "banks" / "ofx-v102-empty-tags.ofx"
    [record] = records(read(DropFile(path, path.name, CAPTURED))[0])
    assert record["id"] is None
    assert (record["posted_on"], record["amount"], record["currency"]) == (
        *("2018-05-07", "12.34", "AUD"),
    )
    assert record["raw"] == {
        "TRNTYPE": "Credit",
        "DTPOSTED": "20180507",
        "TRNAMT": "12.34",
        "FITID": "",
        "VALUEDATE": "20180507",
        "NAME": "",
        "TRANSACTIONSPLIT": "No",
        "CATEGORY": "Uncategorised",
        "ACCTBAL": "123.45",
        "CHECKNUM": "",
        "REFNUM": "",
        "MEMO": "CBA:Transfer",
        "CURRENCY": {"CURRATE": "1.0000", "CURSYM": "AUD"},
    }


def test_the_account_number_is_in_its_own_stream_only(samples: Path) -> None:
    path = samples / "banks" / "anzcc.ofx"
    rows, _ = read(DropFile(path, path.name, CAPTURED))
    [account] = records(rows, "accounts")
    assert account["number"] == "1234123412341234"
    others = [row.record for row in rows if row.stream != "accounts"]
    assert "1234123412341234" not in json.dumps(others)


@pytest.mark.parametrize(
    "mangled",
    [
        lambda text: text,
        lambda text: HEADER + text,
        lambda text: HEADER.replace("\n", " ") + text,
        lambda text: '<?OFX OFXHEADER="200" VERSION="211"?>' + text,
        lambda text: text.replace("<", "\r\n  <"),
        lambda text: text.lower().replace("coffee", "COFFEE").replace("usd", "USD"),
        lambda text: text.replace("<NAME>", "<MEMO><NAME>"),
        lambda text: text.replace("<NAME>", "<MEMO></MEMO><CHECKNUM/><NAME>"),
        lambda text: text.replace("</STMTTRN>", "", 1),
        lambda text: text.replace("COFFEE", "<![CDATA[COFFEE]]>"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_rules_that_banks_break(
    tmp_path: Path, mangled: Callable[[str], str], encoding: str
) -> None:
    file = file_of(tmp_path, mangled(statement(line("a"), line("b", "-7.00"))).encode(encoding))
    assert recognise_ofx(file) is not None
    rows, bad = read(file)
    assert bad == []
    found = [(each["id"], each["amount"], each["description"]) for each in records(rows)]
    assert found == [("a", "-4.5", "COFFEE"), ("b", "-7", "COFFEE")]
    assert records(rows, "balances")[0]["balance"] == "100"


def test_a_decimal_comma(tmp_path: Path) -> None:
    text = statement(line("a", "-4,50"), line("b", "-1.200,00")).replace("100.00", "100,00")
    rows, _ = read(file_of(tmp_path, text))
    assert [each["amount"] for each in records(rows)] == ["-4.5", "-1200"]


def test_text_with_ampersands_and_angles(tmp_path: Path) -> None:
    rows, bad = read(file_of(tmp_path, statement(line("a", more=" & CAKE < 3 &amp; TEA"))))
    assert not bad
    assert records(rows)[0]["description"] == "COFFEE & CAKE < 3 & TEA"


@pytest.mark.parametrize(
    ("org", "title"), [("B1", "Chase"), ("chase", "chase"), ("My Bank", "My Bank")]
)
def test_a_bank_that_calls_itself_by_a_code_has_its_name(
    tmp_path: Path, org: str, title: str
) -> None:
    signed = f"<OFX><SIGNONMSGSRSV1><SONRS><FI><ORG>{org}</FI></SONRS></SIGNONMSGSRSV1>"
    content = statement(line("1")).replace("<OFX>", signed)
    [account] = records(read(file_of(tmp_path, content))[0], "accounts")
    assert account["title"] == title


def test_a_date_is_the_day_of_the_bank() -> None:
    days = ["20240402000000[-3:GMT]", "20230109050000.000", "20240229235959[+14]", "2011-04-12"]
    assert [str(ofx_date(text)) for text in days] == [
        *("2024-04-02", "2023-01-09", "2024-02-29", "2011-04-12")
    ]


@pytest.mark.parametrize("text", ["", "2024", "20240230", "201120000000", "00010101", "99991231"])
def test_what_is_no_date(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|month|day"):
        ofx_date(text)


def test_a_file_that_breaks_off_keeps_what_was_whole(tmp_path: Path) -> None:
    whole = statement(line("a"), line("b"), line("c"))
    cut = whole[: whole.index("<FITID>c") + 4]
    rows, bad = read(file_of(tmp_path, cut))
    assert [each["id"] for each in records(rows)] == ["a", "b"]
    assert [each.reason for each in bad] == [
        "a transaction: its end is missing; download the file again"
    ]


def test_a_broken_transaction_costs_itself_and_no_value_is_told(home: Home) -> None:
    text = statement(line("a"), line("b", "SECRET"), line("c", day="SECRET"))
    path = file_of(home.inbox, text).path
    receipt = ingest_file(home, [BANK], path, CAPTURED).receipt
    assert receipt.problem is None
    assert receipt.unreadable == 2
    rows, bad = read(file_of(home.inbox, text))
    assert [each.reason for each in bad] == [
        "a transaction: TRNAMT: expected an amount",
        "a transaction: DTPOSTED: expected YYYYMMDD",
    ]
    assert len(records(rows)) == 1


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("<OFX></OFX>", "no statement in it"),
        ("<OFX><SONRS><STATUS><CODE>15500<SEVERITY>ERROR</STATUS></SONRS>", "with an error"),
        (
            "<OFX><BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>2000<SEVERITY>ERROR"
            "<MESSAGE>General error</STATUS></STMTTRNRS></BANKMSGSRSV1></OFX>",
            r"the bank answered with an error \(code 2000\)",
        ),
        ("OFXHEADER:100\n\n<BANKTRANLIST>" + line("a"), "without an account.*inbox/checking-1234"),
    ],
)
def test_a_file_without_a_statement_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(UnreadableFile, match=sentence):
        list(read_ofx(file_of(tmp_path, text)))


def test_a_broker_has_what_moves_money(tmp_path: Path) -> None:
    text = (
        "<OFX><INVSTMTMSGSRSV1><INVSTMTTRNRS><INVSTMTRS><DTASOF>20240131<CURDEF>USD"
        "<INVACCTFROM><BROKERID>b.example<ACCTID>Z1234567</INVACCTFROM>"
        "<INVTRANLIST><DTSTART>20240101<DTEND>20240131"
        "<BUYSTOCK><INVBUY><INVTRAN><FITID>1<DTTRADE>20240110<DTSETTLE>20240112<MEMO>BOUGHT"
        "</INVTRAN><UNITS>2<UNITPRICE>50<TOTAL>-100.50</INVBUY><BUYTYPE>BUY</BUYSTOCK>"
        "<REINVEST><INVTRAN><FITID>2<DTTRADE>20240110</INVTRAN><TOTAL>-5</REINVEST>"
        "<INVBANKTRAN><STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20240115<TRNAMT>200<FITID>3<NAME>IN"
        "</STMTTRN><SUBACCTFUND>CASH</INVBANKTRAN></INVTRANLIST>"
        "<INVBAL><AVAILCASH>99.50</INVBAL></INVSTMTRS></INVSTMTTRNRS></INVSTMTMSGSRSV1></OFX>"
    )
    rows, bad = read(file_of(tmp_path, text))
    assert not bad
    assert [(each["posted_on"], each["amount"]) for each in records(rows)] == [
        ("2024-01-12", "-100.5"),
        ("2024-01-15", "200"),
    ]
    assert records(rows, "balances")[0]["balance"] == "99.5"


def test_a_key_does_not_depend_on_the_file(tmp_path: Path) -> None:
    one, _ = read(file_of(tmp_path, statement(line("a"), line("b"))))
    other, _ = read(file_of(tmp_path, statement(line("b"), line("a", more=" LATER"))))
    keys = [{row.key for row in rows if row.stream == "transactions"} for rows in (one, other)]
    assert keys[0] == keys[1]


def test_the_same_id_on_another_account_is_another_row(tmp_path: Path) -> None:
    one, _ = read(file_of(tmp_path, statement(line("a"))))
    for account in ("<BANKID>1<ACCTID>12345679", "<BANKID>2<ACCTID>12345678"):
        other, _ = read(file_of(tmp_path, statement(line("a"), account=account)))
        assert {row.key for row in one}.isdisjoint(row.key for row in other)


# ---------------------------------------------------------------------- ofxtools as the judge

NAMES = st.text("ABC def&'<>é-./#", min_size=1, max_size=20).map(lambda text: f"N{text.strip()}")
LINES = st.lists(
    st.tuples(
        st.dates(date(2000, 1, 1), date(2030, 1, 1)),
        st.decimals(-9_999, 9_999, places=2),
        st.text("abc019", min_size=1, max_size=12),
        NAMES,
    ),
    max_size=8,
)


@given(LINES, st.booleans(), st.sampled_from(["", "\n", "\r\n   "]))
@settings(max_examples=150, deadline=None)
def test_well_formed_files_are_read_as_ofxtools_reads_them(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[date, Decimal, str, str]],
    closed: bool,
    end: str,
) -> None:
    def leaf(name: str, text: str) -> str:
        return f"<{name}>{escape(text)}{f'</{name}>' if closed else ''}{end}"

    body = "".join(
        f"<STMTTRN>{end}"
        + leaf("TRNTYPE", "DEBIT" if amount < 0 else "CREDIT")
        + leaf("DTPOSTED", f"{day:%Y%m%d}120000")
        + leaf("TRNAMT", str(amount))
        + leaf("FITID", f"f{id_}")
        + leaf("NAME", name)
        + f"</STMTTRN>{end}"
        for day, amount, id_, name in lines
    )
    text = HEADER + statement(body)
    tree = OFXTree()
    tree.parse(BytesIO(text.encode("cp1252")))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        [theirs] = tree.convert().statements
    rows, bad = read(file_of(tmp_path_factory.getbasetemp(), text.encode("cp1252"), "judged.ofx"))
    assert bad == []
    ours = [
        (each["posted_on"], Decimal(str(each["amount"])), each["id"], each["description"])
        for each in records(rows)
    ]
    assert ours == [
        (f"{each.dtposted:%Y-%m-%d}", each.trnamt, each.fitid, each.name)
        for each in theirs.transactions
    ]
    assert records(rows, "balances")[0]["balance"] == f"{theirs.ledgerbal.balamt.normalize():f}"


# ------------------------------------------------------------------------------- nothing is lost


def found(text: str, folder: Path, where: str = "") -> tuple[list[str], list[Unreadable]]:
    """The ids that are read from a file below the inbox, and what is unreadable."""
    place = folder / "inbox" / where
    place.mkdir(parents=True, exist_ok=True)
    rows, bad = read(file_of(place, text))
    return [str(each["id"]) for each in records(rows)], bad


@pytest.mark.parametrize(
    "mangled",
    [
        # after the list, before it, in a list of its own, after the statement
        lambda text: text.replace("</BANKTRANLIST>", f"</BANKTRANLIST>{line('b')}"),
        lambda text: text.replace("<BANKTRANLIST>", f"{line('b')}<BANKTRANLIST>"),
        lambda text: text.replace("<LEDGERBAL>", f"<OTHERLIST>{line('b')}</OTHERLIST><LEDGERBAL>"),
        lambda text: text.replace("</STMTRS>", f"</STMTRS>{line('b')}"),
        lambda text: text.replace("</OFX>", f"{line('b')}</OFX>"),
        # comments and instructions, where they are allowed and where not
        lambda text: text.replace(line("a"), f"{line('a')}<!-- <STMTTRN> -->{line('b')}"),
        lambda text: text.replace("<STMTTRN>", "<!-- one --><STMTTRN>").replace(
            line("a").removeprefix("<STMTTRN>"),
            line("a").removeprefix("<STMTTRN>") + line("b"),
        ),
        lambda text: text.replace("<BANKACCTFROM>", "<BANKACCTFROM> <!-- mine -->").replace(
            "</BANKTRANLIST>", f"<?page 2?>{line('b')}</BANKTRANLIST>"
        ),
        # text in aggregates
        lambda text: text.replace("<BANKACCTFROM>", "<BANKACCTFROM>x").replace(
            "</BANKTRANLIST>", f"x{line('b')}</BANKTRANLIST>"
        ),
        # ends that are missing
        lambda text: text.replace("</BANKACCTFROM>", "").replace(
            "</BANKTRANLIST>", line("b") + "</BANKTRANLIST>"
        ),
        # fifty tags that nobody closes
        lambda text: text.replace(
            "</BANKTRANLIST>",
            "".join(f"<X{n}>" for n in range(50)) + line("b") + "</BANKTRANLIST>",
        ),
    ],
)
def test_a_transaction_is_found_wherever_it_stands(
    tmp_path: Path, mangled: Callable[[str], str]
) -> None:
    text = mangled(statement(line("a")))
    ids, bad = found(text, tmp_path)
    assert sorted(ids) == ["a", "b"]
    assert bad == []


def test_pending_lines_have_a_list_of_their_own(tmp_path: Path) -> None:
    pending = (
        "<BANKTRANLISTP><DTASOF>20240131<STMTTRNP><TRNTYPE>DEBIT<DTTRAN>20240130<TRNAMT>-3.00"
        "<NAME>TEA</STMTTRNP></BANKTRANLISTP>"
    )
    text = statement(line("a")).replace("<LEDGERBAL>", f"{pending}<LEDGERBAL>")
    rows, bad = read(file_of(tmp_path, text))
    assert bad == []
    assert [(each["amount"], each["pending"], each["posted_on"]) for each in records(rows)] == [
        ("-4.5", False, "2024-01-05"),
        ("-3", True, "2024-01-30"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        "OFXHEADER:100\n\n<BANKTRANLIST><DTSTART>20240101<DTEND>20240131{line}</BANKTRANLIST>",
        "<OFX>{line}</OFX>",
        "<OFX><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1</BANKACCTFROM><BANKTRANLIST>{line}",
    ],
)
def test_a_folder_names_the_account_that_a_file_does_not(tmp_path: Path, text: str) -> None:
    text = text.replace("{line}", line("a"))
    place = tmp_path / "inbox" / "checking-1234"
    place.mkdir(parents=True)
    file = file_of(place, text, "activity.qfx")
    assert recognise_ofx(file) is not None
    rows, bad = read(file)
    assert bad == []
    assert [each["id"] for each in records(rows)] == ["a"]
    [account] = records(rows, "accounts")
    assert (account["name"], account["last4"], account["whole"], account["told_by"]) == (
        *("checking-1234", "1234", False, "the folder"),
    )


def test_an_answer_with_an_error_among_statements_is_said(tmp_path: Path) -> None:
    refused = "<STMTTRNRS><TRNUID>2<STATUS><CODE>2003<SEVERITY>ERROR</STATUS></STMTTRNRS>"
    ids, bad = found(
        statement(line("a")).replace("<BANKMSGSRSV1>", f"<BANKMSGSRSV1>{refused}"), tmp_path
    )
    assert ids == ["a"]
    assert [each.reason for each in bad] == [
        "an account: the bank answered with an error (code 2003) instead of its statement; "
        "download it again"
    ]


def test_two_accounts_whose_ends_are_missing_are_not_mixed(tmp_path: Path) -> None:
    card = (
        "<CREDITCARDMSGSRSV1><CCSTMTTRNRS><CCSTMTRS><CURDEF>USD<CCACCTFROM><ACCTID>4111000011112222"
        f"</CCACCTFROM><BANKTRANLIST>{line('c')}</BANKTRANLIST></CCSTMTRS></OFX>"
    )
    text = statement(line("a"))
    text = text[: text.index("</BANKTRANLIST>")] + card
    rows, bad = read(file_of(tmp_path, text))
    assert bad == []
    accounts = {each["account"]: each["kind"] for each in records(rows, "accounts")}
    told = {each["id"]: accounts[each["account"]] for each in records(rows)}
    assert told == {"a": "bank", "c": "card"}


def answer(id_: str, number: str, lost: str = "") -> str:
    """The answer of a bank for one account, without the tags that are lost."""
    text = (
        f"<STMTTRNRS><TRNUID>{id_}<STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>{number}"
        f"<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST>{line(id_)}</BANKTRANLIST>"
        "</STMTRS></STMTTRNRS>"
    )
    return re.sub(rf"</?(?:{lost})>", "", text) if lost else text


def test_accounts_without_statements_do_not_become_one(tmp_path: Path) -> None:
    two = "".join(answer(id_, f"{n}0000001", "STMTRS") for n, id_ in enumerate("ab"))
    with pytest.raises(UnreadableFile, match="several accounts, outside their statements"):
        found(f"<OFX>{two}</OFX>", tmp_path, "checking-1234")
    # neither where the numbers are lost too
    two = re.sub(r"<ACCTID>\d+", "", two)
    with pytest.raises(UnreadableFile, match="several accounts, outside their statements"):
        found(f"<OFX>{two}</OFX>", tmp_path, "checking-1234")
    # two answers for one account are no doubt
    one = "".join(answer(id_, "10000001", "STMTRS") for id_ in "ab")
    assert found(f"<OFX>{one}</OFX>", tmp_path, "checking-1234") == (["a", "b"], [])


@pytest.mark.parametrize("lost", ["STMTRS", "STMTRS|BANKACCTFROM", "STMTRS|BANKTRANLIST"])
@pytest.mark.parametrize("first", [True, False])
def test_a_list_that_lost_its_statement_is_not_booked_on_another_account(
    tmp_path: Path, lost: str, first: bool
) -> None:
    answers = [answer("a", "10000001"), answer("b", "20000002", lost)]
    text = "".join(answers if first else answers[::-1])
    ids, bad = found(f"<OFX>{text}</OFX>", tmp_path)
    assert ids == ["a"]
    assert ["each account separately" in each.reason for each in bad] == [True]


def test_two_accounts_in_one_statement_are_counted(tmp_path: Path) -> None:
    one, other = answer("a", "10000001"), answer("b", "20000002")
    text = one.replace("</STMTRS></STMTTRNRS>", "") + other.split("<CURDEF>USD")[1]
    ids, bad = found(f"<OFX>{text}</OFX>", tmp_path)
    assert ids == []
    assert ["each account separately" in each.reason for each in bad] == [True] * 2


TOKEN = re.compile(r"<[^<>]*>|[^<>]+|[<>]")


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_happens_to_a_file_each_transaction_is_read_or_counted(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Tags are lost, doubled, moved, misspelt, and things are put between them. As many as there
    are tags of transactions, or of amounts, are rows or unreadable; or the file is refused."""
    card = statement(line("d"), line("e", "7.00")).replace("STMTRS", "CCSTMTRS")
    card = card.replace("BANKACCTFROM", "CCACCTFROM").removeprefix("<OFX>")
    text = statement(line("a"), line("b", "-7.00"), line("c", "1200.00"))
    if data.draw(st.booleans()):
        text = text.removesuffix("</OFX>") + card
    tokens = TOKEN.findall(text)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(tokens) - 1))
        match data.draw(st.sampled_from(["lose", "double", "move", "misspell", "insert", "wrap"])):
            case "lose":
                tokens.pop(place)
            case "double":
                tokens.insert(place, tokens[place])
            case "move":
                tokens.insert(data.draw(st.integers(0, len(tokens) - 1)), tokens.pop(place))
            case "misspell":
                tokens[place] = tokens[place].replace("T", "X", 1)
            case "insert":
                extra = [
                    "<!-- x -->",
                    "<!--",
                    "-->",
                    "text",
                    "<X>",
                    "<MEMO>",
                    "</STMTRS>",
                    "<STMTRS>",
                ]
                extra += ["<![CDATA[a<b]]>", "<?a?>", "</BANKTRANLIST>", "<BUYSTOCK>", "<", "&"]
                tokens.insert(place, data.draw(st.sampled_from(extra)))
            case "wrap":
                tokens[place:place] = [f"<Y{n}>" for n in range(data.draw(st.integers(1, 60)))]
        if not tokens:
            return
    text = "".join(tokens)
    # what a comment takes away is no transaction
    plain = re.sub(r"<!--.*?-->|<\?.*?\?>|<!\[CDATA\[.*?\]\]>", "", text, flags=re.DOTALL)
    lines = len(re.findall(r"<STMTTRN\b[^<>]*>", plain))
    amounts = len(re.findall(r"<TRNAMT\b[^<>]*>", plain))
    folder = tmp_path_factory.getbasetemp() / data.draw(st.sampled_from(["inbox/all-1234", "none"]))
    folder.mkdir(parents=True, exist_ok=True)
    try:
        rows, bad = read(file_of(folder, text, "mutated.ofx"))
    except UnreadableFile:
        return
    assert len(records(rows)) + len(bad) >= max(lines, amounts)
    assert len({row.key for row in rows if row.stream == "transactions"}) == len(records(rows))


# ----------------------------------------------------------------------------------------- signs


def typed(*lines: tuple[str, str]) -> str:
    """A statement of lines with a type and an amount."""
    return statement(
        *(
            line(f"l{n}", amount).replace("<TRNTYPE>DEBIT", f"<TRNTYPE>{type_}")
            for n, (type_, amount) in enumerate(lines)
        )
    )


def as_card(text: str) -> str:
    return (
        text.replace("BANKACCTFROM", "CCACCTFROM")
        .replace("<STMTRS>", "<CCSTMTRS>")
        .replace("</STMTRS>", "</CCSTMTRS>")
    )


def amounts_in(text: str, folder: Path) -> list[str]:
    rows, _ = read(file_of(folder, text))
    return [str(each["amount"]) for each in records(rows)]


def test_where_no_amount_has_a_sign_the_type_tells(tmp_path: Path) -> None:
    lines = [
        ("DEBIT", "19.78"),
        ("CREDIT", "1500.00"),
        ("POS", "7.00"),
        ("CHECK", "3"),
        ("FEE", "1"),
    ]
    assert amounts_in(typed(*lines), tmp_path) == ["-19.78", "1500", "-7", "-3", "-1"]
    assert amounts_in(typed(("DEBIT", "19.78")), tmp_path) == ["-19.78"]
    more = [("DEBIT", "5"), ("PAYMENT", "40"), ("INT", "2")]
    assert amounts_in(typed(*more), tmp_path) == ["-5", "-40", "2"]
    assert amounts_in(as_card(typed(*more)), tmp_path) == ["-5", "40", "-2"]


def test_where_neither_tells_it_is_asked(tmp_path: Path) -> None:
    rows, bad = read(file_of(tmp_path, typed(("DEBIT", "5"), ("XFER", "40"))))
    assert [each["amount"] for each in records(rows)] == ["-5"]
    assert len(bad) == 1
    assert "ofx_sign: out_is_negative" in bad[0].reason


def test_a_card_that_counts_what_is_owed(tmp_path: Path) -> None:
    lines = [("DEBIT", "19.78"), ("CREDIT", "-500.00"), ("OTHER", "2.00")]
    assert amounts_in(as_card(typed(*lines)), tmp_path) == ["-19.78", "500", "-2"]


@pytest.mark.parametrize(
    "lines",
    [
        # a type that says nothing, whatever the amount
        [("DEBIT", "-5"), ("DEBIT", "1000")],
        [("CREDIT", "-5"), ("CREDIT", "-6")],
        [("OTHER", "-5"), ("OTHER", "1000")],
        [("CREDIT", "5")],
        # a refund that is called a debit, and a payment that was given back
        [("DEBIT", "-5"), ("POS", "-6"), ("POS", "5"), ("CREDIT", "100"), ("CREDIT", "-100")],
    ],
)
def test_signs_are_trusted_where_types_do_not_contradict_throughout(
    tmp_path: Path, lines: list[tuple[str, str]]
) -> None:
    rows, bad = read(file_of(tmp_path, typed(*lines)))
    assert [each["amount"] for each in records(rows)] == [amount for _, amount in lines]
    assert bad == []


def test_signs_that_mostly_contradict_are_said(tmp_path: Path) -> None:
    lines = [("DEBIT", "-5"), ("DEBIT", "6"), ("DEBIT", "7"), ("CREDIT", "-8")]
    file = file_of(tmp_path, typed(*lines))
    rows, bad = read(file)
    assert [each["amount"] for each in records(rows)] == ["-5", "6", "7", "-8"]
    assert bad == []
    assert ["Most signs" in each for each in doubts(file)] == [True]


@pytest.mark.parametrize(
    ("lines", "kind", "expected"),
    [
        # the payment of a card is what came in
        ([("DEBIT", "20"), ("DEBIT", "30"), ("PAYMENT", "-50")], "card", ["-20", "-30", "50"]),
        ([("DEBIT", "-20"), ("PAYMENT", "50")], "card", []),
        ([("DEBIT", "-20"), ("PAYMENT", "-50")], "bank", []),
        # no sign at all
        ([("DEBIT", "20"), ("CREDIT", "30")], "bank", ["-20", "30"]),
        ([("ATM", "20"), ("OTHER", "30")], "bank", ["20", "30"]),
        # one type only, all of it the other way
        ([("CREDIT", "-5"), ("CREDIT", "-6")], "bank", ["-5", "-6"]),
        ([("POS", "5"), ("OTHER", "-6")], "bank", ["5", "-6"]),
        ([("DEBIT", "20"), ("CREDIT", "-30")], "bank", ["-20", "30"]),
    ],
)
def test_signs_that_are_decided_against_types_or_by_them_are_said(
    tmp_path: Path, lines: list[tuple[str, str]], kind: str, expected: list[str]
) -> None:
    """``expected`` is empty where nothing is in doubt, and the amounts stay as they are."""
    text = typed(*lines)
    file = file_of(tmp_path, as_card(text) if kind == "card" else text)
    rows, bad = read(file)
    assert [each["amount"] for each in records(rows)] == (
        expected or [amount for _, amount in lines]
    )
    assert bad == []
    assert ["`ofx_sign: " in each for each in doubts(file)] == [True] * bool(expected)


@pytest.mark.parametrize(
    ("rule", "amounts"),
    [
        ("out_is_negative", ["19.78", "500"]),
        ("out_is_positive", ["-19.78", "-500"]),
        ("by_type", ["-19.78", "500"]),
    ],
)
def test_the_person_says_how_a_bank_signs(home: Home, rule: str, amounts: list[str]) -> None:
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "my.yaml").write_text(
        f"name: my\ntitle: My\nofx: [MYBK]\nofx_sign: {rule}\nheader: [a, b, c]\n"
        'date_format: "%Y-%m-%d"\ncolumns: {posted_on: a, description: b, amount: c}\n'
    )
    text = typed(("DEBIT", "19.78"), ("CREDIT", "500")).replace(
        "<LANGUAGE>", "<FI><ORG>MYBK</FI><LANGUAGE>"
    )
    file = file_of(home.root, text)
    rows, _ = read(DropFile(file.path, file.name, CAPTURED, home.root))
    assert [each["amount"] for each in records(rows)] == amounts


# ------------------------------------------------------------------------------ arbitrary input

PIECES = ["<OFX>", "<STMTRS>", "<STMTTRN>", "</STMTTRN>", "<BANKACCTFROM>", "<ACCTID>1", "<MEMO>"]
PIECES += ["</OFX>", "<TRNAMT>1", "<DTPOSTED>20240101", "<![CDATA[", "]]>", "&", "<", ">", "x"]
PIECES += ["<BANKTRANLIST>", "</BANKTRANLIST>", "<LEDGERBAL><BALAMT>1<DTASOF>20240101"]


@given(st.one_of(st.binary(max_size=500), st.lists(st.sampled_from(PIECES)).map("".join)))
@settings(max_examples=300, deadline=None)
def test_anything_is_read_refused_or_counted(
    tmp_path_factory: pytest.TempPathFactory, content: bytes | str
) -> None:
    file = file_of(tmp_path_factory.getbasetemp(), content, "arbitrary.ofx")
    recognise_ofx(file)
    try:
        rows, _ = read(file)
    except UnreadableFile:
        return
    assert len({(row.stream, row.key) for row in rows}) <= len(rows)


@pytest.mark.parametrize(
    "content",
    [
        "<OFX>" + "<A>" * 200_000,
        "<OFX>" + "".join(f"<A{number}>" for number in range(100_000)),
        "<OFX>" + "<![CDATA[" * 100_000,
        "<OFX>" + "<" * 600_000,
        "<OFX>" + "</OFX>" * 100_000,
        "<OFX>" + "<A><B></A>" * 60_000,
        '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><OFX>&b;' + "&amp;" * 100_000,
    ],
    ids=["same", "nested", "cdata", "angles", "ends", "unclosed", "entities"],
)
def test_hostile_files_take_linear_time(tmp_path: Path, content: str) -> None:
    file = file_of(tmp_path, content)
    started = time.process_time()
    recognise_ofx(file)
    with pytest.raises(UnreadableFile):
        list(read_ofx(file))
    assert time.process_time() - started < 5


def test_a_statement_of_ten_years_is_read_in_a_moment(tmp_path: Path) -> None:
    first = date(2014, 1, 1)
    lines = [line(f"i{n}", day=f"{first + timedelta(days=n // 5):%Y%m%d}") for n in range(20_000)]
    file = file_of(tmp_path, statement(*lines))
    started = time.process_time()
    rows, bad = read(file)
    assert (len(records(rows)), bad) == (20_000, [])
    assert time.process_time() - started < 10


def test_names_and_texts_are_kept_as_they_stand() -> None:
    tree = read_tags("<A><B>1<B>2<C><D> x &amp; y </D></C></A>")
    assert tree.verbatim() == {"A": {"B": ["1", "2"], "C": {"D": "x &amp; y"}}}
    assert re.fullmatch(r"x & y", next(tree.everywhere("C")).leaf("D") or "")
