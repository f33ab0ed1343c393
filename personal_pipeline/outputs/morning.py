"""Writing the morning report of a home: the published tables and the state of every source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from personal_pipeline.board import StreamState
from personal_pipeline.home import write_atomically
from personal_pipeline.house import House
from personal_pipeline.outputs import folder
from personal_pipeline.warehouse import store


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """A report on disk. ``digest`` identifies its inputs."""

    path: Path
    day: date
    size: int
    digest: str


def inputs_digest(house: House, day: date, board: Sequence[StreamState]) -> str:
    """A digest of the inputs of a day's report: its tables and the state of the sources.

    Only the day of the most recent fetch counts, otherwise every fetch that found nothing would
    cause a new report.
    """
    digest = hashlib.sha256(day.isoformat().encode())
    if house.home.published.exists():
        with store.reading(house) as opened:
            rows = opened.execute(
                "select asset, partition, digest from pipeline.ledger "
                "where asset like 'marts/%' order by all"
            ).fetchall()
        digest.update(repr(rows).encode())
    for each in board:
        looked = each.last_fetched.date() if each.last_fetched else None
        state = (each.state, each.cause, each.next_expected)
        line = (each.source, each.stream, *state, each.newest_data, looked)
        digest.update(repr(line).encode())
    return digest.hexdigest()


def write_morning_report(
    house: House, board: Sequence[StreamState], day: date | None = None
) -> WrittenReport:
    """Write the report of a day (default: today); it covers the days before it."""
    # its templates take a tenth of a second to import, and most passes write no report
    from personal_pipeline.outputs.report import build_report

    day = day or house.today
    digest = inputs_digest(house, day, board)
    published = house.published if house.home.published.exists() else None
    html = build_report(published, day, board, built_at=house.clock())
    path = folder.keep(html, house.home.reports, folder.day_file(day))
    write_atomically(_stamp(house), json.dumps({"day": day.isoformat(), "digest": digest}).encode())
    return WrittenReport(path, day, len(html.encode()), digest)


def is_current(house: House, board: Sequence[StreamState]) -> bool:
    """Whether today's report exists and was made from the current inputs."""
    try:
        kept = json.loads(_stamp(house).read_bytes())
    except (OSError, ValueError):
        return False
    day = house.today
    exists = (house.home.reports / f"{day.isoformat()}.html").exists()
    return exists and kept == {"day": day.isoformat(), "digest": inputs_digest(house, day, board)}


def _stamp(house: House) -> Path:
    return house.home.reports / ".latest.json"
