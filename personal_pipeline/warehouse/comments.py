"""dbt's descriptions as comments in the database, where every client of DuckDB shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


def comment(opened: DuckDBPyConnection, manifest: Mapping[str, Any]) -> None:
    """Give each table and column of dbt's its description; only those whose comment differs are
    touched, because dbt creates tables without."""
    wanted = {
        (node["schema"], node["name"]): node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    for schema, table, said in opened.execute(
        "select schema_name, table_name, coalesce(comment, '') from duckdb_tables()"
    ).fetchall():
        node = wanted.get((schema, table))
        if node and said != node["description"]:
            _say(opened, f"table {_quoted(schema, table)}", node["description"])
    for schema, table, column, said in opened.execute(
        """
        select schema_name, table_name, column_name, coalesce(comment, '') from duckdb_columns()
        where not internal
        """
    ).fetchall():
        described = wanted.get((schema, table), {}).get("columns", {}).get(column)
        if described and said != described["description"]:
            _say(opened, f"column {_quoted(schema, table, column)}", described["description"])


def _say(opened: DuckDBPyConnection, what: str, text: str) -> None:
    # a comment cannot be bound
    literal = "'" + text.replace("'", "''") + "'" if text else "null"
    opened.execute(f"comment on {what} is {literal}")


def _quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)
