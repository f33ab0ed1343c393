"""The life as Medium reports it: statistics captured from its pages, the feed, the account export.

Statistics are responses to the queries behind the stats pages (2026), and of the older address that
preceded them; periods are UTC days, instants are milliseconds since 1970-01-01 UTC, daily earnings
are cents. The feed is RSS 2.0, the account export is HTML with microformats.
"""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta
from email.utils import format_datetime
from html import escape
from typing import Any, TypeAlias

from personal_pipeline.demo.chance import at, stream
from personal_pipeline.demo.life import Life, Writer, address, slug
from personal_pipeline.demo.words import SENTENCES
from personal_pipeline.demo.writing import Draft, Response, Story, StoryDay

Object: TypeAlias = dict[str, Any]

PAGE = 25
FEED_ITEMS = 10
GUARD = "])}while(1);</x>"
"""The prefix that the older address put before its JSON, against cross-site script inclusion."""

UNCOMMITTED_DAYS = 3
"""Earnings of this many days before a capture are an estimate, and still change."""

PRESENTATIONS_SINCE = timedelta(days=30)
"""Medium counts presentations only for what came out after this much of the life."""


# --- captured statistics --------------------------------------------------------------------------


def lifetime_pages(life: Life, captured_on: date) -> list[Object]:
    """The responses of ``UserLifetimeStoryStatsPostsQuery``, most recent story first, 25 per page:
    totals since publication, as of the morning of ``captured_on``."""
    edges = [
        {"cursor": "", "node": _lifetime_node(life, story, captured_on)}
        for story in reversed(life.stories)
        if story.published_at < at(captured_on)
    ]
    pages = []
    for first in range(0, len(edges), PAGE):
        last = min(first + PAGE, len(edges))
        more = last < len(edges)
        connection = {
            "edges": edges[first:last],
            "pageInfo": {"endCursor": str(last) if more else None, "hasNextPage": more},
        }
        user = {"id": life.writer.user_id, "postsConnection": connection, "__typename": "User"}
        pages.append({"data": {"user": user}})
    return pages


def _lifetime_node(life: Life, story: Story, captured_on: date) -> Object:
    days = story.before(captured_on)
    cents = sum(_shown_cents(each, captured_on) for each in days)
    counted = story.published_at >= at(life.start) + PRESENTATIONS_SINCE
    return {
        "id": story.story_id,
        "title": story.title,
        "firstPublishedAt": _milliseconds(story.published_at),
        "readingTime": story.reading_time_minutes,
        "isLocked": story.member_only,
        "totalStats": {
            "presentations": sum(each.presentations for each in days) if counted else None,
            "views": sum(each.views for each in days),
            "reads": sum(each.reads for each in days),
            "__typename": "SummaryPostStat",
        },
        "earnings": {
            "total": {
                "currencyCode": "USD",
                "units": cents // 100,
                "nanos": cents % 100 * 10_000_000,
                "__typename": "Money",
            },
            "__typename": "PostEarnings",
        },
        "creator": {
            "id": life.writer.user_id,
            "username": life.writer.username,
            "name": life.writer.name,
            "__typename": "User",
        },
        "__typename": "Post",
    }


def _shown_cents(each: StoryDay, captured_on: date) -> int:
    """Earnings of a day as the page shows them: those of the last days are estimates, and too
    low."""
    committed = (captured_on - each.day).days > UNCOMMITTED_DAYS
    return each.earnings_cents if committed else each.earnings_cents * 85 // 100


def daily_chart(story: Story, first: date, captured_on: date) -> Object | None:
    """The response of ``StatsPostChart``: one story, the days from ``first`` to the one before
    ``captured_on``; None if the story had no views."""
    days = [each for each in story.before(captured_on) if each.day >= first]
    if not any(each.views for each in days):
        return None
    committed = at(captured_on - timedelta(days=UNCOMMITTED_DAYS + 1))
    post = {
        "id": story.story_id,
        "dailyStats": [
            {
                "periodStartedAt": _milliseconds(at(each.day)),
                "views": each.views,
                "internalReferrerViews": each.internal_referrer_views,
                "memberTtr": each.member_reading_seconds,
            }
            for each in days
        ],
        "earnings": {
            "dailyEarnings": [
                {
                    "periodStartedAt": _milliseconds(at(each.day)),
                    "periodEndedAt": _milliseconds(at(each.day + timedelta(days=1))),
                    "amount": _shown_cents(each, captured_on),
                }
                for each in days
                if each.earnings_cents
            ],
            "lastCommittedPeriodStartedAt": _milliseconds(committed),
        },
    }
    return {"data": {"post": post}}


