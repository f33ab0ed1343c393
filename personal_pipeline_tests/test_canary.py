"""A day on which everything is run with everything failing, secrets and private strings planted
everywhere, and the network watched. Then every byte that is left is searched for them.

A private string may be where it belongs: in the archive, the lake, the tables, the report, and the
records and files that quarantine keeps. A credential may be nowhere at all. And no address is used
but those of the services, which are on loopback here.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import re
import shutil
import sqlite3
import tempfile
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Any, NoReturn
from urllib.parse import quote, urlsplit

import pytest
import requests

from personal_pipeline import board
from personal_pipeline.home import Home
from personal_pipeline.ingest import fetch
from personal_pipeline.warehouse import build, dbt_project
from personal_pipeline_tests.alerts.sinks import web_hook
from personal_pipeline_tests.invented_house import (
    DROPS,
    NOW,
    UNTIL,
    Ended,
    Instead,
    Services,
    Usual,
    changed_json,
    drop_exports,
    end,
    lay_project,
    run,
    start,
)
from personal_pipeline_tests.loopback import Answer, Request, until
from personal_pipeline_tests.network import Watched, let_it_try
from personal_pipeline_tests.running import of_this_house, up

PRIVATE = "Zqxprivate"
"""In names, memos, titles and addresses, and in what breaks readers."""
SECRET = "Zqxsecret"
"""In every credential."""

_NAMED = frozenset(
    re.findall(
        r"\w+",
        "first_name description subject title name content preview_text receipt_email nickname "
        "statement_descriptor reason",
    )
)


def private(*arguments: object, **named: object) -> NoReturn:
    """A defect that quotes what it read."""
    raise ValueError(f"could not convert string to float: '{PRIVATE} 17'")


def spellings(needle: str) -> dict[str, bytes]:
    """The ways in which a text may stand in a file."""
    plain = needle.encode()
    found = {
        "plain": plain,
        "upper": needle.upper().encode(),
        "lower": needle.lower().encode(),
        "UTF-16": needle.encode("utf-16-le"),
        "UTF-16 BE": needle.encode("utf-16-be"),
        "URL": quote(needle).encode(),
        "JSON": json.dumps(needle)[1:-1].encode(),
        "hex": plain.hex().encode(),
    }
    for shift in range(3):
        # what stands before it moves the letters; the outer ones depend on the neighbours
        coded = base64.b64encode(b"\0" * shift + plain + b"\0" * (-(shift + len(plain)) % 3))
        found[f"base64 {shift}"] = coded[4 if shift else 0 : -4]
    return found


def contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file, and what they hold when they are packed or are a database.

    None for a file that went since it was listed: SQLite removes its ``-wal`` when the
    last connection closes, also one that this function opened.
    """
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return
    yield raw
    yield from unpacked(raw)
    if raw.startswith(b"SQLite format 3"):
        # a text may be cut by the pages of the file
        with sqlite3.connect(path) as opened:
            yield "\n".join(opened.iterdump()).encode(errors="replace")


def unpacked(raw: bytes) -> Iterator[bytes]:
    if raw.startswith(b"\x1f\x8b"):
        with suppress(OSError, EOFError):
            inner = gzip.decompress(raw)
            yield inner
            yield from unpacked(inner)
    elif raw.startswith(b"PK"):
        with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(raw)) as archive:
            for name in archive.namelist():
                yield archive.read(name)


def hits(raw: bytes, needle: str) -> list[str]:
    return [how for how, spelt in spellings(needle).items() if spelt in raw]


@dataclass
class Search:
    """What was looked at, and what was found there."""

    files: int = 0
    size: int = 0
    found: list[str] = field(default_factory=list)

    def look(self, place: str, raw: bytes, *needles: str) -> None:
        self.size += len(raw)
        for needle in needles:
            for how in hits(raw, needle):
                at = raw.find(spellings(needle)[how])
                self.found.append(f"{place}: {needle} ({how}) …{raw[max(at - 150, 0) : at + 60]!r}")


def belongs(home: Home, path: Path) -> bool:
    """Whether a private string may be in this file."""
    inside = (home.archive, home.lake, home.reports, home.published.parent)
    if any(path.is_relative_to(each) for each in inside) or path == home.warehouse:
        return True
    return path.is_relative_to(home.quarantine) and not path.name.endswith(".reason.txt")


