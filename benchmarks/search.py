"""Search over 1,000,000 events: the index from nothing and after a change, and what a search takes.

The events are invented: two thirds are transactions and messages, some are photos, activities and
notes of up to 60 words, and a tenth of the messages is Chinese. Words are drawn by Zipf's law from
200,000. With ``--against`` the executable of dogsheep-beta, installed in an environment of its own,
indexes the same texts, and its index answers the same words.

Decision: docs/decisions/0029-search.md.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np

from benchmarks.measured import show_table
from personal_pipeline.home import Home
from personal_pipeline.house import House
from personal_pipeline.search.finding import found
from personal_pipeline.search.index import write_search
from personal_pipeline.search.question import parsed
from personal_pipeline.settings import load_settings
from personal_pipeline.warehouse.store import LEDGER

EVENTS = 1_000_000
VOCABULARY = 200_000
YEARS = 10
QUESTIONS = 2_000
CHUNK = 50_000

# source, kind, share, and the least and most words of title, detail and text
SHAPES = (
    ("bank", "transaction", 0.40, (2, 3), (3, 6), (0, 0)),
    ("chat", "message", 0.30, (2, 2), (0, 0), (3, 20)),
    ("photos", "photo", 0.15, (1, 4), (0, 3), (0, 0)),
    ("strava", "activity", 0.06, (2, 4), (2, 5), (0, 0)),
    ("calendar", "meeting", 0.06, (2, 6), (0, 8), (0, 0)),
    ("notes", "note", 0.03, (2, 6), (0, 0), (10, 60)),
)
SIGNS = "的一是不了人我在有他这中大来上国到说们为子和你地出道也时年得就那要下以生会"

MIX = {
    "one word, drawn by frequency": 0.40,
    "two words": 0.15,
    "a phrase of two words": 0.10,
    "a word with source: and after:": 0.15,
    "a beginning of 2 to 4 letters": 0.10,
    "two Chinese signs": 0.10,
}


def vocabulary(rng: np.random.Generator) -> list[str]:
    """Invented words, the short ones first as in real languages."""
    parts = [a + b for a in "bdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "an", "er", "st")]
    words: dict[str, None] = {}
    for length in (1, 2, 3, 4):
        drawn = rng.integers(0, len(parts), (VOCABULARY, length))
        words.update(dict.fromkeys("".join(parts[each] for each in row) for row in drawn))
    return list(words)[:VOCABULARY]


class Words:
    """Texts of words by Zipf's law."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.words = vocabulary(rng)
        share = 1 / np.arange(1, len(self.words) + 1)
        self._sums = np.cumsum(share / share.sum())

    def some(self, count: int) -> list[str]:
        """So many words by their frequency."""
        places = np.searchsorted(self._sums, self.rng.random(count))
        return [self.words[min(each, len(self.words) - 1)] for each in places]

    def texts(self, count: int, least: int, most: int) -> list[str | None]:
        """So many texts of so many words; None if empty."""
        lengths = self.rng.integers(least, most + 1, count)
        words = iter(self.some(int(lengths.sum())))
        return [" ".join(next(words) for _ in range(length)) or None for length in lengths]

    def chinese(self, count: int) -> list[str | None]:
        """So many sentences without spaces."""
        return ["".join(self.rng.choice(list(SIGNS), 12)) for _ in range(count)]


def publish(home: Home, events: int, words: Words) -> None:
    """Write the published tables with a timeline in the order of its months."""
    with duckdb.connect(str(home.published)) as opened:
        opened.execute(LEDGER)
        opened.execute("create schema marts")
        opened.execute("select setseed(0.7)")
        opened.execute(
            "create table drawn (source varchar, kind varchar, title varchar, detail varchar, "
            "text varchar)"
        )
        for source, kind, share, title, detail, text in SHAPES:
            left = int(events * share)
            while left > 0:
                count = min(left, CHUNK)
                left -= count
                texts = words.texts(count, *text)
                if kind == "message":
                    texts[::10] = words.chinese(len(texts[::10]))
                opened.execute(
                    "insert into drawn select ?, ?, coalesce(unnest(?::varchar[]), 'untitled'), "
                    "unnest(?::varchar[]), unnest(?::varchar[])",
                    [source, kind, words.texts(count, *title), words.texts(count, *detail), texts],
                )
        opened.execute(
            f"""
            create table marts.timeline as
            select
                date_trunc('month', moment)::date as month, source || ':' || kind || ':' || number
                as event_id, source, kind, moment as start_at, null::timestamp as end_at,
                'Europe/Berlin' as zone, 'home' as zone_origin, moment as local_at,
                moment::date as local_day, title, detail, null::varchar as address,
                if(kind = 'message', [title], null) as people,
                if(kind = 'photo', 'Berlin', null) as place,
                if(kind = 'transaction', -(number % 10000) / 100, null)::decimal(18, 2) as amount,
                if(kind = 'transaction', 'EUR', null) as currency, text,
                kind = 'message' as by_others,
                source || '/' || kind || '/month=2026-10-01/part.jsonl.gz#' || number as reference
            from (
                select *, row_number() over () as number, timestamp '2016-01-01'
                    + to_seconds((random() * {YEARS * 365 * 86400})::bigint) as moment
                from drawn
            )
            order by month, source
            """
        )
        opened.execute("drop table drawn")
        note(opened)


