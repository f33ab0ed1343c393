"""A year of eight sources, hour by hour, through the verdicts and the planning of messages.

The computer is off on some days. The real outages are drawn at random and known, and every message
is compared with them. A real outage must be reported within its grace period, nothing else may be
reported, and nothing twice. Run it: ``python -m benchmarks.alerts_year``.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from benchmarks.measured import WIDTH
from personal_pipeline.alerts.memory import Memory
from personal_pipeline.alerts.plan import SLACK, Rules, plan
from personal_pipeline.alerts.subjects import subjects_of
from personal_pipeline.board import StreamState
from personal_pipeline.freshness import (
    GRACE,
    Verdict,
    due_day,
    judge_api,
    judge_drop,
)
from personal_pipeline.ingest.arrivals import Arrival
from personal_pipeline.ingest.contract import Drop, Source
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.memory import StreamMemory

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
HOURS = 365 * 24
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
ZONE = ZoneInfo("Europe/Berlin")
RULES = Rules(zone=ZONE, quiet=(22, 7), reminder=timedelta(days=3))

NIGHT = timedelta(hours=10)
"""Quiet hours plus the hour between rounds: the delay that they may add to a message."""


@dataclass(frozen=True, slots=True)
class Outage:
    """A problem that exists from ``begin`` to ``end``, and must be reported before ``told_by``."""

    begin: datetime
    end: datetime
    told_by: datetime


@dataclass(slots=True)
class Life:
    """One simulated source. ``verdict`` judges it at an instant; ``look`` is called in every
    hour in which the computer runs."""

    name: str
    habit: str
    verdict: Callable[[datetime], tuple[Verdict, datetime | None]]
    drop: Drop | None = None
    look: Callable[[datetime], None] = lambda now: None
    outages: list[Outage] = field(default_factory=list)
    due: list[Outage] = field(default_factory=list)
    """Periods from the day on which an export is due until it arrives."""


@dataclass(slots=True)
class Tally:
    """Counts of the messages about one source."""

    name: str
    habit: str
    outages: int = 0
    in_time: int = 0
    false_alarms: int = 0
    duplicates: int = 0
    reminders: int = 0
    recoveries: int = 0
    exports_due: int = 0
    asked_on_the_day: int = 0


def _nothing(*_: object) -> None:
    return None


def _drop(name: str, day: int | None) -> Drop:
    return Drop(
        name=name,
        description="",
        how_to="Open the page and download the file.",
        recognise=_nothing,
        read=lambda file: iter(()),
        streams=(),
        monthly_on_day=day,
    )


def _by_hand(name: str, habit: str, day: int | None, comes: Iterable[datetime]) -> Life:
    drop = _drop(name, day)
    arrivals = [Arrival(str(number), at, at) for number, at in enumerate(sorted(comes))]
    kept: dict[tuple[date, int], Verdict] = {}

    def verdict(now: datetime) -> tuple[Verdict, datetime | None]:
        came = [each for each in arrivals if each.received_at <= now]
        of = (now.astimezone(ZONE).date(), len(came))
        if of not in kept:
            kept[of] = judge_drop(came, now, monthly_on_day=day, how_to=drop.how_to, zone=ZONE)
        return kept[of], came[-1].received_at if came else None

    return Life(name, habit, verdict, drop)


def _fetched(
    name: str, habit: str, failure_at: Callable[[datetime], Failure | None], off: set[date]
) -> Life:
    """A stream that is fetched daily at six, or in the second hour after the computer wakes up."""
    state = {"memory": StreamMemory().succeeded(BEGIN - timedelta(hours=18), unreadable=0)}

    def look(now: datetime) -> None:
        memory = state["memory"]
        due = now.replace(hour=6) - (DAY if now.hour < 6 else timedelta())
        awake = now.date() not in off and (now - 2 * HOUR).date() not in off
        if (memory.fetched_at is not None and memory.fetched_at >= due) or not awake:
            return
        failure = failure_at(now)
        state["memory"] = (
            memory.failed(now, failure, f"{name} gave no answer.")
            if failure
            else memory.succeeded(now, unreadable=0)
        )

    return Life(
        name,
        habit,
        lambda now: (judge_api(state["memory"], now, connected=True), state["memory"].fetched_at),
        look=look,
    )


def _rhythm(chance: Random, shortest: int, longest: int, until: datetime) -> list[datetime]:
    at, comes = BEGIN - 400 * DAY, []
    while at < until:
        comes.append(at)
        at += timedelta(days=chance.randint(shortest, longest), hours=chance.randint(0, 5))
    return comes


def _silence(comes: list[datetime], begin: datetime, end: datetime) -> list[datetime]:
    return [at for at in comes if not begin <= at < end]


def _rhythm_outage(comes: Sequence[datetime], longest: int, end: datetime) -> Outage:
    """The silence before ``end``: an outage beyond doubt after twice the longest usual gap."""
    last = max(at for at in comes if at < end)
    return Outage(last, end, last + timedelta(days=2 * (longest + 1) + 1) + NIGHT)


def lives(seed: int) -> tuple[list[Life], set[date]]:
    """Eight sources, and the days on which the computer is off."""
    chance = Random(seed)
    off = _days_off(chance)
    end = BEGIN + HOURS * HOUR
    return [
        *_calendar(chance),
        _weekly(chance, end),
        _by_hand("irregular", "3 to 25 days between", None, _rhythm(chance, 3, 25, end)),
        _bursty(chance, end),
        _dead(chance, end),
        _with_outages(chance, off),
        _flapping(chance, off),
        _forgotten(chance, off),
    ], off


def _days_off(chance: Random) -> set[date]:
    days = {BEGIN.date() + timedelta(days=chance.randint(20, 360)) for _ in range(12)}
    for _ in range(2):
        first = BEGIN.date() + timedelta(days=chance.randint(20, 350))
        days |= {first + timedelta(days=n) for n in range(chance.randint(2, 5))}
    return days


def _calendar(chance: Random) -> list[Life]:
    comes = [BEGIN - timedelta(days=28)]
    due, late = [], []
    while comes[-1] < BEGIN + HOURS * HOUR:
        day = due_day(comes[-1], 3, ZONE)
        begin = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
        delay = chance.choice([0, 0, 1, 2, 4, 8, 15]) * DAY + timedelta(hours=chance.randint(9, 20))
        comes.append(begin + delay)
        due.append(Outage(begin, comes[-1], begin + NIGHT))
        deadline = begin + GRACE + DAY
        if comes[-1] > deadline:
            late.append(Outage(deadline, comes[-1], deadline + NIGHT))
    life = _by_hand("calendar", "monthly on the 3rd, now and then late", 3, comes)
    return [replace(life, due=due, outages=late)]


def _weekly(chance: Random, end: datetime) -> Life:
    stop = BEGIN + timedelta(days=chance.randint(100, 200))
    comes = _silence(_rhythm(chance, 6, 8, end), stop, stop + 40 * DAY)
    life = _by_hand("weekly", "6 to 8 days between, 40 days lost", None, comes)
    back = min(at for at in comes if at >= stop)
    return replace(life, outages=[_rhythm_outage(comes, 8, back)])


def _bursty(chance: Random, end: datetime) -> Life:
    comes = [
        at + timedelta(days=chance.randint(0, 2))
        for at in _rhythm(chance, 15, 25, end)
        for _ in range(chance.randint(1, 3))
    ]
    return _by_hand("bursty", "some in 3 days, then 15 to 25 none", None, comes)


def _dead(chance: Random, end: datetime) -> Life:
    comes = _rhythm(chance, 5, 9, BEGIN + timedelta(days=chance.randint(60, 250)))
    life = _by_hand("dead", "5 to 9 days between, then nothing", None, comes)
    return replace(life, outages=[_rhythm_outage(comes, 9, end)])


def _looks(first: date, days: int, off: set[date]) -> list[datetime]:
    """When the computer fetches on these days."""
    looks = []
    for day in (first + timedelta(days=n) for n in range(days)):
        if day not in off:
            # a fetch missed during sleep is made up in the second hour
            if day - DAY in off:
                looks.append(datetime(day.year, day.month, day.day, 2, tzinfo=UTC))
            looks.append(datetime(day.year, day.month, day.day, 6, tzinfo=UTC))
    return looks


def _with_outages(chance: Random, off: set[date]) -> Life:
    failing: dict[date, Failure] = {}
    outages = []
    for begin, failure in (
        (40, Failure.SERVICE_DOWN),
        (130, Failure.CREDENTIAL_REFUSED),
        (220, Failure.OUT_OF_TIME),
        (310, Failure.SERVICE_DOWN),
    ):
        first = BEGIN.date() + timedelta(days=begin + chance.randint(0, 30))
        days = chance.randint(3, 6)
        failing |= {first + timedelta(days=n): failure for n in range(days)}
        looks = _looks(first, days, off)
        # a failure counts once a later fetch that is not a retry fails too
        patience = timedelta(0 if failure is Failure.CREDENTIAL_REFUSED else 20 / 24)
        sure = [look for look in looks if look - looks[0] >= patience]
        if sure:
            back = _looks(first + timedelta(days=days), 9, off)[0]
            outages.append(Outage(looks[0], back, sure[0] + NIGHT))
    for _ in range(12):
        # one failed fetch: not worth a message
        day = BEGIN.date() + timedelta(days=chance.randint(1, 360))
        if (
            not any(day + timedelta(days=n) in failing for n in (-2, -1, 0, 1, 2))
            and day not in off
        ):
            failing[day] = Failure.SERVICE_DOWN
    life = _fetched(
        "outages",
        "an API: 4 outages, and single failures",
        lambda now: failing.get(now.date()),
        off,
    )
    return replace(life, outages=outages)


def _flapping(chance: Random, off: set[date]) -> Life:
    first = chance.randint(30, 200)
    good_before = {"day": False}

    def failure(now: datetime) -> Failure | None:
        inside = first <= (now.date() - BEGIN.date()).days < first + 120
        good_before["day"] = not (inside and good_before["day"])
        return None if good_before["day"] else Failure.SERVICE_DOWN

    return _fetched("flapping", "an API: every other look fails for 120 days", failure, off)


def _forgotten(chance: Random, off: set[date]) -> Life:
    """Nothing is fetched, though the rounds go on: the schedule was switched off."""
    life = _fetched("forgotten", "an API: nobody looks for 6 days", lambda now: None, off)
    while True:
        first = BEGIN.date() + timedelta(days=chance.randint(60, 300))
        if not any(first + timedelta(days=n) in off for n in range(-3, 10)):
            break
    begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
    end = begin + 6 * DAY
    usual = life.look
    last_look = begin - timedelta(hours=18)
    late = Outage(begin, end + 6 * HOUR, last_look + timedelta(hours=50) + NIGHT)

    def look(now: datetime) -> None:
        if not begin <= now < end + 6 * HOUR:
            usual(now)

    return replace(life, look=look, outages=[late])


def _line(life: Life, now: datetime) -> StreamState:
    verdict, fetched_at = life.verdict(now)
    return StreamState(
        source=life.name,
        source_title=life.name,
        stream="rows",
        route="drop" if life.drop else "api",
        drop=life.drop.name if life.drop else None,
        state=verdict.state,
        cause=verdict.cause,
        last_fetched=fetched_at,
        newest_data=None,
        next_expected=verdict.next_expected,
        rows=1,
        unreadable=0,
        detail=verdict.detail,
    )


@dataclass(frozen=True, slots=True)
class Said:
    """One statement of a message about one source."""

    at: datetime
    word: str
    reason: str


def year(seed: int) -> list[Tally]:
    """Simulate the year, and compare every message with the truth."""
    everything, off = lives(seed)
    sources = [
        Source(name=each.name, title=each.name, description="", drops=(each.drop,))
        for each in everything
        if each.drop
    ]
    keys = {
        each.name: f"export {each.name} {each.drop.name}" if each.drop else f"service {each.name}"
        for each in everything
    }
    said: dict[str, list[Said]] = {key: [] for key in keys.values()}
    memory = Memory()
    for hour in range(HOURS):
        now = BEGIN + hour * HOUR
        if now.date() in off:
            continue
        for each in everything:
            each.look(now)
        # the round comes a few minutes after the fetches
        at = now + timedelta(minutes=7)
        board = [_line(each, at) for each in everything]
        memory = plan(subjects_of(board, sources, Path("inbox")), [], memory, at, RULES).memory
        for message in memory.unposted:
            for about in message.about:
                word, _, rest = about.partition(" ")
                key, _, reason = rest.partition(": ")
                said[key].append(Said(at, word, reason))
        memory = replace(memory, unposted=())
    return [_tally(each, said[keys[each.name]], off) for each in everything]


def _tally(life: Life, said: Sequence[Said], off: set[date]) -> Tally:
    tally = Tally(life.name, life.habit)
    alarms = [each for each in said if each.word == "turned" and each.reason != "due"]
    over = BEGIN + HOURS * HOUR
    for outage in life.outages:
        told_by = _awake(outage.told_by, off)
        if not BEGIN <= told_by < min(over, outage.end):
            # it ended, or the year did, before it had to be reported
            continue
        tally.outages += 1
        tally.in_time += any(outage.begin <= each.at <= told_by for each in alarms)
    tally.false_alarms = sum(
        not any(outage.begin <= each.at <= outage.end + HOUR for outage in life.outages)
        for each in alarms
    )
    for due in life.due:
        told_by = _awake(due.told_by, off)
        if due.begin >= BEGIN and told_by < min(due.end, over):
            tally.exports_due += 1
            asked = [each for each in said if each.word == "turned" and each.reason == "due"]
            tally.asked_on_the_day += sum(due.begin <= e.at <= told_by for e in asked) == 1
    tally.duplicates = _duplicates(said)
    tally.reminders = sum(each.word == "reminder" for each in said)
    tally.recoveries = sum(each.word == "well" for each in said)
    return tally


def _awake(moment: datetime, off: set[date]) -> datetime:
    """The moment itself, or the first later morning on which the computer runs."""
    while moment.date() in off or (moment - DAY).date() in off:
        moment += DAY
    return moment


def _duplicates(said: Sequence[Said]) -> int:
    """Number of repeats: a change to a known state, a reminder too early, a recovery from something
    never reported."""
    count = 0
    known: set[str] = set()
    last: datetime | None = None
    for each in said:
        if each.word == "turned":
            # an export that is requested anew starts over
            known = (
                set() if each.reason == "due" and known == {"due"} and _new(last, each) else known
            )
            count += each.reason in known
            known.add(each.reason)
        elif each.word == "well":
            count += not known - {"due"}
            known = set()
        elif each.word == "reminder":
            count += last is None or each.at - last < RULES.reminder - SLACK
        last = each.at
    return count


def _new(last: datetime | None, said: Said) -> bool:
    return last is not None and said.at - last > timedelta(days=10)


def main() -> None:
    """Print the tables of three years."""
    console = Console(width=WIDTH + 40)
    for seed in (1, 2, 3):
        table = Table(title=f"A year of eight sources, seed {seed}", title_justify="left")
        table.caption = (
            "True troubles, those told within their grace, false alarms, messages that came twice; "
            "messages that it is well again, and reminders; exports due, and asked for on the day."
        )
        table.add_column("source", no_wrap=True)
        table.add_column("habit", no_wrap=True)
        for heading in (
            "true",
            "in grace",
            "false",
            "twice",
            "recovered",
            "reminders",
            "due",
            "asked",
        ):
            table.add_column(heading, justify="right")
        for tally in year(seed):
            figures = (
                tally.outages,
                tally.in_time,
                tally.false_alarms,
                tally.duplicates,
                tally.recoveries,
                tally.reminders,
                tally.exports_due,
                tally.asked_on_the_day,
            )
            table.add_row(tally.name, tally.habit, *map(str, figures))
        console.print(table)


if __name__ == "__main__":
    main()
