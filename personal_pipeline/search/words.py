"""What a word is, in the index, in a question and in a text whose matches are highlighted.

FTS5's ``unicode61`` splits at everything but letters, marks and digits, and ignores case and
diacritics. It takes a sentence of Chinese, Japanese, Thai or Lao for one word, and a Korean word
with its particle for another one. So runs of these scripts are indexed as pairs of signs, each run
followed by its last sign: ``東京都`` as ``東京 京都 都``. A question is paired likewise, so that
it finds any part of a run; a single sign is found by prefix.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import TypeAlias

Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""A text in pieces, in order, each with whether it was looked for."""

TOKENIZER = "unicode61 remove_diacritics 2 categories 'L* N* M* Co'"
"""With marks, which in Thai or Hindi are vowels. Signs of the private area are ours: texts are
indexed without."""

_PAIRED = (
    "\u0e00-\u0eff"  # Thai, Lao
    "\u1000-\u109f\u1780-\u17ff"  # Burmese, Khmer
    "\u3005-\u3007\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Chinese characters
    "\uac00-\ud7a3"  # Korean
)
_RUN = re.compile(f"[{_PAIRED}]+")
_NOT_INDEXED = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ue000-\uf8ff]")
_ASCII_WORD = re.compile("[a-z0-9]+")
_DIACRITICS_END = 0x0530
"""From here on, marks distinguish words."""

SNIPPET_LENGTH = 140
MOST_READ = 20_000
"""How many characters of a text are looked through for what to highlight."""


def indexed(text: str | None) -> str | None:
    """A text as FTS5 gets it."""
    if text is None or text.isascii():
        return text
    return _RUN.sub(lambda run: f" {_pairs(run[0])} {run[0][-1]} ", _normal(text))


def asked_for(text: str) -> tuple[str, bool]:
    """A word or phrase of a question as FTS5 gets it, and whether it is but the beginning of a
    word. Empty if nothing of it is indexed."""
    text = _normal(text)
    while text and not _is_token(text[-1]):
        text = text[:-1]
    if not any(map(_is_token, text)):
        return "", False

    def paired(run: re.Match[str]) -> str:
        if len(run[0]) == 1:
            return f" {run[0]} "
        # more signs may follow the last one of a question
        last = "" if run.end() == len(text) else run[0][-1]
        return f" {_pairs(run[0])} {last} "

    is_single = _RUN.fullmatch(text[-1]) and not _RUN.fullmatch(text[-2:-1])
    return _RUN.sub(paired, text).strip(), bool(is_single)


def _pairs(run: str) -> str:
    return " ".join(run[place : place + 2] for place in range(len(run) - 1))


def _normal(text: str) -> str:
    return _NOT_INDEXED.sub(" ", unicodedata.normalize("NFKC", text))


def _is_token(char: str) -> bool:
    return unicodedata.category(char)[0] in "LNM"


# ---------------------------------------------------------------------------------- highlighting


def folded(text: str) -> list[tuple[str, int, int]]:
    """The words of a text without case and diacritics, each with its beginning and end. Signs that
    are indexed in pairs are words of their own."""
    if text.isascii():
        found = _ASCII_WORD.finditer(text.lower())
        return [(each[0], each.start(), each.end()) for each in found]
    words: list[tuple[str, int, int]] = []
    begun: list[str] = []
    start = 0
    for place, char in enumerate(text):
        plain = _folded_char(char)
        is_own = plain is not None and _RUN.fullmatch(plain) is not None
        if begun and (plain is None or is_own):
            words.append(("".join(begun), start, place))
            begun = []
        if plain is None:
            continue
        if is_own:
            words.append((plain, place, place + 1))
            continue
        if not begun:
            start = place
        begun.append(plain)
    if begun:
        words.append(("".join(begun), start, len(text)))
    return [word for word in words if word[0]]


@lru_cache(maxsize=20_000)
def _folded_char(char: str) -> str | None:
    """None if a word ends there; empty if it is only a diacritic."""
    plain = _normal(char).lower()
    if _RUN.fullmatch(plain):
        return plain
    parts = unicodedata.normalize("NFD", plain)
    if len(parts) > 1 and ord(parts[0]) < _DIACRITICS_END:
        plain = "".join(each for each in parts if not unicodedata.combining(each))
    if unicodedata.combining(plain[:1] or " ") and ord(plain[0]) < _DIACRITICS_END:
        return ""
    return plain if plain and all(map(_is_token, plain)) else None


def matches(text: str, terms: Sequence[tuple[Sequence[str], bool]]) -> list[tuple[int, int]]:
    """Where a text has one of these sequences of folded words, of which the last may be but the
    beginning of one: non-overlapping spans, in order."""
    words = folded(text[:MOST_READ])
    plain = [word for word, _, _ in words]
    spans = []
    for term, is_prefix in terms:
        length = len(term)
        for place in _places(plain, term[0], is_prefix=is_prefix and length == 1):
            end = place + length
            if end <= len(words) and _is_there(plain[place:end], term, is_prefix=is_prefix):
                spans.append((words[place][1], words[end - 1][2]))
    joined: list[tuple[int, int]] = []
    for start, stop in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(stop, joined[-1][1]))
        else:
            joined.append((start, stop))
    return joined


def _places(words: Sequence[str], first: str, *, is_prefix: bool) -> Iterator[int]:
    for place, word in enumerate(words):
        if word == first or (is_prefix and word.startswith(first)):
            yield place


def _is_there(words: Sequence[str], term: Sequence[str], *, is_prefix: bool) -> bool:
    if list(words[:-1]) != list(term[:-1]):
        return False
    return words[-1].startswith(term[-1]) if is_prefix else words[-1] == term[-1]


def pieces_of(text: str, spans: Sequence[tuple[int, int]]) -> Pieces:
    """The text cut at these spans."""
    pieces = []
    done = 0
    for start, stop in spans:
        pieces += [(text[done:start], False), (text[start:stop], True)]
        done = stop
    pieces.append((text[done:], False))
    return tuple(piece for piece in pieces if piece[0])


def snippet_of(text: str, spans: Sequence[tuple[int, int]], length: int = SNIPPET_LENGTH) -> Pieces:
    """The part of a text around its first match, of about ``length`` characters."""
    first = spans[0][0] if spans else 0
    start = max(0, min(first - length // 4, len(text) - length))
    if start:
        # not in the middle of a word, where there are spaces
        space = text.find(" ", start, first)
        start = space + 1 if space >= 0 else start
    stop = start + length
    inside = [(max(a, start) - start, min(b, stop) - start) for a, b in spans if start <= a < stop]
    before = (("…", False),) if start else ()
    after = (("…", False),) if stop < len(text) else ()
    return (*before, *pieces_of(text[start:stop], inside), *after)
