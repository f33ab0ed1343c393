"""The demo: the whole pipeline over an invented life, exactly as it runs over a real one.

The invented services listen on loopback and the invented exports are in the inbox; from there on it
is a refresh with settings that point to them. The home knows that it is invented: its services
answer again during each later ``refresh`` and ``up``, and the life goes on to yesterday.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Any

import requests

from personal_pipeline.demo.chance import add_months
from personal_pipeline.demo.drops import exports, write_drops, write_files
from personal_pipeline.demo.health_format import TIMEZONE
from personal_pipeline.demo.invented import CAPTURE_DAY, Answer, Request, Service, json_answer
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.parts import INVENTED
from personal_pipeline.demo.services import base_at, listening, services_of, settings_of
from personal_pipeline.home import Home, write_atomically
from personal_pipeline.house import House
from personal_pipeline.settings import INVENTED_HOME, Settings
from personal_pipeline.sources import SOURCES

LATE = tuple(part for part in INVENTED if part.source in ("apple_health", "medium"))
"""The parts whose newest exports a late demo leaves out."""

DOWN = "kit"
"""The source whose service does not answer in a late demo."""

NOT_DROPPED = "not-dropped"
"""The folder of a late demo with the exports that were left out, to be added by hand."""

_DAY = timedelta(days=1)

_LATE_BY = timedelta(days=40)
"""A month and its days of grace."""

_NIGHT = timedelta(hours=12)
"""Exports are made in the night or the morning after a life's last day."""

_POLL = 0.5
"""Seconds. `up` runs them for days."""

_WHOSE = "/invented"
"""The path at which the services say whose they are."""


class NotADemo(Exception):
    """The folder contains something that no demo made. Nothing was changed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What a home remembers of the life that it shows. Days are ISO 8601, UTC."""

    years: int
    seed: int
    start: str
    """The first day of the life."""
    dropped: str
    """The day on which exports were last put into the inbox."""
    late: bool
    """Two exports are left out."""
    down: bool = False
    """One service does not answer."""
    port: int = 0
    """Where the services answer."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """The settings of the services, as environment variables."""
    timezone: str = "UTC"
    """Where the writer is at home; demos of earlier versions had none."""

    def life(self, until: date) -> Life:
        """The life to the end of a day."""
        return invent(self.years, self.seed, until, date.fromisoformat(self.start))


def settings_for(services: Mapping[str, str], folder: Path) -> Settings:
    """The settings of a person with these service settings. The person's own .env and environment
    are not read."""
    values: dict[str, Any] = {
        **services,
        "PERSONAL_PIPELINE_HOME": folder.resolve(),
        "PERSONAL_PIPELINE_TIMEZONE": TIMEZONE,
    }
    return Settings(**values)


def clear(folder: Path) -> None:
    """Remove an earlier demo, because two invented lives do not mix; refuse anything else."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / INVENTED_HOME).exists():
        raise NotADemo(f"{folder} is not empty and not a demo. Choose another folder with --dir.")
    shutil.rmtree(folder)


@contextmanager
def invented_house(years: int, seed: int, folder: Path, *, late: bool = False) -> Iterator[House]:
    """A house whose services answer, and whose exports are in the inbox, while this is open.

    The folder must be empty: see ``clear``.
    """
    home = Home.of(folder.resolve()).ensure()
    today = _today()
    # ends yesterday: later data would be in the future
    life = invent(years, seed, today - _DAY)
    begun = Plan(
        years=years,
        seed=seed,
        start=f"{life.start}",
        dropped=f"{today}",
        late=late,
        timezone=TIMEZONE,
    )
    _remember(home, begun)
    if late:
        write_drops(life, home.inbox, [part for part in INVENTED if part not in LATE])
        before = begun.life(_capture_day(today - _LATE_BY) - _DAY)
        write_files(exports(before, LATE), home.inbox)
        missing = (each for each in exports(life, LATE) if each.made_at > before.end + _NIGHT)
        write_files(missing, home.root / NOT_DROPPED)
    else:
        write_drops(life, home.inbox)
    with alive(home):
        yield House(settings_for(_recall(home).settings, folder), home, SOURCES)


def stop_service(home: Home) -> None:
    """From now on, one service does not answer."""
    _remember(home, replace(_recall(home), down=True))


@contextmanager
def alive(home: Home) -> Iterator[None]:
    """Have the services of an invented home answer until the block is left. Each day has the life
    up to the day before, and the monthly exports are in the inbox on their day.

    If another process serves this home already, nothing is started.
    """
    _drop_due(home)
    plan = _recall(home)
    if plan.port and _is_served(home, plan.port):
        yield
        return
    answers = _Answers(home)
    with ExitStack() as opened:
        try:
            port = opened.enter_context(listening(answers.today, plan.port, poll_seconds=_POLL))
        except OSError:  # another program has it
            port = opened.enter_context(listening(answers.today, poll_seconds=_POLL))
        if port != plan.port:
            settings = settings_of(plan.life(_today() - _DAY), port)
            _remember(home, replace(plan, port=port, settings=settings))
        yield


class _Answers:
    """The services of a home's life up to yesterday, made anew when a day has ended."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._until: date | None = None
        self._services: Mapping[str, Service] = {}

    def today(self) -> Mapping[str, Service]:
        """The services, by path prefix."""
        until = _today() - _DAY
        with self._lock:
            if until != self._until:
                _drop_due(self._home)
                self._services = _services(self._home, until)
                self._until = until
            return self._services


def _services(home: Home, until: date) -> dict[str, Service]:
    plan = _recall(home)
    whose = json_answer({"home": str(home.root)})
    services: dict[str, Service] = {_WHOSE: lambda _: whose}
    life = plan.life(until)
    for part in INVENTED:
        is_down = plan.down and part.source == DOWN
        services |= {
            prefix: _silent if is_down else service
            for prefix, service in services_of(life, [part]).items()
        }
    return services


def _silent(_: Request) -> Answer:
    # asks not to be asked again, so that nobody waits for it
    headers = {"Stripe-Should-Retry": "false"}
    return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"{}", headers=headers)


def _is_served(home: Home, port: int) -> bool:
    """Whether another process has this home's services at a port."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            answer = session.get(f"{base_at(port)}{_WHOSE}", timeout=5)
        return bool(answer.json() == {"home": str(home.root)})
    except (requests.RequestException, ValueError):
        return False


def _drop_due(home: Home) -> None:
    """Put the exports of the newest capture day into the inbox if they are not there yet."""
    plan = _recall(home)
    day = _capture_day(_today())
    if day.isoformat() <= plan.dropped:
        return
    made = exports(
        plan.life(day - _DAY),
        [part for part in INVENTED if not (plan.late and part in LATE)],
    )
    new = (each for each in made if each.made_at.date().isoformat() > plan.dropped)
    write_files(new, home.inbox)
    _remember(home, replace(plan, dropped=day.isoformat()))


def _capture_day(day: date) -> date:
    """The latest day of exports up to a day."""
    captured = day.replace(day=CAPTURE_DAY)
    return captured if captured <= day else add_months(captured, -1)


def _today() -> date:
    return datetime.now(UTC).date()


def _recall(home: Home) -> Plan:
    return Plan(**json.loads((home.root / INVENTED_HOME).read_bytes()))


def _remember(home: Home, plan: Plan) -> None:
    write_atomically(home.root / INVENTED_HOME, json.dumps(asdict(plan), indent=1).encode())
