"""Comparing days and months: the same days of the other month, and only what is known."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.outputs.comparison import (
    Comparison,
    Known,
    Measure,
    Span,
    compare,
    counted,
    mean_of_days,
)
from personal_pipeline.outputs.figures import Query
from personal_pipeline.outputs.formats import Number

NOWHERE = Query("", ())


def views(values: Known) -> Comparison | None:
    return compare(Measure(title="Views", known=values, query=NOWHERE))


def active(values: Known) -> Comparison | None:
    return compare(Measure(title="Active", known=values, query=NOWHERE, over_days="level"))


def steps(values: Known) -> Comparison | None:
    return compare(Measure(title="Steps", known=values, query=NOWHERE, over_days="mean"))


def each_day(first: date, last: date, value: int = 1) -> dict[date, Number]:
    return dict.fromkeys(Span(first, last).each(), value)


@pytest.mark.parametrize(
    ("as_of", "month_before", "year_before"),
    [
        # a month that runs: the same days
        (date(2026, 11, 20), ("2026-10-01", "2026-10-20"), ("2025-11-01", "2025-11-20")),
        # across the year
        (date(2026, 1, 2), ("2025-12-01", "2025-12-02"), ("2025-01-01", "2025-01-02")),
        # a month that is over: all of the other, however long
        (date(2026, 11, 30), ("2026-10-01", "2026-10-31"), ("2025-11-01", "2025-11-30")),
        (date(2027, 2, 28), ("2027-01-01", "2027-01-31"), ("2026-02-01", "2026-02-28")),
        # the other month is shorter
        (date(2026, 3, 30), ("2026-02-01", "2026-02-28"), ("2025-03-01", "2025-03-30")),
        # a leap day
        (date(2028, 2, 29), ("2028-01-01", "2028-01-31"), ("2027-02-01", "2027-02-28")),
    ],
)
def test_months_are_held_against_the_same_days(
    as_of: date, month_before: tuple[str, str], year_before: tuple[str, str]
) -> None:
    found = views(each_day(as_of - timedelta(days=800), as_of))
    assert found is not None
    assert found.month.span == Span(as_of.replace(day=1), as_of)
    assert found.month_before.span == Span(*map(date.fromisoformat, month_before))
    assert found.month_year_before.span == Span(*map(date.fromisoformat, year_before))
    assert found.month.whole == as_of.day


def test_the_day_before_a_leap_day_in_a_common_year() -> None:
    found = views(each_day(date(2027, 1, 1), date(2028, 2, 29)))
    assert found is not None
    assert found.day_year_before.span == Span(date(2027, 2, 28), date(2027, 2, 28))


def test_a_sum_with_a_hole_is_shown_and_not_compared() -> None:
    values = each_day(date(2026, 10, 1), date(2026, 11, 20))
    del values[date(2026, 10, 7)]
    found = views(values)
    assert found is not None
    assert (found.month_before.value, found.month_before.known_days) == (19, 19)
    assert found.month_before.whole is None
    assert found.month_year_before.value is None


def test_a_level_of_a_month_is_that_of_its_last_day() -> None:
    found = active({date(2026, 10, 20): 90, date(2026, 11, 20): 100})
    assert found is not None
    assert (found.month.whole, found.month_before.whole) == (100, 90)


def test_nothing_known_is_nothing_compared() -> None:
    assert views({}) is None


def test_a_mean_of_a_month_needs_half_of_its_days() -> None:
    days = {date(2026, 11, n): 100 * n for n in range(1, 11)}
    october = {date(2026, 10, n): 50 for n in range(1, 5)}
    found = steps({**days, **october})
    assert found is not None
    assert found.month.whole == 550
    assert (found.month_before.value, found.month_before.whole) == (50, None)
    # the fifth of ten days is half of them
    found = steps({**days, **october, date(2026, 10, 5): 100})
    assert found is not None
    assert found.month_before.whole == 60


def test_events_are_known_from_the_first_to_the_last_look() -> None:
    sent: Known = {date(2026, 11, n): int(n == 3) for n in (1, 3, 6, 9)}
    assert counted(sent, date(2026, 11, 5)) == {
        date(2026, 11, 3): 1,
        date(2026, 11, 4): 0,
        date(2026, 11, 5): 0,
    }
    assert counted(sent, None) == {date(2026, 11, 3): 1}
    assert counted({date(2026, 11, 1): 0}, date(2026, 11, 5)) == {}


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)))
def test_any_day_can_be_compared(as_of: date) -> None:
    found = views({as_of: 1})
    assert found is not None
    before, year_before = found.month_before.span, found.month_year_before.span
    assert before.last < found.month.span.first
    assert (before.first.day, year_before.first.day) == (1, 1)
    assert (year_before.first.year, year_before.first.month) == (as_of.year - 1, as_of.month)
    assert before.last.month == before.first.month
    assert year_before.last.month == as_of.month


@given(
    st.dictionaries(st.dates(date(2026, 1, 1), date(2026, 1, 20)), st.integers(-99, 99)),
    st.dates(date(2026, 1, 1), date(2026, 1, 20)),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_a_mean_is_that_of_known_days_when_they_are_enough(
    values: dict[date, int], last: date, days: int, least: int
) -> None:
    within = [each for day, each in values.items() if 0 <= (last - day).days < days]
    found = mean_of_days(values, last, days=days, least=least)
    if len(within) < least:
        assert found is None
    else:
        assert found == pytest.approx(sum(within) / len(within))
