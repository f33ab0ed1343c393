"""A part of the tables for somebody else: what the commands refuse, who gets in, what is in it."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.site.gate import MAX_TRIES, TRIES_SECONDS, Gate, Tries, shared_site
from personal_pipeline.site.people import person_named
from personal_pipeline_tests.invented_house import Services
from personal_pipeline_tests.loopback import free_port
from personal_pipeline_tests.site.serving import Visitor, serving

PASSWORD = "plum crumble on sundays"
HOST = "tables.example"

SHARED = (
    *("/", "/tables", "/tables/transactions", "/tables/accounts.csv", "/-/dashboards/money"),
    *("/tables/money-spending.json?since=&until=&currency=", "/tables/transactions.json"),
)
NOT_SHARED = (
    *("/reports", "/reports/latest", "/-/dashboards/body", "/tables/health_daily"),
    *("/tables/body-steps", "/tables/story_stats.json", "/tables/no_such_table"),
)


@pytest.fixture(scope="module")
def environment(
    services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("shared") / "home"
    shutil.copytree(built_home.root, folder)
    return services.environment(Home(folder))


@pytest.fixture(scope="module")
def home(environment: dict[str, str]) -> Home:
    return Home(Path(environment["PERSONAL_PIPELINE_HOME"]))


def site(environment: dict[str, str], *arguments: str, typed: str = "") -> Any:
    return CliRunner().invoke(main, ["site", *arguments], env=environment, input=typed)


@pytest.fixture(scope="module")
def gate(environment: dict[str, str], home: Home) -> Gate:
    done = site(
        environment,
        *("add-person", "anna", "--area", "money", "--dashboard", "money"),
        typed=f"{PASSWORD}\n{PASSWORD}\n",
    )
    assert done.exit_code == 0, done.output
    assert PASSWORD not in done.output
    return shared_site(home, person_named(home, "anna"), [HOST])


@pytest.fixture(scope="module")
def port(gate: Gate) -> Iterator[int]:
    port = free_port()
    with serving(gate, port):
        yield port


@pytest.fixture
def somebody(port: int, gate: Gate) -> Visitor:
    gate.tries.succeeded()
    return Visitor(port, {"Host": f"{HOST}:{port}"})


def log_in(visitor: Visitor, password: str = PASSWORD, **headers: str) -> Any:
    form = visitor.get("/-/login")
    assert form.status_code == 200
    (token,) = set(re.findall(r'name="csrftoken" value="([^"]+)"', form.text))
    fields = {"username": "anna", "password": password, "csrftoken": token}
    return visitor.post("/-/login", fields, **headers)


# ---------------------------------------------------------------------------------- who gets in


@pytest.mark.parametrize("path", [*SHARED, *NOT_SHARED, "/tables?sql=select+1"])
def test_without_the_password_there_is_nothing(somebody: Visitor, path: str) -> None:
    answer = somebody.get(path)
    assert answer.status_code in (403, 404)
    for told in ("Groceries", "Money", "accounts_daily", "Body"):
        assert told not in answer.text
    assert somebody.get(path, Authorization="Basic YW5uYTp4").status_code == answer.status_code


def test_with_the_password_there_is_what_is_shared(somebody: Visitor) -> None:
    entered = log_in(somebody)
    assert entered.status_code == 302
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly; SameSite=Strict" in cookie
    assert "Secure" not in cookie
    for path in SHARED:
        assert somebody.get(path).status_code == 200, path
    for path in NOT_SHARED:
        assert somebody.get(path).status_code == 404, path
    # no query but those of the dashboards
    assert somebody.get("/tables?sql=select+*+from+transactions").status_code == 403
    assert somebody.get("/tables/transactions?_where=amount>0").status_code == 403
    assert somebody.get("/tables.db").status_code == 403
    page = somebody.get("/").text
    assert "Shared with you" in page
    assert "Every source is fresh" not in page
    assert "To do" not in page
    assert "Reports" not in page


def test_behind_tls_the_cookie_is_for_tls_alone(somebody: Visitor) -> None:
    entered = log_in(somebody, **{"X-Forwarded-Proto": "https"})
    assert "; Secure" in entered.headers["set-cookie"]


def test_passwords_are_tried_a_few_times_and_then_not_for_a_while(
    somebody: Visitor, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(gate, "tries", Tries(lambda: now))
    for _ in range(MAX_TRIES):
        assert log_in(somebody, "guess").status_code == 200
    refused = log_in(somebody)
    assert refused.status_code == 429
    assert "set-cookie" not in refused.headers
    assert somebody.get("/").status_code == 403
    now += TRIES_SECONDS
    assert log_in(somebody).status_code == 302


def test_the_right_password_forgets_the_wrong_ones(somebody: Visitor) -> None:
    for wrong in (MAX_TRIES - 1, 1):
        for _ in range(wrong):
            log_in(somebody, "guess")
        assert log_in(somebody).status_code == 302


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost", f"{HOST}.evil.example", f"x.{HOST}", ""]
)
def test_another_host_name_is_refused(port: int, somebody: Visitor, host: str) -> None:
    answer = Visitor(port, {"Host": host}).get("/-/login")
    # a server of HTTP itself refuses an empty name
    assert answer.status_code in (400, 421)
    assert Visitor(port, {"Host": HOST.upper()}).get("/-/login").status_code == 200


def test_a_page_of_somebody_else_can_do_nothing(somebody: Visitor) -> None:
    log_in(somebody)
    for header in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert somebody.post("/-/logout", {}, **header).status_code == 405
    assert somebody.post("/tables/transactions", {}).status_code == 405
    for path in ("metadata", "plugins.json", "settings", "databases", "password-tool", "actor"):
        assert somebody.get(f"/-/{path}").status_code == 404, path


# --------------------------------------------------------------------------------- what is in it


def test_the_copy_holds_only_what_is_shared(gate: Gate, home: Home) -> None:
    with closing(sqlite3.connect(f"{home.site_of('anna').as_uri()}?mode=ro", uri=True)) as copy:
        tables = {name for (name,) in copy.execute("select name from sqlite_master")}
        areas = copy.execute("select distinct area from _tables").fetchall()
        (rows,) = copy.execute("select count(*) from transactions").fetchone()
    assert areas == [("money",)]
    assert rows
    assert not tables & {"health_daily", "story_stats", "creator_daily", "revenue_daily"}
    content = home.site_of("anna").read_bytes()
    with closing(sqlite3.connect(f"{home.site.as_uri()}?mode=ro", uri=True)) as everything:
        (title,) = everything.execute("select title from story_stats limit 1").fetchone()
    assert title.encode() in home.site.read_bytes()
    assert title.encode() not in content
    for path in (home.site_of("anna"), home.credentials / "site-anna.json"):
        assert path.stat().st_mode & 0o777 == 0o600
    assert PASSWORD not in (home.credentials / "site-anna.json").read_text()


# ---------------------------------------------------------------------------------- the commands

REFUSED = {
    ("add-person", "anna"): "share at least one --area of audience, creator, health",
    ("add-person", "Anna B", "--area", "money"): "choose lower-case letters",
    ("add-person", "../x", "--area", "money"): "choose lower-case letters",
    ("add-person", "ben", "--area", "gold"): "no area is called gold; choose of audience",
    ("add-person", "ben", "--area", "money", "--dashboard", "x"): "no dashboard is called x",
    ("add-person", "ben", "--area", "money", "--dashboard", "body"): (
        "dashboard body reads activities, health_daily, health_measures_daily, sleep_nights, which "
        "would not be shared. Share the area too (health, sport), or leave the dashboard out"
    ),
    ("remove-person", "ben"): "Nothing is shared with ben",
    ("--for", "ben", "--listen", "127.0.0.1:8001"): "Nothing is shared with ben",
    ("--for", "anna"): "--for needs --listen",
    ("--for", "anna", "--listen", "0.0.0.0:8001"): "name with --host",
    ("--for", "anna", "--listen", "here:8001"): "expected an address",
    ("--listen", "127.0.0.1"): "your own site stays here",
}


@pytest.mark.parametrize(("arguments", "said"), REFUSED.items(), ids=REFUSED.values())
def test_what_cannot_be_is_refused_with_a_sentence(
    arguments: tuple[str, ...], said: str, gate: Gate, environment: dict[str, str], home: Home
) -> None:
    done = site(environment, *arguments, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert done.exit_code in (1, 2)
    assert said in " ".join(done.output.split())
    assert not home.site_of("ben").exists()


def test_a_short_password_is_refused(environment: dict[str, str], home: Home) -> None:
    done = site(environment, "add-person", "ben", "--area", "money", typed="short\nshort\n")
    assert done.exit_code == 2
    assert "at least 12 characters" in done.output
    assert not (home.credentials / "site-ben.json").exists()


def test_who_is_removed_is_shut_out_at_once(
    environment: dict[str, str], home: Home, somebody: Visitor
) -> None:
    log_in(somebody)
    assert site(environment, "people").output == "anna: money; dashboards money\n"
    assert site(environment, "remove-person", "anna").exit_code == 0
    assert not home.site_of("anna").exists()
    assert not (home.credentials / "site-anna.json").exists()
    gone = somebody.get("/")
    assert gone.status_code == 503
    assert "has to be restarted" in gone.text
    assert site(environment, "people").output == "Nothing is shared.\n"
