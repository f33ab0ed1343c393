"""Damage of each kind to a home with data: found, mended by itself or by one command, or named."""

from __future__ import annotations

import json
import os
import random
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from personal_pipeline import doctor
from personal_pipeline.board import board_of
from personal_pipeline.checks import troubles_of
from personal_pipeline.freshness import State
from personal_pipeline.home import OTHERS, Home
from personal_pipeline.house import House
from personal_pipeline.ingest.damage import Kind, known_damage, verify, verify_some
from personal_pipeline.ingest.lake import DamagedPartition, lake_of
from personal_pipeline.ingest.originals import SIDECAR, ingests_of, originals, sidecar_path
from personal_pipeline.refresh import refresh
from personal_pipeline.warehouse.mending import mend, mend_dropped
from personal_pipeline.warehouse.receipts import keep_receipts
from personal_pipeline.warehouse.store import connection, is_begun_anew
from personal_pipeline_tests.invented_house import NOW, Services, content, run
from personal_pipeline_tests.kiosk.house import Kiosk

TODAY = NOW.date()


@pytest.fixture
def house(kiosk: Kiosk, copied_kiosk: Home) -> House:
    return kiosk.house(copied_kiosk)


@pytest.fixture
def full_house(services: Services, copied: Home) -> House:
    """One with every kind of drop."""
    return services.house(copied)


def rot(path: Path, at: int | None = None) -> None:
    """One byte is another one; size and time are as they were."""
    stat = path.stat()
    mode = stat.st_mode
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if at is None else at] ^= 0x55
    path.chmod(0o600)
    path.write_bytes(content)
    path.chmod(mode)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def partitions(home: Home, pattern: str) -> list[Path]:
    return sorted(home.lake.glob(pattern), key=lambda path: (-path.stat().st_size, path))


def found(house: House) -> dict[str, Kind]:
    looked = verify(house.home, house.sources, TODAY)
    return {each.path: each.kind for each in looked.damages}


def relative(home: Home, path: Path) -> str:
    return path.relative_to(home.root).as_posix()


def rows(home: Home) -> dict[str, bytes]:
    return {relative(home, path): path.read_bytes() for path in home.lake.rglob("part.*")}


def test_every_damaged_file_is_found_though_size_and_time_are_the_same(
    full_house: House,
) -> None:
    house, home = full_house, full_house.home
    assert found(house) == {}
    rng = random.Random(5)
    damaged = {}
    for kind, files in {
        Kind.ORIGINAL: list(originals(home)),
        Kind.SIDECAR: sorted((home.archive / "originals").glob(f"*/*{SIDECAR}")),
        Kind.LAKE: sorted(home.lake.rglob("part.*")),
        Kind.RECEIPT: sorted((home.archive / "receipts").glob("*.json")),
    }.items():
        for path in rng.sample(files, min(6, len(files))):
            rot(path, 0 if kind is Kind.RECEIPT else rng.randrange(path.stat().st_size))
            damaged[relative(home, path)] = kind
    assert found(house) == damaged
    # those of the streams are on the board, the others are said beside it
    failing = [line for line in board_of(house) if line.state is State.FAILING]
    assert {line.cause for line in failing} == {"lake file damaged", "archived file damaged"}
    assert all("doctor --repair" in line.detail for line in failing)
    assert len(troubles_of(home)) >= len([k for k in damaged.values() if k is Kind.RECEIPT])


def test_each_night_reads_a_slice_and_a_month_reads_everything(house: House) -> None:
    home = house.home
    everything = verify(home, house.sources, TODAY)
    # the refresh of the day has read its slice
    assert verify_some(home, house.sources, TODAY) is None
    path = partitions(home, "till/sales/*/part.jsonl.gz")[0]
    rot(path)
    nights = 0
    files = 0
    while not known_damage(home):
        nights += 1
        looked = verify_some(home, house.sources, TODAY + timedelta(days=nights))
        assert looked is not None
        files += looked.files
        assert looked.files < everything.files / 5
    assert nights <= 30
    assert [each.path for each in known_damage(home)] == [relative(home, path)]


