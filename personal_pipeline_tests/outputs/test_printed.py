"""The report on paper, as Chromium prints it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline import duck
from personal_pipeline.freshness import State
from personal_pipeline.outputs import report
from personal_pipeline.outputs.comparison import Measure, Span
from personal_pipeline.outputs.figures import Figures, Query
from personal_pipeline.outputs.page import Section
from personal_pipeline.outputs.pdf import NoBrowser, browser, pdf_of
from personal_pipeline.outputs.periods import build_year
from personal_pipeline.outputs.sections import SECTIONS
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_bank,
    with_health,
    write_two_years,
)
from personal_pipeline_tests.outputs.report_page import BUILT_AT, build
from personal_pipeline_tests.outputs.test_report_body import DAYS as BODY
from personal_pipeline_tests.outputs.test_report_money import BOOKINGS
from personal_pipeline_tests.outputs.test_report_money import DAYS as MONEY

MOST_PAGES = 8
UNTIL = date(2026, 11, 20)

Print = Callable[[str], int]


@pytest.fixture
def pages(tmp_path: Path) -> Print:
    """How many pages a report has in print."""
    try:
        browser()
    except NoBrowser:
        pytest.skip("no Chromium is installed on this machine")

    def printed(html: str) -> int:
        file = tmp_path / "report.html"
        file.write_text(html, encoding="utf-8")
        return len(re.findall(rb"/Type\s*/Page[^s]", pdf_of(file).read_bytes()))

    return printed


def busy_home(folder: Path) -> Path:
    return write_two_years(
        folder / "warehouse.duckdb",
        UNTIL,
        accounts_daily=MONEY,
        transactions=BOOKINGS,
        health_daily=BODY,
    )


def test_a_busy_life_has_a_page_an_area_and_one_for_all(tmp_path: Path, pages: Print) -> None:
    board = with_bank(with_health(fresh_board()))
    assert pages(build(busy_home(tmp_path), board)) == 1 + 5


def test_a_rewind_is_one_page(tmp_path: Path, pages: Print) -> None:
    published = duck.File(busy_home(tmp_path), read_only=True)
    board = with_bank(with_health(fresh_board()))
    within = Span(date(2026, 1, 1), UNTIL)
    assert pages(build_year(published, within, board, built_at=BUILT_AT).html) == 1


def test_with_everything_in_trouble_it_is_still_eight(tmp_path: Path, pages: Print) -> None:
    advice = "1. Open the settings of the account.\n2. Make an export.\n3. Put it into the inbox."
    board = [
        replace(line, state=State.LATE, detail=f"{advice} ({line.stream})")
        for line in with_bank(with_health(fresh_board()))
    ]
    assert pages(build(busy_home(tmp_path), board)) <= MOST_PAGES


def test_many_more_areas_share_their_pages(
    tmp_path: Path, pages: Print, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copies(section: Section, number: int) -> Section:
        return replace(section, anchor=f"{section.anchor}-{number}", title=f"Area {number}")

    def many(figures: Figures) -> Sequence[Measure]:
        known: dict[date, Any] = {UNTIL - timedelta(days=n): n % 7 for n in range(200)}
        return [Measure(title=f"M{n}", known=known, query=Query("", ()), card=True) for n in "abc"]

    crowd = [replace(copies(each, n), measures=many) for n in range(3) for each in SECTIONS]
    monkeypatch.setattr(report, "SECTIONS", (*SECTIONS, *crowd))
    board = with_bank(with_health(fresh_board()))
    html = build(busy_home(tmp_path), board)
    assert html.count('class="area') == 20
    assert pages(html) <= MOST_PAGES


def test_a_quiet_area_shares_a_page(tmp_path: Path, pages: Print) -> None:
    board = with_bank(with_health(fresh_board()))
    late = build(busy_home(tmp_path), board, UNTIL + timedelta(days=60))
    assert late.count('class="area shared-page"') == 5
    assert pages(late) <= 3


def test_without_a_browser_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NoBrowser, match="install Chromium"):
        browser()


def test_a_browser_that_fails_leaves_the_pdf_that_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "chromium"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr("personal_pipeline.outputs.pdf.NAMES", ("chromium",))
    page, before = tmp_path / "report.html", tmp_path / "report.pdf"
    page.write_text("<p>page</p>")
    before.write_bytes(b"%PDF")
    with pytest.raises(NoBrowser, match="did not print"):
        pdf_of(page)
    assert before.read_bytes() == b"%PDF"
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        "chromium",
        "report.html",
        "report.pdf",
    ]
