"""What every table has to hold, from the definition alone: compute everything from scratch.

Nothing here knows of versions, ledgers, events or runs, and nothing of ``warehouse.tables`` but the
shape of the graph: which partitions are read, and which there are to be, is said here once more
and in another way, so that a mistake there is a difference here.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.tables import WHOLE, Input, Reads, Table, Tables

Contents = Mapping[str, Mapping[str, int]]
"""By table and partition, the content: one number stands for all rows."""

Read = tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
"""Everything that one partition read: by input, the partitions with their contents."""

COARSE = {
    "marts/publications": 60,
    "marts/engagement": 9,
    "marts/subscribers": 25,
    "marts/revenue_monthly": 30,
    "marts/nights": 20,
    "marts/stories": 40,
}
"""Tables that keep only how often this goes into what they read, so that different inputs often
give equal content and the wave has to stop there."""


def reads(
    edge: Input, tables: Tables, table: Table, partition: str, existing: Iterable[str]
) -> list[str]:
    """Which of the existing partitions of an input, given in order, a partition reads.

    Partitions are ISO dates, and a month is known by its first seven letters: a day and a month
    overlap when those are equal.
    """
    upstream = tables[edge.table].grain
    if edge.reads is Reads.ALL or Grain.WHOLE in (upstream, table.grain):
        return list(existing)
    letters = 10 if upstream is table.grain is Grain.DAY else 7
    mine = partition[:letters]
    if edge.reads is Reads.THROUGH:
        return [each for each in existing if each[:letters] <= mine]
    if edge.reads is Reads.NEAR:
        # the days of the partition, with one more at each end
        around = {each[:letters] for each in _with_neighbours(partition, table.grain)}
        return [each for each in existing if each[:letters] in around]
    return [each for each in existing if each[:letters] == mine]


def _with_neighbours(partition: str, grain: Grain) -> set[str]:
    day = date.fromisoformat(partition)
    days = {day}
    while grain is Grain.MONTH and (day := day + timedelta(1)).month == min(days).month:
        days.add(day)
    return {
        each.isoformat() for each in days | {min(days) - timedelta(1), max(days) + timedelta(1)}
    }


def everything_read(tables: Tables, table: Table, partition: str, contents: Contents) -> Read:
    """What a partition reads, as it is now. The partitions in ``contents`` are in order."""
    return tuple(
        (
            edge.table,
            tuple(
                (each, contents[edge.table][each])
                for each in reads(edge, tables, table, partition, contents.get(edge.table, ()))
            ),
        )
        for edge in table.inputs
    )


def content_of(table: Table, variant: int, read: Read) -> int:
    """The content that a table's code makes of what it reads; ``variant`` is what its SQL says."""
    numbers = [content for _, partitions in read for _, content in partitions]
    if divisor := COARSE.get(table.name):
        return sum(numbers) // divisor + variant
    # order and number of the inputs count, like rows that are joined
    return zlib.crc32(
        repr((variant, [len(partitions) for _, partitions in read], numbers)).encode()
    )


def wanted(tables: Tables, table: Table, contents: Contents, start: date, today: date) -> list[str]:
    """The partitions that a table is to have: those for which an input has data of that very time,
    none in the future; and from the first data on, all of them, where every input is read whole."""
    if table.grain is Grain.WHOLE:
        return [WHOLE] if any(contents.get(edge.table) for edge in table.inputs) else []
    days = [(start + timedelta(n)).isoformat() for n in range((today - start).days + 1)]
    letters = 10 if table.grain is Grain.DAY else 7
    candidates = days if table.grain is Grain.DAY else sorted({f"{day[:7]}-01" for day in days})
    by_time = [
        edge
        for edge in table.inputs
        if edge.reads is not Reads.ALL and tables[edge.table].grain is not Grain.WHOLE
    ]
    if not by_time:
        firsts = [min(contents[edge.table]) for edge in table.inputs if contents.get(edge.table)]
        first = min(firsts, default=None)
        return [each for each in candidates if first and each[:letters] >= first[:letters]]
    found: set[str] = set()
    for edge in by_time:
        common = min(letters, 10 if tables[edge.table].grain is Grain.DAY else 7)
        present = set(contents.get(edge.table, {}))
        if edge.reads is Reads.NEAR:
            grain = tables[edge.table].grain
            present = {near for each in present for near in _with_neighbours(each, grain)}
        prefixes = {each[:common] for each in present}
        found.update(each for each in candidates if each[:common] in prefixes)
    return sorted(found)


def in_order(contents: Contents) -> dict[str, Mapping[str, int]]:
    """The same, the partitions of each table in order."""
    return {name: dict(sorted(partitions.items())) for name, partitions in contents.items()}


def from_scratch(
    order: Sequence[Table],
    tables: Tables,
    raw: Contents,
    variants: Mapping[str, int],
    start: date,
    today: date,
) -> dict[str, dict[str, int]]:
    """The content of every derived table, computed anew. ``order`` has inputs before readers."""
    contents: dict[str, Mapping[str, int]] = in_order(raw)
    derived: dict[str, dict[str, int]] = {}
    for table in order:
        if table.model is None:
            continue
        derived[table.name] = contents[table.name] = {
            each: content_of(
                table, variants.get(table.name, 0), everything_read(tables, table, each, contents)
            )
            for each in wanted(tables, table, contents, start, today)
        }
    return derived
