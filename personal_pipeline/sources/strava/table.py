"""``activities.csv``: one row per activity, with headers that repeat."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from personal_pipeline.ingest.contract import EARLIEST, DropRow, Record, Unreadable
from personal_pipeline.ingest.delimited import DELIMITERS, plain_name, rows, unique_names
from personal_pipeline.sources.strava.dates import read_date

ID, DATE, TYPE, FILE = "Activity ID", "Activity Date", "Activity Type", "Filename"

_ENGLISH = (
    ID, DATE, "Activity Name", TYPE, "Activity Description", "Elapsed Time", "Distance",
    "Max Heart Rate", "Relative Effort", "Commute", "Activity Private Note", "Activity Gear", FILE,
    "Athlete Weight", "Bike Weight", "Elapsed Time", "Moving Time", "Distance", "Max Speed",
    "Average Speed", "Elevation Gain", "Elevation Loss", "Elevation Low", "Elevation High",
    "Max Grade", "Average Grade", "Average Positive Grade", "Average Negative Grade",
    "Max Cadence", "Average Cadence", "Max Heart Rate", "Average Heart Rate", "Max Watts",
    "Average Watts", "Calories", "Max Temperature", "Average Temperature", "Relative Effort",
    "Total Work", "Number of Runs", "Uphill Time", "Downhill Time", "Other Time",
    "Perceived Exertion", "Type", "Start Time", "Weighted Average Power", "Power Count",
    "Prefer Perceived Exertion", "Perceived Relative Effort", "Commute",
)  # fmt: skip
"""The headers in order, which is the same in every language."""

_OLD = {
    "id": ID,
    "date": DATE,
    "name": "Activity Name",
    "type": TYPE,
    "description": "Activity Description",
    "elapsed_time": "Elapsed Time",
    "distance": "Distance",
    "commute": "Commute",
    "gear": "Activity Gear",
    "filename": FILE,
}
"""The headers of archives before 2019."""

_MISSING = re.compile(r"^translation missing:.*\.", re.IGNORECASE)
_A_FILE = re.compile(r"^activities/[^,\"]+\.(?:fit|gpx|tcx)(?:\.gz)?$", re.IGNORECASE)
_FEWEST_REPEATED = 2
"""How many headers of the first columns must occur again later: time and distance at the least."""
_KILOMETRE, _MILE, _YARD = 1000.0, 1609.344, 0.9144
_UNITS = (_KILOMETRE, _MILE, 1.0, _YARD)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is written: its delimiter, and the English headers of its columns."""

    delimiter: str
    names: tuple[str, ...]


def layout_of(lines: Sequence[str]) -> Layout | None:
    """The layout of a table by its first lines; None when it is not from Strava."""
    if not lines:
        return None
    delimiter = max(DELIMITERS, key=lines[0].count)
    found = [row.cells for row in rows(lines, delimiter) if row.cells]
    if not found:
        return None
    headers = [_MISSING.sub("", each.strip().lstrip("\ufeff")) for each in found[0]]
    plain = {plain_name(each) for each in headers}
    if {"activity_id", "activity_date"} <= plain:
        return Layout(delimiter, tuple(unique_names(headers)))
    if {"id", "date", "type", "filename"} <= plain:
        named = [_OLD.get(plain_name(each), each) for each in headers]
        return Layout(delimiter, tuple(unique_names(named)))
    # another language: go by the order of the columns, if the content fits it
    lines_of_it = [cells for cells in found[1:] if len(cells) == len(headers)]
    if _is_in_order(headers, lines_of_it):
        named = [*_ENGLISH[: len(headers)], *headers[len(_ENGLISH) :]]
        return Layout(delimiter, tuple(unique_names(named)))
    return None


