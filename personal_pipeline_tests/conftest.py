"""What every test may use: a home of its own, and settings that no environment reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.settings import Settings

SAMPLES = Path(__file__).parents[2] / "shared" / "samples"


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