def note(opened: duckdb.DuckDBPyConnection) -> None:
    """Have the ledger say that every month is as it is."""
    opened.execute("delete from pipeline.ledger")
    opened.execute(
        "insert into pipeline.ledger by name select 'marts/timeline' as asset, "
        "month::varchar as partition, count(*) as row_count, sum(hash(content))::varchar as digest,"
        " '{}' as inputs, '1' as code_version, now()::timestamp as built_at "
        "from marts.timeline as content group by month"
    )


def change(home: Home, what: str) -> None:
    """Change rows of the published timeline in one month."""
    with duckdb.connect(str(home.published)) as opened:
        opened.execute(f"update marts.timeline set {what}")
        note(opened)


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of wall clock, and of CPU time of this process and its children."""

    seconds: float
    cpu: float


def cost_of(action: Callable[[], object]) -> Cost:
    """What one call takes."""
    started, before = time.perf_counter(), _cpu()
    action()
    return Cost(time.perf_counter() - started, _cpu() - before)


def _cpu() -> float:
    children = os.times()
    return time.process_time() + children.children_user + children.children_system


# ---------------------------------------------------------------------------------- the baselines

TEXTS = "title, coalesce(detail, '') || ' ' || coalesce(text, '')"


def fts5_alone(home: Home, folder: Path) -> Cost:
    """What it takes to put the texts, read before, into FTS5 without prefixes or anything."""
    with duckdb.connect(str(home.published), read_only=True) as opened:
        rows = opened.execute(
            "select row_number() over (), title, detail, place, text from marts.timeline"
        ).fetchall()
    with closing(sqlite3.connect(folder / "alone.sqlite", isolation_level=None)) as alone:
        alone.execute("pragma synchronous = off")
        alone.execute(
            "create virtual table words using fts5 (title, detail, place, text, content = '', "
            "tokenize = 'unicode61 remove_diacritics 2')"
        )

        def write() -> None:
            alone.execute("begin")
            alone.executemany(
                "insert into words (rowid, title, detail, place, text) values (?, ?, ?, ?, ?)", rows
            )
            alone.execute("commit")

        return cost_of(write)


def dogsheep_beta(program: str, home: Home, folder: Path) -> tuple[Cost, Path]:
    """What dogsheep-beta takes to index the texts from SQLite, and its index."""
    source = folder / "events.sqlite"
    with (
        duckdb.connect(str(home.published), read_only=True) as opened,
        closing(sqlite3.connect(source)) as events,
    ):
        events.execute("create table events (key, day, title, text)")
        rows = opened.execute(f"select event_id, local_day::varchar, {TEXTS} from marts.timeline")
        while some := rows.fetchmany(10_000):
            events.executemany("insert into events values (?, ?, ?, ?)", some)
        events.commit()
    rules = folder / "rules.yml"
    rules.write_text(
        f"{source}:\n  event:\n    sql: |-\n      select key, title, day as timestamp, "
        "text as search_1 from events\n"
    )
    index = folder / "dogsheep.sqlite"
    command = [program, "index", str(index), str(rules), "--tokenize", "none"]
    return cost_of(lambda: subprocess.run(command, check=True, capture_output=True)), index


# ---------------------------------------------------------------------------------------- searches


def questions(home: Home, words: Words) -> dict[str, list[str]]:
    """What is asked, by kind."""
    with duckdb.connect(str(home.published), read_only=True) as opened:
        texts = [
            text.split()
            for (text,) in opened.execute(
                "select title || ' ' || detail from marts.timeline where kind = 'transaction' "
                "using sample 20000 rows (reservoir, 7)"
            ).fetchall()
        ]
    rng = words.rng

    def of(count: int, one: Callable[[], str]) -> list[str]:
        return [one() for _ in range(count)]

    def phrase() -> str:
        text = texts[rng.integers(len(texts))]
        return f'"{text[-2]} {text[-1]}"'

    def filtered() -> str:
        source = SHAPES[rng.integers(len(SHAPES))][0]
        return f"{words.some(1)[0]} source:{source} after:{2016 + rng.integers(10)}"

    makers: dict[str, Callable[[], str]] = {
        "one word, drawn by frequency": lambda: words.some(1)[0],
        "two words": lambda: " ".join(words.some(2)),
        "a phrase of two words": phrase,
        "a word with source: and after:": filtered,
        "a beginning of 2 to 4 letters": lambda: f"{words.some(1)[0][: rng.integers(2, 5)]}*",
        "two Chinese signs": lambda: "".join(rng.choice(list(SIGNS), 2)),
    }
    return {name: of(int(QUESTIONS * share), makers[name]) for name, share in MIX.items()}


def timed(asked: Sequence[str], answer: Callable[[str], object]) -> list[Cost]:
    """What each question takes."""
    return [cost_of(partial(answer, each)) for each in asked]


def row(name: str, taken: Sequence[Cost]) -> tuple[str, ...]:
    """Count; median, 95th and 99th percentile in milliseconds; the 95th of CPU time."""
    figures = np.percentile([each.seconds * 1000 for each in taken], [50, 95, 99])
    cpu = np.percentile([each.cpu * 1000 for each in taken], 95)
    return (name, f"{len(taken):,}", *(f"{each:.1f}" for each in figures), f"{cpu:.0f}")


def main() -> None:
    """Write a timeline, then measure everything once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--against", help="the program dogsheep-beta")
    parser.add_argument("--folder", type=Path, help="where to write; a temporary one by default")
    arguments = parser.parse_args()
    with TemporaryDirectory(dir=arguments.folder) as name:
        measure(Path(name), arguments.events, arguments.against)


