"""``personal-pipeline up``: all of it runs, nobody else gets in, it mends itself.

One running ``up`` of the kiosk for all, because each start costs as much as ten of these
questions. The tests run in the order in which they stand here: the first ones look, the last ones
change it and end it.

A real Chromium says what a hostile page in the person's own browser attains (nothing), and that the
UI is whole. It is killed in ``test_live.py``.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from personal_pipeline import serve
from personal_pipeline.doors.door import beside, opening_page
from personal_pipeline.graph import storage
from personal_pipeline.home import Home
from personal_pipeline_tests.browser import chromium
from personal_pipeline_tests.hostile_page import (
    ATTEMPTS,
    HOSTILE,
    Elsewhere,
    attempt,
    somebody_elses_server,
)
from personal_pipeline_tests.invented_house import run
from personal_pipeline_tests.kiosk.house import Kiosk, open_kiosk, readings
from personal_pipeline_tests.kiosk.sources import SOURCES
from personal_pipeline_tests.loopback import free_port, until
from personal_pipeline_tests.running import LOCATION, Up, listening, of_this_house, up

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
]

REBOUND = "rebound.example"

GRAPH = """{
  workspaceOrError { ... on Workspace { locationEntries {
    loadStatus
    locationOrLoadError { __typename ... on PythonError { message } }
  } } }
  repositoriesOrError { ... on RepositoryConnection { nodes {
    sensors { name sensorState { status } }
    schedules { name scheduleState { status } }
  } } }
  assetNodes { groupName assetKey { path } hasMaterializePermission }
}"""
DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"
LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryName: "__repository__",
      repositoryLocationName: "LOCATION",
      jobName: "ingest_inbox_job"
    },
    runConfigData: "{\\"ops\\": {\\"ingest_inbox\\": {\\"config\\": {\\"files\\": FILES}}}}"
  }) { __typename }
}
""".replace("LOCATION", LOCATION)
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status } } } }"
SENSORS = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  sensors { name sensorState { status } }
} } } }"""
FORGED = """
{ assetOrError(assetKey: {path: ["wholesale", "prices"]}) {
  ... on Asset { assetMaterializations { runId } }
} }
"""
PARTITIONS = """{ assetNodeOrError(assetKey: {path: ["meter", "readings"]}) {
  ... on AssetNode { partitionKeys }
} }"""


@pytest.fixture(scope="module")
def environment(
    opened_kiosk: Kiosk, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """A home after a refresh of today, in which ``up`` finds nothing to build. Only the wholesaler
    was never asked."""
    folder = tmp_path_factory.mktemp("up")
    # no socket can lie in it: its path is too long
    temporary = folder / ("long" * 20)
    temporary.mkdir()
    home = Home(folder / "home").ensure()
    now = datetime.now(UTC)
    yesterday = now.date() - timedelta(days=1)
    with open_kiosk(opened_kiosk.sql, yesterday) as kiosk, pytest.MonkeyPatch.context() as patched:
        kiosk.lay_project(patched)
        start = yesterday - timedelta(days=10)
        environment = kiosk.environment(home, PERSONAL_PIPELINE_START=start, TMPDIR=temporary)
        assert run(environment, "refresh", "--source", "till", now=now).code == 0
        yield environment


@pytest.fixture(scope="module")
def before(environment: dict[str, str]) -> frozenset[str]:
    """What runs over the home before: dbt waits for the next call of this process."""
    return frozenset(of_this_house(Home(Path(environment["PERSONAL_PIPELINE_HOME"]))))


@pytest.fixture(scope="module")
def running(environment: dict[str, str], before: frozenset[str]) -> Iterator[Up]:
    home = Home(Path(environment["PERSONAL_PIPELINE_HOME"]))
    # no question waits for a sensor, and each look takes CPU time
    with up(environment, home, look_seconds=60) as started:
        yield started


def runs(running: Up, job: str | None = None) -> dict[str, str]:
    """The runs that there are, of one job or of all, and how each is."""
    found = serve.ask(running.door, RUNS)["runsOrError"]["results"]
    return {each["runId"]: each["status"] for each in found if job in (None, each["jobName"])}


def launch(*files: Path | str) -> str:
    listed = json.dumps(json.dumps([str(each) for each in files]))[1:-1]
    return LAUNCH.replace("FILES", listed)


# ------------------------------------------------------------------------------ all of it runs


def test_everything_runs(running: Up) -> None:
    door = running.door

    def daemons_are_well() -> bool:
        daemons = serve.ask(door, DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return all(each["healthy"] for each in daemons if each["required"])

    until(daemons_are_well, "every daemon runs", seconds=100)
    assert listening(door.port) == {"0100007F"}
    graph = serve.ask(door, GRAPH)
    (entry,) = graph["workspaceOrError"]["locationEntries"]
    assert entry["locationOrLoadError"] == {"__typename": "RepositoryLocation"}
    (repository,) = graph["repositoriesOrError"]["nodes"]
    watching = {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}
    assert {"inbox", "what_is_stale"} <= watching.keys()
    # Dagster's own, instead of which ours evaluates the conditions, is not there at all
    assert set(watching.values()) == {"RUNNING"}
    schedules = {each["name"]: each["scheduleState"]["status"] for each in repository["schedules"]}
    assert {f"{source.name}_each_morning" for source in SOURCES if source.api} <= schedules.keys()
    assert "report_each_morning" in schedules
    assert set(schedules.values()) == {"RUNNING"}
    keys = {"/".join(each["assetKey"]["path"]) for each in graph["assetNodes"]}
    streams = {f"{source.name}/{stream.name}" for source in SOURCES for stream in source.streams}
    assert streams | {"marts/results_monthly", "outputs/daily_report"} <= keys


def sensors(running: Up) -> dict[str, str]:
    (repository,) = serve.ask(running.door, SENSORS)["repositoriesOrError"]["nodes"]
    return {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}


def environments() -> list[bytes]:
    """The environment of every process that this one may look at."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            found.append((process / "environ").read_bytes())
    return found


