"""Settings: from the environment, else from ``.env`` in the current folder, else the default.

The house's own settings are the fields of ``Settings``; a source declares each of its own as a
``Setting``. What a source needs and neither environment nor ``.env`` provides may be in the system
keyring (see ``credentials``).

Reading them accesses neither network nor keyring, and creates nothing. Values for sources are held
as ``SecretStr``, which prints as asterisks.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

from personal_pipeline.credentials import names_in_keyring, recalled
from personal_pipeline.home import OTHERS, PRIVATE_FILE

QUIET_HOURS = "PERSONAL_PIPELINE_QUIET_HOURS"

Origin: TypeAlias = Literal["environment", ".env", "keyring"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that the person can set through an environment variable."""

    name: str
    description: str
    """What it is and, if required, where to get it and where to put it; shown by ``connect`` and
    ``doctor``, and in ``.env.example``."""
    secret: bool = False
    """Whether it must stay hidden: it is not echoed when typed, and never part of a message."""
    default: str | None = None
    """The value used if unset. Without a default, the source is not connected until it is set."""
    pattern: str = ".+"
    """The regular expression that the whole value must match."""

    @property
    def is_needed(self) -> bool:
        return self.default is None


class BadSetting(Exception):
    """A setting of a source is missing or malformed. The message never contains its value."""


def _zone(name: str) -> str:
    # ValueError: an absolute path or a folder; the others: unknown to the system and to tzdata
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError("is not a time zone; expected a name such as Europe/Berlin") from None
    return name


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _hours(value: Any) -> Any:
    """``22-7`` as two hours; an empty value or ``none`` as None."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() in ("", "none"):
        return None
    begin, _, end = (part.strip() for part in value.partition("-"))
    if not (begin.isdecimal() and end.isdecimal() and int(begin) < 24 and int(end) < 24):
        raise ValueError("expected two hours of the day, such as 22-7, or none")
    return (int(begin), int(end)) if int(begin) != int(end) else None


class Settings(BaseModel):
    """What the person set. Each field except ``of_sources`` is a setting of the house: its alias is
    the environment variable, its docstring the text in ``.env.example``."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    home: Path = Field(Path("data"), alias="PERSONAL_PIPELINE_HOME")
    """The folder that holds all your data, relative to where you start the pipeline, or
    absolute."""
    start: date | None = Field(None, alias="PERSONAL_PIPELINE_START")
    """The first day to fetch, as 2024-01-01. Empty: from the beginning of the account, if the
    service reports it."""
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", alias="PERSONAL_PIPELINE_TIMEZONE"
    )
    """Your time zone: where you are when no stay in stays.csv says otherwise, and for the hours
    below. Changing it rebuilds the tables that have local days."""
    report_hour: int = Field(7, ge=0, le=23, alias="PERSONAL_PIPELINE_REPORT_HOUR")
    """The hour at which the report is ready."""
    currency: str = Field("usd", pattern="^[a-z]{3}$", alias="PERSONAL_PIPELINE_CURRENCY")
    """The currency of the summary on top of the report. Other currencies are shown in the
    revenue tables only."""
    port: int = Field(3000, ge=1, le=65535, alias="PERSONAL_PIPELINE_PORT")
    """The port of the lineage UI, on this machine only."""
    plain_address: bool = Field(False, alias="PERSONAL_PIPELINE_PLAIN_ADDRESS")
    """true if your browser cannot resolve the address that `up` prints (a name below localhost): it
    becomes http://127.0.0.1:PORT, and the browser sends its cookie to every other server on
    127.0.0.1 too."""
    source_budget_seconds: int = Field(1800, ge=1, alias="PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS")
    """Time limit in seconds for fetching one source in a run. The next run resumes where it
    stopped."""

    alerts: Annotated[tuple[SecretStr, ...], BeforeValidator(_words)] = Field(
        "", validate_default=True, alias="PERSONAL_PIPELINE_ALERTS"
    )
    """Where alerts go: apprise addresses, separated by spaces, in quotes if there are several; see
    docs/alerts.md."""
    quiet_hours: Annotated[tuple[int, int] | None, BeforeValidator(_hours)] = Field(
        "22-7", validate_default=True, alias=QUIET_HOURS
    )
    """The hours in which nothing is sent, in your time zone. Empty: none."""
    reminder_days: int = Field(3, ge=1, alias="PERSONAL_PIPELINE_REMINDER_DAYS")
    """Days until the first reminder of what is still late, failing or due; later ones are rarer."""
    mail_report: bool = Field(False, alias="PERSONAL_PIPELINE_MAIL_REPORT")
    """Whether the daily and the monthly report are mailed to the mailto addresses above: page one
    in the mail itself. It contains your figures."""
    mail_pdf: bool = Field(False, alias="PERSONAL_PIPELINE_MAIL_PDF")
    """Whether the whole report is attached to that mail as a PDF, printed by an installed Chromium,
    Chrome or Edge."""

    models: Annotated[tuple[str, ...], BeforeValidator(_words)] = Field(
        "", validate_default=True, alias="PERSONAL_PIPELINE_MODELS"
    )
    """The areas of tables that language models may read with `personal-pipeline mcp`, such as
    "health life money sport"; see docs/mcp.md. Empty: none."""
    models_texts: bool = Field(False, alias="PERSONAL_PIPELINE_MODELS_TEXTS")
    """Whether they also get what others wrote in these tables: payees, memos, names of people."""
    models_accounts: bool = Field(False, alias="PERSONAL_PIPELINE_MODELS_ACCOUNTS")
    """Whether they also get names and numbers of bank accounts."""

    of_sources: Mapping[str, SecretStr] = Field({}, repr=False)
    """All variables by name that are not settings of the house; each source picks those that it
    declares."""

    def __init__(self, **variables: Any) -> None:
        """Settings from variables, whose names are case-insensitive. A blank one, as in a copied
        .env.example, counts as unset; but blank quiet hours mean that there are none. Raises
        ``pydantic.ValidationError`` if one of the house's is malformed."""
        named = {
            name.upper(): value
            for name, value in variables.items()
            if value is not None and (str(value).strip() or name.upper() == QUIET_HOURS)
        }
        house = {info.alias for info in type(self).model_fields.values()}
        super().__init__(
            **{name: value for name, value in named.items() if name in house},
            of_sources={
                name: value if isinstance(value, SecretStr) else SecretStr(str(value).strip())
                for name, value in named.items()
                if name not in house
            },
        )

    @property
    def of_tables(self) -> Mapping[str, str]:
        """The choices that decide what tables hold, by name: the macros ``home_<name>``."""
        return {"currency": self.currency, "timezone": self.timezone}

    def text(self, setting: Setting) -> str:
        """The value of a source's setting in plain text, else its default; values in the keyring
        only after ``with_keyring``. Raises ``BadSetting``."""
        value = self.of_sources.get(setting.name)
        if value is None:
            if setting.default is None:
                raise BadSetting(f"{setting.name} is not set. {setting.description}")
            return setting.default
        if not re.fullmatch(setting.pattern, value.get_secret_value(), re.DOTALL):
            raise BadSetting(
                f"{setting.name} is malformed: expected a match for {setting.pattern}. Correct it "
                f"in the environment or in .env. {setting.description}"
            )
        return value.get_secret_value()

    def is_set(self, variable: str) -> bool:
        """Whether a source's variable has a value, here or in the keyring. The keyring itself is
        not accessed."""
        return self.origin(variable) is not None

    def origin(self, variable: str) -> Origin | None:
        """Where the value of a source's variable comes from; None if it has none."""
        if variable not in self.of_sources:
            kept = names_in_keyring(self.home.expanduser())
            return "keyring" if variable in kept else None
        return "environment" if (_upper(os.environ).get(variable) or "").strip() else ".env"

    def with_values(self, values: Mapping[str, str]) -> Settings:
        """A copy with these values for variables of sources."""
        given = {name: SecretStr(value) for name, value in values.items()}
        return self.model_copy(update={"of_sources": {**self.of_sources, **given}})


