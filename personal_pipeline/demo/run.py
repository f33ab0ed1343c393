"""The demo: the whole pipeline over an invented life, exactly as it runs over a real one.

The invented services listen on loopback and the invented exports are in the inbox; from there on it
is a refresh with settings that point to them.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import invent
from personal_pipeline.demo.services import serve
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES

MARKER = ".invented"
"""The file that identifies a folder as a demo's."""


def settings_for(services: Mapping[str, str], folder: Path) -> Settings:
    """The settings of a person with these service settings. The person's own .env and environment
    are not read, so that a demo can never reach a real account."""
    values: dict[str, Any] = {**services, "PERSONAL_PIPELINE_HOME": folder.resolve()}
    return Settings(**values)


class NotADemo(Exception):
    """The folder contains something that no demo made. Nothing was changed."""


def clear(folder: Path) -> None:
    """Remove an earlier demo, because two invented lives do not mix; refuse anything else."""
    if not folder.exists() or not any(folder.iterdir()):
        return
    if not (folder / MARKER).exists():
        raise NotADemo(f"{folder} is not empty and not a demo. Choose another folder with --dir.")
    shutil.rmtree(folder)


@contextmanager
def invented_house(years: int, seed: int, folder: Path) -> Iterator[House]:
    """A house whose services answer, and whose exports are in the inbox, while this is open.

    The folder must be empty: see ``clear``.
    """
    # ends yesterday: later data would be in the future
    life = invent(years, seed, datetime.now(UTC).date() - timedelta(days=1))
    with serve(life) as served:
        settings = settings_for(served.settings, folder)
        home = Home.of(settings.home).ensure()
        (home.root / MARKER).touch()
        write_drops(life, home.inbox)
        yield House(settings, home, SOURCES)