def test_nobody_else_gets_in(running: Up, environment: dict[str, str]) -> None:
    door, home = running.door, running.home
    # the address is given again; a second one over the same home is refused
    shown = run(environment, "open", "--json")
    assert json.loads(shown.out) == {
        "address": door.opening(),
        "without_token": door.address(),
        "port": door.port,
    }
    refused = run(environment, "up", "--port", str(free_port()))
    assert refused.code == 1
    assert "another process of the pipeline has held the lock `up`" in refused.err
    # the token is in files that only the person reads, and in no list of processes
    assert not [each for each in of_this_house(home) if door.token in each]
    assert not [each for each in environments() if door.token.encode() in each]
    for name in ("door.json", "up.json"):
        assert (home.state / name).stat().st_mode & 0o777 == 0o600

    # who comes without it, or under another name, is told how to get it
    plain = requests.Session()
    plain.trust_env = False
    at = f"http://127.0.0.1:{door.port}"
    for headers, status in (
        ({}, 421),
        ({"Host": f"{door.name}:{door.port}"}, 401),
        ({**door.headers(), "Origin": at}, 403),
    ):
        answer = plain.get(f"{at}/graphql?query={{version}}", headers=headers, timeout=30)
        assert answer.status_code == status
        assert "`personal-pipeline open`" in answer.text
    forged = f"{at}/report_asset_materialization/wholesale/prices"
    assert plain.post(forged, headers=door.headers(), timeout=30).status_code == 405
    assert plain.get(f"{at}/graphql", headers=door.headers(), timeout=30).status_code == 405
    plain.close()


def has_site(running: Up) -> bool:
    return any("personal_pipeline.site.server" in each for each in of_this_house(running.home))


def test_the_site_is_served_beside_the_ui(running: Up) -> None:
    door = beside(running.door)
    assert listening(door.port) == {"0100007F"}
    assert not has_site(running)
    plain = requests.Session()
    plain.trust_env = False
    at = f"http://127.0.0.1:{door.port}/"
    # it is started by this visit, which it answers
    home = plain.get(at, headers=door.headers(), timeout=30)
    assert home.status_code == 200
    assert "takings_daily" in home.text
    # the cookie of the UI alone opens nothing here
    of_the_ui = {**running.door.headers(), "Host": door.headers()["Host"]}
    assert plain.get(at, headers=of_the_ui, timeout=30).status_code == 401
    assert plain.get(at, timeout=30).status_code == 421
    plain.close()
    assert has_site(running)


# ----------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    with somebody_elses_server() as server:
        yield server


