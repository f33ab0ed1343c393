"""Banks: statements of the previous month, downloaded on the second; one was forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from personal_pipeline.demo import bank_format
from personal_pipeline.demo.chance import add_months, at, month_of
from personal_pipeline.demo.invented import CAPTURE_DAY, File, Invented, export_days
from personal_pipeline.demo.life import Life

FORGOTTEN = 8
"""The number of the checking account statement that was never downloaded."""
CSV_EVERY = 3
"""How often the checking account was also downloaded as CSV."""
_DAY = timedelta(days=1)


def _statements(life: Life) -> Iterator[File]:
    """Statements of the previous month; in the night after the last day, up to that day."""
    end = life.end.date()
    checking, card = life.bank.checking, life.bank.card
    for number, day in enumerate(sorted({*export_days(life), end}), 1):
        first = month_of(day - timedelta(days=CAPTURE_DAY))
        last = life.until if day == end else add_months(first, 1) - _DAY
        made_at = at(day, 0, 15) if day == end else at(day, 7, 5)
        name = f"Chase{checking.number[-4:]}_Activity_{day:%Y%m%d}"
        if number != FORGOTTEN:
            body = bank_format.ofx(checking, first, last)
            yield File(f"{name}.QFX", made_at, body.encode("cp1252"))
        if number % CSV_EVERY == 0:
            yield File(
                f"{name}.CSV", made_at, bank_format.checking_csv(checking, first, last).encode()
            )
        body = bank_format.card_csv(card, first, last)
        yield File(f"{day}_transaction_download.csv", made_at, body.encode())
    rules = bank_format.CATEGORIES.encode()
    yield File("categories.yaml", at(life.start + timedelta(days=40), 20, 15), rules)


BANK = Invented(source="bank", files=_statements)
