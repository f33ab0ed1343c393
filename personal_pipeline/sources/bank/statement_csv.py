"""CSV statements, read with the dialect that matches their header.

What surprises: the table may begin after six lines of summary and end in a page of legal text; a
card may count what was spent as positive; a bank may write no header at all; and most banks never
say which account it is. Then the folder below the inbox names it, else the file name.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

from personal_pipeline.ingest.contract import (
    Claim,
    Doubt,
    DropFile,
    Item,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.delimited import DELIMITERS, lines_in, rows, unique_names
from personal_pipeline.sources.bank.dialect import (
    ColumnSign,
    Condition,
    Dialect,
    dialects_for,
    our_dialects,
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
    MARKS,
    MAX_FILE_BYTES,
    OLD_ENCODINGS,
    DateHints,
    amount_of,
    date_format,
    date_of,
    date_pattern,
    day_first_in,
    decimal_mark,
    decoded,
    hints_of_name,
    plain_amount,
    plain_text,
    says_direction,
)

HEADER_WITHIN_LINES = 40
"""How far down a header may be."""

MAX_HEADER_LENGTH = 4_000

ROWS_TO_TRY = 50
"""How many rows of a file are checked to recognise it."""


ENOUGH_FOR_SIGN = 3
"""How many more negative amounts than positive ones show that a column includes the minus sign."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file claimed by a dialect: where its rows begin, and the names of its columns."""

    dialect: Dialect
    delimiter: str
    names: tuple[str, ...]
    """Columns by their plain names, in order."""
    first_line: int
    """Zero-based index of the first line of rows."""
    unknown: tuple[str, ...]
    """Columns that the dialect does not name."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row by plain column names; ``cells`` holds them verbatim."""

    number: int
    cells: Record
    by_name: Mapping[str, str]

    def has(self, column: str) -> bool:
        return any(plain_column(each) in self.by_name for each in column.split("|"))

    def get(self, column: str | None) -> str:
        """The cell of a column; for ``a|b``, of whichever is present."""
        for each in (column or "").split("|"):
            if plain_column(each) in self.by_name:
                return self.by_name[plain_column(each)].strip()
        return ""


def table_of(lines: Sequence[str], dialects: Sequence[Dialect]) -> Table | None:
    """The table in the lines of a file, using the dialect that knows most of its columns."""
    found: list[tuple[int, int, Table]] = []
    for place, line in enumerate(lines[:HEADER_WITHIN_LINES]):
        if not line.strip() or len(line) > MAX_HEADER_LENGTH:
            continue
        for delimiter in DELIMITERS:
            if delimiter not in line:
                continue
            first = next(rows([line], delimiter), None)
            cells = [plain_column(cell) for cell in (first.cells if first else None) or ()]
            for dialect in dialects:
                if table := _by_header(dialect, delimiter, cells, place):
                    known = len(cells) - len(table.unknown)
                    found.append((known, -len(table.unknown), table))
                elif place == 0 and (table := _by_cells(dialect, delimiter, cells)):
                    found.append((len(cells), 0, table))
        if found:
            break
    return max(found, key=lambda each: each[:2])[2] if found else None


def opened(content: bytes, dialects: Sequence[Dialect]) -> tuple[Table, list[str]] | None:
    """The table in a file and the lines of the file, in the encoding that its dialect declares or
    its content shows. None when no dialect knows it."""
    found: list[tuple[Table, list[str]]] = []
    for encoding in {dialect.encoding: None for dialect in dialects}:
        lines = lines_in(decoded(content, encoding))
        some = [dialect for dialect in dialects if dialect.encoding == encoding]
        if table := table_of(lines, some):
            found.append((table, lines))
    # a header that is only valid in one encoding decides for it
    foreign = [
        each for each in dialects if not each.encoding and not "".join(each.header).isascii()
    ]
    if foreign and not found:
        for encoding in OLD_ENCODINGS:
            lines = lines_in(decoded(content, encoding))
            if table := table_of(lines, foreign):
                return table, lines
    return max(
        found,
        key=lambda each: (len(each[0].names) - len(each[0].unknown), -len(each[0].unknown)),
        default=None,
    )


