"""Seeded chance: every part of the invented life draws from a stream of its own.

A stream is named by what it decides (a story, a subscriber). So one part does not shake another,
and a life that ends a day later is the same life, a day longer: what was drawn stays drawn.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def stream(seed: int, *name: str | int) -> Random:
    """The stream of chance that a seed gives to a name; the same on every machine."""
    return Random("/".join(str(part) for part in (seed, *name)))  # noqa: S311 - nothing secret


def poisson(rng: Random, mean: float) -> int:
    """How often something happens that happens ``mean`` times on average."""
    if mean <= 0:
        return 0
    if mean > 30:
        # the normal curve is close enough here, and takes one draw instead of dozens
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit = math.exp(-mean)
    count = 0
    product = rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def token(rng: Random, length: int) -> str:
    """Letters and digits, as in the ids of services."""
    return "".join(rng.choices(_LETTERS, k=length))


def hexadecimal(rng: Random, length: int) -> str:
    """Lower-case hexadecimal digits, as in the ids of Medium."""
    return f"{rng.getrandbits(4 * length):0{length}x}"


def at(day: date, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of a UTC day."""
    return datetime.combine(day, time(hour, minute), UTC)


def sometime(rng: Random, day: date) -> datetime:
    """An instant of a UTC day, to the second; people are awake more in some hours than others."""
    hour = min(23.99, max(0.0, rng.gauss(14.5, 4.5)))
    return at(day) + timedelta(seconds=int(hour * 3600) + rng.randrange(30))


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from ``first`` to ``last``, both included."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def month_of(day: date) -> date:
    """The first day of a day's month."""
    return day.replace(day=1)


def add_months(day: date, months: int) -> date:
    """The same day some months later, or the last of that month where it has no such day."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - timedelta(days=1)).day))
