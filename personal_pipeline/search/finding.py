"""Asking the index. Imports SQLite, and rapidfuzz only if nothing is found."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from personal_pipeline.search.question import Question, Term
from personal_pipeline.search.schema import SHOWN, first_number
from personal_pipeline.search.words import Pieces, matches, pieces_of, snippet_of

BY_TIME_ABOVE = 20_000
"""What has more hits is ordered by time, the newest first: ranking reads the length of each."""

MOST_HITS = 1_000
HANDLE_LENGTH = 8

_WEIGHTS = (100.0, 2.0, 20.0, 20.0, 1.0, 0.0)
"""Of title, detail, people, place, text and facet for bm25. It divides by the length of the whole
document, so weights that lie closer would put a detail before the title of a long story."""

NOT_WRITTEN = "there is nothing to search yet; run `personal-pipeline refresh` first"
DAMAGED = "it is damaged; the next `personal-pipeline refresh` writes it anew"

SHORTEST_NEAR = 3
_FOLDED_WORD = re.compile(r"[^\W_]+")


class CannotSearch(Exception):
    """The index is missing, damaged or of another version. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An event that was found. ``local_at`` is the time on the clock where it was (null if only
    the day is known), ``title`` and ``snippet`` are cut into what was looked for and the rest."""

    event_id: str
    source: str
    kind: str
    local_day: str
    local_at: str | None
    title: Pieces
    snippet: Pieces
    people: str | None
    place: str | None
    amount: str | None
    currency: str | None
    address: str | None
    by_others: bool
    reference: str | None

    @property
    def handle(self) -> str:
        """What a person types to mean this event: short, and the same in every build."""
        digest = hashlib.md5(self.event_id.encode(), usedforsecurity=False)
        return digest.hexdigest()[:HANDLE_LENGTH]


@dataclass(frozen=True, slots=True)
class Found:
    """The first hits, and how many there are, counted up to ``BY_TIME_ABOVE``. ``instead`` has the
    words that were not found with those that were looked for instead."""

    hits: tuple[Hit, ...]
    count: int
    is_by_time: bool = False
    instead: tuple[tuple[str, str], ...] = ()

    @property
    def is_more(self) -> bool:
        """Whether there are more than were counted."""
        return self.count > BY_TIME_ABOVE


def found(path: Path, question: Question, limit: int = 20) -> Found:
    """The best hits, or the newest of very many. If there are none, the same with the nearest words
    that the index has.

    Raises ``CannotSearch``.
    """
    if not path.exists():
        raise CannotSearch(f"{path}: {NOT_WRITTEN}")
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as index:
            # one state of the index, whatever a pass writes meanwhile
            index.execute("begin")
            answer = _found(index, question, min(limit, MOST_HITS))
            if not answer.count and (near := _nearest(index, question)):
                other = _found(index, _with(question, near), min(limit, MOST_HITS))
                if other.count:
                    return replace(other, instead=tuple(near.items()))
            return answer
    except sqlite3.DatabaseError as error:
        raise CannotSearch(f"{path}: {DAMAGED} ({type(error).__name__})") from None


def _found(index: sqlite3.Connection, question: Question, limit: int) -> Found:
    match = _match(index, question)
    if match is None:
        return Found((), 0)
    where = "words match ? and rowid >= ? and rowid < ?"
    asked = (
        match,
        first_number(question.since or date.min),
        first_number(question.until or date.max),
    )
    (count,) = index.execute(
        f"select count(*) from (select 1 from words where {where} limit {BY_TIME_ABOVE + 1})",  # noqa: S608
        asked,
    ).fetchone()
    is_by_time = count > BY_TIME_ABOVE or not question.wanted
    order = "" if is_by_time else f"bm25(words, {', '.join(map(str, _WEIGHTS))}), "
    numbers = [
        number
        for (number,) in index.execute(
            f"select rowid from words where {where} order by {order}rowid desc limit ?",  # noqa: S608
            (*asked, limit),
        )
    ]
    documents = {
        number: document
        for number, *document in index.execute(
            f"select id, {', '.join(SHOWN)} from documents "  # noqa: S608
            "where id in (select value from json_each(?))",
            [json.dumps(numbers)],
        )
    }
    terms = [term.folded for term in question.wanted if term.folded[0]]
    return Found(tuple(_hit(documents[each], terms) for each in numbers), count, is_by_time)


def _match(index: sqlite3.Connection, question: Question) -> str | None:
    """The question in FTS5's language; None if nothing can be found."""
    wanted = [term.match for term in question.wanted]
    unwanted = [term.match for term in question.unwanted]
    if question.chosen or question.excluded or not wanted:
        signs = [
            sign
            for source, kind, sign in index.execute("select source, kind, sign from facets")
            if _is_asked(question, ("source", source.lower()), ("kind", kind.lower()))
        ]
        if not signs or question.is_empty:
            return None
        wanted.append(f"facet : ({' OR '.join(sorted(set(signs)))})")
    match = " AND ".join(wanted)
    return f"({match}) NOT ({' OR '.join(unwanted)})" if unwanted else match


