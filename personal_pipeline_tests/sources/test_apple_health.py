"""Exports of Apple Health through the real inbox into the lake: whatever the phone writes is read,
and the bulk of it in the same way as by a real parser."""

from __future__ import annotations

import dataclasses
import json
import os
import random
import shutil
import zipfile
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropFile, DropRow, Incomplete, Unreadable
from personal_pipeline.ingest.inbox import Receipt, ingest_file
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.spool import Spool, spooling
from personal_pipeline.sources.apple_health import APPLE_HEALTH
from personal_pipeline.sources.apple_health.elements import Element, parts
from personal_pipeline.sources.apple_health.export import load_export, recognise_export
from personal_pipeline.sources.apple_health.records import RECORDS, Records
from personal_pipeline_tests.examples import examples
from personal_pipeline_tests.sources.apple_health_exports import (
    PROLOG_OF_IOS_16,
    WATCH,
    record,
    xml,
    zipped,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
STREAMS = {stream.name: stream for stream in APPLE_HEALTH.drop_streams}

STEPS = record("StepCount", "2026-10-03 08:00:00", "2026-10-03 08:10:00", "912")
PULSE = record(
    "HeartRate",
    "2026-11-01 06:30:00",
    "2026-11-01 06:30:00",
    "61",
    unit="count/min",
    within='<MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>',
)


def add(home: Home, path: Path, *, days: int = 0) -> Receipt:
    stamp = NOW.timestamp() + days * 86_400
    os.utime(path, (stamp, stamp))
    return ingest_file(home, [APPLE_HEALTH], path, datetime.fromtimestamp(stamp, UTC)).receipt


def drop(home: Home, main: str | bytes, file: str = "export.zip", **more: Any) -> Receipt:
    return add(home, zipped(home.inbox / file, main, **more))


def rows(home: Home, stream: str) -> list[dict[str, Any]]:
    """What the lake holds of a stream."""
    lake = lake_of(home, APPLE_HEALTH.name, STREAMS[stream])
    if STREAMS[stream].table is None:
        return [
            row.record for month in lake.partitions() for _, row in sorted(lake.read(month).items())
        ]
    found = duckdb.sql(f"select * from read_parquet('{lake.folder}/*/part.parquet') order by all")
    return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]


def counts(receipt: Receipt) -> dict[str, tuple[int, int, int, int]]:
    return {
        each.stream: (each.new, each.altered, each.vanished, each.unchanged)
        for each in receipt.streams
        if each.new or each.altered or each.vanished or each.unchanged
    }


# ----------------------------------------------------------------------------------- what is read


def test_records_have_utc_and_keep_their_offsets_and_metadata(home: Home) -> None:
    odd = record(
        "BodyMass",
        "2026-10-31 23:30:00",
        "2026-10-31 23:30:00",
        "61.2",
        zone="-0700",
        unit="kg",
        device=None,
        source="Waage & Co “1”",
        within='<MetadataEntry key="Link" value="a&amp;b&lt;c"/><MetadataEntry key="x" value="1"/>',
    )
    receipt = drop(home, xml(STEPS, PULSE, odd))
    assert (receipt.problem, receipt.warning, receipt.unreadable) == (None, None, 0)
    assert receipt.captured_at == "2026-11-20T09:00:00+00:00"
    assert receipt.streams[0].changed_months == ("2026-10-01", "2026-11-01")
    weight, pulse, steps = rows(home, "records")
    assert steps["sourceName"] == "Robin’s Apple\u00a0Watch"
    assert steps["device"] == WATCH.replace(": 0x3021d4dc0", "")
    assert (steps["value"], steps["metadata"], steps["more"]) == ("912", None, None)
    assert json.loads(pulse["metadata"]) == {"HKMetadataKeyHeartRateMotionContext": "1"}
    assert str(weight["start_at"]) == "2026-11-01 06:30:00"
    assert (weight["offsets"], weight["month"]) == ("-0700", date(2026, 11, 1))
    assert weight["sourceName"] == "Waage & Co “1”"
    assert json.loads(weight["metadata"]) == {"Link": "a&b<c", "x": "1"}