def _by_header(dialect: Dialect, delimiter: str, cells: Sequence[str], place: int) -> Table | None:
    if not dialect.header:
        return None
    there = {*cells, *unique_names(cells)}
    for column in dialect.header:
        if not there & {plain_column(each) for each in column.split("|")}:
            return None
    known = {plain_column(name) for name in dialect.known_columns}
    names = unique_names(cells)
    unknown = tuple(
        cell for cell, name in zip(cells, names, strict=True) if cell and not {cell, name} & known
    )
    if dialect.exact and unknown:
        return None
    return Table(dialect, delimiter, tuple(names), place + 1, unknown)


def _by_cells(dialect: Dialect, delimiter: str, cells: Sequence[str]) -> Table | None:
    if (
        not dialect.cells
        or len(cells) != len(dialect.cells)
        or not all(
            re.fullmatch(pattern, cell, re.IGNORECASE)
            for pattern, cell in zip(dialect.cells, cells, strict=True)
        )
    ):
        return None
    names = tuple(plain_column(name) for name in dialect.cell_names)
    return Table(dialect, delimiter, names, 0, ())


def recognise_csv(file: DropFile) -> Claim | None:
    """Whether the file is a bank's CSV with a known dialect."""
    try:
        head = file.head()
        if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
            return None
        found = opened(head, dialects_for(file.home)[0])
    except (OSError, UnicodeError):
        return None
    if found is None:
        return None
    table, lines = found
    some = list(lines_of(table, lines[: table.first_line + ROWS_TO_TRY]))
    reader = Reader.of(table, some, file)
    if not _any_readable(reader, some) and not reader.undecided_dates:
        return None
    name, title = table.dialect.name, table.dialect.title
    if table.unknown:
        names = ", ".join(table.unknown[:5])
        reason = f"the columns of {title}, and undeclared ones: {names}"
        return Claim(0.75, reason, dialect=name)
    if table.dialect.exact or table.dialect.cells:
        reason = f"looks like {title}, though other banks may write the same columns"
        return Claim(0.7, reason, dialect=name)
    return Claim(0.9, f"the columns of {title}", dialect=name)


def _any_readable(reader: Reader, some: Sequence[Line | Unreadable]) -> bool:
    """Whether any row can be read, or could be if the user answered; also true if there is none to
    read."""
    booked = [line for line in some if isinstance(line, Line) and not reader.left_out(line)]
    marks: list[str | None] = [reader.mark] if reader.mark else [None, *MARKS]
    for each in (replace(reader, mark=mark) for mark in marks):
        for line in booked:
            try:
                each.booking(line)
            except ValueError:
                continue
            return True
    return not booked


def read_csv(file: DropFile) -> Iterator[Item]:
    """The accounts, statements, balances and transactions of a CSV.

    Raises ``UnreadableFile`` when no row can be read, or nothing decides which number of its dates
    is the month.
    """
    dialects, problems = dialects_for(file.home)
    opening = opened(file.content(MAX_FILE_BYTES), dialects)
    if opening is None:
        raise UnreadableFile("Bank CSV: no dialect has these columns; see docs/sources/bank.md.")
    table, lines = opening
    for problem in problems:
        yield Unreadable(problem, None)
    found = list(lines_of(table, lines))
    reader = Reader.of(table, found, file, above=lines[: max(0, table.first_line - 1)])
    if reader.undecided_dates:
        raise UnreadableFile(_ask_for_date_format(table.dialect, reader.undecided_dates))
    for doubt in reader.doubts:
        yield Doubt(f"{doubt} {_answer_in(table.dialect)}")
    statements: dict[Account, list[tuple[Line, Booking]]] = defaultdict(list)
    unreadable: list[Unreadable] = []
    booked = 0
    for line in found:
        if isinstance(line, Unreadable):
            unreadable.append(line)
            continue
        if reader.left_out(line):
            continue
        booked += 1
        try:
            booking = reader.booking(line)
        except ValueError as error:
            unreadable.append(Unreadable(f"line {line.number}: {error}", line.cells))
            continue
        statements[reader.account(line, file.path)].append((line, booking))
    if booked and not statements and reader.mark is None:
        asked = " ".join(reader.doubts)
        raise UnreadableFile(f"{table.dialect.title}: {asked} {_answer_in(table.dialect)}")
    if booked and not statements:
        raise UnreadableFile(
            f"{table.dialect.title}: no row could be parsed. Expected dates like "
            f"{' or '.join(table.dialect.date_format)}, and amounts."
        )
    for account, booked_lines in statements.items():
        yield from rows_of(
            Statement(
                account,
                start=None,
                end=None,
                bookings=[booking for _, booking in booked_lines],
                balances=list(reader.balances(booked_lines)),
                made_at=f"{file.captured_at:%Y%m%d%H%M%S}",
            ),
            file.captured_at.date(),
        )
    yield from unreadable


