"""What the report makes of the state of its sources."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from personal_pipeline.freshness import State
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    never_connected,
    stream_state,
    with_state,
    write_marts,
    write_small_life,
)
from personal_pipeline_tests.outputs.report_page import (
    SECTIONS,
    anchors,
    build,
    card,
    page_of,
    section,
    words,
)


@pytest.fixture(scope="module")
def small_life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_small_life(
        tmp_path_factory.mktemp("small") / "warehouse.duckdb",
        story_stats=[
            {"story_id": "a", "title": "A", "views": 9, "boosted": True},
            {"story_id": "b", "title": "B", "views": 5, "boosted": False},
        ],
        story_stats_daily=[{"story_id": "a", "day": date(2026, 11, 20), "views": 3}],
    )


@pytest.mark.parametrize(("source", "gone"), [("medium", "stories"), ("kit", "subscribers")])
def test_a_section_without_its_source_is_left_out(small_life: Path, source: str, gone: str) -> None:
    board = never_connected(fresh_board(), source)
    page = page_of(build(small_life, board))
    assert anchors(page) == [each for each in SECTIONS if each != gone]
    assert f"#{gone}" not in page.xpath("//a/@href")
    titles = {words(each) for each in page.xpath("//ul[@class='cards']/li//h2")}
    assert not titles & ({"Views"} if source == "medium" else {"Active subscribers"})


def test_a_source_that_lost_its_setting_keeps_its_figures_and_says_so(small_life: Path) -> None:
    detail = "No longer connected; existing data is kept. Set KIT_API_KEY."
    board = with_state(fresh_board(), State.NOT_CONNECTED, "kit", detail=detail)
    page = page_of(build(small_life, board))
    (note,) = section(page, "subscribers").xpath(".//*[@role='note']")
    assert words(note).startswith("No longer connected: Kit (")
    assert "The newest data is from" in words(note)
    assert detail in words(section(page, "sources"))
    # it is nothing that needs a person
    assert "Every source in use is fresh." in words(section(page, "overview"))


def test_a_failing_source_says_why(small_life: Path) -> None:
    board = [
        replace(line, cause="credential refused") if line.source == "stripe" else line
        for line in with_state(fresh_board(), State.FAILING, "stripe", detail="HTTP 401.")
    ]
    page = page_of(build(small_life, board))
    (note,) = section(page, "revenue").xpath(".//*[@role='note']")
    assert words(note).startswith("Failing, credential refused: Stripe (")
    (row, *_) = section(page, "sources").xpath(".//tbody/tr[contains(., 'balance transactions')]")
    assert "failing credential refused" in words(row)


def test_an_export_that_was_never_made_is_no_source(small_life: Path) -> None:
    board = [
        replace(
            line,
            state=State.NOT_CONNECTED if line.route == "api" else State.WAITING,
            newest_data=None,
        )
        if line.source == "medium"
        else line
        for line in fresh_board()
    ]
    assert "stories" not in anchors(page_of(build(small_life, board)))


def test_the_board_shows_every_stream(small_life: Path) -> None:
    page = page_of(build(small_life))
    board = section(page, "sources")
    assert [words(each) for each in board.xpath(".//h3")] == [
        "Stripe",
        "Kit",
        "Medium",
        "Google Sheets",
    ]
    assert len(board.xpath(".//tbody/tr")) == len(fresh_board())
    assert "Every source in use is fresh." in words(section(page, "overview"))


def test_only_what_is_not_well_is_open_and_what_was_never_used_is_not_mentioned(
    small_life: Path,
) -> None:
    board = never_connected(
        with_state(fresh_board(), State.LATE, "kit", detail="Fetch it."), "medium"
    )
    page = section(page_of(build(small_life, board)), "sources")
    opened = page.xpath("./article/h3")
    assert [words(each) for each in opened] == ["Kit"]
    assert "Fetch it." in words(page)
    (folded,) = page.xpath("./details[not(@open)]")
    assert [words(each) for each in folded.xpath(".//h3")] == ["Stripe", "Google Sheets"]
    assert "Medium" not in words(page)


def test_a_source_at_rest_is_no_trouble(small_life: Path) -> None:
    board = with_state(fresh_board(), State.RESTING, "kit")
    page = page_of(build(small_life, board))
    assert "Every source in use is fresh." in words(section(page, "overview"))
    assert section(page, "subscribers").xpath(".//*[@role='note']") == []
    assert "at rest" in words(section(page, "sources"))


def test_a_late_source_says_so_and_keeps_its_last_figures(tmp_path: Path) -> None:
    september = [date(2026, 9, n) for n in range(1, 31)]
    database = write_marts(
        tmp_path / "warehouse.duckdb",
        creator_daily=[
            *({"day": date(2026, 8, n), "views": 5} for n in range(1, 32)),
            *({"day": day, "views": 10} for day in september),
            *({"day": date(2026, 11, n), "subscribers_active": n} for n in range(1, 21)),
        ],
        story_stats=[{"story_id": "a", "title": "A", "views": 300}],
        story_stats_daily=[{"story_id": "a", "day": day, "views": 10} for day in september],
    )
    board = [
        replace(
            line,
            state=State.LATE,
            newest_data=date(2026, 9, 1),
            next_expected=date(2026, 11, 7),
            detail="Save the answers of the stats page and run `personal-pipeline add`.",
        )
        if line.source == "medium" and line.route == "drop"
        else line
        for line in fresh_board()
    ]
    page = page_of(build(database, board))
    stories = section(page, "stories")
    (note,) = stories.xpath(".//*[@role='note']")
    assert words(note) == (
        "Late: Medium (story stats, story stats daily, account stats daily, account export) "
        "The newest data is from Sep 2026. Newer data was expected by 7 November 2026. The "
        "figures shown are the last good ones. Save the answers of the stats page and run "
        "personal-pipeline add."
    )
    assert "As of 30 September 2026" in words(stories)
    assert "Most viewed, 3–30 Sep 2026" in words(stories)
    # a day of two months ago is compared with nothing: its month is shown
    assert card(page, "Views") == "Views 300 Sep 2026 ▲94% vs Aug 2026 not known vs Sep 2025"
    assert ("Stories, known until Wednesday 30 September 2026; in Sep 2026 300 views.") in words(
        section(page, "overview")
    )
    assert "Streams that need you: 4 late." in words(section(page, "overview"))


def test_days_after_a_failure_are_not_shown_as_days_without_revenue(small_life: Path) -> None:
    board = [
        replace(line, newest_data=date(2026, 11, 17))
        for line in with_state(
            fresh_board(), State.FAILING, "stripe", detail="HTTP 401. Make a new key."
        )
        if line.source == "stripe"
    ]
    page = page_of(build(small_life, board))
    assert card(page, "Stripe gross").startswith("Stripe gross €0.00 17 Nov 2026")
    revenue = words(section(page, "revenue"))
    assert "As of 17 November 2026" in revenue
    assert "Failing: Stripe" in revenue
    assert "HTTP 401. Make a new key." in revenue


def test_the_day_of_the_last_look_is_not_over(small_life: Path) -> None:
    looked = datetime(2026, 11, 20, 23, 0, tzinfo=UTC)
    board = [replace(line, last_fetched=looked) for line in fresh_board()]
    page = page_of(build(small_life, board))
    assert card(page, "Stripe gross").startswith("Stripe gross €0.00 19 Nov 2026")


def test_a_source_that_has_just_been_connected(tmp_path: Path) -> None:
    board = [stream_state("kit", "subscribers", State.WAITING, newest=None, detail="Wait.")]
    page = page_of(build(write_marts(tmp_path / "warehouse.duckdb"), board))
    assert "No data yet: Kit (subscribers)" in words(section(page, "subscribers"))


def test_nothing_of_boosts_without_the_sheet(small_life: Path) -> None:
    assert "Boosted and not boosted" in words(section(page_of(build(small_life)), "stories"))
    board = never_connected(fresh_board(), "google_sheets")
    stories = section(page_of(build(small_life, board)), "stories")
    assert not stories.xpath(".//*[@class='badge']")
    assert "Boosted and not boosted" not in words(stories)
