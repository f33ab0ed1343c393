"""The rows of a Parquet table in SQL: their key, their content, and the digest of many.

The digest is the XOR of DuckDB's 64-bit hash of every row, which costs a fifth of an MD5. It is
order-independent; and no two rows cancel each other out, because a key occurs once per partition.
Another version of DuckDB may hash differently: every partition then counts as changed, once.
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
"""The rows of a file, without the column DuckDB derives from the folder name."""


def names(columns: Iterable[str]) -> str:
    """A column list."""
    return ", ".join('"' + column.replace('"', '""') + '"' for column in columns)


def text(columns: Iterable[str]) -> str:
    """Columns as one text, which differs when any of them does. U+001F separates them and U+001E
    stands for null; no text export contains either."""
    each = (f"coalesce(cast({names([column])} as varchar), chr(30))" for column in columns)
    return f"concat_ws(chr(31), {', '.join(each)})"


def content(table: Table, volatile: tuple[str, ...]) -> str:
    """The significant part of a row, as one text."""
    return text(column for column in table.columns if column not in volatile)


def digest(table: Table, volatile: tuple[str, ...]) -> str:
    """The digest of rows, an aggregate."""
    each = (
        # of its text, not its code: an enum has different codes in each export
        f"cast({names([column])} as {kind})"
        for column, kind in table.columns.items()
        if column not in volatile
    )
    # hashed twice: the first hash only combines those of the columns, so two rows that swap a value
    # would cancel each other out
    rows = f"bit_xor(hash(hash({', '.join(each)})))"
    return f"coalesce(md5(count(*) || ' ' || {rows}), '{EMPTY}')"


def digest_of_parquet(path: Path, table: Table, volatile: tuple[str, ...]) -> tuple[str, int]:
    """Digest and row count of a file. Raises ``duckdb.Error`` when it is damaged."""
    with duckdb.connect(config={**duck.CONFIG, "threads": 1}) as connection:
        found: tuple[str, int] = connection.execute(
            f"select {digest(table, volatile)}, count(*) from {FILE}", [str(path)]
        ).fetchall()[0]
    return found
