"""The state of every stream, derived from files alone, whether or not the daemon runs.

The board is a snapshot: compute it once per report, command or check and pass it on, because two
calls may differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from personal_pipeline.freshness import (
    ARCHIVE_DAMAGED,
    LAKE_DAMAGED,
    State,
    Verdict,
    judge_api,
    judge_drop,
)
from personal_pipeline.house import House
from personal_pipeline.ingest.arrivals import FORMAT_CHANGED, Exports, exports_of
from personal_pipeline.ingest.contract import ApiStream, DropStream, Source
from personal_pipeline.ingest.damage import Damage, Kind, known_damage, sentence
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.memory import StreamMemory, recall
from personal_pipeline.ingest.repair import missing_still
from personal_pipeline.ingest.unreadable import is_format_changed
from personal_pipeline.shown import shown_lines
from personal_pipeline.warehouse.lake import Lake, read_lake
from personal_pipeline.warehouse.left_out import LeftOut, left_out

_ENDS_THE_FETCHES = (Failure.CREDENTIAL_REFUSED, Failure.OUT_OF_TIME, Failure.CLOCK_WRONG)
"""After one of these failures the remaining streams of the source are not fetched."""

CAUSES = {
    Kind.LAKE: LAKE_DAMAGED,
    Kind.MISSING: LAKE_DAMAGED,
    Kind.ORIGINAL: ARCHIVE_DAMAGED,
    Kind.SIDECAR: ARCHIVE_DAMAGED,
    Kind.SUPERSEDED: ARCHIVE_DAMAGED,
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamState:
    """One line of the board: the state of one stream of one source."""

    source: str
    """The source's short name, as used in the lake."""
    source_title: str
    stream: str
    route: Literal["api", "drop"]
    """Fetched from a service, or dropped by hand."""
    drop: str | None = None
    """The kind of export that feeds the stream; None if it is fetched."""
    state: State
    cause: str | None = None
    """Why it is failing or needs a person, in a few words such as "credential refused"; else
    None."""
    last_fetched: datetime | None
    """UTC instant of the most recent fetch, or of the arrival of the most recent file of its
    kind, successful or not."""
    asked_until: datetime | None = None
    """UTC instant up to which the service was asked for everything; None for a drop, or if
    unknown."""
    newest_data: date | None
    """The most recent partition with records: a UTC day, or a month (its first day) for a drop."""
    next_expected: date | None
    """The day by which newer data should arrive: a UTC day, for a drop a day in the person's time
    zone; None if it cannot be predicted."""
    rows: int | None
    """Rows in the lake; None if one of its files is damaged."""
    records: int | None = None
    """Records of the most recent fetch or file, readable or not; None if not recorded."""
    unreadable: int
    """Records of the most recent fetch or file that could not be parsed and were set aside."""
    left_out: int = 0
    """Rows in the lake missing from the staging table for no declared reason (``rows_differ``)."""
    detail: str
    """What is wrong and what to do about it, in sentences; empty if all is well."""


def in_use(line: StreamState) -> bool:
    """Whether the person uses a stream: drops need no connecting, so the first file tells."""
    never_dropped = line.route == "drop" and line.state is State.WAITING
    return line.state not in (State.NOT_CONNECTED, State.RESTING) and not never_dropped


def is_connected(board: Sequence[StreamState], source: str) -> bool:
    """Whether a source gives anything, should, or once did: a setting that was lost must not make
    figures vanish without a word. An export that was never made is no source."""
    return any(line.source == source and has_part(line) for line in board)


def has_part(line: StreamState) -> bool:
    """Whether a stream is in use, or has data from when it was."""
    return in_use(line) or line.newest_data is not None


def board_of(house: House, lake: Lake | None = None) -> list[StreamState]:
    """One state per stream, in the order of the sources. ``lake`` is its content, if it has been
    read already."""
    lake = lake or read_lake(house)
    now = house.clock()
    exports = exports_of(house.home)
    damaged = _damage_by_stream(house)
    leaves = left_out(house.home)
    resting = house.home.resting()
    return [
        _with_damage(
            _at_rest(line) if line.source in resting else _with_left_out(line, leaves), damaged
        )
        for source in house.sources
        for line in (
            *_api_lines(house, source, lake, now),
            *_drop_lines(house, source, lake, now, exports),
        )
    ]


def _at_rest(line: StreamState) -> StreamState:
    """A stream of a source that has ended. What is wrong with its data itself still counts."""
    if line.cause in (LAKE_DAMAGED, ARCHIVE_DAMAGED):
        return line
    return replace(line, state=State.RESTING, cause=None, next_expected=None, detail="")


