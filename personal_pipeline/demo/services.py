"""The services of the invented life, answering over HTTP on this machine only.

One server stands in for Stripe (``/v1``), Kit (``/v4``), the feed of Medium and the sheet. It
pages, filters and refuses as they do. A parameter that it does not know is refused where Stripe
would refuse it, and ignored where Kit would.
"""

from __future__ import annotations

import base64
import binascii
import csv
import io
import json
import operator
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, islice
from typing import Any, TypeAlias
from urllib.parse import parse_qs, urlsplit

from personal_pipeline.demo import kit_format, medium_format, stripe_format
from personal_pipeline.demo.life import SHEET_HEADER, Life

Object: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, list[str]]

STRIPE_KEY = "rk_live_invented"
KIT_KEY = "kit_invented"
"""The only keys that are accepted; every other gets 401."""

_SHEET = "/spreadsheets/d/1InventedSheetOfStories/export"
_SHEET_CONTENT = "/sheet-content/export"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the services answer, and the keys that open them."""

    stripe_api_base: str
    stripe_api_key: str
    kit_api_base: str
    """Ends in ``/v4``."""
    kit_api_key: str
    medium_feed_url: str
    story_sheet_url: str

    def environment(self) -> dict[str, str]:
        """The same as environment variables of the pipeline."""
        return {
            "STRIPE_API_BASE": self.stripe_api_base,
            "STRIPE_API_KEY": self.stripe_api_key,
            "KIT_API_BASE": self.kit_api_base,
            "KIT_API_KEY": self.kit_api_key,
            "MEDIUM_FEED_URL": self.medium_feed_url,
            "STORY_SHEET_URL": self.story_sheet_url,
        }


@dataclass(frozen=True, slots=True)
class Request:
    """One GET: its path, its query, and its headers by lower-case name."""

    path: str
    query: Query
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, b"<html><body>Not found</body></html>", "text/html")


class Refused(Exception):
    """The service refuses the request with this answer."""

    def __init__(self, status: HTTPStatus, body: Object) -> None:
        super().__init__(status)
        self.answer = _json(body, status)


Service: TypeAlias = Callable[[Request], Answer]


@contextmanager
def serve(life: Life) -> Iterator[Addresses]:
    """Answer for the services of a life, on a free port of 127.0.0.1, until the block is left."""
    sheet = _sheet_service(life)
    services: dict[str, Service] = {
        "/v1/": _stripe_service(life),
        "/v4/": _kit_service(life),
        "/feed/": _feed_service(life),
        _SHEET: sheet,
        _SHEET_CONTENT: sheet,
    }
    server = _Server(("127.0.0.1", 0), _handler(services))
    base = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield Addresses(
            stripe_api_base=base,
            stripe_api_key=STRIPE_KEY,
            kit_api_base=f"{base}/v4",
            kit_api_key=KIT_KEY,
            medium_feed_url=f"{base}/feed/@{life.writer.username}",
            story_sheet_url=f"{base}{_SHEET}?format=csv&gid=0",
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Tell of what went wrong here; a client that hung up is its own affair."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


def _handler(services: Mapping[str, Service]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave in one piece; in two, each answer would wait for an acknowledgement.
        wbufsize = 65_536
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            address = urlsplit(self.path)
            request = Request(
                path=address.path,
                query=parse_qs(address.query, keep_blank_values=True),
                headers={name.lower(): value for name, value in self.headers.items()},
            )
            service = next(
                (each for prefix, each in services.items() if address.path.startswith(prefix)),
                lambda _: NOT_FOUND,
            )
            try:
                answer = service(request)
            except Refused as refused:
                answer = refused.answer
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as inherited
            """Say nothing: an address can hold what is private."""

    return Handler


def _json(body: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    return Answer(status, json.dumps(body, ensure_ascii=False).encode())


# --- Stripe ---------------------------------------------------------------------------------------

_STRIPE_FILTERS: dict[str, tuple[str, ...]] = {
    "balance_transactions": ("currency", "payout", "source", "type"),
    "charges": ("customer", "payment_intent", "transfer_group"),
    "customers": ("email",),
    "disputes": ("charge", "payment_intent"),
    "payouts": ("destination", "status"),
    "refunds": ("charge", "payment_intent"),
    "subscriptions": ("collection_method", "customer", "price", "status"),
}
_OPERATORS: dict[str, Callable[[int, int], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
}
_ENDED = ("canceled", "incomplete_expired")


def _stripe_service(life: Life) -> Service:
    """https://docs.stripe.com/api: lists newest first, ``starting_after``, ``created[gte]``."""
    lists = stripe_format.objects(life)
    places = {
        name: {each["id"]: index for index, each in enumerate(objects)}
        for name, objects in lists.items()
    }
    contained = {each.transaction_id: each.payout_id for each in life.money.balance_transactions}
    account, balance = stripe_format.account(life), stripe_format.balance(life)
    numbers = count(1)

    def answer(request: Request) -> Answer:
        headers = {
            "Request-Id": f"req_{next(numbers):014d}",
            "Stripe-Version": request.headers.get("stripe-version", "2026-06-24.dahlia"),
        }
        body = reply(request)
        return Answer(body.status, body.body, body.content_type, headers)

    def reply(request: Request) -> Answer:
        _check_stripe_key(request)
        name = request.path.removeprefix("/v1/").rstrip("/")
        if name == "account":
            return _json(account)
        if name == "balance":
            return _json(balance)
        if name not in lists:
            raise _stripe_error(
                f"Unrecognized request URL (GET: {request.path}).", status=HTTPStatus.NOT_FOUND
            )
        wanted = _stripe_filter(name, request.query, contained)
        limit = _stripe_integer(request.query, "limit", 10)
        if not 1 <= limit <= 100:
            raise _stripe_error("This value must be between 1 and 100.", "limit")
        objects, place = lists[name], places[name]
        after, before = _one(request.query, "starting_after"), _one(request.query, "ending_before")
        for mark in (after, before):
            if mark is not None and mark not in place:
                raise _stripe_error(
                    "No such object to continue from.", "starting_after", code="resource_missing"
                )
        if before is not None:
            earlier = (objects[index] for index in range(place[before] - 1, -1, -1))
            page = list(islice(filter(wanted, earlier), limit + 1))
            data = page[:limit][::-1]
        else:
            begin = 0 if after is None else place[after] + 1
            later = (objects[index] for index in range(begin, len(objects)))
            page = list(islice(filter(wanted, later), limit + 1))
            data = page[:limit]
        return _json(
            {"object": "list", "url": f"/v1/{name}", "has_more": len(page) > limit, "data": data}
        )

    return answer


