"""Seeded randomness: every part of the invented life draws from its own stream.

A stream is named after what it decides (a story, a subscriber). So changing one part does not
affect another, and a life that ends a day later is the same life, one day longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from random import Random

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def stream(seed: int, *name: str | int) -> Random:
    """The random stream for a seed and a name; the same on every machine."""
    return Random("/".join(str(part) for part in (seed, *name)))  # noqa: S311 - nothing secret


def poisson(rng: Random, mean: float) -> int:
    """A Poisson-distributed count with this mean."""
    if mean <= 0:
        return 0
    if mean > 30:
        # the normal approximation is close enough here, and takes one draw instead of dozens
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
    """An instant of a UTC day, to the second; people are more active in some hours than in
    others."""
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
    """The same day some months later, or the last day of that month if it is shorter."""
    index = day.year * 12 + day.month - 1 + months
    year, month = index // 12, index % 12 + 1
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, min(day.day, (following - timedelta(days=1)).day))
