"""``pipeline.receipts``: one row per dropped file, copied from ``archive/receipts/``.

The files are authoritative and the table can be dropped. It is filled before each publishing, and
after the first one also when files were taken.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.seals import sealed
from personal_pipeline.shown import shown

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TABLE = """
create schema if not exists pipeline;
create table if not exists pipeline.receipts (
    receipt varchar primary key,
    received_at timestamp not null,
    file varchar not null,
    origin varchar not null,
    size_bytes bigint not null,
    source varchar,
    kind varchar,
    captured_at timestamp,
    rows_new bigint not null,
    rows_changed bigint not null,
    rows_vanished bigint not null,
    rows_unchanged bigint not null,
    rows_unreadable bigint not null,
    first_month date,
    last_month date,
    columns_unknown varchar[] not null,
    columns_gone varchar[] not null,
    reason varchar not null,
    also_claimed varchar[] not null,
    problem varchar,
    warning varchar,
    streams json not null
);
alter table pipeline.receipts add column if not exists cause varchar;
alter table pipeline.receipts add column if not exists unreadable_why varchar[];
alter table pipeline.receipts add column if not exists unreadable_in varchar;
"""


def keep_receipts(opened: DuckDBPyConnection, home: Home) -> None:
    """Copy the receipts that the table lacks, and restore missing files from the table. Times are
    UTC."""
    opened.execute(TABLE)
    files = {path.name: path for path in (home.archive / "receipts").glob("*.json")}
    kept = {name for (name,) in opened.execute("select receipt from pipeline.receipts").fetchall()}
    for gone in sorted(kept - files.keys()):
        if receipt := receipt_of(opened, gone):
            content = json.dumps(sealed(receipt), indent=1).encode()
            write_atomically(home.archive / "receipts" / gone, content)
    rows = [row for name in sorted(files.keys() - kept) if (row := _row(files[name]))]
    if rows:
        kinds = [kind for _, kind, *_ in opened.execute("describe pipeline.receipts").fetchall()]
        # all rows in one statement: thousands of small ones take seconds
        values = ", ".join(f"unnest(?::{kind}[])" for kind in kinds)
        columns = [list(column) for column in zip(*rows, strict=True)]
        opened.execute(f"insert into pipeline.receipts select {values}", columns)


def receipt_of(opened: DuckDBPyConnection, name: str) -> dict[str, Any] | None:
    """A receipt from the table, as its file had it; None if the table lacks it."""
    cursor = opened.execute("select * from pipeline.receipts where receipt = ?", [name])
    columns = [column for column, *_ in cursor.description or ()]
    found = cursor.fetchone()
    if found is None:
        return None
    row = dict(zip(columns, found, strict=True))
    captured = row["captured_at"]
    return {
        "file": row["file"],
        "received_at": row["received_at"].replace(tzinfo=UTC).isoformat(),
        "digest": row["origin"],
        "size": row["size_bytes"],
        "source": row["source"],
        "drop": row["kind"],
        "captured_at": captured.replace(tzinfo=UTC).isoformat() if captured else None,
        "reason": row["reason"],
        "unreadable": row["rows_unreadable"],
        "unreadable_why": row["unreadable_why"] or [],
        "unreadable_in": row["unreadable_in"],
        "streams": json.loads(row["streams"]),
        "problem": row["problem"],
        "cause": row["cause"],
        "warning": row["warning"],
        "also_claimed": row["also_claimed"],
    }


def _row(path: Path) -> list[Any] | None:
    """None for a receipt that cannot be read; it is skipped, as elsewhere."""
    try:
        receipt = json.loads(path.read_bytes())
        streams = receipt["streams"]
        months = [
            month
            for each in streams
            for month in (each.get("first_month"), each.get("last_month"))
            if month
        ]
        return [
            path.name,
            _utc(receipt["received_at"]),
            shown(receipt["file"]),
            receipt["digest"],
            receipt["size"],
            receipt["source"],
            receipt["drop"],
            _utc(receipt["captured_at"]) if receipt["captured_at"] else None,
            *(
                sum(each[name] for each in streams)
                for name in ("new", "altered", "vanished", "unchanged")
            ),
            receipt["unreadable"],
            min(months, default=None),
            max(months, default=None),
            *(
                sorted({shown(column) for each in streams for column in each.get(name, ())})
                for name in ("columns_unknown", "columns_gone")
            ),
            shown(receipt["reason"]),
            [shown(each) for each in receipt.get("also_claimed", [])],
            *(
                shown(each) if each else None
                for each in (receipt["problem"], receipt.get("warning"))
            ),
            json.dumps(streams),
            receipt.get("cause"),
            [shown(each) for each in receipt.get("unreadable_why", [])],
            receipt.get("unreadable_in"),
        ]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(tzinfo=None)
