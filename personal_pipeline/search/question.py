"""What a person types, parsed. Nothing that can be typed is an error.

``words`` must all be there, in any order; ``"these words"`` side by side; ``begin*`` begins one;
``-word`` must not be there. ``source:``, ``kind:``, ``after:`` and ``before:`` choose; the last two
take a day, a month or a year: ``after`` begins with its first day, ``before`` ends before it. What
looks like a filter and is none, such as ``re:invent``, is looked for as words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice

from personal_pipeline.search.words import asked_for, folded

LONGEST = 1_000
"""Characters of a question that are read."""

MOST_TERMS = 32

_QUOTES = str.maketrans("“”„‟«»「」", '""""""""')
_PART = re.compile(r'(-?)(?:(\w+):)?(?:"([^"]*)"?|([^\s"]+))(\*?)')
_PERIOD = re.compile(r"(\d{4})(?:-(\d\d?))?(?:-(\d\d?))?")


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase as it was typed; ``is_prefix`` if it is the beginning of a word."""

    text: str
    is_prefix: bool = False

    @property
    def match(self) -> str:
        """As FTS5 has it, quoted whole: nothing in it is syntax. Empty if it has no word."""
        text, is_sign = asked_for(self.text)
        if not text:
            return ""
        quoted = text.replace('"', " ")
        return f'"{quoted}" *' if self.is_prefix or is_sign else f'"{quoted}"'

    @property
    def folded(self) -> tuple[list[str], bool]:
        """Its words as ``words.matches`` takes them."""
        return [word for word, _, _ in folded(self.text)], self.is_prefix


@dataclass(frozen=True, slots=True)
class Question:
    """What is looked for. ``chosen`` and ``excluded`` are pairs such as ``("source", "bank")``; of
    several sources, or kinds, any will do. ``since`` is the first day, ``until`` the first after.
    """

    wanted: tuple[Term, ...] = ()
    unwanted: tuple[Term, ...] = ()
    chosen: frozenset[tuple[str, str]] = frozenset()
    excluded: frozenset[tuple[str, str]] = frozenset()
    since: date | None = None
    until: date | None = None

    @property
    def is_empty(self) -> bool:
        """Whether nothing at all is asked."""
        return self == Question()

    def within(
        self,
        *,
        source: str | None = None,
        kind: str | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> Question:
        """The same with more filters, such as those of a command's options."""
        given = (("source", source), ("kind", kind))
        return replace(
            self,
            chosen=self.chosen | {(name, value.lower()) for name, value in given if value},
            since=_latest(self.since, since),
            until=_earliest(self.until, until),
        )


def parsed(text: str, *, typing: bool = False) -> Question:
    """The question in a text. While somebody is ``typing``, its last word may be unfinished."""
    question = Question()
    text = text[:LONGEST].translate(_QUOTES)
    for minus, name, value, is_quoted, is_prefix in islice(_parts(text), MOST_TERMS):
        asked = _filtered(question, name.lower(), value, excluded=bool(minus))
        if asked is not None:
            question = asked
            continue
        term = Term(f"{name}:{value}" if name else value, is_prefix)
        if not term.match:
            continue
        if minus:
            question = replace(question, unwanted=(*question.unwanted, term))
        else:
            is_last = typing and not is_quoted and text.endswith(value) and len(value) > 1
            term = Term(term.text, True) if is_last else term
            question = replace(question, wanted=(*question.wanted, term))
    return question


def period_of(text: str) -> tuple[date, date] | None:
    """The first day of a day, month or year such as ``2024-06``, and the first one after it."""
    found = _PERIOD.fullmatch(text)
    if not found:
        return None
    year, month, day = (int(part) if part else None for part in found.groups())
    try:
        first = date(year or 0, month or 1, day or 1)
        if day:
            return first, first + timedelta(days=1)
        if month and month < 12:
            return first, first.replace(month=month + 1)
        return first, date(first.year + 1, 1, 1)
    except (ValueError, OverflowError):
        return None


def _parts(text: str) -> Iterator[tuple[str, str, str, bool, bool]]:
    """Minus, name before a colon, value, whether it was quoted, whether an asterisk ends it."""
    for minus, name, phrase, word, star in _PART.findall(text):
        value = phrase or word
        yield minus, name, value.rstrip("*"), not word, bool(star) or value.endswith("*")


def _filtered(question: Question, name: str, value: str, *, excluded: bool) -> Question | None:
    """The question with this filter; None if it is none."""
    value = value.lower()
    if name in ("source", "kind") and value:
        if excluded:
            return replace(question, excluded=question.excluded | {(name, value)})
        return replace(question, chosen=question.chosen | {(name, value)})
    if name in ("after", "before") and not excluded and (period := period_of(value)):
        if name == "after":
            return replace(question, since=_latest(question.since, period[0]))
        return replace(question, until=_earliest(question.until, period[0]))
    return None


def _latest(one: date | None, other: date | None) -> date | None:
    return max(filter(None, (one, other)), default=None)


def _earliest(one: date | None, other: date | None) -> date | None:
    return min(filter(None, (one, other)), default=None)
