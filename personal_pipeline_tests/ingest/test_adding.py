"""Files and folders that a person names: brought into the inbox, or explained."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.adding import Explained, brought, count, explained, packed
from personal_pipeline.ingest.contract import Claim, Drop, DropFile, DropRow, DropStream, Source
from personal_pipeline.ingest.inbox import entries, waiting


def recognise(file: DropFile) -> Claim | None:
    if file.name.endswith(".zip"):
        with zipfile.ZipFile(file.path) as archive:
            whole = "album/album.txt" in archive.namelist()
        return Claim(0.8, "an album") if whole else None
    return Claim(0.7, "begins with note") if file.head().startswith(b"note") else None


def doubtful(file: DropFile) -> Claim | None:
    found = file.name.endswith(".txt") and b"e" in file.head()
    return Claim(0.2, "has an e in it") if found else None


def read(file: DropFile) -> Iterator[DropRow]:
    yield from ()


def drop(name: str, recognise: object) -> Drop:
    return Drop(
        name=name,
        description=f"a {name}",
        how_to="",
        recognise=recognise,  # type: ignore[arg-type]
        read=read,
        explain=lambda file: "Nearly a note." if b"nota" in file.head() else None,
        streams=(DropStream(name=name, description="One."),),
    )


SOURCE = Source(
    name="toy", title="Toy", description="", drops=(drop("e", doubtful), drop("note", recognise))
)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    contents = {
        "notes/checking-1234/a.txt": "note a",
        "notes/b.txt": "note b",
        "notes/.hidden": "note",
        "notes/c.part": "note",
        "album/album.txt": "1",
        "album/p/1.jpg": "2",
        "other.txt": "nota",
    }
    for name, content in contents.items():
        path = tmp_path / "given" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (tmp_path / "given" / "notes" / "link.txt").symlink_to("/etc/passwd")
    return tmp_path / "given"


def in_inbox(home: Home) -> set[str]:
    return {path.relative_to(home.inbox).as_posix() for path in waiting(home)}


def test_folders_keep_their_folders_and_an_unpacked_export_becomes_one_zip(
    home: Home, files: Path
) -> None:
    given = [files / "notes", files / "album", files / "other.txt"]
    assert count(given) == 5
    (home.inbox / "kept").mkdir()
    with brought(home, [SOURCE], given):
        assert in_inbox(home) == {
            "notes/checking-1234/a.txt",
            "notes/b.txt",
            "album.zip",
            "other.txt",
        }
        # again, and nothing is overwritten
        with brought(home, [SOURCE], [files / "other.txt"]):
            assert "other-2.txt" in in_inbox(home)
        (home.inbox / "notes" / "checking-1234" / "a.txt").unlink()
    # a folder that still has a file stays, and so does one that was there
    assert {path.name for path in home.inbox.iterdir() if path.is_dir()} == {"kept", "notes"}
    assert not (home.inbox / "notes" / "checking-1234").exists()
    assert (files / "other.txt").exists()
    assert not list(home.state.glob("adding-*"))


def test_an_unpacked_export_in_the_inbox_becomes_one_zip(home: Home, files: Path) -> None:
    for name in ("notes", "album"):
        shutil.copytree(files / name, home.inbox / name, symlinks=True)
    os.utime(home.inbox / "album" / "album.txt", (1_700_000_000, 1_700_000_000))
    os.utime(home.inbox / "album" / "p" / "1.jpg", (1_750_000_000, 1_750_000_000))
    shutil.copy(files / "other.txt", home.inbox)
    assert {path.name for path in entries(home)} == {"notes", "album", "other.txt"}
    taken = packed(home, [SOURCE], entries(home))
    assert {path.relative_to(home.inbox).as_posix() for path in taken} == in_inbox(home)
    assert in_inbox(home) == {"album.zip", "notes/b.txt", "notes/checking-1234/a.txt", "other.txt"}
    assert not (home.inbox / "album").exists()
    assert (home.inbox / "album.zip").stat().st_mtime == 1_750_000_000
    # one that is still being written is left as it is
    shutil.copytree(files / "album", home.inbox / "album")
    (home.inbox / "album" / "2.jpg.part").write_text("3")
    packed(home, [SOURCE], [home.inbox / "album"])
    assert "album/album.txt" in in_inbox(home)


def holds_an_album(file: DropFile) -> Claim | None:
    if not file.name.endswith(".zip"):
        return None
    with zipfile.ZipFile(file.path) as archive:
        found = any(name.endswith("/album.txt") for name in archive.namelist())
    return Claim(0.8, "an album, at any depth") if found else None


ALBUMS = Source(name="albums", title="", description="", drops=(drop("album", holds_an_album),))
NOTES = Source(name="notes", title="", description="", drops=(drop("note", recognise),))


def test_an_export_among_files_of_other_sources_is_only_its_own_folder(
    home: Home, files: Path, tmp_path: Path
) -> None:
    downloads = tmp_path / "downloads"
    shutil.copytree(files / "album", downloads / "phone" / "album")
    shutil.copy(files / "other.txt", downloads / "phone" / "readme.txt")
    # a wrapper, and what nobody knows, are part of the export
    with brought(home, [ALBUMS, NOTES], [downloads / "phone"]):
        assert in_inbox(home) == {"phone.zip"}
        (home.inbox / "phone.zip").unlink()
    shutil.copy(files / "notes" / "b.txt", downloads / "b.txt")
    expected = {"phone.zip", "downloads/b.txt"}
    with brought(home, [ALBUMS, NOTES], [downloads]):
        assert in_inbox(home) == expected
        for name in expected:
            (home.inbox / name).unlink()
    found = {
        each.file: len(each.opinions) for each in explained(home, [ALBUMS, NOTES], [downloads])
    }
    assert found == {"downloads/phone": 1, "downloads/b.txt": 1}
    shutil.copytree(downloads, home.inbox / "downloads")
    taken = packed(home, [ALBUMS, NOTES], entries(home))
    assert {path.relative_to(home.inbox).as_posix() for path in taken} == expected
    assert in_inbox(home) == expected


PACK = """
import sys
from pathlib import Path
from personal_pipeline.home import Home
from personal_pipeline.ingest.adding import packed
home = Home(Path(sys.argv[1]))
print("ready", flush=True)
print(len(packed(home, [], [home.inbox / "album"])))
"""


def test_a_folder_that_another_process_takes_is_waited_for(home: Home, files: Path) -> None:
    shutil.copytree(files / "album", home.inbox / "album")
    with home.lock("inbox", wait_seconds=5):
        other = subprocess.Popen(
            [sys.executable, "-c", PACK, str(home.root)], stdout=subprocess.PIPE, text=True
        )
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(0.5)
        shutil.rmtree(home.inbox / "album")
    assert other.communicate(timeout=60)[0] == "0\n"


def test_a_folder_is_named_even_when_it_is_given_as_a_dot(
    home: Home, files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files / "notes")
    with brought(home, [SOURCE], [Path()]):
        assert in_inbox(home) == {"notes/checking-1234/a.txt", "notes/b.txt"}


def test_explaining_tells_who_claims_what_and_takes_nothing(home: Home, files: Path) -> None:
    with zipfile.ZipFile(files / "z.zip", "w") as archive:
        archive.write(files / "notes" / "b.txt", "b.txt")
    given = [files / "notes", files / "album", files / "other.txt", files / "z.zip"]
    found: dict[str, Explained] = {each.file: each for each in explained(home, [SOURCE], given)}
    assert found.keys() == {
        "notes/checking-1234/a.txt",
        "notes/b.txt",
        "album",
        "other.txt",
        "z.zip/b.txt",
    }
    note = found["notes/b.txt"]
    assert [(each.drop, each.confidence, each.reason) for each in note.opinions] == [
        ("note", 0.7, "begins with note"),
        ("e", 0.2, "has an e in it"),
    ]
    assert note.unknown is None
    assert found["z.zip/b.txt"].opinions == note.opinions
    assert found["album"].opinions[0].reason == "an album"
    stranger = found["other.txt"].unknown or ""
    for words in ("No source recognizes", "It looks like text.", "Nearly a note.", "- Toy: a note"):
        assert words in stranger
    assert waiting(home) == []
    assert not (home.archive / "receipts").exists()
    json.dumps([each.unknown for each in found.values()])
