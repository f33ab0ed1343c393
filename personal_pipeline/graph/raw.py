"""The raw assets: what is fetched from services, and what is ingested from the inbox.

One multi-asset per source with an API, so that each source has its own run and a stalled service
holds back no other; one multi-asset for everything that the inbox feeds.

Nothing is yielded: every asset is skippable, and the body logs one materialization per partition
with the digest of its content as data version. A range run then triggers only what differs.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
from pydantic import Field

from personal_pipeline.freshness import (
    FETCH_DUE_AFTER,
    FETCH_LATE_AFTER,
    GRACE,
    State,
    judge_drop,
)
from personal_pipeline.graph.building import bring_up_to_date, build_and_tell
from personal_pipeline.graph.partitions import Partitions, asked_partitions
from personal_pipeline.graph.telling import (
    raise_failures,
    tell_fetched,
    tell_ingested,
)
from personal_pipeline.house import House
from personal_pipeline.ingest.arrivals import Exports, exports_of
from personal_pipeline.ingest.contract import ApiStream, DropStream, Source, Window
from personal_pipeline.ingest.names import NotInside, inside
from personal_pipeline.passes import fetch_source, ingest_inbox
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse.lake import read_lake
from personal_pipeline.warehouse.tables import span

OWNER = "team:owner"

FETCHED, DROPPED = "1_fetched", "2_dropped_by_hand"
"""Groups, numbered as the data flows: the UI sorts them by name. ``translation`` has those of the
tables."""

DAILY = dg.FreshnessPolicy.time_window(fail_window=FETCH_LATE_AFTER, warn_window=FETCH_DUE_AFTER)
"""Of everything that is looked at each morning: fetched streams, tables, the report."""

ENVELOPE = dg.TableSchema(
    columns=[
        dg.TableColumn("key", "string", "What identifies the record when it arrives again."),
        dg.TableColumn("record", "json", "The record exactly as received."),
    ]
)
DROP_ENVELOPE = dg.TableSchema(
    columns=[
        *ENVELOPE.columns,
        dg.TableColumn("as_of", "timestamp", "When the service produced the file, ISO 8601 UTC."),
        dg.TableColumn("origin", "string", "SHA-256 of the file in archive/originals/."),
    ]
)


def asset_key(source: Source, stream: ApiStream | DropStream) -> dg.AssetKey:
    """The key of a raw asset: the source, then the stream; dbt uses the same for its sources."""
    return dg.AssetKey([source.name, stream.name])


def _spec(
    source: Source,
    stream: ApiStream | DropStream,
    partitions: Partitions,
    house: House,
    exports: Mapping[tuple[str, str], Exports],
) -> dg.AssetSpec:
    fetched = isinstance(stream, ApiStream)
    return dg.AssetSpec(
        asset_key(source, stream),
        description=stream.description,
        group_name=FETCHED if fetched else DROPPED,
        kinds={"python", "json"},
        owners=[OWNER],
        tags={
            "source": source.name,
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
        freshness_policy=_freshness(house, source, stream, exports),
    )


def _freshness(
    house: House,
    source: Source,
    stream: ApiStream | DropStream,
    exports: Mapping[tuple[str, str], Exports],
) -> dg.FreshnessPolicy | None:
    """What Dagster itself expects of a stream; None where nothing is expected, or only by the
    rhythm of its files, which ``personal_pipeline.freshness`` judges."""
    if isinstance(stream, ApiStream):
        return DAILY if house.connected(source) else None
    drop = next(each for each in source.drops if stream in each.streams)
    if drop.monthly_on_day is None or source.name in house.home.resting():
        return None
    came = exports.get((source.name, drop.name), Exports())
    return export_policy(drop.monthly_on_day, came, house.clock(), house.settings.timezone)


def export_policy(
    due: int, came: Exports, now: datetime, timezone: str
) -> dg.FreshnessPolicy | None:
    """The policy of an export that is due on a day of each month. None if what ``came`` would
    satisfy it and is late all the same: it came in time and was made before its month ended, which
    Dagster cannot know. Then only our verdict says something."""
    zone = ZoneInfo(timezone)
    days = due + GRACE.days
    today = now.astimezone(zone).date()
    deadline = today if today.day > days else today.replace(day=1) - timedelta(days=1)
    # an export satisfies once the month before is over, here or in UTC
    begins = datetime(deadline.year, deadline.month, 1, tzinfo=zone)
    reach = timedelta(days=days) + max(-(begins.utcoffset() or timedelta()), timedelta())
    late = judge_drop(came.arrivals, now, monthly_on_day=due, zone=zone).state is State.LATE
    satisfied = begins + timedelta(days=days) - reach
    if late and came.received_at and came.received_at >= satisfied:
        return None
    return dg.FreshnessPolicy.cron(
        deadline_cron=f"0 0 {days + 1} * *", lower_bound_delta=reach, timezone=timezone
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


def api_assets(source: Source, partitions: Partitions, house: House) -> dg.AssetsDefinition:
    """The fetched streams of one source, in their declared order."""

    @dg.multi_asset(
        name=f"fetch_{source.name}",
        description=(
            f"Fetches {source.title}: missing days first, then days that the service may still "
            "revise."
        ),
        specs=[_spec(source, stream, partitions, house, {}) for stream in source.api],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @told_without_values
    def fetch(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        streams = {key.path[-1] for key in context.selected_asset_keys}
        asked = asked_partitions(context)
        # the streams of a partitioned run share one grain
        grain = next(stream.grain for stream in source.api if stream.name in streams)
        window = Window(span(grain, min(asked))[0], span(grain, max(asked))[1]) if asked else None
        _fetch(context, house, source, streams, window, asked or ())
        return
        yield

    return fetch


class FetchConfig(dg.Config):
    """Which days to fetch again; without them, those that are due."""

    first_day: str | None = Field(default=None, description="The first UTC day, as 2026-11-01.")
    last_day: str | None = Field(default=None, description="The last UTC day, as 2026-11-30.")


def fetch_job(source: Source) -> dg.JobDefinition:
    """Fetches all streams of a source. A job with an op: a job of assets has one grain, but the
    streams of a source may have two."""

    @dg.op(name=f"fetch_all_of_{source.name}")
    @told_without_values
    def fetch_all(
        context: dg.OpExecutionContext, config: FetchConfig, house: dg.ResourceParam[House]
    ) -> None:
        window = None
        if config.first_day and config.last_day:
            first, last = map(date.fromisoformat, (config.first_day, config.last_day))
            window = Window(first, last + timedelta(days=1))
        _fetch(context, house, source, {stream.name for stream in source.api}, window)

    @dg.job(
        name=f"fetch_{source.name}_job",
        description=(
            f"Fetches {source.title}: missing days first, then days that the service may still "
            "revise."
        ),
    )
    def job() -> None:
        fetch_all()

    return job


def _fetch(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    house: House,
    source: Source,
    streams: Collection[str],
    window: Window | None,
    asked: Collection[str] = (),
) -> None:
    """Fetch streams of a source, and then report the content of the lake to Dagster; ``asked`` are
    partitions to report in any case."""
    if reason := house.why_not_fetched(source):
        raise dg.Failure(reason, allow_retries=False)
    bring_up_to_date(context, house)
    fetched = fetch_source(house, source, streams, window=window)
    tell_fetched(context, house, read_lake(house, [source]), fetched, asked)
    raise_failures(fetched.failures)


class InboxConfig(dg.Config):
    """What to ingest; empty means everything in the inbox."""

    files: list[str] = Field(
        default=[],
        description="Names of files and folders in inbox/; other paths are refused.",
    )
    then_build: bool = Field(
        default=False,
        description="Also build the tables that depend on them, and the report, in the same run.",
    )


def inbox_assets(
    sources: Sequence[Source], partitions: Partitions, house: House
) -> dg.AssetsDefinition:
    """Every stream that is fed by dropped files."""
    # reads every receipt: once
    exports = exports_of(house.home)

    @dg.multi_asset(
        name="ingest_inbox",
        description=(
            "Ingests the files in inbox/: recognizes them by content, archives them, parses them "
            "and writes receipts."
        ),
        specs=[
            _spec(source, stream, partitions, house, exports)
            for source in sources
            for stream in source.drop_streams
        ],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @told_without_values
    def ingest(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, config: InboxConfig, house: dg.ResourceParam[House]
    ):
        try:
            for name in config.files:
                inside(house.home.inbox, name)
        except NotInside as error:
            raise dg.Failure(
                f"{error} Expected names in inbox/; nothing was ingested.",
                allow_retries=False,
            ) from None
        bring_up_to_date(context, house)
        ingested = ingest_inbox(house, set(config.files) or None, publish=not config.then_build)
        tell_ingested(context, house, read_lake(house), ingested)
        failures = ingested.failures
        if config.then_build:
            failures += build_and_tell(context, house)
        raise_failures(failures)
        return
        yield

    return ingest


def inbox_job(inbox: dg.AssetsDefinition) -> Any:
    """The job that ingests the files in the inbox."""
    return dg.define_asset_job("ingest_inbox_job", dg.AssetSelection.assets(inbox).without_checks())