def _with_left_out(line: StreamState, leaves: Mapping[str, LeftOut]) -> StreamState:
    """Report the rows that a staging table drops; if there are many, the stream is failing."""
    left = leaves.get(f"{line.source}/{line.stream}")
    if left is None:
        return line
    line = replace(line, left_out=left.rows, detail=f"{line.detail} {left}".strip())
    fails = line.state in (State.FAILING, State.ACTION_REQUIRED)
    if fails or not is_format_changed(left.rows, left.of):
        return line
    return replace(line, state=State.FAILING, cause=FORMAT_CHANGED)


def _damage_by_stream(house: House) -> dict[tuple[str, str], Damage]:
    """Known damage by source and stream, or by source and drop for an archived original."""
    damages = missing_still(house.home, house.sources, known_damage(house.home))
    return {(each.source, each.stream or each.drop): each for each in damages}


def _with_damage(line: StreamState, damaged: Mapping[tuple[str, str], Damage]) -> StreamState:
    damage = damaged.get((line.source, line.stream)) or damaged.get((line.source, line.drop or ""))
    if damage is None or line.cause == LAKE_DAMAGED:
        return line
    return replace(line, state=State.FAILING, cause=CAUSES[damage.kind], detail=sentence(damage))


@dataclass(frozen=True, slots=True)
class _Kept:
    """What the lake has of a stream. If one of its files is damaged, ``rows`` is None and
    ``damage`` describes it."""

    newest: date | None
    rows: int | None
    damage: str = ""


def _kept(house: House, source: Source, stream: ApiStream | DropStream, lake: Lake) -> _Kept:
    name = f"{source.name}/{stream.name}"
    if name in lake.damaged:
        partitions = lake_of(house.home, source.name, stream).partitions()
        return _Kept(max(partitions, default=None), None, lake.damaged[name])
    rows = lake.rows[name]
    newest = max((partition for partition, count in rows.items() if count), default=None)
    return _Kept(date.fromisoformat(newest) if newest else None, sum(rows.values()))


def _api_lines(house: House, source: Source, lake: Lake, now: datetime) -> Iterator[StreamState]:
    memories = {stream.name: recall(house.home, source.name, stream.name) for stream in source.api}
    connected = house.connected(source)
    for stream in source.api:
        memory = with_failure_of_all(memories, stream.name)
        verdict = judge_api(memory, now, connected=connected, connect=source.connect)
        yield _line(
            source,
            stream,
            _kept(house, source, stream, lake),
            verdict,
            last_fetched=memory.fetched_at,
            records=memory.records,
            unreadable=memory.unreadable,
            asked_until=memory.asked_until,
        )


def with_failure_of_all(memories: Mapping[str, StreamMemory], stream: str) -> StreamMemory:
    """The memory of a stream, including a failure of another stream of its source that stopped the
    fetches before this one's turn. Otherwise it would show as fresh, and later as forgotten."""
    memory = memories[stream]
    for other in memories.values():
        if other.failure not in _ENDS_THE_FETCHES or other.fetched_at is None:
            continue
        if memory.fetched_at is None or memory.fetched_at < other.fetched_at:
            return replace(memory, failure=other.failure, failure_message=other.failure_message)
    return memory


def _drop_lines(
    house: House,
    source: Source,
    lake: Lake,
    now: datetime,
    exports: Mapping[tuple[str, str], Exports],
) -> Iterator[StreamState]:
    for drop in source.drops:
        came = exports.get((source.name, drop.name), Exports())
        verdict = judge_drop(
            came.arrivals,
            now,
            monthly_on_day=drop.monthly_on_day,
            how_to=drop.how_to,
            zone=ZoneInfo(house.settings.timezone),
        )
        for stream in drop.streams:
            kept = _kept(house, source, stream, lake)
            arrived = kept.rows != 0 or verdict.state is State.FAILING
            yield _line(
                source,
                stream,
                kept,
                # one kind of export feeds several streams but need not contain all of them
                verdict if arrived else Verdict(State.WAITING, drop.how_to),
                drop=drop.name,
                last_fetched=came.received_at,
                records=came.records,
                unreadable=came.unreadable,
            )


def _line(
    source: Source,
    stream: ApiStream | DropStream,
    kept: _Kept,
    verdict: Verdict,
    *,
    drop: str | None = None,
    last_fetched: datetime | None,
    records: int | None,
    unreadable: int,
    asked_until: datetime | None = None,
) -> StreamState:
    if kept.damage:
        verdict = Verdict(State.FAILING, kept.damage, cause=LAKE_DAMAGED)
    return StreamState(
        source=source.name,
        source_title=source.title,
        stream=stream.name,
        route="api" if drop is None else "drop",
        drop=drop,
        state=verdict.state,
        cause=verdict.cause,
        last_fetched=last_fetched,
        asked_until=asked_until,
        newest_data=kept.newest,
        next_expected=verdict.next_expected,
        rows=kept.rows,
        records=records,
        unreadable=unreadable,
        detail=shown_lines(verdict.detail),
    )
