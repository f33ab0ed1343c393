"""Settings: from the environment, else from ``.env`` in the current folder, else the default.

Reading them touches no network and creates nothing. Credentials are ``SecretStr``: they show as
stars wherever they are printed.
"""

from __future__ import annotations

import os
import shlex
import stat
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from personal_pipeline.home import OTHERS, PRIVATE_FILE


def _zone(name: str) -> str:
    # ValueError: an absolute path or a folder; the others: unknown to the system and to tzdata
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        raise ValueError("is no time zone; they are named as Europe/Berlin is") from None
    return name


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value


def _hours(value: Any) -> Any:
    """``22-7`` as two hours; ``none`` as None."""
    if not isinstance(value, str):
        return value
    if value.strip().lower() == "none":
        return None
    begin, _, end = (part.strip() for part in value.partition("-"))
    if not (begin.isdecimal() and end.isdecimal() and int(begin) < 24 and int(end) < 24):
        raise ValueError("expected two hours of the day, such as 22-7, or none")
    return (int(begin), int(end)) if int(begin) != int(end) else None


class Settings(BaseSettings):
    """Everything that the person can set; each field's alias is the environment variable."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    home: Path = Field(Path("data"), alias="PERSONAL_PIPELINE_HOME")
    """The folder that holds all data."""
    start: date | None = Field(default=None, alias="PERSONAL_PIPELINE_START")
    """The first day to fetch; unset: the account's beginning where the service tells it."""
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", alias="PERSONAL_PIPELINE_TIMEZONE"
    )
    """Zone of the morning schedule. Tables are in UTC days."""
    report_hour: int = Field(default=7, ge=0, le=23, alias="PERSONAL_PIPELINE_REPORT_HOUR")
    currency: str = Field(default="usd", pattern="^[a-z]{3}$", alias="PERSONAL_PIPELINE_CURRENCY")
    """The currency of the line a day; other currencies stay in the revenue tables."""
    port: int = Field(default=3000, ge=1, le=65535, alias="PERSONAL_PIPELINE_PORT")
    plain_address: bool = Field(default=False, alias="PERSONAL_PIPELINE_PLAIN_ADDRESS")
    """Whether the UI is found at 127.0.0.1 too, for a browser that does not know names below
    ``localhost``. Every other server on 127.0.0.1 is then sent its cookie."""
    source_budget_seconds: int = Field(
        default=1800, ge=1, alias="PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS"
    )
    """How long one source may take in a run before it makes room; it goes on the next time."""

    alerts: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_words)] = Field(
        default=(), alias="PERSONAL_PIPELINE_ALERTS"
    )
    """Where messages go: apprise addresses. They hold credentials."""
    quiet_hours: Annotated[tuple[int, int] | None, NoDecode, BeforeValidator(_hours)] = Field(
        default=(22, 7), alias="PERSONAL_PIPELINE_QUIET_HOURS"
    )
    """From the first hour until the second, in the person's zone, nothing is sent."""
    reminder_days: int = Field(default=3, ge=1, alias="PERSONAL_PIPELINE_REMINDER_DAYS")
    mail_report: bool = Field(default=False, alias="PERSONAL_PIPELINE_MAIL_REPORT")
    """Whether the report of the day goes to the mail addresses among ``alerts``."""

    stripe_api_key: SecretStr | None = Field(default=None, alias="STRIPE_API_KEY")
    stripe_api_base: str = Field(default="https://api.stripe.com", alias="STRIPE_API_BASE")
    kit_api_key: SecretStr | None = Field(default=None, alias="KIT_API_KEY")
    kit_api_base: str = Field(default="https://api.kit.com/v4", alias="KIT_API_BASE")
    kit_requests_per_minute: int = Field(default=120, ge=1, alias="KIT_REQUESTS_PER_MINUTE")
    medium_feed_url: str | None = Field(default=None, alias="MEDIUM_FEED_URL")
    story_sheet_url: str | None = Field(default=None, alias="STORY_SHEET_URL")

    @model_validator(mode="before")
    @classmethod
    def _blank_is_unset(cls, values: dict[str, Any]) -> dict[str, Any]:
        """A variable that is there and empty, as in a copied .env.example, says nothing."""
        return {
            name: value
            for name, value in values.items()
            if not (isinstance(value, str) and not value.strip())
        }

    def is_set(self, variable: str) -> bool:
        """Whether the setting behind an environment variable has a value."""
        for name, info in type(self).model_fields.items():
            if info.alias == variable:
                return getattr(self, name) is not None
        raise KeyError(f"{variable} is not a setting of personal_pipeline")


class OpenToOthers(Exception):
    """The file with the credentials can be read by others. The message says what to do."""


def load_settings() -> Settings:
    """Read the settings now. Raises ``pydantic.ValidationError`` when one of them is malformed, and
    ``OpenToOthers`` when others on this machine may read or change ``.env``, whatever is in it: it
    is made to hold credentials."""
    file = Path(".env").absolute()
    # elsewhere modes say nothing of who may read
    if os.name == "posix" and file.is_file():
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & OTHERS:
            raise OpenToOthers(
                f"{file} has mode {mode:04o}: others on this machine can read the credentials in "
                f"it. Nothing was done. Run: chmod {PRIVATE_FILE:o} {shlex.quote(str(file))}"
            )
    return Settings()
