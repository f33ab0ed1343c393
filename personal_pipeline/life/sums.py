"""What a day adds up to: money spent and earned by currency, sleep, movement, and readers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from personal_pipeline.duck import among
from personal_pipeline.life.events import Event, marts_in
from personal_pipeline.outputs.formats import count, duration, money, number

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Amounts = Mapping[str, Decimal]
"""An amount per currency (ISO code), in major units."""


HEALTH = ("health_daily", "day")
BOOKED = ("transactions", "posted_on")
READERS = ("creator_daily", "day")


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum in words. ``rows`` are the mart and its column of days in which it can be looked up;
    without them it is that of the events."""

    name: str
    value: str
    rows: tuple[str, str] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """What a day adds up to; None is unknown.

    ``spent`` and ``received`` are what moved on accounts, without transfers between one's own;
    ``earned`` is what was sold, less refunds. Its payout arrives on an account days later, so
    ``received`` and ``earned`` do not add up. ``moved_m`` is the distance of all activities,
    ``views`` how often others opened what one wrote, on the UTC day.
    """

    spent: Amounts
    received: Amounts
    earned: Amounts
    asleep_minutes: float | None = None
    steps: int | None = None
    moved_m: float | None = None
    views: int | None = None

    def told(self) -> list[Sum]:
        """Each sum that is known, for people."""
        shown = (
            Sum("Slept", duration(self.asleep_minutes) if self.asleep_minutes else "", HEALTH),
            Sum("Steps", count(self.steps) if self.steps else "", HEALTH),
            Sum("Moved", f"{number(self.moved_m / 1000, 1)} km" if self.moved_m else ""),
            Sum("Spent", _listed(self.spent), BOOKED),
            Sum("Received", _listed(self.received), BOOKED),
            Sum("Earned", _listed(self.earned)),
            Sum("Views", count(self.views) if self.views else "", READERS),
        )
        return [each for each in shown if each.value]


def _listed(amounts: Amounts) -> str:
    return ", ".join(money(amount, each) for each, amount in sorted(amounts.items()))


def sums_of(tables: DuckDBPyConnection, day: date, events: Sequence[Event]) -> Sums:
    """The sums of a day, whose events are given."""
    marts = marts_in(tables)
    on_it = among("day", [day])
    asleep = steps = views = None
    if "health_daily" in marts:
        rows = tables.execute(
            f"select asleep_minutes, steps from marts.health_daily where {on_it}"  # noqa: S608
        ).fetchall()
        asleep, steps = rows[0] if rows else (None, None)
    if "creator_daily" in marts:
        found = tables.execute(
            f"select views from marts.creator_daily where {on_it}"  # noqa: S608
        )
        views = next((views for (views,) in found.fetchall()), None)
    return Sums(
        **_money(tables, marts, events),
        asleep_minutes=asleep,
        steps=steps,
        moved_m=_moved(tables, marts, events),
        views=views,
    )


def _money(
    tables: DuckDBPyConnection, marts: frozenset[str], events: Sequence[Event]
) -> dict[str, Amounts]:
    sums: dict[str, dict[str, Decimal]] = {
        each: defaultdict(Decimal) for each in ("spent", "received", "earned")
    }
    booked = [event.key for event in events if event.kind == "transaction"]
    purposes: dict[str, str] = {}
    if booked and "transactions" in marts:
        rows = tables.execute(
            f"select transaction_id, kind from marts.transactions "  # noqa: S608
            f"where {among('transaction_id', booked)}"
        )
        purposes = dict(rows.fetchall())
    for event in events:
        if event.amount is None or event.currency is None:
            continue
        if event.kind in ("payment", "refund"):
            sums["earned"][event.currency] += event.amount
        elif event.kind == "transaction":
            by_sign = "spending" if event.amount < 0 else "income"
            purpose = purposes.get(event.key, by_sign)
            if purpose == "spending":
                sums["spent"][event.currency] -= event.amount
            elif purpose == "income":
                sums["received"][event.currency] += event.amount
    return {name: dict(amounts) for name, amounts in sums.items()}


def _moved(
    tables: DuckDBPyConnection, marts: frozenset[str], events: Sequence[Event]
) -> float | None:
    activities = [event.key for event in events if event.kind == "activity"]
    if not activities or "activities" not in marts:
        return None
    ((moved,),) = tables.execute(
        f"select sum(distance_m) from marts.activities "  # noqa: S608
        f"where {among('activity_id', activities)}"
    ).fetchall()
    return float(moved) if moved is not None else None
