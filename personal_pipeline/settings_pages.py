"""The settings, documented for people: ``.env.example`` and ``docs/settings.md``.

Both are generated: ``.env.example`` has everything that the house and its sources declare, the page
only what the house does, because each source has a page of its own. Run this module (``python -m
personal_pipeline.settings_pages``) to regenerate them.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

from personal_pipeline.ingest.contract import Source
from personal_pipeline.settings import Setting, house_settings
from personal_pipeline.sources import SOURCES

WIDTH = 99
CHECKOUT = Path(__file__).parents[1]

_HEAD = """\
# Copy this file to .env and fill in what you have. A service without its key is "not connected":
# it is shown as such, never contacted, and not an error. Environment variables take precedence over
# this file. `personal-pipeline connect SOURCE` stores a key in the system keyring; then leave it
# empty here.
"""

_TABLE = """\
# Settings

Each is an environment variable, or a line of `.env` in the folder where you start the pipeline:
copy [.env.example](../.env.example), which also has those of the sources. The environment takes
precedence. What a source needs is on its page in [sources/](sources/), and may be in the system
keyring instead: `personal-pipeline connect SOURCE` asks for it and stores it there. A source
without it is not connected, which is not an error.

| variable | default | what it is |
| --- | --- | --- |
"""


def all_settings(sources: Iterable[Source]) -> tuple[Setting, ...]:
    """Every setting of the house and of the sources."""
    return (*house_settings(), *(each for source in sources for each in source.settings))


def env_example(sources: Iterable[Source]) -> str:
    """The content of ``.env.example``."""
    of_sources = [
        (f"{source.title}: {each.description}", f" docs/sources/{source.name}.md", each)
        for source in sources
        for each in source.settings
    ]
    sections = {
        "services": [(text + page, each) for text, page, each in of_sources if each.is_needed],
        "the house": [(each.description, each) for each in house_settings()],
        "rarely needed": [(text, each) for text, _, each in of_sources if not each.is_needed],
    }
    lines = [_HEAD]
    for title, settings in sections.items():
        lines.append(f"# --- {title} ".ljust(WIDTH, "-") + "\n")
        lines += [f"{_comment(text)}\n{s.name}={s.default or ''}\n" for text, s in settings]
    return "\n".join(lines)


def _comment(text: str) -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def table() -> str:
    """The content of ``docs/settings.md``."""
    return _TABLE + "".join(f"| {' | '.join(_row(each))} |\n" for each in house_settings())


def _row(setting: Setting) -> tuple[str, ...]:
    default = f"`{setting.default}`" if setting.default else ""
    secret = " Secret." if setting.secret else ""
    return f"`{setting.name}`", default, setting.description.replace("|", "\\|") + secret


def pages(sources: Iterable[Source]) -> dict[str, str]:
    """The content of both pages, by path in the checkout."""
    return {".env.example": env_example(sources), "docs/settings.md": table()}


def main() -> None:
    """Write both pages into the checkout."""
    for name, content in pages(SOURCES).items():
        (CHECKOUT / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
