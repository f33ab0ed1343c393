"""Kit (formerly ConvertKit): a newsletter's subscribers, growth and broadcasts.

From API v4, and from the subscriber export that the user downloads each month.

What surprises in the API:

- ``/subscribers`` returns only active ones unless ``status=all`` is requested.
- A cancellation does not change ``created_at``, and not every account's rows have ``updated_at``:
  with it, the daily fetch requests what was updated; without it, what was created. Neither shows
  who was deleted; when Kit's counts differ from ours, everybody is fetched at once, and every seven
  days in any case.
- Filters are plain dates in the account's time zone, while timestamps are UTC: a day of overlap on
  either side compensates.
- Growth stats are one number for a whole range: a series takes one call per day. ``cancellations``
  is negative. The days are in the account's sending time zone, and ``starting`` and ``ending``
  carry its offset: truncated to a UTC date, ``starting`` could be the day before. So the requested
  day is added as ``requested_day``, the only field here that does not come from the service.
- The state is spelled ``cancelled``, its time ``canceled_at``.
- Rates are in percent: 60.97 is 60.97 %. Mail-privacy prefetching inflates ``open_rate``.
- Cursors are opaque and belong to one list.

What surprises in the export:

- The CSV has a byte order mark, no subscriber id and often no state: the file name then says which
  segment was exported. ``export_segment`` is added to every row.
- Nothing in it says when it was made. The month is that of the date in the name, else of the file's
  time; but nobody can be on a list before joining it: if a subscriber joined after that month
  (allowing a day for the time zone), the rows go to the month of the latest join, and a note among
  the unreadable rows says so.
- A JSON dump is a bare list, a page, a list of pages, or several of these concatenated, from API v4
  or v3.

Formats: https://developers.kit.com/api-reference, API v4 and v3; the export as seen in 2024-2026.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from personal_pipeline.ingest.contract import (
    ApiStream,
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Grain,
    Record,
    Source,
    Unreadable,
    UnreadableFile,
    Window,
)
from personal_pipeline.ingest.delimited import (
    delimiter_of,
    header_cells,
    plain_name,
    rows,
    unique_names,
)
from personal_pipeline.ingest.http import (
    Client,
    Failure,
    Query,
    ServiceError,
    pages,
    rows_of,
    whole_walk,
)
from personal_pipeline.settings import Setting, Settings

MAX_ROWS = 1000
"""Kit's maximum page size."""
OVERLAP = timedelta(days=1)
_NOT_TOLD = (Failure.FORMAT_CHANGED, Failure.PERMISSION_MISSING)
"""Errors from asking for the account for which there is a fallback."""

API_KEY = Setting(
    name="KIT_API_KEY",
    description=(
        "In Kit open Settings → Developer, add a V4 API key and put it into KIT_API_KEY; "
        "a V3 key or secret does not work."
    ),
    secret=True,
)
API_BASE = Setting(
    name="KIT_API_BASE",
    description="Another server that speaks the same API, for tests.",
    default="https://api.kit.com/v4",
)
REQUESTS_PER_MINUTE = Setting(
    name="KIT_REQUESTS_PER_MINUTE",
    description=(
        "How many requests a minute. 120 are allowed for a key: lower this if something else uses "
        "the account."
    ),
    default="120",
    pattern="[1-9][0-9]*",
)


# The API


def client(settings: Settings) -> Client:
    """A client with the user's key, at the rate limit of the user's plan."""
    return Client(
        "kit",
        settings.text(API_BASE),
        headers={"X-Kit-Api-Key": settings.text(API_KEY)},
        per_second=int(settings.text(REQUESTS_PER_MINUTE)) / 60,
        refused=f"Kit refuses the key. {API_KEY.description}",
    )


def beginning(client: Client) -> date | None:
    """The UTC day on which the account was opened, else that of its oldest subscriber."""
    try:
        return _day_of(client.get_json("/account")["account"]["created_at"])
    except (KeyError, TypeError, ValueError):
        pass
    except ServiceError as error:
        if error.failure not in _NOT_TOLD:
            raise
    oldest: Query = {"status": "all", "sort_field": "id", "sort_order": "asc", "per_page": 1}
    try:
        return _day_of(client.get_json("/subscribers", oldest)["subscribers"][0]["created_at"])
    except (KeyError, IndexError, TypeError, ValueError):
        return None


