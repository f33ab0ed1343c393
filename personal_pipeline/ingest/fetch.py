"""Fetching an API stream into the lake: which days to request, in which pieces, and what to keep.

Plain functions; Dagster and the command line both call ``fetch_streams``. Every finished piece is
durable, recorded and reported, so a killed fetch resumes where it stopped. What is due follows from
what was requested before (``coverage``); an answer that would remove most rows is set aside
(``losses``), and nothing is written while a clock is wrong (``clocks``).
"""

from __future__ import annotations

import errno
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import groupby

from personal_pipeline.credentials import NoKeyring
from personal_pipeline.home import Home
from personal_pipeline.ingest.accounts import check_account
from personal_pipeline.ingest.clocks import (
    asked_at,
    believable,
    check_beginning,
    check_clock,
    jumped,
    take_back,
)
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
from personal_pipeline.ingest.coverage import (
    CHUNK_DAYS,
    settled_with,
    spans,
    windows_due,
    windows_of,
)
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import (
    DamagedPartition,
    Row,
    StreamLake,
    Written,
    canonical,
    content_digest,
    lake_of,
    storable,
    whole_text,
)
from personal_pipeline.ingest.losses import (
    NO_LOSS,
    Loss,
    forget_doubt,
    is_confirmed,
    keep_answer,
    loss,
    loss_message,
)
from personal_pipeline.ingest.memory import StreamMemory, recall, remember
from personal_pipeline.ingest.quarantine import keep_records
from personal_pipeline.ingest.unreadable import format_changed, is_format_changed, is_told
from personal_pipeline.settings import BadSetting, Settings, with_keyring
from personal_pipeline.shown import shown
from personal_pipeline.troubles import sentence_of

__all__ = [
    "CHUNK_DAYS",
    "FetchResult",
    "check_record",
    "fetch_stream",
    "fetch_streams",
    "sort_into_days",
]

LOCK_WAIT_SECONDS = 60
"""Added to the time budget of the run that holds the lock."""

MAX_NAME_LENGTH = 60
"""Longest field name quoted in a reason; the rest is cut off."""

MAX_REPEATED = 10_000
"""With more than this many repeated records, when they are most of an answer, pagination never
ends."""

