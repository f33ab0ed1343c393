"""The table of faults: what is done to a home while it is at work, and before it."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import stat
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from personal_pipeline.home import Home
from personal_pipeline.ingest.originals import SIDECAR
from personal_pipeline_tests.faults.child import Fault, Point
from personal_pipeline_tests.faults.house import EVE, Answering, Asked, Reply
from personal_pipeline_tests.faults.run import Case
from personal_pipeline_tests.faults.world import DAY, EVE_HOME, TAKEN, Attack, World, can
from personal_pipeline_tests.invented_house import NOW
from personal_pipeline_tests.loopback import free_port

CHAIN = 4
"""So many kills of the same command, one after the other, before anybody looks."""


# ------------------------------------------------------------------------------------------- kills

Step = tuple[str, tuple[str, ...], bool]
"""A home to begin from, a command, and whether it builds."""


def steps(world: World) -> dict[str, Step]:
    """What is killed, by the name of its row."""
    found: dict[str, Step] = {
        "kill: fetching and taking": (EVE_HOME, ("refresh",), False),
        "kill: adding files": (EVE_HOME, ("add", *(str(each) for each in world.new)), False),
        "kill: telling": (TAKEN, ("status", "--notify"), False),
    }
    if DAY in world.truth:
        found |= {
            "kill: building": (TAKEN, ("refresh",), True),
            "kill: the report": (DAY, ("report",), True),
        }
    if "rebuild" in can():
        built = DAY in world.truth
        found["kill: rebuilding"] = (DAY if built else TAKEN, ("rebuild",), built)
    if "doctor --repair" in can():
        found["kill: repairing"] = (TAKEN, ("doctor", "--repair"), False)
    return found


def kills(world: World, dice: Random, count: int) -> Iterator[Case]:
    """About ``count`` kills: each point of each step once, then points by chance."""
    every = steps(world)
    # after an earlier kill of its chain a point may not be passed any more
    share = -(-count * 5 // (4 * len(every)))
    for kind, (begin, arguments, builds) in every.items():
        passed = _points(world, begin, arguments, builds)
        names = list(dict.fromkeys(each.name for each in passed))
        chosen = [dice.choice([e for e in passed if e.name == name]) for name in names]
        dice.shuffle(chosen)
        chosen = chosen[:share]
        chosen += dice.sample(passed, min(max(share - len(chosen), 0), len(passed)))
        faults = [
            Fault(
                each,
                dice.choice(["kill", "kill alone"]),
                dice.choice([0, 0, round(dice.uniform(0.01, 2), 2)])
                if each.name.startswith(("start", "duckdb"))
                else 0,
            )
            for each in sorted(chosen, key=passed.index)
        ]
        chains = max(-(-len(faults) // CHAIN), 1)
        for first in range(chains):
            chain = faults[first::chains]
            if chain:
                yield _killed(kind, begin, arguments, builds, chain)


def _points(world: World, begin: str, arguments: tuple[str, ...], builds: bool) -> list[Point]:
    """The points that a command passes when nothing happens to it, in order."""
    if (begin, arguments) == (EVE_HOME, ("refresh",)):
        names = world.points[f"{TAKEN} refresh"]
    elif (begin, arguments, builds) == (TAKEN, ("refresh",), True):
        names = tuple(each for each in world.points[f"{DAY} refresh"])
    else:
        names = world.dry_run(begin, arguments, builds)
    counted: dict[str, int] = {}
    found = []
    for name in names:
        counted[name] = counted.get(name, 0) + 1
        found.append(Point(name, counted[name]))
    return found


def _killed(
    kind: str, begin: str, arguments: tuple[str, ...], builds: bool, chain: Sequence[Fault]
) -> Case:
    def do(attack: Attack) -> None:
        attack.tried = sum(attack.runs(*arguments, fault=each).killed for each in chain)

    name = "; ".join(f"{each.what} at {each.at} +{each.delay} s" for each in chain)
    return Case(kind, name, begin, do, builds)


def kills_of_up(dice: Random, count: int) -> Iterator[Case]:
    """The daemon with all its processes, killed while it takes the inbox and builds."""

    def do(attack: Attack) -> None:
        begun = attack.begin("up", "--port", str(free_port()))
        receipts = attack.home.archive / "receipts"
        were = len(list(receipts.iterdir()))
        deadline = time.monotonic() + 120
        while begun.process.is_alive() and time.monotonic() < deadline:
            if len(list(receipts.iterdir())) > were:
                break
            time.sleep(0.2)
        time.sleep(attack.dice.uniform(0, 40))
        attack.tried = int(begun.process.is_alive())
        attack.said.append(f"$ up -> killed\n{begun.end(0).said}")

    for number in range(count):
        yield Case("kill: up", str(number), EVE_HOME, do, builds=True)


# ------------------------------------------------------------------------------------- full disks


def disks(world: World, dice: Random, count: int) -> Iterator[Case]:
    """Real ones on a small file system where one can be made, and by the hook everywhere."""
    real = may_mount(world.folder)
    for number in range(count):
        builds = DAY in world.truth and number % 3 == 2
        begin = TAKEN if builds else EVE_HOME
        if real and number % 2:
            room = dice.randrange(0, 40_000_000 if builds else 4_000_000, 4096)
            yield Case("full disk", f"{number}: {room:,} bytes left", begin, _small(room), builds)
        else:
            point = dice.choice(_points(world, begin, ("refresh",), builds))
            yield Case("full disk", f"{number}: from {point} on", begin, _full(point), builds)


def may_mount(folder: Path) -> bool:
    """Whether a file system of our own can be mounted here."""
    place = folder / "may mount"
    place.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(place)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        return False
    subprocess.run(["umount", str(place)], check=True)
    return True


def _full(point: Point) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        attack.runs("refresh", fault=Fault(point, "full"))

    return do


def _small(room: int) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        root = attack.home.root
        aside = root.with_name("aside")
        root.rename(aside)
        root.mkdir()
        used = sum(-(-path.stat().st_size // 4096) * 4096 + 4096 for path in aside.rglob("*"))
        mount = ["mount", "-t", "tmpfs", "-o", f"size={used + room}", "none", str(root)]
        subprocess.run(mount, check=True)
        try:
            shutil.copytree(aside, root, dirs_exist_ok=True, symlinks=True)
            taken = os.statvfs(root)
            left = taken.f_bavail * taken.f_frsize
            if left > room:
                subprocess.run(
                    ["mount", "-o", f"remount,size={used + room - (left - room)}", str(root)],
                    check=True,
                )
            code = attack.runs("refresh").code
            attack.runs("status")
            shutil.rmtree(aside)
            shutil.copytree(root, aside, symlinks=True)
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)
            root.rmdir()
            aside.rename(root)
        if code == 0:
            attack.tried = 0  # it had room enough

    return do


def read_only() -> Iterator[Case]:
    """A home that cannot be written to for a while."""

    def do(attack: Attack) -> None:
        root = attack.home.root
        bind = ["mount", "--bind", str(root), str(root)]
        subprocess.run(bind, check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", str(root)], check=True)
        try:
            code = attack.runs("refresh").code
            attack.runs("status")
            attack.runs("add", *(str(each) for each in attack.world.new))
        finally:
            subprocess.run(["umount", "-l", str(root)], check=True)
        if code == 0:
            attack.wrong.append("refresh of a home that is read-only ended with 0")

    yield Case("read-only home", "refresh, status, add", EVE_HOME, do)


# ----------------------------------------------------------------------------------- damaged files

KINDS = {
    "original": "archive/originals/*/*",
    "sidecar": f"archive/originals/*/*{SIDECAR}",
    "receipt": "archive/receipts/*.json",
    "what was replaced": "archive/lake/**/*.jsonl.gz",
    "lake of a service": "lake/stripe/*/*/part.jsonl.gz",
    "lake of a list": "lake/kit/subscribers/*/part.jsonl.gz",
    "lake of a feed": "lake/medium/feed/*/part.jsonl.gz",
    "lake of drops": "lake/bank/*/*/part.jsonl.gz",
    "lake of a table": "lake/**/part.parquet",
    "versions": "lake/*/*/.versions.json",
    "picture of an export": "lake/*/.*.json",
    "state": "state/*.json",
    "home.json": "home.json",
    "warehouse": "warehouse.duckdb",
    "write-ahead log": "warehouse.duckdb.wal",
    "published": "published/warehouse.duckdb",
    "dagster's database": "dagster/**/*.db",
    "what dagster was told": "dagster/told.json",
    "dagster's settings": "dagster/dagster.yaml",
    "dbt's manifest": "dbt/manifest.json",
    "dbt's parsed project": "dbt/partial_parse.msgpack",
    "dbt's stamp": "dbt/manifest.stamp",
    "dbt's copy of the project": "dbt/project/models/**/*.sql",
    "report": "reports/*",
    "memory of alerts": "state/alerts/*",
    "lock": "state/locks/*.lock",
}
BUILT = ("warehouse", "write-ahead log", "published", "dbt", "report")
"""Kinds that only a home with tables has something to say about."""


def _truncated(path: Path, dice: Random) -> None:
    os.truncate(path, dice.randrange(1, max(path.stat().st_size, 2)))


def _zeroed(path: Path, dice: Random) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _flipped(path: Path, dice: Random) -> None:
    """As a disk that forgets: neither size nor time say anything."""
    was = path.stat()
    content = bytearray(path.read_bytes())
    for _ in range(4):
        begin = dice.randrange(max(len(content), 1))
        for place in range(begin, min(begin + 16, len(content))):
            content[place] ^= 0xFF
    path.write_bytes(content)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def _garbage(path: Path, dice: Random) -> None:
    path.write_bytes(dice.randbytes(500))


def _folder(path: Path, dice: Random) -> None:
    path.unlink()
    path.mkdir()


WAYS: dict[str, Callable[[Path, Random], object]] = {
    "truncated": _truncated,
    "zeroed": _zeroed,
    "bytes flipped": _flipped,
    "emptied": lambda path, dice: path.write_bytes(b""),
    "deleted": lambda path, dice: path.unlink(),
    "garbage": _garbage,
    "a folder": _folder,
}


def damages(world: World, kinds: Sequence[str], ways: Sequence[str]) -> Iterator[Case]:
    """Each kind of file, damaged in each way, and looked at afterwards."""
    for kind in kinds:
        builds = kind.startswith(BUILT)
        if builds and DAY not in world.truth:
            continue
        begin = DAY if builds else TAKEN
        if kind == "write-ahead log" or any(world.home(begin).root.glob(KINDS[kind])):
            for way in ways:
                yield Case(f"damaged: {kind}", way, begin, _damaged(kind, way), builds)


def _damaged(kind: str, way: str) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        root = attack.home.root
        if kind == "write-ahead log":
            (root / "warehouse.duckdb.wal").write_bytes(b"\0" * 64)
        paths = sorted(path for path in root.glob(KINDS[kind]) if path.is_file())
        if kind == "original":
            paths = [path for path in paths if not path.name.endswith(SIDECAR)]
        path = attack.dice.choice(paths)
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        WAYS[way](path, attack.dice)
        attack.said.append(f"{path.relative_to(root)}: {way}")

    return do


# ------------------------------------------------------------------------------------------ clocks

CLOCKS = {
    "a day ahead": timedelta(days=1),
    "60 days ahead": timedelta(days=60),
    "ten years ahead": timedelta(days=3652),
    "a day behind": timedelta(days=-1),
    "60 days behind": timedelta(days=-60),
    "18 years behind": timedelta(days=-6574),
    "an hour behind": timedelta(hours=-1),
}


def clocks(names: Sequence[str]) -> Iterator[Case]:
    """A clock that is wrong for one look, and right ever after."""
    for name in names:
        for on in ("the eve", "the new day"):
            yield Case("clock", f"{name} on {on}", EVE_HOME, _clock(CLOCKS[name], on))
    for zone in ("America/St_Johns", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        yield Case("clock", f"zone {zone} for a look", EVE_HOME, _zone(zone))


def _clock(by: timedelta, on: str) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        inbox = sorted(attack.home.inbox.iterdir())
        if on == "the eve":
            # the services know nothing of the new day yet
            attack.services.has_new_day, attack.services.clock = False, EVE
            aside = attack.scratch / "not yet"
            aside.mkdir()
            moved = [path.rename(aside / path.name) for path in inbox]
            attack.runs("refresh", now=EVE + by)
            attack.services.new_day()
            for path in moved:
                path.rename(attack.home.inbox / path.name)
        else:
            attack.runs("refresh", now=NOW + by)

    return do


def _zone(zone: str) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        attack.runs("refresh", now=NOW, zone=zone, PERSONAL_PIPELINE_TIMEZONE=zone)

    return do


# ---------------------------------------------------------------------------------- faults of APIs


def _json(change: Callable[[Any], Any]) -> Answering:
    def fault(asked: Asked) -> Reply | None:
        try:
            return Reply(json.dumps(change(json.loads(asked.body))).encode())
        except ValueError:
            return None

    return fault


def _emptied(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            name: [] if isinstance(each, list) else False if name.startswith("has_") else each
            for name, each in value.items()
        }
    return []


def _rows(value: Any) -> list[dict[str, Any]]:
    lists = [each for each in value.values() if isinstance(each, list)]
    return [row for rows in lists for row in rows if isinstance(row, dict)]


def _in_milliseconds(value: Any) -> Any:
    for row in _rows(value):
        for name in ("created", "created_at", "send_at"):
            if isinstance(row.get(name), int):
                row[name] *= 1000
            elif isinstance(row.get(name), str):
                row[name] = "1763" + row[name][:4] + "00000"
    return value


def _wrong_type(value: Any) -> Any:
    for row in _rows(value):
        row["id"] = {"is": row.get("id")}
    return value


def _twice(value: Any) -> Any:
    for name, each in value.items():
        if isinstance(each, list):
            value[name] = each + each
    return value


def _same_page(value: Any) -> Any:
    if "has_more" in value:
        value["has_more"] = True
    if "pagination" in value:
        value["pagination"]["has_next_page"] = True
        value["pagination"]["end_cursor"] = "c2FtZQ=="
    return value


def _answer(body: bytes, status: int = 200, **headers: str) -> Answering:
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return lambda asked: Reply(body, status, named)


def _first(count: int, fault: Answering) -> Answering:
    """The fault for the first requests, then all is well."""
    return lambda asked: fault(asked) if asked.number < count else None


def _after(count: int, fault: Answering) -> Answering:
    return lambda asked: fault(asked) if asked.number >= count else None


def _gzip_bomb(asked: Asked) -> Reply:
    # half a second of a core, and the tests import this in each of their processes
    body = gzip.compress(bytes(400_000_000), 1)
    return Reply(body, headers={"Content-Encoding": "gzip"})


def _huge(asked: Asked) -> Reply:
    return Reply(b'{"data": [' + b" " * 300_000_000 + b"]}")


HTML = b"<html><body><h1>We will be back soon</h1></body></html>"
FAULTS: dict[str, Answering] = {
    "empty and 200": lambda asked: Reply(b""),
    "lists emptied": _json(_emptied),
    "JSON cut": lambda asked: Reply(asked.body[: len(asked.body) * 2 // 3]),
    "connection cut": lambda asked: Reply(asked.body, cut=len(asked.body) // 2),
    "cut after some pages": _after(5, lambda asked: Reply(asked.body, cut=10)),
    "500": _answer(b"oops", 500),
    "500 now and then": lambda asked: Reply(b"", 500) if asked.number % 5 == 4 else None,
    "429 with Retry-After": _answer(b"", 429, Retry_After="3600"),
    "429 at first": _first(4, _answer(b"", 429, Retry_After="1")),
    "401": _answer(b'{"error": {"message": "no"}}', 401),
    "403": _answer(b'{"error": {"message": "no"}}', 403),
    "slow": lambda asked: Reply(asked.body, pause=0.6),
    "hangs": lambda asked: Reply(b" " * 100, pause=60),
    "huge": _huge,
    "gzip bomb": _gzip_bomb,
    "redirect to another host": _answer(b"", 302, Location="http://127.0.0.2:9/elsewhere"),
    "times in milliseconds": _json(_in_milliseconds),
    "wrong type": _json(_wrong_type),
    "rows twice": _json(_twice),
    "the same page for ever": _json(_same_page),
    "HTML": _answer(HTML, Content_Type="text/html"),
    "null": _answer(b"null"),
    "years ahead in Date": lambda asked: Reply(asked.body, date=NOW + timedelta(days=3000)),
    "years behind in Date": lambda asked: Reply(asked.body, date=NOW - timedelta(days=3000)),
}


def faults(names: Sequence[str]) -> Iterator[Case]:
    """Services that answer otherwise for one look, and are well ever after."""
    for name in names:
        yield Case("API", name, EVE_HOME, _faulty(FAULTS[name]))


def _faulty(fault: Answering) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        before = _counts(attack.home)
        with attack.services.but(fault):
            look = attack.runs("refresh", PERSONAL_PIPELINE_SOURCE_BUDGET_SECONDS=5)
            status = attack.runs("status", "--json")
        for stream, count in _counts(attack.home).items():
            was = before.get(stream, 0)
            if was - count > max(was / 2, 20) and look.code == status.code == 0:
                attack.wrong.append(f"{stream}: {was} rows became {count}, and all is well")

    return do


def _counts(home: Home) -> dict[str, int]:
    found: dict[str, int] = {}
    for path in home.lake.rglob("part.jsonl.gz"):
        stream = "/".join(path.relative_to(home.lake).parts[:2])
        found[stream] = found.get(stream, 0) + gzip.decompress(path.read_bytes()).count(b"\n")
    return found


# ------------------------------------------------------------------------------------------- races


def races(*, builds: bool) -> Iterator[Case]:
    """Commands that run at the same time."""

    def together(*commands: tuple[str, ...]) -> Callable[[Attack], None]:
        def do(attack: Attack) -> None:
            begun = [attack.begin(*each) for each in commands]
            for command, process in zip(commands, begun, strict=True):
                ended = process.end()
                attack.said.append(f"$ {' '.join(command)} -> {ended.code}\n{ended.said}")

        return do

    def adding(attack: Attack) -> None:
        add = ("add", *(str(each) for each in attack.world.new))
        more = [("rebuild",)] if "rebuild" in can() else []
        together(("refresh",), add, add, ("status", "--notify"), *more)(attack)

    def reading(attack: Attack) -> None:
        """A reader sees the tables of before or of after, and is never turned away."""
        process = attack.begin("refresh")
        before, after = (_sums(attack.world.home(name)) for name in (EVE_HOME, DAY))
        while process.process.is_alive():
            try:
                seen = _sums(attack.home)
            except duckdb.Error as error:
                attack.wrong.append(f"a reader was turned away: {error}")
                break
            if seen not in (before, after):
                attack.wrong.append("a reader saw tables of no day")
                break
            time.sleep(0.2)
        process.end()

    yield Case("race", "two refreshes", EVE_HOME, together(("refresh",), ("refresh",)))
    yield Case("race", "refresh, add, add, status, rebuild", EVE_HOME, adding)
    if builds:
        yield Case("race", "a reader while it publishes", TAKEN, reading, builds=True)


def _sums(home: Home) -> Any:
    with duckdb.connect(str(home.published), read_only=True) as opened:
        return opened.execute(
            "select (select count(*) from staging.stg_bank__transactions),"
            " (select sum(net) from marts.revenue_daily)"
        ).fetchone()


# ----------------------------------------------------------------------------------- hostile files


def _zip(*members: tuple[str, bytes], flags: int = 0) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    body = bytearray(target.getvalue())
    if flags:
        for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
            begin = body.find(mark)
            while begin >= 0:
                body[begin + place] |= flags
                begin = body.find(mark, begin + 4)
    return bytes(body)


def _tar() -> bytes:
    target = BytesIO()
    with tarfile.open(fileobj=target, mode="w") as made:
        for name, kind in (("device", tarfile.CHRTYPE), ("link", tarfile.SYMTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type = kind
            entry.linkname = "/etc/passwd"
            made.addfile(entry)
    return target.getvalue()


BILLION = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">
<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
<!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">
]><HealthData>&e;</HealthData>"""

