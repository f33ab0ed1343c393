"""The audience: subscribers of the newsletter, what they do, and the broadcasts sent to them.

All instants are UTC. A subscriber leaves by cancelling, by bouncing, or by complaining.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from random import Random

from personal_pipeline.demo.chance import at, days_between, poisson, sometime, stream
from personal_pipeline.demo.words import FIRST_NAMES, LAST_NAMES, SUBJECT_LINES, SUBJECTS
from personal_pipeline.demo.writing import AccountDay

SEND_HOUR = 13
_TUESDAY = 1
_SIGN_UPS_OF_THE_WEEK = (1.05, 1.25, 1.10, 1.0, 0.95, 0.80, 0.85)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Subscriber:
    """One person on the list. ``left_as`` is ``cancelled``, ``bounced`` or ``complained``;
    ``customer_from`` is when the person first paid."""

    subscriber_id: int
    first_name: str | None
    last_name: str
    email: str
    created_at: datetime
    found_via: str
    favourite_topic: str | None
    customer_from: datetime | None
    left_at: datetime | None
    left_as: str | None

    def state(self, when: datetime) -> str:
        """The state that the service shows at an instant, in the service's spelling."""
        if self.left_at is not None and self.left_as is not None and self.left_at < when:
            return self.left_as
        return "active"

    def tags(self, when: datetime) -> tuple[str, ...]:
        """The person's tags at an instant."""
        if self.customer_from is not None and self.customer_from < when:
            return (self.found_via, "Customer")
        return (self.found_via,)

    def updated_at(self, when: datetime) -> datetime:
        """When anything about the person last changed, as of an instant."""
        happened = (self.created_at, self.customer_from, self.left_at)
        return max(each for each in happened if each is not None and each < when)


@dataclass(frozen=True, slots=True)
class AudienceDay:
    """The newsletter on one UTC day, as counted by the service's growth figures.

    ``left`` is everybody who left, whatever the reason. A person who was deleted by hand is counted
    here but is in no list of subscribers: on those few days the two disagree.
    """

    day: date
    active: int
    new: int
    left: int


@dataclass(frozen=True, slots=True)
class Broadcast:
    """One broadcast to all active subscribers. Rates are percent and keep growing for some days
    after sending; ``sent_at`` is in the future while it is scheduled, and None for a draft."""

    broadcast_id: int
    subject: str
    created_at: datetime
    sent_at: datetime | None
    status: str
    recipients: int
    emails_opened: int
    clickers: int
    total_clicks: int
    unsubscribes: int


def invent_subscribers(
    seed: int, account_days: Sequence[AccountDay], start: date, until: date
) -> tuple[Subscriber, ...]:
    """Everybody who ever signed up, oldest first. Stories that are read bring subscribers."""
    rng = stream(seed, "sign-ups")
    subscribers: list[Subscriber] = []
    for account_day in account_days:
        age = (account_day.day - start).days
        steady = (1.6 + 4.9 * min(age, 1400) / 730) * _SIGN_UPS_OF_THE_WEEK[
            account_day.day.weekday()
        ]
        count = poisson(rng, steady + account_day.viewers * 0.0042)
        instants = sorted(sometime(rng, account_day.day) for _ in range(count))
        for created_at in instants:
            number = len(subscribers)
            subscribers.append(
                _subscriber(stream(seed, "subscriber", number), number, created_at, start, until)
            )
    return tuple(subscribers)


def _subscriber(
    rng: Random, number: int, created_at: datetime, start: date, until: date
) -> Subscriber:
    end = at(until + _DAY)
    first_name, last_name = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    email = f"{first_name}.{last_name}{number}@example.{rng.choice(('com', 'org'))}"
    typed_with_capitals = rng.random() < 0.012
    gave_no_name = rng.random() < 0.22
    found_via = rng.choices(("Medium", "Website", "Recommended", "Podcast"), (48, 30, 16, 6))[0]
    topic = rng.choice(SUBJECTS) if rng.random() < 0.4 else None
    left_at, left_as = _departure(rng, created_at)
    # nothing is for sale in the first month
    first_sale = max(created_at, at(start + timedelta(days=30)))
    customer_from = first_sale + timedelta(seconds=int(rng.expovariate(1 / 55) * 86_400) + 600)
    buys = rng.random() < 0.083 and (left_at is None or customer_from < left_at)
    return Subscriber(
        subscriber_id=2_914_000_007 + 41 * number + rng.randrange(40),
        first_name=None if gave_no_name else first_name,
        last_name=last_name,
        email=email if typed_with_capitals else email.lower(),
        created_at=created_at,
        found_via=found_via,
        favourite_topic=topic,
        customer_from=customer_from if buys and customer_from < end else None,
        left_at=left_at if left_at is not None and left_at < end else None,
        left_as=left_as if left_at is not None and left_at < end else None,
    )


