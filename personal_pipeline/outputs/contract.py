"""What an output is: plain data and a plain function, like a source.

An output is what the house writes for a person or another program. From its declaration come the
asset with its lineage, its event in Dagster, and its place in every pass.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from personal_pipeline.board import StreamState
from personal_pipeline.house import House

Board: TypeAlias = Sequence[StreamState]


@dataclass(frozen=True, slots=True)
class Written:
    """What was written. ``digest`` identifies its content, or the inputs that it was made from;
    ``page`` is its address in the site; ``details`` are shown with the asset, by name, and hold no
    row of data."""

    path: Path
    digest: str
    page: str | None = None
    details: Mapping[str, str | int] = field(default_factory=dict)


class Due(StrEnum):
    """How often it should be found up to date."""

    DAILY = "daily"
    MONTHLY = "monthly"
    """Once the last month is complete."""
    ASKED = "asked"
    """Made when somebody asks for it."""


def all_marts(tables: Collection[str]) -> list[str]:
    """The marts among tables."""
    return sorted(each for each in tables if each.startswith("marts/"))


@dataclass(frozen=True, kw_only=True)
class Output:
    """Something that the house writes.

    ``write`` brings it up to date and returns what it wrote, or None if it was up to date; with
    ``again`` it writes in any case. It is atomic, and can be killed and called again. A sentence of
    an exception names the output and what to do.
    """

    name: str
    """The key of the asset below ``outputs/``."""
    description: str
    """What it is, where, and how it is cut: shown in the UI."""
    kinds: frozenset[str]
    write: Callable[[House, Board, bool], Written | None] | None
    """None for what is made when somebody asks for it."""
    reads: Callable[[Collection[str]], Collection[str]] = all_marts
    """Which of the tables it reads."""
    due: Due = Due.DAILY

    @property
    def asset(self) -> str:
        return f"outputs/{self.name}"
