"""The morning report: one self-contained HTML file per day.

It works without network and without JavaScript, follows light and dark, and is readable on a phone
and in print. The report of a day covers the days before it; yesterday is the most recent complete
day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from importlib.resources import files
from pathlib import Path
from typing import Literal

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from personal_pipeline.board import StreamState, has_part, in_use
from personal_pipeline.duck import Database
from personal_pipeline.freshness import TROUBLED, State
from personal_pipeline.home import LATEST_REPORT, write_atomically
from personal_pipeline.outputs.board import newest_words
from personal_pipeline.outputs.formats import count, instant, long_day, short_day
from personal_pipeline.outputs.page import Block, Note
from personal_pipeline.outputs.standing import notes_about, words
from personal_pipeline.shown import shown_lines


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
class _SourceState:
    title: str
    standing: Literal["well", "troubled", "disconnected", "at rest", "never used"]
    lines: tuple[_Line, ...]
    """The streams that have a part: in use, or with data from when they were."""
    details: tuple[str, ...]
    """What to do, once for all streams with the same advice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shown:
    """A section in the form that the template shows."""

    anchor: str
    title: str
    as_of: str
    notes: Sequence[Note]
    blocks: Sequence[Block]


def build_report(
    published: Database | None, day: date, board: Sequence[StreamState], *, built_at: datetime
) -> str:
    """The report of ``day`` as HTML text.

    ``published`` are the published tables; None before the first build. Any mart may be missing.
    ``board`` says which sources there are: figures of a source that is not connected are left out.
    ``built_at`` needs a time zone.
    """
    # Altair and its renderer take a second to import: only writing a report should pay for that
    from personal_pipeline.outputs.figures import published_figures
    from personal_pipeline.outputs.overview import overview
    from personal_pipeline.outputs.sections import SECTIONS

    with published_figures(published, day, board) as figures:
        top = overview(figures)
        sections = [
            _Shown(
                anchor=section.anchor,
                title=section.title,
                as_of=part.as_of,
                notes=notes_about(board, *section.sources, *section.also_of),
                blocks=[block for block in part.blocks if block is not None],
            )
            for section in SECTIONS
            if figures.has(*section.sources) and (part := section.part(figures)) is not None
        ]
    environment = Environment(
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
    environment.filters["coded"] = _coded
    style = (files("personal_pipeline.outputs") / "templates" / "report.css").read_text("utf-8")
    return environment.get_template("report.html.j2").render(
        style=style,
        day=long_day(day),
        built_at=instant(built_at),
        anything=any(in_use(line) for line in board),
        attention=_attention(board),
        overview=top,
        sections=sections,
        states=_states(board),
    )


def write_report(html: str, folder: Path, day: date) -> Path:
    """Write ``<day>.html`` and a copy as ``latest.html``, each replaced atomically.

    A report of an earlier day does not become the latest if there is one of a later day. Returns
    the path of the day's file. Raises ``OSError`` if the folder cannot be written.
    """
    path = folder / f"{day.isoformat()}.html"
    content = html.encode()
    write_atomically(path, content)
    if path.name == max(each.name for each in folder.glob("[0-9]*-[0-9]*-[0-9]*.html")):
        write_atomically(folder / LATEST_REPORT, content)
    return path


def _coded(text: str) -> Markup:
    """Shows text between backticks as code; everything is escaped."""
    return Markup().join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(shown_lines(text).split("`"))
    )


def _attention(board: Sequence[StreamState]) -> str:
    """One sentence on the state of the sources."""
    counted = Counter(line.state for line in board if in_use(line))
    troubles = [f"{count(counted[state])} {state}" for state in TROUBLED if counted[state]]
    if troubles:
        return f"Streams that need you: {', '.join(troubles)}."
    if counted[State.WAITING]:
        return "Some sources have no data yet."
    return "Every source in use is fresh."


def _states(board: Sequence[StreamState]) -> list[_SourceState]:
    """The board grouped by source, in its order."""
    sources: dict[str, list[StreamState]] = {}
    for line in board:
        sources.setdefault(line.source, []).append(line)
    return [
        _SourceState(
            title=lines[0].source_title,
            standing=_standing(lines),
            lines=tuple(_line(line) for line in lines if has_part(line)),
            details=_details([each for each in lines if has_part(each)] or lines),
        )
        for lines in sources.values()
    ]


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
