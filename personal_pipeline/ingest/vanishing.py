"""A loss that no person made is not believed at once.

An answer or an export that would take away most of what is there (an empty 200, a page that breaks
off, the export of another account) is set aside. It is taken when a person accepts it, or when a
look most of a day later says the same: everything that is gone now was gone then.

What was gone is noted in ``state/doubts/``, as digests of keys. Without the note, one more day of
doubt is needed, and nothing is lost.
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
"""So many rows may vanish without a word, whatever share they are."""

BELIEVED_AFTER = timedelta(hours=20)
"""A daily look that wanders by some hours confirms; a second try of the same morning does not."""

TAKES_AWAY = "would take away"
"""By these words the reason beside a file says that it only waits to be accepted."""

MOST_KEPT = 3
"""Of answers of a stream that were set aside so many are kept, the newest."""


@dataclass(frozen=True, slots=True)
class Loss:
    """Keys that are in the lake and not in an answer, and of how many that were asked for."""

    gone: frozenset[str]
    of: int

    def is_most(self, share: float) -> bool:
        """Whether more than the share would be gone, however few that are."""
        return len(self.gone) > share * self.of

    def is_doubtful(self, share: float) -> bool:
        """Whether it has to be confirmed."""
        return len(self.gone) > FEW_ROWS and self.is_most(share)

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.gone | other.gone, self.of + other.of)


NO_LOSS = Loss(frozenset(), 0)


def loss(there: Iterable[str], answered: Iterable[str]) -> Loss:
    """What an answer would take away of the keys that are there."""
    keys = frozenset(there)
    return Loss(keys.difference(answered), len(keys))


def _path(home: Home, source: str, name: str) -> Path:
    return home.state / "doubts" / f"{source}.{name}.json"


def is_confirmed(home: Home, source: str, name: str, gone: Iterable[str], now: datetime) -> bool:
    """Whether a look most of a day ago said the same. If not, it is noted for the next one."""
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
    """The stream has given its rows, or the loss was accepted."""
    _path(home, source, name).unlink(missing_ok=True)


def keep_answer(home: Home, source: str, stream: str, rows: Mapping[str, Row]) -> Path:
    """Keep the rows of an answer that was set aside, a JSON line each; only the newest few."""
    lines = "".join(f"{canonical(row.record)}\n" for _, row in sorted(rows.items())).encode()
    folder = home.quarantine / source / stream
    path = folder / f"set-aside-{hashlib.sha256(lines).hexdigest()[:16]}.jsonl.gz"
    write_atomically(path, gzip.compress(lines, 6, mtime=0))
    kept = sorted(folder.glob("set-aside-*.jsonl.gz"), key=lambda each: each.stat().st_mtime_ns)
    for old in kept[:-MOST_KEPT]:
        old.unlink()
    return path


def what_would_vanish(what: str, gone: int, of: int, source: str) -> str:
    """What to say, with counts; ``what`` is the answer or the file."""
    return (
        f"{what} {TAKES_AWAY} {gone:,} of {of:,} rows. Nothing was changed: it is kept in "
        f"quarantine/. If that is right, run `personal-pipeline refresh --accept {source}`."
    )
