"""What every statement format ends up as: rows of four streams.

A key does not depend on the file, so that a transaction in overlapping statements is the same row.
Which rows of different statements are one transaction is decided in SQL
(``marts.transaction_merges``), never here: the lake keeps each row as the bank provided it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from personal_pipeline.ingest.contract import DropRow, Record
from personal_pipeline.ingest.lake import canonical
from personal_pipeline.sources.bank.values import plain_text

_NO_ID = re.compile(r"[0\s-]*|none|null|n/?a", re.IGNORECASE)
_MASK = re.compile(r"[x*•.…#]{2,}|\*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Account:
    """An account as identified in a file.

    ``number`` is verbatim and stays in the lake; ``whole`` means that it is the full number, and
    not masked. ``name`` is set when the file has a name instead.
    """

    feed: str
    """``ofx``, or the name of the CSV dialect."""
    kind: str
    """bank, card or broker; ledger for data from a budgeting program."""
    institution: str | None = None
    """A part of the account's identity: a routing number, or the bank's name."""
    bank: str | None = None
    """The bank's name in the dialects, to find the same account in another format."""
    number: str | None = None
    whole: bool = False
    name: str | None = None
    title: str = "Account"
    told_by: str = "the file"
    currency: str | None = None
    folder: str | None = None
    """The folder below the inbox in which the user put the file."""
    raw: Record = field(default_factory=dict, hash=False, compare=False)

    @property
    def reference(self) -> str:
        """Identifies the account among all files of this feed; reveals nothing about its number."""
        identity = [self.institution, plain_text(self.number or self.name or self.feed)]
        return digest("account", self.feed, *identity)

    @property
    def number_digest(self) -> str | None:
        """Equal for equal full numbers, regardless of spacing."""
        plain = re.sub(r"[\W_]", "", self.number or "").casefold()
        return digest("number", plain) if self.whole and plain else None

    @property
    def last4(self) -> str | None:
        """The last four digits; None when there are fewer."""
        digits = re.sub(r"\D", "", self.number or "")
        return digits[-4:] if len(digits) >= 4 else None


@dataclass(frozen=True, slots=True)
class Booking:
    """A line of a statement. Money that the user pays is negative."""

    posted_on: date
    amount: str
    description: str
    id: str | None = None
    transacted_on: date | None = None
    currency: str | None = None
    memo: str | None = None
    kind: str | None = None
    category: str | None = None
    check_number: str | None = None
    pending: bool = False
    corrects: str | None = None
    correction: str | None = None
    raw: Record = field(default_factory=dict, hash=False, compare=False)


@dataclass(frozen=True, slots=True)
class Balance:
    """The balance of the account at the end of a day, as a statement gives it."""

    day: date
    amount: str
    kind: str = "ledger"
    """ledger or available, as in OFX; running, from a CSV column."""
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """The list of one account in one file, complete from ``start`` to ``end``, inclusive."""

    account: Account
    start: date | None
    end: date | None
    bookings: Sequence[Booking]
    balances: Sequence[Balance] = ()
    made_at: str | None = None
    """When the bank made it, as sortable digits: as the file says, else the file's own time. It
    tells which of two lists that end on the same day is later."""


def folder_of(path: Path) -> str | None:
    """The folder below the inbox that contains a file; None when there is none."""
    inbox = next((folder for folder in path.parents if folder.name == "inbox"), None)
    folders = path.relative_to(inbox).parts[:-1] if inbox else ()
    return folders[-1] if folders else None


def number_at_end(name: str) -> str | None:
    """The last digits of an account number in the name of a folder or file: four digits at its end
    that are not a year."""
    match = re.search(r"(?<!\d)(\d{4})$", name)
    return match[1] if match and not re.fullmatch(r"(?:19|20)\d\d", match[1]) else None


def has_mask(number: str) -> bool:
    """Whether part of an account number is masked: ``XXXX1234``, ``…1234``, ``-71002``."""
    return bool(_MASK.search(number)) or number.startswith("-")


