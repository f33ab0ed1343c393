"""Fetching an API stream into the lake: which days to ask for, in which pieces, and what to keep.

Plain functions; Dagster and the command line both call ``pull``. Every finished piece is durable
and reported, so a pull that is killed goes on where it stopped: the lake itself says which days
are there.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from personal_pipeline.credentials import with_keyring
from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import (
    EARLIEST,
    ApiStream,
    Coverage,
    Progress,
    Record,
    Source,
    Unreadable,
    Window,
)
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import (
    DamagedPartition,
    Row,
    StreamLake,
    Written,
    lake_of,
    storable,
    whole_text,
)
from personal_pipeline.ingest.memory import StreamMemory, recall, remember
from personal_pipeline.ingest.quarantine import keep_records
from personal_pipeline.settings import Settings
from personal_pipeline.shown import shown

CHUNK_DAYS = 31
"""How much of a long history is one durable piece: small enough that a kill costs a minute,
large enough that ten years are some hundred requests."""

LOCK_WAIT_SECONDS = 60
"""Beyond the time budget that the run which holds the lock has itself."""

LONGEST_NAME = 60
"""So much of a field's name stands in a reason."""

_FAILS_ALIKE = (Failure.CREDENTIAL_REFUSED, Failure.OUT_OF_TIME)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one look at a stream brought. ``failure`` is set when it ended early."""

    source: str
    stream: str
    looked_at: datetime
    records: int = 0
    unreadable: int = 0
    written: tuple[Written, ...] = ()
    failure: ServiceError | None = None

    @property
    def changed(self) -> tuple[Written, ...]:
        return tuple(written for written in self.written if written.changed)


@dataclass(slots=True)
class _Sorted:
    """An answer, sorted into days: good rows, bad rows, and the keys of bad rows that have one."""

    days: dict[date, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    bad: list[Unreadable] = field(default_factory=list)
    bad_keys: set[str] = field(default_factory=set)
    records: int = 0


def windows_due(
    present: Iterable[date], beginning: date, today: date, refetch_days: int
) -> list[Window]:
    """The windows that a daily run asks for: missing days first, then the days still revised.

    ``today`` is included: its partition is partial, and fetched again tomorrow.
    """
    everything = Window(min(beginning, today), today + timedelta(days=1))
    have = set(present)
    revised = today - timedelta(days=max(refetch_days, 1))
    missing = [day for day in everything.days() if day not in have]
    again = [day for day in everything.days() if day in have and day >= revised]
    return [*_spans(missing), *_spans(again)]


def _spans(days: Sequence[date]) -> Iterator[Window]:
    start = previous = None
    for day in days:
        if start is None or previous is None:
            start = day
        elif day - previous > timedelta(days=1) or (day - start).days >= CHUNK_DAYS:
            yield Window(start, previous + timedelta(days=1))
            start = day
        previous = day
    if start is not None and previous is not None:
        yield Window(start, previous + timedelta(days=1))


def check_record(stream: ApiStream, record: object) -> str | None:
    """Why a record cannot be kept, in words that hold no value of it; None when it can."""
    if not isinstance(record, dict):
        return "expected a JSON object"
    for name, kind in stream.required.items():
        if name not in record:
            return f"{name}: missing"
        value = record[name]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if (isinstance(value, bool) and bool not in kinds) or not isinstance(value, kinds):
            expected = " or ".join(sorted(each.__name__ for each in kinds))
            return f"{name}: expected {expected}, found {type(value).__name__}"
    return None


def sort_into_days(stream: ApiStream, records: Iterable[Record], today: date) -> _Sorted:
    """File every record under its days; what cannot be filed is kept apart with the reason."""
    answer = _Sorted()
    for record in records:
        answer.records += 1
        key = None
        reason = check_record(stream, record)
        try:
            key = whole_text(stream.key(record))
            if reason is None:
                record = storable(record)
                days = [today] if stream.coverage is Coverage.SNAPSHOT else set(stream.days(record))
                possible = {day for day in days if EARLIEST <= day <= today + timedelta(days=1)}
                if not possible:
                    reason = _why_impossible(days, today)
                days = possible
        except (KeyError, TypeError, ValueError, OverflowError, OSError, AttributeError) as error:
            reason = reason or reason_of(error)
        if reason is None and key is not None:
            for day in days:
                answer.days[day][key] = Row(key, record)
        else:
            answer.bad.append(Unreadable(reason or "unreadable", record))
            if key is not None:
                answer.bad_keys.add(key)
    return answer


def _why_impossible(days: Collection[date], today: date) -> str:
    if not days:
        return "no day on which anything happened to it"
    if max(days) > today:
        return "its day lies in the future"
    return f"its day lies before {EARLIEST.year}"


def reason_of(error: Exception) -> str:
    """A reason that names the field of a ``KeyError`` and otherwise holds no value."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"{shown(error.args[0], LONGEST_NAME)}: missing"
    return f"could not be read ({type(error).__name__})"


