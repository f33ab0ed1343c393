"""Originals: every file that a source recognizes, kept for good as it came, read-only, by digest.

Beside an original is its sidecar, ``<digest>.takings.json``: what reading it depended on, for each
time the file arrived. This makes the archive self-sufficient: a file ingested again from there
yields the same rows as the first time.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from personal_pipeline.home import PRIVATE_FILE, READ_ONLY, Home, publish, staged, write_atomically
from personal_pipeline.ingest.lake import digest_of
from personal_pipeline.ingest.seals import is_sound, sealed

REPLACED = "Its copy in the archive was damaged, and has been replaced with this file."

SIDECAR = ".takings.json"
"""The suffix of a sidecar; on disk an ingest is called a taking. ``.json`` alone would be the name
of a JSON original."""

_ORIGINAL = re.compile(r"[0-9a-f]{64}(?:\.[A-Za-z0-9]{1,8})?")

UNPACKED = ("inbox", "archive")
"""Source and drop of an archive whose files were ingested one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ingest:
    """One ingest of a file: what reading the original depended on when it arrived.

    ``name`` and ``folder`` are where it was: its name, and its folder below the inbox with ``/``
    between the parts, or "" at the top; likewise for a file from an archive, ``inside``.
    ``modified_ns`` is the file's modification time, ``captured_at`` when the service produced it.
    """

    name: str
    folder: str
    modified_ns: int
    received_at: str
    source: str
    drop: str
    captured_at: str
    confidence: float | None = None
    """How confident the source's claim was; None when it was not noted."""
    reason: str = ""
    dialect: str | None = None
    """The name of the dialect it was read with, whose text is in ``archive/dialects/`` under
    ``dialect_digest``."""
    dialect_digest: str | None = None
    inside: str | None = None
    came_again_at: str | None = None
    """When the same file last arrived under the same name and folder."""
    accepted: bool = False
    """The user confirmed that what this export lacks is really gone."""

    def id(self, digest: str) -> str:
        """Equal for ingests, of the original with this digest, that yield the same rows."""
        same = [digest, self.name, self.folder, self.modified_ns, self.source, self.drop]
        return hashlib.sha256(json.dumps(same).encode()).hexdigest()[:16]


def original_path(home: Home, digest: str, name: str) -> Path:
    """The path of an original: its digest, with the suffix it came with."""
    ending = "".join(re.findall(r"\.[A-Za-z0-9]{1,8}", name)[-1:])
    return _folder(home, digest) / f"{digest}{ending}"


def _folder(home: Home, digest: str) -> Path:
    return home.archive / "originals" / digest[:2]


def find_original(home: Home, digest: str, name: str) -> Path | None:
    """The file of an original, whichever suffix it first came with; None when it is missing."""
    place = original_path(home, digest, name)
    if place.is_file():
        return place
    others = (each for each in _folder(home, digest).glob(f"{digest}*") if each.is_file())
    return next((each for each in sorted(others) if not each.name.endswith(SIDECAR)), None)


def originals(home: Home) -> Iterator[Path]:
    """The files of all originals, including damaged ones."""
    for path in sorted((home.archive / "originals").glob("*/*")):
        if _ORIGINAL.fullmatch(path.name) and path.is_file():
            yield path


def holds(path: Path, digest: str) -> bool:
    """Whether a file can be read and its content has this digest."""
    try:
        return digest_of(path) == digest
    except OSError:
        return False


def keep_originals(home: Home, files: Iterable[tuple[Path, str]]) -> set[str]:
    """Archive copies of files, read-only, under their digests, durably; a file already there is not
    stored again. ``files`` are private copies that nobody will change, each with its digest.

    An existing original is verified by reading it: a damaged one is replaced, and its digest is in
    the returned set. Afterwards the files themselves may be deleted.
    """
    finished: dict[Path, Path] = {}
    replaced: set[str] = set()
    for path, digest in files:
        original = original_path(home, digest, path.name)
        if original in finished.values():
            continue
        if original.exists():
            if holds(original, digest):
                continue
            replaced.add(digest)
            if original.is_file():
                # because Windows refuses to replace a read-only file
                original.chmod(PRIVATE_FILE)
        finished[_staged_copy(path, original)] = original
    publish(finished, mode=READ_ONLY)
    return replaced


