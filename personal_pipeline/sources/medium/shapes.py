"""The shapes in which Medium provides figures, and the rows in each.

A shape is recognized by a field that only it has, wherever it is in a response. A reader takes the
object (or list) with that field, and yields a row for every record in it; an invalid record, such
as a story without id or a time that is not a number, does not stop the others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeAlias

from personal_pipeline.ingest.contract import DropRow, Record, Unreadable

Found: TypeAlias = Iterator[DropRow | Unreadable]

# Medium opened in 2012. A time in seconds rather than milliseconds would be before that.
_EARLIEST = datetime(2012, 1, 1, tzinfo=UTC).timestamp() * 1000
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000


class _Impossible(Exception):
    """An invalid record. The message names the field and what was expected, without values."""


@dataclass(frozen=True, slots=True)
class Capture:
    """What is known about a response besides its content: its UTC day, and whether it is
    complete."""

    day: date
    complete: bool


def errors_in(value: object) -> Unreadable | None:
    """The errors that GraphQL returned with its data, or instead of it."""
    errors = value.get("errors") if isinstance(value, dict) else None
    if isinstance(errors, list) and any(isinstance(error, dict) for error in errors):
        return Unreadable("errors: Medium could not answer this in full; save it again", errors)
    return None


def _object(value: object, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _Impossible(f"{name}: expected a JSON object")
    return value


def _identifier(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise _Impossible(f"{name}: expected the id of a story")
    return value


def _instant(record: dict[str, Any], name: str) -> datetime:
    value = record.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not _EARLIEST <= value < _LATEST
    ):
        raise _Impossible(f"{name}: expected a time in milliseconds since 1970")
    return datetime.fromtimestamp(value // 1000, UTC)


def _check_counts(record: dict[str, Any], *names: str) -> None:
    for name in names:
        value = record.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise _Impossible(f"{name}: expected a count")


def _check_published(record: dict[str, Any]) -> None:
    if record.get("firstPublishedAt"):  # null and 0: never published
        _instant(record, "firstPublishedAt")


def _each(items: object, name: str, read: Callable[[dict[str, Any]], DropRow]) -> Found:
    """Read every object of a list; an unreadable one does not stop the others."""
    if items is None:
        return
    if not isinstance(items, list):
        yield Unreadable(f"{name}: expected a list", items)
        return
    for item in items:
        try:
            yield read(_object(item, name))
        except _Impossible as impossible:
            yield Unreadable(str(impossible), item)


def _row(stream: str, day: date, key: str, record: Record) -> DropRow:
    return DropRow(stream, day.replace(day=1), key, record)


def _lifetime(shape: str, story_id: str, captured: date, post: dict[str, Any]) -> DropRow:
    key = f"{story_id}@{captured}" + ("" if shape == "posts_connection" else f"@{shape}")
    record = {"story_id": story_id, "captured_on": str(captured), "shape": shape, "post": post}
    return _row("story_stats", captured, key, record)


def _stories(user: dict[str, Any], capture: Capture) -> Found:
    """``UserLifetimeStoryStatsPostsQuery``: a page of stories with their totals."""
    connection = user["postsConnection"]
    if connection is None:
        return

    def story(edge: dict[str, Any]) -> DropRow:
        node = _object(edge.get("node"), "node")
        story_id = _identifier(node, "id")
        _check_published(node)
        totals = _object(node.get("totalStats"), "totalStats")
        _check_counts(totals, "presentations", "views", "reads")
        earnings = node.get("earnings")
        total = _object(earnings, "earnings").get("total") if earnings is not None else None
        if total is not None:
            _check_money(_object(total, "earnings.total"))
        return _lifetime("posts_connection", story_id, capture.day, node)

    if isinstance(connection, dict):
        yield from _each(connection.get("edges"), "edges", story)
    else:
        yield Unreadable("postsConnection: expected a JSON object", connection)


def _check_money(total: dict[str, Any]) -> None:
    for name in ("units", "nanos"):
        value = total.get(name)
        # a 64-bit number may be given as text
        digits = isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value) is not None
        if not (value is None or digits or type(value) is int):
            raise _Impossible(f"earnings.total.{name}: expected a whole number")


def _story_days(post: dict[str, Any], _capture: Capture) -> Found:
    """``StatsPostChart``: views and earnings of one story, per UTC day."""
    try:
        story_id = _identifier(post, "id")
    except _Impossible as impossible:
        yield Unreadable(str(impossible), post)
        return
    earnings = post.get("earnings")
    if not isinstance(earnings, dict):
        earnings = {}
    committed = _committed(earnings)
    for part, name, entries in (
        ("stats", "dailyStats", post.get("dailyStats")),
        ("earnings", "dailyEarnings", earnings.get("dailyEarnings")),
    ):
        yield from _each(entries, name, partial(_story_day, story_id, committed, part, set()))


def _story_day(
    story_id: str, committed: date | None, part: str, taken: set[date], entry: dict[str, Any]
) -> DropRow:
    day = _instant(entry, "periodStartedAt").date()
    _check_counts(entry, "views", "internalReferrerViews", "memberTtr")
    if part == "earnings" and type(entry.get("amount")) not in (int, float):
        raise _Impossible("amount: expected cents")
    if day in taken:
        raise _Impossible("periodStartedAt: a second entry of the same day")
    taken.add(day)
    record: Record = {
        "story_id": story_id,
        "day": str(day),
        "stats": None,
        "earnings": None,
        "final": None if committed is None else day <= committed,
    }
    return _row("story_stats_daily", day, f"{story_id}@{day}", {**record, part: entry})


def _committed(earnings: dict[str, Any]) -> date | None:
    """The last day whose earnings are final; None when the response does not say."""
    try:
        return _instant(earnings, "lastCommittedPeriodStartedAt").date()
    except _Impossible:
        return None


def _account(user: dict[str, Any], capture: Capture) -> Found:
    """``UserMonthlyStoryStatsTimeseriesQuery``: all stories combined, per day and in total."""
    stats = user["postsAggregateTimeseriesStats"]
    if not isinstance(stats, dict):
        if stats is not None:
            yield Unreadable("postsAggregateTimeseriesStats: expected a JSON object", stats)
        return

    def point_of_day(point: dict[str, Any]) -> DropRow:
        day = _instant(point, "timestamp").date()
        total = _object(_object(point.get("stats"), "stats").get("total"), "stats.total")
        _check_counts(total, "viewers", "readers")
        return _row("account_stats_daily", day, str(day), {"day": str(day), "point": point})

    points = list(_each(stats.get("points"), "points", point_of_day))
    yield from points
    totals = stats.get("totalStats")
    if totals is None:
        return
    if not isinstance(totals, dict):
        yield Unreadable("totalStats: expected a JSON object", totals)
        return
    days = sorted(point.record["day"] for point in points if isinstance(point, DropRow))
    # the response says which days were requested only through its points
    if not capture.complete or not days or len(days) < len(points):
        yield Unreadable("totalStats: the days that it sums up are not all readable", totals)
        return
    record = {
        "shape": "range",
        "starts_on": days[0],
        "ends_on": days[-1],
        "totals": totals,
        "followers": None,
        "username": user.get("username"),
    }
    key = f"{days[0]}..{days[-1]}"
    yield _row("account_stats", date.fromisoformat(days[0]), key, record)


def _followers(user: dict[str, Any], capture: Capture) -> Found:
    """The old ``GET /me?format=json``: the current number of followers."""
    social = user["socialStats"]
    count = social["usersFollowedByCount"]
    if type(count) is not int or count < 0:
        yield Unreadable("usersFollowedByCount: expected a count", social)
        return
    day = str(capture.day)
    record = {
        "shape": "followers",
        "starts_on": day,
        "ends_on": day,
        "totals": None,
        "followers": count,
        "username": user.get("username"),
    }
    yield _row("account_stats", capture.day, f"followers@{day}", record)


def _referrers(post: dict[str, Any], capture: Capture) -> Found:
    """``StatsPostReferrersContainer``: where the readers of one story came from, in total."""
    story = {name: post[name] for name in ("id", "title", "totalStats") if name in post}
    names: set[str] = set()

    def referrer(entry: dict[str, Any]) -> DropRow:
        story_id = _identifier(post if post.get("id") else {"id": entry.get("postId")}, "id")
        _check_counts(entry, "totalCount")
        kind, identifier = entry.get("type"), entry.get("sourceIdentifier")
        if not isinstance(kind, str):
            raise _Impossible("type: expected the kind of a referrer")
        name = first = f"{kind}:{identifier or ''}"
        number = 1
        while name in names:
            number += 1
            name = f"{first}#{number}"
        names.add(name)
        record = {
            "story_id": story_id,
            "captured_on": str(capture.day),
            "referrer": name,
            "post": story,
            "entry": entry,
        }
        key = f"{story_id}@{capture.day}@{name}"
        return _row("story_referrers", capture.day, key, record)

    yield from _each(post["referrers"], "referrers", referrer)


def _bundle(place: dict[str, Any], capture: Capture) -> Found:
    """``StatsPostFunnelQuery`` and ``StatsPostImpactQuery``: people, not views, for one story."""
    bundle = place["postStatsTotalBundle"]
    if bundle is None:
        return
    try:
        counts = _object(bundle, "postStatsTotalBundle")
        post = next(
            (
                post
                for post in (counts.get("post"), place, place.get("post"))
                if isinstance(post, dict) and post.get("id")
            ),
            {},
        )
        story_id = _identifier(post, "id")
        _check_counts(counts, "readersCount", "viewersCount", "presentationCount")
    except _Impossible as impossible:
        yield Unreadable(str(impossible), bundle)
        return
    shape = "funnel" if "readersCount" in counts or "viewersCount" in counts else "impact"
    record = {"id": story_id, "title": post.get("title"), "postStatsTotalBundle": counts}
    yield _lifetime(shape, story_id, capture.day, record)


def _post_stats(items: list[Any], capture: Capture) -> Found:
    """The old ``GET /me/stats?format=json``: every story with its totals."""

    def story(post: dict[str, Any]) -> DropRow:
        story_id = _identifier(post, "postId")
        _check_published(post)
        _check_counts(post, "views", "reads", "claps", "upvotes", "internalReferrerViews")
        return _lifetime("post_stat", story_id, capture.day, post)

    yield from _each(items, "value", story)


def _publication_hours(items: list[Any], _capture: Capture) -> Found:
    """The old ``GET /{publication}/stats/views|visitors``: one point per hour."""

    def point_of_hour(point: dict[str, Any]) -> DropRow:
        hour = _instant(point, "timeWindowStart")
        _check_counts(point, "views", "ttrMs", "dailyUniqueVisitors")
        measure = "visitors" if "dailyUniqueVisitors" in point else "views"
        text = hour.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        record = {"hour": text, "measure": measure, "point": point}
        return _row("publication_stats_hourly", hour.date(), f"{measure}@{text}", record)

    yield from _each(items, "points", point_of_hour)


def _monthly_earnings(payload: dict[str, Any], _capture: Capture) -> Found:
    """The old ``GET /me/partner/dashboard?format=json``: a story's earnings in a month."""

    def amount_of_story(amount: dict[str, Any]) -> DropRow:
        story_id = _identifier(_object(amount.get("post"), "post"), "id")
        day = _instant(amount, "periodStartedAt").date()
        if type(amount.get("amount")) not in (int, float):
            raise _Impossible("amount: expected cents")
        record = {"story_id": story_id, "period_starts_on": str(day), "amount": amount}
        return _row("story_earnings_monthly", day, f"{story_id}@{day}", record)

    yield from _each(payload["postAmounts"], "postAmounts", amount_of_story)


def shapes_of(name: str, value: object) -> Iterator[Callable[[Any, Capture], Found]]:
    """The shapes that a value has, by the fields that only they have."""
    if isinstance(value, dict):
        if "postsConnection" in value:
            yield _stories
        earnings = value.get("earnings")
        if "dailyStats" in value or (isinstance(earnings, dict) and "dailyEarnings" in earnings):
            yield _story_days
        if "postsAggregateTimeseriesStats" in value:
            yield _account
        if "referrers" in value:
            yield _referrers
        if "postStatsTotalBundle" in value:
            yield _bundle
        if "postAmounts" in value:
            yield _monthly_earnings
        social = value.get("socialStats")
        # other people have this too, under other names
        if name == "user" and isinstance(social, dict) and "usersFollowedByCount" in social:
            yield _followers
    elif isinstance(value, list):
        items = [item for item in value if isinstance(item, dict)]
        if any(
            item.get("type") == "PostStat" or {"postId", "reads"} <= item.keys() for item in items
        ):
            yield _post_stats
        elif any("timeWindowStart" in item for item in items):
            yield _publication_hours
