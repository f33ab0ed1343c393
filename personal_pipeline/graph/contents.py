"""Reporting to Dagster what every partition contains: its content digest as data version.

Level-triggered like the reconcile: reports the difference between the current state and what
Dagster knows, so that a run killed between its work and its events leaves no gap, and a partition
that was checked and came out equal costs no event. Dagster keeps every event for ever.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

import dagster as dg

from personal_pipeline.graph.event_log import batched
from personal_pipeline.house import House
from personal_pipeline.told import digest_of_partitions, recall, remember
from personal_pipeline.warehouse.tables import WHOLE

DATA_VERSION = "dagster/data_version"
DATA_VERSION_IS_OURS = "dagster/data_version_is_user_provided"
LOCK_WAIT_SECONDS = 600

Metadata = dict[str, dg.MetadataValue]


def materialization(
    key: dg.AssetKey, partition: str | None, digest: str, metadata: Metadata
) -> dg.AssetMaterialization:
    """An event for the current content of a partition. Metadata never contains row values."""
    return dg.AssetMaterialization(
        asset_key=key,
        partition=partition,
        metadata=metadata,
        tags={DATA_VERSION: digest, DATA_VERSION_IS_OURS: "true"},
    )


def log_contents(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    house: House,
    contents: Mapping[str, Mapping[str, str]],
    describe: Callable[[str, str], Metadata],
    asked: Mapping[str, Collection[str]] | None = None,
) -> None:
    """Log a materialization for each partition whose digest Dagster does not know, and for those in
    ``asked``. ``contents`` has the digests by table and partition."""
    with house.home.lock("contents", wait_seconds=LOCK_WAIT_SECONDS):
        told = recall(house.home)
        now = {name: digest_of_partitions(partitions) for name, partitions in contents.items()}
        with batched(context.instance):
            for name, partitions in contents.items():
                key = dg.AssetKey(name.split("/"))
                unchanged = told.contents.get(name) == now[name]
                known = partitions if unchanged else known_contents(context.instance, key)
                # the most recent last: the page of the asset shows it first
                for partition, digest in sorted(partitions.items()):
                    before = known.get(partition)
                    if before == digest and partition not in (asked or {}).get(name, ()):
                        continue
                    # few entries: they take up most of an event's space on disk
                    content = f"{(before or 'nothing')[:16]} → {digest[:16]}"
                    if before == digest:
                        content = f"{digest[:16]}, as before"
                    metadata = {
                        **describe(name, partition),
                        "content": dg.MetadataValue.text(content),
                    }
                    where = None if partition == WHOLE else partition
                    context.log_event(materialization(key, where, digest, metadata))
        remember(house.home, replace(told, contents={**told.contents, **now}))


def known_contents(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, str]:
    """The digest of each partition as last reported to Dagster."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(
        key, dg.DagsterEventType.ASSET_MATERIALIZATION, [DATA_VERSION]
    )
    known = {partition: each[DATA_VERSION] for partition, each in tags.items()}
    event = instance.get_latest_materialization_event(key)
    if event is not None and event.asset_materialization is not None and not known:
        known[WHOLE] = (event.asset_materialization.tags or {}).get(DATA_VERSION, "")
    return known
