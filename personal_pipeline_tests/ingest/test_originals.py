from __future__ import annotations

import os
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.originals import REPLACED, digest_of, keep_original, original_path


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
    assert keep_original(home, file, digest) is None
    original = original_path(home, digest, file.name)
    stat = original.stat()
    original.chmod(0o600)
    original.write_bytes(damage(file.read_bytes()))
    os.utime(original, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert keep_original(home, file, digest) == REPLACED
    assert original.read_bytes() == file.read_bytes()
    assert original.stat().st_mode & 0o222 == 0
    assert keep_original(home, file, digest) is None


def test_a_good_original_is_left_as_it_is(home: Home, tmp_path: Path) -> None:
    file = tmp_path / "statement.csv"
    file.write_bytes(b"day,amount\n")
    keep_original(home, file, digest_of(file))
    original = original_path(home, digest_of(file), file.name)
    before = original.stat()
    keep_original(home, file, digest_of(file))
    assert original.stat() == before
