"""A few months of one writer, small enough to be counted by hand: records as the services give
them, filed in the lake by the sources' own rules."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, DropStream, Record, Source
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.lake import Row, StreamLake, lake_of
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.ingest.test_fetch import Clocked

HOME_CURRENCY = "jpy"
DECEMBER = date(2024, 12, 1)
JANUARY = date(2025, 1, 1)
FEBRUARY = date(2025, 2, 1)
MARCH = date(2025, 3, 1)

API_STREAMS: dict[tuple[str, str], ApiStream] = {
    (source.name, stream.name): stream for source in SOURCES for stream in source.api
}
STREAMS: dict[tuple[str, str], ApiStream | DropStream] = {
    (source.name, stream.name): stream for source in SOURCES for stream in source.streams
}


def seconds(day: str, clock: str = "12:00") -> int:
    """Epoch seconds of a UTC time."""
    return int(datetime.fromisoformat(f"{day}T{clock}:00+00:00").timestamp())


def millis(day: str) -> int:
    return seconds(day) * 1000


def at(text: str) -> datetime:
    """A UTC time as the warehouse has it: without a zone."""
    return datetime.fromisoformat(text)


class Lake:
    """Writes partitions below a folder through the code that real data takes."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def stream(self, source: str, stream: str) -> StreamLake:
        return lake_of(Home(self.root.parent), source, STREAMS[source, stream])

    def file(self, source: str, stream: str, records: Iterable[Record]) -> None:
        """File an API stream's records under the days that its source says."""
        declared = API_STREAMS[source, stream]
        days: dict[date, dict[str, Row]] = defaultdict(dict)
        for record in records:
            for day in declared.days(record):
                days[day][declared.key(record)] = Row(declared.key(record), record)
        self.stream(source, stream).write_units({day: rows.values() for day, rows in days.items()})

    def look(self, source: str, stream: str, day: str, records: Iterable[Record]) -> None:
        """Write a snapshot that was taken on a day."""
        declared = API_STREAMS[source, stream]
        self.stream(source, stream).write(
            date.fromisoformat(day), [Row(declared.key(each), each) for each in records]
        )

    def see(self, source: str, stream: str, moment: str, records: Iterable[Record]) -> FetchResult:
        """Look at a stream of states at a UTC time, through the code that does it every day."""
        now = at(moment).replace(tzinfo=UTC)
        told = list(records)
        each = replace(API_STREAMS[source, stream], fetch_all=lambda client: iter(told))
        declared = Source(name=source, title=source, description="", api=(each,))
        return fetch_stream(Home(self.root.parent), declared, each, Clocked(now), now=now)

    def drop(
        self, stream: str, month: date, rows: dict[str, Record], source: str = "medium"
    ) -> None:
        """Write a month of a drop."""
        self.stream(source, stream).write(
            month,
            [
                Row(key, record, as_of="2025-03-03T08:00:00Z", origin="0" * 64)
                for key, record in rows.items()
            ],
        )


def movement(
    id_: str, day: str, amount: int, currency: str = "usd", fee: int = 0, **more: Any
) -> Record:
    """A balance transaction."""
    return {
        "id": id_,
        "object": "balance_transaction",
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": currency,
        "created": seconds(day),
        "available_on": seconds(day) + 172_800,
        "status": "available",
        "type": "charge",
        "reporting_category": "charge",
        "source": f"ch_{id_}",
        **more,
    }


MOVEMENTS = [
    movement("txn_1", "2025-01-10", 10_000, fee=320),
    movement("txn_2", "2025-01-10", 5_000, "jpy", fee=180),
    movement("txn_3", "2025-01-10", 1_234, "kwd"),
    movement("txn_4", "2025-01-12", -4_000, type="refund", reporting_category="refund"),
    movement("txn_5", "2025-01-15", -9_000, type="payout", reporting_category="payout"),
    movement(
        "txn_6", "2025-01-18", 9_000, type="payout_failure", reporting_category="payout_reversal"
    ),
    movement("txn_7", "2025-01-20", -150, type="stripe_fee", reporting_category="fee"),
    movement(
        "txn_8", "2025-01-21", -2_000, fee=1_500, type="adjustment", reporting_category="dispute"
    ),
    movement("txn_9", "2025-01-21", 5_000, type="topup", reporting_category="topup"),
    movement("txn_10", "2025-01-21", 70, type="something_new", reporting_category=None),
    # as a server gives it that knows no categories
    movement("txn_11", "2025-01-22", 2_500, type="payment", reporting_category=None),
    # paid in the last second of a UTC day
    movement("txn_12", "2025-01-31", 800, created=seconds("2025-01-31", "23:59")),
]

