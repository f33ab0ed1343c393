"""Messages on their way, one JSON file each, under ``state/alerts/outbox/``.

A message is on disk before anything is sent, and stays until every channel has it. Which channels
have it stands in the file, by digest of the address, so that one dead channel does not make the
others hear everything again. Before a try the file says that it is under way; if the process dies
in that moment, or the answer is cut off, the next try is marked as a repeat. What every channel has
moves to ``sent/``, where the last ones are kept.

A dead channel is tried again after one minute, two, four, up to an hour. It holds back only its own
messages, and gets them in order when it is alive again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from personal_pipeline.alerts.channels import REPEAT_BODY, REPEAT_TITLE, Channel, Outcome, send
from personal_pipeline.alerts.memory import Message
from personal_pipeline.home import Home, sync_folder, write_atomically
from personal_pipeline.ingest.names import NotInside, inside

FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
KEPT_SENT = 200
"""So many sent messages can be read again."""

LATE_AFTER = timedelta(hours=1)
"""A message that comes so late says when it was written."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Letter:
    """A message in the outbox. Channels are named by the digest of their address."""

    message: Message
    delivered: Mapping[str, datetime] = field(default_factory=dict)
    under_way: tuple[str, ...] = ()
    """Channels to which a try began that did not surely fail."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Pause:
    """A channel that failed: how often in a row, and when it is tried again."""

    failures: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Delivered:
    """What one delivery did. ``failed`` are the channels that did not take a message, and
    ``waiting`` is the number of messages that are still on their way."""

    sent: tuple[tuple[Message, Channel], ...] = ()
    repeated: int = 0
    failed: tuple[Channel, ...] = ()
    shown: tuple[Message, ...] = ()
    """Messages for which there is no channel at all: whoever called shows them."""
    waiting: int = 0


_LETTER: TypeAdapter[Letter] = TypeAdapter(Letter)
_PAUSES: TypeAdapter[dict[str, _Pause]] = TypeAdapter(dict[str, _Pause])


def folder(home: Home) -> Path:
    """Where messages wait."""
    return home.state / "alerts" / "outbox"


def sent_folder(home: Home) -> Path:
    """Where the last sent ones are kept."""
    return home.state / "alerts" / "sent"


def post(home: Home, message: Message) -> None:
    """Lay a message into the outbox. Durable when this returns; the same one twice is one."""
    path = folder(home) / f"{message.id}.json"
    if not path.exists() and not (sent_folder(home) / path.name).exists():
        _write(path, Letter(message=message))


def waiting(home: Home) -> list[Letter]:
    """What is on its way, oldest first."""
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
    """Try every message that waits on every channel that lacks it. The caller holds the lock."""
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
            longer = min(FIRST_PAUSE * 2 ** min(failures - 1, 10), LONGEST_PAUSE)
            pauses[channel.digest] = _Pause(failures=failures, until=now + longer)
            done = replace(done, failed=(*done.failed, channel))
            # what comes after it would most likely fail alike, and must not overtake it
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
    attachment = _report(home, message.attachment) if message.attachment else None
    late = now - message.created_at >= LATE_AFTER
    outcome = send(
        channel,
        title=(REPEAT_TITLE if repeat else "") + message.title,
        body=(REPEAT_BODY if repeat else "")
        + message.body
        + (f"\n\nWritten {message.created_at:%Y-%m-%d %H:%M} UTC; sent late." if late else ""),
        tone=message.tone,
        attachment=attachment,
    )
    if outcome is Outcome.DELIVERED:
        letter = replace(letter, delivered={**letter.delivered, channel.digest: clock()})
    # once in doubt, always in doubt: a later no does not unsend what may have been sent before
    if outcome is Outcome.DELIVERED or (outcome is Outcome.REFUSED and not repeat):
        others = tuple(each for each in letter.under_way if each != channel.digest)
        letter = replace(letter, under_way=others)
    _write(path, letter)
    return letter, outcome


def _report(home: Home, named: str) -> Path | None:
    """The report of that name, wherever the home lies now; no other file is ever sent."""
    try:
        path = inside(home.reports, Path(named).name)
    except NotInside:
        return None
    return path if path.is_file() else None


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
        # losing it costs one try too early
        return {}
