"""Elements of Apple's XML, read by a real parser (expat), and where in the stream they are.

A record of the usual form is never parsed here: ``parts`` hands on runs of records as bytes, and
only what stands between them as elements.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator
from dataclasses import dataclass, field

from personal_pipeline.ingest.contract import UnreadableFile

LARGEST_PROLOG_BYTES = 4_000_000
LARGEST_ELEMENT_BYTES = 64_000_000
DEEPEST = 50

ROOT = re.compile(rb"<HealthData(?=[\s/>])")
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)

_BETWEEN = re.compile(
    rb"<(?!Record |/Record>|MetadataEntry |HeartRateVariabilityMetadataList>"
    rb"|/HeartRateVariabilityMetadataList>|InstantaneousBeatsPerMinute )"
)
"""A tag that is not part of a run of records."""

_TAG = re.compile(rb"<([^\s/>]+)")
_CLOSED = re.compile(rb"</Record>\s*\Z|\A<Record [^<]*/>\s*\Z")
_NEXT = re.compile(
    rb"<(?:Record|Correlation|Workout|ActivitySummary|ClinicalRecord|Audiogram"
    rb"|VisionPrescription)\s|</HealthData"
)

_CONTROL = bytes(
    0x20 if byte < 0x20 and byte not in b"\t\n\r" else byte for byte in range(256)
)
"""Control characters that XML forbids become blanks; old exports hold U+000B."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element with everything in it. ``text`` is what stands between its tags."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A piece of the file that is no element. ``reason`` holds no value."""

    reason: str
    raw: bytes


class End:
    """The closing tag of the whole: a file without it breaks off."""


class _NotWhole(Exception):
    """Bytes that are not one whole element, or nested too deep."""


class _Builder:
    """Builds one element from what expat reports."""

    def __init__(self) -> None:
        self.parser = xml.parsers.expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.StartDoctypeDeclHandler = self._refuse
        self.open: list[tuple[str, dict[str, str], list[Element], list[str]]] = []
        self.element: Element | None = None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self.open) >= DEEPEST:
            raise _NotWhole
        self.open.append((tag, attributes, [], []))

    def _end(self, _: str) -> None:
        tag, attributes, children, text = self.open.pop()
        element = Element(tag, attributes, children, "".join(text).strip())
        if self.open:
            self.open[-1][2].append(element)
        else:
            self.element = element

    def _text(self, text: str) -> None:
        self.open[-1][3].append(text)

    def _refuse(self, *_: object) -> None:
        raise _NotWhole

    def feed(self, content: bytes, *, last: bool = False) -> None:
        try:
            self.parser.Parse(content.translate(_CONTROL), last)
        except xml.parsers.expat.ExpatError:
            raise _NotWhole from None


def parse(content: bytes) -> Element | None:
    """The element that the bytes are; None when they are not exactly one."""
    builder = _Builder()
    try:
        builder.feed(content, last=True)
    except _NotWhole:
        return None
    return builder.element


def parts(blocks: Iterator[bytes]) -> Iterator[bytes | Element | Broken | End]:
    """The parts of an export in order: the root without its content, then runs of whole records
    as bytes that begin with ``<Record``, other elements, and what is broken.

    Raises ``UnreadableFile`` when there is no root, or the prolog declares entities.
    """
    buffer = b""
    for block in blocks:
        buffer += block
        if ROOT.search(buffer) or len(buffer) > LARGEST_PROLOG_BYTES:
            break
    if buffer.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise UnreadableFile("Apple Health: expected UTF-8, as Apple writes; this is UTF-16.")
    buffer = _without_prolog(buffer)
    yield from _parts_of_body(buffer, blocks)


def _without_prolog(buffer: bytes) -> bytes:
    """What stands from the root on. The document type is never parsed: that of iOS 16.0 is not
    well-formed, and there is nothing in it that one needs."""
    root = ROOT.search(_COMMENT.sub(lambda comment: b" " * len(comment[0]), buffer))
    if root is None:
        raise UnreadableFile(
            "Apple Health: expected an element <HealthData>. Export again: Health, your picture, "
            "Export All Health Data."
        )
    if _ENTITY.search(buffer, 0, root.start()):
        raise UnreadableFile(
            "refused: the XML declares entities, which no export of Apple does and which can "
            "unpack to any size."
        )
    return buffer[root.start() :]


def _parts_of_body(
    buffer: bytes, blocks: Iterator[bytes]
) -> Iterator[bytes | Element | Broken | End]:
    end = buffer.find(b">")
    while end == -1 and (block := next(blocks, b"")):
        buffer += block
        end = buffer.find(b">")
    head = buffer[: end + 1].removesuffix(b"/>").removesuffix(b">")
    yield parse(head + b"/>") or Element("HealthData", {})
    buffer = buffer[end + 1 :]
    while True:
        block = next(blocks, b"")
        buffer += block
        last = not block
        position = 0
        while True:
            found, further = _advance(buffer, position, last=last)
            yield from found
            if further == position:
                break
            position = further
        buffer = buffer[position:]
        if last:
            if buffer.strip():
                yield Broken("the file breaks off in the middle of an element", buffer[:2000])
            return
        if len(buffer) > LARGEST_ELEMENT_BYTES:
            yield Broken(f"an element of more than {LARGEST_ELEMENT_BYTES:,} bytes", buffer[:2000])
            buffer = buffer[_after_broken(buffer, 0) :]


def _advance(
    buffer: bytes, position: int, *, last: bool
) -> tuple[list[bytes | Element | Broken | End], int]:
    """What begins at ``position``, and where it ends: there, when more of the file is needed."""
    # the last tag may go on in the next block
    limit = len(buffer) if last else max(buffer.rfind(b"<"), position)
    between = _BETWEEN.search(buffer, position, limit)
    if between is None:
        end = limit if last else buffer.rfind(b"<Record ", position, limit)
        end = max(end, position)
        return _run(buffer[position:end]), end
    start = between.start()
    record = buffer.rfind(b"<Record ", position, start)
    if record != -1 and not _CLOSED.search(buffer[record:start]):
        # it stands inside a record
        start = record
    if start > position:
        return _run(buffer[position:start]), start
    part, end = _element(buffer, start, last=last)
    return ([] if part is None else [part]), end


def _run(content: bytes) -> list[bytes | Element | Broken | End]:
    """A run of records, without blanks in front."""
    start = content.find(b"<Record ")
    if start == -1:
        start = len(content)
    found: list[bytes | Element | Broken | End] = []
    if stray := content[:start].strip():
        found.append(Broken("text or a tag between the elements", stray))
    if start < len(content):
        found.append(content[start:])
    return found


def _element(
    buffer: bytes, start: int, *, last: bool
) -> tuple[Element | Broken | End | None, int]:
    """The element, comment or tag at ``start``, and where it ends. That is ``start`` when it does
    not end in the buffer and more is to come."""
    for opening, closing in ((b"<!--", b"-->"), (b"<?", b"?>")):
        if buffer.startswith(opening, start):
            end = buffer.find(closing, start)
            if end != -1:
                return None, end + len(closing)
            return (None, len(buffer)) if last else (None, start)
    end = buffer.find(b">", start) + 1
    if not end:
        if last:
            return Broken("the file breaks off inside a tag", buffer[start:]), len(buffer)
        return None, start
    if buffer.startswith(b"</HealthData", start):
        return End(), end
    tag = _TAG.match(buffer, start)
    if tag is None or tag[1].startswith((b"!", b"/")):
        return Broken("a tag that opens no element", buffer[start:end]), end
    builder, fed = _Builder(), start
    closings = re.compile(rb"/>|</" + re.escape(tag[1]) + rb"\s*>")
    try:
        while end:
            builder.feed(buffer[fed:end])
            if builder.element is not None:
                return builder.element, end
            fed = end
            closing = closings.search(buffer, fed)
            end = closing.end() if closing else 0
    except _NotWhole:
        end = _after_broken(buffer, start)
        return Broken("an element that is not well-formed", buffer[start:end]), end
    if last:
        end = _after_broken(buffer, start)
        return Broken("an element that is never closed", buffer[start:end]), end
    return None, start


def _after_broken(buffer: bytes, start: int) -> int:
    """Where to go on behind something broken: behind its closing tag, else at the next element
    that belongs directly under the root."""
    tag = _TAG.match(buffer, start)
    if tag is not None:
        closing = re.compile(rb"</" + re.escape(tag[1]) + rb"\s*>").search(buffer, start)
        if closing is not None:
            return closing.end()
    following = _NEXT.search(buffer, start + 1)
    return following.start() if following else len(buffer)
