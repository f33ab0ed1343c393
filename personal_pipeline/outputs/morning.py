"""Writing the reports of a home: the morning's, that of the last month, and the rewind of a year.

With them, if the person wants it, the mail that brings them, for the alerts to send.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from personal_pipeline.board import StreamState
from personal_pipeline.duck import Database
from personal_pipeline.home import write_atomically
from personal_pipeline.house import House
from personal_pipeline.outputs import folder
from personal_pipeline.outputs.contract import Board, Due, Output, Written
from personal_pipeline.warehouse import store

if TYPE_CHECKING:
    from personal_pipeline.outputs.report import Report

MONTH_ON_DAY = 2
"""The report of a month is written from this day of the next one: on that morning the whole month
is fetched once more."""

_WHOLE = "whole"
"""The partition of a table that has only one: it changes daily, and says nothing of a month."""

_OF_DAY, _OF_MONTH = ".latest.json", ".latest-month.json"


def inputs_digest(house: House, day: date, board: Sequence[StreamState]) -> str:
    """A digest of the inputs of a day's report: its tables and the state of the sources.

    Only the day of the most recent fetch counts, otherwise every fetch that found nothing would
    cause a new report.
    """
    digest = hashlib.sha256(day.isoformat().encode())
    digest.update(repr(_tables(house)).encode())
    for each in board:
        looked = each.last_fetched.date() if each.last_fetched else None
        state = (each.state, each.cause, each.next_expected)
        line = (each.source, each.stream, *state, each.newest_data, looked)
        digest.update(repr(line).encode())
    return digest.hexdigest()


def month_digest(house: House, month: date) -> str:
    """A digest of the inputs of a month's report: its tables until the end of the month."""
    after = (month + timedelta(days=31)).replace(day=1).isoformat()
    rows = [each for each in _tables(house) if each[1] != _WHOLE and each[1] < after]
    return hashlib.sha256(repr((month, rows)).encode()).hexdigest()


def _tables(house: House) -> list[tuple[str, str, str]]:
    """The partitions of all marts, with the digest of their content."""
    if not house.home.published.exists():
        return []
    with store.reading(house) as opened:
        return opened.execute(
            "select asset, partition, digest from pipeline.ledger "
            "where asset like 'marts/%' order by all"
        ).fetchall()


def write_morning_report(
    house: House, board: Sequence[StreamState], day: date | None = None
) -> Written:
    """Write the report of a day (default: today); it covers the days before it."""
    # its templates take a tenth of a second to import, and most passes write no report
    from personal_pipeline.outputs.report import build_report

    day = day or house.today
    digest = inputs_digest(house, day, board)
    report = build_report(_published(house), day, board, built_at=house.clock())
    written = _keep(house, report, folder.day_file(day), board, digest)
    _stamp(house, _OF_DAY, day, digest)
    return written


def write_month_report(
    house: House, board: Sequence[StreamState], month: date | None = None
) -> Written:
    """Write the report of a month that is over, given by its first day (default: the last one)."""
    from personal_pipeline.outputs.periods import build_month

    month = month or last_month(house)
    digest = month_digest(house, month)
    report = build_month(_published(house), month, board, built_at=house.clock())
    written = _keep(house, report, folder.month_file(month), board, digest)
    _stamp(house, _OF_MONTH, month, digest)
    return written


def write_rewind(house: House, board: Sequence[StreamState], year: int) -> Written:
    """Write the rewind of a year: to its end, or to yesterday."""
    from personal_pipeline.outputs.comparison import Span
    from personal_pipeline.outputs.periods import build_year

    last = min(date(year, 12, 31), house.today - timedelta(days=1))
    within = Span(date(year, 1, 1), last)
    report = build_year(_published(house), within, board, built_at=house.clock())
    path = folder.keep(report.html, house.home.reports, folder.year_file(year))
    return _written(path, "")


def is_current(house: House, board: Sequence[StreamState]) -> bool:
    """Whether today's report exists and was made from the current inputs."""
    day = house.today
    kept = _stamped(house, _OF_DAY, day)
    if kept is None or not _all_there(house, folder.day_file(day)):
        return False
    return kept == inputs_digest(house, day, board)


def is_month_current(house: House) -> bool:
    """Whether the report of the last month exists and was made from the current inputs.

    It also is before it is due, and where nothing is known of that month.
    """
    month = last_month(house)
    if house.today.day < MONTH_ON_DAY or house.first_day() > month:
        return True
    kept = _stamped(house, _OF_MONTH, month)
    if kept is None or not _all_there(house, folder.month_file(month)):
        return False
    return kept == month_digest(house, month)


def last_month(house: House) -> date:
    """The first day of the month before the current one."""
    return (house.today.replace(day=1) - timedelta(days=1)).replace(day=1)


def _published(house: House) -> Database | None:
    return house.published if house.home.published.exists() else None


def _keep(
    house: House, report: Report, name: str, board: Sequence[StreamState], digest: str
) -> Written:
    """Write a report, and the mail that brings it if the person wants one."""
    path = folder.keep(report.html, house.home.reports, name)
    if house.settings.mail_report:
        from personal_pipeline.outputs import mail
        from personal_pipeline.outputs.pdf import NoBrowser, pdf_of

        pdf, without_pdf = None, ""
        if house.settings.mail_pdf:
            try:
                pdf = pdf_of(path)
            except NoBrowser as error:  # the mail goes, and says so
                without_pdf = str(error)
        letter = mail.mail_of(
            report, board, file=name, pdf=pdf, without_pdf=without_pdf, clean=house.without_secrets
        )
        folder.keep_mail(path, mail.written(letter))
    return _written(path, digest)


def _written(path: Path, digest: str) -> Written:
    size = path.stat().st_size
    return Written(path, digest, f"/reports/{path.stem}", {"of": path.stem, "size": size})


def _all_there(house: House, name: str) -> bool:
    path = house.home.reports / name
    return path.exists() and (not house.settings.mail_report or folder.mail_of(path).exists())


def _stamp(house: House, name: str, day: date, digest: str) -> None:
    content = json.dumps({"day": day.isoformat(), "digest": digest})
    write_atomically(house.home.reports / name, content.encode())


def _stamped(house: House, name: str, day: date) -> str | None:
    """The digest of the inputs of that day's or month's report, if it was the last one written."""
    try:
        kept = json.loads((house.home.reports / name).read_bytes())
        return str(kept["digest"]) if kept["day"] == day.isoformat() else None
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _bring_daily(house: House, board: Board, again: bool) -> Written | None:
    is_due = again or not is_current(house, board)
    return write_morning_report(house, board) if is_due else None


def _bring_monthly(house: House, board: Board, again: bool) -> Written | None:
    return write_month_report(house, board) if again or not is_month_current(house) else None


DAILY_REPORT = Output(
    name="daily_report",
    description=(
        "One self-contained HTML file a day under reports/: what happened until yesterday (UTC), "
        "and the state of every source."
    ),
    kinds=frozenset({"html"}),
    write=_bring_daily,
)

MONTHLY_REPORT = Output(
    name="monthly_report",
    description=(
        "One self-contained HTML file a month under reports/: the month against the one before "
        "and the same one a year before. Written on the second of the next month, and again when "
        "a late export changes its figures."
    ),
    kinds=frozenset({"html"}),
    write=_bring_monthly,
    due=Due.MONTHLY,
)
