"""A kiosk: a project that stays small, for tests that judge the machine and not the sources.

Three sources, nine tables, six weeks of days: a till (sales by day, deliveries by month) and a
wholesaler (the price list as a state), whose services stand on loopback, and readings of the
electricity meter, a file a month. Macros, generic tests and settings of dbt are those of the real
project.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Record, Source, Window
from personal_pipeline.settings import Settings
from personal_pipeline.warehouse import dbt_project
from personal_pipeline_tests.invented_house import NOW, START, UNTIL, Instead
from personal_pipeline_tests.kiosk.sources import HEADER, PROJECT, SOURCES
from personal_pipeline_tests.loopback import Answer, Loopback, Request, as_json, loopback

MACROS = ("generate_schema_name", "lake", "partition_window", "replace_window", "time")
"""Those of the real project that are the machine's; the others belong to sources."""

# ------------------------------------------------------------------------------ what they deliver

PRODUCTS = ("coffee", "newspaper", "tea")


def open_days(until: date) -> list[date]:
    """Six weeks; on Sundays the kiosk is closed, but on the last day never."""
    days = Window(until - (UNTIL - START), until + timedelta(days=1)).days()
    return [day for day in days if day.isoweekday() < 7 or day == until]


def sales(days: Sequence[date]) -> list[Record]:
    """Each product twice a day; every tenth day something is paid in a way that nobody expects."""
    return [
        {
            "id": f"{day} {product} {payment}",
            "day": f"{day}",
            "product": product,
            "pieces": day.day % 5 + number,
            "cents": 250 * (day.day % 5 + number),
            "payment": payment,
        }
        for day in days
        for number, product in enumerate(PRODUCTS, 1)
        for payment in ("card", "cash" if day.day % 10 else "voucher")
    ]


def deliveries(days: Sequence[date]) -> list[Record]:
    """One every other day; most of them are empty."""
    return [
        {
            "id": f"{number}",
            "day": f"{day}",
            "supplier": "Wholesale",
            "cents": 1000 + 10 * number,
            "items": [] if number % 3 else [{"product": "coffee", "pieces": number}],
        }
        for number, day in enumerate(days[::2])
    ]


def prices() -> list[Record]:
    return [{"product": product, "cents": 250} for product in PRODUCTS]


def _answer(request: Request, until: date) -> Answer:
    if request.path == "/prices":
        return as_json({"rows": prices()})
    rows = {"/sales": sales, "/deliveries": deliveries}[request.path](open_days(until))
    begin, end = request.query["from"], request.query["until"]
    return as_json({"rows": [row for row in rows if begin <= row["day"] < end]})


def readings(month: date, *, more: int = 0) -> str:
    """The file of a month; on its fifth day so many kilowatt-hours more."""
    days = [month + timedelta(days=number) for number in range(28)]
    used = (2 + day.day % 3 + more * (day.day == 5) for day in days)
    return "\n".join([HEADER, *(f"{day},{each}.5" for day, each in zip(days, used, strict=True))])


def drop_readings(home: Home, until: date = UNTIL) -> list[date]:
    """Lay the three months before this one into the inbox; returns them, newest first."""
    months = [until.replace(day=1)]
    for _ in range(3):
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    for month in months[1:]:
        (home.inbox / f"meter-{month:%Y-%m}.csv").write_text(readings(month))
    return months[1:]


# -------------------------------------------------------------------------------------- the house


@dataclass
class Kiosk:
    """The kiosk's project, and its service."""

    sql: Path
    server: Loopback
    instead: Instead | None = None

    @contextmanager
    def but(self, instead: Instead) -> Iterator[None]:
        """Inside the block ``instead`` answers; it may call the second argument for the usual."""
        self.instead = instead
        try:
            yield
        finally:
            self.instead = None

    def environment(self, home: Home, **more: object) -> dict[str, str]:
        """Settings of the person whose kiosk this is, as environment variables."""
        return {
            "PERSONAL_PIPELINE_HOME": str(home.root),
            "PERSONAL_PIPELINE_START": START.isoformat(),
            "TILL_KEY": "key",
            "TILL_BASE": self.server.base,
            "WHOLESALE_BASE": self.server.base,
            PROJECT: str(self.sql),
        } | {name: str(value) for name, value in more.items()}

    def house(
        self, home: Home, *, now: datetime = NOW, sources: tuple[Source, ...] = SOURCES, **more: Any
    ) -> House:
        """A house of this person, at a moment that does not pass."""
        settings = Settings(**self.environment(home, **more))
        return House(settings, home, sources, clock=lambda: now)

    def lay_project(self, patched: pytest.MonkeyPatch) -> None:
        """Give dbt and the commands of this process this project instead of the real one."""
        patched.setattr(dbt_project, "FOLDER", self.sql)
        patched.setattr(dbt_project, "SOURCES", SOURCES)
        patched.setattr("personal_pipeline.sources.SOURCES", SOURCES)


@contextmanager
def open_kiosk(sql: Path, until: date = UNTIL) -> Iterator[Kiosk]:
    """The kiosk, with its dbt project in a folder, until the block is left. ``until`` is the last
    day of which its services know."""

    def answering(request: Request) -> Answer:
        instead = kiosk.instead
        if instead is None:
            return _answer(request, until)
        return instead(request, lambda: _answer(request, until))

    with loopback(answering) as server:
        kiosk = Kiosk(sql, server)
        yield kiosk


def write_sql(folder: Path) -> Path:
    """Write the kiosk's dbt project: its models, and all else of the real project."""
    real = dbt_project.FOLDER
    shutil.copytree(Path(__file__).with_name("models"), folder / "models")
    shutil.copytree(real / "tests", folder / "tests")
    (folder / "macros").mkdir()
    for name in ("dbt_project.yml", "profiles.yml", *(f"macros/{each}.sql" for each in MACROS)):
        shutil.copy(real / name, folder / name)
    return folder
