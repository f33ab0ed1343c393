"""The verdicts: plain values and a clock in, a state out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.freshness import (
    GAPS_KEPT,
    GRACE,
    Rhythm,
    State,
    Verdict,
    due_day,
    judge_api,
    judge_drop,
    rhythm_of,
)
from personal_pipeline.ingest.arrivals import FILE_UNREADABLE, FORMAT_CHANGED, Arrival
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.memory import StreamMemory

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
LOOKED = StreamMemory(fetched_at=NOW, succeeded_at=NOW)
HOW = "Open the page and save it."


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def arrived(
    captured: str, received: str | None = None, *, digest: str = "", cause: str = ""
) -> Arrival:
    return Arrival(
        digest or captured, at(captured), at(received or captured), cause or None, cause and "Bad."
    )


class TestFetched:
    def judged(self, memory: StreamMemory, after: timedelta, *, connected: bool = True) -> Verdict:
        return judge_api(memory, NOW + after, connected=connected, connect="Set KEY.")

    @pytest.mark.parametrize(
        ("hours", "state"),
        [(0, State.FRESH), (25, State.FRESH), (27, State.DUE), (49, State.DUE), (51, State.LATE)],
    )
    def test_one_missed_morning_is_on_screen_and_two_are_late(
        self, hours: int, state: State
    ) -> None:
        verdict = self.judged(LOOKED, timedelta(hours=hours))
        assert verdict.state is state
        assert verdict.next_expected == date(2026, 11, 22)
        assert bool(verdict.detail) == (state is not State.FRESH)
        assert verdict.cause is None

    def test_a_look_that_ended_in_an_error_says_why(self) -> None:
        memory = LOOKED.failed(NOW, Failure.CREDENTIAL_REFUSED, "HTTP 401. Make a new key.")
        verdict = self.judged(memory, timedelta(hours=1))
        assert verdict.state is State.ACTION_REQUIRED
        assert verdict.cause == "credential refused"
        down = LOOKED.failed(NOW, Failure.SERVICE_DOWN, "HTTP 500.")
        assert self.judged(down, timedelta(hours=1)).state is State.FAILING
        assert verdict.detail == "HTTP 401. Make a new key."
        # a successful fetch ends it
        again = memory.succeeded(NOW, unreadable=0, records=3)
        assert self.judged(again, timedelta(hours=1)).state is State.FRESH

    def test_an_answer_of_which_nothing_can_be_read_is_a_changed_format(self) -> None:
        memory = LOOKED.succeeded(NOW, unreadable=40, records=40)
        verdict = self.judged(memory, timedelta())
        assert (verdict.state, verdict.cause) == (State.FAILING, FORMAT_CHANGED)
        assert "40 records" in verdict.detail
        for other in (
            LOOKED.succeeded(NOW, unreadable=10, records=40),
            # one odd record on a quiet day
            LOOKED.succeeded(NOW, unreadable=1, records=1),
            LOOKED.succeeded(NOW, unreadable=0, records=0),
        ):
            assert self.judged(other, timedelta()).state is State.FRESH

    def test_an_answer_of_which_much_cannot_be_read_says_how_much(self) -> None:
        verdict = self.judged(LOOKED.succeeded(NOW, unreadable=662, records=2298), timedelta())
        assert (verdict.state, verdict.cause) == (State.FAILING, FORMAT_CHANGED)
        assert "662 of 2,298 records" in verdict.detail

    def test_a_look_that_has_not_come_yet_is_a_clock_that_jumped(self) -> None:
        ahead = StreamMemory().succeeded(NOW + timedelta(days=60), unreadable=0, records=3)
        verdict = self.judged(ahead, timedelta())
        assert (verdict.state, verdict.cause) == (State.FAILING, Failure.CLOCK_WRONG)

    def test_before_the_first_look(self) -> None:
        assert self.judged(StreamMemory(), timedelta()).state is State.WAITING
        verdict = self.judged(StreamMemory(), timedelta(), connected=False)
        assert verdict == Verdict(State.NOT_CONNECTED, "Set KEY.")

    @pytest.mark.parametrize("days", [0, 2, 800])
    @pytest.mark.parametrize(
        "memory", [LOOKED, LOOKED.failed(NOW, Failure.CREDENTIAL_REFUSED, "HTTP 401.")]
    )
    def test_a_source_that_lost_its_credential_expects_nothing(
        self, memory: StreamMemory, days: int
    ) -> None:
        verdict = self.judged(memory, timedelta(days=days), connected=False)
        assert verdict == Verdict(
            State.NOT_CONNECTED, "No longer connected; existing data is kept. Set KEY."
        )


class TestByCalendar:
    def judged(
        self, arrivals: Sequence[Arrival], today: date, *, day: int = 3, zone: tzinfo = UTC
    ) -> Verdict:
        now = datetime.combine(today, time(12), zone)
        return judge_drop(arrivals, now, monthly_on_day=day, how_to=HOW, zone=zone)

    @pytest.mark.parametrize(
        ("today", "state"),
        [
            (date(2026, 11, 2), State.FRESH),
            (date(2026, 11, 3), State.DUE),
            (date(2026, 11, 3) + GRACE, State.DUE),
            (date(2026, 11, 4) + GRACE, State.LATE),
            # the day of the month after does not make a missing month good
            (date(2026, 12, 1), State.LATE),
            (date(2028, 1, 1), State.LATE),
        ],
    )
    def test_from_its_day_on_due_and_late_after_the_grace(self, today: date, state: State) -> None:
        verdict = self.judged([arrived("2026-10-04")], today)
        assert verdict.state is state
        assert verdict.next_expected == date(2026, 11, 3)
        assert verdict.detail == ("" if state is State.FRESH else HOW)

    def test_a_capture_early_in_a_month_is_not_that_month(self) -> None:
        """It was made on the 4th, so it holds September whole and of October four days."""
        early = arrived("2026-10-04")
        assert self.judged([early], date(2026, 11, 3)).state is State.DUE
        whole = arrived("2026-11-01T00:10")
        verdict = self.judged([early, whole], date(2026, 11, 3))
        assert verdict == Verdict(State.FRESH, "", date(2026, 12, 3))

    def test_an_old_capture_that_is_dropped_late_counts_as_of_its_capture(self) -> None:
        late = arrived("2026-08-02", "2026-11-20")
        assert self.judged([late], date(2026, 11, 21)).state is State.LATE

    def test_a_file_named_after_its_month_holds_it_whole(self) -> None:
        named = Arrival("a", datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC), NOW)
        assert due_day(named.captured_at, 3) == date(2026, 12, 3)

    def test_a_month_is_over_in_the_zone_of_the_person(self) -> None:
        tokyo, honolulu = timezone(timedelta(hours=9)), timezone(timedelta(hours=-10))
        morning_of_the_first = datetime(2026, 11, 1, 7, tzinfo=tokyo)
        assert due_day(morning_of_the_first, 1) == date(2026, 11, 1)
        assert due_day(morning_of_the_first, 1, tokyo) == date(2026, 12, 1)
        assert due_day(datetime(2026, 11, 1, 3, tzinfo=UTC), 1, honolulu) == date(2026, 12, 1)
        # and its day begins there too
        now = datetime(2026, 11, 1, 5, tzinfo=UTC)
        october = [arrived("2026-10-04")]
        for zone, state in ((tokyo, State.DUE), (honolulu, State.FRESH)):
            assert judge_drop(october, now, monthly_on_day=1, zone=zone).state is state

    def test_a_day_that_the_month_has_not_is_its_last(self) -> None:
        assert due_day(at("2027-01-20"), 31) == date(2027, 2, 28)

    @given(
        captured=st.integers(0, 3000 * 24 * 3600).map(
            lambda n: at("2020-01-01") + timedelta(seconds=n)
        ),
        day=st.integers(1, 31),
        days=st.integers(0, 200),
    )
    def test_the_definition(self, captured: datetime, day: int, days: int) -> None:
        """Late: the deadline of some month is over that no capture after its end has met."""
        today = captured.date() + timedelta(days=days)
        verdict = self.judged([Arrival("a", captured, captured)], today, day=day)

        # every month that began lately, and the day in it on which the one before is due
        begun = {(today - timedelta(days=n)).replace(day=1) for n in range(300)}
        due = {
            first: min(
                first + timedelta(days=day - 1),
                (first + timedelta(days=31)).replace(day=1) - timedelta(days=1),
            )
            for first in begun
        }
        missing = [
            due[first]
            for first in begun
            if captured + timedelta(seconds=1) < datetime.combine(first, time(), UTC)
        ]
        if any(today > each + GRACE for each in missing):
            assert verdict.state is State.LATE
        elif any(today >= each for each in missing):
            assert verdict.state is State.DUE
        else:
            assert verdict.state is State.FRESH


def on_days(*days: int) -> list[Arrival]:
    return [arrived((date(2026, 1, 1) + timedelta(days=n)).isoformat()) for n in days]


class TestByRhythm:
    def judged(self, arrivals: Sequence[Arrival], day: int) -> Verdict:
        now = datetime.combine(date(2026, 1, 1) + timedelta(days=day), time(12), UTC)
        return judge_drop(arrivals, now, monthly_on_day=None, how_to=HOW)

    def test_too_few_arrivals_say_so(self) -> None:
        verdict = self.judged(on_days(0, 7, 14, 21), 600)
        assert verdict.state is State.FRESH
        assert verdict.detail == "Not enough files to predict the next one: 4 of 11 needed."
        assert verdict.next_expected is None
        assert self.judged(on_days(*range(0, 77, 7)), 71).detail == ""

    def test_a_weekly_source(self) -> None:
        weekly = on_days(*range(0, 140, 7))
        states = {day: self.judged(weekly, day).state for day in range(133, 160)}
        assert states[140] is State.FRESH
        assert states[141] is State.DUE
        assert states[147] is State.DUE
        assert states[148] is State.LATE
        verdict = self.judged(weekly, 148)
        assert verdict.next_expected == date(2026, 1, 1) + timedelta(days=140)
        assert "Nothing has arrived since 2026-05-14" in verdict.detail
        assert verdict.detail.endswith(HOW)

    def test_a_silence_as_long_as_earlier_ones_is_left_in_peace(self) -> None:
        """Three days of files, then forty days of nothing, again and again."""
        bursts = [start + n for start in range(0, 430, 43) for n in range(3)]
        last = bursts[-1]
        verdicts = [self.judged(on_days(*bursts), day) for day in range(last, last + 42)]
        assert {each.state for each in verdicts} == {State.FRESH}
        assert self.judged(on_days(*bursts), last + 83).state is State.LATE

    def test_a_silence_that_was_there_once_may_come_again(self) -> None:
        """Every day but once: by nine in ten it is due at once, and that alone is no alarm."""
        days = [*range(15), *range(55, 70)]
        states = {n: self.judged(on_days(*days), 69 + n).state for n in (1, 2, 82, 83)}
        assert states == {1: State.FRESH, 2: State.DUE, 82: State.DUE, 83: State.LATE}

    def test_files_of_one_day_are_one_arrival(self) -> None:
        twenty = [arrived("2026-01-01", digest=str(n)) for n in range(20)]
        assert "1 of 11" in self.judged(twenty, 300).detail

    def test_the_same_file_again_is_no_arrival(self) -> None:
        weekly = on_days(*range(0, 140, 7))
        again = Arrival(weekly[0].digest, weekly[0].captured_at, at("2026-05-28"))
        assert self.judged([*weekly, again], 150) == self.judged(weekly, 150)

    @given(st.lists(st.integers(1, 60), min_size=10, max_size=80))
    def test_nine_in_ten_of_the_last_silences_are_within_the_usual(self, gaps: list[int]) -> None:
        days = [date(2020, 1, 1)]
        for gap in gaps:
            days.append(days[-1] + timedelta(days=gap))
        last = gaps[-GAPS_KEPT:]
        rhythm = rhythm_of(days)
        assert rhythm is not None
        usual = rhythm.usual.days
        assert sum(gap <= usual for gap in last) >= 0.9 * len(last)
        assert sum(gap < usual for gap in last) < 0.9 * len(last)
        assert rhythm == Rhythm(timedelta(days=usual), timedelta(days=max(last)))


class TestUnreadableFiles:
    def state(self, *arrivals: Arrival) -> State:
        verdicts = {
            judge_drop(order, at("2026-11-10"), monthly_on_day=1).state
            for order in (arrivals, arrivals[::-1])
        }
        # the order in which they are told does not matter
        (state,) = verdicts
        return state

    def test_a_bad_file_that_is_the_newest_is_failing(self) -> None:
        good, bad = arrived("2026-11-02"), arrived("2026-11-03", cause=FILE_UNREADABLE)
        assert self.state(good, bad) is State.FAILING
        verdict = judge_drop([good, bad], NOW, monthly_on_day=1)
        assert (verdict.cause, verdict.detail) == (FILE_UNREADABLE, "Bad.")
        assert self.state(bad) is State.FAILING

    def test_a_good_file_after_it_clears_it(self) -> None:
        bad = arrived("2026-11-03", cause=FILE_UNREADABLE)
        assert self.state(bad, arrived("2026-11-03T10:00")) is State.FRESH
        # also one that says of itself that it is older
        older = arrived("2026-11-02", "2026-11-04")
        assert self.state(bad, older) is State.FRESH

    def test_an_older_bad_file_does_no_harm(self) -> None:
        good = arrived("2026-11-02")
        assert self.state(good, arrived("2026-08-03", "2026-11-09", cause="x")) is State.FRESH

    def test_dropping_an_old_good_file_again_clears_nothing(self) -> None:
        good, bad = arrived("2026-11-01"), arrived("2026-11-03", cause=FILE_UNREADABLE)
        again = Arrival(good.digest, good.captured_at, at("2026-11-05"))
        assert self.state(good, bad, again) is State.FAILING

    def test_the_same_file_is_good_once_it_can_be_read(self) -> None:
        bad = arrived("2026-11-03", digest="same", cause=FILE_UNREADABLE)
        assert self.state(bad, arrived("2026-11-03", "2026-11-05", digest="same")) is State.FRESH

    def test_nothing_ever_came(self) -> None:
        verdict = judge_drop([], NOW, monthly_on_day=1, how_to=HOW)
        assert verdict == Verdict(State.WAITING, HOW)
