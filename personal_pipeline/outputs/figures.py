"""The figures of a report, read from the published warehouse, as plain rows.

Each query stands in ``queries/<name>.sql`` and gives the columns of one dataclass here. Days and
months are UTC; amounts are decimals in major units of their currency; ratios go from 0 to 1 and
rates are in percent. A table that does not exist yet reads as an empty one.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

import duckdb

from personal_pipeline import duck

_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Day:
    """One UTC day over all services. None: not known. Counts of events (stories, broadcasts,
    revenue) are zero also on a day that nobody looked at."""

    day: date
    views: int | None
    medium_earnings: Decimal | None
    stories_published: int | None
    broadcasts_sent: int | None
    subscribers_active: int | None
    subscribers_new: int | None
    subscribers_cancelled: int | None
    subscribers_net: int | None
    revenue_gross: Decimal | None
    revenue_net: Decimal | None
    currency: str | None
    revenue_other_currencies: int


@dataclass(frozen=True, slots=True)
class EngagementMonth:
    """One month over all stories."""

    month: date
    views: int | None
    reads: int | None
    read_ratio: float | None
    earnings: Decimal | None
    stories_published: int | None
    stories_boosted: int | None
    boosted_share: float | None
    followers_gained: int | None
    subscribers_gained: int | None


@dataclass(frozen=True, slots=True)
class Story:
    """One story over its whole life."""

    story_id: str
    title: str
    url: str | None
    published_on: date | None
    presentations: int | None
    views: int | None
    reads: int | None
    read_ratio: float | None
    earnings: Decimal | None
    earnings_currency: str | None
    boosted: bool
    last_captured_on: date | None


@dataclass(frozen=True, slots=True)
class TopStory:
    """One story's views in the last 28 days and in the 28 before; ``read_ratio`` is of its life."""

    story_id: str
    title: str
    url: str | None
    views: int
    views_before: int | None
    read_ratio: float | None
    boosted: bool


@dataclass(frozen=True, slots=True)
class RisingStory:
    """One story's views in the last 7 days and in the 7 before; ``trend`` is 28 days, by day."""

    story_id: str
    title: str
    url: str | None
    views: int
    views_before: int
    boosted: bool
    trend: list[int]


@dataclass(frozen=True, slots=True)
class BoostedGroup:
    """All boosted stories, or all others, over their whole lives."""

    boosted: bool
    stories: int
    median_views: float | None
    mean_views: float | None
    read_ratio: float | None
    median_earnings: Decimal | None
    earnings: Decimal | None


@dataclass(frozen=True, slots=True)
class SubscriberDay:
    """One day of subscribers."""

    day: date
    active: int | None
    new: int | None
    cancelled: int | None
    net: int | None
    active_by_states: int | None
    disagreement: int | None


@dataclass(frozen=True, slots=True)
class SubscriberMonth:
    """One month of subscribers; ``active`` is that of its newest day."""

    month: date
    active: int | None
    new: int | None
    cancelled: int | None
    net: int | None


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment in the newest export, with the export before."""

    month: date
    month_before: date | None
    segment: str
    subscribers: int
    subscribers_before: int | None


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One broadcast; rates in percent of recipients."""

    broadcast_id: str
    subject: str
    sent_on: date
    recipients: int | None
    open_rate: float | None
    click_rate: float | None
    unsubscribes: int | None
    total_clicks: int | None


@dataclass(frozen=True, slots=True)
class RevenueMonth:
    """One month in one currency. ``mrr`` is the monthly recurring revenue at its end."""

    month: date
    currency: str
    gross: Decimal | None
    fees: Decimal | None
    refunds: Decimal | None
    net: Decimal | None
    payouts: Decimal | None
    medium_earnings: Decimal | None
    mrr: Decimal | None
    subscriptions_active: int | None
    subscriptions_started: int | None
    subscriptions_ended: int | None


@dataclass(frozen=True, slots=True)
class Payout:
    """What was paid out on one day in one currency."""

    day: date
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class AccountDay:
    """One day of an account in one currency, from the first to the last that a statement tells of.

    ``stated_balance`` is there on a day on which a statement tells one, and ``difference`` says by
    how much it is off from the one before and all transactions since. ``is_covered``: a statement
    lists the transactions of the day.
    """

    account_id: str
    account: str
    currency: str
    day: date
    balance: Decimal | None
    stated_balance: Decimal | None
    difference: Decimal | None
    is_covered: bool


@dataclass(frozen=True, slots=True)
class MoneyMonth:
    """What came in and was spent on all accounts in one month and currency; ``transfers`` counts
    the bookings of money that only moved between own accounts."""

    month: date
    currency: str
    income: Decimal
    spent: Decimal
    transfers: int


@dataclass(frozen=True, slots=True)
class SpendingDay:
    """What was spent in one category on one day, in one currency."""

    day: date
    currency: str
    category: str
    spent: Decimal


@dataclass(frozen=True, slots=True)
class Spending:
    """One payment."""

    day: date
    account: str
    currency: str
    category: str
    spent: Decimal


@dataclass(frozen=True, slots=True)
class UndecidedTransfer:
    """What left one own account and perhaps came to another."""

    day: date
    account: str
    to_account: str
    to_day: date
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BodyDay:
    """One UTC day of a body. None: not measured. The newest day that the phone told of was not over
    then: its amounts (steps, distance, energy, exercise) are not known."""

    day: date
    steps: int | None
    distance_km: float | None
    active_energy_kcal: float | None
    exercise_minutes: float | None
    resting_heart_rate: float | None
    heart_rate_lowest: float | None
    heart_rate_highest: float | None
    heart_rate_variability_ms: float | None
    asleep_minutes: float | None
    deep_minutes: float | None
    core_minutes: float | None
    rem_minutes: float | None
    unspecified_minutes: float | None
    awake_minutes: float | None
    in_bed_minutes: float | None
    weight_kg: float | None


