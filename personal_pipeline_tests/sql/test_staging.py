"""Staging: one typed row a record, whatever odd values it holds."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from personal_pipeline_tests.sql.conftest import Warehouse
from personal_pipeline_tests.sql.small_life import (
    ACCOUNT_EXPORT_DECEMBER,
    ACCOUNT_EXPORT_JANUARY,
    ACCOUNT_EXPORT_MARCH,
    CHARGES,
    FEED_ITEMS,
    MOVEMENTS,
    RESPONSE_STATS_DAILY,
    STORY_A,
    STORY_B,
    STORY_STATS_DAILY,
    at,
)


@pytest.mark.parametrize(
    ("currency", "amount_minor", "amount"),
    [("usd", 10_000, "100"), ("jpy", 5_000, "5000"), ("kwd", 1_234, "1.234")],
)
def test_an_amount_is_in_minor_and_in_whole_units(
    built: Warehouse, currency: str, amount_minor: int, amount: str
) -> None:
    assert built.query(
        "select amount_minor, amount from staging.stg_stripe__balance_transactions"
        f" where day = '2025-01-10' and currency = '{currency}'"
    ) == [(amount_minor, Decimal(amount))]


def test_a_row_keeps_its_key_and_its_file(built: Warehouse) -> None:
    assert built.query(
        "select day, record_key, lake_file, created_at, currency"
        " from staging.stg_stripe__charges where charge_id = 'ch_txn_1'"
    ) == [
        (
            date(2025, 1, 10),
            "ch_txn_1",
            "stripe/charges/day=2025-01-10/part.jsonl.gz",
            at("2025-01-10 12:00"),
            "usd",
        )
    ]
    assert built.query(
        "select month, lake_file from staging.stg_kit__subscriber_export limit 1"
    ) == [(date(2025, 2, 1), "kit/subscriber_export/month=2025-02-01/part.jsonl.gz")]


def test_every_record_lands_once(built: Warehouse) -> None:
    counts = dict(
        built.query(
            " union all ".join(
                f"select '{name}', count(*) from staging.stg_{name}"
                for name in (
                    "stripe__balance_transactions",
                    "stripe__charges",
                    "medium__feed",
                    "medium__story_stats_daily",
                    "medium__account_export",
                )
            )
        )
    )
    assert counts == {
        "stripe__balance_transactions": len(MOVEMENTS),
        "stripe__charges": len(CHARGES),
        "medium__feed": len(FEED_ITEMS),
        "medium__story_stats_daily": len([*STORY_STATS_DAILY, *RESPONSE_STATS_DAILY]),
        "medium__account_export": len(
            [*ACCOUNT_EXPORT_DECEMBER, *ACCOUNT_EXPORT_JANUARY, *ACCOUNT_EXPORT_MARCH]
        ),
    }


def test_an_odd_value_is_null_and_spoils_nothing_else(built: Warehouse) -> None:
    assert built.query(
        "select disputed, amount, customer_id from staging.stg_stripe__charges"
        " where charge_id = 'ch_txn_2'"
    ) == [(None, Decimal(5000), "cus_2")]


def test_a_payout_that_failed_names_both_of_its_movements(built: Warehouse) -> None:
    assert built.query(
        "select status, amount, arrives_at, balance_transaction_id, failure_balance_transaction_id"
        " from staging.stg_stripe__payouts"
    ) == [("failed", Decimal(90), at("2025-01-17"), "txn_5", "txn_6")]


def test_a_subscription_is_there_on_every_day_of_its_life(built: Warehouse) -> None:
    rows = built.query(
        "select day, status, ended_at from staging.stg_stripe__subscriptions"
        " where subscription_id = 'sub_b' order by day"
    )
    ended = at("2025-02-10 12:00")
    assert rows == [
        (date(2025, 1, 10), "canceled", ended),
        (date(2025, 1, 20), "canceled", ended),
        (date(2025, 2, 10), "canceled", ended),
    ]


@pytest.mark.parametrize(
    ("item", "mrr"),
    [
        ("si_sub_a_0", "20"),
        ("si_sub_b_0", "10"),
        ("si_sub_c_0", "500"),
        ("si_sub_old_0", "6.5"),
        ("si_sub_mixed_0", "9"),
        ("si_sub_mixed_1", None),
        ("si_sub_mixed_2", "0"),
    ],
)
def test_what_an_item_brings_a_month(built: Warehouse, item: str, mrr: str | None) -> None:
    assert built.query(
        f"select distinct mrr from staging.stg_stripe__subscription_items where item_id = '{item}'"
    ) == [(mrr and Decimal(mrr),)]


def test_the_paid_period_is_read_from_both_places(built: Warehouse) -> None:
    of_item = built.query(
        "select item_id, current_period_starts_at from staging.stg_stripe__subscription_items"
        " where item_id in ('si_sub_c_0', 'si_sub_old_0') order by 1"
    )
    of_subscription = built.query(
        "select subscription_id, current_period_starts_at from staging.stg_stripe__subscriptions"
        " where subscription_id in ('sub_c', 'sub_old') order by 1"
    )
    starts = [at("2025-02-01 12:00"), at("2025-02-20 12:00")]
    assert [start for _, start in of_item] == starts
    assert [start for _, start in of_subscription] == starts


def test_times_with_an_offset_become_utc(built: Warehouse) -> None:
    assert built.query(
        "select starts_at, cancellations from staging.stg_kit__growth_stats"
        " where day = '2025-01-20'"
    ) == [(at("2025-01-20 05:00"), 1)]


def test_the_export_keeps_columns_that_nobody_knows(built: Warehouse) -> None:
    rows = built.query(
        "select email, joined_at, tags, other_columns from staging.stg_kit__subscriber_export"
        " where email in ('reader1@example.com', 'reader7@example.com') order by email"
    )
    assert [row[:3] for row in rows] == [
        ("reader1@example.com", at("2025-01-02 10:00"), "vip,early"),
        ("reader7@example.com", at("2025-02-03 10:00"), None),
    ]
    assert [json.loads(row[3]) for row in rows] == [{"Favourite colour": "green"}, {}]


def test_shapes_of_statistics_meet_in_the_same_columns(built: Warehouse) -> None:
    rows = built.query(
        "select shape, presentations, views, reads, earnings, earnings_currency"
        " from staging.stg_medium__story_stats"
        f" where story_id = '{STORY_A}' or shape = 'post_stat' order by captured_on, shape"
    )
    assert rows == [
        ("posts_connection", None, 200, 80, Decimal("12.346"), "usd"),
        ("post_stat", None, 50, 0, None, None),
        ("posts_connection", 900, 300, 110, Decimal("12.346"), "usd"),
        ("funnel", 950, None, None, None, None),
    ]


def test_daily_earnings_are_cents(built: Warehouse) -> None:
    assert built.query(
        "select earnings_minor, earnings, earnings_final from staging.stg_medium__story_stats_daily"
        f" where story_id = '{STORY_B}'"
    ) == [(5, Decimal("0.05"), False)]


def test_drafts_and_responses_are_told_apart(built: Warehouse) -> None:
    assert built.query(
        "select kind, count(*), count(published_at) from staging.stg_medium__account_export"
        " group by kind order by kind"
    ) == [("draft", 1, 0), ("response", 1, 1), ("story", 2, 2)]


def test_flags_as_people_write_them(built: Warehouse) -> None:
    rows = built.query(
        "select story_id, title, boosted, boosted_on, other_columns->>'genre'"
        " from staging.stg_google_sheets__story_flags where day = '2025-02-20' order by story_id"
    )
    assert rows == [
        (STORY_A, None, True, date(2025, 1, 15), "essay"),
        ("abcdefabcdef", None, False, None, None),
        (None, "exported b", True, date(2025, 1, 16), None),
    ]


def test_stripes_own_examples_land_typed(warehouse: Warehouse, samples: Path) -> None:
    resources = json.loads((samples / "stripe" / "fixtures3.json").read_text())["resources"]
    for name in ("balance_transaction", "charge", "refund", "payout", "customer", "subscription"):
        warehouse.lake.file("stripe", f"{name}s", [resources[name]])
    warehouse.build("staging.stripe")
    made = at("2009-02-13 23:31:30")
    rows = {
        name: warehouse.records(f"select * from staging.stg_stripe__{name}")
        for name in (
            "balance_transactions",
            "charges",
            "refunds",
            "payouts",
            "customers",
            "subscriptions",
            "subscription_items",
        )
    }
    assert {name: len(found) for name, found in rows.items()} == dict.fromkeys(rows, 1)
    assert rows["balance_transactions"][0]["available_at"] == made
    assert rows["balance_transactions"][0]["amount"] == Decimal(1)
    assert rows["charges"][0]["card_brand"] == "visa"
    assert rows["charges"][0]["paid"] is True
    assert rows["charges"][0]["customer_id"] is None
    assert rows["refunds"][0]["charge_id"] == rows["charges"][0]["charge_id"]
    assert rows["payouts"][0]["amount"] == Decimal(11)
    assert rows["payouts"][0]["arrives_at"] == made
    assert rows["customers"][0]["delinquent"] is False
    assert rows["subscriptions"][0]["customer_id"] == rows["customers"][0]["customer_id"]
    assert rows["subscriptions"][0]["ended_at"] == made
    item = rows["subscription_items"][0]
    assert item["subscription_id"] == rows["subscriptions"][0]["subscription_id"]
    assert (item["unit_amount"], item["mrr"], item["interval"]) == (
        Decimal(20),
        Decimal(20),
        "month",
    )
    assert {found[0]["day"] for found in rows.values()} == {date(2009, 2, 13)}
