"""Who is told what, and when: a pure function of the current state, what was told, and the clock.

The rules, in the order in which a person would miss them:

- A subject is reported once when it turns bad, and once when it is well again. In between there are
  reminders that become rarer, and a message if a trouble of another kind is added, because that
  needs another remedy.
- What only the person can fix at the service (a key is refused) is reported once, without
  reminders.
- A failure that the next fetch may resolve (the service is down, time ran out) is reported when a
  fetch most of a day later also failed, or was missed. One that recovers sooner is never
  reported, so that a service that stumbles every other day causes no alerts.
- Nothing that only a fetch could resolve is reported when the computer has just woken up: missed
  fetches are being made up for. Where every planning follows a long pause, as under a daily cron
  job, it is reported when seen the second time.
- Subjects in trouble for the same reason share a message, including those that are about to be
  reported.
- Nothing is sent during the quiet hours. What still holds at their end becomes one message; what
  came and went in the night is not reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from personal_pipeline.alerts import messages
from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.memory import Alerted, First, Memory, Message
from personal_pipeline.alerts.messages import Known, Text
from personal_pipeline.alerts.subjects import DUE, Standing, Subject, Trouble

CONFIRMED_AFTER = timedelta(hours=20)
"""A transient failure is confirmed when a fetch this long after the first failed one fails too:
long enough to exclude a retry on the same morning, short enough for a daily fetch that shifts by
some hours."""

MISSED_AFTER = timedelta(hours=26)
"""This long after a failed fetch, the next daily one has been missed."""

PAUSE = timedelta(hours=3)
"""A gap between plannings this long means that the computer slept, or that a daily job plans."""

SETTLING = timedelta(hours=1)
"""How long missed fetches may take to be made up for after a pause."""

REPORTS_REMEMBERED = 60
"""How many sent reports are remembered: two months of days."""

_RARER = (1, 7 / 3, 14 / 3, 10)
"""The first reminder comes after the person's interval, the next ones after these multiples of it,
and all others after the last: 3, 7, 14 and 30 days."""

COMPANY = timedelta(hours=3)
"""Troubles for the same reason that began within this time are one event."""

SLACK = timedelta(hours=1)
"""A daily job runs a little earlier or later; a reminder must not be delayed by a day because of
that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rules:
    """The person's choices. ``board`` is the address of the UI."""

    zone: ZoneInfo
    quiet: tuple[int, int] | None = None
    """Hours in the time zone: quiet from the first until the second."""
    reminder: timedelta = timedelta(days=3)
    board: str = "http://127.0.0.1:3000"


@dataclass(frozen=True, slots=True)
class Planned:
    """``memory.unposted`` holds the messages. ``consumed`` are the failures that they cover."""

    memory: Memory
    consumed: tuple[RunFailure, ...] = ()


def is_quiet(now: datetime, rules: Rules) -> bool:
    """Whether it is within the person's quiet hours."""
    if rules.quiet is None:
        return False
    begin, end = rules.quiet
    hour = now.astimezone(rules.zone).hour
    return begin <= hour < end if begin < end else hour >= begin or hour < end


def plan(
    subjects: Sequence[Subject],
    failures: Sequence[RunFailure],
    memory: Memory,
    now: datetime,
    rules: Rules,
    *,
    reports: Sequence[Path] = (),
    worked: Mapping[str, datetime] | None = None,
) -> Planned:
    """What to tell now. ``reports`` are the mails that bring a report, named after its day or
    month; one that was sent is not sent again. ``worked`` has by job when it last succeeded, after
    which a failure is news again.

    A subject missing from ``subjects`` is gone and silently forgotten; one with standing UNKNOWN
    keeps what was told about it.
    """
    paused = memory.planned_at is not None and now - memory.planned_at > PAUSE
    woke_at = now if paused else memory.woke_at
    quiet = is_quiet(now, rules)
    firsts, ripe = _watch(subjects, memory.firsts, now, woke_at)
    memory = replace(memory, firsts=firsts, woke_at=woke_at, planned_at=now)
    if quiet:
        return Planned(replace(memory, quiet=True))
    texts, told = _of_subjects(subjects, firsts, ripe, memory.told, now, rules)
    failed, failures_told = _of_failures(failures, memory.failures, worked or {}, now, rules)
    texts += failed
    if memory.quiet and texts:
        texts = [messages.joined(texts)]
    letters = [_message(text, memory.number + n, now) for n, text in enumerate(texts, 1)]
    for file in reports:
        name = file.stem
        if name in memory.reports_sent:
            continue
        letter = _message(messages.report_of(name), memory.number + len(letters) + 1, now)
        letters.append(replace(letter, attachment=str(file)))
        memory = replace(memory, reports_sent=(*memory.reports_sent, name)[-REPORTS_REMEMBERED:])
    memory = replace(
        memory,
        told=told,
        failures=failures_told,
        quiet=False,
        number=memory.number + len(letters),
        unposted=(*memory.unposted, *letters),
    )
    return Planned(memory, tuple(failures))


def _message(text: Text, number: int, now: datetime) -> Message:
    return Message(
        id=f"{now:%Y%m%dT%H%M%SZ}-{number:06d}",
        created_at=now,
        title=text.title,
        body=text.body,
        tone=text.tone,
        about=text.about,
    )


# --------------------------------------------------------------------------- what is ripe to tell


def _place(subject: Subject, trouble: Trouble) -> str:
    return f"{subject.key}/{trouble.stream}"


