"""The writing: stories with their days on Medium, responses, drafts, followers.

Counts are per UTC day. Money is in cents of a US dollar. Nothing after the last day of the life is
included.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from personal_pipeline.demo.chance import at, days_between, hexadecimal, poisson, stream
from personal_pipeline.demo.words import RESPONSES, SUBJECTS, SUBTITLES, TAGS, TITLES

_PUBLISHING = {1: 0.43, 3: 0.29, 6: 0.12}
"""Probability of a new story on a Tuesday, a Thursday, a Sunday."""

_READERS_OF_THE_WEEK = (1.06, 1.13, 1.11, 1.05, 0.94, 0.79, 0.90)
"""Monday to Sunday."""

_VIRAL_WAVE = (0.10, 0.55, 1.0, 0.86, 0.61, 0.47, 0.41, 0.30, 0.22, 0.17, 0.12, 0.09, 0.06, 0.04)
"""The wave of views of the viral story, day by day from the day after publication."""

_VIRAL_PEAK = 8_600
_A_BOOST_IN = 6
"""One story in this many is boosted, so that every quarter has one."""


@dataclass(frozen=True, slots=True)
class StoryDay:
    """One story on one UTC day. ``member_reading_seconds`` is the reading time of members, which is
    what Medium pays for."""

    day: date
    presentations: int
    views: int
    reads: int
    internal_referrer_views: int
    member_reading_seconds: int
    earnings_cents: int


@dataclass(frozen=True, slots=True)
class Story:
    """One published story, with every day from its publication to the end of the life."""

    story_id: str
    title: str
    subtitle: str
    tags: tuple[str, ...]
    published_at: datetime
    reading_time_minutes: float
    member_only: bool
    boosted_on: date | None
    """The day from which Medium boosted it; a boosted story is shown to far more people."""
    days: tuple[StoryDay, ...]

    def before(self, day: date) -> Sequence[StoryDay]:
        """The days known on the morning of ``day``."""
        return self.days[: max(0, (day - self.published_at.date()).days)]


@dataclass(frozen=True, slots=True)
class Response:
    """A comment by the writer on someone's story; Medium lists it among the posts."""

    post_id: str
    text: str
    published_at: datetime


@dataclass(frozen=True, slots=True)
class Draft:
    """An unpublished story."""

    post_id: str
    title: str
    begun_on: date


@dataclass(frozen=True, slots=True)
class AccountDay:
    """All stories together on one UTC day. Viewers and readers are people, so they are fewer than
    views and reads; the two net figures can be negative."""

    day: date
    presentations: int
    viewers: int
    readers: int
    net_followers_gained: int
    net_subscribers_gained: int


def growth(days: int) -> float:
    """The size of the audience relative to the first day; it levels off in the third year."""
    return 1 + 2.6 * (days / 730 if days <= 730 else 1 + (1 - math.exp(-(days - 730) / 900)))


