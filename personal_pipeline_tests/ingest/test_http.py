"""The client against a real server that fails in every way a service can."""

from __future__ import annotations

import gzip
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from threading import Thread
from threading import enumerate as threads
from traceback import format_exception
from typing import Any

import pytest

from personal_pipeline.ingest.http import Client, Failure, Query, ServiceError, pages
from personal_pipeline_tests.loopback import Answer, Loopback, Request, as_json, in_turn, loopback

SECRET = "sk_test_never_shown"


def client_of(server: Loopback | str, pauses: list[float] | None = None, **more: object) -> Client:
    given: dict[str, object] = {
        "headers": {"Authorization": f"Bearer {SECRET}", "X-Kit-Api-Key": SECRET},
        "per_second": 1000,
        "refused": "Make a new key.",
        "sleep": pauses.append if pauses is not None else lambda seconds: None,
        **more,
    }
    base = server if isinstance(server, str) else server.base
    return Client("test", base, **given)  # type: ignore[arg-type]


def failure_of(client: Client, path: str = "/v1/things", query: Query = ()) -> ServiceError:
    with pytest.raises(ServiceError) as caught:
        client.get_json(path, query)
    assert SECRET not in "".join(format_exception(caught.value))
    return caught.value


def test_a_query_and_the_headers_arrive_as_they_are() -> None:
    with loopback(in_turn(as_json({"a": 1}))) as server, client_of(server) as client:
        assert client.get_json("/v1/things", {"created[gte]": 5, "email": "a+b@c.d"}) == {"a": 1}
    (request,) = server.asked
    assert request.path == "/v1/things"
    assert request.query == {"created[gte]": "5", "email": "a+b@c.d"}
    assert request.headers["authorization"] == f"Bearer {SECRET}"


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503, 504])
def test_what_passes_is_tried_again_with_growing_pauses(status: int) -> None:
    pauses: list[float] = []
    down = Answer(status=status)
    with (
        loopback(in_turn(down, down, down, as_json("here"))) as server,
        client_of(server, pauses, backoff_seconds=1) as client,
    ):
        assert client.get_json("/v1/things") == "here"
    assert [int(pause) for pause in pauses] == [1, 2, 4]


def test_a_body_that_breaks_off_is_fetched_again() -> None:
    cut = Answer(b'{"data": [1, 2', promised=100)
    with loopback(in_turn(cut, as_json([1, 2]))) as server, client_of(server) as client:
        assert client.get_json("/v1/things") == [1, 2]
    assert len(server.asked) == 2


def test_a_service_that_stays_down_is_given_up() -> None:
    with loopback(in_turn(Answer(status=500))) as server, client_of(server, retries=3) as client:
        error = failure_of(client)
    assert error.failure is Failure.SERVICE_DOWN
    assert len(server.asked) == 4
    assert "HTTP 500 after 4 attempts" in str(error)


def test_nobody_there_is_a_service_that_is_down() -> None:
    with loopback(in_turn(Answer())) as server:
        pass
    with client_of(server, retries=1) as client:
        assert failure_of(client).failure is Failure.SERVICE_DOWN


@pytest.mark.parametrize(
    ("status", "failure"),
    [(401, Failure.CREDENTIAL_REFUSED), (403, Failure.PERMISSION_MISSING)],
)
def test_a_refused_credential_stops_at_once(status: int, failure: Failure) -> None:
    headers = {"Retry-After": "0", "Stripe-Should-Retry": "true", "Request-Id": "req_1"}
    answer = Answer(status=status, headers=headers)
    with loopback(in_turn(answer)) as server, client_of(server) as client:
        error = failure_of(client, query={"email": SECRET})
    assert error.failure is failure
    assert len(server.asked) == 1
    assert str(error) == f"test: GET /v1/things: HTTP {status} (request req_1). Make a new key."


@pytest.mark.parametrize("status", [400, 404, 410])
def test_a_request_that_is_not_accepted_stops_at_once(status: int) -> None:
    with loopback(in_turn(Answer(status=status))) as server, client_of(server) as client:
        assert failure_of(client).failure is Failure.FORMAT_CHANGED
    assert len(server.asked) == 1


def test_the_service_says_whether_to_try_again() -> None:
    no = Answer(status=500, headers={"Stripe-Should-Retry": "false"})
    yes = Answer(status=402, headers={"Stripe-Should-Retry": "true"})
    with loopback(in_turn(no)) as server, client_of(server) as client:
        assert failure_of(client).failure is Failure.SERVICE_DOWN
    assert len(server.asked) == 1
    with loopback(in_turn(yes, as_json("here"))) as server, client_of(server) as client:
        assert client.get_json("/v1/things") == "here"


