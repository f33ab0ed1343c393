"""A home with a hundred streams over ten years: ten fetched by day and ninety dropped by month,
beside the built-in sources, which are empty.

    python -m benchmarks.hundred_streams --checkout . --idle 10

The checkout to be measured is copied, and the copy gets a module with the streams, one staging
model per stream, and a few marts over them, so the same home can measure any version of the code.
Its lake is written by the lake's own writer. CPU time is reported, because other programs affect it
least.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks import measured
from benchmarks.measured import show_table

HERE = Path(__file__).parents[1]
COPIED = ("benchmarks", "personal_pipeline", "sql", "pyproject.toml", "workspace.yaml")
FETCHED, DROPPED = 10, 90
A_DAY, A_MONTH = 5, 30
"""Rows of a partition."""

MODULE = '''
"""A hundred invented streams."""

from datetime import date

from personal_pipeline.ingest.contract import ApiStream, Drop, DropStream, Source
from personal_pipeline.ingest import contract
from personal_pipeline.ingest.http import Client

GRAIN = {{"grain": contract.Grain.DAY}} if "grain" in ApiStream.__dataclass_fields__ else {{}}


def record(stream, day, number, amount=0):
    return {{
        "id": f"{{stream}}-{{day}}-{{number}}", "day": str(day), "amount": number + amount,
        "currency": "usd", "status": "succeeded", "description": f"Number {{number}} of {{day}}",
    }}


def fetch(stream):
    def answer(client, window):
        for day in window.days():
            if day <= date.today():
                yield from (record(stream, day, number) for number in range({a_day}))
    return answer


def client(settings):
    return Client("hundred", "http://127.0.0.1:9", per_second=1000, refused="")


HUNDRED = (
    Source(
        name="fetched", title="Fetched", description="Invented.", client=client,
        api=tuple(
            ApiStream(
                name=f"stream_{{n:02}}", description="One row a thing.", fetch=fetch(n),
                key=lambda record: record["id"],
                days=lambda record: (date.fromisoformat(record["day"]),), **GRAIN,
            )
            for n in range({fetched})
        ),
    ),
    *(
        Source(
            name=f"dropped_{{s}}", title=f"Dropped {{s}}", description="Invented.",
            drops=(
                Drop(
                    name="export", description="an export", how_to="Export it.",
                    recognise=lambda file: None, read=lambda file: iter(()),
                    streams=tuple(
                        DropStream(name=f"stream_{{n:02}}", description="One row a thing.")
                        for n in range({each})
                    ),
                ),
            ),
        )
        for s in range({dropped} // {each})
    ),
)
'''
EACH = 10

STAGING = """
with records as (
    select * from {{{{ {macro}('{source}', '{stream}') }}}}
    where {{{{ partition_window('{grain}') }}}}
)

select
    {columns},
    key as record_key,
    lake_file,
    record ->> 'description' as description,
    try_cast(record ->> 'amount' as bigint) as amount