def lines_of(table: Table, lines: Sequence[str]) -> Iterator[Line | Unreadable]:
    """The rows of a table, until its end."""
    ends = [re.compile(pattern, re.IGNORECASE) for pattern in table.dialect.ends_at]
    body: list[str] = []
    for line in lines[table.first_line :]:
        if any(end.search(line) for end in ends):
            break
        if table.dialect.ends_at_blank_line and not line.strip(' \r\n\t",;') and body:
            break
        body.append(line)
    width = len(table.names)
    fewest: int | None = None
    for row in rows(body, table.delimiter, width, table.first_line + 1):
        if row.cells is None:
            yield Unreadable(f"line {row.line}: quotes that do not match", row.text)
            continue
        if not any(cell.strip() for cell in row.cells):
            continue
        if len(row.cells) < (fewest or width) and not row.text.endswith(("\r", "\n")):
            # a truncated row may contain part of an amount
            yield Unreadable(f"line {row.line}: the file is truncated in it", row.text)
            continue
        fewest = min(fewest or len(row.cells), len(row.cells))
        cells = row.cells[:width] if not any(row.cells[width:]) else row.cells
        # trailing blank cells may be missing, and a trailing comma adds one
        if len(cells) > width or len(cells) < min(width, 2):
            yield Unreadable(f"line {row.line}: expected {width} cells as in the header", row.text)
            continue
        cells = [*cells, *[""] * (width - len(cells))]
        named = dict(zip(table.names, cells, strict=True))
        yield Line(row.line, named, named)


def _is_ours(dialect: Dialect) -> bool:
    return any(each is dialect for each in our_dialects())


def _answer_in(dialect: Dialect) -> str:
    if not _is_ours(dialect):
        return f"Yours is {dialect.name}, in dialects/."
    return "Such a dialect says only what differs from ours: docs/sources/bank.md."


def _ask_for_date_format(dialect: Dialect, formats: Sequence[str]) -> str:
    """The sentence for a file that is held back, with the answer to give."""
    if len(formats) == 1:
        trouble = (
            f"its dates match {formats[0]}, not {' or '.join(dialect.date_format)} as the dialect "
            "says"
        )
    else:
        trouble = f"its dates match both {' and '.join(formats)}, and nothing tells which is right"
    name = dialect.name
    if _is_ours(dialect):
        lines = [f'{{name: {name}, like: {name}, date_format: "{each}"}}' for each in formats]
        answer = f"Write into dialects/{name}.yaml the line {' or '.join(lines)}"
    else:
        answer = f"In dialects/, set date_format of the dialect {name} to the right one"
    return (
        f"{dialect.title}: {trouble}. None of its rows was ingested. {answer} and run "
        "`personal-pipeline refresh` to ingest it."
    )


