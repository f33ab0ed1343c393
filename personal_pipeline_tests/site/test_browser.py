"""The site in a real browser: somebody logs in and looks; the owner's pages on a phone."""

from __future__ import annotations

import csv
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from datasette_auth_passwords.utils import hash_password

from personal_pipeline.doors.door import Door
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.site.dashboards import OURS
from personal_pipeline.site.gate import shared_site
from personal_pipeline.site.people import Person, keep, person_named
from personal_pipeline.site.tables import write_site
from personal_pipeline_tests.browser import chromium
from personal_pipeline_tests.invented_house import Services
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.site.serving import serving

PASSWORD = "plum crumble on sundays"
PHONE = {"width": 390, "height": 844}
HOSTILE = """<img src=x onerror="document.title='run'"><script>document.title='run'</script>"""
EMPTY = """
[...document.querySelectorAll('figure')].filter(each => each.querySelector('svg')
    && ![...each.querySelectorAll('.role-mark path')].map(path => path.getBBox())
        .some(box => box.width > 0 && box.height > 0)).map(each => each.id)
"""
"""The charts in which no mark takes any room."""

DRAWN = ".drawn:not([data-drawn])"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("browser") / "home"
    shutil.copytree(built_home.root, folder)
    house = services.house(Home(folder))
    keep(house.home, Person("anna", ("money",), ("money",), hash_password(PASSWORD)))
    write_site(house)
    return house


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


class Watched:
    """A tab, with what it asked for and what it complained about."""

    def __init__(self, browser: Any, base: str, **context: Any) -> None:
        self.base = base
        self.page = browser.new_context(**context).new_page()
        self.outside: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda each: self._look(each.url))
        self.page.on("console", lambda each: self.complaints.append(each.text))
        self.page.on("pageerror", lambda each: self.complaints.append(str(each)))

    def _look(self, url: str) -> None:
        if not url.startswith((self.base, "data:")):
            self.outside.append(url)

    def open(self, path: str) -> Any:
        self.page.goto(f"{self.base}{path}")
        self.page.wait_for_selector(DRAWN, state="detached")
        return self.page

    def picture(self, name: str) -> None:
        """For whoever wants to look."""
        if folder := os.environ.get("PICTURES"):
            self.page.screenshot(path=f"{folder}/{name}.png", full_page=True)


