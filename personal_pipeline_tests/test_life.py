"""What happened, read back on the command line: days, spans, the same day of other years."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from collections import Counter
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from personal_pipeline.cli import main
from personal_pipeline.duck import among, literal
from personal_pipeline.home import Home
from personal_pipeline.life.events import (
    Ambiguous,
    Event,
    Unknown,
    events_between,
    events_of,
    firsts,
    found,
    published,
    records,
    references_of,
    same_days,
)
from personal_pipeline.life.sums import sums_of
from personal_pipeline.life.words import WITHOUT_TIME, stretches_of, when_of
from personal_pipeline_tests.invented_timeline import event, write_tables

DAY = date(2024, 6, 1)
EARLY = datetime.fromisoformat("2023-12-28T00:00")
HOSTILE = (
    "\x1b[31mred\x1b[0m",
    "[bold]not markup[/] [link=http://x]",
    "\u202egnp.exe",
    "line\r\nfeed: 09:00  payment  forged",
    "<script>alert(1)</script>",
    "\x9b2J\x07\x00",
    "漢字" * 60,
    "wide" * 400,
    "🧵" * 50,
)


@pytest.fixture
def database(home: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONAL_PIPELINE_TIMEZONE", "Europe/Berlin")
    return home.published


def told(*arguments: str) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, [*arguments])


def shown(*arguments: str) -> list[str]:
    answer = told(*arguments)
    assert answer.exit_code == 0, answer.output
    return [line.rstrip() for line in answer.stdout.splitlines()]


def on(database: Path, day: date) -> list[Event]:
    with published(database) as tables:
        return events_of(tables, [day])


# ------------------------------------------------------------------------------------------- day


def test_a_day_goes_from_morning_to_night_and_ends_with_its_sums(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("payment", "late", "2024-06-01T19:00", amount=19, currency="usd"),
            event("story", "before", "2024-05-31T12:00"),
            event("transaction", "coffee", day="2024-06-01", amount="-4.25", currency="eur"),
            event("night", "n", "2024-05-31T21:10", "2024-06-01T04:40", day="2024-06-01"),
            event("activity", "ride", "2024-06-01T05:00", "2024-06-01T06:30", detail="42.0 km"),
            event("story", "after", "2024-06-01T22:30"),
        ],
    )
    lines = shown("day", "2024-06-01")
    assert lines[0] == "Saturday 1 June 2024"
    starts = [line.split("  ")[0] for line in lines[1:8]]
    assert starts == ["Fri 23:10", "–06:40", "07:00", "–08:30", "21:00", WITHOUT_TIME, ""]
    assert re.search(r"^07:00 +activity +activity ride +[0-9a-f]{8}$", lines[3])
    assert re.search(r"^–08:30 +42\.0 km$", lines[4])
    assert re.search(r"^21:00 +payment +payment late +\$19\.00 +[0-9a-f]{8}$", lines[5])
    assert re.search(r"^ +transaction +transaction coffee +−€4\.25 +[0-9a-f]{8}$", lines[7])
    assert lines[-2:] == ["Spent   €4.25", "Earned  $19.00"]


def test_a_night_ends_by_the_clock_that_was_set_in_it(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("night", "spring", "2024-03-30T22:00", "2024-03-31T05:00", day="2024-03-31"),
            event("night", "autumn", "2024-10-26T21:00", "2024-10-27T05:00", day="2024-10-27"),
        ],
    )
    assert when_of(on(database, date(2024, 3, 31))[0]) == ["Sat 23:00", "–07:00"]
    assert when_of(on(database, date(2024, 10, 27))[0]) == ["Sat 23:00", "–06:00"]


def test_where_the_clock_was_another_than_that_of_the_home_it_is_named(database: Path) -> None:
    # Auckland in the evening, Los Angeles in the morning of the same day, lived twice
    write_tables(
        database,
        timeline=[
            event("payment", "lunch", "2024-06-01T01:00", zone="Pacific/Auckland"),
            event("flight", "NZ6", "2024-06-01T07:45", "2024-06-01T20:00", zone="Pacific/Auckland"),
            event("payment", "coffee", "2024-06-01T15:00", zone="America/Los_Angeles"),
            event("payment", "paris", "2024-06-02T08:00", zone="Europe/Paris"),
            event("payment", "home", "2024-06-02T10:00"),
            event("payment", "tokyo", "2024-06-02T12:00", zone="Asia/Tokyo"),
            event("note", "day", day="2024-06-02"),
        ],
    )
    day = stretches_of(on(database, DAY), "Europe/Berlin")
    assert [(heading, [each.key for each in events]) for heading, events in day] == [
        ("Clock of America/Los_Angeles, UTC-07:00", ["coffee"]),
        ("Clock of Pacific/Auckland, UTC+12:00", ["lunch", "NZ6"]),
    ]
    assert when_of(day[1][1][1]) == ["19:45", "–Sun 08:00"]
    # the clock of Paris is that of Berlin
    day = stretches_of(on(database, date(2024, 6, 2)), "Europe/Berlin")
    assert [(heading, [each.key for each in events]) for heading, events in day] == [
        ("", ["paris", "home"]),
        ("Clock of Asia/Tokyo, UTC+09:00", ["tokyo"]),
        (WITHOUT_TIME, ["day"]),
    ]
    assert "Clock of Asia/Tokyo, UTC+09:00" in shown("day", "2024-06-02")


def test_a_clock_that_is_only_an_offset_is_one_too(database: Path) -> None:
    rows = [
        event("activity", "1", "2024-06-01T05:00", "2024-06-01T06:00"),
        event("activity", "2", "2024-06-01T07:00", "2024-06-01T08:00", zone="Asia/Kolkata"),
        event("activity", "3", "2024-06-01T09:00", "2024-06-01T10:00"),
    ]
    rows[0]["zone"] = "UTC+02:00"
    rows[1]["zone"] = "UTC+05:30"
    write_tables(database, timeline=rows)
    events = on(database, DAY)
    assert [heading for heading, _ in stretches_of(events, "Europe/Berlin")] == [
        "",
        "Clock of UTC+05:30",
    ]
    assert [when_of(each) for each in events] == [
        ["07:00", "–08:00"],
        ["11:00", "–12:00"],
        ["12:30", "–13:30"],
    ]


def test_a_day_with_nothing_says_so(database: Path) -> None:
    write_tables(database, timeline=[])
    assert shown("day", "2024-06-01") == ["Saturday 1 June 2024", "No event is known."]
    assert json.loads(told("day", "2024-06-01", "--json").stdout)["events"] == []


@pytest.mark.parametrize("text", HOSTILE)
def test_texts_by_others_are_shown_within_80_columns_and_nothing_more(
    database: Path, text: str
) -> None:
    write_tables(
        database,
        timeline=[
            event("message", "1", "2024-06-01T07:00", title=text, detail=text, place=text,
                  people=[text, "Ann"], amount=-1234567, currency="idr", by_others=True),
            event("subscribers_joined", "2", "2024-06-01T08:00", "2024-06-02T09:00"),
        ],
    )  # fmt: skip
    for arguments in (("day", "2024-06-01"), ("timeline",), ("records",)):
        lines = shown(*arguments)
        # as wide as a terminal shows it
        assert max(map(cell_len, lines)) <= 80
        kinds = {unicodedata.category(char) for line in lines for char in line}
        assert not kinds & {"Cc", "Cf", "Cs", "Co"}
    (first, _) = json.loads(told("day", "2024-06-01", "--json").stdout)["events"]
    assert first["title"] == text


def test_json_has_everything_and_a_handle(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("transaction", "1", day="2024-06-01", amount="-4.25", currency="eur",
                  text="all of it", people=["Ann"], reference="a/b/c#1"),
        ],
    )  # fmt: skip
    answer = json.loads(told("day", "2024-06-01", "--json").stdout)
    assert answer["day"] == "2024-06-01"
    assert answer["home_zone"] == "Europe/Berlin"
    (row,) = answer["events"]
    assert row["amount"] == -4.25
    assert row["text"] == "all of it"
    assert row["people"] == ["Ann"]
    assert row["local_at"] is None
    assert re.fullmatch("[0-9a-f]{8}", row["handle"])
    assert answer["sums"]["spent"] == {"eur": 4.25}
    assert json.loads(told("timeline", "--json").stdout) == [row]


def test_days_have_names(database: Path) -> None:
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    write_tables(
        database,
        timeline=[
            event("note", "now", day=f"{today}"),
            event("note", "then", day=f"{today - timedelta(days=1)}"),
        ],
    )
    assert "note now" in "\n".join(shown("day", "today"))
    assert shown("day") == shown("day", "yesterday")
    assert "note then" in "\n".join(shown("day"))
    for wrong in ("tomorrow", "2024-02-30", "1 June"):
        answer = told("day", wrong)
        assert answer.exit_code == 2
        assert "expected a day such as 2024-06-01, today or yesterday" in answer.stderr


def test_before_there_is_a_timeline_it_says_what_to_do(database: Path) -> None:
    for arguments in (("day",), ("timeline",), ("on-this-day",), ("records",), ("raw", "3f9a01c2")):
        answer = told(*arguments)
        assert answer.exit_code == 1
        assert "`personal-pipeline refresh`" in answer.stderr
    write_tables(database, creator_daily=[])
    assert "no timeline in these tables" in told("day").stderr


@given(
    st.lists(
        st.tuples(
            st.integers(0, 68 * 24 * 60).map(lambda minutes: EARLY + timedelta(minutes=minutes)),
            st.sampled_from(["Pacific/Kiritimati", "Pacific/Pago_Pago", "UTC", "Asia/Tokyo"]),
            st.booleans(),
        ),
        max_size=12,
    )
)
def test_every_event_is_found_on_its_day(
    tmp_path_factory: pytest.TempPathFactory, lived: list[tuple[datetime, str, bool]]
) -> None:
    rows = []
    for number, (start, zone, is_night) in enumerate(lived):
        row = event("night" if is_night else "payment", str(number), start.isoformat(), zone=zone)
        # a night is filed with its day, which is that of waking
        if is_night:
            row["local_day"] += timedelta(days=1)
            row["month"] = row["local_day"].replace(day=1)
        rows.append(row)
    path = write_tables(tmp_path_factory.mktemp("days") / "w.duckdb", timeline=rows)
    days = {row["local_day"] for row in rows}
    with published(path) as tables:
        one_by_one = [each.event_id for day in sorted(days) for each in events_of(tables, [day])]
        assert Counter(one_by_one) == Counter(row["event_id"] for row in rows)
        assert [each.event_id for each in events_of(tables, days)] == one_by_one
        together, count = events_between(tables, min(days, default=DAY), max(days, default=DAY))
        assert [each.event_id for each in together] == one_by_one
        assert count == len(rows)


# ------------------------------------------------------------------------------------------ sums


def test_money_that_only_moves_is_neither_spent_nor_earned(database: Path) -> None:
    bookings = {
        "rent": ("-900.00", "eur", "spending"),
        "coffee": ("-4.50", "eur", "spending"),
        "taxi": ("-30.00", "usd", "spending"),
        "wage": ("2500.00", "eur", "income"),
        "savings": ("-300.00", "eur", "transfer"),
        "shares": ("-70.00", "eur", "trade"),
    }
    write_tables(
        database,
        timeline=[
            *(
                event("transaction", key, day="2024-06-01", amount=amount, currency=currency)
                for key, (amount, currency, _) in bookings.items()
            ),
            event("payment", "p", "2024-06-01T07:00", amount=20, currency="usd"),
            event("refund", "r", "2024-06-01T08:00", amount=-5, currency="usd"),
            event("payout", "o", "2024-06-01T09:00", amount=500, currency="usd"),
            event("payment", "unknown", "2024-06-01T09:00", amount=500),
            event("activity", "ride", "2024-06-01T07:00"),
            event("activity", "run", "2024-06-01T08:00"),
        ],
        transactions=[
            {"transaction_id": key, "kind": kind} for key, (*_, kind) in bookings.items()
        ],
        health_daily=[{"day": "2024-06-01", "asleep_minutes": 445, "steps": 11204}],
        creator_daily=[{"day": "2024-06-01", "views": 240}, {"day": "2024-06-02", "views": 9}],
        activities=[
            {"activity_id": "ride", "distance_m": 40000},
            {"activity_id": "run", "distance_m": 5250},
            {"activity_id": "other", "distance_m": 1e6},
        ],
    )
    with published(database) as tables:
        sums = sums_of(tables, DAY, events_of(tables, [DAY]))
    assert sums.spent == {"eur": Decimal("904.50"), "usd": 30}
    assert sums.received == {"eur": 2500}
    assert sums.earned == {"usd": 15}
    assert shown("day", "2024-06-01")[-7:] == [
        "Slept     7 h 25 min",
        "Steps     11,204",
        "Moved     45.2 km",
        "Spent     €904.50, $30.00",
        "Received  €2,500.00",
        "Earned    $15.00",
        "Views     240",
    ]


# -------------------------------------------------------------------------------------- timeline


@pytest.fixture
def spanned(database: Path) -> Path:
    return write_tables(
        database,
        timeline=[
            event("payment", "1", "2024-05-31T07:00", title="Café Crème", source="stripe"),
            event("story", "2", "2024-06-01T07:00", text="Nobody reads CREME here"),
            event("note", "3", "2024-06-02T07:00", people=["Renée Crémer"], place="Lyon"),
            event("payment", "4", "2024-06-03T07:00", detail="100% (net)", source="stripe"),
            event("transaction", "5", day="2024-06-03", title="LIDL"),
        ],
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((), "12345"),
        (("--from", "2024-06-01"), "2345"),
        (("--to", "2024-06-01"), "12"),
        (("--from", "2024-06-01", "--to", "2024-06-02"), "23"),
        (("--source", "stripe"), "14"),
        (("--kind", "note", "--kind", "story"), "23"),
        (("--kind", "payment", "--from", "2024-06-01"), "4"),
        (("--grep", "creme"), "123"),
        (("--grep", "CRÈME"), "123"),
        (("--grep", "100% (net"), "4"),
        (("--grep", "lyon"), "3"),
        (("--grep", "café", "--limit", "5"), "1"),
        (("--grep", ".*"), ""),
        (("--limit", "2"), "45"),
    ],
)
def test_a_span_is_narrowed(spanned: Path, arguments: tuple[str, ...], expected: str) -> None:
    rows = json.loads(told("timeline", *arguments, "--json").stdout)
    assert "".join(row["event_id"][-1] for row in rows) == expected


def test_a_list_has_its_days_as_headings_and_says_what_is_left_out(spanned: Path) -> None:
    lines = shown("timeline", "--limit", "3")
    assert lines[0] == "The newest 3 of 5 events; --limit shows more."
    days = [line for line in lines if re.fullmatch(r"\w+day \d+ June 2024", line)]
    assert days == ["Sunday 2 June 2024", "Monday 3 June 2024"]
    assert "Nothing was found." in shown("timeline", "--grep", "absent")
    assert "newest" not in shown("timeline", "--limit", "5")[0]


def test_a_kind_or_source_that_there_is_not_is_refused_with_the_nearest(spanned: Path) -> None:
    answer = told("timeline", "--kind", "payments")
    assert answer.exit_code == 1
    assert "no kind 'payments'; did you mean payment?" in answer.stderr
    assert "It has note, payment, story, transaction." in answer.stderr.replace("\n", " ")
    assert "no source 'x'. It has" in told("timeline", "--source", "x").stderr
    assert told("records", "--kind", "x").exit_code == 1


@given(st.text(max_size=20) | st.sampled_from(["'", "''; drop table x --", "a\0b", "\udcff"]))
def test_a_text_in_sql_is_that_text(text: str) -> None:
    with duckdb.connect() as opened:
        ((back,),) = opened.execute(f"select {literal(text)}").fetchall()
        ((found_it,),) = opened.execute(
            f"select {among('each', [text, 'other'])} from (select {literal(text)} as each)"
        ).fetchall()
    assert back == text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    assert found_it


# ----------------------------------------------------------------------------------- on this day


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("2024-06-01", "2026-06-01 2025-06-01 2023-06-01"),
        ("2024-02-29", "2026-02-28 2025-02-28 2023-02-28"),
        ("2025-02-28", "2026-02-28 2024-02-29 2024-02-28 2023-02-28"),
        ("2024-02-28", "2026-02-28 2025-02-28 2023-02-28"),
        ("2024-03-01", "2026-03-01 2025-03-01 2023-03-01"),
    ],
)
def test_the_same_day_of_other_years(day: str, expected: str) -> None:
    days = same_days(date.fromisoformat(day), 2023, 2026)
    assert " ".join(map(str, days)) == expected


def test_a_leap_day_finds_the_one_of_another_leap_year() -> None:
    assert same_days(date(2024, 2, 29), 2020, 2021) == [date(2021, 2, 28), date(2020, 2, 29)]


def test_on_this_day_shows_the_years_in_which_something_happened(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("note", str(year), day=f"{year}-06-01") for year in (2019, 2020, 2023, 2024)
        ]
        + [event("note", "other", day="2022-06-02")],
    )
    headings = [line for line in shown("on-this-day", "--date", "2024-06-01") if "June" in line]
    assert [line[-4:] for line in headings] == ["2023", "2020", "2019"]
    answer = json.loads(told("on-this-day", "--date", "2024-06-01", "--json").stdout)
    assert list(answer) == ["2023-06-01", "2020-06-01", "2019-06-01"]
    assert "Nothing is known of this day" in shown("on-this-day", "--date", "2024-06-03")[0]


# --------------------------------------------------------------------------------------- handles


def test_the_beginning_of_a_handle_is_enough_unless_another_begins_so(database: Path) -> None:
    write_tables(database, timeline=[event("note", str(n), day="2024-06-01") for n in range(600)])
    with published(database) as tables:
        events = events_of(tables, [DAY])
        alike = Counter(each.handle[:4] for each in events)
        alone = next(each for each in events if alike[each.handle[:4]] == 1)
        twin = next(each for each in events if alike[each.handle[:4]] > 1)
        assert found(tables, alone.handle[:4]) == alone
        assert found(tables, twin.handle) == twin
        assert found(tables, twin.event_id) == twin
        with pytest.raises(Ambiguous, match=twin.handle):
            found(tables, twin.handle[:4])
        for unknown in (alone.handle[:3], "till:note:x", "", "zzzzzzzz", "%"):
            with pytest.raises(Unknown, match="such as 3f9a01c2"):
                found(tables, unknown)


def test_an_event_that_was_merged_has_the_records_of_all(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("transaction", "t", day="2024-06-01", reference="a#1"),
            event("payment", "p", day="2024-06-01", reference="b#1"),
            event("boost", "b", day="2024-06-01"),
        ],
        transaction_merges=[
            {"transaction_id": "t", "lake_file": "a", "record_key": "1"},
            {"transaction_id": "t", "lake_file": "c", "record_key": "9"},
            {"transaction_id": "other", "lake_file": "d", "record_key": "9"},
        ],
    )
    with published(database) as tables:
        references = {each.key: references_of(tables, each) for each in events_of(tables, [DAY])}
    assert references == {"t": ["a#1", "c#9"], "p": ["b#1"], "b": []}


# ------------------------------------------------------------------------------------ milestones


def test_firsts_are_the_first_of_each_kind_and_source(database: Path) -> None:
    write_tables(
        database,
        timeline=[
            event("transaction", "in", day="2024-05-01", amount=10, title="Wage"),
            event("transaction", "out", day="2024-05-02", amount=-3, title="Coffee"),
            event("transaction", "out2", day="2024-05-03", amount=-2, title="Tea"),
            event("story", "b", "2024-05-04T09:00", title="Second"),
            event("story", "a", "2024-05-04T08:00", title="First"),
            event("story", "c", "2024-05-06T08:00", title="Elsewhere", source="blog"),
            event("subscribers_joined", "s", day="2024-05-07", title="Ann subscribed"),
            event("record", "r", day="2024-05-01", title="Longest ride"),
        ],
    )
    with published(database) as tables:
        assert [(each.name, each.title) for each in firsts(tables)] == [
            ("first money received", "Wage"),
            ("first thing bought", "Coffee"),
            ("first story", "First"),
            ("first story", "Elsewhere"),
            ("first subscriber joined", "Ann subscribed"),
        ]
        assert records(tables) == []
        handles = [each.handle for each in firsts(tables)]
        assert all(found(tables, handle) for handle in handles)
    lines = shown("records", "--kind", "story")
    assert sum("first story" in line for line in lines) == 2
    assert "Wage" not in "\n".join(lines)


def test_records_that_stand_open_to_what_set_them(database: Path) -> None:
    def row(record: str, day: str, value: float, unit: str, **more: object) -> dict[str, object]:
        return {"record": record, "day": day, "value": value, "unit": unit, "source": "till"} | more

    of_ride = {"lake_file": "a/b/c", "raw_key": "9", "title": "Over the pass"}
    write_tables(
        database,
        timeline=[
            event("activity", "ride", "2024-06-01T08:00", reference="a/b/c#9"),
            event("night", "2024-05-02/1", "2024-05-01T20:00", day="2024-05-02",
                  title="Slept 9 h 2 min", reference="a/b/n#1"),
            event("record", "longest ride@2024-06-01", "2024-06-01T08:00", reference="a/b/c#9"),
            event("record", "most steps in a day@2024-06-03", day="2024-06-03"),
        ],
        records=[
            row("longest ride", "2024-04-01", 40_000, "m", lake_file="a/b/c", raw_key="1"),
            row("longest ride", "2024-06-01", 102_340, "m", previous=40_000, **of_ride),
            row("fastest ride", "2024-06-01", 8.5, "m/s", **of_ride),
            row("longest night", "2024-05-02", 32_520, "s", lake_file="a/b/n", raw_key="1"),
            row("most steps in a day", "2024-06-03", 31_220, "steps", previous=2),
        ],
    )  # fmt: skip
    with published(database) as tables:
        opened = {each.name: found(tables, each.handle).key for each in records(tables)}
    assert opened == {
        "fastest ride": "ride",
        "longest ride": "ride",
        "longest night": "2024-05-02/1",
        "most steps in a day": "most steps in a day@2024-06-03",
    }
    lines = [re.split("  +", line) for line in shown("records") if "20" in line][-4:]
    assert [line[:4] for line in lines] == [
        ["fastest ride", "30.6 km/h", "2024-06-01", "Over the pass"],
        ["longest ride", "102.3 km", "2024-06-01", "Over the pass"],
        ["longest night", "9 h 2 min", "2024-05-02", "Slept 9 h 2 min"],
        ["most steps in a day", "31,220 steps", "2024-06-03", lines[3][3]],
    ]
    assert "ride" in "\n".join(shown("records", "--kind", "activity"))
    assert "longest night" not in "\n".join(shown("records", "--kind", "activity"))


# --------------------------------------------------------------------------------------- imports


@pytest.mark.parametrize(
    "arguments", [["day"], ["timeline"], ["on-this-day"], ["records"]], ids=lambda each: each[0]
)
def test_neither_dagster_nor_dbt_nor_pandas_is_imported(
    database: Path, arguments: list[str]
) -> None:
    write_tables(database, timeline=[event("note", "1", day="2024-06-01")])
    script = (
        "import sys; from personal_pipeline.cli import main\n"
        f"main({arguments!r}, standalone_mode=False)\n"
        "heavy = {'dagster', 'dbt', 'pandas', 'jinja2', 'requests', 'numpy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
