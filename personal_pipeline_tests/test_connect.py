"""Credentials: asked for without showing them, tried at the service, stored, found again."""

from __future__ import annotations

import json
import os
import select
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

import keyring
import pytest
from click.testing import CliRunner, Result
from dotenv import dotenv_values
from hypothesis import given, settings
from hypothesis import strategies as st
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringError, PasswordDeleteError

from personal_pipeline import credentials
from personal_pipeline.cli import main
from personal_pipeline.credentials import (
    NoKeyring,
    NotForEnv,
    keep,
    names_file,
    write_into_env,
)
from personal_pipeline.home import Home
from personal_pipeline.ingest.fetch import FetchResult, fetch_streams
from personal_pipeline.ingest.http import NEEDS_A_PERSON
from personal_pipeline.settings import load_settings, with_keyring
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.stripe import API_KEY
from personal_pipeline.troubles import sentence_of
from personal_pipeline_tests.loopback import Answer, Loopback, Request, as_json, loopback

KEY = "rk_test_canary-0451"
STRIPE = next(source for source in SOURCES if source.name == "stripe")


class InMemory(KeyringBackend):
    """A keyring that keeps what it is given until the test is over."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if (service, username) not in self.kept:
            raise PasswordDeleteError("not there")
        del self.kept[service, username]


@pytest.fixture
def in_memory() -> Iterator[InMemory]:
    before, backend = keyring.get_keyring(), InMemory()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


@pytest.fixture
def stripe(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """A service that takes one key."""

    def answering(request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return as_json({"error": {"message": "no"}}, 401)
        return as_json({"object": "list", "data": [], "has_more": False})

    with loopback(answering) as served:
        monkeypatch.setenv("STRIPE_API_BASE", served.base)
        yield served


def connect(*arguments: str, given: str = f"{KEY}\n", code: int = 0) -> Result:
    result = CliRunner().invoke(main, ["connect", *arguments], given, prog_name="personal-pipeline")
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    assert result.exit_code == code, result.output
    assert KEY not in result.output
    return result


def fetched(home: Home) -> list[FetchResult]:
    """Fetch, as a refresh does."""
    streams = [stream.name for stream in STRIPE.api]
    return fetch_streams(home, load_settings(), STRIPE, streams, clock=lambda: datetime.now(UTC))


def origin() -> str:
    shown = CliRunner().invoke(main, ["doctor", "--json"]).stdout
    return str({each["what"]: each["found"] for each in json.loads(shown)}["STRIPE_API_KEY"])


def test_a_key_that_the_service_takes_is_kept_in_the_keyring_and_used(
    in_memory: InMemory, stripe: Loopback, home: Home
) -> None:
    said = connect("stripe").output
    assert "Stripe accepts it." in said
    assert [*in_memory.kept.values()] == [KEY]
    assert stat.S_IMODE(names_file(home.root).stat().st_mode) == 0o600
    assert KEY not in names_file(home.root).read_text()
    assert origin() == "set, in the keyring"

    in_memory.asked = 0
    settings = load_settings()
    assert settings.is_set("STRIPE_API_KEY")
    assert in_memory.asked == 0, "to know that it is connected, nothing asks the keyring"
    assert with_keyring(settings, ["STRIPE_API_KEY"]).text(API_KEY) == KEY
    assert KEY not in repr(with_keyring(settings, ["STRIPE_API_KEY"]))

    before = len(stripe.asked)
    fetched(home)
    asked = stripe.asked[before:]
    assert asked
    assert {each.headers["authorization"] for each in asked} == {f"Bearer {KEY}"}

    assert "was removed from the keyring" in connect("stripe", "--forget").output
    assert in_memory.kept == {}
    assert origin().startswith("not set")


def test_a_key_that_the_service_refuses_is_not_stored(
    in_memory: InMemory, stripe: Loopback, tmp_path: Path
) -> None:
    said = connect("stripe", given="rk_wrong\n", code=1).output
    assert "Nothing was stored." in said
    assert "rk_wrong" not in said
    assert in_memory.kept == {}
    assert origin().startswith("not set")


@pytest.mark.parametrize("typed", ["\n", "  \n", "two words\n", "esc\x1b[31m\n"])
def test_what_is_no_key_is_not_sent(in_memory: InMemory, stripe: Loopback, typed: str) -> None:
    connect("stripe", given=typed, code=1)
    assert stripe.asked == []
    assert in_memory.kept == {}


def test_a_service_out_of_reach_is_no_reason_to_lose_the_key(
    in_memory: InMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("personal_pipeline.connecting.TRY_SECONDS", 1.0)
    monkeypatch.setenv("STRIPE_API_BASE", "http://127.0.0.1:9")
    assert "could not check it now" in connect("stripe").output
    assert [*in_memory.kept.values()] == [KEY]


@pytest.mark.parametrize("backend", [fail.Keyring, null.Keyring])
def test_without_a_keyring_it_says_so_and_how_to_use_the_file(
    backend: type[KeyringBackend], stripe: Loopback, tmp_path: Path, home: Home
) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(backend())
    try:
        said = connect("stripe", code=1).output
        assert "This system has no usable keyring" in said
        assert "--env" in said
        assert not (tmp_path / ".env").exists()
        assert not names_file(home.root).exists()
        said = connect("stripe", "--env").output
    finally:
        keyring.set_keyring(before)
    assert f"{tmp_path / '.env'}, readable only by you" in said.replace("\n", "")
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    assert load_settings().text(API_KEY) == KEY
    assert origin() == "set, in .env"


def test_a_keyring_that_is_locked_holds_up_nobody_for_long(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = Event()

    class Locked(InMemory):
        def get_password(self, service: str, username: str) -> str | None:
            over.wait(60)
            return None

    class Broken(InMemory):
        def get_password(self, service: str, username: str) -> str | None:
            raise KeyringError(f"cannot decode {KEY}")

    monkeypatch.setattr(credentials, "ANSWER_SECONDS", 0.2)
    names_file(home.root).parent.mkdir(exist_ok=True)
    names_file(home.root).write_text('["STRIPE_API_KEY"]')
    before = keyring.get_keyring()
    try:
        for backend, sentence in ((Locked(), "is locked"), (Broken(), "KeyringError")):
            keyring.set_keyring(backend)
            with pytest.raises(NoKeyring, match=sentence) as raised:
                with_keyring(load_settings(), ["STRIPE_API_KEY"])
            assert KEY not in str(raised.value)
            assert sentence_of(raised.value) == str(raised.value)
            failures = {str(each.failure) for each in fetched(home)}
            assert failures == {f"Stripe: {raised.value}"}
            # it needs a person, and is told as such
            kinds = {each.failure.failure for each in fetched(home) if each.failure}
            assert kinds <= NEEDS_A_PERSON
    finally:
        over.set()
        keyring.set_keyring(before)


def test_a_keyring_that_lost_it_says_what_to_do(in_memory: InMemory, home: Home) -> None:
    keep(home.root, "STRIPE_API_KEY", KEY)
    in_memory.kept.clear()
    with pytest.raises(NoKeyring, match="connect SOURCE"):
        with_keyring(load_settings(), ["STRIPE_API_KEY"])


def test_the_environment_wins_over_the_keyring(
    in_memory: InMemory, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(home.root, "STRIPE_API_KEY", KEY)
    monkeypatch.setenv("STRIPE_API_KEY", "another")
    assert origin() == "set, in the environment"
    assert with_keyring(load_settings(), ["STRIPE_API_KEY"]).text(API_KEY) == "another"


def test_another_home_has_credentials_of_its_own(
    in_memory: InMemory, home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keep(home.root, "STRIPE_API_KEY", KEY)
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(tmp_path / "other"))
    assert not load_settings().is_set("STRIPE_API_KEY")


# ---------------------------------------------------------------------------------------- .env


def test_of_the_file_only_the_one_line_changes(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# mine\nKIT_API_KEY=kit\nexport STRIPE_API_KEY=old # why\nLAST=1")
    file.chmod(0o644)
    write_into_env(file, "STRIPE_API_KEY", "new'#\\n")
    write_into_env(file, "MEDIUM_FEED_URL", "https://medium.com/feed/@you")
    lines = file.read_text().splitlines()
    assert [*lines[:2], *lines[3:4]] == ["# mine", "KIT_API_KEY=kit", "LAST=1"]
    assert dotenv_values(file)["STRIPE_API_KEY"] == "new'#\\n"
    assert dotenv_values(file)["MEDIUM_FEED_URL"] == "https://medium.com/feed/@you"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@settings(deadline=None)
@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40))
def test_every_key_comes_back_from_the_file_or_is_refused(value: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / ".env"
        file.write_text("KIT_API_KEY=kit\n")
        try:
            write_into_env(file, "STRIPE_API_KEY", value)
        except NotForEnv:
            assert "${" in value
            assert file.read_text() == "KIT_API_KEY=kit\n"
        else:
            assert dotenv_values(file) == {"KIT_API_KEY": "kit", "STRIPE_API_KEY": value}


# ------------------------------------------------------------------------------- on a terminal


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_a_terminal_shows_nothing_of_what_is_typed(
    home: Home, stripe: Loopback, tmp_path: Path
) -> None:
    import pty  # Windows has none

    control, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "personal_pipeline.cli", "connect", "stripe", "--env"],
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        cwd=tmp_path,
        env={**os.environ, "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"},
        # the terminal becomes its own, else the prompt would open that of the tests
        start_new_session=True,
    )
    os.close(terminal)
    shown = b""
    typed = False
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if select.select([control], [], [], 0.5)[0]:
            try:
                shown += os.read(control, 4096)
            except OSError:
                break
        elif process.poll() is not None:
            break
        if not typed and b"STRIPE_API_KEY: " in shown:
            os.write(control, f"{KEY}\n".encode())
            typed = True
    assert process.wait(30) == 0, shown.decode()
    os.close(control)
    assert typed
    assert KEY.encode() not in shown
    assert dotenv_values(tmp_path / ".env")["STRIPE_API_KEY"] == KEY
