"""What the columns of an unknown CSV may be, by name and content.

Names alone deceive (a column "Credit" may be blank, "Umsatz" a date, "Account number" that of the
shop), and so do values (an account number looks like an amount). So a column must match in both:
content and name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from personal_pipeline.ingest.delimited import unique_names
from personal_pipeline.sources.bank.dialect import plain_column
from personal_pipeline.sources.bank.values import (
    CURRENCIES,
    date_of,
    date_pattern,
    is_amount,
    is_negative,
    says_direction,
)

DATE_FORMATS = (
    *("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y"),
    *("%m/%d/%y", "%d/%m/%y", "%d-%m-%y", "%Y/%m/%d", "%Y.%m.%d", "%Y%m%d"),
    *("%d %b %Y", "%d-%b-%Y", "%d/%b/%Y", "%d. %b %Y", "%d.%b.%Y", "%d-%b-%y", "%d %b %y"),
    *("%b %d, %Y", "%b %d %Y", "%b-%d-%Y", "%Y-%b-%d"),
)

MAX_OTHER = 0.2
"""The share of a column that may be something else, such as the dates of pending rows."""

_DATES = {
    "posted_on": (
        r"post|book|buchung|completed|clearing|verrekening|boek|bokf|bogf|comptab|contab|księg"
        r"|könyvel|settle",
        r"^(date|datum|data|fecha|dato|dátum|tarih|дата|日付|run date)$",
        r"date|datum|data\b|fecha|dato|tag$|day|日",
    ),
    "transacted_on": (
        r"transaction|trade|valu|wert|started|purchase|einkauf|beleg|effective|rente|interest"
        r"|opération|operación|umsatztag|entered|verrichting|umsatz",
    ),
}
_OTHER_DAYS = re.compile(
    r"valu|wert|started|entered|rente|interest|due|birth|purchase|einkauf|beleg|umsatz$"
)

_BALANCE = re.compile(r"balance|saldo|solde|kontostand|bakiye|guthaben|остаток|残高|余额|stand$")
_OUT = re.compile(
    r"debit|débit|debet|withdraw|outflow|paid out|money out|\bsoll\b|abgang|cargo|lastschrift"
    r"|belastung|spent|payments? out|retiro|adeud|addebit|dare|uitgaven|ausgabe|gider"
    r"|支払|出金|引出|支出|출금"
)
_IN = re.compile(
    r"credit|crédit|deposit|inflow|paid in|money in|\bhaben\b|zugang|abono|gutschrift"
    r"|payments? in|ingreso|accredit|avere|inkomsten|einnahme|gelir"
    r"|預り|入金|預入|收入|입금"
)
_AMOUNT = re.compile(
    r"amount|betrag|umsatz|importe?\b|montant|bedrag|belopp|beløb|beløp|kwota|suma|summa?\b|částka"
    r"|összeg|tutar|valor|^value$|сумма|金額|\bnet(to)?\b|^[a-z]{3} ?[$£€]$|^(af|bij)"
)
_BEST_AMOUNT = re.compile(r"\bnet(to)?\b|buchungsbetrag|billing amount|bedrag in eur|booked amount")
_FOREIGN = re.compile(
    r"foreign|fremd|original|oorspr|ursprung|instructed|local|exchange|convert|target|orig\b"
    r"|devise|wechsel"
)
_NO_AMOUNT = re.compile(
    r"account|konto(?!stand)|number|nummer|\bnr\b|\bno\b\.?|sort code|blz|iban|bic|che(ck|que)|card"
    r"|phone|zip|postal|quantity|\bqty\b|price|rate|kurs|koers|units?\b|shares|tax|ust\b|tip\b"
    r"|discount|cashback|points|\bid\b|reference|referenz|referentie|code|year|month|volgnr|limit"
    r"|fee|gebühr|commission|kosten|einzel|individual|gross|brutto|anzahl|count|interest rate"
)
_FEE = re.compile(r"^(total )?(fees?|gebühr(en)?|commission|kosten)\b(?!.*(currency|währung))")

_CURRENCY = re.compile(
    r"currency|währung|waehrung|moneda|devise|munt|valuta|waluta|měna|pénznem|döviz|валюта|\bccy\b"
)
_STATUS = re.compile(
    r"^(state|status|stato|estado|statut|info|booked|gebucht|booking status)$"
    r"|balance impact|auswirkung auf guthaben"
)
_OWN_ACCOUNT = re.compile(
    r"^(account|konto|rekening|compte|cuenta|conto|conta)"
    r"( ?(number|no\.?|nr\.?|nummer|#|name|iban))?$"
    r"|auftragskonto|kontoinhaber|rekeningnummer$|^iban/bban$|^kontonummer$|^product$|^iban$"
    r"|^card( ?(number|no\.?|#))?$|belastete kreditkarte|kredietkaart$|creditcard nummer"
    r"|account name"
)
_OTHERS_ACCOUNT = re.compile(
    r"counter|partner|payee|payer|tegen|gegen|begünst|beguenst|zahlung|empf|recipient|benefic"
    r"|other|merchant|\bto\b|\bfrom\b|\bbic\b|bank ?name"
)
_DIRECTION = re.compile(
    r"debit.*credit|credit.*debit|af ?bij|indicator|direction|soll.*haben|d/c|dr/cr|type$|umsatztyp"
    r"|sign|column_\d+"
)
_ID = re.compile(
    r"(transaction|reference|unique|booking|entry|transaktion\w*)[ -]*(id|number|no|nr|code|ref)\b"
    r"|^id$|fitid|^reference$|transaktionscode|volgnr|transactiereferentie|^referenz$"
    r"|buchungsreferenz"
)
_TEXTS = {
    "description": (
        r"description|payee|merchant|counter ?party\b|partner name|naam|\bname\b"
        r"|empfänger|empfaenger"
        r"|auftraggeber|begünstig|beguenstig|zahlungsbeteiligter|libellé|avisierungstext",
        r"buchungstext|concepto|descri|omschrijving|narrative|details|booking text|beschreibung"
        r"|transaktionsbeschreibung|popis|tytu|mededelingen|\btext|verwendung|reference|memo|note",
    ),
    "memo": (
        r"memo|note|purpose|verwendung|comment|reference|omschrijving|mededeling|buchungstext",
    ),
    "category": (r"categor|kategorie|sector|spending category|rubrik",),
    "kind": (r"^type$|transaction ?type|buchungsart|umsatzart|umsatztyp|vorgang|tipo|soort$|art$",),
}

OUT_WORDS = r"^(d|debit|dbit|dr|db|af|out|outgoing|withdrawal|s|soll|ausgang|debet|lastschrift)\b"
IN_WORDS = r"^(c|credit|crdt|cr|bij|in|incoming|deposit|h|haben|eingang|gutschrift|kredit)\b"

PENDING = (
    r"pending|umsatz vorgemerkt|vorgemerkt|reserved|authori[sz]|processing|in progress|offen|open"
    r"|en attente|pendiente|in behandeling|not booked|unposted|ausstehend"
)
NO_BOOKING = (
    r"reverted|reversed|declin|fail|cancel|reject|refus|expire|void|denied|stornier|abgelehnt|blocked"
    r"|annul|memo$"
)
_BOOKED = (
    r"complete|booked|posted|settled|cleared|clear$|umsatz gebucht|gebucht|abgeschlossen|finish"
    r"|execut|success|done|ok$|processed|active|approved|refunded|verbucht|uitgevoerd|yes$|x$"
    r"|debit$|credit$|soll$|haben$"
)
_STATUS_WORDS = re.compile(rf"^(?:{PENDING}|{NO_BOOKING}|{_BOOKED})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the file: its name in a dialect, and its cells."""

    place: int
    name: str
    plain: str
    cells: Sequence[str]

    @property
    def filled(self) -> list[str]:
        return [cell for cell in self.cells if cell]

    @property
    def is_full(self) -> bool:
        return all(self.cells)