def reasons(home: Home) -> Iterator[tuple[str, bytes]]:
    """The reasons that lie beside the records in quarantine."""
    for path in home.quarantine.rglob("unreadable-*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            yield f"{path.name}: reason", json.loads(line)["reason"].encode()
    for path in (home.archive / "receipts").glob("*.json"):
        yield f"receipt {path.name}", path.read_bytes()


@contextmanager
def process_lists() -> Iterator[list[bytes]]:
    """Within it, what `ps` would show of every process that this one starts in a session of its
    own, and of all in that session, several times a second."""
    seen: set[bytes] = set()
    sessions: set[int] = set()
    over = Event()

    def watch() -> None:
        while not over.wait(0.25):
            for entry in Path("/proc").iterdir():
                with suppress(OSError, ValueError, IndexError):
                    stat = (entry / "stat").read_text().rpartition(")")[2].split()
                    parent, session = int(stat[1]), int(stat[3])
                    if parent == os.getpid() and session == int(entry.name):
                        sessions.add(session)
                    if session in sessions:
                        seen.add((entry / "cmdline").read_bytes())

    thread = Thread(target=watch, daemon=True)
    thread.start()
    lines: list[bytes] = []
    try:
        yield lines
    finally:
        over.set()
        thread.join()
        lines += sorted(seen)


# --------------------------------------------------------------------------------- what is planted


def planted(request: Request, usual: Usual) -> Answer:
    """The services, with a private string in every name and text that they give."""
    answer = usual()
    if answer.status != 200 or "json" not in answer.content_type:
        return answer

    def mark(value: Any) -> None:
        if isinstance(value, dict):
            for name, each in value.items():
                if name in _NAMED and isinstance(each, str):
                    value[name] = f"{each} {PRIVATE}"
                elif name == "email_address":
                    value[name] = f"{PRIVATE}.{each}"
                mark(each)
        elif isinstance(value, list):
            for each in value:
                mark(each)

    return changed_json(answer, mark)


def breaking(request: Request, usual: Usual) -> Answer:
    """Records that no test of dbt and no reader takes."""
    answer = planted(request, usual)

    def spoil(page: Any) -> None:
        for rows in page.values() if isinstance(page, dict) else ():
            for each in rows[:2] if isinstance(rows, list) else ():
                if isinstance(each, dict) and "state" in each:
                    each["state"] = PRIVATE
                if isinstance(each, dict) and "created" in each:
                    each["created"] = PRIVATE
                if isinstance(each, dict) and "currency" in each:
                    each["currency"] = f"{PRIVATE}\x1b[31m"

    return changed_json(answer, spoil) if "json" in answer.content_type else answer


def refusing(request: Request, usual: Usual) -> Answer:
    """Every way of failing, with private strings and the request's own secrets in the answer."""
    said = f"{PRIVATE} {request.headers} {request.query} {request.path}".encode()
    headers = {"Request-Id": f"req {PRIVATE}", "X-Error": PRIVATE}
    if request.path.startswith("/v4/"):
        return Answer(said, 500, headers, f"text/{PRIVATE}")
    if request.path.startswith("/v1/charges"):
        return Answer(b'{"' + said, 200, headers, f"text/{PRIVATE}")
    if request.path.startswith("/v1/"):
        return Answer(said, 401, headers, PRIVATE)
    return Answer(b"<html>" + said, 200, headers, f"text/html; {PRIVATE}")


def hostile_files(folder: Path) -> list[Path]:
    """Files with private strings where readers stumble over them."""
    folder.mkdir()
    good = "Date,Description,Original Description,Category,Amount,Status\n"
    files = {
        "bank.csv": f"{good}2025-11-03,{PRIVATE},{PRIVATE},Food,{PRIVATE},Posted\n",
        "cells.csv": f"{good}2025-11-03,{PRIVATE}\n2025-99-03,{PRIVATE},a,b,-1.00,Posted\n",
        "unknown.csv": f"17.11.2025;{PRIVATE};{PRIVATE};-12,00\n18.11.2025;{PRIVATE};x;-1,00\n",
        "unknown.txt": f"Dear diary, {PRIVATE}.\n" * 40,
        "broken.json": f'{{"data": {{"post": {{"title": "{PRIVATE}", "dailyStats": ["{PRIVATE}"',
        "wrong.json": json.dumps([{"data": {"post": {"id": PRIVATE, "dailyStats": PRIVATE}}}]),
        "story.json": json.dumps(
            [{"data": {"post": {"id": "a1", "title": PRIVATE, "dailyStats": [
                {"periodStartedAt": PRIVATE, "views": PRIVATE}]}}}]
        ),
        "cut.ofx": f"OFXHEADER:100\n\n<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>{PRIVATE}"
        f"<BANKTRANLIST><STMTTRN><TRNTYPE>{PRIVATE}<DTPOSTED>{PRIVATE}<TRNAMT>{PRIVATE}"
        f"<FITID>1<NAME>{PRIVATE}</STMTTRN>",
        "export.xml": f'<?xml version="1.0"?><HealthData locale="{PRIVATE}">'
        f'<Record type="{PRIVATE}" startDate="{PRIVATE}" value="{PRIVATE}"/><Record <{PRIVATE}',
        "subscribers.csv": f"email,first_name,created_at,status\n{PRIVATE}@x.y,{PRIVATE},"
        f'{PRIVATE},active\n"{PRIVATE},\n',
    }  # fmt: skip
    for name, text in files.items():
        (folder / name).write_text(text)
    (folder / "ride.fit").write_bytes(b"\x0e\x10\x00\x00\xff\xff\x00\x00.FIT" + PRIVATE.encode())
    with zipfile.ZipFile(folder / "strava.zip", "w") as archive:
        archive.writestr(
            "activities.csv",
            f"Activity ID,Activity Date,Activity Name,Filename\n{PRIVATE},{PRIVATE},{PRIVATE},\n",
        )
    return sorted(folder.iterdir())


def broken_models(folder: Path) -> Path:
    """The SQL of the project, in which a name is converted to a number."""
    shutil.copytree(dbt_project.FOLDER, folder, ignore=shutil.ignore_patterns("target", "logs"))
    for path in folder.rglob("stg_kit__broadcasts.sql"):
        text = path.read_text()
        assert "try_cast(record ->> 'public' as boolean) as is_public" in text
        path.write_text(
            text.replace(
                "try_cast(record ->> 'public' as boolean) as is_public",
                "cast(record ->> 'subject' as integer) = 1 as is_public",
            )
        )
    return folder


# --------------------------------------------------------------------------------------------- day


@dataclass(frozen=True)
class Day:
    """What a day left: what each command said, what `ps` would have shown, which messages were
    sent, which addresses were used, and the files."""

    home: Home
    scratch: Path
    said: dict[str, Ended]
    listed: list[bytes]
    messages: list[dict[str, Any]]
    watched: Watched


@pytest.fixture(scope="module")
def day(
    services: Services,
    exports: list[Path],
    parsed: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Day]:
    folder = tmp_path_factory.mktemp("day")
    scratch = folder / "scratch"
    scratch.mkdir()
    with pytest.MonkeyPatch.context() as patched:
        let_it_try(patched)
        # for the commands of this process, which has read TMPDIR long ago
        patched.setattr(tempfile, "tempdir", str(scratch))
        home = lay_project(parsed, folder / "home")
        drop_exports(sorted(exports[-DROPS:])[-4:], home)
        yield spent(services, home, folder, scratch)


def spent(services: Services, home: Home, folder: Path, scratch: Path) -> Day:
    said: dict[str, Ended] = {}
    watched = Watched(folder)

    with web_hook() as hook:
        hook.status = 500
        environment = services.environment(
            home,
            PERSONAL_PIPELINE_START=UNTIL,
            STRIPE_API_KEY=f"rk_live_{SECRET}1",
            KIT_API_KEY=f"kit_{SECRET}2",
            MEDIUM_FEED_URL=f"{services.server.base}/feed/@{SECRET}3?key={SECRET}3",
            STORY_SHEET_URL=f"{services.server.base}/sheet/{SECRET}4?gid=0&key={SECRET}4",
            PERSONAL_PIPELINE_ALERTS=(
                f"mailto://me:{SECRET}5@127.0.0.1:9?to=me@example.com "
                f"{hook.address.replace('a-secret-path', SECRET + '6')} nonsense://{SECRET}7"
            ),
            PERSONAL_PIPELINE_QUIET_HOURS="none",
            TMPDIR=scratch,
            **watched.environment(),
        )

        def command(name: str, *arguments: str) -> None:
            said[name] = run(environment, *arguments)

        with process_lists() as listed:
            with services.but(_any_key(planted, services)):
                first = start(environment, "refresh", before=watched.strace())
                said["good"] = end(first, 1200)
            with services.but(_any_key(breaking, services)), pytest.MonkeyPatch.context() as broken:
                broken.setattr(dbt_project, "FOLDER", broken_models(folder / "sql"))
                command("bad rows", "refresh")
            with services.but(refusing):
                command("refused", "refresh")
                command("notify", "status", "--notify")
            with services.but(_any_key(planted, services)), pytest.MonkeyPatch.context() as broken:
                broken.setattr(fetch, "check_record", private)
                broken.setattr(build, "read_lake", private)
                command("broken", "refresh", "--json")
            files = hostile_files(folder / "files")
            command("explain", "add", "--explain", *map(str, files))
            command("add", "add", *map(str, files))
            command("status", "status")
            command("doctor", "doctor")
            command("report", "report")
            with pytest.MonkeyPatch.context() as broken:
                broken.setattr(board, "exports_of", private)
                command("report broken", "report")
            with services.but(refusing):
                said["up"] = _up(environment, home, files)
    return Day(home, scratch, said, listed, hook.messages, watched)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="processes are listed in /proc")