def test_damaged_partitions_of_drops_are_read_again_by_themselves(full_house: House) -> None:
    house, home = full_house, full_house.home
    verify(home, house.sources, TODAY)
    before = rows(home)
    kinds = {
        (source.name, stream.name)
        for source in house.sources
        for stream in source.drop_streams
        if list(home.lake.glob(f"{source.name}/{stream.name}/month=*/part.*"))
    }
    damaged = []
    for source, stream in sorted(kinds):
        biggest = partitions(home, f"{source}/{stream}/month=*/part.*")[0]
        rot(biggest)
        os.utime(biggest)  # as an attacker, a copy or an editor leaves it
        damaged.append(biggest)
    assert len(damaged) >= 4
    assert len(mend_dropped(house)) == len(damaged)
    for path in damaged:
        assert path.read_bytes() == before[relative(home, path)], path
    assert rows(home) == before
    # a build may have read them meanwhile
    assert is_begun_anew(home)
    assert found(house) == {}


def test_a_table_of_parquet_that_rots_is_never_taken_for_a_new_content(full_house: House) -> None:
    (path, *_) = partitions(full_house.home, "*/*/month=*/part.parquet")
    source, stream = path.relative_to(full_house.home.lake).parts[:2]
    owner = next(each for each in full_house.sources if each.name == source)
    fed = next(each for each in owner.streams if each.name == stream)
    lake = lake_of(full_house.home, source, fed)
    good = lake.versions()
    whole = path.read_bytes()
    rng = random.Random(3)
    for _ in range(10):
        content = bytearray(whole)
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        path.write_bytes(content)
        with pytest.raises(DamagedPartition, match="doctor --repair"):
            lake.versions()
    path.write_bytes(whole)
    assert lake.versions() == good


def test_an_original_without_a_copy_is_named_and_one_with_a_copy_comes_back(house: House) -> None:
    home = house.home
    lost, had = list(originals(home))[:2]
    kept = home.quarantine / "unknown" / "again.csv"
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(had.read_bytes())
    receipt = next(
        r
        for path in (home.archive / "receipts").glob("*.json")
        if (r := json.loads(path.read_bytes()))["digest"] == lost.name.split(".")[0]
    )
    rot(lost)
    rot(had)
    verify(home, house.sources, TODAY)
    said = {each.damage.path: each for each in mend(house)}
    assert said[relative(home, had)].whole
    assert had.read_bytes() == kept.read_bytes()
    assert had.stat().st_mode & 0o777 == 0o400
    assert not said[relative(home, lost)].whole
    assert f"`{receipt['file']}`, received on {receipt['received_at'][:10]}" in (
        said[relative(home, lost)].said
    )
    # it stays on the board until the good file comes
    assert [each.path for each in known_damage(home)] == [relative(home, lost)]


def test_a_receipt_comes_back_from_the_tables(house: House) -> None:
    home = house.home
    path = min((home.archive / "receipts").glob("*.json"))
    before = json.loads(path.read_bytes())
    path.write_bytes(b"\0" * 100)
    verify(home, house.sources, TODAY)
    (mended,) = mend(house)
    assert mended.whole
    assert (home.quarantine / "damaged").is_dir()
    after = json.loads(path.read_bytes())
    known = before.keys() - {"seal", "cause"}
    assert {name: after[name] for name in known} == {name: before[name] for name in known}


