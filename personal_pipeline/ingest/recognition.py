"""What a dropped file is: every drop is asked, the most confident claim wins, and all claims are
reported.

For an unclaimed file the answer is what it looks like: its format, and the names of columns or
fields. Names are shown to the user, values never.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import TypeVar

from personal_pipeline.ingest.archives import kind_of
from personal_pipeline.ingest.contract import Claim, Drop, DropFile, Source
from personal_pipeline.ingest.delimited import DELIMITERS, rows
from personal_pipeline.shown import shown

_Answer = TypeVar("_Answer")
_About = TypeVar("_About")

MAX_NAMES = 20
MAX_NAME_LENGTH = 60

_FORMATS = {
    b"%PDF": "a PDF, which no source can parse",
    b"\x89PNG": "a picture (PNG)",
    b"\xff\xd8\xff": "a picture (JPEG)",
    b"SQLite format 3\0": "an SQLite database",
    b"PAR1": "a Parquet file",
    b"{\\rtf": "a text document (RTF)",
    b"\xd0\xcf\x11\xe0": "an old Office document, such as .xls: save it as CSV",
}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A claim, and the source and drop it comes from."""

    source: Source
    drop: Drop
    claim: Claim

    def __str__(self) -> str:
        return (
            f"{self.source.name} {self.drop.name}, confidence {self.claim.confidence:.0%}: "
            f"{self.claim.reason}"
        )


def claims_of(sources: Sequence[Source], file: DropFile) -> list[Claimed]:
    """All claims to a file, most confident first. Equally confident claims keep the order of the
    sources."""
    claims = [
        Claimed(source, drop, claim)
        for source in sources
        for drop in source.drops
        if (claim := _asked(drop.recognise, file)) is not None
    ]
    return sorted(claims, key=lambda each: -each.claim.confidence)


def _asked(question: Callable[[_About], _Answer | None], about: _About) -> _Answer | None:
    """A drop's answer; None when it fails on a file it does not understand."""
    try:
        return question(about)
    except OSError as error:
        # a disk error, not the file's fault
        if error.errno is not None:
            raise
        return None
    except (Exception, SystemExit):
        return None


def accepted(sources: Sequence[Source]) -> str:
    """What the inbox accepts, as a list for people."""
    return "\n".join(
        f"- {source.title}: {drop.description}" for source in sources for drop in source.drops
    )


def unknown(sources: Sequence[Source], file: DropFile) -> str:
    """What to report about an unclaimed file: a sentence, then what it looks like, what the drops
    can say about it, and what is accepted."""
    explained = [
        text for source in sources for drop in source.drops if (text := _asked(drop.explain, file))
    ]
    # in the first line, which is all that the receipt keeps
    problems = [
        f"Not used: {problem}"
        for source in sources
        for drop in source.drops
        for problem in _asked(drop.problems, file.home) or ()
    ]
    return "\n".join(
        [
            " ".join(["No source recognizes this file.", *map(shown, problems)]),
            f"It looks like {looks_like(file)}.",
            *explained,
            "The inbox accepts:",
            accepted(sources),
        ]
    )


_TEXTS = (
    (
        r"(?:^\{1:|^:20:.{0,40}$)[\s\S]{0,2000}^:(?:25|28C?|60[FM]|61):",
        "a bank statement in MT940 (SWIFT): download OFX, QFX or CSV instead",
    ),
    (
        r"^!(?:Type|Account|Option|Clear)\b",
        "a QIF file: download OFX, QFX or CSV instead",
    ),
    (r"\ABEGIN:VCALENDAR", "a calendar (iCalendar)"),
    (r"\ABEGIN:VCARD", "contacts (vCard)"),
    (r"\AFrom \S+ .*\n[\w-]+: ", "mail (mbox)"),
)
"""Text formats by the beginning of one of their lines."""

_JSON = re.compile(r"\{\s*[\"}]|\[\s*(?:[\[{\"\]]|-?\d|true\b|false\b|null\b)")


def looks_like(file: DropFile) -> str:
    """The format of a file, with the names of its columns or fields."""
    head = file.head()
    if not head:
        return "an empty file"
    for beginning, words in _FORMATS.items():
        if head.startswith(beginning):
            return words
    if kind := kind_of(file.path):
        return {"zip": "a zip", "tar": "a tar archive"}.get(kind, "a compressed file")
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "binary data of an unknown kind"
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    return _text_looks_like(head.decode(encoding, "replace"))


def _text_looks_like(text: str) -> str:
    start = text.lstrip()
    if start.startswith("<"):
        if re.match(r"<(?:!doctype\s+html|html)\b", start, re.IGNORECASE):
            return "a web page"
        if re.search(r"urn:iso:std:iso:20022:tech:xsd:camt\.05\d", start[:2_000]):
            return "a bank statement in camt (ISO 20022): download OFX, QFX or CSV instead"
        root = re.search(r"<([A-Za-z_][\w.:-]{0,59})[\s>/]", start)
        return f"XML with the root element <{root[1]}>" if root else "XML"
    for pattern, words in _TEXTS:
        if re.search(pattern, start[:8_192], re.MULTILINE):
            return words
    if _JSON.match(start):
        # a key that is not an identifier may be somebody's address
        names = list(dict.fromkeys(re.findall(r'"([A-Za-z_][\w .-]{0,59})"\s*:', start[:8_192])))
        return f"JSON with the fields {_listed(names)}" if names else "JSON"
    lines = text.splitlines(keepends=True)
    for line, following in pairwise(islice(lines, 41)):
        delimiter = max(DELIMITERS, key=line.count)
        cells, below = (_cells(each, delimiter) for each in (line, following))
        # a sentence with commas is private text, not a header
        if len(cells) == len(below) > 2 and _numbers(below) and not _numbers(cells):
            return f"a table with the columns {_listed([cell for cell in cells if cell])}"
    if sum(line.count(",") > 1 for line in lines) > len(lines) / 2:
        return "a table without a header"
    return "text"


def _cells(line: str, delimiter: str) -> list[str]:
    row = next(rows([line], delimiter), None)
    return [cell.strip() for cell in (row.cells if row else None) or ()]


def _numbers(cells: Sequence[str]) -> bool:
    return any(re.search(r"\d{2}", cell) for cell in cells)


def _listed(names: Sequence[str]) -> str:
    told = [
        shown(json.dumps(name[:MAX_NAME_LENGTH], ensure_ascii=False)) for name in names[:MAX_NAMES]
    ]
    more = len(names) - len(told)
    return f"{', '.join(told)} and {more} more" if more else ", ".join(told)
