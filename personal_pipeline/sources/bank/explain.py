"""An unknown CSV that may be from a bank: which columns are understood, and a dialect for it.

A dialect is only printed after it has read the file with the real reader: how many rows, which
sums, and whether the balances agree. What the file leaves open becomes a question; the dialect then
lacks a line and is invalid until the user writes it. Nothing here reads a file into the lake.
Column names are shown, values never, except for the sums of what was read.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache
from pathlib import Path

from personal_pipeline.ingest.contract import DropFile, Unreadable, UnreadableFile
from personal_pipeline.ingest.delimited import DELIMITERS, lines_in, rows
from personal_pipeline.shown import shown
from personal_pipeline.sources.bank.dialect import (
    BadDeclaration,
    Dialect,
    dialect_of,
    plain_column,
)
from personal_pipeline.sources.bank.guess import (
    DATE_FORMATS,
    IN_WORDS,
    NO_BOOKING,
    OUT_WORDS,
    PENDING,
    Column,
    Guess,
    columns_of,
    guessed,
    is_date,
)
from personal_pipeline.sources.bank.statement import Booking
from personal_pipeline.sources.bank.statement_csv import (
    HEADER_WITHIN_LINES,
    MAX_HEADER_LENGTH,
    Line,
    Reader,
    lines_of,
    steps_explained,
    table_of,
)
from personal_pipeline.sources.bank.values import (
    MAX_FILE_BYTES,
    DateHints,
    date_format,
    day_first_in,
    decimal_mark,
    decoded,
    encoding_of,
    hints_of_name,
    is_amount,
    is_negative,
    says_direction,
)

MAX_NAME_LENGTH = 60
MAX_COLUMNS = 100
ROWS_TO_JUDGE = 2_000
"""How many rows a guess is based on; it is tried on all."""

LAST_LINES = 100

MAX_UNREADABLE = 0.2
"""A dialect that cannot read a larger share of the rows is rejected."""

ENOUGH_AGREE = 0.9
"""The share of steps from balance to balance that the amounts must explain."""


SEVERAL_TABLES = (
    "it contains several tables, one below the other. Split it into one file per table, each in "
    "its own folder, or download them one by one."
)


@dataclass(frozen=True, slots=True)
class Explained:
    """What was understood of an unknown CSV. ``dialect`` is YAML; if there are ``questions``, it
    lacks the answers."""

    columns: Mapping[str, str]
    """Dialect field, and the column that seems to match it."""
    unknown: tuple[str, ...]
    """Columns about which nothing is known."""
    questions: Mapping[str, str]
    """Dialect field, and the sentence that asks for it."""
    notes: tuple[str, ...]
    checked: str
    """What the dialect read, in a sentence."""
    dialect: str
    """Empty when no dialect can be written."""

    @property
    def missing(self) -> tuple[str, ...]:
        return tuple(self.questions)

    def __str__(self) -> str:
        understood = [
            f"  {field}: {shown(column, MAX_NAME_LENGTH)}" for field, column in self.columns.items()
        ]
        unknown = ", ".join(shown(column, MAX_NAME_LENGTH) for column in self.unknown)
        lines = [
            "This may be the CSV of a bank without a dialect. Columns that seem clear:",
            *(understood or ["  none"]),
            *([f"Not used: {unknown}."] if self.unknown else []),
            *([self.checked] if self.checked else []),
            *(f"Check this: {shown(note, 400)}" for note in self.notes),
        ]
        if not self.dialect:
            asked = [shown(each, 400) for each in self.questions.values()]
            return "\n".join([*lines, "A dialect cannot describe it:", *asked])
        if self.questions:
            lines.append("The file leaves these fields open, so the dialect is incomplete:")
            lines += [
                f"  {field}: {shown(sentence, 400)}" for field, sentence in self.questions.items()
            ]
            lines.append("Fill them in, save it as dialects/<bank>.yaml beside the inbox,")
        else:
            lines.append("Review it, save it as dialects/<bank>.yaml beside the inbox,")
        return "\n".join([*lines, "and add the file again:", "", self.dialect])


def explain_csv(file: DropFile) -> Explained | None:
    """What is understood of a CSV that no dialect knows; None when it does not look like a bank's:
    a header, and below it a column of dates and one of amounts."""
    try:
        content = file.content(MAX_FILE_BYTES)
    except (OSError, UnreadableFile):
        return None
    lines = lines_in(decoded(content))
    if not _any_date(lines[: HEADER_WITHIN_LINES + ROWS_TO_JUDGE]):
        return None
    found: list[Explained] = []
    for place, line in enumerate(lines[:HEADER_WITHIN_LINES]):
        if len(line) > MAX_HEADER_LENGTH:
            continue
        delimiter = max(DELIMITERS, key=line.count)
        if delimiter not in line:
            continue
        explained = _by_header(file, content, lines, place, delimiter)
        if explained and (explained.dialect or SEVERAL_TABLES in explained.questions.values()):
            return explained
        found += [explained] if explained else []
    # a summary above the table may look like a header
    return found[0] if found else _headless(lines)


def _any_date(lines: Sequence[str]) -> bool:
    """Whether any cell is a date: otherwise no header need be searched for."""
    return any(
        _is_date(cell)
        for delimiter in DELIMITERS
        if any(delimiter in line for line in lines)
        for row in rows(lines, delimiter)
        for cell in row.cells or ()
    )


def _by_header(
    file: DropFile, content: bytes, lines: Sequence[str], place: int, delimiter: str
) -> Explained | None:
    first = next(rows([lines[place]], delimiter), None)
    header = (first.cells if first else None) or []
    # a file without a header has values for names
    if not 1 < len([cell for cell in header if cell.strip()]) <= MAX_COLUMNS:
        return None
    if any(is_amount(cell) or _is_date(cell) for cell in header if cell.strip()):
        return None
    following = lines[place + 1 : place + 1 + ROWS_TO_JUDGE]
    width = len(header)
    body = [row.cells for row in rows(following, delimiter, width) if row.cells]
    again = [row for row in body if [*map(plain_column, row)] == [*map(plain_column, header)]]
    body = [row for row in body if len([cell for cell in row if cell.strip()]) > 1]
    booked = _booked_rows([row for row in body if row not in again])
    if sum(any(row[width:]) for row in booked) * 2 > len(booked):
        return None
    columns = columns_of(header, booked)
    preamble = [cell for row in rows(lines[:place], delimiter) for cell in row.cells or ()]
    guess = guessed(columns, preamble) if booked else None
    if guess is None:
        return None
    if again:
        guess.questions = {"the file": SEVERAL_TABLES}
        return _explained(guess, columns, "", "")
    return _tried(_Attempt(file, content, lines, columns, guess))


@lru_cache(maxsize=100_000)
def _is_date(cell: str) -> bool:
    # every date has a digit, and most cells of text do not
    return bool(re.search(r"\d", cell)) and is_date(cell)


def _booked_rows(body: Sequence[Sequence[str]]) -> list[Sequence[str]]:
    """The rows without totals and legal texts: those with a date somewhere."""
    dated = [row for row in body if any(map(_is_date, row))]
    return dated or [*body]


def _headless(lines: Sequence[str]) -> Explained | None:
    lines = [line for line in lines[:50] if len(line) <= MAX_HEADER_LENGTH]
    for delimiter in DELIMITERS:
        body = [row.cells for row in rows(lines, delimiter) if row.cells and len(row.cells) > 2]
        like = [
            row
            for row in body
            if any(map(_is_date, row))
            and any(is_amount(cell) and re.search(r"[.,]\d\d$", cell) for cell in row)
        ]
        if body and len(like) == len(body):
            question = (
                "its columns have no names. Write a dialect with `cells` and `cell_names`, as "
                "wells_fargo.yaml does: see docs/sources/bank.md."
            )
            return Explained({}, (), {"cells": question}, (), "", "")
    return None


@dataclass(frozen=True, slots=True)
class _Attempt:
    """A guess, and what it takes to try it on the file."""

    file: DropFile
    content: bytes
    lines: Sequence[str]
    columns: Sequence[Column]
    guess: Guess
    sign: str = "out_is_negative"
    fee: bool = False
    stops_at_blank_line: bool = False
    column_signs: Mapping[str, str] = field(default_factory=dict)
    """How the columns of outgoing and incoming money are signed, by dialect field."""
    without_amount: bool = False
    """Whether rows without an amount are left out."""


@dataclass(frozen=True, slots=True)
class _Result:
    """What a dialect read from the file."""

    read: int
    pending: int
    left_out: int
    unreadable: int
    money: Mapping[str, tuple[Decimal, Decimal]]
    """By currency, outgoing and incoming money."""
    doubts: tuple[str, ...]
    """What was uncertain, in sentences."""
    steps: int
    """Steps from one balance to the next."""
    agreeing: int

    @property
    def rows(self) -> int:
        return self.read + self.left_out + self.unreadable

    @property
    def agrees(self) -> bool:
        return self.steps > 0 and self.agreeing >= ENOUGH_AGREE * self.steps

    def __str__(self) -> str:
        sums = [
            f"money out {_sum(out)}, money in {_sum(into)}{currency and ' '}{currency}"
            for currency, (out, into) in sorted(self.money.items())
        ]
        parts = [
            f"Tried on the file: of {self.rows:,} rows {self.read:,} read",
            *([f"{self.pending:,} of them pending"] if self.pending else []),
            *([f"{self.left_out:,} left out"] if self.left_out else []),
            *([f"{self.unreadable:,} not"] if self.unreadable else []),
        ]
        balance = ""
        if self.agrees:
            balance = "; the balance agrees"
            if self.agreeing < self.steps:
                balance += f" in {self.agreeing:,} of {self.steps:,} steps"
        elif self.steps:
            balance = (
                f"; the balance agrees in {self.agreeing:,} of {self.steps:,} steps only: "
                "something was misread"
            )
        return f"{', '.join(parts)}; {'; '.join(sums) or 'no money moved'}{balance}."


def _sum(amount: Decimal) -> str:
    whole, _, part = f"{amount:,f}".partition(".")
    return f"{whole}.{part.rstrip('0').ljust(2, '0')}"


def _tried(attempt: _Attempt) -> Explained:
    guess, columns = attempt.guess, attempt.columns
    if "amount" in guess.questions:
        return _explained(guess, columns, "", "")
    format_, mark = _dates_and_mark(attempt)
    if guess.questions:
        text = _declaration(attempt, format_, mark)
        return _explained(guess, columns, "", text)
    best, result = attempt, _result(attempt, format_, mark, ROWS_TO_JUDGE)
    for other in _alternatives(attempt):
        found = _result(other, format_, mark, ROWS_TO_JUDGE)
        if _is_better(found, result):
            best, result = other, found
    if len(attempt.lines) > ROWS_TO_JUDGE:
        result = _result(best, format_, mark)
    _judge_sign(best, result)
    signs = _signs_of_columns(best, result)
    if signs:
        best = replace(best, column_signs=signs)
        result = _result(best, format_, mark)
    text = _declaration(best, format_, mark)
    if guess.questions:
        return _explained(guess, columns, "", text)
    if result is None or not result.read or result.unreadable > MAX_UNREADABLE * result.rows:
        guess.questions["the file"] = (
            "too few of its rows could be parsed with what was recognized. See "
            "docs/sources/bank.md for a dialect with every field."
        )
        return _explained(guess, columns, str(result or ""), "")
    if result.steps and not result.agrees:
        guess.notes.append("the balance and the amounts contradict each other: see the sums.")
    if guess.fee and not best.fee:
        guess.notes.append(f"{guess.fee.name} is not added to the amount.")
    return _explained(guess, columns, str(result), text)


def _alternatives(attempt: _Attempt) -> list[_Attempt]:
    """Variants that a balance, or the readable rows, may prove right."""
    found = [attempt]
    if attempt.guess.fee and "amount" in attempt.guess.columns:
        found += [replace(each, fee=True) for each in found]
    if "amount" in attempt.guess.columns and not attempt.guess.direction:
        found += [replace(each, sign="out_is_positive") for each in found]
        found += [replace(each, without_amount=True) for each in found]
    found += [replace(each, stops_at_blank_line=True) for each in found]
    return found[1:]


def _is_better(one: _Result | None, other: _Result | None) -> bool:
    if one is None or other is None:
        return other is None and one is not None
    if one.steps and other.steps and one.agreeing != other.agreeing:
        return one.agreeing > other.agreeing and one.read >= other.read
    return one.read == other.read and one.unreadable < other.unreadable


_CARD = re.compile(r"card|karte|kredit|visa|amex|purchase|clearing")


_CARD_IS_PAID = re.compile(
    r"thank you|auto ?pay|payment (received|-)|^(internet |online |directpay )?payment"
    r"|zahlung erhalten|directpay",
    re.IGNORECASE,
)


def _pays_a_card(columns: Sequence[Column], amount: Column) -> bool:
    """Whether a row with a minus says that the card was paid."""
    return any(
        is_negative(paid) and _CARD_IS_PAID.search(text)
        for column in columns
        for text, paid in zip(column.cells, amount.cells, strict=True)
    )


def _words_agree(column: Column, amount: Column) -> bool:
    """Whether a column confirms, wherever it says anything, that a minus went out."""
    said = [
        (bool(re.search(OUT_WORDS, word, re.IGNORECASE)), is_negative(cell))
        for word, cell in zip(column.cells, amount.cells, strict=True)
        if re.search(f"{OUT_WORDS}|{IN_WORDS}", word, re.IGNORECASE)
    ]
    return len(set(said)) > 1 and all(out == negative for out, negative in said)


def _judge_sign(best: _Attempt, result: _Result | None) -> None:
    """Ask which sign is money out, if neither balance nor amounts tell.

    A balance that grows with each amount is money owned or, for a card, owed.
    """
    amount = best.guess.columns.get("amount")
    if amount is None or best.guess.direction:
        return
    if best.sign == "out_is_positive" and result and result.agrees:
        return
    if any(_words_agree(column, amount) for column in best.columns):
        return
    # CR or DR beside an amount is an answer by itself
    filled = [
        cell for cell in amount.filled if re.search(r"[1-9]", cell) and not says_direction(cell)
    ]
    if not filled and any(map(says_direction, amount.filled)):
        return
    negative = sum(map(is_negative, filled))
    names = " ".join([best.file.name, *(each.plain for each in best.columns)]).lower()
    is_card = bool(_CARD.search(names)) and not (result and result.agrees)
    is_card = is_card or _pays_a_card(best.columns, amount)
    if not is_card and not (result and result.agrees):
        best.guess.notes.append(
            "negative amounts were read as money out; for a card it may be the opposite."
        )
    if negative * 2 < len(filled) or (negative * 2 == len(filled) and is_card):
        best.guess.questions["sign"] = (
            "many amounts are positive, and their meaning is unclear: out_is_negative if they came "
            "in, out_is_positive if they were spent, as on cards."
        )


def _signs_of_columns(best: _Attempt, result: _Result | None) -> dict[str, str]:
    """The signs of the outgoing and incoming columns, where the reader had too few amounts to tell.
    A minus throughout in one and nowhere in the other is the bank's convention; otherwise it is
    asked."""
    found = {}
    guess = best.guess
    for name, column, other in (
        ("money_out_sign", "money_out", "money_in"),
        ("money_in_sign", "money_in", "money_out"),
    ):
        if result is None or not any(name in doubt for doubt in result.doubts):
            continue
        mine, others = (
            [is_negative(cell) for cell in guess.columns[each].filled if re.search("[1-9]", cell)]
            if each in guess.columns
            else []
            for each in (column, other)
        )
        if all(mine) and others and not any(others):
            found[name] = "negative"
            guess.notes.append(
                f"the minus in {guess.columns[column].name} was read as the bank's notation, not "
                "as a refund."
            )
        else:
            guess.questions[name] = (
                f"{guess.columns[column].name} has a minus, and too few amounts to tell what it "
                "means: negative if it is the bank's notation, positive if it marks refunds."
            )
    return found


def _dates_and_mark(attempt: _Attempt) -> tuple[str, str]:
    """The date format, and the decimal mark; what is undecided becomes a question."""
    guess, file = attempt.guess, attempt.file
    chosen = [
        guess.columns[each] for each in ("posted_on", "transacted_on") if each in guess.columns
    ]
    currency = guess.currency
    hints = hints_of_name(file.name, file.captured_at.date(), file.captured_at.date())
    said = date_format(
        [list(cells) for cells in zip(*(column.cells for column in chosen), strict=True)],
        DATE_FORMATS,
        replace(hints, day_first=day_first_in(currency)) if currency else DateHints(hints.latest),
    )
    if said.pattern is None:
        both = " or ".join(f'"{each}"' for each in said.rivals)
        guess.questions["date_format"] = f"the dates of {chosen[0].name} are ambiguous: {both}?"
    elif said.doubt:
        guess.notes.append(said.doubt)
    money = [guess.columns[each] for each in _MONEY if each in guess.columns]
    currencies = {currency} if currency else set()
    if column := guess.columns.get("currency"):
        currencies = {cell.upper() for cell in column.filled}
    mark = decimal_mark([cell for each in money for cell in each.filled], currencies)
    if mark.mark is None:
        guess.questions["decimal"] = '"." or ","? ' + (mark.doubt or "")
    elif mark.doubt:
        guess.notes.append(mark.doubt)
    clear = any(re.search(r"[.,]", cell) for each in money for cell in each.filled)
    return said.format or "", (mark.mark or "") if clear else "auto"


_MONEY = ("amount", "money_out", "money_in", "balance")


def _result(attempt: _Attempt, format_: str, mark: str, most: int | None = None) -> _Result | None:
    """What the reader makes of the file with this guess, or of its first and last lines; None when
    it rejects the dialect."""
    try:
        dialect = dialect_of(Path("my_bank.yaml"), _declaration(attempt, format_, mark))
    except BadDeclaration:
        return None
    lines = lines_in(decoded(attempt.content, dialect.encoding))
    if most and len(lines) > most:
        lines = [*lines[:most], *lines[-LAST_LINES:]]
    table = table_of(lines, [dialect])
    if table is None:
        return None
    found = list(lines_of(table, lines))
    reader = Reader.of(table, found, attempt.file)
    if reader.undecided_dates:
        return None
    unreadable = left_out = 0
    booked: list[tuple[Line, Booking]] = []
    for line in found:
        if isinstance(line, Unreadable):
            unreadable += 1
            continue
        if reader.left_out(line):
            left_out += 1
            continue
        try:
            booked.append((line, reader.booking(line)))
        except ValueError:
            unreadable += 1
    final = [booking for _, booking in booked if not booking.pending]
    money: dict[str, tuple[Decimal, Decimal]] = {}
    for booking in final:
        change, currency = Decimal(booking.amount), booking.currency or ""
        out, into = money.get(currency, (Decimal(0), Decimal(0)))
        money[currency] = (out - change, into) if change < 0 else (out, into + change)
    steps, agreeing = _steps(reader, dialect, booked)
    return _Result(
        read=len(booked),
        pending=len(booked) - len(final),
        left_out=left_out,
        unreadable=unreadable,
        money=money,
        doubts=reader.doubts,
        steps=steps,
        agreeing=agreeing,
    )


def _steps(
    reader: Reader, dialect: Dialect, booked: Sequence[tuple[Line, Booking]]
) -> tuple[int, int]:
    """How many steps there are from one balance of an account to the next, and how many of them the
    amounts explain, in the row order that explains more."""
    told: dict[tuple[str, str | None], list[tuple[Decimal, Decimal]]] = defaultdict(list)
    for line, booking in booked:
        if booking.pending or not line.get(dialect.columns.balance):
            continue
        try:
            balance = reader.number(line, dialect.columns.balance)
        except ValueError:
            continue
        account = line.get(dialect.account.number) or line.get(dialect.account.name)
        told[account, booking.currency].append((Decimal(booking.amount), balance))
    steps = agreeing = 0
    for rows_ in told.values():
        steps += len(rows_) - 1
        agreeing += max(steps_explained(rows_))
    return steps, agreeing


def _explained(guess: Guess, columns: Sequence[Column], checked: str, dialect: str) -> Explained:
    chosen = {field: column.name for field, column in guess.columns.items()}
    if guess.description:
        chosen["description"] = ", ".join(each.name for each in guess.description)
    if guess.status:
        chosen["status"] = ", ".join(each.name for each in guess.status)
    if guess.direction:
        chosen["direction"] = guess.direction.name
    if guess.account:
        chosen["account"] = guess.account[1].name
    if not guess.description:
        guess.notes.append("no column describes what a row was for.")
    if dialect and not guess.currency and "currency" not in guess.columns:
        guess.notes.append("the file does not name the currency: set it in the dialect.")
    used = guess.used()
    return Explained(
        columns=chosen,
        unknown=tuple(each.name for each in columns if each.place not in used),
        questions=dict(guess.questions),
        notes=tuple(dict.fromkeys(guess.notes)),
        checked=checked,
        dialect=dialect,
    )


def _quoted(name: str) -> str:
    # escapes from ``shown`` are valid YAML within its quotes
    return shown(json.dumps(name, ensure_ascii=False), len(name) * 12 + 12)


_FIELDS = (
    *("posted_on", "transacted_on", "amount", "money_out", "money_in", "balance", "currency"),
    *("memo", "kind", "category", "id"),
)


def _declaration(attempt: _Attempt, format_: str, mark: str) -> str:
    guess, columns = attempt.guess, attempt.columns
    asked = guess.questions
    lines = [
        "name: my_bank            # the name of this file",
        "title: My Bank           # what it is called in tables",
        "institution: my bank     # one name for all files of this bank",
        "kind: bank               # bank, card, broker or ledger",
    ]
    if guess.currency:
        lines.append(f"currency: {guess.currency}")
    elif "currency" not in guess.columns:
        lines.append("# currency: EUR        # the code of the account's; the file does not say it")
    encoding = encoding_of(attempt.content)
    if encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252"):
        lines.append(f"encoding: {encoding}")
    lines += [
        "header:",
        *(f"  - {_quoted(each.name)}" for each in columns),
        f'date_format: "{format_}"'
        if "date_format" not in asked
        else "date_format:             # see above",
    ]
    if "decimal" in asked:
        lines.append("decimal:                 # see above")
    elif mark != "auto":
        lines.append(f'decimal: "{mark}"')
    if "sign" in asked:
        lines.append("sign:                    # out_is_negative or out_is_positive")
    elif "amount" in guess.columns and not guess.direction:
        lines.append(f"sign: {attempt.sign}")
    for name in ("money_out_sign", "money_in_sign"):
        if name in asked:
            lines.append(f"{name}:          # positive or negative")
        elif name in attempt.column_signs:
            lines.append(f"{name}: {attempt.column_signs[name]}")
    lines.append("columns:")
    lines += [
        f"  {field}: {_quoted(guess.columns[field].name)}"
        for field in _FIELDS
        if field in guess.columns
    ]
    if attempt.fee and guess.fee:
        lines.append(f"  fee: {_quoted(guess.fee.name)}")
    if guess.description:
        texts = ", ".join(_quoted(each.name) for each in guess.description)
        lines.append(f"  description: [{texts}]")
    if guess.direction:
        lines.append(
            f"direction: {{column: {_quoted(guess.direction.name)}, out: '{OUT_WORDS}', "
            f"into: '{IN_WORDS}'}}"
        )
    if guess.account:
        told, column = guess.account
        lines.append(f"account: {{{told}: {_quoted(column.name)}}}")
    leave_out = []
    if "pending" in asked:
        lines.append("pending:                 # see above")
    elif guess.status:
        names = [_quoted(each.name) for each in guess.status]
        lines += [
            "pending:",
            *(f"  - {{column: {name}, pattern: '^({PENDING})'}}" for name in names),
        ]
        leave_out += [f"{{column: {name}, pattern: '^({NO_BOOKING})'}}" for name in names]
    if attempt.without_amount:
        leave_out.append(f"{{column: {_quoted(guess.columns['amount'].name)}, pattern: '^$'}}")
    if leave_out:
        lines += ["leave_out:", *(f"  - {each}" for each in leave_out)]
    if attempt.stops_at_blank_line:
        lines.append("ends_at_blank_line: true")
    return "\n".join(lines) + "\n"
