"""The HTTP client shared by all API sources: timeouts, retries, rate limit, time budget, errors.

What surprises:

- A socket timeout bounds one read, not a response: a server that sends a byte a minute never hits
  it. So every attempt runs in its own thread, which is abandoned when its time is up.
- urllib3 does not retry a connection that breaks in the middle of a body: its ``Retry`` ends with
  the headers. Nor does it know about a time budget, or go through the rate limiter again. So the
  retry loop is written out here.
- On a redirect to another host, requests drops ``Authorization`` but no other header. Here all
  headers of a source go to the source's own host only, and ``~/.netrc`` is never read.
- A response of a few bytes can decompress to gigabytes, and an endless one fills memory in seconds.
  So bytes are counted as they are decompressed, and reading stops at a limit.

429, 408, 409, 5xx and every kind of missing response are retried with exponential backoff;
``Retry-After`` and ``Stripe-Should-Retry`` are obeyed. 401 and 403 fail at once: retrying cannot
help. No error contains a header, query, body or absolute URL, because those hold credentials and
private data.

Every response also carries the service's time (``Date``): ``Client.service_time``.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from threading import Thread
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from personal_pipeline.shown import shown

CONNECT_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 60.0
ANSWER_TIMEOUT_SECONDS = 300.0
"""Time limit for one attempt, from the rate limiter to the last byte."""
MAX_PAUSE_SECONDS = 300.0
"""The longest ``Retry-After`` that a client without a deadline waits for."""
MAX_BYTES = 64 * 1024**2
"""Size limit for one response, decompressed. The largest pages requested have some megabytes;
decoded, JSON takes five to ten times its size in memory."""
MAX_BYTES_A_FETCH = 16 * MAX_BYTES
"""Size limit for all pages of one fetch, decompressed: they are sorted in memory."""

Query: TypeAlias = Mapping[str, str | int] | Sequence[tuple[str, str | int]]

MAX_WALKS = 4
"""How often to walk through the pages of a list when rows are removed in the meantime."""
_CURSOR_GONE = frozenset({400, 404, 410, 422})
_TRY_AGAIN = frozenset({408, 409, 429})
_PIECE = 64 * 1024

_KINDS = {
    "application/json": "malformed JSON",
    "text/html": "a web page",
    "text/plain": "plain text",
}


class Failure(StrEnum):
    """Why a fetch brought nothing; the words appear on the status board."""

    CREDENTIAL_REFUSED = "credential refused"
    PERMISSION_MISSING = "permission missing"
    """The credential is valid, but may not read this: other streams of the source may work."""
    OTHER_ACCOUNT = "another account"
    """The credential is valid, but belongs to a different account from the one whose data is
    here."""
    SERVICE_DOWN = "service down"
    FORMAT_CHANGED = "format changed"
    OUT_OF_TIME = "out of time"
    LAKE_DAMAGED = "lake file damaged"
    LOST_ROWS = "answer lost most rows"
    """The answer would remove most existing rows."""
    CLOCK_WRONG = "clock wrong"
    """This machine and the service are more than a day apart."""
    DEFECT = "defect"
    """A bug in this project's code."""


NEEDS_A_PERSON = frozenset(
    {Failure.CREDENTIAL_REFUSED, Failure.PERMISSION_MISSING, Failure.OTHER_ACCOUNT}
)
"""Retrying does not help until the user has done something at the service."""


