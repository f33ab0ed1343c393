"""One round of alerts: plan what is to be told now, commit it, put it into the outbox, send it.

The daemon's sensor and ``personal-pipeline status --notify`` make the same rounds under one lock,
so both may run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from personal_pipeline.alerts import events, memory, outbox
from personal_pipeline.alerts.channels import channels_of
from personal_pipeline.alerts.outbox import Delivered
from personal_pipeline.alerts.plan import Rules, plan
from personal_pipeline.alerts.subjects import Subject, subjects_of, unknown
from personal_pipeline.board import StreamState
from personal_pipeline.doors.door import address_of
from personal_pipeline.home import Busy, Home
from personal_pipeline.house import House
from personal_pipeline.outputs.folder import day_file, mail_of, month_file
from personal_pipeline.outputs.morning import last_month
from personal_pipeline.settings import Settings
from personal_pipeline.shown import shown, shown_lines

LOG = logging.getLogger(__name__)

MAX_TITLE_LENGTH = 200

REPORT_PATIENCE = timedelta(hours=1)
"""How long to wait for the morning's report; after that, one written earlier that day is sent."""


@dataclass(frozen=True, slots=True)
class Round:
    """What a round did. ``lines`` describe it, one sentence each; empty if nothing happened."""

    delivered: Delivered = field(default_factory=Delivered)
    lines: tuple[str, ...] = ()
    busy: bool = False
    """Another process was making a round, so this one did nothing."""


def rules_of(home: Home, settings: Settings) -> Rules:
    """The person's choices."""
    return Rules(
        zone=ZoneInfo(settings.timezone),
        quiet=settings.quiet_hours,
        reminder=timedelta(days=settings.reminder_days),
        board=address_of(home, settings),
    )


def notify(
    house: House,
    board: Sequence[StreamState],
    *,
    checks: Sequence[Subject] | None = None,
    last_success: Callable[[str], datetime | None] = lambda job: None,
    wait_seconds: float = 0,
) -> Round:
    """Make a round. ``checks`` are the asset checks; None if they were not evaluated, in which case
    what was told about them stands. ``last_success`` returns when a job last succeeded."""
    try:
        with house.home.lock("alerts", wait_seconds=wait_seconds):
            return _round(house, board, checks, last_success)
    except Busy:
        return Round(busy=True)


def _round(
    house: House,
    board: Sequence[StreamState],
    checks: Sequence[Subject] | None,
    last_success: Callable[[str], datetime | None],
) -> Round:
    home, settings, now = house.home, house.settings, house.clock()
    rules = rules_of(house.home, settings)
    channels = channels_of(settings.alerts)
    known = memory.recall(home)
    subjects = subjects_of(board, house.sources, home.inbox)
    subjects += unknown(known.told) if checks is None else checks
    failures = events.recorded(home)
    worked = {job: last_success(job) for job in {failure.job for failure in failures}}
    mailed = settings.mail_report and any(channel.is_mail for channel in channels)
    planned = plan(
        subjects,
        failures,
        known,
        now,
        rules,
        reports=_reports(house, now, rules) if mailed else (),
        worked={job: at for job, at in worked.items() if at is not None},
    )
    memory.remember(home, planned.memory)
    _post(house, planned.memory)
    events.forget(home, list(planned.consumed))
    delivered = outbox.deliver(home, channels, house.clock)
    return Round(delivered, tuple(_lines(delivered)))


def _post(house: House, known: memory.Memory) -> None:
    """Put committed messages into the outbox, including those of a planning that was killed."""
    if known.unposted:
        for message in known.unposted:
            outbox.post(house.home, _censored(message, house))
        memory.remember(house.home, replace(known, unposted=()))


def _censored(message: memory.Message, house: House) -> memory.Message:
    """The message without any secret of the settings or control characters; a title is one line.
    None should be in it; this is the last check before it leaves the machine."""
    title, body = shown(message.title, MAX_TITLE_LENGTH), shown_lines(message.body)
    return replace(message, title=house.without_secrets(title), body=house.without_secrets(body))


def _reports(house: House, now: datetime, rules: Rules) -> list[Path]:
    """The mails of the day's report, once the one meant for the morning is there, and of the last
    month's."""
    local = now.astimezone(rules.zone)
    hour = local.replace(hour=house.settings.report_hour, minute=0, second=0, microsecond=0)
    if local < hour:
        return []
    names = (month_file(last_month(house)), day_file(house.today))
    files = [mail_of(house.home.reports / name) for name in names]
    return [file for file in files if file.is_file() and _is_due(file, local, hour)]


def _is_due(file: Path, local: datetime, hour: datetime) -> bool:
    written = datetime.fromtimestamp(file.stat().st_mtime, tz=local.tzinfo)
    return written >= hour or local >= hour + REPORT_PATIENCE


def _lines(delivered: Delivered) -> list[str]:
    return [
        *(f"Sent to {channel.name}: {message.title}" for message, channel in delivered.sent),
        *(f"{message.title}\n{message.body}" for message in delivered.shown),
        *(
            f"PERSONAL_PIPELINE_ALERTS, {channel.name}: could not deliver; the message is kept "
            "and retried"
            for channel in delivered.failed
        ),
    ]
