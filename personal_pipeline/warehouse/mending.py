"""Repairing files, and then the tables that were built from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest import repair
from personal_pipeline.ingest.damage import known_damage
from personal_pipeline.ingest.repair import Mended
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.receipts import receipt_of


def mend_dropped(house: House) -> list[str]:
    """Re-read damaged partitions of dropped files from the originals where these are intact, which
    needs no person. Returns one sentence each."""
    damages = known_damage(house.home)
    mended = repair.mend_drops(house.home, house.sources, damages)
    return [each.said for each in after(house.home, mended)]


def mend(house: House) -> Iterator[Mended]:
    """Repair everything that is known to be damaged."""
    home = house.home
    damages = repair.missing_still(home, house.sources, known_damage(home))
    rows = receipts_in_tables(house)
    yield from after(home, repair.repair(home, house.sources, damages, rows))


def after(home: Home, mended: Iterable[Mended]) -> Iterator[Mended]:
    """Rebuild all tables if a partition was repaired: a build may have read it while it was
    damaged, and nothing would show that."""
    for each in mended:
        if each.lake:
            with store.writing(home):
                store.begin_anew(home)
        yield each


def receipts_in_tables(house: House) -> Callable[[str], dict[str, Any] | None]:
    """Looks up a receipt in the tables, by the name of its file."""

    def row(name: str) -> dict[str, Any] | None:
        with suppress(duckdb.Error, FileNotFoundError), store.reading(house) as opened:
            return receipt_of(opened, name)
        return None

    return row
