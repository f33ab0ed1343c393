"""Records in bulk: blocks of the XML in which every record has the form that every phone writes.

A block is looked at as an array of octets, all of its records at once. Where the times and the
value of each stand is known from where its first time stands; what is between them repeats (who
measured what, and the metadata), and is read by the real parser the first time that it occurs. A
block that holds anything else is not taken: it is for the real parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from personal_pipeline.sources.apple_health.elements import Element, parse

Integers: TypeAlias = npt.NDArray[np.int64]
Texts: TypeAlias = npt.NDArray[np.object_]

_TEXT = rb'[^"]*'
_HEAD = (
    rb'<Record (type="' + _TEXT + rb'" sourceName="' + _TEXT + rb'"(?: sourceVersion="' + _TEXT
    + rb'")?(?: device="' + _TEXT + rb'")?(?: unit="' + _TEXT + rb'")?)'
)  # fmt: skip
_METADATA = rb'(?:\s*<MetadataEntry key="' + _TEXT + rb'" value="' + _TEXT + rb'"/>)*'
_FIRST = re.compile(rb"\s*" + _HEAD)
_BETWEEN = re.compile(rb"(?:/>|>(" + _METADATA + rb")\s*</Record>)\s*(?:" + _HEAD + rb")?")
"""From behind the value of one record to the first time of the next. Groups: the metadata of the
one, who measured the next."""

_VALUE = bytes({*range(0x20, 0x7F)} - {*b'"&<'})
"""What a value may hold: nothing that has to be unescaped, or that is not ASCII."""

_CREATED, _STARTED, _ENDED, _VALUED = (
    b' creationDate="', b'" startDate="', b'" endDate="', b'" value="'
)  # fmt: skip
_TIME_SIZE = len("2026-11-21 06:00:00 +0100")
_WORD = 8
_QUOTES = 7
"""From the one before a record's first time to the one behind its value."""
_MARGIN = 2 * _WORD
_SEPARATORS = {4: b"-", 7: b"-", 10: b" ", 13: b":", 16: b":", 19: b" "}
_SIGN = 20
_MINUS = 10_000
_ZONES = 2 * _MINUS
OFFSETS = _ZONES**3
"""More than any number of three offsets."""
_YEARS = (1900, 9000)
_MOST_KNOWN = 20_000
_NONE = -1


@dataclass(frozen=True, slots=True)
class Batch:
    """Records, a column each. Heads and metadata are what the ``Cutter``'s functions make of them.
    Times are seconds since 1970 in UTC; ``offsets_of`` says with which offsets they are written."""

    heads: Integers
    metadata: Texts
    values: list[str]
    created: Integers
    started: Integers
    ended: Integers
    offsets: Integers


class Cutter:
    """Cuts blocks into records.

    ``head`` gets an element with what is said of who measured what, and ``metadata`` one with the
    entries, once for each form; what they give stands in the batches. A block that holds something
    for which they give None is not taken.
    """

    def __init__(
        self,
        head: Callable[[Element], int | None],
        metadata: Callable[[Element], str | None],
    ) -> None:
        self._head = head
        self._metadata = metadata
        self._heads: dict[bytes, int | None] = {}
        # what can stand between two records: its number, then what it says
        self._known: dict[bytes, int] = {}
        self._metadata_of: list[str] = []
        self._following: list[int] = []

    def cut(self, block: bytes | memoryview) -> Batch | None:
        """The records of a block that holds them and nothing else; None when that is not so."""
        content = b"".join((bytes(_MARGIN), block, bytes(_MARGIN)))
        octets = np.frombuffer(content, np.uint8)
        words = np.ndarray((len(content) - _WORD + 1,), "<u8", content, strides=(1,))
        quotes = np.flatnonzero(octets == ord('"'))
        # hardly anything else ends like it
        candidates = np.flatnonzero(words[quotes - _WORD + 1] == _word(_CREATED[-_WORD:]))
        if not len(candidates) or candidates[-1] + _QUOTES >= len(quotes):
            return None
        created = quotes[candidates] + 1
        started = created + _TIME_SIZE + len(_STARTED)
        ended = started + _TIME_SIZE + len(_ENDED)
        values = ended + _TIME_SIZE + len(_VALUED)
        if values[-1] > len(content) - _MARGIN:
            return None
        for start, text in (
            (created, _CREATED), (started, _STARTED), (ended, _ENDED), (values, _VALUED)
        ):  # fmt: skip
            if not _stands(words, start - len(text), text):
                return None
        ends = quotes[candidates + _QUOTES]
        texts = _slices(content, values.tolist(), ends.tolist())
        if b"".join(texts).translate(None, _VALUE):
            return None
        times = _times(words, np.concatenate((created, started, ended)))
        between = self._between(content, (created - len(_CREATED)).tolist(), (ends + 1).tolist())
        if times is None or between is None:
            return None
        seconds, zones = (each.reshape(3, -1) for each in times)
        heads, metadata = between
        return Batch(
            heads=heads,
            metadata=metadata,
            values=b"\n".join(texts).decode().split("\n"),
            created=seconds[0],
            started=seconds[1],
            ended=seconds[2],
            offsets=(zones[0] * _ZONES + zones[1]) * _ZONES + zones[2],
        )

    def _between(
        self, content: bytes, ends: list[int], starts: list[int]
    ) -> tuple[Integers, Texts] | None:
        """Heads, which end at ``ends``, and metadata, which begin at ``starts``."""
        first = _FIRST.fullmatch(content, _MARGIN, ends[0])
        head = self._head_of(first[1]) if first else None
        if head is None:
            return None
        ends = [*ends[1:], len(content) - _MARGIN]
        numbers = self._numbers(_slices(content, starts, ends))
        if numbers is None:
            return None
        following = np.array(self._following)[numbers]
        # the last one of a block has no other behind it
        if following[-1] != _NONE or (following[:-1] == _NONE).any():
            return None
        return np.append(head, following[:-1]), np.array(self._metadata_of, object)[numbers]

    def _numbers(self, texts: list[bytes]) -> Integers | None:
        if len(self._known) > _MOST_KNOWN:
            self._heads, self._known, self._metadata_of, self._following = {}, {}, [], []
        known = self._known.get
        numbers = np.fromiter((known(text, _NONE) for text in texts), np.int64, len(texts))
        for place in np.flatnonzero(numbers == _NONE).tolist():
            number = known(texts[place], _NONE)
            if number == _NONE:
                read = self._read(texts[place])
                if read is None:
                    return None
                number = self._known[texts[place]] = len(self._known)
                self._metadata_of.append(read[0])
                self._following.append(read[1])
            numbers[place] = number
        return numbers

    def _read(self, text: bytes) -> tuple[str, int] | None:
        """Metadata of one record, and the head of the next, if there is one."""
        match = _BETWEEN.fullmatch(text)
        element = parse(b"<Record>%b</Record>" % (match[1] or b"")) if match else None
        if match is None or element is None:
            return None
        metadata = self._metadata(element)
        head = self._head_of(match[2]) if match[2] else _NONE
        return None if metadata is None or head is None else (metadata, head)

    def _head_of(self, attributes: bytes) -> int | None:
        if attributes not in self._heads:
            element = parse(b"<Record %b/>" % attributes)
            self._heads[attributes] = self._head(element) if element else None
        return self._heads[attributes]


