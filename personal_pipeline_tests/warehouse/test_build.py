"""Builds that fail, SQL that changes, copies that are lost: through dbt, on the kiosk's home."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from personal_pipeline.board import StreamState, board_of
from personal_pipeline.checks import checked
from personal_pipeline.freshness import State
from personal_pipeline.graph.building import JOB
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.recording import quiet_dagster
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.arrivals import FORMAT_CHANGED
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import PART, lake_of
from personal_pipeline.passes import build_tables
from personal_pipeline.warehouse import dbt_project, store
from personal_pipeline.warehouse.build import MOVED, WAITED, BuiltTable, build, reconcile, windows
from personal_pipeline.warehouse.lake import Lake, read_lake
from personal_pipeline.warehouse.left_out import left_out
from personal_pipeline.warehouse.reconcile import Ledger
from personal_pipeline.warehouse.tables import Table, owed_tests, partitions_between, span
from personal_pipeline_tests.invented_house import UNTIL, bare_house, content, query
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import TILL

DELIVERIES = "staging/stg_till__deliveries"
MONTH = UNTIL.replace(day=1).isoformat()
"""The newest partition of it."""
TAKINGS = "marts/takings_daily"
RESULTS = "marts/results_monthly"
ONCE = "from {{ ref('stg_till__sales') }}"
TWICE = f"{ONCE} cross join range(2)"


@pytest.fixture
def house(kiosk: Kiosk, copied_kiosk: Home) -> House:
    return kiosk.house(copied_kiosk)


@pytest.fixture
def sql(kiosk: Kiosk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The dbt project, in a folder where it may be changed."""
    folder = tmp_path / "sql"
    shutil.copytree(kiosk.sql, folder)
    monkeypatch.setattr(dbt_project, "FOLDER", folder)
    return folder


def change(sql: Path, model: str, old: str, new: str) -> None:
    (path,) = sql.rglob(f"{model}.sql")
    before = path.read_text()
    assert old in before
    path.write_text(before.replace(old, new))


def ledger_of(home: Home) -> Ledger:
    with store.writing(home), store.connection(bare_house(home)) as opened:
        return store.read_ledger(opened)


def failures(built: list[BuiltTable]) -> dict[str, str]:
    return {each.name: each.failure for each in built if each.failure}


@pytest.mark.slow
def test_what_fails_its_tests_is_not_recorded_and_tried_once_more(house: House, sql: Path) -> None:
    before = content(house.home.published, "staging", "marts")
    change(sql, "takings_daily", ONCE, TWICE)
    change(sql, "takings_daily", "group by day, product", "group by day, product, payment")

    first = failures(reconcile(house).built)
    assert first.keys() == {TAKINGS}, "what reads it waits, and is no failure of its own"
    assert "unique" in first[TAKINGS]
    assert TAKINGS not in ledger_of(house.home)
    after = content(house.home.published, "staging", "marts")
    assert after == before, "readers keep the good rows"
    assert "Readers keep the last good rows" in first[TAKINGS]
    month = UNTIL.replace(day=1).isoformat()
    ask = {RESULTS: [month]}
    held = failures(build(house, ask).built)
    assert held == {RESULTS: WAITED}, "nothing is built from its rows"

    again = reconcile(house)
    assert failures(again.built).keys() == {TAKINGS}
    assert again.dbt_calls == 1, "it was tried once more by itself"
    waits = reconcile(house)
    assert "refresh --retry" in failures(waits.built)[TAKINGS]
    assert waits.dbt_calls == 0, "then it waits"
    asked = reconcile(house, retry=True)
    assert failures(asked.built).keys() == {TAKINGS}
    assert asked.dbt_calls == 1, "a person may ask for it"

    change(sql, "takings_daily", "group by day, product, payment", "group by day, product")
    change(sql, "takings_daily", TWICE, ONCE)
    together = build(house, {TAKINGS: [UNTIL.isoformat()], RESULTS: [month]}).built
    assert failures(together) == {}, "what reads it may be asked for with it"
    assert [each.name for each in together] == [TAKINGS, RESULTS]
    assert failures(reconcile(house).built) == {}
    assert content(house.home.published, "staging", "marts") == before


