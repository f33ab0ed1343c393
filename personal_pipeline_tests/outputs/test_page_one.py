"""Page one over every area: what is new, what is unusual, and what the data says of why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from lxml.html import HtmlElement

from personal_pipeline.freshness import State
from personal_pipeline.outputs import overview
from personal_pipeline.outputs.comparison import Span
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_bank,
    with_health,
    with_state,
    write_marts,
)
from personal_pipeline_tests.outputs.report_page import build, card, page_of, section, table, words

BOARD = with_bank(with_health(fresh_board()))
FIRST, LAST = date(2026, 6, 1), date(2026, 11, 20)
NO_SALES = {"revenue_gross": 0, "revenue_net": 0, "currency": "usd"}


def each_day(
    last: date, figures: Callable[[int], dict[str, Any]], **newest: Any
) -> Iterator[dict[str, Any]]:
    """Days from ``FIRST`` to ``last``, a little different from each other, and then the last."""
    for place, day in enumerate(Span(FIRST, last).each()):
        month = {"month": day.replace(day=1), "day": day}
        yield {**month, **figures(place % 9), **(newest if day == last else {})}


def creator(**newest: Any) -> list[dict[str, Any]]:
    days = each_day(
        LAST, lambda n: {"views": 100 + n, "subscribers_new": 5 + n % 3, **NO_SALES}, **newest
    )
    return [{name: each[name] for name in each if name != "month"} for each in days]


def account(last: date = LAST) -> list[dict[str, Any]]:
    told = {"account_id": "a", "account": "Bank …1", "currency": "usd", "is_covered": True}
    return list(each_day(last, lambda n: {**told, "balance": "1500.00", "balance_from": "carried"}))


def spending(last: date = LAST, *more: tuple[date, str, str]) -> list[dict[str, Any]]:
    daily = [(day, f"-{20 + day.day % 5}.00", "CORNER SHOP") for day in Span(FIRST, last).each()]
    return [
        {
            "month": day.replace(day=1),
            "transaction_id": f"{day} {payee}",
            "account_id": "a",
            "account": "Bank …1",
            "posted_on": day,
            "amount": amount,
            "currency": "usd",
            "description": payee,
            "kind": "spending",
            "category": None,
        }
        for day, amount, payee in (*daily, *more)
    ]


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A day on which something happened in four areas."""
    return write_marts(
        tmp_path_factory.mktemp("page") / "warehouse.duckdb",
        creator_daily=creator(views=900, subscribers_new=40),
        story_stats=[
            {"story_id": "a", "title": "On <Bees>", "published_at": "2026-11-19 08:00:00"}
        ],
        story_stats_daily=[
            {"story_id": "a", "day": LAST, "month": date(2026, 11, 1), "views": 800},
            {"story_id": "b", "day": LAST, "month": date(2026, 11, 1), "views": 100},
        ],
        broadcasts=[{"broadcast_id": "7", "subject": "Letter 7", "sent_at": "2026-11-19 09:00:00"}],
        accounts_daily=account(),
        transactions=spending(LAST, (LAST, "-480.00", "HALCYON COMPUTERS")),
        health_daily=[
            *each_day(LAST, lambda n: {"steps": 8000 + 50 * n}, steps=21000),
            # of the day of the export, steps are not known
            {"month": date(2026, 11, 1), "day": date(2026, 11, 21), "steps": 5},
        ],
        activities=[
            {
                "activity_id": "1",
                "kind": "run",
                "start_at": "2026-11-20 07:00:00",
                "moving_seconds": 5400,
                "distance_m": 15_000,
            }
        ],
    )


@pytest.fixture(scope="module")
def page(marts: Path) -> HtmlElement:
    return page_of(build(marts, BOARD))


def test_every_area_is_in_the_headline(page: HtmlElement) -> None:
    (headline,) = page.xpath("//div[@class='headline']")
    assert words(headline) == (
        "Yesterday, Friday 20 November 2026 900 views; 40 new subscribers; "
        "$500.00 spent, $1,500.00 on the accounts; 21,000 steps, 1 workout."
    )


