"""Who is let in: the guard as plain ASGI, and behind the server that the house starts."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.doors.door import Door
from personal_pipeline.doors.guard import App, Guard, Message, Receive, Send
from personal_pipeline.doors.server import PortTaken, other_loopback_taken, server_of
from personal_pipeline_tests.loopback import free_port, until

TOKEN = "T" * 43
NAME = "pp-0123456789abcdef.localhost"
DOOR = Door(NAME, TOKEN, 3000)
HOST = f"{NAME}:3000"
OURS = f"http://{HOST}"
COOKIE = f"personal_pipeline_3000={TOKEN}"
BROWSER = {"host": HOST, "cookie": COOKIE, "sec-fetch-site": "same-origin"}
JSON = {**BROWSER, "origin": OURS, "content-type": "application/json"}
CLICK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}

Headers = dict[str, str] | list[tuple[str, str]]


def guarded(app: App, door: Door) -> Guard:
    """As the web server of Dagster is, the import of which costs half a second."""
    from personal_pipeline.doors import dagster_ui

    return dagster_ui.guarded(app, door)


def asked(
    headers: Headers,
    path: str = "/",
    *,
    method: str | None = "GET",
    query: str = "",
    door: Door = DOOR,
) -> tuple[int, dict[str, str], str]:
    """Status, headers and body of an answer; 200 and ``inside`` are those of the server behind.
    Without a method it is a websocket."""
    told: list[Message] = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        start = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"Referrer-Policy", b"unsafe-url"), (b"content-security-policy", b"a")],
        }
        await send({"type": "websocket.accept"} if method is None else start)
        await send({"type": "http.response.body", "body": b"inside"})

    async def receive() -> Message:
        raise AssertionError("the body of what is refused is not read")

    async def send(message: Message) -> None:
        told.append(message)

    pairs = list(headers.items()) if isinstance(headers, dict) else headers
    scope: dict[str, Any] = {
        "type": "websocket" if method is None else "http",
        "path": path,
        "query_string": query.encode("latin-1"),
        "headers": [(name.encode(), value.encode("latin-1")) for name, value in pairs],
    }
    if method is None:
        scope["extensions"] = {"websocket.http.response": {}}
    else:
        scope["method"] = method
    asyncio.run(guarded(app, door)(scope, receive, send))
    if told[0]["type"] == "websocket.accept":
        return 101, {}, ""
    given = {name.decode().lower(): value.decode() for name, value in told[0]["headers"]}
    return told[0]["status"], given, told[1]["body"].decode()


def status(headers: Headers, path: str = "/", **how: Any) -> int:
    return asked(headers, path, **how)[0]


@pytest.mark.parametrize(
    "path",
    ["/", "/asset-groups", "/js/main.js", "/server_info", "/logs/run/a/err", "/download_debug/x"],
)
def test_a_browser_that_was_let_in_reads_pages(path: str) -> None:
    assert status(BROWSER, path) == 200
    assert status({**BROWSER, "sec-fetch-site": "none", **CLICK}, path) == 200
    # an older browser says nothing of sites, a program of the person neither
    assert status({"host": HOST, "cookie": COOKIE}, path, method="HEAD") == 200
    assert status(JSON, "/graphql", method="POST") == 200
    assert status({**JSON, "content-type": "Application/JSON; charset=utf-8"}, "/graphql",
                  method="POST") == 200  # fmt: skip
    assert status({**BROWSER, "origin": OURS}, "/graphql", method=None) == 101


FOREIGN_HOSTS = [
    "127.0.0.1:3000",
    "localhost:3000",
    "[::1]:3000",
    "evil.example:3000",
    f"{NAME}",
    f"{NAME}:3001",
    f"{NAME}.:3000",
    f"{NAME}:3000.",
    f"x.{HOST}",
    f"{HOST}@evil.example",
    f"evil.example#{HOST}",
    f" {HOST}",
    f"{NAME}:03000",
    "",
]


@pytest.mark.parametrize("host", FOREIGN_HOSTS)
def test_a_host_that_is_not_ours_gets_421(host: str) -> None:
    for path, method in (("/", "GET"), ("/graphql", "POST"), ("/graphql", None)):
        headers = {**JSON, "host": host, "origin": f"http://{host}"}
        assert status(headers, path, method=method) == 421
        assert status(headers, path, method=method, query=f"token={TOKEN}") == 421


def test_no_host_and_two_hosts_get_421() -> None:
    others = [pair for pair in BROWSER.items() if pair[0] != "host"]
    assert status(others) == 421
    assert status([*others, ("host", HOST), ("host", "evil.example")]) == 421
    assert status([*others, ("host", HOST), ("host", HOST)]) == 421
    # the name of a host has no case
    assert status([*others, ("Host", HOST.upper())]) == 200


def test_port_80_has_a_host_without_it() -> None:
    door = Door(NAME, TOKEN, 80)
    headers = {"host": NAME, "cookie": f"{door.cookie}={TOKEN}", "origin": f"http://{NAME}"}
    assert status(headers, door=door) == 200
    assert door.address() == f"http://{NAME}/"


@pytest.mark.parametrize("site", ["same-site", "cross-site", "none, cross-site", "", "other"])
def test_a_page_of_another_origin_gets_403_whatever_it_asks(site: str) -> None:
    for path, method in (("/", "GET"), ("/graphql", "POST"), ("/graphql", "OPTIONS"), ("/", "PUT")):
        assert status({**JSON, "sec-fetch-site": site}, path, method=method) == 403
    assert status([*JSON.items(), ("sec-fetch-site", site)], "/graphql", method="POST") == 403
    assert (
        status({**BROWSER, "origin": OURS, "sec-fetch-site": site}, "/graphql", method=None) == 403
    )


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        f"https://{HOST}",
        f"http://{NAME}",
        f"http://{NAME}:3001",
        "http://127.0.0.1:3000",
        "http://evil.example",
        f"{OURS}.evil.example",
        f"{OURS}/",
        "file://",
    ],
)
def test_an_origin_that_is_not_ours_gets_403(origin: str) -> None:
    headers = {**JSON, "origin": origin}
    assert status(headers) == 403
    assert status(headers, "/graphql", method="POST") == 403
    assert status(headers, "/graphql", method=None) == 403
    assert status([*JSON.items(), ("origin", origin)], "/graphql", method="POST") == 403
    # not even with the token in the address
    assert status({**headers, **CLICK}, query=f"token={TOKEN}") == 403


def test_a_websocket_says_its_origin() -> None:
    assert status(BROWSER, "/graphql", method=None) == 403
    assert status({**BROWSER, "origin": OURS}, "/other", method=None) == 405
    assert status({"host": HOST, "origin": OURS}, "/graphql", method=None) == 401


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "personal_pipeline_3000",
        "personal_pipeline_3000=",
        f"personal_pipeline_3001={TOKEN}",
        f"Personal_Pipeline_3000={TOKEN}",
        f"personal_pipeline_3000={TOKEN}T",
        f"personal_pipeline_3000={TOKEN[:-1]}",
        f"personal_pipeline_3000={TOKEN.lower()}",
        f'personal_pipeline_3000="{TOKEN}"',
        "personal_pipeline_3000=\xe9\xff",
        f"other={TOKEN}",
    ],
)
def test_without_its_cookie_a_request_gets_401_and_the_way_in(cookie: str) -> None:
    for path, method in (("/", "GET"), ("/graphql", "POST"), ("/report_asset_check/a", "POST")):
        code, headers, text = asked({**JSON, "cookie": cookie}, path, method=method)
        assert code == 401
        assert "`personal-pipeline open`" in text
        assert TOKEN not in text + str(headers)
    assert status({**JSON, "cookie": cookie}, "/graphql", method=None) == 401
    # nor is the token taken from anywhere else
    assert (
        status({**JSON, "cookie": cookie}, "/graphql", method="POST", query=f"token={TOKEN}") == 401
    )
    assert status({**JSON, "cookie": cookie, "authorization": f"Bearer {TOKEN}"}) == 401


def test_cookies_of_others_hide_ours_from_nobody() -> None:
    for odd in (
        'a="b',
        "a=b; a",
        '{"json": [1, 2]}',
        "a=\x01",
        ";;;=",
        "personal_pipeline_3000=no",
    ):
        assert status({**BROWSER, "cookie": f"{odd}; {COOKIE}"}) == 200
        assert status({**BROWSER, "cookie": f"{COOKIE};{odd}"}) == 200
    others = [pair for pair in BROWSER.items() if pair[0] != "cookie"]
    assert status([*others, ("cookie", "a=b"), ("cookie", COOKIE)]) == 200


@pytest.mark.parametrize(
    ("method", "content_type", "query"),
    [
        ("GET", None, "query=mutation{}"),
        ("GET", None, ""),
        ("HEAD", None, "query=mutation{}"),
        ("GET", "application/json", ""),
        ("OPTIONS", None, ""),
        ("PUT", "application/json", ""),
        ("DELETE", "application/json", ""),
        ("post ", "application/json", ""),
        ("POST", None, "query=mutation{}"),
        ("POST", "", ""),
        ("POST", "text/plain", ""),
        ("POST", "text/plain; application/json", ""),
        ("POST", "text/plain;charset=application/json", ""),
        ("POST", "application/x-www-form-urlencoded", ""),
        ("POST", "multipart/form-data; boundary=application/json", ""),
        ("POST", "application/graphql", ""),
        ("POST", "application/json, text/plain", ""),
        ("POST", "application/jsonp", ""),
    ],
)
def test_graphql_is_asked_by_post_of_json_and_by_nothing_else(
    method: str, content_type: str | None, query: str
) -> None:
    headers = {**BROWSER, "x-http-method-override": "POST", "x-method-override": "POST"}
    if content_type is not None:
        headers["content-type"] = content_type
    for path in ("/graphql", "//graphql", "/graphql/", "/x/../graphql", "/./graphql", "/GraphQL",
                 "/x\\..\\graphql"):  # fmt: skip
        assert status(headers, path, method=method, query=query) == 405
    twice = [*BROWSER.items(), ("content-type", "text/plain"), ("content-type", "application/json")]
    assert status(twice, "/graphql", method="POST") == 405


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
def test_what_forges_events_and_what_shows_files_of_the_disk_is_closed(method: str) -> None:
    for path in (
        "/report_asset_materialization/stripe/charges",
        "/report_asset_check/stripe/charges",
        "/report_asset_observation/x",
        "/report_runless_asset_event",
        "//report_asset_materialization/x",
        "/x/../report_asset_check/x",
        "/Report_Asset_Check/x",
        "/notebook",
        "/dagit/notebook",
        "/dagit_info",
    ):
        code, _, text = asked(JSON, path, method=method)
        assert code == 405
        assert "closed" in text


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]
)
@pytest.mark.parametrize("path", ["/", "/server_info", "/logs/x", "/graphql2", "/anything"])
def test_a_page_is_only_read(path: str, method: str) -> None:
    assert status(JSON, path, method=method) == 405


def test_the_token_becomes_a_cookie_and_leaves_the_address() -> None:
    code, headers, _ = asked({"host": HOST}, "/runs/a b", query=f"x=1&token={TOKEN}&y=ä")
    assert code == 303
    assert headers["location"] == "/runs/a%20b?x=1&y=%C3%A4"
    assert headers["set-cookie"].startswith(
        f"{COOKIE}; HttpOnly; SameSite=Strict; Path=/; Max-Age="
    )
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    # an address must not lead elsewhere
    for path in ("//evil.example/", "/\\evil.example/", "/\r\nx: y"):
        _, headers, _ = asked({"host": HOST}, path, query=f"token={TOKEN}")
        assert headers["location"].startswith("/")
        assert headers["location"][1] not in "/\\"
        assert "\n" not in headers["location"]


def test_a_click_elsewhere_goes_on_by_a_page_of_ours() -> None:
    elsewhere = {"host": HOST, "sec-fetch-site": "cross-site", **CLICK}
    code, headers, text = asked(elsewhere, '/a"><script>', query=f"token={TOKEN}&b=%22%3E")
    assert code == 200
    assert headers["set-cookie"].startswith(COOKIE)
    assert 'content="0; url=/a%22%3E%3Cscript%3E?b=%22%3E"' in text
    assert TOKEN not in text
    # neither image nor frame nor form does, though its page knew the token
    for mode, dest in (("no-cors", "image"), ("navigate", "iframe"), ("cors", "empty")):
        headers = {**elsewhere, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
        assert status(headers, query=f"token={TOKEN}") == 403
    assert status(elsewhere, method="POST", query=f"token={TOKEN}") == 403
    # the wrong token opens nothing, and a click without it neither, cookie or not
    assert status(elsewhere, query="token=x") == 403
    assert status({**elsewhere, "cookie": COOKIE}) == 403


@pytest.mark.parametrize(
    "query", ["token=", f"token={TOKEN}x", f"Token={TOKEN}", "token", f"t={TOKEN}"]
)
def test_another_token_opens_nothing(query: str) -> None:
    assert status({"host": HOST}, query=query) == 401


def test_every_answer_forbids_frames_and_keeps_its_address_to_itself() -> None:
    for headers, query in (
        (BROWSER, ""),
        ({"host": HOST}, ""),
        ({"host": "evil"}, ""),
        ({**BROWSER, "origin": "null"}, ""),
        ({"host": HOST}, f"token={TOKEN}"),
    ):
        _, given, _ = asked(headers, query=query)
        assert given["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in given["content-security-policy"]
        assert given["referrer-policy"] in ("same-origin", "no-referrer")
        assert given["cross-origin-resource-policy"] == "same-origin"
        assert given["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in given


def test_127_0_0_1_is_let_in_only_when_it_was_set() -> None:
    plain = Door(NAME, TOKEN, 3000, plain=True)
    headers = {**JSON, "host": "127.0.0.1:3000", "origin": "http://127.0.0.1:3000"}
    assert status(headers, "/graphql", method="POST", door=plain) == 200
    assert status(headers, "/graphql", method="POST") == 421
    assert plain.opening() == f"http://127.0.0.1:3000/?token={TOKEN}"
    assert status(JSON, "/graphql", method="POST", door=plain) == 200
    # one of our two names is not the origin of the other
    assert status({**headers, "origin": OURS}, "/graphql", method="POST", door=plain) == 403
    assert status({**headers, "host": "localhost:3000"}, door=plain) == 421


header = st.sampled_from(
    ["host", "origin", "sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest", "cookie",
     "content-type"]
)  # fmt: skip
value = st.sampled_from(
    [HOST, OURS, COOKIE, "null", "same-origin", "none", "cross-site", "navigate", "document",
     "application/json", "text/plain", "evil.example", TOKEN, ""]
)  # fmt: skip


@given(
    headers=st.lists(st.tuples(header, value), max_size=8),
    method=st.sampled_from(["GET", "POST", "HEAD", None]),
    path=st.sampled_from(["/", "/graphql", "/notebook", "//graphql"]),
    query=st.sampled_from(["", f"token={TOKEN}", "token=x", "query=mutation{}"]),
)
def test_nobody_is_let_in_who_does_not_fulfil_every_condition(
    headers: list[tuple[str, str]], method: str | None, path: str, query: str
) -> None:
    def all_of(name: str) -> list[str]:
        return [value for each, value in headers if each == name]

    code, given, _ = asked(headers, path, method=method, query=query)
    if code in (101, 200) and "set-cookie" not in given:
        assert all_of("host") == [HOST]
        assert set(all_of("origin")) <= {OURS}
        assert set(all_of("sec-fetch-site")) <= {"same-origin", "none"}
        assert COOKIE in all_of("cookie")
        assert path in ("/", "/graphql")
        if path == "/graphql":
            assert method is None or (method, all_of("content-type")) == (
                "POST",
                ["application/json"],
            )
        if method is None:
            assert all_of("origin")
    if "set-cookie" in given:
        assert all_of("host") == [HOST]
        assert query == f"token={TOKEN}"
        assert method == "GET"


# -------------------------------------------------------------------------- behind the server


@pytest.fixture(scope="module")
def served() -> Iterator[Door]:
    """A server with nothing but a word behind its guard, as the house starts it."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            start = {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"6")],
            }
            await send(start)
            await send({"type": "http.response.body", "body": b"inside"})

    door = Door(NAME, TOKEN, free_port())
    server = server_of(guarded(app, door), door.port)
    thread = Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server listens")
    yield door
    server.should_exit = True
    thread.join()


