"""Statements of the invented bank, in the download formats of two banks.

The checking account comes as QFX (OFX 1.0.2: leaf elements have no end tag) and as the bank's CSV,
most recent row first, with one comma too many; the card's bank has its own CSV, with its own
categories.
"""

from __future__ import annotations

import csv
import html
import io
from datetime import date
from itertools import accumulate

from personal_pipeline.demo.bank import BankAccount

_HEADER = (
    "OFXHEADER:100\r\nDATA:OFXSGML\r\nVERSION:102\r\nSECURITY:NONE\r\nENCODING:USASCII\r\n"
    "CHARSET:1252\r\nCOMPRESSION:NONE\r\nOLDFILEUID:NONE\r\nNEWFILEUID:NONE\r\n\r\n"
)
_NAME_LENGTH = 32

CATEGORIES = """\
# Rules for categories: the first that fits counts. The card's bank has its own for the rest.
rules:
  - category: Payouts
    words: stripe transfer
  - category: Wages
    words: payroll
  - category: Card payment
    words: [capital one mobile pmt, capital one mobile pymt]
    transfer: true
  - category: Rent
    words: rent
  - category: Household bills
    words: [city power, brightwire]
  - category: Groceries
    words: [greenleaf, corner grocer]
  - category: Coffee
    words: coffee
  - category: Health
    words: [gym, pharmacy]
  - category: Subscriptions
    words: [plaintext cloud, tidepool, ledgerline]
  - category: Travel
    words: [alba air, pension, rail]
  - category: Cash
    words: atm
"""


def ofx(account: BankAccount, first: date, last: date) -> str:
    """The statement of a checking account from ``first`` to ``last``, both included."""
    made_on = f"{last:%Y%m%d}120000[0:GMT]"
    lines = []
    for each in account.between(first, last):
        name = html.escape(each.payee[:_NAME_LENGTH], quote=False)
        lines.append(
            f"<STMTTRN>\r\n<TRNTYPE>{each.kind}\r\n<DTPOSTED>{each.posted_on:%Y%m%d}120000[0:GMT]\r\n"
            f"<TRNAMT>{_dollars(each.amount)}\r\n"
            f"<FITID>{each.posted_on:%Y%m%d}{each.number:04d}\r\n<NAME>{name}\r\n</STMTTRN>\r\n"
        )
    return (
        f"{_HEADER}<OFX>\r\n<SIGNONMSGSRSV1>\r\n<SONRS>\r\n<STATUS>\r\n<CODE>0\r\n"
        f"<SEVERITY>INFO\r\n</STATUS>\r\n<DTSERVER>{made_on}\r\n<LANGUAGE>ENG\r\n"
        "<FI>\r\n<ORG>Chase\r\n<FID>10898\r\n</FI>\r\n<INTU.BID>10898\r\n</SONRS>\r\n"
        "</SIGNONMSGSRSV1>\r\n<BANKMSGSRSV1>\r\n<STMTTRNRS>\r\n<TRNUID>1\r\n<STATUS>\r\n<CODE>0\r\n"
        "<SEVERITY>INFO\r\n</STATUS>\r\n<STMTRS>\r\n<CURDEF>USD\r\n<BANKACCTFROM>\r\n"
        f"<BANKID>000000000\r\n<ACCTID>{account.number}\r\n<ACCTTYPE>CHECKING\r\n</BANKACCTFROM>\r\n"
        f"<BANKTRANLIST>\r\n<DTSTART>{first:%Y%m%d}120000[0:GMT]\r\n"
        f"<DTEND>{last:%Y%m%d}120000[0:GMT]\r\n{''.join(lines)}</BANKTRANLIST>\r\n"
        f"<LEDGERBAL>\r\n<BALAMT>{_dollars(account.balance(last))}\r\n"
        f"<DTASOF>{last:%Y%m%d}120000[0:GMT]\r\n</LEDGERBAL>\r\n"
        "</STMTRS>\r\n</STMTTRNRS>\r\n</BANKMSGSRSV1>\r\n</OFX>\r\n"
    )


def checking_csv(account: BankAccount, first: date, last: date) -> str:
    """The activity of the checking account as CSV, with the balance after each row."""
    types = {"DIRECTDEP": "ACH_CREDIT", "DIRECTDEBIT": "ACH_DEBIT", "POS": "DEBIT_CARD"}
    movements = account.between(first, last)
    held = account.balance(last) - sum(each.amount for each in movements)
    balances = list(accumulate((each.amount for each in movements), initial=held))[1:]
    text = io.StringIO()
    text.write("Details,Posting Date,Description,Amount,Type,Balance,Check or Slip #\n")
    for each, balance in reversed(list(zip(movements, balances, strict=True))):
        cells = (
            "CREDIT" if each.amount > 0 else "DEBIT",
            f"{each.posted_on:%m/%d/%Y}",
            each.payee,
            _dollars(each.amount),
            types.get(each.kind, "MISC_DEBIT"),
            _dollars(balance),
            "",
            "",
        )
        csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


def card_csv(account: BankAccount, first: date, last: date) -> str:
    """The bookings on the card from ``first`` to ``last``, most recent first."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    table.writerow(
        (
            "Transaction Date",
            "Posted Date",
            "Card No.",
            "Description",
            "Category",
            "Debit",
            "Credit",
        )
    )
    for each in reversed(account.between(first, last)):
        table.writerow(
            (
                each.paid_on,
                each.posted_on,
                account.number,
                each.payee,
                each.category,
                _dollars(-each.amount) if each.amount < 0 else "",
                _dollars(each.amount) if each.amount > 0 else "",
            )
        )
    return text.getvalue()


def _dollars(cents: int) -> str:
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02d}"
