"""Stripe: https://docs.stripe.com/api. Unknown parameters are refused."""

from __future__ import annotations

import base64
import operator
from collections.abc import Callable, Mapping
from http import HTTPStatus
from itertools import count, islice

from personal_pipeline.demo import stripe_format
from personal_pipeline.demo.invented import (
    Answer,
    Invented,
    Object,
    Query,
    Refused,
    Request,
    Service,
    json_answer,
    one,
)
from personal_pipeline.demo.life import Life

KEY = "rk_live_invented"
"""The only key that is accepted; all others get 401."""

_FILTERS: dict[str, tuple[str, ...]] = {
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


def _service(life: Life) -> Service:
    """Lists, most recent first, with ``starting_after`` and ``created[gte]``."""
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
        _check_key(request)
        name = request.path.removeprefix("/v1/").rstrip("/")
        if name == "account":
            return json_answer(account)
        if name == "balance":
            return json_answer(balance)
        if name not in lists:
            raise _error(
                f"Unrecognized request URL (GET: {request.path}).", status=HTTPStatus.NOT_FOUND
            )
        wanted = _filter(name, request.query, contained)
        limit = _integer(request.query, "limit", 10)
        if not 1 <= limit <= 100:
            raise _error("This value must be between 1 and 100.", "limit")
        objects, place = lists[name], places[name]
        after, before = one(request.query, "starting_after"), one(request.query, "ending_before")
        for mark in (after, before):
            if mark is not None and mark not in place:
                raise _error(
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
        return json_answer(
            {"object": "list", "url": f"/v1/{name}", "has_more": len(page) > limit, "data": data}
        )

    return answer


def _check_key(request: Request) -> None:
    given = request.headers.get("authorization", "")
    if given == f"Bearer {KEY}":
        return
    if given == "Basic " + base64.b64encode(f"{KEY}:".encode()).decode():
        return
    message = (
        "Invalid API Key provided."
        if given
        else "You did not provide an API key. You need to provide your API key in the "
        "Authorization header, using Bearer auth."
    )
    raise _error(message, status=HTTPStatus.UNAUTHORIZED)


def _filter(
    name: str, query: Query, contained: Mapping[str, str | None]
) -> Callable[[Object], bool]:
    """The filter for the query's parameters; those that the list does not support are refused."""
    tests: list[Callable[[Object], bool]] = []
    if name == "subscriptions":
        tests.append(_has_status(one(query, "status")))
    for parameter in query:
        value = one(query, parameter) or ""
        stem, _, rest = parameter.partition("[")
        paging = parameter in ("limit", "starting_after", "ending_before")
        if paging or (parameter == "status" and name == "subscriptions"):
            continue
        if parameter == "payout" and name == "balance_transactions":
            tests.append(_is_in_payout(contained, value))
        elif parameter == "price" and name == "subscriptions":
            tests.append(_has_price(value))
        elif parameter in _FILTERS[name]:
            tests.append(_equals(parameter, value))
        elif stem == "created" or (stem == "arrival_date" and name == "payouts"):
            bound = _integer(query, parameter, 0)
            tests.append(_in_range(parameter, stem, rest.removesuffix("]") or "eq", bound))
        else:
            raise _error(
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
        raise _error(
            f"Received unknown parameter: {parameter}", parameter, code="parameter_unknown"
        )
    return lambda each: compare(each[name], bound)


def _integer(query: Query, parameter: str, default: int) -> int:
    value = one(query, parameter)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError:
        raise _error("Invalid integer.", parameter, code="parameter_invalid_integer") from None


def _error(
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


STRIPE = Invented(
    source="stripe",
    services=lambda life: {"/v1/": _service(life)},
    settings=lambda life, base: {"STRIPE_API_BASE": base, "STRIPE_API_KEY": KEY},
)
