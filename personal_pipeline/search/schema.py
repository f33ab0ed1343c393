"""The tables of the index.

``documents`` has one row per event with all that is shown of it, ``words`` its texts in FTS5, which
keeps no copy of them. ``months`` and ``parts`` say what was written: the digest of a month in the
ledger, and that of the rows of each source in it.
"""

from __future__ import annotations

from datetime import date

from personal_pipeline.search.words import TOKENIZER

DAY = 1 << 20
"""The number of a document says when it was: that of its day, and there the first free one from its
minute on, so that the newest are the last that FTS5 has, and a filter by days is a range. What the
last minutes have too many of finds room behind them, in the same day."""
MINUTE = 64

SHOWN = (
    *("event_id", "source", "kind", "local_day", "local_at", "title", "detail", "place", "people"),
    *("amount", "currency", "address", "text", "by_others", "reference"),
)
"""The columns of a document, all text but ``by_others`` (0 or 1)."""

SCHEMA = f"""
create table months (month text primary key, digest text, rows integer);
create table parts (
    part integer primary key, month text, source text, digest text, unique (month, source)
);
create table documents (id integer primary key, part integer, {", ".join(SHOWN)});
create index documents_of_part on documents (part);
create table facets (source text, kind text, sign text, primary key (source, kind));
create virtual table words using fts5 (
    title, detail, people, place, text, facet,
    content = '', prefix = '2 3', tokenize = "{TOKENIZER}"
);
insert into words (words, rank) values ('automerge', 16);
"""  # noqa: S608
"""Merging sixteen segments at a time instead of four writes each entry half as often, and a search
does not notice.

Each pair of source and kind is a word of one sign, from the private area, in the column
``facet``: so FTS5 itself filters by them."""


def first_number(day: date) -> int:
    """The number from which the documents of a day and all later ones have theirs."""
    return (day - date.min).days * DAY