def test_retry_after_is_obeyed_in_seconds_and_as_a_date() -> None:
    pauses: list[float] = []
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    asked = [
        Answer(b"", 429, {"Retry-After": "7"}),
        Answer(b"", 503, {"Retry-After": later}),
        Answer(b"", 429, {"Retry-After": "soon"}),
    ]
    with (
        loopback(in_turn(*asked, as_json("here"))) as server,
        client_of(server, pauses, backoff_seconds=0.001) as client,
    ):
        assert client.get_json("/v1/things") == "here"
    assert 7 <= pauses[0] < 8
    assert 85 < pauses[1] < 91
    assert pauses[2] < 1


def test_a_real_pause_is_as_long_as_the_service_asks() -> None:
    wait = Answer(b"", 429, {"Retry-After": "1"})
    with (
        loopback(in_turn(wait, as_json("here"))) as server,
        client_of(server, sleep=time.sleep, backoff_seconds=0.01) as client,
    ):
        started = time.monotonic()
        assert client.get_json("/v1/things") == "here"
    assert time.monotonic() - started >= 1


def test_a_pause_longer_than_the_time_budget_is_not_waited_for() -> None:
    pauses: list[float] = []
    busy = in_turn(Answer(b"", 429, {"Retry-After": "3600"}))
    with loopback(busy) as server, client_of(server, pauses) as client:
        client.deadline = time.monotonic() + 30
        assert failure_of(client).failure is Failure.OUT_OF_TIME
        client.deadline = None
        assert failure_of(client).failure is Failure.SERVICE_DOWN
    assert not pauses
    assert len(server.asked) == 2


def test_past_the_deadline_nothing_is_asked() -> None:
    with loopback(in_turn(Answer())) as server, client_of(server) as client:
        client.deadline = time.monotonic() - 1
        assert failure_of(client).failure is Failure.OUT_OF_TIME
    assert not server.asked


@pytest.mark.parametrize("how", ["silent", "dripping"])
def test_a_service_that_stalls_is_left_at_the_deadline(how: str) -> None:
    def stalls(request: Request) -> Answer:
        if how == "silent":
            server.over.wait(20)
        return Answer(b"x" * 10_000, drip=0.02)

    with loopback(stalls) as server, client_of(server) as client:
        started = time.monotonic()
        client.deadline = started + 0.3
        assert failure_of(client).failure is Failure.OUT_OF_TIME
        # the service would take 20 seconds, or 200
        assert time.monotonic() - started < 15
        server.over.set()
    for thread in threads():
        if thread.name == "personal-pipeline-request":
            thread.join(5)


def test_the_rate_limit_holds_for_retries_too() -> None:
    answers = [Answer(status=500) if place % 2 else as_json(place) for place in range(9)]
    with loopback(in_turn(*answers)) as server, client_of(server, per_second=8) as client:
        started = time.monotonic()
        for _ in range(5):
            client.get_json("/v1/things")
    assert len(server.asked) == 9
    assert time.monotonic() - started >= 1


def test_the_rate_limit_does_not_outwait_the_deadline() -> None:
    with loopback(in_turn(Answer())) as server, client_of(server, per_second=0.05) as client:
        client.deadline = time.monotonic() + 0.3
        client.get_json("/v1/things")
        assert failure_of(client).failure is Failure.OUT_OF_TIME
    assert len(server.asked) == 1


def test_another_host_gets_no_credential() -> None:
    with loopback(in_turn(as_json("there"))) as other:
        # The same machine under another name, which is another host to every client.
        away = other.base.replace("127.0.0.1", "localhost")
        moved = Answer(status=307, headers={"Location": f"{away}/elsewhere"})
        with loopback(in_turn(moved)) as server, client_of(server) as client:
            assert client.get_json("/v1/things") == "there"
            assert client.get_json(f"{away}/absolute") == "there"
    assert [request.path for request in other.asked] == ["/elsewhere", "/absolute"]
    for request in other.asked:
        assert SECRET not in str(request.headers)
    assert server.asked[0].headers["x-kit-api-key"] == SECRET


def test_the_same_host_keeps_the_credential_on_a_redirect() -> None:
    moved = Answer(status=307, headers={"Location": "/new"})
    with loopback(in_turn(moved, as_json("here"))) as server, client_of(server) as client:
        assert client.get_json("/old") == "here"
    assert server.asked[1].path == "/new"
    assert server.asked[1].headers["authorization"] == f"Bearer {SECRET}"


def test_endless_redirects_end() -> None:
    moved = in_turn(Answer(status=307, headers={"Location": "/again"}))
    with loopback(moved) as server, client_of(server) as client:
        assert failure_of(client).failure is Failure.SERVICE_DOWN
    assert len(server.asked) < 10