AHEAD = timedelta(days=1)
"""A state seen further in the future than this was seen by a clock that was ahead."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
"""Disk errors after which nothing can be written, and therefore nothing remembered."""

_FAILS_ALIKE = (Failure.CREDENTIAL_REFUSED, Failure.OUT_OF_TIME, Failure.CLOCK_WRONG)


@dataclass(frozen=True, slots=True)
class FetchResult:
    """The result of fetching one stream. ``failure`` is set when it ended early."""

    source: str
    stream: str
    fetched_at: datetime
    records: int = 0
    unreadable: int = 0
    written: tuple[Written, ...] = ()
    failure: ServiceError | None = None
    notes: tuple[str, ...] = ()
    """Further information for the user, one sentence each."""

    @property
    def changed(self) -> tuple[Written, ...]:
        return tuple(written for written in self.written if written.changed)


@dataclass(slots=True)
class _Sorted:
    """An answer sorted into days: good rows, bad rows, and the keys of the bad rows that have
    one."""

    days: dict[date, dict[str, Row]] = field(default_factory=lambda: defaultdict(dict))
    bad: list[Unreadable] = field(default_factory=list)
    bad_keys: set[str] = field(default_factory=set)
    records: int = 0

    @property
    def rows(self) -> dict[str, Row]:
        """The good rows by key, whatever their days."""
        return {key: row for rows in self.days.values() for key, row in rows.items()}

    def may_hold(self, key: str) -> bool:
        """Whether a record with this key may be among those that could not be read: if there are
        many, it may be any of them, because the key itself may have changed."""
        return key in self.bad_keys or not self.is_told

    @property
    def is_told(self) -> bool:
        """Whether it answers the request: hardly any record was unreadable."""
        return is_told(len(self.bad), self.records)

    @property
    def is_format_changed(self) -> bool:
        """Whether the service has changed its record format."""
        return is_format_changed(len(self.bad), self.records)


def check_record(stream: ApiStream, record: object) -> str | None:
    """Why a record cannot be kept, without quoting any value; None when it can."""
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
    """File every record under its days; what cannot be filed is kept separately with the reason."""
    answer = _Sorted()
    keys: set[str] = set()
    for record in records:
        answer.records += 1
        key = None
        reason = check_record(stream, record)
        try:
            key = whole_text(stream.key(record))
            keys.add(key)
            if reason is None:
                record = storable(record)
                days = [today] if stream.coverage is Coverage.STATE else set(stream.days(record))
                possible = {day for day in days if EARLIEST <= day <= today + timedelta(days=1)}
                if not possible:
                    reason = _why_impossible(days, today)
                days = possible
                if stream.state is not None:
                    canonical(stream.state(record))
        except (KeyError, TypeError, ValueError, OverflowError, OSError, AttributeError) as error:
            reason = reason or reason_of(error)
        if reason is None and key is not None:
            for day in days:
                answer.days[day][key] = Row(key, record)
        else:
            answer.bad.append(Unreadable(reason or "unreadable", record))
            if key is not None:
                answer.bad_keys.add(key)
        if answer.records > 2 * len(keys) + MAX_REPEATED:
            raise ServiceError(
                Failure.FORMAT_CHANGED,
                f"{stream.name}: the service returns the same records over and over: "
                f"{answer.records:,} records, {len(keys):,} of them distinct. None of it was kept, "
                "and nothing was lost.",
            )
    return answer


def _why_impossible(days: Collection[date], today: date) -> str:
    if not days:
        return "it has no date to file it under"
    if max(days) > today:
        return "its day is in the future"
    return f"its day is before {EARLIEST.year}"


def reason_of(error: Exception) -> str:
    """A reason that names the field of a ``KeyError`` and otherwise contains no value."""
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], str):
        return f"{shown(error.args[0], MAX_NAME_LENGTH)}: missing"
    return f"could not be read ({type(error).__name__})"


@dataclass(slots=True)
class _Fetch:
    """A fetch in progress. ``memory`` is what will be remembered about it."""

    home: Home
    stream: ApiStream
    client: Client
    lake: StreamLake
    now: datetime
    memory: StreamMemory
    result: FetchResult
    accept: bool
    trusted: bool = False
    """The service has answered, and its time does not contradict this machine's clock."""
    asked_at: datetime | None = None
    """The instant up to which the latest answer is complete."""

    @property
    def today(self) -> date:
        return self.now.astimezone(UTC).date()

    def answer_of(self, records: Iterable[Record]) -> _Sorted:
        """The whole answer; raises when the clock is wrong, before any of it is written."""
        self.client.begin_fetch()
        begun = time.monotonic()
        answer = sort_into_days(self.stream, records, self.today)
        self.check_clock()
        known = [day for day in (self.memory.newest, *answer.days) if day is not None]
        newest = max(known, default=None)
        self.memory = replace(self.memory, newest=newest)
        took = timedelta(seconds=time.monotonic() - begun)
        self.asked_at = asked_at(self.client, self.now, newest, took)
        return answer

    def check_clock(self) -> None:
        check_clock(self.home, self.client, self.now)
        self.trusted = True

    def landed(self, answer: _Sorted, written: Sequence[Written]) -> None:
        """The rows of an answer are durable."""
        keep_records(self.home, self.result.source, self.result.stream, answer.bad)
        self.result = replace(
            self.result,
            records=self.result.records + answer.records,
            unreadable=self.result.unreadable + len(answer.bad),
            written=_together([*self.result.written, *written]),
        )

    def remember(self) -> None:
        remember(self.home, self.result.source, self.result.stream, self.memory)


def _together(written: Iterable[Written]) -> tuple[Written, ...]:
    """The combined result per partition: windows of one fetch may share a month."""
    done: dict[date, Written] = {}
    for each in written:
        before = done.get(each.partition)
        if before is not None:
            each = replace(
                each,
                existed=before.existed,
                changed=before.changed or each.changed,
                new=before.new + each.new,
                altered=before.altered + each.altered,
                removed=before.removed + each.removed,
            )
        done[each.partition] = each
    return tuple(done.values())


