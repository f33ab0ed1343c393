"""What a bank's CSV looks like, as data: one short YAML file per dialect, and no Python.

Built-in dialects are in ``dialects/`` beside this module; the user's own in ``dialects/`` beside
the inbox. docs/sources/bank.md shows one with every field.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from personal_pipeline.sources.bank.values import date_pattern

FOLDER = Path(__file__).parent / "dialects"

MAX_DECLARATION_BYTES = 1024 * 1024


class BadDeclaration(Exception):
    """A YAML file of the user cannot be used. The message names the file, the field and what was
    expected."""


def _checked(pattern: str) -> str:
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"expected a regular expression ({error})") from None
    return pattern


def _with_a_group(pattern: str) -> str:
    if not re.compile(pattern).groups:
        raise ValueError("expected a pattern with one group, in brackets: what it finds is taken")
    return pattern


def _date_format(format_: str) -> str:
    date_pattern(format_)
    return format_


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _encoding(name: str) -> str:
    try:
        # some are not text encodings, such as hex, and some reject unknown bytes
        bytes(range(256)).decode(name, errors="replace")
        return codecs.lookup(name).name
    except (LookupError, ValueError):
        raise ValueError("expected the name of an encoding, such as cp1250") from None


Encoding: TypeAlias = Annotated[str, AfterValidator(_encoding)]
Pattern: TypeAlias = Annotated[str, AfterValidator(_checked)]
PatternWithGroup: TypeAlias = Annotated[Pattern, AfterValidator(_with_a_group)]
DateFormat: TypeAlias = Annotated[str, AfterValidator(_date_format)]

ColumnSign: TypeAlias = Literal["auto", "positive", "negative"]
OfxSign: TypeAlias = Literal["auto", "out_is_negative", "out_is_positive", "by_type"]


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Condition(_Declared):
    """Rows in which a column matches a pattern, case-insensitively. Without that column, no row
    matches."""

    column: str
    pattern: Pattern


class Direction(_Declared):
    """The column that says whether an unsigned amount goes out or comes in."""

    column: str
    out: Pattern
    into: Pattern
    in_amount: str | None = None
    """A separate column for the amount of incoming money."""
    in_currency: str | None = None


class Columns(_Declared):
    """Which column holds what. Either ``amount``, or ``money_out`` and ``money_in``.

    A column written as ``a|b`` is whichever of them the file has.
    """

    posted_on: str
    transacted_on: str | None = None
    amount: str | None = None
    money_out: str | None = None
    money_in: str | None = None
    fee: str | None = None
    """Charged in addition to outgoing amounts; if amounts are signed, on every row."""
    description: tuple[str, ...] = ()
    """The first one that is not blank is used."""
    memo: str | None = None
    kind: str | None = None
    category: str | None = None
    currency: str | None = None
    balance: str | None = None
    balance_currency: str | None = None
    id: str | None = None
    check_number: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _one_description(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("description"), str):
            return {**value, "description": [value["description"]]}
        return value

    @model_validator(mode="after")
    def _some_amount(self) -> Columns:
        if not self.amount and not (self.money_out or self.money_in):
            raise ValueError("expected `amount`, or `money_out` and `money_in`")
        return self


class AccountColumns(_Declared):
    """Where the account is given: columns, the lines above the table, or the file name (patterns
    with one group)."""

    number: str | None = None
    name: str | None = None
    institution: str | None = None
    file_name: PatternWithGroup | None = None
    above: PatternWithGroup | None = None
    one: bool = False
    """The user has a single account there: the file name is not used to name it."""


class Dialect(_Declared):
    """The CSV of one bank, as its YAML file declares it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    institution: str | None = None
    """The bank, one lower-case word: links a CSV to the OFX of the same account."""
    ofx: tuple[str, ...] = ()
    """The ORG or FID that the bank writes in its OFX."""
    ofx_sign: OfxSign = "auto"
    """The sign convention of its OFX; ``auto`` decides per statement, see ``ofx.py``."""
    kind: Literal["bank", "card", "broker", "ledger"] = "bank"
    header: tuple[str, ...] = ()
    """Required columns; one written as ``a|b`` may have either name."""
    optional: tuple[str, ...] = ()
    """Optional columns."""
    exact: bool = False
    """No other columns are allowed: for headers that many banks share."""
    cells: tuple[Pattern, ...] = ()
    """For a file without a header: a pattern for each cell of a row."""
    cell_names: tuple[str, ...] = ()
    encoding: Encoding | None = None
    date_format: Annotated[tuple[DateFormat, ...], BeforeValidator(_listed), Field(min_length=1)]
    """If there are several, the file as a whole decides between them."""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """The bank's country, as two letters: sets the default where a file is ambiguous."""
    zone: str | None = None
    """The column that names a time zone, which reveals the account's country."""
    decimal: Literal["auto", ".", ","] = "auto"
    sign: Literal["out_is_negative", "out_is_positive"] = "out_is_negative"
    money_out_sign: ColumnSign = "auto"
    """How outgoing money is signed in its own column, or where ``direction`` says so; ``auto``
    follows most of the file. The opposite sign is money that came back."""
    money_in_sign: ColumnSign = "auto"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    columns: Columns
    direction: Direction | None = None
    account: AccountColumns = AccountColumns()
    pending: tuple[Condition, ...] = ()
    leave_out: tuple[Condition, ...] = ()
    """Rows that are not transactions: totals, summaries, declined payments."""
    ends_at: tuple[Pattern, ...] = ()
    """The first line that matches ends the table."""
    ends_at_blank_line: bool = False

    @model_validator(mode="after")
    def _columns_are_named(self) -> Dialect:
        if bool(self.header) == bool(self.cells):
            raise ValueError("expected either `header` or `cells`")
        if len(self.cells) != len(self.cell_names):
            raise ValueError("expected as many `cell_names` as `cells`")
        known = {plain_column(name) for name in self.known_columns}
        used = [
            *_texts(self.columns.model_dump().values()),
            *_texts(self.account.model_dump(exclude={"file_name", "above", "one"}).values()),
            *([self.zone] if self.zone else []),
            *(each.column for each in (*self.pending, *self.leave_out)),
            *([self.direction.column] if self.direction else []),
        ]
        missing = sorted(
            {each for name in used for each in name.split("|") if plain_column(each) not in known}
        )
        if missing:
            raise ValueError(
                f"{', '.join(missing)}: expected in `header`, `optional` or `cell_names`"
            )
        return self

    @property
    def known_columns(self) -> list[str]:
        names = [*self.header, *self.optional, *self.cell_names]
        return [each for name in names for each in name.split("|")]