CONTENTS: dict[str, tuple[bytes, Callable[[], bytes]]] = {
    "zip bomb": (b"bomb.zip", lambda: _zip(("a.json", bytes(600_000_000)))),
    "bomb within bombs": (
        b"bombs.zip",
        lambda: _zip(*((f"{n}.zip", _zip(("a", bytes(50_000_000)))) for n in range(20))),
    ),
    "a name of 250 bytes": (b"n" * 246 + b".csv", lambda: b"a,b\n1,2\n"),
    "a name that is no UTF-8": (b"caf\xe9.csv", lambda: b"a,b\n1,2\n"),
    "a name with a line end": (b"one\ntwo\x1b[31m.csv", lambda: b"a,b\n1,2\n"),
    "an empty file": (b"empty.json", lambda: b""),
    "deep JSON": (b"deep.json", lambda: b"[" * 300_000 + b"]" * 300_000),
    "an endless line": (b"line.csv", lambda: b"x" * 80_000_000),
    "an entity bomb": (b"export.xml", lambda: BILLION),
    "names that climb": (b"climbs.zip", lambda: _zip(("../../../escaped.csv", b"a,b\n1,2\n"))),
    "devices in a tar": (b"devices.tar", _tar),
    "an encrypted zip": (b"secret.zip", lambda: _zip(("a.csv", b"a,b\n1,2\n"), flags=1)),
    "a file cut in the middle": (b"cut.zip", lambda: _zip(("a.csv", b"a,b\n1,2\n" * 99))[:60]),
    "NaN and huge numbers": (b"story-days.json", lambda: b'[{"data": NaN, "n": 1e999}]'),
    "not text": (b"statement.csv", lambda: bytes(range(256)) * 4000),
}
OTHERS = ("a link", "a link to a folder", "a FIFO", "not readable", "a folder of nothing",
          "half written", "replaced while it is read", "ten copies")  # fmt: skip


