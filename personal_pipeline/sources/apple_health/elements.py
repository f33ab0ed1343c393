"""Elements of Apple's XML: records as the phone writes them are cut out in bulk by one regular
expression, everything else goes through a real parser (expat).

The expression takes a record only in the form that every phone writes; what is not matched, and
what is matched but lies inside of another element, is fed to the parser. What is broken costs the
element that it is in, and reading goes on at the next one.
"""

from __future__ import annotations

import re
import xml.parsers.expat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from personal_pipeline.ingest.contract import Unreadable, UnreadableFile
from personal_pipeline.sources.apple_health.members import ROOT

LARGEST_PROLOG_BYTES = 4_000_000
LARGEST_HELD_BYTES = 16_000_000
"""Of a record that may be going on in the next block."""
DEEPEST = 50
MOST_IN_ONE = 1_000_000
"""Elements inside of one element."""

_TEXT = rb'[^"]*'
_TIME = rb"(\d{4}-\d\d-\d\d [0-2]\d:[0-5]\d:[0-5]\d [+-][01]\d[0-5]\d)"
_HEAD = (
    rb'type="' + _TEXT + rb'" sourceName="' + _TEXT + rb'"(?: sourceVersion="' + _TEXT
    + rb'")?(?: device="' + _TEXT + rb'")?(?: unit="' + _TEXT + rb'")?'
)  # fmt: skip
_METADATA = rb'(?:\s*<MetadataEntry key="' + _TEXT + rb'" value="' + _TEXT + rb'"/>)*'
_VALUE = bytes({*range(0x20, 0x7F)} - {*b'"&<'})
"""What a value may hold: nothing that has to be unescaped, or that is not ASCII."""
_RECORD = re.compile(
    rb"<Record ("
    + _HEAD
    + rb') creationDate="'
    + _TIME
    + rb'" startDate="'
    + _TIME
    + rb'" endDate="'
    + _TIME
    + rb'"(?: value="([ !#-%\'-;=-~]*)")?'
    rb"(?:/>|>(" + _METADATA + rb")\s*</Record>)"
)
"""Groups: who measured what, the three times, the value, the metadata."""
_COLUMNS = _RECORD.groups + 1

_CREATED = b' creationDate="'
_FIRST = re.compile(rb"\s*<Record (" + _HEAD + rb")")
_BETWEEN = re.compile(
    rb"(?:/>|>(" + _METADATA + rb")\s*</Record>)\s*(?:<Record (" + _HEAD + rb"))?"
)
"""From behind the value of one record to the creation of the next. Groups: the metadata of the
one, who measured the next."""
_MOST_BETWEEN = 20_000
_NAMES = [{b" startDate="}, {b" endDate="}, {b" value="}]
_AS_ZERO = bytes.maketrans(b"123456789+", b"000000000-")
_ZERO = b"0000-00-00 00:00:00 -0000"

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