def _watch(
    subjects: Sequence[Subject],
    before: Mapping[str, First],
    now: datetime,
    woke_at: datetime | None,
) -> tuple[dict[str, First], set[str]]:
    """When each trouble began, and the places of those that may be told now."""
    firsts: dict[str, First] = {}
    ripe: set[str] = set()
    for subject in subjects:
        if subject.standing is Standing.UNKNOWN:
            firsts |= {p: f for p, f in before.items() if p.startswith(f"{subject.key}/")}
        for trouble in subject.troubles:
            place = _place(subject, trouble)
            first = before.get(place)
            if first is None or first.kind != trouble.kind:
                first = First(kind=trouble.kind, seen_at=now)
            if trouble.passing and first.failed_at is None:
                first = replace(first, failed_at=trouble.fetched_at or now)
            if trouble.waits_for_a_fetch and _may_be_sleep(first, now, woke_at):
                first = replace(first, held_since=first.held_since or woke_at)
            elif _is_real(trouble, first, now):
                ripe.add(place)
            firsts[place] = first
    return firsts, ripe


def _is_real(trouble: Trouble, first: First, now: datetime) -> bool:
    if trouble.early:
        return False
    if not trouble.passing or first.failed_at is None:
        return True
    fetched_at = trouble.fetched_at or now
    return fetched_at - first.failed_at >= CONFIRMED_AFTER or now - fetched_at >= MISSED_AFTER


def _may_be_sleep(first: First, now: datetime, woke_at: datetime | None) -> bool:
    if woke_at is None or now - woke_at >= SETTLING:
        return False
    return first.held_since is None or first.held_since >= woke_at


# ---------------------------------------------------------------------------------- of subjects


def _of_subjects(
    subjects: Sequence[Subject],
    firsts: Mapping[str, First],
    ripe: set[str],
    before: Mapping[str, Alerted],
    now: datetime,
    rules: Rules,
) -> tuple[list[Text], dict[str, Alerted]]:
    told: dict[str, Alerted] = {}
    turned: dict[str, list[Known]] = {}
    reminded: dict[str, list[Known]] = {}
    well: list[Subject] = []
    for subject in subjects:
        known = before.get(subject.key)
        if subject.standing is Standing.UNKNOWN:
            if known is not None:
                told[subject.key] = known
            continue
        news = [t for t in subject.troubles if _is_news(t, subject, firsts, ripe, known, subjects)]
        if news:
            kinds = (*(known.kinds if known else ()), *dict.fromkeys(t.kind for t in news))
            told[subject.key] = Alerted(kinds=kinds, since=known.since if known else now, last=now)
            for reason, troubles in _by_reason(news).items():
                turned.setdefault(reason, []).append(_known(subject, troubles, firsts))
        elif known is not None and subject.troubles:
            told[subject.key] = known
            pause = rules.reminder * _RARER[min(known.reminders, len(_RARER) - 1)]
            if now - known.last < pause - SLACK:
                continue
            still = [t for t in subject.troubles if t.kind in known.kinds and not t.once]
            if still:
                told[subject.key] = replace(known, last=now, reminders=known.reminders + 1)
            for reason, troubles in _by_reason(still).items():
                reminded.setdefault(reason, []).append(_known(subject, troubles, firsts))
        elif known is not None and subject.standing is Standing.WELL and known.kinds != (DUE,):
            well.append(subject)
    texts = [messages.turned(r, group, rules.board, rules.zone) for r, group in turned.items()]
    if well:
        since = {each.key: before[each.key].since for each in well}
        texts.append(messages.recovered(well, since, rules.zone))
    texts += [messages.reminder(r, group, rules.board, rules.zone) for r, group in reminded.items()]
    return texts, told


def _is_news(
    trouble: Trouble,
    subject: Subject,
    firsts: Mapping[str, First],
    ripe: set[str],
    known: Alerted | None,
    subjects: Sequence[Subject],
) -> bool:
    if known is not None and trouble.kind in known.kinds:
        return False
    place = _place(subject, trouble)
    if place in ripe:
        return True
    return any(
        other.reason == trouble.reason
        and _place(each, other) in ripe
        and trouble.waits_for_a_fetch
        and abs(firsts[_place(each, other)].seen_at - firsts[place].seen_at) <= COMPANY
        for each in subjects
        for other in each.troubles
    )


def _by_reason(troubles: Iterable[Trouble]) -> dict[str, tuple[Trouble, ...]]:
    groups: dict[str, tuple[Trouble, ...]] = {}
    for each in troubles:
        groups[each.reason] = (*groups.get(each.reason, ()), each)
    return groups


def _known(subject: Subject, troubles: tuple[Trouble, ...], firsts: Mapping[str, First]) -> Known:
    return Known(subject, troubles, min(firsts[_place(subject, t)].seen_at for t in troubles))


# ------------------------------------------------------------------------------- of failed runs


def _of_failures(
    failures: Sequence[RunFailure],
    before: Mapping[str, datetime],
    worked: Mapping[str, datetime],
    now: datetime,
    rules: Rules,
) -> tuple[list[Text], dict[str, datetime]]:
    told = {sort: at for sort, at in before.items() if now - at < rules.reminder - SLACK}
    news: dict[str, RunFailure] = {}
    for failure in failures:
        last = told.get(failure.sort)
        mended = worked.get(failure.job)
        if last is None or (mended is not None and last < mended < failure.at):
            news.setdefault(failure.sort, failure)
            told[failure.sort] = now
    if not news:
        return [], told
    return [messages.runs_failed(list(news.values()), rules.board)], told
