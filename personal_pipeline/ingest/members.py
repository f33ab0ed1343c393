"""The files of an export, whether it came as a zip or as a file by itself."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from personal_pipeline.ingest.archives import DAMAGED_ZIP, is_clutter, kind_of
from personal_pipeline.ingest.contract import DropFile, UnreadableFile

DAMAGED = (*DAMAGED_ZIP, OSError)
"""What opening or reading a damaged member raises."""


@dataclass(frozen=True, slots=True)
class Member:
    """A file of an export. ``name`` has its folders, separated by ``/``."""

    name: str
    open: Callable[[], IO[bytes]]

    def head(self, size: int = 65_536) -> bytes:
        """The first bytes, for recognition; none if they are damaged."""
        try:
            with self.open() as stream:
                return stream.read(size)
        except DAMAGED:
            return b""


@contextmanager
def members(file: DropFile) -> Iterator[tuple[Member, ...]]:
    """The files in a zip in the order of their names, without the clutter of file managers; of any
    other file the file itself. Raises ``UnreadableFile`` when the zip is damaged."""
    if kind_of(file.path) != "zip":
        yield (Member(file.name, partial(_opened, file.path)),)
        return
    try:
        archive = zipfile.ZipFile(file.path)
    except DAMAGED:
        raise UnreadableFile("the zip is damaged or not complete. Download it again.") from None
    with archive:
        yield tuple(
            Member(each.filename, partial(archive.open, each))
            for each in sorted(archive.infolist(), key=lambda each: each.filename)
            if not is_clutter(each)
        )


def _opened(path: Path) -> IO[bytes]:
    return path.open("rb")
