"""OFX 1.x (SGML), OFX 2.x (XML) and QFX: statements that banks provide for finance software.

The format: https://financialdataexchange.org/ofx. Leaves of OFX 1 have no end tag, a whole file may
be one line, and real files break every rule: no header, a false charset, empty tags without an end,
bare ampersands, invalid dates. So tags are read here without a schema, and each transaction is
judged by itself: a broken one affects only itself. docs/decisions/0014-own-ofx-reader.md says why
this is not left to ofxtools.
"""

from __future__ import annotations

import html
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from personal_pipeline.ingest.contract import (
    Claim,
    Doubt,
    DropFile,
    Item,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.sources.bank.dialect import (
    Dialect,
    OfxSign,
    dialects_for,
    institutions,
    plain_column,
)
from personal_pipeline.sources.bank.statement import (
    Account,
    Balance,
    Booking,
    Statement,
    folder_of,
    has_mask,
    number_at_end,
    rows_of,
    usable_id,
)
from personal_pipeline.sources.bank.values import (
    MAX_FILE_BYTES,
    DecimalMark,
    amount_of,
    decimal_mark,
    decoded,
    ofx_date,
    plain_amount,
)

MAX_NESTED = 40
"""A tag this deep is not a tag: OFX nests about ten levels."""

_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9._]*)[^<>]{0,200}>")
_START = re.compile(r"<OFX\s*>|OFXHEADER\s*[:=]|<\?OFX\b", re.IGNORECASE)
_NO_TAGS = {"<![CDATA[": "]]>", "<!--": "-->", "<?": "?>"}
"""What looks like tags but is not, by its start: CDATA, a comment, an instruction."""

_STATEMENTS = {"STMTRS": "bank", "CCSTMTRS": "card", "INVSTMTRS": "broker"}
_PLACES = ("BANKACCTFROM", "CCACCTFROM", "INVACCTFROM")
_LINES = ("STMTTRN", "STMTTRNP")
_LISTS = ("BANKTRANLIST", "BANKTRANLISTP", "INVTRANLIST")
_AGGREGATES = {*_STATEMENTS, *_PLACES, *_LINES, *_LISTS, "LEDGERBAL", "AVAILBAL"}
"""Never an empty leaf, even if the end tag is missing or it contains text."""

_ENDED_BY = {
    **dict.fromkeys(_LISTS, (*_LISTS, *_LINES)),
    **dict.fromkeys(_LINES, _LINES),
}
"""Tags whose start also ends an element that lacks its own end tag."""

_AROUND_STATEMENTS = re.compile(r"|OFX|\w*MSGSRSV\d|\w*TRNRS")
"""What may enclose a statement: the start of one ends everything else."""

_ANSWER_SIGN = "set `ofx_sign: {}` in a dialect of the bank"

_NO_CASH = {"REINVEST", "TRANSFER", "SPLIT", "JRNLSEC", "JRNLFUND"}

_OUT = {
    *("DEBIT", "POS", "CHECK", "CASH", "DIRECTDEBIT"),
    *("BUYSTOCK", "BUYMF", "BUYDEBT", "BUYOPT", "BUYOTHER"),
}
_IN = {
    *("CREDIT", "DEP", "DIRECTDEP", "RETOFCAP"),
    *("SELLSTOCK", "SELLMF", "SELLDEBT", "SELLOPT", "SELLOTHER"),
}
"""Types whose direction is certain. The others are used only if no amount has a sign."""
_MOSTLY_OUT = {"ATM", "FEE", "SRVCHG", "REPEATPMT", "INVEXPENSE", "MARGININTEREST"}
_MOSTLY_IN = {"DIV", "INCOME"}

FOLDER_ADVICE = (
    "Put the file into a folder below the inbox that names its account, such as "
    "inbox/checking-1234/, and add it again."
)


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
        """The elements with a name below this one, in order."""
        for child in self.children:
            if child.name == name:
                yield child
            elif child.children:
                yield from child.everywhere(name)

    def below(self, without: Container[str] = ()) -> Iterator[Tag]:
        """Every element below this one, in order, except those named in ``without`` and what is
        below them."""
        for child in self.children:
            if child.name not in without:
                yield child
                yield from child.below(without)

    def verbatim(self) -> Record:
        """Names and texts as they are in the file; a repeated name has a list."""
        record: Record = {}
        for child in self.children:
            value = child.verbatim() if child.children else child.text
            if child.name in record:
                before = record[child.name]
                record[child.name] = [*(before if isinstance(before, list) else [before]), value]
            else:
                record[child.name] = value
        return record


