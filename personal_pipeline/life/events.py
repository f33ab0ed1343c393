"""Events of the timeline, read from the published tables: a day, a span, the same day of other
years, the first of each kind, and records.

Days are local days: the day that the clock on the wall showed (``marts.timeline``).
"""

from __future__ import annotations

import calendar
import difflib
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from personal_pipeline import duck
from personal_pipeline.duck import among, literal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

HANDLE_LENGTH = 8
"""Of a million events, about a hundred pairs share so much of a digest: ``found`` then names
both."""

HOW_TO_NAME = (
    "The lists of `personal-pipeline day`, `timeline` and `records` have a handle in each line, "
    "such as 3f9a01c2; its first four signs are enough if no other begins so. A reference looks "
    "like bank/transactions/month=2026-10-01/part.jsonl.gz#KEY."
)
NO_TABLES = "no tables yet; run `personal-pipeline refresh` first"
NO_TIMELINE = "no timeline in these tables; run `personal-pipeline refresh` to build it"


@dataclass(frozen=True, slots=True)
class Event:
    """A row of ``marts.timeline``, whose columns are described there, and the ``digest`` of its
    id."""

    month: date
    event_id: str
    source: str
    kind: str
    start_at: datetime | None
    end_at: datetime | None
    zone: str | None
    zone_origin: str
    local_at: datetime | None
    local_day: date
    title: str
    detail: str | None
    address: str | None
    people: Sequence[str] | None
    place: str | None
    amount: Decimal | None
    currency: str | None
    text: str | None
    by_others: bool
    reference: str | None
    digest: str

    @property
    def handle(self) -> str:
        """What a person types to mean this event: short, and the same in every build."""
        return self.digest[:HANDLE_LENGTH]

    @property
    def key(self) -> str:
        """What identifies it among those of its source and kind."""
        return self.event_id.removeprefix(f"{self.source}:{self.kind}:")

    @property
    def local_end(self) -> datetime | None:
        """When it ended, as the clock on the wall showed it; null for an instant."""
        if self.start_at is None or self.local_at is None or self.end_at is None:
            return None
        if self.end_at <= self.start_at:
            return None
        try:
            # the clock may have been set meanwhile
            ended = self.end_at.replace(tzinfo=UTC).astimezone(ZoneInfo(self.zone or ""))
        except (ValueError, OSError, KeyError):
            # a zone that is only an offset
            return self.end_at + (self.local_at - self.start_at)
        return ended.replace(tzinfo=None)

    @property
    def offset(self) -> timedelta | None:
        """How far the clock on the wall was ahead of UTC."""
        if self.start_at is None or self.local_at is None:
            return None
        return self.local_at - self.start_at


@dataclass(frozen=True, slots=True)
class Milestone:
    """The first, longest or highest of a kind, as ``name`` says. ``value`` is in ``unit``; a first
    has neither. ``handle`` is that of the event."""

    name: str
    kind: str
    local_day: date
    title: str
    value: float | None
    unit: str | None
    handle: str


class Ambiguous(LookupError):
    """Several events begin with the same handle; the message names them."""


class Unknown(LookupError):
    """There is no such event; the message says what a handle looks like."""


@contextmanager
def published(path: Path) -> Iterator[DuckDBPyConnection]:
    """The published tables for the block. Raises ``FileNotFoundError`` if there is no timeline
    yet."""
    if not path.exists():
        raise FileNotFoundError(f"{path}: {NO_TABLES}")
    with duck.opened(duck.File(path, read_only=True)) as tables:
        if "timeline" not in marts_in(tables):
            raise FileNotFoundError(f"{path}: {NO_TIMELINE}")
        yield tables


def marts_in(tables: DuckDBPyConnection) -> frozenset[str]:
    """The names of the marts that exist: a table appears with the first build after its source
    is there."""
    found = tables.execute("select table_name from duckdb_tables() where schema_name = 'marts'")
    return frozenset(name for (name,) in found.fetchall())


# ------------------------------------------------------------------------------------------- days