from records
"""


def copy_of(checkout: Path, place: Path) -> None:
    """Copy the checkout without data, and add the hundred streams."""
    place.mkdir(parents=True)
    for name in COPIED:
        if (checkout / name).is_dir():
            shutil.copytree(checkout / name, place / name, ignore=shutil.ignore_patterns("target"))
        else:
            shutil.copyfile(checkout / name, place / name)
    for module in (__file__, measured.__file__):
        shutil.copyfile(module, place / "benchmarks" / Path(module).name)
    numbers = {"fetched": FETCHED, "dropped": DROPPED, "each": EACH, "a_day": A_DAY}
    sources = place / "personal_pipeline" / "sources"
    (sources / "hundred.py").write_text(MODULE.format(**numbers))
    with (sources / "__init__.py").open("a") as listing:
        listing.write("\nfrom personal_pipeline.sources.hundred import HUNDRED\n")
        listing.write("\nSOURCES = (*SOURCES, *HUNDRED)\n")
    write_models(place / "sql")


def write_models(sql: Path) -> None:
    """Write a staging model per stream, and two daily and two monthly marts of ten streams each."""
    by_month = "macro lake_days" in (sql / "macros" / "lake.sql").read_text()
    days = {"macro": "lake_days", "grain": "month", "columns": "month,\n    day"}
    if not by_month:
        days = {"macro": "lake", "grain": "day", "columns": "day"}
    months = {"macro": "lake", "grain": "month", "columns": "month"}
    streams = [(f"stream_{n:02}") for n in range(EACH)]
    kinds = {"fetched": ("day", days)}
    kinds |= {f"dropped_{n}": ("month", months) for n in range(DROPPED // EACH)}
    for source, (grain, words) in kinds.items():
        folder = sql / "models" / "staging" / source
        folder.mkdir(parents=True)
        tables = [described(stream, {"grain": grain}) for stream in streams]
        models = []
        for stream in streams:
            name = f"stg_{source}__{stream}"
            columns = {"description": "varchar", "amount": "bigint"}
            if "day" in words["columns"]:
                columns["day"] = "date"
            meta = {"grain": words["grain"], "owner": "team:owner"}
            models.append(described(name, meta, columns))
            text = STAGING.format(source=source, stream=stream, **words)
            (folder / f"{name}.sql").write_text(text)
        of = described(source, {"owner": "team:owner"}) | {"schema": "lake", "tables": tables}
        # JSON is YAML; a later version derives these from the sources
        if not (sql.parent / "personal_pipeline" / "warehouse" / "descriptions.py").exists():
            (folder / "_sources.yml").write_text(json.dumps({"sources": [of]}))
        (folder / "_models.yml").write_text(json.dumps({"models": models}))
    folder = sql / "models" / "marts" / "hundred"
    folder.mkdir()
    marts = []
    for name, source, grain in (
        ("amounts_daily", "fetched", "day"),
        ("counts_daily", "fetched", "day"),
        ("amounts_monthly", "dropped_0", "month"),
        ("counts_monthly", "dropped_1", "month"),
    ):
        parts = "\n    union all\n    ".join(
            f"select {grain}, amount from {{{{ ref('stg_{source}__{stream}') }}}}"
            for stream in streams
        )
        text = f"select {grain}, count(*) as count, sum(amount) as amount\nfrom (\n    {parts}\n)\n"
        text += f"where {{{{ partition_window('{grain}') }}}}\ngroup by {grain}\n"
        (folder / f"{name}.sql").write_text(text)
        columns = {grain: "date", "count": "bigint", "amount": "hugeint"}
        marts.append(described(name, {"grain": grain, "owner": "team:owner"}, columns))
    (folder / "_models.yml").write_text(json.dumps({"models": marts}))


def described(
    name: str, meta: dict[str, str], columns: Mapping[str, str] | None = None
) -> dict[str, object]:
    """The description of a table for dbt; ``columns`` are the types of those that it creates."""
    config: dict[str, object] = {"meta": meta}
    if len(meta) == 2:
        config["tags"] = [meta["grain"]]
    typed = [
        {"name": column, "data_type": kind, "description": "Invented."}
        for column, kind in (columns or {}).items()
    ]
    return {"name": name, "description": "Invented.", "config": config, "columns": typed}


# ------------------------------------------------------------------- inside the copy, by its code


def fill(home_folder: Path, years: int) -> None:
    """Write the lake, and record all of it as fetched."""
    from personal_pipeline.home import Home
    from personal_pipeline.ingest import lake as lakes
    from personal_pipeline.ingest.contract import ApiStream, Window
    from personal_pipeline.ingest.memory import StreamMemory, remember
    from personal_pipeline.sources.hundred import HUNDRED, record  # type: ignore[import-not-found]

    # a home made for a measurement need not survive a power failure
    os.fsync = lambda fd: None
    home, now = Home(home_folder).ensure(), datetime.now(UTC)
    today = now.date()
    first = today.replace(year=today.year - years, day=1)
    window = Window(first, today + timedelta(days=1))
    for source in HUNDRED:
        for number, stream in enumerate(source.streams):
            lake = lakes.lake_of(home, source.name, stream)
            fetched = isinstance(stream, ApiStream)
            days = [day for day in window.days() if fetched or day.day == 1]
            for day in days:
                records = [record(number, day, n) for n in range(A_DAY if fetched else A_MONTH)]
                lake.write(day, [lakes.Row(each["id"], each) for each in records])
            lake.versions()
            if fetched:
                settled = (Window(first, today - timedelta(days=3)),)
                memory = StreamMemory(now, now, beginning=first, settled=settled, asked_until=now)
                remember(home, source.name, stream.name, memory)


def change(home_folder: Path, source_name: str, back: int) -> None:
    """Change a row in an old partition of a source's first stream."""
    from dataclasses import replace

    from personal_pipeline.home import Home
    from personal_pipeline.ingest.lake import lake_of
    from personal_pipeline.sources.hundred import HUNDRED

    source = next(each for each in HUNDRED if each.name == source_name)
    lake = lake_of(Home(home_folder), source.name, source.streams[0])
    partition = lake.partitions()[-back:][0]
    first, *others = lake.read(partition).values()
    lake.write(partition, [replace(first, record={**first.record, "amount": 4711}), *others])