def _is_in_order(headers: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether the columns are Strava's in their order, whatever they are called: rows begin with a
    number and name a file below ``activities/``. Activities entered by hand have no file, which may
    apply to the first hundred of thousands: then headers must repeat where Strava's do, and seconds
    must be numbers."""
    at = _ENGLISH.index(FILE)
    numbered = [cells for cells in lines if cells[0].strip().isdigit()]
    if len(headers) <= at or not numbered:
        return False
    if any(_A_FILE.match(cells[at]) for cells in numbered):
        return True
    repeated = sum(
        headers[place] == headers[_ENGLISH.index(name, place + 1)]
        for place, name in enumerate(_ENGLISH[:at])
        if name in _ENGLISH[at + 1 : len(headers)]
    )
    seconds = _ENGLISH.index("Elapsed Time")
    return (
        repeated >= _FEWEST_REPEATED
        and len(numbered) == len(lines)
        and not any(cells[at].strip() for cells in lines)
        and all(number_of(cells[seconds]) is not None for cells in lines)
    )


def read_table(lines: Iterable[str], layout: Layout) -> Iterator[DropRow | Unreadable]:
    """The rows of a table; the first line has the headers."""
    records: list[Record] = []
    for row in rows(lines, layout.delimiter, len(layout.names)):
        if row.line == 1:
            continue
        if row.cells is None or len(row.cells) != len(layout.names):
            yield Unreadable(
                f"activities.csv: line {row.line}: expected {len(layout.names)} cells", row.text
            )
            continue
        cells = {
            name: cell.strip()
            for name, cell in zip(layout.names, row.cells, strict=True)
            if cell.strip()
        }
        at = read_date(cells.get(DATE, ""))
        if not cells.get(ID, "").isdigit():
            yield Unreadable(f"activities.csv: line {row.line}: expected a number as {ID}", cells)
        elif at is not None and at.date() < EARLIEST:
            yield Unreadable(
                f"activities.csv: line {row.line}: {DATE}: expected a day since {EARLIEST.year}",
                cells,
            )
        elif at is None:
            yield Unreadable(
                f"activities.csv: line {row.line}: {DATE}: expected a time such as "
                "Jan 15, 2024, 7:30:00 AM",
                cells,
            )
        else:
            records.append({"start_at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "columns": cells})
    units = _units_of(records)
    for record in records:
        cells = record["columns"]
        distance = _metres(cells, units)
        if distance is not None:
            record["distance_m"] = distance
        month = read_date(cells[DATE])
        assert month is not None
        yield DropRow("activities", month.date().replace(day=1), cells[ID], record)


def number_of(text: str | None) -> float | None:
    """A number in any locale's format; None when it is not one."""
    if text is None:
        return None
    if re.fullmatch(r"-?\d+,\d{1,2}|-?\d{1,3}(\.\d{3})+,\d+", text):
        text = text.replace(".", "").replace(",", ".")
    try:
        found = float(text.replace(",", "").replace("\u202f", "").replace("\xa0", ""))
    except ValueError:
        return None
    return found if abs(found) < 1e12 else None


def _units_of(records: Sequence[Record]) -> dict[str | None, float]:
    """Metres per unit in which a kind of activity is shown, derived from rows with both values;
    under None, that of most kinds, for kinds without such rows."""
    ratios: dict[str | None, list[float]] = defaultdict(list)
    for record in records:
        shown = number_of(record["columns"].get("Distance"))
        metres = number_of(record["columns"].get("Distance_2"))
        if shown and metres and metres > 200:
            ratio = metres / shown
            ratios[record["columns"].get(TYPE)].append(ratio)
            if ratio > 500:
                ratios[None].append(ratio)
    return {kind: _nearest_unit(median(found)) for kind, found in ratios.items()}


def _nearest_unit(metres: float) -> float:
    return min(_UNITS, key=lambda unit: abs(unit / metres - 1))


def _metres(cells: Record, units: dict[str | None, float]) -> float | None:
    """The distance in metres: as given, else converted from what is shown."""
    metres = number_of(cells.get("Distance_2"))
    shown = number_of(cells.get("Distance"))
    if metres or shown is None:
        return metres
    unit = units.get(cells.get(TYPE)) or units.get(None)
    if unit is None:
        # old archives show metres: nobody moves at a kilometre per second
        seconds = number_of(cells.get("Elapsed Time"))
        unit = 1.0 if seconds and shown / seconds > 0.1 else _KILOMETRE
    return round(shown * unit, 3)