@pytest.fixture(scope="class")
def context(running: Up) -> Iterator[Any]:
    """A browser that the person has let in: it holds the cookie."""
    with chromium(
        # what is tried must reach the house: it is judged, not the browser
        "--disable-popup-blocking",
        "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
        f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
    ) as browser:
        opened = browser.new_context(viewport={"width": 1400, "height": 900})
        ours = opened.new_page()
        ours.goto(running.door.opening())
        # what it asks would be taken for what a hostile page asks
        ours.close()
        (cookie,) = opened.cookies()
        assert cookie["domain"] == running.door.name
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        yield opened


@pytest.fixture(scope="class", params=["127.0.0.1", "the name itself"])
def hostile(request: pytest.FixtureRequest, context: Any, running: Up) -> Iterator[tuple[str, Any]]:
    """The host under which the hostile page is opened, and the tab in which it is."""
    page = context.new_page()
    yield running.door.name if request.param == "the name itself" else request.param, page
    page.close()


@pytest.fixture(scope="module")
def thesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "thesis.txt"
    path.write_text("years of work")
    return path


class TestInTheBrowserOfThePerson:
    @pytest.mark.parametrize("name", ATTEMPTS)
    def test_a_hostile_page_on_another_port_attains_nothing(
        self,
        name: str,
        hostile: tuple[str, Any],
        context: Any,
        running: Up,
        elsewhere: Elsewhere,
        thesis: Path,
    ) -> None:
        host, page = hostile
        elsewhere.told.clear()
        page.goto(f"http://{host}:{elsewhere.port}/")
        assert elsewhere.told
        if host != running.door.name:
            # the cookie is of a name that nobody can guess
            assert not [each["cookie"] for each in elsewhere.told if "cookie" in each]
        say = launch(thesis, "../../dir")
        # by its name, whose cookie the browser may add, and by its number
        for at, refused in (
            (running.door.address(""), 403),
            (f"http://127.0.0.1:{running.door.port}", 421),
        ):
            answers, read = attempt(context, page, ATTEMPTS[name], at, say, RUNS)
            assert not read, f"{name} read {read}"
            assert set(answers) <= {refused}, f"{name} got {answers}"

    def test_a_rebound_name_attains_nothing(self, context: Any, running: Up, thesis: Path) -> None:
        """A name that led to the page's own server, then to ours: one origin for the browser."""
        address = f"http://{REBOUND}:{running.door.port}"
        page = context.new_page()
        page.route(
            f"{address}/", lambda route: route.fulfill(body=HOSTILE, content_type="text/html")
        )
        page.goto(f"{address}/")
        for query in (RUNS, launch(thesis)):
            for method in ("GET", "POST"):
                status, text = page.evaluate(
                    """async ({method, query}) => {
                        const answer = method == 'GET'
                            ? await fetch(`/graphql?query=${encodeURIComponent(query)}`)
                            : await fetch('/graphql', {method, body: JSON.stringify({query}),
                                          headers: {'content-type': 'application/json'}});
                        return [answer.status, await answer.text()]; }""",
                    {"method": method, "query": query},
                )
                assert status == 421
                assert "`personal-pipeline open`" in text
                assert "runId" not in text
        opened = page.evaluate(
            """() => new Promise(end => { const one = new WebSocket(`ws://${location.host}/graphql`,
                'graphql-ws'); one.onopen = () => end(true); one.onerror = () => end(false); })"""
        )
        assert not opened
        page.close()
        # nor does the whole page come under that name
        page = context.new_page()
        assert page.goto(f"{address}/runs?x={quote(RUNS)}").status == 421
        page.close()

    def test_nothing_came_of_what_the_hostile_pages_sent(self, running: Up, thesis: Path) -> None:
        assert thesis.read_text() == "years of work"
        assert not runs(running, "ingest_inbox_job")
        assert set(sensors(running).values()) == {"RUNNING"}
        assert not serve.ask(running.door, FORGED)["assetOrError"].get("assetMaterializations")

    def test_the_ui_works_whole_with_live_updates(self, context: Any, running: Up) -> None:
        page = context.new_page()
        bad: list[str] = []
        asked: list[str] = []
        received: list[str] = []
        blocked: list[str] = []
        page.on("response", lambda each: bad.append(each.url) if each.status >= 400 else None)
        page.on("request", lambda each: asked.append(each.url))
        page.on(
            "websocket", lambda each: each.on("framereceived", lambda data: received.append(data))
        )
        page.on(
            "console",
            lambda each: blocked.append(each.text) if "Security Policy" in each.text else None,
        )
        page.goto(running.door.opening())
        page.wait_for_url("**/overview/**")
        assert "token" not in page.url
        base = running.door.address("")

        # the lineage
        page.goto(f"{base}/asset-groups")
        page.get_by_text("3_typed_rows").first.wait_for()
        # a button starts a run
        page.goto(f"{base}/assets/outputs/source_board")
        before = runs(running)
        page.get_by_role("button", name="Materialize").first.click()
        until(lambda: runs(running).keys() - before, "the run of the button is there")
        # its log grows while one looks, and a run that somebody else starts appears by itself
        (mine,) = runs(running).keys() - before
        page.goto(f"{base}/runs/{mine}")
        page.get_by_text("RUN_SUCCESS").first.wait_for(timeout=120_000)
        assert received
        page.goto(f"{base}/runs")
        page.get_by_text(mine[:8]).first.wait_for()
        other = serve.ask(running.door, launch("nonesuch.csv"))["launchRun"]
        assert other["__typename"] == "LaunchRunSuccess"
        (new,) = runs(running, "ingest_inbox_job")
        page.get_by_text(new[:8]).first.wait_for(timeout=60_000)
        until(lambda: set(runs(running).values()) == {"SUCCESS"}, "all runs are over")

        assert not bad
        assert not blocked
        here = (base, base.replace("http", "ws"), f"blob:{base}", "data:")
        assert not [each for each in asked if not each.startswith(here)], (
            "nothing comes from elsewhere"
        )
        # a picture for whoever wants to look
        if folder := os.environ.get("PICTURES"):
            page.screenshot(path=f"{folder}/runs.png")
        page.close()

    def test_the_page_with_which_open_calls_the_browser_lets_it_in(
        self, context: Any, running: Up, tmp_path: Path
    ) -> None:
        file = tmp_path / "open.html"
        file.write_text(opening_page(running.door))
        stranger = context.browser.new_context()
        page = stranger.new_page()
        page.goto(file.as_uri())
        page.wait_for_url(f"{running.door.address('')}/overview/**")
        assert [each["name"] for each in stranger.cookies()] == [running.door.cookie]
        assert page.evaluate("document.cookie") == ""
        stranger.close()


