"""The command line as its user calls it."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.settings import load_settings
from personal_pipeline.settings_pages import all_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.invented_house import (
    NOW,
    START,
    Ended,
    Services,
    Usual,
    end,
    files,
    lake_of_source,
    run,
    start,
)
from personal_pipeline_tests.loopback import Answer, Request, as_json

CHECKOUT = Path(__file__).parents[1]
SECRET = "sk_test_zz-secret-5150"
LATER = NOW + timedelta(hours=1)

assert isinstance(main, click.Group)
COMMANDS = sorted(main.commands)
API_SOURCES = [source for source in SOURCES if source.api]


def call(*arguments: str, given: str = "", code: int = 0) -> Result:
    """The command in this process, on a terminal of 80 columns, with nothing connected."""
    result = CliRunner().invoke(main, arguments, given, prog_name="personal-pipeline")
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def words(text: str) -> str:
    """Text without its line breaks and the frames of its tables."""
    return " ".join(re.sub(r"[^\w.,:;/()'`-]+", " ", text).split())


# ----------------------------------------------------------------------------------------- help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_each_command_and_option_is_for(name: str) -> None:
    assert isinstance(main, click.Group)
    command = main.commands[name]
    shown = call(name, "--help").output
    assert shown.startswith(f"Usage: personal-pipeline {name} [OPTIONS]")
    assert call(name, "-h").output == shown
    assert max(map(len, shown.splitlines())) <= 80
    assert re.search(r"\n\n  [A-Z][^\n]+(\n  [^\n]+)*\.\n", shown), "a sentence"
    assert "%" not in shown, "the format of a day is given as a person writes it"
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, f"{name} {option.opts[0]}"


def test_help_lists_every_command_with_a_whole_sentence() -> None:
    shown = call("--help").output
    for name in COMMANDS:
        line = re.search(rf"^  {name} +(.+)$", shown, re.MULTILINE)
        assert line, name
        assert line[1].endswith("."), line[1]
        assert not line[1].endswith(".."), line[1]
    # without a command the same is shown, but nothing was done
    assert call(code=2).output == shown


HEAVY = {"dagster", "dagster_dbt", "dbt", "duckdb", "lxml", "numpy", "pandas"}
IMPORTED = """
import sys
from personal_pipeline.cli import main
for arguments in (each.split() for each in sys.argv[1:]):
    try:
        main(arguments)
    except SystemExit as end:
        assert not end.code, arguments
print(*sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def test_help_imports_nothing_heavy() -> None:
    asked = ["--help", "--version", *(f"{name} --help" for name in COMMANDS)]
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *asked], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Usage: ") == len(COMMANDS) + 1
    imported = set(done.stderr.split())
    assert "click" in imported
    assert imported & HEAVY == set()


# --------------------------------------------------------------------------- misunderstood, 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nonesuch"], "No such command 'nonesuch'"),
        (["status", "--nonesuch"], "No such option '--nonesuch'"),
        (["status", "nonesuch"], "no source is called nonesuch; choose one of stripe, "),
        (
            ["refresh", "--source", "nonesuch"],
            "no source is called nonesuch; choose one of stripe, ",
        ),
        (["refresh", "--since", "yesterday"], "'yesterday' does not match the format"),
        (["report", "--date", "2025-13-01"], "'2025-13-01' does not match the format"),
        (["report", "--date", "2999-01-01"], "2999-01-01 is in the future"),
        (["report", "--month", "2025-13"], "'2025-13' does not match the format"),
        (["report", "--month", "2999-01"], "2999-01 is not over"),
        (
            ["report", "--month", "2025-01", "--date", "2025-01-01"],
            "Use either --date or --month.",
        ),
        (["rewind", "soon"], "'soon' is not a valid integer"),
        (["rewind", "2999"], "2999 has not begun yet"),
        (["add"], "Missing argument 'FILES...'"),
        (["add", "nonesuch.csv"], "Path 'nonesuch.csv' does not exist"),
        (["up", "--port", "http"], "'http' is not a valid integer"),
        (["demo", "--years", "0"], "0 is not in the range 1<=x<=10"),
    ],
)
def test_what_is_not_understood_ends_with_exit_code_2_and_changes_nothing(
    arguments: list[str], sentence: str, tmp_path: Path
) -> None:
    assert sentence in call(*arguments, code=2).stderr
    assert list(tmp_path.iterdir()) == []


