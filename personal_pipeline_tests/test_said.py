"""What others wrote, where people read it: terminal, events, report, messages."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import html

from personal_pipeline import duck
from personal_pipeline.alerts.events import RunFailure, record
from personal_pipeline.board import board_of
from personal_pipeline.freshness import State
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.outputs.board import board_markdown
from personal_pipeline.outputs.report import build_report
from personal_pipeline.settings import Settings
from personal_pipeline.shown import MAX_LINES, shown, shown_lines
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.alerts.sinks import mail_server
from personal_pipeline_tests.invented_house import lay_project, run
from personal_pipeline_tests.loopback import Answer, loopback
from personal_pipeline_tests.outputs.invented_marts import (
    TABLES,
    fresh_board,
    with_state,
    write_marts,
)

STEERS = "\x1b[31m\x1b]0;mine\x07\x9b2J\x7f\u202e\u2066\u200b\ufeff\r"
"""What a terminal obeys, and what turns the order of reading around or cannot be seen."""
FORGED = f"a.csv\nFailed: all is lost {STEERS} [red]mine[/red] [link=http://x.example]y[/link]"
BARE = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""What must never reach a screen or a file that people read."""


# ------------------------------------------------------------------------------------ the function


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("statement 2025.csv", "statement 2025.csv"),
        ("Überweisung – 家計簿 👩‍👩‍👧 می‌خواهم", "Überweisung – 家計簿 👩‍👩‍👧 می‌خواهم"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x85\x9b\u2028", "\\x85\\x9b\\u2028"),
        ("exe\u202efdp", "exe\\u202efdp"),
        (os.fsdecode(b"caf\xe9.csv"), "caf\\xe9.csv"),
        ("\ud83d", "\\ud83d"),
        ("\U000e0041", "\\U000e0041"),
    ],
)
def test_what_steers_is_written_out_and_text_stays(text: str, expected: str) -> None:
    assert shown(text) == expected


@given(st.text(st.characters(codec=None)), st.integers(1, 50))
def test_it_is_one_line_bounded_printable_and_the_same_when_shown_again(
    text: str, most: int
) -> None:
    line = shown(text, most)
    assert len(line) <= most
    assert line.splitlines() in ([], [line])
    assert not BARE.search(line)
    line.encode()
    assert shown(line, most) == line
    assert all("\n" not in each and not BARE.search(each) for each in [shown(text, 1_000)])


def test_of_lines_there_are_not_endlessly_many() -> None:
    lines = shown_lines("x\x1b\n" * 10_000).split("\n")
    assert len(lines) == MAX_LINES + 1
    assert lines[:2] == ["x\\x1b"] * 2


# ------------------------------------------------------------------------ files, on a terminal

HOSTILE_NAMES = [
    FORGED.replace("/", "|") + ".csv",
    "<script>alert(1)<|script> | `x` [a](javascript:b).csv",
    "\u202evsc.\u2066exe.csv",
    os.fsdecode(b"caf\xe9\xff.csv"),
]


def command(home: Home, *arguments: str) -> tuple[int, str]:
    """On a strict UTF-8 terminal of 200 columns; colours are as a person has them."""
    done = subprocess.run(
        [sys.executable, "-m", "personal_pipeline.cli", *arguments],
        env={
            **os.environ,
            "PERSONAL_PIPELINE_HOME": str(home.root),
            "PYTHONIOENCODING": "utf-8:strict",
            "COLUMNS": "200",
            "NO_COLOR": "1",
        },
        capture_output=True,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).decode("utf-8")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file cannot have such a name")
def test_names_of_files_columns_and_members_are_shown_written_out(
    home: Home, tmp_path: Path
) -> None:
    folder = tmp_path / "given"
    folder.mkdir()
    column = f"Amount\u202e{chr(0x9B)}2J\x1b[31m[red]"
    for place, name in enumerate(HOSTILE_NAMES):
        (folder / name).write_text(f"Buchung,{column},Text\n2025-11-0{place + 1},1.00,x\n")
    with zipfile.ZipFile(folder / "members.zip", "w") as archive:
        archive.writestr(f"in\x1b[31m/{FORGED.replace('/', '|')}.csv", f"a,{column},b\nx,y,z\n")
    (folder / "fields.json").write_text(json.dumps({column: 1, FORGED: 2}, ensure_ascii=False))

    files = [str(path) for path in sorted(folder.iterdir())]
    for arguments in (["add", "--explain", *files], ["add", *files]):
        code, said = command(home, *arguments)
        assert code == 1
        assert "Traceback" not in said
        assert not BARE.search(said)
        assert "\\x1b[31m" in said
        assert "caf\\xe9\\xff.csv" in said
        assert "\\u202e" in said
        assert "[red]mine[|red]" in said, "it is text, and no markup"
        assert not re.search(r"^Failed: all is lost", said, re.MULTILINE)
    code, said = command(home, "status")
    assert code in (0, 1)
    assert not BARE.search(said)

    with instance_of(home) as instance:
        events = [
            entry.message + (entry.user_message or "")
            for each in instance.get_runs()
            for entry in instance.all_logs(each.run_id)
        ]
    told = [each for each in events if "a.csv" in each or "caf" in each]
    assert told
    for each in told:
        assert not BARE.search(each)
        assert not re.search(r"^Failed: all", each, re.MULTILINE)
    for path in home.dagster.rglob("*.db"):
        with sqlite3.connect(path) as opened:
            assert not re.search("[\x1b\x9b\u202e]", "\n".join(opened.iterdump()))


# ------------------------------------------------------------------------------ answers of a server


