"""FIT, GPX and TCX: real files, odd ones, and broken ones; fitdecode judges."""

from __future__ import annotations

import csv
import math
import os
import struct
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import duckdb
import fitdecode
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.inbox import IngestedFile, Receipt, ingest_file
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.fit import FIT, files
from personal_pipeline.sources.fit.files import recordings_of
from personal_pipeline.sources.fit.formats import unpacked
from personal_pipeline.sources.fit.messages import (
    DEGREES,
    RECORD,
    checksum,
    columns,
    developer_fields,
    messages,
    parts,
    times,
)
from personal_pipeline.sources.fit.recording import Recording
from personal_pipeline_tests.sources.fit_files import (
    BASES,
    Fit,
    bundle,
    crc,
    gpx,
    ride,
    seconds,
    tcx,
    zipped,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
START = datetime(2024, 1, 15, 7, 30, tzinfo=UTC)


def only(name: str, content: bytes) -> Recording:
    [found] = recordings_of(name, content).recordings
    return found


# -------------------------------------------------------------------------- against fitdecode


def judged(content: bytes) -> list[tuple[str, dict[str, Any], int | None]]:
    """The messages as fitdecode reads them: fields that the file has, and the time as it counts."""
    found = []
    with fitdecode.FitReader(content, processor=None, error_handling=fitdecode.ErrorHandling.IGNORE,
                             check_crc=fitdecode.CrcCheck.DISABLED) as frames:  # fmt: skip
        for frame in frames:
            if frame.frame_type != fitdecode.FIT_FRAME_DATA:
                continue
            fields = {
                each.name: each.value * DEGREES
                if each.units == "semicircles" and each.value
                else each.value
                for each in frame.fields
                if each.field_def is not None and not each.field_def.is_dev
                and each.value is not None
            }  # fmt: skip
            at = next((each.raw_value for each in frame.fields if each.def_num == 253), None)
            found.append((frame.name, fields, at))
    return found


def plain(value: Any) -> Any:
    """A value that compares: lists for tuples, None for fields without any value."""
    if isinstance(value, tuple | list):
        every = [plain(each) for each in value]
        return None if all(each in (None, 255) for each in every) else every
    return value


Judged: TypeAlias = list[tuple[str, dict[str, Any], int | None]]


def agrees_with_fitdecode(content: bytes, verdict: Judged) -> int:
    """Compare all records; returns how many there are."""
    expected = [each for each in verdict if each[0] == "record"]
    read: list[tuple[int, dict[str, Any], float]] = []
    for part in parts(content):
        developers = developer_fields(part)
        for group in part.of(RECORD):
            own, _, _ = columns(part, group, developers)
            every = times(part, group)
            for row, position in enumerate(group.positions):
                fields = {name: column[row] for name, column in own.items()}
                there = {
                    name: float(value) if isinstance(value, np.floating) else value
                    for name, value in fields.items()
                    if value is not None and value == value and plain(value) is not None
                }
                read.append((position, there, float(every[row])))
    read.sort(key=lambda each: each[0])
    assert len(read) == len(expected)
    for (_, fields, at), (_, theirs, theirs_at) in zip(read, expected, strict=True):
        if theirs_at is not None:
            assert at == theirs_at
        known = {n: v for n, v in theirs.items() if plain(v) is not None and n != "timestamp"}
        fields.pop("timestamp", None)
        assert fields.keys() == known.keys()
        for name, value in known.items():
            mine = fields[name]
            if isinstance(value, str):
                # in samples an enumeration stays a number
                assert isinstance(mine, float | str)
            elif isinstance(mine, list):
                theirs_plain = [value] if not isinstance(value, tuple) else list(value)
                assert len(mine) == len(theirs_plain), name
            else:
                assert math.isclose(mine, value, rel_tol=1e-12), name
    return len(read)


@pytest.mark.parametrize("name", ["elemnt-ride.fit", "fenix-run.fit"])
def test_real_files_are_read_as_fitdecode_reads_them(samples: Path, name: str) -> None:
    content = (samples / "fit" / name).read_bytes()
    verdict = judged(content)
    assert agrees_with_fitdecode(content, verdict) == (13471 if "elemnt" in name else 21)
    theirs = [each for each in verdict if each[0] in ("session", "lap", "file_id")]
    mine = [
        message
        for part in parts(content)
        for number in (0, 18, 19)
        for group in part.of(number)
        for message in messages(part, group, {})
    ]
    assert len(mine) == len(theirs)
    for kind, fields, _ in theirs:
        names = {name for name, value in fields.items() if plain(value) is not None}
        [same] = [each for each in mine if names <= each.keys() and len(each) - len(names) <= 1]
        for field, value in fields.items():
            if isinstance(value, str) or (isinstance(value, float | int) and "time" not in field):
                assert same[field] == (value if isinstance(value, str) else pytest.approx(value)), (
                    kind,
                    field,
                )


def test_a_real_run_has_the_samples_that_another_program_found(samples: Path) -> None:
    found = only("run.fit", (samples / "fit" / "fenix-run.fit").read_bytes()).samples
    with (samples / "fit" / "fenix-run-records.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert len(found) == len(rows) == 21
    for number, row in enumerate(rows):
        written = row["timestamp"].replace("PDT", "-0700")
        at = datetime.strptime(written, "%a %b %d %H:%M:%S %z %Y")
        assert found.time[number] == at.timestamp()
        for name in ("heart_rate", "cadence", "speed", "distance", "altitude", "temperature"):
            assert found.measures[name][number] == pytest.approx(float(row[name])), name
        latitude = float(row["position_lat"]) * 180 / 2**31
        assert found.measures["latitude"][number] == pytest.approx(latitude)


def test_a_real_file_that_breaks_off_gives_what_there_is(samples: Path) -> None:
    found = recordings_of("eof.fit", (samples / "fit" / "unexpected-eof.fit").read_bytes())
    assert [len(each.samples) for each in found.recordings] == [14]
    assert found.recordings[0].record["session"]["total_distance"] == 5.73
    [problem] = found.problems
    assert "truncated" in problem


_SCALARS = [name for name in BASES if name not in ("string", "byte", "float32", "float64")]
_RECORD_FIELDS = [0, 1, 2, 3, 4, 5, 6, 7, 9, 13, 31, 33, 39, 53, 73, 78, 90, 134, 200]


@st.composite
def records(draw: st.DrawFn) -> bytes:
    """A file of records of several layouts, in either order of bytes."""
    fit = Fit(draw(st.sampled_from("<>")))
    at = 1_000_000_000
    layouts: dict[int, list[tuple[int, str]]] = {}
    for local in range(draw(st.integers(1, 3))):
        numbers = draw(st.lists(st.sampled_from(_RECORD_FIELDS), unique=True, max_size=6))
        layouts[local] = [(253, "uint32")] * draw(st.booleans()) + [
            (number, draw(st.sampled_from(_SCALARS))) for number in numbers
        ]
        fit.define(local, 20, layouts[local])
    fit.define(5, 21, [(253, "uint32")]).write(5, at)
    for local in draw(st.lists(st.sampled_from(sorted(layouts)), max_size=12)):
        at += draw(st.integers(0, 20))
        fields = layouts[local]
        has_time = bool(fields) and fields[0][0] == 253
        values = [
            at if number == 253 else draw(st.none() | st.integers(*_range(kind)))
            for number, kind in fields
        ]
        fit.write(local, *values, time=None if has_time else at)
    return fit.bytes(draw(st.sampled_from((12, 14))))


def _range(kind: str) -> tuple[int, int]:
    _, code, _ = BASES[kind]
    bits = 8 * struct.calcsize(f"<{code}")
    return (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if code.islower() else (0, 2**bits - 1)


@given(records())
@settings(max_examples=60, deadline=None)
def test_any_records_are_read_as_fitdecode_reads_them(content: bytes) -> None:
    agrees_with_fitdecode(content, judged(content))
    [part] = parts(content)
    assert part.problems == []


@given(st.binary(max_size=2_000))
@settings(max_examples=40, deadline=None)
def test_the_checksum_is_that_of_the_protocol(content: bytes) -> None:
    assert checksum(content) == crc(content)
    assert checksum(content + struct.pack("<H", crc(content))) == 0


# ------------------------------------------------------------------------------- broken files


@given(st.integers(0, 2_000))
@settings(max_examples=40, deadline=None)
def test_a_file_that_breaks_off_anywhere_gives_the_records_before_the_break(at: int) -> None:
    whole = ride(START, 60)
    cut = whole[: min(at, len(whole) - 3)]
    found = recordings_of("cut.fit", cut)
    assert found.problems
    complete = only("whole.fit", whole).samples
    for each in found.recordings:
        length = len(each.samples)
        assert np.array_equal(each.samples.time, complete.time[:length])
        assert each.record["session"]["total_elapsed_time"] in (length - 1, 60)
    # 45 bytes before the records, and 25 in each
    first = next(g for g in parts(whole)[0].of(RECORD)).positions[0]
    expected = max(0, (len(cut) - first + 1) // 22)
    got = sum(len(each.samples) for each in found.recordings)
    assert got == min(expected, 60)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_fault_costs_little_more_than_itself(data: st.DataObject) -> None:
    whole = ride(START, 200)
    first = next(parts(whole)[0].of(RECORD)).positions[0]
    at = data.draw(st.integers(first + 22 * 5, first + 22 * 150))
    length = data.draw(st.integers(1, 40))
    noise = data.draw(st.binary(min_size=length, max_size=length))
    # bytes are lost as well, so that nothing is where it was
    lost = data.draw(st.integers(0, 30))
    broken = whole[:at] + noise + whole[at + length + lost :]
    found = recordings_of("broken.fit", broken)
    [only_one] = found.recordings
    good = {float(each) for each in only("whole.fit", whole).samples.time}
    kept = [each for each in only_one.samples.time.tolist() if each in good]
    assert len(kept) >= 200 - (length + lost) // 22 - 8
    if broken[:at + length] != whole[:at + length] or lost:  # fmt: skip
        assert found.problems


@given(
    st.sampled_from([b"", b"\x0e\x10\x00\x00\xff\x00\x00\x00.FIT\x00\x00", b"\x1f\x8b\x08",
                     b"<gpx>", b"<TrainingCenterDatabase><Activity>", ride(START, 3)[:60]]),
    st.binary(max_size=500),
)  # fmt: skip
@settings(max_examples=80, deadline=None)
def test_nothing_raises_whatever_it_is(beginning: bytes, content: bytes) -> None:
    found = recordings_of("any", beginning + content)
    assert found.recordings or found.problems or found.other


def test_a_file_that_the_device_did_not_finish_is_summed_up() -> None:
    whole = bytearray(ride(START, 60, session=False)[:-2])
    struct.pack_into("<I", whole, 4, 0)
    found = recordings_of("open.fit", bytes(whole))
    [recording] = found.recordings
    assert "did not finish" in found.problems[0]
    assert recording.record["is_summed_up"] is True
    session = recording.record["session"]
    assert (session["total_elapsed_time"], session["total_distance"]) == (59, 295)
    assert (session["avg_heart_rate"], session["max_heart_rate"]) == (140, 140)


# ----------------------------------------------------------------------------- odd, but whole


def test_developer_fields_are_kept_and_stand_in_for_those_that_lack() -> None:
    fit = Fit()
    fit.define(0, 207, [(3, "uint8")]).write(0, 0)
    fit.define(1, 206, [(0, "uint8"), (1, "uint8"), (2, "uint8"), (3, "string12"), (8, "string8"),
                        (15, "uint8")])  # fmt: skip
    fit.write(1, 0, 4, 0x84, "Power", "Watts", 7)
    fit.write(1, 0, 5, 0x88, "Ground", "ms", None)
    fit.define(2, 20, [(253, "uint32"), (3, "uint8")], [(4, 2, 0), (5, 4, 0)])
    for number in range(3):
        raw = struct.pack("<Hf", 250 + number, 1.5)
        fit.write(2, seconds(START) + number, 120, raw=raw)
    found = only("stryd.fit", fit.bytes())
    assert found.samples.measures["power"].tolist() == [250, 251, 252]
    assert found.record["developer_fields"] == {
        "Power": {"units": "Watts", "native_field": 7},
        "Ground": {"units": "ms", "native_field": None},
    }
    [first, *_] = files._more(found.samples)
    assert first == '{"developer":{"Power":250,"Ground":1.5}}'


@given(st.lists(st.none() | st.tuples(st.integers(0, 4000), st.integers(0, 4095)), max_size=20))
@settings(max_examples=30, deadline=None)
def test_speed_and_distance_of_old_devices_are_unpacked(
    steps: list[tuple[int, int] | None],
) -> None:
    fit = Fit().define(0, 20, [(253, "uint32"), (8, "byte[3]")])
    at = 0
    for number, step in enumerate(steps):
        speed, metres = step or (0, 0)
        at += metres
        packed = speed | (at & 0xFFF) << 12
        fit.write(0, seconds(START) + number,
                  [*packed.to_bytes(3, "little")] if step else [None] * 3)  # fmt: skip
    with fitdecode.FitReader(fit.bytes()) as frames:
        verdict = [
            {each.name: each.value for each in frame.fields if each.field_def is None}
            for frame in frames
            if frame.frame_type == fitdecode.FIT_FRAME_DATA
        ]
    if not any(steps):
        return
    found = only("old.fit", fit.bytes()).samples.measures
    for number, theirs in enumerate(verdict):
        mine = {name: found[name][number] for name in ("speed", "distance")}
        assert {name: value for name, value in mine.items() if value == value} == {
            name: value for name, value in theirs.items() if name in mine and value is not None
        }


def test_a_triathlon_gives_a_recording_for_each_sport() -> None:
    at = seconds(START)
    fit = Fit().define(0, 20, [(253, "uint32"), (3, "uint8")])
    for number in range(30):
        fit.write(0, at + number, 100 + number)
    fit.define(1, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    for number, sport in enumerate((5, 2, 1)):
        fit.write(1, at + 10 * number + 10, at + 10 * number, sport, 10_000)
    found = recordings_of("tri.fit", fit.bytes()).recordings
    assert [each.record["session"]["sport"] for each in found] == ["swimming", "cycling", "running"]
    assert [each.samples.measures["heart_rate"].tolist() for each in found] == [
        list(range(100, 110)), list(range(110, 120)), list(range(120, 130))
    ]  # fmt: skip
    assert [each.key.rpartition("/")[2] for each in found] == ["1", "2", "3"]


def test_files_one_behind_the_other_are_all_read() -> None:
    later = ride(START + timedelta(hours=5), 20)
    found = recordings_of("chained.fit", ride(START, 10) + later).recordings
    assert [len(each.samples) for each in found] == [10, 20]


def test_a_clock_that_was_never_set_loses_its_records_and_says_so() -> None:
    fit = Fit().define(0, 20, [(253, "uint32"), (3, "uint8")])
    for at in (100, 101, seconds(START), None):
        fit.write(0, at, 120)
    found = recordings_of("cold.fit", fit.bytes())
    assert [len(each.samples) for each in found.recordings] == [1]
    assert found.problems == ("3 records in it without a time",)


def test_positions_off_the_earth_are_none() -> None:
    fit = Fit().define(0, 20, [(253, "uint32"), (0, "sint32"), (1, "sint32")])
    fit.write(0, seconds(START), 2**30 + 2**29, 5).write(0, seconds(START) + 1, 2**29, 5)
    latitude = only("off.fit", fit.bytes()).samples.measures["latitude"]
    assert np.isnan(latitude[0])
    assert latitude[1] == 45


def test_tracks_are_recordings_too() -> None:
    found = only("ride.gpx", gpx(START, 60))
    assert len(found.samples) == 60
    assert found.record["session"]["sport"] == "cycling"
    assert found.record["session"]["name"] == "Morning"
    assert found.record["session"]["avg_heart_rate"] == 150
    assert found.record["session"]["total_distance"] == pytest.approx(59 * 1.11195, rel=1e-3)
    assert set(found.samples.measures) >= {"latitude", "altitude", "heart_rate", "cadence"}
    run = only("run.tcx", tcx(START, 60))
    assert run.record["session"] == {
        **run.record["session"], "sport": "Running", "total_timer_time": 60,
        "total_distance": 180, "total_calories": 9, "avg_power": 210,
    }  # fmt: skip
    assert run.samples.measures["heart_rate"].tolist() == [130] * 60


def test_a_track_that_breaks_off_gives_its_points_and_one_with_entities_nothing() -> None:
    found = recordings_of("cut.gpx", gpx(START, 60)[:-2_000])
    assert 40 < len(found.recordings[0].samples) < 60
    assert found.problems[0] == "it is malformed or truncated"
    declared = b'<?xml version="1.0"?><!DOCTYPE gpx [<!ENTITY a "aaa">]>'
    bomb = declared + b"<gpx><trk><name>&a;</name></trk></gpx>"
    found = recordings_of("bomb.gpx", bomb)
    assert not found.recordings
    assert "refused" in found.problems[0]


# ------------------------------------------------------------ what a session lacks or has wrong


def session_of(start: int, end: int, elapsed: int | None, samples: range) -> Recording:
    """A session as a device tells it, all in seconds since 1989, and a sample each second."""
    fit = Fit().define(0, 20, [(253, "uint32"), (3, "uint8")])
    for at in samples:
        fit.write(0, at, 140)
    fit.define(1, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    fit.write(1, end, start, 1, None if elapsed is None else elapsed * 1000)
    return only("x.fit", fit.bytes())


AT, HOUR, DAY = seconds(START), 3600, 86_400


@pytest.mark.parametrize(
    ("start", "elapsed", "span"),
    [
        pytest.param(AT, 2 * HOUR, (AT, AT + 2 * HOUR), id="as it is told"),
        pytest.param(AT - 600, 2 * HOUR, (AT - 600, AT + 2 * HOUR - 600), id="a late first sample"),
        pytest.param(AT - 48 * DAY, 48 * DAY, (AT, AT + 2 * HOUR - 1), id="weeks before"),
        pytest.param(AT - 7 * DAY, 7 * DAY + 3 * HOUR, (AT, AT + 3 * HOUR), id="days before"),
        pytest.param(AT - 8_000 * DAY, 2 * HOUR, (AT, AT + 2 * HOUR - 1), id="another year"),
        pytest.param(AT + 90 * DAY, 2 * HOUR, (AT, AT + 2 * HOUR - 1), id="in the future"),
        pytest.param(AT - HOUR, 2 * HOUR, (AT, AT + 2 * HOUR - 1), id="the clock of another zone"),
        pytest.param(AT + 8 * HOUR, 2 * HOUR, (AT, AT + 2 * HOUR - 1), id="likewise, behind"),
        pytest.param(AT, 20 * DAY, (AT, AT + 2 * HOUR - 1), id="never stopped"),
        pytest.param(AT, None, (AT, AT + 2 * HOUR - 1), id="without a length"),
    ],
)
def test_samples_bound_their_session(
    start: int, elapsed: int | None, span: tuple[int, int]
) -> None:
    found = session_of(start, start, elapsed, range(AT, AT + 2 * HOUR)).record
    began, ended = (datetime.fromisoformat(found[each]) for each in ("start_at", "end_at"))
    assert (seconds(began), seconds(ended)) == span


def test_a_sport_without_samples_keeps_its_time() -> None:
    """A swim, and then a ride that was recorded."""
    fit = Fit().define(0, 20, [(253, "uint32"), (5, "uint32")])
    for number in range(100):
        fit.write(0, AT + 3 * DAY + number, (1_000 + 5 * number) * 100)
    fit.define(1, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    for start, sport in ((AT, 5), (AT + 3 * DAY, 2)):
        fit.write(1, start + 100, start, sport, 100_000)
    swim, cycled = recordings_of("x.fit", fit.bytes()).recordings
    assert swim.record["start_at"] == "2024-01-15T07:30:00Z"
    assert "computed" not in swim.record
    assert cycled.record["start_at"] == "2024-01-18T07:30:00Z"


def test_a_device_that_counts_on_is_read_from_where_each_sport_began() -> None:
    fit = Fit().define(0, 20, [(253, "uint32"), (5, "uint32")])
    for number in range(200):
        fit.write(0, AT + number, 5 * number * 100)
    fit.define(1, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    for start in (AT, AT + 100):
        fit.write(1, start + 100, start, 2, 100_000)
    found = [each.record["computed"]["total_distance"] for each in
             recordings_of("x.fit", fit.bytes()).recordings]  # fmt: skip
    assert found == [495, 500]


def test_where_nothing_counts_the_metres_the_speed_tells_them() -> None:
    """By a developer field, as of a foot pod, with a pause of an hour in between."""
    fit = Fit()
    fit.define(1, 206, [(0, "uint8"), (1, "uint8"), (2, "uint8"), (3, "string8"), (15, "uint8")])
    fit.write(1, 0, 4, 0x88, "Speed", 6)
    fit.define(2, 20, [(253, "uint32"), (7, "uint16")], [(4, 4, 0)])
    for number in range(600):
        at = AT + number + (HOUR if number >= 300 else 0)
        fit.write(2, at, 0, raw=struct.pack("<f", 2.5))
    fit.define(3, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    fit.write(3, AT + HOUR + 600, AT, 1, (HOUR + 600) * 1000)
    found = only("pod.fit", fit.bytes())
    assert found.record["computed"] == {
        "total_timer_time": 600, "total_distance": 1500, "avg_speed": 2.5, "max_speed": 2.5,
    }  # fmt: skip
    # a power of 0 from the first to the last
    assert "power" not in found.samples.measures


def test_zeros_of_a_device_without_a_sensor_do_not_hide_the_one_beside_it() -> None:
    fit = Fit()
    fit.define(1, 206, [(0, "uint8"), (1, "uint8"), (2, "uint8"), (3, "string8"), (15, "uint8")])
    fit.write(1, 0, 4, 0x84, "Power", 7)
    fit.define(2, 20, [(253, "uint32"), (3, "uint8"), (7, "uint16")], [(4, 2, 0)])
    for number in range(4):
        pulse = (0, 0, 150, 250)[number]
        fit.write(2, AT + number, pulse, 0, raw=struct.pack("<H", 0 if number else 200))
    found = only("stryd.fit", fit.bytes())
    # coasting is a power of 0
    assert found.samples.measures["power"].tolist() == [200, 0, 0, 0]
    assert found.record["session"]["avg_power"] == 50
    assert np.isnan(found.samples.measures["heart_rate"]).tolist() == [True, True, False, False]
    # no person's heart beats as fast as the last one
    session = found.record["session"]
    assert (session["avg_heart_rate"], session["max_heart_rate"]) == (150, 150)


def test_laps_tell_what_samples_do_not() -> None:
    fit = Fit().define(0, 20, [(253, "uint32"), (7, "uint16")])
    fit.write(0, AT, 250).write(0, AT + 1, 350)
    fit.define(1, 19, [(253, "uint32"), (2, "uint32"), (8, "uint32"), (15, "uint8"),
                       (16, "uint8"), (20, "uint16")])  # fmt: skip
    fit.write(1, AT + 1, AT, 1_000, 120, 130, 300).write(1, AT + 4, AT + 1, 3_000, 160, 170, 300)
    fit.define(2, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32")])
    fit.write(2, AT + 4, AT, 2, 4_000)
    found = only("laps.fit", fit.bytes()).record["computed"]
    assert (found["avg_heart_rate"], found["max_heart_rate"]) == (150, 170)
    assert (found["avg_power"], found["max_power"]) == (300, 350)


def test_samples_of_another_year_are_counted_and_left_out() -> None:
    lines = gpx(START, 60).decode()
    early = lines.replace("2024-01-15T07:30:00Z", "1999-08-22T00:00:00Z")
    found = recordings_of("glitch.gpx", early.encode())
    assert found.recordings[0].record["start_at"] == "2024-01-15T07:30:01Z"
    assert found.problems == (
        "1 points in it have an impossible time, as when the clock of a device is not set",
    )
    fit = Fit().define(0, 20, [(253, "uint32"), (3, "uint8")])
    for at in (AT - 2_000 * DAY, *range(AT, AT + 60)):
        fit.write(0, at, 120)
    found = recordings_of("glitch.fit", fit.bytes())
    assert found.recordings[0].record["start_at"] == "2024-01-15T07:30:00Z"
    assert found.problems == ("1 record in it without a time",)


@pytest.mark.parametrize("year", ["1901", "1970", "9999"])
def test_a_track_of_an_impossible_year_says_so(year: str) -> None:
    for content in (gpx(START, 60), tcx(START, 60)):
        found = recordings_of("old", content.replace(b"2024-", f"{year}-".encode()))
        assert found.recordings == ()
        assert found.other is None
        [problem] = found.problems
        assert problem.startswith("60 points in it have an impossible time")


def test_laps_of_a_tcx_do_not_hide_a_higher_sample() -> None:
    content = tcx(START, 60).replace(
        b"<Track>",
        b"<MaximumHeartRateBpm><Value>120</Value></MaximumHeartRateBpm>"
        b"<AverageHeartRateBpm><Value>110</Value></AverageHeartRateBpm><Track>",
    )
    found = only("run.tcx", content).record
    assert found["computed"]["max_heart_rate"] == found["computed"]["avg_heart_rate"] == 130
    without = content.replace(b"<HeartRateBpm>", b"<X>").replace(b"</HeartRateBpm>", b"</X>")
    found = only("run.tcx", without).record["computed"]
    assert (found["avg_heart_rate"], found["max_heart_rate"]) == (110, 120)


# ---------------------------------------------------------------------------------- the inbox


def dropped(home: Home, name: str, content: bytes) -> IngestedFile:
    path = home.inbox / name
    path.write_bytes(content)
    return ingest_file(home, SOURCES, path, NOW)


def lake_rows(home: Home, columns: str = "recording, number, measured_at, heart_rate") -> list[Any]:
    return [
        row
        for path in sorted(home.lake.glob("fit/recording_samples/*/part.parquet"))
        for row in duckdb.execute(
            f"select {columns} from read_parquet(?, hive_partitioning = false) order by all",
            [str(path)],
        ).fetchall()
    ]


def test_a_file_alone_comes_into_the_lake_once(home: Home) -> None:
    receipt = dropped(home, "2024-01-15 ride.fit", ride(START)).receipt
    assert (receipt.source, receipt.drop, receipt.unreadable) == ("fit", "recordings", 0)
    assert [(each.stream, each.new, each.changed_months) for each in receipt.streams] == [
        ("recordings", 1, ("2024-01-01",)),
        ("recording_samples", 60, ("2024-01-01",)),
    ]
    rows = lake_rows(home)
    assert rows[0][1:] == (1, START.replace(tzinfo=None), 140)
    # under another name and gzipped it is the same
    again = dropped(home, "ride(1).fit.gz", zipped(ride(START))).receipt
    assert all(not each.new and not each.altered and not each.changed_months
               for each in again.streams)  # fmt: skip
    assert lake_rows(home) == rows


def test_what_can_be_read_of_a_broken_file_is_taken_and_the_rest_counted(home: Home) -> None:
    receipt = dropped(home, "cut.fit", ride(START)[:-200]).receipt
    assert (receipt.problem, receipt.unreadable) == (None, 1)
    assert receipt.streams[1].new == len(lake_rows(home)) > 40
    [kept] = (home.quarantine / "fit" / "recordings").glob("*.jsonl")
    assert "truncated" in kept.read_text()


def settings_file() -> bytes:
    return Fit().define(0, 0, [(0, "enum"), (4, "uint32")]).write(0, 2, seconds(START)).bytes()


def test_a_fit_file_without_an_activity_is_set_aside_with_a_sentence(home: Home) -> None:
    receipt = dropped(home, "Settings.fit", settings_file()).receipt
    assert receipt.problem is not None
    assert "a file of another kind (settings)" in receipt.problem


MANY = [
    ("rides/a.fit", ride(START)),
    ("rides/b.fit.gz", zipped(ride(START + timedelta(days=20), heart_rate=None))),
    ("walk.GPX", gpx(START + timedelta(days=40))),
    ("run.tcx", tcx(START + timedelta(days=41))),
    ("broken.fit", ride(START + timedelta(days=50))[:300]),
    ("Settings.fit", settings_file()),
    ("Monitor.fit", settings_file()),
]


@pytest.fixture(params=["in one process", "shared out"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "shared out":
        monkeypatch.setattr(files, "WORTH_PROCESSES_BYTES", 0)
        monkeypatch.setattr(files, "BATCH_FILES", 3)
    return str(request.param)


def test_a_zip_of_many_is_taken_whole(tmp_path: Path, way: str) -> None:
    home = Home(tmp_path / "it's [my] home").ensure()
    path = bundle(home.inbox / "garmin.zip", MANY)
    told: list[tuple[str, int, int]] = []
    receipt = ingest_file(home, SOURCES, path, NOW, lambda *so_far: told.append(so_far)).receipt
    assert len(told) == (3 if way == "shared out" else 1)
    assert {name for name, _, _ in told} == {"garmin.zip, MB"}
    assert (receipt.source, receipt.drop, receipt.problem) == ("fit", "recordings", None)
    assert receipt.streams[0].new == 5
    # the broken one, and the two that are no activities together
    assert receipt.unreadable == 2
    rows = lake_rows(home, "cast(measured_at as date)")
    counts = Counter((START.date() - day).days for (day,) in rows)
    assert receipt.streams[1].new == sum(counts.values())
    broken = counts.pop(-50)
    assert counts == {0: 60, -20: 60, -40: 60, -41: 60}
    assert 0 < broken < 60


def test_the_same_zip_again_is_not_parsed_unless_the_lake_has_changed(home: Home) -> None:
    def drop(source: Source) -> Receipt:
        path = bundle(home.inbox / "garmin.zip", MANY[:2])
        os.utime(path, (1.7e9, 1.7e9))
        return ingest_file(home, [source], path, NOW).receipt

    def must_not_be_read(*_: object) -> Any:
        raise AssertionError("it was parsed")

    unread = replace(FIT, drops=(replace(FIT.drops[0], load=must_not_be_read),))
    drop(FIT)
    again = drop(unread)
    assert (again.problem, [each.unchanged for each in again.streams]) == (None, [2, 120])
    for path in home.lake.rglob("month=2024-02-01/part.parquet"):
        path.unlink()
    # what a reader raises when it is called costs its file, as what it raises later does
    assert "AssertionError" in (drop(unread).problem or "")
    assert drop(FIT).streams[1].new == 60
    assert len(lake_rows(home)) == 120


def test_a_zip_with_anything_else_is_opened_and_its_files_taken_one_by_one(home: Home) -> None:
    path = bundle(home.inbox / "mixed.zip", [("a.fit", ride(START)), ("readme.txt", b"hello")])
    taken = ingest_file(home, SOURCES, path, NOW)
    assert taken.receipt.source == "inbox"
    assert [each.receipt.source for each in taken.members] == ["fit"]


def test_a_gzip_that_breaks_off_gives_what_is_before_the_break() -> None:
    found = recordings_of("cut.fit.gz", zipped(ride(START, 300))[:-400])
    assert found.problems[0] == "the gzip around it is truncated"
    assert 100 < len(found.recordings[0].samples) < 300


def test_a_gzip_that_unpacks_to_any_size_is_unpacked_to_a_limit() -> None:
    content, problem = unpacked(zipped(b"0" * 5_000_000), 1_000)
    assert (len(content), problem) == (1_000, "the gzip around it is truncated")


def test_a_session_that_does_not_tell_its_start_begins_before_its_end() -> None:
    fit = Fit().define(0, 18, [(253, "uint32"), (5, "enum"), (7, "uint32")])
    fit.write(0, seconds(START) + 600, 5, 600_000)
    assert only("swim.fit", fit.bytes()).record["start_at"] == "2024-01-15T07:30:00Z"


def test_an_activity_is_filed_with_all_its_samples_under_the_month_of_its_start(home: Home) -> None:
    start = datetime(2024, 1, 31, 23, 59, 30, tzinfo=UTC)
    dropped(home, "late.fit", ride(start, 60))
    folders = {path.parent.name for path in (home.lake / "fit").rglob("part.*")}
    assert folders == {"month=2024-01-01"}
    assert only("late.fit", ride(start, 60)).month == date(2024, 1, 1)