def account(_settings: Settings, client: Client) -> dict[str, str]:
    """The id of the account, else the time it was opened; empty if neither is available."""
    try:
        told = client.get_json("/account")["account"]
        found = told.get("id") or told["created_at"]
    except (KeyError, TypeError, AttributeError):
        return {}
    except ServiceError as error:
        if error.failure not in _NOT_TOLD:
            raise
        return {}
    return {"account": str(found)}


def every_row(
    client: Client,
    path: str,
    name: str,
    query: Iterable[tuple[str, str | int]],
    page_size: int,
) -> Iterator[Record]:
    """Every row of the list ``name``.

    If the row of a cursor was deleted in the meantime, the walk starts again. Raises
    ``ServiceError(FORMAT_CHANGED)`` when a response is not such a list, or the pages repeat.
    """
    asked = [*query, ("per_page", page_size)]
    return whole_walk(
        lambda: pages(client, path, asked, rows=name, cursor="after", next_cursor=_next_cursor),
        _id_of,
    )


def _next_cursor(answer: Any) -> object:
    told = answer["pagination"]
    # an empty cursor is refused, and not taken for the end
    return (told["end_cursor"] or "") if told.get("has_next_page") else None


def _id_of(row: object) -> str | None:
    found = row.get("id") if isinstance(row, dict) else None
    return None if found is None else str(found)


def changed_subscribers(page_size: int) -> Callable[[Client, Window], Iterator[Record]]:
    """A fetch of the subscribers, in every state, updated in a window; or created in it, if the
    account does not report updates."""

    def fetch(client: Client, window: Window) -> Iterator[Record]:
        path, name = "/subscribers", "subscribers"
        sample = rows_of(client.get_json(path, {"status": "all", "per_page": 1}), name)
        told = any(isinstance(row, dict) and "updated_at" in row for row in sample or ())
        word = "updated" if told else "created"
        bounds = [("status", "all"), (f"{word}_after", f"{window.start - OVERLAP}")]
        if window.end + OVERLAP <= datetime.now(UTC).date():
            bounds.append((f"{word}_before", f"{window.end + OVERLAP}"))
        return every_row(client, path, name, bounds, page_size)

    return fetch


def counts_agree(client: Client, records: Iterable[Record]) -> bool:
    """Whether Kit counts as many subscribers, in total and active, as these records. Deletions, and
    people who rejoin an account that does not report updates, show up in nothing else. True when
    Kit returns no counts."""
    states = [record.get("state") for record in records]
    for status, mine in (("all", len(states)), ("active", states.count("active"))):
        query: Query = {"status": status, "per_page": 1, "include_total_count": "true"}
        answer = client.get_json("/subscribers", query)
        told = answer.get("pagination") if isinstance(answer, dict) else None
        total = told.get("total_count") if isinstance(told, dict) else None
        if isinstance(total, int) and total != mine:
            return False
    return True


def all_subscribers(page_size: int) -> Callable[[Client], Iterator[Record]]:
    """A fetch of every subscriber in every state."""
    return lambda client: every_row(
        client, "/subscribers", "subscribers", [("status", "all")], page_size
    )


def growth_of_days(client: Client, window: Window) -> Iterator[Record]:
    """The growth stats of each day in a window, one call per day, up to today."""
    path = "/account/growth_stats"
    today = datetime.now(UTC).date()
    for day in window.days():
        if day > today:
            return
        answer = client.get_json(path, {"starting": f"{day}", "ending": f"{day}"})
        stats = answer.get("stats") if isinstance(answer, dict) else None
        if not isinstance(stats, dict):
            raise client.changed(path, "an object with stats")
        yield {**stats, "requested_day": f"{day}"}


def all_broadcasts(path: str, page_size: int) -> Callable[[Client], Iterator[Record]]:
    """A fetch of every broadcast, or of the stats of every broadcast."""
    return lambda client: every_row(client, path, "broadcasts", (), page_size)


