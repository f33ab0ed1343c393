"""Bank statements as a person adds them: by command, to the tables that are published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import duckdb
import pytest
from click.testing import CliRunner, Result

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.refresh import refresh
from personal_pipeline.settings import load_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.invented_house import lay_project

SPARKASSE = (
    "Buchungstag;Verwendungszweck;Betrag;Saldo\n"
    "01.02.2024;Bäckerei;-1.234,50;10,00\n"
    "02.02.2024;Lohn;2.000,00;2.010,00\n"
)


def add(*arguments: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["add", *map(str, arguments)])
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def parsed_home(parsed: Path, home: Home) -> Home:
    """For what builds tables."""
    return lay_project(parsed, home.root)


@pytest.fixture
def unknown_bank(tmp_path: Path) -> Path:
    path = tmp_path / "sparkasse.csv"
    path.write_text(SPARKASSE, encoding="cp1252")
    return path


def test_a_bank_that_is_not_known_is_learnt_without_python(home: Home, unknown_bank: Path) -> None:
    told = add("--explain", unknown_bank, code=1).stdout
    assert 'a table with the columns "Buchungstag", "Verwendungszweck", "Betrag", "Saldo"' in told
    assert "  amount: Betrag\n" in told
    assert "Bank: statements of a bank or card" in told
    assert "Lohn" not in told
    # what is between the explanation and the list is the file to fill in
    dialect = told[told.index("name: my_bank") : told.index("The inbox accepts:")]
    (home.root / "dialects").mkdir(exist_ok=True)
    (home.root / "dialects" / "my_bank.yml").write_text(dialect)

    told = add("--explain", unknown_bank).stdout
    assert "bank statement (chosen)" in told
    assert "the columns of My Bank" in told
    [receipt] = json.loads(add("--json", unknown_bank).stdout)
    assert (receipt["source"], receipt["problem"], receipt["unreadable"]) == ("bank", None, 0)
    assert (receipt["streams"][0]["first_month"]) == "2024-02-01"


def test_explaining_takes_nothing_and_ends_with_1_for_what_nobody_knows(
    home: Home, unknown_bank: Path, tmp_path: Path
) -> None:
    ofx = tmp_path / "st" / "a.ofx"
    ofx.parent.mkdir()
    ofx.write_text(statement("20240103"))
    assert "OFX: the tag <OFX> of a bank statement" in add("--explain", ofx.parent).stdout
    [known, stranger] = json.loads(
        add("--explain", "--json", ofx.parent, unknown_bank, code=1).stdout
    )
    assert known["file"] == "st/a.ofx"
    assert known["opinions"][0]["confidence"] > 0.9
    assert stranger["opinions"] == []
    assert not (home.archive / "receipts").exists()
    assert [path for path in home.inbox.rglob("*") if path.is_file()] == []


def test_rows_that_cannot_be_read_say_why_and_where(home: Home, tmp_path: Path) -> None:
    path = tmp_path / "activity.csv"
    path.write_text(
        "Date,Description,Amount\n02/13/2024,TEA,3.00\n02/14/2024,TEA,card 12 34.00\n"
        "soon,TEA,1.00\n"
    )
    told = " ".join(add(path).stdout.split())
    assert "2 rows unreadable: line 3: Amount: expected an amount; line 4: Date: expected a" in told
    assert "card 12" not in told
    [receipt] = json.loads(add("--json", path).stdout)
    place = home.root / receipt["unreadable_in"]
    assert f"Kept in {receipt['unreadable_in']}." in told
    assert "card 12 34.00" in place.read_text()
    assert len(receipt["unreadable_why"]) == 2


def test_a_dialect_that_cannot_be_used_is_said_by_add_explain_and_doctor(
    home: Home, unknown_bank: Path
) -> None:
    home.dialects.mkdir(exist_ok=True)
    (home.dialects / "mine.yaml").write_text("name: mine\ntitle: Mine\nkind: shop\n")
    sentence = "dialects/mine.yaml, line 3: kind: input should be"
    assert sentence in add("--explain", unknown_bank, code=1).stdout
    assert sentence in " ".join(add(unknown_bank, code=1).stdout.split())
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).stdout)
    assert any(each["found"].startswith(sentence) for each in found)


def test_an_empty_folder_is_a_misunderstanding(home: Home, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "contain no files" in add(tmp_path / "empty", code=2).stderr


def statement(*days: str, account: str = "000012345678") -> str:
    listed = "".join(
        f"<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>{day}<TRNAMT>-4.50<FITID>{day}<NAME>COFFEE</STMTTRN>"
        for day in days
    )
    return (
        "OFXHEADER:100\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD"
        f"<BANKACCTFROM><BANKID>1<ACCTID>{account}<ACCTTYPE>CHECKING</BANKACCTFROM>"
        f"<BANKTRANLIST><DTSTART>20240101<DTEND>20240131{listed}</BANKTRANLIST>"
        "<LEDGERBAL><BALAMT>100.00<DTASOF>20240131</LEDGERBAL>"
        "</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"
    )


def test_a_file_of_which_no_row_came_ends_with_1_and_says_where_the_reasons_are(
    parsed_home: Home, tmp_path: Path
) -> None:
    """Of its only account the file does not say which one it is."""
    home = parsed_home
    path = tmp_path / "a.ofx"
    text = statement("20240103").replace("<ACCTID>000012345678", "")
    path.write_text(text)
    result = add(path, code=1)
    assert "none of its rows could be ingested" in result.stdout
    assert "quarantine/bank/" in result.stdout
    # and the same by itself
    (home.inbox / "b.ofx").write_text(text.replace("-4.50", "-4.60"))
    done = CliRunner().invoke(main, ["refresh"])
    assert done.exit_code == 1, done.output
    # one row is enough
    path.write_text(statement("20240103", "20249999"))
    add(path)


CHASE = (
    "Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n"
    "DEBIT,01/03/2024,COFFEE,-4.50,ACH,95.50,,\n"
    "DEBIT,01/04/2024,COFFEE,-4.50,ACH,91.00,,\n"
)


@pytest.mark.slow
def test_statements_become_published_tables_and_the_same_ones_again_build_nothing(
    parsed_home: Home, tmp_path: Path
) -> None:
    home = parsed_home
    folder = tmp_path / "january"
    folder.mkdir()
    (folder / "a.ofx").write_text(statement("20240103", "20240104"))
    (folder / "Chase5678_Activity.csv").write_text(CHASE)
    (folder / "categories.yaml").write_text("rules:\n- {category: Cafés, words: coffee}\n")
    add(folder)

    def passed() -> tuple[Any, list[str]]:
        done = refresh(House(load_settings(), home, SOURCES))
        assert not done.failures
        return done, sorted({each.name for each in done.work.built if each.changed})

    _, built = passed()
    assert "marts/spending_monthly" in built
    with duckdb.connect(str(home.published), read_only=True) as opened:
        query = opened.execute
        assert query("select category, spent from marts.spending_monthly").fetchall() == [
            ("Cafés", 9)
        ]
        rules = "select entity, rule, count(*) from pipeline.merges group by all"
        assert query(rules).fetchall() == [("transaction", "same day", 2)]
        files = "select file, kind, rows_new > 0, problem from pipeline.receipts order by file"
        assert query(files).fetchall() == [
            ("Chase5678_Activity.csv", "statement", True, None),
            ("a.ofx", "statement", True, None),
            ("categories.yaml", "categories", True, None),
        ]
    shown = home.latest_report.read_text(encoding="utf-8")

    add(folder)
    with duckdb.connect(str(home.published), read_only=True) as opened:
        counts = "select count(*), count(*) filter (rows_new = 0) from pipeline.receipts"
        assert opened.execute(counts).fetchall() == [(6, 3)]
    again, built = passed()
    assert built == []
    assert again.work.dbt_calls == 0
    assert "5678" not in shown
