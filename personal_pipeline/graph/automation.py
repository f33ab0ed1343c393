"""When sources are fetched, when the report is written, and how the inbox is watched."""

import json
from collections.abc import Collection, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import date, timedelta
from typing import Any

import dagster as dg

from personal_pipeline.house import House
from personal_pipeline.ingest import inbox
from personal_pipeline.ingest.contract import Source
from personal_pipeline.ingest.kept import bring_kept
from personal_pipeline.ingest.unfinished import Stamp, open_for_writing, stamp_of, told_by_system
from personal_pipeline.shown import shown
from personal_pipeline.troubles import told_without_values

ASK_AGAIN_AFTER = timedelta(minutes=15)
"""A file that is still in the inbox this long after it was requested is requested again: its run
was killed, or never started."""

INBOX_INTERVAL_SECONDS = 10

PAUSE_SECONDS = 20
"""A file is requested when it has not changed for this long."""

UNTOLD_PAUSE_SECONDS = 60
"""The same on systems that do not tell whether a file is open: slow downloads pause."""


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A file or folder as the sensor saw it, when it was last requested, and since when it is
    unchanged (epoch seconds)."""

    size: int
    modified_ns: int
    asked_at: float = 0.0
    since: float = 0.0


def plan_inbox(
    files: Mapping[str, tuple[int, int]],
    before: Mapping[str, SeenFile],
    now: float,
    *,
    written: Collection[str] = (),
    quiet_seconds: float = PAUSE_SECONDS,
) -> tuple[list[str], dict[str, SeenFile]]:
    """Which files and folders to request, and what to remember. ``files`` has size and time.

    A file is requested once nobody has it open (``written``) and its size and time have not changed
    for ``quiet_seconds``, so that a download has not merely paused. It is requested only once,
    until it changes or ``ASK_AGAIN_AFTER`` has passed.
    """
    ask: list[str] = []
    looks: dict[str, SeenFile] = {}
    for name, (size, modified_ns) in sorted(files.items()):
        look = before.get(name)
        if look is None or (look.size, look.modified_ns) != (size, modified_ns) or name in written:
            looks[name] = SeenFile(size, modified_ns, since=now)
        elif (
            now - look.since >= quiet_seconds
            and now - look.asked_at >= ASK_AGAIN_AFTER.total_seconds()
        ):
            ask.append(name)
            looks[name] = replace(look, asked_at=now)
        else:
            looks[name] = look
    return ask, looks


def inbox_sensor(job: Any, house: House) -> dg.SensorDefinition:
    """Ingests what is dropped into ``inbox/`` as soon as it is complete; a folder is ingested as a
    whole."""

    @dg.sensor(
        name="inbox",
        job=job,
        minimum_interval_seconds=INBOX_INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Watches inbox/ and ingests each file or folder once it has stopped growing.",
    )
    @told_without_values
    def watch(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        bring_kept(house.home, house.sources)
        files: dict[str, tuple[int, int]] = {}
        owners: dict[Stamp, str] = {}
        told = True
        for entry, inside in inbox.entries(house.home).items():
            stamps = {path: stamp for path in inside if (stamp := stamp_of(path))}
            if stamps:
                files[shown(entry.name)] = (
                    sum(each.size for each in stamps.values()),
                    max(each.modified_ns for each in stamps.values()),
                )
                owners |= dict.fromkeys(stamps.values(), shown(entry.name))
                told = told and all(map(told_by_system, stamps))
        for path, what in inbox.oddities(house.home).items():
            if what != inbox.A_BARRED_FOLDER:
                name = shown(path.relative_to(house.home.inbox).parts[0])
                files.setdefault(name, (0, 0))
        kept = json.loads(context.cursor) if context.cursor else {}
        before = {name: SeenFile(*look) for name, look in kept.items()}
        ask, looks = plan_inbox(
            files,
            before,
            house.clock().timestamp(),
            written={owners[each] for each in open_for_writing(owners)},
            quiet_seconds=PAUSE_SECONDS if told else UNTOLD_PAUSE_SECONDS,
        )
        cursor = json.dumps({name: list(astuple(look)) for name, look in looks.items()})
        requests = [
            dg.RunRequest(
                run_config=dg.RunConfig(
                    ops={"ingest_inbox": {"config": {"files": ask, "then_build": True}}}
                ),
                tags={"personal_pipeline/files": str(len(ask))},
            )
        ]
        return dg.SensorResult(run_requests=requests if ask else [], cursor=cursor)

    return watch


def fetch_schedule(source: Source, job: Any, house: House) -> dg.ScheduleDefinition:
    """Fetches one source each morning, an hour before the report, in the person's time zone."""
    hour = (house.settings.report_hour - 1) % 24
    return dg.ScheduleDefinition(
        name=f"{source.name}_each_morning",
        job=job,
        cron_schedule=f"0 {hour} * * *",
        execution_timezone=house.settings.timezone,
        # it may have been put to rest since
        should_execute=lambda _: house.connected(source),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Fetches {source.title} an hour before the report.",
    )


def report_schedule(job: Any, house: House) -> dg.ScheduleDefinition:
    """Reconciles and writes the report each morning at the person's report hour."""
    return dg.ScheduleDefinition(
        name="report_each_morning",
        job=job,
        cron_schedule=f"0 {house.settings.report_hour} * * *",
        execution_timezone=house.settings.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Builds whatever is still stale, and writes the report of the day.",
    )


def month_schedule(source: Source, job: Any, house: House, begins: date) -> dg.ScheduleDefinition:
    """Fetches the whole previous month once more when its last day is over in every time zone, so
    that the monthly figures include what a service revised later than its daily refetch reaches.
    ``begins`` is the first day that has a partition."""

    def last_month(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if reason := house.why_not_fetched(source):
            return dg.SkipReason(reason)
        first = context.scheduled_execution_time.date().replace(day=1)
        end = first - timedelta(days=1)
        if end < begins:
            return dg.SkipReason(f"The data begins on {begins}: there is none for {end:%B}.")
        window = {"first_day": end.replace(day=1).isoformat(), "last_day": end.isoformat()}
        return dg.RunRequest(
            run_config={"ops": {f"fetch_all_of_{source.name}": {"config": window}}}
        )

    return dg.ScheduleDefinition(
        name=f"{source.name}_month_on_its_day",
        job=job,
        cron_schedule=f"30 {(house.settings.report_hour - 1) % 24} 2 * *",
        execution_timezone=house.settings.timezone,
        execution_fn=last_month,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=(
            f"On the second of a month, fetches the previous month from {source.title} again."
        ),
    )
