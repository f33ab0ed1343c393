"""The whole house: services over HTTP and files in the inbox, through the lake and dbt, to what a
reader sees; undisturbed, disturbed and killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from datetime import time as clock_time
from decimal import Decimal
from pathlib import Path
from threading import Event
from typing import Any
from zipfile import ZipFile

import dagster as dg
import duckdb
import pytest

from personal_pipeline.graph.instance import instance_of
from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import ApiStream, DropStream, Record, Source, Window
from personal_pipeline.ingest.doubtful import accept
from personal_pipeline.ingest.fetch import fetch_streams
from personal_pipeline.ingest.http import Failure
from personal_pipeline.ingest.lake import Row, digest_of, lake_of
from personal_pipeline.ingest.memory import recall
from personal_pipeline.passes import PassResult
from personal_pipeline.refresh import ingest_inbox, refresh
from personal_pipeline.sources import SOURCES
from personal_pipeline.sources.stripe import STRIPE, stripe_source
from personal_pipeline.warehouse import store
from personal_pipeline.warehouse.build import all_tables
from personal_pipeline_tests.invented_house import (
    NOW,
    START,
    UNTIL,
    Ended,
    Services,
    Usual,
    build_what_is_stale,
    changed_json,
    content,
    end,
    files,
    lake_of_source,
    once,
    query,
    run,
    start,
)
from personal_pipeline_tests.loopback import Answer, Request, as_json, loopback, until
from personal_pipeline_tests.sources.localstripe_process import KEY, LocalStripe
from personal_pipeline_tests.sources.test_stripe import fill

PRIVATE = "zz-private-7261"
"""A value of a bad row or answer: it may lie in quarantine and archive, and nowhere else."""

LATER = NOW + timedelta(hours=1)


def with_stripe(stripe: Source) -> tuple[Source, ...]:
    """The sources of the house, with another Stripe."""
    return tuple(stripe if each.name == "stripe" else each for each in SOURCES)


# ------------------------------------------------------------------------------ nothing changed


def test_a_second_refresh_calls_no_dbt_and_touches_no_file(
    services: Services, copied: Home
) -> None:
    kept = (copied.lake, copied.published.parent, copied.reports, copied.archive)
    before = files(*kept)
    passed = refresh(services.house(copied, now=LATER))
    assert not passed.failures
    assert all(
        result.records or result.stream == "refunds"
        for each in passed.fetched
        for result in each.results
    )
    assert passed.work.dbt_calls == 0
    assert not passed.work.built
    assert files(*kept) == before


@pytest.mark.slow
def test_forgotten_tables_come_back_equal_when_two_processes_refresh_at_once(
    services: Services, built_home: Home, copied: Home
) -> None:
    """That all tables may go is shown in ``test_rebuild.py``."""
    house = services.house(copied)
    tables = all_tables(house)
    with store.writing(copied), store.connection(house) as opened:
        for name in ("staging/stg_stripe__charges", "marts/revenue_daily"):
            store.forget(opened, tables[name], None)
    shutil.rmtree(copied.published.parent)
    environment, begun = services.environment(copied), len(services.asked)
    other = start(environment, "refresh", "--json")
    until(lambda: len(services.asked) > begun, "the other process fetches")
    ended = [run(environment, "refresh", "--json"), end(other, 200)]
    assert [each.code for each in ended] == [0, 0], ended
    built = [json.loads(each.out)["built"] for each in ended]
    assert sorted(bool(each) for each in built) == [False, True], "one of them finds all done"
    assert content(copied.published, "staging", "marts") == content(
        built_home.published, "staging", "marts"
    )
    assert lake_of_source(copied, "") == lake_of_source(built_home, "")


# ----------------------------------------------------------------------------- one day changed


def row_of(home: Home, stream: str, day: date, currency: str = "usd") -> Row:
    """A payment of that day."""
    each = next(each for each in STRIPE.api if each.name == stream)
    rows = lake_of(home, "stripe", each).read(day).values()
    return next(
        row
        for row in rows
        if row.record["currency"] == currency and row.record.get("type", "charge") == "charge"
    )


CORRECTED_DAY = UNTIL - timedelta(days=8)
READER = """
import sys, duckdb
opened = duckdb.connect(sys.argv[1], read_only=True)
for _ in sys.stdin:
    rows = opened.execute("select sum(fees), sum(net), count(*) from marts.revenue_daily")
    print(rows.fetchone(), flush=True)