def test_nothing_private_is_where_it_does_not_belong(day: Day) -> None:
    home = day.home
    for name in ("bad rows", "refused", "broken", "report broken"):
        assert day.said[name].code == 1, name
    commands = [each for name, each in day.said.items() if name != "up"]
    assert "Traceback" not in "".join(each.out + each.err for each in commands)

    search = Search()
    for name, ended in day.said.items():
        search.look(f"{name}, stdout", ended.out.encode(), PRIVATE, SECRET)
        search.look(f"{name}, stderr", ended.err.encode(), PRIVATE, SECRET)
    for line in day.listed:
        search.look("process list", line, PRIVATE, SECRET)
    for message in day.messages:
        search.look("message", json.dumps(message).encode(), PRIVATE, SECRET)
    for place, raw in reasons(home):
        search.look(place, raw, PRIVATE, SECRET)
    for path in (*home.root.rglob("*"), *day.scratch.rglob("*")):
        if path.is_file():
            search.files += 1
            needles = (SECRET,) if belongs(home, path) else (PRIVATE, SECRET)
            for raw in contents(path):
                search.look(str(path.relative_to(home.root.parent)), raw, *needles)
    print(f"{search.files} files, {search.size:,} bytes, {len(day.listed)} command lines")  # noqa: T201
    assert search.found == [], "\n".join(search.found)

    # the search can find: what was planted is where it belongs
    kept = [path for path in home.root.rglob("*") if path.is_file() and belongs(home, path)]
    there = {path for path in kept for raw in contents(path) if hits(raw, PRIVATE)}
    for folder in (home.archive, home.lake, home.quarantine):
        assert any(path.is_relative_to(folder) for path in there), folder
    assert len(day.listed) > 5
    assert day.messages


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_only_the_services_are_asked(day: Day) -> None:
    assert day.watched.denied() == ""
    # dbt, the code server, the web server and the daemon were watched too
    assert day.watched.processes() > 10
    # strace says what libraries do below Python: DuckDB, and what draws the charts
    if day.watched.strace():
        assert (day.home.reports / f"{NOW.date()}.html").exists()
        assert day.watched.addresses() == {"127.0.0.1"}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_graph_that_ends_by_itself_takes_the_rest_with_it(day: Day) -> None:
    """Of the web server ``test_live.py`` says the same."""
    assert day.said["up"].code == 1
    assert "The code server exited" in day.said["up"].err


