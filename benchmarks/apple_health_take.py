"""The process measured by ``benchmarks.apple_health``: drops, ingests and queries an export."""

from __future__ import annotations

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources import SOURCES


def take_export(export: Path, folder: Path) -> None:
    """Ingest the export into a home, and count its records in the lake."""
    home = Home(folder).ensure()
    dropped = Path(shutil.copy2(export, home.inbox / "export.zip"))
    receipt = ingest_file(home, SOURCES, dropped, datetime.now(UTC)).receipt
    assert receipt.problem is None, receipt.problem
    files = f"{home.lake}/apple_health/records/*/part.parquet"
    [(count,)] = duckdb.sql(f"select count(*) from read_parquet('{files}')").fetchall()
    assert count > 0


if __name__ == "__main__":
    take_export(Path(sys.argv[1]), Path(sys.argv[2]))
