"""Medium's RSS feed, over real HTTP from a server on loopback."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Window
from personal_pipeline.ingest.fetch import fetch_stream
from personal_pipeline.ingest.http import Failure, ServiceError
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.settings import BadSetting, Settings
from personal_pipeline.sources.medium import MEDIUM
from personal_pipeline.sources.medium.feed import (
    FEED,
    feed_client,
    fetch_feed,
    published_day,
    read_feed,
)
from personal_pipeline_tests.loopback import Answer, loopback

STORY = """
<item>
  <title><![CDATA[On Rain & Wind]]></title>
  <link>https://medium.com/@ann/on-rain-0123456789ab?source=rss-aa------2</link>
  <guid isPermaLink="false">https://medium.com/p/0123456789ab</guid>
  <category><![CDATA[weather]]></category>
  <category><![CDATA[life]]></category>
  <dc:creator><![CDATA[Ann]]></dc:creator>
  <pubDate>Fri, 20 Nov 2026 23:30:00 GMT</pubDate>
  <atom:updated>2026-11-21T01:00:00.123Z</atom:updated>
  <content:encoded><![CDATA[<p onclick="x()">Rain. <img src="/a.png"></p>]]></content:encoded>
</item>
"""
RESPONSE = """
<item>
  <title>I agree</title>
  <link>https://ann.medium.com/i-agree-ba9876543210?source=rss-aa------2</link>
  <guid isPermaLink="false">https://medium.com/p/ba9876543210</guid>
  <dc:creator>Ann</dc:creator>
  <pubDate>Thu, 19 Nov 2026 08:00:00 GMT</pubDate>
</item>
"""
UNDATED = STORY.replace("0123456789ab", "cccccccccccc").replace(
    "<pubDate>Fri, 20 Nov 2026 23:30:00 GMT</pubDate>", "<pubDate>some day</pubDate>"
)
NAMELESS = "<item><title>No id</title><pubDate>Fri, 20 Nov 2026 23:30:00 GMT</pubDate></item>"


def rss(*items: str) -> bytes:
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<rss xmlns:dc="http://purl.org/dc/elements/1.1/" version="2.0"
     xmlns:content="http://purl.org/rss/1.0/modules/content/"
     xmlns:atom="http://www.w3.org/2005/Atom">
<channel><title>Stories by Ann on Medium</title>
<link>https://medium.com/@ann?source=rss-aa------2</link>{"".join(items)}</channel></rss>
""".encode()


WEEK = Window(date(2026, 11, 15), date(2026, 11, 22))


def fetched(body: bytes, content_type: str = "application/rss+xml", status: int = 200) -> Any:
    """What ``fetch_feed`` gives when the service answers so."""
    with loopback(lambda _: Answer(body, status, content_type=content_type)) as server:
        with feed_client(Settings(MEDIUM_FEED_URL=f"{server.base}/feed/@ann")) as client:
            records = list(fetch_feed(client, WEEK))
        assert [request.path for request in server.asked] == ["/feed/@ann"]
        return records


def test_items_of_the_feed() -> None:
    story, response = fetched(rss(STORY, RESPONSE))
    assert story == {
        "guid": "https://medium.com/p/0123456789ab",
        "story_id": "0123456789ab",
        "kind": "story",
        "title": "On Rain & Wind",
        "link": "https://medium.com/@ann/on-rain-0123456789ab",
        "published": "2026-11-20T23:30:00.000Z",
        "updated": "2026-11-21T01:00:00.000Z",
        "categories": ["weather", "life"],
        "creator": "Ann",
        "content": '<p onclick="x()">Rain. <img src="/a.png"></p>',
    }
    assert response["kind"] == "response"
    assert response["link"] == "https://ann.medium.com/i-agree-ba9876543210"
    assert (response["updated"], response["content"]) == (None, None)
    assert FEED.key(story) == "0123456789ab"
    assert published_day(story) == date(2026, 11, 20)


def test_items_land_under_their_day_and_bad_ones_are_counted(home: Home) -> None:
    body = rss(STORY, UNDATED, NAMELESS, RESPONSE)
    with (
        loopback(lambda _: Answer(body, content_type="application/rss+xml")) as server,
        feed_client(Settings(MEDIUM_FEED_URL=f"{server.base}/feed/@ann")) as client,
    ):
        pulled = fetch_stream(home, MEDIUM, FEED, client, now=datetime(2026, 11, 21, 6, tzinfo=UTC))
    assert pulled.failure is None
    assert (pulled.records, pulled.unreadable) == (4, 2)
    lake = lake_of(home, "medium", FEED)
    assert lake.read(date(2026, 11, 20)).keys() == {"0123456789ab"}
    assert lake.read(date(2026, 11, 19)).keys() == {"ba9876543210"}


def test_an_empty_feed_is_no_error() -> None:
    assert fetched(rss()) == []


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<!DOCTYPE html><html><body><p>Just a moment...</p></body></html>", "text/html"),
        (b'{"items": []}', "application/json"),
        (b"", "application/rss+xml"),
        (rss(STORY, RESPONSE)[:-200], "application/rss+xml"),
    ],
    ids=["web page", "json", "nothing", "cut off"],
)
def test_what_is_not_a_whole_feed_is_an_error_of_one_sentence(
    body: bytes, content_type: str
) -> None:
    with pytest.raises(ServiceError, match=r"medium: GET 127\.0\.0\.1: ") as error:
        fetched(body, content_type)
    assert error.value.failure is Failure.FORMAT_CHANGED


def test_a_refusal_says_what_to_do() -> None:
    with pytest.raises(ServiceError, match="MEDIUM_FEED_URL in a browser") as error:
        fetched(b"", status=403)
    assert error.value.failure is Failure.PERMISSION_MISSING


def test_an_address_without_scheme_is_completed() -> None:
    client = feed_client(Settings(MEDIUM_FEED_URL=" medium.com/feed/@ann"))
    assert client.base == "https://medium.com/feed/@ann"


def test_without_an_address_there_is_no_client() -> None:
    with pytest.raises(BadSetting, match="MEDIUM_FEED_URL is not set"):
        feed_client(Settings())


FEED_BYTES = rss(STORY, RESPONSE)


@settings(max_examples=150, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda start, new, length: FEED_BYTES[:start] + new + FEED_BYTES[start + length :],
            st.integers(0, len(FEED_BYTES)),
            st.binary(max_size=8),
            st.integers(0, 60),
        ),
    )
)
def test_damage_never_raises_anything_else(content: bytes) -> None:
    with suppress(ServiceError):
        for record in read_feed(content, "application/rss+xml; charset=utf-8", "here"):
            assert record.keys() >= FEED.required.keys()
