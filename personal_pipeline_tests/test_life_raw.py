"""The raw record of a reference: of JSON lines and of Parquet, fetched and dropped."""

from __future__ import annotations

import gzip
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import DropStream
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.ingest.lake import DamagedPartition, Row, digest_of, lake_of
from personal_pipeline.life.raw import NoRecord, pretty, raw_record, raw_records
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.apple_health import APPLE_HEALTH
from personal_pipeline.sources.fit import FIT
from personal_pipeline.sources.strava import STRAVA
from personal_pipeline_tests.invented_house import lay_project, query
from personal_pipeline_tests.invented_timeline import event, write_tables
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import METER, TILL
from personal_pipeline_tests.kiosk.sources import SOURCES as KIOSK
from personal_pipeline_tests.sources.apple_health_exports import record, xml, zipped
from personal_pipeline_tests.sources.fit_files import archive, ride, row, table
from personal_pipeline_tests.sources.fit_files import zipped as gzipped
from personal_pipeline_tests.sql.conftest import Warehouse

NOW = datetime(2026, 11, 21, tzinfo=UTC)
START = datetime(2026, 10, 3, 7, tzinfo=UTC)
ROUTE = "workout-routes/route.gpx"
WORKOUT = f"""<Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="30"
 durationUnit="min" sourceName="Watch" startDate="2026-10-03 09:00:00 +0200"
 endDate="2026-10-03 09:30:30 +0200"><WorkoutRoute><FileReference path="/{ROUTE}"/></WorkoutRoute>
</Workout>"""
GPX = """<?xml version="1.0" encoding="UTF-8"?>
<gpx version="1.1" creator="Apple Health Export" xmlns="http://www.topografix.com/GPX/1/1"><trk>
<trkseg><trkpt lon="8.5" lat="47.3"><ele>410.5</ele><time>2026-10-03T07:00:01Z</time></trkpt>
<trkpt lon="8.6" lat="47.4"><ele>411.5</ele><time>2026-10-03T07:00:02Z</time></trkpt></trkseg></trk>
</gpx>"""


def told(home: Home, *arguments: str) -> Result:
    environment = {"COLUMNS": "80", "PERSONAL_PIPELINE_HOME": str(home.root)}
    return CliRunner(env=environment).invoke(main, ["raw", *arguments])


def references(home: Home, staging: str) -> list[str]:
    rows = query(
        home.published, f"select lake_file || '#' || record_key from staging.{staging} order by all"
    )
    return [each for (each,) in rows]


# --------------------------------------------------------------------------------------- streams


@pytest.mark.parametrize("staging", ["stg_till__sales", "stg_till__deliveries"])
def test_a_fetched_record_is_what_the_service_answered(built_kiosk: Home, staging: str) -> None:
    wanted = references(built_kiosk, staging)
    found = raw_records(built_kiosk, KIOSK, wanted)
    assert found.keys() == set(wanted)
    for reference, records in found.items():
        (only,) = records
        assert only.record["id"] == only.key == reference.partition("#")[2]
        # what the service told of the day is the day under which the record is filed
        assert [f"{day}" for day in only.days] == [only.record["day"]]
        assert only.captured_at is None
        assert only.original is None
        assert only.file_digest == digest_of(only.lake_file)
        assert only.written_at.timestamp() == pytest.approx(only.lake_file.stat().st_mtime)


def test_a_dropped_record_leads_to_the_file_that_was_dropped(built_kiosk: Home) -> None:
    for reference in references(built_kiosk, "stg_meter__readings")[:30:7]:
        (only,) = raw_record(built_kiosk, KIOSK, reference)
        assert only.original is not None
        assert only.original.path is not None
        (ingest,) = only.original.ingests
        assert ingest.name == f"meter-{only.record['Day'][:7]}.csv"
        # the row stands in the original as it was dropped
        row = f"{only.record['Day']},{only.record['kWh']}"
        assert row in only.original.path.read_text().splitlines()
        assert digest_of(only.original.path) == only.original.digest
        (receipt,) = only.original.receipts
        assert json.loads(receipt.read_bytes())["file"] == ingest.name


