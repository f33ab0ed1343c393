"""Bulk parsing: blocks of XML in which every record has the form that phones write.

A block is processed as a byte array, all of its records at once. The position of the first time in
a record gives the positions of the other times and the value; the text between them repeats (who
measured what, and the metadata), and is parsed by the real parser the first time it occurs. A block
that contains anything else is left to the real parser.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from personal_pipeline.sources.apple_health.elements import Element, parse

Integers: TypeAlias = npt.NDArray[np.int64]
Octets: TypeAlias = npt.NDArray[np.uint8]

_TEXT = rb'[^"]*'
_HEAD = (
    rb'<Record (type="' + _TEXT + rb'" sourceName="' + _TEXT + rb'"(?: sourceVersion="' + _TEXT
    + rb'")?(?: device="' + _TEXT + rb'")?(?: unit="' + _TEXT + rb'")?)'
)  # fmt: skip
_METADATA = rb'(?:\s*<MetadataEntry key="' + _TEXT + rb'" value="' + _TEXT + rb'"/>)*'
# text that needs no escaping in XML or JSON; U+202F precedes AM and PM
_PLAIN = rb"(?:[ !#-%'-;=-\[\]-~]|\xe2\x80\xaf)*"
_BEAT_FORM = (
    rb'<InstantaneousBeatsPerMinute bpm="(' + _PLAIN + rb')" time="(' + _PLAIN + rb')"/>\s*'
)
_BEATS = (
    rb"\s*<HeartRateVariabilityMetadataList>\s*((?:" + re.sub(rb"\((?!\?)", rb"(?:", _BEAT_FORM)
    + rb")*)</HeartRateVariabilityMetadataList>"
)  # fmt: skip
_BEAT = re.compile(_BEAT_FORM)
"""Groups: the rate, the time."""
_FIRST = re.compile(rb"\s*" + _HEAD)
_BETWEEN = re.compile(
    rb"(?:/>|>(" + _METADATA + rb")(?:" + _BEATS + rb")?\s*</Record>)\s*(?:" + _HEAD + rb")?"
)
"""From the end of one record's value to the first time of the next. Groups: the first record's
metadata, its heartbeats, and who measured the next."""

_VALUE = bytes({*range(0x20, 0x7F)} - {*b'"&<'})
"""Bytes allowed in a value: printable ASCII that needs no unescaping."""

_TIME = b"0000-00-00 00:00:00 +0000"
_FORM = (
    b' creationDate="' + _TIME + b'" startDate="' + _TIME + b'" endDate="' + _TIME + b'" value="'
)
"""The part that is identical in every record, except for digits and the sign of the offset."""
_TIMES_AT = [match.start() for match in re.finditer(re.escape(_TIME), _FORM)]
_SIGNS_AT = [place + _TIME.index(b"+") for place in _TIMES_AT]
_QUOTES = _FORM.count(b'"')
"""The number of quotes from the one before a record's first time to the one after its value."""
_WORD = 8
_ROW = -(-len(_FORM) // _WORD) * _WORD
_MARGIN = _ROW
_PATTERN = np.frombuffer(_FORM.ljust(_ROW, b"\0"), "<u8")
_KEPT = np.frombuffer(b"\xff" * len(_FORM) + bytes(_ROW - len(_FORM)), "<u8")
_MINUS_DIFFERS = ord("+") ^ ord("-")
_MAX_DIFFERENT = np.array(
    [9 if octet == ord("0") else _MINUS_DIFFERS if octet == ord("+") else 0 for octet in _FORM]
    + [0] * (_ROW - len(_FORM)),
    np.uint8,
)
"""The maximum difference of each byte from the form: a digit differs from zero by its value."""
_LETTER_BEFORE = len(b'nDate="') - 1
_LETTER = ord("n")
"""Of all attribute and entry names, only that of the first time has this letter at this distance
before its quote."""
_BETWEEN_QUOTES = len(_TIME) + 1
"""From the quote before a time to the one after it."""

_MINUS = 10_000
_ZONES = 2 * _MINUS
OFFSETS = _ZONES**3
"""Greater than any number that encodes three offsets."""
_FIRST_YEAR, _LAST_YEAR = 1900, 2199
_FIRST_DAYS = (
    np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-02", dtype="datetime64[M]")
    .astype("datetime64[D]")
    .astype(np.int64)
)
"""The first day of each month, in days since 1970."""
_MAX_KNOWN_BYTES = 5_000_000
_MAX_ALIKE = 16
_NONE = -1


class Texts(NamedTuple):
    """Concatenated UTF-8 texts, with their sizes in bytes."""

    content: bytes
    sizes: Integers


@dataclass(frozen=True, slots=True)
class Batch:
    """Records as columns. Heads, metadata and heartbeats are what the ``Cutter``'s functions return
    for them; empty where there are none. Times are seconds since 1970 in UTC; ``offsets_of``
    decodes the offsets they are written with."""

    heads: Integers
    values: Texts
    metadata: Texts
    beats: Texts
    created: Integers
    started: Integers
    ended: Integers
    offsets: Integers


class Cutter:
    """Cuts blocks into records.

    ``head`` receives an element with the attributes that say who measured what, ``metadata`` one
    with the entries, and ``beats`` the rate and time of each heartbeat, once per distinct text;
    their results are used in the batches. A block for which ``head`` or ``beats`` returns None is
    rejected.
    """

    def __init__(
        self,
        head: Callable[[Element], int | None],
        metadata: Callable[[Element], str],
        beats: Callable[[list[tuple[bytes, bytes]]], bytes],
    ) -> None:
        self._head = head
        self._metadata = metadata
        self._beats = beats
        self._forget()

    def _forget(self) -> None:
        self._heads: dict[bytes, int | None] = {}
        # each distinct text between two records: its number, then what it contains
        self._known: dict[bytes, int] = {}
        self._known_bytes = 0
        self._metadata_of: list[bytes] = []
        self._beats_of: list[bytes] = []
        self._following: list[int] = []

    def cut(self, block: bytes | memoryview) -> Batch | None:
        """The records of a block that contains nothing else; None otherwise."""
        content = b"".join((bytes(_MARGIN), block, bytes(_MARGIN)))
        octets = np.frombuffer(content, np.uint8)
        quotes = np.flatnonzero(octets == ord('"'))
        # hardly anything else has three consecutive texts with the length of a time
        timed = np.diff(quotes) == _BETWEEN_QUOTES
        candidates = np.flatnonzero(timed[:-4] & timed[2:-2] & timed[4:])
        # except a value of that length, following the last two times
        candidates = candidates[octets[quotes[candidates] - _LETTER_BEFORE] == _LETTER]
        if not len(candidates) or candidates[-1] + _QUOTES >= len(quotes):
            return None
        forms = quotes[candidates] - _FORM.index(b'"')
        times = _times(_rows(content, forms, _ROW))
        if times is None:
            return None
        values, ends = forms + len(_FORM), quotes[candidates + _QUOTES]
        sizes = ends - values
        # the position of every byte of all values
        places = np.repeat(values - (np.cumsum(sizes) - sizes), sizes) + np.arange(sizes.sum())
        texts = octets[places].tobytes()
        if texts.translate(None, _VALUE):
            return None
        first = _FIRST.fullmatch(content, _MARGIN, int(forms[0]))
        head = self._head_of(first[1]) if first else None
        numbers = self._between(content, ends + 1, np.append(forms[1:], len(content) - _MARGIN))
        if head is None or numbers is None:
            return None
        following = np.array(self._following)[numbers]
        # the last record of a block has none after it
        if following[-1] != _NONE or (following[:-1] == _NONE).any():
            return None
        seconds, zones = times
        return Batch(
            heads=np.append(head, following[:-1]),
            values=Texts(texts, sizes),
            metadata=_taken(self._metadata_of, numbers),
            beats=_taken(self._beats_of, numbers),
            created=seconds[0],
            started=seconds[1],
            ended=seconds[2],
            offsets=(zones[0] * _ZONES + zones[1]) * _ZONES + zones[2],
        )

    def _between(self, content: bytes, starts: Integers, ends: Integers) -> Integers | None:
        """The numbers of the texts between the records; None when any is something else."""
        if self._known_bytes > _MAX_KNOWN_BYTES:
            self._forget()
        sizes = ends - starts
        if sizes.min() <= 0:
            return None
        numbers = np.empty(len(sizes), np.int64)
        for size in np.unique(sizes).tolist():
            left = np.flatnonzero(sizes == size)
            texts = _rows(content, starts[left], size)
            # most are equal to another one, and are compared all at once
            for _ in range(_MAX_ALIKE):
                number = self._number(texts[0].tobytes())
                if number is None:
                    return None
                same = (texts == texts[0]).all(axis=1)
                numbers[left[same]] = number
                left, texts = left[~same], texts[~same]
                if not len(left):
                    break
            for place, text in zip(left.tolist(), texts, strict=True):
                number = self._number(text.tobytes())
                if number is None:
                    return None
                numbers[place] = number
        return numbers

    def _number(self, text: bytes) -> int | None:
        number = self._known.get(text)
        if number is None:
            read = self._read(text)
            if read is None:
                return None
            number = self._known[text] = len(self._known)
            self._known_bytes += len(text)
            metadata, beats, following = read
            self._metadata_of.append(metadata)
            self._beats_of.append(beats)
            self._following.append(following)
        return number

    def _read(self, text: bytes) -> tuple[bytes, bytes, int] | None:
        """Metadata and heartbeats of one record, and the head of the next, if any."""
        match = _BETWEEN.fullmatch(text)
        if match is None:
            return None
        entries, heartbeats, attributes = match.groups()
        element = parse(b"<Record>%b</Record>" % (entries or b""))
        head = self._head_of(attributes) if attributes else _NONE
        if element is None or head is None:
            return None
        beats = b"" if heartbeats is None else self._beats(_BEAT.findall(heartbeats))
        return self._metadata(element).encode(), beats, head

    def _head_of(self, attributes: bytes) -> int | None:
        if attributes not in self._heads:
            element = parse(b"<Record %b/>" % attributes)
            self._heads[attributes] = self._head(element) if element else None
        return self._heads[attributes]


def _taken(known: list[bytes], numbers: Integers) -> Texts:
    sizes = np.array([len(each) for each in known])[numbers]
    return Texts(b"".join([known[each] for each in numbers.tolist()] if sizes.any() else ()), sizes)


def _rows(content: bytes, starts: Integers, size: int) -> Octets:
    """``size`` bytes from each of the positions, one row per position."""
    found = np.ndarray((len(content) - size + 1,), f"V{size}", content, strides=(1,))[starts]
    return found.view(np.uint8).reshape(-1, size)


def _times(rows: Octets) -> tuple[Integers, Integers] | None:
    """For rows in the form: seconds since 1970, and offsets as a number of hours and minutes, plus
    10,000 for a minus. Three of each, in the order of the form, by row. None when a row is not in
    the form, or contains an invalid time.

    Three words hold the digits of a time except the last, one digit per byte; ten times the word
    plus the word shifted by one byte gives two digits as a number.
    """
    digits = ((rows.view("<u8") ^ _PATTERN) & _KEPT).view(np.uint8)
    signs = digits[:, _SIGNS_AT].T
    if (digits > _MAX_DIFFERENT).any() or ((signs != 0) & (signs != _MINUS_DIFFERS)).any():
        return None
    last = [place + len(_TIME) - 1 for place in _TIMES_AT]
    words = np.stack([digits[:, place - 3 * _WORD : place] for place in last]).view("<u8")
    pairs = (words * np.uint64(10) + (words >> np.uint64(8))).view(np.uint8)

    def pair(at: int) -> Integers:
        return pairs[:, :, at].astype(np.int64)

    year, month, day = pair(0) * 100 + pair(2), pair(5), pair(8)
    hour, minute, second = pair(11), pair(14), pair(17)
    zone_hour, zone_minute = pair(21), digits[:, [place - 1 for place in last]].T * np.int64(10)
    zone_minute += digits[:, last].T
    if (
        year.min() < _FIRST_YEAR or year.max() > _LAST_YEAR or month.min() < 1 or month.max() > 12
        or day.min() < 1 or hour.max() > 23 or minute.max() > 59 or second.max() > 59
        or zone_hour.max() > 19 or zone_minute.max() > 59
    ):  # fmt: skip
        return None
    months = (year - _FIRST_YEAR) * 12 + month - 1
    days = _FIRST_DAYS[months] + day - 1
    if (days >= _FIRST_DAYS[months + 1]).any():
        return None
    minus = signs != 0
    offset = (zone_hour * 60 + zone_minute) * 60
    seconds = days * 86_400 + (hour * 60 + minute) * 60 + second
    zone = zone_hour * 100 + zone_minute
    return seconds - np.where(minus, -offset, offset), zone + minus * np.int64(_MINUS)


def offsets_of(number: int) -> str:
    """The offsets of creation, start and end; only one if all three are equal."""
    rest, ended = divmod(number, _ZONES)
    three = [_offset(each) for each in (*divmod(rest, _ZONES), ended)]
    return three[0] if len(set(three)) == 1 else " ".join(three)


def _offset(number: int) -> str:
    return f"{'-' if number >= _MINUS else '+'}{number % _MINUS:04}"
