"""The report of a month and the rewind of a year against values counted by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
from lxml.html import HtmlElement

from personal_pipeline import duck
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.outputs.comparison import Span
from personal_pipeline.outputs.morning import (
    is_month_current,
    month_digest,
    write_month_report,
    write_rewind,
)
from personal_pipeline.outputs.periods import build_month, build_year
from personal_pipeline.settings import Settings
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_health,
    write_marts,
    write_two_years,
)
from personal_pipeline_tests.outputs.report_page import (
    BUILT_AT,
    SECTIONS,
    anchors,
    card,
    page_of,
    table,
    words,
)

OCTOBER = date(2026, 10, 1)


def days(first: date, last: date, **figures: Any) -> Iterator[dict[str, Any]]:
    for day in Span(first, last).each():
        yield {"day": day, **figures}


LIFE = [
    *days(date(2025, 10, 1), date(2026, 9, 30), views=10),
    *days(date(2026, 10, 1), date(2026, 10, 17), views=20),
    *days(date(2026, 10, 18), date(2026, 10, 18), views=270),
    *days(date(2026, 10, 19), date(2026, 10, 31), views=20),
    *days(date(2026, 11, 1), date(2026, 11, 20), views=7000),
]


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    steps = list(days(date(2026, 9, 1), date(2026, 10, 31), steps=8000))
    for each in steps:
        each["steps"] += 500 * (each["day"].month == 10)
        each["month"] = each["day"].replace(day=1)
    return write_marts(
        tmp_path_factory.mktemp("periods") / "warehouse.duckdb",
        creator_daily=LIFE,
        health_daily=steps,
    )


def month_page(database: Path, month: date) -> HtmlElement:
    published = duck.File(database, read_only=True)
    board = with_health(fresh_board())
    return page_of(build_month(published, month, board, built_at=BUILT_AT).html)


@pytest.fixture(scope="module")
def october(marts: Path) -> HtmlElement:
    return month_page(marts, OCTOBER)


def test_a_month_against_the_one_before_and_a_year_before(october: HtmlElement) -> None:
    # 30 * 20 + 270 against 30 * 10 and 31 * 10; seven of twelve months have 310
    assert card(october, "Views") == (
        "Views 870 ▲2.8 times the usual 310 ▲190% vs Sep 2026 ▲181% vs Oct 2025"
    )
    assert table(october, "The month against")[:2] == [
        ["Figure", "Oct 2026", "Sep 2026", "Change", "Oct 2025", "Change"],
        ["Views", "870", "300", "▲190%", "310", "▲181%"],
    ]


def test_what_is_a_mean_is_one_of_a_month_too(october: HtmlElement) -> None:
    assert card(october, "Steps") == (
        "Steps 8,500 daily mean ▲6.2% vs Sep 2026 not known vs Oct 2025"
    )


def test_a_month_says_what_was_unusual_in_it_and_nothing_of_the_next(
    october: HtmlElement,
) -> None:
    assert words(october.find(".//h1")) == "October 2026"
    (headline,) = october.xpath("//div[@class='headline']")
    assert words(headline) == "All of October 2026 870 views; 8,500 steps on average."
    said = [words(each) for each in october.xpath("//ul[@class='unusual']/li")]
    assert "▲Views: 870 in October 2026, 2.8 times the usual 310 of a month." in said
    assert "▲Views: 270 on Sunday 18 October 2026, 27 times the usual 10." in said
    assert not any("November" in each for each in said)
    assert "Nov 2026" not in words(october.get_element_by_id("overview"))


def test_a_month_shows_every_area_as_a_day_does(tmp_path: Path) -> None:
    database = write_two_years(tmp_path / "warehouse.duckdb", date(2026, 11, 20))
    page = month_page(database, OCTOBER)
    assert [each for each in anchors(page) if each != "body"] == SECTIONS
    assert "As of 31 October 2026" in words(page.get_element_by_id("stories"))


def rewound(database: Path, within: Span) -> HtmlElement:
    published = duck.File(database, read_only=True)
    return page_of(build_year(published, within, fresh_board(), built_at=BUILT_AT).html)


def test_a_year_is_on_one_page_by_month(marts: Path) -> None:
    page = rewound(marts, Span(date(2026, 1, 1), date(2026, 10, 31)))
    assert words(page.find(".//h1")) == "2026"
    assert anchors(page) == ["overview", "months"]
    months = page.get_element_by_id("months")
    # 273 * 10 + 870; of the year before only three months are known
    assert "3,600, most in October, 870." in words(months)
    rows = table(page, "Views by month")
    assert rows[1] == ["Oct 2026", "870", "31 of 31"]
    assert rows[-1] == ["Jan 2026", "310", "31 of 31"]


def test_a_year_that_runs_ends_yesterday(marts: Path) -> None:
    page = rewound(marts, Span(date(2026, 1, 1), date(2026, 11, 10)))
    assert table(page, "Views by month")[1] == ["Nov 2026 (so far)", "70,000", "10 of 10"]


def house_of(home: Home, now: datetime) -> House:
    return House(Settings(PERSONAL_PIPELINE_START="2026-01-01"), home, (), clock=lambda: now)


@pytest.fixture
def told(home: Home) -> Home:
    """A home whose tables are published, with partitions of months and one of all."""
    home.published.parent.mkdir(parents=True, exist_ok=True)
    write_marts(home.published, creator_daily=LIFE)
    with duckdb.connect(str(home.published)) as connection:
        connection.execute("create schema pipeline")
        connection.execute(
            "create table pipeline.ledger (asset varchar, partition varchar, digest varchar)"
        )
    add(home, "marts/creator_daily", "2026-10-31", "a")
    return home


def add(home: Home, asset: str, partition: str, digest: str) -> None:
    with duckdb.connect(str(home.published)) as connection:
        connection.execute(
            "delete from pipeline.ledger where asset = ? and partition = ?", [asset, partition]
        )
        connection.execute(
            "insert into pipeline.ledger values (?, ?, ?)", [asset, partition, digest]
        )


SECOND = datetime(2026, 11, 2, 7, tzinfo=UTC)


def test_the_month_is_due_on_the_second(told: Home) -> None:
    assert is_month_current(house_of(told, SECOND - timedelta(days=1)))
    house = house_of(told, SECOND)
    assert not is_month_current(house)
    written = write_month_report(house, [])
    assert (written.path.name, written.path.stem) == ("2026-10.html", "2026-10")
    assert is_month_current(house)
    # the next one, a month later
    assert not is_month_current(house_of(told, SECOND + timedelta(days=30)))


def test_a_late_statement_makes_the_month_new_and_the_days_after_it_do_not(told: Home) -> None:
    house = house_of(told, SECOND)
    write_month_report(house, [])
    before = month_digest(house, OCTOBER)
    add(told, "marts/creator_daily", "2026-11-01", "b")
    add(told, "marts/broadcasts", "whole", "c")
    add(told, "staging/transactions", "2026-10-01", "d")
    assert is_month_current(house)
    add(told, "marts/transactions", "2026-10-01", "e")
    assert not is_month_current(house)
    assert write_month_report(house, []).digest != before


def test_nothing_is_written_of_a_month_before_the_data(told: Home) -> None:
    house = House(Settings(PERSONAL_PIPELINE_START="2026-11-01"), told, (), clock=lambda: SECOND)
    assert is_month_current(house)


def test_a_rewind_is_kept_among_the_reports(told: Home) -> None:
    written = write_rewind(house_of(told, SECOND), [], 2026)
    assert written.path == told.reports / "2026.html"
    assert not (told.reports / "latest.html").exists()
