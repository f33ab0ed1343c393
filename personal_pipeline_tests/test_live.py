"""A day with the real daemon and the real server: what is rebuilt, what is not, and who is told.

One story, because starting the daemon costs more than any of its chapters. It is the kiosk's day:
the machine is judged, and not the sources. The clock is the real one; the services know of all
until yesterday. Sensors look every five seconds (``quick_definitions``).
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import Any

import dagster as dg
import pytest

from personal_pipeline import serve
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.refresh import refresh
from personal_pipeline.settings import load_settings
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.build import all_tables, build
from personal_pipeline.warehouse.lake import read_lake
from personal_pipeline.warehouse.reconcile import find_stale
from personal_pipeline_tests.alerts.sinks import mail_server, web_hook
from personal_pipeline_tests.invented_house import Usual, changed_json, content
from personal_pipeline_tests.kiosk.house import Kiosk, drop_readings, open_kiosk, readings
from personal_pipeline_tests.kiosk.sources import SOURCES
from personal_pipeline_tests.loopback import Answer, Request, until
from personal_pipeline_tests.running import (
    LOCATION,
    LOOK_SECONDS,
    Up,
    of_this_house,
    up,
)

TODAY = datetime.now(UTC).date()
YESTERDAY = TODAY - timedelta(days=1)
KEY = "a-private-key"
BEGIN = TODAY - timedelta(days=40)

REPORT = ("outputs/daily_report", None)
MONTHLY = ("outputs/monthly_report", None)
"""It is written again if a file of the last month comes."""
SITE = ("outputs/site", None)
MONTHLY = ("outputs/monthly_report", None)
"""It is written again if a file of the last month comes."""
BOARD = ("outputs/source_board", None)

LAUNCH = """
mutation ($location: String!, $job: String!) {
  launchRun(executionParams: {
    selector: {
      repositoryName: "__repository__",
      repositoryLocationName: $location,
      jobName: $job
    },
    runConfigData: {}
  }) { __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } }
}
"""


def launch(running: Up, job: str) -> str:
    """Start a run as the person's own browser does; its id."""
    done = serve.ask(running.door, LAUNCH, location=LOCATION, job=job)["launchRun"]
    assert done["__typename"] == "LaunchRunSuccess", done
    return str(done["run"]["runId"])


@dataclass
class Recorded:
    """What Dagster has recorded of a home."""

    instance: dg.DagsterInstance

    def versions(self) -> dict[tuple[str, str | None], str]:
        """The newest data version of every partition of every asset."""
        return {
            (key.to_user_string(), partition): version
            for key in self.instance.all_asset_keys()
            for partition, version in self._versions_of(key).items()
        }

    def version(self, name: str, partition: str | None) -> str | None:
        """The newest data version of one partition, or of an asset without any."""
        return self._versions_of(dg.AssetKey(name.split("/"))).get(partition)

    def _versions_of(self, key: dg.AssetKey) -> dict[str | None, str]:
        tags = self.instance.event_log_storage.get_latest_tags_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION, ["dagster/data_version"]
        )
        found: dict[str | None, str] = {
            partition: each["dagster/data_version"] for partition, each in tags.items()
        }
        event = self.instance.get_latest_materialization_event(key)
        if not found and event is not None and event.asset_materialization is not None:
            found[None] = (event.asset_materialization.tags or {})["dagster/data_version"]
        return found

    def status(self, run_id: str) -> dg.DagsterRunStatus:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run.status

    def process(self, run_id: str) -> int:
        """The id of the process that executes a run."""
        events = self.instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        told = [entry.get_dagster_event().engine_event_data.metadata for entry in events]
        return int(str(next(each["pid"].value for each in told if "pid" in each)))

    def idle(self) -> bool:
        """Whether no run goes on or waits."""
        return not self.instance.get_runs(
            dg.RunsFilter(
                statuses=[
                    dg.DagsterRunStatus.QUEUED,
                    dg.DagsterRunStatus.STARTING,
                    dg.DagsterRunStatus.STARTED,
                ]
            )
        )


def stale(house: House) -> dict[str, list[str]]:
    """What a reconcile would build."""
    with store.writing(house.home), store.connection(house) as opened:
        ledger = store.read_ledger(opened)
    found = find_stale(all_tables(house), read_lake(house).versions, ledger, house.today)
    return {name: sorted(partitions) for name, partitions in found.items()}


