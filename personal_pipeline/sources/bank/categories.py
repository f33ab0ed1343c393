"""``categories.yaml``: the user's rules for categories, and which accounts are the same.

The user keeps the file anywhere and adds it again after a change; the most recent one replaces all
earlier ones. There are no built-in rules.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from personal_pipeline.ingest.contract import (
    Claim,
    DropFile,
    DropRow,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.sources.bank.dialect import (
    MAX_DECLARATION_BYTES,
    BadDeclaration,
    declared,
    sentences,
)
from personal_pipeline.sources.bank.values import decoded, plain_text


def _listed(value: object) -> object:
    return [str(value)] if isinstance(value, str | int) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_listed)]


class Rule(BaseModel):
    """A transaction belongs to this category if its description, memo or the bank's category
    contains one of ``words``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    category: Annotated[str, Field(min_length=1)]
    words: Annotated[Texts, Field(min_length=1)]
    transfer: bool = False
    """Money that only moves between the user's own accounts: not spent."""


class OneAccount(BaseModel):
    """Accounts from several files that are the same, by their ids in ``marts.accounts``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1)]
    ids: Annotated[Texts, Field(min_length=1)]


class Categories(BaseModel):
    """The file: rules in order, of which the first match wins; and accounts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: tuple[Rule, ...] = ()
    accounts: tuple[OneAccount, ...] = ()

    @model_validator(mode="after")
    def _each_account_once(self) -> Categories:
        ids = [id_ for account in self.accounts for id_ in account.ids]
        if len(ids) != len(set(ids)):
            raise ValueError("accounts: expected each id once")
        return self


_SECTION = re.compile(r"^(?:rules|accounts):", re.MULTILINE)
_ENTRY = re.compile(r"^\s*(?:- *(?:\{ *)?)?(?:category|words|ids):", re.MULTILINE)


def recognise_categories(file: DropFile) -> Claim | None:
    """Whether the file is a ``categories.yaml``."""
    try:
        text = decoded(file.head())
    except (OSError, UnicodeError):
        return None
    if "\0" in text or not _SECTION.search(text) or not _ENTRY.search(text):
        return None
    return Claim(0.9, "YAML with rules for categories of transactions, or with names of accounts")


def read_categories(file: DropFile) -> Iterator[DropRow | Unreadable]:
    """One row per rule and named account. Raises ``UnreadableFile`` when anything in the file is
    not understood: applying half of the rules would be wrong."""
    text = decoded(file.head(MAX_DECLARATION_BYTES + 1))
    try:
        found = Categories.model_validate(declared(file.path, text) or {})
    except BadDeclaration as error:
        raise UnreadableFile(f"{error}. The previous rules stay in force.") from None
    except ValidationError as error:
        raise UnreadableFile(
            f"{sentences(file.path, error, text)} The previous rules stay in force."
        ) from None
    month = file.captured_at.date().replace(day=1)
    # so that a file without rules also replaces the previous ones
    rows: dict[str, Record] = {"file": {"kind": "file"}}
    for place, rule in enumerate(found.rules, start=1):
        words = [plain_text(word) for word in rule.words]
        rows[f"rule/{place:05}"] = {
            "kind": "rule",
            "position": place,
            "category": rule.category,
            "words": words,
            "transfer": rule.transfer,
        }
    for account in found.accounts:
        for id_ in account.ids:
            rows[f"account/{id_}"] = {"kind": "account", "account": id_, "name": account.name}
    for key, record in rows.items():
        yield DropRow("categories", month, key, record)
