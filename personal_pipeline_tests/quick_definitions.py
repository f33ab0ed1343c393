"""The graph of a house whose sensors look every few seconds: what a person waits for in minutes, a
test would wait for in full.

Only ``running.up`` names this module, instead of ``personal_pipeline.definitions``.
"""

from __future__ import annotations

import os

from personal_pipeline_tests.kiosk.sources import stand_in

stand_in()

from personal_pipeline.graph import alerting, automation, building  # noqa: E402

LOOK_SECONDS = int(os.environ["LOOK_SECONDS"])

automation.INBOX_INTERVAL_SECONDS = LOOK_SECONDS
automation.PAUSE_SECONDS = LOOK_SECONDS
building.INTERVAL_SECONDS = LOOK_SECONDS
alerting.ROUND_INTERVAL_SECONDS = LOOK_SECONDS

# after the intervals, which it reads when it is imported
from personal_pipeline.definitions import defs as defs  # noqa: E402