@dataclass(slots=True)
class Guess:
    """What each column seems to be. ``questions`` are what only the user can answer: the dialect
    field, and a sentence. ``notes`` are worth a look."""

    columns: dict[str, Column] = field(default_factory=dict)
    description: list[Column] = field(default_factory=list)
    account: tuple[str, Column] | None = None
    status: list[Column] = field(default_factory=list)
    direction: Column | None = None
    fee: Column | None = None
    currency: str | None = None
    questions: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def used(self) -> set[int]:
        others = [*self.description, *self.status, self.direction, self.fee]
        others += [self.account[1]] if self.account else []
        found = [*self.columns.values(), *(each for each in others if each)]
        return {each.place for each in found}


def columns_of(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[Column]:
    """The columns of a table by the names that a dialect uses for them: a repeated name gets a
    number. A column with no name, or one that a dialect cannot express, is left out unless it is
    filled."""
    plain = unique_names([plain_column(cell) for cell in header])
    found = []
    for place, (cell, name) in enumerate(zip(header, plain, strict=True)):
        cells = [row[place].strip() if place < len(row) else "" for row in body]
        bare = plain_column(cell)
        shown = cell.replace("\ufeff", "").strip() + name[len(bare) :] if bare else name
        if (bare or any(cells)) and "|" not in cell:
            found.append(Column(place, shown, name, cells))
    return found


def is_date_column(column: Column) -> bool:
    """Whether most of a column consists of dates in one format."""
    filled = column.filled
    if not filled:
        return False
    return any(
        sum(_is_of(text, format_) for text in filled) >= (1 - MAX_OTHER) * len(filled)
        for format_ in DATE_FORMATS
    )


def is_date(text: str) -> bool:
    """Whether a cell begins with a date, in any format."""
    return any(_is_of(text, format_) for format_ in DATE_FORMATS)


def _is_of(text: str, format_: str) -> bool:
    try:
        date_of(text, date_pattern(format_))
    except ValueError:
        return False
    return True


def is_amount_column(column: Column) -> bool:
    """Whether a column contains only amounts, and at least one."""
    return bool(column.filled) and all(map(is_amount, column.filled))


def guessed(columns: Sequence[Column], preamble: Sequence[str]) -> Guess | None:
    """What the columns are; None when there is no date column, or no amount column."""
    dates = [each for each in columns if is_date_column(each)]
    rest = [each for each in columns if each not in dates]
    numbers = [each for each in rest if is_amount_column(each)]
    blank = [each for each in rest if not each.filled]
    texts = [each for each in rest if each not in numbers and each not in blank]
    if not dates or not numbers:
        return None
    guess = Guess()
    _dates(guess, dates)
    _status(guess, [*texts, *blank])
    _money(guess, numbers, blank, texts)
    _currency(guess, texts, preamble)
    _account(guess, [*numbers, *texts])
    _id(guess, [*numbers, *texts])
    _words(guess, texts)
    return guess


def _first(
    columns: Sequence[Column], patterns: Sequence[str], taken: Collection[int] = ()
) -> Column | None:
    for pattern in patterns:
        for column in columns:
            if column.place not in taken and re.search(pattern, column.plain):
                return column
    return None


def _dates(guess: Guess, dates: Sequence[Column]) -> None:
    booked = [each for each in dates if not _OTHER_DAYS.search(each.plain)]
    posted = _first(booked, _DATES["posted_on"]) or (booked or dates)[0]
    guess.columns["posted_on"] = posted
    if other := _first(dates, _DATES["transacted_on"], {posted.place}):
        guess.columns["transacted_on"] = other


def _status(guess: Guess, texts: Sequence[Column]) -> None:
    for column in texts:
        words = set(column.filled)
        if not words or not _STATUS.search(column.plain):
            continue
        if all(_STATUS_WORDS.match(word) for word in words):
            guess.status.append(column)
        elif len(words) <= max(3, len(column.cells) / 4):
            guess.status.append(column)
            guess.questions["pending"] = (
                f"the column {column.name} has unknown words: which of them mark rows that are not "
                "booked yet, or never will be?"
            )


def _money(
    guess: Guess, numbers: Sequence[Column], blank: Sequence[Column], texts: Sequence[Column]
) -> None:
    if balance := next((each for each in numbers if _BALANCE.search(each.plain)), None):
        guess.columns["balance"] = balance
    guess.fee = next(
        (each for each in numbers if _FEE.search(each.plain) and any(map(_is_some, each.filled))),
        None,
    )
    money = [each for each in numbers if each not in (balance, guess.fee)]
    named = [each for each in money if not _NO_AMOUNT.search(each.plain)]
    sides = [
        each for each in (*money, *blank) if not re.search(r"indicator|card|konto", each.plain)
    ]
    out = next((each for each in sides if _OUT.search(each.plain) and _side(each)), None)
    into = next(
        (each for each in sides if _IN.search(each.plain) and _side(each) and each is not out), None
    )
    amounts = [
        each
        for each in named
        if _AMOUNT.search(each.plain)
        and not _FOREIGN.search(each.plain)
        and each not in (out, into)
    ]
    best = next((each for each in amounts if _BEST_AMOUNT.search(each.plain)), None)
    amount = best or next((each for each in amounts if each.is_full), None)
    if amount and not best and out and into and _says_otherwise(amount, out, into):
        guess.notes.append(f"{amount.name} contradicts {out.name} and {into.name}: not used.")
        amount = None
    if amount is None and out and into and (out.filled or into.filled):
        guess.columns |= {"money_out": out, "money_in": into}
        return
    if amount is None and amounts:
        filled = sorted(amounts, key=lambda each: -len(each.filled))
        if len(filled) > 1 and filled[1].filled:
            names = " and ".join(each.name for each in filled[:2])
            guess.questions["amount"] = (
                f"{names} both have amounts, and each row fills one or the other: a dialect cannot "
                "describe such a file."
            )
        amount = filled[0]
    if amount is None and (out or into):
        if side := out if out and out.filled else None:
            guess.columns["money_out"] = side
        if into and into.filled:
            guess.columns["money_in"] = into
        return
    if amount is None:
        others = [each for each in named if not _FOREIGN.search(each.plain) and each.is_full]
        if len(others) == 1:
            amount = others[0]
            guess.notes.append(
                f"{amount.name} was read as the amount, because no other column can be."
            )
        else:
            guess.questions["amount"] = "no column name suggests an amount: which is it?"
            return
    guess.columns["amount"] = amount
    _direction(guess, amount, texts)


def _says_otherwise(amount: Column, out: Column, into: Column) -> bool:
    """Whether two columns that fill each row between them contain other amounts, such as those in
    another currency."""
    sides = [one + other for one, other in zip(out.cells, into.cells, strict=True)]
    return all(sides) and any(
        re.sub(r"\D", "", side) != re.sub(r"\D", "", cell)
        for side, cell in zip(sides, amount.cells, strict=True)
    )


def _side(column: Column) -> bool:
    """Whether a column may be one side of two: one named "Credit Card Number" is not."""
    return not re.search(r"number|nummer|\bid\b|limit|balance|saldo", column.plain)


def _is_some(text: str) -> bool:
    return bool(re.search(r"[1-9]", text))


def _direction(guess: Guess, amount: Column, texts: Sequence[Column]) -> None:
    if any(is_negative(cell) or says_direction(cell) for cell in amount.filled):
        return
    for column in texts:
        if column.is_full and _DIRECTION.search(column.plain) and _says_direction(column.cells):
            guess.direction = column
            return


def _says_direction(cells: Sequence[str]) -> bool:
    out = [bool(re.search(OUT_WORDS, cell, re.IGNORECASE)) for cell in cells]
    into = [bool(re.search(IN_WORDS, cell, re.IGNORECASE)) for cell in cells]
    return all(a != b for a, b in zip(out, into, strict=True))


_SIGNS: Mapping[str, str] = {"€": "EUR", "£": "GBP", "₹": "INR", "zł": "PLN", "kč": "CZK"}


def _codes(text: str) -> Iterator[str]:
    for code in re.findall(r"(?<![A-Za-z])([A-Z]{3})(?![A-Za-z])", text):
        if code in CURRENCIES:
            yield code
    for sign, code in _SIGNS.items():
        if sign in text.lower():
            yield code


def _currency(guess: Guess, texts: Sequence[Column], preamble: Sequence[str]) -> None:
    money = [
        guess.columns[each] for each in ("amount", "money_out", "money_in") if each in guess.columns
    ]
    if not money:
        return
    said = {code for column in money for code in _codes(column.name)}
    if len(said) == 1:
        guess.currency = said.pop()
        return
    columns = [
        each
        for each in texts
        if all(cell.upper() in CURRENCIES for cell in each.filled)
        and (_CURRENCY.search(each.plain) or each.place in {m.place + 1 for m in money})
        and not _FOREIGN.search(each.plain)
    ]
    if columns:
        # of two, the one nearest to the amount
        guess.columns["currency"] = min(
            columns, key=lambda each: min(_far(each.place, m.place) for m in money)
        )
        return
    for texts_ in (
        [cell for column in money for cell in column.filled],
        [column.name for column in (guess.columns.get("balance"),) if column],
        preamble,
    ):
        said = {code for text in texts_ for code in _codes(text)}
        if len(said) == 1:
            guess.currency = said.pop()
            return


def _far(place: int, amount: int) -> int:
    return 2 * (place - amount) - 1 if place > amount else 2 * (amount - place)


def _account(guess: Guess, columns: Sequence[Column]) -> None:
    taken = guess.used()
    for column in columns:
        if (
            column.place in taken
            or not _OWN_ACCOUNT.search(column.plain)
            or _OTHERS_ACCOUNT.search(column.plain)
            or not column.is_full
        ):
            continue
        different, rows = len(set(column.cells)), len(column.cells)
        many = different > 3 and different > rows / 3
        if many or (column.plain in ("iban", "kontonummer") and different > 1):
            guess.notes.append(
                f"{column.name} has so many values that it seems to be the counterparty's account."
            )
            continue
        numbered = all(len(re.findall(r"\d", cell)) >= 4 for cell in column.cells)
        if guess.account is None or (numbered and guess.account[0] == "name"):
            guess.account = ("number" if numbered else "name", column)
        if different > 1:
            guess.notes.append(
                f"{column.name} was read as your own account: the file has {different} of them."
            )


def _id(guess: Guess, columns: Sequence[Column]) -> None:
    taken = guess.used()
    for column in columns:
        if (
            column.place not in taken
            and _ID.search(column.plain)
            and column.is_full
            and len(column.cells) > 1
            and len(set(column.cells)) == len(column.cells)
            and all(re.fullmatch(r"(?=.*\d)\S+", cell) for cell in column.cells)
        ):
            guess.columns["id"] = column
            return


def _words(guess: Guess, texts: Sequence[Column]) -> None:
    for name in ("description", "memo", "category", "kind"):
        patterns = _TEXTS[name]
        left = [
            each
            for each in texts
            if each.place not in guess.used()
            and not _CURRENCY.search(each.plain)
            and not re.search(r"iban|\bbic\b|account|konto|time|zone", each.plain)
        ]
        if name == "description":
            # the one that is filled most often, and fallbacks for where it is blank
            while (found := _first(left, patterns)) and len(guess.description) < 3:
                left.remove(found)
                guess.description.append(found)
                if found.is_full:
                    break
            if not guess.description and left:
                guess.description.append(max(left, key=lambda each: sum(map(len, each.cells))))
        elif found := _first(left, patterns):
            guess.columns[name] = found
