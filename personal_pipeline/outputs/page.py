"""The structure of the report's page: sections of blocks, each a chart with its table below it.

These are texts and cells, ready to be shown; the template styles and escapes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias
from urllib.parse import urlsplit

from personal_pipeline.outputs.formats import (
    Change,
    Number,
    plain_day,
    relative_change,
    short_month,
)

if TYPE_CHECKING:
    from personal_pipeline.outputs.charts import Picture
    from personal_pipeline.outputs.comparison import Measure
    from personal_pipeline.outputs.figures import Figures, Query

Tone: TypeAlias = Literal["good", "bad", "neutral"]

MONTHS_IN_TABLE = 13
NOISE = 0.05
"""A smaller change carries no colour."""


@dataclass(frozen=True, slots=True)
class Move:
    """A change as shown: an arrow, by how much, and whether that is good."""

    change: Change
    tone: Tone
    against: str = ""
    """What it is compared with, in words; empty if a heading says it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One cell: text, optionally a link, a badge, a change, or a sparkline next to it."""

    text: str = ""
    link: str = ""
    badge: str = ""
    move: Move | None = None
    trend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A heading; numbers are right-aligned."""

    heading: str
    numeric: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows under headings. ``marts`` are the warehouse tables that the numbers come from."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    marts: tuple[str, ...]
    folded: bool = True
    """Collapsed until clicked, because a chart above it already shows the gist; left out in
    print."""
    cards: bool = False
    """Each row is a named thing: on a phone it becomes a card instead of a row to scroll along."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A question that a section answers: a sentence, optionally a chart, and the tables below
    it."""

    title: str
    text: str = ""
    chart: Picture | None = None
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the reader should know before the figures: its kind, and the sentences."""

    kind: Literal["failing", "late", "due", "waiting"]
    heading: str
    text: str


@dataclass(frozen=True, slots=True)
class Part:
    """The content of a section. ``as_of`` says how recent its figures are; blocks that are None
    have nothing to show."""

    as_of: str
    blocks: Iterable[Block | None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    """A part of the report. It owns its queries: the SQL files in its folder."""

    anchor: str
    title: str
    sources: tuple[str, ...]
    """It is shown if one of them is connected."""
    part: Callable[[Figures], Part | None]
    """Its content; None if it has nothing to show at all."""
    measures: Callable[[Figures], Sequence[Measure]]
    """Its figures by day, the most important first: from them page one says what is new."""
    also_of: tuple[str, ...] = ()
    """Sources whose troubles it also reports, besides its own."""


def table(
    caption: str,
    query: Query,
    rows: Iterable[Any],
    *columns: tuple[str, Callable[[Any], Cell | str]],
    words: int = 1,
    folded: bool = True,
    cards: bool = False,
) -> Table:
    """A table from the rows of a query. A column is its heading and a function from a row to its
    cell; the first ``words`` columns contain words."""
    shown = [[cell(each) for _, cell in columns] for each in rows]
    return Table(
        caption=caption,
        columns=tuple(Column(name, place >= words) for place, (name, _) in enumerate(columns)),
        rows=tuple(
            tuple(Cell(text=cell) if isinstance(cell, str) else cell for cell in row)
            for row in shown
        ),
        marts=query.marts,
        folded=folded,
        cards=cards,
    )


def latest(months: Sequence[Any]) -> Sequence[Any]:
    """The rows of a folded table of months, given oldest first: the last ones, the most recent
    first, back to the same month of the year before."""
    return months[: -MONTHS_IN_TABLE - 1 : -1]


def change_cell(now: Number | None, before: Number | None, more_is_better: bool | None) -> Cell:
    """The change of a figure in percent."""
    change = relative_change(now, before)
    return Cell(move=Move(change, tone_of(change, more_is_better)))


def title_cell(title: str, url: str | None, badge: str = "") -> Cell:
    """A story's title, linked if its address is a web address and not a script."""
    scheme = urlsplit(url).scheme.lower() if url else ""
    return Cell(text=title, link=url if url and scheme in ("http", "https") else "", badge=badge)


def as_of(day: date | None) -> str:
    """How recent the figures of a section are; empty if there are none."""
    return f"As of {plain_day(day)}" if day else ""


def tone_of(change: Change, more_is_better: bool | None) -> Tone:
    """Whether a change is good, if that can be said. What may be noise is neither good nor bad."""
    if more_is_better is None or change.direction not in ("up", "down"):
        return "neutral"
    if change.share is not None and change.share < NOISE:
        return "neutral"
    return "good" if (change.direction == "up") == more_is_better else "bad"


def unfinished_month(until: date | None) -> date | None:
    """The month of ``until`` (its first day) if some of its days are still to come."""
    if until is None or (until + timedelta(days=1)).day == 1:
        return None
    return until.replace(day=1)


def month_name(month: date, unfinished: date | None) -> str:
    """``Nov 2026``, with a remark if the month is not over."""
    return f"{short_month(month)} (so far)" if month == unfinished else short_month(month)
