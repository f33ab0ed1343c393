"""``personal_pipeline.graph.ready`` over the house of a test; only ``running.up`` names this."""

from __future__ import annotations

from personal_pipeline_tests.kiosk.sources import stand_in

stand_in()

from personal_pipeline.graph.ready import main  # noqa: E402

main()
