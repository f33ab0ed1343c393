"""The warehouse: one DuckDB file that one process writes, and a copy for all readers.

DuckDB locks a file against every other process while one writes it, so writers hold a lock of ours,
and readers get ``published/warehouse.duckdb``, which is replaced atomically by a rename: a reader
that has the old copy open keeps it for as long as it likes.

Besides dbt's tables there are our own, which live and die with the tables that they describe:

- ``pipeline.ledger``: one row per derived partition, with the digest of its content and the digests
  of the inputs that it was built from;
- ``pipeline.tables``: one row per dbt table, with the code version that made its columns;
- ``pipeline.failures``: one row per partition whose last build failed;
- ``pipeline.receipts``: one row per dropped file, see ``receipts``.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import duckdb

from personal_pipeline import duck
from personal_pipeline.home import Busy, Home, sync_folder, write_atomically
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Grain
from personal_pipeline.ingest.lake import Version
from personal_pipeline.warehouse import integrity
from personal_pipeline.warehouse.receipts import keep_receipts
from personal_pipeline.warehouse.reconcile import (
    EMPTY,
    BuildRecord,
    FailureRecord,
    Failures,
    Ledger,
    ReadPartitions,
)
from personal_pipeline.warehouse.tables import WHOLE, Table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LOCK_WAIT_SECONDS = 1800

Describe: TypeAlias = Callable[["DuckDBPyConnection"], None]

LEDGER = """
create schema if not exists pipeline;
create table if not exists pipeline.ledger (
    asset varchar not null,
    partition varchar not null,
    digest varchar not null,
    row_count bigint not null,
    inputs json not null,
    previous_inputs json,
    read json,
    previous_read json,
    code_version varchar not null,
    built_at timestamp not null,
    primary key (asset, partition)
);
create table if not exists pipeline.begun (
    asset varchar not null,
    partition varchar not null,
    primary key (asset, partition)
);
create table if not exists pipeline.tables (
    asset varchar primary key,
    code_version varchar not null
);
create table if not exists pipeline.failures (
    asset varchar not null,
    partition varchar not null,
    inputs json not null,
    code_version varchar not null,
    attempts integer not null,
    message varchar not null,
    failed_at timestamp not null,
    primary key (asset, partition)
);
"""


@contextmanager
def writing(home: Home) -> Iterator[None]:
    """Lock the warehouse against every other writer, also while dbt has it open."""
    with home.lock("warehouse", wait_seconds=LOCK_WAIT_SECONDS):
        yield


class DamagedWarehouse(Exception):
    """The warehouse cannot be read completely. It is derived: ``begin_anew``, then build
    everything."""


class Session:
    """A connection for writing that is opened when it is needed and closed when another process
    needs the file. Each opening costs 35 ms: DuckDB reads the catalog."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._stack = ExitStack()
        self._opened: DuckDBPyConnection | None = None

    def opened(self) -> DuckDBPyConnection:
        if self._opened is None:
            opened = self._stack.enter_context(duck.opened(self._house.warehouse))
            opened.execute(LEDGER)
            self._opened = opened
        return self._opened

    def close(self) -> None:
        self._opened = None
        self._stack.close()


@contextmanager
def session(house: House) -> Iterator[Session]:
    """A session for the block; the caller holds ``writing``. Raises ``DamagedWarehouse`` if an
    error in the block is caused by damage."""
    writing = Session(house)
    try:
        try:
            yield writing
        finally:
            writing.close()
    except duckdb.Error as error:
        if integrity.speaks_of_damage(str(error)):
            raise DamagedWarehouse(type(error).__name__) from error
        expect_whole(house.home)
        raise


@contextmanager
def connection(house: House) -> Iterator[DuckDBPyConnection]:
    """A connection for writing, open for the whole block, as in ``session``."""
    with session(house) as writing:
        yield writing.opened()


def expect_whole(home: Home) -> None:
    """Raise ``DamagedWarehouse`` if the warehouse cannot be read completely; nobody has it open."""
    if home.warehouse.exists() and (damage := integrity.damage_of(home.warehouse)):
        raise DamagedWarehouse(damage)


