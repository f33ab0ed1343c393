"""The figures of the report against values counted by hand."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from lxml.html import HtmlElement

from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    never_connected,
    write_marts,
    write_small_life,
)
from personal_pipeline_tests.outputs.report_page import build, card, page_of, section, table, words


@pytest.fixture(scope="module")
def overview_page(tmp_path_factory: pytest.TempPathFactory) -> HtmlElement:
    database = tmp_path_factory.mktemp("small") / "warehouse.duckdb"
    return page_of(build(write_small_life(database)))


def test_headline(overview_page: HtmlElement) -> None:
    assert words(overview_page.xpath("//div[@class='headline']")[0]) == (
        "Yesterday, Friday 20 November 2026 "
        "1,234 views, $1.50 earned on Medium, 1 story published; "
        "2 new subscribers, 1 cancelled, 120 active; "
        "€19.00 gross on Stripe, €18.15 net."
    )


def test_a_card_without_two_known_months_judges_nothing(overview_page: HtmlElement) -> None:
    # 19 * 20 + 1,234 = 1,614 against 20 * 10 = 200
    assert card(overview_page, "Views") == (
        "Views 1,234 Nov 2026 so far 1,614 ▲707% vs 1–20 Oct 2026 not known vs 1–20 Nov 2025"
    )


def test_what_is_unusual_is_said_with_what_is_usual(overview_page: HtmlElement) -> None:
    # of a year of days without a sale it is known that they were without one; views are known for
    # seven weeks only
    (said,) = overview_page.xpath("//ul[@class='unusual']/li")
    assert words(said) == ("▲Stripe gross: €19.00, above the usual €0.00 of a Friday.")
    assert said.xpath(".//span[@class='move good']")
    assert said.xpath(".//a/@href") == ["#revenue"]


def test_a_level_is_held_against_single_days(overview_page: HtmlElement) -> None:
    assert card(overview_page, "Active subscribers") == (
        "Active subscribers 120 ▲0.8% vs 19 Nov 2026 not known vs 20 Oct 2026 ▲118% vs 20 Nov 2025"
    )


def test_money_from_zero_and_in_its_currency(overview_page: HtmlElement) -> None:
    assert card(overview_page, "Stripe gross") == (
        "Stripe gross €19.00 ▲above the usual €0.00 Nov 2026 so far €19.00 "
        "▲from zero vs 1–20 Oct 2026 not known vs 1–20 Nov 2025"
    )


def test_what_may_be_below_zero_changes_by_a_difference(overview_page: HtmlElement) -> None:
    rows = {row[0]: row for row in table(overview_page, "The day against")}
    assert rows["Stripe net"][1:5] == ["20 Nov 2026", "€18.15", "€0.00", "▲€18.15"]
    assert rows["Net subscribers"][2:5] == ["+1", "+1", "=no change"]


def test_table_of_the_month(overview_page: HtmlElement) -> None:
    rows = {row[0]: row for row in table(overview_page, "The month against")}
    assert rows["Views"] == [
        "Views",
        "1–20 Nov 2026",
        "1,614",
        "200",
        "▲707%",
        "100",
        "not known",
    ]
    assert rows["Medium earnings"][2:4] == ["$30.00", "—"]


@pytest.fixture(scope="module")
def stories_page(tmp_path_factory: pytest.TempPathFactory) -> HtmlElement:
    def story(name: str, views: int, earnings: str, boosted: bool) -> dict[str, object]:
        return {
            "story_id": name,
            "title": f"Story {name}",
            "url": f"https://medium.com/p/{name}",
            "published_at": "2026-09-01 08:00:00",
            "views": views,
            "reads": views // 2,
            "read_ratio": 0.5,
            "earnings": earnings,
            "earnings_currency": "usd",
            "boosted": boosted,
            "last_captured_on": date(2026, 10, 31),
        }

    def views(name: str, day: date, number: int) -> dict[str, object]:
        return {"month": day.replace(day=1), "story_id": name, "day": day, "views": number}

    database = write_marts(
        tmp_path_factory.mktemp("stories") / "warehouse.duckdb",
        story_stats=[
            story("a", 1000, "10.00", True),
            story("b", 100, "1.00", False),
            story("c", 300, "2.00", False),
        ],
        story_stats_daily=[
            # the newest day is 31 October: 28 days begin on 4 October, 7 on 25 October
            views("a", date(2026, 10, 3), 99),
            views("a", date(2026, 10, 4), 50),
            views("a", date(2026, 10, 24), 30),
            views("a", date(2026, 10, 25), 20),
            views("b", date(2026, 10, 18), 10),
            views("b", date(2026, 10, 31), 70),
            views("c", date(2026, 10, 3), 7),
            views("c", date(2026, 10, 2), 8),
        ],
    )
    return page_of(build(database))


def test_says_as_of_when(stories_page: HtmlElement) -> None:
    assert "As of 31 October 2026" in words(section(stories_page, "stories"))


def test_most_viewed_of_the_last_28_days(stories_page: HtmlElement) -> None:
    assert table(stories_page, "Most viewed")[1:] == [
        ["Story a boosted", "100", "99", "▲1.0%", "50.0%"],
        ["Story b", "80", "—", "not known", "50.0%"],
    ]


def test_rising_in_the_last_7_days(stories_page: HtmlElement) -> None:
    rows = table(stories_page, "Stories that gained")
    assert rows[1:] == [["Story b", "", "70", "10", "+60", "▲600%"]]


def test_boosted_against_not(stories_page: HtmlElement) -> None:
    assert table(stories_page, "Boosted stories and")[1:] == [
        ["Boosted", "1", "1,000", "1,000", "50.0%", "$10.00", "$10.00"],
        ["Not boosted", "2", "200", "200", "50.0%", "$1.50", "$3.00"],
    ]


@pytest.fixture(scope="module")
def subscribers_page(tmp_path_factory: pytest.TempPathFactory) -> HtmlElement:
    def day(when: date, active: int, new: int, cancelled: int, states: int) -> dict[str, object]:
        return {
            "day": when,
            "active": active,
            "new": new,
            "cancelled": cancelled,
            "net": new - cancelled,
            "active_by_states": states,
            "disagreement": active - states,
        }

    database = write_marts(
        tmp_path_factory.mktemp("subscribers") / "warehouse.duckdb",
        subscribers_daily=[
            day(date(2026, 10, 30), 900, 5, 1, 900),
            day(date(2026, 10, 31), 1000, 101, 1, 1000),
            day(date(2026, 11, 19), 1008, 10, 2, 1008),
            day(date(2026, 11, 20), 1005, 2, 5, 1000),
        ],
        subscriber_segments_monthly=[
            {"month": date(2026, 9, 1), "segment": "confirmed", "subscribers": 800},
            {"month": date(2026, 11, 1), "segment": "cold", "subscribers": 90},
            {"month": date(2026, 11, 1), "segment": "confirmed", "subscribers": 880},
        ],
        broadcasts=[
            {
                "broadcast_id": "7",
                "subject": "Hello",
                "sent_at": "2026-11-20 23:30:00",
                "recipients": 1003,
                "open_rate": 60.97,
                "click_rate": 4.0,
                "unsubscribes": 2,
                "total_clicks": 41,
            },
            {"broadcast_id": "8", "subject": "Not sent yet", "sent_at": "2026-11-21 07:00:00"},
        ],
    )
    return page_of(build(database))


def test_months(subscribers_page: HtmlElement) -> None:
    assert table(subscribers_page, "Active subscribers at the end")[1:] == [
        ["Nov 2026 (so far)", "1,005", "▲0.5%"],
        ["Oct 2026", "1,000", "not known"],
    ]
    assert table(subscribers_page, "New and cancelled")[1:] == [
        ["Nov 2026 (so far)", "12", "7", "+5"],
        ["Oct 2026", "106", "2", "+104"],
    ]


def test_tells_of_the_disagreement(subscribers_page: HtmlElement) -> None:
    assert (
        "On 20 November 2026 Kit's growth statistics count 1,005 active subscribers, but the "
        "subscribers' own states 1,000: they differ by 5 (0.5%)."
    ) in words(section(subscribers_page, "subscribers"))
    assert table(subscribers_page, "Subscribers by day")[1] == [
        "20 Nov 2026",
        "1,005",
        "2",
        "5",
        "−3",
        "1,000",
        "5",
    ]


def test_segments_against_the_export_before(subscribers_page: HtmlElement) -> None:
    assert "Segments in the export of November 2026" in words(
        section(subscribers_page, "subscribers")
    )
    assert table(subscribers_page, "Subscribers by segment") == [
        ["Segment", "Subscribers", "Sep 2026", "Change"],
        ["confirmed", "880", "800", "▲10%"],
        ["cold", "90", "—", "not known"],
    ]


def test_broadcasts_that_were_sent(subscribers_page: HtmlElement) -> None:
    assert table(subscribers_page, "The last broadcast")[1:] == [
        ["Hello", "20 Nov 2026", "1,003", "61.0% so far", "4.0% so far", "41", "2"]
    ]


REVENUE_MONTHS = (
    {
        "month": date(2026, 10, 1),
        "currency": "usd",
        "gross": "1200.00",
        "fees": "36.00",
        "refunds": "20.00",
        "net": "1129.00",
        "payouts": "1000.00",
        "medium_earnings": "150.25",
        "mrr": "800.00",
        "subscriptions_active": 100,
        "subscriptions_started": 7,
        "subscriptions_ended": 2,
    },
    {
        "month": date(2026, 11, 1),
        "currency": "usd",
        "gross": "600.00",
        "fees": "18.00",
        "refunds": "0",
        "net": "582.00",
        "payouts": "500.00",
        "medium_earnings": "0",
        "mrr": "816.00",
        "subscriptions_active": 102,
        "subscriptions_started": 3,
        "subscriptions_ended": 1,
    },
    {
        "month": date(2026, 11, 1),
        "currency": "jpy",
        "gross": "3000",
        "fees": "100",
        "refunds": "0",
        "net": "2900",
        "payouts": "0",
        "medium_earnings": "0",
        "mrr": "0",
        "subscriptions_active": 0,
        "subscriptions_started": 0,
        "subscriptions_ended": 0,
    },
)


@pytest.fixture(scope="module")
def revenue_marts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_marts(
        tmp_path_factory.mktemp("revenue") / "warehouse.duckdb",
        revenue_monthly=REVENUE_MONTHS,
        revenue_daily=[
            {"day": date(2026, 11, 19), "currency": "usd", "payouts": "500.00"},
            {"day": date(2026, 11, 20), "currency": "jpy", "payouts": "-2900"},
        ],
        creator_daily=[
            # Medium has told until 31 October only; Stripe counts zeros on any day
            {
                "day": date(2026, 10, 31),
                "views": 5,
                "medium_earnings": "150.25",
                "revenue_gross": "10",
                "currency": "usd",
            },
            {"day": date(2026, 11, 20), "revenue_gross": "0", "currency": "usd"},
        ],
    )


def test_by_month_and_currency(revenue_marts: Path) -> None:
    page = page_of(build(revenue_marts))
    assert table(page, "Stripe by month, USD")[1:] == [
        ["Nov 2026 (so far)", "$600.00", "$18.00", "$0.00", "$0.00", "$582.00", "$500.00"],
        # 1,200 - 36 - 20 - 1,129: fifteen were disputed
        ["Oct 2026", "$1,200.00", "$36.00", "$20.00", "$15.00", "$1,129.00", "$1,000.00"],
    ]
    assert table(page, "Stripe by month, JPY")[1:] == [
        ["Nov 2026 (so far)", "¥3,000", "¥100", "¥0", "¥0", "¥2,900", "¥0"]
    ]


def test_a_month_that_medium_has_not_told_of_is_not_zero(revenue_marts: Path) -> None:
    page = page_of(build(revenue_marts))
    assert "Stripe as of 20 November 2026, Medium as of 31 October 2026" in words(
        section(page, "revenue")
    )
    assert table(page, "Stripe and Medium by month")[1:] == [
        ["Nov 2026 (so far)", "$582.00", "—", "—"],
        ["Oct 2026", "$1,129.00", "$150.25", "$1,279.25"],
    ]


def test_recurring_revenue(revenue_marts: Path) -> None:
    page = page_of(build(revenue_marts))
    assert "$816.00 a month, up 2.0% since the end of Oct 2026." in words(page)
    assert table(page, "Recurring revenue")[1:] == [
        ["Nov 2026 (so far)", "$816.00", "102", "3", "1"],
        ["Oct 2026", "$800.00", "100", "7", "2"],
    ]


def test_payouts_and_those_that_came_back(revenue_marts: Path) -> None:
    assert table(page_of(build(revenue_marts)), "The latest days with a payout")[1:] == [
        ["20 Nov 2026", "JPY", "−¥2,900"],
        ["19 Nov 2026", "USD", "$500.00"],
    ]


def test_medium_alone_when_stripe_is_not_connected(revenue_marts: Path) -> None:
    board = never_connected(fresh_board(), "stripe")
    page = page_of(build(revenue_marts, board))
    revenue = section(page, "revenue")
    assert table(page, "Medium earnings by month")[1:] == [["Oct 2026", "$150.25"]]
    assert "Stripe" not in words(revenue)
    assert "Payouts" not in words(revenue)
