"""FIT: from files to the lake, against fitdecode alone, which only decodes.

The same files in one run: fitdecode parses every record into an object, one file after the other;
our code only decodes them, and then ingests them as one zip through the inbox, including samples
in Parquet. Without ``--file`` a ride is generated.

Decision: docs/decisions/0018-activities.md.
"""

from __future__ import annotations

import argparse
import shutil
import struct
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import fitdecode

from benchmarks.measured import Measured, seconds_of, show
from personal_pipeline.home import Home
from personal_pipeline.ingest.inbox import ingest_file
from personal_pipeline.sources.fit import FIT
from personal_pipeline.sources.fit.files import recordings_of
from personal_pipeline.sources.fit.messages import EPOCH, checksum

_FILE_ID = bytes((0x40, 0, 0, 0, 0, 3, 0, 1, 0x00, 3, 4, 0x8C, 4, 4, 0x86))
_RECORD = bytes((0x41, 0, 0, 20, 0, 9, 253, 4, 0x86, 0, 4, 0x85, 1, 4, 0x85, 2, 2, 0x84, 3, 1, 0x02,
                 4, 1, 0x02, 5, 4, 0x86, 6, 2, 0x84, 7, 2, 0x84))  # fmt: skip


def ride(start: datetime, seconds: int) -> bytes:
    """A ride with one record per second and everything that a bike computer measures."""
    at = int(start.timestamp()) - EPOCH
    body = bytearray(_FILE_ID + struct.pack("<BBII", 0, 4, 77, at) + _RECORD)
    for number in range(seconds):
        body += struct.pack(
            "<BIiiHBBIHH", 1, at + number, 500_000_000 + number, 100_000_000, 2600 + number % 50,
            140, 80, number * 500, 5000, 200,
        )  # fmt: skip
    whole = struct.pack("<BBHI4sH", 14, 0x20, 2132, len(body), b".FIT", 0) + bytes(body)
    return whole + struct.pack("<H", checksum(whole))


def decode(contents: Iterable[bytes]) -> int:
    """Number of records that fitdecode finds."""
    count = 0
    for content in contents:
        with fitdecode.FitReader(content) as frames:
            for frame in frames:
                if frame.frame_type == fitdecode.FIT_FRAME_DATA and frame.name == "record":
                    count += 1
    return count


def read(contents: Iterable[bytes]) -> int:
    """Number of records that our parser finds."""
    return sum(
        len(recording.samples)
        for content in contents
        for recording in recordings_of("ride.fit", content).recordings
    )


def drop(path: Path, home: Home) -> int:
    """Number of samples that the inbox has ingested into the lake."""
    dropped = Path(shutil.copy2(path, home.inbox / path.name))
    receipt = ingest_file(home, [FIT], dropped, datetime.now(UTC)).receipt
    assert receipt.problem is None, receipt.problem
    return sum(each.new for each in receipt.streams if each.stream == "recording_samples")


def main() -> None:
    """Measure the given files, or a generated ride."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=16)
    parser.add_argument("--seconds", type=int, default=7_200, help="of the ride that is made")
    parser.add_argument("--file", type=Path, help="a file to take in place of it")
    arguments = parser.parse_args()
    start = datetime(2024, 1, 1, 8, tzinfo=UTC)
    if arguments.file:
        contents = [arguments.file.read_bytes()]
    else:
        contents = [
            ride(start + timedelta(days=day), arguments.seconds) for day in range(arguments.files)
        ]
    counts: list[int] = []
    with TemporaryDirectory() as folder:
        bundle = Path(folder, "rides.zip")
        with zipfile.ZipFile(bundle, "w", zipfile.ZIP_DEFLATED) as made:
            for number, content in enumerate(contents):
                made.writestr(f"{number}.fit", content)
        home = Home(Path(folder, "home")).ensure()
        rows = [
            ("fitdecode alone", seconds_of(lambda: counts.append(decode(contents)))),
            ("decoded here", seconds_of(lambda: counts.append(read(contents)))),
            (
                "a zip of them through the inbox",
                seconds_of(lambda: counts.append(drop(bundle, home))),
            ),
        ]
    assert len(set(counts)) == 1, counts
    title = f"{len(contents)} files, {counts[0]:,} records"
    show(title, [Measured(what, seconds, counts[0]) for what, seconds in rows])


if __name__ == "__main__":
    main()
