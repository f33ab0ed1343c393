"""Makes text written by others safe to print: names of files and fields, answers of servers.

Such text may contain terminal control sequences (ESC), reverse the reading direction (U+202E),
contain a line break followed by a line that looks like ours, or be no valid text at all (file names
are bytes). All of these are escaped, as ``\\x1b`` and ``\\u202e``, and the length is limited. The
function is idempotent, so every output may apply it. Markup is escaped by whoever knows its kind:
rich, HTML, Markdown.
"""

from __future__ import annotations

import unicodedata

MAX_LINE_LENGTH = 1_000
MAX_LINES = 400

_WRITTEN_OUT = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
"""Also zero width, but Persian words and many emoji are written with them."""

_FIRST_LONE_BYTE = 0xDC80
_LAST_LONE_BYTE = 0xDCFF


def shown(text: str, most: int = MAX_LINE_LENGTH) -> str:
    """One line of at most ``most`` characters; a longer text is cut and ends with ``…``."""
    if text.isascii() and text.isprintable():
        line = text
    else:
        # process no more than is kept, which may be a thousandth of the text
        line = "".join(map(_visible, text[:most])) + text[most : most + 1]
    return line if len(line) <= most else f"{line[: most - 1]}…"


def shown_lines(text: str, most: int = MAX_LINE_LENGTH) -> str:
    """The same for text that is meant to have several lines; only ``\\n`` ends a line."""
    lines = text.split("\n")
    kept = [shown(line, most) for line in lines[:MAX_LINES]]
    return "\n".join([*kept, "…"] if len(lines) > MAX_LINES else kept)


def _visible(char: str) -> str:
    if _FIRST_LONE_BYTE <= ord(char) <= _LAST_LONE_BYTE:
        # how Python represents a byte of a file name that is not UTF-8
        return f"\\x{ord(char) - 0xDC00:02x}"
    if unicodedata.category(char) in _WRITTEN_OUT and char not in _JOINERS:
        return char.encode("unicode_escape").decode()
    return char


def counted(number: int, noun: str) -> str:
    """``1 file``, ``1,234 files``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
