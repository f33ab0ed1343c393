"""The raw assets: what is fetched from services, and what is taken from the inbox.

A multi-asset a source for what has an API, so that each source is a run of its own and a service
that stalls holds back nobody else; one multi-asset for everything that the inbox feeds.

Nothing is yielded: every asset is skippable, and the body logs one materialization a partition
with the digest of its content as data version. A range run then triggers only what differs.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, timedelta
from itertools import islice
from typing import Any

import dagster as dg
from pydantic import Field

from personal_pipeline.freshness import LOOK_DUE_AFTER, LOOK_LATE_AFTER
from personal_pipeline.graph.contents import Metadata, log_contents
from personal_pipeline.graph.partitions import Partitions, asked_partitions
from personal_pipeline.house import House
from personal_pipeline.ingest import adding, fetch, inbox
from personal_pipeline.ingest.again import read_outdated_again
from personal_pipeline.ingest.contract import ApiStream, DropStream, Source, Window
from personal_pipeline.ingest.http import NEEDS_A_PERSON
from personal_pipeline.ingest.lake import DamagedPartition, Written, lake_of
from personal_pipeline.ingest.names import NotInside, inside
from personal_pipeline.ingest.opening import complete_sidecars, opened
from personal_pipeline.ingest.unfinished import Left
from personal_pipeline.shown import shown
from personal_pipeline.troubles import told_without_values
from personal_pipeline.warehouse.mending import mend_dropped
from personal_pipeline.warehouse.store import publish_receipts

OWNER = "team:owner"

LINES_A_MESSAGE = 200
RECEIPTS_TOLD = 200
"""So many of the newest receipts stand beside a partition; all of them are in pipeline.receipts."""


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
            dg.FreshnessPolicy.time_window(fail_window=LOOK_LATE_AFTER, warn_window=LOOK_DUE_AFTER)
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


def _log_streams(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    house: House,
    streams: Sequence[tuple[Source, ApiStream | DropStream]],
    written: Mapping[str, Sequence[Written]],
    asked: Mapping[str, Collection[str]],
    receipts: Sequence[inbox.Receipt] = (),
) -> None:
    """Tell Dagster what the lake holds of these streams; ``written`` is what this run did to it,
    and ``receipts`` are those of the files that it took.

    The newest partition that was written is told in any case: "we looked, and nothing is new" is
    what makes a source fresh.
    """
    contents: dict[str, dict[str, str]] = {}
    rows: dict[tuple[str, str], int] = {}
    done = {(name, each.partition.isoformat()): each for name, w in written.items() for each in w}
    for source, stream in streams:
        name = f"{source.name}/{stream.name}"
        try:
            versions = lake_of(house.home, source.name, stream).versions()
        except DamagedPartition:
            continue  # the board and the reconcile say so, and what to do
        contents[name] = {each.isoformat(): version.digest for each, version in versions.items()}
        rows |= {(name, each.isoformat()): version.rows for each, version in versions.items()}

    def describe(name: str, partition: str) -> Metadata:
        metadata: Metadata = {
            "dagster/partition_row_count": dg.MetadataValue.int(rows[name, partition])
        }
        if each := done.get((name, partition)):
            metadata["rows new"] = dg.MetadataValue.int(each.new)
            metadata["rows changed"] = dg.MetadataValue.int(each.altered)
            metadata["rows vanished"] = dg.MetadataValue.int(each.vanished)
        if partition == newest.get(name) and (rows_of := _receipts_of(name, receipts)):
            metadata["receipts"] = dg.MetadataValue.table(rows_of)
        return metadata

    newest = {
        name: max(each.partition for each in partitions).isoformat()
        for name, partitions in written.items()
        if partitions
    }
    also = {name: set(partitions) for name, partitions in asked.items()}
    for name, partition in newest.items():
        also.setdefault(name, set()).add(partition)
    log_contents(context, house, contents, describe, also)


def api_assets(source: Source, partitions: Partitions, house: House) -> dg.AssetsDefinition:
    """The streams of one source that are fetched, in the order in which they stand there."""

    @dg.multi_asset(
        name=f"fetch_{source.name}",
        description=f"Fetches {source.title}: the days that are missing, then those still revised.",
        specs=[_spec(source, stream, partitions, house) for stream in source.api],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    @told_without_values
    def fetch_source(context: dg.AssetExecutionContext, house: dg.ResourceParam[House]):  # type: ignore[no-untyped-def]
        if not house.connected(source):
            missing = ", ".join(n for n in source.credentials if not house.settings.is_set(n))
            raise dg.Failure(
                f"{source.title} is not connected: {missing} is not set. {source.connect}",
                allow_retries=False,
            )
        asked = asked_partitions(context)
        looks = house.looks.get(source.name)
        if source.name in house.broken:
            raise house.broken[source.name]
        if looks is None:
            looks = fetch.pull_source(
                house.home,
                house.settings,
                source,
                {key.path[-1] for key in context.selected_asset_keys},
                clock=house.clock,
                beginning=house.beginning,
                window=_window_of(asked) if asked else None,
                accept=source.name in house.accept,
            )
        written = {f"{source.name}/{look.stream}": look.written for look in looks}
        _log_streams(
            context,
            house,
            [(source, stream) for stream in source.api],
            written,
            dict.fromkeys(written, asked or ()),
        )
        for look in looks:
            context.log.info(
                f"{source.name}.{look.stream}: {look.records} records, "
                f"{len(look.changed)} partitions changed, {look.unreadable} unreadable"
            )
            for said in look.notes:
                context.log.warning(f"{source.name}.{look.stream}: {said}")
            # a key that is refused waits for the person, who is told once: no run needs to be red
            if look.failure and look.failure.failure in NEEDS_A_PERSON:
                context.log.warning(f"Action required. {look.failure}")
        failures = dict.fromkeys(
            str(look.failure)
            for look in looks
            if look.failure and look.failure.failure not in NEEDS_A_PERSON
        )
        if failures:
            raise dg.Failure(" ".join(failures), allow_retries=False)
        return
        yield

    return fetch_source


def _window_of(asked: Sequence[str]) -> Window:
    return Window(
        date.fromisoformat(min(asked)), date.fromisoformat(max(asked)) + timedelta(days=1)
    )


class InboxConfig(dg.Config):
    """What to take; nothing named means everything that waits in the inbox."""

    files: list[str] = Field(
        default=[],
        description="Names of files and folders inside inbox/; paths elsewhere are refused.",
    )


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
    @told_without_values
    def take_inbox(  # type: ignore[no-untyped-def]
        context: dg.AssetExecutionContext, config: InboxConfig, house: dg.ResourceParam[House]
    ):
        try:
            for name in config.files:
                inside(house.home.inbox, name)
        except NotInside as error:
            raise dg.Failure(
                f"{error} The files to take are names in inbox/; nothing was taken.",
                allow_retries=False,
            ) from None
        # a damaged partition stands in the way of the files that are to go into it
        mend_dropped(house)
        written: dict[str, list[Written]] = {}
        receipts: list[inbox.Receipt] = []
        left: list[Left] = []
        wanted = set(config.files) or None
        taking = adding.taken(house.home, sources, house.clock, wanted, house.progress)
        try:
            for outcome in taking:
                if isinstance(outcome, Left):
                    left.append(outcome)
                    continue
                for each in outcome.everything():
                    receipts.append(each.receipt)
                    for (source_name, stream_name), partitions in each.written.items():
                        written.setdefault(f"{source_name}/{stream_name}", []).extend(partitions)
        finally:
            house.outcome.receipts += receipts
            house.outcome.left += [str(each) for each in left if not each.trouble]
            _log_lines(context, [receipt_line(each) for each in receipts])
            _log_lines(context, map(str, left))
            if receipts:
                publish_receipts(house.home)
            _log_streams(
                context,
                house,
                [(source, stream) for source in sources for stream in source.drop_streams],
                written,
                {},
                receipts,
            )
        if trouble := [str(each) for each in left if each.trouble]:
            raise dg.Failure(" ".join(trouble), allow_retries=False)
        return
        yield

    return take_inbox


def read_originals_again(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, house: House
) -> list[str]:
    """Let the lake show all that the archive has, as the readers read it now, and tell Dagster what
    it holds. Returns a sentence for each file of which that cannot be done."""
    problems = _read_again(context, house)
    streams = [(source, stream) for source in house.sources for stream in source.drop_streams]
    _log_streams(context, house, streams, {}, {})
    return problems


def _read_again(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, house: House
) -> list[str]:
    mend_dropped(house)
    said = [*opened(house.home, house.sources), *complete_sidecars(house.home, house.sources)]
    house.outcome.notes.extend(said)
    for sentence in said:
        context.log.warning(sentence)
    done = read_outdated_again(house.home, house.sources, house.progress, now=house.clock())
    house.outcome.read_again += done
    for each in done:
        changed = sum(map(len, each.changed.values()))
        context.log.info(
            f"{each.source} {each.drop}: {each.files} files of the archive read again, because "
            f"{each.why}; {changed} partitions changed"
        )
    return [problem for each in done for problem in each.problems]


def _log_lines(context: dg.AssetExecutionContext, lines: Iterable[str]) -> None:
    """Many lines a message: each message is a row of Dagster's storage and is stored by itself."""
    remaining = iter(lines)
    while some := list(islice(remaining, LINES_A_MESSAGE)):
        context.log.info("\n".join(some))


