"""Bank and card statements, downloaded by hand: OFX, QFX, and the CSV of any bank.

A bank is a YAML file in ``dialects/``, and no code. Each row is kept as the bank provided it; the
SQL of ``marts.transaction_merges`` decides which rows are one transaction and says why.

What surprised the author: some banks restart the id that OFX calls unique in each file; a date at
midnight UTC means that day wherever the bank is; cards may or may not count what was spent as
positive; and most CSVs do not say which account they are for.

Account numbers stay in the lake. Tables have a name with the last four digits, and an id.
"""

from __future__ import annotations

from collections.abc import Iterator

from personal_pipeline.ingest.contract import (
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropStream,
    Item,
    Source,
)
from personal_pipeline.sources.bank.categories import read_categories, recognise_categories
from personal_pipeline.sources.bank.dialect import dialects_for, texts_for
from personal_pipeline.sources.bank.explain import explain_csv
from personal_pipeline.sources.bank.ofx import read_ofx, recognise_ofx
from personal_pipeline.sources.bank.statement_csv import read_csv, recognise_csv

_STREAMS = (
    DropStream(
        name="accounts",
        code_version="2",
        description=(
            "One row is an account as the statements of a month tell it, with its number. Filed "
            "under the month in which the statement ends."
        ),
        volatile=("raw",),
    ),
    DropStream(
        name="statements",
        code_version="2",
        description=(
            "One row is the list of one account in one file: from which day to which it is "
            "complete, and the keys of its transactions. Filed under the month in which it ends."
        ),
    ),
    DropStream(
        name="balances",
        code_version="2",
        description=(
            "One row is an account, a day and what the bank says that it held at the end of it, in "
            "whole units of the currency. Filed under the month of the day."
        ),
    ),
    DropStream(
        name="transactions",
        code_version="2",
        description=(
            "One row is a line of a statement, pending ones too; what leaves the account is "
            "negative, in whole units of the currency. Days are those of the bank. The same "
            "transaction from another format is another row. Filed under the month of posting."
        ),
        columns=lambda record: () if record["feed"] == "ofx" else record["raw"],
        layout=lambda record: str(record["feed"]),
    ),
)


def recognise_statement(file: DropFile) -> Claim | None:
    """Whether the file is OFX, or a CSV that a dialect knows."""
    return recognise_ofx(file) or recognise_csv(file)


def read_statement(file: DropFile) -> Iterator[Item]:
    """The rows of a statement of either kind. Raises ``UnreadableFile``."""
    yield from read_ofx(file) if recognise_ofx(file) else read_csv(file)


STATEMENT = Drop(
    name="statement",
    description="statements of a bank or card: OFX, QFX, or CSV",
    how_to=(
        "1. Log in to the bank, open the account and look for Download, Export or “Money "
        "programs”.\n"
        "2. Choose OFX, QFX (Quicken) or “Money”, else CSV, and the longest period it offers.\n"
        "3. Put the file into the inbox. Periods may overlap: nothing is counted twice. Put a CSV "
        "that does not name its account into a folder that does, such as inbox/checking-1234/."
    ),
    recognise=recognise_statement,
    read=read_statement,
    explain=lambda file: str(found) if (found := explain_csv(file)) else None,
    dialects=texts_for,
    problems=lambda home: dialects_for(home)[1],
    streams=_STREAMS,
)

CATEGORIES = Drop(
    name="categories",
    description="categories.yaml, your rules for categories of transactions",
    how_to=(
        "Write rules as docs/sources/bank.md shows, and run `personal-pipeline add "
        "categories.yaml` after each change."
    ),
    recognise=recognise_categories,
    read=read_categories,
    streams=(
        DropStream(
            name="categories",
            description=(
                "One row is a rule of the newest categories.yaml, the first of which that fits a "
                "transaction says its category; or an account that it names, and accounts of one "
                "name are one; and one row stands for the file itself."
            ),
            coverage=Coverage.FULL,
        ),
    ),
)

BANK = Source(
    name="bank",
    title="Bank",
    description=(
        "Accounts, transactions and balances from statements that are downloaded by hand, in any "
        "of a dozen formats."
    ),
    drops=(STATEMENT, CATEGORIES),
)

__all__ = ["BANK"]