def subscriber_days(record: Record) -> list[date]:
    """The UTC days on which a subscriber joined and left."""
    days = {_day_of(record["created_at"])}
    if record.get("canceled_at"):
        days.add(_day_of(record["canceled_at"]))
    elif record.get("state") != "active" and record.get("updated_at"):
        days.add(_day_of(record["updated_at"]))
    return sorted(days)


def broadcast_days(record: Record) -> list[date]:
    """The UTC days on which a broadcast was written, sent and published; for a scheduled one, the
    sending day is in the future."""
    later = (record.get(name) for name in ("send_at", "published_at"))
    return sorted({_day_of(record["created_at"]), *(_day_of(time) for time in later if time)})


def _id(record: Record) -> str:
    return str(record["id"])


def _day_of(time: object) -> date:
    """The UTC day of an ISO 8601 time. Raises ``ValueError`` when it is not one."""
    if not isinstance(time, str):
        raise ValueError("a time must be text in ISO 8601")
    moment = datetime.fromisoformat(time)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC).date()


# The export

EMAIL_COLUMNS = ("email", "email_address")
KNOWN_COLUMNS = frozenset(
    {*EMAIL_COLUMNS, "first_name", "last_name", "created_at", "tags", "state", "status"}
)
SEGMENTS = {
    "active": "confirmed",
    "bounced": "bounced",
    "canceled": "cancelled",
    "cancelled": "cancelled",
    "cold": "cold",
    "complained": "complained",
    "confirmed": "confirmed",
    "inactive": "inactive",
    "unconfirmed": "unconfirmed",
    "unsubscribed": "cancelled",
}
"""Kit's words for a segment, and those in file names, mapped to one word each."""

_FUTURE = timedelta(days=1)
_ZONES = timedelta(days=1)


def recognise_subscriber_export(file: DropFile) -> Claim | None:
    """Whether a file looks like Kit subscribers: by its columns, or by the names in its JSON."""
    try:
        head = file.head()
    except OSError:
        return None
    text = head.decode("utf-8-sig", errors="replace").lstrip()
    if text.startswith(("{", "[")):
        names = set(re.findall(r'"(\w+)"\s*:', text))
        if "subscribers" in names and names & {"pagination", "total_subscribers", "email_address"}:
            return Claim(0.95, "JSON pages of subscribers")
        if "email_address" in names and names & {"state", "created_at"}:
            return Claim(0.9, "JSON objects with email_address, and state or created_at")
        return Claim(0.6, "a JSON page of subscribers") if "subscribers" in names else None
    header = text.splitlines()[0] if text and "\0" not in text else ""
    columns = set(header_cells(header, delimiter_of(header, KNOWN_COLUMNS))) & KNOWN_COLUMNS
    named = f"columns {', '.join(sorted(columns))}"
    if columns.isdisjoint(EMAIL_COLUMNS):
        known = {"created_at", "first_name"} <= columns
        return Claim(0.4, f"{named}, but no email column") if known else None
    if "created_at" in columns:
        return Claim(0.9, named)
    return Claim(0.6, named) if len(columns) > 1 else None


def read_subscriber_export(file: DropFile) -> Iterator[DropRow | Unreadable]:
    """The subscribers in an export, CSV or JSON, keyed by lower-case e-mail address.

    Raises ``UnreadableFile`` when a CSV has no e-mail column.
    """
    captured = file.captured_at.astimezone(UTC).date().replace(day=1)
    newest = _newest_joined(file)
    month = captured
    if newest and newest - _ZONES >= _next_month(captured):
        month = newest.replace(day=1)
        yield Unreadable(
            f"this file is dated {captured:%Y-%m}, but has subscribers who joined in "
            f"{month:%Y-%m}: all its rows are filed under {month:%Y-%m}",
            file.name,
        )
    named = _segment_named(file.name)
    for item in _subscribers(file):
        if isinstance(item, Unreadable):
            yield item
            continue
        email = _email(item)
        if email is None:
            yield Unreadable("no e-mail address in email or email_address", item)
            continue
        segment = named or _segment_of(item)
        yield DropRow("subscriber_export", month, email, {**item, "export_segment": segment})


def _subscribers(file: DropFile) -> Iterator[Record | Unreadable]:
    start = file.head(4096).decode("utf-8-sig", errors="replace").lstrip()
    return _json_subscribers(file) if start.startswith(("{", "[")) else _csv_subscribers(file)


