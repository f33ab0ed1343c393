"""The page of a day: what stands on it, what is drawn, and how it looks in a browser."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from lxml import html as lxml_html
from lxml.html import HtmlElement

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.life.drawn import hours, pulse, stages, track
from personal_pipeline.life.events import events_of, published
from personal_pipeline.life.page import day_page, raw_page, same_day_page
from personal_pipeline.outputs.drawing import WIDTH
from personal_pipeline.settings import Settings
from personal_pipeline_tests.browser import chromium
from personal_pipeline_tests.invented_timeline import event, write_tables
from personal_pipeline_tests.kiosk.sources import METER, SOURCES
from personal_pipeline_tests.outputs.report_page import words
from personal_pipeline_tests.test_life import HOSTILE

DAY = date(2024, 6, 1)
LAKE_FILE = "meter/readings/month=2024-06-01/part.jsonl.gz"
STORY = "\n\n".join(f"Paragraph {n}: " + "word " * 300 for n in range(250))
SVG = "{http://www.w3.org/2000/svg}"


def house(home: Home) -> House:
    settings = Settings(PERSONAL_PIPELINE_HOME=str(home.root),
                        PERSONAL_PIPELINE_TIMEZONE="Europe/Berlin")  # fmt: skip
    return House(settings, home, SOURCES)


def around_a_lake(start: datetime, samples: int = 900) -> Iterator[dict[str, Any]]:
    """A ride along a shore, with its pulse; somewhere the receiver loses its satellites."""
    for n in range(samples):
        turn = 2 * math.pi * n / samples
        radius = 0.02 + 0.004 * math.sin(5 * turn) + 0.002 * math.cos(11 * turn)
        lost = 400 < n < 420
        yield {
            "month": start.date().replace(day=1),
            "activity_id": "ride",
            "number": n,
            "measured_at": start + timedelta(seconds=6 * n),
            "latitude": None if lost else 47.6 + radius * math.sin(turn),
            "longitude": None if lost else 9.4 + 1.8 * radius * math.cos(turn),
            "heart_rate": 112 + 40 * n / samples + 9 * math.sin(n / 25),
        }


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> House:
    """A full day, with years around it."""
    home = Home(tmp_path_factory.mktemp("lived") / "home").ensure()
    lake = lake_of(home, "meter", METER.drop_streams[0])
    lake.write(
        date(2024, 6, 1),
        [
            Row("1", {"Merchant": "Corner Grocer", "Amount": "-42.80", "Currency": "EUR"}),
            Row("2", {"note": "</pre><script>alert(1)</script>"}),
        ],
    )
    ride = datetime.fromisoformat("2024-06-01T07:05")
    write_tables(
        home.published,
        timeline=[
            event("night", "2024-06-01/1", "2024-05-31T21:10", "2024-06-01T04:40", day="2024-06-01",
                  title="Slept 7 h 5 min", detail="deep 1 h 2 min · REM 1 h 41 min"),
            event("payment", "p1", "2024-06-01T05:12", title="The Small House of Data (e-book)",
                  detail="card · US", amount=19, currency="usd", source="stripe"),
            event("activity", "ride", f"{ride}", "2024-06-01T08:35", title="Around the lake",
                  detail="ride · 41.8 km · 1 h 27 min · 139 bpm", place="Konstanz"),
            event("story", "s1", "2024-06-01T10:00", title="What the Lake Keeps",
                  detail="7 min read", address="https://example.com/s1", text=STORY),
            event("message", "m1", "2024-06-01T11:20", title=HOSTILE[4], detail="a\u202eb",
                  address="javascript:alert(1)", people=["<b>Ann</b>"], by_others=True,
                  reference=f"{LAKE_FILE}#2"),
            event("meeting", "call", "2024-06-01T14:00", "2024-06-01T14:45", zone="Asia/Tokyo",
                  title="Call with Naoko", people=["Naoko"]),
            event("transaction", "t1", day="2024-06-01", title="CORNER GROCER", amount="-42.80",
                  detail="Current account · Groceries", currency="eur",
                  reference=f"{LAKE_FILE}#1"),
            event("transaction", "t2", day="2024-06-01", title="GONE", amount="-1.00",
                  currency="eur", reference="meter/readings/month=2020-01-01/part.jsonl.gz#9"),
            *(event("story", f"y{year}", f"{year}-06-01T08:00", title=f"A story of {year}")
              for year in (2021, 2023, 2025)),
        ],
        activity_samples=around_a_lake(ride),
        activities=[{"activity_id": "ride", "distance_m": 41800}],
        sleep_nights=[{"day": "2024-06-01", "number": 1, "is_counted": True, "deep_minutes": 62,
                       "core_minutes": 262, "rem_minutes": 101, "unspecified_minutes": 0,
                       "awake_minutes": 25}],
        health_daily=[{"day": "2024-06-01", "asleep_minutes": 425, "steps": 11204}],
        creator_daily=[{"day": "2024-06-01", "views": 240}],
    )  # fmt: skip
    return house(home)


def read(text: str) -> HtmlElement:
    return lxml_html.document_fromstring(text)


def entry(page: HtmlElement, title: str) -> HtmlElement:
    (found,) = (
        each for each in page.xpath("//ol[@class='life']/li") if title in words(each.find(".//p"))
    )
    return found


# ------------------------------------------------------------------------------------------ page


def test_a_day_from_morning_to_night(lived: House) -> None:
    page = read(day_page(lived, DAY))
    assert words(page.find(".//h1")) == "Saturday 1 June 2024"
    titles = [words(each) for each in page.xpath("//p[@class='title']")]
    assert [each.partition(" ")[0] for each in titles] == [
        *("night", "payment", "activity", "story", "message", "meeting"),
        *("transaction", "transaction"),
    ]
    headings = [words(each) for each in page.xpath("//p[@class='clock']")]
    assert headings == ["Clock of Asia/Tokyo, UTC+09:00", "Without a time"]
    assert [words(each) for each in page.xpath("//ul[contains(@class, 'sums')]/li")] == [
        "Slept 7 h 5 min",
        "Steps 11,204",
        "Moved 41.8 km",
        "Spent €43.80",
        "Earned $19.00",
        "Views 240",
    ]
    call = entry(page, "Call with Naoko")
    assert [words(each) for each in call.xpath(".//div[@class='when']/span")] == ["23:00", "–23:45"]
    assert words(entry(page, "CORNER GROCER")).endswith("−€42.80")


def test_what_others_wrote_is_text_and_nothing_else(lived: House) -> None:
    for text in (
        day_page(lived, DAY),
        day_page(lived, DAY, in_site=True),
        raw_page(lived, f"{LAKE_FILE}#2"),
        raw_page(lived, "till:message:m1"),
    ):
        page = read(text)
        assert page.xpath("//script | //iframe | //img | //b | //object | //form") == []
        assert all(
            re.match(r"https://example\.com/s1$|/|#", link) for link in page.xpath("//@href")
        )
        assert page.xpath("//@src | //@onerror | //@onclick") == []
        assert "\u202e" not in text
        assert "alert(1)" in words(page)


def test_a_story_is_there_whole(lived: House) -> None:
    (shown,) = read(day_page(lived, DAY)).xpath("//div[@class='words']")
    assert shown.text_content() == STORY
    assert entry(read(day_page(lived, DAY)), "What the Lake").xpath(".//p/a/@href") == [
        "https://example.com/s1"
    ]


def test_an_entry_opens_to_its_raw_record(lived: House) -> None:
    page = read(day_page(lived, DAY))
    opened = entry(page, "CORNER GROCER").find(".//details")
    assert '"Merchant": "Corner Grocer"' in opened.find(".//pre").text_content()
    facts = [words(each) for each in opened.xpath(".//dt")]
    assert facts[:4] == ["Record", "Stream", "Lake file", "SHA-256"]
    # what the lake has lost costs nothing else
    assert entry(page, "GONE").xpath(".//details") == []
    in_site = entry(read(day_page(lived, DAY, in_site=True)), "CORNER GROCER")
    (link,) = in_site.xpath(".//a[@class='raw']/@href")
    linked = read(raw_page(lived, link.removeprefix("/-/raw/")))
    assert '"Merchant": "Corner Grocer"' in words(linked)
    assert linked.xpath("//nav//a/@href") == ["/", "/-/day/2024-06-01"]
    assert lived.home.root.as_posix() not in lxml_html.tostring(linked).decode()


def test_days_lead_to_their_neighbours_and_other_years_in_the_site_only(lived: House) -> None:
    links = read(day_page(lived, DAY, in_site=True)).xpath("//nav//a/@href")
    assert links == [
        "/",
        "/-/day/2024-05-31",
        "/-/day/2024-06-02",
        *(f"/-/day/{year}-06-01" for year in (2025, 2023, 2021)),
        "/-/on-this-day?date=2024-06-01",
    ]
    # a file has no neighbours
    assert read(day_page(lived, DAY)).xpath("//nav") == []
    page = read(same_day_page(lived, DAY))
    assert words(page.find(".//h1")) == "1 June"
    assert [words(each) for each in page.xpath("//section//h2")] == [
        "Sunday 1 June 2025",
        "Thursday 1 June 2023",
        "Tuesday 1 June 2021",
    ]
    assert page.xpath("//section//h2/a/@href")[0] == "/-/day/2025-06-01"


def test_a_day_with_nothing_says_so(lived: House) -> None:
    for text in (
        day_page(lived, date(2022, 3, 3), in_site=True),
        same_day_page(lived, date(2022, 3, 3)),
    ):
        assert "Nothing is known of this day" in words(read(text))
    assert read(day_page(lived, date(1, 1, 3))).xpath("//ol") == []


def test_the_command_writes_the_page_whole_or_not_at_all(
    lived: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(lived.home.root))
    monkeypatch.setenv("PERSONAL_PIPELINE_TIMEZONE", "Europe/Berlin")
    monkeypatch.setattr("personal_pipeline.sources.SOURCES", SOURCES)
    file = tmp_path / "pages" / "day.html"
    done = CliRunner().invoke(main, ["day", "2024-06-01", "--html", str(file)])
    assert done.exit_code == 0, done.output
    assert file.read_text(encoding="utf-8") == day_page(lived, DAY)
    assert [path.name for path in file.parent.iterdir()] == ["day.html"]


# -------------------------------------------------------------------------------------- drawings


def paths(svg: str) -> list[list[tuple[float, float]]]:
    """The points of each stroked path that is drawn, in the drawing's own units."""
    found = []
    for each in ET.fromstring(svg).iter("path"):
        x = y = 0.0
        points = []
        for command, numbers in re.findall(r"([MlhvHV])([^MlhvHVz]*)", each.get("d", "")):
            values = [float(n) for n in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", numbers)]
            if command == "M":
                x, y = values
            elif command == "l":
                x, y = x + values[0], y + values[1]
            elif command in "hH":
                x = x * (command == "h") + values[0]
            else:
                y = y * (command == "v") + values[0]
            points.append((x, y))
        found.append(points)
    return found


@pytest.mark.parametrize(("latitude", "longitude"), [(0, 10), (47.6, 9.4), (60, 179.999)])
def test_a_map_keeps_lengths_and_its_scale_says_them(latitude: float, longitude: float) -> None:
    # a kilometre to the east and one to the north; the last one crosses the date line
    degree = 40_075_017 / 360
    east = 1000 / (degree * math.cos(math.radians(latitude)))
    corner = longitude + east - 360 * (longitude + east > 180)
    there = [(latitude, longitude), (latitude, corner), (latitude + 1000 / degree, corner)]
    picture = track(there)
    assert picture is not None
    line = paths(picture.svg)[0]
    across, up = line[2][0] - line[1][0], line[2][1] - line[3][1]
    assert across == pytest.approx(up, rel=0.02)
    scale = paths(picture.svg)[-1]
    (label,) = (each.text for each in ET.fromstring(picture.svg).iter("text"))
    assert label == "500 m"
    assert (scale[-1][0] - scale[0][0]) / across == pytest.approx(0.5, rel=0.02)


positions = st.tuples(
    st.none() | st.floats(-90, 90) | st.sampled_from([0.0, 91.0, math.nan, math.inf]),
    st.none() | st.floats(-180, 180) | st.sampled_from([0.0, -181.0, math.nan]),
)


@given(st.lists(positions, max_size=40))
def test_a_map_of_any_positions_lies_within_its_frame(
    there: list[tuple[float | None, float | None]],
) -> None:
    picture = track(there)
    known = [
        (lat, lon)
        for lat, lon in there
        if lat is not None and lon is not None and abs(lat) <= 90 and abs(lon) <= 180
        and (lat, lon) != (0, 0)
    ]  # fmt: skip
    assert (picture is not None) == (len(known) > 1)
    if picture is not None:
        box = [float(each) for each in ET.fromstring(picture.svg).get("viewBox", "").split()]
        for points in paths(picture.svg):
            assert all(-1 <= x <= box[2] + 1 and -1 <= y <= box[3] + 1 for x, y in points)


def test_a_gap_in_a_track_is_no_line() -> None:
    there: list[tuple[float | None, float | None]] = [(47.0, 9.0), (47.001, 9.0)]
    whole, cut = track(there * 2), track([*there, (None, None), *there])
    assert whole is not None
    assert cut is not None
    assert ET.fromstring(whole.svg)[0].get("d", "").count("M") == 1
    assert ET.fromstring(cut.svg)[0].get("d", "").count("M") == 2


def test_a_pulse_says_its_readings_and_leaves_gaps() -> None:
    start = datetime.fromisoformat("2024-06-01T07:00")
    beats = [(start + timedelta(seconds=10 * n), 100.0 + n if n < 30 or n > 60 else None)
             for n in range(91)]  # fmt: skip
    picture = pulse(beats)
    assert picture is not None
    assert picture.description == "Heart rate from 100 to 190 beats per minute."
    told = [each.text or "" for each in ET.fromstring(picture.svg).iter("title")]
    assert told[0].endswith(": 101 bpm") or told[0].endswith(": 100 bpm")
    (line,) = (each for each in ET.fromstring(picture.svg) if each.get("stroke") == "var(--second)")
    assert line.get("d", "").count("M") == 2
    for nothing in ([], beats[:1], [(start, 100.0)] * 5, [(at, None) for at, _ in beats]):
        assert pulse(nothing) is None


def test_a_night_is_as_long_as_its_stages() -> None:
    picture = stages([60, 240, 120, 0, 60])
    assert picture is not None
    assert [key.label for key in picture.legend] == [
        *("Deep 1 h 0 min", "Core 4 h 0 min", "REM 2 h 0 min", "Awake 1 h 0 min"),
    ]
    begins = [points[0][0] for points in paths(picture.svg)]
    assert begins == pytest.approx([0, WIDTH / 8, WIDTH * 5 / 8, WIDTH * 7 / 8], abs=0.1)
    assert stages([0, None, 0, 400, 0]) is None


def test_the_hours_of_a_day_end_at_midnight(lived: House) -> None:
    with published(lived.home.published) as tables:
        events = events_of(tables, [DAY])
    picture = hours(events)
    assert picture is not None
    for points in paths(picture.svg):
        assert all(0 <= x <= WIDTH for x, _ in points)
    told = [each.text or "" for each in ET.fromstring(picture.svg).iter("title")]
    assert "Fri 23:10 –06:40 Slept 7 h 5 min" in told
    assert hours([each for each in events if each.local_at is None]) is None


# --------------------------------------------------------------------------------------- browser


@pytest.mark.slow
def test_it_reads_well_on_every_screen_and_asks_for_nothing(lived: House, tmp_path: Path) -> None:
    pages = {
        "day-file": day_page(lived, DAY),
        "day-site": day_page(lived, DAY, in_site=True),
        "day-same": same_day_page(lived, DAY),
        "day-raw": raw_page(lived, f"{LAKE_FILE}#1"),
        "day-empty": day_page(lived, date(2022, 3, 3), in_site=True),
    }
    with chromium() as browser:
        for name, text in pages.items():
            file = tmp_path / f"{name}.html"
            file.write_text(text, encoding="utf-8")
            for width, scheme in ((390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")):
                context = browser.new_context(
                    viewport={"width": width, "height": 900}, color_scheme=scheme
                )
                page = context.new_page()
                asked: list[str] = []
                said: list[str] = []
                page.on("request", lambda each, asked=asked: asked.append(each.url))
                page.on("console", lambda each, said=said: said.append(each.text))
                page.on("pageerror", lambda each, said=said: said.append(str(each)))
                page.goto(file.as_uri())
                wide = page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (name, width)
                _picture(page, f"{name}-{width}-{scheme}")
                page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
                assert page.evaluate("document.documentElement.scrollWidth") <= width
                assert asked == [file.as_uri()]
                assert said == []
                context.close()
        page = browser.new_context(viewport={"width": 794, "height": 1123}).new_page()
        page.goto((tmp_path / "day-file.html").as_uri())
        page.emulate_media(media="print")
        _picture(page, "day-printed")
        assert page.locator("details:visible").count() == 0


def _picture(page: Any, name: str) -> None:
    """For whoever wants to look."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/{name}.png", full_page=True)
