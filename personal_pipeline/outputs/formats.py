"""How numbers, money, days and changes are formatted: in English, the same on every machine.

The system's locale is not used, and no date is ambiguous: months have names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal, TypeAlias

Number: TypeAlias = int | float | Decimal

MINUS = "\u2212"
DASH = "\u2013"
TIMES = "\u00d7"
UNKNOWN = "\u2014"
"""Shown in place of an unknown figure."""

MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

_SYMBOLS = {
    "aud": "A$",
    "brl": "R$",
    "cad": "CA$",
    "cny": "CN\u00a5",
    "eur": "\u20ac",
    "gbp": "\u00a3",
    "hkd": "HK$",
    "ils": "\u20aa",
    "inr": "\u20b9",
    "jpy": "\u00a5",
    "krw": "\u20a9",
    "mxn": "MX$",
    "nzd": "NZ$",
    "usd": "$",
    "vnd": "\u20ab",
}

# Currencies without decimals in ISO 4217.
_NO_DECIMALS = frozenset(
    "bif clp djf gnf isk jpy kmf krw pyg rwf ugx vnd vuv xaf xof xpf".split()  # noqa: SIM905
)
_THREE_DECIMALS = frozenset(("bhd", "iqd", "jod", "kwd", "lyd", "omr", "tnd"))


def long_day(day: date) -> str:
    """``Friday 20 November 2026``."""
    return f"{WEEKDAYS[day.weekday()]} {day.day} {MONTHS[day.month - 1]} {day.year}"


def plain_day(day: date) -> str:
    """``20 November 2026``."""
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def short_day(day: date) -> str:
    """``20 Nov 2026``."""
    return f"{day.day} {MONTHS[day.month - 1][:3]} {day.year}"


def long_month(month: date) -> str:
    """``November 2026``."""
    return f"{MONTHS[month.month - 1]} {month.year}"


def short_month(month: date) -> str:
    """``Nov 2026``."""
    return f"{MONTHS[month.month - 1][:3]} {month.year}"


def span(first: date, last: date) -> str:
    """Both days included: ``1-20 Nov 2026``, ``24 Oct - 20 Nov 2026``, or the month if complete."""
    if (first.year, first.month) == (last.year, last.month):
        if first.day == 1 and (last + timedelta(days=1)).day == 1:
            return short_month(first)
        if first == last:
            return short_day(last)
        return f"{first.day}{DASH}{short_day(last)}"
    start = short_day(first)
    if first.year == last.year:
        start = start.removesuffix(f" {first.year}")
    return f"{start} {DASH} {short_day(last)}"


def instant(moment: datetime) -> str:
    """``21 Nov 2026, 06:02 UTC``. ``moment`` must have a time zone."""
    if moment.tzinfo is None:
        raise ValueError("an instant without a time zone cannot be written; give it one")
    utc = moment.astimezone(UTC)
    return f"{short_day(utc.date())}, {utc:%H:%M} UTC"


def count(value: Number | None, *, signed: bool = False) -> str:
    """A whole number with thousands separators; ``signed`` puts a plus before gains."""
    if value is None:
        return UNKNOWN
    return _signed(f"{abs(round(value)):,}", round(value), signed)


def number(value: Number | None, decimals: int) -> str:
    """A number with this many decimals, and thousands separators."""
    if value is None:
        return UNKNOWN
    return _signed(f"{abs(value):,.{decimals}f}", value, signed=False)


def money(value: Number | None, currency: str, *, signed: bool = False) -> str:
    """An amount in major units in the usual notation of its currency: ``$1,234.50``, ``CHF
    12.00``."""
    if value is None:
        return UNKNOWN
    code = currency.lower()
    decimals = 0 if code in _NO_DECIMALS else 3 if code in _THREE_DECIMALS else 2
    exact = Decimal(str(value)).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)
    return _signed(f"{symbol(code)}{abs(exact):,}", exact, signed)


def percentage(percent: Number | None, decimals: int = 1) -> str:
    """A value that is already in percent: 60.97 is ``61.0%``."""
    return UNKNOWN if percent is None else f"{number(percent, decimals)}%"


def duration(minutes: Number | None) -> str:
    """``7 h 5 min``, ``45 min``."""
    if minutes is None:
        return UNKNOWN
    hours, rest = divmod(round(minutes), 60)
    return f"{count(hours)} h {rest} min" if hours else f"{rest} min"


def short(value: float) -> str:
    """A number in as little room as an axis has: ``950``, ``1.2k``, ``15k``, ``3M``."""
    size = abs(value)
    for least, divisor, letter in ((1e9, 1e9, "B"), (1e6, 1e6, "M"), (1e4, 1e3, "k")):
        if size >= least:
            return _signed(f"{size / divisor:.3g}{letter}", value, signed=False)
    return _signed(f"{size:,.6g}", value, signed=False)


def symbol(currency: str) -> str:
    """What stands before an amount: ``$``, ``CHF`` and a space."""
    return _SYMBOLS.get(currency.lower(), f"{currency.upper()}\u00a0")


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of a figure are written: in full, and in short at an axis."""

    full: Callable[[Number | None], str]
    short: Callable[[float], str] = short
    whole: bool = False
    """Its values are whole numbers: there is no half subscriber."""
    of: int = 1
    """An axis has round multiples of this: 60 for minutes that are shown as hours."""


COUNT = Unit(count, whole=True)
PERCENT = Unit(percentage, lambda percent: f"{short(percent)}%")
MINUTES = Unit(duration, lambda minutes: f"{short(round(minutes / 60, 2))} h", of=60)
"""Minutes, at an axis in hours."""


def money_unit(currency: str) -> Unit:
    """Amounts in a currency, in major units."""

    def short_amount(value: float) -> str:
        return f"{MINUS if value < 0 else ''}{symbol(currency)}{short(abs(value))}"

    return Unit(lambda value: money(value, currency), short_amount)


def measured(unit: str, decimals: int = 0) -> Unit:
    """Values with a unit behind them: ``54.2 bpm``."""

    def full(value: Number | None) -> str:
        return UNKNOWN if value is None else f"{number(value, decimals)} {unit}".rstrip()

    return Unit(full, lambda value: f"{short(value)} {unit}".rstrip())


def _signed(unsigned: str, value: Number, signed: bool) -> str:
    if value < 0:
        return f"{MINUS}{unsigned}"
    return f"+{unsigned}" if signed and value > 0 else unsigned


@dataclass(frozen=True, slots=True)
class Change:
    """How a figure changed: ``text`` is by how much, ``direction`` is for the arrow."""

    direction: Literal["up", "down", "same", "unknown"]
    text: str
    share: float | None = None
    """By how much of the earlier value, as a ratio; None if that cannot be said."""


def relative_change(now: Number | None, before: Number | None) -> Change:
    """The change in percent. Relative to zero or a negative number, a percentage is meaningless."""
    if now is None or before is None:
        return Change("unknown", "not known")
    if now == before:
        return Change("same", "no change")
    direction: Literal["up", "down"] = "up" if now > before else "down"
    if before == 0:
        return Change(direction, "from zero")
    if before < 0:
        return Change(direction, "from below zero")
    ratio = float(now) / float(before)
    share = abs(ratio - 1)
    percent = share * 100
    if percent < 0.1:
        return Change(direction, "less than 0.1%", share)
    if ratio >= 10:
        return Change(direction, f"{TIMES}{ratio:,.0f}", share)
    return Change(direction, f"{percent:.1f}%" if percent < 9.95 else f"{percent:,.0f}%", share)
