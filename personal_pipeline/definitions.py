"""The entry point for Dagster: the graph of the home that the settings name.

For Dagster only. Everything else calls ``definitions_of`` with its own house.
"""

from __future__ import annotations

from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.forked_runs import fork_runs
from personal_pipeline.home import Home, keep_private
from personal_pipeline.house import House
from personal_pipeline.settings import load_settings
from personal_pipeline.sources import SOURCES

# also in the processes of a plain `dagster dev`
keep_private()
_settings = load_settings()
_home = Home.of(_settings.home)
# refuses a home of a later version
_home.version()
defs = definitions_of(House(_settings, _home, SOURCES))
fork_runs()
