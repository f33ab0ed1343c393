"""Questions to the tables, on the command line and in a notebook."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline import tables
from personal_pipeline.asking import Refused, asked
from personal_pipeline.cli import main
from personal_pipeline.home import Home

SUM = "select product, sum(pieces) as pieces from takings_daily group by product order by product"


@pytest.fixture
def published(built_kiosk: Home, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(built_kiosk.root))
    return built_kiosk.published


def ask(*arguments: str, text: str | None = None) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(main, ["sql", *arguments], input=text)


def plain(path: Path, query: str) -> list[tuple[object, ...]]:
    with duckdb.connect(str(path), read_only=True) as opened:
        return opened.execute(query).fetchall()


def test_it_prints_a_table_csv_json_and_parquet(published: Path, tmp_path: Path) -> None:
    expected = [
        (name, int(str(pieces)))
        for name, pieces in plain(published, SUM.replace("takings", "marts.takings"))
    ]
    assert len(expected) == 3
    shown = ask(SUM).stdout.splitlines()
    assert [tuple(line.split()) for line in shown if line.split()[:1] == ["coffee"]] == [
        ("coffee", str(expected[0][1]))
    ]
    rows = list(csv.reader(io.StringIO(ask("--csv", SUM).stdout)))
    assert rows == [["product", "pieces"], *([name, str(each)] for name, each in expected)]
    found = json.loads(ask("--json", "-", text=SUM + ";  -- all of it\n").stdout)
    assert found == [{"product": name, "pieces": each} for name, each in expected]
    file = tmp_path / "it's.parquet"
    assert "3 rows" in ask("--parquet", str(file), SUM).stdout
    assert len(duckdb.read_parquet(str(file)).fetchall()) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["it's.parquet"]
    assert ask("--json", f"select * from ({SUM}) where false").stdout == "[]\n"


def test_what_does_not_fit_side_by_side_is_a_block_per_row(published: Path) -> None:
    wide = "select 'a' as one, repeat('b', 70) as two, 'c' as three, null as four"
    lines = ask(wide).stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["one", "a"],
        ["two", "b" * 70],
        ["three", "c"],
        ["four"],
    ]
    assert max(map(len, lines)) <= 80


def test_only_so_many_rows_are_shown_unless_one_asks(published: Path) -> None:
    said = ask("--limit", "2", "select range from range(5)").stdout
    assert "The first 2 rows" in said
    assert "No rows." in ask("select 1 where false").stdout


def test_text_by_others_is_only_shown(published: Path) -> None:
    said = ask("select chr(27) || '[31m[bold]red' as words").stdout
    assert "\x1b" not in said
    assert "\\x1b[31m[bold]red" in said


def test_an_error_names_what_is_nearest(published: Path) -> None:
    for query, nearest in (
        ("from takings_dayly", "takings_daily"),
        ("select peaces from takings_daily", "pieces"),
        ("selct 1", "syntax error"),
    ):
        answer = ask(query)
        assert answer.exit_code == 1
        assert nearest in answer.stderr
        assert "LINE 1" in answer.stderr


HOSTILE = (
    "select * from read_csv('{file}')",
    "select * from '{file}'",
    "select * from read_text('{file}')",
    "select * from glob('/*')",
    "copy (select 1) to '{file}'",
    "select 1; drop table marts.takings_daily",
    "drop table marts.takings_daily",
    "attach '{file}' as other",
    "install httpfs",
    "load httpfs",
    "set enable_external_access = true",
    "pragma enable_profiling",
    "call pragma_version()",
    "explain analyze select 1",
    "create temp table t as select 1",
    "export database '{file}'",
    "select * from sniff_csv('{file}')",
    "select * from parquet_metadata('{file}')",
    "select * from query('select * from read_text(''{file}'')')",
    "with a as (select * from read_json('{file}')) from a",
    "select 1) to '{file}' (format csv) --",
    "",
)


@pytest.mark.parametrize("query", HOSTILE)
@pytest.mark.parametrize("way", ["rows", "parquet"])
def test_a_query_reads_tables_and_nothing_else(
    published: Path, tmp_path: Path, query: str, way: str
) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a,b\n1,of-the-person\n")
    more = ["--parquet", str(tmp_path / "out.parquet")] if way == "parquet" else []
    before = plain(published, "select count(*) from marts.takings_daily")
    answer = ask(*more, query.format(file=secret))
    assert answer.exit_code == 1, answer.output
    assert "of-the-person" not in answer.output
    assert secret.read_text() == "a,b\n1,of-the-person\n"
    assert [path.name for path in tmp_path.iterdir()] == ["secret.csv"]
    assert plain(published, "select count(*) from marts.takings_daily") == before


@given(text=st.text("selctfrom 1*();'\"-/\n$", max_size=40))
def test_whatever_is_asked_is_answered_or_refused(built_kiosk: Home, text: str) -> None:
    try:
        with asked(built_kiosk.published, text, seconds=5) as answer:
            list(answer.rows)
    except Refused:
        pass


def test_a_query_that_takes_too_long_is_ended(published: Path) -> None:
    endless = "select count(*) from range(100000000) a, range(100000000) b"
    with pytest.raises(Refused, match="took too long"), asked(published, endless, seconds=0.2):
        pass


def test_before_the_first_build_it_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERSONAL_PIPELINE_HOME", str(tmp_path))
    answer = ask("select 1")
    assert answer.exit_code == 1
    assert "`personal-pipeline refresh`" in answer.stderr.replace("\n", " ")


def test_in_a_notebook_it_is_a_frame(published: Path) -> None:
    frame = tables().sql(SUM)
    assert list(frame.columns) == ["product", "pieces"]
    assert len(frame) == 3
    assert "takings_daily" in set(tables().names()["table"])


def test_neither_dagster_nor_dbt_is_imported(published: Path) -> None:
    script = (
        "import sys; from personal_pipeline.cli import main\n"
        "main(['sql', 'select 1'], standalone_mode=False)\n"
        "print(sorted({'dagster', 'dbt', 'pandas', 'altair'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"
