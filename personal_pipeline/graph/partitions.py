"""Dagster's partitions: UTC days and months, from the first day that the house has or wants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime

import dagster as dg

from personal_pipeline.ingest.contract import Grain
from personal_pipeline.warehouse.tables import Input, Reads


@dataclass(frozen=True, slots=True)
class Partitions:
    """One definition per grain, shared by every asset of that grain, so that they map by default.

    ``end_offset=1`` includes the current day and month: both are wanted while they are still
    filling.
    """

    day: dg.DailyPartitionsDefinition
    month: dg.MonthlyPartitionsDefinition

    def of(self, grain: Grain) -> dg.TimeWindowPartitionsDefinition | None:
        """The definition for a grain; None for unpartitioned tables."""
        return {Grain.DAY: self.day, Grain.MONTH: self.month, Grain.WHOLE: None}[grain]


def partitions_from(start: date) -> Partitions:
    """Partitions starting on a day."""
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    return Partitions(
        day=dg.DailyPartitionsDefinition(start_date=begin, end_offset=1, timezone="UTC"),
        month=dg.MonthlyPartitionsDefinition(
            start_date=begin.replace(day=1), end_offset=1, timezone="UTC"
        ),
    )


def mapping(edge: Input, upstream: Grain, grain: Grain) -> dg.PartitionMapping | None:
    """How Dagster maps an edge; equivalent to ``tables.read_partitions``."""
    if Grain.WHOLE in (upstream, grain):
        return None
    if edge.reads is Reads.ALL:
        return dg.AllPartitionMapping()
    start = end = 0
    if edge.reads is Reads.THROUGH:
        start = -_A_LIFETIME_OF_DAYS if grain is Grain.DAY else -_TEN_YEARS_OF_MONTHS
    elif edge.reads is Reads.NEAR:
        # of a table by month that reads days, Dagster shows two months of them too many
        start, end = -1, 1
    with warnings.catch_warnings():
        # the version is pinned, and this would be printed for every edge
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.TimeWindowPartitionMapping(
            start_offset=start, end_offset=end, allow_nonexistent_upstream_partitions=True
        )


_A_LIFETIME_OF_DAYS = 36_525
# Dagster iterates over months one by one, many times per evaluation; the morning's reconcile finds
# what is further back
_TEN_YEARS_OF_MONTHS = 120


def asked_partitions(context: dg.AssetExecutionContext | dg.OpExecutionContext) -> list[str] | None:
    """The partitions that the run was started for; None if it was started without any."""
    if not context.run.tags.keys() & {
        "dagster/partition",
        "dagster/asset_partition_range_start",
    }:
        return None
    return list(context.partition_keys)