def _tags_only(text: str) -> str:
    """The text without comments and instructions, and with CDATA escaped."""
    starts = re.compile("|".join(re.escape(start) for start in _NO_TAGS))
    pieces, place = [], 0
    # if no end follows one, none follows later ones either
    endless: set[str] = set()
    for match in starts.finditer(text):
        if match.start() < place or match[0] in endless:
            continue
        end = text.find(_NO_TAGS[match[0]], match.end())
        if end < 0:
            endless.add(match[0])
            continue
        pieces.append(text[place : match.start()])
        if match[0] == "<![CDATA[":
            pieces.append(html.escape(text[match.end() : end], quote=False))
        place = end + len(_NO_TAGS[match[0]])
    return "".join([*pieces, text[place:]])


def read_tags(text: str) -> Tag:
    """The tree of tags in the text of an OFX file.

    A tag followed by text is a leaf and ends with its text. One that is never closed is an empty
    leaf, and what was taken for its children belongs to its parent. No OFX aggregate contains
    another of its own name, so the next one of the same name closes it; nor does a statement
    contain another, or an account a list. Runs in linear time.
    """
    text = _tags_only(text)
    root = Tag("")
    open_tags = [root]
    matches = list(_TAG.finditer(text))
    ends = [*(match.start() for match in matches[1:]), len(text)]
    for match, end in zip(matches, ends, strict=False):
        closes, name = match[1] == "/", match[2].upper()
        ended = {name}
        if not closes and name in _STATEMENTS:
            ended |= {tag.name for tag in open_tags if not _AROUND_STATEMENTS.fullmatch(tag.name)}
        elif not closes and name in _AGGREGATES:
            ended = {name, *_PLACES, *_ENDED_BY.get(name, ())}
        place = next((n for n, tag in enumerate(open_tags) if tag.name in ended), None)
        if place is not None:
            _close(open_tags, place)
        if closes:
            continue
        if len(open_tags) > MAX_NESTED:
            if name not in _AGGREGATES and name != "TRNAMT":
                continue
            # what is open below the nearest aggregate can only be leaves without end tags
            nearest = max(n for n, tag in enumerate(open_tags) if tag.name in _AGGREGATES or not n)
            if nearest + 1 < len(open_tags):
                _close(open_tags, nearest + 1)
        content = text[match.end() : end].strip()
        is_leaf = bool(content) and name not in _AGGREGATES
        tag = Tag(name, content if is_leaf else "")
        open_tags[-1].children.append(tag)
        if not is_leaf and not match[0].endswith("/>"):
            open_tags.append(tag)
    return root


def _close(open_tags: list[Tag], place: int) -> None:
    """Close the open tag at an index; unclosed ones within it were empty leaves."""
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
    return Claim(0.6, "begins with an OFX header, but has no <OFX> tag")


def read_ofx(file: DropFile) -> Iterator[Item]:
    """The accounts, statements, balances and transactions of all accounts in the file.

    Whatever looks like a transaction is a row, or counted as unreadable. Raises ``UnreadableFile``
    when there is none, or none whose account is known.
    """
    root = read_tags(decoded(file.content(MAX_FILE_BYTES)))
    dialects = dialects_for(file.home)[0]
    banks = institutions(dialects)
    written = _decimal_mark(root)
    if written.doubt:
        yield Doubt(written.doubt)
    signon = next(root.everywhere("SONRS"), Tag("SONRS"))
    folder = folder_of(file.path)
    statements = [tag for tag in root.below() if tag.name in _STATEMENTS]
    outside = list(_transactions(root, without=_STATEMENTS))
    errors = _errors(root)
    if not statements and outside:
        # a list without an enclosing account
        loose = Tag("CCSTMTRS" if _is_of_a_card(root) else "STMTRS", children=root.children)
        if folder is None:
            raise UnreadableFile(f"OFX: transactions without an account. {FOLDER_ADVICE}")
        if _answers_differ(root):
            raise UnreadableFile(
                "OFX: transactions of several accounts, outside their statements. Download each "
                "account separately."
            )
        statements, outside = [loose], []
    if not statements and errors:
        raise UnreadableFile(
            f"OFX: the bank answered with an error ({errors[0]}) instead of a statement. Download "
            "it again."
        )
    if not statements:
        raise UnreadableFile(
            "OFX: no statement in it. Expected <STMTRS>, <CCSTMTRS> or <INVSTMTRS> with an "
            "account; download the transactions again, as OFX, QFX or “Money”."
        )
    if len(statements) == 1 and _is_of_the_statement(root, statements[0]):
        statements[0].children.extend(outside)
        outside = []
    for error in errors:
        yield Unreadable(
            f"an account: the bank answered with an error ({error}) instead of its statement; "
            "download it again",
            None,
        )
    for line in outside:
        yield Unreadable(
            "a transaction outside the statements of several accounts; download each account "
            "separately",
            _as_line(line).verbatim(),
        )
    for statement in statements:
        kind = _STATEMENTS[statement.name]
        account = _account(statement, kind, signon, banks, folder)
        sign = _declared_sign(dialects, kind, signon)
        yield from _statement(statement, account, sign, signon, file.captured_at, written.mark)


