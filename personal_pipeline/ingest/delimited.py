"""Delimited text as people's tools really write it: odd delimiters, odd headers, odd quotes."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

DELIMITERS = (",", ";", "\t", "|")
"""What separates cells, likeliest first: spreadsheets of some countries write semicolons."""


MOST_LINES_OF_A_ROW = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One row. ``cells`` is None when it cannot be read; ``text`` is what stands in the file."""

    line: int
    """The number of its first line in the file."""
    cells: list[str] | None
    text: str


def plain_name(header: str) -> str:
    """A header in lower case, with one underscore for every run of other characters."""
    return re.sub(r"[^\w]+", "_", header.strip().lower()).strip("_")


def unique_names(headers: Sequence[str]) -> list[str]:
    """Headers made fit for keys: a blank one is named by its place, ``column_3``, and a repeated
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
    """The delimiter under which a header line holds most of the ``known`` plain names."""

    def names_found(delimiter: str) -> int:
        return len(set(header_cells(header_line, delimiter)) & set(known))

    return max(DELIMITERS, key=names_found)


def header_cells(header_line: str, delimiter: str) -> list[str]:
    """The plain names in a header line."""
    for row in rows([header_line], delimiter):
        return [plain_name(cell) for cell in row.cells or ()]
    return []


def lines_in(text: str) -> list[str]:
    """The lines of a text with their ends, which are those of files only: a cell may hold U+2028, a
    form feed or another sign that ``str.splitlines`` takes for an end."""
    return list(io.StringIO(text, newline=""))


def rows(
    lines: Iterable[str], delimiter: str, width: int | None = None, first_line: int = 1
) -> Iterator[Row]:
    """The rows of delimited text, without blank lines; ``lines`` keep their line ends.

    A quoted cell may span lines, so a quote too many swallows the rows after it: when a row of
    several lines is malformed or has not ``width`` cells, its first line alone is given as
    unreadable, and the others are read again. So it is where it has more than
    ``MOST_LINES_OF_A_ROW``, or a file whose every line opens a quote takes for ever.
    """
    source = iter(lines)
    waiting: deque[str] = deque()
    number = first_line
    while True:
        taken: list[str] = []
        try:
            # Strict, or an open quote takes all lines to the end of the file for one cell.
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
        if len(taken) == MOST_LINES_OF_A_ROW:
            return
