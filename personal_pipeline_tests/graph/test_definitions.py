"""The graph as Dagster sees it: what every asset says of itself, who reads whom, and what runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from personal_pipeline import listed_outputs
from personal_pipeline.graph import derived, translation
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.derived import said_by_dbt
from personal_pipeline.graph.telling import BOARD
from personal_pipeline.graph.translation import translate
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain, Source
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse.build import all_tables
from personal_pipeline.warehouse.dbt_project import FOLDER, load_manifest, manifest_path
from personal_pipeline.warehouse.tables import Input, Reads, Table, Tables, read_partitions
from personal_pipeline_tests.invented_house import files, lay_project
from personal_pipeline_tests.kiosk.house import Kiosk

NOW = datetime(2024, 5, 6, 6, 0, tzinfo=UTC)
START = date(2023, 11, 1)
"""So that a change of the year and the 29th of February lie between."""

FETCHED = [source for source in SOURCES if source.api]
REPORT = dg.AssetKey(["outputs", "daily_report"])
OUTPUTS = {each.asset for each in listed_outputs.OUTPUTS} | {BOARD.to_user_string()}
OURS = "source"
"""The tag that only we give."""
CONNECTED = "stripe"
"""The one source that this person has connected."""


@pytest.fixture(scope="module")
def house(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> House:
    """A house with an empty lake, of which one source is connected."""
    home = lay_project(parsed, tmp_path_factory.mktemp("graph") / "home")
    settings = Settings(PERSONAL_PIPELINE_START=START.isoformat(), STRIPE_API_KEY="sk_test_graph")
    return House(settings, home, SOURCES, clock=lambda: NOW)


@pytest.fixture(scope="module")
def definitions(house: House) -> dg.Definitions:
    return definitions_of(house)


@pytest.fixture(scope="module")
def tables(house: House) -> Tables:
    return all_tables(house)


@pytest.fixture(scope="module")
def specs(definitions: dg.Definitions) -> dict[str, dg.AssetSpec]:
    """What each asset says of itself, by its name."""
    return {spec.key.to_user_string(): spec for spec in definitions.resolve_all_asset_specs()}


@pytest.fixture(scope="module")
def graph(definitions: dg.Definitions) -> Any:
    return definitions.resolve_asset_graph()


def key_of(name: str) -> dg.AssetKey:
    return dg.AssetKey(name.split("/"))


def named(keys: Any) -> set[str]:
    return {key.to_user_string() for key in keys}


# -------------------------------------------------------------------------- what each asset says


def test_every_table_of_the_house_is_an_asset_and_nothing_else_is(
    specs: dict[str, dg.AssetSpec], tables: Tables
) -> None:
    assert specs.keys() == {*tables, *OUTPUTS}


def test_every_asset_says_what_it_is_and_whose(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        said = (spec.group_name, spec.owners, spec.kinds, spec.description)
        assert all(said), f"{name}: {said}"
        assert spec.group_name != "default", name
        assert len((spec.description or "").split()) > 5, f"{name}: {spec.description}"


def test_groups_are_numbered_as_the_data_flows_and_do_not_grow_with_the_sources(
    specs: dict[str, dg.AssetSpec], graph: Any
) -> None:
    groups: dict[str, set[str]] = {}
    for name, spec in specs.items():
        stage = name.partition("/")[0]
        groups.setdefault(spec.tags.get("route", stage), set()).add(spec.group_name or "")
    assert groups == {
        "api": {"1_fetched"},
        "drop": {"2_dropped_by_hand"},
        "staging": {"3_typed_rows"},
        "marts": {f"4_{path.name}" for path in (FOLDER / "models" / "marts").iterdir()},
        "pipeline": {"5_pipeline"},
        "outputs": {"5_outputs"},
    }
    for name, spec in specs.items():
        for parent in graph.get(spec.key).parent_keys:
            assert str(specs[parent.to_user_string()].group_name)[0] <= str(spec.group_name)[0], (
                name
            )


def test_all_that_a_source_brings_is_found_by_its_tag(specs: dict[str, dg.AssetSpec]) -> None:
    for source in SOURCES:
        tagged = {name for name, spec in specs.items() if spec.tags.get("source") == source.name}
        staged = {name for name in specs if name.startswith(f"staging/stg_{source.name}__")}
        assert tagged == {f"{source.name}/{stream.name}" for stream in source.streams} | staged


def test_every_table_has_a_column_schema(specs: dict[str, dg.AssetSpec]) -> None:
    for name, spec in specs.items():
        if name in OUTPUTS:
            continue
        schema = spec.metadata.get("dagster/column_schema")
        assert isinstance(schema, dg.TableSchema), name
        assert schema.columns, name
        for column in schema.columns:
            assert column.type, f"{name}.{column.name}"
            assert column.description, f"{name}.{column.name}"


def test_a_model_that_declares_no_columns_is_an_asset_all_the_same(
    house: House,
) -> None:
    manifest = load_manifest(house.home)
    node = next(n for n in manifest["nodes"].values() if n["name"] == "revenue_daily")
    node["columns"] = {}
    said = translate(manifest)["models"]
    assert said["revenue_daily"]["columns"] == []
    assert said["revenue_monthly"]["columns"]


def test_dagster_dbt_is_asked_again_when_the_translation_is_another(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []

    def noting(manifest: Mapping[str, Any]) -> dict[str, Any]:
        asked.append(manifest)
        return translate(manifest)

    monkeypatch.setattr(translation, "translate", noting)
    first = said_by_dbt(house)
    known = len(asked)
    assert said_by_dbt(house) == first
    assert len(asked) == known
    (tmp_path / "translation.py").write_text("# another")
    monkeypatch.setattr(derived, "TRANSLATION", tmp_path / "translation.py")
    assert said_by_dbt(house) == first
    assert len(asked) == known + 1


def test_assets_say_what_dagster_dbt_would_make_them_say(
    house: House, definitions: dg.Definitions
) -> None:
    import dagster_dbt  # which imports dbt

    @dagster_dbt.dbt_assets(manifest=manifest_path(house.home))
    def stock():  # type: ignore[no-untyped-def]
        yield

    def said(assets: Iterable[Any]) -> dict[str, Any]:
        return {
            spec.key.to_user_string(): (
                {each.asset_key for each in spec.deps},
                {name for name in spec.tags if "/" not in name} - {OURS},
                spec.metadata["dagster/table_name"],
                spec.metadata["dagster/column_schema"],
                str(spec.description).split("\n\n####")[0],
            )
            for each in assets
            for spec in each.specs
        }

    def checks(assets: Iterable[Any]) -> dict[str, Any]:
        return {
            spec.key.to_user_string(): (spec.blocking, {d.asset_key for d in spec.additional_deps})
            for each in assets
            for spec in each.check_specs
        }

    ours = [
        each
        for each in definitions.assets or ()
        if isinstance(each, dg.AssetsDefinition) and each.op.name.startswith("build_")
    ]
    assert said(ours) == said([stock])
    assert checks(ours) == checks([stock])


def test_every_table_has_a_version_of_its_code(specs: dict[str, dg.AssetSpec]) -> None:
    without = [name for name, spec in specs.items() if not spec.code_version]
    assert set(without) <= OUTPUTS


# ------------------------------------------------------------------------------------- lineage


def test_lineage_is_unbroken_from_every_source_to_the_report(graph: Any, tables: Tables) -> None:
    raw = {name for name, table in tables.items() if table.model is None}
    # the board of the sources is no table: it reads what is remembered of every look
    assert named(graph.root_materializable_asset_keys) == {*raw, BOARD.to_user_string()}
    # made when somebody asks for it
    assert named(graph.unexecutable_asset_keys) == {listed_outputs.DAY_PAGES.asset}
    reported = named(graph.get_ancestor_asset_keys(REPORT))
    assert {name.partition("/")[0] for name in reported & raw} == {s.name for s in SOURCES}
    assert {name for name in tables if name.startswith("marts/")} <= reported
    # what no mart reads is in staging, or tells of the work itself: for queries
    ends = {name for name in tables if not graph.get_children(graph.get(key_of(name)))}
    assert {name.partition("/")[0] for name in ends} <= {"staging", "pipeline"}


def test_edges_are_those_that_the_reconcile_follows(graph: Any, tables: Tables) -> None:
    for name, table in tables.items():
        parents = graph.get(key_of(name)).parent_keys
        assert named(parents) == {edge.table for edge in table.inputs}, name


def test_partitions_are_those_of_the_grain(graph: Any, tables: Tables) -> None:
    kinds: dict[Grain, type] = {
        Grain.DAY: dg.DailyPartitionsDefinition,
        Grain.MONTH: dg.MonthlyPartitionsDefinition,
        Grain.WHOLE: type(None),
    }
    for name, table in tables.items():
        found = graph.get(key_of(name)).partitions_def
        assert isinstance(found, kinds[table.grain]), name


def sampled(grain: Grain) -> list[str]:
    """Partitions at the borders: of the house, of months, of years and of February."""
    months = [date(2023, 11, 1), date(2023, 12, 1), date(2024, 1, 1), date(2024, 3, 1)]
    if grain is Grain.MONTH:
        return [each.isoformat() for each in [*months, NOW.date().replace(day=1)]]
    day = timedelta(days=1)
    borders = {*months, *(each - day for each in months), date(2024, 2, 15), NOW.date()}
    return sorted(each.isoformat() for each in borders if each >= START)


def partitioned_edges(graph: Any, tables: Tables) -> Iterator[tuple[Table, Input, Any, Any]]:
    """A table, what it reads, and the assets of both; those without partitions are left out."""
    for table in tables.values():
        for edge in table.inputs:
            if Grain.WHOLE not in (table.grain, tables[edge.table].grain):
                yield table, edge, graph.get(key_of(table.name)), graph.get(key_of(edge.table))


def test_dagster_maps_each_edge_as_the_reconcile_reads_it(graph: Any, tables: Tables) -> None:
    seen = set()
    for table, edge, child, parent in partitioned_edges(graph, tables):
        upstream = tables[edge.table]
        seen.add((edge.reads, upstream.grain, table.grain))
        existing = dict.fromkeys(parent.partitions_def.get_partition_keys(NOW))
        assert existing
        mapping = graph.get_partition_mapping(child.key, parent.key)
        for partition in sampled(table.grain):
            mapped = mapping.get_upstream_mapped_partitions_result_for_partitions(
                child.partitions_def.subset_with_partition_keys([partition]),
                child.partitions_def,
                parent.partitions_def,
                current_time=NOW,
            )
            expected = read_partitions(edge, upstream.grain, table.grain, partition, existing)
            found = set(mapped.partitions_subset.get_partition_keys())
            # what lies before the first partition or in the future does not exist
            assert found & existing.keys() == set(expected), (table.name, edge, partition)
    # every way in which a partitioned table reads another is among them
    assert {reads for reads, _, _ in seen} == set(Reads)
    assert {(up, down) for _, up, down in seen} == {
        (up, down) for up in (Grain.DAY, Grain.MONTH) for down in (Grain.DAY, Grain.MONTH)
    }


def test_dagster_passes_a_change_on_to_just_the_partitions_that_read_it(
    graph: Any, tables: Tables
) -> None:
    for table, edge, child, parent in partitioned_edges(graph, tables):
        upstream = tables[edge.table]
        existing = dict.fromkeys(parent.partitions_def.get_partition_keys(NOW))
        candidates = child.partitions_def.get_partition_keys(NOW)
        reads = {
            each: set(read_partitions(edge, upstream.grain, table.grain, each, existing))
            for each in candidates
        }
        mapping = graph.get_partition_mapping(child.key, parent.key)
        for partition in sampled(upstream.grain):
            reached = mapping.get_downstream_partitions_for_partitions(
                parent.partitions_def.subset_with_partition_keys([partition]),
                parent.partitions_def,
                child.partitions_def,
                current_time=NOW,
            )
            expected = {each for each in candidates if partition in reads[each]}
            assert set(reached.get_partition_keys()) == expected, (edge, table.name, partition)


# ----------------------------------------------------------------------------------- what runs


def test_only_connected_sources_are_scheduled(definitions: dg.Definitions) -> None:
    scheduled: dict[str, int] = {}
    for schedule in definitions.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        scheduled[schedule.job_name] = scheduled.get(schedule.job_name, 0) + 1
    for source in FETCHED:
        # each morning, and the month that ended once more
        expected = 2 if source.name == CONNECTED else 0
        assert scheduled.pop(f"fetch_{source.name}_job", 0) == expected, source.name
    assert scheduled.pop("build_what_is_stale") == 1


def test_sources_become_scheduled_when_they_are_connected(house: House) -> None:
    settings = house.settings.with_values({"KIT_API_KEY": "kit_test_graph"})
    more = definitions_of(House(settings, house.home, SOURCES, clock=house.clock))
    jobs = {
        each.job_name for each in more.schedules or () if isinstance(each, dg.ScheduleDefinition)
    }
    assert {"fetch_stripe_job", "fetch_kit_job"} <= jobs
    assert "fetch_medium_job" not in jobs


def test_no_month_is_asked_for_before_the_first(house: House) -> None:
    first = house.first_day()
    schedules = list(definitions_of(house).schedules or ())
    month = next(each for each in schedules if each.name == "stripe_month_on_its_day")
    assert isinstance(month, dg.ScheduleDefinition)

    def tick(day: date) -> dg.ScheduleExecutionData:
        at = datetime(day.year, day.month, day.day, 5, 30, tzinfo=UTC)
        return month.evaluate_tick(dg.build_schedule_context(scheduled_execution_time=at))

    early = tick(first.replace(day=2))
    assert early.run_requests == []
    assert f"begins on {first}" in str(early.skip_message)
    following = (first + timedelta(days=32)).replace(day=2)
    asked = tick(following).run_requests
    assert asked
    (config,) = asked[0].run_config["ops"].values()
    last = following.replace(day=1) - timedelta(days=1)
    assert config == {"config": {"first_day": f"{first}", "last_day": f"{last}"}}


def test_everything_that_should_run_runs_by_itself(definitions: dg.Definitions) -> None:
    sensors = list(definitions.sensors or ())
    schedules = list(definitions.schedules or ())
    assert {"inbox", "what_is_stale"} <= {each.name for each in sensors}
    for sensor in sensors:
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING, sensor.name
    for schedule in schedules:
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING, schedule.name


def test_schedules_are_in_the_zone_of_the_person(house: House) -> None:
    settings = house.settings.model_copy(update={"timezone": "Pacific/Auckland", "report_hour": 0})
    there = definitions_of(House(settings, house.home, SOURCES, clock=house.clock))
    cron = {}
    for schedule in there.schedules or ():
        assert isinstance(schedule, dg.ScheduleDefinition)
        assert schedule.execution_timezone == "Pacific/Auckland"
        cron[schedule.name] = schedule.cron_schedule
    assert cron["report_each_morning"] == "0 0 * * *"
    # an hour before the report is the evening before
    assert cron["stripe_each_morning"] == "0 23 * * *"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.mark.parametrize(
    "source", [each for each in FETCHED if each.name != CONNECTED], ids=lambda each: each.name
)
def test_a_source_without_credentials_is_there_and_says_what_to_do(
    definitions: dg.Definitions,
    specs: dict[str, dg.AssetSpec],
    instance: dg.DagsterInstance,
    house: House,
    source: Source,
) -> None:
    for stream in source.api:
        spec = specs[f"{source.name}/{stream.name}"]
        assert spec.tags["connected"] == "no"
        how = spec.metadata["how to connect"]
        assert isinstance(how, dg.MarkdownMetadataValue)
        assert how.md_str == source.connect
    before = files(house.home.lake, house.home.state)
    result = definitions.resolve_job_def(f"fetch_{source.name}_job").execute_in_process(
        instance=instance, raise_on_error=False
    )
    assert not result.success
    (failure,) = (e for e in result.all_events if e.event_type_value == "STEP_FAILURE")
    data: Any = failure.event_specific_data
    said = data.user_failure_data.description
    assert said.startswith(f"{source.title} is not connected: {source.credentials[0]} is not set.")
    assert said.endswith(source.connect)
    assert files(house.home.lake, house.home.state) == before


def test_the_source_that_is_connected_says_so(specs: dict[str, dg.AssetSpec]) -> None:
    connected = {n.partition("/")[0] for n, s in specs.items() if s.tags.get("connected") == "yes"}
    assert connected == {CONNECTED}


# ------------------------------------------------------------------------------- being imported

IMPORT = """
import sys
# at their own import dagster asks `file` about the interpreter, and urllib3 tries IPv6 on ::1
import dagster, urllib3

