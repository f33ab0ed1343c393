"""DAGSTER_HOME inside the home folder, with the settings that the house needs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import dagster as dg

from personal_pipeline.graph import storage
from personal_pipeline.home import Home, write_atomically

LOCK_WAIT_SECONDS = 60

CONFIGURATION = """\
# Written by personal-pipeline; changes are overwritten. Reasons: docs/decisions/.
telemetry:
  enabled: false

# no invitation to sign up over the UI
nux:
  enabled: false

event_log_storage:
  module: personal_pipeline.graph.event_log
  class: BatchingSqliteEventLogStorage
  config:
    base_dir:
      env: PERSONAL_PIPELINE_EVENT_LOG

# what runs print is up to our handler: the level silences Dagster's own
python_logs:
  python_log_level: CRITICAL
  dagster_handler_config:
    handlers:
      terminal:
        class: personal_pipeline.graph.terminal.Terminal

# one writer of the warehouse at a time, counted by op: counted by run, all writers would start
concurrency:
  pools:
    default_limit: 1
    granularity: op
  runs:
    max_concurrent_runs: 3

# every run passes the queue: Dagster's 5 seconds are long for who has dropped a file, and every
# second is a seventh of what `up` takes when it has nothing to do
run_queue:
  dequeue_interval_seconds: 2

# a run that was killed gives its place back
run_monitoring:
  enabled: true
  start_timeout_seconds: 300
  max_runtime_seconds: 14400
  free_slots_after_run_end_seconds: 60
  poll_interval_seconds: 30

retention:
  schedule:
    purge_after_days: 90
  sensor:
    purge_after_days:
      skipped: 1
      failure: 30
      success: 30
"""


def prepare(home: Home) -> dict[str, str]:
    """Write dagster.yaml, and return the environment for Dagster's processes."""
    home.ensure()
    path = home.dagster / "dagster.yaml"
    content = CONFIGURATION.encode()
    if not path.exists() or path.read_bytes() != content:
        write_atomically(path, content)
    return {
        "DAGSTER_HOME": str(home.dagster),
        "PERSONAL_PIPELINE_HOME": str(home.root),
        "PERSONAL_PIPELINE_EVENT_LOG": str(home.dagster / "history" / "runs"),
    }


@contextmanager
def instance_of(home: Home, note: Callable[[str], object] = print) -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of a home, for runs in this process. ``note`` receives a sentence if its
    storage was damaged and recreated."""
    with ExitStack() as stack:
        # held while Dagster creates its files: half-created ones look damaged
        with home.lock("dagster", wait_seconds=LOCK_WAIT_SECONDS):
            if said := storage.mend(home):
                note(said)
            os.environ.update(prepare(home))
            instance = stack.enter_context(dg.DagsterInstance.get())
            instance.get_runs(limit=1)
            instance.event_log_storage.get_maximum_record_id()
            instance.all_instigator_state()
        yield instance
