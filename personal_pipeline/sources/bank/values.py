"""Amounts, dates and text as banks write them."""

from __future__ import annotations

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from typing import Literal, TypeAlias

MAX_FILE_BYTES = 12_000_000
"""A statement is small: a larger file is not one, or covers decades and can be split."""

EARLIEST, LATEST = date(1950, 1, 1), date(2100, 1, 1)

# ---------------------------------------------------------------------------------- amounts

Mark: TypeAlias = Literal[".", ","]

MARKS: tuple[Mark, Mark] = (".", ",")

MAX_DIGITS = 15
"""Before the decimal mark. A longer number is that of an account or a card."""

CURRENCIES = frozenset(
    re.findall(
        r"\w+",
        """
        AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN
        BWP BYN BZD CAD CDF CHF CLF CLP CNH CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB
        EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HRK HTG HUF IDR ILS INR IQD IRR ISK
        JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD
        MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR
        PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SLL SOS SRD SSP STN SVC SYP
        SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD UYU UZS VED VES VND VUV WST XAF XCD
        XOF XPF YER ZAR ZMW ZWL
        """,
    )
)
"""ISO 4217 codes of currencies in which banks keep accounts."""

THREE_DECIMALS = frozenset(["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"])

_SYMBOLS = "".join(
    letter for letter in map(chr, range(0x20, 0xFFFF)) if unicodedata.category(letter) == "Sc"
)
# the Cyrillic ones are lv, rub, r, grn, den and din; the Arabic ones rial, d.i, d.k, r.s and j.m
_WRITTEN = re.findall(
    r"\S+",
    """
    rs re fr sfr kr dkr nkr skr kč kc zł zl ft lei leu tl lv \u043b\u0432 \u0440\u0443\u0431
    \u0440 \u0433\u0440\u043d \u0434\u0435\u043d din \u0434\u0438\u043d rm rp r s/ b/ bs gs
    ksh tsh ush kn euro euros eur usd pts dhs dh sr qr kd bd jd \u0631\u064a\u0627\u0644
    \u062f.\u0625 \u062f.\u0643 \u0631.\u0633 \u062c.\u0645 円 元 圓 원 บาท
    """,
)
_ONE_SIGN = (
    rf"(?:[A-Za-z]{{0,3}}[{re.escape(_SYMBOLS)}]"
    rf"|(?i:{'|'.join(map(re.escape, sorted(_WRITTEN, key=len, reverse=True)))})\.?"
    rf"|(?:{'|'.join(sorted(CURRENCIES))}))"
)
_SIGN_FIRST = re.compile(rf"{_ONE_SIGN}(?![^\W\d_])\s*")
_SIGN_LAST = re.compile(rf"\s*(?<![^\W\d_]){_ONE_SIGN}$")
_CREDIT_OR_DEBIT = re.compile(r"\s*(?<![^\W\d_])(CR|DR)\.?$", re.IGNORECASE)
_NO_CENTS = re.compile(r"(?<=\d)([.,])-{1,2}$")
_TINY = re.compile(r"(?<=\d)[eE]-(\d{1,2})$")

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"
_APOSTROPHES = "\u2019\u2018\u02bc\u2032\u00b4`\uff07\u066c"
_ARABIC_MARK = "\u066b"


def _number_pattern(mark: Mark) -> re.Pattern[str]:
    """A number whose decimal mark is known. The group separator is the same throughout; groups have
    three digits, or in India two before the last; and no group of thousands begins with 0."""
    between = "[.,' ]".replace(mark, "")
    other = re.escape(between[1])
    return re.compile(
        rf"(?P<whole>\d*"
        rf"|[1-9]\d{{0,2}}(?P<between>{between})\d{{3}}(?:(?P=between)\d{{3}})*"
        rf"|[1-9]\d?(?:{other}\d\d)+{other}\d{{3}})"
        rf"(?:{re.escape(mark)}(?P<part>\d*))?"
    )


_NUMBERS = {mark: _number_pattern(mark) for mark in MARKS}


