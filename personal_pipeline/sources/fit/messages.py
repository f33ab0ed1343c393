"""FIT: the messages of a file, as whole columns.

A FIT file is a header, messages, and a checksum; the fields of a message are defined somewhere
before it. What the numbers of messages, fields and types mean (names, scales and units) is taken
from fitdecode's profile. The bytes are decoded here: messages with the same definition are cut out
together and read as columns, and where a file is broken, reading resumes after the break.

Format: Garmin's Flexible and Interoperable Data Transfer protocol, version 2.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from personal_pipeline.sources.fit.formats import is_fit

EPOCH = 631_065_600
"""The FIT epoch, 1989-12-31T00:00:00Z, in seconds since 1970."""
OLDEST_MOMENT = 0x10000000
"""A smaller value is not a timestamp: it counts seconds since the device was switched on."""
DEGREES = 180 / 2**31
"""Degrees per semicircle, the unit of positions."""

FILE_ID, USER_PROFILE, ZONES_TARGET, SPORT = 0, 3, 7, 12
SESSION, LAP, RECORD, DEVICE, ACTIVITY = 18, 19, 20, 23, 34
_FIELD_DESCRIPTION = 206
READ = frozenset(
    (FILE_ID, USER_PROFILE, ZONES_TARGET, SPORT, SESSION, LAP, RECORD, DEVICE, ACTIVITY,
     _FIELD_DESCRIPTION)
)  # fmt: skip
"""The message types that are read; others are skipped."""
_TIMESTAMP = 253

_MAX_PAUSE = 24 * 3600
_MAX_DISORDER = 60
"""In a damaged file, the maximum number of seconds by which a record may come after or before the
previous one."""
_MAX_MESSAGES = 5_000_000
"""Per definition; two months at one per second."""

Number: TypeAlias = npt.NDArray[np.float64]
Column: TypeAlias = Number | list[Any]
"""Numbers, with NaN for missing values; or lists and texts, with None."""


@dataclass(frozen=True, slots=True)
class BaseType:
    """The binary encoding of a number. ``invalid`` is the value that means "missing"."""

    code: str
    size: int
    invalid: int | None


_BYTE = BaseType("u1", 1, 0xFF)
_STRING = 0x07
_BASE_TYPES = {
    0x00: _BYTE,
    0x01: BaseType("i1", 1, 0x7F),
    0x02: _BYTE,
    0x83: BaseType("i2", 2, 0x7FFF),
    0x84: BaseType("u2", 2, 0xFFFF),
    0x85: BaseType("i4", 4, 0x7FFFFFFF),
    0x86: BaseType("u4", 4, 0xFFFFFFFF),
    _STRING: BaseType("u1", 1, None),
    0x88: BaseType("f4", 4, None),
    0x89: BaseType("f8", 8, None),
    0x0A: BaseType("u1", 1, 0),
    0x8B: BaseType("u2", 2, 0),
    0x8C: BaseType("u4", 4, 0),
    0x0D: _BYTE,
    0x8E: BaseType("i8", 8, 0x7FFFFFFFFFFFFFFF),
    0x8F: BaseType("u8", 8, 0xFFFFFFFFFFFFFFFF),
    0x90: BaseType("u8", 8, 0),
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field in a definition. ``base`` is the number of its base type; a developer field has none,
    and ``developer`` is its developer data index."""

    number: int
    size: int
    base: int | None
    developer: int | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """The layout of messages. ``order`` is ``<`` or ``>``."""

    message: int
    order: str
    fields: tuple[Field, ...]

    @property
    def size(self) -> int:
        return sum(each.size for each in self.fields)


@dataclass(slots=True)
class Group:
    """All messages with one definition: the position of each in the file, after its header."""

    definition: Definition
    size: int
    time_at: int | None
    """The offset of the timestamp within a message."""
    is_kept: bool
    """Whether messages of this type are read at all."""
    positions: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Part:
    """One FIT file; files may be concatenated."""

    content: bytes
    groups: dict[Definition, Group] = field(default_factory=dict)
    offsets: dict[int, int] = field(default_factory=dict)
    """For messages with a compressed timestamp header: position and the five bits of their time."""
    problems: list[str] = field(default_factory=list)

    def of(self, message: int) -> Iterator[Group]:
        """The non-empty groups of a message type."""
        return (
            each
            for each in self.groups.values()
            if each.definition.message == message and each.positions
        )


