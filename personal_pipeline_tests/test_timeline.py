"""The timeline of the invented life, and what is built of it again when something changes."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.lake import Row, StreamLake, lake_of
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse import dbt_project, store
from personal_pipeline.warehouse.build import reconcile
from personal_pipeline.warehouse.reconcile import Ledger
from personal_pipeline_tests.examples import times
from personal_pipeline_tests.invented_house import NOW, Services, bare_house, content, query

FROM_NOTHING = ("marts.timeline", "marts.records", "marts.stays", "marts.story_boosts")
OF_A_DAY = ("marts/sleep_nights", "marts/health_measures_daily", "marts/health_daily")


@pytest.fixture
def house(services: Services, copied: Home) -> House:
    return services.house(copied, PERSONAL_PIPELINE_TIMEZONE="Europe/Berlin")


def stream(home: Home, source: str, name: str) -> StreamLake:
    found = next(
        stream
        for each in SOURCES
        if each.name == source
        for stream in each.streams
        if stream.name == name
    )
    return lake_of(home, source, found)


def ledger(home: Home) -> Ledger:
    with store.reading(bare_house(home)) as opened:
        return store.read_ledger(opened)


def changed(before: Ledger, after: Ledger, table: str) -> set[str]:
    """The partitions whose content differs."""
    names = before[table].keys() | after[table].keys()
    return {
        each
        for each in names
        if each not in before[table]
        or each not in after[table]
        or before[table][each].digest != after[table][each].digest
    }


def month_of(day: date) -> date:
    return day.replace(day=1)


def edit(lake: StreamLake, chance: random.Random, field: str) -> str:
    """Change or remove one row of a partition; returns its month."""
    partition = chance.choice(lake.partitions())
    units = lake.units_of(partition)
    unit = chance.choice(units)
    rows = dict(lake.read(unit))
    if not rows:
        return ""
    key = chance.choice(sorted(rows))
    if chance.random() < 0.5 and len(rows) > 1:
        del rows[key]
    else:
        row = rows[key]
        rows[key] = Row(key, {**row.record, field: f"changed {chance.random()}"}, row.as_of)
    lake.write(unit, rows.values())
    return month_of(unit).isoformat()


@pytest.mark.slow
def test_the_timeline_follows_every_change_and_touches_only_its_months(
    house: House, tmp_path: Path
) -> None:
    home = house.home
    # the zone of the home is another one than when it was built: its tables of local days are too
    assert not reconcile(house).failures
    chance = random.Random(3)
    edits: list[Callable[[], str]] = [
        lambda: edit(stream(home, "kit", "broadcasts"), chance, "subject"),
        lambda: edit(stream(home, "stripe", "refunds"), chance, "reason"),
        lambda: edit(stream(home, "bank", "transactions"), chance, "description"),
        lambda: stay(home, chance),
    ]
    for change in edits * times(1):
        before = ledger(home)
        months = {change()}
        work = reconcile(house)
        assert not work.failures
        after = ledger(home)
        assert changed(before, after, "marts/timeline") <= months
        assert rebuilt(before, after, "marts/timeline") <= months
    built = content(home.published, "marts")
    shutil.copytree(home.root, tmp_path / "anew")
    anew = services_of(house, tmp_path / "anew")
    tables = [name.partition(".")[2] for name in FROM_NOTHING]
    results = dbt_project.run(anew.home, tables, {}, anew.settings.of_tables, anew=True)
    assert not [each for each in results if each.failed]
    again = content(anew.home.warehouse, "marts")
    assert {name: again[name] for name in FROM_NOTHING} == {
        name: built[name] for name in FROM_NOTHING
    }
    assert built["marts.timeline"][0] > 1_000


def services_of(house: House, folder: Path) -> House:
    return House(house.settings, Home(folder), house.sources, clock=house.clock)


def rebuilt(before: Ledger, after: Ledger, table: str) -> set[str]:
    """The partitions that were built since, whatever came out."""
    return {
        each for each, record in after[table].items() if record.inputs != before[table][each].inputs
    }


def stay(home: Home, chance: random.Random) -> str:
    """Write down a stay within one month."""
    month = chance.choice(stream(home, "apple_health", "records").partitions())
    begins, ends = month.replace(day=10).isoformat(), month.replace(day=12).isoformat()
    record = {"place": "Tokyo", "zone": "Asia/Tokyo", "from": begins, "to": ends}
    stream(home, "stays", "stays").write(month, [Row("tokyo", record, NOW.isoformat())])
    return month.isoformat()


@pytest.mark.slow
def test_a_corrected_stay_builds_only_its_days_again(house: House) -> None:
    home = house.home
    assert not reconcile(house).failures
    months = stream(home, "apple_health", "records").partitions()
    month, next_month = months[-3], months[-2]
    record = {
        "place": "Tokyo",
        "zone": "Asia/Tokyo",
        "from": f"{month:%Y-%m}-05",
        "to": f"{month:%Y-%m}-20",
    }
    stays = stream(home, "stays", "stays")
    stays.write(month, [Row("tokyo", record, NOW.isoformat())])
    before = ledger(home)
    assert not reconcile(house).failures
    away = ledger(home)
    for table in OF_A_DAY:
        assert changed(before, away, table) == {month.isoformat()}, table
    # a day later, and into the next month
    record["to"] = f"{next_month:%Y-%m}-02"
    stays.write(month, [Row("tokyo", record, NOW.isoformat())])
    assert not reconcile(house).failures
    longer = ledger(home)
    for table in OF_A_DAY:
        both = {month.isoformat(), next_month.isoformat()}
        assert changed(away, longer, table) == both, table
    places = query(
        home.published,
        "select distinct zone, zone_origin, place from marts.timeline"
        " where kind = 'weighing' and local_day between ? and ?",
        f"{month:%Y-%m}-07",
        f"{month:%Y-%m}-25",
    )
    assert places == [("Asia/Tokyo", "stay", "Tokyo")]


def test_an_event_has_one_title_a_day_and_a_record_that_can_be_opened(built_home: Home) -> None:
    kinds = {
        kind for (kind,) in query(built_home.published, "select distinct kind from marts.timeline")
    }
    assert kinds >= {
        "payment",
        "refund",
        "payout",
        "story",
        "boost",
        "broadcast",
        "subscribers_joined",
        "transaction",
        "activity",
        "night",
        "weighing",
        "record",
    }
    # what is counted has no record of its own, and the sheet's row is not the story
    without = query(
        built_home.published,
        "select distinct kind from marts.timeline where reference is null order by 1",
    )
    assert {kind for (kind,) in without} <= {
        "boost",
        "record",
        "story",
        "subscribers_joined",
        "subscribers_left",
    }
    for (reference,) in query(
        built_home.published,
        "select min(reference) from marts.timeline where reference is not null group by kind",
    ):
        lake_file, _, key = reference.partition("#")
        assert (built_home.lake / lake_file).is_file()
        assert key
