"""The dbt project: its location, its manifest, and calling dbt on parts of it.

Importing this runs nothing. The manifest is only rebuilt if the SQL or a source's declarations
changed: dbt takes seconds to parse, and every process of Dagster imports the definitions.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from personal_pipeline import duck
from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.lake import digest_of
from personal_pipeline.shown import shown_lines
from personal_pipeline.sources import SOURCES
from personal_pipeline.warehouse import dbt_host
from personal_pipeline.warehouse.contracts import unions
from personal_pipeline.warehouse.descriptions import dbt_sources, inherit_columns

FOLDER = Path(__file__).parents[2] / "sql"
SOURCES_FILE = "models/staging/_sources.yml"
PARSE_WAIT_SECONDS = 300
RESULTS = "results.json"


class DbtFailed(Exception):
    """dbt could not do what was asked. The message names the model or test and the cause."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """The result of one model or test in a dbt call; ``message`` is dbt's own, without rows."""

    unique_id: str
    name: str
    kind: str
    status: str
    message: str

    @property
    def failed(self) -> bool:
        return self.status in ("error", "fail", "runtime error")


def changed_at(home: Home) -> int | None:
    """When the manifest was built, in nanoseconds; None if there is none."""
    with suppress(FileNotFoundError):
        return _stamp(home).stat().st_mtime_ns
    return None


def _stamp(home: Home) -> Path:
    """The file that identifies the SQL from which the manifest was parsed."""
    return home.dbt_target / "manifest.stamp"


def manifest_path(home: Home) -> Path:
    """The manifest of the current project; parsed first if the SQL or the sources' declarations
    have changed, or if dbt's working copy or the manifest is not as it was written. Raises
    ``DbtFailed``."""
    stamp = _stamp(home)
    path = home.dbt_target / "manifest.json"
    files = _project_files()
    fingerprint = _fingerprint(files)

    def is_good() -> bool:
        with suppress(OSError):
            whole = stamp.read_bytes() == f"{fingerprint} {digest_of(path)}".encode()
            return whole and _fingerprint(_read_files(working_copy(home))) == fingerprint
        return False

    if is_good():
        return path
    home.ensure()
    with home.lock("dbt-parse", wait_seconds=PARSE_WAIT_SECONDS):
        if not is_good():
            _write_files(working_copy(home), files)
            for damaged in (path, stamp):
                if damaged.is_dir():
                    shutil.rmtree(damaged)
            output = _call(home, ["parse"], home.dbt_target, {})
            if output is not None:
                raise DbtFailed(f"dbt cannot parse {FOLDER}: {output}")
            manifest = json.loads(path.read_bytes())
            inherit_columns(manifest)
            write_atomically(path, json.dumps(manifest).encode())
            write_atomically(stamp, f"{fingerprint} {digest_of(path)}".encode())
    return path


def write_project(place: Path) -> None:
    """Write the project into a folder: the SQL of the checkout, the unions of the contracts, and
    the sources' streams as dbt sources. Raises ``DbtFailed`` without a checkout."""
    _write_files(place, _project_files())


def _project_files() -> dict[str, bytes]:
    files = _read_files(FOLDER)
    if "dbt_project.yml" not in files:
        raise DbtFailed(
            f"{FOLDER} is not a dbt project. personal_pipeline runs from a checkout: install it "
            "with `pip install --no-deps -e .` in the folder that you cloned."
        )
    return {**files, **unions(files), SOURCES_FILE: dbt_sources(SOURCES).encode()}


