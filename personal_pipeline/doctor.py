"""Is everything in place? Each finding says what was looked at, what was found, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Literal

from packaging.requirements import Requirement

from personal_pipeline.graph.house import House
from personal_pipeline.home import PRIVATE

FREE_SPACE_WANTED = 2 * 1024**3

_ORIGINS = {"environment": "the environment", ".env": ".env", "keyring": "the keyring"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. A "note" is worth knowing and needs no action."""

    what: str
    verdict: Literal["ok", "note", "problem"]
    found: str
    advice: str = ""


def examine(house: House) -> list[Finding]:
    """Look at everything; creates and changes nothing, and never shows a credential."""
    return [
        *_credentials(house),
        *_alerts(house),
        *_folders(house),
        *_versions(),
        _port(house.settings.port),
        _space(house),
    ]


def _credentials(house: House) -> Iterator[Finding]:
    for source in house.sources:
        for name in source.credentials:
            if origin := house.settings.origin(name):
                yield Finding(name, "ok", f"set, in {_ORIGINS[origin]}")
            else:
                found = f"not set: {source.title} is not connected"
                yield Finding(name, "note", found, source.connect)


def _alerts(house: House) -> Iterator[Finding]:
    from personal_pipeline.alerts.channels import channels_of, misunderstood

    name = "PERSONAL_PIPELINE_ALERTS"
    channels = channels_of(house.settings.alerts)
    wrong = misunderstood(channels)
    for channel in wrong:
        yield Finding(name, "problem", f"{channel.name} is not understood", "See docs/alerts.md.")
    if not channels:
        yield Finding(name, "note", "not set: nobody is told", "See docs/alerts.md.")
    elif not wrong:
        yield Finding(name, "ok", ", ".join(channel.name for channel in channels))
    if house.settings.mail_report and not any(channel.is_mail for channel in channels):
        advice = "Add a mailto:// or mailtos:// address; see docs/alerts.md."
        yield Finding("PERSONAL_PIPELINE_MAIL_REPORT", "problem", "no mail address", advice)


def _folders(house: House) -> Iterator[Finding]:
    root = house.home.root
    if not root.exists():
        yield Finding("home folder", "note", f"{root} is not there yet", "The first run makes it.")
        return
    if not os.access(root, os.W_OK):
        advice = "Make it writable for this user: its owner, its mode, or how its disk is mounted."
        yield Finding("home folder", "problem", f"{root} cannot be written", advice)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & 0o077:
        yield Finding(
            "home folder",
            "problem",
            f"{root} has mode {mode:04o}: others on this machine can look in",
            f"chmod {PRIVATE:o} {root}",
        )
    else:
        yield Finding("home folder", "ok", f"{root}, mode {mode:04o}")
    aside = sum(1 for path in house.home.quarantine.rglob("*") if path.is_file())
    if aside:
        yield Finding(
            "quarantine",
            "note",
            f"{aside} files",
            f"Each has its reason beside it, under {house.home.quarantine}.",
        )


def _versions() -> Iterator[Finding]:
    here = ".".join(str(part) for part in sys.version_info[:3])
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "Python",
        "ok" if fits else "problem",
        here,
        "" if fits else "Use Python 3.11, 3.12 or 3.13: make a new .venv with it.",
    )
    for text in requires("personal-pipeline") or ():
        wanted = Requirement(text)
        if not wanted.specifier or (wanted.marker and not wanted.marker.evaluate()):
            continue
        try:
            found = version(wanted.name)
        except PackageNotFoundError:
            found = "missing"
        good = found != "missing" and found in wanted.specifier
        yield Finding(
            wanted.name,
            "ok" if good else "problem",
            found,
            ""
            if good
            else f"Wanted {wanted.specifier}: pip install --require-hashes -r requirements.lock",
        )


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        free = probe.connect_ex(("127.0.0.1", port)) != 0
    if free:
        return Finding(f"port {port}", "ok", "free")
    return Finding(
        f"port {port}",
        "note",
        "in use: perhaps `personal-pipeline up` is running",
        "Set PERSONAL_PIPELINE_PORT to another, or use `up --port`.",
    )


def _space(house: House) -> Finding:
    place = house.home.root if house.home.root.exists() else house.home.root.parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GB free"
    if free < FREE_SPACE_WANTED:
        return Finding("disk", "problem", found, "Make room: originals are kept for ever.")
    return Finding("disk", "ok", found)
