"""The content of the lake, as tables and board read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.lake import DamagedPartition, lake_of


@dataclass(frozen=True, slots=True)
class Lake:
    """The content digest of every lake partition, by table; the tables with a damaged file, with
    what to do; and the row count of each partition."""

    versions: Mapping[str, Mapping[str, str]]
    damaged: Mapping[str, str]
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_lake(house: House, sources: Iterable[Source] | None = None) -> Lake:
    """The current content of the lake, or of what it has of some sources."""
    versions: dict[str, dict[str, str]] = {}
    damaged: dict[str, str] = {}
    rows: dict[str, dict[str, int]] = {}
    for source in house.sources if sources is None else sources:
        for stream in source.streams:
            name = f"{source.name}/{stream.name}"
            try:
                found = lake_of(house.home, source.name, stream).versions_by_name()
            except DamagedPartition as error:
                damaged[name] = str(error)
                found = {}
            versions[name] = {each: version.digest for each, version in found.items()}
            rows[name] = {each: version.rows for each, version in found.items()}
    return Lake(versions, damaged, rows)
