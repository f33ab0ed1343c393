"""What the board means for a reader: which sources are in use, and notes on their figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, timedelta
from itertools import groupby
from typing import Literal

from personal_pipeline.board import StreamState, has_part
from personal_pipeline.freshness import SEVERITY, State
from personal_pipeline.outputs.board import newest_words
from personal_pipeline.outputs.formats import plain_day
from personal_pipeline.outputs.page import Note

_KINDS: dict[State, tuple[Literal["failing", "late", "due", "waiting"], str]] = {
    State.ACTION_REQUIRED: ("failing", "Action required"),
    State.FAILING: ("failing", "Failing"),
    State.LATE: ("late", "Late"),
    State.DUE: ("due", "Due"),
    State.WAITING: ("waiting", "No data yet"),
    State.NOT_CONNECTED: ("waiting", "No longer connected"),
}


def complete_until(
    board: Sequence[StreamState], source: str, stream: str, yesterday: date
) -> date | None:
    """The last whole day for which a stream is complete, ``yesterday`` at most.

    None if the board does not say: then the most recent record is the best available answer.
    """
    line = next((line for line in board if (line.source, line.stream) == (source, stream)), None)
    if line is None or line.state in (State.NOT_CONNECTED, State.RESTING, State.WAITING):
        return None
    if line.state in (State.FAILING, State.ACTION_REQUIRED) or line.last_fetched is None:
        told = line.newest_data
    else:
        # a fetch covers all days before its own, and part of that one
        told = line.last_fetched.astimezone(UTC).date() - timedelta(days=1)
    return min(told, yesterday) if told else None


def words(stream: str) -> str:
    """A stream's name as words."""
    return stream.replace("_", " ")


def notes_about(board: Sequence[StreamState], *sources: str) -> tuple[Note, ...]:
    """One note for all streams of a source with the same trouble, the worst first."""
    troubled = [
        line for line in board if line.source in sources and line.state in _KINDS and has_part(line)
    ]

    def trouble(line: StreamState) -> tuple[int, str, str, date]:
        return (
            -SEVERITY.index(line.state),
            line.source_title,
            line.detail,
            line.next_expected or date.min,
        )

    return tuple(
        _note(list(lines)) for _, lines in groupby(sorted(troubled, key=trouble), key=trouble)
    )


def _note(lines: list[StreamState]) -> Note:
    first = lines[0]
    kind, word = _KINDS[first.state]
    named = ", ".join(words(line.stream) for line in lines)
    if first.cause:
        word = f"{word}, {first.cause}"
    sentences = []
    if first.state is not State.WAITING:
        newest = max(lines, key=lambda line: line.newest_data or date.min)
        if newest.newest_data:
            sentences.append(f"The newest data is from {newest_words(newest)}.")
        if first.next_expected:
            ought = "was expected" if first.state is State.LATE else "is expected"
            sentences.append(f"Newer data {ought} by {plain_day(first.next_expected)}.")
        if first.state in (State.LATE, State.FAILING, State.ACTION_REQUIRED) and newest.newest_data:
            sentences.append("The figures shown are the last good ones.")
    if first.detail:
        sentences.append(first.detail)
    return Note(kind, f"{word}: {first.source_title} ({named})", " ".join(sentences))
