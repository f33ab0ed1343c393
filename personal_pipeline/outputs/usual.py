"""What is usual for a day, and whether a value is: a pure function over the days before it.

A day is compared with the same weekday of the last half year. The middle is the median, the spread
the median absolute deviation (MAD), so that a single great day neither raises what is usual nor
widens it. The score is the distance from the middle in standard deviations as the MAD estimates
them. A day is unusual beyond 3.5, the common limit for outliers (Iglewicz and Hoaglin, 1993), if
also hardly one in twenty such days was as far from the middle, and if it is not what comes every
month: the rent is much for a Tuesday, and nothing unusual on the first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from math import isfinite
from statistics import fmean, median

from personal_pipeline.outputs.comparison import Known

WINDOW_DAYS = 182
LEAST_DAYS = 60
"""With fewer known days in the window, nothing is said."""
LEAST_OF_WEEKDAY = 6
LIMIT = 3.5
RARE = 0.05
"""At most this share of the days before may be as far from the middle."""
MONTHS = 6
"""How many months back it is looked for what comes every month."""

ABOUT = 0.8
"""What comes every month is at least this share of it."""
_MAD = 1.4826
"""The standard deviation of a normal distribution in its MADs."""
_MEAN = 1.2533
"""The same in mean absolute deviations, for series in which most days have the same value."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a value compares with what is usual for its weekday: the usual value, the distance from
    it in standard deviations (negative below it), and whether that is unusual."""

    value: float
    usual: float
    score: float
    unusual: bool

    @property
    def rank(self) -> tuple[float, float]:
        """How unusual it is, to be compared. A first change of what never varied is the least."""
        score = abs(self.score)
        return (score if isfinite(score) else LIMIT, abs(self.value - self.usual))


def verdict(values: Known, day: date) -> Verdict | None:
    """The verdict on a day's value; None if it is not known, or too few days before it are."""
    if day not in values:
        return None
    window = [day - timedelta(days=back) for back in range(1, WINDOW_DAYS + 1)]
    known = {each: float(values[each]) for each in window if each in values}
    same = [value for each, value in known.items() if each.weekday() == day.weekday()]
    if len(known) < LEAST_DAYS or len(same) < LEAST_OF_WEEKDAY:
        return None
    found = judged(float(values[day]), same)
    if found.unusual and _comes_monthly(known, day, found.value - found.usual):
        return replace(found, unusual=False)
    return found


def _comes_monthly(known: Mapping[date, float], day: date, distance: float) -> bool:
    """Whether in half of the months before, on that day of the month or next to it, a value was
    about as far from what is usual for its own weekday, on the same side."""
    times, month = 0, day
    for _ in range(MONTHS):
        month = month.replace(day=1) - timedelta(days=1)
        there = month.replace(day=min(day.day, month.day))
        near = (there + timedelta(days=off) for off in (-1, 0, 1))
        apart = [known[each] - _middle(known, each.weekday()) for each in near if each in known]
        times += any(each / distance >= ABOUT for each in apart)
    return times * 2 >= MONTHS


def _middle(known: Mapping[date, float], weekday: int) -> float:
    return median(value for day, value in known.items() if day.weekday() == weekday)


def judged(value: float, before: Sequence[float]) -> Verdict:
    """The verdict on a value that is expected to be like those before it, of which there is at
    least one."""
    middle = median(before)
    distances = [abs(each - middle) for each in before]
    spread = median(distances) * _MAD or fmean(distances) * _MEAN
    distance = value - middle
    if distance == 0:
        return Verdict(value, middle, 0, unusual=False)
    # of what never varied, any change is
    score = distance / spread if spread else float("inf") * distance
    as_far = sum(each >= abs(distance) for each in distances) / len(before)
    return Verdict(value, middle, score, unusual=abs(score) > LIMIT and as_far <= RARE)
