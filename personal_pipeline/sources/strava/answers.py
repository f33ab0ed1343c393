"""Responses of Strava's API that somebody saved: an activity, or a list of them, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime

from personal_pipeline.ingest.contract import (
    EARLIEST,
    Claim,
    DropFile,
    DropRow,
    Unreadable,
    UnreadableFile,
)

_NAMES = (b'"start_date"', b'"moving_time"', b'"elapsed_time"', b'"athlete"', b'"upload_id"')


def recognise_answer(file: DropFile) -> Claim | None:
    """Whether the file is an activity from the API, or a list of them."""
    head = file.head()
    if not head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[")):
        return None
    found = sum(name in head for name in _NAMES)
    return Claim(0.85, "JSON with the fields of an activity of Strava") if found >= 4 else None


def read_answer(file: DropFile) -> Iterator[DropRow | Unreadable]:
    """One row per activity. Raises ``UnreadableFile`` when it is not JSON."""
    try:
        answer = json.loads(file.content())
    except (ValueError, RecursionError):
        raise UnreadableFile(
            "Strava: it is not JSON, or is truncated; save the response again."
        ) from None
    for each in answer if isinstance(answer, list) else [answer]:
        number = each.get("id") if isinstance(each, dict) else None
        # start_date_local is written as if it were UTC, but is not
        at = _time_of(each.get("start_date")) if number is not None else None
        if at is None or at.date() < EARLIEST:
            yield Unreadable("expected an activity with id and start_date", each)
        else:
            yield DropRow("activity_details", at.date().replace(day=1), str(number), each)


def _time_of(text: object) -> datetime | None:
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return found if found and found.tzinfo else None
