"""Recordings: what a device recorded of one activity, and its samples, whatever the format.

A multisport file (a triathlon) contains one session per sport, and yields one recording for each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt

from personal_pipeline.ingest.contract import EARLIEST, Record
from personal_pipeline.shown import counted
from personal_pipeline.sources.fit.messages import (
    ACTIVITY,
    DEVICE,
    EPOCH,
    FILE_ID,
    LAP,
    OLDEST_MOMENT,
    RECORD,
    SESSION,
    SPORT,
    USER_PROFILE,
    ZONES_TARGET,
    Column,
    Developers,
    Number,
    Part,
    columns,
    developer_fields,
    messages,
    parts,
    times,
)

_BY_NAME: dict[str, tuple[str, ...]] = {
    "latitude": ("position_lat",),
    "longitude": ("position_long",),
    "altitude": ("enhanced_altitude", "altitude"),
    "distance": ("distance",),
    "speed": ("enhanced_speed", "speed"),
    "heart_rate": ("heart_rate",),
    "cadence": ("cadence",),
    "power": ("power",),
    "temperature": ("temperature",),
    "grade": ("grade",),
}
"""The FIT record fields that provide a measure, preferred one first."""
_BY_NUMBER = {2: "altitude", 3: "heart_rate", 4: "cadence", 5: "distance", 6: "speed", 7: "power",
              9: "grade", 13: "temperature"}  # fmt: skip
"""The same by number, for the developer fields that stand for them."""

_ACTIVITY_FILE = "activity"
_SETTINGS = {USER_PROFILE: "user_profile", ZONES_TARGET: "zones_target"}
_MAX_LISTED = 1_000
"""Maximum number of laps, and of devices, per recording."""

_MAX_WITHOUT_SAMPLE = 24 * 3600
"""Maximum seconds of a session without any sample, before the first or after the last one."""
_MAX_SHIFT = 15 * 60
"""Maximum seconds by which samples may begin and end later than their session."""
_MAX_ELAPSED = 30 * 86_400
_PAUSE = 3
"""A gap between two samples of this many times the usual interval is a pause."""
_PULSE = (30, 240)
"""Beats per minute of a living person; anything outside is sensor noise."""


@dataclass(frozen=True, slots=True)
class Samples:
    """Samples as columns. ``time`` is in seconds since 1970; ``measures`` are named as in
    ``formats.MEASURES``; ``more`` holds all other fields, and ``developer`` the developer
    fields."""

    time: Number
    measures: dict[str, Number] = field(default_factory=dict)
    more: dict[str, Column] = field(default_factory=dict)
    developer: dict[str, Column] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.time)

    def at(self, places: npt.NDArray[np.int64]) -> Samples:
        """The samples at these indices, in that order."""

        def pick(found: dict[str, Column]) -> dict[str, Column]:
            chosen = places.tolist()
            return {
                name: column[places]
                if isinstance(column, np.ndarray)
                else [column[each] for each in chosen]
                for name, column in found.items()
            }

        return Samples(
            self.time[places],
            {name: column[places] for name, column in self.measures.items()},
            pick(self.more),
            pick(self.developer),
        )


@dataclass(frozen=True, slots=True)
class Recording:
    """A row of ``recordings``, and its samples."""

    key: str
    month: date
    record: Record
    samples: Samples


@dataclass(frozen=True, slots=True)
class Contents:
    """The contents of a file. ``problems`` are sentences about what could not be read; ``other``
    says what the file is if it contains no activity."""

    recordings: tuple[Recording, ...] = ()
    problems: tuple[str, ...] = ()
    other: str | None = None


def digest_of(content: bytes) -> str:
    """Identifies a file by content, whatever its location and name."""
    return hashlib.sha256(content).hexdigest()[:32]


def recordings_of_fit(name: str, content: bytes) -> Contents:
    """The recordings in a FIT file."""
    found: list[Recording] = []
    problems: list[str] = []
    others: list[str] = []
    for part in parts(content):
        file_id = next(iter(_all(part, FILE_ID, {})), {})
        kind = file_id.get("type", _ACTIVITY_FILE)
        problems += part.problems
        if kind != _ACTIVITY_FILE:
            others.append(str(kind))
            continue
        read, lost = _recordings(name, content, part, file_id, len(found))
        found += read
        if lost:
            problems.append(f"{counted(lost, 'record')} in it without a time")
    other = None if found else ", ".join(sorted(set(others))) or None
    return Contents(tuple(found), tuple(problems), other)


def _all(part: Part, message: int, developers: Developers) -> list[Record]:
    return [each for group in part.of(message) for each in messages(part, group, developers)]


def _recordings(
    name: str, content: bytes, part: Part, file_id: Record, before: int
) -> tuple[list[Recording], int]:
    """The recordings of a part, and how many of its records have no plausible time."""
    developers = developer_fields(part)
    samples, lost = _samples(part, developers)
    sessions = [
        (start, each)
        for each in _all(part, SESSION, developers)
        if (start := _start_of(each)) is not None
    ]
    sessions.sort(key=lambda each: each[0])
    is_told = bool(sessions)
    if not sessions:
        if not len(samples):
            return [], lost
        sport = next(iter(_all(part, SPORT, {})), {})
        told = {each: sport[each] for each in ("sport", "sub_sport") if each in sport}
        session = {**told, **summary(measured(samples))}
        sessions = [(float(samples.time.min()), session)]
    settings = {
        named: found[-1] for number, named in _SETTINGS.items() if (found := _all(part, number, {}))
    }
    activity = next(iter(_all(part, ACTIVITY, {})), {})
    common: Record = {
        "format": "fit",
        "file_id": file_id,
        "devices": _devices(part),
        "utc_offset_seconds": _offset_of(activity),
        "developer_fields": {
            each.name: {"units": each.units, "native_field": each.native}
            for each in developers.values()
        },
        **settings,
    }
    laps = [
        (start, each)
        for each in _all(part, LAP, developers)
        if (start := seconds_of(each.get("start_time"))) is not None
    ]
    starts = np.array([start for start, _ in sessions])
    belongs = np.clip(np.searchsorted(starts, samples.time, side="right") - 1, 0, None)
    made_of: list[Recording] = []
    metres = 0.0
    for number, (start, session) in enumerate(sessions):
        after = sessions[number + 1][0] if number + 1 < len(sessions) else math.inf
        own = samples if len(sessions) == 1 else samples.at(np.flatnonzero(belongs == number))
        own = measured(own)
        its_laps = [each for at, each in laps if at < after and (start <= at or not number)]
        record = {
            **common,
            "is_summed_up": not is_told,
            "session": session,
            "computed": computed(own, its_laps, metres),
            "laps": its_laps[:_MAX_LISTED],
        }
        metres = max([metres, *_known(own.measures.get("distance")).tolist()])
        made = recording(name, content, before + number, start, record, own)
        if made:
            made_of.append(made)
    return made_of, lost


def _start_of(session: Record) -> float | None:
    """When a session began; if that is missing, computed from its end and duration."""
    start, end = (seconds_of(session.get(each)) for each in ("start_time", "timestamp"))
    elapsed = session.get("total_elapsed_time")
    if start is None and end is not None and isinstance(elapsed, int | float):
        return end - elapsed
    return start


def recording(
    name: str, content: bytes, number: int, start: float, record: Record, samples: Samples
) -> Recording | None:
    """A recording that begins at ``start``, in seconds since 1970, unless its samples contradict
    that; None when the start is impossible."""
    elapsed = record["session"].get("total_elapsed_time")
    told = start, float(elapsed) if isinstance(elapsed, int | float) else None
    start, end = _span(*told, samples.time)
    if not _earliest() <= start < 4e9:
        return None
    began = datetime.fromtimestamp(start, UTC)
    digest = digest_of(content)
    record = {
        "file": name,
        "content": digest,
        "number": number + 1,
        "start_at": iso(start),
        "end_at": iso(end),
        "samples": len(samples),
        **{each: value for each, value in record.items() if value not in (None, {}, [])},
    }
    return Recording(f"{digest}/{number + 1}", began.date().replace(day=1), record, samples)


def _span(start: float, elapsed: float | None, times: Number) -> tuple[float, float]:
    """When a session began and ended, in seconds since 1970. If the device's clock was wrong at the
    start, the summary is impossible, and the samples are used instead."""
    is_told = elapsed is not None and 0 <= elapsed < _MAX_ELAPSED
    end = start + elapsed if elapsed is not None and is_told else None
    if not len(times):
        return start, start if end is None else end
    first, last = float(times.min()), float(times.max())
    if end is None:
        end = max(start, last)
    is_shifted = first - start > _MAX_SHIFT and last - end > _MAX_SHIFT
    if start > last or end < first or is_shifted:
        return first, last
    return (
        first if first - start > _MAX_WITHOUT_SAMPLE else start,
        last if end - last > _MAX_WITHOUT_SAMPLE else end,
    )


def _earliest() -> float:
    return datetime(EARLIEST.year, EARLIEST.month, EARLIEST.day, tzinfo=UTC).timestamp()


def iso(seconds: float) -> str:
    """A time in seconds since 1970 as UTC text."""
    moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=round(seconds, 3))
    return moment.isoformat().replace("+00:00", "Z")


def seconds_of(text: object) -> float | None:
    """Seconds since 1970 for a UTC time given as text; None when it is not a time, or before
    1990."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        found = moment.timestamp()
    except (OverflowError, ValueError):
        return None
    return found if _earliest() <= found < 4e9 else None