def _transactions(tag: Tag, without: Container[str] = ()) -> Iterator[Tag]:
    """The transactions below a tag, at any depth: lines, a broker's cash movements, and amounts
    whose own line is lost."""
    for child in tag.children:
        if child.name in without:
            continue
        if child.name in _LINES or child.name == "TRNAMT":
            yield child
            continue
        if _is_trade(child):
            yield child
        yield from _transactions(child, without)


def _is_trade(tag: Tag) -> bool:
    if tag.name in ("INVBUY", "INVSELL", *_NO_CASH, *_LISTS):
        return False
    holders = (tag, *(child for child in tag.children if child.name in ("INVBUY", "INVSELL")))
    return any(holder.first("INVTRAN") for holder in holders)


def _as_line(tag: Tag) -> Tag:
    """A transaction under the names of a bank transaction, which are read below."""
    if tag.name == "TRNAMT":
        return Tag("STMTTRN", children=[tag])
    return tag if tag.name in _LINES else _as_booking(tag)


def _is_of_a_card(root: Tag) -> bool:
    return any(tag.name in ("CREDITCARDMSGSRSV1", "CCSTMTTRNRS") for tag in root.below())


def _accounts_told(tag: Tag, without: Iterable[str] = ()) -> set[str | None]:
    """The numbers of the accounts below a tag that are its own; None for one without a number.
    Those within transactions belong to the counterparty."""
    within = {*_LINES, *_OUT, *_IN, *_NO_CASH, *without}
    places = (each for each in tag.below(within) if each.name in _PLACES)
    return {place.leaf("ACCTID") for place in places}


def _answers(root: Tag) -> list[Tag]:
    """The bank's responses that contain transactions outside of a statement."""
    return [
        tag
        for tag in root.below(_STATEMENTS)
        if tag.name.endswith("TRNRS") and any(_transactions(tag, without=_STATEMENTS))
    ]


def _answers_differ(root: Tag) -> bool:
    """Whether transactions without a statement may be from several accounts: the bank sends one
    response for each."""
    told = _accounts_told(root)
    if len(told - {None}) > 1:
        return True
    answers = [_accounts_told(each) for each in _answers(root)]
    return len(answers) > 1 and any(each != told or None in each or not each for each in answers)


def _is_of_the_statement(root: Tag, statement: Tag) -> bool:
    """Whether content outside of the only statement must belong to it: no other account is named
    there, and no other response contains it."""
    others = _accounts_told(root, without=_STATEMENTS) - _accounts_told(statement)
    apart = [each for each in _answers(root) if all(tag is not statement for tag in each.below())]
    return not others and not apart


def _errors(root: Tag) -> list[str]:
    """The codes of responses that are errors, in place of a statement."""
    found = []
    for tag in root.below():
        status = tag.first("STATUS")
        if status is None or not (tag.name == "SONRS" or tag.name.endswith("TRNRS")):
            continue
        code, severity = status.leaf("CODE") or "", (status.leaf("SEVERITY") or "").upper()
        is_error = severity == "ERROR" or (not severity and code.strip("0") != "")
        if is_error and not any(each.name in _STATEMENTS for each in tag.below()):
            found.append(f"code {code}" if re.fullmatch(r"\d{1,6}", code) else "no code")
    return found


def _declared_sign(dialects: Sequence[Dialect], kind: str, signon: Tag) -> OfxSign:
    """The bank's sign convention, as a dialect declares it; a dialect for the same kind of account
    is preferred."""
    said = {
        plain_column(each)
        for each in (signon.leaf("FI", "ORG"), signon.leaf("FI", "FID"), signon.leaf("INTU.BID"))
        if each
    }
    mine = [
        dialect
        for dialect in dialects
        if dialect.ofx_sign != "auto"
        and said & {plain_column(each) for each in (*dialect.ofx, dialect.institution or "")}
    ]
    mine.sort(key=lambda dialect: dialect.kind != kind)
    return mine[0].ofx_sign if mine else "auto"


