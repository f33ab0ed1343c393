"""The commands that write what a person reads: ``report`` and ``rewind``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click
from rich.console import Console

from personal_pipeline.outputs.terminal import escape
from personal_pipeline.settings import load_settings

if TYPE_CHECKING:
    from personal_pipeline.board import StreamState
    from personal_pipeline.house import House

ERRORS = Console(stderr=True)
DAY = click.DateTime(["%Y-%m-%d"])
MONTH = click.DateTime(["%Y-%m"])

PDF = click.option(
    "--pdf", is_flag=True, help="Also print it as a PDF, by an installed Chromium, Chrome or Edge."
)
OPEN = click.option("--open", "show", is_flag=True, help="Open it in the browser.")


@click.command(short_help="Write the report of a day or a month.")
@click.option(
    "--date",
    "day",
    type=DAY,
    metavar="YYYY-MM-DD",
    help="The report of this day (default: today, UTC).",
)
@click.option(
    "--month", type=MONTH, metavar="YYYY-MM", help="The report of this month, which must be over."
)
@PDF
@OPEN
def report(day: datetime | None, month: datetime | None, pdf: bool, show: bool) -> None:
    """Write the report of a day, or of a month, from the current tables, and print its path."""
    from personal_pipeline.outputs.morning import write_month_report, write_morning_report

    if day is not None and month is not None:
        raise click.UsageError("Use either --date or --month.")
    house = _house()
    today = house.today
    if day is not None and day.date() > today:
        raise click.BadParameter(f"{day.date()} is in the future", param_hint="'--date'")
    if month is not None and _after(month.date()) > today:
        raise click.BadParameter(f"{month:%Y-%m} is not over", param_hint="'--month'")
    if month is not None:
        board = _board(house, _after(month.date()) - timedelta(days=1), f"{month:%Y-%m}")
        path = write_month_report(house, board, month.date()).path
    else:
        board = _board(house, day.date() if day else None, f"{day:%Y-%m-%d}" if day else "")
        path = write_morning_report(house, board, day.date() if day else None).path
    _hand_over(path, pdf=pdf, show=show)


@click.command(short_help="Write a year on one page.")
@click.argument("year", type=click.IntRange(1970, 9999))
@PDF
@OPEN
def rewind(year: int, pdf: bool, show: bool) -> None:
    """Write a YEAR on one page: every large figure by month, and the days that stood out."""
    from personal_pipeline.outputs.morning import write_rewind

    house = _house()
    if date(year, 1, 1) >= house.today:
        raise click.BadParameter(f"{year} has not begun yet", param_hint="'YEAR'")
    board = _board(house, min(date(year, 12, 31), house.today), str(year))
    _hand_over(write_rewind(house, board, year).path, pdf=pdf, show=show)


def _house() -> House:
    """The house; a home of a later version is refused."""
    from personal_pipeline.house import House
    from personal_pipeline.sources import SOURCES

    return House.of(load_settings(), SOURCES)


def _board(house: House, day: date | None, what: str) -> Sequence[StreamState]:
    """Bring the home up to this version, and return its board. Ends the command if the data begins
    after ``day``; ``what`` names what was asked for."""
    from personal_pipeline.board import board_of
    from personal_pipeline.checks import troubles_of
    from personal_pipeline.ingest.opening import opened
    from personal_pipeline.warehouse.lake import read_lake

    for sentence in opened(house.home, house.sources):
        ERRORS.print(escape(sentence), soft_wrap=True)
    if troubles := troubles_of(house.home):
        _fail(troubles[0])
    lake = read_lake(house)
    if day is not None:
        first = min((min(each) for each in lake.versions.values() if each), default="")
        if not first or f"{day}" < first:
            begins = f"The data begins on {first}" if first else "There is no data yet"
            _fail(f"{begins}, and so no report of {what}.")
    return board_of(house, lake)


def _after(month: date) -> date:
    return (month + timedelta(days=31)).replace(day=1)


def _hand_over(path: Path, *, pdf: bool, show: bool) -> None:
    from personal_pipeline.outputs.pdf import NoBrowser, pdf_of

    click.echo(path)
    if pdf:
        try:
            path = pdf_of(path)
        except NoBrowser as error:
            _fail(str(error))
        click.echo(path)
    if show:
        click.launch(path.as_uri())


def _fail(sentence: str) -> NoReturn:
    ERRORS.print(f"[red]{escape(sentence)}[/]", soft_wrap=True)
    sys.exit(1)
