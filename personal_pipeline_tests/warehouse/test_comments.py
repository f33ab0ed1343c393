"""dbt's descriptions in the published copy, as a client of DuckDB sees them."""

from __future__ import annotations

import duckdb
import pytest

from personal_pipeline.home import Home
from personal_pipeline.refresh import refresh
from personal_pipeline.warehouse.comments import comment
from personal_pipeline_tests.kiosk.house import Kiosk

TABLES = "select schema_name || '.' || table_name, comment from duckdb_tables()"
COLUMNS = (
    "select table_name || '.' || column_name, comment from duckdb_columns() where not internal"
)


def said(home: Home, sql: str) -> dict[str, str | None]:
    with duckdb.connect(str(home.published), read_only=True) as published:
        return dict(published.execute(sql).fetchall())


def test_tables_and_columns_say_what_they_are(built_kiosk: Home) -> None:
    tables = said(built_kiosk, TABLES)
    assert tables["marts.takings_daily"] == "One row per UTC day and product that was sold on it."
    assert all(text for name, text in tables.items() if not name.startswith("pipeline."))
    columns = said(built_kiosk, COLUMNS)
    assert columns["takings_daily.pieces"] == "How many pieces were sold on the day."
    assert columns["takings_daily.product"] == columns["products.product"]


def test_a_table_that_is_made_anew_is_described_again(kiosk: Kiosk, copied_kiosk: Home) -> None:
    before = said(copied_kiosk, TABLES), said(copied_kiosk, COLUMNS)
    with duckdb.connect(str(copied_kiosk.warehouse)) as opened:
        opened.execute("delete from pipeline.ledger where asset = 'marts/products'")
        opened.execute("drop table marts.products")
    passed = refresh(kiosk.house(copied_kiosk))
    assert [each.name for each in passed.work.built] == ["marts/products"]
    assert (said(copied_kiosk, TABLES), said(copied_kiosk, COLUMNS)) == before


@pytest.mark.parametrize("text", ["It's quoted -- and /* more */", "two\nlines", ""])
def test_any_text_is_a_comment_and_only_a_new_one_is_written(text: str) -> None:
    node = {
        "resource_type": "model",
        "schema": "main",
        "name": 'odd "name',
        "description": text,
        "columns": {'a "column': {"description": text}},
    }
    with duckdb.connect() as opened:
        opened.execute('create table "odd ""name" ("a ""column" integer, other integer)')
        comment(opened, {"nodes": {"x": node}})
        found = opened.execute("select comment from duckdb_tables()").fetchall()
        columns = opened.execute(
            "select comment from duckdb_columns() where not internal"
        ).fetchall()
        assert found == [(text or None,)]
        assert columns == [(text or None,), (None,)]
