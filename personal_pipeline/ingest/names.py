"""Names that configuration or a file gives, as paths inside a folder of the home and nowhere
else."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

_SHOWN = 100


class NotInside(ValueError):
    """A name that leads out of its folder, or is none."""


def inside(folder: Path, name: str) -> Path:
    """The path of ``name`` in ``folder``, which may be in a folder there. It need not exist.

    Raises ``NotInside`` for a name that is empty or absolute, that climbs, that holds what no name
    may hold, or that goes through a link: what it means lies elsewhere, or can be made to.
    """
    path = PurePath(name)
    shown = f"{name[:_SHOWN]!a}" + ("…" if len(name) > _SHOWN else "")
    if not path.parts or "\0" in name:
        raise NotInside(f"{shown} is no name of a file or folder.")
    # a colon names a drive or a second stream of a file there
    odd = os.name == "nt" and ":" in name
    if path.anchor or ".." in path.parts or odd:
        raise NotInside(f"{shown} is not a name inside {folder.name}/.")
    place = folder
    for part in path.parts:
        place /= part
        if place.is_symlink():
            raise NotInside(
                f"{shown} is a link, or lies behind one: what it means may be elsewhere."
            )
    return place
