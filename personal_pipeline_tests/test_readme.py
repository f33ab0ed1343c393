"""README.md is run: every command in a ``sh`` block has a check here, and every check a command."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias
from zipfile import ZipFile

import click
import duckdb
import pytest
import yaml
from click.testing import CliRunner
from packaging.requirements import Requirement

from personal_pipeline.cli import main
from personal_pipeline.settings import OpenToOthers, house_settings, load_settings

CHECKOUT = Path(__file__).parents[1]
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")

Check: TypeAlias = Callable[[list[str], Path], None]


def blocks(language: str) -> list[str]:
    """The fenced blocks of README.md in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def run(*command: str | Path, cwd: Path = CHECKOUT, **environment: str) -> str:
    """What a command printed; a test fails with that when the command does."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def is_a_target(words: list[str], folder: Path) -> None:
    environment = dict(word.split("=", 1) for word in words if "=" in word)
    command = [word for word in words if "=" not in word]
    seen = run(*command, "--dry-run", cwd=CHECKOUT, **environment)
    assert "personal-pipeline" in seen or "pytest" in seen


def is_installed(words: list[str], folder: Path) -> None:
    # `make test` and CI run these themselves, among them the tests that would start it
    assert shutil.which(words[0], path=str(Path(sys.executable).parent))


def works_in_a_fresh_folder(words: list[str], folder: Path) -> None:
    for name in (".env.example", "requirements.lock"):
        shutil.copy(CHECKOUT / name, folder)
    run(*words, cwd=folder)


def makes_an_environment(words: list[str], folder: Path) -> None:
    # its pip would be that of Python, and takes seconds to unpack
    run(*words, "--without-pip", cwd=folder)
    assert (folder / words[-1] / "bin" / "python").exists()


def works_on_a_copied_example(words: list[str], folder: Path) -> None:
    shutil.copy(CHECKOUT / ".env.example", folder / ".env")
    (folder / ".env").chmod(0o644)
    with pytest.raises(OpenToOthers):
        load_settings()
    run(*words, cwd=folder)
    load_settings()


def can_be_activated(words: list[str], folder: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", ".venv", cwd=folder)
    seen = run("sh", "-c", f"{shlex.join(words)} && command -v python", cwd=folder)
    assert Path(seen.strip()) == folder / ".venv/bin/python"


def holds_for_this_environment(words: list[str], folder: Path) -> None:
    # nothing is fetched: every package of the lock is here already, in the version of the lock
    assert words[:3] == ["python", "-m", "pip"]
    run(sys.executable, *words[1:], "--dry-run", "--no-index", "--quiet")


def builds_with_all_its_files(words: list[str], folder: Path) -> None:
    assert words[-2:] == ["-e", "."]
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(CHECKOUT / "personal_pipeline", folder / "personal_pipeline", ignore=ignore)
    for name in ("pyproject.toml", "setup.cfg", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, folder)
    options = [word for word in words[4:] if word not in ("-e", ".")]
    run(sys.executable, "-m", "pip", "wheel", *options, "--quiet", ".", cwd=folder)
    wheel = next(folder.glob("*.whl"))
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("personal_pipeline/")}
        entry_points = next(name for name in archive.namelist() if "entry_points" in name)
        assert b"personal-pipeline = personal_pipeline.cli:main" in archive.read(entry_points)
    sources = (folder / "personal_pipeline").rglob("*")
    assert packed == {path.relative_to(folder).as_posix() for path in sources if path.is_file()}


def is_understood(words: list[str], folder: Path) -> None:
    """The command line takes it, options and all; what it does is tested beside its code."""
    command = main
    # a command remembers its help option from the first context in which it is asked for
    context = click.Context(main, info_name=words[0], **main.context_settings)
    for position, word in enumerate(words[1:], start=1):
        assert isinstance(command, click.Group)
        found = command.get_command(context, word)
        assert found is not None, f"personal-pipeline has no command {word}"
        arguments = [_existing(each, folder) for each in words[position + 1 :]]
        with found.make_context(word, arguments, parent=context):
            return


def _existing(argument: str, folder: Path) -> str:
    if not argument.startswith("~/"):
        return argument
    path = folder / Path(argument).name
    path.touch()
    return str(path)


def does_it_with_nothing_connected(words: list[str], folder: Path) -> None:
    is_understood(words, folder)
    result = CliRunner().invoke(main, words[1:], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert result.output


COMMANDS: dict[str, Check] = {
    # run for real by CI, and the demo by personal_pipeline_tests/demo
    "make demo": is_a_target,
    "make test": is_a_target,
    "PERSONAL_PIPELINE_HOME=demo make up": is_a_target,
    "python3 -m venv .venv": makes_an_environment,
    ". .venv/bin/activate": can_be_activated,
    "python -m pip install --require-hashes -r requirements.lock": holds_for_this_environment,
    "python -m pip install --no-deps --no-build-isolation -e .": builds_with_all_its_files,
    "personal-pipeline demo": is_understood,
    "ruff check": is_installed,
    "ruff format --check": is_installed,
    "mypy": is_installed,
    "dagster definitions validate --workspace workspace.yaml": is_installed,
    "pytest --numprocesses auto --dist loadfile": is_installed,
    "cp .env.example .env": works_in_a_fresh_folder,
    "chmod 600 .env": works_on_a_copied_example,
    "personal-pipeline sources": does_it_with_nothing_connected,
    "personal-pipeline sources stripe": does_it_with_nothing_connected,
    "personal-pipeline sources rest strava": does_it_with_nothing_connected,
    "personal-pipeline connect stripe": is_understood,
    "personal-pipeline doctor": does_it_with_nothing_connected,
    "personal-pipeline refresh --source stripe": is_understood,
    'personal-pipeline sql "select day, views from creator_daily order by day desc"': (
        is_understood
    ),
    'personal-pipeline search "long run" river after:2026-06': is_understood,
    "personal-pipeline rebuild": is_understood,
    "personal-pipeline rebuild --source bank": is_understood,
    "personal-pipeline up": is_understood,
    "personal-pipeline open": is_understood,
    "personal-pipeline refresh": is_understood,
    "personal-pipeline refresh --since 2026-11-01": is_understood,
    "personal-pipeline refresh --accept stripe": is_understood,
    "personal-pipeline restore stripe --before 2026-11-01 --dry-run": is_understood,
    "personal-pipeline add ~/Downloads/medium-stats-2026-11-01.json": is_understood,
    "personal-pipeline add ~/Downloads/statements": is_understood,
    "personal-pipeline add --explain ~/Downloads/unknown.csv": is_understood,
    "personal-pipeline status": does_it_with_nothing_connected,
    "personal-pipeline status medium": does_it_with_nothing_connected,
    "personal-pipeline status --notify": is_understood,
    "personal-pipeline report --open": is_understood,
    "personal-pipeline report --month 2026-10 --pdf": is_understood,
    "personal-pipeline rewind 2026": is_understood,
    "personal-pipeline exports --example spending": is_understood,
    "personal-pipeline day yesterday": is_understood,
    "personal-pipeline timeline --from 2026-11-01 --kind payment": is_understood,
    "personal-pipeline on-this-day": is_understood,
    "personal-pipeline records": is_understood,
    "personal-pipeline raw 3f9a01c2": is_understood,
    "personal-pipeline mcp": is_understood,
    "personal-pipeline mcp --log": does_it_with_nothing_connected,
    "personal-pipeline doctor --verify": does_it_with_nothing_connected,
    "personal-pipeline doctor --repair": does_it_with_nothing_connected,
}

IN_README = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


@pytest.mark.parametrize("line", IN_README)
def test_a_command_of_the_readme_works(line: str, tmp_path: Path) -> None:
    assert line in COMMANDS, "say in COMMANDS how this line is tested"
    COMMANDS[line](shlex.split(line), tmp_path)


def test_every_check_has_its_command() -> None:
    assert set(COMMANDS) == set(IN_README)


def test_every_command_is_in_the_readme() -> None:
    assert isinstance(main, click.Group)
    missing = [name for name in main.commands if f"personal-pipeline {name}" not in README]
    assert not missing


def test_python_of_the_readme_runs_on_the_published_tables(tmp_path: Path) -> None:
    published = tmp_path / "home" / "published"
    published.mkdir(parents=True)
    with duckdb.connect(str(published / "warehouse.duckdb")) as connection:
        connection.execute("create schema marts")
        for path in (CHECKOUT / "sql" / "models" / "marts").rglob("*.yml"):
            for model in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", []):
                columns = ", ".join(f'"{column["name"]}" varchar' for column in model["columns"])
                connection.execute(f'create table marts."{model["name"]}" ({columns})')
    snippets = blocks("python")
    assert snippets
    for snippet in snippets:
        run(sys.executable, "-W", "error", "-c", snippet, cwd=tmp_path)


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (CHECKOUT / target).exists()] == []


def test_settings_that_the_readme_names_exist() -> None:
    known = {each.name for each in house_settings()}
    assert set(re.findall(r"`(PERSONAL_PIPELINE_[A-Z_]+)`", README)) <= known


def test_the_readme_names_the_versions_of_python_that_are_supported() -> None:
    text = (CHECKOUT / "pyproject.toml").read_text(encoding="utf-8")
    specifier = re.search(r'^requires-python = "(.+)"$', text, re.MULTILINE)
    assert specifier
    supported = Requirement(f"python{specifier[1]}").specifier
    minors = [f"3.{minor}" for minor in range(30) if f"3.{minor}" in supported]
    assert f"Python {', '.join(minors[:-1])} or {minors[-1]}" in README