def test_every_row_of_parquet_is_found_by_the_key_that_staging_made(
    tmp_path: Path, parsed: Path
) -> None:
    home = lay_project(parsed, tmp_path / "home")
    health = zipped(
        home.inbox / "health.zip",
        xml(
            WORKOUT,
            record("HeartRate", "2026-10-03 07:00:00", "2026-10-03 07:00:00", "60"),
            record("StepCount", "2026-10-03 07:00:00", "2026-10-03 07:05:00", "12", unit="count"),
            record("SleepAnalysis", "2026-10-03 01:00:00", "2026-10-03 02:00:00",
                   "HKCategoryValueSleepAnalysisAsleepREM", unit=None, source="Ann/Bob\x7f"),
        ),
        beside={f"apple_health_export/{ROUTE}": GPX},
    )  # fmt: skip
    (home.inbox / "ride.fit").write_bytes(ride(START, 3))
    archive(
        home.inbox / "export.zip",
        table(row(1, "Oct 3, 2026, 07:00:00 AM", filename="activities/1.fit.gz")),
        {"activities/1.fit.gz": gzipped(ride(START, 4))},
    )
    for path in (health, home.inbox / "ride.fit", home.inbox / "export.zip"):
        os.utime(path, (1.79e9, 1.79e9))
        receipt = ingest_file(home, [APPLE_HEALTH, STRAVA, FIT], path, NOW).receipt
        assert receipt.problem is None, receipt.problem
    tables = {
        f"stg_{source.name}__{stream.name}"
        for source in SOURCES
        for stream in source.streams
        if isinstance(stream, DropStream) and stream.table
    }
    warehouse = Warehouse(home.root)
    warehouse.build(
        *tables, windows={each: [(date(2026, 10, 1), date(2026, 11, 1))] for each in tables}
    )
    counts = {}
    for each in tables:
        staged = warehouse.records(f"select * from staging.{each}")
        keys = {f"{one['lake_file']}#{one['record_key']}": one for one in staged}
        found = raw_records(home, SOURCES, keys)
        counts[each] = len(found)
        for reference, (only,) in found.items():
            for name in ("value", "latitude", "number", "device"):
                assert only.record.get(name) == keys[reference].get(name), (each, name)
            assert only.original is not None
            assert only.captured_at is not None
    assert counts == {
        "stg_apple_health__records": 3,
        "stg_apple_health__workout_route_points": 2,
        "stg_fit__recording_samples": 3,
        "stg_strava__recording_samples": 4,
    }


def test_a_record_that_stands_under_several_days_is_one_unless_it_differs(home: Home) -> None:
    (deliveries,) = (each for each in TILL.api if each.name == "deliveries")
    lake = lake_of(home, "till", deliveries)
    first, second, third = (date(2026, 11, day) for day in (3, 4, 5))
    lake.write_units(
        {
            first: [Row("7", {"paid": False}), Row("8", {"paid": False})],
            second: [Row("7", {"paid": False})],
            third: [Row("7", {"paid": True})],
        }
    )
    place = "till/deliveries/month=2026-11-01/part.jsonl.gz"
    found = raw_record(home, KIOSK, f"{place}#7")
    assert [(each.record["paid"], list(each.days)) for each in found] == [
        (False, [first, second]),
        (True, [third]),
    ]
    both = raw_records(home, KIOSK, [f"{place}#7", f"{place}#8"])
    assert [len(records) for records in both.values()] == [2, 1]


@pytest.mark.parametrize("key", ["a#b", "#", "it's", "line\nbreak", "\u202e", "漢字", " x "])
def test_a_key_may_hold_anything(home: Home, key: str) -> None:
    lake = lake_of(home, "meter", METER.drop_streams[0])
    lake.write(date(2026, 11, 1), [Row(key, {"kWh": 1}), Row("other", {"kWh": 2})])
    (only,) = raw_record(home, KIOSK, f"meter/readings/month=2026-11-01/part.jsonl.gz#{key}")
    assert only.record == {"kWh": 1}


# ------------------------------------------------------------------------------------- what fails


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "nonsense",
        "meter/readings/month=2026-11-01/part.jsonl.gz",
        "meter/readings/month=2026-11-01/part.jsonl.gz#",
        "../secret/month=2026-11-01/part.jsonl.gz#k",
        "meter/../month=2026-11-01/part.jsonl.gz#k",
        "/meter/readings/month=2026-11-01/part.jsonl.gz#k",
        "meter/readings/month=2026-11-01/../part.jsonl.gz#k",
        "meter/readings/week=2026-11-01/part.jsonl.gz#k",
    ],
)
def test_what_is_no_reference_is_told_what_one_looks_like(home: Home, reference: str) -> None:
    with pytest.raises(NoRecord, match=r"such as bank/transactions/month=2026-10-01/part"):
        raw_record(home, KIOSK, reference)


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        ("meter/readings/month=2026-10-01/part.jsonl.gz#k", "is not in the lake. .* refresh"),
        ("meter/readings/month=2026-13-01/part.jsonl.gz#k", "is not in the lake"),
        ("meter/readings/day=2026-11-01/part.jsonl.gz#k", "is not in the lake"),
        ("meter/readings/month=2026-11-01/part.parquet#k", "is not in the lake"),
        ("meter/readings/month=2026-11-01/part.jsonl.gz#x", "has no record 'x'. .* refresh"),
        ("meter/other/month=2026-11-01/part.jsonl.gz#k", "no stream other of a source meter"),
        ("other/readings/month=2026-11-01/part.jsonl.gz#k", "no stream readings of a source other"),
    ],
)
def test_what_the_lake_has_not_is_said(home: Home, reference: str, why: str) -> None:
    lake = lake_of(home, "meter", METER.drop_streams[0])
    lake.write(date(2026, 11, 1), [Row("k", {"kWh": 1})])
    with pytest.raises(NoRecord, match=why):
        raw_record(home, KIOSK, reference)


