"""What a bank's CSV looks like, as data: a short YAML file a dialect, and nothing in Python.

Ours lie in ``dialects/`` beside this module; the person's own in ``dialects/`` beside the inbox.
docs/sources/bank.md shows one with every field.
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

LARGEST_DECLARATION_BYTES = 1024 * 1024


class BadDeclaration(Exception):
    """A YAML file of the person cannot be used. The message names the file, the field and what was
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
        # some are no text, as hex is, and some refuse what they do not know
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
    """Rows in which a column matches a pattern, whatever its case. A file that has no such column
    has no such rows."""

    column: str
    pattern: Pattern


class Direction(_Declared):
    """The column that says whether an amount without a sign goes out or comes in."""

    column: str
    out: Pattern
    into: Pattern
    in_amount: str | None = None
    """Another column that holds the amount of what comes in."""
    in_currency: str | None = None


class Columns(_Declared):
    """Which column holds what. Either ``amount``, or ``money_out`` and ``money_in``.

    A column that is written ``a|b`` is the one of them that the file has.
    """

    posted_on: str
    transacted_on: str | None = None
    amount: str | None = None
    money_out: str | None = None
    money_in: str | None = None
    fee: str | None = None
    """Taken beside the amount of what goes out; where the amount has a sign, of every row."""
    description: tuple[str, ...] = ()
    """The first that is not blank is taken."""
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
    """Where the account is told: columns, the lines above the table, or the file's name (patterns
    with one group)."""

    number: str | None = None
    name: str | None = None
    institution: str | None = None
    file_name: PatternWithGroup | None = None
    above: PatternWithGroup | None = None
    one: bool = False
    """A person has one account there: without a folder the file's name says nothing of it."""


class Dialect(_Declared):
    """The CSV of one bank, as its YAML file declares it."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    institution: str | None = None
    """The bank, one word in lower case: links a CSV to the OFX of the same account."""
    ofx: tuple[str, ...] = ()
    """What the bank writes as ORG or FID in its OFX."""
    ofx_sign: OfxSign = "auto"
    """How amounts are signed in its OFX; ``auto`` is decided by each statement, see ``ofx.py``."""
    kind: Literal["bank", "card", "broker", "ledger"] = "bank"
    header: tuple[str, ...] = ()
    """Columns that must be there; one that is written ``a|b`` is there under either name."""
    optional: tuple[str, ...] = ()
    """Columns that may be there."""
    exact: bool = False
    """No other column may be there: for headers that many banks share."""
    cells: tuple[Pattern, ...] = ()
    """Of a file without a header: a pattern for each cell of a row."""
    cell_names: tuple[str, ...] = ()
    encoding: Encoding | None = None
    date_format: Annotated[tuple[DateFormat, ...], BeforeValidator(_listed), Field(min_length=1)]
    """Of several, the one that the whole file decides for."""
    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")] | None = None
    """Where the bank is, by two letters: says what is usual where a file does not decide."""
    zone: str | None = None
    """The column that names a zone of time, which tells the country of the account."""
    decimal: Literal["auto", ".", ","] = "auto"
    sign: Literal["out_is_negative", "out_is_positive"] = "out_is_negative"
    money_out_sign: ColumnSign = "auto"
    """How what goes out is written in a column of its own, or where ``direction`` says so: as most
    of the file is, by ``auto``. The other sign is money that came back."""
    money_in_sign: ColumnSign = "auto"
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")] | None = None
    columns: Columns
    direction: Direction | None = None
    account: AccountColumns = AccountColumns()
    pending: tuple[Condition, ...] = ()
    leave_out: tuple[Condition, ...] = ()
    """Rows that are no bookings: totals, summaries, refused payments."""
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
    """A column's name as it is compared: lower case, single blanks, no mark of byte order."""
    return " ".join(name.replace("\ufeff", "").casefold().split())


class _Loader(yaml.SafeLoader):
    """YAML without references: a few lines of them can stand for a billion."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("references (*name) are not read")
        return super().compose_node(parent, index)


def declared(path: Path, text: str) -> Any:
    """The content of a YAML file. Raises ``BadDeclaration``."""
    if len(text) > LARGEST_DECLARATION_BYTES:
        raise BadDeclaration(f"{path.name}: larger than {LARGEST_DECLARATION_BYTES:,} letters")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        place = f", line {mark.line + 1}" if mark else ""
        raise BadDeclaration(f"{path.name}{place}: not YAML; mind colons and indents") from None


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The line of a YAML text on which a field stands; of one that is missing, that in which it
    should be."""
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
    """What pydantic found, as sentences with the file, the line and the field."""
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
    """The fields of one of our dialects, which a dialect of the person changes in part."""
    ours = FOLDER / f"{name}.yaml"
    if not re.fullmatch(r"\w+", str(name)) or not ours.is_file():
        line = line_of(text, ("like",))
        raise BadDeclaration(f"{path.name}, line {line}: like: expected the name of a known bank.")
    found: dict[str, Any] = declared(ours, ours.read_text(encoding="utf-8"))
    return found


@cache
def our_dialects() -> tuple[Dialect, ...]:
    """The dialects of this package, by file name."""
    return tuple(read_dialect(path) for path in sorted(FOLDER.glob("*.yaml")))


def own_dialects(folder: Path) -> tuple[tuple[Dialect, ...], tuple[str, ...]]:
    """The person's dialects in a folder, and a sentence for every file that is none."""
    found, problems = [], []
    for path in sorted(folder.glob("*.y*ml")) if folder.is_dir() else ():
        try:
            found.append(read_dialect(path))
        except BadDeclaration as error:
            problems.append(f"dialects/{error}")
    return tuple(found), tuple(problems)


def dialects_for(home: Path | None) -> tuple[tuple[Dialect, ...], tuple[str, ...]]:
    """The dialects that files of a home are read by, the person's own first, and what is wrong
    with those."""
    own, problems = own_dialects(home / "dialects") if home else ((), ())
    names = {dialect.name for dialect in own}
    return (*own, *(each for each in our_dialects() if each.name not in names)), problems


def texts_for(home: Path | None) -> dict[str, str]:
    """The declarations by which files of a home are read, as they are written: by the name of the
    dialect, and by the name of its file where it is none yet."""
    texts = {dialect.name: text for dialect, text in _our_texts()}
    folder = home / "dialects" if home else None
    for path in sorted(folder.glob("*.y*ml")) if folder else ():
        try:
            name = read_dialect(path).name
        except BadDeclaration:
            name = path.name
        if name in texts:
            # one of ours may be a part of it
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
    """The bank behind an ORG or FID of OFX, in lower case."""
    return {
        plain_column(each): dialect.institution
        for dialect in dialects
        if dialect.institution
        for each in (*dialect.ofx, dialect.institution)
    }
