"""docs/adding-a-source.md, followed step by step in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.ingest.http import Client
from personal_pipeline.settings import BadSetting, Setting, Settings
from personal_pipeline_tests.invented_house import query
from personal_pipeline_tests.loopback import Answer, Request, as_json, loopback

CHECKOUT = Path(__file__).parents[1]
GUIDE = (CHECKOUT / "docs" / "adding-a-source.md").read_text(encoding="utf-8")

# a file is named in the line before its block
FILES = dict(
    re.findall(r"`([^`\n]+)`[^\n]*\n\n```\w+\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
)


def test_the_guide_counts_its_lines() -> None:
    module = FILES["personal_pipeline/sources/water.py"]
    assert f"{len(module.splitlines())} lines" in GUIDE


def test_the_key_of_the_guide_is_sent_and_told_of_when_it_lacks() -> None:
    snippet = re.search(r"^```python\n(API_KEY = .*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert snippet is not None
    names: dict[str, Any] = {"Setting": Setting, "Settings": Settings, "Client": Client}
    exec(snippet[1], names)
    with pytest.raises(BadSetting, match=r"WATER_API_KEY is not set\. In the portal"):
        names["client"](Settings())

    def answering(request: Request) -> Answer:
        return as_json({"key": request.headers.get("x-key")})

    with loopback(answering) as portal:
        names["Client"] = lambda name, base, **more: Client(name, portal.base, **more)
        with names["client"](Settings(WATER_API_KEY="w-1")) as client:
            assert client.get_json("/") == {"key": "w-1"}


@pytest.mark.slow
def test_who_follows_the_guide_finds_the_reading_in_the_table(tmp_path: Path) -> None:
    project = tmp_path / "project"
    ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
    for name in ("personal_pipeline", "sql"):
        shutil.copytree(CHECKOUT / name, project / name, ignore=ignored)
    for name, text in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    sources = project / "personal_pipeline" / "sources" / "__init__.py"
    text = sources.read_text(encoding="utf-8")
    imported = "\n\nfrom personal_pipeline.sources.water import WATER\n"
    added = text.replace("\n\n", imported, 1)
    listed = re.sub(r"(?ms)(^SOURCES.*?),?\s*\)$", r"\1, WATER)", added)
    sources.write_text(listed, encoding="utf-8")

    example = re.search(r"^```csv\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
    assert example is not None
    dropped = tmp_path / "readings.csv"
    dropped.write_text(example[1] + "first of January,cellar,520\n", encoding="utf-8")

    home = tmp_path / "home"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "personal_pipeline.cli", *arguments],
            cwd=project,
            env={**os.environ, "PYTHONPATH": str(project), "PERSONAL_PIPELINE_HOME": str(home)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "water" in run("add", str(dropped))
    run("refresh")
    assert query(
        home / "published" / "warehouse.duckdb",
        "select meter, day::varchar, cubic_metres from staging.stg_water__readings order by day",
    ) == [
        ("cellar", "2026-10-01", Decimal("512.400")),
        ("cellar", "2026-11-01", Decimal("519.100")),
    ]
    assert "readings" in run("status")
