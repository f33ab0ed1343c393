"""No daemon: a timer that calls ``refresh`` and ``status --notify``, each a process of its own."""

from __future__ import annotations

from datetime import timedelta

import pytest

from personal_pipeline.home import Home
from personal_pipeline_tests.alerts.sinks import web_hook
from personal_pipeline_tests.invented_house import NOW, Services, Usual, run
from personal_pipeline_tests.loopback import Answer, Request


def refused(request: Request, usual: Usual) -> Answer:
    return Answer(b"{}", 401) if request.path.startswith("/v4/") else usual()


@pytest.mark.slow
def test_a_timer_tells_once_what_failed_and_once_that_it_is_well_again(
    services: Services, copied: Home
) -> None:
    noon = NOW + timedelta(hours=6)
    with web_hook() as hook:
        environment = services.environment(copied, PERSONAL_PIPELINE_ALERTS=hook.address)
        with services.but(refused):
            assert run(environment, "refresh", "--source", "kit", now=noon).code == 1
        told = run(environment, "status", "--notify", now=noon)
        assert told.code == 1, "something is failing"
        (message,) = hook.messages
        assert "Kit" in message["title"]
        assert "credential refused" in message["title"] + message["message"]

        again = run(environment, "status", "--notify", now=noon + timedelta(minutes=10))
        assert again.out == ""
        assert len(hook.messages) == 1

        later = noon + timedelta(hours=1)
        assert run(environment, "refresh", "--source", "kit", now=later).code == 0
        run(environment, "status", "--notify", now=later)
        assert len(hook.messages) == 2
        assert "Kit" in hook.messages[1]["title"]
    secrets = (environment["KIT_API_KEY"], environment["STRIPE_API_KEY"])
    assert not [each for each in secrets if each in str(hook.messages) + told.out + told.err]