def pull(
    home: Home,
    source: Source,
    stream: ApiStream,
    client: Client,
    *,
    now: datetime,
    beginning: date | None = None,
    window: Window | None = None,
    progress: Progress | None = None,
) -> Pulled:
    """Look at a stream and bring the lake up to date. Never raises for what a service does, nor
    for a damaged file of its lake: both are its failure.

    ``window`` asks for just these days (of a stream with windows); without it the days that are
    due are worked out. ``beginning`` is the first day that the person wants, else the service is
    asked. The caller holds the lock of the source.
    """
    today = now.astimezone(UTC).date()
    lake = lake_of(home, source.name, stream)
    # a lake that was emptied is filled from the beginning, whatever is remembered of it
    memory = recall(home, source.name, stream.name) if lake.partitions() else StreamMemory()
    pulled = Pulled(source.name, stream.name, now)
    full_pass = False
    failure: ServiceError | None = None
    try:
        if stream.fetch is not None and stream.coverage is Coverage.WINDOW:
            if window is None:
                begin, memory = _beginning(source, lake, client, memory, beginning, today)
                windows = windows_due(lake.partitions(), begin, today, stream.refetch_days)
            else:
                windows = list(_spans(list(window.days())))
            total = sum((each.end - each.start).days for each in windows)
            done = 0
            for each in windows:
                pulled = _replace_window(home, pulled, stream, client, lake, each, today)
                done += (each.end - each.start).days
                if progress:
                    progress(stream.name, done, total)
        elif stream.fetch is not None and not _full_pass_due(stream, memory, now):
            since = memory.succeeded_at.astimezone(UTC).date() if memory.succeeded_at else None
            begin = since or beginning or today - timedelta(days=stream.refetch_days)
            # a day of overlap: services read plain dates in zones of their own
            span = Window(min(begin, today) - timedelta(days=1), today + timedelta(days=1))
            pulled = _merge(home, pulled, stream, lake, stream.fetch(client, window or span), today)
        elif stream.fetch_all is not None:
            full_pass = True
            records = _counted(stream.fetch_all(client), stream.name, progress)
            if stream.coverage is Coverage.SNAPSHOT:
                pulled = _snapshot(home, pulled, stream, lake, records, today)
            else:
                pulled = _picture(home, pulled, stream, lake, records, today, beginning)
        if window is None:
            # chosen days say nothing of the days since the last look
            memory = memory.succeeded(
                now,
                unreadable=pulled.unreadable,
                records=pulled.records,
                full_pass=full_pass,
            )
    except DamagedPartition as damaged:
        failure = ServiceError(Failure.LAKE_DAMAGED, str(damaged))
    except ServiceError as error:
        failure = error
    if failure is not None:
        memory = memory.failed(now, failure.failure.value, str(failure))
        pulled = replace(pulled, failure=failure)
    remember(home, source.name, stream.name, memory)
    return pulled


def _full_pass_due(stream: ApiStream, memory: StreamMemory, now: datetime) -> bool:
    if stream.fetch_all is None:
        return False
    if memory.full_pass_at is None:
        return True
    # a run at the same hour a week later counts as a week
    return now - memory.full_pass_at >= timedelta(days=stream.full_pass_days, hours=-1)


def _beginning(
    source: Source,
    lake: StreamLake,
    client: Client,
    memory: StreamMemory,
    wanted: date | None,
    today: date,
) -> tuple[date, StreamMemory]:
    """The first day to have. Asked of the service once, and remembered."""
    if wanted is not None:
        return wanted, memory
    if memory.beginning is None:
        told = source.beginning(client) if source.beginning is not None else None
        present = lake.partitions()
        memory = replace(memory, beginning=told or (present[0] if present else today))
    return memory.beginning or today, memory


def _counted(records: Iterator[Record], stream: str, progress: Progress | None) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        if progress and number % 100 == 0:
            progress(stream, number, 0)
        yield record