@pytest.mark.parametrize(
    "name",
    ["apple_health_export/Export.xml", "export.xml", "Gesundheit/exportación.XML", "书/导出.xml"],
)
def test_names_do_not_matter(home: Home, name: str) -> None:
    receipt = drop(home, xml(STEPS, prolog=PROLOG_OF_IOS_16), "Gesundheitsdaten.zip", name=name)
    assert counts(receipt) == {"records": (1, 0, 0, 0), "characteristics": (1, 0, 0, 0)}


def test_the_xml_alone_is_read_too(home: Home) -> None:
    (home.inbox / "export.xml").write_text(xml(STEPS))
    receipt = add(home, home.inbox / "export.xml")
    assert receipt.warning is None
    assert len(rows(home, "records")) == 1


WORKOUT = """<Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="30.5"
 durationUnit="min" sourceName="Watch" device="&lt;&lt;HKDevice: 0x1&gt;&gt;"
 creationDate="2026-10-03 09:31:00 +0200" startDate="2026-10-03 09:00:00 +0200"
 endDate="2026-10-03 09:30:30 +0200">
  <MetadataEntry key="HKTimeZone" value="Europe/Zurich"/>
  <WorkoutEvent type="HKWorkoutEventTypePause" date="2026-10-03 09:10:00 +0200"/>
  <WorkoutStatistics type="HKQuantityTypeIdentifierDistanceWalkingRunning"
   startDate="2026-10-03 09:00:00 +0200" endDate="2026-10-03 09:30:30 +0200" sum="5.1" unit="km"/>
  <WorkoutRoute sourceName="Watch" creationDate="2026-10-03 09:31:00 +0200"
   startDate="2026-10-03 09:00:00 +0200" endDate="2026-10-03 09:30:30 +0200">
   <MetadataEntry key="HKMetadataKeySyncVersion" value="2"/>
   <FileReference path="/workout-routes/route_2026-10-03_9.30am.gpx"/>
  </WorkoutRoute>
 </Workout>"""

