"""The index of the timeline: only what changed is written, and nothing is ever half."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sqlite3
import sys
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from personal_pipeline import sqlite_file
from personal_pipeline.home import Busy, Home
from personal_pipeline.search import index
from personal_pipeline.search.finding import CannotSearch, found
from personal_pipeline.search.index import is_current, write_search
from personal_pipeline.search.question import parsed
from personal_pipeline.search.schema import SHOWN
from personal_pipeline_tests.examples import examples
from personal_pipeline_tests.killed_sqlite import killed_after
from personal_pipeline_tests.published_timeline import Event, event, house_of, write_timeline

EVENTS = (
    event("2024-05-31 23:30", "Night train", kind="activity", source="strava"),
    event("2024-06-01 07:30", "Morning run", kind="activity", source="strava", place="Riverside"),
    event("2024-06-01", "Bakery", detail="two rolls", amount=Decimal("-2.40"), currency="EUR"),
    event("2024-06-15", "Rent", detail="June"),
    event("2024-07-01", "Rent", detail="July"),
)


def content_of(path: Path) -> dict[str, Any]:
    """All that an index holds, whatever the numbers of its rows are."""
    with closing(sqlite3.connect(path)) as opened:
        documents = opened.execute(
            "select (select month from parts where parts.part = documents.part), "
            f"{', '.join(SHOWN)} from documents"
        ).fetchall()
        opened.execute("create virtual table temp.said using fts5vocab (main, words, instance)")
        words = opened.execute(
            "select event_id, col, offset, term from said join documents on id = doc "
            "where col <> 'facet'"
        ).fetchall()
        facets = opened.execute(
            "select event_id, facets.source, facets.kind from said join documents on id = doc "
            "join facets on sign = term where col = 'facet'"
        ).fetchall()
        return {
            "documents": sorted(documents, key=repr),
            "words": sorted(words),
            "facets": sorted(facets),
            "months": sorted(opened.execute("select * from months")),
            "parts": sorted(opened.execute("select month, source, digest from parts")),
            "order": opened.execute("select local_day from documents order by id").fetchall(),
        }


def built_anew(home: Home, events: Iterable[Event]) -> dict[str, Any]:
    write_timeline(home, events)
    home.search.unlink(missing_ok=True)
    write_search(house_of(home))
    return content_of(home.search)


def titles(home: Home, text: str) -> list[str]:
    hits = found(home.search, parsed(text)).hits
    return ["".join(piece for piece, _ in hit.title) for hit in hits]


@pytest.fixture
def written(home: Home) -> Home:
    write_timeline(home, EVENTS)
    assert write_search(house_of(home)) is not None
    return home


# ---------------------------------------------------------------------------- only what changed

WORDS = st.sampled_from(["run", "café", "東京都", "ラーメン", "rent", "한국어", "Zürich", "\ue000"])
TEXTS = st.lists(WORDS, max_size=4).map(" ".join)
TIMES = st.one_of(st.none(), st.integers(0, 1439))


@st.composite
def events(draw: st.DrawFn) -> Event:
    source = draw(st.sampled_from(["bank", "strava"]))
    key = draw(st.integers(1, 4))
    month = draw(st.sampled_from([date(2024, 5, 1), date(2024, 6, 1), date(2024, 12, 1)]))
    # a local day may lie outside of its month
    day = month + timedelta(days=draw(st.integers(-1, 31)))
    minute = draw(TIMES)
    at = None if minute is None else datetime.combine(day, time(*divmod(minute, 60)))
    return Event(
        month=month,
        event_id=f"{source}:x:{key}",
        source=source,
        kind=draw(st.sampled_from(["x", "y"])),
        local_day=day,
        local_at=at,
        title=draw(TEXTS) or "untitled",
        detail=draw(st.one_of(st.none(), TEXTS)),
        people=draw(st.one_of(st.none(), st.lists(WORDS, max_size=2))),
        text=draw(st.one_of(st.none(), TEXTS)),
        amount=draw(st.one_of(st.none(), st.just(Decimal("-1.50")))),
        by_others=draw(st.booleans()),
    )


def by_part(timeline: Iterable[Event]) -> dict[tuple[str, str], set[str]]:
    parts: dict[tuple[str, str], set[str]] = {}
    for each in timeline:
        parts.setdefault((f"{each.month}", each.source), set()).add(repr(each))
    return parts


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Home]:
    return tuple(Home(tmp_path_factory.mktemp(each)).ensure() for each in ("edited", "anew"))  # type: ignore[return-value]


@examples(15)
@given(st.lists(st.lists(st.tuples(events(), st.booleans()), max_size=5), min_size=1, max_size=4))
def test_after_any_edits_it_equals_one_built_from_nothing(
    folders: tuple[Home, Home], rounds: list[list[tuple[Event, bool]]]
) -> None:
    home, other = folders
    home.search.unlink(missing_ok=True)
    timeline: dict[str, Event] = {}
    before: dict[tuple[str, str], set[str]] = {}
    for edits in rounds:
        for each, is_deleted in edits:
            # an event that is there already is corrected, maybe into another month
            timeline[each.event_id] = each
            if is_deleted:
                del timeline[each.event_id]
        write_timeline(home, timeline.values())
        changed = write_search(house_of(home))
        assert content_of(home.search) == built_anew(other, timeline.values())
        now = by_part(timeline.values())
        wanted = {part for part in now.keys() | before.keys() if now.get(part) != before.get(part)}
        assert set(changed.parts if changed else ()) == wanted
        assert (changed is None) is (not wanted)
        before = now


def test_only_the_documents_that_differ_are_touched(written: Home) -> None:
    with closing(sqlite3.connect(written.search)) as opened:
        numbers = dict(opened.execute("select event_id, id from documents"))
    corrected = replace(EVENTS[2], detail="three rolls")
    write_timeline(written, (*EVENTS[:2], corrected, *EVENTS[4:]))
    changed = write_search(house_of(written))
    assert changed is not None
    assert (changed.parts, changed.added, changed.removed) == ([("2024-06-01", "bank")], 1, 2)
    with closing(sqlite3.connect(written.search)) as opened:
        kept = dict(opened.execute("select event_id, id from documents"))
    assert kept == {name: number for name, number in numbers.items() if name in kept}
    assert titles(written, "rolls") == ["Bakery"]
    assert titles(written, "two rolls") == []
    assert titles(written, "rent june") == []
    assert titles(written, "rent july") == ["Rent"]


def test_nothing_new_writes_nothing(written: Home) -> None:
    before = sqlite_file.stamp_of(written.search)
    assert is_current(written)
    assert write_search(house_of(written)) is None
    # published again with the same rows
    write_timeline(written, EVENTS)
    assert not is_current(written)
    assert write_search(house_of(written)) is None
    assert sqlite_file.stamp_of(written.search) == before
    assert is_current(written)


def test_many_events_of_one_minute_stay_on_their_day_and_in_order(home: Home) -> None:
    many = [event("2024-06-01 23:59", "photo", event_id=f"a:b:{each:04}") for each in range(300)]
    write_timeline(home, [*many, event("2024-06-02", "photo", event_id="a:b:next")])
    write_search(house_of(home))
    assert found(home.search, parsed("photo after:2024-06-02")).count == 1
    assert found(home.search, parsed("photo before:2024-06-02")).count == 300
    content = content_of(home.search)["order"]
    assert content == sorted(content)


def test_without_a_timeline_there_is_nothing_to_search(home: Home) -> None:
    assert write_search(house_of(home)) is None
    with pytest.raises(CannotSearch, match="`personal-pipeline refresh` first"):
        found(home.search, parsed("x"))


# ----------------------------------------------------------------------- damage, kills and locks


@pytest.mark.parametrize("damage", ["deleted", "overwritten", "a folder", "truncated", "foreign"])
def test_a_file_that_is_not_as_it_was_left_is_written_anew(written: Home, damage: str) -> None:
    path = written.search
    wanted = content_of(path)
    if damage == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    else:
        path.unlink()
    if damage == "overwritten":
        path.write_bytes(b"no database" * 5000)
    elif damage == "a folder":
        path.mkdir()
        written.ensure()
    elif damage == "foreign":
        with closing(sqlite3.connect(path)) as opened:
            opened.execute("create table documents (other)")
    if damage != "deleted" and path.exists():
        with pytest.raises(CannotSearch, match="the next `personal-pipeline refresh`"):
            found(path, parsed("rent"))
    assert write_search(house_of(written)) is not None
    assert content_of(path) == wanted


def test_an_index_cut_by_another_sqlite_is_written_anew(
    written: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    inode = written.search.stat().st_ino
    monkeypatch.setattr(index, "FORMAT", [*index.FORMAT[:-1], "99.0.0"])
    write_search(house_of(written))
    assert written.search.stat().st_ino != inode


def test_damage_that_the_file_does_not_show_is_found_by_the_next_change(written: Home) -> None:
    before = written.search.stat()
    with written.search.open("r+b") as file:
        file.write(b"no database")
    os.utime(written.search, ns=(before.st_atime_ns, before.st_mtime_ns))
    write_timeline(written, EVENTS[1:])
    assert write_search(house_of(written)) is not None
    assert titles(written, "rent") == ["Rent", "Rent"]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork to kill")
@pytest.mark.parametrize("is_anew", [True, False], ids=["anew", "in place"])
def test_a_kill_at_any_statement_leaves_the_old_or_the_new(written: Home, is_anew: bool) -> None:
    before = content_of(written.search)
    if is_anew:
        written.search.unlink()
    write_timeline(written, EVENTS[2:])
    for statements in (0, 3, 6, 9, 12, 15):
        killed_after(statements, lambda: write_search(house_of(written)))
        assert written.search.exists() is not is_anew
        if not is_anew:
            assert content_of(written.search) == before
    write_search(house_of(written))
    after = content_of(written.search)
    assert after != before
    assert after == built_anew(written, EVENTS[2:])


def test_a_reader_keeps_its_state_and_never_waits(written: Home) -> None:
    with closing(sqlite3.connect(f"{written.search.as_uri()}?mode=ro", uri=True)) as reader:
        reader.execute("begin")
        count = "select count(*) from words where words match 'rent'"
        assert reader.execute(count).fetchone() == (2,)
        write_timeline(written, EVENTS[:3])
        assert write_search(house_of(written)) is not None
        assert reader.execute(count).fetchone() == (2,)
        assert titles(written, "rent") == []
        reader.execute("rollback")
        assert reader.execute(count).fetchone() == (0,)


def test_a_file_that_another_program_keeps_locked_is_named(
    written: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "BUSY_SECONDS", 0.1)
    write_timeline(written, EVENTS[1:])
    with closing(sqlite3.connect(written.search, isolation_level=None)) as other:
        other.execute("begin immediate")
        with pytest.raises(Busy, match=r"search\.sqlite: another program has kept it locked"):
            write_search(house_of(written))
        # who searches meanwhile does not wait
        assert titles(written, "night") == ["Night train"]
    assert write_search(house_of(written)) is not None
    assert titles(written, "night") == []


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
def test_a_full_disk_leaves_the_file_as_it_was(written: Home) -> None:
    before = content_of(written.search)
    write_timeline(written, [])
    usual = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
        with pytest.raises(sqlite3.OperationalError):
            write_search(house_of(written))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, usual)
    assert content_of(written.search) == before
    assert write_search(house_of(written)) is not None
    assert content_of(written.search)["documents"] == []


def test_the_timeline_of_a_whole_life_is_found(built_home: Home, home: Home) -> None:
    shutil.copy(built_home.published, home.published)
    assert write_search(house_of(home)) is not None
    with duckdb.connect(str(home.published), read_only=True) as published:
        rows = published.execute(
            "select event_id, title, local_day::varchar, reference from marts.timeline"
        ).fetchall()
    with closing(sqlite3.connect(home.search)) as opened:
        kept = opened.execute("select event_id, title, local_day, reference from documents")
        assert sorted(kept.fetchall(), key=repr) == sorted(rows, key=repr)
    assert rows
    for _, title, day, _ in rows[:: len(rows) // 20]:
        typed = f'"{title}" after:{day}'
        hits = found(home.search, parsed(typed), 1000).hits
        assert (title, day) in {
            ("".join(piece for piece, _ in hit.title), hit.local_day) for hit in hits
        }, typed
