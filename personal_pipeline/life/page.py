"""The page of a day, of the same day in other years, and of a raw record: HTML in one text.

They are made when somebody asks, need neither network nor JavaScript, and look like the report.
Titles, details and records are written by others: the templates escape all of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from importlib.resources import files
from typing import TYPE_CHECKING, Any, TypeAlias

from jinja2 import PackageLoader
from markupsafe import Markup, escape

from personal_pipeline.duck import among
from personal_pipeline.house import House
from personal_pipeline.life.drawn import hours, pulse, stages, track
from personal_pipeline.life.events import (
    Event,
    counts_of,
    events_of,
    found,
    marts_in,
    months_of,
    on_this_day,
    published,
    references_of,
    same_days,
)
from personal_pipeline.life.raw import (
    NoRecord,
    RawRecord,
    facts_of,
    is_reference,
    pretty,
    raw_records,
)
from personal_pipeline.life.sums import sums_of
from personal_pipeline.life.words import amount_of, kind_of, more_of, stretches_of, when_of, whole
from personal_pipeline.outputs.charts import Picture
from personal_pipeline.outputs.formats import long_day, short_day
from personal_pipeline.outputs.page import title_cell
from personal_pipeline.outputs.report import environment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SITE = "/-/"
"""Below this address the site has the pages of this module."""

Raw: TypeAlias = Mapping[str, Sequence[RawRecord]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """An event as the page shows it. ``link`` is its address if that is one of the web, ``raw``
    what opens below it: name and value of each fact, and the record."""

    handle: str
    when: Sequence[str]
    kind: str
    title: str
    link: str
    more: str
    amount: str
    text: Markup
    pictures: Sequence[Picture]
    raw: Sequence[tuple[Sequence[tuple[str, str]], Markup]]
    opens: bool
    """Whether the site has a raw record of it."""


def day_page(house: House, day: date, *, in_site: bool = False) -> str:
    """A day from morning to night. In the site, entries and days are links; elsewhere the raw
    records stand in the page. Raises ``FileNotFoundError`` before the first build."""
    with published(house.home.published) as tables:
        events = events_of(tables, [day])
        references = {event.event_id: references_of(tables, event) for event in events}
        raw = {} if in_site else _raw_of(house, (r for each in references.values() for r in each))
        pictures = _pictures_of(tables, events)
        others = counts_of(tables, same_days(day, *_years(tables)))
        sums = sums_of(tables, day, events)
    return _rendered(
        "day.html.j2",
        kicker="A day",
        heading=long_day(day),
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        others=dict(sorted(others.items(), reverse=True)),
        sums=sums.told(),
        hours=hours(events),
        stretches=[
            (heading, [_entry(house, each, references, pictures, raw) for each in together])
            for heading, together in stretches_of(events, house.settings.timezone)
        ],
        in_site=in_site,
    )


def same_day_page(house: House, day: date) -> str:
    """The same day of other years, for the site. Raises as ``day_page`` does."""
    with published(house.home.published) as tables:
        days = on_this_day(tables, day)
        references = {
            event.event_id: references_of(tables, event)
            for events in days.values()
            for event in events
        }
    return _rendered(
        "same_day.html.j2",
        kicker="On this day",
        heading=f"{long_day(day).partition(' ')[2].rpartition(' ')[0]}",
        day=day,
        before=day - timedelta(days=1),
        after=day + timedelta(days=1),
        days={
            each: [
                (heading, [_entry(house, event, references, {}, {}) for event in together])
                for heading, together in stretches_of(events, house.settings.timezone)
            ]
            for each, events in days.items()
        },
        in_site=True,
    )


def raw_page(house: House, text: str) -> str:
    """The raw records of an event (its handle or id) or of a reference, for the site. Raises
    ``LookupError`` if there are none, and as ``day_page`` does."""
    event = None
    references = [text]
    if not is_reference(text):
        with published(house.home.published) as tables:
            event = found(tables, text)
            references = references_of(tables, event)
    records = raw_records(house.home, house.sources, references)
    return _rendered(
        "raw.html.j2",
        kicker="Raw record",
        heading=event.title if event else text.rpartition("#")[2],
        event=event and _entry(house, event, {}, {}, {}),
        day=event and event.local_day,
        raw=[_shown(house, each) for found in records.values() for each in found],
        in_site=True,
    )


# ------------------------------------------------------------------------------------------------


def _rendered(template: str, **content: Any) -> str:
    report_style = (files("personal_pipeline.outputs") / "templates" / "report.css").read_text(
        "utf-8"
    )
    own = (files("personal_pipeline.life") / "templates" / "life.css").read_text("utf-8")
    templates = environment().overlay(loader=PackageLoader("personal_pipeline.life"))
    templates.filters |= {"day": long_day, "short": short_day}
    html = templates.get_template(template).render(
        style=Markup(report_style + own),  # noqa: S704
        base=SITE,
        **content,
    )
    return html.lstrip()


def _years(tables: DuckDBPyConnection) -> tuple[int, int]:
    ((first, last),) = tables.execute(
        "select min(local_day), max(local_day) from marts.timeline"
    ).fetchall()
    return (first.year, last.year) if first else (1, 0)


def _entry(
    house: House,
    event: Event,
    references: Mapping[str, Sequence[str]],
    pictures: Mapping[str, Sequence[Picture]],
    raw: Raw,
) -> Entry:
    mine = references.get(event.event_id, ())
    return Entry(
        handle=event.handle,
        when=when_of(event),
        kind=kind_of(event),
        title=event.title,
        link=title_cell(event.title, event.address).link,
        more=more_of(event),
        amount=amount_of(event),
        text=escape(whole(event.text or "")),
        pictures=pictures.get(event.event_id, ()),
        raw=[_shown(house, each) for reference in mine for each in raw.get(reference, ())],
        opens=bool(mine),
    )


def _shown(house: House, record: RawRecord) -> tuple[Sequence[tuple[str, str]], Markup]:
    # all of it, as also the text of an event: what else templates show is cut after some lines
    return facts_of(house.home, record), escape(pretty(record))


def _raw_of(house: House, references: Iterable[str]) -> Raw:
    """The records, without those that the lake has lost since: the rest of the page is as good."""
    found: dict[str, Sequence[RawRecord]] = {}
    by_file: dict[str, list[str]] = {}
    for reference in references:
        by_file.setdefault(reference.partition("#")[0], []).append(reference)
    for together in by_file.values():
        try:
            found |= raw_records(house.home, house.sources, together)
        except NoRecord:
            continue
    return found


def _pictures_of(
    tables: DuckDBPyConnection, events: Sequence[Event]
) -> dict[str, Sequence[Picture]]:
    marts = marts_in(tables)
    pictures: dict[str, Sequence[Picture]] = {}
    for event in events:
        drawn: list[Picture | None] = []
        if event.kind == "activity" and "activity_samples" in marts:
            months = months_of(event.local_day, event.local_day)
            samples = tables.execute(
                "select measured_at, heart_rate, latitude, longitude "  # noqa: S608
                f"from marts.activity_samples where {among('month', months)} "
                f"and {among('activity_id', [event.key])} order by number"
            ).fetchall()
            drawn = [
                track((latitude, longitude) for *_, latitude, longitude in samples),
                pulse([(at, rate) for at, rate, *_ in samples if at is not None]),
            ]
        elif event.kind in ("night", "nap") and "sleep_nights" in marts:
            this = among("day || '/' || number", [event.key])
            nights = tables.execute(
                "select deep_minutes, core_minutes, rem_minutes, unspecified_minutes, "  # noqa: S608
                f"awake_minutes from marts.sleep_nights where {this} and is_counted"
            ).fetchall()
            drawn = [stages(night) for night in nights]
        pictures[event.event_id] = [each for each in drawn if each is not None]
    return pictures
