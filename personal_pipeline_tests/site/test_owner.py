"""The owner's site over a life of one year: who gets in, what it shows, what it never does."""

from __future__ import annotations

import re
import shutil
import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from personal_pipeline.board import board_of
from personal_pipeline.doors.door import Door, door_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.outputs.board import to_do
from personal_pipeline.site import view
from personal_pipeline.site.server import site_of
from personal_pipeline.site.tables import write_site
from personal_pipeline_tests.invented_house import NOW, Services
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.site.serving import Visitor, serving

PAGES = (
    *("/", "/reports", "/reports/latest", "/reports/2025-11-21", "/tables", "/-/dashboards"),
    # reports link to each other by the names of their files
    *("/reports/2025-11-21.html", "/reports/2025-10.html"),
    *(
        "/-/dashboards/money",
        "/-/dashboards/body",
        "/-/dashboards/readers",
        "/-/dashboards/revenue",
    ),
    *("/tables/transactions", "/tables/transactions.json", "/tables/transactions.csv?_stream=on"),
    *("/tables/story_stats_daily?_sort_desc=views&_facet=day", "/tables?sql=select+1"),
    *("/tables/money-spending", "/tables/money-spending.json?since=2025-10-01&until=&currency="),
    *("/-/site/site.css", "/-/site/dashboard.js", "/-/vega/vega.min.js", "/-/static/app.css"),
)