def test_a_demo_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refusal = call("demo", "--dir", str(tmp_path), code=2).stderr
    assert "is not empty and not a demo" in words(refusal)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


# ---------------------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERSONAL_PIPELINE_PORT", "http"),
        ("PERSONAL_PIPELINE_PORT", "65536"),
        ("PERSONAL_PIPELINE_START", "yesterday"),
        ("PERSONAL_PIPELINE_TIMEZONE", "Mars/Olympus"),
        ("PERSONAL_PIPELINE_TIMEZONE", "/etc/localtime"),
        ("PERSONAL_PIPELINE_CURRENCY", "dollars"),
        ("PERSONAL_PIPELINE_REPORT_HOUR", "24"),
        ("PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS", "0"),
    ],
)
@pytest.mark.parametrize("where", ["environment", ".env"])
def test_a_malformed_setting_is_a_sentence_that_names_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, where: str
) -> None:
    given = {variable: value, "STRIPE_API_KEY": SECRET}
    if where == ".env":
        (tmp_path / ".env").write_text("".join(f"{n}={v}\n" for n, v in given.items()))
        (tmp_path / ".env").chmod(0o600)
    else:
        for name, text in given.items():
            monkeypatch.setenv(name, text)
    first, *more = call("status", code=1).stderr.splitlines()
    assert first.startswith(f"{variable}: ")
    assert ".env.example" in more[-1]
    assert len(more) < 4
    assert SECRET not in first + "".join(more)
    assert not (tmp_path / "home").exists()


def test_a_malformed_setting_of_a_source_is_that_sources_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KIT_API_KEY", SECRET)
    monkeypatch.setenv("KIT_REQUESTS_PER_MINUTE", "many")
    found = call("doctor", "--json", code=1).stdout
    (finding,) = (each for each in json.loads(found) if each["what"] == "KIT_REQUESTS_PER_MINUTE")
    assert (finding["verdict"], finding["found"]) == ("problem", "malformed, in the environment")
    refused = call("connect", "kit", given=f"{SECRET}\n", code=1).output
    assert "KIT_REQUESTS_PER_MINUTE is malformed" in words(refused)
    assert SECRET not in found + refused
    # what the others need is in order
    call("status", "--json")


@pytest.mark.parametrize("blank", ["", "  "])
def test_blank_variables_are_as_good_as_none(monkeypatch: pytest.MonkeyPatch, blank: str) -> None:
    monkeypatch.delenv("PERSONAL_PIPELINE_HOME")
    unset = load_settings()
    for setting in all_settings(SOURCES):
        monkeypatch.setenv(setting.name, blank)
    # of this one nothing is an answer: .env.example says "Empty: never quiet"
    assert load_settings() == unset.model_copy(update={"quiet_hours": None})
    for variable in (name for source in SOURCES for name in source.credentials):
        assert not load_settings().is_set(variable)


def test_a_blank_variable_overrules_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"STRIPE_API_KEY={SECRET}\n")
    (tmp_path / ".env").chmod(0o600)
    assert load_settings().is_set("STRIPE_API_KEY")
    monkeypatch.setenv("STRIPE_API_KEY", "")
    assert not load_settings().is_set("STRIPE_API_KEY")


# ---------------------------------------------------------------- what is there: nothing yet


def test_sources_tells_how_to_connect_each() -> None:
    listed = json.loads(call("sources", "--json").stdout)
    assert [each["source"] for each in listed if each["route"] == "api"] == [
        source.name for source in API_SOURCES
    ]
    by_name = {source.name: source for source in SOURCES}
    for each in listed:
        source = by_name[each["source"]]
        assert (CHECKOUT / each["docs"]).is_file()
        if each["route"] == "api":
            assert each["state"] == "not connected"
            assert each["streams"] == [stream.name for stream in source.api]
            assert each["how"] == source.connect
        else:
            assert each["state"] == "no data yet"
            assert each["how"] in [drop.how_to for drop in source.drops]
    told = {(each["source"], stream) for each in listed for stream in each["streams"]}
    assert told == {(source.name, stream.name) for source in SOURCES for stream in source.streams}


