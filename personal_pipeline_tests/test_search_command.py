"""``personal-pipeline search`` as a person uses it."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import unicodedata
from decimal import Decimal

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from personal_pipeline.cli import main
from personal_pipeline.home import Home
from personal_pipeline.search.index import write_search
from personal_pipeline_tests.published_timeline import event, house_of, write_timeline

HOSTILE = "<script>alert(1)</script> [red]x[/] \x1b[31mred\x1b[0m \u202egnp.exe\nnext\x07 hostile"


def ask(*arguments: str, code: int = 0) -> Result:
    done = CliRunner(env={"COLUMNS": "80"}).invoke(main, ["search", *arguments])
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def life(home: Home) -> Home:
    write_timeline(
        home,
        [
            event(
                "2024-06-01 07:30",
                "Morning run",
                kind="activity",
                source="strava",
                detail="10.2 km along the river, with a stop at the old mill and back home again",
                people=["Ben"],
                place="Riverside",
                reference="strava/activities/month=2024-06-01/part.jsonl.gz#42",
            ),
            event("2024-06-02", "A run on the bank", amount=Decimal("-2.40"), currency="EUR"),
            event("2024-07-03", "東京" * 60, detail="run " * 60, kind="a_kind_with_a_long_name"),
            event("2024-08-01", HOSTILE, detail=HOSTILE, text=HOSTILE, by_others=True),
        ],
    )
    write_search(house_of(home))
    return home


def test_a_hit_has_at_most_two_lines_of_80_columns(life: Home) -> None:
    lines = ask("run").stdout.splitlines()
    assert lines[-1] == "3 hits."
    assert len(lines) <= 3 * 2 + 1
    assert max(map(cell_len, lines)) <= 80
    first = next(line for line in lines if line.startswith("2024-06-01"))
    handle = hashlib.md5(b"bank:transaction:2024-06-01 07:30 Morning run").hexdigest()[:8]
    assert first.split() == ["2024-06-01", "activity", "Morning", "run", handle]
    assert ask("run", "--limit", "1").stdout.splitlines()[-1] == (
        "The best 1 of 3 hits; --limit shows more."
    )


def test_words_are_highlighted_on_a_terminal(life: Home) -> None:
    script = (
        "from personal_pipeline import search_command; from rich.console import Console\n"
        "search_command.CONSOLE = Console(force_terminal=True, color_system='standard', width=80)\n"
        "search_command.search(['morning river'])"
    )
    environment = {**os.environ, "PERSONAL_PIPELINE_HOME": str(life.root), "TERM": "xterm"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert "\x1b[1;33mMorning\x1b[0m run" in done.stdout
    assert "\x1b[1;33mriver\x1b[0m" in done.stdout


def test_json_has_an_object_per_line_with_its_raw_record(life: Home) -> None:
    (line,) = ask("--json", "morning").stdout.splitlines()
    found = json.loads(line)
    assert found["title"] == "Morning run"
    assert found["local_at"] == "2024-06-01 07:30:00"
    assert found["reference"] == "strava/activities/month=2024-06-01/part.jsonl.gz#42"
    assert found["people"] == "Ben"
    assert found["by_others"] is False
    (line,) = ask("--json", "bank").stdout.splitlines()
    assert (json.loads(line)["amount"], json.loads(line)["currency"]) == ("-2.40", "EUR")
    assert ask("--json", "nothing-like-it").stdout == ""


@pytest.mark.parametrize(
    ("options", "days"),
    [
        (("--source", "strava"), ["2024-06-01"]),
        (("--kind", "transaction"), ["2024-06-02"]),
        (("--from", "2024-06-02"), ["2024-06-02", "2024-07-03"]),
        (("--to", "2024-06"), ["2024-06-01", "2024-06-02"]),
        (("--from", "2024-06-02", "--to", "2024-06-02"), ["2024-06-02"]),
        (("--from", "2025"), []),
        (("source:strava",), ["2024-06-01"]),
        (("-bank", "-source:strava"), ["2024-07-03"]),
    ],
)
def test_options_choose(life: Home, options: tuple[str, ...], days: list[str]) -> None:
    lines = ask("--json", "run", *options).stdout.splitlines()
    assert sorted(json.loads(line)["local_day"] for line in lines) == days


def test_what_is_near_is_shown_and_said(life: Home) -> None:
    assert ask("mornin").stdout.startswith("Nothing for “mornin”; showing “morning”.\n2024-06-01")
    told = ask("--json", "mornin")
    assert told.stderr.startswith("Nothing for “mornin”")
    assert json.loads(told.stdout)["title"] == "Morning run"
    assert ask("qqqqqqqq").stdout == "Nothing.\n"


def test_hostile_texts_are_shown_escaped(life: Home) -> None:
    shown = ask("hostile").stdout
    assert "<script>alert(1)</script> [red]x[/] \\x1b[31mred" in shown
    for text in (shown, ask("hostile", "--json").stdout, ask("\x1b[31m \u202e nothing").output):
        odd = {char for char in text if unicodedata.category(char) in ("Cc", "Cf")}
        assert odd <= {"\n"}


def test_what_cannot_be_is_said(home: Home) -> None:
    assert "`personal-pipeline refresh`" in ask("x", code=1).stderr.replace("\n", " ")
    assert "2024-06-01, 2024-06 or 2024" in ask("x", "--from", "soon", code=2).stderr
    assert "No such option '--lmit'" in ask("x", "--lmit", "3", code=2).stderr
    home.search.write_bytes(b"no database" * 1000)
    assert "damaged" in ask("x", code=1).stderr


def test_only_sqlite_is_imported(life: Home) -> None:
    heavy = ("dagster", "dbt", "pandas", "duckdb", "numpy", "rapidfuzz", "datasette")
    script = (
        "import sys; from personal_pipeline.cli import main\n"
        "main(['search', 'run'], standalone_mode=False)\n"
        f"print(sorted({set(heavy)!r} & sys.modules.keys()))"
    )
    environment = {**os.environ, "PERSONAL_PIPELINE_HOME": str(life.root)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert "3 hits." in done.stdout
    assert done.stdout.splitlines()[-1] == "[]"
