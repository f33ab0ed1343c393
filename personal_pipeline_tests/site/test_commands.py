"""``personal-pipeline site`` as a process: it says where it is, serves, and ends at Ctrl-C."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from datasette_auth_passwords.utils import hash_password

from personal_pipeline.cli import main
from personal_pipeline.doors.door import door_of
from personal_pipeline.home import Home
from personal_pipeline.site.people import Person, keep
from personal_pipeline_tests.invented_house import Services, end, start
from personal_pipeline_tests.loopback import free_port, until
from personal_pipeline_tests.running import listening
from personal_pipeline_tests.site.serving import Visitor


@pytest.fixture(scope="module")
def environment(
    services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("commands") / "home"
    shutil.copytree(built_home.root, folder)
    return services.environment(Home(folder))


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="who listens is looked up in /proc")
def test_the_owner_and_somebody_are_served_until_ctrl_c(environment: dict[str, str]) -> None:
    home = Home(Path(environment["PERSONAL_PIPELINE_HOME"]))
    keep(home, Person("anna", ("money",), (), hash_password("plum crumble on sundays")))
    mine, hers = free_port(), free_port()
    door = door_of(home, mine)
    owner = start(environment, "site", "--port", str(mine))
    anna = start(environment, "site", "--for", "anna", "--listen", f"127.0.0.1:{hers}")
    try:
        until(lambda: listening(mine) and listening(hers), "both are served", seconds=100)
        assert listening(mine) == listening(hers) == {"0100007F"}
        assert Visitor(mine, door.headers()).get("/").status_code == 200
        assert Visitor(mine, {}).get("/").status_code == 421
        assert Visitor(hers, {}).get("/tables/transactions").status_code == 403
        assert Visitor(hers, {"Host": "evil.example"}).get("/").status_code == 421
    finally:
        for process in (owner, anna):
            process.send_signal(signal.SIGINT)
        ended = [end(process) for process in (owner, anna)]
    assert [each.code for each in ended] == [0, 0], [each.err for each in ended]
    assert ended[0].out == f"The site (Ctrl-C ends it): {door.opening()}\n"
    assert ended[1].out == f"The site of anna (Ctrl-C ends it): http://127.0.0.1:{hers}/\n"
    assert [each.err for each in ended] == ["", ""]


def test_without_the_packages_it_says_how_to_get_them(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = importlib.util.find_spec

    def without(name: str, package: str | None = None) -> Any:
        return None if name == "datasette" else usual(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without)
    done = CliRunner().invoke(main, ["site"], env=environment)
    assert done.exit_code == 1
    assert "python -m pip install -e '.[site]'" in done.output
