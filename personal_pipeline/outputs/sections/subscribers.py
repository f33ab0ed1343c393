"""The subscribers: how many, who came and went, in which segments, and what was sent to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from personal_pipeline.board import StreamState
from personal_pipeline.outputs.charts import (
    active_subscribers,
    broadcast_rates,
    joined_and_left,
    ranked,
)
from personal_pipeline.outputs.figures import Figures
from personal_pipeline.outputs.formats import (
    count,
    long_month,
    percentage,
    plain_day,
    relative_change,
    short_day,
    short_month,
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
    tone_of,
    unfinished_month,
)
from personal_pipeline.outputs.standing import notes_about

MART = "marts.subscribers_daily"
RECENT_DAYS = 28
SEGMENTS_SHOWN = 12


def subscribers_section(figures: Figures, board: Sequence[StreamState]) -> Section:
    """All that is known of the subscribers and of what was sent to them."""
    until = _known_until(figures)
    blocks = [
        _active(figures, until),
        _new_and_cancelled(figures, until),
        _segments(figures),
        _broadcasts(figures),
    ]
    return Section(
        anchor="subscribers",
        title="Subscribers",
        as_of=as_of(until),
        notes=notes_about(board, "kit"),
        blocks=tuple(block for block in blocks if block is not None),
    )


def _known_until(figures: Figures) -> date | None:
    return max(
        (
            each.day
            for each in figures.subscriber_days
            if each.active is not None or each.new is not None
        ),
        default=None,
    )


def _active(figures: Figures, until: date | None) -> Block | None:
    active = [
        (each.day, each.active) for each in figures.subscriber_days if each.active is not None
    ]
    months = figures.subscriber_months
    if until is None or not months:
        return None
    running = unfinished_month(until)
    before = [None, *(each.active for each in months)]
    return Block(
        title="Active subscribers",
        text=_agreement(figures, until),
        chart=active_subscribers(active) if len(active) > 1 else None,
        tables=(
            Table(
                caption="Active subscribers at the end of each month",
                columns=columns("Month", "Active", "Change"),
                rows=tuple(
                    (
                        *cells(month_name(each.month, running), count(each.active)),
                        _move(each.active, earlier, more_is_better=True),
                    )
                    for each, earlier in reversed(list(zip(months, before, strict=False)))
                ),
                marts=(MART,),
            ),
            _by_day(figures, until),
        ),
    )


def _agreement(figures: Figures, until: date) -> str:
    """Whether the two ways of counting agree on the newest day that both of them know."""
    both = [
        each
        for each in figures.subscriber_days
        if each.active is not None and each.active_by_states is not None and each.day <= until
    ]
    if not both:
        return ""
    newest = both[-1]
    assert newest.active is not None
    assert newest.active_by_states is not None
    apart = newest.active - newest.active_by_states
    if not apart:
        return (
            f"On {plain_day(newest.day)} Kit's growth statistics and the subscribers' own states "
            f"agree: {count(newest.active)} active."
        )
    return (
        f"On {plain_day(newest.day)} Kit's growth statistics count {count(newest.active)} active "
        f"subscribers and the subscribers' own states {count(newest.active_by_states)}: they "
        f"disagree by {count(abs(apart))} "
        f"({percentage(abs(apart) / max(newest.active, 1) * 100)})."
    )


def _by_day(figures: Figures, until: date) -> Table:
    recent = [
        each
        for each in figures.subscriber_days
        if each.day <= until and (until - each.day).days < RECENT_DAYS
    ]
    return Table(
        caption=f"Subscribers by day, {span(recent[0].day, recent[-1].day)}",
        columns=columns(
            "Day", "Active", "New", "Cancelled", "Net", "Active by states", "Disagreement"
        ),
        rows=tuple(
            cells(
                short_day(each.day),
                count(each.active),
                count(each.new),
                count(each.cancelled),
                count(each.net, signed=True),
                count(each.active_by_states),
                count(each.disagreement),
            )
            for each in reversed(recent)
        ),
        marts=(MART,),
    )


def _new_and_cancelled(figures: Figures, until: date | None) -> Block | None:
    months = [each for each in figures.subscriber_months if each.new is not None]
    if not months:
        return None
    running = unfinished_month(until)
    return Block(
        title="New and cancelled",
        text="A pale last month is not finished." if running else "",
        chart=joined_and_left(
            [(each.month, each.new, each.cancelled, each.net) for each in months], running
        ),
        tables=(
            Table(
                caption="New and cancelled subscribers by month",
                columns=columns("Month", "New", "Cancelled", "Net"),
                rows=tuple(
                    cells(
                        month_name(each.month, running),
                        count(each.new),
                        count(each.cancelled),
                        count(each.net, signed=True),
                    )
                    for each in reversed(months)
                ),
                marts=(MART,),
            ),
        ),
    )


def _segments(figures: Figures) -> Block | None:
    if not figures.segments:
        return None
    first = figures.segments[0]
    before = short_month(first.month_before) if first.month_before else "Before"
    largest = figures.segments[:SEGMENTS_SHOWN]
    more = len(figures.segments) > SEGMENTS_SHOWN
    return Block(
        title=f"Segments in the export of {long_month(first.month)}",
        text=f"The {SEGMENTS_SHOWN} largest of {len(figures.segments)}." if more else "",
        chart=ranked(
            [(each.segment, each.subscribers, False) for each in largest],
            description="Bars of subscribers in each segment.",
        ),
        tables=(
            Table(
                caption="Subscribers by segment, against the export before",
                columns=columns("Segment", "Subscribers", before, "Change"),
                rows=tuple(
                    (
                        *cells(
                            each.segment, count(each.subscribers), count(each.subscribers_before)
                        ),
                        # whether a segment should grow depends on what it is
                        _move(each.subscribers, each.subscribers_before, more_is_better=None),
                    )
                    for each in figures.segments
                ),
                marts=("marts.subscriber_segments_monthly",),
            ),
        ),
    )


def _move(now: int | None, before: int | None, *, more_is_better: bool | None) -> Cell:
    change = relative_change(now, before)
    return Cell(move=Move(change, tone_of(change, more_is_better)))


def _broadcasts(figures: Figures) -> Block | None:
    sent = figures.broadcasts
    if not sent:
        return None
    rated = [
        (each.sent_on, each.open_rate, each.click_rate)
        for each in reversed(sent)
        if each.open_rate is not None or each.click_rate is not None
    ]
    return Block(
        title="Recent broadcasts",
        text="Opens are counted too high by mail programs that open every message by themselves.",
        chart=broadcast_rates(rated) if len(rated) > 1 else None,
        tables=(
            Table(
                caption=f"The last {len(sent)} broadcasts",
                columns=columns(
                    "Subject",
                    "Sent",
                    "Recipients",
                    "Opened",
                    "Clicked",
                    "Clicks",
                    "Unsubscribed",
                    words=2,
                ),
                rows=tuple(
                    cells(
                        each.subject,
                        short_day(each.sent_on),
                        count(each.recipients),
                        percentage(each.open_rate),
                        percentage(each.click_rate),
                        count(each.total_clicks),
                        count(each.unsubscribes),
                    )
                    for each in sent
                ),
                marts=("marts.broadcasts",),
                cards=True,
            ),
        ),
    )
