"""Stripe: money in, money out, and who pays, from the REST API.

What surprises:

- Amounts are integers in the currency's minor unit, and the unit differs: JPY has none, KWD has
  three decimals. Times are epoch seconds UTC; currency codes are lower case.
- A payout is positive here and negative as a balance transaction.
- There is no ``updated`` field and no filter on it. Objects that change late are fetched again for
  as long as they may change (``refetch_days``); customers and subscriptions are fetched in full
  every time. Events would be cheaper, but reach back only 30 days and show an object as it was
  then.
- The list of subscriptions has only the present: nothing says what the price was before, or since
  when a subscription has been unpaid or paused. So each state that a fetch sees is kept.
- Subscriptions omit canceled ones unless ``status=all`` is requested, and contain only their first
  items: the others come from ``/v1/subscription_items``.
- Since version 2025-03-31.basil the billing period is on each item, not on the subscription, and a
  charge has no invoice. Old records keep the old shape: read both places.
- A deleted customer is no longer listed, and so disappears from the picture.
- Statuses and types are open sets: new ones appear without a new API version.
- ``receipt_url`` is signed anew in every response.

Format: https://docs.stripe.com/api, version 2025-03-31.basil. Every record is verbatim, except that
the items of a subscription are completed.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source, Window
from personal_pipeline.ingest.http import (
    NEEDS_A_PERSON,
    Client,
    Failure,
    ServiceError,
    rows_of,
    whole_walk,
)
from personal_pipeline.settings import Setting, Settings

API_VERSION = "2025-03-31.basil"
MAX_ROWS = 100
"""Stripe's maximum page size."""
STRIPE_OPENED = date(2010, 1, 1)
"""No account is older."""
AHEAD_SECONDS = 86_400
"""A clock further ahead of ours than this is not trusted."""
REQUESTS_PER_SECOND = 25
"""The limit for one endpoint, and for a sandbox."""

API_KEY = Setting(
    name="STRIPE_API_KEY",
    description=(
        "In the Stripe Dashboard open Developers → API keys and create a restricted key with read "
        "access to Balance transactions, Charges and Refunds, Customers, Payouts and "
        "Subscriptions. Put it into STRIPE_API_KEY."
    ),
    secret=True,
)
API_BASE = Setting(
    name="STRIPE_API_BASE",
    description="Another server that speaks the same API, for tests.",
    default="https://api.stripe.com",
)


_PERMISSIONS = {
    "/v1/balance_transactions": "Balance transactions",
    "/v1/charges": "Charges and Refunds",
    "/v1/refunds": "Charges and Refunds",
    "/v1/payouts": "Payouts",
    "/v1/customers": "Customers",
    "/v1/subscriptions": "Subscriptions",
    "/v1/subscription_items": "Subscriptions",
}
"""The Dashboard's name for the permission that a list requires."""


def client(settings: Settings) -> Client:
    """A client with the user's key and the API version that this module understands."""
    return Client(
        "stripe",
        settings.text(API_BASE),
        headers={
            "Authorization": f"Bearer {settings.text(API_KEY)}",
            "Stripe-Version": API_VERSION,
        },
        per_second=REQUESTS_PER_SECOND,
        refused=f"Stripe refuses the key, or the key may not read this. {API_KEY.description}",
        permission=_permission,
    )


def _permission(path: str) -> str | None:
    name = _PERMISSIONS.get(path)
    return name and (
        f"The key may not read {name}. In the Stripe Dashboard open Developers → API keys, edit "
        f"the restricted key and set {name} to Read. Only the streams that need it are on hold."
    )


def account(settings: Settings, client: Client) -> dict[str, str]:
    """The account's id and mode, ``live`` or ``test``, as far as Stripe reveals them.

    The key itself contains its mode. A key that may not read the account gets an error message that
    contains the account id.
    """
    mode = re.match(r"[a-z]+_(live|test)_", settings.text(API_KEY))
    answer = client.get("/v1/account", also=(400, 403, 404))
    id_ = re.search(rb"\bacct_\w{1,64}\b", answer.content)
    return {
        **({"mode": mode[1]} if mode else {}),
        **({"account": id_[0].decode()} if id_ else {}),
    }