GPX = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Apple Health Export" xmlns="http://www.topografix.com/GPX/1/1"><trk>
<trkseg><trkpt lon="8.5" lat="47.3"><ele>410.5</ele><time>2026-10-03T07:00:01Z</time><extensions>
<speed>2.5</speed><course>90.0</course><hAcc>4.0</hAcc><vAcc>3.0</vAcc></extensions></trkpt>
<trkpt lon="8.6" lat="47.4"><ele>411.5</ele><time>2026-10-03T07:00:02Z</time></trkpt>
<trkpt lon="8.6" lat="none"><time>2026-10-03T07:00:03Z</time></trkpt></trkseg></trk></gpx>"""


def test_workouts_bring_their_statistics_events_and_routes(home: Home) -> None:
    receipt = drop(
        home,
        xml(WORKOUT),
        beside={"apple_health_export/workout-routes/route_2026-10-03_9.30am.gpx": GPX},
    )
    [workout] = rows(home, "workouts")
    assert workout["startDate"] == "2026-10-03T07:00:00Z"
    assert workout["written"]["startDate"] == "2026-10-03 09:00:00 +0200"
    assert workout["metadata"] == {"HKTimeZone": "Europe/Zurich"}
    assert workout["events"][0]["date"] == "2026-10-03T07:10:00Z"
    assert workout["statistics"][0]["sum"] == "5.1"
    assert workout["routes"][0]["files"] == ["/workout-routes/route_2026-10-03_9.30am.gpx"]
    first, second = rows(home, "workout_route_points")
    assert first["route"] == workout["routes"][0]["files"][0]
    assert (first["latitude"], first["longitude"], first["speed"]) == (47.3, 8.5, 2.5)
    assert (second["number"], second["speed"]) == (2, None)
    assert receipt.unreadable == 1  # the point without a place


def test_members_of_a_correlation_count_once(home: Home) -> None:
    top = [
        record(f"BloodPressure{kind}", "2026-10-05 07:00:00", "2026-10-05 07:00:00", value,
               unit="mmHg")
        for kind, value in (("Systolic", "121"), ("Diastolic", "79"))
    ]  # fmt: skip
    correlation = (
        '<Correlation type="HKCorrelationTypeIdentifierBloodPressure" sourceName="Cuff" '
        'startDate="2026-10-05 07:00:00 +0000" endDate="2026-10-05 07:00:00 +0000">\n'
        f'  <MetadataEntry key="k" value="v"/>\n  {top[0]}\n  {top[1]}\n </Correlation>'
    )
    receipt = drop(home, xml(top[0], correlation, top[1]))
    assert counts(receipt)["records"] == (2, 0, 0, 0)
    [found] = rows(home, "correlations")
    assert [each["value"] for each in found["records"]] == ["121", "79"]
    assert found["metadata"] == {"k": "v"}


def test_what_was_put_down_twice_is_one(home: Home) -> None:
    """The same steps, the same workout, the same meal, put down again on another day."""
    later = {"created": "2026-10-09 08:10:00"}
    at = ("2026-10-03 08:00:00", "2026-10-03 08:10:00")
    steps = [record("StepCount", *at, "912", **more) for more in ({}, later)]
    other = [
        record("StepCount", *at, "913"),
        record("StepCount", *at, "912", source="Robin’s iPhone"),
        record("StepCount", at[0], at[0], "912"),
    ]
    workout = WORKOUT.replace(
        'creationDate="2026-10-03 09:31:00 +0200" startDate', 'creationDate="{}" startDate', 1
    )
    meal = (
        '<Correlation type="HKCorrelationTypeIdentifierFood" sourceName="Food" creationDate="{0}" '
        'startDate="2026-10-05 07:00:00 +0000" endDate="2026-10-05 07:00:00 +0000">'
        '<Record type="HKQuantityTypeIdentifierDietaryWater" sourceName="Food" unit="mL" '
        'creationDate="{0}" startDate="2026-10-05 07:00:00 +0000" '
        'endDate="2026-10-05 07:00:00 +0000" value="{1}"/></Correlation>'
    )
    mood = (
        '<Record type="HKDataTypeStateOfMind" sourceName="Mind" valence="-0.25" '
        'creationDate="{}" startDate="2026-10-07 09:00:00 +0200"/>'
    )
    hearing = (
        '<Audiogram sourceName="Ear" creationDate="{}" startDate="2026-10-08 09:00:00 +0200"/>'
    )
    days = ("2026-10-08 09:00:00 +0200", "2026-10-09 09:00:00 +0200")
    drop(
        home,
        xml(
            *steps,
            *other,
            *(each.format(day) for each in (workout, mood, hearing) for day in days),
            *(meal.format(day, amount) for day in days for amount in (250, 300)),
        ),
    )
    assert len(rows(home, "records")) == 1 + len(other)
    for stream, count in {
        "workouts": 1, "correlations": 2, "state_of_mind": 1, "other_elements": 1
    }.items():  # fmt: skip
        assert len(rows(home, stream)) == count, stream


def test_everything_else_is_kept(home: Home) -> None:
    receipt = drop(
        home,
        xml(
            '<ActivitySummary dateComponents="2026-10-05" activeEnergyBurned="512.5" '
            'activeEnergyBurnedUnit="kcal" appleStandHours="11"/>',
            '<ClinicalRecord type="HKClinicalTypeIdentifierLabResultRecord" identifier="7" '
            'sourceName="Clinic" fhirVersion="4.0.1" receivedDate="2026-10-06 09:00:00 +0200" '
            'resourceFilePath="/clinical-records/Observation-1.json"/>',
            '<Record type="HKDataTypeStateOfMind" sourceName="Mind" valence="-0.25" '
            'startDate="2026-10-07 09:00:00 +0200" endDate="2026-10-07 09:00:00 +0200"/>',
            '<Audiogram type="HKDataTypeIdentifierAudiogram" sourceName="Ear" '
            'startDate="2026-10-08 09:00:00 +0200"><SensitivityPoint frequencyValue="500"/>'
            "</Audiogram>",
        ),
        beside={
            "apple_health_export/clinical-records/Observation-1.json": '{"resourceType": 1}',
            "apple_health_export/electrocardiograms/ecg_2026-10-09.csv": (
                "Name,Robin\nRecorded Date,2026-10-09 07:00:00 +0200\nUnit,µV\n\n12.5\n-3\n"
            ),
        },
    )
    assert receipt.unreadable == 0
    assert rows(home, "activity_summaries")[0]["activeEnergyBurned"] == "512.5"
    assert rows(home, "clinical_records")[0]["resource"] == '{"resourceType": 1}'
    assert rows(home, "state_of_mind")[0]["valence"] == "-0.25"
    assert rows(home, "other_elements")[0]["tag"] == "Audiogram"
    assert rows(home, "electrocardiograms")[0]["voltages"] == "12.5 -3"
    assert rows(home, "characteristics")[0]["HealthData"] == {"locale": "de_CH"}


def test_the_samples_are_read(home: Home, samples: Path) -> None:
    folder = samples / "apple_health"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there")
    with zipfile.ZipFile(home.inbox / "export.zip", "w") as archive:
        for path in folder.rglob("*.*"):
            archive.write(path, f"apple_health_export/{path.relative_to(folder).as_posix()}")
    receipt = add(home, home.inbox / "export.zip")
    assert (receipt.problem, receipt.unreadable) == (None, 0)
    assert counts(receipt) == {
        "records": (2, 0, 0, 0),
        "workout_route_points": (3, 0, 0, 0),
        "workouts": (1, 0, 0, 0),
        "activity_summaries": (2, 0, 0, 0),
        "characteristics": (1, 0, 0, 0),
    }


# ---------------------------------------------------------------------------------- the next export


def test_the_same_export_again_is_not_even_read(home: Home, tmp_path: Path) -> None:
    export_zip = zipped(tmp_path / "export.zip", xml(STEPS, PULSE))
    add(home, Path(shutil.copy(export_zip, home.inbox)))
    files = {path: path.stat().st_mtime_ns for path in home.lake.rglob("*.parquet")}
    (export,) = APPLE_HEALTH.drops

    def load(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable | Incomplete]:
        raise AssertionError("it is read")

    blind = dataclasses.replace(export, load=load)
    receipt = ingest_file(
        home,
        [dataclasses.replace(APPLE_HEALTH, drops=(blind,))],
        Path(shutil.copy(export_zip, home.inbox / "export (1).zip")),
        NOW,
    ).receipt
    assert receipt.problem is None
    assert counts(receipt) == {"records": (0, 0, 0, 2), "characteristics": (0, 0, 0, 1)}
    assert files == {path: path.stat().st_mtime_ns for path in home.lake.rglob("*.parquet")}


def test_another_zone_and_another_address_change_nothing(home: Home) -> None:
    drop(home, xml(STEPS, WORKOUT))
    moved = record(
        "StepCount", "2026-10-03 10:00:00", "2026-10-03 10:10:00", "912",
        zone="+0200", device=WATCH.replace("0x3021d4dc0", "0xabc"),
    )  # fmt: skip
    workout = WORKOUT.replace("0x1&", "0x2&").replace(" 09:", " 10:").replace("+0200", "+0300")
    receipt = drop(home, xml(moved, workout), "later.zip")
    by_stream = {each.stream: each for each in receipt.streams}
    assert by_stream["records"].changed_months == ()
    assert by_stream["workouts"].changed_months == ()
    assert by_stream["workouts"].unchanged == 1


def test_a_newer_export_changes_only_the_months_that_differ(home: Home) -> None:
    drop(home, xml(STEPS, PULSE))
    more = record("StepCount", "2026-11-02 08:00:00", "2026-11-02 08:10:00", "44")
    receipt = drop(home, xml(STEPS, more, exported="2026-11-21 00:00:00 +0000"), "2.zip")
    records = receipt.streams[0]
    assert records.changed_months == ("2026-11-01",)
    assert (records.new, records.vanished, records.unchanged) == (1, 1, 1)
    assert list((home.archive / "lake").rglob("*.parquet"))


# ---------------------------------------------------------------------------------- what is damaged


def test_what_is_broken_costs_its_element_only(home: Home) -> None:
    broken = [
        '<Record type="a" type="b" startDate="2026-10-01 00:00:00 +0000"/>',
        PULSE.replace("</Record>", ""),
        record("HeartRate", "2026-02-30 06:30:00", "2026-02-30 06:30:00", "61"),
        record("HeartRate", "1904-01-01 06:30:00", "1904-01-01 06:30:00", "61"),
        '<Workout startDate="2026-10-03 09:00:00 +0200"><WorkoutEvent></Workout>',
        PULSE.replace('value="1"', 'value="1&nbsp;2"'),
        "stray",
    ]
    good = [
        record("StepCount", f"2026-10-0{n + 1} 08:00:00", f"2026-10-0{n + 1} 08:01:00", f"{n}")
        for n in range(len(broken) + 1)
    ]
    mixed = [each for pair in zip(good, broken, strict=False) for each in pair] + good[-1:]
    receipt = drop(home, xml(*mixed))
    assert counts(receipt)["records"] == (len(good), 0, 0, 0)
    assert receipt.unreadable == len(broken)
    assert receipt.warning is None
    kept = "".join(path.read_text() for path in home.quarantine.rglob("unreadable-*.jsonl"))
    assert kept.count("\n") == len(broken)
    assert "nbsp" in kept
    assert kept.count("IdentifierHeartRate") == 4


def test_a_file_that_breaks_off_removes_nothing(home: Home) -> None:
    drop(home, xml(STEPS, PULSE, WORKOUT))
    more = record("StepCount", "2026-11-02 08:00:00", "2026-11-02 08:10:00", "44")
    cut = xml(more, PULSE)
    receipt = drop(home, cut[: cut.index("HKMetadataKey")], "cut.zip")
    assert receipt.warning is not None
    assert "truncated" in receipt.warning
    assert receipt.unreadable == 1
    assert len(rows(home, "records")) == 3
    assert len(rows(home, "workouts")) == 1


def test_what_is_left_of_a_zip_that_was_cut_off_is_read(home: Home) -> None:
    drop(home, xml(STEPS, PULSE))
    content = xml(*(
        record("StepCount", f"2026-10-{n // 24 + 1:02} {n % 24:02}:00:00",
               f"2026-10-{n // 24 + 1:02} {n % 24:02}:10:00", f"{n * n * 7919 % 100_003}")
        for n in range(700)
    ))  # fmt: skip
    whole = zipped(home.inbox / "whole", content, beside={"a/workout-routes/r.gpx": GPX})
    raw = whole.read_bytes()
    whole.unlink()
    for kept in (0.6, 0.999):
        (home.inbox / "cut.zip").write_bytes(raw[: int(len(raw) * kept)])
        receipt = add(home, home.inbox / "cut.zip", days=1)
        assert receipt.problem is None
        assert "the zip is cut off" in (receipt.warning or "")
        assert receipt.unreadable == 1  # the record that is cut, then a point without a place
        found = rows(home, "records")
        assert found[0]["type"] == "HKQuantityTypeIdentifierHeartRate"  # nothing has vanished
    assert len(found) == 702
    assert len(rows(home, "workout_route_points")) == 2


def test_the_xml_alone_removes_no_routes(home: Home) -> None:
    name = "apple_health_export/workout-routes/route_2026-10-03_9.30am.gpx"
    drop(home, xml(WORKOUT), beside={name: GPX})
    (home.inbox / "export.xml").write_text(xml(WORKOUT))
    assert "only the XML" in (add(home, home.inbox / "export.xml", days=1).warning or "")
    assert len(rows(home, "workout_route_points")) == 2


def test_entities_are_refused(home: Home) -> None:
    prolog = '<!DOCTYPE HealthData [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>'
    receipt = drop(home, xml(STEPS, prolog=prolog))
    assert "entities" in (receipt.problem or "")
    assert not list(home.lake.rglob("part.*"))


@given(st.binary(max_size=300))
def test_the_recogniser_answers_about_anything(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "anything"
    for each in (content, b"<HealthData" + content, b"PK\x03\x04" + content):
        path.write_bytes(each)
        claim = recognise_export(DropFile(path, "x", NOW))
        assert claim is None or claim.confidence > 0.9


# ------------------------------------------------------------------- in bulk, and by a real parser

TEXT = st.text(
    st.characters(codec="utf-8", exclude_characters="\ufffe\uffff"),
    max_size=8,
)
ESCAPES = {"<": "&lt;", ">": "&gt;", "&": "&amp;", '"': "&quot;"}


@st.composite
def quoted(draw: st.DrawFn, text: st.SearchStrategy[str] = TEXT) -> str:
    """An attribute's value, escaped in one of the ways that there are, or wrongly."""
    wrong = draw(st.integers(0, 30)) == 0
    return "".join(
        each if wrong and each != '"' else ESCAPES.get(each, each) for each in draw(text)
    ).replace("’", draw(st.sampled_from(["’", "&#8217;", "&#x2019;", "&apos;"])))


