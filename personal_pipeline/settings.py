"""Settings: from the environment, else from ``.env`` in the current folder, else the default.

Reading them touches no network and creates nothing. Credentials are ``SecretStr``: they show as
stars wherever they are printed.
"""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _zone(name: str) -> str:
    ZoneInfo(name)
    return name


def _blank_is_unset(value: Any) -> Any:
    return None if isinstance(value, str) and not value.strip() else value


Credential: TypeAlias = Annotated[SecretStr | None, BeforeValidator(_blank_is_unset)]
Address: TypeAlias = Annotated[str | None, BeforeValidator(_blank_is_unset)]


class Settings(BaseSettings):
    """Everything that the person can set; each field's alias is the environment variable."""

    model_config = SettingsConfigDict(env_file=".env", env_file_encoding="utf-8", extra="ignore")

    home: Path = Field(Path("data"), alias="PERSONAL_PIPELINE_HOME")
    """The folder that holds all data."""
    start: Annotated[date | None, BeforeValidator(_blank_is_unset)] = Field(
        default=None, alias="PERSONAL_PIPELINE_START"
    )
    """The first day to fetch; unset: the account's beginning where the service tells it."""
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", alias="PERSONAL_PIPELINE_TIMEZONE"
    )
    """Zone of the morning schedule. Tables are in UTC days."""
    report_hour: int = Field(default=7, ge=0, le=23, alias="PERSONAL_PIPELINE_REPORT_HOUR")
    currency: str = Field(default="usd", pattern="^[a-z]{3}$", alias="PERSONAL_PIPELINE_CURRENCY")
    """The currency of the line a day; other currencies stay in the revenue tables."""
    port: int = Field(default=3000, ge=1, le=65535, alias="PERSONAL_PIPELINE_PORT")
    source_budget_seconds: int = Field(
        default=1800, ge=1, alias="PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS"
    )
    """How long one source may take in a run before it makes room; it goes on the next time."""

    stripe_api_key: Credential = Field(default=None, alias="STRIPE_API_KEY")
    stripe_api_base: str = Field(default="https://api.stripe.com", alias="STRIPE_API_BASE")
    kit_api_key: Credential = Field(default=None, alias="KIT_API_KEY")
    kit_api_base: str = Field(default="https://api.kit.com/v4", alias="KIT_API_BASE")
    kit_requests_per_minute: int = Field(default=120, ge=1, alias="KIT_REQUESTS_PER_MINUTE")
    medium_feed_url: Address = Field(default=None, alias="MEDIUM_FEED_URL")
    story_sheet_url: Address = Field(default=None, alias="STORY_SHEET_URL")

    def is_set(self, variable: str) -> bool:
        """Whether the setting behind an environment variable has a value."""
        for name, info in type(self).model_fields.items():
            if info.alias == variable:
                return getattr(self, name) is not None
        raise KeyError(f"{variable} is not a setting of personal_pipeline")


def load_settings() -> Settings:
    """Read the settings now. Raises ``pydantic.ValidationError`` when one of them is malformed."""
    return Settings()