def _decimal_mark(root: Tag) -> DecimalMark:
    """How the file writes amounts; there is no dialect in which the user could declare it."""
    names = ("TRNAMT", "BALAMT", "TOTAL", "AVAILCASH")
    texts = [html.unescape(tag.text) for name in names for tag in root.everywhere(name)]
    currencies = {tag.text.strip() for tag in root.everywhere("CURDEF") if tag.text.strip()}
    return decimal_mark(texts, currencies, "change it in the file, or download a CSV")


def _statement(
    statement: Tag,
    account: Account | None,
    sign: OfxSign,
    signon: Tag,
    captured_at: datetime,
    mark: str | None,
) -> Iterator[Item]:
    lines = [_as_line(tag) for tag in _transactions(statement)]
    several = len(_accounts_told(statement) - {None}) > 1
    if account is None or several:
        reason = (
            "a statement of several accounts, with missing tags; download each account separately"
            if several
            else "a statement without an account: expected ACCTID in BANKACCTFROM, CCACCTFROM or "
            f"INVACCTFROM. {FOLDER_ADVICE}"
        )
        for line in lines or [statement]:
            yield Unreadable(reason, line.verbatim())
        return
    amounts = [line.leaf("TRNAMT") or "" for line in lines]
    stated = list(_stated(statement))
    bookings: list[Booking] = []
    signs = _Signs.of(
        account.kind,
        sign,
        [
            (_type(line), number)
            for line, amount in zip(lines, amounts, strict=True)
            if (number := _number_or_none(amount, mark)) is not None
        ],
    )
    if signs.doubt:
        yield Doubt(signs.doubt)
    for line, amount in zip(lines, amounts, strict=True):
        try:
            bookings.append(_booking(line, amount, mark, signs))
        except ValueError as error:
            # a line that swallowed another one, whose tags are lost, counts as two
            for _ in range(max(1, sum(tag.name == "TRNAMT" for tag in line.below()))):
                yield Unreadable(f"a transaction: {error}", line.verbatim())
    balances: list[Balance] = []
    for name, amount, as_of in stated:
        try:
            held = plain_amount(amount_of(amount, mark))
            day = ofx_date(as_of)
        except ValueError as error:
            yield Unreadable(f"a balance ({name}): {error}", {"BALAMT": amount, "DTASOF": as_of})
            continue
        balances.append(Balance(day, held, name))
    days = [_day_or_none(statement, name) for name in ("DTSTART", "DTEND")]
    # some banks write a period that is not that of the list
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


def _type(line: Tag) -> str:
    return (line.leaf("TRNTYPE") or "").upper()


def _number_or_none(amount: str, mark: str | None) -> Decimal | None:
    try:
        return amount_of(amount, mark)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class _Signs:
    """How the amounts of a statement are signed. In OFX the sign is that of the amount; but some
    banks write none, or that of the card's debt, and then TRNTYPE decides. It is not trusted where
    amounts have signs that it does not contradict throughout: banks write DEBIT for anything."""

    kind: str
    rule: OfxSign
    doubt: str | None = None

    @classmethod
    def of(cls, kind: str, declared: OfxSign, told: Sequence[tuple[str, Decimal]]) -> _Signs:
        """Decide from all lines of a statement, given as types with amounts. Any decision against
        the types, or by them alone, comes with a doubt."""
        if declared != "auto":
            return cls(kind, declared)
        # on a card, a payment is incoming
        into = _IN | {"PAYMENT"} if kind == "card" else _IN
        paid_positive = sum(type_ in _OUT and number > 0 for type_, number in told)
        got_negative = sum(type_ in into and number < 0 for type_, number in told)
        as_it_should = sum(
            (type_ in _OUT and number < 0) or (type_ in into and number > 0)
            for type_, number in told
        )
        no_sign = all(number >= 0 for _, number in told)
        if paid_positive and no_sign:
            return cls(
                kind,
                "by_type",
                "No amount of a statement has a sign: the direction was read from TRNTYPE. If that "
                f"is wrong, {_ANSWER_SIGN.format('out_is_negative` or `out_is_positive')}.",
            )
        if paid_positive and got_negative and not as_it_should:
            return cls(
                kind,
                "out_is_positive",
                "All signs of a statement contradict their TRNTYPE: the amounts were inverted, the "
                "balance was not. If that is wrong, "
                f"{_ANSWER_SIGN.format('out_is_negative` or `by_type')}.",
            )
        mostly_paid = any(type_ in _MOSTLY_OUT and number > 0 for type_, number in told)
        if paid_positive + got_negative > as_it_should or (mostly_paid and no_sign):
            return cls(
                kind,
                "out_is_negative",
                "Most signs of a statement contradict their TRNTYPE: the signs were kept. If that "
                f"is wrong, {_ANSWER_SIGN.format('out_is_positive` or `by_type')}.",
            )
        return cls(kind, "out_is_negative")

    def signed(self, type_: str, number: Decimal) -> Decimal:
        """The amount with our sign. Raises ``ValueError`` when nothing determines it."""
        if self.rule == "out_is_negative" or not number:
            return number
        if self.rule == "out_is_positive":
            return -number
        on_card = self.kind == "card"
        if type_ in _OUT | _MOSTLY_OUT or type_ == ("INT" if on_card else "PAYMENT"):
            return -abs(number)
        if type_ in _IN | _MOSTLY_IN or type_ == ("PAYMENT" if on_card else "INT"):
            return abs(number)
        raise ValueError(
            "TRNAMT: no amount in the file has a sign, and this TRNTYPE gives no direction; if all "
            "positive amounts came in, set `ofx_sign: out_is_negative` in a dialect of the bank"
        )


