"""The files of an export: in the zip made by the phone, in any other, or the XML alone. Names are
in the phone's language, so the main file is recognized by its root element."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from personal_pipeline.ingest.archives import (
    DAMAGED_ZIP,
    kind_of,
    members_of_cut_zip,
    mend_zip,
    refuse_hostile,
)
from personal_pipeline.ingest.contract import UnreadableFile

BLOCK_BYTES = 2 << 20
"""Each block becomes one batch of records for DuckDB, which only pays off for very many."""
HEAD_BYTES = 262_144
MAX_SMALL_FILE_BYTES = 200_000_000

ROOT = re.compile(rb"<HealthData(?=[\s/>])")

MAX_LOOKED_AT_BYTES = 100_000_000
MAX_LOOKED_AT = 50
"""XML files checked in a zip: an unrelated archive may contain a hundred thousand."""


@dataclass
class Export:
    """An open export. ``blocks`` is the main file, of ``size`` bytes; ``names`` are the others.

    ``problem`` is a sentence, set when reading the main file failed partway.
    """

    blocks: Iterator[bytes]
    size: int
    names: tuple[str, ...] = ()
    archive: zipfile.ZipFile | None = None
    problem: str | None = None
    points_outside: bool = False
    """Whether the main file refers to route files."""

    def content(self, name: str) -> bytes | None:
        """A file beside the main one; None when it is damaged or too large."""
        if self.archive is None:
            return None
        try:
            with self.archive.open(name) as stream:
                content = stream.read(MAX_SMALL_FILE_BYTES + 1)
        except DAMAGED_ZIP:
            return None
        return content if len(content) <= MAX_SMALL_FILE_BYTES else None


def head_of_main(path: Path) -> bytes | None:
    """The first bytes of the main file; None when there is none.

    Raises ``UnreadableFile`` for a hostile zip.
    """
    if kind_of(path) != "zip":
        with path.open("rb") as stream:
            head = stream.read(HEAD_BYTES)
        return head if _is_main(head) else None
    refuse_hostile(path)
    if not zipfile.is_zipfile(path):
        return _head_in_cut_zip(path)
    try:
        with zipfile.ZipFile(path) as archive:
            found = _main_of(archive)
    except DAMAGED_ZIP:
        return None
    return found[1] if found else None


def _head_in_cut_zip(path: Path) -> bytes | None:
    """Like ``head_of_main``, for a truncated zip; only the beginning of the file is searched."""
    left = MAX_LOOKED_AT_BYTES
    for name, content in members_of_cut_zip(path):
        head = b""
        for block in content:
            left -= len(block)
            head += block[: HEAD_BYTES - len(head)]
            if len(head) == HEAD_BYTES or left < 0:
                break
        if name.lower().endswith(".xml") and _is_main(head):
            return head
        if left < 0:
            return None
    return None


def _is_main(head: bytes) -> bool:
    return head.lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \r\n\t").startswith(b"<") and (
        ROOT.search(head) is not None or b"<!DOCTYPE HealthData" in head
    )


def _main_of(archive: zipfile.ZipFile) -> tuple[zipfile.ZipInfo, bytes] | None:
    """The main file and its first bytes. It is nearly always the largest XML."""
    files = [
        member
        for member in archive.infolist()
        if member.filename.lower().endswith(".xml") and "__MACOSX" not in member.filename
    ]
    for member in sorted(files, key=lambda each: -each.file_size)[:MAX_LOOKED_AT]:
        try:
            with archive.open(member) as stream:
                head = stream.read(HEAD_BYTES)
        except DAMAGED_ZIP:
            continue
        if _is_main(head):
            return member, head
    return None


@contextmanager
def opened(path: Path, scratch: Path) -> Iterator[Export]:
    """Open an export, or what is left of a truncated zip. Raises ``UnreadableFile`` when it is
    hostile or has no main file."""
    if kind_of(path) != "zip":
        with path.open("rb") as stream:
            blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
            yield Export(blocks, path.stat().st_size)
        return
    refuse_hostile(path)
    problem = None
    if not zipfile.is_zipfile(path):
        problem = "the zip is cut off"
        mended = scratch / "mended.zip"
        mend_zip(path, mended)
        path = mended
    with zipfile.ZipFile(path) as archive:
        found = _main_of(archive)
        if found is None:
            raise UnreadableFile(
                "Apple Health: no XML in the zip begins with <HealthData>. Export again: Health, "
                "your picture, Export All Health Data."
            )
        main = found[0]
        names = tuple(
            member.filename
            for member in archive.infolist()
            if member is not main and not member.is_dir()
        )
        export = Export(iter(()), main.file_size, names, archive, problem)
        blocks = _main_blocks(archive, main, export)
        export.blocks = blocks
        # it keeps the member open, even if nobody reads to its end
        with closing(blocks):
            yield export


def _main_blocks(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, export: Export
) -> Generator[bytes, None, None]:
    try:
        # the next block is decompressed while the previous one is read
        with archive.open(member) as stream, ThreadPoolExecutor(1) as pool:
            following = pool.submit(stream.read, BLOCK_BYTES)
            while block := following.result():
                following = pool.submit(stream.read, BLOCK_BYTES)
                yield block
    except DAMAGED_ZIP:
        export.problem = "the zip is damaged inside its main file"
