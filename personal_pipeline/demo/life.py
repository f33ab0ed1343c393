"""An invented life: a writer with stories, a newsletter, paying readers, a bank, a body.

It is generated from a seed by pure functions that read no clock. The same arguments give the same
life on every machine, and with the same start a later last day gives the same life, some days
longer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from personal_pipeline.demo.audience import (
    AudienceDay,
    Broadcast,
    Subscriber,
    invent_audience_days,
    invent_broadcasts,
    invent_subscribers,
)
from personal_pipeline.demo.bank import Bank, invent_bank
from personal_pipeline.demo.body import BodyDay, invent_body
from personal_pipeline.demo.chance import add_months, at, hexadecimal, month_of, stream
from personal_pipeline.demo.money import Money, invent_money
from personal_pipeline.demo.words import NOTES
from personal_pipeline.demo.writing import (
    AccountDay,
    Draft,
    Response,
    Story,
    invent_account_days,
    invent_drafts,
    invent_responses,
    invent_stories,
)

DEFAULT_YEARS = 2
DEFAULT_SEED = 11

SHEET_HEADER = ("URL", "Boosted", "Boosted date", "Notes", "", "Mood")
"""The columns of the writer's sheet; one has no header, and one is private."""


@dataclass(frozen=True, slots=True)
class Writer:
    """The person of the life."""

    user_id: str
    username: str
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One row of the sheet as displayed, in the order of ``SHEET_HEADER``; the writer ticks a box,
    or types yes, or an x, and one row is blank."""

    story_url: str
    boosted: str
    boosted_date: str
    notes: str
    unnamed: str
    mood: str


@dataclass(frozen=True, slots=True)
class Life:
    """Everything that happened from ``start`` to ``until``, both UTC days included. Lists are
    oldest first."""

    seed: int
    start: date
    until: date
    writer: Writer
    stories: tuple[Story, ...]
    responses: tuple[Response, ...]
    drafts: tuple[Draft, ...]
    account_days: tuple[AccountDay, ...]
    subscribers: tuple[Subscriber, ...]
    audience_days: tuple[AudienceDay, ...]
    broadcasts: tuple[Broadcast, ...]
    money: Money
    bank: Bank
    body: tuple[BodyDay, ...]
    """One day more than the life: the phone's export in the night after it includes part of that
    day."""
    sheet: tuple[SheetRow, ...]

    @property
    def end(self) -> datetime:
        """The first instant after the life; services answer as of it."""
        return at(self.until + timedelta(days=1))


def invent(years: int, seed: int, until: date, start: date | None = None) -> Life:
    """Generate a life from ``start``, or else from the month ``years`` years before ``until``, to
    the end of that day. A life that goes on keeps its start and its years.

    ``until`` is covered to its last second, and the last files are exported in the night after it:
    for a life that reaches the present, it is yesterday.

    Raises ``ValueError`` if ``years`` is less than one, or reaches back before the year 2000.
    """
    if years < 1:
        raise ValueError(f"a life takes at least one year, not {years}")
    if until.year - years < 2000:
        raise ValueError(f"{years} years before {until} lie before the services existed")
    start = start or add_months(month_of(until), -12 * years)
    stories = invent_stories(seed, start, until, years)
    published_on = {story.published_at.date() for story in stories}
    account_days = invent_account_days(seed, stories, start, until)
    subscribers = invent_subscribers(seed, account_days, start, until)
    money = invent_money(seed, subscribers, start, until, years)
    rng = stream(seed, "writer")
    writer = Writer(
        user_id=hexadecimal(rng, 12),
        username="wren.fairholm.example",
        name="Wren Fairholm",
        email="wren.fairholm@example.com",
    )
    return Life(
        seed=seed,
        start=start,
        until=until,
        writer=writer,
        stories=stories,
        responses=invent_responses(seed, start, until),
        drafts=invent_drafts(seed, start, until),
        account_days=account_days,
        subscribers=subscribers,
        audience_days=invent_audience_days(seed, subscribers, start, until),
        broadcasts=invent_broadcasts(seed, subscribers, start, until),
        money=money,
        bank=invent_bank(seed, money.payouts, start, until),
        body=invent_body(seed, published_on, start, until + timedelta(days=1)),
        sheet=tuple(_sheet(seed, writer, stories, until)),
    )


def slug(text: str) -> str:
    """A title as used in an address: lower case, words joined by dashes."""
    words = "".join(each if each.isalnum() else " " for each in text.lower()).split()
    return "-".join(words)


def address(writer: Writer, title: str, post_id: str) -> str:
    """The public address of a story or a response."""
    return f"https://medium.com/@{writer.username}/{slug(title)}-{post_id}"


def _sheet(seed: int, writer: Writer, stories: Sequence[Story], until: date) -> Iterable[SheetRow]:
    """One row per story, a week after it came out; entered by hand, so not consistently."""
    ticks = 0
    for number, story in enumerate(stories):
        rng = stream(seed, "sheet", number)
        notes = rng.choice(NOTES) if rng.random() < 0.15 else ""
        mood = rng.choice(("good", "tired", "😀"))
        if (until - story.published_at.date()).days < 4:
            return
        if number == 20:
            yield SheetRow("", "", "", "", "", "")
        url = address(writer, story.title, story.story_id)
        if number % 17 == 5:
            url += "?source=friends_link&sk=invented"
        boosted = "FALSE"
        if story.boosted_on is not None:
            ticks += 1
            boosted = {3: "yes", 4: "x"}.get(ticks, "TRUE")
        elif number % 11 == 7:
            boosted = ""
        yield SheetRow(
            story_url=url,
            boosted=boosted,
            boosted_date=story.boosted_on.isoformat() if story.boosted_on else "",
            notes=notes,
            unnamed="",
            mood=mood,
        )
