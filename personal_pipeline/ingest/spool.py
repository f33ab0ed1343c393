"""Where the rows of one dropped file are buffered on their way into the lake: a temporary DuckDB
database that spills to disk what does not fit into memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from personal_pipeline import duck
from personal_pipeline.home import Home, scratch

MEMORY_MB = 80
"""DuckDB's memory limit while a file is loaded; the rest spills to disk, into the spool."""


@dataclass(frozen=True, slots=True)
class Spool:
    """A buffer for the rows of one file on their way into the lake, deleted when the file is read.

    ``folder`` is for scratch files. Every thread uses its own ``connection.cursor()``.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path


@contextmanager
def spooling(home: Home) -> Iterator[Spool]:
    """A spool inside the home, because the system's temporary folder may be small."""
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
