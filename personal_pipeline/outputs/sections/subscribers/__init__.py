"""The subscribers: how many, who joined and left, their segments, and what was sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from personal_pipeline.outputs.charts import (
    active_subscribers,
    broadcast_rates,
    joined_and_left,
    ranked,
)
from personal_pipeline.outputs.comparison import Known, Measure
from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import (
    Unit,
    count,
    long_month,
    percentage,
    plain_day,
    short_day,
    short_month,
    span,
)
from personal_pipeline.outputs.page import (
    Block,
    Part,
    Section,
    Table,
    as_of,
    change_cell,
    latest,
    month_name,
    table,
    unfinished_month,
)

DAILY = query(__package__, "daily")
SENT = query(__package__, "sent")
DAYS = query(__package__, "days")
MONTHS = query(__package__, "months")
SEGMENTS = query(__package__, "segments")
BROADCASTS = query(__package__, "broadcasts")
RECENT_DAYS = 14
BROADCASTS_IN_TABLE = 10
SEGMENTS_SHOWN = 12
SETTLED_AFTER_DAYS = 7
"""Until then, a broadcast is still being opened, and its rates would look like a fall."""


def measures(figures: Figures) -> list[Measure]:
    """The subscribers by day."""
    rows = figures.rows(DAILY)

    def known(column: str) -> Known:
        return {row.day: value for row in rows if (value := getattr(row, column)) is not None}

    def why(day: date) -> str:
        for sent in figures.rows(SENT, on=day):
            when = "on that day" if sent.sent_on == day else "on the day before"
            return f"\u201c{sent.subject}\u201d was sent {when}."
        return ""

    return [
        Measure(
            title="New subscribers",
            known=known("new"),
            query=DAILY,
            words=("new subscriber", "new subscribers"),
            card=True,
            why=why,
        ),
        Measure(
            title="Cancelled subscribers",
            known=known("cancelled"),
            query=DAILY,
            words=("cancelled", "cancelled"),
            if_any=True,
            more_is_better=False,
            why=why,
        ),
        Measure(
            title="Net subscribers",
            known=known("net"),
            query=DAILY,
            unit=Unit(lambda value: count(value, signed=True), whole=True),
            balance=True,
            judged=False,
        ),
        Measure(
            title="Active subscribers",
            known=known("active"),
            query=DAILY,
            over_days="level",
            words=("active", "active"),
            card=True,
            judged=False,
        ),
        Measure(
            title="Broadcasts sent",
            known=known("sent"),
            query=DAILY,
            words=("broadcast sent", "broadcasts sent"),
            if_any=True,
            more_is_better=None,
            judged=False,
        ),
    ]


def part(figures: Figures) -> Part:
    """Everything about the subscribers and what was sent to them."""
    days, months = figures.rows(DAYS), figures.rows(MONTHS)
    told = [each.day for each in days if each.active is not None or each.new is not None]
    until = max(told, default=None)
    return Part(
        as_of(until),
        [
            _active(days, months, until),
            _new_and_cancelled(months, until),
            _segments(figures.rows(SEGMENTS)),
            _broadcasts(figures.rows(BROADCASTS), figures.day),
        ],
    )


def _active(days: Sequence[Any], months: Sequence[Any], until: date | None) -> Block | None:
    active = [(each.day, each.active) for each in days if each.active is not None]
    if until is None or not months:
        return None
    running = unfinished_month(until)
    with_before = zip(months, [None, *(each.active for each in months)], strict=False)
    return Block(
        title="Active subscribers",
        text=_agreement(days, until),
        chart=active_subscribers(active) if len(active) > 1 else None,
        tables=(
            table(
                "Active subscribers at the end of each month",
                MONTHS,
                latest(list(with_before)),
                ("Month", lambda pair: month_name(pair[0].month, running)),
                ("Active", lambda pair: count(pair[0].active)),
                ("Change", lambda pair: change_cell(pair[0].active, pair[1], True)),
            ),
            _by_day(days, until),
        ),
    )


def _agreement(days: Sequence[Any], until: date) -> str:
    """Whether the two ways of counting agree on the most recent day known to both."""
    both = [
        each
        for each in days
        if each.active is not None and each.active_by_states is not None and each.day <= until
    ]
    if not both:
        return ""
    newest = both[-1]
    apart = newest.active - newest.active_by_states
    if not apart:
        return (
            f"On {plain_day(newest.day)} Kit's growth statistics and the subscribers' own states "
            f"agree: {count(newest.active)} active."
        )
    return (
        f"On {plain_day(newest.day)} Kit's growth statistics count {count(newest.active)} active "
        f"subscribers, but the subscribers' own states {count(newest.active_by_states)}: they "
        f"differ by {count(abs(apart))} ({percentage(abs(apart) / max(newest.active, 1) * 100)})."
    )


def _by_day(days: Sequence[Any], until: date) -> Table:
    recent = [each for each in days if 0 <= (until - each.day).days < RECENT_DAYS]
    return table(
        f"Subscribers by day, {span(recent[0].day, recent[-1].day)}",
        DAYS,
        reversed(recent),
        ("Day", lambda each: short_day(each.day)),
        ("Active", lambda each: count(each.active)),
        ("New", lambda each: count(each.new)),
        ("Cancelled", lambda each: count(each.cancelled)),
        ("Net", lambda each: count(each.net, signed=True)),
        ("Active by states", lambda each: count(each.active_by_states)),
        ("Disagreement", lambda each: count(each.disagreement)),
    )


def _new_and_cancelled(months: Sequence[Any], until: date | None) -> Block | None:
    known = [each for each in months if each.new is not None]
    if not known:
        return None
    running = unfinished_month(until)
    return Block(
        title="New and cancelled",
        text="A pale last month is incomplete." if running else "",
        chart=joined_and_left(
            [(each.month, each.new, each.cancelled, each.net) for each in known], running
        ),
        tables=(
            table(
                "New and cancelled subscribers by month",
                MONTHS,
                latest(known),
                ("Month", lambda each: month_name(each.month, running)),
                ("New", lambda each: count(each.new)),
                ("Cancelled", lambda each: count(each.cancelled)),
                ("Net", lambda each: count(each.net, signed=True)),
            ),
        ),
    )


def _segments(segments: Sequence[Any]) -> Block | None:
    if not segments:
        return None
    first = segments[0]
    before = short_month(first.month_before) if first.month_before else "Before"
    largest = segments[:SEGMENTS_SHOWN]
    text = ""
    if len(segments) > SEGMENTS_SHOWN:
        text = f"The {SEGMENTS_SHOWN} largest of {len(segments)}."
    elif len(segments) == 1:
        text = f"All {count(first.subscribers)} are in one segment: {first.segment}."
    return Block(
        title=f"Segments in the export of {long_month(first.month)}",
        text=text,
        chart=ranked(
            [(each.segment, each.subscribers, False) for each in largest],
            description="Bars of subscribers in each segment.",
        )
        if len(segments) > 1
        else None,
        tables=(
            table(
                "Subscribers by segment, compared with the previous export",
                SEGMENTS,
                segments,
                ("Segment", lambda each: each.segment),
                ("Subscribers", lambda each: count(each.subscribers)),
                (before, lambda each: count(each.subscribers_before)),
                # whether a segment should grow depends on what it is
                (
                    "Change",
                    lambda each: change_cell(each.subscribers, each.subscribers_before, None),
                ),
            ),
        ),
    )


def _broadcasts(sent: Sequence[Any], today: date) -> Block | None:
    if not sent:
        return None
    shown = sent[:BROADCASTS_IN_TABLE]
    young = {each.broadcast_id for each in sent if (today - each.sent_on).days < SETTLED_AFTER_DAYS}
    rated = [
        (each.sent_on, each.open_rate, each.click_rate)
        for each in reversed(sent)
        if each.broadcast_id not in young
        and (each.open_rate is not None or each.click_rate is not None)
    ]
    text = "Opens are overstated: some mail programs open every message automatically."
    if young:
        days = f"the last {SETTLED_AFTER_DAYS} days"
        text += f" What was sent in {days} is still being opened, and not drawn."

    def rate(each: Any, percent: float | None) -> str:
        still = percent is not None and each.broadcast_id in young
        return f"{percentage(percent)} so far" if still else percentage(percent)

    return Block(
        title="Recent broadcasts",
        text=text,
        chart=broadcast_rates(rated) if len(rated) > 1 else None,
        tables=(
            table(
                f"The last {len(shown)} broadcasts" if len(shown) > 1 else "The last broadcast",
                BROADCASTS,
                shown,
                ("Subject", lambda each: each.subject),
                ("Sent", lambda each: short_day(each.sent_on)),
                ("Recipients", lambda each: count(each.recipients)),
                ("Opened", lambda each: rate(each, each.open_rate)),
                ("Clicked", lambda each: rate(each, each.click_rate)),
                ("Clicks", lambda each: count(each.total_clicks)),
                ("Unsubscribed", lambda each: count(each.unsubscribes)),
                words=2,
                cards=True,
            ),
        ),
    )


SUBSCRIBERS = Section(
    anchor="subscribers", title="Subscribers", sources=("kit",), part=part, measures=measures
)