def fetch_stream(
    home: Home,
    source: Source,
    stream: ApiStream,
    client: Client,
    *,
    now: datetime,
    beginning: date | None = None,
    window: Window | None = None,
    progress: Progress | None = None,
    accept: bool = False,
) -> FetchResult:
    """Fetch a stream and bring the lake up to date. Never raises for a service error, a damaged
    lake file or a defect in the source's code: each becomes the result's failure. A full disk does
    raise.

    ``window`` requests only these days (for a stream with windows); without it the due days are
    determined. ``beginning`` is the first day the user wants; without it the service is asked.
    ``accept`` takes the answer even if it removes most rows. The caller holds the source's
    lock.
    """
    lake = lake_of(home, source.name, stream)
    # an emptied lake is filled from the beginning, whatever is remembered about it
    before = recall(home, source.name, stream.name) if lake.partitions() else StreamMemory()
    fetch = _Fetch(
        home,
        stream,
        client,
        lake,
        now,
        believable(before, stream, now),
        FetchResult(source.name, stream.name, now),
        accept,
    )
    failure: ServiceError | None = None
    try:
        _fetch(fetch, source, beginning, window, progress)
        if later := jumped(before, now):
            said = (
                f"An earlier fetch is dated {later:%Y-%m-%d}, which is in the future: the clock "
                "was wrong then. What it fetched is fetched again.",
            )
            fetch.result = replace(fetch.result, notes=(*said, *fetch.result.notes))
    except Exception as error:
        failure = _failed(home, source, error)
    if failure is not None:
        # trust nothing from a fetch that the clock or the service ended before it began
        memory = fetch.memory if fetch.trusted else before
        fetch.memory = memory.failed(now, failure.failure.value, str(failure))
        fetch.result = replace(fetch.result, failure=failure)
    fetch.remember()
    return fetch.result


def _fetch(
    fetch: _Fetch,
    source: Source,
    beginning: date | None,
    window: Window | None,
    progress: Progress | None,
) -> None:
    stream, full_pass = fetch.stream, False
    if stream.fetch is not None and stream.coverage is Coverage.WINDOW:
        if window is None:
            begin = _beginning(fetch, source, beginning)
            check_beginning(begin, fetch.now)
            windows = windows_due(
                fetch.memory.settled, _days_with_a_file(fetch), begin, fetch.today
            )
        else:
            windows = list(spans([day for day in window.days() if day <= fetch.today]))
        _replace_windows(fetch, windows, progress)
    elif stream.fetch is not None and not _full_pass_due(fetch):
        asked = window or _since_last_fetch(fetch, _asked_from(fetch, source, beginning))
        _merge(fetch, stream.fetch(fetch.client, asked))
        if stream.fetch_all is not None and window is None and not _agrees(fetch):
            full_pass = True
            records = _counted(stream.fetch_all(fetch.client), stream.name, progress)
            _replace_all(fetch, records, beginning)
    elif stream.fetch_all is not None:
        full_pass = True
        records = _counted(stream.fetch_all(fetch.client), stream.name, progress)
        if stream.coverage is Coverage.STATE:
            _write_state(fetch, records)
        elif stream.coverage is Coverage.HISTORY:
            _write_history(fetch, records)
        else:
            _replace_all(fetch, records, beginning)
    unreadable, count = fetch.result.unreadable, fetch.result.records
    if is_format_changed(unreadable, count):
        # readable records are in the lake, but none of this counts as requested
        fetch.memory = replace(fetch.memory, unreadable=unreadable, records=count)
        raise ServiceError(Failure.FORMAT_CHANGED, format_changed(unreadable, count))
    if window is not None:
        # explicitly chosen days say nothing about the days since the last fetch
        return
    told = is_told(unreadable, count)
    forget_doubt(fetch.home, source.name, stream.name)
    notes = take_back(fetch.lake, stream, fetch.today, beginning, fetch.memory)
    fetch.result = replace(fetch.result, notes=(*fetch.result.notes, *notes))
    fetch.memory = replace(
        fetch.memory.succeeded(
            fetch.now, unreadable=unreadable, records=count, full_pass=full_pass and told
        ),
        asked_until=fetch.asked_at if told else fetch.memory.asked_until,
        restored=() if fetch.accept else fetch.memory.restored,
        present=_present(fetch),
    )


def _present(fetch: _Fetch) -> tuple[Window, ...]:
    # windowed streams need no second list of their days; past snapshots and states cannot be
    # fetched again
    kept = fetch.stream.coverage in (Coverage.PART, Coverage.FULL)
    return windows_of(_days_with_a_file(fetch)) if kept else ()


def _days_with_a_file(fetch: _Fetch) -> set[date]:
    """The days whose partition exists; whether they were requested is a separate question."""
    lake = fetch.lake
    return {day for partition in lake.partitions() for day in lake.units_of(partition)}


