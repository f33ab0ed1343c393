"""Dagster's event log in SQLite, with open connections and batched materializations.

The stock storage opens a new engine for every write and commits every event twice: 9 ms per
materialization, so that two years of daily partitions took minutes of bookkeeping.
docs/decisions/0006 has the reasons, figures and risks. A test compares what this stores with the
stock storage.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy import Engine, bindparam, create_engine, event, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool, StaticPool

from personal_pipeline.dagster_private import ConfigurableClassData, SqliteEventLogStorage

BUSY_TIMEOUT_SECONDS = 60
KEPT_IN_RUN = 10
"""How many of the most recent materializations per asset in one batch are also stored in the log of
the run; all of them are in the index, which is what the page of the asset shows."""

DELETED_AT_ONCE = 500

KEPT_ENGINES = 4
"""Runs whose engines are kept: making one takes as long as storing three events."""

INDEX = "index"
"""The shard for queries across runs; its connection is kept open."""


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """The stock SQLite event log; same files, same schema, fewer engines and commits."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._run_engines: dict[str, Engine] = {}
        # a thread runs one job at a time, and each job has its own batch
        self._batch = threading.local()
        super().__init__(base_dir, inst_data)

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        if shard != INDEX:
            of_run = self._run_engine(shard)
            with self._db_lock, of_run.connect() as connection, connection.begin():
                yield connection
            return
        with self._db_lock:
            engine = self._engines.get(shard)
            if engine is None:
                engine = create_engine(
                    self.conn_string_for_shard(shard),
                    poolclass=StaticPool,
                    connect_args={"timeout": BUSY_TIMEOUT_SECONDS, "check_same_thread": False},
                )
                event.listen(engine, "connect", _relax_sync)
                if shard not in self._initialized_dbs:
                    self._initdb(engine)
                    self._initialized_dbs.add(shard)
                self._engines[shard] = engine
            with engine.connect() as connection, connection.begin():
                yield connection

    def _run_engine(self, shard: str) -> Engine:
        """The engine of the file of a run. Its connections are closed after use: kept open, they
        would exhaust a daemon's file handles."""
        engine = self._run_engines.get(shard)
        if engine is None:
            engine = create_engine(
                self.conn_string_for_shard(shard),
                poolclass=NullPool,
                connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
            )
        if shard not in self._initialized_dbs:
            self._make_like_index(engine)
            self._initialized_dbs.add(shard)
        if len(self._run_engines) > KEPT_ENGINES:
            self._run_engines.clear()
        self._run_engines[shard] = engine
        return engine

    def _make_like_index(self, engine: Engine) -> None:
        """Create the tables of a run's file, which are those of the index. Dagster's own way loads
        its ninety migrations for that, in every run."""
        with self._connect(INDEX) as index:
            statements = [
                *_texts(index, "select sql from sqlite_master where sql is not null"),
                *_texts(index, _VERSION),
            ]
        with engine.connect() as connection:
            connection.exec_driver_sql("pragma journal_mode = wal")
            # another process may be doing the same
            connection.exec_driver_sql("begin immediate")
            if not _texts(connection, "select name from sqlite_master limit 1"):
                for statement in statements:
                    connection.exec_driver_sql(statement)
            connection.exec_driver_sql("commit")

    def store_event(self, event: dg.EventLogEntry) -> None:
        """Store now or, for a materialization within ``batch``, at the end of the block."""
        held: list[dg.EventLogEntry] | None = getattr(self._batch, "held", None)
        if held is not None and _is_materialization(event):
            held.append(event)
        else:
            super().store_event(event)

    def store_event_batch(self, events: Sequence[dg.EventLogEntry]) -> None:
        """Store the materializations of one run in two transactions; anything else one by one."""
        batch = [_slim(each) for each in events if _is_materialization(each)]
        for each in events:
            if not _is_materialization(each):
                super().store_event(each)
        if not batch:
            return
        statements = [self.prepare_insert_event(each) for each in batch]
        in_run = _last_of_each(batch)
        with self.run_connection(batch[0].run_id) as connection:
            for place, statement in enumerate(statements):
                if place in in_run:
                    connection.execute(statement)
        with self.index_transaction() as connection:
            newest: dict[dg.AssetKey, tuple[dg.EventLogEntry, int]] = {}
            ids: list[int] = []
            for each, statement in zip(batch, statements, strict=True):
                stored = connection.execute(statement).inserted_primary_key
                event = each.dagster_event
                if stored is None or event is None or event.asset_key is None:
                    raise RuntimeError("a materialization was stored without an id or an asset")
                ids.append(stored[0])
                newest[event.asset_key] = (each, stored[0])
            self._store_asset_event_tags(connection, batch, ids)
            for each, event_id in newest.values():
                self._store_asset_event(connection, each, event_id)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Collect the materializations of the run in this block, and store them at its end."""
        held: list[dg.EventLogEntry] = []
        self._batch.held = held
        try:
            yield
        finally:
            self._batch.held = None
            self.store_event_batch(held)

    def delete_events(self, run_id: str) -> None:
        """Delete the log of a run, except what no later run has reported again: the newest event of
        each kind of a partition, and the newest result of a check. Dagster's own storage deletes
        these too, and with them what a partition contains."""
        for end in ("", "-wal", "-shm"):
            Path(f"{self.path_for_shard(run_id)}{end}").unlink(missing_ok=True)
        self._initialized_dbs.discard(run_id)
        with self._connect(INDEX) as connection:
            connection.execute(text(_PLANNED_CHECKS), {"run_id": run_id})
            events = _ids(connection, _OF_RUN, run_id=run_id)
        self._delete(events)

    def delete_superseded(self, before: datetime) -> int:
        """Delete the events of assets and checks older than ``before`` (UTC) that were reported
        again since; returns how many. ``delete_events`` deletes the others with their run."""
        instant = before.astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        with self._connect(INDEX) as connection:
            for statement in (_OLD_PLANNED_CHECKS, _SUPERSEDED_CHECKS):
                connection.execute(text(statement), {"before": instant})
            events = _ids(connection, _SUPERSEDED, before=instant)
        self._delete(events)
        return len(events)

    def _delete(self, events: Sequence[int]) -> None:
        """In transactions so small that no other process notices."""
        for first in range(0, len(events), DELETED_AT_ONCE):
            with self._connect(INDEX) as connection:
                for statement in (_TAGS, _EVENTS):
                    connection.execute(statement, {"ids": events[first : first + DELETED_AT_ONCE]})

    def dispose(self) -> None:
        for engine in self._engines.values():
            engine.dispose()
        self._engines.clear()
        self._run_engines.clear()
        super().dispose()

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        return cls(inst_data=inst_data, **config_value)


_NEWER = """
exists (
    select 1 from event_logs as newer
    where newer.asset_key = event_logs.asset_key
        and newer.dagster_event_type = event_logs.dagster_event_type
        and newer.partition is event_logs.partition
        and newer.id > event_logs.id
)
"""
"""Reported again since."""

_CHECKS = "('ASSET_CHECK_EVALUATION', 'ASSET_CHECK_EVALUATION_PLANNED')"
_CURRENT_CHECKS = """
select evaluation_event_storage_id from asset_check_executions
where evaluation_event_storage_id is not null
"""

# ids are reused if the newest event is deleted, and Dagster's cursors are ids
_OF_RUN = f"""
select id from event_logs
where run_id = :run_id
    and id < (select max(id) from event_logs)
    and case
        when asset_key is null then true
        when dagster_event_type in {_CHECKS} then id not in ({_CURRENT_CHECKS})
        when dagster_event_type = 'ASSET_MATERIALIZATION_PLANNED' then true
        else {_NEWER}
    end
