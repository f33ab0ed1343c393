"""When records that cannot be read are more than a few odd ones, and what is said then."""

from __future__ import annotations

MANY = 5
"""So many records that cannot be read may be a changed format, and not a few odd ones."""

MOST = 0.25
"""A changed format is what leaves a larger share unread."""


def is_told(unreadable: int, records: int) -> bool:
    """Whether an answer tells what it was asked for, however few its records are. One that does not
    is asked for again, together with what comes next."""
    return unreadable <= MOST * records


def is_format_changed(unreadable: int, records: int) -> bool:
    """Whether so many of so many records cannot be read that a person must look."""
    return unreadable >= MANY and not is_told(unreadable, records)


def format_changed(unreadable: int, records: int) -> str:
    """The sentence for an answer whose format has changed."""
    if unreadable == records:
        return f"Of the last answer {nothing_readable(unreadable)}"
    return (
        f"Of the last answer {unreadable:,} of {records:,} records could not be read: the service "
        "may mean something else by them now. Nothing was lost: they are in quarantine/, each with "
        "the reason, and what was known of them stays."
    )


def nothing_readable(records: int) -> str:
    """What to say of an answer or a file that held records, and not one that could be read."""
    return (
        f"none of its {records:,} records could be read. Nothing was lost: they are in "
        "quarantine/, each with the reason; see docs/sources/ for the shape that is understood."
    )
