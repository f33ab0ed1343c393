"""Marts of the small life, counted by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from personal_pipeline_tests.sql.conftest import Warehouse
from personal_pipeline_tests.sql.small_life import (
    FEED_ONLY,
    HOME_CURRENCY,
    STORY_A,
    STORY_B,
    STORY_C,
    at,
    today,
)


def row(built: Warehouse, sql: str) -> dict[str, Any]:
    rows = built.records(sql)
    assert len(rows) == 1, rows
    return rows[0]


def decimals(**amounts: str) -> dict[str, Decimal]:
    return {name: Decimal(amount) for name, amount in amounts.items()}


# Stories


def test_drafts_responses_and_untagged_items_are_no_stories(built: Warehouse) -> None:
    stories = {STORY_A, STORY_B, STORY_C, FEED_ONLY}
    for table in ("story_stats", "story_publications"):
        assert {each for (each,) in built.query(f"select story_id from marts.{table}")} == stories
    assert {
        each for (each,) in built.query("select distinct story_id from marts.story_stats_daily")
    } == {STORY_A, STORY_B}


def test_a_story_has_the_newest_figure_of_each_kind(built: Warehouse) -> None:
    assert row(built, f"select * from marts.story_stats where story_id = '{STORY_A}'") == {
        "story_id": STORY_A,
        "title": "Story A",
        "url": f"https://medium.com/@me/exported-{STORY_A}",
        "published_at": at("2025-01-08 12:00"),
        "reading_time_minutes": 4.5,
        "member_only": True,
        "presentations": 950,
        "views": 300,
        "reads": 110,
        "read_ratio": 110 / 300,
        "earnings": Decimal("12.346"),
        "earnings_currency": "usd",
        "boosted": True,
        "boosted_on": date(2025, 1, 15),
        "last_captured_on": date(2025, 3, 3),
    }


def test_a_story_without_statistics_is_known_from_elsewhere(built: Warehouse) -> None:
    rows = built.query(
        "select story_id, title, published_at, views, last_captured_on from marts.story_stats"
        " where views is null order by story_id"
    )
    assert rows == [
        (FEED_ONLY, "From the feed", at("2025-02-05 12:00"), None, None),
        (STORY_B, "Exported B", at("2025-01-09 12:00"), None, None),
    ]


def test_the_newest_sheet_says_what_was_boosted(built: Warehouse) -> None:
    assert built.query(
        "select story_id, boosted, boosted_on from marts.story_stats order by story_id"
    ) == [
        (STORY_A, True, date(2025, 1, 15)),
        (FEED_ONLY, False, None),
        (STORY_B, True, date(2025, 1, 16)),
        (STORY_C, False, None),
    ]


def test_a_day_has_views_by_story_or_else_by_account(built: Warehouse) -> None:
    assert built.query(
        "select day, views, views_from, readers, earnings, earnings_final"
        " from marts.engagement_daily order by day"
    ) == [
        (date(2025, 1, 10), 50, "stories", 20, Decimal("1.30"), False),
        (date(2025, 1, 11), 30, "account", 12, Decimal("0.50"), None),
        (date(2025, 1, 12), 9, "account", 0, None, None),
    ]


def test_a_month_of_stories(built: Warehouse) -> None:
    january, february, march = built.records(
        "select * from marts.engagement_monthly order by month"
    )
    assert january == {
        "month": date(2025, 1, 1),
        "views": 89,
        "reads": 32,
        "reads_from": "account",
        "read_ratio": 32 / 89,
        "earnings": Decimal("1.80"),
        "stories_published": 2,
        "stories_boosted": 2,
        "boosted_share": 1.0,
        "followers_gained": 7,
        "subscribers_gained": 2,
    }
    # the first capture of a story tells nothing of the month, unless it came out in it
    assert (february["views"], february["reads"], february["reads_from"]) == (None, 0, "lifetime")
    assert (february["stories_published"], february["boosted_share"]) == (2, 0.0)
    assert (march["reads"], march["reads_from"], march["read_ratio"]) == (30, "lifetime", None)
    assert (march["stories_published"], march["boosted_share"]) == (0, None)


# Audience


def test_subscribers_come_and_go_by_their_states(built: Warehouse) -> None:
    columns = "new, cancelled, bounced, complained, other_left, left_undated"
    assert built.query(
        f"select day, {columns} from marts.subscriber_movements_daily order by 1"
    ) == [
        (date(2025, 1, 2), 2, 0, 0, 0, 0, 0),
        (date(2025, 1, 3), 2, 0, 0, 0, 0, 0),
        (date(2025, 1, 4), 2, 0, 0, 0, 0, 1),
        (date(2025, 1, 20), 0, 1, 0, 0, 0, 0),
        (date(2025, 1, 25), 0, 0, 1, 0, 0, 0),
        (date(2025, 2, 1), 0, 0, 0, 1, 0, 0),
        (date(2025, 2, 3), 1, 0, 0, 0, 0, 0),
    ]


def test_growth_stats_go_before_states_and_the_difference_is_kept(built: Warehouse) -> None:
    assert built.query(
        "select day, active, new, cancelled, net, active_by_states, disagreement"
        " from marts.subscribers_daily order by day"
    ) == [
        (date(2025, 1, 2), 2, 2, 0, 2, 2, 0),
        (date(2025, 1, 3), 4, 2, 0, 2, 4, None),
        (date(2025, 1, 4), 5, 2, 0, 2, 5, None),
        (date(2025, 1, 20), 5, 0, 1, -1, 4, 1),
        (date(2025, 1, 21), 5, 0, 0, 0, 4, 1),
        (date(2025, 1, 25), 3, 0, 0, 0, 3, None),
        (date(2025, 2, 1), 2, 0, 0, 0, 2, None),
        (date(2025, 2, 3), 3, 1, 0, 1, 3, None),
    ]


def test_active_by_states_ends_at_who_is_active(built: Warehouse) -> None:
    assert built.query(
        "select arg_max(active_by_states, day) from marts.subscribers_daily"
    ) == built.query(
        "select count(distinct subscriber_id) from staging.stg_kit__subscribers"
        " where state = 'active'"
    )


def test_segments_of_the_export(built: Warehouse) -> None:
    assert built.query("select * from marts.subscriber_segments_monthly order by segment") == [
        (date(2025, 2, 1), "cancelled", 1),
        (date(2025, 2, 1), "confirmed", 2),
        (date(2025, 2, 1), "unknown", 1),
    ]


def test_only_what_was_sent_is_a_broadcast(built: Warehouse) -> None:
    columns = "broadcast_id, sent_at, recipients, open_rate, total_clicks, captured_on"
    assert built.query(f"select {columns} from marts.broadcasts order by sent_at") == [
        ("11", at("2025-01-10 08:00"), 41, 60.97, 9, date(2025, 1, 14)),
        ("14", at("2025-01-11 04:00"), None, None, None, None),
    ]


# Revenue


@pytest.mark.parametrize(
    ("day", "currency", "expected"),
    [
        ("2025-01-10", "usd", decimals(gross="100", fees="3.2", net="96.8", medium_earnings="1.3")),
        ("2025-01-10", "jpy", decimals(gross="5000", fees="180", net="4820", medium_earnings="0")),
        ("2025-01-10", "kwd", decimals(gross="1.234", net="1.234")),
        ("2025-01-11", "usd", decimals(gross="0", net="0", medium_earnings="0.5")),
        ("2025-01-12", "usd", decimals(gross="0", refunds="40", net="-40")),
        ("2025-01-15", "usd", decimals(net="0", payouts="90")),
        ("2025-01-18", "usd", decimals(net="0", payouts="-90")),
        ("2025-01-20", "usd", decimals(fees="1.5", net="-1.5")),
        ("2025-01-21", "usd", decimals(disputes="20", fees="15", adjustments="0.7", net="-34.3")),
        ("2025-01-22", "usd", decimals(gross="25", net="25")),
        ("2025-01-31", "usd", decimals(gross="8", net="8")),
    ],
)
def test_a_day_of_revenue(
    built: Warehouse, day: str, currency: str, expected: dict[str, Decimal]
) -> None:
    found = row(
        built, f"select * from marts.revenue_daily where day = '{day}' and currency = '{currency}'"
    )
    assert {name: found[name] for name in expected} == expected


def test_subscriptions_start_when_paid_and_end_when_ended(built: Warehouse) -> None:
    assert built.query("select * from marts.subscription_movements_daily order by day") == [
        (date(2025, 1, 5), "usd", 1, 0, Decimal(20), Decimal(0), Decimal(0)),
        (date(2025, 1, 10), "usd", 1, 0, Decimal(10), Decimal(0), Decimal(0)),
        (date(2025, 2, 1), "jpy", 1, 0, Decimal(500), Decimal(0), Decimal(0)),
        (date(2025, 2, 10), "usd", 0, 1, Decimal(0), Decimal(10), Decimal(0)),
        (date(2025, 2, 17), "usd", 1, 0, Decimal(9), Decimal(0), Decimal(0)),
        (date(2025, 2, 20), "usd", 1, 0, Decimal("6.5"), Decimal(0), Decimal(0)),
        (date(2025, 2, 21), "usd", 1, 0, Decimal(9), Decimal(0), Decimal(0)),
    ]


def test_a_month_of_revenue(built: Warehouse) -> None:
    assert row(
        built,
        "select * from marts.revenue_monthly where month = '2025-01-01' and currency = 'usd'",
    ) == {
        "month": date(2025, 1, 1),
        "currency": "usd",
        **decimals(
            gross="133",
            fees="19.7",
            refunds="40",
            disputes="20",
            adjustments="0.7",
            net="54",
            payouts="0",
            medium_earnings="1.8",
            mrr="30",
        ),
        "subscriptions_active": 2,
        "subscriptions_started": 2,
        "subscriptions_ended": 0,
    }


def test_recurring_revenue_goes_on_through_months_in_which_nothing_happens(
    built: Warehouse,
) -> None:
    rows = built.query(
        "select month, mrr, subscriptions_active, subscriptions_started, subscriptions_ended, gross"
        " from marts.revenue_monthly where currency = 'usd' and month > '2025-01-01' order by month"
    )
    assert rows[0] == (date(2025, 2, 1), Decimal("44.5"), 4, 3, 1, Decimal(0))
    assert rows[1] == (date(2025, 3, 1), Decimal("44.5"), 4, 0, 0, Decimal(0))
    assert rows[-1][:2] == (today().replace(day=1), Decimal("44.5"))
    assert len(rows) == len({month for month, *_ in rows})


# The line a day


def test_the_line_a_day(built: Warehouse) -> None:
    lines = {line["day"]: line for line in built.records("select * from marts.creator_daily")}
    assert lines[date(2025, 1, 10)] == {
        "day": date(2025, 1, 10),
        "views": 50,
        "medium_earnings": Decimal("1.30"),
        "stories_published": 0,
        "broadcasts_sent": 1,
        "subscribers_active": None,
        "subscribers_new": None,
        "subscribers_cancelled": None,
        "subscribers_net": None,
        "revenue_gross": Decimal(5_000),
        "revenue_net": Decimal(4_820),
        "currency": HOME_CURRENCY,
        "revenue_other_currencies": 2,
    }
    assert lines[date(2025, 1, 9)]["stories_published"] == 1
    assert lines[date(2025, 1, 11)]["broadcasts_sent"] == 1
    assert lines[date(2025, 1, 20)]["subscribers_cancelled"] == 1
    assert lines[date(2025, 2, 5)]["views"] is None


def test_a_source_that_never_came_has_tables_without_rows(
    warehouse: Warehouse, built: Warehouse
) -> None:
    warehouse.build(with_tests=False)
    assert warehouse.content() == dict.fromkeys(built.tables(), (0, 0))