@pytest.fixture(scope="module")
def house(services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("owner") / "home"
    shutil.copytree(built_home.root, folder)
    house = services.house(Home(folder))
    write_site(house)
    return house


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_there_and_allows_nothing_from_elsewhere(owner: Visitor, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code == 200, answer.text[:500]
    policies = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policies
    assert "frame-ancestors 'none'" in policies
    # the strictest of several counts: ours allows no script but those with its nonce
    ours = policies.partition(", ")[0]
    scripts = re.findall(r"script-src ([^;]*);", ours)
    assert all(each.startswith("'nonce-") for each in scripts)
    if "html" in answer.headers["content-type"]:
        assert not re.search(r"""(<link [^>]*href|src)="(https?:)?//""", answer.text)
        nonce = scripts[0].removeprefix("'nonce-").rstrip("'") if scripts else None
        marks = re.findall(r"<script([^>]*)>", answer.text)
        assert all(f'nonce="{nonce}"' in mark for mark in marks)


def test_nobody_else_gets_in(door: Door) -> None:
    host = {"Host": f"{door.name}:{door.port}"}
    for path in PAGES:
        assert Visitor(door.port, host).get(path).status_code == 401
        assert Visitor(door.port, {}).get(path).status_code == 421
    owner = Visitor(door.port, door.headers())
    assert owner.get("/", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert owner.post("/", {}).status_code == 405
    for closed in ("/-/login", "/-/permissions", "/-/messages", "/-/password-tool"):
        assert owner.get(closed).status_code == 405


def test_a_table_is_described_and_its_rows_link(owner: Visitor) -> None:
    page = owner.get("/tables/transactions").text
    assert "One row per transaction of the person, however many statements report it" in page
    assert "In whole units of the currency; negative leaves the account." in page
    (account, *_) = owner.get("/tables/accounts.json?_shape=array").json()
    assert f'href="/tables/accounts/{account["account_id"]}"' in page
    row = owner.get(f"/tables/accounts/{account['account_id']}").text
    assert "from account_id in accounts_daily" in row


def test_the_figures_of_a_report_lead_to_their_tables(owner: Visitor, house: House) -> None:
    shown = owner.get("/reports/2025-11-21").text
    linked = set(re.findall(r'<a href="(/tables/[^"]+)"><code>', shown))
    assert len(linked) > 5
    for address in linked:
        assert owner.get(address).status_code == 200, address
    # elsewhere there is no site: the file itself has no such link, and is else the same
    kept = (house.home.reports / "2025-11-21.html").read_text(encoding="utf-8")
    assert "/tables/" not in kept
    assert re.sub(r'<a href="/tables/[^"]+">(<code>.*?</code>)</a>', r"\1", shown) == kept


def test_the_home_page_says_what_status_says(house: House, owner: Visitor, door: Door) -> None:
    page = owner.get("/").text
    board = board_of(house)
    assert page.count("<strong>Kit (") == sum(each[0].source == "kit" for each in to_do(board))
    # three weeks later nobody has fetched or dropped anything
    late = replace(house, clock=lambda: NOW + timedelta(days=21))
    troubles = to_do(board_of(late))
    assert len(troubles) > len(to_do(board))
    other = door_of(house.home, free_port())
    with serving(site_of(late, other), other.port):
        page = Visitor(other.port, other.headers()).get("/").text
    assert f"To do ({len(troubles)})" in page
    for lines in troubles:
        assert f"<strong>{lines[0].source_title} (" in page


def test_a_file_of_the_person_is_a_page_without_a_restart(house: House, owner: Visitor) -> None:
    home = house.home
    (home.queries / "rents.sql").write_text(
        "-- What I pay for the flat\n"
        "select posted_on, amount from transactions where category = :of"
    )
    (home.dashboards / "mine.yaml").write_text(
        "title: My own\ncharts: {rows: {title: R, kind: table, query: select 1 as one}}"
    )
    (home.dashboards / "broken.yaml").write_text("title: Broken")
    page = owner.get("/").text
    assert '<a href="/tables/rents">What I pay for the flat</a>' in page
    assert "dashboards/broken.yaml: charts: Field required" in page
    rows = owner.get("/tables/transactions.json?_shape=array&category__notblank=1").json()
    of = rows[0]["category"]
    found = owner.get(f"/tables/rents.json?_shape=array&of={quote(of)}").json()
    assert len(found) == sum(row["category"] == of for row in rows)
    assert "where category = :of" in owner.get("/tables/rents").text
    assert owner.get("/tables/mine-rows.json?_shape=array").json() == [{"one": 1}]
    assert owner.get("/-/dashboards/mine").status_code == 200
    for path in (*home.dashboards.iterdir(), *home.queries.iterdir()):
        path.unlink()
    assert owner.get("/tables/rents").status_code == 404
    assert owner.get("/-/dashboards/mine").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/reports/2020-01-01",
        "/reports/2020",
        "/reports/2020-01.html",
        "/reports/..%2Fstate%2Fdoor",
        "/reports/%2e%2e",
        "/-/dashboards/no",
    ],
)
def test_what_is_not_there_is_404(owner: Visitor, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code in (302, 404)
    assert "token" not in answer.text


def test_an_error_shows_and_prints_nothing_of_the_data(
    owner: Visitor, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = owner.get("/tables?sql=select+nonsense+from+transactions+where+amount=:x&x=PRIVATE-1")
    assert wrong.status_code == 400
    assert "no such column: nonsense" in wrong.text

    def fails(_: view.View) -> None:
        private = "PRIVATE-2"
        raise ValueError(private)

    monkeypatch.setattr(view.View, "areas", fails)
    broken = owner.get("/")
    assert broken.status_code == 500
    assert "This is a bug in personal_pipeline" in broken.text
    printed = capfd.readouterr()
    assert "ValueError in pages.py, line" in printed.err
    for text in (broken.text, printed.err, printed.out):
        assert "PRIVATE" not in text


def test_another_file_in_its_place_is_read_and_none_is_said(house: House, owner: Visitor) -> None:
    before = owner.get("/tables/accounts.json?_shape=array").json()
    assert before
    kept = house.home.site.read_bytes()
    house.home.site.unlink()
    missing = owner.get("/")
    assert missing.status_code == 503
    assert "There are no tables yet. `personal-pipeline refresh` builds them" in missing.text
    other = house.home.site.with_name("other")
    other.write_bytes(kept)
    with sqlite3.connect(other) as site:
        site.execute("delete from accounts")
    site.close()
    other.replace(house.home.site)
    assert owner.get("/tables/accounts.json?_shape=array").json() == []
    write_site(house)
    assert owner.get("/tables/accounts.json?_shape=array").json() == before


def test_the_file_itself_cannot_be_taken_away(owner: Visitor, house: House) -> None:
    assert owner.get("/tables.db").status_code == 403
    assert Path(house.home.site).exists()
