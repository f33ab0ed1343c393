"""What is told when, by the pure planning; and a year of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.alerts_year import year
from personal_pipeline.alerts.events import RunFailure
from personal_pipeline.alerts.memory import Memory, Message
from personal_pipeline.alerts.messages import without_values
from personal_pipeline.alerts.plan import CONFIRMED_AFTER, SETTLING, SLACK, Rules, plan
from personal_pipeline.alerts.subjects import (
    CHECK_FAILED,
    LATE,
    Standing,
    Subject,
    Trouble,
    subjects_of,
    unknown,
)
from personal_pipeline.board import StreamState
from personal_pipeline.freshness import State
from personal_pipeline_tests.alerts.boards import (
    HOW_TO,
    NOON,
    SOURCES,
    down,
    due,
    fresh,
    line,
    refused,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
LOUD = Rules(zone=ZoneInfo("UTC"))
QUIET = Rules(zone=ZoneInfo("Europe/Berlin"), quiet=(22, 7))


@dataclass
class Person:
    """Somebody who gets the messages. Rounds come every hour unless ``every`` says otherwise."""

    rules: Rules = LOUD
    memory: Memory = field(default_factory=Memory)
    now: datetime = NOON

    def hears(
        self,
        *board: StreamState | Subject,
        after: timedelta = timedelta(),
        failures: tuple[RunFailure, ...] = (),
        every: timedelta = HOUR,
        worked: dict[str, datetime] | None = None,
    ) -> list[Message]:
        """The messages of all rounds until ``after`` from now, the board being this all along."""
        lines = [each for each in board if isinstance(each, StreamState)]
        subjects = subjects_of(lines, SOURCES, Path("/home/me/inbox"))
        subjects += [each for each in board if isinstance(each, Subject)]
        heard: list[Message] = []
        until, waiting = self.now + after, list(failures)
        while True:
            planned = plan(subjects, waiting, self.memory, self.now, self.rules, worked=worked)
            waiting = [each for each in waiting if each not in planned.consumed]
            heard += planned.memory.unposted
            self.memory = replace(planned.memory, unposted=())
            if self.now >= until:
                return heard
            self.now = min(self.now + every, until)


def about(messages: list[Message]) -> list[str]:
    return [each for message in messages for each in message.about]


def titles(messages: list[Message]) -> list[str]:
    return [message.title for message in messages]


def test_a_source_is_told_of_when_it_turns_and_when_it_is_well_again() -> None:
    person = Person()
    assert person.hears(fresh(), after=DAY) == []
    (told,) = person.hears(refused())
    assert told.title == "Kit: credential refused"
    assert "Make a new key." in told.body
    assert "subscribers" in told.body
    assert person.hears(refused(), after=DAY) == []
    (well,) = person.hears(fresh())
    assert (well.title, well.tone) == ("Kit: recovered", "success")
    assert person.hears(fresh(), after=30 * DAY) == []


@pytest.mark.parametrize(("chosen", "days"), [(3, [3, 7, 14, 30, 30]), (6, [6, 14, 28, 60, 60])])
def test_reminders_begin_after_the_days_that_the_person_chose_and_become_rarer(
    chosen: int, days: list[int]
) -> None:
    person = Person(rules=replace(LOUD, reminder=chosen * DAY))
    told = person.hears(refused())
    reminders = person.hears(refused(), after=(sum(days) + 1) * DAY)
    assert about(reminders) == ["reminder service kit: credential refused"] * len(days)
    gaps = [b.created_at - a.created_at for a, b in pairwise([*told, *reminders])]
    assert all(n * DAY - SLACK <= gap <= n * DAY for n, gap in zip(days, gaps, strict=True))


def test_after_another_trouble_reminders_begin_anew() -> None:
    person = Person(rules=LOUD)
    person.hears(refused(), after=60 * DAY)
    other = line(State.ACTION_REQUIRED, "kit", stream="broadcasts", detail="x", cause="disk full")
    assert len(person.hears(refused(), other)) == 1
    assert person.hears(refused(), other, after=2 * DAY) == []
    assert len(person.hears(refused(), other, after=1 * DAY)) == 1


def test_many_sources_with_one_reason_are_one_message() -> None:
    (told,) = Person().hears(refused("kit"), refused("kit", stream="broadcasts"), refused("stripe"))
    assert told.title == "Kit and Stripe: credential refused"
    assert len(Person().hears(refused("kit"), line(State.LATE, "stripe"))) == 2


def test_streams_of_one_source_are_one_subject() -> None:
    person = Person()
    person.hears(refused())
    assert person.hears(refused(), refused(stream="broadcasts"), after=DAY) == []
    assert person.hears(fresh(), refused(stream="broadcasts"), after=DAY) == []
    assert len(person.hears(fresh(), fresh(stream="broadcasts"))) == 1


def test_a_service_that_stumbles_once_is_not_told() -> None:
    person = Person()
    for _ in range(6):
        assert person.hears(down(looked=person.now), after=DAY) == []
        assert person.hears(fresh(looked=person.now), after=DAY) == []


def test_a_service_is_down_when_the_next_daily_look_fails_too() -> None:
    person = Person()
    assert person.hears(down(looked=NOON), after=CONFIRMED_AFTER) == []
    (told,) = person.hears(down(looked=NOON + CONFIRMED_AFTER))
    assert told.title == "Kit: service down"


def test_a_service_is_down_when_the_next_daily_look_is_missed() -> None:
    told = Person().hears(down(looked=NOON), after=30 * HOUR)
    assert [each.created_at for each in told] == [NOON + 26 * HOUR]


def test_sources_that_fail_a_little_later_for_the_same_reason_join() -> None:
    person = Person()
    person.hears(down("kit", looked=NOON), fresh("stripe"), after=HOUR)
    later = NOON + HOUR
    person.hears(down("kit", looked=NOON), down("stripe", looked=later), after=CONFIRMED_AFTER)
    told = person.hears(down("kit", looked=NOON + DAY), down("stripe", looked=later), after=DAY)
    assert titles(told) == ["Kit and Stripe: service down"]


def test_what_needs_another_remedy_is_told_on_top() -> None:
    person = Person()
    assert titles(person.hears(line(State.LATE))) == ["Kit: late"]
    assert titles(person.hears(refused())) == ["Kit: credential refused"]
    assert person.hears(line(State.LATE), after=DAY) == []
    assert person.hears(refused(), after=DAY) == []
    assert titles(person.hears(fresh())) == ["Kit: recovered"]


def test_an_export_is_asked_for_with_the_steps_until_it_came() -> None:
    person = Person()
    (asked,) = person.hears(due())
    assert asked.title == "Please export: Kit list export"
    assert asked.body.count(HOW_TO) == 1
    assert "/home/me/inbox" in asked.body
    again = person.hears(due(), after=11 * DAY)
    assert titles(again) == ["Reminder: please export: Kit list export"] * 2
    assert all(HOW_TO in each.body for each in again)
    # the person knows what they have just done
    assert person.hears(fresh(stream="list", drop="list_export"), after=DAY) == []


def test_an_export_that_was_late_is_told_when_it_came() -> None:
    person = Person()
    person.hears(due())
    late = line(State.LATE, stream="list", drop="list_export", detail=HOW_TO)
    assert titles(person.hears(late)) == ["Kit list export: late"]
    assert titles(person.hears(fresh(stream="list", drop="list_export"))) == [
        "Kit list export: recovered"
    ]


def test_what_is_due_by_habit_only_is_not_asked_for() -> None:
    sources = (replace(SOURCES[0], drops=(replace(SOURCES[0].drops[0], monthly_on_day=None),)),)
    assert [each.troubles for each in subjects_of([due()], sources, Path("inbox"))] == [()]


def test_what_is_no_longer_connected_is_forgotten_without_a_word() -> None:
    person = Person()
    person.hears(refused("kit"), refused("stripe"))
    assert person.hears(line(State.NOT_CONNECTED, "kit"), after=DAY) == []
    assert titles(person.hears(refused("kit"))) == ["Kit: credential refused"]


def test_nothing_is_told_in_the_quiet_hours_and_one_message_at_their_end() -> None:
    # 22:30 in Berlin
    person = Person(rules=QUIET, now=datetime(2026, 11, 10, 21, 30, tzinfo=UTC))
    failure = failed_run("a")
    board = (refused("kit"), line(State.LATE, "stripe"))
    heard = person.hears(*board, after=8 * HOUR, failures=(failure,))
    assert heard == []
    (told,) = person.hears(*board, after=HOUR, failures=(failure,))
    assert told.created_at.astimezone(QUIET.zone).hour == 7
    assert sorted(about([told])) == [
        "run a marts/revenue_daily",
        "turned service kit: credential refused",
        "turned service stripe: late",
    ]


def test_what_came_and_went_in_the_night_is_not_told() -> None:
    person = Person(rules=QUIET, now=datetime(2026, 11, 10, 21, 30, tzinfo=UTC))
    assert person.hears(refused(), after=2 * HOUR) == []
    assert person.hears(fresh(), after=DAY) == []


def test_a_computer_that_wakes_up_makes_up_its_looks_before_anything_is_told() -> None:
    person = Person()
    person.hears(fresh())
    person.now += 4 * DAY
    # every five minutes while it wakes up
    assert person.hears(line(State.LATE), after=SETTLING / 2, every=HOUR / 12) == []
    assert person.hears(fresh(), after=DAY) == []
    person.now += 4 * DAY
    assert len(person.hears(line(State.LATE), after=SETTLING, every=HOUR / 12)) == 1


def test_under_a_daily_cron_job_the_second_sight_tells() -> None:
    person = Person()
    person.hears(fresh(), after=3 * DAY, every=DAY)
    person.now += DAY
    assert person.hears(line(State.DUE)) == []
    person.now += DAY
    assert titles(person.hears(line(State.LATE))) == ["Kit: late"]
    person.now += DAY
    assert person.hears(refused("stripe"), line(State.LATE)) != []


def failed_run(run: str, **more: str) -> RunFailure:
    return RunFailure(
        run_id=run,
        job=more.get("job", "morning"),
        at=NOON,
        what="marts/revenue_daily",
        partition=more.get("partition", "2026-11-09"),
        cause=more.get("cause", "the disk is full."),
        address=f"http://127.0.0.1:3000/runs/{run}",
    )


def test_a_failed_run_names_asset_partition_cause_and_address() -> None:
    (told,) = Person().hears(failures=(failed_run("a"),))
    assert told.title == "Run failed: marts/revenue_daily"
    for part in ("partition 2026-11-09", "the disk is full.", "http://127.0.0.1:3000/runs/a"):
        assert part in told.body


def test_the_same_failure_is_told_once_in_the_days_of_a_reminder() -> None:
    person = Person()
    assert len(person.hears(failures=(failed_run("a"), failed_run("b")))) == 1
    assert person.hears(failures=(failed_run("c", partition="2026-11-10"),), after=DAY) == []
    assert len(person.hears(failures=(failed_run("d", cause="a bad file."),))) == 1
    person.now += 4 * DAY
    assert len(person.hears(failures=(failed_run("e"),))) == 1


def test_a_failure_after_a_success_is_news() -> None:
    person = Person()
    person.hears(failures=(failed_run("a"),), after=HOUR)
    again = replace(failed_run("b"), at=person.now)
    # one that was mended before anybody was told of it is none
    mended = {"morning": person.now + HOUR / 2}
    assert person.hears(failures=(replace(again, run_id="d"),), worked=mended) == []
    worked = {"morning": person.now - HOUR / 2}
    assert len(person.hears(failures=(again,), worked=worked)) == 1
    assert person.hears(failures=(replace(again, run_id="c"),), worked=worked) == []


def test_a_failed_check_is_told_once_and_when_it_holds_again() -> None:
    key = "check marts/revenue_daily unique"
    bad = Subject(
        key=key,
        title="marts/revenue_daily: unique",
        troubles=(Trouble(stream="", reason=CHECK_FAILED, detail="http://127.0.0.1:3000/runs/a"),),
    )
    person = Person()
    (told,) = person.hears(bad)
    assert told.title == "marts/revenue_daily: unique: check failed"
    assert "http://127.0.0.1:3000/runs/a" in told.body
    # a cron job that did not look at the checks, and a check that runs just now
    assert person.hears(*unknown(person.memory.told), after=10 * DAY) == []
    assert about(person.hears(bad)) == [f"reminder {key}: check failed"]
    assert person.hears(bad, after=DAY) == []
    assert titles(person.hears(replace(bad, troubles=()))) == [
        "marts/revenue_daily: unique: recovered"
    ]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Conversion Error: 'O'Brien, Ann' to INT32", "Conversion Error: … to INT32"),
        ('column "ann@example.com" is new', "column … is new"),
        ("sent to ann@example.com", "sent to …"),
        ("It isn't there: 'Ann\nBrien' in the file", "It isn't there: … in the file"),
        ("It isn't there: 'Ann\nBrien\nJones' in the file", "It isn't there:"),
        ("card 4242424242424242 was refused", "card … was refused"),
        ('{"name": "Ann"}', "…"),
    ],
)
def test_values_are_taken_out_of_what_a_database_says(text: str, shown: str) -> None:
    assert without_values(text) == shown


# ------------------------------------------------------------------- any sequence of boards

STATES = st.sampled_from(
    [fresh, refused, lambda source: line(State.LATE, source), lambda source: down(source)]
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(STATES, STATES, st.integers(1, 30), st.booleans()), min_size=1, max_size=25),
    st.booleans(),
)
def test_no_change_is_missed_and_nothing_is_told_twice(
    steps: list[tuple[object, object, int, bool]], quiet: bool
) -> None:
    person = Person(rules=QUIET if quiet else LOUD)
    told: dict[str, set[str]] = {"kit": set(), "stripe": set()}
    last: dict[str, datetime] = {}
    for kit, stripe, hours, looks in steps:
        board: dict[str, StreamState] = {}
        for source, make in (("kit", kit), ("stripe", stripe)):
            made: StreamState = make(source)  # type: ignore[operator]
            board[source] = replace(made, last_fetched=person.now if looks else NOON)
        for message in person.hears(*board.values(), after=hours * HOUR):
            assert len(set(message.about)) == len(message.about)
            for each in message.about:
                word, _, rest = each.partition(" service ")
                source, _, reason = rest.partition(": ")
                source = source or each.removeprefix("well service ")
                if word == "turned":
                    kind = reason if reason == "credential refused" else "unavailable"
                    assert kind not in told[source], "told twice"
                    told[source].add(kind)
                    assert board[source].state is not State.FRESH
                elif word == "reminder":
                    assert told[source]
                    assert message.created_at - last[source] >= LOUD.reminder - SLACK
                else:
                    assert told[source], "well again, and nobody knew that it was not"
                    assert board[source].state is State.FRESH
                    told[source] = set()
                last[source] = message.created_at
        now_quiet = quiet and not 7 <= person.now.astimezone(QUIET.zone).hour < 22
        for source, stands in board.items():
            if now_quiet:
                continue
            if stands.state is State.FRESH:
                assert not told[source], "it is well again, and nobody was told"
            elif stands.cause == "credential refused":
                assert "credential refused" in told[source]
            elif stands.state is State.LATE:
                assert "unavailable" in told[source]


def test_what_stands_untold_is_kept_in_mind_when_nothing_was_looked_at() -> None:
    known = Subject(key="check a", title="a", standing=Standing.UNKNOWN)
    assert Person().hears(known, after=DAY) == []


def test_a_late_service_says_since_when_it_is_known() -> None:
    (told,) = Person(rules=QUIET).hears(line(State.LATE))
    assert f"{LATE}, first seen Tue 10 Nov, 13:00" in told.body


def test_another_kind_of_trouble_has_a_beginning_of_its_own() -> None:
    person = Person()
    person.hears(line(State.LATE), after=DAY)
    (told,) = person.hears(refused())
    assert ", first seen Wed 11 Nov, 12:00" in told.body


def test_a_year_of_eight_sources() -> None:
    """Of other years ``benchmarks.alerts_year`` says the same."""
    tallies = year(18)
    assert sum(each.outages for each in tallies) >= 8
    assert sum(each.exports_due for each in tallies) >= 8
    for each in tallies:
        assert each.in_time == each.outages, each
        assert each.asked_on_the_day == each.exports_due, each
        assert (each.false_alarms, each.duplicates) == (0, 0), each


def test_what_needs_the_person_is_told_once_and_not_reminded_of() -> None:
    person = Person(rules=replace(LOUD, reminder=5 * DAY))
    refusal = line(State.ACTION_REQUIRED, "kit", cause="credential refused", detail="A new key.")
    (told,) = person.hears(refusal)
    assert told.title == "Kit: action required, credential refused"
    assert "A new key." in told.body
    assert person.hears(refusal, after=60 * DAY) == []
    # something else on top is news, and so is that it is well again
    assert len(person.hears(refusal, down(stream="broadcasts"), after=2 * DAY)) == 1
    assert len(person.hears(fresh(), after=HOUR)) == 1
