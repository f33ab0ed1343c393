"""Amounts, dates and text as banks write them."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

LARGEST_FILE_BYTES = 12_000_000
"""A statement is small: what is larger is no statement, or holds decades and can be split."""

EARLIEST, LATEST = date(1950, 1, 1), date(2100, 1, 1)

_MINUS = str.maketrans({"−": "-", "–": "-", "—": "-"})
_SIGN_AT_END = re.compile(r"^(?P<number>[^-]*[\d.,)])\s*(?P<sign>-|\+|CR|DR)\.?$", re.IGNORECASE)
_NOT_A_NUMBER = re.compile(r"[^\d.,()+-]")
_NUMBER = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,12})?|[+-]?\.\d{1,12}")


def decimal_mark(amounts: Iterable[str]) -> str:
    """The decimal mark of a file, ``.`` or ``,``: decided by all of its amounts together.

    One amount can deceive: ``1,234`` is a thousand and something in one file, and a bit more than
    one in another.
    """
    votes: Counter[str] = Counter()
    for amount in amounts:
        marks = re.findall(r"[.,]", amount)
        if not marks:
            continue
        last = marks[-1]
        digits_after = len(re.sub(r"\D", "", amount.rpartition(last)[2]))
        if len(set(marks)) == 2:
            votes[last] += 1
        elif len(marks) > 1:
            votes["," if last == "." else "."] += 1
        elif digits_after != 3:
            votes[last] += 1
    return "," if votes[","] > votes["."] else "."


def amount_of(text: str, mark: str = ".") -> Decimal:
    """The number in a cell: ``-$1,234.50``, ``(12.00)``, ``12.00-``, ``- £3``, ``7.10 CR``.

    ``mark`` is the decimal mark of the file. Raises ``ValueError``, without the text.
    """
    text = unicodedata.normalize("NFKC", text).translate(_MINUS).strip()
    negative = False
    if match := _SIGN_AT_END.match(text):
        text, negative = match["number"], match["sign"].upper() in ("-", "DR")
    text = _NOT_A_NUMBER.sub("", text)
    if text.startswith("(") and text.endswith(")"):
        text, negative = text[1:-1], True
    elif text.startswith("-(") and text.endswith(")"):
        text, negative = text[2:-1], True
    text = text.replace("." if mark == "," else ",", "").replace(mark, ".")
    if not _NUMBER.fullmatch(text):
        raise ValueError("expected an amount")
    number = Decimal(text)
    return -number if negative else number


def plain_amount(number: Decimal) -> str:
    """One way to write a number, so that equal amounts of two files are equal text."""
    return f"{number.normalize() if number else Decimal(0):f}"


_PART = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>\d{1,2})",
    "%d": r"(?P<d>\d{1,2})",
    "%b": r"(?P<b>[A-Za-z]{3})[A-Za-z]*\.?",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def date_pattern(format_: str) -> re.Pattern[str]:
    """A format of ``%Y %y %m %d %b`` as a pattern of the start of a cell; a time of day, or
    ``as of`` another date, may follow. Raises ``ValueError`` for any other code."""
    pattern = ""
    for piece in re.split(r"(%.)", format_):
        if piece.startswith("%") and piece not in _PART:
            raise ValueError(f"{piece} is not one of {', '.join(_PART)}")
        pattern += _PART.get(piece, re.escape(piece))
    found = re.compile(pattern + r"(?!\d)")
    names = set(found.groupindex)
    if not ({"Y", "y"} & names and {"m", "b"} & names and "d" in names):
        raise ValueError("expected a year, a month and a day")
    return found


def date_of(text: str, pattern: re.Pattern[str]) -> date:
    """The date at the start of a cell, not shifted by any zone. Raises ``ValueError``."""
    match = pattern.match(text.strip())
    if match is None:
        raise ValueError("expected a date")
    parts = match.groupdict()
    year = int(parts["Y"]) if parts.get("Y") else 2000 + int(parts["y"])
    month = int(parts["m"]) if parts.get("m") else _MONTHS.index(parts["b"].lower()) + 1
    return sensible(date(year, month, int(parts["d"])))


def sensible(day: date) -> date:
    """The date itself; ``ValueError`` when no statement can be of it."""
    if not EARLIEST <= day < LATEST:
        raise ValueError("expected a date between 1950 and 2100")
    return day


_OFX_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:\D|\d\d|$)")


def ofx_date(text: str) -> date:
    """The date part of an OFX time, ``20240402000000[-3:GMT]``. Raises ``ValueError``.

    The offset is left alone: banks write midnight or noon for "that day here", and a shift would
    move it to the day before.
    """
    match = _OFX_DATE.match(text.strip())
    if match is None:
        raise ValueError("expected YYYYMMDD")
    return sensible(date(*(int(part) for part in match.groups())))


def plain_text(text: str) -> str:
    """Text for comparing: entities resolved, one form of each letter, single blanks, lower case."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).casefold().split())


def decoded(content: bytes, encoding: str | None = None) -> str:
    """Text of a file: by its byte order mark, as UTF-8, else as Windows' Western code page.

    What a header says of its charset is not asked: it is often not true.
    """
    if encoding is None:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            encoding = "utf-16"
        else:
            try:
                return content.decode("utf-8-sig")
            except UnicodeDecodeError as error:
                # the head of a file may end within a letter
                if error.start >= len(content) - 3 and error.reason == "unexpected end of data":
                    return content[: error.start].decode("utf-8-sig")
                encoding = "cp1252"
    return content.decode(encoding, errors="replace").removeprefix("\ufeff")


def first_that_fits(
    texts: Sequence[str], patterns: Sequence[re.Pattern[str]]
) -> re.Pattern[str] | None:
    """The pattern under which most of the dates can be read, the earlier one of equals; None when
    no date can be read under any."""

    def fitting(pattern: re.Pattern[str]) -> int:
        count = 0
        for text in texts:
            try:
                date_of(text, pattern)
            except ValueError:
                continue
            count += 1
        return count

    counts = [fitting(pattern) for pattern in patterns]
    return patterns[counts.index(max(counts))] if any(counts) else None
