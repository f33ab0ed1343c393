"""A generated Apple Health export of any size, as written by a phone with a watch.

Like Apple's: one type after the other, ordered by time within a type; one line per element; heart
rates with a metadata entry, heart rate variability with its beats.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

from personal_pipeline_tests.sources.apple_health_exports import PROLOG

EXPORTED = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
ROOT = "apple_health_export"

_HEAD = f"""{PROLOG}<HealthData locale="en_GB">
 <ExportDate value="2026-11-20 10:00:00 +0100"/>
 <Me HKCharacteristicTypeIdentifierDateOfBirth="1988-03-04" \
HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexFemale" \
HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet" \
HKCharacteristicTypeIdentifierFitzpatrickSkinType="HKFitzpatrickSkinTypeNotSet"/>
"""

_WATCH = (
    'sourceName="Robin’s Apple\u00a0Watch" sourceVersion="11.1" '
    'device="&lt;&lt;HKDevice: 0x3021d4dc0&gt;, name:Apple Watch, manufacturer:Apple Inc., '
    'model:Watch, hardware:Watch6,2, software:11.1&gt;"'
)
_PHONE = (
    'sourceName="Robin’s iPhone" sourceVersion="18.1" '
    'device="&lt;&lt;HKDevice: 0x3021d4e10&gt;, name:iPhone, manufacturer:Apple Inc., '
    'model:iPhone, hardware:iPhone14,5, software:18.1&gt;"'
)


class _Kind(NamedTuple):
    """A record type: its share of all records, what measures it, its lowest and highest value."""

    name: str
    share: float
    sources: tuple[str, ...]
    unit: str
    low: float
    high: float
    seconds: int


_KINDS = (
    _Kind("Quantity:HeartRate", 0.30, (_WATCH,), "count/min", 48, 160, 0),
    _Kind("Quantity:ActiveEnergyBurned", 0.29, (_WATCH,), "kcal", 0.05, 8, 60),
    _Kind("Quantity:StepCount", 0.17, (_PHONE, _WATCH), "count", 4, 160, 300),
    _Kind("Quantity:DistanceWalkingRunning", 0.13, (_PHONE, _WATCH), "km", 0.004, 0.3, 300),
    _Kind("Quantity:BasalEnergyBurned", 0.08, (_WATCH,), "kcal", 0.5, 30, 900),
    _Kind("Category:SleepAnalysis", 0.014, (_WATCH,), "", 0, 0, 1500),
    _Kind("Quantity:RespiratoryRate", 0.008, (_WATCH,), "count/min", 11, 19, 0),
    _Kind("Quantity:OxygenSaturation", 0.005, (_WATCH,), "%", 0.93, 1, 0),
    _Kind("Quantity:HeartRateVariabilitySDNN", 0.002, (_WATCH,), "ms", 18, 90, 60),
    _Kind("Quantity:RestingHeartRate", 0.001, (_WATCH,), "count/min", 48, 62, 86_000),
)
_STAGES = ("AsleepCore", "AsleepDeep", "AsleepREM", "Awake", "AsleepCore")


def write_export(path: Path, records: int, *, years: float = 5, seed: int = 4) -> None:
    """Write ``export.zip`` with this many records, and matching workouts and days."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open(f"{ROOT}/export.xml", "w", force_zip64=True) as stream:
            held: list[str] = []
            for element in _elements(records, years, Random(seed)):
                held.append(element)
                if len(held) == 5000:
                    stream.write("".join(held).encode())
                    held.clear()
            stream.write("".join(held).encode())
        archive.writestr(f"{ROOT}/export_cda.xml", "<ClinicalDocument/>\n")


