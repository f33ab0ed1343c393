"""Medium: the feed, the statistics captured each month, and two exports of the whole account.

The statistics are captured once more in the night after the life ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from http import HTTPStatus

from personal_pipeline.demo import medium_format
from personal_pipeline.demo.chance import add_months, at, hexadecimal, month_of, stream
from personal_pipeline.demo.invented import (
    CAPTURE_DAY,
    NOT_FOUND,
    Answer,
    File,
    Invented,
    Request,
    Service,
    export_days,
    json_file,
    zipped,
)
from personal_pipeline.demo.life import Life

OLD_CAPTURES = 3
"""How many of the first captures contain lifetime totals in the format used before 2026."""
_REFERRERS_OF = 15
_DAY = timedelta(days=1)


def _service(life: Life) -> Service:
    body = medium_format.feed(life).encode()

    def answer(request: Request) -> Answer:
        if request.path != _feed(life):
            return NOT_FOUND
        return Answer(HTTPStatus.OK, body, "text/xml; charset=UTF-8")

    return answer


def _feed(life: Life) -> str:
    return f"/feed/@{life.writer.username}"


def _files(life: Life) -> Iterator[File]:
    yield from _captures(life)
    yield from _exports(life)


def _captures(life: Life) -> Iterator[File]:
    captures = sorted({*export_days(life), life.end.date()})
    for number, day in enumerate(captures):
        # the last capture is made just after the life ends, at night; all others in the morning
        made_at = at(day, 0, 5) if day == life.end.date() else at(day, 6, 40)
        # the month of the days that the capture covers: on the second, the month before
        month = month_of(day - timedelta(days=CAPTURE_DAY))
        yield from _lifetime(life, day, made_at, old=number < OLD_CAPTURES)
        # some days more than the month, for the earnings that were estimates the last time
        first = month - timedelta(days=medium_format.UNCOMMITTED_DAYS + 1)
        charts = [medium_format.daily_chart(story, first, day) for story in life.stories]
        yield json_file(
            f"medium-story-days-{day}.json", made_at, [chart for chart in charts if chart]
        )
        last = min(day - _DAY, add_months(month, 1) - _DAY)
        series = medium_format.account_series(life, month, last)
        yield json_file(f"medium-account-{day}.json", made_at, [series])
        if day in captures[-2:]:
            popular = sorted(life.stories, key=lambda story: -sum(s.views for s in story.days))
            answers = [
                medium_format.referrers(story, day)
                for story in popular[:_REFERRERS_OF]
                if story.before(day)
            ]
            yield json_file(f"medium-referrers-{day}.json", made_at, answers)


def _lifetime(life: Life, day: date, made_at: datetime, *, old: bool) -> Iterator[File]:
    if old:
        body = medium_format.old_stats(life, day).encode()
        yield File(f"me-stats-{day}.json", made_at, body)
        return
    for number, page in enumerate(medium_format.lifetime_pages(life, day), 1):
        yield json_file(f"medium-stories-{day}-page-{number}.json", made_at, [page])


def _exports(life: Life) -> Iterator[File]:
    for day in (life.until - timedelta(days=365), life.until - timedelta(days=9)):
        if day <= life.start + timedelta(days=30):
            continue
        made_at = at(day, 17, 5)
        archive = zipped(made_at, medium_format.account_export(life, day))
        mark = hexadecimal(stream(life.seed, "account export", str(day)), 32)
        yield File(f"medium-export-{day}-{mark}.zip", made_at, archive)


MEDIUM = Invented(
    source="medium",
    services=lambda life: {"/feed/": _service(life)},
    settings=lambda life, base: {"MEDIUM_FEED_URL": f"{base}{_feed(life)}"},
    files=_files,
)
