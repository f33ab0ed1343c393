"""The archive of an account: the table, and the activity files."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from itertools import islice

from personal_pipeline.ingest.archives import DAMAGED_ZIP, is_clutter, kind_of
from personal_pipeline.ingest.contract import (
    MAX_HELD_BYTES,
    Claim,
    DropFile,
    DropRow,
    Incomplete,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.sources.fit import ENDINGS, rows_of
from personal_pipeline.sources.fit.formats import Member
from personal_pipeline.sources.strava.table import Layout, layout_of, read_table

TABLE = "activities.csv"
FOLDER = "activities/"
_HEAD_LINES = 300
_HEAD_BYTES = 262_144
_DAMAGED = (*DAMAGED_ZIP, OSError)


def recognise_export(file: DropFile) -> Claim | None:
    """Whether the file is an account archive, or the table from one."""
    if kind_of(file.path) != "zip":
        found = _layout(file.head(_HEAD_BYTES))
        return Claim(0.9, "the table of a Strava archive, without its files") if found else None
    try:
        with zipfile.ZipFile(file.path) as archive:
            found_in = _table_in(archive)
    except _DAMAGED:
        return None
    if found_in is None:
        return None
    return Claim(0.97, "a zip with Strava's activities.csv and its headers")


def _table_in(archive: zipfile.ZipFile) -> tuple[zipfile.ZipInfo, Layout] | None:
    """The table of an archive, at the top level or in a folder."""
    tables = [
        each
        for each in archive.infolist()
        if each.filename.rpartition("/")[2].lower() == TABLE and not is_clutter(each)
    ]
    for each in sorted(tables, key=lambda member: member.filename.count("/")):
        with archive.open(each) as stream:
            layout = _layout(stream.read(_HEAD_BYTES))
        if layout:
            return each, layout
    return None


def _layout(head: bytes) -> Layout | None:
    if b"\0" in head:
        return None
    text = io.StringIO(head.decode("utf-8-sig", errors="replace"), newline="")
    return layout_of(list(islice(text, _HEAD_LINES)))


def load_export(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable | Incomplete]:
    """Read an archive. Samples of recordings go into the spool; everything else is yielded.

    Raises ``UnreadableFile`` when it contains no table.
    """
    # slow to import, and most files checked are something else
    from personal_pipeline.sources.fit.files import read_members, show_samples

    if kind_of(file.path) != "zip":
        show_samples(spool)
        layout = _layout(file.head(_HEAD_BYTES))
        assert layout is not None
        yield from read_table(_lines(file.content()), layout)
        yield Incomplete(
            "Incomplete: this is only the table, without the activity files. Its rows were added "
            "and none removed; drop the whole export_….zip."
        )
        return
    path = file.path
    with zipfile.ZipFile(path) as archive:
        found = _table_in(archive)
        if found is None:
            raise UnreadableFile("Strava: it has no activities.csv. Request the archive again.")
        table, layout = found
        top = table.filename.rpartition("/")[0]
        top = f"{top}/" if top else ""
        members = [
            Member(each.filename, each.compress_size)
            for each in archive.infolist()
            if each.filename.startswith(top + FOLDER)
            and each.filename.lower().endswith(ENDINGS)
            and not is_clutter(each)
        ]
        if table.file_size > MAX_HELD_BYTES:
            raise UnreadableFile("Strava: its activities.csv is larger than any real one.")
        try:
            content = archive.read(table)
        except _DAMAGED:
            raise UnreadableFile(
                "Strava: its activities.csv is damaged. Download the archive again."
            ) from None
    names = set()
    for item in read_table(_lines(content), layout):
        if isinstance(item, DropRow):
            names.add(item.record["columns"].get("Filename"))
        yield item
    there = {each.name.removeprefix(top) for each in members}
    for row in rows_of(read_members(file, members, spool)):
        if isinstance(row, DropRow):
            # the name used in the table
            row.record["file"] = str(row.record["file"]).removeprefix(top)
        yield row
    missing = {name for name in names if name} - there
    if missing:
        yield Unreadable(
            f"activities.csv names {len(missing):,} files that are not in the archive.",
            {"files": sorted(map(str, missing))},
        )


def _lines(content: bytes) -> io.StringIO:
    return io.StringIO(content.decode("utf-8-sig", errors="replace"), newline="")
