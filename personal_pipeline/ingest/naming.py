"""File names from outside: any bytes but a slash, and up to 255 of them."""

from __future__ import annotations

from personal_pipeline.shown import shown

MAX_BYTES = 230
"""For a name that we give: with a number and a suffix of ours it must stay within 255."""


def whole_name(name: str) -> str:
    """The name itself if it is valid text, else its printable form: for readers, which look at
    names."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return fitting(name)
    return name


def fitting(name: str) -> str:
    """The printable name, cut so that every file system accepts it with a suffix of ours."""
    text = shown(name)
    if len(text.encode()) <= MAX_BYTES:
        return text
    stem, dot, ending = text.rpartition(".")
    if not stem or len(ending.encode()) > MAX_BYTES // 4:
        stem, dot, ending = text, "", ""
    room = MAX_BYTES - len(f"{dot}{ending}".encode())
    return stem.encode()[:room].decode(errors="ignore") + dot + ending
