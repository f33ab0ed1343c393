"""Names from configuration or a file, resolved to paths inside a folder of the home and nowhere
else."""

from __future__ import annotations

import os
from pathlib import Path, PurePath

_SHOWN = 100


class NotInside(ValueError):
    """A name that leads out of its folder, or is not a valid name."""


def inside(folder: Path, name: str) -> Path:
    """The path of ``name`` in ``folder``, possibly in a subfolder. It need not exist.

    Raises ``NotInside`` for a name that is empty or absolute, contains ``..`` or an invalid
    character, or goes through a link: it points outside, or can be made to.
    """
    path = PurePath(name)
    shown = f"{name[:_SHOWN]!a}" + ("…" if len(name) > _SHOWN else "")
    if not path.parts or "\0" in name:
        raise NotInside(f"{shown} is not a file or folder name.")
    # on Windows a colon marks a drive or an alternate data stream
    odd = os.name == "nt" and ":" in name
    if path.anchor or ".." in path.parts or odd:
        raise NotInside(f"{shown} is not inside {folder.name}/.")
    place = folder
    for part in path.parts:
        place /= part
        if place.is_symlink():
            raise NotInside(f"{shown} is a link, or is inside one: it may point elsewhere.")
    return place
