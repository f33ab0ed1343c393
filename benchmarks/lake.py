"""The lake: ten years of one stream in daily partitions, written, checked, and read by DuckDB.

Decision: docs/decisions/0001-lake-files.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.measured import Measured, fastest, seconds_of, show
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import VERSIONS, Row, StreamLake

DAYS = [date(2016, 11, 24) + timedelta(days=number) for number in range(3650)]
ROWS_A_DAY = 30


def rows_of(day: date) -> Iterable[Row]:
    """Thirty generated charges."""
    for number in range(ROWS_A_DAY):
        key = f"ch_{day:%Y%m%d}{number:03}"
        record = {
            "id": key,
            "object": "charge",
            "amount": number * 100,
            "currency": "usd",
            "created": 1480000000 + (day - DAYS[0]).days * 86400 + number,
            "status": "succeeded",
            "metadata": {},
        }
        yield Row(key, record)


def write_all(lake: StreamLake) -> None:
    """Write every day."""
    for day in DAYS:
        lake.write(day, rows_of(day))


def read_all(lake: StreamLake) -> None:
    """Read every day."""
    for day in DAYS:
        lake.read(day)


def versions_cold(lake: StreamLake) -> None:
    """Compute the digests, with nothing cached."""
    (lake.folder / VERSIONS).unlink(missing_ok=True)
    lake.versions()


def amounts(lake: StreamLake, condition: str) -> None:
    """Read a typed column as staging does: from the files, pruned by the day in their path."""
    with duckdb.connect() as connection:
        connection.execute("set threads = 2")
        connection.execute(
            f"""
            select sum((record ->> 'amount')::bigint)
            from read_ndjson(
                '{lake.folder.as_posix()}/day=*/part.jsonl.gz',
                columns = {{key: 'varchar', record: 'json'}},
                hive_partitioning = true,
                hive_types = {{day: date}}
            )
            where {condition}
            """
        )


def main() -> None:
    """Write once into an empty folder, then read it in every way."""
    number = len(DAYS)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        lake = StreamLake(root / "lake", root / "archive", "stripe", "charges", Grain.DAY)
        write = Measured("written, fsynced", seconds_of(lambda: write_all(lake)), number)
        again = Measured("written again, equal", seconds_of(lambda: write_all(lake)), number)
        read = fastest("read", lambda: read_all(lake), rounds=2, pieces=number)
        cold = fastest(
            "versions, nothing noted", lambda: versions_cold(lake), rounds=2, pieces=number
        )
        cached = fastest("versions, noted before", lake.versions, rounds=5, pieces=number)
        everything = fastest("DuckDB, all files", lambda: amounts(lake, "true"), rounds=3)
        one_day = fastest(
            "DuckDB, the window of one day",
            lambda: amounts(lake, "day >= date '2026-11-01' and day < date '2026-11-02'"),
            rounds=3,
        )
    rows = f"{number:,} files, {number * ROWS_A_DAY:,} rows"
    show(f"Partitions: {rows}", [write, again, read])
    show("StreamLake.versions() over them", [cold, cached])
    show("DuckDB over them", [everything, one_day])


if __name__ == "__main__":
    main()