@st.composite
def moments(draw: st.DrawFn) -> str:
    usual = st.integers(630_000_000, 1_800_000_000).map(
        lambda each: f"{datetime.fromtimestamp(each, UTC):%Y-%m-%d %H:%M:%S}"
    )
    odd = st.sampled_from(
        ["2026-02-30 10:00:00", "2026-13-01 10:00:00", "2026-10-01 24:00:00", "20140929131415", "",
         "2026-10-01 10:00", "2026-10-1  10:00:00"]
    )  # fmt: skip
    zones = st.sampled_from(["+0000", "-0700", "+0545", "+1400", "-1959", "+9999"])
    text = draw(odd if draw(st.integers(0, 15)) == 0 else usual)
    return f"{text}{'' if '-' not in text else ' '}{draw(zones)}"


ODD_RATES = ["6&amp;2", "é", "a\\b"]


@st.composite
def usual_records(draw: st.DrawFn) -> str:
    """A record that is cut in bulk, also with heartbeats and with some metadata."""
    zone = draw(st.sampled_from(["+0000", "-0700", "+0545"]))
    times = [
        f"{datetime.fromtimestamp(draw(st.integers(640_000_000, 1_700_000_000)), UTC):%Y-%m-%d %X}"
        for _ in range(3)
    ]
    created, started, ended = (f"{time} {zone}" for time in times)
    kind = draw(st.sampled_from(["HKQuantityTypeIdentifierStepCount", "A&amp;B"]))
    source = draw(st.sampled_from(["Robin’s iPhone", "Uhr &lt;1&gt;"]))
    value = draw(st.text(st.characters(codec="ascii", categories=["L", "N"]), max_size=30))
    texts = st.sampled_from(["1", "", "a&#8217;b", "“é”", "&amp;&quot;"])
    entries = draw(st.lists(st.tuples(st.sampled_from(["a", "&lt;"]), texts), max_size=2))
    inside = "".join(f'\n  <MetadataEntry key="{key}" value="{text}"/>' for key, text in entries)
    if draw(st.booleans()):
        odd = draw(st.integers(0, 60)) == 0
        rates = st.sampled_from(ODD_RATES if odd else ["62", "", "'"])
        times_of_day = st.sampled_from(["6:00:00.34\u202fAM", "06:00:00,34"])
        beats = draw(st.lists(st.tuples(rates, times_of_day), max_size=4))
        inside += "\n  <HeartRateVariabilityMetadataList>" + "".join(
            f'\n   <InstantaneousBeatsPerMinute bpm="{rate}" time="{time}"/>'
            for rate, time in beats
        ) + "\n  </HeartRateVariabilityMetadataList>"  # fmt: skip
    head = (
        f'<Record type="{kind}" sourceName="{source}" creationDate="{created}"'
        f' startDate="{started}" endDate="{ended}" value="{value}"'
    )
    return f"{head}>{inside}\n </Record>" if inside or draw(st.booleans()) else head + "/>"


