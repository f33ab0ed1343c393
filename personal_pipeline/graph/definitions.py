"""The whole graph of a house: assets, jobs, schedules and sensors."""

from __future__ import annotations

import dagster as dg

from personal_pipeline.graph import automation
from personal_pipeline.graph.alerting import alert_sensor, check_keys_of, failed_run_sensor
from personal_pipeline.graph.checks import (
    board_asset,
    checks_job,
    checks_schedule,
    files_check,
    stream_checks,
)
from personal_pipeline.graph.derived import derived_assets
from personal_pipeline.graph.partitions import first_day, partitions_from
from personal_pipeline.graph.raw import api_assets, inbox_assets, inbox_job
from personal_pipeline.graph.report_asset import morning_job, report_asset
from personal_pipeline.house import House
from personal_pipeline.warehouse.build import all_tables


def definitions_of(house: House) -> dg.Definitions:
    """Everything that Dagster loads.

    This touches no network and no database. It reads names of folders in the lake, to know from
    when on there are partitions, and dbt's manifest, which is parsed anew only if the SQL changed.
    """
    tables = all_tables(house)
    begins = first_day(house.home, house.settings, house.sources, house.today)
    partitions = partitions_from(begins)
    fetched = [source for source in house.sources if source.api]
    fetches = [api_assets(source, partitions, house) for source in fetched]
    taken = inbox_assets(house.sources, partitions, house)
    built = derived_assets(house, tables, partitions)
    report = report_asset(tables)
    board = board_asset()
    checks = [*stream_checks(house.sources), files_check(house.sources)]
    jobs = {
        source.name: dg.define_asset_job(
            f"fetch_{source.name}_job", dg.AssetSelection.assets(assets).without_checks()
        )
        for source, assets in zip(fetched, fetches, strict=True)
    }
    assets = [*fetches, taken, *built, report, board]
    connected = [source for source in fetched if house.connected(source)]
    # the checks of the streams judge all of them, in a job of their own
    taking = inbox_job(taken)
    check_job = checks_job(checks, board)
    return dg.Definitions(
        assets=assets,
        asset_checks=checks,
        jobs=[*jobs.values(), taking, check_job, morning_job],
        schedules=[
            *(automation.fetch_schedule(source, jobs[source.name], house) for source in connected),
            *(
                automation.month_schedule(source, jobs[source.name], house, begins)
                for source in connected
            ),
            automation.report_schedule(morning_job, house),
            checks_schedule(check_job, house),
        ],
        sensors=[
            automation.inbox_sensor(taking),
            automation.automation_sensor(dg.AssetSelection.assets(*built, report).without_checks()),
            alert_sensor(check_keys_of([*assets, *checks])),
            failed_run_sensor(),
        ],
        resources={"house": house},
        # one process a run: eight assets took 5 s in process and 66 s in processes of their own
        executor=dg.in_process_executor,
    )