def account_series(life: Life, first: date, last: date) -> Object:
    """The response of ``UserMonthlyStoryStatsTimeseriesQuery``: all stories together, the days from
    ``first`` to ``last``, both included, and their sums."""
    days = [each for each in life.account_days if first <= each.day <= last]
    stats = {
        "__typename": "AggregatePostTimeseriesStats",
        "totalStats": {
            "presentations": sum(each.presentations for each in days),
            "viewers": sum(each.viewers for each in days),
            "readers": sum(each.readers for each in days),
            "netFollowersGained": sum(each.net_followers_gained for each in days),
            "netSubscribersGained": sum(each.net_subscribers_gained for each in days),
        },
        "points": [
            {
                "timestamp": _milliseconds(at(each.day)),
                "stats": {"total": {"viewers": each.viewers, "readers": each.readers}},
            }
            for each in days
        ],
    }
    user = {"id": life.writer.user_id, "postsAggregateTimeseriesStats": stats}
    return {"data": {"user": user}}


def referrers(story: Story, captured_on: date) -> Object:
    """The response of ``StatsPostReferrersContainerQuery``: where all views of a story came from.
    The counts of the referrers add up to the views."""
    days = story.before(captured_on)
    views = sum(each.views for each in days)
    internal = sum(each.internal_referrer_views for each in days)
    outside = views - internal
    sites = (("duckduckgo.com", 0.22), ("google.com", 0.41))
    rows: list[Object] = [
        _referrer(story, "INTERNAL", "medium.com", internal, internal={"postId": None}),
    ]
    for domain, share in sites:
        search = {"domain": domain, "keywords": []}
        rows.append(_referrer(story, "SEARCH", domain, int(outside * share), search=search))
    site = {"href": "https://news.example.org/", "title": "News of the Small"}
    rows.append(_referrer(story, "SITE", "news.example.org", int(outside * 0.12), site=site))
    rows.append(_referrer(story, "PLATFORM", "EMAIL", int(outside * 0.1), platform="EMAIL"))
    rest = views - sum(row["totalCount"] for row in rows)
    rows.append(_referrer(story, "DIRECT", "direct", rest))
    post = {
        "id": story.story_id,
        "title": story.title,
        "referrers": [row for row in rows if row["totalCount"]],
        "totalStats": {"views": views},
    }
    return {"data": {"post": post}}


def _referrer(story: Story, kind: str, name: str, count: int, **details: object) -> Object:
    return {
        "postId": story.story_id,
        "sourceIdentifier": name,
        "totalCount": count,
        "type": kind,
        "internal": details.get("internal"),
        "search": details.get("search"),
        "site": details.get("site"),
        "platform": details.get("platform"),
    }


def old_stats(life: Life, captured_on: date) -> str:
    """The body of ``/me/stats?format=json`` as people saved it before 2026: the guard, then
    lifetime totals in ``payload.value[]``, without money."""
    value = [
        _old_row(life, story, captured_on)
        for story in reversed(life.stories)
        if story.published_at < at(captured_on)
    ]
    payload = {"value": value, "paging": {"path": "/me/stats", "next": None}}
    body = {"success": True, "payload": payload, "v": 3, "b": "20241101-000000-invented"}
    return GUARD + json.dumps(body)


def _old_row(life: Life, story: Story, captured_on: date) -> Object:
    days = story.before(captured_on)
    views, reads = sum(each.views for each in days), sum(each.reads for each in days)
    published = _milliseconds(story.published_at)
    return {
        "postId": story.story_id,
        "slug": slug(story.title),
        "title": story.title,
        "creatorId": life.writer.user_id,
        "collectionId": "",
        "createdAt": published - 86_400_000,
        "firstPublishedAt": published,
        "firstPublishedAtBucket": str(story.published_at.year),
        "readingTime": round(story.reading_time_minutes),
        "views": views,
        "reads": reads,
        "claps": reads // 3,
        "upvotes": reads // 14,
        "internalReferrerViews": sum(each.internal_referrer_views for each in days),
        "friendsLinkViews": views // 40,
        "syndicatedViews": 0,
        "updateNotificationSubscribers": 0,
        "visibility": 2 if story.member_only else 0,
        "isSeries": False,
        "previewImage": {"id": "", "originalWidth": 0, "originalHeight": 0},
        "type": "PostStat",
    }