@dataclass(frozen=True, slots=True)
class _Cell:
    """The possible readings of a cell, by decimal mark; none when it is not an amount."""

    readings: tuple[tuple[Mark, Decimal], ...] = ()
    thousandths: bool = False
    """Three digits follow its only mark, the last of them 0."""
    marked: bool = False
    zero: bool = False

    @property
    def is_open(self) -> bool:
        """Whether its value depends on the decimal mark: ``1,234``."""
        return len({number for _, number in self.readings}) > 1

    @property
    def vote(self) -> Mark | None:
        """The only mark under which it is an amount."""
        return self.readings[0][0] if len(self.readings) == 1 else None


def _plain(text: str) -> str:
    """The text of a cell with digits, signs, spaces and apostrophes normalized."""
    if match := re.fullmatch(r'\s*="(.*)"\s*', text):  # keeps spreadsheets from converting it
        text = match[1]
    letters = []
    for letter in text.strip().removeprefix("'"):
        kind = unicodedata.category(letter)
        if kind == "Nd":
            letter = str(unicodedata.decimal(letter))
        elif kind == "Zs" or letter == "\t":
            letter = " "
        elif kind == "Cf":  # text direction marks
            continue
        elif letter in _DASHES:
            letter = "-"
        elif letter in _APOSTROPHES:
            letter = "'"
        elif "\uff01" <= letter <= "\uff5e":
            letter = chr(ord(letter) - 0xFEE0)
        letters.append(letter)
    return "".join(letters).strip()


@lru_cache(maxsize=4_096)
def _cell(text: str) -> _Cell:
    text = _plain(text)
    negative: set[bool] = set()
    if match := _CREDIT_OR_DEBIT.search(text):
        negative.add(match[1].upper() == "DR")
        text = text[: match.start()]
    text = text.removesuffix("/-")
    signs = brackets = currencies = 0
    while True:
        text = text.strip()
        if text[:1] in ("+", "-"):
            negative.add(text[0] == "-")
            signs += 1
            text = text[1:]
        elif text[:1] == "(" and text[-1:] == ")":
            negative.add(True)
            brackets += 1
            text = text[1:-1]
        elif match := _SIGN_FIRST.match(text) or _SIGN_LAST.search(text):
            currencies += 1
            text = text[: match.start()] + text[match.end() :]
        elif _NO_CENTS.search(text):
            text = _NO_CENTS.sub(r"\1", text)
        elif text[-1:] in ("+", "-"):
            negative.add(text[-1] == "-")
            signs += 1
            text = text[:-1]
        else:
            break
    exponent = 0
    if match := _TINY.search(text):
        # how programs write 0.00001; a positive exponent has lost digits
        exponent, text = int(match[1]), text[: match.start()]
    if signs > 1 or brackets > 1 or currencies > 1 or len(negative) > 1:
        return _Cell()
    readings: list[tuple[Mark, Decimal]] = []
    for mark in MARKS:
        match = _NUMBERS[mark].fullmatch(text.replace(_ARABIC_MARK, mark))
        digits = re.sub(r"\D", "", match["whole"]) if match else ""
        part = (match["part"] or "") if match else ""
        if not (digits or part) or len(digits) > MAX_DIGITS:
            continue
        number = Decimal(f"{digits or 0}.{part or 0}E-{exponent}")
        readings.append((mark, number.copy_negate() if True in negative else number))
    if _ARABIC_MARK in text and len({number for _, number in readings}) == 1:
        readings = [(mark, readings[0][1]) for mark in MARKS]
    return _Cell(
        tuple(readings),
        thousandths=bool(re.fullmatch(r"\d+[.,]\d\d0", text)),
        marked="." in text or "," in text,
        zero=bool(readings) and not any(number for _, number in readings),
    )


ENOUGH_FOR_THOUSANDTHS = 5
"""Among this many amounts, one is less than a thousand, or not round: if all look like ``1.250``,
they may have three decimals."""

MAX_OTHERS = 0.2
"""The share of amounts that may contradict a file's decimal mark. They are not read."""


@dataclass(frozen=True, slots=True)
class DecimalMark:
    """How a file writes amounts. ``mark`` is None when nothing decides; then only amounts with the
    same value under either mark, or valid under only one, can be read.

    ``doubt`` is a sentence about what was uncertain, without values.
    """

    mark: Mark | None
    doubt: str | None = None