@dataclass(frozen=True, slots=True)
class MeasuredTwice:
    """What one source measured in the last 28 days and another one, which counts, did too."""

    metric: str
    source: str
    counted_source: str
    days: int
    left_out: float | None
    """None for readings, which do not add up."""
    unit: str


@dataclass(frozen=True, slots=True)
class TrainingWeek:
    """A week, by its Monday. ``load`` is the sum of the minutes in each heart rate zone, times the
    number of the zone."""

    week: date
    activities: int
    distance_km: float
    elevation_m: float
    load: float
    zone_1_minutes: float
    zone_2_minutes: float
    zone_3_minutes: float
    zone_4_minutes: float
    zone_5_minutes: float
    resting_heart_rate: float | None
    sleep_hours: float | None


@dataclass(frozen=True, slots=True)
class Workout:
    """One activity, whatever it was recorded with."""

    day: date
    activity: str
    minutes: float | None
    distance_km: float | None
    active_energy_kcal: float | None
    heart_rate_average: float | None
    heart_rate_highest: float | None


@dataclass(frozen=True, slots=True)
class _Newest:
    day: date | None


@dataclass(frozen=True, slots=True)
class _Table:
    table_name: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """Everything that the report of one day shows; every row is of a time before that day."""

    days: list[Day]
    engagement_months: list[EngagementMonth]
    stories: list[Story]
    top_stories: list[TopStory]
    rising_stories: list[RisingStory]
    boosted: list[BoostedGroup]
    story_statistics_until: date | None
    """The newest day that statistics of single stories tell about."""
    subscriber_days: list[SubscriberDay]
    subscriber_months: list[SubscriberMonth]
    segments: list[Segment]
    broadcasts: list[Broadcast]
    revenue_months: list[RevenueMonth]
    payouts: list[Payout]
    account_days: list[AccountDay]
    money_months: list[MoneyMonth]
    spending_days: list[SpendingDay]
    largest_spending: list[Spending]
    undecided_transfers: list[UndecidedTransfer]
    body_days: list[BodyDay]
    measured_twice: list[MeasuredTwice]
    workouts: list[Workout]
    training_weeks: list[TrainingWeek]


def read_figures(database: Path, day: date) -> Figures:
    """Read the figures for the report of ``day``; a database that is not there has none.

    Opens the file read-only and closes it again. Raises ``duckdb.Error`` when the file is not a
    DuckDB database or a mart lacks a column.
    """
    if not database.exists():
        return _figures(None, frozenset(), day)
    with duckdb.connect(str(database), read_only=True, config=duck.CONFIG) as connection:
        # else a timestamp becomes the date of the machine's own zone
        connection.execute("set TimeZone = 'UTC'")
        tables = {row.table_name for row in _rows(connection, "mart_tables", _Table)}
        return _figures(connection, tables, day)


def _figures(
    connection: duckdb.DuckDBPyConnection | None, tables: Collection[str], day: date
) -> Figures:
    def read(query: str, row: type[_Row], *needs: str) -> list[_Row]:
        if connection is None or not set(needs) <= set(tables):
            return []
        return _rows(connection, query, row, day)

    newest = read("story_statistics_until", _Newest, "story_stats_daily")
    story_tables = ("story_stats", "story_stats_daily")
    return Figures(
        days=read("days", Day, "creator_daily"),
        engagement_months=read("engagement_months", EngagementMonth, "engagement_monthly"),
        stories=read("stories", Story, "story_stats"),
        top_stories=read("top_stories", TopStory, *story_tables),
        rising_stories=read("rising_stories", RisingStory, *story_tables),
        boosted=read("boosted", BoostedGroup, "story_stats"),
        story_statistics_until=newest[0].day if newest else None,
        subscriber_days=read("subscriber_days", SubscriberDay, "subscribers_daily"),
        subscriber_months=read("subscriber_months", SubscriberMonth, "subscribers_daily"),
        segments=read("segments", Segment, "subscriber_segments_monthly"),
        broadcasts=read("broadcasts", Broadcast, "broadcasts"),
        revenue_months=read("revenue_months", RevenueMonth, "revenue_monthly"),
        payouts=read("payouts", Payout, "revenue_daily"),
        account_days=read("account_days", AccountDay, "accounts_daily"),
        money_months=read("money_months", MoneyMonth, "transactions"),
        spending_days=read("spending_days", SpendingDay, "transactions"),
        largest_spending=read("largest_spending", Spending, "transactions", "accounts_daily"),
        undecided_transfers=read("undecided_transfers", UndecidedTransfer, "transactions"),
        body_days=read("body_days", BodyDay, "health_daily"),
        measured_twice=read("measured_twice", MeasuredTwice, "health_overlaps"),
        workouts=read("workouts", Workout, "activities"),
        training_weeks=read("training_weeks", TrainingWeek, "athletic_performance_weekly"),
    )


def _rows(
    connection: duckdb.DuckDBPyConnection, query: str, row: type[_Row], day: date | None = None
) -> list[_Row]:
    sql = (files("personal_pipeline.outputs") / "queries" / f"{query}.sql").read_text("utf-8")
    result = connection.execute(sql, {"day": day} if day else None)
    names = [column[0] for column in result.description]
    return [row(**dict(zip(names, values, strict=True))) for values in result.fetchall()]
