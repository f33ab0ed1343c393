"""Dates as Strava writes them, in the account's language. All are UTC."""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime

_MONTHS = (
    "jan janv ene gen sty янв ocak",
    "feb fev fevr lut фев",
    "mar mars maa mrt marz marc март мар",
    "apr abr avr kwi апр",
    "may mai mag mei maj май мая",
    "jun juin giu cze июн",
    "jul juil lug lip июл",
    "aug ago aou aout sie авг",
    "sep sept set wrz сен",
    "oct okt ott out paz окт",
    "nov lis ноя",
    "dec dez dic des gru дек",
)


def _without_accents(word: str) -> str:
    return "".join(
        each for each in unicodedata.normalize("NFKD", word) if not unicodedata.combining(each)
    )


_BY_NAME = {
    _without_accents(name): month
    for month, names in enumerate(_MONTHS, 1)
    for name in names.split()
}
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_AFTERNOON = re.compile(r"\d\s*(?:p\.?\s?m\b)|下午|午後|오후", re.IGNORECASE)
_MORNING = re.compile(r"\d\s*(?:a\.?\s?m\b)|上午|午前|오전", re.IGNORECASE)


def read_date(text: str) -> datetime | None:
    """The time given by a text such as ``Jan 15, 2024, 7:30:00 AM``; None when it is not a time."""
    # a narrow space becomes an ordinary one
    plain = unicodedata.normalize("NFKC", text).strip().lower()
    numbers = [int(each) for each in _NUMBER.findall(plain)[:6]]
    month = next((found for word in _WORD.findall(plain) if (found := _month(word))), None)
    day_first = "." in plain.partition(" ")[0] or not _is_half_day(plain)
    if month is not None and len(numbers) >= 2:
        # a day, then a year, in either order
        first, second, *clock = numbers
        year, day = (first, second) if first > 31 else (second, first)
    elif len(numbers) >= 3:
        first, second, third, *clock = numbers
        if first > 31:
            year, month, day = first, second, third
        elif (day_first or first > 12) and second <= 12:
            day, month, year = first, second, third
        else:
            month, day, year = first, second, third
    else:
        return None
    hour, minute, seconds = (*clock, 0, 0, 0)[:3]
    if _AFTERNOON.search(plain) and hour < 12:
        hour += 12
    elif _MORNING.search(plain) and hour == 12:
        hour = 0
    try:
        return datetime(year, month, day, hour, minute, seconds, tzinfo=UTC)
    except ValueError:
        return None


def _is_half_day(text: str) -> bool:
    return bool(_AFTERNOON.search(text) or _MORNING.search(text))


def _month(word: str) -> int | None:
    """By the longest prefix of the word that identifies one: June and July begin alike in
    French."""
    word = _without_accents(word)
    return next((_BY_NAME[word[:n]] for n in (4, 3, 5) if word[:n] in _BY_NAME), None)