def _full_pass_due(fetch: _Fetch) -> bool:
    if fetch.stream.fetch_all is None:
        return False
    if fetch.memory.full_pass_at is None or _lost_a_file(fetch):
        return True
    # a run at the same hour a week later counts as a week
    passed = fetch.now - fetch.memory.full_pass_at
    return passed >= timedelta(days=fetch.stream.full_pass_days, hours=-1)


def _agrees(fetch: _Fetch) -> bool:
    """Whether the service's own counts confirm that the merged records are complete."""
    if fetch.stream.agrees is None:
        return True
    lake = fetch.lake
    records = {row.key: row.record for each in lake.partitions() for row in lake.rows(each)}
    return fetch.stream.agrees(fetch.client, records.values())


def _lost_a_file(fetch: _Fetch) -> bool:
    """Whether a partition left by the last fetch has disappeared. Its rows may have come with any
    fetch, so everything is requested."""
    known = {day for window in fetch.memory.present for day in window.days()}
    return not known <= _days_with_a_file(fetch)


def _asked_from(fetch: _Fetch, source: Source, beginning: date | None) -> date:
    """The day up to which a merged stream has been requested; its beginning if that is unknown."""
    until = fetch.memory.asked_until
    if until is None or _lost_a_file(fetch):
        return _beginning(fetch, source, beginning)
    return until.astimezone(UTC).date()


def _since_last_fetch(fetch: _Fetch, begin: date) -> Window:
    # overlap by at least a day: services interpret plain dates in their own time zones
    overlap = timedelta(days=max(fetch.stream.refetch_days, 1))
    return Window(min(begin, fetch.today) - overlap, fetch.today + timedelta(days=1))


def _beginning(fetch: _Fetch, source: Source, wanted: date | None) -> date:
    """The first day to fetch. The service is asked once, and the answer remembered."""
    if wanted is not None:
        return wanted
    if fetch.memory.beginning is None:
        told = source.beginning(fetch.client) if source.beginning is not None else None
        fetch.check_clock()
        present = fetch.lake.partitions()
        fetch.memory = replace(fetch.memory, beginning=told)
        # a day unknown now may become known later, with a key that may read more
        return told or (present[0] if present else fetch.today)
    return fetch.memory.beginning


def _counted(records: Iterator[Record], stream: str, progress: Progress | None) -> Iterator[Record]:
    for number, record in enumerate(records, 1):
        if progress and number % 100 == 0:
            progress(stream, number, 0)
        yield record


def _with_kept(
    lake: StreamLake, days: Iterable[date], answer: _Sorted
) -> dict[date, Iterable[Row]]:
    """The rows of these days, plus the old rows of records that have now arrived unreadable: a
    record that the service breaks today must not erase what was known about it yesterday."""
    rows = {day: dict(answer.days.get(day, {})) for day in days}
    if answer.bad:
        for day, there in lake.read_units(rows).items():
            for key, row in there.items():
                if answer.may_hold(key):
                    rows[day].setdefault(key, row)
    return {day: each.values() for day, each in rows.items()}


def _loss(answer: _Sorted, there: Iterable[str]) -> Loss:
    """The existing keys that an answer would remove."""
    if not answer.is_told:
        # it removes nothing, see _with_kept
        return NO_LOSS
    return loss(there, {*answer.rows, *answer.bad_keys})


def _believe(fetch: _Fetch, lost: Loss, rows: Callable[[], Mapping[str, Row]]) -> None:
    """Raises ``ServiceError(LOST_ROWS)`` when the loss is too large to be trusted yet; the answer
    is kept."""
    source, name = fetch.result.source, fetch.stream.name
    # states are never deleted, so even a few rows matter
    is_state = fetch.stream.coverage is Coverage.HISTORY
    doubtful = lost.is_most if is_state else lost.is_doubtful
    if fetch.accept or not doubtful(fetch.stream.max_loss):
        return
    if is_confirmed(fetch.home, source, name, lost.gone, fetch.now):
        return
    keep_answer(fetch.home, source, name, rows())
    said = loss_message(f"{name}: the answer", len(lost.gone), lost.of, source)
    raise ServiceError(
        Failure.LOST_ROWS,
        f"{said} It is also accepted if tomorrow's fetch returns the same.",
    )


