"""Medium responses in a saved file: JSON behind a guard, several in one file, or truncated.

Responses of Medium's older endpoints begin with ``])}while(1);</x>``, which keeps other web pages
from running them as scripts. People paste several into one file, one per line or in an array, and a
copy is sometimes truncated; whatever is intact before the break is still worth reading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from personal_pipeline.ingest.contract import Unreadable

GUARD = "])}while(1);</x>"

_BEFORE_ANSWER = re.compile(r'[\s,;\ufeff]*(?:[^\[{"\n]{0,30}</x>\s*)?')
_NEXT_ANSWER = re.compile(r"\n(?=[\[{]|\]\)\}while)")
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*\\?(?:"|\Z)|[\[\]{}]', re.DOTALL)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response. ``complete`` is False when only its beginning could be read."""

    value: object
    complete: bool


def decoded(content: bytes) -> str:
    """The text of a JSON file in any encoding that JSON allows, with or without a byte order
    mark."""
    return content.decode(json.detect_encoding(content), errors="replace").lstrip("\ufeff")


def after_guard(text: str, position: int = 0) -> int:
    """The position of the next response, past whitespace, commas and the guard."""
    match = _BEFORE_ANSWER.match(text, position)
    return match.end() if match else position


def read_answers(text: str) -> Iterator[Answer | Unreadable]:
    """Every JSON value in the text; from a broken one, what is intact before the break."""
    decoder = json.JSONDecoder()
    position = after_guard(text)
    while position < len(text):
        try:
            value, position = decoder.raw_decode(text, position)
            yield Answer(value, complete=True)
        except (ValueError, RecursionError) as error:
            broken_at = error.pos if isinstance(error, json.JSONDecodeError) else position
            resumes = _NEXT_ANSWER.search(text, position)
            end = resumes.end() if resumes else len(text)
            value, rest = _whole_elements(text[position:end], broken_at - position)
            if value is not None:
                yield Answer(value, complete=False)
            # brackets alone are left from an array whose elements were read one by one
            if value is not None or rest.strip("[]{}, \t\r\n"):
                yield Unreadable(
                    "the JSON is truncated here: a record or the end of the response is missing; "
                    "save this response again",
                    rest,
                )
            position = end
        position = after_guard(text, position)


def _whole_elements(text: str, broken_at: int) -> tuple[object, str]:
    """A broken JSON text, cut after the last intact array element, with its brackets closed.

    Returns its value (None when no element is intact) and the text after the cut.
    """
    closers: list[str] = []
    cut, closing = 0, ""
    for token in _TOKEN.finditer(text, 0, broken_at):
        match token[0]:
            case "[":
                closers.append("]")
            case "{":
                closers.append("}")
            case "]" | "}":
                closers.pop()
                if closers and closers[-1] == "]":
                    cut, closing = token.end(), "".join(reversed(closers))
    try:
        return (json.loads(text[:cut] + closing), text[cut:]) if cut else (None, text)
    except (ValueError, RecursionError):
        return None, text


def values_in(answer: object) -> Iterator[tuple[str, object]]:
    """Every object and list anywhere in a response, in order, with the name it is under."""
    waiting: list[tuple[str, object]] = [("", answer)]
    while waiting:
        name, value = waiting.pop()
        if isinstance(value, dict):
            yield name, value
            waiting.extend(reversed(value.items()))
        elif isinstance(value, list):
            yield name, value
            waiting.extend((name, item) for item in reversed(value))
