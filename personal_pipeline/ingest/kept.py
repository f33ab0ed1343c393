"""Files that the person writes and keeps in the home folder, such as ``stays.csv``.

Whenever one changes, a copy of it goes through the inbox like a dropped file, so it is archived,
receipted and read again like one.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from personal_pipeline.home import Home, free_name, read_object, write_atomically
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.unfinished import stamp_of


def bring_kept(home: Home, sources: Iterable[Source]) -> list[str]:
    """Put a copy of every kept file that has changed since the last call into the inbox; returns
    their names. A kill in between brings a copy twice, which changes nothing."""
    brought = []
    # size and time of each file when it was last brought, by name
    known = read_object(_path(home))
    for name in sorted({drop.kept_as for each in sources for drop in each.drops if drop.kept_as}):
        path = home.root / name
        stamp = stamp_of(path)
        if stamp is None or known.get(name) == [stamp.size, stamp.modified_ns]:
            continue
        temporary = home.inbox / f".{os.getpid()}-{name}.part"
        try:
            shutil.copy2(path, temporary)
            # another file of that name may wait there
            temporary.replace(free_name(home.inbox / name))
        except OSError:
            # an editor is just replacing it, or it cannot be read: the next look tries again
            temporary.unlink(missing_ok=True)
            continue
        known[name] = [stamp.size, stamp.modified_ns]
        brought.append(name)
    if brought:
        write_atomically(_path(home), json.dumps(known).encode())
    return brought


def _path(home: Home) -> Path:
    return home.state / "kept.json"
