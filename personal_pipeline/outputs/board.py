"""The board as people see it: on a terminal in short or stream by stream, as Markdown, and in
words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date
from itertools import groupby

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from personal_pipeline.board import StreamState, has_part, in_use
from personal_pipeline.freshness import SEVERITY, TROUBLED, State, worst
from personal_pipeline.outputs.formats import (
    UNKNOWN,
    count,
    instant,
    percentage,
    short_day,
    short_month,
)
from personal_pipeline.outputs.terminal import grid_of

HEADINGS = (
    "Source",
    "Stream",
    "State",
    "Last fetched",
    "Newest data",
    "Next expected",
    "Rows",
    "Unreadable",
)

_COLUMNS = ("Stream", "State", "Last fetched, UTC", "Newest data", "Next expected", "Rows")

_STYLE = {
    State.NOT_CONNECTED: "dim",
    State.RESTING: "dim",
    State.FRESH: "green",
    State.WAITING: "cyan",
    State.DUE: "yellow",
    State.LATE: "bold yellow",
    State.FAILING: "bold red",
    State.ACTION_REQUIRED: "bold magenta",
}


def newest_words(line: StreamState) -> str:
    """The most recent data in words: a day, or a month for a drop; empty if there is none."""
    if line.newest_data is None:
        return ""
    return short_month(line.newest_data) if line.route == "drop" else short_day(line.newest_data)


def state_words(line: StreamState) -> str:
    """The state, with its cause if it is failing: ``failing: credential refused``."""
    return f"{line.state}: {line.cause}" if line.cause else str(line.state)


def share_unreadable(line: StreamState) -> float | None:
    """The share of the most recent fetch or file that could not be parsed, 0 to 1; None if unknown.

    A fetch without new records has nothing unreadable.
    """
    if line.records is None:
        return None if line.unreadable else 0.0
    return line.unreadable / line.records if line.records else 0.0


def board_table(board: Sequence[StreamState]) -> Table:
    """The board for a terminal: one line per stream in the given order, under the name of its
    source and of the route by which it arrives."""
    table = Table(
        box=SIMPLE_HEAD,
        collapse_padding=True,
        pad_edge=False,
        padding=0,
        show_edge=False,
    )
    for heading in _COLUMNS:
        table.add_column(
            heading,
            # people look for names and counts, so dates are wrapped first
            no_wrap=heading in ("Stream", "Rows"),
            overflow="fold",
            justify="right" if heading == "Rows" else "left",
        )
    before = ("", "")
    for line in board:
        if before != (line.source, line.route):
            before = (line.source, line.route)
            way = Text(" dropped by hand" if line.route == "drop" else "", style="dim")
            table.add_row(Text.assemble((line.source_title, "bold"), way))
        lost = (f"\n{_unreadable(line)} unreadable", "bold red") if line.unreadable else ""
        table.add_row(
            Text(f"  {line.stream}"),
            Text(state_words(line), style=_STYLE[line.state]),
            f"{line.last_fetched.astimezone(UTC):%Y-%m-%d %H:%M}" if line.last_fetched else "never",
            _newest(line),
            f"{line.next_expected or ''}",
            Text.assemble(count(line.rows), lost),
        )
    return table


def board_in_short(board: Sequence[StreamState]) -> Group:
    """What to do, or that there is nothing to do; below it one line per source in use."""
    used = [line for line in board if in_use(line)]
    sentences = [_to_do(lines) for lines in to_do(board)]
    if not used:
        headline = Text("No source is in use. `personal-pipeline sources` lists them.")
    elif not sentences:
        headline = Text("Everything is fresh.", style="green")
    else:
        headline = Text(f"To do ({len(sentences)}):", style="bold")
    table = grid_of("", "Source", "State", "Last fetched, UTC", "Newest data", "Next")
    for column in table.columns:
        column.no_wrap = column.header != "State"
    for title, lines in groupby(used, lambda line: line.source_title):
        table.add_row(*_source_row(title, list(lines)))
    resting, gone = (
        dict.fromkeys(line.source_title for line in board if line.state is state and has_part(line))
        for state in (State.RESTING, State.NOT_CONNECTED)
    )
    parts: list[RenderableType] = [headline, *sentences]
    if used:
        parts += ["", table]
    if gone or resting:
        parts.append("")
    if gone:
        parts.append(f"No longer connected, data kept: {', '.join(gone)}.")
    if resting:
        parts.append(f"At rest: {', '.join(resting)}.")
    return Group(*parts)


def to_do(board: Sequence[StreamState]) -> list[list[StreamState]]:
    """What needs something, the worst first: the streams of a source with the same trouble
    together."""
    used = [line for line in board if in_use(line)]
    return [lines for lines in _troubles(used) if lines[0].state in TROUBLED]


def _to_do(lines: Sequence[StreamState]) -> Padding:
    """One trouble: the sentence, or for the steps of an export the command that shows them."""
    first = lines[0]
    detail = first.detail
    if "\n" in detail:
        detail = f"`personal-pipeline status {first.source}` shows the steps."
    way = "the export is " if first.route == "drop" and not first.cause else ""
    said = f"{first.cause}" if first.cause else f"{way}{first.state}"
    since = f" since {short_day(first.next_expected)}" if way and first.next_expected else ""
    text = Text.assemble(
        (f"{first.source_title}: {said}{since}. ", _STYLE[first.state]), (detail, "default")
    )
    return Padding(text, (0, 0, 0, 2))


def _source_row(title: str, lines: Sequence[StreamState]) -> tuple[Text | str, ...]:
    """The worst state of a source, when it was last fetched, its newest data, and the next that is
    expected."""
    state = worst(line.state for line in lines)
    unreadable = sum(line.unreadable for line in lines)
    lost = (f"\n{count(unreadable)} unreadable", "bold red") if unreadable else ""
    fetched = max((each.last_fetched for each in lines if each.last_fetched), default=None)
    newest = max(lines, key=lambda line: line.newest_data or date.min)
    expected = min((each.next_expected for each in lines if each.next_expected), default=None)
    return (
        Text(title, style="bold"),
        Text.assemble((str(state), _STYLE[state]), lost),
        f"{fetched.astimezone(UTC):%Y-%m-%d %H:%M}" if fetched else "never",
        _newest(newest),
        f"{expected or ''}",
    )


def board_with_advice(board: Sequence[StreamState]) -> Group:
    """The table and, below it, what to do, once for all streams of a source with the same
    advice."""
    advice = [
        Group(
            Text.assemble((_lead(lines[0]), _STYLE[lines[0].state]), f": {_named(lines)}"),
            Padding(Text(lines[0].detail), (0, 0, 1, 2)),
        )
        for lines in _troubles(board)
    ]
    return Group(board_table(board), *([Text("")] if advice else []), *advice)


def board_markdown(board: Sequence[StreamState]) -> str:
    """The board as a Markdown table, with what to do as a list below it."""
    rule = ["---" if h not in ("Rows", "Unreadable") else "---:" for h in HEADINGS]
    rows = [HEADINGS, rule, *(_cells(line) for line in board)]
    table = "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)
    advice = [
        f"**{_escaped(_lead(lines[0]))}**: {_escaped(_named(lines))}\n\n{_inert(lines[0].detail)}"
        for lines in _troubles(board)
    ]
    return "\n\n".join([table, *advice])


def _cells(line: StreamState) -> tuple[str, ...]:
    return (
        line.source_title,
        f"{line.stream} (drop)" if line.route == "drop" else line.stream,
        state_words(line),
        instant(line.last_fetched) if line.last_fetched else "never",
        newest_words(line),
        short_day(line.next_expected) if line.next_expected else "",
        count(line.rows),
        _unreadable(line),
    )


def _unreadable(line: StreamState) -> str:
    if not line.unreadable:
        return "0"
    share = share_unreadable(line)
    known = UNKNOWN if share is None else percentage(100 * share)
    return f"{count(line.unreadable)} ({known})"


def _troubles(board: Sequence[StreamState]) -> Iterator[list[StreamState]]:
    """Lines that need something or have a detail, grouped if it is the same; the worst first."""
    alike: dict[tuple[str, State, str], list[StreamState]] = {}
    for line in board:
        if line.detail or line.state in TROUBLED:
            alike.setdefault((line.source, line.state, line.detail), []).append(line)
    yield from sorted(alike.values(), key=lambda lines: -SEVERITY.index(lines[0].state))


def _named(lines: Sequence[StreamState]) -> str:
    return f"{lines[0].source_title} ({', '.join(line.stream for line in lines)})"


def _lead(line: StreamState) -> str:
    return f"{line.state}, {line.cause}".capitalize() if line.cause else line.state.capitalize()


def _newest(line: StreamState) -> str:
    if line.newest_data is None:
        return ""
    return f"{line.newest_data:%Y-%m}" if line.route == "drop" else f"{line.newest_data}"


def _escaped(cell: str) -> str:
    return _inert(cell).replace("_", "\\_")


def _inert(text: str) -> str:
    """Escapes Markdown so that text by others cannot become a link, an image, HTML or a table
    column."""
    return re.sub(r"[\\<>\[\]|]", r"\\\g<0>", text)
