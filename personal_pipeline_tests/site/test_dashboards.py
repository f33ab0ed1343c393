"""Dashboards and queries: ours run over a real life, and a wrong one is named with the reason."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.site.dashboards import (
    OURS,
    BadQuery,
    files_of,
    read_dashboard,
    read_query,
    shown_of,
    tables_read,
)

CHART = "charts: {days: {title: Days, query: select day from days}}"


@pytest.fixture(scope="module")
def life(
    built_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    """The site of a life of one year. A copy: SQLite lays files beside what it opens."""
    copy = tmp_path_factory.mktemp("site") / "site.sqlite"
    copy.write_bytes(built_home.site.read_bytes())
    with closing(sqlite3.connect(copy)) as site:
        yield site


@pytest.fixture
def site() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        opened.executescript(
            "create table _tables (name); insert into _tables values ('days'), ('secrets');"
            "create table days (day, views); create table secrets (day);"
        )
        yield opened


@pytest.mark.parametrize("path", sorted(OURS.glob("*.yaml")), ids=lambda path: path.stem)
def test_each_of_our_charts_has_rows_and_each_filter_leaves_fewer(
    path: Path, life: sqlite3.Connection
) -> None:
    dashboard = read_dashboard(path)
    marts = {name for (name,) in life.execute("select name from _tables")}
    assert dashboard.tables(life) <= marts
    everything = dict.fromkeys(dashboard.filters, "")
    some = everything | {"since": "2025-09-01", "until": "2025-10-31"}
    for name, chart in dashboard.charts.items():
        cursor = life.execute(chart.query, everything)
        columns = [column for column, *_ in cursor.description]
        rows = cursor.fetchall()
        assert rows, name
        assert life.execute(chart.query, some).fetchall() != rows, name
        if chart.opens:
            wanted = {each for each in chart.opens.where.values() if not each.startswith(":")}
            assert wanted <= set(columns), name
            of_table = {row[1] for row in life.execute(f"pragma table_info({chart.opens.table})")}
            assert {each.partition("__")[0] for each in chart.opens.where} <= of_table, name


WRONG = {
    "title: [": "line 2: ",
    "- a": "expected title and charts",
    "title: Days": "charts: Field required",
    f"title: Days\n{CHART}\ncolour: red": "colour: Extra inputs are not permitted",
    "title: Days\ncharts: {}": "charts: Dictionary should have at least 1 item",
    f"title: Days\n{CHART.replace('from days', 'from nowhere')}": "no such table: nowhere",
    f"title: Days\n{CHART.replace('day from', 'night from')}": "no such column: night",
    f"title: Days\n{CHART.replace('from days', 'from days where day = :other')}": ":other",
    "title: Days\ncharts: {days: {title: Days, query: drop table days}}": "only one SELECT",
    "title: Days\ncharts: {days: {title: Days, query: select 1; select 2}}": "one statement",
    f"title: Days\n{CHART[:-1].replace('}', ', opens: {table: nights, where: {day: day}}}')}}}": (
        "there is no table nights"
    ),
}


@pytest.mark.parametrize(("text", "said"), WRONG.items(), ids=WRONG.values())
def test_a_dashboard_that_cannot_be_shown_is_named_with_the_reason(
    text: str, said: str, home: Home, site: sqlite3.Connection
) -> None:
    (home.dashboards / "mine.yaml").write_text(text)
    (home.dashboards / "good.yaml").write_text(f"title: Good\n{CHART}")
    shown = shown_of(files_of(home), site)
    assert list(shown.dashboards) == ["good"]
    (problem,) = shown.problems
    assert problem.startswith("dashboards/mine.yaml: ")
    assert said in problem
    assert site.execute("select count(*) from days").fetchone() == (0,)


def test_a_persons_own_takes_the_place_of_ours(home: Home, site: sqlite3.Connection) -> None:
    (home.dashboards / "money.yaml").write_text(f"title: My money\n{CHART}")
    shown = shown_of(files_of(home), site)
    assert [each.title for each in shown.dashboards.values()] == ["My money"]
    assert shown.problems == []


def test_a_query_has_the_title_that_its_comment_gives(home: Home, site: sqlite3.Connection) -> None:
    (home.queries / "best_days.sql").write_text(
        "-- The best days\n-- By views.\nselect * from days where views > :views;\n"
    )
    (home.queries / "bare.sql").write_text("select 1")
    (home.queries / "days.sql").write_text("select 1")
    (home.queries / "insert.sql").write_text("insert into days values (1, 2)")
    shown = shown_of(files_of(home), site)
    best = shown.queries["best_days"]
    assert (best.title, best.description) == ("The best days", "By views.")
    assert shown.queries["bare"].title == "Bare"
    assert shown.queries.keys() == {"bare", "best_days"}
    assert [each.partition(": ")[0] for each in shown.problems] == [
        "queries/days.sql",
        "queries/insert.sql",
    ]


def test_the_tables_of_a_query_are_found_wherever_they_stand(site: sqlite3.Connection) -> None:
    for sql in (
        "select (select max(day) from secrets) from days",
        "with other as (select * from secrets) select * from days join other using (day)",
        "select day from days union select day from secrets",
        "select count(*) from days where exists (select 1 from secrets where 1)",
    ):
        assert tables_read(site, sql, {}) >= {"days", "secrets"}, sql
    with pytest.raises(BadQuery, match="only one SELECT"):
        tables_read(site, "attach 'other' as other", {})


def test_what_the_page_shows_as_an_example_works(home: Home, life: sqlite3.Connection) -> None:
    page = (Path(__file__).parents[2] / "docs" / "site.md").read_text(encoding="utf-8")
    for language, path in (
        ("yaml", home.dashboards / "coffee.yaml"),
        ("sql", home.queries / "rent.sql"),
    ):
        (example,) = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        path.write_text(example)
    shown = shown_of(files_of(home), life)
    assert shown.problems == []
    assert shown.dashboards["coffee"].title == "Coffee"
    assert shown.queries["rent"].title == "What I pay for the flat"


def test_a_file_that_is_no_text_is_a_problem_and_no_crash(
    home: Home, site: sqlite3.Connection
) -> None:
    (home.queries / "odd.sql").write_bytes(b"\xff\xfe\x00")
    assert len(shown_of(files_of(home), site).problems) == 1
    with pytest.raises(ValueError, match="utf-8"):
        read_query(home.queries / "odd.sql")
