"""What became of a home: what it holds, and whether anybody was told."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, Coverage
from personal_pipeline.ingest.originals import SIDECAR
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.faults.child import Command, Ended
from personal_pipeline_tests.faults.house import LATER, Services

UNREADABLE = "cannot be read"
REPLACED_WHEN = "replaced.json"
"""A note that changes, among the partitions that were replaced, which do not."""
TOMORROW = f"day={LATER.date() + timedelta(days=1)}"


class Verdict(StrEnum):
    """What became of a home after a fault."""

    BY_ITSELF = "recovered by itself"
    PERSON = "needed a person"
    """Somebody was told, did what was said, and all was there again."""
    LOST = "lost"
    """Somebody was told, did all that was said, and something is missing or different."""
    SILENT = "silently wrong"
    """Something is missing or different, and every command says that all is well."""


@dataclass(frozen=True)
class Held:
    """What a home holds. ``files`` maps the path of each original, each receipt and each partition
    that was replaced to a digest that is the same only if it says what it should; ``rows`` maps a
    partition of the lake or a published table to its rows in an order of their own."""

    files: Mapping[str, str]
    rows: Mapping[str, Any]


def held(home: Home) -> Held:
    """Look at a home."""
    files = {
        path.relative_to(home.root).as_posix(): _digest(path)
        for folder in ("originals", "dialects", "lake")
        for path in (home.archive / folder).rglob("*")
        if path.is_file()
        and not path.name.startswith(".")
        and not path.name.endswith((SIDECAR, REPLACED_WHEN))
    }
    files |= {f"sidecar {ingest}": "there" for ingest in _ingests(home)}
    files |= {f"receipt of {digest}": "there" for digest in _receipts(home)}
    rows = {name: each for name, each in _lake(home) if each}
    return Held(files, {**rows, **_tables(home)})


def expected(begin: Held, end: Held) -> Held:
    """What is to be there at the end: of what was replaced only what was replaced before, because
    on another way other things are replaced."""

    def files(of: Held, *, replaced: bool) -> dict[str, str]:
        return {
            name: digest
            for name, digest in of.files.items()
            if name.startswith("archive/lake/") is replaced
        }

    return Held(files(end, replaced=False) | files(begin, replaced=True), end.rows)


def differences(found: Held, truth: Held) -> list[str]:
    """What is missing or different. More than the truth is no loss, but for rows."""
    files = [name for name, digest in truth.files.items() if found.files.get(name) != digest]
    rows = [
        f"{name}: {_how(found.rows.get(name), truth.rows.get(name))}"
        for name in sorted({*found.rows, *truth.rows})
        if found.rows.get(name) != truth.rows.get(name)
    ]
    return [*files, *rows]


def by_stream(differences: Sequence[str]) -> list[str]:
    """The same, with the partitions of a stream and the files of a folder taken together."""
    together: dict[tuple[str, str], list[str]] = {}
    for each in differences:
        name, _, how = each.partition(": ")
        kind = re.sub(r"\d+", "n", how)
        folder = "/".join(name.split("/")[:3]) if "/" in name else name
        together.setdefault((folder, kind), []).append(how)
    return [
        f"{folder}: {len(hows)} of them, such as: {hows[0] or 'missing or different'}"
        for (folder, _), hows in together.items()
    ]


def _how(found: Any, true: Any) -> str:
    """How many rows are missing, and how many should not be there."""
    if UNREADABLE in (found, true):
        return UNREADABLE
    mine, wanted = (
        Counter(each.splitlines() if isinstance(each, bytes) else map(repr, each or ()))
        for each in (found, true)
    )
    return f"{(wanted - mine).total()} rows missing, {(mine - wanted).total()} too many"


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return UNREADABLE


def _ingests(home: Home) -> Iterator[str]:
    """What reading each original depends on, as its sidecar says; no time of ours."""
    for path in (home.archive / "originals").glob(f"*/*{SIDECAR}"):
        names = ("name", "folder", "source", "drop", "captured_at", "dialect_digest")
        try:
            for ingest in json.loads(path.read_bytes()):
                yield f"{path.name[:16]} {[str(ingest[name]) for name in names]}"
        except (OSError, ValueError, KeyError, TypeError):
            continue


def _receipts(home: Home) -> Iterator[str]:
    for path in (home.archive / "receipts").rglob("*.json"):
        try:
            receipt = json.loads(path.read_bytes())
            yield f"{receipt['digest']} by {receipt['source']}"
        except (OSError, ValueError, KeyError, TypeError):
            continue


STATES = {
    stream.name
    for source in SOURCES
    for stream in source.streams
    if isinstance(stream, ApiStream) and stream.coverage is Coverage.HISTORY
}
_LOOK = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
"""The instant of a look, which is another one after a fault."""


def _lake(home: Home) -> Iterator[tuple[str, Any]]:
    for path in home.lake.rglob("part.*"):
        name = path.relative_to(home.root).as_posix()
        if TOMORROW in name:
            # by so much a clock may be wrong before anybody can know; it is asked again tomorrow
            continue
        try:
            if path.suffix == ".parquet":
                found: Any = sorted(
                    duckdb.sql("select * from read_parquet(?)", params=[str(path)]).fetchall(),
                    key=repr,
                )
            else:
                found = gzip.decompress(path.read_bytes())
                if path.parts[-3] in STATES:
                    found = _LOOK.sub(b"the look", found)
            yield name, found
        except (OSError, EOFError, zlib.error, duckdb.Error):
            yield name, UNREADABLE


def _without_look(value: Any) -> Any:
    return _LOOK.sub(b"the look", value.encode()).decode() if isinstance(value, str) else value


def _tables(home: Home) -> dict[str, Any]:
    try:
        with duckdb.connect(str(home.published), read_only=True) as opened:
            names = opened.execute(
                "select table_schema || '.' || table_name from information_schema.tables"
                " where table_schema in ('staging', 'marts') order by all"
            ).fetchall()
            found: dict[str, Any] = {}
            for (name,) in names:
                try:
                    columns = "* exclude (seen_at)" if name.endswith("_states") else "*"
                    rows = opened.execute(f"select {columns} from {name}").fetchall()
                    found[name] = sorted((tuple(map(_without_look, row)) for row in rows), key=repr)
                except duckdb.Error:
                    found[name] = UNREADABLE
            return found
    except (duckdb.Error, OSError) as error:
        return {"published": type(error).__name__}


@dataclass
class Person:
    """Somebody who looks after a home: refreshes it, reads what it says, and does it. ``backup``
    is a copy of the home from before the fault."""

    services: Services
    home: Home
    backup: Path
    scratch: Path
    can: frozenset[str]
    """Commands and options that this version of the house has."""
    builds: bool
    """Whether to look at what is built, too; it takes a minute."""
    now: datetime = LATER
    said: list[str] = field(default_factory=list)
    did: list[str] = field(default_factory=list)
    told: bool = False
    """Whether the last round of commands ended with an exit code that is not 0."""

    def runs(self, *arguments: str) -> Ended:
        self.now += timedelta(minutes=1)
        ended = Command(
            self.services.environment(self.home),
            *arguments,
            now=self.now,
            folder=self.scratch / f"{len(self.said)}",
            builds=self.builds,
        ).end()
        self.said.append(f"$ {' '.join(arguments)} -> {ended.code}\n{ended.said}")
        return ended

    def looks(self) -> None:
        """Refresh, and look whether all is well; in the night, at every byte."""
        commands = [["refresh", "--json"], ["status", "--json"]]
        if "doctor --verify" in self.can:
            commands.append(["doctor", "--verify", "--json"])
        codes = [self.runs(*each).code for each in commands]
        self.told = any(codes)

    def acts(self) -> bool:
        """Do what was said. Whether there was anything to do."""
        said = "\n".join(self.said)
        begun = len(self.did)
        if "--repair" in said and "doctor --repair" in self.can and "repair" not in self.did:
            self.did.append("repair")
            self.runs("doctor", "--repair", "--json")
            said = "\n".join(self.said)
        if "--accept" in said and "refresh --accept" in self.can and "accept" not in self.did:
            self.did.append("accept")
            for source in ("stripe", "kit", "medium", "google_sheets"):
                if f"--accept {source}" in said:
                    self.runs("refresh", "--accept", source)
        if "--retry" in said and "retry" not in self.did:
            self.did.append("retry")
            self.runs("refresh", "--retry")
        for path in sorted(self._named(said)):
            self.did.append(f"put back {path}")
            old, new = self.backup / path, self.home.root / path
            if new.is_dir():
                shutil.rmtree(new)
            new.unlink(missing_ok=True)
            if old.exists():
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(old, new)
        return len(self.did) > begun

    def _named(self, said: str) -> Iterator[str]:
        """Files that were named as damaged or missing, which a backup has and which differ."""
        for old in self.backup.rglob("*"):
            path = old.relative_to(self.backup).as_posix()
            if not old.is_file() or f"put back {path}" in self.did:
                continue
            if path.startswith(("archive/", "lake/", "dialects/")) and path in said:
                new = self.home.root / path
                if not new.is_file() or _digest(new) != _digest(old):
                    yield path


LOOKS = 4
"""So often a person looks, and does what is said, before giving up."""


def judge(person: Person, truth: Held) -> tuple[Verdict, list[str]]:
    """Let a person look after a home until it is as it should be, or nothing more is said.

    What is wrong while all is said to be well is silently wrong at once, also when a later look
    would have mended it.
    """
    left: list[str] = []
    for _ in range(LOOKS):
        person.looks()
        left = differences(held(person.home), truth)
        if not left and not person.told:
            return (Verdict.PERSON if person.did else Verdict.BY_ITSELF), []
        if not person.acts() and not person.told:
            return Verdict.SILENT, left
    if left:
        return Verdict.LOST, left
    return Verdict.PERSON, ["all is there, and still it is said that something is wrong"]
