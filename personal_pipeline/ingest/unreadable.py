"""When unreadable records mean a changed format rather than a few odd records, and what is
reported."""

from __future__ import annotations

MANY = 5
"""This many unreadable records may be a changed format rather than a few odd ones."""

MOST = 0.25
"""The format has changed if more than this share is unreadable."""


def is_told(unreadable: int, records: int) -> bool:
    """Whether an answer covers what was requested, however few its records are. Otherwise the
    request is repeated, together with what comes next."""
    return unreadable <= MOST * records


def is_format_changed(unreadable: int, records: int) -> bool:
    """Whether so many records are unreadable that the user must look."""
    return unreadable >= MANY and not is_told(unreadable, records)


def format_changed(unreadable: int, records: int) -> str:
    """The sentence for an answer whose format has changed."""
    if unreadable == records:
        return f"In the last answer, {nothing_readable(unreadable)}"
    return (
        f"In the last answer, {unreadable:,} of {records:,} records could not be parsed: the "
        "service may have changed its format. Nothing was lost: they are in quarantine/, each with "
        "its reason, and the rows they would have replaced stay."
    )


def nothing_readable(records: int) -> str:
    """What to say about an answer or a file none of whose records could be read."""
    return (
        f"none of its {records:,} records could be parsed. Nothing was lost: they are in "
        "quarantine/, each with its reason; see docs/sources/ for the expected format."
    )
