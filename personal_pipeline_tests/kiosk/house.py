"""A kiosk: a project that stays small, for tests that judge the machine and not the sources.

Three sources, nine tables, six weeks of days: a till (sales by day, deliveries by month) and a
wholesaler (the price list as a state), whose services stand on loopback, and readings of the
electricity meter, a file a month. Macros, generic tests and settings of dbt are those of the real
project.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import (
    ApiStream,
    Claim,
    Coverage,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Grain,
    Record,
    Source,
    Window,
)
from personal_pipeline.ingest.http import Client, rows_of
from personal_pipeline.settings import Setting, Settings
from personal_pipeline.warehouse import dbt_project
from personal_pipeline_tests.invented_house import NOW, START, UNTIL
from personal_pipeline_tests.loopback import Answer, Loopback, Request, as_json, loopback

MACROS = ("generate_schema_name", "lake", "partition_window", "replace_window", "time")
"""Those of the real project that are the machine's; the others belong to sources."""

# ----------------------------------------------------------------------------------- its sources

KEY = Setting(name="TILL_KEY", description="Put the key of the till into TILL_KEY.", secret=True)
BASE = Setting(name="TILL_BASE", description="Where the till's service is.", default="http://till")
WHOLESALE_BASE = Setting(
    name="WHOLESALE_BASE", description="Where the wholesaler's is.", default="http://wholesale"
)


def _till_client(settings: Settings) -> Client:
    return Client(
        "till",
        settings.text(BASE),
        headers={"X-Key": settings.text(KEY)},
        per_second=1000,
        refused=f"The till refuses the key. {KEY.description}",
    )


def _rows(client: Client, path: str, query: Mapping[str, str]) -> Iterator[Record]:
    rows = rows_of(client.get_json(path, query), "rows")
    if rows is None:
        raise client.changed(path, "a list of rows")
    yield from rows


def _within(client: Client, path: str, window: Window) -> Iterator[Record]:
    return _rows(client, path, {"from": f"{window.start}", "until": f"{window.end}"})


def _day(record: Record) -> list[date]:
    return [date.fromisoformat(record["day"])]


TILL = Source(
    name="till",
    title="Till",
    description="What is sold at the kiosk, and what is delivered to it.",
    settings=(KEY, BASE),
    client=_till_client,
    api=(
        ApiStream(
            name="sales",
            description="One row per sale.",
            grain=Grain.DAY,
            key=lambda record: str(record["id"]),
            days=_day,
            fetch=lambda client, window: _within(client, "/sales", window),
        ),
        ApiStream(
            name="deliveries",
            description="One row per delivery.",
            grain=Grain.MONTH,
            key=lambda record: str(record["id"]),
            days=_day,
            fetch=lambda client, window: _within(client, "/deliveries", window),
        ),
    ),
)


def _wholesale_client(settings: Settings) -> Client:
    base = settings.text(WHOLESALE_BASE)
    return Client("wholesale", base, per_second=1000, refused="The wholesaler is closed.")


WHOLESALE = Source(
    name="wholesale",
    title="Wholesale",
    description="What the wholesaler asks for each product.",
    settings=(WHOLESALE_BASE,),
    client=_wholesale_client,
    api=(
        ApiStream(
            name="prices",
            description="One row per product on the price list.",
            grain=Grain.DAY,
            key=lambda record: str(record["product"]),
            coverage=Coverage.STATE,
            fetch_all=lambda client: _rows(client, "/prices", {}),
        ),
    ),
)

HEADER = "Day,kWh"


def _recognise(file: DropFile) -> Claim | None:
    is_ours = file.head().decode(errors="replace").startswith(HEADER)
    return Claim(0.9, "the header of the meter's CSV") if is_ours else None


def _read(file: DropFile) -> Iterator[DropRow]:
    with file.path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            yield DropRow(
                "readings", date.fromisoformat(row["Day"]).replace(day=1), row["Day"], row
            )


METER = Source(
    name="meter",
    title="Meter",
    description="What electricity the kiosk uses.",
    drops=(
        Drop(
            name="readings",
            description="readings of the electricity meter, as CSV",
            how_to="Copy the file from the meter's card into this folder.",
            recognise=_recognise,
            read=_read,
            streams=(DropStream(name="readings", description="One row per reading."),),
        ),
    ),
)

SOURCES = (TILL, WHOLESALE, METER)

# ------------------------------------------------------------------------------ what they deliver

DAYS = tuple(day for day in Window(START, UNTIL + timedelta(days=1)).days() if day.isoweekday() < 7)
"""On Sundays the kiosk is closed."""

PRODUCTS = ("coffee", "newspaper", "tea")


def sales() -> list[Record]:
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
        for day in DAYS
        for number, product in enumerate(PRODUCTS, 1)
        for payment in ("card", "cash" if day.day % 10 else "voucher")
    ]


def deliveries() -> list[Record]:
    """One every other day; most of them are empty."""
    return [
        {
            "id": f"{number}",
            "day": f"{day}",
            "supplier": "Wholesale",
            "cents": 1000 + 10 * number,
            "items": [] if number % 3 else [{"product": "coffee", "pieces": number}],
        }
        for number, day in enumerate(DAYS[::2])
    ]


def prices() -> list[Record]:
    return [{"product": product, "cents": 250} for product in PRODUCTS]


def _answer(request: Request) -> Answer:
    if request.path == "/prices":
        return as_json({"rows": prices()})
    rows = {"/sales": sales, "/deliveries": deliveries}[request.path]()
    begin, end = request.query["from"], request.query["until"]
    return as_json({"rows": [row for row in rows if begin <= row["day"] < end]})


def drop_readings(home: Home) -> None:
    """Lay the newest months into the inbox."""
    for month in (date(2025, 8, 1), date(2025, 9, 1), date(2025, 10, 1)):
        days = [month + timedelta(days=number) for number in range(30)]
        lines = [HEADER, *(f"{day},{2 + day.day % 3}.5" for day in days)]
        (home.inbox / f"meter-{month:%Y-%m}.csv").write_text("\n".join(lines))


# -------------------------------------------------------------------------------------- the house


@dataclass(frozen=True)
class Kiosk:
    """The kiosk's project, and its service."""

    sql: Path
    server: Loopback

    def environment(self, home: Home, **more: object) -> dict[str, str]:
        """Settings of the person whose kiosk this is, as environment variables."""
        return {
            "PERSONAL_PIPELINE_HOME": str(home.root),
            "PERSONAL_PIPELINE_START": START.isoformat(),
            "TILL_KEY": "key",
            "TILL_BASE": self.server.base,
            "WHOLESALE_BASE": self.server.base,
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
def open_kiosk(sql: Path) -> Iterator[Kiosk]:
    """The kiosk, with its dbt project in a folder, until the block is left."""
    with loopback(_answer) as server:
        yield Kiosk(sql, server)


def write_sql(folder: Path) -> Path:
    """Write the kiosk's dbt project: its models, and all else of the real project."""
    real = dbt_project.FOLDER
    shutil.copytree(Path(__file__).with_name("models"), folder / "models")
    shutil.copytree(real / "tests", folder / "tests")
    (folder / "macros").mkdir()
    for name in ("dbt_project.yml", "profiles.yml", *(f"macros/{each}.sql" for each in MACROS)):
        shutil.copy(real / name, folder / name)
    return folder