def test_sources_shows_every_source_on_a_narrow_terminal() -> None:
    shown = call("sources").output
    assert max(map(len, shown.splitlines())) <= 80
    for source in SOURCES:
        assert source.title in shown
    assert "not connected" in shown
    # how, for each way in which one source comes
    shown = call("sources", "kit").output
    assert max(map(len, shown.splitlines())) <= 80
    assert "Kit, fetched daily: not connected" in shown
    assert "Kit, dropped by hand: no data yet" in shown
    assert "1. Open https://app.kit.com/subscribers" in shown
    assert "Stripe" not in shown


def test_a_source_is_put_to_rest_and_woken(tmp_path: Path) -> None:
    assert "Strava is at rest" in call("sources", "rest", "strava").output
    home = Home(tmp_path / "home")
    assert home.resting() == {"strava"}
    states = {each["state"] for each in json.loads(call("sources", "strava", "--json").stdout)}
    assert states == {"at rest"}
    call("sources", "rest", "kit")
    call("sources", "wake", "strava")
    assert home.resting() == {"kit"}
    assert "name one source" in call("sources", "rest", code=2).stderr
    assert "no source is called nonesuch" in call("sources", "rest", "nonesuch", code=2).stderr
    assert home.resting() == {"kit"}


def test_status_has_a_line_for_every_stream() -> None:
    board = json.loads(call("status", "--json").stdout)
    assert [(each["source"], each["stream"]) for each in board] == [
        (source.name, stream.name) for source in SOURCES for stream in source.streams
    ]
    assert {each["state"] for each in board} == {"not connected", "no data yet"}
    assert all(each["last_fetched"] is None for each in board)


def test_status_of_a_source_shows_every_stream_and_its_state_on_a_narrow_terminal() -> None:
    assert call("status").output.splitlines() == [
        "No source is in use. `personal-pipeline sources` lists them."
    ]
    for source in SOURCES:
        shown = call("status", source.name).output
        assert max(map(len, shown.splitlines())) <= 80
        assert source.title in shown
        for stream in source.streams:
            assert f"  {stream.name} " in shown
        for heading in ("Stream", "State", "Last", "Newest", "Next", "Rows"):
            assert heading in shown
    listed = json.loads(call("status", "kit", "--json").stdout)
    assert {each["source"] for each in listed} == {"kit"}


def test_a_look_creates_nothing(tmp_path: Path) -> None:
    for name in ("sources", "status", "doctor"):
        call(name)
        call(name, "--json")
    assert list(tmp_path.iterdir()) == []


def test_report_of_an_empty_house_is_written_all_the_same(tmp_path: Path) -> None:
    printed = Path(call("report").stdout.strip())
    assert printed.parent == tmp_path / "home" / "reports"
    assert "<!doctype html>" in printed.read_text(encoding="utf-8")
    refused = call("report", "--date", "2024-02-29", code=1).stderr
    assert refused.strip() == "There is no data yet, and so no report of 2024-02-29."
    refused = call("report", "--month", "2024-02", code=1).stderr
    assert refused.strip() == "There is no data yet, and so no report of 2024-02."
    refused = call("rewind", "2024", code=1).stderr
    assert refused.strip() == "There is no data yet, and so no report of 2024."


def test_a_pdf_that_cannot_be_printed_leaves_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    ended = call("report", "--pdf", code=1)
    (printed,) = ended.stdout.split()
    assert "<!doctype html>" in Path(printed).read_text(encoding="utf-8")
    assert "install Chromium, Chrome or Edge" in ended.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is opened by another program")
def test_report_opens_in_the_browser(home: Home, tmp_path: Path) -> None:
    browser = tmp_path / "bin" / "xdg-open"
    browser.parent.mkdir()
    browser.write_text('#!/bin/sh\necho "opened $1"\n')
    browser.chmod(0o755)
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    # it ends when the browser too has let go of its output
    environment = {"PERSONAL_PIPELINE_HOME": str(home.root), "PATH": path}
    ended = end(start(environment, "report", "--open"))
    assert (ended.code, ended.err) == (0, "")
    report = home.reports / f"{NOW.date()}.html"
    assert sorted(ended.out.splitlines()) == [str(report), f"opened {report}"]


