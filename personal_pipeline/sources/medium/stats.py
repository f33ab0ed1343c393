"""Medium's statistics: JSON that the logged-in statistics page loads, saved by hand.

The page calls ``POST /_/graphql``; the response is an array with one ``{"data": ...}``, or just
that object. Older files contain responses of ``GET /me/stats?format=json`` and related endpoints,
each behind the guard ``])}while(1);</x>``. Medium changes its queries without notice, so a figure
is found by the shape around it, wherever it is, and the part that contains it is kept verbatim.

One file may contain several responses: in an array, one per line, or simply concatenated. If two of
them cover the same thing, the later one wins, and keeps what only the earlier one had.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC

from personal_pipeline.ingest.contract import (
    Claim,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.sources.medium.answers import (
    GUARD,
    after_guard,
    decoded,
    read_answers,
    values_in,
)
from personal_pipeline.sources.medium.shapes import Capture, Found, errors_in, shapes_of

_SHAPES = re.compile(
    r'"(?:postsConnection|postsAggregateTimeseriesStats|dailyStats|dailyEarnings|sourceIdentifier'
    r'|postStatsTotalBundle|postAmounts|timeWindowStart|usersFollowedByCount)"\s*:'
    r'|"type"\s*:\s*"PostStat"'
)
_GRAPHQL = re.compile(
    r'\[?\s*\{\s*(?:"data"\s*:\s*(?:null|\{\s*"(?:user|post)\w*"\s*:)|"errors"\s*:\s*\[\s*\{)'
)


def recognise_stats(file: DropFile) -> Claim | None:
    """Whether the beginning of the file looks like a response from Medium's statistics."""
    try:
        text = decoded(file.head()).lstrip()
    except OSError:
        return None
    if text.startswith("<"):
        if file.name.lower().endswith(".json") and "medium.com" in text.lower():
            return Claim(0.3, "a web page of Medium where its JSON was expected")
        return None
    body = text[after_guard(text) :]
    if not body.startswith(("{", "[")):
        return None
    if _SHAPES.search(body):
        return Claim(0.95, "holds the fields of Medium's statistics")
    if text.startswith(GUARD):
        return Claim(0.9, "begins with the guard of Medium's JSON")
    if _GRAPHQL.match(body):
        return Claim(0.2, "looks like an answer of Medium's GraphQL")
    return None


def read_stats(file: DropFile) -> Found:
    """Rows of every statistic in the file, and what could not be read.

    Raises ``UnreadableFile`` when it is not JSON, or contains no Medium statistics.
    """
    text = decoded(file.content())
    if text.lstrip().startswith("<"):
        raise UnreadableFile(
            "Medium statistics: expected JSON, found a web page. Medium asked for a login or a "
            "check. Log in, open the statistics page again and save the answer of a `graphql` "
            "request."
        )
    captured = file.captured_at.astimezone(UTC).date()
    rows: dict[tuple[str, str], DropRow] = {}
    unreadable: list[Unreadable] = []
    refused = broken = seen = False
    for answer in read_answers(text):
        if isinstance(answer, Unreadable):
            broken = True
            unreadable.append(answer)
            continue
        capture = Capture(captured, answer.complete)
        for name, value in values_in(answer.value):
            if errors := errors_in(value):
                refused = True
                unreadable.append(errors)
            for read in shapes_of(name, value):
                seen = True
                for found in read(value, capture):
                    if isinstance(found, Unreadable):
                        unreadable.append(found)
                    else:
                        place = found.stream, found.key
                        rows[place] = _later(rows.get(place), found)
    if not rows and refused:
        raise UnreadableFile(
            "Medium statistics: the response has errors instead of figures. Log in to Medium, "
            "reload the statistics page and save the answer again."
        )
    if not rows and broken:
        raise UnreadableFile(
            "Medium statistics: this is not JSON, or it is truncated before the first complete "
            "record. Save the whole response again."
        )
    if not seen:
        raise UnreadableFile(
            "Medium statistics: the JSON has none of the known figures (stories, days, referrers, "
            "earnings). Log in, and save the answer of a `graphql` request of the statistics page; "
            "docs/sources/medium.md lists them."
        )
    if not rows and not unreadable:
        raise UnreadableFile(
            "Medium statistics: the answer is of the right kind, but empty. Log in, choose a month "
            "that has stories, wait until the figures show, and save the answer again."
        )
    yield from rows.values()
    yield from unreadable


def _later(earlier: DropRow | None, later: DropRow) -> DropRow:
    if earlier is None:
        return later
    told = {name: value for name, value in later.record.items() if value is not None}
    return replace(later, record={**earlier.record, **told})


STATS_CAPTURE = Drop(
    name="stats_capture",
    description=(
        "statistics captured from the Medium statistics page, as JSON: one answer or many in a file"
    ),
    how_to=(
        "1. Log in to Medium in a browser and open https://medium.com/me/stats\n"
        "2. Open the developer tools (F12), choose Network, filter for `graphql`, and reload the "
        "page. Scroll to the end of the list of stories: every 25 stories are one request.\n"
        "3. Look for the requests that name UserLifetimeStoryStatsPostsQuery (totals of every "
        "story) and UserMonthlyStoryStatsTimeseriesQuery (all stories by day; choose the month "
        "that has just ended). Copy each response, and paste one after the other into a file such "
        "as medium-stats-2026-11-01.json; the date is the day on which you saved it.\n"
        "4. For views and earnings by day, open the statistics of a story and copy the responses "
        "that name StatsPostChart and StatsPostReferrersContainer into the same file.\n"
        "5. Put the file into the inbox."
    ),
    recognise=recognise_stats,
    read=read_stats,
    streams=(
        DropStream(
            name="story_stats",
            description=(
                "One row is the lifetime totals of one story on the UTC day of the capture: "
                "presentations, views, reads, earnings. Medium revises counts down."
            ),
        ),
        DropStream(
            name="story_stats_daily",
            description=(
                "One row is one story on one UTC day: views, reading time of members in seconds, "
                "earnings in cents, and whether these are final. Filed under the month of the day."
            ),
        ),
        DropStream(
            name="account_stats_daily",
            description="One row is one UTC day of all stories together: viewers and readers.",
        ),
        DropStream(
            name="account_stats",
            description=(
                "One row is a range of UTC days, both ends included, of all stories together: "
                "presentations, viewers, readers, followers and subscribers gained; or, from old "
                "files, the number of followers on a day. Filed under the month of the first day."
            ),
        ),
        DropStream(
            name="story_referrers",
            description=(
                "One row is one referrer of one story on the UTC day of the capture, with the "
                "number of views that it brought since publication."
            ),
        ),
        DropStream(
            name="story_earnings_monthly",
            description=(
                "One row is what one story earned in one period, a month, of the partner program, "
                "in cents; from old files. Filed under the month in which the period began."
            ),
        ),
        DropStream(
            name="publication_stats_hourly",
            description=(
                "One row is one hour (UTC) of a publication: views, or unique visitors; from old "
                "files, which do not name the publication."
            ),
        ),
    ),
    monthly_on_day=1,
)