def _departure(rng: Random, created_at: datetime) -> tuple[datetime | None, str | None]:
    """When and how somebody leaves: some at once, the others at a slow, steady rate."""
    in_haste = rng.random() < 0.05
    days = rng.expovariate(1 / 12) if in_haste else rng.expovariate(1 / 1900)
    left_as = rng.choices(("cancelled", "bounced", "complained"), (84, 13, 3))[0]
    left_at = created_at + timedelta(seconds=int(days * 86_400) + 900)
    after_a_letter = rng.random() < 0.7
    delay = timedelta(seconds=int(rng.expovariate(1 / 9) * 3600) + 60)
    if after_a_letter or left_as != "cancelled":
        day = left_at.date()
        tuesday = day + timedelta(days=(_TUESDAY - day.weekday()) % 7)
        sent_at = at(tuesday, SEND_HOUR)
        left_at = (sent_at if sent_at > left_at else sent_at + 7 * _DAY) + delay
    return left_at, left_as


def invent_audience_days(
    seed: int, subscribers: Sequence[Subscriber], start: date, until: date
) -> tuple[AudienceDay, ...]:
    """Growth as the service counts it, one entry per day from the first day to the last."""
    size = (until - start).days + 1
    new, left = [0] * size, [0] * size
    for subscriber in subscribers:
        new[(subscriber.created_at.date() - start).days] += 1
        if subscriber.left_at is not None:
            left[(subscriber.left_at.date() - start).days] += 1
    # the writer signs up to try the form, and is deleted the same day or soon after
    rng = stream(seed, "deleted by hand")
    for index in range(size):
        deleted, stayed = rng.random() < 0.008, rng.randrange(3)
        if deleted:
            new[index] += 1
            if index + stayed < size:
                left[index + stayed] += 1
    days = []
    active = 0
    for index, day in enumerate(days_between(start, until)):
        active += new[index] - left[index]
        days.append(AudienceDay(day, active, new[index], left[index]))
    return tuple(days)


def invent_broadcasts(
    seed: int, subscribers: Sequence[Subscriber], start: date, until: date
) -> tuple[Broadcast, ...]:
    """A draft that was never sent, then one broadcast every Tuesday, oldest first; the last may be
    scheduled for the coming Tuesday."""
    end = at(until + _DAY)
    arrivals = [subscriber.created_at for subscriber in subscribers]
    departures = sorted(each.left_at for each in subscribers if each.left_at is not None)
    cancellations = sorted(
        each.left_at
        for each in subscribers
        if each.left_at is not None and each.left_as == "cancelled"
    )
    first = start + timedelta(days=(_TUESDAY - start.weekday()) % 7)
    broadcasts = [_unsent(17_299_000, "An idea for later", at(start, 7), None, "draft")]
    number = 0
    while True:
        rng = stream(seed, "broadcast", number)
        sent_at = at(first + timedelta(weeks=number), SEND_HOUR)
        created_at = sent_at - timedelta(hours=rng.randrange(20, 90), minutes=rng.randrange(60))
        created_at = max(created_at, at(start, 6))
        subject = f"#{number + 1}: {rng.choice(SUBJECT_LINES)}"
        broadcast_id = 17_300_000 + number * 4_211 + rng.randrange(4_000)
        if sent_at >= end:
            if created_at < end:
                broadcasts.append(_unsent(broadcast_id, subject, created_at, sent_at, "scheduled"))
            return tuple(broadcasts)
        recipients = bisect_left(arrivals, sent_at) - bisect_left(departures, sent_at)
        age_in_days = (end - sent_at) / _DAY
        ripe = 1 - math.exp(-age_in_days / 1.4)
        opened = round(recipients * ripe * rng.gauss(0.47 - 0.00045 * min(number, 150), 0.025))
        clickers = round(opened * max(0.02, rng.gauss(0.085, 0.025)))
        unsubscribes = bisect_left(cancellations, sent_at + 2 * _DAY) - bisect_left(
            cancellations, sent_at
        )
        broadcasts.append(
            Broadcast(
                broadcast_id=broadcast_id,
                subject=subject,
                created_at=created_at,
                sent_at=sent_at,
                status="completed",
                recipients=recipients,
                emails_opened=min(recipients, max(0, opened)),
                clickers=min(recipients, max(0, clickers)),
                total_clicks=round(clickers * rng.uniform(1.1, 1.6)),
                unsubscribes=unsubscribes,
            )
        )
        number += 1


def _unsent(
    broadcast_id: int, subject: str, created_at: datetime, sent_at: datetime | None, status: str
) -> Broadcast:
    return Broadcast(broadcast_id, subject, created_at, sent_at, status, 0, 0, 0, 0, 0)
