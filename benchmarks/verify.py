"""The cost of verifying everything, and whether damage is ever published.

Files: ``doctor --verify`` over an archive of large originals, against reading them without hashing.
Tables: reading a warehouse in full before it is published, against publishing it.

    python -m benchmarks.verify --home demo --damage 300

``--home`` is a home with tables, which is copied and not changed. ``--damage`` then makes this many
copies of its warehouse with 16 bytes overwritten at seeded places, and tries to publish each.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from benchmarks.measured import fastest, show
from personal_pipeline.home import Home
from personal_pipeline.ingest.damage import THREADS, verify
from personal_pipeline.warehouse import integrity, store
from personal_pipeline_tests.invented_house import bare_house

FILE_BYTES = 64 * 1024**2
FILES = 24
BLOCK_BYTES = 1 << 18


def read(path: Path) -> None:
    """Read a whole file, and discard it."""
    with path.open("rb", buffering=0) as stream:
        while stream.read(BLOCK_BYTES):
            pass


def archive_of(home: Home) -> list[Path]:
    """Create originals of random bytes, named by their hashes."""
    paths = []
    for _ in range(FILES):
        content = os.urandom(FILE_BYTES)
        digest = hashlib.sha256(content).hexdigest()
        path = home.archive / "originals" / digest[:2] / f"{digest}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        paths.append(path)
    return paths


def measure_files(home: Home) -> None:
    """Measure one and a half gigabytes of originals, which are in the page cache."""
    paths = archive_of(home)
    today = datetime.now(UTC).date()

    def read_all() -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(read, paths))

    rows = [
        fastest("read by threads", read_all, rounds=3),
        fastest("verified", lambda: verify(home, (), today), rounds=3),
    ]
    show(f"{FILES * FILE_BYTES / 1e9:.1f} GB of originals", rows)
    begun = time.process_time()
    verify(home, (), today)
    cpu = time.process_time() - begun
    size = FILES * FILE_BYTES / 1e9
    print(f"{size / rows[1].seconds:.2f} GB a second, {size / cpu:.2f} GB a second of a core")


def measure_tables(home: Home) -> None:
    """Measure a publish, and the verification that is part of it."""

    def publish() -> None:
        home.published.unlink(missing_ok=True)
        with store.writing(home):
            store.publish(bare_house(home))

    publishing = fastest("publish, verified", publish, rounds=5)
    verifying = fastest("of it: read whole", lambda: integrity.damage_of(home.warehouse), rounds=5)
    show(f"{home.warehouse.stat().st_size / 1e6:.0f} MB of tables", [publishing, verifying])


def content(database: Path) -> list[tuple[object, ...]]:
    """Digest and row count of every table."""
    with duckdb.connect(str(database), read_only=True) as opened:
        names = opened.execute(
            "select schema_name, table_name from duckdb_tables() where not internal order by all"
        ).fetchall()
        return [
            (schema, name, *found)
            for schema, name in names
            for found in opened.execute(
                f'select bit_xor(hash(t)), count(*) from "{schema}"."{name}" as t'
            ).fetchall()
        ]


def damage(home: Home, times: int) -> None:
    """Overwrite, try to publish, and compare what readers see before and after."""
    good, kept = content(home.published), home.root / "kept"
    shutil.copyfile(home.warehouse, kept)
    rng = random.Random(11)
    found = harmless = wrong = 0
    for number in range(times):
        shutil.copyfile(kept, home.warehouse)
        size = home.warehouse.stat().st_size
        # every tenth in the headers, which random places would seldom hit
        at = rng.randrange(size if number % 10 else 3 * 4096)
        with home.warehouse.open("r+b") as stream:
            stream.seek(at)
            stream.write(rng.randbytes(16))
        with store.writing(home):
            try:
                store.make_ready(home)
                store.publish(bare_house(home))
                harmless += 1
            except store.DamagedWarehouse:
                found += 1
        wrong += content(home.published) != good
    print(f"{times} damaged: {found} found, {harmless} without effect, {wrong} published wrong")


def main() -> None:
    """Measure files, and tables where a home is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="a home with tables, such as demo/")
    parser.add_argument("--damage", type=int, default=0, metavar="TIMES")
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure_files(Home(Path(folder)).ensure())
    if given.home:
        with TemporaryDirectory() as folder:
            home = Home(Path(folder)).ensure()
            shutil.copyfile(given.home / "warehouse.duckdb", home.warehouse)
            measure_tables(home)
            if given.damage:
                damage(home, given.damage)


if __name__ == "__main__":
    main()
