"""What the client needs of requests: a session, and the meaning of its exceptions."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import requests
from requests import RequestException
from requests_ratelimiter import LimiterAdapter
from urllib3.exceptions import InvalidHeader
from urllib3.util.retry import Retry

MAX_REDIRECTS = 5

PASSING = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
    TimeoutError,
)
"""Transient: no response this time."""

NOT_A_HEADER = (requests.exceptions.InvalidHeader, UnicodeError)


class OwnHostSession(requests.Session):
    """A session that strips its source's headers when a redirect leaves the host."""

    def __init__(self, own_headers: Collection[str]) -> None:
        super().__init__()
        self.max_redirects = MAX_REDIRECTS
        self._own_headers = tuple(own_headers)
        # Without an explicit auth, requests overwrites our header with one from ~/.netrc.
        self.auth = _as_it_is

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """The target of a redirect. The body, which requests would read to the end, is skipped."""
        target = super().get_redirect_target(resp)
        if target is not None:
            resp.close()
        return target

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        old, new = str(response.request.url), str(prepared_request.url)
        if self.should_strip_auth(old, new):  # type: ignore[no-untyped-call]
            for name in self._own_headers:
                prepared_request.headers.pop(name, None)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request


def retry_after(headers: Mapping[str, str]) -> float:
    """The pause in seconds that the service asks for; 0 when it gives none that is understood."""
    try:
        return Retry().parse_retry_after(headers.get("Retry-After", "0"))
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0


__all__ = [
    "NOT_A_HEADER",
    "PASSING",
    "LimiterAdapter",
    "OwnHostSession",
    "RequestException",
    "retry_after",
]
