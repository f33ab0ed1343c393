"""A process that is killed while it writes partitions of the lake."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from personal_pipeline.home import write_atomically
from personal_pipeline.ingest import lake


class Killed(BaseException):
    """The process is gone: nothing after this runs."""


@contextmanager
def killed_at(partition: int) -> Iterator[None]:
    """Within it, whoever writes so many partitions and one more is killed before that one."""
    written = 0

    def write(path: Path, content: bytes) -> None:
        nonlocal written
        if path.name == lake.PART:
            if written == partition:
                raise Killed
            written += 1
        write_atomically(path, content)

    with mock.patch.object(lake, "write_atomically", write):
        yield