@pytest.mark.parametrize("status", [200, 400, 404])
def test_nothing_of_an_answer_is_repeated(status: int) -> None:
    answer = Answer(
        b"<html>secret",
        status,
        {"Request-Id": "x\x1b[31m; secret", "X-Other": "secret"},
        "text/html; charset=\x1b[31msecret",
    )
    with loopback(lambda request: answer) as served:
        client = Client("Toy", served.base, per_second=1000, refused="Ask for a key.", retries=0)
        with client, pytest.raises(ServiceError) as raised:
            client.get_json("/v1/x")
    assert "secret" not in str(raised.value)
    assert not BARE.search(str(raised.value))
    assert raised.value.failure is Failure.FORMAT_CHANGED
    if status == 200:
        assert "expected JSON, got a web page" in str(raised.value)


def test_an_error_of_a_service_is_one_line_wherever_its_words_come_from() -> None:
    error = str(ServiceError(Failure.FORMAT_CHANGED, f"Toy: GET /v1/{FORGED * 100}"))
    assert not BARE.search(error)
    assert "\n" not in error
    assert len(error) <= 1000


# ----------------------------------------------------------------------------------- report, board


def test_the_report_runs_nothing_of_what_others_wrote(tmp_path: Path) -> None:
    hostile = f"</title><script>alert(1)</script><img src=x onerror=y>{STEERS}"
    day = date(2026, 11, 20)
    rows = [
        {
            "story_id": f"s{n}",
            "title": f"{hostile}{n}",
            "url": "javascript:alert(1)" if n % 2 else "https://medium.com/p/1",
            "day": day,
            "month": day.replace(day=1),
            "views": 10,
        }
        for n in range(3)
    ]
    tables = {
        name: [{c: v for c, v in row.items() if c in TABLES[name]} for row in rows]
        for name in ("story_stats", "story_stats_daily")
    }
    spending = [
        {
            "month": day.replace(day=1),
            "transaction_id": f"t{n}",
            "account_id": "a",
            "account": hostile,
            "posted_on": day,
            "amount": "-10.000",
            "currency": "EUR",
            "description": hostile,
            "kind": "bank",
            "category": hostile,
        }
        for n in range(3)
    ]
    database = write_marts(tmp_path / "w.duckdb", transactions=spending, **tables)
    board = with_state(fresh_board(), State.FAILING, "kit", detail=hostile)
    text = build_report(
        duck.File(database, read_only=True),
        day,
        board,
        built_at=datetime(2026, 11, 20, 6, tzinfo=UTC),
    ).html
    assert hostile[:20] not in text
    page = html.fromstring(text.encode())
    assert not page.xpath("//script | //img | //iframe | //object | //embed")
    assert not page.xpath("//@*[starts-with(name(), 'on')]")
    assert not [each for each in page.xpath("//@href") if not re.match("#|https://", each)]
    assert not BARE.search(text)
    assert "\\x1b[31m" in text


def test_the_board_in_the_ui_holds_no_link_no_html_and_no_column_of_others(home: Home) -> None:
    board = with_state(
        fresh_board(),
        State.FAILING,
        "kit",
        detail="a|b [x](javascript:y) <img src=x> ![p](http://z)",
    )
    markdown = board_markdown(board)
    assert not re.search(r"(?<!\\)[\[<]", markdown)
    assert r"a\|b" in markdown


# ------------------------------------------------------------------------------------------- mail


def test_no_word_of_others_makes_a_header_of_a_mail(parsed: Path, home: Home) -> None:
    lay_project(parsed, home.root)
    what = f"x\r\nBcc: thief@example.com\r\n\r\n<b>{STEERS}"
    record(
        home,
        RunFailure(
            run_id="1", job=what, at=datetime.now(UTC), what=what * 20, partition=what,
            cause=what, address="",
        ),
    )  # fmt: skip
    with mail_server() as mail:
        environment = {
            "PERSONAL_PIPELINE_HOME": str(home.root),
            "PERSONAL_PIPELINE_ALERTS": mail.address,
            "PERSONAL_PIPELINE_QUIET_HOURS": "",
        }
        done = run(environment, "status", "--notify", now=datetime.now(UTC))
    assert done.err == ""
    (letter,) = mail.letters
    assert letter["Bcc"] is None
    assert letter["To"] == "me@example.com"
    assert len(letter["Subject"]) < 260
    body = letter.get_body(("plain", "html"))
    assert body is not None
    for text in (letter["Subject"], body.get_content(), done.out):
        assert not BARE.search(text.replace("\r\n", "\n"))


def test_the_board_that_all_read_has_one_line_a_name(home: Home) -> None:
    settings = Settings(PERSONAL_PIPELINE_HOME=str(home.root))
    receipts = home.archive / "receipts"
    receipts.mkdir()
    now = datetime.now(UTC).isoformat()
    receipt = {
        "file": FORGED, "received_at": now, "digest": "0" * 64, "size": 1, "source": "bank",
        "drop": "statement_csv", "captured_at": now, "reason": "", "unreadable": 0, "streams": [],
        "problem": "cannot be read", "warning": None, "also_claimed": [],
    }  # fmt: skip
    bank = next(source for source in SOURCES if source.name == "bank")
    receipt["drop"] = bank.drops[0].name
    (receipts / "20261121T060000-0000000000000000.json").write_text(json.dumps(receipt))
    lines = board_of(House(settings, home, SOURCES))
    details = [line.detail for line in lines if "cannot be read" in line.detail]
    assert details
    assert not any(BARE.search(each) or "\nFailed" in each for each in details)


def test_dagster_takes_what_is_shown() -> None:
    dg.MetadataValue.text(shown(FORGED + os.fsdecode(b"\xff")))
