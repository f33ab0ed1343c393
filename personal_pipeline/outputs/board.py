"""The board: one line a stream that says how fresh it is, what is wrong and what to do.

Whoever computes the verdicts fills it; the report, the command line and the alerts show it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

from rich.table import Table
from rich.text import Text

from personal_pipeline.outputs.formats import count, instant, short_day, short_month


class State(StrEnum):
    """How a stream stands, mildest first: the order is that of ``worst``."""

    NOT_CONNECTED = "not connected"
    """It has no credential or address, and nothing is expected of it."""
    FRESH = "fresh"
    """Everything that should be there is there."""
    WAITING = "waiting for the first"
    """It is ready, and nothing has arrived yet."""
    DUE = "due"
    """The next data can be had now; it is not late yet."""
    LATE = "late"
    """The next data should have been there already."""
    FAILING = "failing"
    """The last look ended in an error."""


SEVERITY: tuple[State, ...] = tuple(State)

_STYLE = {
    State.NOT_CONNECTED: "dim",
    State.FRESH: "green",
    State.WAITING: "cyan",
    State.DUE: "yellow",
    State.LATE: "bold yellow",
    State.FAILING: "bold red",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamState:
    """One line of the board: one stream of one source, at the moment of looking."""

    source: str
    """The source's short name, as in the lake."""
    source_title: str
    stream: str
    route: Literal["api", "drop"]
    """Fetched from a service, or dropped by hand."""
    state: State
    last_looked: datetime | None
    """UTC instant of the last look, whatever came of it."""
    newest_data: date | None
    """The newest partition that has records: a UTC day, or a month (its first day) of a drop."""
    next_expected: date | None
    """The UTC day by which newer data should be there; None when there is no calendar."""
    rows: int
    unreadable: int
    """Records that were kept aside because they could not be read."""
    detail: str
    """What is wrong and what to do about it, in sentences; empty when all is well."""


def newest_words(line: StreamState) -> str:
    """The newest data as it is written: a day, or a month for a drop; empty when there is none."""
    if line.newest_data is None:
        return ""
    return short_month(line.newest_data) if line.route == "drop" else short_day(line.newest_data)


def worst(states: Iterable[State]) -> State:
    """The state that most needs a person; ``NOT_CONNECTED`` when there is none at all."""
    return max(states, key=SEVERITY.index, default=State.NOT_CONNECTED)


def board_table(board: Sequence[StreamState]) -> Table:
    """The board for a terminal: a line a stream in the given order, a rule between sources."""
    table = Table(title="State of every source", title_justify="left")
    for heading in ("Source", "Stream", "State", "Last looked", "Newest data", "Next expected"):
        table.add_column(heading, no_wrap=heading not in ("Source", "Stream"))
    table.add_column("Rows", justify="right")
    table.add_column("Unreadable", justify="right")
    table.add_column("What to do", overflow="fold")
    for line, following in zip(board, [*board[1:], None], strict=False):
        table.add_row(
            Text(line.source_title),
            Text(f"{line.stream} ({line.route})"),
            Text(line.state, style=_STYLE[line.state]),
            instant(line.last_looked) if line.last_looked else "never",
            newest_words(line),
            short_day(line.next_expected) if line.next_expected else "",
            count(line.rows),
            Text(count(line.unreadable), style="bold red" if line.unreadable else ""),
            Text(line.detail),
            end_section=following is None or following.source != line.source,
        )
    return table
