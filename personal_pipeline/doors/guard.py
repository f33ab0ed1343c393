"""A guard in front of a web server of the house: only the person's own browser gets through.

Any web page open in the same browser can send requests to 127.0.0.1: by image, form, script, fetch,
websocket or frame, and under our name if it resolves a host name of its own to 127.0.0.1. So

- ``Host`` must be ours (else 421), which a rebound name is not;
- ``Origin`` and ``Sec-Fetch-Site`` must show that one of our own pages asks (else 403). A page on
  another port of the same host counts as the same *site*: a SameSite cookie alone does not keep it
  out;
- the token must be present (else 401), which also keeps out other users of the machine. It arrives
  once in the address, becomes a cookie of our host name alone, and is removed from the address;
- the request must be for a page or file (GET, HEAD), or JSON sent to a path that accepts queries,
  which no form or image of another page can send (else 405). Closed paths are refused to everybody;
- no page may frame ours, and ours load nothing from elsewhere.

It is plain ASGI and independent of the server: anything else that the house serves goes behind the
same guard. It is modelled on Jupyter Server (token to cookie, origin check).
"""

from __future__ import annotations

import hmac
import html
import posixpath
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, TypeAlias
from urllib.parse import parse_qsl, quote, urlencode

from personal_pipeline.doors.door import Door

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

WAY_IN = (
    "`personal-pipeline open` opens this server in the browser, while `personal-pipeline up` runs."
)

REMEMBERED_SECONDS = 30 * 24 * 3600
"""How long a browser needs no token: bookmarks work this long after each opening."""

