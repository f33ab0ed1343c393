"""What a source sees of an invented life: the service that answers, the settings, the exports.

A source may have an invented part (``parts``); a source without one is simply not in the demo.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http import HTTPStatus
from io import BytesIO
from typing import Any, TypeAlias

from personal_pipeline.demo.chance import add_months
from personal_pipeline.demo.life import Life

Object: TypeAlias = dict[str, Any]
Query: TypeAlias = Mapping[str, list[str]]

CAPTURE_DAY = 2
"""The day of the month on which the writer exports what cannot be fetched."""


@dataclass(frozen=True, slots=True)
class Request:
    """One GET: its path, its query, and its headers by lower-case name."""

    path: str
    query: Query
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The response to a request."""

    status: HTTPStatus
    body: bytes
    content_type: str = "application/json; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


NOT_FOUND = Answer(HTTPStatus.NOT_FOUND, b"<html><body>Not found</body></html>", "text/html")


class Refused(Exception):
    """The service refuses the request with this answer."""

    def __init__(self, status: HTTPStatus, body: Object) -> None:
        super().__init__(status)
        self.answer = json_answer(body, status)


Service: TypeAlias = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class File:
    """A file as it arrived: its name, when it was made (UTC), and its content."""

    name: str
    made_at: datetime
    content: bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Invented:
    """The invented part of one source, all of it derived from a life."""

    source: str
    services: Callable[[Life], Mapping[str, Service]] = lambda life: {}
    """The services, by path prefix."""
    settings: Callable[[Life, str], Mapping[str, str]] = lambda life, base: {}
    """The person's settings, as environment variables; the services answer at ``base``."""
    files: Callable[[Life], Iterable[File]] = lambda life: ()
    """What the person exported by hand."""


def json_answer(body: object, status: HTTPStatus = HTTPStatus.OK) -> Answer:
    """An answer in JSON."""
    return Answer(status, json.dumps(body, ensure_ascii=False).encode())


def one(query: Query, parameter: str) -> str | None:
    """The value of a parameter; the last one if it is given more than once."""
    values = query.get(parameter)
    return values[-1] if values else None


def export_days(life: Life) -> Iterator[date]:
    """The second of every month after the first, while the day before is part of the life."""
    day = add_months(life.start, 1) + timedelta(days=CAPTURE_DAY - 1)
    while day <= life.end.date():
        yield day
        day = add_months(day, 1)


def json_file(name: str, made_at: datetime, body: object) -> File:
    """A file in JSON."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return File(name, made_at, text.encode())


def zipped(made_at: datetime, files: Iterable[tuple[str, str]]) -> bytes:
    """A zip of texts by name; the same texts give the same bytes."""
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as export:
        for name, text in files:
            entry = zipfile.ZipInfo(name, made_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            export.writestr(entry, text)
    return archive.getvalue()
