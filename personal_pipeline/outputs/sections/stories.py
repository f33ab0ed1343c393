"""The stories: what was read, what rises, and what a boost does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

from personal_pipeline.board import StreamState
from personal_pipeline.outputs.charts import (
    Key,
    amounts_by_day,
    boosted_stories,
    ranked,
    trend,
    views_by_month,
)
from personal_pipeline.outputs.comparison import Known, Span, mean_of_days
from personal_pipeline.outputs.figures import Figures, RisingStory, Story, TopStory
from personal_pipeline.outputs.formats import (
    UNKNOWN,
    Number,
    count,
    money,
    percentage,
    plain_day,
    relative_change,
    short_day,
    span,
)
from personal_pipeline.outputs.page import (
    Block,
    Cell,
    Move,
    Section,
    Table,
    as_of,
    cells,
    columns,
    month_name,
    title_cell,
    tone_of,
    unfinished_month,
)
from personal_pipeline.outputs.standing import is_connected, notes_about

DAYS_SHOWN = 91
STORIES_SHOWN = 200


def stories_section(
    figures: Figures, views: Known, board: Sequence[StreamState], currency: str
) -> Section:
    """All that is known of the stories.

    ``views`` are those of the line a day; ``currency`` is the one that Medium pays in.
    """
    # the newest day that views are known for, by story or over all
    newest = (figures.story_statistics_until, max(views, default=None))
    until = max((day for day in newest if day), default=None)
    flagged = is_connected(board, "google_sheets")
    blocks = [
        _views_by_month(figures, until, currency),
        _views_by_day(views),
        _top(figures, flagged),
        _rising(figures, flagged),
        _boosted(figures, currency) if flagged else None,
        _all(figures, currency, flagged),
    ]
    return Section(
        anchor="stories",
        title="Stories",
        as_of=_as_of(figures, until),
        notes=notes_about(board, "medium", "google_sheets"),
        blocks=tuple(block for block in blocks if block is not None),
    )


def _as_of(figures: Figures, until: date | None) -> str:
    if until:
        return as_of(until)
    captured = max(
        (s.last_captured_on for s in figures.stories if s.last_captured_on), default=None
    )
    if captured:
        return f"Statistics captured on {plain_day(captured)}"
    published = max((s.published_on for s in figures.stories if s.published_on), default=None)
    return f"Newest story of {plain_day(published)}" if published else ""


def _ratio(value: float | None) -> str:
    return percentage(None if value is None else value * 100)


def _views_by_month(figures: Figures, until: date | None, currency: str) -> Block | None:
    months = figures.engagement_months
    if not months:
        return None
    running = unfinished_month(until)
    viewed = [(each.month, each.views, each.reads) for each in months if each.views is not None]
    return Block(
        title="Views and reads by month",
        text="A pale last bar is a month that is not finished." if running else "",
        chart=views_by_month(viewed, running) if viewed else None,
        tables=(
            Table(
                caption="Engagement by month over all stories",
                columns=columns(
                    "Month",
                    "Views",
                    "Reads",
                    "Read ratio",
                    "Earnings",
                    "Stories",
                    "Boosted",
                    "Boosted share",
                    "Followers",
                    "Subscribers",
                ),
                rows=tuple(
                    cells(
                        month_name(each.month, running),
                        count(each.views),
                        count(each.reads),
                        _ratio(each.read_ratio),
                        money(each.earnings, currency),
                        count(each.stories_published),
                        count(each.stories_boosted),
                        _ratio(each.boosted_share),
                        count(each.followers_gained, signed=True),
                        count(each.subscribers_gained, signed=True),
                    )
                    for each in reversed(months)
                ),
                marts=("marts.engagement_monthly",),
            ),
        ),
    )


def _views_by_day(views: Known) -> Block | None:
    if not views:
        return None
    until = max(views)
    first = max(until - timedelta(days=DAYS_SHOWN - 1), min(views))
    rows = [
        (day, views.get(day), mean_of_days(views, day, days=7, least=7))
        for day in Span(first, until).each()
    ]
    return Block(
        title=f"Views by day, {span(first, until)}",
        chart=amounts_by_day(rows, "Views"),
        tables=(
            Table(
                caption="Views by day over all stories",
                columns=columns("Day", "Views", "Mean of 7 days"),
                rows=tuple(
                    cells(short_day(day), count(value), count(mean))
                    for day, value, mean in reversed(rows)
                ),
                marts=("marts.creator_daily",),
            ),
        ),
    )


def _move(now: Number | None, before: Number | None) -> Cell:
    change = relative_change(now, before)
    return Cell(move=Move(change, tone_of(change, True)))


def _title(story: Story | TopStory | RisingStory, flagged: bool) -> Cell:
    return title_cell(story.title, story.url, "boosted" if flagged and story.boosted else "")


def _top(figures: Figures, flagged: bool) -> Block | None:
    until = figures.story_statistics_until
    if not figures.top_stories or until is None:
        return None
    boosted = flagged and any(story.boosted for story in figures.top_stories)
    return Block(
        title=f"Most viewed, {span(until - timedelta(days=27), until)}",
        chart=ranked(
            [(each.title, each.views, flagged and each.boosted) for each in figures.top_stories],
            description="Bars of the stories with most views in 28 days.",
            legend=(Key("Boosted", "--second"), Key("Not boosted", "--first")) if boosted else (),
        ),
        tables=(
            Table(
                caption="Most viewed stories of 28 days, against the 28 days before",
                columns=columns("Story", "Views", "28 days before", "Change", "Read ratio"),
                rows=tuple(
                    (
                        _title(story, flagged),
                        *cells(count(story.views), count(story.views_before)),
                        _move(story.views, story.views_before),
                        Cell(text=_ratio(story.read_ratio)),
                    )
                    for story in figures.top_stories
                ),
                marts=("marts.story_stats_daily", "marts.story_stats"),
                cards=True,
            ),
        ),
    )


def _rising(figures: Figures, flagged: bool) -> Block | None:
    until = figures.story_statistics_until
    if not figures.rising_stories or until is None:
        return None
    return Block(
        title=f"Rising, {span(until - timedelta(days=6), until)}",
        tables=(
            Table(
                caption="Stories that gained most views in seven days against the seven before",
                columns=(
                    *columns("Story", "28 days", words=2),
                    *columns("7 days", "7 days before", "Gain", "Change", words=0),
                ),
                rows=tuple(
                    (
                        _title(story, flagged),
                        Cell(trend=trend(story.trend)),
                        *cells(
                            count(story.views),
                            count(story.views_before),
                            count(story.views - story.views_before, signed=True),
                        ),
                        _move(story.views, story.views_before),
                    )
                    for story in figures.rising_stories
                ),
                marts=("marts.story_stats_daily", "marts.story_stats"),
                cards=True,
                folded=False,
            ),
        ),
    )


def _boosted(figures: Figures, currency: str) -> Block | None:
    groups = {group.boosted: group for group in figures.boosted}
    if len(groups) < 2:
        return None
    boosted, others = groups[True].median_views, groups[False].median_views
    text = ""
    if boosted and others:
        text = (
            f"Half of the boosted stories have at least {count(boosted)} views; "
            f"of the others, {count(others)}."
        )
    viewed = [(story.views, story.boosted) for story in figures.stories if story.views]
    return Block(
        title="Boosted against not",
        text=text,
        chart=boosted_stories(viewed[:STORIES_SHOWN], [(False, others or 0), (True, boosted or 0)])
        if viewed
        else None,
        tables=(
            Table(
                caption="Boosted stories against the others, over their whole lives",
                columns=columns(
                    "Group",
                    "Stories",
                    "Median views",
                    "Mean views",
                    "Read ratio",
                    "Median earnings",
                    "All earnings",
                ),
                rows=tuple(
                    cells(
                        "Boosted" if group.boosted else "Not boosted",
                        count(group.stories),
                        count(group.median_views),
                        count(group.mean_views),
                        _ratio(group.read_ratio),
                        money(group.median_earnings, currency),
                        money(group.earnings, currency),
                    )
                    for group in figures.boosted
                ),
                marts=("marts.story_stats",),
                cards=True,
                folded=False,
            ),
        ),
    )


def _all(figures: Figures, currency: str, flagged: bool) -> Block | None:
    stories = figures.stories[:STORIES_SHOWN]
    if not stories:
        return None
    everything = len(figures.stories)
    more = everything > len(stories)
    return Block(
        title="All stories",
        text=f"The {count(len(stories))} most viewed of {count(everything)}." if more else "",
        tables=(
            Table(
                caption=f"{count(len(stories))} stories over their whole lives",
                columns=columns(
                    "Story",
                    "Published",
                    "Presentations",
                    "Views",
                    "Reads",
                    "Read ratio",
                    "Earnings",
                    words=2,
                ),
                rows=tuple(_story(story, currency, flagged) for story in stories),
                marts=("marts.story_stats",),
                cards=True,
            ),
        ),
    )


def _story(story: Story, currency: str, flagged: bool) -> tuple[Cell, ...]:
    return (
        _title(story, flagged),
        *cells(
            short_day(story.published_on) if story.published_on else UNKNOWN,
            count(story.presentations),
            count(story.views),
            count(story.reads),
            _ratio(story.read_ratio),
            money(story.earnings, story.earnings_currency or currency),
        ),
    )
