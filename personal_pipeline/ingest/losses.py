"""A loss that no person caused is not trusted at once.

An answer or an export that would remove most existing rows (an empty 200, a page that breaks off,
another account's export) is set aside. It is accepted when the user accepts it, or when a fetch
most of a day later confirms it: everything missing now was missing then.

Missing keys are noted in ``state/doubts/``, as digests. Losing the note costs one more day of
doubt, and no data.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.lake import Row, canonical

FEW_ROWS = 20
"""This many rows may be removed without confirmation, whatever their share."""

BELIEVED_AFTER = timedelta(hours=20)
"""A daily fetch whose hour drifts still confirms; a second attempt on the same morning does not."""

REMOVES = "would remove"
"""The words in the reason beside a file that mark it as only waiting to be accepted."""

REMOVES_IN_OLDER_REASONS = "would take away"

MAX_KEPT = 3
"""How many set-aside answers to keep per stream, the most recent ones."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Keys that are in the lake but not in an answer, and the number of keys that were
    requested."""

    gone: frozenset[str]
    of: int

    def is_most(self, share: float) -> bool:
        """Whether more than ``share`` would be gone, however few rows that is."""
        return len(self.gone) > share * self.of

    def is_doubtful(self, share: float) -> bool:
        """Whether it has to be confirmed."""
        return len(self.gone) > FEW_ROWS and self.is_most(share)

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.gone | other.gone, self.of + other.of)


NO_LOSS = Loss(frozenset(), 0)


def loss(there: Iterable[str], answered: Iterable[str]) -> Loss:
    """The existing keys that an answer would remove."""
    keys = frozenset(there)
    return Loss(keys.difference(answered), len(keys))


def _path(home: Home, source: str, name: str) -> Path:
    return home.state / "doubts" / f"{source}.{name}.json"


def is_confirmed(home: Home, source: str, name: str, gone: Iterable[str], now: datetime) -> bool:
    """Whether a fetch most of a day ago had the same loss. If not, note it for the next one."""
    digests = sorted(hashlib.sha256(key.encode()).hexdigest()[:16] for key in gone)
    path = _path(home, source, name)
    try:
        noted = json.loads(path.read_bytes())
        since = now - datetime.fromisoformat(noted["at"])
        said = since >= timedelta() and set(digests) <= set(noted["gone"])
    except (OSError, ValueError, KeyError, TypeError):
        said, since = False, timedelta()
    if not said:
        content = json.dumps({"at": now.isoformat(), "gone": digests})
        write_atomically(path, content.encode())
    return said and since >= BELIEVED_AFTER


def forget_doubt(home: Home, source: str, name: str) -> None:
    """The stream has yielded its rows, or the loss was accepted."""
    _path(home, source, name).unlink(missing_ok=True)


def keep_answer(home: Home, source: str, stream: str, rows: Mapping[str, Row]) -> Path:
    """Keep the rows of an answer that was set aside, as JSON lines; only the most recent few."""
    lines = "".join(f"{canonical(row.record)}\n" for _, row in sorted(rows.items())).encode()
    folder = home.quarantine / source / stream
    path = folder / f"set-aside-{hashlib.sha256(lines).hexdigest()[:16]}.jsonl.gz"
    write_atomically(path, gzip.compress(lines, 6, mtime=0))
    kept = sorted(folder.glob("set-aside-*.jsonl.gz"), key=lambda each: each.stat().st_mtime_ns)
    for old in kept[:-MAX_KEPT]:
        old.unlink()
    return path


def loss_message(what: str, gone: int, of: int, source: str) -> str:
    """The message, with counts; ``what`` is the answer or the file."""
    return (
        f"{what} {REMOVES} {gone:,} of {of:,} rows. Nothing was changed; it was set aside in "
        f"quarantine/. If the loss is real, run `personal-pipeline refresh --accept {source}`."
    )
