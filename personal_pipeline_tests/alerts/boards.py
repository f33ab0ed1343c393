"""Boards and houses for the tests of messages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from personal_pipeline.board import StreamState
from personal_pipeline.freshness import State
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Drop, Source
from personal_pipeline.settings import Settings
from personal_pipeline.sources.stripe import API_KEY

NOON = datetime(2026, 11, 10, 12, 0, tzinfo=UTC)

HOW_TO = "Open Statistics, choose the month, download the file."

DROP = Drop(
    name="list_export",
    description="",
    how_to=HOW_TO,
    recognise=lambda file: None,
    read=lambda file: iter(()),
    streams=(),
    monthly_on_day=3,
)

SOURCES = (
    Source(name="kit", title="Kit", description="", drops=(DROP,)),
    Source(name="stripe", title="Stripe", description="", settings=(API_KEY,)),
)


def line(
    state: State,
    source: str = "kit",
    stream: str = "subscribers",
    *,
    cause: str | None = None,
    drop: str | None = None,
    looked: datetime | None = NOON,
    detail: str = "",
) -> StreamState:
    return StreamState(
        source=source,
        source_title=source.title(),
        stream=stream,
        route="api" if drop is None else "drop",
        drop=drop,
        state=state,
        cause=cause,
        last_fetched=looked,
        newest_data=None,
        next_expected=None,
        rows=1,
        unreadable=0,
        detail=detail,
    )


def refused(source: str = "kit", **more: Any) -> StreamState:
    return line(State.FAILING, source, cause="credential refused", detail="Make a new key.", **more)


def down(source: str = "kit", **more: Any) -> StreamState:
    return line(State.FAILING, source, cause="service down", detail="Nothing was lost.", **more)


def fresh(source: str = "kit", **more: Any) -> StreamState:
    return line(State.FRESH, source, **more)


def due(**more: Any) -> StreamState:
    return line(State.DUE, stream="list", drop=DROP.name, detail=HOW_TO, **more)


def house_of(
    home: Home, *addresses: str, now: Callable[[], datetime] = lambda: NOON, **settings: Any
) -> House:
    given: dict[str, Any] = {
        "PERSONAL_PIPELINE_ALERTS": " ".join(addresses),
        "PERSONAL_PIPELINE_QUIET_HOURS": "",
        **settings,
    }
    return House(Settings(**given), home, SOURCES, clock=now)
