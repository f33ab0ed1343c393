"""The warehouse: one DuckDB file that one process writes, and a copy that everybody reads.

DuckDB locks a file against every other process while one writes it, so writers hold a lock of
ours, and readers get ``published/warehouse.duckdb``, which is replaced whole by a rename: a reader
that has the old copy open keeps it for as long as it likes.

Beside the tables of dbt there is ``pipeline.ledger``: a row for every derived partition, with the
digest of its content and the digests of the inputs that it was built from. It lives and dies with
the tables that it speaks of.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import duckdb
from dagster_duckdb import DuckDBResource

from personal_pipeline.graph.reconcile import Built, Ledger
from personal_pipeline.graph.tables import WHOLE, Table
from personal_pipeline.home import Home, sync_folder
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import Version

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCK_WAIT_SECONDS = 1800
EMPTY = "empty"
"""Digest of a partition without rows."""

LEDGER = """
create schema if not exists pipeline;
create table if not exists pipeline.ledger (
    asset varchar not null,
    partition varchar not null,
    digest varchar not null,
    row_count bigint not null,
    inputs json not null,
    code_version varchar not null,
    built_at timestamp not null,
    primary key (asset, partition)
);
"""


@contextmanager
def writing(home: Home) -> Iterator[None]:
    """Hold the warehouse against every other writer, also while dbt has it open."""
    with home.lock("warehouse", wait_seconds=LOCK_WAIT_SECONDS):
        yield


@contextmanager
def connection(home: Home) -> Iterator[DuckDBPyConnection]:
    """A connection for writing; the caller holds ``writing``. Closed whatever happens."""
    # the resource closes only when nothing was raised, which would leave the file locked
    with DuckDBResource(database=str(home.warehouse)).get_connection() as opened:
        try:
            opened.execute(LEDGER)
            yield opened
        finally:
            opened.close()


def read_ledger(home: Home) -> Ledger:
    """What was built, read from the warehouse. The caller holds ``writing``."""
    if not home.warehouse.exists():
        return {}
    with connection(home) as opened:
        rows = opened.execute(
            "select asset, partition, digest, inputs, code_version from pipeline.ledger"
        ).fetchall()
    ledger: dict[str, dict[str, Built]] = {}
    for asset, partition, digest, inputs, code_version in rows:
        ledger.setdefault(asset, {})[partition] = Built(digest, json.loads(inputs), code_version)
    return ledger


def existing_models(home: Home) -> set[str]:
    """Names of the tables in the warehouse, as ``schema/name``."""
    if not home.warehouse.exists():
        return set()
    with connection(home) as opened:
        rows = opened.execute(
            "select table_schema || '/' || table_name from information_schema.tables"
        ).fetchall()
    return {name for (name,) in rows}


def drop(home: Home, tables: Iterable[Table]) -> None:
    """Forget tables and what is recorded of them, before they are built anew by changed code."""
    with connection(home) as opened:
        for table in tables:
            schema, name = table.name.split("/")
            opened.execute(f'drop table if exists "{schema}"."{name}"')
            opened.execute("delete from pipeline.ledger where asset = ?", [table.name])


def digest_partitions(
    opened: DuckDBPyConnection, table: Table, partitions: Sequence[str]
) -> dict[str, Version]:
    """Digest and row count of each partition of a table, whatever the order of its rows."""
    schema, name = table.name.split("/")
    cut = f"'{WHOLE}'" if table.grain is Grain.WHOLE else f"{table.grain}::varchar"
    # names and grain come from the manifest, values are bound
    rows = opened.execute(
        f"""
        select partition, sha256(string_agg(row_digest, '' order by row_digest)), count(*)
        from (
            select {cut} as partition, md5(cast(content as varchar)) as row_digest
            from "{schema}"."{name}" as content
        )
        where partition in (select unnest(?::varchar[]))
        group by partition
        """,  # noqa: S608
        [list(partitions)],
    ).fetchall()
    found = {partition: Version(digest, count) for partition, digest, count in rows}
    return {each: found.get(each, Version(EMPTY, 0)) for each in partitions}


def record(
    opened: DuckDBPyConnection,
    table: Table,
    versions: Mapping[str, Version],
    inputs: Mapping[str, Mapping[str, str]],
    at: datetime,
) -> None:
    """Write what was built into the ledger, in one transaction."""
    rows = [
        (
            table.name,
            partition,
            version.digest,
            version.rows,
            json.dumps(inputs[partition], sort_keys=True),
            table.code_version,
            at.replace(tzinfo=None),
        )
        for partition, version in versions.items()
    ]
    if not rows:
        return
    columns = list(zip(*rows, strict=True))
    opened.execute(
        """
        insert or replace into pipeline.ledger
        select unnest(?::varchar[]), unnest(?::varchar[]), unnest(?::varchar[]),
            unnest(?::bigint[]), unnest(?::json[]), unnest(?::varchar[]), unnest(?::timestamp[])
        """,
        [list(column) for column in columns],
    )


def publish(home: Home) -> None:
    """Replace the copy that readers open. The caller holds ``writing``."""
    with connection(home) as opened:
        opened.execute("checkpoint")
    home.published.parent.mkdir(parents=True, exist_ok=True)
    temporary = home.published.with_name(f".{home.published.name}.tmp")
    shutil.copyfile(home.warehouse, temporary)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(home.published)
    sync_folder(home.published.parent)


@contextmanager
def reading(home: Home) -> Iterator[DuckDBPyConnection]:
    """A read-only connection to the published copy. Raises ``FileNotFoundError`` before the first
    build."""
    if not home.published.exists():
        raise FileNotFoundError(
            f"{home.published}: nothing was built yet; run `personal-pipeline refresh` first"
        )
    opened = duckdb.connect(str(home.published), read_only=True)
    try:
        yield opened
    finally:
        opened.close()
