"""The morning report: one self-contained HTML file per day.

It works without network and without JavaScript, follows light and dark, is readable on a phone, and
is at most eight pages in print. The report of a day covers the days before it; yesterday is the
most recent complete day.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from personal_pipeline.board import StreamState, has_part, in_use
from personal_pipeline.duck import Database
from personal_pipeline.freshness import TROUBLED, State
from personal_pipeline.outputs.board import newest_words
from personal_pipeline.outputs.figures import Figures, published_figures
from personal_pipeline.outputs.formats import count, instant, long_day, short_day
from personal_pipeline.outputs.overview import Overview, overview
from personal_pipeline.outputs.page import Block, Note
from personal_pipeline.outputs.sections import SECTIONS
from personal_pipeline.outputs.standing import notes_about, words
from personal_pipeline.shown import shown_lines

PAGES_OF_AREAS = 5
"""With page one, one page for the quiet areas and one for the sources, a report has at most eight
printed pages, whatever is connected."""
QUIET_AFTER_DAYS = 45
"""An area without data for longer than this shares a page."""

# what things take of a printed A4 page, in millimetres, rather more than less
PAGE_MM = 262
HEAD_MM = 14
NOTE_MM = 18
TITLE_MM = 9
TEXT_MM = 9
LEGEND_MM = 6
CHART_MM = 46
ROW_MM = 5.6
TREND_ROW_MM = 8.2


@dataclass(frozen=True, kw_only=True, slots=True)
class _Line:
    """One line of the board in words."""

    stream: str
    route: str
    state: State
    cause: str
    last_fetched: str
    newest_data: str
    next_expected: str
    rows: str
    unreadable: str
    detail: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SourceState:
    """A source as the report shows it."""

    title: str
    standing: Literal["well", "troubled", "disconnected", "at rest", "never used"]
    lines: tuple[_Line, ...]
    """The streams that have a part: in use, or with data from when they were."""
    details: tuple[str, ...]
    """What to do, once for all streams with the same advice."""


@dataclass(frozen=True, slots=True)
class Printed:
    """A block, and whether it is in print."""

    block: Block
    printed: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ShownSection:
    """A section in the form that the template shows, and where it is in print."""

    anchor: str
    title: str
    as_of: str
    notes: Sequence[Note]
    blocks: Sequence[Printed]
    paper: Literal["own-page", "shared-page", "page-one"] = "own-page"


@dataclass(frozen=True, slots=True)
class Report:
    """A report: what it is called, page one, and all of it as HTML text."""

    kicker: str
    heading: str
    top: Overview
    html: str


def build_report(
    published: Database | None, day: date, board: Sequence[StreamState], *, built_at: datetime
) -> Report:
    """The report of ``day``.

    ``published`` are the published tables; None before the first build. Any mart may be missing.
    ``board`` says which sources there are: figures of a source that is not connected are left out.
    ``built_at`` needs a time zone.
    """
    with published_figures(published, day, board) as figures:
        top = overview(figures, SECTIONS)
        sections = sections_of(figures, top)
    return rendered("Morning report", long_day(day), top, sections, board, built_at=built_at)


def sections_of(figures: Figures, top: Overview) -> list[ShownSection]:
    """The sections of the areas in use; in print those with news have a page each, and the others
    share one."""
    parts = [
        (section, part.as_of, [block for block in part.blocks if block is not None])
        for section in SECTIONS
        if figures.has(*section.sources) and (part := section.part(figures)) is not None
    ]
    oldest = figures.day - timedelta(days=QUIET_AFTER_DAYS)
    busy = [
        section.anchor
        for section, _, _ in parts
        if top.newest.get(section.anchor, date.min) >= oldest
    ][:PAGES_OF_AREAS]
    shared = len(parts) - len(busy)
    shown = []
    for section, told, blocks in parts:
        notes = notes_about(figures.board, *section.sources, *section.also_of)
        quiet = section.anchor not in busy
        room = PAGE_MM / shared if quiet else PAGE_MM
        shown.append(
            ShownSection(
                anchor=section.anchor,
                title=section.title,
                as_of=told,
                notes=notes,
                blocks=_printed(blocks, room - HEAD_MM - NOTE_MM * len(notes)),
                paper="shared-page" if quiet else "own-page",
            )
        )
    # those that share a page follow on each other
    return sorted(shown, key=lambda each: each.paper == "shared-page")


def _printed(blocks: Sequence[Block], room: float) -> list[Printed]:
    """Which blocks fit on the paper, two in a row, or one if it has a table: the first ones, as far
    as there is room."""
    printed = []
    beside = 0.0
    for block in blocks:
        tables = [each for each in block.tables if not each.folded]
        chart = CHART_MM * block.chart.height / 200 + LEGEND_MM if block.chart else 0
        rows = 0.0
        for each in tables:
            drawn = any(cell.trend for row in each.rows for cell in row)
            rows += (TREND_ROW_MM if drawn else ROW_MM) * (len(each.rows) + 2)
        # a table stands beside the chart
        tall = TITLE_MM + (TEXT_MM if block.text else 0) + max(chart, rows)
        takes = tall if tables else max(0.0, tall - beside)
        fits = bool(tables or block.chart) and takes <= room
        printed.append(Printed(block, fits))
        if fits:
            room -= takes
            beside = 0.0 if tables or beside else tall
    return printed


def rendered(
    kicker: str,
    heading: str,
    top: Overview,
    sections: Sequence[ShownSection],
    board: Sequence[StreamState],
    *,
    built_at: datetime,
    sources: bool = True,
) -> Report:
    """A report of page one, the sections, and the state of every source unless it is no matter."""
    style = (files("personal_pipeline.outputs") / "templates" / "report.css").read_text("utf-8")
    html = (
        environment()
        .get_template("report.html.j2")
        .render(
            style=style,
            kicker=kicker,
            heading=heading,
            built_at=instant(built_at),
            anything=any(in_use(line) for line in board),
            attention=attention(board),
            overview=top,
            sections=sections,
            states=_states(board),
            with_sources=sources,
        )
    )
    return Report(kicker, heading, top, re.sub(r"\n\s*\n", "\n", html.lstrip()))


@cache  # compiling a template is a fifth of the work of a report, and a pass may write three
def environment() -> Environment:
    """The templates; what comes from outside is escaped, and shown without control characters."""
    found = Environment(
        loader=PackageLoader("personal_pipeline.outputs"),
        autoescape=True,
        undefined=StrictUndefined,
        # Markup is our own: charts, and text that has been escaped
        finalize=lambda value: (
            value if isinstance(value, Markup) or not isinstance(value, str) else shown_lines(value)
        ),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters["coded"] = _coded
    found.filters["css"] = _css
    return found


def _coded(text: str) -> Markup:
    """Shows text between backticks as code; everything is escaped."""
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(shown_lines(text).split("`"))
    )


def _css(text: str) -> Markup:
    """A text as a string of CSS, within an attribute."""
    # its own quotes, and what would end the string, as code points
    told = "".join(
        char if char.isalnum() or char in " .,-" else f"\\{ord(char):x} "
        for char in shown_lines(text)
    )
    return Markup("'{}'").format(told)


def attention(board: Sequence[StreamState]) -> str:
    """One sentence on the state of the sources."""
    counted = Counter(line.state for line in board if in_use(line))
    troubles = [f"{count(counted[state])} {state}" for state in TROUBLED if counted[state]]
    if troubles:
        return f"Streams that need you: {', '.join(troubles)}."
    if counted[State.WAITING]:
        return "Some sources have no data yet."
    return "Every source in use is fresh."


def _states(board: Sequence[StreamState]) -> list[SourceState]:
    """The board grouped by source, in its order."""
    sources: dict[str, list[StreamState]] = {}
    for line in board:
        sources.setdefault(line.source, []).append(line)
    return [
        SourceState(
            title=lines[0].source_title,
            standing=_standing(lines),
            lines=tuple(_line(line) for line in lines if has_part(line)),
            details=_details([each for each in lines if has_part(each)] or lines),
        )
        for lines in sources.values()
    ]


def troubled(board: Sequence[StreamState]) -> list[SourceState]:
    """The sources that need a person, with what to do about the streams in trouble."""
    return _states([line for line in board if line.state in TROUBLED])


def _standing(
    lines: Sequence[StreamState],
) -> Literal["well", "troubled", "disconnected", "at rest", "never used"]:
    states = {line.state for line in lines if has_part(line)}
    if not states:
        return "never used"
    if not states.isdisjoint(TROUBLED):
        return "troubled"
    if State.RESTING in states:
        return "at rest"
    return "disconnected" if State.NOT_CONNECTED in states else "well"


def _details(lines: Sequence[StreamState]) -> tuple[str, ...]:
    """What to do, once for all streams with the same advice; with their names unless it is the
    whole service."""
    by_detail: dict[str, list[StreamState]] = {}
    for line in lines:
        if line.detail:
            by_detail.setdefault(line.detail, []).append(line)
    service = [line for line in lines if line.route == "api"]
    return tuple(
        detail
        if same == service
        else f"{', '.join(words(line.stream) for line in same).capitalize()}: {detail}"
        for detail, same in by_detail.items()
    )


def _line(line: StreamState) -> _Line:
    return _Line(
        stream=words(line.stream),
        route="fetched" if line.route == "api" else "dropped by hand",
        state=line.state,
        cause=line.cause or "",
        last_fetched=instant(line.last_fetched) if line.last_fetched else "never",
        newest_data=newest_words(line),
        next_expected=short_day(line.next_expected) if line.next_expected else "",
        rows=count(line.rows),
        unreadable=count(line.unreadable),
        detail=line.detail,
    )