def house_settings() -> tuple[Setting, ...]:
    """The settings of the house, in the form that sources use to declare theirs."""
    return tuple(
        Setting(
            name=info.alias,
            description=" ".join(str(info.description).split()),
            secret="SecretStr" in str(info.annotation),
            default=_written(info.default),
        )
        for info in Settings.model_fields.values()
        if info.alias
    )


def _written(default: object) -> str:
    """A default as a person would write it."""
    if isinstance(default, bool):
        return str(default).lower()
    return "" if default is None else str(default)


def with_keyring(settings: Settings, wanted: Iterable[str]) -> Settings:
    """The settings, with wanted variables that are not set elsewhere read from the keyring.

    Raises ``NoKeyring`` if one that should be there cannot be read.
    """
    home = settings.home.expanduser()
    missing = (names_in_keyring(home) & set(wanted)) - settings.of_sources.keys()
    return settings.with_values({name: recalled(home, name) for name in sorted(missing)})


class OpenToOthers(Exception):
    """Others can read the file with the credentials. The message says what to do."""


INVENTED_HOME = ".invented"
"""The file in a home that shows an invented life: JSON, with the ``settings`` of its services."""


def load_settings() -> Settings:
    """Read the settings now. A home that shows an invented life has its own settings for sources
    and its own time zone: those of the person are left out, so that it can never reach a real
    account.

    Raises ``pydantic.ValidationError`` if one is malformed, and ``OpenToOthers`` if others on this
    machine may read or change ``.env``, whatever its content: it is meant for credentials.
    """
    file = Path(".env").absolute()
    # on other systems the mode does not say who may read
    if os.name == "posix" and file.is_file():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & OTHERS:
            raise OpenToOthers(
                f"{file} has mode {mode:04o}: other users can read the credentials in it, so it "
                f"was not used. Run: chmod {PRIVATE_FILE:o} {shlex.quote(str(file))}"
            )
    settings = Settings(**{**_upper(dotenv_values(file)), **_upper(os.environ)})
    try:
        invented = json.loads((settings.home.expanduser() / INVENTED_HOME).read_bytes() or b"{}")
    except FileNotFoundError:
        return settings
    services = {name: SecretStr(text) for name, text in invented.get("settings", {}).items()}
    zone = invented.get("timezone", "UTC")
    return settings.model_copy(update={"of_sources": services, "timezone": zone})


def _upper(variables: Mapping[str, str | None]) -> dict[str, str | None]:
    return {name.upper(): text for name, text in variables.items()}
