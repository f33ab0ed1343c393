"""The folder with one person's data, and the names of everything in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

PRIVATE = 0o700
PRIVATE_FILE = 0o600
READ_ONLY = 0o400
OTHERS = 0o077
"""The permission bits of everybody but the owner."""

SURELY_LEFT_SECONDS = 86_400
"""Age at which a temporary file counts as abandoned if its name carries no process id, or the id of
a process that started later (ids are reused). Not sooner: clocks get adjusted."""

_SCRATCH = re.compile(r"(?:unpacked|spool|adding|repair|again|opening)-(?:(\d+)-)?.+")
_TEMPORARY = re.compile(r"\.(?:(\d+)-)?.*\.tmp(?:\.wal)?|\.(\d+)-.*\.part")


VERSION = 3
"""The layout version of a home that this code reads and writes. 2 has a sidecar next to each
original; 3 keeps most fetched data in one file per month instead of one per day."""


class NewerHome(Exception):
    """The home was made by a later version of the pipeline. Nothing was changed."""


_SYNCERS = 8

_DERIVED = (
    *("home.json", "warehouse.duckdb", "warehouse.duckdb.wal", "published/warehouse.duckdb"),
    *("published/site*.sqlite", "published/search.sqlite", "published/models.duckdb"),
    *("state/*.json", "state/alerts/*.json", "dagster/told.json", "dagster/dagster.yaml"),
    *("dbt/*.json", "dbt/*.msgpack", "dbt/*.stamp"),
)

LATEST_REPORT = "latest.html"

DAMAGED = "damaged"
"""The quarantine folder for files found where one of ours should be."""


class Busy(Exception):
    """Another process of the pipeline holds a lock that this one needs. Nothing was changed."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths under the home folder. ``ensure`` creates them, readable by their owner only; from then
    on the process creates no file that others can read."""

    root: Path

    @classmethod
    def of(cls, folder: Path) -> Home:
        """The home in a folder as given in the settings: relative to the current folder, or to
        ``~``."""
        return cls(folder.expanduser().resolve())

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def archive(self) -> Path:
        return self.root / "archive"

    @property
    def dialects(self) -> Path:
        """The person's declarations of how the CSV files of a bank are read."""
        return self.root / "dialects"

    def resting(self) -> frozenset[str]:
        """The names of the sources that the person put to rest."""
        try:
            lines = self._resting.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return frozenset()
        return frozenset(line.strip() for line in lines if line.strip()[:1] not in ("", "#"))

    def put_to_rest(self, names: Iterable[str]) -> None:
        """Replace the names of the sources at rest."""
        head = "# Sources that have ended: nothing is fetched, expected or reminded of.\n"
        write_atomically(
            self._resting, (head + "".join(f"{name}\n" for name in sorted(names))).encode()
        )

    @property
    def _resting(self) -> Path:
        return self.root / "resting.txt"

    @property
    def credentials(self) -> Path:
        """Tokens of services, one file of mode 0600 each, in a folder of mode 0700."""
        return self.root / "credentials"

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def warehouse(self) -> Path:
        return self.root / "warehouse.duckdb"

    @property
    def published(self) -> Path:
        return self.root / "published" / "warehouse.duckdb"

    @property
    def site(self) -> Path:
        """The published marts in SQLite, for the owner's browser."""
        return self.root / "published" / "site.sqlite"

    def site_of(self, person: str) -> Path:
        """The part of them that is shared with a person."""
        return self.root / "published" / f"site-{person}.sqlite"

    @property
    def search(self) -> Path:
        """The words of the timeline, for ``personal-pipeline search``."""
        return self.root / "published" / "search.sqlite"

    @property
    def models(self) -> Path:
        """The part of them that is shared with language models, in DuckDB."""
        return self.root / "published" / "models.duckdb"

    @property
    def dashboards(self) -> Path:
        """The person's own dashboards, in YAML."""
        return self.root / "dashboards"

    @property
    def queries(self) -> Path:
        """The person's own queries, each a page of the site."""
        return self.root / "queries"

    @property
    def exports(self) -> Path:
        """The person's declarations of what is handed to other programs."""
        return self.root / "exports"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def latest_report(self) -> Path:
        """The most recent report, once there is one."""
        return self.reports / LATEST_REPORT

    @property
    def dagster(self) -> Path:
        """DAGSTER_HOME."""
        return self.root / "dagster"

    @property
    def dbt_target(self) -> Path:
        return self.root / "dbt"

    @property
    def state(self) -> Path:
        """What the pipeline remembers of each stream: when it was last fetched, and the
        result."""
        return self.root / "state"

    def ensure(self) -> Home:
        """Create every missing folder with mode 0700. A file in place of a folder is moved away,
        and so is a folder in place of a file that can be regenerated."""
        keep_private()
        for folder in (
            self.root,
            self.inbox,
            self.archive,
            self.lake,
            self.quarantine,
            self.published.parent,
            self.reports,
            self.dagster,
            self.dbt_target,
            self.state / "locks",
            self.dialects,
            self.dashboards,
            self.queries,
            self.credentials,
        ):
            make_folder(folder)
            if folder.stat().st_mode & OTHERS:
                folder.chmod(PRIVATE)
        for pattern in _DERIVED:
            for path in self.root.glob(pattern):
                if path.is_dir():
                    move_away(path)
        return self

    @property
    def _version_file(self) -> Path:
        return self.root / "home.json"

    def version(self) -> int:
        """The layout version; 1 if none is recorded. Raises ``NewerHome``."""
        try:
            found = int(json.loads(self._version_file.read_bytes())["version"])
        except (OSError, ValueError, KeyError, TypeError):
            # upgrading a home that is already current changes nothing
            return 1
        if found > VERSION:
            raise NewerHome(
                f"{self.root} was written by a later version of personal-pipeline (home.json says "
                f"version {found}, this one supports {VERSION}). Nothing was changed; install the "
                "later version."
            )
        return found

    def note_version(self) -> None:
        """Record that the home has the current layout."""
        write_atomically(self._version_file, json.dumps({"version": VERSION}).encode())

    @contextmanager
    def lock(self, name: str, *, wait_seconds: float) -> Iterator[None]:
        """Hold lock ``name`` against every other process. Raises ``Busy`` on timeout."""
        path = self.state / "locks" / f"{name}.lock"
        make_folder(path.parent)
        if path.is_dir():
            move_away(path)
        try:
            with FileLock(path, timeout=wait_seconds):
                yield
        except Timeout:
            since = f" for {wait_seconds:.0f} s" if wait_seconds else ""
            raise Busy(
                f"another process of the pipeline has held the lock `{name}` of "
                f"{self.root}{since}; wait until it finishes"
            ) from None


