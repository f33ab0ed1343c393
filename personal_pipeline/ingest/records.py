"""Records of plain files, one by one: delimited text, JSON, and JSON lines.

A source whose file needs no more than this only names its columns and its key; sources written by
``personal-pipeline new-source`` work this way.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime
from io import TextIOWrapper
from itertools import islice
from typing import Any, TypeAlias

from personal_pipeline.ingest.contract import (
    MAX_HELD_BYTES,
    Claim,
    DropFile,
    Record,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.delimited import rows, unique_names
from personal_pipeline.ingest.members import DAMAGED, Member

Records: TypeAlias = Iterator[Record | Unreadable]

HEADER_WITHIN = 50
"""How many rows from the top to search for the header: some tools write a title above it."""
_HEAD = 65_536
_PIECE = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


def opened(file: DropFile) -> TextIOWrapper:
    """The file as text: UTF-8, UTF-16 with a byte order mark, or else cp1252. Line ends are
    preserved, and so are undecodable bytes."""
    head = file.head(_HEAD)
    encoding = "utf-8-sig"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    else:
        try:
            # the head may end within a character
            codecs.getincrementaldecoder("utf-8")().decode(head)
        except UnicodeDecodeError:
            encoding = "cp1252"
    return file.path.open(encoding=encoding, errors="surrogateescape", newline="")


def csv_records(file: DropFile, delimiter: str, columns: Collection[str]) -> Records:
    """The rows below the header that contains all ``columns``, by the names in the header.

    A blank name becomes ``column_3``, a repeated one ``notes_2``. Raises ``UnreadableFile`` when
    there is no such header.
    """
    with opened(file) as lines:
        for header in islice(rows(lines, delimiter), HEADER_WITHIN):
            names = unique_names(header.cells or ())
            if set(columns) <= set(names):
                break
        else:
            raise UnreadableFile(f"expected a header with the columns {', '.join(columns)}.")
        for row in rows(lines, delimiter, len(names), header.line + 1):
            cells = row.cells
            while cells and len(cells) > len(names) and not cells[-1]:
                cells.pop()
            if cells is None:
                yield Unreadable(f"line {row.line}: a quoted cell is not closed", row.text)
            elif len(cells) != len(names):
                reason = f"line {row.line}: expected {len(names)} cells, found {len(cells)}"
                yield Unreadable(reason, row.text)
            elif any(cells):
                yield dict(zip(names, cells, strict=True))


def json_records(file: DropFile, *path: str) -> Records:
    """The objects of the list at ``path``; an object there is a single record.

    Raises ``UnreadableFile`` when the file is not JSON, is too large to hold in memory, or has no
    list there.
    """
    file.content()  # refuses a file that is too large
    with opened(file) as text:
        try:
            found: Any = json.load(text)
        except (ValueError, RecursionError) as error:
            raise UnreadableFile("expected JSON; it is truncated, or in another format.") from error
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict | list):
        raise UnreadableFile(f"expected a list of objects at {'.'.join(path) or 'the top'}.")
    for place, each in enumerate([found] if isinstance(found, dict) else found, start=1):
        if isinstance(each, dict):
            yield each
        else:
            yield Unreadable(f"record {place}: expected an object", each)


def json_elements(member: Member) -> Iterator[Any]:
    """The elements of the JSON list in a member, one by one: it may be larger than memory. What
    stands before the list is skipped, such as ``window.name =``.

    Raises ``UnreadableFile``, possibly after some elements, when there is no list or no end of it,
    or when the zip is damaged there.
    """
    decoder = json.JSONDecoder()
    try:
        with member.open() as stream, TextIOWrapper(stream, "utf-8-sig", "replace") as text:
            rest = text.read(_PIECE)
            at = rest.find("[") + 1
            if not at:
                raise UnreadableFile("it holds no list.")
            while True:
                at = _BETWEEN.match(rest, at).end()  # type: ignore[union-attr]
                if rest.startswith("]", at):
                    return
                try:
                    element, end = decoder.raw_decode(rest, at)
                    if end == len(rest):
                        raise ValueError("it may go on in the next piece")
                except ValueError:
                    more = text.read(_PIECE)
                    if not more or len(rest) - at > MAX_HELD_BYTES:
                        raise UnreadableFile("its list does not end: it is cut off.") from None
                    rest, at = rest[at:] + more, 0
                else:
                    yield element
                    at = end
    except (RecursionError, *DAMAGED):
        raise UnreadableFile("it is damaged. Download the export again.") from None


def json_line_records(file: DropFile) -> Records:
    """One object per line."""
    with opened(file) as lines:
        for place, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                record = None
            if isinstance(record, dict):
                yield record
            else:
                yield Unreadable(f"line {place}: expected a JSON object", line)


def claim_by_columns(
    file: DropFile, records: Iterable[Record | Unreadable], columns: Collection[str]
) -> Claim | None:
    """A claim to a file whose first record has all ``columns``."""
    with opened(file) as text:
        head = text.read(_HEAD)
    # the names appear near the top, so most files are rejected without parsing
    if not all(name in head or json.dumps(name)[1:-1] in head for name in columns):
        return None
    try:
        first = next(
            (each for each in islice(records, HEADER_WITHIN) if isinstance(each, dict)), {}
        )
    except UnreadableFile:
        return None
    if set(columns) <= first.keys():
        return Claim(0.8, f"it has the expected {len(columns)} columns")
    return None


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC; without a zone it is taken as UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def content_key(record: Record, seen: Counter[str]) -> str:
    """A key for a record without one: the digest of its content. Equal records in one file, which
    ``seen`` counts, get distinct keys."""
    text = json.dumps(record, sort_keys=True, ensure_ascii=True)
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    seen[digest] += 1
    return digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"
