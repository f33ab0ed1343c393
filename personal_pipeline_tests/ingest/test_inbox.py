from __future__ import annotations

import itertools
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.inbox import (
    Receipt,
    StreamReceipt,
    captured_at,
    ingest_file,
    waiting,
)
from personal_pipeline.ingest.lake import Row, lake_of
from personal_pipeline.ingest.originals import REPLACED, original_path

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
FIGURES = DropStream(name="figures", description="One figure a day.")
PEOPLE = DropStream(name="people", description="One person.", coverage=Coverage.FULL)


def recognise(file: DropFile) -> Claim | None:
    return Claim(0.9, "begins with #figures") if file.head().startswith(b"#figures") else None


def read(file: DropFile) -> Iterator[DropRow | Unreadable]:
    lines = file.path.read_text().splitlines()[1:]
    if not lines:
        raise UnreadableFile("expected at least one line; export it again")
    for number, line in enumerate(lines, 2):
        try:
            stream, day, value = line.split(",")
            month = date.fromisoformat(day).replace(day=1)
            yield DropRow(stream, month, day, {"day": day, "value": int(value)})
        except ValueError:
            yield Unreadable(f"line {number}: expected stream,day,number", line)


SOURCE = Source(
    name="toy",
    title="Toy",
    description="",
    drops=(
        Drop(
            name="export",
            description="a list of figures",
            how_to="Click export.",
            recognise=recognise,
            read=read,
            streams=(FIGURES, PEOPLE),
        ),
    ),
)


def put(home: Home, name: str, *lines: str, head: str = "#figures", day: int = 20) -> Path:
    path = home.inbox / name
    path.write_text("\n".join([head, *lines]))
    stamp = datetime(2026, 11, day, tzinfo=UTC).timestamp()
    os.utime(path, (stamp, stamp))
    return path


def drop(home: Home, name: str, *lines: str, head: str = "#figures", day: int = 20) -> Receipt:
    return ingest_file(home, [SOURCE], put(home, name, *lines, head=head, day=day), NOW).receipt


def figures(home: Home, stream: DropStream = FIGURES) -> dict[str, int]:
    lake = lake_of(home, "toy", stream)
    found: dict[str, Row] = {}
    for month in lake.partitions():
        found |= lake.read(month)
    return {key: row.record["value"] for key, row in sorted(found.items())}


def test_a_file_is_archived_read_and_receipted(home: Home) -> None:
    receipt = drop(home, "f.txt", "figures,2026-10-30,1", "figures,2026-11-01,2")
    assert receipt.ingested
    assert [(s.stream, s.new, s.changed_months) for s in receipt.streams] == [
        ("figures", 2, ("2026-10-01", "2026-11-01")),
        ("people", 0, ()),
    ]
    assert figures(home) == {"2026-10-30": 1, "2026-11-01": 2}
    original = original_path(home, receipt.digest, "f.txt")
    assert original.read_text().startswith("#figures")
    assert original.stat().st_mode & 0o222 == 0
    assert waiting(home) == []
    assert len(list((home.archive / "receipts").iterdir())) == 1
    row = lake_of(home, "toy", FIGURES).read(date(2026, 11, 1))["2026-11-01"]
    assert row.origin == receipt.digest


def test_the_same_file_again_changes_nothing(home: Home) -> None:
    lines = ("figures,2026-10-30,1", "figures,2026-11-01,2")
    drop(home, "f.txt", *lines)
    again = drop(home, "other name.txt", *lines)
    first = again.streams[0]
    assert (first.new, first.altered, first.unchanged) == (0, 0, 2)
    assert again.streams[0].changed_months == ()


def test_a_damaged_original_is_replaced_by_the_good_file_and_the_receipt_says_so(
    home: Home,
) -> None:
    lines = ("figures,2026-10-30,1", "figures,2026-11-01,2")
    first = drop(home, "f.txt", *lines)
    original = original_path(home, first.digest, "f.txt")
    good = original.read_bytes()
    original.chmod(0o600)
    original.write_bytes(good[:20])
    again = drop(home, "f.txt", *lines)
    assert again.warning == REPLACED
    assert original.read_bytes() == good
    assert waiting(home) == []


def test_the_order_of_drops_does_not_matter(tmp_path: Path) -> None:
    files = {
        "a 2026-11-02.txt": ("figures,2026-11-01,1",),
        "b 2026-11-03.txt": ("figures,2026-11-01,5", "figures,2026-10-01,3"),
        "c 2026-11-03.txt": ("figures,2026-11-01,4",),
    }
    results = []
    for number, order in enumerate(itertools.permutations(files)):
        home = Home(tmp_path / str(number)).ensure()
        for name in order:
            drop(home, name, *files[name])
        results.append(figures(home))
    assert all(result == {"2026-10-01": 3, "2026-11-01": 5} for result in results)