def keep_private() -> None:
    """Make this process and its children create files and folders for their owner only, whatever
    umask they were started with. DuckDB, SQLite and dbt create their own files."""
    os.umask(OTHERS)


def is_alive(number: int, since: float, slack_seconds: float) -> bool:
    """Whether the process that had this id at ``since`` (epoch seconds) is still running, as
    opposed to a later process with the same id."""
    try:
        process = psutil.Process(number)
        return (
            process.status() != psutil.STATUS_ZOMBIE
            and process.create_time() <= since + slack_seconds
        )
    except psutil.NoSuchProcess:
        return False


@contextmanager
def scratch(home: Home, purpose: str) -> Iterator[Path]:
    """A temporary folder in the home, named after its process. Not in the system's temporary
    folder: that may be small, and others can see the file names in it."""
    home.state.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=home.state, prefix=f"{purpose}-{os.getpid()}-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def sweep(home: Home) -> list[Path]:
    """Delete the temporary files and folders of killed processes; returns them.

    Deletes only what is named after a process that is certainly gone, or after none and is a day
    old: another process may be at work here.
    """
    left = [
        path
        for path in home.state.glob("*-*")
        if (named := _SCRATCH.fullmatch(path.name)) and _is_left(path, named[1])
    ]
    left += [
        path
        for path in (home.dbt_target / "runs").glob("*")
        if path.name.isdecimal() and _is_left(path, path.name)
    ]
    for place in (
        *(home.inbox, home.archive, home.lake, home.quarantine, home.published.parent),
        *(home.reports, home.dagster, home.state, home.dbt_target),
    ):
        for path in _temporaries(str(place)):
            if (named := _TEMPORARY.fullmatch(path.name)) and _is_left(path, named[1] or named[2]):
                left.append(path)
    for path in left:
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return left