def events_of(tables: DuckDBPyConnection, days: Iterable[date]) -> list[Event]:
    """What happened on these days, in the order of the days and of the clock on the wall; what has
    no time comes last on its day."""
    wanted = sorted(set(days))
    months = sorted({month for day in wanted for month in months_of(day, day)})
    return _events(tables, [among("month", months), among("local_day", wanted)])


def events_between(
    tables: DuckDBPyConnection,
    first: date | None,
    last: date | None,
    *,
    sources: Sequence[str] = (),
    kinds: Sequence[str] = (),
    words: str = "",
    most: int | None = None,
) -> tuple[list[Event], int]:
    """What happened from one day to another, both included, newest last: the newest ``most``, and
    how many there are. ``words`` occur in title, detail, text, place or a name, whatever the case
    and the accents."""
    where = []
    if first is not None:
        where.append(f"local_day >= {literal(first)}")
    if last is not None:
        where.append(f"local_day <= {literal(last)}")
    if first is not None and last is not None:
        where.append(among("month", months_of(first, last)))
    if sources:
        where.append(among("source", sources))
    if kinds:
        where.append(among("kind", kinds))
    if words:
        where.append(
            "contains(strip_accents(lower(concat_ws(chr(10), title, detail, place, text, "
            f"array_to_string(people, chr(10))))), strip_accents(lower({literal(words)})))"
        )
    events = _events(tables, where, most=most)
    if most is None or len(events) < most:
        return events, len(events)
    condition = " and ".join(where) or "true"
    ((count,),) = tables.execute(
        f"select count(*) from marts.timeline where {condition}"  # noqa: S608
    ).fetchall()
    return events, count


def _events(
    tables: DuckDBPyConnection, where: Sequence[str], *, most: int | None = None
) -> list[Event]:
    columns = ", ".join(each.name for each in fields(Event)[:-1])
    newest_first = ", ".join(
        f"{each} desc"
        for each in ("local_day", "local_at is null", "local_at", "start_at", "event_id")
    )
    rows = tables.execute(
        f"select {columns}, md5(event_id) from marts.timeline "  # noqa: S608
        f"where {' and '.join(where) or 'true'} order by {newest_first} "
        f"{'' if most is None else f'limit {most}'}"
    ).fetchall()
    return [Event(*row) for row in reversed(rows)]


def months_of(first: date, last: date) -> list[date]:
    """The partitions in which events of these days lie: a local day begins up to 14 hours before
    the UTC day, and a night belongs to the day after it began."""
    month, end = (first - timedelta(days=2)).replace(day=1), last + timedelta(days=2)
    months = []
    while month <= end:
        months.append(month)
        month = (month + timedelta(days=31)).replace(day=1)
    return months


def same_days(day: date, first: int, last: int) -> list[date]:
    """The same day of the other years from ``first`` to ``last``, newest first.

    A 29 February is 28 February in a common year: asked for on either, years have what they have.
    """
    found = []
    for year in range(last, first - 1, -1):
        if year == day.year:
            continue
        if (day.month, day.day) == (2, 29):
            found.append(date(year, 2, 29 if calendar.isleap(year) else 28))
            continue
        if (day.month, day.day) == (2, 28) and not calendar.isleap(day.year):
            found += [date(year, 2, 29)] if calendar.isleap(year) else []
        found.append(day.replace(year=year))
    return found


def on_this_day(tables: DuckDBPyConnection, day: date) -> dict[date, list[Event]]:
    """What happened on the same day of other years, newest year first; only days on which something
    happened."""
    ((first, last),) = tables.execute(
        "select min(local_day), max(local_day) from marts.timeline"
    ).fetchall()
    if first is None:
        return {}
    days: dict[date, list[Event]] = {each: [] for each in same_days(day, first.year, last.year)}
    for event in events_of(tables, days):
        days[event.local_day].append(event)
    return {each: events for each, events in days.items() if events}


def counts_of(tables: DuckDBPyConnection, days: Iterable[date]) -> dict[date, int]:
    """How many events each of these days has; those without any are left out."""
    found = tables.execute(
        f"select local_day, count(*) from marts.timeline "  # noqa: S608
        f"where {among('local_day', days)} group by 1 order by 1"
    )
    return dict(found.fetchall())


