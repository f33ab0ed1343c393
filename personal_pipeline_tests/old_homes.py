"""Homes as earlier versions left them.

Version 2 is what the code before grains wrote (commit 353d129): all that was fetched lay in files
of a day. Version 1 is what the code before sidecars wrote (commit 6396fd0). To make one with that
code:

    git worktree add /tmp/old 6396fd0
    cd /tmp/old && PERSONAL_PIPELINE_HOME=/tmp/old-home python -m personal_pipeline.cli add FILES
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Grain, Source
from personal_pipeline.ingest.lake import VERSIONS, Row, lake_of
from personal_pipeline.ingest.ledger import months_of_lake, read_shown
from personal_pipeline.ingest.memory import recall
from personal_pipeline.ingest.originals import SIDECAR


def make_version_2(home: Home, sources: Sequence[Source]) -> None:
    """Give each day that was fetched a file of its own, as version 2 did, also one without rows
    that was settled. What was replaced lay in the archive as it does now."""
    for source in sources:
        for stream in source.api:
            lake = lake_of(home, source.name, stream)
            if not lake.by_day:
                continue
            of_days = lake_of(home, source.name, replace(stream, grain=Grain.DAY))
            settled = recall(home, source.name, stream.name).settled
            days: dict[date, list[Row]] = {day: [] for window in settled for day in window.days()}
            for month in lake.partitions():
                # nobody knows which of its days had an empty file; one is enough
                days.setdefault(month, [])
                for day, row in lake.filed(month):
                    days.setdefault(day, []).append(row)
                shutil.rmtree(lake.path(month).parent)
            (lake.folder / VERSIONS).unlink(missing_ok=True)
            of_days.write_units(days)
            of_days.versions()
    (home.root / "home.json").write_text(json.dumps({"version": 2}))


def make_version_1(home: Home, sources: Sequence[Source]) -> None:
    """Take from a home what version 1 did not have. It noted the export that was read last, and
    only where a drop loads tables; receipts, originals and lake are as they were."""
    make_version_2(home, sources)
    for source in sources:
        for drop in source.drops:
            shown = read_shown(home, source, drop)
            place = home.lake / source.name / f".{drop.name}.json"
            place.unlink(missing_ok=True)
            if drop.load and shown and shown.picture:
                noted = {
                    "origin": shown.picture.origin,
                    "as_of": shown.picture.as_of.isoformat(),
                    "code": [stream.code_version for stream in drop.streams],
                    "months": months_of_lake(home, source, drop),
                }
                place.write_text(json.dumps(noted))
    for sidecar in (home.archive / "originals").glob(f"*/*{SIDECAR}"):
        sidecar.unlink()
    shutil.rmtree(home.archive / "dialects", ignore_errors=True)
    shutil.rmtree(home.credentials, ignore_errors=True)
    (home.root / "home.json").unlink(missing_ok=True)