def _spare_restored(fetch: _Fetch, days: Iterable[date], answer: _Sorted) -> None:
    """Raises ``ServiceError(LOST_ROWS)`` when a day would change that the user has restored."""
    restored = {day for window in fetch.memory.restored for day in window.days()}.intersection(days)
    changed = [day for day in sorted(restored) if _differs(fetch, day, answer)]
    if changed and not fetch.accept:
        source = fetch.result.source
        raise ServiceError(
            Failure.LOST_ROWS,
            f"{fetch.stream.name}: the answer would replace {len(changed):,} days that you "
            f"restored, from {changed[0]}. Nothing was changed. If the service is correct again, "
            f"run `personal-pipeline refresh --accept {source}`.",
        )


def _differs(fetch: _Fetch, day: date, answer: _Sorted) -> bool:
    volatile = fetch.stream.volatile
    there = fetch.lake.read(day)
    if fetch.stream.coverage is Coverage.PART:
        kept = {key: row for key, row in there.items() if key not in answer.rows}
        rows: Iterable[Row] = {**kept, **answer.days.get(day, {})}.values()
    else:
        rows = _with_kept(fetch.lake, [day], answer)[day]
    return content_digest(rows, volatile) != content_digest(there.values(), volatile)


def _replace_windows(fetch: _Fetch, windows: Sequence[Window], progress: Progress | None) -> None:
    """Request windows one after the other, and replace their days.

    Windows that lose most of their rows are held until the end: each may have few, but all of them
    together many. Windows with many unreadable records are also settled last.
    """
    assert fetch.stream.fetch is not None
    held: list[tuple[Window, _Sorted, datetime | None]] = []
    unsure: list[tuple[Window, datetime | None]] = []

    def replace_window(window: Window, answer: _Sorted, asked_at: datetime | None) -> None:
        fetch.landed(answer, fetch.lake.write_units(_with_kept(fetch.lake, window.days(), answer)))
        if answer.is_told:
            _settle(fetch, window, asked_at)
        elif not answer.is_format_changed:
            unsure.append((window, asked_at))

    lost = NO_LOSS
    total = sum((each.end - each.start).days for each in windows)
    done = 0
    for window in windows:
        answer = fetch.answer_of(fetch.stream.fetch(fetch.client, window))
        asked = set(window.days())
        # days that were not requested would look complete if these were written
        outside = [answer.days.pop(day) for day in answer.days.keys() - asked]
        reason = "its day is outside the requested days"
        answer.bad += [Unreadable(reason, row.record) for day in outside for row in day.values()]
        answer.bad_keys |= {key for day in outside for key in day} - answer.rows.keys()
        _spare_restored(fetch, asked, answer)
        there = fetch.lake.read_units(asked)
        gone = _loss(answer, (key for rows in there.values() for key in rows))
        if gone.is_most(fetch.stream.max_loss):
            held.append((window, answer, fetch.asked_at))
            lost += gone
        else:
            replace_window(window, answer, fetch.asked_at)
        done += (window.end - window.start).days
        if progress:
            progress(fetch.stream.name, done, total)
    _believe(fetch, lost, lambda: {k: row for _, each, _ in held for k, row in each.rows.items()})
    for window, answer, at in held:
        replace_window(window, answer, at)
    if is_told(fetch.result.unreadable, fetch.result.records):
        for window, at in unsure:
            _settle(fetch, window, at)


def _settle(fetch: _Fetch, window: Window, asked_at: datetime | None) -> None:
    if asked_at is not None:
        settled = settled_with(fetch.memory.settled, window, asked_at, fetch.stream.refetch_days)
        fetch.memory = replace(fetch.memory, settled=settled)
        fetch.remember()


def _replace_all(fetch: _Fetch, records: Iterable[Record], beginning: date | None) -> None:
    answer = fetch.answer_of(records)
    lake = fetch.lake
    keys: set[str] = set()
    # empty days do not count: a clock that was behind may have left thousands
    with_rows: set[date] = set()
    for partition in lake.partitions():
        for day, row in lake.filed(partition):
            keys.add(row.key)
            with_rows.add(day)
    present = {*lake.partitions(), *with_rows}
    _spare_restored(fetch, present | answer.days.keys(), answer)
    _believe(fetch, _loss(answer, keys), lambda: answer.rows)
    first = min([*answer.days, *with_rows, beginning or fetch.today, fetch.today])
    days = {*Window(first, fetch.today + timedelta(days=1)).days(), *present, *answer.days}
    fetch.landed(answer, lake.write_units(_with_kept(lake, sorted(days), answer)))


