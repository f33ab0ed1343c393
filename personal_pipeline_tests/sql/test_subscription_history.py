"""What subscriptions brought in the past does not change because of what happens today: looks at a
Stripe that changes, through the lake and dbt."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from personal_pipeline.ingest.contract import Record
from personal_pipeline_tests.sql.conftest import Warehouse
from personal_pipeline_tests.sql.small_life import price, seconds, subscription


def monthly(id_: str, day: str, amount: int = 1_000, **more: object) -> Record:
    return subscription(id_, day, {"price": price(amount, "month")}, **more)


def ended(record: Record, day: str) -> Record:
    at = seconds(day)
    return {**record, "status": "canceled", "canceled_at": at, "ended_at": at}


ACTIVE = monthly("sub_a", "2025-01-05")
CONVERTED = monthly("sub_converted", "2025-02-20", trial_end=seconds("2025-03-06"))
IN_TRIAL = monthly("sub_trial", "2025-03-01", status="trialing", trial_end=seconds("2025-03-15"))
GAVE_UP = ended(monthly("sub_up", "2025-02-01", trial_end=seconds("2025-02-15")), "2025-02-15")
CHEAP = monthly("sub_price", "2025-02-01", 2_000)
DEAR = monthly("sub_price", "2025-02-01", 5_000)
LATER_PAUSED = monthly("sub_paused", "2025-01-10", 3_000)
LATE = monthly("sub_late", "2025-01-10", 700, status="past_due")
UNPAID = monthly("sub_unpaid", "2024-11-01", 900, status="unpaid")

FIRST = [ACTIVE, CONVERTED, IN_TRIAL, GAVE_UP, CHEAP, LATER_PAUSED, LATE, UNPAID]
SECOND = [
    {**ACTIVE, "status": "unpaid"},
    CONVERTED,
    {**IN_TRIAL, "status": "active"},
    GAVE_UP,
    DEAR,
    {**LATER_PAUSED, "pause_collection": {"behavior": "void", "resumes_at": None}},
    LATE,
    UNPAID,
    ended(monthly("sub_short", "2025-03-12"), "2025-03-18"),
    # made now, and dated back into a year that is over
    {**monthly("sub_back", "2025-03-19", 500), "start_date": seconds("2024-06-01")},
]
THIRD = [
    # its customer is deleted: the first of them is in no list any more, nor is the converted one
    {**IN_TRIAL, "status": "active"},
    GAVE_UP,
    ended(DEAR, "2025-04-02"),
    LATER_PAUSED,
    # seen as ended only now, and Stripe says that it was long ago
    ended(LATE, "2025-02-03"),
    ended(UNPAID, "2025-04-01"),
    *SECOND[-2:],
]


def months(warehouse: Warehouse) -> dict[str, tuple[Decimal, int]]:
    """Recurring revenue and paying subscriptions at the end of the months of the story."""
    warehouse.build("+revenue_monthly")
    return {
        f"{month:%Y-%m}": (mrr, active)
        for month, mrr, active in warehouse.query(
            "select month, mrr, subscriptions_active from marts.revenue_monthly"
            " where month <= '2025-04-01' order by month"
        )
    }


def movements(warehouse: Warehouse, since: str) -> list[tuple[object, ...]]:
    return warehouse.query(
        "select day, started, ended, mrr_started, mrr_ended, mrr_changed"
        f" from marts.subscription_movements_daily where day >= '{since}' order by day"
    )


def test_what_happens_today_changes_no_month_that_was_over(warehouse: Warehouse) -> None:
    see = warehouse.lake.see
    assert see("stripe", "subscription_states", "2025-03-10 08:00", FIRST).failure is None
    before = months(warehouse)
    assert before["2025-01"] == (Decimal(47), 3)
    assert before["2025-02"] == (Decimal(67), 4)
    # the trial counts from its end on, and of what is unpaid nothing is known
    assert movements(warehouse, "2025-02-02") == [
        (date(2025, 3, 6), 1, 0, Decimal(10), Decimal(0), Decimal(0))
    ]

    see("stripe", "subscription_states", "2025-03-20 08:00", SECOND)
    see("stripe", "subscription_states", "2025-04-05 08:00", THIRD)
    after = months(warehouse)
    assert (after["2025-01"], after["2025-02"]) == (before["2025-01"], before["2025-02"])
    # the converted 10, the other trial 10, 50 by the new price, 5 dated back, 7 past due
    assert after["2025-03"] == (Decimal(82), 5)
    # the second trial 10, the pause that is over 30, 5 dated back
    assert after["2025-04"] == (Decimal(45), 3)
    none = Decimal(0)
    assert movements(warehouse, "2025-03-07") == [
        (date(2025, 3, 12), 1, 0, Decimal(10), none, none),
        (date(2025, 3, 15), 1, 0, Decimal(10), none, none),
        (date(2025, 3, 18), 0, 1, none, Decimal(10), none),
        # unpaid and paused end, what is dated back starts, and the price rises
        (date(2025, 3, 20), 1, 2, Decimal(5), Decimal(40), Decimal(30)),
        (date(2025, 4, 2), 0, 1, none, Decimal(50), none),
        # the pause is over; two are gone, of which one was paying; one had ended
        (date(2025, 4, 5), 1, 2, Decimal(30), Decimal(17), none),
    ]


def test_the_prices_of_a_time_stay_in_the_tables(warehouse: Warehouse) -> None:
    for moment, record in (("2025-03-10 08:00", CHEAP), ("2025-03-10 20:00", DEAR)):
        warehouse.lake.see("stripe", "subscription_states", moment, [record])
    warehouse.build("stg_stripe__subscription_states", "stg_stripe__subscription_state_items")
    assert warehouse.query(
        "select hour(seen_at), unit_amount, status from staging.stg_stripe__subscription_states"
        " join staging.stg_stripe__subscription_state_items using (day, record_key)"
        " where day = cast(seen_at as date) order by 1"
    ) == [(8, Decimal(20), "active"), (20, Decimal(50), "active")]