def _temporaries(folder: str) -> Iterator[Path]:
    """The files at any depth that may be temporary. A lake has a hundred thousand folders, and
    ``os.walk`` takes twice as long."""
    pending = [folder]
    while pending:
        with suppress(OSError), os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.name.endswith((".tmp", ".tmp.wal", ".part")):
                    yield Path(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)


def _is_left(path: Path, number: str | None) -> bool:
    try:
        # not the modification time, which a copy inherits from its source
        begun = path.stat().st_ctime
    except OSError:
        return False  # its owner has just deleted it
    if number is None:
        return time.time() - begun > SURELY_LEFT_SECONDS
    return not is_alive(int(number), begun, SURELY_LEFT_SECONDS)


def free_name(wanted: Path) -> Path:
    """``wanted``, or if it exists, the same name with the first free number."""
    place, number = wanted, 1
    while place.exists():
        number += 1
        place = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return place


def make_folder(folder: Path) -> None:
    """Create a folder and its parents; a file in its place is moved away."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        for each in (*reversed(folder.parents), folder):
            if each.exists() and not each.is_dir():
                move_away(each)
        folder.mkdir(parents=True, exist_ok=True)


def give_name(temporary: Path, path: Path) -> None:
    """Rename a finished file to its final name; a folder in its place is moved away."""
    try:
        temporary.replace(path)
    except OSError:
        if not path.is_dir():
            raise
        move_away(path)
        temporary.replace(path)


def move_away(path: Path) -> None:
    """Move a file or folder that is in the way to ``quarantine/damaged/``, unless it is empty."""
    if path.is_dir():
        with suppress(OSError):
            path.rmdir()
            return
    root = next((each for each in path.parents if (each / "quarantine").is_dir()), None)
    wanted = path.with_name(f"{path.name}.{DAMAGED}")
    if root:
        make_folder(root / "quarantine" / DAMAGED)
        name = "-".join(path.relative_to(root).parts)
        wanted = root / "quarantine" / DAMAGED / name
    place = free_name(wanted)
    told = f"It was found at {path}, where something else belongs.\n"
    place.with_name(f"{place.name}.reason.txt").write_text(told)
    path.rename(place)


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one if the file is missing, damaged or holds another
    value: what is only remembered is then found out again."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_atomically(path: Path, content: bytes) -> None:
    """Replace ``path`` atomically: a temporary file in the same folder, fsync, rename, fsync.

    A reader, or a run after a kill, sees either the old content or the new.
    """
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{os.getpid()}-", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        give_name(Path(temporary), path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def staged(path: Path, content: bytes) -> Path:
    """A temporary file next to ``path`` with its new content, for ``publish``."""
    make_folder(path.parent)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{os.getpid()}-", suffix=".tmp")
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
    return Path(temporary)


def publish(temporaries: Mapping[Path, Path], *, mode: int | None = None) -> None:
    """Rename temporary files to their final names: ``write_atomically`` for many files at once.

    All of them are synced before the first rename, and all renames are synced when this returns,
    with one sync per folder. If it fails, the remaining temporary files are deleted.
    """
    try:
        with ThreadPoolExecutor(_SYNCERS) as pool:
            # concurrent syncs share the commits of the file system's journal
            list(pool.map(_sync, temporaries))
        for temporary, path in temporaries.items():
            if mode is not None:
                temporary.chmod(mode)
            give_name(temporary, path)
    except BaseException:
        for temporary in temporaries:
            temporary.unlink(missing_ok=True)
        raise
    for folder in {path.parent for path in temporaries.values()}:
        sync_folder(folder)


def _sync(path: Path) -> None:
    # opened for writing, because Windows refuses to sync a file opened for reading
    with path.open("r+b") as stream:
        os.fsync(stream.fileno())


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power failure, where the system supports it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
