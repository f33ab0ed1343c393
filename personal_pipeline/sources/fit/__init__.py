"""FIT files as written by bike computers and watches (Wahoo, Garmin, Coros, Suunto …), dropped
singly or as a zip or folder of many; GPX and TCX tracks likewise.

What surprised the author:
- A device writes the session summary last, so a truncated file has none: it is computed from the
  records, and marked as such.
- Times count from 1989, but a device that has not found a satellite yet counts from when it was
  switched on.
- A developer field may be the only one with the power: it says which native field it stands for.
- A summary may lack what its samples show, have zeros, or begin weeks before the first of them.
- Not every FIT file is an activity: settings, courses and daily steps look the same from outside.
- Strava returns exactly the bytes that were uploaded, so their digest identifies the ride.
"""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from personal_pipeline.ingest.archives import DAMAGED_ZIP, is_clutter, kind_of
from personal_pipeline.ingest.contract import (
    Claim,
    Drop,
    DropFile,
    DropRow,
    DropStream,
    Record,
    Source,
    Unreadable,
    UnreadableFile,
)
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.sources.fit.formats import SAMPLES, Member, format_of

if TYPE_CHECKING:
    from personal_pipeline.sources.fit.files import ReadFile

ENDINGS = (".fit", ".gpx", ".tcx", ".fit.gz", ".gpx.gz", ".tcx.gz")
_MAX_LOOKED_AT = 20
_SAID = {"fit": "a FIT file", "gpx": "a track in GPX", "tcx": "a track in TCX"}


def no_columns(_: Record) -> tuple[str, ...]:
    """A device writes whatever it has sensors for: new or missing fields mean nothing."""
    return ()


CODE = "2"
"""Version of the recording reader. Since 2 it computes figures from samples and laps, reads zeros
without a sensor as no measurement, and bounds a session by its samples."""

RECORDINGS = (
    "One row is what a device recorded of one activity: the session as its file tells it, laps, "
    "devices and developer fields. Filed under the UTC month in which it began."
)
RECORDING_SAMPLES = (
    "One row is a sample of a recording, about one a second: metres, metres a second, degrees, "
    "watts, beats a minute, UTC. Filed under the month in which the recording began. Parquet."
)


def recognise_recordings(file: DropFile) -> Claim | None:
    """Whether the file is a recording, or a zip of nothing but recordings."""
    if kind_of(file.path) == "zip":
        members = members_of(file)
        return Claim(0.9, f"a zip of {len(members):,} FIT, GPX or TCX files") if members else None
    kind = format_of(file.head(4_096))
    return Claim(0.95 if kind == "fit" else 0.9, _SAID[kind]) if kind else None


def members_of(file: DropFile) -> list[Member]:
    """The files of a zip that contains nothing but recordings; empty for any other."""
    try:
        with zipfile.ZipFile(file.path) as archive:
            every = [each for each in archive.infolist() if not is_clutter(each)]
            members = [each for each in every if each.filename.lower().endswith(ENDINGS)]
            if len(members) != len(every):
                return []
            for each in members[:_MAX_LOOKED_AT]:
                with archive.open(each) as stream:
                    if format_of(stream.read(4_096)) is None:
                        return []
    except DAMAGED_ZIP:
        return []
    return [Member(each.filename, each.compress_size) for each in members]


def load_recordings(file: DropFile, spool: Spool) -> Iterator[DropRow | Unreadable]:
    """Read a recording or a zip of them. Raises ``UnreadableFile`` when it contains no activity."""
    # slow to import, and most files checked are something else
    from personal_pipeline.sources.fit.files import read_file, read_members

    if kind_of(file.path) == "zip":
        members = members_of(file)
        yield from rows_of(read_members(file, members, spool))
        return
    found = read_file(file.path, file.name, spool)
    if not found.rows:
        what = f"it is a file of another kind ({found.other})" if found.other else None
        raise UnreadableFile(
            f"No activity in it: {what or '; '.join(found.problems) or 'it is empty'}. Copy the "
            "activity file from the device again."
        )
    yield from rows_of([found])


def rows_of(files: Iterable[ReadFile]) -> Iterator[DropRow | Unreadable]:
    """Rows of ``recordings``; a file that could not be read completely adds one unreadable row, and
    all files that are not activities share one."""
    others: Counter[str] = Counter()
    for each in files:
        for key, month, record in each.rows:
            yield DropRow("recordings", month, key, record)
        if each.problems:
            rest = " The readable part was ingested." if each.rows else ""
            yield Unreadable(f"{'; '.join(each.problems)}.{rest}", {"file": each.name})
        elif not each.rows:
            others[each.other or "empty"] += 1
    if others:
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(others.items()))
        yield Unreadable(
            f"{others.total():,} files in it have no activity ({kinds}).",
            {"files": dict(others)},
        )


RECORDING = Drop(
    name="recordings",
    description="FIT files of a bike computer or watch, GPX and TCX tracks, or a zip of them",
    how_to=(
        "1. Connect the device as a drive, or open its app: ELEMNT (share a ride as FIT), Garmin "
        "Connect (the gear of an activity, Export Original), Coros (share, Export Data, FIT).\n"
        "2. Put the files into the inbox; `personal-pipeline add FOLDER` ingests a whole folder."
    ),
    recognise=recognise_recordings,
    load=load_recordings,
    streams=(
        # the same file may come under another name
        DropStream(name="recordings", description=RECORDINGS, volatile=("file",),
                   columns=no_columns, code_version=CODE),
        DropStream(name="recording_samples", description=RECORDING_SAMPLES, table=SAMPLES,
                   code_version=CODE),
    ),
)  # fmt: skip

FIT = Source(
    name="fit",
    title="FIT files",
    description="What bike computers and watches recorded, from their files, by hand.",
    drops=(RECORDING,),
)

__all__ = ["FIT"]
