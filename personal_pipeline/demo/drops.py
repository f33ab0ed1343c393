"""The files that the person of the invented life exported by hand, as found in a folder.

Names contain the day of the export, except for a few kinds that never do; the modification times
match it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from personal_pipeline.demo.chance import at
from personal_pipeline.demo.invented import File, Invented
from personal_pipeline.demo.life import Life
from personal_pipeline.demo.parts import INVENTED


def write_drops(life: Life, folder: Path, invented: Sequence[Invented] = INVENTED) -> list[Path]:
    """Write every file that was exported by hand into a folder, with one that got there by mistake,
    and return them in order of arrival."""
    return write_files([*exports(life, invented), _junk(life)], folder)


def exports(life: Life, invented: Iterable[Invented] = INVENTED) -> Iterator[File]:
    """Every file that was exported by hand."""
    for part in invented:
        yield from part.files(life)


def write_files(files: Iterable[File], folder: Path) -> list[Path]:
    """Write files into a folder, and return them in order of arrival. Creates the folder if
    missing; replaces files of the same name."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in sorted(files, key=lambda file: (file.made_at, file.name)):
        path = folder / file.name
        path.write_bytes(file.content)
        made_at = file.made_at.timestamp()
        os.utime(path, (made_at, made_at))
        paths.append(path)
    return paths


def _junk(life: Life) -> File:
    """A file that got into the folder by mistake, and that no source recognises."""
    text = "Pack: walking shoes, the small notebook, chargers. Ask Ida about the garden.\n"
    return File("holiday.txt", at(life.start + timedelta(days=280), 19, 30), text.encode())
