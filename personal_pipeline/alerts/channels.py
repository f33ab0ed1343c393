"""Sending through apprise: one address, one message, one outcome.

Pitfalls of apprise 2.2:

- Importing it takes half a second, and the first address another; so it is imported only when there
  is something to send.
- ``?retry=`` in an address silently sends again, and ``?optional=yes`` reports a failure as a
  success. The outbox does its own retries and must know about failures, so both are removed.
- A call that exceeds its time limit is abandoned in a thread that the interpreter waits for at
  exit. Here it is abandoned in a daemon thread, which ends with the process.
- It answers yes or no. Whether a no may have been a yes (the answer was cut off) appears only in
  its log at level DEBUG. That log contains addresses, so it is captured briefly and shown to
  nobody.
- The images that it links in messages are on a server that would learn who reads them.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from enum import StrEnum
from threading import Thread
from types import ModuleType
from typing import TYPE_CHECKING

from pydantic import SecretStr

from personal_pipeline.alerts.messages import Tone

if TYPE_CHECKING:
    from apprise import NotifyBase

    from personal_pipeline.outputs.mail import Mail

READ_TIMEOUT_SECONDS = 20.0
SEND_TIMEOUT_SECONDS = 90.0
"""Time limit per message and channel, even if the server keeps sending a byte per minute."""

_THREAD = "personal-pipeline-alert"

REPEAT_TITLE = "Possible duplicate: "
REPEAT_BODY = (
    "This may be a duplicate: an earlier attempt to send it was cut off before the reply came.\n\n"
)

# Matches a connection that was established and then lost. One never established is a plain no.
_CUT_OFF = re.compile(
    r"read timed out|connection aborted|remotedisconnected|unexpectedly closed|reset by peer"
    r"|broken pipe|incompleteread|response ended prematurely|protocolerror|\btimed out\b",
    re.IGNORECASE,
)
_NEVER_THERE = re.compile(r"NewConnectionError|NameResolutionError|ConnectTimeout")


class Outcome(StrEnum):
    """The result of one attempt."""

    DELIVERED = "delivered"
    REFUSED = "refused"
    """Certainly not delivered."""
    IN_DOUBT = "in doubt"
    """Cut off before the answer: it may have been delivered."""


@dataclass(frozen=True, slots=True)
class Channel:
    """An address that messages go to. It is shown by its position in the setting and its scheme,
    because the rest is a credential."""

    place: int
    address: SecretStr

    @property
    def scheme(self) -> str:
        found = re.match(r"[a-z][a-z0-9+.-]{0,20}(?=://)", self.address.get_secret_value())
        return found.group() if found else "no scheme"

    @property
    def name(self) -> str:
        return f"address {self.place} ({self.scheme})"

    @property
    def digest(self) -> str:
        """The digest that represents the address in files."""
        return hashlib.sha256(self.address.get_secret_value().encode()).hexdigest()[:16]

    @property
    def is_mail(self) -> bool:
        return self.scheme in ("mailto", "mailtos")


def channels_of(addresses: Sequence[SecretStr]) -> list[Channel]:
    """The channels of the setting, without duplicate addresses."""
    by_digest: dict[str, Channel] = {}
    for place, address in enumerate(addresses, 1):
        channel = Channel(place, address)
        by_digest.setdefault(channel.digest, channel)
    return list(by_digest.values())


def misunderstood(channels: Sequence[Channel]) -> list[Channel]:
    """The channels whose address apprise cannot parse. Sends nothing."""
    return [channel for channel in channels if _service(channel) is None]


def send(
    channel: Channel,
    *,
    title: str,
    body: str,
    tone: Tone,
    mail: Mail | None = None,
    timeout: float = SEND_TIMEOUT_SECONDS,
) -> Outcome:
    """Send one message to one channel within ``timeout`` seconds. Never raises on a failure of the
    channel, and logs nothing.

    ``mail``, for a mail channel, brings a report; ``body`` is then a note above it, or empty.
    """
    outcome: Future[Outcome] = Future()

    def run() -> None:
        try:
            outcome.set_result(_send(channel, title, body, tone, mail))
        except BaseException as error:
            outcome.set_exception(error)

    Thread(target=run, name=_THREAD, daemon=True).start()
    try:
        return outcome.result(timeout)
    except TimeoutError:
        return Outcome.IN_DOUBT
    except Exception:
        # a plugin's error may contain the address, so its text is discarded too
        return Outcome.IN_DOUBT


def _send(channel: Channel, title: str, body: str, tone: Tone, mail: Mail | None) -> Outcome:
    apprise = _apprise()
    from apprise.attachment.memory import AttachMemory

    service = _service(channel)
    if service is None:
        return Outcome.REFUSED
    body_format = apprise.NotifyFormat.TEXT
    attached = apprise.AppriseAttachment()
    if mail is not None:
        # apprise makes the text part from the HTML, and puts in the pictures that it refers to
        body_format = service.notify_format = apprise.NotifyFormat.HTML
        service.inline = True
        body = mail.noted(body)
        for name, content in (*mail.pictures, *mail.attachments):
            kind = "image/png" if name.endswith(".png") else "application/pdf"
            attached.add(AttachMemory(content=content, name=name, mimetype=kind))  # type: ignore[no-untyped-call]
    sender = apprise.Apprise(asset=service.asset)
    sender.add(service)
    result = sender.notify(
        title=title,
        body=body,
        notify_type=tone,
        body_format=body_format,
        attach=attached if mail else None,
        log_level=logging.DEBUG,
    )
    if result:
        return Outcome.DELIVERED
    log = [entry.message for each in result for attempt in each.attempts for entry in attempt.logs]
    cut_off = any(_CUT_OFF.search(line) and not _NEVER_THERE.search(line) for line in log)
    return Outcome.IN_DOUBT if cut_off else Outcome.REFUSED


def _service(channel: Channel) -> NotifyBase | None:
    apprise = _apprise()
    asset = apprise.AppriseAsset(
        app_id="personal-pipeline",
        app_desc="personal-pipeline",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        async_mode=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=0,
    )
    service: NotifyBase | None = apprise.Apprise.instantiate(
        channel.address.get_secret_value(), asset=asset
    )
    if service is None:
        return None
    service.retry = 0
    service.optional = False
    service.socket_read_timeout = READ_TIMEOUT_SECONDS
    return service


def _apprise() -> ModuleType:
    """apprise, with its log going only to its own captures."""
    log = logging.getLogger("apprise")
    log.propagate = False
    log.handlers = [logging.NullHandler()]
    log.setLevel(logging.DEBUG)
    # at level DEBUG it logs the path of a request, which for a webhook is the credential
    logging.getLogger("urllib3.connectionpool").addFilter(_not_of_a_message)
    import apprise

    return apprise


def _not_of_a_message(record: logging.LogRecord) -> bool:
    return record.threadName != _THREAD
