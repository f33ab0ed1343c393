"""Whose account a credential opens: noted at the first look, so that the key of another account, or
of the same one's test mode, is refused before anything of it stands beside what is there.

Noted in ``state/accounts/``. Where nothing is noted, or the note was deleted, the newest records of
the lake tell what they can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.http import Client, Failure, ServiceError
from personal_pipeline.ingest.lake import StreamLake, canonical, lake_of
from personal_pipeline.settings import Settings


def check_account(
    home: Home, settings: Settings, source: Source, client: Client, *, accept: bool
) -> None:
    """Note what the service tells of the account, or compare it with what was noted.

    Raises ``ServiceError``: OTHER_ACCOUNT when it differs, unless that is accepted; else whatever
    came of asking.
    """
    if source.account is None:
        return
    told = dict(source.account(settings, client))
    known = _known(home, source)
    other = sorted(name for name in told.keys() & known.keys() if told[name] != known[name])
    if other and not accept:
        named = " and ".join(other)
        variables = " or ".join(source.credentials)
        raise ServiceError(
            Failure.OTHER_ACCOUNT,
            f"{source.title}: the {named} of this credential is not that of the data in this home. "
            f"Nothing was fetched, and nothing changed. Put the credential of the first look back "
            f"into {variables}, or give the other a home of its own (PERSONAL_PIPELINE_HOME). If "
            "this home is to go on with the other, run `personal-pipeline refresh --accept "
            f"{source.name}`.",
        )
    if (noted := {**known, **told}) != known or not _path(home, source).exists():
        write_atomically(_path(home, source), canonical(noted).encode())


def _path(home: Home, source: Source) -> Path:
    return home.state / "accounts" / f"{source.name}.json"


def _known(home: Home, source: Source) -> dict[str, str]:
    lakes = [lake_of(home, source.name, stream) for stream in source.api]
    if not any(lake.partitions() for lake in lakes):
        # there is nothing beside which anything could stand
        return {}
    try:
        noted = json.loads(_path(home, source).read_bytes())
        return {str(name): str(value) for name, value in noted.items()}
    except (OSError, ValueError, AttributeError):
        return {name: value for lake in lakes for name, value in _told_by(source, lake).items()}


def _told_by(source: Source, lake: StreamLake) -> Mapping[str, str]:
    """What the newest records of a stream tell of the account."""
    versions = lake.sound_versions()
    for day in sorted(versions, reverse=True):
        if versions[day].rows:
            told = [source.account_in(row.record) for row in lake.rows(day)]
            return next(filter(None, told), {})
    return {}