# --- the feed -------------------------------------------------------------------------------------


def feed(life: Life) -> str:
    """The public RSS feed: the last ten posts, including responses, most recent first."""
    writer = life.writer
    posts: list[Story | Response] = [*life.stories, *life.responses]
    posts.sort(key=lambda each: each.published_at, reverse=True)
    home = f"https://medium.com/@{writer.username}?source=rss-{writer.user_id}------2"
    built = format_datetime(life.end, usegmt=True)
    items = "".join(_item(life, post) for post in posts[:FEED_ITEMS])
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<rss xmlns:dc="http://purl.org/dc/elements/1.1/" '
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" '
        'xmlns:atom="http://www.w3.org/2005/Atom" version="2.0"><channel>'
        f"<title><![CDATA[Stories by {writer.name} on Medium]]></title>"
        f"<description><![CDATA[Stories by {writer.name} on Medium]]></description>"
        f"<link>{escape(home)}</link><generator>Medium</generator>"
        f"<lastBuildDate>{built}</lastBuildDate>"
        f"{items}</channel></rss>"
    )


def _item(life: Life, post: Story | Response) -> str:
    if isinstance(post, Story):
        title, post_id, tags = post.title, post.story_id, post.tags
        paragraphs = _paragraphs(life, post)
        content = f"<p>{paragraphs[0]}</p>"
        if not post.member_only:
            content = "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
    else:
        title, post_id, tags = post.text, post.post_id, ()
        content = f"<p>{post.text}.</p>"
    link = address(life.writer, title, post_id) + f"?source=rss-{life.writer.user_id}------2"
    published = format_datetime(post.published_at.replace(microsecond=0), usegmt=True)
    updated = post.published_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    categories = "".join(f"<category><![CDATA[{slug(tag)}]]></category>" for tag in tags)
    return (
        f"<item><title><![CDATA[{title}]]></title><link>{escape(link)}</link>"
        f'<guid isPermaLink="false">https://medium.com/p/{post_id}</guid>{categories}'
        f"<dc:creator><![CDATA[{life.writer.name}]]></dc:creator>"
        f"<pubDate>{published}</pubDate><atom:updated>{updated}</atom:updated>"
        f"<content:encoded><![CDATA[{content}]]></content:encoded></item>"
    )


# --- the account export ---------------------------------------------------------------------------


def account_export(life: Life, captured_on: date) -> list[tuple[str, str]]:
    """The files of the account export as of the morning of a day: name within the zip, and HTML."""
    now = at(captured_on)
    writer = life.writer
    files = [("profile/profile.html", _profile(life)), ("profile/about.html", _about(writer))]
    for story in life.stories:
        if story.published_at < now:
            name = (
                f"posts/{story.published_at:%Y-%m-%d}_{_dashes(story.title)}-{story.story_id}.html"
            )
            files.append((name, _story_page(life, story, captured_on)))
    for response in life.responses:
        if response.published_at < now:
            title = f"{_dashes(response.text)}-{response.post_id}"
            name = f"posts/{response.published_at:%Y-%m-%d}_{title}.html"
            files.append((name, _response_page(life, response, captured_on)))
    for draft in life.drafts:
        if draft.begun_on < captured_on:
            name = f"posts/draft_{_dashes(draft.title)}-{draft.post_id}.html"
            files.append((name, _draft_page(draft, captured_on)))
    files.append(("claps/claps-0001.html", _claps(life)))
    files.append(("bookmarks/bookmarks-0001.html", _page("Bookmarks", "<ul></ul>")))
    return sorted(files)


def _story_page(life: Life, story: Story, captured_on: date) -> str:
    paragraphs = [
        f'<p name="p{number:02d}" id="p{number:02d}" class="graf graf--p graf-after--p">{text}</p>'
        for number, text in enumerate(_paragraphs(life, story))
    ]
    heading = (
        '<h3 name="t001" id="t001" class="graf graf--h3 graf--leading graf--title">'
        f"{escape(story.title)}</h3>"
    )
    tags = ", ".join(
        f'<a href="https://medium.com/tag/{slug(tag)}" class="p-tag">{tag}</a>'
        for tag in story.tags
    )
    footer = f'<p class="p-tags">Tagged in {tags}</p>' + _byline(
        life.writer, story.title, story.story_id, story.published_at
    )
    return _article(story.title, story.subtitle, heading + "".join(paragraphs), footer, captured_on)


