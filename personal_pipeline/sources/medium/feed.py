"""Medium's public feed: RSS 2.0, at most ten items, no login."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from io import BytesIO
from time import struct_time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Window
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.settings import Setting, Settings

FEED_URL = Setting(
    name="MEDIUM_FEED_URL",
    description=(
        "Set MEDIUM_FEED_URL to the address of your feed, https://medium.com/feed/@you. Statistics "
        "and the account export need no setting: put their files into the inbox."
    ),
)

_POST_ID = re.compile(r"(?:/p/|-)([0-9a-f]{8,16})/?$")


def feed_client(settings: Settings) -> Client:
    """A client whose base URL is the feed itself. Raises ``BadSetting`` when none is set."""
    address = settings.text(FEED_URL)
    return Client(
        "medium",
        address if "://" in address else f"https://{address}",
        headers={
            "Accept": "application/rss+xml, application/xml",
            "User-Agent": "personal-pipeline (feed reader)",
        },
        per_second=1,
        refused=(
            "Medium currently refuses this feed to programs. Open MEDIUM_FEED_URL in a browser: if "
            "the feed shows, try again tomorrow; if not, correct the address."
        ),
    )


def fetch_feed(client: Client, _window: Window) -> Iterator[Record]:
    """Every item currently in the feed, whatever the window: it cannot be queried by date.

    Raises ``ServiceError``: FORMAT_CHANGED when the response is not an RSS feed, or is truncated.
    """
    response = client.get("")
    # not the path: it is the user's setting, and the URL may be private
    place = f"medium: GET {urlsplit(response.url).hostname}"
    yield from read_feed(response.content, response.headers.get("Content-Type", ""), place)


def read_feed(content: bytes, content_type: str, place: str) -> list[Record]:
    """The items of an RSS document; ``place`` says in an error where it came from.

    ``published`` and ``updated`` are ISO 8601 UTC; what an item lacks is None. Raises
    ``ServiceError(FORMAT_CHANGED)``.
    """
    # slow to import, and nothing else needs it
    import feedparser

    try:
        feed = feedparser.parse(
            # as a stream: given text, feedparser would take it for a file name or URL
            BytesIO(content),
            response_headers={"content-type": content_type},
            resolve_relative_uris=False,
            sanitize_html=False,
        )
        is_rss = feed.get("version", "").startswith("rss")
    except Exception:  # on damaged XML feedparser lets any exception through
        is_rss = False
    if not is_rss:
        raise ServiceError(
            Failure.FORMAT_CHANGED,
            f"{place}: expected an RSS feed, got something else, perhaps a web page. "
            "MEDIUM_FEED_URL should look like https://medium.com/feed/@you. Nothing was lost.",
        )
    if b"</rss>" not in content[-1024:]:
        raise ServiceError(
            Failure.FORMAT_CHANGED,
            f"{place}: the feed is truncated. None of it was kept; the next run retries.",
        )
    return [_record(entry) for entry in feed.entries]


def _record(entry: Any) -> Record:
    guid = entry.get("id")
    link = _without_tracking(entry.get("link"))
    categories = [tag.term for tag in entry.get("tags", ()) if tag.term]
    content = entry.get("content")
    return {
        "guid": guid,
        "story_id": _story_id(guid, link),
        "kind": "story" if categories else "response",
        "title": entry.get("title"),
        "link": link,
        "published": _utc(entry.get("published_parsed")),
        # checked with `in`: otherwise feedparser falls back to the publication time
        "updated": _utc(entry.get("updated_parsed")) if "updated_parsed" in entry else None,
        "categories": categories,
        "creator": entry.get("author"),
        "content": content[0].value if content else entry.get("summary"),
    }


def _story_id(*addresses: str | None) -> str | None:
    for address in addresses:
        if address and (match := _POST_ID.search(address)):
            return match[1]
    return None


def _without_tracking(link: str | None) -> str | None:
    try:
        parts = urlsplit(link or "")
    except ValueError:
        return link
    query = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != "source"]
    return urlunsplit(parts._replace(query=urlencode(query))) or None


def _utc(moment: struct_time | None) -> str | None:
    if moment is None:
        return None
    try:
        text = datetime(*moment[:6], tzinfo=UTC).isoformat(timespec="milliseconds")
    except ValueError:
        return None
    return text.replace("+00:00", "Z")


def published_day(record: Record) -> date:
    """The UTC day of publication."""
    return datetime.fromisoformat(record["published"]).astimezone(UTC).date()


FEED = ApiStream(
    name="feed",
    description=(
        "One row is an item of the public RSS feed: a story, or a response (an item without "
        "categories). Filed under the UTC day of publication. The content of a member-only story "
        "is a teaser."
    ),
    grain=Grain.MONTH,
    key=lambda record: record["story_id"],
    days=lambda record: (published_day(record),),
    required={"story_id": str, "published": str},
    fetch=fetch_feed,
    coverage=Coverage.PART,
)
