"""Dagster's stock SQLite event log against ours: two years of daily partitions of four assets.

Both storages get the same run: a materialization with a data version for every partition, and the
planned events that Dagster writes for a range. Decision: docs/decisions/0006-batched-event-log.md.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import dagster as dg

from benchmarks.measured import Measured, seconds_of, show
from personal_pipeline.graph.contents import materialization
from personal_pipeline.graph.event_log import batched
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home

DAYS = dg.DailyPartitionsDefinition("2024-11-21", end_date="2026-11-22")
SPECS = [dg.AssetSpec(f"table_{number}", skippable=True) for number in range(4)]
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Batch: TypeAlias = Callable[[dg.DagsterInstance], AbstractContextManager[None]]


def one_by_one(_: dg.DagsterInstance) -> AbstractContextManager[None]:
    """Store every event when it is logged, without batches."""
    return nullcontext()


def times(instance: dg.DagsterInstance, batch: Batch) -> tuple[float, float]:
    """Seconds for logging the materializations, and for the rest of a run over the whole range."""
    logging: list[float] = []

    @dg.multi_asset(
        specs=SPECS, partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run()
    )
    def build(context: dg.AssetExecutionContext):  # type: ignore[no-untyped-def]
        started = time.perf_counter()
        with batch(context.instance):
            for spec in SPECS:
                for day in context.partition_keys:
                    metadata: dict[str, dg.MetadataValue] = {
                        "dagster/partition_row_count": dg.MetadataValue.int(3)
                    }
                    context.log_event(materialization(spec.key, day, f"digest of {day}", metadata))
        logging.append(time.perf_counter() - started)
        return
        yield

    everything = dg.define_asset_job("everything", dg.AssetSelection.assets(build))
    job = dg.Definitions(assets=[build], jobs=[everything]).resolve_job_def("everything")
    days = DAYS.get_partition_keys()
    whole = seconds_of(
        lambda: job.execute_in_process(
            instance=instance,
            run_config=QUIET,
            tags={
                "dagster/asset_partition_range_start": days[0],
                "dagster/asset_partition_range_end": days[-1],
            },
        )
    )
    return logging[0], whole - logging[0]


def main() -> None:
    """Run both storages in separate folders."""
    number = len(DAYS.get_partition_keys()) * len(SPECS)
    with TemporaryDirectory() as folder:
        (Path(folder) / "stock").mkdir()
        with dg.DagsterInstance.local_temp(str(Path(folder) / "stock")) as instance:
            stock, stock_planned = times(instance, one_by_one)
        with instance_of(Home(Path(folder) / "kept")) as instance:
            kept, _ = times(instance, one_by_one)
        with instance_of(Home(Path(folder) / "batched")) as instance:
            ours, ours_planned = times(instance, batched)
    show(
        "Materializations, each with its data version",
        [
            Measured("Dagster's stock SQLite storage", stock, number),
            Measured("graph/event_log.py, connections kept, one by one", kept, number),
            Measured("graph/event_log.py, batched", ours, number),
        ],
    )
    show(
        "The rest of the same range run: planned events, start and end",
        [
            Measured("Dagster's stock SQLite storage", stock_planned, number),
            Measured("graph/event_log.py", ours_planned, number),
        ],
    )


if __name__ == "__main__":
    main()
