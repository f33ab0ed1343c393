"""The contracts between staging and marts: one meaning, whichever sources have it.

Each source that joins a contract brings a select, ``int_<contract>__<source>.sql``, and marts read
``int_<contract>``, the union of these. dbt has to find each ``ref`` when it parses, where nothing
can list files, so the union is written here, into the copy of the project that dbt works in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_ALL_ROWS = "select * from {{{{ ref('{}') }}}}"
_SELECT = re.compile(r"(int_[a-z0-9_]+?)__[a-z0-9_]+\.sql")


def unions(files: Iterable[str]) -> dict[str, bytes]:
    """The SQL of each contract that one of these files of the dbt project belongs to, by its place
    beside them: a row of any of its selects, with nulls where a select leaves a column out."""
    selects: dict[str, list[str]] = {}
    for path in sorted(map(PurePosixPath, files)):
        if found := _SELECT.fullmatch(path.name):
            union = path.with_name(f"{found[1]}.sql").as_posix()
            selects.setdefault(union, []).append(path.stem)
    return {
        path: "\nunion all by name\n".join(_ALL_ROWS.format(name) for name in names).encode()
        for path, names in selects.items()
    }