def account_in(record: Record) -> dict[str, str]:
    """The mode of the account an object belongs to, if the object says."""
    live = record.get("livemode")
    return {"mode": "live" if live else "test"} if isinstance(live, bool) else {}


def beginning(client: Client) -> date | None:
    """The UTC day on which the account was opened, else that of its oldest charge or balance
    transaction.

    A restricted key may not read the account, and Stripe cannot list oldest first: the day is then
    found by binary search, in some thirty small requests.
    """
    try:
        return day_of(client.get_json("/v1/account")["created"])
    except (KeyError, TypeError, ValueError):
        pass
    except ServiceError as error:
        if error.failure not in (*NEEDS_A_PERSON, Failure.FORMAT_CHANGED):
            raise
    for paths in (("/v1/balance_transactions", "/v1/charges"), ("/v1/payouts", "/v1/customers")):
        oldest = []
        for path in paths:
            try:
                oldest.append(_oldest_day(client, path))
            except ServiceError as error:
                # a key that may not read one list may read another
                if error.failure not in (Failure.PERMISSION_MISSING, Failure.FORMAT_CHANGED):
                    raise
        if oldest:
            return min((day for day in oldest if day is not None), default=None)
    return None


def _oldest_day(client: Client, path: str) -> date | None:
    days = range(STRIPE_OPENED.toordinal(), datetime.now(UTC).date().toordinal() + 1)

    def anything_by(ordinal: int) -> bool:
        day = date.fromordinal(ordinal)
        end = Window(day, day + timedelta(days=1)).end_epoch
        return bool(rows_of(client.get_json(path, {"created[lt]": end, "limit": 1}), "data"))

    found = bisect_left(days, True, key=anything_by)
    return date.fromordinal(days[found]) if found < len(days) else None


def pages(
    client: Client, path: str, query: Iterable[tuple[str, str | int]], page_size: int
) -> Iterator[Record]:
    """Every row of a list, newest first, page by page to the end.

    Stripe rejects the next page if the row before it was deleted in the meantime: then the walk
    starts again. Raises ``ServiceError(FORMAT_CHANGED)`` when a response is not a list, or the
    pages repeat.
    """
    asked = list(query)
    return whole_walk(lambda: _walk(client, path, asked, page_size), _cursor)


def _walk(
    client: Client, path: str, asked: list[tuple[str, str | int]], page_size: int
) -> Iterator[Record]:
    cursors: set[str] = set()
    cursor: str | None = None
    while True:
        after = [("starting_after", cursor)] if cursor else []
        answer = client.get_json(path, [*asked, ("limit", page_size), *after])
        rows = rows_of(answer, "data")
        if rows is None or not isinstance(answer.get("has_more"), bool):
            raise client.changed(path, "a list with data and has_more")
        if not answer["has_more"]:
            yield from rows
            return
        # Rows after the last one with an id come again with the next page.
        while rows and not _cursor(rows[-1]):
            rows.pop()
        cursor = _cursor(rows[-1]) if rows else None
        if cursor is None or cursor in cursors:
            raise client.changed(path, "each page to continue from the previous one")
        cursors.add(cursor)
        yield from rows


def _cursor(row: object) -> str | None:
    found = row.get("id") if isinstance(row, dict) else None
    return found if isinstance(found, str) and found else None


def created_within(path: str, page_size: int) -> Callable[[Client, Window], Iterator[Record]]:
    """A fetch of what was created in a window."""

    def fetch(client: Client, window: Window) -> Iterator[Record]:
        # Stripe supports gte as well; localstripe, which the tests run against, only gt.
        bounds: list[tuple[str, str | int]] = [("created[gt]", window.start_epoch - 1)]
        # An end in the future has no effect, and localstripe accepts only one bound at a time.
        if window.end_epoch <= datetime.now(UTC).timestamp():
            bounds.append(("created[lt]", window.end_epoch))
        for record in pages(client, path, bounds, page_size):
            created = record.get("created") if isinstance(record, dict) else None
            # Stripe's clock may be ahead of ours: a later record comes with its own window.
            # Anything else outside the window is not a time in seconds, and is counted as
            # unreadable.
            ahead = window.end_epoch + AHEAD_SECONDS
            if not isinstance(created, int) or not window.end_epoch <= created < ahead:
                yield record

    return fetch


