"""A small house with every kind of edge of the real one; its tables hold one number a partition."""

from __future__ import annotations

from datetime import date

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.tables import Input, Reads, Table, Tables

START = date(2026, 5, 1)
SALES, SUBSCRIPTIONS, FILE = "stripe/sales", "stripe/subscriptions", "medium/story_stats"


def _model(name: str, grain: Grain, *inputs: str | tuple[str, Reads]) -> Table:
    edges = tuple(Input(each) if isinstance(each, str) else Input(*each) for each in inputs)
    return Table(name, grain, edges, model=name.partition("/")[2], code_version="1")


TABLES: Tables = {
    table.name: table
    for table in (
        Table(SALES, Grain.DAY),
        Table(SUBSCRIPTIONS, Grain.DAY),
        Table(FILE, Grain.MONTH),
        _model("marts/publications", Grain.MONTH, (SUBSCRIPTIONS, Reads.ALL), (FILE, Reads.ALL)),
        _model("marts/engagement", Grain.MONTH, (FILE, Reads.THROUGH), "marts/publications"),
        _model("marts/revenue_daily", Grain.DAY, SALES, "marts/engagement"),
        _model(
            "marts/subscribers", Grain.DAY, (SUBSCRIPTIONS, Reads.THROUGH), "marts/revenue_daily"
        ),
        _model(
            "marts/revenue_monthly",
            Grain.MONTH,
            "marts/revenue_daily",
            (SUBSCRIPTIONS, Reads.THROUGH),
        ),
        _model("marts/nights", Grain.MONTH, (FILE, Reads.NEAR)),
        _model(
            "marts/stories",
            Grain.WHOLE,
            "marts/subscribers",
            "marts/revenue_monthly",
            "marts/nights",
        ),
    )
}


def kinds_of_edges(tables: Tables) -> set[tuple[Grain, Grain, Reads]]:
    """Grain of the input, grain of the table, and how it is read."""
    return {
        (
            tables[edge.table].grain,
            table.grain,
            # to or from a table that is not cut there is one way to read
            Reads.WINDOW if Grain.WHOLE in (tables[edge.table].grain, table.grain) else edge.reads,
        )
        for table in tables.values()
        for edge in table.inputs
    }
