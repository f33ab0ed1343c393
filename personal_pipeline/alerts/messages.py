"""The text of messages. It contains no credential and no row of anybody's data: a message leaves
the machine and shows on a phone's lock screen."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.subjects import DUE, LATE, Subject, Trouble
from personal_pipeline.outputs.formats import MONTHS, WEEKDAYS

Tone = Literal["info", "success", "warning", "failure"]
"""How a channel that supports colours shows the message."""

MAX_NAMED = 3
"""Maximum number of names in a title; beyond that, their count."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Text:
    """The words of a message."""

    title: str
    body: str
    tone: Tone
    about: tuple[str, ...] = ()
    """Its topics, machine-readable: ``turned service kit: late``, ``well …``, ``reminder …``, ``run
    …``, ``report …``."""


@dataclass(frozen=True, slots=True)
class Known:
    """A subject with its reported troubles, and since when they are known."""

    subject: Subject
    troubles: tuple[Trouble, ...]
    since: datetime


def turned(reason: str, group: Sequence[Known], board: str, zone: ZoneInfo) -> Text:
    """Sources have turned late or failing, or exports are due, for one reason."""
    names = _names([each.subject.title for each in group])
    title = f"Please export: {names}" if reason == DUE else f"{names}: {reason}"
    return Text(
        title=title,
        body=_body((_standing(each, zone) for each in group), board),
        tone="info" if reason == DUE else "warning" if reason == LATE else "failure",
        about=tuple(f"turned {each.subject.key}: {reason}" for each in group),
    )


def reminder(reason: str, group: Sequence[Known], board: str, zone: ZoneInfo) -> Text:
    """The trouble was reported some days ago and persists."""
    text = turned(reason, group, board, zone)
    return replace(
        text,
        title=f"Reminder: {text.title.replace('Please export', 'please export', 1)}",
        about=tuple(f"reminder {each.subject.key}: {reason}" for each in group),
    )


def recovered(subjects: Sequence[Subject], since: Mapping[str, datetime], zone: ZoneInfo) -> Text:
    """What was late or failing is well again. ``since`` has by key when it was reported."""
    names = _names([each.title for each in subjects])
    return Text(
        title=f"{names}: recovered",
        body="\n".join(
            f"{each.title} has recovered. The trouble was first reported "
            f"{moment(since[each.key], zone)}."
            for each in subjects
        ),
        tone="success",
        about=tuple(f"well {each.key}" for each in subjects),
    )


def runs_failed(failures: Sequence[RunFailure], board: str) -> Text:
    """Runs of the pipeline failed."""
    names = _names(list(dict.fromkeys(each.what for each in failures)))
    return Text(
        title=f"Run failed: {names}",
        body=_body((_failure(each) for each in failures), board),
        tone="failure",
        about=tuple(f"run {each.run_id} {each.what}" for each in failures),
    )


def report_of(name: str) -> Text:
    """The message that brings a report. A mail shows the report instead of this text, unless its
    file is gone by then."""
    return Text(
        title=f"The report of {name}",
        body=f"Your report of {name} was written.",
        tone="info",
        about=(f"report {name}",),
    )


def joined(texts: Sequence[Text]) -> Text:
    """Combines several messages that waited together into one."""
    if len(texts) == 1:
        return texts[0]
    order: Sequence[Tone] = ("info", "success", "warning", "failure")
    return Text(
        title="; ".join(text.title for text in texts[:MAX_NAMED])
        + (f"; and {len(texts) - MAX_NAMED} more" if len(texts) > MAX_NAMED else ""),
        body="\n\n".join(f"{text.title}\n{text.body}" for text in texts),
        tone=max((text.tone for text in texts), key=order.index),
        about=tuple(each for text in texts for each in text.about),
    )


def _standing(known: Known, zone: ZoneInfo) -> str:
    lead = known.troubles[0]
    streams = [each.stream for each in known.troubles]
    if lead.by_hand and lead.reason in (DUE, LATE):
        what = f"{known.subject.title} is {lead.reason}."
    elif streams == [""]:
        what = f"{known.subject.title}: {lead.reason}, first seen {moment(known.since, zone)}."
    else:
        which = "" if lead.by_hand else f" ({_names(streams)})"
        what = (
            f"{known.subject.title}{which}: {lead.reason}, first seen {moment(known.since, zone)}."
        )
    details = list(dict.fromkeys(each.detail for each in known.troubles if each.detail))
    # instructions with several steps have one per line
    between = "\n" if any("\n" in each for each in details) else " "
    return between.join([what, *details[:MAX_NAMED]])


def _failure(failure: RunFailure) -> str:
    partition = f", partition {failure.partition}" if failure.partition else ""
    address = f"\n{failure.address}" if failure.address else ""
    return f"{failure.what}{partition}: {failure.cause}{address}"


def _body(paragraphs: Iterable[str], board: str) -> str:
    return "\n\n".join([*paragraphs, f"Status: `personal-pipeline status`, or {board}"])


def _names(names: Sequence[str]) -> str:
    if len(names) > MAX_NAMED:
        return f"{', '.join(names[: MAX_NAMED - 1])} and {len(names) - MAX_NAMED + 1} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def moment(instant: datetime, zone: ZoneInfo) -> str:
    """``Sat 21 Nov, 07:30``, in the person's time zone."""
    local = instant.astimezone(zone)
    day = f"{WEEKDAYS[local.weekday()][:3]} {local.day} {MONTHS[local.month - 1][:3]}"
    return f"{day}, {local:%H:%M}"


# Parts of a database or parser message that may be somebody's data: quoted text (an apostrophe
# within a word is no quote), addresses, long numbers, structures.
_VALUES = re.compile(
    r"(?<!\w)'.*?'(?!\w)|\".*?\"|\S+@\S+|\S*://\S+|\b\d[\d.,-]{4,}|\{.*\}|\[.*\]", re.DOTALL
)
_OPEN_QUOTE = re.compile(r"(?<!\w)'|\"")


def without_values(text: str) -> str:
    """The first two non-empty lines, with everything removed that may be somebody's data.

    Error messages of a database quote the value that they could not convert.
    """
    lines = " ".join([line.strip() for line in text.splitlines() if line.strip()][:2])
    shown = _VALUES.sub("…", lines)
    # a quoted value that opens here and closes in a later line
    return _OPEN_QUOTE.split(shown)[0][:300].rstrip()