# ------------------------------------------------------------------------------------------- one


def found(tables: DuckDBPyConnection, text: str) -> Event:
    """The event with this id or handle; the beginning of a handle is enough where no other begins
    so. Raises ``Unknown`` or ``Ambiguous``."""
    is_handle = re.fullmatch(r"[0-9a-f]{4,32}", text)
    events = _events(
        tables,
        [
            f"starts_with(md5(event_id), {literal(text)})"
            if is_handle
            else among("event_id", [text])
        ],
    )
    if not events:
        raise Unknown(f"No event is called {text!r}. {HOW_TO_NAME}")
    if len(events) > 1:
        named = "".join(
            f"\n  {each.digest[:12]}  {each.local_day}  {each.kind}  {each.title}"
            for each in events[:10]
        )
        raise Ambiguous(f"{len(events)} events begin with {text}:{named}")
    return events[0]


def references_of(tables: DuckDBPyConnection, event: Event) -> list[str]:
    """The raw records of an event: its own, and all that were merged into it. Empty if it is a sum
    or a conclusion."""
    references = [event.reference] if event.reference else []
    merged = {"transaction": "transaction_merges", "activity": "activity_merges"}.get(event.kind)
    if merged and merged in marts_in(tables):
        rows = tables.execute(
            f"select lake_file || '#' || record_key from marts.{merged} "  # noqa: S608
            f"where {among(f'{event.kind}_id', [event.key])} order by all"
        )
        references += [each for (each,) in rows.fetchall()]
    return list(dict.fromkeys(references))


def names_in(tables: DuckDBPyConnection, column: str) -> list[str]:
    """The sources or kinds that the timeline has; ``column`` is ``source`` or ``kind``."""
    rows = tables.execute(f"select distinct {column} from marts.timeline order by 1")  # noqa: S608
    return [name for (name,) in rows.fetchall()]


def refuse_unknown(tables: DuckDBPyConnection, column: str, chosen: Iterable[str]) -> None:
    """Raises ``Unknown`` for a source or kind of which the timeline has nothing, with the nearest
    one."""
    known = names_in(tables, column)
    for name in chosen:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"; did you mean {near[0]}?" if near else "."
            raise Unknown(
                f"The timeline has no {column} {name!r}{meant} It has {', '.join(known)}."
            )


# ------------------------------------------------------------------------------------ milestones


_FIRSTS = """
with told as (
    select *, case
        when kind = 'transaction' and amount < 0 then 'first thing bought'
        when kind = 'transaction' then 'first money received'
        else 'first ' || replace(replace(kind, '_', ' '), 'subscribers', 'subscriber')
    end as name
    from marts.timeline
    where kind <> 'record'
),
days as (
    select name, source, min(local_day) as local_day from told group by all
)
select name, kind, local_day, title, null, null, left(md5(event_id), 8)
from told
inner join days using (name, source, local_day)
qualify row_number() over (
    partition by name, source order by local_day, local_at is null, local_at, start_at, event_id
) = 1
order by local_day, name, source
"""

# a record opens to the event that set it; what is counted by day has only that of the record
_RECORDS = """
with standing as (
    select *
    from marts.records
    qualify row_number() over (partition by record order by day desc) = 1
),
events as (
    select event_id, kind, title, reference, local_day from marts.timeline where kind <> 'record'
)
select record, coalesce(kind, 'record'), day, coalesce(standing.title, events.title, ''), value,
    unit, left(md5(coalesce(event_id, source || ':record:' || record || '@' || day)), 8)
from standing
left join events on reference = lake_file || '#' || raw_key and local_day = day
order by 2, record
"""


def firsts(tables: DuckDBPyConnection) -> list[Milestone]:
    """The first event of each kind and source, oldest first."""
    rows = tables.execute(_FIRSTS).fetchall()
    return [Milestone(*row) for row in rows]


def records(tables: DuckDBPyConnection) -> list[Milestone]:
    """The longest, fastest and highest that stand, by kind."""
    if "records" not in marts_in(tables):
        return []
    return [Milestone(*row) for row in tables.execute(_RECORDS).fetchall()]
