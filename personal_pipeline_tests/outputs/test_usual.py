"""What is usual for a day: worked examples, and what holds for any series."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.outputs.comparison import Known
from personal_pipeline.outputs.usual import LEAST_DAYS, WINDOW_DAYS, judged, verdict

DAY = date(2026, 11, 27)  # a Friday

AMOUNTS = st.integers(-1_000_000, 1_000_000)
SERIES = st.lists(AMOUNTS, min_size=WINDOW_DAYS, max_size=WINDOW_DAYS)


def ending(values: list[float], last: float, day: date = DAY) -> Known:
    """The values of the days before a day, the most recent last, and the day's own."""
    days = {day - timedelta(days=len(values) - n): value for n, value in enumerate(values)}
    return {**days, day: last}


def by_weekday(*of_weekday: float) -> list[float]:
    """Half a year in which each weekday, Monday first, has its own value, one more every second
    week."""
    days = [DAY - timedelta(days=back) for back in range(WINDOW_DAYS, 0, -1)]
    return [of_weekday[day.weekday()] + (day - DAY).days // 7 % 2 for day in days]


QUIET_FRIDAYS = by_weekday(100, 100, 100, 100, 10, 100, 100)


@pytest.mark.parametrize(
    ("value", "usual", "unusual"),
    [
        # what is much for a Friday would be little on any other day
        (10, 10.5, False),
        (11, 10.5, False),
        (40, 10.5, True),
        (100, 10.5, True),
        (0, 10.5, True),
    ],
)
def test_a_day_is_compared_with_its_weekday(value: float, usual: float, unusual: bool) -> None:
    found = verdict(ending(QUIET_FRIDAYS, value), DAY)
    assert found is not None
    assert (found.usual, found.unusual) == (usual, unusual)
    assert (found.score > 0) == (value > usual)


def test_what_is_rarely_anything_but_zero() -> None:
    """Two sales in twenty Fridays: the next one is nothing special, a tenfold one is."""
    sales = [0.0] * 8 + [20.0] + [0.0] * 9 + [20.0] + [0.0]
    assert not judged(20, sales).unusual
    assert judged(200, sales).unusual
    assert judged(200, sales).usual == 0


def test_one_great_day_hides_no_other() -> None:
    calm = [float(100 + n % 5) for n in range(25)]
    for before in (calm, [*calm, 90_000.0]):
        assert judged(160, before).unusual
        assert not judged(104, before).unusual


def test_of_what_never_varied_any_change_is_unusual() -> None:
    assert judged(7, [7.0] * 9).score == 0
    assert judged(8, [7.0] * 9).unusual
    assert judged(6, [7.0] * 9).score < 0


def paid(*days: date, amount: float = 900) -> Known:
    """Half a year of small spending, and a bill on some days."""
    values = ending(by_weekday(5, 6, 7, 5, 6, 9, 8), 6)
    return {**values, **{each: amount for each in days if each in values}}


def test_the_rent_is_nothing_unusual_on_its_day() -> None:
    # the same day of each month, a day earlier or later where that was a weekend
    months = [date(2026, n, 27 if n % 3 else 28) for n in range(5, 11)]
    regular = verdict(paid(*months, DAY), DAY)
    assert regular is not None
    assert (regular.unusual, regular.usual) == (False, 6.5)
    # the first time, or far more than each month
    for other in (paid(DAY), {**paid(*months), DAY: 9000}, paid(*months[:2], DAY)):
        found = verdict(other, DAY)
        assert found is not None
        assert found.unusual


def test_nothing_is_said_of_few_days() -> None:
    assert verdict(ending([5.0] * (LEAST_DAYS - 1), 500), DAY) is None
    assert verdict(ending([5.0] * LEAST_DAYS, 500), DAY) is not None
    assert verdict({}, DAY) is None
    # many days, and hardly a Friday
    values = ending([5.0] * WINDOW_DAYS, 500)
    fridays = [day for day in values if day.weekday() == 4 and day != DAY]
    assert verdict({day: v for day, v in values.items() if day not in fridays[4:]}, DAY) is None


@given(SERIES, AMOUNTS, st.integers(1, 9), AMOUNTS)
def test_neither_unit_nor_zero_matters(before: list[int], value: int, unit: int, zero: int) -> None:
    first = verdict(ending([*map(float, before)], value), DAY)
    other = verdict(
        ending([float(each * unit + zero) for each in before], value * unit + zero), DAY
    )
    assert first is not None
    assert other is not None
    assert other.unusual == first.unusual
    assert other.score == pytest.approx(first.score)
    assert other.usual == pytest.approx(first.usual * unit + zero)


@given(SERIES, AMOUNTS, AMOUNTS)
def test_further_from_the_middle_is_never_less_unusual(
    before: list[int], value: int, other: int
) -> None:
    series = [*map(float, before)]
    one, two = verdict(ending(series, value), DAY), verdict(ending(series, other), DAY)
    assert one is not None
    assert two is not None
    near, far = sorted((one, two), key=lambda each: abs(each.value - each.usual))
    assert abs(near.score) <= abs(far.score)


@given(st.lists(AMOUNTS, min_size=1, max_size=30), AMOUNTS, AMOUNTS)
def test_what_is_unusual_is_so_further_out_too(before: list[int], value: int, other: int) -> None:
    series = [*map(float, before)]
    near, far = sorted(
        (judged(value, series), judged(other, series)),
        key=lambda each: abs(each.value - each.usual),
    )
    assert near.unusual <= far.unusual


@given(SERIES, AMOUNTS, st.dictionaries(st.integers(1, 400), AMOUNTS))
def test_neither_later_days_nor_older_ones_change_anything(
    before: list[int], value: int, others: dict[int, int]
) -> None:
    values = ending([*map(float, before)], value)
    elsewhere = {
        **{DAY + timedelta(days=n): v for n, v in others.items()},
        **{DAY - timedelta(days=WINDOW_DAYS + n): v for n, v in others.items()},
    }
    assert verdict({**values, **elsewhere}, DAY) == verdict(values, DAY)


@given(SERIES, st.data())
def test_what_several_such_days_had_is_not_unusual(before: list[int], data: st.DataObject) -> None:
    fridays = [each for n, each in enumerate(before) if (WINDOW_DAYS - n) % 7 == 0]
    seen = data.draw(st.sampled_from(sorted(fridays)[3:-3]))
    found = verdict(ending([*map(float, before)], seen), DAY)
    assert found is not None
    assert not found.unusual