def measure(folder: Path, events: int, against: str | None) -> None:
    """Print the tables."""
    home = Home(folder / "home").ensure()
    house = House(load_settings(), home, ())
    words = Words(np.random.default_rng(7))
    publish(home, events, words)

    costs = {"FTS5 alone, no prefixes": fts5_alone(home, folder)}
    other = None
    if against:
        costs["dogsheep-beta, from SQLite"], other = dogsheep_beta(against, home, folder)
    whole = costs["the index from nothing"] = cost_of(lambda: write_search(house))
    baseline = next(iter(costs.values()))
    show_table(
        f"Indexing {events:,} events",
        ("seconds", "CPU seconds", "events/s", "by CPU", "ratio", "by CPU"),
        [
            (
                *(name, f"{each.seconds:.1f}", f"{each.cpu:.1f}"),
                *(f"{events / each.seconds:,.0f}", f"{events / each.cpu:,.0f}"),
                *(f"{each.seconds / baseline.seconds:.2f}", f"{each.cpu / baseline.cpu:.2f}"),
            )
            for name, each in costs.items()
        ],
    )
    print(f"{home.search.stat().st_size / 1e6:,.0f} MB")

    month = "month = date '2020-05-01'"
    changes = {
        "nothing changed": None,
        "a corrected event": f"detail = 'corrected' where {month} and event_id = "
        f"(select min(event_id) from marts.timeline where {month})",
        "a month of one source": f"title = title || ' new' where {month} and source = 'bank'",
        "a month of all sources": f"title = title || ' all' where {month}",
    }
    changed = {"from nothing": whole}
    for name, what in changes.items():
        if what:
            change(home, what)
        changed[name] = cost_of(lambda: write_search(house))
    show_table(
        "A change, indexed",
        ("seconds", "CPU seconds", "ratio"),
        [
            (name, f"{each.seconds:.3f}", f"{each.cpu:.2f}", f"{each.seconds / whole.seconds:.4f}")
            for name, each in changed.items()
        ],
    )

    asked = questions(home, words)
    ours = {
        name: timed(each, lambda typed: found(home.search, parsed(typed)))
        for name, each in asked.items()
    }
    table = [row(name, taken) for name, taken in ours.items()]
    table.append(row("all", [each for taken in ours.values() for each in taken]))
    if other:
        with closing(sqlite3.connect(other)) as index:
            ranked = (
                "select * from search_index join search_index_fts "
                "on search_index.rowid = search_index_fts.rowid "
                "where search_index_fts match ? order by search_index_fts.rank limit 20"
            )
            single = asked["one word, drawn by frequency"][:200]
            taken = timed(single, lambda typed: index.execute(ranked, [typed]).fetchall())
            table.append(row("one word, in dogsheep-beta's index", taken))
    columns = ("count", "p50", "p95", "p99", "CPU p95")
    show_table("A search, milliseconds", columns, table)
    missed = words.some(20)
    near = timed([f"{each}qx" for each in missed], lambda typed: found(home.search, parsed(typed)))
    show_table("Nothing found: nearest words", columns, [row("all", near)])


if __name__ == "__main__":
    main()