def published_ledger(home: Home) -> Ledger:
    with store.reading(bare_house(home)) as opened:
        return store.read_ledger(opened)


@pytest.mark.slow
def test_readers_keep_good_rows_whatever_code_follows_a_failed_build(
    house: House, sql: Path
) -> None:
    before = content(house.home.published, "staging", "marts")
    recorded = published_ledger(house.home)
    change(sql, "takings_daily", ONCE, TWICE)
    change(sql, "takings_daily", "group by day, product", "group by day, product, payment")
    assert failures(reconcile(house).built).keys() == {TAKINGS}
    assert content(house.home.published, "staging", "marts") == before
    assert published_ledger(house.home) == recorded, "it speaks of the rows that readers have"

    # a slip of the pen comes next, and somebody asks for another table first
    change(sql, "takings_daily", "group by day, product, payment", "group by day, product")
    change(sql, "takings_daily", TWICE, ONCE)
    change(sql, "takings_daily", "sum(amount)", "no_such_column + sum(amount)")
    assert failures(build(house, {DELIVERIES: [MONTH]}).built) == {}
    assert content(house.home.published, "staging", "marts") == before
    assert failures(reconcile(house).built).keys() == {TAKINGS}
    assert content(house.home.published, "staging", "marts") == before
    assert published_ledger(house.home) == recorded

    # also when everything is built from nothing
    with store.writing(house.home):
        store.begin_anew(house.home)
    assert TAKINGS in failures(reconcile(house).built)
    after = content(house.home.published, "marts")
    for name in ("takings_daily", "results_monthly"):
        assert after[f"marts.{name}"] == before[f"marts.{name}"]

    change(sql, "takings_daily", "no_such_column + sum(amount)", "sum(amount)")
    assert failures(reconcile(house).built) == {}
    assert content(house.home.published, "staging", "marts") == before
    assert published_ledger(house.home) == ledger_of(house.home)


@pytest.mark.slow
def test_of_two_months_that_failed_together_each_is_built_when_one_is_mended(
    house: House,
) -> None:
    """A test reads the whole table: the good month failed only because of the bad one."""
    before = content(house.home.published, "staging", "marts")
    stream = next(each for each in TILL.api if each.name == "deliveries")
    lake = lake_of(house.home, "till", stream)
    days = [day for month in lake.partitions() for day in lake.units_of(month) if lake.read(day)]
    good, bad = days[0], days[-1]
    assert good.month != bad.month
    sound, held = lake.read(bad), lake.read(good)
    row = next(iter(sound.values()))
    lake.write(bad, [*sound.values(), replace(row, key=f"{row.key} again")])
    for _ in range(2):
        assert failures(reconcile(house).built).keys() == {DELIVERIES}
    lake.write(good, [])
    for _ in range(2):
        assert failures(reconcile(house).built).keys() == {DELIVERIES}
    lake.write(bad, sound.values())
    assert failures(reconcile(house).built) == {}
    assert reconcile(house).built == []
    deliveries = DELIVERIES.replace("/", ".")
    lost = before[deliveries][0] - len(held)
    assert content(house.home.published, "staging")[deliveries][0] == lost


@pytest.mark.slow
def test_nothing_is_built_from_what_a_killed_build_left_untested(house: House) -> None:
    before = content(house.home.published, "staging", "marts")
    day, month = UNTIL.isoformat(), UNTIL.replace(day=1).isoformat()
    with store.writing(house.home), store.connection(house) as opened:
        store.begin(opened, {TAKINGS: [day]})
        opened.execute(
            "insert into marts.takings_daily from marts.takings_daily where day = ?", [day]
        )
    held = build(house, {RESULTS: [month]}).built
    assert failures(held) == {RESULTS: WAITED}
    assert content(house.home.published, "staging", "marts") == before
    # asked for with another day of the table: the doubtful day is built, too
    other = (UNTIL - timedelta(days=1)).isoformat()
    together = build(house, {TAKINGS: [other], RESULTS: [month]}).built
    assert failures(together) == {}
    assert content(house.home.published, "staging", "marts") == before
    assert reconcile(house).built == []


@pytest.mark.slow
def test_a_table_whose_tests_did_not_run_has_not_passed_them(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted dbt writes what it came to."""
    before = content(house.home.published, "staging", "marts")
    lose_a_sale(house.home)
    run = dbt_project.run

    def interrupted(*arguments: Any, **named: Any) -> list[dbt_project.NodeResult]:
        return [each for each in run(*arguments, **named) if each.kind == "model"]

    with monkeypatch.context() as patched:
        patched.setattr(dbt_project, "run", interrupted)
        failed = failures(reconcile(house).built)
    sales = "staging/stg_till__sales"
    assert failed.keys() == {sales}
    assert "its tests did not run" in failed[sales]
    assert content(house.home.published, "staging", "marts") == before
    assert failures(reconcile(house).built) == {}


@pytest.mark.slow
def test_the_tests_that_are_owed_are_those_that_dbt_runs(
    house: House, sql: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of these tables has a test that reads the other, and there are some that only warn."""
    ran: list[dbt_project.NodeResult] = []
    run = dbt_project.run

    def noted(*arguments: Any, **named: Any) -> list[dbt_project.NodeResult]:
        ran.extend(found := run(*arguments, **named))
        return found

    monkeypatch.setattr(dbt_project, "run", noted)
    models = ["stg_till__deliveries", "stg_till__delivered_items"]
    nodes = dbt_project.load_manifest(house.home)["nodes"]
    owed = []
    for chosen in ([models[0]], [models[1]], models):
        ran.clear()
        day = {f"staging/{each}": [UNTIL.isoformat()] for each in chosen}
        assert failures(build(house, day).built) == {}
        strict = {
            each.unique_id
            for each in ran
            if each.kind == "test"
            and nodes[each.unique_id]["config"]["severity"].lower() == "error"
        }
        owed.append(owed_tests(dbt_project.load_manifest(house.home), chosen).keys())
        assert owed[-1] == strict
    (both,) = owed[2] - owed[0] - owed[1]
    assert "delivered_items_delivery_number_exists" in both

    # when one of the two fails, a test that reads both cannot run, and is not missed
    change(sql, models[0], "select", "select no_such_column,")
    change(sql, models[1], "select", "select /* anew */")
    assert failures(reconcile(house).built).keys() == {f"staging/{models[0]}"}


@pytest.mark.slow
def test_rows_that_failed_are_not_shown_when_there_are_no_good_ones(
    house: House, sql: Path
) -> None:
    change(sql, "takings_daily", ONCE, TWICE)
    change(sql, "takings_daily", "group by day, product", "group by day, product, payment")
    house.home.published.unlink()
    assert failures(reconcile(house).built).keys() == {TAKINGS}
    shown = content(house.home.published, "marts")
    assert shown["marts.takings_daily"] == (0, 0)
    assert shown["marts.costs_daily"] != (0, 0)


@pytest.mark.slow
def test_rows_of_a_killed_build_go_when_their_input_went_meanwhile(house: House) -> None:
    before = content(house.home.published, "staging", "marts")
    month, table = "2019-03-01", "stg_till__deliveries"
    # a first build of a month was killed when dbt had written it; then it went from the lake
    with store.writing(house.home), store.connection(house) as opened:
        store.begin(opened, {f"staging/{table}": [month]})
        opened.execute(
            f"insert into staging.{table} select * replace (date '{month}' as month)"
            f" from staging.{table} limit 3"
        )
    assert failures(reconcile(house).built) == {}
    assert content(house.home.published, "staging", "marts") == before
    assert reconcile(house).built == [], "and that is done once"


@pytest.mark.slow
def test_sql_that_cannot_run_costs_only_its_own_table(house: House, sql: Path) -> None:
    before = content(house.home.published, "staging", "marts")
    change(sql, "stg_till__deliveries", "select", "select no_such_column,")
    change(sql, "takings_daily", "sum(amount)", "0.5 + sum(amount)")
    built = reconcile(house).built
    assert failures(built).keys() == {DELIVERIES}
    assert "no_such_column" in failures(built)[DELIVERIES]
    after = content(house.home.published, "staging", "marts")
    assert after["staging.stg_till__deliveries"] == before["staging.stg_till__deliveries"]
    assert after["marts.takings_daily"] != before["marts.takings_daily"]


@pytest.mark.slow
def test_one_day_of_changed_sql_brings_the_table_whole(house: House, sql: Path) -> None:
    before = query(house.home.published, "from marts.takings_daily order by day, product")
    change(sql, "takings_daily", "sum(amount)", "0.5 + sum(amount)")
    built = build(house, {TAKINGS: [UNTIL.isoformat()]}).built
    assert failures(built) == {}
    after = query(house.home.published, "from marts.takings_daily order by day, product")
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert after != before
    versions = {built.code_version for built in ledger_of(house.home)[TAKINGS].values()}
    assert len(versions) == 1


def test_a_lost_or_damaged_copy_comes_back_without_dbt(house: House) -> None:
    before = content(house.home.published, "staging", "marts")
    house.home.published.unlink()
    assert reconcile(house).dbt_calls == 0
    assert content(house.home.published, "staging", "marts") == before
    house.home.published.write_bytes(b"not a database")
    assert reconcile(house).dbt_calls == 0
    assert content(house.home.published, "staging", "marts") == before


def materialize(house: House, asset: str, partition: str) -> bool:
    """One partition in a run of Dagster, as a person starts it; whether it succeeded."""
    with instance_of(house.home) as instance, quiet_dagster():
        job = definitions_of(house).resolve_implicit_global_asset_job_def()
        return job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            instance=instance,
            asset_selection=[dg.AssetKey(asset.split("/"))],
            partition_key=partition,
            raise_on_error=False,
        ).success


