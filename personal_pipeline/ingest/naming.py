"""Names of files from outside: any bytes but a slash, and up to 255 of them."""

from __future__ import annotations

from personal_pipeline.shown import shown

LONGEST_BYTES = 230
"""Of a name that we give: with a number and an ending of ours it must stay within 255."""


def whole_name(name: str) -> str:
    """The name itself where it is text, else as it is shown: for readers, which look at names."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return fitting(name)
    return name


def fitting(name: str) -> str:
    """The name as it is shown, cut so that every file system takes it with an ending of ours."""
    text = shown(name)
    if len(text.encode()) <= LONGEST_BYTES:
        return text
    stem, dot, ending = text.rpartition(".")
    if not stem or len(ending.encode()) > LONGEST_BYTES // 4:
        stem, dot, ending = text, "", ""
    room = LONGEST_BYTES - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending
