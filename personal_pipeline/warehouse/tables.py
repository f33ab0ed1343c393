"""The tables of the house as plain data: grain, inputs, and which input partitions each reads.

Automation, reconcile and tests share this single definition of which input partitions a partition
reads. Partitions are ISO strings: a day ``2026-11-21``, a month as its first day ``2026-11-01``,
and ``WHOLE`` for an unpartitioned table.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Any

from personal_pipeline.ingest.contract import Grain, Source

WHOLE = "whole"


class Reads(StrEnum):
    """Which partitions of an input a partition reads."""

    WINDOW = "same"
    """Those whose time range overlaps its own."""
    NEAR = "near"
    """Those, and whatever is within a day of it: a local day overlaps two UTC days."""
    THROUGH = "through"
    """Every one up to and including its own time range: cumulative figures."""
    ALL = "all"
    """All of them."""


@dataclass(frozen=True, slots=True)
class Input:
    """An edge: the name of the table that is read, and how."""

    table: str
    reads: Reads = Reads.WINDOW


@dataclass(frozen=True, slots=True)
class Table:
    """A raw stream (no inputs, no model) or a dbt model. ``name`` is the asset key with slashes,
    ``columns`` are the declared names and types of a model's table."""

    name: str
    grain: Grain
    inputs: tuple[Input, ...] = ()
    model: str | None = None
    code_version: str = ""
    columns: tuple[tuple[str, str], ...] = ()


Tables = Mapping[str, Table]


@cache
def span(grain: Grain, partition: str) -> tuple[date, date]:
    """The half-open span of UTC days of a partition."""
    if grain is Grain.WHOLE:
        return date.min, date.max
    start = date.fromisoformat(partition)
    if grain is Grain.DAY:
        return start, start + timedelta(days=1)
    return start, next_month(start)


def next_month(day: date) -> date:
    """The first day of the month after ``day``."""
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


@cache
def partitions_between(grain: Grain, start: date, end: date) -> Sequence[str]:
    """The partitions of a grain that overlap the half-open span of days."""
    if grain is Grain.WHOLE:
        return (WHOLE,)
    if grain is Grain.DAY:
        return tuple((start + timedelta(days=n)).isoformat() for n in range((end - start).days))
    months, month = [], start.replace(day=1)
    while month < end:
        months.append(month.isoformat())
        month = next_month(month)
    return tuple(months)


def read_partitions(
    edge: Input, upstream: Grain, grain: Grain, partition: str, existing: Mapping[str, object]
) -> list[str]:
    """The ``existing`` upstream partitions (in order) that a partition reads."""
    if edge.reads is Reads.ALL or Grain.WHOLE in (upstream, grain):
        return list(existing)
    if edge.reads is Reads.WINDOW and upstream is grain:
        return [partition] if partition in existing else []
    start, end = span(grain, partition)
    if edge.reads is Reads.THROUGH:
        limit = end.isoformat()
        return [each for each in existing if each < limit]
    if edge.reads is Reads.NEAR:
        start, end = start - _A_DAY, end + _A_DAY
    return [each for each in partitions_between(upstream, start, end) if each in existing]


_A_DAY = timedelta(days=1)


def expected_partitions(
    table: Table, tables: Tables, existing: Mapping[str, Iterable[str]], today: date
) -> list[str]:
    """The partitions that a derived table should have, given those of its inputs.

    A day or month exists as soon as any input that is not read whole has data for it, but never in
    the future (a monthly file must not create the rest of the month). A table that reads all its
    inputs whole has every partition from their first one until today.
    """
    if table.grain is Grain.WHOLE:
        return [WHOLE] if any(existing.get(edge.table) for edge in table.inputs) else []
    by_window: set[str] = set()
    otherwise: list[date] = []
    for edge in table.inputs:
        upstream = tables[edge.table].grain
        if upstream is Grain.WHOLE:
            continue
        for partition in existing.get(edge.table, ()):
            if edge.reads is Reads.ALL:
                otherwise.append(date.fromisoformat(partition))
            elif edge.reads is Reads.NEAR:
                start, end = span(upstream, partition)
                by_window.update(partitions_between(table.grain, start - _A_DAY, end + _A_DAY))
            elif upstream is table.grain:
                by_window.add(partition)
            else:
                by_window.update(partitions_between(table.grain, *span(upstream, partition)))
    if otherwise and all(edge.reads is Reads.ALL for edge in table.inputs):
        return [*partitions_between(table.grain, min(otherwise), today + timedelta(days=1))]
    return sorted(each for each in by_window if each <= today.isoformat())


def raw_tables(sources: Iterable[Source]) -> dict[str, Table]:
    """One table per stream of every source."""
    return {
        f"{source.name}/{stream.name}": Table(f"{source.name}/{stream.name}", stream.grain)
        for source in sources
        for stream in source.streams
    }


def model_tables(manifest: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Table]:
    """One table per dbt model that makes one, read from the manifest.

    An ephemeral model is not a table but part of each model that reads it: its inputs and its SQL
    count as theirs. The code version of a table is a digest of its SQL and of every macro of this
    project that it calls; also of those ``choices`` of the person that it uses: the text of each by
    its name, which the macro ``home_<name>`` returns.
    """
    names = {
        uid: f"{source['source_name']}/{source['name']}"
        for uid, source in manifest["sources"].items()
    } | {
        uid: f"{node['schema']}/{node['name']}"
        for uid, node in manifest["nodes"].items()
        if _makes_a_table(node)
    }
    return {
        names[uid]: Table(
            name=names[uid],
            grain=Grain(node["config"]["meta"]["grain"]),
            inputs=tuple(
                Input(names[each], reads)
                for each, reads in sorted(_inputs(manifest, node, names).items())
            ),
            model=node["name"],
            code_version=_code_version(manifest, node, choices),
            columns=tuple(
                (column["name"], column["data_type"]) for column in node["columns"].values()
            ),
        )
        for uid, node in manifest["nodes"].items()
        if _makes_a_table(node)
    }


def _makes_a_table(node: Mapping[str, Any]) -> bool:
    is_model: bool = node["resource_type"] == "model"
    return is_model and node["config"]["materialized"] != "ephemeral"


def _inputs(
    manifest: Mapping[str, Any], node: Mapping[str, Any], tables: Collection[str]
) -> dict[str, Reads]:
    """The tables that a node reads, directly and through ephemeral models, by unique id. Of several
    paths to one table, and of several steps in a path, the one that reads most of it counts."""
    reads = node["config"]["meta"].get("reads", {})
    found: dict[str, Reads] = {}
    for each in node["depends_on"]["nodes"]:
        here = Reads(reads.get(each.rsplit(".", 1)[-1], Reads.WINDOW))
        beyond = (
            {each: here} if each in tables else _inputs(manifest, manifest["nodes"][each], tables)
        )
        for table, there in beyond.items():
            found[table] = _widest(here, there, found.get(table, Reads.WINDOW))
    return found


def _widest(*reads: Reads) -> Reads:
    # what is near lies in part after what is read through
    if {Reads.NEAR, Reads.THROUGH} <= set(reads):
        return Reads.ALL
    return max(reads, key=list(Reads).index)


def tested_tables(manifest: Mapping[str, Any]) -> dict[str, str]:
    """The name of the table that each dbt test belongs to, by the unique id of the test."""
    return {
        uid: f"{manifest['nodes'][node['attached_node']]['schema']}/"
        f"{manifest['nodes'][node['attached_node']]['name']}"
        for uid, node in manifest["nodes"].items()
        if node["resource_type"] == "test"
        and node.get("attached_node")
        and _makes_a_table(manifest["nodes"][node["attached_node"]])
    }


def owed_tests(manifest: Mapping[str, Any], models: Collection[str]) -> dict[str, list[str]]:
    """The tests of severity error that dbt runs when it builds these models (given by name).

    By the unique id of the test: the unique ids of the models that it reads. The project uses
    cautious test selection (``indirect_selection``): only tests whose tables are all among those
    being built.
    """
    nodes = manifest["nodes"]
    chosen = {
        uid for uid, n in nodes.items() if n["resource_type"] == "model" and n["name"] in models
    }
    return {
        uid: nodes[uid]["depends_on"]["nodes"]
        for uid in tested_tables(manifest)
        if chosen.issuperset(nodes[uid]["depends_on"]["nodes"])
        and nodes[uid]["config"]["severity"].lower() == "error"
    }


def _code_version(
    manifest: Mapping[str, Any], node: Mapping[str, Any], choices: Mapping[str, str]
) -> str:
    digest = hashlib.sha256()
    pending: list[str] = []
    for part in (node, *_ephemeral_parts(manifest, node)):
        digest.update(part["raw_code"].encode())
        pending += part["depends_on"]["macros"]
    seen: set[str] = set()
    while pending:
        uid = pending.pop()
        macro = manifest["macros"].get(uid)
        if macro is None or uid in seen or macro["package_name"] != node["package_name"]:
            continue
        seen.add(uid)
        pending.extend(macro["depends_on"]["macros"])
    for uid in sorted(seen):
        digest.update(manifest["macros"][uid]["macro_sql"].encode())
        for name, text in choices.items():
            if manifest["macros"][uid]["name"] == f"home_{name}":
                digest.update(text.encode())
    # hooks and materialization also affect how the table is built
    digest.update(repr(sorted(node["config"].get("pre-hook", []), key=repr)).encode())
    digest.update(str(node["config"]["materialized"]).encode())
    return digest.hexdigest()[:16]


def _ephemeral_parts(
    manifest: Mapping[str, Any], node: Mapping[str, Any]
) -> list[Mapping[str, Any]]:
    """The ephemeral models that dbt inlines into the SQL of a node, without duplicates, in order of
    their names."""
    parts: dict[str, Mapping[str, Any]] = {}
    pending = list(node["depends_on"]["nodes"])
    while pending:
        part = manifest["nodes"].get(uid := pending.pop())
        if part is None or uid in parts or _makes_a_table(part):
            continue
        parts[uid] = part
        pending += part["depends_on"]["nodes"]
    return [part for _, part in sorted(parts.items())]


def downstream_of(tables: Tables, names: Iterable[str]) -> set[str]:
    """The named tables and everything downstream of them."""
    found = set(names)
    while True:
        more = {
            table.name
            for table in tables.values()
            if table.name not in found and any(edge.table in found for edge in table.inputs)
        }
        if not more:
            return found
        found |= more