def lose_a_sale(home: Home) -> date:
    """From the lake, without anybody being told; returns its day, one of the last."""
    stream = next(each for each in TILL.api if each.name == "sales")
    lake = lake_of(home, "till", stream)
    day = max(day for day in lake.partitions() if len(lake.read(day)) > 1)
    lake.write(day, list(lake.read(day).values())[1:])
    return day


def said_of_inputs(house: House, asset: str) -> str:
    """What the newest materialization of an asset says of its inputs."""
    with instance_of(house.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(asset.split("/")))
    assert event is not None
    assert event.asset_materialization is not None
    return str(event.asset_materialization.metadata["inputs"].value)


@pytest.mark.slow
def test_a_run_of_the_job_builds_all_that_is_stale_down_to_the_last_table(
    house: House,
) -> None:
    # asked by a person, of something else: only that is built
    day = lose_a_sale(house.home)
    before = ledger_of(house.home)
    assert materialize(house, DELIVERIES, MONTH)
    assert ledger_of(house.home) == before

    with instance_of(house.home) as instance, quiet_dagster():
        job = definitions_of(house).resolve_job_def(JOB)
        assert job.execute_in_process(instance=instance).success
    after = ledger_of(house.home)
    built = {name for name in after if after[name] != before[name]}
    assert {"staging/stg_till__sales", TAKINGS, RESULTS} <= built
    assert "staging/stg_till__deliveries" not in built
    assert reconcile(house).built == []
    # why: which partition of which input, and which inputs did not change
    said = said_of_inputs(house, RESULTS)
    changed = [line for line in said.splitlines() if line.startswith("| marts/takings_daily |")]
    assert len(changed) == 1
    assert f"| {day} |" in changed[0]
    assert "Unchanged: marts/costs_daily" in said


@pytest.mark.slow
def test_what_a_killed_build_may_have_written_is_built_again(house: House) -> None:
    with store.writing(house.home), store.connection(house) as opened:
        store.begin(opened, {DELIVERIES: [MONTH]})
    built = reconcile(house).built
    assert [(each.name, each.partitions) for each in built] == [(DELIVERIES, 1)]
    assert reconcile(house).built == []


