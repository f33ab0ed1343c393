"""A published warehouse with invented rows, for tests: its tables are those of the dbt project."""

from __future__ import annotations

import csv
import math
import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

import duckdb
import yaml

from personal_pipeline.board import StreamState
from personal_pipeline.freshness import State

MARTS = Path(__file__).parents[2] / "sql" / "models" / "marts"
TABLES = {
    model["name"]: {column["name"]: column["data_type"] for column in model["columns"]}
    for path in sorted(MARTS.rglob("_models.yml"))
    for model in yaml.safe_load(path.read_text("utf-8"))["models"]
}
"""The columns of every mart with their types, as the project declares them."""

Rows = Iterable[dict[str, Any]]


def write_marts(database: Path, **rows: Rows) -> Path:
    """Write a warehouse in which every mart exists and holds the given rows; the rest are empty.

    A column that a row does not name is null.
    """
    with duckdb.connect(str(database)) as connection:
        connection.execute("create schema marts")
        for table, columns in TABLES.items():
            typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            connection.execute(f"create table marts.{table} ({typed})")
        for table, given in rows.items():
            for names, alike in groupby(given, key=tuple):
                _copy(connection, table, names, alike)
    return database


def _copy(
    connection: duckdb.DuckDBPyConnection, table: str, names: Sequence[str], rows: Rows
) -> None:
    # a statement a row takes minutes for two years
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", delete=False) as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    connection.execute(f"copy marts.{table} ({', '.join(names)}) from '{file.name}' (header)")
    Path(file.name).unlink()


def stream_state(
    source: str,
    stream: str,
    state: State = State.FRESH,
    *,
    route: Literal["api", "drop"] = "api",
    looked: datetime | None = datetime(2026, 11, 21, 6, 0, tzinfo=UTC),
    newest: date | None = date(2026, 11, 20),
    expected: date | None = date(2026, 11, 22),
    rows: int = 1234,
    unreadable: int = 0,
    detail: str = "",
) -> StreamState:
    titles = {"google_sheets": "Google Sheets", "apple_health": "Apple Health"}
    return StreamState(
        source=source,
        source_title=titles.get(source, source.capitalize()),
        stream=stream,
        route=route,
        state=state,
        last_fetched=looked,
        newest_data=newest,
        next_expected=expected,
        rows=rows,
        unreadable=unreadable,
        detail=detail,
    )


STREAMS: Sequence[tuple[str, str, Literal["api", "drop"]]] = (
    ("stripe", "balance_transactions", "api"),
    ("stripe", "charges", "api"),
    ("stripe", "refunds", "api"),
    ("stripe", "payouts", "api"),
    ("stripe", "customers", "api"),
    ("stripe", "subscriptions", "api"),
    ("kit", "subscribers", "api"),
    ("kit", "growth_stats", "api"),
    ("kit", "broadcasts", "api"),
    ("kit", "broadcast_stats", "api"),
    ("kit", "subscriber_export", "drop"),
    ("medium", "feed", "api"),
    ("medium", "story_stats", "drop"),
    ("medium", "story_stats_daily", "drop"),
    ("medium", "account_stats_daily", "drop"),
    ("medium", "account_export", "drop"),
    ("google_sheets", "story_flags", "api"),
)


def fresh_board() -> list[StreamState]:
    """Every stream of the house, all of them fresh."""
    return [
        stream_state(
            source,
            stream,
            route=route,
            newest=date(2026, 11, 1) if route == "drop" else date(2026, 11, 20),
        )
        for source, stream, route in STREAMS
    ]


def with_bank(board: Sequence[StreamState]) -> list[StreamState]:
    """The board of a person who drops statements, too."""
    streams = ("accounts", "statements", "balances", "transactions", "categories")
    return [*board, *(stream_state("bank", stream, route="drop") for stream in streams)]


def with_health(board: Sequence[StreamState]) -> list[StreamState]:
    """The board of a person who exports the phone, too."""
    streams = ("records", "workouts", "activity_summaries")
    return [*board, *(stream_state("apple_health", stream, route="drop") for stream in streams)]


