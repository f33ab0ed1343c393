"""One person's data, brought home: fetched or dropped, archived, built into tables, reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from personal_pipeline.asking import Tables


def tables() -> Tables:
    """The published tables of the home that the settings name, for a notebook."""
    from personal_pipeline.asking import Tables
    from personal_pipeline.home import Home
    from personal_pipeline.settings import load_settings

    return Tables(Home.of(load_settings().home).published)