def drop(home: Home, name: str, text: str) -> None:
    """Put a file into the inbox as a copying program does."""
    partial = home.inbox / f".{name}.part"
    partial.write_text(text)
    partial.rename(home.inbox / name)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_day_with_the_daemon(
    opened_kiosk: Kiosk, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        open_kiosk(opened_kiosk.sql, YESTERDAY) as kiosk,
        mail_server() as mail,
        web_hook() as hook,
    ):
        kiosk.lay_project(monkeypatch)
        recent, _, old = drop_readings(home, YESTERDAY)
        environment = kiosk.environment(
            home,
            PERSONAL_PIPELINE_START=BEGIN,
            PERSONAL_PIPELINE_ALERTS=f"{mail.address} {hook.address}",
            PERSONAL_PIPELINE_QUIET_HOURS="none",
            TILL_KEY=KEY,
        )
        for name, text in environment.items():
            monkeypatch.setenv(name, text)
        house = House(load_settings(), home, SOURCES)
        assert refresh(house).failures == []
        assert stale(house) == {}
        # dbt waits for the next call of this process
        mine = frozenset(of_this_house(home))

        with instance_of(home) as instance:
            recorded = Recorded(instance)
            with up(environment, home) as running:
                first = recorded.versions()

                # --- while a file comes by a slow download, which corrects one day of an old
                # month, one service revises yesterday, and another refuses who asks
                text = readings(recent, more=1000)
                receipts = len(list((home.archive / "receipts").iterdir()))
                assert hook.titles == []
                assert mail.letters == []

                def revised(request: Request, usual: Usual) -> Answer:
                    if request.path == "/prices":
                        return Answer(b"{}", 401)
                    answer = usual()
                    if request.path != "/sales":
                        return answer

                    def more(page: Any) -> None:
                        for each in page["rows"]:
                            if each["day"] == f"{YESTERDAY}":
                                each["cents"] += 7

                    return changed_json(answer, more)

                with (home.inbox / "corrected.csv").open("w") as download:
                    download.write(text[: len(text) // 2])
                    download.flush()
                    # longer than the sensor waits for a file that nobody has open
                    paused = time.monotonic() + 3 * LOOK_SECONDS
                    with kiosk.but(revised):
                        # what is refused waits for the person: no run is red for it
                        runs = [
                            launch(running, f"fetch_{name}_job") for name in ("till", "wholesale")
                        ]
                        until(
                            lambda: all(
                                recorded.status(each) is dg.DagsterRunStatus.SUCCESS
                                for each in runs
                            ),
                            "the fetches succeed",
                        )
                    until(lambda: time.monotonic() > paused, "the download goes on")
                    assert len(list((home.archive / "receipts").iterdir())) == receipts
                    download.write(text[len(text) // 2 :])
                takings = ("marts/takings_daily", f"{YESTERDAY}")
                costs = ("marts/costs_daily", f"{recent:%Y-%m}-05")
                until(
                    lambda: all(
                        recorded.version(*each) != first[each] for each in (takings, costs, REPORT)
                    ),
                    "the days and the report follow",
                )
                until(lambda: recorded.idle() and not stale(house), "all is built")
                third = recorded.versions()
                changed = {each for each in third if third[each] != first.get(each)}
                assert not list(home.inbox.iterdir())
                # of the tables of days only the two days, of those of months only their months, but
                # for the one that adds up: there, all since the older one
                month = f"{YESTERDAY:%Y-%m-01}"
                assert changed - {BOARD, MONTHLY} == {
                    ("till/sales", f"{YESTERDAY}"),
                    ("staging/stg_till__sales", month),
                    takings,
                    ("meter/readings", f"{recent}"),
                    ("staging/stg_meter__readings", f"{recent}"),
                    costs,
                    ("marts/results_monthly", f"{recent}"),
                    ("marts/results_monthly", month),
                    REPORT,
                    SITE,
                }

                # --- of the refusal everybody hears once
                until(lambda: hook.messages and mail.letters, "both are told")
                (told,) = hook.messages
                assert "Wholesale" in told["title"] + told["message"]
                assert "credential refused" in told["title"] + told["message"]

                # --- `up` and a run in its midst are killed; what else runs is left behind
                asked, over = Event(), Event()

                def stall(request: Request, usual: Usual) -> Answer:
                    asked.set()
                    over.wait(60)
                    return usual()

                with kiosk.but(stall):
                    killed = launch(running, "fetch_wholesale_job")
                    until(asked.is_set, "the service is asked")
                    for number in (recorded.process(killed), running.process.pid):
                        os.kill(number, signal.SIGKILL)
                    running.process.wait(60)
                    over.set()

                drop(home, "again.csv", readings(old, more=1000))
                with up(environment, home) as again:
                    assert again.door.token == running.door.token, "a bookmark lasts"
                    assert again.door.name == running.door.name
                    run = launch(again, "fetch_wholesale_job")
                    costs = ("marts/costs_daily", f"{old:%Y-%m}-05")
                    until(
                        lambda: recorded.version(*costs) != third[costs],
                        "a file that came while nothing ran is taken",
                    )
                    until(
                        lambda: recorded.status(killed) is dg.DagsterRunStatus.FAILURE,
                        "the killed run is found",
                    )
                    until(
                        lambda: recorded.status(run) is dg.DagsterRunStatus.SUCCESS,
                        "nothing is locked, and nothing is refused any more",
                    )
                    # once of each
                    until(
                        lambda: len(hook.messages) == 3 == len(mail.letters),
                        "both are told of the run and of what is well again",
                    )
                    told_of = [each["title"] + each["message"] for each in hook.messages[1:]]
                    assert sum(killed in each for each in told_of) == 1
                    assert sum(killed not in each and "Wholesale" in each for each in told_of) == 1
                    until(lambda: recorded.idle() and not stale(house), "all is built")

                    # --- a part that ends by itself takes the rest with it
                    again.part("doors.dagster_ui").kill()
                    ended = again.ended()
                    until(lambda: mine.issuperset(of_this_house(home)), "all end with the one")
            assert ended.code == 1
            assert "The web server exited unexpectedly" in ended.err
            assert len(hook.messages) == 3
            assert len(mail.letters) == 3

    # what is there is what a build from nothing makes of it
    kept = content(home.published, "staging", "marts")
    assert len(kept) == 9
    home.warehouse.unlink()
    home.published.unlink()
    assert [each.failure for each in build(house, stale(house)).built if each.failure] == []
    assert content(home.published, "staging", "marts") == kept

    said = json.dumps(hook.messages) + "".join(letter.as_string() for letter in mail.letters)
    assert KEY not in said
