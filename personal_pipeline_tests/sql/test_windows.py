"""A partition that is built alone has the rows that it has when everything is built; and what a
change in the lake reaches is exactly what the models say that they read."""

from __future__ import annotations

import gzip
import random
import shutil
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse.build import windows
from personal_pipeline.warehouse.reconcile import in_order
from personal_pipeline.warehouse.tables import (
    Table,
    model_tables,
    partitions_between,
    raw_tables,
    read_partitions,
)
from personal_pipeline_tests.sql.conftest import Warehouse
from personal_pipeline_tests.sql.small_life import (
    ACCOUNT_EXPORT_JANUARY,
    CHARGES,
    FEBRUARY,
    FEED_ONLY,
    GROWTH,
    JANUARY,
    MARCH,
    STORY_A,
    STORY_B,
    STORY_STATS_MARCH,
    SUBSCRIBERS,
    SUBSCRIPTIONS,
    exported,
    feed_item,
    keyed,
    listed,
    movement,
    seconds,
    sheet_row,
    subscriber,
    today,
)

FIRST, END = date(2024, 12, 1), date(2025, 4, 1)


def copy_of(built: Warehouse, folder: Path) -> Warehouse:
    """The built life, to be changed."""
    shutil.copytree(built.root, folder / "home")
    return Warehouse(folder / "home")


def windows_of(table: Table, partitions: set[str]) -> list[tuple[date, date]]:
    """As a build asks for them: neighbours share a window."""
    return [
        (date.fromisoformat(begins), date.fromisoformat(ends))
        for begins, ends in windows(table, sorted(partitions))
    ]


@pytest.fixture(scope="module")
def tables(manifest: Mapping[str, Any]) -> dict[str, Table]:
    return {**raw_tables(SOURCES), **model_tables(manifest, {"currency": "usd"})}


def cut(tables: Mapping[str, Table]) -> Iterator[Table]:
    """The models that have partitions."""
    return (each for each in tables.values() if each.model and each.grain is not Grain.WHOLE)


def partitions_in(opened: duckdb.DuckDBPyConnection, table: Table) -> dict[str, object]:
    """The rows of every partition that a table has."""
    rows = opened.execute(
        f"select {table.grain}::varchar, * from {table.name.replace('/', '.')} order by all"
    ).fetchall()
    return {partition: list(group) for partition, group in groupby(rows, key=itemgetter(0))}


def unlike(before: Mapping[str, object], after: Mapping[str, object]) -> set[str]:
    """The partitions whose content is not the same."""
    return {each for each in before.keys() | after.keys() if before.get(each) != after.get(each)}


def test_a_window_replaces_its_partitions_and_touches_no_other(
    built: Warehouse, tables: Mapping[str, Table], tmp_path: Path
) -> None:
    warehouse = copy_of(built, tmp_path)
    name = "stg_stripe__subscriptions"
    with duckdb.connect(str(warehouse.path)) as opened:
        opened.execute(f"update staging.{name} set status = 'old'")
    warehouse.build(
        name,
        "stg_stripe__charges",
        windows={
            name: [(date(2024, 12, 1), JANUARY), (FEBRUARY, MARCH)],
            "stg_stripe__charges": [],
        },
    )
    months = f"select distinct month from staging.{name} where status"
    assert warehouse.query(f"{months} <> 'old'") == [(FEBRUARY,)]
    assert (JANUARY,) in warehouse.query(f"{months} = 'old'")
    assert warehouse.query("select count(*) from staging.stg_stripe__charges") == [(len(CHARGES),)]


def fed_by(tables: Mapping[str, Table]) -> dict[tuple[str, str], dict[str, set[str]]]:
    """Of every edge (input, table): the table's partitions that read each partition of the input,
    by what the models say."""
    end = today() + timedelta(days=1)
    there = {grain: dict.fromkeys(partitions_between(grain, FIRST, end)) for grain in Grain}
    edges: dict[tuple[str, str], dict[str, set[str]]] = {}
    for table in cut(tables):
        for edge in table.inputs:
            fed = edges[edge.table, table.name] = defaultdict(set)
            grain = tables[edge.table].grain
            for partition in there[table.grain]:
                for read in read_partitions(edge, grain, table.grain, partition, there[grain]):
                    fed[read].add(partition)
    return edges


def test_a_partition_that_vanishes_reaches_only_what_says_that_it_reads_it(
    built: Warehouse,
    tables: Mapping[str, Table],
    manifest: Mapping[str, Any],
    tmp_path: Path,
) -> None:
    """For every partition of every staging table, with the SQL that dbt made."""
    compiled = {node["name"]: node.get("compiled_code") for node in manifest["nodes"].values()}
    edges = fed_by(tables)
    marts = [each for each in in_order(tables) if each in cut(tables) and "marts/" in each.name]
    path = shutil.copyfile(built.path, tmp_path / built.path.name)
    tried = 0
    with duckdb.connect(str(path)) as opened:
        before = {table.name: partitions_in(opened, table) for table in cut(tables)}
        for staging in cut(tables):
            for partition in before[staging.name] if "staging/" in staging.name else ():
                opened.begin()
                where = staging.name.replace("/", ".")
                opened.execute(f"delete from {where} where {staging.grain} = ?", [partition])
                changed = {staging.name: {partition}}
                for mart in marts:
                    # whatever reads nothing that changed is as it was
                    if not any(changed.get(edge.table) for edge in mart.inputs):
                        continue
                    where = mart.name.replace("/", ".")
                    opened.execute(f"create or replace table {where} as {compiled[mart.model]}")
                    after = partitions_in(opened, mart)
                    changed[mart.name] = unlike(before[mart.name], after)
                    reached = {
                        fed
                        for edge in mart.inputs
                        for each in changed.get(edge.table, ())
                        for fed in edges[edge.table, mart.name][each]
                    }
                    assert changed[mart.name] <= reached, (staging.name, partition, mart.name)
                opened.rollback()
                tried += 1
    assert tried > 30


