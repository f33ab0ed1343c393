"""Apple Health: the export of everything that a phone, a watch and their apps have measured.

It cannot be fetched: the user exports ``export.zip`` in the Health app and drops it. Every export
is the whole history, so the most recent one is the full picture, and only months that differ cost
anything downstream.

What surprised the author:
- The document type of iOS 16.0 is not well-formed; a strict parser fails before the first record.
- Nothing has an id, and duplicates occur, both exact ones and ones that differ only in when they
  were recorded: a record is identified by its type, source, start, end, unit and value.
- The offset of all times is that of the phone when the export was made, not of where it happened.
  Another time zone, or daylight saving time, changes the text of every record and not one instant.
- The device text contains a memory address that differs in every export.
- Phone and watch both count the same steps: rows overlap in time and must not be summed.
- Members of a correlation also appear at the top level; they are counted only there.
"""

from __future__ import annotations

from personal_pipeline.ingest.contract import Coverage, Drop, DropStream, Source
from personal_pipeline.sources.apple_health.export import WRITTEN, load_export, recognise_export
from personal_pipeline.sources.apple_health.records import RECORDS, VOLATILE
from personal_pipeline.sources.apple_health.routes import ROUTE_POINTS

_CODE = "2"
"""Since 2, the creation date of a row is not part of its identity."""


def _stream(name: str, description: str) -> DropStream:
    return DropStream(
        name=name,
        description=description,
        coverage=Coverage.FULL,
        volatile=(WRITTEN,),
        code_version=_CODE,
    )


EXPORT = Drop(
    name="export",
    description="export.zip of the Health app, or the export.xml inside it",
    how_to=(
        "On the iPhone: Health, your picture at the top right, Export All Health Data. It takes "
        "minutes; then send the zip to this machine (AirDrop, Files)."
    ),
    recognise=recognise_export,
    load=load_export,
    streams=(
        DropStream(
            name="records",
            description=(
                "One row a measurement of a phone, a watch or an app, filed under the UTC month of "
                "its start. Text as Apple writes it; times in UTC, with their offsets beside them."
            ),
            coverage=Coverage.FULL,
            volatile=VOLATILE,
            code_version=_CODE,
            table=RECORDS,
        ),
        DropStream(
            name="workout_route_points",
            description=(
                "One row a point of a workout's route, about one a second. Metres, metres a "
                "second, degrees, UTC. Filed under the UTC month in which it was measured."
            ),
            coverage=Coverage.FULL,
            code_version=_CODE,
            table=ROUTE_POINTS,
        ),
        _stream(
            "workouts",
            "One row a workout, with its statistics, events and routes. Filed under the UTC month "
            "of its start.",
        ),
        _stream(
            "activity_summaries",
            "One row a day of the activity rings, already deduplicated. Filed under its month.",
        ),
        _stream(
            "correlations",
            "One row a correlation: measurements that belong together, as a meal; times in UTC. "
            "Filed under the UTC month of its start.",
        ),
        _stream(
            "state_of_mind",
            "One row an entry of how one felt: valence from -1 to 1. Filed under the UTC month of "
            "its start.",
        ),
        _stream(
            "clinical_records",
            "One row a record of a clinic, with its FHIR resource as text. Filed under the UTC "
            "month in which it came.",
        ),
        _stream(
            "electrocardiograms",
            "One row an electrocardiogram: its header and voltages. Filed under the UTC month of "
            "its recording, or of the export where that cannot be read.",
        ),
        _stream(
            "characteristics",
            "One row an export: date of birth, sex, blood type, locale. Filed under its month.",
        ),
        _stream(
            "other_elements",
            "One row an element that this version does not know, as JSON. Filed under the UTC "
            "month of its start, else of the export.",
        ),
    ),
    monthly_on_day=1,
)

APPLE_HEALTH = Source(
    name="apple_health",
    title="Apple Health",
    description="What a phone, a watch and their apps have measured: the whole history, by hand.",
    drops=(EXPORT,),
)

__all__ = ["APPLE_HEALTH"]
