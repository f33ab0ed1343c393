"""`personal-pipeline new-source`, in a copy of the checkout: what it writes passes as it is.

The source of docs/adding-a-source.md, written by hand, is built there, too.
"""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline.ingest.contract import DropFile, DropRow, Unreadable
from personal_pipeline.ingest.delimited import DELIMITERS
from personal_pipeline.scaffold import Refused, new_source, source_files
from personal_pipeline.scaffold.sample import NoSample, Sample, read_sample
from personal_pipeline_tests.invented_house import lay_project, query
from personal_pipeline_tests.loopback import Answer, in_turn, loopback
from personal_pipeline_tests.test_adding_a_source import EXAMPLE, follow_the_guide

CHECKOUT = Path(__file__).parents[1]
PRIVATE = "Rosalind"
"""Stands in every sample, and must stand in nothing that is written."""

WATER = f"Date,Meter,Litres\n2026-10-01,{PRIVATE},512.4\n2026-11-01,{PRIVATE},519.1\n"
SALES = (
    "\ufeffAccount export\r\n\r\n"
    "Datum;Name;Betrag;Menge;;Notiz;Notiz\r\n"
    f"05.11.2026;{PRIVATE};1.234,50;007;x;a;b\r\n"
    "06.11.2026;Meier;12,50;008;y;;c\r\n"
    "06.11.2026;Meier;12,50;008;y;;c\r\n"
)
WORDS = f"word\tcount\n{PRIVATE}\t3\nother\t3\nother\t3\n"
CAFES = f"Café,Opened\nA,11/28/2025 1:05 PM\n{PRIVATE},12/02/2025 11:05 AM\n"
RIDES = json.dumps(
    {
        "meta": {"page": 1},
        "data": {
            "items": [
                {
                    "id": 9000 + number,
                    "rider": {"name": PRIVATE, "geo": {"lat": 1.5, "lon": None}},
                    "created_at": f"2026-03-0{number}T00:30:00+02:00",
                    "tags": [PRIVATE],
                    "order": number == 1,
                    "it's": 5,
                    "a/b": "x",
                    "seen": "Thu Mar 05 23:30:00 -0100 2026",
                }
                for number in (1, 2)
            ]
        },
    }
)
LISTED = json.dumps([{"title": PRIVATE, "score": 1.5}, {"title": "b", "score": 2, "note": "x"}])
PLAYS = "".join(
    json.dumps({"ts": 1_761_000_000_123 + number, "track": PRIVATE, "order by": None, "on": 10**18})
    + "\n\n"
    for number in range(3)
)

NIGHTS = json.dumps(
    {
        "data": [
            {"id": key, "began": f"2024-03-0{n}T23:00:00-04:00", "by": PRIVATE}
            for n, key in ((1, "a"), (2, "b"))
        ],
        "next_cursor": None,
    }
)
"""An answer of a service."""

SAMPLES: dict[str, tuple[str, bytes]] = {
    "meter": ("meter.csv", WATER.encode()),
    "sales": ("sales.csv", SALES.encode()),
    "words": ("words.tsv", WORDS.encode("utf-16")),
    "cafes": ("cafes.csv", CAFES.encode("cp1252")),
    "rides": ("rides.json", RIDES.encode()),
    "listed": ("listed.json", LISTED.encode("utf-8-sig")),
    "plays": ("plays.jsonl", PLAYS.encode()),
    "nights": ("nights.json", NIGHTS.encode()),
}
"""A file and its name for each source: with a title above the header, doubled and blank names, days
and numbers of other countries, names that are words of SQL, objects within objects, equal records,
no time, no key."""


def sample_of(folder: Path, name: str) -> Sample:
    file_name, content = SAMPLES[name]
    path = folder / file_name
    path.write_bytes(content)
    return read_sample(path)


