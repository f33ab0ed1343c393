"""GPX and TCX: the formats of recordings before FIT, which services still provide.

Untrusted XML: entities are refused, and in a truncated file the points before the break are read.
"""

from __future__ import annotations

import re
from typing import Any

import lxml.etree
import numpy as np

from personal_pipeline.ingest.contract import Record
from personal_pipeline.shown import counted
from personal_pipeline.sources.fit.formats import track_format
from personal_pipeline.sources.fit.messages import Number
from personal_pipeline.sources.fit.recording import (
    Contents,
    Samples,
    computed,
    measured,
    metres_along,
    near_in_time,
    recording,
    seconds_of,
    summary,
)

_DECLARED = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)

_GPX = {
    "ele": "altitude",
    "hr": "heart_rate",
    "heartrate": "heart_rate",
    "cad": "cadence",
    "cadence": "cadence",
    "power": "power",
    "PowerInWatts": "power",
    "atemp": "temperature",
    "speed": "speed",
    "distance": "distance",
}
_TCX = {
    "LatitudeDegrees": "latitude",
    "LongitudeDegrees": "longitude",
    "AltitudeMeters": "altitude",
    "DistanceMeters": "distance",
    "HeartRateBpm": "heart_rate",
    "Cadence": "cadence",
    "RunCadence": "cadence",
    "Speed": "speed",
    "Watts": "power",
}


def recordings_of_track(name: str, content: bytes) -> Contents:
    """The recordings in a GPX or TCX file."""
    kind = track_format(content)
    if _DECLARED.search(content):
        return Contents(problems=("refused: it declares a document type or entities",))
    parser = lxml.etree.XMLParser(
        recover=True, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    # some programs write whitespace before the XML declaration
    root = lxml.etree.fromstring(content.lstrip(b"\xef\xbb\xbf \r\n\t"), parser)
    if root is None:
        return Contents(problems=("it is not XML",))
    problems = [] if not len(parser.error_log) else ["it is malformed or truncated"]
    tracks = root.iterfind(".//{*}trk" if kind == "gpx" else ".//{*}Activity")
    found = []
    timeless = impossible = 0
    for number, track in enumerate(tracks):
        points, names = (
            (track.iter("{*}trkpt"), _GPX) if kind == "gpx" else (track.iter("{*}Trackpoint"), _TCX)
        )
        rows = [_point(each, names) for each in points]
        without = sum(not row.get("time") for row in rows)
        samples = measured(near_in_time(_samples(rows))[0])
        timeless += without
        impossible += len(rows) - without - len(samples)
        told = _told(track, kind == "gpx")
        start = seconds_of(told.get("start_time"))
        if len(samples):
            first, last = float(samples.time.min()), float(samples.time.max())
            start = min(start or np.inf, first)
            told = {**summary(samples), **told, "total_elapsed_time": round(last - start, 3)}
        if start is None:
            continue
        record: Record = {
            "format": kind,
            "is_summed_up": kind == "gpx",
            "session": told,
            "computed": computed(samples, _laps(track)),
        }
        made = recording(name, content, number, start, record, samples)
        if made:
            found.append(made)
    if timeless and (found or impossible):
        problems.append(f"{counted(timeless, 'point')} in it without a time")
    if impossible:
        problems.append(
            f"{impossible:,} points in it have an impossible time, as when the clock of a device "
            "is not set"
        )
    is_route = not found and not impossible
    return Contents(tuple(found), tuple(problems), "route without times" if is_route else None)


def _local(tag: Any) -> str:
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _point(element: Any, names: dict[str, str]) -> dict[str, str]:
    row: dict[str, str] = {}
    for name in ("lat", "lon"):
        if name in element.attrib:
            row["latitude" if name == "lat" else "longitude"] = element.attrib[name]
    for each in element.iter():
        name, text = _local(each.tag), (each.text or "").strip()
        if name.lower() == "time":
            row.setdefault("time", text)
        elif name == "Value":
            name = _local(each.getparent().tag)
        if text and (measure := names.get(name)):
            row.setdefault(measure, text)
    return row


def _number(text: str | None) -> float:
    try:
        found = float(text) if text is not None else np.nan
    except ValueError:
        return float("nan")
    return found if np.isfinite(found) else float("nan")


def _samples(rows: list[dict[str, str]]) -> Samples:
    """The points that have a time, as columns."""
    times = [seconds_of(row.get("time", "")) for row in rows]
    timed = [row for row, time in zip(rows, times, strict=True) if time is not None]
    names = dict.fromkeys(name for row in timed for name in row if name != "time")
    measures: dict[str, Number] = {
        name: np.array([_number(row.get(name)) for row in timed], np.float64) for name in names
    }
    if timed and "distance" not in measures and "latitude" in measures:
        measures["distance"] = metres_along(measures["latitude"], measures["longitude"])
    return Samples(np.array([time for time in times if time is not None], np.float64), measures)


def _laps(track: Any) -> list[Record]:
    """The laps of a TCX activity, with FIT field names."""
    names = {
        "total_timer_time": "TotalTimeSeconds",
        "avg_heart_rate": "AverageHeartRateBpm/{*}Value",
        "max_heart_rate": "MaximumHeartRateBpm/{*}Value",
        "max_speed": "MaximumSpeed",
        "avg_power": "Extensions/{*}LX/{*}AvgWatts",
        "max_power": "Extensions/{*}LX/{*}MaxWatts",
    }
    return [
        {
            name: value
            for name, tag in names.items()
            if np.isfinite(value := _number(each.findtext(f"{{*}}{tag}")))
        }
        for each in track.iterfind("{*}Lap")
    ]


def _told(track: Any, is_gpx: bool) -> Record:
    """What the file says about the whole activity, with FIT field names."""
    told: Record = {}
    if is_gpx:
        for tag, name in (("type", "sport"), ("name", "name")):
            if text := (track.findtext(f"{{*}}{tag}") or "").strip():
                told[name] = text
        return told
    if sport := track.attrib.get("Sport"):
        told["sport"] = sport
    laps = track.findall("{*}Lap")
    starts = [text for each in laps if (text := each.attrib.get("StartTime"))]
    start = min((s for text in starts if (s := seconds_of(text))), default=None)
    if start is not None:
        told["start_time"] = next(text for text in starts if seconds_of(text) == start)
    sums = {
        "total_timer_time": "TotalTimeSeconds",
        "total_distance": "DistanceMeters",
        "total_calories": "Calories",
    }
    for name, tag in sums.items():
        known = [n for each in laps if np.isfinite(n := _number(each.findtext(f"{{*}}{tag}")))]
        if known:
            told[name] = round(float(sum(known)), 3)
    if device := (track.findtext("{*}Creator/{*}Name") or "").strip():
        told["device"] = device
    return told