CUSTOMERS = [
    {"id": "cus_1", "created": seconds("2025-01-04"), "email": "a@example.com", "currency": "usd"},
    {"id": "cus_2", "created": seconds("2025-01-04"), "balance": -500, "currency": "jpy"},
]

CHARGES = [
    {
        "id": "ch_txn_1",
        "created": seconds("2025-01-10"),
        "amount": 10_000,
        "amount_captured": 10_000,
        "amount_refunded": 4_000,
        "currency": "USD",
        "customer": "cus_1",
        "status": "succeeded",
        "paid": True,
        "payment_method_details": {"type": "card", "card": {"brand": "visa"}},
        "receipt_url": "https://example.com/signed-anew-each-time",
    },
    {
        "id": "ch_txn_2",
        "created": seconds("2025-01-10"),
        "amount": 5_000,
        "currency": "jpy",
        "customer": {"id": "cus_2", "object": "customer"},
        "status": "succeeded",
        "disputed": "perhaps",
    },
    {
        "id": "ch_failed",
        "created": seconds("2025-01-11"),
        "amount": 900,
        "currency": "usd",
        "customer": "cus_gone",
        "status": "failed",
        "failure_code": "card_declined",
    },
]

REFUNDS = [
    {
        "id": "re_1",
        "created": seconds("2025-01-12"),
        "amount": 4_000,
        "currency": "usd",
        "charge": "ch_txn_1",
        "status": "succeeded",
    }
]

PAYOUTS = [
    {
        "id": "po_1",
        "created": seconds("2025-01-15"),
        "arrival_date": seconds("2025-01-17", "00:00"),
        "amount": 9_000,
        "currency": "usd",
        "status": "failed",
        "failure_code": "account_closed",
        "balance_transaction": "txn_5",
        "failure_balance_transaction": "txn_6",
    }
]


def price(amount: int | None, interval: str, count: int = 1, **more: Any) -> Record:
    return {
        "id": f"price_{amount}_{interval}",
        "product": "prod_1",
        "unit_amount": amount,
        "unit_amount_decimal": None if amount is None else str(amount),
        "currency": "usd",
        "recurring": {"interval": interval, "interval_count": count, "usage_type": "licensed"},
        **more,
    }


def subscription(id_: str, day: str, *items: Record, **more: Any) -> Record:
    return {
        "id": id_,
        "object": "subscription",
        "created": seconds(day),
        "start_date": seconds(day),
        "currency": "usd",
        "customer": "cus_1",
        "status": "active",
        "discounts": [],
        "items": {
            "object": "list",
            "data": [
                {
                    "id": f"si_{id_}_{number}",
                    "created": seconds(day),
                    "current_period_start": seconds(day),
                    "current_period_end": seconds(day) + 2_592_000,
                    "quantity": 1,
                    **item,
                }
                for number, item in enumerate(items)
            ],
        },
        **more,
    }


SUBSCRIPTIONS = [
    # two at 10.00 a month: 20.00
    subscription("sub_a", "2025-01-05", {"price": price(1_000, "month"), "quantity": 2}),
    # 120.00 a year: 10.00; cancelled in January, runs until February
    subscription(
        "sub_b",
        "2025-01-10",
        {"price": price(12_000, "year")},
        status="canceled",
        canceled_at=seconds("2025-01-20"),
        ended_at=seconds("2025-02-10"),
    ),
    subscription(
        "sub_c",
        "2025-02-01",
        {"price": price(500, "month", currency="jpy")},
        currency="jpy",
        customer="cus_2",
    ),
    # neither has paid
    subscription("sub_trial", "2025-02-03", {"price": price(900, "month")}, status="trialing"),
    subscription(
        "sub_tried",
        "2025-02-03",
        {"price": price(900, "month")},
        status="canceled",
        trial_end=seconds("2025-02-17"),
        canceled_at=seconds("2025-02-05"),
        ended_at=seconds("2025-02-17"),
    ),
    # paid after its trial: 9.00 from its end
    subscription(
        "sub_paid",
        "2025-02-03",
        {"price": price(900, "month")},
        trial_end=seconds("2025-02-17"),
    ),
    # as it was before prices: a plan, the period on the subscription; 3.00 a week less 50 %: 6.50
    subscription(
        "sub_old",
        "2025-02-20",
        {
            "plan": {
                "id": "plan_1",
                "amount": 300,
                "currency": "usd",
                "interval": "week",
                "interval_count": 1,
                "product": "prod_2",
            },
            "current_period_start": None,
            "current_period_end": None,
        },
        current_period_start=seconds("2025-02-20"),
        current_period_end=seconds("2025-02-27"),
        discount={"coupon": {"percent_off": 50.0, "duration": "forever"}},
    ),
    # 1.00 off an invoice of two items, once nothing off; a metered and a tiered price
    subscription(
        "sub_mixed",
        "2025-02-21",
        {"price": price(1_000, "month")},
        {"price": price(None, "month", billing_scheme="tiered")},
        {
            "price": price(7, "month")
            | {"recurring": {"interval": "month", "interval_count": 1, "usage_type": "metered"}}
        },
        discounts=[
            {"source": {"coupon": {"amount_off": 300, "duration": "forever"}}},
            {"source": {"coupon": {"percent_off": 100, "duration": "once"}}},
            "di_not_expanded",
        ],
    ),
]


