"""The automation conditions, evaluated by Dagster on a real instance with the real graph."""

from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData

from personal_pipeline.graph.automation import (
    ASK_AGAIN_AFTER,
    REBUILDS_TAGS,
    Look,
    plan_inbox,
)
from personal_pipeline.graph.contents import materialization
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES

pytestmark = pytest.mark.slow

START = "2026-08-01"

Requested = set[tuple[str, str | None]]


class Graph:
    """The graph of an empty home, ticked by hand."""

    def __init__(self, home: Home) -> None:
        settings = Settings(PERSONAL_PIPELINE_START=START)
        self.definitions = definitions_of(House(settings, home, SOURCES))
        self.instance = dg.DagsterInstance.ephemeral()
        self.cursor: dg.AssetDaemonCursor | None = None
        # by its number Dagster knows which events are new; without any it takes none for new
        self.report("elsewhere", None, "something")
        self.tick()

    def report(self, asset: str, partition: str | None, content: str) -> None:
        key = dg.AssetKey(asset.split("/"))
        self.instance.report_runless_asset_event(materialization(key, partition, content, {}))

    def report_by_run(self, tags: dict[str, str], *events: tuple[str, str, str]) -> None:
        """A run with these tags tells of (asset, partition, content)."""
        run = dg.DagsterRun(job_name="__ASSET_JOB", status=dg.DagsterRunStatus.SUCCESS, tags=tags)
        self.instance.add_run(run)
        for asset, partition, content in events:
            event = materialization(dg.AssetKey(asset.split("/")), partition, content, {})
            self.instance.report_dagster_event(
                dg.DagsterEvent(
                    dg.DagsterEventType.ASSET_MATERIALIZATION.value,
                    run.job_name,
                    event_specific_data=StepMaterializationData(event),
                ),
                run.run_id,
            )

    def tick(self) -> Requested:
        result = dg.evaluate_automation_conditions(
            self.definitions, self.instance, cursor=self.cursor
        )
        self.cursor = result.cursor
        return {
            (key.to_user_string(), partition)
            for key in self.definitions.resolve_asset_graph().get_all_asset_keys()
            for partition in result.get_requested_partitions(key)
        }


@pytest.fixture(scope="module")
def empty_home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return Home(tmp_path_factory.mktemp("automation") / "home").ensure()


@pytest.fixture
def graph(empty_home: Home) -> Iterator[Graph]:
    graph = Graph(empty_home)
    with graph.instance:
        yield graph


def test_a_new_day_is_built_and_nothing_else(graph: Graph) -> None:
    graph.report("stripe/charges", "2026-10-02", "one")
    assert graph.tick() == {("staging/stg_stripe__charges", "2026-10-02")}
    assert graph.tick() == set()


def test_equal_content_starts_nothing(graph: Graph) -> None:
    graph.report("stripe/charges", "2026-10-02", "one")
    graph.tick()
    graph.report("stripe/charges", "2026-10-02", "one")
    assert graph.tick() == set()
    graph.report("stripe/charges", "2026-10-02", "two")
    assert graph.tick() == {("staging/stg_stripe__charges", "2026-10-02")}


def test_content_that_changes_back_is_a_change(graph: Graph) -> None:
    for content in ("one", "two", "one"):
        graph.report("stripe/charges", "2026-10-02", content)
        # each on the very tick after the last request, which clears the latch
        assert graph.tick() == {("staging/stg_stripe__charges", "2026-10-02")}
    assert graph.tick() == set()


def test_what_a_rebuild_changed_is_news_to_the_report_only(graph: Graph) -> None:
    revenue = ("marts/revenue_daily", "2026-08-17", "corrected")
    graph.report_by_run(REBUILDS_TAGS, revenue)
    assert graph.tick() == {("outputs/daily_report", None)}


def test_what_a_person_had_built_is_news_to_what_reads_it(graph: Graph) -> None:
    graph.report_by_run({}, ("marts/revenue_daily", "2026-08-17", "corrected"))
    assert ("marts/revenue_monthly", "2026-08-01") in graph.tick()


def test_what_arrives_beside_a_rebuild_is_not_taken_for_its_work(graph: Graph) -> None:
    graph.report_by_run(REBUILDS_TAGS, ("marts/revenue_daily", "2026-08-17", "corrected"))
    graph.report("stripe/charges", "2026-10-02", "one")
    assert ("staging/stg_stripe__charges", "2026-10-02") in graph.tick()


def test_an_old_month_is_reached(graph: Graph) -> None:
    graph.report("marts/revenue_daily", "2026-08-17", "corrected")
    requested = graph.tick()
    assert ("marts/revenue_monthly", "2026-08-01") in requested
    assert ("marts/creator_daily", "2026-08-17") in requested
    days = {partition for name, partition in requested if name == "marts/creator_daily"}
    months = {partition for name, partition in requested if name == "marts/revenue_monthly"}
    assert (days, months) == ({"2026-08-17"}, {"2026-08-01"})


def test_what_is_cumulative_is_rebuilt_from_the_change_on(graph: Graph) -> None:
    graph.report("marts/subscription_movements_daily", "2026-09-17", "late news")
    months = {partition for name, partition in graph.tick() if name == "marts/revenue_monthly"}
    expected = {"2026-09-01", "2026-10-01", "2026-11-01"}
    assert expected <= months
    assert "2026-08-01" not in months


def test_a_table_and_its_input_never_share_a_tick(graph: Graph) -> None:
    graph.report("stripe/balance_transactions", "2026-10-02", "one")
    graph.report("marts/engagement_daily", "2026-10-01", "one")
    requested = graph.tick()
    assert ("staging/stg_stripe__balance_transactions", "2026-10-02") in requested
    assert ("marts/revenue_daily", "2026-10-02") not in requested
    graph.report("staging/stg_stripe__balance_transactions", "2026-10-02", "one")
    assert ("marts/revenue_daily", "2026-10-02") in graph.tick()


def test_a_file_is_asked_for_when_it_stopped_growing() -> None:
    ask, looks = plan_inbox({"a": (1, 1)}, {}, now=0)
    assert ask == []
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=1_000)
    assert ask == []
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=2_000)
    assert ask == ["a"]
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=2_010)
    assert ask == []
    again = 2_000 + ASK_AGAIN_AFTER.total_seconds()
    ask, looks = plan_inbox({"a": (2, 2)}, looks, now=again)
    assert ask == ["a"]
    assert plan_inbox({}, looks, now=again) == ([], {})
    changed, _ = plan_inbox({"a": (3, 3)}, {"a": Look(2, 2, again)}, now=again + 1)
    assert changed == []
