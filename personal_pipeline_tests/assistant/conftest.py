"""The invented life once more, with markers in what is not to reach a language model."""

from __future__ import annotations

from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline_tests.assistant.marked_life import build_marked
from personal_pipeline_tests.invented_house import Services, once


@pytest.fixture(scope="session")
def marked_home(services: Services, exports: list[Path], built_home: Home, in_common: Path) -> Home:
    """That home. Servers write the file of what they share into it; each makes its own."""

    def build(folder: Path) -> Home:
        return build_marked(services, exports, built_home, folder / "home")

    return once(in_common, "marked", build)