def _is_asked(question: Question, *facets: tuple[str, str]) -> bool:
    names = {name for name, _ in question.chosen}
    return not question.excluded.intersection(facets) and all(
        facet in question.chosen for facet in facets if facet[0] in names
    )


def _hit(document: Sequence[object], terms: Sequence[tuple[Sequence[str], bool]]) -> Hit:
    event_id, source, kind, day, at, title, detail, place, people, *more = document
    amount, currency, address, text, by_others, reference = more
    line = _one_line(f"{title}")
    snippet: Pieces = ()
    for each in (detail, text, people, place):
        if each and (spans := matches(body := _one_line(f"{each}"), terms)):
            snippet = snippet_of(body, spans)
            break
    else:
        if body := _one_line(f"{detail or text or ''}"):
            snippet = snippet_of(body, ())
    return Hit(
        event_id=f"{event_id}",
        source=f"{source}",
        kind=f"{kind}",
        local_day=f"{day}",
        local_at=_or_none(at),
        title=pieces_of(line, matches(line, terms)),
        snippet=snippet,
        people=_or_none(people),
        place=_or_none(place),
        amount=_or_none(amount),
        currency=_or_none(currency),
        address=_or_none(address),
        by_others=bool(by_others),
        reference=_or_none(reference),
    )


def _or_none(value: object) -> str | None:
    return None if value is None else f"{value}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


# ------------------------------------------------------------------------------------ near words


def _nearest(index: sqlite3.Connection, question: Question) -> dict[str, str]:
    """For each word of the question that the index does not have, the nearest that it has."""
    near = {}
    for term in question.wanted:
        word = _plain(term.text)
        if len(word) < SHORTEST_NEAR or not _FOLDED_WORD.fullmatch(word):
            continue
        if index.execute(
            "select 1 from words where words match ? limit 1", [term.match]
        ).fetchone():
            continue
        if (best := _nearest_word(index, word)) is not None:
            near[term.text] = best
    return near


def _nearest_word(index: sqlite3.Connection, word: str) -> str | None:
    """Of the nearest words the most frequent: first among those with the same initial, which is a
    small part of the index; then among all."""
    from rapidfuzz import process
    from rapidfuzz.distance import OSA

    index.execute(
        "create virtual table if not exists temp.vocabulary using fts5vocab (main, words, row)"
    )
    most = 1 if len(word) < 6 else 2 if len(word) < 9 else 3
    for first, last in ((word[0], chr(ord(word[0]) + 1)), ("", "\ue000")):
        documents = dict(
            index.execute(
                "select term, doc from temp.vocabulary where term >= ? and term < ?", (first, last)
            )
        )
        close = process.extract(
            word, documents.keys(), scorer=OSA.distance, score_cutoff=most, limit=20
        )
        if close:
            best: str = min(close, key=lambda each: (each[1], -documents[each[0]], each[0]))[0]
            return best
    return None


def _plain(text: str) -> str:
    """A word as the vocabulary has it."""
    decomposed = unicodedata.normalize("NFKD", text.lower())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def _with(question: Question, near: dict[str, str]) -> Question:
    def nearest(terms: Iterable[Term]) -> tuple[Term, ...]:
        return tuple(Term(near[each.text]) if each.text in near else each for each in terms)

    return replace(question, wanted=nearest(question.wanted))
