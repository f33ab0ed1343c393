"""The person's own browser: what a hostile page in it attains (nothing), and the UI as a whole.

A real Chromium against a running ``personal-pipeline up``. The hostile page knows more than it
could: the random name of the house, the port, and what to ask.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any
from urllib.parse import quote

import pytest

from personal_pipeline import serve
from personal_pipeline.doors.door import Door, opening_page
from personal_pipeline.home import Home
from personal_pipeline.settings_pages import all_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline_tests.loopback import QuietHandler, listening, until

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright drives the browser")

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)
REBOUND = "rebound.example"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed on this machine"),
]

LAUNCH = """
mutation {
  launchRun(executionParams: {
    selector: {
      repositoryName: "__repository__",
      repositoryLocationName: "personal_pipeline.definitions",
      jobName: "ingest_inbox_job"
    },
    runConfigData: "{\\"ops\\": {\\"ingest_inbox\\": {\\"config\\": {\\"files\\": FILES}}}}"
  }) { __typename }
}
"""
RUNS = "{ runsOrError { ... on Runs { results { runId jobName status } } } }"
FORGED = """
{ assetOrError(assetKey: {path: ["stripe", "charges"]}) {
  ... on Asset { assetMaterializations { runId } }
} }
"""

# Each is the body of an async function of { at: the UI, say: a mutation, read: a query }; what it
# returns is what the hostile page could read.
ATTEMPTS = {
    "image": """
        const one = new Image();
        const over = new Promise(end => { one.onload = one.onerror = end; });
        one.src = `${at}/graphql?query=${encodeURIComponent(say)}`;
        await over; return one.width ? 'an image' : null;""",
    "script": """
        const one = document.createElement('script');
        const over = ended(one);
        one.src = `${at}/graphql?query=${encodeURIComponent(read)}`;
        document.head.append(one); return await over;""",
    "style sheet": """
        const one = document.createElement('link');
        const over = ended(one);
        one.rel = 'stylesheet'; one.href = `${at}/server_info`;
        document.head.append(one); return await over;""",
    "form by GET": """
        form('get', `${at}/graphql`, 'application/x-www-form-urlencoded', 'query', say);
        return null;""",
    "form by POST": """
        form('post', `${at}/graphql`, 'application/x-www-form-urlencoded', 'query', say);
        return null;""",
    "form by POST, query in the address": """
        form('post', `${at}/graphql?query=${encodeURIComponent(say)}`, 'text/plain', 'a', 'b');
        return null;""",
    "form of JSON as text": """
        const text = JSON.stringify({query: say, more: ''});
        form('post', `${at}/graphql`, 'text/plain', text.slice(0, -2), '"}'); return null;""",
    "form of several parts": """
        form('post', `${at}/graphql`, 'multipart/form-data', 'query', say); return null;""",
    "form that forges an event": """
        form('post', `${at}/report_asset_materialization/stripe/charges?data_version=forged`,
             'text/plain', 'a', 'b'); return null;""",
    "fetch": """
        const answer = await fetch(`${at}/graphql?query=${encodeURIComponent(read)}`);
        return await answer.text();""",
    "fetch with credentials": """
        const answer = await fetch(`${at}/graphql`, {method: 'POST', credentials: 'include',
            headers: {'content-type': 'application/json'}, body: JSON.stringify({query: say})});
        return await answer.text();""",
    "fetch without CORS": """
        const answer = await fetch(`${at}/graphql`, {method: 'POST', credentials: 'include',
            mode: 'no-cors', headers: {'content-type': 'text/plain;application/json'},
            body: JSON.stringify({query: say})});
        return await answer.text() || null;""",
    "fetch that forges an event": """
        await fetch(`${at}/report_asset_materialization/stripe/charges?data_version=forged`,
            {method: 'POST', mode: 'no-cors', credentials: 'include'});
        return null;""",
    "fetch of a page": """
        const answer = await fetch(`${at}/runs`, {credentials: 'include'});
        return await answer.text();""",
    "beacon": """
        navigator.sendBeacon(`${at}/graphql`, new Blob([JSON.stringify({query: say})],
            {type: 'text/plain'})); return null;""",
    "stream of events": """
        const one = new EventSource(`${at}/graphql`, {withCredentials: true});
        return await new Promise(end => { one.onopen = () => end('open');
            one.onerror = () => { one.close(); end(null); }; });""",
    "websocket": """
        const one = new WebSocket(`${at.replace('http', 'ws')}/graphql`, 'graphql-ws');
        return await ended(one);""",
    "websocket without a protocol": """
        const one = new WebSocket(`${at.replace('http', 'ws')}/graphql`);
        return await ended(one);""",
    "frame": """
        const one = document.createElement('iframe');
        const over = new Promise(end => { one.onload = end; });
        one.src = `${at}/runs`; document.body.append(one); await over;
        try { return one.contentDocument.body.innerText || null; } catch { return null; }""",
    "object": """
        const one = document.createElement('object');
        const over = ended(one);
        one.type = 'text/html'; one.data = `${at}/runs`; document.body.append(one);
        return await over;""",
    "window": """
        const one = window.open(`${at}/graphql?query=${encodeURIComponent(say)}`);
        await new Promise(end => setTimeout(end, 700));
        try { return one.document.body.innerText || null; } catch { return null; }""",
    "window of a page": """
        const one = window.open(`${at}/runs`);
        await new Promise(end => setTimeout(end, 700));
        try { return one.document.body.innerText || null; } catch { return null; }""",
}
HOSTILE = """<!doctype html><title>kittens</title><body><script>
function ended(one) {
  return new Promise(end => {
    one.onload = one.onopen = () => end('it came');
    one.onerror = () => end(null);
  });
}
function form(method, action, enctype, name, value) {
  const one = Object.assign(document.createElement('form'), {method, action, enctype});
  one.target = '_blank';
  const field = document.createElement('textarea');
  field.name = name; field.value = value;
  one.append(field); document.body.append(one); one.submit();
}
</script>"""


@dataclass
class Up:
    """A running ``personal-pipeline up`` over a home with nothing connected."""

    home: Home
    door: Door

    def sensors(self) -> dict[str, str]:
        asked = (
            "{ repositoriesOrError { ... on RepositoryConnection { nodes {"
            " sensors { name sensorState { status } } } } } }"
        )
        (repository,) = serve.ask(self.door, asked)["repositoriesOrError"]["nodes"]
        return {each["name"]: each["sensorState"]["status"] for each in repository["sensors"]}


@dataclass
class Elsewhere:
    """Somebody else's server on another port of this machine, and what browsers told it."""

    port: int
    told: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def up(bare_home: Home, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    home = Home(tmp_path_factory.mktemp("browser") / "home")
    shutil.copytree(bare_home.root, home.root)
    settings = {each.name: "" for each in all_settings(SOURCES)}
    environment = {**os.environ, **settings, "PERSONAL_PIPELINE_HOME": str(home.root)}
    with listening(QuietHandler) as port:
        pass
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "personal_pipeline.cli", "up", "--port", str(port)],
        env=environment,
        cwd=home.root,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        line = next(each for each in process.stdout if each.startswith("The graph"))
        door = serve.door_of_running(home)
        assert door is not None
        assert door.opening() in line
        running = Up(home, door)
        until(lambda: set(running.sensors().values()) == {"RUNNING"}, "the graph is loaded")
        yield running
    finally:
        process.terminate()
        process.communicate(timeout=60)


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    told: list[dict[str, str]] = []
    lock = Lock()

    class Handler(QuietHandler):
        def do_GET(self) -> None:  # noqa: N802
            with lock:
                told.append({name.lower(): text for name, text in self.headers.items()})
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(HOSTILE.encode())

    with listening(Handler) as port:
        yield Elsewhere(port, told)