def hostile(names: Sequence[str]) -> Iterator[Case]:
    """Files that somebody or something laid into the inbox, beside good ones."""
    for name in names:
        yield Case("hostile file", name, EVE_HOME, _hostile(name))


def _hostile(name: str) -> Callable[[Attack], None]:
    def do(attack: Attack) -> None:
        inbox = attack.home.inbox
        outside = attack.scratch / "mine"
        outside.mkdir()
        (outside / "thesis.txt").write_text("mine")
        content: bytes | None = None
        if name in CONTENTS:
            file, made = CONTENTS[name]
            content = made()
            Path(os.fsdecode(os.fsencode(inbox) + b"/" + file)).write_bytes(content)
        elif name == "a link":
            (inbox / "link.csv").symlink_to(outside / "thesis.txt")
        elif name == "a link to a folder":
            (inbox / "link").symlink_to(outside)
        elif name == "a FIFO":
            os.mkfifo(inbox / "pipe.csv")
        elif name == "not readable":
            (inbox / "closed.csv").write_bytes(b"a,b\n1,2\n")
            (inbox / "closed.csv").chmod(0)
        elif name == "a folder of nothing":
            (inbox / "a" / "b" / "c").mkdir(parents=True)
        elif name == "half written":
            _half_written(attack)
        elif name == "replaced while it is read":
            _replaced(attack)
        elif name == "ten copies":
            content = b"nobody knows this\n" * 9
            for number in range(10):
                (inbox / f"copy {number}.xyz").write_bytes(content)
        look = attack.runs("refresh")
        if (outside / "thesis.txt").read_text() != "mine":
            attack.wrong.append("a file outside the home was changed")
        if list(attack.scratch.rglob("escaped.csv")):
            attack.wrong.append("a file was written outside")
        if content and not _kept(attack.home, content):
            attack.wrong.append(f"{name}: its bytes are nowhere")
        kept = len(_kept(attack.home, content)) if content else 0
        if name == "ten copies" and kept != 1:
            attack.said.append(f"the same file is kept {kept} times")
        if content and look.code == 0 and "set aside" not in look.said:
            attack.wrong.append(f"{name}: nobody was told")

    return do


