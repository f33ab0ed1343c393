"""What the person shares with language models: ``published/models.duckdb``.

It has the marts of the areas in ``PERSONAL_PIPELINE_MODELS``, without what others wrote and what
names an account, unless the person says otherwise, and nothing else. So a query needs no rules
about rows: what is not shared is not there. Only what the checkout declares of a mart is taken; a
column that it does not know is left out.

A column in ``_models.yml`` says of itself, below ``config: {meta: …}``:

- ``by_others``: others wrote it, such as a payee. It is data, never an instruction;
- ``of_account``: it names or numbers an account.

Either is ``true``, and the column is left out, or the SQL condition of the rows for which it holds,
and these rows have null there. A table with rows of several areas, such as the timeline, says in
its own ``meta`` with ``area_of_rows``, an SQL expression, to which area a row belongs: a row of an
area that is not shared is left out. ``lake_file`` and the key of the record in it become
``reference``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from personal_pipeline import duck
from personal_pipeline.home import Home, sync_folder, write_atomically
from personal_pipeline.settings import Settings
from personal_pipeline.warehouse import integrity

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FORMAT = 1
"""Raise it when this module writes the file otherwise: it is then written anew."""

LOCK_WAIT_SECONDS = 300

MARTS = Path(__file__).parents[2] / "sql" / "models" / "marts"
"""A folder for each area, with the ``_models.yml`` of its tables."""

LONG_NUMBER = (
    r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b"
    r"|\d{4}(?:[ -]\d{4}){2,}|\d{7,}"
)
"""An IBAN, a card, or seven digits and more: in words of others, the number of an account."""

ABOUT = """
create schema about;
create table about.file (published_at timestamp);
create table about.tables (
    name varchar, area varchar, description varchar, key varchar[], streams varchar[],
    left_out varchar[]
);
create table about.columns (
    table_name varchar, name varchar, type varchar, description varchar, by_others boolean
);
"""


class NothingShared(Exception):
    """The settings share no area, or one that does not exist. The message says how to share."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What the person shares: areas of marts, and whether with words of others, and with names and
    numbers of accounts."""

    areas: tuple[str, ...]
    texts: bool
    accounts: bool

    @classmethod
    def of(cls, settings: Settings) -> Shared:
        """Raises ``NothingShared``."""
        known = sorted(path.parent.name for path in MARTS.glob("*/_models.yml"))
        unknown = [area for area in settings.models if area not in known]
        if unknown or not settings.models:
            why = (
                f"PERSONAL_PIPELINE_MODELS: there is no area {', '.join(unknown)}."
                if unknown
                else "Nothing is shared with language models."
            )
            raise NothingShared(
                f"{why} Share areas of tables by naming them in the environment or in .env, such "
                f'as PERSONAL_PIPELINE_MODELS="health life money sport". There are '
                f"{', '.join(known)}; docs/mcp.md says what is left out of them."
            )
        return cls(
            tuple(sorted(set(settings.models))), settings.models_texts, settings.models_accounts
        )


@contextmanager
def shared_tables(home: Home, shared: Shared) -> Iterator[Path]:
    """The file for the block, brought up to date with the published tables; while nothing changed,
    that costs a few file stats.

    It stays as it is during the block: another server, to which another environment may say that
    something else is shared, waits. Raises ``FileNotFoundError`` before the first build, ``Busy``
    if another one takes minutes.
    """
    with home.lock("models", wait_seconds=LOCK_WAIT_SECONDS):
        if not home.published.exists():
            raise FileNotFoundError(
                "There are no tables yet: run `personal-pipeline refresh` first."
            )
        if not _is_current(home, shared):
            _write_anew(home, shared)
        yield home.models


def _write_anew(home: Home, shared: Shared) -> None:
    # before anything is read: what changes meanwhile is found by the next look
    state = _state_of(home, shared)
    temporary = home.models.with_name(f".{os.getpid()}-{home.models.name}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        _write(home.published, temporary, shared)
        with temporary.open("r+b") as stream:
            os.fsync(stream.fileno())
        temporary.replace(home.models)
        sync_folder(home.models.parent)
    finally:
        temporary.unlink(missing_ok=True)
    file = integrity.stamp_of(home.models)
    write_atomically(_kept(home), json.dumps({**state, "file": file}).encode())


def delete_shared(home: Home) -> None:
    """Share nothing any more."""
    home.models.unlink(missing_ok=True)
    _kept(home).unlink(missing_ok=True)


def _is_current(home: Home, shared: Shared) -> bool:
    try:
        kept = json.loads(_kept(home).read_bytes())
    except (OSError, ValueError):
        return False
    file = integrity.stamp_of(home.models)
    return file is not None and kept == {**_state_of(home, shared), "file": file}


def _state_of(home: Home, shared: Shared) -> dict[str, object]:
    said = hashlib.sha256()
    for path in sorted(MARTS.glob("*/_models.yml")):
        said.update(path.read_bytes())
    return {
        "format": FORMAT,
        "tables": integrity.stamp_of(home.published),
        "declared": said.hexdigest(),
        "shared": {**asdict(shared), "areas": list(shared.areas)},
    }


def _kept(home: Home) -> Path:
    return home.state / "models.json"


# ---------------------------------------------------------------------------------- what is there


@dataclass(frozen=True, slots=True)
class _Mart:
    """A mart as the checkout declares it; ``columns`` has what each says of itself."""

    name: str
    area: str
    area_of_rows: str | None
    key: tuple[str, ...]
    columns: Mapping[str, Mapping[str, Any]]


def _declared(area: str) -> Iterator[_Mart]:
    import yaml

    content = (MARTS / area / "_models.yml").read_text(encoding="utf-8")
    for model in yaml.load(content, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))["models"]:  # noqa: S506
        keys = (
            test["unique_key"]["arguments"]["columns"]
            for test in model.get("data_tests", ())
            if isinstance(test, dict) and "unique_key" in test
        )
        yield _Mart(
            model["name"],
            area,
            model["config"]["meta"].get("area_of_rows"),
            tuple(next(keys, ())),
            {
                column["name"]: column.get("config", {}).get("meta", {})
                for column in model["columns"]
            },
        )


def _write(published: Path, temporary: Path, shared: Shared) -> None:
    published_at = datetime.fromtimestamp(published.stat().st_mtime, UTC).replace(tzinfo=None)
    with _both(published, temporary) as opened:
        opened.execute(ABOUT)
        opened.execute("create schema marts")
        opened.execute("insert into about.file values (?)", [published_at])
        streams = _streams_by_table(opened)
        for area in shared.areas:
            for mart in _declared(area):
                _copy(opened, mart, shared, streams.get(f"marts/{mart.name}", set()))


@contextmanager
def _both(published: Path, temporary: Path) -> Iterator[DuckDBPyConnection]:
    """A new file, with the published copy attached as ``published``."""
    import duckdb

    with duckdb.connect(str(temporary), config=duck.CONFIG) as opened:
        place = str(published).replace("'", "''")
        opened.execute(f"attach '{place}' as published (read_only)")
        yield opened
        opened.execute("detach published")


def _copy(opened: DuckDBPyConnection, mart: _Mart, shared: Shared, streams: set[str]) -> None:
    there = opened.execute(
        "select column_name, data_type, coalesce(comment, '') from duckdb_columns() where "
        "database_name = 'published' and schema_name = 'marts' and table_name = ? "
        "order by column_index",
        [mart.name],
    ).fetchall()
    if not there:
        return
    names = {name for name, _, _ in there}
    record = "coalesce(raw_key, record_key)" if {"raw_key", "record_key"} <= names else None
    record = record or next((key for key in ("record_key", "raw_key") if key in names), None)
    merged = {"lake_file", "raw_key", "record_key"} if "lake_file" in names and record else set()
    selected, columns, left_out = [], [], []
    for name, kind, said in there:
        if name in merged:
            continue
        value = _value(name, kind, mart.columns.get(name), shared)
        if value is None:
            left_out.append(name)
            continue
        by_others = "by_others" in mart.columns[name]
        selected.append(f"{value} as {_quoted(name)}")
        columns.append((mart.name, name, kind, said, by_others))
    if merged:
        selected.append(f"lake_file || '#' || {record} as reference")
        said = "The raw record: the lake file, relative to the lake, and after # its key."
        columns.append((mart.name, "reference", "VARCHAR", said, False))
    if not selected:
        return
    table = _quoted(mart.name)
    areas = ", ".join(f"'{area}'" for area in shared.areas)
    chosen = f"({mart.area_of_rows}) in ({areas})" if mart.area_of_rows else "true"
    opened.execute(
        f"create table marts.{table} as select {', '.join(selected)} "  # noqa: S608
        f"from published.marts.{table} where {chosen}"
    )
    if mart.area_of_rows:
        # of sources of other areas nothing is said
        rows = opened.execute(f"select distinct source from marts.{table}").fetchall()  # noqa: S608
        streams = {each for each in streams if (each.partition("/")[0],) in rows}
    told = opened.execute(
        "select coalesce(comment, '') from duckdb_tables() where database_name = 'published' and "
        "schema_name = 'marts' and table_name = ?",
        [mart.name],
    ).fetchall()
    key = [each for each in mart.key if each not in left_out and each not in merged]
    opened.execute(
        "insert into about.tables values (?, ?, ?, ?, ?, ?)",
        [mart.name, mart.area, told[0][0], key, sorted(streams), left_out],
    )
    opened.executemany("insert into about.columns values (?, ?, ?, ?, ?)", columns)


def _value(name: str, kind: str, meta: Mapping[str, Any] | None, shared: Shared) -> str | None:
    """The column in SQL as it is shared; None if it is left out."""
    if meta is None:
        return None
    column = _quoted(name)
    value = column
    if shared.texts and not shared.accounts and "by_others" in meta and kind == "VARCHAR":
        value = f"regexp_replace({column}, '{LONG_NUMBER}', '…', 'g')"
    hidden = [
        meta[mark]
        for mark, is_shared in (("by_others", shared.texts), ("of_account", shared.accounts))
        if mark in meta and not is_shared
    ]
    if any(condition is True for condition in hidden):
        return None
    for condition in hidden:
        value = f"case when ({condition}) then null else {value} end"
    return value


def _streams_by_table(opened: DuckDBPyConnection) -> dict[str, set[str]]:
    """The streams from which each table comes, by what the ledger says that it was built from."""
    inputs: dict[str, set[str]] = {}
    for asset, read in opened.execute(
        "select distinct asset, unnest(json_keys(inputs)) from published.pipeline.ledger"
    ).fetchall():
        inputs.setdefault(asset, set()).add(read)
    found: dict[str, set[str]] = {}

    def streams(asset: str) -> set[str]:
        if asset in inputs:
            if asset not in found:
                found[asset] = set().union(*map(streams, inputs[asset]))
            return found[asset]
        # a table without rows, or a stream
        return set() if asset.startswith(("marts/", "staging/")) else {asset}

    return {asset: streams(asset) for asset in inputs}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
