"""What our event log stores must be what Dagster's own stores; only faster."""

import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from personal_pipeline.graph import event_log
from personal_pipeline.graph.event_log import BatchingSqliteEventLogStorage, batched
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home

DAYS = dg.DailyPartitionsDefinition("2026-11-01", end_date="2026-11-11")
KEYS = [dg.AssetKey(["raw", name]) for name in ("charges", "refunds")]


@dg.multi_asset(
    specs=[dg.AssetSpec(key, skippable=True) for key in KEYS],
    partitions_def=DAYS,
    backfill_policy=dg.BackfillPolicy.single_run(),
)
def load(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
    with batched(context.instance):
        for key in KEYS:
            for day in DAYS.get_partition_keys():
                context.log_event(
                    dg.AssetMaterialization(
                        key,
                        partition=day,
                        metadata={"rows": 3},
                        tags={
                            "dagster/data_version": f"{key.path[-1]}-{day}",
                            "dagster/data_version_is_user_provided": "true",
                        },
                    )
                )
    return
    yield


DEFINITIONS = dg.Definitions(
    assets=[load], jobs=[dg.define_asset_job("load_job", dg.AssetSelection.all())]
)


def run(instance: dg.DagsterInstance) -> None:
    job = DEFINITIONS.resolve_job_def("load_job")
    tags = {
        "dagster/asset_partition_range_start": "2026-11-01",
        "dagster/asset_partition_range_end": "2026-11-10",
    }
    assert job.execute_in_process(instance=instance, tags=tags).success


def stored(instance: dg.DagsterInstance) -> object:
    """Everything that the UI and the automation read of the assets."""
    return [
        (
            key.to_user_string(),
            sorted(
                (record.partition_key, dict(record.asset_materialization.tags or {}))
                for record in instance.fetch_materializations(key, limit=100).records
                if record.asset_materialization is not None
            ),
            sorted(instance.get_materialized_partitions(key)),
            getattr(instance.get_latest_materialization_event(key), "asset_key", None),
            instance.get_asset_keys(),
        )
        for key in KEYS
    ]


@pytest.fixture
def stock(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    folder = tmp_path / "stock"
    folder.mkdir()
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        yield instance


def test_it_stores_what_the_stock_storage_stores(home: Home, stock: dg.DagsterInstance) -> None:
    run(stock)
    with instance_of(home) as ours:
        assert isinstance(ours.event_log_storage, BatchingSqliteEventLogStorage)
        run(ours)
        assert stored(ours) == stored(stock)
    # and another process, with connections of its own, reads the same
    with instance_of(home) as again:
        assert stored(again) == stored(stock)


def test_a_run_shows_the_last_partitions_of_an_asset_and_the_asset_all_of_them(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_log, "KEPT_IN_RUN", 2)
    with instance_of(home) as ours:
        run(ours)
        (record,) = ours.get_run_records()
        shown = [
            (event.asset_key, event.step_materialization_data.materialization.partition)
            for entry in ours.all_logs(record.dagster_run.run_id)
            if (event := entry.dagster_event) and event.is_step_materialization
        ]
        assert shown == [(key, day) for key in KEYS for day in ("2026-11-09", "2026-11-10")]
        for key in KEYS:
            found = ours.fetch_materializations(key, limit=100).records
            assert len(found) == 10
            latest = ours.get_latest_materialization_event(key)
            assert latest is not None
            assert (latest.run_id, latest.step_key) == (record.dagster_run.run_id, "load")
            assert latest.asset_materialization is not None
            assert latest.asset_materialization.metadata["rows"] == dg.MetadataValue.int(3)


def test_events_of_a_failed_batch_are_kept(home: Home) -> None:
    @dg.op
    def fails(context: dg.OpExecutionContext) -> None:
        with batched(context.instance):
            context.log_event(dg.AssetMaterialization(KEYS[0], partition="2026-11-01"))
            raise ValueError("after the first")

    @dg.job
    def failing() -> None:
        fails()

    with instance_of(home) as ours:
        assert not failing.execute_in_process(instance=ours, raise_on_error=False).success
        assert ours.get_materialized_partitions(KEYS[0]) == {"2026-11-01"}


def test_the_instance_keeps_to_its_home_and_sends_nothing(home: Home) -> None:
    with instance_of(home) as ours:
        assert Path(ours.root_directory) == home.dagster
        assert not ours.telemetry_enabled
        assert os.environ["DAGSTER_HOME"] == str(home.dagster)
