"""Delimited text as real tools write it: odd delimiters, odd headers, odd quotes."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")
"""Cell delimiters, most likely first: spreadsheets in some locales write semicolons."""


MAX_LINES_OF_A_ROW = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``cells`` is None when it cannot be parsed; ``text`` is the row as it is in the
    file."""

    line: int
    """The number of its first line in the file."""
    cells: list[str] | None
    text: str


def plain_name(header: str) -> str:
    """A header in lower case, with runs of other characters collapsed to one underscore."""
    return re.sub(r"[^\w]+", "_", header.strip().lower()).strip("_")


def unique_names(headers: Sequence[str]) -> list[str]:
    """Headers as unique keys: a blank one is named by its position, ``column_3``, and a repeated
    one gets a number, ``notes_2``."""
    names: list[str] = []
    for place, header in enumerate(headers, start=1):
        name = wanted = header.strip() or f"column_{place}"
        number = 1
        while name in names:
            number += 1
            name = f"{wanted}_{number}"
        names.append(name)
    return names


def delimiter_of(header_line: str, known: Collection[str]) -> str:
    """The delimiter under which a header line contains most of the ``known`` plain names."""

    def names_found(delimiter: str) -> int:
        return len(set(header_cells(header_line, delimiter)) & set(known))

    return max(DELIMITERS, key=names_found)


def header_cells(header_line: str, delimiter: str) -> list[str]:
    """The plain names in a header line."""
    for row in rows([header_line], delimiter):
        return [plain_name(cell) for cell in row.cells or ()]
    return []


def lines_in(text: str) -> list[str]:
    """The lines of a text with their line ends. Only file line ends count: a cell may contain
    U+2028, a form feed or another character that ``str.splitlines`` splits on."""
    return list(io.StringIO(text, newline=""))


def rows(
    lines: Iterable[str], delimiter: str, width: int | None = None, first_line: int = 1
) -> Iterator[Row]:
    """The rows of delimited text, without blank lines; ``lines`` keep their line ends.

    A quoted cell may span lines, so a stray quote swallows the rows after it: when a row of several
    lines is malformed or does not have ``width`` cells, only its first line is yielded as
    unreadable, and the rest are parsed again. The same applies beyond ``MAX_LINES_OF_A_ROW``;
    otherwise a file whose every line opens a quote would take forever.
    """
    source = iter(lines)
    waiting: deque[str] = deque()
    number = first_line
    while True:
        taken: list[str] = []
        try:
            # Otherwise an open quote turns everything up to the end of the file into one cell.
            reader = csv.reader(_feed(waiting, source, taken), delimiter=delimiter, strict=True)
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error:
            cells = None
        if len(taken) > 1 and (cells is None or (width is not None and len(cells) != width)):
            waiting.extendleft(reversed(taken[1:]))
            del taken[1:]
            cells = None
        if cells != []:
            yield Row(number, cells, "".join(taken))
        number += len(taken)


def _feed(waiting: deque[str], source: Iterator[str], taken: list[str]) -> Iterator[str]:
    while True:
        line = waiting.popleft() if waiting else next(source, None)
        if line is None:
            return
        taken.append(line)
        yield line
        if len(taken) == MAX_LINES_OF_A_ROW:
            return