@st.composite
def records(draw: st.DrawFn) -> str:
    """A record as a phone could write it, or nearly."""
    kinds = ["HKQuantityTypeIdentifierStepCount", "HKCategoryTypeIdentifierX", "A&amp;B", "A"]
    pairs = [
        ("type", draw(st.sampled_from(kinds))),
        ("sourceName", draw(quoted())),
        *([("sourceVersion", draw(quoted()))] if draw(st.booleans()) else []),
        *([("device", draw(quoted()))] if draw(st.booleans()) else []),
        *([("unit", draw(st.sampled_from(["count", "", "mmol&lt;1&gt;/L"])))]
          if draw(st.booleans()) else []),
        *([("creationDate", draw(moments()))] if draw(st.integers(0, 9)) else []),
        ("startDate", draw(moments())),
        *([("endDate", draw(moments()))] if draw(st.integers(0, 9)) else []),
        *([("value", draw(quoted(st.one_of(TEXT, st.just("72"), st.just("1.5")))))]
          if draw(st.integers(0, 9)) else []),
    ]  # fmt: skip
    if draw(st.integers(0, 9)) == 0:
        pairs = list(draw(st.permutations(pairs)))
    if draw(st.integers(0, 19)) == 0:
        pairs.append(draw(st.sampled_from([*pairs, ("odd", "1")])))
    head = "<Record " + " ".join(f'{name}="{text}"' for name, text in pairs)
    entries = draw(st.lists(st.tuples(st.sampled_from(["a", "b", "&lt;"]), quoted()), max_size=3))
    inside = "".join(f'\n  <MetadataEntry key="{key}" value="{text}"/>' for key, text in entries)
    if draw(st.integers(0, 9)) == 0:
        inside += draw(
            st.sampled_from(["<Beats><Beat bpm='1'/></Beats>", "text", "<!-- <Record/> -->", "<x>"])
        )
    if not inside and draw(st.booleans()):
        return head + "/>"
    return f"{head}>{inside}\n </Record>"