def everything(path: str, page_size: int) -> Callable[[Client], Iterator[Record]]:
    """A fetch of everything there is."""
    return lambda client: pages(client, path, (), page_size)


def all_subscriptions(page_size: int) -> Callable[[Client], Iterator[Record]]:
    """A fetch of all subscriptions in every status, each with all of its items."""

    def fetch_all(client: Client) -> Iterator[Record]:
        for subscription in pages(client, "/v1/subscriptions", [("status", "all")], page_size):
            items = subscription.get("items") if isinstance(subscription, dict) else None
            if not isinstance(items, dict) or items.get("has_more") is not True:
                yield subscription
                continue
            query = [("subscription", object_id(subscription))]
            rows = list(pages(client, "/v1/subscription_items", query, page_size))
            yield {**subscription, "items": {**items, "data": rows, "has_more": False}}

    return fetch_all


def day_of(epoch: object) -> date:
    """The UTC day of epoch seconds. Raises ``ValueError`` when it is not such a number."""
    if not isinstance(epoch, int) or isinstance(epoch, bool):
        raise ValueError("a time must be whole seconds since 1970")
    try:
        return datetime.fromtimestamp(epoch, UTC).date()
    except (OverflowError, OSError, ValueError):
        raise ValueError("a time must be seconds since 1970 that a calendar can show") from None


def object_id(record: Record) -> str:
    """Stripe's id, opaque and case-sensitive. Raises ``KeyError`` if there is none."""
    return str(record["id"])


def created_day(record: Record) -> tuple[date, ...]:
    """The UTC day on which the object was created."""
    return (day_of(record["created"]),)


def subscription_days(record: Record) -> list[date]:
    """The UTC days on which a subscription was created, started, cancelled and ended."""
    later = (record.get(name) for name in ("start_date", "canceled_at", "ended_at"))
    return sorted({day_of(record["created"]), *(day_of(t) for t in later if t is not None)})


def state_days(record: Record) -> list[date]:
    """Like ``subscription_days``, plus the UTC day on which its trial ended."""
    trial = record.get("trial_end")
    return sorted({*subscription_days(record), *([] if trial is None else [day_of(trial)])})


def subscription_state(record: Record) -> Record:
    """The part of a subscription that determines its monthly revenue, and since when. Everything
    else (its period each month, its card) may change without making a new state."""
    items = [_item_state(item) for item in record["items"]["data"]]
    return {
        **{name: record.get(name) for name in _STATE},
        "items": sorted(items, key=str),
        "discounts": [_discount_state(each) for each in _discounts(record)],
    }


_STATE = (
    "status",
    "currency",
    "start_date",
    "trial_end",
    "canceled_at",
    "ended_at",
    "pause_collection",
)


def _item_state(item: Record) -> list[Any]:
    # a price since 2020, a plan before; some servers send both
    price, plan = item.get("price") or {}, item.get("plan") or {}
    each = price or plan
    repeats = price.get("recurring") or plan
    return [
        item.get("id"),
        item.get("quantity"),
        each.get("id"),
        each.get("currency"),
        price.get("unit_amount", plan.get("amount")),
        price.get("unit_amount_decimal", plan.get("amount_decimal")),
        *(repeats.get(name) for name in ("interval", "interval_count", "usage_type")),
        [_discount_state(discount) for discount in _discounts(item)],
    ]


def _discounts(record: Record) -> list[Any]:
    # a single one until 2025-03-31.basil
    return [each for each in (record.get("discount"), *(record.get("discounts") or ())) if each]


def _discount_state(discount: Any) -> Any:
    """A discount without the coupon fields that change whenever somebody else redeems it."""
    if not isinstance(discount, dict):
        return discount
    coupon = discount.get("coupon") or (discount.get("source") or {}).get("coupon")
    if isinstance(coupon, dict):
        coupon = [coupon.get(name) for name in ("id", "percent_off", "amount_off", "duration")]
    return [discount.get("id"), coupon]


