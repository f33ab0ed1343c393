"""The words of the timeline as a SQLite file, ``published/search.sqlite``.

``documents`` has one row per event with all that is shown of it, ``words`` its texts in FTS5. The
ledger says which months of the timeline changed, and the digest of the rows of each source which
(month, source) of these; there, the rows that differ are replaced, in one transaction a pass.

The number of a document says when it was: numbers of later days are larger, within a day by minute.
So the newest are the last that FTS5 has, and a filter by days is a range of numbers.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from personal_pipeline import sqlite_file
from personal_pipeline.home import Home, read_object, write_atomically
from personal_pipeline.house import House
from personal_pipeline.ingest.lake import Version
from personal_pipeline.outputs.contract import Board, Output, Written
from personal_pipeline.search.schema import DAY, MINUTE, SCHEMA, SHOWN
from personal_pipeline.search.words import indexed
from personal_pipeline.warehouse import integrity, store

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TIMELINE = "marts/timeline"

FORMAT = [1, sqlite3.sqlite_version, unicodedata.unidata_version]
"""Raise the first number when this module or ``words`` writes otherwise: the file is then written
anew. So it is with another SQLite or another Unicode, which may cut words otherwise: FTS5 removes a
text correctly only if it is cut as it was."""

LOCK_WAIT_SECONDS = 300
BUSY_SECONDS = 30.0
"""How long another program may keep the file locked."""

ROWS_AT_ONCE = 60_000
"""Of a first index; FTS5 writes less if it gets more at a time."""

FIRST_SIGN = 0xE000
MOST_SIGNS = 6_400
"""How many the private area has (``schema``)."""

_CONTENT = """
    cast(month as varchar) as month, event_id, source, kind, cast(local_day as varchar) as day,
    cast(local_at as varchar) as local_at, title, detail, place,
    array_to_string(people, ', ') as people, cast(amount as varchar) as amount, currency, address,
    text, cast(by_others as integer) as by_others, reference
"""

_DIGESTS = f"""
select month, source, count(*) || '-' || bit_xor(digest) || '-' || sum(digest)
from (
    select month, source, hash(content) as digest
    from (
        select {_CONTENT} from marts.timeline where timeline.month in (select unnest(?::date[]))
    ) as content
)
group by all
"""  # noqa: S608

_ROWS = f"""
select
    (local_day - date '0001-01-01') * {DAY}
        + greatest(0, least(1439, coalesce(
            date_diff('minute', cast(local_day as timestamp), timeline.local_at), 0))) * {MINUTE},
    {_CONTENT}
from marts.timeline
where timeline.month in (select unnest(?::date[]))
    and (strftime(timeline.month, '%Y-%m-%d') || timeline.source) in (select unnest(?::varchar[]))
