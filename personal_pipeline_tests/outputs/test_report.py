"""The report as a page and as a file."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest
from lxml.html import HtmlElement

from personal_pipeline import outputs
from personal_pipeline.freshness import State
from personal_pipeline_tests.outputs.invented_marts import (
    fresh_board,
    with_state,
    write_marts,
    write_small_life,
    write_two_years,
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
def two_years(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_two_years(
        tmp_path_factory.mktemp("marts") / "warehouse.duckdb", date(2026, 11, 20)
    )


@pytest.fixture(scope="module")
def two_years_report(two_years: Path) -> str:
    return build(two_years)


@pytest.fixture(scope="module")
def full_page(two_years_report: str) -> HtmlElement:
    return page_of(two_years_report)


class TestTheWholePage:
    def test_has_every_section(self, full_page: HtmlElement) -> None:
        assert anchors(full_page) == SECTIONS

    def test_never_says_that_there_is_nothing(self, two_years_report: str) -> None:
        assert "no data available" not in two_years_report.lower()

    def test_shows_no_leftover_of_a_missing_value(self, full_page: HtmlElement) -> None:
        text = words(full_page.find("body"))
        assert not re.search(r"\b(None|nan|NaN|null|undefined|Infinity)\b", text)

    def test_loads_nothing(self, two_years_report: str, full_page: HtmlElement) -> None:
        assert not full_page.xpath("//script | //link | //img | //iframe | //object | //embed")
        assert not full_page.xpath("//*[@src or @srcset or @poster or @data]")
        assert not re.search(r"@import|url\(", two_years_report)
        assert "default-src 'none'" in two_years_report

    def test_links_lead_to_stories_or_into_the_page(self, full_page: HtmlElement) -> None:
        ids = set(full_page.xpath("//@id"))
        for link in full_page.xpath("//a/@href"):
            if link.startswith("#"):
                assert link[1:] in ids
            else:
                assert link.startswith("https://medium.com/p/")

    def test_ids_are_unique(self, full_page: HtmlElement) -> None:
        ids = full_page.xpath("//@id")
        assert len(ids) == len(set(ids))

    def test_every_chart_has_its_table_below_it(self, full_page: HtmlElement) -> None:
        charts = full_page.xpath("//figure")
        assert len(charts) >= 9
        for chart in charts:
            assert chart.xpath("./following-sibling::*//table")
            assert len(chart.xpath(".//*[name()='svg']")) == 1
            assert chart.xpath(".//*[@role='img']/@aria-label")[0]

    def test_every_table_says_which_mart_it_comes_from(
        self, full_page: HtmlElement, two_years: Path
    ) -> None:
        with duckdb.connect(str(two_years), read_only=True) as connection:
            marts = {
                f"marts.{name}"
                for (name,) in connection.execute(
                    "select table_name from information_schema.tables where table_schema = 'marts'"
                ).fetchall()
            }
        tables = full_page.xpath("//section[@id != 'sources']//div[@role='region']")
        assert tables
        for each in tables:
            named = each.xpath("following-sibling::*[1][@class='from']/code/text()")
            assert named
            assert set(named) <= marts

    def test_charts_take_their_colours_from_the_page(self, two_years_report: str) -> None:
        style, *charts = re.split(r"</style>|(?=<svg)", two_years_report)
        defined = set(re.findall(r"(--[a-z-]+):", style))
        used = {
            variable for chart in charts for variable in re.findall(r"var\((--[a-z-]+)\)", chart)
        }
        assert "--first" in used
        assert used <= defined
        assert not re.search(r'"#[0-9a-f]{3,8}"', "".join(charts))

    def test_headings_of_numbers_stand_over_numbers(self, full_page: HtmlElement) -> None:
        for each in full_page.xpath("//table"):
            headings = each.xpath("./thead/tr/th")
            for row in each.xpath("./tbody/tr"):
                assert len(row.xpath("./th|./td")) == len(headings)

    def test_is_light(self, two_years_report: str) -> None:
        assert len(two_years_report.encode()) < 250_000

    def test_is_the_same_when_built_again(self, tmp_path: Path) -> None:
        database = write_small_life(tmp_path / "warehouse.duckdb")
        assert build(database) == build(database)

    def test_tells_of_no_day_that_is_not_over(self, two_years: Path) -> None:
        page = page_of(build(two_years, day=date(2026, 6, 10)))
        assert card(page, "Active subscribers").startswith("Active subscribers")
        assert "Jul 2026" not in words(page.find("body"))
        assert "10 Jun 2026" not in words(section(page, "overview"))


def test_the_queries_read_marts_only() -> None:
    """What they read else would not make a report new."""
    queries = [path.read_text("utf-8") for path in Path(outputs.__path__[0]).rglob("*.sql")]
    read = re.findall(r"\b(?:from|join) (\w+)\.\w+", "".join(queries))
    assert len(queries) > 20
    assert set(read) == {"marts"}


IMPORTED = """
import sys
import personal_pipeline.outputs.morning, personal_pipeline.outputs.report
print(*{name.partition(".")[0] for name in sys.modules})
"""


def test_only_who_mails_a_report_imports_what_makes_pictures() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, check=True)
    imported = set(done.stdout.decode().split())
    assert "jinja2" in imported
    assert imported & {"pandas", "vl_convert"} == set()


class TestNothingYet:
    def test_says_what_to_do_first(self, tmp_path: Path) -> None:
        board = [
            replace(
                line,
                state=State.NOT_CONNECTED if line.route == "api" else State.WAITING,
                last_fetched=None,
                newest_data=None,
                next_expected=None,
                detail=f"How to connect {line.source_title}." if line.route == "api" else "",
            )
            for line in fresh_board()
        ]
        text = build(tmp_path / "missing.duckdb", board)
        page = page_of(text)
        assert "Nothing is connected yet" in words(page)
        assert words(page).count("How to connect Kit.") == 1
        assert anchors(page) == [], "what was never connected is not mentioned again"
        assert "no data available" not in text.lower()

    def test_empty_marts_and_missing_marts(self, tmp_path: Path) -> None:
        empty = write_marts(tmp_path / "empty.duckdb")
        bare = tmp_path / "bare.duckdb"
        duckdb.connect(str(bare)).close()
        for database in (empty, bare, tmp_path / "missing.duckdb"):
            text = build(database)
            assert anchors(page_of(text)) == SECTIONS
            assert "without figures yet" in text
            assert "no data available" not in text.lower()

    @pytest.mark.parametrize("mart", ["creator_daily", "story_stats", "story_stats_daily"])
    def test_one_missing_mart(self, tmp_path: Path, mart: str) -> None:
        database = write_small_life(
            tmp_path / "warehouse.duckdb",
            story_stats=[{"story_id": "a", "title": "A", "views": 9}],
            story_stats_daily=[{"story_id": "a", "day": date(2026, 11, 20), "views": 3}],
        )
        with duckdb.connect(str(database)) as connection:
            connection.execute(f"drop table marts.{mart}")
        assert anchors(page_of(build(database))) == SECTIONS

    def test_one_day(self, tmp_path: Path) -> None:
        day = date(2026, 11, 20)
        database = write_marts(
            tmp_path / "warehouse.duckdb",
            creator_daily=[{"day": day, "views": 0, "subscribers_active": 0, "revenue_gross": 0}],
            engagement_monthly=[{"month": date(2026, 11, 1), "views": 0}],
            story_stats=[{"story_id": "a", "views": 1, "boosted": True}, {"story_id": "b"}],
            story_stats_daily=[{"story_id": "a", "day": day, "views": 1}],
            subscribers_daily=[{"day": day, "active": 0}],
            broadcasts=[{"broadcast_id": "1", "sent_at": "2026-11-20 07:00:00"}],
            revenue_monthly=[{"month": date(2026, 11, 1), "currency": "usd", "mrr": "8"}],
        )
        assert anchors(page_of(build(database))) == SECTIONS

    def test_no_board_at_all(self, two_years: Path) -> None:
        assert "Nothing is connected yet" in build(two_years, [])


class TestUntrustedText:
    TITLE = """</text><script>alert(1)</script> "#1f6cab" class="x" 3.14159 & 'more' {{ 7 * 7 }}"""

    def test_a_hostile_title_is_only_text(self, tmp_path: Path) -> None:
        database = write_marts(
            tmp_path / "warehouse.duckdb",
            story_stats=[
                {
                    "story_id": "a",
                    "title": self.TITLE,
                    "url": "javascript:alert(1)",
                    "views": 10,
                    "boosted": True,
                    "published_at": "2026-11-01 08:00:00",
                }
            ],
            story_stats_daily=[{"story_id": "a", "day": date(2026, 11, 20), "views": 10}],
            broadcasts=[
                {
                    "broadcast_id": "1",
                    "subject": "<img src=x onerror=alert(1)>",
                    "sent_at": "2026-11-20 07:00:00",
                }
            ],
            subscriber_segments_monthly=[
                {"month": date(2026, 11, 1), "segment": "<b>bold</b>", "subscribers": 3}
            ],
        )
        detail = "<script>alert(2)</script> and `<i>code</i>`"
        board = with_state(fresh_board(), State.FAILING, "kit", detail=detail)
        page = page_of(build(database, board))
        assert not page.xpath("//script | //img | //b | //i[not(@role)]")
        assert not page.xpath("//a[starts-with(@href, 'javascript')]")
        assert not page.xpath("//@*[starts-with(name(), 'on')]")
        in_table = page.xpath("//table//th[contains(., '3.14159')]")
        in_chart = page.xpath("//*[name()='g']/*[name()='title'][contains(., '3.14159')]")
        assert len(in_table) == 3
        assert in_chart
        for each in (*in_table, *in_chart):
            assert words(each).removesuffix(" boosted") == self.TITLE
        assert "<script>alert(2)</script> and <i>code</i>" in words(section(page, "subscribers"))


class TestTheFile:
    def test_the_database_is_closed_again(self, tmp_path: Path) -> None:
        database = write_marts(tmp_path / "warehouse.duckdb")
        build(database)
        with duckdb.connect(str(database)) as writer:
            writer.execute("create table t (a int)")
