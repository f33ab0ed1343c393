"""The sources of the pipeline read the life as they read a real one, and lose nothing of it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests

from personal_pipeline.demo.drops import write_drops
from personal_pipeline.demo.life import Life
from personal_pipeline.demo.parts import INVENTED
from personal_pipeline.demo.services import Served, serve
from personal_pipeline.ingest.contract import (
    ApiStream,
    DropFile,
    DropRow,
    Record,
    Source,
    Window,
)
from personal_pipeline.ingest.fetch import sort_into_days
from personal_pipeline.ingest.http import Client
from personal_pipeline.ingest.inbox import captured_at
from personal_pipeline.ingest.recognition import claims_of
from personal_pipeline.settings import Settings
from personal_pipeline.sources import SOURCES

BY_NAME = {source.name: source for source in SOURCES}
API_STREAMS = [
    pytest.param(BY_NAME[part.source], stream, id=f"{part.source}.{stream.name}")
    for part in INVENTED
    for stream in BY_NAME[part.source].api
]


@pytest.mark.parametrize(("source", "stream"), API_STREAMS)
def test_every_record_of_a_service_is_readable(
    life: Life, served: Served, source: Source, stream: ApiStream
) -> None:
    settings = Settings.model_validate(served.settings)
    assert source.client is not None
    with source.client(settings) as client:
        records = list(_everything(stream, client, life))
    answer = sort_into_days(stream, records, life.until)
    assert not answer.bad
    assert len({stream.key(record) for record in records}) == len(records) > 0


def _everything(stream: ApiStream, client: Client, life: Life) -> Iterator[Record]:
    if stream.fetch_all is not None:
        return stream.fetch_all(client)
    assert stream.fetch is not None
    # of the growth stats, that are one call a day, a month is enough
    first = life.until - timedelta(days=30) if stream.name == "growth_stats" else life.start
    return stream.fetch(client, Window(first, life.until + timedelta(days=1)))


def test_every_drop_is_known_and_read_whole(drops: list[Path], life: Life) -> None:
    kinds: Counter[str] = Counter()
    keys: dict[str, set[str]] = defaultdict(set)
    source_of = {file.name: part.source for part in INVENTED for file in part.files(life)}
    for path in drops:
        modified = datetime.fromtimestamp(path.stat().st_mtime, UTC)
        file = DropFile(path, path.name, captured_at(path.name, modified))
        claims = claims_of(SOURCES, file)
        if path.name == "holiday.txt":
            assert claims == []
            continue
        assert claims, path.name
        source, drop = claims[0].source, claims[0].drop
        assert source.name == source_of[path.name], path.name
        kinds[drop.name] += 1
        # a drop with a spool in place of it is read in a test of its own
        for row in drop.read(file) if drop.load is None else ():
            assert isinstance(row, DropRow), (path.name, row.reason)
            keys[row.stream].add(row.key)

    assert kinds["subscriber_export"] > 20
    assert kinds["statement"] > 50
    assert kinds["categories"] == 1
    assert kinds["export"] == 1
    assert len(keys["account_stats_daily"]) == len(life.account_days)
    posts = len(life.stories) + len(life.responses) + len(life.drafts)
    assert 0 <= posts - len(keys["account_export"]) <= 5
    with_views = sum(bool(each.views) for story in life.stories for each in story.days)
    assert len(keys["story_stats_daily"]) >= with_views


def test_a_source_without_an_invented_part_is_not_in_the_demo(life: Life, tmp_path: Path) -> None:
    only = [part for part in INVENTED if part.source == "kit"]
    names = {path.name for path in write_drops(life, tmp_path, only)}
    assert names - {"holiday.txt"}
    assert all("subscribers" in name for name in names - {"holiday.txt"})
    with serve(life, only) as served:
        assert served.settings.keys() == {"KIT_API_BASE", "KIT_API_KEY", "KIT_REQUESTS_PER_MINUTE"}
        assert requests.get(f"{served.base}/v1/charges", timeout=10).status_code == 404
        assert requests.get(f"{served.base}/v4/account", timeout=10).status_code == 401
