"""Where bad input goes: kept, with the reason beside it, and shown; never lost."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from personal_pipeline.home import PRIVATE_FILE, Home, free_name, write_atomically
from personal_pipeline.ingest.contract import Unreadable
from personal_pipeline.ingest.lake import canonical


def keep_records(
    home: Home, source: str, stream: str, records: Sequence[Unreadable]
) -> Path | None:
    """Keep records that could not be read, one JSON line each with its reason.

    The file is named by its content, so fetching the same bad records every day keeps one file.
    """
    if not records:
        return None
    lines = sorted(
        canonical({"reason": bad.reason, "record": _text_of(bad.raw)}) for bad in records
    )
    content = "".join(f"{line}\n" for line in lines).encode()
    name = f"unreadable-{hashlib.sha256(content).hexdigest()[:16]}.jsonl"
    path = home.quarantine / source / stream / name
    if not path.exists():
        write_atomically(path, content)
    return path


def _text_of(raw: object) -> object:
    try:
        canonical(raw)
    except (TypeError, ValueError, RecursionError):
        return repr(raw)
    return raw


def set_aside(home: Home, file: Path, folder: str, reason: str) -> Path:
    """Move a dropped file out of the inbox into ``quarantine/<folder>/``, the reason beside it."""
    target = home.quarantine / folder
    target.mkdir(parents=True, exist_ok=True)
    place = free_name(target / file.name)
    write_atomically(place.with_name(f"{place.name}.reason.txt"), f"{reason}\n".encode())
    shutil.move(file, place)
    # it has the mode that it came with
    place.chmod(PRIVATE_FILE)
    return place
