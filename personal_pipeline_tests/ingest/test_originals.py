from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.lake import digest_of
from personal_pipeline.ingest.originals import keep_originals, original_path


def copy_of(file: Path) -> Path:
    """A private copy: the archive may take the very file."""
    folder = Path(tempfile.mkdtemp(dir=file.parent))
    return Path(shutil.copy2(file, folder / file.name))


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def altered(content: bytes) -> bytes:
    return content[:-1] + b"?"


def emptied(_: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("damage", [truncated, altered, emptied])
def test_a_damaged_original_gives_way_to_the_good_file(home: Home, damage: object) -> None:
    assert callable(damage)
    file = home.inbox / "statement.csv"
    file.write_bytes(b"day,amount\n2026-11-01,5\n")
    digest = digest_of(file)
    assert not keep_originals(home, [(copy_of(file), digest)])
    original = original_path(home, digest, file.name)
    stat = original.stat()
    original.chmod(0o600)
    original.write_bytes(damage(file.read_bytes()))
    os.utime(original, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert keep_originals(home, [(copy_of(file), digest)]) == {digest}
    assert original.read_bytes() == file.read_bytes()
    assert original.stat().st_mode & 0o222 == 0
    assert not keep_originals(home, [(copy_of(file), digest)])


def test_a_good_original_is_left_as_it_is(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "statement.csv"
    file.write_bytes(b"day,amount\n")
    keep_originals(home, [(copy_of(file), digest_of(file))])
    original = original_path(home, digest_of(file), file.name)
    before = original.stat()
    keep_originals(home, [(copy_of(file), digest_of(file))])
    assert original.stat() == before