def _offset_of(activity: Record) -> int | None:
    here, there = seconds_of(activity.get("timestamp")), seconds_of(activity.get("local_timestamp"))
    if here is None or there is None or abs(there - here) > 14 * 3600:
        return None
    return round((there - here) / 900) * 900


def _devices(part: Part) -> list[Record]:
    """The devices involved, each as last reported."""
    found = {str(each.get("device_index")): each for each in _all(part, DEVICE, {})}
    return list(found.values())[:_MAX_LISTED]


def _samples(part: Part, developers: Developers) -> tuple[Samples, int]:
    """The records of a part in file order, and how many have no plausible time."""
    pieces = []
    places: list[int] = []
    for group in part.of(RECORD):
        own, theirs, native = columns(part, group, developers)
        own.pop("timestamp", None)
        measures: dict[str, Number] = {}
        for measure, named in _BY_NAME.items():
            known = [one for each in named if isinstance(one := own.pop(each, None), np.ndarray)]
            for column in known:
                better = measures.get(measure, column)
                measures[measure] = np.where(np.isnan(better), column, better)
        for number, column in native.items():
            measure = _BY_NUMBER.get(number, "")
            # a device without its own sensor may write zeros
            if measure and not _known(measures.get(measure)).any():
                measures[measure] = column
        packed = own.pop("compressed_speed_distance", None)
        if isinstance(packed, list) and all(len(each) == 3 for each in packed):
            for measure, column in _unpacked(packed).items():
                measures.setdefault(measure, column)
        time = times(part, group)
        time = np.where(time >= OLDEST_MOMENT, time + EPOCH, np.nan)
        pieces.append(Samples(time, measures, own, theirs))
        places += group.positions
    if not pieces:
        return Samples(np.empty(0)), 0
    whole = pieces[0]
    if len(pieces) > 1:
        order = np.argsort(np.array(places), kind="stable")
        whole = joined(pieces).at(order)
    there = ~np.isnan(whole.time)
    timeless = int(len(there) - there.sum())
    near, strays = near_in_time(whole.at(np.flatnonzero(there)) if timeless else whole)
    return _plausible(near), timeless + strays


