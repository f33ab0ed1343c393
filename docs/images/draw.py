"""Draws the pictures of the README: ``make pictures``, which takes two minutes.

Invents a demo, starts ``up`` over it, and looks at it in an installed Chromium, driven by
playwright.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from personal_pipeline.outputs.pdf import browser

HERE = Path(__file__).parent
PORT = 3970
COMMAND = [sys.executable, "-m", "personal_pipeline.cli"]


def main() -> None:
    """Replace the pictures."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "demo"
        subprocess.run([*COMMAND, "demo", "--dir", str(home)], check=True)
        up = subprocess.Popen(
            [*COMMAND, "up", "--port", str(PORT)],
            env={**os.environ, "PERSONAL_PIPELINE_HOME": str(home)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            _draw(up, home)
        finally:
            up.send_signal(signal.SIGINT)
            up.wait(60)


def _draw(up: subprocess.Popen[str], home: Path) -> None:
    assert up.stdout is not None
    addresses = {}
    for line in up.stdout:
        what, _, address = line.strip().partition(": ")
        addresses[what.partition(" (")[0]] = address
        if what.startswith("The graph"):
            break
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser(), args=["--no-sandbox"])
        page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()

        page.goto((home / "reports" / "latest.html").as_uri())
        _save(page, "report")

        page.goto(addresses["The site"])
        page.get_by_role("link", name="Body", exact=True).first.click()
        page.locator("svg .mark-line path").first.wait_for()
        _save(page, "site")

        page.goto(addresses["The graph"])
        page.wait_for_url("**/overview/**")
        page.goto(page.url.partition("/overview")[0] + "/asset-groups")
        page.get_by_text("5_outputs").first.wait_for()
        # it lays out the groups
        page.wait_for_timeout(5000)
        _save(page, "lineage")
        chromium.close()


def _save(page: Any, name: str) -> None:
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(1500)
    page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    main()
