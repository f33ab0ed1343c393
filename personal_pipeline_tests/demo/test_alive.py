"""A home that shows an invented life: its services answer again, and the life goes on."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import requests

from personal_pipeline.demo import run
from personal_pipeline.demo.run import LATE, NOT_DROPPED, alive, invented_house, stop_service
from personal_pipeline.demo.services import listening
from personal_pipeline.freshness import State, judge_drop
from personal_pipeline.home import Home
from personal_pipeline.ingest.arrivals import Arrival
from personal_pipeline.settings import INVENTED_HOME, load_settings

DAY = date(2026, 11, 20)


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> Callable[[date], None]:
    """Sets the day."""

    def set_to(day: date) -> None:
        monkeypatch.setattr(run, "_today", lambda: day)

    set_to(DAY)
    return set_to


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A demo's home, of which nothing was read yet; only copied."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(run, "_today", lambda: DAY)
        with invented_house(1, 5, tmp_path_factory.mktemp("made") / "demo") as house:
            return house.home.root


@pytest.fixture
def invented(today: object, made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The same, to be changed."""
    shutil.copytree(made, tmp_path / "demo")
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(tmp_path / "demo"))
    return Home(tmp_path / "demo")


def setting(name: str) -> str:
    return load_settings().of_sources[name].get_secret_value()


def ask(base: str, path: str, **headers: str) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(f"{setting(base)}{path}", headers=headers, timeout=10)


def newest_sale() -> date:
    """The day of the newest transaction of the invented Stripe."""
    key = f"Bearer {setting('STRIPE_API_KEY')}"
    sales = ask("STRIPE_API_BASE", "/v1/balance_transactions", Authorization=key).json()["data"]
    return datetime.fromtimestamp(sales[0]["created"], UTC).date()


def newsletter() -> int:
    """How the invented Kit answers."""
    return ask("KIT_API_BASE", "/account", **{"X-Kit-Api-Key": setting("KIT_API_KEY")}).status_code


def files(folder: Path) -> dict[str, date]:
    return {
        path.name: datetime.fromtimestamp(path.stat().st_mtime, UTC).date()
        for path in folder.iterdir()
    }


def test_a_demo_never_sees_the_accounts_of_the_person(
    invented: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STRIPE_API_KEY", "rk_live_of_the_person")
    monkeypatch.setenv("PERSONAL_PIPELINE_PORT", "4567")
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("STRAVA_TOKEN=of-the-person\n")
    (tmp_path / ".env").chmod(0o600)
    settings = load_settings()
    found = {name: secret.get_secret_value() for name, secret in settings.of_sources.items()}
    kept = json.loads((invented.root / INVENTED_HOME).read_bytes())["settings"]
    assert found == kept
    assert "rk_live_of_the_person" not in found.values()
    assert settings.port == 4567
    # one that was made before homes kept these
    (invented.root / INVENTED_HOME).write_bytes(b"")
    assert not load_settings().of_sources


def test_its_services_answer_again_with_what_happened_since(
    invented: Home, today: Callable[[date], None]
) -> None:
    with pytest.raises(requests.ConnectionError):
        newsletter()
    before = (invented.root / INVENTED_HOME).read_bytes()
    with alive(invented):
        assert newsletter() == 200
        first = newest_sale()
        assert first < DAY
        # days pass while it runs
        today(date(2026, 12, 1))
        assert first < newest_sale() < date(2026, 12, 1)
    assert (invented.root / INVENTED_HOME).read_bytes() == before


def test_monthly_exports_are_in_the_inbox_on_their_day(
    invented: Home, today: Callable[[date], None]
) -> None:
    taken = files(invented.inbox)
    for name in taken:
        (invented.inbox / name).unlink()
    today(date(2026, 12, 1))
    with alive(invented):
        pass
    assert not files(invented.inbox)
    today(date(2026, 12, 5))
    with alive(invented):
        pass
    new = files(invented.inbox)
    assert {DAY < made <= date(2026, 12, 2) for made in new.values()} == {True}
    assert any(name.startswith("medium-account") for name in new)
    assert "export.zip" in new
    # and only once
    for name in new:
        (invented.inbox / name).unlink()
    with alive(invented):
        assert not files(invented.inbox)


def test_a_second_process_uses_the_services_of_the_first(invented: Home) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from personal_pipeline.demo.run import alive\n"
        "from personal_pipeline.home import Home\n"
        "with alive(Home.of(Path(sys.argv[1]))): print('alive')\n"
    )
    with alive(invented):
        before = (invented.root / INVENTED_HOME).read_bytes()
        done = subprocess.run(
            [sys.executable, "-c", script, str(invented.root)],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.stdout, done.stderr) == ("alive\n", "")
        assert newsletter() == 200
        assert (invented.root / INVENTED_HOME).read_bytes() == before


def test_services_move_when_another_program_has_their_port(invented: Home) -> None:
    port = json.loads((invented.root / INVENTED_HOME).read_bytes())["port"]
    with listening(dict, port), alive(invented):
        assert newsletter() == 200
        assert str(port) not in setting("KIT_API_BASE")


@pytest.mark.parametrize("day", [date(2026, 11, 6), date(2026, 11, 27)])
def test_a_late_demo_lacks_the_newest_exports_of_two_sources(
    tmp_path: Path,
    today: Callable[[date], None],
    monkeypatch: pytest.MonkeyPatch,
    day: date,
) -> None:
    today(day)
    with invented_house(1, 5, tmp_path / "late", late=True) as house:
        home = house.home
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(home.root))
    captures = [made for name, made in files(home.inbox).items() if "account" in name]
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    newest = datetime.combine(max(captures), datetime.min.time(), UTC)
    judged = judge_drop([Arrival("a", newest, newest)], moment, monthly_on_day=1)
    assert judged.state is State.LATE

    left_out = files(home.root / NOT_DROPPED)
    assert max(left_out.values()) == day
    assert not left_out.keys() & files(home.inbox).keys() - {"export.zip"}
    assert {part.source for part in LATE} == {"medium", "apple_health"}

    stop_service(home)
    with alive(home):
        assert newsletter() == 503
        assert newest_sale() < day
