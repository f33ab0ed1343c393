"""FIT files as devices write them, from a few words; and tracks, and archives of Strava."""

from __future__ import annotations

import csv
import gzip
import io
import struct
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

EPOCH = 631_065_600
BASES: Mapping[str, tuple[int, str, int]] = {
    "enum": (0x00, "B", 0xFF),
    "sint8": (0x01, "b", 0x7F),
    "uint8": (0x02, "B", 0xFF),
    "sint16": (0x83, "h", 0x7FFF),
    "uint16": (0x84, "H", 0xFFFF),
    "sint32": (0x85, "i", 0x7FFFFFFF),
    "uint32": (0x86, "I", 0xFFFFFFFF),
    "string": (0x07, "s", 0),
    "float32": (0x88, "f", 0),
    "float64": (0x89, "d", 0),
    "uint8z": (0x0A, "B", 0),
    "uint16z": (0x8B, "H", 0),
    "uint32z": (0x8C, "I", 0),
    "byte": (0x0D, "B", 0xFF),
    "sint64": (0x8E, "q", 0x7FFFFFFFFFFFFFFF),
    "uint64": (0x8F, "Q", 0xFFFFFFFFFFFFFFFF),
}
"""Number, code and invalid value of each base type."""

Developer = Sequence[tuple[int, int, int]]
Fields = Sequence[tuple[int, str]]
"""Number and base type of each field; of a string also its length, ``string16``."""


def crc(content: bytes) -> int:
    """The checksum of FIT, bit by bit."""
    found = 0
    for byte in content:
        found ^= byte
        for _ in range(8):
            found = (found >> 1) ^ (0xA001 if found & 1 else 0)
    return found


def seconds(moment: datetime) -> int:
    """As FIT counts."""
    return int(moment.timestamp()) - EPOCH


def _base(kind: str) -> tuple[int, str, int, int]:
    """Number, code, invalid value and how many there are."""
    name = kind.rstrip("0123456789") if kind.startswith("string") else kind.partition("[")[0]
    count = int(kind[len(name) :].strip("[]") or 1)
    number, code, invalid = BASES[name]
    return number, code, invalid, count


class Fit:
    """A FIT file on its way."""

    def __init__(self, order: str = "<") -> None:
        self.order = order
        self.body = bytearray()
        self._layouts: dict[int, tuple[Fields, Fields]] = {}

    def define(
        self,
        local: int,
        message: int,
        fields: Fields,
        developer: Sequence[tuple[int, int, int]] = (),
    ) -> Fit:
        """Define messages. A developer field is its number, its size and whose it is."""
        self.body += struct.pack(
            f"{self.order}BBBHB",
            0x40 | local | (0x20 if developer else 0),
            0,
            self.order == ">",
            message,
            len(fields),
        )
        for number, kind in fields:
            base, code, _, count = _base(kind)
            self.body += bytes((number, struct.calcsize(f"<{code}") * count, base))
        if developer:
            self.body.append(len(developer))
            for each in developer:
                self.body += bytes(each)
        self._layouts[local] = (fields, [])
        return self

    def write(self, local: int, *values: Any, raw: bytes = b"", time: int | None = None) -> Fit:
        """Write a message; None is written as the invalid value. ``raw`` has developer fields,
        ``time`` the last five bits of the time."""
        self.body.append(local if time is None else 0x80 | local << 5 | time & 31)
        fields, _ = self._layouts[local]
        for (_, kind), value in zip(fields, values, strict=True):
            _, code, invalid, count = _base(kind)
            if code == "s":
                self.body += struct.pack(f"{count}s", (value or "").encode())
                continue
            every = value if isinstance(value, list) else [value] * count
            if code in "fd":
                every = [float("nan") if each is None else each for each in every]
            self.body += struct.pack(
                f"{self.order}{count}{code}", *(invalid if each is None else each for each in every)
            )
        self.body += raw
        return self

    def bytes(self, header: int = 14) -> bytes:
        """The whole file, with its checksums."""
        head = struct.pack("<BBHI4s", header, 0x20, 2132, len(self.body), b".FIT")
        if header == 14:
            head += struct.pack("<H", crc(head))
        whole = head + self.body
        return whole + struct.pack("<H", crc(whole))


def ride(
    start: datetime,
    samples: int = 60,
    *,
    sport: int = 2,
    heart_rate: int | None = 140,
    serial: int = 77,
    order: str = "<",
    session: bool = True,
) -> bytes:
    """A recording of one sample a second, at five metres a second, with a session at its end."""
    at = seconds(start)
    fit = Fit(order)
    fit.define(0, 0, [(0, "enum"), (1, "uint16"), (2, "uint16"), (3, "uint32z"), (4, "uint32")])
    fit.write(0, 4, 32, 28, serial, at)
    fit.define(1, 20, [(253, "uint32"), (0, "sint32"), (1, "sint32"), (2, "uint16"), (3, "uint8"),
                       (5, "uint32"), (6, "uint16")])  # fmt: skip
    for number in range(samples):
        fit.write(1, at + number, 500_000_000 + number, 100_000_000 - number, 2600 + number % 50,
                  heart_rate, number * 500, 5000)  # fmt: skip
    if session:
        fit.define(2, 18, [(253, "uint32"), (2, "uint32"), (5, "enum"), (7, "uint32"),
                           (8, "uint32"), (9, "uint32"), (16, "uint8"), (17, "uint8"),
                           (22, "uint16")])  # fmt: skip
        fit.write(2, at + samples, at, sport, samples * 1000, samples * 1000, samples * 500,
                  heart_rate, heart_rate, 12)  # fmt: skip
    return fit.bytes()