def test_an_older_picture_dropped_late_changes_nothing(home: Home) -> None:
    drop(home, "2026-11-10.txt", "people,2026-11-01,1", "people,2026-11-02,1")
    drop(home, "2026-11-05.txt", "people,2026-11-03,9")
    assert figures(home, PEOPLE) == {"2026-11-01": 1, "2026-11-02": 1}
    newer = drop(home, "2026-11-12.txt", "people,2026-11-02,7")
    assert newer.streams[1].vanished == 1
    assert figures(home, PEOPLE) == {"2026-11-02": 7}


def test_bad_lines_are_counted_and_kept(home: Home) -> None:
    receipt = drop(home, "f.txt", "figures,2026-11-01,1", "private nonsense", "figures,x,1")
    assert receipt.unreadable == 2
    assert figures(home) == {"2026-11-01": 1}
    kept = next((home.quarantine / "toy" / "export").glob("*.jsonl")).read_text()
    assert "line 3: expected stream,day,number" in kept
    receipts = "".join(p.read_text() for p in (home.archive / "receipts").iterdir())
    assert "private nonsense" not in receipts


def test_an_unknown_file_goes_to_quarantine_with_a_sentence(home: Home) -> None:
    receipt = drop(home, "holiday.txt", "hello", head="nothing known")
    assert receipt.problem is not None
    assert receipt.problem.startswith("No source recognizes")
    folder = home.quarantine / "unknown"
    assert (folder / "holiday.txt").exists()
    assert "Toy: a list of figures" in (folder / "holiday.txt.reason.txt").read_text()
    drop(home, "holiday.txt", "another", head="nothing known")
    assert (folder / "holiday-2.txt").exists()


@pytest.mark.parametrize("content", [b"", b"#figures"])
def test_a_file_of_which_nothing_can_be_read_is_set_aside(home: Home, content: bytes) -> None:
    path = home.inbox / "f.txt"
    path.write_bytes(content)
    receipt = ingest_file(home, [SOURCE], path, NOW).receipt
    assert receipt.problem is not None
    assert not path.exists()
    assert len(list(home.quarantine.rglob("f.txt"))) == 1
    assert len(list(home.quarantine.rglob("*.reason.txt"))) == 1


def test_a_kill_between_archive_and_lake_is_repaired_by_ingesting_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = put(home, "f.txt", "figures,2026-11-01,1")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("personal_pipeline.ingest.inbox.read_into_lake", killed)
        with pytest.raises(KeyboardInterrupt):
            ingest_file(home, [SOURCE], path, NOW)
    assert waiting(home) == [path]
    ingest_file(home, [SOURCE], path, NOW)
    assert figures(home) == {"2026-11-01": 1}
    assert waiting(home) == []


def test_files_that_are_still_being_written_are_left_alone(home: Home) -> None:
    for name in (".hidden", "a.part", "a.crdownload", "a.txt~"):
        (home.inbox / name).write_text("x")
    (home.inbox / "deep").mkdir()
    (home.inbox / "deep" / "real.txt").write_text("x")
    assert [path.name for path in waiting(home)] == ["real.txt"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("stats-2026-11-05.json", "2026-11-05T23:59:59+00:00"),
        ("stats_20261105.json", "2026-11-05T23:59:59+00:00"),
        ("subscribers 2026-10.csv", "2026-10-31T23:59:59+00:00"),
        ("subscribers 2026-11.csv", "2026-11-20T12:00:00+00:00"),
        ("subscribers 2027-03.csv", "2026-11-20T12:00:00+00:00"),
        ("subscribers 2026-13.csv", "2026-11-20T12:00:00+00:00"),
        ("stats-2026-02-31.json", "2026-11-20T12:00:00+00:00"),
        ("export-2026-11-20.zip", "2026-11-20T12:00:00+00:00"),
        ("export.zip", "2026-11-20T12:00:00+00:00"),
        ("0120261105123.zip", "2026-11-20T12:00:00+00:00"),
        ("medium-export-ab20261105cdef.zip", "2026-11-20T12:00:00+00:00"),
        ("capture2026-11-05.json", "2026-11-05T23:59:59+00:00"),
    ],
)
def test_when_a_file_was_captured(name: str, expected: str) -> None:
    assert captured_at(name, datetime(2026, 11, 20, 12, tzinfo=UTC)).isoformat() == expected


def test_originals_alone_are_enough_to_fill_the_lake_again(home: Home) -> None:
    drop(home, "f.txt", "figures,2026-11-01,1")
    before = figures(home)
    shutil.rmtree(home.lake / "toy")
    for original in (home.archive / "originals").rglob("*.txt"):
        shutil.copy2(original, home.inbox / original.name)
    for path in waiting(home):
        ingest_file(home, [SOURCE], path, NOW)
    assert figures(home) == before


