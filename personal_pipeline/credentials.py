"""Credentials in the system keyring, for those who do not want them in ``.env``.

A locked keyring prompts the person, in a window that a daemon's machine may not even have, and
blocks until they answer. So only a run that is about to call a service reads it, with a time limit.
``credentials/keyring.json`` in the home lists which credentials it has, names only: finding out
which sources are connected does not touch the keyring, and a home without that file never loads it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection
from concurrent.futures import Future
from pathlib import Path
from threading import Thread
from typing import TypeVar

from personal_pipeline.home import write_atomically

SERVICE = "personal-pipeline"
ANSWER_SECONDS = 30.0
"""Time limit for the keyring, long enough for a person to unlock it."""

Answer = TypeVar("Answer")


class NoKeyring(Exception):
    """The keyring is missing, is locked, or does not keep what it is given. The message is a
    sentence."""


def names_file(home: Path) -> Path:
    """The file with the names of the credentials in the keyring."""
    return home / "credentials" / "keyring.json"


def names_in_keyring(home: Path) -> frozenset[str]:
    """The names of the credentials that were stored in the keyring for this home."""
    try:
        names = json.loads(names_file(home).read_bytes())
    except (OSError, ValueError):
        return frozenset()
    return frozenset(map(str, names)) if isinstance(names, list) else frozenset()


def recalled(home: Path, name: str) -> str:
    """A credential from the keyring. Raises ``NoKeyring``."""
    import keyring

    value = _asked(lambda: keyring.get_password(SERVICE, _account(home, name)))
    if value is None:
        raise NoKeyring(
            f"{name} is no longer in the system keyring: run `personal-pipeline connect SOURCE` "
            "again, or set it in .env."
        )
    return value


def keep(home: Path, name: str, value: str) -> None:
    """Store a credential in the keyring. Raises ``NoKeyring`` if it is not kept there."""
    import keyring

    account = _account(home, name)
    _asked(lambda: keyring.set_password(SERVICE, account, value))
    # the null backend accepts everything and keeps nothing
    if _asked(lambda: keyring.get_password(SERVICE, account)) != value:
        raise NoKeyring(
            "This system has no usable keyring: it does not persist what is stored in it."
        )
    _note(home, names_in_keyring(home) | {name})


def forget(home: Path, name: str) -> bool:
    """Remove a credential from the keyring; returns whether it was there. Raises ``NoKeyring``."""
    import keyring

    if name not in names_in_keyring(home):
        return False
    account = _account(home, name)
    if _asked(lambda: keyring.get_password(SERVICE, account)) is not None:
        _asked(lambda: keyring.delete_password(SERVICE, account))
    _note(home, names_in_keyring(home) - {name})
    return True


def _account(home: Path, name: str) -> str:
    # each home has its own accounts
    return f"{name} of {home.resolve()}"


def _note(home: Path, names: Collection[str]) -> None:
    path = names_file(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    write_atomically(path, json.dumps(sorted(names)).encode())


def _asked(question: Callable[[], Answer]) -> Answer:
    """The keyring's answer. A backend's error may quote what it was given, so only its type is
    reported."""
    from keyring.errors import NoKeyringError

    answer: Future[Answer] = Future()

    def ask() -> None:
        try:
            answer.set_result(question())
        except BaseException as error:
            answer.set_exception(error)

    # a daemon thread, so that a keyring that never answers does not keep the process alive
    Thread(target=ask, name="personal-pipeline-keyring", daemon=True).start()
    problem = ""
    try:
        return answer.result(ANSWER_SECONDS)
    except TimeoutError:
        problem = (
            f"The keyring did not answer within {ANSWER_SECONDS:.0f} s, probably because it is "
            "locked. Unlock it and retry."
        )
    except NoKeyringError:
        problem = "This system has no usable keyring."
    except Exception as error:
        problem = f"The keyring cannot be used ({type(error).__name__})."
    raise NoKeyring(problem)


# ---------------------------------------------------------------------------------------- .env


class NotForEnv(Exception):
    """A credential that cannot be written as a line of ``.env``. The message is a sentence."""


def write_into_env(path: Path, name: str, value: str) -> None:
    """Set a variable in a ``.env``: replaces or adds its line and leaves all others unchanged.
    Afterwards the file is readable by its owner only. Raises ``NotForEnv``, and then changes
    nothing."""
    from io import StringIO

    from dotenv import dotenv_values

    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    line = f"{name}='{quoted}'"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    pattern = re.compile(rf"^[ \t]*(?:export[ \t]+)?{re.escape(name)}[ \t]*=.*$", re.MULTILINE)
    if pattern.search(text):
        text = pattern.sub(lambda _: line, text)
    else:
        text += ("" if not text or text.endswith("\n") else "\n") + f"{line}\n"
    if dotenv_values(stream=StringIO(text)).get(name) != value:
        raise NotForEnv(
            f"{name} contains characters that {path.name} cannot store, such as ${{…}}."
        )
    # the temporary file has mode 0600 from the start and keeps it
    write_atomically(path, text.encode())
