"""The money: account balances, income, and spending by category."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Any

from personal_pipeline.outputs.charts import LINES, balances, side_by_side, spent_against
from personal_pipeline.outputs.comparison import (
    Known,
    Measure,
    Span,
    last_day,
    same_days,
    year_before,
)
from personal_pipeline.outputs.figures import Figures, query
from personal_pipeline.outputs.formats import (
    UNKNOWN,
    count,
    money,
    money_unit,
    plain_day,
    short_day,
    short_month,
    span,
)
from personal_pipeline.outputs.page import (
    Block,
    Part,
    Section,
    Table,
    as_of,
    change_cell,
    latest,
    month_name,
    table,
    unfinished_month,
)

DAILY = query(__package__, "daily")
PAID = query(__package__, "paid")
ACCOUNTS = query(__package__, "accounts")
MONTHS = query(__package__, "months")
SPENDING = query(__package__, "spending")
LARGEST = query(__package__, "largest")
UNDECIDED = query(__package__, "undecided")
CATEGORIES_SHOWN = 12
MONTHS_NAMED = 3
LONG_HOLE_DAYS = 7
"""A CSV is complete from its first booking to its last, so a shorter gap means nothing is
missing."""
CLOSED_AFTER_DAYS = 92
"""After this long without data, an account is no longer expected to have any."""
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Account:
    """An account in one currency, with its days: rows of ``accounts.sql``, oldest first."""

    name: str
    currency: str
    days: tuple[Any, ...]

    @property
    def covered_until(self) -> date | None:
        return max((each.day for each in self.days if each.is_covered), default=None)

    @property
    def newest(self) -> Any | None:
        """The most recent day with a known balance."""
        return next((each for each in reversed(self.days) if each.balance is not None), None)

    def on(self, day: date) -> Decimal | None:
        return next((each.balance for each in self.days if each.day == day), None)


@dataclass(frozen=True, slots=True)
class _Gap:
    """A stated balance that does not equal the previous stated one plus all transactions since.

    ``uncovered`` are the days between the two that no statement covers.
    """

    account: _Account
    stated: Any
    difference: Decimal
    uncovered: tuple[date, ...]


def measures(figures: Figures) -> list[Measure]:
    """What was spent and came in by day, and all balances, in the currency with the most movement;
    known on the days that the statements of every open account cover."""
    accounts = _accounts(figures.rows(ACCOUNTS))
    currency = next(iter(_currencies(figures.rows(MONTHS), accounts)), None)
    own = [each for each in accounts if each.currency == currency and _is_open(each, accounts)]
    if currency is None or not own:
        return []
    covered = [
        {each.day for each in account.days if each.is_covered} | _bridged(account)
        for account in own
    ]
    begun = max(min(days, default=date.max) for days in covered)
    told = {
        day for day in set.union(*covered) if all(day in days for days in covered) and day >= begun
    } - {day for account in own for day in _untold(account)}
    rows = {row.day: row for row in figures.rows(DAILY) if row.currency == currency}
    unit = money_unit(currency)

    def known(column: str) -> Known:
        return {
            day: getattr(rows[day], column) if day in rows else Decimal() for day in sorted(told)
        }

    def why(kind: str, went: str) -> Callable[[date], str]:
        def said(day: date) -> str:
            for each in figures.rows(PAID, on=day, currency=currency, kind=kind):
                return f"{money(each.amount, currency)} {went} {each.other_side}."
            return ""

        return said

    held: dict[date, list[Decimal]] = defaultdict(list)
    for account in own:
        for each in account.days:
            if each.balance is not None:
                held[each.day].append(each.balance)
    counted = max((len(each) for each in held.values()), default=0)
    return [
        Measure(
            title="Spent",
            known=known("spent"),
            query=DAILY,
            unit=unit,
            words=("spent", "spent"),
            more_is_better=False,
            card=True,
            why=why("spending", "went to"),
        ),
        Measure(
            title="Came in",
            known=known("income"),
            query=DAILY,
            unit=unit,
            words=("came in", "came in"),
            if_any=True,
            why=why("income", "came from"),
        ),
        Measure(
            title="Balance",
            known={day: sum(each) for day, each in held.items() if len(each) == counted},
            query=ACCOUNTS,
            unit=unit,
            over_days="level",
            words=("on the accounts", "on the accounts"),
            card=True,
            judged=False,
        ),
    ]


def _is_open(account: _Account, accounts: Sequence[_Account]) -> bool:
    """Whether data of an account is still to be expected."""
    newest = max((each.covered_until for each in accounts if each.covered_until), default=None)
    until = account.covered_until
    return newest is not None and until is not None and (newest - until).days < CLOSED_AFTER_DAYS


def _bridged(account: _Account) -> set[date]:
    """Days in holes that are too short for a transaction to be missing."""
    bridged: set[date] = set()
    hole: list[date] = []
    for each in account.days:
        if not each.is_covered:
            hole.append(each.day)
            continue
        if len(hole) < LONG_HOLE_DAYS:
            bridged.update(hole)
        hole = []
    return bridged


def part(figures: Figures) -> Part:
    """Accounts, income and spending, the currency with the most movement first."""
    accounts = _accounts(figures.rows(ACCOUNTS))
    months = figures.rows(MONTHS)
    spending, largest = figures.rows(SPENDING), figures.rows(LARGEST)
    undecided = figures.rows(UNDECIDED)
    until = max((each.covered_until for each in accounts if each.covered_until), default=None)
    gaps = [gap for account in accounts for gap in _gaps(account)]
    untold = {day for account in accounts for day in _untold(account)}
    blocks: list[Block | None] = []
    for currency in _currencies(months, accounts):
        own = [each for each in accounts if each.currency == currency]
        blocks.append(_balances(own, currency))
        blocks.append(_disagreements([gap for gap in gaps if gap.account in own], currency))
        if until is not None:
            blocks.append(_spending(_of(currency, spending), accounts, untold, currency, until))
            blocks.append(_largest(_of(currency, largest), currency, until))
            blocks.append(_undecided(_of(currency, undecided), currency))
        blocks.append(_income_and_spending(_of(currency, months), untold, currency, until))
    return Part(as_of(until), blocks)


def _of(currency: str, rows: Sequence[Any]) -> list[Any]:
    return [each for each in rows if each.currency == currency]


def _accounts(days: Sequence[Any]) -> list[_Account]:
    return [
        _Account(of_account[0].account, of_account[0].currency, of_account)
        for _, together in groupby(days, key=lambda each: (each.account_id, each.currency))
        if (of_account := tuple(together))
    ]


def _currencies(months: Sequence[Any], accounts: Sequence[_Account]) -> list[str]:
    moved: dict[str, Decimal] = defaultdict(
        Decimal, {each.currency: Decimal() for each in accounts}
    )
    for month in months:
        moved[month.currency] += month.income + month.spent
    return sorted(moved, key=lambda currency: (-moved[currency], currency))


def _gaps(account: _Account) -> list[_Gap]:
    """Where stated balances disagree, the most recent first."""
    gaps: list[_Gap] = []
    uncovered: list[date] = []
    for each in account.days:
        if not each.is_covered:
            uncovered.append(each.day)
        if each.stated_balance is None:
            continue
        if each.difference:
            gaps.append(_Gap(account, each, each.difference, tuple(uncovered)))
        uncovered = []
    return gaps[::-1]


def _untold(account: _Account) -> set[date]:
    """The days on which transactions may be missing: no statement covers them, and no later stated
    balance agrees."""
    untold: set[date] = set()
    hole: list[date] = []
    for each in account.days:
        if each.is_covered:
            if len(hole) >= LONG_HOLE_DAYS:
                untold.update(hole)
            hole = []
        else:
            hole.append(each.day)
    agreed: set[date] = set()
    since: list[date] = []
    for each in account.days:
        since.append(each.day)
        if each.stated_balance is not None:
            if each.difference == 0:
                agreed.update(since)
            since = []
    uncertain = {day for gap in _gaps(account) for day in gap.uncovered}
    return (untold - agreed) | uncertain


# --- balances -------------------------------------------------------------------------------------


def _balances(accounts: Sequence[_Account], currency: str) -> Block | None:
    if not accounts:
        return None
    told = sorted((each for each in accounts if each.newest), key=lambda each: -_size(each))
    silent = [each for each in accounts if not each.newest]
    drawn = told[: len(LINES)]
    names = _listed([each.name for each in silent])
    text = f"No statement gives the balance of {names}." if silent else ""
    if len(told) > len(drawn):
        text = f"The {len(drawn)} with the highest balances are shown. {text}".strip()
    tables = [
        table(
            f"Accounts, {currency.upper()}",
            ACCOUNTS,
            [*told, *silent],
            ("Account", lambda each: each.name),
            ("Statements until", lambda each: _day(each.covered_until)),
            ("Balance", lambda each: money(each.newest and each.newest.balance, currency)),
            ("On", lambda each: _day(each.newest and each.newest.day)),
            ("A month before", lambda each: money(_month_before(each), currency)),
            folded=False,
            cards=True,
        )
    ]
    if told:
        tables.append(_by_month(told, currency))
    return Block(
        title=f"Balances, {currency.upper()}",
        text=text,
        chart=balances(
            [(each.name, [(row.day, row.balance) for row in each.days]) for each in drawn],
            money_unit(currency),
        )
        if any(sum(row.balance is not None for row in each.days) > 1 for each in drawn)
        else None,
        tables=tuple(tables),
    )


def _size(account: _Account) -> Decimal:
    newest = account.newest
    return abs(newest.balance) if newest and newest.balance is not None else Decimal()


def _listed(names: Sequence[str]) -> str:
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def _day(day: date | None) -> str:
    return short_day(day) if day else UNKNOWN


def _month_before(account: _Account) -> Decimal | None:
    if account.newest is None:
        return None
    day = account.newest.day
    return account.on(same_days(day, day.replace(day=1) - _DAY).last)


def _by_month(accounts: Sequence[_Account], currency: str) -> Table:
    """The balance at the end of each month, and for the last month on its most recent day."""
    ends: dict[date, dict[int, Decimal | None]] = defaultdict(dict)
    newest: dict[date, date] = {}
    for place, account in enumerate(accounts):
        for each in account.days:
            month = each.day.replace(day=1)
            # days are oldest first, so the last of the month wins
            ends[month][place] = each.balance
            newest[month] = max(each.day, newest.get(month, each.day))
    running = unfinished_month(max(newest.values()))

    def held(place: int) -> Callable[[date], str]:
        return lambda month: money(ends[month].get(place), currency)

    return table(
        f"Balance at the end of each month, {currency.upper()}",
        ACCOUNTS,
        latest(sorted(ends)),
        ("Month", lambda month: month_name(month, running)),
        *((each.name, held(place)) for place, each in enumerate(accounts)),
    )


def _disagreements(gaps: Sequence[_Gap], currency: str) -> Block | None:
    if not gaps:
        return None
    newest = max(gaps, key=lambda gap: gap.stated.day)
    missing = _missing(newest)
    text = (
        f"{newest.account.name}: the balance of {plain_day(newest.stated.day)} is "
        f"{money(abs(newest.difference), currency)} {'more' if newest.difference > 0 else 'less'} "
        "than the previous stated balance plus all transactions since."
    )
    if missing:
        text += f" No statement covers {missing}: download it to complete the figures."
    return Block(
        title=f"Balances that do not add up, {currency.upper()}",
        text=text,
        tables=(
            table(
                f"Stated balances that the transactions do not explain, {currency.upper()}",
                ACCOUNTS,
                sorted(gaps, key=lambda gap: gap.stated.day, reverse=True),
                ("Account", lambda gap: gap.account.name),
                ("Stated on", lambda gap: short_day(gap.stated.day)),
                ("Stated", lambda gap: money(gap.stated.stated_balance, currency)),
                ("Difference", lambda gap: money(gap.difference, currency, signed=True)),
                ("Days without a statement", lambda gap: _missing(gap) or "none"),
                folded=False,
                cards=True,
            ),
        ),
    )


def _missing(gap: _Gap) -> str:
    return span(gap.uncovered[0], gap.uncovered[-1]) if gap.uncovered else ""


# --- spending -------------------------------------------------------------------------------------


def _spending(
    days: Sequence[Any],
    accounts: Sequence[_Account],
    untold: Collection[date],
    currency: str,
    until: date,
) -> Block | None:
    """This month compared with the same days of the previous month and of the same month a year
    ago."""
    zero = Decimal()
    now = Span(until.replace(day=1), until)
    spans = (
        now,
        same_days(until, now.first - _DAY),
        same_days(until, last_day(year_before(now.first))),
    )
    sums = [_by_category(days, each) for each in spans]
    categories = sorted(
        {name for each in sums for name in each},
        key=lambda name: (*(-each.get(name, zero) for each in sums), name),
    )
    if not categories:
        return None
    wholes = [_is_whole(each, accounts, untold) for each in spans]
    named = [span(each.first, each.last) for each in spans]

    def known(values: Sequence[Decimal]) -> list[Decimal | None]:
        # an incomplete figure cannot be compared with a complete one
        return [
            value if whole or place == 0 else None
            for place, (value, whole) in enumerate(zip(values, wholes, strict=True))
        ]

    found = {name: known([each.get(name, zero) for each in sums]) for name in categories}
    total = known([sum(each.values(), zero) for each in sums])
    unknown = [name for name, whole in zip(named[1:], wholes[1:], strict=True) if not whole]
    running = unfinished_month(until)
    text = (
        f"{money(total[0], currency)} {'on' if running else 'in'} {named[0]}, excluding transfers "
        "between your own accounts."
    )
    if unknown:
        text += f" Statements cover only part of {_listed(unknown)}."
    behind = [
        f"{each.name} is covered only until {short_day(each.covered_until)}."
        for each in accounts
        if each.currency == currency
        and each.covered_until is not None
        and LONG_HOLE_DAYS <= (until - each.covered_until).days < CLOSED_AFTER_DAYS
    ]
    text = " ".join([text, *behind])
    drawn = [name for name in categories if found[name][0]][:CATEGORIES_SHOWN]
    return Block(
        title=f"Spending by category, {currency.upper()}",
        text=text,
        chart=spent_against(
            [
                (name, found[name][0] or zero, found[name][1], money(found[name][0], currency))
                for name in drawn
            ],
            (named[0], named[1]),
        )
        if drawn
        else None,
        tables=(
            table(
                f"Spending by category, {named[0]}, {currency.upper()}",
                SPENDING,
                [*((name, *found[name]) for name in categories), ("Together", *total)],
                ("Category", lambda row: row[0]),
                (named[0], lambda row: money(row[1], currency)),
                (named[1], lambda row: money(row[2], currency)),
                ("Change", lambda row: change_cell(row[1], row[2], False)),
                (named[2], lambda row: money(row[3], currency)),
                ("Change", lambda row: change_cell(row[1], row[3], False)),
            ),
        ),
    )


def _by_category(days: Sequence[Any], within: Span) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for each in days:
        if within.first <= each.day <= within.last:
            sums[each.category] = sums.get(each.category, Decimal()) + each.spent
    return sums


def _is_whole(within: Span, accounts: Sequence[_Account], untold: Collection[date]) -> bool:
    """Whether statements cover a span as far as can be known: they had begun by then, and no
    transactions are missing in it."""
    begun = min((each.days[0].day for each in accounts), default=None)
    if begun is None or begun > within.first:
        return False
    return not any(within.first <= day <= within.last for day in untold)


def _largest(largest: Sequence[Any], currency: str, until: date) -> Block | None:
    if not largest:
        return None
    within = span(until.replace(day=1), until)
    return Block(
        title=f"Largest payments, {currency.upper()}",
        tables=(
            table(
                f"The {count(len(largest))} largest payments, {within}",
                LARGEST,
                largest,
                ("To", lambda each: each.payee),
                ("Category", lambda each: each.category),
                ("Day", lambda each: short_day(each.day)),
                ("Account", lambda each: each.account),
                ("Amount", lambda each: money(each.spent, currency)),
                words=4,
                folded=False,
                cards=True,
            ),
        ),
    )


def _undecided(found: Sequence[Any], currency: str) -> Block | None:
    if not found:
        return None
    return Block(
        title=f"Transfers between your own accounts? {currency.upper()}",
        text="Unclear whether these are transfers, so they count as spending and income. Decide "
        "with a rule in categories.yaml: transfer: true, or a category.",
        tables=(
            table(
                f"Equal amounts in two accounts within five days, {currency.upper()}",
                UNDECIDED,
                found,
                ("From", lambda each: each.account),
                ("Left on", lambda each: short_day(each.day)),
                ("To", lambda each: each.to_account),
                ("Came on", lambda each: short_day(each.to_day)),
                ("Amount", lambda each: money(each.amount, currency)),
                words=4,
                folded=False,
                cards=True,
            ),
        ),
    )


# --- income and spending --------------------------------------------------------------------------


def _income_and_spending(
    months: Sequence[Any], untold: Collection[date], currency: str, until: date | None
) -> Block | None:
    if not months:
        return None
    running = unfinished_month(until)
    partial = {day.replace(day=1) for day in untold}
    text = "A refund counts as income; transfers between your own accounts count as neither."
    if running:
        text += " A pale last month is incomplete."
    if lacking := sorted(partial & {each.month for each in months}):
        shown = _listed([short_month(month) for month in lacking[-MONTHS_NAMED:]])
        more = f" and {count(len(lacking) - MONTHS_NAMED)} earlier months"
        text += f" Statements of {shown}{more if lacking[MONTHS_NAMED:] else ''} are missing."

    def name(month: date) -> str:
        return month_name(month, running) + (" (incomplete)" if month in partial else "")

    return Block(
        title=f"Income against spending, {currency.upper()}",
        text=text,
        chart=side_by_side(
            [(each.month, each.income, each.spent) for each in months],
            ("Income", "Spending"),
            running,
            money_unit(currency),
        ),
        tables=(
            table(
                f"Income and spending by month, {currency.upper()}",
                MONTHS,
                latest(months),
                ("Month", lambda each: name(each.month)),
                ("Income", lambda each: money(each.income, currency)),
                ("Spending", lambda each: money(each.spent, currency)),
                ("Left", lambda each: money(each.income - each.spent, currency, signed=True)),
                ("Own transfers", lambda each: count(each.transfers)),
            ),
        ),
    )


MONEY = Section(anchor="money", title="Money", sources=("bank",), part=part, measures=measures)
