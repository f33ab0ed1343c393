"""Whether a DuckDB file can be read completely.

DuckDB keeps a checksum of every block and verifies it when the block is read, so reading all rows
of all tables verifies all their blocks. It is done in a separate process: damage may crash the
process that encounters it, and that is an answer too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from personal_pipeline.home import Busy, Home, read_object, write_atomically

LOCK_WAIT_SECONDS = 30
"""How long the dbt of a killed process may still hold a file."""

NOT_TO_BE_READ = 3
IN_USE = 4

SAME = "same"

_SIGNS = (
    "corrupt database file",
    "corrupt wal",
    "failed to load metadata pointer",
    "not a valid duckdb database file",
)

_READ = f"""
import sys
import duckdb
try:
    with duckdb.connect(sys.argv[1], read_only=True) as opened:
        for schema, name in opened.execute(
            "select schema_name, table_name from duckdb_tables() where not internal"
        ).fetchall():
            schema, name = (each.replace('"', '""') for each in (schema, name))
            opened.execute(
                f'select bit_xor(hash(content)), count(*) from "{{schema}}"."{{name}}" as content'
            ).fetchall()
except (duckdb.OutOfMemoryException, duckdb.PermissionException, MemoryError) as error:
    sys.exit({NOT_TO_BE_READ})
except duckdb.IOException as error:
    if "Could not set lock" in str(error):
        sys.exit({IN_USE})
    if "Cannot open file" in str(error):
        sys.exit({NOT_TO_BE_READ})
    sys.exit(f"{{type(error).__name__}}: {{str(error).splitlines()[0][:200]}}")
except Exception as error:
    sys.exit(type(error).__name__)
"""  # noqa: S608


class CannotVerify(Exception):
    """A database could not be read for a reason that says nothing about its content."""


def speaks_of_damage(message: str) -> bool:
    """Whether an error of DuckDB means that a database file is damaged."""
    return any(sign in message.lower() for sign in _SIGNS)


def damage_of(database: Path) -> str | None:
    """What is wrong with a database, without any of its values; None if all its tables can be read.

    Raises ``Busy`` if another process writes it, ``CannotVerify`` if it cannot be opened or memory
    ran out.
    """
    until = time.monotonic() + LOCK_WAIT_SECONDS
    while True:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _READ, str(database)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode == IN_USE and time.monotonic() < until:
            time.sleep(1)
            continue
        break
    if not done.returncode:
        return None
    if done.returncode == IN_USE:
        raise Busy(f"another process has {database} open for writing; wait until it finishes")
    if done.returncode == NOT_TO_BE_READ:
        raise CannotVerify(
            f"{database} could not be opened, or memory ran out while reading it, so it was not "
            "published; the last published copy stays"
        )
    if done.returncode < 0:
        return f"reading it crashes the process (signal {-done.returncode})"
    return (done.stderr.strip().splitlines() or ["it cannot be read"])[-1]


def is_noted(home: Home, database: Path) -> bool:
    """Whether the database is unchanged since it was last read completely."""
    noted = _noted(home).get(_key(home, database))
    return noted is not None and noted == stamp_of(database)


def note(home: Home, database: Path) -> None:
    """Record that the database, in its current state, can be read completely."""
    _write(home, {**_noted(home), _key(home, database): stamp_of(database)})


def is_same(home: Home, one: Path, other: Path) -> bool:
    """Whether neither file has changed since ``note_same``."""
    stamps = [stamp_of(one), stamp_of(other)]
    return None not in stamps and _noted(home).get(SAME) == stamps


def note_same(home: Home, one: Path, other: Path) -> None:
    """Record that two databases, in their current state, have the same content."""
    _write(home, {**_noted(home), SAME: [stamp_of(one), stamp_of(other)]})


def forget(home: Home, database: Path) -> None:
    """Discard what is recorded about it: it is about to be written."""
    _write(home, {**_noted(home), _key(home, database): None})


def stamp_of(database: Path) -> list[int] | None:
    """Changes whenever the file or its write-ahead log does; None if there is none."""
    found: list[int] = []
    for path in (database, database.with_name(f"{database.name}.wal")):
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        # the change time too: the modification time may have been set back
        found += [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
    return found or None


def _path(home: Home) -> Path:
    return home.state / "tables.json"


def _key(home: Home, database: Path) -> str:
    return database.relative_to(home.root).as_posix()


def _noted(home: Home) -> dict[str, Any]:
    return read_object(_path(home))


def _write(home: Home, noted: dict[str, Any]) -> None:
    if noted != _noted(home):
        write_atomically(_path(home), json.dumps(noted).encode())
