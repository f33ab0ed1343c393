"""The sources of the kiosk, and how a process puts them in the place of the real ones.

``up`` imports nothing else of the tests: its processes are many, and each of them pays.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from personal_pipeline import sources
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

PROJECT = "KIOSK_PROJECT"
"""The environment variable that names the folder with the kiosk's dbt project."""


def stand_in() -> None:
    """Take the place of the real sources and their project, if the environment says so. To be
    called before anything else is imported."""
    if folder := os.environ.get(PROJECT):
        for module, name, value in (
            (sources, "SOURCES", SOURCES),
            (dbt_project, "SOURCES", SOURCES),
            (dbt_project, "FOLDER", Path(folder)),
        ):
            setattr(module, name, value)
