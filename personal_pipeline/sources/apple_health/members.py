"""The files of an export: in the zip that the phone makes, in one that was cut off, or the XML
alone. Names are those of the phone's language, so the main file is known by its root."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from personal_pipeline.ingest.archives import BLOCK_BYTES, ZIP_ERRORS, open_zip, salvaged
from personal_pipeline.ingest.contract import UnreadableFile
from personal_pipeline.sources.apple_health.elements import ROOT

HEAD_BYTES = 262_144
LARGEST_SMALL_FILE_BYTES = 200_000_000


@dataclass
class Export:
    """An export that is open. ``blocks`` is the main file; ``names`` are the others.

    ``problem`` is set when reading broke off, as a sentence.
    """

    blocks: Iterator[bytes]
    names: tuple[str, ...] = ()
    archive: zipfile.ZipFile | None = None
    problem: str | None = None
    missing: list[str] = field(default_factory=list)

    def content(self, name: str) -> bytes | None:
        """A file beside the main one; None when it is damaged or too large."""
        if self.archive is None:
            return None
        try:
            with self.archive.open(name) as stream:
                content = stream.read(LARGEST_SMALL_FILE_BYTES + 1)
        except ZIP_ERRORS:
            return None
        return content if len(content) <= LARGEST_SMALL_FILE_BYTES else None


def head_of_main(path: Path) -> bytes | None:
    """The first bytes of the main file; None when there is none.

    Raises ``UnreadableFile`` for a hostile zip.
    """
    with path.open("rb") as stream:
        head = stream.read(HEAD_BYTES)
    if not head.startswith(b"PK"):
        return head if is_main(head) else None
    try:
        with open_zip(path) as archive:
            name = _main_of(archive)
            if name is None:
                return None
            with archive.open(name) as member:
                return member.read(HEAD_BYTES)
    except ZIP_ERRORS:
        for _, blocks in salvaged(path):
            head = next(blocks, b"")
            if is_main(head):
                return head
            for _ in blocks:
                pass
        return None


def is_main(head: bytes) -> bool:
    """Whether a file that begins like this is the main file of an export."""
    return head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \r\n\t").startswith(b"<") and (
        ROOT.search(head) is not None or b"<!DOCTYPE HealthData" in head
    )


def _main_of(archive: zipfile.ZipFile) -> str | None:
    for member in archive.infolist():
        if member.is_dir() or not member.filename.lower().endswith(".xml"):
            continue
        if "__MACOSX" in member.filename:
            continue
        try:
            with archive.open(member) as stream:
                if is_main(stream.read(HEAD_BYTES)):
                    return member.filename
        except ZIP_ERRORS:
            continue
    return None


@contextmanager
def opened(path: Path) -> Iterator[Export]:
    """Open an export. Raises ``UnreadableFile`` when it is hostile or has no main file."""
    with path.open("rb") as stream:
        if not stream.read(2).startswith(b"PK"):
            stream.seek(0)
            yield Export(iter(lambda: stream.read(BLOCK_BYTES), b""))
            return
    try:
        archive = open_zip(path)
    except ZIP_ERRORS:
        export = Export(
            _salvaged_main(path), problem="the zip was cut off: it has no directory at its end"
        )
        yield export
        return
    with archive:
        main = _main_of(archive)
        if main is None:
            raise UnreadableFile(
                "Apple Health: no XML in the zip begins with <HealthData>. Export again: Health, "
                "your picture, Export All Health Data."
            )
        names = tuple(name for name in archive.namelist() if name != main)
        export = Export(iter(()), names, archive)
        export.blocks = _main_blocks(export, main)
        yield export


def _main_blocks(export: Export, name: str) -> Iterator[bytes]:
    assert export.archive is not None
    try:
        with export.archive.open(name) as stream:
            while block := stream.read(BLOCK_BYTES):
                yield block
    except ZIP_ERRORS:
        export.problem = "the zip is damaged inside its main file"


def _salvaged_main(path: Path) -> Iterator[bytes]:
    for _, blocks in salvaged(path):
        first = next(blocks, b"")
        if is_main(first):
            yield first
            yield from blocks
            return
        for _ in blocks:
            pass
