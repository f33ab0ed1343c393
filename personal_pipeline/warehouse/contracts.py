"""The contracts between staging and marts: one meaning, whichever sources provide it.

Each source that joins a contract adds a select, ``int_<contract>__<source>.sql``, and marts read
their union, ``int_<contract>``. dbt must find each ``ref`` when it parses, and cannot list files
then, so the union is generated here, into the working copy of the dbt project.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

_ALL_ROWS = "select * from {{{{ ref('{}') }}}}"
_SELECT = re.compile(r"(int_[a-z0-9_]+?)__[a-z0-9_]+\.sql")


def unions(files: Iterable[str]) -> dict[str, bytes]:
    """The SQL of each contract with at least one of these files of the dbt project, by its path in
    the same folder: the rows of all its selects, with nulls for columns that a select omits."""
    selects: dict[str, list[str]] = {}
    for path in sorted(map(PurePosixPath, files)):
        if found := _SELECT.fullmatch(path.name):
            union = path.with_name(f"{found[1]}.sql").as_posix()
            selects.setdefault(union, []).append(path.stem)
    return {
        path: "\nunion all by name\n".join(_ALL_ROWS.format(name) for name in names).encode()
        for path, names in selects.items()
    }