ANSWER_DECIMAL = 'say `decimal: "."` or `decimal: ","` in a dialect of your own'


def decimal_mark(
    amounts: Iterable[str], currencies: Collection[str] = (), answer: str = ANSWER_DECIMAL
) -> DecimalMark:
    """The decimal mark of a file: decided by all of its amounts together, else by what is usual for
    its currencies (ISO codes).

    A single amount can deceive: ``1,234`` is over a thousand in one file, and a bit more than one
    in another. A file with only such amounts is decided by its currencies: with no decimals, or
    two, the three digits are thousands; with three, as in Kuwait, they are decimals. ``answer`` is
    what the user can do if that is wrong.
    """
    cells = [cell for text in amounts if text.strip() and (cell := _cell(text)).readings]
    votes = Counter(vote for cell in cells if (vote := cell.vote))
    if votes:
        (mark, most), *others = votes.most_common()
        if sum(count for _, count in others) <= MAX_OTHERS * most:
            return DecimalMark(mark)
        return DecimalMark(
            None,
            "Some amounts have a decimal point and others a decimal comma: ambiguous ones, such as "
            f"1,234, are not ingested. To ingest them, {answer}.",
        )
    unclear = [cell for cell in cells if cell.is_open]
    if not unclear:
        return DecimalMark(".")
    return _by_currency(cells, unclear, {each.upper() for each in currencies}, answer)


def _by_currency(
    cells: Sequence[_Cell], unclear: Sequence[_Cell], currencies: set[str], answer: str
) -> DecimalMark:
    said = ", ".join(sorted(currencies)) if currencies <= CURRENCIES else ""
    written: set[Mark] = {"." if _grouped_by(cell, ".") else "," for cell in unclear}
    all_marked = all(cell.marked or cell.zero for cell in cells)
    if len(written) == 1 and said:
        (sign,) = written
        other: Mark = "," if sign == "." else "."
        if currencies <= THREE_DECIMALS and all_marked:
            return DecimalMark(sign, _decided(said, "as three decimals", answer))
        like_decimals = (
            all_marked
            and len(cells) >= ENOUGH_FOR_THOUSANDTHS
            and all(cell.thousandths or cell.zero for cell in cells)
        )
        if not (currencies & THREE_DECIMALS) and not like_decimals:
            return DecimalMark(other, _decided(said, "as thousands", answer))
    return DecimalMark(
        None,
        "The file does not show whether amounts such as 1,234 are thousands or have three "
        f"decimals: they are not ingested. To ingest them, {answer}.",
    )


def _decided(currencies: str, how: str, answer: str) -> str:
    return (
        "No amount in the file distinguishes thousands from decimals; those with three digits "
        f"after their only separator were read {how}, as is usual for {currencies}. If that is "
        f"wrong, {answer}."
    )


def _grouped_by(cell: _Cell, sign: Mark) -> bool:
    """Whether the only mark of an ambiguous amount is this one: under it, the value is smaller."""
    numbers = {mark: abs(number) for mark, number in cell.readings}
    other: Mark = "," if sign == "." else "."
    return numbers[sign] < numbers[other]


def amount_of(text: str, mark: str | None = None) -> Decimal:
    """The number in a cell: ``-$1,234.50``, ``(12.00)``, ``12.00-``, ``Rs. 3``, ``7.10 CR``, with
    all its digits. A text with anything beyond one number and a currency is not an amount.

    ``mark`` is the decimal mark of the file. Without it the amount must be the same under either.
    Raises ``ValueError``, without the text.
    """
    cell = _cell(text)
    if not cell.readings:
        raise ValueError("expected an amount")
    if mark is None:
        if cell.is_open:
            raise ValueError("expected an amount with an unambiguous decimal mark")
        return cell.readings[0][1]
    found = dict(cell.readings).get("," if mark == "," else ".")
    if found is None:
        raise ValueError(f"expected an amount with the decimal mark of the file, {mark}")
    return found


