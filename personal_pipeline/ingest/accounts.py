"""Which account a credential belongs to. Noted on the first fetch, so that the key of another
account, or of the same account's test mode, is refused before any of its data is mixed with what is
there.

Noted in ``state/accounts/``. If nothing is noted, or the note was deleted, the account is inferred
from the most recent records in the lake as far as they identify it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import StreamLake, canonical, lake_of
from personal_pipeline.ingest.memory import recall, remember
from personal_pipeline.settings import Settings


def check_account(
    home: Home, settings: Settings, source: Source, client: Client, *, accept: bool
) -> None:
    """Note which account the service reports, or compare it with the noted one. If it differs, and
    is accepted or the home has no rows of this source yet, everything is fetched again.

    Raises ``ServiceError``: OTHER_ACCOUNT when the account differs; otherwise whatever the request
    raised.
    """
    if source.account is None:
        return
    told = dict(source.account(settings, client))
    noted = _noted(home, source)
    known = _told_by_lake(home, source) if noted is None else noted
    other = sorted(name for name in told.keys() & known.keys() if told[name] != known[name])
    if other:
        if not accept and _has_rows(home, source):
            raise ServiceError(Failure.OTHER_ACCOUNT, _refusal(source, " and ".join(other)))
        for stream in source.api:
            memory = recall(home, source.name, stream.name)
            remember(home, source.name, stream.name, memory.never_asked())
    if noted != {**known, **told}:
        write_atomically(_path(home, source), canonical({**known, **told}).encode())


def _refusal(source: Source, other: str) -> str:
    return (
        f"{source.title}: the {other} of this credential differs from that of the data in this "
        "home. Nothing was fetched or changed. Restore the original credential in "
        f"{' or '.join(source.credentials)}, or use a separate home for the new one "
        "(PERSONAL_PIPELINE_HOME). To continue this home with the new one, run `personal-pipeline "
        f"refresh --accept {source.name}`."
    )


def _path(home: Home, source: Source) -> Path:
    return home.state / "accounts" / f"{source.name}.json"


def _noted(home: Home, source: Source) -> dict[str, str] | None:
    try:
        noted = json.loads(_path(home, source).read_bytes())
        return {str(name): str(value) for name, value in noted.items()}
    except (OSError, ValueError, AttributeError):
        return None


def _lakes(home: Home, source: Source) -> list[StreamLake]:
    return [lake_of(home, source.name, stream) for stream in source.api]


def _has_rows(home: Home, source: Source) -> bool:
    return any(
        version.rows for lake in _lakes(home, source) for version in lake.sound_versions().values()
    )


def _told_by_lake(home: Home, source: Source) -> dict[str, str]:
    lakes = _lakes(home, source)
    return {name: value for lake in lakes for name, value in _told_by(source, lake).items()}


def _told_by(source: Source, lake: StreamLake) -> Mapping[str, str]:
    """What the most recent records of a stream reveal about the account."""
    versions = lake.sound_versions()
    for day in sorted(versions, reverse=True):
        if versions[day].rows:
            told = [source.account_in(row.record) for row in lake.rows(day)]
            return next(filter(None, told), {})
    return {}
