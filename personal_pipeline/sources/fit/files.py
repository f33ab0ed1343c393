"""Reading one file or very many: each is parsed independently, so many are distributed over
processes. Samples go straight into Parquet; only what is small is returned."""

from __future__ import annotations

import multiprocessing
import os
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from personal_pipeline import duck
from personal_pipeline.ingest.archives import DAMAGED_ZIP
from personal_pipeline.ingest.contract import DropFile, Record
from personal_pipeline.ingest.spool import Spool
from personal_pipeline.sources.fit.formats import (
    MAX_FILE_BYTES,
    MEASURES,
    SAMPLES,
    Member,
    is_fit,
    track_format,
    unpacked,
)
from personal_pipeline.sources.fit.messages import Column, Number
from personal_pipeline.sources.fit.recording import (
    Contents,
    Recording,
    Samples,
    recordings_of_fit,
)
from personal_pipeline.sources.fit.tracks import recordings_of_track

BATCH_BYTES = 2_000_000
"""Compressed size of the files that a process reads at a time."""
BATCH_FILES = 500
WORTH_PROCESSES_BYTES = 4_000_000
"""A process takes about a second to start."""
MAX_PROCESSES = 4


@dataclass(frozen=True, slots=True)
class ReadFile:
    """The contents of a file without its samples: rows of ``recordings`` by key and month, what
    could not be read, and what the file is if it contains no activity."""

    name: str
    rows: tuple[tuple[str, date, Record], ...]
    problems: tuple[str, ...]
    other: str | None


def recordings_of(name: str, content: bytes) -> Contents:
    """The recordings in a file of any supported format. Never raises."""
    content, problem = unpacked(content)
    try:
        if is_fit(content):
            found = recordings_of_fit(name, content)
        elif track_format(content):
            found = recordings_of_track(name, content)
        else:
            found = Contents(problems=("it is neither FIT nor GPX nor TCX",))
    except Exception as error:
        # a bad file must not affect the twenty thousand beside it
        found = Contents(problems=(f"the parser failed ({type(error).__name__})",))
    return replace(found, problems=(problem, *found.problems)) if problem else found


def read_members(file: DropFile, members: Sequence[Member], spool: Spool) -> Iterator[ReadFile]:
    """Read files of a zip, in order; their samples are in the spool once the last one is
    yielded."""
    batches = _batches(members)
    sizes = {each.name: each.size for each in members}
    total = sum(sizes.values())
    places = [spool.folder / f"samples-{number}.parquet" for number in range(len(batches))]
    done = 0
    for found in _read(
        file.path, batches, places, is_worth_processes=total > WORTH_PROCESSES_BYTES
    ):
        done += sum(sizes[each.name] for each in found)
        file.progress(done, total)
        yield from found
    show_samples(spool)


def _read(
    archive: Path,
    batches: Sequence[Sequence[str]],
    places: Sequence[Path],
    *,
    is_worth_processes: bool,
) -> Iterator[list[ReadFile]]:
    if len(batches) < 2 or not is_worth_processes:
        with zipfile.ZipFile(archive) as opened:
            for names, place in zip(batches, places, strict=True):
                yield read_batch(opened, names, place)
        return
    # spawned, because a forked process with threads may hang
    context = multiprocessing.get_context("spawn")
    processes = min(os.cpu_count() or 1, MAX_PROCESSES, len(batches))
    with ProcessPoolExecutor(processes, context, _end_with_parent) as pool:
        yield from pool.map(_read_batch_of, [archive] * len(batches), batches, places)


def _batches(members: Sequence[Member]) -> list[list[str]]:
    batches: list[list[str]] = []
    size = 0
    for each in members:
        if not batches or size + each.size > BATCH_BYTES or len(batches[-1]) >= BATCH_FILES:
            batches.append([])
            size = 0
        batches[-1].append(each.name)
        size += each.size
    return batches


