"""Runs as forks of one process, on Linux.

Dagster's code server starts each run in a new process, which imports Dagster and this project
again: more CPU time than most runs need for their work. Multiprocessing's fork server imports them
once, and each run is a fork of it. It starts with the first run, has no threads, and ends with the
code server. Elsewhere, forking is not safe (macOS) or not possible (Windows).
"""

from __future__ import annotations

import multiprocessing
import sys
from typing import Any

_WORKER = ["api", "grpc"]
"""The arguments of the process that holds the definitions and starts runs."""


def fork_runs() -> None:
    """Call once everything is imported, before a run is started; no effect in any other process
    than the code server's.

    Dagster gives no choice of how it starts processes: it asks for the context ``spawn``, which
    therefore gets the other context's kind of process.
    """
    if sys.platform != "linux" or sys.argv[1:3] != _WORKER:
        return
    spawn: Any = multiprocessing.get_context("spawn")
    fork = multiprocessing.get_context("forkserver")
    # what was imported until now, but for the definitions themselves: a run loads them as they
    # are when it starts
    fork.set_forkserver_preload(
        [
            name
            for name in sys.modules
            if name.partition(".")[0] in ("dagster", "personal_pipeline")
            and name != "personal_pipeline.definitions"
        ]
    )
    spawn.Process = fork.Process
