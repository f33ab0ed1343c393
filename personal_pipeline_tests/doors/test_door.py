"""The name and the token of a home: the same at each start, and nobody else's."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from personal_pipeline.doors.door import Door, address_of, door_of, open_in_browser
from personal_pipeline.home import Home
from personal_pipeline.settings import Settings
from personal_pipeline_tests.loopback import until


def kept(home: Home) -> Path:
    return home.state / "door.json"


def test_name_and_token_last_and_are_for_the_person_alone(home: Home, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        first = door_of(home, 3000)
    finally:
        os.umask(before)
    assert kept(home).stat().st_mode & 0o777 == 0o600
    assert door_of(home, 3001) == Door(first.name, first.token, 3001)
    other = door_of(Home(tmp_path / "other").ensure(), 3000)
    assert other.name != first.name
    assert other.token != first.token
    # it is shown nowhere where the door is
    assert first.token not in repr(first)
    assert first.token not in first.address("/runs")


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", '{"name": 1, "token": 2}', '{"name": "evil.example", "token": "x"}', "null"],
)
def test_what_is_damaged_is_replaced(home: Home, content: str) -> None:
    kept(home).write_text(content)
    kept(home).chmod(0o600)
    door = door_of(home, 3000)
    assert len(door.token) == 43
    assert door_of(home, 3000) == door


@pytest.mark.parametrize("change", [{"token": ""}, {"token": "short"}, {"name": "localhost"}])
def test_no_weaker_name_or_token_is_believed(home: Home, change: dict[str, str]) -> None:
    first = door_of(home, 3000)
    kept(home).write_text(json.dumps(json.loads(kept(home).read_text()) | change))
    assert door_of(home, 3000).token not in (first.token, change.get("token"))


@pytest.mark.skipif(os.name != "posix", reason="a file has no modes there")
def test_a_token_that_others_could_read_opens_nothing_any_more(home: Home) -> None:
    first = door_of(home, 3000)
    kept(home).chmod(0o640)
    second = door_of(home, 3000)
    assert second.token != first.token
    assert kept(home).stat().st_mode & 0o777 == 0o600


def test_messages_name_the_address_without_the_token(home: Home) -> None:
    door = door_of(home, 4000)
    settings = Settings(PERSONAL_PIPELINE_PORT=4000)
    assert address_of(home, settings, "/runs/a") == f"http://{door.name}:4000/runs/a"
    plain = Settings(PERSONAL_PIPELINE_PORT=4000, PERSONAL_PIPELINE_PLAIN_ADDRESS=True)
    assert address_of(home, plain) == "http://127.0.0.1:4000"


# click leaves the browser to itself
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(sys.platform != "linux", reason="xdg-open is the way there")
def test_the_browser_is_not_told_the_token_where_others_can_read_it(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    program = tmp_path / "bin" / "xdg-open"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" > "{said}.part"\nmv "{said}.part" "{said}"\n')
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    door = door_of(home, 3000)
    open_in_browser(home, door)
    until(said.exists, "the browser is called", seconds=30)
    page = home.state / "open.html"
    assert said.read_text() == f"{page}\n"
    assert page.stat().st_mode & 0o777 == 0o600
    assert door.token in page.read_text()
