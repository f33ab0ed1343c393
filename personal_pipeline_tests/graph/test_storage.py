"""Damaged files of Dagster: set aside, recreated, and told what there is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from personal_pipeline.graph.instance import instance_of
from personal_pipeline.graph.recording import with_instance
from personal_pipeline.graph.storage import identity
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import Settings

KEY = dg.AssetKey(["a", "table"])


def garbage(path: Path) -> None:
    path.write_bytes(os.urandom(3000))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 3)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def deleted(path: Path) -> None:
    path.unlink()


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home whose Dagster knows of a materialization: to be copied."""
    home = Home(tmp_path_factory.mktemp("known") / "home").ensure()
    with instance_of(home) as instance:
        for number in range(300):
            event = dg.AssetMaterialization(KEY, metadata={"n": "x" * 500, "number": number})
            instance.report_runless_asset_event(event)
    (home.dagster / "told.json").write_text("{}")
    return home


@pytest.fixture
def used(known: Home, home: Home) -> Home:
    shutil.copytree(known.root, home.root, dirs_exist_ok=True)
    return home


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("history/runs.db", garbage),
        ("history/runs.db", deleted),
        ("history/runs/index.db", emptied),
        ("history/runs/index.db", cut),
        ("schedules/schedules.db", folder),
    ],
)
def test_a_damaged_storage_is_set_aside_and_begun_anew(
    used: Home, name: str, damage: Callable[[Path], None]
) -> None:
    damage(used.dagster / name)
    before = identity(used)
    notes: list[str] = []
    with instance_of(used, notes.append) as instance:
        assert instance.get_latest_materialization_event(KEY) is None
        instance.report_runless_asset_event(dg.AssetMaterialization(KEY))
        assert instance.get_latest_materialization_event(KEY) is not None
    (note,) = notes
    assert name in note
    assert "recreated" in note
    (aside,) = used.root.glob("dagster.damaged-*")
    assert aside.name in note
    assert not (used.dagster / "told.json").exists()
    assert identity(used) != before


def test_damage_that_shows_only_in_use_costs_one_more_try(used: Home) -> None:
    path = used.dagster / "history/runs/index.db"
    with path.open("r+b") as stream:
        # the pages behind the first, which tells of the tables
        stream.seek(4096)
        stream.write(b"\xff" * (path.stat().st_size - 4096))
    house = House(Settings(), used, ())
    tries = []

    def work(instance: dg.DagsterInstance) -> None:
        tries.append(instance)
        instance.get_runs()
        instance.all_instigator_state()
        event = dg.AssetMaterialization(KEY)
        instance.report_runless_asset_event(event)

    assert len(with_instance(house, work)) == 1
    assert len(list(used.root.glob("dagster.damaged-*"))) == 1


def test_an_error_that_is_not_the_storages_is_raised(used: Home) -> None:
    house = House(Settings(), used, ())

    def work(instance: dg.DagsterInstance) -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        with_instance(house, work)
    assert not list(used.root.glob("dagster.damaged-*"))


def test_a_storage_that_was_deleted_is_no_damage_but_is_told_anew(used: Home) -> None:
    shutil.rmtree(used.dagster / "history")
    shutil.rmtree(used.dagster / "schedules")
    notes: list[str] = []
    with instance_of(used, notes.append):
        pass
    assert not notes
    assert not (used.dagster / "told.json").exists()


def test_only_the_newest_damaged_storage_is_kept(used: Home) -> None:
    old = used.root / "dagster.damaged-20200101T000000"
    old.mkdir()
    garbage(used.dagster / "history/runs.db")
    with instance_of(used, lambda _: None):
        pass
    assert not old.exists()
    assert len(list(used.root.glob("dagster.damaged-*"))) == 1