@dataclass(frozen=True, slots=True)
class Reader:
    """How the rows of one file are read: a dialect, and what only the whole file reveals."""

    dialect: Dialect
    dates: re.Pattern[str]
    mark: str | None
    doubts: tuple[str, ...] = ()
    """What was uncertain, in sentences."""
    undecided_dates: tuple[str, ...] = ()
    """The date formats between which nothing decides; none of the dates may then be used."""
    out_sign: int = 1
    """1 if outgoing money is written as a positive number, in its own column or beside a word; -1
    if it is negative. The opposite sign is money that came back."""
    in_sign: int = 1
    owner: str | None = None
    """The account, from the lines above the table."""

    @classmethod
    def of(
        cls,
        table: Table,
        lines: Sequence[Line | Unreadable],
        file: DropFile,
        above: Sequence[str] = (),
    ) -> Reader:
        dialect = table.dialect
        columns, direction = dialect.columns, dialect.direction
        booked = [
            line
            for line in lines
            if isinstance(line, Line) and not _matches(line, dialect.leave_out)
        ]
        dates = date_format(
            [
                [
                    line.get(column)
                    for column in (columns.posted_on, columns.transacted_on)
                    if column
                ]
                for line in booked
            ],
            dialect.date_format,
            _hints(dialect, booked, file),
        )
        mark: str | None = dialect.decimal
        doubts = [dates.doubt] if dates.doubt else []
        if mark == "auto":
            money = {
                columns.amount,
                columns.money_out,
                columns.money_in,
                columns.balance,
                columns.fee,
                direction.in_amount if direction else None,
            } - {None}
            currencies = {line.get(columns.currency) for line in booked} - {""}
            said = decimal_mark(
                (line.get(each) for line in booked for each in money),
                currencies or ({dialect.currency} if dialect.currency else ()),
            )
            mark = said.mark
            doubts += [said.doubt] if said.doubt else []
        pattern = dates.pattern or date_pattern(dialect.date_format[0])
        reader = cls(dialect, pattern, mark, tuple(doubts), dates.rivals)
        reader = replace(reader, owner=_owner(dialect, above))
        reader = reader._with_sign(booked, dialect.money_out_sign, out=True)
        return reader._with_sign(booked, dialect.money_in_sign, out=False)

    def _with_sign(self, lines: Sequence[Line], declared: ColumnSign, *, out: bool) -> Reader:
        """The reader with the sign that most amounts of one direction have. A few negative ones may
        be money that came back, or a column that includes the minus sign: the balances decide;
        without them the first is assumed, as it is usual, and reported."""
        positive, negative = (
            replace(self, out_sign=sign) if out else replace(self, in_sign=sign) for sign in (1, -1)
        )
        if declared != "auto":
            return positive if declared == "positive" else negative
        votes = self._signs(lines, out=out)
        against = votes[False] - votes[True]
        if against <= 0:
            return positive
        # where a word gives the direction, a minus beside it is redundant
        by_word = self.dialect.direction is not None
        if against >= ENOUGH_FOR_SIGN or (by_word and not votes[True]):
            return negative
        agreeing = [each._agreeing(lines) for each in (positive, negative)]
        if agreeing[0] != agreeing[1]:
            return positive if agreeing[0] > agreeing[1] else negative
        taken, other, how = (
            (negative, "positive", "the bank's way of writing it")
            if by_word
            else (positive, "negative", "a refund" if out else "a reversal")
        )
        way, field = ("out", "money_out_sign") if out else ("in", "money_in_sign")
        doubt = (
            f"Amounts of money {way} are negative, and too few to tell what the minus means: it "
            f"was read as {how}. If that is wrong, set `{field}: {other}` in a dialect of your own."
        )
        return replace(taken, doubts=(*taken.doubts, doubt))

    def _signs(self, lines: Sequence[Line], *, out: bool) -> Counter[bool]:
        """How many amounts of one direction are positive and how many negative."""
        columns, direction = self.dialect.columns, self.dialect.direction
        column = columns.money_out if out else columns.money_in
        if direction:
            column = columns.amount if out else direction.in_amount or columns.amount
            word = direction.out if out else direction.into
            lines = [
                line for line in lines if re.search(word, line.get(direction.column), re.IGNORECASE)
            ]
        votes: Counter[bool] = Counter()
        for line in lines:
            if says_direction(line.get(column)):
                continue
            try:
                number = self.number(line, column) if line.get(column) else Decimal(0)
            except ValueError:
                continue
            if number:
                votes[number > 0] += 1
        return votes

    def _agreeing(self, lines: Sequence[Line]) -> int:
        """How many steps from balance to balance the amounts explain, in the better row order."""
        told: list[tuple[Decimal, Decimal]] = []
        for line in lines if self.dialect.columns.balance else ():
            try:
                told.append(
                    (self._amount(line)[0], self.number(line, self.dialect.columns.balance))
                )
            except ValueError:
                continue
        return max(steps_explained(told))

    def left_out(self, line: Line) -> bool:
        return _matches(line, self.dialect.leave_out)

    def booking(self, line: Line) -> Booking:
        """Raises ``ValueError`` that names the column, without a value."""
        columns = self.dialect.columns
        amount, currency = self._amount(line)
        pending = _matches(line, self.dialect.pending)
        day = columns.posted_on
        if pending and columns.transacted_on and not line.get(day):
            day = columns.transacted_on
        try:
            posted_on = date_of(line.get(day), self.dates)
        except ValueError as error:
            raise ValueError(f"{day}: {error}") from None
        transacted_on = None
        if columns.transacted_on:
            try:
                transacted_on = date_of(line.get(columns.transacted_on), self.dates)
            except ValueError:
                transacted_on = None
        texts = [line.get(column) for column in columns.description]
        return Booking(
            posted_on=posted_on,
            transacted_on=transacted_on,
            amount=plain_amount(amount),
            currency=currency,
            description=next((text for text in texts if text), ""),
            memo=line.get(columns.memo) or None,
            kind=line.get(columns.kind) or None,
            category=line.get(columns.category) or None,
            id=usable_id(line.get(columns.id).strip("'")),
            check_number=usable_id(line.get(columns.check_number)),
            pending=pending,
            raw=line.cells,
        )

    def _amount(self, line: Line) -> tuple[Decimal, str | None]:
        """The amount with our sign, and its currency."""
        columns, direction = self.dialect.columns, self.dialect.direction
        currency = line.get(columns.currency).upper() or self.dialect.currency
        if columns.amount is None:
            out, into = (
                self._signed(line, column, sign) if line.get(column) else Decimal(0)
                for column, sign in (
                    (columns.money_out, -self.out_sign),
                    (columns.money_in, self.in_sign),
                )
            )
            if not line.get(columns.money_out) and not line.get(columns.money_in):
                raise ValueError(f"{columns.money_out}, {columns.money_in}: expected an amount")
            return into + out, currency
        if direction is None:
            amount = self._signed(
                line, columns.amount, -1 if self.dialect.sign == "out_is_positive" else 1
            )
            if line.get(columns.fee):
                amount -= abs(self.number(line, columns.fee))
            return amount, currency
        said = line.get(direction.column)
        if re.search(direction.out, said, re.IGNORECASE):
            amount = self._signed(line, columns.amount, -self.out_sign)
            if line.get(columns.fee):
                amount -= abs(self.number(line, columns.fee))
            return amount, currency
        if not re.search(direction.into, said, re.IGNORECASE):
            raise ValueError(f"{direction.column}: expected a word for in or out")
        if line.get(direction.in_currency):
            currency = line.get(direction.in_currency).upper()
        return self._signed(line, direction.in_amount or columns.amount, self.in_sign), currency

    def _signed(self, line: Line, column: str | None, sign: int) -> Decimal:
        """The number in a cell with our sign: from CR or DR in the cell, which no rule overrides,
        else its own sign times ``sign``."""
        number = self.number(line, column)
        return number if sign > 0 or says_direction(line.get(column)) else number.copy_negate()

    def number(self, line: Line, column: str | None) -> Decimal:
        try:
            return amount_of(line.get(column), self.mark)
        except ValueError as error:
            raise ValueError(f"{column}: {error}") from None

    def account(self, line: Line, path: Path) -> Account:
        """The account of a row: from the row, else the folder, else the file name."""
        dialect = self.dialect
        number = line.get(dialect.account.number) or None
        name = line.get(dialect.account.name) or None
        told_by = "the file"
        if not number and not name:
            name = self.owner
        if not number and not name:
            number, name, told_by = account_of_path(path, dialect)
        institution = line.get(dialect.account.institution) or dialect.institution
        return Account(
            feed=dialect.name,
            kind=dialect.kind,
            institution=plain_text(institution) if institution else None,
            bank=plain_text(institution) if institution else None,
            number=number,
            whole=bool(number)
            and len(re.sub(r"\D", "", number or "")) > 5
            and not has_mask(number or ""),
            name=name,
            title=line.get(dialect.account.institution) or dialect.title,
            told_by=told_by,
            currency=dialect.currency,
            folder=folder_of(path),
        )

    def balances(self, lines: Sequence[tuple[Line, Booking]]) -> Iterator[Balance]:
        """The balance column at the end of each day.

        Banks list the newest row first or last, and a single date cannot tell which: the order is
        the one in which amounts explain balances.
        """
        columns = self.dialect.columns
        # budgets with several currencies have a column for each, and no running balance
        told: list[tuple[Booking, Decimal]] = []
        for line, booking in lines:
            if not columns.balance or booking.pending or not line.get(columns.balance):
                continue
            try:
                told.append((booking, self.number(line, columns.balance)))
            except ValueError:
                continue
        by_currency: dict[str | None, list[tuple[Booking, Decimal]]] = defaultdict(list)
        for booking, balance in told:
            by_currency[booking.currency].append((booking, balance))
        for currency, rows_ in by_currency.items():
            if _newest_first(rows_):
                rows_ = rows_[::-1]
            for day, balance in {booking.posted_on: each for booking, each in rows_}.items():
                yield Balance(day, plain_amount(balance), "running", currency)


