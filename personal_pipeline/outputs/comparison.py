"""Figures by day: a day and a month compared with earlier ones.

An unfinished month is compared with the same days of the other month, never with the whole of it. A
sum is compared only if every day in it is known, because half a month compared with a whole one is
a false alarm; a mean if half of the days are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal, TypeAlias

from personal_pipeline.outputs.figures import Query
from personal_pipeline.outputs.formats import COUNT, Number, Unit

Known: TypeAlias = Mapping[date, Number]
"""The days on which a figure is known, with its value."""


def _nothing_told(_: date) -> str:
    return ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Measure:
    """A figure of a section by UTC day, for page one and for the month."""

    title: str
    known: Known
    query: Query
    """Where it comes from."""
    unit: Unit = COUNT
    over_days: Literal["sum", "mean", "level"] = "sum"
    """What it is over several days: the sum, the mean, or, of a level such as active subscribers,
    the value on the last of them."""
    balance: bool = False
    """It can be negative, so changes are shown as differences."""
    more_is_better: bool | None = True
    """None: more is neither good nor bad."""
    card: bool = False
    """It is shown large on page one."""
    words: tuple[str, str] | None = None
    """What follows the number in the headline, after one and after any other number; None leaves it
    out."""
    if_any: bool = False
    """The headline leaves it out where it is zero."""
    judged: bool = True
    """Whether it is said when it is unusual. What a person decides (to publish, to send) is not."""
    why: Callable[[date], str] = _nothing_told
    """What the data says of a day that may explain the figure, in a sentence; else empty."""


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
    """A figure over a span. ``value`` covers the known days; None if there are none. If they are
    enough to stand for the span, ``known_days`` is its length."""

    span: Span
    value: Number | None
    known_days: int

    @property
    def whole(self) -> Number | None:
        """The value if it stands for the whole span, and thus can be compared; else None."""
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


def counted(values: Known, complete_until: date | None) -> Known:
    """The days on which a count of events is known: from the first event to ``complete_until``, the
    last day for which their stream was fetched (None: to the last event).

    Such a figure is zero on a day without events, so the table cannot distinguish a quiet day from
    one that was never fetched.
    """
    happened = [day for day, value in values.items() if value]
    if not happened:
        return {}
    first, last = min(happened), complete_until or max(happened)
    return {day: values.get(day, 0) for day in Span(first, last).each()}


def compare(measure: Measure) -> Comparison | None:
    """Compare a measure; None if it is not known on any day."""
    values = measure.known
    if not values:
        return None
    as_of = max(values)
    month = Span(as_of.replace(day=1), as_of)

    def total(span: Span) -> Total:
        return over(measure, span)

    def on(day: date) -> Total:
        return _sum(values, Span(day, day))

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


def over(measure: Measure, span: Span) -> Total:
    """A measure over a span of days."""
    if measure.over_days == "level":
        # a level only needs its last day
        value = measure.known.get(span.last)
        return Total(span, value, 0 if value is None else span.days)
    total = _sum(measure.known, span)
    if measure.over_days == "sum" or total.value is None:
        return total
    enough = span.days if total.known_days * 2 >= span.days else total.known_days
    return Total(span, float(total.value) / total.known_days, enough)


def _sum(values: Known, span: Span) -> Total:
    inside = [values[day] for day in span.each() if day in values]
    return Total(span, sum(inside) if inside else None, len(inside))


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
