"""Kit: its API v4 (https://developers.kit.com), and the exports of its subscribers.

Unknown parameters are ignored.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import Any

from personal_pipeline.demo import kit_format
from personal_pipeline.demo.chance import add_months, at
from personal_pipeline.demo.invented import (
    Answer,
    File,
    Invented,
    Object,
    Query,
    Refused,
    Request,
    Service,
    export_days,
    json_answer,
    json_file,
    one,
)
from personal_pipeline.demo.life import Life

KEY = "kit_invented"
"""The only key that is accepted; all others get 401."""

V3_EXPORT = 2
V4_EXPORTS_EVERY = 9
LATE_EXPORT = 11
"""The number of the export that came a month late; the next came at the end of that month."""
REPEATED_EXPORT = 13
FOUND_VIA_SINCE = 16
"""From this export on, the file has one more column."""
_DAY = timedelta(days=1)


def _service(life: Life) -> Service:
    """Pages with opaque cursors, plain dates in filters, most recent first.

    ``…_after`` includes the day that it names, ``…_before`` does not.
    """
    subscribers = [
        (each, kit_format.subscriber(each, life.end)) for each in reversed(life.subscribers)
    ]
    broadcasts = [kit_format.broadcast(each) for each in reversed(life.broadcasts)]
    stats = [
        kit_format.broadcast_stats(each)
        for each in reversed(life.broadcasts)
        if each.status == "completed"
    ]

    def answer(request: Request) -> Answer:
        if request.headers.get("x-kit-api-key") != KEY:
            raise _error("The API key is invalid", status=HTTPStatus.UNAUTHORIZED)
        name, query = request.path.removeprefix("/v4/").rstrip("/"), request.query
        if name == "account":
            return json_answer(kit_format.account(life))
        if name == "account/growth_stats":
            return json_answer({"stats": _growth_stats(life, query)})
        if name == "subscribers":
            return json_answer(_page(name, _wanted_subscribers(subscribers, query, life), query))
        if name == "broadcasts":
            return json_answer(_page(name, _wanted_broadcasts(broadcasts, query), query))
        if name == "broadcasts/stats":
            return json_answer(_page("broadcasts", _wanted_broadcasts(stats, query), query))
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == "broadcasts" and parts[2] == "stats":
            for each in stats:
                if str(each["id"]) == parts[1]:
                    return json_answer({"broadcast": {"id": each["id"], "stats": each["stats"]}})
        raise _error("Not Found", status=HTTPStatus.NOT_FOUND)

    return answer


def _growth_stats(life: Life, query: Query) -> Object:
    ending = _day(query, "ending") or life.until
    starting = _day(query, "starting") or ending - timedelta(days=90)
    if starting > ending:
        raise _error("starting must not be after ending")
    return kit_format.growth_stats(life, starting, ending)


def _wanted_subscribers(
    subscribers: Sequence[tuple[Any, Object]], query: Query, life: Life
) -> list[Object]:
    status = one(query, "status") or "active"
    if status not in ("active", "inactive", "bounced", "complained", "cancelled", "all"):
        raise _error("Status is invalid")
    bounds = {
        name: _day(query, name)
        for name in ("created_after", "created_before", "updated_after", "updated_before")
    }
    email = one(query, "email_address")
    with_tags = "tags" in (one(query, "include") or "").split(",")
    sort_field = one(query, "sort_field") or "id"
    field_name = {"id": "id", "updated_at": "updated_at", "cancelled_at": "canceled_at"}.get(
        sort_field
    )
    if field_name is None:
        raise _error("Sort field is invalid")
    wanted = []
    for person, each in subscribers:
        if status not in ("all", each["state"]) or (email and email != each["email_address"]):
            continue
        if sort_field == "cancelled_at" and each["canceled_at"] is None:
            continue
        if all(
            bound is None or _within(name, each[f"{name.partition('_')[0]}_at"], bound)
            for name, bound in bounds.items()
        ):
            wanted.append(
                kit_format.subscriber(person, life.end, with_tags=True) if with_tags else each
            )
    if sort_field != "id":
        wanted.sort(key=lambda each: (each[field_name], each["id"]), reverse=True)
    if one(query, "sort_order") == "asc":
        wanted.reverse()
    return wanted


def _wanted_broadcasts(broadcasts: Sequence[Object], query: Query) -> list[Object]:
    status = one(query, "status")
    after, before = _day(query, "sent_after"), _day(query, "sent_before")
    return [
        each
        for each in broadcasts
        if (status is None or (each.get("status") or each["stats"]["status"]) == status)
        and (after is None or (each["send_at"] and each["send_at"] >= str(after)))
        and (before is None or (each["send_at"] and each["send_at"] < str(before)))
    ]


def _within(name: str, instant: str, bound: date) -> bool:
    # ISO 8601 in one zone sorts as text
    return instant >= str(bound) if name.endswith("_after") else instant < str(bound)


def _page(name: str, rows: Sequence[Object], query: Query) -> Object:
    """One page of a list, with the cursors of its first and last row."""
    asked = one(query, "per_page")
    per_page = int(asked) if asked and asked.isdecimal() else 500
    if (asked and not asked.isdecimal()) or not 1 <= per_page <= 1000:
        raise _error("Per page must be between 1 and 1000")
    after, before = _mark(query, "after", rows), _mark(query, "before", rows)
    if before is not None:
        last = before
        first = max(0, last - per_page)
    else:
        first = 0 if after is None else after + 1
        last = min(first + per_page, len(rows))
    page = rows[first:last]
    pagination: Object = {
        "has_previous_page": first > 0,
        "has_next_page": last < len(rows),
        "start_cursor": kit_format.cursor(page[0]["id"]) if page else None,
        "end_cursor": kit_format.cursor(page[-1]["id"]) if page else None,
        "per_page": per_page,
    }
    if one(query, "include_total_count") == "true":
        pagination["total_count"] = len(rows)
    return {name: page, "pagination": pagination}


def _mark(query: Query, parameter: str, rows: Sequence[Object]) -> int | None:
    cursor = one(query, parameter)
    if not cursor:
        return None
    try:
        (wanted,) = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise _error("The cursor is invalid") from None
    for index, row in enumerate(rows):
        if row["id"] == wanted:
            return index
    raise _error("The cursor is invalid")


def _day(query: Query, parameter: str) -> date | None:
    value = one(query, parameter)
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _error(f"{parameter} must be a date (YYYY-MM-DD)") from None


def _error(message: str, *, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> Refused:
    return Refused(status, {"errors": [message]})


def _exports(life: Life) -> Iterator[File]:
    for number, day in enumerate(export_days(life), 1):
        made_on = day
        if number == LATE_EXPORT:
            made_on = add_months(day, 1) + _DAY
        elif number == LATE_EXPORT + 1:
            made_on = day + timedelta(days=26)
        if made_on > life.end.date():
            continue
        made_at = at(made_on, 0, 10) if made_on == life.end.date() else at(made_on, 6, 55)
        if number == V3_EXPORT:
            pages = kit_format.export_v3(life.subscribers, made_at)
            yield json_file(f"convertkit-subscribers-{made_on}.json", made_at, pages)
        elif number % V4_EXPORTS_EVERY == 0:
            pages = kit_format.export_v4(life.subscribers, made_at)
            yield json_file(f"kit-subscribers-all-{made_on}.json", made_at, pages)
        else:
            found_via = number >= FOUND_VIA_SINCE
            table = kit_format.export_csv(life.subscribers, made_at, found_via=found_via)
            yield File(f"kit-confirmed-subscribers-{made_on}.csv", made_at, table)
            if number == REPEATED_EXPORT:
                again = made_at + timedelta(minutes=3)
                yield File(f"kit-confirmed-subscribers-{made_on} (1).csv", again, table)


KIT = Invented(
    source="kit",
    services=lambda life: {"/v4/": _service(life)},
    settings=lambda life, base: {
        "KIT_API_BASE": f"{base}/v4",
        "KIT_API_KEY": KEY,
        # our own server needs no rate limit
        "KIT_REQUESTS_PER_MINUTE": "60000",
    },
    files=_exports,
)
