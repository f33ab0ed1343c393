"""Homes as earlier versions left them.

Version 1 is what the code before sidecars wrote (commit 6396fd0). To make one with that code:

    git worktree add /tmp/old 6396fd0
    cd /tmp/old && PERSONAL_PIPELINE_HOME=/tmp/old-home python -m personal_pipeline.cli add FILES
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.originals import SIDECAR
from personal_pipeline.ingest.shown import months_of_lake, read_shown


def make_version_1(home: Home, sources: Sequence[Source]) -> None:
    """Take from a home what version 1 did not have. It noted the export that was read last, and
    only where a drop loads tables; receipts, originals and lake are as they were."""
    for source in sources:
        for drop in source.drops:
            shown = read_shown(home, source, drop)
            place = home.lake / source.name / f".{drop.name}.json"
            place.unlink(missing_ok=True)
            if drop.load and shown and shown.picture:
                noted = {
                    "origin": shown.picture.origin,
                    "as_of": shown.picture.as_of.isoformat(),
                    "code": [stream.code_version for stream in drop.streams],
                    "months": months_of_lake(home, source, drop),
                }
                place.write_text(json.dumps(noted))
    for sidecar in (home.archive / "originals").glob(f"*/*{SIDECAR}"):
        sidecar.unlink()
    shutil.rmtree(home.archive / "dialects", ignore_errors=True)
    shutil.rmtree(home.credentials, ignore_errors=True)
    (home.root / "home.json").unlink(missing_ok=True)
