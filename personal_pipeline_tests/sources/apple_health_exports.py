"""Exports of Apple Health as phones write them, from a few words."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from xml.sax.saxutils import quoteattr

PROLOG = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
]>
"""

PROLOG_OF_IOS_16 = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 12 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout)*)>
<!ATTLIST Workout
  workoutActivityType CDATA #REQUIRED
  endDate             CDATA #REQUIRED
<!ELEMENT WorkoutStatistics (MetadataEntry*)
  startDate CDATA #REQUIRED
  >
  <!ATTLIST WorkoutStatistics type CDATA #REQUIRED
]>
"""

WATCH = (
    "<<HKDevice: 0x3021d4dc0>, name:Apple Watch, manufacturer:Apple Inc., model:Watch, "
    "hardware:Watch6,2, software:11.1>"
)
PHONE = (
    "<<HKDevice: 0x3021d4e10>, name:iPhone, manufacturer:Apple Inc., model:iPhone, "
    "hardware:iPhone14,5, software:18.1>"
)


def xml(*elements: str, prolog: str = PROLOG, exported: str = "2026-11-20 10:00:00 +0100") -> str:
    """A whole main file."""
    me = (
        '<Me HKCharacteristicTypeIdentifierDateOfBirth="1988-03-04" '
        'HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexFemale" '
        'HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet"/>'
    )
    body = "\n ".join((f'<ExportDate value="{exported}"/>', me, *elements))
    return f'{prolog}<HealthData locale="de_CH">\n {body}\n</HealthData>\n'


def record(
    measure: str,
    start: str,
    end: str,
    value: str,
    *,
    source: str = "Robin’s Apple\u00a0Watch",
    device: str | None = WATCH,
    unit: str | None = "count",
    created: str | None = None,
    zone: str = "+0000",
    within: str = "",
) -> str:
    """A record as a line; times without their zone."""
    kind = "Category" if unit is None else "Quantity"
    attributes = {
        "type": f"HK{kind}TypeIdentifier{measure}",
        "sourceName": source,
        "sourceVersion": "11.1",
        "device": device,
        "unit": unit,
        "creationDate": f"{created or end} {zone}",
        "startDate": f"{start} {zone}",
        "endDate": f"{end} {zone}",
        "value": value,
    }
    head = "<Record " + " ".join(
        f"{name}={quoteattr(text)}" for name, text in attributes.items() if text is not None
    )
    return f"{head}>\n  {within}\n </Record>" if within else f"{head}/>"


def zipped(place: Path, main: str | bytes, name: str = "apple_health_export/export.xml",
           beside: Mapping[str, str] | None = None) -> Path:  # fmt: skip
    """An export as a zip; ``beside`` are further files by their whole names."""
    place.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("apple_health_export/export_cda.xml", "<ClinicalDocument/>")
        archive.writestr(name, main)
        for other, content in (beside or {}).items():
            archive.writestr(other, content)
    return place