def change_the_lake(warehouse: Warehouse) -> None:
    """Change something in most streams, and take some days away."""
    lake = warehouse.lake
    for gone in (
        "stripe/balance_transactions/day=2025-01-22",
        "medium/account_stats_daily/month=2025-01-01",
    ):
        shutil.rmtree(lake.root / gone)
    lake.stream("kit", "broadcasts").write(date(2025, 1, 11), ())
    lake.file("stripe", "balance_transactions", [movement("txn_13", "2025-02-14", 7_777, "eur")])
    # a subscription ends: every day on which it is filed has the newer record
    ended = {**SUBSCRIPTIONS[0], "status": "canceled", "ended_at": seconds("2025-02-15")}
    lake.file("stripe", "subscriptions", [ended])
    lake.see("stripe", "subscription_states", "2025-03-05 08:00", [ended, *SUBSCRIPTIONS[2:]])
    left = subscriber(1, "2025-01-02", "cancelled", canceled_at="2025-01-30T00:00:00Z")
    lake.file("kit", "subscribers", [left, SUBSCRIBERS[1]])
    lake.file("kit", "growth_stats", [{**GROWTH[1], "subscribers": 50}])
    lake.file("medium", "feed", [feed_item(FEED_ONLY, "2025-02-05", title="Another title")])
    # an older capture comes late, and a newer one moves a story's date to another month
    late = keyed([listed(STORY_B, "2025-01-31", "2025-01-09", views=9, reads=3)], "story_id")
    lake.drop("story_stats", JANUARY, late)
    moved = keyed([listed(STORY_A, "2025-03-05", "2025-02-27", views=400, reads=130)], "story_id")
    lake.drop("story_stats", MARCH, {**STORY_STATS_MARCH, **moved})
    # what was a story turns out to be a response
    rows = keyed([exported(STORY_B, "response", "2025-01-09")], "post_id")
    lake.drop("account_export", JANUARY, {**ACCOUNT_EXPORT_JANUARY, **rows})
    lake.look(
        "google_sheets", "story_flags", "2025-03-09", [sheet_row(story_id=FEED_ONLY, boosted="y")]
    )
    lake.drop("subscriber_export", FEBRUARY, {"a@b.c": {"email": "a@b.c"}}, source="kit")


def content_of_partitions(
    warehouse: Warehouse, tables: Mapping[str, Table]
) -> dict[str, Mapping[str, object]]:
    """By table and partition: the digest of a lake partition, the rows of a model's."""
    found: dict[str, Mapping[str, object]] = {
        f"{source.name}/{stream.name}": {
            partition.isoformat(): version.digest
            for partition, version in warehouse.lake.stream(source.name, stream.name)
            .versions()
            .items()
        }
        for source in SOURCES
        for stream in source.streams
    }
    with duckdb.connect(str(warehouse.path), read_only=True) as opened:
        return found | {table.name: partitions_in(opened, table) for table in cut(tables)}


def test_rebuilding_what_a_change_reaches_is_building_everything(
    built: Warehouse, tables: Mapping[str, Table], tmp_path: Path
) -> None:
    """With what is reached, a third of what did not change is built: partitions that are built
    alone are those of a whole build. What is not reached although it changed stays as it was, and
    differs."""
    warehouse = copy_of(built, tmp_path)
    before = content_of_partitions(warehouse, tables)
    change_the_lake(warehouse)
    old = warehouse.path.rename(tmp_path / "old.duckdb")
    printed = warehouse.build(with_tests=False)
    assert "36 of" in printed
    from_scratch = warehouse.content()
    after = content_of_partitions(warehouse, tables)
    changed = {name: unlike(before[name], after[name]) for name in before}
    assert changed["marts/creator_daily"]
    assert changed["marts/engagement_monthly"]
    assert changed["marts/revenue_monthly"]

    reached: dict[str, set[str]] = {table.name: set() for table in cut(tables)}
    for (edge, name), fed in fed_by(tables).items():
        # a table that is not cut has no partitions to compare; what reads one reads all of it
        reached[name].update(*(fed[partition] for partition in changed.get(edge, ())))
    # the days of two months: staging is cut by month
    assert len(reached["marts/revenue_daily"]) < 60

    chance = random.Random(20250321)
    for table in cut(tables):
        # also before the life began
        everything = {*partitions_between(table.grain, FIRST.replace(month=9), END)}
        equal = sorted(everything - changed[table.name])
        reached[table.name].update(chance.sample(equal, k=len(everything) // 3))

    old.replace(warehouse.path)
    # whole tables are built again, too
    warehouse.build(
        windows={each.model or "": windows_of(each, reached[each.name]) for each in cut(tables)},
        with_tests=False,
    )
    assert warehouse.content() == from_scratch


def test_a_build_that_fails_after_deleting_loses_nothing(built: Warehouse, tmp_path: Path) -> None:
    warehouse = copy_of(built, tmp_path)
    before = warehouse.content()
    with duckdb.connect(str(warehouse.path)) as opened:
        opened.execute("alter table staging.stg_stripe__charges alter charge_id set not null")
    # the old rows are out when this one is refused
    warehouse.lake.stream("stripe", "charges").path(date(2025, 1, 10)).write_bytes(
        gzip.compress(b'{"key": "ch_without_id", "record": {"amount": 1}}')
    )
    done = warehouse.dbt("run", "--select", "stg_stripe__charges")
    assert done.returncode == 1
    assert "NOT NULL constraint" in done.stdout
    assert warehouse.content() == before
