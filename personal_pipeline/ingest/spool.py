"""Where the rows of one dropped file wait on their way into the lake: a DuckDB of their own, which
takes what does not fit into memory to disk."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from personal_pipeline import duck
from personal_pipeline.home import Home, scratch

MEMORY_MB = 80
"""What DuckDB may hold while a file is loaded; what is more goes to disk, into the spool."""


@dataclass(frozen=True, slots=True)
class Spool:
    """A place for the rows of one file on their way into the lake, gone when the file is read.

    ``folder`` is for scratch files. Every thread uses a ``connection.cursor()`` of its own.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path


@contextmanager
def spooling(home: Home) -> Iterator[Spool]:
    """A spool inside the home, because a folder for temporary files may be small."""
    with (
        scratch(home, "spool") as folder,
        duckdb.connect(
            config={
                "memory_limit": f"{MEMORY_MB}MB",
                "threads": 1,
                "temp_directory": str(folder / "overflow"),
                "preserve_insertion_order": False,
                **duck.CONFIG,
            }
        ) as connection,
    ):
        connection.execute("set TimeZone = 'UTC'")
        yield Spool(connection, folder)
