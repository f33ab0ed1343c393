"""How DuckDB is opened: nothing is downloaded at run time, and connections are always closed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""Otherwise DuckDB would silently download an extension that a query seems to need."""

READ_ONLY = {**CONFIG, "access_mode": "READ_ONLY"}


class Database(Protocol):
    """Something that opens a database: ``dagster_duckdb.DuckDBResource`` in Dagster's processes,
    ``File`` where Dagster is not imported."""

    def get_connection(self) -> AbstractContextManager[DuckDBPyConnection]:
        """A connection for the block."""
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A DuckDB file."""

    path: Path
    read_only: bool = False

    @contextmanager
    def get_connection(self) -> Iterator[DuckDBPyConnection]:
        """A connection for the block."""
        import duckdb

        yield duckdb.connect(str(self.path), config=READ_ONLY if self.read_only else CONFIG)


@contextmanager
def opened(database: Database) -> Iterator[DuckDBPyConnection]:
    """A connection for the block, closed even if it raises: the resource itself closes only on
    success, which would leave the file locked."""
    with database.get_connection() as connection:
        try:
            yield connection
        finally:
            connection.close()