def test_doctor_finds_nothing_wrong_with_a_new_house() -> None:
    findings = {each["what"]: each for each in json.loads(call("doctor", "--json").stdout)}
    assert "problem" not in {each["verdict"] for each in findings.values()}
    for source in API_SOURCES:
        for credential in source.credentials:
            assert findings[credential]["found"] == f"not set: {source.title} is not connected"
            assert findings[credential]["advice"] == source.connect
    assert findings["dagster"]["verdict"] == "ok"
    shown = call("doctor").output
    assert all(f"{what}: " in shown for what in findings)
    # advice is not cut into a narrow column
    advice = [line for line in shown.splitlines() if line.startswith("    ")]
    assert max(map(len, advice)) <= 80
    assert "key with read access to Balance transactions, Charges and Refunds," in shown


def test_doctor_says_that_a_credential_is_there_and_not_what_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", SECRET)
    text, as_json = call("doctor").output, call("doctor", "--json").output
    (finding,) = (each for each in json.loads(as_json) if each["what"] == "STRIPE_API_KEY")
    assert (finding["verdict"], finding["found"]) == ("ok", "set, in the environment")
    assert SECRET not in text + as_json


def test_doctor_finds_a_home_that_others_can_read(home: Home) -> None:
    home.root.chmod(0o755)
    (finding,) = (
        each
        for each in json.loads(call("doctor", "--json", code=1).stdout)
        if each["what"] == "home folder"
    )
    assert finding["verdict"] == "problem"
    assert finding["advice"] == f"chmod 700 {home.root}"
    home.root.chmod(0o700)
    call("doctor")


def test_doctor_notes_that_the_port_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv("PERSONAL_PIPELINE_PORT", str(port))
        findings = json.loads(call("doctor", "--json").stdout)
    (finding,) = (each for each in findings if each["what"] == f"port {port}")
    assert finding["verdict"] == "note"
    assert "--port" in finding["advice"]


@pytest.mark.parametrize("source", API_SOURCES, ids=lambda each: each.name)
def test_a_source_that_is_not_connected_is_not_fetched_and_says_how(
    source: Any, tmp_path: Path
) -> None:
    refusal = words(call("refresh", "--source", source.name, code=1).stderr)
    assert refusal.startswith(
        f"{source.title} is not connected: {source.credentials[0]} is not set."
    )
    assert refusal.endswith(words(source.connect))
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------ add


@pytest.mark.slow
def test_add_takes_what_it_knows_and_says_what_it_does_not(
    services: Services, exports: list[Path], home: Home, tmp_path: Path
) -> None:
    environment = services.environment(home)
    export = next(path for path in reversed(exports) if path.match("kit-*.csv"))
    home = Home(tmp_path / "home")
    holiday = tmp_path / "holiday.txt"
    holiday.write_text("Lake Como")
    added = run(environment, "add", str(holiday), str(export), "--json")
    assert (added.code, added.err) == (1, "")
    receipts = {each["file"]: each for each in json.loads(added.out)}
    assert receipts.keys() == {holiday.name, export.name}
    assert receipts[holiday.name]["problem"] == "No source recognizes this file."
    known = receipts[export.name]
    assert (known["source"], known["drop"], known["problem"]) == ("kit", "subscriber_export", None)
    assert sum(each["new"] for each in known["streams"]) > 0
    # both stay where they are; the copies are put away
    assert holiday.is_file()
    assert export.is_file()
    assert [path for path in home.inbox.rglob("*") if path.is_file()] == []
    aside = home.quarantine / "unknown" / holiday.name
    assert aside.read_text() == "Lake Como"
    reason = aside.with_name(f"{holiday.name}.reason.txt").read_text()
    assert "No source recognizes this file." in reason
    kept = [json.loads(path.read_bytes()) for path in (home.archive / "receipts").iterdir()]
    assert {each["file"] for each in kept} == receipts.keys()

    again = run(environment, "add", str(export))
    assert (again.code, again.err) == (0, "")
    assert "kit subscriber_export" in words(again.out)
    assert "personal-pipeline refresh" not in again.out, "nothing was new"
    assert len(lake_of_source(home, "kit")) == 1
    unknown = run(environment, "add", str(holiday))
    assert unknown.code == 1
    assert "set aside: No source recognizes this file." in words(unknown.out)