def _slices(content: bytes, starts: list[int], ends: list[int]) -> list[bytes]:
    return [content[start:end] for start, end in zip(starts, ends, strict=True)]


def _word(text: bytes) -> int:
    return int.from_bytes(text, "little")


def _stands(words: npt.NDArray[np.uint64], at: Integers, text: bytes) -> bool:
    """Whether the text, of 8 to 16 octets, stands at all of the places."""
    first, last = words[at], words[at + len(text) - _WORD]
    return bool((first == _word(text[:_WORD])).all() and (last == _word(text[-_WORD:])).all())


def _times(words: npt.NDArray[np.uint64], at: Integers) -> tuple[Integers, Integers] | None:
    """Seconds since 1970, and offsets, of the times that stand at the places: hours and minutes as
    a number, and 10,000 more for a minus. None when one of them is no time."""
    each = np.stack([words[at + step] for step in (0, 8, 16, _TIME_SIZE - _WORD)], axis=1)
    octets = np.ascontiguousarray(each.view(np.uint8).T)
    # the last word overlaps the one before it
    octets = np.concatenate((octets[: 3 * _WORD], octets[-1:]))
    minus = octets[_SIGN] == ord("-")
    if not (minus | (octets[_SIGN] == ord("+"))).all() or any(
        (octets[place] != ord(mark)).any() for place, mark in _SEPARATORS.items()
    ):
        return None
    digits = octets - ord("0")
    if (np.delete(digits, [*_SEPARATORS, _SIGN], axis=0) > 9).any():
        return None

    def pair(place: int) -> Integers:
        both: Integers = digits[place] * np.int64(10) + digits[place + 1]
        return both

    year, month, day = pair(0) * 100 + pair(2), pair(5), pair(8)
    hour, minute, second = pair(11), pair(14), pair(17)
    zone_hour, zone_minute = pair(21), pair(23)
    months = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    first, following = (
        each.astype("datetime64[D]").astype(np.int64) for each in (months, months + 1)
    )
    if (
        (year < _YEARS[0]) | (year > _YEARS[1]) | (month < 1) | (month > 12)
        | (day < 1) | (day > following - first) | (hour > 23) | (minute > 59) | (second > 59)
        | (zone_hour > 19) | (zone_minute > 59)
    ).any():  # fmt: skip
        return None
    offset = (zone_hour * 60 + zone_minute) * 60
    seconds = (first + day - 1) * 86_400 + hour * 3600 + minute * 60 + second
    zone = zone_hour * 100 + zone_minute
    return seconds - np.where(minus, -offset, offset), zone + minus * np.int64(_MINUS)


def offsets_of(number: int) -> str:
    """The offsets of creation, start and end; once where all three are the same."""
    rest, ended = divmod(number, _ZONES)
    three = [_offset(each) for each in (*divmod(rest, _ZONES), ended)]
    return three[0] if len(set(three)) == 1 else " ".join(three)


def _offset(number: int) -> str:
    return f"{'-' if number >= _MINUS else '+'}{number % _MINUS:04}"
