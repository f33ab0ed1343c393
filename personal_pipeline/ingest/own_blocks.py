"""The part of a person's note that is ours: what stands between our markers.

An export puts a block into a note and replaces only that. Whoever reads notes leaves the blocks
out, or notes and exports would chase each other.
"""

from __future__ import annotations

import re

_BLOCK = re.compile(
    r"<!-- personal_pipeline: (?P<name>[\w-]+) -->"
    # what the person wrote may lie between a marker whose end was lost and the next block
    r"(?:(?!<!-- personal_pipeline: ).)*?"
    r"<!-- /personal_pipeline: (?P=name) -->(?:\r?\n)?",
    re.DOTALL,
)


def without_blocks(text: str) -> str:
    """The text without any block of ours: what the person wrote."""
    return _BLOCK.sub("", text)


def with_block(text: str, name: str, content: str) -> str:
    """The text with the content of one block replaced, or the block appended; without the block if
    there is no content. Everything else stays as it is."""
    end = "\r\n" if "\r\n" in text else "\n"
    block = ""
    if content:
        # a marker within it would end the block early
        lines = content.replace("<!--", "&lt;!--").strip().replace("\r\n", "\n")
        inner = lines.replace("\n", end)
        begin, finish = (f"<!-- {slash}personal_pipeline: {name} -->" for slash in ("", "/"))
        block = end.join((begin, inner, finish, ""))
    for found in _BLOCK.finditer(text):
        if found["name"] == name:
            return text[: found.start()] + block + text[found.end() :]
    if not block or not text:
        return text + block
    return text + ("" if text.endswith("\n") else end) + end + block