def _kept(home: Home, content: bytes) -> list[Path]:
    folders = (home.quarantine, home.inbox, home.archive / "originals")
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and path.stat().st_size == len(content) and path.read_bytes() == content
    ]


def _half_written(attack: Attack) -> None:
    """A download that pauses in the middle of the statement, and goes on after a refresh."""
    path = next(each for each in sorted(attack.home.inbox.iterdir()) if each.suffix == ".QFX")
    whole = path.read_bytes()
    was = path.stat()
    with path.open("wb") as writer:
        writer.write(whole[: len(whole) // 2])
        writer.flush()
        attack.runs("refresh")
        writer.write(whole[len(whole) // 2 :])
    if path.exists():
        os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))


def _replaced(attack: Attack) -> None:
    """A name under which another file lies a moment later, many times over."""
    path = next(each for each in sorted(attack.home.inbox.iterdir()) if each.suffix == ".QFX")
    whole, was = path.read_bytes(), path.stat()
    process = attack.begin("refresh")
    aside = attack.scratch / "next"
    number = 0
    while process.process.is_alive() and path.exists():
        number += 1
        cut = whole if number % 2 else whole[: len(whole) // 2]
        aside.write_bytes(cut)
        os.utime(aside, ns=(was.st_atime_ns, was.st_mtime_ns + number))
        aside.rename(path)
        time.sleep(0.05)
    process.end()
    aside.write_bytes(whole)
    os.utime(aside, ns=(was.st_atime_ns, was.st_mtime_ns))
    aside.rename(attack.home.inbox / path.name)
