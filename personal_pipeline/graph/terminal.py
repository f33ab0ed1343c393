"""What a run prints: a line per warning and per failed step.

Named in ``dagster.yaml``, instead of Dagster's console logger, which prints every event of a run,
and errors with their tracebacks. The page of a run shows all of it.
"""

from __future__ import annotations

import logging
from typing import Any

import dagster as dg

from personal_pipeline.graph.alerting import cause_of
from personal_pipeline.graph.recording import RECORDED


class Terminal(logging.StreamHandler):  # type: ignore[type-arg]
    """Prints to stderr."""

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)
        # a command prints what it did itself
        self.addFilter(lambda record: RECORDED not in _of(record)["job_tags"])
        # a run fails because of a step, which was printed
        self.addFilter(lambda record: not _is(record, dg.DagsterEventType.RUN_FAILURE))

    def format(self, record: logging.LogRecord) -> str:
        """The job and what it says, without a traceback, which may quote a row."""
        meta = _of(record)
        said = meta["orig_message"]
        if _is(record, dg.DagsterEventType.STEP_FAILURE):
            said = cause_of(meta["dagster_event"])
        return f"{record.levelname.lower()}: {meta['job_name']}: {said}"


def _of(record: logging.LogRecord) -> dict[str, Any]:
    """What Dagster adds to each record."""
    return record.dagster_meta  # type: ignore[attr-defined,no-any-return]


def _is(record: logging.LogRecord, kind: dg.DagsterEventType) -> bool:
    event = _of(record)["dagster_event"]
    return event is not None and event.event_type is kind