def _account(
    statement: Tag, kind: str, signon: Tag, banks: Mapping[str, str], folder: str | None
) -> Account | None:
    place = next((tag for tag in statement.below({*_LINES}) if tag.name in _PLACES), Tag(""))
    number = place.leaf("ACCTID")
    if number is None and folder is None:
        return None
    org = signon.leaf("FI", "ORG")
    fid = signon.leaf("FI", "FID") or signon.leaf("INTU.BID")
    routing = place.leaf("BANKID") or place.leaf("BROKERID")
    said = [plain_column(each) for each in (org, fid) if each]
    # an unknown bank is still distinct from those that we know
    known = next((banks[each] for each in said if each in banks), None)
    bank = known or (said[0] if said else None)
    # some banks use a code for themselves: "B1" is Chase
    title = known.title() if known and org and plain_column(org) != known else org
    currency = statement.leaf("CURDEF")
    return Account(
        feed="ofx",
        kind=kind,
        institution=routing or fid or org,
        bank=bank,
        number=number or number_at_end(folder or ""),
        whole=number is not None and not has_mask(number),
        name=None if number else folder,
        told_by="the file" if number else "the folder",
        title=title or {"bank": "Bank account", "card": "Card", "broker": "Brokerage"}[kind],
        currency=currency.upper() if currency else None,
        folder=folder,
        raw={**place.verbatim(), "FI": {"ORG": org, "FID": fid}},
    )


def _as_booking(trade: Tag) -> Tag:
    """A broker's purchase, sale or income with the names of a bank transaction added to its own."""
    total = next(trade.everywhere("TOTAL"), Tag("TOTAL"))
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


def _booking(line: Tag, amount: str, mark: str | None, signs: _Signs) -> Booking:
    """Raises ``ValueError`` that names the field, without a value."""
    if not line.ended:
        raise ValueError("its end is missing; download the file again")
    if sum(tag.name == "TRNAMT" for tag in line.below()) > 1:
        raise ValueError("it has more than one TRNAMT; download the file again")
    number: Decimal
    try:
        number = amount_of(amount, mark)
    except ValueError as error:
        raise ValueError(f"TRNAMT: {error}") from None
    number = signs.signed(_type(line), number)
    try:
        posted_on = ofx_date(line.leaf("DTPOSTED") or line.leaf("DTTRAN") or "")
    except ValueError as error:
        raise ValueError(f"DTPOSTED: {error}") from None
    name = line.leaf("NAME") or line.leaf("PAYEE", "NAME") or line.leaf("PAYEE2", "NAME")
    memo = line.leaf("MEMO")
    kind = _type(line) or None
    # ORIGCURRENCY is the original currency, CURRENCY that of the amount
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
        pending=kind == "HOLD" or line.name == "STMTTRNP",
        corrects=usable_id(line.leaf("CORRECTFITID")),
        correction=(line.leaf("CORRECTACTION") or "").upper() or None,
        raw=line.verbatim(),
    )


def _described(name: str | None, memo: str | None) -> str:
    """The name, or the memo if it is the full version of it: names are cut at 32 characters."""
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
    """Kind, amount and time of the balances; one whose tags are all empty is skipped."""
    for name, kind in (("LEDGERBAL", "ledger"), ("AVAILBAL", "available")):
        for balance in statement.everywhere(name):
            amount, as_of = balance.leaf("BALAMT"), balance.leaf("DTASOF")
            if amount or as_of:
                yield kind, amount or "", as_of or ""
    for balance in statement.everywhere("INVBAL"):
        amount, as_of = balance.leaf("AVAILCASH"), statement.leaf("DTASOF")
        if amount and as_of:
            yield "ledger", amount, as_of