def _hints(dialect: Dialect, lines: Sequence[Line], file: DropFile) -> DateHints:
    """What is known about a file's dates apart from the dates themselves."""
    modified = datetime.fromtimestamp(file.path.stat().st_mtime, UTC)
    hints = hints_of_name(file.name, file.captured_at.date(), modified.date())
    place = dialect.country or dialect.currency
    zones = {line.get(dialect.zone) for line in lines} - {""}
    currencies = {line.get(dialect.columns.currency).upper() for line in lines} - {""}
    if dialect.country or not (zones or currencies):
        places = {place} if place else set()
    else:
        # dollars are spent everywhere
        places = zones or ({place} if place else currencies - {"USD"})
    usual = {day_first_in(place) for place in places}
    return replace(hints, day_first=usual.pop()) if len(usual) == 1 else hints


def steps_explained(told: Sequence[tuple[Decimal, Decimal]]) -> tuple[int, int]:
    """For rows with an amount and the balance after it, how many steps from one balance to the next
    the amounts explain: if the oldest row is first, and if the newest is."""
    return (
        sum(after - before == amount for (_, before), (amount, after) in pairwise(told)),
        sum(after - before == amount for (amount, after), (_, before) in pairwise(told)),
    )


def _newest_first(told: Sequence[tuple[Booking, Decimal]]) -> bool:
    oldest, newest = steps_explained([(Decimal(each.amount), held) for each, held in told])
    if oldest == newest and told:
        return told[0][0].posted_on > told[-1][0].posted_on
    return newest > oldest


