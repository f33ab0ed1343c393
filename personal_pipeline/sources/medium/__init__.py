"""Medium: stories, their statistics and their earnings.

Medium has no statistics API, and its live GraphQL endpoint answers an ordinary HTTP client with a
challenge page. So there are three ways in:

- ``feed``: the public RSS feed, fetched every day. It holds the last ten items, and only a teaser
  of member-only stories; responses are mixed in, recognizable only by having no categories.
- ``stats_capture``: the JSON that the statistics page loads, saved by hand every month.
- ``account_export``: the zip that Medium emails on request; every post, draft and response, and no
  statistics at all.

What surprised the author: times are epoch *milliseconds*, and daily buckets are UTC days. Medium
revises views downwards, and a day's earnings until ``lastCommittedPeriodStartedAt`` passes it.
Earnings come as ``units`` and ``nanos`` in lifetime totals, but as cents in daily figures. Nothing
says that a story was boosted: that is kept in the sheet of ``google_sheets``.
"""

from __future__ import annotations

from personal_pipeline.ingest.contract import Source
from personal_pipeline.sources.medium.export import ACCOUNT_EXPORT
from personal_pipeline.sources.medium.feed import FEED, FEED_URL, feed_client
from personal_pipeline.sources.medium.stats import STATS_CAPTURE

MEDIUM = Source(
    name="medium",
    title="Medium",
    description=(
        "Stories on Medium: the public feed every day, statistics captured by hand every month, "
        "and the account export whenever one is made."
    ),
    settings=(FEED_URL,),
    client=feed_client,
    api=(FEED,),
    drops=(STATS_CAPTURE, ACCOUNT_EXPORT),
)

__all__ = ["MEDIUM"]
