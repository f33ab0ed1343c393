"""What every test may use: a home of its own, and settings that no environment reaches."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from personal_pipeline.home import Home
from personal_pipeline.settings import Settings
from personal_pipeline_tests.invented_house import Services, drop_exports, invented_services

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The story with the daemon first: it mostly waits, and others may run meanwhile."""
    items.sort(key=lambda item: item.path.name != "test_live.py")


@pytest.fixture(autouse=True)
def _no_outside_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A person's own .env and environment must not reach the tests, nor the tests their data."""
    for field in Settings.model_fields.values():
        if field.alias:
            monkeypatch.delenv(field.alias, raising=False)
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
def services() -> Iterator[Services]:
    """The services of an invented life, on loopback."""
    with invented_services() as served:
        yield served


@pytest.fixture(scope="session")
def built_home(
    services: Services, tmp_path_factory: pytest.TempPathFactory, worker_id: str
) -> Home:
    """The home of that life after its first refresh. It is expensive, and never changed: built
    once for all processes of the test run."""
    from personal_pipeline.refresh import refresh

    folder = tmp_path_factory.getbasetemp()
    if worker_id != "master":
        folder = folder.parent  # what the workers have in common
    home = Home(folder / "built" / "home")
    with FileLock(folder / "built.lock"):
        if (folder / "built" / "whole").exists():
            return home
        drop_exports(services.life, home.ensure())
        with pytest.MonkeyPatch.context() as patched:
            # what importing the definitions looks at
            for name, text in services.environment(home).items():
                patched.setenv(name, text)
            passed = refresh(services.house(home))
        assert not passed.failures
        (folder / "built" / "whole").touch()
    return home


@pytest.fixture
def copied(built_home: Home, tmp_path: Path) -> Home:
    """A copy of that home, for a test that changes it."""
    shutil.copytree(built_home.root, tmp_path / "home", dirs_exist_ok=True)
    return Home(tmp_path / "home")