@pytest.mark.parametrize(
    ("name", "format_", "key", "time"),
    [
        ("meter", "csv", ("Date", "Meter"), "Date"),
        ("sales", "csv", (), "Datum"),
        ("words", "csv", (), None),
        ("cafes", "csv", ("Opened",), "Opened"),
        ("rides", "json", ("id",), "created_at"),
        ("listed", "json", (), None),
        ("plays", "json lines", ("ts",), "ts"),
    ],
)
def test_what_is_guessed_of_a_sample(
    tmp_path: Path, name: str, format_: str, key: tuple[str, ...], time: str | None
) -> None:
    sample = sample_of(tmp_path, name)
    assert (sample.format, sample.key) == (format_, key)
    assert (sample.time.label if sample.time else None) == time


def test_names_and_types_of_columns(tmp_path: Path) -> None:
    rides = {each.name: each.kind for each in sample_of(tmp_path, "rides").columns}
    assert rides == {
        "id": "bigint",
        "rider_name": "text",
        "rider_geo_lat": "double",
        "rider_geo_lon": "text",
        "created_at": "iso instant",
        "tags": "json",
        "order_value": "boolean",
        "it_s": "bigint",
        "a_b": "text",
        "seen": "instant",
    }
    # no floating-point number keeps 19 digits
    assert [(each.name, each.kind) for each in sample_of(tmp_path, "plays").columns][2:] == [
        ("order_by", "text"),
        ("on_value", "text"),
    ]
    sales = sample_of(tmp_path, "sales")
    # a number that begins with zeros is no number
    assert [each.kind for each in sales.columns[2:4]] == ["decimal comma", "text"]
    assert [each.name for each in sales.columns[4:]] == ["column_5", "notiz", "notiz_2"]
    assert sales.required == ("Datum", "Name", "Betrag", "Menge", "Notiz")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "It is empty"),
        (b"PK\x03\x04\x00\x00", "It is binary"),
        (b"one line of words\n", "at least two cells"),
        (b"2026-01-01,3\n2026-01-02,4\n", "Its first row has values"),
        (b'{"a": [1, 2', "incomplete"),
        (b"[1, 2]", "no readable record"),
        (b'[{"a{{b": 1}]', "contains a brace"),
        (b'[{"a": 1}, {"b": 1}]', "no field in common"),
    ],
)
def test_a_file_of_which_nothing_can_be_guessed(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    path = tmp_path / "sample"
    path.write_bytes(content)
    with pytest.raises(NoSample, match=sentence):
        read_sample(path)


NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=9) | (
    st.sampled_from(
        ["id", "date", "select", "month", "it's", "/a", "$b", "<<c>>", "<% if %>", "None"]
    )
)
VALUES = st.text(max_size=6) | st.sampled_from(
    [
        "1",
        "2.5",
        "1,5",
        "007",
        "true",
        "2026-01-02",
        "2026-01-02T03:04:05Z",
        "03.04.2026",
        "5 Mar 2026",
    ]
)
OBJECTS = st.dictionaries(
    NAMES, VALUES | st.none() | st.integers(0, 10**13) | st.dictionaries(NAMES, VALUES, max_size=2)
)


@st.composite
def samples(draw: st.DrawFn) -> bytes:
    """Samples in each format, with names and values of any kind."""
    if draw(st.booleans()):
        records = draw(st.lists(OBJECTS, min_size=1, max_size=3))
        end = draw(st.sampled_from(["", "\n"]))
        return (
            "".join(json.dumps(each) + end for each in records) if end else json.dumps(records)
        ).encode()
    width = draw(st.integers(2, 4))
    text = io.StringIO()
    table = csv.writer(text, delimiter=draw(st.sampled_from(DELIMITERS)))
    table.writerow(draw(st.lists(NAMES, min_size=width, max_size=width)))
    row = st.lists(VALUES, min_size=width, max_size=width)
    table.writerows(draw(st.lists(row, min_size=1, max_size=3)))
    return text.getvalue().encode(draw(st.sampled_from(["utf-8-sig", "utf-16"])))


