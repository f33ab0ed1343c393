"""The folder of reports: a file for each day (``2026-11-27.html``), month (``2026-10.html``) and
year (``2026.html``), and ``latest.html``, a copy of the most recent day's.

Reports of days link to the day before and after, those of months and years likewise. A report that
is written tells its neighbours, so writing it again changes nothing.
"""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from personal_pipeline.home import LATEST_REPORT, write_atomically
from personal_pipeline.outputs.formats import long_month, short_day

_DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].html"
_MONTHS = "[0-9][0-9][0-9][0-9]-[0-9][0-9].html"
_YEARS = "[0-9][0-9][0-9][0-9].html"

KEPT_MAILS = 60
"""As many as the alerts remember to have sent."""

BEFORE = "<!--before-->"
AFTER = "<!--after-->"
"""What the template puts around the links to the neighbours, once before and once behind each."""


def day_file(day: date) -> str:
    """The name of the report of a day."""
    return f"{day.isoformat()}.html"


def month_file(month: date) -> str:
    """The name of the report of a month."""
    return f"{month:%Y-%m}.html"


def year_file(year: int) -> str:
    """The name of the report of a year."""
    return f"{year:04}.html"


def mail_of(report: Path) -> Path:
    """The mail that brings a report, next to it."""
    return report.with_suffix(".eml")


def keep_mail(report: Path, content: bytes) -> None:
    """Write the mail that brings a report, and delete old ones: what was sent is in the mailbox."""
    write_atomically(mail_of(report), content)
    mails = sorted(report.parent.glob("*.eml"), key=lambda path: path.stat().st_mtime)
    for old in mails[:-KEPT_MAILS]:
        old.unlink(missing_ok=True)


def keep(html: str, folder: Path, name: str) -> Path:
    """Write a report, replaced atomically, and link it with its neighbours. The most recent day's
    is ``latest.html``, too. Returns the path. Raises ``OSError`` if the folder cannot be written.
    """
    path = folder / name
    kind = next(each for each in (_DAYS, _MONTHS, _YEARS) if path.match(each))
    names = sorted({*(each.name for each in folder.glob(kind)), name})
    place = names.index(name)
    before = names[place - 1] if place else None
    after = names[place + 1] if place + 1 < len(names) else None
    linked = _linked(_linked(html, BEFORE, before), AFTER, after)
    write_atomically(path, linked.encode())
    if kind == _DAYS and after is None:
        write_atomically(folder / LATEST_REPORT, linked.encode())
    for neighbour, mark in ((before, AFTER), (after, BEFORE)):
        if neighbour is not None:
            _link(folder / neighbour, mark, name, latest=neighbour == names[-1] and kind == _DAYS)
    return path


def _link(path: Path, mark: str, name: str, *, latest: bool) -> None:
    text = path.read_text("utf-8")
    linked = _linked(text, mark, name)
    if linked != text:
        write_atomically(path, linked.encode())
        if latest:
            write_atomically(path.with_name(LATEST_REPORT), linked.encode())


def _linked(html: str, mark: str, name: str | None) -> str:
    """The page with a link to a file between its two marks, or with nothing between them."""
    arrow = {BEFORE: "\u2190 {}", AFTER: "{} \u2192"}[mark]
    link = f'<a href="{name}">{arrow.format(_words(name))}</a>' if name else ""
    return re.sub(f"{mark}.*?{mark}", lambda _: f"{mark}{link}{mark}", html, count=1)


def _words(name: str) -> str:
    when = name.removesuffix(".html")
    if when.count("-") == 2:
        return short_day(date.fromisoformat(when))
    return long_month(date.fromisoformat(f"{when}-01")) if "-" in when else when