"""


class Reader:
    """A second process that has the published tables open."""

    def __init__(self, home: Home) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", READER, str(home.published)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def sees(self) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def end(self) -> None:
        self.process.communicate(timeout=20)
        assert self.process.returncode == 0


@dataclass(frozen=True)
class Correction:
    """What a refresh did after Stripe corrected the fee of one old payment by 0.07."""

    home: Home
    passed: PassResult
    reader_before: str
    reader_after: str
    new_reader: str


@pytest.fixture(scope="module")
def correction(
    services: Services, built_home: Home, tmp_path_factory: pytest.TempPathFactory
) -> Correction:
    home = Home(tmp_path_factory.mktemp("corrected") / "home")
    shutil.copytree(built_home.root, home.root)
    corrected = row_of(home, "balance_transactions", CORRECTED_DAY).key

    def change(value: Any) -> None:
        for row in value["data"]:
            if row["id"] == corrected:
                row["fee"] += 7
                row["net"] -= 7

    def instead(request: Request, usual: Usual) -> Answer:
        if request.path == "/v1/balance_transactions":
            return changed_json(usual(), change)
        return usual()

    reader = Reader(home)
    before = reader.sees()
    with services.but(instead):
        passed = refresh(services.house(home, now=LATER))
    after = reader.sees()
    reader.end()
    new = Reader(home)
    seen = new.sees()
    new.end()
    return Correction(home, passed, before, after, seen)


@pytest.mark.slow
def test_a_correction_of_an_old_day_builds_that_day_and_its_month_only(
    correction: Correction,
) -> None:
    assert not correction.passed.failures
    day, month = CORRECTED_DAY.isoformat(), CORRECTED_DAY.replace(day=1).isoformat()
    built = query(
        correction.home.published,
        "select asset, partition from pipeline.ledger where built_at = ? order by all",
        LATER.replace(tzinfo=None),
    )
    # the days of a month read the month's staging; equal content stops the wave there
    assert {(name, each) for name, each in built if name != "marts/revenue_daily"} == {
        ("marts/creator_daily", day),
        ("marts/revenue_monthly", month),
        ("staging/stg_stripe__balance_transactions", month),
    }
    days = {each for name, each in built if name == "marts/revenue_daily"}
    assert day in days
    assert {f"{each[:7]}-01" for each in days} == {month}
    reported = {each.name: (each.partitions, each.changed) for each in correction.passed.work.built}
    assert reported == {name: (1, 1) for name, _ in built} | {"marts/revenue_daily": (len(days), 1)}


@pytest.mark.slow
def test_a_correction_changes_the_figures_and_keeps_what_was_there(
    correction: Correction, built_home: Home
) -> None:
    sql = "select day, currency, fees, net from marts.revenue_daily order by all"
    was, now = (query(home.published, sql) for home in (built_home, correction.home))
    changed = [(old, new) for old, new in zip(was, now, strict=True) if old != new]
    assert [(new[2] - old[2], new[3] - old[3]) for old, new in changed] == [
        (Decimal("0.07"), Decimal("-0.07"))
    ]
    superseded = correction.home.archive / "lake" / "stripe" / "balance_transactions"
    (kept,) = superseded.rglob("*.jsonl.gz")
    assert kept.parent.name == CORRECTED_DAY.isoformat()
    place = f"balance_transactions/day={CORRECTED_DAY}/part.jsonl.gz"
    assert kept.read_bytes() == lake_of_source(built_home, "stripe")[place]


@pytest.mark.slow
def test_a_reader_and_a_refresh_do_not_notice_each_other(correction: Correction) -> None:
    assert correction.reader_after == correction.reader_before != ""
    assert correction.new_reader not in ("", correction.reader_before)


# ------------------------------------------------------------------------------------- killed


def test_a_pull_that_is_killed_goes_on_where_it_stopped(
    services: Services, built_home: Home, copied: Home
) -> None:
    shutil.rmtree(copied.lake / "stripe")
    asked: list[str] = []

    def instead(request: Request, usual: Usual) -> Answer:
        if request.path == "/v1/charges":
            asked.append(request.query["created[gt]"])
            # the first piece is in the lake, the second is under way
            if len(set(asked)) == 2:
                os.killpg(process.pid, signal.SIGKILL)
        return usual()

    with services.but(instead):
        process = start(services.environment(copied), "refresh")
        ended = end(process)
    assert ended.code == -signal.SIGKILL, (ended.out, ended.err)
    whole, part = lake_of_source(built_home, "stripe"), lake_of_source(copied, "stripe")
    assert 0 < len(part) < len(whole)
    assert part.items() <= whole.items()

    begun = len(services.asked)
    passed = refresh(services.house(copied))
    assert not passed.failures
    assert lake_of_source(copied, "stripe") == whole
    assert passed.work.dbt_calls == 0
    again = [each.query for each in services.asked[begun:] if each.path == "/v1/charges"]
    assert again[0]["created[gt]"] == asked[-1], "what is missing comes first"


@pytest.mark.slow
def test_a_build_that_is_killed_is_repaired_by_the_next(
    services: Services, built_home: Home, copied: Home
) -> None:
    """Killed alone, as a system short of memory does it, the process leaves dbt behind at work."""
    day = UNTIL - timedelta(days=5)
    corrected = row_of(copied, "charges", day).key

    def change(value: Any) -> None:
        for row in value["data"]:
            if row["id"] == corrected:
                row["description"] = "corrected"

    def instead(request: Request, usual: Usual) -> Answer:
        return changed_json(usual(), change) if request.path == "/v1/charges" else usual()

    with services.but(instead):
        process = start(services.environment(copied), "refresh")
        deadline = time.monotonic() + 60
        # dbt writes the SQL of a model at the moment when it executes it
        while not any((copied.dbt_target / "runs").glob("*/run/**/stg_stripe__charges.sql")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.005)
        process.kill()
        again = run(services.environment(copied), "refresh")
        assert end(process).code == -signal.SIGKILL
    assert again.code == 0, (again.out, again.err)

    expected = content(built_home.published, "staging", "marts")
    found = content(copied.published, "staging", "marts")
    assert found.keys() == expected.keys()
    # the description is told on the timeline, too
    assert [name for name in found if found[name] != expected[name]] == [
        "marts.timeline",
        "staging.stg_stripe__charges",
    ]
    sql = "select * exclude (description) from staging.stg_stripe__charges order by all"
    assert query(copied.published, sql) == query(built_home.published, sql)
    assert query(
        copied.published,
        "select record_key from staging.stg_stripe__charges where description = 'corrected'",
    ) == [(corrected,)]
    sql = "select * exclude (built_at) from pipeline.ledger"
    was, now = ({*map(repr, query(home.published, sql))} for home in (built_home, copied))
    month = day.replace(day=1).isoformat()
    unlike = [row for row in now - was if not row.startswith(
        (f"('staging/stg_stripe__charges', '{month}'", f"('marts/timeline', '{month}'")
    )]  # fmt: skip
    assert unlike == []
    assert len(now) == len(was)


# -------------------------------------------------------------------------- bad news from services


@pytest.mark.slow
def test_a_refused_key_and_a_stalled_service_hold_nobody_back(
    services: Services, copied: Home
) -> None:
    released = Event()

    def instead(request: Request, usual: Usual) -> Answer:
        if request.path.startswith("/v1/"):
            return as_json({"error": {"message": f"No such key {PRIVATE}"}}, 401)
        if request.path.startswith("/v4/"):
            released.wait(300)
        return usual()

    environment = services.environment(copied, PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS=2)
    before, begun = files(copied.lake, copied.published.parent), len(services.asked)
    with services.but(instead):
        # it ends while the service still stalls
        ended = end(start(environment, "refresh", "--json", now=LATER))
        released.set()
    assert ended.code == 1
    passed = json.loads(ended.out)
    refused, stalled = passed["failures"]
    assert refused.startswith("stripe: GET /v1/")
    assert "HTTP 401. Stripe" in refused
    assert "STRIPE_API_KEY" in refused
    assert stalled.startswith("kit: GET /")
    assert "time budget" in stalled
    assert {each["source"] for each in passed["fetched"] if not each["failure"]} == {
        "medium",
        "google_sheets",
    }
    assert sum(each.path.startswith("/v1/") for each in services.asked[begun:]) == 1
    assert recall(copied, "medium", "feed").succeeded_at == LATER
    assert recall(copied, "stripe", "balance_transactions").failure == Failure.CREDENTIAL_REFUSED
    assert files(copied.lake, copied.published.parent) == before
    assert traces(copied, ended) == []


@dataclass(frozen=True)
class BadDay:
    """A refresh through which everything went wrong at once. ``receipts`` by name of the file."""

    home: Home
    ended: Ended
    receipts: dict[str, dict[str, Any]]


MORE_REFUNDS = 999


@pytest.fixture(scope="module")
def bad_day(services: Services, exports: list[Path], built_home: Home, in_common: Path) -> BadDay:
    def spend(folder: Path) -> BadDay:
        home = Home(folder / "home")
        shutil.copytree(built_home.root, home.root)
        for name, body in bad_files(exports[0].parent).items():
            (home.inbox / name).write_bytes(body)
        known = set((home.archive / "receipts").iterdir())
        with services.but(bad_answers):
            ended = run(services.environment(home), "refresh", now=LATER)
        receipts = [
            json.loads(path.read_bytes())
            for path in set((home.archive / "receipts").iterdir()) - known
        ]
        return BadDay(home, ended, {each["file"]: each for each in receipts})

    return once(in_common, "bad-day", spend)


def bad_files(exports: Path) -> dict[str, bytes]:
    """What lies in the inbox on the bad day, by name."""
    referrers = (exports / "medium-referrers-2025-11-21.json").read_bytes()
    subscribers = (exports / "kit-confirmed-subscribers-2025-09-02.csv").read_bytes()
    header, *lines = subscribers.decode("utf-8-sig").splitlines()
    wider = [f"{header},Shoe size", *(f"{line},43" for line in lines)]
    return {
        "medium-referrers-2025-11-15.json": referrers[: len(referrers) * 2 // 3],
        "kit-login.csv": f"<!DOCTYPE html><html><body>{PRIVATE}</body></html>".encode(),
        "kit-confirmed-subscribers-2025-09-03.csv": "\n".join(
            [f"\N{BOM}{wider[0]}", *wider[1:], f"{PRIVATE}@example.org,too,few"]
        ).encode(),
        "kit-confirmed-subscribers-2025-08-04.csv": "\n".join(
            ",".join(line.split(",")[:2]) for line in [header, *lines]
        ).encode(),
        "kit-no-email.csv": f"first_name,created_at,tags\n{PRIVATE},2025-01-01,\n".encode(),
        "kit-confirmed-subscribers-2019-01-15.csv": subscribers,
        "nothing.json": b"",
        "medium-export-2025-11-20.zip": PRIVATE.encode(),
        "medium-export-2025-11-19.zip": b"PK\x03\x04" + PRIVATE.encode() * 10,
        "medium-account-2025-11-20.json": json.dumps(
            [{"data": {"user": {"postsAggregateTimeseriesStats": {"totalStats": PRIVATE}}}}]
        ).encode(),
    }


def bad_answers(request: Request, usual: Usual) -> Answer:
    """What the services answer on the bad day."""
    answer = usual()
    if request.path == "/v1/refunds":

        def more(value: Any) -> None:
            for row in value["data"][:1]:
                good = [{**row, "id": f"{row['id']}_{n}"} for n in range(MORE_REFUNDS)]
                value["data"] += [*good, {**row, "id": "re_bad", "amount": PRIVATE}]

        return changed_json(answer, more)
    if request.path == "/v1/customers" and "starting_after" in request.query:
        return Answer(PRIVATE.encode(), 500, {"Stripe-Should-Retry": "false"})
    if request.path == "/v4/broadcasts":
        return replace(answer, body=answer.body[: len(answer.body) // 2])
    if request.path.startswith("/spreadsheets/"):
        return Answer(f"<html>{PRIVATE}</html>".encode(), content_type="text/html")
    return answer


def traces(home: Home, ended: Ended) -> list[str]:
    """Where a private value can be seen that lies in the quarantine and the archive only."""
    places = [home.dagster, home.archive / "receipts", home.reports, home.state, home.dbt_target]
    texts = {
        "out": ended.out,
        "err": ended.err,
        **{
            str(path): path.read_bytes().decode(errors="replace")
            for place in places
            for path in place.rglob("*")
            if path.is_file()
        },
        **{str(path): path.read_text() for path in home.quarantine.rglob("*.reason.txt")},
    }
    return [name for name, text in texts.items() if PRIVATE in text]


@pytest.mark.slow
def test_a_bad_day_ends_with_exit_code_1_and_a_sentence_for_each_failure(bad_day: BadDay) -> None:
    assert bad_day.ended.code == 1, bad_day.ended.err
    failures = [
        line.removeprefix("Failed: ")
        for line in bad_day.ended.out.splitlines()
        if line.startswith("Failed: ")
    ]
    places = ("stripe: GET /v1/customers: HTTP 500", "kit: GET /broadcasts", "google_sheets: ")
    assert len(failures) == len(places)
    assert all(failure.startswith(place) for failure, place in zip(failures, places, strict=True))
    assert "Share the sheet" in failures[2]
    assert "Traceback" not in bad_day.ended.out + bad_day.ended.err


@pytest.mark.slow
def test_a_bad_day_loses_nothing_that_was_there(bad_day: BadDay, built_home: Home) -> None:
    for source in SOURCES:
        for stream in source.streams:
            old, new = (lake_of(h, source.name, stream) for h in (built_home, bad_day.home))
            if isinstance(stream, DropStream) and stream.table:
                # of the phone nothing came on that day
                assert old.versions() == new.versions()
                continue
            for partition in old.partitions():
                assert old.read(partition).items() <= new.read(partition).items()
    with duckdb.connect() as opened:
        for name, home in (("was", built_home), ("now", bad_day.home)):
            opened.execute(f"attach '{home.published}' as {name} (read_only)")
        was, now = (content(h.published, "staging") for h in (built_home, bad_day.home))
        assert was.keys() == now.keys()
        lost = {
            name: opened.execute(f"from was.{name} except all from now.{name}").fetchall()
            for name in was
        }
    assert {name: rows for name, rows in lost.items() if rows} == {}


@pytest.mark.slow
def test_good_records_beside_an_impossible_one_land(bad_day: BadDay, built_home: Home) -> None:
    sql = "select count(*), count(distinct refund_id) from staging.stg_stripe__refunds"
    ((was, _),), ((now, distinct),) = (query(h.published, sql) for h in (built_home, bad_day.home))
    windows = recall(bad_day.home, "stripe", "refunds").unreadable
    assert windows > 0, "no refund in the invented life: the test shows nothing"
    assert now == distinct == was + windows * MORE_REFUNDS
    kept = [
        json.loads(line)
        for path in (bad_day.home.quarantine / "stripe" / "refunds").iterdir()
        for line in path.read_text().splitlines()
    ]
    assert {each["reason"] for each in kept} == {"amount: expected int, found str"}
    assert len(kept) == windows


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind", "unreadable", "lands"),
    [
        ("medium-referrers-2025-11-15.json", "stats_capture", 1, True),
        ("kit-confirmed-subscribers-2025-09-03.csv", "subscriber_export", 1, True),
        ("kit-confirmed-subscribers-2025-08-04.csv", "subscriber_export", 0, True),
        ("kit-confirmed-subscribers-2019-01-15.csv", "subscriber_export", 1, True),
        ("medium-account-2025-11-20.json", "stats_capture", 1, False),
    ],
)
def test_what_can_be_read_of_a_file_lands_and_the_rest_is_counted(
    bad_day: BadDay, name: str, kind: str, unreadable: int, lands: bool
) -> None:
    receipt = bad_day.receipts[name]
    assert (receipt["drop"], receipt["problem"]) == (kind, None)
    assert receipt["unreadable"] == unreadable
    rows = sum(each["new"] + each["unchanged"] for each in receipt["streams"])
    assert bool(rows) is lands


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "folder", "sentence"),
    [
        ("kit-login.csv", "unknown", "No source recognizes this file"),
        ("medium-export-2025-11-20.zip", "unknown", "No source recognizes this file"),
        ("medium-export-2025-11-19.zip", "unknown", "it is damaged or incomplete"),
        ("nothing.json", "unknown", "The file is empty"),
        ("kit-no-email.csv", "kit", "expected a column email in the first row"),
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_with_a_sentence(
    bad_day: BadDay, name: str, folder: str, sentence: str
) -> None:
    assert (bad_day.home.quarantine / folder / name).is_file()
    reason = (bad_day.home.quarantine / folder / f"{name}.reason.txt").read_text()
    assert reason.startswith(f"{name}: {sentence}")
    assert bad_day.receipts[name]["problem"].startswith(sentence)
    assert sentence in bad_day.ended.out
    assert not (bad_day.home.inbox / name).exists()


@pytest.mark.slow
def test_a_short_sentence_of_the_receipt_is_a_whole_one(bad_day: BadDay) -> None:
    problems = [each["problem"] for each in bad_day.receipts.values() if each["problem"]]
    assert problems
    assert [each for each in problems if not each.endswith(".")] == []


@pytest.mark.slow
def test_columns_that_come_and_go_cost_no_row(bad_day: BadDay) -> None:
    """In September a BOM and a column more, in August only two columns; and the one that says that
    it is of 2019 is filed under the month in which its newest subscriber joined."""
    sql = (
        "select month, count(distinct email), count(*), count(first_name), count(joined_at)"
        " from staging.stg_kit__subscriber_export where month < '2025-11-01'"
        " group by month order by month"
    )
    (august, people, *fewer), (september, *all_of_them) = query(bad_day.home.published, sql)
    assert (august, september) == (date(2025, 8, 1), date(2025, 9, 1))
    assert fewer == [people, people, 0]
    assert all_of_them == [people] * 4
    stream = next(s for each in SOURCES for s in each.streams if s.name == "subscriber_export")
    rows = lake_of(bad_day.home, "kit", stream).read(date(2025, 9, 1)).values()
    assert {row.record.get("Shoe size") for row in rows} == {"43"}


@pytest.mark.slow
def test_the_page_of_a_stream_shows_the_receipts_of_its_files(bad_day: BadDay) -> None:
    with instance_of(bad_day.home) as instance:
        event = instance.get_latest_materialization_event(dg.AssetKey(["kit", "subscriber_export"]))
    assert event is not None
    assert event.asset_materialization is not None
    found = event.asset_materialization.metadata["receipts"]
    assert isinstance(found, dg.TableMetadataValue)
    rows = {str(each.data["file"]): each.data for each in found.records}
    september = rows["kit-confirmed-subscribers-2025-09-03.csv"]
    assert (september["from"], september["to"]) == ("2025-09-01", "2025-09-01")
    assert (september["unreadable in the file"], september["new columns"]) == (1, "Shoe size")
    assert "medium-referrers-2025-11-15.json" not in rows


@pytest.mark.slow
def test_a_private_value_is_in_no_log_no_receipt_and_no_sentence(bad_day: BadDay) -> None:
    kept = b"".join(path.read_bytes() for path in bad_day.home.quarantine.rglob("*.*"))
    assert kept.count(PRIVATE.encode()) > 5
    assert traces(bad_day.home, bad_day.ended) == []


# ------------------------------------------------------------------ other people's services, files


@pytest.fixture
def localstripe(tmp_path: Path) -> Iterator[LocalStripe]:
    server = LocalStripe(tmp_path / "localstripe.pickle")
    server.start()
    try:
        server.wait()
        yield server
    finally:
        server.stop()


def restarting(stream: ApiStream, server: LocalStripe, at: int) -> ApiStream:
    """The stream, whose server is restarted whenever that many rows of an answer have come."""

    def rows(found: Iterator[Record]) -> Iterator[Record]:
        for place, row in enumerate(found):
            if place == at:
                server.stop()
                server.start()
            yield row

    fetch, fetch_all = stream.fetch, stream.fetch_all
    return replace(
        stream,
        fetch=fetch and (lambda client, window: rows(fetch(client, window))),
        fetch_all=fetch_all and (lambda client: rows(fetch_all(client))),
    )


@pytest.mark.slow
@pytest.mark.parametrize("page_size", [1, 100])
def test_what_is_made_in_localstripe_is_staged_once(
    services: Services, copied: Home, localstripe: LocalStripe, page_size: int
) -> None:
    made = fill(localstripe, 7)
    # what localstripe cannot answer stays as it was
    answered = [each for each in stripe_source(page_size).api if each.name in made]
    streams = [restarting(each, localstripe, at=3) for each in answered]
    house = services.house(
        copied,
        now=datetime.now(UTC),
        STRIPE_API_BASE=localstripe.base,
        STRIPE_API_KEY=KEY,
    )
    yesterday = house.today - timedelta(days=1)
    result = fetch_streams(
        copied,
        house.settings,
        replace(STRIPE, api=tuple(streams)),
        set(made),
        clock=house.clock,
        # localstripe takes one bound at a time, and an end that lies ahead is not asked for
        window=Window(yesterday, house.today + timedelta(days=1)),
        # another account: what it lacks of the one before is really gone
        accept=True,
    )
    assert [result.failure for result in result] == [None] * 3
    built = build_what_is_stale(house, *(f"staging/stg_stripe__{name}" for name in made))
    assert [each.failure for each in built] == [None] * 3
    for name, ids in made.items():
        found = query(
            copied.published,
            f"select record_key from staging.stg_stripe__{name} where day >= ?",
            yesterday,
        )
        assert Counter(key for (key,) in found) == Counter(ids)
    assert query(
        copied.published,
        "select count(*) from staging.stg_stripe__subscriptions"
        " where day >= ? and status = 'canceled' and ended_at is not null",
        yesterday,
    ) == [(3,)]


SPECIFIED_DAY = date(2009, 2, 13)
"""That of 1234567890, the time of every object in Stripe's specification."""

