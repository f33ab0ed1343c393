"""What is stale, against an oracle that follows from the definition alone: build everything from
scratch, and compare content."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta

import pytest

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.reconcile import (
    EMPTY,
    BuildRecord,
    Inputs,
    Reason,
    all_versions,
    find_stale,
    next_batch,
)
from personal_pipeline.warehouse.tables import (
    WHOLE,
    Input,
    Reads,
    Table,
    expected_partitions,
    partitions_between,
    read_partitions,
    span,
)

TODAY = date(2026, 11, 21)


def model(name: str, grain: Grain, *inputs: Input, code: str = "1") -> Table:
    return Table(name, grain, inputs, model=name, code_version=code)


TABLES = {
    table.name: table
    for table in (
        Table("raw/sales", Grain.DAY),
        Table("raw/file", Grain.MONTH),
        model("sales", Grain.DAY, Input("raw/sales")),
        model("file", Grain.MONTH, Input("raw/file")),
        model("line", Grain.DAY, Input("sales"), Input("file")),
        model("month", Grain.MONTH, Input("sales"), Input("file")),
        model("total", Grain.DAY, Input("sales"), Input("sales", Reads.THROUGH)),
        model("all", Grain.WHOLE, Input("month")),
    )
}


class World:
    """Content by table and partition. A derived partition holds the sum of what it reads: so
    different inputs often give equal content, and the wave has to stop there."""

    def __init__(self) -> None:
        self.raw: dict[str, dict[str, int]] = {"raw/sales": {}, "raw/file": {}}
        self.content: dict[str, dict[str, int]] = {}
        self.ledger: dict[str, dict[str, BuildRecord]] = {}
        self.builds: list[tuple[str, str]] = []

    def versions(self) -> dict[str, dict[str, str]]:
        return {
            name: {each: str(value) for each, value in sorted(parts.items())}
            for name, parts in self.raw.items()
        }

    def everything(self) -> dict[str, Mapping[str, int]]:
        return {**self.raw, **self.content}

    def compute(self, table: Table, partition: str, source: Mapping[str, Mapping[str, int]]) -> int:
        total = 0
        for edge in table.inputs:
            present = dict(sorted(source.get(edge.table, {}).items()))
            grain = TABLES[edge.table].grain
            for each in read_partitions(edge, grain, table.grain, partition, present):
                total += present[each]
        return total % 7

    def build(self, name: str, partition: str) -> None:
        table = TABLES[name]
        versions = self.versions() | {
            each: {p: str(v) for p, v in sorted(parts.items())}
            for each, parts in self.content.items()
        }
        inputs = Inputs(TABLES, versions).digests(table, partition)
        value = self.compute(table, partition, self.everything())
        self.content.setdefault(name, {})[partition] = value
        self.ledger.setdefault(name, {})[partition] = BuildRecord(
            str(value), inputs, table.code_version
        )
        self.builds.append((name, partition))

    def settle(self) -> list[tuple[str, str]]:
        self.builds = []
        for _ in range(20):
            stale = find_stale(TABLES, self.versions(), self.ledger, TODAY)
            batch = next_batch(TABLES, stale)
            if batch is None:
                return self.builds
            for name, partitions in batch.partitions.items():
                for partition in partitions:
                    self.build(name, partition)
        pytest.fail("it never settles")

    def from_scratch(self) -> dict[str, dict[str, int]]:
        content: dict[str, dict[str, int]] = {}
        for name in ("sales", "file", "line", "month", "total", "all"):
            table = TABLES[name]
            source = {**self.raw, **content}
            expected = expected_partitions(table, TABLES, source, TODAY)
            if expected:
                content[name] = {each: self.compute(table, each, source) for each in expected}
        return content


@pytest.mark.parametrize("seed", range(40))
def test_nothing_is_missed_and_nothing_is_needless(seed: int) -> None:
    dice = random.Random(seed)
    world = World()
    start = TODAY - timedelta(days=75)
    for _ in range(25):
        for _ in range(dice.randint(0, 4)):
            day = start + timedelta(days=dice.randint(0, 75))
            if dice.random() < 0.75:
                world.raw["raw/sales"][day.isoformat()] = dice.randint(0, 9)
            else:
                world.raw["raw/file"][day.replace(day=1).isoformat()] = dice.randint(0, 9)
        before = {name: dict(parts) for name, parts in world.ledger.items()}
        builds = world.settle()
        assert world.content == world.from_scratch()
        assert len(builds) == len(set(builds)), "a partition was built twice in one pass"
        for name, partition in builds:
            known = before.get(name, {}).get(partition)
            assert known is None or known.inputs != world.ledger[name][partition].inputs
    assert world.settle() == []


def test_equal_content_stops_the_wave() -> None:
    world = World()
    world.raw["raw/sales"] = {"2026-11-01": 1, "2026-11-02": 2}
    world.settle()
    world.raw["raw/sales"] = {"2026-11-01": 2, "2026-11-02": 1}
    built = {name for name, _ in world.settle()}
    assert "month" in built
    assert "all" not in built


def test_changed_code_rebuilds_what_it_defines_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = World()
    world.raw["raw/sales"] = {"2026-11-01": 1, "2026-11-02": 2}
    world.settle()
    monkeypatch.setitem(
        TABLES, "month", model("month", Grain.MONTH, *TABLES["month"].inputs, code="2")
    )
    stale = find_stale(TABLES, world.versions(), world.ledger, TODAY)
    assert stale == {"month": {"2026-11-01": Reason.CODE_CHANGED}}
    assert {name for name, _ in world.settle()} == {"month"}


def test_a_failed_table_holds_back_its_readers_only() -> None:
    world = World()
    world.raw["raw/sales"] = {"2026-11-01": 1}
    world.raw["raw/file"] = {"2026-11-01": 1}
    stale = find_stale(TABLES, world.versions(), world.ledger, TODAY)
    batch = next_batch(TABLES, stale, blocked={"file"})
    assert batch is not None
    assert set(batch.partitions) == {"sales", "total"}


def test_a_chain_of_missing_tables_is_one_batch() -> None:
    world = World()
    world.raw["raw/sales"] = {"2026-11-01": 1}
    stale = find_stale(TABLES, world.versions(), world.ledger, TODAY)
    batch = next_batch(TABLES, stale)
    assert batch is not None
    assert set(batch.partitions) == {"sales", "line", "month", "total", "all"}


def test_what_reads_a_forgotten_partition_waits_until_it_is_known_what_becomes_of_it() -> None:
    day = "2026-11-01"
    stale = {"sales": {day: Reason.MISSING}, "line": {day: Reason.INPUT_CHANGED}}
    batch = next_batch(TABLES, stale)
    assert batch is not None
    assert batch.partitions == {"sales": [day]}


def test_what_failed_is_not_tried_beside_inputs_that_may_come_out_as_it_has_read_them() -> None:
    day = "2026-11-01"
    stale = {name: {day: Reason.MISSING} for name in ("sales", "line")}
    batch = next_batch(TABLES, stale, failed={"line"})
    assert batch is not None
    assert batch.partitions == {"sales": [day]}


def test_a_day_without_rows_is_no_news_to_its_month() -> None:
    world = World()
    world.raw["raw/sales"] = {"2026-11-01": 1, "2026-11-02": 2}
    world.settle()
    inputs = Inputs(TABLES, all_versions(world.versions(), world.ledger))
    sales = world.ledger["sales"]
    sales["2026-11-03"] = BuildRecord(EMPTY, inputs.digests(TABLES["sales"], "2026-11-03"), "1")
    assert "month" not in find_stale(TABLES, world.versions(), world.ledger, TODAY)
    sales["2026-11-03"] = BuildRecord("3", sales["2026-11-03"].inputs, "1")
    assert "month" in find_stale(TABLES, world.versions(), world.ledger, TODAY)


def test_spans_and_partitions_agree() -> None:
    for grain in (Grain.DAY, Grain.MONTH):
        for partition in partitions_between(grain, date(2025, 12, 30), date(2026, 3, 2)):
            start, end = span(grain, partition)
            assert [*partitions_between(grain, start, end)] == [partition]
    assert [*partitions_between(Grain.MONTH, date(2025, 12, 31), date(2026, 2, 1))] == [
        "2025-12-01",
        "2026-01-01",
    ]
    assert [*partitions_between(Grain.WHOLE, date(2026, 1, 1), date(2026, 1, 2))] == [WHOLE]


def test_no_partition_lies_in_the_future() -> None:
    existing = {"raw/file": ["2026-11-01"], "file": ["2026-11-01"]}
    days = expected_partitions(TABLES["line"], TABLES, existing, TODAY)
    assert (days[0], days[-1]) == ("2026-11-01", "2026-11-21")