def raw(door: Door, text: str) -> bytes:
    """What the server sends for these bytes, with HOST and COOKIE filled in."""
    said = text.replace("HOST", f"{NAME}:{door.port}").replace("COOKIE", f"{door.cookie}={TOKEN}")
    with closing(socket.create_connection(("127.0.0.1", door.port), 10)) as opened:
        opened.sendall(said.replace("\n", "\r\n").encode("latin-1"))
        parts = []
        # a server that refuses a head before it has read it may cut the connection
        with suppress(ConnectionResetError):
            while part := opened.recv(65_536):
                parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GET / HTTP/1.1\nHost: HOST\nCookie: COOKIE\nConnection: close\n\n", 200),
        ("GET / HTTP/1.0\nHost: HOST\nCookie: COOKIE\n\n", 200),
        ("GET / HTTP/1.0\nCookie: COOKIE\n\n", 421),
        ("GET / HTTP/1.1\nCookie: COOKIE\nConnection: close\n\n", 400),
        ("GET / HTTP/1.1\nHost: HOST\nHost: evil\nCookie: COOKIE\nConnection: close\n\n", 400),
        ("GET http://evil/ HTTP/1.1\nHost: evil\nCookie: COOKIE\nConnection: close\n\n", 421),
        ("GET http://HOST/ HTTP/1.1\nHost: evil\nCookie: COOKIE\nConnection: close\n\n", 421),
        ("GET /%67raphql?query=x HTTP/1.1\nHost: HOST\nCookie: COOKIE\nConnection: close\n\n", 405),
        ("GET /x/%2e%2e/graphql HTTP/1.1\nHost: HOST\nCookie: COOKIE\nConnection: close\n\n", 405),
        ("POST /report_asset%5fcheck/x HTTP/1.0\nHost: HOST\nCookie: COOKIE\n\n", 405),
        ("POST /graphql HTTP/1.1\nHost: HOST\nContent-Length: 2\nConnection: close\n\n{}", 401),
        (
            "POST /graphql HTTP/1.1\nHost: HOST\nCookie: COOKIE\nContent-Type: text/plain\n"
            "Content-Length: 2\nConnection: close\n\n{}",
            405,
        ),
        (
            "POST /graphql HTTP/1.1\nHost: HOST\nCookie: COOKIE\nContent-Type: application/json\n"
            "Content-Length: 2\nConnection: close\n\n{}",
            200,
        ),
        ("TRACE / HTTP/1.1\nHost: HOST\nCookie: COOKIE\nConnection: close\n\n", 405),
        (f"GET / HTTP/1.1\nHost: HOST\nCookie: COOKIE\nX: {'x' * 200_000}\n\n", 400),
        ("NONSENSE\n\n", 400),
        (
            "GET /graphql HTTP/1.1\nHost: HOST\nOrigin: http://evil\nCookie: COOKIE\n"
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: graphql-ws\n\n",
            403,
        ),
        (
            "GET /graphql HTTP/1.1\nHost: HOST\nCookie: COOKIE\n"
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\nSec-WebSocket-Protocol: graphql-ws\n\n",
            403,
        ),
        (
            "GET /graphql HTTP/1.1\nHost: HOST\nOrigin: http://HOST\n"
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
            401,
        ),
        (
            "GET /graphql HTTP/1.1\nHost: evil\nOrigin: http://evil\nCookie: COOKIE\n"
            "Upgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Version: 13\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
            421,
        ),
    ],
)  # fmt: skip
def test_what_comes_over_the_wire(served: Door, text: str, expected: int) -> None:
    answer = raw(served, text)
    assert int(answer.split(b" ", 2)[1]) == expected, answer[:300]
    assert (b"inside" in answer) == (expected == 200)
    if expected in (401, 403, 405, 421) and b"TRACE" not in text.encode():
        assert b"`personal-pipeline open`" in answer
    assert raw(served, "GET / HTTP/1.0\nHost: HOST\nCookie: COOKIE\n\n").endswith(b"inside")


def test_nobody_else_gets_the_port_of_the_other_loopback_address() -> None:
    port = free_port()
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no [::1]")
    with other_loopback_taken(port):
        with socket.socket(socket.AF_INET6) as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                other.bind(("::1", port))
        # nobody listens there either: a browser goes on to 127.0.0.1
        with socket.socket(socket.AF_INET6) as visitor, pytest.raises(ConnectionRefusedError):
            visitor.connect(("::1", port))
    with socket.socket(socket.AF_INET6) as other:
        other.bind(("::1", port))
        other.listen()
        with pytest.raises(PortTaken), other_loopback_taken(port):
            raise AssertionError("somebody else would be sent the token")
