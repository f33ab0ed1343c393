"""The dbt project: where it lies, its manifest, and calling dbt on parts of it.

Importing this runs nothing. The manifest is built when the SQL changed and read otherwise: dbt
takes seconds to parse, and every process of Dagster imports the definitions.
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

from dagster_dbt import DbtProject

from personal_pipeline.home import Home, write_atomically
from personal_pipeline.ingest.lake import digest_of
from personal_pipeline.shown import shown_lines
from personal_pipeline.warehouse import dbt_host
from personal_pipeline.warehouse.contracts import unions

FOLDER = Path(__file__).parents[2] / "sql"
PARSE_WAIT_SECONDS = 300


class DbtFailed(Exception):
    """dbt could not do what was asked. The message names the model or test and the cause."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one model or test in a dbt call; ``message`` is dbt's own, without rows."""

    unique_id: str
    name: str
    kind: str
    status: str
    message: str

    @property
    def failed(self) -> bool:
        return self.status in ("error", "fail", "runtime error")


def project(home: Home) -> DbtProject:
    """The project, with its target folder inside the home."""
    if not (FOLDER / "dbt_project.yml").exists():
        raise DbtFailed(
            f"{FOLDER} holds no dbt project. personal_pipeline runs from a checkout: install it "
            "with `pip install --no-deps -e .` in the folder that you cloned."
        )
    return DbtProject(project_dir=FOLDER, profiles_dir=FOLDER, target_path=home.dbt_target)


def _files_in(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.suffix in (".sql", ".yml")
        and not {"target", "logs"} & set(path.relative_to(folder).parts)
        and path.is_file()
    }


def _project_files() -> dict[Path, bytes]:
    """The project that dbt works with: what lies in ``FOLDER``, and what follows from it."""
    files = _files_in(FOLDER)
    return {**files, **unions(files)}


def _fingerprint(files: Mapping[Path, bytes]) -> str:
    digest = hashlib.sha256()
    for path, content in sorted(files.items()):
        digest.update(path.as_posix().encode())
        digest.update(content)
    return digest.hexdigest()


def manifest_path(home: Home) -> Path:
    """The manifest of the SQL as it is now; parsed first if the SQL changed since, or if the copy
    of it that dbt works in, or the manifest, is not as it was written."""
    stamp = home.dbt_target / "manifest.stamp"
    path = home.dbt_target / "manifest.json"
    files = _project_files()
    fingerprint = _fingerprint(files)

    def is_good() -> bool:
        with suppress(OSError):
            whole = stamp.read_bytes() == f"{fingerprint} {digest_of(path)}".encode()
            return whole and _fingerprint(_files_in(_copied(home))) == fingerprint
        return False

    if is_good():
        return path
    home.ensure()
    with home.lock("dbt-parse", wait_seconds=PARSE_WAIT_SECONDS):
        if not is_good():
            _write_project(files, _copied(home))
            for damaged in (path, stamp):
                if damaged.is_dir():
                    shutil.rmtree(damaged)
            output = _call(home, ["parse"], home.dbt_target, {})
            if output is not None:
                raise DbtFailed(f"dbt cannot parse {FOLDER}: {output}")
            write_atomically(stamp, f"{fingerprint} {digest_of(path)}".encode())
    return path


def _copied(home: Home) -> Path:
    """The copy of the project that dbt works in: it goes to the folder of its project, and from
    there the lake and the warehouse have the same relative paths in every home. Of other paths dbt
    would have to parse everything anew, six seconds at each call in a home that was moved."""
    return home.dbt_target / "project"


def write_project(place: Path) -> None:
    """Write the dbt project to a folder that holds nothing else."""
    _write_project(_project_files(), place)


def _write_project(files: Mapping[Path, bytes], place: Path) -> None:
    # file by file: a dbt that is at work has this as its folder
    for within, content in files.items():
        (place / within).parent.mkdir(parents=True, exist_ok=True)
        if (place / within).is_dir():
            shutil.rmtree(place / within)
        (place / within).write_bytes(content)
    for path in place.rglob("*"):
        if path.is_file() and path.relative_to(place) not in files:
            path.unlink()


def load_manifest(home: Home) -> dict[str, Any]:
    """The manifest, parsed first if the SQL changed since."""
    manifest: dict[str, Any] = json.loads(manifest_path(home).read_bytes())
    return manifest


