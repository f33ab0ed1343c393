"""The board in a terminal, and which of several states is the worst."""

from __future__ import annotations

from datetime import date
from io import StringIO

from rich.console import Console

from personal_pipeline.outputs.board import State, board_table, worst
from personal_pipeline_tests.outputs.invented_marts import stream_state


def shown(*lines: object) -> str:
    console = Console(file=StringIO(), width=240, color_system=None)
    console.print(*lines)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_worst_state_is_the_one_that_most_needs_a_person() -> None:
    assert worst([State.FRESH, State.LATE, State.DUE]) is State.LATE
    assert worst([State.LATE, State.FAILING]) is State.FAILING
    assert worst([State.NOT_CONNECTED, State.FRESH]) is State.FRESH
    assert worst([State.DUE, State.WAITING]) is State.DUE
    assert worst([]) is State.NOT_CONNECTED


def test_a_line_says_what_to_do_as_it_was_written() -> None:
    table = board_table(
        [
            stream_state("stripe", "charges", State.FAILING, detail="See [docs], HTTP 401."),
            stream_state("medium", "story_stats", route="drop", newest=date(2026, 10, 1)),
            stream_state(
                "kit", "subscribers", looked=None, newest=None, expected=None, unreadable=3
            ),
        ]
    )
    stripe, medium, kit = (
        line for line in shown(table).splitlines() if any(s in line for s in ("(api)", "(drop)"))
    )
    # what is in brackets is not taken for a style
    assert "See [docs], HTTP 401." in stripe
    assert "failing" in stripe
    assert "21 Nov 2026, 06:00 UTC" in stripe
    assert " Oct 2026" in medium
    assert "never" in kit
    assert " 3 " in kit