def _any_key(instead: Instead, services: Services) -> Instead:
    """The invented services know their own keys and addresses only."""
    known = services.behind

    def usual(request: Request) -> Answer:
        path, query = request.path, dict(request.query)
        if path.startswith("/feed/"):
            path, query = urlsplit(known.settings["MEDIUM_FEED_URL"]).path, {}
        if path.startswith("/sheet/"):
            path, query = (
                urlsplit(known.settings["STORY_SHEET_URL"]).path,
                {"format": "csv", "gid": "0"},
            )
        key = known.settings["KIT_API_KEY" if path.startswith("/v4/") else "STRIPE_API_KEY"]
        headers = {"Authorization": f"Bearer {key}", "X-Kit-Api-Key": key}
        with requests.Session() as session:
            session.trust_env = False
            got = session.get(
                f"{known.base}{path}",
                params=query,
                headers=headers,
                allow_redirects=False,
                timeout=30,
            )
        kept = {n: t for n, t in got.headers.items() if n == "Location"}
        return Answer(got.content, got.status_code, kept, got.headers.get("Content-Type", ""))

    return lambda request, _: instead(request, lambda: usual(request))


def _up(environment: Mapping[str, str], home: Home, files: list[Path]) -> Ended:
    """The daemon takes the files again, and others like them; then its code server is killed."""
    mine = frozenset(of_this_house(home))
    for path in files:
        # one more byte, so that it is not known
        (home.inbox / f"again-{path.name}").write_bytes(path.read_bytes() + b"\n")
    with up(environment, home) as running:
        until(lambda: not list(home.inbox.iterdir()), "all is taken")
        assert running.process.poll() is None, "up ended"
        # what a run says after it took them
        time.sleep(2)
        # before its parts complain that the code server is gone
        assert "Traceback" not in running.said()
        # it ends with all others when one of its parts does
        running.part("dagster api grpc").kill()
        ended = running.ended()
        until(lambda: mine.issuperset(of_this_house(home)), "all end with the one", seconds=60)
        return ended
