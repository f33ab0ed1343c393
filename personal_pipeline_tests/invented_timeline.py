"""Invented events in a published DuckDB file, for tests of what reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from personal_pipeline_tests.outputs.invented_marts import TABLES


def event(
    kind: str,
    key: str,
    start: str = "",
    end: str = "",
    *,
    zone: str = "Europe/Berlin",
    day: str = "",
    source: str = "till",
    **more: Any,
) -> dict[str, Any]:
    """A row of the timeline. ``start`` and ``end`` are UTC; its local day is that of the clock on
    the wall in ``zone`` unless ``day`` says otherwise. Without a start it has only a day."""
    begun = datetime.fromisoformat(start) if start else None
    local = begun and begun.replace(tzinfo=UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    local_day = date.fromisoformat(day) if day else local and local.date()
    assert local_day is not None
    return {
        "month": (begun.date() if begun else local_day).replace(day=1),
        "event_id": f"{source}:{kind}:{key}",
        "source": source,
        "kind": kind,
        "start_at": begun,
        "end_at": datetime.fromisoformat(end) if end else None,
        "zone": zone if begun else None,
        "zone_origin": "event" if begun else "day",
        "local_at": local,
        "local_day": local_day,
        "title": f"{kind} {key}",
        "by_others": False,
        **more,
    }


def write_tables(database: Path, **rows: Iterable[Mapping[str, Any]]) -> Path:
    """Write these marts, and no others, into a published file, in place of those there."""
    database.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(str(database)) as opened:
        opened.execute("create schema if not exists marts")
        for table, given in rows.items():
            columns = TABLES[table]
            typed = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            opened.execute(f"create or replace table marts.{table} ({typed})")
            marks = ", ".join("?" * len(columns))
            for row in given:
                assert row.keys() <= columns.keys(), row.keys() - columns.keys()
                values = [row.get(name) for name in columns]
                opened.execute(f"insert into marts.{table} values ({marks})", values)
    return database
