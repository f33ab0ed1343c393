"""Reading as much of an answer as a language model may get: at most ``MOST_ROWS`` rows and
``MOST_CHARACTERS`` characters.

Text is shown as ``shown`` does: signs that are not to be seen could carry words to a model that its
person does not read.

A query that is not ours runs in a process of its own, this module as a program. DuckDB's limit of
memory does not hold for the text that a function makes: ``repeat('x', 1000000000)`` over a hundred
rows would take all that the machine has, and be ended by nothing but a kill.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import psutil

from personal_pipeline.asking import Refused, asked, tables_named
from personal_pipeline.duck import literal
from personal_pipeline.shown import counted, shown_lines

MOST_ROWS = 500
MOST_COLUMNS = 200
MOST_CHARACTERS = 40_000
MOST_OF_A_TEXT = 2_000

SECONDS = 10.0
MEMORY = "512MB"

MOST_BYTES = 1_000_000_000
"""Memory at which the process of a query is killed; DuckDB itself keeps to ``MEMORY``."""

LOOK_SECONDS = 0.02
GRACE_SECONDS = 5.0
"""How much longer than the query its process may take: it has to start."""


Value: TypeAlias = str | date | int | list[str] | None

_NAME = re.compile(r"\$(\w+)")


@dataclass(frozen=True, slots=True)
class Read:
    """What was read: plain rows, and notes on what is missing. ``tables`` are those that a query
    names."""

    columns: list[str]
    rows: list[list[Any]]
    notes: list[str]
    tables: list[str]


def read(database: Path, sql: str, values: Mapping[str, Value], limit: int) -> Read:
    """The answer to a query of ours, with ``values`` for ``$name``. Raises as ``asked`` does."""
    return _read(database, _NAME.sub(lambda name: _literal(values[name[1]]), sql), limit, [])


def _literal(value: Value) -> str:
    if value is None or isinstance(value, int):
        return "null" if value is None else str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]::varchar[]"
    return literal(value)


def read_apart(database: Path, sql: str, limit: int) -> Read:
    """The answer to a query of somebody else, from a process of its own. Raises ``Refused``."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(json.dumps([str(database), sql, limit]).encode())
        given.seek(0)
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__],
            stdin=given,
            stdout=said,
            stderr=subprocess.DEVNULL,
        )
        try:
            _watch(process)
        finally:
            process.kill()
            process.wait()
        said.seek(0)
        content = said.read()
    if not content:
        raise Refused("The query could not be answered: its process ended.")
    found = json.loads(content)
    if isinstance(found, str):
        raise Refused(found)
    return Read(**found)


def _watch(process: subprocess.Popen[bytes]) -> None:
    """Wait for its end. Raises ``Refused`` if it takes too much."""
    ends = time.monotonic() + SECONDS + GRACE_SECONDS
    try:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            if watched.memory_info().rss > MOST_BYTES:
                raise Refused("The query took too much memory and was ended.")
            if time.monotonic() > ends:
                raise Refused("The query took too long and was ended.")
            time.sleep(LOOK_SECONDS)
    except psutil.NoSuchProcess:
        process.wait()


def main() -> None:
    """Read a database, a query and a limit from standard input, and write the answer, or why there
    is none, to standard output, as JSON."""
    database, sql, limit = json.load(sys.stdin)
    try:
        answer: object = asdict(_read(Path(database), sql, limit, sorted(tables_named(sql))))
    except Refused as refusal:
        answer = str(refusal)
    json.dump(answer, sys.stdout)


def _read(database: Path, sql: str, limit: int, tables: list[str]) -> Read:
    limit = min(limit, MOST_ROWS)
    with asked(database, sql, seconds=SECONDS, memory=MEMORY) as found:
        columns = [shown_lines(name, 200) for name in found.columns]
        if len(columns) > MOST_COLUMNS:
            raise Refused(f"More than {MOST_COLUMNS} columns: select fewer.")
        rows, notes = _bounded(list(islice(found.rows, limit + 1)), limit)
    return Read(columns, rows, notes, tables)


def _bounded(rows: Sequence[Sequence[object]], limit: int) -> tuple[list[list[Any]], list[str]]:
    """As many rows as an answer may have, and how to ask for what is not among them."""
    kept: list[list[Any]] = []
    characters = 0
    for row in rows[:limit]:
        cells = [plain(value) for value in row]
        characters += len(json.dumps(cells, ensure_ascii=False))
        if characters > MOST_CHARACTERS:
            break
        kept.append(cells)
    if len(kept) == len(rows):
        return kept, []
    if not kept:
        return [], [f"A row has more than {MOST_CHARACTERS:,} characters: select fewer columns."]
    return kept, [
        f"There are more rows than these {len(kept):,}. Ask for a shorter span, fewer columns or a "
        f"condition, or count and sum; limit may be up to {MOST_ROWS}, and an answer has at most "
        f"{MOST_CHARACTERS:,} characters."
    ]


def plain(value: object) -> Any:
    """A value as JSON can hold it: days and instants in ISO 8601."""
    if isinstance(value, Decimal):
        value = float(value)
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        written = json.dumps(value, default=str, ensure_ascii=False)
        if len(written) > MOST_OF_A_TEXT:
            return _text(written)
        if isinstance(value, dict):
            return {_text(str(key)): plain(each) for key, each in value.items()}
        return [plain(each) for each in value]
    return _text(str(value))


def _text(text: str) -> str:
    if len(text) > MOST_OF_A_TEXT:
        text = f"{text[:MOST_OF_A_TEXT]}… ({counted(len(text), 'character')})"
    return shown_lines(text, 2 * MOST_OF_A_TEXT)


if __name__ == "__main__":
    main()