def test_the_most_unusual_of_each_area_is_said_with_what_the_data_knows(page: HtmlElement) -> None:
    said = [words(each) for each in page.xpath("//ul[@class='unusual']/li")]
    assert len(said) == overview.UNUSUAL_SHOWN
    # by how far they are from what is usual
    assert said[0] == (
        "▲Spent: $500.00, 23 times the usual $22.00 of a Friday. $480.00 went to HALCYON COMPUTERS."
    )
    assert said[1] == (
        "▲Views: 900, 8.7 times the usual 104 of a Friday. “On <Bees>”, published on 19 Nov 2026, "
        "had 800 views."
    )
    everything = " ".join(
        words(each) for each in page.xpath("//ul[@class='unusual']/li | //ul[@class='cards']/li")
    )
    assert "▲23 times the usual $22.00" in everything
    assert "▲2.6 times the usual 8,200" in everything


def test_each_area_knows_its_reasons(marts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overview, "UNUSUAL_SHOWN", 9)
    said = [words(each) for each in page_of(build(marts, BOARD)).xpath("//ul[@class='unusual']/li")]
    assert [each.partition(". ")[2] for each in said] == [
        "$480.00 went to HALCYON COMPUTERS.",
        "“On <Bees>”, published on 19 Nov 2026, had 800 views.",
        "Run, 1 h 30 min, 15.0 km.",
        "“Letter 7” was sent on the day before.",
    ]


def test_a_quiet_day_says_so_without_colour(tmp_path: Path) -> None:
    database = write_marts(
        tmp_path / "warehouse.duckdb",
        creator_daily=creator(),
        accounts_daily=account(),
        transactions=spending(),
    )
    page = page_of(build(database, BOARD))
    assert "Nothing unusual: none of 4 figures is far from what is usual." in words(
        section(page, "overview")
    )
    assert not section(page, "overview").xpath(
        ".//ul[@class='cards']//*[contains(@class, 'good') or contains(@class, 'bad')]"
    )


def test_statements_that_come_late_are_shown_by_their_month(tmp_path: Path) -> None:
    october = date(2026, 10, 31)
    database = write_marts(
        tmp_path / "warehouse.duckdb",
        creator_daily=creator(),
        accounts_daily=account(october),
        transactions=spending(october, (october, "-5000.00", "HALCYON COMPUTERS")),
    )
    board = with_state(BOARD, State.DUE, "bank", detail="Download the statement of November.")
    page = page_of(build(database, board))
    first, second = (words(each) for each in page.xpath("//div[contains(@class, 'headline')]"))
    assert first.startswith("Yesterday, Friday 20 November 2026")
    # 31 days of 20 to 24 dollars, and the computer
    assert second == (
        "Money, known until Saturday 31 October 2026; in Oct 2026 "
        "$5,681.00 spent, $1,500.00 on the accounts."
    )
    assert card(page, "Spent").startswith("Spent $5,681.00 Oct 2026 ▲")
    # a day of three weeks ago is not news
    assert not page.xpath("//ul[@class='unusual']")


def test_page_one_holds_no_more_cards_than_a_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overview, "CARDS_SHOWN", 4)
    database = write_marts(
        tmp_path / "warehouse.duckdb",
        creator_daily=[{**each, "subscribers_active": 9} for each in creator()],
        accounts_daily=account(),
        transactions=spending(),
        health_daily=list(each_day(LAST, lambda n: {"steps": 8000 + n})),
    )
    shown = page_of(build(database, BOARD))
    titles = [words(each) for each in shown.xpath("//ul[@class='cards']//h2")]
    # the first of each area, before the second of any
    assert titles == ["Views", "New subscribers", "Spent", "Steps"]
    listed = [row[0] for row in table(shown, "The day against")]
    assert {"Active subscribers", "Balance", "Steps"} <= set(listed)


def test_a_setting_that_was_lost_does_not_hide_an_area(tmp_path: Path) -> None:
    database = write_marts(
        tmp_path / "warehouse.duckdb", accounts_daily=account(), transactions=spending()
    )
    never = [replace(each, newest_data=None) for each in with_state(BOARD, State.WAITING, "bank")]
    assert "spent" in words(section(page_of(build(database, BOARD)), "overview"))
    assert "spent" not in words(section(page_of(build(database, never)), "overview"))