def near_in_time(samples: Samples) -> tuple[Samples, int]:
    """The samples within a month of most others, and how many are not: a clock that is set during
    recording gives some the wrong year."""
    if not len(samples):
        return samples, 0
    near = np.abs(samples.time - np.median(samples.time)) < _MAX_ELAPSED
    strays = int(len(near) - near.sum())
    return (samples.at(np.flatnonzero(near)) if strays else samples), strays


def _unpacked(packed: list[Any]) -> dict[str, Number]:
    """Speed and distance that old devices packed into three bytes: twelve bits each; the distance
    wraps around every 256 metres."""
    raw = np.array(
        [
            np.nan if each is None or None in each else each[0] + each[1] * 2**8 + each[2] * 2**16
            for each in packed
        ],
        np.float64,
    )
    there = np.isfinite(raw)
    bits = raw[there].astype(np.int64)
    distance, speed = np.full(len(raw), np.nan), np.full(len(raw), np.nan)
    speed[there] = (bits & 0xFFF) / 100
    steps = np.diff(bits >> 12, prepend=0) & 0xFFF
    distance[there] = np.cumsum(steps) / 16
    return {"speed": speed, "distance": distance}


def joined(pieces: Sequence[Samples]) -> Samples:
    """Samples concatenated; a column that a piece lacks is empty there."""

    def join(every: Sequence[dict[str, Column]]) -> dict[str, Column]:
        names = dict.fromkeys(name for each in every for name in each)
        found: dict[str, Column] = {}
        for name in names:
            column = [each.get(name) for each in every]
            if any(isinstance(each, list) for each in column):
                found[name] = [
                    one
                    for each, piece in zip(column, pieces, strict=True)
                    for one in (
                        [None] * len(piece)
                        if each is None
                        else each
                        if isinstance(each, list)
                        else [None if one != one else one for one in each.tolist()]
                    )
                ]
            else:
                found[name] = np.concatenate(
                    [
                        np.full(len(piece), np.nan) if each is None else each
                        for each, piece in zip(column, pieces, strict=True)
                    ]
                )
        return found

    measures = join([{**each.measures} for each in pieces])
    return Samples(
        np.concatenate([each.time for each in pieces]),
        {name: column for name, column in measures.items() if isinstance(column, np.ndarray)},
        join([each.more for each in pieces]),
        join([each.developer for each in pieces]),
    )


