"""What the rows of a Parquet table are, as SQL: their key, their content, and the digest of many.

The digest is made of the exclusive or of DuckDB's 64-bit hash of every row, which costs a fifth of
an MD5. It needs no order; and no two rows cancel each other out, because a key occurs once a
partition. Another version of DuckDB may hash in another way: then every partition counts as
changed, once.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import duckdb

from personal_pipeline import duck
from personal_pipeline.ingest.contract import Table

EMPTY = "empty"
"""The digest of no rows."""

FILE = "read_parquet(?, hive_partitioning = false)"
"""The rows of a file, without the column that DuckDB makes of the name of its folder."""


def names(columns: Iterable[str]) -> str:
    """A list of columns."""
    return ", ".join('"' + column.replace('"', '""') + '"' for column in columns)


def text(columns: Iterable[str]) -> str:
    """Columns as one text, which differs when any of them does. Control characters tell where one
    ends and which are null: U+001F and U+001E, which no export of text holds."""
    each = (f"coalesce(cast({names([column])} as varchar), chr(30))" for column in columns)
    return f"concat_ws(chr(31), {', '.join(each)})"


def content(table: Table, volatile: tuple[str, ...]) -> str:
    """What of a row says something, as one text."""
    return text(column for column in table.columns if column not in volatile)


def digest(table: Table, volatile: tuple[str, ...]) -> str:
    """The digest of rows, an aggregate."""
    each = (
        # of its text, whatever stands for it: an enumeration has other numbers in each export
        f"cast({names([column])} as {kind})"
        for column, kind in table.columns.items()
        if column not in volatile
    )
    # hashed twice: the first hash only combines those of the columns, so two rows that exchange a
    # value would cancel each other out
    rows = f"bit_xor(hash(hash({', '.join(each)})))"
    return f"coalesce(md5(count(*) || ' ' || {rows}), '{EMPTY}')"


def digest_of_parquet(path: Path, table: Table, volatile: tuple[str, ...]) -> tuple[str, int]:
    """Digest and count of the rows of a file. Raises ``duckdb.Error`` when it is damaged."""
    with duckdb.connect(config={**duck.CONFIG, "threads": 1}) as connection:
        found: tuple[str, int] = connection.execute(
            f"select {digest(table, volatile)}, count(*) from {FILE}", [str(path)]
        ).fetchall()[0]
    return found