def _response_page(life: Life, response: Response, captured_on: date) -> str:
    body = (
        '<p name="r001" id="r001" class="graf graf--p graf--leading graf--trailing">'
        f"{escape(response.text)}</p>"
    )
    footer = _byline(life.writer, response.text, response.post_id, response.published_at)
    return _article(response.text, None, body, footer, captured_on)


def _draft_page(draft: Draft, captured_on: date) -> str:
    body = f'<p name="d001" id="d001" class="graf graf--p">{SENTENCES[0]}</p>'
    footer = f'<p><a href="https://medium.com/p/{draft.post_id}">View original.</a></p>'
    return _article(draft.title, SENTENCES[1], body, footer, captured_on)


def _byline(writer: Writer, title: str, post_id: str, published_at: datetime) -> str:
    instant = published_at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return (
        f'<p>By <a href="https://medium.com/@{writer.username}" class="p-author h-card">'
        f'{writer.name}</a> on <a href="https://medium.com/p/{post_id}">'
        f'<time class="dt-published" datetime="{instant}">{_long_date(published_at)}</time></a>.'
        "</p>"
        f'<p><a href="{address(writer, title, post_id)}" class="p-canonical">Canonical link</a></p>'
    )


def _article(title: str, subtitle: str | None, body: str, footer: str, captured_on: date) -> str:
    summary = (
        f'<section data-field="subtitle" class="p-summary">\n{escape(subtitle)}\n</section>\n'
        if subtitle
        else ""
    )
    return _page(
        title,
        f'<article class="h-entry">\n<header>\n<h1 class="p-name">{escape(title)}</h1>\n</header>\n'
        f"{summary}"
        '<section data-field="body" class="e-content">\n'
        '<section name="b001" class="section section--body section--first section--last">'
        '<div class="section-divider"><hr class="section-divider"></div>'
        '<div class="section-content"><div class="section-inner sectionLayout--insetColumn">'
        f"{body}</div></div></section>\n</section>\n"
        f"<footer>{footer}"
        '<p>Exported from <a href="https://medium.com">Medium</a> on '
        f"{_long_date(captured_on)}.</p></footer>\n</article>",
    )


def _profile(life: Life) -> str:
    writer = life.writer
    return _page(
        writer.name,
        f'<section class="h-card">\n<h3 class="p-name">{writer.name}</h3>\n<h4>Account info</h4>\n'
        f'<ul>\n<li><b>Profile:</b> <a class="u-url" href="https://medium.com/@{writer.username}">'
        f"@{writer.username}</a></li>\n"
        f"<li><b>Display name:</b> {writer.name}</li>\n"
        f"<li><b>Email address:</b> {writer.email}</li>\n"
        f"<li><b>Medium user ID:</b> {writer.user_id}</li>\n"
        f"<li><b>Created at:</b> {life.start} 5:19 pm</li>\n</ul>\n</section>",
    )


def _about(writer: Writer) -> str:
    text = f"{writer.name} writes about small things, and counts them."
    return _page("About", f'<section class="h-card"><p class="p-note">{text}</p></section>')


def _claps(life: Life) -> str:
    stories = life.stories[:5]
    rows = "".join(
        f'<li class="h-cite">+{number + 1} — <a class="u-like-of" '
        f'href="https://medium.com/p/{story.story_id[::-1]}">A story by a friend</a></li>'
        for number, story in enumerate(stories)
    )
    return _page("Claps", f"<ul>{rows}</ul>")


def _page(title: str, body: str) -> str:
    return (
        '<!DOCTYPE html><html><head><meta http-equiv="Content-Type" '
        f'content="text/html; charset=utf-8"><title>{escape(title)}</title></head>\n'
        f"<body>\n{body}\n</body></html>\n"
    )


def _paragraphs(life: Life, story: Story) -> list[str]:
    rng = stream(life.seed, "paragraphs", story.story_id)
    count = max(3, round(story.reading_time_minutes / 2))
    return [" ".join(rng.sample(SENTENCES, k=4)) for _ in range(count)]


def _dashes(title: str) -> str:
    words = "".join(each if each.isalnum() else " " for each in title).split()
    return "-".join(words)[:60]


def _long_date(day: date) -> str:
    return f"{day:%B} {day.day}, {day.year}"


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
