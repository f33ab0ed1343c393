"""The files of an export: in a zip, by themselves, and damaged."""

from __future__ import annotations

import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from personal_pipeline.ingest.contract import DropFile, UnreadableFile
from personal_pipeline.ingest.members import DAMAGED, members
from personal_pipeline.ingest.records import json_elements


def zipped(tmp_path: Path, files: dict[str, bytes]) -> DropFile:
    path = tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return DropFile(path, path.name, datetime(2026, 11, 21, tzinfo=UTC))


def test_a_zip_has_its_files_in_order_without_clutter(tmp_path: Path) -> None:
    clutter = {"__MACOSX/data/._a.js": b"", "data/.DS_Store": b"", "data/": b""}
    file = zipped(tmp_path, {"data/b.js": b"2", **clutter, "a.txt": b"1"})
    with members(file) as found:
        assert [(each.name, each.head()) for each in found] == [
            ("a.txt", b"1"),
            ("data/b.js", b"2"),
        ]


def test_any_other_file_is_its_own_only_one(tmp_path: Path) -> None:
    path = tmp_path / "tweets.js"
    path.write_bytes(b"[1]")
    with members(DropFile(path, "said.js", datetime(2026, 11, 21, tzinfo=UTC))) as (only,):
        assert (only.name, only.head(2)) == ("said.js", b"[1")
        assert list(json_elements(only)) == [1]


def test_a_zip_that_breaks_off_is_refused(tmp_path: Path) -> None:
    file = zipped(tmp_path, {"a": b"1"})
    file.path.write_bytes(file.path.read_bytes()[:-9])
    with pytest.raises(UnreadableFile, match="Download it again"), members(file):
        pass


def test_one_damaged_file_leaves_the_others(tmp_path: Path) -> None:
    file = zipped(tmp_path, {"a": b"[1, 2]", "b": b"[3]"})
    file.path.write_bytes(file.path.read_bytes().replace(b"[1, 2]", b"[1, 9]"))
    with members(file) as (damaged, whole):
        assert damaged.head() == b""
        with pytest.raises(DAMAGED), damaged.open() as stream:
            stream.read()
        with pytest.raises(UnreadableFile, match="damaged"):
            list(json_elements(damaged))
        assert list(json_elements(whole)) == [3]