def says_direction(text: str) -> bool:
    """Whether an amount has CR or DR beside it: it then says itself whether it came in or went out,
    and its number has our sign."""
    return bool(_CREDIT_OR_DEBIT.search(_plain(text))) and is_amount(text)


def is_negative(text: str) -> bool:
    """Whether an amount is marked as negative, whatever its value."""
    return any(number.is_signed() for _, number in _cell(text).readings)


def is_amount(text: str) -> bool:
    """Whether a cell is an amount, under either decimal mark."""
    return bool(_cell(text).readings)


def plain_amount(number: Decimal) -> str:
    """A canonical form of a number, so that equal amounts in two files are equal text."""
    if not number:
        return "0"
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


# ------------------------------------------------------------------------------------ dates

_PART = {
    "%Y": r"(?P<Y>\d{4})",
    "%y": r"(?P<y>\d{2})",
    "%m": r"(?P<m>\d{1,2})",
    "%d": r"(?P<d>\d{1,2})",
    "%b": r"(?P<b>[^\W\d_]{3,})\.?",
}
_MONTHS = {
    name: month
    for month, names in enumerate(
        (
            "jan ene gen",
            "feb fev",
            "mar mrt mrz maa",
            "apr avr abr",
            "may mai mei maj mag",
            "jun juin giu",
            "jul juil lug",
            "aug ago aou",
            "sep set",
            "oct okt out ott",
            "nov",
            "dec dez dic des",
        ),
        start=1,
    )
    for name in names.split()
}
"""Month name prefixes, without accents: English, German, French, Spanish, Italian, Dutch,
Portuguese and Nordic languages."""


@cache
def date_pattern(format_: str) -> re.Pattern[str]:
    """A regular expression for a format of ``%Y %y %m %d %b`` at the start of a cell; a time of
    day, or ``as of`` another date, may follow. Raises ``ValueError`` for any other code."""
    pattern = ""
    # without separators, as in 20260901, a day cannot have one digit
    tight = bool(re.search(r"%[Yymd]%[md]", format_))
    for piece in re.split(r"(%.)", format_):
        if piece.startswith("%") and piece not in _PART:
            raise ValueError(f"{piece} is not one of {', '.join(_PART)}")
        part = _PART.get(piece, re.escape(piece))
        pattern += part.replace("{1,2}", "{2}") if tight else part
    codes = re.findall(r"%.", format_)
    if len(codes) != len(set(codes)):
        raise ValueError("expected each of %Y, %m, %d and the like once")
    found = re.compile(pattern + r"(?!\d)")
    names = set(found.groupindex)
    if not ({"Y", "y"} & names and {"m", "b"} & names and "d" in names):
        raise ValueError("expected a year, a month and a day")
    return found


def date_of(text: str, pattern: re.Pattern[str]) -> date:
    """The date at the start of a cell, without any time zone shift. Raises ``ValueError``, without
    the text."""
    match = pattern.match(text.strip().removeprefix("'"))
    if match is None:
        raise ValueError("expected a date")
    parts = match.groupdict()
    year = int(parts["Y"]) if parts.get("Y") else 2000 + int(parts["y"])
    month = int(parts["m"]) if parts.get("m") else _month(parts["b"])
    if month is None:
        raise ValueError("expected the name of a month")
    return sensible(date(year, month, int(parts["d"])))


def _month(name: str) -> int | None:
    letters = unicodedata.normalize("NFKD", name.casefold())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return _MONTHS.get(plain[:4]) or _MONTHS.get(plain[:3])


def sensible(day: date) -> date:
    """The date itself; raises ``ValueError`` when it is implausible for a statement."""
    if not EARLIEST <= day < LATEST:
        raise ValueError("expected a date between 1950 and 2100")
    return day


@dataclass(frozen=True, slots=True)
class DateHints:
    """What is known about a file's dates before reading any.

    ``latest`` is the day it was made: no transaction is later. ``first`` and ``last`` are the
    period given in its name. ``day_first`` is the bank's usual order, None when that is unknown or
    both are usual.
    """

    latest: date | None = None
    first: date | None = None
    last: date | None = None
    day_first: bool | None = None


