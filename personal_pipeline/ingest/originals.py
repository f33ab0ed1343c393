"""Originals: every file that a source knows, kept for ever as it came, read-only, by its digest."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from pathlib import Path

from personal_pipeline.home import READ_ONLY, Home, sync_folder

REPLACED = "The copy of it in the archive was damaged; this file has taken its place."


def digest_of(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def original_path(home: Home, digest: str, name: str) -> Path:
    """Where an original lies: by its digest, with the ending that it came with."""
    ending = "".join(re.findall(r"\.[A-Za-z0-9]{1,8}", name)[-1:])
    return home.archive / "originals" / digest[:2] / f"{digest}{ending}"


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
