"""The session in docs/ is what is really asked and answered."""

from __future__ import annotations

import pytest

from personal_pipeline.home import Home
from personal_pipeline_tests.assistant.session import PAGE, session
from personal_pipeline_tests.invented_house import Services


@pytest.mark.slow
def test_the_session_in_the_docs_is_a_true_one(services: Services, marked_home: Home) -> None:
    written = PAGE.read_text(encoding="utf-8").splitlines()
    assert session(services, marked_home).splitlines() == written, "write it anew: make session"
