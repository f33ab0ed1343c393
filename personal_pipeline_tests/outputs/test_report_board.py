"""The board in a terminal, and which of several states is the worst."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from io import StringIO

import pytest
from rich.console import Console

from personal_pipeline.freshness import State, worst
from personal_pipeline.outputs.board import (
    board_in_short,
    board_markdown,
    board_table,
    board_with_advice,
)
from personal_pipeline_tests.outputs.invented_marts import stream_state


def shown(*lines: object, width: int = 240) -> str:
    console = Console(file=StringIO(), width=width, color_system=None)
    console.print(*lines)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_worst_state_is_the_one_that_most_needs_a_person() -> None:
    assert worst([State.FRESH, State.LATE, State.DUE]) is State.LATE
    assert worst([State.LATE, State.FAILING]) is State.FAILING
    assert worst([State.NOT_CONNECTED, State.FRESH]) is State.FRESH
    assert worst([State.DUE, State.WAITING]) is State.DUE
    assert worst([]) is State.NOT_CONNECTED


BOARD = [
    replace(
        stream_state("stripe", "charges", State.FAILING, detail="See [docs], HTTP 401."),
        cause="credential refused",
    ),
    replace(
        stream_state("stripe", "refunds", State.FAILING, detail="See [docs], HTTP 401."),
        cause="credential refused",
    ),
    stream_state("medium", "story_stats", State.LATE, route="drop", newest=date(2026, 10, 1)),
    replace(
        stream_state("kit", "subscribers", looked=None, newest=None, expected=None, unreadable=3),
        records=12,
    ),
    replace(stream_state("kit", "broadcasts"), rows=None),
]


def test_a_line_has_the_three_figures_and_the_counts() -> None:
    charges, _, story_stats, subscribers, broadcasts = (
        line
        for line in shown(board_table(BOARD)).splitlines()
        if any(each.stream in line for each in BOARD)
    )
    assert "failing: credential refused" in charges
    assert "2026-11-21 06:00" in charges
    assert " 2026-10 " in story_stats
    assert "2026-11-22" in story_stats
    assert "never" in subscribers
    assert "3 (25.0%) unreadable" in shown(board_table(BOARD))
    # a damaged file cannot be counted, and that is not the same as no rows
    assert broadcasts.split()[-1] == "—"


@pytest.mark.parametrize("width", [80, 110, 160])
def test_a_narrow_terminal_hides_no_trouble(width: int) -> None:
    text = shown(board_table(BOARD), width=width)
    for said in ("story_stats", "subscribers", "refused", "late", "1,234", "(25.0%)", "unreadable"):
        assert said in text
    assert max(len(line) for line in text.splitlines()) <= width


def test_in_short_it_says_what_to_do_first_and_has_a_line_for_each_source() -> None:
    due = stream_state("bank", "transactions", State.DUE, route="drop", detail="1. Log in\n2. Save")
    gone = stream_state("feeds", "items", State.NOT_CONNECTED, detail="No longer connected.")
    never = stream_state("strava", "rides", State.WAITING, route="drop", newest=None)
    text = shown(board_in_short([*BOARD, due, gone, never]), width=80)
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "To do (3):"
    assert text.count("See [docs], HTTP 401.") == 1
    assert "credential refused" in text
    # steps are shown by the command that it names
    assert "Log in" not in text
    assert "`personal-pipeline status bank` shows" in " ".join(text.split())
    listed = {line.split()[0] for line in lines[lines.index("") :] if line and line[0].isalpha()}
    assert {"Stripe", "Kit", "Bank"} <= listed
    assert "Strava" not in text, "what was never used is not mentioned"
    assert "data kept: Feeds." in text


def test_in_short_all_is_well_in_one_line() -> None:
    assert shown(board_in_short([stream_state("kit", "broadcasts")])).startswith(
        "Everything is fresh.\n"
    )
    assert "To do" not in shown(board_in_short([stream_state("kit", "broadcasts")]))


def test_what_to_do_is_said_once_and_as_it_was_written() -> None:
    text = shown(board_with_advice(BOARD))
    # what is in brackets is not taken for a style
    assert text.count("See [docs], HTTP 401.") == 1
    assert "Failing, credential refused: Stripe (charges, refunds)" in text


def test_in_a_terminal_the_states_have_colours() -> None:
    console = Console(
        file=StringIO(),
        width=240,
        color_system="standard",
        force_terminal=True,
        legacy_windows=False,
    )
    console.print(board_table(BOARD))
    assert isinstance(console.file, StringIO)
    red, yellow, green = "\x1b[1;31m", "\x1b[1;33m", "\x1b[32m"
    text = console.file.getvalue()
    assert f"{red}failing: credential refused" in text
    assert f"{yellow}late" in text
    assert f"{green}fresh" in text


def test_as_markdown_it_is_one_table_and_the_advice() -> None:
    board = [*BOARD, stream_state("odd", "a|b", State.DUE, detail="1. Open it\n2. Save it")]
    table, *advice = board_markdown(board).split("\n\n")
    heading, rule, *rows = table.splitlines()
    assert len(rows) == len(board)
    cells = {row.replace("\\|", "").count("|") for row in (heading, rule, *rows)}
    assert cells == {9}
    assert "**Failing, credential refused**: Stripe (charges, refunds)" in advice
    assert "1. Open it\n2. Save it" in advice
