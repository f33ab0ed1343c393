"""The file with what is shared, and answers from it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from click.testing import CliRunner

from personal_pipeline.asking import Refused
from personal_pipeline.assistant import answers, asked_log, sharing
from personal_pipeline.assistant.answers import Answer, Reader
from personal_pipeline.assistant.reading import MOST_CHARACTERS, MOST_ROWS
from personal_pipeline.assistant.sharing import MARTS, NothingShared, Shared, shared_tables
from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.settings import Settings
from personal_pipeline_tests.invented_house import query


@pytest.fixture
def tables(built_home: Home, tmp_path: Path) -> Home:
    """The tables of the invented life, to be changed, over its lake."""
    home = Home(tmp_path / "tables").ensure()
    home.lake.rmdir()
    home.lake.symlink_to(built_home.lake)
    shutil.copy(built_home.published, home.published)
    return home


def reader_of(home: Home, areas: str, **more: str) -> Reader:
    given = {"PERSONAL_PIPELINE_MODELS": areas, **more}
    settings = Settings(PERSONAL_PIPELINE_HOME=str(home.root), **given)
    return Reader(settings, home, Shared.of(settings))


def asked(reader: Reader, sql: str, limit: int = 100) -> Answer:
    with shared_tables(reader.home, reader.shared):
        return answers.query(reader, sql=sql, limit=limit)


def names(reader: Reader) -> set[str]:
    with shared_tables(reader.home, reader.shared):
        return set(reader.tables())


# ----------------------------------------------------------------------------------- what is shared


def test_nothing_is_shared_until_the_person_names_areas(
    tables: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(tables.root))
    names(reader_of(tables, "money"))
    assert tables.models.exists()
    said = CliRunner().invoke(main, ["mcp"])
    assert said.exit_code == 1
    assert "PERSONAL_PIPELINE_MODELS" in said.stderr
    for area in ("audience", "health", "life", "money", "sport"):
        assert area in said.stderr
    # and what was shared is not left behind
    assert not tables.models.exists()
    monkeypatch.setenv("PERSONAL_PIPELINE_MODELS", "money secrets")
    said = CliRunner().invoke(main, ["mcp"])
    assert said.exit_code == 1
    assert "there is no area secrets" in said.stderr
    with pytest.raises(NothingShared):
        Shared.of(Settings())


def test_without_the_packages_or_without_tables_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_MODELS", "money")
    said = CliRunner().invoke(main, ["mcp"])
    assert said.exit_code == 1
    assert "`personal-pipeline refresh`" in said.stderr.replace("\n", " ")
    monkeypatch.setitem(sys.modules, "mcp", None)
    said = CliRunner().invoke(main, ["mcp"])
    assert said.exit_code == 1
    assert "pip install -e '.[mcp]'" in said.stderr


def test_an_area_is_its_tables_and_of_the_timeline_its_rows(tables: Home) -> None:
    in_yaml = yaml.safe_load((MARTS / "money" / "_models.yml").read_text())["models"]
    assert names(reader_of(tables, "money")) == {each["name"] for each in in_yaml}
    kinds = "select list(distinct kind order by kind) from timeline"
    sport = asked(reader_of(tables, "life sport"), kinds)
    assert sport.rows == [[["activity", "record"]]]
    assert {each.source for each in sport.as_of.sources} == {"apple_health"}
    money = asked(reader_of(tables, "life money"), kinds)
    assert money.rows == [[["record", "transaction"]]]
    assert asked(reader_of(tables, "health"), "show tables").rows == [
        [name] for name in ("health_daily", "health_measures_daily", "health_overlaps")
    ] + [["sleep_nights"]]


def test_every_kind_of_event_belongs_to_an_area(built_home: Home) -> None:
    models = yaml.safe_load((MARTS / "life" / "_models.yml").read_text())["models"]
    (timeline,) = [each for each in models if each["name"] == "timeline"]
    area = timeline["config"]["meta"]["area_of_rows"]
    found = query(
        built_home.published,
        f"select kind, {area} as area from marts.timeline group by all order by all",
    )
    assert len(found) > 10
    known = {path.parent.name for path in MARTS.glob("*/_models.yml")}
    assert {each for _, each in found} <= known
    # also those that the invented life does not have
    described = next(
        column["description"]
        for column in yaml.safe_load(
            (MARTS.parent / "intermediate" / "events" / "_models.yml").read_text()
        )["models"][0]["columns"]
        if column["name"] == "kind"
    )
    for kind in described.partition(":")[2].strip(" .\n").split(", "):
        assert f"'{kind}'" in area, kind


TEXT_OF_THE_PERSON = {
    *("activities.activity_id", "activities.description", "activities.device", "activities.feeds"),
    *("activities.gear", "activities.kind", "activities.name", "activities.place"),
    *("activities.told_by", "activity_samples.more", "athletic_performance_weekly.notes"),
    *("accounts.bank", "accounts.feeds", "broadcasts.subject", "transactions.category"),
    *("transactions.feeds", "spending_monthly.category", "records.title"),
    *("health_overlaps.counted_source", "health_overlaps.source_name", "sleep_nights.place"),
    *("health_measures_daily.source_name", "sleep_nights.source_name", "stays.place"),
    *("stays.stay", "story_boosts.title", "story_boosts.url", "story_publications.title"),
    *("story_publications.url", "story_publications.flagged_by", "story_stats.title"),
    *("story_stats.url", "subscriber_segments_monthly.segment"),
}
"""Columns with words that the person chose, or that a device or a bank gave for a whole account."""

WITHOUT_WORDS = {
    *("currency", "earnings_currency", "unit", "zone", "zone_origin", "kind", "metric", "rule"),
    *("reason", "source", "feed", "entity", "record", "record_key", "raw_key", "lake_file"),
    *("category_from", "linked_by", "balance_from", "views_from", "reads_from", "event_id"),
    *("account_id", "activity_id", "transaction_id", "transfer_with", "perhaps_with", "story_id"),
    *("broadcast_id", "reference"),
}
"""Names of columns with codes, keys, or words that are ours."""


def test_whose_words_are_in_a_column_is_said_of_each() -> None:
    unknown = [
        f"{model['name']}.{column['name']}"
        for path in MARTS.glob("*/_models.yml")
        for model in yaml.safe_load(path.read_text())["models"]
        for column in model["columns"]
        if column["data_type"].startswith(("varchar", "json", "struct", "map"))
        and not {"by_others", "of_account"} & column.get("config", {}).get("meta", {}).keys()
        and column["name"] not in WITHOUT_WORDS
        and f"{model['name']}.{column['name']}" not in TEXT_OF_THE_PERSON
    ]
    assert unknown == [], "mark it with by_others in _models.yml, or add it above"


def test_a_column_that_the_checkout_does_not_declare_is_left_out(tables: Home) -> None:
    with duckdb.connect(str(tables.published)) as published:
        published.execute("alter table marts.spending_monthly add column whisper varchar")
        published.execute("create table marts.whispers as select 'x' as whisper")
    reader = reader_of(tables, "money")
    assert "whispers" not in names(reader)
    columns = asked(reader, "from spending_monthly limit 1").columns
    assert "category" in columns
    assert "whisper" not in columns


# -------------------------------------------------------------------------------- how it is written


def spent(reader: Reader) -> float:
    ((found,),) = asked(reader, "select sum(spent) from spending_monthly").rows
    return float(found)


def test_it_follows_the_published_tables_and_is_left_alone_while_they_stay(tables: Home) -> None:
    reader = reader_of(tables, "money")
    before = spent(reader)
    written = tables.models.stat()
    assert spent(reader) == before > 0
    assert tables.models.stat() == written
    with duckdb.connect(str(tables.published)) as published:
        published.execute("update marts.spending_monthly set spent = spent * 2")
    assert spent(reader) == 2 * before
    # damaged, or deleted
    tables.models.write_bytes(b"not a database")
    assert spent(reader) == 2 * before
    tables.models.unlink()
    assert spent(reader) == 2 * before


def test_a_pass_that_is_cut_off_leaves_the_old_file_and_no_other(
    tables: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = reader_of(tables, "money")
    before = spent(reader)
    content = tables.models.read_bytes()
    with duckdb.connect(str(tables.published)) as published:
        published.execute("update marts.spending_monthly set spent = spent * 2")
    with monkeypatch.context() as patched:
        patched.setattr(sharing, "_streams_by_table", _fails)
        with pytest.raises(OSError, match="disk full"):
            spent(reader)
    assert tables.models.read_bytes() == content
    assert {path.name for path in tables.published.parent.iterdir()} == {
        "models.duckdb",
        "warehouse.duckdb",
    }
    assert spent(reader) == 2 * before


def _fails(*_: Any) -> None:
    raise OSError("disk full")


def test_two_servers_with_other_settings_never_get_each_others_tables(tables: Home) -> None:
    money, health = reader_of(tables, "money"), reader_of(tables, "health")
    for _ in range(2):
        assert "transactions" in names(money)
        assert "sleep_nights" not in names(money)
        assert "transactions" not in names(health)
    with pytest.raises(Refused, match="transactions"):
        asked(health, "from transactions")


# ------------------------------------------------------------------------------------------ answers


@contextmanager
def answering(home: Home, areas: str = "life health money sport") -> Iterator[Reader]:
    reader = reader_of(home, areas)
    with shared_tables(home, reader.shared):
        yield reader


def test_an_answer_is_bounded_and_says_how_to_ask_for_less(tables: Home) -> None:
    with answering(tables) as reader:
        many = answers.query(reader, sql="select range as n from range(10000)", limit=MOST_ROWS)
        assert len(many.rows) == MOST_ROWS
        assert "There are more rows than these 500" in many.notes[0]
        exact = answers.query(reader, sql="select range as n from range(500)", limit=MOST_ROWS)
        assert exact.notes == []
        long = answers.query(reader, sql="select repeat('ab', 100000) as word", limit=10)
        assert len(long.rows[0][0]) < 2_100
        assert "200,000 characters" in long.rows[0][0]
        wide = "select repeat('a', 1000) as word from range(1000)"
        broad = answers.query(reader, sql=wide, limit=MOST_ROWS)
        assert len(json.dumps(broad.rows)) <= MOST_CHARACTERS
        assert "limit may be up to 500" in broad.notes[0]
        columns = ", ".join(f"repeat('a', 1500) as c{n}" for n in range(100))
        one = answers.query(reader, sql=f"select {columns}", limit=10)
        assert one.rows == []
        assert "select fewer columns" in one.notes[0]
        with pytest.raises(Refused, match="More than 200 columns"):
            answers.query(reader, sql=f"select {','.join(map(str, range(201)))}", limit=1)


def test_values_are_plain_and_signs_that_cannot_be_seen_are_written_out(tables: Home) -> None:
    sql = (
        "select date '2025-01-02' as day, timestamp '2025-01-02 03:04:05' as at, 1.50 as spent,"
        " 'nan'::double as none, [1, null] as list, {'a': date '2025-01-02'} as pair,"
        " '\\x01'::blob as bytes, 2::hugeint ** 100 as huge, null as nothing,"
        " 'pay' || chr(917569) || chr(8238) || chr(27) as words"
    )
    with answering(tables) as reader:
        (row,) = answers.query(reader, sql=sql, limit=1).rows
    assert json.loads(json.dumps(row)) == row
    assert row[:6] == ["2025-01-02", "2025-01-02T03:04:05", 1.5, "nan", [1, None], {"a": row[0]}]
    assert row[8:] == [None, "pay\\U000e0041\\u202e\\x1b"]


def test_without_nights_there_are_activities_all_the_same(tables: Home) -> None:
    given: dict[str, Any] = {"order": "newest", "kind": None, "since": None, "until": None}
    with answering(tables, "sport") as reader:
        found = answers.activities(reader, **given, limit=5)
        assert len(found.rows) == 5
        assert not [name for name in found.columns if name.startswith("night_")]
        assert "area health" in found.notes[0]
        first = date(2025, 10, 1)
        with pytest.raises(Refused, match="spending_monthly"):
            answers.spending(reader, since=first, until=first, category=None, limit=5)


def test_neither_dagster_nor_dbt_is_imported(tables: Home) -> None:
    script = (
        "import sys\n"
        "from personal_pipeline import cli\n"
        "from personal_pipeline.assistant import answers, server\n"
        "from personal_pipeline.assistant.sharing import Shared, shared_tables\n"
        "from personal_pipeline.home import Home\n"
        "from personal_pipeline.settings import load_settings\n"
        "settings = load_settings()\n"
        "home = Home.of(settings.home)\n"
        "reader = answers.Reader(settings, home, Shared.of(settings))\n"
        "server.server_of(reader)\n"
        "with shared_tables(home, reader.shared):\n"
        "    assert answers.list_tables(reader).rows\n"
        # pandas is: DuckDB imports it to bind a value
        "heavy = {'dagster', 'dbt', 'datasette', 'altair', 'sqlalchemy'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    environment = {
        **os.environ,
        "PERSONAL_PIPELINE_HOME": str(tables.root),
        "PERSONAL_PIPELINE_MODELS": "money",
    }
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines()[-1:] == ["[]"], done.stderr


# ---------------------------------------------------------------------------------------- the log


def test_the_log_is_bounded_and_survives_a_line_that_was_cut_off(home: Home) -> None:
    path = home.state / "asked.jsonl"
    asked_log.note(home, "query", {"sql": "x" * 1_000_000, "limit": 1, "kind": None}, 3)
    assert path.stat().st_size < 10_000
    with path.open("ab") as stream:
        stream.write(b'\n{"at": "2025-11-2')
    for number in range(400):
        asked_log.note(home, "query", {"sql": "y" * 4_000, "limit": number}, number)
        assert path.stat().st_size <= asked_log.MOST_BYTES
    kept = list(asked_log.noted(home))
    assert [each.arguments["limit"] for each in kept[-3:]] == [397, 398, 399]
    assert 100 < len(kept) < 400


def test_all_questions_are_kept_beside_a_damaged_line(home: Home) -> None:
    asked_log.note(home, "day", {"day": date(2025, 1, 2)}, 3)
    with (home.state / "asked.jsonl").open("ab") as stream:
        stream.write(b'\n{"at": "2025-11-2')
    asked_log.note(home, "search", {"words": "caf\u00e9 \ud83d"}, None)
    first, second = asked_log.noted(home)
    assert (first.tool, dict(first.arguments), first.rows) == ("day", {"day": "2025-01-02"}, 3)
    assert (second.tool, second.rows) == ("search", None)


def test_before_anything_was_asked_the_log_says_so(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(home.root))
    assert CliRunner().invoke(main, ["mcp", "--log"]).stdout == "Nothing was asked.\n"
    assert CliRunner().invoke(main, ["mcp", "--json"]).exit_code == 2
