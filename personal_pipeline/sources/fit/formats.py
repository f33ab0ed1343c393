"""The format of a file, by its first bytes; and the fields of a sample. Lightweight: it is asked
about every dropped file."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from personal_pipeline.ingest.contract import Table

MEASURES = (
    "latitude",
    "longitude",
    "altitude",
    "distance",
    "speed",
    "heart_rate",
    "cadence",
    "power",
    "temperature",
    "grade",
)
"""Degrees, metres, metres from the start, metres per second, beats per minute, revolutions (of one
leg) per minute, watts, degrees Celsius, percent."""

SAMPLES = Table(
    columns={
        "recording": "varchar",
        "number": "integer",
        "measured_at": "timestamp",
        **dict.fromkeys(MEASURES, "double"),
        "more": "varchar",
    },
    key=("recording", "number"),
)
"""One row per sample, about one per second; units as in ``MEASURES``, times in UTC. ``more`` is a
JSON object of all other fields, with developer fields under ``developer``."""

MAX_FILE_BYTES = 100_000_000
"""Decompressed. A day at one record per second with fifty fields is a tenth of that."""

_GZIP = b"\x1f\x8b"
_ROOT = re.compile(rb"<(?:[\w.-]+:)?(gpx|TrainingCenterDatabase)[\s>]")
_BEFORE_XML = b"\xef\xbb\xbf \r\n\t"


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a zip, and its compressed size."""

    name: str
    size: int


def is_fit(head: bytes) -> bool:
    """Whether a file begins with a FIT header."""
    return len(head) >= 12 and head[8:12] == b".FIT" and 12 <= head[0] <= 64


def track_format(head: bytes) -> str | None:
    """``gpx`` or ``tcx`` by the root element; None for anything else."""
    if not head[:4_096].lstrip(_BEFORE_XML).startswith(b"<"):
        return None
    found = _ROOT.search(head[:4_096])
    return None if found is None else "gpx" if found[1] == b"gpx" else "tcx"


def format_of(head: bytes) -> str | None:
    """``fit``, ``gpx`` or ``tcx`` by the first bytes, gzipped or not; None for anything else."""
    head, _ = unpacked(head, 4_096)
    return "fit" if is_fit(head) else track_format(head)


def unpacked(content: bytes, most: int = MAX_FILE_BYTES) -> tuple[bytes, str | None]:
    """The content of a gzip, up to a size limit, and what is wrong with it; any other content as it
    is."""
    if not content.startswith(_GZIP):
        return content, None
    unpacker = zlib.decompressobj(wbits=31)
    try:
        found = unpacker.decompress(content, most)
    except zlib.error:
        # what precedes the fault is only returned when decompressing piece by piece
        found = _before_fault(content, most)
        return found, "the gzip around it is damaged"
    if not unpacker.eof:
        return found, "the gzip around it is truncated"
    return found, None


def _before_fault(content: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    found = bytearray()
    for at in range(0, len(content), 1_024):
        try:
            found += unpacker.decompress(content[at : at + 1_024], most)
        except zlib.error:
            break
        if len(found) >= most:
            break
    return bytes(found)
