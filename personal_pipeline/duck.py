"""How DuckDB is opened: nothing is downloaded at run time, and connections are always closed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CONFIG: dict[str, str | bool | int | float | list[str]] = {"autoinstall_known_extensions": False}
"""Otherwise DuckDB would silently download an extension that a query seems to need."""

READ_ONLY = {**CONFIG, "access_mode": "READ_ONLY"}


def literal(value: str | date) -> str:
    """A text or a day as SQL. Binding it as a parameter would make DuckDB import pandas, which
    takes longer than anything else that a short command does."""
    if isinstance(value, str):
        # what DuckDB cannot hold as text: bytes of a command line that are no UTF-8, and the null
        held = value.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        quoted = held.replace("'", "''")
        return f"'{quoted}'"
    return f"date '{value.isoformat()}'"


def among(column: str, values: Iterable[str | date]) -> str:
    """The condition that a column has one of these values, as SQL."""
    listed = ", ".join(map(literal, values))
    return f"{column} in ({listed})" if listed else "false"


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