def _plausible(samples: Samples) -> Samples:
    """The samples without impossible positions, which come from flipped bits."""
    latitude, longitude = (samples.measures.get(each) for each in ("latitude", "longitude"))
    if latitude is None or longitude is None:
        return samples
    is_there = (np.abs(latitude) <= 90) & (np.abs(longitude) <= 180)
    measures = {
        **samples.measures,
        "latitude": np.where(is_there, latitude, np.nan),
        "longitude": np.where(is_there, longitude, np.nan),
    }
    return replace(samples, measures=measures)


def measured(samples: Samples) -> Samples:
    """The samples without what devices write in place of a missing sensor: a heart rate of 0, and a
    power that is 0 throughout. (A power of 0 among others means coasting.)"""
    measures = {**samples.measures}
    if (pulse := measures.get("heart_rate")) is not None:
        measures["heart_rate"] = np.where(pulse > 0, pulse, np.nan)
    if (power := measures.get("power")) is not None and not _known(power).any():
        del measures["power"]
    return replace(samples, measures=measures)


def _known(column: Number | None) -> Number:
    return np.empty(0) if column is None else column[np.isfinite(column)]


def summary(samples: Samples) -> Record:
    """The session summary a device would have written, computed from samples, with FIT field
    names."""
    told: Record = {
        "start_time": iso(float(samples.time.min())),
        "total_elapsed_time": round(float(samples.time.max() - samples.time.min()), 3),
        **_figures(samples),
    }
    altitude = samples.measures.get("altitude")
    if altitude is not None:
        told["total_ascent"] = round(ascent(altitude), 1)
    return told


def computed(samples: Samples, laps: Sequence[Record] = (), metres_before: float = 0.0) -> Record:
    """The figures of a session computed from its samples, with FIT field names, plus those from its
    laps that samples do not provide. ``metres_before`` is the distance of earlier sessions in the
    file: some devices keep counting."""
    own, theirs = _figures(samples, metres_before), _figures_of_laps(laps)
    # the highest from either: some devices write one sample in five seconds, and the laps of some
    # lose what was before a pause
    highest = {
        name: max(own[name], theirs[name]) for name in _HIGHEST if name in own and name in theirs
    }
    return {**theirs, **own, **highest}