def make_ready(home: Home) -> None:
    """Call before a pass over the tables; the caller holds ``writing``.

    A warehouse that is not as the last pass left it is read completely before this process opens
    it: that pass was killed, or something overwrote it. Raises ``DamagedWarehouse``.
    """
    if not home.warehouse.exists() and home.published.exists():
        begin_anew(home)
    if not integrity.is_noted(home, home.warehouse):
        expect_whole(home)
    integrity.forget(home, home.warehouse)


def begin_anew(home: Home) -> None:
    """Delete the warehouse. The published copy stays until everything has been rebuilt."""
    write_atomically(_anew(home), b"")
    for path in home.root.glob(f"{home.warehouse.name}*"):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def is_begun_anew(home: Home) -> bool:
    """Whether the warehouse was deleted and has not been published since."""
    return _anew(home).exists()


def _anew(home: Home) -> Path:
    return home.state / "tables.anew"


def recorded_tables(opened: DuckDBPyConnection) -> set[str]:
    """The tables with at least one recorded partition."""
    rows = opened.execute("select distinct asset from pipeline.ledger").fetchall()
    return {asset for (asset,) in rows}


def read_ledger(opened: DuckDBPyConnection, assets: Collection[str] | None = None) -> Ledger:
    """What has been built, of these tables or of all."""
    query = "select asset, partition, digest, inputs, code_version from pipeline.ledger"
    # binding a value imports pandas, which a pass with nothing to do can spare
    found = (
        opened.execute(query)
        if assets is None
        else opened.execute(f"{query} where asset in (select unnest(?))", [list(assets)])
    )
    rows = found.fetchall()
    ledger: dict[str, dict[str, BuildRecord]] = {}
    # days that read the same months share one
    parsed: dict[str, dict[str, str]] = {}
    for asset, partition, digest, inputs, code_version in rows:
        read = parsed.get(inputs)
        if read is None:
            read = parsed[inputs] = json.loads(inputs)
        ledger.setdefault(asset, {})[partition] = BuildRecord(digest, read, code_version)
    return ledger


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """What the ledger shows people about a partition: its row count, and the digest of each input
    at its last build and at the one before (empty the first time). ``read`` has the digests of the
    input partitions, for inputs that are read by window."""

    digest: str
    rows: int
    inputs: Mapping[str, str]
    previous_inputs: Mapping[str, str]
    read: ReadPartitions = field(default_factory=dict)
    previous_read: ReadPartitions = field(default_factory=dict)


def read_ledger_rows(opened: DuckDBPyConnection) -> dict[str, dict[str, LedgerRow]]:
    """Every built partition, by table."""
    kept: dict[str, dict[str, LedgerRow]] = {}
    for asset, partition, digest, rows, *noted in opened.execute(
        """
        select asset, partition, digest, row_count, inputs, previous_inputs, read, previous_read
        from pipeline.ledger
        """
    ).fetchall():
        kept.setdefault(asset, {})[partition] = LedgerRow(
            digest, rows, *(json.loads(each) if each else {} for each in noted)
        )
    return kept


def read_failures(opened: DuckDBPyConnection) -> Failures:
    """What failed and has not been built since."""
    rows = opened.execute(
        "select asset, partition, inputs, code_version, attempts, message from pipeline.failures"
    ).fetchall()
    failures: dict[str, dict[str, FailureRecord]] = {}
    for asset, partition, inputs, code_version, attempts, message in rows:
        failed = FailureRecord(json.loads(inputs), code_version, attempts, message)
        failures.setdefault(asset, {})[partition] = failed
    return failures


def existing_tables(opened: DuckDBPyConnection) -> dict[str, str]:
    """The existing tables, as ``schema/name``, with the code version that made their columns; the
    version is empty if a kill came between creating a table and recording it."""
    rows = opened.execute(
        """
        select there.asset, coalesce(recorded.code_version, '')
        from (select table_schema || '/' || table_name as asset from information_schema.tables)
            as there
        left join pipeline.tables as recorded using (asset)
        """
    ).fetchall()
    return dict(rows)