@dataclass(frozen=True, slots=True)
class Element:
    """One element with everything in it. ``text`` is what stands between its tags."""

    tag: str
    attributes: dict[str, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records as they are written, a list a column. ``heads`` has all attributes up to the unit,
    ``metadata`` the entries inside; ``values`` and ``metadata`` may lack."""

    heads: Sequence[bytes]
    created: Sequence[bytes]
    started: Sequence[bytes]
    ended: Sequence[bytes]
    values: Sequence[bytes | None]
    metadata: Sequence[bytes | None]

    def __len__(self) -> int:
        return len(self.heads)

    def written(self) -> Iterator[bytes]:
        """Each record as XML again."""
        columns = (self.heads, self.created, self.started, self.ended, self.values, self.metadata)
        for head, created, started, ended, value, metadata in zip(*columns, strict=True):
            given = b"" if value is None else b' value="%b"' % value
            yield b'<Record %b creationDate="%b" startDate="%b" endDate="%b"%b>%b</Record>' % (
                head, created, started, ended, given, metadata or b"",
            )  # fmt: skip


class End:
    """The closing tag of the whole: a file without it breaks off."""


class _NotWhole(Exception):
    """What no element of an export may hold, and from where on to look for the next element."""

    def __init__(self, behind: int) -> None:
        self.behind = behind


def clean(content: bytes) -> bytes:
    """Control characters that XML forbids become blanks, as old exports hold. Positions stay."""
    content = content.translate(_CONTROL)
    if b"&#" in content:
        content = _REFERENCE.sub(lambda match: b" " * len(match[0]), content)
    return content


class _Parser:
    """A parser of the whole document, which takes it in pieces and goes on behind an error."""

    def __init__(self) -> None:
        self.may_be_bulk = True
        """Whether what looks like a record is one. What stands in a comment is none, so from the
        first on all goes through the parser; no phone writes one behind the root."""
        self._found: list[Element | Unreadable | End] = []
        self._begin()

    def _begin(self) -> None:
        self._expat = xml.parsers.expat.ParserCreate("utf-8")
        self._expat.buffer_text = True
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._text
        self._expat.StartDoctypeDeclHandler = self._refuse
        self._open: list[tuple[Element, list[str]]] = []
        self._inside = self._fed = self._began = 0
        self._unfinished = b""
        self._parse(b"<HealthData>")

    @property
    def is_between(self) -> bool:
        """Whether what comes next stands directly under the root."""
        return len(self._open) <= 1

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        at = self._expat.CurrentByteIndex
        if len(self._open) == 1:
            self._began = at
        elif self._open[1:] and tag in _OUTERMOST and not self._may_hold(tag):
            # the one around it is not closed: go on with this one
            raise _NotWhole(at)
        self._inside += 1
        if len(self._open) >= DEEPEST or self._inside > MOST_IN_ONE:
            raise _NotWhole(at + 1)
        self._open.append((Element(tag, attributes), []))

    def _may_hold(self, tag: str) -> bool:
        return tag == "Record" and self._open[-1][0].tag == "Correlation"

    def _end(self, _: str) -> None:
        built, text = self._open.pop()
        written = "".join(text).strip()
        element = Element(built.tag, built.attributes, built.children, written)
        if len(self._open) > 1:
            self._open[-1][0].children.append(element)
            return
        self._inside = 0
        self._found.append(element if self._open else End())

    def _text(self, text: str) -> None:
        if len(self._open) > 1:
            self._open[-1][1].append(text)
        elif not text.isspace():
            self._found.append(Unreadable("text between the elements", text[:2000]))

    def _refuse(self, *_: object) -> None:
        raise _NotWhole(self._expat.CurrentByteIndex + 1)

    def _parse(self, content: bytes) -> None:
        self._expat.Parse(content, False)
        self._fed += len(content)

    def feed(self, content: bytes) -> None:
        """Take the next piece; what is complete is in ``taken``."""
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
        """Note what is broken, begin anew, and give what is still to be read."""
        at = max(behind - self._fed, 0)
        following = _NEXT.search(content, at)
        end = following.start() if following else len(content)
        start = self._began - self._fed if self._open[1:] else content.rfind(b"<", 0, at)
        self._break(content[max(start, 0) : end], "an element that is not well-formed")
        return content[end:]

    def _break(self, raw: bytes, reason: str) -> None:
        text = raw[:2000].decode(errors="replace")
        if self._open[1:]:
            broken, _ = self._open[1]
            if self._began < self._fed:
                # the beginning was in an earlier piece
                text = f"{broken.tag} {broken.attributes} … {text}"
            self._found.append(Unreadable(reason, text))
            # records that an unclosed correlation swallowed
            self._found += [each for each in broken.children if each.tag == "Record"]
        elif raw.strip():
            self._found.append(Unreadable(reason, text))
        self._begin()

    def finish(self) -> None:
        """Say that nothing more comes."""
        if self._open[1:] or b"<" in self._unfinished:
            self._break(self._unfinished, "the file breaks off in the middle of an element")

    def taken(self) -> Iterator[Element | Unreadable | End]:
        """What is complete, once."""
        found, self._found = self._found, []
        yield from found


def parse(content: bytes) -> Element | None:
    """The element that the bytes are; None when they are not exactly one."""
    parser = _Parser()
    parser.feed(content)
    parser.finish()
    found = list(parser.taken())
    return found[0] if len(found) == 1 and isinstance(found[0], Element) else None


def parts(
    blocks: Iterator[bytes], *, fast: bool = True
) -> Iterator[Batch | Element | Unreadable | End]:
    """The parts of an export in order: the root without its content, then batches of records,
    other elements, and what is broken. Without ``fast`` every record is an element.

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
    while b">" not in buffer and (block := next(blocks, b"")):
        buffer += block
    root, _, buffer = buffer.partition(b">")
    parser = _Parser()
    parser.may_be_bulk = fast
    between: dict[bytes, tuple[bytes | None, bytes | None] | None] = {}
    yield parse(root.removesuffix(b"/") + b"/>") or Element("HealthData", {})
    if root.endswith(b"/"):
        buffer = b"</HealthData>" + buffer
    last = False
    while not last:
        block = next(blocks, b"")
        last = not block
        buffer += block
        end = len(buffer) if last else _end_of_whole(buffer)
        whole, buffer = buffer[:end], buffer[end:]
        if not parser.may_be_bulk:
            parser.feed(whole)
            yield from parser.taken()
        elif parser.is_between and (batch := _usual(whole, between)):
            yield batch
        else:
            yield from _in_bulk(parser, whole)
    parser.finish()
    yield from parser.taken()


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


def _end_of_whole(buffer: bytes) -> int:
    """Up to where the buffer can be read now: its last record may go on in the next block."""
    start = buffer.rfind(b"<Record ")
    if start == -1:
        start = buffer.rfind(b">") + 1
    return start if len(buffer) - start <= LARGEST_HELD_BYTES else len(buffer)


def _usual(
    content: bytes, known: dict[bytes, tuple[bytes | None, bytes | None] | None]
) -> Batch | None:
    """The records of a block that holds nothing else, all with a value; None when anything in it is
    not so. It takes what ``_RECORD`` takes, in a fifth of the time: what stands between the times
    and values repeats, and is ``known`` after the first time."""
    first, *pieces = content.split(_CREATED)
    try:
        created, one, started, two, ended, three, values, between = zip(
            *(piece.split(b'"', 7) for piece in pieces), strict=True
        )
    except ValueError:
        return None
    times = (*created, *started, *ended)
    if (
        [set(one), set(two), set(three)] != _NAMES
        or set(map(len, times)) != {len(_ZERO)}
        or b"".join(times).translate(_AS_ZERO) != _ZERO * len(times)
        or b"".join(values).translate(None, _VALUE)
    ):
        return None
    if len(known) > _MOST_BETWEEN:
        known.clear()
    for text in set(between) - known.keys():
        match = _BETWEEN.fullmatch(text)
        known[text] = (match[1], match[2]) if match else None
    ends = [known[text] for text in between]
    if None in ends:
        return None
    metadata, following = zip(*ends, strict=True)
    head = _FIRST.fullmatch(first)
    heads = (head and head[1], *following)
    if heads.index(None) != len(pieces):
        return None
    return Batch(heads[:-1], created, started, ended, values, metadata)


def _in_bulk(parser: _Parser, content: bytes) -> Iterator[Batch | Element | Unreadable | End]:
    pieces: list[Any] = _RECORD.split(content)
    between = pieces[::_COLUMNS]
    columns = [pieces[number::_COLUMNS] for number in range(1, _COLUMNS)]
    others = [number for number, text in enumerate(between) if text and not text.isspace()]
    start = 0
    for end in (*others, len(between)):
        batch = Batch(*(column[start:end] for column in columns))
        if parser.is_between and parser.may_be_bulk:
            if len(batch):
                yield batch
        else:
            for record in batch.written():
                parser.feed(record)
        if end < len(between):
            if b"<!" in between[end] or b"<?" in between[end]:
                parser.may_be_bulk = False
            parser.feed(between[end])
        yield from parser.taken()
        start = end