def blocks_of(content: bytes, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    while content:
        size = chance.choice([1, 3, 40, 400, 100_000])
        yield content[:size]
        content = content[size:]


def loaded(
    home: Home, content: bytes, seed: int, *, fast: bool
) -> tuple[list[Any], list[Any], int]:
    """Rows, what could not be read, and how many records were read in bulk."""
    bulk = 0
    with spooling(home) as spool:
        reader = Records(spool, NOW)
        others: list[Element | Unreadable] = []

        def take(content: bytes | memoryview) -> bool:
            nonlocal bulk
            taken = fast and reader.take(content)
            bulk += bytes(content).count(b"<Record ") if taken else 0
            return taken

        for part in parts(blocks_of(content, seed), take):
            if isinstance(part, Element) and part.tag == "Record":
                reader.add(part)
            elif isinstance(part, Unreadable):
                others.append(part)
        reader.finish()
        others += reader.found()
        found = spool.connection.execute("select * from records order by all").fetchall()
        return found, others, bulk


@examples(20)
@given(st.lists(records(), max_size=10), st.integers(0, 1000))
def test_bulk_and_parser_agree(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], seed: int
) -> None:
    home = Home(tmp_path_factory.getbasetemp() / "agree").ensure()
    content = xml(*lines).encode()
    fast = loaded(home, content, seed, fast=True)
    slow = loaded(home, content, seed + 1, fast=False)
    assert slow[2] == 0
    assert fast[0] == slow[0]
    assert len(fast[1]) == len(slow[1])


