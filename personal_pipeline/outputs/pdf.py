"""A report as a PDF, printed by an installed Chromium: the paper that a person would print.

No library that is light lays out grids and SVG as a browser does, and most machines have one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from personal_pipeline.home import write_atomically

NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
_PLACES = {
    "darwin": (
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"C:\Program Files\Google\Chrome\Application\chrome.exe",
        r"C:\Program Files (x86)\Microsoft\Edge\Application\msedge.exe",
    ),
}
"""Where browsers stand that are not on the path."""

TIMEOUT_SECONDS = 120

# it opens one local file and nothing else
_FLAGS = (
    "--headless",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pdf-header-footer",
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


class NoBrowser(Exception):
    """No PDF could be printed. The message says what to do."""


def browser() -> str:
    """The path of an installed Chromium, Chrome or Edge. Raises ``NoBrowser`` if there is none."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        places = _PLACES.get(sys.platform, ())
        found = next((each for each in places if Path(each).is_file()), None)
    if found is None:
        raise NoBrowser(
            "No browser was found that could print a PDF: install Chromium, Chrome or Edge so that "
            f"one of these commands is on the path: {', '.join(NAMES)}. The HTML report needs none."
        )
    return found


def pdf_of(report: Path) -> Path:
    """Print a report's file as PDF next to it, replaced atomically, and return its path. Raises
    ``NoBrowser``."""
    command = browser()
    # beside the report: a browser in a snap sees a folder for temporary files of its own
    printed = report.with_suffix(".pdf.part")
    # its profile is thrown away, and a browser that is open is left alone
    with tempfile.TemporaryDirectory(prefix="report-", ignore_cleanup_errors=True) as profile:
        # Chromium refuses its sandbox to root, who owns the container that this then is
        root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
        try:
            done = subprocess.run(
                [
                    command,
                    *_FLAGS,
                    *root,
                    f"--user-data-dir={profile}",
                    f"--print-to-pdf={printed.absolute()}",
                    report.absolute().as_uri(),
                ],
                capture_output=True,
                timeout=TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise NoBrowser(f"{command} did not print {report} in {TIMEOUT_SECONDS} s.") from None
    if not printed.is_file() or done.returncode:
        printed.unlink(missing_ok=True)
        raise NoBrowser(
            f"{command} did not print {report}: it ended with code {done.returncode}. "
            "Open the HTML report and print it from the browser."
        )
    path = report.with_suffix(".pdf")
    write_atomically(path, printed.read_bytes())
    printed.unlink()
    return path
