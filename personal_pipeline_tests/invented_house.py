"""An invented life behind a server that a test can make answer otherwise, and what was built of it.

The clock is passed in: it is the morning after the life ended, in this process and in a second one.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

import duckdb
import pytest
import requests
from click.testing import CliRunner
from filelock import FileLock
from rich.console import Console

from personal_pipeline.cli import main
from personal_pipeline.demo.life import Life, invent
from personal_pipeline.demo.services import Served, serve
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Source
from personal_pipeline.settings import Settings
from personal_pipeline.settings_pages import all_settings
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.build import BuiltTable, all_tables, build
from personal_pipeline.warehouse.lake import read_lake
from personal_pipeline.warehouse.reconcile import find_stale
from personal_pipeline_tests.loopback import Answer, Loopback, Request, loopback

UNTIL = date(2025, 11, 20)
NOW = datetime(2025, 11, 21, 6, 0, tzinfo=UTC)
START = UNTIL - timedelta(days=40)
"""The first day that the person wants: each day costs an event, so a year would cost minutes."""

DROPS = 13
"""So many of the newest exports lie in the inbox; all of them would cost much and show no more."""

Made = TypeVar("Made")
Usual: TypeAlias = Callable[[], Answer]
Instead: TypeAlias = Callable[[Request, Usual], Answer]

_HOP_BY_HOP = frozenset({"connection", "host", "accept-encoding"})


@dataclass
class Services:
    """The invented services. ``asked`` holds every request, oldest first."""

    life: Life
    behind: Served
    server: Loopback
    instead: Instead | None = None

    @property
    def asked(self) -> list[Request]:
        return self.server.asked

    @contextmanager
    def but(self, instead: Instead) -> Iterator[None]:
        """Inside the block ``instead`` answers; it may call the second argument for the usual."""
        self.instead = instead
        try:
            yield
        finally:
            self.instead = None

    def environment(self, home: Home, **more: object) -> dict[str, str]:
        """Settings of the person whose services these are, as environment variables."""
        # every setting is named, so that nothing of the real person's comes through
        return {
            **{
                each.name: ""
                for each in all_settings(SOURCES)
                if each.is_needed or not each.default
            }
            | {
                name: value.replace(self.behind.base, self.server.base)
                for name, value in self.behind.settings.items()
            }
            | {
                "PERSONAL_PIPELINE_HOME": str(home.root),
                "PERSONAL_PIPELINE_START": START.isoformat(),
                "PERSONAL_PIPELINE_TIMEZONE": "UTC",
                "PERSONAL_PIPELINE_REPORT_HOUR": "7",
                "PERSONAL_PIPELINE_CURRENCY": "usd",
                "PERSONAL_PIPELINE_ALERTS": "",
                "PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS": "60",
            }
            | {name: str(value) for name, value in more.items()}
        }

    def house(
        self, home: Home, *, now: datetime = NOW, sources: tuple[Source, ...] = SOURCES, **more: Any
    ) -> House:
        """A house of this person, at a moment that does not pass."""
        settings = Settings(**self.environment(home, **more))
        return House(settings, home, sources, clock=lambda: now)


@contextmanager
def invented_services(until: date = UNTIL) -> Iterator[Services]:
    """The services of a life of one year, until the block is left."""
    life = invent(1, 7, until)
    session = requests.Session()
    session.trust_env = False

    def usual(request: Request) -> Answer:
        answer = session.get(
            f"{behind.base}{request.path}",
            params=request.query,
            headers={n: t for n, t in request.headers.items() if n not in _HOP_BY_HOP},
            allow_redirects=False,
            timeout=30,
        )
        kept = {n: t for n, t in answer.headers.items() if n in ("Location", "Request-Id")}
        kind = answer.headers.get("Content-Type", "")
        return Answer(answer.content, answer.status_code, kept, kind)

    def answering(request: Request) -> Answer:
        instead = services.instead
        return usual(request) if instead is None else instead(request, lambda: usual(request))

    with serve(life) as behind, loopback(answering) as server, session:
        services = Services(life, behind, server)
        yield services


def bare_house(home: Home) -> House:
    """A house without sources and settings over a home: enough to open its tables."""
    return House(Settings(), home, ())


def drop_exports(exports: Sequence[Path], home: Home) -> None:
    """Lay the newest exports into the inbox."""
    for path in exports[-DROPS:]:
        shutil.copy2(path, home.inbox)


def changed_json(answer: Answer, change: Callable[[Any], None]) -> Answer:
    """The answer with its JSON changed in place."""
    value = json.loads(answer.body)
    change(value)
    return replace(answer, body=json.dumps(value).encode())


# ------------------------------------------------------------------------- what was made of it

Rows: TypeAlias = list[tuple[Any, ...]]


def query(path: Path, sql: str, *values: object) -> Rows:
    with duckdb.connect(str(path), read_only=True) as opened:
        return opened.execute(sql, list(values)).fetchall()


def content(path: Path, *schemas: str) -> dict[str, tuple[int, int]]:
    """What equals only for equal rows in whatever order, for each table of the schemas: how many
    there are, and the sum of their hashes."""
    with duckdb.connect(str(path), read_only=True) as opened:
        names = opened.execute(
            "select table_schema || '.' || table_name from information_schema.tables"
            " where list_contains(?, table_schema) order by all",
            [list(schemas)],
        ).fetchall()
        found = {}
        for (name,) in names:
            digest = "count(*), coalesce(sum(hash(each)::hugeint), 0)"
            ((rows, hashes),) = opened.execute(f"select {digest} from {name} as each").fetchall()
            found[name] = (int(rows), int(hashes))
        return found


def files(*folders: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every file of the folders: which file it is, when it was written, and what is in it."""
    return {
        str(path): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file()
    }


