"""The checks of streams and files, as plain values.

The verdict on a stream is the board's. What only a check reports is which fields appeared in its
records or disappeared from them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from personal_pipeline.board import StreamState
from personal_pipeline.freshness import TROUBLED, State
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.columns import Columns, look_at, recall_columns, remember_columns
from personal_pipeline.ingest.damage import known_damage, sentence, verify_some
from personal_pipeline.ingest.lake import DamagedPartition, lake_of
from personal_pipeline.outputs.board import newest_words, share_unreadable
from personal_pipeline.shown import counted, shown
from personal_pipeline.warehouse import integrity
from personal_pipeline.warehouse.store import damage_of_published

LOCK_WAIT_SECONDS = 60
MAX_NAMES = 20
"""Upper bound on the field names listed; a file in a different format may have hundreds."""
MAX_NAME_LENGTH = 60

FILES = "files_are_whole"
"""The name of the check of files."""


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """The result of checking a stream (``source/stream``): counts, days and field names, never a
    value. ``only_warns`` if it failed but nobody needs to be alerted."""

    stream: str
    passed: bool
    only_warns: bool
    description: str | None
    facts: dict[str, str | int | float | datetime] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """Changes if the result changes; the passing of time alone does not change it."""
        return _digest((self.passed, self.only_warns, self.description))


@dataclass(frozen=True, slots=True)
class FilesCheck:
    """Whether the files on disk are as they were written. ``read`` describes what was verified this
    time; None if nothing was due."""

    troubles: Sequence[str]
    read: str | None = None

    @property
    def digest(self) -> str:
        """Changes if the result changes."""
        return _digest(list(self.troubles))


def _digest(said: object) -> str:
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def check_streams(
    house: House, board: Sequence[StreamState], only: Collection[str] | None = None
) -> list[StreamCheck]:
    """Check every stream of the board, or only the named ones."""
    checks = []
    streams = {
        f"{source.name}/{stream.name}": (source.name, stream)
        for source in house.sources
        for stream in source.streams
    }
    with house.home.lock("columns", wait_seconds=LOCK_WAIT_SECONDS):
        remembered = recall_columns(house.home)
        before = dict(remembered)
        for line in board:
            name = f"{line.source}/{line.stream}"
            if only is not None and name not in only:
                continue
            known = remembered.get(name, Columns())
            source, stream = streams[name]
            with suppress(DamagedPartition):  # the board reports it
                known = look_at(known, lake_of(house.home, source, stream), house.today)
            remembered[name] = known
            checks.append(checked(line, known.unknown(house.today), known.gone(house.today)))
        if remembered != before:
            remember_columns(house.home, remembered)
    return checks


def checked(line: StreamState, unknown: Collection[str], gone: Collection[str]) -> StreamCheck:
    """The check of a stream, from its line of the board and the fields that appeared or
    disappeared."""
    sentences = []
    if line.state in TROUBLED:
        sentences.append(f"{line.state.capitalize()}. {line.detail}")
    if line.unreadable:
        sentences.append(f"Unreadable records in the last fetch or file: {line.unreadable:,}.")
    if line.left_out and line.detail not in " ".join(sentences):
        sentences.append(line.detail)
    if unknown:
        sentences.append(f"New fields: {_named(unknown)}.")
    if gone:
        sentences.append(f"Missing fields: {_named(gone)}.")
    facts = {
        "state": str(line.state),
        "cause": line.cause,
        "last fetched": line.last_fetched,
        "fetched until": line.asked_until,
        "newest event": newest_words(line) or None,
        "next expected": line.next_expected.isoformat() if line.next_expected else None,
        "rows": line.rows,
        "unreadable": line.unreadable,
        "unreadable share": share_unreadable(line),
        "rows in no table": line.left_out or None,
        "new fields": _named(unknown) or None,
        "missing fields": _named(gone) or None,
    }
    return StreamCheck(
        stream=f"{line.source}/{line.stream}",
        passed=not sentences,
        only_warns=line.state not in (State.ACTION_REQUIRED, State.FAILING, State.LATE),
        description=" ".join(sentences) or line.detail or None,
        facts={name: value for name, value in facts.items() if value is not None},
    )


def check_files(house: House) -> FilesCheck:
    """Verify the published tables and, once per day, a thirtieth of archive and lake."""
    result = verify_some(house.home, house.sources, house.today)
    read = None
    if result is not None:
        integrity.forget(house.home, house.home.published)
        read = (
            f"{counted(result.files, 'file')}, {result.bytes / 1e6:,.0f} MB verified in "
            f"{result.seconds:.1f} s; {len(result.damages)} damaged."
        )
    return FilesCheck(troubles_of(house.home), read)


def troubles_of(home: Home) -> list[str]:
    """Damage that has no line on the board, with what to do, one sentence each."""
    found = []
    if damage := damage_of_published(home):
        found.append(
            f"The published tables cannot be read ({damage}). Run `personal-pipeline refresh` to "
            "publish them again."
        )
    return found + [
        sentence(each) for each in known_damage(home) if not each.stream and not each.drop
    ]


def _named(names: Collection[str]) -> str:
    told = ", ".join(shown(name, MAX_NAME_LENGTH) for name in list(names)[:MAX_NAMES])
    more = len(names) - MAX_NAMES
    return f"{told} and {more} more" if more > 0 else told