def looks(home_folder: Path) -> None:
    """Print the CPU seconds of every check as JSON: of its second run, with everything cached."""
    from personal_pipeline.board import board_of
    from personal_pipeline.home import Home
    from personal_pipeline.house import House
    from personal_pipeline.ingest.lake import lake_of
    from personal_pipeline.settings import load_settings
    from personal_pipeline.sources import SOURCES
    from personal_pipeline.warehouse import build, reconcile, store

    home = Home(home_folder)
    house = House(load_settings(), home, SOURCES)
    lakes = [lake_of(home, source.name, each) for source in SOURCES for each in source.streams]

    def versions() -> dict[str, dict[str, str]]:
        # not with a function of the house: it has been in several modules
        return {
            f"{each.source}/{each.stream}": {
                partition.isoformat(): version.digest
                for partition, version in each.versions().items()
            }
            for each in lakes
        }

    def stale() -> None:
        with duckdb.connect(str(home.published), read_only=True) as opened:
            ledger = store.read_ledger(opened)
        tables = build.all_tables(house)
        reconcile.find_stale(tables, versions(), ledger, house.today)

    actions: dict[str, Callable[[], object]] = {
        "StreamLake.versions() of all": lambda: [each.versions() for each in lakes],
        "StreamLake.partitions() of all": lambda: [each.partitions() for each in lakes],
        "the board": lambda: board_of(house),
        "what is stale, the ledger read too": stale,
    }
    found = {}
    for name, action in actions.items():
        for _ in range(2):
            begun = time.process_time()
            action()
            found[name] = time.process_time() - begun
    print(json.dumps(found))


# ----------------------------------------------------------------------------------- the measuring


class Copy:
    """The copy of a checkout, and the home that it runs over."""

    def __init__(self, place: Path, home: Path) -> None:
        self.place, self.home = place, home
        self.environment = {
            **os.environ,
            "PYTHONPATH": str(place),
            "PERSONAL_PIPELINE_HOME": str(home),
            "PERSONAL_PIPELINE_PORT": "3977",
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process that runs the copy's code."""
        command = [sys.executable, "-P", "-m", *arguments]
        return subprocess.Popen(
            command,
            cwd=self.place,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str) -> tuple[float, float, bytes]:
        """CPU seconds of a process and its children, the peak memory (MB) of the largest, and its
        output."""
        process = self.start(*arguments)
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(
                f"{arguments} ended with {process.returncode}: {said.decode()[-2000:]}"
            )
        return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, said

    def inside(self, step: str, *arguments: str) -> bytes:
        """Run a step of this module with the copy's code, and return its output."""
        home = str(self.home)
        return self.run("benchmarks.hundred_streams", "--inside", step, home, *arguments)[2]


def storage_bytes(home: Path) -> int:
    """Size of Dagster's storage."""
    return sum(path.stat().st_size for path in (home / "dagster").rglob("*") if path.is_file())


def measure(copy: Copy, years: int, minutes: float) -> None:
    """Fill a home, and measure what the copy does with it."""
    copy.inside("fill", str(years))
    files = sum(1 for _ in copy.home.glob("lake/*/*/*/part*"))
    passes: list[list[str]] = []

    def refresh(what: str) -> None:
        seconds, memory, _ = copy.run("personal_pipeline.cli", "refresh")
        passes.append([what, f"{seconds:.1f}", f"{memory:.0f}"])

    refresh("first, everything is built")
    told = storage_bytes(copy.home)
    refresh("nothing new")
    refresh("nothing new, again")
    copy.inside("change", "dropped_0", "20")
    refresh("one changed month, with the report")
    copy.inside("change", "fetched", "400")
    refresh("one changed day, with the report")
    title = f"refresh, {FETCHED + DROPPED} streams, {years} years, {files:,} lake files"
    show_table(title, ("s of a core", "MB"), passes)
    found = json.loads(copy.inside("looks").splitlines()[-1])
    show_table("Looks", ("s of a core",), [[name, f"{spent:.2f}"] for name, spent in found.items()])
    index = copy.home / "dagster" / "history" / "runs" / "index.db"
    rows = [
        ["after everything was told", f"{told / 1e6:,.0f}"],
        ["of it the index", f"{index.stat().st_size / 1e6:,.0f}"],
        ["after the passes above", f"{storage_bytes(copy.home) / 1e6:,.0f}"],
    ]
    show_table("Dagster's storage", ("MB",), rows)
    if minutes:
        # not in the copy, whose version may lack it
        from benchmarks.idle import compare

        compare(copy.place, copy.home, minutes)


def main() -> None:
    """Copy, fill and measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkout", type=Path, default=HERE, help="which version to measure")
    parser.add_argument("--years", type=int, default=10)
    parser.add_argument("--idle", type=float, default=0, help="minutes of watching `up`; 0: none")
    parser.add_argument("--folder", type=Path, help="where the home is made; kept, if given")
    parser.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.inside:
        step, home, *more = given.inside
        if step == "fill":
            fill(Path(home), int(more[0]))
        elif step == "change":
            change(Path(home), more[0], int(more[1]))
        else:
            looks(Path(home))
        return
    with TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        copy_of(given.checkout.resolve(), folder / "checkout")
        measure(Copy(folder / "checkout", folder / "home"), given.years, given.idle)


if __name__ == "__main__":
    main()
