"""Text that others wrote, made fit to be shown: names of files and fields, answers of servers.

Such a text may hold what steers a terminal (ESC sequences), turns the order of reading around
(U+202E), ends a line to begin one that looks like ours, or is no text at all (a file's name is
bytes). Here all of that is written out, as ``\\x1b`` and ``\\u202e``, and the text is bounded.
What was shown once comes out the same when it is shown again, so every door may use it. Markup is
escaped by whoever knows which: rich, HTML, Markdown.
"""

from __future__ import annotations

import unicodedata

LONGEST_LINE = 1_000
MOST_LINES = 400

_WRITTEN_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
"""Zero width too, but words of Persian and many emoji are written with them."""

_FIRST_LONE_BYTE = 0xDC80
_LAST_LONE_BYTE = 0xDCFF


def shown(text: str, most: int = LONGEST_LINE) -> str:
    """One line, of at most ``most`` characters; a longer text ends with ``…``."""
    if text.isascii() and text.isprintable():
        line = text
    else:
        # no longer than what is kept of it: most may be a thousandth of it
        line = "".join(map(_visible, text[:most])) + text[most : most + 1]
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_lines(text: str, most: int = LONGEST_LINE) -> str:
    """The same of a text that is meant to have several lines; only ``\\n`` ends one."""
    lines = text.split("\n")
    kept = [shown(line, most) for line in lines[:MOST_LINES]]
    return "\n".join([*kept, "…"] if len(lines) > MOST_LINES else kept)


def _visible(char: str) -> str:
    if _FIRST_LONE_BYTE <= ord(char) <= _LAST_LONE_BYTE:
        # what Python makes of a byte in a file's name that is no UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    if unicodedata.category(char) in _WRITTEN_OUT and char not in _JOINERS:
        return char.encode("unicode_escape").decode()
    return char
