"""docs/adding-a-source.md: what it says, and how it is followed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from personal_pipeline.ingest.http import Client
from personal_pipeline.settings import BadSetting, Setting, Settings
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


EXAMPLE = re.search(r"^```csv\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)


def follow_the_guide(project: Path) -> None:
    """In a copy of the checkout. ``test_new_source.py`` does, and builds what comes of it together
    with the sources that are written there."""
    for name, text in FILES.items():
        (project / name).parent.mkdir(exist_ok=True)
        (project / name).write_text(text, encoding="utf-8")
    sources = project / "personal_pipeline" / "sources" / "__init__.py"
    text = sources.read_text(encoding="utf-8")
    imported = "\n\nfrom personal_pipeline.sources.water import WATER\n"
    added = text.replace("\n\n", imported, 1)
    listed = re.sub(r"(?ms)(^SOURCES.*?),?\s*\)$", r"\1, WATER)", added)
    sources.write_text(listed, encoding="utf-8")
