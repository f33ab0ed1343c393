"""Every recogniser of the house, asked about anything: it answers, and soon."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from personal_pipeline.ingest.contract import Drop, DropFile
from personal_pipeline.ingest.recognition import claims_of, looks_like, unknown
from personal_pipeline.sources import SOURCES

DROPS = [drop for source in SOURCES for drop in source.drops]
BUDGET_SECONDS = 2.0
"""Generous, because the machine may be busy: what is not linear takes minutes."""

BEGINNINGS = [
    b"",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"{",
    b'{"data": {',
    b"[[[[",
    b"<?xml version='1.0'?><OFX>",
    b"OFXHEADER:100\n<OFX><STMTRS>",
    b"<!DOCTYPE html><html>",
    b"Date,Description,Amount\n",
    b"rules:\n- category: ",
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"\x1f\x8b\x08",
]


def file_of(tmp_path: Path, content: bytes) -> DropFile:
    path = tmp_path / "any"
    path.write_bytes(content)
    return DropFile(path, path.name, datetime(2026, 11, 1, tzinfo=UTC), tmp_path)


def asked(drop: Drop, file: DropFile) -> None:
    claim = drop.recognise(file)
    assert claim is None or (0 <= claim.confidence <= 1 and claim.reason)
    assert drop.explain(file) is None or drop.explain(file)


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=2_000) | st.text(max_size=1_000))
@settings(
    max_examples=150,
    deadline=BUDGET_SECONDS * 1_000,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_bytes_get_an_answer(tmp_path: Path, beginning: bytes, rest: bytes | str) -> None:
    content = beginning + (rest if isinstance(rest, bytes) else rest.encode("utf-8", "replace"))
    file = file_of(tmp_path, content)
    for drop in DROPS:
        asked(drop, file)
    claims = claims_of(SOURCES, file)
    assert [each.claim.confidence for each in claims] == sorted(
        (each.claim.confidence for each in claims), reverse=True
    )
    assert looks_like(file)
    assert unknown(SOURCES, file).startswith("No source recognizes this file.")


def tar_of_many() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for number in range(2_000):
            archive.addfile(tarfile.TarInfo(f"{number}"), io.BytesIO())
    return target.getvalue()


def zip_of_many() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(20_000):
            archive.writestr(f"activities/{number}.fit", b"")
    return target.getvalue()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{1:F01BANKNL2AXXX0000}{4:\n:20:X\n:25:1\n:28C:1\n:60F:C160229EUR12,\n", "MT940"),
        ("\n:20:STARTUMS\n:25:1234/5678\n:28C:00000/001\n:61:1602D6,00NONREF\n", "MT940"),
        ("BANKNL2A\n940\nBANKNL2A\n:20:A\n:25:1\n:61:1602D6,00NONREF\n", "MT940"),
        ("!Type:Bank\nD1/2/24\nT-5.00\n^\n", "QIF"),
        ("# written by hand\n\n!Account\nNCash\n^\n", "QIF"),
        (
            '<?xml version="1.0"?>\n<Document '
            'xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"><BkToCstmrStmt/></Document>',
            "camt",
        ),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "calendar"),
        ('{"a": 1}', "JSON with the fields"),
        ('[{"a": 1}]', "JSON with the fields"),
        ("[1, 2]", "JSON"),
        ("[settings]\na = 1\n", "text"),
        ("{not json}", "text"),
    ],
)
def test_a_format_that_nobody_reads_is_called_by_its_name(
    tmp_path: Path, content: str, words: str
) -> None:
    assert words in looks_like(file_of(tmp_path, content.encode()))


@pytest.mark.parametrize("drop", DROPS, ids=lambda drop: drop.name)
@pytest.mark.parametrize(
    "make",
    [
        lambda: b"," * 5_000_000,
        lambda: b'"' * 5_000_000,
        lambda: b"a,b,c\n" * 800_000,
        lambda: b"<" * 5_000_000,
        lambda: b"<OFX>" * 1_000_000,
        lambda: b"[" * 5_000_000,
        lambda: b'{"a":' * 1_000_000,
        lambda: b"- " * 2_000_000,
        lambda: b"rules:\n" + b"&a [*a," * 100_000,
        lambda: b"\n" * 5_000_000,
        lambda: b"Date,Description,Amount\n" + b'"' * 5_000_000,
        lambda: gzip.compress(bytes(5_000_000)),
        zip_of_many,
        tar_of_many,
    ],
    ids=lambda make: "",
)
def test_what_is_large_or_odd_gets_an_answer_in_time(
    tmp_path: Path, drop: Drop, make: object
) -> None:
    file = file_of(tmp_path, make())  # type: ignore[operator]
    started = time.process_time()
    asked(drop, file)
    assert time.process_time() - started < BUDGET_SECONDS
