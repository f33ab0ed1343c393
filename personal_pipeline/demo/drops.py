"""The files that the writer of the invented life exported by hand, as they lie in a folder.

On the second of each month the writer captures the statistics of Medium and exports the
subscribers of Kit; on the morning after the life ends, Medium once more; and twice the whole
account of Medium. The bank's statements of the month before are downloaded on the second, too; one
was forgotten. The phone exports what the body did in the night after the life. Names carry the day
of the capture, but for a few that never do, and so does the time of each file.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path

from personal_pipeline.demo import bank_format, health_format, kit_format, medium_format
from personal_pipeline.demo.chance import add_months, at, hexadecimal, month_of, stream
from personal_pipeline.demo.life import Life

CAPTURE_DAY = 2
OLD_CAPTURES = 3
"""So many captures at first hold lifetime totals in the shape of before 2026."""

KIT_V3_EXPORT = 2
KIT_V4_EXPORTS_EVERY = 9
KIT_LATE_EXPORT = 11
"""The export of this number came a month late, and the next at the end of that month."""
KIT_REPEATED_EXPORT = 13
KIT_FOUND_VIA_SINCE = 16
"""From this export on the file has a column more."""

BANK_FORGOTTEN = 8
"""The statement of the checking account of this number was never downloaded."""
BANK_CSV_EVERY = 3
"""So often the checking account was downloaded as a table, too."""

_REFERRERS_OF = 15
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as it came: its name, when it was made (UTC), and what is in it."""

    name: str
    made_at: datetime
    content: bytes


