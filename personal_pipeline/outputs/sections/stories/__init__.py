"""The stories: what was read, which are rising, and what a boost does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, timedelta
from typing import Any

from personal_pipeline.outputs.charts import (
    Key,
    amounts_by_day,
    boosted_stories,
    ranked,
    trend,
    views_by_month,
)
from personal_pipeline.outputs.comparison import Known, Measure, Span, counted, mean_of_days
from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import (
    UNKNOWN,
    count,
    money,
    money_unit,
    percentage,
    plain_day,
    short_day,
    span,
)
from personal_pipeline.outputs.page import (
    Block,
    Cell,
    Part,
    Section,
    as_of,
    change_cell,
    latest,
    month_name,
    table,
    title_cell,
    unfinished_month,
)
from personal_pipeline.outputs.standing import complete_until

DAILY = query(__package__, "daily")
CURRENCY = query(__package__, "currency")
ROSE = query(__package__, "rose")
MONTHS = query(__package__, "months")
STORIES_EVER = query(__package__, "stories")
TOP = query(__package__, "top")
RISING = query(__package__, "rising")
BOOSTED = query(__package__, "boosted")
UNTIL = query(__package__, "until")
DAYS_SHOWN = 84
DAYS_IN_TABLE = 14
STORIES_SHOWN = 10
STORIES_DRAWN = 200


def measures(figures: Figures) -> list[Measure]:
    """The stories by day."""
    rows = figures.rows(DAILY)
    yesterday = figures.day - timedelta(days=1)
    published = {row.day: row.published for row in rows if row.published is not None}

    def why(day: date) -> str:
        for rose in figures.rows(ROSE, on=day):
            since = f", published on {short_day(rose.published_on)}," if rose.published_on else ""
            return f"\u201c{rose.title}\u201d{since} had {count(rose.views)} views."
        return ""

    return [
        Measure(
            title="Views",
            known={row.day: row.views for row in rows if row.views is not None},
            query=DAILY,
            words=("view", "views"),
            card=True,
            why=why,
        ),
        Measure(
            title="Medium earnings",
            known={row.day: row.earnings for row in rows if row.earnings is not None},
            query=DAILY,
            unit=money_unit(_currency(figures)),
            words=("earned on Medium", "earned on Medium"),
            card=True,
            why=why,
        ),
        Measure(
            title="Stories published",
            known=counted(published, complete_until(figures.board, "medium", "feed", yesterday)),
            query=DAILY,
            words=("story published", "stories published"),
            if_any=True,
            more_is_better=None,
            judged=False,
        ),
    ]


def _currency(figures: Figures) -> str:
    # Medium pays in US dollars; its statistics give the currency only with earnings
    return next((row.currency for row in figures.rows(CURRENCY)), "usd")


def part(figures: Figures) -> Part:
    """Everything about the stories."""
    views = {row.day: row.views for row in figures.rows(DAILY) if row.views is not None}
    stories = figures.rows(STORIES_EVER)
    told = next((row.day for row in figures.rows(UNTIL)), None)
    # the most recent day with known views, per story or overall
    until = max((day for day in (told, max(views, default=None)) if day), default=None)
    flagged = figures.has("google_sheets")
    currency = _currency(figures)
    return Part(
        _as_of(stories, until),
        [
            _views_by_month(figures.rows(MONTHS), until, currency),
            _views_by_day(views),
            _top(figures.rows(TOP), told, flagged),
            _rising(figures.rows(RISING), told, flagged),
            _boosted(figures.rows(BOOSTED), stories, currency) if flagged else None,
            _all(stories, currency, flagged),
        ],
    )


def _as_of(stories: Sequence[Any], until: date | None) -> str:
    if until:
        return as_of(until)
    captured = max((s.last_captured_on for s in stories if s.last_captured_on), default=None)
    if captured:
        return f"Statistics captured on {plain_day(captured)}"
    published = max((s.published_on for s in stories if s.published_on), default=None)
    return f"Latest story published on {plain_day(published)}" if published else ""


def _ratio(value: float | None) -> str:
    return percentage(None if value is None else value * 100)


def _views_by_month(months: Sequence[Any], until: date | None, currency: str) -> Block | None:
    if not months:
        return None
    running = unfinished_month(until)
    viewed = [(each.month, each.views, each.reads) for each in months if each.views is not None]
    return Block(
        title="Views and reads by month",
        text="A pale last bar is an incomplete month." if running else "",
        chart=views_by_month(viewed, running) if viewed else None,
        tables=(
            table(
                "Engagement by month over all stories",
                MONTHS,
                latest(months),
                ("Month", lambda each: month_name(each.month, running)),
                ("Views", lambda each: count(each.views)),
                ("Reads", lambda each: count(each.reads)),
                ("Read ratio", lambda each: _ratio(each.read_ratio)),
                ("Earnings", lambda each: money(each.earnings, currency)),
                ("Stories", lambda each: count(each.stories_published)),
                ("Boosted", lambda each: count(each.stories_boosted)),
                ("Boosted share", lambda each: _ratio(each.boosted_share)),
                ("Followers", lambda each: count(each.followers_gained, signed=True)),
                ("Subscribers", lambda each: count(each.subscribers_gained, signed=True)),
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
            table(
                "Views by day over all stories",
                DAILY,
                rows[: -DAYS_IN_TABLE - 1 : -1],
                ("Day", lambda row: short_day(row[0])),
                ("Views", lambda row: count(row[1])),
                ("Mean of 7 days", lambda row: count(row[2])),
            ),
        ),
    )


def _title(flagged: bool) -> Callable[[Any], Cell]:
    return lambda story: title_cell(
        story.title, story.url, "boosted" if flagged and story.boosted else ""
    )


def _top(stories: Sequence[Any], until: date | None, flagged: bool) -> Block | None:
    if not stories or until is None:
        return None
    boosted = flagged and any(story.boosted for story in stories)
    return Block(
        title=f"Most viewed, {span(until - timedelta(days=27), until)}",
        chart=ranked(
            [(each.title, each.views, flagged and each.boosted) for each in stories],
            description="Bars of the stories with the most views in 28 days.",
            legend=(Key("Boosted", "--second"), Key("Not boosted", "--first")) if boosted else (),
        ),
        tables=(
            table(
                "Most viewed stories of the last 28 days, compared with the 28 days before",
                TOP,
                stories,
                ("Story", _title(flagged)),
                ("Views", lambda story: count(story.views)),
                ("28 days before", lambda story: count(story.views_before)),
                ("Change", lambda story: change_cell(story.views, story.views_before, True)),
                ("Read ratio", lambda story: _ratio(story.read_ratio)),
                cards=True,
            ),
        ),
    )


def _rising(stories: Sequence[Any], until: date | None, flagged: bool) -> Block | None:
    if not stories or until is None:
        return None
    return Block(
        title=f"Rising, {span(until - timedelta(days=6), until)}",
        tables=(
            table(
                "Stories that gained the most views in seven days over the seven before",
                RISING,
                stories,
                ("Story", _title(flagged)),
                ("28 days", lambda story: Cell(trend=trend(story.trend))),
                ("7 days", lambda story: count(story.views)),
                ("7 days before", lambda story: count(story.views_before)),
                ("Gain", lambda story: count(story.views - story.views_before, signed=True)),
                ("Change", lambda story: change_cell(story.views, story.views_before, True)),
                words=2,
                folded=False,
                cards=True,
            ),
        ),
    )


def _boosted(groups: Sequence[Any], stories: Sequence[Any], currency: str) -> Block | None:
    if len(groups) < 2:
        return None
    boosted, others = (group.median_views for group in groups)
    text = ""
    if boosted and others:
        text = (
            f"Half of the boosted stories have at least {count(boosted)} views; "
            f"of the others, {count(others)}."
        )
    viewed = [(story.views, story.boosted) for story in stories if story.views]
    return Block(
        title="Boosted and not boosted",
        text=text,
        chart=boosted_stories(viewed[:STORIES_DRAWN], [(False, others or 0), (True, boosted or 0)])
        if viewed
        else None,
        tables=(
            table(
                "Boosted stories and the others, over their whole lives",
                BOOSTED,
                groups,
                ("Group", lambda group: "Boosted" if group.boosted else "Not boosted"),
                ("Stories", lambda group: count(group.stories)),
                ("Median views", lambda group: count(group.median_views)),
                ("Mean views", lambda group: count(group.mean_views)),
                ("Read ratio", lambda group: _ratio(group.read_ratio)),
                ("Median earnings", lambda group: money(group.median_earnings, currency)),
                ("All earnings", lambda group: money(group.earnings, currency)),
                folded=False,
                cards=True,
            ),
        ),
    )


def _all(stories: Sequence[Any], currency: str, flagged: bool) -> Block | None:
    if not stories:
        return None
    shown = stories[:STORIES_SHOWN]
    more = len(stories) > len(shown)
    return Block(
        title="All stories",
        text=f"The {count(len(shown))} most viewed of {count(len(stories))}." if more else "",
        tables=(
            table(
                f"{count(len(shown))} stories over their whole lives",
                STORIES_EVER,
                shown,
                ("Story", _title(flagged)),
                ("Published", lambda s: short_day(s.published_on) if s.published_on else UNKNOWN),
                ("Presentations", lambda s: count(s.presentations)),
                ("Views", lambda s: count(s.views)),
                ("Reads", lambda s: count(s.reads)),
                ("Read ratio", lambda s: _ratio(s.read_ratio)),
                ("Earnings", lambda s: money(s.earnings, s.earnings_currency or currency)),
                words=2,
                cards=True,
            ),
        ),
    )


STORIES = Section(
    anchor="stories",
    title="Stories",
    sources=("medium",),
    also_of=("google_sheets",),
    part=part,
    measures=measures,
)
