"""Archives in the inbox: taken whole or file by file, and refused when they would do harm."""

from __future__ import annotations

import gzip
import io
import os
import random
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.home import Home
from personal_pipeline.ingest.archives import (
    MAX_ENTRIES,
    Budget,
    members_of_cut_zip,
    unpack,
    zip_folder,
)
from personal_pipeline.ingest.contract import (
    Claim,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Source,
    UnreadableFile,
)
from personal_pipeline.ingest.inbox import IngestedFile, ingest_file, waiting
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.originals import original_path

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
STREAM = DropStream(name="notes", description="One note.")


def recognise_note(file: DropFile) -> Claim | None:
    return Claim(0.9, "begins with note") if file.head().startswith(b"note") else None


def read_note(file: DropFile) -> Iterator[DropRow]:
    text = file.path.read_text()
    yield DropRow("notes", date(2026, 11, 1), text, {"text": text, "folder": file.path.parent.name})


def recognise_album(file: DropFile) -> Claim | None:
    if not zipfile.is_zipfile(file.path):
        return None
    with zipfile.ZipFile(file.path) as archive:
        inside = any(name.endswith("album.txt") for name in archive.namelist())
    return Claim(0.8, "a zip with an album.txt") if inside else None


def read_album(file: DropFile) -> Iterator[DropRow]:
    with zipfile.ZipFile(file.path) as archive:
        for name in sorted(archive.namelist()):
            yield DropRow("albums", date(2026, 11, 1), name, {"name": name})


def drop(name: str, recognise: Callable[[DropFile], Claim | None], read: object) -> Drop:
    return Drop(
        name=name,
        description=f"a {name}",
        how_to="Export it.",
        recognise=recognise,
        read=read,  # type: ignore[arg-type]
        streams=(DropStream(name=f"{name}s", description="One."),),
    )


SOURCE = Source(
    name="toy",
    title="Toy",
    description="",
    drops=(drop("note", recognise_note, read_note), drop("album", recognise_album, read_album)),
)


def zipped(files: Mapping[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, (2024, 2, 3, 4, 5, 6))
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


def tarred(files: Mapping[str, bytes], mode: str = "w:gz") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


def dropped(home: Home, name: str, content: bytes) -> IngestedFile:
    path = home.inbox / name
    path.write_bytes(content)
    taken = ingest_file(home, [SOURCE], path, NOW)
    assert waiting(home) == []
    assert not list(home.state.glob("unpacked-*"))
    return taken


def notes(home: Home) -> dict[str, str]:
    rows = lake_of(home, "toy", STREAM).read(date(2026, 11, 1))
    return {key: row.record["folder"] for key, row in rows.items()}


FILES = {"a.txt": b"note a", "deep/b.txt": b"note b", "readme.md": b"of no interest"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.zip", zipped(FILES)),
        ("x.tar.gz", tarred(FILES)),
        ("x.tgz", tarred(FILES)),
        ("x.tar", tarred(FILES, "w")),
        ("x.tar.xz", tarred(FILES, "w:xz")),
        ("x", tarred(FILES, "w:bz2")),
        ("nested.zip", zipped({"inner.zip": zipped(FILES)})),
        ("mixed.tar.gz", tarred({"inner.zip": zipped(FILES)})),
    ],
)
def test_an_archive_that_nobody_claims_is_taken_file_by_file(
    home: Home, name: str, content: bytes
) -> None:
    taken = dropped(home, name, content)
    assert set(notes(home)) == {"note a", "note b"}
    assert notes(home)["note b"] == "deep"
    assert taken.receipt.problem is None
    assert taken.receipt.warning == "Files in it that were not recognized: 1."
    assert [each.receipt.drop for each in taken.members] == ["note", "note"]
    assert all(each.receipt.file.startswith(f"{name}/") for each in taken.members)
    # the archive is kept whole, and so is what was taken out of it
    for each in taken.everything():
        assert original_path(home, each.receipt.digest, each.receipt.file).exists()
    again = dropped(home, name, content)
    assert [s.new for each in again.members for s in each.receipt.streams] == [0, 0]
    assert len(list((home.archive / "receipts").iterdir())) == 6


def test_a_zip_two_levels_down_is_not_opened(home: Home) -> None:
    deep = zipped({"2.zip": zipped({"3.zip": zipped(FILES)}), "a.txt": b"note top"})
    taken = dropped(home, "1.zip", deep)
    assert set(notes(home)) == {"note top"}
    assert taken.receipt.warning == "Files in it that were not recognized: 1."