order by 1, event_id
"""  # noqa: S608

_SHOWN = ", ".join(SHOWN)
_WORDS = "rowid, title, detail, people, place, text, facet"

Document: TypeAlias = tuple[str | int | None, ...]
Part: TypeAlias = tuple[str, str]
"""Month and source."""


@dataclass(frozen=True, slots=True)
class WrittenSearch:
    """What a pass changed: the (month, source) with differing rows, and how many documents were
    added and removed; one that was corrected is both."""

    path: Path
    parts: Sequence[Part]
    added: int
    removed: int


def write_search(house: House) -> WrittenSearch | None:
    """Bring the index up to date with the published timeline. None if nothing had to be replaced;
    while nothing changed, that costs a few file stats.

    Raises ``Busy`` if another program keeps the file locked, ``sqlite3.Error`` and ``OSError`` if
    the disk is full; the file then stays as it was.
    """
    home = house.home
    if not home.published.exists() or is_current(home):
        return None
    with home.lock("search", wait_seconds=LOCK_WAIT_SECONDS):
        # before anything is read: what changes meanwhile is found by the next pass
        state = _state_of(home)
        kept = read_object(_path(home))
        stamp = sqlite_file.stamp_of(home.search)
        with store.reading(house) as published:
            written = sqlite_file.written(
                home.search,
                SCHEMA,
                lambda index: _transfer(published, index, home.search),
                as_left=stamp is not None
                and (kept.get("file"), kept.get("format")) == (stamp, FORMAT),
                busy_seconds=BUSY_SECONDS,
            )
        state["file"] = sqlite_file.stamp_of(home.search)
        write_atomically(_path(home), json.dumps(state).encode())
    return written if written.parts else None


def _bring(house: House, _board: Board, again: bool) -> Written | None:
    written = write_search(house)
    if written is None and not (again and house.home.search.exists()):
        return None
    stamp = repr(integrity.stamp_of(house.home.published))
    counts = (written.added, written.removed, len(written.parts)) if written else (0, 0, 0)
    details = dict(zip(("added", "removed", "months of a source"), counts, strict=True))
    digest = hashlib.sha256(stamp.encode()).hexdigest()
    return Written(house.home.search, digest, "/-/search", details)


SEARCH = Output(
    name="search",
    description=(
        "The words of the timeline in SQLite's FTS5, published/search.sqlite, for "
        "`personal-pipeline search` and the site. Only documents that differ are replaced, by "
        "month and source."
    ),
    kinds=frozenset({"sqlite"}),
    write=_bring,
    reads=lambda tables: {TIMELINE} & {*tables},
)


def is_current(home: Home) -> bool:
    """Whether neither the tables nor the file have changed since it was written."""
    kept = read_object(_path(home))
    file = kept.pop("file", None)
    return file == sqlite_file.stamp_of(home.search) and kept == _state_of(home)


def _state_of(home: Home) -> dict[str, object]:
    return {"format": FORMAT, "tables": integrity.stamp_of(home.published)}


def _path(home: Home) -> Path:
    return home.state / "search.json"


# -------------------------------------------------------------------------------- what is replaced


def _transfer(
    published: DuckDBPyConnection, index: sqlite3.Connection, path: Path
) -> WrittenSearch:
    """Make the index that of the published timeline, in one transaction; none if it is."""
    wanted = {
        month: Version(*version)
        for month, *version in published.execute(
            "select partition, digest, row_count from pipeline.ledger where asset = ?", [TIMELINE]
        ).fetchall()
    }
    there = {
        month: Version(*version)
        for month, *version in index.execute("select month, digest, rows from months")
    }
    differing = sorted({month for month, _ in wanted.items() ^ there.items()})
    changed: list[Part] = []
    added = removed = 0
    if differing:
        index.execute("pragma cache_size = -65536")
        index.execute("begin immediate")
        signs = _Signs(index)
        for months in _together(differing, wanted):
            parts, more, less = _replace(published, index, signs, months, wanted)
            changed += parts
            added += more
            removed += less
        index.executemany("delete from months where month = ?", [(each,) for each in differing])
        index.executemany(
            "insert into months values (?, ?, ?)",
            [
                (each, wanted[each].digest, wanted[each].rows)
                for each in differing
                if each in wanted
            ],
        )
        index.execute("commit")
    return WrittenSearch(path, changed, added, removed)


def _together(months: Iterable[str], wanted: Mapping[str, Version]) -> Iterator[list[str]]:
    """The months in groups of not many more than ``ROWS_AT_ONCE`` rows."""
    group: list[str] = []
    rows = 0
    for month in months:
        group.append(month)
        rows += wanted[month].rows if month in wanted else 0
        if rows >= ROWS_AT_ONCE:
            yield group
            group, rows = [], 0
    if group:
        yield group


def _replace(
    published: DuckDBPyConnection,
    index: sqlite3.Connection,
    signs: _Signs,
    months: Sequence[str],
    wanted: Mapping[str, Version],
) -> tuple[list[Part], int, int]:
    """Replace what differs in these months; returns the parts with differing rows, and how many
    documents were added and removed."""
    present = [month for month in months if month in wanted]
    digests = _digests(published, present)
    there = _parts(index, months)
    changed = [part for part in digests if part not in there or there[part][1] != digests[part]]
    gone = [part for part in there if part not in digests]
    if not changed and not gone:
        return [], 0, 0
    before = _documents(index, [there[part][0] for part in (*changed, *gone) if part in there])
    index.executemany("delete from parts where part = ?", [there[part][:1] for part in gone])
    index.executemany(
        "insert into parts (month, source, digest) values (?, ?, ?) "
        "on conflict do update set digest = excluded.digest",
        [(*part, digests[part]) for part in changed],
    )
    numbers = {part: number for part, (number, _) in _parts(index, months).items()}
    fresh: list[tuple[int, int, Document]] = []
    for place, part, row in _rows(published, present, changed):
        _, known = before.get((numbers[part], row[0]), (0, None))
        if known == row:
            del before[numbers[part], row[0]]
        else:
            fresh.append((place, numbers[part], row))
    _remove(index, signs, sorted(before.values(), key=lambda each: each[0]))
    _add(index, signs, _numbered(index, fresh))
    return [*changed, *gone], len(fresh), len(before)


def _digests(published: DuckDBPyConnection, months: Sequence[str]) -> dict[Part, str]:
    rows = published.execute(_DIGESTS, [months]).fetchall() if months else []
    return {(month, source): digest for month, source, digest in rows}


def _rows(
    published: DuckDBPyConnection, months: Sequence[str], parts: Sequence[Part]
) -> Iterator[tuple[int, Part, Document]]:
    """The documents of these parts with their places, in the order of these."""
    if not parts:
        return
    chosen = [f"{month}{source}" for month, source in parts]
    rows = published.execute(_ROWS, [months, chosen])
    while some := rows.fetchmany(ROWS_AT_ONCE):
        for place, month, *row in some:
            yield place, (month, row[1]), tuple(row)


def _parts(index: sqlite3.Connection, months: Sequence[str]) -> dict[Part, tuple[int, str]]:
    """The number and digest of each part that the index has of these months."""
    rows = index.execute(
        "select month, source, part, digest from parts "
        "where month in (select value from json_each(?))",
        [json.dumps(months)],
    )
    return {(month, source): (part, digest) for month, source, part, digest in rows}


def _documents(
    index: sqlite3.Connection, parts: Sequence[int]
) -> dict[tuple[int, object], tuple[int, Document]]:
    """The documents of these parts with their numbers, by part and event."""
    rows = index.execute(
        f"select id, part, {_SHOWN} from documents "  # noqa: S608
        "where part in (select value from json_each(?))",
        [json.dumps(parts)],
    )
    return {(part, row[0]): (number, tuple(row)) for number, part, *row in rows}


def _remove(
    index: sqlite3.Connection, signs: _Signs, documents: Sequence[tuple[int, Document]]
) -> None:
    # in ascending order, which FTS5 takes without writing in between
    index.executemany(
        f"insert into words (words, {_WORDS}) values ('delete', ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (_words(number, row, signs) for number, row in documents),
    )
    index.executemany("delete from documents where id = ?", [each[:1] for each in documents])


def _add(
    index: sqlite3.Connection, signs: _Signs, documents: Sequence[tuple[int, int, Document]]
) -> None:
    marks = ", ".join("?" * (len(SHOWN) + 2))
    index.executemany(
        f"insert into documents values ({marks})",  # noqa: S608
        ((number, part, *row) for number, part, row in documents),
    )
    index.executemany(
        f"insert into words ({_WORDS}) values (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
        (_words(number, row, signs) for number, _, row in documents),
    )


def _numbered(
    index: sqlite3.Connection, rows: Sequence[tuple[int, int, Document]]
) -> list[tuple[int, int, Document]]:
    """The rows, given in the order of their places, each with the first free number from there."""
    if not rows:
        return []
    taken = {
        number
        for (number,) in index.execute(
            "select id from documents where id between ? and ?",
            (rows[0][0], rows[-1][0] + DAY),
        )
    }
    numbered = []
    last = -1
    for place, part, row in rows:
        last = max(place, last + 1)
        while last in taken:
            last += 1
        numbered.append((last, part, row))
    return numbered


def _words(number: int, row: Document, signs: _Signs) -> Document:
    _, source, kind, _, _, title, detail, place, people, _, _, _, text, _, _ = row
    sign = signs.of(source, kind)  # type: ignore[arg-type]
    whole = f"{title}{detail}{people}{place}{text}"
    if whole.isascii():
        # what most texts are: FTS5 gets them as they are
        return number, title, detail, people, place, text, sign
    texts = (indexed(each) for each in (title, detail, people, place, text))  # type: ignore[arg-type]
    return (number, *texts, sign)


class _Signs:
    """The sign of each pair of source and kind; a new pair gets the next one."""

    def __init__(self, index: sqlite3.Connection) -> None:
        self._index = index
        self._known = {
            (source, kind): sign
            for sign, source, kind in index.execute("select sign, source, kind from facets")
        }

    def of(self, source: str, kind: str) -> str:
        sign: str | None = self._known.get((source, kind))
        if sign is None:
            # beyond them all others share one, which only costs precision
            sign = chr(FIRST_SIGN + min(len(self._known), MOST_SIGNS - 1))
            self._known[source, kind] = sign
            self._index.execute("insert into facets values (?, ?, ?)", (source, kind, sign))
        return sign
