"""What every format of statement ends in: rows of four streams.

A key does not depend on the file, so that a transaction of an overlapping statement is the same
row. Which rows of different statements are one transaction is decided in SQL
(``marts.transaction_merges``), never here: the lake keeps each row as its bank gave it.
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
    """An account as a file tells it.

    ``number`` is verbatim and stays in the lake; ``whole`` says that it is the number itself, and
    not what a mask left of it. ``name`` is there when the file tells a name instead.
    """

    feed: str
    """``ofx``, or the name of the CSV dialect."""
    kind: str
    """bank, card or broker; ledger for what a budgeting program keeps."""
    institution: str | None = None
    """A part of the account's identity: a routing number, or the bank's name."""
    bank: str | None = None
    """The bank as the dialects call it, to find the same account in another format."""
    number: str | None = None
    whole: bool = False
    name: str | None = None
    title: str = "Account"
    told_by: str = "the file"
    currency: str | None = None
    folder: str | None = None
    """The folder below the inbox in which the person put the file."""
    raw: Record = field(default_factory=dict, hash=False, compare=False)

    @property
    def reference(self) -> str:
        """Identifies the account among all files of this feed; tells nothing of its number."""
        identity = [self.institution, plain_text(self.number or self.name or self.feed)]
        return digest("account", self.feed, *identity)

    @property
    def number_digest(self) -> str | None:
        """Equal for equal whole numbers, however they are spaced."""
        plain = re.sub(r"[\W_]", "", self.number or "").casefold()
        return digest("number", plain) if self.whole and plain else None

    @property
    def last4(self) -> str | None:
        """The last four digits; None when there are fewer."""
        digits = re.sub(r"\D", "", self.number or "")
        return digits[-4:] if len(digits) >= 4 else None


@dataclass(frozen=True, slots=True)
class Booking:
    """A line of a statement. Money that leaves the person is negative."""

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
    """What a statement says that the account holds at the end of a day."""

    day: date
    amount: str
    kind: str = "ledger"
    """ledger or available, as OFX says it; running, from the column of a CSV."""
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """The list of one account in one file, complete from ``start`` to ``end``, both included."""

    account: Account
    start: date | None
    end: date | None
    bookings: Sequence[Booking]
    balances: Sequence[Balance] = ()
    made_at: str | None = None
    """When the bank made it, as digits that sort: as the file says, else the file's own time. Of
    two lists that end on the same day it says which one is the later."""


def folder_of(path: Path) -> str | None:
    """The folder below the inbox that a file lies in; None when it lies in none."""
    inbox = next((folder for folder in path.parents if folder.name == "inbox"), None)
    folders = path.relative_to(inbox).parts[:-1] if inbox else ()
    return folders[-1] if folders else None


def number_at_end(name: str) -> str | None:
    """The end of an account's number in the name of a folder or file: four digits that are the last
    of it, and no year."""
    match = re.search(r"(?<!\d)(\d{4})$", name)
    return match[1] if match and not re.fullmatch(r"(?:19|20)\d\d", match[1]) else None


def has_mask(number: str) -> bool:
    """Whether something hides a part of an account number: ``XXXX1234``, ``…1234``, ``-71002``."""
    return bool(_MASK.search(number)) or number.startswith("-")


def usable_id(text: str | None) -> str | None:
    """The id that a bank gave, None for what banks write when they have none: ``0``, ``NONE``."""
    text = (text or "").strip()
    return None if _NO_ID.fullmatch(text) else text


def digest(*parts: object) -> str:
    """A short name for something that is nobody's business."""
    return hashlib.sha256(canonical(list(parts)).encode()).hexdigest()[:24]


def rows_of(statement: Statement, captured_on: date) -> Iterator[DropRow]:
    """The rows of a statement: its account, itself, its balances and its transactions.

    ``captured_on`` dates a statement that holds no date at all.
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
        # what one folder says must not be lost when the next file lies in none
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
    """What makes a line the same line in another file, but for how many equal ones there are.

    The id alone does not do: some banks begin to count anew in each file. Two equal coffees of a
    day are told apart by their number within the statement, so an overlapping statement, which
    holds both of them, too, adds none.
    """
    said = booking.id or [plain_text(booking.description), booking.memo]
    return digest(
        reference,
        "id" if booking.id else "content",
        said,
        booking.posted_on.isoformat(),
        booking.amount,
        booking.currency or account.currency,
        # one that is posted later must not be hidden behind itself
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