def _staged_copy(copy: Path, original: Path) -> Path:
    """A temporary file beside ``original`` with the content of a private copy, for ``publish``."""
    temporary = staged(original, b"")
    temporary.unlink()
    try:
        os.link(copy, temporary)
    except OSError:
        # another file system, or one without hard links
        shutil.copy2(copy, temporary)
        temporary.chmod(PRIVATE_FILE)
    return temporary


def keep_ingests(home: Home, new: Iterable[tuple[str, Ingest, str | None]]) -> None:
    """Write ingests into the sidecars of their originals, durably, before any row is read; an
    existing entry is updated. Each comes with the digest of its original, and with the text of the
    dialect it is read with, if any."""
    sidecars: dict[str, list[Ingest]] = {}
    for digest, ingest, dialect in new:
        if dialect is not None:
            ingest = replace(ingest, dialect_digest=keep_dialect(home, dialect))
        sidecars.setdefault(digest, list(ingests_of(home, digest) or ())).append(ingest)
    publish(
        {
            staged(place, _sidecar(digest, ingests)): place
            for digest, ingests in sidecars.items()
            for place in [sidecar_path(home, digest)]
        }
    )


def write_ingests(home: Home, digest: str, ingests: Sequence[Ingest]) -> None:
    """Replace the sidecar of an original; of equivalent ingests, one is kept."""
    write_atomically(sidecar_path(home, digest), _sidecar(digest, ingests))


def sidecar_path(home: Home, digest: str) -> Path:
    """The path of an original's sidecar."""
    return _folder(home, digest) / f"{digest}{SIDECAR}"


def _sidecar(digest: str, ingests: Sequence[Ingest]) -> bytes:
    kept: dict[str, Ingest] = {}
    for ingest in ingests:
        before = kept.get(ingest.id(digest))
        kept[ingest.id(digest)] = ingest if before is None else _again(before, ingest)
    return json.dumps([sealed(asdict(each)) for each in kept.values()], indent=1).encode()


def _again(before: Ingest, ingest: Ingest) -> Ingest:
    return replace(
        ingest,
        received_at=before.received_at,
        came_again_at=ingest.came_again_at or ingest.received_at,
        inside=before.inside,
        accepted=before.accepted or ingest.accepted,
    )


def ingests_of(home: Home, digest: str) -> tuple[Ingest, ...] | None:
    """The content of an original's sidecar; None when there is none, or it is damaged."""
    return _read_sidecar(sidecar_path(home, digest))


def _read_sidecar(path: Path) -> tuple[Ingest, ...] | None:
    known = {field.name for field in fields(Ingest)}
    try:
        kept = json.loads(path.read_bytes())
        ingests = tuple(Ingest(**{n: each[n] for n in each.keys() & known}) for each in kept)
        for each in ingests:
            datetime.fromisoformat(each.received_at)
            datetime.fromisoformat(each.captured_at)
        if not all(map(is_sound, kept)):
            return None
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return ingests


def all_ingests(home: Home) -> Iterator[tuple[str, Ingest]]:
    """Every ingest in the archive, with the digest of its original."""
    for path in sorted((home.archive / "originals").glob(f"*/*{SIDECAR}")):
        digest = path.name.removesuffix(SIDECAR)
        yield from ((digest, ingest) for ingest in _read_sidecar(path) or ())


def without_sidecar(home: Home) -> list[Path]:
    """The originals without a sidecar, or with a damaged one."""
    return [
        path for path in originals(home) if ingests_of(home, path.name.partition(".")[0]) is None
    ]


def folder_in_inbox(home: Home, path: Path) -> str:
    """A file's folder below the inbox, or below the folder an archive was unpacked into; "" if it
    is at the top."""
    unpacked = [
        each for each in path.parents if each.name == "inbox" and each.is_relative_to(home.state)
    ]
    for top in (home.inbox, *reversed(unpacked)):
        if path.is_relative_to(top):
            return path.relative_to(top).parent.as_posix().removeprefix(".")
    return ""


def keep_dialect(home: Home, text: str) -> str:
    """Keep the text of a dialect; returns its digest."""
    content = text.encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()
    place = _dialect_path(home, digest)
    if not place.exists():
        write_atomically(place, content)
        place.chmod(READ_ONLY)
    return digest


def _dialect_path(home: Home, digest: str) -> Path:
    return home.archive / "dialects" / f"{digest}.yaml"


def kept_dialect(home: Home, ingest: Ingest) -> bytes | None:
    """The dialect an original was read with when it arrived; None when there was none, or it is
    gone."""
    try:
        return _dialect_path(home, ingest.dialect_digest or "").read_bytes()
    except OSError:
        return None
