"""Originals: every file that a source knows, kept for ever as it came, read-only, by its digest.

Beside an original lies its sidecar, ``<digest>.takings.json``: what reading it depended on, each
time that the file came. With it the archive is enough: a file that is taken again from there gives
the rows that it gave at first.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from pathlib import Path

from personal_pipeline.home import READ_ONLY, Home, sync_folder, write_atomically
from personal_pipeline.ingest.lake import digest_of

REPLACED = "The copy of it in the archive was damaged; this file has taken its place."

SIDECAR = ".takings.json"
"""How the name of a sidecar ends. ``.json`` alone would be the name of an original that is JSON."""

UNPACKED = ("inbox", "archive")
"""Source and drop of an archive whose files were taken by themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """What reading an original depended on when the file came.

    ``name`` and ``folder`` are where it lay: its name, and its folder below the inbox with ``/``
    between the parts, or "" at the top; so too for a file that came in an archive, ``inside``.
    ``modified_ns`` is the time of the file, ``captured_at`` when the service gave it.
    """

    name: str
    folder: str
    modified_ns: int
    received_at: str
    source: str
    drop: str
    captured_at: str
    confidence: float | None = None
    """How sure the source was that the file is its; None when nobody noted it."""
    reason: str = ""
    dialect: str | None = None
    """The name of the declaration by which it was read, the text of which ``dialect_digest``
    names in ``archive/dialects/``."""
    dialect_digest: str | None = None
    inside: str | None = None
    came_again_at: str | None = None
    """When the same file last came under the same name and folder."""
    accepted: bool = False
    """A person confirmed that what this export lacks is really gone."""

    def id(self, digest: str) -> str:
        """Equal for takings that give the same rows, of the original with this digest."""
        same = [digest, self.name, self.folder, self.modified_ns, self.source, self.drop]
        return hashlib.sha256(json.dumps(same).encode()).hexdigest()[:16]


def original_path(home: Home, digest: str, name: str) -> Path:
    """Where an original lies: by its digest, with the ending that it came with."""
    ending = "".join(re.findall(r"\.[A-Za-z0-9]{1,8}", name)[-1:])
    return _folder(home, digest) / f"{digest}{ending}"


def _folder(home: Home, digest: str) -> Path:
    return home.archive / "originals" / digest[:2]


def find_original(home: Home, digest: str, name: str) -> Path | None:
    """The file of an original, whichever ending it came with first; None when it is not there."""
    place = original_path(home, digest, name)
    if place.exists():
        return place
    others = _folder(home, digest).glob(f"{digest}*")
    return next((each for each in sorted(others) if not each.name.endswith(SIDECAR)), None)


def keep_original(home: Home, path: Path, digest: str) -> str | None:
    """Put a copy of a file into the archive, read-only, under its digest; once is enough.

    One that is there is not believed before it was read: a damaged one is replaced, and a sentence
    says so. Afterwards the file itself may be thrown away.
    """
    original = original_path(home, digest, path.name)
    damaged = original.exists()
    if damaged and digest_of(original) == digest:
        return None
    original.parent.mkdir(parents=True, exist_ok=True)
    temporary = original.with_name(f".{digest}.tmp")
    temporary.unlink(missing_ok=True)
    shutil.copy2(path, temporary)
    # it keeps the mode of the file that was dropped, which may be read-only
    temporary.chmod(0o600)
    # for writing, because Windows refuses to sync what was opened for reading
    with temporary.open("r+b") as stream:
        os.fsync(stream.fileno())
    temporary.chmod(READ_ONLY)
    if damaged:
        # because Windows refuses to replace what is read-only
        original.chmod(0o600)
    temporary.replace(original)
    sync_folder(original.parent)
    return REPLACED if damaged else None


def keep_taking(home: Home, digest: str, taking: Taking, dialect: str | None = None) -> Taking:
    """Write a taking into the sidecar of its original, before a row is read; one that is there
    already is brought up to date. ``dialect`` is the text by which the file is read."""
    if dialect is not None:
        taking = replace(taking, dialect_digest=keep_dialect(home, dialect))
    write_takings(home, digest, [*(takings_of(home, digest) or ()), taking])
    return taking


def write_takings(home: Home, digest: str, takings: Sequence[Taking]) -> None:
    """Replace the sidecar of an original; of takings that are the same, one is kept."""
    kept: dict[str, Taking] = {}
    for taking in takings:
        before = kept.get(taking.id(digest))
        kept[taking.id(digest)] = taking if before is None else _again(before, taking)
    content = json.dumps([asdict(each) for each in kept.values()], indent=1)
    write_atomically(_folder(home, digest) / f"{digest}{SIDECAR}", content.encode())


def _again(before: Taking, taking: Taking) -> Taking:
    return replace(
        taking,
        received_at=before.received_at,
        came_again_at=taking.came_again_at or taking.received_at,
        inside=before.inside,
        accepted=before.accepted or taking.accepted,
    )


def takings_of(home: Home, digest: str) -> tuple[Taking, ...] | None:
    """What the sidecar of an original says; None when there is none, or it cannot be read."""
    return _read_sidecar(_folder(home, digest) / f"{digest}{SIDECAR}")


def _read_sidecar(path: Path) -> tuple[Taking, ...] | None:
    known = {field.name for field in fields(Taking)}
    try:
        kept = json.loads(path.read_bytes())
        takings = tuple(Taking(**{n: each[n] for n in each.keys() & known}) for each in kept)
        for each in takings:
            datetime.fromisoformat(each.received_at)
            datetime.fromisoformat(each.captured_at)
    except (OSError, ValueError, TypeError, AttributeError, KeyError):
        return None
    return takings


def all_takings(home: Home) -> Iterator[tuple[str, Taking]]:
    """Every taking in the archive, with the digest of its original."""
    for path in sorted((home.archive / "originals").glob(f"*/*{SIDECAR}")):
        digest = path.name.removesuffix(SIDECAR)
        yield from ((digest, taking) for taking in _read_sidecar(path) or ())


def without_sidecar(home: Home) -> list[Path]:
    """The originals that have no sidecar, or one that cannot be read."""
    found = []
    for path in sorted((home.archive / "originals").glob("*/*")):
        digest = path.name.partition(".")[0]
        if not digest or path.name.endswith(SIDECAR):
            continue
        if takings_of(home, digest) is None:
            found.append(path)
    return found


def folder_in_inbox(home: Home, path: Path) -> str:
    """The folder of a file below the inbox, or below the one into which an archive was unpacked;
    "" when it lies in none."""
    unpacked = [
        each for each in path.parents if each.name == "inbox" and each.is_relative_to(home.state)
    ]
    for top in (home.inbox, *reversed(unpacked)):
        if path.is_relative_to(top):
            return path.relative_to(top).parent.as_posix().removeprefix(".")
    return ""


def keep_dialect(home: Home, text: str) -> str:
    """Keep the text of a declaration; returns its digest."""
    content = text.encode("utf-8", "replace")
    digest = hashlib.sha256(content).hexdigest()
    place = _dialect_path(home, digest)
    if not place.exists():
        write_atomically(place, content)
        place.chmod(READ_ONLY)
    return digest


def _dialect_path(home: Home, digest: str) -> Path:
    return home.archive / "dialects" / f"{digest}.yaml"


def kept_dialect(home: Home, taking: Taking) -> bytes | None:
    """The declaration by which an original was read when it came; None when none was, or it is
    gone."""
    try:
        return _dialect_path(home, taking.dialect_digest or "").read_bytes()
    except OSError:
        return None
