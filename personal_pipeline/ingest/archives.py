"""Zip files from outside: opened only when they can do no harm, and read as far as they go.

Nothing is ever unpacked to disk. A name that leads out of its folder is refused all the same: a
file that holds one was made to hurt somebody.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from lzma import LZMAError
from pathlib import Path
from stat import S_ISLNK
from typing import IO

from personal_pipeline.ingest.contract import UnreadableFile

MOST_ENTRIES = 200_000
LARGEST_DIRECTORY_BYTES = 32_000_000
LONGEST_NAME = 1_000
LARGEST_TOTAL_BYTES = 50_000_000_000
HIGHEST_RATIO = 300
"""How many bytes may come out of one. XML gives 10 to 50; what is made to fill a disk, 1,000."""
RATIO_MATTERS_FROM_BYTES = 50_000_000

BLOCK_BYTES = 1 << 20

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,  # an encrypted member
    ValueError,
)

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCAL = struct.Struct("<4s5H3L2H")


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip whose directory shows nothing hostile.

    Raises ``UnreadableFile`` with what is wrong with it, ``zipfile.BadZipFile`` when it has no
    directory: it was cut off, or is no zip.
    """
    _check_directory_size(path)
    archive = zipfile.ZipFile(path)
    try:
        members = archive.infolist()
        if len(members) > MOST_ENTRIES:
            raise UnreadableFile(f"refused: the zip holds more than {MOST_ENTRIES:,} files.")
        if sum(member.file_size for member in members) > LARGEST_TOTAL_BYTES:
            raise UnreadableFile(
                f"refused: unpacked, the zip has more than {LARGEST_TOTAL_BYTES // 10**9} GB."
            )
        for member in members:
            _check_member(member)
    except BaseException:
        archive.close()
        raise
    return archive


def _check_directory_size(path: Path) -> None:
    """Look at the size of the directory before it is read: it is held in memory whole."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(max(size - 70_000, 0))
        tail = stream.read()
    at = tail.rfind(b"PK\x05\x06")
    if at == -1 or len(tail) - at < _END.size:
        return
    _, _, _, _, entries, length, _, _ = _END.unpack_from(tail, at)
    at64 = tail.rfind(b"PK\x06\x06", 0, at)
    if at64 != -1 and len(tail) - at64 >= _END64.size:
        *_, entries, length, _ = _END64.unpack_from(tail, at64)
    if entries > MOST_ENTRIES or length > LARGEST_DIRECTORY_BYTES:
        raise UnreadableFile(f"refused: the zip holds more than {MOST_ENTRIES:,} files.")


def _check_member(member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    if len(name) > LONGEST_NAME:
        raise UnreadableFile(
            f"refused: the zip holds a name of more than {LONGEST_NAME:,} characters."
        )
    if name.startswith("/") or name[1:2] == ":" or ".." in name.split("/"):
        raise UnreadableFile("refused: the zip holds a name that leads out of its folder.")
    if S_ISLNK(member.external_attr >> 16):
        raise UnreadableFile("refused: the zip holds a symbolic link.")
    if (
        member.file_size > RATIO_MATTERS_FROM_BYTES
        and member.file_size > HIGHEST_RATIO * member.compress_size
    ):
        raise UnreadableFile(
            f"refused: a file in the zip unpacks to more than {HIGHEST_RATIO} times its size."
        )


def salvaged(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The files of a zip that was cut off, by the headers in front of each: name and content.

    The content of a file must be read to its end before the next is asked for. Stops where
    nothing more can be read, without an error; so does the content that breaks off.
    """
    with path.open("rb") as stream:
        while True:
            header = stream.read(_LOCAL.size)
            if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
                return
            _, _, flags, method, _, _, _, packed, _, name_length, more = _LOCAL.unpack(header)
            name = stream.read(name_length).decode("utf-8" if flags & 0x800 else "cp437", "replace")
            stream.seek(more, 1)
            if method == zipfile.ZIP_DEFLATED:
                yield name, _inflated(stream)
                if flags & 0x8:
                    _skip_descriptor(stream)
            elif method == zipfile.ZIP_STORED and not flags & 0x8:
                yield name, _stored(stream, packed)
            else:
                return


def _inflated(stream: IO[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj(-zlib.MAX_WBITS)
    read = written = 0
    while not inflate.eof:
        block = inflate.unconsumed_tail or stream.read(65_536)
        if not block:
            return
        if block is not inflate.unconsumed_tail:
            read += len(block)
        try:
            content = inflate.decompress(block, BLOCK_BYTES)
        except zlib.error:
            return
        written += len(content)
        if written > max(HIGHEST_RATIO * read, RATIO_MATTERS_FROM_BYTES):
            raise UnreadableFile(
                f"refused: a file in the zip unpacks to more than {HIGHEST_RATIO} times its size."
            )
        if content:
            yield content
    stream.seek(-len(inflate.unused_data), 1)


def _stored(stream: IO[bytes], size: int) -> Iterator[bytes]:
    while size > 0 and (block := stream.read(min(size, BLOCK_BYTES))):
        size -= len(block)
        yield block


def _skip_descriptor(stream: IO[bytes]) -> None:
    """The descriptor behind a file has 12 to 24 bytes: go to the next header."""
    ahead = stream.read(28)
    found = ahead.find(b"PK\x03\x04")
    stream.seek((found if found != -1 else 0) - len(ahead), 1)