def gpx(start: datetime, points: int = 60, kind: str = "cycling") -> bytes:
    """A track of a point a second."""
    written = "".join(
        f'<trkpt lat="{47 + n / 1e5:.6f}" lon="8.5"><ele>{400 + n % 10}</ele>'
        f"<time>{datetime.fromtimestamp(start.timestamp() + n, UTC):%Y-%m-%dT%H:%M:%SZ}</time>"
        "<extensions><gpxtpx:TrackPointExtension><gpxtpx:hr>150</gpxtpx:hr><gpxtpx:cad>80"
        "</gpxtpx:cad></gpxtpx:TrackPointExtension></extensions></trkpt>"
        for n in range(points)
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?><gpx creator="StravaGPX" '
        'xmlns="http://www.topografix.com/GPX/1/1" '
        'xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v1">'
        f"<trk><name>Morning</name><type>{kind}</type><trkseg>{written}</trkseg></trk></gpx>"
    ).encode()


def tcx(start: datetime, points: int = 60) -> bytes:
    """An activity of a trackpoint a second, with blanks before the declaration, as Strava's are."""
    began = f"{start:%Y-%m-%dT%H:%M:%SZ}"
    written = "".join(
        f"<Trackpoint><Time>{datetime.fromtimestamp(start.timestamp() + n, UTC):%Y-%m-%dT%H:%M:%SZ}"
        f"</Time><DistanceMeters>{n * 3}</DistanceMeters><HeartRateBpm><Value>130</Value>"
        "</HeartRateBpm><Extensions><x:TPX><x:Watts>210</x:Watts></x:TPX></Extensions></Trackpoint>"
        for n in range(points)
    )
    return (
        '          <?xml version="1.0" encoding="UTF-8"?><TrainingCenterDatabase '
        'xmlns="http://www.garmin.com/xmlschemas/TrainingCenterDatabase/v2" xmlns:x="http://x">'
        f'<Activities><Activity Sport="Running"><Id>{began}</Id><Lap StartTime="{began}">'
        f"<TotalTimeSeconds>{points}</TotalTimeSeconds><DistanceMeters>{points * 3}"
        f"</DistanceMeters><Calories>9</Calories><Track>{written}</Track></Lap></Activity>"
        "</Activities></TrainingCenterDatabase>"
    ).encode()


MISSING = "translation missing: en-US.lib.export.portability_exporter.activities.horton_values"
HEADERS = (
    "Activity ID", "Activity Date", "Activity Name", "Activity Type", "Activity Description",
    "Elapsed Time", "Distance", "Max Heart Rate", "Relative Effort", "Commute",
    "Activity Private Note", "Activity Gear", "Filename", "Athlete Weight", "Bike Weight",
    "Elapsed Time", "Moving Time", "Distance", "Max Speed", "Average Speed", "Elevation Gain",
    "Elevation Loss", "Elevation Low", "Elevation High", "Max Grade", "Average Grade",
    "Average Positive Grade", "Average Negative Grade", "Max Cadence", "Average Cadence",
    "Max Heart Rate", "Average Heart Rate", "Max Watts", "Average Watts", "Calories",
    "Max Temperature", "Average Temperature", "Relative Effort", "Total Work", "Number of Runs",
    "Uphill Time", "Downhill Time", "Other Time", "Perceived Exertion",
    f"{MISSING}.type", f"{MISSING}.start_time",
    "Weighted Average Power", "Power Count", "Prefer Perceived Exertion",
    "Perceived Relative Effort", "Commute",
)  # fmt: skip


def row(number: int, at: str, kind: str = "Ride", **cells: str) -> list[str]:
    """A row of ``activities.csv``. Cells are named by header, with _ for blanks and _2 for its
    second place."""
    places: dict[str, int] = {}
    for place, header in enumerate(HEADERS):
        name = header.lower().replace(" ", "_")
        places[name if name not in places else f"{name}_2"] = place
    written = [""] * len(HEADERS)
    for name, text in {
        "activity_id": str(number),
        "activity_date": at,
        "activity_type": kind,
        "activity_name": f"Activity {number}",
        **cells,
    }.items():
        written[places[name]] = text
    return written


def table(*rows: Sequence[str], headers: Sequence[str] = HEADERS, delimiter: str = ",") -> bytes:
    """The text of an ``activities.csv``."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows([headers, *rows])
    return text.getvalue().encode()


def archive(path: Path, activities: bytes, files: Mapping[str, bytes] | None = None,
            folder: str = "") -> Path:  # fmt: skip
    """An archive of an account."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in {
            "profile.csv": b"Athlete ID\n1\n",
            "activities.csv": activities,
            "media/photo.jpg": b"\xff\xd8\xff",
            "routes/route.gpx": gpx(datetime(2024, 1, 1, tzinfo=UTC), 3),
            **(files or {}),
        }.items():
            written.writestr(zipfile.ZipInfo(folder + name, (2024, 6, 1, 0, 0, 0)), content)
    return path


def zipped(content: bytes) -> bytes:
    """Gzipped, as Strava gives most files."""
    return gzip.compress(content, mtime=0)


def bundle(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    """A zip of files."""
    with zipfile.ZipFile(path, "w") as written:
        for name, content in files:
            written.writestr(zipfile.ZipInfo(name, (2024, 6, 1, 0, 0, 0)), content)
    return path