def _matches(line: Line, conditions: Sequence[Condition]) -> bool:
    return any(
        line.has(condition.column)
        and re.search(condition.pattern, line.get(condition.column), re.IGNORECASE)
        for condition in conditions
    )


def _owner(dialect: Dialect, above: Sequence[str]) -> str | None:
    pattern = dialect.account.above
    found = (re.search(pattern, line, re.IGNORECASE) for line in above if pattern)
    return next((match[1] for match in found if match), None)


_NOT_AN_ACCOUNT = re.compile(
    r"^(?:activity|transactions?|statements?|export(?:ed)?|downloads?|history|report|account|"
    r"register|bank|credit|card|data|all|available|last|recent|months?|days?|year|ytd|posted|"
    r"from|to|through|since|copy|csv|the|of|my|\d{1,3}|\d{5,}|(?:19|20)\d\d|"
    r"jan\w*|feb\w*|mar\w*|apr\w*|may|june?|july?|aug\w*|sep\w*|oct\w*|nov\w*|dec\w*)$"
)


def account_of_path(path: Path, dialect: Dialect) -> tuple[str | None, str | None, str]:
    """Number, name, and their origin, for an account that the rows do not name.

    A folder below the inbox is the account. From a file name, dates, counters, the bank's own name
    and words like "activity" are removed; what remains is the account.
    """
    pattern = dialect.account.file_name
    if pattern and (match := re.search(pattern, path.name, re.IGNORECASE)):
        return match[1], None, "the file's name"
    if folder := folder_of(path):
        return _with_number(folder, "the folder")
    if dialect.account.one:
        return None, None, "the format: one has one account there"
    own = {*re.findall(r"\w+", plain_text(f"{dialect.title} {dialect.institution}"))}
    own |= set(dialect.name.split("_"))
    words = [
        word
        for word in re.findall(r"[^\W_]+", plain_text(path.stem))
        if not _NOT_AN_ACCOUNT.match(word) and word not in own
    ]
    if words:
        return _with_number("-".join(words), "the file's name")
    return None, None, "nothing: the bank's name stands for it"


def _with_number(name: str, told_by: str) -> tuple[str | None, str | None, str]:
    """A name that ends in four digits contains the end of the account number."""
    return number_at_end(name), name, told_by