@dataclass(frozen=True, slots=True)
class DateFormat:
    """How a file writes dates. ``pattern`` is None when nothing decides between ``rivals``.

    ``doubt`` is a sentence about what was uncertain.
    """

    pattern: re.Pattern[str] | None
    format: str | None = None
    rivals: tuple[str, ...] = ()
    doubt: str | None = None


A_DAY = timedelta(days=1)
DAYS_AROUND_SPAN = timedelta(days=3)
DAYS_BETWEEN_DATES = timedelta(days=21)
"""A purchase is posted within this time after it was made."""

ENOUGH_FOR_ORDER = 4
"""This many distinct days in order are not in order by chance."""

_UNITED_STATES = re.compile(
    r"^(?:[PMCE][SD]T$|AK[SD]T$|HST$|US/|Pacific/Honolulu|America/(?:New_York|Chicago|Denver|Boise|"
    r"Los_Angeles|Phoenix|Detroit|Anchorage|Indiana|Kentucky|North_Dakota))"
)
_DAY_FIRST_ZONE = re.compile(
    r"^(?:Europe/|Africa/|Australia/|GMT|BST$|WES?T$|CES?T$|MES?Z$|EES?T$|AE[SD]T$|NZ[SD]T$|IST$)"
)
_BOTH_ARE_USUAL = ("CA", "PH", "CAD", "PHP")


def day_first_in(place: str | None) -> bool | None:
    """Whether the day is written before the month in a country (two letters), where a currency (ISO
    code) is used, or in a time zone. None when that is unknown, or both are usual."""
    if not place or place in _BOTH_ARE_USUAL:
        return None
    if place in ("US", "USD") or _UNITED_STATES.match(place):
        return False
    if len(place) == 2 or place in CURRENCIES or _DAY_FIRST_ZONE.match(place):
        return True
    return None


def date_format(
    rows: Sequence[Sequence[str]], formats: Sequence[str], hints: DateHints | None = None
) -> DateFormat:
    """The format of a file's dates. ``rows`` has the dates of each row, posting date first.

    The rows decide: by a day that cannot be a month; else by the file (none of its days is in the
    future, or outside the period in its name), by the order of the rows, by the distance between
    the two dates of a row, and finally by what is usual for the bank. A single declared format is
    only checked for day and month being swapped.
    """
    hints = hints or DateHints()
    asked = [*formats, *(twin for each in formats if (twin := swapped(each)) not in formats)]
    read = [[_days(row, date_pattern(each)) for row in rows] for each in asked]
    counts = [sum(day is not None for row in days for day in row) for days in read]
    if not any(counts[: len(formats)]):
        if any(counts):
            return _undecided([asked[counts.index(max(counts))]])
        return DateFormat(date_pattern(formats[0]), formats[0])
    best = counts.index(max(counts))
    rivals = [best]
    for place, days in enumerate(read):
        if place == best or not counts[place]:
            continue
        pairs = [
            (one, other)
            for mine, its in zip(read[best], days, strict=True)
            for one, other in zip(mine, its, strict=True)
        ]
        differ = any(one and other and one != other for one, other in pairs)
        if not differ and asked[place] != swapped(asked[best]):
            continue
        only_best = sum(other is None for one, other in pairs if one)
        only_its = sum(one is None for one, other in pairs if other)
        if only_its > MAX_OTHERS * only_best:
            return _undecided([asked[best], asked[place]])
        # an undeclared format does not rival declared ones
        if differ and not only_best and place < len(formats):
            rivals.append(place)
    if len(rivals) == 1:
        if best >= len(formats):
            return _undecided([asked[best]])
        return DateFormat(date_pattern(asked[best]), asked[best])
    left = rivals
    for test in (_in_the_past, _in_the_span, _in_order, _dates_are_near):
        passed = [place for place in left if test(read[place], hints)]
        left = passed or left
        if len(left) == 1:
            return DateFormat(date_pattern(asked[left[0]]), asked[left[0]])
    usual = [place for place in left if _day_first(asked[place]) is hints.day_first]
    if hints.day_first is not None and len(usual) == 1:
        format_ = asked[usual[0]]
        return DateFormat(
            date_pattern(format_),
            format_,
            doubt=f"The dates fit both {' and '.join(asked[p] for p in left)}: they were read as "
            f"{format_}, as is usual there.",
        )
    return _undecided([asked[each] for each in left])