def write_drops(life: Life, folder: Path) -> list[Path]:
    """Write every file that was exported by hand into a folder, and return them in the order in
    which they came. The folder is made where it is missing; files of the same name are replaced.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = [
        *_medium_captures(life),
        *_medium_exports(life),
        *_kit_exports(life),
        *_bank_statements(life),
        _health_export(life),
        _junk(life),
    ]
    files.sort(key=lambda file: (file.made_at, file.name))
    paths = []
    for file in files:
        path = folder / file.name
        path.write_bytes(file.content)
        made_at = file.made_at.timestamp()
        os.utime(path, (made_at, made_at))
        paths.append(path)
    return paths


def _monthly(life: Life) -> Iterator[date]:
    """The second of every month after the first, as long as the life tells of the day before."""
    day = add_months(life.start, 1) + timedelta(days=CAPTURE_DAY - 1)
    while day <= life.end.date():
        yield day
        day = add_months(day, 1)


# --- Medium ---------------------------------------------------------------------------------------


def _medium_captures(life: Life) -> Iterator[_File]:
    captures = sorted({*_monthly(life), life.end.date()})
    for number, day in enumerate(captures):
        # in the night after its last day the life has just ended; on other days it is morning
        made_at = at(day, 0, 5) if day == life.end.date() else at(day, 6, 40)
        # the months of the days that the capture is about: on the second, the month before
        month = month_of(day - timedelta(days=CAPTURE_DAY))
        yield from _lifetime(life, day, made_at, old=number < OLD_CAPTURES)
        # some days more than the month, for the earnings that were estimated the last time
        first = month - timedelta(days=medium_format.UNCOMMITTED_DAYS + 1)
        charts = [medium_format.daily_chart(story, first, day) for story in life.stories]
        yield _json_file(
            f"medium-story-days-{day}.json", made_at, [chart for chart in charts if chart]
        )
        last = min(day - _DAY, add_months(month, 1) - _DAY)
        series = medium_format.account_series(life, month, last)
        yield _json_file(f"medium-account-{day}.json", made_at, [series])
        if day in captures[-2:]:
            popular = sorted(life.stories, key=lambda story: -sum(s.views for s in story.days))
            answers = [
                medium_format.referrers(story, day)
                for story in popular[:_REFERRERS_OF]
                if story.before(day)
            ]
            yield _json_file(f"medium-referrers-{day}.json", made_at, answers)


def _lifetime(life: Life, day: date, made_at: datetime, *, old: bool) -> Iterator[_File]:
    if old:
        body = medium_format.old_stats(life, day).encode()
        yield _File(f"me-stats-{day}.json", made_at, body)
        return
    for number, page in enumerate(medium_format.lifetime_pages(life, day), 1):
        yield _json_file(f"medium-stories-{day}-page-{number}.json", made_at, [page])


def _medium_exports(life: Life) -> Iterator[_File]:
    for day in (life.until - timedelta(days=365), life.until - timedelta(days=9)):
        if day <= life.start + timedelta(days=30):
            continue
        made_at = at(day, 17, 5)
        archive = _zipped(made_at, medium_format.account_export(life, day))
        mark = hexadecimal(stream(life.seed, "account export", str(day)), 32)
        yield _File(f"medium-export-{day}-{mark}.zip", made_at, archive)


# --- Kit ------------------------------------------------------------------------------------------


def _kit_exports(life: Life) -> Iterator[_File]:
    for number, day in enumerate(_monthly(life), 1):
        made_on = day
        if number == KIT_LATE_EXPORT:
            made_on = add_months(day, 1) + _DAY
        elif number == KIT_LATE_EXPORT + 1:
            made_on = day + timedelta(days=26)
        if made_on > life.end.date():
            continue
        made_at = at(made_on, 0, 10) if made_on == life.end.date() else at(made_on, 6, 55)
        if number == KIT_V3_EXPORT:
            pages = kit_format.export_v3(life.subscribers, made_at)
            yield _json_file(f"convertkit-subscribers-{made_on}.json", made_at, pages)
        elif number % KIT_V4_EXPORTS_EVERY == 0:
            pages = kit_format.export_v4(life.subscribers, made_at)
            yield _json_file(f"kit-subscribers-all-{made_on}.json", made_at, pages)
        else:
            found_via = number >= KIT_FOUND_VIA_SINCE
            table = kit_format.export_csv(life.subscribers, made_at, found_via=found_via)
            yield _File(f"kit-confirmed-subscribers-{made_on}.csv", made_at, table)
            if number == KIT_REPEATED_EXPORT:
                again = made_at + timedelta(minutes=3)
                yield _File(f"kit-confirmed-subscribers-{made_on} (1).csv", again, table)


# --- the bank -------------------------------------------------------------------------------------


def _bank_statements(life: Life) -> Iterator[_File]:
    """Statements of the month before; in the night after the last day, up to that day."""
    end = life.end.date()
    checking, card = life.bank.checking, life.bank.card
    for number, day in enumerate(sorted({*_monthly(life), end}), 1):
        first = month_of(day - timedelta(days=CAPTURE_DAY))
        last = life.until if day == end else add_months(first, 1) - _DAY
        made_at = at(day, 0, 15) if day == end else at(day, 7, 5)
        name = f"Chase{checking.number[-4:]}_Activity_{day:%Y%m%d}"
        if number != BANK_FORGOTTEN:
            body = bank_format.ofx(checking, first, last)
            yield _File(f"{name}.QFX", made_at, body.encode("cp1252"))
        if number % BANK_CSV_EVERY == 0:
            yield _File(
                f"{name}.CSV", made_at, bank_format.checking_csv(checking, first, last).encode()
            )
        body = bank_format.card_csv(card, first, last)
        yield _File(f"{day}_transaction_download.csv", made_at, body.encode())
    rules = bank_format.CATEGORIES.encode()
    yield _File("categories.yaml", at(life.start + timedelta(days=40), 20, 15), rules)


# --- the body -------------------------------------------------------------------------------------


def _health_export(life: Life) -> _File:
    """Everything since the beginning, as in every export of a phone."""
    made_at = life.end + timedelta(minutes=50)
    chance = stream(life.seed, "health export", str(life.until))
    files = health_format.export_files(chance, life.body, made_at)
    return _File("export.zip", made_at, _zipped(made_at, files))


def _junk(life: Life) -> _File:
    """Something that landed in the folder by mistake, and that no source knows."""
    text = "Pack: walking shoes, the small notebook, chargers. Ask Ida about the garden.\n"
    return _File("holiday.txt", at(life.start + timedelta(days=280), 19, 30), text.encode())


def _zipped(made_at: datetime, files: Iterable[tuple[str, str]]) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as export:
        for name, text in files:
            entry = zipfile.ZipInfo(name, made_at.timetuple()[:6])
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            export.writestr(entry, text)
    return archive.getvalue()


def _json_file(name: str, made_at: datetime, body: object) -> _File:
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return _File(name, made_at, text.encode())
