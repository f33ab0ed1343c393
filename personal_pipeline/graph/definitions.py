"""The whole graph of a house: assets, jobs, schedules and sensors."""

from __future__ import annotations

from dataclasses import replace

import dagster as dg
from dagster_duckdb import DuckDBResource

from personal_pipeline import duck
from personal_pipeline.graph import automation
from personal_pipeline.graph.alerting import alert_sensor, check_keys_of, failed_run_sensor
from personal_pipeline.graph.building import build_job, build_sensor
from personal_pipeline.graph.checks import checks_job, checks_schedule, files_check, stream_checks
from personal_pipeline.graph.derived import derived_assets
from personal_pipeline.graph.outputs import board_asset, output_asset
from personal_pipeline.graph.partitions import partitions_from
from personal_pipeline.graph.pruning import prune_job, prune_schedule
from personal_pipeline.graph.raw import api_assets, fetch_job, inbox_assets, inbox_job
from personal_pipeline.graph.recording import refresh_job
from personal_pipeline.house import House
from personal_pipeline.listed_outputs import outputs_of
from personal_pipeline.warehouse.build import all_tables


def definitions_of(house: House) -> dg.Definitions:
    """Everything that Dagster loads.

    Accesses neither network nor database. It reads folder names in the lake to find the first
    partition, and dbt's manifest, which is only parsed again if the SQL changed.
    """
    house = replace(
        house,
        warehouse=DuckDBResource(
            database=str(house.home.warehouse), connection_config=dict(duck.CONFIG)
        ),
        published=DuckDBResource(
            database=str(house.home.published), connection_config=dict(duck.READ_ONLY)
        ),
    )
    tables = all_tables(house)
    begins = house.first_day()
    partitions = partitions_from(begins)
    fetched = [source for source in house.sources if source.api]
    fetches = [api_assets(source, partitions, house) for source in fetched]
    inbox = inbox_assets(house.sources, partitions, house)
    built = derived_assets(house, tables, partitions)
    board = board_asset()
    checks = [*stream_checks(house.sources), files_check()]
    # the stream checks cover all streams, in a job of their own
    jobs = {source.name: fetch_job(source) for source in fetched}
    ingesting = inbox_job(inbox)
    checking = checks_job(checks, board)
    outputs = [output_asset(each, tables) for each in outputs_of(house)]
    assets = [*fetches, inbox, *built, *outputs, board]
    connected = [source for source in fetched if house.connected(source)]
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs.values(), ingesting, checking, build_job, refresh_job, prune_job],
        schedules=[
            *(automation.fetch_schedule(source, jobs[source.name], house) for source in connected),
            *(
                automation.month_schedule(source, jobs[source.name], house, begins)
                for source in connected
            ),
            automation.report_schedule(build_job, house),
            checks_schedule(checking, house),
            prune_schedule(house),
        ],
        sensors=[
            automation.inbox_sensor(ingesting, house),
            build_sensor([ingesting.name, *(job.name for job in jobs.values())], house),
            alert_sensor(check_keys_of([*assets, *checks]), house),
            failed_run_sensor(house),
        ],
        resources={"house": house, "warehouse": house.warehouse, "published": house.published},
        # one process per run: eight assets took 5 s in one process and 66 s in separate ones
        executor=dg.in_process_executor,
    )