_HIGHEST = ("max_heart_rate", "max_power", "max_speed")
_AVERAGES = ("avg_heart_rate", "avg_power", "avg_speed")


def _figures(samples: Samples, metres_before: float = 0.0) -> Record:
    if not len(samples):
        return {}
    seconds = _seconds(samples.time)
    told: Record = {"total_timer_time": round(float(seconds.sum()), 3)}
    if (metres := _metres(samples, seconds, metres_before)) is not None:
        told["total_distance"] = round(metres, 3)
    for measure in ("heart_rate", "power", "speed"):
        column = samples.measures.get(measure)
        if column is None:
            continue
        there = np.isfinite(column)
        if measure == "heart_rate":
            there &= (column >= _PULSE[0]) & (column <= _PULSE[1])
        if there.any():
            weights = seconds[there] if seconds[there].any() else None
            told[f"avg_{measure}"] = round(float(np.average(column[there], weights=weights)), 3)
            told[f"max_{measure}"] = round(float(column[there].max()), 3)
    return told


def _figures_of_laps(laps: Sequence[Record]) -> Record:
    """Combined figures of laps: sums, time-weighted averages, and maxima. Zeros carry no
    information."""
    told: Record = {}
    for name in ("total_distance", *_AVERAGES, *_HIGHEST):
        known = [
            (float(value), float(seconds) if isinstance(seconds, int | float) else 0.0)
            for each in laps
            if isinstance(value := each.get(name), int | float) and value > 0
            for seconds in [each.get("total_timer_time")]
        ]
        values, seconds = [value for value, _ in known], [each for _, each in known]
        if name in _AVERAGES and sum(seconds) > 0:
            told[name] = round(float(np.average(values, weights=seconds)), 3)
        elif known and name not in _AVERAGES:
            told[name] = round(max(values) if name in _HIGHEST else sum(values), 3)
    return told


def _seconds(time: Number) -> Number:
    """How long each sample counts: until the next one, but the usual interval before a pause and at
    the end."""
    steps = np.clip(np.diff(time), 0, None)
    usual = float(np.median(steps[steps > 0])) if (steps > 0).any() else 1.0
    return np.append(np.where(steps > _PAUSE * usual, usual, steps), usual)


def _metres(samples: Samples, seconds: Number, before: float) -> float | None:
    """The distance as recorded; else along the positions; else from the speed."""
    counted = _known(samples.measures.get("distance"))
    if counted.size:
        goes_on = before > 0 and counted[0] >= before
        return float(counted.max()) - (before if goes_on else 0.0)
    latitude, longitude = (samples.measures.get(each) for each in ("latitude", "longitude"))
    if latitude is not None and longitude is not None:
        along = _known(metres_along(latitude, longitude))
        if along.size > 1:
            return float(along[-1])
    speed = samples.measures.get("speed")
    if speed is not None and np.isfinite(speed).any():
        return float(np.nansum(speed * seconds))
    return None


_EARTH_METRES = 6_371_008.8


def metres_along(latitude: Number, longitude: Number) -> Number:
    """Cumulative metres from the first position, on a sphere; NaN where there is no position."""
    there = np.isfinite(latitude) & np.isfinite(longitude)
    a, b = np.radians(latitude[there]), np.radians(longitude[there])
    half = (
        np.sin(np.diff(a) / 2) ** 2 + np.cos(a[:-1]) * np.cos(a[1:]) * np.sin(np.diff(b) / 2) ** 2
    )
    steps = 2 * _EARTH_METRES * np.arcsin(np.sqrt(np.clip(half, 0, 1)))
    found = np.full(len(latitude), np.nan)
    found[there] = np.concatenate([np.zeros(min(len(a), 1)), np.cumsum(steps)])
    return found


_NOISE_METRES = 3.0


def ascent(altitude: Number) -> float:
    """Metres climbed. A change counts once it exceeds receiver noise."""
    total, low = 0.0, math.nan
    for each in altitude[np.isfinite(altitude)].tolist():
        if low != low or each < low:
            low = each
        elif each - low >= _NOISE_METRES:
            total += each - low
            low = each
    return total