def _texts(values: Iterable[Any]) -> Iterable[str]:
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, tuple):
            yield from value


def plain_column(name: str) -> str:
    """A column's name for comparison: lower case, single spaces, no byte order mark."""
    return " ".join(name.replace("\ufeff", "").casefold().split())


class _Loader(yaml.SafeLoader):
    """YAML without aliases: a few lines of them can expand to a billion."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references (*name) are not supported")
        return super().compose_node(parent, index)


def declared(path: Path, text: str) -> Any:
    """The content of a YAML file. Raises ``BadDeclaration``."""
    if len(text) > MAX_DECLARATION_BYTES:
        raise BadDeclaration(f"{path.name}: larger than {MAX_DECLARATION_BYTES:,} letters")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise BadDeclaration(f"{path.name}{place}: not YAML; check colons and indents") from None


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The line of a YAML text that contains a field; for a missing one, the line where it should
    be."""
    node = yaml.compose(text, _Loader)
    line = 1
    for part in place:
        found: tuple[yaml.Node, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next((each for each in node.value if each[0].value == part), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            items = node.value[part : part + 1]
            found = (items[0], items[0]) if items else None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def sentences(path: Path, error: ValidationError, text: str) -> str:
    """Pydantic's findings, as sentences with the file, the line and the field."""
    said = []
    for problem in error.errors(include_input=False, include_url=False):
        line = line_of(text, problem["loc"])
        place = ".".join(str(part) for part in problem["loc"]) or "the file"
        message = problem["msg"]
        if problem["type"] == "value_error":
            message = message.removeprefix("Value error, ")
        else:
            message = message[:1].lower() + message[1:]
        said.append(f"{path.name}, line {line}: {place}: {message}.")
    return " ".join(said)


def read_dialect(path: Path) -> Dialect:
    """The dialect that a YAML file declares. Raises ``BadDeclaration``."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise BadDeclaration(f"{path.name}: cannot be read; expected text in UTF-8") from None
    return dialect_of(path, text)


def dialect_of(path: Path, text: str) -> Dialect:
    """The dialect in the text of a YAML file. Raises ``BadDeclaration``."""
    content = declared(path, text)
    if isinstance(content, dict) and "like" in content:
        content = {**_ours(path, text, content["like"]), **content}
        del content["like"]
    try:
        return Dialect.model_validate(content)
    except ValidationError as error:
        raise BadDeclaration(sentences(path, error, text)) from None


def _ours(path: Path, text: str, name: object) -> dict[str, Any]:
    """The fields of a built-in dialect, which a user's dialect overrides in part."""
    ours = FOLDER / f"{name}.yaml"
    if not re.fullmatch(r"\w+", str(name)) or not ours.is_file():
        line = line_of(text, ("like",))
        raise BadDeclaration(f"{path.name}, line {line}: like: expected the name of a known bank.")
    found: dict[str, Any] = declared(ours, ours.read_text(encoding="utf-8"))
    return found


@cache
def our_dialects() -> tuple[Dialect, ...]:
    """The built-in dialects, by file name."""
    return tuple(read_dialect(path) for path in sorted(FOLDER.glob("*.yaml")))


def own_dialects(folder: Path) -> tuple[tuple[Dialect, ...], tuple[str, ...]]:
    """The user's dialects in a folder, and a sentence for every file that is not a valid one."""
    found, problems = [], []
    for path in sorted(folder.glob("*.y*ml")) if folder.is_dir() else ():
        try:
            found.append(read_dialect(path))
        except BadDeclaration as error:
            problems.append(f"dialects/{error}")
    return tuple(found), tuple(problems)


def dialects_for(home: Path | None) -> tuple[tuple[Dialect, ...], tuple[str, ...]]:
    """The dialects used for a home's files, the user's own first, and what is wrong with those."""
    own, problems = own_dialects(home / "dialects") if home else ((), ())
    names = {dialect.name for dialect in own}
    return (*own, *(each for each in our_dialects() if each.name not in names)), problems


def texts_for(home: Path | None) -> dict[str, str]:
    """The text of every dialect used for a home's files: by the dialect's name, or by its file name
    if it is not valid yet."""
    texts = {dialect.name: text for dialect, text in _our_texts()}
    folder = home / "dialects" if home else None
    for path in sorted(folder.glob("*.y*ml")) if folder else ():
        try:
            name = read_dialect(path).name
        except BadDeclaration:
            name = path.name
        if name in texts:
            # it may extend the built-in one
            texts[f"{name}, ours"] = texts[name]
        with suppress(OSError):
            texts[name] = path.read_text(encoding="utf-8", errors="replace")
    return texts


@cache
def _our_texts() -> tuple[tuple[Dialect, str], ...]:
    paths = sorted(FOLDER.glob("*.yaml"))
    texts = [path.read_text(encoding="utf-8") for path in paths]
    return tuple(zip(our_dialects(), texts, strict=True))


def institutions(dialects: Iterable[Dialect]) -> Mapping[str, str]:
    """The bank for each ORG or FID in OFX, in lower case."""
    return {
        plain_column(each): dialect.institution
        for dialect in dialects
        if dialect.institution
        for each in (*dialect.ofx, dialect.institution)
    }