# ----------------------------------------------------------------------- it changes, and it ends


def partitions_of(running: Up) -> list[str]:
    assert running.process.poll() is None
    with suppress(requests.RequestException, KeyError):
        keys: list[str] = serve.ask(running.door, PARTITIONS)["assetNodeOrError"]["partitionKeys"]
        return keys
    return []


def test_the_graph_reaches_back_to_older_data(
    running: Up, environment: dict[str, str], tmp_path: Path
) -> None:
    assert min(partitions_of(running)) > "2019-03-01"
    old = tmp_path / "old.csv"
    old.write_text(readings(date(2019, 3, 1)))
    added = run(environment, "add", str(old))
    assert added.code == 0, added.out
    until(lambda: "2019-03-01" in partitions_of(running), "the graph reaches back", seconds=100)


def test_a_damaged_storage_is_begun_anew(running: Up) -> None:
    home = running.home
    first = min(partitions_of(running))
    before = storage.identity(home)
    (home.dagster / "history" / "runs" / "index.db").write_bytes(b"no database" * 500)
    until(lambda: storage.identity(home) != before, "it is begun anew", seconds=100)
    until(lambda: first in partitions_of(running), "the UI answers again", seconds=100)
    assert list(home.root.glob("dagster.damaged-*"))


def test_it_ends_when_it_is_told_to(
    running: Up, environment: dict[str, str], before: frozenset[str]
) -> None:
    running.process.send_signal(signal.SIGTERM)
    ended = running.ended()
    until(
        lambda: before.issuperset(of_this_house(running.home)),
        "no process is left behind",
        seconds=60,
    )
    assert ended.code == 0, ended.err
    # nothing but what the alerts tell, who have no other channel here, and errors
    assert "Warning" not in ended.err
    assert "Dagster's storage was damaged (history/runs/index.db" in ended.err
    assert running.door.token not in ended.err
    assert ended.out.splitlines()[-3:] == [
        f"The report: {running.home.latest_report}",
        f"The site: {beside(running.door).opening()}",
        f"The graph (Ctrl-C ends it): {running.door.opening()}",
    ]
    again = run(environment, "open")
    assert again.code == 1
    assert "`personal-pipeline up` starts it" in again.err