OUR_PAGES = (
    "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""Added to the policy that the server itself sends; browsers enforce the stricter of both."""

_COMMON = {
    "content-security-policy": OUR_PAGES,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    # the name is a kind of secret, so external links must not reveal it
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_ANSWER = {
    **_COMMON,
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_ADDED = {"content-security-policy"}
"""For this header the server's own value is kept too; all others replace the server's."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is refused: a status and a sentence."""

    status: int
    sentence: str


NOT_OURS = Refusal(421, "This server does not answer to that host name.")
NOT_FROM_HERE = Refusal(403, "Only pages of this server may send requests to it.")
NO_TOKEN = Refusal(401, "This browser has no access yet.")
CLOSED = Refusal(405, "This path is closed.")
NOT_SO = Refusal(405, "Use GET for pages, and POST with application/json for queries.")


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI application in front of another one.

    ``questions`` are the paths that accept POST of JSON, ``sockets`` those that accept websockets;
    ``closed`` are path prefixes that are refused to everybody. Everything else is read with GET and
    HEAD.
    """

    app: App
    door: Door
    questions: Collection[str] = ()
    sockets: Collection[str] = ()
    closed: tuple[str, ...] = ()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            return
        asked = Asked.of(scope, self.door)
        if asked.opens_the_door:
            await _open(self.door, asked, send)
        elif refusal := self.refusal(asked):
            await _refuse(refusal, asked, receive, send)
        else:
            await self.app(scope, receive, with_headers(send))

    def refusal(self, asked: Asked) -> Refusal | None:
        """Why a request is refused, or None. Path checks come last: a stranger does not learn which
        paths exist."""
        if not asked.names_us:
            return NOT_OURS
        if not asked.comes_from_here:
            return NOT_FROM_HERE
        if not asked.has_cookie:
            return NO_TOKEN
        # both as the server reads the path and as a server that normalizes paths would
        if asked.path.startswith(self.closed) or _tidy(asked.path).startswith(self.closed):
            return CLOSED
        return None if self._is_proper(asked) else NOT_SO

    def _is_proper(self, asked: Asked) -> bool:
        if asked.method is None:
            return asked.path in self.sockets
        takes_questions = asked.path in self.questions
        if takes_questions or _tidy(asked.path) in self.questions:
            return takes_questions and asked.method == "POST" and asked.sends_json
        return asked.method in ("GET", "HEAD")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the guard examines in a request. ``method`` is None for a websocket."""

    method: str | None
    path: str
    rest: str
    """The query without the token."""
    names_us: bool
    comes_from_here: bool
    sends_json: bool
    has_cookie: bool
    opens_the_door: bool
    can_be_told: bool
    """Whether the request can be answered with a status and a sentence."""

    @classmethod
    def of(cls, scope: Message, door: Door) -> Asked:
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        is_socket = scope["type"] == "websocket"
        method = None if is_socket else str(scope["method"]).upper()
        query = parse_qsl(scope.get("query_string", b"").decode("latin-1"), keep_blank_values=True)

        host = [each.lower() for each in headers.get("host", ())]
        names_us = len(host) == 1 and host[0] in door.hosts
        origins = headers.get("origin", [])
        same_origin = (
            all(each.lower() == f"http://{host[0]}" for each in origins) if host else False
        )
        sites = headers.get("sec-fetch-site", [])
        # a browser always sends the origin of a websocket, but not always the site
        said = bool(origins) if is_socket else True
        comes_from_here = (
            said and same_origin and all(each in ("same-origin", "none") for each in sites)
        )
        # a click on another site, or the file with which `open` starts the browser
        navigates = headers.get("sec-fetch-mode", ["navigate"]) == ["navigate"] and headers.get(
            "sec-fetch-dest", ["document"]
        ) == ["document"]
        tokens = [value for name, value in query if name == "token"]
        return cls(
            method=method,
            path=scope["path"],
            rest=urlencode([(name, value) for name, value in query if name != "token"]),
            names_us=names_us,
            comes_from_here=comes_from_here,
            sends_json=_essences(headers.get("content-type", ())) == ["application/json"],
            has_cookie=_any_is(_cookies(headers.get("cookie", ()), door.cookie), door.token),
            opens_the_door=(
                names_us
                and method == "GET"
                and navigates
                and not origins
                and _any_is(tokens, door.token)
            ),
            can_be_told=not is_socket or "websocket.http.response" in scope.get("extensions", {}),
        )


def _cookies(headers: Iterable[str], wanted: str) -> list[str]:
    """Every value of that cookie. A foreign cookie that no parser accepts hides none of them."""
    pairs = (each.partition("=") for header in headers for each in header.split(";"))
    return [value.strip() for name, _, value in pairs if name.strip() == wanted]


def _essences(content_types: Iterable[str]) -> list[str]:
    return [each.split(";")[0].strip().lower() for each in content_types]


def _any_is(offered: Iterable[str], token: str) -> bool:
    matching = [hmac.compare_digest(each.encode(), token.encode()) for each in offered]
    return any(matching)


def _tidy(path: str) -> str:
    return posixpath.normpath("/" + path.replace("\\", "/").lstrip("/")).lower()


def with_headers(send: Send) -> Send:
    """Adds to every answer the headers that keep other pages out."""

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [
                (name, value)
                for name, value in message.get("headers", ())
                if (lower := name.decode("latin-1").lower()) not in _COMMON or lower in _ADDED
            ]
            message = {**message, "headers": [*kept, *_encoded(_COMMON)]}
        await send(message)

    return tell


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]


async def _open(door: Door, asked: Asked, send: Send) -> None:
    """Turn the token into a cookie and continue without it.

    A visitor from another site continues through a page of ours: after a redirect the browser would
    still treat the referring page as the one that asks, and withhold a strict cookie.
    """
    place = "/" + quote(asked.path.lstrip("/\\"), safe="/~:@!$&'()*+,;=")
    place += f"?{asked.rest}" if asked.rest else ""
    headers = {
        "set-cookie": (
            f"{door.cookie}={door.token}; HttpOnly; SameSite=Strict; Path=/; "
            f"Max-Age={REMEMBERED_SECONDS}"
        )
    }
    if asked.comes_from_here:
        await _answer(send, 303, "text/plain", "", {**headers, "location": place})
        return
    target = html.escape(place)
    page = (
        '<!doctype html><meta charset="utf-8"><title>personal-pipeline</title>'
        f'<meta http-equiv="refresh" content="0; url={target}"><p><a href="{target}">Go on</a>'
    )
    await _answer(send, 200, "text/html", page, headers)


async def _refuse(refusal: Refusal, asked: Asked, receive: Receive, send: Send) -> None:
    if not asked.can_be_told:
        await receive()
        await send({"type": "websocket.close", "code": 4403})
        return
    kind = "websocket.http.response" if asked.method is None else "http.response"
    await _answer(
        send, refusal.status, "text/plain", f"{refusal.sentence} {WAY_IN}\n", {}, kind=kind
    )


async def _answer(
    send: Send,
    status: int,
    content_type: str,
    text: str,
    more: dict[str, str],
    kind: str = "http.response",
) -> None:
    body = text.encode()
    headers = {
        **_ANSWER,
        "content-type": f"{content_type}; charset=utf-8",
        "content-length": str(len(body)),
        **more,
    }
    await send({"type": f"{kind}.start", "status": status, "headers": _encoded(headers)})
    await send({"type": f"{kind}.body", "body": body})
