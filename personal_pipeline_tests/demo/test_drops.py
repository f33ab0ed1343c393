"""The files that were exported by hand: in the formats of the services, and of one story."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter, defaultdict
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from lxml import html

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.medium_format import GUARD


def _named(drops: list[Path], pattern: str) -> list[Path]:
    return [path for path in drops if re.fullmatch(pattern, path.name)]


def _day(path: Path) -> date:
    found = re.search(r"(?<!\d)\d{4}-?\d{2}-?\d{2}(?!\d)", path.name)
    assert found is not None
    return date.fromisoformat(found.group())


def _utc_day(milliseconds: int) -> date:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date()


def test_modest_in_number_and_size(drops: list[Path]) -> None:
    assert len(drops) <= 220
    assert sum(path.stat().st_size for path in drops) < 13_000_000
    assert len({path.name for path in drops}) == len(drops)


def test_names_and_file_times_tell_the_capture(drops: list[Path]) -> None:
    times = [path.stat().st_mtime for path in drops]
    assert times == sorted(times)
    for path in drops:
        if path.name not in ("holiday.txt", "categories.yaml", "export.zip"):
            assert datetime.fromtimestamp(path.stat().st_mtime, UTC).date() == _day(path)


def test_the_same_life_writes_the_same_bytes(tmp_path: Path) -> None:
    one = write_drops(invent(1, 5, date(2026, 11, 20)), tmp_path / "one")
    two = write_drops(invent(1, 5, date(2026, 11, 20)), tmp_path / "two")
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


# --- Medium ---------------------------------------------------------------------------------------


def _charts(drops: list[Path]) -> list[dict[str, Any]]:
    """All posts of all captured charts, oldest capture first."""
    return [
        answer["data"]["post"]
        for path in _named(drops, r"medium-story-days-.*\.json")
        for answer in json.loads(path.read_bytes())
    ]


def test_daily_charts_hold_every_view_and_cent(drops: list[Path], life: Life) -> None:
    views: dict[tuple[str, date], int] = {}
    cents: dict[tuple[str, date], int] = {}
    for post in _charts(drops):
        for each in post["dailyStats"]:
            views[post["id"], _utc_day(each["periodStartedAt"])] = each["views"]
        for each in post["earnings"]["dailyEarnings"]:
            cents[post["id"], _utc_day(each["periodStartedAt"])] = each["amount"]

    for story in life.stories:
        told = {each.day: each.views for each in story.days if each.views}
        assert {day: views.get((story.story_id, day)) for day in told} == told
    # the newest capture of every day, and the newest lifetime totals, are one and the same
    by_story: Counter[str] = Counter()
    earned: Counter[str] = Counter()
    for (story_id, _), count in views.items():
        by_story[story_id] += count
    for (story_id, _), amount in cents.items():
        earned[story_id] += amount
    nodes = _lifetime_nodes(drops)[max(_lifetime_nodes(drops))]
    assert {node["id"] for node in nodes} == {story.story_id for story in life.stories}
    for node in nodes:
        assert node["totalStats"]["views"] == by_story[node["id"]]
        total = node["earnings"]["total"]
        assert total["units"] * 100 + total["nanos"] // 10_000_000 == earned[node["id"]]


def test_the_last_days_of_earnings_are_estimates_until_committed(drops: list[Path]) -> None:
    changed = 0
    seen: dict[tuple[str, int], int] = {}
    final: set[tuple[str, int]] = set()
    for post in _charts(drops):
        for each in post["earnings"]["dailyEarnings"]:
            place = (post["id"], each["periodStartedAt"])
            if place in seen and seen[place] != each["amount"]:
                assert place not in final
                changed += 1
            seen[place] = each["amount"]
            if each["periodStartedAt"] <= post["earnings"]["lastCommittedPeriodStartedAt"]:
                final.add(place)
    assert changed > 100


def _lifetime_nodes(drops: list[Path]) -> dict[date, list[dict[str, Any]]]:
    nodes: dict[date, list[dict[str, Any]]] = defaultdict(list)
    for path in _named(drops, r"medium-stories-.*-page-\d+\.json"):
        (answer,) = json.loads(path.read_bytes())
        connection = answer["data"]["user"]["postsConnection"]
        assert 1 <= len(connection["edges"]) <= 25
        more = connection["pageInfo"]["hasNextPage"]
        assert (connection["pageInfo"]["endCursor"] is not None) == more
        nodes[_day(path)] += [edge["node"] for edge in connection["edges"]]
    return nodes


def test_lifetime_totals_grow(drops: list[Path]) -> None:
    before: dict[str, int] = {}
    for _, nodes in sorted(_lifetime_nodes(drops).items()):
        published = [node["firstPublishedAt"] for node in nodes]
        assert published == sorted(published, reverse=True)
        for node in nodes:
            stats = node["totalStats"]
            assert stats["views"] >= before.get(node["id"], 0)
            before[node["id"]] = stats["views"]
            assert stats["presentations"] is None or stats["presentations"] >= stats["views"]
    newest = max(_lifetime_nodes(drops).items())[1]
    assert any(node["totalStats"]["presentations"] is None for node in newest)


def test_the_first_captures_are_of_the_old_shape(drops: list[Path], life: Life) -> None:
    files = _named(drops, r"me-stats-.*\.json")
    assert len(files) == 3
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(GUARD)
        rows = json.loads(text.removeprefix(GUARD))["payload"]["value"]
        known = [each for each in life.stories if each.published_at.date() < _day(path)]
        assert [row["postId"] for row in rows] == [each.story_id for each in reversed(known)]
        assert all(row["type"] == "PostStat" for row in rows)


def test_account_series_cover_every_day_once_a_month(drops: list[Path], life: Life) -> None:
    points: list[date] = []
    for path in _named(drops, r"medium-account-.*\.json"):
        (answer,) = json.loads(path.read_bytes())
        series = answer["data"]["user"]["postsAggregateTimeseriesStats"]
        days = [_utc_day(point["timestamp"]) for point in series["points"]]
        assert len({day.replace(day=1) for day in days}) == 1
        assert series["totalStats"]["viewers"] == sum(
            point["stats"]["total"]["viewers"] for point in series["points"]
        )
        points += days
    assert points == [each.day for each in life.account_days]


def test_referrers_add_up_to_the_views(drops: list[Path]) -> None:
    (*_, newest) = _named(drops, r"medium-referrers-.*\.json")
    answers = json.loads(newest.read_bytes())
    assert len(answers) == 15
    for answer in answers:
        post = answer["data"]["post"]
        total = sum(each["totalCount"] for each in post["referrers"])
        assert total == post["totalStats"]["views"]


def test_account_exports_hold_stories_drafts_and_responses(drops: list[Path], life: Life) -> None:
    old, new = _named(drops, r"medium-export-.*\.zip")
    assert (_day(new) - _day(old)).days > 300
    for path in (old, new):
        with zipfile.ZipFile(path) as export:
            assert export.testzip() is None
            names = export.namelist()
            posts = [name for name in names if name.startswith("posts/")]
            drafts = [name for name in posts if name.startswith("posts/draft_")]
            known = [each for each in life.stories if each.published_at.date() < _day(path)]
            for story in known:
                (name,) = [each for each in posts if each.endswith(f"-{story.story_id}.html")]
                page = html.fromstring(export.read(name))
                assert page.xpath("string(//h1[@class='p-name'])") == story.title
                (time,) = page.xpath("//time[@class='dt-published']/@datetime")
                published = datetime.fromisoformat(time)
                assert abs((published - story.published_at).total_seconds()) < 0.001
                assert page.xpath("//h3[contains(@class, 'graf--title')]")
            responses = [each for each in life.responses if each.published_at.date() < _day(path)]
            assert len(posts) == len(known) + len(drafts) + len(responses)
            for name in drafts:
                assert b"dt-published" not in export.read(name)
            assert life.writer.user_id.encode() in export.read("profile/profile.html")


# --- Kit ------------------------------------------------------------------------------------------


def test_csv_exports_list_the_confirmed(drops: list[Path], life: Life) -> None:
    files = _named(drops, r"kit-confirmed-subscribers-.*\.csv")
    assert len(files) > 15
    for path in files:
        content = path.read_bytes()
        assert content.startswith(b"\xef\xbb\xbf")
        made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))
        active = [
            each.email
            for each in life.subscribers
            if each.created_at < made_at and each.state(made_at) == "active"
        ]
        assert [row["email"] for row in rows] == active
    headers = [path.read_text(encoding="utf-8-sig").partition("\n")[0] for path in files]
    assert "found_via" not in headers[0]
    assert headers[-1] == headers[0] + ",found_via"
    newest = csv.DictReader(files[-1].read_text(encoding="utf-8-sig").splitlines())
    tags = {row["tags"] for row in newest}
    assert "Medium, Customer" in tags


def test_json_exports_of_two_ages(drops: list[Path], life: Life) -> None:
    (v3,) = _named(drops, r"convertkit-subscribers-.*\.json")
    pages = json.loads(v3.read_bytes())
    assert [page["page"] for page in pages] == list(range(1, pages[0]["total_pages"] + 1))
    people = [each for page in pages for each in page["subscribers"]]
    assert len(people) == pages[0]["total_subscribers"]
    for path in _named(drops, r"kit-subscribers-all-.*\.json"):
        pages = json.loads(path.read_bytes())
        assert [page["pagination"]["has_next_page"] for page in pages][-1] is False
        made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        states = Counter(each["state"] for page in pages for each in page["subscribers"])
        assert states == Counter(
            each.state(made_at) for each in life.subscribers if each.created_at < made_at
        )


def test_one_export_came_late_one_twice_and_one_file_is_nothing(drops: list[Path]) -> None:
    exports = [path for path in drops if "subscribers" in path.name]
    months = Counter(_day(path).replace(day=1) for path in exports if "(1)" not in path.name)
    first, last = min(months), max(months)
    every_month = (last.year - first.year) * 12 + last.month - first.month + 1
    assert len(months) == every_month - 1
    assert sorted(months.values())[-2:] == [1, 2]
    (again,) = _named(drops, r".* \(1\)\.csv")
    original = again.with_name(again.name.replace(" (1)", ""))
    assert again.read_bytes() == original.read_bytes()
    assert len(_named(drops, r"holiday\.txt")) == 1
