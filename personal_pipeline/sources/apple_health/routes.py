"""Workout routes: one GPX file per route, one point per second.

The phone writes every point on one line in a fixed form, which is read in bulk; a file with any
point in a different form is read by a real parser instead.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from personal_pipeline.ingest.contract import Table
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.sources.apple_health.elements import Element, parse
from personal_pipeline.sources.apple_health.records import time_of

ROUTE_POINTS = Table(
    columns={
        "route": "varchar",
        "number": "integer",
        "measured_at": "timestamp",
        "latitude": "double",
        "longitude": "double",
        "altitude": "double",
        "speed": "double",
        "course": "double",
        "horizontal_accuracy": "double",
        "vertical_accuracy": "double",
    },
    key=("route", "number"),
)
"""Metres, metres per second, degrees; times in UTC. ``route`` is the path named by the workout, or
``workout/`` and the workout's key if the points are inside it, as in old exports."""

Point = tuple[str, ...]
"""Time, latitude, longitude, altitude, speed, course and both accuracies, as text; each may be
empty."""

_OWN = ("route", "number", "measured_at")
_POINT = re.compile(
    rb'<trkpt lon="([-\d.]+)" lat="([-\d.]+)"><ele>([-\d.]+)</ele>'
    rb"<time>(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)</time><extensions><speed>([-\d.]+)</speed>"
    rb"<course>([-\d.]+)</course><hAcc>([-\d.]+)</hAcc><vAcc>([-\d.]+)</vAcc></extensions></trkpt>"
)
_DECLARATION = re.compile(rb"\A(?:\xef\xbb\xbf)?\s*<\?xml[^>]*\?>")
_COLUMNS = ("time", *(name for name in ROUTE_POINTS.columns if name not in _OWN))
_NAMES = ("time", "lat", "lon", "ele", "speed", "course", "hAcc", "vAcc")
_LOCATION = (
    "date",
    "latitude",
    "longitude",
    "altitude",
    "speed",
    "course",
    "horizontalAccuracy",
    "verticalAccuracy",
)


def points_of_gpx(content: bytes) -> list[Point] | None:
    """The points of a file in order; None when it is not well-formed GPX."""
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        return None
    found = _POINT.findall(content)
    if len(found) == content.count(b"<trkpt"):
        return [
            tuple(each.decode() for each in (time, lat, lon, ele, speed, course, hacc, vacc))
            for lon, lat, ele, time, speed, course, hacc, vacc in found
        ]
    root = parse(_DECLARATION.sub(b"", content))
    if root is None or _local(root.tag) != "gpx":
        return None
    return [_point(each) for each in _inside(root, "trkpt")]


def _point(element: Element) -> Point:
    fields = {_local(each.tag): each.text for each in _descendants(element)}
    fields |= element.attributes
    return tuple(fields.get(name, "") for name in _NAMES)


def points_of_locations(elements: Sequence[Element]) -> list[Point]:
    """The points that very old exports have inside the workout."""
    points = []
    for element in elements:
        at = time_of(element.attributes.get("date", ""))
        rest = (element.attributes.get(name, "") for name in _LOCATION[1:])
        points.append((f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else "", *rest))
    return points


def spool_points(spool: Spool, route: str, points: Sequence[Point]) -> int:
    """Add the points of a route to the spool; returns how many of them have no time or position."""
    if not points:
        return 0
    columns = dict(
        zip(_COLUMNS, (list(column) for column in zip(*points, strict=True)), strict=True)
    )
    taken: int = spool.connection.execute(_sql("take"), {"route": route, **columns}).fetchall()[0][
        0
    ]
    return len(points) - taken


def prepare_points(spool: Spool) -> None:
    """Create the table for the points."""
    spool.connection.execute(_sql("setup"))


def _sql(name: str) -> str:
    return Path(__file__).with_name(f"route_points_{name}.sql").read_text(encoding="utf-8")


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]


def _descendants(element: Element) -> Iterator[Element]:
    for child in element.children:
        yield child
        yield from _descendants(child)


def _inside(element: Element, tag: str) -> Iterator[Element]:
    return (each for each in _descendants(element) if _local(each.tag) == tag)