class ServiceError(Exception):
    """A request to a service failed. The message says what failed, and what to do about it.

    ``status`` is the response status, if the service rejected the request with one.
    """

    def __init__(self, failure: Failure, message: str, status: int | None = None) -> None:
        super().__init__(shown(message))
        self.failure = failure
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """A service's response. ``headers`` are case-insensitive, ``content`` is decompressed, and
    ``url`` is the final URL after redirects."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes
    url: str


class Client:
    """A session with one service.

    ``headers`` are sent to the host of ``base`` only. ``per_second`` is the service's rate limit.
    ``refused`` is the sentence that tells the user what to do on a status in ``refused_on``; on
    403, ``permission`` returns the sentence for the path, if it has one. ``sleep`` is called with
    the seconds of each pause.

    ``deadline``, a ``time.monotonic`` instant, ends every ``get``, even one in progress, with
    ``ServiceError(OUT_OF_TIME)``, so that a stalling service does not hold up the others.

    ``most_bytes`` limits one response, and ``most_bytes_a_fetch`` all responses since
    ``begin_fetch``.
    """

    def __init__(
        self,
        service: str,
        base: str,
        *,
        headers: Mapping[str, str] | None = None,
        per_second: float,
        refused: str,
        refused_on: Collection[int] = (401, 403),
        permission: Callable[[str], str | None] = lambda path: None,
        retries: int = 5,
        backoff_seconds: float = 0.5,
        sleep: Callable[[float], None] = time.sleep,
        most_bytes: int = MAX_BYTES,
        most_bytes_a_fetch: int = MAX_BYTES_A_FETCH,
    ) -> None:
        self.service = service
        self.base = base.rstrip("/")
        self.deadline: float | None = None
        self._headers = dict(headers or {})
        self._refused = refused
        self._refused_on = frozenset(refused_on)
        self._permission = permission
        self._retries = retries
        self._backoff_seconds = backoff_seconds
        self._sleep = sleep
        self._most_bytes = most_bytes
        self._most_bytes_a_fetch = most_bytes_a_fetch
        self._received = 0
        self._told_time: tuple[datetime, float] | None = None
        # here, because requests takes longer to load than everything else that most commands need
        from personal_pipeline.ingest import session

        self._session = session.OwnHostSession(self._headers)
        # A proxy cannot reach this machine's loopback interface.
        self._session.trust_env = urlsplit(base).hostname not in ("127.0.0.1", "localhost", "::1")
        self._adapter = session.LimiterAdapter(per_second=per_second, limit_statuses=())
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self._session.close()

    def service_time(self) -> datetime | None:
        """The current time (UTC) at the service, from its latest response plus the time elapsed
        since; None when it reported none."""
        if self._told_time is None:
            return None
        told, at = self._told_time
        return told + timedelta(seconds=time.monotonic() - at)

    def begin_fetch(self) -> None:
        """Everything received so far is in the lake: start counting again."""
        self._received = 0

    def get(self, path: str, query: Query = (), also: Collection[int] = ()) -> Answer:
        """GET ``base + path`` (or an absolute URL) and return the response, if its status is below
        400 or in ``also``.

        Raises ``ServiceError``: CREDENTIAL_REFUSED on a status in ``refused_on``, except
        PERMISSION_MISSING on 403; FORMAT_CHANGED when the service rejects the request itself or
        sends without end; SERVICE_DOWN when all attempts are used up; OUT_OF_TIME when the deadline
        is reached or would be during the next pause.
        """
        from personal_pipeline.ingest import session

        url = path if "://" in path else f"{self.base}{path}"
        place = self._place(path)
        problem = ""
        for attempt in range(self._retries + 1):
            pause = self._backoff_seconds * 2**attempt
            try:
                response = self._send(url, query, place)
            except session.PASSING as error:
                problem = f"no answer ({type(error).__name__})"
            except session.NOT_A_HEADER:
                raise ServiceError(
                    Failure.CREDENTIAL_REFUSED,
                    f"{place}: the credential contains a character that is not allowed in a "
                    f"request, such as a line break; copy it again. {self._refused}",
                ) from None
            except session.RequestException as error:
                raise ServiceError(
                    Failure.SERVICE_DOWN,
                    f"{place}: the address cannot be used ({type(error).__name__}). "
                    "Check the address in the settings of this source.",
                ) from None
            else:
                self._note_time(response)
                if response.status_code < 400 or response.status_code in also:
                    self._received += len(response.content)
                    if self._received > self._most_bytes_a_fetch:
                        raise self._too_large(
                            place, "all pages together are", self._most_bytes_a_fetch
                        )
                    return response
                problem = f"HTTP {response.status_code}{_request_id(response)}"
                if response.status_code in self._refused_on:
                    missing = response.status_code == 403
                    what = (self._permission(path) if missing else None) or self._refused
                    raise ServiceError(
                        Failure.PERMISSION_MISSING if missing else Failure.CREDENTIAL_REFUSED,
                        f"{place}: {problem}. {what}",
                    )
                if not _worth_another_try(response):
                    raise _rejected(place, problem, response.status_code)
                pause = max(pause, session.retry_after(response.headers))
            if attempt < self._retries:
                self._pause(pause, place, problem)
        raise ServiceError(
            Failure.SERVICE_DOWN,
            f"{place}: {problem} after {self._retries + 1} attempts. Nothing was lost; check the "
            "network and the service's status page. The next run retries.",
        )

    def get_json(self, path: str, query: Query = ()) -> Any:
        """``get``, decoded. Raises ``ServiceError(FORMAT_CHANGED)`` when the body is not JSON."""
        response = self.get(path, query)
        try:
            return json.loads(response.content, parse_constant=_not_json)
        except (ValueError, RecursionError):
            raise ServiceError(
                Failure.FORMAT_CHANGED,
                f"{self._place(path)}: expected JSON, got {_kind_of(response)}. Nothing was lost; "
                "see docs/sources/ for the expected format.",
            ) from None

    def changed(self, path: str, expected: str) -> ServiceError:
        """The error to raise when a response does not have the shape ``expected``, a noun
        phrase."""
        return ServiceError(
            Failure.FORMAT_CHANGED,
            f"{self._place(path)}: expected {expected}. Nothing was lost; see docs/sources/ for "
            "the expected format.",
        )

    def _place(self, path: str) -> str:
        # An absolute URL can itself be the secret: whoever has a shared sheet's URL can read it.
        shown = urlsplit(path).hostname if "://" in path else path
        return f"{self.service}: GET {shown}"

    def _note_time(self, response: Answer) -> None:
        try:
            told = parsedate_to_datetime(response.headers["Date"])
            # a cache on the way forwards the time of its own request
            told += timedelta(seconds=float(response.headers.get("Age", 0)))
        except (KeyError, ValueError, TypeError, OverflowError):
            return
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        self._told_time = told.astimezone(UTC), time.monotonic()

    def _too_large(self, place: str, what: str, most: int) -> ServiceError:
        return ServiceError(
            Failure.FORMAT_CHANGED,
            f"{place}: {what} larger than {most / 1024**2:,.0f} MB, far more than expected. None "
            "of it was kept, and nothing was lost. Check the address in the settings; if it is "
            "correct, the service has changed.",
        )

    def _send(self, url: str, query: Query, place: str) -> Answer:
        seconds = ANSWER_TIMEOUT_SECONDS
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.monotonic())
            if seconds <= 0:
                raise ServiceError(
                    Failure.OUT_OF_TIME,
                    f"{place}: the time budget of this source is used up; what was fetched is "
                    "kept, and the next run resumes there.",
                )
        pairs = list(query.items()) if isinstance(query, Mapping) else list(query)
        at_home = urlsplit(url)[:2] == urlsplit(self.base)[:2]
        self._adapter.max_delay = seconds

        def send() -> Answer:
            with self._session.get(
                url,
                params=pairs,
                headers=self._headers if at_home else None,
                timeout=(
                    min(CONNECT_TIMEOUT_SECONDS, seconds),
                    min(READ_TIMEOUT_SECONDS, seconds),
                ),
                stream=True,
            ) as response:
                body = bytearray()
                for piece in response.iter_content(_PIECE):
                    body += piece
                    if len(body) > self._most_bytes:
                        raise self._too_large(place, "the answer is", self._most_bytes)
                return Answer(
                    response.status_code, response.headers, bytes(body), str(response.url)
                )

        return _within(seconds, send)

    def _pause(self, seconds: float, place: str, problem: str) -> None:
        # Jitter, so that streams and sources that failed together do not all retry together.
        seconds += random.uniform(0, self._backoff_seconds)  # noqa: S311
        if self.deadline is not None and time.monotonic() + seconds >= self.deadline:
            raise ServiceError(
                Failure.OUT_OF_TIME,
                f"{place}: {problem}, and the wait before the next attempt ({seconds:.0f} s) "
                "exceeds what is left of this source's time budget; what was fetched is kept, and "
                "the next run resumes there.",
            )
        if self.deadline is None and seconds > MAX_PAUSE_SECONDS:
            raise ServiceError(
                Failure.SERVICE_DOWN,
                f"{place}: {problem}, and the service asks to wait {seconds:.0f} s. Nothing was "
                "lost; the next run retries.",
            )
        self._sleep(seconds)


def rows_of(answer: Any, name: str) -> list[Any] | None:
    """The list of rows under ``name`` in a response; None when there is no such list."""
    rows = answer.get(name) if isinstance(answer, dict) else None
    return rows if isinstance(rows, list) else None


def pages(
    client: Client,
    path: str,
    query: Iterable[tuple[str, str | int]],
    *,
    rows: str,
    cursor: str,
    next_cursor: Callable[[Any], object],
) -> Iterator[Any]:
    """The rows of a list, page by page to the end: of each answer what stands under ``rows``.

    ``next_cursor`` takes the cursor of the next page from an answer, None on the last page; it is
    sent as ``cursor``. Raises ``ServiceError(FORMAT_CHANGED)`` when an answer is no such page, or
    when the pages repeat.
    """
    asked = list(query)
    after: list[tuple[str, str | int]] = []
    used: set[object] = set()
    while True:
        answer = client.get_json(path, [*asked, *after])
        page = rows_of(answer, rows)
        try:
            following = next_cursor(answer)
        except (KeyError, TypeError):
            page = None
        if page is None:
            raise client.changed(path, f"a page: {rows}, and the cursor of the next one")
        yield from page
        if following is None:
            return
        if not isinstance(following, str) or not following or following in used:
            raise client.changed(path, "each page to continue from the previous one")
        used.add(following)
        after = [(cursor, following)]


def whole_walk(
    walk: Callable[[], Iterator[Any]], key: Callable[[Any], str | None]
) -> Iterator[Any]:
    """The rows from walking through the pages of a list, each once by its key. If the row that
    marks the next page was deleted in the meantime, the service rejects the request, and the walk
    starts again. Raises ``ServiceError`` when the first page is rejected, or when this happens
    repeatedly."""
    given: set[str] = set()
    for walks_left in reversed(range(MAX_WALKS)):
        read = False
        try:
            for row in walk():
                read = True
                known = key(row)
                if known is None or known not in given:
                    yield row
                if known is not None:
                    given.add(known)
        except ServiceError as error:
            if not read or not walks_left or error.status not in _CURSOR_GONE:
                raise
        else:
            return


def _within(seconds: float, work: Callable[[], Answer]) -> Answer:
    """What ``work`` returns or raises; ``TimeoutError`` when it takes longer than ``seconds``."""
    outcome: Future[Answer] = Future()

    def run() -> None:
        try:
            outcome.set_result(work())
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, name="personal-pipeline-request", daemon=True).start()
    return outcome.result(timeout=seconds)


def _worth_another_try(response: Answer) -> bool:
    asked = response.headers.get("Stripe-Should-Retry", "").lower()
    if asked in ("true", "false"):
        return asked == "true"
    return response.status_code >= 500 or response.status_code in _TRY_AGAIN


def _rejected(place: str, problem: str, status: int) -> ServiceError:
    if status >= 500 or status in _TRY_AGAIN:
        return ServiceError(
            Failure.SERVICE_DOWN,
            f"{place}: {problem}, and the service asks not to retry now. Nothing was lost; the "
            "next run retries.",
        )
    return ServiceError(
        Failure.FORMAT_CHANGED,
        f"{place}: {problem}: the service does not accept this request. Nothing was lost; check "
        "the base address in the settings; if it is correct, the service has changed its API.",
        status,
    )


def _request_id(response: Answer) -> str:
    named = response.headers.get("Request-Id", "")
    return f" (request {named})" if re.fullmatch(r"[A-Za-z0-9_-]{1,64}", named) else ""


def _kind_of(response: Answer) -> str:
    """What a response seems to be. Its Content-Type is text from the server, and not repeated."""
    said = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return _KINDS.get(said, "something else")


def _not_json(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