@pytest.mark.slow
def test_an_input_that_changed_while_dbt_ran_and_changed_back_is_read_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether dbt saw the one content or the other, nobody knows."""
    looks: list[Lake] = []

    def look(house: House) -> Lake:
        lake = read_lake(house)
        looks.append(lake)
        if len(looks) != 2:
            return lake
        deliveries = {**lake.versions["till/deliveries"], MONTH: "another"}
        return Lake({**lake.versions, "till/deliveries": deliveries}, lake.damaged)

    monkeypatch.setattr("personal_pipeline.warehouse.build.read_lake", look)
    build(house, {DELIVERIES: [MONTH]})
    assert ledger_of(house.home)[DELIVERIES][MONTH].inputs == {"till/deliveries": MOVED}
    work = reconcile(house)
    assert [(each.name, each.partitions, each.changed) for each in work.built] == [
        (DELIVERIES, 1, 0)
    ]
    assert reconcile(house).built == []


@pytest.mark.slow
def test_a_damaged_lake_file_stops_only_what_reads_it(house: House) -> None:
    lake = house.home.lake / "till" / "deliveries"
    file = max(lake.glob(f"*/{PART}"))
    file.chmod(0o600)
    file.write_bytes(b"no gzip")
    other = max((house.home.lake / "meter" / "readings").glob(f"*/{PART}"))
    other.unlink()

    assert read_lake(house).damaged.keys() == {"till/deliveries"}
    built = reconcile(house).built
    found = failures(built)
    assert found.keys() == {"till/deliveries"}
    assert str(file) in found["till/deliveries"]
    assert "doctor --repair" in found["till/deliveries"]
    assert "staging/stg_meter__readings" in {each.name for each in built}


@pytest.mark.parametrize(("grain", "step"), [(Grain.DAY, 2), (Grain.DAY, 1), (Grain.MONTH, 3)])
def test_windows_cover_what_is_asked_and_nothing_else(grain: Grain, step: int) -> None:
    every = [*partitions_between(grain, UNTIL.replace(year=2015, month=1, day=1), UNTIL)]
    found = windows(Table("table", grain), every[::step])
    covered = [
        partition
        for partition in every
        for first, after in [[each.isoformat() for each in span(grain, partition)]]
        if any(begin <= first and after <= stop for begin, stop in found)
    ]
    assert covered == every[::step]


def test_neighbours_share_a_window() -> None:
    table = Table("table", Grain.DAY)
    asked = ["2025-01-01", "2025-01-02", "2025-02-01"]
    assert windows(table, asked) == [("2025-01-01", "2025-01-03"), ("2025-02-01", "2025-02-02")]
    assert windows(table, []) == []


@pytest.mark.slow
def test_rows_that_a_staging_table_leaves_out_are_said(house: House, sql: Path) -> None:
    def told() -> StreamState:
        build_tables(house)
        return next(line for line in board_of(house) if line.stream == "sales")

    well = told()
    assert (well.left_out, well.state) == (0, State.FRESH)
    assert left_out(house.home) == {}, "what is meant to differ is not told"

    name = "stg_till__sales"
    change(sql, name, "from records", "from records where hash(record_key) % 10 > 0")
    some = told()
    assert well.rows
    assert 0 < some.left_out < well.rows / 4
    assert some.state is State.FRESH
    assert f"{some.left_out:,} of its {well.rows:,} rows are in no table: {name}" in some.detail
    check = checked(some, (), ())
    assert not check.passed
    assert check.only_warns
    assert str(some.left_out) in str(check.description)

    change(sql, name, "> 0", "= 0")
    most = told()
    assert (most.state, most.cause) == (State.FAILING, FORMAT_CHANGED)
    assert most.left_out == well.rows - some.left_out

    change(sql, name, "where hash(record_key) % 10 = 0", "")
    assert told() == well