FIXTURE_DAY = START - timedelta(days=2)
"""The day to which they are moved: from 2009 on, each day without a customer would be written."""

FIXTURES = {
    "balance_transactions": "balance_transaction",
    "charges": "charge",
    "customers": "customer",
    "payouts": "payout",
    "refunds": "refund",
    "subscriptions": "subscription",
}


@pytest.mark.slow
def test_other_peoples_files_are_staged_with_types(
    services: Services, copied: Home, samples: Path
) -> None:
    moved = 1234567890 + (FIXTURE_DAY - SPECIFIED_DAY).days * 86_400
    text = (samples / "stripe" / "fixtures3.json").read_text().replace("1234567890", str(moved))
    specified = json.loads(text)["resources"]

    def answer(request: Request) -> Answer:
        name = request.path.removeprefix("/v1/")
        if name not in FIXTURES:
            return as_json({"error": {}}, 404)
        return as_json({"object": "list", "data": [specified[FIXTURES[name]]], "has_more": False})

    exported = copied.inbox / "medium-export.zip"
    with ZipFile(exported, "w") as archive:
        for path in sorted((samples / "medium").rglob("*.html")):
            archive.write(path, path.relative_to(samples / "medium"))
    os.utime(exported, (NOW.timestamp(), NOW.timestamp()))
    # of another account, too
    accept(copied, digest_of(exported))
    with loopback(answer) as server:
        house = services.house(copied, STRIPE_API_BASE=server.base)
        results = fetch_streams(
            copied,
            house.settings,
            STRIPE,
            set(FIXTURES),
            clock=house.clock,
            window=Window(FIXTURE_DAY, FIXTURE_DAY + timedelta(days=1)),
            accept=True,
        )
    assert [(result.records, result.unreadable, result.failure) for result in results] == [
        (1, 0, None)
    ] * 6
    taken = ingest_inbox(house)
    assert taken.failures == []
    (receipt,) = taken.receipts
    assert (receipt.drop, receipt.unreadable, receipt.problem) == ("account_export", 0, None)
    names = [
        *(f"staging/stg_stripe__{name}" for name in FIXTURES),
        "staging/stg_medium__account_export",
        "staging/stg_medium__account_profile",
    ]
    built = build_what_is_stale(house, *names)
    assert {each.name: each.failure for each in built} == dict.fromkeys(names)

    stamp = datetime.combine(FIXTURE_DAY, clock_time(23, 31, 30))
    for name, resource in FIXTURES.items():
        rows = query(
            copied.published,
            f"select record_key, created_at from staging.stg_stripe__{name} where day = ?",
            FIXTURE_DAY,
        )
        assert rows == [(specified[resource]["id"], stamp)]
    for name in ("balance_transactions", "charges", "payouts", "refunds"):
        rows = query(
            copied.published,
            f"select amount_minor, amount, currency from staging.stg_stripe__{name} where day = ?",
            FIXTURE_DAY,
        )
        minor = specified[FIXTURES[name]]["amount"]
        assert rows == [(minor, Decimal(minor) / 100, specified[FIXTURES[name]]["currency"])]

    posts = query(
        copied.published,
        "select kind, count(*), count(published_at), bool_and(word_count > 0)"
        " from staging.stg_medium__account_export group by kind order by kind",
    )
    assert posts == [("draft", 1, 0, True), ("response", 1, 1, True), ("story", 2, 2, True)]
    profile = query(
        copied.published,
        "select username, display_name, email_address, medium_user_id, created_at_text, month"
        " from staging.stg_medium__account_profile where captured_on = ?",
        NOW.date(),
    )
    who = ("username", "User Name", "name@email.com", "abcdef123456")
    assert profile == [(*who, "2014-01-20 5:19 pm", NOW.date().replace(day=1))]
