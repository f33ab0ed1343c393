"""The bank of the invented life: true to itself, and read by the bank's source as it is."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from personal_pipeline.demo.bank import BankAccount
from personal_pipeline.demo.chance import add_months
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.parts.bank import FORGOTTEN
from personal_pipeline.ingest.contract import DropFile, DropRow, Record
from personal_pipeline.sources.bank import CATEGORIES, STATEMENT

FEEDS = {"QFX": "ofx", "CSV": "chase_checking", "csv": "capital_one_card"}


def _statements(drops: list[Path]) -> list[Path]:
    return [path for path in drops if "_Activity_" in path.name or "_transaction_" in path.name]


def _read(path: Path, stream: str) -> Iterator[Record]:
    made_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    for row in STATEMENT.read(DropFile(path, path.name, made_at)):
        assert isinstance(row, DropRow), row.reason
        if row.stream == stream:
            yield row.record


def _cents(text: str) -> int:
    return int(Decimal(text) * 100)


def test_each_format_is_the_one_it_looks_like(drops: list[Path]) -> None:
    seen: Counter[str] = Counter()
    for path in _statements(drops):
        assert STATEMENT.recognise(DropFile(path, path.name, datetime.now(UTC))) is not None
        feeds = {record["feed"] for record in _read(path, "statements")}
        assert feeds == {FEEDS[path.suffix[1:]]}
        seen.update(feeds)
    assert seen["ofx"] == 24
    assert seen["chase_checking"] == 8
    assert seen["capital_one_card"] == 25


@pytest.mark.parametrize("suffix", ["QFX", "CSV", "csv"])
def test_statements_hold_every_movement_of_their_months(
    drops: list[Path], life: Life, suffix: str
) -> None:
    account = life.bank.card if suffix == "csv" else life.bank.checking
    told: Counter[tuple[str, int]] = Counter()
    months: set[str] = set()
    for path in _statements(drops):
        if path.name.endswith(suffix):
            for record in _read(path, "transactions"):
                told[record["posted_on"], _cents(record["amount"])] += 1
                months.add(record["posted_on"][:7])
    assert told == Counter(
        (str(each.posted_on), each.amount)
        for each in account.movements
        if str(each.posted_on)[:7] in months
    )
    everything = len({str(each.posted_on)[:7] for each in account.movements})
    assert len(months) == {"QFX": everything - 1, "CSV": 8, "csv": everything}[suffix]


def test_stated_balances_are_those_of_the_movements(drops: list[Path], life: Life) -> None:
    checking = life.bank.checking
    stated = {
        (record["day"], _cents(record["balance"]))
        for path in _statements(drops)
        for record in _read(path, "balances")
    }
    assert len(stated) > 100
    assert stated == {(day, checking.balance(date.fromisoformat(day))) for day, _ in stated}


def test_one_month_of_the_checking_account_is_missing(drops: list[Path], life: Life) -> None:
    covered = {
        day.replace(day=1)
        for path in _statements(drops)
        if path.suffix == ".QFX"
        for record in _read(path, "statements")
        for day in (date.fromisoformat(record["start"]), date.fromisoformat(record["end"]))
    }
    months = {add_months(life.start, number) for number in range(25)}
    assert months - covered == {add_months(life.start, FORGOTTEN - 1)}


def test_payouts_arrive_but_not_the_one_that_failed(life: Life) -> None:
    arrived = [
        each.amount
        for each in life.bank.checking.movements
        if each.payee.startswith("STRIPE TRANSFER")
    ]
    paid = [
        each.amount
        for each in life.money.payouts
        if each.currency == "usd"
        and each.status == "paid"
        and each.arrives_at.date() + timedelta(days=2) <= life.until
    ]
    assert sorted(arrived) == sorted(paid)
    assert any(each.status == "failed" for each in life.money.payouts)


def test_the_card_is_paid_from_the_checking_account(life: Life) -> None:
    def payments(account: BankAccount) -> list[int]:
        return [each.amount for each in account.movements if each.payee.startswith("CAPITAL ONE")]

    sent, received = payments(life.bank.checking), payments(life.bank.card)
    assert [-amount for amount in sent] == received
    assert len(sent) == 24
    # what is owed is never more than what was bought since the month before
    first = add_months(life.until.replace(day=1), -1)
    owed = sum(each.amount for each in life.bank.card.between(first, life.until))
    assert 0 > life.bank.card.balance(life.until) >= owed - sum(received[-2:])


def test_some_days_have_two_equal_coffees(life: Life) -> None:
    coffees = Counter(
        (each.posted_on, each.amount)
        for each in life.bank.checking.movements
        if "COFFEE" in each.payee
    )
    assert 20 < sum(count == 2 for count in coffees.values()) < len(coffees) / 3
    assert max(coffees.values()) == 2


def test_the_checking_account_is_never_overdrawn(life: Life) -> None:
    days = {each.posted_on for each in life.bank.checking.movements}
    assert min(life.bank.checking.balance(day) for day in days) > 0


def test_a_later_last_day_only_adds_bookings() -> None:
    days = [date(2026, 11, 2), date(2026, 11, 11), date(2026, 11, 14), date(2026, 11, 20)]
    lives = [invent(1, 5, day) for day in days]
    for earlier, later in pairwise(lives):
        for name in ("checking", "card"):
            shorter, longer = getattr(earlier.bank, name), getattr(later.bank, name)
            assert longer.between(date.min, earlier.until) == list(shorter.movements)


def test_the_rules_for_categories_are_read(drops: list[Path], life: Life) -> None:
    (path,) = [path for path in drops if path.name == "categories.yaml"]
    file = DropFile(path, path.name, life.end)
    assert CATEGORIES.recognise(file) is not None
    rules = [
        row.record
        for row in CATEGORIES.read(file)
        if isinstance(row, DropRow) and row.record["kind"] == "rule"
    ]
    assert len(rules) > 8
    payees = " ".join(
        each.payee.lower() for each in (*life.bank.checking.movements, *life.bank.card.movements)
    )
    for rule in rules:
        assert any(re.search(re.escape(word), payees) for word in rule["words"]), rule["category"]