def _check_stripe_key(request: Request) -> None:
    given = request.headers.get("authorization", "")
    if given == f"Bearer {STRIPE_KEY}":
        return
    if given == "Basic " + base64.b64encode(f"{STRIPE_KEY}:".encode()).decode():
        return
    message = (
        "Invalid API Key provided."
        if given
        else "You did not provide an API key. You need to provide your API key in the "
        "Authorization header, using Bearer auth."
    )
    raise _stripe_error(message, status=HTTPStatus.UNAUTHORIZED)


def _stripe_filter(
    name: str, query: Query, contained: Mapping[str, str | None]
) -> Callable[[Object], bool]:
    """What the parameters ask for; those that the list does not have are refused."""
    tests: list[Callable[[Object], bool]] = []
    if name == "subscriptions":
        tests.append(_has_status(_one(query, "status")))
    for parameter in query:
        value = _one(query, parameter) or ""
        stem, _, rest = parameter.partition("[")
        paging = parameter in ("limit", "starting_after", "ending_before")
        if paging or (parameter == "status" and name == "subscriptions"):
            continue
        if parameter == "payout" and name == "balance_transactions":
            tests.append(_is_in_payout(contained, value))
        elif parameter == "price" and name == "subscriptions":
            tests.append(_has_price(value))
        elif parameter in _STRIPE_FILTERS[name]:
            tests.append(_equals(parameter, value))
        elif stem == "created" or (stem == "arrival_date" and name == "payouts"):
            bound = _stripe_integer(query, parameter, 0)
            tests.append(_in_range(parameter, stem, rest.removesuffix("]") or "eq", bound))
        else:
            raise _stripe_error(
                f"Received unknown parameter: {parameter}", parameter, code="parameter_unknown"
            )
    return lambda each: all(test(each) for test in tests)


