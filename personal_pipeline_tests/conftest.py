"""What every test may use: a home of its own, and settings that no environment reaches."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from personal_pipeline import duck
from personal_pipeline.demo.drops import write_drops
from personal_pipeline.home import Home
from personal_pipeline.settings_pages import all_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse.dbt_project import load_manifest
from personal_pipeline_tests.invented_house import (
    Services,
    drop_exports,
    invented_services,
    lay_project,
    once,
)
from personal_pipeline_tests.kiosk.house import Kiosk, drop_readings, open_kiosk, write_sql

# from here on, no test can reach anything but this machine
from personal_pipeline_tests.only_loopback import sitecustomize as _only_loopback  # noqa: F401
from personal_pipeline_tests.sql.compiled import Compiled, compile_areas

# What is imported stays: looking for garbage among it is two fifths of the time that collection
# takes, and would be repeated all through the tests.
gc.disable()


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# Workers share the cores already: with threads of its own each would need more CPU time, and wait.
duck.CONFIG["threads"] = duck.READ_ONLY["threads"] = 1

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"
FAULTS = SAMPLES.with_name("faults")

# Property tests are the same few examples each time, so that a change fails by what it does and not
# by chance. `make fuzz` looks for others, at random and for long: what it finds becomes an
# `@example` of the test.
hypothesis_settings.register_profile("ci", derandomize=True, max_examples=30, deadline=None)
hypothesis_settings.register_profile(
    "long", derandomize=False, max_examples=300, deadline=None, print_blob=True
)
hypothesis_settings.load_profile("ci")


LONGEST = (
    # two workers wait as long as they work, beside two that work; each gets two files at first
    *("test_live.py", "test_end_to_end.py", "test_up.py", "test_build.py"),
    *("test_faults.py", "test_bank_merges.py", "test_canary.py", "test_new_source.py"),
    *("test_windows.py", "test_sport_marts.py", "test_dbt_host.py", "test_no_network.py"),
    *("test_alive.py", "test_browser.py", "test_pruning.py", "test_adding_statements.py"),
    *("test_stripe.py", "test_definitions.py", "test_unfinished.py", "test_rebuild.py"),
    *("test_damage.py", "test_printed.py", "test_again.py", "test_cli.py", "test_refresh.py"),
)
"""The files that take longest, longest first. A worker takes a file at a time (``--dist
loadfile``), so that what a file shares is made once; begun last, a long one would run alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda each: places.get(each.path.name, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _characters(in_common: Path) -> None:
    """Hypothesis sorts all characters once, in two seconds, and keeps the result: one process does
    it for all."""
    with FileLock(in_common / "characters.lock"):
        st.text().validate()


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person's own .env and environment must not reach the tests, nor the tests their data."""
    for setting in all_settings(SOURCES):
        monkeypatch.delenv(setting.name, raising=False)
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home").ensure()


@pytest.fixture(scope="session")
def samples() -> Path:
    """Real files of other projects; the test is skipped where they are not."""
    if not SAMPLES.is_dir():
        pytest.skip(f"{SAMPLES} is not there: the samples are not part of this repository")
    return SAMPLES


@pytest.fixture(scope="session")
def faults() -> Path:
    """Invented files with which something went wrong; the test is skipped where they are not."""
    if not FAULTS.is_dir():
        pytest.skip(f"{FAULTS} is not there: it is not part of this repository")
    return FAULTS


@pytest.fixture(scope="session")
def services() -> Iterator[Services]:
    """The services of an invented life, on loopback."""
    with invented_services() as served:
        yield served


@pytest.fixture(scope="session")
def in_common(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that all processes of the test run have in common."""
    folder = tmp_path_factory.getbasetemp()
    return folder if worker_id == "master" else folder.parent


@pytest.fixture(scope="session")
def exports(services: Services, in_common: Path) -> list[Path]:
    """Every file that the person of that life dropped, oldest first; only read."""
    return once(in_common, "exports", lambda folder: write_drops(services.life, folder))


@pytest.fixture(scope="session")
def parsed(in_common: Path) -> Path:
    """dbt's folder of a home, with the project parsed, for ``lay_project``."""

    def parse(folder: Path) -> Path:
        home = Home(folder / "home").ensure()
        load_manifest(home)
        return home.dbt_target

    return once(in_common, "parsed", parse)


@pytest.fixture(scope="session")
def compiled(in_common: Path, parsed: Path) -> Compiled:
    """The SQL of models, for tests that run what one area is made of over lake after lake."""
    return once(in_common, "compiled", lambda folder: compile_areas(parsed, folder / "home"))


@pytest.fixture(scope="session")
def built_home(services: Services, exports: list[Path], in_common: Path, parsed: Path) -> Home:
    """The home of that life after its first refresh."""
    from personal_pipeline.refresh import refresh

    def build(folder: Path) -> Home:
        home = lay_project(parsed, folder / "home")
        drop_exports(exports, home)
        with pytest.MonkeyPatch.context() as patched:
            # what importing the definitions looks at
            for name, text in services.environment(home).items():
                patched.setenv(name, text)
            passed = refresh(services.house(home))
        assert not passed.failures
        return home

    return once(in_common, "built", build)


@pytest.fixture
def copied(built_home: Home, tmp_path: Path) -> Home:
    """A copy of that home, for a test that changes it."""
    shutil.copytree(built_home.root, tmp_path / "home", dirs_exist_ok=True)
    return Home(tmp_path / "home")


@pytest.fixture(scope="session")
def opened_kiosk(in_common: Path) -> Iterator[Kiosk]:
    """The kiosk and its service, without its project."""
    with open_kiosk(once(in_common, "kiosk-sql", write_sql)) as opened:
        yield opened


@pytest.fixture
def kiosk(opened_kiosk: Kiosk, monkeypatch: pytest.MonkeyPatch) -> Kiosk:
    """The kiosk, whose project and sources take the place of the real ones during the test."""
    opened_kiosk.lay_project(monkeypatch)
    return opened_kiosk


@pytest.fixture(scope="session")
def built_kiosk(opened_kiosk: Kiosk, in_common: Path) -> Home:
    """The home of the kiosk after its first refresh."""
    from personal_pipeline.refresh import refresh

    def build(folder: Path) -> Home:
        home = Home(folder / "home").ensure()
        drop_readings(home)
        with pytest.MonkeyPatch.context() as patched:
            opened_kiosk.lay_project(patched)
            passed = refresh(opened_kiosk.house(home))
        assert not passed.failures
        return home

    return once(in_common, "kiosk", build)


@pytest.fixture
def copied_kiosk(kiosk: Kiosk, built_kiosk: Home, tmp_path: Path) -> Home:
    """A copy of that home, for a test that changes it."""
    shutil.copytree(built_kiosk.root, tmp_path / "home", dirs_exist_ok=True)
    return Home(tmp_path / "home")
