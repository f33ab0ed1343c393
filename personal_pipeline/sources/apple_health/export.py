"""Reading a whole export: assigning each part to its stream."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, date
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
from personal_pipeline.ingest.lake import canonical
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.shown import counted
from personal_pipeline.sources.apple_health.elements import Element, End, parts
from personal_pipeline.sources.apple_health.members import Export, head_of_main, opened
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

WRITTEN = "written"
"""The field with an element as the phone wrote it, including the offsets of its times and the
device. Both differ in every export without meaning anything, so it is left out of the digest."""

_WORKOUT_PARTS = {
    "WorkoutEvent": "events",
    "WorkoutStatistics": "statistics",
    "WorkoutActivity": "activities",
    "WorkoutRoute": "routes",
}
_PARTS = {**_WORKOUT_PARTS, "Record": "records"}


def recognise_export(file: DropFile) -> Claim | None:
    """Whether the file is an Apple Health export: a zip, or the XML from inside one."""
    try:
        head = head_of_main(file.path)
    except UnreadableFile:
        return None
    if head is None:
        return None
    found = _EXPORT_DATE.search(head)
    exported = time_of(found[1].decode(errors="replace")) if found else None
    return Claim(0.95, "an XML with the root <HealthData>", exported)


def load_export(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable | Incomplete]:
    """Read an export. Records and route points go into the spool; everything else is yielded.

    Raises ``UnreadableFile`` when it is hostile or not an export.
    """
    prepare_points(spool)
    with opened(file.path, spool.folder) as export:
        records = Records(spool, file.captured_at)
        about: Record = {}
        ended = False
        try:
            for part in parts(_told(export, file), records.take):
                if isinstance(part, Unreadable):
                    yield part
                elif isinstance(part, End):
                    ended = True
                elif part.tag == "Record":
                    records.add(part)
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
    problem = export.problem or (None if ended else "the XML is truncated before </HealthData>")
    if problem is None and export.archive is None and export.points_outside:
        problem = "this is only the XML, and workout routes are separate files"
    if problem:
        yield Incomplete(
            f"Incomplete: {problem}. Its rows were added and none removed; drop the whole "
            "export.zip."
        )


def _told(export: Export, file: DropFile) -> Iterator[bytes]:
    done = 0
    for block in export.blocks:
        yield block
        done += len(block)
        file.progress(done, export.size)


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
    """The rows of an element that is not a record."""
    captured = file.captured_at.astimezone(UTC).date().replace(day=1)
    attributes = element.attributes
    if element.tag == "Workout":
        yield from _workout(element, export, spool)
    elif element.tag == "Correlation":
        yield _timed("correlations", element)
    elif element.tag == "ActivitySummary":
        yield _summary(element)
    elif element.tag == "ClinicalRecord":
        yield _clinical(element, export, captured)
    elif element.tag in ("StateOfMind", "Record") or attributes.get("type") == STATE_OF_MIND:
        yield _timed("state_of_mind", element)
    else:
        moment = time_of(attributes.get("startDate") or attributes.get("dateIssued") or "")
        month = moment.date().replace(day=1) if moment and moment >= EARLIEST else captured
        record = {"tag": element.tag, **_record(element)}
        yield DropRow("other_elements", month, f"{element.tag}/{_hash(_measured(record))}", record)


def _workout(element: Element, export: Export, spool: Spool) -> Iterator[DropRow | Unreadable]:
    locations: list[Element] = []
    kept: list[Element] = []
    for child in element.children:
        if child.tag == "WorkoutRoute":
            locations += [each for each in child.children if each.tag == "Location"]
            rest = [each for each in child.children if each.tag != "Location"]
            export.points_outside |= any(each.tag == "FileReference" for each in rest)
            child = child._replace(children=rest)
        kept.append(child)
    row = _timed("workouts", element._replace(children=kept))
    yield row
    if locations and isinstance(row, DropRow):
        lost = spool_points(spool, f"workout/{row.key}", points_of_locations(locations))
        if lost:
            yield Unreadable(
                f"Workout: {counted(lost, 'point')} of its route without time or place", None
            )


def _timed(stream: str, element: Element) -> DropRow | Unreadable:
    """A row of something with a start, with a key that is stable across exports."""
    start = time_of(element.attributes.get("startDate", ""))
    if start is None or start < EARLIEST:
        return Unreadable(
            f"{element.tag}: startDate: expected a time since 1990, like 2026-11-21 06:00:00 +0100",
            generic(element),
        )
    record = _record(element)
    names = ("workoutActivityType", "type", "sourceName", "startDate", "endDate")
    identity = [record.get(name) for name in names]
    if stream != "workouts":
        identity.append(_hash(_measured(record)))
    return DropRow(stream, start.date().replace(day=1), _hash(identity), record)


def _measured(value: Any) -> Any:
    """The content of a record without its creation date: the same may be recorded twice."""
    if isinstance(value, dict):
        left_out = (WRITTEN, "creationDate")
        return {name: _measured(each) for name, each in value.items() if name not in left_out}
    if isinstance(value, list):
        return [_measured(each) for each in value]
    return value


def _record(element: Element) -> Record:
    """An element as JSON: its attributes and metadata, a list for each kind of child element, and
    its original form. Times are in UTC, and the device is left out: its text contains an address
    that differs in every export."""
    record = _in_utc(element)
    record["metadata"] = metadata_of(element)
    for tag, name in _PARTS.items():
        found = [_in_utc(each) for each in element.children if each.tag == tag]
        if found or (element.tag == "Workout" and tag in _WORKOUT_PARTS):
            record[name] = found
    known = {*_PARTS, "MetadataEntry"}
    others = [generic(each) for each in element.children if each.tag not in known]
    if others:
        record["others"] = others
    record[WRITTEN] = generic(element)
    return record


def _in_utc(element: Element) -> Record:
    record: Record = {}
    for name, text in element.attributes.items():
        moment = time_of(text)
        if name != "device":
            record[name] = f"{moment:%Y-%m-%dT%H:%M:%SZ}" if moment else text
    if element.tag in _PARTS and element.children:
        record["metadata"] = metadata_of(element)
        files = [each.attributes["path"] for each in element.children if "path" in each.attributes]
        if files:
            record["files"] = files
    return record


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
    """A clinical record with its FHIR resource verbatim, which is never parsed."""
    attributes = element.attributes
    received = time_of(attributes.get("receivedDate", ""))
    month = received.date().replace(day=1) if received and received >= EARLIEST else captured
    path = attributes.get("resourceFilePath", "")
    name = next((each for each in export.names if path and each.endswith(path)), None)
    content = export.content(name) if name else None
    record: Record = {
        **attributes,
        "resource": content.decode(errors="replace") if content else None,
    }
    identity = [attributes.get("type"), attributes.get("identifier"), path.rpartition("/")[2]]
    return DropRow("clinical_records", month, _hash(identity), record)


def _files_beside(export: Export, captured: date, spool: Spool) -> Iterator[DropRow | Unreadable]:
    """Routes and electrocardiograms, which are separate files."""
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
                yield Unreadable(
                    f"a route: {counted(lost, 'point')} without time or place", {"file": name}
                )
        elif lower.endswith(".csv"):
            content = export.content(name)
            if content is None:
                yield Unreadable("an electrocardiogram that is damaged in the zip", {"file": name})
                continue
            yield _electrocardiogram(name, content, captured)


def _electrocardiogram(name: str, content: bytes, captured: date) -> DropRow:
    """Header lines by name, and the voltages as text: nothing is computed from them."""
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


def _hash(value: object) -> str:
    return hashlib.sha256(canonical(value).encode()).hexdigest()[:32]
