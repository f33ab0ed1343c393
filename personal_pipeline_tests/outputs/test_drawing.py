"""Charts as SVG: what stands where, and what the pointer reads."""

from __future__ import annotations

import re
from datetime import date, timedelta
from importlib.resources import files
from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.outputs import charts, drawing
from personal_pipeline.outputs.formats import COUNT, MINUTES, Number, Unit, money_unit

DAY = date(2026, 11, 20)
DOLLARS = money_unit("usd")
MONTHS = [date(2025 + (n + 11) // 12, (n + 11) % 12 + 1, 1) for n in range(24)]


def element(picture: charts.Picture) -> ET.Element:
    return ET.fromstring(picture.svg)


def titles(picture: charts.Picture) -> list[str]:
    return [each.text or "" for each in element(picture).iter("title")]


def labels(picture: charts.Picture) -> list[str]:
    return [each.text or "" for each in element(picture).iter("text")]


@given(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.booleans())
def test_ticks_are_round_and_hold_everything(low: float, more: float, whole: bool) -> None:
    found = drawing.ticks(low, low + more, whole=whole)
    assert 2 <= len(found) <= 8
    assert found[0] <= low + abs(low) * 1e-6 + 1e-9
    assert found[-1] >= (low + more) - (abs(low) + more) * 1e-6 - 1e-9
    steps = {round(b - a, 6) for a, b in pairwise(found)}
    assert max(steps) - min(steps) <= 1e-5 * max(1, *map(abs, found))
    if whole:
        assert all(each == round(each) for each in found)


def test_axes_carry_their_unit() -> None:
    months = [(month, n * 1200.5, n * 700) for n, month in enumerate(MONTHS)]
    picture = charts.side_by_side(months, ("Income", "Spending"), MONTHS[-1], DOLLARS)
    assert {"$0", "$10k", "$20k", "$30k"} <= set(labels(picture))
    nights = [(DAY - timedelta(days=n), (60, 240, 90, None)) for n in range(9, -1, -1)]
    assert {"0 h", "2 h", "8 h"} <= set(labels(charts.sleep_by_stage(nights)))


def test_the_pointer_reads_every_value() -> None:
    months = [(month, n * 1200.5, n * 700) for n, month in enumerate(MONTHS)]
    told = titles(charts.side_by_side(months, ("Income", "Spending"), None, DOLLARS))
    assert len(told) == 24
    assert told[1].endswith("Income $1,200.50, Spending $700.00")
    days = [(DAY - timedelta(days=n), 1000 + n, None) for n in range(90, -1, -1)]
    told = titles(charts.amounts_by_day(days, "Views"))
    assert (told[0], told[-1], len(told)) == ("22 Aug: 1,090", "20 Nov: 1,000", 91)


def test_a_day_without_a_value_says_and_draws_nothing() -> None:
    values: list[Number | None] = [5, None, 7, 8]
    days = [(DAY + timedelta(days=n), value, None) for n, value in enumerate(values)]
    picture = charts.amounts_by_day(days, "Views")
    assert len(titles(picture)) == 3
    (drawn,) = [
        path.get("d", "")
        for path in element(picture).iter("path")
        if path.get("stroke") == "var(--first-pale)"
    ]
    assert drawn.count("M") == 3


def test_a_line_breaks_where_a_value_is_unknown() -> None:
    held, _ = drawing.frame(6, [0, 10], COUNT, 200)
    assert drawing.line(held, [1, 2, None, None, 5, 6]).count("M") == 2
    assert drawing.line(held, [1, 2, None, 4, 5, 6], steps=True).count("M") == 2
    assert drawing.line(held, [None] * 6) == ""


def end_of(path: str) -> tuple[float, float]:
    """Where a path of lines ends."""
    x = y = 0.0
    for letter, numbers in re.findall(r"([MlHVh])([^MlHVh]*)", path):
        found = [float(each) for each in re.findall(r"-?\d*\.?\d+", numbers)]
        if letter == "M":
            x, y = found
        elif letter == "l":
            x, y = x + found[0], y + found[1]
        elif letter == "H":
            x = found[0]
        elif letter == "V":
            y = found[0]
    return x, y


@settings(max_examples=50)
@given(st.lists(st.integers(-5000, 5000), min_size=1, max_size=400), st.booleans())
def test_a_line_ends_at_its_last_value(values: list[int], steps: bool) -> None:
    held, _ = drawing.frame(len(values), values, COUNT, 200)
    x, y = end_of(drawing.line(held, values, steps=steps))
    assert x == pytest.approx(held.x(len(values) - 1), abs=0.06)
    assert y == pytest.approx(held.y(values[-1]), abs=0.06)


@given(st.floats(-1e5, 1e5))
def test_a_coordinate_is_short_and_near(number: float) -> None:
    written = drawing.place(number)
    assert float(written) == pytest.approx(number, abs=0.051)
    assert len(written) <= 9


UNITS: list[Unit] = [COUNT, DOLLARS, MINUTES]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.one_of(st.none(), st.integers(-10_000, 10_000)), min_size=1, max_size=60),
    st.sampled_from(UNITS),
)
def test_any_series_is_a_drawing_within_its_frame(values: list[int | None], unit: Unit) -> None:
    days = [DAY + timedelta(days=n) for n in range(len(values))]
    for picture in (
        charts.amounts_by_day([(d, v, v) for d, v in zip(days, values, strict=True)], "X", 7, unit),
        charts.amounts_by_week(list(zip(days, values, strict=True)), "x", days[-1], unit),
        charts.amounts_by_month(list(zip(days, values, strict=True)), "x", days[-1], unit),
    ):
        drawn = element(picture)
        assert "nan" not in picture.svg
        for word in drawn.iter("text"):
            assert -1 <= float(word.get("x", "")) <= drawing.WIDTH + 1
            assert 0 <= float(word.get("y", "")) <= picture.height


def test_what_others_wrote_is_only_text() -> None:
    name = "</text><script>alert(1)</script>\x1b[31m & “more”"
    picture = charts.ranked([(name, 5, True), ("b", 0, False)], description="Bars.")
    assert labels(picture)[0].startswith("</text><script>alert(1)</script>\\x1b")
    days = [(DAY, 5), (DAY + timedelta(days=1), 6)]
    assert name[:24] in titles(charts.balances([(name, days)], DOLLARS))[0]


def test_a_sparkline_needs_two_values() -> None:
    assert charts.trend([None, 5, None]) == ""
    assert charts.trend([4, None, 5]).count("<path") == 2


def test_as_a_picture_it_is_as_large_and_in_the_colours_of_the_page_in_light() -> None:
    picture = drawing.png(charts.trend([1, 5, 2, 8]), scale=2)
    assert picture.startswith(b"\x89PNG")
    assert (int.from_bytes(picture[16:20]), int.from_bytes(picture[20:24])) == (232, 68)
    style = (files("personal_pipeline.outputs") / "templates" / "report.css").read_text("utf-8")
    light = dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", style[: style.index("@media")]))
    assert drawing.LIGHT.items() <= light.items()