def subscriber(id_: int, joined: str, state: str = "active", **more: Any) -> Record:
    return {
        "id": id_,
        "email_address": f"Reader{id_}@example.com",
        "first_name": None,
        "state": state,
        "created_at": f"{joined}T10:00:00Z",
        "fields": {},
        **more,
    }


SUBSCRIBERS = [
    subscriber(1, "2025-01-02"),
    subscriber(2, "2025-01-02", "cancelled", canceled_at="2025-01-20T23:30:00Z"),
    subscriber(3, "2025-01-03", "bounced", updated_at="2025-01-25T01:00:00Z"),
    subscriber(4, "2025-01-03", "complained", updated_at="2025-02-01T01:00:00Z"),
    # left, but nobody knows when
    subscriber(5, "2025-01-04", "inactive"),
    # left once, and came back
    subscriber(6, "2025-01-04", canceled_at="2025-01-20T08:00:00Z"),
    subscriber(7, "2025-02-03"),
]


def growth(day: str, subscribers: int, new: int, cancellations: int) -> Record:
    return {
        "requested_day": day,
        "subscribers": subscribers,
        "new_subscribers": new,
        "cancellations": cancellations,
        "net_new_subscribers": new + cancellations,
        "starting": f"{day}T00:00:00.000-05:00",
        "ending": f"{day}T23:59:59.999-05:00",
    }


GROWTH = [
    growth("2025-01-02", 2, 2, 0),
    growth("2025-01-20", 5, 0, -1),
    growth("2025-01-21", 5, 0, 0),
]

BROADCASTS: list[Record] = [
    {
        "id": 11,
        "subject": "First letter",
        "created_at": "2025-01-09T08:00:00Z",
        "send_at": "2025-01-10T08:00:00Z",
        "status": "completed",
    },
    {"id": 12, "subject": None, "created_at": "2025-01-10T09:00:00Z", "status": "draft"},
    {
        "id": 13,
        "subject": "Later",
        "created_at": "2025-01-10T09:00:00Z",
        "send_at": "2025-02-10T09:00:00Z",
        "status": "scheduled",
    },
    # an account that tells no status
    {
        "id": 14,
        "subject": "Old letter",
        "created_at": "2025-01-10T07:00:00Z",
        "send_at": "2025-01-10T23:00:00-05:00",
    },
]


def broadcast_stats(id_: int, recipients: int, clicks: int) -> Record:
    return {
        "id": id_,
        "stats": {
            "recipients": recipients,
            "open_rate": 60.97,
            "click_rate": 4.5,
            "unsubscribes": 1,
            "total_clicks": clicks,
            "status": "completed",
            "progress": 100.0,
        },
    }


EXPORT: dict[str, Record] = {
    "reader1@example.com": {
        "email": "Reader1@example.com",
        "created_at": "2025-01-02 10:00:00 UTC",
        "tags": "vip,early",
        "Favourite colour": "green",
        "export_segment": "confirmed",
    },
    "reader7@example.com": {
        "email_address": "reader7@example.com",
        "created_at": "2025-02-03T10:00:00Z",
        "export_segment": "confirmed",
    },
    "reader2@example.com": {"email": "reader2@example.com", "export_segment": "cancelled"},
    "reader9@example.com": {"email": "reader9@example.com", "export_segment": None},
}

