"""The entry point for Dagster: the graph of the home that the settings name.

For Dagster only. Everything else calls ``definitions_of`` with its own house.
"""

from __future__ import annotations

from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.graph.forked_runs import fork_runs
from personal_pipeline.home import keep_private
from personal_pipeline.house import House
from personal_pipeline.settings import load_settings
from personal_pipeline.sources import SOURCES

# also in the processes of a plain `dagster dev`
keep_private()
defs = definitions_of(House.of(load_settings(), SOURCES))
fork_runs()