def test_reading_tells_how_far_it_is(home: Home) -> None:
    path = zipped(home.inbox / "export.zip", xml(*[STEPS] * 10_000))
    told: list[tuple[int, int]] = []
    file = DropFile(path, path.name, NOW, progress=lambda *each: told.append(each))
    with spooling(home) as spool:
        list(load_export(file, spool))
    [(done, total)] = set(told[-1:])
    assert len(told) > 1
    assert done == total == len(xml(*[STEPS] * 10_000).encode())


def cut(home: Home, lines: Sequence[str]) -> list[Any] | None:
    """Rows of records that are taken as one block; None when they are not."""
    with spooling(home) as spool:
        reader = Records(spool, NOW)
        if not reader.take("\n ".join(lines).encode()):
            return None
        reader.finish()
        return spool.connection.execute("select * from records order by all").fetchall()


def of_steps(*values: str) -> list[str]:
    at = "2026-10-01 10:00:00"
    return [record("StepCount", at, at, value) for value in values]


@examples(20)
@given(st.lists(usual_records(), min_size=1, max_size=40))
# values as long as a time stand where times do
@example(of_steps("", "", "0" * 25))
@example(of_steps("0" * 25))
@example(
    [
        record(
            *("x" * 3, "2026-10-01 10:00:00", "2026-10-01 10:00:00", "v" * 25),
            source="s" * 25,
            unit="u" * 25,
            within=f'<MetadataEntry key="{"k" * 25}" value="{"v" * 25}"/>' * 3,
        )
    ]
    * 3
)
def test_what_is_cut_in_bulk_is_what_the_parser_reads(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str]
) -> None:
    home = Home(tmp_path_factory.getbasetemp() / "agree").ensure()
    found = cut(home, lines)
    parsed, others, _ = loaded(home, xml(*lines).encode(), 1, fast=False)
    # heartbeats that need escaping are left to the parser
    odd = any(f'bpm="{rate}"' in line for rate in ODD_RATES for line in lines)
    assert found == (None if odd else parsed)
    assert others == []