def parts(content: bytes) -> list[Part]:
    """Split a file into its parts. Whatever is broken is reported in ``problems``, and affects
    nothing else."""
    found: list[Part] = []
    start = 0
    while is_fit(content[start : start + 14]):
        header, size = content[start], struct.unpack_from("<I", content, start + 4)[0]
        begin = start + header
        part = Part(content)
        found.append(part)
        end = begin + size
        if size == 0 or end + 2 > len(content):
            part.problems.append(
                f"the file is truncated: its header says {size:,} bytes, but there are "
                f"{len(content) - begin:,}"
                if size
                else "the device did not finish the file: its length is not set"
            )
            # without a checksum at the end, or with a partial one
            end = len(content) if size == 0 else min(end, len(content))
            _walk(part, begin, end, is_whole=False, is_cut=True)
            break
        is_whole = checksum(content[start : end + 2]) == 0
        if not is_whole:
            part.problems.append("the checksum is wrong: the file was altered")
        _walk(part, begin, end, is_whole=is_whole)
        start = end + 2
    return found


def _walk(part: Part, position: int, end: int, *, is_whole: bool, is_cut: bool = False) -> None:
    """Find the messages between two positions. In a damaged file every message is checked, because
    after a fault anything may look like one."""
    content = part.content
    local: list[Group | None] = [None] * 16
    last = lost = faults = 0
    while position < end:
        header = content[position]
        if header & 0xC0 == 0x40:
            behind = _define(part, local, position, end, is_strict=not is_whole)
            if behind is not None:
                position = behind
                continue
        else:
            group = local[header >> 5 & 3 if header & 0x80 else header & 15]
            if group is not None and position + 1 + group.size <= end:
                time = -1 if is_whole else _plausible_time(part, group, position + 1, last)
                if time is not None:
                    if time > last:
                        last = time
                    if group.is_kept and len(group.positions) < _MAX_MESSAGES:
                        group.positions.append(position + 1)
                    if header & 0x80:
                        part.offsets[position + 1] = header & 31
                    position += 1 + group.size
                    continue
        behind = _behind_break(part, local, position + 1, end, last)
        if behind is None and is_cut:
            break  # the message in which the file ends
        faults += 1
        lost += (end if behind is None else behind) - position
        if behind is None:
            break
        position = behind
    if lost:
        places = f", in {faults:,} places" if faults > 1 else ""
        part.problems.append(f"{lost:,} bytes in it are not messages{places}")


def _plausible_time(part: Part, group: Group, position: int, last: int) -> int | None:
    """The time of a record; 0 for other messages, and None if it cannot be the next one."""
    if group.time_at is None:
        return 0
    time = _time(part, group, position)
    is_record = group.definition.message == RECORD
    if not last or not time or -_MAX_DISORDER <= time - last <= _MAX_PAUSE:
        return time if is_record else 0
    return None if is_record or time > last else 0


def _define(
    part: Part, local: list[Group | None], position: int, end: int, *, is_strict: bool
) -> int | None:
    """Read a definition; returns the position of the next message, or None when this is not a
    definition."""
    content = part.content
    header, at = content[position], position + 6
    if at > end:
        return None
    order = ">" if content[position + 2] else "<"
    message: int = struct.unpack_from(f"{order}H", content, position + 3)[0]
    behind = at + 3 * content[position + 5]
    if content[position + 2] > 1 or behind > end:
        return None
    triples = [tuple(content[each : each + 3]) for each in range(at, behind, 3)]
    if is_strict and (
        content[position + 1]
        or not triples
        or any(base not in _BASE_TYPES or not size for _, size, base in triples)
    ):
        return None
    fields = [Field(number, size, base) for number, size, base in triples]
    if header & 0x20:
        if behind >= end:
            return None
        at, behind = behind + 1, behind + 1 + 3 * content[behind]
        if behind > end:
            return None
        triples = [tuple(content[each : each + 3]) for each in range(at, behind, 3)]
        fields += [Field(number, size, None, whose) for number, size, whose in triples]
    definition = Definition(message, order, tuple(fields))
    group = part.groups.get(definition)
    if group is None:
        offset = 0
        time_at = None
        for each in fields:
            if each.number == _TIMESTAMP and each.developer is None and each.size == 4:
                time_at = offset
            offset += each.size
        group = part.groups[definition] = Group(
            definition, definition.size, time_at, message in READ or time_at is not None
        )
    local[header & 15] = group
    return behind