def stripe_source(page_size: int = MAX_ROWS) -> Source:
    """The source, with pages of ``page_size`` rows."""
    money = {"id": str, "created": int, "currency": str, "amount": int}
    return Source(
        name="stripe",
        title="Stripe",
        description="Payments, refunds, payouts, customers and subscriptions of a Stripe account.",
        settings=(API_KEY, API_BASE),
        client=client,
        beginning=beginning,
        account=account,
        account_in=account_in,
        api=(
            ApiStream(
                name="balance_transactions",
                description=(
                    "One row a movement of the Stripe balance: charges, refunds, fees, payouts "
                    "(negative here). Integers in the currency's minor unit, net = amount - fee; "
                    "epoch seconds UTC; filed under the day of creation."
                ),
                grain=Grain.DAY,
                key=object_id,
                days=created_day,
                required={**money, "fee": int, "net": int, "type": str},
                fetch=created_within("/v1/balance_transactions", page_size),
                refetch_days=14,  # pending becomes available
            ),
            ApiStream(
                name="charges",
                description=(
                    "One row a charge, also failed ones. Integers in the currency's minor unit; "
                    "epoch seconds UTC; filed under the day of creation."
                ),
                grain=Grain.DAY,
                key=object_id,
                days=created_day,
                required={**money, "status": str},
                fetch=created_within("/v1/charges", page_size),
                refetch_days=90,  # refunds, captures and disputes change a charge
                volatile=("receipt_url",),
            ),
            ApiStream(
                name="refunds",
                description=(
                    "One row a refund. Positive integers in the currency's minor unit; epoch "
                    "seconds UTC; filed under the day of creation."
                ),
                grain=Grain.MONTH,
                key=object_id,
                days=created_day,
                required=money,
                fetch=created_within("/v1/refunds", page_size),
                refetch_days=90,  # a refund may fail weeks later
            ),
            ApiStream(
                name="payouts",
                description=(
                    "One row a payout to the bank. Integers in the currency's minor unit, positive "
                    "here; epoch seconds UTC; filed under the day of creation."
                ),
                grain=Grain.MONTH,
                key=object_id,
                days=created_day,
                required={**money, "status": str},
                fetch=created_within("/v1/payouts", page_size),
                refetch_days=30,  # paid may turn to failed within five business days
            ),
            ApiStream(
                name="customers",
                description=(
                    "One row a customer that is not deleted. balance: minor unit, negative = "
                    "credit; epoch seconds UTC; filed under the day of creation."
                ),
                grain=Grain.MONTH,
                key=object_id,
                days=created_day,
                required={"id": str, "created": int},
                fetch_all=everything("/v1/customers", page_size),
                coverage=Coverage.FULL,
            ),
            ApiStream(
                name="subscriptions",
                description=(
                    "One row a subscription in any status, with all its items. Prices in the "
                    "currency's minor unit, before discounts; epoch seconds UTC; filed under the "
                    "days on which it was created, started, was cancelled and ended."
                ),
                grain=Grain.MONTH,
                key=object_id,
                days=subscription_days,
                required={"id": str, "created": int, "status": str, "items": dict},
                fetch_all=all_subscriptions(page_size),
                coverage=Coverage.FULL,
            ),
            ApiStream(
                name="subscription_states",
                description=(
                    "One row per subscription and per fetch that saw it change (status, prices, "
                    "trial, pause, cancellation, end), as it was then; as_of is the time of the "
                    "fetch, ISO 8601 UTC; an empty record means that it was gone. Filed under the "
                    "day of the fetch, and the days since the previous fetch on which anything "
                    "happened. No row is ever replaced."
                ),
                grain=Grain.MONTH,
                key=object_id,
                days=state_days,
                required={"id": str, "created": int, "status": str, "items": dict},
                fetch_all=all_subscriptions(page_size),
                coverage=Coverage.HISTORY,
                state=subscription_state,
            ),
        ),
    )


STRIPE = stripe_source()