def _newest_joined(file: DropFile) -> date | None:
    """The latest plausible day on which somebody in the file joined."""
    latest = datetime.now(UTC).date() + _FUTURE
    days = (
        day
        for item in _subscribers(file)
        if not isinstance(item, Unreadable)
        and _email(item)
        and (day := _joined(item)) is not None
        and day <= latest
    )
    return max(days, default=None)


def _joined(record: Record) -> date | None:
    try:
        return _day_of(str(record.get("created_at")).strip().removesuffix(" UTC"))
    except (ValueError, OverflowError):
        return None


def _next_month(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)


def _email(record: Record) -> str | None:
    for column in EMAIL_COLUMNS:
        address = record.get(column)
        if isinstance(address, str) and "@" in address:
            return address.strip().lower()
    return None


def _segment_named(name: str) -> str | None:
    words = re.split(r"[^a-z]+", name.lower())
    return next((SEGMENTS[word] for word in words if word in SEGMENTS), None)


def _segment_of(record: Record) -> str | None:
    state = record.get("state", record.get("status"))
    if not isinstance(state, str) or not state.strip():
        return None
    return SEGMENTS.get(state.strip().lower(), state.strip().lower())


def _csv_subscribers(file: DropFile) -> Iterator[Record | Unreadable]:
    # Bytes that are not UTF-8 become lone surrogates, which affect only their own row.
    with file.path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        blank, header_line = 0, ""
        for header_line in lines:
            if header_line.strip():
                break
            blank += 1
        delimiter = delimiter_of(header_line, KNOWN_COLUMNS)
        names = unique_names(
            [
                plain if (plain := plain_name(cell)) in KNOWN_COLUMNS else cell
                for row in rows([header_line], delimiter)
                for cell in row.cells or ()
            ]
        )
        if not set(names) & set(EMAIL_COLUMNS):
            raise UnreadableFile(
                "expected a column email in the first row. In Kit open Subscribers, select all, "
                "and export them again."
            )
        for row in rows(lines, delimiter, width=len(names), first_line=blank + 2):
            if row.cells is None:
                reason = "the quotes do not match"
            elif len(row.cells) != len(names):
                reason = f"expected {len(names)} cells, found {len(row.cells)}"
            elif not _is_unicode(row.text):
                reason = "expected UTF-8 text"
            else:
                yield dict(zip(names, row.cells, strict=True))
                continue
            raw = row.text.encode(errors="surrogateescape").decode(errors="backslashreplace")
            yield Unreadable(f"line {row.line}: {reason}", raw)


def _json_subscribers(file: DropFile) -> Iterator[Record | Unreadable]:
    text = file.content().decode("utf-8-sig", errors="surrogateescape")
    for value in _json_values(text):
        if isinstance(value, Unreadable):
            yield value
        else:
            yield from _subscribers_in(value)


