"""Messages on their way, one JSON file each, under ``state/alerts/outbox/``.

A message is on disk before anything is sent, and stays until every channel has it. The file records
which channels have it, by digest of the address, so that one dead channel does not make the others
receive everything again. Before an attempt, the file records that it is under way; if the process
dies then, or the answer is cut off, the next attempt is marked as a repeat. A message that every
channel has moves to ``sent/``, which keeps the most recent ones.

A dead channel is retried after one minute, two, four, up to an hour. It holds back only its own
messages, and gets them in order when it recovers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from personal_pipeline.alerts.channels import REPEAT_BODY, REPEAT_TITLE, Channel, Outcome, send
from personal_pipeline.alerts.memory import Message
from personal_pipeline.home import Home, sync_folder, write_atomically
from personal_pipeline.ingest.names import NotInside, inside

if TYPE_CHECKING:
    from personal_pipeline.outputs.mail import Mail

FIRST_PAUSE = timedelta(minutes=1)
MAX_PAUSE = timedelta(hours=1)
KEPT_SENT = 200
"""Number of sent messages that are kept for reading."""

LATE_AFTER = timedelta(hours=1)
"""A message delivered with this much delay says when it was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A message in the outbox. Channels are identified by the digest of their address."""

    message: Message
    delivered: Mapping[str, datetime] = field(default_factory=dict)
    under_way: tuple[str, ...] = ()
    """Channels with an attempt that was begun and did not certainly fail."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pause:
    """A failed channel: how often in a row, and when it is retried."""

    failures: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """The result of one delivery. ``failed`` are the channels that did not accept a message,
    ``waiting`` is the number of undelivered messages."""

    sent: tuple[tuple[Message, Channel], ...] = ()
    repeated: int = 0
    failed: tuple[Channel, ...] = ()
    shown: tuple[Message, ...] = ()
    """Messages for which no channel is configured: the caller shows them."""
    waiting: int = 0


_LETTER: TypeAdapter[Letter] = TypeAdapter(Letter)
_PAUSES: TypeAdapter[dict[str, _Pause]] = TypeAdapter(dict[str, _Pause])


def folder(home: Home) -> Path:
    """The folder of undelivered messages."""
    return home.state / "alerts" / "outbox"


def sent_folder(home: Home) -> Path:
    """The folder of the most recent sent messages."""
    return home.state / "alerts" / "sent"


def post(home: Home, message: Message) -> None:
    """Put a message into the outbox. Durable on return; posting it twice has no further effect."""
    path = folder(home) / f"{message.id}.json"
    if not path.exists() and not (sent_folder(home) / path.name).exists():
        _write(path, Letter(message=message))


def waiting(home: Home) -> list[Letter]:
    """The undelivered messages, oldest first."""
    return [letter for _, letter in _letters(home)]


def _letters(home: Home) -> Iterator[tuple[Path, Letter]]:
    for path in sorted(folder(home).glob("*.json")):
        try:
            yield path, _LETTER.validate_json(path.read_bytes())
        except ValidationError:
            path.replace(path.with_suffix(".unreadable"))


def _write(path: Path, letter: Letter) -> None:
    write_atomically(path, _LETTER.dump_json(letter, indent=1))


def deliver(home: Home, channels: Sequence[Channel], clock: Callable[[], datetime]) -> Delivered:
    """Try every undelivered message on every channel that lacks it. The caller holds the lock."""
    done = Delivered()
    letters = dict(_letters(home))
    now = clock()
    pauses = {d: p for d, p in _recall_pauses(home).items() if d in {c.digest for c in channels}}
    before = dict(pauses)
    for channel in channels:
        pause = pauses.get(channel.digest)
        if pause is not None and now < pause.until:
            continue
        for path, letter in letters.items():
            if not _concerns(letter, channel) or channel.digest in letter.delivered:
                continue
            letters[path], outcome = _try(home, path, letter, channel, now, clock)
            if outcome is Outcome.DELIVERED:
                pauses.pop(channel.digest, None)
                done = replace(
                    done,
                    sent=(*done.sent, (letter.message, channel)),
                    repeated=done.repeated + (channel.digest in letter.under_way),
                )
                continue
            again = pauses.get(channel.digest)
            failures = (again.failures if again else 0) + 1
            longer = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), MAX_PAUSE)
            pauses[channel.digest] = _Pause(failures=failures, until=now + longer)
            done = replace(done, failed=(*done.failed, channel))
            # later messages would most likely fail too, and must not overtake it
            break
    if pauses != before:
        write_atomically(_pauses_path(home), _PAUSES.dump_json(pauses, indent=1))
    for path, letter in letters.items():
        missing = [c for c in channels if _concerns(letter, c) and c.digest not in letter.delivered]
        if missing:
            done = replace(done, waiting=done.waiting + 1)
            continue
        if not letter.delivered:
            done = replace(done, shown=(*done.shown, letter.message))
        _file_as_sent(home, path)
    return done


def _concerns(letter: Letter, channel: Channel) -> bool:
    return letter.message.attachment is None or channel.is_mail


def _try(
    home: Home,
    path: Path,
    letter: Letter,
    channel: Channel,
    now: datetime,
    clock: Callable[[], datetime],
) -> tuple[Letter, Outcome]:
    repeat = channel.digest in letter.under_way
    if not repeat:
        letter = replace(letter, under_way=(*letter.under_way, channel.digest))
        _write(path, letter)
    message = letter.message
    mail = _mail(home, message.attachment) if message.attachment else None
    late = now - message.created_at >= LATE_AFTER
    outcome = send(
        channel,
        title=(REPEAT_TITLE if repeat else "") + message.title,
        body=(REPEAT_BODY if repeat else "")
        + ("" if mail else message.body)
        + (f"\n\nDelayed: written {message.created_at:%Y-%m-%d %H:%M} UTC." if late else ""),
        tone=message.tone,
        mail=mail,
    )
    if outcome is Outcome.DELIVERED:
        letter = replace(letter, delivered={**letter.delivered, channel.digest: clock()})
    # once in doubt, always in doubt: a later refusal does not undo what may have been sent before
    if outcome is Outcome.DELIVERED or (outcome is Outcome.REFUSED and not repeat):
        others = tuple(each for each in letter.under_way if each != channel.digest)
        letter = replace(letter, under_way=others)
    _write(path, letter)
    return letter, outcome


def _mail(home: Home, named: str) -> Mail | None:
    """The mail of that name, wherever the home is now; no other file is ever sent."""
    from personal_pipeline.outputs.mail import read

    try:
        return read(inside(home.reports, Path(named).name).read_bytes())
    except (NotInside, OSError, ValueError):
        return None


def _file_as_sent(home: Home, path: Path) -> None:
    sent = sent_folder(home)
    sent.mkdir(parents=True, exist_ok=True)
    path.replace(sent / path.name)
    sync_folder(sent)
    for old in sorted(sent.glob("*.json"))[:-KEPT_SENT]:
        old.unlink()


def _pauses_path(home: Home) -> Path:
    return home.state / "alerts" / "pauses.json"


def _recall_pauses(home: Home) -> dict[str, _Pause]:
    try:
        return _PAUSES.validate_json(_pauses_path(home).read_bytes())
    except (FileNotFoundError, ValidationError):
        # losing it costs one premature retry
        return {}
