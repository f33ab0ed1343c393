"""Is everything in place? Each finding says what was checked, the result, and what to do."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement

from personal_pipeline.home import OTHERS, PRIVATE, Busy, Home
from personal_pipeline.house import House
from personal_pipeline.ingest.contract import Progress
from personal_pipeline.settings import BadSetting, Origin, Setting
from personal_pipeline.shown import counted

FREE_SPACE_WANTED = 2 * 1024**3
MENDED_BY = "personal-pipeline doctor --repair"

_ORIGINS = {"environment": "the environment", ".env": ".env", "keyring": "the keyring"}


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. A "note" is worth knowing but needs no action."""

    what: str
    verdict: Literal["ok", "note", "problem"]
    found: str
    advice: str = ""


def examine(house: House) -> list[Finding]:
    """Check everything; creates and changes nothing, and never shows a credential."""
    return [
        *_settings(house),
        *_alerts(house),
        *_folders(house),
        *_declarations(house),
        *_versions(),
        _port(house.settings.port),
        _space(house),
    ]


def verify(house: House, progress: Progress | None = None) -> list[Finding]:
    """Read all of archive, lake and tables, and compare them with what was written. Damage is
    recorded, and shows on the board from then on."""
    from personal_pipeline.ingest import damage
    from personal_pipeline.warehouse import integrity

    if not house.home.root.exists():
        return list(_folders(house))
    result = damage.verify(house.home, house.sources, house.today, progress)
    rate = result.bytes / 1e9 / max(result.seconds, 1e-9)
    read = f"{counted(result.files, 'file')}, {result.bytes / 1e6:,.0f} MB, {rate:.2f} GB/s"
    findings = [Finding("archive and lake", "ok", read)] if not result.damages else []
    known = {each.path: each for each in [*result.damages, *damage.known_damage(house.home)]}
    findings += [
        Finding(path, "problem", each.found, "" if each.kind is damage.Kind.MISSING else MENDED_BY)
        for path, each in known.items()
    ]
    for name, tables in (("warehouse", house.home.warehouse), ("tables", house.home.published)):
        if not tables.exists():
            continue
        try:
            trouble = integrity.damage_of(tables)
        except (Busy, integrity.CannotVerify) as error:
            findings.append(Finding(name, "note", str(error)))
            continue
        findings.append(
            Finding(name, "problem", trouble, MENDED_BY)
            if trouble
            else Finding(name, "ok", "all tables are readable")
        )
    return findings


def repair(house: House, progress: Progress | None = None) -> list[Finding]:
    """Verify everything and repair what can be repaired. The rest is a problem, with what to do; a
    partition that is now missing is a problem until it has been fetched again."""
    from personal_pipeline.ingest import damage
    from personal_pipeline.warehouse import integrity, mending, store
    from personal_pipeline.warehouse.build import reconcile

    home = house.home.ensure()
    narrowed = narrow(home)
    damage.verify(home, house.sources, house.today, progress)
    findings = [
        Finding(each.damage.path, "ok" if each.whole else "problem", each.said)
        for each in mending.mend(house)
    ]
    if narrowed:
        findings.append(
            Finding("modes", "ok", (f"closed {narrowed:,} files and folders to other users"))
        )
    with store.writing(home):
        if home.warehouse.exists() and (trouble := integrity.damage_of(home.warehouse)):
            store.begin_anew(home)
            findings.append(Finding("warehouse", "ok", f"was damaged ({trouble}), and deleted"))
        broken = bool(store.damage_of_published(home)) or store.is_begun_anew(home)
    if not broken:
        return findings or [Finding("archive, lake and tables", "ok", "nothing is damaged")]
    if any(each.kind is damage.Kind.MISSING for each in damage.known_damage(home)):
        # if published now, the tables would lack what is missing
        advice = "personal-pipeline refresh"
        findings.append(Finding("tables", "note", "the next pass rebuilds all of them", advice))
        return findings
    failed = [each for each in reconcile(house).built if each.failure]
    findings += [Finding(each.name, "problem", each.failure or "") for each in failed]
    if not failed:
        findings.append(Finding("tables", "ok", "all rebuilt from the lake"))
    return findings


def narrow(home: Home) -> int:
    """Remove group and other permissions within the home; returns how many files and folders had
    any."""
    wide = list(_wide(home))
    for path in wide:
        path.chmod(stat.S_IMODE(path.stat().st_mode) & ~OTHERS)
    return len(wide)


def _wide(home: Home) -> Iterator[Path]:
    if os.name == "posix":
        for path in (home.root, *home.root.rglob("*")):
            if not path.is_symlink() and path.stat().st_mode & OTHERS:
                yield path