def _receipts_of(name: str, receipts: Sequence[inbox.Receipt]) -> list[dg.TableRecord]:
    """What each file did to one stream, a row a file."""
    return [
        dg.TableRecord(
            {
                "file": shown(receipt.file),
                "new": each.new,
                "changed": each.altered,
                "vanished": each.vanished,
                "unchanged": each.unchanged,
                "unreadable in the file": receipt.unreadable,
                "from": each.first_month or "",
                "to": each.last_month or "",
                "columns unknown": shown(", ".join(each.columns_unknown)),
                "columns gone": shown(", ".join(each.columns_gone)),
            }
        )
        for receipt in receipts[-RECEIPTS_TOLD:]
        for each in receipt.streams
        if f"{receipt.source}/{each.stream}" == name
    ]


def receipt_line(receipt: inbox.Receipt) -> str:
    """A receipt in one line, for the log of the run."""
    if receipt.problem:
        return shown(f"{receipt.file}: set aside. {receipt.problem}")
    counts = ", ".join(
        f"{each.stream} {each.new} new {each.altered} changed {each.vanished} vanished "
        f"{each.unchanged} unchanged"
        for each in receipt.streams
    )
    kind = f"{receipt.source} {receipt.drop}"
    also = [f"also claimed by {each}" for each in receipt.also_claimed]
    odd = [receipt.warning or ""]
    for each in receipt.streams:
        for words, names in (("new", each.columns_unknown), ("gone", each.columns_gone)):
            odd += [f"{each.stream} columns {words}: {', '.join(names)}"] if names else []
    unreadable = f"{receipt.unreadable} unreadable"
    told = "; ".join(filter(None, [kind, counts, unreadable, *also, *odd]))
    return shown(f"{receipt.file}: {told}", 4_000)


def inbox_job(taken: dg.AssetsDefinition) -> Any:
    """The job that takes what waits in the inbox."""
    return dg.define_asset_job("take_inbox_job", dg.AssetSelection.assets(taken).without_checks())