def _behind_break(
    part: Part, local: list[Group | None], position: int, end: int, last: int
) -> int | None:
    """Where reading can resume: at the next three records whose times follow each other and the
    last one read."""
    known = {
        number: group
        for number, group in enumerate(local)
        if group and group.definition.message == RECORD and group.time_at is not None
    }
    if not known:
        return None
    for at in range(position, end):
        group = known.get(part.content[at])
        if group is None:
            continue
        step = group.size + 1
        if at + 3 * step > end or any(
            part.content[at + number * step] != part.content[at] for number in (1, 2)
        ):
            continue
        times = [_time(part, group, at + 1 + number * step) for number in range(3)]
        if (
            times[0] >= OLDEST_MOMENT
            and (not last or -_MAX_DISORDER <= times[0] - last <= _MAX_PAUSE)
            and all(0 <= b - a <= 600 for a, b in pairwise(times))
        ):
            return at
    return None


def _time(part: Part, group: Group, position: int) -> int:
    """The timestamp of a message that has one; 0 when it is not filled in."""
    at = position + (group.time_at or 0)
    found: int = struct.unpack_from(f"{group.definition.order}I", part.content, at)[0]
    return found if found != 0xFFFFFFFF else 0


def checksum(content: bytes) -> int:
    """The FIT CRC-16; 0 for a part that includes its own checksum.

    A CRC is linear: chunks are processed in parallel, two bytes at a time, and combined.
    """
    table = _crc_table()
    # a length at which processing the chunks and combining them cost the same
    length = max(math.isqrt(len(content)) // 2, 8)
    pieces = len(content) // 2 // length
    words = np.frombuffer(content, "<u2", pieces * length).reshape(pieces, length)
    sums = np.zeros(pieces, np.uint16)
    # the effect of a chunk of zeros on each bit of the checksum before it
    bits = np.left_shift(np.uint16(1), np.arange(16, dtype=np.uint16))
    for number in range(length):
        sums = table[sums ^ words[:, number]]
        bits = table[bits]
    whole = 0
    moved = bits.tolist()
    for each in sums.tolist():
        joined = each
        for number in range(16):
            if whole >> number & 1:
                joined ^= moved[number]
        whole = joined
    for byte in content[2 * pieces * length :]:
        whole = _one_byte(whole ^ byte)
    return int(whole)


def _one_byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0xA001 if value & 1 else 0)
    return value


@cache
def _crc_table() -> npt.NDArray[np.uint16]:
    """The checksum of two bytes, starting from zero."""
    value: npt.NDArray[np.uint16] = np.arange(0x10000, dtype=np.uint16)
    for _ in range(16):
        value = (value >> np.uint16(1)) ^ np.where(value & 1, np.uint16(0xA001), np.uint16(0))
    return value


# ------------------------------------------------------------------------- what the fields are


@dataclass(frozen=True, slots=True)
class Developer:
    """The definition of a developer field in a file. ``native`` is the number of the record field
    it stands for, if any."""

    name: str
    base: int
    scale: float | None
    offset: float | None
    units: str | None
    native: int | None