def _merge(fetch: _Fetch, records: Iterable[Record]) -> None:
    answer = fetch.answer_of(records)
    lake, came = fetch.lake, answer.rows.keys()
    # today is written even when nothing came: known to be empty is not the same as missing
    merged = lake.read_units([fetch.today, *answer.days])
    if came:
        # a record may have moved: remove it from days that are no longer its own
        for partition in lake.partitions():
            of_partition: dict[date, dict[str, Row]] = defaultdict(dict)
            for day, row in lake.filed(partition):
                of_partition[day][row.key] = row
            for day, there in of_partition.items():
                if not came.isdisjoint(there):
                    merged[day] = {key: row for key, row in there.items() if key not in came}
    for day, rows in answer.days.items():
        merged[day] |= rows
    _spare_restored(fetch, merged, answer)
    fetch.landed(
        answer, lake.write_units({day: rows.values() for day, rows in sorted(merged.items())})
    )


def _write_state(fetch: _Fetch, records: Iterable[Record]) -> None:
    answer = fetch.answer_of(records)
    lake, today = fetch.lake, fetch.today
    until_today = [day for day in lake.partitions() if day <= today]
    _spare_restored(fetch, [today], answer)
    newest = lake.read_units(until_today[-1:]).values()
    _believe(fetch, _loss(answer, (key for rows in newest for key in rows)), lambda: answer.rows)
    earlier = [day for day in until_today if day < today]
    rows = list(_with_kept(lake, [today], answer)[today])
    if earlier and not lake.path(today).exists():
        previous = lake.read(earlier[-1])
        rows += [
            row
            for key, row in previous.items()
            if answer.may_hold(key) and key not in answer.days.get(today, {})
        ]
        if previous == {row.key: row for row in rows}:
            # nothing new: report the newest partition again, unchanged
            fetch.landed(answer, [lake.write(earlier[-1], previous.values())])
            return
    fetch.landed(answer, [lake.write(today, rows)])


@dataclass(frozen=True, slots=True)
class _Seen:
    """A thing as it was seen by one fetch; its record is empty if it was gone."""

    key: str
    at: datetime
    record: Record

    @property
    def row(self) -> Row:
        as_of = self.at.isoformat(timespec="microseconds")
        return Row(f"{self.key} {as_of}", self.record, as_of=as_of)


def _seen(row: Row) -> _Seen:
    key, _, at = row.key.rpartition(" ")
    return _Seen(key, datetime.fromisoformat(at), row.record)


def _write_history(fetch: _Fetch, records: Iterable[Record]) -> None:
    """Add a row for each thing whose state differs from the last one seen. Rows are only added: a
    service does not report a past state again. Rows written by a clock that was ahead are removed
    from all days; the archive keeps them."""
    answer = fetch.answer_of(records)
    lake = fetch.lake

    def told(record: Record) -> str:
        return canonical(fetch.stream.state(record) if fetch.stream.state else record)

    present: dict[date, dict[str, Row]] = {}
    for partition in lake.partitions():
        present.setdefault(partition, {})
        for day, row in lake.filed(partition):
            present.setdefault(day, {})[row.key] = row
    # a row is filed under several days, and any copy will do; for a row from a clock that was
    # ahead, all copies are deleted
    rows = {key: row for each in present.values() for key, row in each.items()}
    seen = {key: _seen(row) for key, row in rows.items()}
    untrue = {key for key, each in seen.items() if each.at > fetch.now + AHEAD}
    history = sorted(
        (each for key, each in seen.items() if key not in untrue), key=lambda each: each.at
    )
    last = {each.key: each for each in history}
    there = {key for key, each in last.items() if each.record}
    _believe(fetch, _loss(answer, there), lambda: answer.rows)
    at = fetch.now.astimezone(UTC)
    if history:
        # keep fetches in order, even if the clock was set back by hours
        at = max(at, history[-1].at + timedelta(microseconds=1))
    for key, row in answer.rows.items():
        known = last.get(key)
        if known is None or not known.record or told(known.record) != told(row.record):
            history.append(_Seen(key, at, row.record))
    gone = [key for key in there - answer.rows.keys() if not answer.may_hold(key)]
    history += [_Seen(key, at, {}) for key in gone]
    # includes what a killed fetch left undone
    missing: dict[date, dict[str, Row]] = {}
    for day, each in _filed(fetch.stream, history):
        if each.row.key not in present.get(day, {}):
            missing.setdefault(day, {})[each.row.key] = each.row
    for day, held in present.items():
        # future days are removed as a whole, see ``take_back``
        if day <= fetch.today + AHEAD and not untrue.isdisjoint(held):
            missing.setdefault(day, {})
    if not missing:
        # nothing new: report the newest partition again, unchanged
        missing[max((day for day in present if day <= fetch.today), default=fetch.today)] = {}
    # the day of the fetch first: its file has everything that was seen, and is atomic
    days = sorted(missing, key=lambda day: (day != at.date(), day))
    fetch.landed(
        answer,
        lake.write_units(
            {
                day: [
                    *(row for key, row in present.get(day, {}).items() if key not in untrue),
                    *missing[day].values(),
                ]
                for day in days
            }
        ),
    )