def _undecided(rivals: Sequence[str]) -> DateFormat:
    return DateFormat(None, rivals=tuple(rivals))


def swapped(format_: str) -> str:
    """The format with day and month swapped; the format itself if it is unambiguous."""
    if not re.search(r"%d(?!.?%Y).*%m|%m(?!.?%Y).*%d", format_) or format_.startswith(("%Y", "%y")):
        return format_
    return format_.replace("%d", "\0").replace("%m", "%d").replace("\0", "%m")


def _day_first(format_: str) -> bool:
    return "%d" in format_ and format_.find("%d") < max(format_.find("%m"), format_.find("%b"))


def _days(row: Sequence[str], pattern: re.Pattern[str]) -> list[date | None]:
    found: list[date | None] = []
    for text in row:
        try:
            found.append(date_of(text, pattern))
        except ValueError:
            found.append(None)
    return found


def _in_the_past(rows: Sequence[Sequence[date | None]], hints: DateHints) -> bool:
    latest = hints.latest
    return latest is None or all(not row[0] or row[0] <= latest + A_DAY for row in rows)


def _in_the_span(rows: Sequence[Sequence[date | None]], hints: DateHints) -> bool:
    first, last = hints.first, hints.last
    if first is None or last is None:
        return True
    days = [row[0] for row in rows if row[0]]
    return all(first - DAYS_AROUND_SPAN <= day <= last + DAYS_AROUND_SPAN for day in days)


def _in_order(rows: Sequence[Sequence[date | None]], _: DateHints) -> bool:
    days = [row[0] for row in rows if row[0]]
    if len(set(days)) < ENOUGH_FOR_ORDER:
        return True
    return days in (sorted(days), sorted(days, reverse=True))


def _dates_are_near(rows: Sequence[Sequence[date | None]], _: DateHints) -> bool:
    return all(
        abs(day - row[0]) <= DAYS_BETWEEN_DATES for row in rows if row[0] for day in row[1:] if day
    )


_NAMED_DAY = re.compile(
    r"(?<!\d)((?:19|20)\d\d)[-_.]?(0[1-9]|1[0-2])[-_.]?(0[1-9]|[12]\d|3[01])(?!\d)"
)
_NAMED_MONTH = re.compile(r"(?<!\d)((?:19|20)\d\d)[-_.](0[1-9]|1[0-2])(?!\d)(?![-_.]\d)")


def hints_of_name(name: str, captured_on: date, modified_on: date) -> DateHints:
    """What a file name reveals about the file's dates, together with when it was captured and last
    modified.

    Two days are a period. A day that is the first of a month may be the start of a period, so it
    does not say when the file was made.
    """
    days = []
    for match in _NAMED_DAY.finditer(name):
        try:
            days.append(date(*(int(part) for part in match.groups())))
        except ValueError:
            continue
    months = [date(int(year), int(month), 1) for year, month in _NAMED_MONTH.findall(name)]
    if len(days) > 1:
        return DateHints(modified_on, min(days), max(days))
    if days:
        return DateHints(modified_on if days[0].day == 1 else captured_on)
    if len(months) == 1:
        end = (months[0] + timedelta(days=32)).replace(day=1) - A_DAY
        return DateHints(modified_on, months[0], end)
    return DateHints(captured_on)


_OFX_DATE = re.compile(r"(\d{4})-?(\d\d)-?(\d\d)(?:\D|\d\d|$)")


def ofx_date(text: str) -> date:
    """The date part of an OFX time, ``20240402000000[-3:GMT]``. Raises ``ValueError``.

    The offset is ignored: banks write midnight or noon for "that day here", and applying it would
    move the date to the day before.
    """
    match = _OFX_DATE.match(text.strip())
    if match is None:
        raise ValueError("expected YYYYMMDD")
    return sensible(date(*(int(part) for part in match.groups())))