STORY_A, STORY_B, STORY_C = "aaaaaaaaaaaa", "bbbbbbbbbbbb", "cccccccccccc"
RESPONSE, DRAFT, UNTAGGED, FEED_ONLY = "dddddddddddd", "eeeeeeeeee", "ffffffffff", "abcdefabcdef"


def listed(story: str, captured: str, published: str | None, **totals: int | None) -> Record:
    """A story in today's list of statistics."""
    return {
        "story_id": story,
        "captured_on": captured,
        "shape": "posts_connection",
        "post": {
            "id": story,
            "title": f"Story {story[0].upper()}",
            "firstPublishedAt": published and millis(published),
            "readingTime": 4.5,
            "isLocked": True,
            "totalStats": {"presentations": None, **totals},
            "earnings": {"total": {"currencyCode": "USD", "units": "12", "nanos": 345_600_000}},
        },
    }


def keyed(rows: Iterable[Record], *names: str) -> dict[str, Record]:
    return {"@".join(str(row[name]) for name in names): row for row in rows}


STORY_STATS_FEBRUARY = keyed(
    [
        listed(STORY_A, "2025-02-02", "2025-01-08", views=200, reads=80),
        listed(RESPONSE, "2025-02-02", "2025-01-09", views=10, reads=10),
        # the old list: no presentations, no earnings
        {
            "story_id": STORY_C,
            "captured_on": "2025-02-03",
            "shape": "post_stat",
            "post": {
                "postId": STORY_C,
                "title": "Story C",
                "firstPublishedAt": millis("2025-02-01"),
                "views": 50,
                "reads": 0,
            },
        },
    ],
    "story_id",
    "captured_on",
)
STORY_STATS_MARCH = keyed(
    [
        listed(STORY_A, "2025-03-02", "2025-01-08", views=300, reads=110, presentations=900),
        listed(RESPONSE, "2025-03-02", "2025-01-09", views=20, reads=20),
        # Medium took views back, and never told a date
        listed(DRAFT, "2025-03-02", None, views=0, reads=0),
        {
            "story_id": STORY_A,
            "captured_on": "2025-03-03",
            "shape": "funnel",
            "post": {
                "id": STORY_A,
                "postStatsTotalBundle": {"viewersCount": 250, "presentationCount": 950},
            },
        },
    ],
    "story_id",
    "captured_on",
    "shape",
)


def charted(
    story: str, day: str, views: int | None, cents: int | None = None, final: bool | None = None
) -> Record:
    return {
        "story_id": story,
        "day": day,
        "stats": None
        if views is None
        else {
            "periodStartedAt": millis(day),
            "views": views,
            "internalReferrerViews": 1,
            "memberTtr": 60,
        },
        "earnings": None if cents is None else {"periodStartedAt": millis(day), "amount": cents},
        "final": final,
    }


STORY_STATS_DAILY = [
    charted(STORY_A, "2025-01-10", 40, 125, True),
    charted(STORY_B, "2025-01-10", 10, 5, False),
    charted(RESPONSE, "2025-01-10", 7),
    charted(STORY_A, "2025-01-11", None, 50, None),
]

RESPONSE_STATS_DAILY = [charted(RESPONSE, "2025-02-10", 3)]

ACCOUNT_STATS_DAILY = {
    day: {
        "day": day,
        "point": {"timestamp": millis(day), "stats": {"total": {"viewers": v, "readers": r}}},
    }
    for day, v, r in (("2025-01-10", 45, 20), ("2025-01-11", 30, 12), ("2025-01-12", 9, 0))
}


def span_total(first: str, last: str, followers: int) -> Record:
    return {
        "shape": "range",
        "starts_on": first,
        "ends_on": last,
        "totals": {"netFollowersGained": followers, "netSubscribersGained": 2},
        "followers": None,
        "username": None,
    }


ACCOUNT_STATS = keyed(
    [
        span_total("2025-01-01", "2025-01-20", 4),
        span_total("2025-01-01", "2025-01-31", 7),
        span_total("2025-01-01", "2025-02-28", 20),
    ],
    "starts_on",
    "ends_on",
)


def exported(post: str, kind: str, published: str | None) -> Record:
    return {
        "post_id": post,
        "kind": kind,
        "title": f"Exported {post[0].upper()}",
        "published_at": published and f"{published}T12:00:00.000Z",
        "tags": ["writing"],
        "canonical_url": published and f"https://medium.com/@me/exported-{post}",
        "word_count": 100,
        "image_count": 0,
        "body_text": "Words.",
        "file": f"{post}.html",
    }


