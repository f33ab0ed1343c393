"""With whom parts of the tables are shared: one file per person in ``credentials/``, mode 0600."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from personal_pipeline import sqlite_file
from personal_pipeline.home import Home, write_atomically
from personal_pipeline.site.catalogue import Mart

NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")


class NotShared(Exception):
    """The person is not known, or their file cannot be read. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may see the tables of some areas, and some dashboards over them."""

    name: str
    areas: tuple[str, ...]
    dashboards: tuple[str, ...]
    password_hash: str = field(repr=False)
    """As datasette-auth-passwords writes it: algorithm, iterations, salt and hash."""
    secret: str = field(repr=False, default_factory=lambda: secrets.token_urlsafe(32))
    """Signs the cookies of this person's site. A new password comes with a new secret, which ends
    every session."""

    def tables(self, marts: Mapping[str, Mart]) -> list[str]:
        """The marts that the person may see."""
        return [name for name, mart in marts.items() if mart.area in self.areas]


def people_of(home: Home) -> list[Person]:
    """Everybody with whom something is shared, in the order of their names. A file that cannot be
    read shares nothing."""
    people = []
    for path in sorted(home.credentials.glob("site-*.json")):
        try:
            people.append(_read(path))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return people


def person_named(home: Home, name: str) -> Person:
    """Raises ``NotShared``."""
    for person in people_of(home):
        if person.name == name:
            return person
    raise NotShared(
        f"Nothing is shared with {name}: `personal-pipeline site add-person {name}` does so."
    )


def keep(home: Home, person: Person) -> None:
    """Store a person; replaces what was shared with them before."""
    content = json.dumps(asdict(person), indent=1).encode()
    write_atomically(_path(home, person.name), content)


def remove(home: Home, name: str) -> None:
    """Share nothing with a person any more: their login and their copy of the tables are
    deleted."""
    _path(home, name).unlink(missing_ok=True)
    sqlite_file.delete(home.site_of(name))


def delete_orphans(home: Home, people: Collection[Person]) -> None:
    """Delete the copies of people with whom nothing is shared."""
    wanted = {home.site_of(person.name) for person in people}
    for path in home.site.parent.glob("site-*.sqlite"):
        if path not in wanted:
            sqlite_file.delete(path)


def _path(home: Home, name: str) -> Path:
    return home.credentials / f"site-{name}.json"


def _read(path: Path) -> Person:
    kept = json.loads(path.read_bytes())
    name = str(kept["name"])
    if path.name != f"site-{name}.json" or not NAME.fullmatch(name):
        raise ValueError(path.name)
    return Person(
        name,
        tuple(kept["areas"]),
        tuple(kept["dashboards"]),
        str(kept["password_hash"]),
        str(kept["secret"]),
    )