@pytest.mark.parametrize("key", [f"{SECRET}\nX: y", f"{SECRET}…"])
def test_a_credential_that_cannot_be_sent_is_not_shown(key: str) -> None:
    with (
        loopback(in_turn(Answer())) as server,
        client_of(server, headers={"Authorization": f"Bearer {key}"}) as client,
    ):
        assert failure_of(client).failure is Failure.CREDENTIAL_REFUSED
    assert not server.asked


def test_an_address_that_is_none_is_said_to_be_one() -> None:
    with client_of("api.example.org/v1") as client:
        assert "address" in str(failure_of(client))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b'{"data": [1,', b'{"a": NaN}', b"\xff\xfe\x00", b"[" * 200_000],
)
def test_what_is_not_json_is_a_changed_format(body: bytes) -> None:
    with loopback(in_turn(Answer(body))) as server, client_of(server) as client:
        assert failure_of(client).failure is Failure.FORMAT_CHANGED


def test_an_absolute_address_is_not_shown() -> None:
    with loopback(in_turn(Answer(status=404))) as server, client_of(server) as client:
        error = failure_of(client, f"{server.base}/d/{SECRET}/export")
    assert "127.0.0.1" in str(error)


def test_a_closed_client_leaves_no_thread() -> None:
    def leakers() -> list[Thread]:
        return [thread for thread in threads() if "Leaker" in thread.name]

    before = len(leakers())
    with loopback(in_turn(Answer())) as server, client_of(server) as client:
        client.get_json("/v1/things")
    for thread in leakers():
        thread.join(2)
    assert len(leakers()) <= before


def test_an_answer_without_an_end_is_left_at_the_bound() -> None:
    body = b"[" + b"1," * 2_000_000 + b"1]"
    with loopback(in_turn(Answer(body))) as server, client_of(server, most_bytes=1024**2) as client:
        error = failure_of(client)
    assert error.failure is Failure.FORMAT_CHANGED
    assert "larger than 1 MB" in str(error)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [200, 500, 307])
def test_what_unpacks_to_gigabytes_is_left_at_the_bound(status: int) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Content-Encoding": "gzip", "Location": "/again"}
    answers = [Answer(bomb, status, headers)] * 7
    with (
        loopback(in_turn(*answers)) as server,
        client_of(server, most_bytes=1024**2, retries=1) as client,
    ):
        assert failure_of(client).failure is not None
        # a redirect leads on, and what it carries is not read
        assert client._received == 0


def test_pages_together_are_bounded() -> None:
    page = as_json("x" * 600_000)
    with (
        loopback(in_turn(page)) as server,
        client_of(server, most_bytes_a_fetch=1024**2) as client,
    ):
        client.get_json("/v1/things")
        client.begin_fetch()
        client.get_json("/v1/things")
        assert "all pages together" in str(failure_of(client))


def walked(server: Loopback) -> list[Any]:
    with client_of(server) as client:
        return list(
            pages(
                client,
                "/v1/things",
                [("since", "2026")],
                rows="data",
                cursor="after",
                next_cursor=lambda answer: answer["next"],
            )
        )


def test_a_list_is_read_to_its_last_page() -> None:
    answers = [
        {"data": [1, 2], "next": "b"},
        {"data": [], "next": "c"},
        {"data": [3], "next": None},
    ]
    with loopback(in_turn(*map(as_json, answers))) as server:
        assert walked(server) == [1, 2, 3]
    assert [request.query for request in server.asked] == [
        {"since": "2026"},
        {"since": "2026", "after": "b"},
        {"since": "2026", "after": "c"},
    ]


@pytest.mark.parametrize("answer", [
    [], {"data": []}, {"next": None}, {"data": {}, "next": None}, {"data": [], "next": ""},
    {"data": [], "next": 7}, {"data": [], "next": "same"},
])  # fmt: skip
def test_what_is_no_page_or_repeats_is_a_changed_format(answer: object) -> None:
    with loopback(in_turn(as_json(answer))) as server, pytest.raises(ServiceError) as caught:
        walked(server)
    assert caught.value.failure is Failure.FORMAT_CHANGED
    assert len(server.asked) < 3


def test_the_service_says_what_time_it_is() -> None:
    told = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
    dated = {"Date": format_datetime(told, usegmt=True)}
    answers = [
        Answer(),
        Answer(headers=dated),
        Answer(headers={"Date": "soon"}),
        Answer(headers={**dated, "Age": "3600"}),
        Answer(status=401, headers=dated),
    ]
    with loopback(in_turn(*answers)) as server, client_of(server) as client:
        client.get("/")
        assert client.service_time() is None
        for hours in (0, 0, 1):
            client.get("/")
            time_there = client.service_time()
            assert time_there is not None
            assert 0 <= (time_there - told).total_seconds() - 3600 * hours < 600
        failure_of(client)
        assert client.service_time() is not None
