"""How numbers, money, days and changes are written."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.outputs.formats import (
    COUNT,
    MINUTES,
    PERCENT,
    Unit,
    count,
    duration,
    instant,
    measured,
    money,
    money_unit,
    percentage,
    relative_change,
    span,
)


@pytest.mark.parametrize(
    ("amount", "currency", "written"),
    [
        (Decimal("1234.5"), "usd", "$1,234.50"),
        (Decimal(-12), "EUR", "−€12.00"),
        (Decimal(1500), "jpy", "¥1,500"),
        (Decimal("1.5"), "kwd", "KWD\u00a01.500"),
        (Decimal("0.005"), "usd", "$0.01"),
        (Decimal(7), "chf", "CHF\u00a07.00"),
        (None, "usd", "—"),
    ],
)
def test_money(amount: Decimal | None, currency: str, written: str) -> None:
    assert money(amount, currency) == written


def test_counts_and_percentages() -> None:
    assert count(1234567) == "1,234,567"
    assert count(-1200) == "−1,200"
    assert count(5, signed=True) == "+5"
    assert count(0, signed=True) == "0"
    assert count(None) == "—"
    assert percentage(60.97) == "61.0%"


@pytest.mark.parametrize(
    ("now", "before", "direction", "text"),
    [
        (110, 100, "up", "10%"),
        (101, 100, "up", "1.0%"),
        (50, 100, "down", "50%"),
        (0, 100, "down", "100%"),
        (100, 100, "same", "no change"),
        (0, 0, "same", "no change"),
        (5, 0, "up", "from zero"),
        (-5, 0, "down", "from zero"),
        (5, -5, "up", "from below zero"),
        (1000, 100, "up", "×10"),
        (100_001, 100_000, "up", "less than 0.1%"),
        (None, 5, "unknown", "not known"),
        (5, None, "unknown", "not known"),
    ],
)
def test_changes(now: int | None, before: int | None, direction: str, text: str) -> None:
    change = relative_change(now, before)
    assert (change.direction, change.text) == (direction, text)


@given(st.decimals(-(10**9), 10**9, places=3), st.decimals(-(10**9), 10**9, places=3))
def test_the_arrow_always_points_the_way_the_number_went(now: Decimal, before: Decimal) -> None:
    expected = "same" if now == before else "up" if now > before else "down"
    assert relative_change(now, before).direction == expected


def test_spans_of_days() -> None:
    assert span(date(2026, 11, 1), date(2026, 11, 20)) == "1–20 Nov 2026"
    assert span(date(2026, 11, 20), date(2026, 11, 20)) == "20 Nov 2026"
    assert span(date(2026, 2, 1), date(2026, 2, 28)) == "Feb 2026"
    assert span(date(2026, 10, 24), date(2026, 11, 20)) == "24 Oct – 20 Nov 2026"
    assert span(date(2025, 12, 24), date(2026, 1, 20)) == "24 Dec 2025 – 20 Jan 2026"


@pytest.mark.parametrize(
    ("minutes", "written"),
    [(0, "0 min"), (59.4, "59 min"), (59.6, "1 h 0 min"), (425, "7 h 5 min"), (None, "—")],
)
def test_durations(minutes: float | None, written: str) -> None:
    assert duration(minutes) == written


def test_instants_are_utc() -> None:
    east = timezone(timedelta(hours=9))
    assert instant(datetime(2026, 11, 21, 6, 2, tzinfo=east)) == "20 Nov 2026, 21:02 UTC"
    with pytest.raises(ValueError, match="time zone"):
        instant(datetime(2026, 11, 21, 6, 2))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("unit", "value", "full", "short"),
    [
        (COUNT, 1234, "1,234", "1,234"),
        (COUNT, 12_500, "12,500", "12.5k"),
        (COUNT, 3_000_000, "3,000,000", "3M"),
        (COUNT, -15_000, "−15,000", "−15k"),
        (PERCENT, 40, "40.0%", "40%"),
        (MINUTES, 150, "2 h 30 min", "2.5 h"),
        (money_unit("usd"), 2000, "$2,000.00", "$2,000"),
        (money_unit("eur"), -20_000, "−€20,000.00", "−€20k"),
        (money_unit("chf"), 5, "CHF\u00a05.00", "CHF\u00a05"),
        (measured("bpm", 1), 54, "54.0 bpm", "54 bpm"),
    ],
)
def test_a_unit_in_full_and_at_an_axis(unit: Unit, value: int, full: str, short: str) -> None:
    assert (unit.full(value), unit.short(value)) == (full, short)
    assert unit.full(None) == "—"