@pytest.fixture(scope="module")
def context(up: Up) -> Iterator[Any]:
    """A browser that the person has let in: it holds the cookie."""
    with sync_api.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=CHROMIUM,
            headless=True,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                # what is tried must reach the house: it is judged, not the browser
                "--disable-popup-blocking",
                "--disable-features=LocalNetworkAccessChecks,BlockInsecurePrivateNetworkRequests",
                f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1",
            ],
        )
        opened = browser.new_context(viewport={"width": 1400, "height": 900})
        ours = opened.new_page()
        ours.goto(up.door.opening())
        # what it asks would be taken for what a hostile page asks
        ours.close()
        (cookie,) = opened.cookies()
        assert cookie["domain"] == up.door.name
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        yield opened
        browser.close()


@pytest.fixture(scope="module")
def thesis(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("documents") / "thesis.txt"
    path.write_text("years of work")
    return path


def launch(*files: Path | str) -> str:
    listed = json.dumps(json.dumps([str(each) for each in files]))[1:-1]
    return LAUNCH.replace("FILES", listed)


def runs(up: Up, job: str | None = None) -> dict[str, str]:
    """The runs that there are, of one job or of all, and how each is."""
    found = serve.ask(up.door, RUNS)["runsOrError"]["results"]
    return {each["runId"]: each["status"] for each in found if job in (None, each["jobName"])}


def attempt(context: Any, page: Any, body: str, at: str, say: str) -> tuple[list[int], Any]:
    """The statuses with which the house answered, and what the page read."""
    answers: list[int] = []
    asked: list[str] = []

    def answered(response: Any) -> None:
        if response.url.startswith(at):
            answers.append(response.status)

    def failed(request: Any) -> None:
        if request.url.startswith(at):
            asked.append(request.failure or "failed")

    sockets: list[str] = []
    page.on("websocket", lambda each: sockets.append(each.url))
    context.on("response", answered)
    context.on("requestfailed", failed)
    # a fetch whose answer the page may not read fails
    script = f"""async ({{at, say, read}}) => {{
        try {{ {body} }}
        catch (error) {{ if (error instanceof TypeError) return null; throw error; }}
    }}"""
    read = page.evaluate(script, {"at": at, "say": say, "read": RUNS})
    for _ in range(50):
        if answers or asked or sockets:
            break
        page.wait_for_timeout(100)
    context.remove_listener("response", answered)
    context.remove_listener("requestfailed", failed)
    assert answers or asked or sockets, "the house was asked"
    for other in context.pages:
        if other is not page:
            other.close()
    return answers, read


@pytest.mark.parametrize("origin", ["127.0.0.1", "the name itself"])
@pytest.mark.parametrize("name", ATTEMPTS)
def test_a_hostile_page_on_another_port_attains_nothing(
    name: str, origin: str, context: Any, up: Up, elsewhere: Elsewhere, thesis: Path
) -> None:
    host = up.door.name if origin == "the name itself" else origin
    elsewhere.told.clear()
    page = context.new_page()
    page.goto(f"http://{host}:{elsewhere.port}/")
    assert elsewhere.told
    if origin != "the name itself":
        # the cookie is of a name that nobody can guess
        assert not [each["cookie"] for each in elsewhere.told if "cookie" in each]
    say = launch(thesis, "../../dir")
    # by its name, whose cookie the browser may add, and by its number
    for at, refused in ((up.door.address(""), 403), (f"http://127.0.0.1:{up.door.port}", 421)):
        answers, read = attempt(context, page, ATTEMPTS[name], at, say)
        assert not read, f"{name} read {read}"
        assert set(answers) <= {refused}, f"{name} got {answers}"
    page.close()
    assert thesis.read_text() == "years of work"
    assert not runs(up, "ingest_inbox_job")
    assert set(up.sensors().values()) == {"RUNNING"}
    assert not serve.ask(up.door, FORGED)["assetOrError"].get("assetMaterializations")


def test_a_rebound_name_attains_nothing(context: Any, up: Up, thesis: Path) -> None:
    """A name that led to the page's own server, and then to ours: one origin for the browser."""
    address = f"http://{REBOUND}:{up.door.port}"
    page = context.new_page()
    page.route(f"{address}/", lambda route: route.fulfill(body=HOSTILE, content_type="text/html"))
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
    assert not runs(up, "ingest_inbox_job")


def test_the_ui_works_whole_with_live_updates(context: Any, up: Up) -> None:
    page = context.new_page()
    bad: list[str] = []
    asked: list[str] = []
    received: list[str] = []
    blocked: list[str] = []
    page.on("response", lambda each: bad.append(each.url) if each.status >= 400 else None)
    page.on("request", lambda each: asked.append(each.url))
    page.on("websocket", lambda each: each.on("framereceived", lambda data: received.append(data)))
    page.on(
        "console",
        lambda each: blocked.append(each.text) if "Security Policy" in each.text else None,
    )
    page.goto(up.door.opening())
    page.wait_for_url("**/overview/**")
    assert "token" not in page.url
    base = up.door.address("")

    # the lineage
    page.goto(f"{base}/asset-groups")
    page.get_by_text("staging_stripe").first.wait_for()
    # a button starts a run
    page.goto(f"{base}/assets/outputs/source_board")
    before = runs(up)
    page.get_by_role("button", name="Materialize").first.click()
    until(lambda: runs(up).keys() - before, "the run of the button is there")
    # its log grows while one looks, and a run that somebody else starts appears by itself
    (mine,) = runs(up).keys() - before
    page.goto(f"{base}/runs/{mine}")
    page.get_by_text("RUN_SUCCESS").first.wait_for(timeout=120_000)
    assert received
    page.goto(f"{base}/runs")
    page.get_by_text(mine[:8]).first.wait_for()
    other = serve.ask(up.door, launch("nonesuch.csv"))["launchRun"]
    assert other["__typename"] == "LaunchRunSuccess"
    (new,) = runs(up, "ingest_inbox_job")
    page.get_by_text(new[:8]).first.wait_for(timeout=60_000)
    until(lambda: set(runs(up).values()) == {"SUCCESS"}, "all runs are over")

    assert not bad
    assert not blocked
    here = (base, base.replace("http", "ws"), f"blob:{base}", "data:")
    assert not [each for each in asked if not each.startswith(here)], "nothing comes from elsewhere"
    # a picture for whoever wants to look
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=f"{folder}/runs.png")
    page.close()


def test_the_page_with_which_open_calls_the_browser_lets_it_in(
    context: Any, up: Up, tmp_path: Path
) -> None:
    file = tmp_path / "open.html"
    file.write_text(opening_page(up.door))
    stranger = context.browser.new_context()
    page = stranger.new_page()
    page.goto(file.as_uri())
    page.wait_for_url(f"{up.door.address('')}/overview/**")
    assert [each["name"] for each in stranger.cookies()] == [up.door.cookie]
    assert page.evaluate("document.cookie") == ""
    stranger.close()
