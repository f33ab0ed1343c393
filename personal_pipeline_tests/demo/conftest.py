"""One life for all tests of the demo: inventing it takes a moment, and it is never changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import DEFAULT_SEED, DEFAULT_YEARS, Life, invent
from personal_pipeline.demo.services import Served, serve
from personal_pipeline_tests.invented_house import once


@pytest.fixture(scope="session")
def life() -> Life:
    return invent(DEFAULT_YEARS, DEFAULT_SEED, date(2026, 11, 20))


@pytest.fixture(scope="session")
def served(life: Life) -> Iterator[Served]:
    with serve(life) as served:
        yield served


@pytest.fixture(scope="session")
def drops(life: Life, in_common: Path) -> list[Path]:
    return once(in_common, "drops", lambda folder: write_drops(life, folder))
