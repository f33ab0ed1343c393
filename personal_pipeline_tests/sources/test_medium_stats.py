"""Medium's captured statistics: every shape, several in a file, and what bad input gets."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow, Unreadable, UnreadableFile
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources.medium import MEDIUM
from personal_pipeline.sources.medium.stats import STATS_CAPTURE, read_stats, recognise_stats

GUARD = "])}while(1);</x>"
CAPTURED = datetime(2026, 11, 3, 8, 30, tzinfo=UTC)

Save = Callable[..., DropFile]


def ms(day: str) -> int:
    return int(datetime.fromisoformat(f"{day}T00:00:00+00:00").timestamp()) * 1000


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save(content: object, name: str = "stats.json") -> DropFile:
        path = tmp_path / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))
        return DropFile(path, name, CAPTURED)

    return save


def read(file: DropFile) -> tuple[list[DropRow], list[Unreadable]]:
    claim = recognise_stats(file)
    assert claim is not None
    found = list(read_stats(file))
    streams = {stream.name for stream in STATS_CAPTURE.streams}
    rows = [item for item in found if isinstance(item, DropRow)]
    assert all(row.stream in streams and row.month.day == 1 for row in rows)
    json.dumps([row.record for row in rows], allow_nan=False)
    return rows, [item for item in found if isinstance(item, Unreadable)]


def of(stream: str, rows: list[DropRow]) -> dict[str, dict[str, Any]]:
    return {row.key: row.record for row in rows if row.stream == stream}


def node(story_id: str = "0123456789ab", **changes: Any) -> dict[str, Any]:
    return {
        "id": story_id,
        "title": "On Rain",
        "firstPublishedAt": ms("2026-10-02") + 3_600_000,
        "readingTime": 4.2,
        "isLocked": True,
        "totalStats": {"presentations": 900, "views": 100, "reads": 40},
        "earnings": {"total": {"currencyCode": "USD", "units": 3, "nanos": 250_000_000}},
        "creator": {"id": "aa", "username": "ann", "name": "Ann"},
    } | changes


def stories(*nodes: Any) -> dict[str, Any]:
    edges = [{"node": each} for each in nodes]
    page = {"endCursor": "x", "hasNextPage": False}
    return {"data": {"user": {"postsConnection": {"edges": edges, "pageInfo": page}}}}


def chart(
    story_id: str = "0123456789ab", *, days: list[Any], earned: list[Any], committed: Any
) -> dict[str, Any]:
    earnings = {"dailyEarnings": earned, "lastCommittedPeriodStartedAt": committed}
    return {"data": {"post": {"id": story_id, "dailyStats": days, "earnings": earnings}}}


def views(day: str, count: int = 5) -> dict[str, Any]:
    return {
        "periodStartedAt": ms(day),
        "views": count,
        "internalReferrerViews": 2,
        "memberTtr": 61,
    }


def earned(day: str, cents: int = 12) -> dict[str, Any]:
    start = ms(day)
    return {"periodStartedAt": start, "periodEndedAt": start + 86_400_000, "amount": cents}


def timeseries(*days: str, totals: Any = None) -> dict[str, Any]:
    points = [
        {"timestamp": ms(day), "stats": {"total": {"viewers": 9, "readers": 4}}} for day in days
    ]
    stats = {
        "__typename": "AggregatePostTimeseriesStats",
        "totalStats": totals
        or {
            "presentations": 70,
            "viewers": 18,
            "readers": 8,
            "netFollowersGained": -1,
            "netSubscribersGained": 2,
        },
        "points": points,
    }
    return {"data": {"user": {"id": "aa", "postsAggregateTimeseriesStats": stats}}}


# Every shape


@pytest.mark.parametrize("wrapped", [True, False], ids=["array", "object"])
def test_lifetime_totals_of_stories(save: Save, wrapped: bool) -> None:
    old = node("ba9876543210", totalStats={"presentations": None, "views": 7, "reads": 1})
    answer = stories(node(), old | {"earnings": None})
    rows, bad = read(save([answer] if wrapped else answer))
    assert not bad
    assert of("story_stats", rows) == {
        "0123456789ab@2026-11-03": {
            "story_id": "0123456789ab",
            "captured_on": "2026-11-03",
            "shape": "posts_connection",
            "post": node(),
        },
        "ba9876543210@2026-11-03": {
            "story_id": "ba9876543210",
            "captured_on": "2026-11-03",
            "shape": "posts_connection",
            "post": old | {"earnings": None},
        },
    }
    assert {row.month for row in rows} == {date(2026, 11, 1)}


def test_views_and_earnings_of_a_story_meet_on_their_day(save: Save) -> None:
    rows, bad = read(
        save(
            chart(
                days=[views("2026-09-30"), views("2026-10-01")],
                earned=[earned("2026-10-01"), earned("2026-10-02", 3)],
                committed=ms("2026-10-01"),
            )
        )
    )
    assert not bad
    days = of("story_stats_daily", rows)
    assert days["0123456789ab@2026-09-30"] == {
        "story_id": "0123456789ab",
        "day": "2026-09-30",
        "stats": views("2026-09-30"),
        "earnings": None,
        "final": True,
    }
    assert days["0123456789ab@2026-10-01"]["earnings"] == earned("2026-10-01")
    assert days["0123456789ab@2026-10-01"]["final"] is True
    assert days["0123456789ab@2026-10-02"] == {
        "story_id": "0123456789ab",
        "day": "2026-10-02",
        "stats": None,
        "earnings": earned("2026-10-02", 3),
        "final": False,
    }
    assert {row.month for row in rows} == {date(2026, 9, 1), date(2026, 10, 1)}


@pytest.mark.parametrize("committed", [None, 0, "soon"])
def test_earnings_are_of_unknown_standing_when_the_answer_does_not_say(
    save: Save, committed: object
) -> None:
    rows, bad = read(save(chart(days=[views("2026-10-01")], earned=[], committed=committed)))
    assert not bad
    assert rows[0].record["final"] is None


def test_posts_may_stand_in_a_list(save: Save) -> None:
    one, two = (
        chart(story, days=[views("2026-10-01")], earned=[], committed=None)["data"]["post"]
        for story in ("aaaaaaaaaaaa", "bbbbbbbbbbbb")
    )
    rows, bad = read(save({"data": {"post": [one, two]}}))
    assert not bad
    assert of("story_stats_daily", rows).keys() == {
        "aaaaaaaaaaaa@2026-10-01",
        "bbbbbbbbbbbb@2026-10-01",
    }


def test_all_stories_together_by_day_and_in_total(save: Save) -> None:
    rows, bad = read(save([timeseries("2026-10-01", "2026-10-02", "2026-10-03")]))
    assert not bad
    assert of("account_stats_daily", rows)["2026-10-02"] == {
        "day": "2026-10-02",
        "point": {
            "timestamp": ms("2026-10-02"),
            "stats": {"total": {"viewers": 9, "readers": 4}},
        },
    }
    total = of("account_stats", rows)["2026-10-01..2026-10-03"]
    assert total["totals"]["netSubscribersGained"] == 2
    assert (total["shape"], total["followers"]) == ("range", None)
    assert {row.month for row in rows} == {date(2026, 10, 1)}


def test_referrers_of_a_story(save: Save) -> None:
    site = {"type": "SITE", "sourceIdentifier": "example.com", "totalCount": 4, "site": {}}
    direct = {"type": "DIRECT", "sourceIdentifier": None, "totalCount": 9}
    post = {"id": "0123456789ab", "title": "On Rain", "totalStats": {"views": 30}}
    rows, bad = read(
        save({"data": {"post": {**post, "referrers": [site, direct, {**site, "totalCount": 1}]}}})
    )
    assert not bad
    referrers = of("story_referrers", rows)
    assert referrers.keys() == {
        "0123456789ab@2026-11-03@SITE:example.com",
        "0123456789ab@2026-11-03@DIRECT:",
        "0123456789ab@2026-11-03@SITE:example.com#2",
    }
    assert referrers["0123456789ab@2026-11-03@SITE:example.com"] == {
        "story_id": "0123456789ab",
        "captured_on": "2026-11-03",
        "referrer": "SITE:example.com",
        "post": post,
        "entry": site,
    }


@pytest.mark.parametrize(
    "place",
    [
        lambda bundle: {"postStatsTotalBundle": {**bundle, "post": {"id": "0123456789ab"}}},
        lambda bundle: {"post": {"id": "0123456789ab", "postStatsTotalBundle": bundle}},
        lambda bundle: {"post": {"id": "0123456789ab"}, "postStatsTotalBundle": bundle},
    ],
    ids=["names its post", "inside its post", "beside its post"],
)
def test_funnel_and_impact_do_not_replace_each_other(
    save: Save, place: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    funnel = place({"readersCount": 3, "viewersCount": 8, "feedClickThroughRate": 0.1})
    impact = place({"followersGained": 1, "followersLost": 0, "netFollowerCount": 1})
    rows, bad = read(save([{"data": funnel}, {"data": impact}, stories(node())]))
    assert not bad
    totals = of("story_stats", rows)
    assert {record["shape"] for record in totals.values()} == {
        "funnel",
        "impact",
        "posts_connection",
    }
    bundle = totals["0123456789ab@2026-11-03@funnel"]["post"]["postStatsTotalBundle"]
    assert bundle["viewersCount"] == 8


def post_stat(story_id: str = "0123456789ab") -> dict[str, Any]:
    return {
        "postId": story_id,
        "slug": "on-rain",
        "title": "On Rain",
        "firstPublishedAt": ms("2021-05-01"),
        "views": 394,
        "reads": 67,
        "claps": 3,
        "upvotes": 2,
        "type": "PostStat",
    }


@pytest.mark.parametrize("guard", ["", GUARD])
def test_old_story_totals(save: Save, guard: str) -> None:
    body = {"success": True, "payload": {"value": [post_stat()], "paging": {"next": {"to": 1}}}}
    rows, bad = read(save(guard + json.dumps(body)))
    assert not bad
    assert of("story_stats", rows) == {
        "0123456789ab@2026-11-03@post_stat": {
            "story_id": "0123456789ab",
            "captured_on": "2026-11-03",
            "shape": "post_stat",
            "post": post_stat(),
        }
    }


def test_old_publication_statistics(save: Save) -> None:
    hour = ms("2021-05-01") + 3_600_000
    body = {
        "payload": {
            "value": [{"timeWindowStart": hour, "views": 2, "ttrMs": 9000}],
            "visitors": {"points": [{"timeWindowStart": hour, "dailyUniqueVisitors": 1}]},
        }
    }
    rows, bad = read(save(GUARD + json.dumps(body)))
    assert not bad
    assert of("publication_stats_hourly", rows).keys() == {
        "views@2021-05-01T01:00:00.000Z",
        "visitors@2021-05-01T01:00:00.000Z",
    }


def test_old_partner_dashboard(save: Save) -> None:
    amount = {
        "post": {"id": "0123456789ab", "title": "On Rain"},
        "amount": 1234,
        "periodStartedAt": ms("2023-02-01"),
    }
    rows, bad = read(
        save(GUARD + json.dumps({"payload": {"monthlyAmounts": [], "postAmounts": [amount]}}))
    )
    assert not bad
    assert of("story_earnings_monthly", rows) == {
        "0123456789ab@2023-02-01": {
            "story_id": "0123456789ab",
            "period_starts_on": "2023-02-01",
            "amount": amount,
        }
    }
    assert rows[0].month == date(2023, 2, 1)


def test_old_account_page_tells_the_followers(save: Save) -> None:
    user = {"username": "ann", "socialStats": {"usersFollowedByCount": 812}}
    rows, bad = read(save(GUARD + json.dumps({"payload": {"user": user}})))
    assert not bad
    assert of("account_stats", rows)["followers@2026-11-03"]["followers"] == 812


# Several captures in a file


ONE, TWO = stories(node("aaaaaaaaaaaa")), stories(node("bbbbbbbbbbbb"))


@pytest.mark.parametrize(
    "text",
    [
        json.dumps([ONE, TWO]),
        json.dumps([[ONE], [TWO]]),
        json.dumps(ONE) + "\n" + json.dumps(TWO) + "\n",
        json.dumps([ONE]) + json.dumps([TWO]),
        json.dumps(ONE, indent=2) + ",\n\n" + json.dumps(TWO, indent=2),
        GUARD + json.dumps(ONE) + "\r\n" + GUARD + json.dumps(TWO),
        "\ufeff" + json.dumps(ONE) + "\n" + json.dumps(TWO),
        json.dumps({"request": {"operationName": "x"}, "answers": [ONE, {"response": TWO}]}),
    ],
    ids=["array", "arrays", "lines", "joined", "pretty", "guards", "byte order mark", "wrapped"],
)
def test_several_answers_in_one_file(save: Save, text: str) -> None:
    rows, bad = read(save(text))
    assert not bad
    assert {row.record["story_id"] for row in rows} == {"aaaaaaaaaaaa", "bbbbbbbbbbbb"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_encodings_that_json_allows(save: Save, encoding: str) -> None:
    title = "Über den Regen"
    text = json.dumps(stories(node(title=title)), ensure_ascii=False)
    rows, bad = read(save(text.encode(encoding)))
    assert not bad
    assert rows[0].record["post"]["title"] == title


def test_later_answer_in_a_file_keeps_what_only_the_earlier_had(save: Save) -> None:
    first = chart(days=[views("2026-10-01", 5)], earned=[earned("2026-10-01")], committed=None)
    second = chart(days=[views("2026-10-01", 6)], earned=[], committed=ms("2026-10-05"))
    rows, _ = read(save([first, second]))
    assert [row.record for row in rows] == [
        {
            "story_id": "0123456789ab",
            "day": "2026-10-01",
            "stats": views("2026-10-01", 6),
            "earnings": earned("2026-10-01"),
            "final": True,
        }
    ]


# Bad input


@pytest.mark.parametrize(
    ("bad_node", "field"),
    [
        (node(id=None), "id"),
        ({key: value for key, value in node().items() if key != "id"}, "id"),
        (node(firstPublishedAt="yesterday"), "firstPublishedAt"),
        (node(firstPublishedAt=1_700_000_000), "firstPublishedAt"),
        (node(totalStats=None), "totalStats"),
        (node(totalStats={"views": "many"}), "views"),
        (node(totalStats={"views": -1}), "views"),
        (node(earnings={"total": {"units": "3.5", "nanos": 0}}), "earnings.total.units"),
        (None, "node"),
        ([], "node"),
    ],
)
def test_an_impossible_story_does_not_stop_the_others(
    save: Save, bad_node: Any, field: str
) -> None:
    good = [node(f"{number:012x}") for number in range(1000)]
    rows, bad = read(save(stories(*good[:500], bad_node, *good[500:])))
    assert len(rows) == 1000
    assert len(bad) == 1
    assert bad[0].reason.startswith(f"{field}: expected")
    assert bad[0].raw == {"node": bad_node}


@pytest.mark.parametrize(
    ("days", "earnings", "reason"),
    [
        ([{"periodStartedAt": "2026-10-02", "views": 1}], [], "periodStartedAt: expected"),
        ([{"views": 1}], [], "periodStartedAt: expected"),
        ([{"periodStartedAt": True}], [], "periodStartedAt: expected"),
        ([views("2026-10-01")], [], "periodStartedAt: a second"),
        ([], [{"periodStartedAt": ms("2026-10-01"), "amount": "12 cents"}], "amount: expected"),
        (["nothing"], [], "dailyStats: expected"),
    ],
)
def test_an_impossible_day_does_not_stop_the_others(
    save: Save, days: list[Any], earnings: list[Any], reason: str
) -> None:
    answer = chart(days=[views("2026-10-01"), *days], earned=earnings, committed=None)
    rows, bad = read(save(answer))
    assert of("story_stats_daily", rows).keys() == {"0123456789ab@2026-10-01"}
    assert [item.reason.startswith(reason) for item in bad] == [True]


def test_totals_are_kept_apart_when_their_days_are_not_known(save: Save) -> None:
    answer = timeseries("2026-10-01", "2026-10-02")
    points = answer["data"]["user"]["postsAggregateTimeseriesStats"]["points"]
    points[1]["timestamp"] = None
    rows, bad = read(save(answer))
    assert of("account_stats_daily", rows).keys() == {"2026-10-01"}
    assert not of("account_stats", rows)
    assert [item.reason.split(":")[0] for item in bad] == ["timestamp", "totalStats"]


def test_errors_beside_data_are_counted(save: Save) -> None:
    errors = [{"message": "secret text", "path": ["user"]}]
    rows, bad = read(save([{**stories(node()), "errors": errors}]))
    assert len(rows) == 1
    assert len(bad) == 1
    assert "secret" not in bad[0].reason


def test_every_cut_of_an_answer_gives_the_stories_before_the_cut(save: Save) -> None:
    nodes = [node(f"{number:012x}", title='A "cut" \\ [story] {') for number in range(4)]
    text = json.dumps([stories(*nodes)])
    edges = [json.dumps({"node": each}) for each in nodes]
    ends = [text.index(edge) + len(edge) for edge in edges]
    for cut in range(ends[0], len(text)):
        rows, bad = read(save(text[:cut]))
        assert [row.record["post"] for row in rows] == nodes[: sum(end <= cut for end in ends)]
        assert len(bad) == 1


def test_an_array_of_lines_of_which_one_is_cut(save: Save) -> None:
    text = f"[\n{json.dumps(ONE)},\n{json.dumps(stories(node()))[:90]}\n{json.dumps(TWO)}\n]\n"
    rows, bad = read(save(text))
    assert {row.record["story_id"] for row in rows} == {"aaaaaaaaaaaa", "bbbbbbbbbbbb"}
    assert len(bad) == 1


def test_a_cut_line_among_whole_ones(save: Save) -> None:
    three = json.dumps(stories(node("cccccccccccc"), node("dddddddddddd")))
    text = "\n".join([json.dumps(ONE), three[:-120], json.dumps(TWO)])
    rows, bad = read(save(text))
    assert {row.record["story_id"] for row in rows} == {
        "aaaaaaaaaaaa",
        "cccccccccccc",
        "bbbbbbbbbbbb",
    }
    assert len(bad) == 1


def test_totals_of_a_cut_range_are_not_taken(save: Save) -> None:
    text = json.dumps(timeseries("2026-10-01", "2026-10-02", "2026-10-03"))
    rows, bad = read(save(text[: text.rindex('{"timestamp"') + 20]))
    assert of("account_stats_daily", rows).keys() == {"2026-10-01", "2026-10-02"}
    assert not of("account_stats", rows)
    assert len(bad) == 2


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("<!DOCTYPE html><html><head><title>Medium</title>medium.com", "web page"),
        ('[{"errors":[{"message":"no"}],"data":null}]', "errors instead of figures"),
        ('[{"data":{"user":null}}]', "none of the known figures"),
        (GUARD + '{"success":false,"error":"not logged in"}', "none of the known figures"),
        (json.dumps(stories()), "empty"),
        (json.dumps(stories(node()))[:60], "truncated"),
        (GUARD + '{"payload": {', "truncated"),
    ],
    ids=["page", "errors", "logged out", "refused", "no stories", "cut early", "cut at once"],
)
def test_a_file_without_figures_is_unreadable_and_says_why(
    save: Save, content: str, says: str
) -> None:
    file = save(content)
    assert recognise_stats(file) is not None
    with pytest.raises(UnreadableFile, match=says):
        list(read_stats(file))


@pytest.mark.parametrize(
    "content",
    [
        {"subscribers": [{"id": 1, "email_address": "a@example.com", "fields": {"referrer": "x"}}]},
        [{"id": 1, "email_address": "a@example.com", "state": "active"}],
        {"total_subscribers": 1, "page": 1, "subscribers": []},
        {"errors": ["The access token is invalid"]},
        {"object": "list", "data": [{"id": "ch_1"}]},
        {"data": {"text": "dailyStats"}},
        {},
        [],
        "",
        "title,views\na,1\n",
        "<html>medium.com</html>",
        b"PK\x03\x04",
    ],
)
def test_other_files_are_left_to_others(save: Save, content: object) -> None:
    name = "page.html" if isinstance(content, str) and "<html" in content else "stats.json"
    assert recognise_stats(save(content, name)) is None


# Whatever the bytes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("data", "errors", "user", "post", "payload", "value", "points", "id"),
                    *("postsConnection", "edges", "node", "totalStats", "views", "earnings"),
                    *("total", "units", "dailyStats", "dailyEarnings", "periodStartedAt", "type"),
                    *("amount", "postsAggregateTimeseriesStats", "timestamp", "stats", "reads"),
                    *("referrers", "sourceIdentifier", "postStatsTotalBundle", "postAmounts"),
                    *("timeWindowStart", "socialStats", "usersFollowedByCount", "postId"),
                ]
            ),
            children,
            max_size=5,
        )
    ),
    max_leaves=25,
)

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def survives(file: DropFile) -> None:
    recognise_stats(file)
    with suppress(UnreadableFile):
        for item in read_stats(file):
            assert isinstance(item, DropRow | Unreadable)


@many
@given(content=st.binary(max_size=200))
def test_bytes_never_raise_anything_else(save: Save, content: bytes) -> None:
    survives(save(content))


@many
@given(value=json_values, cut=st.integers(0, 40))
def test_json_never_raises_anything_else(save: Save, value: object, cut: int) -> None:
    text = json.dumps(value)
    survives(save(GUARD + text))
    survives(save(text[: max(len(text) - cut, 0)]))


@many
@given(pieces=st.lists(st.sampled_from([*'[]{}",:\\\n1a', '{"a":', GUARD, "[{", "}]"])))
def test_broken_json_never_raises_anything_else(save: Save, pieces: list[str]) -> None:
    survives(save("".join(pieces)))


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "1" * 10_000, "[1e999, NaN]"])
def test_extreme_json_never_raises_anything_else(save: Save, text: str) -> None:
    survives(save(text))


# Through the inbox


def test_captures_add_to_each_other_in_the_lake(home: Home, save: Save) -> None:
    october = stories(node(totalStats={"views": 100, "reads": 40}))
    november = stories(node(totalStats={"views": 98, "reads": 40}))
    for name, content in (
        ("medium-2026-10-01.json", october),
        ("medium-2026-11-01.json", [november, timeseries("2026-10-30", "2026-11-01")]),
    ):
        taken = ingest_file(home, (MEDIUM,), save(content, name).path, CAPTURED)
        assert taken.receipt.problem is None
        assert taken.receipt.unreadable == 0
    (stream,) = (each for each in MEDIUM.drop_streams if each.name == "story_stats")
    lake = lake_of(home, "medium", stream)
    assert lake.read(date(2026, 10, 1)).keys() == {"0123456789ab@2026-10-01"}
    assert lake.read(date(2026, 11, 1)).keys() == {"0123456789ab@2026-11-01"}
