"""The dbt project: where it lies, its manifest, and calling dbt on parts of it.

Importing this runs nothing. The manifest is built when the SQL changed and read otherwise: dbt
takes seconds to parse, and every process of Dagster imports the definitions.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster_dbt import DbtCliInvocation, DbtCliResource, DbtProject

from personal_pipeline.home import Home, write_atomically

FOLDER = Path(__file__).parents[2] / "sql"
PARSE_WAIT_SECONDS = 300


class DbtFailed(Exception):
    """dbt could not do what was asked. The message names the model or test and the cause."""


@dataclass(frozen=True, slots=True)
class NodeResult:
    """What became of one model or test in a dbt call; ``message`` is dbt's own, without rows."""

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


def resource(home: Home) -> DbtCliResource:
    """How Dagster calls dbt: the executable beside this Python, not whatever is on the PATH."""
    beside = Path(sys.executable).parent / "dbt"
    return DbtCliResource(
        project_dir=project(home),
        dbt_executable=str(beside) if beside.exists() else "dbt",
        global_config_flags=["--no-use-colors"],
    )


def _fingerprint() -> str:
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in (".sql", ".yml") and "target" not in path.parts:
            digest.update(str(path.relative_to(FOLDER)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()


def manifest_path(home: Home) -> Path:
    """The manifest of the SQL as it is now; parsed first if the SQL changed since."""
    stamp = home.dbt_target / "manifest.stamp"
    path = home.dbt_target / "manifest.json"
    fingerprint = _fingerprint()
    if path.exists() and stamp.exists() and stamp.read_text() == fingerprint:
        return path
    home.ensure()
    with home.lock("dbt-parse", wait_seconds=PARSE_WAIT_SECONDS):
        if not (path.exists() and stamp.exists() and stamp.read_text() == fingerprint):
            with _environment(home, {}):
                parse = resource(home).cli(
                    ["parse", "--quiet"], target_path=home.dbt_target, raise_on_error=False
                )
                if not parse.wait().is_successful():
                    raise DbtFailed(f"dbt cannot parse {FOLDER}: {_last_error(parse)}")
            write_atomically(stamp, fingerprint.encode())
    return path


def load_manifest(home: Home) -> dict[str, Any]:
    """The manifest, parsed first if the SQL changed since."""
    manifest: dict[str, Any] = json.loads(manifest_path(home).read_bytes())
    return manifest


@contextmanager
def _environment(home: Home, more: Mapping[str, str]) -> Iterator[None]:
    """What the macros and the profile read. dbt inherits the environment of this process; the
    caller holds the lock of the warehouse, so no two calls mix theirs."""
    names = {
        "PIPELINE_LAKE": str(home.lake),
        "PIPELINE_WAREHOUSE": str(home.warehouse),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        **more,
    }
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def run(
    home: Home,
    command: str,
    models: Sequence[str],
    windows: Mapping[str, Sequence[tuple[str, str]]],
    currency: str,
) -> list[NodeResult]:
    """Run or build models, each for its own windows of days, and return what became of each.

    Raises ``DbtFailed`` only when dbt itself could not run; a failed model or test is a result.
    """
    target = home.dbt_target / "runs" / str(os.getpid())
    target.mkdir(parents=True, exist_ok=True)
    partial_parse = home.dbt_target / "partial_parse.msgpack"
    if partial_parse.exists():
        shutil.copyfile(partial_parse, target / partial_parse.name)
    environment = {
        "PIPELINE_WINDOWS": json.dumps(windows),
        "PIPELINE_CURRENCY": currency,
    }
    try:
        with _environment(home, environment):
            call = resource(home).cli(
                [command, "--select", *models], target_path=target, raise_on_error=False
            )
            call.wait()
        try:
            results = call.get_artifact("run_results.json")["results"]
        except FileNotFoundError:
            raise DbtFailed(f"dbt {command} did not run: {_last_error(call)}") from None
        return [
            NodeResult(
                name=result["unique_id"].split(".")[2],
                kind=result["unique_id"].split(".")[0],
                status=result["status"],
                message=(result["message"] or "").strip(),
            )
            for result in results
        ]
    finally:
        shutil.rmtree(target, ignore_errors=True)


def _last_error(call: DbtCliInvocation) -> str:
    error = call.get_error()
    return str(error).strip() if error else "see the dbt log"
