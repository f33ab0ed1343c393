"""A published timeline of invented events, as the warehouse would publish it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from datetime import date, datetime
from decimal import Decimal

import duckdb

from personal_pipeline import duck
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import load_settings
from personal_pipeline.warehouse.store import LEDGER


@dataclass(frozen=True, kw_only=True)
class Event:
    """A row of ``marts.timeline``."""

    month: date
    event_id: str
    source: str = "bank"
    kind: str = "transaction"
    start_at: datetime | None = None
    end_at: datetime | None = None
    zone: str | None = None
    zone_origin: str = "day"
    local_at: datetime | None = None
    local_day: date
    title: str = "Something"
    detail: str | None = None
    address: str | None = None
    people: list[str] | None = None
    place: str | None = None
    amount: Decimal | None = None
    currency: str | None = None
    text: str | None = None
    by_others: bool = False
    reference: str | None = None


KINDS = {
    **dict.fromkeys(("month", "local_day"), "date"),
    **dict.fromkeys(("start_at", "end_at", "local_at"), "timestamp"),
    "people": "varchar[]",
    "amount": "decimal(18, 2)",
    "by_others": "boolean",
}


def event(day: str, title: str, **more: object) -> Event:
    """An event of a day, or of a time such as ``2024-06-01 07:30``."""
    at = datetime.fromisoformat(day)
    timed = {"local_at": at, "start_at": at, "zone_origin": "home"} if len(day) > 10 else {}
    given = {"event_id": f"bank:transaction:{day} {title}", **timed, **more}
    return Event(
        month=at.date().replace(day=1),
        local_day=at.date(),
        title=title,
        **given,  # type: ignore[arg-type]
    )


def write_timeline(home: Home, events: Iterable[Event]) -> None:
    """Publish these events, with a ledger in which a month's digest is that of its content."""
    home.published.parent.mkdir(parents=True, exist_ok=True)
    temporary = home.published.with_name("timeline.tmp")
    temporary.unlink(missing_ok=True)
    columns = [f"{each.name} {KINDS.get(each.name, 'varchar')}" for each in fields(Event)]
    with duckdb.connect(str(temporary), config=duck.CONFIG) as opened:
        opened.execute(LEDGER)
        opened.execute("create schema marts")
        opened.execute(f"create table marts.timeline ({', '.join(columns)})")
        if rows := [astuple(each) for each in events]:
            marks = ", ".join("?" * len(columns))
            opened.executemany(f"insert into marts.timeline values ({marks})", rows)
        add_to_ledger(opened)
    temporary.replace(home.published)


def add_to_ledger(opened: duckdb.DuckDBPyConnection) -> None:
    """Record each month of the timeline as it is."""
    opened.execute("delete from pipeline.ledger where asset = 'marts/timeline'")
    opened.execute(
        """
        insert into pipeline.ledger by name
        select
            'marts/timeline' as asset, month::varchar as partition, count(*) as row_count,
            md5(string_agg(content::varchar, '' order by content::varchar)) as digest,
            '{}' as inputs, '1' as code_version, timestamp '2026-01-01' as built_at
        from marts.timeline as content
        group by month
        """
    )


def house_of(home: Home) -> House:
    """A house without sources over a home."""
    return House(load_settings(), home, ())
