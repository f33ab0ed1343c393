"""What the lake reflects of the archive: one ledger per kind of file,
``lake/<source>/.<drop>.json``.

It records which ingests were read into the lake, by which code version, and the resulting content
of each partition. It is stored in the lake, so that it disappears when the lake does. Whatever
happens to either (a kill, a file lost or altered, a reader fixed), the ledger then differs from
what is there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.contract import Drop, Source
from personal_pipeline.ingest.lake import Written, lake_of


@dataclass(frozen=True, slots=True)
class FullExport:
    """The last export that was read in full: the digest of its original, and when it was made."""

    origin: str
    as_of: datetime


@dataclass(frozen=True, slots=True)
class LakeRecord:
    """What the lake reflects of one kind of file.

    ``code`` has the reader's version by stream, and a digest of the dialects. ``months`` has, by
    stream, the content digest of each partition as it was left. ``unread`` are ingests whose
    originals could not be read, each with a fingerprint of the file: until that changes, there is
    no point in retrying.
    """

    ingests: frozenset[str] = frozenset()
    code: Mapping[str, str] = field(default_factory=dict)
    months: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    picture: FullExport | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    to_come: date | None = None


def _path(home: Home, source: str, drop: str) -> Path:
    return home.lake / source / f".{drop}.json"


def read_shown(home: Home, source: Source, drop: Drop) -> LakeRecord | None:
    """The ledger; None when there is none, or it cannot be read."""
    return shown_of(home, source.name, drop.name)


def shown_of(home: Home, source: str, drop: str) -> LakeRecord | None:
    """The ledger of a kind, by name; None when there is none, or it cannot be read."""
    try:
        kept: dict[str, Any] = json.loads(_path(home, source, drop).read_bytes())
        to_come = kept.get("to_come")
        picture = kept["picture"]
        return LakeRecord(
            ingests=frozenset(kept["takings"]),
            code=dict(kept["code"]),
            months={stream: dict(months) for stream, months in kept["months"].items()},
            picture=picture
            and FullExport(picture["origin"], datetime.fromisoformat(picture["as_of"])),
            unread=dict(kept["unread"]),
            to_come=date.fromisoformat(to_come) if to_come else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_shown(home: Home, source: Source, drop: Drop, shown: LakeRecord) -> None:
    """Replace the ledger."""
    noted = asdict(shown)
    # the name on disk, as in the sidecars
    noted["takings"] = sorted(noted.pop("ingests"))
    content = json.dumps(noted, default=lambda instant: instant.isoformat())
    write_atomically(_path(home, source.name, drop.name), content.encode())


def code_of(home: Home, drop: Drop) -> dict[str, str]:
    """The code versions with which files of a kind are read now."""
    code = {stream.name: stream.code_version for stream in drop.streams}
    if dialects := drop.dialects(home.root):
        text = json.dumps(sorted(dialects.items()))
        code["dialects"] = hashlib.sha256(text.encode()).hexdigest()[:16]
    return code


def months_of_lake(home: Home, source: Source, drop: Drop) -> dict[str, dict[str, str]]:
    """The content digest of each partition, by stream. Raises ``DamagedPartition``."""
    return {
        stream.name: {
            month.isoformat(): version.digest
            for month, version in lake_of(home, source.name, stream).versions().items()
        }
        for stream in drop.streams
    }


def note_shown(
    home: Home,
    source: Source,
    drop: Drop,
    ingests: Collection[str],
    written: Mapping[str, Sequence[Written]],
    picture: FullExport | None = None,
    to_come: Iterable[date | None] = (),
) -> None:
    """Note that these ingests were read into the lake, and the resulting partitions. ``to_come``
    has, for each of them, the first month of rows that are in the future, or None.

    Nothing else about the lake is asserted: a partition lost earlier stays lost, and rows from an
    earlier reader stay attributed to it.
    """
    before = read_shown(home, source, drop) or LakeRecord(code=code_of(home, drop))
    months = {stream.name: dict(before.months.get(stream.name, {})) for stream in drop.streams}
    for stream, partitions in written.items():
        months[stream].update(_digests(partitions))
    shown = replace(
        before,
        ingests=before.ingests | set(ingests),
        months=months,
        picture=picture or before.picture,
        unread={each: seen for each, seen in before.unread.items() if each not in ingests},
        to_come=min(filter(None, [before.to_come, *to_come]), default=None),
    )
    if shown != before:
        write_shown(home, source, drop, shown)


def _digests(written: Iterable[Written]) -> dict[str, str]:
    return {each.partition.isoformat(): each.version.digest for each in written}