def test_somebody_logs_in_filters_opens_a_row_and_takes_the_rows_along(
    browser: Any, house: House, tmp_path: Path
) -> None:
    port = free_port()
    anna = person_named(house.home, "anna")
    with serving(shared_site(house.home, anna, ["127.0.0.1"]), port):
        tab = Watched(browser, f"http://127.0.0.1:{port}", accept_downloads=True)
        page = tab.page
        page.goto(f"{tab.base}/")
        tab.complaints.clear()  # that the page is forbidden
        page.get_by_role("link", name="Log in").click()
        page.get_by_label("Username").fill("anna")
        page.get_by_label("Password").fill(PASSWORD)
        page.locator("section.content").get_by_role("button", name="Log in").click()
        page.get_by_role("heading", name="Shared with you").wait_for()
        tab.picture("site-partner-home")

        page.get_by_role("link", name="Money", exact=True).click()
        page.wait_for_selector(DRAWN, state="detached")
        everything = page.locator("#totals dd").first.inner_text()
        assert page.locator("#spending svg path").count() > 5
        page.locator("[name=since]").fill("2025-10-01")
        page.locator("[name=until]").fill("2025-10-31")
        page.get_by_role("button", name="Show").click()
        page.wait_for_selector(DRAWN, state="detached")
        assert page.locator("#totals dd").first.inner_text() != everything
        days = page.locator("#largest tbody tr td:first-child").all_inner_texts()
        assert days
        assert all(day.startswith("2025-10-") for day in days)
        tab.picture("site-partner-dashboard")

        payee = page.locator("#largest tbody tr td:nth-child(2)").first.inner_text()
        page.locator("#largest tbody a").first.click()
        page.get_by_text("1 row where transaction_id").wait_for()
        assert payee in page.locator("td.col-description").inner_text()
        page.locator("td.col-transaction_id a").click()
        page.wait_for_url("**/tables/transactions/*")
        tab.picture("site-partner-row")

        page.goto(f"{tab.base}/tables/transactions?posted_on__gte=2025-10-01")
        with page.expect_download() as download:
            page.get_by_label("download file").check()
            page.get_by_role("button", name="Export CSV").click()
        download.value.save_as(tmp_path / "transactions.csv")
        with (tmp_path / "transactions.csv").open(newline="") as lines:
            rows = list(csv.DictReader(lines))
        with closing(sqlite3.connect(f"{house.home.site.as_uri()}?mode=ro", uri=True)) as site:
            (count,) = site.execute(
                "select count(*) from transactions where posted_on >= '2025-10-01'"
            ).fetchone()
        assert len(rows) == min(count, 100)
        assert tab.outside == []
        assert tab.complaints == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_on_a_phone_and_asks_nobody_else(
    browser: Any, door: Door, scheme: str
) -> None:
    tab = Watched(browser, door.address(""), viewport=PHONE, color_scheme=scheme)
    tab.page.goto(door.opening())
    for name in ("/", *(f"/-/dashboards/{each.stem}" for each in OURS.glob("*.yaml"))):
        page = tab.open(name)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name
        assert "could not be drawn" not in page.inner_text("body"), name
        assert page.evaluate(EMPTY) == [], name
        ground, ink = page.evaluate(
            "(style => [style.backgroundColor, style.color])(getComputedStyle(document.body))"
        )
        assert (_brightness(ground) > _brightness(ink)) is (scheme == "light")
        tab.picture(f"site-phone-{scheme}-{name.rpartition('/')[2] or 'home'}")
    for name in ("/reports/latest", "/tables/story_stats", "/tables/money-spending"):
        tab.open(name)
    assert tab.outside == []
    assert tab.complaints == []


def _brightness(colour: str) -> int:
    return sum(int(part) for part in colour.partition("(")[2].rstrip(")").split(",")[:3])


def test_a_mark_of_a_chart_opens_the_rows_behind_it(browser: Any, door: Door) -> None:
    tab = Watched(browser, door.address(""), viewport={"width": 1280, "height": 900})
    tab.page.goto(door.opening())
    page = tab.open("/-/dashboards/money")
    page.locator("#spending svg .mark-rect path").first.click()
    page.wait_for_url("**/tables/transactions?*")
    asked = parse_qs(urlsplit(page.url).query)
    assert asked.keys() >= {"month", "currency", "kind"}
    # the rows are those that the bar adds up
    months = set(page.locator("tbody td.col-month").all_inner_texts())
    assert months == set(asked["month"])


def test_the_text_of_others_is_shown_and_never_run(browser: Any, house: House, door: Door) -> None:
    kept = house.home.site.read_bytes()
    with closing(sqlite3.connect(house.home.site)) as site, site:
        site.execute("update transactions set description = ?, category = ?", [HOSTILE, HOSTILE])
        site.execute("update spending_monthly set category = ? || category", [HOSTILE])
    try:
        tab = Watched(browser, door.address(""))
        tab.page.goto(door.opening())
        page = tab.open("/-/dashboards/money")
        assert HOSTILE in page.locator("#largest").inner_text()
        for path in (
            "/-/dashboards/money",
            "/tables/transactions?_facet=category",
            "/tables/money-largest",
        ):
            page = tab.open(path)
            page.wait_for_timeout(200)
            assert page.title() != "run", path
            assert page.locator("img[src=x]").count() == 0, path
        assert tab.outside == []
    finally:
        house.home.site.write_bytes(kept)