def _settings(house: House) -> Iterator[Finding]:
    for source in house.sources:
        for setting in source.settings:
            if origin := house.settings.origin(setting.name):
                yield _set(house, setting, origin)
            elif setting.is_needed:
                found = f"not set: {source.title} is not connected"
                yield Finding(setting.name, "note", found, setting.description)


def _set(house: House, setting: Setting, origin: Origin) -> Finding:
    try:
        # credentials in the keyring were tried when they were stored
        if origin != "keyring":
            house.settings.text(setting)
    except BadSetting as error:
        return Finding(setting.name, "problem", f"malformed, in {_ORIGINS[origin]}", str(error))
    return Finding(setting.name, "ok", f"set, in {_ORIGINS[origin]}")


def _alerts(house: House) -> Iterator[Finding]:
    from personal_pipeline.alerts.channels import channels_of, misunderstood
    from personal_pipeline.outputs.pdf import NoBrowser, browser

    name = "PERSONAL_PIPELINE_ALERTS"
    channels = channels_of(house.settings.alerts)
    wrong = misunderstood(channels)
    for channel in wrong:
        yield Finding(
            name, "problem", f"{channel.name} is not a valid address", "See docs/alerts.md."
        )
    if not channels:
        yield Finding(name, "note", "not set: no alerts are sent", "See docs/alerts.md.")
    elif not wrong:
        yield Finding(name, "ok", ", ".join(channel.name for channel in channels))
    if house.settings.mail_report and not any(channel.is_mail for channel in channels):
        advice = "Add a mailto:// or mailtos:// address; see docs/alerts.md."
        yield Finding("PERSONAL_PIPELINE_MAIL_REPORT", "problem", "no mail address", advice)
    if house.settings.mail_report and house.settings.mail_pdf:
        try:
            yield Finding("PERSONAL_PIPELINE_MAIL_PDF", "ok", browser())
        except NoBrowser as error:
            yield Finding("PERSONAL_PIPELINE_MAIL_PDF", "problem", "no browser", str(error))


def _folders(house: House) -> Iterator[Finding]:
    root = house.home.root
    if not root.exists():
        yield Finding(
            "home folder", "note", f"{root} does not exist yet", "The first run creates it."
        )
        return
    if not os.access(root, os.W_OK):
        advice = (
            "Make it writable for this user: check its owner, its mode and how its disk is mounted."
        )
        yield Finding("home folder", "problem", f"{root} cannot be written", advice)
    mode = stat.S_IMODE(root.stat().st_mode)
    if mode & OTHERS:
        yield Finding(
            "home folder",
            "problem",
            f"{root} has mode {mode:04o}: other users can read it",
            f"chmod {PRIVATE:o} {root}",
        )
    else:
        yield Finding("home folder", "ok", f"{root}, mode {mode:04o}")
    if wide := sum(1 for _ in _wide(house.home)):
        yield Finding(
            "modes",
            "note",
            f"files and folders inside that are open to others: {wide:,}. Only the mode of the "
            "home folder protects them",
            MENDED_BY,
        )
    aside = sum(1 for path in house.home.quarantine.rglob("*") if path.is_file())
    if aside:
        yield Finding(
            "quarantine",
            "note",
            counted(aside, "file"),
            f"See {house.home.quarantine}: each file has its reason beside it.",
        )


def _declarations(house: House) -> Iterator[Finding]:
    for source in house.sources:
        for drop in source.drops:
            for problem in drop.problems(house.home.root):
                advice = f"It is not used until you correct it; see docs/sources/{source.name}.md."
                yield Finding(f"{source.name} {drop.name}", "problem", problem, advice)


def _versions() -> Iterator[Finding]:
    here = ".".join(str(part) for part in sys.version_info[:3])
    fits = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "Python",
        "ok" if fits else "problem",
        here,
        "" if fits else "Create a new .venv with Python 3.11, 3.12 or 3.13.",
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
            else (
                f"Required: {wanted.specifier}. Run: pip install --require-hashes -r "
                "requirements.lock"
            ),
        )


def _port(port: int) -> Finding:
    with socket.socket() as probe:
        free = probe.connect_ex(("127.0.0.1", port)) != 0
    if free:
        return Finding(f"port {port}", "ok", "free")
    return Finding(
        f"port {port}",
        "note",
        "in use, perhaps by `personal-pipeline up`",
        "If it is another program, set PERSONAL_PIPELINE_PORT, or use `up --port`.",
    )


def _space(house: House) -> Finding:
    place = house.home.root if house.home.root.exists() else house.home.root.parent
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    found = f"{free / 1024**3:.1f} GB free"
    if free < FREE_SPACE_WANTED:
        return Finding("disk", "problem", found, "Free some space: originals are kept forever.")
    return Finding("disk", "ok", found)
