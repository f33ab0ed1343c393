"""Everything but the archive, the lake of what is fetched, and the person's own files may go."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.refresh import ingest_inbox, refresh
from personal_pipeline.settings import load_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.ingest.test_again import CSV, NOW, banking, files_of
from personal_pipeline_tests.invented_house import run
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import METER, TILL, WHOLESALE
from personal_pipeline_tests.kiosk.sources import SOURCES as KIOSK_SOURCES
from personal_pipeline_tests.old_homes import make_version_1


def delete_all_that_may_be_deleted(home: Home) -> None:
    for folder in (home.state, home.inbox, home.published.parent, home.dbt_target, home.dagster):
        shutil.rmtree(folder)
    shutil.rmtree(home.reports)
    home.warehouse.unlink()
    for source in KIOSK_SOURCES:
        fetched = {stream.name for stream in source.api}
        folder = home.lake / source.name
        for entry in folder.iterdir() if folder.is_dir() else ():
            if entry.is_file():
                entry.unlink()
            elif entry.name not in fetched:
                shutil.rmtree(entry)


def differing_tables(before: Path, after: Path) -> list[str]:
    """The tables of two copies that do not hold the same rows, each as often."""
    with duckdb.connect() as both:
        both.execute(f"attach '{before}' as before (read_only)")
        both.execute(f"attach '{after}' as after (read_only)")
        names = [
            both.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_catalog = ? and table_schema <> 'pipeline' order by 1",
                [which],
            ).fetchall()
            for which in ("before", "after")
        ]
        assert names[0] == names[1]
        assert names[0]
        # what was built, without when
        ledger = "(select asset, partition, digest, row_count from {}.pipeline.ledger)"
        sides = [(name, f"{{}}.{name}") for (name,) in names[0]]
        return [
            name
            for name, side in [*sides, ("ledger", ledger)]
            if both.execute(
                f"(from {side.format('before')} except all from {side.format('after')})"
                f" union all (from {side.format('after')} except all from {side.format('before')})"
            ).fetchone()
        ]


def kept_copy(home: Home, tmp_path: Path) -> Path:
    return Path(shutil.copy(home.published, tmp_path / "before.duckdb"))


@pytest.mark.slow
def test_an_older_home_comes_back_when_all_that_may_be_is_deleted(
    kiosk: Kiosk, copied_kiosk: Home, tmp_path: Path
) -> None:
    """Of the real sources ``ingest/test_again.py`` says that all is read again as it was, and
    ``ingest/test_opening.py`` that an older home's is."""
    home = copied_kiosk
    before, lake = kept_copy(home, tmp_path), files_of(home)
    make_version_1(home, KIOSK_SOURCES)
    delete_all_that_may_be_deleted(home)
    passed = refresh(kiosk.house(home))
    assert passed.failures == []
    assert (home.reports / "latest.html").exists()
    assert files_of(home) == lake
    assert differing_tables(before, home.published) == []


@pytest.mark.slow
def test_a_rebuild_of_one_source_builds_what_follows_from_it(
    kiosk: Kiosk, copied_kiosk: Home, tmp_path: Path
) -> None:
    before, lake = kept_copy(copied_kiosk, tmp_path), files_of(copied_kiosk)
    ended = run(kiosk.environment(copied_kiosk), "rebuild", "--source", "meter", "--json")
    assert (ended.code, ended.err) == (0, "")
    done = json.loads(ended.out)
    assert ("meter", "readings") in {(each["source"], each["drop"]) for each in done["reread"]}
    assert {tuple(each["changed"]) for each in done["reread"]} == {()}
    assert done["differs"] == {}
    # the report that was there says the same
    assert done["report"] is None
    assert files_of(copied_kiosk) == lake
    assert differing_tables(before, copied_kiosk.published) == []
    built = {each["table"] for each in done["built"]}
    assert {"staging/stg_meter__readings", "marts/costs_daily"} <= built
    assert "staging/stg_till__sales" not in built


def test_a_damaged_partition_does_not_stand_in_the_way_of_a_new_file(home: Home) -> None:
    banking(home)
    lake = files_of(home)
    settings = load_settings()
    house = House(settings, home, SOURCES, clock=lambda: NOW)
    next(home.lake.glob("bank/transactions/*/part.jsonl.gz")).write_bytes(b"damaged")
    (home.inbox / "new.csv").write_text(CSV.replace("2026-10", "2026-09"))
    taken = ingest_inbox(house)
    assert taken.failures == []
    assert any("was re-read from the originals" in each for each in taken.notes)
    assert [each.streams[3].new for each in taken.receipts] == [2]
    assert lake.items() <= files_of(home).items()


def newer(source: Source) -> Source:
    """The source, when the readers of its drops were changed and read the same."""
    return replace(
        source,
        drops=tuple(
            replace(
                drop,
                streams=tuple(replace(stream, code_version="later") for stream in drop.streams),
            )
            for drop in source.drops
        ),
    )


@pytest.mark.slow
def test_a_reader_that_changed_costs_only_what_comes_out_differently(
    kiosk: Kiosk, copied_kiosk: Home
) -> None:
    sources = (TILL, WHOLESALE, newer(METER))
    lake = files_of(copied_kiosk)
    passed = refresh(kiosk.house(copied_kiosk, sources=sources))
    assert {(each.source, each.why) for each in passed.restored.read} == {
        ("meter", "the parser changed")
    }
    assert files_of(copied_kiosk) == lake
    assert passed.work.built == []

    # one month is altered by hand, where no file system tells
    readings = lake_of(copied_kiosk, "meter", METER.drops[0].streams[0])
    month = readings.partitions()[-1]
    readings.write(month, list(readings.read(month).values())[1:])
    passed = refresh(kiosk.house(copied_kiosk, sources=sources))
    [read] = passed.restored.read
    assert read.changed == {"readings": [month]}
    assert files_of(copied_kiosk) == lake
    assert passed.work.built == []
