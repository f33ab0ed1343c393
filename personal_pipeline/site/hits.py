"""What the search page shows of an answer: plain values, all text made safe to print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from personal_pipeline.search.finding import BY_TIME_ABOVE, CannotSearch, Found, Hit, found
from personal_pipeline.search.question import parsed
from personal_pipeline.search.words import Pieces
from personal_pipeline.shown import counted, shown

HITS = 50


def answer_to(index: Path, typed: str, *, typing: bool) -> dict[str, Any]:
    """The typed text, a sentence about the answer, and the hits."""
    question = parsed(typed, typing=typing)
    told: dict[str, Any] = {"typed": typed, "said": "", "hits": []}
    if question.is_empty:
        return told
    try:
        answer = found(index, question, HITS)
    except CannotSearch as problem:
        return {**told, "said": shown(str(problem))}
    return {**told, "said": _said(answer), "hits": [_plain(hit) for hit in answer.hits]}


def _said(answer: Found) -> str:
    instead = "".join(f"Nothing for “{a}”; showing “{b}”. " for a, b in answer.instead)
    if answer.is_more:
        count = f"More than {BY_TIME_ABOVE:,} hits, the newest first."
    elif answer.count:
        count = f"{counted(answer.count, 'hit')}."
    else:
        count = "Nothing was found."
    return shown(instead) + count


def _plain(hit: Hit) -> dict[str, Any]:
    amount = f"{hit.amount} {hit.currency or ''}".strip() if hit.amount else ""
    about = (hit.kind.replace("_", " "), hit.place or "", amount)
    return {
        "day": hit.local_day,
        "time": hit.local_at[11:16] if hit.local_at else "",
        "title": _shown(hit.title),
        "snippet": _shown(hit.snippet),
        "about": [shown(each) for each in about if each],
    }


def _shown(pieces: Pieces) -> list[tuple[str, bool]]:
    return [(shown(piece), is_match) for piece, is_match in pieces]
