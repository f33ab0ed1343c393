"""The private parts of Dagster that this house uses; no other module imports any.

Each has a reason. They hold for the pinned version only (docs/decisions/0002); the tests of the
modules that use them fail when they change.

- ``SqliteEventLogStorage`` and ``ConfigurableClassData``: the event log writes materializations in
  batches (docs/decisions/0006). Dagster loads a storage by its class, and has no public base class.
- ``InMemoryJob``, ``execute_run`` and the origins: a pass that ran outside Dagster is recorded as a
  run of the code location's job ``refresh``. Runs without an origin are in no timeline, and
  ``execute_in_process`` makes none.
- ``workspace_of``: the web server is started behind a guard (docs/decisions/0019). Its own command
  puts nothing in front of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

if TYPE_CHECKING:
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext

__all__ = [
    "ConfigurableClassData",
    "InMemoryJob",
    "RegisteredCodeLocationOrigin",
    "RemoteRepositoryOrigin",
    "SqliteEventLogStorage",
    "execute_run",
    "workspace_of",
]


def workspace_of(instance: dg.DagsterInstance, file: str) -> WorkspaceProcessContext:
    """The context of a web server over the code locations in a workspace file. Imported here: it
    takes a tenth of a second, and passes and runs need none."""
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    return WorkspaceProcessContext(instance, workspace_load_target=WorkspaceFileTarget([file]))