def _end_with_parent() -> None:
    """Make a pool process end when its parent is killed; otherwise it would wait forever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _read_batch_of(archive: Path, names: Sequence[str], place: Path) -> list[ReadFile]:
    return read_batch(_kept_open(archive), names, place)


@cache
def _kept_open(archive: Path) -> zipfile.ZipFile:
    """A zip that a pool process keeps open: reading its directory takes half a second."""
    return zipfile.ZipFile(archive)


def read_batch(archive: zipfile.ZipFile, names: Sequence[str], place: Path) -> list[ReadFile]:
    """Read some files of a zip, and write their samples to a Parquet file."""
    found: list[ReadFile] = []
    recordings: list[Recording] = []
    for name in names:
        contents = _member(archive, name)
        recordings += contents.recordings
        found.append(_without_samples(name, contents))
    write_samples(recordings, place)
    return found


def _member(archive: zipfile.ZipFile, name: str) -> Contents:
    try:
        with archive.open(name) as stream:
            content = stream.read(MAX_FILE_BYTES + 1)
    except DAMAGED_ZIP:
        return Contents(problems=("it is damaged in the zip",))
    if len(content) > MAX_FILE_BYTES:
        return Contents(problems=(f"it is larger than {MAX_FILE_BYTES // 10**6} MB",))
    return recordings_of(name, content)


def read_file(path: Path, name: str, spool: Spool) -> ReadFile:
    """Read a single file; its samples are then in the spool."""
    with path.open("rb") as stream:
        contents = recordings_of(name, stream.read(MAX_FILE_BYTES))
    write_samples(contents.recordings, spool.folder / "samples-0.parquet")
    show_samples(spool)
    return _without_samples(name, contents)


def _without_samples(name: str, contents: Contents) -> ReadFile:
    rows = tuple((each.key, each.month, each.record) for each in contents.recordings)
    return ReadFile(name, rows, contents.problems, contents.other)


def show_samples(spool: Spool) -> None:
    """Expose what was written as ``recording_samples`` on the spool's connection."""
    columns = ", ".join(f'"{name}" {kind}' for name, kind in SAMPLES.columns.items())
    spool.connection.execute(f"create table no_samples (month date, {columns})")
    if not any(spool.folder.glob("samples-*.parquet")):
        spool.connection.execute("create view recording_samples as from no_samples")
        return
    # the home may have any name, and DuckDB treats some characters as a glob pattern
    folder = re.sub(r"([][*?])", r"[\1]", str(spool.folder)).replace("'", "''")
    spool.connection.execute(
        f"create view recording_samples as from read_parquet('{folder}/samples-*.parquet')"
    )


_WRITE = """
copy (
    select
        cast(month as date) as month,
        cast(recording as varchar) as recording,
        cast(number as integer) as number,
        make_timestamp(cast(round(time * 1000000) as bigint)) as measured_at,
        latitude, longitude, altitude, distance, speed, heart_rate, cadence, power, temperature,
        grade,
        cast(more as varchar) as more
    from frame
) to '{place}' (format parquet, compression snappy)
"""


def write_samples(recordings: Sequence[Recording], place: Path) -> None:
    """Write the samples of recordings as Parquet; nothing when there are none."""
    every = [each for each in recordings if len(each.samples)]
    if not every:
        return
    lengths = [len(each.samples) for each in every]
    numbers = np.repeat(np.arange(len(every)), lengths)
    frame = pd.DataFrame(
        {
            "month": pd.Categorical([f"{each.month}" for each in every]).take(numbers),
            "recording": pd.Categorical([each.key for each in every]).take(numbers),
            "number": np.concatenate([np.arange(1, length + 1) for length in lengths]),
            "time": np.concatenate([each.samples.time for each in every]),
            **{
                name: np.concatenate(
                    [
                        each.samples.measures.get(name, np.full(len(each.samples), np.nan))
                        for each in every
                    ]
                )
                for name in MEASURES
            },
            "more": pd.Series(
                [text for each in every for text in _more(each.samples)], dtype=object
            ),
        }
    )
    with duckdb.connect(config={**duck.CONFIG, "threads": 1}) as connection:
        connection.register("frame", frame)
        connection.execute(_WRITE.format(place=str(place).replace("'", "''")))


def _more(samples: Samples) -> list[str | None]:
    """The other fields of each sample as JSON; None where a recording has none."""
    if not samples.more and not samples.developer:
        return [None] * len(samples)
    own = _json_lines(samples.more, len(samples)) if samples.more else ["{}"] * len(samples)
    if not samples.developer:
        return list(own)
    comma = "," if samples.more else ""
    return [
        f'{line[:-1]}{comma}"developer":{theirs}}}'
        for line, theirs in zip(own, _json_lines(samples.developer, len(samples)), strict=True)
    ]


def _json_lines(columns: dict[str, Column], length: int) -> list[str]:
    frame = pd.DataFrame(
        {
            name: _whole_numbers(column) if isinstance(column, np.ndarray) else column
            for name, column in columns.items()
        },
        index=range(length),
    )
    return str(frame.to_json(orient="records", lines=True, double_precision=9)).splitlines()


def _whole_numbers(column: Number) -> pd.Series[Any]:
    found = pd.Series(column)
    if np.all(np.isnan(column) | ((column == np.rint(column)) & (np.abs(column) < 2**53))):
        return found.astype("Int64")
    return found