# the statistics give it another day, in another month
ACCOUNT_EXPORT_DECEMBER = keyed([exported(STORY_A, "story", "2024-12-31")], "post_id")
ACCOUNT_EXPORT_JANUARY = keyed(
    [
        exported(STORY_B, "story", "2025-01-09"),
        exported(RESPONSE, "response", "2025-01-09"),
    ],
    "post_id",
)
ACCOUNT_EXPORT_MARCH = keyed([exported(DRAFT, "draft", None)], "post_id")


def feed_item(story: str, day: str, *, kind: str = "story", title: str = "From the feed") -> Record:
    return {
        "guid": f"https://medium.com/p/{story}",
        "story_id": story,
        "kind": kind,
        "title": title,
        "link": f"https://medium.com/@me/in-the-feed-{story}",
        "published": f"{day}T12:00:00.000Z",
        "updated": None,
        "categories": ["writing"] if kind == "story" else [],
        "creator": "Me",
        "content": "<p>Words.</p>",
    }


FEED_ITEMS = [
    # the statistics give it another day, and know that it is no response
    feed_item(STORY_C, "2025-01-31", kind="response"),
    feed_item(UNTAGGED, "2025-02-02", kind="response"),
    feed_item(FEED_ONLY, "2025-02-05"),
]


def sheet_row(**cells: str) -> Record:
    return {"title": "", "boosted": "", "boosted_date": "", **cells}


FLAGS_BEFORE = [sheet_row(story_id=FEED_ONLY, boosted="TRUE")]
FLAGS = [
    sheet_row(story_id=STORY_A, boosted="x", boosted_date="1/15/2025", genre="essay"),
    sheet_row(story_id="", title=" exported b ", boosted="yes", boosted_date="2025-01-16"),
    sheet_row(story_id=FEED_ONLY, boosted="no", boosted_date="soon"),
]


def write_small_life(lake: Lake) -> None:
    """Fill a lake with all of it."""
    lake.file("stripe", "balance_transactions", MOVEMENTS)
    lake.file("stripe", "charges", CHARGES)
    lake.file("stripe", "refunds", REFUNDS)
    lake.file("stripe", "payouts", PAYOUTS)
    lake.file("stripe", "customers", CUSTOMERS)
    lake.file("stripe", "subscriptions", SUBSCRIPTIONS)
    lake.see("stripe", "subscription_states", "2025-03-01 08:00", SUBSCRIPTIONS)
    # a day on which nothing happened is a file without rows
    lake.look("stripe", "charges", "2025-01-13", [])
    lake.file("kit", "subscribers", SUBSCRIBERS)
    lake.file("kit", "growth_stats", GROWTH)
    lake.file("kit", "broadcasts", BROADCASTS)
    lake.look("kit", "broadcast_stats", "2025-01-11", [broadcast_stats(11, 40, 3)])
    lake.look("kit", "broadcast_stats", "2025-01-14", [broadcast_stats(11, 41, 9)])
    lake.drop("subscriber_export", FEBRUARY, EXPORT, source="kit")
    lake.file("medium", "feed", FEED_ITEMS)
    lake.drop("story_stats", FEBRUARY, STORY_STATS_FEBRUARY)
    lake.drop("story_stats", MARCH, STORY_STATS_MARCH)
    lake.drop("story_stats_daily", JANUARY, keyed(STORY_STATS_DAILY, "story_id", "day"))
    lake.drop("story_stats_daily", FEBRUARY, keyed(RESPONSE_STATS_DAILY, "story_id", "day"))
    lake.drop("account_stats_daily", JANUARY, ACCOUNT_STATS_DAILY)
    lake.drop("account_stats", JANUARY, ACCOUNT_STATS)
    lake.drop("account_export", DECEMBER, ACCOUNT_EXPORT_DECEMBER)
    lake.drop("account_export", JANUARY, ACCOUNT_EXPORT_JANUARY)
    lake.drop("account_export", MARCH, ACCOUNT_EXPORT_MARCH)
    lake.look("google_sheets", "story_flags", "2025-02-06", FLAGS_BEFORE)
    lake.look("google_sheets", "story_flags", "2025-02-20", FLAGS)


def today() -> date:
    return datetime.now(UTC).date()
