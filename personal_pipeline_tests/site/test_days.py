"""Days, the same day of other years and raw records in the site: for the owner, and nobody else."""

from __future__ import annotations

import re
import shutil
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from datasette_auth_passwords.utils import hash_password
from lxml import html as lxml_html

from personal_pipeline.doors.door import Door, door_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.site.gate import shared_site
from personal_pipeline.site.people import Person, keep, person_named
from personal_pipeline.site.server import site_of
from personal_pipeline.site.tables import write_site
from personal_pipeline_tests.invented_house import NOW, Services, query
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.site.serving import Visitor, serving

PASSWORD = "plum crumble on sundays"


@pytest.fixture(scope="module")
def house(services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory) -> House:
    folder = tmp_path_factory.mktemp("days") / "home"
    shutil.copytree(built_home.root, folder)
    house = services.house(Home(folder))
    keep(house.home, Person("anna", ("life",), (), hash_password(PASSWORD)))
    write_site(house)
    return house


def a_day(house: House) -> str:
    """The day on which most happened that has a record."""
    ((day,),) = query(
        house.home.published,
        "select local_day from marts.timeline where reference is not null "
        "group by 1 order by count(*) desc, 1 limit 1",
    )
    return f"{day}"


def test_the_home_page_leads_to_a_day_and_every_link_on_from_there_works(
    owner: Visitor, house: House
) -> None:
    home = lxml_html.document_fromstring(owner.get("/").text)
    assert {"/-/day/today", "/-/on-this-day"} <= set(home.xpath("//a[@class='card']/@href"))
    answer = owner.get(f"/-/day/{a_day(house)}")
    assert answer.status_code == 200
    page = lxml_html.document_fromstring(answer.text)
    links = [link for link in page.xpath("//a/@href") if link.startswith("/")]
    assert any(link.startswith("/-/raw/") for link in links)
    assert any(link.startswith("/tables/") for link in links)
    for link in dict.fromkeys(links):
        assert owner.get(link).status_code == 200, link


def test_every_entry_with_a_record_opens_to_it(owner: Visitor, house: House) -> None:
    rows = query(
        house.home.published,
        "select kind, event_id, reference from marts.timeline where reference is not null "
        "qualify row_number() over (partition by kind order by event_id) <= 3",
    )
    assert len({kind for kind, *_ in rows}) > 6
    for kind, event_id, reference in rows:
        for named in (event_id, reference):
            answer = owner.get(f"/-/raw/{quote(named, safe='')}")
            assert answer.status_code == 200, (kind, named)
            page = lxml_html.document_fromstring(answer.text)
            assert page.xpath("//pre"), (kind, named)
            assert reference.rpartition("#")[2] in answer.text


def test_today_is_the_day_of_the_home(services: Services, house: House) -> None:
    # at six in the morning UTC it is still yesterday in Honolulu
    for zone, day in (("UTC", NOW), ("Pacific/Honolulu", NOW - timedelta(days=1))):
        there = services.house(house.home, PERSONAL_PIPELINE_TIMEZONE=zone)
        door = door_of(house.home, free_port())
        with serving(site_of(there, door), door.port):
            page = Visitor(door.port, door.headers()).get("/-/day/today").text
        assert f"<h1>{day:%A} {day.day} {day:%B %Y}</h1>" in page


def test_nothing_runs_on_these_pages_and_nothing_comes_from_elsewhere(
    owner: Visitor, house: House
) -> None:
    for path in (f"/-/day/{a_day(house)}", "/-/on-this-day?date=2025-11-20", "/-/day/2001-01-01"):
        answer = owner.get(path)
        assert answer.status_code == 200
        ours = answer.headers["content-security-policy"].partition(", ")[0]
        assert "script-src" not in ours
        assert ours.startswith("default-src 'none'")
        assert "<script" not in answer.text
        assert not re.search(r"""(<link [^>]*href|src)="(https?:)?//""", answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "/-/day/2024-02-30",
        "/-/day/yesteryear",
        "/-/day/2024-1-1",
        "/-/on-this-day?date=x",
        "/-/raw/ffffffffffff",
        "/-/raw/%00",
        "/-/raw/%27%20or%201%3D1%20--",
        "/-/raw/..%2F..%2Fstate%2Fdoor",
        "/-/raw/bank%2Ftransactions%2Fmonth%3D2001-01-01%2Fpart.jsonl.gz%23k",
        "/-/raw/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    ],
)
def test_what_is_not_there_is_404(owner: Visitor, path: str) -> None:
    answer = owner.get(path)
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    assert "token" not in answer.text


def test_somebody_with_whom_the_tables_are_shared_sees_no_day_and_no_record(
    house: House, door: Door
) -> None:
    paths = (f"/-/day/{a_day(house)}", "/-/on-this-day", "/-/raw/abcd")
    for path in paths:
        assert Visitor(door.port, {"Host": f"{door.name}:{door.port}"}).get(path).status_code == 401
    port = free_port()
    with serving(shared_site(house.home, person_named(house.home, "anna"), ["127.0.0.1"]), port):
        anna = Visitor(port, {})
        login = anna.get("/-/login").text
        token = re.search(r'name="csrftoken" value="([^"]+)"', login)
        assert token is not None
        anna.post(
            "/-/login", {"username": "anna", "password": PASSWORD, "csrftoken": token.group(1)}
        )
        home = anna.get("/")
        assert home.status_code == 200
        assert "timeline" in home.text
        assert "/-/day/" not in home.text
        for path in paths:
            assert anna.get(path).status_code == 404


def test_a_page_is_made_for_whoever_asks_and_not_kept(owner: Visitor, house: House) -> None:
    def files() -> set[tuple[str, float]]:
        paths = (path for path in house.home.root.rglob("*") if path.is_file())
        return {(str(path), path.stat().st_mtime) for path in paths if path.suffix != ".sqlite-shm"}

    before = files()
    day = datetime.fromisoformat(a_day(house))
    for number in range(5):
        assert owner.get(f"/-/day/{day - timedelta(days=number):%Y-%m-%d}").status_code == 200
    assert files() == before
