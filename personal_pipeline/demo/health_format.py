"""The ``export.zip`` of the writer's phone: everything that phone, watch and scale measured.

As written by a phone in the United States: miles, pounds and Apple's ``Cal``, which is the
kilocalorie; grouped by type; every time with the UTC offset of the phone at the export. The phone
also counts what the watch counts, a little later and a little less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import TypeAlias

from personal_pipeline.demo.body import BodyDay, Stretch, Workout
from personal_pipeline.demo.chance import at, hexadecimal

_OFFSET = timedelta(hours=-5)
TIMEZONE = "America/New_York"
"""Where the writer is at home."""

_ZONE = f'  <MetadataEntry key="HKTimeZone" value="{TIMEZONE}"/>\n'
_MOTION = '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="0"/>\n'
_STORED_AFTER = timedelta(minutes=2)
_MINUTE = timedelta(minutes=1)
_METRES_A_MILE = 1_609.344
_GRAMS_A_POUND = 453.59237
_RESTING_KILOCALORIES = 372
"""Per six hours."""

_PROLOG = """\
<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
]>
<HealthData locale="en_US">
"""
_ME = """\
 <Me HKCharacteristicTypeIdentifierDateOfBirth="1987-05-14" \
HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexNotSet" \
HKCharacteristicTypeIdentifierBloodType="HKBloodTypeNotSet" \
HKCharacteristicTypeIdentifierFitzpatrickSkinType="HKFitzpatrickSkinTypeNotSet"/>
"""

_Stored: TypeAlias = tuple[datetime, str]
"""When something was stored on the phone, and its element."""


def export_files(
    rng: Random, body: Sequence[BodyDay], exported_at: datetime
) -> Iterator[tuple[str, str]]:
    """Each file of the zip and its text: what was stored on the phone by ``exported_at``."""
    # the memory address of a device object differs in every export
    watch = _device("Wren’s Apple\u00a0Watch", "Apple Watch", "Watch", "Watch6,2", rng)
    phone = _device("Wren’s iPhone", "iPhone", "iPhone", "iPhone14,5", rng)
    elements = "".join(
        element for stored_at, element in _stored(body, watch, phone) if stored_at <= exported_at
    )
    head = f'{_PROLOG} <ExportDate value="{_time(exported_at)}"/>\n{_ME}'
    yield "apple_health_export/export.xml", f"{head}{elements}</HealthData>\n"
    document = '<?xml version="1.0"?>\n<ClinicalDocument/>\n'
    yield "apple_health_export/export_cda.xml", document


def _device(source: str, name: str, model: str, hardware: str, rng: Random) -> str:
    return (
        f'sourceName="{source}" sourceVersion="18.1" '
        f'device="&lt;&lt;HKDevice: 0x{hexadecimal(rng, 9)}&gt;, name:{name}, '
        f'manufacturer:Apple Inc., model:{model}, hardware:{hardware}, software:18.1&gt;"'
    )


def _stored(body: Sequence[BodyDay], watch: str, phone: str) -> Iterator[_Stored]:
    """Every element under the root, grouped by type."""
    stretches = [each for day in body for each in day.stretches]
    on_watch = [each for each in stretches if each.on_watch]
    on_phone = [_seen_by_phone(each) for each in stretches if each.on_phone]
    workouts = [each for day in body for each in day.workouts]
    for seen, source in ((on_phone, phone), (on_watch, watch)):
        for each in seen:
            yield _record("StepCount", source, "count", *_span(each), f"{each.steps}")
    for seen, source in ((on_phone, phone), (on_watch, watch)):
        for each in seen:
            yield _record("DistanceWalkingRunning", source, "mi", *_span(each), _miles(each.metres))
    for ride in workouts:
        if ride.kind == "Cycling":
            yield _record("DistanceCycling", watch, "mi", *_while(ride), _miles(ride.metres))
    efforts = [each for day in body for each in _efforts(day)]
    for start, end, burned in efforts:
        yield _record("ActiveEnergyBurned", watch, "Cal", start, end, f"{burned:.3f}")
    for start, end, _ in efforts:
        if minutes := _exercise(start, end):
            yield _record("AppleExerciseTime", watch, "min", start, end, f"{minutes}")
    for day in body:
        yield from _at_rest(day, watch)
    for day in body:
        for moment, beats in day.pulse:
            yield _record("HeartRate", watch, "count/min", moment, moment, f"{beats}", _MOTION)
    for day in body:
        yield from _variability(day, watch)
    for day in body:
        yield from _night(day, watch, phone)
    for day in body:
        if day.grams is not None:
            weighed_at = day.night.up_at + 6 * _MINUTE
            pounds = f"{day.grams / _GRAMS_A_POUND:.6g}"
            scale = 'sourceName="Feather Scale" sourceVersion="3.2"'
            yield _record("BodyMass", scale, "lb", weighed_at, weighed_at, pounds)
    for workout in workouts:
        yield _workout(workout, watch)
    for day in body:
        if day.is_watch_worn:
            yield _rings(day)


def _time(moment: datetime) -> str:
    return f"{moment + _OFFSET:%Y-%m-%d %H:%M:%S} -0500"


def _span(each: Stretch) -> tuple[datetime, datetime]:
    return each.start, each.start + timedelta(seconds=each.seconds)


def _while(each: Workout) -> tuple[datetime, datetime]:
    return each.start, each.start + each.minutes * _MINUTE


def _miles(metres: int) -> str:
    return f"{metres / _METRES_A_MILE:.6g}"


def _seen_by_phone(each: Stretch) -> Stretch:
    return replace(
        each,
        start=each.start + timedelta(seconds=25),
        seconds=each.seconds + 20,
        steps=round(each.steps * 0.97),
        metres=round(each.metres * 0.96),
    )


def _efforts(day: BodyDay) -> list[tuple[datetime, datetime, float]]:
    """When the watch recorded energy being burned, and how much; a run is one stretch."""
    efforts = [(*_span(each), 0.06 * each.metres) for each in day.stretches if each.on_watch]
    efforts += [
        (*_while(each), float(each.kilocalories)) for each in day.workouts if each.kind != "Running"
    ]
    return efforts


def _exercise(start: datetime, end: datetime) -> int:
    """The minutes that count as exercise: none if it was short."""
    minutes = (end - start) // _MINUTE
    return minutes if minutes >= 10 else 0


def _record(
    measure: str,
    source: str,
    unit: str,
    start: datetime,
    end: datetime,
    value: str,
    within: str = "",
) -> _Stored:
    stored_at = end + _STORED_AFTER
    kind, units = ("Quantity", f' unit="{unit}"') if unit else ("Category", "")
    head = (
        f' <Record type="HK{kind}TypeIdentifier{measure}" {source}{units} '
        f'creationDate="{_time(stored_at)}" startDate="{_time(start)}" endDate="{_time(end)}" '
        f'value="{value}"'
    )
    return stored_at, f"{head}>\n{within} </Record>\n" if within else f"{head}/>\n"


def _at_rest(day: BodyDay, watch: str) -> Iterator[_Stored]:
    """The resting energy, and the resting pulse."""
    if day.resting_pulse is None:
        return
    for hour in (0, 6, 12, 18):
        begin = at(day.day, hour)
        span = (begin, begin + timedelta(hours=5, minutes=59))
        yield _record("BasalEnergyBurned", watch, "Cal", *span, f"{_RESTING_KILOCALORIES}")
    span = (at(day.day, 0, 10), at(day.day, 23, 40))
    yield _record("RestingHeartRate", watch, "count/min", *span, f"{day.resting_pulse}")


def _variability(day: BodyDay, watch: str) -> Iterator[_Stored]:
    for moment, milliseconds in day.variability:
        beats = "".join(
            f'   <InstantaneousBeatsPerMinute bpm="{55 + number}" '
            f'time="{moment + _OFFSET:%I:%M}:{number:02},40 AM"/>\n'
            for number in range(4)
        )
        within = f"  <HeartRateVariabilityMetadataList>\n{beats}"
        within += "  </HeartRateVariabilityMetadataList>\n"
        span = (moment, moment + _MINUTE)
        value = f"{milliseconds:.4f}"
        yield _record("HeartRateVariabilitySDNN", watch, "ms", *span, value, within)


def _night(day: BodyDay, watch: str, phone: str) -> Iterator[_Stored]:
    """The phone records when the writer was in bed, the watch how the writer slept."""
    stage = "HKCategoryValueSleepAnalysis"
    span = (day.night.in_bed_at, day.night.up_at)
    yield _record("SleepAnalysis", phone, "", *span, f"{stage}InBed", _ZONE)
    begin = day.night.asleep_at
    for name, minutes in day.night.stages:
        end = begin + minutes * _MINUTE
        yield _record("SleepAnalysis", watch, "", begin, end, f"{stage}{name}", _ZONE)
        begin = end


def _workout(workout: Workout, watch: str) -> _Stored:
    start, end = _while(workout)
    span = f'startDate="{_time(start)}" endDate="{_time(end)}"'
    lowest, average, highest = workout.pulse
    figures = [
        ("HeartRate", f'average="{average}" minimum="{lowest}" maximum="{highest}"', "count/min"),
        ("ActiveEnergyBurned", f'sum="{workout.kilocalories}"', "Cal"),
    ]
    if workout.metres:
        distance = "DistanceCycling" if workout.kind == "Cycling" else "DistanceWalkingRunning"
        figures.append((distance, f'sum="{_miles(workout.metres)}"', "mi"))
    statistics = "".join(
        f'  <WorkoutStatistics type="HKQuantityTypeIdentifier{name}" {span} {figure} '
        f'unit="{unit}"/>\n'
        for name, figure, unit in figures
    )
    stored_at = end + _STORED_AFTER
    return stored_at, (
        f' <Workout workoutActivityType="HKWorkoutActivityType{workout.kind}" '
        f'duration="{workout.minutes}" durationUnit="min" {watch} '
        f'creationDate="{_time(stored_at)}" {span}>\n{_ZONE}{statistics} </Workout>\n'
    )


def _rings(day: BodyDay) -> _Stored:
    efforts = _efforts(day)
    burned = sum(each for _, _, each in efforts)
    minutes = sum(_exercise(start, end) for start, end, _ in efforts)
    return at(day.day, 23, 59), (
        f' <ActivitySummary dateComponents="{day.day}" activeEnergyBurned="{burned:.3f}" '
        'activeEnergyBurnedGoal="450" activeEnergyBurnedUnit="Cal" appleMoveTime="0" '
        f'appleMoveTimeGoal="0" appleExerciseTime="{minutes}" appleExerciseTimeGoal="30" '
        f'appleStandHours="{min(16, len(day.stretches) + 3)}" appleStandHoursGoal="12"/>\n'
    )
