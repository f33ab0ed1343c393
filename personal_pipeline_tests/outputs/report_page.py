"""A report as its reader gets it: built from a real DuckDB file, read as HTML."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from lxml import html as lxml_html
from lxml.html import HtmlElement

from personal_pipeline import duck
from personal_pipeline.board import StreamState
from personal_pipeline.outputs.report import build_report
from personal_pipeline_tests.outputs.invented_marts import fresh_board

DAY = date(2026, 11, 21)
BUILT_AT = datetime(2026, 11, 21, 6, 2, tzinfo=UTC)
SECTIONS = ["overview", "stories", "subscribers", "revenue", "sources"]
BLOCKS = {"caption", "div", "h1", "h2", "h3", "li", "p", "section", "td", "th", "tr", "ul"}


def build(database: Path, board: Sequence[StreamState] | None = None, day: date = DAY) -> str:
    published = duck.File(database, read_only=True) if database.exists() else None
    return build_report(
        published, day, fresh_board() if board is None else board, built_at=BUILT_AT
    ).html


def page_of(text: str) -> HtmlElement:
    return lxml_html.document_fromstring(text)


def words(element: HtmlElement) -> str:
    """The text as it is read: what stands in blocks of its own is apart."""

    def pieces(each: HtmlElement) -> Iterator[str]:
        apart = " " if each.tag in BLOCKS else ""
        yield apart + (each.text or "")
        for child in each:
            yield from pieces(child)
            yield child.tail or ""
        yield apart

    return " ".join("".join(pieces(element)).split())


def section(page: HtmlElement, anchor: str) -> HtmlElement:
    return page.get_element_by_id(anchor)


def anchors(page: HtmlElement) -> list[str]:
    return [each.get("id") for each in page.xpath("//section[@id]")]


def table(page: HtmlElement, caption: str) -> list[list[str]]:
    """The rows of the table whose caption begins so, headings first."""
    found = [
        each for each in page.xpath("//table") if words(each.find("caption")).startswith(caption)
    ]
    assert len(found) == 1, f"{len(found)} tables are called {caption}"
    return [[words(cell) for cell in row.xpath("./th|./td")] for row in found[0].xpath(".//tr")]


def charts_above_tables(element: HtmlElement) -> list[HtmlElement]:
    """The charts, each of which has its table below it, and colours of the page."""
    charts: list[HtmlElement] = element.xpath(".//figure")
    for chart in charts:
        assert chart.xpath("./following-sibling::*//table")
        assert len(chart.xpath(".//*[name()='svg']")) == 1
        assert chart.xpath(".//@stroke[. = 'var(--first)'] | .//@fill[. = 'var(--first)']")
    return charts


def card(page: HtmlElement, title: str) -> str:
    return words(
        next(
            each
            for each in page.xpath("//ul[@class='cards']/li")
            if words(each.find(".//h2")) == title
        )
    )
