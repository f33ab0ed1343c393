"""The raw assets: what is fetched from services, and what is taken from the inbox.

A multi-asset a source for what has an API, so that each source is a run of its own and a service
that stalls holds back nobody else; one multi-asset for everything that the inbox feeds.

Nothing is yielded: every asset is skippable, and the body logs one materialization a partition
with the digest of its content as data version. A range run then triggers only what differs.
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta

import dagster as dg
from pydantic import Field

from personal_pipeline.graph.event_log import batched
from personal_pipeline.graph.house import House
from personal_pipeline.graph.partitions import Partitions, asked_partitions
from personal_pipeline.ingest import fetch, inbox
from personal_pipeline.ingest.contract import ApiStream, DropStream, Source, Window
from personal_pipeline.ingest.fetch import Pulled
from personal_pipeline.ingest.lake import Written

OWNER = "team:owner"
DATA_VERSION = "dagster/data_version"
DATA_VERSION_IS_OURS = "dagster/data_version_is_user_provided"


ENVELOPE = dg.TableSchema(
    columns=[
        dg.TableColumn("key", "string", "What identifies the record when it arrives again."),
        dg.TableColumn("record", "json", "The record exactly as it was given."),
    ]
)
DROP_ENVELOPE = dg.TableSchema(
    columns=[
        *ENVELOPE.columns,
        dg.TableColumn("as_of", "timestamp", "When the service gave the file, ISO 8601 UTC."),
        dg.TableColumn("origin", "string", "SHA-256 of the file in archive/originals/."),
    ]
)


def asset_key(source: Source, stream: ApiStream | DropStream) -> dg.AssetKey:
    """The key of a raw asset: the source, then the stream; dbt gives its sources the same."""
    return dg.AssetKey([source.name, stream.name])


def materialization(
    key: dg.AssetKey,
    partition: str | None,
    digest: str,
    metadata: dict[str, dg.MetadataValue],
    tags: dict[str, str] | None = None,
) -> dg.AssetMaterialization:
    """An event that says: this partition now has this content. Metadata never holds row values."""
    return dg.AssetMaterialization(
        asset_key=key,
        partition=partition,
        metadata=metadata,
        tags={DATA_VERSION: digest, DATA_VERSION_IS_OURS: "true", **(tags or {})},
    )


def _spec(
    source: Source, stream: ApiStream | DropStream, partitions: Partitions, house: House
) -> dg.AssetSpec:
    fetched = isinstance(stream, ApiStream)
    return dg.AssetSpec(
        asset_key(source, stream),
        description=stream.description,
        group_name=source.name,
        kinds={"python", "json"},
        owners=[OWNER],
        tags={
            "route": "api" if fetched else "drop",
            "connected": _connected(house, source, stream),
        },
        code_version=stream.code_version,
        partitions_def=partitions.of(stream.grain),
        skippable=True,
        metadata={
            "source": source.title,
            "how to connect": dg.MetadataValue.md(_how(source, stream)),
            "dagster/uri": f"lake/{source.name}/{stream.name}",
            "dagster/column_schema": ENVELOPE if fetched else DROP_ENVELOPE,
        },
        freshness_policy=(
            dg.FreshnessPolicy.time_window(
                fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
            )
            if fetched and house.connected(source)
            else None
        ),
    )


def _connected(house: House, source: Source, stream: ApiStream | DropStream) -> str:
    if isinstance(stream, ApiStream):
        return "yes" if house.connected(source) else "no"
    return "by-hand"


def _how(source: Source, stream: ApiStream | DropStream) -> str:
    for drop in source.drops:
        if stream in drop.streams:
            return f"{drop.how_to}\n\nPut the file into `inbox/`."
    return source.connect


def _log_written(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    key: dg.AssetKey,
    written: Sequence[Written],
    house: House,
    *,
    also: Collection[date] = (),
) -> None:
    """Log the partitions whose content changed, and those of ``also``; not every partition that
    was looked at, because Dagster keeps each event for ever."""
    for each in written:
        if not each.changed and each.partition not in also:
            continue
        context.log_event(
            materialization(
                key,
                each.partition.isoformat(),
                each.version.digest,
                {
                    "dagster/partition_row_count": dg.MetadataValue.int(each.version.rows),
                    "rows new": dg.MetadataValue.int(each.new),
                    "rows changed": dg.MetadataValue.int(each.altered),
                    "rows vanished": dg.MetadataValue.int(each.vanished),
                    "data as of": dg.MetadataValue.timestamp(house.clock()),
                },
            )
        )


def api_assets(source: Source, partitions: Partitions, house: House) -> dg.AssetsDefinition:
    """The streams of one source that are fetched, in the order in which they stand there."""

    @dg.multi_asset(
        name=f"fetch_{source.name}",
        description=f"Fetches {source.title}: the days that are missing, then those still revised.",
        specs=[_spec(source, stream, partitions, house) for stream in source.api],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def fetch_source(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        if not house.connected(source):
            missing = ", ".join(n for n in source.credentials if not house.settings.is_set(n))
            raise dg.Failure(
                f"{source.title} is not connected: {missing} is not set. {source.connect}",
                allow_retries=False,
            )
        asked = asked_partitions(context)
        looks = house.looks.get(source.name)
        if looks is None:
            looks = fetch.pull_source(
                house.home,
                house.settings,
                source,
                {key.path[-1] for key in context.selected_asset_keys},
                clock=house.clock,
                beginning=house.beginning,
                window=_window_of(asked) if asked else None,
            )
        _record_looks(context, house, source, looks, {date.fromisoformat(d) for d in asked or ()})
        failures = dict.fromkeys(str(look.failure) for look in looks if look.failure)
        if failures:
            raise dg.Failure(" ".join(failures), allow_retries=False)
        return
        yield

    return fetch_source


def _window_of(asked: Sequence[str]) -> Window:
    return Window(
        date.fromisoformat(min(asked)), date.fromisoformat(max(asked)) + timedelta(days=1)
    )


def _record_looks(
    context: dg.AssetExecutionContext,
    house: House,
    source: Source,
    looks: Sequence[Pulled],
    asked: Collection[date],
) -> None:
    keys = {stream.name: asset_key(source, stream) for stream in source.api}
    with batched(context.instance):
        for look in looks:
            # the newest partition is always logged: "we looked, and nothing is new" is fresh
            newest = max((each.partition for each in look.written), default=None)
            also = {*asked, newest} if newest else asked
            _log_written(context, keys[look.stream], look.written, house, also=also)
            context.log.info(
                f"{source.name}.{look.stream}: {look.records} records, "
                f"{len(look.changed)} partitions changed, {look.unreadable} unreadable"
            )


class InboxConfig(dg.Config):
    """Which files to take; none named means everything that waits in the inbox."""

    files: list[str] = Field(default=[], description="Paths below inbox/")


def inbox_assets(
    sources: Sequence[Source], partitions: Partitions, house: House
) -> dg.AssetsDefinition:
    """Every stream that dropped files feed."""

    @dg.multi_asset(
        name="take_inbox",
        description="Takes the files in inbox/: recognised by content, archived, read, receipted.",
        specs=[
            _spec(source, stream, partitions, house)
            for source in sources
            for stream in source.drop_streams
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def take_inbox(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, config: InboxConfig, house: dg.ResourceParam[House]
    ):
        named = [house.home.inbox / name for name in config.files]
        files = [path for path in named if path.is_file()] if named else inbox.waiting(house.home)
        by_name = {source.name: source for source in sources}
        with batched(context.instance):
            for path in files:
                taken = inbox.take(house.home, sources, path, house.clock())
                house.outcome.receipts.append(taken.receipt)
                context.log.info(receipt_line(taken.receipt))
                for (source_name, stream_name), written in taken.written.items():
                    stream = next(
                        s for s in by_name[source_name].drop_streams if s.name == stream_name
                    )
                    _log_written(
                        context,
                        asset_key(by_name[source_name], stream),
                        written,
                        house,
                        also={max(each.partition for each in written)} if written else (),
                    )
        return
        yield

    return take_inbox


def receipt_line(receipt: inbox.Receipt) -> str:
    """A receipt in one line, for the log of the run."""
    if receipt.problem:
        return f"{receipt.file}: set aside. {receipt.problem}"
    counts = ", ".join(
        f"{each.stream} {each.new} new {each.altered} changed {each.vanished} vanished "
        f"{each.unchanged} unchanged"
        for each in receipt.streams
    )
    kind = f"{receipt.source} {receipt.drop}"
    return f"{receipt.file}: {kind}; {counts}; {receipt.unreadable} unreadable"