def lake_of_source(home: Home, source: str) -> dict[str, bytes]:
    """The bytes of every partition of a source."""
    folder = home.lake / source
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("part.*")
    }


def build_what_is_stale(house: House, *names: str) -> list[BuiltTable]:
    """Build the stale partitions of just these tables."""
    tables = all_tables(house)
    with store.writing(house.home), store.connection(house) as opened:
        ledger = store.read_ledger(opened)
    stale = find_stale(tables, read_lake(house).versions, ledger, house.today)
    return build(house, {name: sorted(stale[name]) for name in names}).built


# ------------------------------------------------------------------------------- its commands

AT = """
import signal
import sys
from datetime import datetime
from personal_pipeline import house

class Then(datetime):
    @classmethod
    def now(cls, tz=None):
        return datetime.fromisoformat(sys.argv[1])

house.datetime = Then
# under nohup, or in the background of a shell, it would be ignored
signal.signal(signal.SIGINT, signal.default_int_handler)
from personal_pipeline.cli import main
main(sys.argv[2:], prog_name="personal-pipeline")
"""
"""``personal-pipeline`` with another clock."""


def start(
    environment: Mapping[str, str],
    *arguments: str,
    now: datetime = NOW,
    before: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """``personal-pipeline`` in a process (and a group of processes) of its own; ``before`` is the
    command that runs it, such as strace."""
    return subprocess.Popen(
        [*before, sys.executable, "-P", "-c", AT, now.isoformat(), *arguments],
        env={**os.environ, "COLUMNS": "300", **environment},
        # where no .env lies
        cwd=environment["PERSONAL_PIPELINE_HOME"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@dataclass(frozen=True)
class Ended:
    """What a process printed, and its exit code."""

    code: int
    out: str
    err: str


def end(process: subprocess.Popen[str], seconds: float = 100) -> Ended:
    """Wait for the end of a process; one that hangs is killed, and fails the test."""
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise AssertionError(f"it did not end within {seconds} s") from None
    return Ended(process.returncode, out, err)


def run(environment: Mapping[str, str], *arguments: str, now: datetime = NOW) -> Ended:
    """``personal-pipeline`` to its end, in this process: a process of its own would import for
    seconds, and warm up a dbt of its own."""

    class Then(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return cls.fromisoformat(now.isoformat())

    # each command sets it for its process
    mask = os.umask(0)
    os.umask(mask)
    try:
        with pytest.MonkeyPatch.context() as patched:
            for name, text in environment.items():
                patched.setenv(name, text)
            patched.setattr("personal_pipeline.cli.CONSOLE", Console(width=300))
            patched.setattr("personal_pipeline.cli.ERRORS", Console(width=300, stderr=True))
            # where no .env lies
            patched.chdir(environment["PERSONAL_PIPELINE_HOME"])
            patched.setattr("personal_pipeline.house.datetime", Then)
            result = CliRunner().invoke(main, arguments, prog_name="personal-pipeline")
    finally:
        os.umask(mask)
    if not isinstance(result.exception, SystemExit | None):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)


def once(in_common: Path, name: str, make: Callable[[Path], Made]) -> Made:
    """What ``make`` gives, in a folder of its own: expensive, never changed, and made once for all
    processes of the test run."""
    folder = in_common / name
    kept = in_common / f"{name}.pickle"
    with FileLock(in_common / f"{name}.lock"):
        if not kept.exists():
            folder.mkdir()
            kept.write_bytes(pickle.dumps(make(folder)))
    made: Made = pickle.loads(kept.read_bytes())
    return made


def lay_project(parsed: Path, root: Path) -> Home:
    """A home at ``root`` in which dbt has parsed its project: that costs it seconds."""
    home = Home(root)
    shutil.copytree(parsed, home.dbt_target, dirs_exist_ok=True)
    return home.ensure()
