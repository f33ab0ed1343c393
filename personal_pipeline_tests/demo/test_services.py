"""The services of the life, asked over real HTTP as a client of the real ones would ask."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import urlsplit

import feedparser
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from personal_pipeline.demo import kit_format, stripe_format
from personal_pipeline.demo.chance import at
from personal_pipeline.demo.life import SHEET_HEADER, Life
from personal_pipeline.demo.services import Served

STRIPE_LISTS = (
    "balance_transactions", "charges", "customers", "disputes", "payouts", "refunds",
    "subscriptions",
)  # fmt: skip


@pytest.fixture(scope="module")
def stripe(served: Served) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {served.settings['STRIPE_API_KEY']}"
        session.headers["Stripe-Version"] = "2025-03-31.basil"
        yield session


@pytest.fixture(scope="module")
def kit(served: Served) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.headers["X-Kit-Api-Key"] = served.settings["KIT_API_KEY"]
        yield session


def _stripe_pages(
    session: requests.Session, base: str, name: str, **query: str | int
) -> Iterator[list[dict[str, Any]]]:
    while True:
        answer = session.get(f"{base}/v1/{name}", params=query, timeout=10)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        assert page["object"] == "list"
        yield page["data"]
        if not page["has_more"]:
            return
        query["starting_after"] = page["data"][-1]["id"]


def _stripe_all(
    session: requests.Session, base: str, name: str, **query: str | int
) -> list[dict[str, Any]]:
    pages = _stripe_pages(session, base, name, limit=100, **query)
    return [each for page in pages for each in page]


def _kit_all(
    session: requests.Session, base: str, path: str, name: str, **query: str | int
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        answer = session.get(f"{base}/{path}", params=query, timeout=10)
        assert answer.status_code == 200, answer.text
        rows += answer.json()[name]
        pagination = answer.json()["pagination"]
        if not pagination["has_next_page"]:
            return rows
        query["after"] = pagination["end_cursor"]


# --- Stripe ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STRIPE_LISTS)
def test_every_object_is_listed_once_newest_first(
    stripe: requests.Session, served: Served, life: Life, name: str
) -> None:
    listed = _stripe_all(stripe, served.base, name, **_every_status(name))
    assert listed == stripe_format.objects(life)[name]
    created = [each["created"] for each in listed]
    assert created == sorted(created, reverse=True)


@given(limit=st.integers(1, 100))
@settings(max_examples=12, deadline=None)
def test_any_page_size_gives_the_same_list(
    stripe: requests.Session, served: Served, life: Life, limit: int
) -> None:
    pages = list(_stripe_pages(stripe, served.base, "payouts", limit=limit))
    assert all(len(page) == limit for page in pages[:-1])
    ids = [each["id"] for page in pages for each in page]
    assert ids == [each.payout_id for each in reversed(life.money.payouts)]


def test_ten_rows_without_a_limit(stripe: requests.Session, served: Served) -> None:
    answer = stripe.get(f"{served.base}/v1/charges", timeout=10).json()
    assert len(answer["data"]) == 10
    assert answer["has_more"] is True


def test_going_back_with_ending_before(stripe: requests.Session, served: Served) -> None:
    url = f"{served.base}/v1/charges"
    first = stripe.get(url, params={"limit": 5}, timeout=10).json()["data"]
    query: dict[str, str | int] = {"limit": 2, "ending_before": first[4]["id"]}
    back = stripe.get(url, params=query, timeout=10).json()
    assert back["data"] == first[2:4]
    assert back["has_more"] is True


@given(days=st.lists(st.integers(0, 760), min_size=1, max_size=4, unique=True).map(sorted))
@settings(max_examples=6, deadline=None)
def test_half_open_windows_neither_lose_nor_repeat(
    stripe: requests.Session, served: Served, life: Life, days: list[int]
) -> None:
    edges = [int(at(life.start + timedelta(days=day)).timestamp()) for day in days]
    windows = [
        {"created[lt]": edges[0]},
        *({"created[gte]": first, "created[lt]": last} for first, last in pairwise(edges)),
        {"created[gt]": edges[-1] - 1},
    ]
    ids = [
        each["id"]
        for window in windows
        for each in _stripe_all(stripe, served.base, "refunds", **window)
    ]
    assert sorted(ids) == sorted(each.refund_id for each in life.money.refunds)


def test_canceled_subscriptions_are_hidden_unless_asked_for(
    stripe: requests.Session, served: Served, life: Life
) -> None:
    base = served.base
    shown = {each["status"] for each in _stripe_all(stripe, base, "subscriptions")}
    assert "active" in shown
    assert not shown & {"canceled", "incomplete_expired"}
    ended = _stripe_all(stripe, base, "subscriptions", status="canceled")
    assert len(ended) == sum(each.status == "canceled" for each in life.money.subscriptions)
    assert all(each["ended_at"] for each in ended)


def test_subscriptions_have_the_shape_of_basil(stripe: requests.Session, served: Served) -> None:
    base = served.base
    for each in _stripe_all(stripe, base, "subscriptions", status="all"):
        assert "current_period_end" not in each
        (item,) = each["items"]["data"]
        assert item["current_period_start"] < item["current_period_end"]
        assert item["price"]["unit_amount_decimal"] == str(item["price"]["unit_amount"])


def test_what_a_payout_contained(stripe: requests.Session, served: Served, life: Life) -> None:
    payout = life.money.payouts[40]
    rows = _stripe_all(stripe, served.base, "balance_transactions", payout=payout.payout_id)
    assert sum(each["net"] for each in rows) == payout.amount
    assert all(each["net"] == each["amount"] - each["fee"] for each in rows)


def test_filters_by_field(stripe: requests.Session, served: Served, life: Life) -> None:
    base, customer = served.base, life.money.customers[0]
    charges = _stripe_all(stripe, base, "charges", customer=customer.customer_id)
    assert charges
    assert {each["customer"] for each in charges} == {customer.customer_id}
    (found,) = _stripe_all(stripe, base, "customers", email=customer.email)
    assert found["id"] == customer.customer_id
    (failed,) = _stripe_all(stripe, base, "payouts", status="failed")
    types = _stripe_all(stripe, base, "balance_transactions", type="payout_failure")
    assert [each["id"] for each in types] == [failed["failure_balance_transaction"]]


def test_the_balance_is_what_was_not_paid_out(
    stripe: requests.Session, served: Served, life: Life
) -> None:
    balance = stripe.get(f"{served.base}/v1/balance", timeout=10).json()
    for currency in ("eur", "usd"):
        shown = sum(
            each["amount"]
            for side in ("available", "pending")
            for each in balance[side]
            if each["currency"] == currency
        )
        movements = life.money.balance_transactions
        assert shown == sum(each.net for each in movements if each.currency == currency)


def test_the_account_tells_its_beginning(
    stripe: requests.Session, served: Served, life: Life
) -> None:
    answer = stripe.get(f"{served.base}/v1/account", timeout=10).json()
    assert answer["created"] == int(at(life.start).timestamp())


def test_answers_carry_the_version_that_was_asked_for(
    stripe: requests.Session, served: Served
) -> None:
    answer = stripe.get(f"{served.base}/v1/refunds", timeout=10)
    assert answer.headers["Stripe-Version"] == "2025-03-31.basil"
    assert answer.headers["Request-Id"].startswith("req_")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"limit": 101}, None),
        ({"limit": 0}, None),
        ({"limit": "many"}, "parameter_invalid_integer"),
        ({"updated[gte]": 1}, "parameter_unknown"),
        ({"created[after]": 1}, "parameter_unknown"),
        ({"starting_after": "ch_nothing"}, "resource_missing"),
    ],
)
def test_what_stripe_refuses(
    stripe: requests.Session, served: Served, query: dict[str, Any], code: str | None
) -> None:
    answer = stripe.get(f"{served.base}/v1/charges", params=query, timeout=10)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"].get("code") == code


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer rk_live_wrong"}])
def test_stripe_refuses_other_keys(served: Served, headers: dict[str, str]) -> None:
    answer = requests.get(f"{served.base}/v1/charges", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json()["error"]["message"]
    assert "wrong" not in answer.text


def test_the_key_may_come_as_a_user_name(served: Served) -> None:
    key = (served.settings["STRIPE_API_KEY"], "")
    url = f"{served.base}/v1/payouts"
    assert requests.get(url, auth=key, timeout=10).status_code == 200


# --- Kit ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("headers", [{}, {"X-Kit-Api-Key": "kit_wrong"}])
def test_kit_refuses_other_keys(served: Served, headers: dict[str, str]) -> None:
    answer = requests.get(f"{served.settings['KIT_API_BASE']}/account", headers=headers, timeout=10)
    assert answer.status_code == 401
    assert answer.json() == {"errors": ["The API key is invalid"]}


def test_cancellations_are_negative(kit: requests.Session, served: Served, life: Life) -> None:
    url = f"{served.settings['KIT_API_BASE']}/account/growth_stats"
    month = [life.until - timedelta(days=number) for number in range(29, -1, -1)]
    daily = [
        kit.get(url, params={"starting": str(day), "ending": str(day)}, timeout=10).json()["stats"]
        for day in month
    ]
    whole = kit.get(
        url, params={"starting": str(month[0]), "ending": str(month[-1])}, timeout=10
    ).json()["stats"]
    assert whole["cancellations"] < 0
    for stats in (*daily, whole):
        assert stats["cancellations"] <= 0
        assert stats["net_new_subscribers"] == stats["new_subscribers"] + stats["cancellations"]
    for name in ("new_subscribers", "cancellations"):
        assert whole[name] == sum(stats[name] for stats in daily)
    assert whole["subscribers"] == daily[-1]["subscribers"] == life.audience_days[-1].active


def test_growth_outside_the_life_is_nothing(
    kit: requests.Session, served: Served, life: Life
) -> None:
    url = f"{served.settings['KIT_API_BASE']}/account/growth_stats"
    for day, total in (
        (life.start - timedelta(days=3), 0),
        (life.until + timedelta(days=1), life.audience_days[-1].active),
    ):
        query = {"starting": str(day), "ending": str(day)}
        stats = kit.get(url, params=query, timeout=10).json()["stats"]
        assert (stats["subscribers"], stats["new_subscribers"]) == (total, 0)


@given(per_page=st.integers(1, 1000))
@settings(max_examples=6, deadline=None)
def test_cancelled_subscribers_page_by_page(
    kit: requests.Session, served: Served, life: Life, per_page: int
) -> None:
    rows = _kit_all(
        kit,
        f"{served.base}/v4",
        "subscribers",
        "subscribers",
        status="cancelled",
        per_page=max(per_page, 20),
    )
    cancelled = [each for each in life.subscribers if each.left_as == "cancelled"]
    assert [each["id"] for each in rows] == [each.subscriber_id for each in reversed(cancelled)]
    assert all(each["state"] == "cancelled" and each["canceled_at"] for each in rows)


def test_one_row_a_page(kit: requests.Session, served: Served, life: Life) -> None:
    rows = _kit_all(kit, f"{served.base}/v4", "broadcasts/stats", "broadcasts", per_page=1)
    sent = [each for each in life.broadcasts if each.status == "completed"]
    assert rows == [kit_format.broadcast_stats(each) for each in reversed(sent)]


def test_states_make_up_all_subscribers(kit: requests.Session, served: Served, life: Life) -> None:
    def total(**query: str) -> int:
        answer = kit.get(
            f"{served.settings['KIT_API_BASE']}/subscribers",
            params={"per_page": "1", "include_total_count": "true", **query},
            timeout=10,
        )
        return int(answer.json()["pagination"]["total_count"])

    states = ("active", "cancelled", "bounced", "complained", "inactive")
    assert total(status="all") == len(life.subscribers) == sum(total(status=s) for s in states)
    assert total() == total(status="active") == life.audience_days[-1].active


@given(day=st.integers(1, 740))
@settings(max_examples=4, deadline=None)
def test_dates_divide_the_subscribers(
    kit: requests.Session, served: Served, life: Life, day: int
) -> None:
    base, bound = f"{served.base}/v4", str(life.start + timedelta(days=day))

    def ids(**query: str) -> list[int]:
        rows = _kit_all(
            kit, base, "subscribers", "subscribers", status="all", per_page=1000, **query
        )
        return [each["id"] for each in rows]

    everybody = [each.subscriber_id for each in reversed(life.subscribers)]
    assert ids(created_after=bound) + ids(created_before=bound) == everybody
    updated = ids(updated_after=bound)
    assert set(updated).isdisjoint(ids(updated_before=bound))
    left = {
        each.subscriber_id
        for each in life.subscribers
        if each.left_at is not None and str(each.left_at.date()) >= bound
    }
    assert left | set(ids(created_after=bound)) <= set(updated)


def test_sorting_and_tags(kit: requests.Session, served: Served) -> None:
    query = {
        "status": "all", "sort_field": "cancelled_at", "sort_order": "asc", "include": "tags",
    }  # fmt: skip
    answer = kit.get(
        f"{served.settings['KIT_API_BASE']}/subscribers", params=query, timeout=10
    ).json()
    times = [each["canceled_at"] for each in answer["subscribers"]]
    assert times == sorted(times)
    assert None not in times
    assert all(each["tags"] for each in answer["subscribers"])


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("subscribers", {"per_page": 1001}),
        ("subscribers", {"status": "gone"}),
        ("subscribers", {"after": "no cursor"}),
        ("subscribers", {"created_after": "yesterday"}),
        ("account/growth_stats", {"starting": "2026-02-02", "ending": "2026-02-01"}),
    ],
)
def test_what_kit_refuses(
    kit: requests.Session, served: Served, path: str, query: dict[str, Any]
) -> None:
    answer = kit.get(f"{served.settings['KIT_API_BASE']}/{path}", params=query, timeout=10)
    assert answer.status_code == 422
    assert list(answer.json()) == ["errors"]


def test_broadcasts_and_their_stats(kit: requests.Session, served: Served, life: Life) -> None:
    base = f"{served.base}/v4"
    rows = _kit_all(kit, base, "broadcasts", "broadcasts")
    assert len(rows) == len(life.broadcasts)
    (draft,) = [each for each in rows if each["status"] == "draft"]
    assert draft["send_at"] is None
    sent = [each for each in rows if each["status"] == "completed"]
    assert [each["send_at"] for each in sent] == sorted(
        (each["send_at"] for each in sent), reverse=True
    )
    one = kit.get(f"{base}/broadcasts/{sent[0]['id']}/stats", timeout=10).json()["broadcast"]
    assert 5 < one["stats"]["open_rate"] < 60
    assert one["stats"]["unsubscribes"] <= one["stats"]["recipients"]
    late = _kit_all(kit, base, "broadcasts", "broadcasts", sent_after=str(life.until))
    assert all(each["send_at"] >= str(life.until) for each in late)


def test_the_account_of_kit(kit: requests.Session, served: Served, life: Life) -> None:
    answer = kit.get(f"{served.settings['KIT_API_BASE']}/account", timeout=10).json()
    assert date.fromisoformat(answer["account"]["created_at"][:10]) == life.start


# --- the feed and the sheet -----------------------------------------------------------------------


def test_the_feed_mixes_responses_with_stories(served: Served, life: Life) -> None:
    answer = requests.get(served.settings["MEDIUM_FEED_URL"], timeout=10)
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    assert len(feed.entries) == 10
    stories = {f"https://medium.com/p/{story.story_id}" for story in life.stories}
    with_tags = {entry.id for entry in feed.entries if "tags" in entry}
    assert with_tags <= stories
    assert len(with_tags) < len(feed.entries)
    times = [entry.published_parsed for entry in feed.entries]
    assert times == sorted(times, reverse=True)
    newest = max(life.stories, key=lambda story: story.published_at)
    assert f"https://medium.com/p/{newest.story_id}" in with_tags
    assert all("?source=rss-" in entry.link for entry in feed.entries)


def test_the_sheet_is_csv_behind_a_redirect(served: Served, life: Life) -> None:
    answer = requests.get(served.settings["STORY_SHEET_URL"], timeout=10)
    assert [each.status_code for each in answer.history] == [307]
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert b"\n" not in answer.content.replace(b"\r\n", b"")
    rows = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert tuple(rows[0]) == SHEET_HEADER
    assert len(rows) == len(life.sheet) + 1
    assert {len(row) for row in rows} == {len(SHEET_HEADER)}


@pytest.mark.parametrize("path", ["/", "/feed/@nobody", "/v2/charges"])
def test_other_addresses_are_not_found(served: Served, path: str) -> None:
    assert requests.get(f"{served.base}{path}", timeout=10).status_code == 404


def test_only_this_machine_is_served(served: Served) -> None:
    for url in served.settings.values():
        if url.startswith("http"):
            assert urlsplit(url).hostname == "127.0.0.1"


def _every_status(name: str) -> dict[str, str | int]:
    return {"status": "all"} if name == "subscriptions" else {}