def _subscribers_in(value: Any) -> Iterator[Record | Unreadable]:
    """The subscribers in a JSON value: one, a page of them, or a list of either."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting.extend(reversed(item))
        elif isinstance(item, dict) and isinstance(item.get("subscribers"), list):
            waiting.extend(reversed(item["subscribers"]))
        elif isinstance(item, dict) and isinstance(item.get("subscriber"), dict):
            waiting.append(item["subscriber"])
        elif not isinstance(item, dict):
            yield Unreadable("expected a subscriber as a JSON object", repr(item))
        else:
            yield _keepable(item)


def _keepable(record: Record) -> Record | Unreadable:
    """The record, unless only Python could read it back."""
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return Unreadable(
            "expected whole Unicode characters, found half of one", json.dumps(record)
        )
    except RecursionError:
        return Unreadable("nested too deeply", "see the original in the archive")
    return record


def _json_values(text: str) -> Iterator[Any]:
    """The JSON values in a text, one after the other; from a damaged one, the intact subscribers
    and pages, with anything between them as ``Unreadable``."""
    decoder = json.JSONDecoder(parse_constant=_not_json)
    place = _after_space(text, 0)
    while place < len(text):
        try:
            value, place = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            yield from _whole_objects(text[place:], decoder)
            return
        yield value
        place = _after_space(text, place)


def _after_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def _whole_objects(text: str, decoder: json.JSONDecoder) -> Iterator[Any]:
    damaged, place = 0, text.find("{")
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            end = place + 1
        else:
            if _email(value) or isinstance(value.get("subscribers"), list):
                yield from _damage(text[damaged:place])
                yield value
                damaged = end
        place = text.find("{", end)
    yield from _damage(text[damaged:])


def _damage(text: str) -> Iterator[Unreadable]:
    # When all objects are intact, only brackets, commas and the name of the list remain.
    if re.sub(r'"subscribers"\s*:|[\s,\[\]{}]', "", text):
        raw = text.encode(errors="backslashreplace").decode()
        yield Unreadable("damaged JSON: expected whole subscriber objects", raw)


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


SUBSCRIBER_EXPORT = Drop(
    name="subscriber_export",
    description="the subscriber export of Kit: CSV, or JSON of the API's subscriber lists",
    how_to=(
        "1. Open https://app.kit.com/subscribers (Grow → Subscribers).\n"
        "2. Choose which to export: all subscribers, or one state such as Confirmed, Cold or "
        "Cancelled.\n"
        "3. Tick the box above the list and choose to select all, then Bulk actions → Export.\n"
        "4. Kit mails a link: download the CSV. If you exported one state, put its name into the "
        "name of the file, such as kit-cancelled-2026-11.csv.\n"
        "5. Move the file into the inbox."
    ),
    recognise=recognise_subscriber_export,
    read=read_subscriber_export,
    streams=(
        DropStream(
            name="subscriber_export",
            description=(
                "One row a subscriber and month of export, keyed by lower-case e-mail address: the "
                "columns of the file as text (JSON: as they are), and export_segment."
            ),
            coverage=Coverage.PART,
        ),
    ),
    monthly_on_day=1,
)


def kit_source(page_size: int = MAX_ROWS) -> Source:
    """The source, with pages of ``page_size`` rows."""
    return Source(
        name="kit",
        title="Kit",
        description="Subscribers, growth and broadcasts of a Kit (ConvertKit) newsletter.",
        settings=(API_KEY, API_BASE, REQUESTS_PER_MINUTE),
        client=client,
        beginning=beginning,
        account=account,
        api=(
            ApiStream(
                name="subscribers",
                description=(
                    "One row a subscriber in any state; times ISO 8601 UTC; filed under the day "
                    "of joining and the day of leaving."
                ),
                grain=Grain.MONTH,
                key=_id,
                days=subscriber_days,
                required={"id": (int, str), "created_at": str, "state": str},
                fetch=changed_subscribers(page_size),
                fetch_all=all_subscribers(page_size),
                coverage=Coverage.PART,
                full_pass_days=7,
                agrees=counts_agree,
            ),
            ApiStream(
                name="growth_stats",
                description=(
                    "One row a day of the account's own zone, requested_day: subscribers at its "
                    "end, new ones, cancellations (negative), net."
                ),
                grain=Grain.MONTH,
                key=lambda record: str(record["requested_day"]),
                days=lambda record: (date.fromisoformat(record["requested_day"]),),
                required={
                    "subscribers": int,
                    "new_subscribers": int,
                    "cancellations": int,
                    "requested_day": str,
                },
                fetch=growth_of_days,
            ),
            ApiStream(
                name="broadcasts",
                description=(
                    "One row a broadcast, drafts and scheduled ones too; times ISO 8601 UTC; filed "
                    "under the days on which it was written, sent and published."
                ),
                grain=Grain.MONTH,
                key=_id,
                days=broadcast_days,
                required={"id": (int, str), "created_at": str},
                fetch_all=all_broadcasts("/broadcasts", page_size),
                coverage=Coverage.FULL,
            ),
            ApiStream(
                name="broadcast_stats",
                description=(
                    "One row per broadcast and per day on which a fetch saw its figures change: "
                    "recipients, opens and clicks (rates in percent), unsubscribes."
                ),
                grain=Grain.DAY,
                key=_id,
                required={"id": (int, str), "stats": dict},
                fetch_all=all_broadcasts("/broadcasts/stats", page_size),
                coverage=Coverage.STATE,
            ),
        ),
        drops=(SUBSCRIBER_EXPORT,),
    )


KIT = kit_source()