@given(samples())
def test_whatever_the_sample_the_module_reads_it_and_the_invented_file(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample"
        path.write_bytes(content)
        try:
            sample = read_sample(path)
        except NoSample:
            return
        files = source_files("thing", sample)
        module: dict[str, Any] = {}
        exec(files["personal_pipeline/sources/thing.py"], module)
        compile(files["personal_pipeline_tests/sources/test_thing.py"], "test", "exec")
        invented = next(text for name, text in files.items() if "_samples/" in name)
        file = DropFile(path, path.name, datetime(2026, 4, 2, tzinfo=UTC))
        assert module["recognise"](file)
        keys = [each.key for each in module["read"](file) if isinstance(each, DropRow)]
        assert len(set(keys)) == len(keys)
        path.write_bytes(invented.encode(sample.encoding))
        assert module["recognise"](file)
        kinds = [type(each) for each in module["read"](file)]
        assert kinds == [DropRow, DropRow, DropRow, Unreadable]


# ------------------------------------------------------------------------ in a copy of the checkout


USED = """
import inspect
import json
import sys
from pathlib import Path
from personal_pipeline.cli import main
from personal_pipeline_tests.sql import test_project

manifest_path, *files = sys.argv[1:]
for words in (["add", *files], ["refresh"], ["status", "water"]):
    print(f"{words[0]}:")
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, words

manifest = json.loads(Path(manifest_path).read_bytes())
checks = [
    check
    for name, check in inspect.getmembers(test_project, inspect.isfunction)
    if name.startswith("test_")
    and list(inspect.signature(check).parameters) in (["manifest"], ["described"])
]
assert len(checks) > 5
for check in checks:
    check(manifest)
"""
"""A file of each comes home, in one process; then what the tests of the SQL project demand of every
source, without what needs all tables built."""


NEW_SOURCES = """
import sys
from personal_pipeline.cli import main

for name, sample in zip(sys.argv[1::2], sys.argv[2::2]):
    api = ["--api"] * (name == "nights")
    main(["new-source", name, "--from", sample, *api], standalone_mode=False)
"""
"""One process for all samples."""


@dataclass(frozen=True)
class Copy:
    """A copy of the checkout with sources that were written into it."""

    project: Path
    samples: Path
    home: Path

    def run(self, *arguments: str, code: int = 0) -> str:
        """What Python prints that runs a module, or ``-c`` a text."""
        how = arguments if arguments[0] == "-c" else ("-m", *arguments)
        done = subprocess.run(
            [sys.executable, *how],
            cwd=self.project,
            env={
                **os.environ,
                "PYTHONPATH": str(self.project),
                "PERSONAL_PIPELINE_HOME": str(self.home),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def new_sources(self, *names: str, code: int = 0) -> str:
        words = [word for name in names for word in (name, str(self.samples / SAMPLES[name][0]))]
        return self.run("-c", NEW_SOURCES, *words, code=code)


@pytest.fixture(scope="module")
def copy(parsed: Path, tmp_path_factory: pytest.TempPathFactory) -> Copy:
    folder = tmp_path_factory.mktemp("new_source")
    project, samples = folder / "project", folder / "samples"
    ignored = shutil.ignore_patterns("__pycache__", "target", "logs")
    for name in ("personal_pipeline", "personal_pipeline_tests", "sql", "docs"):
        shutil.copytree(CHECKOUT / name, project / name, ignore=ignored)
    for name in ("pyproject.toml", "requirements.lock", ".env.example", "README.md"):
        shutil.copy(CHECKOUT / name, project)
    samples.mkdir()
    for file_name, content in SAMPLES.values():
        (samples / file_name).write_bytes(content)
    # dbt parses only what is new
    made = Copy(project, samples, lay_project(parsed, folder / "home").root)
    made.new_sources(*SAMPLES)
    return made


def written_files(copy: Copy) -> list[Path]:
    return [
        path
        for path in copy.project.rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and not (CHECKOUT / path.relative_to(copy.project)).exists()
    ]


@pytest.mark.slow
def test_what_is_written_holds_no_value_of_the_sample(copy: Copy) -> None:
    files = written_files(copy)
    assert len(files) == 6 * len(SAMPLES)
    for path in files:
        text = path.read_bytes()
        for encoding in ("utf-8", "utf-16-le"):
            assert PRIVATE.encode(encoding) not in text, path.name


@pytest.mark.slow
def test_what_is_written_passes_lint_types_and_tests(copy: Copy) -> None:
    code = [
        folder.format(name)
        for name in SAMPLES
        for folder in (
            "personal_pipeline/sources/{}.py",
            "personal_pipeline_tests/sources/test_{}.py",
        )
    ]
    code.append("personal_pipeline/sources/__init__.py")
    copy.run("ruff", "check", *code)
    copy.run("ruff", "format", "--check", *code)
    # what `make types` has found out of the rest of the project need not be found out again
    cache = copy.home.parent / "mypy"
    with suppress(shutil.Error, FileNotFoundError):
        # beside a mypy that is at work, a file of its cache may go while it is copied
        shutil.copytree(CHECKOUT / ".mypy_cache", cache)
    copy.run("mypy", "--cache-dir", str(cache), *code)
    tests = [each for each in code if "test_" in each]
    documents = "personal_pipeline_tests/test_documents.py"
    pages = [
        f"{documents}::{name}"
        for name in (
            "test_a_source_has_a_page_that_names_its_settings_and_streams",
            "test_a_page_in_docs_sources_has_its_source",
            "test_the_pages_of_settings_say_what_is_declared",
            "test_the_example_of_settings_changes_none",
        )
    ]
    copy.run("pytest", "-q", "-p", "no:cacheprovider", *tests, *pages)


@pytest.fixture(scope="module")
def used(copy: Copy) -> Copy:
    """The same with the source of the guide, after a file of each came home."""
    project = copy.project.with_name("used")
    shutil.copytree(copy.project, project, ignore=shutil.ignore_patterns("__pycache__"))
    follow_the_guide(project)
    made = replace(copy, project=project)
    assert EXAMPLE is not None
    (copy.samples / "readings.csv").write_text(f"{EXAMPLE[1]}first of January,cellar,520\n")
    names = [name for name in SAMPLES if name != "nights"]
    files = ["readings.csv", *(SAMPLES[name][0] for name in names)]
    with loopback(in_turn(Answer(NIGHTS.encode()))) as server, pytest.MonkeyPatch.context() as set_:
        set_.setenv("PERSONAL_PIPELINE_START", "2024-01-01")
        set_.setenv("NIGHTS_TOKEN", "n-1")
        set_.setenv("NIGHTS_API_BASE", server.base)
        said = made.run(
            *("-c", USED, str(made.home / "dbt" / "manifest.json")),
            *(str(made.samples / each) for each in files),
        )
    assert all(name in said.partition("refresh:")[0] for name in ("water", *names))
    assert "readings" in said.partition("status:")[2]
    return made


@pytest.mark.slow
def test_who_follows_the_guide_finds_the_reading_in_the_table(used: Copy) -> None:
    assert query(
        used.home / "published" / "warehouse.duckdb",
        "select meter, day::varchar, cubic_metres from staging.stg_water__readings order by day",
    ) == [
        ("cellar", "2026-10-01", Decimal("512.400")),
        ("cellar", "2026-11-01", Decimal("519.100")),
    ]


@pytest.mark.slow
def test_the_sample_comes_home_into_its_table(used: Copy) -> None:
    warehouse = used.home / "published" / "warehouse.duckdb"

    def rows(columns: str, name: str) -> list[tuple[object, ...]]:
        return query(warehouse, f"select {columns} from staging.stg_{name}__records order by all")

    manifest = json.loads((used.home / "dbt" / "manifest.json").read_bytes())
    for name in SAMPLES:
        model = manifest["nodes"][f"model.personal_pipeline.stg_{name}__records"]
        declared = {column["name"]: column["data_type"] for column in model["columns"].values()}
        assert declared == dict(
            query(
                warehouse,
                "select column_name, lower(data_type) from information_schema.columns"
                " where table_schema = 'staging' and table_name = ?",
                model["name"],
            )
        )
    assert rows("month, date, meter, litres", "meter") == [
        (date(2026, 10, 1), date(2026, 10, 1), PRIVATE, 512.4),
        (date(2026, 11, 1), date(2026, 11, 1), PRIVATE, 519.1),
    ]
    # two equal sales are two sales
    assert rows("datum, betrag, menge", "sales") == [
        (date(2026, 11, 5), 1234.5, "007"),
        (date(2026, 11, 6), 12.5, "008"),
        (date(2026, 11, 6), 12.5, "008"),
    ]
    assert rows("word, count", "words") == [(PRIVATE, 3), ("other", 3), ("other", 3)]
    assert rows("month, cafe, opened", "cafes") == [
        (date(2025, 11, 1), "A", datetime(2025, 11, 28, 13, 5)),  # noqa: DTZ001
        (date(2025, 12, 1), PRIVATE, datetime(2025, 12, 2, 11, 5)),  # noqa: DTZ001
    ]
    # half past midnight of the second hour east is still the day before
    assert rows("month, id, rider_name, created_at::varchar, a_b, it_s, seen::varchar", "rides")[
        0
    ] == (
        date(2026, 2, 1), 9001, PRIVATE, "2026-02-28 22:30:00", "x", 5, "2026-03-06 00:30:00",
    )  # fmt: skip
    assert rows("title, score, note", "listed") == [(PRIVATE, 1.5, None), ("b", 2.0, "x")]
    assert len(rows("ts, track", "plays")) == 3
    assert rows("month, day, id, by_value, began::varchar", "nights") == [
        (date(2024, 3, 1), date(2024, 3, 2), "a", PRIVATE, "2024-03-02 03:00:00"),
        (date(2024, 3, 1), date(2024, 3, 3), "b", PRIVATE, "2024-03-03 03:00:00"),
    ]


@pytest.mark.slow
def test_nothing_is_overwritten(copy: Copy) -> None:
    before = {path: path.read_bytes() for path in written_files(copy)}
    assert "already exists; nothing was written." in copy.new_sources("meter", code=1)
    assert {path: path.read_bytes() for path in written_files(copy)} == before


@pytest.mark.parametrize("answer", [
    [{"id": 1, "at": "2026-10-01"}, {"id": 2, "at": "2026-10-02"}],
    {"data": [{"id": 1, "at": "2026-10-01"}]},
    {"data": [{"id": 1}, {"id": 2}]},
])  # fmt: skip
def test_an_answer_without_a_list_a_key_or_a_time(tmp_path: Path, answer: object) -> None:
    sample = tmp_path / "answer.json"
    sample.write_text(json.dumps(answer))
    with pytest.raises(Refused, match="Expected an answer in JSON"):
        new_source("nights", sample, api=True)


@pytest.mark.parametrize("name", ["Water", "9lives", "with-dash", "import", "x", "../water"])
def test_a_name_that_no_module_can_have(tmp_path: Path, name: str) -> None:
    sample = tmp_path / "water.csv"
    sample.write_text(WATER)
    with pytest.raises(Refused, match="cannot be the name"):
        new_source(name, sample)


def test_a_bank_is_there_already(tmp_path: Path) -> None:
    sample = tmp_path / "water.csv"
    sample.write_text(WATER)
    with pytest.raises(Refused, match="already exists"):
        new_source("bank", sample)
