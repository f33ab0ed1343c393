"""Connecting a source: ask for its credential, try it with the service, store it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import click

from personal_pipeline import credentials
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.http import Failure, ServiceError
from personal_pipeline.settings import BadSetting, Setting, Settings

TRY_SECONDS = 20.0

ENV = Path(".env")

_PLACES = {"environment": "the environment", ".env": ".env"}


class Refused(Exception):
    """The input is not a credential, or the service rejects it. Nothing was stored."""


def asked_for(setting: Setting) -> str:
    """What the person types (without echo if secret), or the line that a program pipes in."""
    if sys.stdin.isatty():
        value = click.prompt(setting.name, hide_input=setting.secret, err=True)
    else:
        value = sys.stdin.readline()
    return str(value).strip()


def tried(settings: Settings, source: Source, given: Mapping[str, str]) -> str:
    """Ask the service once; returns a sentence with the result. Raises ``Refused``."""
    for variable, value in given.items():
        if not value:
            raise Refused(f"{variable}: empty, so nothing was stored.")
        if not value.isprintable() or " " in value:
            raise Refused(
                f"{variable}: it contains a space or an unprintable character; copy it again. "
                "Nothing was stored."
            )
    if source.client is None or source.beginning is None:
        return "The next `personal-pipeline refresh` tries it."
    try:
        with source.client(settings.with_values(given)) as client:
            client.deadline = time.monotonic() + TRY_SECONDS
            source.beginning(client)
    except BadSetting as error:
        raise Refused(f"{error} Nothing was stored.") from None
    except ServiceError as error:
        if error.failure is Failure.CREDENTIAL_REFUSED:
            raise Refused(f"{error} Nothing was stored.") from None
        return (
            f"{source.title} could not check it now ({error.failure}); the next refresh tries it."
        )
    return f"{source.title} accepts it."


def stored(settings: Settings, given: Mapping[str, str], *, in_env: bool) -> Iterator[str]:
    """Store the credentials; yields the messages to print. Raises ``Refused``."""
    home = settings.home.expanduser()
    for variable, value in given.items():
        into_env = in_env
        if not into_env:
            try:
                credentials.keep(home, variable, value)
                yield f"{variable} is stored in the system keyring."
            except credentials.NoKeyring as none:
                yield str(none)
                if not _wanted_in_env():
                    raise click.exceptions.Exit(1) from None
                into_env = True
        if into_env:
            try:
                credentials.write_into_env(ENV.resolve(), variable, value)
            except credentials.NotForEnv as error:
                raise click.ClickException(str(error)) from None
            yield f"{variable} is stored in {ENV.resolve()}, readable only by you."
        elsewhere = settings.origin(variable)
        if elsewhere == "environment" or (elsewhere == ".env" and not into_env):
            yield f"{variable} is also set in {_PLACES[elsewhere]}, which takes precedence."


def _wanted_in_env() -> bool:
    if not sys.stdin.isatty():
        click.echo("`personal-pipeline connect SOURCE --env` stores it in .env instead.", err=True)
        return False
    return click.confirm(f"Store it in {ENV.resolve()}, readable only by you?", err=True)


def forgotten(settings: Settings, source: Source) -> Iterator[str]:
    """Remove the credentials of a source from the keyring; yields the messages to print."""
    home = settings.home.expanduser()
    for variable in source.credentials:
        if credentials.forget(home, variable):
            yield f"{variable} was removed from the keyring."
        else:
            yield f"{variable} was not in the keyring."
        if (left := settings.origin(variable)) and left != "keyring":
            yield f"It is still set in {_PLACES[left]}; remove it there."
    yield "Fetched data is kept. To invalidate the credential, revoke it at the service."
