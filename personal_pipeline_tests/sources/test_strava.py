"""The archive of a Strava account, in every form that it comes in."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.adding import brought
from personal_pipeline.ingest.contract import DropFile, DropRow, Record, Unreadable
from personal_pipeline.ingest.inbox import IngestedFile, Receipt, ingest_file, waiting
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.strava import STRAVA
from personal_pipeline.sources.strava.dates import read_date
from personal_pipeline.sources.strava.export import recognise_export
from personal_pipeline.sources.strava.table import layout_of, number_of, read_table
from personal_pipeline_tests.sources.fit_files import (
    HEADERS,
    archive,
    gpx,
    ride,
    row,
    table,
    tcx,
    zipped,
)

NOW = datetime(2026, 11, 21, tzinfo=UTC)
START = datetime(2024, 1, 15, 7, 30, tzinfo=UTC)
AT = "Jan 15, 2024, 7:30:00\u202fAM"


def read(content: bytes) -> tuple[dict[str, Record], list[Unreadable]]:
    lines = content.decode("utf-8-sig").splitlines(keepends=True)
    layout = layout_of(lines[:30])
    assert layout is not None
    items = list(read_table(lines, layout))
    rows = {each.key: each.record for each in items if isinstance(each, DropRow)}
    return rows, [each for each in items if isinstance(each, Unreadable)]


# --------------------------------------------------------------------------------- the table


def test_headers_that_repeat_are_both_kept_and_those_not_translated_have_their_name() -> None:
    cells = {"distance": "3.00", "distance_2": "3000.5", "commute": "FALSE", "commute_2": "0"}
    rows, bad = read(table(row(7, AT, **cells)))
    assert not bad
    columns = rows["7"]["columns"]
    assert (columns["Distance"], columns["Distance_2"]) == ("3.00", "3000.5")
    assert (columns["Commute"], columns["Commute_2"]) == ("FALSE", "0")
    assert rows["7"]["start_at"] == "2024-01-15T07:30:00Z"
    layout = layout_of([",".join(HEADERS)])
    assert layout is not None
    assert {"type", "start_time"} <= set(layout.names)


def test_a_text_of_several_lines_and_a_row_that_is_broken() -> None:
    rows, bad = read(
        table(
            row(1, AT, activity_description='two\nlines, "quoted"'), row(2, "someday"), row(3, AT)
        )
        + b"4,only two\n"
    )
    assert rows.keys() == {"1", "3"}
    assert rows["1"]["columns"]["Activity Description"] == 'two\nlines, "quoted"'
    assert ["Activity Date" in each.reason or "cells" in each.reason for each in bad] == [True] * 2


@pytest.mark.parametrize(
    ("shown", "metres", "unit"), [("10.00", "10000.0", 1000), ("6.21", "9994.0", 1609.344)]
)
def test_where_metres_lack_what_the_pages_show_is_in_the_unit_of_the_account(
    shown: str, metres: str, unit: float
) -> None:
    rows, _ = read(
        table(row(1, AT, distance=shown, distance_2=metres), row(2, AT, distance="5.00"))
    )
    assert rows["1"]["distance_m"] == float(metres)
    assert rows["2"]["distance_m"] == pytest.approx(5 * unit)


def test_swims_are_shown_in_metres_or_yards() -> None:
    rows, _ = read(
        table(
            row(1, AT, distance="10.00", distance_2="10000"),
            row(2, AT, "Swim", distance="1,500", distance_2="1371.6"),
            row(3, AT, "Swim", distance="1,000"),
        )
    )
    assert rows["3"]["distance_m"] == pytest.approx(914.4)


def test_another_language_is_read_by_the_order_of_its_columns() -> None:
    german = ["Aktivitäts-ID", "Aktivitätsdatum", *(f"Spalte {n}" for n in range(2, len(HEADERS)))]
    rows, bad = read(
        table(
            row(9, "15.01.2024, 07:30:00", "Radfahrt", distance="10,00", distance_2="10000.5",
                filename="activities/9.fit.gz", activity_name="Früh"),
            headers=german,
            delimiter=";",
        )
    )  # fmt: skip
    assert not bad
    assert rows["9"]["start_at"] == "2024-01-15T07:30:00Z"
    assert rows["9"]["columns"]["Activity Name"] == "Früh"
    assert rows["9"]["columns"]["Filename"] == "activities/9.fit.gz"
    assert rows["9"]["distance_m"] == 10000.5


def german(count: int, *, file_at: int | None = None, text: str = "") -> bytes:
    """A table in German; of its activities at most one has a file."""
    headers = [
        "Aktivitäts-ID", "Aktivitätsdatum", "Name der Aktivität", "Aktivitätsart", "Beschreibung",
        "Verstrichene Zeit", "Distanz", "Max. Herzfrequenz", "Relative Leistung", "Pendeln",
        "Notiz", "Ausrüstung", "Dateiname", "Gewicht", "Radgewicht", "Verstrichene Zeit",
        "Bewegungszeit", "Distanz",
    ]  # fmt: skip
    lines = [
        row(n, f"{n % 28 + 1:02}.02.2015, 08:00:00", "Lauf", distance="5,00", elapsed_time="1800",
            distance_2="5000.0", activity_description=text,
            filename="activities/7.fit" if n == file_at else "")[: len(headers)]
        for n in range(count)
    ]  # fmt: skip
    return table(*lines, headers=headers)


@pytest.mark.parametrize(
    ("count", "file_at"), [(1, None), (36, 35), (36, None), (900, 899), (900, None)]
)
def test_another_language_is_read_also_where_the_first_activities_have_no_file(
    count: int, file_at: int | None
) -> None:
    found, bad = read(german(count, file_at=file_at, text="eins\nzwei"))
    assert not bad
    assert len(found) == count
    assert found["0"]["distance_m"] == 5000
    assert found["0"]["columns"]["Activity Type"] == "Lauf"


def test_another_table_of_many_columns_is_none_of_stravas() -> None:
    lines = german(3).decode().splitlines(keepends=True)
    other = lines[0].replace("Verstrichene Zeit", "Stunden", 1).replace("Distanz", "Meter", 1)
    assert layout_of([other, *lines[1:]]) is None
    assert layout_of([lines[0], *(each.replace("1800", "halb") for each in lines[1:])]) is None
    assert layout_of(lines[:1]) is None


def test_the_first_activities_of_an_archive_were_typed_in(home: Home, faults: Path) -> None:
    path = faults / "strava_german_by_hand" / "de_byhand.zip"
    receipt = dropped(home, Path(shutil.copy(path, home.inbox))).receipt
    assert (receipt.source, receipt.problem, receipt.unreadable) == ("strava", None, 0)
    assert len(kept(home, "activities")) == 36
    assert len(kept(home, "recordings")) == 1


def test_a_track_of_1901_leaves_its_row_and_is_told(home: Home) -> None:
    old = FILES["activities/12.gpx"].replace(b"2024-", b"1901-")
    files = {**FILES, "activities/12.gpx": old}
    receipt = dropped(home, archive(home.inbox / "export_1.zip", TABLE, files)).receipt
    assert (receipt.unreadable, len(kept(home, "activities"))) == (1, 4)
    [text] = [path.read_text() for path in (home.quarantine / "strava" / "export").iterdir()]
    assert "an impossible time" in text
    assert "activities/12.gpx" in text


def test_an_archive_of_old_has_few_columns_and_metres() -> None:
    old = b"id,date,name,type,description,elapsed_time,distance,commute,gear,filename\n"
    rows, _ = read(old + b"5,2016-03-05 17:15:36,Ride,Ride,,1892,12043.8,false,,activities/5.gpx\n")
    assert rows["5"]["distance_m"] == 12043.8
    assert rows["5"]["columns"]["Filename"] == "activities/5.gpx"


@pytest.mark.parametrize(
    "text",
    [
        "Jan 15, 2024, 7:30:00 PM",
        "Jan 15, 2024, 7:30:00\u202fPM",
        "15 Jan 2024, 19:30:00",
        "15. Januar 2024, 19:30:00",
        "15 janv. 2024 à 19:30:00",
        "15 de jan. de 2024, 19:30:00",
        "15 ene 2024 19:30:00",
        "15 gen 2024, 19:30:00",
        "15 янв. 2024 г., 19:30:00",  # noqa: RUF001
        "15.01.2024, 19:30:00",
        "15/01/2024, 19:30:00",
        "1/15/2024, 7:30:00 PM",
        "2024-01-15 19:30:00 UTC",
        "2024/01/15 19:30:00",
        "2024年1月15日 19:30:00",
        "2024. 1. 15. 오후 7:30:00",
    ],
)
def test_dates_in_many_languages(text: str) -> None:
    assert read_date(text) == datetime(2024, 1, 15, 19, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "number"),
    [("7830.600098", 7830.600098), ("1,234.5", 1234.5), ("7,83", 7.83), ("1.234,56", 1234.56),
     ("", None), ("fast", None), ("nan", None)],
)  # fmt: skip
def test_numbers_as_people_write_them(text: str, number: float | None) -> None:
    assert number_of(text) == number


@pytest.mark.parametrize(
    ("word", "month"),
    [("juin", 6), ("juil.", 7), ("août", 8), ("déc.", 12), ("März", 3), ("mai", 5), ("Okt.", 10)],
)
def test_months_that_begin_alike(word: str, month: int) -> None:
    assert read_date(f"3 {word} 2021, 10:00:00") == datetime(2021, month, 3, 10, tzinfo=UTC)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)))  # noqa: DTZ001
@settings(max_examples=50)
def test_the_usual_date_comes_back(at: datetime) -> None:
    at = at.replace(microsecond=0, tzinfo=UTC)
    written = f"{at:%b} {at.day}, {at.year}, {at:%I}:{at:%M:%S}\u202f{at:%p}"
    assert read_date(written.replace(", 0", ", ")) == at


@given(st.text(max_size=40))
@settings(max_examples=60)
def test_any_text_is_a_date_or_none(text: str) -> None:
    found = read_date(text)
    assert found is None or found.tzinfo is UTC


# ----------------------------------------------------------------------------- the whole archive

FILES = {
    "activities/11.fit.gz": zipped(ride(START)),
    "activities/12.gpx": gpx(START + timedelta(days=1), kind="running"),
    "activities/13.tcx.gz": zipped(tcx(START + timedelta(days=40))),
}
TABLE = table(
    row(1, AT, filename="activities/11.fit.gz"),
    row(2, "Jan 16, 2024, 7:30:00 AM", "Run", filename="activities/12.gpx"),
    row(3, "Feb 24, 2024, 7:30:00 AM", "Run", filename="activities/13.tcx.gz"),
    row(4, "Mar 1, 2024, 7:30:00 AM", "Yoga"),
)
STREAMS = {stream.name: stream for stream in STRAVA.drop_streams}


def dropped(home: Home, path: Path) -> IngestedFile:
    return ingest_file(home, SOURCES, path, NOW)


def kept(home: Home, stream: str) -> dict[str, Any]:
    lake = lake_of(home, "strava", STREAMS[stream])
    return {key: row.record for month in lake.partitions() for key, row in lake.read(month).items()}


def counts(receipt: Receipt) -> dict[str, tuple[int, int, int, int]]:
    return {
        each.stream: (each.new, each.altered, each.vanished, each.unchanged)
        for each in receipt.streams
    }


def test_an_archive_comes_in_whole_with_the_files_that_it_names(home: Home) -> None:
    receipt = dropped(home, archive(home.inbox / "export_1.zip", TABLE, FILES)).receipt
    assert (receipt.source, receipt.problem, receipt.warning) == ("strava", None, None)
    assert counts(receipt) == {
        "activities": (4, 0, 0, 0),
        "recordings": (3, 0, 0, 0),
        "recording_samples": (180, 0, 0, 0),
    }
    assert receipt.unreadable == 0
    named = {each["columns"].get("Filename") for each in kept(home, "activities").values()}
    assert {each["file"] for each in kept(home, "recordings").values()} == named - {None}


def test_a_folder_and_a_tar_are_the_same_export(home: Home, tmp_path: Path) -> None:
    path = archive(tmp_path / "export_1.zip", TABLE, FILES)
    folder = tmp_path / "export_1"
    with zipfile.ZipFile(path) as opened:
        opened.extractall(folder)
    with brought(home, SOURCES, [folder]):
        [one] = waiting(home)
        first = dropped(home, one).receipt
    assert (first.source, counts(first)["recordings"]) == ("strava", (3, 0, 0, 0))
    with tarfile.open(home.inbox / "export.tar.gz", "w:gz") as made:
        made.add(folder, "somewhere/export_1")
    second = dropped(home, home.inbox / "export.tar.gz").receipt
    assert second.source == "strava"
    assert {each[:3] for each in counts(second).values()} == {(0, 0, 0)}


def test_the_same_archive_again_is_not_parsed(home: Home, tmp_path: Path) -> None:
    path = archive(tmp_path / "export_1.zip", TABLE, FILES)
    dropped(home, Path(shutil.copy2(path, home.inbox / "export_1.zip")))
    unread = replace(STRAVA, drops=(replace(STRAVA.drops[0], load=_must_not_be_read),))
    again = ingest_file(
        home, [unread], Path(shutil.copy2(path, home.inbox / "export_1.zip")), NOW
    ).receipt
    assert (again.problem, counts(again)["recording_samples"]) == (None, (0, 0, 0, 180))


def _must_not_be_read(*_: object) -> Any:
    raise AssertionError("it was parsed")


def test_a_newer_archive_replaces_the_picture_and_only_its_months_change(
    home: Home, tmp_path: Path
) -> None:
    first = archive(home.inbox / "export_1.zip", TABLE, FILES)
    os.utime(first, (1.7e9, 1.7e9))
    dropped(home, first)
    # the activity of February was deleted
    fewer = table(*(row(n, at, kind, **more) for n, at, kind, more in [
        (1, AT, "Ride", {"filename": "activities/11.fit.gz"}),
        (2, "Jan 16, 2024, 7:30:00 AM", "Run", {"filename": "activities/12.gpx"}),
        (4, "Mar 1, 2024, 7:30:00 AM", "Yoga", {}),
    ]))  # fmt: skip
    files = {name: content for name, content in FILES.items() if "13" not in name}
    receipt = dropped(home, archive(home.inbox / "export_1.zip", fewer, files)).receipt
    assert counts(receipt) == {
        "activities": (0, 0, 1, 3),
        "recordings": (0, 0, 1, 2),
        "recording_samples": (0, 0, 60, 120),
    }
    assert {each.changed_months for each in receipt.streams} == {("2024-02-01",)}


def test_a_broken_file_costs_itself_and_a_missing_one_is_counted(home: Home) -> None:
    files = {**FILES, "activities/11.fit.gz": zipped(ride(START)[:-300])}
    del files["activities/12.gpx"]
    receipt = dropped(home, archive(home.inbox / "export_1.zip", TABLE, files)).receipt
    assert receipt.unreadable == 2
    assert counts(receipt)["recordings"] == (2, 0, 0, 0)
    texts = [path.read_text() for path in (home.quarantine / "strava" / "export").iterdir()]
    assert any("1 files that are not in the archive" in text for text in texts)
    assert any("truncated" in text for text in texts)


def test_the_table_alone_adds_and_removes_nothing(home: Home) -> None:
    dropped(home, archive(home.inbox / "export_1.zip", TABLE, FILES))
    path = home.inbox / "activities.csv"
    path.write_bytes(table(row(5, "Apr 1, 2024, 7:30:00 AM")))
    receipt = dropped(home, path).receipt
    assert receipt.source == "strava"
    assert receipt.warning is not None
    assert "only the table" in receipt.warning
    assert kept(home, "activities").keys() == {"1", "2", "3", "4", "5"}
    assert len(kept(home, "recordings")) == 3


def test_a_zip_with_a_table_of_that_name_by_somebody_else_is_not_claimed(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as made:
        made.writestr("activities.csv", "Date,Sport\n2024-01-01,Chess\n")
    assert recognise_export(DropFile(path, path.name, NOW)) is None


# ------------------------------------------------------------------------- answers of the API


def test_a_real_answer_is_taken_as_it_is(home: Home, samples: Path) -> None:
    path = Path(shutil.copy(samples / "strava" / "activity.json", home.inbox / "activity.json"))
    receipt = dropped(home, path).receipt
    assert (receipt.source, receipt.drop, receipt.unreadable) == ("strava", "answer", 0)
    assert receipt.streams[0].changed_months == ("2013-12-01",)
    [(key, record)] = kept(home, "activity_details").items()
    assert (key, record["distance"]) == ("99895560", 5781.1)


def test_a_list_of_answers_keeps_what_can_be_read(home: Home) -> None:
    good = {"id": 5, "start_date": "2024-01-15T07:30:00Z", "moving_time": 5, "elapsed_time": 6,
            "athlete": {"id": 1}, "upload_id": 7}  # fmt: skip
    path = home.inbox / "answers.json"
    path.write_text(json.dumps([good, {**good, "id": 6, "start_date": "someday"}, 7]))
    receipt = dropped(home, path).receipt
    assert (receipt.streams[0].new, receipt.unreadable) == (1, 2)
    path.write_text(json.dumps([good])[:-5])
    problem = dropped(home, path).receipt.problem
    assert problem is not None
    assert "truncated" in problem