def _filed(stream: ApiStream, history: Iterable[_Seen]) -> Iterator[tuple[date, _Seen]]:
    """Everything that was seen, in order, with each of its days: that of the fetch, and those since
    the previous fetch that saw a change on which something happened."""
    first = EARLIEST
    for at, of_fetch in groupby(history, key=lambda each: each.at):
        fetched_on = at.date()
        for each in of_fetch:
            told = stream.days(each.record) if each.record else ()
            yield from ((day, each) for day in {fetched_on, *told} if first <= day <= fetched_on)
        first = fetched_on


def fetch_streams(
    home: Home,
    settings: Settings,
    source: Source,
    streams: Collection[str],
    *,
    clock: Callable[[], datetime],
    beginning: date | None = None,
    window: Window | None = None,
    progress: Progress | None = None,
    accept: bool = False,
) -> list[FetchResult]:
    """Fetch the named streams of a connected source, within the source's time budget.

    A failing stream does not stop the others, unless the credential was refused, the clock is wrong
    or the time is used up: those would fail the same way. Raises ``Busy`` when another process
    holds the source's lock, and ``OSError`` when the disk is full.
    """
    if source.client is None:
        raise ValueError(f"{source.title} has nothing to fetch")
    wanted = [stream for stream in source.api if stream.name in streams]
    results: list[FetchResult] = []
    with home.lock(source.name, wait_seconds=settings.source_budget_seconds + LOCK_WAIT_SECONDS):
        try:
            known = with_keyring(settings, source.credentials)
            client = source.client(known)
        except Exception as error:
            # a locked keyring or malformed setting is no defect: the user can fix it
            settable = isinstance(error, NoKeyring | BadSetting)
            kind = Failure.CREDENTIAL_REFUSED if settable else Failure.DEFECT
            return _all_failed(home, source, wanted, clock(), _failed(home, source, error, kind))
        with client:
            client.deadline = time.monotonic() + settings.source_budget_seconds
            try:
                check_account(home, known, source, client, accept=accept)
            except Exception as error:
                return _all_failed(home, source, wanted, clock(), _failed(home, source, error))
            for stream in wanted:
                result = fetch_stream(
                    home,
                    source,
                    stream,
                    client,
                    now=clock(),
                    beginning=beginning or settings.start,
                    window=window,
                    progress=progress,
                    accept=accept,
                )
                results.append(result)
                if result.failure and result.failure.failure in _FAILS_ALIKE:
                    break
    return results


def _failed(
    home: Home, source: Source, error: Exception, kind: Failure = Failure.DEFECT
) -> ServiceError:
    """The error as reported to the user. A full disk is raised."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, DamagedPartition):
        return ServiceError(Failure.LAKE_DAMAGED, str(error))
    if isinstance(error, OSError) and error.errno in _DISK:
        raise error
    return ServiceError(kind, f"{source.title}: {sentence_of(error, home.root)}")


def _all_failed(
    home: Home, source: Source, streams: Sequence[ApiStream], now: datetime, failure: ServiceError
) -> list[FetchResult]:
    """The results for streams whose fetch could not even begin."""
    for stream in streams:
        memory = recall(home, source.name, stream.name)
        remember(
            home, source.name, stream.name, memory.failed(now, failure.failure.value, str(failure))
        )
    return [FetchResult(source.name, each.name, now, failure=failure) for each in streams]
