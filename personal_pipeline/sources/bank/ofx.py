"""OFX 1.x (SGML), OFX 2.x (XML) and QFX: statements that a bank gives to money programs.

The format: https://financialdataexchange.org/ofx. Leaves of OFX 1 have no end tag, a whole file may
be one line, and real files break every rule there is: no header, a charset that is not true, empty
tags without an end, bare ampersands, dates that are none. So the tags are read here without a
schema, and each transaction is judged by itself: one that is broken costs itself only.
docs/decisions/0014-own-ofx-reader.md tells why this is not left to ofxtools.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from personal_pipeline.ingest.contract import (
    Claim,
    DropFile,
    DropRow,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.sources.bank.dialect import dialects_for, institutions, plain_column
from personal_pipeline.sources.bank.statement import (
    Account,
    Balance,
    Booking,
    Statement,
    folder_of,
    has_mask,
    rows_of,
    usable_id,
)
from personal_pipeline.sources.bank.values import (
    LARGEST_FILE_BYTES,
    amount_of,
    decimal_mark,
    decoded,
    ofx_date,
    plain_amount,
)

MOST_NESTED = 40
"""A tag this deep is not a tag: OFX nests about ten levels."""

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9._]*)[^<>]{0,200}>")
_START = re.compile(r"<OFX\s*>|OFXHEADER\s*[:=]|<\?OFX\b", re.IGNORECASE)
_CDATA, _CDATA_END = "<![CDATA[", "]]>"

_STATEMENTS = {"STMTRS": "bank", "CCSTMTRS": "card", "INVSTMTRS": "broker"}
_AGGREGATES = {*_STATEMENTS, "STMTTRN", "BANKTRANLIST", "INVTRANLIST", "LEDGERBAL", "AVAILBAL"}
"""What is never an empty leaf, also where its end is missing."""

_NO_CASH = {"REINVEST", "TRANSFER", "SPLIT", "JRNLSEC", "JRNLFUND", "RETOFCAP"}


@dataclass(slots=True)
class Tag:
    """An element: a leaf has text, an aggregate has children."""

    name: str
    text: str = ""
    children: list[Tag] = field(default_factory=list)
    ended: bool = False

    def first(self, name: str) -> Tag | None:
        return next((child for child in self.children if child.name == name), None)

    def leaf(self, *path: str) -> str | None:
        """The text at a path of names; None when it is missing or empty."""
        found: Tag | None = self
        for name in path:
            found = found.first(name) if found else None
        return html.unescape(found.text) or None if found else None

    def everywhere(self, name: str) -> Iterator[Tag]:
        """The elements of a name below this one, in order."""
        for child in self.children:
            if child.name == name:
                yield child
            elif child.children:
                yield from child.everywhere(name)

    def verbatim(self) -> Record:
        """Names and texts as they stand in the file; what is repeated is a list."""
        record: Record = {}
        for child in self.children:
            value = child.verbatim() if child.children else child.text
            if child.name in record:
                before = record[child.name]
                record[child.name] = [*(before if isinstance(before, list) else [before]), value]
            else:
                record[child.name] = value
        return record


def _without_cdata(text: str) -> str:
    pieces, place = [], 0
    while (start := text.find(_CDATA, place)) >= 0:
        end = text.find(_CDATA_END, start)
        if end < 0:
            break
        pieces += [text[place:start], html.escape(text[start + len(_CDATA) : end], quote=False)]
        place = end + len(_CDATA_END)
    return "".join([*pieces, text[place:]])


def read_tags(text: str) -> Tag:
    """The tree of tags in the text of an OFX file.

    A tag that text follows is a leaf and ends with its text. One that nothing closes is an empty
    leaf, and what was taken for its children belongs to its parent. No aggregate of OFX holds
    another of its own name, so the next one of the same name closes it. Takes linear time.
    """
    text = _without_cdata(text)
    root = Tag("")
    open_tags = [root]
    matches = list(_TAG.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    for match, end in zip(matches, ends, strict=False):
        closes, name = match[1] == "/", match[2].upper()
        place = next((n for n, tag in enumerate(open_tags) if tag.name == name), None)
        if place is not None:
            _close(open_tags, place)
        if closes or len(open_tags) > MOST_NESTED:
            continue
        content = text[match.end() : end].strip()
        tag = Tag(name, content)
        open_tags[-1].children.append(tag)
        if not content and not match[0].endswith("/>"):
            open_tags.append(tag)
    return root


def _close(open_tags: list[Tag], place: int) -> None:
    """Close the open tag at a place; those within it that nothing closed were empty leaves."""
    for parent, empty in zip(open_tags[-2 : place - 1 : -1], open_tags[:place:-1], strict=True):
        if empty.name not in _AGGREGATES:
            parent.children.extend(empty.children)
            empty.children = []
    open_tags[place].ended = True
    del open_tags[place:]


def recognise_ofx(file: DropFile) -> Claim | None:
    """Whether the file is OFX or QFX, with or without a header."""
    try:
        text = decoded(file.head())
    except OSError:
        return None
    if not _START.search(text):
        return None
    if re.search(r"<OFX\s*>", text, re.IGNORECASE):
        kind = "QFX" if "<INTU.BID>" in text.upper() else "OFX"
        return Claim(0.97, f"{kind}: the tag <OFX> of a bank statement")
    return Claim(0.6, "begins with a header of OFX, without the tag <OFX>")


def read_ofx(file: DropFile) -> Iterator[DropRow | Unreadable]:
    """The accounts, statements, balances and transactions of all accounts in the file.

    Raises ``UnreadableFile`` when there is no account in it.
    """
    root = read_tags(decoded(file.content(LARGEST_FILE_BYTES)))
    banks = institutions(dialects_for(file.home)[0])
    found = 0
    signon = next(root.everywhere("SONRS"), Tag("SONRS"))
    for name, kind in _STATEMENTS.items():
        for statement in root.everywhere(name):
            found += 1
            account = _account(statement, kind, signon, banks, folder_of(file.path))
            yield from _statement(statement, account, signon, file.captured_at)
    if not found:
        code = next((t.leaf("STATUS", "CODE") for t in root.everywhere("SONRS")), None)
        if code not in (None, "0"):
            raise UnreadableFile(
                "OFX: the bank answered with an error instead of a statement. Download it again."
            )
        raise UnreadableFile(
            "OFX: no statement in it. Expected <STMTRS>, <CCSTMTRS> or <INVSTMTRS> with an "
            "account; download the transactions again, as OFX, QFX or “Money”."
        )


def _statement(
    statement: Tag, account: Account | None, signon: Tag, captured_at: datetime
) -> Iterator[DropRow | Unreadable]:
    if account is None:
        yield Unreadable(
            "a statement without an account: expected ACCTID in BANKACCTFROM, CCACCTFROM or "
            "INVACCTFROM",
            statement.verbatim(),
        )
        return
    lines = list(_lines(statement))
    amounts = [line.leaf("TRNAMT") or "" for line in lines]
    stated = list(_stated(statement))
    mark = decimal_mark([*amounts, *(amount for _, amount, _ in stated)])
    bookings: list[Booking] = []
    for line, amount in zip(lines, amounts, strict=True):
        try:
            bookings.append(_booking(line, amount, mark))
        except ValueError as error:
            yield Unreadable(f"a transaction: {error}", line.verbatim())
    balances: list[Balance] = []
    for name, amount, as_of in stated:
        try:
            number = plain_amount(amount_of(amount, mark))
            day = ofx_date(as_of)
        except ValueError as error:
            yield Unreadable(f"a balance ({name}): {error}", {"BALAMT": amount, "DTASOF": as_of})
            continue
        balances.append(Balance(day, number, name))
    days = [_day_or_none(statement, name) for name in ("DTSTART", "DTEND")]
    # some banks write a span that is not that of the list
    posted = [booking.posted_on for booking in bookings if not booking.pending]
    start, end = days if None not in days else (None, None)
    told_at = re.sub(r"\D", "", signon.leaf("DTSERVER") or "")[:14]
    made_at = told_at or f"{captured_at:%Y%m%d%H%M%S}"
    yield from rows_of(
        Statement(
            account,
            min([*([start] if start else []), *posted], default=None),
            max([*([end] if end else []), *posted], default=None),
            bookings,
            balances,
            made_at,
        ),
        captured_at.date(),
    )


def _account(
    statement: Tag, kind: str, signon: Tag, banks: Mapping[str, str], folder: str | None
) -> Account | None:
    place = next(
        (
            tag
            for name in ("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM")
            if (tag := statement.first(name))
        ),
        None,
    )
    number = place.leaf("ACCTID") if place else None
    if place is None or number is None:
        return None
    org = signon.leaf("FI", "ORG")
    fid = signon.leaf("FI", "FID") or signon.leaf("INTU.BID")
    routing = place.leaf("BANKID") or place.leaf("BROKERID")
    said = [plain_column(each) for each in (org, fid) if each]
    # a bank of which we know nothing is still another one than those that we know
    known = next((banks[each] for each in said if each in banks), None)
    bank = known or (said[0] if said else None)
    # some banks call themselves by a code: "B1" is Chase
    title = known.title() if known and org and plain_column(org) != known else org
    currency = statement.leaf("CURDEF")
    return Account(
        feed="ofx",
        kind=kind,
        institution=routing or fid or org,
        bank=bank,
        number=number,
        whole=not has_mask(number),
        title=title or {"bank": "Bank account", "card": "Card", "broker": "Brokerage"}[kind],
        currency=currency.upper() if currency else None,
        folder=folder,
        raw={**place.verbatim(), "FI": {"ORG": org, "FID": fid}},
    )


def _lines(statement: Tag) -> Iterator[Tag]:
    """The transactions of a statement, also those of a broker that move money."""
    for name in ("BANKTRANLIST", "INVTRANLIST"):
        for listed in statement.everywhere(name):
            for child in listed.children:
                if child.name == "STMTTRN":
                    yield child
                elif child.name == "INVBANKTRAN":
                    yield from child.everywhere("STMTTRN")
                elif child.name not in _NO_CASH and (
                    total := next(child.everywhere("TOTAL"), None)
                ):
                    yield _as_booking(child, total)


def _as_booking(trade: Tag, total: Tag) -> Tag:
    """A purchase, sale or income of a broker with the names of a bank's transaction beside its
    own."""
    inner = next(trade.everywhere("INVTRAN"), Tag("INVTRAN"))
    wanted = {
        "TRNTYPE": trade.name,
        "TRNAMT": total.text,
        "DTPOSTED": inner.leaf("DTSETTLE") or inner.leaf("DTTRADE") or "",
        "DTUSER": inner.leaf("DTTRADE") or "",
        "FITID": inner.leaf("FITID") or "",
        "MEMO": inner.leaf("MEMO") or "",
    }
    return Tag(
        trade.name,
        children=[*(Tag(name, text) for name, text in wanted.items() if text), *trade.children],
        ended=True,
    )


def _booking(line: Tag, amount: str, mark: str) -> Booking:
    """Raises ``ValueError`` that names the field, and no value."""
    if not line.ended:
        raise ValueError("its end is missing; download the file again")
    number: Decimal
    try:
        number = amount_of(amount, mark)
    except ValueError as error:
        raise ValueError(f"TRNAMT: {error}") from None
    try:
        posted_on = ofx_date(line.leaf("DTPOSTED") or "")
    except ValueError as error:
        raise ValueError(f"DTPOSTED: {error}") from None
    name = line.leaf("NAME") or line.leaf("PAYEE", "NAME") or line.leaf("PAYEE2", "NAME")
    memo = line.leaf("MEMO")
    kind = (line.leaf("TRNTYPE") or "").upper() or None
    # ORIGCURRENCY says what it once was, CURRENCY what the amount is in
    currency = line.leaf("CURRENCY", "CURSYM")
    return Booking(
        posted_on=posted_on,
        transacted_on=_day_or_none(line, "DTUSER"),
        amount=plain_amount(number),
        currency=currency.upper() if currency else None,
        description=_described(name, memo),
        memo=memo,
        id=usable_id(line.leaf("FITID")),
        kind=kind,
        check_number=usable_id(line.leaf("CHECKNUM")),
        pending=kind == "HOLD",
        corrects=usable_id(line.leaf("CORRECTFITID")),
        correction=(line.leaf("CORRECTACTION") or "").upper() or None,
        raw=line.verbatim(),
    )


def _described(name: str | None, memo: str | None) -> str:
    """The name, or the memo where it says the same in full: names are cut at 32 letters."""
    if not name:
        return memo or ""
    return memo if memo and memo.casefold().startswith(name.casefold().rstrip()) else name


def _day_or_none(tag: Tag, name: str) -> date | None:
    for found in tag.everywhere(name):
        try:
            return ofx_date(found.text)
        except ValueError:
            return None
    return None


def _stated(statement: Tag) -> Iterator[tuple[str, str, str]]:
    """Kind, amount and time of the balances; a balance whose tags are all empty is none."""
    for name, kind in (("LEDGERBAL", "ledger"), ("AVAILBAL", "available")):
        for balance in statement.everywhere(name):
            amount, as_of = balance.leaf("BALAMT"), balance.leaf("DTASOF")
            if amount or as_of:
                yield kind, amount or "", as_of or ""
    for balance in statement.everywhere("INVBAL"):
        amount, as_of = balance.leaf("AVAILCASH"), statement.leaf("DTASOF")
        if amount and as_of:
            yield "ledger", amount, as_of
