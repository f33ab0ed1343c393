"""A pass in which one source breaks, or is ended by the person."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

from personal_pipeline.home import Home
from personal_pipeline.ingest.contract import Record, Source
from personal_pipeline.ingest.http import Client
from personal_pipeline.ingest.lake import PART
from personal_pipeline.ingest.memory import recall
from personal_pipeline.refresh import refresh
from personal_pipeline_tests.invented_house import Services, end, start
from personal_pipeline_tests.kiosk.house import Kiosk
from personal_pipeline_tests.kiosk.sources import METER, TILL, WHOLESALE
from personal_pipeline_tests.loopback import Answer, Request

PRIVATE = "jane@example.org"


def broken(source: Source) -> Source:
    """The source with a defect in each of its streams."""

    def defect(client: Client, *_: object) -> Iterator[Record]:
        raise RuntimeError(f"cannot read {PRIVATE}")

    return replace(
        source,
        api=tuple(
            replace(
                stream,
                fetch=defect if stream.fetch else None,
                fetch_all=defect if stream.fetch_all else None,
            )
            for stream in source.api
        ),
    )


def test_a_defect_in_one_source_costs_that_source_only(kiosk: Kiosk, copied_kiosk: Home) -> None:
    for path in copied_kiosk.reports.iterdir():
        path.unlink()
    passed = refresh(kiosk.house(copied_kiosk, sources=(broken(TILL), WHOLESALE, METER)))
    assert passed.failures
    for failure in passed.failures:
        assert failure.startswith("Till: RuntimeError in ")
        assert "test_refresh.py, line " in failure
        assert PRIVATE not in failure
    results = {each.source.name: each.results for each in passed.fetched}
    assert [str(result.failure and result.failure.failure) for result in results["till"]] == [
        "defect"
    ] * len(TILL.api)
    # on the board as well, and told from there
    kept = recall(copied_kiosk, "till", "sales")
    assert kept.failure == "defect"
    assert kept.failure_message
    assert kept.failure_message in passed.failures
    assert [each.failure for each in results["wholesale"]] == [None]
    assert passed.outputs.written["daily_report"] is not None


def test_a_damaged_file_costs_its_stream_only(kiosk: Kiosk, copied_kiosk: Home) -> None:
    file = max((copied_kiosk.lake / "till" / "deliveries").glob(f"*/{PART}"))
    file.chmod(0o600)
    file.write_bytes(b"no gzip")
    (copied_kiosk.lake / "till" / "deliveries" / ".versions.json").unlink()
    passed = refresh(kiosk.house(copied_kiosk), only=[TILL])
    failed = {
        result.stream: str(result.failure) for result in passed.fetched[0].results if result.failure
    }
    assert failed.keys() == {"deliveries"}
    assert str(file) in failed["deliveries"]
    assert all("is damaged" in failure for failure in passed.failures)
    assert passed.outputs.written["daily_report"] is not None


def test_it_says_how_far_it_is_while_it_builds(kiosk: Kiosk, copied_kiosk: Home) -> None:
    (copied_kiosk.inbox / "meter-2025-07.csv").write_text("Day,kWh\n2025-07-01,2.5\n")
    said: list[tuple[str, int, int]] = []
    passed = refresh(kiosk.house(copied_kiosk), progress=lambda *each: said.append(each))
    of_tables = [(done, total) for what, done, total in said if what == "tables"]
    tables = len({each.name for each in passed.work.built})
    assert of_tables[0][0] == 0
    assert of_tables[-1] == (tables, tables)
    assert [done for done, _ in of_tables] == sorted(done for done, _ in of_tables)
    # and nothing is said of tables when there is none to build
    said.clear()
    refresh(kiosk.house(copied_kiosk), progress=lambda *each: said.append(each))
    assert "tables" not in {what for what, _, _ in said}


@pytest.mark.slow
def test_ctrl_c_does_not_wait_for_a_service_that_stalls(services: Services, copied: Home) -> None:
    asked, over = threading.Event(), threading.Event()

    def stall(request: Request, usual: object) -> Answer:
        asked.set()
        over.wait(60)
        return Answer(b"", 500)

    with services.but(stall):
        process = start(services.environment(copied), "refresh")
        try:
            assert asked.wait(60)
            os.kill(process.pid, signal.SIGINT)
            ended = end(process, seconds=40)
        finally:
            over.set()
    assert ended.code == 1
    assert "Aborted" in ended.err
