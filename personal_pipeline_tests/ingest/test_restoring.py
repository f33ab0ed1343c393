from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest import lake as lakes
from personal_pipeline.ingest.contract import ApiStream, Coverage, Grain, Record, Source, Window
from personal_pipeline.ingest.fetch import FetchResult, fetch_stream
from personal_pipeline.ingest.http import Client, Failure
from personal_pipeline.ingest.lake import lake_of
from personal_pipeline.ingest.restoring import held_before, restore
from personal_pipeline_tests.ingest.test_fetch import Clocked

DAY = date(2026, 11, 20)


class Clock(datetime):
    """The moment at which partitions are replaced."""

    moment = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)

    @classmethod
    def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
        return cls.moment


def source_of(amounts: dict[str, int], coverage: Coverage, grain: Grain) -> Source:
    def fetch(_client: Client, window: Window) -> Iterator[Record]:
        if window.start <= DAY < window.end:
            yield from every(_client)

    def every(_client: Client) -> Iterator[Record]:
        yield from ({"id": key, "amount": amount} for key, amount in amounts.items())

    stream = ApiStream(
        name="things",
        description="One thing.",
        grain=grain,
        key=lambda record: str(record["id"]),
        days=lambda record: (DAY,),
        fetch=None if coverage is Coverage.FULL else fetch,
        fetch_all=every if coverage is Coverage.FULL else None,
        coverage=coverage,
    )
    return Source(name="test", title="Test", description="", api=(stream,))


def fetched(home: Home, source: Source, *, accept: bool = False) -> FetchResult:
    now = Clock.moment
    return fetch_stream(
        home, source, source.api[0], Clocked(now), now=now, beginning=DAY, accept=accept
    )


def amount(home: Home, source: Source) -> int:
    return int(lake_of(home, "test", source.api[0]).read(DAY)["a"].record["amount"])


@pytest.mark.parametrize("coverage", [Coverage.WINDOW, Coverage.FULL, Coverage.PART])
@pytest.mark.parametrize("copied", [False, True])
@pytest.mark.parametrize("grain", [Grain.DAY, Grain.MONTH])
def test_what_was_there_at_a_moment_comes_back(
    home: Home,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    coverage: Coverage,
    copied: bool,
    grain: Grain,
) -> None:
    monkeypatch.setattr(lakes, "datetime", Clock)
    amounts = {"a": 1}
    source = source_of(amounts, coverage, grain)
    for day, value in ((20, 1), (21, 2), (22, 1), (23, 1000)):
        Clock.moment = datetime(2026, 11, day, 6, 0, tzinfo=UTC)
        amounts["a"] = value
        assert fetched(home, source).failure is None
    if copied:
        # a copy has new times
        shutil.copytree(home.root, tmp_path / "copy", copy_function=shutil.copyfile)
        home = Home(tmp_path / "copy")
    for day, value in ((20, 1), (22, 2), (23, 1)):
        midnight = datetime(2026, 11, day, tzinfo=UTC)
        (held,) = held_before(home, source, midnight)
        assert (held.stream, held.partition) == ("things", DAY)
        # to look changes nothing
        assert amount(home, source) == 1000
        Clock.moment += timedelta(hours=1)
        restore(home, source, midnight)
        assert amount(home, source) == value
        # and the restoring is taken back
        restored_at = Clock.moment
        Clock.moment += timedelta(hours=1)
        restore(home, source, restored_at)
        assert amount(home, source) == 1000
    Clock.moment += timedelta(hours=1)
    restore(home, source, datetime(2026, 11, 23, tzinfo=UTC))
    assert held_before(home, source, Clock.moment + timedelta(days=1)) == []
    # no answer replaces it without a word
    failure = fetched(home, source).failure
    assert failure is not None
    assert failure.failure is Failure.LOST_ROWS
    assert "restored, from 2026-11-20" in str(failure)
    assert amount(home, source) == 1
    assert fetched(home, source, accept=True).failure is None
    assert amount(home, source) == 1000
    assert fetched(home, source).failure is None
