"""Apple Health: the phone's export of the body's data, in the night after the life."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from personal_pipeline.demo import health_format
from personal_pipeline.demo.chance import stream
from personal_pipeline.demo.invented import File, Invented, zipped
from personal_pipeline.demo.life import Life


def _export(life: Life) -> Iterator[File]:
    """Everything since the beginning, as in every export of a phone."""
    made_at = life.end + timedelta(minutes=50)
    chance = stream(life.seed, "health export", str(life.until))
    files = health_format.export_files(chance, life.body, made_at)
    yield File("export.zip", made_at, zipped(made_at, files))


APPLE_HEALTH = Invented(source="apple_health", files=_export)