def test_what_is_gone_is_noticed_and_made_again_or_named(house: House) -> None:
    home = house.home
    assert found(house) == {}
    lost, bare, unreceipted = list(originals(home))[:3]
    sidecar = sidecar_path(home, bare.name.split(".")[0])
    told = ingests_of(home, bare.name.split(".")[0])
    digest = unreceipted.name.split(".")[0]
    (receipt,) = (home.archive / "receipts").glob(f"*-{digest[:16]}.json")
    for path in (lost, sidecar, receipt):
        path.unlink()
    gone = {
        relative(home, lost): Kind.ORIGINAL,
        relative(home, sidecar): Kind.SIDECAR,
        relative(home, receipt): Kind.RECEIPT,
    }
    looked = verify_some(home, house.sources, TODAY + timedelta(days=1))
    assert looked is not None
    assert {each.path: each.kind for each in looked.damages} == gone
    assert found(house) == gone
    # those with an owner are on the board, the others are said beside it
    assert "archived file damaged" in {line.cause for line in board_of(house)}
    assert any("receipt" in each for each in troubles_of(home))
    said = {each.damage.path: each for each in mend(house)}
    assert {path for path in gone if said[path].whole} == gone.keys() - {relative(home, lost)}
    again = ingests_of(home, bare.name.split(".")[0])
    # how sure the reader was, nobody noted
    assert again == tuple(replace(each, confidence=None) for each in told or ())
    assert json.loads(receipt.read_bytes())["streams"]
    assert "`personal-pipeline add`" in said[relative(home, lost)].said
    assert found(house) == {relative(home, lost): Kind.ORIGINAL}


def test_a_receipt_that_the_tables_lack_is_made_from_the_sidecar(house: House) -> None:
    home = house.home
    digest = next(originals(home)).name.split(".")[0]
    (path,) = (home.archive / "receipts").glob(f"*-{digest[:16]}.json")
    before = json.loads(path.read_bytes())
    path.unlink()
    home.published.unlink()
    assert found(house) == {relative(home, path): Kind.RECEIPT}
    (mended,) = mend(house)
    assert "row counts are lost" in mended.said
    after = json.loads(path.read_bytes())
    for name in ("file", "digest", "source", "drop", "received_at", "captured_at", "size"):
        assert after[name] == before[name]
    assert found(house) == {}


def test_a_receipt_that_is_gone_comes_back_before_tables_are_published(house: House) -> None:
    path = min((house.home.archive / "receipts").glob("*.json"))
    before = json.loads(path.read_bytes())
    path.unlink()
    with connection(house) as opened:
        keep_receipts(opened, house.home)
    assert json.loads(path.read_bytes())["streams"] == before["streams"]
    assert found(house) == {}


def test_an_earlier_content_that_is_gone_is_named_once(house: House) -> None:
    home = house.home
    source = next(each for each in house.sources if each.name == "till")
    lake = lake_of(home, "till", next(each for each in source.api if each.name == "sales"))
    partition = next(each for each in lake.partitions() if lake.has_rows(each))
    lake.write(partition, [])
    ((_, kept),) = lake.replaced(partition)
    kept.unlink()
    assert found(house) == {relative(home, kept): Kind.SUPERSEDED}
    (mended,) = mend(house)
    assert "is lost" in mended.said
    assert "The damaged file is in" not in mended.said
    assert found(house) == {}


def test_no_rot_of_a_sidecar_is_believed(house: House) -> None:
    digest = next(originals(house.home)).name.split(".")[0]
    path = sidecar_path(house.home, digest)
    whole, told = path.read_bytes(), ingests_of(house.home, digest)
    for at in range(len(whole)):
        for bit in (1, 4, 0x20):
            rotten = bytearray(whole)
            rotten[at] ^= bit
            path.write_bytes(rotten)
            assert ingests_of(house.home, digest) in (None, told), rotten
    path.write_bytes(whole)


def test_a_folder_in_the_place_of_a_file_is_damage_like_any_other(full_house: House) -> None:
    house, home = full_house, full_house.home
    verify(home, house.sources, TODAY)
    before = rows(home)
    original, other = list(originals(home))[:2]
    replaced = {
        original: Kind.ORIGINAL,
        sidecar_path(home, other.name.split(".")[0]): Kind.SIDECAR,
        min((home.archive / "receipts").glob("*.json")): Kind.RECEIPT,
        partitions(home, "bank/*/*/part.jsonl.gz")[0]: Kind.LAKE,
        partitions(home, "*/*/month=*/part.parquet")[0]: Kind.LAKE,
        partitions(home, "stripe/charges/*/part.jsonl.gz")[0]: Kind.LAKE,
    }
    content = original.read_bytes()
    for path in replaced:
        path.unlink()
        path.mkdir()
        (path / "mine.txt").write_text("mine")
    assert found(house) == {relative(home, path): kind for path, kind in replaced.items()}
    copy = home.quarantine / "copy"
    copy.write_bytes(content)
    said = {each.damage.path: each for each in mend(house)}
    *mendable, service = (relative(home, path) for path in replaced)
    assert all(said[path].whole for path in mendable)
    assert "refresh --source stripe" in said[service].said
    # nobody's file is thrown away
    assert len(list((home.quarantine / "damaged").rglob("mine.txt"))) == len(replaced)
    left = {name: each for name, each in before.items() if name != service}
    assert rows(home) == left