# -------------------------------------------------------------------------- refresh and status


def states(ended: Ended) -> dict[str, set[str]]:
    """Of ``status --json`` the states by source."""
    found: dict[str, set[str]] = {}
    for each in json.loads(ended.out):
        if each["route"] == "api":
            found.setdefault(each["source"], set()).add(each["state"])
    return found


@pytest.mark.slow
def test_the_commands_over_a_built_house(services: Services, copied: Home) -> None:
    environment = services.environment(copied)
    (copied.inbox / "left-alone.txt").write_text("of no interest now")
    before = files(copied.lake, copied.published.parent)
    begun = len(services.asked)
    passed = run(environment, "refresh", "--source", "medium", "--json")
    assert (passed.code, passed.err) == (0, "")
    told = json.loads(passed.out)
    assert {each["source"] for each in told["fetched"]} == {"medium"}
    assert told["ingested"] == told["failures"] == told["built"] == []
    assert told["dbt_calls"] == 0
    assert (copied.inbox / "left-alone.txt").is_file()
    asked = {each.path for each in services.asked[begun:]}
    assert asked == {f"/feed/@{services.life.writer.username}"}
    assert files(copied.lake, copied.published.parent) == before

    shown = run(environment, "refresh", "--source", "medium")
    assert (shown.code, shown.err) == (0, "")
    assert "Fetched: " in shown.out or "Nothing new from" in shown.out
    assert "Nothing to rebuild: no input changed." in shown.out

    status = run(environment, "status", "--json")
    assert (status.code, status.err) == (0, "")
    assert states(status) == {source.name: {"fresh"} for source in API_SOURCES}
    late = run(environment, "status", "--json", now=NOW + timedelta(days=9))
    assert late.code == 1
    assert states(late) == {source.name: {"late"} for source in API_SOURCES}


@pytest.mark.slow
def test_a_refused_key_is_told_by_refresh_and_by_status(services: Services, copied: Home) -> None:
    def instead(request: Request, usual: Usual) -> Answer:
        return as_json({}, 401) if request.path.startswith("/v4/") else usual()

    environment = services.environment(copied, KIT_API_KEY=SECRET)
    with services.but(instead):
        passed = run(environment, "refresh", "--source", "kit", now=LATER)
    assert passed.code == 1
    assert "Failed: kit: GET /" in passed.out
    assert "KIT_API_KEY" in passed.out
    status, told = (run(environment, "status", *more, now=LATER) for more in ([], ["--json"]))
    assert (status.code, told.code) == (1, 1)
    assert states(told)["kit"] == {"action required"}
    assert "KIT_API_KEY" in status.out
    everything = "".join(each.out + each.err for each in (passed, status, told))
    assert SECRET not in everything
    assert "Traceback" not in everything


@pytest.mark.slow
def test_refresh_reaches_back_to_the_day_that_is_asked_for(
    services: Services, copied: Home
) -> None:
    since = START - timedelta(days=3)
    asked: list[str] = []

    def instead(request: Request, usual: Usual) -> Answer:
        if request.path == "/v1/account":
            return usual()
        asked.append(request.query["created[gt]"])
        return as_json({}, 401)

    environment = services.environment(copied)
    with services.but(instead):
        run(environment, "refresh", "--source", "stripe", now=LATER)
        run(environment, *("refresh", "--source", "stripe", "--since", f"{since}"), now=LATER)
    without, reaching_back = (datetime.fromtimestamp(int(each) + 1, UTC) for each in asked)
    assert without.date() > START
    assert reaching_back == datetime.combine(since, datetime.min.time(), UTC)


def test_a_port_that_is_taken_is_said(home: Home) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        ended = run({"PERSONAL_PIPELINE_HOME": str(home.root)}, "up", "--port", str(port))
    assert ended.code == 1
    assert f"Port {port} is in use by another program." in ended.err
    assert "Traceback" not in ended.err