def _read_files(folder: Path) -> dict[str, bytes]:
    """The project files that dbt reads, by relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.suffix in (".sql", ".yml")
        and path.is_file()
        and not {"target", "logs"} & set(path.relative_to(folder).parts)
    }


def _fingerprint(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(files.items()):
        digest.update(name.encode())
        digest.update(content)
    return digest.hexdigest()


def _write_files(place: Path, files: Mapping[str, bytes]) -> None:
    # file by file: a running dbt uses this as its working directory
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            shutil.rmtree(path)
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)
    for path in place.rglob("*"):
        if path.is_file() and path.relative_to(place).as_posix() not in files:
            path.unlink()


def working_copy(home: Home) -> Path:
    """The copy of the project that dbt works in. dbt changes into it, and from there the lake and
    the warehouse have the same relative paths in every home. With other paths dbt would have to
    parse everything again, six seconds per call in a home that was moved."""
    return home.dbt_target / "project"


def load_manifest(home: Home) -> dict[str, Any]:
    """The manifest, parsed first if the SQL has changed."""
    manifest: dict[str, Any] = json.loads(manifest_path(home).read_bytes())
    return manifest


def manifest_version(home: Home) -> str:
    """Identifies the content of the manifest."""
    return _stamp(home).read_text()


def run(
    home: Home,
    models: Sequence[str],
    windows: Mapping[str, Sequence[tuple[str, str]]],
    choices: Mapping[str, str],
    *,
    anew: bool = False,
) -> list[NodeResult]:
    """Build and test models, each for its own windows of days, and return the result of each.

    ``choices`` are the person's, as in ``model_tables``.
    ``anew`` recreates their tables with all rows, whatever the windows. The caller holds the lock
    of the warehouse. Raises ``DbtFailed`` only if dbt itself could not run; a failed model or test
    is a result.
    """
    target = home.dbt_target / "runs" / str(os.getpid())
    # left over from an earlier process with the same id
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        chosen = target / "windows.csv"
        write_windows(chosen, windows)
        output = _call(
            home,
            # writing artifacts would be a third of its work; the results come from its process
            [
                *("build", "--no-write-json", "--cache-selected-only"),
                *("--select", " ".join(models)),
                *(["--full-refresh"] if anew else []),
            ],
            target,
            {"PIPELINE_WINDOWS": str(chosen), **environment_of(choices)},
            version=manifest_version(home),
        )
        results = target / RESULTS
        if not results.exists():
            raise DbtFailed(f"dbt did not run: {output}")
        return [
            NodeResult(
                unique_id=result["unique_id"],
                name=result["unique_id"].split(".")[2],
                kind=result["unique_id"].split(".")[0],
                status=result["status"],
                message=without_values(result["message"] or ""),
            )
            for result in json.loads(results.read_bytes())["nodes"]
        ]
    finally:
        shutil.rmtree(target, ignore_errors=True)


def environment_of(choices: Mapping[str, str]) -> dict[str, str]:
    """What the macros ``home_<name>`` read."""
    return {f"PIPELINE_{name.upper()}": text for name, text in choices.items()}


def write_windows(path: Path, windows: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """The input of the macro ``partition_window``: one line per model and window, and one without
    days for a model that has none."""
    with path.open("w", encoding="utf-8", newline="") as target:
        lines = csv.writer(target, lineterminator="\n")
        lines.writerow(("model", "begins", "ends"))
        for model, spans in windows.items():
            lines.writerows((model, *each) for each in spans or [("", "")])


def _call(
    home: Home,
    arguments: Sequence[str],
    target: Path,
    more: Mapping[str, str],
    *,
    version: str = "",
) -> str | None:
    """Call dbt in a process of its own; returns the cause if it failed, else None. Raises
    ``DbtFailed`` if a signal ended it: its output then says nothing about what it did not reach.

    ``version`` identifies the manifest to use; without it dbt parses. ``DbtCliResource`` is not
    used: before each call it asks dbt for its version and opens the profile in this process, three
    seconds without benefit here.
    """
    said = target / f"said-{os.getpid()}.txt"
    project = str(working_copy(home))
    try:
        code = dbt_host.call(
            dbt_host.Call(
                arguments=[*dbt_host.QUIET, *arguments, "--target-path", str(target)],
                project=["--project-dir", project, "--profiles-dir", project],
                manifest=str(home.dbt_target / "partial_parse.msgpack") if version else "",
                version=version,
                folder=project,
                environment={
                    **os.environ,
                    "PIPELINE_LAKE": f"../../{home.lake.name}",
                    "PIPELINE_WAREHOUSE": f"../../{home.warehouse.name}",
                    "PIPELINE_DUCKDB": repr(duck.CONFIG),
                    "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                    **more,
                },
                output=str(said),
                results=str(target / RESULTS),
            )
        )
        if code < 0:
            raise DbtFailed(
                f"dbt {arguments[0]} was killed (signal {-code}), possibly because memory ran out. "
                "Readers keep the last good rows. Run `personal-pipeline refresh` to build the "
                "rest."
            )
        if code == 0:
            return None
        return without_values(said.read_text(encoding="utf-8", errors="replace"))
    finally:
        said.unlink(missing_ok=True)


_SPEAKS_OF_SQL = ("Binder Error", "Catalog Error", "Parser Error", "Compilation Error")
_VALUE = re.compile(r"""['"`{\[<]|\b(?:value|input|string|key|row):?\s""", re.IGNORECASE)


def without_values(message: str) -> str:
    """A message of dbt or DuckDB without the values in it: they are somebody's data.

    Errors in the SQL itself only quote names and are kept whole. In all others, the first quote,
    bracket or word that introduces a value is removed with everything after it, including all
    further lines: a value may itself contain quotes and line breaks.
    """
    message = shown_lines(message.strip())
    if any(kind in message for kind in _SPEAKS_OF_SQL):
        return message
    found = _VALUE.search(message)
    return f"{message[: found.start()].rstrip()} …" if found else message
