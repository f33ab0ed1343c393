"""The owner's site over the house of a test module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from personal_pipeline.doors.door import Door
from personal_pipeline.house import House
from personal_pipeline_tests.site.serving import Visitor, owners_site


@pytest.fixture(scope="module")
def door(house: House) -> Iterator[Door]:
    """Where the site of ``house``, which the module makes, is served."""
    with owners_site(house) as door:
        yield door


@pytest.fixture
def owner(door: Door) -> Visitor:
    return Visitor(door.port, door.headers())