@pytest.mark.slow
def test_a_day_of_a_service_is_missing_until_it_was_fetched_again(
    kiosk: Kiosk, copied_kiosk: Home
) -> None:
    home, house = copied_kiosk, kiosk.house(copied_kiosk)
    verify(home, house.sources, TODAY)
    tables = content(home.published, "staging", "marts")
    before = rows(home)
    damaged = [
        partitions(home, "till/sales/*/part.jsonl.gz")[0],
        partitions(home, "till/deliveries/*/part.jsonl.gz")[0],
    ]
    for path in damaged:
        rot(path)
    (empty, *_) = (
        path
        for path in reversed(partitions(home, "till/*/*/part.jsonl.gz"))
        if path.stat().st_size < 30
    )
    rot(empty, empty.stat().st_size // 2)
    findings = {each.what: each for each in doctor.repair(house)}
    for path in damaged:
        finding = findings[relative(home, path)]
        assert finding.verdict == "problem"
        assert "refresh --source till" in finding.found
        assert not path.exists()
    assert findings[relative(home, empty)].verdict == "ok"
    missing = [line for line in board_of(house) if line.state is State.FAILING]
    assert {line.stream for line in missing} == {"sales", "deliveries"}
    # what is published still has the rows
    assert content(home.published, "staging", "marts") == tables
    passed = refresh(house)
    assert not passed.failures
    assert rows(home) == before
    assert not [line for line in board_of(house) if line.state is State.FAILING]
    assert content(home.published, "staging", "marts") == tables


@pytest.mark.slow
def test_a_damaged_home_is_whole_after_one_refresh_and_open_to_nobody(
    kiosk: Kiosk, copied_kiosk: Home
) -> None:
    before = content(copied_kiosk.published, "staging", "marts")
    rng = random.Random(16)
    for database in (copied_kiosk.warehouse, copied_kiosk.published):
        with database.open("r+b") as stream:
            for _ in range(4):
                stream.seek(rng.randrange(12_288, database.stat().st_size))
                stream.write(rng.randbytes(16))
    (copied_kiosk.dagster / "history/runs.db").write_bytes(b"nonsense")
    for path in copied_kiosk.root.rglob("*"):
        if path.is_file() and path.parent.name != "originals":
            path.chmod(0o644)
    environment = kiosk.environment(copied_kiosk)
    seen = run(environment, "status")
    assert seen.code == 1
    assert "published tables cannot be read" in seen.err
    assert "personal-pipeline refresh" in seen.err
    old = set(copied_kiosk.root.rglob("*"))
    mask = os.umask(0)
    try:
        done = run(environment, "refresh")
    finally:
        os.umask(mask)
    assert done.code == 0, done.out + done.err
    assert "The warehouse was damaged" in done.out
    assert "Dagster's storage was damaged (history/runs.db" in done.out
    assert "Traceback" not in done.out + done.err
    assert content(copied_kiosk.published, "staging", "marts") == before
    new = set(copied_kiosk.root.rglob("*")) - old
    assert len(new) > 20
    # but for what was moved as it was
    made = {path for path in new if ".damaged-" not in str(path.relative_to(copied_kiosk.root))}
    assert [path for path in made if path.lstat().st_mode & OTHERS] == []
    assert run(environment, "status").code == 0
    assert doctor.narrow(copied_kiosk) > 0
    assert [p for p in copied_kiosk.root.rglob("*") if p.lstat().st_mode & OTHERS] == []
