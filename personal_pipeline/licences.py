"""The licences of the packages in requirements.lock: ``make licences``.

Uses what the installed packages declare; no network access. Exits with 1 if a licence is not on the
list below, or a package declares none.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rich.console import Console
from rich.table import Table

LOCK = Path(__file__).parents[1] / "requirements.lock"

ACCEPTED = frozenset(
    {
        "0BSD", "Apache-2.0", "Artistic License", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0",
        "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0", "Public Domain", "Zlib",
    }
)  # fmt: skip
"""Licences under which anybody may use, change and redistribute the whole."""

ACCEPTED_IN_TESTS = frozenset({"GPL-3.0-only", "GPL-3.0-or-later"})
"""Also accepted for packages that only the tests run, and that are not distributed with the
pipeline."""

_SPELT = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache License, Version 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
_NO_LICENCE = frozenset({"OSI Approved", "DFSG approved"})


@dataclass(frozen=True, slots=True)
class Package:
    """A package of the lock. ``licence`` is empty if it declares none; ``version`` if it is not
    installed because it is for another system."""

    name: str
    version: str
    licence: str
    runs: bool
    """Whether the pipeline itself needs it; otherwise only tests and tools do."""

    @property
    def accepted(self) -> bool:
        if not self.version:
            return True
        licences = ACCEPTED if self.runs else ACCEPTED | ACCEPTED_IN_TESTS
        return bool(self.licence) and allows(self.licence, licences)


def allows(licence: str, accepted: frozenset[str]) -> bool:
    """Whether the accepted licences satisfy an SPDX expression."""
    text = licence.strip()
    while text.startswith("(") and _closes_at(text) == len(text) - 1:
        text = text[1:-1].strip()
    for word, fulfilled in ((" OR ", any), (" AND ", all)):
        parts = _split(text, word)
        if len(parts) > 1:
            return fulfilled(allows(part, accepted) for part in parts)
    return text in accepted


def _closes_at(text: str) -> int:
    depth = 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return place
    return -1


def _split(text: str, word: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for place, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0 and text.startswith(word, place):
            parts.append(text[start:place])
            start = place + len(word)
    return [*parts, text[start:]]


def licence_of(package: Distribution) -> str:
    """The licence that a package declares, as an SPDX expression where known."""
    said = package.metadata
    if expression := said.get_all("License-Expression"):
        return str(expression[0])
    classified = [
        name
        for each in said.get_all("Classifier") or ()
        if each.startswith("License ::") and (name := each.split(" :: ")[-1]) not in _NO_LICENCE
    ]
    if classified:
        return " OR ".join(_SPELT.get(name, name) for name in classified)
    text = "\n".join(said.get_all("License") or ())
    first = next(iter(text.strip().splitlines()), "")
    return _SPELT.get(first, first)


def packages() -> Iterator[Package]:
    """Every package of the lock."""
    needed = _needed()
    text = LOCK.read_text(encoding="utf-8")
    for name in dict.fromkeys(
        re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[.*?\])?==", text, re.MULTILINE)
    ):
        runs = canonicalize_name(name) in needed
        try:
            found = distribution(name)
        except PackageNotFoundError:
            yield Package(name, "", "", runs)
        else:
            yield Package(name, found.version, licence_of(found), runs)


def _needed() -> set[str]:
    """The transitive dependencies of the pipeline on this system."""
    needed: set[str] = set()
    left = [Requirement("personal-pipeline[site,mcp]")]
    while left:
        asked = left.pop()
        try:
            wanted = distribution(asked.name).requires or ()
        except PackageNotFoundError:
            continue
        for each in map(Requirement, wanted):
            extras = ("", *asked.extras)
            if each.marker and not any(each.marker.evaluate({"extra": name}) for name in extras):
                continue
            found = canonicalize_name(each.name)
            if found not in needed or each.extras:
                left.append(each)
            needed.add(found)
    return needed


def main() -> int:
    """Print the table, packages that are not accepted first; returns the exit code."""
    console = Console()
    table = Table("package", "version", "licence", "for", "", header_style="dim")
    found = sorted(packages(), key=lambda each: (each.accepted, each.name.lower()))
    for each in found:
        table.add_row(
            each.name,
            each.version or "not on this system",
            each.licence or ("" if not each.version else "says none"),
            "" if not each.version else "running" if each.runs else "tests and tools",
            "" if each.accepted else "[red]not on the list[/]",
        )
    console.print(table)
    refused = [each.name for each in found if not each.accepted]
    if refused:
        console.print(f"[red]Not on the list of {Path(__file__).name}[/]: {', '.join(refused)}")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
