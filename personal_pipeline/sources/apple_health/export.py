"""Reading a whole export: which stream each part of it belongs to."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

from personal_pipeline.ingest.contract import (
    Claim,
    DropFile,
    DropRow,
    Incomplete,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.tables import Spool
from personal_pipeline.sources.apple_health.elements import Batch, Element, End, parts
from personal_pipeline.sources.apple_health.members import DAMAGED, Export, head_of_main, opened
from personal_pipeline.sources.apple_health.records import (
    EARLIEST,
    STATE_OF_MIND,
    Records,
    generic,
    metadata_of,
    time_of,
)
from personal_pipeline.sources.apple_health.routes import (
    points_of_gpx,
    points_of_locations,
    prepare_points,
    spool_points,
)

_EXPORT_DATE = re.compile(rb'<ExportDate\s+value="([^"<&]{10,40})"')
_NAMES = (b"apple_health_export", b"xport.xml", b"xportaci", b"xportieren")

_WORKOUT_PARTS = {
    "WorkoutEvent": "events",
    "WorkoutStatistics": "statistics",
    "WorkoutActivity": "activities",
    "WorkoutRoute": "routes",
}


def recognise_export(file: DropFile) -> Claim | None:
    """Whether the file is an export of Apple Health: a zip, or the XML from inside of it."""
    try:
        head = head_of_main(file.path)
    except UnreadableFile:
        start = file.head()
        named = any(name in start for name in _NAMES)
        return Claim(0.5, "named like an Apple Health export") if named else None
    except DAMAGED:
        return None
    if head is None:
        return None
    found = _EXPORT_DATE.search(head)
    exported = time_of(found[1].decode(errors="replace")) if found else None
    return Claim(0.95, "an XML with the root <HealthData>", exported)


def load_export(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable | Incomplete]:
    """Read an export. Records and points of routes go into the spool; all else is yielded.

    Raises ``UnreadableFile`` when it is hostile or no export.
    """
    prepare_points(spool)
    with opened(file.path) as export:
        records = Records(spool, file.captured_at)
        about: Record = {}
        ended = False
        try:
            for part in parts(export.blocks):
                if isinstance(part, Batch):
                    records.add(part)
                elif isinstance(part, Unreadable):
                    yield part
                elif isinstance(part, End):
                    ended = True
                elif part.tag == "Record":
                    records.add_element(part)
                elif part.tag in ("HealthData", "ExportDate", "Me"):
                    about |= {part.tag: part.attributes}
                else:
                    yield from _rows(part, file, export, spool)
                for found in records.found():
                    yield from _found(found, file, export, spool)
            records.finish()
        finally:
            records.close()
        for found in records.found():
            yield from _found(found, file, export, spool)
        captured = file.captured_at.astimezone(UTC).date()
        if about.get("Me"):
            yield DropRow("characteristics", captured.replace(day=1), "me", about)
        yield from _files_beside(export, captured, spool)
    if export.problem or not ended:
        problem = export.problem or "the XML breaks off before </HealthData>"
        yield Incomplete(
            f"Incomplete: {problem}. What it holds was added and nothing removed; export again."
        )


def _found(
    found: Element | Unreadable, file: DropFile, export: Export, spool: Spool
) -> Iterator[DropRow | Unreadable]:
    if isinstance(found, Unreadable):
        yield found
    else:
        yield from _rows(found, file, export, spool)


def _rows(
    element: Element, file: DropFile, export: Export, spool: Spool
) -> Iterator[DropRow | Unreadable]:
    """The rows of an element that is no record."""
    captured = file.captured_at.astimezone(UTC).date().replace(day=1)
    attributes = element.attributes
    if element.tag == "Workout":
        yield from _workout(element, spool)
    elif element.tag == "Correlation":
        yield _timed("correlations", element, {"records": _children(element, "Record")})
    elif element.tag == "ActivitySummary":
        yield _summary(element)
    elif element.tag == "ClinicalRecord":
        yield _clinical(element, export, captured)
    elif element.tag in ("StateOfMind", "Record") or attributes.get("type") == STATE_OF_MIND:
        yield _timed("state_of_mind", element, {})
    else:
        moment = time_of(attributes.get("startDate") or attributes.get("dateIssued") or "")
        month = moment.date().replace(day=1) if moment and moment >= EARLIEST else captured
        record = generic(element)
        yield DropRow("other_elements", month, f"{element.tag}/{_hash(record)}", record)


def _workout(element: Element, spool: Spool) -> Iterator[DropRow | Unreadable]:
    inside: Record = {name: _children(element, tag) for tag, name in _WORKOUT_PARTS.items()}
    locations = []
    for route in (each for each in element.children if each.tag == "WorkoutRoute"):
        locations += [each for each in route.children if each.tag == "Location"]
    for route_record in inside["routes"]:
        children = route_record.get("children", [])
        kept = [each for each in children if each["tag"] != "Location"]
        if len(kept) < len(children):
            route_record["children"] = kept
    row = _timed("workouts", element, inside)
    yield row
    if locations and isinstance(row, DropRow):
        lost = spool_points(spool, f"workout/{row.key}", points_of_locations(locations))
        if lost:
            yield Unreadable(f"Workout: {lost} points of its route have no time or place", None)


def _timed(stream: str, element: Element, more: Record) -> DropRow | Unreadable:
    """A row of something with a start, under a key that no export changes."""
    attributes = element.attributes
    start = time_of(attributes.get("startDate", ""))
    if start is None or start < EARLIEST:
        return Unreadable(
            f"{element.tag}: startDate: expected a time since 1990, like "
            "2026-11-21 06:00:00 +0100",
            generic(element),
        )
    known = {*_WORKOUT_PARTS, "MetadataEntry", *(["Record"] if "records" in more else [])}
    others = [generic(each) for each in element.children if each.tag not in known]
    record: Record = {**attributes, "metadata": metadata_of(element), **more}
    if others:
        record["others"] = others
    identity = [
        attributes.get("workoutActivityType") or attributes.get("type"),
        attributes.get("sourceName"),
        *(
            moment.isoformat() if (moment := time_of(attributes.get(name, ""))) else None
            for name in ("startDate", "endDate", "creationDate")
        ),
    ]
    if stream != "workouts":
        identity.append(_hash(record))
    return DropRow(stream, start.date().replace(day=1), _hash(identity), record)


def _children(element: Element, tag: str) -> list[Record]:
    return [
        {name: value for name, value in generic(each).items() if name != "tag"}
        for each in element.children
        if each.tag == tag
    ]


def _summary(element: Element) -> DropRow | Unreadable:
    written = element.attributes.get("dateComponents", "")
    try:
        day = date.fromisoformat(written)
    except ValueError:
        day = date.min
    if day < EARLIEST.date():
        return Unreadable(
            "ActivitySummary: dateComponents: expected a day like 2026-11-21", generic(element)
        )
    return DropRow("activity_summaries", day.replace(day=1), str(day), {**element.attributes})


def _clinical(element: Element, export: Export, captured: date) -> DropRow:
    """A clinical record with its FHIR resource as it is written, which is never looked into."""
    attributes = element.attributes
    received = time_of(attributes.get("receivedDate", ""))
    month = received.date().replace(day=1) if received and received >= EARLIEST else captured
    path = attributes.get("resourceFilePath", "")
    name = next((each for each in export.names if path and each.endswith(path)), None)
    content = export.content(name) if name else None
    record: Record = {**attributes, "resource": content.decode(errors="replace") if content else None}
    identity = [attributes.get("type"), attributes.get("identifier"), path.rpartition("/")[2]]
    return DropRow("clinical_records", month, _hash(identity), record)


def _files_beside(
    export: Export, captured: date, spool: Spool
) -> Iterator[DropRow | Unreadable]:
    """Routes and electrocardiograms: files of their own."""
    for name in export.names:
        lower = name.lower()
        if lower.endswith(".gpx"):
            content = export.content(name)
            points = points_of_gpx(content) if content is not None else None
            if points is None:
                yield Unreadable("a route: expected well-formed GPX", {"file": name})
                continue
            route = "/" + "/".join(name.split("/")[-2:])
            lost = spool_points(spool, route, points)
            if lost:
                yield Unreadable(f"a route: {lost} points have no time or place", {"file": name})
        elif lower.endswith(".csv"):
            content = export.content(name)
            if content is None:
                yield Unreadable("an electrocardiogram that is damaged in the zip", {"file": name})
                continue
            yield _electrocardiogram(name, content, captured)


def _electrocardiogram(name: str, content: bytes, captured: date) -> DropRow:
    """Header lines as they are named, and the voltages as text: nothing of it is computed with."""
    header: dict[str, str] = {}
    voltages: list[str] = []
    for line in content.decode("utf-8-sig", errors="replace").splitlines():
        label, _, value = line.partition(",")
        if re.fullmatch(r"-?\d+(?:[.,]\d+)?", line.strip()):
            voltages.append(line.strip())
        elif label:
            header[label] = value.strip('"')
    moments = [moment for value in header.values() if (moment := time_of(value)) is not None]
    month = moments[0].date().replace(day=1) if moments else captured.replace(day=1)
    file = name.rpartition("/")[2]
    record: Record = {"file": file, "header": header, "voltages": " ".join(voltages)}
    return DropRow("electrocardiograms", month, file, record)


def _hash(value: Any) -> str:
    from personal_pipeline.ingest.lake import canonical

    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]