def run(
    home: Home,
    command: str,
    models: Sequence[str],
    windows: Mapping[str, Sequence[tuple[str, str]]],
    currency: str,
    *,
    anew: bool = False,
) -> list[NodeResult]:
    """Run or build models, each for its own windows of days, and return what became of each.

    ``anew`` makes their tables from nothing with all rows, whatever the windows. The caller holds
    the lock of the warehouse. Raises ``DbtFailed`` only when dbt itself could not run; a failed
    model or test is a result.
    """
    target = home.dbt_target / "runs" / str(os.getpid())
    # what a process that had the same number left there is no result of this call
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        partial_parse = home.dbt_target / "partial_parse.msgpack"
        if partial_parse.exists():
            shutil.copyfile(partial_parse, target / partial_parse.name)
        chosen = target / "windows.csv"
        write_windows(chosen, windows)
        output = _call(
            home,
            [command, "--select", " ".join(models), *(["--full-refresh"] if anew else [])],
            target,
            {"PIPELINE_WINDOWS": str(chosen), "PIPELINE_CURRENCY": currency},
        )
        artifact = target / "run_results.json"
        if not artifact.exists():
            raise DbtFailed(f"dbt {command} did not run: {output}")
        return [
            NodeResult(
                unique_id=result["unique_id"],
                name=result["unique_id"].split(".")[2],
                kind=result["unique_id"].split(".")[0],
                status=result["status"],
                message=without_values(result["message"] or ""),
            )
            for result in json.loads(artifact.read_bytes())["results"]
        ]
    finally:
        shutil.rmtree(target, ignore_errors=True)


def write_windows(path: Path, windows: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """What the macro ``partition_window`` reads: a line a model and window, and one without days
    for a model that has none."""
    with path.open("w", encoding="utf-8", newline="") as target:
        lines = csv.writer(target, lineterminator="\n")
        lines.writerow(("model", "begins", "ends"))
        for model, spans in windows.items():
            lines.writerows((model, *each) for each in spans or [("", "")])


def _call(
    home: Home, arguments: Sequence[str], target: Path, more: Mapping[str, str]
) -> str | None:
    """Call dbt in a process of its own; the cause when it failed, else None. Raises ``DbtFailed``
    when a signal ended it: what it left says nothing of what it did not come to.

    Not by ``DbtCliResource``: it asks dbt for its version and opens the profile in this process
    before each call, three seconds that buy nothing here.
    """
    said = target / f"said-{os.getpid()}.txt"
    try:
        code = dbt_host.call(
            [
                *("--quiet", "--no-use-colors", "--log-level-file", "none"),
                *arguments,
                *("--project-dir", str(_copied(home)), "--profiles-dir", str(_copied(home))),
                *("--target-path", str(target)),
            ],
            _copied(home),
            {
                **os.environ,
                "PIPELINE_LAKE": f"../../{home.lake.name}",
                "PIPELINE_WAREHOUSE": f"../../{home.warehouse.name}",
                "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
                **more,
            },
            said,
        )
        if code < 0:
            raise DbtFailed(
                f"dbt {arguments[0]} was killed (signal {-code}): from outside, or because memory "
                "ran out. Readers keep what they had. What it left undone is built by the next "
                "pass: run `personal-pipeline refresh`."
            )
        if code == 0:
            return None
        return without_values(said.read_text(encoding="utf-8", errors="replace"))
    finally:
        said.unlink(missing_ok=True)


_SPEAKS_OF_SQL = ("Binder Error", "Catalog Error", "Parser Error", "Compilation Error")
_VALUE = re.compile(r"""['"`{\[<]|\b(?:value|input|string|key|row):?\s""", re.IGNORECASE)


def without_values(message: str) -> str:
    """A message of dbt or DuckDB without the values that it holds: they are somebody's data.

    Errors in the SQL itself quote names only and stay whole. Of any other, what follows the first
    quote, bracket or word that announces a value goes, and every line after that one: a value may
    hold quotes and line ends itself.
    """
    message = shown_lines(message.strip())
    if any(kind in message for kind in _SPEAKS_OF_SQL):
        return message
    found = _VALUE.search(message)
    return f"{message[: found.start()].rstrip()} …" if found else message
