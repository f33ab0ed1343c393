"""Files that the person keeps in the home and changes."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.kept import bring_kept
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.passes import ingest_inbox
from personal_pipeline.settings import Settings
from personal_pipeline.sources.stays import STAYS

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HEADER = "place,zone,from,to\n"


@pytest.fixture
def house(tmp_path: Path) -> House:
    home = Home(tmp_path / "home").ensure()
    return House(Settings(PERSONAL_PIPELINE_HOME=str(home.root)), home, (STAYS,), clock=lambda: NOW)


def write(house: House, *lines: str, at: int) -> None:
    """Save the file at a second."""
    path = house.home.root / "stays.csv"
    path.write_text(HEADER + "".join(f"{line}\n" for line in lines), encoding="utf-8")
    os.utime(path, (at, at))


def places(house: House) -> set[str]:
    """What the lake has, after everything that changed was taken."""
    bring_kept(house.home, house.sources)
    done = ingest_inbox(house, publish=False)
    assert not done.failures
    lake = lake_of(house.home, "stays", STAYS.drop_streams[0])
    return {
        str(row.record["place"]) for partition in lake.partitions() for row in lake.rows(partition)
    }


def test_a_kept_file_is_read_again_whenever_it_changes(house: House) -> None:
    assert bring_kept(house.home, house.sources) == []
    lisbon, tokyo = "Lisbon,Europe/Lisbon,2026-01-01,2026-01-05", "Tokyo,Asia/Tokyo,2026-03-01,"
    write(house, lisbon, at=1_770_000_000)
    assert places(house) == {"Lisbon"}
    assert bring_kept(house.home, house.sources) == [], "nothing has changed"
    write(house, lisbon, tokyo, at=1_770_000_100)
    assert places(house) == {"Lisbon", "Tokyo"}
    # and back again: a content that was there before
    write(house, lisbon, at=1_770_000_200)
    assert places(house) == {"Lisbon"}
    # a file without any stay may be one that was not saved whole
    write(house, at=1_770_000_300)
    assert places(house) == {"Lisbon"}
    # the file stays where it is, and the archive has what it was
    assert (house.home.root / "stays.csv").exists()
    originals = house.home.archive / "originals"
    assert len([each for each in originals.rglob("*") if each.is_file()]) >= 3
    assert not [*house.home.inbox.iterdir()]


def test_a_kill_before_it_was_noted_brings_it_once_more(house: House) -> None:
    write(house, "Lisbon,Europe/Lisbon,2026-01-01,2026-01-05", at=1_770_000_000)
    assert places(house) == {"Lisbon"}
    (house.home.state / "kept.json").unlink()
    assert bring_kept(house.home, house.sources) == ["stays.csv"]
    assert places(house) == {"Lisbon"}