seen = []
NETWORK = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.gethostby", "socket.send")
PROCESS = ("subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.spawn", "os.system", "pty.")

def hook(event, arguments):
    if event.startswith((*NETWORK, *PROCESS)):
        seen.append(event)

sys.addaudithook(hook)
if "--try" in sys.argv:
    import subprocess
    subprocess.run([sys.executable, "-c", ""])
    print(*seen)
    sys.exit()
from personal_pipeline.definitions import defs
print(len(defs.resolve_asset_graph().get_all_asset_keys()), *seen)
if workspace := sys.argv[1:]:
    from importlib.metadata import entry_points
    (command,) = entry_points(group="console_scripts", name="dagster")
    sys.argv = ["dagster", "definitions", "validate", "--workspace", *workspace]
    command.load()()
"""
"""With a workspace: then `make validate`, to which everything is imported already."""

WORKSPACE = Path(__file__).parents[2] / "workspace.yaml"


def imported(home: Home, *arguments: str) -> str:
    """What a second process saw while it imported the definitions of that home, in the first line;
    then what Dagster said."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT, *arguments],
        env={**os.environ, "PERSONAL_PIPELINE_HOME": str(home.root)},
        cwd=home.root,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.slow
def test_importing_the_definitions_touches_nothing_and_dagster_can_load_them(
    house: House, tables: Tables
) -> None:
    home = house.home
    said_by_dbt(house)  # and the manifest: both are made once after each change of the SQL
    before = files(home.root)
    warehouses = [home.warehouse, home.published]
    # held by this process, they could not be opened by another, not even to be read
    held = [duckdb.connect(str(path)) for path in warehouses]
    try:
        seen, _, said = imported(home, str(WORKSPACE)).partition("\n")
    finally:
        for each in held:
            each.close()
        for path in warehouses:
            path.unlink()
    assert seen == str(len(tables) + len(OUTPUTS))
    assert "All code locations passed validation" in said
    assert files(home.root) == before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["manifest.json", "manifest.stamp", "project/models/marts"])
def test_what_was_made_of_the_sql_is_made_again_when_it_is_damaged(
    kiosk: Kiosk, copied_kiosk: Home, name: str
) -> None:
    before = json.loads(manifest_path(copied_kiosk).read_bytes())["nodes"].keys()
    path = copied_kiosk.dbt_target / name
    if path.is_dir():
        path = max(path.rglob("*.sql"))
        whole = path.read_text()
        path.write_text("select 1 as day")
        manifest_path(copied_kiosk)
        assert path.read_text() == whole
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(b"\xff{}" + bytes(40))
    assert json.loads(manifest_path(copied_kiosk).read_bytes())["nodes"].keys() == before
    assert path.is_file()


@pytest.mark.slow
def test_the_watch_over_an_import_sees_a_process(house: House) -> None:
    """Such as that of dbt; the test above says when one is started."""
    assert "subprocess.Popen" in imported(house.home, "--try")
