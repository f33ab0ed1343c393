"""The mail that the morning writes beside its report."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personal_pipeline.freshness import State
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.outputs import mail, morning, pdf
from personal_pipeline.settings import Settings
from personal_pipeline.sources.stripe import API_KEY, STRIPE
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_state,
    write_small_life,
)

SECRET = "sk_live_0123456789"
TODAY = "2026-11-21"


@pytest.fixture
def told(home: Home) -> Home:
    """A home with published tables."""
    home.published.parent.mkdir(parents=True, exist_ok=True)
    write_small_life(home.published)
    with duckdb.connect(str(home.published)) as connection:
        connection.execute("create schema pipeline")
        connection.execute(
            "create table pipeline.ledger (asset varchar, partition varchar, digest varchar)"
        )
    return home


def house_of(home: Home, **settings: Any) -> House:
    now = datetime(2026, 11, 21, 7, tzinfo=UTC)
    given = {API_KEY.name: SECRET, **settings}
    return House(Settings(**given), home, (STRIPE,), clock=lambda: now)


def kept(home: Home) -> mail.Mail:
    return mail.read((home.reports / f"{TODAY}.eml").read_bytes())


def test_without_the_setting_there_is_none(told: Home) -> None:
    house = house_of(told)
    morning.write_morning_report(house, fresh_board())
    assert not list(told.reports.glob("*.eml"))
    assert morning.is_current(house, fresh_board())


def test_switched_on_today_it_is_written_today(told: Home) -> None:
    morning.write_morning_report(house_of(told), fresh_board())
    house = house_of(told, PERSONAL_PIPELINE_MAIL_REPORT="true")
    assert not morning.is_current(house, fresh_board())
    morning.write_morning_report(house, fresh_board())
    assert morning.is_current(house, fresh_board())
    assert "1,234" in kept(told).html


def test_what_is_read_is_what_was_written() -> None:
    made = mail.Mail(
        html="<p>“Grüße” & more</p>\n<img src='cid:a.png'>\n" + "x" * 2000 + "\n",
        pictures=(("a.png", b"\x89PNG\r\n\x00\xff"), ("b.png", b"\x89PNG")),
        attachments=(("2026-11-21.pdf", b"%PDF\r\n.\r\n\xff"),),
    )
    assert mail.read(mail.written(made)) == made
    for other in (b"", b"\x00\xff", b"Subject: x\n\nplain"):
        with pytest.raises(ValueError, match="no mail"):
            mail.read(other)


def test_no_credential_leaves_in_it(told: Home) -> None:
    house = house_of(told, PERSONAL_PIPELINE_MAIL_REPORT="true")
    board = with_state(fresh_board(), State.FAILING, "stripe", detail=f"Refused: {SECRET}.")
    morning.write_morning_report(house, board)
    assert "Refused: ***." in kept(told).html
    assert SECRET not in kept(told).html


def test_it_says_what_needs_a_person_and_nothing_of_what_is_well(told: Home) -> None:
    house = house_of(told, PERSONAL_PIPELINE_MAIL_REPORT="true")
    board = [
        replace(line, detail="All is well with me.") if line.source == "kit" else line
        for line in with_state(fresh_board(), State.LATE, "medium", detail="Save the answers.")
    ]
    morning.write_morning_report(house, board)
    assert "Save the answers." in kept(told).html
    assert "All is well with me." not in kept(told).html


def test_the_pdf_goes_along_if_it_can_be_printed(
    told: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    on = {"PERSONAL_PIPELINE_MAIL_REPORT": "true", "PERSONAL_PIPELINE_MAIL_PDF": "true"}
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(pdf, "_PLACES", {})
    morning.write_morning_report(house_of(told, **on), fresh_board())
    assert kept(told).attachments == ()
    assert "install Chromium, Chrome or Edge" in kept(told).html

    def printed(report: Path) -> Path:
        path = report.with_suffix(".pdf")
        path.write_bytes(b"%PDF")
        return path

    monkeypatch.setattr(pdf, "pdf_of", printed)
    morning.write_morning_report(house_of(told, **on), fresh_board())
    assert kept(told).attachments == ((f"{TODAY}.pdf", b"%PDF"),)
    assert "install Chromium" not in kept(told).html