"""  # noqa: S608

_SUPERSEDED = f"""
select id from event_logs
where id <= (select id from event_logs where timestamp < :before order by id desc limit 1)
    and id < (select max(id) from event_logs)
    and asset_key is not null
    and case
        when dagster_event_type in {_CHECKS} then id not in ({_CURRENT_CHECKS})
        else {_NEWER}
    end
"""  # noqa: S608

_PLANNED_CHECKS = """
delete from asset_check_executions
where run_id = :run_id and evaluation_event_storage_id is null
"""
_OLD_PLANNED_CHECKS = """
delete from asset_check_executions
where create_timestamp < :before and evaluation_event_storage_id is null
"""
_SUPERSEDED_CHECKS = """
delete from asset_check_executions
where create_timestamp < :before
    and exists (
        select 1 from asset_check_executions as newer
        where newer.asset_key = asset_check_executions.asset_key
            and newer.check_name = asset_check_executions.check_name
            and newer.partition is asset_check_executions.partition
            and newer.evaluation_event_storage_id is not null
            and newer.id > asset_check_executions.id
    )
"""

_EVENTS, _TAGS = (
    text(f"delete from {table} where {column} in :ids").bindparams(  # noqa: S608
        bindparam("ids", expanding=True)
    )
    for table, column in (("event_logs", "id"), ("asset_event_tags", "event_id"))
)


def _ids(connection: Connection, query: str, **values: str) -> list[int]:
    return [row[0] for row in connection.execute(text(query), values)]


_VERSION = """
select 'insert into alembic_version values (''' || version_num || ''')' from alembic_version
"""


def _texts(connection: Connection, query: str) -> list[str]:
    return [row[0] for row in connection.exec_driver_sql(query)]


def _relax_sync(connection: Any, _record: Any) -> None:
    # in WAL mode NORMAL cannot corrupt the file; a power failure may lose the last events, and the
    # reconcile reports again what Dagster then lacks
    connection.execute("pragma synchronous = normal")


def _slim(entry: dg.EventLogEntry) -> dg.EventLogEntry:
    """An entry without fields that only a debugger reads or that are stored elsewhere: SQLite then
    fits two or three on a page instead of one."""
    event = entry.dagster_event
    assert event is not None
    slim = event._replace(logging_tags=None, message=None, step_handle=None, node_handle=None)
    return entry._replace(dagster_event=slim)


def _last_of_each(batch: Sequence[dg.EventLogEntry]) -> set[int]:
    """The positions of the last few entries of each asset."""
    places: dict[dg.AssetKey | None, list[int]] = {}
    for place, each in enumerate(batch):
        event = each.dagster_event
        places.setdefault(event.asset_key if event else None, []).append(place)
    return {place for of_asset in places.values() for place in of_asset[-KEPT_IN_RUN:]}


def _is_materialization(entry: dg.EventLogEntry) -> bool:
    return bool(entry.dagster_event and entry.dagster_event.is_step_materialization)


@contextmanager
def batched(instance: dg.DagsterInstance) -> Iterator[None]:
    """Write the materializations logged in this block in one batch, if the storage supports it."""
    storage = instance.event_log_storage
    if isinstance(storage, BatchingSqliteEventLogStorage):
        with storage.batch():
            yield
    else:
        yield