def test_metadata_that_differs_everywhere_is_read_in_bulk(home: Home) -> None:
    """Texts of the same size, of which hardly two are the same."""
    lines = [
        record("BodyMass", f"2026-10-01 10:{n:02}:00", f"2026-10-01 10:{n:02}:00", "61", unit="kg",
               within=f'<MetadataEntry key="HKExternalUUID" value="{n // 2:06}"/>')
        for n in range(60)
    ]  # fmt: skip
    found = cut(home, lines)
    assert found is not None
    assert len(found) == 60
    assert found == loaded(home, xml(*lines).encode(), 2, fast=False)[0]


def test_heartbeats_are_read_in_bulk(home: Home) -> None:
    beats = "".join(
        f'\n<InstantaneousBeatsPerMinute bpm="{60 + n}" time="6:00:0{n}.34\u202fAM"/>'
        for n in range(3)
    )
    line = record(
        "HeartRateVariabilitySDNN", "2026-11-01 06:30:00", "2026-11-01 06:31:00", "51", unit="ms",
        within=f"<HeartRateVariabilityMetadataList>{beats}\n</HeartRateVariabilityMetadataList>",
    )  # fmt: skip
    found = cut(home, [line])
    assert found == loaded(home, xml(line).encode(), 2, fast=False)[0]
    assert found is not None
    more = json.loads(found[0][1 + [*RECORDS.columns].index("more")])
    assert more["children"][0]["children"][2] == {
        "tag": "InstantaneousBeatsPerMinute", "bpm": "62", "time": "6:00:02.34\u202fAM"
    }  # fmt: skip


def test_a_usual_export_is_read_in_bulk(home: Home) -> None:
    lines = [
        record("StepCount", f"2026-10-01 {n // 60:02}:{n % 60:02}:00",
               f"2026-10-01 {n // 60:02}:{n % 60:02}:30", f"{n}")
        for n in range(600)
    ]  # fmt: skip
    content = xml(*lines, PULSE).encode()
    found, others, bulk = loaded(home, content, 1, fast=True)
    # those next to anything else are parsed
    assert (len(found), others, bulk > 300) == (601, [], True)
    assert found == loaded(home, content, 2, fast=False)[0]
