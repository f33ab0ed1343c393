"""The state of every stream, judged from files alone: right with the daemon stopped or running."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from personal_pipeline.graph.house import House
from personal_pipeline.graph.tables import next_month
from personal_pipeline.ingest.contract import Drop, Source
from personal_pipeline.ingest.lake import StreamLake, lake_of
from personal_pipeline.ingest.memory import StreamMemory, recall
from personal_pipeline.outputs.board import State, StreamState

LATE_AFTER = timedelta(hours=26)
"""A daily look is late when the next one is two hours overdue."""

GRACE_DAYS = 5
"""How long after its day a monthly export may come before it is late."""


def board_of(house: House) -> list[StreamState]:
    """One state a stream, in the order of the sources."""
    return [
        state
        for source in house.sources
        for state in (*_api_states(house, source), *_drop_states(house, source))
    ]


def _newest_with_rows(lake: StreamLake) -> tuple[date | None, int]:
    versions = lake.versions()
    with_rows = [partition for partition, version in versions.items() if version.rows]
    return max(with_rows, default=None), sum(version.rows for version in versions.values())


def _api_states(house: House, source: Source) -> list[StreamState]:
    states = []
    for stream in source.api:
        memory = recall(house.home, source.name, stream.name)
        newest, rows = _newest_with_rows(lake_of(house.home, source.name, stream))
        state, detail, expected = judge_api(
            memory, house.clock(), connected=house.connected(source), connect=source.connect
        )
        states.append(
            StreamState(
                source=source.name,
                source_title=source.title,
                stream=stream.name,
                route="api",
                state=state,
                last_looked=memory.looked_at,
                newest_data=newest,
                next_expected=expected,
                rows=rows,
                unreadable=memory.unreadable,
                detail=detail,
            )
        )
    return states


def judge_api(
    memory: StreamMemory, now: datetime, *, connected: bool, connect: str
) -> tuple[State, str, date | None]:
    """The state of a stream that is fetched every day, what to do, and when it is next expected."""
    if not connected and memory.succeeded_at is None:
        return State.NOT_CONNECTED, connect, None
    if memory.failure is not None:
        return State.FAILING, memory.failure_message or memory.failure, None
    if memory.succeeded_at is None:
        advice = "Run `personal-pipeline refresh`, or wait for the morning."
        return State.WAITING, advice, now.date()
    expected = (memory.succeeded_at + timedelta(days=1)).astimezone(UTC).date()
    if now - memory.succeeded_at > LATE_AFTER:
        advice = (
            "Not looked at for more than a day: is `personal-pipeline up` running? "
            "`personal-pipeline refresh` looks now."
        )
        return State.LATE, advice if connected else f"No longer connected. {connect}", expected
    return State.FRESH, "", expected


def _drop_states(house: House, source: Source) -> list[StreamState]:
    states = []
    for drop in source.drops:
        lakes = [(stream, lake_of(house.home, source.name, stream)) for stream in drop.streams]
        memories = [recall(house.home, source.name, stream.name) for stream in drop.streams]
        partitions = [day for _, lake in lakes for day in lake.partitions()]
        newest_month = max(partitions, default=None)
        failing = next((memory for memory in memories if memory.failure), None)
        state, detail, expected = judge_drop(drop, newest_month, failing, house.today)
        for (stream, lake), memory in zip(lakes, memories, strict=True):
            newest, rows = _newest_with_rows(lake)
            # one kind of export feeds several streams, and need not hold all of them
            arrived = rows > 0 or state is State.FAILING
            states.append(
                StreamState(
                    source=source.name,
                    source_title=source.title,
                    stream=stream.name,
                    route="drop",
                    state=state if arrived else State.WAITING,
                    last_looked=memory.looked_at,
                    newest_data=newest,
                    next_expected=expected if arrived else None,
                    rows=rows,
                    unreadable=memory.unreadable,
                    detail=detail,
                )
            )
    return states


def judge_drop(
    drop: Drop, newest_month: date | None, failing: StreamMemory | None, today: date
) -> tuple[State, str, date | None]:
    """The state of an export that is made by hand, what to do, and when it is next expected.

    An export with a calendar is due on its day of each month, and late some days after; the one
    that is due then holds the month that ended.
    """
    steps = f"{drop.how_to} Put the file into inbox/."
    if failing is not None:
        return State.FAILING, failing.failure_message or "the last file was unreadable", None
    if newest_month is None:
        return State.WAITING, steps, None
    if drop.monthly_on_day is None:
        return State.FRESH, "", None
    due = today.replace(day=1)
    previous = (due - timedelta(days=1)).replace(day=1)
    due_day = due.replace(day=drop.monthly_on_day)
    if today < due_day:
        return State.FRESH, "", due_day
    if newest_month >= previous:
        return State.FRESH, "", next_month(due).replace(day=drop.monthly_on_day)
    if today <= due_day + timedelta(days=GRACE_DAYS):
        return State.DUE, steps, due_day
    return State.LATE, steps, due_day