def test_a_receipt_is_json(home: Home) -> None:
    receipt = drop(home, "f.txt", "figures,2026-11-01,1")
    kept = json.loads(next((home.archive / "receipts").iterdir()).read_bytes())
    assert (kept["file"], kept["digest"]) == ("f.txt", receipt.digest)


def test_a_reader_that_breaks_costs_its_file_only(home: Home) -> None:
    def broken(file: DropFile) -> Iterator[DropRow]:
        yield DropRow("figures", date(2026, 11, 1), "k", {"value": 1})
        raise IndexError("private value")

    drop = replace(SOURCE.drops[0], read=broken)
    receipt = ingest_file(
        home, [replace(SOURCE, drops=(drop,))], put(home, "f.txt", "figures,2026-11-01,1"), NOW
    ).receipt
    assert receipt.problem is not None
    assert "private" not in receipt.problem
    assert figures(home) == {}
    assert original_path(home, receipt.digest, "f.txt").exists()


def test_a_recogniser_that_breaks_does_not_claim(home: Home) -> None:
    def broken(_file: DropFile) -> Claim | None:
        raise IndexError

    drop = replace(SOURCE.drops[0], recognise=broken)
    path = put(home, "f.txt", "figures,2026-11-01,1")
    receipt = ingest_file(home, [replace(SOURCE, drops=(drop,)), SOURCE], path, NOW).receipt
    assert receipt.ingested


def test_the_surer_of_two_claimants_takes_it_and_the_other_is_named(home: Home) -> None:
    def unsure(file: DropFile) -> Claim | None:
        return Claim(0.5, "has lines")

    other = replace(SOURCE.drops[0], name="guess", recognise=unsure)
    source = replace(SOURCE, drops=(other, *SOURCE.drops))
    receipt = ingest_file(home, [source], put(home, "f.txt", "figures,2026-11-01,1"), NOW).receipt
    assert (receipt.drop, receipt.reason) == ("export", "begins with #figures")
    assert receipt.also_claimed == ("toy guess, confidence 50%: has lines",)
    alone = drop(home, "g.txt", "figures,2026-11-02,1")
    assert alone.also_claimed == ()


def test_a_receipt_tells_the_span_and_which_columns_are_new_or_gone(home: Home) -> None:
    def read_json(file: DropFile) -> Iterator[DropRow | Unreadable]:
        for line in file.path.read_text().splitlines()[1:]:
            record = json.loads(line)
            yield DropRow("figures", date.fromisoformat(record["day"]), record["day"], record)

    source = replace(SOURCE, drops=(replace(SOURCE.drops[0], read=read_json, streams=(FIGURES,)),))

    def dropped(name: str, *records: dict[str, object]) -> StreamReceipt:
        path = put(home, name, *map(json.dumps, records))
        return ingest_file(home, [source], path, NOW).receipt.streams[0]

    first = dropped("1.txt", {"day": "2026-01-03", "n": 1}, {"day": "2026-03-01", "n": 2, "odd": 1})
    assert (first.first_month, first.last_month) == ("2026-01-01", "2026-03-01")
    assert (first.columns_unknown, first.columns_gone) == ((), ())
    second = dropped("2.txt", {"day": "2026-04-03", "m": 1})
    assert (second.first_month, second.last_month) == ("2026-04-01", "2026-04-01")
    assert (second.columns_unknown, second.columns_gone) == (("m",), ("n",))
    # a column that only some rows had is not missed, and one that came once is known
    third = dropped("3.txt", {"day": "2026-05-03", "n": 1, "m": 1})
    assert (third.columns_unknown, third.columns_gone) == ((), ())


def test_an_unknown_file_is_told_what_it_looks_like(home: Home) -> None:
    looks = {
        b"%PDF-1.7 ...": "a PDF",
        b'{"kind": "x", "items": []}': 'JSON with the fields "kind", "items"',
        b"<?xml version='1.0'?><HealthData locale='en'>": "root element <HealthData>",
        b"<!DOCTYPE html><html>": "a web page",
        "Datum;Größe;Notiz\n01.02.2024;17;privat\n".encode(): 'columns "Datum", "Größe", "Notiz"',
        b"\x00\x01\x02": "binary data",
        b"dear diary": "text",
    }
    for number, (content, words) in enumerate(looks.items()):
        path = home.inbox / f"{number}.bin"
        path.write_bytes(content)
        assert ingest_file(home, [SOURCE], path, NOW).receipt.problem is not None
        reason = (home.quarantine / "unknown" / f"{number}.bin.reason.txt").read_text()
        assert words in reason
        assert "- Toy: a list of figures" in reason
        assert "privat" not in reason
