"""What is handed to other programs: SQL files of a home, over tables that dbt built."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import icalendar
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.cli import main
from personal_pipeline.export_commands import examples
from personal_pipeline.exports import bring, handed_on
from personal_pipeline.exports.declared import ExportFailed, read_export, reading_of
from personal_pipeline.graph.definitions import definitions_of
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.ingest.own_blocks import with_block, without_blocks
from personal_pipeline.outputs.contract import Written
from personal_pipeline.refresh import refresh
from personal_pipeline_tests.invented_house import bare_house
from personal_pipeline_tests.kiosk.house import Kiosk

TABLES = {"marts/takings_daily", "marts/timeline", "staging/stg_till__sales", "pipeline/receipts"}


@pytest.fixture
def house(kiosk: Kiosk, copied_kiosk: Home) -> House:
    return kiosk.house(copied_kiosk)


def declare(house: House, name: str, text: str) -> Callable[[], Written | None]:
    path = house.home.exports / f"{name}.sql"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return lambda: bring(house, read_export(house.home, path))


TAKINGS = "select day, product, takings from takings_daily order by all limit 5"


def test_csv_json_and_parquet_hold_the_rows_of_the_query(house: House) -> None:
    folder = house.home.root / "exported"
    for kind in ("csv", "json", "parquet"):
        written = declare(house, f"as_{kind}", f"-- format: {kind}\n{TAKINGS}")()
        assert written is not None
        assert written.path == folder / f"as_{kind}.{kind}"
    with duckdb.connect(str(house.home.published), read_only=True) as opened:
        rows = opened.execute(TAKINGS.replace("from ", "from marts.")).fetchall()
    assert len(rows) == 5
    expected = [[str(day), product, float(amount)] for day, product, amount in rows]
    with (folder / "as_csv.csv").open(encoding="utf-8", newline="") as lines:
        header, *told = csv.reader(lines)
    assert header == ["day", "product", "takings"]
    assert [[day, product, float(amount)] for day, product, amount in told] == expected
    objects = json.loads((folder / "as_json.json").read_text(encoding="utf-8"))
    assert [[*each.values()] for each in objects] == expected
    parquet = duckdb.sql(f"from read_parquet('{folder / 'as_parquet.parquet'}')").fetchall()
    assert parquet == rows


def test_it_is_written_when_its_tables_change_and_not_otherwise(house: House) -> None:
    export = declare(house, "takings", f"-- format: csv\n{TAKINGS}")
    first = export()
    assert first is not None
    stamp = first.path.stat().st_mtime_ns
    assert export() is None
    # Dagster has not heard of it
    assert refresh(house).outputs.written["exports/takings"] is not None
    assert refresh(house).outputs.written["exports/takings"] is None
    stamp = first.path.stat().st_mtime_ns
    # a table that it does not read
    (house.home.inbox / "meter-2025-07.csv").write_text("Day,kWh\n2025-07-01,2.5\n")
    assert refresh(house).outputs.written["exports/takings"] is None
    assert first.path.stat().st_mtime_ns == stamp
    # another query
    declare(house, "takings", f"-- format: csv\n{TAKINGS.replace('limit 5', 'limit 4')}")
    passed = refresh(house)
    assert passed.outputs.written["exports/takings"] is not None
    # a file that is gone
    first.path.unlink()
    refresh(house)
    assert len(first.path.read_text().splitlines()) == 5
    receipts = handed_on(house.home)
    assert [(each.export, each.rows) for each in receipts] == [
        ("takings", 5),
        ("takings", 5),
        ("takings", 4),
    ]


def at(house: House, moment: datetime) -> House:
    return replace(house, clock=lambda: moment)


@pytest.mark.parametrize(
    ("when", "days"), [("daily", 1), ("weekly", 7), ("monthly", 31), ("change", 0)]
)
def test_a_schedule_waits(house: House, when: str, days: int) -> None:
    text = f"-- format: csv\n-- when: {when}\nselect max(known_until) from known"
    now = house.clock()

    def build(value: int) -> None:
        with duckdb.connect(str(house.home.published)) as opened:
            opened.execute(
                "create or replace table marts.known as select ? as known_until", [value]
            )
            opened.execute("delete from pipeline.ledger where asset = 'marts/known'")
            opened.execute(
                "insert into pipeline.ledger by name select * replace ('marts/known' as asset, "
                "?::varchar as digest) from pipeline.ledger limit 1",
                [str(value)],
            )

    build(1)
    assert declare(house, "known", text)() is not None
    build(2)
    for hours in range(1, 24 * days, 12):
        later = at(house, now + timedelta(hours=hours))
        early = bring(later, read_export(house.home, house.home.exports / "known.sql"))
        if early is not None:
            assert later.today != house.today
            break
    due = at(house, now + timedelta(days=days))
    export = read_export(house.home, house.home.exports / "known.sql")
    bring(due, export)
    assert (house.home.root / "exported" / "known.csv").read_text().split() == [
        "max(known_until)",
        "2",
    ]


def test_a_note_keeps_what_the_person_wrote(house: House) -> None:
    vault = house.home.root / "exported"
    vault.mkdir()
    mine = "# Monday\r\n\r\nMy words.\r\n"
    (vault / "day").mkdir()
    (vault / "day" / "2025-01-01.md").write_bytes(mine.encode())
    values = "values ('day/2025-01-01', 'two'), ('new', 'a\nb'), ('new', 'c'), ('none', '')"
    text = f"-- format: markdown\nselect * from ({values}) as t (note, text)"
    written = declare(house, "notes", text)()
    assert written is not None
    assert (vault / "day" / "2025-01-01.md").read_bytes().decode() == (
        f"{mine}\r\n<!-- personal_pipeline: notes -->\r\ntwo\r\n"
        "<!-- /personal_pipeline: notes -->\r\n"
    )
    assert "a\nb\nc\n" in (vault / "new.md").read_text()
    assert not (vault / "none.md").exists()
    # nothing but the block is replaced, and what is gone goes
    note = vault / "day" / "2025-01-01.md"
    note.write_bytes(b"above\r\n" + note.read_bytes() + b"below")
    declare(
        house,
        "notes",
        text.replace("'two'", "'three'").replace("'a\nb'", "''").replace("'c'", "''"),
    )()
    assert note.read_bytes().decode().replace("\r\n", "\n") == (
        "above\n# Monday\n\nMy words.\n\n<!-- personal_pipeline: notes -->\nthree\n"
        "<!-- /personal_pipeline: notes -->\nbelow"
    )
    assert not (vault / "new.md").exists()


WORDS = st.text(st.sampled_from("ab \n\r<!-/>") | st.characters(codec="utf-8"), max_size=40)


@given(WORDS, WORDS, WORDS)
def test_a_block_changes_nothing_around_it(mine: str, first: str, second: str) -> None:
    once = with_block(mine, "a", first)
    other = with_block(once, "b", second)
    for after in (once, other, with_block(other, "a", second), with_block(other, "b", "")):
        # a block that is appended stands after a blank line
        assert without_blocks(after).rstrip("\r\n") == without_blocks(mine).rstrip("\r\n")
    assert with_block(once, "a", first) == once


def test_a_note_stays_in_its_folder(house: House) -> None:
    for note in ("../out", "/etc/out", "a/../../out", ".obsidian/x", "a:b", "C:\\x", ""):
        values = f"select '{note}' as note, 'x' as text"
        export = declare(house, "notes", f"-- format: markdown\n{values}")
        with pytest.raises(ExportFailed, match="within the folder"):
            export()
    assert not [*house.home.root.rglob("out.md")]


def test_a_calendar_is_read_by_another_program(house: House) -> None:
    text = (
        "-- format: ics\nselect * from (values"
        " ('1', timestamp '2025-01-01 10:00', timestamp '2025-01-01 11:00',"
        " 'Run; \"far\", fast\nx')"
        ") as t (uid, start_at, end_at, title)"
    )
    written = declare(house, "runs", text)()
    assert written is not None
    before = written.path.read_bytes()
    (event,) = icalendar.Calendar.from_ical(before).walk("VEVENT")
    assert event["summary"] == 'Run; "far", fast\nx'
    assert event.decoded("dtstart") == datetime.fromisoformat("2025-01-01T10:00+00:00")
    assert event.decoded("dtend") == datetime.fromisoformat("2025-01-01T11:00+00:00")
    bring(house, read_export(house.home, house.home.exports / "runs.sql"), again=True)
    assert written.path.read_bytes() == before
    whole_day = "-- format: ics\nselect date '2025-01-01' as day, 'Off' as title"
    declare(house, "days", whole_day)()
    calendar = icalendar.Calendar.from_ical((written.path.parent / "days.ics").read_bytes())
    assert calendar.walk("VEVENT")[0].decoded("dtstart").isoformat() == "2025-01-01"


WRONG = {
    "without_format": ("select 1", "expected a first line such as `-- format: csv`"),
    "other_format": ("-- format: xlsx\nselect 1", "format is one of csv, json"),
    "other_time": ("-- format: csv\n-- when: hourly\nselect 1", "when is one of change, daily"),
    "other_line": ("-- format: csv\n-- fodler: x\nselect 1", "line 2: fodler is nothing that"),
    "no_table": ("-- format: csv\nselect * from takings_dialy", "takings_dialy"),
    "writes": ("-- format: csv\ncopy takings_daily to '/tmp/x'", "one query that only reads"),
    "reads_files": ("-- format: csv\nselect * from read_csv('/etc/passwd')", "Permission Error"),
    "value": ("-- format: csv\nselect cast('secret word' as integer)", "Conversion Error"),
    "quoted": ("-- format: csv\nselect cast('secret \"word\"' as date)", "Conversion Error"),
    "twice": ("-- format: csv\nselect 1 as n, 2 as n", "several columns are called n"),
    "nobody": ("-- format: csv\n-- folder: ~nobody_at_all/x\nselect 1", "no such place"),
    "own": ("-- format: csv\n-- folder: lake/kit\nselect 1", "the house keeps its own files"),
    "root": ("-- format: csv\n-- folder: .\nselect 1", "the house keeps its own files"),
    "calendar": ("-- format: ics\nselect 1", "a calendar needs the columns"),
    "notes": ("-- format: markdown\nselect 1", "notes need the columns"),
}


def test_what_is_wrong_is_said_and_the_others_are_written(house: House) -> None:
    for name, (text, _) in WRONG.items():
        declare(house, name, text)
    for name in ("My Export", "über", "a.b"):
        declare(house, name, f"-- format: csv\n{TAKINGS}")
    declare(house, "._takings", "\0\0")
    declare(house, "zz_last", f"-- format: csv\n{TAKINGS}")
    passed = refresh(house)
    failures = {each.partition(".sql")[0]: each for each in passed.failures}
    assert failures.keys() == {
        *(f"exports/{name}" for name in WRONG),
        *("exports/My Export", "exports/über", "exports/a.b"),
    }
    for name, (_, said) in WRONG.items():
        assert said in failures[f"exports/{name}"], name
    assert not [each for each in passed.failures if "secret" in each]
    assert passed.outputs.written["exports/zz_last"] is not None
    assert [*(house.home.root / "exported").iterdir()] == [
        house.home.root / "exported" / "zz_last.csv"
    ]
    # the graph loads all the same
    definitions_of(house)


def test_an_export_is_an_asset_below_the_tables_that_it_reads(house: House) -> None:
    declare(house, "takings", f"-- description: What came in.\n-- format: csv\n{TAKINGS}")
    graph = definitions_of(house).resolve_asset_graph()
    node = graph.get(dg.AssetKey(["outputs", "exports", "takings"]))
    assert node.parent_keys == {dg.AssetKey(["marts", "takings_daily"])}
    assert node.description is not None
    assert node.description.startswith("What came in.")
    with dg.instance_for_test() as instance:
        definitions = definitions_of(house)
        done = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, asset_selection=[node.key]
        )
        (event,) = done.asset_materializations_for_node("write_exports_takings")
    assert event.metadata["rows"].value == 5
    assert (house.home.root / "exported" / "takings.csv").exists()


def test_a_damaged_marker_costs_none_of_the_persons_words() -> None:
    note = "<!-- personal_pipeline: a -->\n- old\n\nMy own words\n"
    once = with_block(note, "a", "new")
    again = with_block(once, "a", "newer")
    assert "My own words" in again
    assert "newer" in again
    assert "My own words" in without_blocks(again)


def test_a_note_that_is_a_link_stays_one_and_now_repairs_a_block(house: House) -> None:
    vault = house.home.root / "exported"
    vault.mkdir()
    real = house.home.root / "real.md"
    real.write_text("mine\n")
    real.chmod(0o644)
    (vault / "day.md").symlink_to(real)
    declare(house, "notes", "-- format: markdown\nselect 'day' as note, 'one' as text")()
    assert (vault / "day.md").is_symlink()
    assert real.stat().st_mode & 0o777 == 0o644
    assert "one" in real.read_text()
    real.write_text("mine\n")
    export = read_export(house.home, house.home.exports / "notes.sql")
    bring(house, export, again=True)
    assert "one" in real.read_text()


def test_what_a_schedule_selects_may_depend_on_the_day(house: House) -> None:
    query = "select count(*) as n from takings_daily"
    written = declare(house, "today", f"-- format: csv\n-- when: daily\n{query}")()
    assert written is not None
    later = at(house, house.clock() + timedelta(days=1))
    written.path.write_text("of yesterday")
    bring(later, read_export(house.home, house.home.exports / "today.sql"))
    assert written.path.read_text() != "of yesterday"


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("select * from takings_daily", {"marts/takings_daily"}),
        # which of the two is meant is not worth finding out
        (
            "with takings_daily as (from takings_daily) select * from takings_daily",
            {"marts/takings_daily"},
        ),
        ("select * from MARTS.Takings_Daily", {"marts/takings_daily"}),
        (
            "select * from marts.timeline t join stg_till__sales using (day)"
            " where exists (from pipeline.receipts)",
            {"marts/timeline", "staging/stg_till__sales", "pipeline/receipts"},
        ),
        ("not even sql", set()),
    ],
)
def test_lineage_is_what_the_query_reads(query: str, tables: set[str]) -> None:
    assert set(reading_of(query, TABLES).tables) == tables


def test_what_a_query_reads_besides_is_noticed() -> None:
    assert not reading_of("with a as (from takings_daily) from a", TABLES).more
    for query in ("from query_table('takings_daily')", "from unheard", "from pipeline.ledger"):
        assert reading_of(query, TABLES).more, query


def test_the_command_shows_takes_and_writes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(house.home.root))
    run = CliRunner().invoke
    assert "--example NAME" in run(main, ["exports"]).output
    assert run(main, ["exports", "--example", "spending"]).exit_code == 0
    assert "is there already" in run(main, ["exports", "--example", "spending"]).output
    declare(house, "takings", f"-- format: csv\n{TAKINGS}")
    declare(house, "broken", "select 1")
    done = run(main, ["exports", "--now", "takings"])
    assert done.exit_code == 0, done.output
    assert "5 rows" in done.output
    shown = run(main, ["exports"])
    assert "expected a first line" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 80
    told = {each["export"]: each for each in json.loads(run(main, ["exports", "--json"]).output)}
    assert told["takings"]["last"]["rows"] == 5
    assert "format" in told["broken"]["problem"]


def test_every_example_works_over_the_invented_life(built_home: Home, tmp_path: Path) -> None:
    home = Home(tmp_path / "home").ensure()
    home.published.parent.mkdir(exist_ok=True)
    home.published.symlink_to(built_home.published)
    house = bare_house(home)
    for name, text in examples().items():
        written = declare(house, name, text.replace("~/Obsidian", "exported"))()
        assert written is not None, name
        assert int(written.details["rows"]) > 5, name
