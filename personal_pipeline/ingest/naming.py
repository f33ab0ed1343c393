"""Names of files from outside: any bytes but a slash, and up to 255 of them."""

from __future__ import annotations

import unicodedata

LONGEST_SHOWN = 300
"""A name with its folders, in letters."""

LONGEST_BYTES = 230
"""Of a name that we give: with a number and an ending of ours it must stay within 255."""

_JOINERS = "\u200c\u200d"
"""Part of words in some languages, and of faces."""


def shown(name: str) -> str:
    """The name as text that harms no terminal, page or database: what is no UTF-8 as ``\\xff``,
    control characters as ``\\x0a``, of a very long one beginning and end."""
    text = "".join(map(_shown, name))
    if len(text) <= LONGEST_SHOWN:
        return text
    half = LONGEST_SHOWN // 2
    return f"{text[: half - 1]}…{text[-half:]}"


def _shown(letter: str) -> str:
    if "\udc80" <= letter <= "\udcff":
        # a byte that Python could not decode
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp") and letter not in _JOINERS:
        code = ord(letter)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return letter


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