def with_state(
    board: Sequence[StreamState], state: State, *sources: str, detail: str = ""
) -> list[StreamState]:
    """The board with every stream of some sources in another state."""
    return [
        replace(line, state=state, detail=detail) if line.source in sources else line
        for line in board
    ]


def never_dropped(source: str, stream: str) -> StreamState:
    """A stream of which nobody has ever dropped a file."""
    return stream_state(
        source, stream, State.WAITING, route="drop", looked=None, newest=None, expected=None
    )


def never_connected(board: Sequence[StreamState], *sources: str) -> list[StreamState]:
    """The board without some sources: nothing ever came of them."""
    return [
        replace(line, last_fetched=None, newest_data=None, next_expected=None, rows=0)
        if line.source in sources
        else line
        for line in with_state(board, State.NOT_CONNECTED, *sources)
    ]


SMALL_LIFE: Sequence[dict[str, Any]] = [
    # the year before
    {
        "day": date(2025, 11, 19),
        "views": 40,
        "subscribers_active": 50,
        "revenue_gross": "5.00",
        "revenue_net": "4.50",
    },
    {"day": date(2025, 11, 20), "views": 60, "subscribers_active": 55, "revenue_gross": "0"},
    # the month before
    *({"day": date(2026, 10, n), "views": 10} for n in range(1, 32)),
    # this month, every day of it known
    *(
        {
            "day": date(2026, 11, n),
            "views": 20 if n < 20 else 1234,
            "medium_earnings": "1.50",
            "stories_published": 1 if n == 20 else 0,
            "subscribers_active": 100 + n,
            "subscribers_new": 2,
            "subscribers_cancelled": 1,
            "subscribers_net": 1,
            "revenue_gross": "19.00" if n == 20 else "0",
            "revenue_net": "18.15" if n == 20 else "0",
            "currency": "eur",
            "revenue_other_currencies": 1 if n == 20 else 0,
        }
        for n in range(1, 21)
    ),
]


def write_small_life(database: Path, **more: Rows) -> Path:
    """Twenty days of this November that are wholly known, October's views, and two days of the
    November before; ``more`` are rows of other marts."""
    return write_marts(database, creator_daily=SMALL_LIFE, **more)


TITLES = (
    "The quiet machinery of a weekly habit",
    "What four hundred rejected drafts taught me about the first sentence",
    "A field guide to boring databases",
    "Why I stopped measuring my mornings and what happened to the work afterwards, told slowly",
    "Notes from a year without a feed",
    "The small web is not small",
    "How to leave a job you still like",
    "Reading Montaigne on the night bus",
    "The arithmetic of a newsletter",
    "On being edited",
    "Your backups are a story you tell yourself",
    "The last honest spreadsheet",
)


def write_two_years(
    database: Path, until: date, *, medium_until: date | None = None, **more: Rows
) -> Path:
    """Two invented years of a writer up to ``until``, the same for every call; ``more`` are rows of
    other marts."""
    chance = random.Random(7)
    medium_until = medium_until or until
    first = until - timedelta(days=760)
    days = [first + timedelta(days=n) for n in range((until - first).days + 1)]

    stories: list[dict[str, Any]] = []
    story_days: list[dict[str, Any]] = []
    for number in range(96):
        published = first + timedelta(days=number * 8 - 30 + chance.randrange(5))
        if published > until:
            break
        boosted = chance.random() < 0.18
        peak = chance.lognormvariate(4.0, 0.7) * (5 if boosted else 1) * (1 + number / 90)
        title = TITLES[number % len(TITLES)]
        views = reads = 0
        for day in days:
            age = (day - published).days
            if age < 0 or day > medium_until:
                continue
            weekly = 1.25 if day.weekday() < 2 else 0.8 if day.weekday() > 4 else 1
            again = 3.5 if number == 60 and (until - day).days < 9 else 1
            expected = (peak * math.exp(-age / 9) + peak * 0.02) * weekly * again
            seen = max(0, round(chance.gauss(expected, math.sqrt(expected + 0.1))))
            views += seen
            reads += round(seen * 0.42)
            if seen:
                story_days.append(
                    {
                        "month": day.replace(day=1),
                        "story_id": f"s{number:03}",
                        "day": day,
                        "views": seen,
                        "earnings": Decimal(round(seen * 1.6)) / 100,
                        "earnings_final": True,
                    }
                )
        stories.append(
            {
                "story_id": f"s{number:03}",
                "title": title if number < len(TITLES) else f"{title}, part {number // 12 + 1}",
                "url": f"https://medium.com/p/s{number:03}",
                "published_at": f"{published} 08:00:00",
                "reading_time_minutes": 5.5,
                "member_only": True,
                "presentations": views * 9,
                "views": views,
                "reads": reads,
                "read_ratio": reads / views if views else None,
                "earnings": Decimal(round(views * 1.6)) / 100,
                "earnings_currency": "usd",
                "boosted": boosted,
                "boosted_on": published + timedelta(days=2) if boosted else None,
                "last_captured_on": medium_until,
            }
        )

    active = 1200
    subscribers: list[dict[str, Any]] = []
    revenue: list[dict[str, Any]] = []
    recurring, paying = Decimal(320), 40
    movements: dict[date, list[int]] = {}
    balance = Decimal(0)
    for place, day in enumerate(days):
        new = max(0, round(chance.gauss(4 + place / 130, 2.2)))
        cancelled = max(0, round(chance.gauss(1.2 + place / 500, 1)))
        active += new - cancelled
        drift = 0 if place < 700 else 3
        subscribers.append(
            {
                "day": day,
                "active": active,
                "new": new,
                "cancelled": cancelled,
                "net": new - cancelled,
                "active_by_states": active - drift,
                "new_by_states": new,
                "cancelled_by_states": cancelled,
                "disagreement": drift,
            }
        )
        month = day.replace(day=1)
        started, ended = int(chance.random() < 0.16), int(chance.random() < 0.08)
        paying += started - ended
        recurring += 8 * (started - ended)
        movements.setdefault(month, [0, 0])
        movements[month][0] += started
        movements[month][1] += ended
        charges = sum(chance.random() < paying / 30 / 4 for _ in range(4))
        gross = Decimal(8 * charges) + (Decimal(49) if chance.random() < 0.06 else 0)
        fees = (gross * Decimal("0.029") + Decimal("0.3") * charges).quantize(Decimal("0.01"))
        refunds = Decimal(8) if chance.random() < 0.02 else Decimal(0)
        net = gross - fees - refunds
        balance += net
        payout = Decimal(0)
        if day.weekday() == 4:
            payout, balance = balance, Decimal(0)
        revenue.append(
            {
                "day": day,
                "currency": "usd",
                "gross": gross,
                "fees": fees,
                "refunds": refunds,
                "net": net,
                "payouts": payout,
                "medium_earnings": Decimal(0),
            }
        )
    views_of: dict[date, int] = {}
    earned_on: dict[date, Decimal] = {}
    for row in story_days:
        views_of[row["day"]] = views_of.get(row["day"], 0) + row["views"]
        earned_on[row["day"]] = earned_on.get(row["day"], Decimal(0)) + row["earnings"]
    for row in revenue:
        row["medium_earnings"] = earned_on.get(row["day"], Decimal(0))
    revenue += [
        {
            "day": day,
            "currency": "eur",
            "gross": Decimal(29),
            "fees": Decimal("1.20"),
            "refunds": Decimal(0),
            "net": Decimal("27.80"),
            "payouts": Decimal(0),
            "medium_earnings": Decimal(0),
        }
        for day in days
        if day.day in (3, 17)
    ]

    months = sorted({day.replace(day=1) for day in days})
    published_on = [date.fromisoformat(story["published_at"][:10]) for story in stories]
    engagement: list[dict[str, Any]] = []
    for month in months:
        seen = sum(value for day, value in views_of.items() if day.replace(day=1) == month)
        of_month = [s for s in stories if s["published_at"].startswith(f"{month:%Y-%m}")]
        boosted_count = sum(story["boosted"] for story in of_month)
        known = month <= medium_until
        engagement.append(
            {
                "month": month,
                "views": seen if known else None,
                "reads": round(seen * 0.42) if known else None,
                "read_ratio": 0.42 if known else None,
                "earnings": sum(
                    (value for day, value in earned_on.items() if day.replace(day=1) == month),
                    start=Decimal(0),
                )
                if known
                else None,
                "stories_published": len(of_month),
                "stories_boosted": boosted_count,
                "boosted_share": boosted_count / len(of_month) if of_month else None,
                "followers_gained": chance.randrange(-3, 60) if known else None,
                "subscribers_gained": chance.randrange(0, 15) if known else None,
            }
        )
    revenue_months: list[dict[str, Any]] = []
    mrr, count = Decimal(320), 40
    for month in months:
        for currency in ("usd", "eur"):
            rows = [
                row
                for row in revenue
                if row["day"].replace(day=1) == month and row["currency"] == currency
            ]
            if not rows:
                continue
            sums = {
                name: sum((row[name] for row in rows), start=Decimal(0))
                for name in ("gross", "fees", "refunds", "net", "payouts", "medium_earnings")
            }
            started, ended = movements[month] if currency == "usd" else (0, 0)
            if currency == "usd":
                mrr, count = mrr + 8 * (started - ended), count + started - ended
            revenue_months.append(
                {
                    "month": month,
                    "currency": currency,
                    **sums,
                    "mrr": mrr if currency == "usd" else Decimal(0),
                    "subscriptions_active": count if currency == "usd" else 0,
                    "subscriptions_started": started,
                    "subscriptions_ended": ended,
                }
            )
    broadcasts = [
        {
            "broadcast_id": str(place),
            "subject": f"Letter {place}: {TITLES[place % len(TITLES)]}",
            "sent_at": f"{day} 07:30:00",
            "recipients": 1200 + place * 9,
            "open_rate": round(chance.gauss(47, 4), 2),
            "click_rate": round(abs(chance.gauss(5.5, 1.6)), 2),
            "unsubscribes": chance.randrange(0, 9),
            "total_clicks": chance.randrange(30, 220),
            "captured_on": until,
        }
        for place, day in enumerate(day for day in days if day.weekday() == 3)
    ]
    segments = [
        {"month": month, "segment": segment, "subscribers": round(share * (600 + 40 * place))}
        for place, month in enumerate(months)
        for segment, share in (
            ("confirmed", 1.9),
            ("cold", 0.4),
            ("cancelled", 0.7),
            ("bounced", 0.05),
        )
    ]
    by_day = {row["day"]: row for row in subscribers}
    usd = {row["day"]: row for row in revenue if row["currency"] == "usd"}
    creator = [
        {
            "day": day,
            "views": views_of.get(day, 0) if day <= medium_until else None,
            "medium_earnings": earned_on.get(day, Decimal(0)) if day <= medium_until else None,
            "stories_published": published_on.count(day),
            "broadcasts_sent": int(day.weekday() == 3),
            "subscribers_active": by_day[day]["active"],
            "subscribers_new": by_day[day]["new"],
            "subscribers_cancelled": by_day[day]["cancelled"],
            "subscribers_net": by_day[day]["net"],
            "revenue_gross": usd[day]["gross"],
            "revenue_net": usd[day]["net"],
            "currency": "usd",
            "revenue_other_currencies": int(day.day in (3, 17)),
        }
        for day in days
    ]
    return write_marts(
        database,
        story_stats=stories,
        story_stats_daily=story_days,
        engagement_monthly=engagement,
        subscribers_daily=subscribers,
        subscriber_segments_monthly=segments,
        broadcasts=broadcasts,
        revenue_daily=revenue,
        revenue_monthly=revenue_months,
        creator_daily=creator,
        **more,
    )