def test_an_export_is_the_same_as_zip_tar_and_folder(home: Home, tmp_path: Path) -> None:
    files = {"export/album.txt": b"1", "export/p/1.jpg": b"\xff\xd8", "export/p/2.jpg": b"\xff"}
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    zip_folder(tmp_path / "export", tmp_path / "folder.zip", "export/")
    found = []
    for name, content in {
        "one.zip": zipped(files),
        "two.tar.gz": tarred(files),
        "three.zip": (tmp_path / "folder.zip").read_bytes(),
    }.items():
        receipt = dropped(home, name, content).receipt
        assert (receipt.drop, receipt.file) == ("album", name)
        found.append((receipt.streams[0].new, receipt.streams[0].unchanged))
    assert found == [(3, 0), (0, 3), (0, 3)]


def test_one_compressed_file_is_taken(home: Home) -> None:
    dropped(home, "n.txt.gz", gzip.compress(b"note zipped"))
    assert set(notes(home)) == {"note zipped"}


@pytest.mark.parametrize("name", ["ünïcode ☕.txt", "日本語/メモ.txt", "кот.txt", "a\nb.txt"])
@pytest.mark.parametrize("pack", [zipped, tarred])
def test_names_in_any_language(
    home: Home, name: str, pack: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    dropped(home, "x.bin", pack({name: b"note " + name.encode()}))
    assert len(notes(home)) == 1


def test_a_name_in_another_encoding_than_the_zip_says(home: Home) -> None:
    content = zipped({"XXXXX.txt": b"note 1"}).replace(b"XXXXX", "Bär☕"[:3].encode() + b"_")
    taken = dropped(home, "x.zip", content)
    assert [each.receipt.file for each in taken.members] == ["x.zip/Bär_.txt"]
    taken = dropped(home, "y.tar", tarred({"XXXXX": b"note 2"}, "w").replace(b"XXXXX", b"B\xe4r__"))
    assert taken.receipt.problem is not None or taken.members  # the checksum of tar may object


def test_an_archive_of_strangers_is_set_aside_whole(home: Home) -> None:
    taken = dropped(home, "x.zip", zipped({"1.bin": b"\0", "2.bin": b"\1"}))
    assert taken.receipt.problem == "No source recognizes any of the 2 files in it."
    aside = home.quarantine / "unknown" / "x.zip"
    assert aside.exists()
    assert "Toy: a note" in aside.with_name("x.zip.reason.txt").read_text()


# ------------------------------------------------------------------------------- what is refused


def with_link(kind: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo("link.txt")
        member.type = kind
        member.linkname = "/etc/passwd"
        archive.addfile(member)
    return target.getvalue()


def zip_with_link() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        entry = zipfile.ZipInfo("link.txt")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return target.getvalue()


def with_many_entries() -> bytes:
    """The end of a zip that says it holds ten million files."""
    directory = b"PK\x03\x04" + b"\0" * 100
    return directory + struct.pack(
        "<4sQ2H2L4Q4sLQL4s4H2LH",
        *(b"PK\x06\x06", 44, 45, 45, 0, 0, 10_000_000, 10_000_000, 460_000_000, 104),
        *(b"PK\x06\x07", 0, 104, 1),
        *(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0),
    )


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "zip-up": (lambda: zipped({"../../evil.txt": b"note"}), "leads out of its folder"),
    "zip-absolute": (lambda: zipped({"/etc/evil.txt": b"note"}), "leads out of its folder"),
    "zip-drive": (lambda: zipped({"C:\\evil.txt": b"note"}), "leads out of its folder"),
    "zip-backslash": (lambda: zipped({"a\\..\\..\\evil.txt": b"note"}), "leads out of its folder"),
    "zip-link": (zip_with_link, "symbolic link"),
    "zip-long-name": (lambda: zipped({"n" * 4_000: b"note"}), "a name of more than"),
    "zip-long-part": (lambda: zipped({"n" * 300: b"note"}), "a name of more than"),
    "zip-bomb": (lambda: zipped({"zeros": bytes(60_000_000)}), "300 times its size"),
    "zip-bomb-of-many": (
        lambda: zipped({f"{n}": bytes(6_000_000) for n in range(10)}),
        "300 times its size",
    ),
    "zip-ten-million": (with_many_entries, f"more than {MAX_ENTRIES:,} files"),
    "zip-file-and-folder": (lambda: zipped({"a": b"note", "a/b": b"note"}), "file and a folder"),
    "tar-up": (lambda: tarred({"../../evil.txt": b"note"}), "leads out of its folder"),
    "tar-absolute": (lambda: tarred({"/tmp/evil.txt": b"note"}), "leads out of its folder"),
    "tar-symlink": (lambda: with_link(tarfile.SYMTYPE), "a link or a device"),
    "tar-hardlink": (lambda: with_link(tarfile.LNKTYPE), "a link or a device"),
    "tar-device": (lambda: with_link(tarfile.CHRTYPE), "a link or a device"),
    "tar-long-name": (lambda: tarred({"n" * 4_000: b"note"}), "a name of more than"),
    "tar-bomb": (lambda: tarred({"zeros": bytes(60_000_000)}), "300 times its size"),
    "gzip-bomb": (lambda: gzip.compress(bytes(60_000_000)), "300 times its size"),
    "nested": (
        lambda: zipped({"a.txt": b"note", "inner.zip": zipped({"../evil.txt": b"note"})}),
        "leads out of its folder",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_would_do_harm_is_refused_with_a_sentence(
    home: Home, tmp_path: Path, name: str
) -> None:
    make, sentence = HOSTILE[name]
    before = {path for path in tmp_path.rglob("*") if home.root not in path.parents}
    taken = dropped(home, name, make())
    assert taken.receipt.problem is not None
    assert sentence in taken.receipt.problem
    assert taken.receipt.problem.endswith(".")
    assert (home.quarantine / "unknown" / name).exists()
    assert notes(home) == {}
    assert {path for path in tmp_path.rglob("*") if home.root not in path.parents} == before
    assert not list(Path("/tmp").glob("evil*"))


def test_a_locked_zip_says_what_to_do(home: Home) -> None:
    content = bytearray(zipped({"a.txt": b"note"}))
    for mark in (b"PK\x03\x04", b"PK\x01\x02"):
        content[content.find(mark) + (6 if mark[2] == 3 else 8)] |= 1
    receipt = dropped(home, "locked.zip", bytes(content)).receipt
    assert receipt.problem is not None
    assert "password" in receipt.problem


@pytest.mark.parametrize("pack", [zipped, tarred])
def test_one_that_breaks_off_is_refused(
    home: Home, pack: Callable[[Mapping[str, bytes]], bytes]
) -> None:
    content = pack({"a.txt": b"note", "b.txt": os.urandom(20_000)})
    receipt = dropped(home, "x.bin", content[:10_000]).receipt
    assert receipt.problem is not None
    assert "damaged or incomplete" in receipt.problem


class Pipe:
    """What a zip is written to from front to back: sizes then stand behind each file."""

    def __init__(self, target: io.BytesIO) -> None:
        self.target = target

    def write(self, content: bytes) -> int:
        return self.target.write(content)

    def flush(self) -> None:
        pass


@settings(max_examples=50)
@given(st.integers(0, 2_300), st.booleans(), st.integers(0, 2**32))
def test_a_zip_without_its_end_gives_what_is_before_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, described: bool, seed: int
) -> None:
    files = {
        "a.txt": b"note" * 100,
        "b.bin": random.Random(seed).randbytes(1500),
        "c.txt": b"c" * 900,
    }
    target = io.BytesIO()
    place: Any = Pipe(target) if described else target
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    directory = target.getvalue().index(b"PK\x01\x02")
    path = tmp_path_factory.getbasetemp() / "cut.zip"
    path.write_bytes(target.getvalue()[:cut])
    found = {name: b"".join(content) for name, content in members_of_cut_zip(path)}
    for (name, content), whole in zip(found.items(), files, strict=False):
        assert name == whole
        assert files[name].startswith(content)
    assert [files[name] for name in found][:-1] == list(found.values())[:-1]
    if cut >= directory:
        assert found == files


def test_twenty_thousand_files_are_ordinary(tmp_path: Path) -> None:
    path = tmp_path / "many.zip"
    path.write_bytes(zipped({f"activities/{n}.fit": b"%d" % n for n in range(20_000)}))
    assert len(unpack(path, tmp_path / "out", Budget.of(path))) == 20_000


@given(st.binary(max_size=600), st.sampled_from([b"PK\x03\x04", b"\x1f\x8b\x08", b"BZh9", b""]))
@settings(
    max_examples=60, deadline=2_000, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_unpacked_or_refused(tmp_path: Path, content: bytes, start: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(start + content)
    into = tmp_path / f"out-{len(list(tmp_path.iterdir()))}"
    with suppress(UnreadableFile):
        unpack(path, into, Budget.of(path))
