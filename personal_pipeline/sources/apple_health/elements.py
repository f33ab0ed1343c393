"""Elements of Apple's XML, from a real parser (expat). Blocks are first offered to a bulk reader
for ordinary records, and only what it rejects is parsed.

Broken content affects only its own element, and reading resumes at the next one.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeAlias

from personal_pipeline.ingest.contract import Unreadable, UnreadableFile
from personal_pipeline.sources.apple_health.members import ROOT

MAX_PROLOG_BYTES = 4_000_000
SMALLEST_TAKEN_BYTES = 100_000
MAX_HELD_BYTES = 16_000_000
"""Size limit for a record that may continue in the next block."""
DEEPEST = 50
MAX_IN_ONE = 1_000_000
"""Elements within one element."""

_RECORD = b"<Record "
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_OUTERMOST = frozenset(
    ("Record", "Correlation", "Workout", "ActivitySummary", "ClinicalRecord", "Audiogram",
     "VisionPrescription", "StateOfMind")
)  # fmt: skip
_NEXT = re.compile(rb"<(?:" + "|".join(sorted(_OUTERMOST)).encode() + rb")[\s/>]|</HealthData")

_CONTROL = bytes(0x20 if byte < 0x20 and byte not in b"\t\n\r" else byte for byte in range(256))
_REFERENCE = re.compile(
    rb"&#(?:x0*(?:[0-8bcef]|1[0-9a-f])|0*(?:[0-8]|1[124-9]|2\d|3[01]));", re.IGNORECASE
)


class Element(NamedTuple):
    """One element with everything in it. ``text`` is the text between its tags."""

    tag: str
    attributes: dict[str, str]
    children: Sequence[Element] = ()
    text: str = ""


Take: TypeAlias = Callable[[bytes | memoryview], bool]
"""Processes a block of XML and returns True, or returns False to reject it."""


class End:
    """The closing tag of the root: a file without it is truncated."""


class _NotWhole(Exception):
    """Something that no element of an export may contain; ``behind`` is where to look for the next
    element."""

    def __init__(self, behind: int) -> None:
        self.behind = behind


def clean(content: bytes) -> bytes:
    """Replace control characters that XML forbids, and old exports contain, with spaces. Positions
    are preserved."""
    content = content.translate(_CONTROL)
    if b"&#" in content:
        content = _REFERENCE.sub(lambda match: b" " * len(match[0]), content)
    return content


class _Parser:
    """An incremental parser of the whole document that resumes after an error."""

    def __init__(self) -> None:
        self.may_be_bulk = True
        """Whether what looks like a record is one. Inside a comment it is not, so from the first
        comment on everything goes through the parser; phones write none below the root."""
        self._found: list[Element | Unreadable | End] = []
        self._begin()

    def _begin(self) -> None:
        self._expat = xml.parsers.expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text
        self._expat.StartDoctypeDeclHandler = self._refuse
        # tag, attributes, children, text
        self._open: list[tuple[str, dict[str, str], list[Element], list[str]]] = []
        self._inside = self._fed = self._began = 0
        self._unfinished = b""
        self._parse(b"<HealthData>")

    @property
    def is_between(self) -> bool:
        """Whether the next content is directly below the root."""
        return len(self._open) <= 1 and b"<" not in self._unfinished

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        depth = len(self._open)
        if depth == 1:
            self._began = self._expat.CurrentByteIndex
        elif tag in _OUTERMOST and depth > 1 and not self._may_hold(tag):
            # the enclosing element is not closed: resume with this one
            raise _NotWhole(self._expat.CurrentByteIndex)
        self._inside += 1
        if depth >= DEEPEST or self._inside > MAX_IN_ONE:
            raise _NotWhole(self._expat.CurrentByteIndex + 1)
        self._open.append((tag, attributes, [], []))

    def _may_hold(self, tag: str) -> bool:
        return tag == "Record" and self._open[-1][0] == "Correlation"

    def _end(self, _: str) -> None:
        tag, attributes, children, text = self._open.pop()
        element = Element(tag, attributes, children, "".join(text).strip())
        if len(self._open) > 1:
            self._open[-1][2].append(element)
            return
        self._inside = 0
        self._found.append(element if self._open else End())

    def _text(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1][3].append(text)
        elif not text.isspace():
            self._found.append(Unreadable("text between the elements", text[:2000]))

    def _refuse(self, *_: object) -> None:
        raise _NotWhole(self._expat.CurrentByteIndex + 1)

    def _parse(self, content: bytes) -> None:
        self._expat.Parse(content, False)
        self._fed += len(content)

    def feed(self, content: bytes) -> None:
        """Process the next piece; what is complete is in ``taken``."""
        content = clean(content)
        while content:
            try:
                self._parse(content)
                self._unfinished = content[content.rfind(b">") + 1 :]
                return
            except _NotWhole as error:
                content = self._behind(content, error.behind)
            except xml.parsers.expat.ExpatError:
                content = self._behind(content, self._expat.CurrentByteIndex + 1)

    def _behind(self, content: bytes, behind: int) -> bytes:
        """Record what is broken, reset the parser, and return what is still to be read."""
        at = max(behind - self._fed, 0)
        following = _NEXT.search(content, at)
        end = following.start() if following else len(content)
        start = self._began - self._fed if self._open[1:] else content.rfind(b"<", 0, at)
        self._break(content[max(start, 0) : end], "an element that is not well-formed")
        return content[end:]

    def _break(self, raw: bytes, reason: str) -> None:
        text = raw[:2000].decode(errors="replace")
        if self._open[1:]:
            tag, attributes, children, _ = self._open[1]
            if self._began < self._fed:
                # the beginning was in an earlier piece
                text = f"{tag} {attributes} … {text}"
            self._found.append(Unreadable(reason, text))
            # records swallowed by an unclosed correlation
            self._found += [each for each in children if each.tag == "Record"]
        elif raw.strip():
            self._found.append(Unreadable(reason, text))
        self._begin()

    def finish(self) -> None:
        """Signal the end of the input."""
        if self._open[1:] or b"<" in self._unfinished:
            self._break(self._unfinished, "the file is truncated in the middle of an element")

    def taken(self) -> Iterator[Element | Unreadable | End]:
        """What is complete, each part once."""
        found, self._found = self._found, []
        yield from found


def parse(content: bytes) -> Element | None:
    """The element in ``content``; None unless it is exactly one."""
    parser = _Parser()
    parser.feed(content)
    parser.finish()
    found = list(parser.taken())
    return found[0] if len(found) == 1 and isinstance(found[0], Element) else None


def parts(blocks: Iterator[bytes], take: Take) -> Iterator[Element | Unreadable | End]:
    """The parts of an export in order: the root without its content, then its elements, and what is
    broken. ``take`` is offered blocks from directly below the root, and returns whether it has
    processed them; only what it rejects is parsed.

    Raises ``UnreadableFile`` when there is no root, or the prolog declares entities.
    """
    buffer = b""
    for block in blocks:
        buffer += block
        if ROOT.search(buffer) or len(buffer) > MAX_PROLOG_BYTES:
            break
    if buffer.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("Apple Health: expected UTF-8, as Apple writes; this is UTF-16.")
    buffer = _without_prolog(buffer)
    while b">" not in buffer and (block := next(blocks, b"")):
        buffer += block
    root, _, buffer = buffer.partition(b">")
    parser = _Parser()
    yield parse(root.removesuffix(b"/") + b"/>") or Element("HealthData", {})
    if root.endswith(b"/"):
        buffer = b"</HealthData>" + buffer
    last = False
    while not last:
        block = next(blocks, b"")
        last = not block
        buffer += block
        end = len(buffer) if last else _end_of_whole(buffer)
        # without a copy: it may be all of a large block
        yield from _in_order(parser, memoryview(buffer)[:end], take)
        buffer = buffer[end:]
    parser.finish()
    yield from parser.taken()


def _without_prolog(buffer: bytes) -> bytes:
    """The content from the root on. The document type is never parsed: that of iOS 16.0 is not
    well-formed, and contains nothing of use."""
    root = ROOT.search(_COMMENT.sub(lambda comment: b" " * len(comment[0]), buffer))
    if root is None:
        raise UnreadableFile(
            "Apple Health: expected an element <HealthData>. Export again: Health, your picture, "
            "Export All Health Data."
        )
    if _ENTITY.search(buffer, 0, root.start()):
        raise UnreadableFile(
            "refused: the XML declares entities, which no Apple export does and which can expand "
            "to any size."
        )
    return buffer[root.start() :]


def _end_of_whole(buffer: bytes) -> int:
    """How far the buffer can be read now: its last record may continue in the next block."""
    start = buffer.rfind(_RECORD)
    if start == -1:
        start = buffer.rfind(b">") + 1
    return start if len(buffer) - start <= MAX_HELD_BYTES else len(buffer)


def _in_order(
    parser: _Parser, content: memoryview, take: Take
) -> Iterator[Element | Unreadable | End]:
    def taken(piece: bytes | memoryview) -> bool:
        return parser.may_be_bulk and parser.is_between and take(piece)

    if taken(content):
        return
    # anomalies are hardly ever everywhere
    for piece in _pieces(bytes(content)):
        if not taken(piece):
            if b"<!" in piece or b"<?" in piece:
                parser.may_be_bulk = False
            parser.feed(piece)
            yield from parser.taken()


def _pieces(content: bytes) -> Iterator[bytes]:
    """What precedes the first record, then pieces that begin with one."""
    start = 0
    while start < len(content):
        skipped = SMALLEST_TAKEN_BYTES if content.startswith(_RECORD, start) else 0
        end = content.find(_RECORD, start + skipped)
        yield content[start : end if end != -1 else None]
        start = end if end != -1 else len(content)