def create(opened: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Create tables without rows, with the declared columns, so that others can read them."""
    for table in tables:
        schema, name = table.name.split("/")
        columns = ", ".join(f'"{column}" {kind}' for column, kind in table.columns)
        opened.execute(f'create schema if not exists "{schema}"')
        opened.execute(f'create table if not exists "{schema}"."{name}" ({columns})')
        record_tables(opened, [table])


def record_tables(opened: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Record that these tables were created by their current code."""
    for table in tables:
        opened.execute(
            "insert or replace into pipeline.tables values (?, ?)", [table.name, table.code_version]
        )


def record_failures(
    opened: DuckDBPyConnection,
    table: Table,
    inputs: Mapping[str, Mapping[str, str]],
    message: str,
    at: datetime,
) -> None:
    """Count a failed build of these partitions, each with the inputs that it was built from. A
    failure with other inputs or other code restarts the count at one."""
    for partition, read in inputs.items():
        opened.execute(
            """
            insert into pipeline.failures values (?, ?, ?, ?, 1, ?, ?)
            on conflict do update set
                attempts = case
                    when failures.inputs = excluded.inputs
                        and failures.code_version = excluded.code_version
                    then failures.attempts + 1 else 1 end,
                inputs = excluded.inputs,
                code_version = excluded.code_version,
                message = excluded.message,
                failed_at = excluded.failed_at
            """,
            [
                *(table.name, partition, json.dumps(read, sort_keys=True), table.code_version),
                *(message, at.replace(tzinfo=None)),
            ],
        )


def begin(opened: DuckDBPyConnection, partitions: Mapping[str, Sequence[str]]) -> None:
    """Record which partitions, by table, dbt is about to write."""
    for name, each in partitions.items():
        opened.execute(
            "insert or ignore into pipeline.begun select ?, unnest(?)", [name, list(each)]
        )


def read_begun(opened: DuckDBPyConnection) -> dict[str, set[str]]:
    """What dbt may have written and has not been recorded since, by table."""
    begun: dict[str, set[str]] = {}
    for name, partition in opened.execute("select asset, partition from pipeline.begun").fetchall():
        begun.setdefault(name, set()).add(partition)
    return begun


def untouched(opened: DuckDBPyConnection, table: Table, partitions: Collection[str]) -> None:
    """Record that dbt has written nothing unrecorded into these partitions."""
    opened.execute(
        "delete from pipeline.begun where asset = ? and partition in (select unnest(?::varchar[]))",
        [table.name, list(partitions)],
    )


def forget_unrecorded(opened: DuckDBPyConnection) -> None:
    """Remove from the ledger what dbt may have written before its process was killed: the content
    of the tables is unknown, even if their inputs have changed back since."""
    opened.execute(
        """
        delete from pipeline.ledger using pipeline.begun
        where ledger.asset = begun.asset and ledger.partition = begun.partition
        """
    )


def forget(opened: DuckDBPyConnection, table: Table, partitions: Sequence[str] | None) -> None:
    """Remove partitions of a table (None: all of them) from the ledger."""
    opened.execute(
        "delete from pipeline.ledger where asset = ? and (? or partition in (select unnest(?)))",
        [table.name, partitions is None, list(partitions or [])],
    )


def drop(opened: DuckDBPyConnection, tables: Iterable[Table]) -> None:
    """Drop tables without recorded partitions. Begun partitions stay begun, so that readers keep
    their rows until they are built; except those of another grain, which never will be."""
    for table in tables:
        schema, name = table.name.split("/")
        opened.execute(f'drop table if exists "{schema}"."{name}"')
        opened.execute(
            "delete from pipeline.begun where asset = ? and (partition = ?) <> ?",
            [table.name, WHOLE, table.grain is Grain.WHOLE],
        )


def digest_partitions(
    opened: DuckDBPyConnection, table: Table, partitions: Sequence[str]
) -> dict[str, Version]:
    """Digest and row count of each partition of a table, independent of row order."""
    schema, name = table.name.split("/")
    whole = table.grain is Grain.WHOLE
    cut = f"'{WHOLE}'" if whole else f"{table.grain}::varchar"
    # as a date, so that blocks of other dates are not even read
    chosen = "true" if whole else f"{table.grain} in (select unnest(?::date[]))"
    # names and grain come from the manifest, values are bound
    rows = opened.execute(
        f"""
        select partition, sha256(string_agg(row_digest, '' order by row_digest)), count(*)
        from (
            select {cut} as partition, md5(cast(content as varchar)) as row_digest
            from "{schema}"."{name}" as content
            where {chosen}
        )
        group by partition
        """,  # noqa: S608
        [] if whole else [list(partitions)],
    ).fetchall()
    found = {partition: Version(digest, count) for partition, digest, count in rows}
    return {each: found.get(each, Version(EMPTY, 0)) for each in partitions}


def record(
    opened: DuckDBPyConnection,
    table: Table,
    versions: Mapping[str, Version],
    inputs: Mapping[str, Mapping[str, str]],
    read: Mapping[str, ReadPartitions],
    at: datetime,
) -> None:
    """Write what was built into the ledger, in one transaction: per partition its version, the
    digest of each input, and those of the input partitions that were read (see ``LedgerRow``).
    The table has just passed its tests, so all its failures are removed."""
    rows = [
        (
            table.name,
            partition,
            version.digest,
            version.rows,
            json.dumps(inputs[partition], sort_keys=True),
            json.dumps(read[partition], sort_keys=True),
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
        insert into pipeline.ledger by name
        select
            unnest(?::varchar[]) as asset,
            unnest(?::varchar[]) as partition,
            unnest(?::varchar[]) as digest,
            unnest(?::bigint[]) as row_count,
            unnest(?::json[]) as inputs,
            unnest(?::json[]) as read,
            unnest(?::varchar[]) as code_version,
            unnest(?::timestamp[]) as built_at
        on conflict do update set
            digest = excluded.digest,
            row_count = excluded.row_count,
            previous_inputs = inputs,
            inputs = excluded.inputs,
            previous_read = read,
            read = excluded.read,
            code_version = excluded.code_version,
            built_at = excluded.built_at
        """,
        [list(column) for column in columns],
    )
    # a test reads the whole table: partitions that failed along with a bad one may be good now
    opened.execute("delete from pipeline.failures where asset = ?", [table.name])
    untouched(opened, table, versions.keys())


def publish(house: House, describe: Describe = lambda _: None) -> None:
    """Replace the readers' copy, unless it is identical. The caller holds ``writing``. ``describe``
    comments the tables.

    The new copy is read completely first; raises ``DamagedWarehouse`` if that fails, and leaves the
    existing copy. For a table with unverified rows, readers keep all their current rows: those of
    its last good build.
    """
    home = house.home
    is_built = not integrity.is_same(home, home.warehouse, home.published)
    with connection(house) as opened:
        keep_receipts(opened, home)
        if is_built:
            describe(opened)
        opened.execute("checkpoint")
    # files that changed differ in their first block; comparing all of both is for copied homes
    if not integrity.is_same(home, home.warehouse, home.published) and not (
        home.published.is_file() and filecmp.cmp(home.warehouse, home.published, shallow=False)
    ):
        with _copied(home, home.warehouse) as copy:
            _keep_good(copy, home, describe)
            if damage := integrity.damage_of(copy):
                raise DamagedWarehouse(damage)
            _replace_published(home, copy)
    integrity.note(home, home.warehouse)
    integrity.note(home, home.published)
    integrity.note_same(home, home.warehouse, home.published)
    _anew(home).unlink(missing_ok=True)


def _keep_good(copy: Path, home: Home, describe: Describe) -> None:
    """Replace unverified rows in the new copy by the rows that readers have, including their ledger
    entries. If readers have none, the table is emptied, which is better than unverified rows.

    The same applies to a table without any ledger entry if readers have one with entries: it was
    recreated, and the build that should fill it failed.
    """
    with duckdb.connect(str(copy), config=duck.CONFIG) as opened:
        there = existing_tables(opened)
        doubted = read_begun(opened).keys()
        unbuilt = {
            name
            for (name,) in opened.execute(
                "select asset from pipeline.tables anti join pipeline.ledger using (asset)"
            ).fetchall()
        }
        if not doubted and not unbuilt:
            return
        known: set[str] = set()
        recorded: set[str] = set()
        if home.published.is_file() and not (
            # with nothing in doubt this runs at each publishing, and has to be quick
            integrity.damage_of(home.published) if doubted else damage_of_published(home)
        ):
            place = str(home.published).replace("'", "''")
            opened.execute(f"attach '{place}' as before (read_only)")
            for name, is_recorded in opened.execute(
                """
                select asset, asset in (select asset from before.pipeline.ledger)
                from (select schema_name || '/' || table_name as asset from duckdb_tables()
                    where database_name = 'before')
                """
            ).fetchall():
                known.add(name)
                if is_recorded:
                    recorded.add(name)
        for asset in sorted(doubted | (unbuilt & recorded)):
            schema, name = asset.split("/")
            table = f'"{schema}"."{name}"'
            opened.execute("delete from pipeline.ledger where asset = ?", [asset])
            if asset not in known:
                if asset in there:
                    opened.execute(f"delete from {table}")  # noqa: S608
                continue
            # also a table that its current code cannot even create
            opened.execute(f'create schema if not exists "{schema}"')
            opened.execute(f"create or replace table {table} as from before.{table}")
            opened.execute(
                "insert into pipeline.ledger by name from before.pipeline.ledger where asset = ?",
                [asset],
            )
        describe(opened)
        opened.execute("checkpoint")


def damage_of_published(home: Home) -> str | None:
    """What is wrong with the published copy; None if it can be read, or does not exist."""
    if not home.published.exists() or integrity.is_noted(home, home.published):
        return None
    damage = integrity.damage_of(home.published)
    if damage is None:
        # if the disk cannot be written, it is simply read again next time
        with suppress(OSError):
            integrity.note(home, home.published)
    return damage


def publish_receipts(home: Home) -> None:
    """Make new receipts visible to readers now, and no other changes.

    If another process is writing, or nothing is readable yet, the next publishing does it.
    """
    try:
        with home.lock("warehouse", wait_seconds=0):
            if home.published.exists():
                was_whole = integrity.is_noted(home, home.published)
                with _copied(home, home.published) as copy:
                    with duckdb.connect(str(copy), config=duck.CONFIG) as opened:
                        keep_receipts(opened, home)
                        opened.execute("checkpoint")
                    _replace_published(home, copy)
                if was_whole:
                    integrity.note(home, home.published)
                # the warehouse lacks these receipts: the next publishing copies it again
    except (Busy, duckdb.Error):
        return


@contextmanager
def _copied(home: Home, database: Path) -> Iterator[Path]:
    """A copy next to the published one, to be renamed; whatever is left of it is deleted at the
    end."""
    home.published.parent.mkdir(parents=True, exist_ok=True)
    copy = home.published.with_name(f".{os.getpid()}-{home.published.name}.tmp")
    log = copy.with_name(f"{copy.name}.wal")
    try:
        # a leftover log of an earlier process with the same id does not belong to this copy
        log.unlink(missing_ok=True)
        shutil.copyfile(database, copy)
        yield copy
    finally:
        copy.unlink(missing_ok=True)
        log.unlink(missing_ok=True)


def _replace_published(home: Home, temporary: Path) -> None:
    # opened for writing, because Windows refuses to sync a file opened for reading
    with temporary.open("r+b") as stream:
        os.fsync(stream.fileno())
    if home.published.is_dir():
        shutil.rmtree(home.published)  # nothing of ours creates a folder of that name
    temporary.replace(home.published)
    sync_folder(home.published.parent)


@contextmanager
def reading(house: House) -> Iterator[DuckDBPyConnection]:
    """A read-only connection to the published copy. Raises ``FileNotFoundError`` before the first
    build."""
    if not house.home.published.exists():
        raise FileNotFoundError(
            f"{house.home.published}: no tables yet; run `personal-pipeline refresh` first"
        )
    with duck.opened(house.published) as opened:
        yield opened