def _landed(home: Home, pulled: Pulled, answer: _Sorted, written: Sequence[Written]) -> Pulled:
    keep_records(home, pulled.source, pulled.stream, answer.bad)
    return replace(
        pulled,
        records=pulled.records + answer.records,
        unreadable=pulled.unreadable + len(answer.bad),
        written=(*pulled.written, *written),
    )


def _with_kept(lake: StreamLake, day: date, answer: _Sorted) -> Iterable[Row]:
    """The rows of a day, and the old rows of records that now arrived unreadable: a record that
    the service breaks today must not take away what was known of it yesterday."""
    rows = dict(answer.days.get(day, {}))
    if answer.bad_keys:
        for key, row in lake.read(day).items():
            if key in answer.bad_keys:
                rows.setdefault(key, row)
    return rows.values()


def _replace_window(
    home: Home,
    pulled: Pulled,
    stream: ApiStream,
    client: Client,
    lake: StreamLake,
    window: Window,
    today: date,
) -> Pulled:
    assert stream.fetch is not None
    answer = sort_into_days(stream, stream.fetch(client, window), today)
    asked = set(window.days())
    for day in answer.days.keys() - asked:
        # written, it would make a day look complete that was not asked for
        answer.bad += [
            Unreadable("its day lies outside the days that were asked for", row.record)
            for row in answer.days[day].values()
        ]
    written = [lake.write(day, _with_kept(lake, day, answer)) for day in window.days()]
    return _landed(home, pulled, answer, written)


def _picture(
    home: Home,
    pulled: Pulled,
    stream: ApiStream,
    lake: StreamLake,
    records: Iterable[Record],
    today: date,
    beginning: date | None,
) -> Pulled:
    answer = sort_into_days(stream, records, today)
    present = lake.partitions()
    first = min([*answer.days, *present[:1], beginning or today])
    days = {*Window(first, today + timedelta(days=1)).days(), *present, *answer.days}
    written = [lake.write(day, _with_kept(lake, day, answer)) for day in sorted(days)]
    return _landed(home, pulled, answer, written)


def _merge(
    home: Home,
    pulled: Pulled,
    stream: ApiStream,
    lake: StreamLake,
    records: Iterable[Record],
    today: date,
) -> Pulled:
    answer = sort_into_days(stream, records, today)
    # today is written even when nothing came: known to be empty is not the same as missing
    days = sorted({*answer.days, today})
    written = [
        lake.write(day, {**lake.read(day), **answer.days.get(day, {})}.values()) for day in days
    ]
    return _landed(home, pulled, answer, written)


def _snapshot(
    home: Home,
    pulled: Pulled,
    stream: ApiStream,
    lake: StreamLake,
    records: Iterable[Record],
    today: date,
) -> Pulled:
    answer = sort_into_days(stream, records, today)
    earlier = [day for day in lake.partitions() if day < today]
    rows = list(_with_kept(lake, today, answer))
    if earlier and not lake.path(today).exists():
        previous = lake.read(earlier[-1])
        if answer.bad_keys:
            rows += [
                row
                for key, row in previous.items()
                if key in answer.bad_keys and key not in answer.days.get(today, {})
            ]
        if previous == {row.key: row for row in rows}:
            # looked, and nothing new: the newest partition is reported again, unchanged
            return _landed(home, pulled, answer, [lake.write(earlier[-1], previous.values())])
    return _landed(home, pulled, answer, [lake.write(today, rows)])


def pull_source(
    home: Home,
    settings: Settings,
    source: Source,
    streams: Collection[str],
    *,
    clock: Callable[[], datetime],
    beginning: date | None = None,
    window: Window | None = None,
    progress: Progress | None = None,
) -> list[Pulled]:
    """Look at the named streams of a connected source, within the source's time budget.

    A stream that fails leaves the others their turn, unless the credential was refused or the time
    is used up: those would fail alike.
    """
    if source.client is None:
        raise ValueError(f"{source.title} has nothing to fetch")
    looks: list[Pulled] = []
    with (
        home.lock(source.name, wait_seconds=settings.source_budget_seconds + LOCK_WAIT_SECONDS),
        source.client(with_keyring(settings, source.credentials)) as client,
    ):
        client.deadline = time.monotonic() + settings.source_budget_seconds
        for stream in source.api:
            if stream.name not in streams:
                continue
            look = pull(
                home,
                source,
                stream,
                client,
                now=clock(),
                beginning=beginning or settings.start,
                window=window,
                progress=progress,
            )
            looks.append(look)
            if look.failure and look.failure.failure in _FAILS_ALIKE:
                break
    return looks