def usable_id(text: str | None) -> str | None:
    """The bank's id; None for what banks write when they have none: ``0``, ``NONE``."""
    text = (text or "").strip()
    return None if _NO_ID.fullmatch(text) else text


def digest(*parts: object) -> str:
    """A short name that does not reveal what it stands for."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()[:24]


def rows_of(statement: Statement, captured_on: date) -> Iterator[DropRow]:
    """The rows of a statement: its account, itself, its balances and its transactions.

    ``captured_on`` dates a statement without any date.
    """
    account = statement.account
    reference = account.reference
    days = [booking.posted_on for booking in statement.bookings if not booking.pending]
    start = statement.start or min(days, default=None)
    end = statement.end or max(days, default=None)
    newest = [*days, *(balance.day for balance in statement.balances), *([end] if end else [])]
    month = max(newest, default=captured_on).replace(day=1)

    yield DropRow(
        "accounts",
        month,
        # the folder's name must not be lost when the next file is in none
        digest("folder", reference, account.folder) if account.folder else reference,
        {
            "account": reference,
            "feed": account.feed,
            "kind": account.kind,
            "institution": account.institution,
            "bank": account.bank,
            "number": account.number,
            "whole": account.whole,
            "number_digest": account.number_digest,
            "last4": account.last4,
            "name": account.name,
            "title": account.title,
            "told_by": account.told_by,
            "folder": account.folder,
            "currency": account.currency,
            "raw": account.raw,
        },
    )
    for balance in statement.balances:
        yield DropRow(
            "balances",
            balance.day.replace(day=1),
            digest("balance", reference, balance.kind, balance.day.isoformat()),
            {
                "account": reference,
                "feed": account.feed,
                "kind": balance.kind,
                "day": balance.day.isoformat(),
                "balance": balance.amount,
                "currency": balance.currency or account.currency,
            },
        )
    listed = []
    seen: Counter[str] = Counter()
    for booking in statement.bookings:
        same = _identity(account, reference, booking)
        seen[same] += 1
        key = digest("transaction", same, seen[same])
        listed.append(key)
        yield DropRow(
            "transactions",
            booking.posted_on.replace(day=1),
            key,
            _record(account, reference, booking, seen[same]),
        )
    if start and end:
        listed.sort()
        yield DropRow(
            "statements",
            month,
            digest("statement", reference, start.isoformat(), end.isoformat(), *listed),
            {
                "account": reference,
                "feed": account.feed,
                "start": start.isoformat(),
                "end": end.isoformat(),
                "made_at": statement.made_at,
                "transactions": listed,
            },
        )


def _identity(account: Account, reference: str, booking: Booking) -> str:
    """What identifies a line across files, except for the number of equal ones.

    The id alone does not suffice: some banks restart numbering in each file. Two equal coffees on
    one day are told apart by their number within the statement, so an overlapping statement, which
    has both of them too, adds none.
    """
    said = booking.id or [plain_text(booking.description), booking.memo]
    return digest(
        reference,
        "id" if booking.id else "content",
        said,
        booking.posted_on.isoformat(),
        booking.amount,
        booking.currency or account.currency,
        # the posted version must not be hidden by its pending one
        booking.pending,
    )


def _record(account: Account, reference: str, booking: Booking, occurrence: int) -> Record:
    return {
        "account": reference,
        "feed": account.feed,
        "id": booking.id,
        "occurrence": occurrence,
        "posted_on": booking.posted_on.isoformat(),
        "transacted_on": booking.transacted_on.isoformat() if booking.transacted_on else None,
        "amount": booking.amount,
        "currency": booking.currency or account.currency,
        "description": booking.description,
        "memo": booking.memo,
        "kind": booking.kind,
        "category": booking.category,
        "check_number": booking.check_number,
        "text": plain_text(f"{booking.description} {booking.memo or ''} {booking.category or ''}"),
        "pending": booking.pending,
        "corrects": booking.corrects,
        "correction": booking.correction,
        "raw": booking.raw,
    }
