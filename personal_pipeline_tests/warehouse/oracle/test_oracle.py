"""Short lives under the oracle, and that the oracle can fail."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from itertools import count

import pytest

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.reconcile import Inputs
from personal_pipeline.warehouse.tables import Input, Reads, Table, Tables
from personal_pipeline_tests.warehouse.oracle.definition import from_scratch, reads, wanted
from personal_pipeline_tests.warehouse.oracle.house import (
    FILE,
    SUBSCRIPTIONS,
    TABLES,
    kinds_of_edges,
)
from personal_pipeline_tests.warehouse.oracle.simulation import life


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What opening an instance sets is taken back; Dagster's debug lines take half of the time."""
    for name in ("DAGSTER_HOME", "PERSONAL_PIPELINE_HOME", "PERSONAL_PIPELINE_EVENT_LOG"):
        monkeypatch.setenv(name, "")
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.slow
def test_nothing_is_missed_and_nothing_is_needless() -> None:
    """``benchmarks.oracle`` lives longer, and fifty times on each instance."""
    lives = [life(1, instance, days=16) for instance in ("ephemeral", "sqlite")]
    for judged in lives:
        assert judged.examples == []
        assert judged.right
        assert judged.needed > 60
        assert judged.runs > 5
        assert judged.built == judged.needed + judged.by_code + judged.by_hand
        judged.seconds = 0
    assert lives[0] == lives[1]


@pytest.mark.slow
def test_a_version_that_changes_by_itself_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real, looks = Inputs.digests, count()

    def restless(self: Inputs, table: Table, partition: str) -> dict[str, str]:
        return {**real(self, table, partition), SUBSCRIPTIONS: f"{next(looks)}"}

    monkeypatch.setattr(Inputs, "digests", restless)
    assert life(2, "ephemeral", days=8).needless > 0


@pytest.mark.slow
def test_an_input_that_is_not_looked_at_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = Inputs.digests

    def without(self: Inputs, table: Table, partition: str) -> dict[str, str]:
        return {**real(self, table, partition), SUBSCRIPTIONS: ""}

    monkeypatch.setattr(Inputs, "digests", without)
    assert life(5, "ephemeral", days=15).missed > 0


def test_the_house_has_every_kind_of_edge() -> None:
    """Those of the real graph; the slow tests of the definitions hold that there are no others."""
    cut = [Grain.DAY, Grain.MONTH]
    windows = {(a, b, Reads.WINDOW) for a in cut for b in cut}
    to_whole = {(a, Grain.WHOLE, Reads.WINDOW) for a in cut}
    through = {
        (Grain.DAY, Grain.DAY, Reads.THROUGH),
        (Grain.DAY, Grain.MONTH, Reads.THROUGH),
        (Grain.MONTH, Grain.MONTH, Reads.THROUGH),
    }
    near = {(Grain.MONTH, Grain.MONTH, Reads.NEAR)}
    everything = {(a, Grain.MONTH, Reads.ALL) for a in cut}
    assert kinds_of_edges(TABLES) == windows | to_whole | through | near | everything


def _table(name: str, grain: Grain, *inputs: Input) -> Table:
    return Table(name, grain, inputs, model=name, code_version="1")


SMALL: Tables = {
    table.name: table
    for table in (
        Table("sales", Grain.DAY),
        Table("file", Grain.MONTH),
        # in COARSE, so that it can be added up by hand: a thirtieth of the sum, and its variant
        _table("marts/revenue_monthly", Grain.MONTH, Input("sales"), Input("file", Reads.THROUGH)),
        # a fortieth of it
        _table("marts/stories", Grain.WHOLE, Input("marts/revenue_monthly")),
    )
}


def test_the_definition_gives_what_was_added_up_by_hand() -> None:
    raw = {
        "sales": {"2026-05-03": 100, "2026-05-31": 25, "2026-06-01": 7},
        "file": {"2026-05-01": 60, "2026-06-01": 600, "2026-08-01": 9_000},
    }
    found = from_scratch(
        list(SMALL.values()),
        SMALL,
        raw,
        {"marts/revenue_monthly": 1},
        date(2026, 5, 1),
        date(2026, 6, 20),
    )
    assert found == {
        # (100 + 25 + 60) // 30 + 1, and (7 + 60 + 600) // 30 + 1
        "marts/revenue_monthly": {"2026-05-01": 7, "2026-06-01": 23},
        "marts/stories": {"whole": 0},
    }


def test_the_definition_knows_which_partitions_are_read_and_wanted() -> None:
    days = ["2026-05-31", "2026-06-01", "2026-06-02"]
    month, day = TABLES["marts/revenue_monthly"], TABLES["marts/subscribers"]
    through = Input(SUBSCRIPTIONS, Reads.THROUGH)
    assert reads(through, TABLES, month, "2026-05-01", days) == days[:1]
    assert reads(through, TABLES, month, "2026-06-01", days) == days
    assert reads(through, TABLES, day, "2026-06-01", days) == days[:2]
    assert reads(Input("marts/revenue_daily"), TABLES, month, "2026-06-01", days) == days[1:]
    assert reads(Input("marts/revenue_daily"), TABLES, day, "2026-06-02", days) == days[2:]
    months = ["2026-04-01", "2026-05-01", "2026-07-01"]
    near = Input(FILE, Reads.NEAR)
    assert reads(near, TABLES, TABLES["marts/nights"], "2026-06-01", months) == months[1:]
    files = {FILE: {"2026-05-01": 1}}
    near_may = ["2026-04-01", "2026-05-01", "2026-06-01"]
    nights = TABLES["marts/nights"]
    assert wanted(TABLES, nights, files, date(2026, 1, 1), date(2026, 9, 9)) == near_may
    contents = {"marts/revenue_daily": dict.fromkeys(days, 1)}
    today = date(2026, 6, 1)
    assert wanted(TABLES, day, contents, date(2026, 5, 1), today) == days[:2]
    assert wanted(TABLES, month, contents, date(2026, 5, 1), today) == ["2026-05-01", "2026-06-01"]
