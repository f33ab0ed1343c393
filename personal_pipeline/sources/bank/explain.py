"""An unknown CSV that may be a bank's: which of its columns are understood, and a dialect for it.

Nothing here reads a file into the lake: the person looks at the guess, corrects it, and puts it
into ``dialects/`` of the home. Names of columns are shown, values never.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from personal_pipeline.ingest.contract import DropFile
from personal_pipeline.ingest.delimited import DELIMITERS, rows, unique_names
from personal_pipeline.shown import shown
from personal_pipeline.sources.bank.dialect import plain_column
from personal_pipeline.sources.bank.statement_csv import HEADER_WITHIN_LINES
from personal_pipeline.sources.bank.values import (
    date_format,
    decimal_mark,
    decoded,
    is_amount,
)

LONGEST_NAME = 60

DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%d-%m-%Y", "%m/%d/%y", "%d.%m.%y")

_WORDS: Mapping[str, tuple[str, str]] = {
    "posted_on": ("dates", r"post|book|buchung|^date|^datum|fecha|^data|date"),
    "transacted_on": ("dates", r"transaction|value|valuta|wertstellung|effective"),
    "balance": ("numbers", r"balance|saldo|solde|kontostand"),
    "money_out": ("numbers", r"debit|withdraw|outflow|paid out|money out|soll|abgang|cargo|débit"),
    "money_in": ("numbers", r"credit|deposit|inflow|paid in|money in|haben|zugang|abono|crédit"),
    "amount": ("numbers", r"amount|betrag|umsatz|importe|montant|importo|bedrag"),
    "currency": ("texts", r"currency|währung|waehrung|moneda|devise"),
    "id": ("any", r"(transaction|reference|unique).*(id|number|no)\b|^id$|fitid|^reference$"),
    "description": (
        "texts",
        r"description|payee|merchant|name|empfänger|auftraggeber|begünstigter|buchungstext"
        r"|concepto|libellé|descrizione|omschrijving|narrative|details|text",
    ),
    "memo": ("texts", r"memo|note|purpose|verwendung|comment"),
    "category": ("texts", r"category|kategorie|categor"),
    "kind": ("texts", r"^type$|transaction type|buchungsart|art$|tipo"),
    "check_number": ("any", r"che(ck|que)"),
}
"""What columns are called, in the languages that we have met; the first that fits is taken.
Before them, what the values of such a column are."""


@dataclass(frozen=True, slots=True)
class Explained:
    """What was understood of an unknown CSV. ``dialect`` is YAML to fill in."""

    columns: Mapping[str, str]
    """Field of a dialect, and the column that it seems to be."""
    unknown: tuple[str, ...]
    """Columns of which nothing is known."""
    missing: tuple[str, ...]
    """What a dialect needs and no column seems to be."""
    dialect: str

    def __str__(self) -> str:
        understood = [
            f"  {field}: {shown(column, LONGEST_NAME)}" for field, column in self.columns.items()
        ]
        unknown = ", ".join(shown(column, LONGEST_NAME) for column in self.unknown)
        left = [f"Not understood: {unknown}."] if self.unknown else []
        lacking = [f"Not found: {', '.join(self.missing)}."] if self.missing else []
        return "\n".join(
            [
                "This may be the CSV of a bank that is not known yet. Columns that seem clear:",
                *(understood or ["  none"]),
                *left,
                *lacking,
                "Correct this, save it as dialects/<bank>.yaml beside the inbox, and add the "
                "file again:",
                "",
                self.dialect,
            ]
        )


def explain_csv(file: DropFile) -> Explained | None:
    """What is understood of a CSV that no dialect knows; None when it does not look like a bank's:
    a header, and below it a column of dates and one of amounts."""
    try:
        lines = decoded(file.head()).splitlines(keepends=True)
    except (OSError, UnicodeError):
        return None
    for place, line in enumerate(lines[:HEADER_WITHIN_LINES]):
        delimiter = max(DELIMITERS, key=line.count)
        if line.count(delimiter) < 2:
            continue
        cells = next(rows([line], delimiter)).cells
        body = [
            row.cells
            for row in rows(lines[place + 1 : place + 51], delimiter)
            if row.cells and cells and len(row.cells) >= len(cells)
        ]
        if cells and body and (explained := _explained(cells, body)):
            return explained
    return None


def _explained(header: Sequence[str], body: Sequence[Sequence[str]]) -> Explained | None:
    names = unique_names(header)
    values = {name: [row[place].strip() for row in body] for place, name in enumerate(names)}
    dates = {
        name: found.format
        for name, texts in values.items()
        if (found := date_format([[text] for text in texts], DATE_FORMATS)).format
    }
    numbers = [name for name, texts in values.items() if name not in dates and _numeric(texts)]
    # a file without a header has values for names
    if not dates or not numbers or any(_numeric([name]) for name in header if name.strip()):
        return None
    texts_left = [name for name in names if name not in dates and name not in numbers]
    kinds = {
        "dates": list(dates),
        "numbers": numbers,
        "any": [*texts_left, *numbers],
        "texts": texts_left,
    }
    chosen: dict[str, str] = {}
    for field, (kind, words) in _WORDS.items():
        for name in kinds[kind]:
            if name not in chosen.values() and re.search(words, plain_column(name)):
                chosen[field] = name
                break
    chosen.setdefault("posted_on", next(iter(dates)))
    if "description" not in chosen and "memo" in chosen:
        chosen["description"] = chosen.pop("memo")
    if {"money_out", "money_in"} <= chosen.keys():
        chosen.pop("amount", None)
    else:
        # one without the other is something else
        chosen.pop("money_out", None)
        chosen.pop("money_in", None)
        left = [name for name in numbers if name not in chosen.values()]
        if "amount" not in chosen and left:
            chosen["amount"] = left[0]
    money = [text for name in numbers for text in values[name]]
    format_ = dates[chosen["posted_on"]] or ""
    missing = tuple(field for field in ("description",) if field not in chosen)
    return Explained(
        columns=chosen,
        unknown=tuple(name for name in names if name not in chosen.values()),
        missing=missing,
        dialect=_declaration(names, chosen, format_, decimal_mark(money).mark or "auto"),
    )


def _numeric(texts: Sequence[str]) -> bool:
    filled = [text for text in texts if text]
    return bool(filled) and all(map(is_amount, filled))


def _declaration(
    names: Sequence[str], chosen: Mapping[str, str], date_format: str, mark: str
) -> str:
    # what is written out is an escape of YAML too, within its quotes
    quoted = {name: shown(json.dumps(name, ensure_ascii=False), len(name) * 12) for name in names}
    order = [field for field in _WORDS if field in chosen]
    lines = [
        "name: my_bank            # the name of this file",
        "title: My Bank           # what it is called in tables",
        "institution: my bank     # one name for all files of this bank",
        "kind: bank               # bank, card, broker or ledger",
        "currency: EUR            # ISO code; leave out when a column says it",
        "header:",
        *(f"  - {quoted[name]}" for name in names),
        f'date_format: "{date_format}"',
        f'decimal: "{mark}"',
    ]
    if "amount" in chosen:
        lines.append("sign: out_is_negative    # or out_is_positive, as some cards have it")
    lines += ["columns:", *(f"  {field}: {quoted[chosen[field]]}" for field in order)]
    if "description" not in chosen:
        lines.append("  description:           # which column says what it was for?")
    if "currency" in chosen:
        lines = [line for line in lines if not line.startswith("currency:")]
    return "\n".join(lines) + "\n"
