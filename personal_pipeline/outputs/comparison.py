"""The daily line: day and month compared with the previous ones and with a year before.

An unfinished month is compared with the same days of the other month, never with the whole of it. A
sum is compared only if every day in it is known, because half a month compared with a whole one is
a false alarm.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Any, TypeAlias

from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import Number
from personal_pipeline.outputs.standing import complete_until

DAYS = query(__package__, "days")
MEDIUM_CURRENCY = query(__package__, "medium_currency")

Known: TypeAlias = Mapping[date, Number]
"""The days on which a figure is known, with its value."""


class Unit(StrEnum):
    """The unit of a figure."""

    COUNT = "count"
    MEDIUM_MONEY = "what Medium pays"
    STRIPE_MONEY = "the main currency"


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A figure of the daily line. ``column`` is its column in ``days.sql``."""

    column: str
    title: str
    source: str
    unit: Unit = Unit.COUNT
    stock: bool = False
    """A level, such as active subscribers: a month's value is that of its last day, not the sum."""
    balance: bool = False
    """It can be negative, so changes are shown as differences."""
    events: str = ""
    """The stream whose events it counts, or empty. Such a figure is zero on a day without events,
    so the table cannot distinguish a quiet day from one that was never fetched: the board can."""
    more_is_better: bool | None = True
    """None: more is neither good nor bad."""
    tile: bool = False
    """It is shown large at the top of the report."""


MEASURES = (
    Measure(column="views", title="Views", source="medium", tile=True),
    Measure(
        column="medium_earnings",
        title="Medium earnings",
        source="medium",
        unit=Unit.MEDIUM_MONEY,
        tile=True,
    ),
    Measure(
        column="stories_published",
        title="Stories published",
        source="medium",
        events="feed",
        more_is_better=None,
    ),
    Measure(
        column="subscribers_active",
        title="Active subscribers",
        source="kit",
        stock=True,
        tile=True,
    ),
    Measure(column="subscribers_new", title="New subscribers", source="kit", tile=True),
    Measure(
        column="subscribers_cancelled",
        title="Cancelled subscribers",
        source="kit",
        more_is_better=False,
    ),
    Measure(column="subscribers_net", title="Net subscribers", source="kit", balance=True),
    Measure(column="broadcasts_sent", title="Broadcasts sent", source="kit", more_is_better=None),
    Measure(
        column="revenue_gross",
        title="Stripe gross",
        source="stripe",
        events="balance_transactions",
        unit=Unit.STRIPE_MONEY,
        tile=True,
    ),
    Measure(
        column="revenue_net",
        title="Stripe net",
        source="stripe",
        events="balance_transactions",
        unit=Unit.STRIPE_MONEY,
        balance=True,
        tile=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Span:
    """UTC days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    def each(self) -> Iterator[date]:
        """Every day, oldest first."""
        for offset in range(self.days):
            yield self.first + timedelta(days=offset)


@dataclass(frozen=True, slots=True)
class Total:
    """A figure over a span. ``value`` covers the known days; None if there are none."""

    span: Span
    value: Number | None
    known_days: int

    @property
    def whole(self) -> Number | None:
        """The value if every day of the span is known, and thus comparable; else None."""
        return self.value if self.known_days == self.span.days else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Comparison:
    """One measure on its most recent known day, and in that day's month so far."""

    measure: Measure
    as_of: date
    day: Number
    day_before: Total
    day_year_before: Total
    month: Total
    month_before: Total
    month_year_before: Total
    recent: tuple[Number | None, ...]
    """The 28 days up to ``as_of``, oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """The daily line over all services: its rows, oldest first, and the days on which the figure of
    each measure is known, by column. Currencies: the one that Medium pays in, and the main one of
    Stripe."""

    days: Sequence[Any]
    known: Mapping[str, Known]
    medium_currency: str
    stripe_currency: str

    def newest(self, column: str) -> date | None:
        """The most recent day on which a figure is known."""
        return max(self.known[column], default=None)


def line_a_day(figures: Figures) -> Line:
    """The daily line for the report of a day."""
    days = figures.rows(DAYS)
    yesterday = figures.day - timedelta(days=1)
    known = {
        each.column: known_days(
            days, each, complete_until(figures.board, each.source, each.events, yesterday)
        )
        for each in MEASURES
    }
    # Medium pays in US dollars; its statistics give the currency only with earnings
    medium = next((row.currency for row in figures.rows(MEDIUM_CURRENCY)), "usd")
    stripe = next((row.currency for row in reversed(days) if row.currency), "usd")
    return Line(days=days, known=known, medium_currency=medium, stripe_currency=stripe)


def known_days(days: Sequence[Any], measure: Measure, complete_until: date | None) -> Known:
    """The days on which a measure is known, from rows with a ``day`` and the measure's column.

    Counted events are known from the first of them to ``complete_until``, the last day for which
    their stream was fetched (None: to the last event). Other figures are known where the table has
    a value.
    """
    values: dict[date, Number] = {
        row.day: value for row in days if (value := getattr(row, measure.column)) is not None
    }
    if not measure.events:
        return values
    happened = [day for day, value in values.items() if value]
    if not happened:
        return {}
    first, last = min(happened), complete_until or max(happened)
    return {day: values.get(day, 0) for day in Span(first, last).each()}


def compare(measure: Measure, values: Known) -> Comparison | None:
    """Compare a measure; None if it is not known on any day."""
    if not values:
        return None
    as_of = max(values)
    month = Span(as_of.replace(day=1), as_of)

    def total(span: Span) -> Total:
        return _stock(values, span) if measure.stock else _flow(values, span)

    def on(day: date) -> Total:
        return _flow(values, Span(day, day))

    return Comparison(
        measure=measure,
        as_of=as_of,
        day=values[as_of],
        day_before=on(as_of - timedelta(days=1)),
        day_year_before=on(year_before(as_of)),
        month=total(month),
        month_before=total(same_days(as_of, last_day(month.first - timedelta(days=1)))),
        month_year_before=total(same_days(as_of, last_day(year_before(month.first)))),
        recent=tuple(values.get(as_of - timedelta(days=back)) for back in range(27, -1, -1)),
    )


def mean_of_days(values: Known, last: date, *, days: int, least: int) -> float | None:
    """The mean of the known values of the last ``days`` days up to ``last``; None if fewer than
    ``least`` are known."""
    known = [values[day] for day in Span(last - timedelta(days - 1), last).each() if day in values]
    return float(sum(known)) / len(known) if len(known) >= least else None


def _flow(values: Known, span: Span) -> Total:
    inside = [value for day, value in values.items() if span.first <= day <= span.last]
    return Total(span, sum(inside) if inside else None, len(inside))


def _stock(values: Known, span: Span) -> Total:
    # a level only needs its last day
    value = values.get(span.last)
    return Total(span, value, 0 if value is None else span.days)


def year_before(day: date) -> date:
    """The same day one year earlier; 28 February for 29 February."""
    if (day.month, day.day) == (2, 29):
        return date(day.year - 1, 2, 28)
    return day.replace(year=day.year - 1)


def last_day(day: date) -> date:
    """The last day of a day's month."""
    following = (day.replace(day=28) + timedelta(days=4)).replace(day=1)
    return following - timedelta(days=1)


def same_days(as_of: date, month_end: date) -> Span:
    """As much of the month that ends on ``month_end`` as has passed of the month of ``as_of``."""
    finished = as_of == last_day(as_of)
    last = month_end if finished else month_end.replace(day=min(as_of.day, month_end.day))
    return Span(month_end.replace(day=1), last)