def invent_stories(seed: int, start: date, until: date, years: int) -> tuple[Story, ...]:
    """The stories from the first day to the last, oldest first.

    One of them goes viral at about three fifths of the life, and one in six is boosted.
    """
    titles = [title.format(subject=subject) for title in TITLES for subject in SUBJECTS]
    stream(seed, "titles").shuffle(titles)
    viral_from = start + timedelta(days=int(365 * years * 0.62))
    stories: list[Story] = []
    viral_is_out = False
    for number, day in enumerate(_publication_days(seed, start, until)):
        viral = not viral_is_out and day >= viral_from
        viral_is_out = viral_is_out or viral
        again = number // len(titles)
        title = titles[number % len(titles)] + (f", Part {again + 1}" if again else "")
        lucky = stream(seed, "boost", number // _A_BOOST_IN).randrange(_A_BOOST_IN)
        stories.append(
            _story(
                stream(seed, "story", number),
                title,
                day,
                start,
                until,
                viral=viral,
                boosted=number % _A_BOOST_IN == lucky and not viral,
            )
        )
    return tuple(stories)


def _publication_days(seed: int, start: date, until: date) -> Iterator[date]:
    rng = stream(seed, "publishing")
    # the first day has the first story: a writer begins by writing
    yield start
    for day in days_between(start + timedelta(days=1), until):
        if rng.random() < _PUBLISHING.get(day.weekday(), 0):
            yield day


def _story(
    rng: Random, title: str, day: date, start: date, until: date, *, viral: bool, boosted: bool
) -> Story:
    story_id = hexadecimal(rng, 12)
    subtitle = rng.choice(SUBTITLES)
    tags = tuple(rng.sample(TAGS, k=5))
    published_at = at(day, rng.randrange(7, 17), rng.randrange(60)) + timedelta(
        seconds=rng.randrange(60), milliseconds=rng.randrange(1000)
    )
    reading_time = round(rng.uniform(2.5, 11), 9)
    # only stories for members are ever boosted
    member_only = rng.random() < 0.72 or viral or boosted
    boosted_on = day + timedelta(days=rng.choice((1, 1, 2, 3)))
    strength = 140 * growth((day - start).days) * math.exp(rng.gauss(0, 0.65))
    read_share = min(0.75, max(0.2, rng.gauss(0.55, 0.07) - 0.018 * reading_time))
    shown_per_view = rng.uniform(7, 15)
    cents_per_second = rng.uniform(0.024, 0.036)

    days: list[StoryDay] = []
    for each in days_between(day, until):
        age = (each - day).days
        mean = strength * (0.55 * math.exp(-age / 1.6) + 0.10 * math.exp(-age / 9))
        mean += 0.55 * math.exp(rng.gauss(0, 0.3)) * growth((each - start).days) * strength / 300
        if age == 0:
            mean *= 1 - published_at.hour / 24
        wave = 0.0
        if boosted and each >= boosted_on:
            wave = strength * 1.5 * math.exp(-(each - boosted_on).days / 5)
        if viral and 1 <= age <= len(_VIRAL_WAVE):
            wave = _VIRAL_PEAK * _VIRAL_WAVE[age - 1]
        views = poisson(rng, (mean + wave) * _READERS_OF_THE_WEEK[each.weekday()])
        reads = round(views * min(0.95, max(0.05, rng.gauss(read_share, 0.03))))
        internal = round(views * rng.uniform(0.45, 0.75))
        member_reads = reads * (0.45 if wave > mean and not viral else 0.3)
        seconds = round(member_reads * reading_time * 60 * rng.uniform(0.55, 0.8))
        days.append(
            StoryDay(
                day=each,
                presentations=round(views * shown_per_view * rng.uniform(0.9, 1.1)),
                views=views,
                reads=reads,
                internal_referrer_views=internal,
                member_reading_seconds=seconds,
                earnings_cents=round(seconds * cents_per_second) if member_only else 0,
            )
        )
    return Story(
        story_id=story_id,
        title=title,
        subtitle=subtitle,
        tags=tags,
        published_at=published_at,
        reading_time_minutes=reading_time,
        member_only=member_only,
        boosted_on=boosted_on if boosted and boosted_on <= until else None,
        days=tuple(days),
    )


def invent_responses(seed: int, start: date, until: date) -> tuple[Response, ...]:
    """The writer's comments on other people's stories, about one every four weeks."""
    rng = stream(seed, "responses")
    responses = []
    day = start
    while (day := day + timedelta(days=rng.randrange(18, 40))) <= until:
        post_id, hour, text = hexadecimal(rng, 12), rng.randrange(6, 22), rng.choice(RESPONSES)
        responses.append(Response(post_id, text, at(day, hour, rng.randrange(60))))
    return tuple(responses)


def invent_drafts(seed: int, start: date, until: date) -> tuple[Draft, ...]:
    """Stories that were begun and never published, a few per year."""
    rng = stream(seed, "drafts")
    drafts = []
    day = start
    while (day := day + timedelta(days=rng.randrange(70, 180))) <= until:
        drafts.append(
            Draft(hexadecimal(rng, 12), f"Untitled thoughts on {rng.choice(SUBJECTS)}", day)
        )
    return tuple(drafts)


def invent_account_days(
    seed: int, stories: Sequence[Story], start: date, until: date
) -> tuple[AccountDay, ...]:
    """All stories together, one entry per day from the first day to the last."""
    size = (until - start).days + 1
    presentations, views, reads = [0] * size, [0] * size, [0] * size
    for story in stories:
        for each in story.days:
            index = (each.day - start).days
            presentations[index] += each.presentations
            views[index] += each.views
            reads[index] += each.reads
    rng = stream(seed, "followers")
    return tuple(
        AccountDay(
            day=day,
            presentations=presentations[index],
            viewers=round(views[index] * 0.93),
            readers=round(reads[index] * 0.96),
            net_followers_gained=poisson(rng, views[index] / 90) - poisson(rng, 0.4),
            net_subscribers_gained=poisson(rng, views[index] / 700) - poisson(rng, 0.05),
        )
        for index, day in enumerate(days_between(start, until))
    )