def _has_status(wanted: str | None) -> Callable[[Object], bool]:
    if wanted == "all":
        return lambda each: True
    if wanted == "ended":
        return lambda each: each["status"] in _ENDED
    if wanted is None:
        return lambda each: each["status"] not in _ENDED
    return lambda each: each["status"] == wanted


def _has_price(price: str) -> Callable[[Object], bool]:
    return lambda each: any(item["price"]["id"] == price for item in each["items"]["data"])


def _is_in_payout(contained: Mapping[str, str | None], payout: str) -> Callable[[Object], bool]:
    return lambda each: contained[each["id"]] == payout


def _equals(name: str, value: str) -> Callable[[Object], bool]:
    return lambda each: bool(each[name] == value)


def _in_range(parameter: str, name: str, comparison: str, bound: int) -> Callable[[Object], bool]:
    compare = _OPERATORS.get(comparison)
    if compare is None:
        raise _stripe_error(
            f"Received unknown parameter: {parameter}", parameter, code="parameter_unknown"
        )
    return lambda each: compare(each[name], bound)


def _stripe_integer(query: Query, parameter: str, default: int) -> int:
    value = _one(query, parameter)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise _stripe_error(
            "Invalid integer.", parameter, code="parameter_invalid_integer"
        ) from None


def _stripe_error(
    message: str,
    parameter: str | None = None,
    *,
    code: str | None = None,
    status: HTTPStatus = HTTPStatus.BAD_REQUEST,
) -> Refused:
    error: Object = {"type": "invalid_request_error", "message": message}
    if code is not None:
        error["code"] = code
        error["doc_url"] = f"https://docs.stripe.com/error-codes/{code.replace('_', '-')}"
    if parameter is not None:
        error["param"] = parameter
    return Refused(status, {"error": error})


# --- Kit ------------------------------------------------------------------------------------------


