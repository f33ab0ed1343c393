"""Charts that were drawn before."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import vl_convert
from altair.utils import schemapi

from personal_pipeline.outputs import charts, drawings
from personal_pipeline_tests.outputs.invented_marts import write_two_years
from personal_pipeline_tests.outputs.report_page import build

DAY = date(2026, 11, 20)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What was really drawn."""
    specifications: list[object] = []
    draw = vl_convert.vegalite_to_svg

    def noting(specification: Any, **options: Any) -> Any:
        specifications.append(specification)
        return draw(specification, **options)

    monkeypatch.setattr(vl_convert, "vegalite_to_svg", noting)
    return specifications


def readings(last: float) -> charts.Picture:
    days = [(DAY + timedelta(n), float(n), float(n)) for n in range(9)]
    return charts.readings_by_day([*days, (DAY + timedelta(9), last, 4.0)], "Weight")


def test_a_chart_is_drawn_again_only_when_it_shows_something_else(
    tmp_path: Path, drawn: list[object]
) -> None:
    with drawings.kept_in(tmp_path / "kept.json"):
        first = readings(5)
    assert len(drawn) == 2  # wide and narrow
    with drawings.kept_in(tmp_path / "kept.json"):
        assert readings(5) == first
    assert len(drawn) == 2
    with drawings.kept_in(tmp_path / "kept.json"):
        other = readings(6)
    assert len(drawn) == 4
    assert other.wide != first.wide
    with drawings.kept_in(tmp_path / "kept.json"):
        assert readings(5) == first
    assert len(drawn) == 6, "only what the last report showed is kept"


def test_other_code_draws_again(
    tmp_path: Path, drawn: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    with drawings.kept_in(tmp_path / "kept.json"):
        readings(5)
    monkeypatch.setattr(charts, "_version", lambda: "later")
    with drawings.kept_in(tmp_path / "kept.json"):
        readings(5)
    assert len(drawn) == 4


@pytest.mark.parametrize("content", [b"", b"[1]", b"7", b'{"a": 1}', b"\xff", b'{"a": "<svg/>"}'])
def test_a_file_that_is_damaged_is_as_good_as_none(tmp_path: Path, content: bytes) -> None:
    kept = tmp_path / "kept.json"
    kept.write_bytes(content)
    with drawings.kept_in(kept):
        picture = readings(5)
    assert picture == readings(5)


def test_every_chart_of_a_report_is_valid(tmp_path: Path) -> None:
    database = write_two_years(tmp_path / "warehouse.duckdb", DAY)
    with schemapi.debug_mode(True):
        assert build(database).count("<svg") > 20
