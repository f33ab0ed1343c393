"""The search page of the site: who may, what it answers, and in a browser while one types."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from datasette_auth_passwords.utils import hash_password

from personal_pipeline.doors.door import Door
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.search.index import write_search
from personal_pipeline.site.gate import shared_site
from personal_pipeline.site.people import Person, keep, person_named
from personal_pipeline.site.tables import write_site
from personal_pipeline_tests.browser import chromium
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.published_timeline import add_to_ledger, event, write_timeline
from personal_pipeline_tests.site.serving import Visitor, serving

HOSTILE = """<img src=x onerror="document.title='gone'"><script>document.title=0</script> \u202e"""
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}

EVENTS = (
    event(
        "2024-06-01 07:30",
        "Morning run",
        kind="activity",
        source="strava",
        detail="10.2 km along the river, with a stop at the old mill",
        place="Riverside",
    ),
    event("2024-06-02", "Running shoes", detail="Sports Miller", amount="-129.90", currency="EUR"),
    event("2024-06-20 19:05", "Dinner with Zoë", text="We talked about the long run in Zürich."),
    event("2024-07-01 12:00", "東京ラーメン", kind="transaction", amount="-1200", currency="JPY"),
    event("2024-08-01", f"A message {HOSTILE}", detail=HOSTILE, text=HOSTILE, by_others=True),
)


@pytest.fixture(scope="module")
def house(
    opened_kiosk: Kiosk, built_kiosk: Home, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    home = Home(tmp_path_factory.mktemp("search") / "home")
    shutil.copytree(built_kiosk.root, home.root)
    timeline = Home(tmp_path_factory.mktemp("timeline"))
    write_timeline(timeline, EVENTS)
    with duckdb.connect(str(home.published)) as published:
        published.execute(f"attach '{timeline.published}' as timeline")
        published.execute("create table marts.timeline as from timeline.marts.timeline")
        add_to_ledger(published)
    with pytest.MonkeyPatch.context() as patched:
        opened_kiosk.lay_project(patched)
        house = opened_kiosk.house(home)
        keep(home, Person("anna", ("kiosk",), (), hash_password("plum crumble on sundays")))
        write_site(house)
        write_search(house)
        yield house


def test_without_scripts_the_form_answers(owner: Visitor) -> None:
    assert '<a href="/-/search">Search</a>' in owner.get("/").text
    page = owner.get("/-/search?q=run+-dinner").text
    assert 'value="run -dinner"' in page
    assert "1 hit." in page
    assert '<a href="/-/day/2024-06-01">' in page
    assert "Morning <mark>run</mark>" in page
    assert "2024-06-01 07:30" in page
    assert "Nothing for “mornin”; showing “morning”." in owner.get("/-/search?q=mornin").text
    assert "Nothing was found." in owner.get("/-/search?q=source:nowhere").text


def test_while_one_types_it_answers_in_json(owner: Visitor) -> None:
    answer = owner.get("/-/search.json?q=shoes+runn&typing=1").json()
    assert answer["said"] == "1 hit."
    (hit,) = answer["hits"]
    assert hit["day"] == "2024-06-02"
    assert hit["title"] == [["Running", True], [" ", False], ["shoes", True]]
    assert hit["about"] == ["transaction", "-129.90 EUR"]
    assert owner.get("/-/search.json?q=shoes+runn").json()["hits"] == []
    assert owner.get("/-/search.json").json() == {"typed": "", "said": "", "hits": []}
    for typed in ("%22", "%00", "*%20OR%20NOT%20(", "%F0%9F%8E%89", "x" * 3000):
        assert owner.get(f"/-/search.json?q={typed}").status_code == 200


def test_the_text_of_others_is_escaped(owner: Visitor) -> None:
    page = owner.get("/-/search?q=message").text
    assert "<img" not in page
    assert "\u202e" not in page
    assert "&lt;img src=x" in page
    typed = owner.get(f"/-/search?q={HOSTILE}").text
    assert "<img" not in typed


def test_nobody_else_can_search(house: House, door: Door) -> None:
    for path in ("/-/search", "/-/search?q=run", "/-/search.json?q=run"):
        host = {"Host": f"{door.name}:{door.port}"}
        assert Visitor(door.port, host).get(path).status_code == 401
    port = free_port()
    anna = person_named(house.home, "anna")
    with serving(gate := shared_site(house.home, anna, ["127.0.0.1"]), port):
        somebody = Visitor(port, {"Host": f"127.0.0.1:{port}"})
        form = somebody.get("/-/login").text
        token = form.partition('name="csrftoken" value="')[2].partition('"')[0]
        login = {"username": "anna", "password": "plum crumble on sundays", "csrftoken": token}
        assert somebody.post("/-/login", login).status_code == 302
        assert "/-/search" not in somebody.get("/").text
        for path in ("/-/search", "/-/search?q=run", "/-/search.json?q=run"):
            answer = somebody.get(path)
            assert answer.status_code == 403
            assert "river" not in answer.text
    # nor if the gate let them through
    direct = free_port()
    with serving(gate.app, direct):
        somebody = Visitor(direct, {"Host": f"127.0.0.1:{direct}"}, somebody.session)
        assert somebody.get("/-/search.json?q=run").status_code == 403


def test_before_the_first_index_it_says_what_to_do(house: House, owner: Visitor) -> None:
    hidden = house.home.search.with_name("hidden")
    house.home.search.rename(hidden)
    try:
        assert "`personal-pipeline refresh`" in owner.get("/-/search?q=run").text
    finally:
        hidden.rename(house.home.search)


# ------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as started:
        yield started


def picture(page: Any, name: str) -> None:
    """For whoever wants to look."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(folder) / f"search-{name}.png"), full_page=True)


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
def test_it_searches_while_one_types_and_keys_lead_to_a_day(
    browser: Any, door: Door, scheme: str, size: dict[str, int]
) -> None:
    page = browser.new_context(viewport=size, color_scheme=scheme).new_page()
    complaints: list[str] = []
    page.on("console", lambda each: complaints.append(each.text))
    page.on("pageerror", lambda each: complaints.append(str(each)))
    page.goto(door.opening())
    page.get_by_role("link", name="Search").click()
    page.wait_for_selector("form.search [name=q]:focus")
    page.keyboard.type("run", delay=20)
    page.wait_for_selector(".hits[data-of=run]")
    assert page.locator(".hits li").count() == 3
    assert page.locator(".said").inner_text() == "3 hits."
    assert page.locator(".hits mark").count() == 3
    assert page.url.endswith("?q=run")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = f"{'phone' if size == PHONE else 'desk'}-{scheme}"
    picture(page, name)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement === document.querySelectorAll('.hits a')[1]")
    page.keyboard.press("Escape")
    page.wait_for_selector("form.search [name=q]:focus")
    page.locator("[name=q]").fill("message")
    page.wait_for_selector(".hits[data-of=message]")
    picture(page, f"hostile-{name}")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("img").count() == 0
    assert page.title() == "Search"
    page.locator("[name=q]").fill("source:strava mornin")
    page.wait_for_selector(".hits[data-of='source:strava mornin']")
    assert complaints == []
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/-/day/2024-06-01")