def _kit_service(life: Life) -> Service:
    """https://developers.kit.com: pages with opaque cursors, plain dates in filters, newest first.

    ``…_after`` takes in the day that it names, ``…_before`` does not.
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
        if request.headers.get("x-kit-api-key") != KIT_KEY:
            raise _kit_error("The API key is invalid", status=HTTPStatus.UNAUTHORIZED)
        name, query = request.path.removeprefix("/v4/").rstrip("/"), request.query
        if name == "account":
            return _json(kit_format.account(life))
        if name == "account/growth_stats":
            return _json({"stats": _growth_stats(life, query)})
        if name == "subscribers":
            return _json(_page(name, _wanted_subscribers(subscribers, query, life), query))
        if name == "broadcasts":
            return _json(_page(name, _wanted_broadcasts(broadcasts, query), query))
        if name == "broadcasts/stats":
            return _json(_page("broadcasts", _wanted_broadcasts(stats, query), query))
        parts = name.split("/")
        if len(parts) == 3 and parts[0] == "broadcasts" and parts[2] == "stats":
            for each in stats:
                if str(each["id"]) == parts[1]:
                    return _json({"broadcast": {"id": each["id"], "stats": each["stats"]}})
        raise _kit_error("Not Found", status=HTTPStatus.NOT_FOUND)

    return answer


def _growth_stats(life: Life, query: Query) -> Object:
    ending = _day(query, "ending") or life.until
    starting = _day(query, "starting") or ending - timedelta(days=90)
    if starting > ending:
        raise _kit_error("starting must not be after ending")
    return kit_format.growth_stats(life, starting, ending)


def _wanted_subscribers(
    subscribers: Sequence[tuple[Any, Object]], query: Query, life: Life
) -> list[Object]:
    status = _one(query, "status") or "active"
    if status not in ("active", "inactive", "bounced", "complained", "cancelled", "all"):
        raise _kit_error("Status is invalid")
    bounds = {
        name: _day(query, name)
        for name in ("created_after", "created_before", "updated_after", "updated_before")
    }
    email = _one(query, "email_address")
    with_tags = "tags" in (_one(query, "include") or "").split(",")
    sort_field = _one(query, "sort_field") or "id"
    field_name = {"id": "id", "updated_at": "updated_at", "cancelled_at": "canceled_at"}.get(
        sort_field
    )
    if field_name is None:
        raise _kit_error("Sort field is invalid")
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
    if _one(query, "sort_order") == "asc":
        wanted.reverse()
    return wanted


def _wanted_broadcasts(broadcasts: Sequence[Object], query: Query) -> list[Object]:
    status = _one(query, "status")
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
    """A page of a list, with the marks of its first and last row."""
    asked = _one(query, "per_page")
    per_page = int(asked) if asked and asked.isdecimal() else 500
    if (asked and not asked.isdecimal()) or not 1 <= per_page <= 1000:
        raise _kit_error("Per page must be between 1 and 1000")
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
    if _one(query, "include_total_count") == "true":
        pagination["total_count"] = len(rows)
    return {name: page, "pagination": pagination}


def _mark(query: Query, parameter: str, rows: Sequence[Object]) -> int | None:
    cursor = _one(query, parameter)
    if not cursor:
        return None
    try:
        (wanted,) = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError, TypeError):
        raise _kit_error("The cursor is invalid") from None
    for index, row in enumerate(rows):
        if row["id"] == wanted:
            return index
    raise _kit_error("The cursor is invalid")


def _day(query: Query, parameter: str) -> date | None:
    value = _one(query, parameter)
    if not value:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise _kit_error(f"{parameter} must be a date (YYYY-MM-DD)") from None


def _kit_error(message: str, *, status: HTTPStatus = HTTPStatus.UNPROCESSABLE_ENTITY) -> Refused:
    return Refused(status, {"errors": [message]})


def _one(query: Query, parameter: str) -> str | None:
    """The value of a parameter; the last one, where it is given more than once."""
    values = query.get(parameter)
    return values[-1] if values else None


# --- the feed and the sheet -----------------------------------------------------------------------


def _feed_service(life: Life) -> Service:
    body = medium_format.feed(life).encode()

    def answer(request: Request) -> Answer:
        if request.path != f"/feed/@{life.writer.username}":
            return NOT_FOUND
        return Answer(HTTPStatus.OK, body, "text/xml; charset=UTF-8")

    return answer


def _sheet_service(life: Life) -> Service:
    """The sheet by its export address, which sends the reader on to where the content lies."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(SHEET_HEADER)
    for row in life.sheet:
        table.writerow(
            (row.story_url, row.boosted, row.boosted_date, row.notes, row.unnamed, row.mood)
        )
    # the service ends the last row without a line break
    body = text.getvalue().removesuffix("\r\n").encode()

    def answer(request: Request) -> Answer:
        if request.path == _SHEET_CONTENT:
            disposition = {"Content-Disposition": 'attachment; filename="Stories-Sheet1.csv"'}
            return Answer(HTTPStatus.OK, body, "text/csv", disposition)
        if request.path == _SHEET and _one(request.query, "format") == "csv":
            location = {"Location": _SHEET_CONTENT}
            return Answer(HTTPStatus.TEMPORARY_REDIRECT, b"", "text/html; charset=UTF-8", location)
        return NOT_FOUND

    return answer