def _elements(records: int, years: float, chance: Random) -> Iterator[str]:
    yield _HEAD
    seconds = years * 365 * 86_400
    start = EXPORTED - timedelta(seconds=seconds)
    for kind in _KINDS:
        count = max(int(records * kind.share), 1)
        step = seconds / count
        for number in range(count):
            yield _record(kind, start + timedelta(seconds=int(step * number)), chance)
    for number in range(max(records // 2000, 1)):
        yield _workout(start + timedelta(seconds=seconds * number / (records // 2000 + 1)), chance)
    for number in range(int(years * 365)):
        yield _summary(start + timedelta(days=number), chance)
    yield "</HealthData>\n"


def _time(moment: datetime) -> str:
    summer = 4 <= moment.month <= 10
    local = moment + timedelta(hours=2 if summer else 1)
    return (
        f"{local.year}-{local.month:02}-{local.day:02} "
        f"{local.hour:02}:{local.minute:02}:{local.second:02} {'+0200' if summer else '+0100'}"
    )


def _record(kind: _Kind, start: datetime, chance: Random) -> str:
    group, name = kind.name.split(":")
    end = start + timedelta(seconds=kind.seconds)
    unit = f' unit="{kind.unit}"' if kind.unit else ""
    value = f"{kind.low + (kind.high - kind.low) * chance.random():.6g}"
    within = ""
    if name in ("StepCount", "HeartRate"):
        value = value.partition(".")[0]
    if name == "HeartRate":
        within = '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="0"/>\n'
    elif name == "SleepAnalysis":
        value = f"HKCategoryValueSleepAnalysis{chance.choice(_STAGES)}"
        within = '  <MetadataEntry key="HKTimeZone" value="Europe/Zurich"/>\n'
    elif name == "HeartRateVariabilitySDNN":
        beats = "".join(
            f'   <InstantaneousBeatsPerMinute bpm="{chance.randint(50, 80)}" '
            f'time="7:{number // 60:02}:{number % 60:02},{chance.randint(10, 99)} AM"/>\n'
            for number in range(50)
        )
        within = (
            f"  <HeartRateVariabilityMetadataList>\n{beats}  </HeartRateVariabilityMetadataList>\n"
        )
    head = (
        f' <Record type="HK{group}TypeIdentifier{name}" {chance.choice(kind.sources)}{unit} '
        f'creationDate="{_time(end + timedelta(seconds=chance.randint(1, 900)))}" '
        f'startDate="{_time(start)}" endDate="{_time(end)}" value="{value}"'
    )
    return f"{head}>\n{within} </Record>\n" if within else f"{head}/>\n"


def _workout(start: datetime, chance: Random) -> str:
    minutes = chance.randint(20, 90)
    end = start + timedelta(minutes=minutes)
    span = f'startDate="{_time(start)}" endDate="{_time(end)}"'
    return (
        f' <Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="{minutes}.25" '
        f'durationUnit="min" {_WATCH} creationDate="{_time(end)}" {span}>\n'
        '  <MetadataEntry key="HKTimeZone" value="Europe/Zurich"/>\n'
        f'  <WorkoutEvent type="HKWorkoutEventTypePause" date="{_time(start)}"/>\n'
        '  <WorkoutStatistics type="HKQuantityTypeIdentifierDistanceWalkingRunning" '
        f'{span} sum="{minutes / 6:.4f}" unit="km"/>\n'
        '  <WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" '
        f'{span} average="148.2" minimum="91" maximum="177" unit="count/min"/>\n'
        " </Workout>\n"
    )


def _summary(day: datetime, chance: Random) -> str:
    return (
        f' <ActivitySummary dateComponents="{day:%Y-%m-%d}" '
        f'activeEnergyBurned="{chance.uniform(200, 900):.3f}" activeEnergyBurnedGoal="500" '
        f'activeEnergyBurnedUnit="kcal" appleMoveTime="0" appleMoveTimeGoal="0" '
        f'appleExerciseTime="{chance.randint(0, 120)}" appleExerciseTimeGoal="30" '
        f'appleStandHours="{chance.randint(4, 16)}" appleStandHoursGoal="12"/>\n'
    )