# ------------------------------------------------------------------------------------- text


def plain_text(text: str) -> str:
    """Text for comparison: entities resolved, Unicode normalized, single spaces, lower case."""
    return " ".join(unicodedata.normalize("NFKC", html.unescape(text)).casefold().split())


_MARKS_OF_ORDER = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe\0\0": "utf-32",
    b"\0\0\xfe\xff": "utf-32",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
OLD_ENCODINGS = ("cp1252", "cp1250", "cp932", "cp949", "gb18030", "cp1251", "cp1253", "cp1254")
"""Ties go to the first: most files that are not UTF-8 are Western."""

_LONGER_LETTER = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_LATIN_WORD = re.compile(r"[^\W\d_]{3,}")
ENOUGH_TO_JUDGE = 65_536


def decoded(content: bytes, encoding: str | None = None) -> str:
    """The text of a file; undecodable bytes become U+FFFD.

    The charset in a header is ignored: it is often false. ``encoding`` is what a dialect declares,
    and applies unless the file is UTF-8.
    """
    return content.decode(encoding_of(content, encoding), errors="replace").removeprefix("\ufeff")


def encoding_of(content: bytes, declared: str | None = None) -> str:
    """The encoding of a whole file: from its byte order mark; UTF-8 if its multi-byte characters
    are, even if one is cut off; else ``declared``, or the legacy encoding in which the text looks
    most like words."""
    for mark, encoding in _MARKS_OF_ORDER.items():
        if content.startswith(mark):
            return encoding
    if content.isascii():
        return "utf-8"
    letters = _LONGER_LETTER.findall(content)
    broken = len(_LONGER_LETTER.sub(b"", content).translate(None, bytes(range(128))))
    # two legacy characters occasionally look like one in UTF-8; a longer text does not
    if letters and broken <= len(letters) / 2 and not (declared and _is_wide(content, declared)):
        return "utf-8"
    if declared:
        return declared
    some = content[:ENOUGH_TO_JUDGE]
    return min(OLD_ENCODINGS, key=lambda each: _oddness(some, each))


def _is_wide(content: bytes, encoding: str) -> bool:
    """Whether all of it is text in a double-byte encoding, such as those of East Asia."""
    try:
        return len(content.decode(encoding)) < len(content)
    except (UnicodeDecodeError, LookupError):
        return False


class _Looks(dict[int, str]):
    """Of each character, by its number, what counts when a text is judged: ``l`` a small letter,
    ``U`` a capital one that is not ASCII, ``?`` what words do not hold, ``+`` a mathematical sign,
    ``h`` half-width Japanese, usually misread Chinese, and ``.`` anything else."""

    def __missing__(self, number: int) -> str:
        letter = chr(number)
        kind = unicodedata.category(letter)
        look = "l" if kind == "Ll" else "."
        if not letter.isascii():
            if kind in ("Cc", "Co", "Cn", "So", "Sk", "No"):
                look = "?"
            elif "\uff61" <= letter <= "\uff9f":
                look = "h"
            else:
                look = {"Lu": "U", "Sm": "+"}.get(kind, look)
        self[number] = look
        return look


_LOOKS = _Looks()


@cache
def _alphabet(letter: str) -> str:
    return unicodedata.name(letter, "").split(" ")[0]


def _oddness(content: bytes, encoding: str) -> int:
    """How much of a text does not look like words, if it is in this encoding."""
    text = content.decode(encoding, errors="replace")
    # in bulk: a recording of a device is asked, too, and is odd all through
    looks = text.translate(_LOOKS)
    odd = 3 * looks.count("?") + looks.count("+") + 2 * looks.count("h") + looks.count("lU")
    for word in _LATIN_WORD.findall(text):
        if word.isascii():
            continue
        kinds = {_alphabet(letter) for letter in word}
        # a word of accented letters only is in another alphabet; so is one that mixes two
        odd += 2 * (kinds == {"LATIN"} and not any(letter.isascii() for letter in word))
        odd += 2 * (len(kinds & {"LATIN", "CYRILLIC", "GREEK", "HANGUL", "CJK"}) > 1)
    return odd