def test_a_damaged_file_is_named_and_a_lost_original_said(copied_kiosk: Home, kiosk: Kiosk) -> None:
    reference = references(copied_kiosk, "stg_meter__readings")[0]
    (only,) = raw_record(copied_kiosk, KIOSK, reference)
    assert only.original is not None
    assert only.original.path is not None
    only.original.path.unlink()
    answer = told(copied_kiosk, reference)
    assert answer.exit_code == 0
    assert "which is missing from the archive" in " ".join(answer.stdout.split())
    only.lake_file.write_bytes(only.lake_file.read_bytes()[:-20])
    with pytest.raises(DamagedPartition, match="doctor --repair"):
        raw_record(copied_kiosk, KIOSK, reference)
    damaged = told(copied_kiosk, reference)
    assert damaged.exit_code == 1
    assert "doctor --repair" in damaged.stderr


# ------------------------------------------------------------------------------------ the command


def test_the_command_takes_a_handle_an_id_or_a_reference(copied_kiosk: Home, kiosk: Kiosk) -> None:
    reference = references(copied_kiosk, "stg_meter__readings")[0]
    write_tables(
        copied_kiosk.published,
        timeline=[
            event("reading", "1", day="2026-11-01", source="meter", reference=reference),
            event("sum", "2", day="2026-11-01", source="meter", title="12 people joined"),
        ],
    )
    answers = [told(copied_kiosk, each) for each in (reference, "meter:reading:1")]
    listed = json.loads(
        CliRunner()
        .invoke(
            main,
            ["day", "2026-11-01", "--json"],
            env={"PERSONAL_PIPELINE_HOME": str(copied_kiosk.root)},
        )
        .stdout
    )
    handles = {row["kind"]: row["handle"] for row in listed["events"]}
    answers.append(told(copied_kiosk, handles["reading"]))
    assert len({answer.stdout for answer in answers}) == 1
    lines = answers[0].stdout.splitlines()
    facts = {line[:11].strip(): line[11:].strip() for line in lines[: lines.index("{")]}
    assert facts["Stream"] == "meter.readings"
    assert facts["Lake file"].startswith("lake/meter/readings/month=")
    assert facts["Original"].startswith("archive/originals/")
    assert "received 20" in answers[0].stdout
    content = json.loads("\n".join(lines[lines.index("{") :]))
    assert content.keys() == {"Day", "kWh"}
    (whole,) = json.loads(told(copied_kiosk, reference, "--json").stdout)
    assert whole["record"] == content
    assert whole["original"]["ingests"][0]["drop"] == "readings"

    without = told(copied_kiosk, handles["sum"])
    assert without.exit_code == 1
    assert "12 people joined (2026-11-01) has no record of its own" in without.stderr
    unknown = told(copied_kiosk, "0123456789")
    assert unknown.exit_code == 1
    assert "such as 3f9a01c2" in unknown.stderr


def test_a_record_is_shown_whole_and_nothing_in_it_reaches_the_terminal(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personal_pipeline.sources.SOURCES", KIOSK)
    content = {
        "body": "x" * 5000 + "\x1b[2J\u202e\x9b end of it",
        "lines": [f"line {number}" for number in range(900)],
    }
    lake = lake_of(home, "meter", METER.drop_streams[0])
    lake.write(date(2026, 11, 1), [Row("k", content)])
    answer = told(home, "meter/readings/month=2026-11-01/part.jsonl.gz#k")
    assert "end of it" in answer.stdout
    assert "line 899" in answer.stdout
    assert not set(answer.stdout) & {"\x1b", "\u202e", "\x9b"}
    (only,) = raw_record(home, KIOSK, "meter/readings/month=2026-11-01/part.jsonl.gz#k")
    assert json.loads(pretty(only).replace("\\x9b", "\x9b")) == content


def test_a_file_is_read_once_for_all_its_records(
    built_kiosk: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    usual = gzip.open

    def counting(path: Path, *arguments: str, **more: str) -> object:
        opened.append(str(path))
        return usual(path, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(gzip, "open", counting)
    wanted = references(built_kiosk, "stg_meter__readings")
    raw_records(built_kiosk, KIOSK, wanted)
    assert len(opened) == len({reference.partition("#")[0] for reference in wanted}) > 1