def developer_fields(part: Part) -> dict[tuple[int, int], Developer]:
    """The developer fields of a part, by developer data index and field number."""
    found: dict[tuple[int, int], Developer] = {}
    for group in part.of(_FIELD_DESCRIPTION):
        for each in messages(part, group, {}):
            index, number = each.get("developer_data_index"), each.get("field_definition_number")
            if isinstance(index, int) and isinstance(number, int):
                native = each.get("native_field_num")
                base = _base_number(each.get("fit_base_type_id"))
                name = each.get("field_name")
                found[index, number] = Developer(
                    str(name) if name else f"unknown_{index}_{number}",
                    base,
                    _number_or_none(each.get("scale")),
                    _number_or_none(each.get("offset")),
                    each.get("units") if isinstance(each.get("units"), str) else None,
                    native
                    if isinstance(native, int) and each.get("native_mesg_num") in (None, "record")
                    else None,
                )
    return found


def _number_or_none(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _base_number(value: object) -> int:
    """The number of a base type, which the profile gives by name."""
    if isinstance(value, str):
        value = next((n for n, name in _enum("fit_base_type").items() if name == value), None)
    return value if isinstance(value, int) and value in _BASE_TYPES else 0x0D


def _enum(name: str) -> dict[int, str]:
    from fitdecode import profile

    found: dict[int, str] = profile.FIELD_TYPES[name].enum or {}
    return found


@cache
def _profile(message: int) -> dict[int, Any]:
    """The fields of a message type, by number; only the timestamp if the type is unknown."""
    from fitdecode import profile

    known = profile.MESSAGE_TYPES.get(message)
    fields: dict[int, Any] = dict(known.fields) if known else {}
    fields[_TIMESTAMP] = profile.FIELD_TYPE_TIMESTAMP
    return fields


Developers: TypeAlias = dict[tuple[int, int], Developer]


def _raw(
    part: Part, group: Group, developers: Developers
) -> Iterator[tuple[Field, Developer | None, int, npt.NDArray[Any], npt.NDArray[np.bool_]]]:
    """Every field of the messages: its type, its values and whether they are valid, with one row
    per message and one column per value of an array field."""
    definition = group.definition
    taken = np.frombuffer(part.content, np.uint8)
    places = np.array(group.positions, np.int64)
    offset = 0
    for each in definition.fields:
        size, start = each.size, offset
        offset += size
        if not size:
            continue
        developer = None
        base = each.base
        if each.developer is not None:
            developer = developers.get((each.developer, each.number))
            base = developer.base if developer else 0x0D
        kind = _BASE_TYPES.get(0x0D if base is None else base, _BYTE)
        if size % kind.size:
            base, kind = 0x0D, _BYTE
        block = taken[np.add.outer(places + start, np.arange(size))]
        values = block.view(f"{definition.order}{kind.code}")
        if kind.code[0] == "f":
            there = np.isfinite(values)
        elif base == 0x0D:
            # a byte array is a single value
            there = np.repeat((values != 0xFF).any(axis=1, keepdims=True), values.shape[1], axis=1)
        elif kind.invalid is None:
            there = values != 0
        else:
            there = values != kind.invalid
        yield each, developer, 0x0D if base is None else base, values, there


def columns(
    part: Part, group: Group, developers: Developers
) -> tuple[dict[str, Column], dict[str, Column], dict[int, Number]]:
    """The messages of a group as columns by name: profile fields, then developer fields, and the
    latter once more, by number, if they stand for a native record field.

    Times stay in FIT seconds; positions are in degrees; scales are applied.
    """
    own: dict[str, Column] = {}
    theirs: dict[str, Column] = {}
    native: dict[int, Number] = {}
    fields = _profile(group.definition.message)
    for each, developer, base, values, there in _raw(part, group, developers):
        known = None if each.developer is not None else fields.get(each.number)
        if not there.any():
            continue
        column: Column
        if base == _STRING:
            column = [_text(row) for row in values]
        else:
            scale, shift = _scale(developer or known)
            numbers = np.where(there, values.astype(np.float64), np.nan) / scale - shift
            if known is not None and known.units == "semicircles":
                numbers = numbers * DEGREES
            if numbers.shape[1] == 1:
                column = numbers[:, 0]
            else:
                column = [[None if one != one else one for one in row] for row in numbers.tolist()]
        if (
            developer is not None
            and developer.native is not None
            and isinstance(column, np.ndarray)
        ):
            native[developer.native] = column
        if each.developer is not None:
            name = developer.name if developer else f"unknown_{each.developer}_{each.number}"
            theirs[name] = column
        else:
            own[known.name if known is not None else f"unknown_{each.number}"] = column
    return own, theirs, native


def messages(part: Part, group: Group, developers: Developers) -> Iterator[dict[str, Any]]:
    """The messages of a group, one by one, without missing fields. Times are ISO 8601, enums are
    given by name, positions in degrees; scales are applied."""
    fields = _profile(group.definition.message)
    raw = [
        (each, developer, base, values.tolist(), there.tolist())
        for each, developer, base, values, there in _raw(part, group, developers)
    ]
    for number in range(len(group.positions)):
        given = {
            each.number: values[number][0]
            for each, _, _, values, there in raw
            if each.developer is None and there[number][0]
        }
        message: dict[str, Any] = {}
        for each, developer, base, values, there in raw:
            if not any(there[number]):
                continue
            known: Any = developer
            if each.developer is None:
                known = _resolved(fields.get(each.number), given)
            name = known.name if known is not None else f"unknown_{each.number}"
            if base == _STRING:
                found: Any = _text(np.array(values[number], np.uint8))
            else:
                every = [
                    _value(known, one) if is_there else None
                    for one, is_there in zip(values[number], there[number], strict=True)
                ]
                found = every[0] if len(every) == 1 else every
            if found is not None and name not in message:
                message[name] = found
        yield message


def _resolved(known: Any, given: dict[int, Any]) -> Any:
    """The definition of a field in this message: a subfield may apply, depending on other
    fields."""
    for sub in (known.subfields or ()) if known is not None else ():
        for reference in sub.ref_fields:
            if given.get(reference.def_num) == reference.raw_value:
                return sub
    return known


def _scale(known: Any) -> tuple[float, float]:
    if known is None:
        return 1.0, 0.0
    return float(known.scale or 1), float(known.offset or 0)


def _value(known: Any, raw: int | float) -> Any:
    """A value as the profile defines it, from the raw number."""
    if known is None:
        return raw
    if isinstance(known, Developer):
        return raw / known.scale - (known.offset or 0) if known.scale else raw
    kind = getattr(known.type, "name", "")
    if kind in ("date_time", "local_date_time") and isinstance(raw, int) and raw >= OLDEST_MOMENT:
        return moment(raw).strftime("%Y-%m-%dT%H:%M:%S") + ("Z" if kind == "date_time" else "")
    if known.type.enum and raw in known.type.enum:
        return known.type.enum[raw]
    if known.units == "semicircles":
        return raw * DEGREES
    scale, shift = _scale(known)
    return raw if (scale, shift) == (1.0, 0.0) else raw / scale - shift


def moment(time: float) -> datetime:
    """A FIT timestamp in UTC."""
    return datetime.fromtimestamp(EPOCH, UTC) + timedelta(seconds=time)


def _text(row: npt.NDArray[Any]) -> str | None:
    written = bytes(row.astype(np.uint8)).partition(b"\0")[0]
    return written.decode(errors="replace") or None


def times(part: Part, group: Group) -> Number:
    """When each message of a group was written, in FIT seconds: by its own timestamp, or by the
    last one before it and the five bits in its header. NaN where unknown."""
    if group.time_at is not None:
        places = np.add.outer(np.array(group.positions) + group.time_at, np.arange(4))
        found = np.frombuffer(part.content, np.uint8)[places].view(f"{group.definition.order}u4")
        return np.where(found == 0xFFFFFFFF, np.nan, found.astype(np.float64))[:, 0]
    accumulated = _accumulated(part)
    return np.array([accumulated.get(each, np.nan) for each in group.positions], np.float64)


def _accumulated(part: Part) -> dict[int, float]:
    """The times of all messages with a compressed timestamp, by position."""
    told = [
        (position, _time(part, group, position))
        for group in part.groups.values()
        if group.time_at is not None
        for position in group.positions
    ]
    found: dict[int, float] = {}
    last = 0
    for position, time in sorted([*told, *((each, -1) for each in part.offsets)]):
        if time >= 0:
            last = time or last
        elif last:
            last += (part.offsets[position] - last) & 31
            found[position] = float(last)
    return found
