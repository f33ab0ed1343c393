"""Zip, tar and gzip files from outside, opened defensively.

Contents are written below one folder of ours and nowhere else. A path that escapes its folder is
refused, not sanitized: a file containing one was built to do harm.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from stat import S_ISLNK
from typing import IO, cast

from personal_pipeline.home import free_name
from personal_pipeline.ingest.contract import UnreadableFile

MAX_ENTRIES = 200_000
MAX_DIRECTORY_BYTES = 32_000_000
MAX_NAME_LENGTH = 1_000
MAX_PART_BYTES = 250
"""For one path component; file systems allow 255."""
MAX_TOTAL_BYTES = 50_000_000_000
HIGHEST_RATIO = 300
"""Maximum expansion ratio. XML reaches 10 to 50; a zip bomb, 1,000."""
RATIO_MATTERS_FROM_BYTES = 50_000_000

BLOCK_BYTES = 1 << 20

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_GZIP, _BZIP2, _XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00"
_TAR_AT, _TAR = 257, b"ustar"

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_MEMBER = struct.Struct("<4s5H3L2H")
_STORED, _DEFLATED = 0, 8

_NONSENSE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    NotImplementedError,
    ValueError,
)
DAMAGED_ZIP = (*_NONSENSE, RuntimeError)
"""What zipfile raises for garbage, truncated data, or a missing password."""

_DAMAGED = (
    *_NONSENSE,
    tarfile.TarError,
    gzip.BadGzipFile,
    OverflowError,
    # from tarfile and the decompressors, for garbage
    TypeError,
    IndexError,
)


@dataclass(slots=True)
class Budget:
    """How much a file, including files nested in it, may still unpack to."""

    entries: int
    bytes: int

    @classmethod
    def of(cls, path: Path) -> Budget:
        highest = max(HIGHEST_RATIO * path.stat().st_size, RATIO_MATTERS_FROM_BYTES)
        return cls(MAX_ENTRIES, min(highest, MAX_TOTAL_BYTES))

    def enter(self) -> None:
        """Count a file. Raises ``UnreadableFile``."""
        self.entries -= 1
        if self.entries < 0:
            raise UnreadableFile(f"refused: it contains more than {MAX_ENTRIES:,} files.")

    def spend(self, size: int) -> None:
        """Count bytes. Raises ``UnreadableFile``."""
        self.bytes -= size
        if self.bytes < 0:
            raise UnreadableFile(
                f"refused: it unpacks to more than {HIGHEST_RATIO} times its size, or to more "
                f"than {MAX_TOTAL_BYTES // 10**9} GB."
            )


def kind_of(path: Path) -> str | None:
    """``zip``, ``tar`` or ``compressed``, by magic bytes; None for anything else."""
    with path.open("rb") as stream:
        head = stream.read(512)
    if head.startswith(_ZIP):
        return "zip"
    if head.startswith((_GZIP, _BZIP2, _XZ)):
        return "compressed"
    return "tar" if head[_TAR_AT:].startswith(_TAR) else None


def is_clutter(member: zipfile.ZipInfo) -> bool:
    """Whether a zip member is a folder, or clutter left by a file manager."""
    name = member.filename
    # is_dir itself raises on an empty name
    return (
        not name
        or member.is_dir()
        or name.startswith("__MACOSX/")
        or (name.rpartition("/")[2][:1] == ".")
    )


def refuse_hostile(path: Path) -> None:
    """Raises ``UnreadableFile`` for a zip whose directory shows malicious intent. A truncated zip
    without a directory passes, as does anything that is not a zip."""
    if kind_of(path) != "zip":
        return
    with suppress(*_DAMAGED):
        _check_directory_size(path)
        with zipfile.ZipFile(path) as archive:
            budget = Budget.of(path)
            for member in archive.infolist():
                budget.enter()
                budget.spend(member.file_size)
                _check_zip_member(member)


def _check_directory_size(path: Path) -> None:
    """Check the size of the directory before reading it: it is held in memory as a whole."""
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
    if entries > MAX_ENTRIES or length > MAX_DIRECTORY_BYTES:
        raise UnreadableFile(f"refused: it contains more than {MAX_ENTRIES:,} files.")


def _check_zip_member(member: zipfile.ZipInfo) -> None:
    _check_name(_zip_name(member))
    if S_ISLNK(member.external_attr >> 16):
        raise UnreadableFile("refused: it contains a symbolic link.")
    if (
        member.file_size > RATIO_MATTERS_FROM_BYTES
        and member.file_size > HIGHEST_RATIO * member.compress_size
    ):
        raise UnreadableFile(
            f"refused: a file in it unpacks to more than {HIGHEST_RATIO} times its size."
        )


def _check_name(name: str) -> None:
    parts = name.replace("\\", "/").split("/")
    if len(name) > MAX_NAME_LENGTH or any(
        len(part.encode("utf-8", "replace")) > MAX_PART_BYTES for part in parts
    ):
        raise UnreadableFile(
            f"refused: it contains a name of more than {MAX_NAME_LENGTH:,} characters, or "
            f"{MAX_PART_BYTES} in one part."
        )
    if name.startswith(("/", "\\")) or name[1:2] == ":" or ".." in parts or "\0" in name:
        raise UnreadableFile("refused: it contains a path that leads out of its folder.")


def _zip_name(member: zipfile.ZipInfo) -> str:
    """The member's name. Without the UTF-8 flag a name is nominally CP437, and hardly ever is."""
    if member.flag_bits & 0x800:
        return member.filename
    raw = member.filename.encode("cp437", "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return member.filename


def unpack(path: Path, into: Path, budget: Budget) -> list[Path]:
    """Extract an archive into a new folder; returns the files in name order.

    Files get the modification time recorded in the archive, capped at that of the archive itself.
    Entries that macOS adds to zips are skipped. Raises ``UnreadableFile`` when the archive is
    hostile or damaged.
    """
    into.mkdir(parents=True)
    newest = path.stat().st_mtime
    kind = kind_of(path)
    try:
        if kind == "zip":
            _check_directory_size(path)
            members = _zip_members(path)
        else:
            members = _tar_members(path) if _is_tar(path) else _only_member(path)
        written = []
        for name, modified, content in members:
            budget.enter()
            _check_name(name)
            place = _place(into, name)
            _write(content, place, budget)
            stamp = min(modified, newest)
            os.utime(place, (stamp, stamp))
            written.append(place)
        return sorted(written)
    except (FileExistsError, NotADirectoryError, IsADirectoryError):
        raise UnreadableFile("refused: a name in it is a file and a folder at once.") from None
    except _DAMAGED as error:
        raise _damaged(error) from None
    except OSError as error:
        if error.errno is not None:
            raise  # a disk error, not a damaged archive
        raise _damaged(error) from None
    except RuntimeError:
        # raised by zipfile for an encrypted member
        raise UnreadableFile(
            "it is password-protected: unpack it, and add the files themselves."
        ) from None


def _damaged(error: Exception) -> UnreadableFile:
    kind = type(error).__name__
    return UnreadableFile(f"it is damaged or incomplete ({kind}); download it again.")


def _zip_members(path: Path) -> Iterator[tuple[str, float, IO[bytes]]]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            _check_zip_member(member)
            name = _zip_name(member)
            if member.is_dir() or name.startswith("__MACOSX/"):
                continue
            try:
                # zip times have no zone: read as UTC, they are at most a day off
                modified = datetime(*member.date_time, tzinfo=UTC).timestamp()
            except ValueError:
                modified = path.stat().st_mtime
            with archive.open(member) as content:
                yield name, modified, content


def _is_tar(path: Path) -> bool:
    try:
        with tarfile.open(path, "r|*") as archive:
            # a tar without files is all zeros, too
            return archive.next() is not None
    except (*_DAMAGED, OSError):
        return False


def _tar_members(path: Path) -> Iterator[tuple[str, float, IO[bytes]]]:
    # streamed: tar headers precede each file, so no table of contents is held in memory
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            archive.members = []  # type: ignore[attr-defined]  # which would keep every header in memory
            name = member.name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
            _check_name(name)
            if member.isdir():
                continue
            if not member.isreg():
                raise UnreadableFile("refused: it contains a link or a device.")
            content = archive.extractfile(member)
            if content is not None:
                yield name, float(member.mtime), content


def _only_member(path: Path) -> Iterator[tuple[str, float, IO[bytes]]]:
    with path.open("rb") as stream:
        head = stream.read(3)
    module = gzip if head.startswith(_GZIP) else bz2 if head == _BZIP2 else lzma
    with module.open(path) as content:
        yield path.stem or "content", path.stat().st_mtime, cast("IO[bytes]", content)


def _place(into: Path, name: str) -> Path:
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    place = into.joinpath(*(parts or ["content"]))
    place.parent.mkdir(parents=True, exist_ok=True)
    return free_name(place)


def _write(content: IO[bytes], place: Path, budget: Budget) -> None:
    with place.open("wb") as target:
        while block := content.read(BLOCK_BYTES):
            budget.spend(len(block))
            target.write(block)


def members_of_cut_zip(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """The files of a zip without a directory because its end is missing: names and contents, from
    the header before each. The last one may be truncated.

    Raises ``UnreadableFile`` when it is hostile.
    """
    budget = Budget.of(path)
    with path.open("rb") as stream:
        while len(head := stream.read(_MEMBER.size)) == _MEMBER.size:
            mark, _, flags, method, _, _, _, size, _, name_size, more = _MEMBER.unpack(head)
            is_described_behind = bool(flags & 8)
            if mark != _ZIP[0] or flags & 1 or (method == _STORED and is_described_behind):
                return
            raw = stream.read(name_size)
            if len(raw) < name_size:
                return
            stream.seek(more, os.SEEK_CUR)
            budget.enter()
            name = raw.decode("utf-8", "replace")
            _check_name(name)
            if method == _DEFLATED:
                content = _inflated(stream, budget)
            elif method == _STORED:
                content = _stored(stream, size, budget)
            else:
                return
            yield name, content
            for _ in content:
                pass
            if is_described_behind:
                _skip_description(stream)


def _stored(stream: IO[bytes], size: int, budget: Budget) -> Iterator[bytes]:
    while size and (block := stream.read(min(size, BLOCK_BYTES))):
        size -= len(block)
        budget.spend(len(block))
        yield block


def _inflated(stream: IO[bytes], budget: Budget) -> Iterator[bytes]:
    """Whatever can be read, up to the end of the data or of the file; leaves the stream positioned
    there."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    while not inflater.eof and (block := inflater.unconsumed_tail or stream.read(BLOCK_BYTES)):
        try:
            content = inflater.decompress(block, BLOCK_BYTES)
        except zlib.error:
            stream.seek(0, os.SEEK_END)
            return
        budget.spend(len(content))
        yield content
    if not inflater.eof:
        yield inflater.flush()
    stream.seek(-len(inflater.unused_data), os.SEEK_CUR)


def _skip_description(stream: IO[bytes]) -> None:
    """Skip the checksum and sizes, of 4 or 8 bytes each, with or without a signature before
    them."""
    start = stream.tell()
    behind = stream.read(64)
    at = behind.find(_ZIP[0], 12)
    stream.seek(start + at if 12 <= at <= 24 else start + len(behind))


def mend_zip(path: Path, place: Path) -> None:
    """Write what can be recovered from a zip without a directory into a new one. Raises
    ``UnreadableFile`` when it is hostile."""
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members_of_cut_zip(path):
            if name in archive.NameToInfo or name.endswith("/"):
                continue
            with archive.open(name, "w", force_zip64=True) as target:
                for block in content:
                    target.write(block)


def zip_folder(folder: Path, place: Path, within: str = "") -> None:
    """Zip the files of a folder, placing them in the folder ``within``. Deterministic: the same
    files give the same bytes, and the zip gets the time of the newest file. Hidden files and links
    are skipped."""
    newest = 0.0
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for path in files_below(folder):
            name = f"{within}{path.relative_to(folder).as_posix()}"
            newest = max(newest, path.stat().st_mtime)
            modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            when = modified.timetuple()[:6] if modified.year >= 1980 else (1980, 1, 1, 0, 0, 0)
            entry = zipfile.ZipInfo(name, when)
            entry.compress_type = zipfile.ZIP_DEFLATED
            with path.open("rb") as content, archive.open(entry, "w") as target:
                shutil.copyfileobj(content, target, BLOCK_BYTES)
    os.utime(place, (newest, newest))


def files_below(folder: Path) -> list[Path]:
    """The files in a folder, recursively, without hidden files and links. Files that another
    process removes in the meantime are skipped."""
    found = []
    # not rglob, which raises if a folder disappears while it walks
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(place, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file() and not path.is_symlink()]
    return sorted(found)
