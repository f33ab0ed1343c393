"""What Dagster itself says of freshness, by its own evaluators and from what it is told."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState
from dagster._core.definitions.freshness_evaluator import FRESHNESS_EVALUATORS_BY_POLICY_TYPE
from hypothesis import example, given
from hypothesis import strategies as st

from personal_pipeline.freshness import State, judge_drop
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.raw import export_policy
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.arrivals import Arrival, Exports
from personal_pipeline.refresh import refresh
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES
from personal_pipeline.told import TELL_CURRENT_AFTER
from personal_pipeline.warehouse import dbt_project
from personal_pipeline_tests.invented_house import NOW, lay_project
from personal_pipeline_tests.kiosk.house import Kiosk

EVALUATOR = "dagster._core.definitions.freshness_evaluator"
EXPORT = "kit/subscriber_export"
ZONES = ("UTC", "Asia/Tokyo", "Pacific/Honolulu")

Policies = Mapping[str, dg.FreshnessPolicy | None]


def policies_of(house: House) -> Policies:
    specs = definitions_of(house).resolve_all_asset_specs()
    return {spec.key.to_user_string(): spec.freshness_policy for spec in specs}


@pytest.fixture(scope="module")
def home(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Home:
    return lay_project(parsed, tmp_path_factory.mktemp("policies") / "home")


def judged_by_dagster(
    policy: dg.FreshnessPolicy | None, told: datetime, now: datetime
) -> FreshnessState:
    """What Dagster says at ``now`` of an asset of which it was last told at ``told``."""

    async def record(*_: object) -> object:
        last = SimpleNamespace(timestamp=told.timestamp())
        return SimpleNamespace(asset_entry=SimpleNamespace(last_materialization=last))

    evaluator = FRESHNESS_EVALUATORS_BY_POLICY_TYPE[type(policy)]()  # type: ignore[index]
    node = SimpleNamespace(freshness_policy_or_from_metadata=policy, key=dg.AssetKey("any"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"{EVALUATOR}.AssetRecord.gen", record)
        patched.setattr(f"{EVALUATOR}.get_current_timestamp", now.timestamp)
        patched.setattr(
            f"{EVALUATOR}.get_current_datetime", lambda zone: now.astimezone(ZoneInfo(zone))
        )
        return asyncio.run(evaluator.evaluate_freshness(None, node))  # type: ignore[arg-type]


# ------------------------------------------------------------------------------- monthly exports


@given(
    minutes=st.integers(0, 800 * 24 * 60),
    kept=st.integers(0, 60 * 24 * 60),
    later=st.integers(0, 90 * 24 * 60),
    zone=st.sampled_from(ZONES),
)
@example(minutes=0, kept=0, later=0, zone="Pacific/Honolulu")
def test_dagster_and_we_agree_whether_an_export_is_late_or_dagster_says_nothing(
    minutes: int, kept: int, later: int, zone: str
) -> None:
    made = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    dropped = made + timedelta(minutes=kept)
    now = dropped + timedelta(minutes=later)
    came = Exports((Arrival("a", made, dropped),), dropped)
    policy = export_policy(1, came, now, zone)
    ours = judge_drop(came.arrivals, now, monthly_on_day=1, zone=ZoneInfo(zone))
    if policy is None:
        assert kept
        assert ours.state is State.LATE
    else:
        overdue = judged_by_dagster(policy, dropped, now) is FreshnessState.FAIL
        assert overdue is (ours.state is State.LATE), ours


def test_a_policy_stays_when_nothing_came_for_a_month() -> None:
    made = datetime(2025, 1, 2, tzinfo=UTC)
    came = Exports((Arrival("a", made, made),), made)
    policy = export_policy(1, came, datetime(2025, 2, 20, tzinfo=UTC), "UTC")
    assert judged_by_dagster(policy, made, datetime(2025, 2, 20, tzinfo=UTC)) is FreshnessState.FAIL


def test_nothing_is_expected_of_what_is_not_connected_at_rest_or_without_a_calendar(
    home: Home,
) -> None:
    def expected(**settings: str) -> set[str]:
        house = House(Settings(**settings), home, SOURCES, lambda: NOW)
        streams = {f"{source.name}/{each.name}" for source in SOURCES for each in source.streams}
        return {name for name, policy in policies_of(house).items() if policy} & streams

    by_calendar = {
        f"{source.name}/{stream.name}"
        for source in SOURCES
        for drop in source.drops
        if drop.monthly_on_day
        for stream in drop.streams
    }
    assert EXPORT in by_calendar
    assert expected() - {"medium/feed"} == by_calendar
    assert "stripe/balance_transactions" in expected(STRIPE_API_KEY="sk_test_x")
    home.put_to_rest(["kit", "stripe"])
    try:
        assert expected(STRIPE_API_KEY="sk_test_x") - {"medium/feed"} == by_calendar - {EXPORT}
    finally:
        home.put_to_rest([])


# --------------------------------------------------------------------------------- derived tables


def told_of(home: Home) -> dict[str, list[tuple[str | None, str]]]:
    """What Dagster was told of each derived table, oldest first: partition and content."""
    with instance_of(home) as instance:
        return {
            "/".join(key.path): [
                (event.partition, (event.tags or {})["dagster/data_version"])
                for record in reversed(instance.fetch_materializations(key, limit=500).records)
                if (event := record.asset_materialization)
            ]
            for key in instance.all_asset_keys()
            if key.path[0] in ("staging", "intermediate", "marts")
        }


def test_each_morning_every_table_that_was_found_current_is_told_again(
    kiosk: Kiosk, copied_kiosk: Home
) -> None:
    before = told_of(copied_kiosk)
    soon = kiosk.house(copied_kiosk, now=NOW + TELL_CURRENT_AFTER / 2)
    assert not refresh(soon).work.built
    assert told_of(copied_kiosk) == before

    morning = kiosk.house(copied_kiosk, now=NOW + TELL_CURRENT_AFTER)
    # tables that are cut by day get a partition for the day that began
    grew = {each.name for each in refresh(morning).work.built}
    assert "marts/takings_daily" in grew
    assert "staging/stg_till__deliveries" not in grew
    after = told_of(copied_kiosk)
    for name, events in before.items():
        newest = max(events, key=lambda event: event[0] or "")
        # with the content that it had, so that nothing downstream takes it for news
        assert after[name] == [*events, newest] or (name in grew and after[name] != events), name


def test_a_table_that_fails_and_what_reads_it_are_not_told(
    kiosk: Kiosk, copied_kiosk: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = told_of(copied_kiosk)
    sql = tmp_path / "sql"
    shutil.copytree(kiosk.sql, sql)
    (model,) = sql.rglob("takings_daily.sql")
    model.write_text(f"{model.read_text()}\nhaving no_such_column")
    monkeypatch.setattr(dbt_project, "FOLDER", sql)
    assert refresh(kiosk.house(copied_kiosk, now=NOW + TELL_CURRENT_AFTER)).work.failures
    after = told_of(copied_kiosk)
    told = {name for name, events in after.items() if events != before[name]}
    assert before.keys() - told == {"marts/takings_daily", "marts/results_monthly"}


def test_a_table_turns_stale_for_dagster_when_mornings_are_missed(home: Home) -> None:
    policy = policies_of(House(Settings(), home, SOURCES, lambda: NOW))["marts/creator_daily"]
    states = [
        judged_by_dagster(policy, NOW, NOW + timedelta(hours=hours)) for hours in (1, 24, 30, 60)
    ]
    fresh = FreshnessState.PASS
    assert states == [fresh, fresh, FreshnessState.WARN, FreshnessState.FAIL]
